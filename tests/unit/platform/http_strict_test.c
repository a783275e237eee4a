/* What RFC 9112 tells a server to refuse, sent byte by byte. */
#include <stdio.h>

#include "tests/support/http_stage.h"

/* Where a peer stalls for this long it is given up; all of them together, so that it is waited for
 * once. Longer than a machine stands still that has other things to do. */
enum { STALL_MS = 3000 };

static struct stage stage;

static int begin_stage(void **state)
{
    (void)state;
    stage_begin(&stage, (struct cairn_http_options){.connections_max = 64});
    return 0;
}

static int end_stage(void **state)
{
    (void)state;
    stage_end(&stage);
    return 0;
}

struct refusal {
    const char *what;
    const char *request;
    int status;
};

#define HOST "Host: x\r\n"
#define POST "POST /body HTTP/1.1\r\n" HOST
#define TE   "Transfer-Encoding: chunked\r\n"

static const struct refusal refusals[] = {
    {"no Host", "GET /hello HTTP/1.1\r\nX: y\r\n\r\n", 400},
    {"no field at all", "GET /hello HTTP/1.1\r\n\r\n", 400},
    {"two Hosts", "GET /hello HTTP/1.1\r\n" HOST HOST "\r\n", 400},
    {"both framings", POST "Content-Length: 3\r\n" TE "\r\n3\r\nabc\r\n0\r\n\r\n", 400},
    {"two equal lengths", POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
    {"two lengths", POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400},
    {"a list of lengths", POST "Content-Length: 3, 3\r\n\r\nabc", 400},
    {"a length with a plus", POST "Content-Length: +3\r\n\r\nabc", 400},
    {"a negative length", POST "Content-Length: -3\r\n\r\nabc", 400},
    {"a length in words", POST "Content-Length: three\r\n\r\nabc", 400},
    {"a hexadecimal length", POST "Content-Length: 0x3\r\n\r\nabc", 400},
    {"an endless length", POST "Content-Length: 99999999999999999999\r\n\r\nabc", 400},
    {"a space before the colon", POST "Content-Length : 3\r\n\r\nabc", 400},
    {"bare LF in the middle", "GET /hello HTTP/1.1\r\n" HOST "A: b\nC: d\r\n\r\n", 400},
    {"bare LF behind the request line", "GET /hello HTTP/1.1\n" HOST "\r\n", 400},
    {"bare LF as the blank line", "GET /hello HTTP/1.1\r\n" HOST "\n", 400},
    {"bare LF all over", "GET /hello HTTP/1.1\nHost: x\n\n", 400},
    {"a folded field", "GET /hello HTTP/1.1\r\n" HOST "A: b\r\n c\r\nD: e\r\n\r\n", 400},
    {"a folded last field", "GET /hello HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n", 400},
    {"a field without a name", "GET /hello HTTP/1.1\r\n" HOST ": b\r\nC: d\r\n\r\n", 400},
    {"a last field without a name", "GET /hello HTTP/1.1\r\n" HOST ": b\r\n\r\n", 400},
    {"a field without a colon", "GET /hello HTTP/1.1\r\n" HOST "abc\r\n\r\n", 400},
    {"a name that is no token", "GET /hello HTTP/1.1\r\n" HOST "a(b: c\r\n\r\n", 400},
    {"a control character", "GET /hello HTTP/1.1\r\n" HOST "A: b\x01\r\n\r\n", 400},
    {"a bare CR", "GET /hello HTTP/1.1\r\nHost: x\rA: b\r\n\r\n", 400},
    {"two spaces", "GET  /hello HTTP/1.1\r\n" HOST "\r\n", 400},
    {"a fragment", "GET /hello#a HTTP/1.1\r\n" HOST "\r\n", 400},
    {"a bad escape", "GET /echo/%zz/b HTTP/1.1\r\n" HOST "\r\n", 400},
    {"an escaped zero byte", "GET /echo/a%00/b HTTP/1.1\r\n" HOST "\r\n", 400},
    {"a path that is not UTF-8", "GET /echo/%ff/b HTTP/1.1\r\n" HOST "\r\n", 400},
    {"raw bytes above ASCII", "GET /echo/\xC3\xA4/b HTTP/1.1\r\n" HOST "\r\n", 400},
    {"a method that is none", "BREW /hello HTTP/1.1\r\n" HOST "\r\n", 501},
    {"a version that is none", "GET /hello HTTP/2.0\r\n" HOST "\r\n", 501},
    {"no version", "GET /hello\r\n" HOST "\r\n", 400},
    {"a tunnel", "CONNECT x:80 HTTP/1.1\r\n" HOST "\r\n", 400},
    {"a coding that is not chunked", POST "Transfer-Encoding: gzip\r\n\r\nabc", 400},
    {"identity with a length", POST "Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc",
     400},
    {"two codings", POST TE "Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n", 400},
    {"chunks in HTTP/1.0", "POST /body HTTP/1.0\r\n" HOST TE "\r\n3\r\nabc\r\n0\r\n\r\n", 400},
    {"a chunk size that is none", POST TE "\r\nxyz\r\nabc\r\n0\r\n\r\n", 400},
    {"a negative chunk size", POST TE "\r\n-3\r\nabc\r\n0\r\n\r\n", 400},
    {"a chunk longer than its size", POST TE "\r\n3\r\nabcd\r\n0\r\n\r\n", 400},
    {"a chunk size beyond 64 bits", POST TE "\r\nffffffffffffffffff\r\nabc\r\n0\r\n\r\n", 400},
    {"a chunk line that ends with LF", POST TE "\r\n3\nabc\r\n0\r\n\r\n", 400},
    {"a body where none is taken", "GET /hello HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc",
     413},
};

/* What stops in the middle. */
static const struct refusal stalls[] = {
    {"a body cut short", POST "Content-Length: 10\r\n\r\nabc", 408},
    {"a body that never comes", POST "Content-Length: 10\r\n\r\n", 408},
    {"chunks that stop", POST TE "\r\n3\r\nabc\r\n", 400},
    {"half a head", "GET /hello HTTP/1.1\r\nHo", 400},
    {"a head that ends in bare LF", "GET /hello HTTP/1.1\r\nHost: x\n\r\n", 400},
};

/* The answer to it is a problem, and the connection's end. */
static void expect_refused(int fd, const struct refusal *refusal)
{
    struct peer_answer answer = peer_read(fd, false);
    if (answer.status != refusal->status) {
        fail_msg("%s: expected %d, got: %s", refusal->what, refusal->status, answer.text);
    }
    if (!peer_has(&answer, "Content-Type", "application/problem+json") ||
        !peer_has(&answer, "Connection", "close") || peer_field(&answer, "X-Request-Id") == NULL ||
        !peer_is_closed(fd)) {
        fail_msg("%s: not a closing problem: %s", refusal->what, answer.text);
    }
    peer_answer_fini(&answer);
    (void)close(fd);
}

static void what_the_rfc_refuses_is_refused_and_closed(void **state)
{
    (void)state;
    unsigned handled = atomic_load(&stage.handled);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        int fd = peer_connect(stage.port);
        peer_say(fd, refusals[i].request);
        expect_refused(fd, &refusals[i]);
    }
    assert_int_equal(atomic_load(&stage.handled), handled); /* no handler saw any of it */
}

