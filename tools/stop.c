#include "tools/stop.h"

#include <assert.h>
#include <pthread.h>
#include <time.h>

#define NS_PER_MS 1000000L

void cairn_stop_begin(struct cairn_stop *stop)
{
    stop->signal = 0;
    (void)sigemptyset(&stop->signals);
    (void)sigaddset(&stop->signals, SIGTERM);
    (void)sigaddset(&stop->signals, SIGINT);
    int os = pthread_sigmask(SIG_BLOCK, &stop->signals, NULL);
    assert(os == 0); /* it fails for a wrong argument only */
    (void)os;
}

bool cairn_stop_came(struct cairn_stop *stop, int wait_ms)
{
    assert(wait_ms >= 0);
    struct timespec wait = {.tv_sec = wait_ms / 1000, .tv_nsec = (wait_ms % 1000) * NS_PER_MS};
    if (stop->signal == 0) {
        int came = sigtimedwait(&stop->signals, NULL, &wait);
        stop->signal = came > 0 ? came : 0;
    }
    return stop->signal != 0;
}
