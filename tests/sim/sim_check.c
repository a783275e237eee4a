#include "tests/sim/sim_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Noreturn void cairn_sim_fail(const char *file, int line, const char *claim, const char *format,
                              ...)
{
    va_list args;
    va_start(args, format);
    (void)fprintf(stderr, "%s:%d: %s: ", file, line, claim);
    (void)vfprintf(stderr, format, args);
    (void)fprintf(stderr, "\n");
    va_end(args);
    abort();
}
