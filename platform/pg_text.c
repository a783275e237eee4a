#include "platform/pg_text.h"

#include <assert.h>

#include "platform/pg.h"

void cairn_pg_text_add_slice(struct cairn_pg_text *text, struct cairn_slice words)
{
    assert(text->buf.max > 0);
    if (text->rc == CAIRN_OK) {
        text->rc = cairn_buf_append(&text->buf, words);
    }
}

void cairn_pg_text_add(struct cairn_pg_text *text, const char *words)
{
    assert(words != NULL);
    cairn_pg_text_add_slice(text, cairn_slice_str(words));
}

void cairn_pg_text_add_name(struct cairn_pg_text *text, struct cairn_slice name)
{
    assert(text->buf.max > 0);
    if (text->rc == CAIRN_OK) {
        text->rc = cairn_pg_quote_name(&text->buf, name);
    }
}

void cairn_pg_text_add_number(struct cairn_pg_text *text, uint64_t number)
{
    assert(text->buf.max > 0);
    if (text->rc == CAIRN_OK) {
        text->rc = cairn_buf_append_u64(&text->buf, number);
    }
}

void cairn_pg_text_add_param(struct cairn_pg_text *text, size_t number)
{
    assert(number >= 1 && number <= CAIRN_PG_PARAMS_MAX);
    cairn_pg_text_add(text, "$");
    cairn_pg_text_add_number(text, number);
}

enum cairn_rc cairn_pg_text_end(struct cairn_pg_text *text, const char **ret_sql)
{
    if (text->rc == CAIRN_OK) {
        text->rc = cairn_buf_append_byte(&text->buf, '\0');
    }
    if (text->rc != CAIRN_OK) {
        return text->rc;
    }
    assert(text->buf.size > 0);
    cairn_buf_truncate(&text->buf, text->buf.size - 1);
    *ret_sql = text->buf.data;
    return CAIRN_OK;
}

void cairn_pg_text_fini(struct cairn_pg_text *text)
{
    cairn_buf_fini(&text->buf);
    text->rc = CAIRN_OK;
}
