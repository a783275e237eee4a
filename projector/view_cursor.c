#include "projector/view_cursor.h"

#include <assert.h>

#include "platform/hash.h"

#define CHECK_SIZE 8

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static bool ordered_by_key(const struct cairn_view_query *query)
{
    return query->order.size == 0 || cairn_slice_is(query->order, "key");
}

static uint64_t check_of(const struct cairn_view_query *query, const unsigned char *payload,
                         size_t size)
{
    const uint64_t parts[] = {
        cairn_hash64(query->view),
        ordered_by_key(query) ? 0 : cairn_hash64(query->order),
        query->descending,
        cairn_hash64(cairn_slice_of((const char *)payload, size)),
    };
    return cairn_hash64(cairn_slice_of((const char *)parts, sizeof parts));
}

/* Base64url without padding; out holds (size * 4 + 2) / 3 characters. */
static size_t encode(const unsigned char *bytes, size_t size, char *out)
{
    size_t used = 0;
    unsigned bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < size; i++) {
        bits = bits << 8 | bytes[i];
        held += 8;
        while (held >= 6) {
            held -= 6;
            out[used++] = alphabet[bits >> held & 63];
        }
    }
    if (held > 0) {
        out[used++] = alphabet[bits << (6 - held) & 63];
    }
    return used;
}

/* The bytes of text, into out, which has room for as many as text has characters; false when a
 * character is foreign or bits are left over, so that one place has one text. */
static bool decode(struct cairn_slice text, unsigned char *out, size_t *ret_size)
{
    size_t used = 0;
    unsigned bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < text.size; i++) {
        const char *at = text.data[i] == 0 ? NULL : strchr(alphabet, text.data[i]);
        if (at == NULL) {
            return false;
        }
        bits = bits << 6 | (unsigned)(at - alphabet);
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[used++] = (unsigned char)(bits >> held);
        }
    }
    *ret_size = used;
    return held < 6 && (bits & ((1u << held) - 1)) == 0;
}

enum cairn_rc cairn_view_cursor_seal(const struct cairn_view_query *query,
                                     struct cairn_slice payload, struct cairn_arena *arena,
                                     struct cairn_slice *ret_text)
{
    size_t size = CHECK_SIZE + payload.size;
    assert(payload.size > 0 && payload.size <= CAIRN_VIEW_PAYLOAD_MAX);
    unsigned char *bytes = cairn_arena_alloc(arena, size);
    char *text = cairn_arena_alloc(arena, (size * 4 + 2) / 3);
    if (bytes == NULL || text == NULL) {
        return CAIRN_ENOMEM;
    }
    memcpy(bytes + CHECK_SIZE, payload.data, payload.size);
    uint64_t check = check_of(query, bytes + CHECK_SIZE, payload.size);
    for (unsigned i = 0; i < CHECK_SIZE; i++) {
        bytes[i] = (unsigned char)(check >> (8 * i));
    }
    *ret_text = cairn_slice_of(text, encode(bytes, size, text));
    return CAIRN_OK;
}

/* Is the check that of the bytes behind it? */
static bool check_holds(const struct cairn_view_query *query, const unsigned char *bytes,
                        size_t size)
{
    uint64_t check = 0;
    for (unsigned i = 0; i < CHECK_SIZE && i < size; i++) {
        check |= (uint64_t)bytes[i] << (8 * i);
    }
    return size > CHECK_SIZE && check == check_of(query, bytes + CHECK_SIZE, size - CHECK_SIZE);
}

static enum cairn_rc refuse(struct cairn_err *err)
{
    return CAIRN_FAIL(err, CAIRN_EQUERY, "the cursor is no cursor of this query");
}

enum cairn_rc cairn_view_cursor_open(const struct cairn_view_query *query,
                                     struct cairn_arena *arena, struct cairn_slice *ret_payload,
                                     struct cairn_err *err)
{
    size_t size = 0;
    assert(query->cursor.size > 0);
    if (query->cursor.size > (CHECK_SIZE + CAIRN_VIEW_PAYLOAD_MAX) * 4 / 3 + 1) {
        return refuse(err);
    }
    unsigned char *bytes = cairn_arena_alloc(arena, query->cursor.size);
    if (bytes == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "read the cursor");
    }
    if (!decode(query->cursor, bytes, &size) || !check_holds(query, bytes, size)) {
        return refuse(err);
    }
    *ret_payload = cairn_slice_of((const char *)bytes + CHECK_SIZE, size - CHECK_SIZE);
    return CAIRN_OK;
}

enum cairn_rc cairn_view_cursor_write(const struct cairn_view_query *query,
                                      const struct cairn_view_place *place,
                                      struct cairn_arena *arena, struct cairn_slice *ret_text)
{
    char payload[CAIRN_VIEW_PLACE_BYTES_MAX];
    assert(place->key.size > 0 && place->key.size <= CAIRN_VIEW_KEY_BYTES_MAX);
    assert(place->form.size <= CAIRN_VIEW_FORM_MAX);
    payload[0] = (char)place->form.size;
    size_t size = 1;
    if (place->form.size > 0) {
        memcpy(payload + size, place->form.data, place->form.size);
        size += place->form.size;
    }
    memcpy(payload + size, place->key.data, place->key.size);
    size += place->key.size;
    return cairn_view_cursor_seal(query, cairn_slice_of(payload, size), arena, ret_text);
}

/* Take a payload apart; false when it is no place of this query. */
static bool split(const struct cairn_view_query *query, struct cairn_slice payload,
                  struct cairn_view_place *place)
{
    size_t form_size = (unsigned char)payload.data[0];
    if (form_size >= payload.size - 1 || ordered_by_key(query) != (form_size == 0) ||
        payload.size - 1 - form_size > CAIRN_VIEW_KEY_BYTES_MAX) {
        return false;
    }
    place->form = cairn_slice_of(payload.data + 1, form_size);
    place->key = cairn_slice_of(payload.data + 1 + form_size, payload.size - 1 - form_size);
    return form_size == 0 || cairn_view_form_size(place->form) == form_size;
}

enum cairn_rc cairn_view_cursor_read(const struct cairn_view_query *query,
                                     struct cairn_arena *arena, struct cairn_view_place *ret_place,
                                     struct cairn_err *err)
{
    struct cairn_slice payload;
    struct cairn_view_place place;
    enum cairn_rc rc = cairn_view_cursor_open(query, arena, &payload, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (!split(query, payload, &place)) {
        return refuse(err);
    }
    *ret_place = place;
    return CAIRN_OK;
}
