#include "projector/lmdb/view_meta.h"

#include <assert.h>

#include "platform/mem.h"
#include "schemas/msgpack.h"

#define HEAD_FIXED_SIZE 32u
#define HEAD_ENTRY_SIZE 10u
#define HEAD_SIZE_MAX   (HEAD_FIXED_SIZE + CAIRN_PARTITIONS_MAX * HEAD_ENTRY_SIZE)
#define META_KEY_MAX    (16 + CAIRN_VIEW_NAME_BYTES_MAX)

static const char *const head_prefix[CAIRN_VIEW_SIDES] = {
    [CAIRN_SIDE_LIVE] = "head/", [CAIRN_SIDE_NEXT] = "next/", [CAIRN_SIDE_OLD] = "old/"};
static const char *const code_prefix[CAIRN_VIEW_SIDES] = {
    [CAIRN_SIDE_LIVE] = "code/", [CAIRN_SIDE_NEXT] = "next-code/", [CAIRN_SIDE_OLD] = "old-code/"};
static const char refused_prefix[] = "refused/";
static const char stop_prefix[] = "stop/";
static const char format_key[] = "format";

/* A row's key, built on the stack. */
struct meta_key {
    char bytes[META_KEY_MAX];
    size_t size;
};

static struct cairn_slice make_key(struct meta_key *key, const char *prefix,
                                   struct cairn_slice view)
{
    size_t size = strlen(prefix);
    assert(view.size > 0 && view.size <= CAIRN_VIEW_NAME_BYTES_MAX && size <= 16);
    memcpy(key->bytes, prefix, size);
    memcpy(key->bytes + size, view.data, view.size);
    key->size = size + view.size;
    return cairn_slice_of(key->bytes, key->size);
}

/* Little-endian numbers, byte by byte: a value in the map is not aligned. */
static void put_number(unsigned char *out, uint64_t number, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        out[i] = (unsigned char)(number >> (8 * i));
    }
}

static uint64_t get_number(const unsigned char *in, unsigned size)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < size; i++) {
        number |= (uint64_t)in[i] << (8 * i);
    }
    return number;
}

static size_t pack_head(const struct cairn_view_head *head, unsigned char out[HEAD_SIZE_MAX])
{
    unsigned count = 0;
    unsigned char *at = out + HEAD_FIXED_SIZE;
    for (unsigned i = 0; i < CAIRN_PARTITIONS_MAX; i++) {
        if (head->position.offsets[i] != 0) {
            put_number(at, i, 2);
            put_number(at + 2, head->position.offsets[i], 8);
            at += HEAD_ENTRY_SIZE;
            count++;
        }
    }
    out[0] = (unsigned char)head->state;
    out[1] = (unsigned char)head->slot;
    put_number(out + 2, count, 2);
    put_number(out + 4, head->parks, 4);
    put_number(out + 8, head->generation, 8);
    put_number(out + 16, head->events, 8);
    put_number(out + 24, head->all, 8);
    return HEAD_FIXED_SIZE + count * HEAD_ENTRY_SIZE;
}

static enum cairn_rc unpack_head(struct cairn_slice packed, struct cairn_view_head *ret_head,
                                 struct cairn_err *err)
{
    const unsigned char *in = (const unsigned char *)packed.data;
    if (packed.size < HEAD_FIXED_SIZE || in[0] > CAIRN_VIEW_STOPPED || in[1] >= CAIRN_VIEW_SLOTS ||
        packed.size != HEAD_FIXED_SIZE + get_number(in + 2, 2) * HEAD_ENTRY_SIZE) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "a head row of %zu bytes is malformed", packed.size);
    }
    struct cairn_view_head head = {.state = (enum cairn_view_state)in[0],
                                   .slot = in[1],
                                   .parks = (uint32_t)get_number(in + 4, 4),
                                   .generation = get_number(in + 8, 8),
                                   .events = get_number(in + 16, 8),
                                   .all = get_number(in + 24, 8)};
    for (const unsigned char *at = in + HEAD_FIXED_SIZE; at < in + packed.size;
         at += HEAD_ENTRY_SIZE) {
        uint64_t partition = get_number(at, 2);
        if (partition >= CAIRN_PARTITIONS_MAX) {
            return CAIRN_FAIL(err, CAIRN_ECORRUPT, "a head row names partition %u",
                              (unsigned)partition);
        }
        head.position.offsets[partition] = get_number(at + 2, 8);
    }
    *ret_head = head;
    return CAIRN_OK;
}

