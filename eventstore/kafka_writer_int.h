/* The inside of a lane's writer: its rotation of producers. */
#ifndef CAIRN_EVENTSTORE_KAFKA_WRITER_INT_H
#define CAIRN_EVENTSTORE_KAFKA_WRITER_INT_H

#include <pthread.h>

#include "eventstore/kafka_writer.h"
#include "platform/clock.h"

struct rd_kafka_topic_s; /* rd_kafka_topic_t */

#define CAIRN_KAFKA_ID_SIZE (CAIRN_KAFKA_DOMAIN_SIZE_MAX + 32)

/* One transactional id. */
struct cairn_kafka_producer {
    struct cairn_kafka_writer *writer;
    char id[CAIRN_KAFKA_ID_SIZE]; /* transactional id */
    struct rd_kafka_s *handle;
    struct rd_kafka_topic_s *topics[CAIRN_KAFKA_TOPICS_MAX]; /* in the layout's order */
    /* While it is opened. */
    pthread_t thread;
    bool keeps; /* it is one of the rotation, not only fenced */
    enum cairn_rc rc;
    struct cairn_err err;
};

struct cairn_kafka_writer {
    struct cairn_kafka_writer_options options;
    struct cairn_kafka_producer producers[CAIRN_KAFKA_IDS_MAX];
    unsigned turn; /* the producer that has rested longest: they take turns in a ring */
    bool begun;    /* the group has a transaction */
    bool broken;
    int refused;      /* librdkafka's code: why a record of the group was not delivered; 0: none */
    int64_t *offsets; /* of the group's records, NO_OFFSET until delivered */
    size_t count, cap;
};

/* A delivery report, from within commit or poll, thus on the owner's thread. self: the writer,
 * opaque: the record's index in the group. */
void cairn_kafka_writer_note(void *self, void *opaque, int failed, int64_t offset);

#endif
