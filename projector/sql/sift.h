/* Finding what is refused in a batch.
 *
 * Half of it is tried, half of that, and one command alone at last, which is what is looked for: it
 * parks its stream, or stops the view. thread: the follower's owner. */
#ifndef CAIRN_PROJECTOR_SQL_SIFT_H
#define CAIRN_PROJECTOR_SQL_SIFT_H

#include "projector/sql/follower.h"

/* Apply a read of the log in which something may be refused, in as many transactions as it takes,
 * but not in very many: *ret_done tells whether all of it was gone through, or what is left is to
 * be read again. events: grows by those that were gone past. Sets follower->failed. errors: as of
 * cairn_sql_follower_step. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_sift(struct cairn_sql_follower *follower,
                                              const struct cairn_chunks *chunks, size_t *events,
                                              bool *ret_done, struct cairn_err *err);

#endif
