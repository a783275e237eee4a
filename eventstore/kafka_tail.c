#include "eventstore/kafka_tail.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#include "eventstore/kafka_tail_int.h"
#include "platform/clock.h"
#include "platform/fault.h"
#include "platform/mem.h"

enum {
    HIGH_TRY_MS = 1000, /* the first request for a watermark; doubles, as a machine may be slow */
    HIGH_TRY_MS_MAX = 8000,
    HIGH_REST_MS = 20 /* between two of them */
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
    int os = cairn_fault_hit(CAIRN_FAULT_THREAD)
                 ? EAGAIN
                 : pthread_create(&tail->thread, NULL, cairn_kafka_tail_run, tail);
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
        assert(tail->partitions[partition].reading == CAIRN_KAFKA_IDLE);
        tail->partitions[partition].reading = CAIRN_KAFKA_STARTING;
        tail->partitions[partition].reached = source;
    }
    (void)pthread_mutex_unlock(&tail->lock);
    rd_kafka_queue_yield(tail->queue);
    return rc;
}

void cairn_kafka_tail_stop(struct cairn_kafka_tail *tail, uint16_t partition)
{
    struct cairn_kafka_tail_partition *one = &tail->partitions[partition];
    assert(partition < tail->partition_count);
    assert(!pthread_equal(pthread_self(), tail->thread)); /* it would wait for itself */
    (void)pthread_mutex_lock(&tail->lock);
    if (one->reading == CAIRN_KAFKA_STARTING) {
        one->reading = CAIRN_KAFKA_IDLE;
        (void)pthread_cond_broadcast(&tail->changed);
    }
    while (one->reading != CAIRN_KAFKA_IDLE && !tail->ended) {
        if (one->reading == CAIRN_KAFKA_READING) {
            one->reading = CAIRN_KAFKA_STOPPING;
            rd_kafka_queue_yield(tail->queue);
        }
        (void)pthread_cond_wait(&tail->changed, &tail->lock);
    }
    (void)pthread_mutex_unlock(&tail->lock);
}

/* Ask where a partition ends. */
static void add_question(const struct cairn_kafka_tail *tail, uint16_t partition,
                         rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_topic_partition_t *one = rd_kafka_topic_partition_list_add(
        list, rd_kafka_topic_name(cairn_kafka_tail_topic(tail, partition)),
        cairn_kafka_tail_lane(tail, partition));
    one->offset = RD_KAFKA_OFFSET_END; /* in place of a time: the latest */
}

/* The offset behind the last record, of transactions under way too. librdkafka's call for
 * watermarks waits for ever where a leader is away; this one, meant for times, keeps its own. */
static rd_kafka_resp_err_t ask_high(const struct cairn_kafka_tail *tail, uint16_t partition,
                                    int timeout_ms, int64_t *ret_high)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    add_question(tail, partition, list);
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(tail->admin, list, timeout_ms);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        code = list->elems[0].err;
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        *ret_high = list->elems[0].offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

/* librdkafka asks who leads right when a broker node goes, which is before the others have agreed
 * on a new leader, and for topics that a handle does not use it asks no more for minutes. Until
 * then questions would go to the node that is gone. */
static void look_for_leaders(const struct cairn_kafka_tail *tail, int timeout_ms)
{
    const struct rd_kafka_metadata *metadata = NULL;
    if (rd_kafka_metadata(tail->admin, 0, NULL, &metadata, timeout_ms) ==
        RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_metadata_destroy(metadata);
    }
}

/* Why a question was given up; a time-out alone says little. */
static enum cairn_rc fail_high(const struct cairn_kafka_tail *tail, uint16_t partition,
                               rd_kafka_resp_err_t code, struct cairn_err *err)
{
    char trouble[CAIRN_KAFKA_TROUBLE_MAX];
    cairn_kafka_handle_trouble(tail->admin, trouble);
    enum cairn_rc rc =
        cairn_kafka_rc(code) == CAIRN_EFORBIDDEN ? CAIRN_EFORBIDDEN : CAIRN_ETIMEDOUT;
    (void)CAIRN_FAIL(err, rc, "high watermark: %s%s%s", rd_kafka_err2str(code),
                     trouble[0] == '\0' ? "" : ": ", trouble);
    return cairn_kafka_tail_name(tail, partition, rc, err);
}

