/* Hashes (XXH3, and murmur2 as Kafka's Java client computes it). thread: any. */
#ifndef CAIRN_PLATFORM_HASH_H
#define CAIRN_PLATFORM_HASH_H

#include "platform/bytes.h"

/* XXH3 64 bit, seed 0: checksums on disk and hash tables. Stable for ever. */
uint64_t cairn_hash64(struct cairn_slice bytes);
/* The same with a seed, for tables whose keys a stranger chooses: never stored. */
uint64_t cairn_hash64_seeded(struct cairn_slice bytes, uint64_t seed);
/* XXH3 128 bit: fingerprints. Canonical (big-endian) byte order. */
void cairn_hash128(struct cairn_slice bytes, unsigned char ret_hash[16]);
/* Kafka's default partitioner: murmur2(key) with seed 0x9747b28c, sign bit cleared. */
uint32_t cairn_hash_murmur2(struct cairn_slice key);

#endif
