/* Rebuilds and rollbacks of views in PostgreSQL under load, readers and whatever fails. */
#include "platform/fault.h"
#include "projector/replay.h"
#include "projector/sql/runner.h"
#include "tests/integration/projector/sql_killer.h"

enum { ROUNDS = 8, COMMANDS = 30, READERS = 2, TRIES_MAX = 400 };

#define SUMS CAIRN_SLICE_LIT("sums")

struct trial {
    struct sql_stage *stage;
    struct cairn_projector_options options;
    struct cairn_rebuild_result result;
    struct cairn_err err;
};

static void begin(struct trial *trial, struct sql_stage *stage, uint16_t partitions)
{
    sql_stage_view(stage, "sums", sql_stage_sums);
    world_begin(&stage->world, partitions);
    *trial = (struct trial){.stage = stage, .options = world_options(&stage->world)};
    trial->options.postgres = stage->uri;
}

static void add(struct trial *trial, int count)
{
    for (int i = 0; i < count; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "%d", i % 5);
        world_add(&trial->stage->world, id, i, i % 3 == 0 ? "a" : "b", 1);
    }
}

static enum cairn_rc replay(struct trial *trial, bool back)
{
    const struct cairn_rebuild_request request = {.view = SUMS};
    return (back ? cairn_view_rollback : cairn_view_rebuild)(&trial->options, &request, NULL,
                                                             &trial->result, &trial->err);
}

/* The live generation is what the log gives, and nothing lies about but what is kept. */
static void all_is_whole(struct trial *trial)
{
    const struct cairn_compare_request request = {.view = SUMS, .stored = true};
    struct cairn_compare_report report;
    assert_ok(cairn_view_compare(&trial->options, &request, NULL, &report, &trial->err),
              &trial->err);
    assert_true(report.level);
    assert_int_equal(report.differences, 0);
    assert_int_equal(sql_stage_number(trial->stage, "SELECT count(*) FROM _cairn_view WHERE side "
                                                    "NOT IN ('live', 'old')"),
                     0);
    assert_string_equal(sql_stage_value(trial->stage, "SELECT to_regnamespace('test_build_sums') "
                                                      "IS NULL"),
                        "t");
}

/* ---- readers ---- */

struct reader {
    const char *uri;
    atomic_bool *done;
    atomic_uint answers;
    atomic_bool failed;
    char why[512]; /* of the failure */
    pthread_t thread;
};

static void look(struct reader *reader, struct cairn_pg *pg, uint64_t *last)
{
    static const char sql[] =
        "SELECT substr(v.position, 3)::bigint, (SELECT coalesce(sum(count), 0) FROM test.sums) "
        "FROM test._cairn_view v WHERE v.side = 'live'";
    struct cairn_pg_result *result = NULL;
    struct cairn_err err;
    uint64_t position = 0;
    uint64_t events = 0;
    enum cairn_rc rc = cairn_pg_query(pg, sql, NULL, 0, &result, &err);
    if (rc != CAIRN_OK || cairn_pg_result_rows(result) != 1) {
        (void)snprintf(reader->why, sizeof(reader->why), "%s",
                       rc == CAIRN_OK ? "no live generation" : err.text);
    } else if (cairn_slice_to_u64(cairn_pg_result_value(result, 0, 0), &position) != CAIRN_OK ||
               cairn_slice_to_u64(cairn_pg_result_value(result, 0, 1), &events) != CAIRN_OK ||
               position != events || position < *last) {
        (void)snprintf(reader->why, sizeof(reader->why), "at %llu behind %llu with %llu events",
                       (unsigned long long)position, (unsigned long long)*last,
                       (unsigned long long)events);
    }
    *last = position;
    cairn_pg_result_free(result);
    atomic_fetch_add(&reader->answers, 1);
}

static void *read_on(void *argument)
{
    struct reader *reader = argument;
    const struct cairn_pg_options options = {.uri = reader->uri};
    struct cairn_pg *pg = NULL;
    struct cairn_err err;
    uint64_t last = 0;
    if (cairn_pg_open(&options, &pg, &err) != CAIRN_OK) {
        (void)snprintf(reader->why, sizeof(reader->why), "%s", err.text);
    }
    while (reader->why[0] == '\0' && !atomic_load(reader->done)) {
        look(reader, pg, &last);
    }
    atomic_store(&reader->failed, reader->why[0] != '\0');
    cairn_pg_close(pg);
    return NULL;
}

/* Until each has looked again. */
static void await_looks(struct sql_stage *stage, struct reader readers[READERS])
{
    for (size_t i = 0; i < READERS; i++) {
        unsigned seen = atomic_load(&readers[i].answers);
        while (atomic_load(&readers[i].answers) < seen + 2 && !atomic_load(&readers[i].failed)) {
            sql_stage_run(stage, "SELECT pg_sleep(0.001)");
        }
    }
}

