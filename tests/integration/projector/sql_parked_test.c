/* Followers that park what they cannot apply, on a real log and a real server. */
#include "platform/fault.h"
#include "projector/sql/parked.h"
#include "tests/integration/projector/sql_killer.h"
#include "tests/integration/projector/sql_parking.h"

enum { COMMANDS = 300, FLOOD = 2000, SPARSE = 4000, ROUNDS = 6, ROUNDS_MAX = 300, KILLS = 4 };

#define PARK "-- on_error: park\n"

static int64_t waiting(struct sql_stage *stage)
{
    return sql_stage_number(stage, "SELECT count(*) FROM _cairn_parked WHERE until_version = 0");
}

/* With a build that has no events yet, of a view that parks. */
static void begin_build(struct parking *parking, struct sql_stage *stage, uint16_t partitions)
{
    parking_begin(parking, stage, PARK, partitions);
    parking_build(parking);
}

static void the_stream_of_a_refused_event_is_left_out(void **state)
{
    struct parking parking;
    struct sql_stage *stage = *state;
    begin_build(&parking, stage, 1);
    parking_add(&parking, 1, 1, 1);
    parking_add(&parking, 2, 1, 2);
    parking_add(&parking, 2, -1, 1);
    parking_add(&parking, 1, 2, 1);
    parking_add(&parking, 2, 2, 1);
    struct cairn_sql_follower *follower = parking_follow(&parking, CAIRN_SIDE_NEXT);
    sql_stage_catch_up(follower, 1000);
    assert_false(follower->failed);
    parking_check(&parking);
    parking_is_at_end(&parking, 1);
    assert_string_equal(sql_stage_value(stage,
                                        "SELECT concat_ws(' ', view, generation, stream, version, "
                                        "until_version, position, now() - parked < '1 hour') FROM "
                                        "_cairn_parked"),
                        "journal 1 box-2 3 0 0:4 t");
    const char *error = sql_stage_value(stage, "SELECT error FROM _cairn_parked");
    assert_non_null(strstr(error, "line 8: "));
    assert_non_null(strstr(error, "positive"));
    assert_non_null(strstr(error, "23514"));
    assert_int_equal(strlen(sql_stage_value(stage, "SELECT event FROM _cairn_parked")),
                     CAIRN_UUID_TEXT_SIZE);
    /* What comes later finds it parked, also by a follower that was not there. */
    parking_add(&parking, 2, 3, 2);
    parking_add(&parking, 3, 3, 2);
    sql_stage_catch_up(follower, 1000);
    cairn_sql_follower_close(follower);
    follower = parking_follow(&parking, CAIRN_SIDE_NEXT);
    parking_add(&parking, 2, 4, 1);
    parking_add(&parking, 3, 4, 1);
    sql_stage_catch_up(follower, 1000);
    parking_check(&parking);
    parking_is_at_end(&parking, 1);
    cairn_sql_follower_close(follower);
}

static void without_park_the_view_stops(void **state)
{
    static const char *const settings[] = {"", "-- on_error: stop\n"};
    struct sql_stage *stage = *state;
    struct parking parking;
    parking_begin(&parking, stage, settings[0], 1);
    parking_add(&parking, 1, 1, 1);
    parking_add(&parking, 2, -1, 1);
    for (size_t i = 0; i < 2; i++) {
        char text[2048];
        (void)snprintf(text, sizeof(text), PARKING_JOURNAL("%s"), settings[i]);
        sql_stage_view(stage, "journal", text);
        world_load_domain(&stage->world);
        parking_build(&parking);
        struct cairn_sql_follower *follower = parking_follow(&parking, CAIRN_SIDE_NEXT);
        sql_stage_catch_up(follower, 1000);
        assert_true(follower->failed);
        assert_string_equal(sql_stage_value(stage, "SELECT position FROM _cairn_view"), "0:1");
        assert_int_equal(waiting(stage), 0);
        cairn_sql_follower_close(follower);
    }
}

