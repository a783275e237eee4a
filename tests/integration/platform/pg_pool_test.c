/* A pool under many threads on a real PostgreSQL. */
#include <pthread.h>
#include <stdio.h>

#include "tests/integration/platform/pg_stage.h"

#define THREADS     16
#define PLACES      4
#define ROUNDS      200
#define PATIENCE_MS 120000

static struct cairn_pg_pool *make_pool(const struct pg_stage *stage, unsigned max)
{
    struct cairn_pg_options options = pg_stage_options(stage);
    struct cairn_pg_pool *pool = NULL;
    struct cairn_err err;
    assert_ok(cairn_pg_pool_new(&options, max, &pool, &err), &err);
    return pool;
}

static struct cairn_pg *acquire(struct cairn_pg_pool *pool)
{
    struct cairn_pg *pg = NULL;
    struct cairn_err err;
    assert_ok(cairn_pg_pool_acquire(pool, PATIENCE_MS, &pg, &err), &err);
    return pg;
}

static void assert_count(struct cairn_pg_pool *pool, unsigned open, unsigned lent)
{
    unsigned open_now = 0;
    unsigned lent_now = 0;
    cairn_pg_pool_count(pool, &open_now, &lent_now);
    assert_int_equal(open_now, open);
    assert_int_equal(lent_now, lent);
}

/* ---- many threads ---- */

struct worker {
    pthread_t thread;
    struct cairn_pg_pool *pool;
    int number;
    int done;             /* rounds that went well */
    struct cairn_err err; /* of the first that did not */
};

/* Some rounds leave a transaction open, and some a connection whose process they ended themselves:
 * the next one of whichever thread must not notice. */
static enum cairn_rc spoil(struct cairn_pg *pg, int round, struct cairn_err *err)
{
    if (round % 7 == 0) {
        return cairn_pg_run(pg, "BEGIN", err);
    }
    if (round % 41 == 0) {
        return cairn_pg_run(pg, "SELECT pg_terminate_backend(pg_backend_pid())", err) == CAIRN_EBUSY
                   ? CAIRN_OK
                   : CAIRN_FAIL(err, CAIRN_EINTERNAL, "the connection outlived its end");
    }
    return CAIRN_OK;
}

static enum cairn_rc work_once(struct worker *worker, int round)
{
    struct cairn_pg *pg = NULL;
    enum cairn_rc rc = cairn_pg_pool_acquire(worker->pool, PATIENCE_MS, &pg, &worker->err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    char text[32];
    int size = snprintf(text, sizeof(text), "%d", worker->number * ROUNDS + round);
    struct cairn_slice value = cairn_slice_of(text, (size_t)size);
    rc = cairn_pg_query(pg, "INSERT INTO pooled VALUES ($1)", &value, 1, NULL, &worker->err);
    rc = rc == CAIRN_OK ? spoil(pg, round, &worker->err) : rc;
    cairn_pg_pool_release(worker->pool, pg);
    return rc;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    for (int round = 1; round <= ROUNDS; round++) {
        if (work_once(worker, round) != CAIRN_OK) {
            break;
        }
        worker->done++;
    }
    return NULL;
}

static void sixteen_threads_share_four_connections(void **state)
{
    struct pg_stage *stage = *state;
    pg_stage_run(stage->pg, "CREATE TABLE pooled (n int PRIMARY KEY)");
    struct cairn_pg_pool *pool = make_pool(stage, PLACES);
    struct worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.pool = pool, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        if (workers[i].done != ROUNDS) {
            fail_msg("thread %d, round %d: %s", i, workers[i].done + 1, workers[i].err.text);
        }
    }
    char expected[32];
    (void)snprintf(expected, sizeof(expected), "%d", THREADS * ROUNDS);
    assert_string_equal(pg_stage_value(stage->pg, "SELECT count(*) FROM pooled"), expected);
    unsigned open = 0;
    unsigned lent = 1;
    cairn_pg_pool_count(pool, &open, &lent);
    assert_true(open <= PLACES);
    assert_int_equal(lent, 0);
    cairn_pg_pool_free(pool);
}

/* ---- one thread ---- */

static void a_connection_given_back_is_lent_again(void **state)
{
    struct pg_stage *stage = *state;
    struct cairn_pg_pool *pool = make_pool(stage, 2);
    assert_count(pool, 0, 0);
    struct cairn_pg *first = acquire(pool);
    assert_count(pool, 1, 1);
    int64_t backend = pg_stage_backend(first);
    cairn_pg_pool_release(pool, first);
    assert_count(pool, 1, 0);
    struct cairn_pg *second = acquire(pool);
    assert_int_equal(pg_stage_backend(second), backend);
    cairn_pg_pool_release(pool, second);
    cairn_pg_pool_free(pool);
}

