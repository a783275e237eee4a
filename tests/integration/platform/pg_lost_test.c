/* A real PostgreSQL that is killed, restarted and stopped in its tracks. It has a server of its
 * own. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/clock.h"
#include "tests/integration/platform/pg_stage.h"

#define PATIENCE_MS 60000
#define SILENCE_MS  2000

/* Runs tools/postgres on the server of this program. */
static void tool(const char *verb)
{
    char command[STAGE_TEXT_MAX * 2];
    int size = snprintf(command, sizeof(command),
                        "'" CAIRN_SOURCE_DIR "/tools/postgres' %s --folder '%s' >/dev/null", verb,
                        getenv("CAIRN_POSTGRES_FOLDER"));
    assert_true(size > 0 && (size_t)size < sizeof(command));
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a test's own words */
}

static int64_t now_ms(void)
{
    return cairn_clock_monotonic_ns(cairn_clock_system()) / 1000000;
}

/* As a program would: until the server is back. */
static struct cairn_pg *acquire_until_back(struct cairn_pg_pool *pool)
{
    struct cairn_pg *pg = NULL;
    struct cairn_err err;
    int64_t until_ms = now_ms() + PATIENCE_MS;
    enum cairn_rc rc = CAIRN_EBUSY;
    while (rc == CAIRN_EBUSY && now_ms() < until_ms) {
        rc = cairn_pg_pool_acquire(pool, PATIENCE_MS, &pg, &err);
    }
    assert_ok(rc, &err);
    return pg;
}

struct call {
    pthread_t thread;
    struct cairn_pg *pg;
    enum cairn_rc rc;
    struct cairn_err err;
};

static void *ask_for_long(void *argument)
{
    struct call *call = argument;
    call->rc = cairn_pg_query(call->pg, "SELECT pg_sleep(600)", NULL, 0, NULL, &call->err);
    return NULL;
}

/* A connection that gives up a server that is silent, with a statement "take". By one that is only
 * slow it is tried again. */
static struct cairn_pg *open_impatient(struct pg_stage *stage)
{
    struct cairn_pg_options options = pg_stage_options(stage);
    struct cairn_pg *pg = NULL;
    int64_t until_ms = now_ms() + PATIENCE_MS;
    enum cairn_rc rc = CAIRN_EBUSY;
    options.answer_timeout_ms = SILENCE_MS;
    while (rc == CAIRN_EBUSY && now_ms() < until_ms) {
        cairn_pg_close(pg);
        pg = NULL;
        rc = cairn_pg_open(&options, &pg, &stage->err);
        if (rc == CAIRN_OK) {
            rc = cairn_pg_prepare(pg, "take", "SELECT length($1)", NULL, 1, &stage->err);
        }
    }
    assert_ok(rc, &stage->err);
    return pg;
}

static void await_sleeper(struct pg_stage *stage)
{
    int64_t until_ms = now_ms() + PATIENCE_MS;
    while (strcmp(pg_stage_value(stage->pg, "SELECT count(*) FROM pg_stat_activity"
                                            " WHERE wait_event = 'PgSleep'"),
                  "1") != 0) {
        assert_true(now_ms() < until_ms);
    }
}

static void a_killed_server_ends_the_wait_and_comes_back(void **state)
{
    struct pg_stage *stage = *state;
    pg_stage_run(stage->pg, "CREATE TABLE kept (n int)");
    struct call call = {.pg = pg_stage_open(stage)};
    assert_int_equal(pthread_create(&call.thread, NULL, ask_for_long, &call), 0);
    await_sleeper(stage);
    tool("kill");
    assert_int_equal(pthread_join(call.thread, NULL), 0);
    assert_int_equal(call.rc, CAIRN_EBUSY);
    assert_true(cairn_pg_is_broken(call.pg));
    cairn_pg_close(call.pg);

    struct cairn_pg_options options = pg_stage_options(stage);
    struct cairn_pg *pg = NULL;
    assert_int_equal(cairn_pg_open(&options, &pg, &stage->err), CAIRN_EBUSY);
    assert_int_equal(cairn_pg_run(stage->pg, "SELECT 1", &stage->err), CAIRN_EBUSY);
    assert_true(cairn_pg_is_broken(stage->pg));
    tool("restart");
    cairn_pg_close(stage->pg);
    stage->pg = pg_stage_open(stage);
    assert_string_equal(pg_stage_value(stage->pg, "SELECT count(*) FROM kept"), "0");
}

