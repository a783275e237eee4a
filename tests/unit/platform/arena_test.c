#include "platform/arena.h"

#include "platform/fault.h"

#include "tests/support/cm.h"

static void allocations_are_aligned_apart_and_keep_their_content(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    struct cairn_arena arena = {.max = 64 << 20};
    unsigned char *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = i * 37 % 400 + 1;
        blocks[i] = cairn_arena_alloc(&arena, size);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)(i % 251), size);
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t at = 0; at < i * 37 % 400 + 1; at++) {
            assert_int_equal(blocks[i][at], i % 251);
        }
    }
    cairn_arena_fini(&arena);
    cairn_arena_fini(&arena);
    cairn_arena_fini(NULL);
}

static void past_max_nothing_is_handed_out_until_reset(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = 1000};
    assert_null(cairn_arena_alloc(&arena, 1001));
    assert_non_null(cairn_arena_alloc(&arena, 992));
    assert_null(cairn_arena_alloc(&arena, 16));
    assert_non_null(cairn_arena_alloc(&arena, 8));
    assert_null(cairn_arena_alloc(&arena, 1));
    assert_null(cairn_arena_alloc(&arena, SIZE_MAX));
    cairn_arena_reset(&arena);
    assert_non_null(cairn_arena_alloc(&arena, 1000));
    cairn_arena_fini(&arena);
    struct cairn_arena boundless = {.max = SIZE_MAX};
    assert_null(cairn_arena_alloc(&boundless, SIZE_MAX - 4));
    assert_null(cairn_arena_alloc(&boundless, SIZE_MAX - 40));
    assert_null(cairn_arena_zalloc(&boundless, SIZE_MAX / 2, 3));
    cairn_arena_fini(&boundless);
}

static void a_reused_arena_stops_touching_the_heap(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = 1 << 20};
    assert_non_null(cairn_arena_alloc(&arena, 100));
    cairn_arena_reset(&arena);
    cairn_fault_arm_persistent(CAIRN_FAULT_MEM, 0);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 100; i++) {
            assert_non_null(cairn_arena_alloc(&arena, 100));
        }
        cairn_arena_reset(&arena);
    }
    assert_false(cairn_fault_fired(CAIRN_FAULT_MEM));
    cairn_fault_disarm();
    cairn_arena_fini(&arena);
}

static void reset_gives_a_large_first_block_back(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = 64 << 20};
    assert_non_null(cairn_arena_alloc(&arena, 32 << 20));
    cairn_arena_reset(&arena);
    assert_null(arena.first);
    assert_non_null(cairn_arena_alloc(&arena, 10));
    assert_non_null(cairn_arena_alloc(&arena, 32 << 20));
    cairn_arena_reset(&arena);
    assert_non_null(arena.first);
    cairn_arena_fini(&arena);
}

static void zalloc_zeroes_memory_that_was_used_before(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = 1 << 20};
    void *dirty = cairn_arena_alloc(&arena, 4096);
    assert_non_null(dirty);
    memset(dirty, 0xff, 4096);
    cairn_arena_reset(&arena);
    const unsigned char *clean = cairn_arena_zalloc(&arena, 64, 64);
    assert_non_null(clean);
    for (size_t i = 0; i < 4096; i++) {
        assert_int_equal(clean[i], 0);
    }
    cairn_arena_fini(&arena);
}

static void copies_and_printed_texts_end_with_nul(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = 1 << 20};
    char text[] = "hello";
    struct cairn_slice copy = CAIRN_SLICE_NONE;
    assert_int_equal(cairn_arena_copy(&arena, cairn_slice_of(text, 5), &copy), CAIRN_OK);
    text[0] = '!';
    assert_int_equal(copy.size, 5);
    assert_string_equal(copy.data, "hello");
    assert_int_equal(cairn_arena_copy(&arena, CAIRN_SLICE_NONE, &copy), CAIRN_OK);
    assert_string_equal(copy.data, "");
    const char *printed = cairn_arena_printf(&arena, "%s-%d", "account", 42);
    assert_non_null(printed);
    assert_string_equal(printed, "account-42");
    cairn_arena_fini(&arena);
}

static void without_memory_or_room_outputs_are_untouched(void **state)
{
    (void)state;
    bool fired = true;
    for (int after = 0; fired; after++) {
        struct cairn_arena arena = {.max = 1 << 20};
        struct cairn_slice copy = CAIRN_SLICE_LIT("before");
        static const char large[20000];
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        bool printed = cairn_arena_printf(&arena, "%d", 1) != NULL;
        enum cairn_rc rc = cairn_arena_copy(&arena, cairn_slice_of(large, sizeof(large)), &copy);
        fired = cairn_fault_fired(CAIRN_FAULT_MEM);
        cairn_fault_disarm();
        assert_int_equal(fired, !printed || rc != CAIRN_OK);
        assert_true(rc == CAIRN_OK ? copy.size == sizeof(large) : cairn_slice_is(copy, "before"));
        cairn_arena_fini(&arena);
    }
    struct cairn_arena small = {.max = 8};
    struct cairn_slice copy = CAIRN_SLICE_LIT("before");
    assert_int_equal(cairn_arena_copy(&small, CAIRN_SLICE_LIT("12345678"), &copy), CAIRN_ENOMEM);
    assert_true(cairn_slice_is(copy, "before"));
    cairn_arena_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_apart_and_keep_their_content),
        cmocka_unit_test(past_max_nothing_is_handed_out_until_reset),
        cmocka_unit_test(a_reused_arena_stops_touching_the_heap),
        cmocka_unit_test(reset_gives_a_large_first_block_back),
        cmocka_unit_test(zalloc_zeroes_memory_that_was_used_before),
        cmocka_unit_test(copies_and_printed_texts_end_with_nul),
        cmocka_unit_test(without_memory_or_room_outputs_are_untouched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
