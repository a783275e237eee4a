/* Views in PostgreSQL held against the log. */
#include "projector/replay.h"
#include "tests/integration/projector/sql_stage.h"

enum { TOLD_MAX = 64, TEXT_SIZE = 160 };

#define PAIRS CAIRN_SLICE_LIT("pairs")

/* Two tables of the usual kind, one with a key of two columns, one with none. */
static const char definition[] =
    "-- view: pairs\n"
    "-- version: %d\n"
    "-- table:\n"
    "CREATE TABLE pairs (stream text, who text, n bigint, PRIMARY KEY (stream, who));\n"
    "CREATE TABLE lines (stream text, who text, n bigint%s);\n"
    "-- on: Added\n"
    "INSERT INTO pairs VALUES (:stream, :to, :n) ON CONFLICT (stream, who) DO UPDATE SET "
    "n = pairs.n + excluded.n;\n"
    "INSERT INTO lines VALUES (:stream, :to, :n);\n";

struct told {
    enum cairn_difference kind;
    char table[16], key[TEXT_SIZE], live[TEXT_SIZE], replayed[TEXT_SIZE];
};

struct comparing {
    struct sql_stage *stage;
    struct cairn_projector_options options;
    struct cairn_compare_request request;
    struct cairn_compare_report report;
    struct cairn_err err;
    struct told told[TOLD_MAX];
    size_t told_count;
    size_t row_count;
    char last_key[TEXT_SIZE]; /* of the rows that were told, in a table */
    char last_table[16];
    bool ordered;
    bool cancelled;
    void (*between)(struct comparing *comparing); /* once, before a batch */
};

static void define(struct comparing *comparing, int version, const char *more)
{
    char text[1024];
    (void)snprintf(text, sizeof(text), definition, version, more);
    sql_stage_view(comparing->stage, "pairs", text);
}

static void load(struct comparing *comparing)
{
    comparing->options = world_options(&comparing->stage->world);
    comparing->options.postgres = comparing->stage->uri;
}

static void begin(struct comparing *comparing, struct sql_stage *stage, uint16_t partitions)
{
    *comparing = (struct comparing){
        .stage = stage, .request = {.view = PAIRS, .told_max = TOLD_MAX, .stored = true}};
    define(comparing, 1, "");
    world_begin(&stage->world, partitions);
    load(comparing);
}

static void rebuild(struct comparing *comparing)
{
    const struct cairn_rebuild_request request = {.view = PAIRS};
    struct cairn_rebuild_result result;
    assert_ok(cairn_view_rebuild(&comparing->options, &request, NULL, &result, &comparing->err),
              &comparing->err);
}

static void add(struct comparing *comparing, int count)
{
    for (int i = 0; i < count; i++) {
        char id[16];
        char to[32];
        (void)snprintf(id, sizeof(id), "%d", i % 7);
        (void)snprintf(to, sizeof(to), "%s\xc3\xa9%d", i % 2 == 0 ? "Z" : "a", i % 5);
        world_add(&comparing->stage->world, id, i, to, 1);
    }
}

static void copy(char *out, size_t size, struct cairn_slice text)
{
    (void)snprintf(out, size, "%.*s", CAIRN_SLICE_ARG(text));
}

static void note(void *self, const struct cairn_row_difference *difference)
{
    struct comparing *comparing = self;
    struct told *told = &comparing->told[comparing->told_count++ % TOLD_MAX];
    told->kind = difference->kind;
    copy(told->table, sizeof(told->table), difference->table);
    copy(told->key, sizeof(told->key), difference->key);
    copy(told->live, sizeof(told->live), difference->live);
    copy(told->replayed, sizeof(told->replayed), difference->replayed);
}

/* Rows come by table and key. */
static void take_row(void *self, struct cairn_slice table, struct cairn_slice key,
                     struct cairn_slice json)
{
    struct comparing *comparing = self;
    char name[16];
    char text[TEXT_SIZE];
    copy(name, sizeof(name), table);
    copy(text, sizeof(text), key);
    int order = strcmp(comparing->last_table, name);
    comparing->ordered = comparing->ordered && json.size > 2 && json.data[0] == '{' &&
                         (order < 0 || (order == 0 && strcmp(comparing->last_key, text) <= 0));
    memcpy(comparing->last_table, name, sizeof(name));
    memcpy(comparing->last_key, text, sizeof(text));
    comparing->row_count++;
}

static bool is_cancelled(void *self)
{
    struct comparing *comparing = self;
    if (comparing->between != NULL) {
        void (*between)(struct comparing *) = comparing->between;
        comparing->between = NULL;
        between(comparing);
    }
    return comparing->cancelled;
}

