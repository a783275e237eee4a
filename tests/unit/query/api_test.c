/* Views, and what all answers have in common, asked over a real connection. */
#include "tests/unit/query/world.h"

#include "tests/support/cm.h"

static void a_row_is_its_document_and_its_key(void **state)
{
    struct world *world = *state;
    world_fill(world);
    struct peer_answer answer = world_get(world, "/views/balances/1", "");
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "{\"key\":\"1\",\"cents\":300,\"owner\":\"Ann\"}");
    assert_true(peer_has(&answer, "Content-Type", "application/json"));
    assert_true(peer_has(&answer, "Cairn-Position", "0:7"));
    assert_true(peer_has(&answer, "Cairn-Lag", "0"));
    assert_true(peer_has(&answer, "Cache-Control", "no-cache"));
    assert_true(peer_has(&answer, "Vary", "Accept"));
    assert_null(peer_field(&answer, "Cairn-View-State"));
    assert_non_null(peer_field(&answer, "ETag"));
    peer_answer_fini(&answer);
}

static void an_unchanged_row_is_not_sent_again(void **state)
{
    struct world *world = *state;
    world_fill(world);
    struct peer_answer first = world_get(world, "/views/balances/1", "");
    char header[80];
    (void)snprintf(header, sizeof(header), "If-None-Match: %.18s\r\n", peer_field(&first, "ETag"));
    world_deposit(world, "account-2", 1);
    world_settle(world, "balances");
    struct peer_answer again = world_get(world, "/views/balances/1", header);
    assert_int_equal(again.status, 304);
    assert_int_equal(again.body_size, 0);
    assert_true(peer_has(&again, "Cairn-Position", "0:8"));
    assert_non_null(peer_field(&again, "ETag"));
    world_deposit(world, "account-1", 1);
    world_settle(world, "balances");
    world_expect(world, "/views/balances/1", header, 200, "\"cents\":301");
    peer_answer_fini(&first);
    peer_answer_fini(&again);
}

static void the_two_forms_have_different_tags_and_one_meaning(void **state)
{
    struct world *world = *state;
    world_fill(world);
    struct peer_answer text = world_get(world, "/views/balances/3", "");
    struct peer_answer packed =
        world_get(world, "/views/balances/3", "Accept: application/msgpack\r\n");
    assert_int_equal(packed.status, 200);
    assert_true(peer_has(&packed, "Content-Type", "application/msgpack"));
    assert_int_not_equal(strncmp(peer_field(&text, "ETag"), peer_field(&packed, "ETag"), 18), 0);
    struct cairn_arena arena = {.max = 1u << 16};
    struct cairn_value left;
    struct cairn_value right;
    struct cairn_err err;
    assert_ok(cairn_json_read(cairn_slice_of(text.body, text.body_size), &arena, &left, NULL, &err),
              &err);
    assert_ok(cairn_msgpack_read(cairn_slice_of(packed.body, packed.body_size), CAIRN_MSGPACK_DATA,
                                 &arena, &right, NULL, &err),
              &err);
    assert_true(cairn_value_equal(&left, &right));
    cairn_arena_fini(&arena);
    peer_answer_fini(&text);
    peer_answer_fini(&packed);
}

