/* Parked streams of a live view: listed, tried again and given up, beside projectors and without.
 */
#include <pthread.h>

#include "platform/fault.h"
#include "projector/sql/read.h"
#include "projector/sql/retry.h"
#include "projector/sql/runner.h"
#include "tests/integration/projector/sql_parking.h"
#include "tests/support/hand_clock.h"

enum { WAITING = 300, ROUNDS = 6, LATER = 40 };

#define PARK    "-- on_error: park\n"
#define JOURNAL CAIRN_SLICE_LIT("journal")

struct retrying {
    struct parking parking;
    struct sql_stage *stage;
    struct cairn_projector_options options;
    struct cairn_err err;
    uint64_t events; /* of the last call */
};

/* A generation by the domain's definition, as far as the log. Returns how many streams it parks. */
static uint64_t rebuild(struct retrying *retrying)
{
    const struct cairn_rebuild_request request = {.view = JOURNAL};
    struct cairn_rebuild_result result;
    assert_ok(cairn_view_rebuild(&retrying->options, &request, NULL, &result, &retrying->err),
              &retrying->err);
    return result.parked;
}

static void begin_empty(struct retrying *retrying, struct sql_stage *stage, uint16_t partitions)
{
    *retrying = (struct retrying){.stage = stage};
    parking_begin(&retrying->parking, stage, PARK, partitions);
    retrying->parking.schema = "test";
    retrying->options = world_options(&stage->world);
    retrying->options.postgres = stage->uri;
}

/* With a live generation without events. */
static void begin(struct retrying *retrying, struct sql_stage *stage, uint16_t partitions)
{
    begin_empty(retrying, stage, partitions);
    assert_int_equal(rebuild(retrying), 0);
}

static void follow(struct retrying *retrying)
{
    struct cairn_sql_follower *follower = parking_follow(&retrying->parking, CAIRN_SIDE_LIVE);
    sql_stage_catch_up(follower, 1000);
    assert_false(follower->failed);
    cairn_sql_follower_close(follower);
}

/* Of four events of stream 2 the second is refused. */
static void begin_parked(struct retrying *retrying, struct sql_stage *stage)
{
    begin(retrying, stage, 1);
    parking_add(&retrying->parking, 2, 1, 1);
    parking_add(&retrying->parking, 2, -1, 1);
    parking_add(&retrying->parking, 2, 1, 2);
    follow(retrying);
}

static enum cairn_rc retry(struct retrying *retrying, const char *stream)
{
    return cairn_view_parked_retry(&retrying->options, JOURNAL, cairn_slice_str(stream),
                                   &retrying->events, &retrying->err);
}

static enum cairn_rc drop(struct retrying *retrying, const char *stream)
{
    return cairn_view_parked_drop(&retrying->options, JOURNAL, cairn_slice_str(stream),
                                  &retrying->events, &retrying->err);
}

/* What the view refused it takes from now on. */
static void mend(struct retrying *retrying)
{
    sql_stage_run(retrying->stage, "ALTER TABLE test.journal DROP CONSTRAINT positive");
}

/* Refuse again what comes; what is there may stay. */
static void spoil(struct retrying *retrying)
{
    sql_stage_run(retrying->stage,
                  "ALTER TABLE test.journal ADD CONSTRAINT positive CHECK (n >= 0) NOT VALID");
}

static void flows(struct retrying *retrying, size_t stream)
{
    retrying->parking.streams[stream].parked = 0;
}

