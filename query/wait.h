/* Read your writes: what a request's Cairn-Position and Prefer ask for, and the waiting. */
#ifndef CAIRN_QUERY_WAIT_H
#define CAIRN_QUERY_WAIT_H

#include "query/api_int.h"

#define CAIRN_WAIT_DEFAULT_S 5
#define CAIRN_WAIT_MAX_S     60

struct cairn_wait {
    bool asked; /* the request carries a position */
    struct cairn_position position;
    int timeout_ms; /* 0..CAIRN_WAIT_MAX_S * 1000 */
};

/* Read the headers; an answer that honours a Prefer says so in Preference-Applied.
 * errors: EINVAL (no position, or one of another log). */
CAIRN_MUST_CHECK enum cairn_rc cairn_wait_read(struct cairn_query_api *api,
                                               const struct cairn_http_request *request,
                                               struct cairn_http_response *response,
                                               struct cairn_wait *ret_wait, struct cairn_err *err);
/* Wait until the view holds the position. ret_held: what it holds then, also with EBEHIND.
 * errors: EBEHIND (time is up, or it cannot get there), ENOENT (no such view), EIO. */
CAIRN_MUST_CHECK enum cairn_rc cairn_wait_view(struct cairn_query_api *api,
                                               struct cairn_views *views, struct cairn_slice view,
                                               const struct cairn_wait *wait,
                                               struct cairn_position *ret_held,
                                               struct cairn_err *err);
/* The same for the log itself. */
CAIRN_MUST_CHECK enum cairn_rc cairn_wait_log(struct cairn_query_api *api,
                                              const struct cairn_wait *wait,
                                              struct cairn_position *ret_held,
                                              struct cairn_err *err);
/* The seconds of `wait=N` in a Prefer field, at most CAIRN_WAIT_MAX_S; -1 where it has none that
 * makes sense. */
int cairn_wait_seconds(struct cairn_slice field);

#endif
