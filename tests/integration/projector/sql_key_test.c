/* Which keys of a view tell the rows of its table apart. */
#include "projector/sql/key.h"
#include "tests/integration/projector/sql_stage.h"

struct keyed {
    const char *key;   /* as behind "-- key:" */
    const char *table; /* the statements that make test.v */
    const char *text;  /* of the refusal; NULL: it is taken */
};

static enum cairn_rc check(struct sql_stage *stage, const char *key)
{
    char source[SQL_STAGE_TEXT_MAX];
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_sql_view view;
    (void)snprintf(source, sizeof(source),
                   "-- view: v\n-- version: 1\n%s%s\n-- table:\nCREATE TABLE v ();\n"
                   "-- on: A\nDELETE FROM v;\n",
                   key == NULL ? "" : "-- key: ", key == NULL ? "" : key);
    assert_ok(cairn_sql_view_read(CAIRN_SLICE_LIT("v"), cairn_slice_str(source), &arena, &view,
                                  &stage->err),
              &stage->err);
    enum cairn_rc rc = cairn_sql_key_check(stage->pg, CAIRN_SLICE_LIT("test"), &view, &stage->err);
    cairn_arena_fini(&arena);
    return rc;
}

static void judge(struct sql_stage *stage, const struct keyed *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sql_stage_run(stage, "DROP SCHEMA IF EXISTS test CASCADE; CREATE SCHEMA test");
        sql_stage_run(stage, "%s", cases[i].table);
        enum cairn_rc rc = check(stage, cases[i].key);
        bool as_expected = cases[i].text == NULL
                               ? rc == CAIRN_OK
                               : rc == CAIRN_EUNSUPPORTED && strstr(stage->err.text, cases[i].text);
        if (!as_expected) {
            fail_msg("%s of %s: %s: %s", cases[i].key, cases[i].table, cairn_err_info(rc)->name,
                     rc == CAIRN_OK ? "" : stage->err.text);
        }
    }
}

#define T(columns) "CREATE TABLE test.v (" columns ")"

static void a_key_over_an_index_that_is_unique_is_taken(void **state)
{
    static const struct keyed cases[] = {
        {"a", T("a int PRIMARY KEY, b int"), NULL},
        {"b, a", T("a int, b int, c int, PRIMARY KEY (a, b) INCLUDE (c)"), NULL},
        {"a, b", T("a int PRIMARY KEY, b int NOT NULL"), NULL},
        {"a", T("x int, a int NOT NULL UNIQUE DEFERRABLE"), NULL},
        {"a", T("a int NOT NULL, b int PRIMARY KEY") "; CREATE UNIQUE INDEX ON test.v (a DESC)",
         NULL},
        {"b", T("a int, b int NOT NULL UNIQUE") "; ALTER TABLE test.v DROP a, ADD a int", NULL},
        {"a, b", T("a int, b int, PRIMARY KEY (a, b)) PARTITION BY HASH (a"), NULL},
        {NULL, T("a int"), NULL},
    };
    judge(*state, cases, sizeof(cases) / sizeof(cases[0]));
}

static void a_key_that_two_rows_can_share_is_refused(void **state)
{
    static const char text[] = "the key of view \"v\" is not unique";
    static const struct keyed cases[] = {
        {"a", T("a int NOT NULL, b int PRIMARY KEY"), text},
        {"a", T("a int, b int, PRIMARY KEY (a, b)"), text},
        {"a", T("a int NOT NULL, b int UNIQUE"), text},
        {"a", T("a int NOT NULL") "; CREATE UNIQUE INDEX ON test.v (a) WHERE a > 1", text},
        {"a", T("a int NOT NULL") "; CREATE UNIQUE INDEX ON test.v ((a / 2))", text},
        {"a", T("a int NOT NULL, b int") "; CREATE UNIQUE INDEX ON test.v (a, (b / 2))", text},
        {"a", T("a int NOT NULL") "; CREATE INDEX ON test.v (a)", text},
        {"a", T("a int NOT NULL") "; CREATE TABLE test.w (a int PRIMARY KEY)", text},
    };
    judge(*state, cases, sizeof(cases) / sizeof(cases[0]));
}

static void a_column_that_is_null_or_not_there_makes_no_key(void **state)
{
    static const struct keyed cases[] = {
        {"a", T("a int UNIQUE, b int PRIMARY KEY"), "not NOT NULL: a"},
        {"b, a", T("a int UNIQUE, b int PRIMARY KEY"), "not NOT NULL: a"},
        {"a, c", T("a int PRIMARY KEY"), "not there: c"},
        {"a, ctid", T("a int PRIMARY KEY"), "not there: ctid"},
        {"a, b", T("a int PRIMARY KEY, b int NOT NULL") "; ALTER TABLE test.v DROP b",
         "not there: b"},
        {"a", T("\"A\" int PRIMARY KEY"), "not there: a"},
    };
    judge(*state, cases, sizeof(cases) / sizeof(cases[0]));
}

static void a_column_that_the_key_would_hide_is_refused(void **state)
{
    static const char text[] = "has a column \"key\" that is not its key";
    static const struct keyed cases[] = {
        {NULL, T("a int PRIMARY KEY, key text"), text},
        {"a", T("a int NOT NULL UNIQUE, key text PRIMARY KEY"), text},
        {NULL, T("a int, key text, PRIMARY KEY (key, a)"), text},
        {"a, key", T("a int, key text, PRIMARY KEY (a, key)"), text},
        {NULL, T("key text PRIMARY KEY, a int"), NULL},
        {"key", T("a int PRIMARY KEY, key text NOT NULL UNIQUE"), NULL},
        {NULL, T("a int PRIMARY KEY, key text") "; ALTER TABLE test.v DROP key", NULL},
        {NULL, T("a int PRIMARY KEY, \"Key\" text"), NULL},
    };
    judge(*state, cases, sizeof(cases) / sizeof(cases[0]));
}

static void a_table_that_is_not_there_is_being_built(void **state)
{
    struct sql_stage *stage = *state;
    sql_stage_run(stage, "DROP SCHEMA IF EXISTS test CASCADE");
    assert_int_equal(check(stage, "a"), CAIRN_EBEHIND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SQL_STAGE_TEST(a_key_over_an_index_that_is_unique_is_taken),
        SQL_STAGE_TEST(a_key_that_two_rows_can_share_is_refused),
        SQL_STAGE_TEST(a_column_that_is_null_or_not_there_makes_no_key),
        SQL_STAGE_TEST(a_column_that_the_key_would_hide_is_refused),
        SQL_STAGE_TEST(a_table_that_is_not_there_is_being_built),
    };
    return cmocka_run_group_tests(tests, sql_stage_group_setup, sql_stage_group_teardown);
}
