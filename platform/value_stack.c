#include "platform/value_stack.h"

#include <assert.h>

#include "platform/hash.h"
#include "platform/mem.h"

/* Up to here comparing every pair is quicker than sorting. */
enum { PAIRWISE_MAX = 24 };

static_assert(sizeof(struct cairn_member) == 2 * sizeof(struct cairn_value),
              "a member is two values in a row, as they lie on the stack");

struct key_rank {
    uint64_t hash;
    const struct cairn_member *member;
};

void cairn_value_stack_init(struct cairn_value_stack *stack)
{
    assert(stack != NULL);
    stack->values = stack->inline_values;
    stack->count = 0;
    stack->cap = CAIRN_VALUE_STACK_INLINE;
}

void cairn_value_stack_fini(struct cairn_value_stack *stack)
{
    if (stack == NULL) {
        return;
    }
    if (stack->values != stack->inline_values) {
        cairn_mem_free(stack->values);
    }
    cairn_value_stack_init(stack);
}

bool cairn_value_stack_grow(struct cairn_value_stack *stack)
{
    assert(stack->count == stack->cap);
    if (stack->cap > UINT32_MAX / 2) {
        return false;
    }
    uint32_t cap = stack->cap * 2;
    bool is_inline = stack->values == stack->inline_values;
    struct cairn_value *values =
        cairn_mem_realloc(is_inline ? NULL : stack->values, cap * sizeof(*values));
    if (values == NULL) {
        return false;
    }
    if (is_inline) {
        memcpy(values, stack->inline_values, sizeof(stack->inline_values));
    }
    stack->values = values;
    stack->cap = cap;
    return true;
}

/* Move what lies above `from` into the arena; *ret_moved is NULL when there is nothing. */
static enum cairn_rc move(struct cairn_value_stack *stack, uint32_t from, struct cairn_arena *arena,
                          const void **ret_moved)
{
    assert(from <= stack->count);
    size_t size = (stack->count - from) * sizeof(struct cairn_value);
    void *moved = NULL;
    if (size > 0) {
        moved = cairn_arena_alloc(arena, size);
        if (moved == NULL) {
            return CAIRN_ENOMEM;
        }
        memcpy(moved, stack->values + from, size);
    }
    *ret_moved = moved;
    return CAIRN_OK;
}

static enum cairn_rc replace(struct cairn_value_stack *stack, uint32_t from,
                             struct cairn_value container)
{
    stack->count = from;
    struct cairn_value *top = cairn_value_stack_push(stack);
    if (top == NULL) {
        return CAIRN_ENOMEM;
    }
    *top = container;
    return CAIRN_OK;
}

enum cairn_rc cairn_value_stack_close_array(struct cairn_value_stack *stack, uint32_t from,
                                            struct cairn_arena *arena)
{
    uint32_t count = stack->count - from;
    const void *items = NULL;
    enum cairn_rc rc = move(stack, from, arena, &items);
    if (rc != CAIRN_OK) {
        return rc;
    }
    return replace(
        stack, from,
        (struct cairn_value){.type = CAIRN_ARRAY, .count = count, .as = {.items = items}});
}

enum cairn_rc cairn_value_stack_close_map(struct cairn_value_stack *stack, uint32_t from,
                                          struct cairn_arena *arena)
{
    assert((stack->count - from) % 2 == 0);
    uint32_t count = (stack->count - from) / 2;
    const void *members = NULL;
    enum cairn_rc rc = move(stack, from, arena, &members);
    if (rc != CAIRN_OK) {
        return rc;
    }
    return replace(
        stack, from,
        (struct cairn_value){.type = CAIRN_MAP, .count = count, .as = {.members = members}});
}

static bool same_key(const struct cairn_value *a, const struct cairn_value *b)
{
    return a->count == b->count && a->type == CAIRN_STRING && b->type == CAIRN_STRING &&
           memcmp(a->as.bytes, b->as.bytes, a->count) == 0;
}

static uint32_t find_pairwise(const struct cairn_member *members, uint32_t count)
{
    for (uint32_t later = 1; later < count; later++) {
        for (uint32_t earlier = 0; earlier < later; earlier++) {
            if (same_key(&members[earlier].key, &members[later].key)) {
                return later;
            }
        }
    }
    return count;
}

/* By hash, then by bytes, then by place: colliding hashes cost a string compare, no more. */
static bool ranks_before(const struct key_rank *a, const struct key_rank *b)
{
    if (a->hash != b->hash) {
        return a->hash < b->hash;
    }
    int order =
        cairn_slice_compare(cairn_value_slice(&a->member->key), cairn_value_slice(&b->member->key));
    return order != 0 ? order < 0 : a->member < b->member;
}

static void sift_down(struct key_rank *ranks, uint32_t root, uint32_t count)
{
    struct key_rank moving = ranks[root];
    for (;;) {
        uint32_t child = 2 * root + 1;
        if (child >= count) {
            break;
        }
        if (child + 1 < count && ranks_before(&ranks[child], &ranks[child + 1])) {
            child++;
        }
        if (!ranks_before(&moving, &ranks[child])) {
            break;
        }
        ranks[root] = ranks[child];
        root = child;
    }
    ranks[root] = moving;
}

/* Heapsort: n log n whatever the input is, in place. */
static void sort(struct key_rank *ranks, uint32_t count)
{
    for (uint32_t root = count / 2; root > 0; root--) {
        sift_down(ranks, root - 1, count);
    }
    for (uint32_t end = count; end > 1; end--) {
        struct key_rank largest = ranks[0];
        ranks[0] = ranks[end - 1];
        ranks[end - 1] = largest;
        sift_down(ranks, 0, end - 1);
    }
}

enum cairn_rc cairn_value_find_duplicate(const struct cairn_member *members, uint32_t count,
                                         uint32_t *ret_index)
{
    assert(members != NULL || count == 0);
    if (count <= PAIRWISE_MAX) {
        *ret_index = find_pairwise(members, count);
        return CAIRN_OK;
    }
    struct key_rank *ranks = cairn_mem_alloc(count * sizeof(*ranks));
    if (ranks == NULL) {
        return CAIRN_ENOMEM;
    }
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (members[i].key.type == CAIRN_STRING) {
            ranks[used++] =
                (struct key_rank){cairn_hash64(cairn_value_slice(&members[i].key)), &members[i]};
        }
    }
    sort(ranks, used);
    uint32_t found = count;
    for (uint32_t i = 1; i < used; i++) {
        uint32_t index = (uint32_t)(ranks[i].member - members);
        if (same_key(&ranks[i - 1].member->key, &ranks[i].member->key) && index < found) {
            found = index;
        }
    }
    cairn_mem_free(ranks);
    *ret_index = found;
    return CAIRN_OK;
}
