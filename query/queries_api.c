/* GET /queries/{name}: a named query of the domain, run in PostgreSQL.
 *
 * The answer holds at least what its position says: the position is read in a statement before the
 * query's, so rows may be newer, and a generation that is switched in between is no older. */
#include <assert.h>
#include <stdio.h>

#include "platform/json.h"
#include "query/named.h"
#include "query/page.h"
#include "query/wait.h"

/* How long a request waits for a connection, and for a server that should answer at once. */
#define ACQUIRE_MS  2000
#define PATIENCE_MS 2000
/* The server's own timeout comes first. */
#define GRACE_MS      1000
#define SQL_BYTES_MAX ((size_t)2 * CAIRN_SQL_BYTES_MAX)
/* A SQLSTATE. */
#define UNDEFINED_TABLE "42P01"

/* One request for one query. */
struct asking {
    struct cairn_query_api *api;
    struct cairn_http_request *request;
    struct cairn_http_response *response;
    enum cairn_form form;
    struct cairn_named named;
    struct cairn_wait wait;
    struct cairn_position position; /* what all live SQL views hold */
    bool stopped;                   /* one of them stopped */
    struct cairn_slice *behind;     /* of the live ones, what does not hold the asked position */
    size_t behind_count;
    struct cairn_slice *building; /* SQL views that are not live yet */
    size_t building_count;
};

static const struct cairn_sql_query *find_query(const struct cairn_domain *domain,
                                                struct cairn_slice name)
{
    for (size_t i = 0; i < cairn_domain_query_count(domain); i++) {
        const struct cairn_domain_query *query = cairn_domain_query_at(domain, i);
        if (cairn_slice_equal(query->name, name)) {
            return query->sql;
        }
    }
    return NULL;
}

/* ---- what the views hold ---- */

/* In each partition the least of both. */
static void lower(struct cairn_position *into, const struct cairn_position *other)
{
    for (unsigned p = 0; p < CAIRN_PARTITIONS_MAX; p++) {
        if (other->offsets[p] < into->offsets[p]) {
            into->offsets[p] = other->offsets[p];
        }
    }
}

static enum cairn_rc take_live(struct asking *asking, struct cairn_slice view,
                               const struct cairn_pg_result *rows, size_t row, bool first,
                               struct cairn_err *err)
{
    struct cairn_position held;
    if (cairn_position_parse(cairn_pg_result_value(rows, row, 1), &held) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "the row of _cairn_view does not read");
    }
    if (first) {
        asking->position = held;
    }
    lower(&asking->position, &held);
    asking->stopped |= cairn_slice_is(cairn_pg_result_value(rows, row, 2), "stopped");
    if (asking->wait.asked && !cairn_position_reached(&held, &asking->wait.position)) {
        asking->behind[asking->behind_count++] = view;
    }
    return CAIRN_OK;
}

/* The row of a view; SIZE_MAX: it has none. rows NULL: there is no table of them. */
static size_t find_row(const struct cairn_pg_result *rows, struct cairn_slice view)
{
    size_t count = rows == NULL ? 0 : cairn_pg_result_rows(rows);
    for (size_t row = 0; row < count; row++) {
        if (cairn_slice_equal(cairn_pg_result_value(rows, row, 0), view)) {
            return row;
        }
    }
    return SIZE_MAX;
}

/* Sort the domain's SQL views by the rows of the live ones. */
static enum cairn_rc take_views(struct asking *asking, const struct cairn_pg_result *rows,
                                struct cairn_err *err)
{
    const struct cairn_domain *domain = asking->api->options.domain;
    enum cairn_rc rc = CAIRN_OK;
    bool first = true;
    for (size_t i = 0; rc == CAIRN_OK && i < cairn_domain_view_count(domain); i++) {
        const struct cairn_domain_view *view = cairn_domain_view_at(domain, i);
        size_t row = find_row(rows, view->name);
        if (view->kind != CAIRN_VIEW_POSTGRES) {
            continue;
        }
        if (row == SIZE_MAX) {
            asking->building[asking->building_count++] = view->name;
            continue;
        }
        rc = take_live(asking, view->name, rows, row, first, err);
        first = false;
    }
    return rc;
}

static enum cairn_rc read_positions(struct asking *asking, struct cairn_pg *pg,
                                    struct cairn_err *err)
{
    struct cairn_arena *arena = asking->request->arena;
    size_t count = cairn_domain_view_count(asking->api->options.domain) + 1;
    struct cairn_pg_result *rows = NULL;
    asking->behind = cairn_arena_zalloc(arena, count, sizeof(*asking->behind));
    asking->building = cairn_arena_zalloc(arena, count, sizeof(*asking->building));
    asking->behind_count = 0;
    asking->building_count = 0;
    asking->stopped = false;
    if (asking->behind == NULL || asking->building == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "what the views hold");
    }
    enum cairn_rc rc =
        cairn_pg_query(pg, "SELECT view, position, state FROM _cairn_view WHERE side = 'live'",
                       NULL, 0, &rows, err);
    if (rc != CAIRN_OK && strcmp(cairn_pg_sqlstate(pg), UNDEFINED_TABLE) == 0) {
        rc = take_views(asking, NULL, err);
        return rc == CAIRN_OK
                   ? CAIRN_FAIL(err, CAIRN_EBEHIND, "no projector has made the SQL views yet")
                   : rc;
    }
    rc = rc == CAIRN_OK ? take_views(asking, rows, err) : rc;
    cairn_pg_result_free(rows);
    return rc;
}

