#include "eventstore/kafka_topic_rules.h"

#include <assert.h>
#include <stdio.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum {
    SAFE_REPLICATION = 3, /* from here on one replica may be lost, and two must have an event */
    SAFE_INSYNC = 2
};

static const char *const names[CAIRN_KAFKA_SETTING_COUNT] = {
#define X(name, text) [CAIRN_KAFKA_SETTING_##name] = (text),
    CAIRN_KAFKA_SETTING_TABLE(X)
#undef X
};

/* Settings with one right value. NULL: the kind of topic has no rule. */
static const struct rule {
    enum cairn_kafka_setting setting;
    const char *events;  /* the value for a topic of events */
    const char *control; /* for the control topic */
    const char *why;     /* what another value would do */
} rules[] = {
    {CAIRN_KAFKA_SETTING_CLEANUP, "delete", NULL, "compaction keeps one event of each aggregate"},
    {CAIRN_KAFKA_SETTING_CLEANUP, NULL, "compact", "it would grow for ever or lose the log's name"},
    {CAIRN_KAFKA_SETTING_RETENTION_MS, "-1", NULL, "old events would be deleted"},
    {CAIRN_KAFKA_SETTING_RETENTION_BYTES, "-1", NULL, "old events would be deleted"},
    {CAIRN_KAFKA_SETTING_UNCLEAN, "false", "false", "a lagging replica would drop events"},
    {CAIRN_KAFKA_SETTING_TIMESTAMP, "CreateTime", NULL, "events would lose their own time"},
};

/* What a topic is made with beside the rules, for speed alone. */
static const struct {
    bool control;
    const char *name, *value;
} makings[] = {
    /* An event holds 1 MiB of msgpack, which is up to 6 MiB of JSON; Kafka's own limit is 1 MiB. */
    {false, "max.message.bytes", "8388608"},
    /* Who opens the log reads the control topic whole, and only closed segments are compacted. */
    {true, "segment.bytes", "1048576"},
    {true, "min.cleanable.dirty.ratio", "0.01"},
};

/* Whom faults are told, and how many there are. */
struct court {
    const struct cairn_kafka_topic *topic;
    const struct cairn_kafka_topic_wish *wish;
    cairn_kafka_fault_fn fault;
    void *self;
    size_t count;
};

const char *cairn_kafka_setting_name(enum cairn_kafka_setting setting)
{
    assert((int)setting >= 0 && setting < CAIRN_KAFKA_SETTING_COUNT);
    return names[setting];
}

static void tell(struct court *court, const char *text)
{
    court->count++;
    if (court->fault != NULL) {
        court->fault(court->self, court->topic->name, text);
    }
}

static uint16_t least_insync(uint16_t replication)
{
    return replication >= SAFE_REPLICATION ? SAFE_INSYNC : 1;
}

/* A setting with a wrong value, and the command that rights it. */
static void tell_setting(struct court *court, enum cairn_kafka_setting setting, const char *wanted,
                         const char *why)
{
    char text[CAIRN_KAFKA_FAULT_TEXT_MAX];
    const char *value = court->topic->settings[setting];
    (void)snprintf(text, sizeof(text),
                   "%s is %s and must be %s: %s; mend it: kafka-configs.sh --bootstrap-server "
                   "%.64s --alter --topic %s --add-config %s=%s",
                   names[setting], value[0] == '\0' ? "not told" : value, wanted, why,
                   court->wish->brokers, court->topic->name, names[setting], wanted);
    tell(court, text);
}

static void judge_settings(struct court *court)
{
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        const char *wanted = court->topic->control ? rules[i].control : rules[i].events;
        if (wanted != NULL && strcmp(court->topic->settings[rules[i].setting], wanted) != 0) {
            tell_setting(court, rules[i].setting, wanted, rules[i].why);
        }
    }
}

/* Below the least an acknowledged event may be on one disk alone; above the number of replicas
 * nothing can be written. */
static void judge_insync(struct court *court)
{
    const struct cairn_kafka_topic *topic = court->topic;
    uint64_t value = 0;
    struct cairn_slice text = cairn_slice_str(topic->settings[CAIRN_KAFKA_SETTING_MIN_INSYNC]);
    uint16_t least = least_insync(topic->replication);
    char wanted[8];
    (void)snprintf(wanted, sizeof(wanted), "%u", (unsigned)least);
    if (cairn_slice_to_u64(text, &value) != CAIRN_OK || value < least) {
        tell_setting(court, CAIRN_KAFKA_SETTING_MIN_INSYNC, wanted,
                     "an acknowledged event could be lost with one broker");
    } else if (value > topic->replication) {
        tell_setting(court, CAIRN_KAFKA_SETTING_MIN_INSYNC, wanted,
                     "with fewer replicas nothing can be written");
    }
}

static void judge_shape(struct court *court)
{
    const struct cairn_kafka_topic *topic = court->topic;
    const struct cairn_kafka_topic_wish *wish = court->wish;
    char text[CAIRN_KAFKA_FAULT_TEXT_MAX];
    unsigned wanted = topic->control ? 1 : wish->lanes;
    if (topic->partitions != wanted) {
        (void)snprintf(text, sizeof(text),
                       "partitions are %u and must be %u: a stream's events would lie in two "
                       "partitions, or in the wrong one; Kafka cannot take partitions away: "
                       "restore the topic, or move the events to a new log",
                       (unsigned)topic->partitions, wanted);
        tell(court, text);
    }
    if (topic->replication < wish->replication) {
        (void)snprintf(text, sizeof(text),
                       "replication is %u and must be at least %u: mend it with "
                       "kafka-reassign-partitions.sh, or accept it with --replication %u",
                       (unsigned)topic->replication, (unsigned)wish->replication,
                       (unsigned)topic->replication);
        tell(court, text);
    }
    /* Compaction never moves the control topic's first offset, but nothing rests on it either. */
    if (topic->low > 0 && !topic->control) {
        (void)snprintf(text, sizeof(text),
                       "records were deleted: a partition begins at offset %lld and must begin at "
                       "0; nothing brings events back but a restored topic",
                       (long long)topic->low);
        tell(court, text);
    }
}

size_t cairn_kafka_topic_judge(const struct cairn_kafka_topic *topic,
                               const struct cairn_kafka_topic_wish *wish,
                               cairn_kafka_fault_fn fault, void *self)
{
    assert(topic->name[0] != '\0');
    assert(wish->lanes > 0 && wish->replication > 0);
    struct court court = {.topic = topic, .wish = wish, .fault = fault, .self = self};
    if (!topic->found) {
        tell(&court, "there is no such topic; make it: cairn topics create DOMAIN");
        return court.count;
    }
    judge_shape(&court);
    judge_settings(&court);
    judge_insync(&court);
    return court.count;
}

void cairn_kafka_topic_settings(bool control, uint16_t replication, cairn_kafka_setting_fn set,
                                void *self)
{
    assert(set != NULL && replication > 0);
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        const char *value = control ? rules[i].control : rules[i].events;
        if (value != NULL) {
            set(self, names[rules[i].setting], value);
        }
    }
    for (size_t i = 0; i < COUNT_OF(makings); i++) {
        if (makings[i].control == control) {
            set(self, makings[i].name, makings[i].value);
        }
    }
    char insync[8];
    (void)snprintf(insync, sizeof(insync), "%u", (unsigned)least_insync(replication));
    set(self, names[CAIRN_KAFKA_SETTING_MIN_INSYNC], insync);
}
