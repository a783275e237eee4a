/* A pace: so many events a second and no more. thread: owner. */
#ifndef CAIRN_PROJECTOR_PACE_H
#define CAIRN_PROJECTOR_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/clock.h"

struct cairn_pace {
    const struct cairn_clock *clock;
    uint64_t rate;  /* events/s; 0: no limit */
    int64_t due_ns; /* when what was taken so far is paid for */
};

/* clock NULL: the system's. */
void cairn_pace_init(struct cairn_pace *pace, const struct cairn_clock *clock, uint64_t rate);
/* How many events to take at a time so that the pace is even: at most max, at least 1. */
size_t cairn_pace_batch(const struct cairn_pace *pace, size_t max);
/* So many events were taken: wait until they are paid for. cancelled is asked every 50 ms; NULL:
 * nobody cancels. Time in which nothing was taken is not saved up. */
void cairn_pace_wait(struct cairn_pace *pace, size_t events, bool (*cancelled)(void *self),
                     void *self);

#endif