/* ---- the query ---- */

/* Whose fault is it? A value that the statement cannot take is the request's; a missing table is
 * one that is being built; all else that the server refuses is the domain's. */
static enum cairn_rc judge(const struct asking *asking, const struct cairn_pg *pg, enum cairn_rc rc,
                           struct cairn_err *err)
{
    const struct cairn_sql_query *query = asking->named.query;
    const char *state = cairn_pg_sqlstate(pg);
    if (rc == CAIRN_ETIMEDOUT) {
        return cairn_err_wrap(err, rc, "query %.*s did not end within %u ms",
                              CAIRN_SLICE_ARG(query->name), (unsigned)query->timeout_ms);
    }
    if (rc == CAIRN_EINVAL && strncmp(state, "22", 2) == 0) {
        rc = CAIRN_EQUERY;
    } else if (strcmp(state, UNDEFINED_TABLE) == 0 && asking->building_count > 0) {
        rc = CAIRN_EBEHIND;
    } else if (rc == CAIRN_EINVAL) {
        rc = CAIRN_EINTERNAL;
    }
    return cairn_err_wrap(err, rc, "query %.*s", CAIRN_SLICE_ARG(query->name));
}

/* A row's JSON has a fault where two columns of the result have one name. */
static enum cairn_rc read_row(struct asking *asking, const struct cairn_pg_result *rows, size_t row,
                              struct cairn_value *ret_row, struct cairn_err *err)
{
    struct cairn_slice json = cairn_pg_result_value(rows, row, CAIRN_NAMED_DOCUMENT);
    enum cairn_rc rc = cairn_json_read_decimal(json, asking->request->arena, ret_row, err);
    return rc == CAIRN_OK || rc == CAIRN_ENOMEM
               ? rc
               : cairn_err_wrap(err, CAIRN_EINTERNAL, "query %.*s: a row of its result",
                                CAIRN_SLICE_ARG(asking->named.query->name));
}

static enum cairn_rc write_page(struct asking *asking, const struct cairn_pg_result *rows,
                                struct cairn_err *err)
{
    struct cairn_arena *arena = asking->request->arena;
    struct cairn_slice next;
    struct cairn_page page;
    size_t count = 0;
    enum cairn_rc rc = cairn_named_cut(&asking->named, rows, arena, &count, &next, err);
    rc = rc == CAIRN_OK ? cairn_page_begin(&page, asking->form, &asking->response->body, err) : rc;
    for (size_t i = 0; rc == CAIRN_OK && i < count; i++) {
        struct cairn_value row;
        rc = read_row(asking, rows, i, &row, err);
        rc = rc == CAIRN_OK ? cairn_page_item(&page, &row, err) : rc;
    }
    return rc == CAIRN_OK ? cairn_page_end(&page, next, err) : rc;
}

static enum cairn_rc run_query(struct asking *asking, struct cairn_pg *pg, struct cairn_err *err)
{
    struct cairn_named named = asking->named; /* a second try begins with the same values */
    struct cairn_pg_text text = CAIRN_PG_TEXT(SQL_BYTES_MAX);
    struct cairn_pg_result *rows = NULL;
    const char *sql = NULL;
    size_t text_at = 0;
    cairn_pg_set_patience(pg, (int)named.query->timeout_ms + GRACE_MS);
    enum cairn_rc rc = cairn_named_sql(&named, &text, &sql, &text_at, err);
    if (rc == CAIRN_OK) {
        rc = cairn_pg_query(pg, sql, named.values, named.value_count, &rows, err);
        rc = rc == CAIRN_OK ? rc : judge(asking, pg, rc, err);
    }
    rc = rc == CAIRN_OK ? write_page(asking, rows, err) : rc;
    cairn_pg_result_free(rows);
    cairn_pg_text_fini(&text);
    return rc;
}

/* ---- one request ---- */

static enum cairn_rc begin(const struct asking *asking, struct cairn_pg *pg, struct cairn_err *err)
{
    char sql[80];
    (void)snprintf(sql, sizeof(sql), "BEGIN READ ONLY; SET LOCAL statement_timeout = %u",
                   (unsigned)asking->named.query->timeout_ms);
    cairn_pg_set_patience(pg, PATIENCE_MS);
    return cairn_pg_run(pg, sql, err);
}