static void what_stalls_is_refused_and_closed_in_time(void **state)
{
    (void)state;
    enum { STALLS = sizeof(stalls) / sizeof(stalls[0]) };
    struct stage own;
    int fds[STALLS];
    stage_begin(&own, (struct cairn_http_options){.connections_max = 2 * STALLS,
                                                  .header_timeout_ms = STALL_MS});
    for (size_t i = 0; i < STALLS; i++) {
        fds[i] = peer_connect(own.port);
        peer_say(fds[i], stalls[i].request);
    }
    for (size_t i = 0; i < STALLS; i++) {
        expect_refused(fds[i], &stalls[i]);
    }
    assert_int_equal(atomic_load(&own.handled), 0);
    stage_end(&own);
}

/* A request with count fields beside Host. */
static struct peer_answer ask_with_fields(int count)
{
    char request[4096] = "GET /hello HTTP/1.1\r\nHost: x\r\n";
    for (int i = 0; i < count; i++) {
        size_t size = strlen(request);
        (void)snprintf(request + size, sizeof(request) - size, "X-%d: y\r\n", i);
    }
    size_t size = strlen(request);
    (void)snprintf(request + size, sizeof(request) - size, "\r\n");
    return peer_ask(stage.port, request);
}

static void a_field_too_many_is_431(void **state)
{
    (void)state;
    static const struct {
        int count;
        int status;
    } cases[] = {{62, 200}, {63, 431}, {64, 431}, {100, 431}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer_answer answer = ask_with_fields(cases[i].count);
        assert_int_equal(answer.status, cases[i].status);
        peer_answer_fini(&answer);
    }
}

