#include <pthread.h>

#include "projector/sql/store.h"
#include "tests/integration/projector/sql_stage.h"

enum { THREADS = 6 };

#define DOMAIN CAIRN_SLICE_LIT("test")
#define SUMS   CAIRN_SLICE_LIT("sums")

static void begin(struct sql_stage *stage)
{
    sql_stage_view(stage, "sums", sql_stage_sums);
    world_load_domain(&stage->world);
}

static enum cairn_rc switch_to(struct sql_stage *stage, uint64_t generation)
{
    return cairn_sql_generation_switch(stage->pg, DOMAIN, SUMS, generation, CAIRN_SLICE_LIT(""),
                                       &stage->err);
}

static bool is_there(struct sql_stage *stage, const char *relation)
{
    return strcmp(sql_stage_value(stage, "SELECT to_regclass('%s') IS NOT NULL", relation), "t") ==
           0;
}

static void a_second_preparation_changes_nothing(void **state)
{
    struct sql_stage *stage = *state;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_sql_head head;
    begin(stage);
    sql_stage_build(stage, "sums", &arena, &head);
    assert_ok(cairn_sql_store_prepare(stage->pg, DOMAIN, &stage->err), &stage->err);
    assert_int_equal(sql_stage_number(stage, "SELECT count(*) FROM _cairn_view"), 1);
    cairn_arena_fini(&arena);
}

/* Rows of a table that an earlier version made are kept, and count no change yet. */
static void a_control_table_without_parks_gets_them(void **state)
{
    struct sql_stage *stage = *state;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_sql_head head;
    begin(stage);
    sql_stage_build(stage, "sums", &arena, &head);
    sql_stage_run(stage, "ALTER TABLE _cairn_view DROP COLUMN parks; DROP TABLE _cairn_parked");
    assert_ok(cairn_sql_store_prepare(stage->pg, DOMAIN, &stage->err), &stage->err);
    assert_ok(
        cairn_sql_head_read(stage->pg, DOMAIN, SUMS, CAIRN_SIDE_NEXT, &arena, &head, &stage->err),
        &stage->err);
    assert_int_equal(head.generation, 1);
    assert_int_equal(head.parks + head.parked, 0);
    cairn_arena_fini(&arena);
}

/* Whoever reads or follows holds the table; a start that had to alter it would wait for them. */
static void preparing_waits_for_nobody_who_uses_the_table(void **state)
{
    struct sql_stage *stage = *state;
    struct cairn_pg *other = NULL;
    const struct cairn_pg_options options = {.uri = stage->uri};
    begin(stage);
    assert_ok(cairn_sql_store_prepare(stage->pg, DOMAIN, &stage->err), &stage->err);
    assert_ok(cairn_pg_open(&options, &other, &stage->err), &stage->err);
    pg_stage_run(other, "BEGIN; SELECT * FROM test._cairn_view FOR UPDATE; "
                        "LOCK TABLE test._cairn_parked IN ROW EXCLUSIVE MODE");
    sql_stage_run(stage, "SET lock_timeout = 1000");
    assert_ok(cairn_sql_store_prepare(stage->pg, DOMAIN, &stage->err), &stage->err);
    cairn_pg_close(other);
}

static void a_table_of_an_earlier_version_takes_all_sides(void **state)
{
    struct sql_stage *stage = *state;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_sql_head head;
    sql_stage_run(stage, "CREATE SCHEMA test; CREATE TABLE test._cairn_view ("
                         "view text NOT NULL, side text NOT NULL CHECK (side IN ('live', 'next')), "
                         "generation bigint NOT NULL, state text NOT NULL, version integer NOT "
                         "NULL, hash text NOT NULL, definition text NOT NULL, position text NOT "
                         "NULL, events bigint NOT NULL, log_events bigint NOT NULL, error text NOT "
                         "NULL DEFAULT '', error_event text NOT NULL DEFAULT '', relations text[] "
                         "NOT NULL DEFAULT '{}', updated timestamptz NOT NULL DEFAULT now(), "
                         "PRIMARY KEY (view, side)); CREATE TABLE test.sums (who text); "
                         "INSERT INTO test._cairn_view (view, side, generation, state, version, "
                         "hash, definition, position, events, log_events, relations) VALUES "
                         "('sums', 'live', 7, 'live', 1, 'h', 'd', '0:0', 0, 0, '{sums}')");
    begin(stage);
    sql_stage_build(stage, "sums", &arena, &head);
    assert_int_equal(head.generation, 8);
    assert_ok(switch_to(stage, 8), &stage->err);
    assert_string_equal(
        sql_stage_value(
            stage, "SELECT string_agg(side || generation, ',' ORDER BY side) FROM _cairn_view"),
        "live8,old7");
    assert_true(is_there(stage, "test_old_sums.sums"));
    cairn_arena_fini(&arena);
}

