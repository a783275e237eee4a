/* Numbers of JSON, text to value and back. For the reader and the writer of this folder. */
#ifndef CAIRN_PLATFORM_JSON_NUMBER_H
#define CAIRN_PLATFORM_JSON_NUMBER_H

#include "platform/value.h"

/* The largest text that cairn_json_print_double makes, NUL included. */
#define CAIRN_JSON_DOUBLE_MAX 32

/* Read the number at *at, which is '-' or a digit, and move *at behind it.
 *
 * decimal:   what loses digits is a CAIRN_DECIMAL, and nothing is out of range.
 * ret_fault: on EMALFORMED what is wrong, static; *at then stands where it was noticed, which for a
 *            number out of range is its first byte.
 * errors:    EMALFORMED, ENOMEM. thread: any; the process must not have set a locale with another
 *            decimal point than '.'. */
CAIRN_MUST_CHECK enum cairn_rc cairn_json_read_number(const char **at, const char *end,
                                                      bool decimal, struct cairn_value *ret_value,
                                                      const char **ret_fault);

/* The shortest text that reads back as number (finite), NUL-ended; returns its length. */
size_t cairn_json_print_double(double number, char out[CAIRN_JSON_DOUBLE_MAX]);

#endif
