#include "schemas/sql_view.h"

#include "platform/fault.h"

#include "tests/support/cm.h"

enum { ARENA_MAX = 1 << 22 };

#define HEAD  "-- view: v\n-- version: 1\n"
#define TABLE "-- table:\nCREATE TABLE v (a int PRIMARY KEY);\n"
#define ON    "-- on: A\nINSERT INTO v VALUES (:a);\n"

struct lot {
    struct cairn_arena arena;
    struct cairn_sql_view view;
    struct cairn_err err;
};

static enum cairn_rc read_source(struct lot *lot, struct cairn_slice source)
{
    *lot = (struct lot){.arena = {.max = ARENA_MAX}};
    return cairn_sql_view_read(CAIRN_SLICE_LIT("v"), source, &lot->arena, &lot->view, &lot->err);
}

static enum cairn_rc read_text(struct lot *lot, const char *source)
{
    return read_source(lot, cairn_slice_str(source));
}

static void settings_tables_and_handlers_are_read(void **state)
{
    (void)state;
    struct lot lot;
    assert_ok(read_text(&lot, "-- A remark.\n"
                              "-- Remark: another\n"
                              "--view: v \n"
                              "  -- version: 7\n"
                              "-- key: day, hour_1\n"
                              "-- on_error: stop\n"
                              "-- table:\n"
                              "CREATE TABLE V (\n"
                              "  -- cents: of a day\n"
                              "  day date);\n"
                              "create table if not exists \"V\"\"x\" (b int);\n"
                              "CREATE INDEX ON v (day);\n"
                              "-- on: A, B\n"
                              "INSERT INTO v VALUES (:a);\n"
                              "DELETE FROM v WHERE a = :b.c;\n"
                              "-- on: C\n"
                              "UPDATE v SET a = :time"),
              &lot.err);
    const struct cairn_sql_view *view = &lot.view;
    assert_true(cairn_slice_is(view->name, "v"));
    assert_int_equal(view->version, 7);
    assert_int_equal(view->key_count, 2);
    assert_int_equal(view->key_line, 5);
    assert_true(cairn_slice_is(view->keys[1], "hour_1"));
    assert_int_equal(view->table_count, 3);
    assert_int_equal(view->created_count, 2);
    assert_true(cairn_slice_is(view->created[0].name, "v"));
    assert_true(cairn_slice_is(view->created[1].name, "V\"x"));
    assert_int_equal(view->created[1].line, 11);
    assert_ptr_equal(cairn_sql_view_table(view, CAIRN_SLICE_LIT("v")), &view->created[0]);
    assert_null(cairn_sql_view_table(view, CAIRN_SLICE_LIT("V")));
    assert_int_equal(view->handler_count, 2);
    assert_int_equal(view->handlers[0].type_count, 2);
    assert_int_equal(view->handlers[0].statement_count, 2);
    assert_int_equal(view->handlers[0].line, 13);
    assert_int_equal(view->handlers[0].statements[1].line, 15);
    assert_string_equal(view->handlers[0].statements[1].text, "DELETE FROM v WHERE a = $1");
    assert_true(cairn_slice_is(view->handlers[0].statements[1].params[0], "b.c"));
    cairn_arena_fini(&lot.arena);
}

static void a_type_finds_its_handler(void **state)
{
    (void)state;
    struct lot lot;
    assert_ok(read_text(&lot, HEAD TABLE "-- on: A, B\nDELETE FROM v;\n-- on: C\nDELETE FROM v;"),
              &lot.err);
    const struct cairn_sql_view *view = &lot.view;
    assert_ptr_equal(cairn_sql_view_handler(view, CAIRN_SLICE_LIT("B")), &view->handlers[0]);
    assert_ptr_equal(cairn_sql_view_handler(view, CAIRN_SLICE_LIT("C")), &view->handlers[1]);
    assert_null(cairn_sql_view_handler(view, CAIRN_SLICE_LIT("D")));
    assert_null(cairn_sql_view_handler(view, CAIRN_SLICE_LIT("a")));
    cairn_arena_fini(&lot.arena);
}

