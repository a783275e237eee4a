/* Streams that a view parks: what is applied, what waits, and what an operator does with them. */
#include <signal.h>
#include <sys/wait.h>

#include "projector/parked.h"
#include "projector/replay.h"
#include "projector/views_int.h"
#include "tests/unit/projector/world.h"

/* Remembers the order of a stream's numbers. Puts rows before it fails, so that whatever is left of
 * a command that failed would be seen. */
#define PICKY_BODY                                                                                 \
    "local picky = view 'picky'\n"                                                                 \
    "picky.indexes = { 'n' }\n"                                                                    \
    "function picky.on.Added(view, event)\n"                                                       \
    "  local to = event.data.to\n"                                                                 \
    "  local row = view:get(event.stream) or { n = 0, order = '' }\n"                              \
    "  row.n = row.n + 1\n"                                                                        \
    "  row.order = row.order .. event.data.n .. ','\n"                                             \
    "  view:put(event.stream, row)\n"                                                              \
    "  local all = view:get('all') or { n = 0 }\n"                                                 \
    "  all.n = all.n + event.data.n\n"                                                             \
    "  view:put('all', all)\n"                                                                     \
    "  if to == 'ready' then view:put('ready', { n = 1 }) end\n"                                   \
    "  if to == 'needy' and not view:get('ready') then error('not ready') end\n"                   \
    "  if to == 'even' and event.version % 2 == 0 then error('even') end\n"                        \
    "  if to == 'bad' then\n"                                                                      \
    "    view:delete('all')\n"                                                                     \
    "    view:put('trace-' .. event.stream, { n = 1 })\n"                                          \
    "    error('bad')\n"                                                                           \
    "  end\n"                                                                                      \
    "end\n"
static const char picky[] = PICKY_BODY "picky.on_error = 'park'\n";
static const char stopping[] = PICKY_BODY "picky.on_error = 'stop'\n";

struct scene {
    struct world world;
    struct cairn_projector *projector;
    struct cairn_views *views;
    struct cairn_arena arena;
};

static void start(struct scene *scene)
{
    scene->projector = world_projector(&scene->world);
    scene->views = cairn_projector_views(scene->projector);
}

static void stop(struct scene *scene)
{
    cairn_projector_stop(scene->projector);
    scene->projector = NULL;
    scene->views = NULL;
}

static void scene_begin(struct scene *scene, const char *script, uint16_t partitions)
{
    *scene = (struct scene){.arena = {.max = 1u << 24}};
    world_make(&scene->world);
    world_view(&scene->world, "picky", script);
    world_begin(&scene->world, partitions);
    start(scene);
}

static void scene_end(struct scene *scene)
{
    stop(scene);
    cairn_arena_fini(&scene->arena);
    world_end(&scene->world);
}

static void add(struct scene *scene, const char *id, int64_t n, const char *to)
{
    world_add(&scene->world, id, n, to, 1);
}

static void catch_up(struct scene *scene)
{
    world_wait(&scene->world, scene->views, "picky");
}

static int64_t number(struct scene *scene, const char *key)
{
    return world_number(scene->views, "picky", key, "n");
}

/* The numbers of a stream in the order in which they were applied, in the scene's arena. */
static const char *order_of(struct scene *scene, const char *stream)
{
    struct cairn_value row;
    struct cairn_position position;
    struct cairn_err err;
    bool known = false;
    enum cairn_rc rc =
        cairn_view_get(scene->views, CAIRN_SLICE_LIT("picky"), cairn_slice_str(stream),
                       &scene->arena, &row, &position, &known, &err);
    if (rc == CAIRN_ENOENT) {
        return "";
    }
    assert_ok(rc, &err);
    const char *text = cairn_arena_printf(&scene->arena, "%.*s",
                                          CAIRN_SLICE_ARG(cairn_value_get_string(&row, "order")));
    assert_non_null(text);
    return text;
}

/* Beside the projector of this process, where there is one. */
static struct cairn_projector_options options_of(const struct scene *scene)
{
    struct cairn_projector_options options = world_options(&scene->world);
    options.views = scene->views;
    return options;
}

static bool contains(struct cairn_slice text, const char *part)
{
    return memmem(text.data, text.size, part, strlen(part)) != NULL;
}

static size_t list(struct scene *scene, struct cairn_parked **ret_rows)
{
    const struct cairn_projector_options options = options_of(scene);
    struct cairn_err err;
    size_t count = 0;
    assert_ok(cairn_view_parked(&options, CAIRN_SLICE_LIT("picky"), &scene->arena, ret_rows, &count,
                                &err),
              &err);
    return count;
}

