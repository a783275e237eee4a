#include "projector/pace.h"

#include <time.h>

#define STEP_NS          INT64_C(50000000)
#define SECOND_NS        INT64_C(1000000000)
#define STEPS_PER_SECOND 10u

void cairn_pace_init(struct cairn_pace *pace, const struct cairn_clock *clock, uint64_t rate)
{
    pace->clock = clock == NULL ? cairn_clock_system() : clock;
    pace->rate = rate;
    pace->due_ns = cairn_clock_monotonic_ns(pace->clock);
}

size_t cairn_pace_batch(const struct cairn_pace *pace, size_t max)
{
    uint64_t even = pace->rate / STEPS_PER_SECOND;
    if (pace->rate == 0 || even >= max) {
        return max;
    }
    return even == 0 ? 1 : (size_t)even;
}

void cairn_pace_wait(struct cairn_pace *pace, size_t events, bool (*cancelled)(void *self),
                     void *self)
{
    if (pace->rate == 0) {
        return;
    }
    int64_t now_ns = cairn_clock_monotonic_ns(pace->clock);
    pace->due_ns = pace->due_ns < now_ns ? now_ns : pace->due_ns;
    pace->due_ns += (int64_t)((double)events * (double)SECOND_NS / (double)pace->rate);
    while (now_ns < pace->due_ns && (cancelled == NULL || !cancelled(self))) {
        int64_t left_ns = pace->due_ns - now_ns;
        const struct timespec step = {.tv_nsec = (long)(left_ns < STEP_NS ? left_ns : STEP_NS)};
        (void)nanosleep(&step, NULL);
        now_ns = cairn_clock_monotonic_ns(pace->clock);
    }
}
