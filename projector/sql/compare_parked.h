/* Parked streams in a comparison of a SQL view: a replay that is to give what a live generation
 * holds leaves out what that has left out, and applies late what that has applied late. thread: the
 * owner of both connections. */
#ifndef CAIRN_PROJECTOR_SQL_COMPARE_PARKED_H
#define CAIRN_PROJECTOR_SQL_COMPARE_PARKED_H

#include "projector/sql/follower.h"

/* Before the replay begins: what the live generation leaves out, the scratch generation leaves out,
 * too. pg: of the scratch generation, which has no follower yet. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_compare_parked_copy(struct cairn_pg *pg,
                                                             struct cairn_slice domain,
                                                             struct cairn_slice view,
                                                             struct cairn_err *err);
/* Near the end, since others may have been parked and given up meanwhile: read what the live
 * generation leaves out into `left_out`, which the caller frees, and let the follower of the
 * scratch generation leave it out, too. live: inside of the snapshot that is compared. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_compare_parked_take(struct cairn_pg *live,
                                                             uint64_t live_generation,
                                                             struct cairn_sql_follower *follower,
                                                             struct cairn_parked_set *left_out,
                                                             struct cairn_err *err);
/* At the position of the live generation: the streams that wait here and not there were tried again
 * there, when what they lacked had come. Try them here, until none succeeds any more. errors:
 * ECORRUPT, EIO of the log; those of platform/pg.h. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_compare_parked_settle(struct cairn_sql_follower *follower,
                                const struct cairn_parked_set *left_out, struct cairn_err *err);

#endif
