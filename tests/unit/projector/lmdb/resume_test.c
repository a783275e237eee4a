#include "platform/fault.h"
#include "tests/unit/projector/marked.h"

/* A live view of many batches. */
static void make_long(struct world *world, int commands)
{
    marked_write(world, 1, -1);
    world_open_store(world, true, 2);
    for (int i = 0; i < commands; i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "s%d", i % 5);
        world_add(world, id, 1, "x", 200);
    }
    marked_project(world, 1);
}

static void a_cancelled_build_is_gone_on_with(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    make_long(world, 20);
    marked_interrupt(world, 1);
    assert_true(marked_look(world).rebuilding);
    world_add(world, "s1", 1, "x", 100);
    marked_must_rebuild(scene);
    assert_true(scene->result.resumed);
    assert_int_equal(scene->result.events, 4100);
    assert_int_equal(scene->result.generation, 2);
    assert_int_equal(marked_look(world).sum, 4100);
    assert_false(marked_look(world).rebuilding);
    marked_verify(world);
    marked_must_rebuild(scene);
    assert_false(scene->result.resumed);
}

static void a_build_of_another_definition_begins_anew(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    make_long(world, 20);
    marked_write(world, 2, -1);
    marked_interrupt(world, 1);
    marked_write(world, 3, -1);
    marked_must_rebuild(scene);
    assert_false(scene->result.resumed);
    assert_int_equal(marked_look(world).mark, 3);
    assert_int_equal(marked_look(world).sum, 4000);
    marked_verify(world);
}

/* In batches of 1,000, so that the log's end is near long before it is reached. */
static void a_first_build_holds_the_whole_log(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    const struct cairn_rebuild_request request = {.view = MARKED, .throttle = 10000};
    marked_write(world, 1, -1);
    world_open_store(world, true, 2);
    for (int i = 0; i < 17; i++) {
        world_add(world, i % 2 == 0 ? "a" : "b", 1, "x", 200);
    }
    const struct cairn_projector_options options = world_options(world);
    assert_ok(cairn_view_rebuild(&options, &request, NULL, &scene->result, &scene->err),
              &scene->err);
    assert_int_equal(scene->result.events, 3400);
    assert_null(scene->result.not_compared);
    assert_int_equal(marked_look(world).sum, 3400);
}

static void a_projector_goes_on_with_a_build_of_its_changed_definition(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    make_long(world, 20);
    marked_write(world, 2, -1);
    marked_interrupt(world, 1);
    marked_project(world, 2);
    assert_int_equal(marked_look(world).mark, 2);
    marked_verify(world);
}

static void a_projector_leaves_a_build_of_its_live_definition_to_who_began_it(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    make_long(world, 20);
    marked_interrupt(world, 1);
    world_add(world, "s1", 1, "x", 100);
    struct cairn_projector *projector = world_projector(world);
    world_wait(world, cairn_projector_views(projector), "marked");
    cairn_projector_stop(projector);
    assert_int_equal(marked_look(world).generation, 1);
    assert_true(marked_look(world).rebuilding);
    marked_must_rebuild(scene);
    assert_true(scene->result.resumed);
    assert_int_equal(scene->result.generation, 2);
    assert_int_equal(scene->result.events, 4100);
    marked_verify(world);
}

static void a_projector_drops_a_build_of_another_definition(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    uint64_t counts[CAIRN_VIEW_SLOTS];
    make_long(world, 20);
    marked_write(world, 2, -1);
    marked_interrupt(world, 1);
    marked_write(world, 1, -1);
    marked_project(world, 1);
    assert_false(marked_look(world).rebuilding);
    assert_int_equal(marked_look(world).generation, 1);
    marked_slots(world, counts);
    assert_int_equal(counts[0] + counts[1] + counts[2], 6);
}

