/* The server: options to civetweb, start, graceful stop. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include <civetweb.h>

#include "platform/http_int.h"
#include "platform/mem.h"

/* Enough for 64 levels of JSON, Lua and SQL beneath a handler. Threads are a thousand: the default
 * of 8 MiB would let the kernel back each stack with a huge page. */
#define STACK_BYTES ((size_t)1024 * 1024)

enum { NUMBER_MAX = 16, WORKER_THREAD = 1 };

static void *begin_thread(const struct mg_context *context, int kind)
{
    (void)context;
    return kind == WORKER_THREAD ? cairn_http_worker_new() : NULL;
}

static void end_thread(const struct mg_context *context, int kind, void *worker)
{
    (void)context;
    (void)kind;
    cairn_http_worker_free(worker);
}

/* conn_data is set on a connection over the limit; what it points to does not matter. */
static int begin_connection(const struct mg_connection *connection, void **ret_data)
{
    struct cairn_http *http = mg_get_user_context_data(connection);
    *ret_data = cairn_http_connection_begin(http) ? NULL : http;
    return 0;
}

static void end_connection(const struct mg_connection *connection)
{
    cairn_http_connection_end(mg_get_user_context_data(connection));
}

/* While it starts, what civetweb says is the reason of a failure; later it is news for the log. */
static int take_message(const struct mg_connection *connection, const char *text)
{
    struct cairn_http *http = mg_get_user_context_data(connection);
    if (http == NULL) {
        return 1;
    }
    if (http->context == NULL && http->trouble[0] == '\0') {
        (void)snprintf(http->trouble, sizeof(http->trouble), "%s", text);
    }
    if (http->options.log != NULL) {
        cairn_log_event(http->options.log, CAIRN_LOG_DEBUG, "http", "library",
                        CAIRN_F_STR("text", text));
    }
    return 1;
}

static void fill_defaults(struct cairn_http_options *options)
{
    if (options->connections_max == 0) {
        options->connections_max = CAIRN_HTTP_CONNECTIONS_DEFAULT;
    }
    if (options->header_timeout_ms == 0) {
        options->header_timeout_ms = 10000;
    }
    if (options->idle_timeout_ms == 0) {
        options->idle_timeout_ms = 60000;
    }
    if (options->drain_timeout_ms == 0) {
        options->drain_timeout_ms = 10000;
    }
    if (options->response_max == 0) {
        options->response_max = (size_t)64 * 1024 * 1024;
    }
    if (options->clock == NULL) {
        options->clock = cairn_clock_system();
    }
    if (options->random == NULL) {
        options->random = cairn_random_system();
    }
}

/* The stack size of civetweb's threads can be given only as the process's default; it is put back.
 */
static struct mg_context *start_threads(struct mg_init_data *init, struct mg_error_data *error)
{
    pthread_attr_t before;
    pthread_attr_t small;
    bool known = pthread_getattr_default_np(&before) == 0;
    if (known && pthread_attr_init(&small) == 0) {
        if (pthread_attr_setstacksize(&small, STACK_BYTES) == 0) {
            (void)pthread_setattr_default_np(&small);
        }
        (void)pthread_attr_destroy(&small);
    }
    struct mg_context *context = mg_start2(init, error);
    if (known) {
        (void)pthread_setattr_default_np(&before);
        (void)pthread_attr_destroy(&before);
    }
    return context;
}

