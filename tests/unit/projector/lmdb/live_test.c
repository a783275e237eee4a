#include "projector/lmdb/live.h"

#include "platform/fault.h"
#include "tests/unit/projector/world.h"

/* Throws at n = 13, after it has put something. */
static const char touchy[] = "local touchy = view 'touchy'\n"
                             "function touchy.on.Added(view, event)\n"
                             "  local row = view:get('all') or { sum = 0 }\n"
                             "  row.sum = row.sum + event.data.n\n"
                             "  view:put('all', row)\n"
                             "  view:put('n' .. event.data.n, { seen = 1 })\n"
                             "  if event.data.n == 13 then error('thirteen') end\n"
                             "end\n";
static const char mended[] = "local touchy = view 'touchy'\n"
                             "function touchy.on.Added(view, event)\n"
                             "  local row = view:get('all') or { sum = 0 }\n"
                             "  row.sum = row.sum + event.data.n\n"
                             "  view:put('all', row)\n"
                             "  view:put('n' .. event.data.n, { seen = 2 })\n"
                             "end\n";
static const char raised[] = "local touchy = view 'touchy'\n"
                             "touchy.version = 2\n"
                             "function touchy.on.Added(view, event)\n"
                             "  local row = view:get('all') or { sum = 0 }\n"
                             "  row.sum = row.sum + event.data.n\n"
                             "  view:put('all', row)\n"
                             "  view:put('n' .. event.data.n, { seen = 3 })\n"
                             "end\n";

static void add_numbers(struct world *world, int from, int to)
{
    for (int i = from; i <= to; i++) {
        world_add(world, "a", i, "x", 1);
    }
}

static void make_stopped(struct world *world, struct cairn_arena *arena)
{
    world_make(world);
    world_view(world, "touchy", touchy);
    world_view(world, "sums", world_sums);
    world_begin(world, 1);
    add_numbers(world, 1, 20);
    struct cairn_projector *projector = world_projector(world);
    struct cairn_views *views = cairn_projector_views(projector);
    struct cairn_view_status status =
        world_wait_state(views, "touchy", CAIRN_VIEW_STOPPED, 1, arena);
    assert_int_equal(status.error_partition, 0);
    assert_int_equal(status.error_offset, 13);
    assert_int_equal(status.error_event.size, CAIRN_UUID_TEXT_SIZE);
    assert_int_equal(status.position.offsets[0], 12);
    assert_non_null(strstr(status.error.data, "touchy.lua:7"));
    assert_non_null(strstr(status.error.data, "thirteen"));
    cairn_projector_stop(projector);
}

static void a_failing_view_stops_at_its_event_alone(void **state)
{
    struct world world;
    struct cairn_arena arena = {.max = 1u << 20};
    (void)state;
    make_stopped(&world, &arena);
    struct cairn_projector *projector = world_projector(&world);
    struct cairn_views *views = cairn_projector_views(projector);
    (void)world_wait_state(views, "touchy", CAIRN_VIEW_STOPPED, 1, &arena);
    assert_int_equal(world_number(views, "touchy", "all", "sum"), 78);
    assert_int_equal(world_number(views, "touchy", "n13", "seen"), -1);
    assert_int_equal(world_number(views, "touchy", "n12", "seen"), 1);
    add_numbers(&world, 21, 22);
    world_wait(&world, views, "sums");
    assert_int_equal(world_number(views, "sums", "x", "count"), 22);
    cairn_projector_stop(projector);
    cairn_arena_fini(&arena);
    world_end(&world);
}

/* Start with the mended script; the projector is stopped again. */
static void project_mended(struct world *world, struct cairn_arena *arena)
{
    world_view(world, "touchy", mended);
    world_load_domain(world);
    struct cairn_projector *projector = world_projector(world);
    struct cairn_views *views = cairn_projector_views(projector);
    (void)world_wait_state(views, "touchy", CAIRN_VIEW_LIVE, 2, arena);
    world_wait(world, views, "touchy");
    cairn_projector_stop(projector);
}

