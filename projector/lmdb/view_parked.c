#include "projector/lmdb/view_parked.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "eventstore/le.h"

/* A row's value: until_version (8), offset (8), when (8), partition (2), id (36), error. */
#define AT_OFFSET    8u
#define AT_TIME      16u
#define AT_PARTITION 24u
#define AT_EVENT     26u
#define AT_ERROR     (AT_EVENT + CAIRN_UUID_TEXT_SIZE)
#define VALUE_MAX    (AT_ERROR + CAIRN_ERR_TEXT_MAX)

/* The version in a key: as many digits as the largest has, so that keys sort as versions do. */
#define VERSION_DIGITS 20
#define KEY_MAX                                                                                    \
    (sizeof "parked///0/" + CAIRN_VIEW_NAME_BYTES_MAX + CAIRN_STREAM_BYTES_MAX + VERSION_DIGITS)

static_assert(KEY_MAX <= CAIRN_KV_KEY_MAX, "every row has a key");

/* What keys of a generation, or of one of its streams, begin with. */
struct key {
    char bytes[KEY_MAX];
    size_t size;
};

static struct cairn_slice make_prefix(struct key *key, const struct cairn_parked_place *place,
                                      struct cairn_slice stream)
{
    assert(place->view.size > 0 && place->view.size <= CAIRN_VIEW_NAME_BYTES_MAX);
    assert(stream.size <= CAIRN_STREAM_BYTES_MAX);
    int size = snprintf(key->bytes, sizeof key->bytes, "parked/%.*s/%u/%.*s%s",
                        CAIRN_SLICE_ARG(place->view), place->slot, CAIRN_SLICE_ARG(stream),
                        stream.size > 0 ? "/" : "");
    assert(size > 0 && (size_t)size < sizeof key->bytes);
    key->size = (size_t)size;
    return cairn_slice_of(key->bytes, key->size);
}

static struct cairn_slice make_key(struct key *key, const struct cairn_parked_place *place,
                                   struct cairn_slice stream, uint64_t version)
{
    assert(stream.size > 0 && version > 0);
    (void)make_prefix(key, place, stream);
    int size = snprintf(key->bytes + key->size, sizeof key->bytes - key->size, "%0*" PRIu64,
                        VERSION_DIGITS, version);
    assert(size == VERSION_DIGITS);
    key->size += (size_t)size;
    return cairn_slice_of(key->bytes, key->size);
}

/* ---- Rows -------------------------------------------------------------------------------------
 */

enum cairn_rc cairn_view_parked_put(struct cairn_kv_txn *txn,
                                    const struct cairn_parked_place *place,
                                    const struct cairn_parked *parked, struct cairn_err *err)
{
    assert(parked->event.size == CAIRN_UUID_TEXT_SIZE);
    struct key key;
    char value[VALUE_MAX];
    size_t error_size =
        parked->error.size < CAIRN_ERR_TEXT_MAX ? parked->error.size : CAIRN_ERR_TEXT_MAX;
    cairn_put_u64(value, parked->until_version);
    cairn_put_u64(value + AT_OFFSET, parked->offset);
    cairn_put_u64(value + AT_TIME, (uint64_t)parked->parked_us);
    cairn_put_u16(value + AT_PARTITION, parked->partition);
    memcpy(value + AT_EVENT, parked->event.data, CAIRN_UUID_TEXT_SIZE);
    memcpy(value + AT_ERROR, parked->error.data, error_size);
    return cairn_kv_put(txn, place->meta, make_key(&key, place, parked->stream, parked->version),
                        cairn_slice_of(value, AT_ERROR + error_size), err);
}

enum cairn_rc cairn_view_parked_delete(struct cairn_kv_txn *txn,
                                       const struct cairn_parked_place *place,
                                       struct cairn_slice stream, uint64_t version,
                                       struct cairn_err *err)
{
    struct key key;
    return cairn_kv_delete(txn, place->meta, make_key(&key, place, stream, version), err);
}

