/* A view in PostgreSQL, replayed into a scratch generation and held against the live one. */
#ifndef CAIRN_PROJECTOR_SQL_COMPARE_H
#define CAIRN_PROJECTOR_SQL_COMPARE_H

#include "projector/replay.h"

/* As cairn_view_compare, for a view in PostgreSQL. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_compare(const struct cairn_projector_options *options,
                                                 const struct cairn_domain_view *definition,
                                                 const struct cairn_compare_request *request,
                                                 const struct cairn_compare_hooks *hooks,
                                                 struct cairn_compare_report *ret_report,
                                                 struct cairn_err *err);

#endif
