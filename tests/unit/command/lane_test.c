/* The queue of a lane, and what happens when the log fails under it. */
#include <pthread.h>

#include "command/service_int.h"
#include "platform/fault.h"
#include "tests/unit/command/world.h"

#define ANY CAIRN_EXPECT_ANY

enum { QUEUE_MAX = 4 };

/* One caller's commands. */
struct call {
    struct cairn_job job;
    struct cairn_command commands[8];
    struct cairn_answer answers[8];
};

/* The same store, under a service whose only thread is the test. */
static int open_alone(void **state)
{
    struct cairn_err err;
    (void)open_world(state);
    struct world *world = *state;
    cairn_service_free(world->service);
    const struct cairn_service_options options = {
        .domain = world->domain,
        .store = world->store,
        .clock = cairn_clock_system(),
        .random = cairn_random_system(),
        .queue_max = QUEUE_MAX,
        .metrics = world->metrics,
    };
    assert_ok(cairn_service_new_unthreaded(&options, &world->service, &err), &err);
    return 0;
}

static int close_alone(void **state)
{
    cairn_fault_disarm();
    return close_world(state);
}

static bool enqueue(struct world *world, struct call *call, const struct ask *asks, size_t count)
{
    *call = (struct call){.job = {.count = count, .arena = &world->arena}};
    call->job.commands = call->commands;
    call->job.answers = call->answers;
    for (size_t i = 0; i < count; i++) {
        world_command(world, &asks[i], &world->arena, &call->commands[i]);
    }
    return cairn_lane_enqueue(cairn_service_lane(world->service, 0), &call->job);
}

static void drain(struct world *world)
{
    cairn_lane_drain(cairn_service_lane(world->service, 0));
}

static const struct ask ADD = {"a", "Add", "{\"n\":1}", NULL, ANY};
static const struct ask ZERO = {"a", "Add", "{\"n\":0}", NULL, ANY};

static void full_queue_refuses_and_changes_nothing(void **state)
{
    struct world *world = *state;
    struct call calls[QUEUE_MAX + 1];
    for (size_t i = 0; i < QUEUE_MAX; i++) {
        assert_true(enqueue(world, &calls[i], &ADD, 1));
    }
    assert_false(enqueue(world, &calls[QUEUE_MAX], &ADD, 1));
    assert_int_equal(calls[QUEUE_MAX].answers[0].rc, CAIRN_EBUSY);
    drain(world);
    for (size_t i = 0; i < QUEUE_MAX; i++) {
        assert_int_equal(calls[i].answers[0].rc, CAIRN_OK);
        assert_int_equal(calls[i].answers[0].version, i + 1);
    }
    assert_int_equal(world_events(world, "probe-a"), QUEUE_MAX);
    assert_int_equal(world_count(world, "cairn_groups_total"), 1);
    /* And there is room again. */
    assert_true(enqueue(world, &calls[0], &ADD, 1));
    drain(world);
    assert_int_equal(calls[0].answers[0].rc, CAIRN_OK);
}

static void job_longer_than_the_queue_is_let_in_alone(void **state)
{
    struct world *world = *state;
    const struct ask asks[] = {ADD, ADD, ADD, ADD, ADD, ADD};
    struct call calls[2];
    assert_true(enqueue(world, &calls[0], asks, 6));
    assert_false(enqueue(world, &calls[1], asks, 6));
    drain(world);
    assert_int_equal(calls[0].answers[5].version, 6);
    assert_int_equal(calls[1].answers[5].rc, CAIRN_EBUSY);
}

/* A group whose append fails: writers, and whoever was decided on what was to be written, hear it;
 * whoever was decided on what the log holds does not. */
