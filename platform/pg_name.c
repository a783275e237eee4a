#include "platform/pg.h"

/* Appends text between double quotes, with `escape` before each byte that it is told to mark.
 * ETOOBIG, ENOMEM; out is untouched then. */
static enum cairn_rc append_quoted(struct cairn_buf *out, struct cairn_slice text, char marked,
                                   char marked_too, char escape)
{
    size_t marks = 0;
    for (size_t i = 0; i < text.size; i++) {
        marks += text.data[i] == marked || text.data[i] == marked_too ? 1 : 0;
    }
    if (text.size > SIZE_MAX / 2 - 2) {
        return CAIRN_ETOOBIG;
    }
    enum cairn_rc rc = cairn_buf_reserve(out, text.size + marks + 2);
    if (rc != CAIRN_OK) {
        return rc;
    }
    char *at = out->data + out->size;
    *at++ = '"';
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == marked || text.data[i] == marked_too) {
            *at++ = escape;
        }
        *at++ = text.data[i];
    }
    *at++ = '"';
    out->size = (size_t)(at - out->data);
    return CAIRN_OK;
}

static bool holds_nul(struct cairn_slice text)
{
    return cairn_slice_find(text, '\0') < text.size;
}

enum cairn_rc cairn_pg_quote_name(struct cairn_buf *out, struct cairn_slice name)
{
    if (name.size == 0 || name.size > CAIRN_PG_NAME_BYTES_MAX || holds_nul(name)) {
        return CAIRN_EINVAL;
    }
    return append_quoted(out, name, '"', '"', '"');
}

static enum cairn_rc append_element(struct cairn_buf *out, struct cairn_slice value)
{
    if (value.data == NULL) {
        return cairn_buf_append_str(out, "NULL");
    }
    return append_quoted(out, value, '"', '\\', '\\');
}

enum cairn_rc cairn_pg_array(struct cairn_buf *out, const struct cairn_slice *values, size_t count)
{
    size_t before = out->size;
    enum cairn_rc rc = cairn_buf_append_byte(out, '{');
    for (size_t i = 0; i < count && rc == CAIRN_OK; i++) {
        rc = i == 0 ? CAIRN_OK : cairn_buf_append_byte(out, ',');
        rc = rc == CAIRN_OK ? append_element(out, values[i]) : rc;
    }
    rc = rc == CAIRN_OK ? cairn_buf_append_byte(out, '}') : rc;
    if (rc != CAIRN_OK) {
        cairn_buf_truncate(out, before);
    }
    return rc;
}
