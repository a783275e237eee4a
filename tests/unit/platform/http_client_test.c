/* The client against the real server, and against peers that misbehave. */
#include "platform/http_client.h"

#include <stdio.h>

#include "platform/fault.h"
#include "tests/support/http_stage.h"

enum { ARENA_MAX = 8 * 1024 * 1024, TIMEOUT_MS = 300, REQUEST_MAX = 65536, ROUNDS = 200 };

#define URL_MAX 256

static struct stage stage;
static struct cairn_arena arena = {.max = ARENA_MAX};
static struct cairn_http_client *client;

static int begin(void **state)
{
    (void)state;
    stage_begin(&stage, (struct cairn_http_options){.connections_max = 32});
    struct cairn_err err;
    struct cairn_http_client_options options = {.response_max_bytes = STAGE_LARGE_BYTES};
    assert_ok(cairn_http_client_new(&options, &client, &err), &err);
    return 0;
}

static int end(void **state)
{
    (void)state;
    cairn_http_client_free(client);
    cairn_arena_fini(&arena);
    stage_end(&stage);
    return 0;
}

/* A call to a port of this machine; url holds its URL. */
static struct cairn_http_call call_to(int port, const char *method, const char *path,
                                      char url[URL_MAX])
{
    int size = snprintf(url, URL_MAX, "http://127.0.0.1:%d%s", port, path);
    assert_in_range(size, 1, URL_MAX - 1);
    return (struct cairn_http_call){.method = cairn_slice_str(method),
                                    .url = cairn_slice_of(url, (size_t)size)};
}

static struct cairn_http_answer ask(const char *method, const char *path, struct cairn_slice body)
{
    char url[URL_MAX];
    struct cairn_http_call call = call_to(stage.port, method, path, url);
    call.body = body;
    struct cairn_http_answer answer = {.status = 0};
    struct cairn_err err;
    cairn_arena_reset(&arena);
    assert_ok(cairn_http_client_request(client, &call, &arena, &answer, &err), &err);
    return answer;
}

/* A listener that scripts play the server of. */
struct host {
    int fd;
    int port;
    pthread_t thread;
    const char *answer;      /* what is said to each request */
    unsigned answered_count; /* requests that are answered; then each is read and closed on */
    bool stays_open;         /* wait for the client to close, not the other way round */
    atomic_uint connections;
    atomic_uint requests;
    char last[REQUEST_MAX]; /* the last request's text; read after the join */
};

/* Reads one request, whose body has a Content-Length. False: the client closed. */
static bool host_read(struct host *host, int fd)
{
    size_t size = 0;
    host->last[0] = '\0';
    for (;;) {
        const char *head_end = strstr(host->last, "\r\n\r\n");
        const char *length = strstr(host->last, "Content-Length: ");
        size_t want = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
        if (head_end != NULL && size >= (size_t)(head_end + 4 - host->last) + want) {
            return true;
        }
        ssize_t got = recv(fd, host->last + size, REQUEST_MAX - 1 - size, 0);
        if (got <= 0) {
            return false;
        }
        size += (size_t)got;
        host->last[size] = '\0';
    }
}

/* One connection at a time, until the listener is shut. */
static void *host_run(void *self)
{
    struct host *host = self;
    int fd = -1;
    while ((fd = accept(host->fd, NULL, NULL)) >= 0) {
        atomic_fetch_add(&host->connections, 1);
        while (host_read(host, fd)) {
            if (atomic_fetch_add(&host->requests, 1) >= host->answered_count) {
                break;
            }
            peer_say(fd, host->answer);
            if (!host->stays_open) {
                break;
            }
        }
        (void)close(fd);
    }
    return NULL;
}

