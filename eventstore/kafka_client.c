#include "eventstore/kafka_client.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#include <librdkafka/rdkafka.h>

#include "platform/mem.h"

#define ERRSTR_MAX    256
#define GROUP_ID_MAX  256
#define LEVEL_WARN    4
#define LEVEL_NOTICE  5
#define TROUBLE_LEVEL 3 /* syslog's ERR and worse say why nothing works */

struct setting {
    const char *name, *value;
};

/* Set before the operator's properties, which win. */
static const struct setting defaults[] = {
    {"client.id", "cairn"},
    /* Nagle holds a small request back for the answer to the one before: p95 of a commit is 19 to
     * 34 ms with it, 5.5 ms without, at 1 ms of network. */
    {"socket.nagle.disable", "true"},
    {"socket.keepalive.enable", "true"},
    {"socket.timeout.ms", "5000"},
    {"socket.connection.setup.timeout.ms", "5000"},
    /* A broker that came back is found within a second. */
    {"reconnect.backoff.max.ms", "1000"},
    {"log.connection.close", "false"},
    {NULL, NULL},
};

static const struct setting producer_defaults[] = {
    /* Ignored while a commit flushes; keeps the records of a group in one batch until then. */
    {"linger.ms", "5"},
    /* Above what a group may hold: the broker alone judges the size of a record. */
    {"message.max.bytes", "20000000"},
    {NULL, NULL},
};

static const struct setting reader_defaults[] = {
    /* A fetch that finds nothing waits that long, and only such a fetch tells the end. */
    {"fetch.wait.max.ms", "25"},
    {"fetch.error.backoff.ms", "50"},
    {"fetch.message.max.bytes", "4194304"},
    {"queued.min.messages", "200000"},
    {"queued.max.messages.kbytes", "65536"},
    {NULL, NULL},
};

/* Set behind the operator's properties. */
static const struct setting admin_fixed[] = {
    /* So that the end of a partition is its high watermark, open transactions included. */
    {"isolation.level", "read_uncommitted"},
    {"allow.auto.create.topics", "false"},
    {NULL, NULL},
};

static const struct setting producer_fixed[] = {
    {"enable.idempotence", "true"},
    {"acks", "all"},
    {"message.timeout.ms", "8000"},
    {NULL, NULL},
};

static const struct setting transactions_fixed[] = {
    {"enable.idempotence", "true"},
    {"acks", "all"},
    {"message.timeout.ms", "8000"},
    /* A crashed owner holds readers up for at most this long (and the broker's scan of 10 s),
     * unless a new owner fences it, which ends its transactions at once. */
    {"transaction.timeout.ms", "10000"},
    {NULL, NULL},
};

static const struct setting reader_fixed[] = {
    {"isolation.level", "read_committed"},
    {"enable.partition.eof", "true"},
    {"check.crcs", "true"},
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    /* An offset that is gone is lost events, never a reason to start somewhere else. */
    {"auto.offset.reset", "error"},
    {"allow.auto.create.topics", "false"},
    {NULL, NULL},
};

static const struct setting none[] = {{NULL, NULL}};

static const struct kind {
    rd_kafka_type_t type;
    const struct setting *defaults, *fixed;
} kinds[] = {
    [CAIRN_KAFKA_ADMIN] = {RD_KAFKA_CONSUMER, none, admin_fixed},
    [CAIRN_KAFKA_PRODUCER] = {RD_KAFKA_PRODUCER, producer_defaults, producer_fixed},
    [CAIRN_KAFKA_TRANSACTIONS] = {RD_KAFKA_PRODUCER, producer_defaults, transactions_fixed},
    [CAIRN_KAFKA_READER] = {RD_KAFKA_CONSUMER, reader_defaults, reader_fixed},
};

/* The opaque of a handle. */
struct state {
    struct cairn_log *log_lines;
    void (*delivered)(void *self, void *opaque, int failed, int64_t offset);
    void *self;
    pthread_mutex_t lock;
    char trouble[CAIRN_KAFKA_TROUBLE_MAX]; /* guarded by lock */
};

