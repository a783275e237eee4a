/* The Kafka backend's own state, for kafka.c and kafka_lane.c alone. */
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
/* A lane whose writer broke is mended at most this often. */
#define CAIRN_KAFKA_MEND_PAUSE_MS 250

struct cairn_kafka;

/* A lane as this node holds it. Between take and leave the tail does not read its partitions. */
struct cairn_kafka_lane {
    struct cairn_kafka *kafka;
    uint16_t number;
    pthread_mutex_t lock; /* guards held, serving, busy, term; never held across I/O */
    pthread_cond_t idle;  /* busy became false */
    bool held;            /* taken: fenced and read to its end */
    bool serving;         /* the control topic says so, too */
    bool busy;            /* a thread is at the fields below */
    uint64_t term;        /* counts how often the lane was taken or mended here */
    /* Of whoever made it busy. */
    struct cairn_kafka_writer *writer; /* NULL: broken, or not held */
    int64_t mended_ns;                 /* monotonic time of the last try */
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
    uint16_t ids;
    bool appends; /* wants lanes */
    const struct cairn_clock *clock;
    struct cairn_log *log_lines;
    struct cairn_kafka_tail *tail;
    struct cairn_kafka_control *control; /* NULL before announce */
    struct cairn_kafka_lane *lanes;      /* layout.lanes of them */
    int64_t opened_us;
    char node[CAIRN_NODE_ID_MAX + 1];
};

/* kafka_lane.c: what the control topic wishes. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_lane_take(void *self, uint16_t lane, uint16_t fence_ids,
                                                     struct cairn_err *err);
void cairn_kafka_lane_serve(void *self, uint16_t lane);
void cairn_kafka_lane_stop(void *self, uint16_t lane);
/* May this node append to the lane? Mends a writer that broke. errors: ENOOWNER, EBUSY. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_lane_begin(struct cairn_backend *backend, uint16_t lane,
                                                      uint64_t *ret_term, struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_lane_commit(struct cairn_backend *backend,
                                                       struct cairn_commit *commit,
                                                       struct cairn_err *err);

#endif
