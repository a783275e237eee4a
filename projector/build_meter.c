#include "projector/build_meter.h"

#define REPORT_EVERY_NS INT64_C(200000000)
#define RATE_WINDOW_NS  INT64_C(3000000000)

void cairn_build_meter_init(struct cairn_build_meter *meter, const struct cairn_clock *clock,
                            void (*progress)(void *self,
                                             const struct cairn_rebuild_progress *progress),
                            void *self)
{
    int64_t now_ns = cairn_clock_monotonic_ns(clock);
    *meter = (struct cairn_build_meter){.clock = clock,
                                        .progress = progress,
                                        .self = self,
                                        .begun_ns = now_ns,
                                        .reported_ns = now_ns,
                                        .mark_ns = now_ns};
}

/* Events a second since the mark; the mark follows at the distance of the window, so the rate is of
 * the last seconds. */
static double measure(struct cairn_build_meter *meter, uint64_t done, int64_t now_ns)
{
    int64_t passed_ns = now_ns - meter->mark_ns;
    if (passed_ns > 0 && done >= meter->mark_done) {
        meter->rate = (double)(done - meter->mark_done) * 1e9 / (double)passed_ns;
    }
    if (passed_ns > RATE_WINDOW_NS) {
        meter->mark_ns = now_ns;
        meter->mark_done = done;
    }
    return meter->rate;
}

void cairn_build_meter_report(struct cairn_build_meter *meter, uint64_t done, uint64_t all,
                              bool last)
{
    int64_t now_ns = cairn_clock_monotonic_ns(meter->clock);
    if (meter->progress == NULL || (!last && now_ns - meter->reported_ns < REPORT_EVERY_NS)) {
        return;
    }
    struct cairn_rebuild_progress progress = {
        .done = done, .all = all < done ? done : all, .rate = measure(meter, done, now_ns)};
    progress.left_s = progress.rate > 0 ? (double)(progress.all - done) / progress.rate
                      : last            ? 0
                                        : -1;
    meter->reported_ns = now_ns;
    meter->progress(meter->self, &progress);
}

double cairn_build_meter_seconds(const struct cairn_build_meter *meter)
{
    return (double)(cairn_clock_monotonic_ns(meter->clock) - meter->begun_ns) / 1e9;
}