static enum cairn_rc try_compare(struct comparing *comparing)
{
    const struct cairn_compare_hooks hooks = {
        .different = note, .row = take_row, .cancelled = is_cancelled, .self = comparing};
    comparing->told_count = 0;
    comparing->row_count = 0;
    comparing->ordered = true;
    comparing->last_table[0] = '\0';
    comparing->last_key[0] = '\0';
    enum cairn_rc rc = cairn_view_compare(&comparing->options, &comparing->request, &hooks,
                                          &comparing->report, &comparing->err);
    assert_true(comparing->ordered);
    /* Whatever came, nothing is left. */
    assert_string_equal(
        sql_stage_value(comparing->stage, "SELECT to_regnamespace('test_check_pairs') IS NULL"),
        "t");
    assert_int_equal(
        sql_stage_number(comparing->stage, "SELECT count(*) FROM _cairn_view WHERE side = 'check'"),
        0);
    return rc;
}

static void compare(struct comparing *comparing)
{
    assert_ok(try_compare(comparing), &comparing->err);
}

static void rows_that_the_log_gives_are_equal(void **state)
{
    struct comparing comparing;
    begin(&comparing, *state, 3);
    add(&comparing, 1500); /* more rows than are in memory at a time */
    rebuild(&comparing);
    compare(&comparing);
    assert_true(comparing.report.level);
    assert_int_equal(comparing.report.differences, 0);
    assert_int_equal(comparing.report.events, 1500);
    assert_int_equal(comparing.report.rows, 1500 + 70);
    assert_int_equal(comparing.report.live_rows, comparing.report.rows);
    assert_int_equal(comparing.row_count, comparing.report.rows);
    struct cairn_position end = world_log_end(&comparing.stage->world);
    assert_memory_equal(&comparing.report.position, &end, sizeof(end));
}

static void each_kind_of_difference_is_told_with_both_rows(void **state)
{
    struct comparing comparing;
    begin(&comparing, *state, 1);
    world_add(&comparing.stage->world, "1", 1, "a", 1);
    world_add(&comparing.stage->world, "1", 2, "b", 1);
    world_add(&comparing.stage->world, "2", 3, "a", 1);
    rebuild(&comparing);
    sql_stage_run(comparing.stage, "DELETE FROM test.pairs WHERE who = 'b'; "
                                   "INSERT INTO test.pairs VALUES ('box-9', 'x', 9); "
                                   "UPDATE test.pairs SET n = 4 WHERE stream = 'box-2'; "
                                   "INSERT INTO test.lines VALUES ('box-1', 'a', 1)");
    compare(&comparing);
    assert_int_equal(comparing.report.differences, 4);
    assert_int_equal(comparing.told_count, 4);
    const struct told expected[] = {
        /* One more of equal rows is a row too many. */
        {CAIRN_ROW_EXTRA, "lines", "{\"stream\":\"box-1\",\"who\":\"a\",\"n\":1}",
         "{\"stream\":\"box-1\",\"who\":\"a\",\"n\":1}", ""},
        {CAIRN_ROW_MISSING, "pairs", "[\"box-1\", \"b\"]", "",
         "{\"stream\":\"box-1\",\"who\":\"b\",\"n\":2}"},
        {CAIRN_ROW_DIFFERS, "pairs", "[\"box-2\", \"a\"]",
         "{\"stream\":\"box-2\",\"who\":\"a\",\"n\":4}",
         "{\"stream\":\"box-2\",\"who\":\"a\",\"n\":3}"},
        {CAIRN_ROW_EXTRA, "pairs", "[\"box-9\", \"x\"]",
         "{\"stream\":\"box-9\",\"who\":\"x\",\"n\":9}", ""},
    };
    for (size_t i = 0; i < 4; i++) {
        const struct told *told = &comparing.told[i];
        assert_int_equal(told->kind, expected[i].kind);
        assert_string_equal(told->table, expected[i].table);
        assert_string_equal(told->key, expected[i].key);
        assert_string_equal(told->live, expected[i].live);
        assert_string_equal(told->replayed, expected[i].replayed);
    }
    comparing.request.told_max = 1;
    compare(&comparing);
    assert_int_equal(comparing.report.differences, 4);
    assert_int_equal(comparing.told_count, 1);
}

