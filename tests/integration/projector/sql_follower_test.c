/* Followers on a real log and a real server, which is made to fail at any moment. */
#include <pthread.h>

#include "projector/sql/follower.h"
#include "tests/integration/projector/sql_killer.h"

enum { ROUNDS = 8, ROUNDS_MAX = 500, KILLS = 4, COMMANDS = 100, STREAMS = 7 };

static void begin(struct sql_stage *stage, const char *view, const char *text, uint16_t partitions)
{
    sql_stage_view(stage, view, text);
    world_begin(&stage->world, partitions);
}

static struct cairn_sql_follower *follow(struct sql_stage *stage, const char *view)
{
    struct cairn_sql_follower *follower = NULL;
    assert_ok(sql_stage_follow(stage, view, CAIRN_SIDE_NEXT, &follower), &stage->err);
    return follower;
}

static void begin_build(struct sql_stage *stage, const char *view)
{
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_sql_head head;
    sql_stage_build(stage, view, &arena, &head);
    cairn_arena_fini(&arena);
}

/* Whole commands of one to three events, all partitions. Returns the sum of their n. */
static int64_t fill_log(struct sql_stage *stage, uint64_t *seed)
{
    int64_t sum = 0;
    for (int i = 0; i < COMMANDS; i++) {
        char id[16];
        char to[16];
        uint16_t count = (uint16_t)(1 + sql_stage_random(seed, 3));
        (void)snprintf(id, sizeof(id), "%d", i % STREAMS);
        (void)snprintf(to, sizeof(to), "to %d", (int)sql_stage_random(seed, 5));
        world_add(&stage->world, id, i, to, count);
        sum += (int64_t)i * count;
    }
    return sum;
}

static void sums_are(struct sql_stage *stage, int64_t sum, uint64_t count)
{
    assert_int_equal(sql_stage_number(stage, "SELECT sum(sum) FROM test_build_sums.sums"), sum);
    assert_int_equal(sql_stage_number(stage, "SELECT sum(count) FROM test_build_sums.sums"), count);
    assert_int_equal(sql_stage_number(stage, "SELECT events FROM _cairn_view"), count);
}

static void a_follower_holds_the_fold_of_the_log(void **state)
{
    struct sql_stage *stage = *state;
    uint64_t seed = sql_stage_seed();
    begin(stage, "sums", sql_stage_sums, 3);
    int64_t sum = fill_log(stage, &seed);
    begin_build(stage, "sums");
    struct cairn_sql_follower *follower = follow(stage, "sums");
    sql_stage_catch_up(follower, 16);
    assert_false(follower->failed);
    sums_are(stage, sum, stage->world.appended);
    cairn_sql_follower_close(follower);
    /* Opened anew it goes on, and there is nothing left. */
    follower = follow(stage, "sums");
    world_add(&stage->world, "1", 1, "late", 1);
    sql_stage_catch_up(follower, 16);
    sums_are(stage, sum + 1, stage->world.appended);
    cairn_sql_follower_close(follower);
}

static void without_a_generation_nothing_is_followed(void **state)
{
    struct sql_stage *stage = *state;
    struct cairn_sql_follower *follower = NULL;
    begin(stage, "sums", sql_stage_sums, 1);
    assert_int_equal(sql_stage_follow(stage, "sums", CAIRN_SIDE_NEXT, &follower), CAIRN_ENOENT);
    begin_build(stage, "sums");
    assert_int_equal(sql_stage_follow(stage, "sums", CAIRN_SIDE_LIVE, &follower), CAIRN_ENOENT);
    assert_null(follower);
}

/* The id of the event in the row, as the log has it: told by how many events were applied. */
static void stopped_behind(struct sql_stage *stage, const struct cairn_sql_follower *follower,
                           uint64_t events)
{
    assert_true(follower->failed);
    assert_int_equal(sql_stage_number(stage, "SELECT events FROM _cairn_view"), events);
    assert_string_equal(sql_stage_value(stage, "SELECT position FROM _cairn_view"),
                        cairn_slice_str(follower->place_text).data);
    assert_string_equal(sql_stage_value(stage, "SELECT error_event FROM _cairn_view"),
                        follower->failed_event);
    assert_string_equal(sql_stage_value(stage, "SELECT error FROM _cairn_view"),
                        follower->failure.text);
}

