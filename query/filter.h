/* PostgREST's operator grammar for the rows of a view:
 *
 *   customer=eq.17850   total=not.gte.100   country=in.(France,"Korea, South","say \"hi\"")
 *   name=like.*bank*    closed=is.null      or=(a.eq.1,not.and(b.gt.2,"c.d".is.true))
 *   order=total.desc    select=total,name   limit=20   cursor=...
 *
 * Every other parameter is `column=operator.value`; all of them must hold, and a column may occur
 * several times. The value of a single-valued operator is the rest of the text as it stands. In a
 * list, and inside of and and or, an element is plain up to ',' or ')', or quoted, where a
 * backslash takes the next byte as it is. Pure: knows the grammar, not the view's columns. thread:
 * any. */
#ifndef CAIRN_QUERY_FILTER_H
#define CAIRN_QUERY_FILTER_H

#include "platform/http.h"
#include "projector/view_read.h"

/* Read params into a query; view is the caller's to set. Values that needed no unquoting borrow
 * from params, the rest is in arena.
 * errors: EQUERY, naming the parameter and what is allowed; ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_filter_read(const struct cairn_http_param *params,
                                                 size_t count, struct cairn_arena *arena,
                                                 struct cairn_view_query *ret_query,
                                                 struct cairn_err *err);
/* Is the name one that the grammar keeps for itself: order, limit, cursor, select, and, or,
 * not.and, not.or? */
bool cairn_filter_is_reserved(struct cairn_slice name);

#endif
