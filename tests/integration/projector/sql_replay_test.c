/* Views in PostgreSQL built again, switched and switched back. */
#include "projector/replay.h"
#include "tests/integration/projector/sql_stage.h"

enum { COMMANDS = 60 };

#define SUMS CAIRN_SLICE_LIT("sums")

/* What was added so far. */
struct replaying {
    struct sql_stage *stage;
    struct cairn_projector_options options;
    struct cairn_rebuild_result result;
    struct cairn_err err;
    int64_t sum;
    uint64_t cancel_at; /* events that a build may apply */
    int cuts;           /* of connections, still to be made */
};

static void load(struct replaying *replaying)
{
    replaying->options = world_options(&replaying->stage->world);
    replaying->options.postgres = replaying->stage->uri;
}

static void begin(struct replaying *replaying, struct sql_stage *stage, uint16_t partitions)
{
    sql_stage_view(stage, "sums", sql_stage_sums);
    world_begin(&stage->world, partitions);
    *replaying = (struct replaying){.stage = stage, .cancel_at = UINT64_MAX};
    load(replaying);
}

static void add(struct replaying *replaying, int count)
{
    for (int i = 0; i < count; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "%d", i % 5);
        world_add(&replaying->stage->world, id, i, i % 3 == 0 ? "a" : "b", 2);
        replaying->sum += (int64_t)i * 2;
    }
}

/* The same view by another definition. */
static void change(struct replaying *replaying, int version)
{
    char text[1024];
    (void)snprintf(text, sizeof(text),
                   "-- view: sums\n"
                   "-- version: %d\n"
                   "-- table:\n"
                   "CREATE TABLE sums (who text PRIMARY KEY, sum bigint NOT NULL, "
                   "count bigint NOT NULL, made int NOT NULL);\n"
                   "-- on: Added\n"
                   "INSERT INTO sums VALUES (:to, :n, 1, %d) ON CONFLICT (who) DO UPDATE SET "
                   "sum = sums.sum + excluded.sum, count = sums.count + 1;\n",
                   version, version);
    sql_stage_view(replaying->stage, "sums", text);
    world_load_domain(&replaying->stage->world);
    load(replaying);
}

static bool is_cancelled(void *self)
{
    const struct replaying *replaying = self;
    return replaying->cancel_at == 0;
}

static void count_down(void *self, const struct cairn_rebuild_progress *progress)
{
    struct replaying *replaying = self;
    replaying->cancel_at = progress->done >= replaying->cancel_at ? 0 : replaying->cancel_at;
}

static enum cairn_rc act(struct replaying *replaying, bool back)
{
    const struct cairn_rebuild_request request = {.view = SUMS};
    const struct cairn_rebuild_hooks hooks = {
        .cancelled = is_cancelled, .progress = count_down, .self = replaying};
    return (back ? cairn_view_rollback : cairn_view_rebuild)(&replaying->options, &request, &hooks,
                                                             &replaying->result, &replaying->err);
}

static void rebuild(struct replaying *replaying)
{
    assert_ok(act(replaying, false), &replaying->err);
}

/* With a live generation of so many commands. */
static void begin_live(struct replaying *replaying, struct sql_stage *stage, uint16_t partitions,
                       int commands)
{
    begin(replaying, stage, partitions);
    add(replaying, commands);
    rebuild(replaying);
}

/* And another by a second definition, which is live then. */
static void begin_with_two(struct replaying *replaying, struct sql_stage *stage,
                           uint16_t partitions, int commands)
{
    begin_live(replaying, stage, partitions, commands);
    change(replaying, 2);
    rebuild(replaying);
}

static void roll_back(struct replaying *replaying)
{
    assert_ok(act(replaying, true), &replaying->err);
}

static int64_t number(struct replaying *replaying, const char *sql)
{
    return sql_stage_number(replaying->stage, "%s", sql);
}

static void sums_are_all(struct replaying *replaying)
{
    assert_int_equal(number(replaying, "SELECT sum(sum) FROM test.sums"), replaying->sum);
    assert_int_equal(number(replaying, "SELECT sum(count) FROM test.sums"),
                     replaying->stage->world.appended);
    assert_int_equal(number(replaying, "SELECT events FROM _cairn_view WHERE side = 'live'"),
                     replaying->stage->world.appended);
}

