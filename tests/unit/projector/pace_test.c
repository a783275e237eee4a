#include "projector/pace.h"

#include "tests/support/hand_clock.h"

#include "tests/support/cm.h"

static void batches_are_a_tenth_of_a_second(void **state)
{
    struct cairn_pace pace;
    (void)state;
    cairn_pace_init(&pace, NULL, 0);
    assert_int_equal(cairn_pace_batch(&pace, 4096), 4096);
    cairn_pace_init(&pace, NULL, 1000);
    assert_int_equal(cairn_pace_batch(&pace, 4096), 100);
    cairn_pace_init(&pace, NULL, 3);
    assert_int_equal(cairn_pace_batch(&pace, 4096), 1);
    cairn_pace_init(&pace, NULL, UINT64_MAX);
    assert_int_equal(cairn_pace_batch(&pace, 4096), 4096);
}

static void events_are_waited_for_and_idle_time_is_not_saved_up(void **state)
{
    struct hand_clock hand;
    struct cairn_pace pace;
    (void)state;
    hand_clock_init(&hand);
    hand.step_ns = 1000000;
    cairn_pace_init(&pace, &hand.clock, 1000);
    hand_clock_pass(&hand, INT64_C(60000000000)); /* a minute of nothing */
    int64_t begun_ns = atomic_load(&hand.now_ns);
    cairn_pace_wait(&pace, 20, NULL, NULL); /* 20 ms */
    assert_in_range(atomic_load(&hand.now_ns) - begun_ns, 20000000, 24999999);
}

static bool at_once(void *self)
{
    (void)self;
    return true;
}

static void a_cancelled_wait_ends_at_once(void **state)
{
    struct hand_clock hand;
    struct cairn_pace pace;
    (void)state;
    hand_clock_init(&hand);
    hand.step_ns = 1;
    cairn_pace_init(&pace, &hand.clock, 1);
    cairn_pace_wait(&pace, 1000000, at_once, NULL);
    assert_true(atomic_load(&hand.looks) < 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_are_a_tenth_of_a_second),
        cmocka_unit_test(events_are_waited_for_and_idle_time_is_not_saved_up),
        cmocka_unit_test(a_cancelled_wait_ends_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