static enum cairn_rc retry(struct scene *scene, const char *stream, uint64_t *ret_events,
                           struct cairn_err *err)
{
    const struct cairn_projector_options options = options_of(scene);
    return cairn_view_parked_retry(&options, CAIRN_SLICE_LIT("picky"), cairn_slice_str(stream),
                                   ret_events, err);
}

static enum cairn_rc drop(struct scene *scene, const char *stream, uint64_t *ret_events,
                          struct cairn_err *err)
{
    const struct cairn_projector_options options = options_of(scene);
    return cairn_view_parked_drop(&options, CAIRN_SLICE_LIT("picky"), cairn_slice_str(stream),
                                  ret_events, err);
}

static uint64_t parked_of(struct scene *scene)
{
    return world_status(scene->views, "picky", &scene->arena).parked;
}

static void a_stream_that_fails_waits_and_the_others_flow(void **state)
{
    struct scene scene;
    struct cairn_parked *rows = NULL;
    (void)state;
    scene_begin(&scene, picky, 4);
    for (int i = 1; i <= 30; i++) {
        add(&scene, "a", i, i == 11 ? "bad" : "x");
        add(&scene, "b", i, "x");
        add(&scene, "c", i, i == 29 ? "bad" : "x");
        add(&scene, "d", i, "x");
    }
    catch_up(&scene);
    assert_int_equal(number(&scene, "box-a"), 10);
    assert_int_equal(number(&scene, "box-b"), 30);
    assert_int_equal(number(&scene, "box-c"), 28);
    assert_int_equal(number(&scene, "box-d"), 30);
    assert_int_equal(number(&scene, "all"), 55 + 465 + 406 + 465);
    assert_int_equal(number(&scene, "trace-box-a"), -1);
    struct cairn_view_status status = world_status(scene.views, "picky", &scene.arena);
    assert_int_equal(status.state, CAIRN_VIEW_LIVE);
    assert_int_equal(status.parked, 2);
    assert_int_equal(list(&scene, &rows), 2);
    assert_true(cairn_slice_is(rows[0].stream, "box-a"));
    assert_int_equal(rows[0].version, 11);
    assert_int_equal(rows[0].until_version, 0);
    assert_int_equal(rows[0].event.size, CAIRN_UUID_TEXT_SIZE);
    assert_int_equal(rows[0].partition,
                     cairn_store_partition_of(scene.world.store, rows[0].stream));
    assert_true(rows[0].offset > 0 && rows[0].parked_us > 0);
    assert_true(contains(rows[0].error, "bad"));
    assert_true(cairn_slice_is(rows[1].stream, "box-c"));
    assert_int_equal(rows[1].version, 29);
    scene_end(&scene);
}

/* The third event of a command of four fails: nothing of the command is there, nor of its stream
 * from then on, though the events before it could be applied. */
static void a_command_parks_as_a_whole(void **state)
{
    struct scene scene;
    struct cairn_parked *rows = NULL;
    (void)state;
    scene_begin(&scene, picky, 1);
    add(&scene, "a", 1, "x");
    world_add(&scene.world, "b", 5, "x", 3);
    world_add(&scene.world, "a", 7, "even", 4);
    world_add(&scene.world, "b", 9, "even", 1);
    world_add(&scene.world, "a", 8, "x", 2);
    catch_up(&scene);
    assert_string_equal(order_of(&scene, "box-a"), "1,");
    assert_string_equal(order_of(&scene, "box-b"), "5,5,5,");
    assert_int_equal(number(&scene, "all"), 16);
    assert_int_equal(list(&scene, &rows), 2);
    assert_int_equal(rows[0].version, 2);
    assert_int_equal(rows[0].offset, 5);
    assert_int_equal(rows[1].version, 4);
    scene_end(&scene);
}

/* What the projector knows of parked streams it knows after a restart, too. */
static void a_restart_goes_on_leaving_them_out(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene, picky, 2);
    add(&scene, "a", 1, "bad");
    add(&scene, "b", 2, "x");
    catch_up(&scene);
    stop(&scene);
    add(&scene, "a", 3, "x");
    add(&scene, "b", 4, "x");
    start(&scene);
    catch_up(&scene);
    add(&scene, "a", 5, "x");
    add(&scene, "b", 6, "x");
    catch_up(&scene);
    assert_string_equal(order_of(&scene, "box-a"), "");
    assert_string_equal(order_of(&scene, "box-b"), "2,4,6,");
    assert_int_equal(parked_of(&scene), 1);
    scene_end(&scene);
}

