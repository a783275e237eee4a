#include <assert.h>
#include <math.h>

#include "platform/json.h"
#include "platform/json_number.h"

/* What stands behind the backslash for a byte that needs one: 'u' for \u00XX. */
static char escape_of(unsigned char byte)
{
    static const char short_codes[0x20] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    if (byte == '"' || byte == '\\') {
        return (char)byte;
    }
    assert(byte < 0x20);
    return short_codes[byte] != '\0' ? short_codes[byte] : 'u';
}

static enum cairn_rc append_escape(struct cairn_buf *out, unsigned char byte)
{
    static const char hex_digits[] = "0123456789abcdef";
    char code = escape_of(byte);
    char text[6] = {'\\', code, '0', '0', hex_digits[byte >> 4], hex_digits[byte & 15u]};
    return cairn_buf_append(out, cairn_slice_of(text, code == 'u' ? 6 : 2));
}

/* Bytes from the start of text that need no escape. */
static size_t plain_prefix(struct cairn_slice text)
{
    size_t i = 0;
    while (i < text.size) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte < 0x20 || byte == '"' || byte == '\\') {
            break;
        }
        i++;
    }
    return i;
}

/* Text without a byte to escape, as nearly all is: in one piece. */
static enum cairn_rc append_plain(struct cairn_slice text, struct cairn_buf *out)
{
    enum cairn_rc rc = cairn_buf_reserve(out, text.size + 2);
    if (rc != CAIRN_OK) {
        return rc;
    }
    char *at = out->data + out->size;
    *at = '"';
    if (text.size > 0) {
        memcpy(at + 1, text.data, text.size);
    }
    at[text.size + 1] = '"';
    out->size += text.size + 2;
    return CAIRN_OK;
}

static enum cairn_rc append_text(struct cairn_slice text, struct cairn_buf *out)
{
    if (plain_prefix(text) == text.size) {
        return append_plain(text, out);
    }
    enum cairn_rc rc = cairn_buf_append_byte(out, '"');
    while (rc == CAIRN_OK) {
        size_t plain = plain_prefix(text);
        rc = cairn_buf_append(out, cairn_slice_of(text.data, plain));
        if (rc != CAIRN_OK || plain == text.size) {
            break;
        }
        rc = append_escape(out, (unsigned char)text.data[plain]);
        text = cairn_slice_of(text.data + plain + 1, text.size - plain - 1);
    }
    return rc == CAIRN_OK ? cairn_buf_append_byte(out, '"') : rc;
}

enum cairn_rc cairn_json_write_string(struct cairn_slice text, struct cairn_buf *out)
{
    size_t before = out->size;
    enum cairn_rc rc = append_text(text, out);
    if (rc != CAIRN_OK) {
        cairn_buf_truncate(out, before);
    }
    return rc;
}

enum cairn_rc cairn_json_write_double(double number, struct cairn_buf *out)
{
    char text[CAIRN_JSON_DOUBLE_MAX];
    assert(isfinite(number));
    size_t size = cairn_json_print_double(number, text);
    return cairn_buf_append(out, cairn_slice_of(text, size));
}

static enum cairn_rc append_value(const struct cairn_value *value, int depth,
                                  struct cairn_buf *out);

static enum cairn_rc append_array(const struct cairn_value *array, int depth, struct cairn_buf *out)
{
    enum cairn_rc rc = cairn_buf_append_byte(out, '[');
    for (uint32_t i = 0; i < array->count && rc == CAIRN_OK; i++) {
        if (i > 0) {
            rc = cairn_buf_append_byte(out, ',');
        }
        if (rc == CAIRN_OK) {
            rc = append_value(&array->as.items[i], depth, out);
        }
    }
    return rc == CAIRN_OK ? cairn_buf_append_byte(out, ']') : rc;
}

static enum cairn_rc append_member(const struct cairn_member *member, int depth,
                                   struct cairn_buf *out)
{
    if (member->key.type != CAIRN_STRING) {
        return CAIRN_EINVAL;
    }
    enum cairn_rc rc = append_text(cairn_value_slice(&member->key), out);
    if (rc == CAIRN_OK) {
        rc = cairn_buf_append_byte(out, ':');
    }
    return rc == CAIRN_OK ? append_value(&member->value, depth, out) : rc;
}

static enum cairn_rc append_map(const struct cairn_value *map, int depth, struct cairn_buf *out)
{
    enum cairn_rc rc = cairn_buf_append_byte(out, '{');
    for (uint32_t i = 0; i < map->count && rc == CAIRN_OK; i++) {
        if (i > 0) {
            rc = cairn_buf_append_byte(out, ',');
        }
        if (rc == CAIRN_OK) {
            rc = append_member(&map->as.members[i], depth, out);
        }
    }
    return rc == CAIRN_OK ? cairn_buf_append_byte(out, '}') : rc;
}

/* depth: containers around value. */
static enum cairn_rc append_value(const struct cairn_value *value, int depth, struct cairn_buf *out)
{
    bool is_container = value->type == CAIRN_ARRAY || value->type == CAIRN_MAP;
    if (is_container && depth == CAIRN_VALUE_DEPTH_MAX) {
        return CAIRN_EINVAL;
    }
    switch (value->type) {
    case CAIRN_NULL:
        return cairn_buf_append(out, CAIRN_SLICE_LIT("null"));
    case CAIRN_BOOL:
        return cairn_buf_append_str(out, value->as.boolean ? "true" : "false");
    case CAIRN_INT:
        return cairn_buf_append_i64(out, value->as.integer);
    case CAIRN_UINT:
        return cairn_buf_append_u64(out, value->as.uint);
    case CAIRN_FLOAT:
        return isfinite(value->as.number) ? cairn_json_write_double(value->as.number, out)
                                          : CAIRN_EINVAL;
    case CAIRN_DECIMAL:
        return cairn_buf_append(out, cairn_value_slice(value));
    case CAIRN_STRING:
        return append_text(cairn_value_slice(value), out);
    case CAIRN_ARRAY:
        return append_array(value, depth + 1, out);
    case CAIRN_MAP:
        return append_map(value, depth + 1, out);
    case CAIRN_BIN:
    case CAIRN_EXT:
        break;
    }
    return CAIRN_EINVAL;
}

enum cairn_rc cairn_json_write(const struct cairn_value *value, struct cairn_buf *out)
{
    assert(value != NULL);
    size_t before = out->size;
    enum cairn_rc rc = append_value(value, 0, out);
    if (rc != CAIRN_OK) {
        cairn_buf_truncate(out, before);
    }
    return rc;
}
