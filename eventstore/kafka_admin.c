#include "eventstore/kafka_admin.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#include "platform/clock.h"
#include "platform/mem.h"

#define POLL_NS       20000000L /* between two looks at topics that have no leader yet */
#define REQUEST_MS    30000     /* an answer that never comes is given up */
#define LOWS_MS       1500      /* for first offsets; then the question is who leads now */
#define ERRSTR_MAX    256
#define REFUSED_MS    2000 /* who is not let in by then will not be */
#define FIRST_OFFSET  (-2) /* Kafka's "earliest", where a time is asked for */
#define PARTITION_MAX UINT16_MAX

struct cairn_kafka_admin {
    rd_kafka_t *rk;
    const char *brokers; /* borrowed */
    int timeout_ms;
};

enum cairn_rc cairn_kafka_admin_new(const struct cairn_kafka_options *options, int timeout_ms,
                                    struct cairn_kafka_admin **ret_admin, struct cairn_err *err)
{
    assert(timeout_ms > 0);
    struct cairn_kafka_admin *admin = cairn_mem_zalloc(1, sizeof(*admin));
    if (admin == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a Kafka client");
    }
    struct cairn_kafka_handle_options handle = {.kind = CAIRN_KAFKA_ADMIN};
    enum cairn_rc rc = cairn_kafka_handle_new(options, &handle, &admin->rk, err);
    if (rc != CAIRN_OK) {
        cairn_mem_free(admin);
        return rc;
    }
    admin->brokers = options->brokers;
    admin->timeout_ms = timeout_ms;
    *ret_admin = admin;
    return CAIRN_OK;
}

void cairn_kafka_admin_free(struct cairn_kafka_admin *admin)
{
    if (admin == NULL) {
        return;
    }
    cairn_kafka_handle_free(admin->rk);
    cairn_mem_free(admin);
}

static void pause_shortly(void)
{
    struct timespec pause = {.tv_nsec = POLL_NS};
    (void)nanosleep(&pause, NULL);
}

/* A call failed. Where no broker answers, the last trouble with one says why. */
static enum cairn_rc refuse(const struct cairn_kafka_admin *admin, rd_kafka_resp_err_t code,
                            const char *what, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_kafka_rc((int)code);
    char trouble[CAIRN_KAFKA_TROUBLE_MAX];
    cairn_kafka_handle_trouble(admin->rk, trouble);
    const char *advice = cairn_kafka_handle_refusal(admin->rk);
    if (rc == CAIRN_ETIMEDOUT && advice != NULL) {
        return CAIRN_FAIL(err, CAIRN_EFORBIDDEN, "not let in by Kafka; check %s: %s", advice,
                          trouble);
    }
    if (rc == CAIRN_ETIMEDOUT) {
        bool silent = trouble[0] == '\0';
        return CAIRN_FAIL(err, rc,
                          "no answer from the Kafka brokers %.80s within %d ms (%s)%s%s; is Kafka "
                          "running there%s?",
                          admin->brokers, admin->timeout_ms, what, silent ? "" : ": ", trouble,
                          silent ? ", and security.protocol right" : "");
    }
    return CAIRN_FAIL(err, rc, "Kafka: %s: %s%s", what, rd_kafka_err2str(code),
                      rc == CAIRN_EFORBIDDEN ? "; the user lacks a right, see the how-to on Kafka"
                                             : "");
}

/* --- metadata --- */