static void without_park_the_view_stops(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene, stopping, 1);
    add(&scene, "a", 1, "x");
    add(&scene, "a", 2, "bad");
    add(&scene, "b", 3, "x");
    struct cairn_view_status status =
        world_wait_state(scene.views, "picky", CAIRN_VIEW_STOPPED, 1, &scene.arena);
    assert_int_equal(status.parked, 0);
    assert_int_equal(number(&scene, "box-b"), -1);
    scene_end(&scene);
}

/* A view that stopped goes on once its definition parks. */
static void a_stopped_view_goes_on_when_it_is_told_to_park(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene, stopping, 1);
    add(&scene, "a", 1, "x");
    add(&scene, "a", 2, "bad");
    add(&scene, "b", 3, "x");
    (void)world_wait_state(scene.views, "picky", CAIRN_VIEW_STOPPED, 1, &scene.arena);
    stop(&scene);
    world_view(&scene.world, "picky", picky);
    world_load_domain(&scene.world);
    start(&scene);
    catch_up(&scene);
    struct cairn_view_status status = world_status(scene.views, "picky", &scene.arena);
    assert_int_equal(status.state, CAIRN_VIEW_LIVE);
    assert_int_equal(status.generation, 1);
    assert_int_equal(status.parked, 1);
    assert_int_equal(number(&scene, "box-a"), 1);
    assert_int_equal(number(&scene, "box-b"), 1);
    scene_end(&scene);
}

static void a_retry_applies_what_waits_in_order_and_the_stream_flows_again(void **state)
{
    struct scene scene;
    struct cairn_err err;
    struct cairn_parked *rows = NULL;
    uint64_t events = 0;
    (void)state;
    scene_begin(&scene, picky, 2);
    add(&scene, "a", 1, "x");
    add(&scene, "a", 2, "needy");
    world_add(&scene.world, "a", 3, "x", 2);
    for (int i = 4; i < 2100; i++) { /* more than one page */
        world_add(&scene.world, "a", i, "x", 1);
    }
    catch_up(&scene);
    assert_string_equal(order_of(&scene, "box-a"), "1,");
    assert_int_equal(retry(&scene, "box-b", &events, &err), CAIRN_ENOENT);
    add(&scene, "b", 0, "ready");
    catch_up(&scene);
    assert_ok(retry(&scene, "box-a", &events, &err), &err);
    assert_int_equal(events, 1 + 2 + 2096);
    assert_int_equal(number(&scene, "box-a"), 1 + 1 + 2 + 2096);
    assert_int_equal(strncmp(order_of(&scene, "box-a"), "1,2,3,3,4,5,6,", 14), 0);
    assert_int_equal(list(&scene, &rows), 0);
    assert_int_equal(parked_of(&scene), 0);
    add(&scene, "a", 7, "x");
    catch_up(&scene);
    assert_int_equal(number(&scene, "box-a"), 2101);
    assert_int_equal(retry(&scene, "box-a", &events, &err), CAIRN_ENOENT);
    scene_end(&scene);
}

static void a_retry_that_fails_changes_nothing_but_the_reason(void **state)
{
    struct scene scene;
    struct cairn_err err;
    struct cairn_parked *rows = NULL;
    uint64_t events = 0;
    (void)state;
    scene_begin(&scene, picky, 1);
    add(&scene, "a", 1, "needy");
    add(&scene, "a", 2, "x");
    add(&scene, "a", 3, "bad");
    add(&scene, "b", 4, "ready");
    catch_up(&scene);
    assert_int_equal(list(&scene, &rows), 1);
    assert_int_equal(rows[0].offset, 1);
    assert_int_equal(retry(&scene, "box-a", &events, &err), CAIRN_EINVAL);
    assert_non_null(strstr(err.text, "bad"));
    assert_int_equal(list(&scene, &rows), 1);
    assert_int_equal(rows[0].version, 1);
    assert_int_equal(rows[0].offset, 3);
    assert_true(contains(rows[0].error, "bad"));
    assert_string_equal(order_of(&scene, "box-a"), "");
    assert_int_equal(number(&scene, "all"), 4);
    add(&scene, "a", 5, "x");
    add(&scene, "b", 6, "x");
    catch_up(&scene);
    assert_string_equal(order_of(&scene, "box-a"), "");
    assert_int_equal(number(&scene, "all"), 10);
    scene_end(&scene);
}

