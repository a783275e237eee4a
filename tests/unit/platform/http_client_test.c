/* The client against the real server: what it asks, and what it makes of answers. */
#include "tests/support/http_client_stage.h"

/* CONTINUE_BYTES: libcurl asks for 100 Continue before a body of more than 1 MiB, unless told not
 * to.
 */
enum { CONTINUE_BYTES = 1100 * 1024 };

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
    char url[HOST_URL_MAX];
    struct cairn_http_call call = host_call(host.port, "POST", "/commands?x=1", url);
    call.fields = fields;
    call.field_count = 2;
    char *body = malloc(CONTINUE_BYTES);
    assert_non_null(body);
    memset(body, 'b', CONTINUE_BYTES);
    call.body = cairn_slice_of(body, CONTINUE_BYTES);
    struct cairn_http_answer answer;
    struct cairn_err err;
    assert_ok(cairn_http_client_request(client, &call, &arena, &answer, &err), &err);
    host_end(&host);
    char expected[512];
    (void)snprintf(expected, sizeof(expected),
                   "POST /commands?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\n"
                   "Idempotency-Key: k-1\r\nX-Empty:\r\nContent-Length: %d\r\n\r\n",
                   host.port, CONTINUE_BYTES);
    free(body);
    assert_memory_equal(host.last, expected, strlen(expected));
    assert_int_equal(strlen(host.last), strlen(expected) + CONTINUE_BYTES);
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
    char url[HOST_URL_MAX];
    struct cairn_http_call call = host_call(host.port, "POST", "/", url);
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
    assert_ok(host_outcome("POST", text, false, &arena, &answer, &err), &err);
    assert_int_equal(answer.status, 307);
    assert_int_equal(atomic_load(&stage.handled), before);
}

static void an_interim_answer_is_passed_over(void **state)
{
    (void)state;
    struct cairn_http_answer answer;
    struct cairn_err err;
    assert_ok(host_outcome("POST",
                           "HTTP/1.1 103 Early Hints\r\nX-A: early\r\n\r\n"
                           "HTTP/1.1 200 OK\r\nX-A:  late \r\nContent-Length: 1\r\n\r\n!",
                           false, &arena, &answer, &err),
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
    assert_ok(host_outcome("GET",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
                           false, &arena, &answer, &err),
              &err);
    assert_true(cairn_slice_is(answer.body, "abcde"));
    assert_ok(
        host_outcome("GET", "HTTP/1.1 200 OK\r\n\r\nto the end", false, &arena, &answer, &err),
        &err);
    assert_true(cairn_slice_is(answer.body, "to the end"));
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
    char url[HOST_URL_MAX];
    struct cairn_http_call call = host_call(stage.port, "POST", "/body", url);
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
        cmocka_unit_test(a_call_that_cannot_be_sent_is_refused),
        cmocka_unit_test(a_field_that_would_smuggle_is_refused),
    };
    return cmocka_run_group_tests_name("http_client", tests, begin, end);
}
