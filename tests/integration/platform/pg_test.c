/* Statements and their values on a real PostgreSQL. */
#include <stdio.h>

#include "platform/fault.h"
#include "tests/integration/platform/pg_stage.h"

#define OID_INT8 20u
#define OID_TEXT 25u

static struct cairn_slice lit(const char *text)
{
    return cairn_slice_str(text);
}

/* A value through the server and back: by which type, what goes, what comes. */
static const struct {
    const char *type;
    const char *sent;
    const char *got;
} values[] = {
    {"text", "", ""},
    {"text", "it's \"quoted\" \\ and; -- $1", "it's \"quoted\" \\ and; -- $1"},
    {"text", "m\xc3\xbcller \xf0\x9f\xa6\x8a", "m\xc3\xbcller \xf0\x9f\xa6\x8a"},
    {"bigint", "-9223372036854775808", "-9223372036854775808"},
    {"numeric", "12345678901234567890.000000001", "12345678901234567890.000000001"},
    {"double precision", "0.1", "0.1"},
    {"boolean", "true", "t"},
    {"bytea", "\\x00ff10", "\\x00ff10"},
    {"date", "2026-01-31", "2026-01-31"},
    {"timestamptz", "2026-01-31T09:30:00.123456+02:00", "2026-01-31 07:30:00.123456+00"},
    {"interval", "1 day 02:03:04", "1 day 02:03:04"},
    {"jsonb", "{\"b\": 1, \"a\": [null]}", "{\"a\": [null], \"b\": 1}"},
    {"uuid", "00112233-4455-6677-8899-AABBCCDDEEFF", "00112233-4455-6677-8899-aabbccddeeff"},
};

static void values_come_back_as_they_went(void **state)
{
    struct pg_stage *stage = *state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char sql[STAGE_TEXT_MAX];
        (void)snprintf(sql, sizeof(sql), "SELECT $1::%s AS v", values[i].type);
        struct cairn_slice sent = lit(values[i].sent);
        struct cairn_pg_result *result = NULL;
        assert_ok(cairn_pg_query(stage->pg, sql, &sent, 1, &result, &stage->err), &stage->err);
        assert_int_equal(cairn_pg_result_rows(result), 1);
        struct cairn_slice got = cairn_pg_result_value(result, 0, 0);
        assert_non_null(got.data);
        assert_true(cairn_slice_is(got, values[i].got));
        assert_true(cairn_slice_is(cairn_pg_result_name(result, 0), "v"));
        cairn_pg_result_free(result);
    }
}

static void null_is_neither_empty_nor_a_word(void **state)
{
    struct pg_stage *stage = *state;
    struct cairn_slice three[] = {CAIRN_SLICE_NONE, CAIRN_SLICE_LIT(""), CAIRN_SLICE_LIT("NULL")};
    struct cairn_pg_result *result = NULL;
    assert_ok(cairn_pg_query(stage->pg, "SELECT $1::text, $2::text, $3::text, $1::text IS NULL",
                             three, 3, &result, &stage->err),
              &stage->err);
    assert_null(cairn_pg_result_value(result, 0, 0).data);
    struct cairn_slice empty = cairn_pg_result_value(result, 0, 1);
    assert_true(empty.data != NULL && empty.size == 0);
    assert_true(cairn_slice_is(cairn_pg_result_value(result, 0, 2), "NULL"));
    assert_true(cairn_slice_is(cairn_pg_result_value(result, 0, 3), "t"));
    cairn_pg_result_free(result);
}

static void values_that_are_not_nul_ended_end_where_they_end(void **state)
{
    struct pg_stage *stage = *state;
    struct cairn_slice two[] = {cairn_slice_of("12345", 2), cairn_slice_of("abc", 1)};
    struct cairn_pg_result *result = NULL;
    assert_ok(cairn_pg_query(stage->pg, "SELECT $1 || $2", two, 2, &result, &stage->err),
              &stage->err);
    assert_true(cairn_slice_is(cairn_pg_result_value(result, 0, 0), "12a"));
    cairn_pg_result_free(result);
}

static void a_value_that_holds_a_nul_is_refused_and_the_connection_lives(void **state)
{
    struct pg_stage *stage = *state;
    struct cairn_slice fine_and_not[] = {CAIRN_SLICE_LIT("fine"), CAIRN_SLICE_LIT("a\0b")};
    struct cairn_pg_result *result = NULL;
    assert_int_equal(
        cairn_pg_query(stage->pg, "SELECT $1, $2", fine_and_not, 2, &result, &stage->err),
        CAIRN_EINVAL);
    assert_non_null(strstr(stage->err.text, "$2"));
    assert_null(result);
    assert_string_equal(pg_stage_value(stage->pg, "SELECT 1"), "1");
}

