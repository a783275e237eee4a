/* Writing to the control topic: one idempotent producer, which is thrown away when it loses a
 * record, and the thread that beats and serves its delivery reports. */
#include <assert.h>
#include <errno.h>

#include <librdkafka/rdkafka.h>

#include "eventstore/kafka_control_int.h"
#include "platform/fault.h"
#include "platform/mem.h"

enum {
    LATE_WAIT_MS = 10,   /* a beat is due, but the one before was not read back */
    RENEW_WAIT_MS = 200, /* a new producer could not be made */
    PURGE_MS = 1000      /* reports of purged records need no broker */
};

/* ---- records ---- */

struct cairn_control_record cairn_kafka_control_record(struct cairn_kafka_control *control,
                                                       enum cairn_control_kind kind)
{
    struct cairn_control_record record = {.kind = kind,
                                          .run = control->run,
                                          .lane = CAIRN_LANE_NONE,
                                          .time_us = cairn_clock_now_us(control->options.clock)};
    memcpy(record.node, control->node, sizeof(record.node));
    memcpy(record.url, control->url, sizeof(record.url));
    return record;
}

/* librdkafka only reads what it copies, though its types do not say so. */
static void *unconst(struct cairn_slice bytes)
{
    const union {
        const char *given;
        void *taken;
    } pointer = {.given = bytes.data};
    return pointer.taken;
}

/* Copies both. letter: NULL where nobody wants to know. */
static enum cairn_rc post(struct cairn_kafka_control *control, struct cairn_slice key,
                          struct cairn_slice value, struct cairn_kafka_letter *letter,
                          struct cairn_err *err)
{
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = control->topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = 0},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {unconst(key), key.size}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {unconst(value), value.size}},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = letter},
    };
    (void)pthread_rwlock_rdlock(&control->producer_lock);
    rd_kafka_error_t *error =
        control->producer == NULL
            ? rd_kafka_error_new(RD_KAFKA_RESP_ERR__STATE, "there is no producer now")
            : rd_kafka_produceva(control->producer, parts, sizeof(parts) / sizeof(parts[0]));
    (void)pthread_rwlock_unlock(&control->producer_lock);
    if (error == NULL) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = cairn_kafka_rc(rd_kafka_error_code(error));
    rc = CAIRN_FAIL(err, rc, "write to %s: %s", control->topic, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    (void)pthread_mutex_lock(&control->lock);
    control->broken = true;
    (void)pthread_mutex_unlock(&control->lock);
    return rc;
}

static enum cairn_rc post_record(struct cairn_kafka_control *control,
                                 const struct cairn_control_record *record,
                                 struct cairn_kafka_letter *letter, struct cairn_err *err)
{
    struct cairn_buf key = {.max = CAIRN_CONTROL_KEY_MAX};
    struct cairn_buf value = {.max = CAIRN_CONTROL_VALUE_MAX};
    enum cairn_rc rc = cairn_control_write(record, &key, &value);
    assert(rc == CAIRN_OK || rc == CAIRN_ENOMEM);
    rc = rc != CAIRN_OK
             ? CAIRN_FAIL(err, rc, "a record of %s", control->topic)
             : post(control, cairn_buf_slice(&key), cairn_buf_slice(&value), letter, err);
    cairn_buf_fini(&key);
    cairn_buf_fini(&value);
    return rc;
}

/* The producer's. thread: who polls or frees it. */
static void note_delivery(void *self, void *opaque, int failed, int64_t offset)
{
    struct cairn_kafka_control *control = self;
    struct cairn_kafka_letter *letter = opaque;
    (void)pthread_mutex_lock(&control->lock);
    control->broken = control->broken || failed != 0;
    if (letter != NULL) {
        assert(letter->fate == CAIRN_KAFKA_UNDER_WAY);
        letter->fate = failed == 0 ? CAIRN_KAFKA_DELIVERED : CAIRN_KAFKA_LOST;
        letter->code = failed;
        letter->offset = offset;
    }
    if (letter == &control->beat && failed == 0) {
        control->beats_delivered++;
    }
    bool free_it = letter != NULL && letter->abandoned;
    (void)pthread_cond_broadcast(&control->changed);
    (void)pthread_mutex_unlock(&control->lock);
    if (free_it) {
        cairn_mem_free(letter);
    }
}

