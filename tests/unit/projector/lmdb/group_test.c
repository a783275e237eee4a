#include "projector/lmdb/group.h"

#include "platform/fault.h"
#include "projector/lmdb/follower.h"
#include "projector/source.h"
#include "tests/unit/projector/world.h"

/* A group of one follower over a fresh view store. */
struct stage {
    struct world world;
    struct cairn_views *views;
    struct cairn_view_group group;
};

#define COUNTING(name)                                                                             \
    "local v = view '" name "'\n"                                                                  \
    "v.indexes = { 'n' }\n"                                                                        \
    "function v.on.Added(view, event)\n"                                                           \
    "  local row = view:get(event.stream) or { n = 0, versions = 0 }\n"                            \
    "  assert(event.version == row.versions + 1, 'order')\n"                                       \
    "  row.n = row.n + event.data.n\n"                                                             \
    "  row.versions = event.version\n"                                                             \
    "  view:put(event.stream, row)\n"                                                              \
    "  if event.data.to == 'bad' then error('bad') end\n"                                          \
    "  if event.data.to == 'late' and event.version % 3 == 0 then error('late') end\n"             \
    "end\n"
static const char counting[] = COUNTING("v");
static const char parking[] = COUNTING("v") "v.on_error = 'park'\n";

/* A view of that name and script, live at the beginning of the log, into the group. */
static void stage_add(struct stage *stage, const char *view, const char *script)
{
    const struct cairn_lua_limits limits = {.memory_bytes = 0};
    const struct cairn_view_head head = {.state = CAIRN_VIEW_LIVE, .generation = 1};
    const struct cairn_slice name = cairn_slice_str(view);
    struct cairn_projection *projection = NULL;
    struct cairn_follower *follower = NULL;
    struct cairn_view_tables tables;
    struct cairn_kv_txn *txn = NULL;
    struct cairn_err err;
    assert_ok(cairn_views_tables(stage->views, name, &tables, &err), &err);
    assert_ok(cairn_projection_new(name, CAIRN_SLICE_LIT("v.lua"), cairn_slice_str(script), &limits,
                                   &projection, &err),
              &err);
    struct cairn_view_code code = *cairn_projection_code(projection);
    code.hash = CAIRN_SLICE_LIT("0");
    cairn_kv_table_id meta = cairn_views_meta(stage->views);
    assert_ok(cairn_kv_write_begin(cairn_views_kv(stage->views), &txn, &err), &err);
    assert_ok(cairn_view_head_put(txn, meta, CAIRN_SIDE_LIVE, name, &head, &err), &err);
    assert_ok(cairn_view_code_put(txn, meta, CAIRN_SIDE_LIVE, name, &code, &err), &err);
    assert_ok(cairn_kv_commit(txn, &err), &err);
    assert_ok(cairn_follower_new(name, projection, &tables, CAIRN_SIDE_LIVE, &head, NULL, &follower,
                                 &err),
              &err);
    cairn_view_group_add(&stage->group, follower);
}

static void stage_begin_with(struct stage *stage, uint16_t partitions, const char *script)
{
    struct cairn_err err;
    world_make(&stage->world);
    world_begin(&stage->world, partitions);
    assert_ok(cairn_views_open_writer(stage->world.data, false, &stage->views, &err), &err);
    const struct cairn_view_group_options options = {
        .views = stage->views, .store = stage->world.store, .domain = stage->world.domain};
    assert_ok(cairn_view_group_init(&stage->group, &options, &err), &err);
    stage_add(stage, "v", script);
}

static void stage_begin(struct stage *stage, uint16_t partitions)
{
    stage_begin_with(stage, partitions, counting);
}

static void stage_end(struct stage *stage)
{
    cairn_view_group_fini(&stage->group);
    cairn_views_close(stage->views);
    world_end(&stage->world);
}

/* Steps until the end or a failure; returns how many batches there were. */
static int run_to_end(struct stage *stage, size_t max_events, const struct cairn_position *until)
{
    struct cairn_err err;
    size_t events = 1;
    int batches = -1;
    while (events > 0 && !stage->group.followers[0]->failure.failed) {
        assert_ok(cairn_view_group_step(&stage->group, max_events, until, &events, &err), &err);
        batches++;
    }
    return batches;
}

