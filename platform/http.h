/* The HTTP chassis on civetweb: routes from a table, strict requests, one write an answer.
 *
 * A thread per connection, so that an idle keep-alive connection never starves a new one: the pool
 * is sized for connections_max and more are answered 503 and closed. Each handler gets a whole
 * request (body read, path split and decoded, parameters decoded) and fills a response; streams
 * (SSE) write piece by piece. Every answer has X-Request-Id, and traceparent goes through. Every
 * error, of the library too, is application/problem+json. Refused before a handler sees it (RFC
 * 9112): Content-Length with Transfer-Encoding, several or odd Content-Lengths, no or two Hosts,
 * more than CAIRN_HTTP_HEADERS_MAX fields, bad escapes, NUL or invalid UTF-8 in the path, half
 * bodies. */
#ifndef CAIRN_PLATFORM_HTTP_H
#define CAIRN_PLATFORM_HTTP_H

#include "platform/log.h"
#include "platform/metrics.h"
#include "platform/uuid.h"
#include "platform/value.h"

#define CAIRN_HTTP_SEGMENTS_MAX      8
#define CAIRN_HTTP_PARAMS_MAX        64
#define CAIRN_HTTP_HEADERS_MAX       63   /* civetweb drops the 65th silently, so 64 is refused */
#define CAIRN_HTTP_SEGMENT_BYTES_MAX 1200 /* a key of 400 bytes, percent-encoded */

struct cairn_http_param {
    struct cairn_slice name;  /* decoded, UTF-8 */
    struct cairn_slice value; /* decoded, UTF-8 */
};

/* A request, borrowed for the handler's call. */
struct cairn_http_request {
    struct cairn_slice method;                            /* "GET" */
    struct cairn_slice path;                              /* raw, without the query */
    struct cairn_slice captures[CAIRN_HTTP_SEGMENTS_MAX]; /* what stands for {name}s of the route,
                                                             decoded, in order */
    size_t capture_count;
    const struct cairn_http_param *params; /* of the query string, in order */
    size_t param_count;
    struct cairn_slice body;        /* whole; empty when there is none */
    struct cairn_slice request_id;  /* the client's X-Request-Id when it is sane, else a UUIDv7 */
    struct cairn_slice traceparent; /* valid W3C traceparent, or empty */
    struct cairn_arena *arena;      /* dies with the request */
    int64_t begin_ns;               /* monotonic */
    void *connection;               /* private; NULL in a request that a test made by hand */
};

/* A response under construction. status 0 is 200. */
struct cairn_http_response {
    int status;
    const char *content_type; /* static or in the arena; NULL with an empty body */
    struct cairn_buf headers; /* "Name: value\r\n" lines; use cairn_http_header_add */
    struct cairn_buf body;    /* owned; max is the server's response_max */
    bool close;               /* close the connection behind this answer */
    bool streamed;            /* private: the answer has gone out by a stream */
    bool failed;              /* private: a part of it did not fit; a 500 goes out instead */
};

typedef void (*cairn_http_handler_fn)(void *self, struct cairn_http_request *request,
                                      struct cairn_http_response *response);

/* A route: method and pattern ("/commands/{aggregate}/{id}/{Command}", a pattern matches segment by
 * segment; literal segments win over captures). HEAD is answered by the GET route without the body.
 * A known path with another method is 405 with Allow. */
struct cairn_http_route {
    const char *method;
    const char *pattern;
    cairn_http_handler_fn handler;
    void *self;
    size_t body_max; /* bytes; 0: the route takes no body */
};

/* The value of a header field, case-insensitive name; data NULL when absent. Several fields: the
 * first. */
struct cairn_slice cairn_http_header(const struct cairn_http_request *request, const char *name);
/* How many fields have that name. */
size_t cairn_http_header_count(const struct cairn_http_request *request, const char *name);
/* The value of a query parameter; data NULL when absent. */
struct cairn_slice cairn_http_param(const struct cairn_http_request *request, const char *name);

/* value must not hold CR or LF (asserted). A failure (memory) turns the answer into a 500 later. */
void cairn_http_header_add(struct cairn_http_response *response, const char *name,
                           struct cairn_slice value);

/* Make response the problem for err: status, type, title, detail from the table and err->text.
 * extra may be NULL or a map whose members are added. Retry-After: 1 is added where the retry class
 * is LATER. */
void cairn_http_problem(struct cairn_http_response *response, const struct cairn_err *err,
                        const struct cairn_value *extra, struct cairn_http_request *request);
/* The same with the slug and status given, for problems that have no code of their own. */
void cairn_http_problem_as(struct cairn_http_response *response, int status, const char *slug,
                           const char *title, const char *detail, const struct cairn_value *extra,
                           struct cairn_http_request *request);

/* Does Accept prefer the first of two media types? 0: first, 1: second, -1: neither is acceptable.
 * Without Accept: 0. */
int cairn_http_accepts(const struct cairn_http_request *request, const char *first,
                       const char *second);
/* Is the Content-Type's media type this one (parameters ignored, case-insensitive)? */
bool cairn_http_content_is(const struct cairn_http_request *request, const char *media_type);

/* Streams: send the head now and the body in pieces, each flushed. After begin, the response is
 * only headers that were set before. false: the peer is gone or the server stops; return from the
 * handler. */
bool cairn_http_stream_begin(struct cairn_http_request *request,
                             struct cairn_http_response *response);
bool cairn_http_stream_write(struct cairn_http_request *request, struct cairn_slice bytes);
/* True once the server is stopping: streams and waits end soon. */
bool cairn_http_stopping(const struct cairn_http_request *request);

struct cairn_http; /* a server */

struct cairn_http_options {
    const char *listen; /* "127.0.0.1:8080", "localhost:0"; IPv4 alone: see EUNSUPPORTED */
    const struct cairn_http_route *routes;
    size_t route_count;
    unsigned connections_max; /* threads; 0: 1100 */
    int header_timeout_ms;    /* 0: 10000 */
    int idle_timeout_ms;      /* keep-alive; 0: 60000 */
    int drain_timeout_ms;     /* of stop; 0: 10000 */
    size_t response_max;      /* bytes; 0: 64 MiB */
    struct cairn_log *log;    /* may be NULL */
    struct cairn_metrics
        *metrics; /* may be NULL: requests by route, method, status class; latency; connections */
    const struct cairn_clock *clock;
    const struct cairn_random *random;
};

/* Start serving. errors: EINVAL (listen, a route's pattern), EIO (address in use: says which),
 * EUNSUPPORTED (an IPv6 address: Debian's civetweb has none), ENOMEM. thread: one start or stop at
 * a time in a process. Routes are borrowed until the stop. */
CAIRN_MUST_CHECK enum cairn_rc cairn_http_start(const struct cairn_http_options *options,
                                                struct cairn_http **ret_http,
                                                struct cairn_err *err);
/* The port in use (after port 0). */
int cairn_http_port(const struct cairn_http *http);
/* Stop: no new connections or requests, streams end, what was accepted is finished (within
 * drain_timeout_ms; then its reads and writes fail). A handler that waits without looking at
 * cairn_http_stopping holds it up. Frees. Accepts NULL. */
void cairn_http_stop(struct cairn_http *http);

#endif
