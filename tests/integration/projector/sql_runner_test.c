/* The threads that feed SQL views, on a real log and a real server. */
#include "projector/replay.h"
#include "projector/sql/runner.h"
#include "tests/integration/projector/sql_stage.h"
#include "tests/support/hand_clock.h"

/* A stop that waits for what it waited for takes longer than any machine stands still. */
enum { COMMANDS = 120, STOP_MS_MAX = 30000 };

/* A projector without views of its own lends its bell to the runners. Their clock can be put on. */
struct running {
    struct sql_stage *stage;
    struct cairn_projector *projector;
    struct hand_clock hand;
    struct cairn_log *log; /* of its runners; NULL: none */
};

static void let_pass(struct running *running, int seconds)
{
    hand_clock_pass(&running->hand, seconds * INT64_C(1000000000));
}

static void begin(struct running *running, struct sql_stage *stage)
{
    sql_stage_view(stage, "sums", sql_stage_sums);
    world_begin(&stage->world, 2);
    running->stage = stage;
    running->log = NULL;
    running->projector = world_projector(&stage->world);
    hand_clock_init(&running->hand);
    running->hand.runs = true;
}

static struct cairn_sql_runner *run_at(struct running *running, const char *uri)
{
    struct cairn_projector_options options = world_options(&running->stage->world);
    struct cairn_sql_runner *runner = NULL;
    options.postgres = uri;
    options.clock = &running->hand.clock;
    options.log = running->log;
    assert_ok(cairn_sql_runner_start(&options, cairn_projector_views(running->projector), &runner,
                                     &running->stage->err),
              &running->stage->err);
    return runner;
}

static void end(struct running *running)
{
    cairn_projector_stop(running->projector);
}

static int64_t add(struct running *running, int count)
{
    int64_t sum = 0;
    for (int i = 0; i < count; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "%d", i % 5);
        world_add(&running->stage->world, id, i, i % 3 == 0 ? "a" : "b", 2);
        sum += (int64_t)i * 2;
    }
    return sum;
}

static void await_generation(struct running *running, int generation)
{
    struct cairn_arena arena = {.max = 1u << 16};
    struct cairn_position end = world_log_end(&running->stage->world);
    const char *place = cairn_position_text(&end, &arena);
    assert_non_null(place);
    sql_stage_await(running->stage, "SELECT to_regclass('test._cairn_view') IS NOT NULL");
    sql_stage_await(running->stage,
                    "SELECT count(*) = 1 FROM _cairn_view WHERE side = 'live' AND state = 'live' "
                    "AND generation = %d AND position = '%s'",
                    generation, place);
    cairn_arena_fini(&arena);
}

static void sums_are(struct running *running, int64_t sum)
{
    struct sql_stage *stage = running->stage;
    assert_int_equal(sql_stage_number(stage, "SELECT sum(sum) FROM test.sums"), sum);
    assert_int_equal(sql_stage_number(stage, "SELECT sum(count) FROM test.sums"),
                     stage->world.appended);
    assert_int_equal(sql_stage_number(stage, "SELECT events FROM _cairn_view WHERE side = 'live'"),
                     stage->world.appended);
}

static void a_runner_builds_switches_and_follows(void **state)
{
    struct running running;
    begin(&running, *state);
    int64_t sum = add(&running, COMMANDS);
    struct cairn_sql_runner *runner = run_at(&running, running.stage->uri);
    await_generation(&running, 1);
    sums_are(&running, sum);
    sum += add(&running, COMMANDS);
    await_generation(&running, 1);
    sums_are(&running, sum);
    cairn_sql_runner_stop(runner);
    end(&running);
}

static void two_runners_on_one_log_double_nothing(void **state)
{
    struct running running;
    begin(&running, *state);
    int64_t sum = add(&running, COMMANDS);
    struct cairn_sql_runner *first = run_at(&running, running.stage->uri);
    struct cairn_sql_runner *second = run_at(&running, running.stage->uri);
    for (int i = 0; i < 4; i++) {
        sum += add(&running, COMMANDS / 4);
    }
    sql_stage_await(running.stage, "SELECT to_regclass('test.sums') IS NOT NULL");
    sum += add(&running, COMMANDS / 4);
    sql_stage_await(running.stage, "SELECT coalesce(sum(count), 0) = %llu FROM test.sums",
                    (unsigned long long)running.stage->world.appended);
    sums_are(&running, sum);
    cairn_sql_runner_stop(first);
    sum += add(&running, COMMANDS / 4);
    sql_stage_await(running.stage, "SELECT sum(count) = %llu FROM test.sums",
                    (unsigned long long)running.stage->world.appended);
    sums_are(&running, sum);
    cairn_sql_runner_stop(second);
    end(&running);
}

