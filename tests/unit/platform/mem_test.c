#include "platform/mem.h"

#include <string.h>

#include "platform/fault.h"

#include "tests/support/cm.h"

static void no_bytes_are_still_a_block_of_their_own(void **state)
{
    (void)state;
    void *one = cairn_mem_alloc(0);
    void *two = cairn_mem_zalloc(0, 8);
    assert_non_null(one);
    assert_non_null(two);
    assert_ptr_not_equal(one, two);
    cairn_mem_free(one);
    cairn_mem_free(two);
    cairn_mem_free(NULL);
}

static void zalloc_zeroes_and_refuses_a_product_that_does_not_fit(void **state)
{
    (void)state;
    unsigned char *memory = cairn_mem_zalloc(100, 7);
    assert_non_null(memory);
    for (size_t i = 0; i < 700; i++) {
        assert_int_equal(memory[i], 0);
    }
    cairn_mem_free(memory);
    volatile size_t half = SIZE_MAX / 2 + 1; /* hidden from the compiler, which would warn */
    assert_null(cairn_mem_zalloc(half, 2));
}

static void strndup_copies_bytes_and_ends_them(void **state)
{
    (void)state;
    char *copy = cairn_mem_strndup("abcdef", 3);
    assert_non_null(copy);
    assert_string_equal(copy, "abc");
    cairn_mem_free(copy);
    copy = cairn_mem_strndup(NULL, 0);
    assert_non_null(copy);
    assert_string_equal(copy, "");
    cairn_mem_free(copy);
    volatile size_t all = SIZE_MAX;
    assert_null(cairn_mem_strndup("x", all));
}

static void every_door_fails_when_its_fault_is_armed_and_realloc_keeps_the_old_block(void **state)
{
    (void)state;
    skip_without_faults();
    char *block = cairn_mem_strndup("kept", 4);
    assert_non_null(block);
    cairn_fault_arm_persistent(CAIRN_FAULT_MEM, 0);
    assert_null(cairn_mem_alloc(1));
    assert_null(cairn_mem_zalloc(1, 1));
    assert_null(cairn_mem_realloc(block, 100));
    assert_null(cairn_mem_strndup("x", 1));
    cairn_fault_disarm();
    assert_string_equal(block, "kept");
    char *larger = cairn_mem_realloc(block, 100);
    assert_non_null(larger);
    assert_string_equal(larger, "kept");
    cairn_mem_free(larger);
}

static void wipe_leaves_no_byte(void **state)
{
    (void)state;
    char secret[64];
    memset(secret, 's', sizeof(secret));
    cairn_mem_wipe(secret + 1, sizeof(secret) - 2);
    assert_int_equal(secret[0], 's');
    assert_int_equal(secret[63], 's');
    for (size_t i = 1; i < 63; i++) {
        assert_int_equal(secret[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_bytes_are_still_a_block_of_their_own),
        cmocka_unit_test(zalloc_zeroes_and_refuses_a_product_that_does_not_fit),
        cmocka_unit_test(strndup_copies_bytes_and_ends_them),
        cmocka_unit_test(every_door_fails_when_its_fault_is_armed_and_realloc_keeps_the_old_block),
        cmocka_unit_test(wipe_leaves_no_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
