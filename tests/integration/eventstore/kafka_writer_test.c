#include "eventstore/kafka_writer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "platform/fault.h"
#include "tests/integration/eventstore/kafka_stage.h"

#include "tests/support/cm.h"

enum { LANES = 2, LANE = 1, COMMITS = 200, TAKEOVERS = 5 };
/* The 500 ms after which librdkafka asks again about an open transaction must not be paid. */
#define TRANSACTION_MAX_MS 400.0

static struct cairn_kafka_writer *open_ids(struct kafka_stage *stage, unsigned ids, unsigned fence)
{
    struct cairn_err err;
    struct cairn_kafka_writer *writer = NULL;
    struct cairn_kafka_writer_options options = kafka_stage_writer(stage, LANE);
    options.ids = ids;
    options.fence_ids = fence;
    assert_ok(cairn_kafka_writer_open(&options, &writer, &err), &err);
    return writer;
}

static void committed_records_lie_where_the_offsets_say(void **state)
{
    (void)state;
    struct kafka_stage stage;
    kafka_stage_init(&stage, LANES);
    struct cairn_kafka_writer *writer = open_ids(&stage, 4, 0);
    int64_t told[30];
    size_t count = 0;
    for (uint16_t group = 0; group < 10; group++) {
        struct cairn_err err;
        const int64_t *offsets = NULL;
        size_t got = 0;
        for (uint16_t i = 0; i < 3; i++) {
            struct cairn_event event =
                kafka_stage_event(&stage, "account-1", group * 3u + i + 1u, i, 3);
            assert_ok(kafka_stage_add(&stage, writer, LANE, &event, &err), &err);
        }
        assert_ok(cairn_kafka_writer_commit(writer, &offsets, &got, &err), &err);
        assert_int_equal(got, 3);
        memcpy(told + count, offsets, got * sizeof(told[0]));
        count += got;
    }
    int64_t found[30];
    assert_int_equal(kafka_stage_read(&stage, "account", LANE, found, 30), 30);
    assert_memory_equal(found, told, sizeof(found));
    assert_int_equal(kafka_stage_high(&stage, "account", 0), 0);
    assert_false(cairn_kafka_writer_is_broken(writer));
    cairn_kafka_writer_close(writer);
    kafka_stage_fini(&stage);
}

static void a_group_over_two_topics_is_seen_whole_or_not(void **state)
{
    (void)state;
    struct kafka_stage stage;
    struct cairn_err err;
    kafka_stage_init(&stage, LANES);
    struct cairn_kafka_writer *writer = open_ids(&stage, 2, 0);
    struct cairn_event account = kafka_stage_event(&stage, "account-1", 1, 0, 1);
    struct cairn_event transfer = kafka_stage_event(&stage, "transfer-1", 1, 0, 1);
    assert_ok(kafka_stage_add(&stage, writer, LANE, &account, &err), &err);
    assert_ok(kafka_stage_add(&stage, writer, LANE, &transfer, &err), &err);
    /* Both lie in their topics before the commit, and nobody sees them. */
    kafka_stage_await_high(&stage, "account", LANE, 1);
    kafka_stage_await_high(&stage, "transfer", LANE, 1);
    cairn_kafka_writer_close(writer);
    writer = open_ids(&stage, 2, 0);
    assert_int_equal(kafka_stage_read(&stage, "account", LANE, NULL, 0), 0);
    assert_int_equal(kafka_stage_read(&stage, "transfer", LANE, NULL, 0), 0);

    const int64_t *offsets = NULL;
    size_t count = 0;
    assert_ok(kafka_stage_add(&stage, writer, LANE, &transfer, &err), &err);
    assert_ok(kafka_stage_add(&stage, writer, LANE, &account, &err), &err);
    assert_ok(cairn_kafka_writer_commit(writer, &offsets, &count, &err), &err);
    assert_int_equal(count, 2);
    int64_t found = -1;
    assert_int_equal(kafka_stage_read(&stage, "transfer", LANE, &found, 1), 1);
    assert_int_equal(found, offsets[0]);
    assert_int_equal(kafka_stage_read(&stage, "account", LANE, &found, 1), 1);
    assert_int_equal(found, offsets[1]);
    cairn_kafka_writer_close(writer);
    kafka_stage_fini(&stage);
}

