/* The client against peers that misbehave: every failure says whether anything was sent. */
#include "platform/fault.h"
#include "tests/support/http_client_stage.h"

static void no_listener_means_nothing_was_sent(void **state)
{
    (void)state;
    int port = 0;
    int fd = host_bind(&port); /* which keeps the port, and listens not */
    char url[HOST_URL_MAX];
    struct cairn_http_call call = host_call(port, "POST", "/", url);
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
    (void)close(fd);
}

static void a_failed_handshake_means_nothing_was_sent(void **state)
{
    (void)state;
    struct host host;
    host_begin(&host, "", 0, false);
    char url[HOST_URL_MAX];
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
    int fd = host_listen(&port); /* the kernel connects, and nobody says hello */
    struct cairn_http_client *fresh = NULL;
    struct cairn_err err;
    struct cairn_http_client_options options = {.connect_timeout_ms = HOST_TIMEOUT_MS};
    assert_ok(cairn_http_client_new(&options, &fresh, &err), &err);
    char url[HOST_URL_MAX];
    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%d/", port);
    struct cairn_http_call call = {.method = CAIRN_SLICE_LIT("POST"), .url = cairn_slice_str(url)};
    struct cairn_http_answer answer;
    /* Where the option goes unheard, it takes the 5 s of its default, each time. */
    int64_t took_ns = INT64_MAX;
    for (int i = 0; i < 3 && took_ns > INT64_C(4900000000); i++) {
        int64_t begin_ns = cairn_clock_monotonic_ns(cairn_clock_system());
        assert_int_equal(cairn_http_client_request(fresh, &call, &arena, &answer, &err),
                         CAIRN_EUNREACHABLE);
        took_ns = cairn_clock_monotonic_ns(cairn_clock_system()) - begin_ns;
    }
    assert_true(took_ns < INT64_C(4900000000));
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
        enum cairn_rc rc =
            host_outcome("POST", cases[i].answer, cases[i].stays_open, &arena, &answer, &err);
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
    assert_ok(host_outcome("POST", text, false, &arena, &answer, &err), &err);
    assert_int_equal(answer.body.size, 1000);
    (void)snprintf(text + size, sizeof(text) - (size_t)size, "8");
    assert_int_equal(host_outcome("POST", text, false, &arena, &answer, &err), CAIRN_ETOOBIG);
    assert_int_equal(host_outcome("POST", "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", true,
                                  &arena, &answer, &err) == CAIRN_OK,
                     false);
    (void)snprintf(text, sizeof(text),
                   "HTTP/1.1 200 OK\r\nX: %066000d\r\nContent-Length: 0\r\n\r\n", 7);
    assert_int_equal(host_outcome("POST", text, false, &arena, &answer, &err), CAIRN_ETOOBIG);
    size = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (int i = 0; i < CAIRN_HTTP_CLIENT_FIELDS_MAX; i++) {
        size += snprintf(text + size, sizeof(text) - (size_t)size, "X: 1\r\n");
    }
    (void)snprintf(text + size, sizeof(text) - (size_t)size, "\r\n");
    assert_int_equal(host_outcome("POST", text, false, &arena, &answer, &err), CAIRN_ETOOBIG);
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
    char url[HOST_URL_MAX];
    struct cairn_http_call call = host_call(host->port, method, "/", url);
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
    char url[HOST_URL_MAX];
    struct cairn_http_call call = host_call(stage.port, "POST", "/body", url);
    assert_int_equal(cairn_http_client_request(client, &call, &arena, &answer, &err),
                     CAIRN_EUNREACHABLE);
    stage_begin(&stage, (struct cairn_http_options){.connections_max = 32});
    assert_int_equal(ask("POST", "/body", CAIRN_SLICE_LIT("again")).status, 200);
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
        struct cairn_arena own = {.max = CLIENT_ARENA_MAX};
        char url[HOST_URL_MAX];
        struct cairn_http_call call = host_call(host.port, "POST", "/", url);
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
    char url[HOST_URL_MAX];
    struct cairn_http_call call = host_call(stage.port, "GET", "/large", url);
    struct cairn_http_answer answer;
    struct cairn_err err;
    assert_int_equal(cairn_http_client_request(client, &call, &small, &answer, &err),
                     CAIRN_EUNKNOWN);
    cairn_arena_fini(&small);
}

int main(void)
{
    /* Without the server: its threads allocate too, and would take the fault away. */
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(no_memory_is_told_apart_by_what_was_sent),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_listener_means_nothing_was_sent),
        cmocka_unit_test(a_failed_handshake_means_nothing_was_sent),
        cmocka_unit_test(a_connect_or_handshake_that_takes_too_long_has_sent_nothing),
        cmocka_unit_test(a_broken_answer_leaves_the_outcome_unknown),
        cmocka_unit_test(an_answer_past_a_limit_is_too_big),
        cmocka_unit_test(a_post_is_written_once_where_a_kept_connection_breaks),
        cmocka_unit_test(a_get_is_tried_again_where_a_kept_connection_breaks),
        cmocka_unit_test(a_connection_that_was_closed_while_idle_is_made_anew),
        cmocka_unit_test(an_arena_too_small_for_the_answer_is_unknown),
    };
    return cmocka_run_group_tests_name("http_client_broken_faults", alone, NULL, NULL) +
           cmocka_run_group_tests_name("http_client_broken", tests, begin, end);
}
