/* What a request makes of a named query: values, faults and the statement. Its pages run against a
 * server in tests/e2e/sql_views_test.py. */
#include "query/named.h"

#include <string.h>

#include "tests/support/cm.h"

#define ARENA_MAX ((size_t)1 << 20)

static const char source[] = "-- query: rich\n"
                             "-- param: least integer = 0\n"
                             "-- param: country text\n"
                             "-- param: since date = null\n"
                             "-- order: cents desc, name\n"
                             "-- limit: 100\n"
                             "SELECT name, cents FROM t WHERE c = :country AND cents > :least\n";

struct fixture {
    struct cairn_arena arena;
    struct cairn_sql_query query;
    struct cairn_http_param params[4];
    struct cairn_http_request request;
    struct cairn_named named;
    struct cairn_err err;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.arena = {.max = ARENA_MAX}};
    fixture.request =
        (struct cairn_http_request){.params = fixture.params, .arena = &fixture.arena};
    *state = &fixture;
    return (int)cairn_sql_query_read(CAIRN_SLICE_LIT("rich"), cairn_slice_str(source),
                                     &fixture.arena, &fixture.query, &fixture.err);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    cairn_arena_fini(&fixture->arena);
    return 0;
}

static void give(struct fixture *fixture, const char *name, const char *value)
{
    struct cairn_http_param *param = &fixture->params[fixture->request.param_count++];
    param->name = cairn_slice_str(name);
    param->value = cairn_slice_str(value);
}

static enum cairn_rc read_request(struct fixture *fixture)
{
    return cairn_named_read(&fixture->query, &fixture->request, &fixture->named, &fixture->err);
}

static void values_stand_where_the_statement_has_them(void **state)
{
    struct fixture *fixture = *state;
    give(fixture, "country", "");
    give(fixture, "limit", "7");
    assert_ok(read_request(fixture), &fixture->err);
    assert_int_equal(fixture->named.value_count, 2);
    assert_int_equal(fixture->named.limit, 7);
    assert_non_null(fixture->named.values[0].data); /* an empty text is none that is missing */
    assert_int_equal(fixture->named.values[0].size, 0);
    assert_true(cairn_slice_is(fixture->named.values[1], "0"));
}

static void a_fault_names_parameter_and_type(void **state)
{
    static const struct {
        const char *name, *value, *words;
    } rows[] = {
        {"since", "2020-02-30", "parameter \"since\" is \"2020-02-30\"; it must be date"},
        {"least", "many", "parameter \"least\" is \"many\"; it must be integer"},
        {"limit", "101", "\"limit\""},
        {"colour", "red", "unknown parameter \"colour\""},
        {"country", "x", "given twice"},
        {"cursor", "AAAA", "no cursor of this query"},
    };
    struct fixture *fixture = *state;
    assert_int_equal(read_request(fixture), CAIRN_EQUERY);
    assert_string_equal(fixture->err.text, "parameter \"country\" (text) is missing");
    give(fixture, "country", "Norge");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fixture->request.param_count = 1;
        give(fixture, rows[i].name, rows[i].value);
        assert_int_equal(read_request(fixture), CAIRN_EQUERY);
        assert_non_null(strstr(fixture->err.text, rows[i].words));
    }
}

static void check_statement(struct fixture *fixture, const char *expected)
{
    struct cairn_pg_text text = CAIRN_PG_TEXT(ARENA_MAX);
    const char *sql = NULL;
    size_t text_at = 0;
    assert_ok(cairn_named_sql(&fixture->named, &text, &sql, &text_at, &fixture->err),
              &fixture->err);
    assert_string_equal(sql, expected);
    assert_memory_equal(sql + text_at, "SELECT name", 11);
    cairn_pg_text_fini(&text);
}

#define STATEMENT                                                                                  \
    "WITH _cairn AS (SELECT $1::text, $2::bigint) SELECT row_to_json(q.*)::text, "                 \
    "q.\"cents\"::text, q.\"name\"::text FROM (\n"                                                 \
    "SELECT name, cents FROM t WHERE c = $1 AND cents > $2\n) q"
#define ORDER " ORDER BY q.\"cents\" DESC, q.\"name\" LIMIT 101"

static void the_statement_declares_its_types(void **state)
{
    struct fixture *fixture = *state;
    give(fixture, "country", "Norge");
    assert_ok(read_request(fixture), &fixture->err);
    check_statement(fixture, STATEMENT ORDER);
}

static void a_place_is_passed_column_by_column(void **state)
{
    struct fixture *fixture = *state;
    give(fixture, "country", "Norge");
    assert_ok(read_request(fixture), &fixture->err);
    fixture->named.has_place = true;
    fixture->named.place[0] = CAIRN_SLICE_LIT("12");
    fixture->named.place[1] = CAIRN_SLICE_LIT("a");
    check_statement(fixture, STATEMENT
                    " WHERE ((q.\"cents\" < $3) OR (q.\"cents\" = $3 AND ((q.\"name\" > $4 OR "
                    "q.\"name\" IS NULL))))" ORDER);
    assert_int_equal(fixture->named.value_count, 4);
    assert_true(cairn_slice_is(fixture->named.values[3], "a"));
}

/* Null is first going down and last going up: behind it come all values, and nothing. */
static void a_place_of_nulls_needs_no_values(void **state)
{
    struct fixture *fixture = *state;
    give(fixture, "country", "Norge");
    assert_ok(read_request(fixture), &fixture->err);
    fixture->named.has_place = true;
    check_statement(
        fixture,
        STATEMENT " WHERE ((q.\"cents\" IS NOT NULL) OR (q.\"cents\" IS NULL AND (false)))" ORDER);
    assert_int_equal(fixture->named.value_count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_stand_where_the_statement_has_them, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_fault_names_parameter_and_type, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_statement_declares_its_types, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_place_is_passed_column_by_column, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_place_of_nulls_needs_no_values, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
