/* What the parts of the HTTP chassis share; nobody else includes it. */
#ifndef CAIRN_PLATFORM_HTTP_INT_H
#define CAIRN_PLATFORM_HTTP_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "platform/arena.h"
#include "platform/http.h"

struct mg_connection;
struct mg_context;
struct mg_request_info;

#define CAIRN_HTTP_CONNECTIONS_DEFAULT 1100
/* Threads beyond connections_max: they tell the connections over the limit so. */
#define CAIRN_HTTP_REFUSERS 32
/* civetweb's buffer for a request's head; a longer head is refused. */
#define CAIRN_HTTP_HEAD_BYTES_MAX 16384
/* An answer's own header lines. */
#define CAIRN_HTTP_FIELDS_BYTES_MAX (16u * 1024u)
/* A body up to this size is copied behind its head, so that the answer is one write. */
#define CAIRN_HTTP_JOIN_BYTES_MAX (64u * 1024u)
/* What a thread's buffer may keep for the next request: 1,100 threads keep it each. */
#define CAIRN_HTTP_KEEP_BYTES_MAX (32u * 1024u)
/* Memory of one request's arena. */
#define CAIRN_HTTP_ARENA_BYTES_MAX (256u * 1024u * 1024u)
/* A body is read in pieces of this size, each within the header timeout. */
#define CAIRN_HTTP_PIECE_BYTES      (64u * 1024u)
#define CAIRN_HTTP_REQUEST_ID_MAX   128
#define CAIRN_HTTP_DATE_SIZE        29 /* "Sat, 21 Nov 2026 10:06:57 GMT" */
#define CAIRN_HTTP_ROUTES_MAX       256
#define CAIRN_HTTP_METHODS_MAX      16
#define CAIRN_HTTP_STATUS_SLOTS_MAX 40

/* ---- targets: pure functions, fuzzed ---- */

/* Decode %XX (and '+' as space where plus is set). Without escapes the result borrows raw,
 * otherwise it lives in arena. errors: EINVAL (bad escape, NUL, not UTF-8), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_http_decode(struct cairn_slice raw, bool plus,
                                                 struct cairn_arena *arena,
                                                 struct cairn_slice *ret_text,
                                                 struct cairn_err *err);

struct cairn_http_path {
    struct cairn_slice segments[CAIRN_HTTP_SEGMENTS_MAX]; /* decoded, "/" inside is data */
    size_t count;
};

/* Split "/a/b%2Fc" into "a", "b/c". errors: EINVAL (no leading '/', '#', bad escapes, NUL, not
 * UTF-8), ENOENT (more than CAIRN_HTTP_SEGMENTS_MAX segments: no route is that deep), EURITOOLONG
 * (a segment past CAIRN_HTTP_SEGMENT_BYTES_MAX), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_http_path_split(struct cairn_slice raw,
                                                     struct cairn_arena *arena,
                                                     struct cairn_http_path *ret_path,
                                                     struct cairn_err *err);

/* Split and decode "a=1&b=2"; empty pieces are skipped. errors: EQUERY (too many, bad escapes, NUL,
 * not UTF-8), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_http_query_split(struct cairn_slice raw,
                                                      struct cairn_arena *arena,
                                                      const struct cairn_http_param **ret_params,
                                                      size_t *ret_count, struct cairn_err *err);

/* ---- routes ---- */

struct cairn_http_step {
    struct cairn_slice literal; /* data NULL: a capture */
};

struct cairn_http_entry {
    const struct cairn_http_route *route;
    struct cairn_slice method;
    struct cairn_http_step steps[CAIRN_HTTP_SEGMENTS_MAX];
    size_t step_count;
    size_t index; /* in the caller's table, for the meter */
};

/* Routes compiled and sorted: a literal stands before a capture, so the first match is the best. */
struct cairn_http_router {
    struct cairn_http_entry *entries; /* owned */
    size_t count;
};

/* errors: EINVAL (a pattern that is none), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_http_router_init(struct cairn_http_router *router,
                                                      const struct cairn_http_route *routes,
                                                      size_t count, struct cairn_err *err);
void cairn_http_router_fini(struct cairn_http_router *router);
/* The entry for path and method (HEAD takes GET's), or NULL; then *ret_allow lists the methods that
 * the path knows ("GET, HEAD"), empty when the path is unknown. */
const struct cairn_http_entry *cairn_http_router_find(const struct cairn_http_router *router,
                                                      const struct cairn_http_path *path,
                                                      struct cairn_slice method,
                                                      struct cairn_buf *allow);

/* ---- metrics ---- */

struct cairn_http_meter {
    struct cairn_metrics *metrics; /* may be NULL */
    const struct cairn_http_route *routes;
    size_t route_count;
    _Atomic(struct cairn_metric *) *counts; /* (route_count + 1) * status slots; made when needed */
    struct cairn_metric **seconds;          /* route_count + 1; the last is "none" */
    struct cairn_metric *connections;
};

CAIRN_MUST_CHECK enum cairn_rc cairn_http_meter_init(struct cairn_http_meter *meter,
                                                     const struct cairn_http_options *options,
                                                     struct cairn_err *err);
