/* What the domain says against what the store holds, at start: which views go on where they were,
 * which are built, which are gone.
 *
 * A definition is its version, its indexes and its code hash (script, prelude, event schemas).
 *
 *   in the store        definition      then
 *   nothing             -               first build, not readable until it is done
 *   live                the same        go on
 *   live                another         go on by the stored script; build beside, switch
 *   rolled back         refused         go on by the stored script
 *   stopped             the same        go on: try the event again
 *   stopped             another         stay there; build beside, switch
 *   in its first build  the same        go on
 *   in its first build  another         begin again
 *   half-built beside   the same        go on with that build, where the live one is another; else
 *                                       leave it to cairn_view_rebuild, which an operator began
 *   half-built beside   another         drop it
 *   not in the domain   -               rows and all are deleted
 *
 * thread: owner; before anything follows. */
#ifndef CAIRN_PROJECTOR_LMDB_RECONCILE_H
#define CAIRN_PROJECTOR_LMDB_RECONCILE_H

#include "projector/lmdb/build.h"

/* One view after it. */
struct cairn_reconciled {
    const struct cairn_domain_view *definition;
    struct cairn_follower *follower; /* the caller owns it */
    bool build;                      /* a generation must be built beside it */
};

CAIRN_MUST_CHECK enum cairn_rc cairn_reconcile(const struct cairn_projector_options *options,
                                               struct cairn_views *views,
                                               const struct cairn_domain_view *definition,
                                               struct cairn_reconciled *ret_reconciled,
                                               struct cairn_err *err);
/* Delete what the store holds of views that the domain no longer has. */
CAIRN_MUST_CHECK enum cairn_rc cairn_reconcile_gone(const struct cairn_projector_options *options,
                                                    struct cairn_views *views,
                                                    struct cairn_err *err);
/* A follower for the live generation as the store has it, by its stored script: after a switch that
 * another made. ENOENT: the view is gone. */
CAIRN_MUST_CHECK enum cairn_rc cairn_reconcile_reopen(const struct cairn_projector_options *options,
                                                      struct cairn_views *views,
                                                      struct cairn_slice view,
                                                      struct cairn_follower **ret_follower,
                                                      struct cairn_err *err);
/* Its first build is done: readable from now on. Sets follower->moved, and nothing else, when the
 * generation is no longer the live one. */
CAIRN_MUST_CHECK enum cairn_rc cairn_reconcile_ready(struct cairn_views *views,
                                                     struct cairn_follower *follower,
                                                     struct cairn_err *err);

#endif
