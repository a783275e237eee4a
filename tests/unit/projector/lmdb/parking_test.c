/* Streams that a view parks while it follows: what is applied, and what waits. */
#include <sched.h>

#include "tests/support/cpu_time.h"
#include "tests/unit/projector/picky.h"

static void a_stream_that_fails_waits_and_the_others_flow(void **state)
{
    struct scene *scene = *state;
    picky_begin(scene, picky_parks, 4);
    for (int i = 1; i <= 30; i++) {
        picky_add(scene, "a", i, i == 11 ? "bad" : "x");
        picky_add(scene, "b", i, "x");
        picky_add(scene, "c", i, i == 29 ? "bad" : "x");
        picky_add(scene, "d", i, "x");
    }
    picky_catch_up(scene);
    assert_int_equal(picky_number(scene, "box-a"), 10);
    assert_int_equal(picky_number(scene, "box-b"), 30);
    assert_int_equal(picky_number(scene, "box-c"), 28);
    assert_int_equal(picky_number(scene, "box-d"), 30);
    assert_int_equal(picky_number(scene, "all"), 55 + 465 + 406 + 465);
    assert_int_equal(picky_number(scene, "trace-box-a"), -1);
    struct cairn_view_status status = world_status(scene->views, "picky", &scene->arena);
    assert_int_equal(status.state, CAIRN_VIEW_LIVE);
    assert_int_equal(status.parked, 2);
    assert_int_equal(picky_list(scene), 2);
    assert_true(cairn_slice_is(scene->rows[0].stream, "box-a"));
    assert_int_equal(scene->rows[0].version, 11);
    assert_int_equal(scene->rows[0].until_version, 0);
    assert_int_equal(scene->rows[0].event.size, CAIRN_UUID_TEXT_SIZE);
    assert_int_equal(scene->rows[0].partition,
                     cairn_store_partition_of(scene->world.store, scene->rows[0].stream));
    assert_true(scene->rows[0].offset > 0 && scene->rows[0].parked_us > 0);
    assert_true(picky_contains(scene->rows[0].error, "bad"));
    assert_true(cairn_slice_is(scene->rows[1].stream, "box-c"));
    assert_int_equal(scene->rows[1].version, 29);
}

/* The third event of a command of four fails: nothing of the command is there, nor of its stream
 * from then on, though the events before it could be applied. */
static void a_command_parks_as_a_whole(void **state)
{
    struct scene *scene = *state;
    picky_begin(scene, picky_parks, 1);
    picky_add(scene, "a", 1, "x");
    world_add(&scene->world, "b", 5, "x", 3);
    world_add(&scene->world, "a", 7, "even", 4);
    world_add(&scene->world, "b", 9, "even", 1);
    world_add(&scene->world, "a", 8, "x", 2);
    picky_catch_up(scene);
    assert_string_equal(picky_order(scene, "box-a"), "1,");
    assert_string_equal(picky_order(scene, "box-b"), "5,5,5,");
    assert_int_equal(picky_number(scene, "all"), 16);
    assert_int_equal(picky_list(scene), 2);
    assert_int_equal(scene->rows[0].version, 2);
    assert_int_equal(scene->rows[0].offset, 5);
    assert_int_equal(scene->rows[1].version, 4);
}

/* What the projector knows of parked streams it knows after a restart, too. */
static void a_restart_goes_on_leaving_them_out(void **state)
{
    struct scene *scene = *state;
    picky_begin(scene, picky_parks, 2);
    picky_add(scene, "a", 1, "bad");
    picky_add(scene, "b", 2, "x");
    picky_catch_up(scene);
    picky_stop(scene);
    picky_add(scene, "a", 3, "x");
    picky_add(scene, "b", 4, "x");
    picky_start(scene);
    picky_catch_up(scene);
    picky_add(scene, "a", 5, "x");
    picky_add(scene, "b", 6, "x");
    picky_catch_up(scene);
    assert_string_equal(picky_order(scene, "box-a"), "");
    assert_string_equal(picky_order(scene, "box-b"), "2,4,6,");
    assert_int_equal(picky_parked(scene), 1);
}

static void without_park_the_view_stops(void **state)
{
    struct scene *scene = *state;
    picky_begin(scene, picky_stops, 1);
    picky_add(scene, "a", 1, "x");
    picky_add(scene, "a", 2, "bad");
    picky_add(scene, "b", 3, "x");
    struct cairn_view_status status =
        world_wait_state(scene->views, "picky", CAIRN_VIEW_STOPPED, 1, &scene->arena);
    assert_int_equal(status.parked, 0);
    assert_int_equal(picky_number(scene, "box-b"), -1);
}

