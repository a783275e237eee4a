#include "projector/replay.h"

#include <assert.h>

#include "projector/lmdb/replay.h"
#include "projector/sql/replay.h"

/* A view of the domain, and the calls of its store. */
struct target {
    const struct cairn_domain_view *definition;
    const struct cairn_replay_store *store;
    struct cairn_slice view;
};

static enum cairn_rc find(const struct cairn_projector_options *options, struct cairn_slice view,
                          struct target *target, struct cairn_err *err)
{
    assert(options != NULL && options->domain != NULL);
    *target = (struct target){.definition = cairn_domain_view(options->domain, view), .view = view};
    if (target->definition == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOENT, "the domain has no such view");
    }
    bool in_lmdb = target->definition->kind == CAIRN_VIEW_LMDB;
    if (!in_lmdb && options->postgres == NULL) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "it lies in PostgreSQL: say where with --postgres");
    }
    target->store = in_lmdb ? &cairn_replay_lmdb : &cairn_replay_sql;
    return CAIRN_OK;
}

/* What was to be done, in front of why it was not. */
static enum cairn_rc tell(enum cairn_rc rc, const char *what, const struct target *target,
                          struct cairn_err *err)
{
    return rc == CAIRN_OK
               ? CAIRN_OK
               : cairn_err_wrap(err, rc, "%s view %.*s", what, CAIRN_SLICE_ARG(target->view));
}

enum cairn_rc cairn_view_rebuild(const struct cairn_projector_options *options,
                                 const struct cairn_rebuild_request *request,
                                 const struct cairn_rebuild_hooks *hooks,
                                 struct cairn_rebuild_result *ret_result, struct cairn_err *err)
{
    struct target to;
    enum cairn_rc rc = find(options, request->view, &to, err);
    rc = rc == CAIRN_OK ? to.store->rebuild(options, to.definition, request, hooks, ret_result, err)
                        : rc;
    return tell(rc, "build", &to, err);
}

enum cairn_rc cairn_view_rollback(const struct cairn_projector_options *options,
                                  const struct cairn_rebuild_request *request,
                                  const struct cairn_rebuild_hooks *hooks,
                                  struct cairn_rebuild_result *ret_result, struct cairn_err *err)
{
    struct target to;
    enum cairn_rc rc = find(options, request->view, &to, err);
    rc = rc == CAIRN_OK
             ? to.store->rollback(options, to.definition, request, hooks, ret_result, err)
             : rc;
    return tell(rc, "roll back", &to, err);
}

enum cairn_rc cairn_view_drop_kept(const struct cairn_projector_options *options,
                                   struct cairn_slice view, bool *ret_dropped,
                                   struct cairn_err *err)
{
    struct target to;
    enum cairn_rc rc = find(options, view, &to, err);
    rc = rc == CAIRN_OK ? to.store->drop_kept(options, view, ret_dropped, err) : rc;
    return tell(rc, "drop what is kept of", &to, err);
}

enum cairn_rc cairn_view_compare(const struct cairn_projector_options *options,
                                 const struct cairn_compare_request *request,
                                 const struct cairn_compare_hooks *hooks,
                                 struct cairn_compare_report *ret_report, struct cairn_err *err)
{
    struct target to;
    enum cairn_rc rc = find(options, request->view, &to, err);
    rc = rc == CAIRN_OK ? to.store->compare(options, to.definition, request, hooks, ret_report, err)
                        : rc;
    return tell(rc, "compare", &to, err);
}

enum cairn_rc cairn_view_parked(const struct cairn_projector_options *options,
                                struct cairn_slice view, struct cairn_arena *arena,
                                struct cairn_parked **ret_parked, size_t *ret_count,
                                struct cairn_err *err)
{
    struct target to;
    enum cairn_rc rc = find(options, view, &to, err);
    rc = rc == CAIRN_OK ? to.store->parked(options, view, arena, ret_parked, ret_count, err) : rc;
    return tell(rc, "list what is parked of", &to, err);
}

enum cairn_rc cairn_view_parked_retry(const struct cairn_projector_options *options,
                                      struct cairn_slice view, struct cairn_slice stream,
                                      uint64_t *ret_events, struct cairn_err *err)
{
    struct target to;
    enum cairn_rc rc = find(options, view, &to, err);
    rc = rc == CAIRN_OK ? to.store->parked_retry(options, view, stream, ret_events, err) : rc;
    return tell(rc, "try again in", &to, err);
}

enum cairn_rc cairn_view_parked_drop(const struct cairn_projector_options *options,
                                     struct cairn_slice view, struct cairn_slice stream,
                                     uint64_t *ret_events, struct cairn_err *err)
{
    struct target to;
    enum cairn_rc rc = find(options, view, &to, err);
    rc = rc == CAIRN_OK ? to.store->parked_drop(options, view, stream, ret_events, err) : rc;
    return tell(rc, "give up events in", &to, err);
}
