#include "projector/sql/tidier.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "platform/fault.h"
#include "platform/log.h"
#include "platform/mem.h"
#include "projector/pause.h"
#include "projector/sql/generation.h"

struct cairn_sql_tidier {
    const struct cairn_projector_options *options;
    pthread_t thread;
    atomic_bool stopping;
    struct cairn_slice *views; /* of the domain, in SQL; owned */
    size_t count;
};

/* What is left of a comparison, unless one is under way. */
static enum cairn_rc drop_check(struct cairn_pg *pg, struct cairn_slice domain,
                                struct cairn_slice view, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_sql_generation_lock(pg, domain, view, CAIRN_SIDE_CHECK, err);
    if (rc == CAIRN_OK) {
        rc = cairn_sql_generation_drop(pg, domain, view, CAIRN_SIDE_CHECK, NULL, err);
        cairn_sql_generation_unlock(pg, domain, view, CAIRN_SIDE_CHECK);
    }
    return rc == CAIRN_ELOCKED ? CAIRN_OK : rc;
}

static enum cairn_rc tidy_up(const struct cairn_sql_tidier *tidier, struct cairn_err *err)
{
    const struct cairn_pg_options options = {.uri = tidier->options->postgres,
                                             .application = "cairn projector",
                                             .lock_timeout_ms = CAIRN_PAUSE_MAX_MS};
    struct cairn_slice domain = cairn_domain_name(tidier->options->domain);
    struct cairn_pg *pg = NULL;
    enum cairn_rc rc = cairn_pg_open(&options, &pg, err);
    rc = rc == CAIRN_OK ? cairn_sql_store_prepare(pg, domain, err) : rc;
    rc = rc == CAIRN_OK ? cairn_sql_store_keep(pg, domain, tidier->views, tidier->count, err) : rc;
    for (size_t i = 0; rc == CAIRN_OK && i < tidier->count; i++) {
        rc = drop_check(pg, domain, tidier->views[i], err);
    }
    cairn_pg_close(pg);
    return rc == CAIRN_OK ? CAIRN_OK : cairn_err_wrap(err, rc, "drop what is left over");
}

static void *run(void *argument)
{
    const struct cairn_sql_tidier *tidier = argument;
    struct cairn_err err;
    int pause_ms = CAIRN_PAUSE_FIRST_MS;
    while (!atomic_load(&tidier->stopping) && tidy_up(tidier, &err) != CAIRN_OK) {
        cairn_log_error(tidier->options->log, CAIRN_LOG_WARN, "projector", "tidying failed", &err);
        cairn_pause_nap(&tidier->stopping, pause_ms);
        pause_ms = cairn_pause_next(pause_ms);
    }
    return NULL;
}

static void free_tidier(struct cairn_sql_tidier *tidier)
{
    cairn_mem_free(tidier->views);
    cairn_mem_free(tidier);
}

static enum cairn_rc collect_views(struct cairn_sql_tidier *tidier)
{
    const struct cairn_domain *domain = tidier->options->domain;
    size_t count = cairn_domain_view_count(domain);
    tidier->views = cairn_mem_zalloc(count + 1, sizeof(*tidier->views));
    for (size_t i = 0; tidier->views != NULL && i < count; i++) {
        const struct cairn_domain_view *view = cairn_domain_view_at(domain, i);
        if (view->kind == CAIRN_VIEW_POSTGRES) {
            tidier->views[tidier->count++] = view->name;
        }
    }
    return tidier->views == NULL ? CAIRN_ENOMEM : CAIRN_OK;
}

enum cairn_rc cairn_sql_tidier_start(const struct cairn_projector_options *options,
                                     struct cairn_sql_tidier **ret_tidier, struct cairn_err *err)
{
    assert(options->postgres != NULL);
    struct cairn_sql_tidier *tidier = cairn_mem_zalloc(1, sizeof(*tidier));
    if (tidier == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "start the thread that drops views");
    }
    tidier->options = options;
    if (collect_views(tidier) != CAIRN_OK || cairn_fault_hit(CAIRN_FAULT_THREAD) ||
        pthread_create(&tidier->thread, NULL, run, tidier) != 0) {
        free_tidier(tidier);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "start the thread that drops views");
    }
    *ret_tidier = tidier;
    return CAIRN_OK;
}

void cairn_sql_tidier_stop(struct cairn_sql_tidier *tidier)
{
    if (tidier != NULL) {
        atomic_store(&tidier->stopping, true);
        (void)pthread_join(tidier->thread, NULL);
        free_tidier(tidier);
    }
}
