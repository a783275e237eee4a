/* May equal rows of a fold go as one before they travel? */
#include <assert.h>

#include "schemas/sql_shape_int.h"

static bool holds_param(const struct cairn_sql_reading *reading, struct cairn_sql_span span,
                        size_t param)
{
    for (size_t i = span.begin; i < span.end; i++) {
        if (reading->tokens[i].kind == CAIRN_SQL_PARAMETER &&
            (param == SIZE_MAX ||
             cairn_sql_param_number(reading->statement, &reading->tokens[i]) == param)) {
            return true;
        }
    }
    return false;
}

bool cairn_sql_item_is_param(const struct cairn_sql_reading *reading,
                             const struct cairn_sql_item *item, size_t param)
{
    return item->value.end - item->value.begin == 1 && holds_param(reading, item->value, param);
}

/* Furthest from zero that a whole number of the type may be; 0: it is none. */
static int64_t limit_of(struct cairn_slice type)
{
    static const struct {
        const char *name;
        int64_t limit;
    } limits[] = {{"smallint", INT16_MAX}, {"integer", INT32_MAX}, {"bigint", INT64_MAX}};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (cairn_slice_is(type, limits[i].name)) {
            return limits[i].limit;
        }
    }
    return 0;
}

/* Is the parameter a whole number that columns add up, and of use nowhere else? */
static bool is_summed(const struct cairn_sql_reading *reading, size_t param)
{
    size_t sums = 0;
    for (size_t i = 0; i < reading->item_count; i++) {
        const struct cairn_sql_item *item = &reading->items[i];
        if (item->fold == CAIRN_SQL_FOLD_SUM && cairn_sql_item_is_param(reading, item, param)) {
            sums++;
        } else if (holds_param(reading, item->value, param)) {
            return false;
        }
    }
    return sums > 0 && limit_of(reading->param_types[param]) > 0;
}

static bool is_text(struct cairn_slice type)
{
    return cairn_slice_is(type, "text") || cairn_slice_is(type, "character varying");
}

/* Is the parameter a text that columns take from the last row, and of use nowhere else? Whatever
 * was in it before is of no account then, nor could it fail. */
static bool is_lasting(const struct cairn_sql_reading *reading, size_t param)
{
    size_t takers = 0;
    for (size_t i = 0; i < reading->item_count; i++) {
        const struct cairn_sql_item *item = &reading->items[i];
        if (item->fold == CAIRN_SQL_FOLD_LAST && cairn_sql_item_is_param(reading, item, param) &&
            is_text(reading->table->columns[item->column].type)) {
            takers++;
        } else if (holds_param(reading, item->value, param)) {
            return false;
        }
    }
    return takers > 0 && is_text(reading->param_types[param]);
}

/* Rows of equal parameters have equal values, so only sums tell how many they were. They go in the
 * place of the last: a first one must stay where it is, and another last one, of a value that may
 * come again before it. */
static bool may_merge(const struct cairn_sql_reading *reading, uint64_t lasting)
{
    for (size_t i = 0; i < reading->item_count; i++) {
        const struct cairn_sql_item *item = &reading->items[i];
        bool placed = item->fold == CAIRN_SQL_FOLD_FIRST || item->fold == CAIRN_SQL_FOLD_LAST;
        if (!placed || !holds_param(reading, item->value, SIZE_MAX)) {
            continue;
        }
        const struct cairn_sql_token *token = &reading->tokens[item->value.begin];
        bool lasts = token->kind == CAIRN_SQL_PARAMETER &&
                     (lasting >> cairn_sql_param_number(reading->statement, token) & 1) != 0;
        if (!lasts) {
            return false;
        }
    }
    return true;
}

void cairn_sql_fold_merge(const struct cairn_sql_reading *reading, struct cairn_sql_shape *shape)
{
    uint64_t summed = 0;
    uint64_t lasting = 0;
    int64_t least = INT64_MAX;
    static_assert(CAIRN_SQL_PARAMS_MAX <= 64, "a bit for each parameter");
    for (size_t i = 0; i < reading->statement->param_count; i++) {
        if (is_summed(reading, i)) {
            int64_t limit = limit_of(reading->param_types[i]);
            summed |= UINT64_C(1) << i;
            least = limit < least ? limit : least;
        }
        lasting |= is_lasting(reading, i) ? UINT64_C(1) << i : 0;
    }
    if (may_merge(reading, lasting)) {
        shape->merges = true;
        shape->summed = summed;
        shape->lasting = lasting;
        shape->sum_limit = least;
    }
}
