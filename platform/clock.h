/* Time arrives as a parameter, so that a test can own it. */
#ifndef CAIRN_PLATFORM_CLOCK_H
#define CAIRN_PLATFORM_CLOCK_H

#include <stdint.h>

#include "platform/bytes.h"

struct cairn_clock {
    /* Microseconds since 1970-01-01 UTC; may step. */
    int64_t (*now_us)(void *self);
    /* Nanoseconds of a clock that never steps back; only differences mean anything. */
    int64_t (*monotonic_ns)(void *self);
    void *self;
};

/* The machine's clock. The pointer is static. thread: any. */
const struct cairn_clock *cairn_clock_system(void);

static inline int64_t cairn_clock_now_us(const struct cairn_clock *clock)
{
    return clock->now_us(clock->self);
}

static inline int64_t cairn_clock_monotonic_ns(const struct cairn_clock *clock)
{
    return clock->monotonic_ns(clock->self);
}

#define CAIRN_TIME_TEXT_MAX 32
/* RFC 3339 in UTC with microseconds: "2026-01-31T09:30:00.123456Z"; years 0..9999. Returns the
 * length written, NUL-ended. */
size_t cairn_clock_format(int64_t time_us, char out[CAIRN_TIME_TEXT_MAX]);
/* Reads RFC 3339 with any offset. EINVAL. */
CAIRN_MUST_CHECK enum cairn_rc cairn_clock_parse(struct cairn_slice text, int64_t *ret_time_us);

#endif