static void another_definition_shows_what_it_would_change(void **state)
{
    struct comparing comparing;
    begin(&comparing, *state, 1);
    world_add(&comparing.stage->world, "1", 1, "a", 1);
    rebuild(&comparing);
    define(&comparing, 2, ", made int DEFAULT 2");
    world_load_domain(&comparing.stage->world);
    load(&comparing);
    compare(&comparing); /* by the stored one: the live rows are what it gives */
    assert_int_equal(comparing.report.differences, 0);
    comparing.request.stored = false;
    compare(&comparing);
    assert_int_equal(comparing.report.differences, 2); /* a row without a key is another row */
    assert_string_equal(comparing.told[0].replayed,
                        "{\"stream\":\"box-1\",\"who\":\"a\",\"n\":1,\"made\":2}");
    assert_int_equal(sql_stage_number(comparing.stage, "SELECT version FROM _cairn_view"), 1);
}

static void tables_of_one_side_alone_differ_row_by_row(void **state)
{
    struct comparing comparing;
    struct sql_stage *stage = *state;
    begin(&comparing, stage, 1);
    world_add(&stage->world, "1", 1, "a", 1);
    rebuild(&comparing);
    sql_stage_view(stage, "pairs",
                   "-- view: pairs\n"
                   "-- version: 2\n"
                   "-- table:\n"
                   "CREATE TABLE pairs (stream text, who text, n bigint, PRIMARY KEY (who));\n"
                   "CREATE TABLE totals (who text PRIMARY KEY, n bigint);\n"
                   "-- on: Added\n"
                   "INSERT INTO pairs VALUES (:stream, :to, :n);\n"
                   "INSERT INTO totals VALUES (:to, :n);\n");
    world_load_domain(&stage->world);
    load(&comparing);
    comparing.request.stored = false;
    compare(&comparing);
    assert_int_equal(comparing.report.differences, 2);
    assert_string_equal(comparing.told[0].table, "lines");
    assert_int_equal(comparing.told[0].kind, CAIRN_ROW_EXTRA);
    assert_string_equal(comparing.told[1].table, "totals");
    assert_int_equal(comparing.told[1].kind, CAIRN_ROW_MISSING);
    assert_string_equal(comparing.told[1].key, "[\"a\"]");
}

static void one_stream_is_held_against_its_rows_alone(void **state)
{
    struct comparing comparing;
    begin(&comparing, *state, 3);
    add(&comparing, 100);
    rebuild(&comparing);
    comparing.request.stored = false;
    comparing.request.scope.stream = CAIRN_SLICE_LIT("box-3");
    compare(&comparing);
    assert_true(comparing.report.level);
    assert_int_equal(comparing.report.differences, 0);
    assert_int_equal(comparing.report.events, 14);
    assert_int_equal(comparing.report.rows,
                     sql_stage_number(comparing.stage,
                                      "SELECT (SELECT count(*) FROM pairs WHERE stream = 'box-3') "
                                      "+ (SELECT count(*) FROM lines WHERE stream = 'box-3')"));
    sql_stage_run(comparing.stage, "DELETE FROM test.pairs WHERE stream = 'box-3' AND who = "
                                   "(SELECT min(who) FROM test.pairs WHERE stream = 'box-3')");
    compare(&comparing);
    assert_int_equal(comparing.report.differences, 1);
}

static void up_to_an_earlier_place_rows_are_held_against_those_of_now(void **state)
{
    struct comparing comparing;
    begin(&comparing, *state, 1);
    world_add(&comparing.stage->world, "1", 1, "a", 4);
    world_add(&comparing.stage->world, "2", 1, "b", 4);
    rebuild(&comparing);
    comparing.request.stored = false;
    comparing.request.scope.has_until = true;
    comparing.request.scope.until.offsets[0] = 6; /* inside of a command */
    compare(&comparing);
    assert_false(comparing.report.level);
    assert_int_equal(comparing.report.differences, 1 + 2);
    assert_int_equal(comparing.report.left_out, 0);
    assert_int_equal(comparing.report.live.offsets[0], 8);
    assert_int_equal(comparing.report.events, 6);
    assert_int_equal(comparing.report.position.offsets[0], 6);
    assert_int_equal(comparing.row_count, 2 + 6);
    comparing.request.scope.until.offsets[0] = 8;
    compare(&comparing);
    assert_true(comparing.report.level);
    assert_int_equal(comparing.report.differences, 0);
}

static void what_was_left_by_a_dead_comparison_is_dropped(void **state)
{
    struct comparing comparing;
    begin(&comparing, *state, 1);
    add(&comparing, 10);
    rebuild(&comparing);
    const struct cairn_sql_statement table = {.text = "CREATE TABLE left_over (n int)"};
    const struct cairn_sql_definition left = {.domain = CAIRN_SLICE_LIT("test"),
                                              .view = PAIRS,
                                              .version = 1,
                                              .hash = CAIRN_SLICE_LIT("x"),
                                              .text = CAIRN_SLICE_LIT("x"),
                                              .tables = &table,
                                              .table_count = 1};
    assert_ok(
        cairn_sql_generation_begin(comparing.stage->pg, &left, CAIRN_SIDE_CHECK, &comparing.err),
        &comparing.err);
    compare(&comparing);
    assert_int_equal(comparing.report.differences, 0);
}

