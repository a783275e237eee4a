#include "tools/check_sql.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "projector/sql/key.h"
#include "projector/sql/writer.h"
#include "query/named.h"

#define SQL_BYTES_MAX        ((size_t)2 * CAIRN_SQL_BYTES_MAX)
#define STATEMENT_TIMEOUT_MS 30000

/* A check under way. */
struct check {
    const struct cairn_domain *domain;
    struct cairn_pg *pg;
    char schema[CAIRN_SQL_SCHEMA_SIZE]; /* of the scratch; each process has its own */
    size_t faults;
};

static size_t count_views(const struct cairn_domain *domain)
{
    size_t count = 0;
    for (size_t i = 0; i < cairn_domain_view_count(domain); i++) {
        count += cairn_domain_view_at(domain, i)->kind == CAIRN_VIEW_POSTGRES;
    }
    return count;
}

/* Is it the definition that is at fault, and not the server or this process? */
static bool is_fault(const struct check *check, enum cairn_rc rc)
{
    return rc != CAIRN_OK && rc != CAIRN_ENOMEM && rc != CAIRN_EBUSY &&
           !cairn_pg_is_broken(check->pg);
}

/* "line 12: why" of a file becomes "views/x.sql:12: why". */
static void print_fault(struct check *check, const char *folder, struct cairn_slice name,
                        const struct cairn_err *err)
{
    const char *text = err->text;
    bool has_line = strncmp(text, "line ", 5) == 0;
    (void)printf("%s/%.*s.sql:%s%s\n", folder, CAIRN_SLICE_ARG(name), has_line ? "" : " ",
                 has_line ? text + 5 : text);
    check->faults++;
}

static enum cairn_rc make_tables(const struct check *check, const struct cairn_sql_view *view,
                                 struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; rc == CAIRN_OK && i < view->table_count; i++) {
        const struct cairn_sql_statement *statement = &view->tables[i];
        rc = cairn_pg_run(check->pg, statement->text, err);
        if (rc != CAIRN_OK) {
            rc = cairn_err_wrap(err, rc, "line %u",
                                cairn_sql_byte_line(statement, cairn_pg_error_at(check->pg)));
        }
    }
    return rc;
}

/* ---- views ---- */

static enum cairn_rc try_key(const struct check *check, const struct cairn_sql_view *view,
                             struct cairn_err *err)
{
    enum cairn_rc rc = cairn_sql_key_check(check->pg, cairn_slice_str(check->schema), view, err);
    return rc == CAIRN_OK
               ? CAIRN_OK
               : cairn_err_wrap(err, rc, "line %u", view->key_line > 0 ? view->key_line : 1);
}

static enum cairn_rc try_view(const struct check *check, const struct cairn_sql_view *view,
                              struct cairn_err *err)
{
    const struct cairn_sql_writer_options options = {.pg = check->pg,
                                                     .domain = cairn_slice_str(check->schema),
                                                     .side = CAIRN_SIDE_NEXT,
                                                     .view = view,
                                                     .schema = check->schema};
    struct cairn_sql_writer *writer = NULL;
    enum cairn_rc rc = make_tables(check, view, err);
    rc = rc == CAIRN_OK ? try_key(check, view, err) : rc;
    rc = rc == CAIRN_OK ? cairn_sql_writer_open(&options, &writer, err) : rc;
    cairn_sql_writer_close(writer);
    return rc;
}

/* What is prepared belongs to the session, and the next view's has the same names. */
static enum cairn_rc check_view(struct check *check, const struct cairn_domain_view *view,
                                struct cairn_err *err)
{
    enum cairn_rc rc = cairn_sql_scratch_begin(check->pg, cairn_slice_str(check->schema), err);
    if (rc == CAIRN_OK) {
        rc = try_view(check, view->sql, err);
        if (is_fault(check, rc)) {
            print_fault(check, "views", view->name, err);
            rc = CAIRN_OK;
        }
    }
    cairn_sql_scratch_end(check->pg);
    return rc == CAIRN_OK ? cairn_pg_run(check->pg, "DEALLOCATE ALL", err) : rc;
}

static enum cairn_rc check_views(struct check *check, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; rc == CAIRN_OK && i < cairn_domain_view_count(check->domain); i++) {
        const struct cairn_domain_view *view = cairn_domain_view_at(check->domain, i);
        if (view->kind == CAIRN_VIEW_POSTGRES) {
            rc = check_view(check, view, err);
        }
    }
    return rc;
}