static void a_mended_script_makes_all_rows(void **state)
{
    struct world world;
    struct cairn_arena arena = {.max = 1u << 20};
    (void)state;
    make_stopped(&world, &arena);
    project_mended(&world, &arena);
    struct cairn_projector *projector = world_projector(&world);
    struct cairn_views *views = cairn_projector_views(projector);
    struct cairn_view_status status = world_status(views, "touchy", &arena);
    assert_int_equal(status.state, CAIRN_VIEW_LIVE);
    assert_int_equal(status.generation, 2);
    assert_int_equal(status.error.size, 0);
    assert_int_equal(world_number(views, "touchy", "all", "sum"), 210);
    assert_int_equal(world_number(views, "touchy", "n12", "seen"), 2);
    assert_int_equal(world_number(views, "touchy", "n13", "seen"), 2);
    cairn_projector_stop(projector);
    cairn_arena_fini(&arena);
    world_end(&world);
}

/* The build of the changed script fails at the same event: what stopped is read on. */
static void a_stopped_view_stays_as_it_is_when_its_change_fails_too(void **state)
{
    struct world world;
    struct cairn_arena arena = {.max = 1u << 20};
    char script[1024];
    (void)state;
    make_stopped(&world, &arena);
    (void)snprintf(script, sizeof script, "%s-- changed, and no better\n", touchy);
    world_view(&world, "touchy", script);
    world_load_domain(&world);
    struct cairn_projector *projector = world_projector(&world);
    struct cairn_views *views = cairn_projector_views(projector);
    add_numbers(&world, 21, 22);
    world_wait(&world, views, "sums");
    struct cairn_view_status status =
        world_wait_state(views, "touchy", CAIRN_VIEW_STOPPED, 1, &arena);
    assert_int_equal(status.generation, 1);
    assert_non_null(strstr(status.error.data, "thirteen"));
    assert_int_equal(world_number(views, "touchy", "all", "sum"), 78);
    cairn_projector_stop(projector);
    project_mended(&world, &arena);
    cairn_arena_fini(&arena);
    world_end(&world);
}

static struct cairn_projector *start_measured(const struct world *world,
                                              struct cairn_metrics **ret_metrics)
{
    struct cairn_projector_options options = world_options(world);
    struct cairn_projector *projector = NULL;
    struct cairn_err err;
    *ret_metrics = cairn_metrics_new();
    assert_non_null(*ret_metrics);
    options.metrics = *ret_metrics;
    assert_ok(cairn_projector_start(&options, &projector, &err), &err);
    return projector;
}

static uint64_t stopped_gauge(struct cairn_metrics *metrics)
{
    return cairn_metric_value(
        cairn_metrics_add(metrics, CAIRN_GAUGE, "cairn_view_stopped", "view=\"touchy\"", ""));
}

static void the_gauge_tells_that_the_live_generation_stands(void **state)
{
    struct world world;
    struct cairn_metrics *metrics = NULL;
    struct cairn_arena arena = {.max = 1u << 20};
    (void)state;
    make_stopped(&world, &arena);
    struct cairn_projector *projector = start_measured(&world, &metrics);
    (void)world_wait_state(cairn_projector_views(projector), "touchy", CAIRN_VIEW_STOPPED, 1,
                           &arena);
    cairn_projector_stop(projector);
    assert_int_equal(stopped_gauge(metrics), 1);
    cairn_metrics_free(metrics);
    project_mended(&world, &arena);
    /* A build that fails stops nothing. */
    world_view(&world, "touchy", touchy);
    world_load_domain(&world);
    projector = start_measured(&world, &metrics);
    struct cairn_views *views = cairn_projector_views(projector);
    struct cairn_view_status status = {.name = CAIRN_SLICE_NONE};
    for (int i = 0; i < 1000 && (status.error.size == 0 || status.rebuilding); i++) {
        world_wait_commit(views, "touchy");
        status = world_status(views, "touchy", &arena);
    }
    assert_int_equal(status.state, CAIRN_VIEW_LIVE);
    assert_true(status.error.size > 0);
    cairn_projector_stop(projector);
    assert_int_equal(stopped_gauge(metrics), 0);
    cairn_metrics_free(metrics);
    cairn_arena_fini(&arena);
    world_end(&world);
}

