/* The form of an answer, its headers, and problems. The body is written by the caller, straight
 * into response->body. thread: any, one request each. */
#ifndef CAIRN_QUERY_REPLY_H
#define CAIRN_QUERY_REPLY_H

#include "eventstore/position.h"
#include "query/api_int.h"

enum cairn_form { CAIRN_FORM_JSON, CAIRN_FORM_MSGPACK };

/* How fresh an answer is: what it holds, and how much of the log it does not hold yet. */
struct cairn_freshness {
    const struct cairn_position *position;
    uint64_t lag; /* events */
    bool stopped; /* the view stopped at an event and will not get further by itself */
};

/* JSON or msgpack, by Accept. false: the response is 406 already. */
CAIRN_MUST_CHECK bool cairn_reply_form(struct cairn_http_request *request,
                                       struct cairn_http_response *response,
                                       enum cairn_form *ret_form);
/* Append value to the body. ETOOBIG, ENOMEM, EINVAL (a value that JSON cannot say). */
CAIRN_MUST_CHECK enum cairn_rc cairn_reply_write(struct cairn_http_response *response,
                                                 enum cairn_form form,
                                                 const struct cairn_value *value,
                                                 struct cairn_err *err);
/* The body is complete: add type, position, lag, ETag and caching headers; 304 without a body where
 * If-None-Match holds the ETag. */
void cairn_reply_send(struct cairn_http_request *request, struct cairn_http_response *response,
                      enum cairn_form form, const struct cairn_freshness *freshness);
/* The answer is err's problem; what was written of the body is dropped. */
void cairn_reply_fail(struct cairn_http_request *request, struct cairn_http_response *response,
                      const struct cairn_err *err);
/* The same with the position that the answer would have been from, as a header and a member. */
void cairn_reply_fail_at(struct cairn_http_request *request, struct cairn_http_response *response,
                         const struct cairn_position *held, const struct cairn_err *err);

/* Write the body of an answer that comes from the log itself. held: how far the log is known; may
 * be raised to what was read. */
typedef enum cairn_rc (*cairn_reply_fn)(struct cairn_query_api *api,
                                        struct cairn_http_request *request,
                                        struct cairn_http_response *response, enum cairn_form form,
                                        struct cairn_position *held, struct cairn_err *err);
/* The whole way of such an answer: form, wait for the request's position, body, send or fail. */
void cairn_reply_from_log(struct cairn_query_api *api, struct cairn_http_request *request,
                          struct cairn_http_response *response, cairn_reply_fn answer);

/* Does an If-None-Match field (a list of entity tags, or "*") hold etag, quotes included? Weak
 * comparison, as RFC 9110 wants for it. */
bool cairn_reply_matches(struct cairn_slice field, struct cairn_slice etag);

#endif