static void what_waits_is_listed(void **state)
{
    struct retrying retrying;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_parked *parked = NULL;
    size_t count = 7;
    begin(&retrying, *state, 2);
    assert_ok(cairn_view_parked(&retrying.options, JOURNAL, &arena, &parked, &count, &retrying.err),
              &retrying.err);
    assert_int_equal(count, 0);
    int64_t before_us = cairn_clock_now_us(cairn_clock_system());
    parking_add(&retrying.parking, 3, 1, 4);
    parking_add(&retrying.parking, 3, -1, 2);
    parking_add(&retrying.parking, 1, -1, 1);
    follow(&retrying);
    sql_stage_run(retrying.stage,
                  "INSERT INTO _cairn_parked (view, generation, stream, version, event, position, "
                  "error) VALUES ('journal', 8, 'box-2', 1, 'e', '0:1', 'of another generation')");
    assert_ok(cairn_view_parked(&retrying.options, JOURNAL, &arena, &parked, &count, &retrying.err),
              &retrying.err);
    assert_int_equal(count, 2);
    assert_true(cairn_slice_is(parked[0].stream, "box-1"));
    assert_int_equal(parked[0].version, 1);
    assert_true(cairn_slice_is(parked[1].stream, "box-3"));
    assert_int_equal(parked[1].version, 5);
    assert_int_equal(parked[1].until_version, 0);
    assert_int_equal(parked[1].partition,
                     cairn_store_partition_of(retrying.stage->world.store, parked[1].stream));
    assert_true(parked[1].offset >= 5 && parked[1].offset <= 6);
    assert_int_equal(parked[1].event.size, CAIRN_UUID_TEXT_SIZE);
    assert_true(cairn_slice_starts(parked[1].error, CAIRN_SLICE_LIT("line 8: ")));
    assert_true(parked[1].parked_us > before_us - 60000000 &&
                parked[1].parked_us < before_us + 600000000);
    cairn_arena_fini(&arena);
}

static void a_stream_that_is_tried_again_flows(void **state)
{
    struct retrying retrying;
    begin(&retrying, *state, 2);
    parking_add(&retrying.parking, 2, 1, 2);
    parking_add(&retrying.parking, 2, -5, 3);
    for (int i = 0; i < WAITING; i++) {
        parking_add(&retrying.parking, 2, i, 1);
        if (i % 10 == 0) {
            parking_add(&retrying.parking, 4, i, 1);
        }
    }
    follow(&retrying);
    parking_check(&retrying.parking);
    parking_add(&retrying.parking, 2, 9, 1); /* not yet seen by the view: it is the follower's */
    mend(&retrying);
    assert_ok(retry(&retrying, "box-2"), &retrying.err);
    assert_int_equal(retrying.events, 3 + WAITING);
    assert_int_equal(sql_stage_number(retrying.stage, "SELECT count(*) FROM _cairn_parked"), 0);
    follow(&retrying);
    flows(&retrying, 2);
    parking_check(&retrying.parking);
    parking_is_at_end(&retrying.parking, 2);
}

static void a_stream_that_fails_again_stays_with_the_new_reason(void **state)
{
    struct retrying retrying;
    begin_parked(&retrying, *state);
    mend(&retrying);
    sql_stage_run(retrying.stage, "ALTER TABLE test.journal ADD CONSTRAINT not_4 CHECK (version <> "
                                  "4)");
    assert_int_equal(retry(&retrying, "box-2"), CAIRN_EINVAL);
    assert_non_null(strstr(retrying.err.text, "not_4"));
    assert_non_null(
        strstr(sql_stage_value(retrying.stage, "SELECT error FROM _cairn_parked"), "not_4"));
    assert_string_equal(sql_stage_value(retrying.stage,
                                        "SELECT concat_ws(' ', version, until_version, position) "
                                        "FROM _cairn_parked"),
                        "2 0 0:4");
    parking_check(&retrying.parking);
    parking_is_at_end(&retrying.parking, 1);
    /* And with that mended, too, it flows. */
    sql_stage_run(retrying.stage, "ALTER TABLE test.journal DROP CONSTRAINT not_4");
    assert_ok(retry(&retrying, "box-2"), &retrying.err);
    assert_int_equal(retrying.events, 3);
    flows(&retrying, 2);
    parking_check(&retrying.parking);
}

