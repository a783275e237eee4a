/* Time and medians of the bare loops. */
#ifndef CAIRN_TESTS_BENCH_MEASURE_H
#define CAIRN_TESTS_BENCH_MEASURE_H

#include <time.h>

/* Seconds of a clock that only goes forward. */
static inline double now_s(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Doubles in rising order, for qsort. */
static inline int by_value(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

#endif
