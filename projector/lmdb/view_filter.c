#include "projector/lmdb/view_filter.h"

#include <assert.h>
#include <stdio.h>

#include "platform/json.h"
#include "projector/lmdb/view_pattern.h"

/* What a comparison of a row's value with a reading says. */
enum outcome { BELOW = 1, EQUAL = 2, ABOVE = 4, UNORDERED = 8 };

/* The outcomes that an operator holds for. */
static const unsigned holding[] = {
    [CAIRN_OP_EQ] = EQUAL, [CAIRN_OP_NEQ] = BELOW | ABOVE | UNORDERED,
    [CAIRN_OP_GT] = ABOVE, [CAIRN_OP_GTE] = ABOVE | EQUAL,
    [CAIRN_OP_LT] = BELOW, [CAIRN_OP_LTE] = BELOW | EQUAL,
    [CAIRN_OP_IN] = EQUAL,
};

/* In the order in which and takes the least and or the greatest. */
enum truth { NO, UNKNOWN, YES };

enum cairn_rc cairn_view_column_find(struct cairn_slice name,
                                     const struct cairn_view_column *columns, size_t column_count,
                                     int *ret_column, struct cairn_err *err)
{
    if (cairn_slice_is(name, "key")) {
        *ret_column = CAIRN_VIEW_COLUMN_KEY;
        return CAIRN_OK;
    }
    char known[256] = "key";
    size_t used = 3;
    for (size_t i = 0; i < column_count; i++) {
        if (cairn_slice_equal(name, columns[i].name)) {
            *ret_column = (int)i;
            return CAIRN_OK;
        }
        if (columns[i].name.size + 3 < sizeof known - used) {
            used += (size_t)snprintf(known + used, sizeof known - used, ", %.*s",
                                     CAIRN_SLICE_ARG(columns[i].name));
        }
    }
    return CAIRN_FAIL(err, CAIRN_EQUERY,
                      "the view has no index \"%.*s\"; filters and order go by: %s",
                      name.size > 64 ? 64 : (int)name.size, name.size == 0 ? "" : name.data, known);
}

/* The text as a JSON number; left as it is when it is none. JSON's reader would allow white space
 * around it, a filter does not. */
static void read_number(struct cairn_slice text, struct cairn_arena *arena,
                        struct cairn_value *number)
{
    if (text.size == 0 || (text.data[0] != '-' && (text.data[0] < '0' || text.data[0] > '9')) ||
        text.data[text.size - 1] < '0' || text.data[text.size - 1] > '9') {
        return;
    }
    struct cairn_value value;
    if (cairn_json_read(text, arena, &value, NULL, NULL) == CAIRN_OK &&
        cairn_value_is_number(&value)) {
        *number = value;
    }
}

static enum cairn_rc read_text(struct cairn_slice text, struct cairn_arena *arena,
                               struct cairn_view_reading *ret_reading)
{
    struct cairn_slice copy;
    if (cairn_arena_copy(arena, text, &copy) != CAIRN_OK) {
        return CAIRN_ENOMEM;
    }
    *ret_reading = (struct cairn_view_reading){.text = copy,
                                               .number = cairn_value_null(),
                                               .word = cairn_value_string(copy),
                                               .null = cairn_slice_is(copy, "null")};
    if (cairn_slice_is(copy, "true") || cairn_slice_is(copy, "false")) {
        ret_reading->word = cairn_value_bool(copy.data[0] == 't');
    }
    read_number(copy, arena, &ret_reading->number);
    return CAIRN_OK;
}

/* The texts of a test of one column. */
static enum cairn_rc read_texts(const struct cairn_view_filter *filter, struct cairn_arena *arena,
                                const struct cairn_view_reading **ret_readings)
{
    struct cairn_view_reading *readings =
        cairn_arena_zalloc(arena, filter->value_count, sizeof *readings);
    if (readings == NULL) {
        return CAIRN_ENOMEM;
    }
    for (size_t i = 0; i < filter->value_count; i++) {
        if (read_text(filter->values[i], arena, &readings[i]) != CAIRN_OK) {
            return CAIRN_ENOMEM;
        }
    }
    if (filter->op == CAIRN_OP_IS) {
        readings[0].null = readings[0].null || cairn_slice_is(readings[0].text, "unknown");
        assert(readings[0].null || readings[0].word.type == CAIRN_BOOL);
    }
    *ret_readings = readings;
    return CAIRN_OK;
}

static enum cairn_rc make_leaf(const struct cairn_view_filter *filter,
                               const struct cairn_view_column *columns, size_t column_count,
                               struct cairn_arena *arena, struct cairn_view_test *ret_test,
                               struct cairn_err *err)
{
    int column = 0;
    enum cairn_rc rc = cairn_view_column_find(filter->column, columns, column_count, &column, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (filter->value_count == 0 || filter->value_count > CAIRN_VIEW_VALUES_MAX ||
        (filter->op != CAIRN_OP_IN && filter->value_count != 1)) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "a filter on %.*s has %zu values",
                          CAIRN_SLICE_ARG(filter->column), filter->value_count);
    }
    struct cairn_view_test test = {.op = filter->op,
                                   .negated = filter->negated,
                                   .column = column,
                                   .name = column == CAIRN_VIEW_COLUMN_KEY ? CAIRN_SLICE_LIT("key")
                                                                           : columns[column].name,
                                   .count = filter->value_count};
    if (read_texts(filter, arena, &test.readings) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "read the filters");
    }
    *ret_test = test;
    return CAIRN_OK;
}

