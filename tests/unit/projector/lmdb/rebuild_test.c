#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "projector/build_meter.h"
#include "projector/lmdb/build.h"
#include "tests/unit/projector/world.h"

static const char marked_1[] = "local marked = view 'marked'\n"
                               "marked.indexes = { 'sum' }\n"
                               "function marked.on.Added(view, event)\n"
                               "  local row = view:get('all') or { sum = 0, mark = 1 }\n"
                               "  row.sum = row.sum + event.data.n\n"
                               "  view:put('all', row)\n"
                               "end\n";
static const char marked_2[] = "local marked = view 'marked'\n"
                               "marked.indexes = { 'sum', 'mark' }\n"
                               "function marked.on.Added(view, event)\n"
                               "  local row = view:get('all') or { sum = 0, mark = 2 }\n"
                               "  row.sum = row.sum + event.data.n\n"
                               "  view:put('all', row)\n"
                               "end\n";

enum { LOOKS = 10 };

/* A reader that checks at every look that sum and position belong together. */
struct watcher {
    struct cairn_views *views;
    atomic_bool stop;
    atomic_uint looks;
    uint64_t last_offset;
    char wrong[128];
};

static void *watch(void *argument)
{
    struct watcher *watcher = argument;
    struct cairn_arena arena = {.max = 1u << 20};
    while (!atomic_load(&watcher->stop) && watcher->wrong[0] == 0) {
        struct cairn_value row;
        struct cairn_position position;
        struct cairn_err err;
        bool known = false;
        cairn_arena_reset(&arena);
        enum cairn_rc rc =
            cairn_view_get(watcher->views, CAIRN_SLICE_LIT("marked"), CAIRN_SLICE_LIT("all"),
                           &arena, &row, &position, &known, &err);
        if (rc != CAIRN_OK) {
            (void)snprintf(watcher->wrong, sizeof watcher->wrong, "%.100s", err.text);
            break;
        }
        int64_t sum = cairn_value_at(&row, "sum")->as.integer;
        if ((uint64_t)sum != position.offsets[0] || position.offsets[0] < watcher->last_offset) {
            (void)snprintf(watcher->wrong, sizeof watcher->wrong, "sum %lld at %llu after %llu",
                           (long long)sum, (unsigned long long)position.offsets[0],
                           (unsigned long long)watcher->last_offset);
        }
        watcher->last_offset = position.offsets[0];
        atomic_fetch_add(&watcher->looks, 1);
    }
    atomic_fetch_add(&watcher->looks, LOOKS); /* who waits for looks learns that it has ended */
    cairn_arena_fini(&arena);
    return NULL;
}

static void a_rebuild_under_load_never_shows_half_a_view(void **state)
{
    struct world world;
    struct cairn_arena arena = {.max = 1u << 20};
    (void)state;
    world_make(&world);
    world_view(&world, "marked", marked_1);
    world_begin(&world, 1);
    for (int i = 0; i < 40; i++) {
        world_add(&world, "a", 1, "x", 250);
    }
    struct cairn_projector *projector = world_projector(&world);
    world_wait(&world, cairn_projector_views(projector), "marked");
    cairn_projector_stop(projector);
    world_view(&world, "marked", marked_2);
    world_load_domain(&world);
    projector = world_projector(&world);
    struct watcher watcher = {.views = cairn_projector_views(projector)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, watch, &watcher), 0);
    for (int i = 0; i < 200; i++) {
        world_add(&world, "a", 1, "x", 1);
    }
    (void)world_wait_state(watcher.views, "marked", CAIRN_VIEW_LIVE, 2, &arena);
    for (int i = 0; i < 20; i++) {
        world_add(&world, "a", 1, "x", 3);
    }
    world_wait(&world, watcher.views, "marked");
    while (atomic_load(&watcher.looks) < LOOKS) {
        (void)sched_yield();
    }
    atomic_store(&watcher.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(watcher.wrong, "");
    assert_int_equal(world_number(watcher.views, "marked", "all", "mark"), 2);
    assert_int_equal(world_number(watcher.views, "marked", "all", "sum"), (int64_t)world.appended);
    cairn_projector_stop(projector);
    cairn_arena_fini(&arena);
    world_end(&world);
}

static struct cairn_views *open_views(const struct world *world)
{
    struct cairn_views *views = NULL;
    struct cairn_err err;
    assert_ok(cairn_views_open(world->data, &views, &err), &err);
    return views;
}

static void kill_9_and_go_on_equals_the_fold_of_the_log(void **state)
{
    struct world world;
    (void)state;
    world_make(&world);
    world_view(&world, "sums", world_sums);
    world_load_domain(&world);
    world_open_store(&world, true, 2);
    for (int round = 0; round < 8; round++) {
        pid_t child = world_hand_over(&world);
        int events = 200 + round * 50;
        for (int i = 0; i < events; i++) {
            char id[8];
            (void)snprintf(id, sizeof id, "s%d", i % 7);
            world_add(&world, id, 1, i % 2 == 0 ? "even" : "odd", 1);
        }
        world_kill(child);
    }
    struct cairn_projector *projector = world_projector(&world);
    struct cairn_views *views = cairn_projector_views(projector);
    world_wait(&world, views, "sums");
    int64_t even = world_number(views, "sums", "even", "count");
    int64_t odd = world_number(views, "sums", "odd", "count");
    assert_int_equal(even + odd, (int64_t)world.appended);
    assert_int_equal(even, odd);
    assert_int_equal(world_number(views, "sums", "even", "sum"), even);
    cairn_projector_stop(projector);
    const struct cairn_projector_options options = world_options(&world);
    struct cairn_compare_report report;
    const struct cairn_compare_request compare = {.view = CAIRN_SLICE_LIT("sums"), .stored = true};
    struct cairn_err err;
    assert_ok(cairn_view_compare(&options, &compare, NULL, &report, &err), &err);
    assert_int_equal(report.events, world.appended);
    assert_int_equal(report.rows, 2);
    world_end(&world);
}

