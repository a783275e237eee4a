/* How far a build or a comparison is, how fast, and how long it will take. thread: owner. */
#ifndef CAIRN_PROJECTOR_BUILD_METER_H
#define CAIRN_PROJECTOR_BUILD_METER_H

#include "projector/replay.h"

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
