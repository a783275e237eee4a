/* GET /events: the query, and the answer as a page. */
#include "query/events_api.h"

#include <assert.h>

#include "query/history.h"
#include "query/page.h"

static enum cairn_rc read_after(const struct cairn_query_api *api, struct cairn_slice text,
                                const char *what, struct cairn_events_query *query,
                                struct cairn_err *err)
{
    if (cairn_slice_is(text, "end")) {
        query->at_end = true;
        return CAIRN_OK;
    }
    if (cairn_position_parse(text, &query->after) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_EQUERY,
                          "%s is \"%.*s\"; it must be a position, as answers carry it, or \"end\"",
                          what, CAIRN_SLICE_ARG(text));
    }
    for (unsigned p = api->partitions; p < CAIRN_PARTITIONS_MAX; p++) {
        if (query->after.offsets[p] > 0) {
            return CAIRN_FAIL(err, CAIRN_EQUERY, "%s names partition %u; the log has %u", what, p,
                              (unsigned)api->partitions);
        }
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_events_query_read(const struct cairn_query_api *api,
                                      const struct cairn_http_request *request,
                                      struct cairn_slice last_id,
                                      struct cairn_events_query *ret_query, struct cairn_err *err)
{
    static const char *const names[] = {"after", "aggregate", "type", "limit", NULL};
    assert(ret_query != NULL);
    *ret_query = (struct cairn_events_query){.limit = 0};
    struct cairn_slice after = cairn_http_param(request, "after");
    enum cairn_rc rc = cairn_params_check(request, names, err);
    rc = rc != CAIRN_OK ? rc
                        : cairn_params_number(request, "limit", 1, CAIRN_EVENTS_LIMIT_MAX, 0,
                                              &ret_query->limit, err);
    rc = rc != CAIRN_OK ? rc
                        : cairn_params_names_read(request, "aggregate", cairn_aggregate_is_valid,
                                                  &ret_query->aggregates, err);
    rc = rc != CAIRN_OK ? rc
                        : cairn_params_names_read(request, "type", cairn_type_is_valid,
                                                  &ret_query->types, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (last_id.data != NULL) {
        return read_after(api, last_id, "Last-Event-ID", ret_query, err);
    }
    if (after.data != NULL) {
        return read_after(api, after, "parameter \"after\"", ret_query, err);
    }
    return CAIRN_OK;
}

bool cairn_events_query_wants(const struct cairn_events_query *query,
                              const struct cairn_event *event)
{
    assert(event->stream.size > 0);
    return cairn_params_names_hold(&query->types, event->type) &&
           cairn_params_names_hold(&query->aggregates, cairn_stream_aggregate(event->stream));
}

/* One event into the page; its tree dies with it. */
static enum cairn_rc write_event(struct cairn_query_api *api, const struct cairn_event *event,
                                 const struct cairn_position *position, struct cairn_arena *arena,
                                 struct cairn_page *page, struct cairn_err *err)
{
    cairn_arena_reset(arena);
    char *text = cairn_position_text(position, arena);
    if (text == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a position");
    }
    struct cairn_value item;
    enum cairn_rc rc = cairn_lift_event(api->lift, event, cairn_slice_str(text), arena, &item, err);
    return rc != CAIRN_OK ? rc : cairn_page_item(page, &item, err);
}

/* Take events until the page is full, enough was looked at, or the log ends; *ret_full tells
 * whether it stopped before the end. */
static enum cairn_rc fill_page(struct cairn_query_api *api, const struct cairn_events_query *query,
                               struct cairn_history *history, struct cairn_page *page,
                               bool *ret_full, struct cairn_err *err)
{
    uint64_t limit = query->limit == 0 ? CAIRN_EVENTS_LIMIT_DEFAULT : query->limit;
    struct cairn_arena arena = {.max = CAIRN_EVENTS_ARENA_MAX};
    enum cairn_rc rc = CAIRN_OK;
    *ret_full = true;
    for (unsigned seen = 0; seen < CAIRN_EVENTS_SCAN_MAX; seen++) {
        if (page->count >= limit || page->body->size - page->begin >= CAIRN_EVENTS_BYTES_MAX) {
            break;
        }
        const struct cairn_event *event = NULL;
        rc = cairn_history_next(history, &event, err);
        if (rc != CAIRN_OK) {
            break;
        }
        if (event == NULL) {
            *ret_full = false;
            break;
        }
        if (cairn_events_query_wants(query, event)) {
            rc = write_event(api, event, cairn_history_position(history), &arena, page, err);
        }
        if (rc != CAIRN_OK) {
            break;
        }
    }
    cairn_arena_fini(&arena);
    return rc;
}

/* next is where to go on, absent when this page has seen the end: held, raised to what was seen, is
 * then the place to go on from later. */
static enum cairn_rc end_page(const struct cairn_history *history, bool full,
                              struct cairn_page *page, struct cairn_position *held,
                              struct cairn_arena *arena, struct cairn_err *err)
{
    const struct cairn_position *position = cairn_history_position(history);
    bool more = full && !cairn_position_reached(position, held);
    cairn_position_merge(held, position);
    char *next = more ? cairn_position_text(position, arena) : NULL;
    if (more && next == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a position");
    }
    return cairn_page_end(page, cairn_slice_str(next), err);
}

static enum cairn_rc answer_page(struct cairn_query_api *api, struct cairn_http_request *request,
                                 struct cairn_http_response *response, enum cairn_form form,
                                 struct cairn_position *held, struct cairn_err *err)
{
    struct cairn_events_query query;
    enum cairn_rc rc = cairn_events_query_read(api, request, CAIRN_SLICE_NONE, &query, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_history *history = NULL;
    rc = cairn_history_open(api->options.store, query.at_end ? held : &query.after, &history, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_page page;
    bool full = false;
    rc = cairn_page_begin(&page, form, &response->body, err);
    rc = rc != CAIRN_OK ? rc : fill_page(api, &query, history, &page, &full, err);
    rc = rc != CAIRN_OK ? rc : end_page(history, full, &page, held, request->arena, err);
    cairn_history_close(history);
    return rc;
}

void cairn_query_read_events(void *self, struct cairn_http_request *request,
                             struct cairn_http_response *response)
{
    assert(self != NULL);
    bool over_json = cairn_http_accepts(request, "application/json", "text/event-stream") == 1;
    bool over_msgpack =
        cairn_http_accepts(request, "application/msgpack", "text/event-stream") == 1;
    if (over_json && over_msgpack) {
        cairn_feed_run(self, request, response);
    } else {
        cairn_reply_from_log(self, request, response, answer_page);
    }
}
