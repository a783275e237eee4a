/* What a test's work costs. A machine with other things to do takes longer for it, and no more. */
#ifndef CAIRN_TESTS_SUPPORT_CPU_TIME_H
#define CAIRN_TESTS_SUPPORT_CPU_TIME_H

#include <stdint.h>
#include <time.h>

#include "tests/support/cm.h"

/* Milliseconds of a processor that all threads of this process have used. */
static inline int64_t cpu_time_ms(void)
{
    struct timespec used;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used), 0);
    return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

#endif