/* A line without librdkafka's "[thrd:name]: " in front. */
static const char *without_thread(const char *line)
{
    static const char lead[] = "[thrd:";
    const char *end = strncmp(line, lead, sizeof(lead) - 1) == 0 ? strstr(line, "]: ") : NULL;
    return end == NULL ? line : end + 3;
}

static enum cairn_log_level level_of(int level, const char *facility)
{
    /* Every handle gets all properties, so a reader's is told to a producer too, as a warning. */
    if (level > LEVEL_NOTICE || strcmp(facility, "CONFWARN") == 0) {
        return CAIRN_LOG_DEBUG;
    }
    /* Never an error, also where librdkafka calls it fatal: a fenced producer is an ordinary
     * take-over, and what fails is returned to a caller that knows what it means. */
    return level > LEVEL_WARN ? CAIRN_LOG_INFO : CAIRN_LOG_WARN;
}

/* librdkafka's log_cb. thread: any of its own. */
static void log_line(const rd_kafka_t *rk, int level, const char *facility, const char *line)
{
    struct state *state = rd_kafka_opaque(rk);
    const char *text = without_thread(line);
    if (level <= TROUBLE_LEVEL && strcmp(facility, "FAIL") == 0) {
        (void)pthread_mutex_lock(&state->lock);
        (void)snprintf(state->trouble, sizeof(state->trouble), "%s", text);
        (void)pthread_mutex_unlock(&state->lock);
    }
    cairn_log_event(state->log_lines, level_of(level, facility), "kafka", "client",
                    CAIRN_F_STR("facility", facility), CAIRN_F_STR("detail", text),
                    CAIRN_F_STR("handle", rd_kafka_name(rk)));
}

/* librdkafka's error_cb. What it tells was logged before, and calls return what concerns them. */
static void pass_over(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    (void)code;
    (void)reason;
    (void)opaque;
}

/* librdkafka's dr_msg_cb. Every producer has one: without it the flush within a commit polls in
 * steps of 10 ms. */
static void report_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    const struct state *state = opaque;
    if (state->delivered != NULL) {
        state->delivered(state->self, message->_private, (int)message->err, message->offset);
    }
}

static enum cairn_rc set(rd_kafka_conf_t *conf, const char *name, const char *value,
                         struct cairn_err *err)
{
    char text[ERRSTR_MAX];
    rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, name, value, text, sizeof(text));
    if (result == RD_KAFKA_CONF_UNKNOWN) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "librdkafka %s knows no such property",
                          rd_kafka_version_str());
    }
    /* Its text may quote the value, which may be a secret. */
    return result == RD_KAFKA_CONF_OK
               ? CAIRN_OK
               : CAIRN_FAIL(err, CAIRN_EINVAL, "librdkafka %s takes no such value",
                            rd_kafka_version_str());
}

static enum cairn_rc set_property(void *self, const char *name, const char *value,
                                  struct cairn_err *err)
{
    return set(self, name, value, err);
}

static enum cairn_rc set_all(rd_kafka_conf_t *conf, const struct setting *settings,
                             struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    for (; rc == CAIRN_OK && settings->name != NULL; settings++) {
        rc = set(conf, settings->name, settings->value, err);
        assert(rc == CAIRN_OK); /* the tables are ours */
    }
    return rc;
}

/* What a reader or a transactional producer is called at the broker. */
static enum cairn_rc set_names(rd_kafka_conf_t *conf, const struct cairn_kafka_options *options,
                               const struct cairn_kafka_handle_options *handle,
                               struct cairn_err *err)
{
    if (handle->kind == CAIRN_KAFKA_TRANSACTIONS) {
        assert(handle->transactional_id != NULL && handle->transactional_id[0] != '\0');
        return set(conf, "transactional.id", handle->transactional_id, err);
    }
    if (handle->kind != CAIRN_KAFKA_READER) {
        return CAIRN_OK;
    }
    /* librdkafka assigns partitions by hand only to handles of a group. Nobody ever joins it or
     * commits to it. */
    char group[GROUP_ID_MAX];
    (void)snprintf(group, sizeof(group), "cairn.%.*s", CAIRN_SLICE_ARG(options->domain));
    return set(conf, "group.id", group, err);
}

