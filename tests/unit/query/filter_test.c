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
    {"name=like.*bank*", CAIRN_OP_LIKE, "*bank*"},
    {"name=like.", CAIRN_OP_LIKE, ""},
    {"closed=is.null", CAIRN_OP_IS, "null"},
    {"closed=is.true", CAIRN_OP_IS, "true"},
    {"closed=is.false", CAIRN_OP_IS, "false"},
    {"closed=is.unknown", CAIRN_OP_IS, "unknown"},
    {"not=eq.1", CAIRN_OP_EQ, "1"},
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
    {"foo=not.not.eq.1", "unknown operator \"not\""},
    {"foo=not", "wants operator.value"},
    {"foo=not.", "wants operator.value"},
    {"foo=not.same.1", "unknown operator \"same\""},
    {"foo=ilike.a*", "operator \"ilike\" is not supported; allowed: eq, neq"},
    {"foo=not.fts.cat", "operator \"fts\" is not supported"},
    {"foo=is.NULL", "is wants null, true, false or unknown"},
    {"foo=is.", "is wants null"},
    {"foo=is.not_null", "is wants null"},
    {"or=", "\"or\": wants a list of filters"},
    {"or=eq.1", "wants a list of filters"},
    {"not.and=a.eq.1", "\"not.and\": wants a list of filters"},
    {"or=()", "wants column.operator.value"},
    {"or=(", "wants column.operator.value"},
    {"or=(a.eq.1", "no closing ')'"},
    {"or=(a.eq.1,)", "wants column.operator.value"},
    {"or=(a.eq.1)b", "text behind the last ')'"},
    {"or=(a.eq.1))", "text behind the last ')'"},
    {"or=(and(a.eq.1)b.eq.2)", "filters are separated by ','"},
    {"or=(a.in.(1)b.eq.2)", "filters are separated by ','"},
    {"or=(.eq.1)", "wants column.operator.value"},
    {"or=(\"a\"eq.1)", "wants column.operator.value"},
    {"or=(\"a.eq.1)", "no closing quote"},
    {"or=(a.same.1)", "\"or\": \"a\": unknown operator \"same\""},
    {"or=(a.eq)", "\"or\": \"a\": wants operator.value"},
    {"or=(not.a.ilike.x)", "operator \"ilike\" is not supported"},
    {"or=(a.eq.\"x\"y)", "\"a\": text behind a quoted element"},
    {"or=(a.eq.\"x)", "no closing quote"},
    {"or=(a.is.1,b.eq.2)", "\"a\": is wants null"},
    {"or=(a.in.(1,2)", "no closing ')'"},
    {"or=(a.in.1,b.eq.2)", "in wants a list"},
    {"or=(a.eq.1, b.eq.2", "no closing ')'"},
    {"and=(or(or(or(or(or(or(or(or(a.eq.1)))))))))", "nested more than 8 deep"},
    {"select=", "wants names of columns"},
    {"select=a,", "wants names of columns"},
    {"select=*", "wants names of columns"},
    {"select=a:b", "wants names of columns"},
    {"select=a::text", "wants names of columns"},
    {"select=a.sum()", "wants names of columns"},
    {"select=other(a)", "wants names of columns"},
    {"select=a->b", "wants names of columns"},
    {"select=a)", "wants names of columns"},
    {"select=\"a\"b", "text behind a quoted element"},
    {"select=a,b,a", "\"select\": names \"a\" twice"},
    {"foo=in.", "in wants a list"},
    {"foo=in.a,b", "in wants a list"},
    {"foo=in.()", "the list of in is empty"},
    {"foo=in.(", "a list has no closing ')'"},
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

/* A filter as text that shows how it was read. */
static void print_filter(const struct cairn_view_filter *filter, struct cairn_buf *out)
{
    static const char *const names[] = {"eq", "neq",  "gt", "gte", "lt", "lte",
                                        "in", "like", "is", "and", "or"};
    enum cairn_rc rc = cairn_buf_printf(out, "%s%s %.*s[", filter->negated ? "!" : "",
                                        names[filter->op], CAIRN_SLICE_ARG(filter->column));
    for (size_t i = 0; i < filter->value_count && rc == CAIRN_OK; i++) {
        rc = cairn_buf_printf(out, "<%.*s>", CAIRN_SLICE_ARG(filter->values[i]));
    }
    for (size_t i = 0; i < filter->part_count; i++) {
        print_filter(&filter->parts[i], out);
    }
    assert_int_equal(rc, CAIRN_OK);
    assert_int_equal(cairn_buf_append_byte(out, ']'), CAIRN_OK);
}