static int listen_on_loopback(int *ret_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void host_begin(struct host *host, const char *answer, unsigned answered_count,
                       bool stays_open)
{
    memset(host, 0, sizeof(*host));
    host->answer = answer;
    host->answered_count = answered_count;
    host->stays_open = stays_open;
    host->fd = listen_on_loopback(&host->port);
    assert_int_equal(pthread_create(&host->thread, NULL, host_run, host), 0);
}

/* The client must have let go of its connection: the thread waits in it otherwise. */
static void host_end(struct host *host)
{
    (void)shutdown(host->fd, SHUT_RDWR);
    assert_int_equal(pthread_join(host->thread, NULL), 0);
    (void)close(host->fd);
}

/* One call by a client of its own to a host of one answer; how it ends. */
static enum cairn_rc outcome_of(const char *method, const char *answer, bool stays_open,
                                struct cairn_http_answer *ret_answer, struct cairn_err *err)
{
    struct host host;
    host_begin(&host, answer, 1, stays_open);
    struct cairn_http_client *fresh = NULL;
    struct cairn_http_client_options options = {.timeout_ms = TIMEOUT_MS,
                                                .response_max_bytes = 1000};
    assert_ok(cairn_http_client_new(&options, &fresh, err), err);
    char url[URL_MAX];
    struct cairn_http_call call = call_to(host.port, method, "/", url);
    cairn_arena_reset(&arena);
    enum cairn_rc rc = cairn_http_client_request(fresh, &call, &arena, ret_answer, err);
    cairn_http_client_free(fresh);
    host_end(&host);
    return rc;
}

static void an_answer_has_status_fields_and_body(void **state)
{
    (void)state;
    struct cairn_http_answer answer = ask("GET", "/hello", CAIRN_SLICE_NONE);
    assert_int_equal(answer.status, 200);
    assert_true(cairn_slice_is(answer.body, "hello"));
    assert_true(cairn_slice_is(cairn_http_answer_field(&answer, "content-TYPE"), "text/plain"));
    assert_true(cairn_slice_is(cairn_http_answer_field(&answer, "Content-Length"), "5"));
    assert_null(cairn_http_answer_field(&answer, "ETag").data);
    assert_true(answer.field_count >= 3);
}

static void an_error_status_is_an_answer(void **state)
{
    (void)state;
    struct cairn_http_answer answer = ask("GET", "/fail", CAIRN_SLICE_NONE);
    assert_int_equal(answer.status, 503);
    assert_true(cairn_slice_is(cairn_http_answer_field(&answer, "retry-after"), "1"));
    assert_true(answer.body.size > 0);
    assert_int_equal(ask("GET", "/nowhere", CAIRN_SLICE_NONE).status, 404);
    answer = ask("GET", "/empty", CAIRN_SLICE_NONE);
    assert_int_equal(answer.status, 204);
    assert_int_equal(answer.body.size, 0);
    assert_true(cairn_slice_is(cairn_http_answer_field(&answer, "ETag"), "\"8\""));
}

static void bodies_go_there_and_back_byte_for_byte(void **state)
{
    (void)state;
    char bytes[STAGE_LARGE_BYTES];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)(i * 31);
    }
    static const size_t sizes[] = {0, 1, 1025, 100000, STAGE_LARGE_BYTES};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct cairn_slice body = cairn_slice_of(bytes, sizes[i]);
        struct cairn_http_answer answer = ask("POST", "/big", body);
        assert_int_equal(answer.status, 200);
        assert_true(cairn_slice_equal(answer.body, body));
    }
}

static void a_head_has_no_body_and_leaves_the_next_answer_alone(void **state)
{
    (void)state;
    struct cairn_http_answer answer = ask("HEAD", "/hello", CAIRN_SLICE_NONE);
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.body.size, 0);
    assert_true(cairn_slice_is(ask("GET", "/hello", CAIRN_SLICE_NONE).body, "hello"));
    assert_int_equal(ask("DELETE", "/hello", CAIRN_SLICE_NONE).status, 405);
    assert_true(cairn_slice_is(ask("GET", "/hello", CAIRN_SLICE_NONE).body, "hello"));
}

static void paths_go_out_as_they_are(void **state)
{
    (void)state;
    struct cairn_http_answer answer = ask("GET", "/echo/%2e/..?a=%26", CAIRN_SLICE_NONE);
    assert_int_equal(answer.status, 200);
    assert_true(cairn_slice_is(answer.body, ".|..|a=&;"));
}

