/* The order of values in a view's index, said slowly: class, then value. For tests to compare with.
 */
#ifndef CAIRN_TESTS_SUPPORT_VALUE_ORDER_H
#define CAIRN_TESTS_SUPPORT_VALUE_ORDER_H

#include "platform/value.h"

static inline int value_class(const struct cairn_value *value)
{
    switch ((int)value->type) {
    case CAIRN_BOOL:
        return value->as.boolean ? 1 : 0;
    case CAIRN_INT:
    case CAIRN_UINT:
    case CAIRN_FLOAT:
        return 2;
    case CAIRN_STRING:
        return 3;
    case CAIRN_NULL:
        return 5;
    default:
        return 4;
    }
}

/* -1, 0 or 1. */
static inline int value_order(const struct cairn_value *a, const struct cairn_value *b)
{
    int order = value_class(a) - value_class(b);
    if (order == 0 && value_class(a) == 2) {
        order = cairn_value_compare_numbers(a, b);
    } else if (order == 0 && value_class(a) == 3) {
        order = cairn_slice_compare(cairn_value_slice(a), cairn_value_slice(b));
    }
    return (order > 0) - (order < 0);
}

#endif
