/* UUID version 7 (RFC 9562): 48 bits of Unix milliseconds, then randomness; a generator's ids
 * ascend strictly. */
#ifndef CAIRN_PLATFORM_UUID_H
#define CAIRN_PLATFORM_UUID_H

#include "platform/bytes.h"

struct cairn_uuid {
    unsigned char bytes[16];
};

#define CAIRN_UUID_TEXT_SIZE 36

/* Source of randomness, a parameter so that a test can own it. */
struct cairn_random {
    void (*fill)(void *self, void *out, size_t size);
    void *self;
};
/* getrandom(2). The pointer is static. thread: any. */
const struct cairn_random *cairn_random_system(void);

/* State of one generator; zeroed is ready. thread: owner. */
struct cairn_uuid_source {
    uint64_t last_ms;
    uint64_t counter; /* 74 bits are rand_a and rand_b; this is their upper part, incremented within
                         a ms */
    uint64_t pool[32]; /* randomness drawn in one call, used piecemeal */
    unsigned pool_left;
};

/* The next id, greater than all before it of this source, also when the clock steps back. */
struct cairn_uuid cairn_uuid_next(struct cairn_uuid_source *source, int64_t time_us,
                                  const struct cairn_random *random);
/* Lower-case text of 36 bytes, no NUL. */
void cairn_uuid_format(const struct cairn_uuid *uuid, char out[CAIRN_UUID_TEXT_SIZE]);
/* Any version; upper or lower case. EINVAL. */
CAIRN_MUST_CHECK enum cairn_rc cairn_uuid_parse(struct cairn_slice text,
                                                struct cairn_uuid *ret_uuid);

#endif
