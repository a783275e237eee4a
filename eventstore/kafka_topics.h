/* The topics of a domain: making them, and refusing those that would lose or reorder events. */
#ifndef CAIRN_EVENTSTORE_KAFKA_TOPICS_H
#define CAIRN_EVENTSTORE_KAFKA_TOPICS_H

#include "eventstore/kafka_client.h"
#include "eventstore/kafka_layout.h"

struct cairn_kafka_topics_options {
    struct cairn_kafka_options kafka;
    const struct cairn_slice *aggregates; /* of the domain */
    size_t aggregate_count;
    uint16_t lanes;       /* 0: what the log was made with, new_lanes for a new one */
    uint16_t new_lanes;   /* 0: CAIRN_KAFKA_LANES_DEFAULT */
    uint16_t replication; /* 0: 3, or as many as there are brokers below that */
    bool create;          /* make what is missing; false: ENOENT names the first missing one */
    int timeout_ms;       /* for the cluster to answer */
};

/* Read the log's description from the control topic (make it, under a transactional id of its own
 * so that two makers take turns), make missing topics, check all, and return the layout. errors:
 * EINVAL (another number of partitions than the log was made with; a topic with compaction, expiry,
 * unclean election, too few replicas or in-sync replicas, deleted records, another partition count:
 * the text names topic, setting, value and the command that mends it), ENOENT, ETIMEDOUT (no broker
 * answers), EFORBIDDEN. thread: any; blocks. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_kafka_topics_open(const struct cairn_kafka_topics_options *options,
                        struct cairn_kafka_layout *ret_layout, struct cairn_err *err);

/* All faults of all topics, one call each; *ret_faults counts them. What open would refuse. */
struct cairn_kafka_topics_hooks {
    void (*topic)(void *self, const char *name, uint16_t partitions, uint16_t replication);
    void (*fault)(void *self, const char *topic, const char *text);
    void *self;
};
CAIRN_MUST_CHECK enum cairn_rc
cairn_kafka_topics_check(const struct cairn_kafka_topics_options *options,
                         const struct cairn_kafka_topics_hooks *hooks, size_t *ret_faults,
                         struct cairn_err *err);

#endif
