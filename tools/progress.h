/* A progress bar on standard error: rewritten in place on a terminal, a line now and then
 * elsewhere. thread: owner. */
#ifndef CAIRN_TOOLS_PROGRESS_H
#define CAIRN_TOOLS_PROGRESS_H

#include "platform/clock.h"

struct cairn_progress {
    const struct cairn_clock *clock;
    const char *unit; /* "events" */
    bool quiet;       /* print nothing */
    bool terminal;
    int64_t begin_ns;
    int64_t shown_ns;     /* when it was last printed; 0 never */
    uint64_t shown_items; /* the count at that time, for the rate */
    double rate;          /* items/s, smoothed */
};

/* quiet: every other call does nothing. unit: static. */
void cairn_progress_begin(struct cairn_progress *progress, const struct cairn_clock *clock,
                          const char *unit, bool quiet);
/* items done so far; part in 0..1 of the whole, < 0 when the whole is not known. Cheap to call
 * often. */
void cairn_progress_show(struct cairn_progress *progress, uint64_t items, double part);
/* The last line: items, seconds, rate. */
void cairn_progress_end(struct cairn_progress *progress, uint64_t items);
double cairn_progress_seconds(const struct cairn_progress *progress);

#endif
