#include "eventstore/kafka_tail.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "eventstore/kafka_writer.h"
#include "platform/fault.h"
#include "tests/integration/eventstore/kafka_stage.h"
#include "tests/support/folder.h"

#include "tests/support/cm.h"

enum { LANES = 2, LANE = 1, WAIT_MS = 30000, PARTITIONS = 2 * LANES };
/* Store numbers of the lane's partitions. */
enum { ACCOUNT = LANE, TRANSFER = LANES + LANE };

/* Who takes deliveries: checks that streams "<aggregate>-1" are whole and dense, one a partition.
 */
struct replica {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t versions[PARTITIONS]; /* of the partition's one stream */
    uint64_t sources[PARTITIONS];
    size_t commands;
    bool refuse;          /* fail the next delivery */
    bool failed;          /* the tail said that it has ended */
    struct cairn_err why; /* what it said */
};

struct bench {
    struct kafka_stage stage;
    struct replica replica;
    struct cairn_kafka_tail *tail;
};

static enum cairn_rc take(void *self, const struct cairn_kafka_delivery *delivery,
                          struct cairn_err *err)
{
    struct replica *replica = self;
    uint16_t at = delivery->partition;
    enum cairn_rc rc = CAIRN_OK;
    (void)pthread_mutex_lock(&replica->lock);
    if (replica->refuse) {
        rc = CAIRN_FAIL(err, CAIRN_EFULL, "no room");
    }
    for (size_t i = 0; rc == CAIRN_OK && i < delivery->count; i++) {
        const struct cairn_append *append = &delivery->appends[i];
        assert_int_equal(append->expected, replica->versions[at]);
        for (uint16_t k = 0; k < append->count; k++) {
            const struct cairn_event *event = &append->events[k];
            assert_int_equal(event->version, ++replica->versions[at]);
            assert_int_equal(event->index, k);
            assert_int_equal(event->count, append->count);
            assert_int_equal(event->partition, at);
            assert_true(cairn_slice_equal(event->stream, append->stream));
        }
        assert_int_equal(append->actual_version, replica->versions[at]);
    }
    if (rc == CAIRN_OK) {
        assert_true(delivery->count > 0);
        assert_true(delivery->source > replica->sources[at]);
        replica->commands += delivery->count;
        replica->sources[at] = delivery->source;
    }
    (void)pthread_cond_broadcast(&replica->changed);
    (void)pthread_mutex_unlock(&replica->lock);
    return rc;
}

static void note_failure(void *self, const struct cairn_err *err)
{
    struct replica *replica = self;
    (void)pthread_mutex_lock(&replica->lock);
    assert_false(replica->failed);
    replica->failed = true;
    replica->why = *err;
    (void)pthread_cond_broadcast(&replica->changed);
    (void)pthread_mutex_unlock(&replica->lock);
}

static bool wait_changed(struct replica *replica, const struct timespec *until)
{
    return pthread_cond_timedwait(&replica->changed, &replica->lock, until) == 0;
}

static void await_version(struct replica *replica, uint16_t partition, uint64_t version)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_MS / 1000;
    (void)pthread_mutex_lock(&replica->lock);
    while (replica->versions[partition] < version && !replica->failed) {
        assert_true(wait_changed(replica, &until));
    }
    (void)pthread_mutex_unlock(&replica->lock);
}

static struct cairn_err await_failure(struct replica *replica)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_MS / 1000;
    (void)pthread_mutex_lock(&replica->lock);
    while (!replica->failed) {
        assert_true(wait_changed(replica, &until));
    }
    struct cairn_err why = replica->why;
    (void)pthread_mutex_unlock(&replica->lock);
    return why;
}

