/* A view that shows which script made its rows: `marked`, one row `all` with sum and mark. */
#ifndef CAIRN_TESTS_UNIT_PROJECTOR_MARKED_H
#define CAIRN_TESTS_UNIT_PROJECTOR_MARKED_H

#include "projector/lmdb/views_int.h"
#include "projector/replay.h"
#include "tests/unit/projector/world.h"

#define MARKED CAIRN_SLICE_LIT("marked")

/* What a test has: a world, and what the last call of an operator came to. */
struct marked_scene {
    struct world world;
    struct cairn_rebuild_result result;
    struct cairn_err err;
};

/* For cmocka: *state is a scene with a world that has not begun. */
static inline int marked_setup(void **state)
{
    struct marked_scene *scene = test_calloc(1, sizeof *scene);
    world_make(&scene->world);
    *state = scene;
    return 0;
}

static inline int marked_teardown(void **state)
{
    struct marked_scene *scene = *state;
    world_end(&scene->world);
    test_free(scene);
    return 0;
}

#define MARKED_TEST(name) cmocka_unit_test_setup_teardown(name, marked_setup, marked_teardown)

/* Write its script and load the domain. Events whose n is `fails_at` make it fail. */
static inline void marked_write(struct world *world, int mark, int fails_at)
{
    char script[512];
    (void)snprintf(script, sizeof script,
                   "local marked = view 'marked'\n"
                   "marked.indexes = { 'sum' }\n"
                   "function marked.on.Added(view, event)\n"
                   "  if event.data.n == %d then error('refused') end\n"
                   "  local row = view:get('all') or { sum = 0, mark = %d }\n"
                   "  row.sum = row.sum + event.data.n\n"
                   "  view:put('all', row)\n"
                   "  view:put(event.stream, { last = event.data.n })\n"
                   "end\n",
                   fails_at, mark);
    world_view(world, "marked", script);
    world_load_domain(world);
}

/* A projector runs until the view is live in that generation and holds the log. */
static inline void marked_project(struct world *world, uint64_t generation)
{
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_projector *projector = world_projector(world);
    struct cairn_views *views = cairn_projector_views(projector);
    (void)world_wait_state(views, "marked", CAIRN_VIEW_LIVE, generation, &arena);
    world_wait(world, views, "marked");
    cairn_projector_stop(projector);
    cairn_arena_fini(&arena);
}

static inline enum cairn_rc marked_rebuild(const struct world *world,
                                           const struct cairn_rebuild_hooks *hooks,
                                           struct cairn_rebuild_result *ret_result,
                                           struct cairn_err *err)
{
    const struct cairn_projector_options options = world_options(world);
    const struct cairn_rebuild_request request = {.view = MARKED};
    return cairn_view_rebuild(&options, &request, hooks, ret_result, err);
}

static inline enum cairn_rc marked_rollback(const struct world *world,
                                            const struct cairn_rebuild_hooks *hooks,
                                            struct cairn_rebuild_result *ret_result,
                                            struct cairn_err *err)
{
    const struct cairn_projector_options options = world_options(world);
    const struct cairn_rebuild_request request = {.view = MARKED};
    return cairn_view_rollback(&options, &request, hooks, ret_result, err);
}

/* The same, which must succeed. */
static inline void marked_must_rebuild(struct marked_scene *scene)
{
    assert_ok(marked_rebuild(&scene->world, NULL, &scene->result, &scene->err), &scene->err);
}

static inline void marked_must_roll_back(struct marked_scene *scene)
{
    assert_ok(marked_rollback(&scene->world, NULL, &scene->result, &scene->err), &scene->err);
}

static inline bool marked_drop(const struct world *world)
{
    const struct cairn_projector_options options = world_options(world);
    struct cairn_err err;
    bool dropped = false;
    assert_ok(cairn_view_drop_kept(&options, MARKED, &dropped, &err), &err);
    return dropped;
}

/* The live generation equals a replay by the definition that made it. */
static inline void marked_verify(const struct world *world)
{
    const struct cairn_projector_options options = world_options(world);
    const struct cairn_compare_request request = {.view = MARKED, .stored = true};
    struct cairn_compare_report report;
    struct cairn_err err;
    assert_ok(cairn_view_compare(&options, &request, NULL, &report, &err), &err);
    assert_true(report.level);
    assert_int_equal(report.differences, 0);
}

/* What a reader sees of the view. */
struct marked {
    int64_t mark, sum;
    uint64_t generation;
    bool rebuilding;
};

static inline struct marked marked_look(const struct world *world)
{
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_views *views = NULL;
    struct cairn_err err;
    assert_ok(cairn_views_open(world->data, &views, &err), &err);
    const struct cairn_view_status status = world_status(views, "marked", &arena);
    const struct marked marked = {.mark = world_number(views, "marked", "all", "mark"),
                                  .sum = world_number(views, "marked", "all", "sum"),
                                  .generation = status.generation,
                                  .rebuilding = status.rebuilding};
    cairn_views_close(views);
    cairn_arena_fini(&arena);
    return marked;
}

/* Rows in each slot's table. */
static inline void marked_slots(const struct world *world, uint64_t counts[CAIRN_VIEW_SLOTS])
{
    struct cairn_views *views = NULL;
    struct cairn_view_tables tables;
    struct cairn_kv_txn *txn = NULL;
    struct cairn_err err;
    assert_ok(cairn_views_open(world->data, &views, &err), &err);
    assert_ok(cairn_views_tables(views, MARKED, &tables, &err), &err);
    assert_ok(cairn_kv_read_begin(cairn_views_kv(views), &txn, &err), &err);
    for (int slot = 0; slot < CAIRN_VIEW_SLOTS; slot++) {
        assert_ok(cairn_kv_count(txn, tables.rows[slot], &counts[slot], &err), &err);
    }
    cairn_kv_end(txn);
    cairn_views_close(views);
}

/* A hook that passes some calls, then cancels. */
struct patience {
    int left;
};

static inline bool marked_impatient(void *self)
{
    struct patience *patience = self;
    return patience->left-- <= 0;
}

/* A rebuild in small batches, cancelled after some of them. */
static inline void marked_interrupt(const struct world *world, int batches)
{
    struct patience patience = {.left = batches * 2};
    const struct cairn_rebuild_hooks hooks = {.cancelled = marked_impatient, .self = &patience};
    const struct cairn_projector_options options = world_options(world);
    const struct cairn_rebuild_request request = {.view = MARKED, .throttle = 10000};
    struct cairn_rebuild_result result;
    struct cairn_err err;
    assert_int_equal(cairn_view_rebuild(&options, &request, &hooks, &result, &err), CAIRN_ESTOPPED);
}

#endif
