#include "platform/fault.h"

#include <pthread.h>
#include <stdatomic.h>

#include "tests/support/cm.h"

#ifdef CAIRN_FAULTS

static void an_unarmed_point_never_fires(void **state)
{
    (void)state;
    cairn_fault_disarm();
    for (int i = 0; i < 100; i++) {
        assert_false(cairn_fault_hit(CAIRN_FAULT_WRITE));
    }
    assert_false(cairn_fault_fired(CAIRN_FAULT_WRITE));
}

static void an_armed_point_lets_calls_pass_and_fires_once(void **state)
{
    (void)state;
    for (int after = 0; after < 5; after++) {
        cairn_fault_arm(CAIRN_FAULT_READ, after);
        for (int call = 0; call < 10; call++) {
            assert_int_equal(cairn_fault_hit(CAIRN_FAULT_READ), call == after);
            assert_int_equal(cairn_fault_fired(CAIRN_FAULT_READ), call >= after);
        }
    }
    cairn_fault_disarm();
}

static void a_persistent_fault_fires_until_disarmed(void **state)
{
    (void)state;
    cairn_fault_arm_persistent(CAIRN_FAULT_SYNC, 2);
    for (int call = 0; call < 10; call++) {
        assert_int_equal(cairn_fault_hit(CAIRN_FAULT_SYNC), call >= 2);
    }
    assert_true(cairn_fault_fired(CAIRN_FAULT_SYNC));
    cairn_fault_disarm();
    assert_false(cairn_fault_hit(CAIRN_FAULT_SYNC));
    assert_false(cairn_fault_fired(CAIRN_FAULT_SYNC));
}

static void arming_again_forgets_that_it_fired(void **state)
{
    (void)state;
    cairn_fault_arm(CAIRN_FAULT_MEM, 0);
    assert_true(cairn_fault_hit(CAIRN_FAULT_MEM));
    cairn_fault_arm(CAIRN_FAULT_MEM, 1);
    assert_false(cairn_fault_fired(CAIRN_FAULT_MEM));
    cairn_fault_disarm();
}

static void points_are_armed_each_for_itself(void **state)
{
    (void)state;
    for (int armed = 0; armed < CAIRN_FAULT_COUNT; armed++) {
        cairn_fault_disarm();
        cairn_fault_arm((enum cairn_fault)armed, 0);
        for (int other = 0; other < CAIRN_FAULT_COUNT; other++) {
            assert_int_equal(cairn_fault_hit((enum cairn_fault)other), other == armed);
        }
    }
    cairn_fault_disarm();
}

enum { HITTERS = 4, HITS_EACH = 20000 };

static void *hit(void *argument)
{
    atomic_int *fired = argument;
    for (int i = 0; i < HITS_EACH; i++) {
        if (cairn_fault_hit(CAIRN_FAULT_WRITE)) {
            (void)atomic_fetch_add(fired, 1);
        }
    }
    return NULL;
}

static void of_many_threads_one_meets_the_fault(void **state)
{
    (void)state;
    atomic_int fired = 0;
    pthread_t threads[HITTERS];
    cairn_fault_arm(CAIRN_FAULT_WRITE, HITS_EACH);
    for (int i = 0; i < HITTERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hit, &fired), 0);
    }
    for (int i = 0; i < HITTERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&fired), 1);
    cairn_fault_disarm();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unarmed_point_never_fires),
        cmocka_unit_test(an_armed_point_lets_calls_pass_and_fires_once),
        cmocka_unit_test(a_persistent_fault_fires_until_disarmed),
        cmocka_unit_test(arming_again_forgets_that_it_fired),
        cmocka_unit_test(points_are_armed_each_for_itself),
        cmocka_unit_test(of_many_threads_one_meets_the_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

/* What ships has no fault points: an armed one is not met. */
static void an_armed_point_is_not_compiled_in(void **state)
{
    (void)state;
    cairn_fault_arm_persistent(CAIRN_FAULT_MEM, 0);
    assert_false(cairn_fault_hit(CAIRN_FAULT_MEM));
    assert_false(cairn_fault_fired(CAIRN_FAULT_MEM));
    cairn_fault_disarm();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_armed_point_is_not_compiled_in)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
