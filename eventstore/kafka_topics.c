#include "eventstore/kafka_topics.h"

#include <assert.h>
#include <stdio.h>

#include "eventstore/kafka_admin.h"
#include "eventstore/kafka_description.h"
#include "platform/mem.h"
#include "platform/uuid.h"

#define REPLICATION_DEFAULT 3

/* The log's topics while they are looked at. On the heap: it is some 40 KiB. */
struct work {
    const struct cairn_kafka_topics_options *options;
    struct cairn_kafka_admin *admin;
    struct cairn_kafka_layout layout; /* what the log should be */
    bool described;                   /* the control topic has a description */
    bool changed;                     /* and layout says more than it */
    uint16_t brokers;
    struct cairn_kafka_topic topics[CAIRN_KAFKA_ADMIN_TOPICS_MAX];
    size_t topic_count;
};

static uint16_t replication_of(const struct work *work)
{
    uint16_t most = work->brokers < REPLICATION_DEFAULT ? work->brokers : REPLICATION_DEFAULT;
    uint16_t least = most == 0 ? 1 : most;
    return work->options->replication != 0 ? work->options->replication : least;
}

static struct cairn_kafka_topic_wish wish_of(const struct work *work)
{
    return (struct cairn_kafka_topic_wish){.lanes = work->layout.lanes,
                                           .replication = replication_of(work),
                                           .brokers = work->options->kafka.brokers};
}

/* --- what the log should be --- */

static void begin_layout(const struct cairn_kafka_topics_options *options,
                         struct cairn_kafka_layout *layout)
{
    struct cairn_slice domain = options->kafka.domain;
    const struct cairn_random *random = cairn_random_system();
    uint16_t usual = options->new_lanes == 0 ? CAIRN_KAFKA_LANES_DEFAULT : options->new_lanes;
    *layout = (struct cairn_kafka_layout){.lanes = options->lanes == 0 ? usual : options->lanes};
    memcpy(layout->domain, domain.data, domain.size);
    random->fill(random->self, layout->log_id, sizeof(layout->log_id));
}

static enum cairn_rc add_aggregate(struct cairn_kafka_layout *layout, struct cairn_slice name,
                                   struct cairn_err *err)
{
    if (layout->topic_count == CAIRN_KAFKA_TOPICS_MAX ||
        (layout->topic_count + 1) * layout->lanes > CAIRN_PARTITIONS_MAX) {
        return CAIRN_FAIL(
            err, CAIRN_EINVAL,
            "%d aggregates of %d partitions each are too many: a log has at most %d "
            "topics and %d partitions in all; see --partitions and /topics of domain.json",
            layout->topic_count + 1, layout->lanes, CAIRN_KAFKA_TOPICS_MAX, CAIRN_PARTITIONS_MAX);
    }
    memcpy(layout->aggregates[layout->topic_count++], name.data, name.size);
    return CAIRN_OK;
}

/* A new log, or the old one with the aggregates that it has not learned of yet: a
 * cairn_kafka_change_fn. */
static enum cairn_rc merge(void *self, bool found, struct cairn_kafka_layout *layout,
                           bool *ret_changed, struct cairn_err *err)
{
    const struct cairn_kafka_topics_options *options = self;
    if (!found) {
        begin_layout(options, layout);
    }
    if (!cairn_slice_is(options->kafka.domain, layout->domain)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "the log is of the domain %s, not of %.*s",
                          layout->domain, CAIRN_SLICE_ARG(options->kafka.domain));
    }
    if (options->lanes != 0 && options->lanes != layout->lanes) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "the log was made with %d partitions and keeps them: --partitions %d "
                          "cannot change that; leave the flag out, or move the events to a new log",
                          layout->lanes, options->lanes);
    }
    bool changed = !found;
    for (size_t i = 0; i < options->aggregate_count; i++) {
        if (cairn_kafka_layout_topic(layout, options->aggregates[i]) < 0) {
            enum cairn_rc rc = add_aggregate(layout, options->aggregates[i], err);
            if (rc != CAIRN_OK) {
                return rc;
            }
            changed = true;
        }
    }
    *ret_changed = changed;
    return CAIRN_OK;
}

