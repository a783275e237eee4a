#include "query/history.h"

#include <pthread.h>

#include "platform/fault.h"
#include "query/lift.h"
#include "tests/unit/query/world.h"

#include "tests/support/cm.h"

enum { STREAMS = 10, EACH = 60 };

/* More than one batch of a reader in each partition, in commands of one and of three events. */
static unsigned fill_many(struct world *world)
{
    const struct fact facts[] = {{"Opened", "{\"owner\":\"Ann\"}", 1},
                                 {"Deposited", "{\"pounds\":1}", 1},
                                 {"Deposited", "{\"cents\":2}", 2}};
    unsigned count = 0;
    for (int i = 0; i < STREAMS * EACH; i++) {
        char stream[32];
        (void)snprintf(stream, sizeof(stream), "account-%d", i % STREAMS);
        uint16_t size = i % 3 == 0 ? 3 : 1;
        (void)world_append(world, stream, facts, size);
        count += size;
    }
    return count;
}

/* Read everything behind `after`; checks that a command stays together and each offset comes once.
 */
static unsigned read_all(struct world *world, const struct cairn_position *after)
{
    struct cairn_history *history = NULL;
    struct cairn_position seen = *after;
    struct cairn_err err;
    unsigned count = 0;
    uint16_t left = 0;
    uint16_t partition = 0;
    assert_ok(cairn_history_open(world->store, after, &history, &err), &err);
    for (;;) {
        const struct cairn_event *event = NULL;
        assert_ok(cairn_history_next(history, &event, &err), &err);
        if (event == NULL) {
            break;
        }
        assert_true(left == 0 || event->partition == partition);
        partition = event->partition;
        left = (uint16_t)(event->count - event->index - 1);
        assert_int_equal(event->offset, seen.offsets[partition] + 1);
        seen.offsets[partition] = event->offset;
        assert_memory_equal(cairn_history_position(history), &seen, sizeof(seen));
        count++;
    }
    struct cairn_position end;
    assert_ok(cairn_store_end(world->store, &end, &err), &err);
    assert_memory_equal(cairn_history_position(history), &end, sizeof(end));
    cairn_history_close(history);
    return count;
}

static void every_event_comes_once_and_commands_stay_together(void **state)
{
    struct world *world = *state;
    unsigned count = fill_many(world);
    struct cairn_position start = {{0}};
    assert_int_equal(read_all(world, &start), count);
}

static void reading_may_begin_behind_any_event(void **state)
{
    struct world *world = *state;
    unsigned count = fill_many(world);
    struct cairn_history *history = NULL;
    struct cairn_position start = {{0}};
    struct cairn_err err;
    assert_ok(cairn_history_open(world->store, &start, &history, &err), &err);
    for (unsigned taken = 1; taken <= count; taken++) {
        const struct cairn_event *event = NULL;
        assert_ok(cairn_history_next(history, &event, &err), &err);
        assert_non_null(event);
        if (taken % 37 == 0 || taken == count) {
            struct cairn_position here = *cairn_history_position(history);
            assert_int_equal(read_all(world, &here), count - taken);
        }
    }
    cairn_history_close(history);
}

static void beyond_the_end_there_is_nothing_yet(void **state)
{
    struct world *world = *state;
    world_open_account(world, "account-1", "Ann");
    struct cairn_history *history = NULL;
    struct cairn_position beyond = {{1000, 1000, 1000}};
    struct cairn_err err;
    const struct cairn_event *event = NULL;
    assert_ok(cairn_history_open(world->store, &beyond, &history, &err), &err);
    assert_ok(cairn_history_next(history, &event, &err), &err);
    assert_null(event);
    assert_memory_equal(cairn_history_position(history), &beyond, sizeof(beyond));
    cairn_history_close(history);
}

/* Each allocation fails once; a history that opened gives all events or an error, never fewer. */
static void no_memory_is_an_error_not_an_end(void **state)
{
    struct world *world = *state;
    world_open_account(world, "account-1", "Ann");
    world_deposit(world, "account-1", 1);
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_MEM) || after == 0; after++) {
        struct cairn_history *history = NULL;
        struct cairn_position start = {{0}};
        struct cairn_err err;
        int count = 0;
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = cairn_history_open(world->store, &start, &history, &err);
        for (const struct cairn_event *event = NULL; rc == CAIRN_OK; count += event != NULL) {
            rc = cairn_history_next(history, &event, &err);
            if (rc == CAIRN_OK && event == NULL) {
                break;
            }
        }
        assert_true(rc == CAIRN_ENOMEM || (rc == CAIRN_OK && count == 2));
        cairn_history_close(history);
    }
    cairn_fault_disarm();
}

/* What the threads share: the pool is what is under test. */
struct lifting {
    struct world *world;
    struct cairn_lift *lift;
};

/* Lifts the whole log; the result tells whether every deposit came in cents. */
static void *lift_all(void *argument)
{
    struct lifting *lifting = argument;
    struct cairn_history *history = NULL;
    struct cairn_position start = {{0}};
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_err err;
    bool good = cairn_history_open(lifting->world->store, &start, &history, &err) == CAIRN_OK;
    while (good) {
        const struct cairn_event *event = NULL;
        struct cairn_value data;
        good = cairn_history_next(history, &event, &err) == CAIRN_OK;
        if (!good || event == NULL) {
            break;
        }
        cairn_arena_reset(&arena);
        good = cairn_lift_data(lifting->lift, event, &arena, &data, &err) == CAIRN_OK;
        if (good && cairn_slice_is(event->type, "Deposited")) {
            good =
                cairn_value_at(&data, "cents") != NULL && cairn_value_at(&data, "pounds") == NULL;
        }
    }
    cairn_history_close(history);
    cairn_arena_fini(&arena);
    return good ? lifting : NULL;
}

static void threads_lift_old_events_side_by_side(void **state)
{
    struct world *world = *state;
    pthread_t threads[4];
    struct lifting lifting = {.world = world};
    struct cairn_err err;
    (void)fill_many(world);
    assert_ok(cairn_lift_new(world->domain, &lifting.lift, &err), &err);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, lift_all, &lifting), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, &lifting);
    }
    cairn_lift_free(lifting.lift);
}

static int open_three_alone(void **state)
{
    return world_new(state, &(struct world){.alone = true, .partitions = 3});
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_three_alone, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_event_comes_once_and_commands_stay_together),
        TEST(reading_may_begin_behind_any_event),
        TEST(beyond_the_end_there_is_nothing_yet),
        TEST(no_memory_is_an_error_not_an_end),
        TEST(threads_lift_old_events_side_by_side),
    };
    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