static void open_tail(struct bench *bench)
{
    struct cairn_err err;
    bench->replica = (struct replica){0};
    (void)pthread_mutex_init(&bench->replica.lock, NULL);
    (void)pthread_cond_init(&bench->replica.changed, NULL);
    const struct cairn_kafka_tail_options options = {.kafka = bench->stage.options,
                                                     .layout = &bench->stage.layout,
                                                     .deliver = take,
                                                     .failed = note_failure,
                                                     .self = &bench->replica};
    assert_ok(cairn_kafka_tail_new(&options, &bench->tail, &err), &err);
}

static void close_tail(struct bench *bench)
{
    cairn_kafka_tail_free(bench->tail);
    (void)pthread_mutex_destroy(&bench->replica.lock);
    (void)pthread_cond_destroy(&bench->replica.changed);
}

static void bench_init(struct bench *bench)
{
    kafka_stage_init(&bench->stage, LANES);
    open_tail(bench);
}

static void bench_fini(struct bench *bench)
{
    close_tail(bench);
    kafka_stage_fini(&bench->stage);
}

static void start(struct bench *bench, uint16_t partition, uint64_t source)
{
    struct cairn_err err;
    assert_ok(cairn_kafka_tail_start(bench->tail, partition, source, &err), &err);
}

/* Read to what is the end now. */
static void catch_up(struct bench *bench, uint16_t partition)
{
    struct cairn_err err;
    uint64_t high = 0;
    assert_ok(cairn_kafka_tail_high(bench->tail, partition, WAIT_MS, &high, &err), &err);
    assert_ok(cairn_kafka_tail_reach(bench->tail, partition, high, WAIT_MS, &err), &err);
}

static void whole_commands_arrive_in_order(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    struct cairn_kafka_writer *writer = kafka_stage_open(&bench.stage, LANE);
    start(&bench, ACCOUNT, 0);
    uint64_t version = 0;
    for (uint16_t i = 0; i < 50; i++) {
        uint16_t count = (uint16_t)(i * 7 % 20 + 1);
        kafka_stage_put(&bench.stage, writer, LANE, "account-1", version + 1, count);
        kafka_stage_put(&bench.stage, writer, LANE, "transfer-1", i + 1u, 1);
        version += count;
    }
    start(&bench, TRANSFER, 0);
    catch_up(&bench, ACCOUNT);
    catch_up(&bench, TRANSFER);
    assert_int_equal(bench.replica.versions[ACCOUNT], version);
    assert_int_equal(bench.replica.versions[TRANSFER], 50);
    assert_int_equal(bench.replica.commands, 100);
    assert_false(bench.replica.failed);
    cairn_kafka_writer_close(writer);
    bench_fini(&bench);
}

static void commands_larger_than_a_round_arrive_whole(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    struct cairn_kafka_writer *writer = kafka_stage_open(&bench.stage, LANE);
    uint64_t version = 0;
    for (int i = 0; i < 10; i++) { /* 999 is no divisor of a round: commands lie across borders */
        kafka_stage_put(&bench.stage, writer, LANE, "account-1", version + 1, 999);
        version += 999;
    }
    start(&bench, ACCOUNT, 0);
    catch_up(&bench, ACCOUNT);
    assert_int_equal(bench.replica.versions[ACCOUNT], version);
    assert_int_equal(bench.replica.commands, 10);
    cairn_kafka_writer_close(writer);
    bench_fini(&bench);
}

static void what_was_aborted_is_never_delivered(void **state)
{
    (void)state;
    struct bench bench;
    struct cairn_err err;
    bench_init(&bench);
    start(&bench, ACCOUNT, 0);
    for (uint64_t i = 0; i < 5; i++) {
        struct cairn_kafka_writer *writer = kafka_stage_open(&bench.stage, LANE);
        int64_t high = kafka_stage_high(&bench.stage, "account", LANE);
        kafka_stage_put(&bench.stage, writer, LANE, "account-1", i + 1, 1);
        struct cairn_event lost = kafka_stage_event(&bench.stage, "account-1", 99, 0, 1);
        assert_ok(kafka_stage_add(&bench.stage, writer, LANE, &lost, &err), &err);
        kafka_stage_await_high(&bench.stage, "account", LANE, high + 3);
        cairn_kafka_writer_close(writer);
    }
    cairn_kafka_writer_close(kafka_stage_open(&bench.stage, LANE));
    catch_up(&bench, ACCOUNT);
    assert_int_equal(bench.replica.versions[ACCOUNT], 5);
    assert_false(bench.replica.failed);
    bench_fini(&bench);
}

