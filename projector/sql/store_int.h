/* What the sources share that change a domain's SQL store: statements around names, transactions in
 * which nobody else changes what the domain has, words in its rows. thread: the connection's owner.
 */
#ifndef CAIRN_PROJECTOR_SQL_STORE_INT_H
#define CAIRN_PROJECTOR_SQL_STORE_INT_H

#include "platform/pg.h"

/* What the state of a generation says that is on its way back. */
#define CAIRN_SQL_RETURNING "returning"
/* The same of one that is kept, and followed by nobody. */
#define CAIRN_SQL_KEPT "kept"

/* Statements with names in their holes (%s), quoted; a single name goes into all of them. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_run_named(struct cairn_pg *pg, const char *format,
                                                   const struct cairn_slice *names, size_t count,
                                                   struct cairn_err *err);
/* Begin a transaction in which nobody else changes which generations the domain has. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_begin_alone(struct cairn_pg *pg, struct cairn_slice domain,
                                                     struct cairn_err *err);

#endif
