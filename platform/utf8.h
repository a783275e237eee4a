/* UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. thread: any. */
#ifndef CAIRN_PLATFORM_UTF8_H
#define CAIRN_PLATFORM_UTF8_H

#include "platform/bytes.h"

/* Bytes of text that are valid from the start: text.size when all is well, else the offset of the
 * fault. */
size_t cairn_utf8_valid_prefix(struct cairn_slice text);
bool cairn_utf8_is_valid(struct cairn_slice text);
/* Code points of valid UTF-8 (JSON Schema's minLength counts these). */
size_t cairn_utf8_count(struct cairn_slice text);
/* Encode a scalar value into out[4]; returns 1..4 bytes, 0 when it is none. */
size_t cairn_utf8_encode(uint32_t scalar, char out[4]);

#endif
