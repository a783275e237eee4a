/* What an operator does with parked streams, beside whoever follows. */
#include "projector/lmdb/parked_apply.h"
#include "tests/support/cpu_time.h"
#include "tests/unit/projector/picky.h"

static void a_retry_applies_what_waits_in_order_and_the_stream_flows_again(void **state)
{
    struct scene *scene = *state;
    picky_begin(scene, picky_parks, 2);
    picky_add(scene, "a", 1, "x");
    picky_add(scene, "a", 2, "needy");
    world_add(&scene->world, "a", 3, "x", 2);
    for (int i = 4; i < 7; i++) { /* more than one page */
        world_add(&scene->world, "a", i, "x", 700);
    }
    picky_catch_up(scene);
    assert_string_equal(picky_order(scene, "box-a"), "1,");
    assert_int_equal(picky_retry(scene, "box-b"), CAIRN_ENOENT);
    picky_add(scene, "b", 0, "ready");
    picky_catch_up(scene);
    assert_ok(picky_retry(scene, "box-a"), &scene->err);
    assert_int_equal(scene->events, 1 + 2 + 2100);
    assert_int_equal(picky_number(scene, "box-a"), 1 + 1 + 2 + 2100);
    assert_int_equal(strncmp(picky_order(scene, "box-a"), "1,2,3,3,4,4,", 12), 0);
    assert_int_equal(picky_list(scene), 0);
    assert_int_equal(picky_parked(scene), 0);
    picky_add(scene, "a", 7, "x");
    picky_catch_up(scene);
    assert_int_equal(picky_number(scene, "box-a"), 2105);
    assert_int_equal(picky_retry(scene, "box-a"), CAIRN_ENOENT);
}

static void a_retry_that_fails_changes_nothing_but_the_reason(void **state)
{
    struct scene *scene = *state;
    picky_begin(scene, picky_parks, 1);
    picky_add(scene, "a", 1, "needy");
    picky_add(scene, "a", 2, "x");
    picky_add(scene, "a", 3, "bad");
    picky_add(scene, "b", 4, "ready");
    picky_catch_up(scene);
    assert_int_equal(picky_list(scene), 1);
    assert_int_equal(scene->rows[0].offset, 1);
    assert_int_equal(picky_retry(scene, "box-a"), CAIRN_EINVAL);
    assert_non_null(strstr(scene->err.text, "bad"));
    assert_int_equal(picky_list(scene), 1);
    assert_int_equal(scene->rows[0].version, 1);
    assert_int_equal(scene->rows[0].offset, 3);
    assert_true(picky_contains(scene->rows[0].error, "bad"));
    assert_false(picky_contains(scene->rows[0].error, "0:3"));
    assert_string_equal(picky_order(scene, "box-a"), "");
    assert_int_equal(picky_number(scene, "all"), 4);
    picky_add(scene, "a", 5, "x");
    picky_add(scene, "b", 6, "x");
    picky_catch_up(scene);
    assert_string_equal(picky_order(scene, "box-a"), "");
    assert_int_equal(picky_number(scene, "all"), 10);
}

static void what_was_given_up_stays_out_and_the_stream_flows_again(void **state)
{
    struct scene *scene = *state;
    picky_begin(scene, picky_parks, 1);
    picky_add(scene, "a", 1, "x");
    picky_add(scene, "a", 2, "bad");
    picky_add(scene, "a", 3, "x");
    picky_catch_up(scene);
    assert_int_equal(picky_drop(scene, "box-none"), CAIRN_ENOENT);
    assert_ok(picky_drop(scene, "box-a"), &scene->err);
    assert_int_equal(scene->events, 2);
    assert_int_equal(picky_drop(scene, "box-a"), CAIRN_ENOENT);
    assert_int_equal(picky_parked(scene), 0);
    picky_add(scene, "a", 4, "x");
    picky_add(scene, "a", 5, "bad");
    picky_add(scene, "a", 6, "x");
    picky_catch_up(scene);
    assert_string_equal(picky_order(scene, "box-a"), "1,4,");
    assert_int_equal(picky_list(scene), 2);
    assert_int_equal(scene->rows[0].version, 2);
    assert_int_equal(scene->rows[0].until_version, 3);
    assert_int_equal(scene->rows[1].version, 5);
    assert_int_equal(scene->rows[1].until_version, 0);
    picky_stop(scene);
    picky_start(scene);
    picky_add(scene, "a", 7, "x");
    picky_catch_up(scene);
    assert_string_equal(picky_order(scene, "box-a"), "1,4,");
}

