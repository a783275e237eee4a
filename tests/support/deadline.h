/* How long a test waits for what must come. Longer than any machine takes, with sanitizers and
 * other work beside it, and shorter than ctest waits for the program: who gets there has failed. */
#ifndef CAIRN_TESTS_SUPPORT_DEADLINE_H
#define CAIRN_TESTS_SUPPORT_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/clock.h"

enum { DEADLINE_S = 120 };

struct deadline {
    int64_t until_ns; /* monotonic */
};

static inline struct deadline deadline_begin(void)
{
    return (struct deadline){.until_ns = cairn_clock_monotonic_ns(cairn_clock_system()) +
                                         DEADLINE_S * INT64_C(1000000000)};
}

static inline bool deadline_passed(const struct deadline *deadline)
{
    return cairn_clock_monotonic_ns(cairn_clock_system()) > deadline->until_ns;
}

#endif