/* The same view by another definition: with a column `top` more. */
static void change(struct running *running)
{
    struct cairn_domain *before = running->stage->world.domain;
    sql_stage_view(running->stage, "sums",
                   "-- view: sums\n"
                   "-- version: 2\n"
                   "-- table:\n"
                   "CREATE TABLE sums (who text PRIMARY KEY, sum bigint, count bigint, top "
                   "bigint);\n"
                   "-- on: Added\n"
                   "INSERT INTO sums VALUES (:to, :n, 1, :n) ON CONFLICT (who) DO UPDATE SET "
                   "sum = sums.sum + excluded.sum, count = sums.count + 1, "
                   "top = greatest(sums.top, excluded.top);\n");
    cairn_projector_stop(running->projector);
    running->stage->world.domain = NULL;
    world_load_domain(&running->stage->world);
    cairn_domain_free(before);
    running->projector = world_projector(&running->stage->world);
}

static void a_changed_definition_is_built_and_switched(void **state)
{
    struct running running;
    begin(&running, *state);
    int64_t sum = add(&running, COMMANDS);
    struct cairn_sql_runner *runner = run_at(&running, running.stage->uri);
    await_generation(&running, 1);
    cairn_sql_runner_stop(runner);
    change(&running);
    runner = run_at(&running, running.stage->uri);
    sum += add(&running, COMMANDS / 4);
    await_generation(&running, 2);
    sums_are(&running, sum);
    assert_int_equal(sql_stage_number(running.stage, "SELECT max(top) FROM test.sums"),
                     COMMANDS - 1);
    cairn_sql_runner_stop(runner);
    end(&running);
}

/* ---- beside an operator ---- */

static enum cairn_rc try_replay(struct running *running, bool back)
{
    const struct cairn_rebuild_request request = {.view = CAIRN_SLICE_LIT("sums")};
    struct cairn_projector_options options = world_options(&running->stage->world);
    struct cairn_rebuild_result result;
    options.postgres = running->stage->uri;
    return (back ? cairn_view_rollback : cairn_view_rebuild)(&options, &request, NULL, &result,
                                                             &running->stage->err);
}

/* What a runner builds is seen before it lets go of its lock; and it looks again now and then. */
static void replay(struct running *running, bool back)
{
    const struct deadline deadline = deadline_begin();
    enum cairn_rc rc = CAIRN_ELOCKED;
    while (rc == CAIRN_ELOCKED && !deadline_passed(&deadline)) {
        rc = try_replay(running, back);
    }
    assert_ok(rc, &running->stage->err);
}

static void a_definition_that_was_rolled_back_from_is_left_alone(void **state)
{
    struct running running;
    begin(&running, *state);
    int64_t sum = add(&running, COMMANDS);
    replay(&running, false);
    change(&running);
    struct cairn_sql_runner *runner = run_at(&running, running.stage->uri);
    await_generation(&running, 2);
    replay(&running, true);
    /* The runner follows what was put back, and builds nothing, at whatever time it looks. */
    for (int i = 0; i < 3; i++) {
        sum += add(&running, COMMANDS / 4);
        await_generation(&running, 3);
        assert_int_equal(
            sql_stage_number(running.stage, "SELECT count(*) FROM _cairn_view WHERE side = 'next'"),
            0);
        let_pass(&running, 60);
    }
    sums_are(&running, sum);
    cairn_sql_runner_stop(runner);
    runner = run_at(&running, running.stage->uri);
    sum += add(&running, COMMANDS / 4);
    await_generation(&running, 3);
    replay(&running, false);
    sum += add(&running, COMMANDS / 4);
    await_generation(&running, 4);
    sums_are(&running, sum);
    assert_int_equal(sql_stage_number(running.stage, "SELECT max(top) FROM test.sums"),
                     COMMANDS - 1);
    cairn_sql_runner_stop(runner);
    end(&running);
}