/* Streams that were tried again with success would fail in a replay where they failed at first: one
 * waits for `ready`, and another for what that one puts. */
static void a_view_equals_its_replay_after_retry_and_drop(void **state)
{
    struct scene *scene = *state;
    picky_begin(scene,
                PICKY_BODY "local on = picky.on.Added\n"
                           "function picky.on.Added(view, event)\n"
                           "  if event.data.to == 'after-b' and not view:get('box-b')\n"
                           "  then error('no b') end\n"
                           "  on(view, event)\n"
                           "end\n"
                           "picky.on_error = 'park'\n",
                2);
    picky_add(scene, "a", 1, "after-b");
    picky_add(scene, "b", 2, "needy");
    picky_add(scene, "c", 3, "bad");
    picky_add(scene, "d", 4, "bad");
    picky_add(scene, "a", 5, "x");
    picky_add(scene, "b", 6, "x");
    picky_add(scene, "c", 7, "x");
    picky_add(scene, "e", 8, "ready");
    picky_catch_up(scene);
    assert_ok(picky_retry(scene, "box-b"), &scene->err);
    assert_ok(picky_retry(scene, "box-a"), &scene->err);
    assert_ok(picky_drop(scene, "box-c"), &scene->err);
    picky_add(scene, "a", 9, "x");
    picky_add(scene, "b", 10, "x");
    picky_add(scene, "c", 11, "x");
    picky_add(scene, "b", 12, "bad");
    picky_add(scene, "b", 13, "x");
    picky_catch_up(scene);
    picky_stop(scene);
    assert_int_equal(picky_differences(scene), 0);
    picky_start(scene);
    assert_string_equal(picky_order(scene, "box-a"), "1,5,9,");
    assert_string_equal(picky_order(scene, "box-b"), "2,6,10,");
    assert_string_equal(picky_order(scene, "box-c"), "11,");
    assert_string_equal(picky_order(scene, "box-d"), "");
    assert_int_equal(picky_parked(scene), 2);
}

/* Streams are parked, tried again and given up while a projector of another process follows. Each
 * event of a stream that is not parked in the end is there once, in order. */
static void under_load_a_retry_beside_another_process_loses_and_doubles_nothing(void **state)
{
    enum { ROUNDS = 40, STREAMS = 5 };
    struct scene *scene = *state;
    char id[24];
    char stream[24];
    int64_t sum = 0;
    picky_begin_forked(scene);
    picky_open_views(scene);
    for (int i = 0; i < STREAMS; i++) {
        (void)snprintf(id, sizeof id, "s%d", i);
        picky_add(scene, id, 1, "needy");
    }
    picky_catch_up(scene);
    assert_int_equal(picky_parked(scene), STREAMS);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < STREAMS; i++) {
            (void)snprintf(id, sizeof id, "s%d", i);
            picky_add(scene, id, round + 2, "x");
        }
        if (round == 5) {
            picky_add(scene, "helper", 0, "ready");
            picky_catch_up(scene);
        }
        if (round >= 10 && round < 10 + STREAMS) {
            (void)snprintf(stream, sizeof stream, "box-s%d", round - 10);
            assert_ok(picky_retry(scene, stream), &scene->err);
            assert_true(scene->events >= 1);
        }
    }
    picky_catch_up(scene);
    picky_stop(scene);
    assert_int_equal(picky_differences(scene), 0);
    picky_open_views(scene);
    for (int i = 0; i < STREAMS; i++) {
        char wanted[256] = "";
        size_t used = 0;
        for (int n = 1; n <= ROUNDS + 1; n++) {
            used += (size_t)snprintf(wanted + used, sizeof wanted - used, "%d,", n);
            sum += n;
        }
        (void)snprintf(stream, sizeof stream, "box-s%d", i);
        assert_string_equal(picky_order(scene, stream), wanted);
    }
    assert_int_equal(picky_number(scene, "all"), sum);
    assert_int_equal(picky_parked(scene), 0);
}