static void partitions_take_turns_and_keep_their_order(void **state)
{
    struct stage stage;
    (void)state;
    stage_begin(&stage, 4);
    for (int i = 0; i < 400; i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "s%d", i % 16);
        world_add(&stage.world, id, 1, "x", (uint16_t)(1 + i % 3));
    }
    assert_true(run_to_end(&stage, 100, NULL) > 1);
    struct cairn_position end = world_log_end(&stage.world);
    assert_memory_equal(&stage.group.position, &end, sizeof end);
    assert_memory_equal(&stage.group.followers[0]->head.position, &end, sizeof end);
    assert_int_equal(stage.group.followers[0]->head.events, stage.world.appended);
    assert_int_equal(world_number(stage.views, "v", "box-s3", "versions"),
                     world_number(stage.views, "v", "box-s3", "n"));
    stage_end(&stage);
}

static void a_step_does_not_pass_its_limit(void **state)
{
    struct stage stage;
    (void)state;
    stage_begin(&stage, 1);
    for (int i = 0; i < 50; i++) {
        world_add(&stage.world, "a", 1, "x", 2);
    }
    const struct cairn_position until = {{40}};
    (void)run_to_end(&stage, 7, &until);
    assert_int_equal(stage.group.position.offsets[0], 40);
    assert_int_equal(world_number(stage.views, "v", "box-a", "n"), 40);
    /* What was read beyond it is not lost. */
    (void)run_to_end(&stage, 7, NULL);
    assert_int_equal(stage.group.position.offsets[0], 100);
    assert_int_equal(world_number(stage.views, "v", "box-a", "n"), 100);
    stage_end(&stage);
}

/* The log is longer than one read of it, and the command that fails lies in a later one. */
static void a_failure_in_a_later_read_stands_before_its_command(void **state)
{
    enum { BIG = 700, BEFORE = 40 };
    struct stage stage;
    struct cairn_arena arena = {.max = 1u << 20};
    (void)state;
    stage_begin(&stage, 1);
    for (int i = 0; i < BEFORE; i++) {
        world_add(&stage.world, "a", 1, "x", BIG);
    }
    world_add(&stage.world, "a", 1, "bad", 3);
    world_add(&stage.world, "b", 1, "x", BIG);
    (void)run_to_end(&stage, 1u << 20, NULL);
    const struct cairn_follower *follower = stage.group.followers[0];
    assert_true(follower->failure.failed);
    assert_int_equal(follower->failure.offset, BEFORE * BIG + 1);
    assert_int_equal(follower->head.position.offsets[0], BEFORE * BIG);
    assert_int_equal(follower->head.state, CAIRN_VIEW_STOPPED);
    assert_int_equal(world_number(stage.views, "v", "box-a", "n"), BEFORE * BIG);
    assert_int_equal(world_number(stage.views, "v", "box-b", "n"), -1);
    assert_int_equal(world_status(stage.views, "v", &arena).error_offset, BEFORE * BIG + 1);
    cairn_arena_fini(&arena);
    stage_end(&stage);
}

/* The events before it in the command have changed rows, and moved the checkpoint. */
static void a_command_that_fails_at_its_last_event_leaves_nothing(void **state)
{
    struct stage stage;
    (void)state;
    stage_begin(&stage, 1);
    world_add(&stage.world, "a", 1, "x", 2);
    world_add(&stage.world, "b", 1, "x", 3);
    world_add(&stage.world, "b", 1, "late", 3);
    world_add(&stage.world, "a", 1, "x", 2);
    (void)run_to_end(&stage, 100, NULL);
    const struct cairn_follower *follower = stage.group.followers[0];
    assert_true(follower->failure.failed);
    assert_int_equal(follower->failure.offset, 8);
    assert_int_equal(follower->head.position.offsets[0], 5);
    assert_int_equal(follower->head.events, 5);
    assert_int_equal(world_number(stage.views, "v", "box-a", "n"), 2);
    assert_int_equal(world_number(stage.views, "v", "box-b", "n"), 3);
    stage_end(&stage);
}