static enum cairn_rc start_civetweb(struct cairn_http *http, struct cairn_err *err)
{
    char threads[NUMBER_MAX];
    char header_ms[NUMBER_MAX];
    char idle_ms[NUMBER_MAX];
    char head_bytes[NUMBER_MAX];
    (void)snprintf(threads, sizeof(threads), "%u",
                   http->options.connections_max + CAIRN_HTTP_REFUSERS);
    (void)snprintf(header_ms, sizeof(header_ms), "%d", http->options.header_timeout_ms);
    (void)snprintf(idle_ms, sizeof(idle_ms), "%d", http->options.idle_timeout_ms);
    (void)snprintf(head_bytes, sizeof(head_bytes), "%d", CAIRN_HTTP_HEAD_BYTES_MAX);
    const char *settings[] = {"listening_ports",
                              http->listen,
                              "num_threads",
                              threads,
                              "enable_keep_alive",
                              "yes",
                              "keep_alive_timeout_ms",
                              idle_ms,
                              "request_timeout_ms",
                              header_ms,
                              "max_request_size",
                              head_bytes,
                              "tcp_nodelay",
                              "1",
                              "decode_url",
                              "no",
                              "enable_auth_domain_check",
                              "no",
                              "listen_backlog",
                              "1024",
                              "connection_queue",
                              "128",
                              NULL};
    const struct mg_callbacks callbacks = {.begin_request = cairn_http_serve,
                                           .http_error = cairn_http_complain,
                                           .init_thread = begin_thread,
                                           .exit_thread = end_thread,
                                           .init_connection = begin_connection,
                                           .connection_close = end_connection,
                                           .log_message = take_message};
    struct mg_init_data init = {&callbacks, http, settings};
    unsigned code = 0;
    char text[128] = "";
    struct mg_error_data error = {&code, text, sizeof(text)};
    http->context = start_threads(&init, &error);
    if (http->context == NULL) {
        return CAIRN_FAIL(err, CAIRN_EIO, "cannot listen on %s with %s threads: %s",
                          http->options.listen, threads,
                          http->trouble[0] != '\0' ? http->trouble : text);
    }
    struct mg_server_port port = {.port = 0};
    if (mg_get_server_ports(http->context, 1, &port) != 1 || port.port <= 0) {
        return CAIRN_FAIL(err, CAIRN_EIO, "cannot tell the port of %s", http->options.listen);
    }
    http->port = port.port;
    return CAIRN_OK;
}

static enum cairn_rc init_lock(struct cairn_http *http, struct cairn_err *err)
{
    pthread_condattr_t attr;
    int failed = pthread_condattr_init(&attr);
    if (failed == 0) {
        failed = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    }
    if (failed == 0) {
        failed = pthread_cond_init(&http->idle, &attr);
    }
    if (failed == 0) {
        failed = pthread_mutex_init(&http->lock, NULL);
    }
    (void)pthread_condattr_destroy(&attr);
    if (failed != 0) {
        return CAIRN_FAIL_OS(err, failed, "HTTP server's lock");
    }
    http->locks_made = true;
    return CAIRN_OK;
}

/* Everything but waiting. */
static void release(struct cairn_http *http)
{
    if (http->context != NULL) {
        mg_stop(http->context);
    }
    if (http->locks_made) {
        (void)pthread_cond_destroy(&http->idle);
        (void)pthread_mutex_destroy(&http->lock);
    }
    cairn_http_router_fini(&http->router);
    cairn_http_meter_fini(&http->meter);
    cairn_mem_free(http);
    (void)mg_exit_library();
}

enum cairn_rc cairn_http_start(const struct cairn_http_options *options,
                               struct cairn_http **ret_http, struct cairn_err *err)
{
    assert(options->listen != NULL && ret_http != NULL);
    assert(options->header_timeout_ms >= 0 && options->idle_timeout_ms >= 0);
    struct cairn_http *http = cairn_mem_zalloc(1, sizeof(*http));
    if (http == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for the HTTP server");
    }
    (void)mg_init_library(MG_FEATURES_DEFAULT);
    http->options = *options;
    fill_defaults(&http->options);
    enum cairn_rc rc = init_lock(http, err);
    if (rc == CAIRN_OK) {
        rc = cairn_http_router_init(&http->router, options->routes, options->route_count, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_http_meter_init(&http->meter, &http->options, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_http_listen_check(http, err);
    }
    if (rc == CAIRN_OK) {
        rc = start_civetweb(http, err);
    }
    if (rc != CAIRN_OK) {
        release(http);
        return rc;
    }
    *ret_http = http;
    return CAIRN_OK;
}

int cairn_http_port(const struct cairn_http *http)
{
    assert(http->port > 0);
    return http->port;
}

/* Wait until no request runs, at most drain_timeout_ms. */
static bool drain(struct cairn_http *http)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += http->options.drain_timeout_ms / 1000;
    until.tv_nsec += (long)(http->options.drain_timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&http->lock);
    int failed = 0;
    while (failed == 0 && atomic_load(&http->running) > 0) {
        failed = pthread_cond_timedwait(&http->idle, &http->lock, &until);
    }
    bool drained = atomic_load(&http->running) == 0;
    (void)pthread_mutex_unlock(&http->lock);
    return drained;
}

void cairn_http_stop(struct cairn_http *http)
{
    if (http == NULL) {
        return;
    }
    atomic_store(&http->stopping, true);
    bool drained = drain(http);
    if (!drained && http->options.log != NULL) {
        cairn_log_event(http->options.log, CAIRN_LOG_WARN, "http", "drain-timed-out",
                        CAIRN_F_UINT("running", atomic_load(&http->running)));
    }
    cairn_http_connections_shut(http, !drained);
    release(http);
}