void cairn_http_meter_fini(struct cairn_http_meter *meter);
/* One answered request; index route_count: no route was found. thread: any. */
void cairn_http_meter_count(struct cairn_http_meter *meter, size_t index, int status,
                            int64_t elapsed_ns);

/* The reason phrase, "Unknown" for a status that the table lacks. */
const char *cairn_http_reason(int status);
/* The slot of a status in the table, the last one for an unknown status. */
size_t cairn_http_status_slot(int status);
size_t cairn_http_status_slots(void);

/* ---- the server ---- */

struct cairn_http {
    struct cairn_http_options options; /* defaults filled in */
    struct cairn_http_router router;
    struct cairn_http_meter meter;
    struct mg_context *context;
    char listen[64];  /* as civetweb wants it: numeric host and port */
    uint32_t address; /* of listen, network order; 0: any */
    int port;
    atomic_bool stopping;
    atomic_uint running; /* requests between their head and the end of their answer */
    pthread_mutex_t lock;
    pthread_cond_t idle;  /* signalled when running falls to 0 while stopping */
    unsigned connections; /* open now; under lock */
    char trouble[128];    /* what civetweb first complained about while it started */
    bool locks_made;
};

/* What a worker thread keeps from request to request. */
struct cairn_http_worker {
    struct cairn_arena arena;
    struct cairn_buf wire;   /* head, and body when it is small */
    struct cairn_buf fields; /* the answer's own header lines */
    struct cairn_buf body_in;
    struct cairn_buf body_out;
    struct cairn_uuid_source ids;
    int64_t date_s; /* the second that date shows */
    char date[CAIRN_HTTP_DATE_SIZE + 1];
    char request_id[CAIRN_UUID_TEXT_SIZE];
};

struct cairn_http_worker *cairn_http_worker_new(void);
void cairn_http_worker_free(struct cairn_http_worker *worker);
/* Give back what a large request took, and forget the rest. */
void cairn_http_worker_reset(struct cairn_http_worker *worker);

/* One request on its way. */
struct cairn_http_exchange {
    struct cairn_http *http;
    struct cairn_http_worker *worker;
    struct mg_connection *connection;
    const struct mg_request_info *info;
    const struct cairn_http_entry *entry; /* NULL: no route */
    struct cairn_http_request request;
    struct cairn_http_response response;
    struct cairn_slice fault; /* why the answer is a 5xx, for the log; in the arena */
    int64_t now_us;
    uint64_t content_length;
    bool has_length;
    bool chunked;
    bool expects_continue;
    bool body_pending; /* bytes of the body are still on the wire */
    bool head_only;
    bool http_1_0;
    bool keep; /* the connection stays open behind the answer */
    bool gone; /* the peer does not take bytes any more */
};

struct cairn_http_exchange *cairn_http_exchange_of(const struct cairn_http_request *request);

/* Read the head that civetweb parsed: framing, Host, ids. Fills request's method, ids and the
 * exchange's framing. errors: EINVAL, EHEADERS; the ids are filled in any case. */
CAIRN_MUST_CHECK enum cairn_rc cairn_http_head_read(struct cairn_http_exchange *exchange,
                                                    struct cairn_err *err);
/* Is the head laid out as RFC 9112 wants it: CRLF line ends, no folding, no space before a colon?
 */
CAIRN_MUST_CHECK enum cairn_rc cairn_http_layout_check(const struct mg_request_info *info,
                                                       struct cairn_err *err);
/* Read the body, at most body_max bytes. errors: ETOOBIG, EHALFSENT, EMALFORMED, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_http_body_read(struct cairn_http_exchange *exchange,
                                                    size_t body_max, struct cairn_err *err);

/* Fill in X-Request-Id and traceparent of the request. */
void cairn_http_trace_read(struct cairn_http_exchange *exchange);
bool cairn_http_request_id_is_sane(struct cairn_slice id);
bool cairn_http_traceparent_is_valid(struct cairn_slice traceparent);

/* Head into the worker's wire buffer. length -1: chunked. false: memory. */
CAIRN_MUST_CHECK bool cairn_http_head_write(struct cairn_http_exchange *exchange, int64_t length);
/* Send the answer (if no stream has). */
void cairn_http_send(struct cairn_http_exchange *exchange);
/* All bytes or false; then the exchange's peer is gone. */
bool cairn_http_write(struct cairn_http_exchange *exchange, struct cairn_slice bytes);
/* End a stream's body. */
void cairn_http_stream_end(struct cairn_http_exchange *exchange);

/* civetweb's callbacks. */
int cairn_http_serve(struct mg_connection *connection);
int cairn_http_complain(struct mg_connection *connection, int status, const char *text);

/* ---- connections ---- */

/* Count a new connection; false: it is over the limit. */
bool cairn_http_connection_begin(struct cairn_http *http);
void cairn_http_connection_end(struct cairn_http *http);
/* Make accepting, and reads (and writes, where both is set) on every open connection of http, end
 * now. */
void cairn_http_connections_shut(const struct cairn_http *http, bool both);

/* Parse "HOST:PORT" into http->listen and check that it can be bound. EINVAL, EIO. */
CAIRN_MUST_CHECK enum cairn_rc cairn_http_listen_check(struct cairn_http *http,
                                                       struct cairn_err *err);

#endif
