/* GET /views/{view} and GET /views/{view}/{key}: rows. */
#include <assert.h>
#include <stdio.h>

#include "query/api_int.h"
#include "query/filter.h"
#include "query/page.h"
#include "query/params.h"
#include "query/wait.h"

#define COLUMNS_TEXT_MAX 200

/* One request for rows of one view. */
struct rows {
    struct cairn_query_api *api;
    struct cairn_http_request *request;
    struct cairn_http_response *response;
    enum cairn_form form;
    struct cairn_slice view;
    struct cairn_views *views;
    struct cairn_view_query query;  /* of a page */
    struct cairn_position position; /* of what was read */
};

/* Read into the body, once. */
typedef enum cairn_rc (*read_fn)(struct rows *rows, struct cairn_err *err);

/* Only views of the domain are served, so that what is left of an older definition is not. */
static enum cairn_rc find_view(struct rows *rows, struct cairn_err *err)
{
    const struct cairn_domain_view *view = cairn_domain_view(rows->api->options.domain, rows->view);
    if (view == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOENT, "there is no view \"%.*s\"",
                          CAIRN_SLICE_ARG(rows->view));
    }
    if (view->kind == CAIRN_VIEW_POSTGRES && rows->api->options.sql == NULL) {
        return CAIRN_FAIL(err, CAIRN_EUNSUPPORTED,
                          "the view \"%.*s\" is in SQL: start the service with --postgres",
                          CAIRN_SLICE_ARG(rows->view));
    }
    return cairn_query_views(rows->api, &rows->views, err);
}

static enum cairn_rc not_built(const struct rows *rows, struct cairn_err *err)
{
    return CAIRN_FAIL(err, CAIRN_EBEHIND, "the view \"%.*s\" is being built",
                      CAIRN_SLICE_ARG(rows->view));
}

