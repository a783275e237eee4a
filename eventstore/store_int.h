/* The store's own state, for the store*.c of this folder alone. */
#ifndef CAIRN_EVENTSTORE_STORE_INT_H
#define CAIRN_EVENTSTORE_STORE_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "eventstore/index.h"

/* A stream that the group at hand has met. */
struct cairn_pending {
    uint64_t round; /* of the group it belongs to; others are free */
    struct cairn_slice stream;
    uint64_t version; /* after the appends so far */
};

/* What one partition's appends need; its caller's alone. */
struct cairn_store_part {
    struct cairn_append **accepted;
    uint64_t *locators;
    struct cairn_index_entry *entries;
    size_t cap; /* of the three */
    struct cairn_pending *pending;
    size_t pending_cap; /* power of two, at least twice the group */
    uint64_t round;
};

struct cairn_store {
    struct cairn_backend *backend;
    struct cairn_index *index;
    struct cairn_store_part *parts; /* of a writer */
    uint16_t partitions;
    bool writer;
    int64_t opened_us;
    const struct cairn_clock *clock;
    struct cairn_log *log_lines;
    atomic_bool stopped;
    pthread_mutex_t lock; /* guards what follows; never held across I/O */
    pthread_cond_t turn;
    struct cairn_err why; /* the store stopped */
    bool following;       /* a thread of a reading process reads the log into the index */
    struct cairn_metric *metric_events, *metric_groups, *metric_commit_seconds, *metric_stopped;
};

/* store.c: as cairn_store_open, on a backend that is open already. Takes it: it is closed with the
 * store, and on failure. */
CAIRN_MUST_CHECK enum cairn_rc cairn_store_open_on(const struct cairn_store_options *options,
                                                   struct cairn_backend *backend,
                                                   struct cairn_store **ret_store,
                                                   struct cairn_err *err);

/* store_follow.c: read the log into the index up to its end. progress: write lines about it. */
CAIRN_MUST_CHECK enum cairn_rc cairn_store_follow(struct cairn_store *store, bool progress,
                                                  struct cairn_err *err);
/* In a process that only reads: make the index as fresh as the log is now. ESTOPPED: the log that
 * was opened is no more. */
CAIRN_MUST_CHECK enum cairn_rc cairn_store_catch_up(struct cairn_store *store,
                                                    struct cairn_err *err);

/* A read failed with rc: where that is so because the log that was opened is no more, say that. */
enum cairn_rc cairn_store_blame(struct cairn_store *store, enum cairn_rc rc, struct cairn_err *err);

#endif
