/* What the query side's own files share: the api object and its handlers. For this folder only. */
#ifndef CAIRN_QUERY_API_INT_H
#define CAIRN_QUERY_API_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "query/api.h"
#include "query/lift.h"

#define CAIRN_FEEDS_DEFAULT     200
#define CAIRN_HEARTBEAT_DEFAULT 15000 /* ms */

struct cairn_query_api {
    struct cairn_query_api_options options; /* copied; what it points to outlives the api */
    uint16_t partitions;                    /* of the log, 1..CAIRN_PARTITIONS_MAX */
    struct cairn_lift *lift;                /* owned */
    atomic_bool stopping;                   /* set once, by wake */
    atomic_uint feeds;                      /* live feeds now, <= options.feeds_max */

    pthread_mutex_t views_lock;          /* guards the opening of own_views */
    _Atomic(struct cairn_views *) views; /* NULL until there is a view store */
    struct cairn_views *own_views;       /* the same where this api opened it, else NULL; owned */

    struct cairn_metric *feeds_now;   /* NULL without metrics, as the two below */
    struct cairn_metric *feed_events; /* events sent to feeds */
    struct cairn_metric *waits;       /* requests that had to wait for a position */
};

/* The view store, opened at the first request that finds one. NULL while no projector has made it:
 * then err says so and the rc is EBEHIND; other failures as cairn_views_open. thread: any. */
CAIRN_MUST_CHECK enum cairn_rc cairn_query_views(struct cairn_query_api *api,
                                                 struct cairn_views **ret_views,
                                                 struct cairn_err *err);

/* The handlers, one a route; self is the api. */
void cairn_query_list_views(void *self, struct cairn_http_request *request,
                            struct cairn_http_response *response);
void cairn_query_list_rows(void *self, struct cairn_http_request *request,
                           struct cairn_http_response *response);
void cairn_query_get_row(void *self, struct cairn_http_request *request,
                         struct cairn_http_response *response);
void cairn_query_named(void *self, struct cairn_http_request *request,
                       struct cairn_http_response *response);
void cairn_query_read_stream(void *self, struct cairn_http_request *request,
                             struct cairn_http_response *response);
void cairn_query_read_state(void *self, struct cairn_http_request *request,
                            struct cairn_http_response *response);
void cairn_query_read_events(void *self, struct cairn_http_request *request,
                             struct cairn_http_response *response);
void cairn_query_console(void *self, struct cairn_http_request *request,
                         struct cairn_http_response *response);

#endif