static void fields_arrive_and_none_is_added(void **state)
{
    (void)state;
    struct host host;
    host_begin(&host, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1, false);
    const struct cairn_http_field fields[] = {
        {CAIRN_SLICE_LIT("Idempotency-Key"), CAIRN_SLICE_LIT("k-1")},
        {CAIRN_SLICE_LIT("X-Empty"), CAIRN_SLICE_NONE},
    };
    char url[URL_MAX];
    struct cairn_http_call call = call_to(host.port, "POST", "/commands?x=1", url);
    call.fields = fields;
    call.field_count = 2;
    char body[4096]; /* libcurl would ask for 100 Continue */
    memset(body, 'b', sizeof(body));
    call.body = cairn_slice_of(body, sizeof(body));
    struct cairn_http_answer answer;
    struct cairn_err err;
    assert_ok(cairn_http_client_request(client, &call, &arena, &answer, &err), &err);
    host_end(&host);
    char expected[512];
    (void)snprintf(expected, sizeof(expected),
                   "POST /commands?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\n"
                   "Idempotency-Key: k-1\r\nX-Empty:\r\nContent-Length: 4096\r\n\r\n",
                   host.port);
    assert_memory_equal(host.last, expected, strlen(expected));
    assert_int_equal(strlen(host.last), strlen(expected) + sizeof(body));
}

static void one_connection_serves_many_calls(void **state)
{
    (void)state;
    struct host host;
    host_begin(&host, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 1000, true);
    struct cairn_http_client *fresh = NULL;
    struct cairn_err err;
    assert_ok(
        cairn_http_client_new(&(struct cairn_http_client_options){.timeout_ms = 0}, &fresh, &err),
        &err);
    char url[URL_MAX];
    struct cairn_http_call call = call_to(host.port, "POST", "/", url);
    for (int i = 0; i < 10; i++) {
        struct cairn_http_answer answer;
        assert_ok(cairn_http_client_request(fresh, &call, &arena, &answer, &err), &err);
        assert_true(cairn_slice_is(answer.body, "ok"));
    }
    cairn_http_client_free(fresh);
    host_end(&host);
    assert_int_equal(atomic_load(&host.connections), 1);
    assert_int_equal(atomic_load(&host.requests), 10);
}

