#include "tests/unit/projector/compared.h"

#define SUMS CAIRN_SLICE_LIT("sums")

static void make_view(struct world *world)
{
    world_make(world);
    world_view(world, "sums", world_sums);
    world_begin(world, 1);
    for (int i = 0; i < 30; i++) {
        world_add(world, "a", i, i % 3 == 0 ? "zero" : i % 3 == 1 ? "one" : "two", 1);
    }
    compared_project(world, "sums");
}

static void verify(struct world *world, uint64_t told_max, struct compared *compared)
{
    const struct cairn_compare_request request = {
        .view = SUMS, .stored = true, .told_max = told_max};
    compared->patience = -1;
    assert_ok(compared_run(world, &request, compared), &compared->err);
    assert_true(compared->report.level);
    assert_false(compared_left_something(world));
}

static void a_sound_view_equals_its_replay(void **state)
{
    struct world world;
    struct compared compared;
    (void)state;
    make_view(&world);
    world_add(&world, "a", 1, "later", 1); /* behind the view's position: not compared */
    verify(&world, 100, &compared);
    assert_int_equal(compared.count, 0);
    assert_int_equal(compared.report.differences, 0);
    assert_int_equal(compared.report.rows, 3);
    assert_int_equal(compared.report.live_rows, 3);
    assert_int_equal(compared.report.events, 30);
    assert_int_equal(compared.report.position.offsets[0], 30);
    assert_int_equal(compared.row_count, 3);
    assert_string_equal(compared.rows[0].key, "one");
    assert_string_equal(compared.rows[0].replayed, "{\"count\":10,\"sum\":145}");
    assert_string_equal(compared.rows[2].key, "zero");
    world_end(&world);
}

/* One row changed, one gone, one added, and an index entry that a right row does not have. */
static void damage(const struct world *world)
{
    struct cairn_views *views = NULL;
    struct cairn_view_tables tables;
    struct cairn_kv_txn *txn = NULL;
    struct cairn_err err;
    assert_ok(cairn_views_open_writer(world->data, true, &views, &err), &err);
    assert_ok(cairn_views_tables(views, SUMS, &tables, &err), &err);
    assert_ok(cairn_kv_write_begin(cairn_views_kv(views), &txn, &err), &err);
    assert_ok(cairn_kv_put(txn, tables.rows[0], CAIRN_SLICE_LIT("one"),
                           CAIRN_SLICE_LIT("\x81\xA3sum\x05"), &err),
              &err);
    assert_ok(cairn_kv_delete(txn, tables.rows[0], CAIRN_SLICE_LIT("two"), &err), &err);
    assert_ok(
        cairn_kv_put(txn, tables.rows[0], CAIRN_SLICE_LIT("six"), CAIRN_SLICE_LIT("\xC1"), &err),
        &err);
    assert_ok(cairn_kv_put(txn, tables.index[0], CAIRN_SLICE_LIT("\x01\x50zero"),
                           CAIRN_SLICE_LIT(""), &err),
              &err);
    assert_ok(cairn_kv_commit(txn, &err), &err);
    cairn_views_close(views);
}

static void every_kind_of_damage_is_told(void **state)
{
    static const struct compared_row expected[] = {
        {CAIRN_ROW_DIFFERS, "one", "{\"sum\":5}", "{\"count\":10,\"sum\":145}"},
        {CAIRN_ROW_EXTRA, "six", "\"unreadable\"", ""},
        {CAIRN_ROW_MISSING, "two", "", "{\"count\":10,\"sum\":155}"},
        {CAIRN_INDEX_DIFFERS, "zero", "{\"index\":\"count\"}", ""},
    };
    struct world world;
    struct compared compared;
    (void)state;
    make_view(&world);
    damage(&world);
    verify(&world, 100, &compared);
    assert_int_equal(compared.count, 4);
    assert_int_equal(compared.report.differences, 4);
    assert_int_equal(compared.report.rows, 3);
    assert_int_equal(compared.report.live_rows, 3);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(compared.told[i].kind, expected[i].kind);
        assert_string_equal(compared.told[i].key, expected[i].key);
        assert_string_equal(compared.told[i].live, expected[i].live);
        assert_string_equal(compared.told[i].replayed, expected[i].replayed);
    }
    world_end(&world);
}

