#include "projector/projector.h"

#include <assert.h>

#include "platform/fault.h"
#include "platform/mem.h"
#include "projector/lmdb/live.h"
#include "projector/pause.h"
#include "projector/sql/runner.h"

/* A view no further behind than this catches up before start returns; others go to the builder. */
#define CATCH_UP_EVENTS_MAX 10000u
/* Tries of one build whose disk or memory fails. */
#define BUILD_TRIES_MAX 5
#define BUILD_PAUSE_MS  1000

struct cairn_projector {
    struct cairn_projector_options options;
    struct cairn_file_lock lock;
    struct cairn_views *views;
    struct cairn_sql_runner *sql; /* NULL: no views in PostgreSQL are fed */
    struct cairn_live live;
    bool live_made;
    pthread_t live_thread;
    bool live_runs;
    pthread_t build_thread;
    bool build_runs;
    struct cairn_reconciled jobs[CAIRN_GROUP_FOLLOWERS_MAX]; /* the builder's; followers owned */
    size_t job_count;
};

struct cairn_views *cairn_projector_views(struct cairn_projector *projector)
{
    return projector->views;
}

/* ---- The builder's thread ---------------------------------------------------------------------
 */

static bool is_stopping(void *self)
{
    struct cairn_projector *projector = self;
    return atomic_load(&projector->live.stopping);
}

static struct cairn_view_group_options group_options(const struct cairn_projector *projector)
{
    return (struct cairn_view_group_options){.views = projector->views,
                                             .store = projector->options.store,
                                             .domain = projector->options.domain,
                                             .clock = projector->options.clock,
                                             .log = projector->options.log,
                                             .metrics = projector->options.metrics};
}

/* Hand over those that failed, or, at the end, all. */
static void release(struct cairn_projector *projector, struct cairn_view_group *group, bool all)
{
    for (size_t i = group->count; i > 0; i--) {
        struct cairn_follower *follower = group->followers[i - 1];
        if (all || follower->failure.failed || follower->moved) {
            (void)cairn_view_group_remove(group, i - 1);
            cairn_live_hand(&projector->live, follower);
        }
    }
}

/* Bring followers that stand at one place close to the end of the log. */
static void advance(struct cairn_projector *projector, struct cairn_view_group *group)
{
    int tries = 0;
    uint64_t lag = UINT64_MAX;
    while (group->count > 0 && lag >= CAIRN_GROUP_LIVE_EVENTS && !is_stopping(projector)) {
        struct cairn_err err;
        size_t events = 0;
        enum cairn_rc rc =
            cairn_view_group_step(group, CAIRN_GROUP_BUILD_EVENTS, NULL, &events, &err);
        if (rc == CAIRN_OK) {
            rc = cairn_view_group_lag(group, &lag, &err);
        }
        if (rc == CAIRN_OK) {
            release(projector, group, false);
            continue;
        }
        cairn_log_error(projector->options.log, CAIRN_LOG_ERROR, "projector", "build failed", &err);
        if (++tries >= BUILD_TRIES_MAX) {
            break; /* the live thread goes on trying */
        }
        cairn_pause_nap(&projector->live.stopping, BUILD_PAUSE_MS);
    }
    release(projector, group, true);
}

/* All jobs that stand where the first one left does, in one group. */
static void advance_jobs(struct cairn_projector *projector)
{
    for (size_t first = 0; first < projector->job_count; first++) {
        struct cairn_follower *lead = projector->jobs[first].follower;
        struct cairn_err err;
        struct cairn_view_group group;
        const struct cairn_view_group_options options = group_options(projector);
        if (lead == NULL) {
            continue;
        }
        if (cairn_view_group_init(&group, &options, &err) != CAIRN_OK) {
            cairn_log_error(projector->options.log, CAIRN_LOG_ERROR, "projector", "build failed",
                            &err);
        } else {
            const struct cairn_position at = lead->head.position;
            for (size_t i = first; i < projector->job_count; i++) {
                struct cairn_follower *follower = projector->jobs[i].follower;
                if (follower != NULL && memcmp(&follower->head.position, &at, sizeof at) == 0) {
                    cairn_view_group_add(&group, follower);
                    projector->jobs[i].follower = NULL;
                }
            }
            advance(projector, &group);
        }
        cairn_view_group_fini(&group);
        if (projector->jobs[first].follower != NULL) {
            cairn_live_hand(&projector->live, projector->jobs[first].follower);
            projector->jobs[first].follower = NULL;
        }
    }
}