static enum cairn_rc take_topic(const struct cairn_kafka_admin *admin,
                                const struct rd_kafka_metadata_topic *from,
                                struct cairn_kafka_topic *topic, bool *ret_led,
                                struct cairn_err *err)
{
    *ret_led = true;
    if (from->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        return CAIRN_OK;
    }
    if (cairn_kafka_rc((int)from->err) == CAIRN_EFORBIDDEN ||
        from->err == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION) {
        return refuse(admin, from->err, topic->name, err);
    }
    topic->found = true;
    topic->partitions =
        (uint16_t)(from->partition_cnt > PARTITION_MAX ? PARTITION_MAX : from->partition_cnt);
    *ret_led = topic->partitions > 0;
    int least = PARTITION_MAX;
    for (int i = 0; i < from->partition_cnt; i++) {
        *ret_led = *ret_led && from->partitions[i].leader >= 0;
        least = from->partitions[i].replica_cnt < least ? from->partitions[i].replica_cnt : least;
    }
    topic->replication = (uint16_t)least;
    return CAIRN_OK;
}

static struct cairn_kafka_topic *find(struct cairn_kafka_topic *topics, size_t count,
                                      const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(topics[i].name, name) == 0) {
            return &topics[i];
        }
    }
    return NULL;
}

static void forget(struct cairn_kafka_topic *topics, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct cairn_kafka_topic fresh = {.control = topics[i].control};
        memcpy(fresh.name, topics[i].name, sizeof(fresh.name));
        topics[i] = fresh;
    }
}

/* What one answer says. *ret_waiting: the name of a topic that is not ready, or NULL. */
static enum cairn_rc take_metadata(const struct cairn_kafka_admin *admin,
                                   const struct rd_kafka_metadata *metadata,
                                   struct cairn_kafka_topic *topics, size_t count, bool must_exist,
                                   const char **ret_waiting, struct cairn_err *err)
{
    const char *waiting = NULL;
    forget(topics, count);
    for (int i = 0; i < metadata->topic_cnt; i++) {
        struct cairn_kafka_topic *topic = find(topics, count, metadata->topics[i].topic);
        bool led = true;
        if (topic == NULL) {
            continue; /* the handle remembers topics of earlier calls */
        }
        enum cairn_rc rc = take_topic(admin, &metadata->topics[i], topic, &led, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        waiting = led ? waiting : topic->name;
    }
    for (size_t i = 0; must_exist && i < count; i++) {
        waiting = topics[i].found ? waiting : topics[i].name;
    }
    *ret_waiting = waiting;
    return CAIRN_OK;
}

/* An answer to the question for topics, unless none comes in time or no broker lets us in. */
static rd_kafka_resp_err_t ask_once(const struct cairn_kafka_admin *admin, int timeout_ms,
                                    const struct rd_kafka_metadata **ret_metadata)
{
    int first_ms = timeout_ms < REFUSED_MS ? timeout_ms : REFUSED_MS;
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(admin->rk, 0, NULL, ret_metadata, first_ms > 1 ? first_ms : 1);
    bool late = cairn_kafka_rc((int)code) == CAIRN_ETIMEDOUT && timeout_ms > first_ms;
    return late && cairn_kafka_handle_refusal(admin->rk) == NULL
               ? rd_kafka_metadata(admin->rk, 0, NULL, ret_metadata, timeout_ms - first_ms)
               : code;
}

/* Ask until all that should be there is there and has leaders. */
static enum cairn_rc ask_metadata(struct cairn_kafka_admin *admin, struct cairn_kafka_topic *topics,
                                  size_t count, bool must_exist, uint16_t *ret_brokers,
                                  struct cairn_err *err)
{
    int64_t until_ms = cairn_kafka_now_ms() + admin->timeout_ms;
    for (;;) {
        int left_ms = cairn_kafka_left_ms(until_ms);
        const struct rd_kafka_metadata *metadata = NULL;
        rd_kafka_resp_err_t code = ask_once(admin, left_ms, &metadata);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return refuse(admin, code, "topics", err);
        }
        const char *waiting = NULL;
        *ret_brokers = (uint16_t)metadata->broker_cnt;
        enum cairn_rc rc = take_metadata(admin, metadata, topics, count, must_exist, &waiting, err);
        rd_kafka_metadata_destroy(metadata);
        if (rc != CAIRN_OK || waiting == NULL) {
            return rc;
        }
        if (cairn_kafka_now_ms() >= until_ms) {
            return CAIRN_FAIL(err, CAIRN_ETIMEDOUT,
                              "the topic %s has a partition without a leader; are all brokers up?",
                              waiting);
        }
        pause_shortly();
    }
}

