/* What the query side sees of SQL views: columns, rows, filters and pages. */
#include "projector/sql/read.h"
#include "tests/integration/projector/sql_stage.h"

enum { ROWS = 40, TEXT_MAX = 4096, HELD = 7 /* where the view is, in partition 0 */ };

struct reading {
    struct sql_stage *stage;
    struct cairn_pg_pool *pool;
    struct cairn_sql_reader *reader;
    struct cairn_arena arena;
};

/* A live view, empty, and a reader. */
static void begin(struct reading *reading, struct sql_stage *stage, const char *table)
{
    char text[TEXT_MAX];
    const struct cairn_pg_options options = {
        .uri = stage->uri, .schema = "test", .read_only = true};
    *reading = (struct reading){.stage = stage, .arena = {.max = 1u << 26}};
    (void)snprintf(text, sizeof(text),
                   "-- view: v\n-- version: 1\n%s\n-- on: Added\nDELETE FROM v;\n", table);
    sql_stage_view(stage, "v", text);
    world_load_domain(&stage->world);
    sql_stage_make_live(stage, "v");
    sql_stage_run(stage, "UPDATE _cairn_view SET position = '0:%d'", HELD);
    assert_ok(cairn_pg_pool_new(&options, 2, &reading->pool, &stage->err), &stage->err);
    assert_ok(
        cairn_sql_reader_new(reading->pool, stage->world.domain, &reading->reader, &stage->err),
        &stage->err);
}

static void end(struct reading *reading)
{
    cairn_sql_reader_free(reading->reader);
    cairn_pg_pool_free(reading->pool);
    cairn_arena_fini(&reading->arena);
}

static enum cairn_rc get(struct reading *reading, struct cairn_slice key,
                         struct cairn_value *ret_row)
{
    struct cairn_position position = {{0}};
    bool known = false;
    enum cairn_rc rc =
        cairn_sql_view_get(reading->reader, CAIRN_SLICE_LIT("v"), key, &reading->arena, ret_row,
                           &position, &known, &reading->stage->err);
    assert_true(known);
    if (rc == CAIRN_OK || rc == CAIRN_ENOENT) {
        assert_int_equal(position.offsets[0], HELD); /* of a row that is not there, too */
    }
    return rc;
}

static void row_of(struct reading *reading, const char *key, const char *column, const char *text)
{
    struct cairn_value row;
    assert_ok(get(reading, cairn_slice_str(key), &row), &reading->stage->err);
    assert_true(cairn_slice_is(cairn_value_get_string(&row, column), text));
}

static void no_row_of(struct reading *reading, struct cairn_slice key)
{
    struct cairn_value row;
    enum cairn_rc rc = get(reading, key, &row);
    if (rc != CAIRN_ENOENT) {
        fail_msg("key %.*s: %s", CAIRN_SLICE_ARG(key), cairn_err_info(rc)->name);
    }
}

/* The keys of a page, with blanks between. */
static enum cairn_rc list(struct reading *reading, const struct cairn_view_query *query,
                          char out[TEXT_MAX])
{
    struct cairn_view_page page;
    enum cairn_rc rc =
        cairn_sql_view_list(reading->reader, query, &reading->arena, &page, &reading->stage->err);
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; rc == CAIRN_OK && i < page.count; i++) {
        used += (size_t)snprintf(out + used, TEXT_MAX - used, "%s%.*s", i == 0 ? "" : " ",
                                 CAIRN_SLICE_ARG(page.rows[i].key));
        assert_true(used < TEXT_MAX);
    }
    return rc;
}

static void filter_gives(struct reading *reading, const struct cairn_view_filter *filter,
                         const char *keys)
{
    char found[TEXT_MAX];
    struct cairn_view_query query = {.view = CAIRN_SLICE_LIT("v"),
                                     .filters = {*filter},
                                     .filter_count = 1,
                                     .limit = CAIRN_VIEW_LIMIT_MAX};
    assert_ok(list(reading, &query, found), &reading->stage->err);
    assert_string_equal(found, keys);
}