static void arrays_bring_their_elements_unchanged(void **state)
{
    struct pg_stage *stage = *state;
    const struct cairn_slice elements[] = {
        CAIRN_SLICE_LIT("plain"),      CAIRN_SLICE_LIT(""),     CAIRN_SLICE_NONE,
        CAIRN_SLICE_LIT("NULL"),       CAIRN_SLICE_LIT("a,b"),  CAIRN_SLICE_LIT("{\"a\\\": 1}"),
        CAIRN_SLICE_LIT(" spaced \t"), CAIRN_SLICE_LIT("\\\\"), CAIRN_SLICE_LIT("m\xc3\xbcller\n"),
    };
    size_t count = sizeof(elements) / sizeof(elements[0]);
    struct cairn_buf text = {.max = 4096};
    assert_int_equal(cairn_pg_array(&text, elements, count), CAIRN_OK);
    struct cairn_slice array = cairn_buf_slice(&text);
    struct cairn_pg_result *result = NULL;
    assert_ok(cairn_pg_query(stage->pg,
                             "SELECT e FROM unnest($1::text[]) WITH ORDINALITY t(e, n)"
                             " ORDER BY n",
                             &array, 1, &result, &stage->err),
              &stage->err);
    assert_int_equal(cairn_pg_result_rows(result), count);
    for (size_t i = 0; i < count; i++) {
        struct cairn_slice got = cairn_pg_result_value(result, i, 0);
        assert_int_equal(got.data == NULL, elements[i].data == NULL);
        assert_true(cairn_slice_equal(got, elements[i]));
    }
    cairn_pg_result_free(result);
    cairn_buf_fini(&text);
}

static void quoted_names_are_one_name(void **state)
{
    struct pg_stage *stage = *state;
    static const char *const names[] = {"plain", "Upper Case", "a\"b", "select", "x; DROP TABLE y"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct cairn_buf sql = {.max = 4096};
        assert_int_equal(cairn_buf_append_str(&sql, "SELECT 1 AS "), CAIRN_OK);
        assert_int_equal(cairn_pg_quote_name(&sql, lit(names[i])), CAIRN_OK);
        assert_int_equal(cairn_buf_append_byte(&sql, '\0'), CAIRN_OK);
        struct cairn_pg_result *result = NULL;
        assert_ok(cairn_pg_query(stage->pg, sql.data, NULL, 0, &result, &stage->err), &stage->err);
        assert_true(cairn_slice_is(cairn_pg_result_name(result, 0), names[i]));
        cairn_pg_result_free(result);
        cairn_buf_fini(&sql);
    }
}

static void a_session_reads_and_writes_the_same_whatever_the_role_has_set(void **state)
{
    struct pg_stage *stage = *state;
    pg_stage_run(stage->pg, "CREATE ROLE odd LOGIN PASSWORD 'odd';"
                            "ALTER ROLE odd SET TimeZone = 'Asia/Kolkata';"
                            "ALTER ROLE odd SET DateStyle = 'German';"
                            "ALTER ROLE odd SET bytea_output = 'escape';"
                            "ALTER ROLE odd SET search_path = 'pg_temp'");
    char *uri = pg_stage_uri_as("odd", "odd");
    struct cairn_pg_options options = {.uri = uri,
                                       .application = "cairn reader",
                                       .schema = "no \"such",
                                       .statement_timeout_ms = 4321,
                                       .lock_timeout_ms = 1234,
                                       .read_only = true};
    struct cairn_pg *pg = NULL;
    assert_ok(cairn_pg_open(&options, &pg, &stage->err), &stage->err);
    static const char *const expected[][2] = {
        {"SELECT timestamptz '2026-01-31 00:00Z'", "2026-01-31 00:00:00+00"},
        {"SELECT date '2026-02-01'", "2026-02-01"},
        {"SELECT '\\x41'::bytea", "\\x41"},
        {"SHOW search_path", "\"no \"\"such\", pg_catalog"},
        {"SHOW statement_timeout", "4321ms"},
        {"SHOW lock_timeout", "1234ms"},
        {"SHOW transaction_read_only", "on"},
        {"SHOW application_name", "cairn reader"},
        {"SHOW client_encoding", "UTF8"},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_string_equal(pg_stage_value(pg, expected[i][0]), expected[i][1]);
    }
    cairn_pg_close(pg);
    test_free(uri);
    pg_stage_run(stage->pg, "DROP ROLE odd");
}