/* Of five events the last is refused; the four before it are of the same command. */
static void a_command_is_parked_whole(void **state)
{
    struct sql_stage *stage = *state;
    struct parking parking;
    begin_build(&parking, stage, 1);
    sql_stage_run(stage, "ALTER TABLE test_build_journal.journal ADD CONSTRAINT not_7 CHECK "
                         "(version <> 7 OR stream <> 'box-2')");
    parking_add(&parking, 2, 1, 2);
    parking_add(&parking, 1, 1, 3);
    parking_add(&parking, 2, 2, 5); /* versions 3 to 7, offsets 6 to 10 */
    parking_add(&parking, 2, 3, 1);
    parking.streams[2].parked = 3;
    struct cairn_sql_follower *follower = parking_follow(&parking, CAIRN_SIDE_NEXT);
    sql_stage_catch_up(follower, 1000);
    parking_check(&parking);
    parking_is_at_end(&parking, 1);
    assert_string_equal(sql_stage_value(stage, "SELECT version || ' ' || position FROM "
                                               "_cairn_parked"),
                        "3 0:10");
    cairn_sql_follower_close(follower);
}

static void many_streams_in_many_partitions_keep_their_order(void **state)
{
    struct sql_stage *stage = *state;
    struct parking parking;
    uint64_t seed = sql_stage_seed();
    begin_build(&parking, stage, 3);
    struct cairn_sql_follower *follower = parking_follow(&parking, CAIRN_SIDE_NEXT);
    for (int i = 0; i < 4; i++) {
        parking_fill(&parking, &seed, COMMANDS / 4, 2);
        sql_stage_catch_up(follower, 1 + sql_stage_random(&seed, 400));
        assert_false(follower->failed);
        parking_check(&parking);
        parking_is_at_end(&parking, (int64_t)parking_count(&parking));
        assert_int_equal(follower->parked.waiting, parking_count(&parking));
    }
    cairn_sql_follower_close(follower);
    /* From the beginning, in one go, it comes to the same. */
    parking_build(&parking);
    follower = parking_follow(&parking, CAIRN_SIDE_NEXT);
    sql_stage_catch_up(follower, 100000);
    parking_check(&parking);
    parking_is_at_end(&parking, (int64_t)parking_count(&parking));
    cairn_sql_follower_close(follower);
}

/* Refused commands one behind the other, and then few among many. */
static void a_flood_of_refused_events_ends_soon(void **state)
{
    struct sql_stage *stage = *state;
    struct parking parking;
    parking_begin(&parking, stage, PARK, 2);
    for (int i = 0; i < FLOOD; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "f%d", i);
        world_add(&stage->world, id, -1, "x", 1);
        world_add(&stage->world, id, 1, "x", 1);
    }
    for (int i = 0; i < SPARSE; i++) {
        char id[16];
        bool refused = i % (SPARSE / 4) == 7;
        (void)snprintf(id, sizeof(id), refused ? "s%d" : "good", i);
        world_add(&stage->world, id, refused ? -1 : 1, "x", 1);
    }
    parking_build(&parking);
    struct cairn_sql_follower *follower = parking_follow(&parking, CAIRN_SIDE_NEXT);
    const struct deadline deadline = deadline_begin();
    sql_stage_catch_up(follower, 32768);
    assert_false(deadline_passed(&deadline));
    assert_false(follower->failed);
    assert_int_equal(waiting(stage), FLOOD + 4);
    assert_int_equal(follower->parked.waiting, FLOOD + 4);
    parking_is_at_end(&parking, FLOOD + 4);
    assert_int_equal(sql_stage_number(stage, "SELECT count(*) FROM test_build_journal.journal"),
                     SPARSE - 4);
    cairn_sql_follower_close(follower);
}