#define TABLE                                                                                      \
    "-- table:\nCREATE TABLE v (id int PRIMARY KEY, name text, n bigint, ok boolean, at "          \
    "timestamptz, j jsonb);"
#define FILL                                                                                       \
    "INSERT INTO test.v VALUES (1, 'ann', 10, true, '2026-01-01', '{}'), "                         \
    "(2, 'b%%b', 20, false, '2026-01-02', NULL), (3, 'b_b', 30, NULL, NULL, NULL), "               \
    "(4, NULL, NULL, true, NULL, NULL), (5, 'BOB', 10, false, '2026-01-03', '[1]')"

static void a_row_is_found_by_its_key(void **state)
{
    struct reading reading;
    begin(&reading, *state, TABLE);
    sql_stage_run(reading.stage, FILL);
    row_of(&reading, "1", "name", "ann");
    row_of(&reading, " 1", "name", "ann"); /* as PostgreSQL reads an integer */
    end(&reading);
}

static void a_key_that_is_no_value_of_its_type_is_not_there(void **state)
{
    struct reading reading;
    static const char *const keys[] = {
        "6",           "",         "one", "1.5", "99999999999999999999", "1;", "null", "1 OR 1=1",
        "' OR '1'='1", "\xff\xfe", "[1]", "$1"};
    begin(&reading, *state, TABLE);
    sql_stage_run(reading.stage, FILL);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        no_row_of(&reading, cairn_slice_str(keys[i]));
    }
    no_row_of(&reading, CAIRN_SLICE_LIT("1\0"));
    end(&reading);
}

static void a_key_of_several_columns_is_a_list_both_ways(void **state)
{
    struct reading reading;
    char keys[TEXT_MAX];
    const struct cairn_view_query query = {.view = CAIRN_SLICE_LIT("v"), .limit = 10};
    begin(&reading, *state,
          "-- table:\nCREATE TABLE v (b text, \"A\"\"x\" int, c text, PRIMARY KEY (\"A\"\"x\", b) "
          "INCLUDE (c));");
    sql_stage_run(reading.stage,
                  "INSERT INTO test.v VALUES ('q\"', 1, 'one'), ('', 2, 'two'), ('z', 1, 'three')");
    row_of(&reading, "[\"1\",\"q\\\"\"]", "c", "one");
    row_of(&reading, "[ \"2\", \"\" ]", "c", "two");
    no_row_of(&reading, CAIRN_SLICE_LIT("[\"1\",\"\"]"));
    no_row_of(&reading, CAIRN_SLICE_LIT("[\"1\"]"));
    no_row_of(&reading, CAIRN_SLICE_LIT("1"));
    assert_ok(list(&reading, &query, keys), &reading.stage->err);
    assert_string_equal(keys, "[\"1\", \"q\\\"\"] [\"1\", \"z\"] [\"2\", \"\"]");
    end(&reading);
}

static void a_named_key_wins_over_the_primary_key(void **state)
{
    struct reading reading;
    begin(
        &reading, *state,
        "-- key: name\n-- table:\nCREATE TABLE v (id int PRIMARY KEY, name text NOT NULL UNIQUE);");
    sql_stage_run(reading.stage, "INSERT INTO test.v VALUES (1, 'ann')");
    row_of(&reading, "ann", "name", "ann");
    no_row_of(&reading, CAIRN_SLICE_LIT("1"));
    end(&reading);
}

static void a_table_without_a_key_is_not_served(void **state)
{
    struct reading reading;
    struct cairn_value row;
    begin(&reading, *state, "-- table:\nCREATE TABLE v (id int);");
    assert_int_equal(get(&reading, CAIRN_SLICE_LIT("1"), &row), CAIRN_EUNSUPPORTED);
    end(&reading);
}

static void a_named_key_that_is_not_unique_is_not_served(void **state)
{
    struct reading reading;
    struct cairn_value row;
    begin(&reading, *state,
          "-- key: name\n-- table:\nCREATE TABLE v (id int PRIMARY KEY, name text NOT NULL);");
    assert_int_equal(get(&reading, CAIRN_SLICE_LIT("ann"), &row), CAIRN_EUNSUPPORTED);
    assert_non_null(strstr(reading.stage->err.text, "is not unique"));
    end(&reading);
}