static void build_beside(struct cairn_projector *projector,
                         const struct cairn_domain_view *definition)
{
    const struct cairn_rebuild_hooks hooks = {.cancelled = is_stopping, .self = projector};
    const struct cairn_rebuild_request request = {.view = definition->name};
    const struct cairn_build_options options = {.group = group_options(projector),
                                                .limits = &projector->options.lua,
                                                .request = &request,
                                                .hooks = &hooks};
    enum cairn_rc rc = CAIRN_EIO;
    for (int i = 0; i < BUILD_TRIES_MAX && rc != CAIRN_OK && !is_stopping(projector); i++) {
        struct cairn_file_lock lock = {-1};
        struct cairn_rebuild_result result;
        struct cairn_err err;
        rc = cairn_build_lock(projector->options.data_folder, definition->name, &lock, &err);
        if (rc == CAIRN_OK) {
            rc = cairn_build_run(&options, definition, &result, &err);
        }
        cairn_file_lock_close(&lock);
        if (rc == CAIRN_OK) {
            cairn_log_event(projector->options.log, CAIRN_LOG_INFO, "projector", "view switched",
                            CAIRN_F_SLICE("view", definition->name),
                            CAIRN_F_UINT("generation", result.generation),
                            CAIRN_F_UINT("events", result.events),
                            CAIRN_F_BOOL("resumed", result.resumed),
                            CAIRN_F_FLOAT("seconds", result.seconds));
            return;
        }
        if (rc != CAIRN_ESTOPPED) {
            cairn_log_error(projector->options.log, CAIRN_LOG_ERROR, "projector", "build failed",
                            &err);
        }
        if (rc == CAIRN_ESCRIPT || rc == CAIRN_EINVAL || rc == CAIRN_ELOCKED ||
            rc == CAIRN_ESTOPPED) {
            return; /* the same again would end the same; another builds it; the next start does */
        }
        cairn_pause_nap(&projector->live.stopping, BUILD_PAUSE_MS);
    }
}

static void *run_builder(void *argument)
{
    struct cairn_projector *projector = argument;
    advance_jobs(projector);
    for (size_t i = 0; i < projector->job_count && !is_stopping(projector); i++) {
        if (projector->jobs[i].build) {
            build_beside(projector, projector->jobs[i].definition);
        }
    }
    return NULL;
}

static void *run_live(void *argument)
{
    struct cairn_projector *projector = argument;
    cairn_live_run(&projector->live);
    return NULL;
}

/* ---- Start and stop ---------------------------------------------------------------------------
 */

static enum cairn_rc lock_folder(struct cairn_projector *projector, struct cairn_err *err)
{
    char folder[CAIRN_PATH_MAX];
    char path[CAIRN_PATH_MAX];
    if (cairn_file_join(folder, projector->options.data_folder, CAIRN_VIEWS_FOLDER) != CAIRN_OK ||
        cairn_file_join(path, folder, CAIRN_PROJECTOR_LOCK) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "the path of the data folder is too long");
    }
    enum cairn_rc rc = cairn_file_make_folder(folder, err);
    if (rc == CAIRN_OK) {
        rc = cairn_file_lock_open(path, &projector->lock, err);
    }
    return rc == CAIRN_ELOCKED ? cairn_err_wrap(err, rc, "another projector keeps the views of %s",
                                                projector->options.data_folder)
                               : rc;
}