static enum cairn_rc check_options(const struct cairn_kafka_topics_options *options,
                                   struct cairn_err *err)
{
    assert(options->kafka.brokers != NULL && options->timeout_ms > 0);
    static_assert(CAIRN_KAFKA_DOMAIN_SIZE_MAX > CAIRN_AGGREGATE_BYTES_MAX, "a name fits");
    /* As the log's description is read: one that is written must be. */
    if (!cairn_aggregate_is_valid(options->kafka.domain)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "a domain on Kafka has a name of 1 to %d of a-z, 0-9 and _, the first a "
                          "letter, not '%.*s'",
                          CAIRN_AGGREGATE_BYTES_MAX, CAIRN_SLICE_ARG(options->kafka.domain));
    }
    if (options->aggregate_count == 0) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "a domain without aggregates has no topics");
    }
    for (size_t i = 0; i < options->aggregate_count; i++) {
        assert(options->aggregates[i].size > 0);
        assert(options->aggregates[i].size <= CAIRN_AGGREGATE_BYTES_MAX);
    }
    return CAIRN_OK;
}

/* --- looking --- */

/* The topics of the layout by name, the control topic last. */
static void name_topics(struct work *work)
{
    work->topic_count = (size_t)work->layout.topic_count + 1;
    for (uint16_t i = 0; i <= work->layout.topic_count; i++) {
        work->topics[i] = (struct cairn_kafka_topic){.control = i == work->layout.topic_count};
        cairn_kafka_layout_topic_name(&work->layout, i, work->topics[i].name);
    }
}

static struct cairn_kafka_topic *control_of(struct work *work)
{
    assert(work->topic_count > 0);
    return &work->topics[work->topic_count - 1];
}

static enum cairn_rc look(struct work *work, bool must_exist, struct cairn_err *err)
{
    return cairn_kafka_admin_look(work->admin, work->topics, work->topic_count, must_exist,
                                  &work->brokers, err);
}

/* The layout that the control topic and the domain make together, and its topics as they are. */
static enum cairn_rc begin(struct work *work, struct cairn_err *err)
{
    const struct cairn_kafka_topics_options *options = work->options;
    enum cairn_rc rc = check_options(options, err);
    rc = rc == CAIRN_OK
             ? cairn_kafka_admin_new(&options->kafka, options->timeout_ms, &work->admin, err)
             : rc;
    struct cairn_kafka_topics_options fresh = *options;
    rc = rc == CAIRN_OK ? merge(&fresh, false, &work->layout, &work->changed, err) : rc;
    if (rc == CAIRN_OK) {
        name_topics(work);
        rc = look(work, false, err);
    }
    if (rc != CAIRN_OK || !control_of(work)->found) {
        return rc;
    }
    struct cairn_kafka_layout described;
    rc = cairn_kafka_description_read(&options->kafka, control_of(work)->name, options->timeout_ms,
                                      &work->described, &described, err);
    if (rc == CAIRN_OK && work->described) {
        work->layout = described;
        rc = merge(&fresh, true, &work->layout, &work->changed, err);
        name_topics(work);
        rc = rc == CAIRN_OK ? look(work, false, err) : rc;
    }
    return rc;
}

static enum cairn_rc work_new(const struct cairn_kafka_topics_options *options,
                              struct work **ret_work, struct cairn_err *err)
{
    struct work *work = cairn_mem_zalloc(1, sizeof(*work));
    if (work == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "the topics of the log");
    }
    work->options = options;
    *ret_work = work;
    return CAIRN_OK;
}

static void work_free(struct work *work)
{
    if (work != NULL) {
        cairn_kafka_admin_free(work->admin);
        cairn_mem_free(work);
    }
}

/* --- opening --- */

/* The first fault, kept as an error. */
struct refusal {
    struct cairn_err *err;
    bool given;
};

static void refuse(void *self, const char *topic, const char *text)
{
    struct refusal *refusal = self;
    if (!refusal->given) {
        refusal->given = true;
        (void)CAIRN_FAIL(refusal->err, CAIRN_EINVAL, "topic %s: %s", topic, text);
    }
}

/* EINVAL for the first fault of a topic that is there, ENOENT for the first that is not and will
 * not be made. */
static enum cairn_rc judge(const struct work *work, bool may_miss, struct cairn_err *err)
{
    struct cairn_kafka_topic_wish wish = wish_of(work);
    for (size_t i = 0; i < work->topic_count; i++) {
        struct refusal refusal = {.err = err};
        if (!work->topics[i].found) {
            if (may_miss) {
                continue;
            }
            return CAIRN_FAIL(err, CAIRN_ENOENT,
                              "there is no topic %s; make it: cairn topics create DOMAIN",
                              work->topics[i].name);
        }
        if (cairn_kafka_topic_judge(&work->topics[i], &wish, refuse, &refusal) > 0) {
            return CAIRN_EINVAL;
        }
    }
    return CAIRN_OK;
}

