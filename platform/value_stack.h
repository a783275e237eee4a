/* Values under construction: how a reader that learns a container's length last builds the tree.
 *
 * Finished values wait on the stack; closing a container moves its values into the arena in one
 * piece. Nothing is allocated for input that was only promised. Lives on the caller's stack and
 * reaches for the heap only beyond CAIRN_VALUE_STACK_INLINE values. thread: owner. */
#ifndef CAIRN_PLATFORM_VALUE_STACK_H
#define CAIRN_PLATFORM_VALUE_STACK_H

#include "platform/value.h"

#define CAIRN_VALUE_STACK_INLINE 96

struct cairn_value_stack {
    struct cairn_value *values; /* inline_values, or owned */
    uint32_t count;
    uint32_t cap;
    struct cairn_value inline_values[CAIRN_VALUE_STACK_INLINE];
};

void cairn_value_stack_init(struct cairn_value_stack *stack);
void cairn_value_stack_fini(struct cairn_value_stack *stack);

/* Room for more; false when memory is out. Private: cairn_value_stack_push calls it. */
CAIRN_MUST_CHECK bool cairn_value_stack_grow(struct cairn_value_stack *stack);

/* A new value on top, for the caller to fill; NULL when memory is out. Valid until the next push or
 * close. */
static inline struct cairn_value *cairn_value_stack_push(struct cairn_value_stack *stack)
{
    if (stack->count == stack->cap && !cairn_value_stack_grow(stack)) {
        return NULL;
    }
    return &stack->values[stack->count++];
}

/* Replace everything above index `from` by one array of it. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_value_stack_close_array(struct cairn_value_stack *stack,
                                                             uint32_t from,
                                                             struct cairn_arena *arena);
/* Replace everything above index `from`, which is key, value, key, value ..., by one map. ENOMEM.
 * Keys are not compared: see cairn_value_find_duplicate. */
CAIRN_MUST_CHECK enum cairn_rc cairn_value_stack_close_map(struct cairn_value_stack *stack,
                                                           uint32_t from,
                                                           struct cairn_arena *arena);

/* The lowest index of a member whose string key an earlier member has too, or `count` when there is
 * none. Keys that are no strings are left out. Linear for few members, n log n for any others, and
 * so whoever chose the keys: no input makes it quadratic. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_value_find_duplicate(const struct cairn_member *members,
                                                          uint32_t count, uint32_t *ret_index);

#endif