static void all_differences_are_counted_and_some_told(void **state)
{
    struct world world;
    struct compared compared;
    (void)state;
    make_view(&world);
    damage(&world);
    verify(&world, 2, &compared);
    assert_int_equal(compared.count, 2);
    assert_int_equal(compared.report.differences, 4);
    verify(&world, 0, &compared);
    assert_int_equal(compared.count, 0);
    assert_int_equal(compared.report.differences, 4);
    world_end(&world);
}

/* Each of the three rows, not its index entries, of which it has two. */
static void differences_of_rows_are_counted_by_rows(void **state)
{
    static const char other[] = "local sums = view 'sums'\n"
                                "sums.indexes = { 'sum', 'count' }\n"
                                "function sums.on.Added(view, event)\n"
                                "  view:put(event.data.to, { sum = -1, count = -1 })\n"
                                "end\n";
    const struct cairn_compare_request request = {.view = SUMS, .told_max = 100};
    struct world world;
    struct compared compared = {.patience = -1};
    (void)state;
    make_view(&world);
    world_view(&world, "sums", other);
    world_load_domain(&world);
    assert_ok(compared_run(&world, &request, &compared), &compared.err);
    assert_int_equal(compared.report.differences, 3);
    assert_int_equal(compared.count, 3);
    world_end(&world);
}

static void a_changed_definition_is_a_dry_run_and_no_fault(void **state)
{
    static const char other[] = "local sums = view 'sums'\n"
                                "function sums.on.Added(view, event)\n"
                                "  if event.data.to == 'one' then return end\n"
                                "  view:put(event.data.to, { last = event.data.n })\n"
                                "end\n";
    struct world world;
    struct compared compared;
    (void)state;
    make_view(&world);
    world_view(&world, "sums", other);
    world_load_domain(&world);
    verify(&world, 100, &compared);
    assert_int_equal(compared.report.differences, 0);
    const struct cairn_compare_request request = {.view = SUMS, .told_max = 100};
    assert_ok(compared_run(&world, &request, &compared), &compared.err);
    assert_true(compared.report.level);
    assert_int_equal(compared.report.differences, 3);
    assert_int_equal(compared.told[0].kind, CAIRN_ROW_EXTRA);
    assert_string_equal(compared.told[0].key, "one");
    assert_string_equal(compared.told[1].live, "{\"count\":10,\"sum\":155}");
    assert_string_equal(compared.told[1].replayed, "{\"last\":29}");
    assert_int_equal(compared.report.rows, 2);
    world_end(&world);
}

static void a_cancelled_comparison_leaves_nothing(void **state)
{
    struct world world;
    struct compared compared = {.patience = 0};
    const struct cairn_compare_request request = {.view = SUMS, .stored = true};
    (void)state;
    make_view(&world);
    assert_int_equal(compared_run(&world, &request, &compared), CAIRN_ESTOPPED);
    assert_false(compared_left_something(&world));
    world_end(&world);
}

static void what_a_killed_comparison_left_is_removed(void **state)
{
    struct world world;
    struct compared compared;
    struct cairn_file_lock lock = {-1};
    char dead[256];
    char alive[256];
    char path[300];
    (void)state;
    make_view(&world);
    (void)snprintf(dead, sizeof dead, "%s/compare-sums-1", world.data);
    (void)snprintf(alive, sizeof alive, "%s/compare-other-2", world.data);
    (void)snprintf(path, sizeof path, "%s/scratch.lock", alive);
    assert_ok(cairn_file_make_folder(dead, &compared.err), &compared.err);
    assert_ok(cairn_file_make_folder(alive, &compared.err), &compared.err);
    assert_ok(cairn_file_lock_open(path, &lock, &compared.err), &compared.err);
    const struct cairn_compare_request request = {.view = SUMS, .stored = true};
    compared.patience = -1;
    assert_ok(compared_run(&world, &request, &compared), &compared.err);
    assert_int_not_equal(access(dead, F_OK), 0);
    assert_int_equal(access(alive, F_OK), 0);
    cairn_file_lock_close(&lock);
    assert_ok(compared_run(&world, &request, &compared), &compared.err);
    assert_false(compared_left_something(&world));
    world_end(&world);
}