/* A constraint that speaks at the commit alone speaks of no event in particular. */
static void a_refused_commit_applies_nothing(void **state)
{
    struct retrying retrying;
    begin(&retrying, *state, 1);
    parking_add(&retrying.parking, 2, -1, 1);
    parking_add(&retrying.parking, 2, 1, 1);
    follow(&retrying);
    mend(&retrying);
    sql_stage_run(retrying.stage,
                  "CREATE TABLE test.allowed (n bigint PRIMARY KEY); ALTER TABLE test.journal ADD "
                  "CONSTRAINT known FOREIGN KEY (n) REFERENCES test.allowed DEFERRABLE INITIALLY "
                  "DEFERRED");
    assert_int_equal(retry(&retrying, "box-2"), CAIRN_EINVAL);
    assert_non_null(
        strstr(sql_stage_value(retrying.stage, "SELECT error FROM _cairn_parked"), "known"));
    parking_check(&retrying.parking);
    parking_is_at_end(&retrying.parking, 1);
    /* The follower parks for it as well, and both take what is allowed. */
    parking_add(&retrying.parking, 3, 7, 1);
    follow(&retrying);
    retrying.parking.streams[3].parked = 1;
    parking_check(&retrying.parking);
    sql_stage_run(retrying.stage, "INSERT INTO test.allowed VALUES (-1), (1), (7)");
    assert_ok(retry(&retrying, "box-2"), &retrying.err);
    assert_ok(retry(&retrying, "box-3"), &retrying.err);
    flows(&retrying, 2);
    flows(&retrying, 3);
    parking_check(&retrying.parking);
}

static void what_is_given_up_is_left_out_for_good(void **state)
{
    struct retrying retrying;
    begin_parked(&retrying, *state);
    assert_ok(drop(&retrying, "box-2"), &retrying.err);
    assert_int_equal(retrying.events, 3);
    assert_int_equal(drop(&retrying, "box-2"), CAIRN_ENOENT);
    assert_int_equal(retry(&retrying, "box-2"), CAIRN_ENOENT);
    parking_add(&retrying.parking, 2, 2, 1); /* version 5 */
    parking_add(&retrying.parking, 2, -2, 1);
    parking_add(&retrying.parking, 2, 3, 1);
    follow(&retrying);
    assert_string_equal(sql_stage_value(retrying.stage,
                                        "SELECT string_agg(version || '-' || until_version, ' ' "
                                        "ORDER BY version) FROM _cairn_parked"),
                        "2-4 6-0");
    mend(&retrying);
    assert_ok(retry(&retrying, "box-2"), &retrying.err);
    assert_int_equal(retrying.events, 2);
    assert_string_equal(sql_stage_value(retrying.stage,
                                        "SELECT string_agg(version::text, ' ' ORDER BY version) "
                                        "FROM test.journal"),
                        "1 5 6 7");
    parking_is_at_end(&retrying.parking, 4);
}

