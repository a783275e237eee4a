#include <assert.h>

#include <librdkafka/rdkafka.h>

#include "eventstore/kafka_tail_int.h"

enum {
    IDLE_WAIT_MS = 500,        /* a start, a stop and an event all end it */
    ROUND_BYTES_MAX = 16 << 20 /* of values, besides the last one */
};

enum cairn_rc cairn_kafka_tail_name(const struct cairn_kafka_tail *tail, uint16_t partition,
                                    enum cairn_rc rc, struct cairn_err *err)
{
    return cairn_err_wrap(err, rc, "topic %s, partition %d",
                          rd_kafka_topic_name(cairn_kafka_tail_topic(tail, partition)),
                          (int)cairn_kafka_tail_lane(tail, partition));
}

static void reach(struct cairn_kafka_tail *tail, uint16_t partition, uint64_t source)
{
    (void)pthread_mutex_lock(&tail->lock);
    if (tail->partitions[partition].reached < source) {
        tail->partitions[partition].reached = source;
        (void)pthread_cond_broadcast(&tail->changed);
    }
    (void)pthread_mutex_unlock(&tail->lock);
}

/* Hand over the whole commands of a partition. */
static enum cairn_rc deliver(struct cairn_kafka_tail *tail, uint16_t partition,
                             struct cairn_err *err)
{
    struct cairn_kafka_tail_partition *one = &tail->partitions[partition];
    const struct cairn_kafka_layout *layout = tail->options.layout;
    struct cairn_slice aggregate = cairn_slice_str(layout->aggregates[partition / layout->lanes]);
    struct cairn_kafka_delivery delivery;
    enum cairn_rc rc = cairn_kafka_assembly_put(&tail->assembly, partition, aggregate, &one->gather,
                                                &delivery, err);
    if (rc != CAIRN_OK) {
        return cairn_kafka_tail_name(tail, partition, rc, err);
    }
    if (delivery.count > 0) {
        rc = tail->options.deliver(tail->options.self, &delivery, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        cairn_kafka_gather_drop(&one->gather, delivery.source);
        reach(tail, partition, delivery.source);
    }
    return CAIRN_OK;
}

/* The reader stands at the end of what is committed. A transaction becomes visible as a whole, so
 * a command that is not whole here never will be. */
static enum cairn_rc take_end(struct cairn_kafka_tail *tail, uint16_t partition, int64_t offset,
                              struct cairn_err *err)
{
    struct cairn_kafka_gather *gather = &tail->partitions[partition].gather;
    if (cairn_kafka_gather_is_ripe(gather)) {
        enum cairn_rc rc = deliver(tail, partition, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    if (gather->count > 0) {
        (void)CAIRN_FAIL(
            err, CAIRN_ECORRUPT,
            "the log ends before offset %lld, amid a command: it has %zu of %zu events",
            (long long)offset, gather->count, gather->needed);
        return cairn_kafka_tail_name(tail, partition, CAIRN_ECORRUPT, err);
    }
    reach(tail, partition, (uint64_t)offset);
    return CAIRN_OK;
}

/* An error in place of a record. Those that a cluster in trouble gives pass by themselves. */
static enum cairn_rc take_error(struct cairn_kafka_tail *tail, uint16_t partition,
                                const rd_kafka_message_t *message, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    switch ((int)message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        return take_end(tail, partition, message->offset, err);
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        rc = CAIRN_FAIL(err, CAIRN_ECORRUPT, "records are gone: %s",
                        rd_kafka_message_errstr(message));
        break;
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
        rc = CAIRN_FAIL(err, CAIRN_ECORRUPT, "damaged: %s", rd_kafka_message_errstr(message));
        break;
    default:
        cairn_log_event(tail->options.kafka.log_lines, CAIRN_LOG_WARN, "eventstore", "tail_waits",
                        CAIRN_F_UINT("partition", partition),
                        CAIRN_F_STR("detail", rd_kafka_message_errstr(message)));
        return CAIRN_OK;
    }
    return cairn_kafka_tail_name(tail, partition, rc, err);
}

/* Take a message, or destroy it. */
static enum cairn_rc take(struct cairn_kafka_tail *tail, rd_kafka_message_t *message,
                          struct cairn_err *err)
{
    if (message->rkt == NULL) { /* of the handle, not of a partition: a broker is away */
        rd_kafka_message_destroy(message);
        return CAIRN_OK;
    }
    const uint16_t *index = rd_kafka_topic_opaque(message->rkt);
    assert(index != NULL && message->partition >= 0);
    assert(message->partition < tail->options.layout->lanes);
    uint16_t partition =
        (uint16_t)(*index * tail->options.layout->lanes + (uint16_t)message->partition);
    enum cairn_rc rc = CAIRN_OK;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rc = cairn_kafka_gather_add(&tail->partitions[partition].gather, message, err);
        message = rc == CAIRN_OK ? NULL : message;
    } else {
        rc = take_error(tail, partition, message, err);
    }
    if (message != NULL) {
        rd_kafka_message_destroy(message);
    }
    return rc;
}

/* Records until none waits, or a round is full; then deliveries. */
static enum cairn_rc read_round(struct cairn_kafka_tail *tail, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    int wait_ms = IDLE_WAIT_MS;
    size_t bytes = 0;
    for (size_t i = 0; i < CAIRN_KAFKA_TAIL_EVENTS_MAX && bytes < ROUND_BYTES_MAX; i++) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(tail->queue, wait_ms);
        if (message == NULL) {
            break;
        }
        bytes += message->len;
        rc = take(tail, message, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        wait_ms = 0;
    }
    for (uint16_t i = 0; rc == CAIRN_OK && i < tail->partition_count; i++) {
        if (cairn_kafka_gather_is_ripe(&tail->partitions[i].gather)) {
            rc = deliver(tail, i, err);
        }
    }
    /* What concerns the handle and no partition comes here: it must be taken, and passes. */
    rd_kafka_message_t *message = rd_kafka_consumer_poll(tail->reader, 0);
    if (message != NULL) {
        rd_kafka_message_destroy(message);
    }
    return rc;
}

static enum cairn_rc begin_partition(struct cairn_kafka_tail *tail, uint16_t partition,
                                     uint64_t source, struct cairn_err *err)
{
    if (rd_kafka_consume_start_queue(cairn_kafka_tail_topic(tail, partition),
                                     cairn_kafka_tail_lane(tail, partition), (int64_t)source,
                                     tail->queue) != 0) {
        rd_kafka_resp_err_t code = rd_kafka_last_error();
        (void)CAIRN_FAIL(err, cairn_kafka_rc(code), "start reading: %s", rd_kafka_err2str(code));
        return cairn_kafka_tail_name(tail, partition, err->rc, err);
    }
    return CAIRN_OK;
}

/* librdkafka drops what it has fetched already; so do we. */
static void end_partition(struct cairn_kafka_tail *tail, uint16_t partition)
{
    int failed = rd_kafka_consume_stop(cairn_kafka_tail_topic(tail, partition),
                                       cairn_kafka_tail_lane(tail, partition));
    assert(failed == 0);
    (void)failed;
    cairn_kafka_gather_fini(&tail->partitions[partition].gather);
}

/* Carry out what start and stop asked for. librdkafka's own calls block, so none under the lock. */
static enum cairn_rc serve_wishes(struct cairn_kafka_tail *tail, bool *ret_stopping,
                                  struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    (void)pthread_mutex_lock(&tail->lock);
    for (uint16_t i = 0; rc == CAIRN_OK && i < tail->partition_count; i++) {
        struct cairn_kafka_tail_partition *partition = &tail->partitions[i];
        enum cairn_kafka_reading wish = partition->reading;
        uint64_t source = partition->reached;
        if (wish != CAIRN_KAFKA_STARTING && wish != CAIRN_KAFKA_STOPPING) {
            continue;
        }
        partition->reading = CAIRN_KAFKA_READING; /* a stop that comes now is seen next time */
        (void)pthread_mutex_unlock(&tail->lock);
        if (wish == CAIRN_KAFKA_STARTING) {
            rc = begin_partition(tail, i, source, err);
        } else {
            end_partition(tail, i);
        }
        (void)pthread_mutex_lock(&tail->lock);
        if (wish == CAIRN_KAFKA_STOPPING || rc != CAIRN_OK) {
            partition->reading = CAIRN_KAFKA_IDLE;
            (void)pthread_cond_broadcast(&tail->changed);
        }
    }
    *ret_stopping = tail->stopping;
    (void)pthread_mutex_unlock(&tail->lock);
    return rc;
}

/* Stop all partitions, and tell those who wait. */
static void finish(struct cairn_kafka_tail *tail, enum cairn_rc rc, const struct cairn_err *err)
{
    for (uint16_t i = 0; i < tail->partition_count; i++) {
        (void)pthread_mutex_lock(&tail->lock);
        enum cairn_kafka_reading reading = tail->partitions[i].reading;
        (void)pthread_mutex_unlock(&tail->lock);
        if (reading == CAIRN_KAFKA_READING || reading == CAIRN_KAFKA_STOPPING) {
            end_partition(tail, i);
        }
    }
    (void)pthread_mutex_lock(&tail->lock);
    for (uint16_t i = 0; i < tail->partition_count; i++) {
        tail->partitions[i].reading = CAIRN_KAFKA_IDLE;
    }
    tail->ended = true;
    if (rc != CAIRN_OK) {
        tail->why = *err;
    }
    (void)pthread_cond_broadcast(&tail->changed);
    (void)pthread_mutex_unlock(&tail->lock);
    if (rc != CAIRN_OK) {
        tail->options.failed(tail->options.self, err);
    }
}

void *cairn_kafka_tail_run(void *self)
{
    struct cairn_kafka_tail *tail = self;
    struct cairn_err err = {.rc = CAIRN_OK};
    bool stopping = false;
    enum cairn_rc rc = serve_wishes(tail, &stopping, &err);
    while (rc == CAIRN_OK && !stopping) {
        rc = read_round(tail, &err);
        if (rc == CAIRN_OK) {
            rc = serve_wishes(tail, &stopping, &err);
        }
    }
    finish(tail, rc, &err);
    return NULL;
}
