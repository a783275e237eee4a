/* A view's SQL file, read.
 *
 *   -- view: daily_turnover        the file's name
 *   -- version: 1                  from 1; raise it to rebuild
 *   -- key: day                    columns that make /views/{view}/{key}; default: the primary key
 *   -- on_error: stop              at an event that cannot be applied; the default. park: its
 * stream is left out from then on, and the view goes on
 *   -- table:
 *   CREATE TABLE ...;              one or more statements of DDL (CREATE TABLE, CREATE [UNIQUE]
 *                                  INDEX, ALTER TABLE, COMMENT ON, GRANT); one table has the
 *                                  view's name; names carry no schema; none UNLOGGED or TEMPORARY
 *   -- on: Deposited               or several, by commas
 *   INSERT ...;                    one or more statements (INSERT, UPDATE, DELETE, MERGE, WITH),
 *                                  in order, once for each event
 *
 * A parameter is a member of the event's data (:amount, :address.city; a missing one is NULL; a
 * list or map is passed as its JSON text) or of its envelope (:stream, :id, :type, :version, :time,
 * :position, :aggregate, :aggregate_id, :principal, :data), which wins. Pure. */
#ifndef CAIRN_SCHEMAS_SQL_VIEW_H
#define CAIRN_SCHEMAS_SQL_VIEW_H

#include "schemas/sql_text.h"

#define CAIRN_SQL_VIEW_HANDLERS_MAX   64
#define CAIRN_SQL_VIEW_STATEMENTS_MAX 64 /* of one handler, and of the DDL */
#define CAIRN_SQL_VIEW_KEYS_MAX       8
#define CAIRN_SQL_TABLE_BYTES_MAX     63 /* PostgreSQL cuts longer names */

struct cairn_sql_handler {
    struct cairn_slice *types; /* events */
    size_t type_count;
    struct cairn_sql_statement *statements;
    size_t statement_count;
    unsigned line;
};

/* A table that the DDL creates. */
struct cairn_sql_created {
    struct cairn_slice name; /* as the server keeps it: folded, or without its quotes */
    unsigned line;
};

struct cairn_sql_view {
    struct cairn_slice name;
    uint32_t version;
    struct cairn_slice keys[CAIRN_SQL_VIEW_KEYS_MAX]; /* none: the primary key */
    size_t key_count;
    unsigned key_line;                  /* of its annotation; 0: it has none */
    bool parks;                         /* on_error: park */
    struct cairn_sql_statement *tables; /* DDL; without parameters */
    size_t table_count;
    struct cairn_sql_created *created;
    size_t created_count;
    struct cairn_sql_handler *handlers;
    size_t handler_count;
};

/* Read a file. name: the file's, which `-- view:` must repeat. Everything in arena and borrowed
 * from source. errors: EMALFORMED, EINVAL: the text begins with "line N: "; ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_view_read(struct cairn_slice name, struct cairn_slice source, struct cairn_arena *arena,
                    struct cairn_sql_view *ret_view, struct cairn_err *err);
/* NULL: the view does not handle the type. An event type has at most one handler. */
const struct cairn_sql_handler *cairn_sql_view_handler(const struct cairn_sql_view *view,
                                                       struct cairn_slice type);
/* NULL: the view creates no table of that name. */
const struct cairn_sql_created *cairn_sql_view_table(const struct cairn_sql_view *view,
                                                     struct cairn_slice name);

/* What a parameter is bound to. */
enum cairn_sql_origin {
    CAIRN_SQL_FROM_MEMBER, /* of the data, by the path that is its name */
    CAIRN_SQL_FROM_STREAM,
    CAIRN_SQL_FROM_ID,
    CAIRN_SQL_FROM_TYPE,
    CAIRN_SQL_FROM_VERSION,
    CAIRN_SQL_FROM_TIME,
    CAIRN_SQL_FROM_POSITION,
    CAIRN_SQL_FROM_AGGREGATE,
    CAIRN_SQL_FROM_AGGREGATE_ID,
    CAIRN_SQL_FROM_PRINCIPAL,
    CAIRN_SQL_FROM_DATA /* the whole of it, as JSON text */
};
enum cairn_sql_origin cairn_sql_origin(struct cairn_slice param);

#endif