static void more_streams_than_may_be_parked_stop_the_view(void **state)
{
    struct sql_stage *stage = *state;
    struct parking parking;
    begin_build(&parking, stage, 1);
    sql_stage_run(stage,
                  "INSERT INTO _cairn_parked (view, generation, stream, version, event, position, "
                  "error) SELECT 'journal', 1, 'box-p' || i, 1, 'e', '0:1', 'no' FROM "
                  "generate_series(2, %d) i",
                  CAIRN_PARKED_MAX);
    parking_add(&parking, 1, -1, 1);
    parking_add(&parking, 2, -1, 1);
    struct cairn_sql_follower *follower = parking_follow(&parking, CAIRN_SIDE_NEXT);
    sql_stage_catch_up(follower, 1000);
    assert_true(follower->failed);
    assert_int_equal(waiting(stage), CAIRN_PARKED_MAX);
    assert_string_equal(sql_stage_value(stage, "SELECT position FROM _cairn_view"), "0:1");
    assert_non_null(
        strstr(sql_stage_value(stage, "SELECT error FROM _cairn_view"),
               "10000 streams are parked, 0 ends of streams given up, and one more: line 8"));
    cairn_sql_follower_close(follower);
    /* With room again it goes on. */
    sql_stage_run(stage, "DELETE FROM _cairn_parked WHERE stream = 'box-p2'");
    sql_stage_run(stage, "UPDATE _cairn_view SET parks = parks + 1");
    follower = parking_follow(&parking, CAIRN_SIDE_NEXT);
    sql_stage_catch_up(follower, 1000);
    assert_false(follower->failed);
    parking_is_at_end(&parking, 3);
    cairn_sql_follower_close(follower);
}

/* Every event would be refused for the same reason, which is none of theirs. */
static void a_fault_of_the_tables_parks_nothing(void **state)
{
    struct sql_stage *stage = *state;
    struct parking parking;
    begin_build(&parking, stage, 1);
    parking_add(&parking, 1, 1, 1);
    parking_add(&parking, 2, 1, 1);
    struct cairn_sql_follower *follower = parking_follow(&parking, CAIRN_SIDE_NEXT);
    sql_stage_run(stage, "ALTER TABLE test_build_journal.journal RENAME COLUMN n TO m; "
                         "DROP TABLE test_build_journal.heads");
    sql_stage_catch_up(follower, 1000);
    assert_true(follower->failed);
    assert_non_null(strstr(follower->failure.text, "42P01"));
    assert_int_equal(waiting(stage), 0);
    assert_string_equal(sql_stage_value(stage, "SELECT position FROM _cairn_view"), "0:0");
    cairn_sql_follower_close(follower);
}

static void a_follower_whose_set_is_out_of_date_is_fenced(void **state)
{
    struct sql_stage *stage = *state;
    struct parking parking;
    size_t events = 0;
    begin_build(&parking, stage, 1);
    struct cairn_sql_follower *first = parking_follow(&parking, CAIRN_SIDE_NEXT);
    struct cairn_sql_follower *second = parking_follow(&parking, CAIRN_SIDE_NEXT);
    parking_add(&parking, 1, -1, 1);
    sql_stage_catch_up(first, 1000);
    /* The second may not park it once more, nor apply what is behind it. */
    assert_int_equal(cairn_sql_follower_step(second, 1000, &events, &stage->err), CAIRN_EFENCED);
    cairn_sql_follower_close(second);
    second = parking_follow(&parking, CAIRN_SIDE_NEXT);
    sql_stage_run(stage, "DELETE FROM _cairn_parked; UPDATE _cairn_view SET parks = parks + 1");
    parking_add(&parking, 1, 1, 1);
    parking_add(&parking, 2, 1, 1);
    assert_int_equal(cairn_sql_follower_step(first, 1000, &events, &stage->err), CAIRN_EFENCED);
    assert_int_equal(cairn_sql_follower_step(second, 1000, &events, &stage->err), CAIRN_EFENCED);
    assert_string_equal(sql_stage_value(stage, "SELECT position || ' ' || parks FROM _cairn_view"),
                        "0:1 2");
    cairn_sql_follower_close(first);
    cairn_sql_follower_close(second);
}

