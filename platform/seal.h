/* Text that a client keeps for us and sends back, as a page's cursor: a payload with a check in
 * front, in base64url without padding.
 *
 *   offset  size   what
 *   0       8      check: XXH3 of `of` and the payload, little-endian
 *   8       1..    the payload
 *
 * The check ties the text to what it was made for and catches damage. It keeps no secret and stops
 * no forger: a payload must show nothing that its holder may not see. One payload has one text.
 * Pure. thread: any. */
#ifndef CAIRN_PLATFORM_SEAL_H
#define CAIRN_PLATFORM_SEAL_H

#include <stdint.h>

#include "platform/arena.h"
#include "platform/err.h"

#define CAIRN_SEAL_PAYLOAD_MAX 4096 /* bytes */

/* of: what the payload belongs to, a hash. payload: 1 to CAIRN_SEAL_PAYLOAD_MAX bytes. Text in
 * arena. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_seal_write(uint64_t of, struct cairn_slice payload,
                                                struct cairn_arena *arena,
                                                struct cairn_slice *ret_text);
/* The payload, at least one byte, in arena. errors, without words: EMALFORMED (no such text, or one
 * of something else), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_seal_read(uint64_t of, struct cairn_slice text,
                                               struct cairn_arena *arena,
                                               struct cairn_slice *ret_payload);

#endif
