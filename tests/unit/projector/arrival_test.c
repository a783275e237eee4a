#include "projector/arrival.h"

#include "tests/unit/projector/world.h"

static bool look(struct cairn_arrival *arrival, const struct world *world, uint64_t at)
{
    const struct cairn_position position = {{at}};
    bool arrived = false;
    struct cairn_err err;
    assert_ok(cairn_arrival_look(arrival, world->store, &position, &arrived, &err), &err);
    return arrived;
}

static void the_end_of_a_quiet_log_is_reached(void **state)
{
    struct world world;
    struct cairn_arrival arrival = {.near = false};
    (void)state;
    world_make(&world);
    world_begin(&world, 1);
    assert_true(look(&arrival, &world, 0));
    arrival = (struct cairn_arrival){.near = false};
    for (int i = 0; i < 5; i++) {
        world_add(&world, "a", 1, "x", 1000);
    }
    assert_false(look(&arrival, &world, 0));
    assert_false(arrival.near);
    assert_false(look(&arrival, &world, 1000));
    assert_true(arrival.near);
    assert_false(look(&arrival, &world, 4999));
    assert_true(look(&arrival, &world, 5000));
    world_end(&world);
}

static void a_log_that_moves_on_is_not_run_after(void **state)
{
    struct world world;
    struct cairn_arrival arrival = {.near = false};
    (void)state;
    world_make(&world);
    world_begin(&world, 1);
    world_add(&world, "a", 1, "x", 1000);
    assert_false(look(&arrival, &world, 0));
    world_add(&world, "a", 1, "x", 1000);
    assert_false(look(&arrival, &world, 999));
    assert_true(look(&arrival, &world, 1000));
    world_add(&world, "a", 1, "x", 1000);
    assert_true(look(&arrival, &world, 1000));
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_of_a_quiet_log_is_reached),
        cmocka_unit_test(a_log_that_moves_on_is_not_run_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
