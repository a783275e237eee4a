#include "projector/replay.h"

#include "projector/lmdb/replay.h"
#include "projector/sql/replay.h"
#include "tests/unit/projector/world.h"

static const char in_sql[] = "-- view: lines\n-- version: 1\n-- table:\n"
                             "CREATE TABLE lines (id text PRIMARY KEY);\n"
                             "-- on: Added\nINSERT INTO lines VALUES (:id);\n";

/* Every call of replay.h for one view. Each must end with this. */
static void expect_all(const struct cairn_projector_options *options, struct cairn_slice view,
                       enum cairn_rc expected)
{
    const struct cairn_rebuild_request rebuild = {.view = view};
    const struct cairn_compare_request compare = {.view = view};
    struct cairn_rebuild_result result;
    struct cairn_compare_report report;
    struct cairn_arena arena = {.max = 4096};
    struct cairn_parked *parked = NULL;
    struct cairn_slice stream = CAIRN_SLICE_LIT("box-a");
    struct cairn_err err;
    size_t count = 0;
    uint64_t events = 0;
    bool dropped = false;
    assert_int_equal(cairn_view_rebuild(options, &rebuild, NULL, &result, &err), expected);
    assert_int_equal(cairn_view_rollback(options, &rebuild, NULL, &result, &err), expected);
    assert_int_equal(cairn_view_drop_kept(options, view, &dropped, &err), expected);
    assert_int_equal(cairn_view_compare(options, &compare, NULL, &report, &err), expected);
    assert_int_equal(cairn_view_parked(options, view, &arena, &parked, &count, &err), expected);
    assert_int_equal(cairn_view_parked_retry(options, view, stream, &events, &err), expected);
    assert_int_equal(cairn_view_parked_drop(options, view, stream, &events, &err), expected);
    cairn_arena_fini(&arena);
}

static void a_view_that_is_not_there_is_named(void **state)
{
    struct world world;
    struct cairn_rebuild_result result;
    struct cairn_err err;
    const struct cairn_rebuild_request request = {.view = CAIRN_SLICE_LIT("none")};
    (void)state;
    world_make(&world);
    world_begin(&world, 1);
    const struct cairn_projector_options options = world_options(&world);
    expect_all(&options, CAIRN_SLICE_LIT("none"), CAIRN_ENOENT);
    assert_int_equal(cairn_view_rebuild(&options, &request, NULL, &result, &err), CAIRN_ENOENT);
    assert_string_equal(err.text, "build view none: the domain has no such view");
    world_end(&world);
}

static void a_view_in_postgres_needs_to_know_where(void **state)
{
    struct world world;
    (void)state;
    world_make(&world);
    test_folder_write(world.domain_folder, "views/lines.sql", in_sql);
    world_begin(&world, 1);
    const struct cairn_projector_options options = world_options(&world);
    expect_all(&options, CAIRN_SLICE_LIT("lines"), CAIRN_EINVAL);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_view_that_is_not_there_is_named),
        cmocka_unit_test(a_view_in_postgres_needs_to_know_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
