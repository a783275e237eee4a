#include "projector/drive.h"

#include "tests/support/cm.h"

#define FAR 7u

/* A log of FAR events, and what a step is to do. */
struct road {
    size_t passed;
    size_t steps, max_events;
    size_t fails_at; /* step; 0: none */
    size_t patience; /* calls of cancelled that pass */
};

static enum cairn_rc step(void *self, size_t max_events, struct cairn_drive_batch *ret_batch,
                          struct cairn_err *err)
{
    struct road *road = self;
    size_t left = FAR - road->passed;
    road->max_events = max_events;
    if (++road->steps == road->fails_at) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "an event that cannot be applied");
    }
    size_t events = left < max_events ? left : max_events;
    road->passed += events;
    *ret_batch =
        (struct cairn_drive_batch){.events = events, .done = road->passed, .all = 10 * FAR};
    return CAIRN_OK;
}

static bool impatient(void *self)
{
    struct road *road = self;
    return road->patience == 0 || --road->patience == 0;
}

static void it_runs_until_a_step_finds_nothing(void **state)
{
    struct road road = {.passed = 0};
    struct cairn_drive drive;
    struct cairn_err err;
    (void)state;
    cairn_drive_init(&drive, step, &road, (struct cairn_rebuild_hooks){.self = NULL}, NULL, 0);
    assert_ok(cairn_drive_run(&drive, &err), &err);
    assert_int_equal(road.passed, FAR);
    assert_int_equal(road.steps, 2);
}

static void a_pace_makes_batches_small(void **state)
{
    struct road road = {.passed = 0};
    struct cairn_drive drive;
    struct cairn_err err;
    size_t events = 0;
    (void)state;
    cairn_drive_init(&drive, step, &road, (struct cairn_rebuild_hooks){.self = NULL}, NULL, 50);
    assert_ok(cairn_drive_step(&drive, &events, &err), &err);
    assert_int_equal(road.max_events, 5);
    assert_int_equal(events, 5);
}

static void a_step_that_fails_ends_it_there(void **state)
{
    struct road road = {.fails_at = 1};
    struct cairn_drive drive;
    struct cairn_err err;
    size_t events = 42;
    (void)state;
    cairn_drive_init(&drive, step, &road, (struct cairn_rebuild_hooks){.self = NULL}, NULL, 0);
    assert_int_equal(cairn_drive_step(&drive, &events, &err), CAIRN_EINVAL);
    assert_int_equal(events, 42);
    road = (struct road){.fails_at = 2};
    assert_int_equal(cairn_drive_run(&drive, &err), CAIRN_EINVAL);
    assert_int_equal(road.steps, 2);
}

static void one_that_is_cancelled_takes_no_step(void **state)
{
    struct road road = {.patience = 0};
    struct cairn_drive drive;
    struct cairn_err err;
    (void)state;
    cairn_drive_init(&drive, step, &road,
                     (struct cairn_rebuild_hooks){.cancelled = impatient, .self = &road}, NULL, 0);
    assert_int_equal(cairn_drive_run(&drive, &err), CAIRN_ESTOPPED);
    assert_int_equal(road.steps, 0);
    road.patience = 2;
    assert_int_equal(cairn_drive_run(&drive, &err), CAIRN_ESTOPPED);
    assert_int_equal(road.steps, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_runs_until_a_step_finds_nothing),
        cmocka_unit_test(a_pace_makes_batches_small),
        cmocka_unit_test(a_step_that_fails_ends_it_there),
        cmocka_unit_test(one_that_is_cancelled_takes_no_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