static void a_head_beyond_16_kib_is_refused(void **state)
{
    (void)state;
    static char request[20000];
    memset(request, 'a', sizeof(request) - 1);
    static const char begin[] = "GET /hello HTTP/1.1\r\nHost: x\r\nX: ";
    memcpy(request, begin, sizeof(begin) - 1);
    memcpy(request + sizeof(request) - 5, "\r\n\r\n", 4);
    struct peer_answer answer = peer_ask(stage.port, request);
    assert_int_equal(answer.status, 400);
    assert_true(peer_has(&answer, "Content-Type", "application/problem+json"));
    peer_answer_fini(&answer);
}

/* What may look odd but is allowed. */
static const char *const allowed[] = {
    "GET /hello HTTP/1.0\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost:\r\n\r\n",
    "GET /hello HTTP/1.1\r\nhOsT:x  \r\nA:\r\nB:   \r\n\r\n",
    "GET /hello?a=b?c HTTP/1.1\r\nHost: x\r\n\r\n",
    "\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 003\r\n\r\nabc",
    "POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ("POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
     "1\r\na\r\n2\r\nbc\r\n0\r\nT: x\r\n\r\n"),
};

static void what_the_rfc_allows_is_served(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        struct peer_answer answer = peer_ask(stage.port, allowed[i]);
        if (answer.status != 200 ||
            (strcmp(answer.body, "hello") != 0 && strcmp(answer.body, "abc") != 0)) {
            fail_msg("case %zu: %s", i, answer.text);
        }
        peer_answer_fini(&answer);
    }
}

static void an_absolute_target_is_served_like_its_path(void **state)
{
    (void)state;
    char request[128];
    (void)snprintf(request, sizeof(request),
                   "GET http://127.0.0.1:%d/echo/a/b?c=d HTTP/1.1\r\nHost: x\r\n\r\n", stage.port);
    struct peer_answer answer = peer_ask(stage.port, request);
    assert_string_equal(answer.body, "a|b|c=d;");
    peer_answer_fini(&answer);
}

static void a_smuggled_request_is_never_answered(void **state)
{
    (void)state;
    int fd = peer_connect(stage.port);
    peer_say(fd,
             POST "Content-Length: 5\r\n" TE "\r\n0\r\n\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
    struct peer_answer answer = peer_read(fd, false);
    assert_int_equal(answer.status, 400);
    char rest[16];
    assert_int_equal(recv(fd, rest, sizeof(rest), 0), 0);
    peer_answer_fini(&answer);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_rfc_refuses_is_refused_and_closed),
        cmocka_unit_test(what_stalls_is_refused_and_closed_in_time),
        cmocka_unit_test(a_field_too_many_is_431),
        cmocka_unit_test(a_head_beyond_16_kib_is_refused),
        cmocka_unit_test(what_the_rfc_allows_is_served),
        cmocka_unit_test(an_absolute_target_is_served_like_its_path),
        cmocka_unit_test(a_smuggled_request_is_never_answered),
    };
    return cmocka_run_group_tests(tests, begin_stage, end_stage);
}