static void the_end_is_reached_behind_a_fenced_transaction(void **state)
{
    (void)state;
    struct bench bench;
    struct cairn_err err;
    uint64_t high = 0;
    bench_init(&bench);
    struct cairn_kafka_writer *first = kafka_stage_open(&bench.stage, LANE);
    struct cairn_event lost = kafka_stage_event(&bench.stage, "account-1", 1, 0, 1);
    start(&bench, ACCOUNT, 0);
    assert_ok(kafka_stage_add(&bench.stage, first, LANE, &lost, &err), &err);
    kafka_stage_await_high(&bench.stage, "account", LANE, 1);
    assert_ok(cairn_kafka_tail_probe(bench.tail, WAIT_MS, &err), &err);
    /* While the transaction is open its record counts, and cannot be reached. */
    assert_ok(cairn_kafka_tail_high(bench.tail, ACCOUNT, WAIT_MS, &high, &err), &err);
    assert_int_equal(high, 1);
    assert_int_equal(cairn_kafka_tail_reach(bench.tail, ACCOUNT, high, 50, &err), CAIRN_ETIMEDOUT);
    double began = kafka_stage_now_ms();
    struct cairn_kafka_writer *second = kafka_stage_open(&bench.stage, LANE);
    double fenced = kafka_stage_now_ms();
    catch_up(&bench, ACCOUNT);
    print_message("take-over: %.0f ms to fence, %.0f ms to read to the end\n", fenced - began,
                  kafka_stage_now_ms() - fenced);
    assert_int_equal(bench.replica.commands, 0);
    kafka_stage_put(&bench.stage, second, LANE, "account-1", 1, 2);
    catch_up(&bench, ACCOUNT);
    assert_int_equal(bench.replica.commands, 1);
    cairn_kafka_writer_close(first);
    cairn_kafka_writer_close(second);
    bench_fini(&bench);
}

/* Commit the records of these events as one group, as they are. */
static void put_events(struct bench *bench, const struct cairn_event *events, size_t count)
{
    struct cairn_err err;
    const int64_t *offsets = NULL;
    size_t offset_count = 0;
    struct cairn_kafka_writer *writer = kafka_stage_open(&bench->stage, LANE);
    for (size_t i = 0; i < count; i++) {
        assert_ok(kafka_stage_add(&bench->stage, writer, LANE, &events[i], &err), &err);
    }
    assert_ok(cairn_kafka_writer_commit(writer, &offsets, &offset_count, &err), &err);
    cairn_kafka_writer_close(writer);
}

/* version, index, count of records that belong to no whole command */
static const struct torn {
    const char *name;
    size_t count;
    struct {
        uint64_t version;
        uint16_t index, count;
    } events[3];
    uint64_t delivered; /* whole commands in front of it may arrive */
} torn[] = {
    {"the second half is missing", 2, {{1, 0, 1}, {2, 0, 2}}, 1},
    {"another command comes before the second half", 2, {{1, 0, 2}, {2, 0, 1}}, 0},
    {"the first half is missing", 1, {{2, 1, 2}}, 0},
    {"an event is left out", 2, {{1, 0, 3}, {3, 2, 3}}, 0},
    {"versions leave a gap", 2, {{1, 0, 2}, {3, 1, 2}}, 0},
    {"the count changes", 2, {{1, 0, 2}, {2, 1, 3}}, 0},
};