static void a_proxy_of_the_environment_is_not_asked(void **state)
{
    (void)state;
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(setenv("ALL_PROXY", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(ask("GET", "/hello", CAIRN_SLICE_NONE).status, 200);
    assert_int_equal(unsetenv("http_proxy"), 0);
    assert_int_equal(unsetenv("ALL_PROXY"), 0);
}

static void a_redirect_is_an_answer_and_not_followed(void **state)
{
    (void)state;
    char text[256];
    (void)snprintf(text, sizeof(text),
                   "HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:%d/hello\r\n"
                   "Content-Length: 0\r\n\r\n",
                   stage.port);
    unsigned before = atomic_load(&stage.handled);
    struct cairn_http_answer answer;
    struct cairn_err err;
    assert_ok(outcome_of("POST", text, false, &answer, &err), &err);
    assert_int_equal(answer.status, 307);
    assert_int_equal(atomic_load(&stage.handled), before);
}

static void an_interim_answer_is_passed_over(void **state)
{
    (void)state;
    struct cairn_http_answer answer;
    struct cairn_err err;
    assert_ok(outcome_of("POST",
                         "HTTP/1.1 103 Early Hints\r\nX-A: early\r\n\r\n"
                         "HTTP/1.1 200 OK\r\nX-A:  late \r\nContent-Length: 1\r\n\r\n!",
                         false, &answer, &err),
              &err);
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.field_count, 2);
    assert_true(cairn_slice_is(cairn_http_answer_field(&answer, "x-a"), "late"));
}

static void chunks_and_closed_ends_make_a_body(void **state)
{
    (void)state;
    struct cairn_http_answer answer;
    struct cairn_err err;
    assert_ok(outcome_of("GET",
                         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                         "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
                         false, &answer, &err),
              &err);
    assert_true(cairn_slice_is(answer.body, "abcde"));
    assert_ok(outcome_of("GET", "HTTP/1.1 200 OK\r\n\r\nto the end", false, &answer, &err), &err);
    assert_true(cairn_slice_is(answer.body, "to the end"));
}

static void no_listener_means_nothing_was_sent(void **state)
{
    (void)state;
    int port = 0;
    (void)close(listen_on_loopback(&port));
    char url[URL_MAX];
    struct cairn_http_call call = call_to(port, "POST", "/", url);
    struct cairn_http_answer answer = {.status = 77};
    struct cairn_err err;
    enum cairn_rc rc = cairn_http_client_request(client, &call, &arena, &answer, &err);
    assert_int_equal(rc, CAIRN_EUNREACHABLE);
    assert_true(cairn_http_client_unsent(rc));
    assert_non_null(strstr(err.text, url));
    assert_int_equal(answer.status, 77);
    call.url = CAIRN_SLICE_LIT("http://no-such-host.invalid/");
    rc = cairn_http_client_request(client, &call, &arena, &answer, &err);
    assert_int_equal(rc, CAIRN_EUNREACHABLE);
    assert_int_equal(ask("GET", "/hello", CAIRN_SLICE_NONE).status, 200);
}

static void a_failed_handshake_means_nothing_was_sent(void **state)
{
    (void)state;
    struct host host;
    host_begin(&host, "", 0, false);
    char url[URL_MAX];
    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%d/", stage.port);
    struct cairn_http_call call = {.method = CAIRN_SLICE_LIT("POST"), .url = cairn_slice_str(url)};
    struct cairn_http_answer answer;
    struct cairn_err err;
    assert_int_equal(cairn_http_client_request(client, &call, &arena, &answer, &err),
                     CAIRN_EUNREACHABLE);
    host_end(&host);
}

static void a_connect_or_handshake_that_takes_too_long_has_sent_nothing(void **state)
{
    (void)state;
    int port = 0;
    int fd = listen_on_loopback(&port); /* the kernel connects, and nobody says hello */
    struct cairn_http_client *fresh = NULL;
    struct cairn_err err;
    struct cairn_http_client_options options = {.connect_timeout_ms = TIMEOUT_MS};
    assert_ok(cairn_http_client_new(&options, &fresh, &err), &err);
    char url[URL_MAX];
    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%d/", port);
    struct cairn_http_call call = {.method = CAIRN_SLICE_LIT("POST"), .url = cairn_slice_str(url)};
    struct cairn_http_answer answer;
    assert_int_equal(cairn_http_client_request(fresh, &call, &arena, &answer, &err),
                     CAIRN_EUNREACHABLE);
    cairn_http_client_free(fresh);
    (void)close(fd);
}

static void a_broken_answer_leaves_the_outcome_unknown(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *answer;
        bool stays_open;
    } cases[] = {
        {"nothing", "", false},
        {"silence", "", true},
        {"half a head", "HTTP/1.1 200 OK\r\nContent-Le", false},
        {"half a head and silence", "HTTP/1.1 200 OK\r\nContent-Le", true},
        {"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", false},
        {"half a body and silence", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", true},
        {"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", false},
        {"a bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab", false},
        {"a bad length", "HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n", false},
        {"another protocol", "220 mail.example ESMTP\r\n", false},
        {"HTTP/0.9", "<html>hello</html>", false},
        {"a status of no meaning", "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", false},
        {"an interim answer alone", "HTTP/1.1 100 Continue\r\n\r\n", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cairn_http_answer answer = {.status = 77};
        struct cairn_err err = {.rc = CAIRN_OK};
        enum cairn_rc rc = outcome_of("POST", cases[i].answer, cases[i].stays_open, &answer, &err);
        if (rc != CAIRN_EUNKNOWN || cairn_http_client_unsent(rc) || answer.status != 77) {
            fail_msg("%s: %s: %s", cases[i].name, cairn_err_info(rc)->name, err.text);
        }
    }
}

static void an_answer_past_a_limit_is_too_big(void **state)
{
    (void)state;
    struct cairn_http_answer answer;
    struct cairn_err err;
    char text[70000];
    int size = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n\r\n%01000d", 7);
    assert_ok(outcome_of("POST", text, false, &answer, &err), &err);
    assert_int_equal(answer.body.size, 1000);
    (void)snprintf(text + size, sizeof(text) - (size_t)size, "8");
    assert_int_equal(outcome_of("POST", text, false, &answer, &err), CAIRN_ETOOBIG);
    assert_int_equal(outcome_of("POST", "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", true,
                                &answer, &err) == CAIRN_OK,
                     false);
    (void)snprintf(text, sizeof(text),
                   "HTTP/1.1 200 OK\r\nX: %066000d\r\nContent-Length: 0\r\n\r\n", 7);
    assert_int_equal(outcome_of("POST", text, false, &answer, &err), CAIRN_ETOOBIG);
    size = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (int i = 0; i < CAIRN_HTTP_CLIENT_FIELDS_MAX; i++) {
        size += snprintf(text + size, sizeof(text) - (size_t)size, "X: 1\r\n");
    }
    (void)snprintf(text + size, sizeof(text) - (size_t)size, "\r\n");
    assert_int_equal(outcome_of("POST", text, false, &answer, &err), CAIRN_ETOOBIG);
    assert_false(cairn_http_client_unsent(CAIRN_ETOOBIG));
}

/* A host that answers once and reads the next request without a word: was the second carried out?
 */
static enum cairn_rc ask_twice(struct host *host, const char *method, struct cairn_err *err)
{
    host_begin(host, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 1, true);
    struct cairn_http_client *fresh = NULL;
    struct cairn_http_client_options options = {.timeout_ms = 0};
    assert_ok(cairn_http_client_new(&options, &fresh, err), err);
    char url[URL_MAX];
    struct cairn_http_call call = call_to(host->port, method, "/", url);
    struct cairn_http_answer answer;
    assert_ok(cairn_http_client_request(fresh, &call, &arena, &answer, err), err);
    enum cairn_rc rc = cairn_http_client_request(fresh, &call, &arena, &answer, err);
    cairn_http_client_free(fresh);
    host_end(host);
    return rc;
}

static void a_post_is_written_once_where_a_kept_connection_breaks(void **state)
{
    (void)state;
    struct host host;
    struct cairn_err err;
    assert_int_equal(ask_twice(&host, "POST", &err), CAIRN_EUNKNOWN);
    assert_int_equal(atomic_load(&host.requests), 2);
    assert_non_null(strstr(err.text, "closed before an answer"));
}

static void a_get_is_tried_again_where_a_kept_connection_breaks(void **state)
{
    (void)state;
    struct host host;
    struct cairn_err err;
    assert_int_equal(ask_twice(&host, "GET", &err), CAIRN_EUNKNOWN);
    assert_int_equal(atomic_load(&host.requests), 3);
}

static void a_connection_that_was_closed_while_idle_is_made_anew(void **state)
{
    (void)state;
    assert_int_equal(ask("GET", "/hello", CAIRN_SLICE_NONE).status, 200);
    stage_end(&stage);
    struct cairn_err err;
    struct cairn_http_answer answer;
    char url[URL_MAX];
    struct cairn_http_call call = call_to(stage.port, "POST", "/body", url);
    assert_int_equal(cairn_http_client_request(client, &call, &arena, &answer, &err),
                     CAIRN_EUNREACHABLE);
    stage_begin(&stage, (struct cairn_http_options){.connections_max = 32});
    assert_int_equal(ask("POST", "/body", CAIRN_SLICE_LIT("again")).status, 200);
}

static void a_call_that_cannot_be_sent_is_refused(void **state)
{
    (void)state;
    const struct cairn_http_call calls[] = {
        {.method = CAIRN_SLICE_NONE, .url = CAIRN_SLICE_LIT("http://127.0.0.1/")},
        {.method = CAIRN_SLICE_LIT("GE T"), .url = CAIRN_SLICE_LIT("http://127.0.0.1/")},
        {.method = CAIRN_SLICE_LIT("GET\r\n"), .url = CAIRN_SLICE_LIT("http://127.0.0.1/")},
        {.method = CAIRN_SLICE_LIT("GETGETGETGETGETGE"),
         .url = CAIRN_SLICE_LIT("http://127.0.0.1/")},
        {.method = CAIRN_SLICE_LIT("GET"), .url = CAIRN_SLICE_NONE},
        {.method = CAIRN_SLICE_LIT("GET"), .url = CAIRN_SLICE_LIT("http://127.0.0.1/a b")},
        {.method = CAIRN_SLICE_LIT("GET"), .url = CAIRN_SLICE_LIT("http://127.0.0.1/a\r\nX: 1")},
        {.method = CAIRN_SLICE_LIT("GET"), .url = CAIRN_SLICE_LIT("http://127.0.0.1/a\0b")},
        {.method = CAIRN_SLICE_LIT("GET"), .url = CAIRN_SLICE_LIT("file:///etc/hostname")},
        {.method = CAIRN_SLICE_LIT("GET"), .url = CAIRN_SLICE_LIT("ftp://127.0.0.1/")},
        {.method = CAIRN_SLICE_LIT("GET"), .url = CAIRN_SLICE_LIT("http://127.0.0.1:99999/")},
        {.method = CAIRN_SLICE_LIT("GET"),
         .url = CAIRN_SLICE_LIT("http://127.0.0.1/"),
         .body = CAIRN_SLICE_LIT("x")},
    };
    struct cairn_http_answer answer;
    struct cairn_err err;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        enum cairn_rc rc = cairn_http_client_request(client, &calls[i], &arena, &answer, &err);
        if (rc != CAIRN_EINVAL) {
            fail_msg("call %zu: %s", i, cairn_err_info(rc)->name);
        }
    }
}

static void a_field_that_would_smuggle_is_refused(void **state)
{
    (void)state;
    const struct cairn_http_field bad[] = {
        {CAIRN_SLICE_LIT("X"), CAIRN_SLICE_LIT("a\r\nY: b")},
        {CAIRN_SLICE_LIT("X"), CAIRN_SLICE_LIT("a\nb")},
        {CAIRN_SLICE_LIT("X"), CAIRN_SLICE_LIT("a\0b")},
        {CAIRN_SLICE_LIT("X: y\r\nZ"), CAIRN_SLICE_LIT("a")},
        {CAIRN_SLICE_LIT("X y"), CAIRN_SLICE_LIT("a")},
        {CAIRN_SLICE_NONE, CAIRN_SLICE_LIT("a")},
        {CAIRN_SLICE_LIT("content-length"), CAIRN_SLICE_LIT("0")},
        {CAIRN_SLICE_LIT("Transfer-Encoding"), CAIRN_SLICE_LIT("chunked")},
        {CAIRN_SLICE_LIT("Host"), CAIRN_SLICE_LIT("a")},
        {CAIRN_SLICE_LIT("Connection"), CAIRN_SLICE_LIT("close")},
        {CAIRN_SLICE_LIT("EXPECT"), CAIRN_SLICE_LIT("100-continue")},
    };
    unsigned before = atomic_load(&stage.handled);
    char url[URL_MAX];
    struct cairn_http_call call = call_to(stage.port, "POST", "/body", url);
    struct cairn_http_answer answer;
    struct cairn_err err;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        call.fields = &bad[i];
        call.field_count = 1;
        enum cairn_rc rc = cairn_http_client_request(client, &call, &arena, &answer, &err);
        if (rc != CAIRN_EINVAL) {
            fail_msg("field %zu: %s", i, cairn_err_info(rc)->name);
        }
    }
    struct cairn_http_field many[CAIRN_HTTP_CLIENT_FIELDS_MAX + 1];
    for (size_t i = 0; i < CAIRN_HTTP_CLIENT_FIELDS_MAX + 1; i++) {
        many[i] = (struct cairn_http_field){CAIRN_SLICE_LIT("X"), CAIRN_SLICE_LIT("1")};
    }
    call.fields = many;
    call.field_count = CAIRN_HTTP_CLIENT_FIELDS_MAX + 1;
    assert_int_equal(cairn_http_client_request(client, &call, &arena, &answer, &err), CAIRN_EINVAL);
    assert_int_equal(atomic_load(&stage.handled), before);
}

