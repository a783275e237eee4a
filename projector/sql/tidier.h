/* Drops what the database holds of views that the domain no longer has in SQL, and what comparisons
 * left that did not end. A thread of its own, which ends when that is done: a table that somebody
 * holds is waited for, and no view with it. thread: owner. */
#ifndef CAIRN_PROJECTOR_SQL_TIDIER_H
#define CAIRN_PROJECTOR_SQL_TIDIER_H

#include "projector/projector.h"

struct cairn_sql_tidier;

/* options: borrowed until the stop. errors: ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_tidier_start(const struct cairn_projector_options *options,
                                                      struct cairn_sql_tidier **ret_tidier,
                                                      struct cairn_err *err);
/* Ends after the statement in hand, done or not. Accepts NULL. */
void cairn_sql_tidier_stop(struct cairn_sql_tidier *tidier);

#endif