/* add or commit of a writer that has lost its lane; returns the group's code. */
static enum cairn_rc try_group(struct kafka_stage *stage, struct cairn_kafka_writer *writer)
{
    struct cairn_err err;
    const int64_t *offsets = NULL;
    size_t count = 0;
    struct cairn_event event = kafka_stage_event(stage, "account-1", 2, 0, 1);
    enum cairn_rc rc = kafka_stage_add(stage, writer, LANE, &event, &err);
    if (rc == CAIRN_OK) {
        rc = cairn_kafka_writer_commit(writer, &offsets, &count, &err);
    }
    return rc;
}

static void a_second_writer_fences_the_first(void **state)
{
    (void)state;
    struct kafka_stage stage;
    kafka_stage_init(&stage, LANES);
    struct cairn_kafka_writer *first = open_ids(&stage, 2, 0);
    kafka_stage_put(&stage, first, LANE, "account-1", 1, 1);
    struct cairn_kafka_writer *second = open_ids(&stage, 2, 0);
    assert_int_equal(try_group(&stage, first), CAIRN_EFENCED);
    assert_true(cairn_kafka_writer_is_broken(first));
    assert_int_equal(kafka_stage_read(&stage, "account", LANE, NULL, 0), 1);
    kafka_stage_put(&stage, second, LANE, "account-1", 2, 1);
    assert_int_equal(kafka_stage_read(&stage, "account", LANE, NULL, 0), 2);
    cairn_kafka_writer_close(first);
    cairn_kafka_writer_close(second);
    kafka_stage_fini(&stage);
}

static void a_group_fenced_in_the_middle_never_appears(void **state)
{
    (void)state;
    struct kafka_stage stage;
    struct cairn_err err;
    const int64_t *offsets = NULL;
    size_t count = 0;
    kafka_stage_init(&stage, LANES);
    struct cairn_kafka_writer *first = open_ids(&stage, 2, 0);
    struct cairn_event event = kafka_stage_event(&stage, "account-1", 1, 0, 1);
    assert_ok(kafka_stage_add(&stage, first, LANE, &event, &err), &err);
    kafka_stage_await_high(&stage, "account", LANE, 1);
    struct cairn_kafka_writer *second = open_ids(&stage, 2, 0);
    kafka_stage_put(&stage, second, LANE, "account-1", 1, 1);
    assert_int_equal(cairn_kafka_writer_commit(first, &offsets, &count, &err), CAIRN_EFENCED);
    assert_true(cairn_kafka_writer_is_broken(first));
    assert_int_equal(kafka_stage_read(&stage, "account", LANE, NULL, 0), 1);
    cairn_kafka_writer_close(first);
    cairn_kafka_writer_close(second);
    kafka_stage_fini(&stage);
}