static void a_connection_lost_while_parking_parks_nothing(void **state)
{
    struct sql_stage *stage = *state;
    struct parking parking;
    struct cairn_pg *other = NULL;
    const struct cairn_pg_options options = {.uri = stage->uri};
    begin_build(&parking, stage, 1);
    parking_add(&parking, 1, -1, 1);
    parking_add(&parking, 1, 1, 1);
    parking_add(&parking, 2, 1, 1);
    struct cairn_sql_follower *follower = parking_follow(&parking, CAIRN_SIDE_NEXT);
    assert_ok(cairn_pg_open(&options, &other, &stage->err), &stage->err);
    pg_stage_run(other, "BEGIN; LOCK TABLE test._cairn_parked IN SHARE MODE");
    assert_int_equal(killer_step(stage, follower), CAIRN_EBUSY);
    pg_stage_run(other, "ROLLBACK");
    assert_string_equal(sql_stage_value(stage, "SELECT position || ' ' || parks FROM _cairn_view"),
                        "0:0 0");
    assert_int_equal(waiting(stage), 0);
    cairn_sql_follower_close(follower);
    follower = parking_follow(&parking, CAIRN_SIDE_NEXT);
    sql_stage_catch_up(follower, 100);
    parking_check(&parking);
    parking_is_at_end(&parking, 1);
    cairn_sql_follower_close(follower);
    cairn_pg_close(other);
}

static void connections_lost_at_any_moment_park_nothing_twice(void **state)
{
    struct sql_stage *stage = *state;
    struct parking parking;
    struct killer killer;
    uint64_t seed = sql_stage_seed();
    unsigned opened = 0;
    unsigned rounds = 0;
    parking_begin(&parking, stage, PARK, 2);
    parking_fill(&parking, &seed, COMMANDS, 3);
    killer_start(&killer, stage->uri, seed, false);
    while (rounds < ROUNDS || (opened == rounds && rounds < ROUNDS_MAX)) {
        rounds++;
        parking_build(&parking);
        opened += killer_follow(&killer, stage, "journal", KILLS, 1 + sql_stage_random(&seed, 60));
        parking_check(&parking);
        parking_is_at_end(&parking, (int64_t)parking_count(&parking));
    }
    unsigned kills = killer_stop(&killer);
    print_message("%u rounds, %u opened\n", rounds, opened);
    assert_true(kills > 0 && opened > rounds);
}

static void an_event_that_cannot_be_lifted_parks_its_stream(void **state)
{
    struct sql_stage *stage = *state;
    struct parking parking;
    test_folder_write(stage->world.domain_folder, "schemas/events/Added.v1.json",
                      "{\"type\":\"object\"}");
    test_folder_write(stage->world.domain_folder, "box.lua",
                      "local box = aggregate 'box'\n"
                      "function box.decide.Add(state, cmd) return event('Added', cmd) end\n"
                      "function box.evolve.Added(state, data) end\n"
                      "box.upcast.Added = {\n"
                      "  [1] = function (data)\n"
                      "    if data.n == 13 then error('no thirteen') end\n"
                      "    return data\n"
                      "  end\n"
                      "}\n");
    begin_build(&parking, stage, 1);
    parking_add(&parking, 1, 1, 1);
    parking_add(&parking, 2, 2, 1);
    parking_add(&parking, 2, 13, 2);
    parking.streams[2].parked = 2;
    parking_add(&parking, 1, 3, 1);
    struct cairn_sql_follower *follower = parking_follow(&parking, CAIRN_SIDE_NEXT);
    sql_stage_catch_up(follower, 100);
    assert_false(follower->failed);
    parking_check(&parking);
    parking_is_at_end(&parking, 1);
    assert_non_null(
        strstr(sql_stage_value(stage, "SELECT error FROM _cairn_parked"), "no thirteen"));
    cairn_sql_follower_close(follower);
}