static enum cairn_rc fill(rd_kafka_conf_t *conf, const struct cairn_kafka_options *options,
                          const struct cairn_kafka_handle_options *handle, struct cairn_err *err)
{
    const struct kind *kind = &kinds[handle->kind];
    enum cairn_rc rc = set_all(conf, defaults, err);
    rc = rc == CAIRN_OK ? set_all(conf, kind->defaults, err) : rc;
    rc = rc == CAIRN_OK ? cairn_kafka_properties_read(options->properties, set_property, conf, err)
                        : rc;
    rc = rc == CAIRN_OK ? set_all(conf, kind->fixed, err) : rc;
    rc = rc == CAIRN_OK ? set_names(conf, options, handle, err) : rc;
    if (rc == CAIRN_OK && set(conf, "bootstrap.servers", options->brokers, err) != CAIRN_OK) {
        rc = cairn_err_wrap(err, CAIRN_EINVAL, "the brokers %s", options->brokers);
    }
    rd_kafka_conf_set_log_cb(conf, log_line);
    if (handle->kind != CAIRN_KAFKA_READER) { /* it meets errors among its messages */
        rd_kafka_conf_set_error_cb(conf, pass_over);
    }
    if (kind->type == RD_KAFKA_PRODUCER) {
        rd_kafka_conf_set_dr_msg_cb(conf, report_delivery);
    }
    return rc;
}

static struct state *state_new(const struct cairn_kafka_options *options,
                               const struct cairn_kafka_handle_options *handle)
{
    struct state *state = cairn_mem_zalloc(1, sizeof(*state));
    if (state != NULL) {
        state->log_lines = options->log_lines;
        state->delivered = handle->delivered;
        state->self = handle->self;
        (void)pthread_mutex_init(&state->lock, NULL);
    }
    return state;
}

static void state_free(struct state *state)
{
    (void)pthread_mutex_destroy(&state->lock);
    cairn_mem_free(state);
}

enum cairn_rc cairn_kafka_handle_new(const struct cairn_kafka_options *options,
                                     const struct cairn_kafka_handle_options *handle,
                                     struct rd_kafka_s **ret_handle, struct cairn_err *err)
{
    assert(options->brokers != NULL);
    assert((size_t)handle->kind < sizeof(kinds) / sizeof(kinds[0]));
    struct state *state = state_new(options, handle);
    if (state == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a Kafka client");
    }
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, state);
    rd_kafka_t *rk = NULL;
    enum cairn_rc rc = fill(conf, options, handle, err);
    if (rc == CAIRN_OK) {
        char text[ERRSTR_MAX];
        rk = rd_kafka_new(kinds[handle->kind].type, conf, text, sizeof(text));
        if (rk == NULL) {
            rc = cairn_kafka_rc((int)rd_kafka_last_error());
            rc = CAIRN_FAIL(err, rc, "librdkafka: %s%s", text,
                            strstr(text, ".location failed") == NULL
                                ? ""
                                : "; is that file there, readable and right?");
        }
    }
    if (rc != CAIRN_OK) {
        rd_kafka_conf_destroy(conf); /* a handle would have taken it */
        state_free(state);
        return rc;
    }
    if (handle->kind == CAIRN_KAFKA_READER) {
        rd_kafka_resp_err_t code = rd_kafka_poll_set_consumer(rk);
        assert(code == RD_KAFKA_RESP_ERR_NO_ERROR); /* it has a group */
        (void)code;
    }
    *ret_handle = rk;
    return CAIRN_OK;
}

void cairn_kafka_handle_free(struct rd_kafka_s *handle)
{
    if (handle == NULL) {
        return;
    }
    struct state *state = rd_kafka_opaque(handle);
    /* No group was joined, so there is none to leave, and nothing to wait for. */
    rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    state_free(state);
}

void cairn_kafka_handle_trouble(const struct rd_kafka_s *handle, char out[CAIRN_KAFKA_TROUBLE_MAX])
{
    struct state *state = rd_kafka_opaque(handle);
    (void)pthread_mutex_lock(&state->lock);
    memcpy(out, state->trouble, CAIRN_KAFKA_TROUBLE_MAX);
    (void)pthread_mutex_unlock(&state->lock);
}

