/* Look-ups: memory first, then the file; what leaves memory is in the file by then. */
#include <assert.h>

#include "eventstore/index_int.h"
#include "platform/mem.h"

/* The newest version in memory, 0 without one. Called with the lock held. */
static uint64_t tail_head(const struct cairn_index *index, struct cairn_slice stream)
{
    for (size_t i = index->generation_count; i-- > 0;) {
        const struct cairn_tail_row *row = cairn_tail_newest(&index->generations[i]->tail, stream);
        if (row != NULL) {
            return row->first_version + row->count - 1;
        }
    }
    return 0;
}

enum cairn_rc cairn_index_head(struct cairn_index *index, struct cairn_slice stream,
                               uint64_t *ret_version, struct cairn_err *err)
{
    (void)pthread_rwlock_rdlock(&index->lock);
    uint64_t version = tail_head(index, stream);
    (void)pthread_rwlock_unlock(&index->lock);
    if (version > 0) {
        *ret_version = version;
        return CAIRN_OK;
    }
    /* Memory first: what leaves it is in the file by then. */
    (void)pthread_rwlock_rdlock(&index->kv_lock);
    enum cairn_rc rc = cairn_index_file_head(index, stream, ret_version, err);
    (void)pthread_rwlock_unlock(&index->kv_lock);
    return rc;
}

enum cairn_rc cairn_index_heads(struct cairn_index *index, struct cairn_index_head *heads,
                                size_t count, struct cairn_err *err)
{
    size_t missing = 0;
    (void)pthread_rwlock_rdlock(&index->lock);
    for (size_t i = 0; i < count; i++) {
        heads[i].version = tail_head(index, heads[i].stream);
        missing += heads[i].version == 0 ? 1 : 0;
    }
    (void)pthread_rwlock_unlock(&index->lock);
    if (missing == 0) {
        return CAIRN_OK;
    }
    (void)pthread_rwlock_rdlock(&index->kv_lock);
    enum cairn_rc rc = cairn_index_file_heads(index, heads, count, err);
    (void)pthread_rwlock_unlock(&index->kv_lock);
    return rc;
}

static struct cairn_index_row row_of(const struct cairn_tail_row *row)
{
    return (struct cairn_index_row){row->first_version, row->locator, row->count};
}

/* Rows in memory from `version` up. *ret_lowest: the first version that memory holds of the stream,
 * 0 without one. Called with the lock held. */
static size_t tail_forward(const struct cairn_index *index, struct cairn_slice stream,
                           uint64_t version, struct cairn_index_row *rows, size_t max,
                           uint64_t *ret_lowest)
{
    size_t count = 0;
    *ret_lowest = 0;
    for (size_t i = 0; i < index->generation_count; i++) {
        const struct cairn_tail *tail = &index->generations[i]->tail;
        const struct cairn_tail_row *newest = cairn_tail_newest(tail, stream);
        if (newest == NULL) {
            continue;
        }
        if (*ret_lowest == 0) {
            *ret_lowest = cairn_tail_at_depth(tail, newest, 0)->first_version;
        }
        if (newest->first_version + newest->count <= version) {
            continue;
        }
        const struct cairn_tail_row *start = cairn_tail_find(tail, newest, version);
        uint32_t depth = start == NULL ? 0 : start->depth;
        for (; depth <= newest->depth && count < max; depth++) {
            rows[count++] = row_of(cairn_tail_at_depth(tail, newest, depth));
        }
    }
    return count;
}

static size_t tail_backward(const struct cairn_index *index, struct cairn_slice stream,
                            uint64_t version, struct cairn_index_row *rows, size_t max)
{
    size_t count = 0;
    for (size_t i = index->generation_count; i-- > 0;) {
        const struct cairn_tail *tail = &index->generations[i]->tail;
        const struct cairn_tail_row *row =
            cairn_tail_find(tail, cairn_tail_newest(tail, stream), version);
        for (; row != NULL && count < max; row = cairn_tail_previous(tail, row)) {
            rows[count++] = row_of(row);
        }
    }
    return count;
}

/* Rows of the file belong in front of what memory gave. */
static enum cairn_rc put_in_front(struct cairn_index *index, struct cairn_slice stream,
                                  uint64_t version, uint64_t lowest, struct cairn_index_row *rows,
                                  size_t max, size_t *count, struct cairn_err *err)
{
    size_t found = 0;
    struct cairn_index_row *older = cairn_mem_alloc(max * sizeof(*older));
    if (older == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "look into the index");
    }
    enum cairn_rc rc = cairn_index_file_rows(index, stream, version, CAIRN_FORWARD, lowest, older,
                                             max, &found, err);
    if (rc == CAIRN_OK) {
        size_t keep = *count < max - found ? *count : max - found;
        memmove(rows + found, rows, keep * sizeof(*rows));
        memcpy(rows, older, found * sizeof(*rows));
        *count = found + keep;
    }
    cairn_mem_free(older);
    return rc;
}

