#include "platform/uuid.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

/* Layout (RFC 9562, 5.7): 48 bits of milliseconds, version, 12 bits rand_a, variant, 62 bits
 * rand_b. Here rand_a and the upper 30 bits of rand_b are a 42-bit counter, set at random in each
 * new millisecond and incremented within it (method 1 of 6.2); the 32 bits behind it are random in
 * every id. The counter starts with a clear top bit, so a millisecond has room for 2^41 ids. */
#define COUNTER_BITS  42
#define COUNTER_LIMIT (UINT64_C(1) << COUNTER_BITS)
#define COUNTER_SEED  (UINT64_C(1) << (COUNTER_BITS - 1))
#define MS_LIMIT      (UINT64_C(1) << 48)

static void system_fill(void *self, void *out, size_t size)
{
    (void)self;
    size_t done = 0;
    while (done < size) {
        ssize_t got = getrandom((char *)out + done, size - done, 0);
        if (got < 0) {
            /* No other failure exists for a valid buffer on a kernel that has the call. */
            if (errno != EINTR) {
                abort();
            }
            continue;
        }
        done += (size_t)got;
    }
}

const struct cairn_random *cairn_random_system(void)
{
    static const struct cairn_random system = {system_fill, NULL};
    return &system;
}

static uint64_t draw(struct cairn_uuid_source *source, const struct cairn_random *random)
{
    if (source->pool_left == 0) {
        random->fill(random->self, source->pool, sizeof(source->pool));
        source->pool_left = sizeof(source->pool) / sizeof(source->pool[0]);
    }
    return source->pool[--source->pool_left];
}

/* Move the source's (last_ms, counter) to a greater pair, in step with the clock where it allows.
 */
static void advance(struct cairn_uuid_source *source, uint64_t now_ms,
                    const struct cairn_random *random)
{
    if (now_ms <= source->last_ms) {
        source->counter++;
        if (source->counter < COUNTER_LIMIT) {
            return;
        }
        now_ms = source->last_ms + 1;
    }
    assert(now_ms < MS_LIMIT);
    source->last_ms = now_ms;
    source->counter = draw(source, random) % COUNTER_SEED;
}

struct cairn_uuid cairn_uuid_next(struct cairn_uuid_source *source, int64_t time_us,
                                  const struct cairn_random *random)
{
    assert(source != NULL && random != NULL);
    advance(source, time_us < 0 ? 0 : (uint64_t)time_us / 1000, random);
    uint64_t low = draw(source, random) & 0xffffffffu;
    uint64_t high_word = source->last_ms << 16 | 0x7000u | source->counter >> 30;
    uint64_t low_word = UINT64_C(0x8000000000000000) | (source->counter & 0x3fffffffu) << 32 | low;
    struct cairn_uuid uuid;
    for (int i = 0; i < 8; i++) {
        uuid.bytes[i] = (unsigned char)(high_word >> (56 - 8 * i));
        uuid.bytes[8 + i] = (unsigned char)(low_word >> (56 - 8 * i));
    }
    assert(uuid.bytes[6] >> 4 == 7);
    assert(uuid.bytes[8] >> 6 == 2);
    return uuid;
}

/* Whether a '-' stands in front of byte i of the text form. */
static bool has_dash_before(int i)
{
    return i == 4 || i == 6 || i == 8 || i == 10;
}

void cairn_uuid_format(const struct cairn_uuid *uuid, char out[CAIRN_UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;
    for (int i = 0; i < 16; i++) {
        if (has_dash_before(i)) {
            out[at++] = '-';
        }
        out[at++] = digits[uuid->bytes[i] >> 4];
        out[at++] = digits[uuid->bytes[i] & 15];
    }
    assert(at == CAIRN_UUID_TEXT_SIZE);
}

/* 0..15, or -1 where c is no hexadecimal digit. */
static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

enum cairn_rc cairn_uuid_parse(struct cairn_slice text, struct cairn_uuid *ret_uuid)
{
    assert(ret_uuid != NULL);
    if (text.size != CAIRN_UUID_TEXT_SIZE) {
        return CAIRN_EINVAL;
    }
    struct cairn_uuid uuid = {{0}};
    size_t at = 0;
    for (int i = 0; i < 16; i++) {
        if (has_dash_before(i) && text.data[at++] != '-') {
            return CAIRN_EINVAL;
        }
        int high = digit_of(text.data[at++]);
        int low = digit_of(text.data[at++]);
        if (high < 0 || low < 0) {
            return CAIRN_EINVAL;
        }
        uuid.bytes[i] = (unsigned char)(high << 4 | low);
    }
    assert(at == CAIRN_UUID_TEXT_SIZE);
    *ret_uuid = uuid;
    return CAIRN_OK;
}