static void a_command_torn_apart_ends_the_tail(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(torn) / sizeof(torn[0]); i++) {
        struct bench bench;
        struct cairn_event events[3];
        bench_init(&bench);
        for (size_t k = 0; k < torn[i].count; k++) {
            events[k] = kafka_stage_event(&bench.stage, "account-1", torn[i].events[k].version,
                                          torn[i].events[k].index, torn[i].events[k].count);
        }
        put_events(&bench, events, torn[i].count);
        start(&bench, ACCOUNT, 0);
        struct cairn_err why = await_failure(&bench.replica);
        if (why.rc != CAIRN_ECORRUPT || strstr(why.text, "offset") == NULL ||
            bench.replica.versions[ACCOUNT] > torn[i].delivered) {
            fail_msg("%s: %s", torn[i].name, why.text);
        }
        bench_fini(&bench);
    }
}

static void a_record_that_is_no_event_ends_the_tail(void **state)
{
    (void)state;
    struct bench bench;
    struct cairn_err err;
    const int64_t *offsets = NULL;
    size_t count = 0;
    bench_init(&bench);
    struct cairn_kafka_writer *writer = kafka_stage_open(&bench.stage, LANE);
    kafka_stage_put(&bench.stage, writer, LANE, "account-1", 1, 1);
    const struct cairn_kafka_record record = {.key = CAIRN_SLICE_LIT("1"),
                                              .value = CAIRN_SLICE_LIT("hello")};
    assert_ok(cairn_kafka_writer_add(writer, ACCOUNT, &record, &err), &err);
    assert_ok(cairn_kafka_writer_commit(writer, &offsets, &count, &err), &err);
    cairn_kafka_writer_close(writer);
    start(&bench, ACCOUNT, 0);
    struct cairn_err why = await_failure(&bench.replica);
    assert_int_equal(why.rc, CAIRN_ECORRUPT);
    assert_non_null(strstr(why.text, ".account, partition 1"));
    /* What comes later is told the same. */
    assert_int_equal(cairn_kafka_tail_start(bench.tail, TRANSFER, 0, &err), CAIRN_ECORRUPT);
    assert_string_equal(err.text, why.text);
    assert_int_equal(cairn_kafka_tail_reach(bench.tail, ACCOUNT, 99, WAIT_MS, &err),
                     CAIRN_ECORRUPT);
    cairn_kafka_tail_stop(bench.tail, ACCOUNT);
    bench_fini(&bench);
}

static void a_refused_delivery_ends_the_tail(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    bench.replica.refuse = true;
    struct cairn_kafka_writer *writer = kafka_stage_open(&bench.stage, LANE);
    kafka_stage_put(&bench.stage, writer, LANE, "account-1", 1, 1);
    cairn_kafka_writer_close(writer);
    start(&bench, ACCOUNT, 0);
    assert_int_equal(await_failure(&bench.replica).rc, CAIRN_EFULL);
    bench_fini(&bench);
}

static void records_that_are_gone_end_the_tail(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    struct cairn_kafka_writer *writer = kafka_stage_open(&bench.stage, LANE);
    for (uint64_t i = 0; i < 5; i++) {
        kafka_stage_put(&bench.stage, writer, LANE, "account-1", i + 1, 1);
    }
    cairn_kafka_writer_close(writer);
    kafka_stage_delete_before(&bench.stage, "account", LANE, 4);
    start(&bench, ACCOUNT, 2);
    struct cairn_err why = await_failure(&bench.replica);
    assert_int_equal(why.rc, CAIRN_ECORRUPT);
    assert_non_null(strstr(why.text, "records are gone"));
    assert_int_equal(bench.replica.commands, 0);
    bench_fini(&bench);
}

struct load {
    struct bench *bench;
    struct kafka_stage stage; /* its own arena and ids */
    uint64_t version;
    atomic_bool stop;
};