/* ---- queries ---- */

/* With a place, so that what compares with a cursor's values is tried, too. */
static enum cairn_rc try_query(const struct check *check, const struct cairn_sql_query *query,
                               struct cairn_err *err)
{
    struct cairn_named named = {.query = query,
                                .value_count = query->statement.param_count,
                                .limit = query->limit,
                                .has_place = query->order_count > 0};
    struct cairn_pg_text text = CAIRN_PG_TEXT(SQL_BYTES_MAX);
    const char *sql = NULL;
    size_t text_at = 0;
    for (size_t i = 0; i < query->order_count; i++) {
        named.place[i] = CAIRN_SLICE_LIT("");
    }
    enum cairn_rc rc = cairn_named_sql(&named, &text, &sql, &text_at, err);
    if (rc == CAIRN_OK) {
        rc = cairn_pg_prepare(check->pg, "q", sql, NULL, 0, err);
        size_t at = cairn_pg_error_at(check->pg);
        if (rc != CAIRN_OK) {
            at = at > text_at ? at - text_at : 0;
            rc = cairn_err_wrap(err, rc, "line %u", cairn_sql_byte_line(&query->statement, at));
        }
    }
    cairn_pg_text_fini(&text);
    return rc;
}

static enum cairn_rc check_query(struct check *check, const struct cairn_domain_query *query,
                                 struct cairn_err *err)
{
    enum cairn_rc rc = cairn_pg_run(check->pg, "SAVEPOINT query", err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = try_query(check, query->sql, err);
    if (is_fault(check, rc)) {
        print_fault(check, "queries", query->name, err);
        rc = CAIRN_OK;
    }
    rc = rc == CAIRN_OK ? cairn_pg_run(check->pg, "ROLLBACK TO query", err) : rc;
    return rc == CAIRN_OK ? cairn_pg_run(check->pg, "DEALLOCATE ALL", err) : rc;
}

static enum cairn_rc check_queries(struct check *check, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_sql_scratch_begin(check->pg, cairn_slice_str(check->schema), err);
    for (size_t i = 0; rc == CAIRN_OK && i < cairn_domain_view_count(check->domain); i++) {
        const struct cairn_domain_view *view = cairn_domain_view_at(check->domain, i);
        if (view->kind == CAIRN_VIEW_POSTGRES) {
            rc = make_tables(check, view->sql, err);
            /* Two views of the same name for a table: each alone is good. */
            rc = rc == CAIRN_OK ? rc
                                : cairn_err_wrap(err, rc, "views/%.*s.sql, beside the others",
                                                 CAIRN_SLICE_ARG(view->name));
        }
    }
    for (size_t i = 0; rc == CAIRN_OK && i < cairn_domain_query_count(check->domain); i++) {
        rc = check_query(check, cairn_domain_query_at(check->domain, i), err);
    }
    cairn_sql_scratch_end(check->pg);
    return rc;
}

enum cairn_rc cairn_check_sql(const struct cairn_domain *domain, const char *uri,
                              size_t *ret_faults, struct cairn_err *err)
{
    const struct cairn_pg_options options = {
        .uri = uri, .application = "cairn check", .statement_timeout_ms = STATEMENT_TIMEOUT_MS};
    struct check check = {.domain = domain};
    *ret_faults = 0;
    if (count_views(domain) + cairn_domain_query_count(domain) == 0) {
        return CAIRN_OK;
    }
    if (uri == NULL) {
        (void)printf(
            "%zu views and %zu queries in SQL were read and not prepared: give --postgres\n",
            count_views(domain), cairn_domain_query_count(domain));
        return CAIRN_OK;
    }
    (void)snprintf(check.schema, sizeof(check.schema), "cairn_check_%ld", (long)getpid());
    enum cairn_rc rc = cairn_pg_open(&options, &check.pg, err);
    rc = rc == CAIRN_OK ? check_views(&check, err) : rc;
    /* A query of a view that cannot be made would be blamed for it. */
    rc = rc == CAIRN_OK && check.faults == 0 ? check_queries(&check, err) : rc;
    cairn_pg_close(check.pg);
    *ret_faults = check.faults;
    return rc == CAIRN_OK ? CAIRN_OK : cairn_err_wrap(err, rc, "prepare the domain's SQL");
}
