#include "projector/pace.h"

#include "tests/support/cm.h"

/* A clock that moves on by a step at each look. */
struct hand {
    int64_t now_ns;
    int64_t step_ns;
    unsigned looks;
};

static int64_t look(void *self)
{
    struct hand *hand = self;
    hand->now_ns += hand->step_ns;
    hand->looks++;
    return hand->now_ns;
}

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
    struct hand hand = {.now_ns = 0, .step_ns = 1000000};
    const struct cairn_clock clock = {.monotonic_ns = look, .self = &hand};
    struct cairn_pace pace;
    (void)state;
    cairn_pace_init(&pace, &clock, 1000);
    hand.now_ns += INT64_C(60000000000); /* a minute of nothing */
    int64_t begun_ns = hand.now_ns;
    cairn_pace_wait(&pace, 20, NULL, NULL); /* 20 ms */
    assert_true(hand.now_ns - begun_ns >= 20000000);
    assert_true(hand.now_ns - begun_ns < 25000000);
}

static bool at_once(void *self)
{
    (void)self;
    return true;
}

static void a_cancelled_wait_ends_at_once(void **state)
{
    struct hand hand = {.now_ns = 0, .step_ns = 1};
    const struct cairn_clock clock = {.monotonic_ns = look, .self = &hand};
    struct cairn_pace pace;
    (void)state;
    cairn_pace_init(&pace, &clock, 1);
    cairn_pace_wait(&pace, 1000000, at_once, NULL);
    assert_true(hand.looks < 4);
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