static bool is_there(struct replaying *replaying, const char *relation)
{
    return strcmp(
               sql_stage_value(replaying->stage, "SELECT to_regclass('%s') IS NOT NULL", relation),
               "t") == 0;
}

static void follow_live(struct replaying *replaying)
{
    struct cairn_sql_follower *follower = NULL;
    assert_ok(sql_stage_follow(replaying->stage, "sums", CAIRN_SIDE_LIVE, &follower),
              &replaying->stage->err);
    sql_stage_catch_up(follower, 1000);
    assert_false(follower->failed);
    cairn_sql_follower_close(follower);
}

/* ---- building ---- */

static void a_first_build_keeps_nothing(void **state)
{
    struct replaying replaying;
    begin_live(&replaying, *state, 3, COMMANDS);
    sums_are_all(&replaying);
    assert_int_equal(replaying.result.generation, 1);
    assert_int_equal(replaying.result.events, replaying.stage->world.appended);
    assert_int_equal(replaying.result.rows, 2);
    assert_false(replaying.result.kept);
    assert_false(replaying.result.compared);
    assert_false(replaying.result.resumed);
    assert_int_equal(number(&replaying, "SELECT count(*) FROM _cairn_view"), 1);
}

static void rows_that_were_changed_by_hand_are_found_and_mended(void **state)
{
    struct replaying replaying;
    begin_live(&replaying, *state, 3, COMMANDS);
    sql_stage_run(replaying.stage, "UPDATE test.sums SET sum = sum + 1 WHERE who = 'a'");
    add(&replaying, COMMANDS);
    rebuild(&replaying);
    sums_are_all(&replaying);
    assert_true(replaying.result.compared);
    assert_true(replaying.result.kept);
    assert_int_equal(replaying.result.generation, 2);
    assert_int_equal(replaying.result.before.rows, replaying.result.after.rows);
    assert_int_not_equal(replaying.result.before.sum, replaying.result.after.sum);
    /* What was live is to be looked at. */
    assert_int_equal(number(&replaying, "SELECT sum(sum) % 2 FROM test_old_sums.sums"), 1);
}

static void generations_that_are_equal_have_equal_sums(void **state)
{
    struct replaying replaying;
    begin_live(&replaying, *state, 3, COMMANDS);
    add(&replaying, 1); /* which the live one does not have: both are held at its position */
    rebuild(&replaying);
    assert_true(replaying.result.compared);
    assert_int_equal(replaying.result.before.rows, 2);
    assert_int_equal(replaying.result.after.rows, 2);
    assert_int_equal(replaying.result.before.sum, replaying.result.after.sum);
    sums_are_all(&replaying);
}

static void a_rebuild_that_is_cancelled_is_gone_on_with(void **state)
{
    struct replaying replaying;
    begin(&replaying, *state, 1);
    add(&replaying, COMMANDS);
    replaying.cancel_at = 0;
    assert_int_equal(act(&replaying, false), CAIRN_ESTOPPED);
    assert_int_equal(number(&replaying, "SELECT count(*) FROM _cairn_view WHERE side = 'next'"), 1);
    /* It stands where it was left, whose row says so. */
    struct cairn_sql_follower *follower = NULL;
    assert_ok(sql_stage_follow(replaying.stage, "sums", CAIRN_SIDE_NEXT, &follower),
              &replaying.stage->err);
    size_t events = 0;
    assert_ok(cairn_sql_follower_step(follower, 16, &events, &replaying.err), &replaying.err);
    assert_true(events > 0);
    cairn_sql_follower_close(follower);
    replaying.cancel_at = UINT64_MAX;
    rebuild(&replaying);
    assert_true(replaying.result.resumed);
    sums_are_all(&replaying);
}