static void rows_are_filtered_ordered_and_paged(void **state)
{
    struct world *world = *state;
    world_fill(world);
    static const struct {
        const char *query, *body;
    } rows[] = {
        {"?cents=gte.200&order=cents.desc", "{\"items\":[{\"key\":\"1\",\"cents\":300,\"owner\":"
                                            "\"Ann\"},{\"key\":\"3\",\"cents\":200,\"owner\":"
                                            "\"Cid\"}]}"},
        {"?owner=eq.Bob", "{\"items\":[{\"key\":\"2\",\"cents\":100,\"owner\":\"Bob\"}]}"},
        {"?owner=in.(Bob,%22Dee,%20%5C%22D%5C%22%22)&order=cents",
         "{\"items\":[{\"key\":\"4\",\"cents\":0,\"owner\":\"Dee, \\\"D\\\"\"},{\"key\":\"2\","
         "\"cents\":100,\"owner\":\"Bob\"}]}"},
        {"?cents=gt.100&cents=lt.300", "{\"items\":[{\"key\":\"3\",\"cents\":200,\"owner\":"
                                       "\"Cid\"}]}"},
        {"?owner=eq.Nobody", "{\"items\":[]}"},
        {"?key=eq.2", "{\"items\":[{\"key\":\"2\",\"cents\":100,\"owner\":\"Bob\"}]}"},
        {"?or=(owner.eq.Bob,and(cents.gt.200,not.owner.is.null))&select=owner",
         "{\"items\":[{\"key\":\"1\",\"owner\":\"Ann\"},{\"key\":\"2\",\"owner\":\"Bob\"}]}"},
        {"?owner=like.*,*%22&select=key,cents,colour", "{\"items\":[{\"key\":\"4\",\"cents\":0}]}"},
        {"?owner=not.in.(Ann,Bob,Cid)&select=key", "{\"items\":[{\"key\":\"4\"}]}"},
        {"?not.or=(cents.eq.0,owner.like.A*)&cents=not.lt.200&select=cents",
         "{\"items\":[{\"key\":\"3\",\"cents\":200}]}"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[200];
        (void)snprintf(path, sizeof(path), "/views/balances%s", rows[i].query);
        struct peer_answer answer = world_get(world, path, "");
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer.body, rows[i].body);
        peer_answer_fini(&answer);
    }
}

static void a_cursor_goes_on_where_the_page_ended(void **state)
{
    struct world *world = *state;
    world_fill(world);
    struct peer_answer first = world_get(world, "/views/balances?order=cents.desc&limit=3", "");
    const char *next = strstr(first.body, "\"next\":\"");
    assert_non_null(next);
    char path[300];
    (void)snprintf(path, sizeof(path), "/views/balances?order=cents.desc&limit=3&cursor=%.*s",
                   (int)strcspn(next + 8, "\""), next + 8);
    struct peer_answer second = world_get(world, path, "");
    assert_int_equal(second.status, 200);
    assert_non_null(strstr(second.body, "\"key\":\"4\""));
    assert_null(strstr(second.body, "\"next\""));
    peer_answer_fini(&first);
    peer_answer_fini(&second);
}