enum cairn_rc cairn_view_test_make(const struct cairn_view_filter *filter,
                                   const struct cairn_view_column *columns, size_t column_count,
                                   struct cairn_arena *arena, struct cairn_view_test *ret_test,
                                   struct cairn_err *err)
{
    assert(filter != NULL && ret_test != NULL);
    if (!cairn_view_is_joint(filter->op)) {
        return make_leaf(filter, columns, column_count, arena, ret_test, err);
    }
    assert(filter->part_count > 0 && filter->part_count <= CAIRN_VIEW_PARTS_MAX);
    struct cairn_view_test *parts = cairn_arena_zalloc(arena, filter->part_count, sizeof *parts);
    if (parts == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "read the filters");
    }
    for (size_t i = 0; i < filter->part_count; i++) {
        enum cairn_rc rc =
            cairn_view_test_make(&filter->parts[i], columns, column_count, arena, &parts[i], err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    *ret_test = (struct cairn_view_test){.op = filter->op,
                                         .negated = filter->negated,
                                         .parts = parts,
                                         .part_count = filter->part_count};
    return CAIRN_OK;
}

static enum outcome order_of(int comparison)
{
    return comparison < 0 ? BELOW : comparison > 0 ? ABOVE : EQUAL;
}

static bool is_absent(const struct cairn_value *value)
{
    return value == NULL || value->type == CAIRN_NULL;
}

static enum outcome compare(const struct cairn_value *value,
                            const struct cairn_view_reading *reading)
{
    if (is_absent(value)) {
        return reading->null ? EQUAL : UNORDERED;
    }
    if (value->type == CAIRN_STRING) {
        return order_of(cairn_slice_compare(cairn_value_slice(value), reading->text));
    }
    if (value->type == CAIRN_BOOL && reading->word.type == CAIRN_BOOL) {
        return order_of((int)value->as.boolean - (int)reading->word.as.boolean);
    }
    if (cairn_value_is_number(value) && reading->number.type != CAIRN_NULL) {
        return order_of(cairn_value_compare_numbers(value, &reading->number));
    }
    return UNORDERED;
}

static enum truth test_comparison(const struct cairn_view_test *test,
                                  const struct cairn_value *value)
{
    bool names_null = false;
    for (size_t i = 0; i < test->count; i++) {
        if ((holding[test->op] & compare(value, &test->readings[i])) != 0) {
            return YES;
        }
        names_null = names_null || test->readings[i].null;
    }
    return is_absent(value) && !names_null ? UNKNOWN : NO;
}

static enum truth test_pattern(const struct cairn_view_test *test, const struct cairn_value *value)
{
    if (is_absent(value)) {
        return UNKNOWN;
    }
    bool matches = value->type == CAIRN_STRING &&
                   cairn_view_pattern_match(test->readings[0].text, cairn_value_slice(value));
    return matches ? YES : NO;
}

static enum truth test_word(const struct cairn_view_test *test, const struct cairn_value *value)
{
    const struct cairn_view_reading *wanted = &test->readings[0];
    if (wanted->null) {
        return is_absent(value) ? YES : NO;
    }
    bool same =
        value != NULL && value->type == CAIRN_BOOL && value->as.boolean == wanted->word.as.boolean;
    return same ? YES : NO;
}

static enum truth test_column(const struct cairn_view_test *test, struct cairn_slice key,
                              const struct cairn_value *document)
{
    struct cairn_value text = cairn_value_string(key);
    const struct cairn_value *value =
        test->column == CAIRN_VIEW_COLUMN_KEY ? &text : cairn_value_get(document, test->name);
    if (test->op == CAIRN_OP_LIKE) {
        return test_pattern(test, value);
    }
    return test->op == CAIRN_OP_IS ? test_word(test, value) : test_comparison(test, value);
}

static enum truth join(enum cairn_view_operator op, enum truth a, enum truth b)
{
    return (op == CAIRN_OP_AND) == (a < b) ? a : b;
}

static enum truth test_node(const struct cairn_view_test *test, struct cairn_slice key,
                            const struct cairn_value *document)
{
    enum truth settled = test->op == CAIRN_OP_AND ? NO : YES;
    enum truth truth = (enum truth)(YES - settled);
    if (!cairn_view_is_joint(test->op)) {
        truth = test_column(test, key, document);
    }
    for (size_t i = 0; i < test->part_count && truth != settled; i++) {
        truth = join(test->op, truth, test_node(&test->parts[i], key, document));
    }
    return test->negated ? (enum truth)(YES - truth) : truth;
}

bool cairn_view_test_row(const struct cairn_view_test *test, struct cairn_slice key,
                         const struct cairn_value *document)
{
    return test_node(test, key, document) == YES;
}