static void each_operator_gives_its_rows(void **state)
{
    static const struct {
        enum cairn_view_operator op;
        const char *column, *value, *keys, *others; /* others: negated */
    } cases[] = {
        {CAIRN_OP_EQ, "n", "10", "1 5", "2 3"},
        {CAIRN_OP_NEQ, "n", "10", "2 3 4", "1 5"},
        {CAIRN_OP_GT, "n", "10", "2 3", "1 5"},
        {CAIRN_OP_GTE, "n", "20", "2 3", "1 5"},
        {CAIRN_OP_LT, "n", "20", "1 5", "2 3"},
        {CAIRN_OP_LTE, "n", "20", "1 2 5", "3"},
        {CAIRN_OP_EQ, "key", "3", "3", "1 2 4 5"},
        {CAIRN_OP_EQ, "ok", "true", "1 4", "2 5"},
        {CAIRN_OP_GT, "at", "2026-01-01T12:00:00Z", "2 5", "1"},
        {CAIRN_OP_LIKE, "name", "b*", "2 3", "1 5"},
        {CAIRN_OP_LIKE, "name", "b%b", "2", "1 3 5"},
        {CAIRN_OP_LIKE, "name", "b_b", "3", "1 2 5"},
        {CAIRN_OP_LIKE, "n", "1*", "1 5", "2 3"},
        {CAIRN_OP_LIKE, "name", "\\", "", "1 2 3 5"},
        {CAIRN_OP_IS, "name", "null", "4", "1 2 3 5"},
        {CAIRN_OP_IS, "ok", "true", "1 4", "2 3 5"},
        {CAIRN_OP_IS, "ok", "false", "2 5", "1 3 4"},
        {CAIRN_OP_IS, "ok", "unknown", "3", "1 2 4 5"},
        {CAIRN_OP_EQ, "name", "' OR true --", "", "1 2 3 5"},
        {CAIRN_OP_EQ, "name", "\"; DROP TABLE v; --", "", "1 2 3 5"},
    };
    struct reading reading;
    begin(&reading, *state, TABLE);
    sql_stage_run(reading.stage, FILL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct cairn_slice value = cairn_slice_str(cases[i].value);
        struct cairn_view_filter filter = {.op = cases[i].op,
                                           .column = cairn_slice_str(cases[i].column),
                                           .values = &value,
                                           .value_count = 1};
        filter_gives(&reading, &filter, cases[i].keys);
        filter.negated = true;
        filter_gives(&reading, &filter, cases[i].others);
    }
    end(&reading);
}

static void in_takes_several_values_and_joints_their_parts(void **state)
{
    struct reading reading;
    const struct cairn_slice names[] = {CAIRN_SLICE_LIT("ann"), CAIRN_SLICE_LIT("b\",{}'\\b"),
                                        CAIRN_SLICE_LIT("BOB"), CAIRN_SLICE_LIT("NULL")};
    const struct cairn_slice ten = CAIRN_SLICE_LIT("10");
    const struct cairn_slice truth = CAIRN_SLICE_LIT("true");
    const struct cairn_view_filter in = {
        .op = CAIRN_OP_IN, .column = CAIRN_SLICE_LIT("name"), .values = names, .value_count = 4};
    const struct cairn_view_filter parts[] = {
        {.op = CAIRN_OP_GT, .column = CAIRN_SLICE_LIT("n"), .values = &ten, .value_count = 1},
        {.op = CAIRN_OP_IS, .column = CAIRN_SLICE_LIT("ok"), .values = &truth, .value_count = 1}};
    const struct cairn_view_filter either = {.op = CAIRN_OP_OR, .parts = parts, .part_count = 2};
    const struct cairn_view_filter both[] = {either, in};
    const struct cairn_view_filter all = {.op = CAIRN_OP_AND, .parts = both, .part_count = 2};
    const struct cairn_view_filter neither = {
        .op = CAIRN_OP_OR, .negated = true, .parts = parts, .part_count = 2};
    begin(&reading, *state, TABLE);
    sql_stage_run(reading.stage, FILL);
    filter_gives(&reading, &in, "1 5");
    filter_gives(&reading, &either, "1 2 3 4");
    filter_gives(&reading, &all, "1");
    filter_gives(&reading, &neither, "5");
    end(&reading);
}

