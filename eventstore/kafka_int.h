/* The Kafka backend's own state, for kafka.c, kafka_lane.c and kafka_group.c alone. */
#ifndef CAIRN_EVENTSTORE_KAFKA_INT_H
#define CAIRN_EVENTSTORE_KAFKA_INT_H

#include <pthread.h>

#include "eventstore/kafka_control.h"
#include "eventstore/kafka_tail.h"
#include "eventstore/kafka_writer.h"
#include "eventstore/replica.h"

#define CAIRN_KAFKA_OPEN_TIMEOUT_MS   15000
#define CAIRN_KAFKA_COMMIT_TIMEOUT_MS 8000
/* How long a failed group waits for the log to tell what became of it. */
#define CAIRN_KAFKA_TRUTH_TIMEOUT_MS 3000
/* The cluster is taken for lost: some thirty beats did not come back. Whoever waits for it all the
 * same waits only so long. */
#define CAIRN_KAFKA_SILENCE_MS_MAX    3000
#define CAIRN_KAFKA_SILENT_TIMEOUT_MS 500
/* A lane whose writer broke is mended at most this often. */
#define CAIRN_KAFKA_MEND_PAUSE_MS 250

struct cairn_kafka;

/* A lane as this node has it. */
struct cairn_kafka_lane {
    struct cairn_kafka *kafka;
    uint16_t number;
    pthread_mutex_t lock; /* guards serving and busy; never held across I/O */
    pthread_cond_t idle;  /* busy became false */
    bool serving;         /* this node's by the control topic's word, which it has heard */
    bool busy;            /* a thread is at the fields below */
    /* Of whoever made it busy. */
    bool held;     /* fenced and read to its end: the tail reads its partitions no more */
    uint64_t term; /* counts how often it was held */
    struct cairn_kafka_writer *writer; /* NULL: broken, or not held */
    int64_t mended_ms;                 /* when mending was last tried, cairn_kafka_now_ms */
    struct cairn_arena arena;          /* of the group being written */
};

struct cairn_kafka {
    struct cairn_backend backend;
    struct cairn_backend *replica;
    struct cairn_store *store;          /* where deliveries go; set by start */
    struct cairn_kafka_options options; /* its texts are those below and the layout's */
    char *brokers;
    char *properties; /* NULL: none */
    struct cairn_kafka_layout layout;
    bool json[CAIRN_KAFKA_TOPICS_MAX]; /* of each topic of the layout: values are written as JSON */
    uint16_t ids;
    bool appends; /* wants lanes */
    const struct cairn_clock *clock;
    struct cairn_log *log_lines;
    struct cairn_kafka_tail *tail;
    struct cairn_kafka_control *control; /* NULL before announce */
    struct cairn_kafka_lane *lanes;      /* layout.lanes of them */
    char node[CAIRN_NODE_ID_MAX + 1];
};

/* kafka_lane.c: what the control topic wishes. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_lane_take(void *self, uint16_t number,
                                                     uint16_t fence_ids, struct cairn_err *err);
void cairn_kafka_lane_serve(void *self, uint16_t number);
void cairn_kafka_lane_stop(void *self, uint16_t number);

/* One thread at a time has the lane. Lock and condition are only held for a moment. */
void cairn_kafka_lane_acquire(struct cairn_kafka_lane *lane);
void cairn_kafka_lane_release(struct cairn_kafka_lane *lane);
/* thread: any. */
bool cairn_kafka_lane_serves(struct cairn_kafka_lane *lane);
/* ENOOWNER, and says so. */
enum cairn_rc cairn_kafka_lane_refuse(const struct cairn_kafka_lane *lane, struct cairn_err *err);
/* The lane's partition of a topic. */
uint16_t cairn_kafka_lane_partition(const struct cairn_kafka_lane *lane, uint16_t topic);

/* The caller has the lane for these two. */
/* Everything that is in the lane's partitions now is in the replica, too. The lane must not be
 * held. errors: ETIMEDOUT, those of the tail. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_lane_read_to_end(struct cairn_kafka_lane *lane,
                                                            int timeout_ms, struct cairn_err *err);
/* The writer is broken: where this node still owns the lane, hold it anew, so that the replica has
 * whatever became of the group in doubt. errors: ENOOWNER (the lane is let go); all else: it cannot
 * be known now, and the lane is not held. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_lane_mend(struct cairn_kafka_lane *lane,
                                                     struct cairn_err *err);

/* As cairn_store_begin. Mends a writer that broke. errors: ENOOWNER, EBUSY. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_lane_begin(struct cairn_backend *backend,
                                                      uint16_t number, uint64_t *ret_term,
                                                      struct cairn_err *err);
/* kafka_group.c. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_lane_commit(struct cairn_backend *backend,
                                                       struct cairn_commit *commit,
                                                       struct cairn_err *err);

#endif