static const struct {
    const char *text;
    const char *read;
} trees[] = {
    {"a=not.eq.not.eq.1", "!eq a[<not.eq.1>]"},
    {"a=not.in.(1,2)", "!in a[<1><2>]"},
    {"or=(a.eq.1)", "or [eq a[<1>]]"},
    {"or=(a.eq.1,b.gt.2,and(c.lt.3,not.d.is.null))",
     "or [eq a[<1>]gt b[<2>]and [lt c[<3>]!is d[<null>]]]"},
    {"and=(a.eq.,b.like.x*)", "and [eq a[<>]like b[<x*>]]"},
    {"not.or=(a.not.eq.1,not.a.not.eq.2)", "!or [!eq a[<1>]eq a[<2>]]"},
    {"not.and=(not.or(a.in.(1,\"2,)\"),b.neq.3),c.is.unknown)",
     "!and [!or [in a[<1><2,)>]neq b[<3>]]is c[<unknown>]]"},
    {"or=(a.eq.\"x,y)\",b.eq.\"say \\\"hi\\\"\",c.eq.a\"b)",
     "or [eq a[<x,y)>]eq b[<say \"hi\">]eq c[<a\"b>]]"},
    {"and=(\"a.b\".eq.1,\"not\".eq.2,or.eq.3,and.is.true,order.eq.4)",
     "and [eq a.b[<1>]eq not[<2>]eq or[<3>]is and[<true>]eq order[<4>]]"},
    {"or=(\"say \\\"a\\\"\".eq.1,a\"b.eq.2)", "or [eq say \"a\"[<1>]eq a\"b[<2>]]"},
    {"or=(a.eq.1.5,a.eq.x.y.z)", "or [eq a[<1.5>]eq a[<x.y.z>]]"},
    {"or=(or(or(or(or(or(or(or(a.eq.1))))))))",
     "or [or [or [or [or [or [or [or [eq a[<1>]]]]]]]]]"},
};

static void filters_are_joined_and_negated(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
        struct cairn_buf text = {.max = 4096};
        struct cairn_view_query query;
        struct cairn_err err;
        assert_ok(read_one(trees[i].text, &query, &err), &err);
        assert_int_equal(query.filter_count, 1);
        print_filter(&query.filters[0], &text);
        assert_int_equal(cairn_buf_append_byte(&text, '\0'), CAIRN_OK);
        assert_string_equal(text.data, trees[i].read);
        cairn_buf_fini(&text);
    }
}

static void select_names_columns(void **state)
{
    (void)state;
    struct cairn_view_query query;
    struct cairn_err err;
    assert_ok(read_one("select=total,\"a.b\",key,first-name", &query, &err), &err);
    assert_int_equal(query.select_count, 4);
    assert_true(cairn_slice_is(query.select[0], "total"));
    assert_true(cairn_slice_is(query.select[1], "a.b"));
    assert_true(cairn_slice_is(query.select[3], "first-name"));
    assert_int_equal(query.filter_count, 0);
    assert_ok(read_one("total=eq.1", &query, &err), &err);
    assert_null(query.select);
    const struct cairn_http_param twice[] = {param("select=a"), param("select=b")};
    assert_int_equal(cairn_filter_read(twice, 2, &arena, &query, &err), CAIRN_EQUERY);
    assert_non_null(strstr(err.text, "\"select\" is given twice"));
}

/* name=( and count times item between commas, and ')'. */
static const char *repeat(const char *head, const char *item, size_t count)
{
    struct cairn_buf text = {.max = 1u << 16};
    struct cairn_slice copy;
    enum cairn_rc rc = cairn_buf_append_str(&text, head);
    for (size_t i = 0; i < count; i++) {
        rc = rc != CAIRN_OK ? rc : cairn_buf_printf(&text, "%s%s", i == 0 ? "" : ",", item);
    }
    rc = rc != CAIRN_OK ? rc : cairn_buf_append_byte(&text, ')');
    rc = rc != CAIRN_OK ? rc : cairn_arena_copy(&arena, cairn_buf_slice(&text), &copy);
    assert_int_equal(rc, CAIRN_OK);
    cairn_buf_fini(&text);
    return copy.data;
}

static void parts_are_counted_over_the_whole_query(void **state)
{
    (void)state;
    struct cairn_view_query query;
    struct cairn_err err;
    struct cairn_http_param two[] = {param(repeat("or=(", "a.eq.1", CAIRN_VIEW_PARTS_MAX - 1)),
                                     param("and=(b.eq.1)")};
    assert_ok(cairn_filter_read(two, 2, &arena, &query, &err), &err);
    assert_int_equal(query.filters[0].part_count, CAIRN_VIEW_PARTS_MAX - 1);
    two[1] = param("and=(b.eq.1,c.eq.1)");
    assert_int_equal(cairn_filter_read(two, 2, &arena, &query, &err), CAIRN_EQUERY);
    assert_non_null(strstr(err.text, "more than 128 filters inside of and and or"));
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

    assert_ok(read_one(repeat("a=in.(", "1", CAIRN_VIEW_VALUES_MAX), &query, &err), &err);
    assert_int_equal(query.filters[0].value_count, CAIRN_VIEW_VALUES_MAX);
    assert_int_equal(read_one(repeat("a=in.(", "1", CAIRN_VIEW_VALUES_MAX + 1), &query, &err),
                     CAIRN_EQUERY);
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
        cmocka_unit_test(filters_are_joined_and_negated),
        cmocka_unit_test(select_names_columns),
        cmocka_unit_test(parts_are_counted_over_the_whole_query),
        cmocka_unit_test(order_takes_its_last_part_as_direction),
        cmocka_unit_test(nothing_asked_is_the_first_fifty_by_key),
        cmocka_unit_test(a_column_may_be_filtered_twice_but_order_is_given_once),
        cmocka_unit_test(more_filters_or_values_than_allowed_are_refused),
    };
    return cmocka_run_group_tests_name("filter", tests, NULL, release);
}
