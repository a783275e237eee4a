/* The index's own state, for the index*.c of this folder alone. */
#ifndef CAIRN_EVENTSTORE_INDEX_INT_H
#define CAIRN_EVENTSTORE_INDEX_INT_H

#include <pthread.h>

#include "eventstore/index.h"
#include "eventstore/tail.h"
#include "platform/kv.h"
#include "platform/map.h"

struct cairn_index_mark {
    uint64_t offset;
    uint64_t locator;
    uint16_t partition;
};

/* A stretch of the log in memory. */
struct cairn_generation {
    struct cairn_tail tail;
    struct cairn_index_mark *marks; /* ascending in each partition */
    size_t mark_count, mark_cap;
    struct cairn_resume ends[CAIRN_PARTITIONS_MAX]; /* of the log, when it was the newest */
    uint64_t streams;                               /* then */
};

struct cairn_snapshot {
    uint64_t version;
    size_t size;
    unsigned char code_hash[16];
    char state[];
};

enum cairn_index_table {
    CAIRN_INDEX_META,
    CAIRN_INDEX_ROWS,
    CAIRN_INDEX_RECEIPTS,
    CAIRN_INDEX_OFFSETS,
    CAIRN_INDEX_SNAPSHOTS,
    CAIRN_INDEX_TABLES
};

struct cairn_index {
    struct cairn_index_options options;
    char folder[CAIRN_PATH_MAX];
    struct cairn_kv *kv; /* NULL: a reader whose writer has not made one yet */
    cairn_kv_table_id tables[CAIRN_INDEX_TABLES];
    pthread_rwlock_t kv_lock; /* read: kv is in use; write: it is opened or closed */

    pthread_rwlock_t lock; /* guards the rest; never held across I/O */
    struct cairn_generation *generations[CAIRN_INDEX_GENERATIONS_MAX]; /* oldest first */
    size_t generation_count;
    struct cairn_generation *spare;
    size_t reserved; /* appends for which room was promised */
    struct cairn_resume applied[CAIRN_PARTITIONS_MAX];
    struct cairn_resume checkpoint[CAIRN_PARTITIONS_MAX]; /* of LMDB */
    uint64_t streams, checkpoint_streams;
    uint64_t marked[CAIRN_PARTITIONS_MAX]; /* offset of the last mark */
    struct cairn_map snapshots;            /* stream -> struct cairn_snapshot, waiting */
    size_t snapshot_bytes;
    struct cairn_map flushing; /* being written */

    pthread_mutex_t signal; /* guards what follows */
    pthread_cond_t wanted;  /* somebody wants a flush */
    pthread_cond_t flushed; /* one has ended */
    pthread_t thread;
    bool thread_runs, stopping, flush_wanted, flush_busy;
    uint64_t flush_rounds;
    struct cairn_err flush_err; /* of the last round; rc OK: it worked */

    struct cairn_metric *metric_flushes, *metric_flush_seconds, *metric_tail_events,
        *metric_snapshots_dropped;
};

/* index.c */
CAIRN_MUST_CHECK enum cairn_rc cairn_index_push(struct cairn_index *index, struct cairn_err *err);
/* Drop the oldest generation. Called with the lock held for writing. */
void cairn_index_drop_oldest(struct cairn_index *index);

/* index_file.c: LMDB. */
CAIRN_MUST_CHECK enum cairn_rc cairn_index_file_open(struct cairn_index *index,
                                                     struct cairn_err *err);
void cairn_index_file_close(struct cairn_index *index);
/* Reader: the writer may have made a new file in the place of the one that is open. Take it where
 * there is one that holds at least what the open one does; else all stays as it is. */
CAIRN_MUST_CHECK enum cairn_rc cairn_index_file_reopen(struct cairn_index *index,
                                                       struct cairn_err *err);
/* LMDB's checkpoint. ENOENT: it has none and holds nothing. EEXIST (err untouched): it is of
 * another log or format. Both outputs are untouched then. */
CAIRN_MUST_CHECK enum cairn_rc cairn_index_file_state(struct cairn_index *index,
                                                      struct cairn_resume *ret_checkpoint,
                                                      uint64_t *ret_streams, struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_index_file_wipe(struct cairn_index *index,
                                                     struct cairn_err *err);
/* Write a generation and the waiting snapshots in one transaction. generation may be NULL. */
CAIRN_MUST_CHECK enum cairn_rc cairn_index_file_write(struct cairn_index *index,
                                                      const struct cairn_generation *generation,
                                                      struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_index_file_head(struct cairn_index *index,
                                                     struct cairn_slice stream,
                                                     uint64_t *ret_version, struct cairn_err *err);
/* Those whose version is 0 so far. */
CAIRN_MUST_CHECK enum cairn_rc cairn_index_file_heads(struct cairn_index *index,
                                                      struct cairn_index_head *heads, size_t count,
                                                      struct cairn_err *err);
/* As cairn_index_rows; FORWARD stops before `below` (0: no end). */
CAIRN_MUST_CHECK enum cairn_rc cairn_index_file_rows(struct cairn_index *index,
                                                     struct cairn_slice stream, uint64_t version,
                                                     enum cairn_direction direction, uint64_t below,
                                                     struct cairn_index_row *rows, size_t max,
                                                     size_t *ret_count, struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc
cairn_index_file_receipt(struct cairn_index *index, struct cairn_slice key, uint16_t preferred,
                         uint16_t *ret_partition, uint64_t *ret_locator, struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_index_file_near(struct cairn_index *index, uint16_t partition,
                                                     uint64_t offset, struct cairn_resume *ret_from,
                                                     struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc
cairn_index_file_snapshot(struct cairn_index *index, struct cairn_slice stream,
                          const unsigned char code_hash[16], struct cairn_arena *arena,
                          uint64_t *ret_version, struct cairn_slice *ret_state,
                          struct cairn_err *err);

#endif