static void a_build_that_is_behind_the_live_one_is_not_switched(void **state)
{
    struct sql_stage *stage = *state;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_sql_head head;
    begin(stage);
    sql_stage_make_live(stage, "sums");
    sql_stage_build(stage, "sums", &arena, &head);
    sql_stage_run(stage, "UPDATE _cairn_view SET position = '0:3,1:7' WHERE side = 'live'; "
                         "UPDATE _cairn_view SET position = '0:9,1:6' WHERE side = 'next'");
    assert_int_equal(switch_to(stage, 2), CAIRN_EBEHIND);
    sql_stage_run(stage, "UPDATE _cairn_view SET position = '0:3,1:7' WHERE side = 'next'");
    assert_ok(switch_to(stage, 2), &stage->err);
    cairn_arena_fini(&arena);
}

static void *prepare_alone(void *argument)
{
    struct sql_stage *stage = argument;
    const struct cairn_pg_options options = {.uri = stage->uri};
    struct cairn_pg *pg = NULL;
    struct cairn_err err;
    enum cairn_rc rc = cairn_pg_open(&options, &pg, &err);
    rc = rc == CAIRN_OK ? cairn_sql_store_prepare(pg, DOMAIN, &err) : rc;
    cairn_pg_close(pg);
    return rc == CAIRN_OK ? NULL : argument;
}

static void several_prepare_at_the_same_time(void **state)
{
    struct sql_stage *stage = *state;
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, prepare_alone, stage), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_true(is_there(stage, "test._cairn_view"));
}

static void without_a_store_or_a_row_there_is_no_head(void **state)
{
    struct sql_stage *stage = *state;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_sql_head head;
    assert_int_equal(
        cairn_sql_head_read(stage->pg, DOMAIN, SUMS, CAIRN_SIDE_LIVE, &arena, &head, &stage->err),
        CAIRN_ENOENT);
    assert_ok(cairn_sql_store_prepare(stage->pg, DOMAIN, &stage->err), &stage->err);
    assert_int_equal(
        cairn_sql_head_read(stage->pg, DOMAIN, SUMS, CAIRN_SIDE_LIVE, &arena, &head, &stage->err),
        CAIRN_ENOENT);
    cairn_arena_fini(&arena);
}

static void a_build_begins_at_the_begin_of_the_log(void **state)
{
    struct sql_stage *stage = *state;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_sql_head head;
    begin(stage);
    stage->world.appended = 17;
    sql_stage_build(stage, "sums", &arena, &head);
    assert_int_equal(head.state, CAIRN_VIEW_BUILDING);
    assert_int_equal(head.generation, 1);
    assert_int_equal(head.version, 1);
    assert_int_equal(head.events, 0);
    assert_int_equal(head.all, 17);
    assert_true(cairn_slice_is(head.place, "0:0"));
    assert_true(cairn_slice_is(head.hash, "0123"));
    assert_true(cairn_slice_is(head.definition, sql_stage_sums));
    assert_int_equal(head.error.size, 0);
    assert_true(is_there(stage, "test_build_sums.sums"));
    assert_false(is_there(stage, "test.sums"));
    cairn_arena_fini(&arena);
}

static void a_new_build_throws_a_half_built_one_away(void **state)
{
    struct sql_stage *stage = *state;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_sql_head head;
    begin(stage);
    sql_stage_build(stage, "sums", &arena, &head);
    sql_stage_run(stage, "INSERT INTO test_build_sums.sums VALUES ('a', 1, 1); "
                         "CREATE TABLE test_build_sums.left_over (a int); "
                         "UPDATE _cairn_view SET position = '0:9', events = 9");
    sql_stage_build(stage, "sums", &arena, &head);
    assert_int_equal(head.events, 0);
    assert_int_equal(sql_stage_number(stage, "SELECT count(*) FROM test_build_sums.sums"), 0);
    assert_false(is_there(stage, "test_build_sums.left_over"));
    assert_int_equal(sql_stage_number(stage, "SELECT count(*) FROM _cairn_view"), 1);
    cairn_arena_fini(&arena);
}

