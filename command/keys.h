/* Idempotency keys in flight, across lanes.
 *
 * Within a lane commands are settled one after the other, so a key cannot be accepted twice. Two
 * lanes could each accept one key for different commands at the same moment, and then neither could
 * give the same answer again for ever. So, where there are several lanes, a lane holds a key from
 * before it looks for the receipt until its commit is over. thread: any. */
#ifndef CAIRN_COMMAND_KEYS_H
#define CAIRN_COMMAND_KEYS_H

#include "platform/bytes.h"

struct cairn_keys;

/* max: keys held at a time. NULL: memory is out. Caller frees. */
CAIRN_MUST_CHECK struct cairn_keys *cairn_keys_new(size_t max);
void cairn_keys_free(struct cairn_keys *keys);
/* Hold key for lane; holding it twice is fine and counted. errors: EBUSY (another lane holds it),
 * ENOMEM (memory or max is out). */
CAIRN_MUST_CHECK enum cairn_rc cairn_keys_acquire(struct cairn_keys *keys, struct cairn_slice key,
                                                  uint16_t lane, struct cairn_err *err);
/* Give back one hold of the lane's. */
void cairn_keys_release(struct cairn_keys *keys, struct cairn_slice key, uint16_t lane);

#endif
