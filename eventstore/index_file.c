/* The index in LMDB: keys, values, one transaction a flush. */
#include <assert.h>

#include "eventstore/index_int.h"
#include "eventstore/le.h"
#include "platform/mem.h"

enum {
    ROW_KEY_MAX = CAIRN_STREAM_BYTES_MAX + 1 + 8,
    ROW_VALUE_BYTES = 2 + 8,
    RECEIPT_KEY_MAX = CAIRN_KEY_BYTES_MAX + 1 + 2,
    RECEIPT_VALUE_BYTES = 8,
    OFFSET_KEY_BYTES = 2 + 8,
    SNAPSHOT_HEAD_BYTES = 16 + 8,
    STATE_HEAD_BYTES = 4 + 4 + CAIRN_LOG_ID_BYTES + 8,
    STATE_BYTES_MAX = STATE_HEAD_BYTES + 16 * CAIRN_PARTITIONS_MAX
};

static_assert(ROW_KEY_MAX <= CAIRN_KV_KEY_MAX && RECEIPT_KEY_MAX <= CAIRN_KV_KEY_MAX,
              "keys fit LMDB");

static const struct cairn_slice state_key = {"state", 5};

static const char *const table_names[CAIRN_INDEX_TABLES] = {[CAIRN_INDEX_META] = "meta",
                                                            [CAIRN_INDEX_ROWS] = "rows",
                                                            [CAIRN_INDEX_RECEIPTS] = "receipts",
                                                            [CAIRN_INDEX_OFFSETS] = "offsets",
                                                            [CAIRN_INDEX_SNAPSHOTS] = "snapshots"};

/* stream, 0x00, version: a stream's rows lie together, in order; no stream is another's prefix. */
static struct cairn_slice row_key(char out[ROW_KEY_MAX], struct cairn_slice stream,
                                  uint64_t version)
{
    assert(stream.size > 0 && stream.size <= CAIRN_STREAM_BYTES_MAX);
    memcpy(out, stream.data, stream.size);
    out[stream.size] = '\0';
    cairn_put_u64_be(out + stream.size + 1, version);
    return cairn_slice_of(out, stream.size + 1 + 8);
}

/* Is it a row of that stream? */
static bool row_read(struct cairn_slice key, struct cairn_slice value, struct cairn_slice stream,
                     struct cairn_index_row *ret_row)
{
    if (key.size != stream.size + 1 + 8 || value.size != ROW_VALUE_BYTES ||
        memcmp(key.data, stream.data, stream.size) != 0 || key.data[stream.size] != '\0') {
        return false;
    }
    ret_row->first_version = cairn_get_u64_be(key.data + stream.size + 1);
    ret_row->count = cairn_get_u16(value.data);
    ret_row->locator = cairn_get_u64(value.data + 2);
    return true;
}

static struct cairn_slice offset_key(char out[OFFSET_KEY_BYTES], uint16_t partition,
                                     uint64_t offset)
{
    out[0] = (char)(unsigned char)(partition >> 8);
    out[1] = (char)(unsigned char)(partition & 0xffu);
    cairn_put_u64_be(out + 2, offset);
    return cairn_slice_of(out, OFFSET_KEY_BYTES);
}

/* key, 0x00, partition: the receipts of one key lie together. */
static struct cairn_slice receipt_key(char out[RECEIPT_KEY_MAX], struct cairn_slice key,
                                      uint16_t partition)
{
    assert(key.size > 0 && key.size <= CAIRN_KEY_BYTES_MAX);
    memcpy(out, key.data, key.size);
    out[key.size] = '\0';
    out[key.size + 1] = (char)(unsigned char)(partition >> 8);
    out[key.size + 2] = (char)(unsigned char)(partition & 0xffu);
    return cairn_slice_of(out, key.size + 3);
}

enum cairn_rc cairn_index_file_open(struct cairn_index *index, struct cairn_err *err)
{
    assert(index->kv == NULL);
    struct cairn_kv_options options = {.writer = index->options.writer, .sync = true};
    struct cairn_kv *kv = NULL;
    enum cairn_rc rc = cairn_kv_open(index->folder, &options, &kv, err);
    for (int t = 0; rc == CAIRN_OK && t < CAIRN_INDEX_TABLES; t++) {
        rc = cairn_kv_table(kv, table_names[t], &index->tables[t], err);
    }
    if (rc != CAIRN_OK) {
        cairn_kv_close(kv);
        return rc;
    }
    index->kv = kv;
    return CAIRN_OK;
}