/* Wait for a letter's fate and free it; one that is still under way then is left behind. */
static enum cairn_rc await(struct cairn_kafka_control *control, struct cairn_kafka_letter *letter,
                           const struct timespec *until, int64_t *ret_offset, struct cairn_err *err)
{
    int timed_out = 0;
    (void)pthread_mutex_lock(&control->lock);
    while (letter->fate == CAIRN_KAFKA_UNDER_WAY && !control->ending && timed_out == 0) {
        timed_out = until == NULL
                        ? pthread_cond_wait(&control->changed, &control->lock)
                        : pthread_cond_timedwait(&control->changed, &control->lock, until);
    }
    struct cairn_kafka_letter seen = *letter;
    letter->abandoned = true;
    bool stopped = control->ending;
    (void)pthread_mutex_unlock(&control->lock);
    if (seen.fate == CAIRN_KAFKA_UNDER_WAY) {
        return stopped ? CAIRN_FAIL(err, CAIRN_ESTOPPED, "write to %s", control->topic)
                       : CAIRN_FAIL(err, CAIRN_ETIMEDOUT, "write to %s", control->topic);
    }
    cairn_mem_free(letter);
    if (seen.fate == CAIRN_KAFKA_LOST) {
        return CAIRN_FAIL(err, cairn_kafka_rc(seen.code), "write to %s: %s", control->topic,
                          rd_kafka_err2str((rd_kafka_resp_err_t)seen.code));
    }
    *ret_offset = seen.offset;
    return CAIRN_OK;
}

static struct cairn_kafka_letter *letter_new(struct cairn_err *err)
{
    struct cairn_kafka_letter *letter = cairn_mem_zalloc(1, sizeof(*letter));
    if (letter == NULL) {
        (void)CAIRN_FAIL(err, CAIRN_ENOMEM, "a record of the control topic");
        return NULL;
    }
    letter->fate = CAIRN_KAFKA_UNDER_WAY;
    return letter;
}

enum cairn_rc cairn_kafka_control_write(struct cairn_kafka_control *control,
                                        const struct cairn_control_record *record,
                                        const struct timespec *until, struct cairn_err *err)
{
    int64_t offset = 0;
    struct cairn_kafka_letter *letter = letter_new(err);
    if (letter == NULL) {
        return err->rc;
    }
    enum cairn_rc rc = post_record(control, record, letter, err);
    if (rc != CAIRN_OK) {
        cairn_mem_free(letter);
        return rc;
    }
    return await(control, letter, until, &offset, err);
}

enum cairn_rc cairn_kafka_control_mark(struct cairn_kafka_control *control,
                                       const struct timespec *until, int64_t *ret_offset,
                                       struct cairn_err *err)
{
    struct cairn_kafka_letter *letter = letter_new(err);
    if (letter == NULL) {
        return err->rc;
    }
    enum cairn_rc rc = post(control, CAIRN_SLICE_LIT("mark"), CAIRN_SLICE_NONE, letter, err);
    if (rc != CAIRN_OK) {
        cairn_mem_free(letter);
        return rc;
    }
    return await(control, letter, until, ret_offset, err);
}

/* ---- the producer ---- */

static enum cairn_rc producer_new(struct cairn_kafka_control *control, struct rd_kafka_s **ret,
                                  struct cairn_err *err)
{
    struct cairn_kafka_options kafka = control->options.kafka;
    const struct cairn_kafka_handle_options handle = {
        .kind = CAIRN_KAFKA_PRODUCER, .delivered = note_delivery, .self = control};
    kafka.properties = control->properties.data;
    return cairn_kafka_handle_new(&kafka, &handle, ret, err);
}

/* librdkafka may hold the first record of a topic back for a second until it knows its leader. The
 * topic stays known for as long as the handle lives. Where no broker answers, records wait. */
static void warm_up(struct cairn_kafka_control *control, struct rd_kafka_s *producer)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, control->topic, NULL);
    if (topic != NULL) {
        cairn_kafka_control_meet(producer, topic);
        rd_kafka_topic_destroy(topic);
    }
}

