/* What a filter, as it is written, says of a row: true, false, or unknown where neither it nor its
 * negation lets the row pass. */
#include <stdio.h>

#include "platform/json.h"
#include "projector/lmdb/view_filter.h"
#include "query/filter.h"

#include "tests/support/cm.h"

static struct cairn_arena arena = {.max = 1u << 22};

static const struct cairn_view_column columns[] = {{{"a", 1}}, {{"b", 1}}};

enum { FALSE = 0, TRUE = 1, UNKNOWN = -1 };

static const struct {
    const char *filter; /* as a part of and=(...) */
    const char *row;
    int says;
} rows[] = {
    /* a value that is there */
    {"a.eq.1", "{\"a\":1}", TRUE},
    {"a.eq.1", "{\"a\":1.0}", TRUE},
    {"a.eq.1", "{\"a\":\"1\"}", TRUE},
    {"a.eq.x", "{\"a\":1}", FALSE},
    {"a.gt.x", "{\"a\":1}", FALSE},
    {"a.neq.1", "{\"a\":2}", TRUE},
    {"a.in.(1,2)", "{\"a\":3}", FALSE},
    {"a.eq.null", "{\"a\":1}", FALSE},
    {"a.eq.1", "{\"a\":[1]}", FALSE},
    {"key.eq.k1", "{}", TRUE},
    {"key.like.k*", "{}", TRUE},
    {"key.is.null", "{}", FALSE},
    {"key.is.true", "{}", FALSE},
    /* a value that is not there, or null */
    {"a.eq.1", "{}", UNKNOWN},
    {"a.eq.1", "{\"a\":null}", UNKNOWN},
    {"a.gt.1", "{}", UNKNOWN},
    {"a.gte.1", "{}", UNKNOWN},
    {"a.lt.1", "{\"a\":null}", UNKNOWN},
    {"a.lte.1", "{}", UNKNOWN},
    {"a.in.(1,2)", "{}", UNKNOWN},
    {"a.like.*", "{}", UNKNOWN},
    {"a.like.*", "{\"a\":null}", UNKNOWN},
    {"a.neq.1", "{}", TRUE},
    {"a.neq.1", "{\"a\":null}", TRUE},
    /* the word null */
    {"a.eq.null", "{}", TRUE},
    {"a.eq.null", "{\"a\":null}", TRUE},
    {"a.eq.null", "{\"a\":\"null\"}", TRUE},
    {"a.gte.null", "{}", TRUE},
    {"a.lte.null", "{}", TRUE},
    {"a.gt.null", "{}", FALSE},
    {"a.neq.null", "{}", FALSE},
    {"a.neq.null", "{\"a\":1}", TRUE},
    {"a.in.(1,null)", "{}", TRUE},
    {"a.in.(1,null)", "{\"a\":2}", FALSE},
    /* is */
    {"a.is.null", "{}", TRUE},
    {"a.is.null", "{\"a\":null}", TRUE},
    {"a.is.unknown", "{}", TRUE},
    {"a.is.null", "{\"a\":\"null\"}", FALSE},
    {"a.is.null", "{\"a\":false}", FALSE},
    {"a.is.true", "{\"a\":true}", TRUE},
    {"a.is.true", "{\"a\":\"true\"}", FALSE},
    {"a.is.true", "{\"a\":1}", FALSE},
    {"a.is.true", "{}", FALSE},
    {"a.is.false", "{\"a\":false}", TRUE},
    {"a.is.false", "{\"a\":true}", FALSE},
    /* like */
    {"a.like.*nk", "{\"a\":\"bank\"}", TRUE},
    {"a.like.b*k", "{\"a\":\"bank\"}", TRUE},
    {"a.like.ban", "{\"a\":\"bank\"}", FALSE},
    {"a.like.B*", "{\"a\":\"bank\"}", FALSE},
    {"a.like.b_nk", "{\"a\":\"bank\"}", FALSE},
    {"a.like.1*", "{\"a\":17}", FALSE},
    {"a.like.\"x,)*\"", "{\"a\":\"x,) y\"}", TRUE},
    /* joined: false decides an and, true an or, and what is unknown stays so */
    {"and(a.eq.1,b.eq.1)", "{\"a\":1,\"b\":1}", TRUE},
    {"and(a.eq.1,b.eq.1)", "{\"a\":1}", UNKNOWN},
    {"and(a.eq.1,b.eq.1)", "{\"a\":2}", FALSE},
    {"and(b.eq.1,a.eq.1)", "{\"a\":2}", FALSE},
    {"or(a.eq.1,b.eq.1)", "{\"a\":1}", TRUE},
    {"or(b.eq.1,a.eq.1)", "{\"a\":1}", TRUE},
    {"or(a.eq.1,b.eq.1)", "{\"a\":2}", UNKNOWN},
    {"or(a.eq.1,b.eq.1)", "{\"a\":2,\"b\":2}", FALSE},
    {"or(a.neq.1,a.is.null)", "{}", TRUE},
    {"not.or(a.eq.1,b.eq.1)", "{\"a\":2,\"b\":2}", TRUE},
    {"not.and(a.eq.1,b.eq.1)", "{\"a\":1}", UNKNOWN},
    {"a.not.eq.1", "{\"a\":2}", TRUE},
    {"not.a.not.eq.1", "{\"a\":2}", FALSE},
    {"a.not.eq.1", "{}", UNKNOWN},
    {"a.not.neq.1", "{}", FALSE},
    {"a.not.is.null", "{}", FALSE},
};

static bool passes(bool negated, const char *filter, const struct cairn_value *row)
{
    struct cairn_err err;
    struct cairn_view_query query;
    struct cairn_view_test test;
    char text[128];
    (void)snprintf(text, sizeof text, "(%s(%s))", negated ? "not.and" : "and", filter);
    const struct cairn_http_param param = {CAIRN_SLICE_LIT("and"), cairn_slice_str(text)};
    assert_ok(cairn_filter_read(&param, 1, &arena, &query, &err), &err);
    assert_ok(cairn_view_test_make(&query.filters[0], columns, 2, &arena, &test, &err), &err);
    return cairn_view_test_row(&test, CAIRN_SLICE_LIT("k1"), row);
}

static void a_test_is_true_false_or_unknown(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cairn_value row;
        struct cairn_err err;
        assert_ok(cairn_json_read(cairn_slice_str(rows[i].row), &arena, &row, NULL, &err), &err);
        if (passes(false, rows[i].filter, &row) != (rows[i].says == TRUE) ||
            passes(true, rows[i].filter, &row) != (rows[i].says == FALSE)) {
            fail_msg("%s of %s is not %d", rows[i].filter, rows[i].row, rows[i].says);
        }
        cairn_arena_reset(&arena);
    }
}

static void a_part_of_another_column_is_refused_by_name(void **state)
{
    struct cairn_err err;
    struct cairn_view_query query;
    struct cairn_view_test test;
    const struct cairn_http_param param = {CAIRN_SLICE_LIT("or"),
                                           CAIRN_SLICE_LIT("(a.eq.1,and(colour.eq.2))")};
    (void)state;
    assert_ok(cairn_filter_read(&param, 1, &arena, &query, &err), &err);
    assert_int_equal(cairn_view_test_make(&query.filters[0], columns, 2, &arena, &test, &err),
                     CAIRN_EQUERY);
    assert_non_null(strstr(err.text, "no index \"colour\""));
}

static int release(void **state)
{
    (void)state;
    cairn_arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_test_is_true_false_or_unknown),
        cmocka_unit_test(a_part_of_another_column_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
