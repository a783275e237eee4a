#include "projector/replay.h"

#include <assert.h>

#include "projector/lmdb/replay.h"
#include "projector/sql/replay.h"

/* The view's definition, and who does it. */
static enum cairn_rc find(const struct cairn_projector_options *options, struct cairn_slice view,
                          const struct cairn_domain_view **ret_definition,
                          const struct cairn_replay_store **ret_store, struct cairn_err *err)
{
    assert(options != NULL && options->domain != NULL);
    const struct cairn_domain_view *definition = cairn_domain_view(options->domain, view);
    if (definition == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOENT, "the domain has no view \"%.*s\"",
                          CAIRN_SLICE_ARG(view));
    }
    if (definition->kind == CAIRN_VIEW_POSTGRES && options->postgres == NULL) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "view %.*s lies in PostgreSQL: say where with --postgres",
                          CAIRN_SLICE_ARG(view));
    }
    *ret_definition = definition;
    *ret_store = definition->kind == CAIRN_VIEW_LMDB ? &cairn_replay_lmdb : &cairn_replay_sql;
    return CAIRN_OK;
}

static enum cairn_rc named(enum cairn_rc rc, const char *what, struct cairn_slice view,
                           struct cairn_err *err)
{
    return rc == CAIRN_OK ? CAIRN_OK
                          : cairn_err_wrap(err, rc, "%s view %.*s", what, CAIRN_SLICE_ARG(view));
}

enum cairn_rc cairn_view_rebuild(const struct cairn_projector_options *options,
                                 const struct cairn_rebuild_request *request,
                                 const struct cairn_rebuild_hooks *hooks,
                                 struct cairn_rebuild_result *ret_result, struct cairn_err *err)
{
    const struct cairn_domain_view *definition = NULL;
    const struct cairn_replay_store *store = NULL;
    enum cairn_rc rc = find(options, request->view, &definition, &store, err);
    return rc == CAIRN_OK
               ? named(store->rebuild(options, definition, request, hooks, ret_result, err),
                       "build", request->view, err)
               : rc;
}

enum cairn_rc cairn_view_rollback(const struct cairn_projector_options *options,
                                  const struct cairn_rebuild_request *request,
                                  const struct cairn_rebuild_hooks *hooks,
                                  struct cairn_rebuild_result *ret_result, struct cairn_err *err)
{
    const struct cairn_domain_view *definition = NULL;
    const struct cairn_replay_store *store = NULL;
    enum cairn_rc rc = find(options, request->view, &definition, &store, err);
    return rc == CAIRN_OK
               ? named(store->rollback(options, definition, request, hooks, ret_result, err),
                       "roll back", request->view, err)
               : rc;
}

enum cairn_rc cairn_view_drop_kept(const struct cairn_projector_options *options,
                                   struct cairn_slice view, bool *ret_dropped,
                                   struct cairn_err *err)
{
    const struct cairn_domain_view *definition = NULL;
    const struct cairn_replay_store *store = NULL;
    enum cairn_rc rc = find(options, view, &definition, &store, err);
    return rc == CAIRN_OK ? named(store->drop_kept(options, view, ret_dropped, err),
                                  "drop what is kept of", view, err)
                          : rc;
}

enum cairn_rc cairn_view_compare(const struct cairn_projector_options *options,
                                 const struct cairn_compare_request *request,
                                 const struct cairn_compare_hooks *hooks,
                                 struct cairn_compare_report *ret_report, struct cairn_err *err)
{
    const struct cairn_domain_view *definition = NULL;
    const struct cairn_replay_store *store = NULL;
    enum cairn_rc rc = find(options, request->view, &definition, &store, err);
    return rc == CAIRN_OK
               ? named(store->compare(options, definition, request, hooks, ret_report, err),
                       "compare", request->view, err)
               : rc;
}

enum cairn_rc cairn_view_parked(const struct cairn_projector_options *options,
                                struct cairn_slice view, struct cairn_arena *arena,
                                struct cairn_parked **ret_parked, size_t *ret_count,
                                struct cairn_err *err)
{
    const struct cairn_domain_view *definition = NULL;
    const struct cairn_replay_store *store = NULL;
    enum cairn_rc rc = find(options, view, &definition, &store, err);
    return rc == CAIRN_OK ? named(store->parked(options, view, arena, ret_parked, ret_count, err),
                                  "what is parked of", view, err)
                          : rc;
}

enum cairn_rc cairn_view_parked_retry(const struct cairn_projector_options *options,
                                      struct cairn_slice view, struct cairn_slice stream,
                                      uint64_t *ret_events, struct cairn_err *err)
{
    const struct cairn_domain_view *definition = NULL;
    const struct cairn_replay_store *store = NULL;
    enum cairn_rc rc = find(options, view, &definition, &store, err);
    return rc == CAIRN_OK ? named(store->parked_retry(options, view, stream, ret_events, err),
                                  "try again in", view, err)
                          : rc;
}

enum cairn_rc cairn_view_parked_drop(const struct cairn_projector_options *options,
                                     struct cairn_slice view, struct cairn_slice stream,
                                     uint64_t *ret_events, struct cairn_err *err)
{
    const struct cairn_domain_view *definition = NULL;
    const struct cairn_replay_store *store = NULL;
    enum cairn_rc rc = find(options, view, &definition, &store, err);
    return rc == CAIRN_OK ? named(store->parked_drop(options, view, stream, ret_events, err),
                                  "give up events in", view, err)
                          : rc;
}
