#include "projector/lmdb/reconcile.h"

#include "tests/unit/projector/world.h"

/* A view whose rows carry a mark, so that it shows which script made them. */
static void write_marking(struct world *world, const char *indexes, int version, const char *mark)
{
    char script[512];
    (void)snprintf(script, sizeof script,
                   "local v = view 'v'\n"
                   "v.version = %d\n"
                   "v.indexes = { %s }\n"
                   "function v.on.Added(view, event)\n"
                   "  view:put('r' .. event.version, { n = event.data.n, mark = %s })\n"
                   "end\n",
                   version, indexes, mark);
    world_view(world, "v", script);
}

static struct cairn_projector *start_at_end(struct world *world)
{
    struct cairn_projector *projector = world_projector(world);
    world_wait(world, cairn_projector_views(projector), "v");
    return projector;
}

static void a_view_that_left_the_domain_is_deleted(void **state)
{
    struct world world;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_view_status *status = NULL;
    struct cairn_err err;
    size_t count = 0;
    char path[256];
    (void)state;
    world_make(&world);
    write_marking(&world, "'n'", 1, "1");
    world_view(&world, "sums", world_sums);
    world_begin(&world, 1);
    world_add(&world, "a", 1, "x", 3);
    cairn_projector_stop(start_at_end(&world));
    (void)snprintf(path, sizeof path, "%s/views/v.lua", world.domain_folder);
    assert_int_equal(unlink(path), 0);
    world_load_domain(&world);
    struct cairn_projector *projector = world_projector(&world);
    struct cairn_views *views = cairn_projector_views(projector);
    assert_ok(cairn_views_list(views, &arena, &status, &count, &err), &err);
    assert_int_equal(count, 1);
    assert_true(cairn_slice_is(status[0].name, "sums"));
    assert_int_equal(cairn_view_status(views, CAIRN_SLICE_LIT("v"), &arena, status, &err),
                     CAIRN_ENOENT);
    cairn_projector_stop(projector);
    /* And when it comes back it is a new view. */
    write_marking(&world, "'n'", 1, "9");
    world_load_domain(&world);
    projector = start_at_end(&world);
    views = cairn_projector_views(projector);
    assert_int_equal(world_number(views, "v", "r3", "mark"), 9);
    assert_int_equal(world_status(views, "v", &arena).rows, 3);
    cairn_projector_stop(projector);
    cairn_arena_fini(&arena);
    world_end(&world);
}

static void each_change_of_a_definition_builds_a_generation(void **state)
{
    static const struct {
        const char *indexes;
        int version;
        const char *mark;
    } steps[] = {{"'n'", 1, "1"}, {"'n'", 1, "2"}, {"'n', 'mark'", 1, "2"}, {"'n'", 5, "2"}};
    struct world world;
    struct cairn_arena arena = {.max = 1u << 20};
    (void)state;
    world_make(&world);
    write_marking(&world, "'n'", 1, "0");
    world_begin(&world, 1);
    world_add(&world, "a", 1, "x", 3);
    cairn_projector_stop(start_at_end(&world));
    for (uint64_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        write_marking(&world, steps[i].indexes, steps[i].version, steps[i].mark);
        world_load_domain(&world);
        struct cairn_projector *projector = world_projector(&world);
        struct cairn_views *views = cairn_projector_views(projector);
        struct cairn_view_status status =
            world_wait_state(views, "v", CAIRN_VIEW_LIVE, i + 2, &arena);
        assert_int_equal(status.generation, i + 2);
        assert_int_equal(status.rows, 3);
        assert_int_equal(status.column_count, strchr(steps[i].indexes, ',') == NULL ? 1 : 2);
        assert_int_equal(world_number(views, "v", "r3", "mark"), strtol(steps[i].mark, NULL, 10));
        cairn_projector_stop(projector);
    }
    cairn_arena_fini(&arena);
    world_end(&world);
}

static void the_same_definition_builds_nothing(void **state)
{
    struct world world;
    struct cairn_arena arena = {.max = 1u << 20};
    (void)state;
    world_make(&world);
    write_marking(&world, "'n'", 1, "1");
    world_begin(&world, 1);
    world_add(&world, "a", 1, "x", 3);
    for (int i = 0; i < 3; i++) {
        struct cairn_projector *projector = start_at_end(&world);
        assert_int_equal(world_status(cairn_projector_views(projector), "v", &arena).generation, 1);
        cairn_projector_stop(projector);
    }
    cairn_arena_fini(&arena);
    world_end(&world);
}

static void a_deleted_view_store_is_built_again(void **state)
{
    struct world world;
    struct cairn_err err;
    char path[256];
    (void)state;
    world_make(&world);
    write_marking(&world, "'n'", 1, "1");
    world_begin(&world, 1);
    world_add(&world, "a", 4, "x", 3);
    cairn_projector_stop(start_at_end(&world));
    (void)snprintf(path, sizeof path, "%s/views", world.data);
    assert_ok(cairn_file_remove_tree(path, &err), &err);
    struct cairn_projector *projector = start_at_end(&world);
    assert_int_equal(world_number(cairn_projector_views(projector), "v", "r2", "n"), 4);
    cairn_projector_stop(projector);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_view_that_left_the_domain_is_deleted),
        cmocka_unit_test(each_change_of_a_definition_builds_a_generation),
        cmocka_unit_test(the_same_definition_builds_nothing),
        cmocka_unit_test(a_deleted_view_store_is_built_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
