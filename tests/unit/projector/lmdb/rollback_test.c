#include "tests/unit/projector/marked.h"

/* Two generations: by mark 1, and by mark 2, which is live. */
static void make_two(struct world *world)
{
    marked_write(world, 1, -1);
    world_open_store(world, true, 2);
    for (int i = 0; i < 20; i++) {
        world_add(world, i % 2 == 0 ? "a" : "b", 1, "x", 5);
    }
    marked_project(world, 1);
    marked_write(world, 2, -1);
    marked_project(world, 2);
}

static void a_rollback_brings_the_kept_generation_to_the_end(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    make_two(world);
    world_add(world, "c", 2, "x", 50);
    assert_int_equal(marked_look(world).mark, 2);
    marked_must_roll_back(scene);
    assert_int_equal(scene->result.generation, 3);
    assert_int_equal(scene->result.events, 150);
    assert_int_equal(scene->result.rows, 4);
    assert_true(scene->result.kept);
    assert_false(scene->result.resumed);
    assert_false(scene->result.compared);
    struct marked marked = marked_look(world);
    assert_int_equal(marked.mark, 1);
    assert_int_equal(marked.sum, 200);
    assert_int_equal(marked.generation, 3);
    assert_false(marked.rebuilding);
    marked_verify(world);
}

static void a_rollback_is_rolled_back_too(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    make_two(world);
    for (uint64_t i = 0; i < 5; i++) {
        world_add(world, "c", 1, "x", 10);
        marked_must_roll_back(scene);
        struct marked marked = marked_look(world);
        assert_int_equal(marked.mark, i % 2 == 0 ? 1 : 2);
        assert_int_equal(marked.generation, 3 + i);
        assert_int_equal(marked.sum, world->appended);
        marked_verify(world);
    }
}

static void nothing_is_kept_of_a_first_build(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    marked_write(world, 1, -1);
    world_open_store(world, true, 1);
    world_add(world, "a", 1, "x", 3);
    marked_must_rebuild(scene);
    assert_false(scene->result.kept);
    assert_int_equal(scene->result.generation, 1);
    assert_int_equal(marked_rollback(world, NULL, &scene->result, &scene->err), CAIRN_ENOENT);
    assert_false(marked_drop(world));
    assert_int_equal(marked_look(world).sum, 3);
}

static void a_refused_definition_is_not_built_again_by_itself(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    make_two(world);
    marked_must_roll_back(scene);
    for (int i = 0; i < 3; i++) {
        world_add(world, "c", 1, "x", 10);
        marked_project(world, 3);
        struct marked marked = marked_look(world);
        assert_int_equal(marked.mark, 1);
        assert_int_equal(marked.generation, 3);
        assert_int_equal(marked.sum, world->appended);
    }
    /* Another definition is no refused one. */
    marked_write(world, 3, -1);
    marked_project(world, 4);
    assert_int_equal(marked_look(world).mark, 3);
    /* And then the one that was refused is one like any other. */
    marked_write(world, 2, -1);
    marked_project(world, 5);
    assert_int_equal(marked_look(world).mark, 2);
}

static void a_rebuild_ends_the_refusal(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    make_two(world);
    marked_must_roll_back(scene);
    marked_must_rebuild(scene);
    assert_int_equal(scene->result.generation, 4);
    assert_int_equal(marked_look(world).mark, 2);
    marked_write(world, 1, -1);
    marked_project(world, 5);
    marked_write(world, 2, -1);
    marked_project(world, 6);
    assert_int_equal(marked_look(world).mark, 2);
}

