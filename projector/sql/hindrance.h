/* What keeps a built generation from being switched in, in words for an operator. thread: the
 * connection's owner. */
#ifndef CAIRN_PROJECTOR_SQL_HINDRANCE_H
#define CAIRN_PROJECTOR_SQL_HINDRANCE_H

#include "platform/pg.h"

/* Behind a switch that failed with rc and sqlstate and was rolled back: in err, in place of what
 * the server says, which objects of somebody else stand on the live tables; or behind it, which
 * processes hold locks on them. Whatever cannot be found out leaves err as it is. Returns rc. */
enum cairn_rc cairn_sql_hindrance_tell(struct cairn_pg *pg, struct cairn_slice domain,
                                       struct cairn_slice view, const char *sqlstate,
                                       enum cairn_rc rc, struct cairn_err *err);

#endif
