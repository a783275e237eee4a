/* A beacon: a few counters in a shared file that one process publishes and any process waits on.
 *
 * The log publishes how far it is durable, the view store how far it has committed; readers in
 * other processes see it at once (mmap) and sleep on it (futex) instead of polling. The file is a
 * hint that survives kill -9 and is never ahead of what was published; after a power cut it may be
 * behind. Layout, little-endian, 4096 bytes:
 *
 *   0   8  magic "CAIRNBCN"
 *   8   4  format version, 1
 *   12  4  bell: incremented at every publish, the futex word
 *   16  8  slot 0 ... up to slot 479
 */
#ifndef CAIRN_PLATFORM_BEACON_H
#define CAIRN_PLATFORM_BEACON_H

#include "platform/bytes.h"

#define CAIRN_BEACON_SLOTS_MAX 480

struct cairn_beacon;

/* Open path; a writer creates it (zeroed) where it is missing or blank. A reader maps it read-only
 * and must not store or ring (asserted). One writer at a time: whoever holds the log's lock.
 * errors: ENOENT (reader: no file, or a blank one), EFULL, ECORRUPT (not a beacon), EIO, ENOMEM.
 * Caller closes. */
CAIRN_MUST_CHECK enum cairn_rc cairn_beacon_open(const char *path, bool writer,
                                                 struct cairn_beacon **ret_beacon,
                                                 struct cairn_err *err);
/* thread: any. slot < CAIRN_BEACON_SLOTS_MAX. Acquire / release order. */
uint64_t cairn_beacon_load(const struct cairn_beacon *beacon, unsigned slot);
/* Store without waking: follow with cairn_beacon_ring. */
void cairn_beacon_store(struct cairn_beacon *beacon, unsigned slot, uint64_t value);
/* Wake all waiters of all processes. One system call, also where nobody waits. */
void cairn_beacon_ring(struct cairn_beacon *beacon);
/* Read the bell before looking at the slots, then wait for it to change: no wake-up is lost. */
uint32_t cairn_beacon_bell(const struct cairn_beacon *beacon);
/* Returns when the bell differs from seen, or after timeout_ms (0..INT_MAX), or spuriously. */
void cairn_beacon_wait(const struct cairn_beacon *beacon, uint32_t seen, int timeout_ms);
/* Accepts NULL. */
void cairn_beacon_close(struct cairn_beacon *beacon);

#endif