static void *write_on(void *self)
{
    struct load *load = self;
    struct cairn_kafka_writer *writer = kafka_stage_open(&load->stage, LANE);
    while (!atomic_load(&load->stop)) {
        uint16_t count = (uint16_t)(load->version % 5 + 1);
        kafka_stage_put(&load->stage, writer, LANE, "account-1", load->version + 1, count);
        load->version += count;
    }
    cairn_kafka_writer_close(writer);
    return NULL;
}

/* The replica's cursor and its deliveries are under its lock, as a store's would be. */
static void stopping_and_starting_loses_and_repeats_nothing(void **state)
{
    (void)state;
    struct bench bench;
    struct load load = {.bench = &bench};
    pthread_t thread;
    bench_init(&bench);
    kafka_stage_join(&load.stage, LANES, bench.stage.layout.domain);
    assert_int_equal(pthread_create(&thread, NULL, write_on, &load), 0);
    double longest = 0;
    for (int i = 0; i < 40; i++) {
        uint64_t version = bench.replica.versions[ACCOUNT];
        start(&bench, ACCOUNT, bench.replica.sources[ACCOUNT]);
        await_version(&bench.replica, ACCOUNT, version + 3);
        double began = kafka_stage_now_ms();
        cairn_kafka_tail_stop(bench.tail, ACCOUNT);
        double took = kafka_stage_now_ms() - began;
        longest = took > longest ? took : longest;
        /* No lock: nothing is delivered now, which the thread sanitizer proves. */
        if (i % 10 == 9) { /* the replica was thrown away */
            bench.replica.versions[ACCOUNT] = 0;
            bench.replica.sources[ACCOUNT] = 0;
        }
    }
    print_message("the longest stop took %.1f ms\n", longest);
    atomic_store(&load.stop, true);
    (void)pthread_join(thread, NULL);
    start(&bench, ACCOUNT, bench.replica.sources[ACCOUNT]);
    catch_up(&bench, ACCOUNT);
    assert_int_equal(bench.replica.versions[ACCOUNT], load.version);
    assert_false(bench.replica.failed);
    cairn_arena_fini(&load.stage.arena);
    bench_fini(&bench);
}

static void what_is_not_read_is_not_waited_for(void **state)
{
    (void)state;
    struct bench bench;
    struct cairn_err err;
    bench_init(&bench);
    assert_int_equal(cairn_kafka_tail_reach(bench.tail, ACCOUNT, 1, WAIT_MS, &err), CAIRN_ESTOPPED);
    start(&bench, ACCOUNT, 0);
    cairn_kafka_tail_stop(bench.tail, ACCOUNT);
    cairn_kafka_tail_stop(bench.tail, ACCOUNT); /* twice does no harm */
    assert_int_equal(cairn_kafka_tail_reach(bench.tail, ACCOUNT, 1, WAIT_MS, &err), CAIRN_ESTOPPED);
    bench_fini(&bench);
}

static void an_event_is_delivered_soon_after_its_commit(void **state)
{
    (void)state;
    struct bench bench;
    enum { ROUNDS = 50 };
    double sum = 0;
    bench_init(&bench);
    struct cairn_kafka_writer *writer = kafka_stage_open(&bench.stage, LANE);
    start(&bench, ACCOUNT, 0);
    catch_up(&bench, ACCOUNT);
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        kafka_stage_put(&bench.stage, writer, LANE, "account-1", i, 1);
        double began = kafka_stage_now_ms();
        await_version(&bench.replica, ACCOUNT, i);
        sum += kafka_stage_now_ms() - began;
    }
    print_message("from commit to delivery: %.1f ms on average\n", sum / ROUNDS);
    cairn_kafka_writer_close(writer);
    bench_fini(&bench);
}

static enum cairn_rc pass(void *self, const struct cairn_kafka_delivery *delivery,
                          struct cairn_err *err)
{
    (void)self;
    (void)delivery;
    (void)err;
    return CAIRN_OK;
}

