/* Errors: what went wrong, what the caller may do about it, and what a client is told.
 *
 * A function that can fail returns `enum cairn_rc` and, on failure, fills a `struct cairn_err` that
 * lives on the caller's stack. Context goes in front as the error travels up: "view balances: open:
 * No space left". */
#ifndef CAIRN_PLATFORM_ERR_H
#define CAIRN_PLATFORM_ERR_H

#include "platform/attr.h"

/* What a caller can do: nothing (NEVER), the same call after a pause (LATER), or the whole thing
 * again from fresh data (FRESH). */
enum cairn_retry { CAIRN_RETRY_NEVER, CAIRN_RETRY_LATER, CAIRN_RETRY_FRESH };

/* code, slug (the last part of the problem's type), retry class, HTTP status, title */
#define CAIRN_ERR_TABLE(X)                                                                         \
    X(CAIRN_OK, "ok", NEVER, 200, "No error")                                                      \
    X(CAIRN_EINVAL, "bad-request", NEVER, 400, "The request is not valid")                         \
    X(CAIRN_EMALFORMED, "malformed", NEVER, 400, "The body is not well-formed")                    \
    X(CAIRN_EQUERY, "bad-query", NEVER, 400, "The query is not valid")                             \
    X(CAIRN_EUNAUTHORIZED, "unauthorized", NEVER, 401, "Credentials are missing or wrong")         \
    X(CAIRN_EFORBIDDEN, "forbidden", NEVER, 403, "Not allowed")                                    \
    X(CAIRN_ENOENT, "not-found", NEVER, 404, "Not found")                                          \
    X(CAIRN_ENOAGGREGATE, "unknown-aggregate", NEVER, 404, "No such aggregate")                    \
    X(CAIRN_ENOCOMMAND, "unknown-command", NEVER, 404, "No such command")                          \
    X(CAIRN_EMETHOD, "method-not-allowed", NEVER, 405, "Method not allowed")                       \
    X(CAIRN_EACCEPT, "not-acceptable", NEVER, 406, "No acceptable form of the answer")             \
    X(CAIRN_EHALFSENT, "request-timeout", NEVER, 408, "The request did not arrive whole in time")  \
    X(CAIRN_EREJECTED, "rejected", NEVER, 409, "The command was rejected")                         \
    X(CAIRN_EEXIST, "exists", NEVER, 409, "It exists already")                                     \
    X(CAIRN_ECONFLICT, "version-conflict", FRESH, 412, "The stream is at another version")         \
    X(CAIRN_ETOOBIG, "too-large", NEVER, 413, "Too large")                                         \
    X(CAIRN_EURITOOLONG, "uri-too-long", NEVER, 414, "The URI is too long")                        \
    X(CAIRN_EMEDIATYPE, "unsupported-media-type", NEVER, 415, "Unsupported media type")            \
    X(CAIRN_ESCHEMA, "invalid", NEVER, 422, "The data does not match its schema")                  \
    X(CAIRN_EKEYREUSED, "key-reused", NEVER, 422,                                                  \
      "The Idempotency-Key was used for another command")                                          \
    X(CAIRN_ERATE, "rate-limited", LATER, 429, "Too many requests")                                \
    X(CAIRN_EHEADERS, "headers-too-large", NEVER, 431, "Too many or too large header fields")      \
    X(CAIRN_EINTERNAL, "internal", NEVER, 500, "Internal error")                                   \
    X(CAIRN_ESCRIPT, "decider-failed", NEVER, 500, "The domain's script failed")                   \
    X(CAIRN_ECORRUPT, "corrupt", NEVER, 500, "Stored data is damaged")                             \
    X(CAIRN_EUNSUPPORTED, "unsupported", NEVER, 501, "Not supported")                              \
    X(CAIRN_EBUSY, "overloaded", LATER, 503, "Overloaded")                                         \
    X(CAIRN_EBEHIND, "view-behind", LATER, 503, "The view has not reached that position yet")      \
    X(CAIRN_ENOOWNER, "no-owner", LATER, 503, "No node owns the partition")                        \
    X(CAIRN_ESTOPPED, "stopping", LATER, 503, "The process is stopping or has stopped accepting")  \
    X(CAIRN_EUNREACHABLE, "unreachable", LATER, 503,                                               \
      "The other side cannot be reached; nothing was sent")                                        \
    X(CAIRN_EUNKNOWN, "outcome-unknown", LATER, 503,                                               \
      "The outcome is not known; retry with the same key")                                         \
    X(CAIRN_ETIMEDOUT, "timed-out", LATER, 503, "Timed out")                                       \
    X(CAIRN_ELOCKED, "locked", LATER, 503, "Another process holds it")                             \
    X(CAIRN_EFENCED, "fenced", NEVER, 503, "Another node took over")                               \
    X(CAIRN_EIO, "io", LATER, 503, "Input/output error")                                           \
    X(CAIRN_EFULL, "disk-full", LATER, 503, "The disk is full")                                    \
    X(CAIRN_ENOMEM, "out-of-memory", LATER, 503, "Out of memory")