void cairn_index_file_close(struct cairn_index *index)
{
    cairn_kv_close(index->kv);
    index->kv = NULL;
}

/* Look-ups that missed memory count on the file for everything up to its checkpoint, so one that is
 * still being built must not take its place. */
static enum cairn_rc holds_as_much(struct cairn_index *index, const struct cairn_resume *before,
                                   bool *ret_holds, struct cairn_err *err)
{
    struct cairn_resume checkpoint[CAIRN_PARTITIONS_MAX];
    uint64_t streams = 0;
    memset(checkpoint, 0, sizeof(checkpoint));
    enum cairn_rc rc = cairn_index_file_state(index, checkpoint, &streams, err);
    *ret_holds = rc == CAIRN_OK;
    for (uint16_t p = 0; rc == CAIRN_OK && p < index->options.partitions; p++) {
        *ret_holds = *ret_holds && checkpoint[p].offset >= before[p].offset;
    }
    return rc == CAIRN_ENOENT || rc == CAIRN_EEXIST ? CAIRN_OK : rc;
}

enum cairn_rc cairn_index_file_reopen(struct cairn_index *index, struct cairn_err *err)
{
    assert(!index->options.writer);
    struct cairn_kv *kv = index->kv;
    cairn_kv_table_id tables[CAIRN_INDEX_TABLES];
    bool holds = false;
    memcpy(tables, index->tables, sizeof(tables));
    index->kv = NULL;
    enum cairn_rc rc = cairn_index_file_open(index, err);
    if (rc == CAIRN_OK) {
        rc = holds_as_much(index, index->checkpoint, &holds, err);
    }
    if (holds) {
        cairn_kv_close(kv);
        return rc;
    }
    cairn_index_file_close(index);
    index->kv = kv;
    memcpy(index->tables, tables, sizeof(tables));
    /* It is the same one, or there is none yet. */
    return rc == CAIRN_EEXIST || rc == CAIRN_ENOENT ? CAIRN_OK : rc;
}

enum cairn_rc cairn_index_file_wipe(struct cairn_index *index, struct cairn_err *err)
{
    assert(index->options.writer);
    cairn_index_file_close(index);
    enum cairn_rc rc = cairn_file_remove_tree(index->folder, err);
    return rc == CAIRN_OK ? cairn_index_file_open(index, err) : rc;
}

