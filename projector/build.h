/* Building a generation of a view beside the live one, and the switch.
 *
 * The new generation goes into the view's other pair of tables, in transactions of its own; it is
 * found under next/ in `meta`, so that whoever starts next can throw a half-built one away. The
 * switch is one transaction: head and definition of the new generation become the live ones. Only
 * one build of a view runs at a time, over all processes. thread: owner. */
#ifndef CAIRN_PROJECTOR_BUILD_H
#define CAIRN_PROJECTOR_BUILD_H

#include "platform/file.h"
#include "projector/group.h"
#include "projector/projector.h"

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

/* Progress with rate and time left; reports at most five times a second. */
struct cairn_build_meter {
    const struct cairn_clock *clock;
    void (*progress)(void *self, const struct cairn_rebuild_progress *progress);
    void *self;
    int64_t begun_ns;
    int64_t reported_ns;
    int64_t mark_ns; /* begin of the window that the rate is taken over */
    uint64_t mark_done;
    double rate;
};
void cairn_build_meter_init(struct cairn_build_meter *meter, const struct cairn_clock *clock,
                            void (*progress)(void *self,
                                             const struct cairn_rebuild_progress *progress),
                            void *self);
void cairn_build_meter_report(struct cairn_build_meter *meter, uint64_t done, uint64_t all,
                              bool last);
double cairn_build_meter_seconds(const struct cairn_build_meter *meter);

#endif
