/* A thread that ends connections to the server, each a while after it was told of it, or all of
 * projectors again and again. */
#ifndef CAIRN_TESTS_INTEGRATION_PROJECTOR_SQL_KILLER_H
#define CAIRN_TESTS_INTEGRATION_PROJECTOR_SQL_KILLER_H

#include <pthread.h>
#include <stdatomic.h>

#include "tests/integration/projector/sql_stage.h"

enum { KILLER_PAUSE_MS_MAX = 40, KILLER_PATIENCE = 2 };

struct killer {
    const char *uri;
    uint64_t seed;
    bool of_all; /* every connection of a projector, without being told */
    atomic_bool done;
    atomic_llong target; /* backend; 0: none */
    atomic_uint kills;   /* connections that it ended */
    pthread_t thread;
};

static inline enum cairn_rc killer_pause(struct killer *killer, struct cairn_pg *pg,
                                         struct cairn_err *err)
{
    char sql[64];
    uint64_t most_ms = KILLER_PAUSE_MS_MAX;
    if (killer->of_all) {
        /* Less and less often, so that a machine that has other things to do comes through. */
        most_ms += atomic_load(&killer->kills) * KILLER_PAUSE_MS_MAX / KILLER_PATIENCE;
    }
    (void)snprintf(sql, sizeof(sql), "SELECT pg_sleep(%llu / 1000.0)",
                   (unsigned long long)sql_stage_random(&killer->seed, most_ms));
    return cairn_pg_query(pg, sql, NULL, 0, NULL, err);
}

/* End those that this condition on pg_stat_activity names. */
static inline enum cairn_rc killer_strike(struct killer *killer, struct cairn_pg *pg,
                                          const char *condition, struct cairn_err *err)
{
    char sql[256];
    struct cairn_pg_result *result = NULL;
    (void)snprintf(sql, sizeof(sql),
                   "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                   "current_database() AND %s",
                   condition);
    enum cairn_rc rc = cairn_pg_query(pg, sql, NULL, 0, &result, err);
    atomic_fetch_add(&killer->kills, rc == CAIRN_OK ? (unsigned)cairn_pg_result_rows(result) : 0);
    cairn_pg_result_free(result);
    return rc;
}

static inline void *killer_run(void *argument)
{
    struct killer *killer = argument;
    const struct cairn_pg_options options = {.uri = killer->uri};
    struct cairn_pg *pg = NULL;
    struct cairn_err err;
    enum cairn_rc rc = cairn_pg_open(&options, &pg, &err);
    while (rc == CAIRN_OK && !atomic_load(&killer->done)) {
        char condition[64] = "application_name = 'cairn projector'";
        long long target = atomic_exchange(&killer->target, 0);
        if (!killer->of_all) {
            (void)snprintf(condition, sizeof(condition), "pid = %lld", target);
        }
        if (!killer->of_all && target == 0) {
            rc = cairn_pg_query(pg, "SELECT pg_sleep(0.001)", NULL, 0, NULL, &err);
            continue;
        }
        rc = killer_pause(killer, pg, &err);
        rc = rc == CAIRN_OK ? killer_strike(killer, pg, condition, &err) : rc;
    }
    cairn_pg_close(pg);
    return rc == CAIRN_OK ? NULL : argument;
}

static inline void killer_start(struct killer *killer, const char *uri, uint64_t seed, bool of_all)
{
    *killer = (struct killer){.uri = uri, .seed = seed, .of_all = of_all};
    assert_int_equal(pthread_create(&killer->thread, NULL, killer_run, killer), 0);
}

static inline void killer_aim(struct killer *killer, int64_t backend)
{
    atomic_store(&killer->target, backend);
}

/* Returns how many connections it ended. */
static inline unsigned killer_stop(struct killer *killer)
{
    void *failed = NULL;
    atomic_store(&killer->done, true);
    assert_int_equal(pthread_join(killer->thread, &failed), 0);
    assert_null(failed);
    print_message("%u connections ended\n", atomic_load(&killer->kills));
    return atomic_load(&killer->kills);
}

/* Follow the log to its end with a build, whatever happens, which is kills times at most. Returns
 * how often it had to be opened. */
static inline unsigned killer_follow(struct killer *killer, struct sql_stage *stage,
                                     const char *view, unsigned kills, size_t max_events)
{
    struct cairn_position end = world_log_end(&stage->world);
    unsigned opened = 0;
    bool there = false;
    while (!there) {
        struct cairn_sql_follower *follower = NULL;
        struct cairn_err err;
        size_t events = 0;
        enum cairn_rc rc = sql_stage_follow(stage, view, CAIRN_SIDE_NEXT, &follower);
        if (rc == CAIRN_OK && opened++ < kills) {
            killer_aim(killer, pg_stage_backend(follower->pg));
        }
        while (rc == CAIRN_OK && !there) {
            rc = cairn_sql_follower_step(follower, max_events, &events, &err);
            there = rc == CAIRN_OK && cairn_position_reached(&follower->head.position, &end);
        }
        assert_true(there || rc == CAIRN_EBUSY || rc == CAIRN_EFENCED);
        cairn_sql_follower_close(follower);
    }
    return opened;
}

struct killer_step {
    struct cairn_sql_follower *follower;
    enum cairn_rc rc;
};

static inline void *killer_step_run(void *argument)
{
    struct killer_step *step = argument;
    struct cairn_err err;
    size_t events = 0;
    step->rc = cairn_sql_follower_step(step->follower, 100, &events, &err);
    return NULL;
}

/* Step until that waits for a lock, and end its connection there. Returns how the step ended. */
static inline enum cairn_rc killer_step(struct sql_stage *stage,
                                        struct cairn_sql_follower *follower)
{
    struct killer_step step = {.follower = follower};
    int64_t backend = pg_stage_backend(follower->pg);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, killer_step_run, &step), 0);
    sql_stage_await(stage,
                    "SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = %lld AND "
                    "wait_event_type = 'Lock'",
                    (long long)backend);
    pg_stage_terminate(stage->pg, backend);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return step.rc;
}

#endif