static void what_a_column_cannot_answer_is_the_querys_fault(void **state)
{
    static const struct {
        enum cairn_view_operator op;
        const char *column, *value;
    } cases[] = {{CAIRN_OP_EQ, "missing", "1"},
                 {CAIRN_OP_EQ, "NAME", "1"},
                 {CAIRN_OP_EQ, "n; DROP TABLE test.v", "1"},
                 {CAIRN_OP_EQ, "n\" = 1 OR \"n", "1"},
                 {CAIRN_OP_EQ, "ctid", "(0,1)"},
                 {CAIRN_OP_EQ, "n", "ten"},
                 {CAIRN_OP_EQ, "n", "99999999999999999999"},
                 {CAIRN_OP_GT, "at", "yesterweek"},
                 {CAIRN_OP_EQ, "j", "{"},
                 {CAIRN_OP_IS, "n", "true"},
                 {CAIRN_OP_EQ, "name", "\xff"}};
    struct reading reading;
    char keys[TEXT_MAX];
    begin(&reading, *state, TABLE);
    sql_stage_run(reading.stage, FILL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct cairn_slice value = cairn_slice_str(cases[i].value);
        const struct cairn_view_query query = {
            .view = CAIRN_SLICE_LIT("v"),
            .filters = {{.op = cases[i].op,
                         .column = cairn_slice_str(cases[i].column),
                         .values = &value,
                         .value_count = 1}},
            .filter_count = 1,
            .limit = 10};
        enum cairn_rc rc = list(&reading, &query, keys);
        if (rc != CAIRN_EQUERY) {
            fail_msg("%s %s: %s", cases[i].column, cases[i].value, cairn_err_info(rc)->name);
        }
    }
    const struct cairn_slice nul = CAIRN_SLICE_LIT("a\0b");
    struct cairn_view_query query = {
        .view = CAIRN_SLICE_LIT("v"),
        .filters = {{.column = CAIRN_SLICE_LIT("name"), .values = &nul, .value_count = 1}},
        .filter_count = 1,
        .limit = 10};
    assert_int_equal(list(&reading, &query, keys), CAIRN_EQUERY);
    query.filter_count = 0;
    query.order = CAIRN_SLICE_LIT("nothing");
    assert_int_equal(list(&reading, &query, keys), CAIRN_EQUERY);
    query.order = CAIRN_SLICE_LIT("n");
    query.cursor = CAIRN_SLICE_LIT("AAAA");
    assert_int_equal(list(&reading, &query, keys), CAIRN_EQUERY);
    assert_int_equal(sql_stage_number(reading.stage, "SELECT count(*) FROM test.v"), 5);
    end(&reading);
}

/* ---- pages ---- */

/* All pages of a query, by limit rows: the keys, with blanks between. */
static void walk(struct reading *reading, struct cairn_view_query *query, char out[TEXT_MAX])
{
    size_t used = 0;
    query->cursor = CAIRN_SLICE_NONE;
    out[0] = '\0';
    do {
        struct cairn_view_page page;
        assert_ok(cairn_sql_view_list(reading->reader, query, &reading->arena, &page,
                                      &reading->stage->err),
                  &reading->stage->err);
        assert_true(page.count <= query->limit);
        assert_true(page.next.size == 0 || page.count == query->limit);
        for (size_t i = 0; i < page.count; i++) {
            used += (size_t)snprintf(out + used, TEXT_MAX - used, "%s%.*s", used == 0 ? "" : " ",
                                     CAIRN_SLICE_ARG(page.rows[i].key));
            assert_true(used < TEXT_MAX);
        }
        query->cursor = page.next;
    } while (query->cursor.size > 0);
}

