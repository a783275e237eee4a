#include "schemas/sql_query.h"

#include "platform/fault.h"

#include "tests/support/cm.h"

enum { ARENA_MAX = 1 << 22 };

#define HEAD "-- query: q\n"

struct lot {
    struct cairn_arena arena;
    struct cairn_sql_query query;
    struct cairn_err err;
};

static enum cairn_rc read_text(struct lot *lot, const char *source)
{
    *lot = (struct lot){.arena = {.max = ARENA_MAX}};
    return cairn_sql_query_read(CAIRN_SLICE_LIT("q"), cairn_slice_str(source), &lot->arena,
                                &lot->query, &lot->err);
}

static void a_whole_file_is_read(void **state)
{
    (void)state;
    struct lot lot;
    assert_ok(read_text(&lot, "-- query: q\n"
                              "-- summary: What there is, all of it\n"
                              "-- param: least integer = 0\n"
                              "-- param: country text\n"
                              "-- order: cents desc, account, day asc\n"
                              "-- timeout: 60000\n"
                              "-- limit: 1\n"
                              "SELECT :country, ':no', :least\n"
                              "-- on: a remark inside\n"
                              ", :country;\n"),
              &lot.err);
    const struct cairn_sql_query *query = &lot.query;
    assert_true(cairn_slice_is(query->name, "q"));
    assert_true(cairn_slice_is(query->summary, "What there is, all of it"));
    assert_int_equal(query->param_count, 2);
    assert_true(cairn_slice_is(query->params[0].name, "least"));
    assert_int_equal(query->params[0].type, CAIRN_SQL_INTEGER);
    assert_false(query->params[0].required);
    assert_true(cairn_slice_is(query->params[0].fallback, "0"));
    assert_int_equal(query->params[1].type, CAIRN_SQL_TEXT);
    assert_true(query->params[1].required);
    assert_int_equal(query->order_count, 3);
    assert_true(query->orders[0].descending);
    assert_true(cairn_slice_is(query->orders[1].column, "account"));
    assert_false(query->orders[1].descending || query->orders[2].descending);
    assert_int_equal(query->timeout_ms, 60000);
    assert_int_equal(query->limit, 1);
    assert_int_equal(query->statement.line, 8);
    assert_int_equal(query->statement.param_count, 3); /* one of them twice */
    assert_true(cairn_slice_is(query->statement.params[0], "country"));
    cairn_arena_fini(&lot.arena);
}

static void what_a_file_leaves_out_has_its_default(void **state)
{
    (void)state;
    struct lot lot;
    assert_ok(read_text(&lot, HEAD "with x as (select 1) select * from x"), &lot.err);
    assert_int_equal(lot.query.timeout_ms, CAIRN_SQL_QUERY_TIMEOUT_DEFAULT);
    assert_int_equal(lot.query.limit, CAIRN_SQL_QUERY_LIMIT_DEFAULT);
    assert_int_equal(lot.query.order_count, 0);
    assert_int_equal(lot.query.param_count, 0);
    assert_int_equal(lot.query.summary.size, 0);
    cairn_arena_fini(&lot.arena);
}

