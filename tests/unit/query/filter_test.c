#include "query/filter.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/cm.h"

static struct cairn_arena arena = {.max = 1u << 20};

/* "name=value" into a parameter; no percent-encoding here, that is the chassis's work. */
static struct cairn_http_param param(const char *text)
{
    struct cairn_slice all = cairn_slice_str(text);
    size_t equals = cairn_slice_find(all, '=');
    assert_true(equals < all.size);
    return (struct cairn_http_param){.name = cairn_slice_of(text, equals),
                                     .value =
                                         cairn_slice_of(text + equals + 1, all.size - equals - 1)};
}

static enum cairn_rc read_one(const char *text, struct cairn_view_query *query,
                              struct cairn_err *err)
{
    struct cairn_http_param one = param(text);
    return cairn_filter_read(&one, 1, &arena, query, err);
}

/* values are separated by '|' */
static const struct {
    const char *text;
    enum cairn_view_operator op;
    const char *values;
} accepted[] = {
    {"customer=eq.17850", CAIRN_OP_EQ, "17850"},
    {"total=neq.-1", CAIRN_OP_NEQ, "-1"},
    {"total=gt.0", CAIRN_OP_GT, "0"},
    {"total=gte.100", CAIRN_OP_GTE, "100"},
    {"total=lt.1e3", CAIRN_OP_LT, "1e3"},
    {"total=lte.", CAIRN_OP_LTE, ""},
    {"name=eq.a.b,c)\"d\\", CAIRN_OP_EQ, "a.b,c)\"d\\"},
    {"name=eq.", CAIRN_OP_EQ, ""},
    {"c=in.(France)", CAIRN_OP_IN, "France"},
    {"c=in.(a,b,\"c,d\")", CAIRN_OP_IN, "a|b|c,d"},
    {"c=in.(\"\")", CAIRN_OP_IN, ""},
    {"c=in.(a,)", CAIRN_OP_IN, "a|"},
    {"c=in.(,)", CAIRN_OP_IN, "|"},
    {"c=in.(\"say \\\"hi\\\"\",\"back\\\\slash\")", CAIRN_OP_IN, "say \"hi\"|back\\slash"},
    {"c=in.(\"close)\",x)", CAIRN_OP_IN, "close)|x"},
    {"c=in.(plain\\,b)", CAIRN_OP_IN, "plain\\|b"},
    {"c=in.(a\"b,c)", CAIRN_OP_IN, "a\"b|c"},
    {"in=in.(1)", CAIRN_OP_IN, "1"},
};

static void filters_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        struct cairn_view_query query;
        struct cairn_err err;
        assert_ok(read_one(accepted[i].text, &query, &err), &err);
        assert_int_equal(query.filter_count, 1);
        const struct cairn_view_filter *filter = &query.filters[0];
        assert_int_equal(filter->op, accepted[i].op);
        assert_true(cairn_slice_equal(filter->column, param(accepted[i].text).name));
        char values[256] = "";
        size_t used = 0;
        for (size_t v = 0; v < filter->value_count; v++) {
            used += (size_t)snprintf(values + used, sizeof(values) - used, "%s%.*s",
                                     v == 0 ? "" : "|", CAIRN_SLICE_ARG(filter->values[v]));
        }
        assert_string_equal(values, accepted[i].values);
    }
}

/* What the error must say. */
static const struct {
    const char *text;
    const char *says;
} refused[] = {
    {"foo=bar", "\"foo\": wants operator.value"},
    {"foo=", "wants operator.value"},
    {"foo=same.1", "unknown operator \"same\"; allowed: eq, neq, gt, gte, lt, lte, in"},
    {"foo=EQ.1", "unknown operator \"EQ\""},
    {"foo=.1", "unknown operator \"\""},
    {"foo=not.eq.1", "operator \"not\" is not supported by LMDB views"},
    {"foo=like.a*", "operator \"like\" is not supported"},
    {"foo=ilike.a*", "not supported"},
    {"foo=is.null", "operator \"is\" is not supported"},
    {"foo=fts.cat", "not supported"},
    {"or=(a.eq.1,b.eq.2)", "\"or\": is not supported by LMDB views"},
    {"and=(a.eq.1,b.eq.2)", "not supported by LMDB views"},
    {"not.or=(a.eq.1)", "not supported by LMDB views"},
    {"foo=in.", "in wants a list"},
    {"foo=in.a,b", "in wants a list"},
    {"foo=in.()", "the list of in is empty"},
    {"foo=in.(", "in wants a list"},
    {"foo=in.(a,b", "no closing ')'"},
    {"foo=in.(a)b", "text behind"},
    {"foo=in.(\"a\"b)", "text behind"},
    {"foo=in.(\"a)", "no closing quote"},
    {"foo=in.(\"a\\", "no closing quote"},
    {"foo=in.(\"a\\\")", "no closing quote"},
    {"order=", "wants column"},
    {"order=.desc", "wants column"},
    {"order=a,b", "one column"},
    {"order=a.desc.nullslast", "\"nullslast\" is not supported"},
    {"limit=0", "1 to 1000"},
    {"limit=1001", "1 to 1000"},
    {"limit=-1", "1 to 1000"},
    {"limit=ten", "1 to 1000"},
    {"limit=", "1 to 1000"},
};