static void a_stopped_view_is_built_when_it_is_told_to_park(void **state)
{
    struct scene *scene = *state;
    picky_begin(scene, picky_stops, 1);
    picky_add(scene, "a", 1, "x");
    picky_add(scene, "a", 2, "bad");
    picky_add(scene, "b", 3, "x");
    (void)world_wait_state(scene->views, "picky", CAIRN_VIEW_STOPPED, 1, &scene->arena);
    picky_stop(scene);
    world_view(&scene->world, "picky", picky_parks);
    world_load_domain(&scene->world);
    picky_start(scene);
    struct cairn_view_status status =
        world_wait_state(scene->views, "picky", CAIRN_VIEW_LIVE, 2, &scene->arena);
    picky_catch_up(scene);
    assert_int_equal(status.generation, 2);
    assert_int_equal(status.parked, 1);
    assert_int_equal(picky_number(scene, "box-a"), 1);
    assert_int_equal(picky_number(scene, "box-b"), 1);
}

static void a_flood_of_bad_streams_ends_soon(void **state)
{
    enum { STREAMS = 3000 };
    struct scene *scene = *state;
    picky_begin(scene, picky_parks, 1);
    picky_stop(scene);
    world_add_streams(&scene->world, STREAMS, "bad");
    int64_t begun_ms = cpu_time_ms();
    picky_start(scene);
    picky_catch_up(scene);
    int64_t took_ms = cpu_time_ms() - begun_ms;
    print_message("%d streams parked in %lld ms of the processor\n", STREAMS, (long long)took_ms);
    assert_true(took_ms < 20000);
    assert_int_equal(picky_number(scene, "box-good"), STREAMS);
    assert_int_equal(picky_number(scene, "all"), STREAMS);
    assert_int_equal(picky_parked(scene), STREAMS);
    assert_int_equal(picky_list(scene), STREAMS);
}

static uint64_t gauge(struct cairn_metrics *metrics)
{
    return cairn_metric_value(
        cairn_metrics_add(metrics, CAIRN_GAUGE, "cairn_view_parked_streams", "view=\"picky\"", ""));
}

/* It is set a moment after the commit that readers see, and nothing tells when. */
static void expect_gauge(struct cairn_metrics *metrics, uint64_t wanted)
{
    const struct deadline deadline = deadline_begin();
    while (gauge(metrics) != wanted && !deadline_passed(&deadline)) {
        (void)sched_yield();
    }
    assert_int_equal(gauge(metrics), wanted);
}

static void start_measured(struct scene *scene, struct cairn_metrics *metrics)
{
    struct cairn_projector_options options = world_options(&scene->world);
    options.metrics = metrics;
    assert_ok(cairn_projector_start(&options, &scene->projector, &scene->err), &scene->err);
    scene->views = cairn_projector_views(scene->projector);
}

/* In one step, so that what was parked before the one too many commits with the stop. */
static void one_stream_too_many_stops_the_view_with_the_reason(void **state)
{
    struct scene *scene = *state;
    struct cairn_metrics *metrics = cairn_metrics_new();
    assert_non_null(metrics);
    picky_begin(scene, picky_parks, 1);
    picky_stop(scene);
    world_add_streams(&scene->world, CAIRN_PARKED_MAX + 1, "bad");
    picky_add(scene, "after", 1, "x");
    start_measured(scene, metrics);
    struct cairn_view_status status =
        world_wait_state(scene->views, "picky", CAIRN_VIEW_STOPPED, 1, &scene->arena);
    assert_int_equal(status.parked, CAIRN_PARKED_MAX);
    expect_gauge(metrics, CAIRN_PARKED_MAX);
    assert_int_equal(status.error_offset, 2 * CAIRN_PARKED_MAX + 1);
    assert_true(picky_contains(status.error, "more than 10000"));
    assert_int_equal(picky_list(scene), CAIRN_PARKED_MAX);
    assert_int_equal(picky_number(scene, "box-after"), -1);
    /* With one that is given up there is room, and the next start goes on. */
    assert_ok(picky_drop(scene, "box-s7"), &scene->err);
    expect_gauge(metrics, CAIRN_PARKED_MAX - 1);
    picky_stop(scene);
    cairn_metrics_free(metrics);
    picky_start(scene);
    picky_catch_up(scene);
    assert_int_equal(picky_number(scene, "box-after"), 1);
    assert_int_equal(picky_parked(scene), CAIRN_PARKED_MAX);
}

/* The projector is killed again and again while streams fail; what it parked and what it applied
 * belong together. */
