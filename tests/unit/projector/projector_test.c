#include "projector/projector.h"

#include <sys/wait.h>

#include "platform/fault.h"
#include "tests/unit/projector/world.h"

static void a_view_holds_the_fold_of_the_log(void **state)
{
    struct world world;
    (void)state;
    world_make(&world);
    world_view(&world, "sums", world_sums);
    world_begin(&world, 1);
    for (int i = 0; i < 50; i++) {
        world_add(&world, i % 2 == 0 ? "a" : "b", i, i % 5 == 0 ? "five" : "rest", 1);
    }
    struct cairn_projector *projector = world_projector(&world);
    struct cairn_views *views = cairn_projector_views(projector);
    world_wait(&world, views, "sums");
    assert_int_equal(world_number(views, "sums", "five", "sum"), 225);
    assert_int_equal(world_number(views, "sums", "rest", "count"), 40);
    for (int i = 0; i < 50; i++) {
        world_add(&world, "a", 1, "late", 1);
    }
    world_wait(&world, views, "sums");
    assert_int_equal(world_number(views, "sums", "late", "count"), 50);
    cairn_projector_stop(projector);
    world_end(&world);
}

static void a_restart_goes_on_at_the_checkpoint(void **state)
{
    struct world world;
    struct cairn_arena arena = {.max = 1u << 20};
    (void)state;
    world_make(&world);
    world_view(&world, "sums", world_sums);
    world_begin(&world, 3);
    for (int round = 1; round <= 3; round++) {
        struct cairn_projector *projector = world_projector(&world);
        struct cairn_views *views = cairn_projector_views(projector);
        for (int i = 0; i < 30; i++) {
            char id[8];
            (void)snprintf(id, sizeof id, "s%d", i);
            world_add(&world, id, 1, "all", 1);
        }
        world_wait(&world, views, "sums");
        assert_int_equal(world_number(views, "sums", "all", "count"), 30 * round);
        struct cairn_view_status status = world_status(views, "sums", &arena);
        assert_int_equal(status.generation, 1);
        assert_int_equal(status.rows, 1);
        cairn_projector_stop(projector);
    }
    cairn_arena_fini(&arena);
    world_end(&world);
}

static void a_second_projector_is_refused(void **state)
{
    struct world world;
    struct cairn_projector *second = NULL;
    struct cairn_err err;
    (void)state;
    world_make(&world);
    world_view(&world, "sums", world_sums);
    world_begin(&world, 1);
    struct cairn_projector *projector = world_projector(&world);
    const struct cairn_projector_options options = world_options(&world);
    assert_int_equal(cairn_projector_start(&options, &second, &err), CAIRN_ELOCKED);
    assert_null(second);
    cairn_projector_stop(projector);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_view_holds_the_fold_of_the_log),
        cmocka_unit_test(a_restart_goes_on_at_the_checkpoint),
        cmocka_unit_test(a_second_projector_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