static void a_build_that_fails_is_dropped_and_told(void **state)
{
    struct replaying replaying;
    begin_live(&replaying, *state, 1, 10);
    world_add(&replaying.stage->world, "1", -1, "refused", 1);
    assert_int_equal(act(&replaying, false), CAIRN_EINVAL);
    assert_non_null(strstr(replaying.err.text, "at 0:21"));
    assert_non_null(strstr(replaying.err.text, "23514"));
    assert_int_equal(number(&replaying, "SELECT count(*) FROM _cairn_view"), 1);
    assert_int_equal(number(&replaying, "SELECT generation FROM _cairn_view"), 1);
    assert_false(is_there(&replaying, "test_build_sums.sums"));
}

static void of_two_builders_one_is_told_of_the_other(void **state)
{
    struct replaying replaying;
    struct cairn_pg *other = NULL;
    begin_live(&replaying, *state, 1, 10);
    const struct cairn_pg_options options = {.uri = replaying.stage->uri};
    assert_ok(cairn_pg_open(&options, &other, &replaying.err), &replaying.err);
    assert_ok(cairn_sql_generation_lock(other, CAIRN_SLICE_LIT("test"), SUMS, CAIRN_SIDE_NEXT,
                                        &replaying.err),
              &replaying.err);
    assert_int_equal(act(&replaying, false), CAIRN_ELOCKED);
    assert_int_equal(act(&replaying, true), CAIRN_ELOCKED);
    bool dropped = false;
    assert_int_equal(cairn_view_drop_kept(&replaying.options, SUMS, &dropped, &replaying.err),
                     CAIRN_ELOCKED);
    assert_int_equal(number(&replaying, "SELECT count(*) FROM _cairn_view"), 1);
    cairn_pg_close(other); /* with it goes its lock */
    sql_stage_await_unlocked(replaying.stage);
    rebuild(&replaying);
}

static void what_stands_on_live_tables_keeps_them_and_the_build(void **state)
{
    static const char *const objects[][2] = {
        {"CREATE VIEW test.report AS SELECT who FROM test.sums", "DROP VIEW test.report"},
        {"CREATE MATERIALIZED VIEW test.report AS SELECT who FROM test.sums",
         "DROP MATERIALIZED VIEW test.report"},
        {"CREATE TABLE test.notes (who text REFERENCES test.sums)", "DROP TABLE test.notes"},
        {"CREATE FUNCTION test.total() RETURNS numeric LANGUAGE sql BEGIN ATOMIC "
         "SELECT sum(sum) FROM test.sums; END",
         "DROP FUNCTION test.total()"},
    };
    struct replaying replaying;
    begin_live(&replaying, *state, 1, 10);
    for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
        uint64_t generation = replaying.result.generation;
        sql_stage_run(replaying.stage, "%s", objects[i][0]);
        assert_int_equal(act(&replaying, false), CAIRN_EINVAL);
        assert_non_null(strstr(replaying.err.text, "2BP01"));
        assert_int_equal(
            number(&replaying, "SELECT generation FROM _cairn_view WHERE side = 'live'"),
            generation);
        sums_are_all(&replaying);
        sql_stage_run(replaying.stage, "%s", objects[i][1]);
        rebuild(&replaying);
        assert_true(replaying.result.resumed);
        assert_int_equal(replaying.result.generation, generation + 1);
    }
}

static void tables_that_refer_to_each_other_move_together(void **state)
{
    struct replaying replaying;
    struct sql_stage *stage = *state;
    sql_stage_view(stage, "sums",
                   "-- view: sums\n"
                   "-- version: 1\n"
                   "-- table:\n"
                   "CREATE TABLE names (who text PRIMARY KEY);\n"
                   "CREATE TABLE sums (at bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, who "
                   "text REFERENCES names, sum bigint, count bigint) PARTITION BY RANGE (at);\n"
                   "CREATE TABLE sums_all PARTITION OF sums DEFAULT;\n"
                   "-- on: Added\n"
                   "INSERT INTO names VALUES (:to) ON CONFLICT DO NOTHING;\n"
                   "INSERT INTO sums (who, sum, count) VALUES (:to, :n, 1);\n");
    world_begin(&stage->world, 1);
    replaying = (struct replaying){.stage = stage, .cancel_at = UINT64_MAX};
    load(&replaying);
    add(&replaying, 10);
    for (int i = 0; i < 3; i++) {
        rebuild(&replaying);
        sums_are_all(&replaying);
        assert_int_equal(replaying.result.rows, 22);
    }
    assert_int_equal(replaying.result.before.sum, replaying.result.after.sum);
    assert_true(is_there(&replaying, "test.sums_all"));
    assert_true(is_there(&replaying, "test_old_sums.sums_all"));
    add(&replaying, 5);
    follow_live(&replaying);
    sums_are_all(&replaying);
}