/* Metadata of just these topics: librdkafka asks for those that it has handles of. */
static enum cairn_rc look_at_topics(struct cairn_kafka_admin *admin,
                                    struct cairn_kafka_topic *topics, size_t count, bool must_exist,
                                    uint16_t *ret_brokers, struct cairn_err *err)
{
    rd_kafka_topic_t *handles[CAIRN_KAFKA_ADMIN_TOPICS_MAX] = {NULL};
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; rc == CAIRN_OK && i < count; i++) {
        handles[i] = rd_kafka_topic_new(admin->rk, topics[i].name, NULL);
        if (handles[i] == NULL) {
            rc = refuse(admin, rd_kafka_last_error(), topics[i].name, err);
        }
    }
    if (rc == CAIRN_OK) {
        rc = ask_metadata(admin, topics, count, must_exist, ret_brokers, err);
    }
    for (size_t i = 0; i < count && handles[i] != NULL; i++) {
        rd_kafka_topic_destroy(handles[i]);
    }
    return rc;
}

/* --- requests --- */

/* What is asked of the cluster, and who takes the answer. */
struct request {
    rd_kafka_admin_op_t op;
    const char *what; /* for errors */
    void (*send)(rd_kafka_t *rk, const void *self, const rd_kafka_AdminOptions_t *options,
                 rd_kafka_queue_t *queue);
    enum cairn_rc (*take)(const struct cairn_kafka_admin *admin, const void *self,
                          rd_kafka_event_t *event, struct cairn_err *err);
    const void *self;
};

static enum cairn_rc await(const struct cairn_kafka_admin *admin, const struct request *request,
                           rd_kafka_queue_t *queue, struct cairn_err *err)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, admin->timeout_ms + REQUEST_MS);
    rd_kafka_resp_err_t code =
        event == NULL ? RD_KAFKA_RESP_ERR__TIMED_OUT : rd_kafka_event_error(event);
    enum cairn_rc rc = code == RD_KAFKA_RESP_ERR_NO_ERROR
                           ? request->take(admin, request->self, event, err)
                           : refuse(admin, code, request->what, err);
    if (event != NULL) {
        rd_kafka_event_destroy(event);
    }
    return rc;
}

static enum cairn_rc ask(const struct cairn_kafka_admin *admin, const struct request *request,
                         struct cairn_err *err)
{
    char text[ERRSTR_MAX];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(admin->rk);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(admin->rk, request->op);
    rd_kafka_resp_err_t code =
        rd_kafka_AdminOptions_set_request_timeout(options, admin->timeout_ms, text, sizeof(text));
    assert(code == RD_KAFKA_RESP_ERR_NO_ERROR);
    (void)code;
    request->send(admin->rk, request->self, options, queue);
    enum cairn_rc rc = await(admin, request, queue, err);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    return rc;
}

/* --- settings --- */

/* Whose settings are asked for, and where they go. */
struct question {
    rd_kafka_ConfigResource_t *asked[CAIRN_KAFKA_ADMIN_TOPICS_MAX];
    size_t asked_count;
    struct cairn_kafka_topic *topics;
    size_t topic_count;
};

static void take_settings(const rd_kafka_ConfigResource_t *resource,
                          struct cairn_kafka_topic *topic)
{
    size_t count = 0;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count; i++) {
        const char *name = rd_kafka_ConfigEntry_name(entries[i]);
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        for (int s = 0; s < CAIRN_KAFKA_SETTING_COUNT; s++) {
            if (value != NULL &&
                strcmp(name, cairn_kafka_setting_name((enum cairn_kafka_setting)s)) == 0) {
                (void)snprintf(topic->settings[s], CAIRN_KAFKA_SETTING_VALUE_MAX, "%s", value);
            }
        }
    }
}

