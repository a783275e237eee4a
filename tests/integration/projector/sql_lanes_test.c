/* Views in PostgreSQL that several workers build, by partition. */
#include <pthread.h>

#include "platform/hash.h"
#include "projector/replay.h"
#include "projector/sql/lane.h"
#include "tests/integration/projector/sql_stage.h"
#include "tests/support/hand_clock.h"

enum { PARTITIONS = 4, STREAMS = 40, COMMANDS = 1500, TARGETS = 12 };

#define LOOK_NS INT64_C(50000000)
#define TEST    CAIRN_SLICE_LIT("test")
#define DIVIDED CAIRN_SLICE_LIT("divided")

#define SUMS_AND_LINES                                                                             \
    "-- view: divided\n"                                                                           \
    "-- version: 1\n"                                                                              \
    "-- table:\n"                                                                                  \
    "CREATE TABLE divided (who text PRIMARY KEY, sum bigint NOT NULL, count bigint NOT NULL);\n"   \
    "CREATE TABLE lines (stream text, version bigint, n bigint NOT NULL, "                         \
    "PRIMARY KEY (stream, version));\n"

/* A counter that all partitions share; rows of a stream that are inserted, changed and deleted by
 * their key, and conditions that pass rows over. Whatever order partitions come in gives the same.
 */
static const char of_all_kinds[] = SUMS_AND_LINES
    "CREATE TABLE boxes (stream text PRIMARY KEY, last bigint NOT NULL, sum bigint NOT NULL);\n"
    "-- on: Added\n"
    "INSERT INTO divided VALUES (:to, :n, 1) ON CONFLICT (who) DO UPDATE SET "
    "sum = divided.sum + excluded.sum, count = divided.count + 1;\n"
    "INSERT INTO lines VALUES (:stream, :version, :n);\n"
    "INSERT INTO boxes VALUES (:stream, :n, 0) ON CONFLICT (stream) DO UPDATE SET "
    "last = excluded.last;\n"
    "UPDATE boxes SET sum = sum + last * :n::bigint WHERE stream = :stream;\n"
    "DELETE FROM lines WHERE stream = :stream AND version = :n;\n"
    "UPDATE boxes SET sum = sum - 1 WHERE stream = :stream AND last > 6;\n";

/* The same without what may pass a row over. */
static const char without_misses[] =
    SUMS_AND_LINES "-- on: Added\n"
                   "INSERT INTO lines VALUES (:stream, :version, 0);\n"
                   "UPDATE lines SET n = :n WHERE stream = :stream AND version = :version;\n"
                   "INSERT INTO divided VALUES (:to, :n, 1) ON CONFLICT (who) DO UPDATE SET "
                   "sum = divided.sum + excluded.sum, count = divided.count + 1;\n";

/* Two tables that each event changes in the same way, whatever they hold; rows of all partitions
 * meet in both. */
static const char twins[] = "-- view: divided\n"
                            "-- version: 1\n"
                            "-- table:\n"
                            "CREATE TABLE divided (who text PRIMARY KEY, n bigint NOT NULL);\n"
                            "CREATE TABLE twins (who text PRIMARY KEY, n bigint NOT NULL);\n"
                            "-- on: Added\n"
                            "UPDATE divided SET n = n + :n::bigint WHERE who = :to;\n"
                            "INSERT INTO divided VALUES (:to, :n) ON CONFLICT (who) DO NOTHING;\n"
                            "DELETE FROM divided WHERE who = :to AND n > 40;\n"
                            "UPDATE twins SET n = n + :n::bigint WHERE who = :to;\n"
                            "INSERT INTO twins VALUES (:to, :n) ON CONFLICT (who) DO NOTHING;\n"
                            "DELETE FROM twins WHERE who = :to AND n > 40;\n";

struct dividing {
    struct sql_stage *stage;
    struct cairn_projector_options options;
    struct cairn_rebuild_result result;
    struct cairn_err err;
    /* Time that passes with each look of a build: a throttled lane waits for who looks. */
    struct hand_clock hand;
    uint64_t seed;
    uint64_t throttle;
    uint64_t cancel_at; /* events that a build may apply */
    /* Connections of a build that are ended while it goes on, as a condition on pg_stat_activity,
     * and how often. */
    const char *victims;
    unsigned kills;
};