static void fill_randomly(struct sql_stage *stage, uint64_t *seed)
{
    static const char *const texts[] = {"NULL", "''", "'a'", "'A'", "'\xc3\xa9'", "'z\"\\'"};
    static const char *const times[] = {"NULL", "'infinity'", "'2026-01-01 00:00:00.000001Z'",
                                        "'2026-01-01'"};
    static const char *const numbers[] = {"NULL", "0.1", "'NaN'", "-1e300", "0.30000000000000004"};
    for (int i = 0; i < ROWS; i++) {
        sql_stage_run(stage, "INSERT INTO test.v VALUES (%d, %d, %s, %s, %s)", i / 7, i,
                      texts[sql_stage_random(seed, 6)], times[sql_stage_random(seed, 4)],
                      numbers[sql_stage_random(seed, 5)]);
    }
}

static void pages_have_every_row_once_through_ties_and_nulls(void **state)
{
    static const char *const orders[] = {"key", "name", "at", "x", "b"};
    struct reading reading;
    uint64_t seed = sql_stage_seed();
    char found[TEXT_MAX];
    begin(&reading, *state,
          "-- table:\nCREATE TABLE v (a int, b int, name text, at timestamptz, x float8, "
          "PRIMARY KEY (a, b));");
    fill_randomly(reading.stage, &seed);
    for (size_t i = 0; i < 2 * sizeof(orders) / sizeof(orders[0]); i++) {
        const char *order = orders[i / 2];
        const char *way = i % 2 == 0 ? "ASC" : "DESC";
        struct cairn_view_query query = {.view = CAIRN_SLICE_LIT("v"),
                                         .order = cairn_slice_str(order),
                                         .descending = i % 2 != 0,
                                         .limit = 1 + sql_stage_random(&seed, 17)};
        walk(&reading, &query, found);
        assert_string_equal(
            found, sql_stage_value(reading.stage,
                                   "SELECT string_agg(format('[\"%%s\", \"%%s\"]', a, b), ' ' "
                                   "ORDER BY %s %s, a %s, b %s) FROM test.v",
                                   i < 2 ? "a" : order, way, way, way));
    }
    end(&reading);
}

static void a_page_has_the_members_asked_for(void **state)
{
    struct reading reading;
    struct cairn_view_page page;
    const struct cairn_slice members[] = {CAIRN_SLICE_LIT("name"), CAIRN_SLICE_LIT("n")};
    const struct cairn_slice unknown[] = {CAIRN_SLICE_LIT("n\" FROM v; --")};
    struct cairn_view_query query = {
        .view = CAIRN_SLICE_LIT("v"), .select = members, .select_count = 2, .limit = 1};
    begin(&reading, *state, TABLE);
    sql_stage_run(reading.stage, FILL);
    assert_ok(
        cairn_sql_view_list(reading.reader, &query, &reading.arena, &page, &reading.stage->err),
        &reading.stage->err);
    assert_int_equal(page.rows[0].document.count, 2);
    assert_int_equal(cairn_value_at(&page.rows[0].document, "n")->as.integer, 10);
    query.select = unknown;
    query.select_count = 1;
    assert_int_equal(
        cairn_sql_view_list(reading.reader, &query, &reading.arena, &page, &reading.stage->err),
        CAIRN_EQUERY);
    end(&reading);
}

/* ---- generations ---- */

static void a_view_that_is_built_or_switched_is_told_from_one_that_is_there(void **state)
{
    struct reading reading;
    struct cairn_sql_head head;
    struct cairn_view_status status;
    struct cairn_value row;
    begin(&reading, *state, TABLE);
    sql_stage_run(reading.stage, FILL);
    row_of(&reading, "1", "name", "ann");
    sql_stage_build(reading.stage, "v", &reading.arena, &head);
    sql_stage_run(reading.stage, "UPDATE _cairn_view SET position = '0:7'; "
                                 "ALTER TABLE test_build_v.v ADD COLUMN more text; "
                                 "INSERT INTO test_build_v.v VALUES (1, 'new')");
    assert_ok(cairn_sql_view_status(reading.reader, CAIRN_SLICE_LIT("v"), &reading.arena, &status,
                                    &reading.stage->err),
              &reading.stage->err);
    assert_true(status.rebuilding);
    assert_false(status.rebuild_active); /* nobody is at it */
    assert_int_equal(status.rows, 5);
    assert_int_equal(status.column_count, 6);
    assert_ok(cairn_sql_generation_switch(reading.stage->pg, CAIRN_SLICE_LIT("test"),
                                          CAIRN_SLICE_LIT("v"), 2, CAIRN_SLICE_LIT(""),
                                          &reading.stage->err),
              &reading.stage->err);
    assert_ok(cairn_sql_view_status(reading.reader, CAIRN_SLICE_LIT("v"), &reading.arena, &status,
                                    &reading.stage->err),
              &reading.stage->err);
    assert_int_equal(status.generation, 2);
    assert_int_equal(status.column_count, 7); /* though nobody has read a row of it yet */
    row_of(&reading, "1", "name", "new");
    sql_stage_run(reading.stage, "DELETE FROM _cairn_view");
    assert_int_equal(get(&reading, CAIRN_SLICE_LIT("1"), &row), CAIRN_EBEHIND);
    end(&reading);
}

