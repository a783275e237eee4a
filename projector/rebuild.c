/* cairn_view_rebuild: what `cairn replay` does, in a process of its own. */
#include <assert.h>

#include "projector/build.h"

enum cairn_rc cairn_view_rebuild(const struct cairn_projector_options *options,
                                 struct cairn_slice view, const struct cairn_rebuild_hooks *hooks,
                                 struct cairn_rebuild_result *ret_result, struct cairn_err *err)
{
    assert(options != NULL && ret_result != NULL);
    const struct cairn_domain_view *definition = cairn_domain_view(options->domain, view);
    if (definition == NULL || definition->kind != CAIRN_VIEW_LMDB) {
        return CAIRN_FAIL(err, CAIRN_ENOENT, "the domain has no LMDB view \"%.*s\"",
                          CAIRN_SLICE_ARG(view));
    }
    struct cairn_views *views = NULL;
    struct cairn_file_lock lock = {-1};
    enum cairn_rc rc = cairn_views_open_writer(options->data_folder, true, &views, err);
    if (rc == CAIRN_OK) {
        rc = cairn_build_lock(options->data_folder, view, &lock, err);
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
