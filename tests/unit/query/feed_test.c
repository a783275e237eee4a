/* The live feed, as a client with a socket sees it. */
#include "tests/unit/query/world.h"

#include "tests/support/cm.h"

/* A feed needs no projector. */
static int open_two_feeds(void **state)
{
    return world_new(state, &(struct world){.alone = true, .feeds_max = 2});
}

static void a_feed_gives_history_and_then_what_comes(void **state)
{
    struct world *world = *state;
    struct listener listener;
    world_open_account(world, "account-1", "Ann");
    listener_open(&listener, world, "/events", "");
    const char *head = listener_until(&listener, "\r\n\r\n");
    assert_non_null(strstr(listener.text, "Content-Type: text/event-stream"));
    assert_non_null(strstr(listener.text, "Cache-Control: no-store"));
    (void)head;
    const char *first = listener_until(&listener, "\n\nid: 0:1\nevent: Opened\ndata: {");
    assert_non_null(strstr(listener.text, "\r\n\r\nretry: 2000\n\n"));
    assert_non_null(strstr(first, "\"position\":\"0:1\""));
    world_deposit(world, "account-1", 7);
    const char *second = listener_until(&listener, "id: 0:2\nevent: Deposited\ndata: {");
    (void)listener_until(&listener, "\"data\":{\"cents\":7}}\n\n");
    assert_true(first < second);
    listener_close(&listener);
}

static void last_event_id_wins_over_after(void **state)
{
    struct world *world = *state;
    struct listener listener;
    world_open_account(world, "account-1", "Ann");
    world_deposit(world, "account-1", 1);
    world_deposit(world, "account-1", 2);
    listener_open(&listener, world, "/events?after=0:0", "Last-Event-ID: 0:2\r\n");
    (void)listener_until(&listener, "id: 0:3\n");
    assert_null(strstr(listener.text, "id: 0:1\n"));
    assert_null(strstr(listener.text, "id: 0:2\n"));
    listener_close(&listener);
}

static void after_end_waits_for_what_comes_next(void **state)
{
    struct world *world = *state;
    struct listener listener;
    world_open_account(world, "account-1", "Ann");
    listener_open(&listener, world, "/events?after=end", "");
    (void)listener_until(&listener, "retry: 2000\n\n");
    (void)listener_until(&listener, ":\n\n");
    world_deposit(world, "account-1", 1);
    (void)listener_until(&listener, "id: 0:2\nevent: Deposited\n");
    assert_null(strstr(listener.text, "event: Opened"));
    listener_close(&listener);
}

static void events_of_a_command_come_together_and_resume_between(void **state)
{
    struct world *world = *state;
    struct listener listener;
    const struct fact facts[] = {{"Opened", "{\"owner\":\"Ann\"}", 1},
                                 {"Deposited", "{\"cents\":1}", 2},
                                 {"Deposited", "{\"pounds\":2}", 1}};
    (void)world_append(world, "account-1", facts, 3);
    listener_open(&listener, world, "/events", "");
    const char *one = listener_until(&listener, "id: 0:1\nevent: Opened\n");
    const char *two = listener_until(&listener, "id: 0:2\nevent: Deposited\n");
    const char *three = listener_until(&listener, "id: 0:3\nevent: Deposited\n");
    (void)listener_until(&listener, "\"data\":{\"cents\":200}}\n\n");
    assert_true(one < two && two < three);
    listener_close(&listener);
    listener_open(&listener, world, "/events", "Last-Event-ID: 0:1\r\n");
    (void)listener_until(&listener, "id: 0:3\nevent: Deposited\n");
    assert_non_null(strstr(listener.text, "id: 0:2\nevent: Deposited\n"));
    assert_null(strstr(listener.text, "event: Opened"));
    listener_close(&listener);
}

static void events_left_out_still_move_the_id(void **state)
{
    struct world *world = *state;
    struct listener listener;
    world_open_account(world, "account-1", "Ann");
    for (int i = 0; i < 5; i++) {
        world_deposit(world, "account-1", i);
    }
    listener_open(&listener, world, "/events?type=Opened&aggregate=account", "");
    (void)listener_until(&listener, "id: 0:1\nevent: Opened\n");
    (void)listener_until(&listener, "\n\nid: 0:6\n\n");
    assert_null(strstr(listener.text, "event: Deposited"));
    listener_close(&listener);
}

static void a_limit_ends_the_feed(void **state)
{
    struct world *world = *state;
    struct listener listener;
    world_open_account(world, "account-1", "Ann");
    world_deposit(world, "account-1", 1);
    world_deposit(world, "account-1", 2);
    listener_open(&listener, world, "/events?limit=2", "");
    (void)listener_until(&listener, "id: 0:2\n");
    assert_true(peer_is_closed(listener.fd));
    assert_null(strstr(listener.text, "id: 0:3\n"));
    listener_close(&listener);
}

