#include "query/filter.h"

#include <assert.h>

struct operator_row {
    const char *name;
    enum cairn_view_operator op;
};

static const struct operator_row operators[] = {
    {"eq", CAIRN_OP_EQ}, {"neq", CAIRN_OP_NEQ}, {"gt", CAIRN_OP_GT}, {"gte", CAIRN_OP_GTE},
    {"lt", CAIRN_OP_LT}, {"lte", CAIRN_OP_LTE}, {"in", CAIRN_OP_IN},
};

#define OPERATORS_TEXT "eq, neq, gt, gte, lt, lte, in"

/* PostgREST knows these; a table of rows in key order has no way to answer them from an index. */
static const char *const unsupported[] = {
    "not",  "is", "isdistinct", "like", "ilike", "match", "imatch", "fts", "plfts", "phfts",
    "wfts", "cs", "cd",         "ov",   "sl",    "sr",    "nxr",    "nxl", "adj",
};

static const char *const logic[] = {"or", "and", "not.or", "not.and"};

static bool is_in(struct cairn_slice name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (cairn_slice_is(name, names[i])) {
            return true;
        }
    }
    return false;
}

bool cairn_filter_is_reserved(struct cairn_slice name)
{
    static const char *const reserved[] = {"order", "limit", "cursor"};
    return is_in(name, reserved, sizeof(reserved) / sizeof(reserved[0]));
}

static struct cairn_slice skip(struct cairn_slice text, size_t bytes)
{
    assert(bytes <= text.size);
    return bytes == 0 ? text : cairn_slice_of(text.data + bytes, text.size - bytes);
}

/* One element of a list, from its first byte to the ',' or ')' behind it. */
static enum cairn_rc read_plain(struct cairn_slice text, struct cairn_slice *ret_value,
                                size_t *ret_used)
{
    size_t size = 0;
    while (size < text.size && text.data[size] != ',' && text.data[size] != ')') {
        size++;
    }
    *ret_value = cairn_slice_of(text.data, size);
    *ret_used = size;
    return CAIRN_OK;
}

/* text starts behind the opening quote. */
static enum cairn_rc read_quoted(struct cairn_slice text, struct cairn_arena *arena,
                                 struct cairn_slice *ret_value, size_t *ret_used,
                                 struct cairn_err *err)
{
    size_t end = 0;
    while (end < text.size && text.data[end] != '"') {
        end += text.data[end] == '\\' ? 2 : 1;
    }
    if (end >= text.size) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "a quoted element has no closing quote");
    }
    char *value = cairn_arena_alloc(arena, end + 1);
    if (value == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a list of values");
    }
    size_t size = 0;
    for (size_t i = 0; i < end; i++) {
        i += text.data[i] == '\\' ? 1u : 0u;
        value[size++] = text.data[i];
    }
    assert(size <= end);
    *ret_value = cairn_slice_of(value, size);
    *ret_used = end + 1;
    return CAIRN_OK;
}

static enum cairn_rc read_element(struct cairn_slice text, struct cairn_arena *arena,
                                  struct cairn_slice *ret_value, size_t *ret_used,
                                  struct cairn_err *err)
{
    if (text.size == 0 || text.data[0] != '"') {
        return read_plain(text, ret_value, ret_used);
    }
    size_t used = 0;
    enum cairn_rc rc = read_quoted(skip(text, 1), arena, ret_value, &used, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    *ret_used = used + 1;
    return CAIRN_OK;
}

/* How many elements a list can have at most: its commas and one. */
static size_t count_elements(struct cairn_slice text)
{
    size_t count = 1;
    for (size_t i = 0; i < text.size; i++) {
        count += text.data[i] == ',' ? 1u : 0u;
    }
    return count;
}

/* text: "(a,b,"c,d")". */
static enum cairn_rc read_list(struct cairn_slice text, struct cairn_arena *arena,
                               struct cairn_view_filter *filter, struct cairn_err *err)
{
    if (text.size < 2 || text.data[0] != '(') {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "in wants a list: in.(a,b,\"c,d\")");
    }
    if (text.size == 2 && text.data[1] == ')') {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "the list of in is empty; in.(\"\") is empty text");
    }
    struct cairn_slice rest = skip(text, 1);
    size_t room = count_elements(rest);
    room = room > CAIRN_FILTER_VALUES_MAX ? CAIRN_FILTER_VALUES_MAX : room;
    struct cairn_slice *values = cairn_arena_zalloc(arena, room, sizeof(*values));
    if (values == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a list of values");
    }
    size_t count = 0;
    for (;;) {
        if (count == room) {
            return CAIRN_FAIL(err, CAIRN_EQUERY, "a list has more than %d elements",
                              CAIRN_FILTER_VALUES_MAX);
        }
        size_t used = 0;
        enum cairn_rc rc = read_element(rest, arena, &values[count], &used, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        count++;
        rest = skip(rest, used);
        if (rest.size == 0 || rest.data[0] != ',') {
            break;
        }
        rest = skip(rest, 1);
    }
    if (!cairn_slice_is(rest, ")")) {
        return CAIRN_FAIL(err, CAIRN_EQUERY,
                          rest.size == 0 ? "a list has no closing ')'"
                                         : "text behind a quoted element or behind the list's ')'");
    }
    filter->values = values;
    filter->value_count = count;
    return CAIRN_OK;
}

