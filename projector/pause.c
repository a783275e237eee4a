#include "projector/pause.h"

#include <time.h>

/* How late a nap may hear that it is over. */
#define STEP_MS 20

int cairn_pause_next(int pause_ms)
{
    return pause_ms * 2 > CAIRN_PAUSE_MAX_MS ? CAIRN_PAUSE_MAX_MS : pause_ms * 2;
}

void cairn_pause_nap(const atomic_bool *stopping, int timeout_ms)
{
    for (int left_ms = timeout_ms; left_ms > 0 && !atomic_load(stopping); left_ms -= STEP_MS) {
        const struct timespec step = {.tv_nsec = (long)STEP_MS * 1000000};
        (void)nanosleep(&step, NULL);
    }
}
