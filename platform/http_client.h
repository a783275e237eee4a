/* HTTP from the other end: one request, one answer, and the truth about what was sent.
 *
 * A client keeps one connection alive and uses it again while it is fresh. Whoever posts a command
 * must know whether it may be posted again, so failures fall into two classes, told apart by when
 * they came and not by their text:
 *
 *   nothing was sent       CAIRN_EUNREACHABLE, CAIRN_EINVAL, CAIRN_ENOMEM
 *   it may be carried out  CAIRN_EUNKNOWN, CAIRN_ETOOBIG
 *
 * What may change something (all but GET and HEAD) is written at most once: where a kept connection
 * turns out to be dead after the first byte, the call ends with CAIRN_EUNKNOWN instead of going
 * again behind the caller's back.
 *
 * http and https, HTTP/1.1, IPv4 and IPv6; certificates are checked against the system's. No
 * redirects, no cookies, no compression, and no proxy: http_proxy and its kin are not read. Paths
 * go out as they are given ("/a/../b" stays). */
#ifndef CAIRN_PLATFORM_HTTP_CLIENT_H
#define CAIRN_PLATFORM_HTTP_CLIENT_H

#include "platform/arena.h"
#include "platform/clock.h"

#define CAIRN_HTTP_CLIENT_URL_BYTES_MAX  8192
#define CAIRN_HTTP_CLIENT_METHOD_MAX     16          /* bytes */
#define CAIRN_HTTP_CLIENT_FIELDS_MAX     128         /* of a request, and of an answer */
#define CAIRN_HTTP_CLIENT_HEAD_BYTES_MAX (64 * 1024) /* of an answer's head, 1xx heads included */
/* A connection idle for longer is not used again. Servers close idle ones after a while (ours after
 * 60 s), and a request that crosses such a close has an unknown outcome. */
#define CAIRN_HTTP_CLIENT_IDLE_S_MAX 30

/* A connection and its buffers. thread: owner. */
struct cairn_http_client;

struct cairn_http_client_options {
    unsigned connect_timeout_ms; /* name, connect, TLS; 0: 5000 */
    unsigned timeout_ms;         /* of a whole call; 0: none */
    size_t response_max_bytes;   /* of an answer's body; 0: 64 MiB */
};

/* A header field. */
struct cairn_http_field {
    struct cairn_slice name;
    struct cairn_slice value;
};

/* What to ask; all borrowed for the call. */
struct cairn_http_call {
    struct cairn_slice method; /* an HTTP token: "GET", "POST" */
    struct cairn_slice url;    /* absolute; no space or control bytes */
    /* Names are tokens; values have no CR, LF or NUL. Host, Content-Length, Transfer-Encoding,
     * Connection and Expect are the client's own and refused here. */
    const struct cairn_http_field *fields;
    size_t field_count;      /* 0..CAIRN_HTTP_CLIENT_FIELDS_MAX */
    struct cairn_slice body; /* empty for none; GET and HEAD take none */
};

/* What was answered; all of it lies in the call's arena. */
struct cairn_http_answer {
    int status; /* 200..599, redirects and errors too: an answer is a success of the call */
    const struct cairn_http_field *fields; /* in order; values without space at either end */
    size_t field_count;
    struct cairn_slice body; /* NUL behind it, not counted; 0..response_max_bytes */
};

/* Opens nothing yet. errors: ENOMEM, EUNSUPPORTED (a libcurl that cannot be started from several
 * threads). thread: any. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_http_client_new(const struct cairn_http_client_options *options,
                      struct cairn_http_client **ret_client, struct cairn_err *err);

/* Ask and wait for the whole answer; connects where there is no fresh connection to the URL's host.
 *
 * arena:  takes the request's texts and the answer, so its max must hold the latter beside what the
 *         caller put there.
 * errors: nothing was sent: CAIRN_EUNREACHABLE (name, connect, TLS, or their timeout),
 *         CAIRN_EINVAL (method, URL or fields), CAIRN_ENOMEM;
 *         sent, no answer to go by: CAIRN_EUNKNOWN (timeout, connection lost, no HTTP, no memory
 *         for the answer), CAIRN_ETOOBIG (the answer passes a limit).
 * The client stays usable after each of them; the next call connects afresh.
 * thread: owner; blocks for timeout_ms at most. */
CAIRN_MUST_CHECK enum cairn_rc cairn_http_client_request(struct cairn_http_client *client,
                                                         const struct cairn_http_call *call,
                                                         struct cairn_arena *arena,
                                                         struct cairn_http_answer *ret_answer,
                                                         struct cairn_err *err);

/* Was nothing sent, going by the error of a request? The call may then be made again as it is. */
bool cairn_http_client_unsent(enum cairn_rc rc);

/* Closes the connection. Accepts NULL. */
void cairn_http_client_free(struct cairn_http_client *client);

/* The value of an answer's field, case-insensitive name; data NULL when absent. Several: the first.
 * Lives as long as the answer. */
struct cairn_slice cairn_http_answer_field(const struct cairn_http_answer *answer,
                                           const char *name);

/* Clients to lend, by target: scheme, host and port of a server. thread: any. */
struct cairn_http_pool;

#define CAIRN_HTTP_POOL_TARGETS_MAX      64
#define CAIRN_HTTP_POOL_TARGET_BYTES_MAX 256

struct cairn_http_pool_options {
    struct cairn_http_client_options client;
    unsigned idle_max;               /* clients kept for a target; 0: 8 */
    unsigned lent_max;               /* clients lent at a time for a target; 0: 512 */
    const struct cairn_clock *clock; /* NULL: the machine's */
};

/* errors: ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_http_pool_new(const struct cairn_http_pool_options *options,
                                                   struct cairn_http_pool **ret_pool,
                                                   struct cairn_err *err);

/* Borrow a client for a target ("http://127.0.0.1:8080", compared byte by byte); the one that was
 * given back last, whose connection is freshest, or a new one. Never waits. The caller is its owner
 * until cairn_http_pool_release. Where there are TARGETS_MAX, the one unused for longest makes
 * room. errors: EBUSY (lent_max are out, or every target has clients out), EINVAL (an empty or too
 * long target), and those of cairn_http_client_new. thread: any. */
CAIRN_MUST_CHECK enum cairn_rc cairn_http_pool_acquire(struct cairn_http_pool *pool,
                                                       struct cairn_slice target,
                                                       struct cairn_http_client **ret_client,
                                                       struct cairn_err *err);

/* Give a client back, whatever became of its calls. It is kept when there is room; those of any
 * target that were idle too long are closed on the way. client may be NULL. thread: any. */
void cairn_http_pool_release(struct cairn_http_pool *pool, struct cairn_http_client *client);

/* Clients kept for a target at this moment: for tests and metrics. thread: any. */
size_t cairn_http_pool_idle(struct cairn_http_pool *pool, struct cairn_slice target);

/* Closes all; none may be lent (asserted). Accepts NULL. */
void cairn_http_pool_free(struct cairn_http_pool *pool);

#endif
