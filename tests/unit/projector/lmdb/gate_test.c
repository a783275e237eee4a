#include "projector/lmdb/gate.h"

#include <sched.h>
#include <stdatomic.h>

#include "tests/support/cm.h"

enum { THREADS = 4, ROUNDS = 2000 };

struct crowd {
    struct cairn_gate gate;
    atomic_int inside;
    atomic_int alone;
    atomic_bool broken; /* somebody was not alone who was to be */
};

static void *pass(void *self)
{
    struct crowd *crowd = self;
    for (int i = 0; i < ROUNDS; i++) {
        bool alone = i % 7 == 0;
        cairn_gate_enter(&crowd->gate, alone);
        int others = atomic_fetch_add(&crowd->inside, 1);
        atomic_fetch_add(&crowd->alone, alone ? 1 : 0);
        if ((alone && others > 0) || (!alone && atomic_load(&crowd->alone) > 0)) {
            atomic_store(&crowd->broken, true);
        }
        atomic_fetch_sub(&crowd->alone, alone ? 1 : 0);
        atomic_fetch_sub(&crowd->inside, 1);
        cairn_gate_leave(&crowd->gate);
    }
    return NULL;
}

static void who_is_alone_meets_nobody(void **state)
{
    (void)state;
    struct crowd crowd = {.broken = false};
    pthread_t threads[THREADS];
    struct cairn_err err;
    assert_ok(cairn_gate_init(&crowd.gate, &err), &err);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, pass, &crowd), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_false(atomic_load(&crowd.broken));
    cairn_gate_fini(&crowd.gate);
}

static void *enter_alone(void *self)
{
    struct crowd *crowd = self;
    cairn_gate_enter(&crowd->gate, true);
    atomic_fetch_add(&crowd->alone, 1);
    cairn_gate_leave(&crowd->gate);
    return NULL;
}

static void *enter(void *self)
{
    struct crowd *crowd = self;
    cairn_gate_enter(&crowd->gate, false);
    /* Whoever waited to be alone was here first. */
    atomic_store(&crowd->broken, atomic_load(&crowd->alone) == 0);
    cairn_gate_leave(&crowd->gate);
    return NULL;
}

static unsigned count_waiting(struct cairn_gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    unsigned waiting = gate->waiting;
    (void)pthread_mutex_unlock(&gate->lock);
    return waiting;
}

static void who_comes_later_does_not_pass_who_waits_to_be_alone(void **state)
{
    (void)state;
    struct crowd crowd = {.broken = false};
    pthread_t threads[2];
    struct cairn_err err;
    assert_ok(cairn_gate_init(&crowd.gate, &err), &err);
    cairn_gate_enter(&crowd.gate, false);
    assert_int_equal(pthread_create(&threads[0], NULL, enter_alone, &crowd), 0);
    while (count_waiting(&crowd.gate) == 0) {
        (void)sched_yield();
    }
    assert_int_equal(pthread_create(&threads[1], NULL, enter, &crowd), 0);
    assert_int_equal(atomic_load(&crowd.alone), 0);
    cairn_gate_leave(&crowd.gate);
    assert_int_equal(pthread_join(threads[0], NULL), 0);
    assert_int_equal(pthread_join(threads[1], NULL), 0);
    assert_false(atomic_load(&crowd.broken));
    cairn_gate_fini(&crowd.gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_alone_meets_nobody),
        cmocka_unit_test(who_comes_later_does_not_pass_who_waits_to_be_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