static void one_feed_too_many_is_503(void **state)
{
    struct world *world = *state;
    struct listener one;
    struct listener two;
    listener_open(&one, world, "/events", "");
    (void)listener_until(&one, "retry: 2000");
    listener_open(&two, world, "/events", "");
    (void)listener_until(&two, "retry: 2000");
    struct peer_answer third = world_get(world, "/events", "Accept: text/event-stream\r\n");
    assert_int_equal(third.status, 503);
    assert_non_null(strstr(third.body, "/problems/overloaded"));
    assert_non_null(peer_field(&third, "Retry-After"));
    peer_answer_fini(&third);
    /* Pages are not feeds. */
    world_expect(world, "/events", "", 200, "{\"items\":[]}");
    listener_close(&one);
    listener_close(&two);
}

static void bad_feeds_are_refused_before_they_begin(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *path, *headers, *says;
    } rows[] = {
        {"/events?after=later", "", "it must be a position"},
        {"/events", "Last-Event-ID: x\r\n", "Last-Event-ID is"},
        {"/events", "Last-Event-ID: 3:1\r\n", "names partition 3"},
        {"/events?foo=1", "", "unknown parameter"},
        {"/events", "Cairn-Position: ?\r\n", "Cairn-Position"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char headers[200];
        (void)snprintf(headers, sizeof(headers), "Accept: text/event-stream\r\n%s",
                       rows[i].headers);
        world_expect(world, rows[i].path, headers, 400, rows[i].says);
    }
    world_expect(world, "/events",
                 "Accept: text/event-stream\r\nCairn-Position: 0:9\r\nPrefer: wait=0\r\n", 503,
                 "/problems/view-behind");
}

static void stopping_ends_feeds_and_waits_at_once(void **state)
{
    struct world *world = *state;
    struct listener listener;
    listener_open(&listener, world, "/events", "");
    (void)listener_until(&listener, ":\n\n");
    int waiter = peer_connect(world->port);
    peer_say(waiter, "GET /events HTTP/1.1\r\nHost: h\r\nCairn-Position: 0:5\r\n"
                     "Prefer: wait=60\r\n\r\n");
    int64_t begin_ns = cairn_clock_monotonic_ns(cairn_clock_system());
    world_stop_server(world);
    int64_t gone_ms = (cairn_clock_monotonic_ns(cairn_clock_system()) - begin_ns) / 1000000;
    assert_true(gone_ms < 30000); /* what is waited for may take twice as long */
    assert_true(peer_is_closed(listener.fd));
    assert_true(peer_is_closed(waiter));
    (void)close(waiter);
    listener_close(&listener);
}

/* Break and resume after every event: with several partitions the id is a vector, and nothing is
 * lost or doubled. */
static void resuming_with_several_partitions_loses_nothing(void **state)
{
    struct world *world = *state;
    enum { STREAMS = 9 };
    for (int s = 0; s < STREAMS; s++) {
        char stream[32];
        (void)snprintf(stream, sizeof(stream), "account-%d", s);
        world_open_account(world, stream, "x");
    }
    unsigned seen = 0;
    char last[128] = "0:0";
    for (int i = 0; i < STREAMS; i++) {
        struct listener listener;
        char header[200];
        (void)snprintf(header, sizeof(header), "Last-Event-ID: %s\r\n", last);
        listener_open(&listener, world, "/events?limit=1", header);
        const char *subject = listener_until(&listener, "\"subject\":\"account-");
        unsigned long s = strtoul(subject + 19, NULL, 10);
        assert_true(s < STREAMS && (seen & (1u << s)) == 0);
        seen |= 1u << s;
        const char *id = strstr(listener.text, "\nid: ");
        assert_non_null(id);
        (void)snprintf(last, sizeof(last), "%.*s", (int)strcspn(id + 5, "\n"), id + 5);
        listener_close(&listener);
    }
    assert_int_equal(seen, (1u << STREAMS) - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_two_feeds, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_feed_gives_history_and_then_what_comes),
        TEST(last_event_id_wins_over_after),
        TEST(after_end_waits_for_what_comes_next),
        TEST(events_of_a_command_come_together_and_resume_between),
        TEST(events_left_out_still_move_the_id),
        TEST(a_limit_ends_the_feed),
        TEST(one_feed_too_many_is_503),
        TEST(bad_feeds_are_refused_before_they_begin),
        TEST(stopping_ends_feeds_and_waits_at_once),
        WORLD_THREE(resuming_with_several_partitions_loses_nothing),
    };
    return cmocka_run_group_tests_name("feed", tests, NULL, NULL);
}
