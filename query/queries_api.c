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
    size_t live_count;              /* of them */
    struct cairn_slice *behind;     /* those that do not hold what the request waits for */
    size_t behind_count;
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

static size_t count_views(const struct cairn_domain *domain)
{
    size_t count = 0;
    for (size_t i = 0; i < cairn_domain_view_count(domain); i++) {
        count += cairn_domain_view_at(domain, i)->kind == CAIRN_VIEW_POSTGRES;
    }
    return count;
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

static enum cairn_rc take_view(struct asking *asking, const struct cairn_domain_view *view,
                               const struct cairn_pg_result *rows, size_t row,
                               struct cairn_err *err)
{
    struct cairn_position held;
    if (cairn_position_parse(cairn_pg_result_value(rows, row, 1), &held) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "the row of _cairn_view does not read");
    }
    if (asking->live_count++ == 0) {
        asking->position = held;
    }
    lower(&asking->position, &held);
    asking->stopped |= cairn_slice_is(cairn_pg_result_value(rows, row, 2), "stopped");
    if (asking->wait.asked && !cairn_position_reached(&held, &asking->wait.position)) {
        asking->behind[asking->behind_count++] = view->name;
    }
    return CAIRN_OK;
}

static enum cairn_rc read_positions(struct asking *asking, struct cairn_pg *pg,
                                    struct cairn_err *err)
{
    const struct cairn_domain *domain = asking->api->options.domain;
    struct cairn_pg_result *rows = NULL;
    enum cairn_rc rc =
        cairn_pg_query(pg, "SELECT view, position, state FROM _cairn_view WHERE side = 'live'",
                       NULL, 0, &rows, err);
    if (rc != CAIRN_OK && strcmp(cairn_pg_sqlstate(pg), "42P01") == 0) {
        return CAIRN_FAIL(err, CAIRN_EBEHIND, "no projector has made the SQL views yet");
    }
    asking->live_count = 0;
    asking->behind_count = 0;
    asking->stopped = false;
    asking->behind = rc == CAIRN_OK ? cairn_arena_zalloc(asking->request->arena,
                                                         cairn_domain_view_count(domain) + 1,
                                                         sizeof(*asking->behind))
                                    : NULL;
    if (rc == CAIRN_OK && asking->behind == NULL) {
        rc = CAIRN_FAIL(err, CAIRN_ENOMEM, "what the views hold");
    }
    for (size_t i = 0; rc == CAIRN_OK && i < cairn_pg_result_rows(rows); i++) {
        const struct cairn_domain_view *view =
            cairn_domain_view(domain, cairn_pg_result_value(rows, i, 0));
        if (view != NULL && view->kind == CAIRN_VIEW_POSTGRES) {
            rc = take_view(asking, view, rows, i, err);
        }
    }
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
    } else if (strcmp(state, "42P01") == 0 &&
               asking->live_count < count_views(asking->api->options.domain)) {
        rc = CAIRN_EBEHIND;
    } else if (rc == CAIRN_EINVAL || rc == CAIRN_EFORBIDDEN) {
        rc = CAIRN_EINTERNAL;
    }
    return cairn_err_wrap(err, rc, "query %.*s", CAIRN_SLICE_ARG(query->name));
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
        rc = cairn_json_read(cairn_pg_result_value(rows, i, CAIRN_NAMED_DOCUMENT), arena, &row,
                             NULL, err);
        rc = rc == CAIRN_OK ? cairn_page_item(&page, &row, err) : rc;
    }
    return rc == CAIRN_OK ? cairn_page_end(&page, next, err) : rc;
}

static enum cairn_rc run_query(struct asking *asking, struct cairn_pg *pg, struct cairn_err *err)
{
    struct cairn_named named = asking->named; /* a second try begins with the same values */
    struct cairn_buf sql = {.max = SQL_BYTES_MAX};
    struct cairn_pg_result *rows = NULL;
    size_t text_at = 0;
    cairn_pg_set_patience(pg, (int)named.query->timeout_ms + GRACE_MS);
    enum cairn_rc rc = cairn_named_sql(&named, &sql, &text_at, err);
    if (rc == CAIRN_OK) {
        rc = cairn_pg_query(pg, cairn_buf_slice(&sql).data, named.values, named.value_count, &rows,
                            err);
        rc = rc == CAIRN_OK ? rc : judge(asking, pg, rc, err);
    }
    rc = rc == CAIRN_OK ? write_page(asking, rows, err) : rc;
    cairn_pg_result_free(rows);
    cairn_buf_fini(&sql);
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
    if (rc == CAIRN_EFORBIDDEN) {
        /* The service's own login, not that of whoever asks. */
        return cairn_err_wrap(err, CAIRN_EBUSY, "PostgreSQL");
    }
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

/* Wait for each view that is behind, all within the time of one. */
static enum cairn_rc wait_for_views(struct asking *asking, struct cairn_err *err)
{
    const struct cairn_clock *clock = asking->api->options.clock;
    int64_t until_ns = cairn_clock_monotonic_ns(clock) + (int64_t)asking->wait.timeout_ms * 1000000;
    struct cairn_views *views = NULL;
    enum cairn_rc rc = cairn_query_views(asking->api, &views, err);
    for (size_t i = 0; rc == CAIRN_OK && i < asking->behind_count; i++) {
        struct cairn_wait wait = asking->wait;
        struct cairn_position held = {{0}};
        int64_t left_ns = until_ns - cairn_clock_monotonic_ns(clock);
        wait.timeout_ms = left_ns > 0 ? (int)(left_ns / 1000000) : 0;
        rc = cairn_wait_view(asking->api, views, asking->behind[i], &wait, &held, err);
    }
    return rc;
}

static enum cairn_rc ask_fresh(struct asking *asking, struct cairn_err *err)
{
    enum cairn_rc rc = ask(asking, err);
    if (rc != CAIRN_OK || asking->behind_count == 0) {
        return rc;
    }
    rc = wait_for_views(asking, err);
    rc = rc == CAIRN_OK ? ask(asking, err) : rc;
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
