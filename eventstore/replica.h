/* A replica: a copy of another log, in the format of the embedded one, under <data>/replica.
 *
 * It is a cache: what is damaged is cut off or thrown away, and read again from its source. So it
 * is not synced for each group; the index syncs it before it writes a checkpoint, and after any
 * stop the replica holds at least what the index has read, or the index starts anew, too. Each
 * group remembers the place in its source behind it. */
#ifndef CAIRN_EVENTSTORE_REPLICA_H
#define CAIRN_EVENTSTORE_REPLICA_H

#include "eventstore/backend.h"

/* Smaller segments than the embedded log's: at open the last one of each partition is read. */
#define CAIRN_REPLICA_SEGMENT_BYTES  (16u * 1024u * 1024u)
#define CAIRN_REPLICA_AGGREGATES_MAX 64

/* The log that is copied. Its partitions are numbered aggregate by aggregate: index of the
 * aggregate * lanes + murmur2(id) % lanes. */
struct cairn_replica {
    unsigned char log_id[CAIRN_LOG_ID_BYTES];
    uint16_t lanes; /* lanes * aggregate_count is 1..CAIRN_PARTITIONS_MAX */
    uint16_t aggregate_count;
    const struct cairn_slice *aggregates;
};

/* Open or make the replica of that log. One of another log, of other lanes, or damaged is thrown
 * away; one with fewer aggregates grows. replica: NULL in a process that only reads and takes what
 * is there. errors: EINVAL (<data>/log is there), ELOCKED, ENOENT (a reader; the writer has not
 * made it yet), EIO, EFULL, ENOMEM. options: log, partitions and manual_flush are not looked at. */
CAIRN_MUST_CHECK enum cairn_rc cairn_replica_open(const struct cairn_store_options *options,
                                                  const struct cairn_replica *replica,
                                                  struct cairn_backend **ret_backend,
                                                  struct cairn_err *err);
/* The place in the source to go on from, of a partition that is recovered; 0: from the beginning.
 * thread: any. */
uint64_t cairn_replica_source(struct cairn_backend *backend, uint16_t partition);
/* Write a group, whose appends all go to one partition, not durably. source: where its source goes
 * on behind it; 0: nowhere, for more of the same delivery follows, and at the next open the group
 * is cut off unless it has. errors: EFULL and EIO (nothing is in the replica, and the call may be
 * repeated), ETOOBIG, ENOMEM. thread: one caller at a time for each partition. */
CAIRN_MUST_CHECK enum cairn_rc cairn_replica_append(struct cairn_backend *backend,
                                                    struct cairn_commit *commit, uint64_t source,
                                                    struct cairn_err *err);
/* Make everything that was appended durable. A sync that failed is never tried again: from then on
 * it fails until the replica is opened anew. thread: one caller at a time. Blocks on disk. */
CAIRN_MUST_CHECK enum cairn_rc cairn_replica_sync(struct cairn_backend *backend,
                                                  struct cairn_err *err);

#endif
