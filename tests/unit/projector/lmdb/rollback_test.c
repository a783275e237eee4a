#include <signal.h>
#include <sys/wait.h>

#include "tests/unit/projector/marked.h"

/* Two generations: by mark 1, and by mark 2, which is live. */
static void make_two(struct world *world)
{
    world_make(world);
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
    struct world world;
    struct cairn_rebuild_result result;
    struct cairn_err err;
    (void)state;
    make_two(&world);
    world_add(&world, "c", 2, "x", 50);
    assert_int_equal(marked_look(&world).mark, 2);
    assert_ok(marked_rollback(&world, NULL, &result, &err), &err);
    assert_int_equal(result.generation, 3);
    assert_int_equal(result.events, 150);
    assert_int_equal(result.rows, 4);
    assert_true(result.kept);
    assert_false(result.resumed);
    assert_false(result.compared);
    struct marked marked = marked_look(&world);
    assert_int_equal(marked.mark, 1);
    assert_int_equal(marked.sum, 200);
    assert_int_equal(marked.generation, 3);
    assert_false(marked.rebuilding);
    marked_verify(&world);
    world_end(&world);
}

static void a_rollback_is_rolled_back_too(void **state)
{
    struct world world;
    struct cairn_rebuild_result result;
    struct cairn_err err;
    (void)state;
    make_two(&world);
    for (uint64_t i = 0; i < 5; i++) {
        world_add(&world, "c", 1, "x", 10);
        assert_ok(marked_rollback(&world, NULL, &result, &err), &err);
        struct marked marked = marked_look(&world);
        assert_int_equal(marked.mark, i % 2 == 0 ? 1 : 2);
        assert_int_equal(marked.generation, 3 + i);
        assert_int_equal(marked.sum, world.appended);
        marked_verify(&world);
    }
    world_end(&world);
}

static void nothing_is_kept_of_a_first_build(void **state)
{
    struct world world;
    struct cairn_rebuild_result result;
    struct cairn_err err;
    (void)state;
    world_make(&world);
    marked_write(&world, 1, -1);
    world_open_store(&world, true, 1);
    world_add(&world, "a", 1, "x", 3);
    assert_ok(marked_rebuild(&world, NULL, &result, &err), &err);
    assert_false(result.kept);
    assert_int_equal(result.generation, 1);
    assert_int_equal(marked_rollback(&world, NULL, &result, &err), CAIRN_ENOENT);
    assert_false(marked_drop(&world));
    assert_int_equal(marked_look(&world).sum, 3);
    world_end(&world);
}

static void a_refused_definition_is_not_built_again_by_itself(void **state)
{
    struct world world;
    struct cairn_rebuild_result result;
    struct cairn_err err;
    (void)state;
    make_two(&world);
    assert_ok(marked_rollback(&world, NULL, &result, &err), &err);
    for (int i = 0; i < 3; i++) {
        world_add(&world, "c", 1, "x", 10);
        marked_project(&world, 3);
        struct marked marked = marked_look(&world);
        assert_int_equal(marked.mark, 1);
        assert_int_equal(marked.generation, 3);
        assert_int_equal(marked.sum, world.appended);
    }
    /* Another definition is no refused one. */
    marked_write(&world, 3, -1);
    marked_project(&world, 4);
    assert_int_equal(marked_look(&world).mark, 3);
    /* And then the one that was refused is one like any other. */
    marked_write(&world, 2, -1);
    marked_project(&world, 5);
    assert_int_equal(marked_look(&world).mark, 2);
    world_end(&world);
}

static void a_rebuild_ends_the_refusal(void **state)
{
    struct world world;
    struct cairn_rebuild_result result;
    struct cairn_err err;
    (void)state;
    make_two(&world);
    assert_ok(marked_rollback(&world, NULL, &result, &err), &err);
    assert_ok(marked_rebuild(&world, NULL, &result, &err), &err);
    assert_int_equal(result.generation, 4);
    assert_int_equal(marked_look(&world).mark, 2);
    marked_write(&world, 1, -1);
    marked_project(&world, 5);
    marked_write(&world, 2, -1);
    marked_project(&world, 6);
    assert_int_equal(marked_look(&world).mark, 2);
    world_end(&world);
}