enum cairn_rc cairn_view_head_put(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                  enum cairn_view_side side, struct cairn_slice view,
                                  const struct cairn_view_head *head, struct cairn_err *err)
{
    assert(head->generation > 0 && head->slot < CAIRN_VIEW_SLOTS);
    struct meta_key key;
    unsigned char packed[HEAD_SIZE_MAX];
    size_t size = pack_head(head, packed);
    return cairn_kv_put(txn, meta, make_key(&key, head_prefix[side], view),
                        cairn_slice_of((const char *)packed, size), err);
}

enum cairn_rc cairn_view_head_get(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                  enum cairn_view_side side, struct cairn_slice view,
                                  struct cairn_view_head *ret_head, struct cairn_err *err)
{
    struct meta_key key;
    struct cairn_slice packed;
    enum cairn_rc rc =
        cairn_kv_get(txn, meta, make_key(&key, head_prefix[side], view), &packed, err);
    return rc == CAIRN_OK ? unpack_head(packed, ret_head, err) : rc;
}

/* A value, packed into a buffer of its own, as a row. */
static enum cairn_rc put_value(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                               struct cairn_slice key, const struct cairn_value *value,
                               struct cairn_err *err)
{
    struct cairn_buf packed = {.max = CAIRN_VIEW_CODE_BYTES_MAX};
    enum cairn_rc rc = cairn_msgpack_write(value, &packed);
    if (rc != CAIRN_OK) {
        rc = CAIRN_FAIL(err, rc, "pack the row %.*s", CAIRN_SLICE_ARG(key));
    } else {
        rc = cairn_kv_put(txn, meta, key, cairn_buf_slice(&packed), err);
    }
    cairn_buf_fini(&packed);
    return rc;
}

/* A row as a value; its strings lie in arena, not in the map. */
static enum cairn_rc get_value(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                               struct cairn_slice key, struct cairn_arena *arena,
                               struct cairn_value *ret_value, struct cairn_err *err)
{
    struct cairn_slice packed;
    enum cairn_rc rc = cairn_kv_get(txn, meta, key, &packed, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_slice copy;
    if (cairn_arena_copy(arena, packed, &copy) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "read the row %.*s", CAIRN_SLICE_ARG(key));
    }
    rc = cairn_msgpack_read(copy, CAIRN_MSGPACK_TRUSTED, arena, ret_value, NULL, err);
    if (rc == CAIRN_EMALFORMED || (rc == CAIRN_OK && ret_value->type != CAIRN_MAP)) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "the row %.*s is malformed", CAIRN_SLICE_ARG(key));
    }
    return rc;
}

static uint64_t get_uint(const struct cairn_value *map, const char *key)
{
    const struct cairn_value *value = cairn_value_at(map, key);
    if (value != NULL && value->type == CAIRN_UINT) {
        return value->as.uint;
    }
    return value != NULL && value->type == CAIRN_INT && value->as.integer > 0
               ? (uint64_t)value->as.integer
               : 0;
}