/* What stood is replaced by another: the gauge follows with no event. */
static void the_gauge_falls_when_another_generation_takes_the_place(void **state)
{
    struct world world;
    struct cairn_metrics *metrics = NULL;
    struct cairn_arena arena = {.max = 1u << 20};
    (void)state;
    make_stopped(&world, &arena);
    world_view(&world, "touchy", mended);
    world_load_domain(&world);
    struct cairn_projector *projector = start_measured(&world, &metrics);
    struct cairn_views *views = cairn_projector_views(projector);
    (void)world_wait_state(views, "touchy", CAIRN_VIEW_LIVE, 2, &arena);
    const struct cairn_clock *clock = cairn_clock_system();
    int64_t until_ns = cairn_clock_monotonic_ns(clock) + INT64_C(30000000000);
    while (stopped_gauge(metrics) != 0 && cairn_clock_monotonic_ns(clock) < until_ns) {
        (void)sched_yield();
    }
    assert_int_equal(stopped_gauge(metrics), 0);
    cairn_projector_stop(projector);
    cairn_metrics_free(metrics);
    cairn_arena_fini(&arena);
    world_end(&world);
}

static void a_raised_version_is_built_from_the_beginning(void **state)
{
    struct world world;
    struct cairn_arena arena = {.max = 1u << 20};
    (void)state;
    make_stopped(&world, &arena);
    world_view(&world, "touchy", raised);
    world_load_domain(&world);
    struct cairn_projector *projector = world_projector(&world);
    struct cairn_views *views = cairn_projector_views(projector);
    (void)world_wait_state(views, "touchy", CAIRN_VIEW_LIVE, 2, &arena);
    world_wait(&world, views, "touchy");
    assert_int_equal(world_number(views, "touchy", "n1", "seen"), 3);
    assert_int_equal(world_number(views, "touchy", "all", "sum"), 210);
    add_numbers(&world, 21, 21);
    world_wait(&world, views, "touchy");
    assert_int_equal(world_number(views, "touchy", "all", "sum"), 231);
    cairn_projector_stop(projector);
    cairn_arena_fini(&arena);
    world_end(&world);
}

