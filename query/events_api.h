/* What a page of events and a live feed share: the query and the way an event is put. */
#ifndef CAIRN_QUERY_EVENTS_API_H
#define CAIRN_QUERY_EVENTS_API_H

#include "query/api_int.h"
#include "query/params.h"

#define CAIRN_EVENTS_LIMIT_DEFAULT 100
#define CAIRN_EVENTS_LIMIT_MAX     1000
#define CAIRN_EVENTS_SCAN_MAX      100000                 /* events a page looks at */
#define CAIRN_EVENTS_BYTES_MAX     (4u * 1024u * 1024u)   /* of a page, about */
#define CAIRN_EVENTS_ARENA_MAX     (256u * 1024u * 1024u) /* for one event's tree */

struct cairn_events_query {
    struct cairn_position after; /* start behind it */
    bool at_end;                 /* after=end: start behind what is there now */
    uint64_t limit;              /* 0: not given */
    struct cairn_params_names aggregates;
    struct cairn_params_names types;
};

/* The parameters of /events. last_id: the value of Last-Event-ID, which wins over `after`; data
 * NULL for none. errors: EQUERY. */
CAIRN_MUST_CHECK enum cairn_rc cairn_events_query_read(const struct cairn_query_api *api,
                                                       const struct cairn_http_request *request,
                                                       struct cairn_slice last_id,
                                                       struct cairn_events_query *ret_query,
                                                       struct cairn_err *err);
/* Does the query ask for this event? */
bool cairn_events_query_wants(const struct cairn_events_query *query,
                              const struct cairn_event *event);

/* The live feed: the same query, answered as text/event-stream until the peer or the server ends
 * it. */
void cairn_feed_run(struct cairn_query_api *api, struct cairn_http_request *request,
                    struct cairn_http_response *response);

#endif