static void kill_9_between_leaves_rows_and_parked_streams_together(void **state)
{
    struct scene *scene = *state;
    char id[16];
    int64_t good = 0;
    picky_begin_forked(scene);
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 60; i++) {
            (void)snprintf(id, sizeof id, "r%ds%d", round, i);
            picky_add(scene, id, 1, i % 3 == 0 ? "bad" : "x");
            picky_add(scene, id, 1, "x");
            good += i % 3 == 0 ? 0 : 2;
        }
        picky_kill(scene);
        scene->child = world_hand_over(&scene->world);
    }
    picky_kill(scene);
    picky_start(scene);
    picky_catch_up(scene);
    assert_int_equal(picky_number(scene, "all"), good);
    assert_int_equal(picky_parked(scene), 6 * 20);
    assert_int_equal(picky_list(scene), 6 * 20);
    for (size_t i = 0; i < 6 * 20; i++) {
        assert_int_equal(scene->rows[i].version, 1);
    }
}

/* What the metric says is what waits, after a retry, a drop and a restart, too. */
static void the_gauge_tells_how_many_wait(void **state)
{
    struct scene *scene = *state;
    picky_begin(scene, picky_parks, 1);
    picky_stop(scene);
    for (int round = 0; round < 2; round++) {
        struct cairn_metrics *metrics = cairn_metrics_new();
        assert_non_null(metrics);
        start_measured(scene, metrics);
        picky_add(scene, "w", 0, "x");
        picky_catch_up(scene);
        expect_gauge(metrics, round == 0 ? 0 : 1);
        if (round == 0) {
            picky_add(scene, "a", 1, "bad");
            picky_add(scene, "b", 2, "bad");
            picky_catch_up(scene);
            expect_gauge(metrics, 2);
            assert_ok(picky_drop(scene, "box-a"), &scene->err);
            picky_add(scene, "a", 3, "x");
            picky_catch_up(scene);
            expect_gauge(metrics, 1);
        }
        picky_stop(scene);
        cairn_metrics_free(metrics);
    }
    picky_start(scene);
}

/* An event that its upcaster cannot lift is one that the view cannot apply. */
static void an_upcaster_that_fails_parks_until_it_is_mended(void **state)
{
    static const char box[] = "local box = aggregate 'box'\n"
                              "function box.decide.Add(state, cmd) return event('Added', cmd) end\n"
                              "function box.evolve.Added(state, data) end\n"
                              "box.upcast.Added = { [1] = function(data)\n"
                              "  if data.to == 'odd' %s then error('cannot lift') end\n"
                              "  return data\n"
                              "end }\n";
    struct scene *scene = *state;
    char text[512];
    test_folder_write(scene->world.domain_folder, "schemas/events/Added.v1.json",
                      "{\"type\":\"object\"}");
    (void)snprintf(text, sizeof text, box, "");
    test_folder_write(scene->world.domain_folder, "box.lua", text);
    picky_begin(scene, picky_parks, 1);
    picky_add(scene, "a", 1, "odd");
    picky_add(scene, "a", 2, "x");
    picky_add(scene, "b", 3, "x");
    picky_catch_up(scene);
    assert_int_equal(picky_list(scene), 1);
    assert_true(picky_contains(scene->rows[0].error, "cannot lift"));
    assert_int_equal(picky_retry(scene, "box-a"), CAIRN_EINVAL);
    picky_stop(scene);
    (void)snprintf(text, sizeof text, box, "and false");
    test_folder_write(scene->world.domain_folder, "box.lua", text);
    world_load_domain(&scene->world);
    picky_start(scene);
    assert_ok(picky_retry(scene, "box-a"), &scene->err);
    assert_int_equal(scene->events, 2);
    picky_add(scene, "a", 4, "x");
    picky_catch_up(scene);
    assert_string_equal(picky_order(scene, "box-a"), "1,2,4,");
    assert_int_equal(world_status(scene->views, "picky", &scene->arena).generation, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PICKY_TEST(a_stream_that_fails_waits_and_the_others_flow),
        PICKY_TEST(a_command_parks_as_a_whole),
        PICKY_TEST(a_restart_goes_on_leaving_them_out),
        PICKY_TEST(without_park_the_view_stops),
        PICKY_TEST(a_stopped_view_is_built_when_it_is_told_to_park),
        PICKY_TEST(a_flood_of_bad_streams_ends_soon),
        PICKY_TEST(one_stream_too_many_stops_the_view_with_the_reason),
        PICKY_TEST(kill_9_between_leaves_rows_and_parked_streams_together),
        PICKY_TEST(the_gauge_tells_how_many_wait),
        PICKY_TEST(an_upcaster_that_fails_parks_until_it_is_mended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
