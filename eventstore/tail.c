#include "eventstore/tail.h"

#include <assert.h>
#include <stdlib.h>

#include "platform/hash.h"
#include "platform/mem.h"

enum {
    STREAM_NODE_MAX = sizeof(struct cairn_tail_stream) + CAIRN_STREAM_BYTES_MAX + 8,
    RECEIPT_NODE_MAX = sizeof(struct cairn_tail_receipt) + CAIRN_KEY_BYTES_MAX + 8,
    TABLE_MIN = 64
};

static_assert((uint64_t)CAIRN_TAIL_ROWS_MAX * (STREAM_NODE_MAX + RECEIPT_NODE_MAX) < UINT32_MAX,
              "a place in bytes fits 32 bits");

/* realloc to at least `wanted` items by doubling; the old block lives on when memory is out. */
static bool grow(void **memory, uint32_t *cap, uint64_t wanted, size_t item)
{
    if (wanted <= *cap) {
        return true;
    }
    uint64_t more = *cap == 0 ? 256 : *cap;
    while (more < wanted) {
        more *= 2;
    }
    void *grown = more > UINT32_MAX ? NULL : cairn_mem_realloc(*memory, (size_t)more * item);
    if (grown == NULL) {
        return false;
    }
    *memory = grown;
    *cap = (uint32_t)more;
    return true;
}

static uint32_t hash_of(struct cairn_slice name)
{
    return (uint32_t)(cairn_hash64(name) >> 32);
}

/* Streams and receipts both hold their hash; where, the table's kind says. */
typedef uint32_t (*node_hash_fn)(const char *node);

static uint32_t stream_hash(const char *node)
{
    uint32_t hash;
    memcpy(&hash, node + offsetof(struct cairn_tail_stream, hash), sizeof(hash));
    return hash;
}

static uint32_t receipt_hash(const char *node)
{
    uint32_t hash;
    memcpy(&hash, node + offsetof(struct cairn_tail_receipt, hash), sizeof(hash));
    return hash;
}

/* At most half full, so a probe ends soon. */
static bool grow_table(struct cairn_tail_table *table, const char *bytes, uint64_t more,
                       node_hash_fn node_hash)
{
    uint64_t wanted = 2 * (table->count + more);
    if (wanted <= table->cap) {
        return true;
    }
    uint64_t cap = table->cap == 0 ? TABLE_MIN : table->cap;
    while (cap < wanted) {
        cap *= 2;
    }
    uint32_t *slots = cairn_mem_zalloc((size_t)cap, sizeof(*slots));
    if (slots == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < table->cap; i++) {
        if (table->slots[i] != 0) {
            uint64_t at = node_hash(bytes + (table->slots[i] - 1)) & (cap - 1);
            while (slots[at] != 0) {
                at = (at + 1) & (cap - 1);
            }
            slots[at] = table->slots[i];
        }
    }
    cairn_mem_free(table->slots);
    table->slots = slots;
    table->cap = (uint32_t)cap;
    return true;
}

enum cairn_rc cairn_tail_reserve(struct cairn_tail *tail, size_t appends)
{
    assert(appends <= CAIRN_TAIL_ROWS_MAX - tail->row_count);
    uint64_t node_bytes = (uint64_t)appends * (STREAM_NODE_MAX + RECEIPT_NODE_MAX);
    void *rows = tail->rows;
    void *bytes = tail->bytes;
    bool ok = grow(&rows, &tail->row_cap, (uint64_t)tail->row_count + appends, sizeof(*tail->rows));
    tail->rows = rows;
    ok = ok && grow(&bytes, &tail->bytes_cap, (uint64_t)tail->used + node_bytes, 1);
    tail->bytes = bytes;
    ok = ok && grow_table(&tail->streams, tail->bytes, appends, stream_hash) &&
         grow_table(&tail->receipts, tail->bytes, appends, receipt_hash);
    return ok ? CAIRN_OK : CAIRN_ENOMEM;
}

struct cairn_slice cairn_tail_stream_name(const struct cairn_tail_stream *stream)
{
    return cairn_slice_of((const char *)(stream + 1), stream->size);
}

struct cairn_slice cairn_tail_receipt_key(const struct cairn_tail_receipt *receipt)
{
    return cairn_slice_of((const char *)(receipt + 1), receipt->size);
}

static void *entry_at(const struct cairn_tail *tail, uint32_t slot)
{
    assert(slot > 0 && slot <= tail->used);
    return tail->bytes + (slot - 1);
}

static struct cairn_tail_stream *stream_at(const struct cairn_tail *tail, uint32_t slot)
{
    return entry_at(tail, slot);
}

