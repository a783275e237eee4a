/* A real server with a few routes, for tests of the HTTP chassis. */
#ifndef CAIRN_TESTS_SUPPORT_HTTP_STAGE_H
#define CAIRN_TESTS_SUPPORT_HTTP_STAGE_H

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "platform/http.h"
#include "tests/support/http_peer.h"

enum {
    STAGE_ROUTES = 12,
    STAGE_BODY_MAX = 1000,
    STAGE_BIG_MAX = 1024 * 1024,
    STAGE_LARGE_BYTES = 200000
};

/* The server, and a gate that GET /wait stands in until a test opens it. */
struct stage {
    struct cairn_http *http;
    struct cairn_http_route routes[STAGE_ROUTES]; /* which the server borrows */
    struct cairn_metrics *metrics;
    int port;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    unsigned waiting; /* handlers in the gate */
    bool open;
    atomic_uint handled;
};

static inline void stage_append(struct cairn_http_response *response, struct cairn_slice bytes)
{
    if (cairn_buf_append(&response->body, bytes) != CAIRN_OK) {
        abort();
    }
    response->content_type = "text/plain";
}

static inline void stage_hello(void *self, struct cairn_http_request *request,
                               struct cairn_http_response *response)
{
    (void)request;
    atomic_fetch_add(&((struct stage *)self)->handled, 1);
    stage_append(response, CAIRN_SLICE_LIT("hello"));
}

/* "capture|capture" and "name=value;" of the parameters. */
static inline void stage_echo(void *self, struct cairn_http_request *request,
                              struct cairn_http_response *response)
{
    atomic_fetch_add(&((struct stage *)self)->handled, 1);
    for (size_t i = 0; i < request->capture_count; i++) {
        stage_append(response, request->captures[i]);
        stage_append(response, CAIRN_SLICE_LIT("|"));
    }
    for (size_t i = 0; i < request->param_count; i++) {
        stage_append(response, request->params[i].name);
        stage_append(response, CAIRN_SLICE_LIT("="));
        stage_append(response, request->params[i].value);
        stage_append(response, CAIRN_SLICE_LIT(";"));
    }
}

static inline void stage_body(void *self, struct cairn_http_request *request,
                              struct cairn_http_response *response)
{
    atomic_fetch_add(&((struct stage *)self)->handled, 1);
    stage_append(response, request->body);
}

