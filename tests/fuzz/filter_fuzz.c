/* A query string's filters, as a stranger may write them.
 *
 * The input is lines of name=value. Whatever comes in, reading ends in a query within its limits or
 * in CAIRN_EQUERY with a sentence. Filters that were joined are printed anew and read again: they
 * must give the same tree. */
#include "query/filter.h"

#include <assert.h>

#include "tests/fuzz/fuzz.h"

enum { PARAMS_MAX = 64, ARENA_MAX = 1 << 22 };

static size_t split(struct cairn_slice text, struct cairn_http_param params[PARAMS_MAX])
{
    size_t count = 0;
    while (text.size > 0 && count < PARAMS_MAX) {
        size_t size = cairn_slice_find(text, '\n');
        struct cairn_slice line = cairn_slice_of(text.data, size);
        size_t equals = cairn_slice_find(line, '=');
        size_t begin = equals < size ? equals + 1 : size;
        params[count].name = cairn_slice_of(line.data, equals);
        params[count].value = cairn_slice_of(line.data + begin, size - begin);
        count++;
        size_t used = size < text.size ? size + 1 : size;
        text = cairn_slice_of(text.data + used, text.size - used);
    }
    return count;
}

static size_t count_parts(const struct cairn_view_filter *filter)
{
    size_t count = filter->part_count;
    for (size_t i = 0; i < filter->part_count; i++) {
        count += count_parts(&filter->parts[i]);
    }
    return count;
}

/* A test has values and a column, a joint has parts, neither has both. */
static void check_filter(const struct cairn_view_filter *filter, size_t depth)
{
    if (filter->op == CAIRN_OP_AND || filter->op == CAIRN_OP_OR) {
        assert(depth < CAIRN_VIEW_DEPTH_MAX);
        assert(filter->part_count >= 1 && filter->value_count == 0 && filter->column.size == 0);
        for (size_t i = 0; i < filter->part_count; i++) {
            check_filter(&filter->parts[i], depth + 1);
        }
        return;
    }
    assert(filter->part_count == 0);
    assert(filter->value_count >= 1 && filter->value_count <= CAIRN_VIEW_VALUES_MAX);
    assert(filter->op == CAIRN_OP_IN || filter->value_count == 1);
    assert(depth == 0 ? !cairn_filter_is_reserved(filter->column) : filter->column.size > 0);
}

static void check_limits(const struct cairn_view_query *query)
{
    size_t parts = 0;
    assert((query->select == NULL) == (query->select_count == 0));
    assert(query->select_count <= CAIRN_VIEW_SELECT_MAX);
    assert(query->limit >= 1 && query->limit <= CAIRN_VIEW_LIMIT_MAX);
    assert(query->filter_count <= CAIRN_VIEW_FILTERS_MAX);
    for (size_t i = 0; i < query->filter_count; i++) {
        check_filter(&query->filters[i], 0);
        parts += count_parts(&query->filters[i]);
    }
    assert(parts <= CAIRN_VIEW_PARTS_MAX);
}

static void print(struct cairn_buf *out, const char *text)
{
    enum cairn_rc rc = cairn_buf_append_str(out, text);
    assert(rc == CAIRN_OK);
}

/* Between quotes, with every byte that could end an element behind a backslash. */
static void print_quoted(struct cairn_buf *out, struct cairn_slice text)
{
    enum cairn_rc rc = cairn_buf_append_byte(out, '"');
    for (size_t i = 0; rc == CAIRN_OK && i < text.size; i++) {
        char c = text.data[i];
        rc = c == '"' || c == '\\' ? cairn_buf_append_byte(out, '\\') : CAIRN_OK;
        rc = rc != CAIRN_OK ? rc : cairn_buf_append_byte(out, c);
    }
    rc = rc != CAIRN_OK ? rc : cairn_buf_append_byte(out, '"');
    assert(rc == CAIRN_OK);
}

/* A part of an and, everything in it quoted. */
static void print_filter(struct cairn_buf *out, const struct cairn_view_filter *filter)
{
    static const char *const names[] = {".eq.", ".neq.",  ".gt.", ".gte.", ".lt.", ".lte.",
                                        ".in.", ".like.", ".is.", "and",   "or"};
    bool joined = filter->part_count > 0;
    bool listed = joined || filter->op == CAIRN_OP_IN;
    print(out, filter->negated ? "not." : "");
    if (!joined) {
        print_quoted(out, filter->column);
    }
    print(out, names[filter->op]);
    print(out, listed ? "(" : "");
    for (size_t i = 0; i < filter->value_count; i++) {
        print(out, i == 0 ? "" : ",");
        print_quoted(out, filter->values[i]);
    }
    for (size_t i = 0; i < filter->part_count; i++) {
        print(out, i == 0 ? "" : ",");
        print_filter(out, &filter->parts[i]);
    }
    print(out, listed ? ")" : "");
}

static void check_equal(const struct cairn_view_filter *a, const struct cairn_view_filter *b)
{
    assert(a->op == b->op && a->negated == b->negated);
    assert(cairn_slice_equal(a->column, b->column));
    assert(a->value_count == b->value_count && a->part_count == b->part_count);
    for (size_t i = 0; i < a->value_count; i++) {
        assert(cairn_slice_equal(a->values[i], b->values[i]));
    }
    for (size_t i = 0; i < a->part_count; i++) {
        check_equal(&a->parts[i], &b->parts[i]);
    }
}

/* The filter printed as the parameter that it is, and read again. */
static void check_round_trip(const struct cairn_view_filter *filter, struct cairn_arena *arena)
{
    static const char *const names[2][2] = {{"and", "not.and"}, {"or", "not.or"}};
    struct cairn_buf text = {.max = 1 << 20};
    struct cairn_view_query again;
    struct cairn_err err;
    struct cairn_slice name = cairn_slice_str(names[filter->op == CAIRN_OP_OR][filter->negated]);
    print_filter(&text, filter);
    struct cairn_slice value = cairn_buf_slice(&text);
    struct cairn_http_param param = {
        name, cairn_slice_of(value.data + name.size, value.size - name.size)};
    enum cairn_rc rc = cairn_filter_read(&param, 1, arena, &again, &err);
    assert(rc == CAIRN_OK && again.filter_count == 1);
    check_equal(filter, &again.filters[0]);
    cairn_buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_http_param params[PARAMS_MAX];
    struct cairn_arena arena = {.max = ARENA_MAX};
    struct cairn_view_query query;
    struct cairn_err err = {0};
    if (size > 16384) {
        return 0;
    }
    size_t count = split(cairn_slice_of((const char *)data, size), params);
    enum cairn_rc rc = cairn_filter_read(params, count, &arena, &query, &err);
    if (rc != CAIRN_OK) {
        assert(rc == CAIRN_EQUERY && err.rc == rc && err.text[0] != '\0');
    } else {
        check_limits(&query);
        for (size_t i = 0; i < query.filter_count; i++) {
            if (query.filters[i].part_count > 0) {
                check_round_trip(&query.filters[i], &arena);
            }
        }
    }
    cairn_arena_fini(&arena);
    return 0;
}