/* A scope may begin inside of a command, of which the rest is refused. */
static void a_scope_that_begins_inside_of_a_command_parks_all_of_it(void **state)
{
    struct sql_stage *stage = *state;
    struct parking parking;
    const struct cairn_replay_scope scope = {.after = {{2}}};
    begin_build(&parking, stage, 1);
    parking_add(&parking, 1, -1, 4); /* offsets 1 to 4 */
    parking_add(&parking, 1, 1, 1);
    parking_add(&parking, 2, 1, 1);
    const struct cairn_sql_follower_options options = {.uri = stage->uri,
                                                       .domain = stage->world.domain,
                                                       .store = stage->world.store,
                                                       .view = CAIRN_SLICE_LIT("journal"),
                                                       .side = CAIRN_SIDE_NEXT,
                                                       .scope = &scope};
    struct cairn_sql_follower *follower = NULL;
    assert_ok(cairn_sql_follower_open(&options, &follower, &stage->err), &stage->err);
    sql_stage_catch_up(follower, 100);
    assert_false(follower->failed);
    assert_int_equal(follower->taken, 1);
    assert_string_equal(sql_stage_value(stage, "SELECT stream FROM test_build_journal.journal"),
                        "box-2");
    assert_string_equal(sql_stage_value(stage, "SELECT stream || version || position FROM "
                                               "_cairn_parked"),
                        "box-110:3");
    parking_is_at_end(&parking, 1);
    cairn_sql_follower_close(follower);
}

/* Whatever fails here, what another follower finds is whole. */
static void without_memory_nothing_is_parked_by_half(void **state)
{
    struct sql_stage *stage = *state;
    struct parking parking;
    parking_begin(&parking, stage, PARK, 1);
    parking_add(&parking, 1, 1, 1);
    parking_add(&parking, 2, -1, 1);
    parking_add(&parking, 1, 1, 1);
    parking_add(&parking, 2, 1, 1);
    skip_without_faults();
    bool fired = true;
    int after = 0;
    for (; fired; after++) {
        struct cairn_err err;
        size_t events = 1;
        enum cairn_rc rc = CAIRN_OK;
        parking_build(&parking);
        struct cairn_sql_follower *follower = parking_follow(&parking, CAIRN_SIDE_NEXT);
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        while (rc == CAIRN_OK && events > 0 && !follower->failed) {
            rc = cairn_sql_follower_step(follower, 100, &events, &err);
        }
        fired = cairn_fault_fired(CAIRN_FAULT_MEM);
        cairn_fault_disarm();
        assert_false(follower->failed);
        /* The log's own thread may have met it. */
        assert_true(rc == CAIRN_OK || (fired && rc == CAIRN_ENOMEM));
        assert_int_equal(
            sql_stage_number(stage,
                             "SELECT count(*) FROM _cairn_view v WHERE parks <> (SELECT count(*) "
                             "FROM _cairn_parked) OR (parks = 1) <> (position <> '0:0' AND "
                             "position <> '0:1')"),
            0);
        cairn_sql_follower_close(follower);
        follower = parking_follow(&parking, CAIRN_SIDE_NEXT);
        sql_stage_catch_up(follower, 100);
        parking_check(&parking);
        parking_is_at_end(&parking, 1);
        cairn_sql_follower_close(follower);
    }
    print_message("%d allocations failed\n", after - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SQL_STAGE_TEST(the_stream_of_a_refused_event_is_left_out),
        SQL_STAGE_TEST(without_park_the_view_stops),
        SQL_STAGE_TEST(a_command_is_parked_whole),
        SQL_STAGE_TEST(many_streams_in_many_partitions_keep_their_order),
        SQL_STAGE_TEST(a_flood_of_refused_events_ends_soon),
        SQL_STAGE_TEST(more_streams_than_may_be_parked_stop_the_view),
        SQL_STAGE_TEST(a_fault_of_the_tables_parks_nothing),
        SQL_STAGE_TEST(a_follower_whose_set_is_out_of_date_is_fenced),
        SQL_STAGE_TEST(a_connection_lost_while_parking_parks_nothing),
        SQL_STAGE_TEST(connections_lost_at_any_moment_park_nothing_twice),
        SQL_STAGE_TEST(an_event_that_cannot_be_lifted_parks_its_stream),
        SQL_STAGE_TEST(a_scope_that_begins_inside_of_a_command_parks_all_of_it),
        SQL_STAGE_TEST(without_memory_nothing_is_parked_by_half),
    };
    return cmocka_run_group_tests(tests, sql_stage_group_setup, sql_stage_group_teardown);
}