static void bad_queries_are_named_with_what_is_allowed(void **state)
{
    struct world *world = *state;
    world_fill(world);
    static const struct {
        const char *path, *says;
    } rows[] = {
        {"/views/balances?foo=eq.1", "unknown column or parameter \\\"foo\\\"; columns: key, "},
        {"/views/balances?foo=1", "unknown column or parameter \\\"foo\\\""},
        {"/views/balances?order=foo.desc", "unknown column or parameter \\\"foo\\\""},
        {"/views/balances?cents=ilike.1", "operator \\\"ilike\\\" is not supported"},
        {"/views/balances?or=(cents.eq.1", "\\\"or\\\": a list of filters has no closing"},
        {"/views/balances?or=(cents.eq.1,foo.eq.2)", "no index \\\"foo\\\""},
        {"/views/balances?select=a::text", "\\\"select\\\": wants names of columns"},
        {"/views/balances?foo=eq.1&or=(cents.eq.1)", "unknown column or parameter \\\"foo\\\""},
        {"/views/balances?limit=0", "1 to 1000"},
        {"/views/balances?cursor=%25", "bad-query"},
        {"/views/balances/1?limit=3", "unknown parameter \\\"limit\\\"; allowed: none"},
        {"/views?limit=3", "unknown parameter"},
        {"/streams/account-1?from=3", "unknown parameter \\\"from\\\"; allowed: after, limit, "},
        {"/streams/account-1?after=x", "\\\"after\\\" is \\\"x\\\"; it must be an integer"},
        {"/streams/account-1?limit=1001", "1 to 1000"},
        {"/streams/account-1?limit=1&limit=2", "given twice"},
        {"/streams/account-1?direction=up", "allowed: forward, backward"},
        {"/streams/account-1/state?version=0", "1 to"},
        {"/events?after=soon", "it must be a position"},
        {"/events?after=1:7", "names partition 1; the log has 1"},
        {"/events?type=a%20b", "is no name"},
        {"/events?aggregate=", "is no name"},
        {"/events?kind=x", "allowed: after, aggregate, type, limit"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        world_expect(world, rows[i].path, "", 400, rows[i].says);
        world_expect(world, rows[i].path, "", 400, "\"type\":\"/problems/bad-query\"");
    }
}

static void what_is_not_there_is_404_and_what_needs_postgres_501(void **state)
{
    struct world *world = *state;
    world_fill(world);
    world_expect(world, "/views/nothing", "", 404, "there is no view");
    world_expect(world, "/views/nothing/1", "", 404, "there is no view");
    world_expect(world, "/views/balances/9", "", 404, "has no row \\\"9\\\"");
    world_expect(world, "/views/balances/9", "", 404, "\"position\":\"0:7\"");
    world_expect(world, "/views/daily", "", 501, "start the service with --postgres");
    world_expect(world, "/queries/top", "", 501, "start the service with --postgres");
    world_expect(world, "/queries/bottom", "", 404, "there is no query");
    world_expect(world, "/queries/..%2f..%2fdomain", "", 404, "there is no query");
    world_expect(world, "/streams/account-9", "", 404, "there is no stream");
    world_expect(world, "/streams/account-9/state", "", 404, "there is no stream");
    world_expect(world, "/streams/no%20stream", "", 404, "there is no stream");
    world_expect(world, "/streams/account-1/state?version=99", "", 404, "version");
}

static void forms_that_cannot_be_made_are_406(void **state)
{
    struct world *world = *state;
    world_fill(world);
    static const char *const paths[] = {"/views",
                                        "/views/balances",
                                        "/views/balances/1",
                                        "/streams/account-1",
                                        "/streams/account-1/state",
                                        "/events"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        world_expect(world, paths[i], "Accept: image/png\r\n", 406,
                     "application/json or application/msgpack");
        world_expect(world, paths[i], "Accept: application/msgpack\r\n", 200, NULL);
        world_expect(world, paths[i], "Accept: text/html,*/*;q=0.8\r\n", 200, "{\"");
    }
}

static void views_tell_their_state(void **state)
{
    struct world *world = *state;
    world_fill(world);
    struct peer_answer answer = world_get(world, "/views", "");
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body, "{\"name\":\"balances\",\"kind\":\"lmdb\",\"state\":"
                                        "\"live\",\"position\":\"0:7\",\"lag\":0,"
                                        "\"lag_seconds\":0.0,\"rows\":4"));
    assert_non_null(strstr(answer.body, "\"parked\":0,\"columns\":[\"owner\",\"cents\"]"));
    assert_non_null(strstr(answer.body, "{\"name\":\"daily\",\"kind\":\"postgres\",\"state\":"
                                        "\"unavailable\""));
    peer_answer_fini(&answer);
}

static void a_stopped_view_answers_and_says_so(void **state)
{
    struct world *world = *state;
    world_open_account(world, "account-1", "Ann");
    world_settle(world, "fragile");
    (void)world_append(world, "account-1", &(struct fact){"Bomb", "{}", 1}, 1);
    world_settle(world, "balances");
    /* The projector stops one view and goes on with the other; a wait for what the stopped one
     * cannot hold ends at once, with 503. */
    struct peer_answer behind =
        world_get(world, "/views/fragile/1", "Cairn-Position: 0:2\r\nPrefer: wait=60\r\n");
    assert_int_equal(behind.status, 503);
    assert_non_null(strstr(behind.body, "/problems/view-behind"));
    assert_non_null(strstr(behind.body, "\"position\":\"0:1\""));
    assert_true(peer_has(&behind, "Cairn-Position", "0:1"));
    assert_true(peer_has(&behind, "Preference-Applied", "wait=60"));
    assert_non_null(peer_field(&behind, "Retry-After"));
    struct peer_answer row = world_get(world, "/views/fragile/1", "");
    assert_int_equal(row.status, 200);
    assert_true(peer_has(&row, "Cairn-View-State", "stopped"));
    assert_true(peer_has(&row, "Cairn-Lag", "1"));
    world_expect(world, "/views", "", 200, "it went off");
    world_expect(world, "/views", "", 200, "\"state\":\"stopped\"");
    peer_answer_fini(&behind);
    peer_answer_fini(&row);
}

