#include "eventstore/kafka_description.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#include "platform/clock.h"
#include "platform/mem.h"
#include "platform/uuid.h"

#define NS_PER_MS        INT64_C(1000000)
#define CHANGE_TRIES_MAX 10
#define CHANGE_PAUSE_MS  50 /* at most, times the number of the try */
/* At least: a cluster's first transaction waits for the topic that keeps transactions to be made.
 */
#define INIT_MS              20000
#define DESCRIPTION_SIZE_MAX (64u * 1024u)
#define ID_MAX               (CAIRN_KAFKA_DOMAIN_SIZE_MAX + 32)

/* What a reader has seen so far. */
struct look {
    bool found;
    struct cairn_kafka_layout *layout; /* of the newest description; caller's */
    bool ended;
};

/* Brokers that are away or do not know a young topic yet: librdkafka goes on trying. */
static bool passes(rd_kafka_resp_err_t code)
{
    enum cairn_rc rc = cairn_kafka_rc((int)code);
    return rc == CAIRN_ETIMEDOUT || rc == CAIRN_ENOENT || rc == CAIRN_EIO;
}

static enum cairn_rc take_message(struct look *look, const rd_kafka_message_t *message,
                                  struct cairn_err *err)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        look->ended = true;
        return CAIRN_OK;
    }
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return passes(message->err) ? CAIRN_OK
                                    : CAIRN_FAIL(err, cairn_kafka_rc((int)message->err), "%s",
                                                 rd_kafka_message_errstr(message));
    }
    struct cairn_slice key = cairn_slice_of(message->key, message->key_len);
    if (!cairn_slice_is(key, CAIRN_KAFKA_DESCRIPTION_KEY)) {
        return CAIRN_OK;
    }
    enum cairn_rc rc =
        cairn_kafka_layout_read(cairn_slice_of(message->payload, message->len), look->layout, err);
    look->found = look->found || rc == CAIRN_OK;
    return rc == CAIRN_OK ? CAIRN_OK : cairn_err_wrap(err, rc, "the description of the log");
}

static enum cairn_rc read_to_end(rd_kafka_t *rk, struct look *look, int timeout_ms,
                                 struct cairn_err *err)
{
    int64_t until_ms = cairn_kafka_now_ms() + timeout_ms;
    enum cairn_rc rc = CAIRN_OK;
    while (rc == CAIRN_OK && !look->ended) {
        int left_ms = cairn_kafka_left_ms(until_ms);
        if (left_ms == 0) {
            char trouble[CAIRN_KAFKA_TROUBLE_MAX];
            cairn_kafka_handle_trouble(rk, trouble);
            return CAIRN_FAIL(err, CAIRN_ETIMEDOUT, "not read to its end within %d ms%s%s",
                              timeout_ms, trouble[0] == '\0' ? "" : ": ", trouble);
        }
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, left_ms);
        if (message != NULL) {
            rc = take_message(look, message, err);
            rd_kafka_message_destroy(message);
        }
    }
    return rc;
}

/* Learn who leads the topic. Where that is not known yet, librdkafka asks for a first offset only
 * after half a second, and sends a first message only after a whole one. */
static enum cairn_rc learn_leader(rd_kafka_t *rk, const char *topic, int timeout_ms,
                                  struct cairn_err *err)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    rd_kafka_resp_err_t code = rd_kafka_last_error();
    if (handle != NULL) {
        code = rd_kafka_metadata(rk, 0, handle, &metadata, timeout_ms);
        rd_kafka_topic_destroy(handle);
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return CAIRN_FAIL(err, cairn_kafka_rc((int)code), "%s", rd_kafka_err2str(code));
    }
    rd_kafka_metadata_destroy(metadata);
    return CAIRN_OK;
}