/* A view of the domain: into the live group, or among the builder's jobs. */
static enum cairn_rc start_view(struct cairn_projector *projector,
                                const struct cairn_domain_view *definition, struct cairn_err *err)
{
    struct cairn_position end;
    struct cairn_reconciled view = {.definition = definition};
    enum cairn_rc rc = cairn_store_end(projector->options.store, &end, err);
    if (rc == CAIRN_OK) {
        rc = cairn_reconcile(&projector->options, projector->views, definition, &view, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (view.follower->head.state == CAIRN_VIEW_STOPPED ||
        cairn_position_lag(&view.follower->head.position, &end) <= CATCH_UP_EVENTS_MAX) {
        rc = cairn_live_join(&projector->live, view.follower, err);
        view.follower = NULL;
    }
    if (view.follower != NULL || view.build) {
        projector->jobs[projector->job_count++] = view;
    }
    return rc;
}

static enum cairn_rc start_views(struct cairn_projector *projector, struct cairn_err *err)
{
    const struct cairn_domain *domain = projector->options.domain;
    size_t count = cairn_domain_view_count(domain);
    if (count > CAIRN_GROUP_FOLLOWERS_MAX - 1) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "the domain has %zu views, allowed are %d", count,
                          CAIRN_GROUP_FOLLOWERS_MAX - 1);
    }
    enum cairn_rc rc = cairn_reconcile_gone(&projector->options, projector->views, err);
    for (size_t i = 0; i < count && rc == CAIRN_OK; i++) {
        const struct cairn_domain_view *definition = cairn_domain_view_at(domain, i);
        if (definition->kind == CAIRN_VIEW_LMDB) {
            rc = start_view(projector, definition, err);
        }
    }
    return rc;
}

static enum cairn_rc start_threads(struct cairn_projector *projector, struct cairn_err *err)
{
    if (cairn_fault_hit(CAIRN_FAULT_THREAD) ||
        pthread_create(&projector->live_thread, NULL, run_live, projector) != 0) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "start the projector's thread");
    }
    projector->live_runs = true;
    if (projector->job_count == 0) {
        return CAIRN_OK;
    }
    if (cairn_fault_hit(CAIRN_FAULT_THREAD) ||
        pthread_create(&projector->build_thread, NULL, run_builder, projector) != 0) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "start the builder's thread");
    }
    projector->build_runs = true;
    return CAIRN_OK;
}

enum cairn_rc cairn_projector_start(const struct cairn_projector_options *options,
                                    struct cairn_projector **ret_projector, struct cairn_err *err)
{
    assert(options != NULL && options->domain != NULL && options->store != NULL);
    struct cairn_projector *projector = cairn_mem_zalloc(1, sizeof *projector);
    if (projector == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "start the projector");
    }
    projector->options = *options;
    projector->lock.fd = -1;
    enum cairn_rc rc = lock_folder(projector, err);
    if (rc == CAIRN_OK) {
        rc = cairn_views_open_writer(options->data_folder, true, &projector->views, err);
    }
    if (rc == CAIRN_OK) {
        projector->live_made = true;
        rc = cairn_live_init(&projector->live, &projector->options, projector->views, err);
    }
    if (rc == CAIRN_OK) {
        rc = start_views(projector, err);
    }
    if (rc == CAIRN_OK) {
        rc = start_threads(projector, err);
    }
    if (rc == CAIRN_OK && options->postgres != NULL) {
        rc = cairn_sql_runner_start(&projector->options, projector->views, &projector->sql, err);
    }
    if (rc != CAIRN_OK) {
        cairn_projector_stop(projector);
        return rc;
    }
    *ret_projector = projector;
    return CAIRN_OK;
}

void cairn_projector_stop(struct cairn_projector *projector)
{
    if (projector == NULL) {
        return;
    }
    if (projector->views != NULL) {
        atomic_store(&projector->live.stopping, true);
        cairn_views_wake(projector->views);
    }
    cairn_sql_runner_stop(projector->sql);
    if (projector->live_runs) {
        (void)pthread_join(projector->live_thread, NULL);
    }
    if (projector->build_runs) {
        (void)pthread_join(projector->build_thread, NULL);
    }
    for (size_t i = 0; i < projector->job_count; i++) {
        cairn_follower_free(projector->jobs[i].follower);
    }
    if (projector->live_made) {
        cairn_live_fini(&projector->live);
    }
    cairn_views_close(projector->views);
    cairn_file_lock_close(&projector->lock);
    cairn_mem_free(projector);
}