static void a_pool_that_is_out_says_so_when_the_time_is_over(void **state)
{
    struct pg_stage *stage = *state;
    struct cairn_pg_pool *pool = make_pool(stage, 1);
    struct cairn_pg *only = acquire(pool);
    struct cairn_pg *none = NULL;
    assert_int_equal(cairn_pg_pool_acquire(pool, 20, &none, &stage->err), CAIRN_EBUSY);
    assert_int_equal(cairn_pg_pool_acquire(pool, 0, &none, &stage->err), CAIRN_EBUSY);
    assert_null(none);
    assert_non_null(strstr(stage->err.text, "1 connections"));
    cairn_pg_pool_release(pool, only);
    only = acquire(pool);
    cairn_pg_pool_release(pool, only);
    cairn_pg_pool_free(pool);
}

static void what_is_inside_a_transaction_or_broken_is_not_lent_again(void **state)
{
    struct pg_stage *stage = *state;
    struct cairn_pg_pool *pool = make_pool(stage, 2);
    static const char *const leaves[] = {"BEGIN", "BEGIN; SELECT 1/0"};
    for (size_t i = 0; i < 2; i++) {
        struct cairn_pg *pg = acquire(pool);
        (void)cairn_pg_run(pg, leaves[i], &stage->err);
        cairn_pg_pool_release(pool, pg);
        assert_count(pool, 0, 0);
    }
    struct cairn_pg *pg = acquire(pool);
    assert_ok(cairn_pg_pipeline_begin(pg, &stage->err), &stage->err);
    cairn_pg_pool_release(pool, pg);
    assert_count(pool, 0, 0);
    cairn_pg_pool_free(pool);
}

static void connections_that_died_while_they_idled_are_replaced_unseen(void **state)
{
    struct pg_stage *stage = *state;
    struct cairn_pg_pool *pool = make_pool(stage, PLACES);
    struct cairn_pg *all[PLACES];
    int64_t backends[PLACES];
    for (int i = 0; i < PLACES; i++) {
        all[i] = acquire(pool);
        backends[i] = pg_stage_backend(all[i]);
    }
    for (int i = 0; i < PLACES; i++) {
        cairn_pg_pool_release(pool, all[i]);
    }
    for (int i = 0; i < PLACES; i++) {
        pg_stage_terminate(stage->pg, backends[i]);
    }
    struct cairn_pg *pg = acquire(pool);
    assert_count(pool, 1, 1);
    assert_string_equal(pg_stage_value(pg, "SELECT 1"), "1");
    cairn_pg_pool_release(pool, pg);
    cairn_pg_pool_free(pool);
}

static void a_refused_login_is_not_that_of_who_asks(void **state)
{
    struct pg_stage *stage = *state;
    char *wrong = pg_stage_uri_as("nobody_here", "secret");
    char setting[STAGE_TEXT_MAX];
    (void)snprintf(setting, sizeof(setting), "%s?sslmode=sometimes", pg_stage_uri());
    const char *const uris[] = {wrong, setting};
    for (size_t i = 0; i < 2; i++) {
        struct cairn_pg_options options = pg_stage_options(stage);
        struct cairn_pg_pool *pool = NULL;
        struct cairn_pg *pg = NULL;
        options.uri = uris[i];
        assert_ok(cairn_pg_pool_new(&options, 1, &pool, &stage->err), &stage->err);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(cairn_pg_pool_acquire(pool, PATIENCE_MS, &pg, &stage->err),
                             CAIRN_EUNREACHABLE);
            assert_non_null(strstr(stage->err.text, "refuses the login of this service"));
        }
        assert_count(pool, 0, 0);
        cairn_pg_pool_free(pool);
    }
    test_free(wrong);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pg_stage_setup, pg_stage_teardown)
    const struct CMUnitTest tests[] = {
        TEST(sixteen_threads_share_four_connections),
        TEST(a_connection_given_back_is_lent_again),
        TEST(a_pool_that_is_out_says_so_when_the_time_is_over),
        TEST(what_is_inside_a_transaction_or_broken_is_not_lent_again),
        TEST(connections_that_died_while_they_idled_are_replaced_unseen),
        TEST(a_refused_login_is_not_that_of_who_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
