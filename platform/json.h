/* JSON text <-> value (RFC 8259, strict).
 *
 * The door is strict because what enters is for ever. Refused, each with the byte offset: anything
 * after the value, invalid UTF-8, a BOM, unescaped control characters, lone surrogates, duplicate
 * keys, nesting deeper than CAIRN_VALUE_DEPTH_MAX, integers outside -2^63..2^64-1, numbers outside
 * the range of a double. Integers stay integers, "-0" and anything with '.', 'e' or 'E' is a
 * double; a double is written so that it reads back to the same bits and stays a double ("1.0",
 * "-0.0", "1e+300"). */
#ifndef CAIRN_PLATFORM_JSON_H
#define CAIRN_PLATFORM_JSON_H

#include "platform/value.h"

/* Parse the whole text, white space around the value allowed.
 *
 * text:       borrowed; ret_value's strings may point into it, so it must outlive the value.
 * arena:      holds the tree.
 * ret_offset: may be NULL; on EMALFORMED the 0-based byte where the fault was noticed.
 * errors:     CAIRN_EMALFORMED (err says what and "at byte N"), CAIRN_ENOMEM.
 * thread:     any. cost: one pass, no intermediate form. */
CAIRN_MUST_CHECK enum cairn_rc cairn_json_read(struct cairn_slice text, struct cairn_arena *arena,
                                               struct cairn_value *ret_value, size_t *ret_offset,
                                               struct cairn_err *err);

/* The same of JSON whose numbers are decimals of any size, as PostgreSQL writes its numeric: a
 * number that neither a 64-bit integer nor a double holds with all of its digits is a
 * CAIRN_DECIMAL, which borrows text. For what is on its way out; what comes in is for
 * cairn_json_read. errors, thread: as there. */
CAIRN_MUST_CHECK enum cairn_rc cairn_json_read_decimal(struct cairn_slice text,
                                                       struct cairn_arena *arena,
                                                       struct cairn_value *ret_value,
                                                       struct cairn_err *err);

/* Append value as compact JSON. BIN and EXT have no JSON form: EINVAL. NaN, infinities and more
 * than CAIRN_VALUE_DEPTH_MAX levels: EINVAL. Also ETOOBIG, ENOMEM. On failure out is cut back to
 * its old size. */
CAIRN_MUST_CHECK enum cairn_rc cairn_json_write(const struct cairn_value *value,
                                                struct cairn_buf *out);

/* Append text (UTF-8) as a JSON string, quotes included. Control characters, '"' and '\' are
 * escaped. */
CAIRN_MUST_CHECK enum cairn_rc cairn_json_write_string(struct cairn_slice text,
                                                       struct cairn_buf *out);

/* Append a double in its shortest form that reads back the same, always with '.', 'e' or '-0.0'.
 * Finite. */
CAIRN_MUST_CHECK enum cairn_rc cairn_json_write_double(double number, struct cairn_buf *out);

#endif