static void dropping_leaves_one_generation(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    uint64_t counts[CAIRN_VIEW_SLOTS];
    struct patience patience = {.left = 0};
    const struct cairn_rebuild_hooks hooks = {.cancelled = marked_impatient, .self = &patience};
    make_two(world);
    marked_slots(world, counts);
    assert_int_equal(counts[0] + counts[1] + counts[2], 6);
    assert_int_equal(marked_rebuild(world, &hooks, &scene->result, &scene->err), CAIRN_ESTOPPED);
    assert_true(marked_look(world).rebuilding);
    assert_true(marked_drop(world));
    assert_false(marked_look(world).rebuilding);
    marked_slots(world, counts);
    assert_int_equal(counts[0] + counts[1] + counts[2], 3);
    assert_false(marked_drop(world));
    assert_int_equal(marked_rollback(world, NULL, &scene->result, &scene->err), CAIRN_ENOENT);
    assert_int_equal(marked_look(world).sum, world->appended);
}

static void a_rollback_that_fails_changes_nothing(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    marked_write(world, 1, 7);
    world_open_store(world, true, 1);
    world_add(world, "a", 1, "x", 5);
    marked_project(world, 1);
    marked_write(world, 2, -1);
    marked_project(world, 2);
    world_add(world, "a", 7, "x", 1);
    world_add(world, "a", 1, "x", 1);
    marked_project(world, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(marked_rollback(world, NULL, &scene->result, &scene->err), CAIRN_EINVAL);
        assert_non_null(strstr(scene->err.text, "refused"));
        struct marked marked = marked_look(world);
        assert_int_equal(marked.mark, 2);
        assert_int_equal(marked.generation, 2);
        assert_int_equal(marked.sum, 13);
        assert_false(marked.rebuilding);
    }
}

static void a_cancelled_rollback_is_gone_on_with(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    struct patience patience = {.left = 0};
    const struct cairn_rebuild_hooks hooks = {.cancelled = marked_impatient, .self = &patience};
    make_two(world);
    assert_int_equal(marked_rollback(world, &hooks, &scene->result, &scene->err), CAIRN_ESTOPPED);
    assert_int_equal(marked_look(world).mark, 2);
    assert_true(marked_look(world).rebuilding);
    marked_must_roll_back(scene);
    assert_true(scene->result.resumed);
    assert_int_equal(marked_look(world).mark, 1);
    /* A projector that starts makes an interrupted one the kept generation again. */
    patience.left = 0;
    assert_int_equal(marked_rollback(world, &hooks, &scene->result, &scene->err), CAIRN_ESTOPPED);
    marked_project(world, 3);
    assert_false(marked_look(world).rebuilding);
    assert_int_equal(marked_look(world).mark, 1);
    marked_must_roll_back(scene);
    assert_false(scene->result.resumed);
    assert_int_equal(marked_look(world).mark, 2);
}

static void a_projector_of_another_process_goes_on_after_each_rollback(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    make_two(world);
    pid_t child = world_hand_over(world);
    for (uint64_t i = 0; i < 6; i++) {
        world_add(world, "c", 1, "x", 10);
        assert_ok(i % 3 == 2 ? marked_rebuild(world, NULL, &scene->result, &scene->err)
                             : marked_rollback(world, NULL, &scene->result, &scene->err),
                  &scene->err);
        assert_int_equal(scene->result.generation, 3 + i);
        world_add(world, "b", 1, "x", 10);
        struct cairn_views *views = NULL;
        assert_ok(cairn_views_open(world->data, &views, &scene->err), &scene->err);
        world_wait(world, views, "marked");
        cairn_views_close(views);
        struct marked marked = marked_look(world);
        assert_int_equal(marked.sum, world->appended);
        assert_int_equal(marked.generation, 3 + i);
    }
    world_kill(child);
    marked_verify(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MARKED_TEST(a_rollback_brings_the_kept_generation_to_the_end),
        MARKED_TEST(a_rollback_is_rolled_back_too),
        MARKED_TEST(nothing_is_kept_of_a_first_build),
        MARKED_TEST(a_refused_definition_is_not_built_again_by_itself),
        MARKED_TEST(a_rebuild_ends_the_refusal),
        MARKED_TEST(dropping_leaves_one_generation),
        MARKED_TEST(a_rollback_that_fails_changes_nothing),
        MARKED_TEST(a_cancelled_rollback_is_gone_on_with),
        MARKED_TEST(a_projector_of_another_process_goes_on_after_each_rollback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