/* The control topic first: it says which topics there are, should the making end half way. */
static enum cairn_rc make_control(struct work *work, struct cairn_err *err)
{
    struct cairn_kafka_topic *control = control_of(work);
    if (control->found) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = cairn_kafka_admin_create(work->admin, control, 1, work->layout.lanes,
                                                replication_of(work), err);
    uint16_t brokers = 0;
    return rc == CAIRN_OK ? cairn_kafka_admin_look(work->admin, control, 1, true, &brokers, err)
                          : rc;
}

static enum cairn_rc describe(struct work *work, struct cairn_err *err)
{
    const struct cairn_kafka_topics_options *options = work->options;
    struct cairn_kafka_topics_options wanted = *options;
    char control[CAIRN_KAFKA_TOPIC_NAME_MAX + 1];
    memcpy(control, control_of(work)->name, sizeof(control));
    enum cairn_rc rc = cairn_kafka_description_change(&options->kafka, control, options->timeout_ms,
                                                      merge, &wanted, &work->layout, err);
    if (rc == CAIRN_OK) {
        name_topics(work); /* another maker may have been faster, with another order */
        rc = look(work, false, err);
    }
    return rc;
}

static enum cairn_rc make(struct work *work, struct cairn_err *err)
{
    enum cairn_rc rc = make_control(work, err);
    rc = rc == CAIRN_OK && work->changed ? describe(work, err) : rc;
    if (rc == CAIRN_OK) {
        rc = cairn_kafka_admin_create(work->admin, work->topics, work->topic_count,
                                      work->layout.lanes, replication_of(work), err);
    }
    rc = rc == CAIRN_OK ? look(work, true, err) : rc;
    return rc == CAIRN_OK ? judge(work, false, err) : rc;
}

static bool is_whole(const struct work *work)
{
    bool whole = !work->changed;
    for (size_t i = 0; i < work->topic_count; i++) {
        whole = whole && work->topics[i].found;
    }
    return whole;
}

enum cairn_rc cairn_kafka_topics_open(const struct cairn_kafka_topics_options *options,
                                      struct cairn_kafka_layout *ret_layout, struct cairn_err *err)
{
    struct work *work = NULL;
    enum cairn_rc rc = work_new(options, &work, err);
    rc = rc == CAIRN_OK ? begin(work, err) : rc;
    /* What is there is judged before anything is made: a refusal leaves the cluster as it was. */
    rc = rc == CAIRN_OK ? judge(work, options->create, err) : rc;
    if (rc == CAIRN_OK && !is_whole(work)) {
        rc = options->create ? make(work, err)
                             : CAIRN_FAIL(err, CAIRN_ENOENT,
                                          "the topic %s does not describe this log; make it so: "
                                          "cairn topics create DOMAIN",
                                          control_of(work)->name);
    }
    if (rc == CAIRN_OK) {
        *ret_layout = work->layout;
    }
    work_free(work);
    return rc;
}

/* --- checking --- */

/* Faults are counted where they are told. */
struct count {
    const struct cairn_kafka_topics_hooks *hooks;
    size_t faults;
};

static void count_fault(void *self, const char *topic, const char *text)
{
    struct count *count = self;
    count->faults++;
    if (count->hooks->fault != NULL) {
        count->hooks->fault(count->hooks->self, topic, text);
    }
}

static void tell_topics(const struct work *work, struct count *count)
{
    struct cairn_kafka_topic_wish wish = wish_of(work);
    for (size_t i = 0; i < work->topic_count; i++) {
        const struct cairn_kafka_topic *topic = &work->topics[i];
        if (topic->found && count->hooks->topic != NULL) {
            count->hooks->topic(count->hooks->self, topic->name, topic->partitions,
                                topic->replication);
        }
        (void)cairn_kafka_topic_judge(topic, &wish, count_fault, count);
    }
}

enum cairn_rc cairn_kafka_topics_check(const struct cairn_kafka_topics_options *options,
                                       const struct cairn_kafka_topics_hooks *hooks,
                                       size_t *ret_faults, struct cairn_err *err)
{
    struct work *work = NULL;
    struct count count = {.hooks = hooks};
    enum cairn_rc rc = work_new(options, &work, err);
    rc = rc == CAIRN_OK ? begin(work, err) : rc;
    if (rc == CAIRN_OK) {
        tell_topics(work, &count);
        if (control_of(work)->found && work->changed) {
            count_fault(&count, control_of(work)->name,
                        work->described ? "the log has not learned of all aggregates of the "
                                          "domain yet; mend it: cairn topics create DOMAIN"
                                        : "it does not describe the log; mend it: cairn topics "
                                          "create DOMAIN");
        }
        *ret_faults = count.faults;
    }
    work_free(work);
    return rc;
}