static void reading_keeps_up_with_a_bare_loop(void **state)
{
    (void)state;
    struct bench bench;
    struct cairn_err err;
    const char *wanted = getenv("CAIRN_TAIL_EVENTS");
    size_t count = wanted == NULL ? 20000 : strtoul(wanted, NULL, 10);
    kafka_stage_init(&bench.stage, LANES);
    struct cairn_kafka_writer *writer = kafka_stage_open(&bench.stage, LANE);
    for (size_t i = 0; i < count; i += 1000) {
        kafka_stage_put_many(&bench.stage, writer, LANE, "account-1", i + 1, 1000);
    }
    cairn_kafka_writer_close(writer);
    double bare = kafka_stage_drain(&bench.stage, "account", LANE, count);
    const struct cairn_kafka_tail_options options = {.kafka = bench.stage.options,
                                                     .layout = &bench.stage.layout,
                                                     .deliver = pass,
                                                     .failed = note_failure,
                                                     .self = &bench.replica};
    assert_ok(cairn_kafka_tail_new(&options, &bench.tail, &err), &err);
    double began = kafka_stage_now_ms();
    uint64_t high = (uint64_t)kafka_stage_high(&bench.stage, "account", LANE);
    start(&bench, ACCOUNT, 0);
    /* Behind the last record lies its transaction's marker. */
    assert_ok(cairn_kafka_tail_reach(bench.tail, ACCOUNT, high - 1, WAIT_MS, &err), &err);
    double took = kafka_stage_now_ms() - began;
    print_message("%zu events: bare consumer %.0f a second, tail %.0f a second\n", count,
                  (double)count / bare * 1e3, (double)count / took * 1e3);
    cairn_kafka_tail_free(bench.tail);
    kafka_stage_fini(&bench.stage);
}

/* Runs tools/kafka with these words; the first line it prints goes to out[size]. */
static void run_kafka(const char *words, const char *folder, char *out, size_t size)
{
    char command[512];
    (void)snprintf(command, sizeof(command), "%s/tools/kafka %s --folder %s/kafka 2>/dev/null",
                   CAIRN_SOURCE_DIR, words, folder);
    FILE *answer = popen(command, "r"); /* NOLINT(cert-env33-c): the words are ours */
    assert_non_null(answer);
    out[0] = '\0';
    (void)fgets(out, (int)size, answer);
    out[strcspn(out, "\n")] = '\0';
    assert_int_equal(pclose(answer), 0);
}

static void reading_goes_on_when_the_broker_comes_back(void **state)
{
    (void)state;
    struct bench bench;
    char folder[TEST_FOLDER_SIZE];
    char brokers[128];
    char line[128];
    test_folder_make(folder, sizeof(folder), "broker");
    run_kafka("up --port 0", folder, brokers, sizeof(brokers));
    const char *before = getenv("CAIRN_KAFKA");
    char *saved = before == NULL ? NULL : strdup(before);
    (void)setenv("CAIRN_KAFKA", brokers, 1);
    bench_init(&bench);
    struct cairn_kafka_writer *writer = kafka_stage_open(&bench.stage, LANE);
    start(&bench, ACCOUNT, 0);
    kafka_stage_put(&bench.stage, writer, LANE, "account-1", 1, 1);
    await_version(&bench.replica, ACCOUNT, 1);
    run_kafka("kill 1", folder, line, sizeof(line));
    run_kafka("restart 1", folder, line, sizeof(line));
    double began = kafka_stage_now_ms();
    kafka_stage_put(&bench.stage, writer, LANE, "account-1", 2, 1);
    await_version(&bench.replica, ACCOUNT, 2);
    print_message("a commit and its delivery after a restart of the broker: %.0f ms\n",
                  kafka_stage_now_ms() - began);
    assert_false(bench.replica.failed);
    cairn_kafka_writer_close(writer);
    bench_fini(&bench);
    run_kafka("down --wipe", folder, line, sizeof(line));
    if (saved != NULL) {
        (void)setenv("CAIRN_KAFKA", saved, 1);
        free(saved); /* NOLINT: strdup's */
    }
    test_folder_remove(folder);
}