/* `STREAM/VERSION` and a value as a row. false: malformed. */
static bool unpack(struct cairn_slice name, struct cairn_slice value,
                   struct cairn_parked *ret_parked)
{
    if (name.size < VERSION_DIGITS + 2 || value.size < AT_ERROR ||
        name.data[name.size - VERSION_DIGITS - 1] != '/') {
        return false;
    }
    uint64_t version = 0;
    for (const char *at = name.data + name.size - VERSION_DIGITS; at < name.data + name.size;
         at++) {
        if (*at < '0' || *at > '9') {
            return false;
        }
        version = version * 10 + (uint64_t)(*at - '0');
    }
    *ret_parked = (struct cairn_parked){
        .stream = cairn_slice_of(name.data, name.size - VERSION_DIGITS - 1),
        .version = version,
        .until_version = cairn_get_u64(value.data),
        .offset = cairn_get_u64(value.data + AT_OFFSET),
        .parked_us = (int64_t)cairn_get_u64(value.data + AT_TIME),
        .partition = cairn_get_u16(value.data + AT_PARTITION),
        .event = cairn_slice_of(value.data + AT_EVENT, CAIRN_UUID_TEXT_SIZE),
        .error = cairn_slice_of(value.data + AT_ERROR, value.size - AT_ERROR)};
    return version > 0 && (ret_parked->until_version == 0 || ret_parked->until_version >= version);
}

/* ---- Walks ------------------------------------------------------------------------------------
 */

enum cairn_rc cairn_view_parked_each(struct cairn_kv_txn *txn,
                                     const struct cairn_parked_place *place,
                                     struct cairn_slice stream, cairn_view_parked_fn *fn,
                                     void *self, struct cairn_err *err)
{
    struct key buffer;
    struct cairn_slice prefix = make_prefix(&buffer, place, stream);
    size_t place_size = stream.size > 0 ? prefix.size - stream.size - 1 : prefix.size;
    struct cairn_kv_cursor *cursor = NULL;
    struct cairn_slice key;
    struct cairn_slice value;
    enum cairn_rc rc = cairn_kv_cursor_open(txn, place->meta, &cursor, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_kv_seek(cursor, CAIRN_KV_AT_OR_AFTER, prefix, &key, &value, err);
    while (rc == CAIRN_OK && cairn_slice_starts(key, prefix)) {
        struct cairn_parked parked;
        if (!unpack(cairn_slice_of(key.data + place_size, key.size - place_size), value, &parked)) {
            rc = CAIRN_FAIL(err, CAIRN_ECORRUPT, "the row %.*s is malformed", CAIRN_SLICE_ARG(key));
            break;
        }
        rc = fn(self, &parked, err);
        if (rc == CAIRN_OK) {
            rc = cairn_kv_seek(cursor, CAIRN_KV_NEXT, CAIRN_SLICE_NONE, &key, &value, err);
        }
    }
    cairn_kv_cursor_close(cursor);
    return rc == CAIRN_ENOENT ? CAIRN_OK : rc;
}

static enum cairn_rc add_to_set(void *self, const struct cairn_parked *parked,
                                struct cairn_err *err)
{
    return cairn_parked_put(self, parked->stream, parked->version, parked->until_version, err);
}

enum cairn_rc cairn_view_parked_load(struct cairn_kv_txn *txn,
                                     const struct cairn_parked_place *place,
                                     struct cairn_parked_set *set, struct cairn_err *err)
{
    assert(set->ranges == 0);
    return cairn_view_parked_each(txn, place, CAIRN_SLICE_NONE, add_to_set, set, err);
}

static enum cairn_rc count_waiting(void *self, const struct cairn_parked *parked,
                                   struct cairn_err *err)
{
    uint64_t *waiting = self;
    (void)err;
    *waiting += parked->until_version == 0;
    return CAIRN_OK;
}

enum cairn_rc cairn_view_parked_count(struct cairn_kv_txn *txn,
                                      const struct cairn_parked_place *place, uint64_t *ret_waiting,
                                      struct cairn_err *err)
{
    uint64_t waiting = 0;
    enum cairn_rc rc =
        cairn_view_parked_each(txn, place, CAIRN_SLICE_NONE, count_waiting, &waiting, err);
    if (rc == CAIRN_OK) {
        *ret_waiting = waiting;
    }
    return rc;
}

/* The one that waits of those that are walked. */
struct search {
    struct cairn_arena *arena;
    struct cairn_parked found;
};

static enum cairn_rc take_waiting(void *self, const struct cairn_parked *parked,
                                  struct cairn_err *err)
{
    struct search *search = self;
    return parked->until_version == 0
               ? cairn_parked_copy(parked, search->arena, &search->found, err)
               : CAIRN_OK;
}

enum cairn_rc cairn_view_parked_get(struct cairn_kv_txn *txn,
                                    const struct cairn_parked_place *place,
                                    struct cairn_slice stream, struct cairn_arena *arena,
                                    struct cairn_parked *ret_parked, struct cairn_err *err)
{
    struct search search = {.arena = arena};
    if (stream.size == 0 || stream.size > CAIRN_STREAM_BYTES_MAX) {
        return CAIRN_ENOENT;
    }
    enum cairn_rc rc = cairn_view_parked_each(txn, place, stream, take_waiting, &search, err);
    if (rc == CAIRN_OK && search.found.version == 0) {
        return CAIRN_ENOENT;
    }
    if (rc == CAIRN_OK) {
        *ret_parked = search.found;
    }
    return rc;
}

enum cairn_rc cairn_parked_copy(const struct cairn_parked *parked, struct cairn_arena *arena,
                                struct cairn_parked *ret_copy, struct cairn_err *err)
{
    struct cairn_parked copy = *parked;
    if (cairn_arena_copy(arena, parked->stream, &copy.stream) != CAIRN_OK ||
        cairn_arena_copy(arena, parked->event, &copy.event) != CAIRN_OK ||
        cairn_arena_copy(arena, parked->error, &copy.error) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "read what is parked");
    }
    *ret_copy = copy;
    return CAIRN_OK;
}

