#include "platform/utf8.h"

#include <assert.h>

#define HIGH_BITS 0x8080808080808080u

/* Bytes of ASCII at the start of text[0..size), eight at a time. */
static size_t skip_ascii(const unsigned char *text, size_t size)
{
    size_t at = 0;
    while (size - at >= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, text + at, sizeof(word));
        if ((word & HIGH_BITS) != 0) {
            break;
        }
        at += sizeof(word);
    }
    while (at < size && text[at] < 0x80) {
        at++;
    }
    return at;
}

static bool is_tail(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

/* Size of the sequence of two to four bytes at text[0..left), 0 when it is none. The bounds of the
 * second byte are those of table 3-7 of the Unicode standard: they exclude overlong forms,
 * surrogates and what is above U+10FFFF. */
static size_t sequence_size(const unsigned char *text, size_t left)
{
    assert(left > 0);
    unsigned char lead = text[0];
    if (lead < 0xC2 || lead > 0xF4) {
        return 0;
    }
    size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (left < size) {
        return 0;
    }
    unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (text[1] < low || text[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < size; i++) {
        if (!is_tail(text[i])) {
            return 0;
        }
    }
    return size;
}

size_t cairn_utf8_valid_prefix(struct cairn_slice text)
{
    assert(text.data != NULL || text.size == 0);
    const unsigned char *bytes = (const unsigned char *)text.data;
    size_t at = 0;
    while (at < text.size) {
        if (bytes[at] < 0x80) {
            at += skip_ascii(bytes + at, text.size - at);
            continue;
        }
        size_t size = sequence_size(bytes + at, text.size - at);
        if (size == 0) {
            break;
        }
        at += size;
    }
    assert(at <= text.size);
    return at;
}

bool cairn_utf8_is_valid(struct cairn_slice text)
{
    return cairn_utf8_valid_prefix(text) == text.size;
}

size_t cairn_utf8_count(struct cairn_slice text)
{
    assert(text.data != NULL || text.size == 0);
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        count += is_tail((unsigned char)text.data[i]) ? 0 : 1;
    }
    return count;
}

size_t cairn_utf8_encode(uint32_t scalar, char out[4])
{
    if (scalar < 0x80) {
        out[0] = (char)scalar;
        return 1;
    }
    if (scalar < 0x800) {
        out[0] = (char)(0xC0 | (scalar >> 6));
        out[1] = (char)(0x80 | (scalar & 0x3F));
        return 2;
    }
    if (scalar > 0x10FFFF || (scalar >= 0xD800 && scalar <= 0xDFFF)) {
        return 0;
    }
    if (scalar < 0x10000) {
        out[0] = (char)(0xE0 | (scalar >> 12));
        out[1] = (char)(0x80 | ((scalar >> 6) & 0x3F));
        out[2] = (char)(0x80 | (scalar & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | (scalar >> 18));
    out[1] = (char)(0x80 | ((scalar >> 12) & 0x3F));
    out[2] = (char)(0x80 | ((scalar >> 6) & 0x3F));
    out[3] = (char)(0x80 | (scalar & 0x3F));
    return 4;
}
