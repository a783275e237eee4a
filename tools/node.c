#include "tools/node.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>

#include "command/api.h"
#include "command/state_read.h"
#include "platform/mem.h"
#include "projector/projector.h"
#include "query/api.h"
#include "tools/base.h"
#include "tools/database.h"
#include "tools/log_open.h"
#include "tools/ops.h"
#include "tools/stop.h"

#define ROUTES_MAX      64
#define WAIT_FOR_LOG_MS 200
#define WATCH_MS        200     /* so often a reading process looks for another log in its folder */
#define WAIT_MS_MAX     3600000 /* of what waits for nothing but a signal */
#define URL_BYTES_MAX   512

/* Everything a process holds; parts that its roles do not need stay NULL. Stopped in reverse order.
 * The first four stay when it is started again. */
struct node {
    const struct cairn_config *config;
    unsigned roles;
    struct cairn_stop stop;     /* the signals that end it */
    char listen[URL_BYTES_MAX]; /* HOST:PORT as it was asked for, then with the port as it came */
    struct cairn_base base;
    struct cairn_metrics *metrics;
    struct cairn_store *store;
    struct cairn_service *service;
    struct cairn_command_api *command_api;
    struct cairn_database database;
    struct cairn_projector *projector;
    struct cairn_views *views; /* only where no projector runs in this process */
    struct cairn_state_pool *states;
    struct cairn_query_api *query_api;
    struct cairn_ops ops;
    struct cairn_http_route routes[ROUTES_MAX];
    size_t route_count;
    struct cairn_http *http;
};

struct cairn_lua_limits cairn_node_lua_limits(const struct cairn_config *config)
{
    return (struct cairn_lua_limits){
        .call_memory_bytes = (size_t)cairn_config_uint(config, "script-memory"),
        .call_instructions = cairn_config_uint(config, "script-instructions"),
    };
}

static bool has_role(const struct node *node, unsigned role)
{
    return (node->roles & role) != 0;
}

static enum cairn_rc open_base(struct node *node, const char *domain_folder, struct cairn_err *err)
{
    node->metrics = cairn_metrics_new();
    return node->metrics == NULL ? CAIRN_FAIL(err, CAIRN_ENOMEM, "out of memory at start")
                                 : cairn_base_open(node->config, domain_folder, &node->base, err);
}

/* On Kafka whoever keeps views keeps the folder's copy of the log, too; queries read both. */
static enum cairn_log_access_kind access_kind(const struct node *node)
{
    if (has_role(node, CAIRN_ROLE_COMMAND)) {
        return CAIRN_LOG_APPEND;
    }
    return has_role(node, CAIRN_ROLE_PROJECTOR) ? CAIRN_LOG_FOLLOW : CAIRN_LOG_READ;
}

static enum cairn_rc open_store(struct node *node, struct cairn_err *err)
{
    struct cairn_log_open open = {.config = node->config,
                                  .domain = node->base.domain,
                                  .log = node->base.log,
                                  .metrics = node->metrics,
                                  .kind = access_kind(node)};
    bool waits = open.kind != CAIRN_LOG_APPEND;
    enum cairn_rc rc = cairn_log_open(&open, &node->store, err);
    if (rc == CAIRN_ENOENT && waits) {
        cairn_log_error(node->base.log, CAIRN_LOG_INFO, "node", "waiting-for-log", err);
    }
    /* A reader may start before the writer has made the log. */
    while (rc == CAIRN_ENOENT && waits) {
        if (cairn_stop_came(&node->stop, WAIT_FOR_LOG_MS)) {
            return CAIRN_FAIL(err, CAIRN_ESTOPPED, "stopped while waiting for a log in %s",
                              cairn_config_text(node->config, "data"));
        }
        rc = cairn_log_open(&open, &node->store, err);
    }
    return rc;
}

/* A domain may hold more than is served: say so, and serve the rest. */
static void tell_unserved(const struct node *node)
{
    static const char *const why = "it is in SQL: start with --postgres";
    if (cairn_config_text(node->config, "postgres") != NULL) {
        return;
    }
    for (size_t i = 0; i < cairn_domain_view_count(node->base.domain); i++) {
        const struct cairn_domain_view *view = cairn_domain_view_at(node->base.domain, i);
        if (view->kind == CAIRN_VIEW_POSTGRES) {
            cairn_log_event(node->base.log, CAIRN_LOG_WARN, "node", "view-not-served",
                            CAIRN_F_SLICE("view", view->name), CAIRN_F_STR("detail", why));
        }
    }
    for (size_t i = 0; i < cairn_domain_query_count(node->base.domain); i++) {
        cairn_log_event(node->base.log, CAIRN_LOG_WARN, "node", "query-not-served",
                        CAIRN_F_SLICE("query", cairn_domain_query_at(node->base.domain, i)->name),
                        CAIRN_F_STR("detail", why));
    }
}

static void add_routes(struct node *node, const struct cairn_http_route *routes, size_t count)
{
    assert(count <= ROUTES_MAX - node->route_count);
    for (size_t i = 0; i < count; i++) {
        node->routes[node->route_count++] = routes[i];
    }
}

