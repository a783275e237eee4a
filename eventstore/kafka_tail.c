#include "eventstore/kafka_tail.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#include "eventstore/kafka_tail_int.h"
#include "platform/clock.h"
#include "platform/fault.h"
#include "platform/mem.h"

enum {
    IDLE_WAIT_MS = 500,         /* a start, a stop and an event all end it */
    ROUND_BYTES_MAX = 16 << 20, /* of values, besides the last one */
    HIGH_TRY_MS = 2000,         /* one request for a watermark */
    HIGH_REST_MS = 20           /* between two of them */
};

/* IDLE -> STARTING (start) -> READING (thread) -> STOPPING (stop) -> IDLE (thread). */
enum reading { IDLE, STARTING, READING, STOPPING };

struct partition {
    /* Under the tail's lock. */
    enum reading reading;
    uint64_t reached; /* everything before this Kafka offset was delivered */
    /* The thread's. */
    struct cairn_kafka_gather gather;
};

struct cairn_kafka_tail {
    struct cairn_kafka_tail_options options;
    uint16_t partition_count;
    struct partition *partitions;
    rd_kafka_t *reader;
    rd_kafka_t *admin; /* sees the high watermark; its calls may block */
    rd_kafka_queue_t *queue;
    rd_kafka_topic_t *topics[CAIRN_KAFKA_TOPICS_MAX];
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

static struct timespec after_ms(int timeout_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return until;
}

static rd_kafka_topic_t *topic_of(const struct cairn_kafka_tail *tail, uint16_t partition)
{
    return tail->topics[partition / tail->options.layout->lanes];
}

static int32_t lane_of(const struct cairn_kafka_tail *tail, uint16_t partition)
{
    return partition % tail->options.layout->lanes;
}

/* "topic T, partition P" in front of what err says. */
static enum cairn_rc name_place(const struct cairn_kafka_tail *tail, uint16_t partition,
                                enum cairn_rc rc, struct cairn_err *err)
{
    return cairn_err_wrap(err, rc, "topic %s, partition %d",
                          rd_kafka_topic_name(topic_of(tail, partition)),
                          (int)lane_of(tail, partition));
}

/* ---- the thread ---- */

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
    struct partition *one = &tail->partitions[partition];
    const struct cairn_kafka_layout *layout = tail->options.layout;
    struct cairn_slice aggregate = cairn_slice_str(layout->aggregates[partition / layout->lanes]);
    struct cairn_kafka_delivery delivery;
    enum cairn_rc rc = cairn_kafka_assembly_put(&tail->assembly, partition, aggregate, &one->gather,
                                                &delivery, err);
    if (rc != CAIRN_OK) {
        return name_place(tail, partition, rc, err);
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
        return name_place(tail, partition, CAIRN_ECORRUPT, err);
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
    return name_place(tail, partition, rc, err);
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
    if (rd_kafka_consume_start_queue(topic_of(tail, partition), lane_of(tail, partition),
                                     (int64_t)source, tail->queue) != 0) {
        rd_kafka_resp_err_t code = rd_kafka_last_error();
        (void)CAIRN_FAIL(err, cairn_kafka_rc(code), "start reading: %s", rd_kafka_err2str(code));
        return name_place(tail, partition, err->rc, err);
    }
    return CAIRN_OK;
}

/* librdkafka drops what it has fetched already; so do we. */
static void end_partition(struct cairn_kafka_tail *tail, uint16_t partition)
{
    int failed = rd_kafka_consume_stop(topic_of(tail, partition), lane_of(tail, partition));
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
        struct partition *partition = &tail->partitions[i];
        enum reading wish = partition->reading;
        uint64_t source = partition->reached;
        if (wish != STARTING && wish != STOPPING) {
            continue;
        }
        partition->reading = READING; /* a stop that comes now is seen next time */
        (void)pthread_mutex_unlock(&tail->lock);
        if (wish == STARTING) {
            rc = begin_partition(tail, i, source, err);
        } else {
            end_partition(tail, i);
        }
        (void)pthread_mutex_lock(&tail->lock);
        if (wish == STOPPING || rc != CAIRN_OK) {
            partition->reading = IDLE;
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
        enum reading reading = tail->partitions[i].reading;
        (void)pthread_mutex_unlock(&tail->lock);
        if (reading == READING || reading == STOPPING) {
            end_partition(tail, i);
        }
    }
    (void)pthread_mutex_lock(&tail->lock);
    for (uint16_t i = 0; i < tail->partition_count; i++) {
        tail->partitions[i].reading = IDLE;
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

static void *run(void *self)
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

/* ---- for callers ---- */

/* Handles of the topics, each with its index as opaque. */
static enum cairn_rc open_topics(struct cairn_kafka_tail *tail, struct cairn_err *err)
{
    const struct cairn_kafka_layout *layout = tail->options.layout;
    for (uint16_t i = 0; i < layout->topic_count; i++) {
        char name[CAIRN_KAFKA_TOPIC_NAME_MAX + 1];
        cairn_kafka_layout_topic_name(layout, i, name);
        tail->indexes[i] = i;
        rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(tail->reader);
        rd_kafka_topic_conf_set_opaque(conf, &tail->indexes[i]);
        tail->topics[i] = rd_kafka_topic_new(tail->reader, name, conf);
        if (tail->topics[i] == NULL) {
            rd_kafka_topic_conf_destroy(conf);
            return CAIRN_FAIL(err, CAIRN_ENOMEM, "topic %s: %s", name,
                              rd_kafka_err2str(rd_kafka_last_error()));
        }
    }
    return CAIRN_OK;
}

static enum cairn_rc open_handles(struct cairn_kafka_tail *tail, struct cairn_err *err)
{
    const struct cairn_kafka_handle_options admin = {.kind = CAIRN_KAFKA_ADMIN};
    const struct cairn_kafka_handle_options reader = {.kind = CAIRN_KAFKA_READER};
    enum cairn_rc rc = cairn_kafka_handle_new(&tail->options.kafka, &admin, &tail->admin, err);
    if (rc == CAIRN_OK) {
        rc = cairn_kafka_handle_new(&tail->options.kafka, &reader, &tail->reader, err);
    }
    if (rc == CAIRN_OK) {
        tail->queue = rd_kafka_queue_new(tail->reader);
        rc = open_topics(tail, err);
    }
    return rc;
}

static enum cairn_rc start_thread(struct cairn_kafka_tail *tail, struct cairn_err *err)
{
    int os = cairn_fault_hit(CAIRN_FAULT_THREAD) ? EAGAIN
                                                 : pthread_create(&tail->thread, NULL, run, tail);
    if (os != 0) {
        return CAIRN_FAIL(err, CAIRN_EIO, "start a thread: errno %d", os);
    }
    tail->running = true;
    return CAIRN_OK;
}

enum cairn_rc cairn_kafka_tail_new(const struct cairn_kafka_tail_options *options,
                                   struct cairn_kafka_tail **ret_tail, struct cairn_err *err)
{
    assert(options->deliver != NULL && options->failed != NULL);
    assert(options->layout->topic_count >= 1);
    struct cairn_kafka_tail *tail = cairn_mem_zalloc(1, sizeof(*tail));
    if (tail == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for a tail");
    }
    tail->options = *options;
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&tail->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&tail->lock, NULL);
    tail->partition_count = cairn_kafka_layout_partitions(options->layout);
    tail->partitions = cairn_mem_zalloc(tail->partition_count, sizeof(*tail->partitions));
    enum cairn_rc rc = tail->partitions == NULL
                           ? CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for a tail")
                           : cairn_kafka_assembly_init(
                                 &tail->assembly, cairn_slice_str(options->layout->domain), err);
    if (rc == CAIRN_OK) {
        rc = open_handles(tail, err);
    }
    if (rc == CAIRN_OK) {
        rc = start_thread(tail, err);
    }
    if (rc != CAIRN_OK) {
        cairn_kafka_tail_free(tail);
        return rc;
    }
    *ret_tail = tail;
    return CAIRN_OK;
}

void cairn_kafka_tail_free(struct cairn_kafka_tail *tail)
{
    if (tail == NULL) {
        return;
    }
    if (tail->running) {
        (void)pthread_mutex_lock(&tail->lock);
        tail->stopping = true;
        (void)pthread_mutex_unlock(&tail->lock);
        rd_kafka_queue_yield(tail->queue);
        (void)pthread_join(tail->thread, NULL);
    }
    for (size_t i = 0; i < CAIRN_KAFKA_TOPICS_MAX && tail->topics[i] != NULL; i++) {
        rd_kafka_topic_destroy(tail->topics[i]);
    }
    if (tail->queue != NULL) {
        rd_kafka_queue_destroy(tail->queue);
    }
    cairn_kafka_handle_free(tail->reader);
    cairn_kafka_handle_free(tail->admin);
    cairn_kafka_assembly_fini(&tail->assembly);
    cairn_mem_free(tail->partitions);
    (void)pthread_cond_destroy(&tail->changed);
    (void)pthread_mutex_destroy(&tail->lock);
    cairn_mem_free(tail);
}

/* Why nothing is read any more; under the lock. */
static enum cairn_rc tell_end(const struct cairn_kafka_tail *tail, struct cairn_err *err)
{
    assert(tail->ended);
    if (tail->why.rc == CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ESTOPPED, "the tail was stopped");
    }
    *err = tail->why;
    return tail->why.rc;
}

enum cairn_rc cairn_kafka_tail_start(struct cairn_kafka_tail *tail, uint16_t partition,
                                     uint64_t source, struct cairn_err *err)
{
    assert(partition < tail->partition_count && source <= INT64_MAX);
    enum cairn_rc rc = CAIRN_OK;
    (void)pthread_mutex_lock(&tail->lock);
    if (tail->ended) {
        rc = tell_end(tail, err);
    } else {
        assert(tail->partitions[partition].reading == IDLE);
        tail->partitions[partition].reading = STARTING;
        tail->partitions[partition].reached = source;
    }
    (void)pthread_mutex_unlock(&tail->lock);
    rd_kafka_queue_yield(tail->queue);
    return rc;
}

void cairn_kafka_tail_stop(struct cairn_kafka_tail *tail, uint16_t partition)
{
    struct partition *one = &tail->partitions[partition];
    assert(partition < tail->partition_count);
    assert(!pthread_equal(pthread_self(), tail->thread)); /* it would wait for itself */
    (void)pthread_mutex_lock(&tail->lock);
    if (one->reading == STARTING) {
        one->reading = IDLE;
        (void)pthread_cond_broadcast(&tail->changed);
    }
    while (one->reading != IDLE && !tail->ended) {
        if (one->reading == READING) {
            one->reading = STOPPING;
            rd_kafka_queue_yield(tail->queue);
        }
        (void)pthread_cond_wait(&tail->changed, &tail->lock);
    }
    (void)pthread_mutex_unlock(&tail->lock);
}

/* The offset behind the last record, of transactions under way too. librdkafka's call for
 * watermarks waits for ever where a leader is away; this one, meant for times, keeps its own. */
static rd_kafka_resp_err_t ask_high(rd_kafka_t *admin, const char *topic, int32_t partition,
                                    int timeout_ms, int64_t *ret_high)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *one = rd_kafka_topic_partition_list_add(list, topic, partition);
    one->offset = RD_KAFKA_OFFSET_END; /* in place of a time: the latest */
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(admin, list, timeout_ms);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        code = one->err;
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        *ret_high = one->offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

enum cairn_rc cairn_kafka_tail_high(struct cairn_kafka_tail *tail, uint16_t partition,
                                    int timeout_ms, uint64_t *ret_high, struct cairn_err *err)
{
    assert(partition < tail->partition_count && timeout_ms > 0);
    const char *topic = rd_kafka_topic_name(topic_of(tail, partition));
    int64_t until = cairn_clock_monotonic_ns(cairn_clock_system()) + timeout_ms * 1000000ll;
    for (;;) {
        int64_t left = (until - cairn_clock_monotonic_ns(cairn_clock_system())) / 1000000;
        int64_t high = -1;
        int try_ms = left < 1 ? 1 : left < HIGH_TRY_MS ? (int)left : HIGH_TRY_MS;
        rd_kafka_resp_err_t code =
            ask_high(tail->admin, topic, lane_of(tail, partition), try_ms, &high);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0) {
            *ret_high = (uint64_t)high;
            return CAIRN_OK;
        }
        if (left <= HIGH_REST_MS) {
            (void)CAIRN_FAIL(err, CAIRN_ETIMEDOUT, "high watermark: %s", rd_kafka_err2str(code));
            return name_place(tail, partition, CAIRN_ETIMEDOUT, err);
        }
        const struct timespec pause = {.tv_nsec = HIGH_REST_MS * 1000000};
        (void)nanosleep(&pause, NULL);
    }
}

enum cairn_rc cairn_kafka_tail_reach(struct cairn_kafka_tail *tail, uint16_t partition,
                                     uint64_t high, int timeout_ms, struct cairn_err *err)
{
    assert(partition < tail->partition_count && timeout_ms >= 0);
    struct timespec until = after_ms(timeout_ms);
    const struct partition *one = &tail->partitions[partition];
    enum cairn_rc rc = CAIRN_OK;
    int os = 0;
    (void)pthread_mutex_lock(&tail->lock);
    while (os == 0 && !tail->ended && one->reading != IDLE && one->reached < high) {
        os = pthread_cond_timedwait(&tail->changed, &tail->lock, &until);
    }
    if (tail->ended) {
        rc = tell_end(tail, err);
    } else if (one->reached < high) {
        rc = CAIRN_FAIL(err, one->reading == IDLE ? CAIRN_ESTOPPED : CAIRN_ETIMEDOUT,
                        "topic %s, partition %d was read to offset %llu of %llu",
                        rd_kafka_topic_name(topic_of(tail, partition)),
                        (int)lane_of(tail, partition), (unsigned long long)one->reached,
                        (unsigned long long)high);
    }
    (void)pthread_mutex_unlock(&tail->lock);
    return rc;
}