static void what_was_given_up_stays_out_and_the_stream_flows_again(void **state)
{
    struct scene scene;
    struct cairn_err err;
    struct cairn_parked *rows = NULL;
    uint64_t events = 0;
    (void)state;
    scene_begin(&scene, picky, 1);
    add(&scene, "a", 1, "x");
    add(&scene, "a", 2, "bad");
    add(&scene, "a", 3, "x");
    catch_up(&scene);
    assert_int_equal(drop(&scene, "box-none", &events, &err), CAIRN_ENOENT);
    assert_ok(drop(&scene, "box-a", &events, &err), &err);
    assert_int_equal(events, 2);
    assert_int_equal(drop(&scene, "box-a", &events, &err), CAIRN_ENOENT);
    assert_int_equal(parked_of(&scene), 0);
    add(&scene, "a", 4, "x");
    add(&scene, "a", 5, "bad");
    add(&scene, "a", 6, "x");
    catch_up(&scene);
    assert_string_equal(order_of(&scene, "box-a"), "1,4,");
    assert_int_equal(list(&scene, &rows), 2);
    assert_int_equal(rows[0].version, 2);
    assert_int_equal(rows[0].until_version, 3);
    assert_int_equal(rows[1].version, 5);
    assert_int_equal(rows[1].until_version, 0);
    stop(&scene);
    start(&scene);
    add(&scene, "a", 7, "x");
    catch_up(&scene);
    assert_string_equal(order_of(&scene, "box-a"), "1,4,");
    scene_end(&scene);
}

static void a_flood_of_bad_streams_ends_soon(void **state)
{
    enum { STREAMS = 3000 };
    struct scene scene;
    struct cairn_parked *rows = NULL;
    char id[16];
    (void)state;
    scene_begin(&scene, picky, 2);
    stop(&scene);
    for (int i = 0; i < STREAMS; i++) {
        (void)snprintf(id, sizeof id, "s%d", i);
        world_add(&scene.world, id, 1, "bad", 1);
        world_add(&scene.world, "good", 1, "x", 1);
    }
    const struct cairn_clock *clock = cairn_clock_system();
    int64_t begun_ns = cairn_clock_monotonic_ns(clock);
    start(&scene);
    catch_up(&scene);
    int64_t took_ms = (cairn_clock_monotonic_ns(clock) - begun_ns) / 1000000;
    print_message("%d streams parked in %lld ms\n", STREAMS, (long long)took_ms);
    assert_true(took_ms < 20000);
    assert_int_equal(number(&scene, "box-good"), STREAMS);
    assert_int_equal(number(&scene, "all"), STREAMS);
    assert_int_equal(parked_of(&scene), STREAMS);
    assert_int_equal(list(&scene, &rows), STREAMS);
    scene_end(&scene);
}

/* The live view, held against a replay of the log by its definition, beside whoever follows. */
static uint64_t differences_of(struct scene *scene)
{
    const struct cairn_projector_options options = world_options(&scene->world);
    const struct cairn_compare_request request = {.view = CAIRN_SLICE_LIT("picky"), .stored = true};
    struct cairn_compare_report report;
    struct cairn_err err;
    assert_ok(cairn_view_compare(&options, &request, NULL, &report, &err), &err);
    assert_true(report.compared);
    return report.differences;
}

/* Streams that were tried again with success would fail in a replay where they failed at first: one
 * waits for `ready`, and another for what that one puts. */