static void the_event_that_fails_is_found_and_told(void **state)
{
    struct sql_stage *stage = *state;
    uint64_t seed = sql_stage_seed();
    begin(stage, "sums", sql_stage_sums, 1);
    begin_build(stage, "sums");
    int before = 1 + (int)sql_stage_random(&seed, 40);
    for (int i = 0; i < before; i++) {
        world_add(&stage->world, "1", 1, "fine", 1);
    }
    world_add(&stage->world, "1", -1, "refused", 1);
    for (int i = 0; i < 10; i++) {
        world_add(&stage->world, "1", 1, "behind", 1);
    }
    struct cairn_sql_follower *follower = follow(stage, "sums");
    sql_stage_catch_up(follower, 1000);
    stopped_behind(stage, follower, (uint64_t)before);
    assert_non_null(strstr(follower->failure.text, "line 7"));
    assert_non_null(strstr(follower->failure.text, "23514"));
    assert_string_equal(
        sql_stage_value(stage, "SELECT string_agg(who || count, ',') FROM test_build_sums.sums"),
        before == 1 ? "fine1" : sql_stage_value(stage, "SELECT 'fine%d'", before));
    cairn_sql_follower_close(follower);
}

/* More than the log gives at a time. */
static uint64_t fill_long_log(struct sql_stage *stage)
{
    enum { COMMAND_EVENTS = 100, LONG_COMMANDS = 80, TO_BYTES = 100 };
    char to[TO_BYTES + 1];
    memset(to, 't', TO_BYTES);
    to[TO_BYTES] = '\0';
    for (int i = 0; i < LONG_COMMANDS; i++) {
        world_add(&stage->world, "1", 1, to, COMMAND_EVENTS);
    }
    return (uint64_t)COMMAND_EVENTS * LONG_COMMANDS;
}

static void one_batch_holds_several_reads_of_the_log(void **state)
{
    struct sql_stage *stage = *state;
    size_t applied = 0;
    begin(stage, "sums", sql_stage_sums, 1);
    begin_build(stage, "sums");
    uint64_t events = fill_long_log(stage);
    struct cairn_chunks chunks;
    struct cairn_source *source = NULL;
    const struct cairn_position start = {{0}};
    assert_ok(cairn_source_open(stage->world.store, &start, &source, &stage->err), &stage->err);
    assert_ok(cairn_source_next(source, events, NULL, &chunks, &stage->err), &stage->err);
    assert_true(chunks.events < events);
    cairn_source_close(source);
    struct cairn_sql_follower *follower = follow(stage, "sums");
    assert_ok(cairn_sql_follower_step(follower, events, &applied, &stage->err), &stage->err);
    assert_int_equal(applied, events);
    sums_are(stage, (int64_t)events, events);
    cairn_sql_follower_close(follower);
}

static void what_fails_behind_several_reads_is_found(void **state)
{
    struct sql_stage *stage = *state;
    begin(stage, "sums", sql_stage_sums, 1);
    begin_build(stage, "sums");
    uint64_t before = fill_long_log(stage);
    world_add(&stage->world, "1", -1, "refused", 1);
    world_add(&stage->world, "1", 1, "behind", 1);
    struct cairn_sql_follower *follower = follow(stage, "sums");
    sql_stage_catch_up(follower, before * 2);
    stopped_behind(stage, follower, before);
    sums_are(stage, (int64_t)before, before);
    cairn_sql_follower_close(follower);
}

/* A row for each event; refuses one by its number. */
static const char numbered[] = "-- view: numbered\n"
                               "-- version: 1\n"
                               "-- table:\n"
                               "CREATE TABLE numbered (id uuid PRIMARY KEY, at text NOT NULL, "
                               "n bigint, CONSTRAINT not_17 CHECK (at <> '0:17'));\n"
                               "-- on: Added\n"
                               "INSERT INTO numbered VALUES (:id, :position, :n);\n";

