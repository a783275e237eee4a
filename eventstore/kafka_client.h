/* Handles of librdkafka, made one way: the settings that the log's promises rest on, then whatever
 * properties the operator passes through. For the kafka*.c of this folder alone. */
#ifndef CAIRN_EVENTSTORE_KAFKA_CLIENT_H
#define CAIRN_EVENTSTORE_KAFKA_CLIENT_H

#include "eventstore/kafka_property.h"
#include "platform/clock.h"
#include "platform/log.h"

struct rd_kafka_s; /* rd_kafka_t */

/* How to reach the cluster. Borrowed texts: they outlive every handle. */
struct cairn_kafka_options {
    const char *brokers;    /* "host:port,host:port" */
    const char *properties; /* librdkafka properties, one "name=value" a line; NULL: none. A value
                             * "file:PATH" stands for the content of PATH without its last newline,
                             * so that no secret is seen in a process list */
    struct cairn_slice domain;
    struct cairn_log *log_lines; /* may be NULL */
};

enum cairn_kafka_kind {
    CAIRN_KAFKA_ADMIN,        /* metadata, configurations; sees the high watermark */
    CAIRN_KAFKA_PRODUCER,     /* idempotent, acks=all, no transaction: the control topic */
    CAIRN_KAFKA_TRANSACTIONS, /* needs a transactional id */
    CAIRN_KAFKA_READER        /* read_committed, partitions assigned by hand, messages and partition
                               * ends from rd_kafka_consumer_poll */
};

struct cairn_kafka_handle_options {
    enum cairn_kafka_kind kind;
    const char *transactional_id; /* of TRANSACTIONS */
    /* Of a producer: one call for each message, from within flush, commit or poll. failed: 0, or
     * librdkafka's code. opaque: the message's. NULL: nobody wants to know. */
    void (*delivered)(void *self, void *opaque, int failed, int64_t offset);
    void *self;
};

/* A property that the log's promises rest on (isolation.level, enable.idempotence, acks,
 * transactional.id, enable.auto.commit, ...) may not be set: EINVAL names it, as it names a
 * property that librdkafka does not know. errors: EINVAL, ENOENT and EIO (a file: value), ENOMEM.
 * Does not wait for a broker. What librdkafka logs goes to log_lines, component "kafka"; the
 * handle's opaque is taken. thread: any. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_kafka_handle_new(const struct cairn_kafka_options *options,
                       const struct cairn_kafka_handle_options *handle,
                       struct rd_kafka_s **ret_handle, struct cairn_err *err);
/* Accepts NULL. Blocks for as long as its threads need to end. Every queue, topic and message of it
 * must have been given back. */
void cairn_kafka_handle_free(struct rd_kafka_s *handle);

/* What last went wrong between the handle and a broker ("127.0.0.1:9092: Connect to ... failed:
 * Connection refused"), NUL-ended; empty when nothing did. It tells why a call timed out. thread:
 * any. */
#define CAIRN_KAFKA_TROUBLE_MAX 160
void cairn_kafka_handle_trouble(const struct rd_kafka_s *handle, char out[CAIRN_KAFKA_TROUBLE_MAX]);

/* What to look at where the brokers do not let the handle in: names of properties, static. NULL
 * where the last trouble was another, or none. thread: any. */
const char *cairn_kafka_handle_refusal(const struct rd_kafka_s *handle);

/* librdkafka's code as one of ours: fenced, timed out, unknown topic, not authorised, ... Never OK:
 * a code that is no failure is EINTERNAL. */
enum cairn_rc cairn_kafka_rc(int code);

/* Monotonic time, for deadlines. */
static inline int64_t cairn_kafka_now_ms(void)
{
    return cairn_clock_monotonic_ns(cairn_clock_system()) / 1000000;
}

/* Milliseconds until then, 0 when it is over. */
static inline int cairn_kafka_left_ms(int64_t until_ms)
{
    int64_t left = until_ms - cairn_kafka_now_ms();
    return left > 0 ? (int)left : 0;
}

#endif
