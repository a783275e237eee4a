/* The control topic, <domain>._cairn: one partition, compacted. A thread reads everybody's records
 * into the ownership rules, another one writes this node's beats, and what the rules wish for is
 * carried out on a thread for each lane that has something to do. */
#ifndef CAIRN_EVENTSTORE_KAFKA_CONTROL_H
#define CAIRN_EVENTSTORE_KAFKA_CONTROL_H

#include "eventstore/kafka_client.h"
#include "eventstore/kafka_layout.h"
#include "eventstore/ownership.h"

/* At most one beat is under way: the next one waits until the one before was read back, so that a
 * node which cannot write or cannot read falls silent. */
#define CAIRN_KAFKA_BEAT_MS 100

struct cairn_kafka_control;

struct cairn_kafka_control_options {
    struct cairn_kafka_options kafka;
    const struct cairn_kafka_layout *layout; /* outlives it */
    const char *node;                        /* stable: kept in the data folder; copied */
    const char *url;                         /* where other nodes reach this one; copied */
    uint16_t ids;
    bool candidate;      /* false: only watches */
    int open_timeout_ms; /* for the topic to be read to its end; 0: 30 s */
    const struct cairn_clock *clock;
    /* The three are called on a thread of the lane, one at a time for a lane, lanes at the same
     * time; in the order take, serve, stop, where serve may be left out. They may call
     * cairn_kafka_control_confirm. */
    /* Fence the lane and read it to the end. OK: the lane is held until stop. A failure holds
     * nothing and is tried again later. */
    enum cairn_rc (*take)(void *self, uint16_t lane, uint16_t fence_ids, struct cairn_err *err);
    void (*serve)(void *self, uint16_t lane);
    /* Let go; when it returns nothing of the lane is under way. */
    void (*stop)(void *self, uint16_t lane);
    void *self;
};

/* Reads the control topic to its end before it returns; only then are lanes claimed. errors:
 * ETIMEDOUT (no broker, or no such topic: the text says which), those of
 * cairn_kafka_handle_new, EIO (threads), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_kafka_control_open(const struct cairn_kafka_control_options *options,
                         struct cairn_kafka_control **ret_control, struct cairn_err *err);
/* Stops and releases all lanes, writes leave. Accepts NULL. Blocks at most 5 s for the broker, and
 * for as long as the callbacks do. */
void cairn_kafka_control_close(struct cairn_kafka_control *control);

/* thread: any, as all that follow. */
void cairn_kafka_control_owner(struct cairn_kafka_control *control, uint16_t lane,
                               struct cairn_lane_owner *ret_owner);
size_t cairn_kafka_control_nodes(struct cairn_kafka_control *control);
/* Of a candidate: milliseconds since one of its beats came back from the topic, or since it was
 * opened. A node that can write and read is at some CAIRN_KAFKA_BEAT_MS. ret_trouble: what was met
 * last on the way to the cluster, which may be long past; empty: nothing. */
int64_t cairn_kafka_control_silence_ms(struct cairn_kafka_control *control,
                                       char ret_trouble[CAIRN_KAFKA_TROUBLE_MAX]);
/* The lane's writer was fenced: read the control topic to its end, and say whether this node still
 * is the owner. It writes a mark and reads up to it, so the answer is no older than the call. To be
 * asked before the lane is fenced again, so as not to disturb a new owner, and once more behind
 * that, before the lane is served: a claim may have come between.
 * errors: ETIMEDOUT: it cannot be known now; ESTOPPED. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_control_confirm(struct cairn_kafka_control *control,
                                                           uint16_t lane, int timeout_ms,
                                                           bool *ret_mine, struct cairn_err *err);

#endif