static void dropping_leaves_one_generation(void **state)
{
    struct world world;
    uint64_t counts[CAIRN_VIEW_SLOTS];
    struct cairn_rebuild_result result;
    struct patience patience = {.left = 0};
    const struct cairn_rebuild_hooks hooks = {.cancelled = marked_impatient, .self = &patience};
    struct cairn_err err;
    (void)state;
    make_two(&world);
    marked_slots(&world, counts);
    assert_int_equal(counts[0] + counts[1] + counts[2], 6);
    assert_int_equal(marked_rebuild(&world, &hooks, &result, &err), CAIRN_ESTOPPED);
    assert_true(marked_look(&world).rebuilding);
    assert_true(marked_drop(&world));
    assert_false(marked_look(&world).rebuilding);
    marked_slots(&world, counts);
    assert_int_equal(counts[0] + counts[1] + counts[2], 3);
    assert_false(marked_drop(&world));
    assert_int_equal(marked_rollback(&world, NULL, &result, &err), CAIRN_ENOENT);
    assert_int_equal(marked_look(&world).sum, world.appended);
    world_end(&world);
}

static void a_rollback_that_fails_changes_nothing(void **state)
{
    struct world world;
    struct cairn_rebuild_result result;
    struct cairn_err err;
    (void)state;
    world_make(&world);
    marked_write(&world, 1, 7);
    world_open_store(&world, true, 1);
    world_add(&world, "a", 1, "x", 5);
    marked_project(&world, 1);
    marked_write(&world, 2, -1);
    marked_project(&world, 2);
    world_add(&world, "a", 7, "x", 1);
    world_add(&world, "a", 1, "x", 1);
    marked_project(&world, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(marked_rollback(&world, NULL, &result, &err), CAIRN_EINVAL);
        assert_non_null(strstr(err.text, "refused"));
        struct marked marked = marked_look(&world);
        assert_int_equal(marked.mark, 2);
        assert_int_equal(marked.generation, 2);
        assert_int_equal(marked.sum, 13);
        assert_false(marked.rebuilding);
    }
    world_end(&world);
}

static void a_cancelled_rollback_is_gone_on_with(void **state)
{
    struct world world;
    struct cairn_rebuild_result result;
    struct patience patience = {.left = 0};
    const struct cairn_rebuild_hooks hooks = {.cancelled = marked_impatient, .self = &patience};
    struct cairn_err err;
    (void)state;
    make_two(&world);
    assert_int_equal(marked_rollback(&world, &hooks, &result, &err), CAIRN_ESTOPPED);
    assert_int_equal(marked_look(&world).mark, 2);
    assert_true(marked_look(&world).rebuilding);
    assert_ok(marked_rollback(&world, NULL, &result, &err), &err);
    assert_true(result.resumed);
    assert_int_equal(marked_look(&world).mark, 1);
    /* A projector that starts makes an interrupted one the kept generation again. */
    patience.left = 0;
    assert_int_equal(marked_rollback(&world, &hooks, &result, &err), CAIRN_ESTOPPED);
    marked_project(&world, 3);
    assert_false(marked_look(&world).rebuilding);
    assert_int_equal(marked_look(&world).mark, 1);
    assert_ok(marked_rollback(&world, NULL, &result, &err), &err);
    assert_false(result.resumed);
    assert_int_equal(marked_look(&world).mark, 2);
    world_end(&world);
}

static void a_projector_of_another_process_goes_on_after_each_rollback(void **state)
{
    struct world world;
    struct cairn_rebuild_result result;
    struct cairn_err err;
    (void)state;
    make_two(&world);
    cairn_store_close(world.store);
    world.store = NULL;
    pid_t child = world_fork_projector(&world);
    world_open_store(&world, true, 0);
    for (uint64_t i = 0; i < 6; i++) {
        world_add(&world, "c", 1, "x", 10);
        assert_ok(i % 3 == 2 ? marked_rebuild(&world, NULL, &result, &err)
                             : marked_rollback(&world, NULL, &result, &err),
                  &err);
        assert_int_equal(result.generation, 3 + i);
        world_add(&world, "b", 1, "x", 10);
        struct cairn_views *views = NULL;
        assert_ok(cairn_views_open(world.data, &views, &err), &err);
        world_wait(&world, views, "marked");
        cairn_views_close(views);
        struct marked marked = marked_look(&world);
        assert_int_equal(marked.sum, world.appended);
        assert_int_equal(marked.generation, 3 + i);
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    marked_verify(&world);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rollback_brings_the_kept_generation_to_the_end),
        cmocka_unit_test(a_rollback_is_rolled_back_too),
        cmocka_unit_test(nothing_is_kept_of_a_first_build),
        cmocka_unit_test(a_refused_definition_is_not_built_again_by_itself),
        cmocka_unit_test(a_rebuild_ends_the_refusal),
        cmocka_unit_test(dropping_leaves_one_generation),
        cmocka_unit_test(a_rollback_that_fails_changes_nothing),
        cmocka_unit_test(a_cancelled_rollback_is_gone_on_with),
        cmocka_unit_test(a_projector_of_another_process_goes_on_after_each_rollback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