static struct cairn_tail_receipt *receipt_at(const struct cairn_tail *tail, uint32_t slot)
{
    return entry_at(tail, slot);
}

/* The slot of a stream, or the free one where it would go. The table is never full. */
static uint32_t *find_stream(const struct cairn_tail *tail, struct cairn_slice stream,
                             uint32_t hash)
{
    const struct cairn_tail_table *table = &tail->streams;
    for (uint32_t at = hash & (table->cap - 1);; at = (at + 1) & (table->cap - 1)) {
        if (table->slots[at] == 0) {
            return &table->slots[at];
        }
        const struct cairn_tail_stream *node = stream_at(tail, table->slots[at]);
        if (node->hash == hash && cairn_slice_equal(cairn_tail_stream_name(node), stream)) {
            return &table->slots[at];
        }
    }
}

static uint32_t *find_receipt(const struct cairn_tail *tail, struct cairn_slice key,
                              uint16_t partition, uint32_t hash)
{
    const struct cairn_tail_table *table = &tail->receipts;
    for (uint32_t at = hash & (table->cap - 1);; at = (at + 1) & (table->cap - 1)) {
        if (table->slots[at] == 0) {
            return &table->slots[at];
        }
        const struct cairn_tail_receipt *node = receipt_at(tail, table->slots[at]);
        if (node->hash == hash && node->partition == partition &&
            cairn_slice_equal(cairn_tail_receipt_key(node), key)) {
            return &table->slots[at];
        }
    }
}

/* Take bytes for a node and its name; returns its slot value. */
static uint32_t take(struct cairn_tail *tail, size_t header, struct cairn_slice name)
{
    size_t size = (header + name.size + 7) & ~(size_t)7;
    assert(size <= tail->bytes_cap - tail->used);
    uint32_t slot = tail->used + 1;
    memcpy(tail->bytes + tail->used + header, name.data, name.size);
    tail->used += (uint32_t)size;
    return slot;
}

static const struct cairn_tail_row *row_at(const struct cairn_tail *tail, uint32_t plus_one)
{
    return plus_one == 0 ? NULL : &tail->rows[plus_one - 1];
}

void cairn_tail_add(struct cairn_tail *tail, struct cairn_slice stream, uint64_t first_version,
                    uint16_t count, uint64_t locator)
{
    assert(tail->rows != NULL && tail->row_count < tail->row_cap);
    assert(tail->streams.count < tail->streams.cap);
    assert(stream.size <= CAIRN_STREAM_BYTES_MAX && count > 0);
    uint32_t hash = hash_of(stream);
    uint32_t *slot = find_stream(tail, stream, hash);
    if (*slot == 0) {
        *slot = take(tail, sizeof(struct cairn_tail_stream), stream);
        tail->streams.count++;
        *stream_at(tail, *slot) =
            (struct cairn_tail_stream){.hash = hash, .size = (uint32_t)stream.size};
    }
    struct cairn_tail_stream *node = stream_at(tail, *slot);
    const struct cairn_tail_row *previous = row_at(tail, node->newest);
    struct cairn_tail_row row = {.first_version = first_version,
                                 .locator = locator,
                                 .previous = node->newest,
                                 .count = count};
    if (previous != NULL) {
        assert(previous->first_version + previous->count == first_version);
        /* Skew-binary jumps: where the two jumps before are equally long, this one spans both. */
        const struct cairn_tail_row *jump = row_at(tail, previous->jump);
        const struct cairn_tail_row *far = jump == NULL ? NULL : row_at(tail, jump->jump);
        bool equal = far != NULL && previous->depth - jump->depth == jump->depth - far->depth;
        row.depth = previous->depth + 1;
        row.jump = equal ? jump->jump : node->newest;
    }
    tail->rows[tail->row_count++] = row;
    node->newest = tail->row_count;
    tail->events += count;
}

void cairn_tail_add_receipt(struct cairn_tail *tail, struct cairn_slice key, uint16_t partition,
                            uint64_t locator)
{
    assert(key.size > 0 && key.size <= CAIRN_KEY_BYTES_MAX);
    uint32_t hash = hash_of(key);
    uint32_t *slot = find_receipt(tail, key, partition, hash);
    if (*slot == 0) {
        *slot = take(tail, sizeof(struct cairn_tail_receipt), key);
        tail->receipts.count++;
        *receipt_at(tail, *slot) = (struct cairn_tail_receipt){
            .locator = locator, .hash = hash, .partition = partition, .size = (uint16_t)key.size};
    }
}