static void a_table_may_be_logged_and_called_anything(void **state)
{
    (void)state;
    struct lot lot;
    assert_ok(read_text(&lot, HEAD "-- table:\nCREATE TABLE v (temp int, \"set\" text DEFAULT 'set "
                                   "unlogged', unlogged int);\nALTER TABLE v SET LOGGED;\n" ON),
              &lot.err);
    assert_int_equal(lot.view.created_count, 1);
    cairn_arena_fini(&lot.arena);
}

static void what_a_file_leaves_out_has_its_default(void **state)
{
    (void)state;
    struct lot lot;
    assert_ok(read_text(&lot, HEAD TABLE ON), &lot.err);
    assert_int_equal(lot.view.key_count, 0);
    assert_int_equal(lot.view.key_line, 0);
    assert_false(lot.view.parks);
    cairn_arena_fini(&lot.arena);
}

static void a_view_stops_or_parks_at_an_error(void **state)
{
    (void)state;
    struct lot lot;
    assert_ok(read_text(&lot, HEAD "-- on_error: stop\n" TABLE ON), &lot.err);
    assert_false(lot.view.parks);
    cairn_arena_fini(&lot.arena);
    assert_ok(read_text(&lot, HEAD "--on_error:  park \n" TABLE ON), &lot.err);
    assert_true(lot.view.parks);
    cairn_arena_fini(&lot.arena);
}

static void annotations_count_only_where_they_are_comments_of_their_own(void **state)
{
    (void)state;
    struct lot lot;
    assert_ok(read_text(&lot, HEAD TABLE "/*\n-- on: X\n*/\n" ON "INSERT INTO v VALUES ('\n"
                                         "-- on: Y\n'); -- on: Z\n"),
              &lot.err);
    assert_int_equal(lot.view.handler_count, 1);
    assert_int_equal(lot.view.handlers[0].statement_count, 2);
    cairn_arena_fini(&lot.arena);
}

/* ---- faults ---- */