enum cairn_rc cairn_index_rows(struct cairn_index *index, struct cairn_slice stream,
                               uint64_t version, enum cairn_direction direction,
                               struct cairn_index_row *rows, size_t max, size_t *ret_count,
                               struct cairn_err *err)
{
    assert(max > 0 && version > 0);
    uint64_t lowest = 0;
    (void)pthread_rwlock_rdlock(&index->lock);
    size_t count = direction == CAIRN_FORWARD
                       ? tail_forward(index, stream, version, rows, max, &lowest)
                       : tail_backward(index, stream, version, rows, max);
    (void)pthread_rwlock_unlock(&index->lock);
    enum cairn_rc rc = CAIRN_OK;
    (void)pthread_rwlock_rdlock(&index->kv_lock);
    if (direction == CAIRN_FORWARD) {
        if (lowest == 0 || version < lowest) {
            rc = put_in_front(index, stream, version, lowest, rows, max, &count, err);
        }
    } else if (count < max && (count == 0 || rows[count - 1].first_version > 1)) {
        size_t found = 0;
        uint64_t from = count == 0 ? version : rows[count - 1].first_version - 1;
        rc = cairn_index_file_rows(index, stream, from, CAIRN_BACKWARD, 0, rows + count,
                                   max - count, &found, err);
        count += found;
    }
    (void)pthread_rwlock_unlock(&index->kv_lock);
    if (rc == CAIRN_OK) {
        *ret_count = count;
    }
    return rc;
}

enum cairn_rc cairn_index_receipt(struct cairn_index *index, struct cairn_slice key,
                                  uint16_t preferred, uint16_t *ret_partition,
                                  uint64_t *ret_locator, struct cairn_err *err)
{
    struct cairn_tail_receipt found = {.size = 0}; /* without a key: none */
    if (key.size == 0 || key.size > CAIRN_KEY_BYTES_MAX) {
        return CAIRN_ENOENT;
    }
    (void)pthread_rwlock_rdlock(&index->lock);
    for (size_t i = index->generation_count; i-- > 0;) {
        const struct cairn_tail_receipt *receipt =
            cairn_tail_receipt(&index->generations[i]->tail, key, preferred);
        bool better = receipt != NULL && (found.size == 0 || receipt->partition == preferred);
        found = better ? *receipt : found;
        if (better && found.partition == preferred) {
            break;
        }
    }
    (void)pthread_rwlock_unlock(&index->lock);
    enum cairn_rc rc = CAIRN_ENOENT;
    if (found.size == 0 || found.partition != preferred) {
        (void)pthread_rwlock_rdlock(&index->kv_lock);
        rc = cairn_index_file_receipt(index, key, preferred, ret_partition, ret_locator, err);
        (void)pthread_rwlock_unlock(&index->kv_lock);
    }
    if (rc == CAIRN_ENOENT && found.size > 0) {
        *ret_partition = found.partition;
        *ret_locator = found.locator;
        rc = CAIRN_OK;
    }
    return rc;
}

/* The nearest mark in memory. Called with the lock held. */
static bool tail_near(const struct cairn_index *index, uint16_t partition, uint64_t offset,
                      struct cairn_resume *ret_from)
{
    for (size_t g = index->generation_count; g-- > 0;) {
        const struct cairn_generation *generation = index->generations[g];
        for (size_t i = generation->mark_count; i-- > 0;) {
            const struct cairn_index_mark *found = &generation->marks[i];
            if (found->partition == partition && found->offset <= offset) {
                *ret_from = (struct cairn_resume){found->offset, found->locator};
                return true;
            }
        }
    }
    return false;
}

enum cairn_rc cairn_index_near(struct cairn_index *index, uint16_t partition, uint64_t offset,
                               struct cairn_resume *ret_from, struct cairn_err *err)
{
    (void)pthread_rwlock_rdlock(&index->lock);
    bool found = tail_near(index, partition, offset, ret_from);
    if (!found && index->applied[partition].offset <= offset &&
        index->applied[partition].locator != 0) {
        *ret_from = index->applied[partition];
        found = true;
    }
    (void)pthread_rwlock_unlock(&index->lock);
    if (found) {
        return CAIRN_OK;
    }
    (void)pthread_rwlock_rdlock(&index->kv_lock);
    enum cairn_rc rc = cairn_index_file_near(index, partition, offset, ret_from, err);
    (void)pthread_rwlock_unlock(&index->kv_lock);
    return rc;
}

