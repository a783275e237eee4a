/* Parked streams of generations that are built, switched, taken back. */
#include "tests/unit/projector/picky.h"

static void a_build_parks_too_and_is_switched(void **state)
{
    struct scene *scene = *state;
    struct cairn_rebuild_result result;
    const struct cairn_rebuild_request request = {.view = CAIRN_SLICE_LIT("picky")};
    picky_begin(scene, picky_parks, 2);
    picky_add(scene, "a", 1, "needy");
    picky_add(scene, "b", 2, "bad");
    picky_add(scene, "c", 3, "ready");
    picky_catch_up(scene);
    assert_int_equal(picky_parked(scene), 2);
    picky_stop(scene);
    const struct cairn_projector_options options = world_options(&scene->world);
    assert_ok(cairn_view_rebuild(&options, &request, NULL, &result, &scene->err), &scene->err);
    assert_int_equal(result.generation, 2);
    picky_start(scene);
    picky_add(scene, "a", 4, "x");
    picky_add(scene, "b", 5, "x");
    picky_add(scene, "c", 6, "x");
    picky_catch_up(scene);
    assert_string_equal(picky_order(scene, "box-b"), "");
    assert_string_equal(picky_order(scene, "box-c"), "3,6,");
    size_t count = picky_list(scene);
    assert_int_equal(count, 2);
    assert_int_equal(picky_parked(scene), 2);
    assert_true(cairn_slice_is(scene->rows[0].stream, "box-a"));
    assert_true(cairn_slice_is(scene->rows[1].stream, "box-b"));
}

static enum cairn_rc rebuild(const struct scene *scene, bool (*cancelled)(void *self), void *self,
                             struct cairn_rebuild_result *ret_result, struct cairn_err *err)
{
    const struct cairn_projector_options options = world_options(&scene->world);
    const struct cairn_rebuild_request request = {.view = CAIRN_SLICE_LIT("picky")};
    const struct cairn_rebuild_hooks hooks = {.cancelled = cancelled, .self = self};
    return cairn_view_rebuild(&options, &request, &hooks, ret_result, err);
}

static bool run_out(void *self)
{
    int *patience = self;
    return (*patience)-- <= 0;
}

/* A build that is gone on with knows what it parked before. */
static void an_interrupted_build_goes_on_leaving_them_out(void **state)
{
    struct scene *scene = *state;
    struct cairn_rebuild_result result;
    int patience = 1;
    picky_begin(scene, picky_parks, 2);
    world_add(&scene->world, "a", 1, "bad", 3);
    for (int i = 0; i < 60; i++) {
        world_add(&scene->world, i % 2 == 0 ? "a" : "b", 1, "x", 1000);
    }
    picky_catch_up(scene);
    picky_stop(scene);
    assert_int_equal(rebuild(scene, run_out, &patience, &result, &scene->err), CAIRN_ESTOPPED);
    assert_ok(rebuild(scene, NULL, NULL, &result, &scene->err), &scene->err);
    assert_true(result.resumed);
    assert_true(result.compared);
    assert_null(result.not_compared);
    assert_int_equal(result.before.rows, result.after.rows);
    assert_int_equal(result.before.sum, result.after.sum);
    assert_int_equal(result.parked, 1);
    assert_int_equal(picky_differences(scene), 0);
    picky_start(scene);
    assert_int_equal(picky_number(scene, "box-a"), -1);
    assert_int_equal(picky_number(scene, "box-b"), 30000);
}

/* What was given up in one generation waits in another, and a rollback brings each its own. Slots
 * are used again, and what was parked in them is not found there. */
static void a_rollback_brings_back_its_own(void **state)
{
    struct scene *scene = *state;
    struct cairn_rebuild_result result;
    const struct cairn_rebuild_request request = {.view = CAIRN_SLICE_LIT("picky")};
    picky_begin(scene, picky_parks, 1);
    picky_add(scene, "a", 1, "bad");
    picky_add(scene, "a", 2, "x");
    picky_catch_up(scene);
    assert_ok(picky_drop(scene, "box-a"), &scene->err);
    picky_add(scene, "a", 3, "x");
    picky_catch_up(scene);
    picky_stop(scene);
    const struct cairn_projector_options options = world_options(&scene->world);
    assert_ok(rebuild(scene, NULL, NULL, &result, &scene->err), &scene->err);
    assert_false(result.compared);
    assert_string_equal(result.not_compared, "each leaves out other events of parked streams");
    picky_start(scene);
    picky_add(scene, "a", 4, "x");
    picky_catch_up(scene);
    assert_string_equal(picky_order(scene, "box-a"), "");
    assert_int_equal(picky_parked(scene), 1);
    picky_stop(scene);
    assert_ok(cairn_view_rollback(&options, &request, NULL, &result, &scene->err), &scene->err);
    assert_int_equal(result.parked, 0);
    picky_start(scene);
    picky_add(scene, "a", 5, "x");
    picky_catch_up(scene);
    assert_string_equal(picky_order(scene, "box-a"), "3,4,5,");
    assert_int_equal(picky_parked(scene), 0);
    picky_stop(scene);
    assert_int_equal(picky_differences(scene), 0);
    for (int round = 0; round < 4; round++) {
        assert_ok(rebuild(scene, NULL, NULL, &result, &scene->err), &scene->err);
        assert_int_equal(result.parked, 1);
        assert_int_equal(picky_differences(scene), 0);
    }
    picky_start(scene);
}

/* A first build parks as well, and the builder's thread hands the view over as it is. */
static void a_first_build_of_a_long_log_parks(void **state)
{
    struct scene *scene = *state;
    picky_begin(scene, picky_stops, 2);
    picky_stop(scene);
    world_add(&scene->world, "a", 1, "x", 1);
    world_add(&scene->world, "a", 1, "bad", 1);
    for (int i = 0; i < 30; i++) {
        world_add(&scene->world, i % 2 == 0 ? "a" : "b", 1, "x", 1000);
    }
    char path[256];
    (void)snprintf(path, sizeof path, "%s/views", scene->world.data);
    assert_ok(cairn_file_remove_tree(path, &scene->err), &scene->err);
    world_view(&scene->world, "picky", picky_parks);
    world_load_domain(&scene->world);
    picky_start(scene);
    (void)world_wait_state(scene->views, "picky", CAIRN_VIEW_LIVE, 1, &scene->arena);
    picky_add(scene, "a", 1, "x");
    picky_add(scene, "b", 1, "x");
    picky_catch_up(scene);
    assert_int_equal(picky_number(scene, "box-a"), 1);
    assert_int_equal(picky_number(scene, "box-b"), 15001);
    assert_int_equal(picky_parked(scene), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PICKY_TEST(a_build_parks_too_and_is_switched),
        PICKY_TEST(an_interrupted_build_goes_on_leaving_them_out),
        PICKY_TEST(a_rollback_brings_back_its_own),
        PICKY_TEST(a_first_build_of_a_long_log_parks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