static enum cairn_rc start_command(struct node *node, struct cairn_err *err)
{
    struct cairn_service_options options = {
        .domain = node->base.domain,
        .store = node->store,
        .clock = cairn_clock_system(),
        .random = cairn_random_system(),
        .lua = cairn_node_lua_limits(node->config),
        .cache_aggregates = (size_t)cairn_config_uint(node->config, "cache"),
        .queue_max = (size_t)cairn_config_uint(node->config, "queue"),
        .log = node->base.log,
        .metrics = node->metrics,
    };
    enum cairn_rc rc = cairn_service_new(&options, &node->service, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_command_api_options api = {
        .service = node->service,
        .domain = node->base.domain,
        .forward = {.store = node->store, .metrics = node->metrics},
        .body_max = (size_t)cairn_config_uint(node->config, "body-max"),
        .batch_body_max = (size_t)cairn_config_uint(node->config, "batch-body-max"),
    };
    rc = cairn_command_api_new(&api, &node->command_api, err);
    if (rc == CAIRN_OK) {
        size_t count = 0;
        const struct cairn_http_route *routes = cairn_command_api_routes(node->command_api, &count);
        add_routes(node, routes, count);
    }
    return rc;
}

static enum cairn_rc start_projector(struct node *node, struct cairn_err *err)
{
    struct cairn_projector_options options = {
        .domain = node->base.domain,
        .store = node->store,
        .data_folder = cairn_config_text(node->config, "data"),
        .postgres = cairn_database_uri(&node->database),
        .lua = cairn_node_lua_limits(node->config),
        .clock = cairn_clock_system(),
        .log = node->base.log,
        .metrics = node->metrics,
    };
    return cairn_projector_start(&options, &node->projector, err);
}

static enum cairn_rc start_query(struct node *node, struct cairn_err *err)
{
    struct cairn_state_pool_options states = {
        .domain = node->base.domain,
        .store = node->store,
        .lua = cairn_node_lua_limits(node->config),
    };
    enum cairn_rc rc = cairn_state_pool_new(&states, &node->states, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_database_open_reader(&node->database, node->base.domain, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (node->projector != NULL) {
        cairn_views_attach_sql(cairn_projector_views(node->projector), node->database.reader);
    }
    struct cairn_query_api_options options = {
        .domain = node->base.domain,
        .store = node->store,
        .views = node->projector == NULL ? NULL : cairn_projector_views(node->projector),
        .sql = node->database.reader,
        .postgres = node->database.pool,
        .data_folder = cairn_config_text(node->config, "data"),
        .state = {cairn_state_read, node->states},
        .clock = cairn_clock_system(),
        .feeds_max = (unsigned)cairn_config_uint(node->config, "feeds"),
        .heartbeat_ms = (int)cairn_config_uint(node->config, "heartbeat"),
        .metrics = node->metrics,
        .log = node->base.log,
    };
    rc = cairn_query_api_new(&options, &node->query_api, err);
    if (rc == CAIRN_OK) {
        size_t count = 0;
        const struct cairn_http_route *routes = cairn_query_api_routes(node->query_api, &count);
        add_routes(node, routes, count);
    }
    return rc;
}

/* The host as it was asked for, the port as it came. */
static enum cairn_rc keep_address(struct node *node, struct cairn_err *err)
{
    struct cairn_slice host = cairn_slice_str(cairn_config_text(node->config, "listen"));
    while (host.size > 0 && host.data[host.size - 1] != ':') {
        host.size--;
    }
    int size = snprintf(node->listen, sizeof(node->listen), "%.*s%d", CAIRN_SLICE_ARG(host),
                        cairn_http_port(node->http));
    return size > 0 && (size_t)size < sizeof(node->listen)
               ? CAIRN_OK
               : CAIRN_FAIL(err, CAIRN_ETOOBIG, "--listen is too long");
}

static enum cairn_rc start_http(struct node *node, struct cairn_err *err)
{
    struct cairn_http_options options = {
        .listen = node->listen,
        .routes = node->routes,
        .route_count = node->route_count,
        .connections_max = (unsigned)cairn_config_uint(node->config, "max-connections"),
        .header_timeout_ms = (int)cairn_config_uint(node->config, "request-timeout"),
        .idle_timeout_ms = (int)cairn_config_uint(node->config, "idle-timeout"),
        .drain_timeout_ms = (int)cairn_config_uint(node->config, "drain-timeout"),
        .log = node->base.log,
        .metrics = node->metrics,
        .clock = cairn_clock_system(),
        .random = cairn_random_system(),
    };
    enum cairn_rc rc = cairn_http_start(&options, &node->http, err);
    return rc == CAIRN_OK ? keep_address(node, err) : rc;
}

/* The parts in the order they stand on one another. */
static enum cairn_rc start(struct node *node, const char *domain_folder, struct cairn_err *err)
{
    enum cairn_rc rc = open_base(node, domain_folder, err);
    rc = rc == CAIRN_OK ? cairn_database_init(&node->database, node->config, err) : rc;
    rc = rc == CAIRN_OK ? open_store(node, err) : rc;
    if (rc == CAIRN_OK) {
        tell_unserved(node);
        struct cairn_ops_options ops = {.metrics = node->metrics,
                                        .domain = node->base.domain,
                                        .store = node->store,
                                        .data_folder = cairn_config_text(node->config, "data"),
                                        .roles = node->roles};
        rc = cairn_ops_init(&node->ops, &ops, err);
    }
    if (rc == CAIRN_OK && has_role(node, CAIRN_ROLE_COMMAND)) {
        rc = start_command(node, err);
    }
    if (rc == CAIRN_OK && has_role(node, CAIRN_ROLE_PROJECTOR)) {
        rc = start_projector(node, err);
    }
    if (rc == CAIRN_OK && has_role(node, CAIRN_ROLE_QUERY)) {
        rc = start_query(node, err);
    }
    if (rc == CAIRN_OK) {
        add_routes(node, node->ops.routes, node->ops.route_count);
        rc = start_http(node, err);
    }
    return rc;
}

static void stop(struct node *node)
{
    /* Live feeds and waits end first, or they would hold the stop for as long as they may. */
    if (node->query_api != NULL) {
        cairn_query_api_wake(node->query_api);
    }
    cairn_http_stop(node->http);
    cairn_query_api_free(node->query_api);
    cairn_state_pool_free(node->states);
    cairn_projector_stop(node->projector);
    cairn_database_fini(&node->database);
    cairn_command_api_free(node->command_api);
    cairn_service_free(node->service);
    cairn_ops_fini(&node->ops);
    cairn_store_close(node->store);
    cairn_metrics_free(node->metrics);
    cairn_base_close(&node->base);
    struct node rest = {.config = node->config, .roles = node->roles, .stop = node->stop};
    memcpy(rest.listen, node->listen, sizeof(rest.listen));
    *node = rest;
}

static void write_url(const struct node *node, char url[URL_BYTES_MAX])
{
    (void)snprintf(url, URL_BYTES_MAX, "http://%.*s", URL_BYTES_MAX - 8, node->listen);
}

/* Only now can other nodes reach this one, so only now may it own something. */
static enum cairn_rc announce(struct node *node, struct cairn_err *err)
{
    char url[URL_BYTES_MAX];
    const char *given = cairn_config_text(node->config, "advertise");
    write_url(node, url);
    return has_role(node, CAIRN_ROLE_COMMAND)
               ? cairn_store_announce(node->store, given == NULL ? url : given, err)
               : CAIRN_OK;
}

static void print_ready(const struct node *node)
{
    char url[URL_BYTES_MAX];
    write_url(node, url);
    (void)printf("ready %s\n", url);
    (void)fflush(stdout);
}

/* Until a signal comes. False: what this process reads was replaced by the process that writes it.
 */
static bool await_stop(struct node *node)
{
    bool reads = access_kind(node) == CAIRN_LOG_READ;
    do {
        if (reads && cairn_store_replaced(node->store)) {
            cairn_log_event(node->base.log, CAIRN_LOG_WARN, "node", "log-replaced",
                            CAIRN_F_STR("detail", "the data folder has another copy of the log: "
                                                  "everything is opened anew"));
            return false;
        }
    } while (!cairn_stop_came(&node->stop, reads ? WATCH_MS : WAIT_MS_MAX));
    cairn_log_event(node->base.log, CAIRN_LOG_INFO, "node", "stopping",
                    CAIRN_F_INT("signal", node->stop.signal));
    return true;
}

static enum cairn_rc run_once(struct node *node, const char *domain_folder, bool *ret_again,
                              struct cairn_err *err)
{
    *ret_again = false;
    enum cairn_rc rc = start(node, domain_folder, err);
    rc = rc == CAIRN_OK ? announce(node, err) : rc;
    if (rc == CAIRN_OK) {
        print_ready(node);
        cairn_log_event(node->base.log, CAIRN_LOG_INFO, "node", "ready",
                        CAIRN_F_INT("port", cairn_http_port(node->http)),
                        CAIRN_F_SLICE("domain", cairn_domain_name(node->base.domain)));
        *ret_again = !await_stop(node);
    }
    stop(node);
    return rc;
}

enum cairn_rc cairn_node_run(const struct cairn_config *config, unsigned roles,
                             const char *domain_folder, struct cairn_err *err)
{
    assert(roles != 0);
    struct node node = {.config = config, .roles = roles};
    bool again = true;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    enum cairn_rc rc = CAIRN_OK;
    (void)sigaction(SIGPIPE, &ignore, NULL);
    cairn_stop_begin(&node.stop);
    (void)snprintf(node.listen, sizeof(node.listen), "%s", cairn_config_text(config, "listen"));
    while (rc == CAIRN_OK && again) {
        rc = run_once(&node, domain_folder, &again, err);
    }
    return rc;
}