static void cut_connections(struct replaying *replaying)
{
    sql_stage_run(replaying->stage,
                  "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE "
                  "application_name = 'cairn projector' AND datname = current_database()");
}

static bool cut_once(void *self)
{
    struct replaying *replaying = self;
    if (replaying->cuts > 0) {
        replaying->cuts--;
        cut_connections(replaying);
    }
    return false;
}

static void a_build_outlives_lost_connections(void **state)
{
    struct replaying replaying;
    const struct cairn_rebuild_request request = {.view = SUMS};
    const struct cairn_rebuild_hooks hooks = {.cancelled = cut_once, .self = &replaying};
    begin(&replaying, *state, 3);
    add(&replaying, COMMANDS);
    for (int i = 0; i < 3; i++) {
        replaying.cuts = 3;
        assert_ok((i == 2 ? cairn_view_rollback : cairn_view_rebuild)(
                      &replaying.options, &request, &hooks, &replaying.result, &replaying.err),
                  &replaying.err);
        assert_int_equal(replaying.cuts, 0);
        assert_int_equal(replaying.result.generation, i + 1);
        assert_false(replaying.result.resumed);
        sums_are_all(&replaying);
    }
    assert_int_equal(number(&replaying, "SELECT count(*) FROM _cairn_view"), 2);
}

/* ---- rolling back ---- */

static void a_rollback_goes_on_from_where_the_old_one_stood(void **state)
{
    struct replaying replaying;
    begin_with_two(&replaying, *state, 3, COMMANDS);
    assert_false(replaying.result.compared); /* two definitions are not held against each other */
    add(&replaying, COMMANDS);
    follow_live(&replaying);
    roll_back(&replaying);
    assert_int_equal(replaying.result.generation, 3);
    assert_true(replaying.result.kept);
    sums_are_all(&replaying);
    assert_int_equal(number(&replaying, "SELECT version FROM _cairn_view WHERE side = 'live'"), 1);
    assert_int_equal(number(&replaying, "SELECT version FROM _cairn_view WHERE side = 'old'"), 2);
    assert_string_equal(sql_stage_value(replaying.stage,
                                        "SELECT a.refused = b.hash FROM _cairn_view a, _cairn_view "
                                        "b WHERE a.side = 'live' AND b.side = 'old'"),
                        "t");
    add(&replaying, COMMANDS);
    follow_live(&replaying);
    roll_back(&replaying);
    assert_int_equal(replaying.result.generation, 4);
    sums_are_all(&replaying);
    assert_int_equal(number(&replaying, "SELECT sum(made) FROM test.sums"), 4);
}

static void without_a_kept_generation_there_is_no_way_back(void **state)
{
    struct replaying replaying;
    bool dropped = true;
    begin(&replaying, *state, 1);
    add(&replaying, 10);
    assert_int_equal(act(&replaying, true), CAIRN_ENOENT);
    rebuild(&replaying);
    assert_int_equal(act(&replaying, true), CAIRN_ENOENT);
    assert_ok(cairn_view_drop_kept(&replaying.options, SUMS, &dropped, &replaying.err),
              &replaying.err);
    assert_false(dropped);
    rebuild(&replaying);
    assert_ok(cairn_view_drop_kept(&replaying.options, SUMS, &dropped, &replaying.err),
              &replaying.err);
    assert_true(dropped);
    assert_false(is_there(&replaying, "test_old_sums.sums"));
    assert_int_equal(act(&replaying, true), CAIRN_ENOENT);
    sums_are_all(&replaying);
}