static void faults_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct cairn_view_query query;
        struct cairn_err err;
        enum cairn_rc rc = read_one(refused[i].text, &query, &err);
        if (rc != CAIRN_EQUERY || strstr(err.text, refused[i].says) == NULL) {
            fail_msg("%s: %d %s", refused[i].text, (int)rc, rc == CAIRN_OK ? "" : err.text);
        }
    }
}

static const struct {
    const char *text;
    const char *column;
    bool descending;
} orders[] = {
    {"order=total", "total", false},     {"order=total.asc", "total", false},
    {"order=total.desc", "total", true}, {"order=a.b", "a.b", false},
    {"order=a.b.desc", "a.b", true},     {"order=desc", "desc", false},
    {"order=key.desc", "key", true},
};

static void order_takes_its_last_part_as_direction(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        struct cairn_view_query query;
        struct cairn_err err;
        assert_ok(read_one(orders[i].text, &query, &err), &err);
        assert_true(cairn_slice_is(query.order, orders[i].column));
        assert_int_equal(query.descending, orders[i].descending);
    }
}

static void nothing_asked_is_the_first_fifty_by_key(void **state)
{
    (void)state;
    struct cairn_view_query query;
    struct cairn_err err;
    assert_ok(cairn_filter_read(NULL, 0, &arena, &query, &err), &err);
    assert_int_equal(query.limit, CAIRN_VIEW_LIMIT_DEFAULT);
    assert_int_equal(query.filter_count, 0);
    assert_int_equal(query.order.size, 0);
    assert_false(query.descending);
}

static void a_column_may_be_filtered_twice_but_order_is_given_once(void **state)
{
    (void)state;
    struct cairn_view_query query;
    struct cairn_err err;
    const struct cairn_http_param range[] = {param("total=gte.1"), param("total=lt.5"),
                                             param("limit=7"), param("cursor=abc")};
    assert_ok(cairn_filter_read(range, 4, &arena, &query, &err), &err);
    assert_int_equal(query.filter_count, 2);
    assert_int_equal(query.limit, 7);
    assert_true(cairn_slice_is(query.cursor, "abc"));
    const struct cairn_http_param twice[] = {param("order=a"), param("order=b")};
    assert_int_equal(cairn_filter_read(twice, 2, &arena, &query, &err), CAIRN_EQUERY);
    assert_non_null(strstr(err.text, "\"order\" is given twice"));
}

static void more_filters_or_values_than_allowed_are_refused(void **state)
{
    (void)state;
    struct cairn_http_param many[CAIRN_VIEW_FILTERS_MAX + 1];
    for (size_t i = 0; i <= CAIRN_VIEW_FILTERS_MAX; i++) {
        many[i] = param("a=eq.1");
    }
    struct cairn_view_query query;
    struct cairn_err err;
    assert_ok(cairn_filter_read(many, CAIRN_VIEW_FILTERS_MAX, &arena, &query, &err), &err);
    assert_int_equal(cairn_filter_read(many, CAIRN_VIEW_FILTERS_MAX + 1, &arena, &query, &err),
                     CAIRN_EQUERY);

    char text[2 * CAIRN_FILTER_VALUES_MAX + 16] = "a=in.(1";
    size_t used = strlen(text);
    for (int i = 1; i < CAIRN_FILTER_VALUES_MAX; i++) {
        memcpy(text + used, ",1", 3);
        used += 2;
    }
    memcpy(text + used, ")", 2);
    assert_ok(read_one(text, &query, &err), &err);
    assert_int_equal(query.filters[0].value_count, CAIRN_FILTER_VALUES_MAX);
    memcpy(text + used, ",1)", 4);
    assert_int_equal(read_one(text, &query, &err), CAIRN_EQUERY);
    assert_non_null(strstr(err.text, "more than 500"));
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
        cmocka_unit_test(filters_are_read),
        cmocka_unit_test(faults_are_named),
        cmocka_unit_test(order_takes_its_last_part_as_direction),
        cmocka_unit_test(nothing_asked_is_the_first_fifty_by_key),
        cmocka_unit_test(a_column_may_be_filtered_twice_but_order_is_given_once),
        cmocka_unit_test(more_filters_or_values_than_allowed_are_refused),
    };
    return cmocka_run_group_tests_name("filter", tests, NULL, release);
}
