/* Streams and pages of events, asked over a real connection. */
#include "tests/unit/query/world.h"

#include "tests/support/cm.h"

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

static void events_page_to_the_end_and_go_on_from_there(void **state)
{
    struct world *world = *state;
    world_fill(world);
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
    world_fill(world);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_stream_reads_both_ways_in_pages),
        WORLD_TEST(state_is_told_as_of_a_version),
        WORLD_TEST(events_of_an_older_schema_are_lifted_for_readers),
        WORLD_TEST(events_page_to_the_end_and_go_on_from_there),
        WORLD_TEST(events_are_chosen_by_type_and_aggregate),
        WORLD_TEST(a_page_may_begin_and_end_inside_a_command),
        WORLD_THREE(positions_are_vectors_with_several_partitions),
    };
    return cmocka_run_group_tests_name("events api", tests, NULL, NULL);
}