static inline void stage_large(void *self, struct cairn_http_request *request,
                               struct cairn_http_response *response)
{
    (void)self;
    (void)request;
    static const char line[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    for (size_t i = 0; i < STAGE_LARGE_BYTES / (sizeof(line) - 1); i++) {
        stage_append(response, CAIRN_SLICE_LIT(line));
    }
}

static inline void stage_fail(void *self, struct cairn_http_request *request,
                              struct cairn_http_response *response)
{
    (void)self;
    struct cairn_err err;
    (void)CAIRN_FAIL(&err, CAIRN_EBUSY, "no \"room\" for %d", 7);
    struct cairn_member member = {.key = cairn_value_string(CAIRN_SLICE_LIT("waiting")),
                                  .value = cairn_value_int(9)};
    struct cairn_value extra = {.type = CAIRN_MAP, .count = 1, .as.members = &member};
    cairn_http_problem(response, &err, &extra, request);
}

static inline void stage_empty(void *self, struct cairn_http_request *request,
                               struct cairn_http_response *response)
{
    (void)self;
    (void)request;
    response->status = 204;
    cairn_http_header_add(response, "ETag", CAIRN_SLICE_LIT("\"8\""));
}

static inline void stage_overflow(void *self, struct cairn_http_request *request,
                                  struct cairn_http_response *response)
{
    (void)self;
    (void)request;
    for (int i = 0; i < 200; i++) {
        cairn_http_header_add(response, "X-Long-Name-To-Fill-The-Buffer-Of-Header-Lines-Quickly",
                              CAIRN_SLICE_LIT("a value that is long enough to matter, one of many, "
                                              "so that two hundred of them pass sixteen KiB"));
    }
    stage_append(response, CAIRN_SLICE_LIT("never seen"));
}

static inline void stage_wait(void *self, struct cairn_http_request *request,
                              struct cairn_http_response *response)
{
    (void)request;
    struct stage *stage = self;
    pthread_mutex_lock(&stage->lock);
    stage->waiting++;
    pthread_cond_broadcast(&stage->moved);
    while (!stage->open) {
        pthread_cond_wait(&stage->moved, &stage->lock);
    }
    stage->waiting--;
    pthread_mutex_unlock(&stage->lock);
    stage_append(response, CAIRN_SLICE_LIT("waited"));
}

/* A live feed: two pieces, then more of them until the server stops or the peer goes. A peer that
 * does not read holds it up in a write. */
static inline void stage_feed(void *self, struct cairn_http_request *request,
                              struct cairn_http_response *response)
{
    (void)self;
    response->content_type = "text/event-stream";
    if (!cairn_http_stream_begin(request, response)) {
        return;
    }
    bool more = cairn_http_stream_write(request, CAIRN_SLICE_LIT("data: one\n\n")) &&
                cairn_http_stream_write(request, CAIRN_SLICE_LIT("data: two\n\n"));
    while (more && !cairn_http_stopping(request)) {
        more = cairn_http_stream_write(request, CAIRN_SLICE_LIT("data: more\n\n"));
    }
}

static inline void stage_kind(void *self, struct cairn_http_request *request,
                              struct cairn_http_response *response)
{
    (void)self;
    static const char *const names[] = {"neither", "json", "msgpack"};
    int wish = cairn_http_accepts(request, "application/json", "application/msgpack");
    stage_append(response, cairn_slice_str(names[wish + 1]));
    if (cairn_http_content_is(request, "application/json")) {
        stage_append(response, CAIRN_SLICE_LIT("+json"));
    }
}

static inline void stage_begin(struct stage *stage, struct cairn_http_options options)
{
    memset(stage, 0, sizeof(*stage));
    pthread_mutex_init(&stage->lock, NULL);
    pthread_cond_init(&stage->moved, NULL);
    stage->metrics = cairn_metrics_new();
    assert_non_null(stage->metrics);
    const struct cairn_http_route routes[] = {
        {"GET", "/hello", stage_hello, stage, 0},
        {"GET", "/echo/{one}/{two}", stage_echo, stage, 0},
        {"GET", "/echo", stage_echo, stage, 0},
        {"POST", "/body", stage_body, stage, STAGE_BODY_MAX},
        {"POST", "/big", stage_body, stage, STAGE_BIG_MAX},
        {"GET", "/large", stage_large, stage, 0},
        {"GET", "/fail", stage_fail, stage, 0},
        {"GET", "/empty", stage_empty, stage, 0},
        {"GET", "/overflow", stage_overflow, stage, 0},
        {"GET", "/wait", stage_wait, stage, 0},
        {"GET", "/feed", stage_feed, stage, 0},
        {"GET", "/kind", stage_kind, stage, 0},
    };
    static_assert(sizeof(routes) == sizeof(stage->routes), "each has a place");
    memcpy(stage->routes, routes, sizeof(routes));
    options.routes = stage->routes;
    options.route_count = STAGE_ROUTES;
    options.metrics = stage->metrics;
    options.listen = options.listen != NULL ? options.listen : "127.0.0.1:0";
    struct cairn_err err;
    assert_ok(cairn_http_start(&options, &stage->http, &err), &err);
    stage->port = cairn_http_port(stage->http);
}

/* Until count handlers stand in the gate. */
static inline void stage_await(struct stage *stage, unsigned count)
{
    pthread_mutex_lock(&stage->lock);
    while (stage->waiting < count) {
        pthread_cond_wait(&stage->moved, &stage->lock);
    }
    pthread_mutex_unlock(&stage->lock);
}

static inline void stage_open(struct stage *stage)
{
    pthread_mutex_lock(&stage->lock);
    stage->open = true;
    pthread_cond_broadcast(&stage->moved);
    pthread_mutex_unlock(&stage->lock);
}

static inline void stage_end(struct stage *stage)
{
    cairn_http_stop(stage->http);
    cairn_metrics_free(stage->metrics);
    pthread_cond_destroy(&stage->moved);
    pthread_mutex_destroy(&stage->lock);
}

#endif