enum cairn_rc {
#define X(code, slug, retry, status, title) code,
    CAIRN_ERR_TABLE(X)
#undef X
};

#define CAIRN_ERR_TEXT_MAX 384

/* An error on the caller's stack. Zeroed before use or not: every failing call fills all of it. */
struct cairn_err {
    enum cairn_rc rc;
    int os;           /* errno at the place of failure, 0 where the system was not asked */
    int line;         /* of the source that noticed it */
    const char *file; /* static string */
    char text[CAIRN_ERR_TEXT_MAX]; /* NUL-ended, cut if longer, for people */
};

struct cairn_err_info {
    const char *name; /* "CAIRN_EINVAL" */
    const char *slug; /* "bad-request": problem type is /problems/<slug> */
    const char *title;
    enum cairn_retry retry;
    int status; /* HTTP */
};

/* What the table says of rc. Never NULL; the pointer is static. thread: any. */
const struct cairn_err_info *cairn_err_info(enum cairn_rc rc);

/* How many codes the table has, CAIRN_OK included: valid codes are 0 <= rc < count. */
int cairn_err_count(void);

/* Fill err (may be NULL) and return rc, which must not be CAIRN_OK. Use the macros: they add the
 * place. */
enum cairn_rc cairn_err_set_at(struct cairn_err *err, enum cairn_rc rc, int os, const char *file,
                               int line, const char *format, ...) CAIRN_PRINTF(6, 7);

/* Put context in front of what err already says: "context: cause". Returns rc, and sets err->rc to
 * it. */
enum cairn_rc cairn_err_wrap(struct cairn_err *err, enum cairn_rc rc, const char *format, ...)
    CAIRN_PRINTF(3, 4);

/* The code for an errno: ENOSPC and EDQUOT are EFULL; ENOENT, EEXIST and ENOMEM are their
 * namesakes; all else is EIO. */
enum cairn_rc cairn_err_from_os(int os);

/* What cairn_err_set_at asserts, where the compiler sees it: a failure is never CAIRN_OK. Without
 * it the outputs of a call that failed look used. */
static inline enum cairn_rc cairn_err_not_ok(enum cairn_rc rc)
{
    if (rc == CAIRN_OK) {
        CAIRN_UNREACHABLE();
    }
    return rc;
}

#define CAIRN_FAIL(err, rc, ...)                                                                   \
    cairn_err_not_ok(cairn_err_set_at((err), (rc), 0, __FILE__, __LINE__, __VA_ARGS__))
/* As CAIRN_FAIL with errno's text at the end and the code of cairn_err_from_os. Evaluates errno
 * once. */
#define CAIRN_FAIL_OS(err, os_errno, ...)                                                          \
    cairn_err_not_ok(cairn_err_set_at((err), cairn_err_from_os(os_errno), (os_errno), __FILE__,    \
                                      __LINE__, __VA_ARGS__))

#endif