static void readers_see_whole_rows_that_go_forward(void **state)
{
    struct trial trial;
    struct reader readers[READERS];
    atomic_bool done;
    struct cairn_sql_runner *runner = NULL;
    begin(&trial, *state, 1);
    add(&trial, COMMANDS);
    assert_ok(replay(&trial, false), &trial.err);
    struct cairn_projector *projector = world_projector(&trial.stage->world);
    assert_ok(cairn_sql_runner_start(&trial.options, cairn_projector_views(projector), &runner,
                                     &trial.err),
              &trial.err);
    atomic_init(&done, false);
    for (size_t i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.uri = trial.stage->uri, .done = &done};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
    }
    unsigned failures = 0;
    for (int round = 0; round < ROUNDS; round++) {
        add(&trial, COMMANDS);
        failures += replay(&trial, round % 2 == 1) == CAIRN_OK ? 0 : 1;
        await_looks(trial.stage, readers);
    }
    atomic_store(&done, true);
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
    }
    cairn_sql_runner_stop(runner);
    cairn_projector_stop(projector);
    for (size_t i = 0; i < READERS; i++) {
        assert_string_equal(readers[i].why, "");
    }
    assert_int_equal(failures, 0);
    all_is_whole(&trial);
}

/* ---- connections that end at any moment ---- */

/* What an operator does whose replay was cut off: the same again. */
static enum cairn_rc replay_through(struct trial *trial, bool back)
{
    uint64_t before = (uint64_t)sql_stage_number(
        trial->stage, "SELECT generation FROM _cairn_view WHERE side = 'live'");
    for (int i = 0; i < TRIES_MAX; i++) {
        enum cairn_rc rc = replay(trial, back);
        uint64_t live = (uint64_t)sql_stage_number(
            trial->stage, "SELECT generation FROM _cairn_view WHERE side = 'live'");
        /* Also where the connection was cut off around the commit, what is said has happened. */
        assert_true((rc == CAIRN_OK) == (live > before));
        if (rc == CAIRN_OK || (rc != CAIRN_EBUSY && rc != CAIRN_ELOCKED)) {
            return rc;
        }
    }
    return CAIRN_EBUSY;
}

static void replays_cut_off_at_any_moment_are_gone_on_with(void **state)
{
    struct trial trial;
    struct killer killer;
    enum cairn_rc rc = CAIRN_OK;
    begin(&trial, *state, 3);
    add(&trial, COMMANDS * 4);
    assert_ok(replay(&trial, false), &trial.err);
    assert_ok(replay(&trial, false), &trial.err);
    killer_start(&killer, trial.stage->uri, sql_stage_seed(), true);
    for (int round = 0; rc == CAIRN_OK && (round < ROUNDS || atomic_load(&killer.kills) < ROUNDS);
         round++) {
        add(&trial, 5);
        rc = replay_through(&trial, round % 2 == 1);
    }
    (void)killer_stop(&killer);
    assert_ok(rc, &trial.err);
    assert_ok(replay(&trial, false), &trial.err);
    all_is_whole(&trial);
}

/* ---- memory ---- */

static void without_memory_nothing_is_switched_by_half(void **state)
{
    struct trial trial;
    begin(&trial, *state, 1);
    add(&trial, COMMANDS);
    assert_ok(replay(&trial, false), &trial.err);
    assert_ok(replay(&trial, false), &trial.err);
    skip_without_faults();
    for (int back = 0; back < 2; back++) {
        bool fired = true;
        int after = 0;
        for (; fired; after++) {
            uint64_t before = (uint64_t)sql_stage_number(
                trial.stage, "SELECT generation FROM _cairn_view WHERE side = 'live'");
            cairn_fault_arm(CAIRN_FAULT_MEM, after);
            enum cairn_rc rc = replay(&trial, back == 1);
            fired = cairn_fault_fired(CAIRN_FAULT_MEM);
            cairn_fault_disarm();
            assert_true(rc == CAIRN_OK || (fired && rc == CAIRN_ENOMEM));
            uint64_t live = (uint64_t)sql_stage_number(
                trial.stage, "SELECT generation FROM _cairn_view WHERE side = 'live'");
            assert_true(live > before || rc != CAIRN_OK);
            assert_int_equal(sql_stage_number(trial.stage, "SELECT sum(count) FROM test.sums"),
                             COMMANDS);
        }
        print_message("%d allocations failed\n", after - 1);
        assert_ok(replay(&trial, false), &trial.err);
        all_is_whole(&trial);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SQL_STAGE_TEST(readers_see_whole_rows_that_go_forward),
        SQL_STAGE_TEST(replays_cut_off_at_any_moment_are_gone_on_with),
        SQL_STAGE_TEST(without_memory_nothing_is_switched_by_half),
    };
    return cmocka_run_group_tests(tests, sql_stage_group_setup, sql_stage_group_teardown);
}
