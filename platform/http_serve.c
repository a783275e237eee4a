/* One request from head to answer: admitted, read, routed, handled, sent, counted. */
#include <assert.h>

#include <civetweb.h>

#include "platform/http_int.h"

/* civetweb keeps it as the status for an access log that is off; any positive number says that the
 * request was handled. 401 would close the connection. */
enum { HANDLED = 200, ALLOW_MAX = 128 };

struct cairn_slice cairn_http_param(const struct cairn_http_request *request, const char *name)
{
    for (size_t i = 0; i < request->param_count; i++) {
        if (cairn_slice_is(request->params[i].name, name)) {
            return request->params[i].value;
        }
    }
    return CAIRN_SLICE_NONE;
}

static void begin(struct cairn_http_exchange *exchange, struct cairn_http *http,
                  struct mg_connection *connection, const struct mg_request_info *info)
{
    struct cairn_http_worker *worker = exchange->worker;
    exchange->http = http;
    exchange->connection = connection;
    exchange->info = info;
    exchange->now_us = cairn_clock_now_us(http->options.clock);
    worker->body_out.max = http->options.response_max;
    exchange->response =
        (struct cairn_http_response){.headers = worker->fields, .body = worker->body_out};
    exchange->request =
        (struct cairn_http_request){.arena = &worker->arena,
                                    .begin_ns = cairn_clock_monotonic_ns(http->options.clock),
                                    .connection = exchange};
}

/* Give the thread its buffers back and write down what happened. */
static void end(struct cairn_http_exchange *exchange)
{
    struct cairn_http *http = exchange->http;
    const struct cairn_http_request *request = &exchange->request;
    int status = exchange->response.status;
    int64_t elapsed_ns = cairn_clock_monotonic_ns(http->options.clock) - request->begin_ns;
    size_t index = exchange->entry != NULL ? exchange->entry->index : http->options.route_count;
    cairn_http_meter_count(&http->meter, index, status, elapsed_ns);
    enum cairn_log_level level = status >= 500 ? CAIRN_LOG_WARN : CAIRN_LOG_DEBUG;
    if (http->options.log != NULL && cairn_log_on(http->options.log, level)) {
        cairn_log_event(http->options.log, level, "http", "request",
                        CAIRN_F_SLICE("method", request->method),
                        CAIRN_F_SLICE("path", request->path), CAIRN_F_INT("status", status),
                        CAIRN_F_INT("duration_us", elapsed_ns / 1000),
                        CAIRN_F_SLICE("request_id", request->request_id),
                        CAIRN_F_SLICE("detail", exchange->fault));
    }
    if (!exchange->keep) {
        mg_disable_connection_keep_alive(exchange->connection);
    }
    exchange->worker->fields = exchange->response.headers;
    exchange->worker->body_out = exchange->response.body;
    exchange->worker->fields.max = CAIRN_HTTP_FIELDS_BYTES_MAX;
    cairn_http_worker_reset(exchange->worker);
}

static enum cairn_rc refuse_path(struct cairn_http_exchange *exchange, struct cairn_buf *allow,
                                 struct cairn_err *err)
{
    if (allow->size == 0) {
        return CAIRN_FAIL(err, CAIRN_ENOENT, "nothing is served at %.*s",
                          CAIRN_SLICE_ARG(exchange->request.path));
    }
    cairn_http_header_add(&exchange->response, "Allow", cairn_buf_slice(allow));
    return CAIRN_FAIL(err, CAIRN_EMETHOD, "%.*s takes %.*s",
                      CAIRN_SLICE_ARG(exchange->request.path),
                      CAIRN_SLICE_ARG(cairn_buf_slice(allow)));
}

