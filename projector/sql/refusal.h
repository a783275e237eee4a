/* Why a view is not built or followed as its file says, where no row of a generation can say it:
 * a definition that the server refuses may not have one yet. A row of `_cairn_refusal`, which the
 * projector that finds out writes again and again, so that one which nobody writes any more is
 * known to be of the past.
 *
 * thread: the connection's owner. Failures are those of platform/pg.h. */
#ifndef CAIRN_PROJECTOR_SQL_REFUSAL_H
#define CAIRN_PROJECTOR_SQL_REFUSAL_H

#include "projector/sql/store.h"

/* What is refused is written at least as often while it lasts ... */
#define CAIRN_SQL_REFUSAL_WRITE_MS 20000
/* ... so what is older than this is of a projector that is gone. */
#define CAIRN_SQL_REFUSAL_STALE_MS 60000

CAIRN_MUST_CHECK enum cairn_rc cairn_sql_refusal_write(struct cairn_pg *pg,
                                                       struct cairn_slice domain,
                                                       struct cairn_slice view, const char *error,
                                                       struct cairn_err *err);
/* Take away what is older than that; 0: whatever there is. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_refusal_clear(struct cairn_pg *pg,
                                                       struct cairn_slice domain,
                                                       struct cairn_slice view, unsigned older_ms,
                                                       struct cairn_err *err);
/* In arena; empty: nothing is refused, or no store is there yet. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_refusal_read(struct cairn_pg *pg, struct cairn_slice domain, struct cairn_slice view,
                       struct cairn_arena *arena, struct cairn_slice *ret_error,
                       struct cairn_err *err);

#endif
