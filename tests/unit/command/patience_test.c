/* A budget of waiting: what uses it up, and how it is spread. */
#include "command/patience.h"

#include "tests/support/hand_clock.h"

#include "tests/support/cm.h"

#define NS_PER_MS INT64_C(1000000)

static const struct cairn_http_request REQUEST = {.begin_ns = 1};

static void an_attempt_that_takes_it_all_is_the_last(void **state)
{
    (void)state;
    struct hand_clock hand;
    hand_clock_init(&hand);
    struct cairn_patience patience = cairn_patience_of(&hand.clock, 10);
    cairn_patience_begin(&patience);
    hand_clock_pass(&hand, 9 * NS_PER_MS);
    assert_true(cairn_patience_wait(&patience, &REQUEST));
    assert_int_equal(patience.left_ns, NS_PER_MS);
    cairn_patience_begin(&patience);
    hand_clock_pass(&hand, NS_PER_MS);
    assert_false(cairn_patience_wait(&patience, &REQUEST));
}

static void what_passes_between_two_requests_counts_not(void **state)
{
    (void)state;
    struct hand_clock hand;
    hand_clock_init(&hand);
    struct cairn_patience patience = cairn_patience_of(&hand.clock, 10);
    hand_clock_pass(&hand, 100 * NS_PER_MS);
    cairn_patience_begin(&patience);
    hand_clock_pass(&hand, 4 * NS_PER_MS);
    assert_true(cairn_patience_wait(&patience, &REQUEST));
    assert_int_equal(patience.left_ns, 6 * NS_PER_MS);
}

static void pauses_double_up_to_50_ms(void **state)
{
    (void)state;
    static const int64_t wanted_ms[] = {2, 4, 8, 16, 32, 50, 50};
    struct hand_clock hand;
    hand_clock_init(&hand);
    struct cairn_patience patience = cairn_patience_of(&hand.clock, 1000);
    for (size_t i = 0; i < sizeof(wanted_ms) / sizeof(wanted_ms[0]); i++) {
        assert_int_equal(patience.pause_ns, wanted_ms[i] * NS_PER_MS);
        int64_t before_ns = cairn_clock_monotonic_ns(cairn_clock_system());
        cairn_patience_begin(&patience);
        assert_true(cairn_patience_wait(&patience, &REQUEST));
        assert_true(cairn_clock_monotonic_ns(cairn_clock_system()) - before_ns >=
                    wanted_ms[i] * NS_PER_MS);
    }
}

static void pauses_use_the_budget_up(void **state)
{
    (void)state;
    enum { BUDGET_MS = 20 };
    const struct cairn_clock *clock = cairn_clock_system();
    int64_t begin_ns = cairn_clock_monotonic_ns(clock);
    struct cairn_patience patience = cairn_patience_of(clock, BUDGET_MS);
    unsigned waits = 0;
    cairn_patience_begin(&patience);
    while (cairn_patience_wait(&patience, &REQUEST)) {
        waits++;
        cairn_patience_begin(&patience);
    }
    assert_true(waits <= 4); /* 2 + 4 + 8 and the 6 that are left; less where one took longer */
    assert_true(patience.left_ns <= 0);
    assert_true(cairn_clock_monotonic_ns(clock) - begin_ns >= BUDGET_MS * NS_PER_MS);
}

static void no_budget_waits_never(void **state)
{
    (void)state;
    struct cairn_patience patience = cairn_patience_of(cairn_clock_system(), 0);
    cairn_patience_begin(&patience);
    assert_false(cairn_patience_wait(&patience, &REQUEST));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_attempt_that_takes_it_all_is_the_last),
        cmocka_unit_test(what_passes_between_two_requests_counts_not),
        cmocka_unit_test(pauses_double_up_to_50_ms),
        cmocka_unit_test(pauses_use_the_budget_up),
        cmocka_unit_test(no_budget_waits_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