const struct cairn_tail_row *cairn_tail_newest(const struct cairn_tail *tail,
                                               struct cairn_slice stream)
{
    if (tail->streams.count == 0) {
        return NULL;
    }
    const uint32_t *slot = find_stream(tail, stream, hash_of(stream));
    return *slot == 0 ? NULL : row_at(tail, stream_at(tail, *slot)->newest);
}

const struct cairn_tail_row *cairn_tail_previous(const struct cairn_tail *tail,
                                                 const struct cairn_tail_row *row)
{
    return row_at(tail, row->previous);
}

const struct cairn_tail_row *cairn_tail_find(const struct cairn_tail *tail,
                                             const struct cairn_tail_row *row, uint64_t version)
{
    while (row != NULL && row->first_version > version) {
        const struct cairn_tail_row *jump = row_at(tail, row->jump);
        row = jump != NULL && jump->first_version > version ? jump : row_at(tail, row->previous);
    }
    return row;
}

const struct cairn_tail_row *cairn_tail_at_depth(const struct cairn_tail *tail,
                                                 const struct cairn_tail_row *row, uint32_t depth)
{
    assert(row->depth >= depth);
    while (row->depth > depth) {
        const struct cairn_tail_row *jump = row_at(tail, row->jump);
        row = jump != NULL && jump->depth >= depth ? jump : row_at(tail, row->previous);
        assert(row != NULL); /* depth counts the rows before this one */
    }
    return row;
}

const struct cairn_tail_receipt *cairn_tail_receipt(const struct cairn_tail *tail,
                                                    struct cairn_slice key, uint16_t preferred)
{
    const struct cairn_tail_table *table = &tail->receipts;
    const struct cairn_tail_receipt *found = NULL;
    if (table->count == 0) {
        return NULL;
    }
    uint32_t hash = hash_of(key);
    for (uint32_t at = hash & (table->cap - 1); table->slots[at] != 0;
         at = (at + 1) & (table->cap - 1)) {
        const struct cairn_tail_receipt *node = receipt_at(tail, table->slots[at]);
        if (node->hash != hash || !cairn_slice_equal(cairn_tail_receipt_key(node), key)) {
            continue;
        }
        if (node->partition == preferred) {
            return node;
        }
        found = found == NULL || node->partition < found->partition ? node : found;
    }
    return found;
}

static int compare_streams(const void *a, const void *b)
{
    return cairn_slice_compare(cairn_tail_stream_name(*(const void *const *)a),
                               cairn_tail_stream_name(*(const void *const *)b));
}

static int compare_receipts(const void *a, const void *b)
{
    const struct cairn_tail_receipt *left = *(const void *const *)a;
    const struct cairn_tail_receipt *right = *(const void *const *)b;
    int keys = cairn_slice_compare(cairn_tail_receipt_key(left), cairn_tail_receipt_key(right));
    return keys != 0 ? keys : (int)left->partition - (int)right->partition;
}

enum cairn_rc cairn_tail_sorted(const struct cairn_tail *tail, const struct cairn_tail_table *table,
                                const void ***ret_entries)
{
    assert(table == &tail->streams || table == &tail->receipts);
    const void **entries = cairn_mem_alloc(((size_t)table->count + 1) * sizeof(*entries));
    if (entries == NULL) {
        return CAIRN_ENOMEM;
    }
    size_t count = 0;
    for (uint32_t i = 0; i < table->cap; i++) {
        if (table->slots[i] != 0) {
            entries[count++] = entry_at(tail, table->slots[i]);
        }
    }
    assert(count == table->count);
    qsort(entries, count, sizeof(*entries),
          table == &tail->streams ? compare_streams : compare_receipts);
    *ret_entries = entries;
    return CAIRN_OK;
}

void cairn_tail_clear(struct cairn_tail *tail)
{
    tail->row_count = 0;
    tail->used = 0;
    tail->events = 0;
    tail->streams.count = 0;
    tail->receipts.count = 0;
    if (tail->streams.slots != NULL) {
        memset(tail->streams.slots, 0, tail->streams.cap * sizeof(*tail->streams.slots));
    }
    if (tail->receipts.slots != NULL) {
        memset(tail->receipts.slots, 0, tail->receipts.cap * sizeof(*tail->receipts.slots));
    }
}

void cairn_tail_fini(struct cairn_tail *tail)
{
    cairn_mem_free(tail->rows);
    cairn_mem_free(tail->bytes);
    cairn_mem_free(tail->streams.slots);
    cairn_mem_free(tail->receipts.slots);
    memset(tail, 0, sizeof(*tail));
}