/* A waiting snapshot of that code, copied to arena. Called with the lock held. */
static enum cairn_rc waiting_snapshot(const struct cairn_map *map, struct cairn_slice stream,
                                      const unsigned char code_hash[16], struct cairn_arena *arena,
                                      uint64_t *ret_version, struct cairn_slice *ret_state)
{
    const union cairn_map_value *value = cairn_map_get(map, stream);
    const struct cairn_snapshot *snapshot = value == NULL ? NULL : value->pointer;
    if (snapshot == NULL || memcmp(snapshot->code_hash, code_hash, 16) != 0) {
        return CAIRN_ENOENT;
    }
    enum cairn_rc rc =
        cairn_arena_copy(arena, cairn_slice_of(snapshot->state, snapshot->size), ret_state);
    if (rc == CAIRN_OK) {
        *ret_version = snapshot->version;
    }
    return rc;
}

enum cairn_rc cairn_index_snapshot_get(struct cairn_index *index, struct cairn_slice stream,
                                       const unsigned char code_hash[16], struct cairn_arena *arena,
                                       uint64_t *ret_version, struct cairn_slice *ret_state,
                                       struct cairn_err *err)
{
    (void)pthread_rwlock_rdlock(&index->lock);
    enum cairn_rc rc =
        waiting_snapshot(&index->snapshots, stream, code_hash, arena, ret_version, ret_state);
    if (rc == CAIRN_ENOENT) {
        rc = waiting_snapshot(&index->flushing, stream, code_hash, arena, ret_version, ret_state);
    }
    (void)pthread_rwlock_unlock(&index->lock);
    if (rc == CAIRN_OK) {
        return rc;
    }
    if (rc != CAIRN_ENOENT) {
        return CAIRN_FAIL(err, rc, "read a snapshot");
    }
    (void)pthread_rwlock_rdlock(&index->kv_lock);
    rc = cairn_index_file_snapshot(index, stream, code_hash, arena, ret_version, ret_state, err);
    (void)pthread_rwlock_unlock(&index->kv_lock);
    return rc;
}

enum cairn_rc cairn_index_snapshot_put(struct cairn_index *index, struct cairn_slice stream,
                                       const unsigned char code_hash[16], uint64_t version,
                                       struct cairn_slice state, struct cairn_err *err)
{
    if (!index->options.writer) {
        return CAIRN_FAIL(err, CAIRN_EUNSUPPORTED, "only the writer keeps snapshots");
    }
    if (state.size > CAIRN_INDEX_SNAPSHOT_BYTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "a snapshot of %zu bytes", state.size);
    }
    struct cairn_snapshot *snapshot = cairn_mem_alloc(sizeof(*snapshot) + state.size);
    if (snapshot == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "keep a snapshot");
    }
    snapshot->version = version;
    snapshot->size = state.size;
    memcpy(snapshot->code_hash, code_hash, 16);
    if (state.size > 0) {
        memcpy(snapshot->state, state.data, state.size);
    }
    void *unused = snapshot;
    (void)pthread_rwlock_wrlock(&index->lock);
    if (index->snapshot_bytes + state.size <= CAIRN_INDEX_SNAPSHOTS_BYTES_MAX) {
        union cairn_map_value *place = cairn_map_put(&index->snapshots, stream, NULL);
        if (place != NULL) {
            unused = place->pointer;
            place->pointer = snapshot;
            index->snapshot_bytes += state.size;
        }
    }
    (void)pthread_rwlock_unlock(&index->lock);
    if (unused == snapshot) {
        cairn_metric_inc(index->metric_snapshots_dropped, 1);
    }
    cairn_mem_free(unused);
    return CAIRN_OK;
}

uint64_t cairn_index_bytes(struct cairn_index *index)
{
    (void)pthread_rwlock_rdlock(&index->kv_lock);
    uint64_t bytes = index->kv == NULL ? 0 : cairn_kv_used_bytes(index->kv);
    (void)pthread_rwlock_unlock(&index->kv_lock);
    return bytes;
}

uint64_t cairn_index_streams(struct cairn_index *index)
{
    (void)pthread_rwlock_rdlock(&index->lock);
    uint64_t streams = index->streams;
    (void)pthread_rwlock_unlock(&index->lock);
    return streams;
}
