/* The SQL views of a domain, each fed by a thread of its own, so that one that is slow, locked or
 * stopped holds up no other.
 *
 * A thread follows with the live generation; where the definition is another one than the row's, it
 * builds the new generation beside it, in turn, and switches when that is as far. Whatever goes
 * wrong with the server is tried again for as long as it takes. At the start, what the database
 * holds of views that the domain no longer defines is dropped. thread: owner, but for what is
 * said. */
#ifndef CAIRN_PROJECTOR_SQL_RUNNER_H
#define CAIRN_PROJECTOR_SQL_RUNNER_H

#include "projector/projector.h"

struct cairn_sql_runner;

/* Starts a thread for each SQL view of the domain, and returns at once: no server need be there.
 * views: whose waiters are told of commits; outlives the runner. errors: EINVAL (names too long),
 * ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_runner_start(const struct cairn_projector_options *options,
                                                      struct cairn_views *views,
                                                      struct cairn_sql_runner **ret_runner,
                                                      struct cairn_err *err);
/* Ends after the batches in hand. Accepts NULL. */
void cairn_sql_runner_stop(struct cairn_sql_runner *runner);

#endif