static void a_read_waits_for_the_position_it_carries(void **state)
{
    struct world *world = *state;
    world_open_account(world, "account-1", "Ann");
    int fd = peer_connect(world->port);
    peer_say(fd, "GET /views/balances/1 HTTP/1.1\r\nHost: h\r\nCairn-Position: 0:2\r\n"
                 "Prefer: wait=50\r\n\r\n");
    world_deposit(world, "account-1", 5);
    struct peer_answer answer = peer_read(fd, false);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body, "\"cents\":5"));
    peer_answer_fini(&answer);
    (void)close(fd);
}

static void streams_and_events_wait_for_the_log(void **state)
{
    struct world *world = *state;
    static const char *const paths[] = {"/streams/account-1", "/events", "/views",
                                        "/streams/account-1/state"};
    world_open_account(world, "account-1", "Ann");
    for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        char request[200];
        int fd = peer_connect(world->port);
        (void)snprintf(request, sizeof(request),
                       "GET %s HTTP/1.1\r\nHost: h\r\nCairn-Position: 0:%u\r\n"
                       "Prefer: wait=50\r\n\r\n",
                       paths[i], 2 + i);
        peer_say(fd, request);
        world_deposit(world, "account-1", 5);
        struct peer_answer answer = peer_read(fd, false);
        assert_int_equal(answer.status, 200);
        char position[16];
        (void)snprintf(position, sizeof(position), "0:%u", 2 + i);
        assert_true(peer_has(&answer, "Cairn-Position", position));
        peer_answer_fini(&answer);
        (void)close(fd);
        world_expect(world, paths[i], "Cairn-Position: 0:999\r\nPrefer: wait=0\r\n", 503,
                     "/problems/view-behind");
    }
}

static void waiting_ends_with_the_time(void **state)
{
    struct world *world = *state;
    world_open_account(world, "account-1", "Ann");
    world_settle(world, "balances");
    int64_t begin_ns = cairn_clock_monotonic_ns(cairn_clock_system());
    world_expect(world, "/views/balances/1", "Cairn-Position: 0:9\r\nPrefer: wait=1\r\n", 503,
                 "/problems/view-behind");
    int64_t gone_ms = (cairn_clock_monotonic_ns(cairn_clock_system()) - begin_ns) / 1000000;
    assert_true(gone_ms >= 950);
}

static void positions_that_cannot_be_are_refused_at_once(void **state)
{
    struct world *world = *state;
    world_open_account(world, "account-1", "Ann");
    static const char *const headers[] = {"Cairn-Position: soon\r\n", "Cairn-Position: 0:1,\r\n",
                                          "Cairn-Position: 1:1\r\n", "Cairn-Position: \r\n"};
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        world_expect(world, "/views/balances", headers[i], 400, "Cairn-Position");
        world_expect(world, "/events", headers[i], 400, "Cairn-Position");
    }
}

static void without_a_view_store_views_are_building(void **state)
{
    struct world *world = *state;
    world_open_account(world, "account-1", "Ann");
    world_expect(world, "/views", "", 200, "\"state\":\"building\"");
    world_expect(world, "/views/balances", "", 503, "/problems/view-behind");
    world_expect(world, "/views/balances/1", "", 503, "no projector has made the view store");
    world_expect(world, "/views/nothing", "", 404, "there is no view");
    world_expect(world, "/streams/account-1/state", "", 501, "does not fold");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_row_is_its_document_and_its_key),
        WORLD_TEST(an_unchanged_row_is_not_sent_again),
        WORLD_TEST(the_two_forms_have_different_tags_and_one_meaning),
        WORLD_TEST(rows_are_filtered_ordered_and_paged),
        WORLD_TEST(a_cursor_goes_on_where_the_page_ended),
        WORLD_TEST(bad_queries_are_named_with_what_is_allowed),
        WORLD_TEST(what_is_not_there_is_404_and_what_needs_postgres_501),
        WORLD_TEST(forms_that_cannot_be_made_are_406),
        WORLD_TEST(views_tell_their_state),
        WORLD_TEST(a_stopped_view_answers_and_says_so),
        WORLD_TEST(a_read_waits_for_the_position_it_carries),
        WORLD_TEST(streams_and_events_wait_for_the_log),
        WORLD_TEST(waiting_ends_with_the_time),
        WORLD_TEST(positions_that_cannot_be_are_refused_at_once),
        WORLD_ALONE(without_a_view_store_views_are_building),
    };
    return cmocka_run_group_tests_name("query api", tests, NULL, NULL);
}
