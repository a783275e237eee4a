#include "query/filter.h"

#include <assert.h>

#include "query/filter_int.h"

/* Parameters that are given once. */
static const char *const single[] = {"order", "limit", "cursor", "select"};

static bool is_single(struct cairn_slice name)
{
    for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++) {
        if (cairn_slice_is(name, single[i])) {
            return true;
        }
    }
    return false;
}

bool cairn_filter_is_reserved(struct cairn_slice name)
{
    return is_single(name) || cairn_filter_is_logic(name);
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
    struct cairn_slice last = dot == 0 ? text : cairn_slice_of(text.data + dot, text.size - dot);
    struct cairn_slice column = text;
    bool directed = dot > 0;
    if (directed && cairn_slice_starts(last, CAIRN_SLICE_LIT("nulls"))) {
        return CAIRN_FAIL(err, CAIRN_EQUERY,
                          "\"%.*s\" is not supported; allowed: column, column.asc, column.desc",
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

/* PostgREST renames, casts, aggregates and embeds here; views give members as they are. */
static bool is_plain_name(struct cairn_slice name)
{
    static const char others[] = "*().:>!";
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] != '\0' && strchr(others, name.data[i]) != NULL) {
            return false;
        }
    }
    return name.size > 0;
}

static bool is_selected(const struct cairn_slice *names, size_t count, struct cairn_slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (cairn_slice_equal(names[i], name)) {
            return true;
        }
    }
    return false;
}

/* One more name behind those there are. */
static enum cairn_rc read_name(struct cairn_filter_reader *reader, struct cairn_slice *names,
                               size_t count, struct cairn_err *err)
{
    struct cairn_slice name;
    bool quoted = cairn_slice_starts(reader->rest, CAIRN_SLICE_LIT("\""));
    enum cairn_rc rc = cairn_filter_element_read(reader, &name, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (name.size == 0 || (!quoted && !is_plain_name(name))) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "wants names of columns: a,b,\"c.d\"");
    }
    if (is_selected(names, count, name)) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "names \"%.*s\" twice", CAIRN_SLICE_ARG(name));
    }
    names[count] = name;
    return CAIRN_OK;
}

/* "a,b" */
static enum cairn_rc read_select(struct cairn_filter_reader *reader, struct cairn_view_query *query,
                                 struct cairn_err *err)
{
    struct cairn_slice *names = NULL;
    size_t count = 0;
    size_t cap = 0;
    do {
        if (count == CAIRN_VIEW_SELECT_MAX) {
            return CAIRN_FAIL(err, CAIRN_EQUERY, "more than %d columns", CAIRN_VIEW_SELECT_MAX);
        }
        names = cairn_filter_grow(reader->arena, names, count, &cap, sizeof(*names));
        if (names == NULL) {
            return CAIRN_FAIL(err, CAIRN_ENOMEM, "the names of columns");
        }
        enum cairn_rc rc = read_name(reader, names, count, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        count++;
    } while (cairn_filter_eat(reader, ","));
    if (reader->rest.size > 0) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "wants names of columns: a,b,\"c.d\"");
    }
    query->select = names;
    query->select_count = count;
    return CAIRN_OK;
}

static enum cairn_rc read_filter(struct cairn_filter_reader *reader, struct cairn_slice name,
                                 struct cairn_view_query *query, struct cairn_err *err)
{
    if (query->filter_count == CAIRN_VIEW_FILTERS_MAX) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "more than %d filters", CAIRN_VIEW_FILTERS_MAX);
    }
    if (name.size == 0) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "a parameter without a name");
    }
    struct cairn_view_filter filter = {.op = CAIRN_OP_EQ};
    bool joined = cairn_filter_is_logic(name);
    enum cairn_rc rc = joined ? cairn_filter_tree_read(reader, name, &filter, err)
                              : cairn_filter_test_read(reader, &filter, err);
    if (rc == CAIRN_OK) {
        filter.column = joined ? CAIRN_SLICE_NONE : name;
        query->filters[query->filter_count++] = filter;
    }
    return rc;
}

static enum cairn_rc read_param(struct cairn_filter_reader *reader, struct cairn_slice name,
                                struct cairn_view_query *query, struct cairn_err *err)
{
    if (cairn_slice_is(name, "order")) {
        return read_order(reader->rest, query, err);
    }
    if (cairn_slice_is(name, "limit")) {
        return read_limit(reader->rest, query, err);
    }
    if (cairn_slice_is(name, "select")) {
        return read_select(reader, query, err);
    }
    if (cairn_slice_is(name, "cursor")) {
        query->cursor = reader->rest;
        return CAIRN_OK;
    }
    return read_filter(reader, name, query, err);
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
    struct cairn_filter_reader reader = {.arena = arena};
    for (size_t i = 0; i < count; i++) {
        if (is_single(params[i].name) && occurs_before(params, i)) {
            return CAIRN_FAIL(err, CAIRN_EQUERY, "parameter \"%.*s\" is given twice",
                              CAIRN_SLICE_ARG(params[i].name));
        }
        reader.rest = params[i].value;
        enum cairn_rc rc = read_param(&reader, params[i].name, &query, err);
        if (rc != CAIRN_OK) {
            return cairn_err_wrap(err, rc, "\"%.*s\"", CAIRN_SLICE_ARG(params[i].name));
        }
    }
    assert(query.limit >= 1 && query.limit <= CAIRN_VIEW_LIMIT_MAX);
    *ret_query = query;
    return CAIRN_OK;
}
