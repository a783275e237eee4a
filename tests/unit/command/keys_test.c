#include "command/keys.h"

#include <stdio.h>

#include "tests/support/cm.h"

static const struct cairn_slice KEY = {"key", 3};

static void another_lane_is_refused_while_a_key_is_held(void **state)
{
    (void)state;
    struct cairn_err err;
    struct cairn_keys *keys = cairn_keys_new(10);
    assert_non_null(keys);
    assert_ok(cairn_keys_acquire(keys, KEY, 1, &err), &err);
    assert_int_equal(cairn_keys_acquire(keys, KEY, 2, &err), CAIRN_EBUSY);
    assert_ok(cairn_keys_acquire(keys, CAIRN_SLICE_LIT("other"), 2, &err), &err);
    cairn_keys_release(keys, KEY, 1);
    assert_ok(cairn_keys_acquire(keys, KEY, 2, &err), &err);
    cairn_keys_release(keys, KEY, 2);
    cairn_keys_release(keys, CAIRN_SLICE_LIT("other"), 2);
    cairn_keys_free(keys);
}

static void a_key_is_free_when_every_hold_is_given_back(void **state)
{
    (void)state;
    struct cairn_err err;
    struct cairn_keys *keys = cairn_keys_new(10);
    assert_non_null(keys);
    assert_ok(cairn_keys_acquire(keys, KEY, 0, &err), &err);
    assert_ok(cairn_keys_acquire(keys, KEY, 0, &err), &err);
    cairn_keys_release(keys, KEY, 0);
    assert_int_equal(cairn_keys_acquire(keys, KEY, 1, &err), CAIRN_EBUSY);
    cairn_keys_release(keys, KEY, 0);
    assert_ok(cairn_keys_acquire(keys, KEY, 1, &err), &err);
    cairn_keys_release(keys, KEY, 1);
    cairn_keys_free(keys);
}

static void past_max_a_key_is_refused_and_nothing_changes(void **state)
{
    (void)state;
    struct cairn_err err;
    struct cairn_keys *keys = cairn_keys_new(2);
    assert_non_null(keys);
    assert_ok(cairn_keys_acquire(keys, CAIRN_SLICE_LIT("a"), 0, &err), &err);
    assert_ok(cairn_keys_acquire(keys, CAIRN_SLICE_LIT("b"), 0, &err), &err);
    assert_int_equal(cairn_keys_acquire(keys, KEY, 0, &err), CAIRN_ENOMEM);
    cairn_keys_release(keys, CAIRN_SLICE_LIT("a"), 0);
    assert_ok(cairn_keys_acquire(keys, KEY, 0, &err), &err);
    cairn_keys_release(keys, KEY, 0);
    cairn_keys_release(keys, CAIRN_SLICE_LIT("b"), 0);
    cairn_keys_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_lane_is_refused_while_a_key_is_held),
        cmocka_unit_test(a_key_is_free_when_every_hold_is_given_back),
        cmocka_unit_test(past_max_a_key_is_refused_and_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