static void a_view_equals_its_replay_after_retry_and_drop(void **state)
{
    struct scene scene;
    struct cairn_err err;
    uint64_t events = 0;
    (void)state;
    scene_begin(&scene,
                PICKY_BODY "local on = picky.on.Added\n"
                           "function picky.on.Added(view, event)\n"
                           "  if event.data.to == 'after-b' and not view:get('box-b')\n"
                           "  then error('no b') end\n"
                           "  on(view, event)\n"
                           "end\n"
                           "picky.on_error = 'park'\n",
                2);
    add(&scene, "a", 1, "after-b");
    add(&scene, "b", 2, "needy");
    add(&scene, "c", 3, "bad");
    add(&scene, "d", 4, "bad");
    add(&scene, "a", 5, "x");
    add(&scene, "b", 6, "x");
    add(&scene, "c", 7, "x");
    add(&scene, "e", 8, "ready");
    catch_up(&scene);
    assert_ok(retry(&scene, "box-b", &events, &err), &err);
    assert_ok(retry(&scene, "box-a", &events, &err), &err);
    assert_ok(drop(&scene, "box-c", &events, &err), &err);
    add(&scene, "a", 9, "x");
    add(&scene, "b", 10, "x");
    add(&scene, "c", 11, "x");
    add(&scene, "b", 12, "bad");
    add(&scene, "b", 13, "x");
    catch_up(&scene);
    stop(&scene);
    assert_int_equal(differences_of(&scene), 0);
    start(&scene);
    assert_string_equal(order_of(&scene, "box-a"), "1,5,9,");
    assert_string_equal(order_of(&scene, "box-b"), "2,6,10,");
    assert_string_equal(order_of(&scene, "box-c"), "11,");
    assert_string_equal(order_of(&scene, "box-d"), "");
    assert_int_equal(parked_of(&scene), 2);
    scene_end(&scene);
}

/* In one step, so that what was parked before the one too many commits with the stop. */
static void one_stream_too_many_stops_the_view_with_the_reason(void **state)
{
    struct scene scene;
    struct cairn_parked *rows = NULL;
    char id[16];
    (void)state;
    scene_begin(&scene, picky, 1);
    stop(&scene);
    for (int i = 0; i <= CAIRN_PARKED_MAX; i++) {
        (void)snprintf(id, sizeof id, "s%d", i);
        world_add(&scene.world, id, 1, "bad", 1);
    }
    add(&scene, "after", 1, "x");
    start(&scene);
    struct cairn_view_status status =
        world_wait_state(scene.views, "picky", CAIRN_VIEW_STOPPED, 1, &scene.arena);
    assert_int_equal(status.parked, CAIRN_PARKED_MAX);
    assert_int_equal(status.error_offset, CAIRN_PARKED_MAX + 1);
    assert_true(contains(status.error, "more than 10000"));
    assert_int_equal(list(&scene, &rows), CAIRN_PARKED_MAX);
    assert_int_equal(number(&scene, "box-after"), -1);
    scene_end(&scene);
}

static void a_build_parks_too_and_is_switched(void **state)
{
    struct scene scene;
    struct cairn_rebuild_result result;
    struct cairn_parked *rows = NULL;
    struct cairn_err err;
    const struct cairn_rebuild_request request = {.view = CAIRN_SLICE_LIT("picky")};
    (void)state;
    scene_begin(&scene, picky, 2);
    add(&scene, "a", 1, "needy");
    add(&scene, "b", 2, "bad");
    add(&scene, "c", 3, "ready");
    catch_up(&scene);
    assert_int_equal(parked_of(&scene), 2);
    stop(&scene);
    const struct cairn_projector_options options = world_options(&scene.world);
    assert_ok(cairn_view_rebuild(&options, &request, NULL, &result, &err), &err);
    assert_int_equal(result.generation, 2);
    start(&scene);
    add(&scene, "a", 4, "x");
    add(&scene, "b", 5, "x");
    add(&scene, "c", 6, "x");
    catch_up(&scene);
    assert_string_equal(order_of(&scene, "box-b"), "");
    assert_string_equal(order_of(&scene, "box-c"), "3,6,");
    size_t count = list(&scene, &rows);
    assert_int_equal(count, 2);
    assert_int_equal(parked_of(&scene), 2);
    assert_true(cairn_slice_is(rows[0].stream, "box-a"));
    assert_true(cairn_slice_is(rows[1].stream, "box-b"));
    scene_end(&scene);
}

