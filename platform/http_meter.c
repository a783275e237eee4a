/* Metrics of the chassis: requests by route, method and status; seconds by route; connections. */
#include <assert.h>
#include <stdio.h>

#include "platform/http_int.h"
#include "platform/mem.h"

enum { LABELS_MAX = 256 };

/* The labels of the row behind the last route: requests that met none. */
static const struct cairn_http_route no_route = {.method = "any", .pattern = "none"};

static const struct cairn_http_route *route_at(const struct cairn_http_meter *meter, size_t index)
{
    assert(index <= meter->route_count);
    return index < meter->route_count ? &meter->routes[index] : &no_route;
}

static enum cairn_rc add_seconds(struct cairn_http_meter *meter, struct cairn_err *err)
{
    for (size_t i = 0; i <= meter->route_count; i++) {
        char labels[LABELS_MAX];
        const struct cairn_http_route *route = route_at(meter, i);
        (void)snprintf(labels, sizeof(labels), "route=\"%s\",method=\"%s\"", route->pattern,
                       route->method);
        meter->seconds[i] =
            cairn_metrics_add(meter->metrics, CAIRN_HISTOGRAM, "cairn_http_request_seconds", labels,
                              "Time from a request's head to the end of its answer.");
        if (meter->seconds[i] == NULL) {
            return CAIRN_FAIL(err, CAIRN_ENOMEM, "no room for the metrics of HTTP");
        }
    }
    meter->connections = cairn_metrics_add(meter->metrics, CAIRN_GAUGE, "cairn_http_connections",
                                           NULL, "Connections that are open.");
    if (meter->connections == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no room for the metrics of HTTP");
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_http_meter_init(struct cairn_http_meter *meter,
                                    const struct cairn_http_options *options, struct cairn_err *err)
{
    *meter = (struct cairn_http_meter){.metrics = options->metrics,
                                       .routes = options->routes,
                                       .route_count = options->route_count};
    if (meter->metrics == NULL) {
        return CAIRN_OK;
    }
    size_t rows = options->route_count + 1;
    meter->counts = cairn_mem_zalloc(rows * cairn_http_status_slots(), sizeof(*meter->counts));
    meter->seconds = cairn_mem_zalloc(rows, sizeof(*meter->seconds));
    if (meter->counts == NULL || meter->seconds == NULL) {
        cairn_http_meter_fini(meter);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for the metrics of HTTP");
    }
    enum cairn_rc rc = add_seconds(meter, err);
    if (rc != CAIRN_OK) {
        cairn_http_meter_fini(meter);
    }
    return rc;
}

void cairn_http_meter_fini(struct cairn_http_meter *meter)
{
    if (meter == NULL) {
        return;
    }
    cairn_mem_free(meter->counts);
    cairn_mem_free(meter->seconds);
    *meter = (struct cairn_http_meter){.metrics = NULL};
}

/* Made at the first answer with that status: most pairs never occur. Two threads may add at once;
 * the registry hands both the same metric. */
static struct cairn_metric *counter_of(struct cairn_http_meter *meter, size_t index, int status)
{
    _Atomic(struct cairn_metric *) *place =
        &meter->counts[index * cairn_http_status_slots() + cairn_http_status_slot(status)];
    struct cairn_metric *counter = atomic_load_explicit(place, memory_order_acquire);
    if (counter != NULL) {
        return counter;
    }
    char labels[LABELS_MAX];
    const struct cairn_http_route *route = route_at(meter, index);
    (void)snprintf(labels, sizeof(labels), "route=\"%s\",method=\"%s\",status=\"%d\"",
                   route->pattern, route->method, status);
    counter = cairn_metrics_add(meter->metrics, CAIRN_COUNTER, "cairn_http_requests_total", labels,
                                "Requests answered, by route, method and status.");
    atomic_store_explicit(place, counter, memory_order_release);
    return counter;
}

void cairn_http_meter_count(struct cairn_http_meter *meter, size_t index, int status,
                            int64_t elapsed_ns)
{
    assert(index <= meter->route_count);
    if (meter->metrics == NULL) {
        return;
    }
    cairn_metric_inc(counter_of(meter, index, status), 1);
    cairn_metric_observe_ns(meter->seconds[index], elapsed_ns);
}
