#include "projector/sql/spelling.h"

static bool is_uuid(struct cairn_slice text)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    bool is = text.size == sizeof(form) - 1;
    for (size_t i = 0; is && i < text.size; i++) {
        char c = text.data[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        is = form[i] == 'x' ? hex : c == '-';
    }
    return is;
}

bool cairn_sql_spell(enum cairn_sql_key_type type, struct cairn_slice text, int64_t *number,
                     struct cairn_slice *ret_bytes)
{
    bool known = text.data != NULL;
    *ret_bytes = text;
    if (known && type == CAIRN_SQL_KEY_INTEGER) {
        known = cairn_slice_to_i64(text, number) == CAIRN_OK;
        *ret_bytes = cairn_slice_of((const char *)number, sizeof(*number));
    } else if (known && type == CAIRN_SQL_KEY_UUID) {
        known = is_uuid(text);
    }
    return known;
}