static void ddl_that_is_refused_leaves_what_was(void **state)
{
    struct sql_stage *stage = *state;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_sql_head head;
    const char *const tables[] = {"CREATE TABLE sums (a int)", "CREATE TABLE sums (b int)"};
    const struct cairn_sql_definition definition = {
        .domain = DOMAIN, .view = SUMS, .version = 2, .tables = tables, .table_count = 2};
    begin(stage);
    sql_stage_build(stage, "sums", &arena, &head);
    assert_int_equal(
        cairn_sql_generation_begin(stage->pg, &definition, CAIRN_SIDE_NEXT, &stage->err),
        CAIRN_EINVAL);
    assert_non_null(strstr(stage->err.text, "sums"));
    assert_int_equal(sql_stage_number(stage, "SELECT version FROM _cairn_view"), 1);
    assert_true(is_there(stage, "test_build_sums.sums_by_sum"));
    cairn_arena_fini(&arena);
}

static void a_switch_moves_tables_with_their_indexes(void **state)
{
    struct sql_stage *stage = *state;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_sql_head head;
    begin(stage);
    sql_stage_make_live(stage, "sums");
    sql_stage_run(stage, "INSERT INTO test.sums VALUES ('old', 1, 1)");
    sql_stage_build(stage, "sums", &arena, &head);
    assert_int_equal(head.generation, 2);
    sql_stage_run(stage, "INSERT INTO test_build_sums.sums VALUES ('new', 2, 1)");
    assert_ok(switch_to(stage, 2), &stage->err);
    assert_string_equal(sql_stage_value(stage, "SELECT who FROM test.sums"), "new");
    assert_true(is_there(stage, "test.sums_by_sum"));
    assert_true(is_there(stage, "test.sums_pkey"));
    assert_string_equal(sql_stage_value(stage, "SELECT to_regnamespace('test_build_sums') IS NULL"),
                        "t");
    assert_ok(
        cairn_sql_head_read(stage->pg, DOMAIN, SUMS, CAIRN_SIDE_LIVE, &arena, &head, &stage->err),
        &stage->err);
    assert_int_equal(head.generation, 2);
    assert_int_equal(head.state, CAIRN_VIEW_LIVE);
    assert_string_equal(sql_stage_value(stage, "SELECT who FROM test_old_sums.sums"), "old");
    assert_true(is_there(stage, "test_old_sums.sums_by_sum"));
    assert_int_equal(sql_stage_number(stage, "SELECT count(*) FROM _cairn_view"), 2);
    cairn_arena_fini(&arena);
}

static void a_build_that_another_switched_is_stopped(void **state)
{
    struct sql_stage *stage = *state;
    begin(stage);
    sql_stage_make_live(stage, "sums");
    sql_stage_run(stage, "INSERT INTO test.sums VALUES ('kept', 1, 1)");
    assert_int_equal(switch_to(stage, 1), CAIRN_ESTOPPED);
    assert_int_equal(switch_to(stage, 2), CAIRN_ESTOPPED);
    assert_string_equal(sql_stage_value(stage, "SELECT who FROM test.sums"), "kept");
}

static void what_stands_on_a_table_keeps_it_and_is_named(void **state)
{
    struct sql_stage *stage = *state;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_sql_head head;
    begin(stage);
    sql_stage_make_live(stage, "sums");
    sql_stage_run(stage, "INSERT INTO test.sums VALUES ('old', 1, 1); "
                         "CREATE VIEW test.report AS SELECT who FROM test.sums");
    sql_stage_build(stage, "sums", &arena, &head);
    assert_int_equal(switch_to(stage, 2), CAIRN_EINVAL);
    assert_non_null(strstr(stage->err.text, "sums"));
    assert_non_null(strstr(stage->err.text, "2BP01"));
    assert_non_null(strstr(stage->err.text, ": view report stands on the live tables"));
    assert_string_equal(sql_stage_value(stage, "SELECT who FROM test.report"), "old");
    sql_stage_run(stage, "DROP VIEW test.report");
    assert_ok(switch_to(stage, 2), &stage->err);
    assert_int_equal(sql_stage_number(stage, "SELECT count(*) FROM test.sums"), 0);
    cairn_arena_fini(&arena);
}

/* Foreign keys, columns of the table's type, and views on views are all somebody's; an index, a key
 * and a table of the view's own are not. */
