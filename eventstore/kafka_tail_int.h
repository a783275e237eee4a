/* The inside of the tail: what it holds of each partition, how records become whole commands, and
 * the thread that reads them. */
#ifndef CAIRN_EVENTSTORE_KAFKA_TAIL_INT_H
#define CAIRN_EVENTSTORE_KAFKA_TAIL_INT_H

#include <pthread.h>

#include "eventstore/kafka_tail.h"

struct rd_kafka_message_s; /* rd_kafka_message_t */
struct rd_kafka_queue_s;   /* rd_kafka_queue_t */
struct rd_kafka_topic_s;   /* rd_kafka_topic_t */

/* Events that one delivery can hold: a command begun in the round before, and a whole round. */
#define CAIRN_KAFKA_TAIL_DELIVERY_MAX (CAIRN_KAFKA_TAIL_EVENTS_MAX + CAIRN_EVENTS_PER_COMMAND_MAX)
#define CAIRN_KAFKA_TAIL_ARENA_MAX    ((size_t)64 * 1024 * 1024)

/* Records of one partition in the order of the log, from the first event of a command on. */
struct cairn_kafka_gather {
    struct rd_kafka_message_s **messages; /* owned, and each of them */
    size_t count, cap;
    size_t needed; /* before so many are there no command is whole */
};

/* Takes the message where it succeeds. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_gather_add(struct cairn_kafka_gather *gather,
                                                      struct rd_kafka_message_s *message,
                                                      struct cairn_err *err);
/* May a whole command be there? */
static inline bool cairn_kafka_gather_is_ripe(const struct cairn_kafka_gather *gather)
{
    return gather->count > 0 && gather->count >= gather->needed;
}
void cairn_kafka_gather_fini(struct cairn_kafka_gather *gather);

/* Where messages become whole commands; one serves all partitions in turn. */
struct cairn_kafka_assembly {
    struct cairn_slice domain;
    struct cairn_event *events;   /* owned; CAIRN_KAFKA_TAIL_DELIVERY_MAX */
    struct cairn_append *appends; /* owned; as many */
    struct cairn_arena arena;
};

CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_assembly_init(struct cairn_kafka_assembly *assembly,
                                                         struct cairn_slice domain,
                                                         struct cairn_err *err);
void cairn_kafka_assembly_fini(struct cairn_kafka_assembly *assembly);
/* The whole commands of what was gathered; ret_delivery borrows from both until the next call, and
 * its count may be 0. errors: ECORRUPT (a record that is no event, a command torn apart: names the
 * offset), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_kafka_assembly_put(struct cairn_kafka_assembly *assembly, uint16_t partition,
                         struct cairn_slice aggregate, struct cairn_kafka_gather *gather,
                         struct cairn_kafka_delivery *ret_delivery, struct cairn_err *err);
/* Drop the records of whole commands, which lie before Kafka offset `source`. */
void cairn_kafka_gather_drop(struct cairn_kafka_gather *gather, uint64_t source);

/* What is done with a partition, and who takes the step: IDLE -> STARTING (start) -> READING
 * (thread) -> STOPPING (stop) -> IDLE (thread). */
enum cairn_kafka_reading {
    CAIRN_KAFKA_IDLE,
    CAIRN_KAFKA_STARTING,
    CAIRN_KAFKA_READING,
    CAIRN_KAFKA_STOPPING
};

struct cairn_kafka_tail_partition {
    /* Under the tail's lock. */
    enum cairn_kafka_reading reading;
    uint64_t reached; /* everything before this Kafka offset was delivered */
    /* The thread's. */
    struct cairn_kafka_gather gather;
};

struct cairn_kafka_tail {
    struct cairn_kafka_tail_options options;
    uint16_t partition_count;
    struct cairn_kafka_tail_partition *partitions;
    struct rd_kafka_s *reader;
    struct rd_kafka_s *admin; /* sees the high watermark; its calls may block */
    struct rd_kafka_queue_s *queue;
    struct rd_kafka_topic_s *topics[CAIRN_KAFKA_TOPICS_MAX]; /* of reader, in the layout's order */
    uint16_t indexes[CAIRN_KAFKA_TOPICS_MAX]; /* of topics: what their opaques point to */
    struct cairn_kafka_assembly assembly;     /* the thread's */
    pthread_t thread;
    bool running; /* there is a thread to join */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a partition's state, how far it was read, or the end of the tail */
    bool stopping;
    bool ended;           /* nothing is delivered any more */
    struct cairn_err why; /* of an end by itself; rc is CAIRN_OK until then */
};

/* The thread: reads until stopping is set or something fails. self: the tail. */
void *cairn_kafka_tail_run(void *self);

static inline struct rd_kafka_topic_s *cairn_kafka_tail_topic(const struct cairn_kafka_tail *tail,
                                                              uint16_t partition)
{
    return tail->topics[partition / tail->options.layout->lanes];
}

static inline int32_t cairn_kafka_tail_lane(const struct cairn_kafka_tail *tail, uint16_t partition)
{
    return partition % tail->options.layout->lanes;
}

/* "topic T, partition P" in front of what err says. */
enum cairn_rc cairn_kafka_tail_name(const struct cairn_kafka_tail *tail, uint16_t partition,
                                    enum cairn_rc rc, struct cairn_err *err);

#endif