static void end_child(pid_t child)
{
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* LMDB and the log forbid use across fork: the child is forked before anything is open. */
static pid_t scene_begin_forked(struct scene *scene)
{
    *scene = (struct scene){.arena = {.max = 1u << 24}};
    world_make(&scene->world);
    world_view(&scene->world, "picky", picky);
    world_begin(&scene->world, 2);
    cairn_store_close(scene->world.store);
    scene->world.store = NULL;
    pid_t child = world_fork_projector(&scene->world);
    world_open_store(&scene->world, true, 0);
    return child;
}

static void open_views(struct scene *scene)
{
    struct cairn_err err;
    assert_ok(cairn_views_open_writer(scene->world.data, true, &scene->views, &err), &err);
}

/* Streams are parked, tried again and given up while a projector of another process follows. Each
 * event of a stream that is not parked in the end is there once, in order. */
static void under_load_a_retry_beside_another_process_loses_and_doubles_nothing(void **state)
{
    enum { ROUNDS = 40, STREAMS = 5 };
    struct scene scene;
    struct cairn_err err;
    char id[16];
    char stream[24];
    uint64_t events = 0;
    int64_t sum = 0;
    (void)state;
    pid_t child = scene_begin_forked(&scene);
    open_views(&scene);
    for (int i = 0; i < STREAMS; i++) {
        (void)snprintf(id, sizeof id, "s%d", i);
        add(&scene, id, 1, "needy");
    }
    catch_up(&scene);
    assert_int_equal(parked_of(&scene), STREAMS);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < STREAMS; i++) {
            (void)snprintf(id, sizeof id, "s%d", i);
            add(&scene, id, round + 2, "x");
        }
        if (round == 5) {
            add(&scene, "helper", 0, "ready");
            catch_up(&scene);
        }
        if (round >= 10 && round < 10 + STREAMS) {
            (void)snprintf(stream, sizeof stream, "box-s%d", round - 10);
            assert_ok(retry(&scene, stream, &events, &err), &err);
            assert_true(events >= 1);
        }
    }
    catch_up(&scene);
    cairn_views_close(scene.views);
    assert_int_equal(differences_of(&scene), 0);
    open_views(&scene);
    for (int i = 0; i < STREAMS; i++) {
        char wanted[256] = "";
        size_t used = 0;
        for (int n = 1; n <= ROUNDS + 1; n++) {
            used += (size_t)snprintf(wanted + used, sizeof wanted - used, "%d,", n);
            sum += n;
        }
        (void)snprintf(stream, sizeof stream, "box-s%d", i);
        assert_string_equal(order_of(&scene, stream), wanted);
    }
    assert_int_equal(number(&scene, "all"), sum);
    assert_int_equal(parked_of(&scene), 0);
    end_child(child);
    cairn_views_close(scene.views);
    scene.views = NULL;
    scene_end(&scene);
}

/* The projector is killed again and again while streams fail; what it parked and what it applied
 * belong together. */
static void kill_9_between_leaves_rows_and_parked_streams_together(void **state)
{
    struct scene scene;
    struct cairn_parked *rows = NULL;
    char id[16];
    int64_t good = 0;
    (void)state;
    pid_t child = scene_begin_forked(&scene);
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 60; i++) {
            (void)snprintf(id, sizeof id, "r%ds%d", round, i);
            add(&scene, id, 1, i % 3 == 0 ? "bad" : "x");
            add(&scene, id, 1, "x");
            good += i % 3 == 0 ? 0 : 2;
        }
        end_child(child);
        cairn_store_close(scene.world.store);
        scene.world.store = NULL;
        child = world_fork_projector(&scene.world);
        world_open_store(&scene.world, true, 0);
    }
    end_child(child);
    start(&scene);
    catch_up(&scene);
    assert_int_equal(number(&scene, "all"), good);
    assert_int_equal(parked_of(&scene), 6 * 20);
    assert_int_equal(list(&scene, &rows), 6 * 20);
    for (size_t i = 0; i < 6 * 20; i++) {
        assert_int_equal(rows[i].version, 1);
    }
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_that_fails_waits_and_the_others_flow),
        cmocka_unit_test(a_command_parks_as_a_whole),
        cmocka_unit_test(a_restart_goes_on_leaving_them_out),
        cmocka_unit_test(without_park_the_view_stops),
        cmocka_unit_test(a_stopped_view_goes_on_when_it_is_told_to_park),
        cmocka_unit_test(a_retry_applies_what_waits_in_order_and_the_stream_flows_again),
        cmocka_unit_test(a_retry_that_fails_changes_nothing_but_the_reason),
        cmocka_unit_test(what_was_given_up_stays_out_and_the_stream_flows_again),
        cmocka_unit_test(a_view_equals_its_replay_after_retry_and_drop),
        cmocka_unit_test(a_flood_of_bad_streams_ends_soon),
        cmocka_unit_test(one_stream_too_many_stops_the_view_with_the_reason),
        cmocka_unit_test(a_build_parks_too_and_is_switched),
        cmocka_unit_test(under_load_a_retry_beside_another_process_loses_and_doubles_nothing),
        cmocka_unit_test(kill_9_between_leaves_rows_and_parked_streams_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
