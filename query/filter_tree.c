/* One test of a column, and tests joined by and and or. */
#include <assert.h>

#include "query/filter_int.h"

/* Longest part of a column's name that an error repeats. */
#define NAME_SHOWN_MAX 64

struct operator_row {
    const char *name;
    enum cairn_view_operator op;
};

static const struct operator_row operators[] = {
    {"eq", CAIRN_OP_EQ},   {"neq", CAIRN_OP_NEQ},   {"gt", CAIRN_OP_GT},
    {"gte", CAIRN_OP_GTE}, {"lt", CAIRN_OP_LT},     {"lte", CAIRN_OP_LTE},
    {"in", CAIRN_OP_IN},   {"like", CAIRN_OP_LIKE}, {"is", CAIRN_OP_IS},
};

#define OPERATORS_TEXT "eq, neq, gt, gte, lt, lte, in, like, is, and not. before one"

/* PostgREST knows these, views do not. */
static const char *const unsupported[] = {
    "isdistinct", "ilike", "match", "imatch", "fts", "plfts", "phfts", "wfts",
    "cs",         "cd",    "ov",    "sl",     "sr",  "nxr",   "nxl",   "adj",
};

static const struct {
    const char *name;
    enum cairn_view_operator op;
    bool negated;
} logic[] = {
    {"and", CAIRN_OP_AND, false},
    {"or", CAIRN_OP_OR, false},
    {"not.and", CAIRN_OP_AND, true},
    {"not.or", CAIRN_OP_OR, true},
};

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

bool cairn_filter_is_logic(struct cairn_slice name)
{
    for (size_t i = 0; i < COUNT_OF(logic); i++) {
        if (cairn_slice_is(name, logic[i].name)) {
            return true;
        }
    }
    return false;
}

static enum cairn_rc find_operator(struct cairn_slice name, enum cairn_view_operator *ret_op,
                                   struct cairn_err *err)
{
    for (size_t i = 0; i < COUNT_OF(operators); i++) {
        if (cairn_slice_is(name, operators[i].name)) {
            *ret_op = operators[i].op;
            return CAIRN_OK;
        }
    }
    for (size_t i = 0; i < COUNT_OF(unsupported); i++) {
        if (cairn_slice_is(name, unsupported[i])) {
            return CAIRN_FAIL(err, CAIRN_EQUERY, "operator \"%s\" is not supported; allowed: %s",
                              unsupported[i], OPERATORS_TEXT);
        }
    }
    return CAIRN_FAIL(err, CAIRN_EQUERY, "unknown operator \"%.*s\"; allowed: %s",
                      name.size > NAME_SHOWN_MAX ? NAME_SHOWN_MAX : (int)name.size, name.data,
                      OPERATORS_TEXT);
}

/* Cut off the front what stands before the next dot; false when ',' or ')' comes first, or the end.
 */
static bool eat_name(struct cairn_filter_reader *reader, struct cairn_slice *ret_name)
{
    struct cairn_slice text = reader->rest;
    size_t size = 0;
    while (size < text.size && text.data[size] != '.' && text.data[size] != ',' &&
           text.data[size] != ')') {
        size++;
    }
    if (size == text.size || text.data[size] != '.') {
        return false;
    }
    *ret_name = cairn_slice_of(text.data, size);
    reader->rest = cairn_slice_of(text.data + size + 1, text.size - size - 1);
    return true;
}

/* "not.eq." */
static enum cairn_rc read_operator(struct cairn_filter_reader *reader,
                                   struct cairn_view_filter *filter, struct cairn_err *err)
{
    struct cairn_slice name;
    if (cairn_filter_eat(reader, "not.")) {
        filter->negated = !filter->negated;
    }
    if (!eat_name(reader, &name)) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "wants operator.value, operator one of %s",
                          OPERATORS_TEXT);
    }
    return find_operator(name, &filter->op, err);
}

static enum cairn_rc set_value(struct cairn_filter_reader *reader, struct cairn_slice text,
                               struct cairn_view_filter *filter, struct cairn_err *err)
{
    static const char *const words[] = {"null", "true", "false", "unknown"};
    bool known = filter->op != CAIRN_OP_IS;
    for (size_t i = 0; i < COUNT_OF(words) && !known; i++) {
        known = cairn_slice_is(text, words[i]);
    }
    if (!known) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "is wants null, true, false or unknown");
    }
    struct cairn_slice *value = cairn_arena_zalloc(reader->arena, 1, sizeof(*value));
    if (value == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a filter");
    }
    *value = text;
    filter->values = value;
    filter->value_count = 1;
    return CAIRN_OK;
}

enum cairn_rc cairn_filter_test_read(struct cairn_filter_reader *reader,
                                     struct cairn_view_filter *filter, struct cairn_err *err)
{
    enum cairn_rc rc = read_operator(reader, filter, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (filter->op != CAIRN_OP_IN) {
        return set_value(reader, reader->rest, filter, err);
    }
    rc = cairn_filter_list_read(reader, filter, err);
    if (rc == CAIRN_OK && reader->rest.size > 0) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "text behind the list's ')'");
    }
    return rc;
}

