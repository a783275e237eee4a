/* Trying a domain's SQL on a PostgreSQL, for `cairn check`: every statement is prepared, none is
 * run but the DDL, and all of that in transactions that are rolled back. */
#ifndef CAIRN_TOOLS_CHECK_SQL_H
#define CAIRN_TOOLS_CHECK_SQL_H

#include "schemas/domain.h"

/* Prints a line for each fault, "views/x.sql:12: why". uri NULL: says that SQL was not prepared,
 * where the domain has any. A view sees its own tables alone, a query those of all views.
 * *ret_faults: how many were printed. errors: those of platform/pg.h (the server cannot be used),
 * ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_check_sql(const struct cairn_domain *domain, const char *uri,
                                               size_t *ret_faults, struct cairn_err *err);

#endif
