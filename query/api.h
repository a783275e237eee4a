/* The query API: views, streams, events, the live feed, and the console page. */
#ifndef CAIRN_QUERY_API_H
#define CAIRN_QUERY_API_H

#include "eventstore/store.h"
#include "platform/http.h"
#include "platform/pg.h"
#include "projector/view_read.h"
#include "schemas/domain.h"

struct cairn_query_api;

/* Folds a stream's events up to a version into its state: GET /streams/{stream}/state. The command
 * side implements it with its decider, and main connects the two, because query includes nothing of
 * command. ret_state in arena; ret_version the version it is the state of (the newest when version
 * is UINT64_MAX). errors: ENOENT (no such stream, or version above its head), ESCRIPT. thread: any.
 */
struct cairn_state_reader {
    enum cairn_rc (*read)(void *self, struct cairn_slice stream, uint64_t version,
                          struct cairn_arena *arena, struct cairn_value *ret_state,
                          uint64_t *ret_version, struct cairn_err *err);
    void *self;
};

struct cairn_query_api_options {
    const struct cairn_domain *domain;
    struct cairn_store *store;
    struct cairn_views
        *views; /* NULL: no projector has made the store yet; looked for again at each request */
    const char *data_folder;
    struct cairn_sql_reader *sql;   /* of views in PostgreSQL; NULL: they are not served */
    struct cairn_pg_pool *postgres; /* for named queries; NULL: they are not served */
    struct cairn_state_reader state;
    const struct cairn_clock *clock;
    unsigned feeds_max; /* live feeds at a time, each holds a thread; 0: 200; more are 503 */
    int heartbeat_ms;   /* SSE comment when nothing happens; 0: 15000 */
    struct cairn_metrics *metrics;
    struct cairn_log *log;
};

CAIRN_MUST_CHECK enum cairn_rc cairn_query_api_new(const struct cairn_query_api_options *options,
                                                   struct cairn_query_api **ret_api,
                                                   struct cairn_err *err);
/* Wakes waits and feeds, so that a stop is quick; call before cairn_http_stop. */
void cairn_query_api_wake(struct cairn_query_api *api);
void cairn_query_api_free(struct cairn_query_api *api);
const struct cairn_http_route *cairn_query_api_routes(struct cairn_query_api *api,
                                                      size_t *ret_count);

#endif