enum cairn_rc cairn_kafka_tail_high(struct cairn_kafka_tail *tail, uint16_t partition,
                                    int timeout_ms, uint64_t *ret_high, struct cairn_err *err)
{
    assert(partition < tail->partition_count && timeout_ms > 0);
    const struct cairn_clock *clock = cairn_clock_system();
    int64_t until = cairn_clock_monotonic_ns(clock) + timeout_ms * INT64_C(1000000);
    for (int most = HIGH_TRY_MS;; most = most < HIGH_TRY_MS_MAX ? most * 2 : most) {
        int64_t left = (until - cairn_clock_monotonic_ns(clock)) / 1000000;
        int64_t high = -1;
        int try_ms = left < 1 ? 1 : left < most ? (int)left : most;
        rd_kafka_resp_err_t code = ask_high(tail, partition, try_ms, &high);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0) {
            *ret_high = (uint64_t)high;
            return CAIRN_OK;
        }
        if (left <= HIGH_REST_MS || cairn_kafka_rc(code) == CAIRN_EFORBIDDEN) {
            return fail_high(tail, partition, code, err);
        }
        const struct timespec pause = {.tv_nsec = HIGH_REST_MS * 1000000};
        (void)nanosleep(&pause, NULL);
        look_for_leaders(tail, try_ms);
    }
}

/* Ask for the ends of all partitions. *ret_at: the first that failed. */
static rd_kafka_resp_err_t ask_all(const struct cairn_kafka_tail *tail, int timeout_ms,
                                   uint16_t *ret_at)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(0);
    for (uint16_t p = 0; p < tail->partition_count; p++) {
        add_question(tail, p, list);
    }
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(tail->admin, list, timeout_ms);
    *ret_at = 0;
    for (uint16_t p = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && p < tail->partition_count; p++) {
        code = list->elems[p].err; /* librdkafka keeps the order of the list */
        *ret_at = p;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

enum cairn_rc cairn_kafka_tail_probe(struct cairn_kafka_tail *tail, int timeout_ms,
                                     struct cairn_err *err)
{
    assert(timeout_ms > 0);
    uint16_t at = 0;
    rd_kafka_resp_err_t code = ask_all(tail, timeout_ms, &at);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        look_for_leaders(tail, timeout_ms);
        code = ask_all(tail, timeout_ms, &at);
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return CAIRN_OK;
    }
    (void)fail_high(tail, at, code, err);
    return cairn_err_wrap(err, CAIRN_EUNREACHABLE, "the cluster does not answer");
}

enum cairn_rc cairn_kafka_tail_reach(struct cairn_kafka_tail *tail, uint16_t partition,
                                     uint64_t high, int timeout_ms, struct cairn_err *err)
{
    assert(partition < tail->partition_count && timeout_ms >= 0);
    struct timespec until = after_ms(timeout_ms);
    const struct cairn_kafka_tail_partition *one = &tail->partitions[partition];
    enum cairn_rc rc = CAIRN_OK;
    int os = 0;
    (void)pthread_mutex_lock(&tail->lock);
    while (os == 0 && !tail->ended && one->reading != CAIRN_KAFKA_IDLE && one->reached < high) {
        os = pthread_cond_timedwait(&tail->changed, &tail->lock, &until);
    }
    if (tail->ended) {
        rc = tell_end(tail, err);
    } else if (one->reached < high) {
        rc = CAIRN_FAIL(err, one->reading == CAIRN_KAFKA_IDLE ? CAIRN_ESTOPPED : CAIRN_ETIMEDOUT,
                        "topic %s, partition %d was read to offset %llu of %llu",
                        rd_kafka_topic_name(cairn_kafka_tail_topic(tail, partition)),
                        (int)cairn_kafka_tail_lane(tail, partition),
                        (unsigned long long)one->reached, (unsigned long long)high);
    }
    (void)pthread_mutex_unlock(&tail->lock);
    return rc;
}
