/* A page of a SQL view: a query as one statement, and its answer as a page. For the projector's own
 * files. thread: any. */
#ifndef CAIRN_PROJECTOR_SQL_LIST_H
#define CAIRN_PROJECTOR_SQL_LIST_H

#include "projector/sql/face.h"

/* Ask for the page and one row more. Columns of the answer: position, generation, key, document and
 * the text of the ordering column; one row at least, without a key where the page is empty. Names
 * come from face alone, values travel as parameters. errors: EQUERY (no such column, a value that
 * is none of its column, a cursor of another query), those of platform/pg.h. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_list_ask(struct cairn_pg *pg, const struct cairn_sql_face *face,
                   const struct cairn_view_query *query, struct cairn_arena *arena,
                   struct cairn_pg_result **ret_rows, struct cairn_err *err);
/* Rows and cursor of the page; its position is the caller's to set. errors: ECORRUPT, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_list_take(const struct cairn_sql_face *face, const struct cairn_view_query *query,
                    const struct cairn_pg_result *rows, struct cairn_arena *arena,
                    struct cairn_view_page *page, struct cairn_err *err);

#endif