static void while_another_builds_a_runner_follows_and_waits(void **state)
{
    struct running running;
    struct cairn_pg *other = NULL;
    begin(&running, *state);
    const struct cairn_pg_options options = {.uri = running.stage->uri};
    int64_t sum = add(&running, COMMANDS);
    replay(&running, false);
    change(&running);
    assert_ok(cairn_pg_open(&options, &other, &running.stage->err), &running.stage->err);
    assert_ok(cairn_sql_generation_lock(other, CAIRN_SLICE_LIT("test"), CAIRN_SLICE_LIT("sums"),
                                        CAIRN_SIDE_NEXT, &running.stage->err),
              &running.stage->err);
    struct cairn_sql_runner *runner = run_at(&running, running.stage->uri);
    for (int i = 0; i < 3; i++) {
        sum += add(&running, COMMANDS / 4);
        await_generation(&running, 1);
        let_pass(&running, 5);
    }
    sums_are(&running, sum);
    cairn_pg_close(other);
    sql_stage_await_unlocked(running.stage);
    let_pass(&running, 5);
    await_generation(&running, 2);
    sums_are(&running, sum);
    cairn_sql_runner_stop(runner);
    end(&running);
}

static bool is_built(struct running *running)
{
    struct sql_stage *stage = running->stage;
    bool built = false;
    assert_ok(cairn_sql_generation_is_locked(stage->pg, CAIRN_SLICE_LIT("test"),
                                             CAIRN_SLICE_LIT("sums"), CAIRN_SIDE_NEXT, &built,
                                             &stage->err),
              &stage->err);
    return built;
}

static void who_builds_by_hand_is_told_what_keeps_a_runner_from_its_switch(void **state)
{
    struct running running;
    begin(&running, *state);
    int64_t sum = add(&running, COMMANDS);
    replay(&running, false);
    assert_false(is_built(&running));
    change(&running);
    sql_stage_run(running.stage, "CREATE VIEW test.mine AS SELECT * FROM test.sums");
    struct cairn_sql_runner *runner = run_at(&running, running.stage->uri);
    sql_stage_await(running.stage, "SELECT count(*) = 1 FROM _cairn_view WHERE side = 'next' AND "
                                   "error LIKE '%%view test.mine stands on the live tables%%'");
    assert_true(is_built(&running));
    assert_int_equal(try_replay(&running, false), CAIRN_ELOCKED);
    assert_non_null(strstr(running.stage->err.text, "view test.mine stands on the live tables"));
    assert_non_null(strstr(running.stage->err.text, "will switch it in by itself"));
    sql_stage_run(running.stage, "DROP VIEW test.mine");
    let_pass(&running, 5);
    await_generation(&running, 2);
    sums_are(&running, sum);
    cairn_sql_runner_stop(runner);
    sql_stage_await_unlocked(running.stage);
    assert_false(is_built(&running));
    end(&running);
}

static size_t count_lines_with(FILE *lines, const char *word)
{
    char line[CAIRN_LOG_LINE_MAX + 1];
    size_t count = 0;
    rewind(lines);
    while (fgets(line, sizeof(line), lines) != NULL) {
        count += strstr(line, word) != NULL;
    }
    return count;
}

/* The server says so from a trigger, and counts how often. */
static void rows_that_others_hold_are_waited_for_and_told_once(void **state)
{
    struct running running;
    FILE *lines = tmpfile();
    assert_non_null(lines);
    begin(&running, *state);
    running.log = cairn_log_new(fileno(lines), CAIRN_LOG_INFO, cairn_clock_system());
    assert_non_null(running.log);
    int64_t sum = add(&running, COMMANDS / 4);
    struct cairn_sql_runner *runner = run_at(&running, running.stage->uri);
    await_generation(&running, 1);
    sql_stage_run(running.stage,
                  "CREATE SEQUENCE test.tries; CREATE FUNCTION test.held() RETURNS trigger "
                  "LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''test.tries''); "
                  "RAISE EXCEPTION ''canceling statement due to lock timeout'' USING ERRCODE = "
                  "''lock_not_available''; END'; CREATE TRIGGER held BEFORE INSERT ON test.sums "
                  "FOR EACH ROW EXECUTE FUNCTION test.held()");
    sum += add(&running, COMMANDS / 4);
    sql_stage_await(running.stage, "SELECT last_value >= 3 FROM test.tries");
    sql_stage_run(running.stage, "DROP TRIGGER held ON test.sums");
    await_generation(&running, 1);
    sums_are(&running, sum);
    cairn_sql_runner_stop(runner);
    assert_int_equal(count_lines_with(lines, "waits for a lock"), 1);
    assert_int_equal(count_lines_with(lines, "batch failed"), 0);
    cairn_log_free(running.log);
    (void)fclose(lines);
    end(&running);
}