static void a_group_starts_where_its_first_follower_stands(void **state)
{
    struct stage stage;
    (void)state;
    stage_begin(&stage, 1);
    world_add(&stage.world, "a", 1, "x", 3);
    (void)run_to_end(&stage, 100, NULL);
    struct cairn_follower *follower = cairn_view_group_remove(&stage.group, 0);
    assert_int_equal(stage.group.count, 0);
    world_add(&stage.world, "a", 1, "x", 3);
    cairn_view_group_add(&stage.group, follower);
    assert_int_equal(stage.group.position.offsets[0], 3);
    (void)run_to_end(&stage, 100, NULL);
    assert_int_equal(world_number(stage.views, "v", "box-a", "n"), 6);
    stage_end(&stage);
}

static void a_switch_by_another_is_noticed_before_anything_is_written(void **state)
{
    struct stage stage;
    struct cairn_kv_txn *txn = NULL;
    struct cairn_err err;
    size_t events = 0;
    const struct cairn_view_head other = {
        .state = CAIRN_VIEW_LIVE, .slot = 1, .generation = 2, .position = {{1}}};
    (void)state;
    stage_begin(&stage, 1);
    world_add(&stage.world, "a", 1, "x", 3);
    assert_ok(cairn_kv_write_begin(cairn_views_kv(stage.views), &txn, &err), &err);
    assert_ok(cairn_view_head_put(txn, cairn_views_meta(stage.views), CAIRN_SIDE_LIVE,
                                  CAIRN_SLICE_LIT("v"), &other, &err),
              &err);
    assert_ok(cairn_kv_commit(txn, &err), &err);
    assert_ok(cairn_view_group_step(&stage.group, 100, NULL, &events, &err), &err);
    assert_true(stage.group.followers[0]->moved);
    assert_int_equal(stage.group.followers[0]->head.position.offsets[0], 0);
    assert_int_equal(world_number(stage.views, "v", "box-a", "n"), -1);
    stage_end(&stage);
}

/* Whatever allocation or commit fails, the batch is whole or not there, and a retry completes it.
 */
static void a_batch_that_fails_is_tried_again_whole(void **state)
{
    static const enum cairn_fault faults[] = {CAIRN_FAULT_MEM, CAIRN_FAULT_KV_COMMIT};
    struct stage stage;
    struct cairn_err err;
    int64_t n = 0;
    (void)state;
    stage_begin(&stage, 1);
    world_add(&stage.world, "a", 0, "x", 1);
    (void)run_to_end(&stage, 100, NULL);
    for (size_t f = 0; f < sizeof faults / sizeof faults[0]; f++) {
        bool fired = true;
        for (int after = 0; fired && after < 5000; after++) {
            size_t events = 0;
            world_add(&stage.world, "a", 1, "x", 2);
            cairn_fault_arm(faults[f], after);
            enum cairn_rc rc = cairn_view_group_step(&stage.group, 100, NULL, &events, &err);
            fired = cairn_fault_fired(faults[f]);
            cairn_fault_disarm();
            assert_true(fired || rc == CAIRN_OK);
            if (rc != CAIRN_OK) {
                assert_int_equal(world_number(stage.views, "v", "box-a", "n"), n);
                assert_ok(cairn_view_group_step(&stage.group, 100, NULL, &events, &err), &err);
            }
            n += 2;
            assert_false(stage.group.followers[0]->failure.failed);
            assert_int_equal(world_number(stage.views, "v", "box-a", "n"), n);
        }
        assert_false(fired);
    }
    stage_end(&stage);
}

static uint64_t parked_rows(struct stage *stage)
{
    struct cairn_kv_txn *txn = NULL;
    struct cairn_err err;
    uint64_t count = 0;
    const struct cairn_parked_place place = {.meta = cairn_views_meta(stage->views),
                                             .view = CAIRN_SLICE_LIT("v")};
    assert_ok(cairn_kv_read_begin(cairn_views_kv(stage->views), &txn, &err), &err);
    assert_ok(cairn_view_parked_count(txn, &place, &count, &err), &err);
    cairn_kv_end(txn);
    return count;
}

/* Streams that a batch parks are parked with its commit, whatever fails before; and what the
 * machine fails at parks none. */
