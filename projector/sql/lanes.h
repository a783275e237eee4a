/* Lanes side by side: a build by partition, each lane a thread. thread: the build's owner. */
#ifndef CAIRN_PROJECTOR_SQL_LANES_H
#define CAIRN_PROJECTOR_SQL_LANES_H

#include "projector/build_meter.h"
#include "projector/sql/build.h"

/* Why a view is built by one worker; NULL: lanes can build it. */
const char *cairn_sql_lanes_hindrance(const struct cairn_sql_build *build);

struct cairn_sql_lanes_request {
    struct cairn_position until; /* as far as this, which lies between commands */
    unsigned workers;  /* 1..CAIRN_REBUILD_WORKERS_MAX, no more than there are partitions */
    uint64_t throttle; /* events/s of all of them; 0: as fast as it goes */
    struct cairn_build_meter *meter; /* told about all events of the generation */
    bool (*cancelled)(void *self);
    void *self;
};
/* Bring the build, which nothing hinders, as far as the request says. However this ends, the
 * build's follower stands where the generation does, unless its connection is broken. *ret_refused:
 * an event cannot be applied. errors: EINVAL (that), ESTOPPED (cancelled), EFENCED (another process
 * builds the view), EIO, ECORRUPT of the log; those of platform/pg.h. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_lanes_run(struct cairn_sql_build *build,
                                                   const struct cairn_sql_lanes_request *request,
                                                   bool *ret_refused, struct cairn_err *err);

#endif