static void all_that_stands_on_a_table_is_named(void **state)
{
    static const char *const names[] = {"constraint", "other_who_fkey", "column whole of table",
                                        "view report"};
    struct sql_stage *stage = *state;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_sql_head head;
    begin(stage);
    sql_stage_make_live(stage, "sums");
    sql_stage_run(stage, "CREATE VIEW test.report AS SELECT who FROM test.sums; "
                         "CREATE TABLE test.other (who text REFERENCES test.sums); "
                         "CREATE TABLE test.third (whole test.sums)");
    sql_stage_build(stage, "sums", &arena, &head);
    assert_int_equal(switch_to(stage, 2), CAIRN_EINVAL);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_non_null(strstr(stage->err.text, names[i]));
    }
    assert_null(strstr(stage->err.text, "index"));
    cairn_arena_fini(&arena);
}

static void who_uses_the_live_tables_is_named(void **state)
{
    struct sql_stage *stage = *state;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_sql_head head;
    struct cairn_pg *pg = NULL;
    char process[32];
    const struct cairn_pg_options options = {.uri = stage->uri, .lock_timeout_ms = 50};
    begin(stage);
    sql_stage_make_live(stage, "sums");
    sql_stage_build(stage, "sums", &arena, &head);
    assert_ok(cairn_pg_open(&options, &pg, &stage->err), &stage->err);
    (void)snprintf(process, sizeof(process), "process %s (cairn",
                   sql_stage_value(stage, "SELECT pg_backend_pid()"));
    sql_stage_run(stage, "BEGIN; LOCK TABLE test.sums IN ACCESS SHARE MODE");
    assert_int_equal(
        cairn_sql_generation_switch(pg, DOMAIN, SUMS, 2, CAIRN_SLICE_LIT(""), &stage->err),
        CAIRN_EBUSY);
    assert_non_null(strstr(stage->err.text, process));
    sql_stage_run(stage, "ROLLBACK");
    assert_ok(cairn_sql_generation_switch(pg, DOMAIN, SUMS, 2, CAIRN_SLICE_LIT(""), &stage->err),
              &stage->err);
    cairn_pg_close(pg);
    cairn_arena_fini(&arena);
}

static void a_stop_is_written_only_where_the_row_still_stands(void **state)
{
    struct sql_stage *stage = *state;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_sql_head head;
    begin(stage);
    sql_stage_make_live(stage, "sums");
    assert_ok(
        cairn_sql_head_read(stage->pg, DOMAIN, SUMS, CAIRN_SIDE_LIVE, &arena, &head, &stage->err),
        &stage->err);
    struct cairn_sql_head elsewhere = head;
    elsewhere.place = CAIRN_SLICE_LIT("0:1");
    const struct cairn_sql_stop stop = {
        .error = "it's \"so\"", .event = CAIRN_SLICE_LIT("e"), .partition = 1, .offset = 17};
    assert_ok(cairn_sql_stop_write(stage->pg, DOMAIN, SUMS, CAIRN_SIDE_LIVE, &elsewhere, &stop,
                                   &stage->err),
              &stage->err);
    assert_string_equal(sql_stage_value(stage, "SELECT state || error FROM _cairn_view"), "live");
    assert_ok(
        cairn_sql_stop_write(stage->pg, DOMAIN, SUMS, CAIRN_SIDE_LIVE, &head, &stop, &stage->err),
        &stage->err);
    assert_ok(
        cairn_sql_head_read(stage->pg, DOMAIN, SUMS, CAIRN_SIDE_LIVE, &arena, &head, &stage->err),
        &stage->err);
    assert_int_equal(head.state, CAIRN_VIEW_STOPPED);
    assert_true(cairn_slice_is(head.error, "it's \"so\""));
    assert_true(cairn_slice_is(head.error_event, "e"));
    assert_int_equal(head.error_partition, 1);
    assert_int_equal(head.error_offset, 17);
    assert_ok(
        cairn_sql_stop_write(stage->pg, DOMAIN, SUMS, CAIRN_SIDE_LIVE, &head, NULL, &stage->err),
        &stage->err);
    assert_string_equal(
        sql_stage_value(stage, "SELECT state || error || error_event || error_position FROM "
                               "_cairn_view"),
        "live");
    cairn_arena_fini(&arena);
}

static void a_build_that_failed_is_still_a_build(void **state)
{
    struct sql_stage *stage = *state;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_sql_head head;
    begin(stage);
    sql_stage_build(stage, "sums", &arena, &head);
    const struct cairn_sql_stop stop = {.error = "why", .event = CAIRN_SLICE_LIT("e")};
    assert_ok(
        cairn_sql_stop_write(stage->pg, DOMAIN, SUMS, CAIRN_SIDE_NEXT, &head, &stop, &stage->err),
        &stage->err);
    assert_string_equal(sql_stage_value(stage, "SELECT state || error FROM _cairn_view"),
                        "buildingwhy");
    cairn_arena_fini(&arena);
}