static void no_memory_is_told_apart_by_what_was_sent(void **state)
{
    (void)state;
    skip_without_faults();
    bool before = false;
    bool after_sent = false;
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_MEM) || after == 0; after++) {
        struct host host; /* raw, so that no allocation but the client's is counted */
        host_begin(&host, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 1, false);
        struct cairn_http_client *fresh = NULL;
        struct cairn_err err;
        struct cairn_arena own = {.max = ARENA_MAX};
        char url[URL_MAX];
        struct cairn_http_call call = call_to(host.port, "POST", "/", url);
        struct cairn_http_answer answer = {.status = 77};
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = cairn_http_client_new(
            &(struct cairn_http_client_options){.timeout_ms = 0}, &fresh, &err);
        if (rc == CAIRN_OK) {
            rc = cairn_http_client_request(fresh, &call, &own, &answer, &err);
        }
        cairn_http_client_free(fresh);
        host_end(&host);
        assert_int_equal(answer.status, rc == CAIRN_OK ? 200 : 77);
        assert_int_equal(atomic_load(&host.requests), rc == CAIRN_ENOMEM ? 0 : 1);
        before = before || rc == CAIRN_ENOMEM;
        after_sent = after_sent || rc == CAIRN_EUNKNOWN;
        cairn_arena_fini(&own);
    }
    cairn_fault_disarm();
    assert_true(before && after_sent);
}

