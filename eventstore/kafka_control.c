#include "eventstore/kafka_control.h"

#include <assert.h>
#include <errno.h>

#include <librdkafka/rdkafka.h>

#include "eventstore/kafka_control_int.h"
#include "platform/fault.h"
#include "platform/mem.h"

enum {
    OPEN_MS = 30000, /* where the options name none */
    CLOSE_MS = 5000,
    MEET_MS = 1000,
    STILL_MS = 1000,    /* without an own beat: the log stood still */
    IDLE_WAIT_MS = 500, /* a record and the end both cut it short */
};

struct timespec cairn_kafka_after_ms(int ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return until;
}

void cairn_kafka_control_meet(struct rd_kafka_s *handle, struct rd_kafka_topic_s *topic)
{
    const struct rd_kafka_metadata *metadata = NULL;
    if (rd_kafka_metadata(handle, 0, topic, &metadata, MEET_MS) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_metadata_destroy(metadata);
    }
}

/* ---- reading ---- */

static void begin_topic(struct cairn_kafka_control *control)
{
    int failed = rd_kafka_consume_start_queue(control->reader_topic, 0, RD_KAFKA_OFFSET_BEGINNING,
                                              control->queue);
    assert(failed == 0); /* its arguments are ours, and it is not being read */
    (void)failed;
}

static struct cairn_slice slice_of(const void *data, size_t size)
{
    return cairn_slice_of((const char *)data, size);
}

/* A younger run of this node's id is there: say so once, and beat no more. Under the lock. */
static void note_replaced(struct cairn_kafka_control *control)
{
    if (!control->silent && cairn_ownership_replaced(control->rules)) {
        control->silent = true;
        cairn_log_event(control->options.kafka.log_lines, CAIRN_LOG_ERROR, "kafka", "node_replaced",
                        CAIRN_F_STR("node", control->node),
                        CAIRN_F_STR("detail", "another process goes by this node's id, so this one "
                                              "owns nothing any more: are two data folders copies "
                                              "of one another?"));
    }
}

/* A broker that comes back is found by one node sooner than by another, which must not look dead
 * for that. Under the lock. */
static void note_own_beat(struct cairn_kafka_control *control,
                          const struct cairn_control_record *record)
{
    if (record->kind != CAIRN_CONTROL_BEAT ||
        memcmp(&record->run, &control->run, sizeof(record->run)) != 0) {
        return;
    }
    int64_t now_ns = cairn_clock_monotonic_ns(control->options.clock);
    if (control->beat_read_ns != 0 &&
        now_ns - control->beat_read_ns > (int64_t)STILL_MS * 1000000) {
        cairn_ownership_forgive(control->rules);
    }
    control->beat_read_ns = now_ns;
}

static void take_record(struct cairn_kafka_control *control, const rd_kafka_message_t *message)
{
    struct cairn_control_record record;
    struct cairn_err err;
    /* The log's description, marks, and what later versions may write lie between the records. */
    bool known =
        cairn_control_read(slice_of(message->key, message->key_len),
                           slice_of(message->payload, message->len), &record, &err) == CAIRN_OK;
    (void)pthread_mutex_lock(&control->lock);
    if (known) {
        note_own_beat(control, &record);
        cairn_ownership_read(control->rules, &record);
        note_replaced(control);
    }
    control->position = message->offset + 1;
    (void)pthread_cond_broadcast(&control->changed);
    (void)pthread_mutex_unlock(&control->lock);
}

static void take_end(struct cairn_kafka_control *control, int64_t offset)
{
    (void)pthread_mutex_lock(&control->lock);
    control->at_end = true;
    control->position = offset > control->position ? offset : control->position;
    (void)pthread_cond_broadcast(&control->changed);
    (void)pthread_mutex_unlock(&control->lock);
}

/* librdkafka tries again by itself, but where the place that it stood at is gone: the topic was
 * made anew. What is known stays true until the log says otherwise. */
