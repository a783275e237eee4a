#include "projector/lmdb/writeset.h"

#include <stdio.h>

#include "platform/fault.h"

#include "tests/support/cm.h"

static struct cairn_slice make_key(char out[32], int number)
{
    return cairn_slice_of(out, (size_t)snprintf(out, 32, "key-%d", number));
}

static void an_entry_is_made_once_and_found_again(void **state)
{
    struct cairn_arena arena = {.max = 1u << 24};
    struct cairn_writeset set = {.count = 0};
    char key[32];
    (void)state;
    cairn_writeset_begin(&set, &arena);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5000; i++) {
            struct cairn_write *entry = NULL;
            assert_int_equal(cairn_writeset_entry(&set, make_key(key, i), &entry), CAIRN_OK);
            assert_true(cairn_slice_equal(entry->key, make_key(key, i)));
            if (round == 0) {
                assert_false(entry->dirty);
                entry->dirty = true;
                entry->value = cairn_value_int(i);
            } else {
                assert_int_equal(entry->value.as.integer, i);
            }
        }
        assert_int_equal(set.count, 5000);
    }
    cairn_writeset_fini(&set);
    cairn_arena_fini(&arena);
}

static void sorted_entries_ascend_by_key(void **state)
{
    struct cairn_arena arena = {.max = 1u << 24};
    struct cairn_writeset set = {.count = 0};
    char key[32];
    (void)state;
    cairn_writeset_begin(&set, &arena);
    for (int i = 0; i < 1000; i++) {
        struct cairn_write *entry = NULL;
        assert_int_equal(cairn_writeset_entry(&set, make_key(key, i * 7919 % 1000), &entry),
                         CAIRN_OK);
    }
    cairn_writeset_sort(&set);
    for (size_t i = 1; i < set.count; i++) {
        assert_true(cairn_slice_compare(set.entries[i - 1].key, set.entries[i].key) < 0);
    }
    cairn_writeset_fini(&set);
    cairn_arena_fini(&arena);
}

static void a_new_batch_begins_empty(void **state)
{
    struct cairn_arena arena = {.max = 1u << 24};
    struct cairn_writeset set = {.count = 0};
    struct cairn_write *entry = NULL;
    (void)state;
    cairn_writeset_begin(&set, &arena);
    assert_int_equal(cairn_writeset_entry(&set, CAIRN_SLICE_LIT("a"), &entry), CAIRN_OK);
    entry->dirty = true;
    cairn_writeset_begin(&set, &arena);
    assert_int_equal(set.count, 0);
    assert_int_equal(cairn_writeset_entry(&set, CAIRN_SLICE_LIT("a"), &entry), CAIRN_OK);
    assert_false(entry->dirty);
    assert_int_equal(entry->old_state, CAIRN_OLD_UNKNOWN);
    cairn_writeset_fini(&set);
    cairn_arena_fini(&arena);
}

static void no_memory_leaves_the_entries_that_are_there(void **state)
{
    (void)state;
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_MEM) || after == 0; after++) {
        struct cairn_arena arena = {.max = 1u << 24};
        struct cairn_writeset set = {.count = 0};
        struct cairn_write *entry = NULL;
        char key[32];
        int made = 0;
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        cairn_writeset_begin(&set, &arena);
        while (made < 600 && cairn_writeset_entry(&set, make_key(key, made), &entry) == CAIRN_OK) {
            made++;
        }
        assert_int_equal(set.count, made);
        for (int i = 0; i < made; i++) {
            assert_int_equal(cairn_writeset_entry(&set, make_key(key, i), &entry), CAIRN_OK);
        }
        assert_int_equal(set.count, made);
        cairn_writeset_fini(&set);
        cairn_arena_fini(&arena);
        if (!cairn_fault_fired(CAIRN_FAULT_MEM)) {
            assert_int_equal(made, 600);
            break;
        }
    }
    cairn_fault_disarm();
}

/* Put the number in a row, or delete it where it is below 0. */
static void change(struct cairn_writeset *set, const char *key, int64_t number)
{
    struct cairn_write *entry = NULL;
    assert_int_equal(cairn_writeset_entry(set, cairn_slice_str(key), &entry), CAIRN_OK);
    assert_int_equal(cairn_writeset_note(set, entry), CAIRN_OK);
    entry->dirty = true;
    entry->present = number >= 0;
    entry->value = cairn_value_int(number);
}

/* The row's number, -1 where there is none, -2 where the batch has not changed it. */
static int64_t look(struct cairn_writeset *set, const char *key)
{
    struct cairn_write *entry = NULL;
    assert_int_equal(cairn_writeset_entry(set, cairn_slice_str(key), &entry), CAIRN_OK);
    if (!entry->dirty) {
        return -2;
    }
    return entry->present ? entry->value.as.integer : -1;
}

static void a_command_is_undone_and_those_before_it_stay(void **state)
{
    struct cairn_arena arena = {.max = 1u << 24};
    struct cairn_writeset set = {.count = 0};
    char key[32];
    (void)state;
    cairn_writeset_begin(&set, &arena);
    change(&set, "a", 1);
    change(&set, "b", 2);
    change(&set, "gone", 3);
    cairn_writeset_mark(&set);
    change(&set, "a", 10);
    change(&set, "a", 11);
    change(&set, "gone", -1);
    for (int i = 0; i < 1000; i++) { /* the entries move while they are noted */
        (void)snprintf(key, sizeof key, "new-%d", i);
        change(&set, key, i);
    }
    for (int round = 0; round < 2; round++) { /* to undo twice is to undo once */
        cairn_writeset_undo(&set);
        assert_int_equal(look(&set, "a"), 1);
        assert_int_equal(look(&set, "b"), 2);
        assert_int_equal(look(&set, "gone"), 3);
        assert_int_equal(look(&set, "new-999"), -2);
    }
    change(&set, "a", 12);
    cairn_writeset_undo(&set);
    assert_int_equal(look(&set, "a"), 1);
    cairn_writeset_fini(&set);
    cairn_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_is_made_once_and_found_again),
        cmocka_unit_test(sorted_entries_ascend_by_key),
        cmocka_unit_test(a_new_batch_begins_empty),
        cmocka_unit_test(no_memory_leaves_the_entries_that_are_there),
        cmocka_unit_test(a_command_is_undone_and_those_before_it_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