static void run_takes_several_statements_all_or_none(void **state)
{
    struct pg_stage *stage = *state;
    pg_stage_run(stage->pg, "CREATE TABLE a (n int); INSERT INTO a VALUES (1); SELECT 1;");
    assert_int_equal(
        cairn_pg_run(stage->pg, "INSERT INTO a VALUES (2); INSERT INTO b VALUES (1)", &stage->err),
        CAIRN_EINVAL);
    assert_string_equal(cairn_pg_sqlstate(stage->pg), "42P01");
    assert_string_equal(pg_stage_value(stage->pg, "SELECT count(*) FROM a"), "1");
    assert_string_equal(cairn_pg_sqlstate(stage->pg), "");
    pg_stage_run(stage->pg, "");
    pg_stage_run(stage->pg, "-- only words\n");
}

static void touched_counts_rows(void **state)
{
    struct pg_stage *stage = *state;
    static const struct {
        const char *sql;
        uint64_t rows;
    } steps[] = {
        {"CREATE TABLE counted AS SELECT generate_series(1, 7) AS n", 7},
        {"INSERT INTO counted VALUES (1), (2)", 2},
        {"UPDATE counted SET n = n + 1 WHERE n < 0", 0},
        {"DELETE FROM counted", 9},
        {"CREATE TABLE other (n int)", 0},
    };
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct cairn_pg_result *result = NULL;
        assert_ok(cairn_pg_query(stage->pg, steps[i].sql, NULL, 0, &result, &stage->err),
                  &stage->err);
        assert_int_equal(cairn_pg_result_touched(result), steps[i].rows);
        cairn_pg_result_free(result);
    }
}

static void describe_tells_what_the_server_inferred(void **state)
{
    struct pg_stage *stage = *state;
    pg_stage_run(stage->pg, "CREATE TABLE described (id bigint, name text)");
    assert_ok(cairn_pg_prepare(stage->pg, "one",
                               "SELECT name, id FROM described WHERE id = $1"
                               " AND name = $2",
                               NULL, 2, &stage->err),
              &stage->err);
    uint32_t types[2] = {0, 0};
    struct cairn_pg_result *columns = NULL;
    assert_ok(cairn_pg_describe(stage->pg, "one", types, 2, &columns, &stage->err), &stage->err);
    assert_int_equal(types[0], OID_INT8);
    assert_int_equal(types[1], OID_TEXT);
    assert_int_equal(cairn_pg_result_rows(columns), 0);
    assert_int_equal(cairn_pg_result_columns(columns), 2);
    assert_int_equal(cairn_pg_result_type(columns, 0), OID_TEXT);
    assert_int_equal(cairn_pg_result_type(columns, 1), OID_INT8);
    assert_true(cairn_slice_is(cairn_pg_result_name(columns, 1), "id"));
    cairn_pg_result_free(columns);

    assert_int_equal(cairn_pg_describe(stage->pg, "one", types, 1, NULL, &stage->err),
                     CAIRN_EINVAL);
    assert_non_null(strstr(stage->err.text, "2 parameters"));
    assert_int_equal(cairn_pg_describe(stage->pg, "none", types, 1, NULL, &stage->err),
                     CAIRN_EINVAL);
    assert_string_equal(cairn_pg_sqlstate(stage->pg), "26000");

    const uint32_t wanted[] = {OID_TEXT};
    assert_ok(cairn_pg_prepare(stage->pg, "typed", "SELECT $1", wanted, 1, &stage->err),
              &stage->err);
    assert_ok(cairn_pg_describe(stage->pg, "typed", types, 1, NULL, &stage->err), &stage->err);
    assert_int_equal(types[0], OID_TEXT);
}

static void names_of_statements_have_limits(void **state)
{
    struct pg_stage *stage = *state;
    char name[CAIRN_PG_NAME_BYTES_MAX + 2];
    memset(name, 'n', sizeof(name));
    name[CAIRN_PG_NAME_BYTES_MAX + 1] = '\0';
    assert_int_equal(cairn_pg_prepare(stage->pg, name, "SELECT 1", NULL, 0, &stage->err),
                     CAIRN_EINVAL);
    assert_int_equal(cairn_pg_prepare(stage->pg, "", "SELECT 1", NULL, 0, &stage->err),
                     CAIRN_EINVAL);
    name[CAIRN_PG_NAME_BYTES_MAX] = '\0';
    assert_ok(cairn_pg_prepare(stage->pg, name, "SELECT 1", NULL, 0, &stage->err), &stage->err);
}