static void a_build_that_nobody_goes_on_with_is_dropped(void **state)
{
    static const struct cairn_sql_statement table = {.text = "CREATE TABLE sums (who text)"};
    static const enum cairn_view_side sides[] = {CAIRN_SIDE_NEXT, CAIRN_SIDE_CHECK};
    const struct cairn_sql_definition left = {.domain = CAIRN_SLICE_LIT("test"),
                                              .view = CAIRN_SLICE_LIT("sums"),
                                              .version = 1,
                                              .hash = CAIRN_SLICE_LIT("another"),
                                              .text = CAIRN_SLICE_LIT("another"),
                                              .tables = &table,
                                              .table_count = 1};
    struct running running;
    begin(&running, *state);
    (void)add(&running, 10);
    replay(&running, false);
    for (size_t i = 0; i < 2; i++) {
        assert_ok(
            cairn_sql_generation_begin(running.stage->pg, &left, sides[i], &running.stage->err),
            &running.stage->err);
    }
    struct cairn_sql_runner *runner = run_at(&running, running.stage->uri);
    sql_stage_await(running.stage, "SELECT count(*) = 1 FROM _cairn_view");
    sql_stage_await(running.stage, "SELECT to_regnamespace('test_build_sums') IS NULL AND "
                                   "to_regnamespace('test_check_sums') IS NULL");
    cairn_sql_runner_stop(runner);
    end(&running);
}

/* ---- what has stopped ---- */

static void a_view_that_stopped_goes_on_when_it_is_mended(void **state)
{
    struct running running;
    begin(&running, *state);
    int64_t sum = add(&running, 10);
    struct cairn_sql_runner *runner = run_at(&running, running.stage->uri);
    await_generation(&running, 1);
    world_add(&running.stage->world, "1", -1, "c", 1);
    sql_stage_await(running.stage, "SELECT state = 'stopped' FROM _cairn_view WHERE side = 'live'");
    struct cairn_position log_end = world_log_end(&running.stage->world);
    uint16_t partition =
        cairn_store_partition_of(running.stage->world.store, CAIRN_SLICE_LIT("box-1"));
    char place[32];
    (void)snprintf(place, sizeof(place), "%u:%llu", (unsigned)partition,
                   (unsigned long long)log_end.offsets[partition]);
    assert_string_equal(sql_stage_value(running.stage, "SELECT error_position FROM _cairn_view"),
                        place);
    let_pass(&running, 31); /* tried again, it fails again */
    sql_stage_run(running.stage, "ALTER TABLE test.sums DROP CONSTRAINT sums_sum_check");
    let_pass(&running, 31);
    await_generation(&running, 1);
    sums_are(&running, sum - 1);
    assert_string_equal(
        sql_stage_value(running.stage, "SELECT error || error_position FROM _cairn_view"), "");
    cairn_sql_runner_stop(runner);
    end(&running);
}

static void a_first_build_that_failed_goes_on_when_it_is_mended(void **state)
{
    struct running running;
    begin(&running, *state);
    int64_t sum = add(&running, 10);
    world_add(&running.stage->world, "1", -1, "c", 1);
    struct cairn_sql_runner *runner = run_at(&running, running.stage->uri);
    sql_stage_await(running.stage, "SELECT to_regclass('test._cairn_view') IS NOT NULL");
    sql_stage_await(running.stage,
                    "SELECT count(*) = 1 FROM _cairn_view WHERE side = 'next' AND state = "
                    "'building' AND error <> '' AND error_position <> ''");
    sql_stage_run(running.stage, "ALTER TABLE test_build_sums.sums DROP CONSTRAINT sums_sum_check");
    let_pass(&running, 31);
    await_generation(&running, 1);
    sums_are(&running, sum - 1);
    cairn_sql_runner_stop(runner);
    end(&running);
}

