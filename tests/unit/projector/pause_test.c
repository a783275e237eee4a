#include "projector/pause.h"

#include "platform/clock.h"

#include "tests/support/cm.h"

static void pauses_double_up_to_the_longest(void **state)
{
    (void)state;
    assert_int_equal(cairn_pause_next(CAIRN_PAUSE_FIRST_MS), 2 * CAIRN_PAUSE_FIRST_MS);
    int pause_ms = CAIRN_PAUSE_FIRST_MS;
    for (int i = 0; i < 10; i++) {
        pause_ms = cairn_pause_next(pause_ms);
        assert_true(pause_ms <= CAIRN_PAUSE_MAX_MS);
    }
    assert_int_equal(pause_ms, CAIRN_PAUSE_MAX_MS);
}

static int64_t nap_ns(const atomic_bool *stopping, int timeout_ms)
{
    int64_t begun_ns = cairn_clock_monotonic_ns(cairn_clock_system());
    cairn_pause_nap(stopping, timeout_ms);
    return cairn_clock_monotonic_ns(cairn_clock_system()) - begun_ns;
}

static void a_nap_lasts_its_time_and_none_once_stopping(void **state)
{
    atomic_bool stopping = false;
    (void)state;
    assert_true(nap_ns(&stopping, 50) >= 50 * INT64_C(1000000));
    atomic_store(&stopping, true);
    assert_true(nap_ns(&stopping, 60000) < 30000 * INT64_C(1000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pauses_double_up_to_the_longest),
        cmocka_unit_test(a_nap_lasts_its_time_and_none_once_stopping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
