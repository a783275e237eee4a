/* Replay of views in LMDB: replay_store.h over the view store. */
#include "projector/replay_lmdb.h"

#include <assert.h>

#include "projector/build.h"
#include "projector/compare.h"
#include "projector/parked_lmdb.h"

static enum cairn_rc rebuild(const struct cairn_projector_options *options,
                             const struct cairn_domain_view *definition,
                             const struct cairn_rebuild_request *request,
                             const struct cairn_rebuild_hooks *hooks,
                             struct cairn_rebuild_result *ret_result, struct cairn_err *err)
{
    struct cairn_views *views = NULL;
    struct cairn_file_lock lock = {-1};
    enum cairn_rc rc = cairn_views_open_writer(options->data_folder, true, &views, err);
    if (rc == CAIRN_OK) {
        rc = cairn_build_lock(options->data_folder, request->view, &lock, err);
    }
    if (rc == CAIRN_OK) {
        const struct cairn_view_group_options group = {.views = views,
                                                       .store = options->store,
                                                       .domain = options->domain,
                                                       .clock = options->clock,
                                                       .metrics = options->metrics};
        rc = cairn_build_run(&group, &options->lua, definition, hooks, ret_result, err);
    }
    cairn_file_lock_close(&lock);
    cairn_views_close(views);
    return rc;
}

const struct cairn_replay_store cairn_replay_lmdb = {
    .rebuild = rebuild,
    .compare = cairn_compare_lmdb,
    .parked = cairn_parked_lmdb_list,
    .parked_retry = cairn_parked_lmdb_retry,
    .parked_drop = cairn_parked_lmdb_drop,
};
