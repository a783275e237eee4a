#include "command/patience.h"

#include <assert.h>
#include <time.h>

#define NS_PER_MS    INT64_C(1000000)
#define PAUSE_NS_MIN (2 * NS_PER_MS)
#define PAUSE_NS_MAX (50 * NS_PER_MS)

struct cairn_patience cairn_patience_of(const struct cairn_clock *clock, unsigned budget_ms)
{
    return (struct cairn_patience){
        .clock = clock, .left_ns = budget_ms * NS_PER_MS, .pause_ns = PAUSE_NS_MIN};
}

void cairn_patience_begin(struct cairn_patience *patience)
{
    patience->begin_ns = cairn_clock_monotonic_ns(patience->clock);
}

static void take_off(struct cairn_patience *patience)
{
    int64_t now_ns = cairn_clock_monotonic_ns(patience->clock);
    assert(now_ns >= patience->begin_ns);
    patience->left_ns -= now_ns - patience->begin_ns;
    patience->begin_ns = now_ns;
}

bool cairn_patience_wait(struct cairn_patience *patience, const struct cairn_http_request *request)
{
    take_off(patience);
    if (patience->left_ns <= 0 || cairn_http_stopping(request)) {
        return false;
    }
    int64_t pause_ns =
        patience->pause_ns < patience->left_ns ? patience->pause_ns : patience->left_ns;
    assert(pause_ns > 0 && pause_ns <= PAUSE_NS_MAX);
    struct timespec pause = {.tv_nsec = (long)pause_ns};
    (void)nanosleep(&pause, NULL); /* a signal that ends it early does no harm */
    patience->pause_ns =
        patience->pause_ns < PAUSE_NS_MAX / 2 ? 2 * patience->pause_ns : PAUSE_NS_MAX;
    take_off(patience);
    return true;
}