static void a_batch_that_fails_parks_nothing(void **state)
{
    static const enum cairn_fault faults[] = {CAIRN_FAULT_MEM, CAIRN_FAULT_KV_COMMIT};
    struct stage stage;
    struct cairn_err err;
    char id[16];
    uint64_t parked = 0;
    (void)state;
    stage_begin_with(&stage, 1, parking);
    const struct cairn_follower *follower = stage.group.followers[0];
    for (size_t f = 0; f < sizeof faults / sizeof faults[0]; f++) {
        bool fired = true;
        for (int after = 0; fired && after < 5000; after++) {
            size_t events = 0;
            (void)snprintf(id, sizeof id, "s%llu", (unsigned long long)parked);
            world_add(&stage.world, id, 1, "bad", 2);
            world_add(&stage.world, "a", 1, "x", 1);
            world_add(&stage.world, id, 1, "x", 1);
            cairn_fault_arm(faults[f], after);
            enum cairn_rc rc = cairn_view_group_step(&stage.group, 100, NULL, &events, &err);
            fired = cairn_fault_fired(faults[f]);
            cairn_fault_disarm();
            if (rc != CAIRN_OK) {
                assert_true(fired);
                assert_int_equal(parked_rows(&stage), parked);
                assert_ok(cairn_view_group_step(&stage.group, 100, NULL, &events, &err), &err);
            }
            parked++;
            assert_false(follower->failure.failed);
            assert_int_equal(parked_rows(&stage), parked);
            assert_int_equal(follower->parking.set.waiting, parked);
            assert_int_equal(follower->head.parks, parked);
            assert_int_equal(world_number(stage.views, "v", "box-a", "n"), parked);
        }
        assert_false(fired);
    }
    stage_end(&stage);
}

/* Two views in one group, over several reads of the log: one parks, the other stops, at the same
 * events. */
static void one_view_parks_where_another_stops(void **state)
{
    enum { BIG = 700, BEFORE = 30 };
    struct stage stage;
    (void)state;
    stage_begin_with(&stage, 1, parking);
    stage_add(&stage, "w", COUNTING("w"));
    world_add(&stage.world, "early", 1, "x", 1);
    for (int i = 0; i < BEFORE; i++) {
        world_add(&stage.world, "a", 1, "x", BIG);
    }
    world_add(&stage.world, "b", 1, "bad", 3);
    world_add(&stage.world, "a", 1, "x", BIG);
    world_add(&stage.world, "b", 1, "x", BIG);
    const struct cairn_follower *parks = stage.group.followers[0];
    const struct cairn_follower *stops = stage.group.followers[1];
    struct cairn_err err;
    size_t events = 1;
    while (events > 0 && !stops->failure.failed) {
        assert_ok(cairn_view_group_step(&stage.group, 1u << 20, NULL, &events, &err), &err);
    }
    assert_int_equal(stops->head.position.offsets[0], 1 + BEFORE * BIG);
    cairn_follower_free(cairn_view_group_remove(&stage.group, 1));
    (void)run_to_end(&stage, 1u << 20, NULL);
    assert_false(parks->failure.failed);
    assert_int_equal(parks->head.position.offsets[0], stage.world.appended);
    assert_int_equal(parked_rows(&stage), 1);
    assert_int_equal(world_number(stage.views, "v", "box-a", "n"), (BEFORE + 1) * BIG);
    assert_int_equal(world_number(stage.views, "v", "box-b", "n"), -1);
    assert_int_equal(world_number(stage.views, "w", "box-a", "n"), BEFORE * BIG);
    assert_int_equal(world_number(stage.views, "w", "box-b", "n"), -1);
    stage_end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partitions_take_turns_and_keep_their_order),
        cmocka_unit_test(a_step_does_not_pass_its_limit),
        cmocka_unit_test(a_failure_in_a_later_read_stands_before_its_command),
        cmocka_unit_test(a_command_that_fails_at_its_last_event_leaves_nothing),
        cmocka_unit_test(a_group_starts_where_its_first_follower_stands),
        cmocka_unit_test(a_switch_by_another_is_noticed_before_anything_is_written),
        cmocka_unit_test(a_batch_that_fails_is_tried_again_whole),
        cmocka_unit_test(a_batch_that_fails_parks_nothing),
        cmocka_unit_test(one_view_parks_where_another_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