static void a_default_is_null_quoted_or_as_it_stands(void **state)
{
    (void)state;
    static const struct {
        const char *source;
        const char *fallback; /* NULL: SQL's NULL */
    } cases[] = {
        {HEAD "-- param: a text = null\nSELECT :a", NULL},
        {HEAD "-- param: a text = 'null'\nSELECT :a", "null"},
        {HEAD "-- param: a text = ''\nSELECT :a", ""},
        {HEAD "-- param: a text =\nSELECT :a", ""},
        {HEAD "-- param: a text = ' it''s = '\nSELECT :a", " it's = "},
        {HEAD "-- param: a text = a = b\nSELECT :a", "a = b"},
        {HEAD "-- param: a date=2024-02-29\nSELECT :a", "2024-02-29"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lot lot;
        assert_ok(read_text(&lot, cases[i].source), &lot.err);
        struct cairn_slice fallback = lot.query.params[0].fallback;
        assert_false(lot.query.params[0].required);
        assert_int_equal(fallback.data == NULL, cases[i].fallback == NULL);
        assert_true(cases[i].fallback == NULL || cairn_slice_is(fallback, cases[i].fallback));
        cairn_arena_fini(&lot.arena);
    }
}

static const struct {
    const char *source;
    const char *text; /* of the error, its beginning */
} FAULTS[] = {
    {"", "line 1: there is no annotation \"-- query:\""},
    {HEAD, "line 1: there is no statement"},
    {"-- query: p\nSELECT 1", "line 1: query: \"p\" is not the file's name, \"q\""},
    {HEAD "-- limits: 3\nSELECT 1", "line 2: no annotation is called \"limits\""},
    {HEAD "-- limit: 0\nSELECT 1", "line 2: limit: must be an integer from 1 to 10000"},
    {HEAD "-- limit: 10001\nSELECT 1", "line 2: limit: must be an integer from 1 to 10000"},
    {HEAD "-- timeout: 60001\nSELECT 1", "line 2: timeout: must be an integer from 1 to 60000"},
    {HEAD "-- timeout: 5s\nSELECT 1", "line 2: timeout: must be an integer"},
    {HEAD "-- summary: a\n-- summary: b\nSELECT 1", "line 3: summary: is there already in line 2"},
    {HEAD "SELECT 1;\n-- limit: 5\nSELECT 2", "line 4: a query is one statement"},
    {HEAD "SELECT 1;\n\nSELECT 2", "line 4: a query is one statement"},
    {HEAD "SELECT 1\n-- limit: 5\n", "line 3: limit: stands in a statement"},
    {HEAD "DELETE FROM a", "line 2: a query begins with SELECT or WITH"},
    {HEAD "SELECT 1,\n :a", "line 3: :a is not declared with \"-- param:\""},
    {HEAD "-- param:\nSELECT 1", "line 2: param: \"\" is no name"},
    {HEAD "-- param: A text\nSELECT 1", "line 2: param: \"A\" is no name"},
    {HEAD "-- param: limit integer\nSELECT 1", "line 2: param: \"limit\" is a parameter of every"},
    {HEAD "-- param: cursor text\nSELECT 1", "line 2: param: \"cursor\" is a parameter of every"},
    {HEAD "-- param: a text\n-- param: a text\nSELECT 1", "line 3: param: \"a\" is there twice"},
    {HEAD "-- param: a\nSELECT :a", "line 2: param: \"\" is no type (integer, number, text, "},
    {HEAD "-- param: a int\nSELECT :a", "line 2: param: \"int\" is no type"},
    {HEAD "-- param: a text b\nSELECT :a", "line 2: param: \"text b\" is no type"},
    {HEAD "-- param: a integer = x\nSELECT :a", "line 2: param: the default \"x\" is no integer"},
    {HEAD "-- param: a integer =\nSELECT :a", "line 2: param: the default \"\" is no integer"},
    {HEAD "-- param: a text = 'x\nSELECT :a", "line 2: param: the default's quotes do not match"},
    {HEAD "-- param: a text = 'x'y\nSELECT :a", "line 2: param: the default's quotes do not match"},
    {HEAD "-- param: a text = '\nSELECT :a", "line 2: param: the default's quotes do not match"},
    {HEAD "-- order: a down\nSELECT 1", "line 2: order: \"a down\" is no column"},
    {HEAD "-- order: a, a desc\nSELECT 1", "line 2: order: \"a desc\" is no column"},
    {HEAD "-- order: a,,b\nSELECT 1", "line 2: order: \"\" is no column"},
    {HEAD "-- order: a,b,c,d,e,f,g,h,i\nSELECT 1", "line 2: order: more than 8 columns"},
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
        assert_int_equal(lot.query.limit, 0); /* untouched */
        cairn_arena_fini(&lot.arena);
    }
}

static void a_query_declares_64_parameters_and_no_more(void **state)
{
    (void)state;
    struct cairn_buf source = {.max = 1 << 16};
    assert_int_equal(cairn_buf_append_str(&source, HEAD "SELECT 1;\n"), CAIRN_OK);
    for (unsigned count = 1; count <= CAIRN_SQL_PARAMS_MAX + 1; count++) {
        struct lot lot;
        assert_int_equal(cairn_buf_printf(&source, "-- param: p%u text\n", count), CAIRN_OK);
        assert_int_equal(cairn_buf_append_byte(&source, '\0'), CAIRN_OK);
        enum cairn_rc rc = read_text(&lot, source.data);
        assert_int_equal(rc, count > CAIRN_SQL_PARAMS_MAX ? CAIRN_ETOOBIG : CAIRN_OK);
        cairn_arena_fini(&lot.arena);
        cairn_buf_truncate(&source, source.size - 1);
    }
    cairn_buf_fini(&source);
}

/* ---- types ---- */

