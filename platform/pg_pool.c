#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "platform/clock.h"
#include "platform/mem.h"
#include "platform/pg_int.h"

#define NS_PER_S   INT64_C(1000000000)
#define NS_PER_MS  INT64_C(1000000)
#define IDLE_NS    (60 * NS_PER_S)
#define REFUSED_NS NS_PER_S

struct cairn_pg_pool {
    struct cairn_pg_options options; /* its texts are owned */
    char *uri;
    char *application;
    char *schema;
    unsigned max;
    pthread_mutex_t lock;  /* over what follows; not held while a connection is made or closed */
    pthread_cond_t freed;  /* a connection, or the place of one */
    struct cairn_pg *idle; /* given back last first */
    unsigned open;         /* idle, lent, or being opened */
    unsigned lent;         /* or being opened */
    unsigned trying;       /* of those: being opened */
    enum cairn_rc refused; /* CAIRN_OK: the last attempt went well */
    int64_t refused_ns;    /* monotonic: when it did not */
    struct cairn_err why;
};

static int64_t now_ns(void)
{
    return cairn_clock_monotonic_ns(cairn_clock_system());
}

/* ---- life ---- */

static char *copy_text(const char *text, bool *lost)
{
    if (text == NULL) {
        return NULL;
    }
    char *copy = cairn_mem_strndup(text, strlen(text));
    *lost = *lost || copy == NULL;
    return copy;
}

static void free_pool(struct cairn_pg_pool *pool)
{
    if (pool->uri != NULL) {
        cairn_mem_wipe(pool->uri, strlen(pool->uri));
    }
    cairn_mem_free(pool->uri);
    cairn_mem_free(pool->application);
    cairn_mem_free(pool->schema);
    cairn_mem_free(pool);
}

enum cairn_rc cairn_pg_pool_new(const struct cairn_pg_options *options, unsigned max,
                                struct cairn_pg_pool **ret_pool, struct cairn_err *err)
{
    assert(options != NULL && ret_pool != NULL);
    if (max == 0 || max > CAIRN_PG_POOL_MAX) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "a pool of %u connections, not 1 to %d", max,
                          CAIRN_PG_POOL_MAX);
    }
    enum cairn_rc rc = cairn_pg_check_uri(options->uri == NULL ? "" : options->uri, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_pg_pool *pool = cairn_mem_zalloc(1, sizeof(*pool));
    if (pool == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a pool of PostgreSQL connections");
    }
    bool lost = false;
    pool->max = max;
    pool->options = *options;
    pool->options.uri = pool->uri = copy_text(options->uri, &lost);
    pool->options.application = pool->application = copy_text(options->application, &lost);
    pool->options.schema = pool->schema = copy_text(options->schema, &lost);
    if (lost) {
        free_pool(pool);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a pool of PostgreSQL connections");
    }
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&pool->freed, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&pool->lock, NULL);
    *ret_pool = pool;
    return CAIRN_OK;
}

static void close_all(struct cairn_pg *pg)
{
    while (pg != NULL) {
        struct cairn_pg *older = pg->older;
        cairn_pg_close(pg);
        pg = older;
    }
}

void cairn_pg_pool_free(struct cairn_pg_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    assert(pool->lent == 0 && pool->trying == 0);
    close_all(pool->idle);
    (void)pthread_cond_destroy(&pool->freed);
    (void)pthread_mutex_destroy(&pool->lock);
    free_pool(pool);
}

/* ---- taking ---- */

/* Takes what has idled for too long off the list: its tail. */
static struct cairn_pg *cut_stale(struct cairn_pg_pool *pool)
{
    int64_t before_ns = now_ns() - IDLE_NS;
    struct cairn_pg **link = &pool->idle;
    while (*link != NULL && (*link)->released_ns >= before_ns) {
        link = &(*link)->older;
    }
    struct cairn_pg *stale = *link;
    *link = NULL;
    for (struct cairn_pg *pg = stale; pg != NULL; pg = pg->older) {
        assert(pool->open > 0);
        pool->open--;
    }
    return stale;
}

/* What a thread may do next. */
enum chance { CHANCE_IDLE, CHANCE_OPEN, CHANCE_REFUSED, CHANCE_WAIT };

/* While a server refuses one thread at a time asks, once a second; the others are told at once. */
static enum chance find_chance(const struct cairn_pg_pool *pool)
{
    if (pool->idle != NULL) {
        return CHANCE_IDLE;
    }
    if (pool->refused != CAIRN_OK &&
        (pool->trying > 0 || now_ns() < pool->refused_ns + REFUSED_NS)) {
        return CHANCE_REFUSED;
    }
    return pool->open < pool->max ? CHANCE_OPEN : CHANCE_WAIT;
}

static struct cairn_pg *take_idle(struct cairn_pg_pool *pool)
{
    struct cairn_pg *pg = pool->idle;
    pool->idle = pg->older;
    pg->older = NULL;
    pool->lent++;
    return pg;
}

/* Waits for a connection, or for the right to open one: *ret_pg is NULL then, and its place is
 * counted. The lock is held. */
