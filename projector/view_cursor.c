#include "projector/view_cursor.h"

#include <assert.h>

#include "platform/hash.h"
#include "platform/seal.h"

static bool ordered_by_key(const struct cairn_view_query *query)
{
    return query->order.size == 0 || cairn_slice_is(query->order, "key");
}

/* What a cursor is a cursor of: the view and the order of its rows. */
static uint64_t identity(const struct cairn_view_query *query)
{
    const uint64_t parts[] = {
        cairn_hash64(query->view),
        ordered_by_key(query) ? 0 : cairn_hash64(query->order),
        query->descending,
    };
    return cairn_hash64(cairn_slice_of((const char *)parts, sizeof parts));
}

enum cairn_rc cairn_view_cursor_seal(const struct cairn_view_query *query,
                                     struct cairn_slice payload, struct cairn_arena *arena,
                                     struct cairn_slice *ret_text)
{
    return cairn_seal_write(identity(query), payload, arena, ret_text);
}

static enum cairn_rc refuse(struct cairn_err *err)
{
    return CAIRN_FAIL(err, CAIRN_EQUERY, "the cursor is no cursor of this query");
}

enum cairn_rc cairn_view_cursor_open(const struct cairn_view_query *query,
                                     struct cairn_arena *arena, struct cairn_slice *ret_payload,
                                     struct cairn_err *err)
{
    assert(query->cursor.size > 0);
    enum cairn_rc rc = cairn_seal_read(identity(query), query->cursor, arena, ret_payload);
    if (rc == CAIRN_EMALFORMED) {
        return refuse(err);
    }
    return rc == CAIRN_OK ? CAIRN_OK : CAIRN_FAIL(err, rc, "read the cursor");
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