static void a_type_holds_what_postgres_takes(void **state)
{
    (void)state;
    static const struct {
        enum cairn_sql_type type;
        const char *text;
        bool holds;
    } cases[] = {
        {CAIRN_SQL_INTEGER, "-9223372036854775808", true},
        {CAIRN_SQL_INTEGER, "9223372036854775808", false},
        {CAIRN_SQL_INTEGER, "1.0", false},
        {CAIRN_SQL_INTEGER, "", false},
        {CAIRN_SQL_NUMBER_TYPE, "-12", true},
        {CAIRN_SQL_NUMBER_TYPE, "0.10", true},
        {CAIRN_SQL_NUMBER_TYPE, "1e-9", true},
        {CAIRN_SQL_NUMBER_TYPE, "1.5E+1000", true},
        {CAIRN_SQL_NUMBER_TYPE, "1e1001", false},
        {CAIRN_SQL_NUMBER_TYPE, "1e+-1", false},
        {CAIRN_SQL_NUMBER_TYPE, "1e", false},
        {CAIRN_SQL_NUMBER_TYPE, "1e+", false},
        {CAIRN_SQL_NUMBER_TYPE, "1.", false},
        {CAIRN_SQL_NUMBER_TYPE, ".5", false},
        {CAIRN_SQL_NUMBER_TYPE, "-", false},
        {CAIRN_SQL_NUMBER_TYPE, "1x", false},
        {CAIRN_SQL_NUMBER_TYPE, "NaN", false},
        {CAIRN_SQL_NUMBER_TYPE, "", false},
        {CAIRN_SQL_TEXT, "", true},
        {CAIRN_SQL_TEXT, "\xff", false},
        {CAIRN_SQL_BOOLEAN, "true", true},
        {CAIRN_SQL_BOOLEAN, "false", true},
        {CAIRN_SQL_BOOLEAN, "yes", false},
        {CAIRN_SQL_DATE, "2024-02-29", true},
        {CAIRN_SQL_DATE, "2023-02-29", false},
        {CAIRN_SQL_DATE, "0000-01-01", false},
        {CAIRN_SQL_DATE, "today", false},
        {CAIRN_SQL_TIMESTAMP, "2024-02-29T12:00:00.25Z", true},
        {CAIRN_SQL_TIMESTAMP, "2024-02-29T12:00:00+15:59", true},
        {CAIRN_SQL_TIMESTAMP, "2024-02-29T12:00:00-16:00", false},
        {CAIRN_SQL_TIMESTAMP, "0000-02-29T12:00:00Z", false},
        {CAIRN_SQL_TIMESTAMP, "2024-02-29", false},
        {CAIRN_SQL_TIMESTAMP, "", false},
        {CAIRN_SQL_UUID, "2eb8aa08-aa98-11ea-b4aa-73b441d16380", true},
        {CAIRN_SQL_UUID, "2eb8aa08", false},
        {CAIRN_SQL_JSON, "{\"a\": [1, null]}", true},
        {CAIRN_SQL_JSON, "{a: 1}", false},
        {CAIRN_SQL_JSON, "", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (cairn_sql_type_holds(cases[i].type, cairn_slice_str(cases[i].text)) != cases[i].holds) {
            fail_msg("%s \"%s\"", cairn_sql_type_label(cases[i].type), cases[i].text);
        }
    }
    assert_false(cairn_sql_type_holds(CAIRN_SQL_TEXT, CAIRN_SLICE_LIT("a\0b")));
}

static void every_type_has_its_word_and_its_name(void **state)
{
    (void)state;
    assert_string_equal(cairn_sql_type_label(CAIRN_SQL_INTEGER), "integer");
    assert_string_equal(cairn_sql_type_name(CAIRN_SQL_INTEGER), "bigint");
    assert_string_equal(cairn_sql_type_label(CAIRN_SQL_TIMESTAMP), "timestamp");
    assert_string_equal(cairn_sql_type_name(CAIRN_SQL_TIMESTAMP), "timestamptz");
    assert_string_equal(cairn_sql_type_name(CAIRN_SQL_JSON), "jsonb");
}

static void no_memory_is_an_error_and_no_crash(void **state)
{
    (void)state;
    skip_without_faults();
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_MEM) || after == 0; after++) {
        struct lot lot;
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = read_text(&lot, HEAD "-- param: a text = 'x'\nSELECT :a");
        assert_true(rc == CAIRN_OK ? lot.query.param_count == 1 : rc == CAIRN_ENOMEM);
        cairn_arena_fini(&lot.arena);
    }
    cairn_fault_disarm();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file_is_read),
        cmocka_unit_test(what_a_file_leaves_out_has_its_default),
        cmocka_unit_test(a_default_is_null_quoted_or_as_it_stands),
        cmocka_unit_test(every_fault_names_its_line),
        cmocka_unit_test(a_query_declares_64_parameters_and_no_more),
        cmocka_unit_test(a_type_holds_what_postgres_takes),
        cmocka_unit_test(every_type_has_its_word_and_its_name),
        cmocka_unit_test(no_memory_is_an_error_and_no_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