/* Each by a call of its own, as `cairn parked retry` makes it, beside a projector that opens the
 * view anew after each. */
static void many_streams_are_tried_again_soon(void **state)
{
    enum { STREAMS = 200 };
    struct scene *scene = *state;
    char id[24];
    picky_begin_forked(scene);
    for (int i = 0; i < STREAMS; i++) {
        (void)snprintf(id, sizeof id, "s%d", i);
        picky_add(scene, id, 1, "needy");
    }
    picky_add(scene, "helper", 0, "ready");
    picky_open_views(scene);
    picky_catch_up(scene);
    picky_stop(scene);
    int64_t begun_ms = cpu_time_ms();
    size_t count = picky_list(scene);
    assert_int_equal(count, STREAMS);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(id, sizeof id, "s%zu", i);
        picky_add(scene, id, 2, "x");
        const char *stream =
            cairn_arena_printf(&scene->arena, "%.*s", CAIRN_SLICE_ARG(scene->rows[i].stream));
        assert_ok(picky_retry(scene, stream), &scene->err);
    }
    int64_t took_ms = cpu_time_ms() - begun_ms;
    print_message("%d streams tried again in %lld ms of the processor\n", STREAMS,
                  (long long)took_ms);
    assert_true(took_ms < 60000);
    picky_open_views(scene);
    picky_catch_up(scene);
    assert_int_equal(picky_parked(scene), 0);
    assert_int_equal(picky_number(scene, "all"), 3 * STREAMS);
}

static void what_waits_can_be_given_up_while_another_definition_fails(void **state)
{
    struct scene *scene = *state;
    picky_begin(scene, picky_parks, 1);
    picky_add(scene, "a", 1, "bad");
    picky_catch_up(scene);
    picky_stop(scene);
    world_view(&scene->world, "picky", picky_stops);
    world_load_domain(&scene->world);
    picky_start(scene);
    /* The old definition goes on while the new one is built, which fails at the event. */
    picky_add(scene, "b", 2, "x");
    picky_catch_up(scene);
    assert_int_equal(picky_list(scene), 1);
    assert_ok(picky_drop(scene, "box-a"), &scene->err);
    assert_int_equal(scene->events, 1);
    picky_add(scene, "a", 3, "x");
    picky_catch_up(scene);
    assert_string_equal(picky_order(scene, "box-a"), "3,");
}

static void a_process_that_knows_less_of_the_log_is_told_to_wait(void **state)
{
    struct scene *scene = *state;
    const struct cairn_position ahead = {{7}};
    picky_begin(scene, picky_parks, 1);
    picky_add(scene, "a", 1, "x");
    assert_int_equal(cairn_parked_check_log(scene->world.store, &ahead, 0, &scene->err),
                     CAIRN_EBEHIND);
    assert_non_null(strstr(scene->err.text, "0:1"));
    assert_ok(cairn_parked_check_log(scene->world.store, &ahead, 1, &scene->err), &scene->err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PICKY_TEST(a_retry_applies_what_waits_in_order_and_the_stream_flows_again),
        PICKY_TEST(a_retry_that_fails_changes_nothing_but_the_reason),
        PICKY_TEST(what_was_given_up_stays_out_and_the_stream_flows_again),
        PICKY_TEST(a_view_equals_its_replay_after_retry_and_drop),
        PICKY_TEST(under_load_a_retry_beside_another_process_loses_and_doubles_nothing),
        PICKY_TEST(many_streams_are_tried_again_soon),
        PICKY_TEST(what_waits_can_be_given_up_while_another_definition_fails),
        PICKY_TEST(a_process_that_knows_less_of_the_log_is_told_to_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
