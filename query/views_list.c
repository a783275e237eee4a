/* GET /views: what views there are and how they fare. */
#include <assert.h>

#include "query/api_int.h"
#include "query/history.h"
#include "query/page.h"
#include "query/params.h"

static const char *const state_names[] = {
    [CAIRN_VIEW_LIVE] = "live",
    [CAIRN_VIEW_BUILDING] = "building",
    [CAIRN_VIEW_STOPPED] = "stopped",
    [CAIRN_VIEW_UNAVAILABLE] = "unavailable",
};

/* Members of one item, as they are added; the first failure stays. */
struct item {
    struct cairn_value_builder map;
    enum cairn_rc rc;
};

static void add(struct item *item, const char *name, struct cairn_value value)
{
    if (item->rc == CAIRN_OK) {
        item->rc = cairn_value_add(&item->map, name, value);
    }
}

static void add_text(struct item *item, const char *name, struct cairn_slice text)
{
    add(item, name, cairn_value_string(text));
}

static void add_position(struct item *item, const char *name, const struct cairn_position *position)
{
    char *text = cairn_position_text(position, item->map.arena);
    if (text == NULL) {
        item->rc = CAIRN_ENOMEM;
        return;
    }
    add_text(item, name, cairn_slice_str(text));
}

/* The age of the oldest event that a view at position does not hold, in seconds. */
static enum cairn_rc measure_age(struct cairn_query_api *api, const struct cairn_position *position,
                                 double *ret_age_s, struct cairn_err *err)
{
    struct cairn_history *history = NULL;
    enum cairn_rc rc = cairn_history_open(api->options.store, position, &history, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    const struct cairn_event *event = NULL;
    rc = cairn_history_next(history, &event, err);
    if (rc == CAIRN_OK) {
        int64_t now_us = cairn_clock_now_us(api->options.clock);
        int64_t age_ms = event == NULL ? 0 : (now_us - event->time_us) / 1000;
        *ret_age_s = age_ms <= 0 ? 0.0 : (double)age_ms / 1000.0;
    }
    cairn_history_close(history);
    return rc;
}

static void add_columns(struct item *item, const struct cairn_view_status *status)
{
    struct cairn_value_builder columns = {.arena = item->map.arena};
    for (size_t i = 0; item->rc == CAIRN_OK && i < status->column_count; i++) {
        item->rc = cairn_value_push(&columns, cairn_value_string(status->columns[i].name));
    }
    add(item, "columns", cairn_value_array(&columns));
}

static void add_rebuild(struct item *item, const struct cairn_view_status *status)
{
    if (!status->rebuilding && status->state != CAIRN_VIEW_BUILDING) {
        return;
    }
    struct item rebuild = {.map = {.arena = item->map.arena}};
    add(&rebuild, "done", cairn_value_uint(status->rebuild_done));
    add(&rebuild, "all", cairn_value_uint(status->rebuild_all));
    add(&rebuild, "active", cairn_value_bool(status->rebuild_active));
    item->rc = item->rc != CAIRN_OK ? item->rc : rebuild.rc;
    add(item, "rebuild", cairn_value_map(&rebuild.map));
}

static void add_error(struct item *item, const struct cairn_view_status *status)
{
    if (status->error.size == 0) {
        return;
    }
    struct item error = {.map = {.arena = item->map.arena}};
    struct cairn_position at = {{0}};
    assert(status->error_partition < CAIRN_PARTITIONS_MAX);
    at.offsets[status->error_partition] = status->error_offset;
    add_text(&error, "detail", status->error);
    add_text(&error, "event", status->error_event);
    add_position(&error, "position", &at);
    item->rc = item->rc != CAIRN_OK ? item->rc : error.rc;
    add(item, "error", cairn_value_map(&error.map));
}

/* What a view of the domain is like in the store; status NULL: not there yet. */
static enum cairn_rc fill_item(struct cairn_query_api *api, struct item *item,
                               const struct cairn_view_status *status,
                               const struct cairn_position *end, struct cairn_err *err)
{
    static const struct cairn_view_status absent = {.state = CAIRN_VIEW_BUILDING};
    const struct cairn_view_status *found = status == NULL ? &absent : status;
    double age_s = 0.0;
    uint64_t lag = cairn_position_lag(&found->position, end);
    enum cairn_rc rc = lag == 0 ? CAIRN_OK : measure_age(api, &found->position, &age_s, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    add_text(item, "state", cairn_slice_str(state_names[found->state]));
    add_position(item, "position", &found->position);
    add(item, "lag", cairn_value_uint(lag));
    add(item, "lag_seconds", cairn_value_float(age_s));
    add(item, "rows", cairn_value_uint(found->rows));
    add(item, "generation", cairn_value_uint(found->generation));
    add(item, "parked", cairn_value_uint(found->parked));
    add_columns(item, found);
    add_rebuild(item, found);
    add_error(item, found);
    return CAIRN_OK;
}

static const struct cairn_view_status *find_status(const struct cairn_view_status *all,
                                                   size_t count, struct cairn_slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (cairn_slice_equal(all[i].name, name)) {
            return &all[i];
        }
    }
    return NULL;
}

static enum cairn_rc write_view(struct cairn_query_api *api, const struct cairn_domain_view *view,
                                const struct cairn_view_status *status,
                                const struct cairn_position *end, struct cairn_arena *arena,
                                struct cairn_page *page, struct cairn_err *err)
{
    struct item item = {.map = {.arena = arena}};
    struct cairn_view_status unserved = {.state = CAIRN_VIEW_UNAVAILABLE};
    enum cairn_rc rc = CAIRN_OK;
    add_text(&item, "name", view->name);
    bool sql = view->kind == CAIRN_VIEW_POSTGRES;
    add_text(&item, "kind", sql ? CAIRN_SLICE_LIT("postgres") : CAIRN_SLICE_LIT("lmdb"));
    if (sql && api->options.sql == NULL) {
        unserved.error = CAIRN_SLICE_LIT("a view in SQL: start the service with --postgres");
        status = &unserved;
    }
    rc = fill_item(api, &item, status, end, err);
    if (rc == CAIRN_OK && item.rc != CAIRN_OK) {
        rc = CAIRN_FAIL(err, item.rc, "the state of a view");
    }
    struct cairn_value value = cairn_value_map(&item.map);
    return rc != CAIRN_OK ? rc : cairn_page_item(page, &value, err);
}

/* The states of the store's views; none while there is no store. */
static enum cairn_rc read_states(struct cairn_query_api *api, struct cairn_arena *arena,
                                 struct cairn_view_status **ret_all, size_t *ret_count,
                                 struct cairn_err *err)
{
    struct cairn_views *views = NULL;
    enum cairn_rc rc = cairn_query_views(api, &views, err);
    if (rc == CAIRN_EBEHIND) {
        *ret_all = NULL;
        *ret_count = 0;
        return CAIRN_OK;
    }
    return rc != CAIRN_OK ? rc : cairn_views_list(views, arena, ret_all, ret_count, err);
}

static enum cairn_rc answer_list(struct cairn_query_api *api, struct cairn_http_request *request,
                                 struct cairn_http_response *response, enum cairn_form form,
                                 struct cairn_position *held, struct cairn_err *err)
{
    static const char *const names[] = {NULL};
    struct cairn_view_status *all = NULL;
    size_t count = 0;
    struct cairn_page page;
    enum cairn_rc rc = cairn_params_check(request, names, err);
    rc = rc != CAIRN_OK ? rc : read_states(api, request->arena, &all, &count, err);
    rc = rc != CAIRN_OK ? rc : cairn_page_begin(&page, form, &response->body, err);
    for (size_t i = 0; rc == CAIRN_OK && i < cairn_domain_view_count(api->options.domain); i++) {
        const struct cairn_domain_view *view = cairn_domain_view_at(api->options.domain, i);
        rc = write_view(api, view, find_status(all, count, view->name), held, request->arena, &page,
                        err);
    }
    return rc != CAIRN_OK ? rc : cairn_page_end(&page, CAIRN_SLICE_NONE, err);
}

void cairn_query_list_views(void *self, struct cairn_http_request *request,
                            struct cairn_http_response *response)
{
    cairn_reply_from_log(self, request, response, answer_list);
}