static void a_rollback_that_comes_to_nothing_keeps_what_was_kept(void **state)
{
    struct replaying replaying;
    begin_with_two(&replaying, *state, 1, 10);
    replaying.cancel_at = 0;
    assert_int_equal(act(&replaying, true), CAIRN_ESTOPPED);
    replaying.cancel_at = UINT64_MAX;
    assert_string_equal(sql_stage_value(replaying.stage,
                                        "SELECT string_agg(side || version, ',' ORDER BY side) "
                                        "FROM _cairn_view"),
                        "live2,old1");
    /* The first definition refuses what the second takes. */
    world_add(&replaying.stage->world, "1", -1, "refused", 1);
    follow_live(&replaying);
    assert_int_equal(act(&replaying, true), CAIRN_EINVAL);
    assert_string_equal(sql_stage_value(replaying.stage,
                                        "SELECT string_agg(side || version, ',' ORDER BY side) "
                                        "FROM _cairn_view"),
                        "live2,old1");
    assert_true(is_there(&replaying, "test_old_sums.sums"));
    assert_int_equal(number(&replaying, "SELECT events FROM _cairn_view WHERE side = 'old'"), 20);
}

static void what_is_on_its_way_back_is_no_rebuild(void **state)
{
    struct replaying replaying;
    begin_live(&replaying, *state, 1, 10);
    sql_stage_run(replaying.stage, "UPDATE test.sums SET sum = sum + 1");
    rebuild(&replaying);
    assert_ok(cairn_sql_generation_return(replaying.stage->pg, CAIRN_SLICE_LIT("test"), SUMS, 7,
                                          &replaying.err),
              &replaying.err);
    rebuild(&replaying); /* by the same definition, and yet from the beginning */
    assert_false(replaying.result.resumed);
    sums_are_all(&replaying);
}

static void a_rollback_that_was_killed_is_gone_on_with(void **state)
{
    struct replaying replaying;
    begin_with_two(&replaying, *state, 1, 10);
    add(&replaying, 10);
    for (int again = 0; again < 2; again++) {
        assert_ok(cairn_sql_generation_return(replaying.stage->pg, CAIRN_SLICE_LIT("test"), SUMS, 7,
                                              &replaying.err),
                  &replaying.err);
        assert_false(is_there(&replaying, "test_old_sums.sums"));
        if (again == 0) {
            /* Another build puts it back where it was, and drops it with its own switch. */
            change(&replaying, 3);
            rebuild(&replaying);
            assert_false(replaying.result.resumed);
            assert_int_equal(
                number(&replaying, "SELECT version FROM _cairn_view WHERE side = 'old'"), 2);
        }
    }
    roll_back(&replaying);
    assert_true(replaying.result.resumed);
    sums_are_all(&replaying);
    assert_int_equal(number(&replaying, "SELECT version FROM _cairn_view WHERE side = 'live'"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SQL_STAGE_TEST(a_first_build_keeps_nothing),
        SQL_STAGE_TEST(rows_that_were_changed_by_hand_are_found_and_mended),
        SQL_STAGE_TEST(generations_that_are_equal_have_equal_sums),
        SQL_STAGE_TEST(a_rebuild_that_is_cancelled_is_gone_on_with),
        SQL_STAGE_TEST(a_build_that_fails_is_dropped_and_told),
        SQL_STAGE_TEST(of_two_builders_one_is_told_of_the_other),
        SQL_STAGE_TEST(a_build_outlives_lost_connections),
        SQL_STAGE_TEST(what_stands_on_live_tables_keeps_them_and_the_build),
        SQL_STAGE_TEST(tables_that_refer_to_each_other_move_together),
        SQL_STAGE_TEST(a_rollback_goes_on_from_where_the_old_one_stood),
        SQL_STAGE_TEST(without_a_kept_generation_there_is_no_way_back),
        SQL_STAGE_TEST(a_rollback_that_comes_to_nothing_keeps_what_was_kept),
        SQL_STAGE_TEST(what_is_on_its_way_back_is_no_rebuild),
        SQL_STAGE_TEST(a_rollback_that_was_killed_is_gone_on_with),
    };
    return cmocka_run_group_tests(tests, sql_stage_group_setup, sql_stage_group_teardown);
}
