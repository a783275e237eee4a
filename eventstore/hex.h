/* Bytes as lower-case hexadecimal text: ids and fingerprints where people read them. thread: any.
 */
#ifndef CAIRN_EVENTSTORE_HEX_H
#define CAIRN_EVENTSTORE_HEX_H

#include "platform/bytes.h"

/* out gets 2 * size digits, no NUL. */
static inline void cairn_hex_write(const unsigned char *bytes, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

/* 0..15, or -1 where c is no lower-case digit: each value has one text. */
static inline int cairn_hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* False, and bytes[size] untouched, when text is not exactly 2 * size digits. */
static inline bool cairn_hex_read(struct cairn_slice text, unsigned char *bytes, size_t size)
{
    if (text.size != 2 * size) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (cairn_hex_digit(text.data[i]) < 0) {
            return false;
        }
    }
    for (size_t i = 0; i < size; i++) {
        int high = cairn_hex_digit(text.data[2 * i]);
        int low = cairn_hex_digit(text.data[2 * i + 1]);
        bytes[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

#endif