static void only_views_of_the_domain_are_kept(void **state)
{
    struct sql_stage *stage = *state;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_sql_head head;
    const struct cairn_slice kept[] = {CAIRN_SLICE_LIT("other"), SUMS};
    begin(stage);
    sql_stage_make_live(stage, "sums");
    sql_stage_make_live(stage, "sums");
    sql_stage_build(stage, "sums", &arena, &head);
    sql_stage_run(stage, "CREATE TABLE test.mine (a int)");
    assert_ok(cairn_sql_store_keep(stage->pg, DOMAIN, kept, 2, &stage->err), &stage->err);
    assert_true(is_there(stage, "test.sums"));
    assert_true(is_there(stage, "test_build_sums.sums"));
    assert_true(is_there(stage, "test_old_sums.sums"));
    assert_ok(cairn_sql_store_keep(stage->pg, DOMAIN, kept, 1, &stage->err), &stage->err);
    assert_false(is_there(stage, "test.sums"));
    assert_false(is_there(stage, "test_build_sums.sums"));
    assert_false(is_there(stage, "test_old_sums.sums"));
    assert_true(is_there(stage, "test.mine"));
    assert_int_equal(sql_stage_number(stage, "SELECT count(*) FROM _cairn_view"), 0);
    cairn_arena_fini(&arena);
}

static void park(struct sql_stage *stage, const char *view, int generation)
{
    sql_stage_run(stage,
                  "INSERT INTO _cairn_parked (view, generation, stream, version, event, position, "
                  "error) VALUES ('%s', %d, 'box-1', 1, 'e', '0:1', 'no')",
                  view, generation);
}

static void what_a_generation_parked_goes_with_it(void **state)
{
    struct sql_stage *stage = *state;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_sql_head head;
    begin(stage);
    sql_stage_make_live(stage, "sums");
    park(stage, "sums", 1);
    sql_stage_build(stage, "sums", &arena, &head);
    assert_int_equal(head.generation, 2);
    park(stage, "sums", 2);
    park(stage, "other", 2);
    sql_stage_build(stage, "sums", &arena, &head); /* in the place of the unfinished one */
    assert_int_equal(head.parked, 0);
    assert_string_equal(
        sql_stage_value(stage, "SELECT string_agg(view || generation, ' ' ORDER BY view) FROM "
                               "_cairn_parked"),
        "other2 sums1");
    assert_ok(cairn_sql_store_keep(stage->pg, DOMAIN, NULL, 0, &stage->err), &stage->err);
    assert_string_equal(sql_stage_value(stage, "SELECT string_agg(view, '') FROM _cairn_parked"),
                        "other");
    cairn_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SQL_STAGE_TEST(a_second_preparation_changes_nothing),
        SQL_STAGE_TEST(a_table_of_an_earlier_version_takes_all_sides),
        SQL_STAGE_TEST(a_build_that_is_behind_the_live_one_is_not_switched),
        SQL_STAGE_TEST(a_control_table_without_parks_gets_them),
        SQL_STAGE_TEST(preparing_waits_for_nobody_who_uses_the_table),
        SQL_STAGE_TEST(several_prepare_at_the_same_time),
        SQL_STAGE_TEST(without_a_store_or_a_row_there_is_no_head),
        SQL_STAGE_TEST(a_build_begins_at_the_begin_of_the_log),
        SQL_STAGE_TEST(a_new_build_throws_a_half_built_one_away),
        SQL_STAGE_TEST(ddl_that_is_refused_leaves_what_was),
        SQL_STAGE_TEST(a_switch_moves_tables_with_their_indexes),
        SQL_STAGE_TEST(a_build_that_another_switched_is_stopped),
        SQL_STAGE_TEST(what_stands_on_a_table_keeps_it_and_is_named),
        SQL_STAGE_TEST(all_that_stands_on_a_table_is_named),
        SQL_STAGE_TEST(who_uses_the_live_tables_is_named),
        SQL_STAGE_TEST(a_stop_is_written_only_where_the_row_still_stands),
        SQL_STAGE_TEST(a_build_that_failed_is_still_a_build),
        SQL_STAGE_TEST(only_views_of_the_domain_are_kept),
        SQL_STAGE_TEST(what_a_generation_parked_goes_with_it),
    };
    return cmocka_run_group_tests(tests, sql_stage_group_setup, sql_stage_group_teardown);
}