static void of_a_command_of_many_events_the_right_one_is_told(void **state)
{
    struct sql_stage *stage = *state;
    begin(stage, "numbered", numbered, 1);
    begin_build(stage, "numbered");
    world_add(&stage->world, "1", 1, "x", 8);
    world_add(&stage->world, "1", 2, "x", 12); /* offsets 9 to 20 */
    world_add(&stage->world, "1", 3, "x", 8);
    struct cairn_sql_follower *follower = follow(stage, "numbered");
    sql_stage_catch_up(follower, 1000);
    stopped_behind(stage, follower, 8);
    assert_int_equal(sql_stage_number(stage, "SELECT count(*) FROM test_build_numbered.numbered"),
                     8);
    cairn_sql_follower_close(follower);
    /* The event is the one of that place: mended, the view has the row under the id told. */
    const char *id = sql_stage_value(stage, "SELECT error_event FROM _cairn_view");
    char told[CAIRN_UUID_TEXT_SIZE + 1];
    (void)snprintf(told, sizeof(told), "%s", id);
    sql_stage_run(stage, "ALTER TABLE test_build_numbered.numbered DROP CONSTRAINT not_17");
    follower = follow(stage, "numbered");
    sql_stage_catch_up(follower, 1000);
    assert_false(follower->failed);
    assert_string_equal(
        sql_stage_value(stage, "SELECT at FROM test_build_numbered.numbered WHERE id = '%s'", told),
        "0:17");
    assert_string_equal(sql_stage_value(stage, "SELECT error FROM _cairn_view"), "");
    cairn_sql_follower_close(follower);
}

/* Sums that pass through a type's end and come back: one by one they fail, in any sum they do not;
 * and the other way round. What decides is one by one. */
static const char tight[] = "-- view: tight\n"
                            "-- version: 1\n"
                            "-- table:\n"
                            "CREATE TABLE tight (who text PRIMARY KEY, sum bigint NOT NULL);\n"
                            "-- on: Added\n"
                            "INSERT INTO tight VALUES (:to, :n) ON CONFLICT (who) DO UPDATE SET "
                            "sum = tight.sum + excluded.sum;\n";

static void sums_at_the_end_of_their_type_stop_where_one_by_one_does(void **state)
{
    struct sql_stage *stage = *state;
    begin(stage, "tight", tight, 1);
    begin_build(stage, "tight");
    /* Fits one by one: four times the most, of different keys and back to zero between. */
    for (int i = 0; i < 6; i++) {
        world_add(&stage->world, "1", INT64_MAX, "a", 1);
        world_add(&stage->world, "1", -INT64_MAX, "a", 1);
    }
    world_add(&stage->world, "1", INT64_MAX, "b", 1);
    world_add(&stage->world, "1", 1, "b", 1);
    world_add(&stage->world, "1", -1, "b", 1);
    struct cairn_sql_follower *follower = follow(stage, "tight");
    sql_stage_catch_up(follower, 1000);
    stopped_behind(stage, follower, 13);
    assert_int_equal(
        sql_stage_number(stage, "SELECT sum FROM test_build_tight.tight WHERE who = 'a'"), 0);
    assert_int_equal(
        sql_stage_number(stage, "SELECT sum FROM test_build_tight.tight WHERE who = 'b'"),
        INT64_MAX);
    cairn_sql_follower_close(follower);
}

static void *catch_up(void *follower)
{
    sql_stage_catch_up(follower, 1000);
    return NULL;
}

/* As another lane does, somebody changes the row behind the look of the statement that adds to it.
 * What comes has both signs and little sum: there is room for that, and none on the way. */