static void a_build_that_fails_is_dropped(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    uint64_t counts[CAIRN_VIEW_SLOTS];
    make_long(world, 2);
    world_add(world, "s1", 9, "x", 1);
    marked_write(world, 2, 9);
    assert_int_equal(marked_rebuild(world, NULL, &scene->result, &scene->err), CAIRN_EINVAL);
    assert_non_null(strstr(scene->err.text, "refused"));
    assert_false(marked_look(world).rebuilding);
    assert_int_equal(marked_look(world).mark, 1);
    marked_slots(world, counts);
    assert_int_equal(counts[0] + counts[1] + counts[2], 3);
}

/* As far as a build may come. */
struct barrier {
    uint64_t events;
};

static void stand_still(void *self, const struct cairn_rebuild_progress *progress)
{
    const struct barrier *barrier = self;
    while (progress->done >= barrier->events) {
        (void)pause();
    }
}

/* Rebuild in a process of its own, slowly, so that it tells how far it is, and to a barrier. */
static pid_t fork_rebuild(struct world *world, uint64_t events)
{
    pid_t child = world_fork();
    if (child == 0) {
        struct cairn_rebuild_result result;
        struct cairn_err err;
        struct barrier barrier = {.events = events};
        world_open_store(world, false, 0);
        const struct cairn_projector_options options = world_options(world);
        const struct cairn_rebuild_request request = {.view = MARKED, .throttle = 4000};
        const struct cairn_rebuild_hooks hooks = {.progress = stand_still, .self = &barrier};
        _exit(cairn_view_rebuild(&options, &request, &hooks, &result, &err) == CAIRN_OK ? 0 : 1);
    }
    return child;
}

static void wait_for_progress(const struct world *world, uint64_t done)
{
    const struct deadline deadline = deadline_begin();
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_views *views = NULL;
    struct cairn_err err;
    struct cairn_view_status status = {.rebuild_done = 0};
    assert_ok(cairn_views_open(world->data, &views, &err), &err);
    while (status.rebuild_done < done && !deadline_passed(&deadline)) {
        cairn_arena_reset(&arena);
        world_wait_commit(views, "marked");
        status = world_status(views, "marked", &arena);
    }
    assert_true(status.rebuilding);
    assert_true(status.rebuild_done >= done);
    assert_int_equal(status.rebuild_all, world->appended);
    cairn_views_close(views);
    cairn_arena_fini(&arena);
}

static void a_killed_build_is_gone_on_with(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    make_long(world, 40);
    world_close_store(world);
    for (int round = 1; round <= 3; round++) {
        uint64_t events = UINT64_C(1000) * (uint64_t)round;
        pid_t child = fork_rebuild(world, events);
        wait_for_progress(world, events);
        world_kill(child);
    }
    world_open_store(world, true, 0);
    marked_must_rebuild(scene);
    assert_true(scene->result.resumed);
    assert_int_equal(scene->result.events, 8000);
    assert_true(scene->result.compared);
    assert_int_equal(scene->result.before.sum, scene->result.after.sum);
    assert_int_equal(scene->result.before.rows, 6);
    marked_verify(world);
}

/* Rebuild and roll back in a process of its own, so often. */
static pid_t fork_switches(struct world *world, int count)
{
    pid_t child = world_fork();
    if (child == 0) {
        struct cairn_rebuild_result result;
        struct cairn_err err;
        int done = 0;
        world_open_store(world, false, 0);
        while (done < count) {
            enum cairn_rc rc = done % 2 == 0 ? marked_rebuild(world, NULL, &result, &err)
                                             : marked_rollback(world, NULL, &result, &err);
            if (rc != CAIRN_OK && rc != CAIRN_ELOCKED) {
                (void)fprintf(stderr, "%s\n", err.text);
                _exit(1);
            }
            done += rc == CAIRN_OK;
        }
        _exit(0);
    }
    return child;
}

