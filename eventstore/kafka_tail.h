/* The tail: a thread that reads committed events of all partitions that this node does not own, and
 * hands them, whole commands only and in order, to whoever keeps the replica. */
#ifndef CAIRN_EVENTSTORE_KAFKA_TAIL_H
#define CAIRN_EVENTSTORE_KAFKA_TAIL_H

#include "eventstore/kafka_client.h"
#include "eventstore/kafka_layout.h"

#define CAIRN_KAFKA_TAIL_EVENTS_MAX 4096u

struct cairn_kafka_tail;

/* One partition's next whole commands, at least one. appends[i].events carry version, index and
 * count as the log says; borrowed for the call. source: the Kafka offset to go on from behind them.
 */
struct cairn_kafka_delivery {
    uint16_t partition;
    struct cairn_append *appends;
    size_t count;
    uint64_t source;
};

struct cairn_kafka_tail_options {
    struct cairn_kafka_options kafka;
    const struct cairn_kafka_layout *layout; /* outlives the tail */
    /* Takes a delivery. A failure ends the tail. thread: the tail's. */
    enum cairn_rc (*deliver)(void *self, const struct cairn_kafka_delivery *delivery,
                             struct cairn_err *err);
    /* The tail has ended by itself: a record that is no event, a command torn apart, records gone
     * (the low watermark moved), or a delivery that failed. */
    void (*failed)(void *self, const struct cairn_err *err);
    void *self;
};

/* errors: EIO (no thread), ENOMEM, and those of the handle. Nothing is read before start. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_tail_new(const struct cairn_kafka_tail_options *options,
                                                    struct cairn_kafka_tail **ret_tail,
                                                    struct cairn_err *err);
/* Ends the thread. Accepts NULL. */
void cairn_kafka_tail_free(struct cairn_kafka_tail *tail);

/* Read a partition from a Kafka offset on. It must not be read already. Does not wait. errors: why
 * the tail has ended. thread: any. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_tail_start(struct cairn_kafka_tail *tail,
                                                      uint16_t partition, uint64_t source,
                                                      struct cairn_err *err);
/* Read it no more; when this returns, no delivery of it is under way or will come. What was read
 * and not delivered is dropped. Blocks while a delivery is under way: not from within one, and not
 * under a lock that it waits for. A partition that is not read is left so. thread: any other. */
void cairn_kafka_tail_stop(struct cairn_kafka_tail *tail, uint16_t partition);
/* Where a partition ends now: the high watermark, transactions under way included. errors:
 * ETIMEDOUT, EFORBIDDEN. Blocks. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_tail_high(struct cairn_kafka_tail *tail,
                                                     uint16_t partition, int timeout_ms,
                                                     uint64_t *ret_high, struct cairn_err *err);
/* Does whoever leads a partition answer, of every partition? errors: EUNREACHABLE names the first
 * that does not. Blocks, for three times timeout_ms at most. thread: any. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_tail_probe(struct cairn_kafka_tail *tail, int timeout_ms,
                                                      struct cairn_err *err);
/* Wait until everything before `high` was read and delivered (the reader met the partition's end at
 * or behind it). errors: ETIMEDOUT, ESTOPPED (the partition is not read, or no more), or why the
 * tail has ended. thread: any but the tail's. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_tail_reach(struct cairn_kafka_tail *tail,
                                                      uint16_t partition, uint64_t high,
                                                      int timeout_ms, struct cairn_err *err);

#endif