static void a_sum_of_both_signs_is_judged_by_the_row_that_it_meets(void **state)
{
    static const int64_t numbers[] = {1, 8, -7, 1, -1};
    struct sql_stage *stage = *state;
    pthread_t thread;
    begin(stage, "tight",
          "-- view: tight\n"
          "-- version: 1\n"
          "-- table:\n"
          "CREATE TABLE tight (who text PRIMARY KEY, sum bigint NOT NULL, last text);\n"
          "-- on: Added\n"
          "INSERT INTO tight VALUES (:to, :n, :stream) ON CONFLICT (who) DO UPDATE SET "
          "sum = tight.sum + excluded.sum, last = excluded.last;\n",
          1);
    begin_build(stage, "tight");
    sql_stage_run(stage, "INSERT INTO test_build_tight.tight VALUES ('a', 0, '')");
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        world_add(&stage->world, "1", numbers[i], "a", 1);
    }
    struct cairn_sql_follower *follower = follow(stage, "tight");
    sql_stage_run(stage, "BEGIN; UPDATE test_build_tight.tight SET sum = %lld",
                  (long long)INT64_MAX - 6);
    assert_int_equal(pthread_create(&thread, NULL, catch_up, follower), 0);
    sql_stage_await(stage, "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = "
                           "current_database() AND wait_event_type = 'Lock'");
    sql_stage_run(stage, "COMMIT");
    assert_int_equal(pthread_join(thread, NULL), 0);
    stopped_behind(stage, follower, 1);
    assert_int_equal(sql_stage_number(stage, "SELECT sum FROM test_build_tight.tight"),
                     INT64_MAX - 5);
    cairn_sql_follower_close(follower);
}

static void one_command_near_a_types_end_goes_statement_by_statement(void **state)
{
    struct sql_stage *stage = *state;
    begin(stage, "tight",
          "-- view: tight\n"
          "-- version: 1\n"
          "-- table:\n"
          "CREATE TABLE tight (who text PRIMARY KEY, sum bigint NOT NULL);\n"
          "-- on: Added\n"
          "INSERT INTO tight VALUES (:to, :n) ON CONFLICT (who) DO UPDATE SET "
          "sum = tight.sum + excluded.sum;\n"
          "UPDATE tight SET sum = 0 WHERE who = :to AND sum = :n;\n",
          1);
    begin_build(stage, "tight");
    world_add(&stage->world, "1", INT64_MAX, "a", 20);
    struct cairn_sql_follower *follower = follow(stage, "tight");
    sql_stage_catch_up(follower, 1000);
    assert_false(follower->failed);
    assert_int_equal(sql_stage_number(stage, "SELECT sum FROM test_build_tight.tight"), 0);
    cairn_sql_follower_close(follower);
}

static void a_failure_in_any_words_is_written(void **state)
{
    struct sql_stage *stage = *state;
    char to[600];
    begin(stage, "words",
          "-- view: words\n"
          "-- version: 1\n"
          "-- table:\n"
          "CREATE TABLE words (n int PRIMARY KEY);\n"
          "-- on: Added\n"
          "INSERT INTO words VALUES ((:to::text)::int);\n",
          1);
    begin_build(stage, "words");
    /* The server repeats the value, and what is cut off of it must leave text. */
    for (size_t i = 0; i + 4 < sizeof(to); i += 4) {
        memcpy(to + i, "\xf0\x9f\x9a\x80", 5);
    }
    world_add(&stage->world, "1", 1, to, 1);
    struct cairn_sql_follower *follower = follow(stage, "words");
    sql_stage_catch_up(follower, 10);
    stopped_behind(stage, follower, 0);
    cairn_sql_follower_close(follower);
}

static void another_follower_fences_this_one(void **state)
{
    struct sql_stage *stage = *state;
    size_t events = 0;
    begin(stage, "sums", sql_stage_sums, 1);
    begin_build(stage, "sums");
    world_add(&stage->world, "1", 1, "a", 1);
    struct cairn_sql_follower *first = follow(stage, "sums");
    struct cairn_sql_follower *second = follow(stage, "sums");
    sql_stage_catch_up(first, 10);
    assert_int_equal(cairn_sql_follower_step(second, 10, &events, &stage->err), CAIRN_EFENCED);
    sums_are(stage, 1, 1);
    cairn_sql_follower_close(first);
    cairn_sql_follower_close(second);
}

