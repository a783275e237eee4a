/* What a topic of the log must be like, as a table: what open refuses, what check tells, and what a
 * topic is made with are the same rows. Pure functions. */
#ifndef CAIRN_EVENTSTORE_KAFKA_TOPIC_RULES_H
#define CAIRN_EVENTSTORE_KAFKA_TOPIC_RULES_H

#include "eventstore/kafka_layout.h"

/* Settings of a topic that rules speak of. */
#define CAIRN_KAFKA_SETTING_TABLE(X)                                                               \
    X(CLEANUP, "cleanup.policy")                                                                   \
    X(RETENTION_MS, "retention.ms")                                                                \
    X(RETENTION_BYTES, "retention.bytes")                                                          \
    X(UNCLEAN, "unclean.leader.election.enable")                                                   \
    X(TIMESTAMP, "message.timestamp.type")                                                         \
    X(MIN_INSYNC, "min.insync.replicas")

enum cairn_kafka_setting {
#define X(name, text) CAIRN_KAFKA_SETTING_##name,
    CAIRN_KAFKA_SETTING_TABLE(X)
#undef X
        CAIRN_KAFKA_SETTING_COUNT
};

#define CAIRN_KAFKA_SETTING_VALUE_MAX 64  /* bytes, NUL included; longer ones are cut */
#define CAIRN_KAFKA_FAULT_TEXT_MAX    768 /* bytes, NUL included */

/* A topic as the cluster tells of it. */
struct cairn_kafka_topic {
    char name[CAIRN_KAFKA_TOPIC_NAME_MAX + 1];
    bool control;         /* the control topic of the log */
    bool found;           /* false: there is none, and all that follows is zero */
    uint16_t partitions;  /* at most 65535 are counted */
    uint16_t replication; /* of the partition that has the fewest replicas */
    int64_t low; /* of its partitions, the highest offset that is the first one still there */
    char settings[CAIRN_KAFKA_SETTING_COUNT][CAIRN_KAFKA_SETTING_VALUE_MAX];
};

struct cairn_kafka_topic_wish {
    uint16_t lanes;
    uint16_t replication; /* at least */
    const char *brokers;  /* for the commands that mend */
};

/* Name of a setting as Kafka spells it. */
const char *cairn_kafka_setting_name(enum cairn_kafka_setting setting);

/* Every fault of the topic, one call each: setting, value, why, and what mends it. Returns how many
 * there are. fault may be NULL. */
typedef void (*cairn_kafka_fault_fn)(void *self, const char *topic, const char *text);
size_t cairn_kafka_topic_judge(const struct cairn_kafka_topic *topic,
                               const struct cairn_kafka_topic_wish *wish,
                               cairn_kafka_fault_fn fault, void *self);

/* Every setting that a topic of the log is made with, one call each. */
typedef void (*cairn_kafka_setting_fn)(void *self, const char *name, const char *value);
void cairn_kafka_topic_settings(bool control, uint16_t replication, cairn_kafka_setting_fn set,
                                void *self);

#endif
