#include "platform/hash.h"

#include <assert.h>

#include <xxhash.h>

static_assert(sizeof(XXH128_canonical_t) == 16, "fingerprints are 16 bytes on disk");

uint64_t cairn_hash64(struct cairn_slice bytes)
{
    assert(bytes.data != NULL || bytes.size == 0);
    return XXH3_64bits(bytes.data, bytes.size);
}

uint64_t cairn_hash64_seeded(struct cairn_slice bytes, uint64_t seed)
{
    assert(bytes.data != NULL || bytes.size == 0);
    return XXH3_64bits_withSeed(bytes.data, bytes.size, seed);
}

void cairn_hash128(struct cairn_slice bytes, unsigned char ret_hash[16])
{
    assert(bytes.data != NULL || bytes.size == 0);
    assert(ret_hash != NULL);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data, bytes.size));
    memcpy(ret_hash, canonical.digest, sizeof(canonical.digest));
}

static uint32_t little32(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* MurmurHash2, 32 bit, by Austin Appleby (public domain). Kafka's Java client reads the key in
 * little-endian words and keeps the size in 32 bits. */
uint32_t cairn_hash_murmur2(struct cairn_slice key)
{
    assert(key.data != NULL || key.size == 0);
    const uint32_t seed = 0x9747b28c;
    const uint32_t m = 0x5bd1e995;
    const unsigned char *bytes = (const unsigned char *)key.data;
    uint32_t hash = seed ^ (uint32_t)key.size;
    size_t at = 0;
    for (; key.size - at >= 4; at += 4) {
        uint32_t k = little32(bytes + at) * m;
        k ^= k >> 24;
        hash = (hash * m) ^ (k * m);
    }
    size_t left = key.size - at;
    if (left > 0) {
        for (size_t i = 0; i < left; i++) {
            hash ^= (uint32_t)bytes[at + i] << (8 * i);
        }
        hash *= m;
    }
    hash ^= hash >> 13;
    hash *= m;
    hash ^= hash >> 15;
    return hash & 0x7fffffffu;
}