static void begin(struct dividing *dividing, struct sql_stage *stage, const char *view)
{
    sql_stage_view(stage, "divided", view);
    world_begin(&stage->world, PARTITIONS);
    *dividing =
        (struct dividing){.stage = stage, .cancel_at = UINT64_MAX, .seed = sql_stage_seed()};
    hand_clock_init(&dividing->hand);
    dividing->options = world_options(&stage->world);
    dividing->options.postgres = stage->uri;
    dividing->options.clock = &dividing->hand.clock;
}

static void add(struct dividing *dividing, int commands)
{
    for (int i = 0; i < commands; i++) {
        char id[16];
        char to[16];
        uint64_t *seed = &dividing->seed;
        (void)snprintf(id, sizeof(id), "%llu", (unsigned long long)sql_stage_random(seed, STREAMS));
        (void)snprintf(to, sizeof(to), "k%llu",
                       (unsigned long long)sql_stage_random(seed, TARGETS));
        world_add(&dividing->stage->world, id, (int64_t)sql_stage_random(seed, 9), to,
                  (uint16_t)(1 + sql_stage_random(seed, 4)));
    }
}

static bool is_cancelled(void *self)
{
    struct dividing *dividing = self;
    hand_clock_pass(&dividing->hand, LOOK_NS);
    return dividing->cancel_at == 0;
}

static void watch(void *self, const struct cairn_rebuild_progress *progress)
{
    struct dividing *dividing = self;
    dividing->cancel_at = progress->done >= dividing->cancel_at ? 0 : dividing->cancel_at;
    if (dividing->kills > 0 && progress->done > 0 && progress->done < progress->all) {
        dividing->kills--;
        sql_stage_run(dividing->stage,
                      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                      "WHERE datname = current_database() AND "
                      "application_name = 'cairn projector' AND %s",
                      dividing->victims);
    }
}

static enum cairn_rc rebuild_by(struct dividing *dividing, unsigned workers)
{
    const struct cairn_rebuild_request request = {
        .view = DIVIDED, .workers = workers, .throttle = dividing->throttle};
    const struct cairn_rebuild_hooks hooks = {
        .cancelled = is_cancelled, .progress = watch, .self = dividing};
    return cairn_view_rebuild(&dividing->options, &request, &hooks, &dividing->result,
                              &dividing->err);
}

static void rebuild(struct dividing *dividing, unsigned workers)
{
    assert_ok(rebuild_by(dividing, workers), &dividing->err);
    assert_int_equal(dividing->result.events, dividing->stage->world.appended);
    assert_int_equal(sql_stage_number(dividing->stage, "SELECT count(*) FROM _cairn_lane"), 0);
}

static void rows_are_those_of_before(const struct dividing *dividing)
{
    assert_true(dividing->result.compared);
    assert_int_equal(dividing->result.before.rows, dividing->result.after.rows);
    assert_int_equal(dividing->result.before.sum, dividing->result.after.sum);
}

/* ---- what they leave ---- */

static void compare_with_one_worker(struct sql_stage *stage, const char *view, uint64_t throttle)
{
    struct dividing dividing;
    begin(&dividing, stage, view);
    add(&dividing, COMMANDS);
    rebuild(&dividing, 1);
    assert_int_equal(dividing.result.workers, 1);
    dividing.throttle = throttle;
    for (unsigned workers = 2; workers <= PARTITIONS; workers++) {
        rebuild(&dividing, workers);
        assert_int_equal(dividing.result.workers, workers);
        rows_are_those_of_before(&dividing);
    }
}

static void lanes_leave_the_rows_of_one_worker(void **state)
{
    compare_with_one_worker(*state, of_all_kinds, 0);
}

static void many_small_batches_leave_the_rows_of_one_worker(void **state)
{
    compare_with_one_worker(*state, without_misses, 5000);
}

static void a_row_that_is_missed_is_missed_by_the_whole_event(void **state)
{
    struct dividing dividing;
    begin(&dividing, *state, twins);
    add(&dividing, COMMANDS);
    dividing.throttle = 5000; /* in many small batches */
    rebuild(&dividing, PARTITIONS);
    assert_int_equal(dividing.result.workers, PARTITIONS);
    assert_int_equal(sql_stage_number(dividing.stage,
                                      "SELECT count(*) FROM test.divided a FULL JOIN test.twins b "
                                      "USING (who) WHERE a.n IS DISTINCT FROM b.n"),
                     0);
    assert_true(dividing.result.rows > 0);
}