static enum cairn_rc read_row(struct rows *rows, struct cairn_err *err)
{
    struct cairn_slice key = rows->request->captures[1];
    struct cairn_slice own = CAIRN_SLICE_NONE;
    struct cairn_value document;
    bool known = false;
    enum cairn_rc rc = cairn_view_get(rows->views, rows->view, key, rows->request->arena, &document,
                                      &own, &rows->position, &known, err);
    if (rc == CAIRN_ENOENT && !known) {
        return not_built(rows, err);
    }
    if (rc == CAIRN_ENOENT) {
        return CAIRN_FAIL(err, rc, "the view \"%.*s\" has no row \"%.*s\"",
                          CAIRN_SLICE_ARG(rows->view), CAIRN_SLICE_ARG(key));
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    return cairn_page_row_write(&rows->response->body, rows->form, own, &document, err);
}

static enum cairn_rc read_page(struct rows *rows, struct cairn_err *err)
{
    struct cairn_view_page found;
    enum cairn_rc rc =
        cairn_view_list(rows->views, &rows->query, rows->request->arena, &found, err);
    if (rc == CAIRN_ENOENT) {
        return not_built(rows, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    rows->position = found.position;
    struct cairn_page page;
    rc = cairn_page_begin(&page, rows->form, &rows->response->body, err);
    for (size_t i = 0; rc == CAIRN_OK && i < found.count; i++) {
        rc = cairn_page_row(&page, found.rows[i].key, &found.rows[i].document, err);
    }
    return rc != CAIRN_OK ? rc : cairn_page_end(&page, found.next, err);
}

/* Read; where the request carries a position that this is too old for, wait and read again. The
 * second read is judged by its own position: a wait's word is not enough, for the view may have
 * been switched in between. A row that is absent has a position too. */
static enum cairn_rc read_fresh(struct rows *rows, const struct cairn_wait *wait, read_fn read,
                                struct cairn_err *err)
{
    enum cairn_rc rc = read(rows, err);
    if (!wait->asked || (rc != CAIRN_OK && rc != CAIRN_ENOENT && rc != CAIRN_EBEHIND)) {
        return rc;
    }
    if (rc != CAIRN_EBEHIND && cairn_position_reached(&rows->position, &wait->position)) {
        return rc;
    }
    cairn_buf_truncate(&rows->response->body, 0);
    rc = cairn_wait_view(rows->api, rows->views, rows->view, wait, &rows->position, err);
    if (rc == CAIRN_ENOENT) {
        return not_built(rows, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = read(rows, err);
    if ((rc == CAIRN_OK || rc == CAIRN_ENOENT) &&
        !cairn_position_reached(&rows->position, &wait->position)) {
        return CAIRN_FAIL(err, CAIRN_EBEHIND, "the view \"%.*s\" was switched while waiting",
                          CAIRN_SLICE_ARG(rows->view));
    }
    return rc;
}

/* A view that holds the whole log cannot have stopped at an event; only one that does not is looked
 * at. */
static enum cairn_rc send(struct rows *rows, struct cairn_err *err)
{
    struct cairn_position end;
    enum cairn_rc rc = cairn_store_end(rows->api->options.store, &end, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_freshness freshness = {.position = &rows->position,
                                        .lag = cairn_position_lag(&rows->position, &end)};
    if (freshness.lag > 0) {
        struct cairn_view_status status;
        rc = cairn_view_status(rows->views, rows->view, rows->request->arena, &status, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        freshness.stopped = status.state == CAIRN_VIEW_STOPPED;
    }
    cairn_reply_send(rows->request, rows->response, rows->form, &freshness);
    return CAIRN_OK;
}

static bool has_column(const struct cairn_view_status *status, struct cairn_slice name)
{
    for (size_t i = 0; i < status->column_count; i++) {
        if (cairn_slice_equal(status->columns[i].name, name)) {
            return true;
        }
    }
    return cairn_slice_is(name, "key");
}

/* The first name in the query that is neither a parameter nor a column; data NULL when all are
 * known. */
static struct cairn_slice find_unknown(const struct rows *rows,
                                       const struct cairn_view_status *status)
{
    for (size_t i = 0; i < rows->request->param_count; i++) {
        struct cairn_slice name = rows->request->params[i].name;
        if (!cairn_filter_is_reserved(name) && !has_column(status, name)) {
            return name;
        }
    }
    struct cairn_slice order = rows->query.order;
    return order.size > 0 && !has_column(status, order) ? order : CAIRN_SLICE_NONE;
}

/* Whatever was wrong with a query: a name that the view does not have is the likelier mistake, and
 * the columns it has are the help. */
static enum cairn_rc explain(struct rows *rows, struct cairn_err *err)
{
    struct cairn_view_status status;
    struct cairn_err ignored;
    if (cairn_view_status(rows->views, rows->view, rows->request->arena, &status, &ignored) !=
        CAIRN_OK) {
        return CAIRN_EQUERY;
    }
    struct cairn_slice unknown = find_unknown(rows, &status);
    if (unknown.data == NULL) {
        return CAIRN_EQUERY;
    }
    struct cairn_buf columns = {.max = COLUMNS_TEXT_MAX};
    enum cairn_rc rc = cairn_buf_append_str(&columns, "key");
    for (size_t i = 0; rc == CAIRN_OK && i < status.column_count; i++) {
        rc = cairn_buf_printf(&columns, ", %.*s", CAIRN_SLICE_ARG(status.columns[i].name));
    }
    (void)CAIRN_FAIL(err, CAIRN_EQUERY,
                     "unknown column or parameter \"%.*s\"; columns: %.*s; parameters: order, "
                     "limit, cursor, select, and, or, not.and, not.or",
                     CAIRN_SLICE_ARG(unknown), CAIRN_SLICE_ARG(cairn_buf_slice(&columns)));
    cairn_buf_fini(&columns);
    return CAIRN_EQUERY;
}

static enum cairn_rc prepare_page(struct rows *rows, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_filter_read(rows->request->params, rows->request->param_count,
                                         rows->request->arena, &rows->query, err);
    rows->query.view = rows->view;
    return rc;
}

static enum cairn_rc prepare_row(struct rows *rows, struct cairn_err *err)
{
    static const char *const names[] = {NULL};
    assert(rows->request->capture_count == 2);
    return cairn_params_check(rows->request, names, err);
}

static void answer(struct rows *rows, read_fn prepare, read_fn read)
{
    if (!cairn_reply_form(rows->request, rows->response, &rows->form)) {
        return;
    }
    struct cairn_err err;
    struct cairn_wait wait;
    rows->view = rows->request->captures[0];
    enum cairn_rc rc = find_view(rows, &err);
    rc = rc != CAIRN_OK ? rc : prepare(rows, &err);
    rc = rc != CAIRN_OK ? rc
                        : cairn_wait_read(rows->api, rows->request, rows->response, &wait, &err);
    rc = rc != CAIRN_OK ? rc : read_fresh(rows, &wait, read, &err);
    rc = rc != CAIRN_OK ? rc : send(rows, &err);
    if (rc == CAIRN_EQUERY && read == read_page) {
        rc = explain(rows, &err);
    }
    if (rc == CAIRN_EBEHIND || (rc == CAIRN_ENOENT && rows->views != NULL)) {
        cairn_reply_fail_at(rows->request, rows->response, &rows->position, &err);
    } else if (rc != CAIRN_OK) {
        cairn_reply_fail(rows->request, rows->response, &err);
    }
}

void cairn_query_get_row(void *self, struct cairn_http_request *request,
                         struct cairn_http_response *response)
{
    struct rows rows = {.api = self, .request = request, .response = response};
    answer(&rows, prepare_row, read_row);
}

void cairn_query_list_rows(void *self, struct cairn_http_request *request,
                           struct cairn_http_response *response)
{
    assert(request->capture_count == 1);
    struct rows rows = {.api = self, .request = request, .response = response};
    answer(&rows, prepare_page, read_page);
}
