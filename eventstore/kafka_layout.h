/* Which topics a domain's log has, and how their partitions are numbered.
 *
 * Each aggregate has the topic <domain>.<aggregate>; all topics have as many partitions as there
 * are lanes. A lane is partition p of every topic: it has one owner, and its events are written in
 * common transactions. The store numbers partitions topic by topic: topic index * lanes + lane. The
 * order of topics is that in which the log learned of them and never changes, so that positions
 * keep their meaning when a domain gets another aggregate. */
#ifndef CAIRN_EVENTSTORE_KAFKA_LAYOUT_H
#define CAIRN_EVENTSTORE_KAFKA_LAYOUT_H

#include "eventstore/backend.h"

#define CAIRN_KAFKA_TOPICS_MAX      64
#define CAIRN_KAFKA_TOPIC_NAME_MAX  249 /* Kafka's limit */
#define CAIRN_KAFKA_LANES_DEFAULT   4
#define CAIRN_KAFKA_CONTROL_SUFFIX  "._cairn" /* no aggregate begins with '_' */
#define CAIRN_KAFKA_DOMAIN_SIZE_MAX 128

struct cairn_kafka_layout {
    unsigned char log_id[CAIRN_LOG_ID_BYTES];
    char domain[CAIRN_KAFKA_DOMAIN_SIZE_MAX]; /* NUL-ended */
    uint16_t lanes;                           /* 1..256; lanes * topics <= CAIRN_PARTITIONS_MAX */
    uint16_t topic_count;                     /* 1..CAIRN_KAFKA_TOPICS_MAX */
    char aggregates[CAIRN_KAFKA_TOPICS_MAX][CAIRN_AGGREGATE_BYTES_MAX + 1]; /* NUL-ended */
};

uint16_t cairn_kafka_layout_partitions(const struct cairn_kafka_layout *layout);
uint16_t cairn_kafka_layout_lane(const struct cairn_kafka_layout *layout, uint16_t partition);
/* Topic index of an aggregate, or -1. */
int cairn_kafka_layout_topic(const struct cairn_kafka_layout *layout, struct cairn_slice aggregate);
/* Where a stream's events go: murmur2(id) % lanes, as Kafka's default partitioner would.
 * ENOAGGREGATE (err untouched): no topic for it. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_layout_find(const struct cairn_kafka_layout *layout,
                                                       struct cairn_slice stream,
                                                       uint16_t *ret_partition);
/* Name of the topic with that index, NUL-ended. index == topic_count: the control topic's. */
void cairn_kafka_layout_topic_name(const struct cairn_kafka_layout *layout, uint16_t index,
                                   char out[CAIRN_KAFKA_TOPIC_NAME_MAX + 1]);

/* The description that lies under the key "log" in the control topic, JSON:
 * {"format":1,"id":"<32 hex>","domain":"bank","partitions":4,"hash":"murmur2",
 *  "aggregates":["account","transfer"]}. Members that are not known are passed over. write:
 * ETOOBIG, ENOMEM; out is cut back. read: EMALFORMED, EUNSUPPORTED (newer format, another hash),
 * ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_layout_write(const struct cairn_kafka_layout *layout,
                                                        struct cairn_buf *out);
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_layout_read(struct cairn_slice text,
                                                       struct cairn_kafka_layout *ret_layout,
                                                       struct cairn_err *err);

#endif