static void held_gives(struct reading *reading, uint64_t offset, bool building, bool stopped)
{
    struct cairn_position held = {{0}};
    bool is_building = !building;
    bool is_stopped = !stopped;
    assert_ok(cairn_sql_view_held(reading->reader, CAIRN_SLICE_LIT("v"), &held, &is_building,
                                  &is_stopped, &reading->stage->err),
              &reading->stage->err);
    assert_int_equal(held.offsets[0], offset);
    assert_int_equal(is_building, building);
    assert_int_equal(is_stopped, stopped);
}

static void a_wait_sees_how_far_the_live_generation_is(void **state)
{
    struct reading reading;
    struct cairn_sql_head head;
    struct cairn_position held;
    bool flags[2];
    begin(&reading, *state, TABLE);
    held_gives(&reading, HELD, false, false);
    sql_stage_build(reading.stage, "v", &reading.arena, &head);
    sql_stage_run(reading.stage, "UPDATE _cairn_view SET position = '0:9' WHERE side = 'next'; "
                                 "UPDATE _cairn_view SET position = '0:7' WHERE side = 'live'");
    held_gives(&reading, 7, false, false);
    sql_stage_run(reading.stage, "UPDATE _cairn_view SET state = 'stopped' WHERE side = 'live'");
    held_gives(&reading, 7, false, true);
    sql_stage_run(reading.stage, "UPDATE _cairn_view SET position = 'x' WHERE side = 'live'");
    assert_int_equal(cairn_sql_view_held(reading.reader, CAIRN_SLICE_LIT("v"), &held, &flags[0],
                                         &flags[1], &reading.stage->err),
                     CAIRN_ECORRUPT);
    sql_stage_run(reading.stage, "DELETE FROM _cairn_view WHERE side = 'live'");
    held_gives(&reading, 0, true, false);
    sql_stage_run(reading.stage, "DROP TABLE _cairn_view");
    held_gives(&reading, 0, true, false);
    end(&reading);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SQL_STAGE_TEST(a_row_is_found_by_its_key),
        SQL_STAGE_TEST(a_key_that_is_no_value_of_its_type_is_not_there),
        SQL_STAGE_TEST(a_key_of_several_columns_is_a_list_both_ways),
        SQL_STAGE_TEST(a_named_key_wins_over_the_primary_key),
        SQL_STAGE_TEST(a_table_without_a_key_is_not_served),
        SQL_STAGE_TEST(a_named_key_that_is_not_unique_is_not_served),
        SQL_STAGE_TEST(each_operator_gives_its_rows),
        SQL_STAGE_TEST(in_takes_several_values_and_joints_their_parts),
        SQL_STAGE_TEST(what_a_column_cannot_answer_is_the_querys_fault),
        SQL_STAGE_TEST(pages_have_every_row_once_through_ties_and_nulls),
        SQL_STAGE_TEST(a_page_has_the_members_asked_for),
        SQL_STAGE_TEST(a_view_that_is_built_or_switched_is_told_from_one_that_is_there),
        SQL_STAGE_TEST(a_wait_sees_how_far_the_live_generation_is),
    };
    return cmocka_run_group_tests(tests, sql_stage_group_setup, sql_stage_group_teardown);
}
