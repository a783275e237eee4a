#include "query/api.h"

#include <assert.h>

#include "platform/mem.h"
#include "query/api_int.h"

/* pattern, handler; all are GET and take no body */
static const struct {
    const char *pattern;
    cairn_http_handler_fn handler;
} route_table[] = {
    {"/", cairn_query_console},
    {"/views", cairn_query_list_views},
    {"/views/{view}", cairn_query_list_rows},
    {"/views/{view}/{key}", cairn_query_get_row},
    {"/queries/{name}", cairn_query_named},
    {"/streams/{stream}", cairn_query_read_stream},
    {"/streams/{stream}/state", cairn_query_read_state},
    {"/events", cairn_query_read_events},
};

#define ROUTE_COUNT (sizeof(route_table) / sizeof(route_table[0]))

/* The api and its routes in one block; the api comes first, so one address stands for both. */
struct block {
    struct cairn_query_api api;
    struct cairn_http_route routes[ROUTE_COUNT];
};

static void add_metrics(struct cairn_query_api *api)
{
    struct cairn_metrics *metrics = api->options.metrics;
    if (metrics == NULL) {
        return;
    }
    api->feeds_now = cairn_metrics_add(metrics, CAIRN_GAUGE, "cairn_query_feeds", NULL,
                                       "Live feeds that are open.");
    api->feed_events = cairn_metrics_add(metrics, CAIRN_COUNTER, "cairn_query_feed_events_total",
                                         NULL, "Events sent to live feeds.");
    api->waits = cairn_metrics_add(metrics, CAIRN_COUNTER, "cairn_query_waits_total", NULL,
                                   "Requests that waited for the position they carried.");
}

static void fill(struct block *block, const struct cairn_query_api_options *options)
{
    struct cairn_query_api *api = &block->api;
    api->options = *options;
    if (api->options.feeds_max == 0) {
        api->options.feeds_max = CAIRN_FEEDS_DEFAULT;
    }
    if (api->options.heartbeat_ms == 0) {
        api->options.heartbeat_ms = CAIRN_HEARTBEAT_DEFAULT;
    }
    api->partitions = cairn_store_partitions(options->store);
    atomic_init(&api->stopping, false);
    atomic_init(&api->feeds, 0);
    atomic_init(&api->views, options->views);
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        block->routes[i] = (struct cairn_http_route){.method = "GET",
                                                     .pattern = route_table[i].pattern,
                                                     .handler = route_table[i].handler,
                                                     .self = api};
    }
    add_metrics(api);
}

enum cairn_rc cairn_query_api_new(const struct cairn_query_api_options *options,
                                  struct cairn_query_api **ret_api, struct cairn_err *err)
{
    assert(options->domain != NULL && options->store != NULL && options->clock != NULL);
    assert(options->views != NULL || options->data_folder != NULL);
    assert(options->heartbeat_ms >= 0);
    struct block *block = cairn_mem_zalloc(1, sizeof(*block));
    if (block == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "the query API");
    }
    enum cairn_rc rc = cairn_lift_new(options->domain, &block->api.lift, err);
    if (rc != CAIRN_OK) {
        goto failed;
    }
    if (pthread_mutex_init(&block->api.views_lock, NULL) != 0) {
        rc = CAIRN_FAIL(err, CAIRN_ENOMEM, "the query API's lock");
        goto failed;
    }
    fill(block, options);
    *ret_api = &block->api;
    return CAIRN_OK;
failed:
    cairn_lift_free(block->api.lift);
    cairn_mem_free(block);
    return rc;
}

void cairn_query_api_wake(struct cairn_query_api *api)
{
    atomic_store(&api->stopping, true);
    cairn_store_wake(api->options.store);
    struct cairn_views *views = atomic_load(&api->views);
    if (views != NULL) {
        cairn_views_wake(views);
    }
}

void cairn_query_api_free(struct cairn_query_api *api)
{
    if (api == NULL) {
        return;
    }
    assert(atomic_load(&api->feeds) == 0);
    cairn_views_close(api->own_views);
    cairn_lift_free(api->lift);
    (void)pthread_mutex_destroy(&api->views_lock);
    cairn_mem_free((struct block *)(void *)api);
}

const struct cairn_http_route *cairn_query_api_routes(struct cairn_query_api *api,
                                                      size_t *ret_count)
{
    assert(ret_count != NULL);
    *ret_count = ROUTE_COUNT;
    return ((const struct block *)(const void *)api)->routes;
}

enum cairn_rc cairn_query_views(struct cairn_query_api *api, struct cairn_views **ret_views,
                                struct cairn_err *err)
{
    struct cairn_views *views = atomic_load_explicit(&api->views, memory_order_acquire);
    if (views != NULL) {
        *ret_views = views;
        return CAIRN_OK;
    }
    enum cairn_rc rc = CAIRN_OK;
    (void)pthread_mutex_lock(&api->views_lock);
    views = atomic_load(&api->views);
    if (views == NULL) {
        rc = cairn_views_open(api->options.data_folder, &views, err);
        if (rc == CAIRN_OK) {
            cairn_views_attach_sql(views, api->options.sql);
            api->own_views = views;
            atomic_store(&api->views, views);
        }
    }
    (void)pthread_mutex_unlock(&api->views_lock);
    if (rc == CAIRN_ENOENT) {
        return CAIRN_FAIL(err, CAIRN_EBEHIND, "no projector has made the view store yet");
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    *ret_views = views;
    return CAIRN_OK;
}