/* Read the topic from its beginning. */
static enum cairn_rc assign(rd_kafka_t *rk, const char *topic, int timeout_ms,
                            struct cairn_err *err)
{
    enum cairn_rc rc = learn_leader(rk, topic, timeout_ms, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_resp_err_t code = rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? CAIRN_OK
               : CAIRN_FAIL(err, cairn_kafka_rc((int)code), "%s", rd_kafka_err2str(code));
}

enum cairn_rc cairn_kafka_description_read(const struct cairn_kafka_options *options,
                                           const char *topic, int timeout_ms, bool *ret_found,
                                           struct cairn_kafka_layout *ret_layout,
                                           struct cairn_err *err)
{
    assert(timeout_ms > 0);
    struct cairn_kafka_layout *layout = cairn_mem_zalloc(1, sizeof(*layout));
    if (layout == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "the description of the log");
    }
    struct cairn_kafka_handle_options handle = {.kind = CAIRN_KAFKA_READER};
    struct look look = {.layout = layout};
    rd_kafka_t *rk = NULL;
    enum cairn_rc rc = cairn_kafka_handle_new(options, &handle, &rk, err);
    rc = rc == CAIRN_OK ? assign(rk, topic, timeout_ms, err) : rc;
    rc = rc == CAIRN_OK ? read_to_end(rk, &look, timeout_ms, err) : rc;
    rc = rc == CAIRN_OK ? CAIRN_OK : cairn_err_wrap(err, rc, "the control topic %s", topic);
    if (rc == CAIRN_OK) {
        *ret_found = look.found;
        *ret_layout = *layout;
    }
    cairn_kafka_handle_free(rk);
    cairn_mem_free(layout);
    return rc;
}

