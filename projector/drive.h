/* A drive: a generation on its way along the log for somebody who waits, at the pace that was asked
 * for, each batch told, until it is cancelled. Builds and comparisons of both stores are drives;
 * each brings the step of its own follower. thread: owner. */
#ifndef CAIRN_PROJECTOR_DRIVE_H
#define CAIRN_PROJECTOR_DRIVE_H

#include "projector/build_meter.h"
#include "projector/pace.h"

/* What a step came to. */
struct cairn_drive_batch {
    size_t events;      /* applied; 0: there are no more */
    uint64_t done, all; /* events of the whole way, to be told */
};
/* One batch of about max_events. errors: EINVAL (an event cannot be applied: which and why), and
 * the follower's own. */
typedef enum cairn_rc (*cairn_drive_step_fn)(void *self, size_t max_events,
                                             struct cairn_drive_batch *ret_batch,
                                             struct cairn_err *err);

struct cairn_drive {
    cairn_drive_step_fn step;
    void *self; /* of step */
    struct cairn_rebuild_hooks hooks;
    struct cairn_pace pace;
    struct cairn_build_meter meter; /* runs from cairn_drive_init on */
};

/* clock NULL: the system's. throttle: events/s at most; 0: as fast as it goes. */
void cairn_drive_init(struct cairn_drive *drive, cairn_drive_step_fn step, void *self,
                      struct cairn_rebuild_hooks hooks, const struct cairn_clock *clock,
                      uint64_t throttle);
/* One batch, and the wait until it is paid for. errors: ESTOPPED (cancelled); those of the step. */
CAIRN_MUST_CHECK enum cairn_rc cairn_drive_step(struct cairn_drive *drive, size_t *ret_events,
                                                struct cairn_err *err);
/* Until there are no more events. errors: as cairn_drive_step. */
CAIRN_MUST_CHECK enum cairn_rc cairn_drive_run(struct cairn_drive *drive, struct cairn_err *err);

#endif
