/* The formats that `format` asserts: a name and a test of a string.
 *
 * docs/reference/schemas.md lists them with the document that each follows. */
#ifndef CAIRN_SCHEMAS_FORMAT_H
#define CAIRN_SCHEMAS_FORMAT_H

#include "platform/bytes.h"

/* text is valid UTF-8. thread: any. */
typedef bool cairn_format_fn(struct cairn_slice text);

struct cairn_format {
    const char *name;
    const char *says; /* "must be a date (RFC 3339)" without the "must be" */
    cairn_format_fn *matches;
};

/* NULL when name is none of the table: an unknown format asserts nothing. The pointer is static. */
const struct cairn_format *cairn_format_find(struct cairn_slice name);
/* The whole table, for documentation and tests. */
const struct cairn_format *cairn_format_table(size_t *ret_count);

#endif