/* Target to route, with captures and parameters. */
static enum cairn_rc route(struct cairn_http_exchange *exchange, struct cairn_err *err)
{
    struct cairn_http_request *request = &exchange->request;
    struct cairn_http_path path;
    enum cairn_rc rc = cairn_http_path_split(request->path, request->arena, &path, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_buf allow = {.max = ALLOW_MAX};
    const struct cairn_http_entry *entry =
        cairn_http_router_find(&exchange->http->router, &path, request->method, &allow);
    if (entry == NULL) {
        rc = refuse_path(exchange, &allow, err);
        cairn_buf_fini(&allow);
        return rc;
    }
    exchange->entry = entry;
    for (size_t i = 0; i < path.count; i++) {
        if (entry->steps[i].literal.data == NULL) {
            request->captures[request->capture_count++] = path.segments[i];
        }
    }
    return cairn_http_query_split(cairn_slice_str(exchange->info->query_string), request->arena,
                                  &request->params, &request->param_count, err);
}

/* Everything before the handler. over: the connection is above the limit. */
static enum cairn_rc receive(struct cairn_http_exchange *exchange, bool over, struct cairn_err *err)
{
    exchange->request.path = cairn_slice_str(exchange->info->local_uri_raw);
    cairn_http_trace_read(exchange);
    enum cairn_rc rc = cairn_http_head_read(exchange, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (over) {
        return CAIRN_FAIL(err, CAIRN_EBUSY, "more than %u connections",
                          exchange->http->options.connections_max);
    }
    if (atomic_load(&exchange->http->stopping)) {
        return CAIRN_FAIL(err, CAIRN_ESTOPPED, "the server is stopping");
    }
    rc = route(exchange, err);
    if (rc == CAIRN_OK && exchange->body_pending) {
        rc = cairn_http_body_read(exchange, exchange->entry->route->body_max, err);
    }
    return rc;
}

/* Which errors leave the connection usable: those of a request that was understood. */
static bool keeps_connection(enum cairn_rc rc)
{
    return rc == CAIRN_ENOENT || rc == CAIRN_EMETHOD || rc == CAIRN_EQUERY;
}

static void run(struct cairn_http_exchange *exchange, bool over)
{
    struct cairn_err err;
    enum cairn_rc rc = receive(exchange, over, &err);
    if (rc == CAIRN_OK) {
        const struct cairn_http_route *found = exchange->entry->route;
        found->handler(found->self, &exchange->request, &exchange->response);
    } else {
        exchange->response.close = !keeps_connection(rc);
        cairn_http_problem(&exchange->response, &err, NULL, &exchange->request);
    }
    if (atomic_load(&exchange->http->stopping)) {
        exchange->keep = false;
    }
    cairn_http_send(exchange);
}

/* The last request of a stopping server wakes the stop. */
static void leave(struct cairn_http *http)
{
    if (atomic_fetch_sub(&http->running, 1) == 1 && atomic_load(&http->stopping)) {
        (void)pthread_mutex_lock(&http->lock);
        (void)pthread_cond_signal(&http->idle);
        (void)pthread_mutex_unlock(&http->lock);
    }
}

/* A thread that got no memory at its start can say only that. */
static void answer_without_memory(struct mg_connection *connection)
{
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                                 "Retry-After: 1\r\nConnection: close\r\n\r\n";
    (void)mg_write(connection, answer, sizeof(answer) - 1);
    mg_disable_connection_keep_alive(connection);
}

int cairn_http_serve(struct mg_connection *connection)
{
    const struct mg_request_info *info = mg_get_request_info(connection);
    assert(info != NULL && info->user_data != NULL);
    struct cairn_http *http = info->user_data;
    struct cairn_http_exchange exchange = {.worker = mg_get_thread_pointer(connection)};
    if (exchange.worker == NULL) {
        answer_without_memory(connection);
        return HANDLED;
    }
    /* First count, then look at the flag: a stop that set it before sees the count, or we the flag.
     */
    (void)atomic_fetch_add(&http->running, 1);
    begin(&exchange, http, connection, info);
    run(&exchange, info->conn_data != NULL);
    end(&exchange);
    leave(http);
    return HANDLED;
}

/* civetweb's own refusals in our words. */
static void explain(struct cairn_http_exchange *exchange, int status, struct cairn_err *err)
{
    const struct mg_request_info *info = exchange->info;
    if (info == NULL || info->request_method == NULL) {
        (void)CAIRN_FAIL(err, CAIRN_EINVAL, "the head is malformed, late, or larger than %d bytes",
                         CAIRN_HTTP_HEAD_BYTES_MAX);
    } else if (info->num_headers == 0 && info->http_version != NULL) {
        /* The method is the last thing civetweb looks at before it counts fields. */
        (void)CAIRN_FAIL(err, CAIRN_EUNSUPPORTED, "the method is not one that HTTP defines");
    } else if (status >= 500) {
        (void)CAIRN_FAIL(err, CAIRN_EUNSUPPORTED, "the version of HTTP is not 1.0 or 1.1");
    } else {
        (void)CAIRN_FAIL(err, CAIRN_EINVAL, "the request line or a header field is malformed");
    }
}

int cairn_http_complain(struct mg_connection *connection, int status, const char *text)
{
    (void)text; /* it names civetweb's internals */
    const struct mg_request_info *info = mg_get_request_info(connection);
    struct cairn_http *http = mg_get_user_context_data(connection);
    struct cairn_http_exchange exchange = {.worker = mg_get_thread_pointer(connection)};
    if (exchange.worker == NULL) {
        answer_without_memory(connection);
        return 0;
    }
    /* The fields of a head that did not parse are not to be trusted. */
    struct cairn_err err;
    begin(&exchange, http, connection, info);
    explain(&exchange, status, &err);
    exchange.info = NULL;
    cairn_http_trace_read(&exchange);
    cairn_http_problem(&exchange.response, &err, NULL, &exchange.request);
    cairn_http_send(&exchange);
    end(&exchange);
    return 0;
}