static const struct {
    const char *source;
    const char *text; /* of the error, its beginning */
} FAULTS[] = {
    {"", "line 1: there is no annotation \"-- view:\""},
    {"-- view: v\n" TABLE ON, "line 1: there is no annotation \"-- version:\""},
    {HEAD ON, "line 1: there is no annotation \"-- table:\""},
    {HEAD TABLE, "line 1: there is no annotation \"-- on:\""},
    {"-- view: w\n", "line 1: view: \"w\" is not the file's name, \"v\""},
    {"-- view: v\n-- version: 0\n", "line 2: version: must be an integer from 1"},
    {"-- view: v\n-- version: one\n", "line 2: version: must be an integer from 1"},
    {"-- view: v\n-- version: 4294967296\n", "line 2: version: must be an integer from 1"},
    {HEAD "-- version: 1\n", "line 3: version: is there already in line 2"},
    {HEAD "-- versoin: 1\n", "line 3: no annotation is called \"versoin\""},
    {HEAD "-- key: a,\n", "line 3: key: \"\" is no column"},
    {HEAD "-- key: \"A\"\n", "line 3: key: \"\"A\"\" is no column"},
    {HEAD "-- key: a, a\n", "line 3: key: \"a\" is no column (lower case letters, digits and '_'), "
                            "or is there twice"},
    {HEAD "-- key: a,b,c,d,e,f,g,h,i\n", "line 3: key: more than 8 columns"},
    {HEAD "-- on_error: skip\n", "line 3: on_error: must be stop or park"},
    {HEAD "-- on_error: Park\n", "line 3: on_error: must be stop or park"},
    {HEAD "-- on_error:\n", "line 3: on_error: must be stop or park"},
    {HEAD "-- on_error: park\n-- on_error: stop\n", "line 4: on_error: is there already in line 3"},
    {HEAD "-- on_error: park\nDELETE FROM v;\n", "line 4: a statement stands behind"},
    {HEAD "\nDELETE FROM v;\n" TABLE, "line 4: a statement stands behind \"-- table:\""},
    {"-- nothing\nSELECT 1;" HEAD, "line 2: a statement before the first annotation"},
    {HEAD "-- table: v\n", "line 3: table: nothing stands behind the colon"},
    {HEAD "-- table:\n" ON, "line 3: table: no statement follows"},
    {HEAD "-- table:\nCREATE TABLE w (a int);\n" ON,
     "line 3: table: one must be called as the view"},
    {HEAD "-- table:\nCREATE TABLE \"V\" (a int);\n" ON, "line 3: table: one must be called"},
    {HEAD "-- table:\nCREATE\nTABLE public.v (a int);\n",
     "line 5: a table is named without a schema"},
    {HEAD "-- table:\nCREATE TABLE\n", "line 4: a table's name is missing"},
    {HEAD "-- table:\nCREATE TABLE U&\"v\" (a int)", "line 4: a table's name is missing, or not a"},
    {HEAD "-- table:\nCREATE TABLE _cairn_v (a int)", "line 4: _cairn_v: names that begin with"},
    {HEAD TABLE "-- on: A\nUPDATE v SET a = 1;\nDELETE FROM\n_Cairn_View;",
     "line 8: _Cairn_View: names that begin with _cairn are the service's own"},
    {HEAD TABLE "-- on: A\nWITH \"_cairn\" AS (SELECT 1) DELETE FROM v;",
     "line 6: \"_cairn\": names that begin with _cairn are the service's own"},
    {HEAD "-- table:\nCREATE TABLE v (a int);\nDROP TABLE w;",
     "line 5: behind \"-- table:\" stand"},
    {HEAD "-- table:\nCREATE VIEW v AS SELECT 1;", "line 4: behind \"-- table:\" stand"},
    {HEAD "-- table:\nCREATE\nUNLOGGED TABLE v (a int);",
     "line 5: a crash of PostgreSQL empties an UNLOGGED table, and the view would go on without"},
    {HEAD "-- table:\ncreate table v (a int);\nalter table v\n  set unlogged;",
     "line 6: a crash of PostgreSQL empties an UNLOGGED table"},
    {HEAD "-- table:\nCREATE TABLE v (a int);\nALTER TABLE v ADD b int, SET /* */ UNLOGGED;",
     "line 5: a crash of PostgreSQL empties an UNLOGGED table"},
    {HEAD "-- table:\nCREATE TEMP TABLE v (a int);",
     "line 4: a temporary table goes with its session"},
    {HEAD "-- table:\nCREATE LOCAL TEMPORARY TABLE v (a int);",
     "line 4: a temporary table goes with its session"},
    {HEAD "-- table:\nCREATE TABLE v (a int\nDEFAULT :x);",
     "line 5: a definition has no parameters"},
    {HEAD "-- table:\nCREATE TABLE v (a int)\n-- on: A\n", "line 5: on: stands in a statement"},
    {HEAD TABLE "-- on: A\n\n", "line 5: on: no statement follows"},
    {HEAD TABLE "-- on: A b\nDELETE FROM v;", "line 5: on: \"A b\" is no name of an event"},
    {HEAD TABLE "-- on:\nDELETE FROM v;", "line 5: on: \"\" is no name of an event"},
    {HEAD TABLE "-- on: A, A\nDELETE FROM v;", "line 5: on: A is handled twice"},
    {HEAD TABLE ON "-- on: B, A\nDELETE FROM v;", "line 7: on: A is handled twice"},
    {HEAD TABLE "-- on: A\n\nCOMMIT;", "line 7: behind \"-- on:\" stand INSERT"},
    {HEAD TABLE "-- on: A\nDELETE FROM v\nWHERE a = '", "line 7: a string that begins here"},
    {HEAD TABLE "-- on: A\nDELETE FROM v\nWHERE a = $1", "line 7: a '$' that begins no string"},
    {HEAD "-- \xff", "line 3: is not UTF-8"},
};

static void every_fault_names_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(FAULTS) / sizeof(FAULTS[0]); i++) {
        struct lot lot;
        assert_true(read_text(&lot, FAULTS[i].source) != CAIRN_OK);
        if (strncmp(lot.err.text, FAULTS[i].text, strlen(FAULTS[i].text)) != 0) {
            fail_msg("%s\ngives: %s", FAULTS[i].source, lot.err.text);
        }
        assert_int_equal(lot.view.version, 0); /* untouched */
        cairn_arena_fini(&lot.arena);
    }
}