static void a_build_that_failed_holds_up_no_operator(void **state)
{
    struct running running;
    begin(&running, *state);
    (void)add(&running, 10);
    world_add(&running.stage->world, "1", -1, "c", 1);
    struct cairn_sql_runner *runner = run_at(&running, running.stage->uri);
    sql_stage_await(running.stage, "SELECT to_regclass('test._cairn_view') IS NOT NULL");
    sql_stage_await(running.stage, "SELECT count(*) = 1 FROM _cairn_view WHERE error <> ''");
    sql_stage_await_unlocked(running.stage);
    assert_int_equal(try_replay(&running, false), CAIRN_EINVAL);
    assert_non_null(strstr(running.stage->err.text, "23514"));
    cairn_sql_runner_stop(runner);
    end(&running);
}

static void a_live_generation_that_cannot_be_followed_is_replaced(void **state)
{
    struct running running;
    begin(&running, *state);
    int64_t sum = add(&running, 10);
    replay(&running, false);
    sql_stage_run(running.stage, "DROP TABLE test.sums");
    change(&running);
    struct cairn_sql_runner *runner = run_at(&running, running.stage->uri);
    await_generation(&running, 2);
    sums_are(&running, sum);
    cairn_sql_runner_stop(runner);
    end(&running);
}

static void a_database_that_is_not_there_yet_is_waited_for(void **state)
{
    struct running running;
    char database[32];
    char uri[SQL_STAGE_URI_MAX];
    begin(&running, *state);
    int64_t sum = add(&running, COMMANDS / 4);
    (void)snprintf(database, sizeof(database), "late_%d", (int)getpid());
    sql_stage_uri_of(database, uri);
    struct cairn_sql_runner *runner = run_at(&running, uri);
    sql_stage_run(running.stage, "CREATE DATABASE %s", database);
    struct cairn_pg *own = running.stage->pg;
    const struct cairn_pg_options options = {.uri = uri, .schema = "test"};
    assert_ok(cairn_pg_open(&options, &running.stage->pg, &running.stage->err),
              &running.stage->err);
    await_generation(&running, 1);
    sums_are(&running, sum);
    cairn_sql_runner_stop(runner);
    cairn_pg_close(running.stage->pg);
    running.stage->pg = own;
    sql_stage_run(running.stage, "DROP DATABASE %s WITH (FORCE)", database);
    end(&running);
}

static void a_runner_stops_soon_with_and_without_a_server(void **state)
{
    struct running running;
    const struct cairn_clock *clock = cairn_clock_system();
    begin(&running, *state);
    const char *const uris[] = {running.stage->uri, "postgresql://127.0.0.1:1/none"};
    (void)add(&running, COMMANDS);
    for (size_t i = 0; i < 2; i++) {
        struct cairn_sql_runner *runner = run_at(&running, uris[i]);
        if (i == 0) {
            await_generation(&running, 1);
        }
        int64_t begun_ns = cairn_clock_monotonic_ns(clock);
        cairn_sql_runner_stop(runner);
        assert_true(cairn_clock_monotonic_ns(clock) - begun_ns < STOP_MS_MAX * INT64_C(1000000));
    }
    end(&running);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SQL_STAGE_TEST(a_runner_builds_switches_and_follows),
        SQL_STAGE_TEST(two_runners_on_one_log_double_nothing),
        SQL_STAGE_TEST(a_changed_definition_is_built_and_switched),
        SQL_STAGE_TEST(a_definition_that_was_rolled_back_from_is_left_alone),
        SQL_STAGE_TEST(while_another_builds_a_runner_follows_and_waits),
        SQL_STAGE_TEST(who_builds_by_hand_is_told_what_keeps_a_runner_from_its_switch),
        SQL_STAGE_TEST(rows_that_others_hold_are_waited_for_and_told_once),
        SQL_STAGE_TEST(a_build_that_nobody_goes_on_with_is_dropped),
        SQL_STAGE_TEST(a_view_that_stopped_goes_on_when_it_is_mended),
        SQL_STAGE_TEST(a_first_build_that_failed_goes_on_when_it_is_mended),
        SQL_STAGE_TEST(a_build_that_failed_holds_up_no_operator),
        SQL_STAGE_TEST(a_live_generation_that_cannot_be_followed_is_replaced),
        SQL_STAGE_TEST(a_database_that_is_not_there_yet_is_waited_for),
        SQL_STAGE_TEST(a_runner_stops_soon_with_and_without_a_server),
    };
    return cmocka_run_group_tests(tests, sql_stage_group_setup, sql_stage_group_teardown);
}
