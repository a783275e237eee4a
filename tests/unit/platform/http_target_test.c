#include "platform/http_int.h"

#include "tests/support/cm.h"

static struct cairn_arena arena = {.max = 1u << 20};

static enum cairn_rc split_path(const char *raw, struct cairn_http_path *path)
{
    struct cairn_err err;
    return cairn_http_path_split(cairn_slice_str(raw), &arena, path, &err);
}

static void an_escaped_slash_stays_inside_its_segment(void **state)
{
    (void)state;
    struct cairn_http_path path;
    assert_int_equal(split_path("/a%2Fb/c", &path), CAIRN_OK);
    assert_int_equal(path.count, 2);
    assert_true(cairn_slice_is(path.segments[0], "a/b"));
    assert_true(cairn_slice_is(path.segments[1], "c"));
}

static void segments_are_kept_as_sent(void **state)
{
    (void)state;
    struct cairn_http_path path;
    assert_int_equal(split_path("/a//../+%20%C3%A4/", &path), CAIRN_OK);
    assert_int_equal(path.count, 5);
    assert_int_equal(path.segments[1].size, 0);
    assert_true(cairn_slice_is(path.segments[2], ".."));
    assert_true(cairn_slice_is(path.segments[3], "+ \xC3\xA4")); /* '+' is a plus in a path */
    assert_int_equal(path.segments[4].size, 0);
}

static void a_path_that_cannot_be_decoded_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",           "a",    "/%",    "/%2",     "/%2x",
                                      "/%00",       "/%ff", "/%C3",  "/%c0%80", "/\xff",
                                      "/%ED%A0%80", "/a#b", "/a/%zz"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct cairn_http_path path = {.count = 99};
        assert_int_equal(split_path(bad[i], &path), CAIRN_EINVAL);
        assert_int_equal(path.count, 99); /* untouched */
    }
}

static void path_limits_hold_exactly(void **state)
{
    (void)state;
    struct cairn_http_path path;
    assert_int_equal(split_path("/1/2/3/4/5/6/7/8", &path), CAIRN_OK);
    assert_int_equal(split_path("/1/2/3/4/5/6/7/8/9", &path), CAIRN_ENOENT);
    char raw[CAIRN_HTTP_SEGMENT_BYTES_MAX + 3];
    memset(raw, 'x', sizeof(raw));
    raw[0] = '/';
    raw[CAIRN_HTTP_SEGMENT_BYTES_MAX + 1] = '\0';
    assert_int_equal(split_path(raw, &path), CAIRN_OK);
    raw[CAIRN_HTTP_SEGMENT_BYTES_MAX + 1] = 'x';
    raw[CAIRN_HTTP_SEGMENT_BYTES_MAX + 2] = '\0';
    assert_int_equal(split_path(raw, &path), CAIRN_EURITOOLONG);
}

static enum cairn_rc split_query(const char *raw, const struct cairn_http_param **params,
                                 size_t *count)
{
    struct cairn_err err;
    return cairn_http_query_split(cairn_slice_str(raw), &arena, params, count, &err);
}

static void a_query_is_decoded_in_order(void **state)
{
    (void)state;
    const struct cairn_http_param *params = NULL;
    size_t count = 0;
    assert_int_equal(split_query("&a=1+2&&b&c=%26%3D=&a=", &params, &count), CAIRN_OK);
    static const char *const want[][2] = {{"a", "1 2"}, {"b", ""}, {"c", "&=="}, {"a", ""}};
    assert_int_equal(count, 4);
    for (size_t i = 0; i < count; i++) {
        assert_true(cairn_slice_is(params[i].name, want[i][0]));
        assert_true(cairn_slice_is(params[i].value, want[i][1]));
        assert_non_null(params[i].value.data); /* present, though empty */
    }
}

static void query_faults_are_query_errors(void **state)
{
    (void)state;
    const struct cairn_http_param *params = NULL;
    size_t count = 7;
    assert_int_equal(split_query("a=%", &params, &count), CAIRN_EQUERY);
    assert_int_equal(split_query("%00=1", &params, &count), CAIRN_EQUERY);
    assert_int_equal(split_query("a=%ff", &params, &count), CAIRN_EQUERY);
    assert_int_equal(count, 7);
    char many[2 * CAIRN_HTTP_PARAMS_MAX + 3];
    for (size_t i = 0; i < sizeof(many) - 1; i += 2) {
        many[i] = 'a';
        many[i + 1] = '&';
    }
    many[sizeof(many) - 1] = '\0';
    assert_int_equal(split_query(many, &params, &count), CAIRN_EQUERY);
    many[2 * CAIRN_HTTP_PARAMS_MAX] = '\0';
    assert_int_equal(split_query(many, &params, &count), CAIRN_OK);
    assert_int_equal(count, CAIRN_HTTP_PARAMS_MAX);
}