static void a_pipeline_whose_server_is_killed_commits_nothing(void **state)
{
    struct pg_stage *stage = *state;
    pg_stage_run(stage->pg, "CREATE TABLE piped (n int)");
    assert_ok(
        cairn_pg_prepare(stage->pg, "put", "INSERT INTO piped VALUES ($1)", NULL, 1, &stage->err),
        &stage->err);
    assert_ok(cairn_pg_pipeline_begin(stage->pg, &stage->err), &stage->err);
    struct cairn_slice one = CAIRN_SLICE_LIT("1");
    size_t index = 0;
    for (int i = 0; i < 30000; i++) {
        if (i == 15000) {
            tool("kill");
        }
        assert_ok(cairn_pg_pipeline_send(stage->pg, "put", &one, 1, &index, &stage->err),
                  &stage->err);
    }
    size_t failed = 0;
    assert_int_equal(cairn_pg_pipeline_end(stage->pg, NULL, NULL, &failed, &stage->err),
                     CAIRN_EBUSY);
    assert_int_equal(failed, SIZE_MAX);
    assert_true(cairn_pg_is_broken(stage->pg));
    tool("restart");
    cairn_pg_close(stage->pg);
    stage->pg = pg_stage_open(stage);
    assert_string_equal(pg_stage_value(stage->pg, "SELECT count(*) FROM piped"), "0");
}

static void a_pool_fails_fast_while_the_server_is_away_and_finds_it_again(void **state)
{
    struct pg_stage *stage = *state;
    struct cairn_pg_options options = pg_stage_options(stage);
    struct cairn_pg_pool *pool = NULL;
    assert_ok(cairn_pg_pool_new(&options, 4, &pool, &stage->err), &stage->err);
    cairn_pg_pool_release(pool, acquire_until_back(pool));
    tool("kill");
    int64_t began_ms = now_ms();
    for (int i = 0; i < 1000; i++) {
        struct cairn_pg *pg = NULL;
        assert_int_equal(cairn_pg_pool_acquire(pool, PATIENCE_MS, &pg, &stage->err), CAIRN_EBUSY);
    }
    print_message("1000 refusals in %lld ms\n", (long long)(now_ms() - began_ms));
    assert_true(now_ms() - began_ms < PATIENCE_MS); /* one that waited would take as long */
    tool("restart");
    struct cairn_pg *pg = acquire_until_back(pool);
    assert_string_equal(pg_stage_value(pg, "SELECT 1"), "1");
    cairn_pg_pool_release(pool, pg);
    cairn_pg_pool_free(pool);
}

static void a_server_stopped_in_its_tracks_is_given_up(void **state)
{
    struct pg_stage *stage = *state;
    struct cairn_pg_options options = pg_stage_options(stage);
    struct cairn_pg *pg = open_impatient(stage);
    struct cairn_pg *other = NULL;
    tool("pause");
    assert_int_equal(cairn_pg_run(pg, "SELECT 1", &stage->err), CAIRN_EBUSY);
    assert_true(cairn_pg_is_broken(pg));
    options.connect_timeout_ms = 300;
    assert_int_equal(cairn_pg_open(&options, &other, &stage->err), CAIRN_EBUSY);
    assert_null(other);
    tool("continue");
    assert_string_equal(pg_stage_value(stage->pg, "SELECT 1"), "1");
    cairn_pg_close(pg);
}

static void a_pipeline_into_a_server_that_does_not_read_is_given_up(void **state)
{
    struct pg_stage *stage = *state;
    struct cairn_pg *pg = open_impatient(stage);
    assert_ok(cairn_pg_pipeline_begin(pg, &stage->err), &stage->err);
    tool("pause");
    /* More than both ends of a socket hold. */
    size_t size = 64 << 10;
    char *text = test_malloc(size);
    memset(text, 'x', size);
    struct cairn_slice value = cairn_slice_of(text, size);
    size_t index = 0;
    for (size_t i = 0; i < 1024; i++) {
        assert_ok(cairn_pg_pipeline_send(pg, "take", &value, 1, &index, &stage->err), &stage->err);
        assert_int_equal(index, i);
    }
    size_t failed = 0;
    assert_int_equal(cairn_pg_pipeline_end(pg, NULL, NULL, &failed, &stage->err), CAIRN_EBUSY);
    assert_non_null(strstr(stage->err.text, "said nothing"));
    tool("continue");
    cairn_pg_close(pg);
    test_free(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pg_stage_setup, pg_stage_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_killed_server_ends_the_wait_and_comes_back),
        TEST(a_pipeline_whose_server_is_killed_commits_nothing),
        TEST(a_pool_fails_fast_while_the_server_is_away_and_finds_it_again),
        TEST(a_server_stopped_in_its_tracks_is_given_up),
        TEST(a_pipeline_into_a_server_that_does_not_read_is_given_up),
    };
    if (getenv("CAIRN_POSTGRES_FOLDER") == NULL) {
        print_message("SKIPPED: CAIRN_POSTGRES names a server that is not ours to kill\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
