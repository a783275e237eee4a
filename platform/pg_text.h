/* The text of a statement under way, from words and numbers of ours and names of the database.
 *
 * The first failure stays: what is added behind it is left out, and the end tells it, so that a
 * statement is written down without a check at every word. No value goes into a text: values are
 * parameters. A zeroed text with buf.max set is ready. thread: owner. */
#ifndef CAIRN_PLATFORM_PG_TEXT_H
#define CAIRN_PLATFORM_PG_TEXT_H

#include "platform/bytes.h"

struct cairn_pg_text {
    struct cairn_buf buf; /* buf.size is where the next word will stand */
    enum cairn_rc rc;     /* the first failure: ETOOBIG, ENOMEM, EINVAL (a name that is none) */
};

#define CAIRN_PG_TEXT(bytes_max) ((struct cairn_pg_text){.buf = {.max = (bytes_max)}})

void cairn_pg_text_add(struct cairn_pg_text *text, const char *words);
void cairn_pg_text_add_slice(struct cairn_pg_text *text, struct cairn_slice words);
/* Between double quotes. */
void cairn_pg_text_add_name(struct cairn_pg_text *text, struct cairn_slice name);
void cairn_pg_text_add_number(struct cairn_pg_text *text, uint64_t number);
/* $1 and so on. number: from 1. */
void cairn_pg_text_add_param(struct cairn_pg_text *text, size_t number);
/* *ret_sql: the whole, NUL-ended; borrowed until something is added or fini. errors: the first
 * failure, without an err. */
CAIRN_MUST_CHECK enum cairn_rc cairn_pg_text_end(struct cairn_pg_text *text, const char **ret_sql);
void cairn_pg_text_fini(struct cairn_pg_text *text);

#endif