static void an_arena_too_small_for_the_answer_is_unknown(void **state)
{
    (void)state;
    struct cairn_arena small = {.max = 4096};
    char url[URL_MAX];
    struct cairn_http_call call = call_to(stage.port, "GET", "/large", url);
    struct cairn_http_answer answer;
    struct cairn_err err;
    assert_int_equal(cairn_http_client_request(client, &call, &small, &answer, &err),
                     CAIRN_EUNKNOWN);
    cairn_arena_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_has_status_fields_and_body),
        cmocka_unit_test(an_error_status_is_an_answer),
        cmocka_unit_test(bodies_go_there_and_back_byte_for_byte),
        cmocka_unit_test(a_head_has_no_body_and_leaves_the_next_answer_alone),
        cmocka_unit_test(paths_go_out_as_they_are),
        cmocka_unit_test(fields_arrive_and_none_is_added),
        cmocka_unit_test(one_connection_serves_many_calls),
        cmocka_unit_test(a_proxy_of_the_environment_is_not_asked),
        cmocka_unit_test(a_redirect_is_an_answer_and_not_followed),
        cmocka_unit_test(an_interim_answer_is_passed_over),
        cmocka_unit_test(chunks_and_closed_ends_make_a_body),
        cmocka_unit_test(no_listener_means_nothing_was_sent),
        cmocka_unit_test(a_failed_handshake_means_nothing_was_sent),
        cmocka_unit_test(a_connect_or_handshake_that_takes_too_long_has_sent_nothing),
        cmocka_unit_test(a_broken_answer_leaves_the_outcome_unknown),
        cmocka_unit_test(an_answer_past_a_limit_is_too_big),
        cmocka_unit_test(a_post_is_written_once_where_a_kept_connection_breaks),
        cmocka_unit_test(a_get_is_tried_again_where_a_kept_connection_breaks),
        cmocka_unit_test(a_connection_that_was_closed_while_idle_is_made_anew),
        cmocka_unit_test(a_call_that_cannot_be_sent_is_refused),
        cmocka_unit_test(a_field_that_would_smuggle_is_refused),
        cmocka_unit_test(no_memory_is_told_apart_by_what_was_sent),
        cmocka_unit_test(an_arena_too_small_for_the_answer_is_unknown),
    };
    return cmocka_run_group_tests_name("http_client", tests, begin, end);
}
