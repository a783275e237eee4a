#include "projector/parked.h"

#include <stdio.h>

#include "platform/fault.h"

#include "tests/support/cm.h"

static bool has(const struct cairn_parked_set *set, const char *stream, uint64_t version)
{
    const struct cairn_event event = {.stream = cairn_slice_str(stream), .version = version};
    return cairn_parked_has(set, &event);
}

static void put(struct cairn_parked_set *set, const char *stream, uint64_t version,
                uint64_t until_version)
{
    struct cairn_err err;
    assert_ok(cairn_parked_put(set, cairn_slice_str(stream), version, until_version, &err), &err);
}

static void an_empty_set_leaves_nothing_out(void **state)
{
    struct cairn_parked_set set;
    (void)state;
    cairn_parked_init(&set);
    assert_false(has(&set, "box-a", 1));
    cairn_parked_fini(&set);
    assert_false(has(&set, "box-a", 1));
}

static void a_stream_that_waits_is_left_out_from_its_version_on(void **state)
{
    struct cairn_parked_set set;
    (void)state;
    cairn_parked_init(&set);
    put(&set, "box-a", 5, 0);
    assert_false(has(&set, "box-a", 4));
    assert_true(has(&set, "box-a", 5));
    assert_true(has(&set, "box-a", UINT64_MAX));
    assert_false(has(&set, "box-b", 5));
    assert_false(has(&set, "box-", 5));
    assert_int_equal(set.waiting, 1);
    cairn_parked_fini(&set);
}

static void a_stream_may_have_several_gaps_and_wait_too(void **state)
{
    struct cairn_parked_set set;
    (void)state;
    cairn_parked_init(&set);
    put(&set, "box-a", 2, 3);
    put(&set, "box-a", 6, 6);
    put(&set, "box-a", 9, 0);
    static const bool left_out[] = {[2] = true, [3] = true, [6] = true, [9] = true, [10] = true};
    for (uint64_t version = 1; version < sizeof left_out; version++) {
        assert_int_equal(has(&set, "box-a", version), left_out[version]);
    }
    assert_int_equal(set.ranges, 3);
    assert_int_equal(set.waiting, 1);
    cairn_parked_fini(&set);
}

static void giving_up_ends_the_wait_of_the_same_version(void **state)
{
    struct cairn_parked_set set;
    (void)state;
    cairn_parked_init(&set);
    put(&set, "box-a", 5, 0);
    put(&set, "box-a", 5, 0);
    assert_int_equal(set.waiting, 1);
    put(&set, "box-a", 5, 7);
    assert_int_equal(set.ranges, 1);
    assert_int_equal(set.waiting, 0);
    assert_true(has(&set, "box-a", 7));
    assert_false(has(&set, "box-a", 8));
    cairn_parked_fini(&set);
}

static void one_stream_more_than_the_most_is_refused_and_changes_nothing(void **state)
{
    struct cairn_parked_set set;
    struct cairn_err err;
    char stream[32];
    (void)state;
    cairn_parked_init(&set);
    for (int i = 0; i < CAIRN_PARKED_MAX; i++) {
        (void)snprintf(stream, sizeof stream, "box-%d", i);
        put(&set, stream, 1, 0);
    }
    assert_int_equal(cairn_parked_put(&set, CAIRN_SLICE_LIT("box-more"), 1, 0, &err),
                     CAIRN_ETOOBIG);
    assert_non_null(strstr(err.text, "10000 streams"));
    assert_false(has(&set, "box-more", 1));
    put(&set, "box-more", 1, 4); /* one that was given up does not wait */
    put(&set, "box-17", 1, 4);
    put(&set, "box-other", 1, 0);
    assert_int_equal(set.waiting, CAIRN_PARKED_MAX);
    for (int i = 0; i < CAIRN_PARKED_MAX; i++) {
        (void)snprintf(stream, sizeof stream, "box-%d", i);
        assert_int_equal(has(&set, stream, 5), i != 17);
    }
    cairn_parked_fini(&set);
}

static void memory_running_out_leaves_the_set_as_it_was(void **state)
{
    struct cairn_parked_set set;
    struct cairn_err err;
    (void)state;
    cairn_parked_init(&set);
    put(&set, "box-a", 2, 0);
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_MEM) || after == 0; after++) {
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = cairn_parked_put(
            &set, CAIRN_SLICE_LIT("box-a-name-that-lies-outside-of-the-table"), 3, 0, &err);
        bool fired = cairn_fault_fired(CAIRN_FAULT_MEM);
        assert_int_equal(rc, fired ? CAIRN_ENOMEM : CAIRN_OK);
        assert_int_equal(set.ranges, fired ? 1 : 2);
        assert_int_equal(set.waiting, fired ? 1 : 2);
        assert_int_equal(has(&set, "box-a-name-that-lies-outside-of-the-table", 3), !fired);
        assert_true(has(&set, "box-a", 2));
    }
    cairn_fault_disarm();
    cairn_parked_fini(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_set_leaves_nothing_out),
        cmocka_unit_test(a_stream_that_waits_is_left_out_from_its_version_on),
        cmocka_unit_test(a_stream_may_have_several_gaps_and_wait_too),
        cmocka_unit_test(giving_up_ends_the_wait_of_the_same_version),
        cmocka_unit_test(one_stream_more_than_the_most_is_refused_and_changes_nothing),
        cmocka_unit_test(memory_running_out_leaves_the_set_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