static void take_trouble(struct cairn_kafka_control *control, const rd_kafka_message_t *message)
{
    (void)pthread_mutex_lock(&control->lock);
    (void)CAIRN_FAIL(&control->why, cairn_kafka_rc(message->err), "read %s: %s", control->topic,
                     rd_kafka_message_errstr(message));
    struct cairn_err why = control->why;
    (void)pthread_mutex_unlock(&control->lock);
    cairn_log_error(control->options.kafka.log_lines, CAIRN_LOG_WARN, "kafka", "control_read",
                    &why);
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
        (void)rd_kafka_consume_stop(control->reader_topic, 0);
        begin_topic(control);
    }
}

static void take(struct cairn_kafka_control *control, rd_kafka_message_t *message)
{
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        take_record(control, message);
    } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        take_end(control, message->offset);
    } else {
        take_trouble(control, message);
    }
    rd_kafka_message_destroy(message);
}

/* What concerns the handle and no partition comes here: it must be taken, and passes. */
static void drain_handle(struct cairn_kafka_control *control)
{
    rd_kafka_message_t *message = rd_kafka_consumer_poll(control->reader, 0);
    if (message != NULL) {
        rd_kafka_message_destroy(message);
    }
}

static void *run(void *argument)
{
    struct cairn_kafka_control *control = argument;
    for (;;) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(control->queue, IDLE_WAIT_MS);
        if (message != NULL) {
            take(control, message);
        } else {
            drain_handle(control);
        }
        (void)pthread_mutex_lock(&control->lock);
        bool ending = control->ending;
        bool at_end = control->at_end;
        (void)pthread_mutex_unlock(&control->lock);
        if (ending) {
            return NULL;
        }
        if (at_end) {
            cairn_kafka_control_pursue(control);
        }
    }
}

/* ---- beginning ---- */

static enum cairn_rc begin_reading(struct cairn_kafka_control *control, struct cairn_err *err)
{
    const struct cairn_kafka_handle_options handle = {.kind = CAIRN_KAFKA_READER};
    enum cairn_rc rc =
        cairn_kafka_handle_new(&control->options.kafka, &handle, &control->reader, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    control->queue = rd_kafka_queue_new(control->reader);
    control->reader_topic = rd_kafka_topic_new(control->reader, control->topic, NULL);
    if (control->reader_topic == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "topic %s: %s", control->topic,
                          rd_kafka_err2str(rd_kafka_last_error()));
    }
    cairn_kafka_control_meet(control->reader, control->reader_topic);
    begin_topic(control);
    int os = cairn_fault_hit(CAIRN_FAULT_THREAD)
                 ? EAGAIN
                 : pthread_create(&control->read_thread, NULL, run, control);
    control->reading = os == 0;
    return os == 0 ? CAIRN_OK : CAIRN_FAIL(err, CAIRN_EIO, "start a thread: errno %d", os);
}

static enum cairn_rc await_end(struct cairn_kafka_control *control, struct cairn_err *err)
{
    char trouble[CAIRN_KAFKA_TROUBLE_MAX];
    int timeout_ms = control->options.open_timeout_ms;
    timeout_ms = timeout_ms > 0 ? timeout_ms : OPEN_MS;
    struct timespec until = cairn_kafka_after_ms(timeout_ms);
    int timed_out = 0;
    (void)pthread_mutex_lock(&control->lock);
    while (!control->at_end && timed_out == 0) {
        timed_out = pthread_cond_timedwait(&control->changed, &control->lock, &until);
    }
    bool at_end = control->at_end;
    struct cairn_err why = control->why;
    (void)pthread_mutex_unlock(&control->lock);
    if (at_end) {
        return CAIRN_OK;
    }
    cairn_kafka_handle_trouble(control->reader, trouble);
    return CAIRN_FAIL(err, CAIRN_ETIMEDOUT, "the end of %s was not reached in %d ms: %s",
                      control->topic, timeout_ms, why.rc != CAIRN_OK ? why.text : trouble);
}

