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
    uint16_t partition;
};

/* What the appends of one lane need; its caller's alone. */
struct cairn_store_lane {
    struct cairn_append **accepted;
    uint16_t *partitions; /* where each goes */
    uint64_t *locators;
    struct cairn_index_entry *entries;
    size_t cap;                      /* of the four */
    struct cairn_commit_part *parts; /* one for each partition of the lane */
    struct cairn_pending *pending;
    size_t pending_cap; /* power of two, at least twice the group */
    uint64_t round;
};

/* What a delivery needs; kept for the next one. */
struct cairn_store_intake {
    struct cairn_store_lane lane;
    struct cairn_index_head *heads; /* of the streams it meets */
    uint32_t *streams;              /* of each append: which head */
    size_t cap;                     /* of the two */
    struct cairn_store_intake *next;
};

struct cairn_store {
    struct cairn_backend *backend;
    struct cairn_index *index;
    struct cairn_store_lane *lanes; /* lane_count */
    uint16_t lane_count;
    uint16_t partitions;
    bool writer;
    int64_t opened_us;
    const struct cairn_clock *clock;
    struct cairn_log *log_lines;
    atomic_bool stopped;
    pthread_mutex_t lock; /* guards what follows; never held across I/O */
    pthread_cond_t turn;
    struct cairn_err why;               /* the store stopped */
    struct cairn_store_intake *intakes; /* not in use */
    bool following; /* a thread of a reading process reads the log into the index */
    struct cairn_metric *metric_events, *metric_groups, *metric_commit_seconds, *metric_stopped,
        *metric_delivered;
};

/* store.c: as cairn_store_open, on a backend that is open already. Takes it: it is closed with the
 * store, and on failure. */
CAIRN_MUST_CHECK enum cairn_rc cairn_store_open_on(const struct cairn_store_options *options,
                                                   struct cairn_backend *backend,
                                                   struct cairn_store **ret_store,
                                                   struct cairn_err *err);

/* Take no more appends, for that reason. The first one counts. thread: any. */
void cairn_store_stop(struct cairn_store *store, const struct cairn_err *why);

/* store_append.c: room for count appends to `parts` partitions. */
CAIRN_MUST_CHECK enum cairn_rc cairn_store_lane_reserve(struct cairn_store_lane *lane, size_t count,
                                                        size_t parts, struct cairn_err *err);
void cairn_store_lane_fini(struct cairn_store_lane *lane);
/* The place of a stream among those that the group has met; another round's: free. */
struct cairn_pending *cairn_store_pending(struct cairn_store_lane *lane, struct cairn_slice stream);
/* Take what a commit put into one partition into the index, which has room. Returns its events. */
uint64_t cairn_store_apply(struct cairn_store *store, struct cairn_store_lane *lane,
                           const struct cairn_commit *commit, const struct cairn_commit_part *part);

/* store_deliver.c */
void cairn_store_intakes_free(struct cairn_store *store);

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