static enum cairn_rc code_value(const struct cairn_view_code *code, struct cairn_arena *arena,
                                struct cairn_value *ret_value)
{
    struct cairn_value_builder map = {.arena = arena};
    struct cairn_value_builder columns = {.arena = arena};
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; i < code->column_count && rc == CAIRN_OK; i++) {
        rc = cairn_value_push(&columns, cairn_value_string(code->columns[i].name));
    }
    if (rc == CAIRN_OK) {
        rc = cairn_value_add(&map, "hash", cairn_value_string(code->hash));
    }
    if (rc == CAIRN_OK) {
        rc = cairn_value_add(&map, "version", cairn_value_uint(code->version));
    }
    if (rc == CAIRN_OK) {
        rc = cairn_value_add(&map, "indexes", cairn_value_array(&columns));
    }
    if (rc == CAIRN_OK) {
        rc = cairn_value_add(&map, "script_name", cairn_value_string(code->script_name));
    }
    if (rc == CAIRN_OK) {
        rc = cairn_value_add(&map, "script", cairn_value_string(code->script));
    }
    *ret_value = cairn_value_map(&map);
    return rc;
}

enum cairn_rc cairn_view_code_put(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                  enum cairn_view_side side, struct cairn_slice view,
                                  const struct cairn_view_code *code, struct cairn_err *err)
{
    assert(code->column_count <= CAIRN_VIEW_INDEXES_MAX);
    struct cairn_arena arena = {.max = 64u * 1024u};
    struct cairn_value value;
    struct meta_key key;
    enum cairn_rc rc = code_value(code, &arena, &value);
    if (rc != CAIRN_OK) {
        rc = CAIRN_FAIL(err, rc, "write the definition of %.*s", CAIRN_SLICE_ARG(view));
    } else {
        rc = put_value(txn, meta, make_key(&key, code_prefix[side], view), &value, err);
    }
    cairn_arena_fini(&arena);
    return rc;
}

