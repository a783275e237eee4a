/* The writer of one lane: a rotation of transactional producers, cairn.<domain>.<lane>.<i>.
 *
 * Each group is one transaction, by the producer that has rested longest, so that no group waits
 * for the markers of the one before (KAFKA-5477). Opening fences all producers of the lane's former
 * owner and decides whatever they left open. After anything but success the writer is broken: the
 * caller opens it again, reads the lane to its end and sees there what became of the group. thread:
 * owner. */
#ifndef CAIRN_EVENTSTORE_KAFKA_WRITER_H
#define CAIRN_EVENTSTORE_KAFKA_WRITER_H

#include "eventstore/kafka_client.h"
#include "eventstore/kafka_layout.h"
#include "eventstore/kafka_record.h"

#define CAIRN_KAFKA_IDS_DEFAULT 4
#define CAIRN_KAFKA_IDS_MAX     16
/* What CAIRN_GROUP_BYTES_MAX can hold of the shortest events, and far more. */
#define CAIRN_KAFKA_GROUP_RECORDS_MAX (1u << 20)

struct cairn_kafka_writer;

struct cairn_kafka_writer_options {
    struct cairn_kafka_options kafka;
    const struct cairn_kafka_layout *layout; /* outlives the writer */
    uint16_t lane;
    unsigned ids;       /* length of the rotation, 1..CAIRN_KAFKA_IDS_MAX */
    unsigned fence_ids; /* of the former owner's rotation: as many are fenced, at least ids */
    int open_timeout_ms;
    int commit_timeout_ms; /* a commit that is still under way then is given up */
    /* Asked about each second while a commit is under way: true gives it up at once, because the
     * cluster is known to be out of reach. NULL: only the time ends it. */
    bool (*lost)(void *self);
    void *self;
};

/* Fence: init all transactional ids in parallel. Where a predecessor left a transaction open the
 * broker answers CONCURRENT_TRANSACTIONS and librdkafka asks again only after 500 ms; a fresh
 * handle asks at once. Warms up topic metadata. errors: ETIMEDOUT, EFORBIDDEN, EIO, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_kafka_writer_open(const struct cairn_kafka_writer_options *options,
                        struct cairn_kafka_writer **ret_writer, struct cairn_err *err);
/* What is open is left to time out or to the next owner's fencing. Accepts NULL. */
void cairn_kafka_writer_close(struct cairn_kafka_writer *writer);

/* Hand a record to the group's transaction; the first one begins it. Copies the record. The writer
 * must not be broken. partition: the store's number, of this lane. errors: as commit; nothing of
 * the group is in the log then. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_writer_add(struct cairn_kafka_writer *writer,
                                                      uint16_t partition,
                                                      const struct cairn_kafka_record *record,
                                                      struct cairn_err *err);
/* Commit what was added, at least one record. *ret_offsets: Kafka's offsets in the order of add,
 * borrowed until the next call. errors: EFENCED (another owner; or the broker gave the transaction
 * up), ETOOBIG (the broker takes no record of that size; nothing is in the log), EUNKNOWN. The
 * writer is broken then. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_writer_commit(struct cairn_kafka_writer *writer,
                                                         const int64_t **ret_offsets,
                                                         size_t *ret_count, struct cairn_err *err);
bool cairn_kafka_writer_is_broken(const struct cairn_kafka_writer *writer);

#endif