static void what_does_not_wait_is_neither_tried_nor_given_up(void **state)
{
    struct retrying retrying;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_parked *parked = NULL;
    size_t count = 7;
    begin_empty(&retrying, *state, 1);
    parking_add(&retrying.parking, 2, 1, 1);
    /* Before any projector was here, too. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(retry(&retrying, "box-2"), CAIRN_ENOENT);
        assert_int_equal(drop(&retrying, "box-2"), CAIRN_ENOENT);
        assert_int_equal(retry(&retrying, "none"), CAIRN_ENOENT);
        enum cairn_rc rc =
            cairn_view_parked(&retrying.options, JOURNAL, &arena, &parked, &count, &retrying.err);
        assert_int_equal(rc, i == 0 ? CAIRN_ENOENT : CAIRN_OK);
        assert_int_equal(count, i == 0 ? 7 : 0);
        assert_int_equal(rebuild(&retrying), 0);
    }
    assert_int_equal(retry(&retrying, "box-2"), CAIRN_ENOENT);
    assert_non_null(strstr(retrying.err.text, "of stream \"box-2\" nothing waits"));
    parking_is_at_end(&retrying.parking, 0);
    cairn_arena_fini(&arena);
}

/* ---- held against the log ---- */

/* A row of box-1 stands on one of box-2, and one of box-3 on that. */
static const char standing[] =
    "-- view: journal\n"
    "-- version: 1\n"
    "-- on_error: park\n"
    "-- table:\n"
    "CREATE TABLE journal (stream text, version bigint, n bigint CONSTRAINT positive CHECK (n >= "
    "0), PRIMARY KEY (stream, version));\n"
    "CREATE TABLE heads (stream text PRIMARY KEY);\n"
    "-- on: Added\n"
    "INSERT INTO journal VALUES (:stream, :version, CASE WHEN :to = 'x' OR EXISTS (SELECT FROM "
    "heads WHERE stream = :to) THEN :n::bigint ELSE -1 END);\n"
    "INSERT INTO heads VALUES (:stream) ON CONFLICT DO NOTHING;\n";

static void verify_finds(struct retrying *retrying, uint64_t differences)
{
    const struct cairn_compare_request request = {.view = JOURNAL, .stored = true, .told_max = 10};
    struct cairn_compare_report report;
    assert_ok(cairn_view_compare(&retrying->options, &request, NULL, &report, &retrying->err),
              &retrying->err);
    assert_true(report.level);
    assert_int_equal(report.differences, differences);
    assert_int_equal(sql_stage_number(retrying->stage, "SELECT count(*) FROM _cairn_parked p WHERE "
                                                       "generation NOT IN (SELECT generation FROM "
                                                       "_cairn_view)"),
                     0);
}

static void what_waits_and_what_was_given_up_is_no_difference(void **state)
{
    struct retrying retrying;
    uint64_t seed = sql_stage_seed();
    begin(&retrying, *state, 2);
    for (int i = 0; i < 3; i++) {
        parking_fill(&retrying.parking, &seed, LATER, 8);
        follow(&retrying);
        verify_finds(&retrying, 0);
        for (size_t s = 0; s < PARKING_STREAMS; s++) {
            char stream[16];
            (void)snprintf(stream, sizeof(stream), "box-%zu", s);
            if (retrying.parking.streams[s].parked > 0 && sql_stage_random(&seed, 2) == 0) {
                assert_ok(drop(&retrying, stream), &retrying.err);
                flows(&retrying, s);
            }
        }
        verify_finds(&retrying, 0);
    }
    sql_stage_run(retrying.stage, "UPDATE test.journal SET n = n + 1 WHERE (stream, version) = "
                                  "(SELECT stream, version FROM test.journal LIMIT 1)");
    verify_finds(&retrying, 1);
}

static void what_was_tried_again_with_success_is_no_difference(void **state)
{
    struct retrying retrying = {.stage = *state};
    begin_empty(&retrying, *state, 1);
    sql_stage_view(retrying.stage, "journal", standing);
    world_load_domain(&retrying.stage->world);
    retrying.options.domain = retrying.stage->world.domain;
    assert_int_equal(rebuild(&retrying), 0);
    struct world *world = &retrying.stage->world;
    world_add(world, "3", 1, "box-1", 2); /* lacks box-1, which lacks box-2 */
    world_add(world, "1", 1, "box-2", 1);
    world_add(world, "1", 2, "x", 1);
    world_add(world, "2", 1, "x", 1);
    world_add(world, "3", 1, "x", 1);
    follow(&retrying);
    assert_string_equal(sql_stage_value(retrying.stage, "SELECT string_agg(stream, ' ' ORDER BY "
                                                        "stream) FROM _cairn_parked"),
                        "box-1 box-3");
    assert_int_equal(retry(&retrying, "box-3"), CAIRN_EINVAL);
    assert_ok(retry(&retrying, "box-1"), &retrying.err);
    verify_finds(&retrying, 0);
    assert_ok(retry(&retrying, "box-3"), &retrying.err);
    verify_finds(&retrying, 0);
    /* Parked later once more, behind what was applied late. */
    world_add(world, "3", 1, "box-9", 1);
    world_add(world, "3", 1, "x", 1);
    follow(&retrying);
    verify_finds(&retrying, 0);
    assert_int_equal(sql_stage_number(retrying.stage, "SELECT count(*) FROM test.journal WHERE "
                                                      "stream = 'box-3'"),
                     3);
    sql_stage_run(retrying.stage, "DELETE FROM test.journal WHERE stream = 'box-1'");
    verify_finds(&retrying, 2);
}

/* ---- lost connections, no memory ---- */

static void *retry_on(void *argument)
{
    struct retrying *retrying = argument;
    return retry(retrying, "box-2") == CAIRN_EBUSY ? NULL : argument;
}

static void a_connection_lost_amid_a_retry_applies_nothing(void **state)
{
    struct retrying retrying;
    struct cairn_pg *other = NULL;
    pthread_t thread;
    void *failed = NULL;
    begin(&retrying, *state, 1);
    const struct cairn_pg_options options = {.uri = retrying.stage->uri};
    parking_add(&retrying.parking, 2, 1, 1);
    parking_add(&retrying.parking, 2, -1, 1);
    follow(&retrying);
    mend(&retrying);
    assert_ok(cairn_pg_open(&options, &other, &retrying.err), &retrying.err);
    pg_stage_run(other, "BEGIN; SELECT * FROM test.heads WHERE stream = 'box-2' FOR UPDATE");
    assert_int_equal(pthread_create(&thread, NULL, retry_on, &retrying), 0);
    sql_stage_await(retrying.stage, "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = "
                                    "current_database() AND wait_event_type = 'Lock'");
    pg_stage_run(other, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                        "current_database() AND wait_event_type = 'Lock'");
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    pg_stage_run(other, "ROLLBACK");
    cairn_pg_close(other);
    parking_check(&retrying.parking);
    parking_is_at_end(&retrying.parking, 1);
    assert_ok(retry(&retrying, "box-2"), &retrying.err);
    flows(&retrying, 2);
    parking_check(&retrying.parking);
}

static void without_memory_a_stream_waits_or_flows(void **state)
{
    enum cairn_rc (*const calls[])(struct retrying *, const char *) = {retry, drop};
    struct retrying retrying;
    begin(&retrying, *state, 1);
    skip_without_faults();
    parking_add(&retrying.parking, 2, 1, 1);
    parking_add(&retrying.parking, 2, -1, 2);
    follow(&retrying);
    mend(&retrying);
    sql_stage_run(retrying.stage, "CREATE TABLE test.kept AS TABLE test._cairn_parked");
    for (size_t c = 0; c < 2; c++) {
        bool fired = true;
        int after = 0;
        for (; fired; after++) {
            cairn_fault_arm(CAIRN_FAULT_MEM, after);
            enum cairn_rc rc = calls[c](&retrying, "box-2");
            fired = cairn_fault_fired(CAIRN_FAULT_MEM);
            cairn_fault_disarm();
            /* The log's own thread may have met it. */
            assert_true(rc == CAIRN_OK || (fired && rc == CAIRN_ENOMEM));
            assert_string_equal(
                sql_stage_value(retrying.stage,
                                "SELECT concat_ws(' ', (SELECT count(*) FROM test.journal), "
                                "(SELECT count(*) FROM _cairn_parked WHERE until_version = 0), "
                                "parks) FROM _cairn_view"),
                rc != CAIRN_OK ? "1 1 1"
                : c == 0       ? "3 0 2"
                               : "1 0 2");
            sql_stage_run(retrying.stage,
                          "TRUNCATE test._cairn_parked; INSERT INTO test._cairn_parked TABLE "
                          "test.kept; DELETE FROM test.journal WHERE version > 1; UPDATE "
                          "_cairn_view SET parks = 1");
        }
        print_message("%d allocations failed\n", after - 1);
    }
}

static void a_log_that_is_behind_the_view_is_waited_for_and_told(void **state)
{
    struct retrying retrying;
    struct hand_clock hand;
    hand_clock_init(&hand);
    hand.step_ns = INT64_C(2000000000);
    begin(&retrying, *state, 1);
    parking_add(&retrying.parking, 2, -1, 1);
    follow(&retrying);
    mend(&retrying);
    sql_stage_run(retrying.stage, "UPDATE _cairn_view SET position = '0:100'");
    retrying.options.clock = &hand.clock;
    assert_int_equal(retry(&retrying, "box-2"), CAIRN_EBEHIND);
    assert_int_equal(drop(&retrying, "box-2"), CAIRN_EBEHIND);
    sql_stage_run(retrying.stage, "UPDATE _cairn_view SET position = '0:1'");
    assert_ok(retry(&retrying, "box-2"), &retrying.err);
    assert_int_equal(retrying.events, 1);
}

/* ---- beside projectors ---- */

static struct cairn_sql_runner *run(struct retrying *retrying, struct cairn_projector *projector)
{
    struct cairn_sql_runner *runner = NULL;
    assert_ok(cairn_sql_runner_start(&retrying->options, cairn_projector_views(projector), &runner,
                                     &retrying->err),
              &retrying->err);
    return runner;
}

static void await_end(struct retrying *retrying)
{
    struct cairn_arena arena = {.max = 1u << 16};
    struct cairn_position end = world_log_end(&retrying->stage->world);
    sql_stage_await(retrying->stage,
                    "SELECT count(*) = 1 FROM _cairn_view WHERE side = 'live' AND state = 'live' "
                    "AND position = '%s'",
                    cairn_position_text(&end, &arena));
    cairn_arena_fini(&arena);
}

/* Adds to the streams while others are at them. */
struct load {
    struct retrying *retrying;
    pthread_t thread;
};

static void *add_later(void *argument)
{
    struct load *load = argument;
    for (int i = 0; i < LATER; i++) {
        parking_add(&load->retrying->parking, (size_t)i % 3, i, (uint16_t)(1 + i % 3));
    }
    return NULL;
}

/* Two runners and a log that grows: who parks, who tries again and who goes on never miss or double
 * an event, and each stream keeps its order. */
static void streams_are_tried_again_beside_two_runners(void **state)
{
    struct retrying retrying;
    begin(&retrying, *state, 2);
    struct cairn_projector *projector = world_projector(&retrying.stage->world);
    struct cairn_sql_runner *runners[] = {run(&retrying, projector), run(&retrying, projector)};
    for (int r = 0; r < ROUNDS; r++) {
        struct load load = {.retrying = &retrying};
        size_t stream = (size_t)r % 2;
        const char *const name = stream == 0 ? "box-0" : "box-1";
        parking_add(&retrying.parking, stream, -1, 2);
        sql_stage_await(retrying.stage, "SELECT count(*) = 1 FROM _cairn_parked");
        mend(&retrying);
        assert_int_equal(pthread_create(&load.thread, NULL, add_later, &load), 0);
        assert_ok(retry(&retrying, name), &retrying.err);
        assert_true(retrying.events >= 2);
        assert_int_equal(pthread_join(load.thread, NULL), 0);
        await_end(&retrying);
        flows(&retrying, stream);
        parking_check(&retrying.parking);
        spoil(&retrying);
    }
    assert_string_equal(sql_stage_value(retrying.stage, "SELECT parks || ' ' || events FROM "
                                                        "_cairn_view"),
                        sql_stage_value(retrying.stage, "SELECT '%d %llu'", 2 * ROUNDS,
                                        (unsigned long long)retrying.stage->world.appended));
    cairn_sql_runner_stop(runners[0]);
    cairn_sql_runner_stop(runners[1]);
    cairn_projector_stop(projector);
}

static void await_gauge(struct retrying *retrying, const struct cairn_metric *gauge, uint64_t value)
{
    const struct deadline deadline = deadline_begin();
    while (cairn_metric_value(gauge) != value && !deadline_passed(&deadline)) {
        sql_stage_run(retrying->stage, "SELECT pg_sleep(0.01)"); /* between looks */
    }
    assert_int_equal(cairn_metric_value(gauge), value);
}

static uint64_t told_by_status(struct retrying *retrying)
{
    const struct cairn_pg_options options = {
        .uri = retrying->stage->uri, .schema = "test", .read_only = true};
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_view_status status;
    struct cairn_pg_pool *pool = NULL;
    struct cairn_sql_reader *reader = NULL;
    assert_ok(cairn_pg_pool_new(&options, 2, &pool, &retrying->err), &retrying->err);
    assert_ok(cairn_sql_reader_new(pool, retrying->options.domain, &reader, &retrying->err),
              &retrying->err);
    assert_ok(cairn_sql_view_status(reader, JOURNAL, &arena, &status, &retrying->err),
              &retrying->err);
    cairn_sql_reader_free(reader);
    cairn_pg_pool_free(pool);
    cairn_arena_fini(&arena);
    return status.parked;
}

/* Also what another process changes, while no event comes. */
static void metric_status_and_log_tell_what_waits(void **state)
{
    struct retrying retrying;
    char lines[4096];
    int ends[2];
    begin(&retrying, *state, 1);
    assert_int_equal(pipe(ends), 0);
    struct cairn_projector *projector = world_projector(&retrying.stage->world);
    retrying.options.metrics = cairn_metrics_new();
    retrying.options.log = cairn_log_new(ends[1], CAIRN_LOG_WARN, cairn_clock_system());
    assert_true(retrying.options.metrics != NULL && retrying.options.log != NULL);
    const struct cairn_metric *gauge =
        cairn_metrics_add(retrying.options.metrics, CAIRN_GAUGE, "cairn_view_parked_streams",
                          "view=\"journal\"", "found");
    struct cairn_sql_runner *runner = run(&retrying, projector);
    parking_add(&retrying.parking, 1, -1, 1);
    parking_add(&retrying.parking, 2, -1, 1);
    await_gauge(&retrying, gauge, 2);
    assert_int_equal(told_by_status(&retrying), 2);
    mend(&retrying);
    assert_ok(retry(&retrying, "box-1"), &retrying.err);
    await_gauge(&retrying, gauge, 1);
    assert_ok(drop(&retrying, "box-2"), &retrying.err);
    await_gauge(&retrying, gauge, 0);
    assert_int_equal(told_by_status(&retrying), 0);
    cairn_sql_runner_stop(runner);
    cairn_projector_stop(projector);
    ssize_t size = read(ends[0], lines, sizeof(lines) - 1);
    assert_true(size > 0);
    lines[size] = '\0';
    assert_non_null(strstr(lines, "\"stream parked\""));
    assert_non_null(strstr(lines, "\"box-1\""));
    assert_non_null(strstr(lines, "23514"));
    cairn_log_free(retrying.options.log);
    cairn_metrics_free(retrying.options.metrics);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* Live rows that leave out other events than a replay does are no fault of theirs. */
static void a_rebuild_tries_what_was_parked_and_given_up(void **state)
{
    struct retrying retrying;
    struct cairn_rebuild_result result;
    const struct cairn_rebuild_request request = {.view = JOURNAL};
    begin(&retrying, *state, 1);
    parking_add(&retrying.parking, 1, -1, 2);
    parking_add(&retrying.parking, 2, -1, 1);
    parking_add(&retrying.parking, 3, 1, 1);
    sql_stage_run(retrying.stage, "ALTER TABLE test.journal ADD CONSTRAINT never CHECK (stream <> "
                                  "'box-3')");
    follow(&retrying);
    assert_ok(drop(&retrying, "box-2"), &retrying.err);
    assert_ok(cairn_view_rebuild(&retrying.options, &request, NULL, &result, &retrying.err),
              &retrying.err);
    assert_false(result.compared);
    assert_int_equal(result.parked, 2); /* box-1 and box-2; box-3 has nothing against it now */
    parking_check(&retrying.parking);
    assert_ok(cairn_view_rebuild(&retrying.options, &request, NULL, &result, &retrying.err),
              &retrying.err);
    assert_true(result.compared); /* both leave out the same */
    assert_int_equal(result.before.sum, result.after.sum);
    assert_int_equal(result.before.rows, result.after.rows);
    parking_check(&retrying.parking);
}

static void load_domain(struct retrying *retrying, const char *text)
{
    sql_stage_view(retrying->stage, "journal", text);
    world_load_domain(&retrying->stage->world);
    retrying->options.domain = retrying->stage->world.domain;
}

/* A generation's parked streams are its own: a better definition has none, and who goes back to the
 * one before has those of it. */
static void what_is_parked_in_a_build_comes_and_goes_with_its_generation(void **state)
{
    struct retrying retrying;
    struct cairn_rebuild_result result;
    const struct cairn_rebuild_request request = {.view = JOURNAL};
    char text[2048];
    begin_empty(&retrying, *state, 1);
    parking_add(&retrying.parking, 1, 1, 2);
    parking_add(&retrying.parking, 2, -1, 2);
    parking_add(&retrying.parking, 1, 1, 1);
    assert_int_equal(rebuild(&retrying), 1);
    parking_check(&retrying.parking);
    (void)snprintf(text, sizeof(text), "%s", PARKING_JOURNAL(PARK));
    sql_stage_patch(text, "version: 1", "version: 2");
    sql_stage_patch(text, "n >= 0", "n > -9");
    load_domain(&retrying, text);
    assert_int_equal(rebuild(&retrying), 0);
    flows(&retrying, 2);
    parking_check(&retrying.parking);
    assert_int_equal(retry(&retrying, "box-2"), CAIRN_ENOENT);
    parking_add(&retrying.parking, 2, 1, 1);
    assert_ok(cairn_view_rollback(&retrying.options, &request, NULL, &result, &retrying.err),
              &retrying.err);
    assert_int_equal(result.parked, 1);
    retrying.parking.streams[2].parked = 1;
    parking_check(&retrying.parking);
    mend(&retrying);
    assert_ok(retry(&retrying, "box-2"), &retrying.err);
    flows(&retrying, 2);
    parking_check(&retrying.parking);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SQL_STAGE_TEST(what_waits_is_listed),
        SQL_STAGE_TEST(a_stream_that_is_tried_again_flows),
        SQL_STAGE_TEST(a_stream_that_fails_again_stays_with_the_new_reason),
        SQL_STAGE_TEST(a_refused_commit_applies_nothing),
        SQL_STAGE_TEST(what_is_given_up_is_left_out_for_good),
        SQL_STAGE_TEST(what_does_not_wait_is_neither_tried_nor_given_up),
        SQL_STAGE_TEST(what_waits_and_what_was_given_up_is_no_difference),
        SQL_STAGE_TEST(what_was_tried_again_with_success_is_no_difference),
        SQL_STAGE_TEST(a_connection_lost_amid_a_retry_applies_nothing),
        SQL_STAGE_TEST(without_memory_a_stream_waits_or_flows),
        SQL_STAGE_TEST(a_log_that_is_behind_the_view_is_waited_for_and_told),
        SQL_STAGE_TEST(streams_are_tried_again_beside_two_runners),
        SQL_STAGE_TEST(metric_status_and_log_tell_what_waits),
        SQL_STAGE_TEST(a_rebuild_tries_what_was_parked_and_given_up),
        SQL_STAGE_TEST(what_is_parked_in_a_build_comes_and_goes_with_its_generation),
    };
    return cmocka_run_group_tests(tests, sql_stage_group_setup, sql_stage_group_teardown);
}
