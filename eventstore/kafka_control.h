/* The control topic, <domain>._cairn: one partition, compacted. A thread writes this node's beats,
 * reads everybody's records into the ownership rules, and carries out what they wish. */
#ifndef CAIRN_EVENTSTORE_KAFKA_CONTROL_H
#define CAIRN_EVENTSTORE_KAFKA_CONTROL_H

#include "eventstore/kafka_client.h"
#include "eventstore/kafka_layout.h"
#include "eventstore/ownership.h"

#define CAIRN_KAFKA_BEAT_MS 100

struct cairn_kafka_control;

struct cairn_kafka_control_options {
    struct cairn_kafka_options kafka;
    const struct cairn_kafka_layout *layout; /* outlives it */
    const char *node;                        /* stable: kept in the data folder */
    const char *url;                         /* where other nodes reach this one */
    uint16_t ids;
    bool candidate; /* false: only watches */
    const struct cairn_clock *clock;
    /* Fence the lane and read it to the end. OK: ready may be written. Each lane on a thread of its
     * own, lanes at the same time. */
    enum cairn_rc (*take)(void *self, uint16_t lane, uint16_t fence_ids, struct cairn_err *err);
    void (*serve)(void *self, uint16_t lane);
    /* Stop serving; when it returns nothing of the lane is under way. */
    void (*stop)(void *self, uint16_t lane);
    void *self;
};

/* Reads the control topic to its end before it returns. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_kafka_control_open(const struct cairn_kafka_control_options *options,
                         struct cairn_kafka_control **ret_control, struct cairn_err *err);
/* Releases all lanes, writes leave. Accepts NULL. Blocks, at most 5 s. */
void cairn_kafka_control_close(struct cairn_kafka_control *control);

/* thread: any, as all that follow. */
void cairn_kafka_control_owner(struct cairn_kafka_control *control, uint16_t lane,
                               struct cairn_lane_owner *ret_owner);
size_t cairn_kafka_control_nodes(struct cairn_kafka_control *control);
/* The lane's writer was fenced: read the control topic to its end, and say whether this node still
 * is the owner. errors: ETIMEDOUT: it cannot be known now. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_control_confirm(struct cairn_kafka_control *control,
                                                           uint16_t lane, int timeout_ms,
                                                           bool *ret_mine, struct cairn_err *err);

#endif
