#include "platform/map.h"

#include <stdio.h>
#include <stdlib.h>

#include "platform/fault.h"

#include "tests/support/cm.h"

/* xorshift64*, so that a seed names a run. */
static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * UINT64_C(0x2545f4914f6cdd1d);
}

/* The key of a number; every third is longer than what lies in the entry itself. */
static struct cairn_slice key_of(uint64_t number, char out[80])
{
    int size = snprintf(out, 80, "%s%llu", number % 3 == 0 ? "longer-than-an-entry-holds-" : "k",
                        (unsigned long long)number);
    return cairn_slice_of(out, (size_t)size);
}

static uint64_t put_ok(struct cairn_map *map, struct cairn_slice key, uint64_t number)
{
    bool added = false;
    union cairn_map_value *value = cairn_map_put(map, key, &added);
    assert_non_null(value);
    value->number = number;
    return added ? 1 : 0;
}

static void put_then_get_finds_the_value(void **state)
{
    (void)state;
    struct cairn_map map = {.max = 100};
    assert_null(cairn_map_get(&map, CAIRN_SLICE_LIT("one")));
    assert_int_equal(put_ok(&map, CAIRN_SLICE_LIT("one"), 1), 1);
    assert_int_equal(put_ok(&map, CAIRN_SLICE_LIT("two"), 2), 1);
    assert_int_equal(put_ok(&map, CAIRN_SLICE_LIT("one"), 3), 0);
    assert_int_equal(map.count, 2);
    assert_int_equal(cairn_map_get(&map, CAIRN_SLICE_LIT("one"))->number, 3);
    assert_null(cairn_map_get(&map, CAIRN_SLICE_LIT("onet")));
    cairn_map_fini(&map);
    cairn_map_fini(&map);
}

static void a_new_value_is_zero_also_where_another_was_removed(void **state)
{
    (void)state;
    struct cairn_map map = {.max = 4};
    put_ok(&map, CAIRN_SLICE_LIT("x"), 77);
    assert_true(cairn_map_remove(&map, CAIRN_SLICE_LIT("x")));
    union cairn_map_value *value = cairn_map_put(&map, CAIRN_SLICE_LIT("x"), NULL);
    assert_non_null(value);
    assert_int_equal(value->number, 0);
    cairn_map_fini(&map);
}

static void keys_are_copied(void **state)
{
    (void)state;
    struct cairn_map map = {.max = 10};
    char text[] = "a key that the caller writes over behind our back";
    put_ok(&map, cairn_slice_of(text, sizeof(text) - 1), 5);
    put_ok(&map, cairn_slice_of(text, 3), 6);
    memset(text, '!', sizeof(text) - 1);
    assert_non_null(
        cairn_map_get(&map, CAIRN_SLICE_LIT("a key that the caller writes over behind our back")));
    assert_non_null(cairn_map_get(&map, CAIRN_SLICE_LIT("a k")));
    cairn_map_fini(&map);
}

static void keys_may_be_empty_hold_nul_bytes_and_have_any_size_at_the_inline_edge(void **state)
{
    (void)state;
    struct cairn_map map = {.max = 200};
    char zeros[64] = {0};
    for (size_t size = 0; size <= sizeof(zeros); size++) {
        assert_int_equal(put_ok(&map, cairn_slice_of(zeros, size), size), 1);
    }
    assert_int_equal(cairn_map_get(&map, CAIRN_SLICE_NONE)->number, 0);
    for (size_t size = 0; size <= sizeof(zeros); size++) {
        assert_int_equal(cairn_map_get(&map, cairn_slice_of(zeros, size))->number, size);
    }
    cairn_map_fini(&map);
}

static void put_past_max_changes_nothing(void **state)
{
    (void)state;
    struct cairn_map map = {.max = 3};
    put_ok(&map, CAIRN_SLICE_LIT("a"), 1);
    put_ok(&map, CAIRN_SLICE_LIT("b"), 2);
    put_ok(&map, CAIRN_SLICE_LIT("c"), 3);
    assert_null(cairn_map_put(&map, CAIRN_SLICE_LIT("d"), NULL));
    assert_int_equal(map.count, 3);
    assert_int_equal(put_ok(&map, CAIRN_SLICE_LIT("b"), 4), 0);
    assert_true(cairn_map_remove(&map, CAIRN_SLICE_LIT("a")));
    assert_int_equal(put_ok(&map, CAIRN_SLICE_LIT("d"), 5), 1);
    cairn_map_fini(&map);
}

enum { MODEL_KEYS = 3000, MODEL_STEPS = 200000 };

