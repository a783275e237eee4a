/* A build under way, as the files see it that make one up. */
#ifndef CAIRN_PROJECTOR_LMDB_BUILD_INT_H
#define CAIRN_PROJECTOR_LMDB_BUILD_INT_H

#include "projector/arrival.h"
#include "projector/drive.h"
#include "projector/lmdb/build.h"
#include "projector/lmdb/parallel.h"

struct cairn_build {
    const struct cairn_build_options *options;
    struct cairn_views *views;
    struct cairn_slice view;
    enum cairn_view_side side; /* which is followed: next, or old on its way back */
    struct cairn_view_tables tables;
    struct cairn_view_group group;   /* of one follower */
    struct cairn_parallel *parallel; /* owned; NULL: one thread applies */
    struct cairn_drive drive;
    struct cairn_arrival arrival;
    const struct cairn_position *until; /* as far as this, between commands; NULL: to the end */
    struct cairn_rebuild_result result;
};

/* A build with its tables open and nobody in its group; fini it, also after a failure. */
CAIRN_MUST_CHECK enum cairn_rc cairn_build_init(struct cairn_build *build,
                                                const struct cairn_build_options *options,
                                                enum cairn_view_side side, struct cairn_err *err);
void cairn_build_fini(struct cairn_build *build);
/* Events that the log holds. errors: EIO. */
CAIRN_MUST_CHECK enum cairn_rc cairn_build_events(const struct cairn_build *build,
                                                  uint64_t *ret_events, struct cairn_err *err);
/* Put the follower of the build's generation into its group, with workers, if they are wanted and
 * there are partitions for them; projection is taken. errors: ENOMEM, ESCRIPT. */
CAIRN_MUST_CHECK enum cairn_rc cairn_build_add(struct cairn_build *build,
                                               struct cairn_projection *projection,
                                               const struct cairn_view_head *head,
                                               struct cairn_err *err);
/* Follow the log until the switch, and fill in the result. errors: as cairn_view_rebuild. */
CAIRN_MUST_CHECK enum cairn_rc cairn_build_follow(struct cairn_build *build, struct cairn_err *err);

/* Make the build's generation the live one, in one transaction, if it has come as far as that one.
 * errors: ELOCKED (another process has been at it), EIO, EFULL, ENOMEM, ECORRUPT. */
CAIRN_MUST_CHECK enum cairn_rc cairn_build_switch(struct cairn_build *build, bool *ret_switched,
                                                  struct cairn_err *err);
/* Empty every slot that no side names. */
CAIRN_MUST_CHECK enum cairn_rc cairn_build_sweep(struct cairn_views *views, struct cairn_slice view,
                                                 struct cairn_err *err);
/* Where the live generation is by the build's definition: bring the build to its position, and hold
 * the rows of both against each other there. It may be called once, before the build is beyond the
 * live one; one that is beyond is not compared. errors: as cairn_build_follow. */
CAIRN_MUST_CHECK enum cairn_rc cairn_build_compare(struct cairn_build *build,
                                                   struct cairn_err *err);
/* Follow the log up to a position between commands. */
CAIRN_MUST_CHECK enum cairn_rc cairn_build_reach(struct cairn_build *build,
                                                 const struct cairn_position *until,
                                                 struct cairn_err *err);

#endif