static void a_copy_breaks_the_connection_and_nothing_hangs(void **state)
{
    struct pg_stage *stage = *state;
    static const char *const copies[] = {"COPY copied FROM STDIN", "COPY copied TO STDOUT"};
    pg_stage_run(stage->pg, "CREATE TABLE copied (n int); INSERT INTO copied VALUES (1)");
    for (size_t i = 0; i < sizeof(copies) / sizeof(copies[0]); i++) {
        struct cairn_pg *pg = pg_stage_open(stage);
        assert_int_equal(cairn_pg_run(pg, copies[i], &stage->err), CAIRN_EINVAL);
        assert_true(cairn_pg_is_broken(pg));
        assert_int_equal(cairn_pg_run(pg, "SELECT 1", &stage->err), CAIRN_EBUSY);
        cairn_pg_close(pg);
    }
}

static void more_parameters_than_we_take_are_refused(void **state)
{
    struct pg_stage *stage = *state;
    struct cairn_slice many[CAIRN_PG_PARAMS_MAX + 1] = {{NULL, 0}};
    assert_int_equal(
        cairn_pg_query(stage->pg, "SELECT 1", many, CAIRN_PG_PARAMS_MAX + 1, NULL, &stage->err),
        CAIRN_EINVAL);
}

static void a_value_of_megabytes_goes_both_ways(void **state)
{
    struct pg_stage *stage = *state;
    size_t size = (size_t)24 << 20;
    char *text = test_malloc(size);
    memset(text, 'x', size);
    struct cairn_slice value = cairn_slice_of(text, size);
    struct cairn_pg_result *result = NULL;
    assert_ok(cairn_pg_query(stage->pg, "SELECT $1::text || 'y'", &value, 1, &result, &stage->err),
              &stage->err);
    struct cairn_slice got = cairn_pg_result_value(result, 0, 0);
    assert_int_equal(got.size, size + 1);
    assert_memory_equal(got.data, text, size);
    cairn_pg_result_free(result);
    test_free(text);
}

static enum cairn_rc open_and_ask(const struct pg_stage *stage, struct cairn_err *err)
{
    struct cairn_pg_options options = pg_stage_options(stage);
    struct cairn_pg *pg = NULL;
    enum cairn_rc rc = cairn_pg_open(&options, &pg, err);
    if (rc != CAIRN_OK) {
        assert_null(pg);
        return rc;
    }
    struct cairn_slice value = CAIRN_SLICE_LIT("17");
    struct cairn_pg_result *result = NULL;
    rc = cairn_pg_query(pg, "INSERT INTO swept VALUES ($1)", &value, 1, &result, err);
    assert_int_equal(result == NULL, rc != CAIRN_OK);
    cairn_pg_result_free(result);
    cairn_pg_close(pg);
    return rc;
}

static void memory_that_ends_anywhere_is_told_and_does_nothing(void **state)
{
    skip_without_faults();
    struct pg_stage *stage = *state;
    pg_stage_run(stage->pg, "CREATE TABLE swept (n int)");
    int done = 0;
    for (int after = 0; after == 0 || done == 0; after++) {
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = open_and_ask(stage, &stage->err);
        cairn_fault_disarm();
        assert_true(rc == CAIRN_OK || rc == CAIRN_ENOMEM);
        done = rc == CAIRN_OK ? 1 : 0;
        assert_string_equal(pg_stage_value(stage->pg, "SELECT count(*) FROM swept"),
                            done == 1 ? "1" : "0");
        assert_true(after < 1000);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pg_stage_setup, pg_stage_teardown)
    const struct CMUnitTest tests[] = {
        TEST(values_come_back_as_they_went),
        TEST(null_is_neither_empty_nor_a_word),
        TEST(values_that_are_not_nul_ended_end_where_they_end),
        TEST(a_value_that_holds_a_nul_is_refused_and_the_connection_lives),
        TEST(arrays_bring_their_elements_unchanged),
        TEST(quoted_names_are_one_name),
        TEST(a_session_reads_and_writes_the_same_whatever_the_role_has_set),
        TEST(run_takes_several_statements_all_or_none),
        TEST(touched_counts_rows),
        TEST(describe_tells_what_the_server_inferred),
        TEST(names_of_statements_have_limits),
        TEST(a_copy_breaks_the_connection_and_nothing_hangs),
        TEST(more_parameters_than_we_take_are_refused),
        TEST(a_value_of_megabytes_goes_both_ways),
        TEST(memory_that_ends_anywhere_is_told_and_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