static void what_has_no_live_generation_is_not_compared(void **state)
{
    struct world world;
    struct compared compared = {.patience = -1};
    const struct cairn_compare_request request = {.view = SUMS};
    (void)state;
    world_make(&world);
    world_begin(&world, 1);
    cairn_projector_stop(world_projector(&world));
    world_view(&world, "sums", world_sums);
    world_load_domain(&world);
    assert_int_equal(compared_run(&world, &request, &compared), CAIRN_EBEHIND);
    char path[256];
    (void)snprintf(path, sizeof path, "%s/views", world.data);
    assert_ok(cairn_file_remove_tree(path, &compared.err), &compared.err);
    assert_int_equal(compared_run(&world, &request, &compared), CAIRN_EBEHIND);
    assert_false(compared_left_something(&world));
    world_end(&world);
}

static void an_event_that_cannot_be_applied_is_named(void **state)
{
    static const char broken[] = "local sums = view 'sums'\n"
                                 "function sums.on.Added(view, event)\n"
                                 "  if event.data.n == 11 then error('eleven') end\n"
                                 "end\n";
    struct world world;
    struct compared compared = {.patience = -1};
    const struct cairn_compare_request request = {.view = SUMS};
    (void)state;
    make_view(&world);
    world_view(&world, "sums", broken);
    world_load_domain(&world);
    assert_int_equal(compared_run(&world, &request, &compared), CAIRN_EINVAL);
    assert_non_null(strstr(compared.err.text, "0:12"));
    assert_non_null(strstr(compared.err.text, "eleven"));
    assert_false(compared_left_something(&world));
    world_end(&world);
}

static void what_is_parked_is_left_out_as_there(void **state)
{
    static const char parking[] =
        "local sums = view 'sums'\n"
        "sums.on_error = 'park'\n"
        "function sums.on.Added(view, event)\n"
        "  if event.data.n == 11 then error('eleven') end\n"
        "  local row = view:get(event.data.to) or { count = 0 }\n"
        "  view:put(event.data.to, { count = row.count + 1, last = event.data.n })\n"
        "end\n";
    struct world world;
    struct compared compared;
    struct cairn_err err;
    uint64_t events = 0;
    (void)state;
    world_make(&world);
    world_view(&world, "sums", parking);
    world_begin(&world, 2);
    for (int i = 0; i < 30; i++) {
        world_add(&world, i % 2 == 0 ? "a" : "b", i, i % 3 == 0 ? "x" : "y", 1);
    }
    compared_project(&world, "sums");
    verify(&world, 100, &compared);
    assert_int_equal(compared.report.differences, 0);
    /* What was given up is left out for good, though what followed it is not. */
    const struct cairn_projector_options options = world_options(&world);
    assert_ok(cairn_view_parked_drop(&options, SUMS, CAIRN_SLICE_LIT("box-b"), &events, &err),
              &err);
    assert_int_equal(events, 10);
    world_add(&world, "b", 50, "z", 1);
    compared_project(&world, "sums");
    verify(&world, 100, &compared);
    assert_int_equal(compared.report.differences, 0);
    assert_int_equal(compared.report.rows, 3);
    world_end(&world);
}

/* A projector of another process goes on while the view is compared. */
static void a_view_that_moves_is_compared_at_one_position(void **state)
{
    struct world world;
    struct compared compared;
    (void)state;
    make_view(&world);
    pid_t child = world_hand_over(&world);
    for (int i = 0; i < 25; i++) {
        for (int j = 0; j < 20; j++) {
            world_add(&world, "a", i, j % 2 == 0 ? "one" : "two", 3);
        }
        verify(&world, 100, &compared);
        assert_int_equal(compared.report.differences, 0);
    }
    world_kill(child);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_view_equals_its_replay),
        cmocka_unit_test(every_kind_of_damage_is_told),
        cmocka_unit_test(all_differences_are_counted_and_some_told),
        cmocka_unit_test(differences_of_rows_are_counted_by_rows),
        cmocka_unit_test(a_changed_definition_is_a_dry_run_and_no_fault),
        cmocka_unit_test(a_cancelled_comparison_leaves_nothing),
        cmocka_unit_test(what_a_killed_comparison_left_is_removed),
        cmocka_unit_test(what_has_no_live_generation_is_not_compared),
        cmocka_unit_test(an_event_that_cannot_be_applied_is_named),
        cmocka_unit_test(what_is_parked_is_left_out_as_there),
        cmocka_unit_test(a_view_that_moves_is_compared_at_one_position),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