static enum cairn_rc await_chance(struct cairn_pg_pool *pool, const struct timespec *until,
                                  struct cairn_pg **ret_pg, struct cairn_err *err)
{
    int waited = 0;
    for (;;) {
        switch (find_chance(pool)) {
        case CHANCE_IDLE:
            *ret_pg = take_idle(pool);
            return CAIRN_OK;
        case CHANCE_OPEN:
            pool->open++;
            pool->lent++;
            pool->trying++;
            *ret_pg = NULL;
            return CAIRN_OK;
        case CHANCE_REFUSED:
            if (err != NULL) {
                *err = pool->why;
            }
            return pool->refused;
        case CHANCE_WAIT:
            break;
        }
        if (waited == ETIMEDOUT) {
            return CAIRN_FAIL(err, CAIRN_EBUSY, "all %u connections to PostgreSQL are in use",
                              pool->max);
        }
        waited = pthread_cond_timedwait(&pool->freed, &pool->lock, until);
    }
}

/* What a server does not let in for, login, database, TLS or a setting of the URI, is this
 * process's own affair, and not that of whoever it asks for: its operator mends it, without a
 * restart. */
static enum cairn_rc open_one(const struct cairn_pg_pool *pool, struct cairn_pg **ret_pg,
                              struct cairn_err *err)
{
    enum cairn_rc rc = cairn_pg_open(&pool->options, ret_pg, err);
    return rc == CAIRN_EFORBIDDEN || rc == CAIRN_EINVAL
               ? cairn_err_wrap(err, CAIRN_EUNREACHABLE,
                                "PostgreSQL refuses the login of this service, which its operator "
                                "has to mend")
               : rc;
}

/* Opens a connection for a place that is counted, and tells the others how that went. */
static enum cairn_rc open_counted(struct cairn_pg_pool *pool, struct cairn_pg **ret_pg,
                                  struct cairn_err *err)
{
    struct cairn_err why = {.rc = CAIRN_OK};
    enum cairn_rc rc = open_one(pool, ret_pg, &why);
    (void)pthread_mutex_lock(&pool->lock);
    assert(pool->trying > 0);
    pool->trying--;
    pool->refused = rc == CAIRN_ENOMEM ? pool->refused : rc;
    if (rc != CAIRN_OK) {
        pool->open--;
        pool->lent--;
        if (rc != CAIRN_ENOMEM) {
            pool->refused_ns = now_ns();
            pool->why = why;
        }
        if (err != NULL) {
            *err = why;
        }
    }
    (void)pthread_cond_broadcast(&pool->freed);
    (void)pthread_mutex_unlock(&pool->lock);
    return rc;
}

static struct timespec until_of(int timeout_ms)
{
    int64_t until_ns = now_ns() + timeout_ms * NS_PER_MS;
    return (struct timespec){.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};
}

enum cairn_rc cairn_pg_pool_acquire(struct cairn_pg_pool *pool, int timeout_ms,
                                    struct cairn_pg **ret_pg, struct cairn_err *err)
{
    assert(pool != NULL && ret_pg != NULL && timeout_ms >= 0);
    struct timespec until = until_of(timeout_ms);
    for (;;) {
        struct cairn_pg *pg = NULL;
        (void)pthread_mutex_lock(&pool->lock);
        struct cairn_pg *stale = cut_stale(pool);
        enum cairn_rc rc = await_chance(pool, &until, &pg, err);
        (void)pthread_mutex_unlock(&pool->lock);
        close_all(stale);
        if (rc == CAIRN_OK && pg == NULL) {
            rc = open_counted(pool, &pg, err);
        }
        if (rc != CAIRN_OK) {
            return rc;
        }
        if (cairn_pg_is_idle(pg)) {
            *ret_pg = pg;
            return CAIRN_OK;
        }
        /* The server hung up while it idled: as likely on the others, each of which is asked. */
        cairn_pg_pool_release(pool, pg);
    }
}

void cairn_pg_pool_release(struct cairn_pg_pool *pool, struct cairn_pg *pg)
{
    if (pg == NULL) {
        return;
    }
    assert(pg->older == NULL);
    bool kept = cairn_pg_is_idle(pg);
    (void)pthread_mutex_lock(&pool->lock);
    assert(pool->lent > 0 && pool->open >= pool->lent);
    struct cairn_pg *stale = cut_stale(pool);
    pool->lent--;
    if (kept) {
        pg->answer_ms = pg->usual_ms;
        pg->released_ns = now_ns();
        pg->older = pool->idle;
        pool->idle = pg;
    } else {
        pool->open--;
    }
    (void)pthread_cond_signal(&pool->freed);
    (void)pthread_mutex_unlock(&pool->lock);
    close_all(stale);
    if (!kept) {
        cairn_pg_close(pg);
    }
}

void cairn_pg_pool_count(struct cairn_pg_pool *pool, unsigned *ret_open, unsigned *ret_lent)
{
    (void)pthread_mutex_lock(&pool->lock);
    *ret_open = pool->open;
    *ret_lent = pool->lent;
    (void)pthread_mutex_unlock(&pool->lock);
}