enum cairn_rc cairn_view_code_get(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                  enum cairn_view_side side, struct cairn_slice view,
                                  struct cairn_arena *arena, struct cairn_view_code *ret_code,
                                  struct cairn_err *err)
{
    struct meta_key key;
    struct cairn_value value;
    enum cairn_rc rc =
        get_value(txn, meta, make_key(&key, code_prefix[side], view), arena, &value, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    const struct cairn_value *indexes = cairn_value_at(&value, "indexes");
    if (indexes == NULL || indexes->type != CAIRN_ARRAY ||
        indexes->count > CAIRN_VIEW_INDEXES_MAX) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "the definition of %.*s has no list of indexes",
                          CAIRN_SLICE_ARG(view));
    }
    *ret_code =
        (struct cairn_view_code){.hash = cairn_value_get_string(&value, "hash"),
                                 .version = get_uint(&value, "version"),
                                 .script_name = cairn_value_get_string(&value, "script_name"),
                                 .script = cairn_value_get_string(&value, "script"),
                                 .column_count = indexes->count};
    for (uint32_t i = 0; i < indexes->count; i++) {
        if (indexes->as.items[i].type != CAIRN_STRING) {
            return CAIRN_FAIL(err, CAIRN_ECORRUPT, "index %u of %.*s has no name", i,
                              CAIRN_SLICE_ARG(view));
        }
        ret_code->columns[i].name = cairn_value_slice(&indexes->as.items[i]);
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_view_stop_put(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                  struct cairn_slice view, const struct cairn_view_stop *stop,
                                  struct cairn_err *err)
{
    struct cairn_member members[] = {
        {cairn_value_string(CAIRN_SLICE_LIT("error")), cairn_value_string(stop->error)},
        {cairn_value_string(CAIRN_SLICE_LIT("event")), cairn_value_string(stop->event)},
        {cairn_value_string(CAIRN_SLICE_LIT("partition")), cairn_value_uint(stop->partition)},
        {cairn_value_string(CAIRN_SLICE_LIT("offset")), cairn_value_uint(stop->offset)},
        {cairn_value_string(CAIRN_SLICE_LIT("build")), cairn_value_bool(stop->of_build)},
    };
    struct cairn_value value = {
        .type = CAIRN_MAP, .count = sizeof members / sizeof members[0], .as.members = members};
    struct meta_key key;
    return put_value(txn, meta, make_key(&key, stop_prefix, view), &value, err);
}

enum cairn_rc cairn_view_stop_get(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                  struct cairn_slice view, struct cairn_arena *arena,
                                  struct cairn_view_stop *ret_stop, struct cairn_err *err)
{
    struct meta_key key;
    struct cairn_value value;
    enum cairn_rc rc = get_value(txn, meta, make_key(&key, stop_prefix, view), arena, &value, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    const struct cairn_value *build = cairn_value_at(&value, "build");
    *ret_stop = (struct cairn_view_stop){.error = cairn_value_get_string(&value, "error"),
                                         .event = cairn_value_get_string(&value, "event"),
                                         .partition = (uint16_t)get_uint(&value, "partition"),
                                         .offset = get_uint(&value, "offset"),
                                         .of_build = build != NULL && build->type == CAIRN_BOOL &&
                                                     build->as.boolean};
    return CAIRN_OK;
}

enum cairn_rc cairn_view_stop_delete(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                     struct cairn_slice view, struct cairn_err *err)
{
    struct meta_key key;
    return cairn_kv_delete(txn, meta, make_key(&key, stop_prefix, view), err);
}

enum cairn_rc cairn_view_side_delete(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                     enum cairn_view_side side, struct cairn_slice view,
                                     struct cairn_err *err)
{
    struct meta_key key;
    enum cairn_rc rc = cairn_kv_delete(txn, meta, make_key(&key, head_prefix[side], view), err);
    if (rc == CAIRN_OK) {
        rc = cairn_kv_delete(txn, meta, make_key(&key, code_prefix[side], view), err);
    }
    return rc;
}

enum cairn_rc cairn_view_slot_named(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                    struct cairn_slice view, unsigned slot, bool *ret_named,
                                    struct cairn_err *err)
{
    bool named = false;
    for (int side = 0; side < CAIRN_VIEW_SIDES && !named; side++) {
        struct cairn_view_head head;
        enum cairn_rc rc =
            cairn_view_head_get(txn, meta, (enum cairn_view_side)side, view, &head, err);
        if (rc != CAIRN_OK && rc != CAIRN_ENOENT) {
            return rc;
        }
        named = rc == CAIRN_OK && head.slot == slot;
    }
    *ret_named = named;
    return CAIRN_OK;
}

enum cairn_rc cairn_view_slot_free(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                   struct cairn_slice view, unsigned *ret_slot,
                                   struct cairn_err *err)
{
    for (unsigned slot = 0; slot < CAIRN_VIEW_SLOTS; slot++) {
        bool named = false;
        enum cairn_rc rc = cairn_view_slot_named(txn, meta, view, slot, &named, err);
        if (rc != CAIRN_OK || !named) {
            *ret_slot = slot;
            return rc;
        }
    }
    return CAIRN_FAIL(err, CAIRN_ECORRUPT, "view %.*s has no free slot", CAIRN_SLICE_ARG(view));
}

enum cairn_rc cairn_view_refused_put(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                     struct cairn_slice view, struct cairn_slice hash,
                                     struct cairn_err *err)
{
    struct meta_key key;
    struct cairn_slice row = make_key(&key, refused_prefix, view);
    return hash.size == 0 ? cairn_kv_delete(txn, meta, row, err)
                          : cairn_kv_put(txn, meta, row, hash, err);
}

enum cairn_rc cairn_view_refused_is(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                    struct cairn_slice view, struct cairn_slice hash,
                                    bool *ret_refused, struct cairn_err *err)
{
    struct meta_key key;
    struct cairn_slice refused;
    enum cairn_rc rc = cairn_kv_get(txn, meta, make_key(&key, refused_prefix, view), &refused, err);
    if (rc != CAIRN_OK && rc != CAIRN_ENOENT) {
        return rc;
    }
    *ret_refused = rc == CAIRN_OK && cairn_slice_equal(refused, hash);
    return CAIRN_OK;
}

enum cairn_rc cairn_view_meta_delete(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                     struct cairn_slice view, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    for (int side = 0; side < CAIRN_VIEW_SIDES && rc == CAIRN_OK; side++) {
        rc = cairn_view_side_delete(txn, meta, (enum cairn_view_side)side, view, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_view_refused_put(txn, meta, view, CAIRN_SLICE_NONE, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_view_stop_delete(txn, meta, view, err);
    }
    return rc;
}

/* The names behind "head/", copied; at most max of them. */
static enum cairn_rc walk_names(struct cairn_kv_cursor *cursor, struct cairn_arena *arena,
                                struct cairn_slice *names, size_t max, size_t *ret_count,
                                struct cairn_err *err)
{
    struct cairn_slice prefix = cairn_slice_str(head_prefix[CAIRN_SIDE_LIVE]);
    struct cairn_slice key;
    struct cairn_slice value;
    size_t count = 0;
    enum cairn_rc rc = cairn_kv_seek(cursor, CAIRN_KV_AT_OR_AFTER, prefix, &key, &value, err);
    while (rc == CAIRN_OK && cairn_slice_starts(key, prefix) && count < max) {
        struct cairn_slice name = cairn_slice_of(key.data + prefix.size, key.size - prefix.size);
        if (cairn_arena_copy(arena, name, &names[count]) != CAIRN_OK) {
            return CAIRN_FAIL(err, CAIRN_ENOMEM, "list the views");
        }
        count++;
        rc = cairn_kv_seek(cursor, CAIRN_KV_NEXT, CAIRN_SLICE_NONE, &key, &value, err);
    }
    if (rc != CAIRN_OK && rc != CAIRN_ENOENT) {
        return rc;
    }
    *ret_count = count;
    return CAIRN_OK;
}

enum cairn_rc cairn_view_meta_names(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                    struct cairn_arena *arena, struct cairn_slice **ret_names,
                                    size_t *ret_count, struct cairn_err *err)
{
    const size_t max = CAIRN_KV_TABLES_MAX / (2 * CAIRN_VIEW_SLOTS);
    struct cairn_slice *names = cairn_arena_zalloc(arena, max, sizeof *names);
    if (names == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "list the views");
    }
    struct cairn_kv_cursor *cursor = NULL;
    enum cairn_rc rc = cairn_kv_cursor_open(txn, meta, &cursor, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = walk_names(cursor, arena, names, max, ret_count, err);
    cairn_kv_cursor_close(cursor);
    if (rc == CAIRN_OK) {
        *ret_names = names;
    }
    return rc;
}

enum cairn_rc cairn_view_format_put(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                    struct cairn_err *err)
{
    unsigned char packed[4];
    put_number(packed, CAIRN_VIEW_FORMAT, 4);
    return cairn_kv_put(txn, meta, CAIRN_SLICE_LIT(format_key),
                        cairn_slice_of((const char *)packed, sizeof packed), err);
}

enum cairn_rc cairn_view_format_check(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                      bool *ret_older, struct cairn_err *err)
{
    struct cairn_slice packed;
    enum cairn_rc rc = cairn_kv_get(txn, meta, CAIRN_SLICE_LIT(format_key), &packed, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    uint64_t format = packed.size == 4 ? get_number((const unsigned char *)packed.data, 4) : 0;
    if (format < CAIRN_VIEW_FORMAT_OLDEST || format > CAIRN_VIEW_FORMAT) {
        return CAIRN_FAIL(err, CAIRN_EUNSUPPORTED,
                          "the view store has format %llu, this program knows %u: delete the "
                          "folder, it is rebuilt from the log",
                          (unsigned long long)format, CAIRN_VIEW_FORMAT);
    }
    *ret_older = format < CAIRN_VIEW_FORMAT;
    return CAIRN_OK;
}

void cairn_view_hash_text(const unsigned char hash[16], char out[33])
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < 16; i++) {
        out[2 * i] = digits[hash[i] >> 4];
        out[2 * i + 1] = digits[hash[i] & 15];
    }
    out[32] = 0;
}