/* Takes the error. */
static enum cairn_rc take_error(rd_kafka_error_t *error, const char *what, struct cairn_err *err)
{
    if (error == NULL) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = CAIRN_FAIL(err, cairn_kafka_rc((int)rd_kafka_error_code(error)), "%s: %s",
                                  what, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return rc;
}

/* Copies the value. */
static enum cairn_rc produce(rd_kafka_t *rk, const char *topic, const struct cairn_buf *value,
                             struct cairn_err *err)
{
    static const char key[] = CAIRN_KAFKA_DESCRIPTION_KEY;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    int failed = -1;
    if (handle != NULL) {
        failed = rd_kafka_produce(handle, 0, RD_KAFKA_MSG_F_COPY, value->data, value->size, key,
                                  sizeof(key) - 1, NULL);
    }
    rd_kafka_resp_err_t code = failed == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_last_error();
    if (handle != NULL) {
        rd_kafka_topic_destroy(handle);
    }
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? CAIRN_OK
               : CAIRN_FAIL(err, cairn_kafka_rc((int)code), "%s", rd_kafka_err2str(code));
}

static enum cairn_rc write_layout(rd_kafka_t *rk, const char *topic,
                                  const struct cairn_kafka_layout *layout, int timeout_ms,
                                  struct cairn_err *err)
{
    struct cairn_buf value = {.max = DESCRIPTION_SIZE_MAX};
    enum cairn_rc rc = cairn_kafka_layout_write(layout, &value);
    rc = rc == CAIRN_OK ? CAIRN_OK : CAIRN_FAIL(err, rc, "the description of the log");
    rc = rc == CAIRN_OK ? learn_leader(rk, topic, timeout_ms, err) : rc;
    rc = rc == CAIRN_OK ? take_error(rd_kafka_begin_transaction(rk), "begin", err) : rc;
    rc = rc == CAIRN_OK ? produce(rk, topic, &value, err) : rc;
    rc = rc == CAIRN_OK ? take_error(rd_kafka_commit_transaction(rk, timeout_ms), "commit", err)
                        : rc;
    cairn_buf_fini(&value);
    return rc;
}

/* One try, by a producer of its own. What it leaves open after a failure, the next one ends. */
struct attempt {
    const struct cairn_kafka_options *options;
    const char *topic;
    int timeout_ms;
    cairn_kafka_change_fn change;
    void *self;
    bool refused; /* change failed: no further try */
};

static enum cairn_rc look_and_change(struct attempt *attempt, struct cairn_kafka_layout *layout,
                                     bool *ret_changed, struct cairn_err *err)
{
    bool found = false;
    enum cairn_rc rc = cairn_kafka_description_read(attempt->options, attempt->topic,
                                                    attempt->timeout_ms, &found, layout, err);
    if (rc == CAIRN_OK) {
        rc = attempt->change(attempt->self, found, layout, ret_changed, err);
    }
    attempt->refused = rc != CAIRN_OK;
    return rc;
}

static enum cairn_rc try_change(struct attempt *attempt, struct cairn_kafka_layout *layout,
                                struct cairn_err *err)
{
    bool changed = false;
    enum cairn_rc rc = look_and_change(attempt, layout, &changed, err);
    if (rc != CAIRN_OK || !changed) {
        return rc; /* nothing to write: nobody need be fenced */
    }
    char id[ID_MAX];
    (void)snprintf(id, sizeof(id), "cairn.%.*s._log", CAIRN_SLICE_ARG(attempt->options->domain));
    struct cairn_kafka_handle_options handle = {.kind = CAIRN_KAFKA_TRANSACTIONS,
                                                .transactional_id = id};
    rd_kafka_t *rk = NULL;
    rc = cairn_kafka_handle_new(attempt->options, &handle, &rk, err);
    if (rc == CAIRN_OK) {
        int timeout_ms = attempt->timeout_ms > INIT_MS ? attempt->timeout_ms : INIT_MS;
        rc = take_error(rd_kafka_init_transactions(rk, timeout_ms), "transactions", err);
    }
    /* From here on no other maker's write can come between this look and this write. */
    rc = rc == CAIRN_OK ? look_and_change(attempt, layout, &changed, err) : rc;
    if (rc == CAIRN_OK && changed) {
        rc = write_layout(rk, attempt->topic, layout, attempt->timeout_ms, err);
    }
    cairn_kafka_handle_free(rk);
    return rc;
}

/* Another maker fenced this one; or the broker had trouble of its own with the transaction, which
 * many makers at once can give it. */
static bool may_pass(enum cairn_rc rc)
{
    return rc == CAIRN_EFENCED || rc == CAIRN_EIO;
}

/* Two makers that fence each other at the same pace would do so for ever. */
static void pause_randomly(unsigned attempt)
{
    const struct cairn_random *random = cairn_random_system();
    uint32_t number = 0;
    random->fill(random->self, &number, sizeof(number));
    struct timespec pause = {
        .tv_nsec = (long)(number % (CHANGE_PAUSE_MS * attempt) * (uint32_t)NS_PER_MS)};
    (void)nanosleep(&pause, NULL);
}

enum cairn_rc cairn_kafka_description_change(const struct cairn_kafka_options *options,
                                             const char *topic, int timeout_ms,
                                             cairn_kafka_change_fn change, void *self,
                                             struct cairn_kafka_layout *ret_layout,
                                             struct cairn_err *err)
{
    assert(change != NULL && timeout_ms > 0);
    struct cairn_kafka_layout *layout = cairn_mem_zalloc(1, sizeof(*layout));
    if (layout == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "the description of the log");
    }
    struct attempt attempt = {.options = options,
                              .topic = topic,
                              .timeout_ms = timeout_ms,
                              .change = change,
                              .self = self};
    enum cairn_rc rc = try_change(&attempt, layout, err);
    for (unsigned i = 1; may_pass(rc) && !attempt.refused && i < CHANGE_TRIES_MAX; i++) {
        pause_randomly(i);
        rc = try_change(&attempt, layout, err);
    }
    if (rc == CAIRN_OK) {
        *ret_layout = *layout;
    } else if (!attempt.refused) {
        rc = cairn_err_wrap(err, rc, "describing the log in %s", topic);
    }
    cairn_mem_free(layout);
    return rc;
}