static void there_are_no_more_lanes_than_partitions(void **state)
{
    struct dividing dividing;
    begin(&dividing, *state, of_all_kinds);
    add(&dividing, 100);
    rebuild(&dividing, CAIRN_REBUILD_WORKERS_MAX);
    assert_int_equal(dividing.result.workers, PARTITIONS);
    rebuild(&dividing, 1);
    rows_are_those_of_before(&dividing);
}

/* ---- views that one worker builds ---- */

static void is_built_by_one(struct sql_stage *stage, const char *columns, const char *statement,
                            const char *annotation)
{
    struct dividing dividing;
    char view[1024];
    (void)snprintf(view, sizeof(view),
                   "-- view: divided\n-- version: 1\n%s-- table:\n"
                   "CREATE TABLE divided (%s);\n-- on: Added\n%s\n",
                   annotation, columns, statement);
    begin(&dividing, stage, view);
    add(&dividing, 50);
    rebuild(&dividing, PARTITIONS);
    assert_int_equal(dividing.result.workers, 1);
    assert_int_equal(dividing.result.rows, dividing.stage->world.appended);
}

static void a_statement_that_reads_other_rows_is_left_to_one_worker(void **state)
{
    is_built_by_one(*state, "stream text, version bigint, n bigint, PRIMARY KEY (stream, version)",
                    "INSERT INTO divided SELECT :stream, :version, count(*) FROM divided;", "");
}

static void a_change_of_many_rows_is_left_to_one_worker(void **state)
{
    is_built_by_one(*state, "stream text, version bigint, n bigint, PRIMARY KEY (stream, version)",
                    "INSERT INTO divided VALUES (:stream, :version, 0);\n"
                    "UPDATE divided SET n = n + 1 WHERE n < :n;",
                    "");
}

static void a_table_that_numbers_its_rows_is_left_to_one_worker(void **state)
{
    is_built_by_one(*state,
                    "at bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stream text, n bigint",
                    "INSERT INTO divided (stream, n) VALUES (:stream, :n);", "");
}

static void a_view_that_parks_is_left_to_one_worker(void **state)
{
    is_built_by_one(*state, "stream text, version bigint, n bigint, PRIMARY KEY (stream, version)",
                    "INSERT INTO divided VALUES (:stream, :version, :n);", "-- on_error: park\n");
}

/* ---- what interrupts them ---- */

static int64_t count_built(struct dividing *dividing)
{
    return sql_stage_number(dividing->stage,
                            "SELECT coalesce(max(events), 0) FROM _cairn_view WHERE side = 'next'");
}

static void lanes_that_are_cancelled_are_gone_on_with(void **state)
{
    struct dividing dividing;
    begin(&dividing, *state, of_all_kinds);
    add(&dividing, COMMANDS);
    rebuild(&dividing, 1);
    dividing.throttle = 2000; /* an eighth of the log between two reports of progress */
    for (unsigned workers = PARTITIONS; workers > 1; workers--) {
        int64_t before = count_built(&dividing);
        dividing.cancel_at = (uint64_t)before + 1;
        assert_int_equal(rebuild_by(&dividing, workers), CAIRN_ESTOPPED);
        assert_true(count_built(&dividing) > before);
        assert_int_equal(sql_stage_number(dividing.stage, "SELECT count(*) FROM _cairn_lane"), 0);
    }
    dividing.cancel_at = UINT64_MAX;
    dividing.throttle = 0;
    rebuild(&dividing, 3);
    assert_true(dividing.result.resumed);
    rows_are_those_of_before(&dividing);
}

/* Lanes of which some have moved, as a process leaves them that is killed. */
static void leave_lanes(struct dividing *dividing, unsigned count)
{
    struct cairn_gate gate;
    struct cairn_sql_follower *next = NULL;
    assert_ok(cairn_gate_init(&gate, &dividing->err), &dividing->err);
    assert_ok(sql_stage_follow(dividing->stage, "divided", CAIRN_SIDE_NEXT, &next),
              &dividing->stage->err);
    assert_ok(cairn_sql_lanes_begin(next->pg, TEST, DIVIDED, &next->head, count, &dividing->err),
              &dividing->err);
    cairn_sql_follower_close(next);
    for (unsigned i = 0; i + 1 < count; i++) {
        const struct cairn_sql_lane lane = {.number = i, .count = count, .gate = &gate};
        const struct cairn_position end = world_log_end(&dividing->stage->world);
        const struct cairn_sql_follower_options options = {.uri = dividing->stage->uri,
                                                           .domain = dividing->stage->world.domain,
                                                           .store = dividing->stage->world.store,
                                                           .view = DIVIDED,
                                                           .side = CAIRN_SIDE_NEXT,
                                                           .lane = &lane};
        struct cairn_sql_follower *follower = NULL;
        struct cairn_position until;
        size_t events = 0;
        cairn_sql_lane_part(&lane, &end, &until);
        assert_ok(cairn_sql_follower_open(&options, &follower, &dividing->err), &dividing->err);
        cairn_sql_follower_set_until(follower, &until);
        assert_ok(cairn_sql_follower_step(follower, 100, &events, &dividing->err), &dividing->err);
        assert_true(events > 0);
        cairn_sql_follower_close(follower);
    }
    cairn_gate_fini(&gate);
}