static void a_projector_that_starts_keeps_what_was_switched_in(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    int status = 0;
    make_long(world, 3);
    world_close_store(world);
    pid_t child = fork_switches(world, 60);
    world_open_store(world, true, 0);
    while (waitpid(child, &status, WNOHANG) == 0) {
        struct cairn_projector *projector = world_projector(world);
        world_add(world, "s1", 1, "x", 1);
        world_wait(world, cairn_projector_views(projector), "marked");
        cairn_projector_stop(projector);
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    marked_project(world, 61);
    assert_int_equal(marked_look(world).generation, 61);
    assert_int_equal(marked_look(world).sum, world->appended);
    marked_verify(world);
}

static void wait_for_commits(const struct world *world, unsigned count)
{
    struct cairn_views *views = NULL;
    struct cairn_err err;
    assert_ok(cairn_views_open(world->data, &views, &err), &err);
    for (unsigned i = 0; i < count; i++) {
        world_wait_commit(views, "marked");
    }
    cairn_views_close(views);
}

static void a_kill_at_any_moment_of_a_switch_leaves_a_whole_view(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    uint64_t counts[CAIRN_VIEW_SLOTS];
    uint64_t generation = 1;
    unsigned seed = (unsigned)cairn_clock_now_us(cairn_clock_system());
    print_message("seed %u\n", seed);
    make_long(world, 3);
    world_close_store(world);
    for (int round = 0; round < 20; round++) {
        pid_t child = fork_switches(world, INT32_MAX);
        wait_for_commits(world, 1 + (unsigned)rand_r(&seed) % 12);
        world_kill(child);
        struct marked marked = marked_look(world);
        assert_int_equal(marked.sum, 600);
        assert_true(marked.generation >= generation);
        generation = marked.generation;
    }
    world_open_store(world, true, 0);
    marked_must_rebuild(scene);
    assert_int_equal(scene->result.generation, generation + 1);
    marked_slots(world, counts);
    assert_int_equal(counts[0] + counts[1] + counts[2], scene->result.kept ? 8 : 4);
    marked_verify(world);
}

/* Somebody took the live rows apart. */
static void damage(const struct world *world)
{
    struct cairn_views *views = NULL;
    struct cairn_view_tables tables;
    struct cairn_view_head head;
    struct cairn_kv_txn *txn = NULL;
    struct cairn_err err;
    assert_ok(cairn_views_open_writer(world->data, true, &views, &err), &err);
    assert_ok(cairn_views_tables(views, MARKED, &tables, &err), &err);
    assert_ok(cairn_kv_write_begin(cairn_views_kv(views), &txn, &err), &err);
    assert_ok(
        cairn_view_head_get(txn, cairn_views_meta(views), CAIRN_SIDE_LIVE, MARKED, &head, &err),
        &err);
    assert_ok(cairn_kv_delete(txn, tables.rows[head.slot], CAIRN_SLICE_LIT("box-s3"), &err), &err);
    assert_ok(cairn_kv_commit(txn, &err), &err);
    cairn_views_close(views);
}

static void a_rebuild_tells_that_the_live_rows_were_wrong(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    make_long(world, 10);
    world_add(world, "later", 1, "x", 10); /* behind the live view: not compared */
    marked_must_rebuild(scene);
    assert_true(scene->result.compared);
    assert_int_equal(scene->result.before.rows, 6);
    assert_int_equal(scene->result.before.rows, scene->result.after.rows);
    assert_int_equal(scene->result.before.sum, scene->result.after.sum);
    assert_int_equal(scene->result.rows, 7);
    damage(world);
    marked_must_rebuild(scene);
    assert_true(scene->result.compared);
    assert_int_equal(scene->result.before.rows, 6);
    assert_int_equal(scene->result.after.rows, 7);
    assert_true(scene->result.before.sum != scene->result.after.sum);
    marked_verify(world);
    marked_write(world, 2, -1);
    marked_must_rebuild(scene);
    assert_false(scene->result.compared);
    assert_string_equal(scene->result.not_compared, "they are by different definitions");
}

static void slots_go_round_and_two_hold_rows(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    uint64_t counts[CAIRN_VIEW_SLOTS];
    make_long(world, 5);
    for (uint64_t i = 0; i < 7; i++) {
        marked_must_rebuild(scene);
        assert_int_equal(scene->result.generation, 2 + i);
        assert_true(scene->result.kept);
        marked_slots(world, counts);
        assert_int_equal(counts[0] + counts[1] + counts[2], 12);
    }
}

static void a_throttled_build_takes_its_time(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    const struct cairn_rebuild_request request = {.view = MARKED, .throttle = 5000};
    make_long(world, 10);
    const struct cairn_projector_options options = world_options(world);
    assert_ok(cairn_view_rebuild(&options, &request, NULL, &scene->result, &scene->err),
              &scene->err);
    assert_true(scene->result.seconds > 0.3);
    assert_int_equal(scene->result.events, 2000);
}

/* Whatever fails, the live view is what it was or what it is to be, and the next try ends. */
static void sweep_faults(struct marked_scene *scene, enum cairn_fault fault, bool back, int stride)
{
    struct world *world = &scene->world;
    make_long(world, 3);
    marked_write(world, 2, -1);
    marked_project(world, 2);
    bool fired = true;
    for (int after = 0; fired; after += stride) {
        uint64_t generation = marked_look(world).generation;
        cairn_fault_arm(fault, after);
        enum cairn_rc rc = back ? marked_rollback(world, NULL, &scene->result, &scene->err)
                                : marked_rebuild(world, NULL, &scene->result, &scene->err);
        fired = cairn_fault_fired(fault);
        cairn_fault_disarm();
        struct marked marked = marked_look(world);
        assert_int_equal(marked.sum, 600);
        assert_true(marked.generation == generation || marked.generation == generation + 1);
        assert_true(rc != CAIRN_OK || marked.generation == generation + 1);
        assert_true(fired || rc == CAIRN_OK);
        assert_true(after < 100000);
    }
    marked_verify(world);
}

static void a_rebuild_survives_any_failed_commit(void **state)
{
    sweep_faults(*state, CAIRN_FAULT_KV_COMMIT, false, 1);
}

static void a_rollback_survives_any_failed_commit(void **state)
{
    sweep_faults(*state, CAIRN_FAULT_KV_COMMIT, true, 1);
}

static void a_rebuild_survives_any_failed_allocation(void **state)
{
    sweep_faults(*state, CAIRN_FAULT_MEM, false, 23);
}

static void a_rollback_survives_any_failed_allocation(void **state)
{
    sweep_faults(*state, CAIRN_FAULT_MEM, true, 23);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MARKED_TEST(a_cancelled_build_is_gone_on_with),
        MARKED_TEST(a_build_of_another_definition_begins_anew),
        MARKED_TEST(a_first_build_holds_the_whole_log),
        MARKED_TEST(a_projector_goes_on_with_a_build_of_its_changed_definition),
        MARKED_TEST(a_projector_leaves_a_build_of_its_live_definition_to_who_began_it),
        MARKED_TEST(a_projector_drops_a_build_of_another_definition),
        MARKED_TEST(a_build_that_fails_is_dropped),
        MARKED_TEST(a_killed_build_is_gone_on_with),
        MARKED_TEST(a_projector_that_starts_keeps_what_was_switched_in),
        MARKED_TEST(a_kill_at_any_moment_of_a_switch_leaves_a_whole_view),
        MARKED_TEST(a_rebuild_tells_that_the_live_rows_were_wrong),
        MARKED_TEST(slots_go_round_and_two_hold_rows),
        MARKED_TEST(a_throttled_build_takes_its_time),
        MARKED_TEST(a_rebuild_survives_any_failed_commit),
        MARKED_TEST(a_rollback_survives_any_failed_commit),
        MARKED_TEST(a_rebuild_survives_any_failed_allocation),
        MARKED_TEST(a_rollback_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
