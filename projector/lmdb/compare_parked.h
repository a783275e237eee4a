/* Parked streams in a comparison: a replay that is to give what a live generation holds leaves out
 * what that has left out, and applies late what that has applied late. thread: owner. */
#ifndef CAIRN_PROJECTOR_LMDB_COMPARE_PARKED_H
#define CAIRN_PROJECTOR_LMDB_COMPARE_PARKED_H

#include "projector/lmdb/group.h"
#include "projector/lmdb/view_parked.h"

/* Take over the streams that the live generation leaves out: before the replay begins, and again
 * when it has come near, since an operator may have given up others. follower: of the scratch
 * store, NULL while there is none; its head must then be written with one `parks` more. errors:
 * EIO, EFULL, ECORRUPT. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_compare_parked_take(struct cairn_kv_txn *live, const struct cairn_parked_place *live_place,
                          struct cairn_views *scratch, struct cairn_follower *follower,
                          struct cairn_err *err);
/* At the position of the live generation: the streams that wait here and not there were tried again
 * there, when what they lacked had come. Try them here, until none succeeds any more. errors: EIO,
 * EFULL, ECORRUPT, ENOMEM, EBEHIND. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_compare_parked_settle(struct cairn_kv_txn *live, const struct cairn_parked_place *live_place,
                            struct cairn_view_group *group, struct cairn_follower *follower,
                            struct cairn_err *err);

#endif