static void lanes_that_a_dead_process_left_are_merged_by_the_next(void **state)
{
    struct dividing dividing;
    begin(&dividing, *state, of_all_kinds);
    add(&dividing, COMMANDS);
    rebuild(&dividing, 1);
    for (unsigned workers = 1; workers <= PARTITIONS; workers++) {
        dividing.cancel_at = 0;
        assert_int_equal(rebuild_by(&dividing, 1), CAIRN_ESTOPPED);
        dividing.cancel_at = UINT64_MAX;
        leave_lanes(&dividing, 5 - workers);
        rebuild(&dividing, workers);
        assert_true(dividing.result.resumed);
        rows_are_those_of_before(&dividing);
    }
}

/* The same definition but for its version. */
static void raise_version(struct dividing *dividing)
{
    char text[sizeof(of_all_kinds)];
    memcpy(text, of_all_kinds, sizeof(text));
    sql_stage_patch(text, "version: 1", "version: 2");
    sql_stage_view(dividing->stage, "divided", text);
    world_load_domain(&dividing->stage->world);
    dividing->options.domain = dividing->stage->world.domain;
}

static int64_t count_apart(struct dividing *dividing, const char *table)
{
    return sql_stage_number(dividing->stage,
                            "SELECT count(*) FROM ((TABLE test.%s EXCEPT TABLE "
                            "test_old_divided.%s) UNION ALL (TABLE test_old_divided.%s EXCEPT "
                            "TABLE test.%s)) a",
                            table, table, table, table);
}

/* A rollback that was killed, whose generation was put back by another build, which was cancelled:
 * its lanes have gone with it all the way. */
static void lanes_of_a_killed_rollback_stay_with_its_generation(void **state)
{
    struct dividing dividing;
    begin(&dividing, *state, of_all_kinds);
    add(&dividing, COMMANDS / 2);
    rebuild(&dividing, 1);
    raise_version(&dividing);
    rebuild(&dividing, PARTITIONS);
    add(&dividing, COMMANDS / 2);
    assert_ok(cairn_sql_generation_return(dividing.stage->pg, TEST, DIVIDED, 0, &dividing.err),
              &dividing.err);
    leave_lanes(&dividing, 3);
    dividing.cancel_at = 0;
    assert_int_equal(rebuild_by(&dividing, 1), CAIRN_ESTOPPED);
    dividing.cancel_at = UINT64_MAX;
    assert_int_equal(sql_stage_number(dividing.stage, "SELECT count(*) FROM _cairn_lane l JOIN "
                                                      "_cairn_view v USING (view, generation) "
                                                      "WHERE v.side = 'old'"),
                     3);
    const struct cairn_rebuild_request request = {.view = DIVIDED, .workers = PARTITIONS};
    assert_ok(
        cairn_view_rollback(&dividing.options, &request, NULL, &dividing.result, &dividing.err),
        &dividing.err);
    assert_int_equal(dividing.result.workers, PARTITIONS);
    assert_int_equal(dividing.result.events, dividing.stage->world.appended);
    rebuild(&dividing, 1); /* by version 2; what was rolled back to is old now, and as far */
    assert_int_equal(count_apart(&dividing, "divided") + count_apart(&dividing, "lines") +
                         count_apart(&dividing, "boxes"),
                     0);
}

static void lanes_go_with_their_generation(void **state)
{
    struct dividing dividing;
    bool dropped = false;
    begin(&dividing, *state, of_all_kinds);
    add(&dividing, 100);
    dividing.cancel_at = 0;
    assert_int_equal(rebuild_by(&dividing, 1), CAIRN_ESTOPPED);
    dividing.cancel_at = UINT64_MAX;
    leave_lanes(&dividing, 3);
    assert_int_equal(sql_stage_number(dividing.stage, "SELECT count(*) FROM _cairn_lane"), 3);
    assert_ok(cairn_view_drop_kept(&dividing.options, DIVIDED, &dropped, &dividing.err),
              &dividing.err);
    assert_true(dropped);
    assert_int_equal(sql_stage_number(dividing.stage, "SELECT count(*) FROM _cairn_lane"), 0);
}