/* Inside of and and or a value ends where its element does, and quotes take it whole. */
static enum cairn_rc read_value(struct cairn_filter_reader *reader,
                                struct cairn_view_filter *filter, struct cairn_err *err)
{
    if (filter->op == CAIRN_OP_IN) {
        return cairn_filter_list_read(reader, filter, err);
    }
    struct cairn_slice text;
    enum cairn_rc rc = cairn_filter_element_read(reader, &text, err);
    return rc == CAIRN_OK ? set_value(reader, text, filter, err) : rc;
}

/* "total." or "\"a.b\"." */
static enum cairn_rc read_column(struct cairn_filter_reader *reader,
                                 struct cairn_view_filter *filter, struct cairn_err *err)
{
    struct cairn_slice name = CAIRN_SLICE_NONE;
    bool found = false;
    if (cairn_filter_eat(reader, "\"")) {
        enum cairn_rc rc = cairn_filter_quoted_read(reader, &name, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        found = cairn_filter_eat(reader, ".");
    } else {
        found = eat_name(reader, &name);
    }
    if (!found || name.size == 0) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "wants column.operator.value, and(...) or or(...)");
    }
    filter->column = name;
    return CAIRN_OK;
}

static enum cairn_rc read_test(struct cairn_filter_reader *reader, struct cairn_view_filter *filter,
                               struct cairn_err *err)
{
    enum cairn_rc rc = read_column(reader, filter, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = read_operator(reader, filter, err);
    rc = rc == CAIRN_OK ? read_value(reader, filter, err) : rc;
    if (rc == CAIRN_OK) {
        return rc;
    }
    return cairn_err_wrap(err, rc, "\"%.*s\"",
                          filter->column.size > NAME_SHOWN_MAX ? NAME_SHOWN_MAX
                                                               : (int)filter->column.size,
                          filter->column.data);
}

static enum cairn_rc read_parts(struct cairn_filter_reader *reader, size_t depth,
                                struct cairn_view_filter *filter, struct cairn_err *err);

/* One part of an and or an or. A column that is called "not" is written in quotes. */
static enum cairn_rc read_part(struct cairn_filter_reader *reader, size_t depth,
                               struct cairn_view_filter *filter, struct cairn_err *err)
{
    filter->negated = cairn_filter_eat(reader, "not.");
    bool joined = true;
    if (cairn_filter_eat(reader, "and(")) {
        filter->op = CAIRN_OP_AND;
    } else if (cairn_filter_eat(reader, "or(")) {
        filter->op = CAIRN_OP_OR;
    } else {
        joined = false;
    }
    return joined ? read_parts(reader, depth + 1, filter, err) : read_test(reader, filter, err);
}

/* Starts behind the opening parenthesis, ends behind the closing one. */
static enum cairn_rc read_parts(struct cairn_filter_reader *reader, size_t depth,
                                struct cairn_view_filter *filter, struct cairn_err *err)
{
    struct cairn_view_filter *parts = NULL;
    size_t count = 0;
    size_t cap = 0;
    if (depth > CAIRN_VIEW_DEPTH_MAX) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "and and or are nested more than %d deep",
                          CAIRN_VIEW_DEPTH_MAX);
    }
    do {
        if (reader->parts == CAIRN_VIEW_PARTS_MAX) {
            return CAIRN_FAIL(err, CAIRN_EQUERY, "more than %d filters inside of and and or",
                              CAIRN_VIEW_PARTS_MAX);
        }
        reader->parts++;
        parts = cairn_filter_grow(reader->arena, parts, count, &cap, sizeof(*parts));
        if (parts == NULL) {
            return CAIRN_FAIL(err, CAIRN_ENOMEM, "a filter");
        }
        enum cairn_rc rc = read_part(reader, depth, &parts[count], err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        count++;
    } while (cairn_filter_eat(reader, ","));
    if (!cairn_filter_eat(reader, ")")) {
        return CAIRN_FAIL(err, CAIRN_EQUERY,
                          reader->rest.size == 0 ? "a list of filters has no closing ')'"
                                                 : "filters are separated by ','");
    }
    filter->parts = parts;
    filter->part_count = count;
    return CAIRN_OK;
}

enum cairn_rc cairn_filter_tree_read(struct cairn_filter_reader *reader, struct cairn_slice name,
                                     struct cairn_view_filter *filter, struct cairn_err *err)
{
    assert(cairn_filter_is_logic(name));
    for (size_t i = 0; i < COUNT_OF(logic); i++) {
        if (cairn_slice_is(name, logic[i].name)) {
            filter->op = logic[i].op;
            filter->negated = logic[i].negated;
        }
    }
    if (!cairn_filter_eat(reader, "(")) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "wants a list of filters: (a.eq.1,not.b.is.null)");
    }
    enum cairn_rc rc = read_parts(reader, 1, filter, err);
    if (rc == CAIRN_OK && reader->rest.size > 0) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "text behind the last ')'");
    }
    return rc;
}