/* Reads nothing where a view is behind. */
static enum cairn_rc ask(struct asking *asking, struct cairn_err *err)
{
    struct cairn_pg_pool *pool = asking->api->options.postgres;
    struct cairn_pg *pg = NULL;
    enum cairn_rc rc = cairn_pg_pool_acquire(pool, ACQUIRE_MS, &pg, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = begin(asking, pg, err);
    rc = rc == CAIRN_OK ? read_positions(asking, pg, err) : rc;
    rc = rc == CAIRN_OK && asking->behind_count == 0 ? run_query(asking, pg, err) : rc;
    if (!cairn_pg_is_broken(pg)) {
        struct cairn_err ignored;
        cairn_pg_set_patience(pg, PATIENCE_MS);
        (void)cairn_pg_run(pg, "ROLLBACK", &ignored); /* it read; one that cannot end is closed */
    }
    cairn_pg_pool_release(pool, pg);
    return rc;
}

/* Wait for each of the views, all within the time of one. */
static enum cairn_rc wait_for_views(struct asking *asking, const struct cairn_slice *names,
                                    size_t count, struct cairn_err *err)
{
    const struct cairn_clock *clock = asking->api->options.clock;
    int64_t until_ns = cairn_clock_monotonic_ns(clock) + (int64_t)asking->wait.timeout_ms * 1000000;
    struct cairn_views *views = NULL;
    enum cairn_rc rc = cairn_query_views(asking->api, &views, err);
    for (size_t i = 0; rc == CAIRN_OK && i < count; i++) {
        struct cairn_wait wait = asking->wait;
        struct cairn_position held = {{0}};
        int64_t left_ns = until_ns - cairn_clock_monotonic_ns(clock);
        wait.timeout_ms = left_ns > 0 ? (int)(left_ns / 1000000) : 0;
        rc = cairn_wait_view(asking->api, views, names[i], &wait, &held, err);
    }
    return rc;
}

/* A request with a position waits for the views that are behind it; only where its query reads one
 * that is being built, for those, too. */
static enum cairn_rc ask_fresh(struct asking *asking, struct cairn_err *err)
{
    enum cairn_rc rc = ask(asking, err);
    if (rc == CAIRN_OK && asking->behind_count > 0) {
        rc = wait_for_views(asking, asking->behind, asking->behind_count, err);
        rc = rc == CAIRN_OK ? ask(asking, err) : rc;
    }
    if (rc == CAIRN_EBEHIND && asking->wait.asked && asking->behind_count == 0) {
        rc = wait_for_views(asking, asking->building, asking->building_count, err);
        rc = rc == CAIRN_OK ? ask(asking, err) : rc;
    }
    if (rc == CAIRN_OK && asking->behind_count > 0) {
        return CAIRN_FAIL(err, CAIRN_EBEHIND, "the view \"%.*s\" was switched while waiting",
                          CAIRN_SLICE_ARG(asking->behind[0]));
    }
    return rc;
}

static enum cairn_rc send(struct asking *asking, struct cairn_err *err)
{
    struct cairn_position end;
    enum cairn_rc rc = cairn_store_end(asking->api->options.store, &end, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_freshness freshness = {.position = &asking->position,
                                        .lag = cairn_position_lag(&asking->position, &end)};
    freshness.stopped = freshness.lag > 0 && asking->stopped;
    cairn_reply_send(asking->request, asking->response, asking->form, &freshness);
    return CAIRN_OK;
}

static enum cairn_rc find(struct asking *asking, const struct cairn_sql_query **ret_query,
                          struct cairn_err *err)
{
    struct cairn_slice name = asking->request->captures[0];
    const struct cairn_sql_query *query = find_query(asking->api->options.domain, name);
    if (query == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOENT, "there is no query \"%.*s\"", CAIRN_SLICE_ARG(name));
    }
    if (asking->api->options.postgres == NULL) {
        return CAIRN_FAIL(err, CAIRN_EUNSUPPORTED,
                          "the query \"%.*s\" is in SQL: start the service with --postgres",
                          CAIRN_SLICE_ARG(name));
    }
    *ret_query = query;
    return CAIRN_OK;
}

void cairn_query_named(void *self, struct cairn_http_request *request,
                       struct cairn_http_response *response)
{
    struct asking asking = {.api = self, .request = request, .response = response};
    const struct cairn_sql_query *query = NULL;
    struct cairn_err err;
    assert(request->capture_count == 1);
    if (!cairn_reply_form(request, response, &asking.form)) {
        return;
    }
    enum cairn_rc rc = find(&asking, &query, &err);
    rc = rc == CAIRN_OK ? cairn_named_read(query, request, &asking.named, &err) : rc;
    rc = rc == CAIRN_OK ? cairn_wait_read(asking.api, request, response, &asking.wait, &err) : rc;
    rc = rc == CAIRN_OK ? ask_fresh(&asking, &err) : rc;
    rc = rc == CAIRN_OK ? send(&asking, &err) : rc;
    if (rc == CAIRN_EBEHIND) {
        cairn_reply_fail_at(request, response, &asking.position, &err);
    } else if (rc != CAIRN_OK) {
        cairn_reply_fail(request, response, &err);
    }
}
