/* The pool of small blocks, against a model that knows what each block holds. */
#include <stdlib.h>
#include <time.h>

#include "platform/fault.h"
#include "platform/lua_int.h"
#include "tests/sim/sim_random.h"

#include "tests/support/cm.h"

enum { BLOCKS = 400, ROUNDS = 60000, SIZE_MAX_SMALL = CAIRN_LUA_BLOCK_MAX + 100 };

struct block {
    unsigned char *memory;
    size_t size;
    unsigned char filled;
};

static void check(const struct block *block)
{
    for (size_t i = 0; i < block->size; i++) {
        assert_int_equal(block->memory[i], block->filled);
    }
}

static void blocks_keep_what_was_written_to_them(void **state)
{
    (void)state;
    uint64_t seed = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    struct cairn_sim_random random = {seed};
    struct cairn_lua_pool pool = {.count = 0};
    struct block blocks[BLOCKS] = {{0}};
    for (int round = 0; round < ROUNDS; round++) {
        struct block *block = &blocks[cairn_sim_below(&random, BLOCKS)];
        check(block);
        if (cairn_sim_chance(&random, 40)) {
            cairn_lua_pool_put(&pool, block->memory, block->size);
            *block = (struct block){0};
            continue;
        }
        size_t size = (size_t)cairn_sim_below(&random, SIZE_MAX_SMALL) + 1;
        unsigned char *moved = cairn_lua_pool_resize(&pool, block->memory, block->size, size);
        assert_non_null(moved);
        size_t kept = block->size < size ? block->size : size;
        for (size_t i = 0; i < kept; i++) {
            assert_int_equal(moved[i], block->filled);
        }
        *block = (struct block){moved, size, (unsigned char)round};
        memset(moved, block->filled, size);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        check(&blocks[i]);
        cairn_lua_pool_put(&pool, blocks[i].memory, blocks[i].size);
    }
    cairn_lua_pool_fini(&pool);
}

/* More small blocks than the chunks hold: the rest comes from the heap and goes back there. */
static void past_its_chunks_the_pool_takes_from_the_heap(void **state)
{
    (void)state;
    enum { COUNT = 60000, SIZE = 500 };
    struct cairn_lua_pool pool = {.count = 0};
    void **memory = calloc(COUNT, sizeof(*memory));
    assert_non_null(memory);
    for (size_t i = 0; i < COUNT; i++) {
        memory[i] = cairn_lua_pool_resize(&pool, NULL, 0, SIZE);
        assert_non_null(memory[i]);
        memset(memory[i], (int)(i % 251), SIZE);
    }
    assert_in_range(pool.count, 0, CAIRN_LUA_CHUNKS_MAX);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(((unsigned char *)memory[i])[SIZE - 1], i % 251);
        cairn_lua_pool_put(&pool, memory[i], SIZE);
    }
    size_t chunks = pool.count;
    cairn_lua_pool_put(&pool, cairn_lua_pool_resize(&pool, NULL, 0, SIZE), SIZE);
    assert_int_equal(pool.count, chunks);
    cairn_lua_pool_fini(&pool);
    free(memory);
}

static void a_block_outlives_a_failed_resize(void **state)
{
    skip_without_faults();
    (void)state;
    struct cairn_lua_pool pool = {.count = 0};
    unsigned char *memory = cairn_lua_pool_resize(&pool, NULL, 0, 24);
    assert_non_null(memory);
    memset(memory, 7, 24);
    cairn_fault_arm_persistent(CAIRN_FAULT_MEM, 0);
    assert_null(cairn_lua_pool_resize(&pool, memory, 24, 100000));
    assert_true(cairn_fault_fired(CAIRN_FAULT_MEM));
    cairn_fault_disarm();
    for (size_t i = 0; i < 24; i++) {
        assert_int_equal(memory[i], 7);
    }
    cairn_lua_pool_put(&pool, memory, 24);
    cairn_lua_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_keep_what_was_written_to_them),
        cmocka_unit_test(past_its_chunks_the_pool_takes_from_the_heap),
        cmocka_unit_test(a_block_outlives_a_failed_resize),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