/* What is under way is lost: its letters are told before the handle goes. */
static void producer_free(struct rd_kafka_s *producer)
{
    if (producer != NULL) {
        (void)rd_kafka_purge(producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        (void)rd_kafka_flush(producer, PURGE_MS);
        cairn_kafka_handle_free(producer);
    }
}

static struct rd_kafka_s *exchange(struct cairn_kafka_control *control, struct rd_kafka_s *producer)
{
    (void)pthread_rwlock_wrlock(&control->producer_lock);
    struct rd_kafka_s *old = control->producer;
    control->producer = producer;
    (void)pthread_rwlock_unlock(&control->producer_lock);
    return old;
}

static void renew(struct cairn_kafka_control *control)
{
    struct cairn_err err;
    producer_free(exchange(control, NULL));
    struct rd_kafka_s *producer = NULL;
    if (producer_new(control, &producer, &err) != CAIRN_OK) {
        cairn_log_error(control->options.kafka.log_lines, CAIRN_LOG_WARN, "kafka",
                        "control_producer", &err);
        return;
    }
    warm_up(control, producer);
    (void)exchange(control, producer);
    (void)pthread_mutex_lock(&control->lock);
    control->broken = false;
    (void)pthread_mutex_unlock(&control->lock);
}

/* ---- the thread ---- */

/* Under the lock. */
static bool is_due(const struct cairn_kafka_control *control, int64_t now_ns)
{
    if (control->silent || control->beat.fate == CAIRN_KAFKA_UNDER_WAY) {
        return false;
    }
    bool read_back = cairn_ownership_beats(control->rules) >= control->beats_delivered;
    return control->beat_now || (read_back && now_ns >= control->beat_due_ns);
}

/* Milliseconds to wait for reports before the next look. */
static int beat(struct cairn_kafka_control *control)
{
    struct cairn_err err;
    struct cairn_control_record record = cairn_kafka_control_record(control, CAIRN_CONTROL_BEAT);
    int64_t now_ns = cairn_clock_monotonic_ns(control->options.clock);
    (void)pthread_mutex_lock(&control->lock);
    bool due = is_due(control, now_ns);
    if (due) {
        record.leaving = control->leaving;
        control->beat_now = false;
        control->beat.fate = CAIRN_KAFKA_UNDER_WAY;
        control->beat_due_ns = now_ns + (int64_t)CAIRN_KAFKA_BEAT_MS * 1000000;
    }
    int64_t left_ns = control->beat_due_ns - now_ns;
    (void)pthread_mutex_unlock(&control->lock);
    if (due && post_record(control, &record, &control->beat, &err) != CAIRN_OK) {
        (void)pthread_mutex_lock(&control->lock);
        control->beat.fate = CAIRN_KAFKA_LOST;
        (void)pthread_mutex_unlock(&control->lock);
    }
    return left_ns <= 0 ? LATE_WAIT_MS : (int)(left_ns / 1000000) + 1;
}

/* One record for each round: there is no hurry. */
static void bury(struct cairn_kafka_control *control)
{
    struct cairn_err err;
    struct cairn_control_record record;
    (void)pthread_mutex_lock(&control->lock);
    bool some = cairn_ownership_bury(control->rules, &record);
    (void)pthread_mutex_unlock(&control->lock);
    if (some && post_record(control, &record, NULL, &err) != CAIRN_OK) {
        cairn_log_error(control->options.kafka.log_lines, CAIRN_LOG_INFO, "kafka", "bury", &err);
    }
}

static void *run(void *argument)
{
    struct cairn_kafka_control *control = argument;
    for (;;) {
        (void)pthread_mutex_lock(&control->lock);
        bool ending = control->write_ending;
        bool broken = control->broken;
        (void)pthread_mutex_unlock(&control->lock);
        if (ending) {
            return NULL;
        }
        if (broken) {
            renew(control);
        }
        if (control->producer == NULL) {
            struct timespec until = cairn_kafka_after_ms(RENEW_WAIT_MS);
            (void)pthread_mutex_lock(&control->lock);
            (void)pthread_cond_timedwait(&control->changed, &control->lock, &until);
            (void)pthread_mutex_unlock(&control->lock);
            continue;
        }
        int wait_ms = beat(control);
        bury(control);
        (void)rd_kafka_poll(control->producer, wait_ms); /* only this thread exchanges it */
    }
}

enum cairn_rc cairn_kafka_control_begin_writing(struct cairn_kafka_control *control,
                                                struct cairn_err *err)
{
    const char *properties = control->options.kafka.properties;
    control->properties.max = SIZE_MAX;
    /* What is written here is waited for; the operator's word comes behind and counts. */
    enum cairn_rc rc = cairn_buf_append_str(&control->properties, "linger.ms=0\n");
    if (rc == CAIRN_OK && properties != NULL) {
        rc = cairn_buf_append_str(&control->properties, properties);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_buf_append_byte(&control->properties, '\0');
    }
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "the properties of a producer");
    }
    rc = producer_new(control, &control->producer, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    warm_up(control, control->producer);
    int os = cairn_fault_hit(CAIRN_FAULT_THREAD)
                 ? EAGAIN
                 : pthread_create(&control->write_thread, NULL, run, control);
    control->writing = os == 0;
    return os == 0 ? CAIRN_OK : CAIRN_FAIL(err, CAIRN_EIO, "start a thread: errno %d", os);
}

void cairn_kafka_control_end_writing(struct cairn_kafka_control *control)
{
    if (control->writing) {
        (void)pthread_mutex_lock(&control->lock);
        control->write_ending = true;
        (void)pthread_cond_broadcast(&control->changed);
        (void)pthread_mutex_unlock(&control->lock);
        (void)pthread_join(control->write_thread, NULL);
    }
    producer_free(exchange(control, NULL));
    cairn_buf_fini(&control->properties);
}