static void literals_win_over_captures(void **state)
{
    (void)state;
    const struct cairn_http_route routes[] = {{.method = "GET", .pattern = "/{a}/x"},
                                              {.method = "GET", .pattern = "/views/{key}"},
                                              {.method = "GET", .pattern = "/views/x"},
                                              {.method = "POST", .pattern = "/views/{key}"}};
    struct cairn_http_router router;
    struct cairn_err err;
    assert_ok(cairn_http_router_init(&router, routes, 4, &err), &err);
    static const struct {
        const char *method;
        const char *path;
        size_t index;
    } cases[] = {{"GET", "/views/x", 2},  {"GET", "/views/y", 1},  {"GET", "/other/x", 0},
                 {"POST", "/views/x", 3}, {"HEAD", "/views/y", 1}, {"GET", "/view%73/x", 2}};
    struct cairn_buf allow = {.max = 128};
    struct cairn_http_path path;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(split_path(cases[i].path, &path), CAIRN_OK);
        const struct cairn_http_entry *entry =
            cairn_http_router_find(&router, &path, cairn_slice_str(cases[i].method), &allow);
        assert_non_null(entry);
        assert_int_equal(entry->index, cases[i].index);
    }
    assert_int_equal(split_path("/views/x", &path), CAIRN_OK);
    assert_null(cairn_http_router_find(&router, &path, CAIRN_SLICE_LIT("PUT"), &allow));
    assert_true(cairn_slice_is(cairn_buf_slice(&allow), "GET, HEAD, POST"));
    cairn_buf_truncate(&allow, 0);
    assert_int_equal(split_path("/views/", &path), CAIRN_OK);
    assert_null(cairn_http_router_find(&router, &path, CAIRN_SLICE_LIT("GET"), &allow));
    assert_int_equal(allow.size, 0); /* a capture takes no empty segment */
    cairn_buf_fini(&allow);
    cairn_http_router_fini(&router);
}

static void patterns_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "views", "/1/2/3/4/5/6/7/8/9"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct cairn_http_route route = {.method = "GET", .pattern = bad[i]};
        struct cairn_http_router router = {.count = 5};
        struct cairn_err err;
        assert_int_equal(cairn_http_router_init(&router, &route, 1, &err), CAIRN_EINVAL);
        assert_int_equal(router.count, 5);
    }
}

static void only_valid_trace_contexts_pass(void **state)
{
    (void)state;
    static const char good[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_true(cairn_http_traceparent_is_valid(cairn_slice_str(good)));
    assert_true(cairn_http_traceparent_is_valid(
        cairn_slice_str("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more")));
    static const char *const bad[] = {
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(cairn_http_traceparent_is_valid(cairn_slice_str(bad[i])));
    }
}

static void request_ids_are_sanitised(void **state)
{
    (void)state;
    assert_true(cairn_http_request_id_is_sane(CAIRN_SLICE_LIT("a-B_9.:~+/=@")));
    static const char *const bad[] = {"", "a b", "a\tb", "a\"b", "a<b", "\xC3\xA4", "a,b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(cairn_http_request_id_is_sane(cairn_slice_str(bad[i])));
    }
    char id[CAIRN_HTTP_REQUEST_ID_MAX + 1];
    memset(id, 'x', sizeof(id));
    assert_true(cairn_http_request_id_is_sane(cairn_slice_of(id, sizeof(id) - 1)));
    assert_false(cairn_http_request_id_is_sane(cairn_slice_of(id, sizeof(id))));
}

static int fini(void **state)
{
    (void)state;
    cairn_arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_escaped_slash_stays_inside_its_segment),
        cmocka_unit_test(segments_are_kept_as_sent),
        cmocka_unit_test(a_path_that_cannot_be_decoded_is_refused),
        cmocka_unit_test(path_limits_hold_exactly),
        cmocka_unit_test(a_query_is_decoded_in_order),
        cmocka_unit_test(query_faults_are_query_errors),
        cmocka_unit_test(literals_win_over_captures),
        cmocka_unit_test(patterns_that_are_none_are_refused),
        cmocka_unit_test(only_valid_trace_contexts_pass),
        cmocka_unit_test(request_ids_are_sanitised),
    };
    return cmocka_run_group_tests(tests, NULL, fini);
}