/* librdkafka tells these by its words alone; the first that fits counts. */
static const struct {
    const char *words, *advice;
} refusals[] = {
    {"certificate verify failed", "ssl.ca.location, and the brokers' address against their "
                                  "certificate"},
    {"credentials with SASL mechanism SCR",
     "sasl.username and sasl.password (Kafka 4 refuses SCRAM of librdkafka before 2.6.1: PLAIN)"},
    {"SASL", "sasl.mechanisms, sasl.username and sasl.password"},
    {"SSL", "security.protocol and the properties ssl.*"},
};

const char *cairn_kafka_handle_refusal(const struct rd_kafka_s *handle)
{
    char trouble[CAIRN_KAFKA_TROUBLE_MAX];
    cairn_kafka_handle_trouble(handle, trouble);
    /* A connection that was lost in the middle of it says nothing about who may come in. */
    bool lost = strstr(trouble, "Local: ") != NULL;
    for (size_t i = 0; !lost && i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (strstr(trouble, refusals[i].words) != NULL) {
            return refusals[i].advice;
        }
    }
    return NULL;
}

static const struct {
    rd_kafka_resp_err_t code;
    enum cairn_rc rc;
} codes[] = {
    {RD_KAFKA_RESP_ERR_NO_ERROR, CAIRN_EINTERNAL},
    {RD_KAFKA_RESP_ERR__FENCED, CAIRN_EFENCED},
    {RD_KAFKA_RESP_ERR_PRODUCER_FENCED, CAIRN_EFENCED},
    {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, CAIRN_EFENCED},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, CAIRN_ETIMEDOUT},
    {RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, CAIRN_ETIMEDOUT},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, CAIRN_ETIMEDOUT},
    {RD_KAFKA_RESP_ERR__TRANSPORT, CAIRN_ETIMEDOUT},
    {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, CAIRN_ETIMEDOUT},
    {RD_KAFKA_RESP_ERR__RESOLVE, CAIRN_ETIMEDOUT},
    {RD_KAFKA_RESP_ERR__WAIT_COORD, CAIRN_ETIMEDOUT},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, CAIRN_ETIMEDOUT},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, CAIRN_ENOENT},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, CAIRN_ENOENT},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, CAIRN_ENOENT},
    {RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, CAIRN_EEXIST},
    {RD_KAFKA_RESP_ERR__AUTHENTICATION, CAIRN_EFORBIDDEN},
    {RD_KAFKA_RESP_ERR__SSL, CAIRN_EFORBIDDEN},
    {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, CAIRN_EFORBIDDEN},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, CAIRN_EFORBIDDEN},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, CAIRN_EFORBIDDEN},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, CAIRN_EFORBIDDEN},
    {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, CAIRN_EFORBIDDEN},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, CAIRN_ETOOBIG},
    {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, CAIRN_ETOOBIG},
    {RD_KAFKA_RESP_ERR__INVALID_ARG, CAIRN_EINVAL},
    {RD_KAFKA_RESP_ERR_INVALID_CONFIG, CAIRN_EINVAL},
    {RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, CAIRN_EINVAL},
    {RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, CAIRN_EINVAL},
    {RD_KAFKA_RESP_ERR_INVALID_REQUEST, CAIRN_EINVAL},
    {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, CAIRN_EINVAL},
    {RD_KAFKA_RESP_ERR_POLICY_VIOLATION, CAIRN_EINVAL},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, CAIRN_EUNSUPPORTED},
    {RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, CAIRN_EUNSUPPORTED},
    {RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED, CAIRN_EUNSUPPORTED},
    {RD_KAFKA_RESP_ERR__QUEUE_FULL, CAIRN_EBUSY},
    {RD_KAFKA_RESP_ERR__BAD_MSG, CAIRN_ECORRUPT},
    {RD_KAFKA_RESP_ERR_INVALID_MSG, CAIRN_ECORRUPT},
    {RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, CAIRN_ECORRUPT},
    {RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, CAIRN_ECORRUPT},
    {RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, CAIRN_ENOMEM},
};

enum cairn_rc cairn_kafka_rc(int code)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if ((int)codes[i].code == code) {
            return codes[i].rc;
        }
    }
    return CAIRN_EIO;
}
