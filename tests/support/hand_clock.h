/* A clock that a test moves on, from any thread. */
#ifndef CAIRN_TESTS_SUPPORT_HAND_CLOCK_H
#define CAIRN_TESTS_SUPPORT_HAND_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "platform/clock.h"

struct hand_clock {
    struct cairn_clock clock; /* of the hand, which stays where it is while anybody looks at it */
    atomic_llong now_ns;
    int64_t step_ns;   /* passes with each look; 0: none */
    bool runs;         /* real time passes as well */
    atomic_uint looks; /* so far */
};

static inline int64_t hand_clock_us(void *self)
{
    (void)self;
    return cairn_clock_now_us(cairn_clock_system());
}

static inline int64_t hand_clock_ns(void *self)
{
    struct hand_clock *hand = self;
    int64_t real_ns = hand->runs ? cairn_clock_monotonic_ns(cairn_clock_system()) : 0;
    atomic_fetch_add(&hand->looks, 1);
    return real_ns + atomic_fetch_add(&hand->now_ns, hand->step_ns) + hand->step_ns;
}

/* At 0, and standing still. */
static inline void hand_clock_init(struct hand_clock *hand)
{
    *hand = (struct hand_clock){.clock = {hand_clock_us, hand_clock_ns, hand}};
}

static inline void hand_clock_pass(struct hand_clock *hand, int64_t passed_ns)
{
    atomic_fetch_add(&hand->now_ns, passed_ns);
}

#endif
