/* Building a generation of a view beside the live one, and the switch.
 *
 * The new generation goes into the view's other pair of tables, in transactions of its own; it is
 * found under next/ in `meta`, so that whoever starts next can throw a half-built one away. The
 * switch is one transaction: head and definition of the new generation become the live ones. Only
 * one build of a view runs at a time, over all processes. thread: owner. */
#ifndef CAIRN_PROJECTOR_BUILD_H
#define CAIRN_PROJECTOR_BUILD_H

#include "platform/file.h"
#include "projector/build_meter.h"
#include "projector/group.h"
#include "projector/replay.h"

/* The lock that a build of the view holds. ELOCKED. */
CAIRN_MUST_CHECK enum cairn_rc cairn_build_lock(const char *data_folder, struct cairn_slice view,
                                                struct cairn_file_lock *ret_lock,
                                                struct cairn_err *err);

/* Build what definition says, by the log from its beginning, and switch.
 * errors: as cairn_view_rebuild. The caller holds the lock. */
CAIRN_MUST_CHECK enum cairn_rc cairn_build_run(const struct cairn_view_group_options *options,
                                               const struct cairn_lua_limits *limits,
                                               const struct cairn_domain_view *definition,
                                               const struct cairn_rebuild_hooks *hooks,
                                               struct cairn_rebuild_result *ret_result,
                                               struct cairn_err *err);

/* Throw away a half-built generation, if there is one. The caller holds the lock. */
CAIRN_MUST_CHECK enum cairn_rc cairn_build_discard(struct cairn_views *views,
                                                   struct cairn_slice view, struct cairn_err *err);

#endif