/* Rows that cannot be: each stops the view at the first event and leaves nothing behind. */
static void a_bad_row_stops_the_view_and_says_why(void **state)
{
    static const struct {
        const char *call;
        const char *said;
    } cases[] = {
        {"view:put('k', 1)", "a row must be a table"},
        {"view:put('', {})", "the key has 0 bytes"},
        {"view:put(('k'):rep(401), {})", "the key has 401 bytes"},
        {"view:put(nil, {})", "the key must be a string"},
        {"view:put('k', { f = view.put })", "a function is no data"},
        {"view:put('k', { 1, 2, 3 })", "a row must be a table"},
        {"view:put('k', { t = ('x'):rep(600000), u = ('x'):rep(600000) })", "a row is larger than"},
        {"view:put('\\xff', {})", "not UTF-8"},
        {"while true do end", "instructions"},
        {"local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(100000) .. i end", "memory"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world world;
        struct cairn_arena arena = {.max = 1u << 20};
        char script[512];
        world_make(&world);
        (void)snprintf(script, sizeof script,
                       "local bad = view 'bad'\n"
                       "function bad.on.Added(view, event)\n"
                       "  view:put('before', {})\n"
                       "  %s\n"
                       "end\n",
                       cases[i].call);
        world_view(&world, "bad", script);
        world_begin(&world, 1);
        world_add(&world, "a", 1, "x", 1);
        struct cairn_projector *projector = world_projector(&world);
        struct cairn_views *views = cairn_projector_views(projector);
        struct cairn_view_status status =
            world_wait_state(views, "bad", CAIRN_VIEW_STOPPED, 1, &arena);
        if (strstr(status.error.data, cases[i].said) == NULL) {
            fail_msg("%s: \"%.*s\" does not say \"%s\"", cases[i].call,
                     CAIRN_SLICE_ARG(status.error), cases[i].said);
        }
        assert_int_equal(status.rows, 0);
        assert_int_equal(status.position.offsets[0], 0);
        cairn_projector_stop(projector);
        cairn_arena_fini(&arena);
        world_end(&world);
    }
}

/* The second of three events of a command fails: the first must not show. */
static void a_command_is_seen_whole_or_not_at_all(void **state)
{
    static const char script[] = "local half = view 'half'\n"
                                 "function half.on.Added(view, event)\n"
                                 "  view:put('e' .. event.version, { n = event.data.n })\n"
                                 "  if event.version == 5 then error('five') end\n"
                                 "end\n";
    struct world world;
    struct cairn_arena arena = {.max = 1u << 20};
    (void)state;
    world_make(&world);
    world_view(&world, "half", script);
    world_begin(&world, 1);
    world_add(&world, "a", 1, "x", 3);
    world_add(&world, "a", 2, "x", 3);
    struct cairn_projector *projector = world_projector(&world);
    struct cairn_views *views = cairn_projector_views(projector);
    struct cairn_view_status status =
        world_wait_state(views, "half", CAIRN_VIEW_STOPPED, 1, &arena);
    assert_int_equal(status.position.offsets[0], 3);
    assert_int_equal(status.error_offset, 5);
    assert_int_equal(status.rows, 3);
    assert_int_equal(world_number(views, "half", "e3", "n"), 1);
    assert_int_equal(world_number(views, "half", "e4", "n"), -1);
    cairn_projector_stop(projector);
    cairn_arena_fini(&arena);
    world_end(&world);
}

/* Sweep: whichever commit fails, the view ends up as the fold of the log. */
static void a_failing_commit_loses_and_doubles_nothing(void **state)
{
    (void)state;
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_KV_COMMIT) || after == 0; after++) {
        struct world world;
        struct cairn_err err;
        world_make(&world);
        world_view(&world, "sums", world_sums);
        world_begin(&world, 1);
        add_numbers(&world, 1, 5);
        const struct cairn_projector_options options = world_options(&world);
        struct cairn_projector *projector = NULL;
        cairn_fault_arm(CAIRN_FAULT_KV_COMMIT, after);
        if (cairn_projector_start(&options, &projector, &err) != CAIRN_OK) {
            projector = world_projector(&world);
        }
        for (int i = 6; i <= 8; i++) {
            add_numbers(&world, i, i);
            world_wait(&world, cairn_projector_views(projector), "sums");
        }
        struct cairn_views *views = cairn_projector_views(projector);
        assert_int_equal(world_number(views, "sums", "x", "sum"), 36);
        assert_int_equal(world_number(views, "sums", "x", "count"), 8);
        cairn_projector_stop(projector);
        bool fired = cairn_fault_fired(CAIRN_FAULT_KV_COMMIT);
        world_end(&world);
        if (!fired) {
            break;
        }
    }
    cairn_fault_disarm();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failing_view_stops_at_its_event_alone),
        cmocka_unit_test(a_mended_script_makes_all_rows),
        cmocka_unit_test(a_stopped_view_stays_as_it_is_when_its_change_fails_too),
        cmocka_unit_test(the_gauge_tells_that_the_live_generation_stands),
        cmocka_unit_test(the_gauge_falls_when_another_generation_takes_the_place),
        cmocka_unit_test(a_raised_version_is_built_from_the_beginning),
        cmocka_unit_test(a_bad_row_stops_the_view_and_says_why),
        cmocka_unit_test(a_command_is_seen_whole_or_not_at_all),
        cmocka_unit_test(a_failing_commit_loses_and_doubles_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
