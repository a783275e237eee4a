/* What a simulation must find true. */
#ifndef CAIRN_TESTS_SIM_SIM_CHECK_H
#define CAIRN_TESTS_SIM_SIM_CHECK_H

#include "platform/attr.h"

/* A claim that must hold; otherwise the run ends with its place. */
#define CAIRN_SIM_CHECK(claim, ...)                                                                \
    do {                                                                                           \
        if (!(claim)) {                                                                            \
            cairn_sim_fail(__FILE__, __LINE__, #claim, __VA_ARGS__);                               \
        }                                                                                          \
    } while (0)
_Noreturn void cairn_sim_fail(const char *file, int line, const char *claim, const char *format,
                              ...) CAIRN_PRINTF(4, 5);

#endif