/* The first key of the place, copied: *ret_key is empty where there is none. */
static enum cairn_rc first_key(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                               struct cairn_slice prefix, struct key *ret_key,
                               struct cairn_err *err)
{
    struct cairn_kv_cursor *cursor = NULL;
    struct cairn_slice key;
    struct cairn_slice value;
    enum cairn_rc rc = cairn_kv_cursor_open(txn, meta, &cursor, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    ret_key->size = 0;
    rc = cairn_kv_seek(cursor, CAIRN_KV_AT_OR_AFTER, prefix, &key, &value, err);
    if (rc == CAIRN_OK && cairn_slice_starts(key, prefix) && key.size <= sizeof ret_key->bytes) {
        memcpy(ret_key->bytes, key.data, key.size);
        ret_key->size = key.size;
    }
    cairn_kv_cursor_close(cursor);
    return rc == CAIRN_ENOENT ? CAIRN_OK : rc;
}

enum cairn_rc cairn_view_parked_clear(struct cairn_kv_txn *txn,
                                      const struct cairn_parked_place *place, struct cairn_err *err)
{
    struct key buffer;
    struct key key;
    struct cairn_slice prefix = make_prefix(&buffer, place, CAIRN_SLICE_NONE);
    enum cairn_rc rc = first_key(txn, place->meta, prefix, &key, err);
    while (rc == CAIRN_OK && key.size > 0) {
        rc = cairn_kv_delete(txn, place->meta, cairn_slice_of(key.bytes, key.size), err);
        if (rc == CAIRN_OK) {
            rc = first_key(txn, place->meta, prefix, &key, err);
        }
    }
    return rc;
}
