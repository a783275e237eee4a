/* Applying what waits of a parked stream, into a transaction that takes its row away. */
#ifndef CAIRN_PROJECTOR_LMDB_PARKED_APPLY_H
#define CAIRN_PROJECTOR_LMDB_PARKED_APPLY_H

#include "projector/lmdb/group.h"
#include "projector/lmdb/view_parked.h"

/* How it went. */
struct cairn_parked_outcome {
    uint64_t events; /* applied */
    bool refused;    /* the projection could not apply an event, this one: */
    struct cairn_uuid event;
    uint16_t partition;
    uint64_t offset;
    struct cairn_err cause;
};

/* Apply the stream's events from parked->version on, in order, up to where the follower is, but for
 * those in `except` (may be NULL). The follower, of the group or by itself, stays where it is; the
 * group lends its memory. What is written is seen by the transaction alone; on failure it must be
 * dropped. errors: EINVAL (refused), EBEHIND (this process does not know as much of the log yet),
 * EIO, ECORRUPT, ENOMEM. thread: owner of all of them. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_parked_apply(struct cairn_view_group *group, struct cairn_follower *follower,
                   struct cairn_kv_txn *txn, const struct cairn_parked *parked,
                   const struct cairn_parked_set *except, struct cairn_parked_outcome *ret_outcome,
                   struct cairn_err *err);
/* Can this process read the log as far as a view has applied its partition? errors: EBEHIND, EIO.
 */
CAIRN_MUST_CHECK enum cairn_rc cairn_parked_check_log(struct cairn_store *store,
                                                      const struct cairn_position *position,
                                                      uint16_t partition, struct cairn_err *err);

#endif
