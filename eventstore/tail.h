/* The tail of the index: what the log holds and the index file does not yet, in memory.
 *
 * A tail is filled once, in log order, and thrown away whole. It lies in a few flat arrays, so its
 * size is bounded and known, and room for a group is made before the group is written: adding what
 * is durable cannot fail. thread: the owner's lock. */
#ifndef CAIRN_EVENTSTORE_TAIL_H
#define CAIRN_EVENTSTORE_TAIL_H

#include "schemas/event.h"

/* Appends in one tail. The owner starts another one in time. */
#define CAIRN_TAIL_ROWS_MAX (1u << 20)

/* One append of a stream. Rows of a stream are a chain from the newest back; jump skips about half
 * of what is left, so that a version is found in a logarithm of the chain's length. */
struct cairn_tail_row {
    uint64_t first_version;
    uint64_t locator;
    uint32_t previous; /* row + 1, 0: none */
    uint32_t jump;     /* row + 1, 0: none */
    uint32_t depth;    /* rows behind it in its chain */
    uint16_t count;
};

struct cairn_tail_stream {
    uint32_t hash;
    uint32_t newest; /* row + 1 */
    uint32_t size;   /* bytes of name, which follows */
};

struct cairn_tail_receipt {
    uint64_t locator;
    uint32_t hash;
    uint16_t partition;
    uint16_t size; /* bytes of key, which follows */
};

struct cairn_tail_table {
    uint32_t *slots; /* place in bytes + 1, 0: free */
    uint32_t cap;    /* power of two */
    uint32_t count;
};

struct cairn_tail {
    struct cairn_tail_row *rows;
    uint32_t row_count, row_cap;
    char *bytes; /* streams and receipts, each at a multiple of 8 */
    uint32_t used, bytes_cap;
    struct cairn_tail_table streams;
    struct cairn_tail_table receipts;
    uint64_t events;
};

/* Room for `appends` more appends of the longest names and keys. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_tail_reserve(struct cairn_tail *tail, size_t appends);
/* Room must have been reserved. Versions of a stream ascend. */
void cairn_tail_add(struct cairn_tail *tail, struct cairn_slice stream, uint64_t first_version,
                    uint16_t count, uint64_t locator);
/* The first one of a key in a partition stays. */
void cairn_tail_add_receipt(struct cairn_tail *tail, struct cairn_slice key, uint16_t partition,
                            uint64_t locator);
/* The newest row of a stream, NULL when it has none here. */
const struct cairn_tail_row *cairn_tail_newest(const struct cairn_tail *tail,
                                               struct cairn_slice stream);
/* The row that holds version or, without one, the last that starts before it; NULL: none does.
 * row: a row of the stream at or behind it. */
const struct cairn_tail_row *cairn_tail_find(const struct cairn_tail *tail,
                                             const struct cairn_tail_row *row, uint64_t version);
/* The row with depth `depth` in the chain of `row`, whose depth is at least that. */
const struct cairn_tail_row *cairn_tail_at_depth(const struct cairn_tail *tail,
                                                 const struct cairn_tail_row *row, uint32_t depth);
/* The row before it in its stream, or NULL. */
const struct cairn_tail_row *cairn_tail_previous(const struct cairn_tail *tail,
                                                 const struct cairn_tail_row *row);
/* The receipt of a key in that partition or, where there is none, in the lowest one that has it. */
const struct cairn_tail_receipt *cairn_tail_receipt(const struct cairn_tail *tail,
                                                    struct cairn_slice key, uint16_t preferred);
/* The entries of tail->streams or tail->receipts (table is one of the two) in the order of their
 * names, receipts of one key in that of their partitions: entries[table->count], each a struct
 * cairn_tail_stream or cairn_tail_receipt, in memory that the caller frees with cairn_mem_free.
 * ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_tail_sorted(const struct cairn_tail *tail,
                                                 const struct cairn_tail_table *table,
                                                 const void ***ret_entries);
struct cairn_slice cairn_tail_stream_name(const struct cairn_tail_stream *stream);
struct cairn_slice cairn_tail_receipt_key(const struct cairn_tail_receipt *receipt);
/* Forget everything, keep the memory. */
void cairn_tail_clear(struct cairn_tail *tail);
void cairn_tail_fini(struct cairn_tail *tail);

#endif
