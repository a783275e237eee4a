#include "projector/view_filter.h"

#include <assert.h>
#include <stdio.h>

#include "platform/json.h"

/* What a comparison of a row's value with a reading says. */
enum outcome { BELOW, EQUAL, ABOVE, UNORDERED };

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

enum cairn_rc cairn_view_test_make(const struct cairn_view_filter *filter,
                                   const struct cairn_view_column *columns, size_t column_count,
                                   struct cairn_arena *arena, struct cairn_view_test *ret_test,
                                   struct cairn_err *err)
{
    assert(filter != NULL && ret_test != NULL);
    int column = 0;
    if (filter->op > CAIRN_OP_IN || filter->negated) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "not, like, is, and, or: not of an LMDB view");
    }
    enum cairn_rc rc = cairn_view_column_find(filter->column, columns, column_count, &column, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (filter->value_count == 0 || filter->value_count > CAIRN_VIEW_VALUES_MAX ||
        (filter->op != CAIRN_OP_IN && filter->value_count != 1)) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "a filter on %.*s has %zu values",
                          CAIRN_SLICE_ARG(filter->column), filter->value_count);
    }
    struct cairn_view_reading *readings =
        cairn_arena_zalloc(arena, filter->value_count, sizeof *readings);
    for (size_t i = 0; i < filter->value_count && readings != NULL; i++) {
        if (read_text(filter->values[i], arena, &readings[i]) != CAIRN_OK) {
            readings = NULL;
        }
    }
    if (readings == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "read the filters");
    }
    *ret_test = (struct cairn_view_test){
        .column = column,
        .name = column == CAIRN_VIEW_COLUMN_KEY ? CAIRN_SLICE_LIT("key") : columns[column].name,
        .op = filter->op,
        .readings = readings,
        .count = filter->value_count};
    return CAIRN_OK;
}

static enum outcome order_of(int comparison)
{
    return comparison < 0 ? BELOW : comparison > 0 ? ABOVE : EQUAL;
}

static enum outcome compare(const struct cairn_value *value,
                            const struct cairn_view_reading *reading)
{
    if (value == NULL || value->type == CAIRN_NULL) {
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

bool cairn_view_test_value(const struct cairn_view_test *test, const struct cairn_value *value)
{
    enum outcome outcome = compare(value, &test->readings[0]);
    switch (test->op) {
    case CAIRN_OP_EQ:
        return outcome == EQUAL;
    case CAIRN_OP_NEQ:
        return outcome != EQUAL;
    case CAIRN_OP_GT:
        return outcome == ABOVE;
    case CAIRN_OP_GTE:
        return outcome == ABOVE || outcome == EQUAL;
    case CAIRN_OP_LT:
        return outcome == BELOW;
    case CAIRN_OP_LTE:
        return outcome == BELOW || outcome == EQUAL;
    case CAIRN_OP_IN:
        for (size_t i = 1; i < test->count && outcome != EQUAL; i++) {
            outcome = compare(value, &test->readings[i]);
        }
        return outcome == EQUAL;
    case CAIRN_OP_LIKE:
    case CAIRN_OP_IS:
    case CAIRN_OP_AND:
    case CAIRN_OP_OR:
        break;
    }
    assert(false && "an operator of the table");
    return false;
}

bool cairn_view_test_row(const struct cairn_view_test *test, struct cairn_slice key,
                         const struct cairn_value *document)
{
    if (test->column == CAIRN_VIEW_COLUMN_KEY) {
        struct cairn_value text = cairn_value_string(key);
        return cairn_view_test_value(test, &text);
    }
    return cairn_view_test_value(test, cairn_value_get(document, test->name));
}