static void check_against_model(const struct cairn_map *map, const uint64_t *model)
{
    size_t wanted = 0;
    for (uint64_t i = 0; i < MODEL_KEYS; i++) {
        char text[80];
        const union cairn_map_value *value = cairn_map_get(map, key_of(i, text));
        assert_int_equal(value == NULL ? 0 : value->number, model[i]);
        wanted += model[i] != 0 ? 1 : 0;
    }
    assert_int_equal(map->count, wanted);
    size_t cursor = 0;
    size_t walked = 0;
    struct cairn_slice key;
    union cairn_map_value value;
    while (cairn_map_next(map, &cursor, &key, &value)) {
        assert_int_equal(cairn_map_get(map, key)->number, value.number);
        walked++;
    }
    assert_int_equal(walked, wanted);
}

static void random_puts_and_removes_agree_with_an_array(void **state)
{
    (void)state;
    uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);
    print_message("seed %llx\n", (unsigned long long)seed);
    static uint64_t model[MODEL_KEYS];
    memset(model, 0, sizeof(model));
    struct cairn_map map = {.max = MODEL_KEYS};
    for (uint64_t step = 1; step <= MODEL_STEPS; step++) {
        uint64_t random = next_random(&seed);
        uint64_t number = random % MODEL_KEYS;
        char text[80];
        struct cairn_slice key = key_of(number, text);
        /* Phases that fill and phases that empty, so that long runs of entries form and close. */
        bool fill = (step / 20000) % 2 == 0;
        if ((random >> 32) % 4 < (fill ? 3 : 1)) {
            assert_int_equal(put_ok(&map, key, step), model[number] == 0 ? 1 : 0);
            model[number] = step;
        } else {
            assert_int_equal(cairn_map_remove(&map, key), model[number] != 0);
            model[number] = 0;
        }
        if (step % 20000 == 0) {
            check_against_model(&map, model);
        }
    }
    cairn_map_clear(&map);
    memset(model, 0, sizeof(model));
    check_against_model(&map, model);
    cairn_map_fini(&map);
}

static void maps_with_other_seeds_walk_in_other_orders_and_hold_the_same(void **state)
{
    (void)state;
    struct cairn_map maps[2] = {{.max = 100}, {.max = 100, .seed = 12345}};
    char text[80];
    for (uint64_t i = 0; i < 100; i++) {
        put_ok(&maps[0], key_of(i, text), i);
        put_ok(&maps[1], key_of(i, text), i);
    }
    size_t cursors[2] = {0, 0};
    int moved = 0;
    for (int i = 0; i < 100; i++) {
        union cairn_map_value values[2];
        struct cairn_slice keys[2];
        assert_true(cairn_map_next(&maps[0], &cursors[0], &keys[0], &values[0]));
        assert_true(cairn_map_next(&maps[1], &cursors[1], &keys[1], &values[1]));
        assert_int_equal(cairn_map_get(&maps[0], keys[1])->number, values[1].number);
        moved += values[0].number != values[1].number ? 1 : 0;
    }
    assert_true(moved > 50);
    cairn_map_fini(&maps[0]);
    cairn_map_fini(&maps[1]);
}

static void a_put_without_memory_leaves_the_map_as_it_was(void **state)
{
    (void)state;
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_MEM) || after == 0; after++) {
        struct cairn_map map = {.max = 1000};
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        uint64_t done = 0;
        char text[80];
        while (done < 100) {
            union cairn_map_value *value = cairn_map_put(&map, key_of(done, text), NULL);
            if (value == NULL) {
                break;
            }
            value->number = done++;
        }
        assert_true(done == 100 || cairn_fault_fired(CAIRN_FAULT_MEM));
        assert_int_equal(map.count, done);
        for (uint64_t i = 0; i < 100; i++) {
            const union cairn_map_value *value = cairn_map_get(&map, key_of(i, text));
            assert_true(i < done ? value != NULL && value->number == i : value == NULL);
        }
        cairn_map_fini(&map);
    }
    cairn_fault_disarm();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_then_get_finds_the_value),
        cmocka_unit_test(a_new_value_is_zero_also_where_another_was_removed),
        cmocka_unit_test(keys_are_copied),
        cmocka_unit_test(keys_may_be_empty_hold_nul_bytes_and_have_any_size_at_the_inline_edge),
        cmocka_unit_test(put_past_max_changes_nothing),
        cmocka_unit_test(random_puts_and_removes_agree_with_an_array),
        cmocka_unit_test(maps_with_other_seeds_walk_in_other_orders_and_hold_the_same),
        cmocka_unit_test(a_put_without_memory_leaves_the_map_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