static enum cairn_rc read_state(const struct cairn_index *index, struct cairn_slice value,
                                struct cairn_resume *ret_checkpoint, uint64_t *ret_streams)
{
    uint16_t partitions = index->options.partitions;
    if (value.size != STATE_HEAD_BYTES + 16u * partitions ||
        cairn_get_u32(value.data) != CAIRN_INDEX_FORMAT ||
        cairn_get_u32(value.data + 4) != partitions ||
        memcmp(value.data + 8, index->options.log_id, CAIRN_LOG_ID_BYTES) != 0) {
        return CAIRN_EEXIST;
    }
    *ret_streams = cairn_get_u64(value.data + 8 + CAIRN_LOG_ID_BYTES);
    for (uint16_t p = 0; p < partitions; p++) {
        const char *at = value.data + STATE_HEAD_BYTES + 16u * p;
        ret_checkpoint[p].offset = cairn_get_u64(at);
        ret_checkpoint[p].locator = cairn_get_u64(at + 8);
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_index_file_state(struct cairn_index *index, struct cairn_resume *ret_checkpoint,
                                     uint64_t *ret_streams, struct cairn_err *err)
{
    struct cairn_kv_txn *txn = NULL;
    struct cairn_slice value = CAIRN_SLICE_NONE;
    if (index->kv == NULL) {
        return CAIRN_ENOENT;
    }
    enum cairn_rc rc = cairn_kv_read_begin(index->kv, &txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_kv_get(txn, index->tables[CAIRN_INDEX_META], state_key, &value, err);
    if (rc == CAIRN_OK) {
        rc = read_state(index, value, ret_checkpoint, ret_streams);
    }
    cairn_kv_end(txn);
    return rc;
}

static enum cairn_rc write_state(struct cairn_index *index, struct cairn_kv_txn *txn,
                                 const struct cairn_generation *generation, struct cairn_err *err)
{
    char value[STATE_BYTES_MAX];
    uint16_t partitions = index->options.partitions;
    cairn_put_u32(value, CAIRN_INDEX_FORMAT);
    cairn_put_u32(value + 4, partitions);
    memcpy(value + 8, index->options.log_id, CAIRN_LOG_ID_BYTES);
    cairn_put_u64(value + 8 + CAIRN_LOG_ID_BYTES, generation->streams);
    for (uint16_t p = 0; p < partitions; p++) {
        cairn_put_u64(value + STATE_HEAD_BYTES + 16u * p, generation->ends[p].offset);
        cairn_put_u64(value + STATE_HEAD_BYTES + 16u * p + 8, generation->ends[p].locator);
    }
    return cairn_kv_put(txn, index->tables[CAIRN_INDEX_META], state_key,
                        cairn_slice_of(value, STATE_HEAD_BYTES + 16u * partitions), err);
}

/* One stream's rows, oldest first. */
static enum cairn_rc write_stream(struct cairn_index *index, struct cairn_kv_txn *txn,
                                  const struct cairn_tail *tail, const void *entry,
                                  struct cairn_err *err)
{
    const struct cairn_tail_stream *stream = entry;
    struct cairn_slice name = cairn_tail_stream_name(stream);
    const struct cairn_tail_row *newest = &tail->rows[stream->newest - 1];
    for (uint32_t depth = 0; depth <= newest->depth; depth++) {
        char key[ROW_KEY_MAX];
        char value[ROW_VALUE_BYTES];
        const struct cairn_tail_row *row = cairn_tail_at_depth(tail, newest, depth);
        cairn_put_u16(value, row->count);
        cairn_put_u64(value + 2, row->locator);
        enum cairn_rc rc = cairn_kv_put(txn, index->tables[CAIRN_INDEX_ROWS],
                                        row_key(key, name, row->first_version),
                                        cairn_slice_of(value, sizeof(value)), err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return CAIRN_OK;
}

static enum cairn_rc write_receipt(struct cairn_index *index, struct cairn_kv_txn *txn,
                                   const struct cairn_tail *tail, const void *entry,
                                   struct cairn_err *err)
{
    (void)tail;
    const struct cairn_tail_receipt *receipt = entry;
    char key[RECEIPT_KEY_MAX];
    char value[RECEIPT_VALUE_BYTES];
    cairn_put_u64(value, receipt->locator);
    return cairn_kv_put(txn, index->tables[CAIRN_INDEX_RECEIPTS],
                        receipt_key(key, cairn_tail_receipt_key(receipt), receipt->partition),
                        cairn_slice_of(value, sizeof(value)), err);
}

typedef enum cairn_rc (*write_entry_fn)(struct cairn_index *index, struct cairn_kv_txn *txn,
                                        const struct cairn_tail *tail, const void *entry,
                                        struct cairn_err *err);

/* All entries of one of the tail's tables, in the order of their keys: LMDB's pages fill in turn.
 */
static enum cairn_rc write_sorted(struct cairn_index *index, struct cairn_kv_txn *txn,
                                  const struct cairn_tail *tail,
                                  const struct cairn_tail_table *table, write_entry_fn write_entry,
                                  struct cairn_err *err)
{
    const void **entries = NULL;
    enum cairn_rc rc = cairn_tail_sorted(tail, table, &entries);
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "sort the index");
    }
    for (uint32_t i = 0; rc == CAIRN_OK && i < table->count; i++) {
        rc = write_entry(index, txn, tail, entries[i], err);
    }
    cairn_mem_free(entries);
    return rc;
}

static enum cairn_rc write_marks(struct cairn_index *index, struct cairn_kv_txn *txn,
                                 const struct cairn_generation *generation, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; rc == CAIRN_OK && i < generation->mark_count; i++) {
        char key[OFFSET_KEY_BYTES];
        char value[8];
        const struct cairn_index_mark *mark = &generation->marks[i];
        cairn_put_u64(value, mark->locator);
        rc = cairn_kv_put(txn, index->tables[CAIRN_INDEX_OFFSETS],
                          offset_key(key, mark->partition, mark->offset),
                          cairn_slice_of(value, sizeof(value)), err);
    }
    return rc;
}

/* The map of snapshots that are being written changes only between flushes. */
static enum cairn_rc write_snapshots(struct cairn_index *index, struct cairn_kv_txn *txn,
                                     struct cairn_err *err)
{
    size_t cursor = 0;
    struct cairn_slice stream;
    union cairn_map_value found;
    struct cairn_buf value = {.max = SNAPSHOT_HEAD_BYTES + CAIRN_INDEX_SNAPSHOT_BYTES_MAX};
    enum cairn_rc rc = CAIRN_OK;
    while (rc == CAIRN_OK && cairn_map_next(&index->flushing, &cursor, &stream, &found)) {
        const struct cairn_snapshot *snapshot = found.pointer;
        cairn_buf_truncate(&value, 0);
        rc = cairn_buf_reserve(&value, SNAPSHOT_HEAD_BYTES + snapshot->size);
        if (rc != CAIRN_OK) {
            rc = CAIRN_FAIL(err, rc, "write a snapshot");
            break;
        }
        memcpy(value.data, snapshot->code_hash, 16);
        cairn_put_u64(value.data + 16, snapshot->version);
        memcpy(value.data + SNAPSHOT_HEAD_BYTES, snapshot->state, snapshot->size);
        value.size = SNAPSHOT_HEAD_BYTES + snapshot->size;
        rc = cairn_kv_put(txn, index->tables[CAIRN_INDEX_SNAPSHOTS], stream,
                          cairn_buf_slice(&value), err);
    }
    cairn_buf_fini(&value);
    return rc;
}

enum cairn_rc cairn_index_file_write(struct cairn_index *index,
                                     const struct cairn_generation *generation,
                                     struct cairn_err *err)
{
    struct cairn_kv_txn *txn = NULL;
    enum cairn_rc rc = cairn_kv_write_begin(index->kv, &txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (generation != NULL) {
        const struct cairn_tail *tail = &generation->tail;
        rc = write_sorted(index, txn, tail, &tail->streams, write_stream, err);
        if (rc == CAIRN_OK) {
            rc = write_sorted(index, txn, tail, &tail->receipts, write_receipt, err);
        }
        if (rc == CAIRN_OK) {
            rc = write_marks(index, txn, generation, err);
        }
        if (rc == CAIRN_OK) {
            rc = write_state(index, txn, generation, err);
        }
    }
    if (rc == CAIRN_OK) {
        rc = write_snapshots(index, txn, err);
    }
    if (rc != CAIRN_OK) {
        cairn_kv_end(txn);
        return rc;
    }
    return cairn_kv_commit(txn, err);
}

/* A read with a cursor on one table. */
struct look {
    struct cairn_kv_txn *txn;
    struct cairn_kv_cursor *cursor;
};

static enum cairn_rc look_begin(struct cairn_index *index, enum cairn_index_table table,
                                struct look *look, struct cairn_err *err)
{
    *look = (struct look){NULL, NULL};
    enum cairn_rc rc = cairn_kv_read_begin(index->kv, &look->txn, err);
    if (rc == CAIRN_OK) {
        rc = cairn_kv_cursor_open(look->txn, index->tables[table], &look->cursor, err);
    }
    if (rc != CAIRN_OK) {
        cairn_kv_end(look->txn);
    }
    return rc;
}

static void look_end(struct look *look)
{
    cairn_kv_cursor_close(look->cursor);
    cairn_kv_end(look->txn);
}

enum cairn_rc cairn_index_file_head(struct cairn_index *index, struct cairn_slice stream,
                                    uint64_t *ret_version, struct cairn_err *err)
{
    struct cairn_index_row row;
    size_t count = 0;
    enum cairn_rc rc =
        cairn_index_file_rows(index, stream, UINT64_MAX, CAIRN_BACKWARD, 0, &row, 1, &count, err);
    if (rc == CAIRN_OK) {
        *ret_version = count == 0 ? 0 : row.first_version + row.count - 1;
    }
    return rc;
}

/* Stand at the row that holds version, or at the first one behind it. */
static enum cairn_rc stand(struct look *look, struct cairn_slice stream, uint64_t version,
                           enum cairn_direction direction, struct cairn_slice *ret_key,
                           struct cairn_slice *ret_value, struct cairn_err *err)
{
    char key[ROW_KEY_MAX];
    struct cairn_index_row row;
    uint64_t behind = version == UINT64_MAX ? UINT64_MAX : version + 1;
    struct cairn_slice wanted = row_key(key, stream, behind);
    enum cairn_rc rc =
        cairn_kv_seek(look->cursor, CAIRN_KV_BEFORE, wanted, ret_key, ret_value, err);
    if (rc == CAIRN_OK && row_read(*ret_key, *ret_value, stream, &row)) {
        return CAIRN_OK;
    }
    if (direction == CAIRN_BACKWARD || (rc != CAIRN_OK && rc != CAIRN_ENOENT)) {
        return rc; /* backwards there is nothing behind: the caller sees another stream's row */
    }
    return cairn_kv_seek(look->cursor, CAIRN_KV_AT_OR_AFTER, wanted, ret_key, ret_value, err);
}

enum cairn_rc cairn_index_file_heads(struct cairn_index *index, struct cairn_index_head *heads,
                                     size_t count, struct cairn_err *err)
{
    struct look look;
    if (index->kv == NULL) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = look_begin(index, CAIRN_INDEX_ROWS, &look, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    for (size_t i = 0; rc == CAIRN_OK && i < count; i++) {
        struct cairn_slice key;
        struct cairn_slice value;
        struct cairn_index_row row;
        if (heads[i].version > 0) {
            continue;
        }
        rc = stand(&look, heads[i].stream, UINT64_MAX, CAIRN_BACKWARD, &key, &value, err);
        if (rc == CAIRN_OK && row_read(key, value, heads[i].stream, &row)) {
            heads[i].version = row.first_version + row.count - 1;
        }
        rc = rc == CAIRN_ENOENT ? CAIRN_OK : rc;
    }
    look_end(&look);
    return rc;
}

enum cairn_rc cairn_index_file_rows(struct cairn_index *index, struct cairn_slice stream,
                                    uint64_t version, enum cairn_direction direction,
                                    uint64_t below, struct cairn_index_row *rows, size_t max,
                                    size_t *ret_count, struct cairn_err *err)
{
    struct look look;
    struct cairn_slice key;
    struct cairn_slice value;
    size_t count = 0;
    *ret_count = 0;
    if (index->kv == NULL || max == 0) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = look_begin(index, CAIRN_INDEX_ROWS, &look, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = stand(&look, stream, version, direction, &key, &value, err);
    enum cairn_kv_step step = direction == CAIRN_FORWARD ? CAIRN_KV_NEXT : CAIRN_KV_PREVIOUS;
    while (rc == CAIRN_OK && count < max) {
        struct cairn_index_row row;
        if (!row_read(key, value, stream, &row) || (below > 0 && row.first_version >= below)) {
            break;
        }
        bool wanted = direction == CAIRN_FORWARD ? row.first_version + row.count > version
                                                 : row.first_version <= version;
        if (wanted) {
            rows[count++] = row;
        }
        rc = cairn_kv_seek(look.cursor, step, CAIRN_SLICE_NONE, &key, &value, err);
    }
    look_end(&look);
    if (rc != CAIRN_OK && rc != CAIRN_ENOENT) {
        return rc;
    }
    *ret_count = count;
    return CAIRN_OK;
}

/* Is it a receipt of that key? */
static bool receipt_read(struct cairn_slice found, struct cairn_slice value, struct cairn_slice key,
                         uint16_t *ret_partition, uint64_t *ret_locator)
{
    if (found.size != key.size + 3 || value.size != RECEIPT_VALUE_BYTES ||
        memcmp(found.data, key.data, key.size) != 0 || found.data[key.size] != '\0') {
        return false;
    }
    const unsigned char *end = (const unsigned char *)found.data + key.size;
    *ret_partition = (uint16_t)((unsigned)end[1] << 8 | end[2]);
    *ret_locator = cairn_get_u64(value.data);
    return true;
}

enum cairn_rc cairn_index_file_receipt(struct cairn_index *index, struct cairn_slice key,
                                       uint16_t preferred, uint16_t *ret_partition,
                                       uint64_t *ret_locator, struct cairn_err *err)
{
    struct look look;
    struct cairn_slice found;
    struct cairn_slice value;
    char wanted[RECEIPT_KEY_MAX];
    uint16_t partition = 0;
    uint64_t locator = 0;
    if (index->kv == NULL) {
        return CAIRN_ENOENT;
    }
    enum cairn_rc rc = look_begin(index, CAIRN_INDEX_RECEIPTS, &look, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_kv_seek(look.cursor, CAIRN_KV_AT_OR_AFTER, receipt_key(wanted, key, 0), &found,
                       &value, err);
    if (rc == CAIRN_OK && !receipt_read(found, value, key, &partition, &locator)) {
        rc = CAIRN_ENOENT;
    }
    if (rc == CAIRN_OK && partition != preferred) {
        rc = cairn_kv_get(look.txn, index->tables[CAIRN_INDEX_RECEIPTS],
                          receipt_key(wanted, key, preferred), &value, err);
        if (rc == CAIRN_OK && value.size == RECEIPT_VALUE_BYTES) {
            partition = preferred;
            locator = cairn_get_u64(value.data);
        }
        rc = rc == CAIRN_ENOENT ? CAIRN_OK : rc;
    }
    look_end(&look);
    if (rc == CAIRN_OK) {
        *ret_partition = partition;
        *ret_locator = locator;
    }
    return rc;
}

enum cairn_rc cairn_index_file_near(struct cairn_index *index, uint16_t partition, uint64_t offset,
                                    struct cairn_resume *ret_from, struct cairn_err *err)
{
    struct look look;
    struct cairn_slice key;
    struct cairn_slice value;
    char wanted[OFFSET_KEY_BYTES];
    *ret_from = (struct cairn_resume){0, 0};
    if (index->kv == NULL || offset == UINT64_MAX) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = look_begin(index, CAIRN_INDEX_OFFSETS, &look, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_kv_seek(look.cursor, CAIRN_KV_BEFORE, offset_key(wanted, partition, offset + 1),
                       &key, &value, err);
    if (rc == CAIRN_OK && key.size == OFFSET_KEY_BYTES && value.size == 8 &&
        memcmp(key.data, wanted, 2) == 0) {
        ret_from->offset = cairn_get_u64_be(key.data + 2);
        ret_from->locator = cairn_get_u64(value.data);
    }
    look_end(&look);
    return rc == CAIRN_ENOENT ? CAIRN_OK : rc;
}

enum cairn_rc cairn_index_file_snapshot(struct cairn_index *index, struct cairn_slice stream,
                                        const unsigned char code_hash[16],
                                        struct cairn_arena *arena, uint64_t *ret_version,
                                        struct cairn_slice *ret_state, struct cairn_err *err)
{
    struct cairn_kv_txn *txn = NULL;
    struct cairn_slice value = CAIRN_SLICE_NONE;
    if (index->kv == NULL) {
        return CAIRN_ENOENT;
    }
    enum cairn_rc rc = cairn_kv_read_begin(index->kv, &txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_kv_get(txn, index->tables[CAIRN_INDEX_SNAPSHOTS], stream, &value, err);
    if (rc == CAIRN_OK &&
        (value.size < SNAPSHOT_HEAD_BYTES || memcmp(value.data, code_hash, 16) != 0)) {
        rc = CAIRN_ENOENT; /* made by other code */
    }
    if (rc == CAIRN_OK) {
        struct cairn_slice state =
            cairn_slice_of(value.data + SNAPSHOT_HEAD_BYTES, value.size - SNAPSHOT_HEAD_BYTES);
        uint64_t version = cairn_get_u64(value.data + 16);
        rc = cairn_arena_copy(arena, state, ret_state);
        if (rc == CAIRN_OK) {
            *ret_version = version;
        } else {
            rc = CAIRN_FAIL(err, rc, "read a snapshot");
        }
    }
    cairn_kv_end(txn);
    return rc;
}