static void a_comparison_that_is_cancelled_leaves_nothing(void **state)
{
    struct comparing comparing;
    begin(&comparing, *state, 1);
    add(&comparing, 10);
    rebuild(&comparing);
    comparing.cancelled = true;
    assert_int_equal(try_compare(&comparing), CAIRN_ESTOPPED);
}

static void without_a_live_generation_there_is_nothing_to_compare(void **state)
{
    struct comparing comparing;
    begin(&comparing, *state, 1);
    add(&comparing, 10);
    const struct cairn_compare_request request = {.view = PAIRS};
    assert_int_equal(
        cairn_view_compare(&comparing.options, &request, NULL, &comparing.report, &comparing.err),
        CAIRN_EBEHIND);
}

/* ---- what happens meanwhile ---- */

static void go_on(struct comparing *comparing)
{
    struct cairn_sql_follower *follower = NULL;
    add(comparing, 50);
    assert_ok(sql_stage_follow(comparing->stage, "pairs", CAIRN_SIDE_LIVE, &follower),
              &comparing->stage->err);
    sql_stage_catch_up(follower, 100);
    cairn_sql_follower_close(follower);
}

static void a_live_view_that_moves_is_met_where_it_is(void **state)
{
    struct comparing comparing;
    begin(&comparing, *state, 3);
    add(&comparing, 50);
    rebuild(&comparing);
    comparing.between = go_on;
    compare(&comparing);
    assert_true(comparing.report.level);
    assert_int_equal(comparing.report.differences, 0);
    assert_int_equal(comparing.report.events, 100);
}

static void a_view_that_is_switched_is_to_be_compared_again(void **state)
{
    struct comparing comparing;
    begin(&comparing, *state, 1);
    add(&comparing, 10);
    rebuild(&comparing);
    comparing.between = rebuild;
    assert_int_equal(try_compare(&comparing), CAIRN_EBEHIND);
    assert_non_null(strstr(comparing.err.text, "switched"));
    compare(&comparing);
}

static void cut_the_connection(struct comparing *comparing)
{
    sql_stage_run(comparing->stage,
                  "SELECT pg_terminate_backend(l.pid, 60000) FROM pg_locks l JOIN pg_database d ON "
                  "d.oid = l.database WHERE l.locktype = 'advisory' AND d.datname = "
                  "current_database()");
}

static void a_connection_that_is_lost_leaves_nothing(void **state)
{
    struct comparing comparing;
    begin(&comparing, *state, 1);
    add(&comparing, 10);
    rebuild(&comparing);
    comparing.between = cut_the_connection;
    assert_int_equal(try_compare(&comparing), CAIRN_EBUSY);
}

static void an_event_that_cannot_be_applied_is_told(void **state)
{
    struct comparing comparing;
    begin(&comparing, *state, 1);
    add(&comparing, 10);
    rebuild(&comparing);
    define(&comparing, 2, ", CHECK (n <> 7)");
    world_load_domain(&comparing.stage->world);
    load(&comparing);
    comparing.request.stored = false;
    assert_int_equal(try_compare(&comparing), CAIRN_EINVAL);
    assert_non_null(strstr(comparing.err.text, "at 0:8"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SQL_STAGE_TEST(rows_that_the_log_gives_are_equal),
        SQL_STAGE_TEST(each_kind_of_difference_is_told_with_both_rows),
        SQL_STAGE_TEST(another_definition_shows_what_it_would_change),
        SQL_STAGE_TEST(tables_of_one_side_alone_differ_row_by_row),
        SQL_STAGE_TEST(one_stream_is_held_against_its_rows_alone),
        SQL_STAGE_TEST(up_to_an_earlier_place_rows_are_held_against_those_of_now),
        SQL_STAGE_TEST(what_was_left_by_a_dead_comparison_is_dropped),
        SQL_STAGE_TEST(a_comparison_that_is_cancelled_leaves_nothing),
        SQL_STAGE_TEST(without_a_live_generation_there_is_nothing_to_compare),
        SQL_STAGE_TEST(a_live_view_that_moves_is_met_where_it_is),
        SQL_STAGE_TEST(a_view_that_is_switched_is_to_be_compared_again),
        SQL_STAGE_TEST(a_connection_that_is_lost_leaves_nothing),
        SQL_STAGE_TEST(an_event_that_cannot_be_applied_is_told),
    };
    return cmocka_run_group_tests(tests, sql_stage_group_setup, sql_stage_group_teardown);
}