static enum cairn_rc take_all_settings(const struct cairn_kafka_admin *admin, const void *self,
                                       rd_kafka_event_t *event, struct cairn_err *err)
{
    const struct question *question = self;
    size_t resource_count = 0;
    const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event), &resource_count);
    for (size_t i = 0; i < resource_count; i++) {
        const char *name = rd_kafka_ConfigResource_name(resources[i]);
        rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(resources[i]);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            enum cairn_rc rc = refuse(admin, code, name, err);
            return cairn_err_wrap(err, rc, "settings");
        }
        struct cairn_kafka_topic *topic = find(question->topics, question->topic_count, name);
        if (topic != NULL) {
            take_settings(resources[i], topic);
        }
    }
    return CAIRN_OK;
}

static void send_question(rd_kafka_t *rk, const void *self, const rd_kafka_AdminOptions_t *options,
                          rd_kafka_queue_t *queue)
{
    struct question question = *(const struct question *)self; /* librdkafka's list is not const */
    rd_kafka_DescribeConfigs(rk, question.asked, question.asked_count, options, queue);
}

static enum cairn_rc look_at_settings(struct cairn_kafka_admin *admin,
                                      struct cairn_kafka_topic *topics, size_t count,
                                      struct cairn_err *err)
{
    struct question question = {.topics = topics, .topic_count = count};
    for (size_t i = 0; i < count; i++) {
        if (topics[i].found) {
            question.asked[question.asked_count++] =
                rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topics[i].name);
        }
    }
    if (question.asked_count == 0) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = ask(admin,
                           &(struct request){.op = RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS,
                                             .what = "settings of topics",
                                             .send = send_question,
                                             .take = take_all_settings,
                                             .self = &question},
                           err);
    rd_kafka_ConfigResource_destroy_array(question.asked, question.asked_count);
    return rc;
}

/* --- first offsets --- */

/* Ask for all partitions in one request a broker. rd_kafka_query_watermark_offsets asks for one
 * partition, and in 2.0.2 overlooks its timeout. */
static rd_kafka_resp_err_t ask_lows(const struct cairn_kafka_admin *admin,
                                    rd_kafka_topic_partition_list_t *list, int timeout_ms)
{
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = FIRST_OFFSET;
    }
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(admin->rk, list, timeout_ms);
    for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++) {
        code = list->elems[i].err;
    }
    return code;
}

static enum cairn_rc take_lows(const struct cairn_kafka_admin *admin,
                               rd_kafka_topic_partition_list_t *list,
                               struct cairn_kafka_topic *topics, size_t count,
                               struct cairn_err *err)
{
    int timeout_ms = admin->timeout_ms < LOWS_MS ? admin->timeout_ms : LOWS_MS;
    rd_kafka_resp_err_t code = ask_lows(admin, list, timeout_ms);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return refuse(admin, code, "first offsets of topics", err);
    }
    for (int i = 0; i < list->cnt; i++) {
        struct cairn_kafka_topic *topic = find(topics, count, list->elems[i].topic);
        assert(topic != NULL);
        topic->low = list->elems[i].offset > topic->low ? list->elems[i].offset : topic->low;
    }
    return CAIRN_OK;
}

static enum cairn_rc look_at_lows(struct cairn_kafka_admin *admin, struct cairn_kafka_topic *topics,
                                  size_t count, struct cairn_err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++) {
        for (int p = 0; p < topics[i].partitions && p < CAIRN_PARTITIONS_MAX; p++) {
            rd_kafka_topic_partition_list_add(list, topics[i].name, p);
        }
    }
    enum cairn_rc rc = list->cnt == 0 ? CAIRN_OK : take_lows(admin, list, topics, count, err);
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

