#include "projector/lmdb/build_digest.h"

#include <assert.h>

#include "platform/hash.h"

/* Both are hashed apart, so that no byte can move from a key into its row unnoticed. */
static uint64_t row_hash(struct cairn_slice key, struct cairn_slice packed)
{
    const uint64_t parts[] = {cairn_hash64(key), cairn_hash64(packed)};
    return cairn_hash64(cairn_slice_of((const char *)parts, sizeof parts));
}

enum cairn_rc cairn_build_digest(struct cairn_kv_txn *txn, cairn_kv_table_id rows,
                                 struct cairn_view_digest *ret_digest, struct cairn_err *err)
{
    assert(txn != NULL && ret_digest != NULL);
    struct cairn_view_digest digest = {.rows = 0};
    struct cairn_kv_cursor *cursor = NULL;
    struct cairn_slice key;
    struct cairn_slice packed;
    enum cairn_rc rc = cairn_kv_cursor_open(txn, rows, &cursor, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_kv_seek(cursor, CAIRN_KV_FIRST, CAIRN_SLICE_NONE, &key, &packed, err);
    while (rc == CAIRN_OK) {
        digest.rows++;
        digest.sum += row_hash(key, packed);
        rc = cairn_kv_seek(cursor, CAIRN_KV_NEXT, CAIRN_SLICE_NONE, &key, &packed, err);
    }
    cairn_kv_cursor_close(cursor);
    if (rc != CAIRN_ENOENT) {
        return rc;
    }
    *ret_digest = digest;
    return CAIRN_OK;
}

static enum cairn_rc add_parked(void *self, const struct cairn_parked *parked,
                                struct cairn_err *err)
{
    struct cairn_view_digest *digest = self;
    const uint64_t parts[] = {cairn_hash64(parked->stream), parked->version, parked->until_version};
    (void)err;
    digest->rows++;
    digest->sum += cairn_hash64(cairn_slice_of((const char *)parts, sizeof parts));
    return CAIRN_OK;
}

enum cairn_rc cairn_build_digest_parked(struct cairn_kv_txn *txn,
                                        const struct cairn_parked_place *place,
                                        struct cairn_view_digest *ret_digest, struct cairn_err *err)
{
    struct cairn_view_digest digest = {.rows = 0};
    enum cairn_rc rc =
        cairn_view_parked_each(txn, place, CAIRN_SLICE_NONE, add_parked, &digest, err);
    if (rc == CAIRN_OK) {
        *ret_digest = digest;
    }
    return rc;
}