static enum cairn_rc find_operator(struct cairn_slice name, enum cairn_view_operator *ret_op,
                                   struct cairn_err *err)
{
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        if (cairn_slice_is(name, operators[i].name)) {
            *ret_op = operators[i].op;
            return CAIRN_OK;
        }
    }
    if (is_in(name, unsupported, sizeof(unsupported) / sizeof(unsupported[0]))) {
        return CAIRN_FAIL(err, CAIRN_EQUERY,
                          "operator \"%.*s\" is not supported by LMDB views; allowed: %s",
                          CAIRN_SLICE_ARG(name), OPERATORS_TEXT);
    }
    return CAIRN_FAIL(err, CAIRN_EQUERY, "unknown operator \"%.*s\"; allowed: %s",
                      CAIRN_SLICE_ARG(name), OPERATORS_TEXT);
}

static enum cairn_rc read_filter(const struct cairn_http_param *param, struct cairn_arena *arena,
                                 struct cairn_view_filter *filter, struct cairn_err *err)
{
    size_t dot = cairn_slice_find(param->value, '.');
    if (dot == param->value.size) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "wants operator.value, operator one of %s",
                          OPERATORS_TEXT);
    }
    enum cairn_rc rc = find_operator(cairn_slice_of(param->value.data, dot), &filter->op, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    filter->column = param->name;
    struct cairn_slice rest = skip(param->value, dot + 1);
    if (filter->op == CAIRN_OP_IN) {
        return read_list(rest, arena, filter, err);
    }
    struct cairn_slice *value = cairn_arena_zalloc(arena, 1, sizeof(*value));
    if (value == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a filter");
    }
    *value = rest;
    filter->values = value;
    filter->value_count = 1;
    return CAIRN_OK;
}

/* "total", "total.asc", "total.desc". A column may itself hold dots: only the last part is looked
 * at. */
static enum cairn_rc read_order(struct cairn_slice text, struct cairn_view_query *query,
                                struct cairn_err *err)
{
    if (cairn_slice_find(text, ',') != text.size) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "rows are ordered by one column, then by their key");
    }
    size_t dot = text.size;
    while (dot > 0 && text.data[dot - 1] != '.') {
        dot--;
    }
    struct cairn_slice last = skip(text, dot);
    struct cairn_slice column = text;
    bool directed = dot > 0;
    if (directed && cairn_slice_starts(last, CAIRN_SLICE_LIT("nulls"))) {
        return CAIRN_FAIL(err, CAIRN_EQUERY,
                          "\"%.*s\" is not supported by LMDB views; allowed: column, column.asc, "
                          "column.desc",
                          CAIRN_SLICE_ARG(last));
    }
    directed = directed && (cairn_slice_is(last, "asc") || cairn_slice_is(last, "desc"));
    if (directed) {
        column = cairn_slice_of(text.data, dot - 1);
    }
    if (column.size == 0) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "wants column, column.asc or column.desc");
    }
    query->order = column;
    query->descending = directed && cairn_slice_is(last, "desc");
    return CAIRN_OK;
}

static enum cairn_rc read_limit(struct cairn_slice text, struct cairn_view_query *query,
                                struct cairn_err *err)
{
    uint64_t limit = 0;
    if (cairn_slice_to_u64(text, &limit) != CAIRN_OK || limit < 1 || limit > CAIRN_VIEW_LIMIT_MAX) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "must be an integer, 1 to %d", CAIRN_VIEW_LIMIT_MAX);
    }
    query->limit = (size_t)limit;
    return CAIRN_OK;
}

static enum cairn_rc read_param(const struct cairn_http_param *param, struct cairn_arena *arena,
                                struct cairn_view_query *query, struct cairn_err *err)
{
    if (cairn_slice_is(param->name, "order")) {
        return read_order(param->value, query, err);
    }
    if (cairn_slice_is(param->name, "limit")) {
        return read_limit(param->value, query, err);
    }
    if (cairn_slice_is(param->name, "cursor")) {
        query->cursor = param->value;
        return CAIRN_OK;
    }
    if (is_in(param->name, logic, sizeof(logic) / sizeof(logic[0])) &&
        cairn_slice_starts(param->value, CAIRN_SLICE_LIT("("))) {
        return CAIRN_FAIL(err, CAIRN_EQUERY,
                          "is not supported by LMDB views; all filters must hold, and "
                          "column=in.(a,b) takes one of several values");
    }
    if (query->filter_count == CAIRN_VIEW_FILTERS_MAX) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "more than %d filters", CAIRN_VIEW_FILTERS_MAX);
    }
    enum cairn_rc rc = read_filter(param, arena, &query->filters[query->filter_count], err);
    query->filter_count += rc == CAIRN_OK ? 1u : 0u;
    return rc;
}

static bool occurs_before(const struct cairn_http_param *params, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (cairn_slice_equal(params[i].name, params[index].name)) {
            return true;
        }
    }
    return false;
}

enum cairn_rc cairn_filter_read(const struct cairn_http_param *params, size_t count,
                                struct cairn_arena *arena, struct cairn_view_query *ret_query,
                                struct cairn_err *err)
{
    assert(count == 0 || params != NULL);
    assert(arena != NULL && ret_query != NULL);
    struct cairn_view_query query = {.limit = CAIRN_VIEW_LIMIT_DEFAULT};
    for (size_t i = 0; i < count; i++) {
        if (cairn_filter_is_reserved(params[i].name) && occurs_before(params, i)) {
            return CAIRN_FAIL(err, CAIRN_EQUERY, "parameter \"%.*s\" is given twice",
                              CAIRN_SLICE_ARG(params[i].name));
        }
        enum cairn_rc rc = read_param(&params[i], arena, &query, err);
        if (rc != CAIRN_OK) {
            return cairn_err_wrap(err, rc, "\"%.*s\"", CAIRN_SLICE_ARG(params[i].name));
        }
    }
    assert(query.limit >= 1 && query.limit <= CAIRN_VIEW_LIMIT_MAX);
    *ret_query = query;
    return CAIRN_OK;
}
