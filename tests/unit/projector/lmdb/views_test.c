#include <pthread.h>

#include "projector/lmdb/view_meta.h"
#include "projector/lmdb/views_int.h"
#include "tests/unit/projector/world.h"

static struct world make_following(struct cairn_projector **ret_projector)
{
    struct world world;
    world_make(&world);
    world_view(&world, "sums", world_sums);
    world_begin(&world, 1);
    world_add(&world, "a", 1, "x", 1);
    *ret_projector = world_projector(&world);
    world_wait(&world, cairn_projector_views(*ret_projector), "sums");
    return world;
}

/* A thread that waits for a position, far longer than that takes. */
struct waiter {
    struct cairn_views *views;
    struct cairn_position wanted;
    struct cairn_position held;
    enum cairn_rc rc;
    double seconds;
};

static void *wait_long(void *argument)
{
    struct waiter *waiter = argument;
    struct cairn_err err;
    const struct cairn_clock *clock = cairn_clock_system();
    int64_t begun_ns = cairn_clock_monotonic_ns(clock);
    waiter->rc = cairn_view_wait(waiter->views, CAIRN_SLICE_LIT("sums"), &waiter->wanted,
                                 DEADLINE_S * 1000, &waiter->held, &err);
    waiter->seconds = (double)(cairn_clock_monotonic_ns(clock) - begun_ns) / 1e9;
    return NULL;
}

static void a_wait_ends_when_the_position_is_held(void **state)
{
    struct cairn_projector *projector = NULL;
    pthread_t thread;
    (void)state;
    struct world world = make_following(&projector);
    struct waiter waiter = {.views = cairn_projector_views(projector), .wanted = {{3}}};
    assert_int_equal(pthread_create(&thread, NULL, wait_long, &waiter), 0);
    world_add(&world, "a", 1, "x", 1);
    world_add(&world, "a", 1, "x", 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(waiter.rc, CAIRN_OK);
    assert_int_equal(waiter.held.offsets[0], 3);
    assert_true(waiter.seconds < DEADLINE_S / 2);
    cairn_projector_stop(projector);
    world_end(&world);
}

static void a_wake_ends_every_wait(void **state)
{
    struct cairn_projector *projector = NULL;
    pthread_t threads[4];
    struct waiter waiters[4];
    (void)state;
    struct world world = make_following(&projector);
    struct cairn_views *views = cairn_projector_views(projector);
    for (int i = 0; i < 4; i++) {
        waiters[i] = (struct waiter){.views = views, .wanted = {{1000}}};
        assert_int_equal(pthread_create(&threads[i], NULL, wait_long, &waiters[i]), 0);
    }
    cairn_views_wake(views);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(waiters[i].rc, CAIRN_OK);
        assert_int_equal(waiters[i].held.offsets[0], 1);
        assert_true(waiters[i].seconds < DEADLINE_S / 2);
    }
    cairn_projector_stop(projector);
    world_end(&world);
}

static void a_wait_times_out_with_what_is_held(void **state)
{
    struct cairn_projector *projector = NULL;
    struct cairn_position held;
    struct cairn_err err;
    const struct cairn_position wanted = {{1000}};
    (void)state;
    struct world world = make_following(&projector);
    struct cairn_views *views = cairn_projector_views(projector);
    assert_ok(cairn_view_wait(views, CAIRN_SLICE_LIT("sums"), &wanted, 30, &held, &err), &err);
    assert_int_equal(held.offsets[0], 1);
    assert_int_equal(cairn_view_wait(views, CAIRN_SLICE_LIT("none"), &wanted, 30, &held, &err),
                     CAIRN_ENOENT);
    cairn_projector_stop(projector);
    world_end(&world);
}

static void a_reader_finds_no_store_where_no_projector_was(void **state)
{
    struct world world;
    struct cairn_views *views = NULL;
    struct cairn_err err;
    (void)state;
    world_make(&world);
    assert_int_equal(cairn_views_open(world.data, &views, &err), CAIRN_ENOENT);
    assert_null(views);
    world_end(&world);
}

static void heads_and_stops_read_back_as_written(void **state)
{
    struct world world;
    struct cairn_views *views = NULL;
    struct cairn_kv_txn *txn = NULL;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_view_head head = {
        .state = CAIRN_VIEW_STOPPED, .slot = 1, .generation = UINT64_MAX, .events = 7, .all = 9};
    struct cairn_view_head got_head;
    struct cairn_view_stop got_stop;
    struct cairn_err err;
    const struct cairn_slice name = CAIRN_SLICE_LIT("v");
    const struct cairn_view_stop stop = {.error = CAIRN_SLICE_LIT("why"),
                                         .event = CAIRN_SLICE_LIT("id"),
                                         .partition = 255,
                                         .offset = UINT64_MAX,
                                         .of_build = true};
    (void)state;
    for (uint64_t i = 0; i < CAIRN_PARTITIONS_MAX; i += 5) {
        head.position.offsets[i] = UINT64_MAX - i;
    }
    world_make(&world);
    assert_ok(cairn_views_open_writer(world.data, true, &views, &err), &err);
    cairn_kv_table_id meta = cairn_views_meta(views);
    assert_ok(cairn_kv_write_begin(cairn_views_kv(views), &txn, &err), &err);
    assert_ok(cairn_view_head_put(txn, meta, CAIRN_SIDE_NEXT, name, &head, &err), &err);
    assert_ok(cairn_view_stop_put(txn, meta, name, &stop, &err), &err);
    assert_ok(cairn_view_head_get(txn, meta, CAIRN_SIDE_NEXT, name, &got_head, &err), &err);
    assert_int_equal(cairn_view_head_get(txn, meta, CAIRN_SIDE_LIVE, name, &got_head, &err),
                     CAIRN_ENOENT);
    assert_int_equal(got_head.generation, head.generation);
    assert_int_equal(got_head.slot, 1);
    assert_int_equal(got_head.state, CAIRN_VIEW_STOPPED);
    assert_memory_equal(&got_head.position, &head.position, sizeof head.position);
    assert_ok(cairn_view_stop_get(txn, meta, name, &arena, &got_stop, &err), &err);
    assert_true(cairn_slice_is(got_stop.error, "why"));
    assert_int_equal(got_stop.offset, UINT64_MAX);
    assert_int_equal(got_stop.partition, 255);
    assert_true(got_stop.of_build);
    assert_ok(cairn_kv_put(txn, meta, CAIRN_SLICE_LIT("next/v"), CAIRN_SLICE_LIT("short"), &err),
              &err);
    assert_int_equal(cairn_view_head_get(txn, meta, CAIRN_SIDE_NEXT, name, &got_head, &err),
                     CAIRN_ECORRUPT);
    cairn_kv_end(txn);
    cairn_views_close(views);
    cairn_arena_fini(&arena);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wait_ends_when_the_position_is_held),
        cmocka_unit_test(a_wake_ends_every_wait),
        cmocka_unit_test(a_wait_times_out_with_what_is_held),
        cmocka_unit_test(a_reader_finds_no_store_where_no_projector_was),
        cmocka_unit_test(heads_and_stops_read_back_as_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
