/* The rows of a generation of a SQL view in two numbers. thread: the connection's owner. */
#ifndef CAIRN_PROJECTOR_SQL_DIGEST_H
#define CAIRN_PROJECTOR_SQL_DIGEST_H

#include "projector/replay.h"
#include "projector/sql/generation.h"

/* How long a server may be silent that reads or sorts all of a table. */
#define CAIRN_SQL_SCAN_MS (6 * 3600 * 1000)

/* Count and sum the rows of all tables, as the connection's transaction sees them. Reads every row.
 * errors: those of platform/pg.h. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_digest(struct cairn_pg *pg, struct cairn_slice domain,
                                                struct cairn_slice view, enum cairn_view_side side,
                                                struct cairn_view_digest *ret_digest,
                                                struct cairn_err *err);
/* The same without the sum, which is 0. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_count(struct cairn_pg *pg, struct cairn_slice domain,
                                               struct cairn_slice view, enum cairn_view_side side,
                                               struct cairn_view_digest *ret_digest,
                                               struct cairn_err *err);

#endif
