/* A named query's SQL file, queries/NAME.sql, read.
 *
 *   -- query: top_accounts             the file's name
 *   -- summary: The largest accounts   for the OpenAPI document; may be left out
 *   -- param: least integer = 0        name, type, default; without a default it must be given
 *   -- order: cents desc, account      how rows are ordered, for a cursor; without it: one page
 *   -- timeout: 5000                   ms, 1..60000; default 5000
 *   -- limit: 1000                     rows of a page at most, 1..10000; default 1000
 *   SELECT ... WHERE cents >= :least
 *
 * One statement, a SELECT or WITH, behind the annotations. Types: integer, number, text, boolean,
 * date, timestamp, uuid, json. A default is `null`, a text in single quotes, or the text as it
 * stands. No parameter is called limit or cursor: every query has those. Pure; fuzzed. */
#ifndef CAIRN_SCHEMAS_SQL_QUERY_H
#define CAIRN_SCHEMAS_SQL_QUERY_H

#include "schemas/sql_text.h"

#define CAIRN_SQL_QUERY_ORDERS_MAX      8
#define CAIRN_SQL_QUERY_TIMEOUT_DEFAULT 5000  /* ms */
#define CAIRN_SQL_QUERY_TIMEOUT_MAX     60000 /* ms */
#define CAIRN_SQL_QUERY_LIMIT_DEFAULT   1000
#define CAIRN_SQL_QUERY_LIMIT_MAX       10000

enum cairn_sql_type {
    CAIRN_SQL_INTEGER,
    CAIRN_SQL_NUMBER_TYPE,
    CAIRN_SQL_TEXT,
    CAIRN_SQL_BOOLEAN,
    CAIRN_SQL_DATE,
    CAIRN_SQL_TIMESTAMP,
    CAIRN_SQL_UUID,
    CAIRN_SQL_JSON
};

struct cairn_sql_param {
    struct cairn_slice name;
    enum cairn_sql_type type;
    bool required;
    struct cairn_slice fallback; /* where it is not required; data NULL: SQL's NULL */
};

struct cairn_sql_order {
    struct cairn_slice column; /* of the result */
    bool descending;
};

struct cairn_sql_query {
    struct cairn_slice name;
    struct cairn_slice summary;
    struct cairn_sql_param params[CAIRN_SQL_PARAMS_MAX];
    size_t param_count;
    struct cairn_sql_order orders[CAIRN_SQL_QUERY_ORDERS_MAX];
    size_t order_count; /* 0: no cursor */
    uint32_t timeout_ms;
    uint32_t limit;
    struct cairn_sql_statement statement; /* its params are a subset of the above */
};

/* As cairn_sql_view_read. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_query_read(struct cairn_slice name, struct cairn_slice source, struct cairn_arena *arena,
                     struct cairn_sql_query *ret_query, struct cairn_err *err);
/* The PostgreSQL name of a type: "bigint", "numeric", "text", ... */
const char *cairn_sql_type_name(enum cairn_sql_type type);
/* The word that an annotation writes: "integer", "number", ... */
const char *cairn_sql_type_label(enum cairn_sql_type type);
/* Is the text of this type? For a clear 400 before the database is asked. */
bool cairn_sql_type_holds(enum cairn_sql_type type, struct cairn_slice text);

#endif
