/* Replay of views in LMDB: replay_store.h over the view store. */
#include "projector/lmdb/replay.h"

#include <assert.h>

#include "projector/lmdb/build.h"
#include "projector/lmdb/compare.h"
#include "projector/lmdb/retry.h"

/* The view store, opened to write, with the lock of the view's builds. */
struct bench {
    struct cairn_views *views;
    struct cairn_file_lock lock;
};

static void close_bench(struct bench *bench)
{
    cairn_file_lock_close(&bench->lock);
    cairn_views_close(bench->views);
}

static enum cairn_rc open_bench(const struct cairn_projector_options *options,
                                struct cairn_slice view, struct bench *ret_bench,
                                struct cairn_err *err)
{
    struct bench bench = {.lock = {-1}};
    enum cairn_rc rc = cairn_views_open_writer(options->data_folder, true, &bench.views, err);
    if (rc == CAIRN_OK) {
        rc = cairn_build_lock(options->data_folder, view, &bench.lock, err);
    }
    if (rc != CAIRN_OK) {
        close_bench(&bench);
        return rc;
    }
    *ret_bench = bench;
    return CAIRN_OK;
}

static struct cairn_build_options build_options(const struct cairn_projector_options *options,
                                                const struct bench *bench,
                                                const struct cairn_rebuild_request *request,
                                                const struct cairn_rebuild_hooks *hooks)
{
    return (struct cairn_build_options){.group = {.views = bench->views,
                                                  .store = options->store,
                                                  .domain = options->domain,
                                                  .clock = options->clock,
                                                  .log = options->log,
                                                  .metrics = options->metrics},
                                        .limits = &options->lua,
                                        .request = request,
                                        .hooks = hooks};
}

static enum cairn_rc rebuild(const struct cairn_projector_options *options,
                             const struct cairn_domain_view *definition,
                             const struct cairn_rebuild_request *request,
                             const struct cairn_rebuild_hooks *hooks,
                             struct cairn_rebuild_result *ret_result, struct cairn_err *err)
{
    struct bench bench;
    enum cairn_rc rc = open_bench(options, request->view, &bench, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    const struct cairn_build_options build = build_options(options, &bench, request, hooks);
    rc = cairn_build_run(&build, definition, ret_result, err);
    close_bench(&bench);
    return rc;
}

static enum cairn_rc rollback(const struct cairn_projector_options *options,
                              const struct cairn_domain_view *definition,
                              const struct cairn_rebuild_request *request,
                              const struct cairn_rebuild_hooks *hooks,
                              struct cairn_rebuild_result *ret_result, struct cairn_err *err)
{
    struct bench bench;
    (void)definition; /* the kept generation goes by its own */
    enum cairn_rc rc = open_bench(options, request->view, &bench, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    const struct cairn_build_options build = build_options(options, &bench, request, hooks);
    rc = cairn_build_rollback(&build, ret_result, err);
    close_bench(&bench);
    return rc;
}

static enum cairn_rc drop_kept(const struct cairn_projector_options *options,
                               struct cairn_slice view, bool *ret_dropped, struct cairn_err *err)
{
    struct bench bench;
    bool next = false;
    bool old = false;
    enum cairn_rc rc = open_bench(options, view, &bench, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_build_drop(bench.views, view, CAIRN_SIDE_NEXT, &next, err);
    if (rc == CAIRN_OK) {
        rc = cairn_build_drop(bench.views, view, CAIRN_SIDE_OLD, &old, err);
    }
    close_bench(&bench);
    if (rc == CAIRN_OK) {
        *ret_dropped = next || old;
    }
    return rc;
}

const struct cairn_replay_store cairn_replay_lmdb = {
    .rebuild = rebuild,
    .rollback = rollback,
    .drop_kept = drop_kept,
    .compare = cairn_compare_lmdb,
    .parked = cairn_parked_lmdb_list,
    .parked_retry = cairn_parked_lmdb_retry,
    .parked_drop = cairn_parked_lmdb_drop,
};
