/* A thread that ends connections to the server, each a while after it was told of it. */
#ifndef CAIRN_TESTS_INTEGRATION_PROJECTOR_SQL_KILLER_H
#define CAIRN_TESTS_INTEGRATION_PROJECTOR_SQL_KILLER_H

#include <pthread.h>
#include <stdatomic.h>

#include "tests/integration/projector/sql_stage.h"

enum { KILLER_PAUSE_MS_MAX = 40 };

struct killer {
    const char *uri;
    uint64_t seed;
    atomic_bool done;
    atomic_llong target; /* backend; 0: none */
    unsigned kills;
    pthread_t thread;
};

static inline void *killer_run(void *argument)
{
    struct killer *killer = argument;
    const struct cairn_pg_options options = {.uri = killer->uri};
    struct cairn_pg *pg = NULL;
    struct cairn_err err;
    enum cairn_rc rc = cairn_pg_open(&options, &pg, &err);
    while (rc == CAIRN_OK && !atomic_load(&killer->done)) {
        char sql[256];
        long long target = atomic_exchange(&killer->target, 0);
        (void)snprintf(sql, sizeof(sql),
                       "SELECT pg_terminate_backend(%lld) FROM pg_sleep(%llu / 1000.0)", target,
                       (unsigned long long)sql_stage_random(&killer->seed, KILLER_PAUSE_MS_MAX));
        rc = cairn_pg_query(pg, target == 0 ? "SELECT pg_sleep(0.001)" : sql, NULL, 0, NULL, &err);
        killer->kills += rc == CAIRN_OK && target != 0;
    }
    cairn_pg_close(pg);
    return rc == CAIRN_OK ? NULL : argument;
}

static inline void killer_start(struct killer *killer, const char *uri, uint64_t seed)
{
    *killer = (struct killer){.uri = uri, .seed = seed};
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
    return killer->kills;
}

#endif
