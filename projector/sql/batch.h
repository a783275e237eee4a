/* A batch of a follower under way: events, their rows, and where it leads. thread: the follower's
 * owner. */
#ifndef CAIRN_PROJECTOR_SQL_BATCH_H
#define CAIRN_PROJECTOR_SQL_BATCH_H

#include "projector/sql/follower.h"

struct cairn_sql_batch {
    struct cairn_position position; /* behind its last event */
    uint64_t events;
    size_t commands; /* begun, but for those that are left out as parked */
    uint64_t taken;  /* of the events, those that are applied */
};

void cairn_sql_batch_begin(struct cairn_sql_follower *follower, struct cairn_sql_batch *batch);
/* The batch goes past the event, without its rows. */
void cairn_sql_batch_pass(struct cairn_sql_follower *follower, struct cairn_sql_batch *batch,
                          const struct cairn_event *event);
/* The same with its rows, unless it is left out. tag: as for cairn_sql_writer_add. EINVAL: the
 * event cannot be lifted to its current version, or is too big. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_batch_take(struct cairn_sql_follower *follower,
                                                    struct cairn_sql_batch *batch,
                                                    const struct cairn_event *event, size_t tag,
                                                    struct cairn_err *err);
/* Should it end at the next border of commands? */
bool cairn_sql_batch_is_full(const struct cairn_sql_follower *follower);
/* Rows and checkpoint; the follower stands behind it then. careful, ret_tag, errors: as of
 * cairn_sql_writer_commit. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_batch_commit(struct cairn_sql_follower *follower,
                                                      const struct cairn_sql_batch *batch,
                                                      bool careful, size_t *ret_tag,
                                                      struct cairn_err *err);
/* The checkpoint, without the rows, and the stream that is parked. errors: as of
 * cairn_sql_parked_add; ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_batch_park(struct cairn_sql_follower *follower,
                                                    const struct cairn_sql_batch *batch,
                                                    const struct cairn_sql_parking *parking,
                                                    struct cairn_err *err);

#endif
