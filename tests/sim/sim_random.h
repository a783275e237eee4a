/* Randomness from a seed (SplitMix64): the same seed, the same run, on every machine. */
#ifndef CAIRN_TESTS_SIM_SIM_RANDOM_H
#define CAIRN_TESTS_SIM_SIM_RANDOM_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

struct cairn_sim_random {
    uint64_t state;
};

static inline uint64_t cairn_sim_next(struct cairn_sim_random *random)
{
    random->state += 0x9e3779b97f4a7c15u;
    uint64_t mixed = random->state;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

/* 0 <= result < limit. */
static inline uint64_t cairn_sim_below(struct cairn_sim_random *random, uint64_t limit)
{
    assert(limit > 0);
    return cairn_sim_next(random) % limit;
}

/* True in `percent` of a hundred cases. */
static inline bool cairn_sim_chance(struct cairn_sim_random *random, unsigned percent)
{
    assert(percent <= 100);
    return cairn_sim_below(random, 100) < percent;
}

#endif