static void making_a_tail_survives_threads_and_memory_that_fail(void **state)
{
    (void)state;
    skip_without_faults();
    struct kafka_stage stage;
    struct replica replica = {0};
    struct cairn_err err;
    kafka_stage_join(&stage, LANES, "nobody");
    stage.options.brokers = "127.0.0.1:1";
    const struct cairn_kafka_tail_options options = {.kafka = stage.options,
                                                     .layout = &stage.layout,
                                                     .deliver = pass,
                                                     .failed = note_failure,
                                                     .self = &replica};
    static const enum cairn_fault faults[] = {CAIRN_FAULT_THREAD, CAIRN_FAULT_MEM};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        for (int after = 0; cairn_fault_fired(faults[i]) || after == 0; after++) {
            struct cairn_kafka_tail *tail = NULL;
            cairn_fault_arm(faults[i], after);
            enum cairn_rc rc = cairn_kafka_tail_new(&options, &tail, &err);
            assert_true((rc == CAIRN_OK) == (tail != NULL));
            assert_true(rc == CAIRN_OK || cairn_fault_fired(faults[i]));
            cairn_kafka_tail_free(tail);
        }
        cairn_fault_disarm();
    }
    cairn_arena_fini(&stage.arena);
}

static void no_broker_ends_a_question_in_time(void **state)
{
    (void)state;
    struct kafka_stage stage;
    struct replica replica = {0};
    struct cairn_kafka_tail *tail = NULL;
    struct cairn_err err;
    uint64_t high = 0;
    kafka_stage_join(&stage, LANES, "nobody");
    stage.options.brokers = "127.0.0.1:1";
    const struct cairn_kafka_tail_options options = {.kafka = stage.options,
                                                     .layout = &stage.layout,
                                                     .deliver = pass,
                                                     .failed = note_failure,
                                                     .self = &replica};
    assert_ok(cairn_kafka_tail_new(&options, &tail, &err), &err);
    double began = kafka_stage_now_ms();
    assert_int_equal(cairn_kafka_tail_high(tail, ACCOUNT, 300, &high, &err), CAIRN_ETIMEDOUT);
    assert_int_equal(cairn_kafka_tail_probe(tail, 300, &err), CAIRN_EUNREACHABLE);
    assert_ok(cairn_kafka_tail_start(tail, ACCOUNT, 0, &err), &err);
    assert_int_equal(cairn_kafka_tail_reach(tail, ACCOUNT, 1, 100, &err), CAIRN_ETIMEDOUT);
    cairn_kafka_tail_stop(tail, ACCOUNT);
    cairn_kafka_tail_free(tail);
    assert_true(kafka_stage_now_ms() - began < 15000);
    cairn_arena_fini(&stage.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_commands_arrive_in_order),
        cmocka_unit_test(commands_larger_than_a_round_arrive_whole),
        cmocka_unit_test(what_was_aborted_is_never_delivered),
        cmocka_unit_test(the_end_is_reached_behind_a_fenced_transaction),
        cmocka_unit_test(a_command_torn_apart_ends_the_tail),
        cmocka_unit_test(a_record_that_is_no_event_ends_the_tail),
        cmocka_unit_test(a_refused_delivery_ends_the_tail),
        cmocka_unit_test(records_that_are_gone_end_the_tail),
        cmocka_unit_test(stopping_and_starting_loses_and_repeats_nothing),
        cmocka_unit_test(what_is_not_read_is_not_waited_for),
        cmocka_unit_test(an_event_is_delivered_soon_after_its_commit),
        cmocka_unit_test(reading_keeps_up_with_a_bare_loop),
        cmocka_unit_test(reading_goes_on_when_the_broker_comes_back),
        cmocka_unit_test(making_a_tail_survives_threads_and_memory_that_fail),
        cmocka_unit_test(no_broker_ends_a_question_in_time),
    };
    cmocka_set_test_filter(getenv("CAIRN_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
