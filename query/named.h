/* A named query (schemas/sql_query.h) on its way from a request to a page: its values, its SQL, and
 * the place where the next page begins. Nothing here talks to a server. thread: any. */
#ifndef CAIRN_QUERY_NAMED_H
#define CAIRN_QUERY_NAMED_H

#include "platform/http.h"
#include "platform/pg.h"
#include "platform/pg_text.h"
#include "schemas/sql_query.h"

/* Columns of an answer: the row's document, then the text of each column of the order. */
#define CAIRN_NAMED_DOCUMENT 0
#define CAIRN_NAMED_ORDER    1

struct cairn_named {
    const struct cairn_sql_query *query; /* borrowed */
    /* $1.. of its statement, then those of the place; borrowed from the request and the query, or
     * in the arena. Data NULL: SQL's NULL. */
    struct cairn_slice values[CAIRN_PG_PARAMS_MAX];
    size_t value_count;
    size_t limit; /* rows of the page, 1..query->limit */
    /* Behind which row the page begins: a value for each column of the order. */
    struct cairn_slice place[CAIRN_SQL_QUERY_ORDERS_MAX];
    bool has_place;
};

/* What a request asks of the query. errors: EQUERY (an unknown parameter, one given twice, a
 * required one left out, a value of another type, a bad limit, a cursor of another query: the text
 * names parameter and type), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_named_read(const struct cairn_sql_query *query,
                                                const struct cairn_http_request *request,
                                                struct cairn_named *ret_named,
                                                struct cairn_err *err);

/* The statement, borrowed from sql, which comes empty: the query's own as a subselect, its
 * parameters of their declared types, behind the place where there is one, one row more than the
 * limit where there is an order. Adds the place's values. ret_text_at: the byte where the query's
 * own text begins. ENOMEM, ETOOBIG. */
CAIRN_MUST_CHECK enum cairn_rc cairn_named_sql(struct cairn_named *named, struct cairn_pg_text *sql,
                                               const char **ret_sql, size_t *ret_text_at,
                                               struct cairn_err *err);

/* How many of the rows that came are this page's, and its cursor; next is empty at the end. A page
 * never ends inside rows of equal order, so that the next one leaves none out. errors: EINTERNAL
 * (more rows of equal order than a page has), EQUERY (a value too long for a cursor), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_named_cut(const struct cairn_named *named,
                                               const struct cairn_pg_result *rows,
                                               struct cairn_arena *arena, size_t *ret_count,
                                               struct cairn_slice *ret_next, struct cairn_err *err);

#endif
