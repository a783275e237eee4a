/* GET /streams/{stream} and GET /streams/{stream}/state. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "query/api_int.h"
#include "query/page.h"
#include "query/params.h"

#define STREAM_LIMIT_DEFAULT 50
#define STREAM_LIMIT_MAX     1000

struct stream_query {
    struct cairn_slice stream;
    uint64_t after;
    uint64_t limit;
    size_t direction; /* of directions below */
};

static const char *const directions[] = {"forward", "backward", NULL};

static enum cairn_rc no_stream(struct cairn_slice stream, struct cairn_err *err)
{
    return CAIRN_FAIL(err, CAIRN_ENOENT, "there is no stream \"%.*s\"", CAIRN_SLICE_ARG(stream));
}

static enum cairn_rc read_query(const struct cairn_http_request *request,
                                struct stream_query *ret_query, struct cairn_err *err)
{
    static const char *const names[] = {"after", "limit", "direction", NULL};
    assert(request->capture_count == 1);
    ret_query->stream = request->captures[0];
    enum cairn_rc rc = cairn_params_check(request, names, err);
    rc = rc != CAIRN_OK
             ? rc
             : cairn_params_number(request, "after", 0, UINT64_MAX, 0, &ret_query->after, err);
    rc = rc != CAIRN_OK ? rc
                        : cairn_params_number(request, "limit", 1, STREAM_LIMIT_MAX,
                                              STREAM_LIMIT_DEFAULT, &ret_query->limit, err);
    rc = rc != CAIRN_OK
             ? rc
             : cairn_params_choice(request, "direction", directions, &ret_query->direction, err);
    if (rc == CAIRN_OK && !cairn_stream_is_valid(ret_query->stream)) {
        return no_stream(ret_query->stream, err);
    }
    return rc;
}

/* An empty page is an answer only where the stream exists. */
static enum cairn_rc check_exists(struct cairn_query_api *api, struct cairn_slice stream,
                                  struct cairn_err *err)
{
    uint64_t version = 0;
    enum cairn_rc rc = cairn_store_head(api->options.store, stream, &version, err);
    if (rc == CAIRN_OK && version == 0) {
        return no_stream(stream, err);
    }
    return rc;
}

static enum cairn_rc write_events(struct cairn_query_api *api, struct cairn_http_request *request,
                                  const struct cairn_event_page *events, struct cairn_page *page,
                                  struct cairn_err *err)
{
    for (size_t i = 0; i < events->count; i++) {
        const struct cairn_event *event = &events->events[i];
        char position[32];
        int size = snprintf(position, sizeof(position), "%u:%" PRIu64, (unsigned)event->partition,
                            event->offset);
        assert(size > 0 && (size_t)size < sizeof(position));
        struct cairn_value item;
        enum cairn_rc rc = cairn_lift_event(
            api->lift, event, cairn_slice_of(position, (size_t)size), request->arena, &item, err);
        rc = rc != CAIRN_OK ? rc : cairn_page_item(page, &item, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return CAIRN_OK;
}

static enum cairn_rc answer_stream(struct cairn_query_api *api, struct cairn_http_request *request,
                                   struct cairn_http_response *response, enum cairn_form form,
                                   struct cairn_position *held, struct cairn_err *err)
{
    (void)held;
    struct stream_query query;
    enum cairn_rc rc = read_query(request, &query, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_event_page events;
    rc = cairn_store_read_stream(api->options.store, query.stream, query.after, (size_t)query.limit,
                                 query.direction == 0 ? CAIRN_FORWARD : CAIRN_BACKWARD,
                                 request->arena, &events, err);
    if (rc == CAIRN_OK && events.count == 0) {
        rc = check_exists(api, query.stream, err);
    }
    struct cairn_page page;
    rc = rc != CAIRN_OK ? rc : cairn_page_begin(&page, form, &response->body, err);
    rc = rc != CAIRN_OK ? rc : write_events(api, request, &events, &page, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    char next[24];
    int size = 0;
    if (events.more && events.count > 0) {
        size = snprintf(next, sizeof(next), "%" PRIu64, events.events[events.count - 1].version);
        assert(size > 0 && (size_t)size < sizeof(next));
    }
    return cairn_page_end(&page, cairn_slice_of(next, (size_t)size), err);
}

void cairn_query_read_stream(void *self, struct cairn_http_request *request,
                             struct cairn_http_response *response)
{
    cairn_reply_from_log(self, request, response, answer_stream);
}

/* {"stream", "version", "state"} */
static enum cairn_rc write_state(struct cairn_http_request *request,
                                 struct cairn_http_response *response, enum cairn_form form,
                                 uint64_t version, struct cairn_value state, struct cairn_err *err)
{
    struct cairn_value_builder map = {.arena = request->arena};
    enum cairn_rc rc = cairn_value_add(&map, "stream", cairn_value_string(request->captures[0]));
    rc = rc != CAIRN_OK ? rc : cairn_value_add(&map, "version", cairn_value_uint(version));
    rc = rc != CAIRN_OK ? rc : cairn_value_add(&map, "state", state);
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "writing the state");
    }
    struct cairn_value value = cairn_value_map(&map);
    return cairn_reply_write(response, form, &value, err);
}

static enum cairn_rc answer_state(struct cairn_query_api *api, struct cairn_http_request *request,
                                  struct cairn_http_response *response, enum cairn_form form,
                                  struct cairn_position *held, struct cairn_err *err)
{
    (void)held;
    static const char *const names[] = {"version", NULL};
    struct cairn_slice stream = request->captures[0];
    uint64_t version = UINT64_MAX;
    enum cairn_rc rc = cairn_params_check(request, names, err);
    rc = rc != CAIRN_OK
             ? rc
             : cairn_params_number(request, "version", 1, INT64_MAX, UINT64_MAX, &version, err);
    if (rc == CAIRN_OK && !cairn_stream_is_valid(stream)) {
        rc = no_stream(stream, err);
    }
    rc = rc != CAIRN_OK ? rc : check_exists(api, stream, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (api->options.state.read == NULL) {
        return CAIRN_FAIL(err, CAIRN_EUNSUPPORTED, "this process does not fold streams");
    }
    struct cairn_value state;
    uint64_t actual = 0;
    rc = api->options.state.read(api->options.state.self, stream, version, request->arena, &state,
                                 &actual, err);
    return rc != CAIRN_OK ? rc : write_state(request, response, form, actual, state, err);
}

void cairn_query_read_state(void *self, struct cairn_http_request *request,
                            struct cairn_http_response *response)
{
    cairn_reply_from_log(self, request, response, answer_state);
}