static void ids_beyond_the_own_rotation_are_fenced_too(void **state)
{
    (void)state;
    struct kafka_stage stage;
    kafka_stage_init(&stage, LANES);
    struct cairn_kafka_writer *first = open_ids(&stage, 3, 0);
    kafka_stage_put(&stage, first, LANE, "account-1", 1, 1); /* its third producer is ... */
    kafka_stage_put(&stage, first, LANE, "account-1", 2, 1); /* ... the next to take its turn */
    struct cairn_kafka_writer *second = open_ids(&stage, 1, 3);
    assert_int_equal(try_group(&stage, first), CAIRN_EFENCED);
    kafka_stage_put(&stage, second, LANE, "account-1", 3, 1);
    kafka_stage_put(&stage, second, LANE, "account-1", 4, 1);
    assert_int_equal(kafka_stage_read(&stage, "account", LANE, NULL, 0), 4);
    cairn_kafka_writer_close(first);
    cairn_kafka_writer_close(second);
    kafka_stage_fini(&stage);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* How long it takes to open a writer that nobody has left anything to: at the least, of some. */
static double open_time_ms(struct kafka_stage *stage)
{
    double took[TAKEOVERS];
    for (size_t i = 0; i < TAKEOVERS; i++) {
        double began = kafka_stage_now_ms();
        struct cairn_kafka_writer *writer = open_ids(stage, 2, 0);
        took[i] = kafka_stage_now_ms() - began;
        cairn_kafka_writer_close(writer);
    }
    qsort(took, TAKEOVERS, sizeof(took[0]), by_size);
    return took[0];
}

/* The shortest counts: a machine that has other things to do makes any of them longer, and a wait
 * for the transaction all. */
static void a_killed_writers_open_transaction_costs_no_half_second(void **state)
{
    (void)state;
    struct kafka_stage stage;
    kafka_stage_init(&stage, LANES);
    double without = open_time_ms(&stage);
    double took[TAKEOVERS];
    for (size_t i = 0; i < TAKEOVERS; i++) {
        int64_t high = kafka_stage_high(&stage, "account", LANE);
        pid_t victim = kafka_stage_start_victim(&stage, LANE);
        kafka_stage_await_high(&stage, "account", LANE, high + 1);
        assert_int_equal(kill(victim, SIGKILL), 0);
        assert_int_equal(waitpid(victim, NULL, 0), victim);
        double began = kafka_stage_now_ms();
        struct cairn_kafka_writer *writer = open_ids(&stage, 2, 0);
        took[i] = kafka_stage_now_ms() - began;
        kafka_stage_put(&stage, writer, LANE, "account-1", i + 1, 1);
        cairn_kafka_writer_close(writer);
    }
    qsort(took, TAKEOVERS, sizeof(took[0]), by_size);
    print_message("take-over with a transaction left open: %.0f to %.0f ms, without %.0f ms\n",
                  took[0], took[TAKEOVERS - 1], without);
    assert_true(took[0] < without + TRANSACTION_MAX_MS);
    assert_int_equal(kafka_stage_read(&stage, "account", LANE, NULL, 0), TAKEOVERS);
    kafka_stage_fini(&stage);
}

static void commits_in_rotation_do_not_wait_for_markers(void **state)
{
    (void)state;
    struct kafka_stage stage;
    kafka_stage_init(&stage, LANES);
    double p50[2];
    for (unsigned i = 0; i < 2; i++) {
        static double took[COMMITS];
        unsigned ids = i == 0 ? 1 : 4;
        double opening = kafka_stage_now_ms();
        struct cairn_kafka_writer *writer = open_ids(&stage, ids, 4);
        opening = kafka_stage_now_ms() - opening;
        double all = kafka_stage_now_ms();
        for (size_t k = 0; k < COMMITS; k++) {
            double began = kafka_stage_now_ms();
            kafka_stage_put(&stage, writer, LANE, "account-1", k * 10 + 1, 10);
            took[k] = kafka_stage_now_ms() - began;
        }
        all = kafka_stage_now_ms() - all;
        double closing = kafka_stage_now_ms();
        cairn_kafka_writer_close(writer);
        closing = kafka_stage_now_ms() - closing;
        qsort(took, COMMITS, sizeof(took[0]), by_size);
        p50[i] = took[COMMITS / 2];
        print_message("ids %u: open %.0f ms, commits of 10 p50 %.1f ms, p99 %.1f ms, %.0f a second,"
                      " close %.0f ms\n",
                      ids, opening, p50[i], took[COMMITS * 99 / 100], COMMITS / all * 1e3, closing);
    }
    assert_int_equal(kafka_stage_read(&stage, "account", LANE, NULL, 0), 2 * COMMITS * 10);
    kafka_stage_fini(&stage);
}

static void a_record_too_large_for_the_broker_leaves_nothing(void **state)
{
    (void)state;
    struct kafka_stage stage;
    struct cairn_err err;
    const int64_t *offsets = NULL;
    size_t count = 0;
    char data[4096] = "\x81\xa1x\xda\x0f\xf0";
    kafka_stage_init(&stage, LANES);
    struct cairn_kafka_writer *writer = open_ids(&stage, 2, 0);
    struct cairn_event small = kafka_stage_event(&stage, "account-1", 1, 0, 1);
    struct cairn_event large = kafka_stage_event(&stage, "transfer-1", 1, 0, 1);
    large.data = cairn_slice_of(data, 6 + 0x0ff0);
    memset(data + 6, 'x', 0x0ff0);
    assert_ok(kafka_stage_add(&stage, writer, LANE, &small, &err), &err);
    assert_ok(kafka_stage_add(&stage, writer, LANE, &large, &err), &err);
    assert_int_equal(cairn_kafka_writer_commit(writer, &offsets, &count, &err), CAIRN_ETOOBIG);
    assert_true(cairn_kafka_writer_is_broken(writer));
    cairn_kafka_writer_close(writer);
    writer = open_ids(&stage, 2, 0);
    assert_int_equal(kafka_stage_read(&stage, "account", LANE, NULL, 0), 0);
    kafka_stage_put(&stage, writer, LANE, "account-1", 1, 1);
    assert_int_equal(kafka_stage_read(&stage, "account", LANE, NULL, 0), 1);
    cairn_kafka_writer_close(writer);
    kafka_stage_fini(&stage);
}

static void no_broker_ends_an_opening_in_time(void **state)
{
    (void)state;
    struct kafka_stage stage;
    struct cairn_err err;
    struct cairn_kafka_writer *writer = NULL;
    kafka_stage_join(&stage, LANES, "nobody");
    stage.options.brokers = "127.0.0.1:1";
    struct cairn_kafka_writer_options options = kafka_stage_writer(&stage, LANE);
    options.open_timeout_ms = 700;
    double began = kafka_stage_now_ms();
    assert_int_equal(cairn_kafka_writer_open(&options, &writer, &err), CAIRN_ETIMEDOUT);
    assert_non_null(strstr(err.text, "refused"));
    assert_true(kafka_stage_now_ms() - began < 15000); /* the usual one is 20 s */
    cairn_arena_fini(&stage.arena);
}

static void a_missing_topic_is_named(void **state)
{
    (void)state;
    struct kafka_stage stage;
    struct cairn_err err;
    struct cairn_kafka_writer *writer = NULL;
    kafka_stage_init(&stage, LANES);
    struct kafka_stage other = stage;
    (void)snprintf(other.layout.aggregates[1], sizeof(other.layout.aggregates[1]), "absent");
    const struct cairn_kafka_writer_options options = kafka_stage_writer(&other, LANE);
    assert_int_equal(cairn_kafka_writer_open(&options, &writer, &err), CAIRN_ENOENT);
    assert_non_null(strstr(err.text, ".absent"));
    kafka_stage_fini(&stage);
}

static void opening_survives_threads_and_memory_that_fail(void **state)
{
    (void)state;
    skip_without_faults();
    struct kafka_stage stage;
    struct cairn_err err;
    kafka_stage_init(&stage, LANES);
    const struct cairn_kafka_writer_options options = kafka_stage_writer(&stage, LANE);
    static const enum cairn_fault faults[] = {CAIRN_FAULT_THREAD, CAIRN_FAULT_MEM};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        for (int after = 0; cairn_fault_fired(faults[i]) || after == 0; after++) {
            struct cairn_kafka_writer *writer = NULL;
            cairn_fault_arm(faults[i], after);
            enum cairn_rc rc = cairn_kafka_writer_open(&options, &writer, &err);
            if (rc == CAIRN_OK) {
                rc = try_group(&stage, writer);
            }
            assert_true(rc == CAIRN_OK || cairn_fault_fired(faults[i]));
            cairn_kafka_writer_close(writer);
        }
        cairn_fault_disarm();
    }
    kafka_stage_fini(&stage);
}

int main(int argc, char **argv)
{
    kafka_stage_victim_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(committed_records_lie_where_the_offsets_say),
        cmocka_unit_test(a_group_over_two_topics_is_seen_whole_or_not),
        cmocka_unit_test(a_second_writer_fences_the_first),
        cmocka_unit_test(a_group_fenced_in_the_middle_never_appears),
        cmocka_unit_test(ids_beyond_the_own_rotation_are_fenced_too),
        cmocka_unit_test(a_killed_writers_open_transaction_costs_no_half_second),
        cmocka_unit_test(commits_in_rotation_do_not_wait_for_markers),
        cmocka_unit_test(a_record_too_large_for_the_broker_leaves_nothing),
        cmocka_unit_test(no_broker_ends_an_opening_in_time),
        cmocka_unit_test(a_missing_topic_is_named),
        cmocka_unit_test(opening_survives_threads_and_memory_that_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