static void a_projector_of_another_process_goes_on_with_the_rebuilt_view(void **state)
{
    struct world world;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_rebuild_result result;
    const struct cairn_rebuild_request sums = {.view = CAIRN_SLICE_LIT("sums")};
    struct cairn_err err;
    (void)state;
    world_make(&world);
    world_view(&world, "sums", world_sums);
    world_load_domain(&world);
    world_open_store(&world, true, 1);
    pid_t child = world_hand_over(&world);
    for (int i = 0; i < 300; i++) {
        world_add(&world, "a", 1, "x", 1);
    }
    struct cairn_views *views = open_views(&world);
    world_wait(&world, views, "sums");
    cairn_views_close(views);
    const struct cairn_projector_options options = world_options(&world);
    for (uint64_t generation = 2; generation <= 4; generation++) {
        assert_ok(cairn_view_rebuild(&options, &sums, NULL, &result, &err), &err);
        assert_int_equal(result.generation, generation);
        assert_int_equal(result.rows, 1);
        views = open_views(&world);
        for (int i = 0; i < 50; i++) {
            world_add(&world, "a", 1, "x", 1);
        }
        world_wait(&world, views, "sums");
        assert_int_equal(world_number(views, "sums", "x", "sum"), (int64_t)world.appended);
        assert_int_equal(world_status(views, "sums", &arena).generation, generation);
        cairn_views_close(views);
    }
    world_kill(child);
    cairn_arena_fini(&arena);
    world_end(&world);
}

static bool cancel_at_once(void *self)
{
    (void)self;
    return true;
}

static void a_cancelled_rebuild_changes_nothing(void **state)
{
    struct world world;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_rebuild_result result;
    const struct cairn_rebuild_request sums = {.view = CAIRN_SLICE_LIT("sums")};
    struct cairn_err err;
    const struct cairn_rebuild_request none = {.view = CAIRN_SLICE_LIT("none")};
    const struct cairn_rebuild_hooks hooks = {.cancelled = cancel_at_once};
    (void)state;
    world_make(&world);
    world_view(&world, "sums", world_sums);
    world_begin(&world, 1);
    world_add(&world, "a", 7, "x", 1);
    struct cairn_projector *projector = world_projector(&world);
    world_wait(&world, cairn_projector_views(projector), "sums");
    cairn_projector_stop(projector);
    const struct cairn_projector_options options = world_options(&world);
    assert_int_equal(cairn_view_rebuild(&options, &sums, &hooks, &result, &err), CAIRN_ESTOPPED);
    assert_int_equal(cairn_view_rebuild(&options, &none, NULL, &result, &err), CAIRN_ENOENT);
    struct cairn_views *views = open_views(&world);
    struct cairn_view_status status = world_status(views, "sums", &arena);
    assert_int_equal(status.generation, 1);
    assert_int_equal(world_number(views, "sums", "x", "sum"), 7);
    cairn_views_close(views);
    cairn_arena_fini(&arena);
    world_end(&world);
}

static void a_failed_build_leaves_the_old_view_going(void **state)
{
    static const char broken[] = "local sums = view 'sums'\n"
                                 "function sums.on.Added(view, event)\n"
                                 "  if event.data.n == 3 then error('three') end\n"
                                 "end\n";
    struct world world;
    struct cairn_arena arena = {.max = 1u << 20};
    (void)state;
    world_make(&world);
    world_view(&world, "sums", world_sums);
    world_begin(&world, 1);
    for (int i = 1; i <= 5; i++) {
        world_add(&world, "a", i, "x", 1);
    }
    struct cairn_projector *projector = world_projector(&world);
    world_wait(&world, cairn_projector_views(projector), "sums");
    cairn_projector_stop(projector);
    world_view(&world, "sums", broken);
    world_load_domain(&world);
    projector = world_projector(&world);
    struct cairn_views *views = cairn_projector_views(projector);
    const struct deadline deadline = deadline_begin();
    struct cairn_view_status status = {.name = CAIRN_SLICE_NONE};
    while ((status.error.size == 0 || status.rebuilding) && !deadline_passed(&deadline)) {
        cairn_arena_reset(&arena);
        world_wait_commit(views, "sums");
        status = world_status(views, "sums", &arena);
    }
    assert_int_equal(status.state, CAIRN_VIEW_LIVE);
    assert_int_equal(status.generation, 1);
    assert_int_equal(status.error_offset, 3);
    assert_non_null(strstr(status.error.data, "three"));
    world_add(&world, "a", 6, "x", 1);
    world_wait(&world, views, "sums");
    assert_int_equal(world_number(views, "sums", "x", "sum"), 21);
    cairn_projector_stop(projector);
    cairn_arena_fini(&arena);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rebuild_under_load_never_shows_half_a_view),
        cmocka_unit_test(kill_9_and_go_on_equals_the_fold_of_the_log),
        cmocka_unit_test(a_projector_of_another_process_goes_on_with_the_rebuilt_view),
        cmocka_unit_test(a_cancelled_rebuild_changes_nothing),
        cmocka_unit_test(a_failed_build_leaves_the_old_view_going),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