/* A follower of a lane that somebody else has taken. */
static void a_lane_that_another_moved_is_not_moved_twice(void **state)
{
    struct dividing dividing;
    struct cairn_gate gate;
    struct cairn_sql_follower *followers[2];
    size_t events = 0;
    begin(&dividing, *state, of_all_kinds);
    add(&dividing, 200);
    dividing.cancel_at = 0;
    assert_int_equal(rebuild_by(&dividing, 1), CAIRN_ESTOPPED);
    dividing.cancel_at = UINT64_MAX;
    leave_lanes(&dividing, 1);
    assert_ok(cairn_gate_init(&gate, &dividing.err), &dividing.err);
    const struct cairn_sql_lane lane = {.number = 0, .count = 1, .gate = &gate};
    for (int i = 0; i < 2; i++) {
        const struct cairn_sql_follower_options options = {.uri = dividing.stage->uri,
                                                           .domain = dividing.options.domain,
                                                           .store = dividing.options.store,
                                                           .view = DIVIDED,
                                                           .side = CAIRN_SIDE_NEXT,
                                                           .lane = &lane};
        assert_ok(cairn_sql_follower_open(&options, &followers[i], &dividing.err), &dividing.err);
    }
    assert_ok(cairn_sql_follower_step(followers[0], 100, &events, &dividing.err), &dividing.err);
    assert_int_equal(cairn_sql_follower_step(followers[1], 100, &events, &dividing.err),
                     CAIRN_EFENCED);
    cairn_sql_follower_close(followers[0]);
    cairn_sql_follower_close(followers[1]);
    cairn_gate_fini(&gate);
    rebuild(&dividing, 1);
    rebuild(&dividing, 2);
    rows_are_those_of_before(&dividing);
}

static void lose_connections(struct sql_stage *stage, const char *victims)
{
    struct dividing dividing;
    begin(&dividing, stage, of_all_kinds);
    add(&dividing, COMMANDS);
    rebuild(&dividing, 1);
    dividing.throttle = 1500;
    dividing.victims = victims;
    dividing.kills = 3;
    rebuild(&dividing, PARTITIONS);
    assert_true(dividing.kills < 3);
    rows_are_those_of_before(&dividing);
}

static void a_build_outlives_all_its_connections(void **state)
{
    lose_connections(*state, "true");
}

static void lanes_outlive_theirs(void **state)
{
    lose_connections(*state, "pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')");
}

static void lanes_do_not_outlive_the_lock(void **state)
{
    lose_connections(*state, "pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')");
}

static void an_event_that_is_refused_in_a_lane_drops_the_build(void **state)
{
    struct dividing dividing;
    begin(&dividing, *state,
          "-- view: divided\n-- version: 1\n-- table:\n"
          "CREATE TABLE divided (stream text, version bigint, n bigint CHECK (n < 100), "
          "PRIMARY KEY (stream, version));\n-- on: Added\n"
          "INSERT INTO divided VALUES (:stream, :version, :n);\n");
    add(&dividing, 200);
    world_add(&dividing.stage->world, "bad", 100, "k", 1);
    add(&dividing, 200);
    assert_int_equal(rebuild_by(&dividing, PARTITIONS), CAIRN_EINVAL);
    assert_non_null(strstr(dividing.err.text, "23514"));
    assert_non_null(strstr(dividing.err.text, "event "));
    assert_int_equal(sql_stage_number(dividing.stage, "SELECT (SELECT count(*) FROM _cairn_view) + "
                                                      "(SELECT count(*) FROM _cairn_lane)"),
                     0);
}

/* Streams of which the first lies in an earlier partition. */
static void find_streams(struct dividing *dividing, char ids[2][16])
{
    struct cairn_store *store = dividing->stage->world.store;
    uint16_t found[2] = {0, 0};
    for (int i = 0; found[0] >= found[1]; i++) {
        char stream[32];
        (void)snprintf(ids[i % 2], sizeof(ids[0]), "p%d", i);
        (void)snprintf(stream, sizeof(stream), "box-%s", ids[i % 2]);
        found[i % 2] = cairn_store_partition_of(store, cairn_slice_str(stream));
    }
}

