/* Building a generation of a view beside the live one, taking the kept one back, and the switch.
 *
 * The new generation goes into a pair of tables that no other uses, in transactions of its own; it
 * is found under next/ in `meta`, so that whoever comes next can go on with it. The switch is one
 * transaction: the live generation becomes the old one, the new one the live one. Only one build of
 * a view runs at a time, over all processes. thread: owner. */
#ifndef CAIRN_PROJECTOR_LMDB_BUILD_H
#define CAIRN_PROJECTOR_LMDB_BUILD_H

#include "platform/file.h"
#include "projector/build_meter.h"
#include "projector/lmdb/group.h"
#include "projector/replay.h"

struct cairn_build_options {
    struct cairn_view_group_options group;
    const struct cairn_lua_limits *limits;
    const struct cairn_rebuild_request *request;
    const struct cairn_rebuild_hooks *hooks; /* may be NULL */
};

/* The lock that a build of the view holds. ELOCKED. */
CAIRN_MUST_CHECK enum cairn_rc cairn_build_lock(const char *data_folder, struct cairn_slice view,
                                                struct cairn_file_lock *ret_lock,
                                                struct cairn_err *err);

/* Build what definition says and switch; from the beginning of the log, or from where an
 * interrupted build of the same definition stands. errors: as cairn_view_rebuild. The caller holds
 * the lock. */
CAIRN_MUST_CHECK enum cairn_rc cairn_build_run(const struct cairn_build_options *options,
                                               const struct cairn_domain_view *definition,
                                               struct cairn_rebuild_result *ret_result,
                                               struct cairn_err *err);
/* Bring the kept generation to where the live one is, and switch. Until then it stays old/, and
 * goes on being that when this fails. errors: as cairn_view_rollback. The caller holds the lock. */
CAIRN_MUST_CHECK enum cairn_rc cairn_build_rollback(const struct cairn_build_options *options,
                                                    struct cairn_rebuild_result *ret_result,
                                                    struct cairn_err *err);

/* An interrupted rollback is none any more: what it brought on is the kept generation, as before.
 * The caller holds the lock. */
CAIRN_MUST_CHECK enum cairn_rc cairn_build_forget_rollback(struct cairn_views *views,
                                                           struct cairn_slice view,
                                                           struct cairn_err *err);
/* Is there an interrupted build of the definition with this hash (hex)? */
CAIRN_MUST_CHECK enum cairn_rc cairn_build_find(struct cairn_views *views, struct cairn_slice view,
                                                struct cairn_slice hash, bool *ret_found,
                                                struct cairn_err *err);
/* Throw away the generation on a side, if there is one, and empty its slot. side: not LIVE. The
 * caller holds the lock. */
CAIRN_MUST_CHECK enum cairn_rc cairn_build_drop(struct cairn_views *views, struct cairn_slice view,
                                                enum cairn_view_side side, bool *ret_dropped,
                                                struct cairn_err *err);

#endif
