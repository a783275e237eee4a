/* Delivering: what others wrote to the log comes into this node's copy of it, and its index. */
#ifndef CAIRN_EVENTSTORE_STORE_DELIVER_H
#define CAIRN_EVENTSTORE_STORE_DELIVER_H

#include "eventstore/store.h"

#define CAIRN_DELIVERY_APPENDS_MAX (2 * CAIRN_GROUP_APPENDS_MAX)

/* A partition's next whole commands. */
struct cairn_delivery {
    uint16_t partition;
    struct cairn_append *appends; /* events carry everything but offset and partition, which deliver
                                     fills in */
    size_t count;                 /* 1..CAIRN_DELIVERY_APPENDS_MAX */
    uint64_t source;              /* > 0: where the log goes on behind them */
};

/* Check that versions are dense, copy, index and publish. Others see all of it or nothing. After
 * ECORRUPT, and where a part of it was written already, the store is stopped: see
 * cairn_store_stopped. Otherwise nothing has changed and the call may be repeated.
 *
 * errors: ECORRUPT (names stream, versions, partition and source: the log itself is damaged, or was
 *         delivered with a gap), EFULL, EIO, ETOOBIG, ENOMEM, ESTOPPED.
 * thread: one caller at a time for each partition, and none while its lane appends. Blocks on disk
 *         where the index has to be flushed first. cost: 1 to 2 us an event. */
CAIRN_MUST_CHECK enum cairn_rc cairn_store_deliver(struct cairn_store *store,
                                                   const struct cairn_delivery *delivery,
                                                   struct cairn_err *err);

#endif