enum cairn_rc cairn_kafka_admin_look(struct cairn_kafka_admin *admin,
                                     struct cairn_kafka_topic *topics, size_t count,
                                     bool must_exist, uint16_t *ret_brokers, struct cairn_err *err)
{
    assert(count > 0 && count <= CAIRN_KAFKA_ADMIN_TOPICS_MAX);
    int64_t until_ms = cairn_kafka_now_ms() + admin->timeout_ms;
    for (;;) {
        uint16_t brokers = 0;
        enum cairn_rc rc = look_at_topics(admin, topics, count, must_exist, &brokers, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        rc = look_at_settings(admin, topics, count, err);
        rc = rc == CAIRN_OK ? look_at_lows(admin, topics, count, err) : rc;
        if (rc == CAIRN_OK) {
            *ret_brokers = brokers;
            return CAIRN_OK;
        }
        /* A leader may be gone, or a broker node not have heard yet of a young topic, which it may
         * even lead: ask who leads now, and then again. */
        bool may_pass = rc == CAIRN_ETIMEDOUT || rc == CAIRN_ENOENT || rc == CAIRN_EIO;
        if (!may_pass || cairn_kafka_now_ms() >= until_ms) {
            return rc;
        }
        pause_shortly();
    }
}

/* --- making --- */

static void set_setting(void *self, const char *name, const char *value)
{
    rd_kafka_resp_err_t code = rd_kafka_NewTopic_set_config(self, name, value);
    assert(code == RD_KAFKA_RESP_ERR_NO_ERROR);
    (void)code;
}

static rd_kafka_NewTopic_t *plan(const struct cairn_kafka_topic *topic, uint16_t lanes,
                                 uint16_t replication)
{
    char text[ERRSTR_MAX];
    int partitions = topic->control ? 1 : lanes;
    rd_kafka_NewTopic_t *made =
        rd_kafka_NewTopic_new(topic->name, partitions, replication, text, sizeof(text));
    assert(made != NULL); /* name and numbers are within Kafka's limits */
    cairn_kafka_topic_settings(topic->control, replication, set_setting, made);
    return made;
}

/* Topics to be made. */
struct plans {
    rd_kafka_NewTopic_t *topics[CAIRN_KAFKA_ADMIN_TOPICS_MAX];
    size_t count;
};

static void send_plans(rd_kafka_t *rk, const void *self, const rd_kafka_AdminOptions_t *options,
                       rd_kafka_queue_t *queue)
{
    struct plans plans = *(const struct plans *)self; /* librdkafka's list is not const */
    rd_kafka_CreateTopics(rk, plans.topics, plans.count, options, queue);
}

static enum cairn_rc take_created(const struct cairn_kafka_admin *admin, const void *self,
                                  rd_kafka_event_t *event, struct cairn_err *err)
{
    (void)admin;
    (void)self;
    size_t count = 0;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
            const char *why = rd_kafka_topic_result_error_string(results[i]);
            return CAIRN_FAIL(err, cairn_kafka_rc((int)code), "cannot make the topic %s: %s",
                              rd_kafka_topic_result_name(results[i]),
                              why == NULL ? rd_kafka_err2str(code) : why);
        }
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_kafka_admin_create(struct cairn_kafka_admin *admin,
                                       const struct cairn_kafka_topic *topics, size_t count,
                                       uint16_t lanes, uint16_t replication, struct cairn_err *err)
{
    assert(count <= CAIRN_KAFKA_ADMIN_TOPICS_MAX);
    assert(lanes > 0 && replication > 0);
    struct plans plans = {.count = 0};
    for (size_t i = 0; i < count; i++) {
        if (!topics[i].found) {
            plans.topics[plans.count++] = plan(&topics[i], lanes, replication);
        }
    }
    if (plans.count == 0) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = ask(admin,
                           &(struct request){.op = RD_KAFKA_ADMIN_OP_CREATETOPICS,
                                             .what = "making topics",
                                             .send = send_plans,
                                             .take = take_created,
                                             .self = &plans},
                           err);
    rd_kafka_NewTopic_destroy_array(plans.topics, plans.count);
    return rc;
}