static void *rebuild_in_lanes(void *self)
{
    struct dividing *dividing = self;
    enum cairn_rc rc = rebuild_by(dividing, PARTITIONS);
    if (rc != CAIRN_OK) {
        print_error("%s\n", dividing->err.text);
    }
    return rc == CAIRN_OK ? dividing : NULL;
}

/* A key that a lane touches before "both". */
static void find_first_key(char key[16])
{
    int i = 0;
    do {
        (void)snprintf(key, 16, "first%d", i++);
    } while (cairn_hash64_seeded(cairn_slice_str(key), 0) >
             cairn_hash64_seeded(CAIRN_SLICE_LIT("both"), 0));
}

/* One worker reads the partitions in turn, so what the second takes away has come before. The lane
 * of the first is held up until the other has found that it has not. */
static void what_lanes_refuse_is_decided_by_one_worker(void **state)
{
    struct dividing dividing;
    char ids[2][16];
    char first[16];
    pthread_t thread;
    void *built = NULL;
    begin(&dividing, *state,
          "-- view: divided\n-- version: 1\n-- table:\n"
          "CREATE TABLE divided (who text PRIMARY KEY, n bigint CHECK (n >= 0));\n-- on: Added\n"
          "INSERT INTO divided VALUES (:to, 0) ON CONFLICT (who) DO NOTHING;\n"
          "UPDATE divided SET n = n + :n::bigint WHERE who = :to;\n");
    find_streams(&dividing, ids);
    find_first_key(first);
    world_add(&dividing.stage->world, ids[0], 0, first, 1);
    world_add(&dividing.stage->world, ids[0], 10, "both", 1);
    world_add(&dividing.stage->world, ids[1], -4, "both", 1);
    dividing.cancel_at = 0;
    assert_int_equal(rebuild_by(&dividing, 1), CAIRN_ESTOPPED); /* there are tables */
    dividing.cancel_at = UINT64_MAX;
    sql_stage_run(dividing.stage, "BEGIN; INSERT INTO test_build_divided.divided VALUES ('%s', 0)",
                  first);
    assert_int_equal(pthread_create(&thread, NULL, rebuild_in_lanes, &dividing), 0);
    sql_stage_await(dividing.stage, "SELECT error_event <> '' FROM _cairn_view");
    sql_stage_run(dividing.stage, "ROLLBACK");
    assert_int_equal(pthread_join(thread, &built), 0);
    assert_non_null(built);
    assert_int_equal(dividing.result.workers, 1);
    assert_int_equal(sql_stage_number(dividing.stage, "SELECT n FROM test.divided WHERE who = "
                                                      "'both'"),
                     6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SQL_STAGE_TEST(lanes_leave_the_rows_of_one_worker),
        SQL_STAGE_TEST(many_small_batches_leave_the_rows_of_one_worker),
        SQL_STAGE_TEST(a_row_that_is_missed_is_missed_by_the_whole_event),
        SQL_STAGE_TEST(there_are_no_more_lanes_than_partitions),
        SQL_STAGE_TEST(a_statement_that_reads_other_rows_is_left_to_one_worker),
        SQL_STAGE_TEST(a_change_of_many_rows_is_left_to_one_worker),
        SQL_STAGE_TEST(a_table_that_numbers_its_rows_is_left_to_one_worker),
        SQL_STAGE_TEST(a_view_that_parks_is_left_to_one_worker),
        SQL_STAGE_TEST(lanes_that_are_cancelled_are_gone_on_with),
        SQL_STAGE_TEST(lanes_that_a_dead_process_left_are_merged_by_the_next),
        SQL_STAGE_TEST(lanes_of_a_killed_rollback_stay_with_its_generation),
        SQL_STAGE_TEST(lanes_go_with_their_generation),
        SQL_STAGE_TEST(a_lane_that_another_moved_is_not_moved_twice),
        SQL_STAGE_TEST(a_build_outlives_all_its_connections),
        SQL_STAGE_TEST(lanes_outlive_theirs),
        SQL_STAGE_TEST(lanes_do_not_outlive_the_lock),
        SQL_STAGE_TEST(an_event_that_is_refused_in_a_lane_drops_the_build),
        SQL_STAGE_TEST(what_lanes_refuse_is_decided_by_one_worker),
    };
    return cmocka_run_group_tests(tests, sql_stage_group_setup, sql_stage_group_teardown);
}