static void failed_append_fails_what_leans_on_it(void **state)
{
    skip_without_faults();
    struct world *world = *state;
    struct call calls[4];
    const struct ask other = {"b", "Add", "{\"n\":0}", NULL, ANY};
    const struct ask keyed = {"a", "Add", "{\"n\":1}", "key", ANY};
    const struct ask twice[] = {keyed, keyed};
    assert_true(enqueue(world, &calls[0], &ZERO, 1));
    assert_true(enqueue(world, &calls[1], twice, 2));
    assert_true(enqueue(world, &calls[2], &ZERO, 1));
    /* Persistent: the index's thread syncs now and then, too, and would take a single one. */
    cairn_fault_arm_persistent(CAIRN_FAULT_SYNC, 0);
    drain(world);
    assert_true(cairn_fault_fired(CAIRN_FAULT_SYNC));
    cairn_fault_disarm();
    assert_int_equal(calls[0].answers[0].rc, CAIRN_EREJECTED);
    if (calls[1].answers[0].rc == CAIRN_EIO) {
        print_message("the index's thread met the fault first: nothing was appended\n");
        skip();
    }
    assert_int_equal(calls[1].answers[0].rc, CAIRN_EUNKNOWN);
    assert_int_equal(calls[1].answers[1].rc, CAIRN_EUNKNOWN);
    assert_int_equal(calls[2].answers[0].rc, CAIRN_EUNKNOWN);
    /* The store accepts no more; what needs no append is still answered, from the true state. */
    assert_true(enqueue(world, &calls[0], &ADD, 1));
    assert_true(enqueue(world, &calls[1], &ZERO, 1));
    assert_true(enqueue(world, &calls[3], &other, 1));
    drain(world);
    assert_int_equal(calls[0].answers[0].rc, CAIRN_ESTOPPED);
    assert_int_equal(calls[1].answers[0].rc, CAIRN_ESTOPPED); /* it leant on the one before */
    assert_int_equal(calls[3].answers[0].rc, CAIRN_EREJECTED);
    assert_true(enqueue(world, &calls[1], &ZERO, 1));
    drain(world);
    assert_int_equal(calls[1].answers[0].rc, CAIRN_EREJECTED);
    assert_true(cairn_slice_is(calls[1].answers[0].detail, "nothing to add to 0"));
}

/* Three commands for a stream of its own. Gives how many events were acknowledged. */
static uint64_t ask_three(struct world *world, int number, unsigned *failed)
{
    struct call call;
    char id[16];
    char key[16];
    char stream[24];
    uint64_t acknowledged = 0;
    (void)snprintf(id, sizeof(id), "m%d", number);
    (void)snprintf(key, sizeof(key), "key-%d", number);
    (void)snprintf(stream, sizeof(stream), "probe-%s", id);
    const struct ask asks[] = {{id, "Add", "{\"n\":1}", key, ANY},
                               {id, "Many", "{\"n\":12}", NULL, ANY},
                               {id, "Add", "{\"n\":0}", NULL, ANY}};
    assert_true(enqueue(world, &call, asks, 3));
    cairn_fault_arm(CAIRN_FAULT_MEM, number);
    drain(world);
    bool fired = cairn_fault_fired(CAIRN_FAULT_MEM);
    cairn_fault_disarm();
    for (size_t i = 0; i < 3; i++) {
        enum cairn_rc rc = call.answers[i].rc;
        if (rc != CAIRN_OK && rc != CAIRN_ENOMEM && (i < 2 || rc != CAIRN_EREJECTED)) {
            fail_msg("after %d: command %zu: %s: %s", number, i, cairn_err_info(rc)->name,
                     call.answers[i].err.text);
        }
        acknowledged += rc == CAIRN_OK ? call.answers[i].event_count : 0;
        *failed += rc == CAIRN_ENOMEM;
    }
    assert_int_equal(world_events(world, stream), acknowledged);
    /* In order again: the key gives what it gave, or what it was refused before. */
    assert_true(enqueue(world, &call, asks, 1));
    drain(world);
    assert_int_equal(call.answers[0].rc, CAIRN_OK);
    return fired ? acknowledged : UINT64_MAX;
}

/* Memory that runs out anywhere on the way: the answer says so, or the command is carried out; what
 * was answered is what the log holds, and the next command finds everything in order. */
static void memory_that_runs_out_loses_nothing(void **state)
{
    skip_without_faults();
    struct world *world = *state;
    unsigned failed = 0;
    int number = 0;
    while (ask_three(world, number, &failed) != UINT64_MAX) {
        number++;
        assert_true(number < 10000);
    }
    assert_true(failed > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_alone, close_alone)
    const struct CMUnitTest tests[] = {
        TEST(full_queue_refuses_and_changes_nothing),
        TEST(job_longer_than_the_queue_is_let_in_alone),
        TEST(failed_append_fails_what_leans_on_it),
        TEST(memory_that_runs_out_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
