/* The chassis from outside: answers, bodies, connections, streams, stop. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "platform/fault.h"
#include "tests/support/http_stage.h"

/* SOON_MS: far less than the time-outs that an idle connection would be waited for, and far more
 * than a machine takes that has other things to do. */
enum { IDLE_CONNECTIONS = 1000, SOON_MS = 20000 };

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

static void every_answer_has_its_fields(void **state)
{
    (void)state;
    struct peer_answer answer = peer_ask(
        stage.port, "GET /hello HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine-1\r\n"
                    "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n");
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "hello");
    assert_true(peer_has(&answer, "Content-Type", "text/plain"));
    assert_true(peer_has(&answer, "Content-Length", "5"));
    assert_true(peer_has(&answer, "X-Request-Id", "mine-1"));
    assert_true(peer_has(&answer, "traceparent",
                         "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    assert_non_null(peer_field(&answer, "Date"));
    assert_null(peer_field(&answer, "Connection"));
    peer_answer_fini(&answer);
}

static void an_odd_request_id_is_replaced_and_an_odd_trace_dropped(void **state)
{
    (void)state;
    struct peer_answer answer =
        peer_ask(stage.port, "GET /hello HTTP/1.1\r\nHost: x\r\nX-Request-Id: a b\r\n"
                             "traceparent: 00-0-0-0\r\n\r\n");
    const char *id = peer_field(&answer, "X-Request-Id");
    struct cairn_uuid uuid;
    assert_true(id != NULL && id[14] == '7'); /* the version */
    assert_int_equal(cairn_uuid_parse(cairn_slice_of(id, CAIRN_UUID_TEXT_SIZE), &uuid), CAIRN_OK);
    assert_null(peer_field(&answer, "traceparent"));
    peer_answer_fini(&answer);
}

static void captures_and_parameters_arrive_decoded(void **state)
{
    (void)state;
    struct peer_answer answer =
        peer_ask(stage.port, "GET /echo/a%2Fb/%C3%A4+?x=1+2&y=%26&z HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_string_equal(answer.body, "a/b|\xC3\xA4+|x=1 2;y=&;z=;");
    peer_answer_fini(&answer);
}

static void head_is_get_without_the_body(void **state)
{
    (void)state;
    int fd = peer_connect(stage.port);
    peer_say(fd, "HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    struct peer_answer head = peer_read(fd, true);
    assert_int_equal(head.status, 200);
    assert_true(peer_has(&head, "Content-Length", "5"));
    peer_say(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    struct peer_answer next = peer_read(fd, false);
    assert_string_equal(next.body, "hello"); /* the next bytes are the next answer */
    peer_answer_fini(&head);
    peer_answer_fini(&next);
    (void)close(fd);
}

static void an_unknown_path_or_method_leaves_the_connection_open(void **state)
{
    (void)state;
    int fd = peer_connect(stage.port);
    peer_say(fd, "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
                 "DELETE /hello HTTP/1.1\r\nHost: x\r\n\r\n"
                 "GET /hello?a=%zz HTTP/1.1\r\nHost: x\r\n\r\n"
                 "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    static const int want[] = {404, 405, 400, 200}; /* pipelined: answered in order */
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        struct peer_answer answer = peer_read(fd, false);
        assert_int_equal(answer.status, want[i]);
        assert_true(want[i] != 405 || peer_has(&answer, "Allow", "GET, HEAD"));
        peer_answer_fini(&answer);
    }
    (void)close(fd);
}

static void problems_carry_what_the_handler_says(void **state)
{
    (void)state;
    struct peer_answer answer = peer_ask(stage.port, "GET /fail HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(answer.status, 503);
    assert_true(peer_has(&answer, "Retry-After", "1"));
    assert_true(peer_has(&answer, "Content-Type", "application/problem+json"));
    assert_string_equal(answer.body,
                        "{\"type\":\"/problems/overloaded\",\"title\":\"Overloaded\","
                        "\"status\":503,\"detail\":\"no \\\"room\\\" for 7\",\"waiting\":9}");
    peer_answer_fini(&answer);
}

static void an_answer_that_does_not_fit_is_a_500(void **state)
{
    (void)state;
    struct peer_answer answer = peer_ask(stage.port, "GET /overflow HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(answer.status, 500);
    assert_null(strstr(answer.text, "never seen"));
    assert_true(peer_has(&answer, "Content-Type", "application/problem+json"));
    peer_answer_fini(&answer);
}

static void no_content_has_neither_body_nor_length(void **state)
{
    (void)state;
    int fd = peer_connect(stage.port);
    peer_say(fd, "GET /empty HTTP/1.1\r\nHost: x\r\n\r\n");
    struct peer_answer answer = peer_read(fd, true);
    assert_int_equal(answer.status, 204);
    assert_null(peer_field(&answer, "Content-Length"));
    assert_true(peer_has(&answer, "ETag", "\"8\""));
    peer_answer_fini(&answer);
    (void)close(fd);
}

static void a_large_answer_arrives_whole(void **state)
{
    (void)state;
    struct peer_answer answer = peer_ask(stage.port, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(answer.body_size, STAGE_LARGE_BYTES);
    assert_memory_equal(answer.body + STAGE_LARGE_BYTES - 16, "0123456789abcdef", 16);
    peer_answer_fini(&answer);
}

/* Post size bytes to path, sized or chunked. */
static struct peer_answer post(const char *path, size_t size, bool chunked)
{
    char *body = malloc(size + 1);
    assert_non_null(body);
    for (size_t i = 0; i < size; i++) {
        body[i] = (char)('a' + i % 26);
    }
    char head[256];
    (void)snprintf(head, sizeof(head),
                   chunked
                       ? "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n"
                       : "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
                   path, size);
    int fd = peer_connect(stage.port);
    peer_say(fd, head);
    peer_send(fd, body, size);
    if (chunked) {
        peer_say(fd, "\r\n0\r\n\r\n");
    }
    struct peer_answer answer = peer_read(fd, false);
    if (answer.status == 200) {
        assert_int_equal(answer.body_size, size);
        assert_memory_equal(answer.body, body, size);
    }
    free(body);
    (void)close(fd);
    return answer;
}

static void body_limits_hold_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        size_t size;
        int status;
    } cases[] = {{"/body", STAGE_BODY_MAX, 200},
                 {"/body", STAGE_BODY_MAX + 1, 413},
                 {"/body", 100000, 413},
                 {"/big", 300000, 200}};
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer_answer answer = post(cases[i / 2].path, cases[i / 2].size, i % 2 == 1);
        assert_int_equal(answer.status, cases[i / 2].status);
        assert_true(answer.status == 200 || peer_has(&answer, "Connection", "close"));
        peer_answer_fini(&answer);
    }
}

static void an_expecting_client_is_told_to_go_on(void **state)
{
    (void)state;
    int fd = peer_connect(stage.port);
    peer_say(fd, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                 "Expect: 100-continue\r\n\r\n");
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    char heard[sizeof(go_on)] = "";
    assert_int_equal(recv(fd, heard, sizeof(go_on) - 1, MSG_WAITALL), sizeof(go_on) - 1);
    assert_string_equal(heard, go_on);
    peer_say(fd, "abc");
    struct peer_answer answer = peer_read(fd, false);
    assert_string_equal(answer.body, "abc");
    peer_answer_fini(&answer);
    (void)close(fd);
}

static void an_expecting_client_is_refused_before_it_sends(void **state)
{
    (void)state;
    struct peer_answer answer =
        peer_ask(stage.port, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n"
                             "Expect: 100-continue\r\n\r\n");
    assert_int_equal(answer.status, 413);
    peer_answer_fini(&answer);
}

static void http_1_0_closes_unless_asked(void **state)
{
    (void)state;
    struct peer_answer closed = peer_ask(stage.port, "GET /hello HTTP/1.0\r\n\r\n");
    assert_true(peer_has(&closed, "Connection", "close"));
    struct peer_answer kept =
        peer_ask(stage.port, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_true(peer_has(&kept, "Connection", "keep-alive"));
    peer_answer_fini(&closed);
    peer_answer_fini(&kept);
}

static void accept_is_weighed(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "json"},
        {"Accept: */*\r\n", "json"},
        {"Accept: application/msgpack\r\n", "msgpack"},
        {"Accept: application/json;q=0.5, application/msgpack;q=0.6\r\n", "msgpack"},
        {"Accept: application/json;q=0, */*\r\n", "msgpack"},
        {"Accept: application/*;q=0.3\r\n", "json"},
        {"Accept: text/html\r\n", "neither"},
        {"Accept: APPLICATION/JSON;charset=utf-8\r\nContent-Type: Application/JSON; a=b\r\n",
         "json+json"},
        {"Accept: application/json;q=x\r\n", "neither"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char request[256];
        (void)snprintf(request, sizeof(request), "GET /kind HTTP/1.1\r\nHost: x\r\n%s\r\n",
                       cases[i][0]);
        struct peer_answer answer = peer_ask(stage.port, request);
        assert_string_equal(answer.body, cases[i][1]);
        peer_answer_fini(&answer);
    }
}

static void requests_are_counted(void **state)
{
    (void)state;
    struct peer_answer answer = peer_ask(stage.port, "GET /echo?m HTTP/1.1\r\nHost: x\r\n\r\n");
    peer_answer_fini(&answer);
    /* The count comes after the answer: the next answer on this connection comes after the count.
     */
    int fd = peer_connect(stage.port);
    for (int i = 0; i < 2; i++) {
        peer_say(fd, "GET /echo?m HTTP/1.1\r\nHost: x\r\n\r\n");
        answer = peer_read(fd, false);
        peer_answer_fini(&answer);
    }
    struct cairn_buf text = {.max = 1024 * 1024};
    assert_int_equal(cairn_metrics_render(stage.metrics, &text), CAIRN_OK);
    assert_int_equal(cairn_buf_append_byte(&text, '\0'), CAIRN_OK);
    assert_non_null(strstr(text.data, "cairn_http_requests_total{route=\"/echo\",method=\"GET\","
                                      "status=\"200\"}"));
    assert_non_null(strstr(text.data, "cairn_http_connections "));
    assert_non_null(strstr(text.data, "cairn_http_request_seconds_count{route=\"/echo\""));
    cairn_buf_fini(&text);
    (void)close(fd);
}

/* ---- servers of their own ---- */

static int64_t now_ms(void)
{
    return cairn_clock_monotonic_ns(cairn_clock_system()) / 1000000;
}

static void a_thousand_idle_connections_starve_nobody(void **state)
{
    (void)state;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    struct stage own;
    stage_begin(&own, (struct cairn_http_options){.drain_timeout_ms = 2 * SOON_MS});
    static int fds[IDLE_CONNECTIONS];
    for (int i = 0; i < IDLE_CONNECTIONS; i++) {
        fds[i] = peer_connect(own.port);
        peer_say(fds[i], "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
        struct peer_answer answer = peer_read(fds[i], false);
        assert_int_equal(answer.status, 200);
        peer_answer_fini(&answer);
    }
    int64_t before = now_ms();
    struct peer_answer answer = peer_ask(own.port, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(answer.status, 200);
    assert_true(now_ms() - before < SOON_MS);
    peer_answer_fini(&answer);
    before = now_ms();
    stage_end(&own); /* and idle connections do not delay a stop */
    assert_true(now_ms() - before < SOON_MS);
    for (int i = 0; i < IDLE_CONNECTIONS; i++) {
        assert_true(peer_is_closed(fds[i]));
        (void)close(fds[i]);
    }
}

static void a_connection_over_the_limit_is_told_so(void **state)
{
    (void)state;
    struct stage own;
    stage_begin(&own, (struct cairn_http_options){.connections_max = 2});
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = peer_connect(own.port);
        peer_say(fds[i], "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
        struct peer_answer answer = peer_read(fds[i], false);
        assert_int_equal(answer.status, 200);
        peer_answer_fini(&answer);
    }
    struct peer_answer answer = peer_ask(own.port, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(answer.status, 503);
    assert_true(peer_has(&answer, "Connection", "close"));
    assert_true(peer_has(&answer, "Retry-After", "1"));
    peer_answer_fini(&answer);
    stage_end(&own);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void *stop_stage(void *argument)
{
    struct stage *own = argument;
    cairn_http_stop(own->http);
    return NULL;
}

static void a_stop_finishes_what_was_accepted(void **state)
{
    (void)state;
    struct stage own;
    stage_begin(&own, (struct cairn_http_options){.connections_max = 8});
    int waiting = peer_connect(own.port);
    peer_say(waiting, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    stage_await(&own, 1);
    int feed = peer_connect(own.port);
    peer_say(feed, "GET /feed HTTP/1.1\r\nHost: x\r\n\r\n");
    struct peer_answer fed = peer_read(feed, true);
    assert_int_equal(fed.status, 200);
    pthread_t stopper;
    assert_int_equal(pthread_create(&stopper, NULL, stop_stage, &own), 0);
    /* The feed ends because the server stops; only then may the gate open. */
    assert_true(peer_is_closed(feed));
    stage_open(&own);
    struct peer_answer waited = peer_read(waiting, false);
    assert_int_equal(waited.status, 200);
    assert_string_equal(waited.body, "waited");
    assert_true(peer_has(&waited, "Connection", "close"));
    assert_int_equal(pthread_join(stopper, NULL), 0);
    peer_answer_fini(&fed);
    peer_answer_fini(&waited);
    (void)close(waiting);
    (void)close(feed);
    own.http = NULL;
    stage_end(&own);
}

static void a_request_that_stalls_delays_a_stop_by_the_drain_timeout(void **state)
{
    (void)state;
    struct stage own;
    stage_begin(&own, (struct cairn_http_options){.connections_max = 8,
                                                  .header_timeout_ms = 3 * SOON_MS,
                                                  .drain_timeout_ms = 300});
    int fd = peer_connect(own.port);
    peer_say(fd, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n"
                 "Expect: 100-continue\r\n\r\n");
    char heard[25];
    assert_int_equal(recv(fd, heard, sizeof(heard), MSG_WAITALL), sizeof(heard));
    int64_t before = now_ms();
    stage_end(&own);
    int64_t took = now_ms() - before;
    assert_true(took >= 300 && took < SOON_MS);
    (void)close(fd);
}

static void a_stream_comes_in_pieces_and_head_gets_none(void **state)
{
    (void)state;
    int fd = peer_connect(stage.port);
    peer_say(fd, "HEAD /feed HTTP/1.1\r\nHost: x\r\n\r\n");
    struct peer_answer head = peer_read(fd, true);
    assert_true(peer_has(&head, "Content-Type", "text/event-stream"));
    assert_true(peer_is_closed(fd));
    (void)close(fd);
    fd = peer_connect(stage.port);
    peer_say(fd, "GET /feed HTTP/1.1\r\nHost: x\r\n\r\n");
    struct peer_answer begin = peer_read(fd, true);
    assert_true(peer_has(&begin, "Transfer-Encoding", "chunked"));
    static const char pieces[] = "b\r\ndata: one\n\n\r\nb\r\ndata: two\n\n\r\n";
    char heard[sizeof(pieces)] = "";
    assert_int_equal(recv(fd, heard, sizeof(pieces) - 1, MSG_WAITALL), sizeof(pieces) - 1);
    assert_string_equal(heard, pieces);
    peer_answer_fini(&head);
    peer_answer_fini(&begin);
    (void)close(fd);
}

static void an_idle_connection_is_closed_without_a_word(void **state)
{
    (void)state;
    struct stage own;
    stage_begin(&own, (struct cairn_http_options){.connections_max = 2, .idle_timeout_ms = 100});
    int fd = peer_connect(own.port);
    peer_say(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    struct peer_answer answer = peer_read(fd, false);
    assert_int_equal(answer.status, 200);
    char rest[16];
    assert_int_equal(recv(fd, rest, sizeof(rest), 0), 0);
    peer_answer_fini(&answer);
    (void)close(fd);
    stage_end(&own);
}

static void a_5xx_is_logged_with_its_cause_and_a_200_is_not(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct cairn_log *log = cairn_log_new(ends[1], CAIRN_LOG_WARN, cairn_clock_system());
    assert_non_null(log);
    struct stage own;
    stage_begin(&own, (struct cairn_http_options){.connections_max = 2, .log = log});
    struct peer_answer answer = peer_ask(own.port, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    peer_answer_fini(&answer);
    answer = peer_ask(own.port, "GET /fail HTTP/1.1\r\nHost: x\r\nX-Request-Id: r1\r\n\r\n");
    peer_answer_fini(&answer);
    stage_end(&own);
    cairn_log_free(log);
    (void)close(ends[1]);
    char text[4096] = "";
    ssize_t size = read(ends[0], text, sizeof(text) - 1);
    assert_true(size > 0);
    assert_non_null(strstr(text, "\"status\":503"));
    assert_non_null(strstr(text, "\"request_id\":\"r1\""));
    assert_non_null(strstr(text, "room"));
    assert_null(strstr(text, "/hello"));
    (void)close(ends[0]);
}

static void an_address_in_use_is_named(void **state)
{
    (void)state;
    char listen_text[32];
    (void)snprintf(listen_text, sizeof(listen_text), "127.0.0.1:%d", stage.port);
    struct cairn_http_options options = {.listen = listen_text, .connections_max = 2};
    struct cairn_http *http = NULL;
    struct cairn_err err;
    assert_int_equal(cairn_http_start(&options, &http, &err), CAIRN_EIO);
    assert_non_null(strstr(err.text, listen_text));
    assert_non_null(strstr(err.text, "in use"));
    assert_null(http);
}

static void an_address_that_is_none_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *listen;
        enum cairn_rc rc;
    } cases[] = {{"", CAIRN_EINVAL},
                 {"8080", CAIRN_EINVAL},
                 {":8080", CAIRN_EINVAL},
                 {"127.0.0.1:", CAIRN_EINVAL},
                 {"127.0.0.1:x", CAIRN_EINVAL},
                 {"127.0.0.1:65536", CAIRN_EINVAL},
                 {"1.2.3.4.5:80", CAIRN_EINVAL},
                 {"[::1]:0", CAIRN_EUNSUPPORTED}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cairn_http_options options = {.listen = cases[i].listen, .connections_max = 2};
        struct cairn_http *http = NULL;
        struct cairn_err err;
        assert_int_equal(cairn_http_start(&options, &http, &err), cases[i].rc);
        assert_null(http);
    }
}

static void a_start_without_memory_fails_or_serves(void **state)
{
    (void)state;
    static const struct cairn_http_route route = {
        .method = "GET", .pattern = "/empty", .handler = stage_empty};
    for (int after = 0; after == 0 || cairn_fault_fired(CAIRN_FAULT_MEM); after++) {
        struct cairn_metrics *metrics = cairn_metrics_new();
        assert_non_null(metrics);
        struct cairn_http_options options = {.listen = "127.0.0.1:0",
                                             .routes = &route,
                                             .route_count = 1,
                                             .connections_max = 1,
                                             .metrics = metrics};
        struct cairn_http *http = NULL;
        struct cairn_err err;
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = cairn_http_start(&options, &http, &err);
        if (rc == CAIRN_OK) {
            struct peer_answer answer =
                peer_ask(cairn_http_port(http),
                         "GET /empty HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            /* Without memory a worker answers 503, or closes where there is none for a head. */
            assert_true(answer.status == 204 || answer.status == 503 || answer.status == 500 ||
                        answer.status == 0);
            peer_answer_fini(&answer);
        } else {
            assert_int_equal(rc, CAIRN_ENOMEM);
            assert_null(http);
        }
        cairn_http_stop(http);
        bool fired = cairn_fault_fired(CAIRN_FAULT_MEM);
        cairn_metrics_free(metrics);
        if (!fired) {
            break;
        }
    }
    cairn_fault_disarm();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_has_its_fields),
        cmocka_unit_test(an_odd_request_id_is_replaced_and_an_odd_trace_dropped),
        cmocka_unit_test(captures_and_parameters_arrive_decoded),
        cmocka_unit_test(head_is_get_without_the_body),
        cmocka_unit_test(an_unknown_path_or_method_leaves_the_connection_open),
        cmocka_unit_test(problems_carry_what_the_handler_says),
        cmocka_unit_test(an_answer_that_does_not_fit_is_a_500),
        cmocka_unit_test(no_content_has_neither_body_nor_length),
        cmocka_unit_test(a_large_answer_arrives_whole),
        cmocka_unit_test(body_limits_hold_exactly),
        cmocka_unit_test(an_expecting_client_is_told_to_go_on),
        cmocka_unit_test(an_expecting_client_is_refused_before_it_sends),
        cmocka_unit_test(http_1_0_closes_unless_asked),
        cmocka_unit_test(accept_is_weighed),
        cmocka_unit_test(requests_are_counted),
        cmocka_unit_test(a_stream_comes_in_pieces_and_head_gets_none),
        cmocka_unit_test(an_idle_connection_is_closed_without_a_word),
        cmocka_unit_test(a_5xx_is_logged_with_its_cause_and_a_200_is_not),
        cmocka_unit_test(an_address_in_use_is_named),
        cmocka_unit_test(an_address_that_is_none_is_refused),
        cmocka_unit_test(a_connection_over_the_limit_is_told_so),
        cmocka_unit_test(a_stop_finishes_what_was_accepted),
        cmocka_unit_test(a_request_that_stalls_delays_a_stop_by_the_drain_timeout),
        cmocka_unit_test(a_thousand_idle_connections_starve_nobody),
        cmocka_unit_test(a_start_without_memory_fails_or_serves),
    };
    return cmocka_run_group_tests(tests, begin_stage, end_stage);
}