/* The head, then the line count times with a number at its end. */
static enum cairn_rc read_repeated(struct lot *lot, const char *head, const char *line,
                                   unsigned count)
{
    struct cairn_buf source = {.max = 1 << 20};
    enum cairn_rc rc = cairn_buf_append_str(&source, head);
    for (unsigned i = 0; i < count && rc == CAIRN_OK; i++) {
        rc = cairn_buf_printf(&source, "%s%u\n", line, i);
    }
    assert_int_equal(rc, CAIRN_OK);
    rc = read_source(lot, cairn_buf_slice(&source));
    cairn_arena_fini(&lot->arena);
    cairn_buf_fini(&source);
    return rc;
}

static void counts_past_their_limits_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        const char *line;
        unsigned max;
        const char *text;
    } cases[] = {
        {HEAD TABLE "-- on: A\n", ";DELETE FROM v WHERE a = ", CAIRN_SQL_VIEW_STATEMENTS_MAX,
         "line 5: on: more than 64 statements"},
        {HEAD ON TABLE, ";ALTER TABLE v ADD a", CAIRN_SQL_VIEW_STATEMENTS_MAX - 1,
         "line 5: table: more than 64 statements"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lot lot;
        assert_ok(read_repeated(&lot, cases[i].head, cases[i].line, cases[i].max), &lot.err);
        assert_int_equal(read_repeated(&lot, cases[i].head, cases[i].line, cases[i].max + 1),
                         CAIRN_ETOOBIG);
        assert_string_equal(lot.err.text, cases[i].text);
    }
}

static void a_view_has_64_handlers_and_no_more(void **state)
{
    (void)state;
    const char *line = "DELETE FROM v;\n-- on: B";
    struct lot lot;
    /* The last line begins a handler and has no statement: it is refused for that, or for being
     * one too many. */
    assert_int_equal(read_repeated(&lot, HEAD TABLE "-- on: A\n", line, 63), CAIRN_EINVAL);
    assert_non_null(strstr(lot.err.text, "no statement follows"));
    assert_int_equal(read_repeated(&lot, HEAD TABLE "-- on: A\n", line, 64), CAIRN_ETOOBIG);
    assert_non_null(strstr(lot.err.text, "on: more than 64 handlers"));
}

static void names_of_the_envelope_win_over_members(void **state)
{
    (void)state;
    assert_int_equal(cairn_sql_origin(CAIRN_SLICE_LIT("stream")), CAIRN_SQL_FROM_STREAM);
    assert_int_equal(cairn_sql_origin(CAIRN_SLICE_LIT("aggregate_id")),
                     CAIRN_SQL_FROM_AGGREGATE_ID);
    assert_int_equal(cairn_sql_origin(CAIRN_SLICE_LIT("data")), CAIRN_SQL_FROM_DATA);
    assert_int_equal(cairn_sql_origin(CAIRN_SLICE_LIT("data.x")), CAIRN_SQL_FROM_MEMBER);
    assert_int_equal(cairn_sql_origin(CAIRN_SLICE_LIT("Stream")), CAIRN_SQL_FROM_MEMBER);
    assert_int_equal(cairn_sql_origin(CAIRN_SLICE_LIT("")), CAIRN_SQL_FROM_MEMBER);
}

static void no_memory_is_an_error_and_no_crash(void **state)
{
    (void)state;
    skip_without_faults();
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_MEM) || after == 0; after++) {
        struct lot lot;
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = read_text(&lot, HEAD TABLE ON);
        assert_true(rc == CAIRN_OK ? lot.view.version == 1 : rc == CAIRN_ENOMEM);
        cairn_arena_fini(&lot.arena);
    }
    cairn_fault_disarm();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_tables_and_handlers_are_read),
        cmocka_unit_test(a_type_finds_its_handler),
        cmocka_unit_test(a_table_may_be_logged_and_called_anything),
        cmocka_unit_test(what_a_file_leaves_out_has_its_default),
        cmocka_unit_test(a_view_stops_or_parks_at_an_error),
        cmocka_unit_test(annotations_count_only_where_they_are_comments_of_their_own),
        cmocka_unit_test(every_fault_names_its_line),
        cmocka_unit_test(counts_past_their_limits_are_refused),
        cmocka_unit_test(a_view_has_64_handlers_and_no_more),
        cmocka_unit_test(names_of_the_envelope_win_over_members),
        cmocka_unit_test(no_memory_is_an_error_and_no_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