/* ---- lost connections ---- */

static void a_connection_lost_inside_of_a_batch_leaves_nothing_of_it(void **state)
{
    struct sql_stage *stage = *state;
    struct cairn_pg *other = NULL;
    const struct cairn_pg_options options = {.uri = stage->uri};
    begin(stage, "sums", sql_stage_sums, 1);
    begin_build(stage, "sums");
    sql_stage_run(stage, "INSERT INTO test_build_sums.sums VALUES ('z', 5, 0)");
    world_add(&stage->world, "1", 1, "a", 1);
    world_add(&stage->world, "1", 1, "z", 1);
    struct cairn_sql_follower *follower = follow(stage, "sums");
    assert_ok(cairn_pg_open(&options, &other, &stage->err), &stage->err);
    pg_stage_run(other, "BEGIN; SELECT * FROM test_build_sums.sums WHERE who = 'z' FOR UPDATE");
    assert_int_equal(killer_step(stage, follower), CAIRN_EBUSY);
    pg_stage_run(other, "ROLLBACK");
    assert_string_equal(sql_stage_value(stage, "SELECT position FROM _cairn_view"), "0:0");
    assert_int_equal(sql_stage_number(stage, "SELECT count(*) FROM test_build_sums.sums"), 1);
    cairn_sql_follower_close(follower);
    follower = follow(stage, "sums");
    sql_stage_catch_up(follower, 100);
    sums_are(stage, 7, 2);
    cairn_sql_follower_close(follower);
    cairn_pg_close(other);
}

static void connections_lost_at_any_moment_lose_and_double_nothing(void **state)
{
    struct sql_stage *stage = *state;
    uint64_t seed = sql_stage_seed();
    begin(stage, "sums", sql_stage_sums, 2);
    int64_t sum = fill_log(stage, &seed);
    struct killer killer;
    unsigned opened = 0;
    killer_start(&killer, stage->uri, seed, false);
    /* A fast machine is at the end before the end of its connection: on until one was in time. */
    unsigned rounds = 0;
    while (rounds < ROUNDS || (opened == rounds && rounds < ROUNDS_MAX)) {
        rounds++;
        begin_build(stage, "sums");
        opened += killer_follow(&killer, stage, "sums", KILLS, 1 + sql_stage_random(&seed, 12));
        sums_are(stage, sum, stage->world.appended);
    }
    unsigned kills = killer_stop(&killer);
    print_message("%u rounds, %u opened\n", rounds, opened);
    assert_true(kills > 0 && opened > rounds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SQL_STAGE_TEST(a_follower_holds_the_fold_of_the_log),
        SQL_STAGE_TEST(without_a_generation_nothing_is_followed),
        SQL_STAGE_TEST(the_event_that_fails_is_found_and_told),
        SQL_STAGE_TEST(one_batch_holds_several_reads_of_the_log),
        SQL_STAGE_TEST(what_fails_behind_several_reads_is_found),
        SQL_STAGE_TEST(of_a_command_of_many_events_the_right_one_is_told),
        SQL_STAGE_TEST(sums_at_the_end_of_their_type_stop_where_one_by_one_does),
        SQL_STAGE_TEST(a_sum_of_both_signs_is_judged_by_the_row_that_it_meets),
        SQL_STAGE_TEST(one_command_near_a_types_end_goes_statement_by_statement),
        SQL_STAGE_TEST(a_failure_in_any_words_is_written),
        SQL_STAGE_TEST(another_follower_fences_this_one),
        SQL_STAGE_TEST(a_connection_lost_inside_of_a_batch_leaves_nothing_of_it),
        SQL_STAGE_TEST(connections_lost_at_any_moment_lose_and_double_nothing),
    };
    return cmocka_run_group_tests(tests, sql_stage_group_setup, sql_stage_group_teardown);
}
