/* Views, streams and pages of events, asked over a real connection. */
#include "tests/unit/query/world.h"

#include "tests/support/cm.h"

static int open_world(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world_open(world);
    *state = world;
    return 0;
}

static int open_three_partitions(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world->partitions = 3;
    world_open(world);
    *state = world;
    return 0;
}

static int open_alone(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world->alone = true;
    world->stateless = true;
    world_open(world);
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    world_close(*state);
    free(*state);
    return 0;
}

/* Ann 300, Bob 100, Cid 200, Dee 0. */
static void fill_accounts(struct world *world)
{
    static const struct {
        const char *stream, *owner;
        int cents;
    } rows[] = {{"account-1", "Ann", 300},
                {"account-2", "Bob", 100},
                {"account-3", "Cid", 200},
                {"account-4", "Dee, \\\"D\\\"", 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        world_open_account(world, rows[i].stream, rows[i].owner);
        if (rows[i].cents > 0) {
            world_deposit(world, rows[i].stream, rows[i].cents);
        }
    }
    world_settle(world, "balances");
}

/* ---- views ---- */

static void a_row_is_its_document_and_its_key(void **state)
{
    struct world *world = *state;
    fill_accounts(world);
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
    fill_accounts(world);
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
    fill_accounts(world);
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
    fill_accounts(world);
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
    fill_accounts(world);
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
    fill_accounts(world);
    static const struct {
        const char *path, *says;
    } rows[] = {
        {"/views/balances?foo=eq.1", "unknown column or parameter \\\"foo\\\"; columns: key, "},
        {"/views/balances?foo=1", "unknown column or parameter \\\"foo\\\""},
        {"/views/balances?order=foo.desc", "unknown column or parameter \\\"foo\\\""},
        {"/views/balances?cents=like.1", "operator \\\"like\\\" is not supported by LMDB views"},
        {"/views/balances?or=(cents.eq.1)", "bad-query"},
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
    fill_accounts(world);
    world_expect(world, "/views/nothing", "", 404, "there is no view");
    world_expect(world, "/views/nothing/1", "", 404, "there is no view");
    world_expect(world, "/views/balances/9", "", 404, "has no row \\\"9\\\"");
    world_expect(world, "/views/balances/9", "", 404, "\"position\":\"0:7\"");
    world_expect(world, "/views/daily", "", 501, "needs --postgres");
    world_expect(world, "/queries/top", "", 501, "needs --postgres");
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
    fill_accounts(world);
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
    fill_accounts(world);
    struct peer_answer answer = world_get(world, "/views", "");
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body, "{\"name\":\"balances\",\"kind\":\"lmdb\",\"state\":"
                                        "\"live\",\"position\":\"0:7\",\"lag\":0,"
                                        "\"lag_seconds\":0.0,\"rows\":4"));
    assert_non_null(strstr(answer.body, "\"columns\":[\"owner\",\"cents\"]"));
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

/* ---- waiting ---- */

static void a_read_waits_for_the_position_it_carries(void **state)
{
    struct world *world = *state;
    world_open_account(world, "account-1", "Ann");
    int fd = peer_connect(world->port);
    peer_say(fd, "GET /views/balances/1 HTTP/1.1\r\nHost: h\r\nCairn-Position: 0:2\r\n"
                 "Prefer: wait=20\r\n\r\n");
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
                       "Prefer: wait=20\r\n\r\n",
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

/* ---- streams ---- */

static void a_stream_reads_both_ways_in_pages(void **state)
{
    struct world *world = *state;
    world_open_account(world, "account-1", "Ann");
    world_deposit(world, "account-1", 1);
    world_deposit(world, "account-1", 2);
    struct peer_answer first = world_get(world, "/streams/account-1?limit=2", "");
    assert_int_equal(first.status, 200);
    assert_non_null(strstr(first.body, "\"streamversion\":1"));
    assert_non_null(strstr(first.body, "\"streamversion\":2"));
    assert_non_null(strstr(first.body, "\"next\":\"2\""));
    assert_non_null(strstr(first.body, "\"subject\":\"account-1\""));
    assert_non_null(strstr(first.body, "\"position\":\"0:2\""));
    peer_answer_fini(&first);
    struct peer_answer second = world_get(world, "/streams/account-1?limit=2&after=2", "");
    assert_null(strstr(second.body, "\"next\""));
    assert_non_null(strstr(second.body, "\"data\":{\"cents\":2}"));
    peer_answer_fini(&second);
    struct peer_answer back = world_get(world, "/streams/account-1?direction=backward&limit=2", "");
    assert_non_null(strstr(back.body, "\"next\":\"2\""));
    assert_true(strstr(back.body, "\"streamversion\":3") <
                strstr(back.body, "\"streamversion\":2"));
    peer_answer_fini(&back);
    world_expect(world, "/streams/account-1?direction=backward&after=2", "", 200,
                 "\"streamversion\":1");
    world_expect(world, "/streams/account-1?after=99", "", 200, "{\"items\":[]}");
}

static void state_is_told_as_of_a_version(void **state)
{
    struct world *world = *state;
    world_open_account(world, "account-1", "Ann");
    world_deposit(world, "account-1", 1);
    world_expect(world, "/streams/account-1/state", "", 200,
                 "{\"stream\":\"account-1\",\"version\":2,\"state\":{\"events\":2}}");
    world_expect(world, "/streams/account-1/state?version=1", "", 200,
                 "\"version\":1,\"state\":{\"events\":1}");
}

static void events_of_an_older_schema_are_lifted_for_readers(void **state)
{
    struct world *world = *state;
    world_open_account(world, "account-1", "Ann");
    (void)world_append(world, "account-1", &(struct fact){"Deposited", "{\"pounds\":3}", 1}, 1);
    world_expect(world, "/streams/account-1", "", 200, "\"data\":{\"cents\":300}");
    world_expect(world, "/events", "", 200, "\"data\":{\"cents\":300}");
    world_settle(world, "balances");
    world_expect(world, "/views/balances/1", "", 200, "\"cents\":300");
}

/* ---- events ---- */

static void events_page_to_the_end_and_go_on_from_there(void **state)
{
    struct world *world = *state;
    fill_accounts(world);
    struct peer_answer first = world_get(world, "/events?limit=4", "");
    assert_int_equal(first.status, 200);
    assert_non_null(strstr(first.body, "\"next\":\"0:4\""));
    assert_non_null(strstr(first.body, "\"specversion\":\"1.0\""));
    peer_answer_fini(&first);
    struct peer_answer second = world_get(world, "/events?limit=4&after=0:4", "");
    assert_null(strstr(second.body, "\"next\""));
    assert_null(strstr(second.body, "\"position\":\"0:4\""));
    assert_non_null(strstr(second.body, "\"position\":\"0:7\""));
    assert_true(peer_has(&second, "Cairn-Position", "0:7"));
    peer_answer_fini(&second);
    world_expect(world, "/events?after=0:7", "", 200, "{\"items\":[]}");
    world_expect(world, "/events?after=end", "", 200, "{\"items\":[]}");
    struct peer_answer whole = world_get(world, "/events?limit=7", "");
    assert_non_null(strstr(whole.body, "\"position\":\"0:7\""));
    assert_null(strstr(whole.body, "\"next\""));
    peer_answer_fini(&whole);
}

static void events_are_chosen_by_type_and_aggregate(void **state)
{
    struct world *world = *state;
    fill_accounts(world);
    struct peer_answer opened = world_get(world, "/events?type=Opened", "");
    assert_null(strstr(opened.body, "\"type\":\"Deposited\""));
    assert_non_null(strstr(opened.body, "\"subject\":\"account-4\""));
    peer_answer_fini(&opened);
    struct peer_answer both = world_get(world, "/events?type=Opened,Deposited&limit=7", "");
    assert_non_null(strstr(both.body, "\"position\":\"0:7\""));
    peer_answer_fini(&both);
    struct peer_answer other = world_get(world, "/events?aggregate=invoice", "");
    assert_string_equal(other.body, "{\"items\":[]}");
    assert_true(peer_has(&other, "Cairn-Position", "0:7"));
    peer_answer_fini(&other);
}

static void a_page_may_begin_and_end_inside_a_command(void **state)
{
    struct world *world = *state;
    const struct fact facts[] = {{"Opened", "{\"owner\":\"Ann\"}", 1},
                                 {"Deposited", "{\"cents\":1}", 2},
                                 {"Deposited", "{\"cents\":2}", 2}};
    (void)world_append(world, "account-1", facts, 3);
    world_expect(world, "/events?limit=2", "", 200, "\"next\":\"0:2\"");
    struct peer_answer rest = world_get(world, "/events?after=0:2", "");
    assert_non_null(strstr(rest.body, "\"streamversion\":3"));
    assert_null(strstr(rest.body, "\"streamversion\":2"));
    peer_answer_fini(&rest);
}

/* Walk all pages of one event each; every event comes once, each stream in order. */
static void positions_are_vectors_with_several_partitions(void **state)
{
    struct world *world = *state;
    enum { STREAMS = 12, EACH = 3 };
    unsigned versions[STREAMS] = {0};
    for (int v = 0; v < EACH; v++) {
        for (int s = 0; s < STREAMS; s++) {
            char stream[32];
            (void)snprintf(stream, sizeof(stream), "account-%d", s);
            world_open_account(world, stream, "x");
        }
    }
    char after[128] = "0:0";
    char last_time[40] = "";
    for (int i = 0; i < STREAMS * EACH; i++) {
        char path[200];
        (void)snprintf(path, sizeof(path), "/events?limit=1&after=%s", after);
        struct peer_answer answer = world_get(world, path, "");
        assert_int_equal(answer.status, 200);
        const char *subject = strstr(answer.body, "\"subject\":\"account-");
        const char *version = strstr(answer.body, "\"streamversion\":");
        const char *position = strstr(answer.body, "\"position\":\"");
        const char *time = strstr(answer.body, "\"time\":\"");
        assert_true(subject != NULL && version != NULL && position != NULL && time != NULL);
        unsigned long s = strtoul(subject + 19, NULL, 10);
        assert_true(s < STREAMS);
        assert_int_equal(strtoul(version + 16, NULL, 10), ++versions[s]);
        (void)snprintf(after, sizeof(after), "%.*s", (int)strcspn(position + 12, "\""),
                       position + 12);
        char now[40];
        (void)snprintf(now, sizeof(now), "%.*s", (int)strcspn(time + 8, "\""), time + 8);
        assert_true(strcmp(last_time, now) < 0);
        memcpy(last_time, now, sizeof(now));
        assert_int_equal(strstr(answer.body, "\"next\"") == NULL, i == STREAMS * EACH - 1);
        peer_answer_fini(&answer);
    }
    for (int s = 0; s < STREAMS; s++) {
        assert_int_equal(versions[s], EACH);
    }
    assert_non_null(strchr(after, ','));
}

/* ---- the console ---- */

static void the_console_is_served_under_a_strict_policy(void **state)
{
    struct world *world = *state;
    struct peer_answer answer = world_get(world, "/", "");
    assert_int_equal(answer.status, 200);
    assert_true(peer_has(&answer, "Content-Type", "text/html; charset=utf-8"));
    const char *policy = peer_field(&answer, "Content-Security-Policy");
    assert_non_null(policy);
    assert_int_equal(strncmp(policy, "default-src 'none'; script-src 'nonce-", 38), 0);
    char nonce[60];
    (void)snprintf(nonce, sizeof(nonce), "<script nonce=\"%.32s\">", policy + 38);
    assert_non_null(strstr(answer.body, nonce));
    static const char *const banned[] = {"{{nonce}}",          "innerHTML",      "outerHTML",
                                         "insertAdjacentHTML", "document.write", " style=\"",
                                         "http://1",           "https://",       "eval("};
    for (size_t i = 0; i < sizeof(banned) / sizeof(banned[0]); i++) {
        assert_null(strstr(answer.body, banned[i]));
    }
    struct peer_answer again = world_get(world, "/", "");
    assert_null(strstr(again.body, nonce));
    peer_answer_fini(&answer);
    peer_answer_fini(&again);
}

#define TEST(name)  cmocka_unit_test_setup_teardown(name, open_world, close_world)
#define ALONE(name) cmocka_unit_test_setup_teardown(name, open_alone, close_world)
#define THREE(name) cmocka_unit_test_setup_teardown(name, open_three_partitions, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_row_is_its_document_and_its_key),
        TEST(an_unchanged_row_is_not_sent_again),
        TEST(the_two_forms_have_different_tags_and_one_meaning),
        TEST(rows_are_filtered_ordered_and_paged),
        TEST(a_cursor_goes_on_where_the_page_ended),
        TEST(bad_queries_are_named_with_what_is_allowed),
        TEST(what_is_not_there_is_404_and_what_needs_postgres_501),
        TEST(forms_that_cannot_be_made_are_406),
        TEST(views_tell_their_state),
        TEST(a_stopped_view_answers_and_says_so),
        TEST(a_read_waits_for_the_position_it_carries),
        TEST(streams_and_events_wait_for_the_log),
        TEST(waiting_ends_with_the_time),
        TEST(positions_that_cannot_be_are_refused_at_once),
        ALONE(without_a_view_store_views_are_building),
        TEST(a_stream_reads_both_ways_in_pages),
        TEST(state_is_told_as_of_a_version),
        TEST(events_of_an_older_schema_are_lifted_for_readers),
        TEST(events_page_to_the_end_and_go_on_from_there),
        TEST(events_are_chosen_by_type_and_aggregate),
        TEST(a_page_may_begin_and_end_inside_a_command),
        THREE(positions_are_vectors_with_several_partitions),
        TEST(the_console_is_served_under_a_strict_policy),
    };
    return cmocka_run_group_tests_name("query api", tests, NULL, NULL);
}