static void init_locks(struct cairn_kafka_control *control)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&control->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&control->lock, NULL);
    (void)pthread_rwlock_init(&control->producer_lock, NULL);
}

static enum cairn_rc init(struct cairn_kafka_control *control,
                          const struct cairn_kafka_control_options *options, struct cairn_err *err)
{
    struct cairn_uuid_source source = {0};
    uint16_t lanes = options->layout->lanes;
    control->options = *options;
    memcpy(control->node, options->node, strlen(options->node));
    memcpy(control->url, options->url, strlen(options->url));
    cairn_kafka_layout_topic_name(options->layout, options->layout->topic_count, control->topic);
    control->began_ns = cairn_clock_monotonic_ns(options->clock);
    control->run =
        cairn_uuid_next(&source, cairn_clock_now_us(options->clock), cairn_random_system());
    control->rules = cairn_ownership_new(control->node, &control->run, lanes, options->candidate);
    control->hands = cairn_mem_zalloc(lanes, sizeof(*control->hands));
    if (control->rules == NULL || control->hands == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for %u lanes", (unsigned)lanes);
    }
    for (uint16_t i = 0; i < lanes; i++) {
        control->hands[i].control = control;
        control->hands[i].lane = i;
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_kafka_control_open(const struct cairn_kafka_control_options *options,
                                       struct cairn_kafka_control **ret_control,
                                       struct cairn_err *err)
{
    assert(options->layout->lanes >= 1 && options->layout->lanes <= CAIRN_LANES_MAX);
    assert(options->url != NULL && strlen(options->url) <= CAIRN_NODE_URL_MAX);
    assert(cairn_node_id_valid(cairn_slice_str(options->node)));
    assert(!options->candidate ||
           (options->take != NULL && options->serve != NULL && options->stop != NULL));
    struct cairn_kafka_control *control = cairn_mem_zalloc(1, sizeof(*control));
    if (control == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for the control topic");
    }
    init_locks(control);
    enum cairn_rc rc = init(control, options, err);
    if (rc == CAIRN_OK) {
        rc = begin_reading(control, err);
    }
    if (rc == CAIRN_OK) {
        rc = await_end(control, err);
    }
    /* Beats begin behind the end: before that this node could not tell what is its to claim. */
    if (rc == CAIRN_OK && options->candidate) {
        rc = cairn_kafka_control_begin_writing(control, err);
    }
    if (rc != CAIRN_OK) {
        cairn_kafka_control_close(control);
        return rc;
    }
    *ret_control = control;
    return CAIRN_OK;
}

/* ---- the end ---- */

/* Give everything back, so that others need not wait until this node looks dead. */
static void leave(struct cairn_kafka_control *control)
{
    struct timespec until = cairn_kafka_after_ms(CLOSE_MS);
    int timed_out = 0;
    (void)pthread_mutex_lock(&control->lock);
    cairn_ownership_leave(control->rules);
    control->leaving = true;
    control->beat_now = true;
    (void)pthread_mutex_unlock(&control->lock);
    cairn_kafka_control_pursue(control);
    (void)pthread_mutex_lock(&control->lock);
    while (!cairn_ownership_empty(control->rules) && timed_out == 0) {
        timed_out = pthread_cond_timedwait(&control->changed, &control->lock, &until);
    }
    bool replaced = cairn_ownership_replaced(control->rules);
    control->silent = true;
    (void)pthread_mutex_unlock(&control->lock);
    struct cairn_control_record record = cairn_kafka_control_record(control, CAIRN_CONTROL_LEAVE);
    struct cairn_err err;
    if (!replaced && cairn_kafka_control_write(control, &record, &until, &err) != CAIRN_OK) {
        cairn_log_error(control->options.kafka.log_lines, CAIRN_LOG_WARN, "kafka", "leave", &err);
    }
}

void cairn_kafka_control_close(struct cairn_kafka_control *control)
{
    if (control == NULL) {
        return;
    }
    if (control->writing) {
        leave(control);
    }
    (void)pthread_mutex_lock(&control->lock);
    control->ending = true;
    (void)pthread_cond_broadcast(&control->changed);
    (void)pthread_mutex_unlock(&control->lock);
    if (control->reading) {
        rd_kafka_queue_yield(control->queue);
        (void)pthread_join(control->read_thread, NULL);
    }
    cairn_kafka_control_end_lanes(control);
    cairn_kafka_control_end_writing(control);
    if (control->reader_topic != NULL) {
        (void)rd_kafka_consume_stop(control->reader_topic, 0);
        rd_kafka_topic_destroy(control->reader_topic);
    }
    if (control->queue != NULL) {
        rd_kafka_queue_destroy(control->queue);
    }
    cairn_kafka_handle_free(control->reader);
    cairn_ownership_free(control->rules);
    cairn_mem_free(control->hands);
    (void)pthread_rwlock_destroy(&control->producer_lock);
    (void)pthread_cond_destroy(&control->changed);
    (void)pthread_mutex_destroy(&control->lock);
    cairn_mem_free(control);
}

/* ---- looking ---- */

void cairn_kafka_control_owner(struct cairn_kafka_control *control, uint16_t lane,
                               struct cairn_lane_owner *ret_owner)
{
    (void)pthread_mutex_lock(&control->lock);
    cairn_ownership_owner(control->rules, lane, ret_owner);
    (void)pthread_mutex_unlock(&control->lock);
}

size_t cairn_kafka_control_nodes(struct cairn_kafka_control *control)
{
    (void)pthread_mutex_lock(&control->lock);
    size_t nodes = cairn_ownership_nodes(control->rules);
    (void)pthread_mutex_unlock(&control->lock);
    return nodes;
}

int64_t cairn_kafka_control_silence_ms(struct cairn_kafka_control *control,
                                       char ret_trouble[CAIRN_KAFKA_TROUBLE_MAX])
{
    assert(control->options.candidate);
    int64_t now_ns = cairn_clock_monotonic_ns(control->options.clock);
    (void)pthread_mutex_lock(&control->lock);
    int64_t heard_ns = control->beat_read_ns == 0 ? control->began_ns : control->beat_read_ns;
    (void)pthread_mutex_unlock(&control->lock);
    cairn_kafka_handle_trouble(control->reader, ret_trouble);
    /* A beat may have come in after the clock was read. */
    return now_ns > heard_ns ? (now_ns - heard_ns) / 1000000 : 0;
}

enum cairn_rc cairn_kafka_control_confirm(struct cairn_kafka_control *control, uint16_t lane,
                                          int timeout_ms, bool *ret_mine, struct cairn_err *err)
{
    struct timespec until = cairn_kafka_after_ms(timeout_ms);
    struct cairn_lane_owner owner = {.mine = false};
    int64_t mark = 0;
    int timed_out = 0;
    if (!control->options.candidate) {
        *ret_mine = false;
        return CAIRN_OK;
    }
    enum cairn_rc rc = cairn_kafka_control_mark(control, &until, &mark, err);
    if (rc != CAIRN_OK) {
        /* Whatever kept it from being written: nothing is known. */
        return cairn_err_wrap(err, rc == CAIRN_ESTOPPED ? rc : CAIRN_ETIMEDOUT, "confirm lane %u",
                              (unsigned)lane);
    }
    (void)pthread_mutex_lock(&control->lock);
    while (control->position <= mark && timed_out == 0) {
        timed_out = pthread_cond_timedwait(&control->changed, &control->lock, &until);
    }
    bool reached = control->position > mark;
    cairn_ownership_owner(control->rules, lane, &owner);
    (void)pthread_mutex_unlock(&control->lock);
    if (!reached) {
        return CAIRN_FAIL(err, CAIRN_ETIMEDOUT, "confirm lane %u: %s was not read to its end",
                          (unsigned)lane, control->topic);
    }
    *ret_mine = owner.mine;
    return CAIRN_OK;
}
