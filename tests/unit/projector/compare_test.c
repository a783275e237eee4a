#include "projector/replay.h"
#include "projector/views_int.h"
#include "tests/unit/projector/world.h"

/* What a comparison told. */
struct told {
    size_t count;
    char keys[8][64];
    enum cairn_difference kinds[8];
};

static void note(void *self, const struct cairn_row_difference *difference)
{
    struct told *told = self;
    assert_true(told->count < 8);
    (void)snprintf(told->keys[told->count], 64, "%.*s", CAIRN_SLICE_ARG(difference->key));
    told->kinds[told->count++] = difference->kind;
}

static void make_view(struct world *world)
{
    world_make(world);
    world_view(world, "sums", world_sums);
    world_begin(world, 1);
    for (int i = 0; i < 30; i++) {
        world_add(world, "a", i, i % 3 == 0 ? "zero" : i % 3 == 1 ? "one" : "two", 1);
    }
    struct cairn_projector *projector = world_projector(world);
    world_wait(world, cairn_projector_views(projector), "sums");
    cairn_projector_stop(projector);
}

static enum cairn_rc compare(struct world *world, struct told *told,
                             struct cairn_compare_report *report)
{
    const struct cairn_projector_options options = world_options(world);
    const struct cairn_compare_hooks hooks = {.different = note, .self = told};
    struct cairn_err err;
    *told = (struct told){.count = 0};
    const struct cairn_compare_request request = {
        .view = CAIRN_SLICE_LIT("sums"), .stored = true, .told_max = 100};
    return cairn_view_compare(&options, &request, &hooks, report, &err);
}

static void a_sound_view_equals_its_replay(void **state)
{
    struct world world;
    struct told told;
    struct cairn_compare_report report;
    (void)state;
    make_view(&world);
    world_add(&world, "a", 1, "later", 1); /* behind the view's position: not compared */
    assert_int_equal(compare(&world, &told, &report), CAIRN_OK);
    assert_int_equal(told.count, 0);
    assert_int_equal(report.rows, 3);
    assert_int_equal(report.events, 30);
    assert_int_equal(report.position.offsets[0], 30);
    world_end(&world);
}

static void every_kind_of_damage_is_told(void **state)
{
    struct world world;
    struct told told;
    struct cairn_compare_report report = {.rows = 0};
    struct cairn_views *views = NULL;
    struct cairn_view_tables tables;
    struct cairn_kv_txn *txn = NULL;
    struct cairn_err err;
    (void)state;
    make_view(&world);
    assert_ok(cairn_views_open_writer(world.data, true, &views, &err), &err);
    assert_ok(cairn_views_tables(views, CAIRN_SLICE_LIT("sums"), &tables, &err), &err);
    assert_ok(cairn_kv_write_begin(cairn_views_kv(views), &txn, &err), &err);
    assert_ok(cairn_kv_put(txn, tables.rows[0], CAIRN_SLICE_LIT("one"),
                           CAIRN_SLICE_LIT("\x81\xA3sum\x05"), &err),
              &err);
    assert_ok(cairn_kv_delete(txn, tables.rows[0], CAIRN_SLICE_LIT("two"), &err), &err);
    assert_ok(
        cairn_kv_put(txn, tables.rows[0], CAIRN_SLICE_LIT("six"), CAIRN_SLICE_LIT("\x80"), &err),
        &err);
    assert_ok(cairn_kv_put(txn, tables.index[0], CAIRN_SLICE_LIT("\x01\x50six"),
                           CAIRN_SLICE_LIT(""), &err),
              &err);
    assert_ok(cairn_kv_commit(txn, &err), &err);
    cairn_views_close(views);
    assert_int_equal(compare(&world, &told, &report), CAIRN_OK);
    assert_int_equal(told.count, 4);
    assert_int_equal(told.kinds[0], CAIRN_ROW_DIFFERS);
    assert_string_equal(told.keys[0], "one");
    assert_int_equal(told.kinds[1], CAIRN_ROW_EXTRA);
    assert_string_equal(told.keys[1], "six");
    assert_int_equal(told.kinds[2], CAIRN_ROW_MISSING);
    assert_string_equal(told.keys[2], "two");
    assert_int_equal(told.kinds[3], CAIRN_INDEX_DIFFERS);
    assert_int_equal(report.differences, 4);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_view_equals_its_replay),
        cmocka_unit_test(every_kind_of_damage_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
