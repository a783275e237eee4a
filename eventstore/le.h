/* Little-endian numbers in bytes: everything on disk is little-endian; keys of the index that must
 * sort as numbers are big-endian. */
#ifndef CAIRN_EVENTSTORE_LE_H
#define CAIRN_EVENTSTORE_LE_H

#include <stdint.h>
#include <string.h>

static inline void cairn_put_u16(char *out, uint16_t number)
{
    unsigned char bytes[2] = {(unsigned char)(number & 0xffu), (unsigned char)(number >> 8)};
    memcpy(out, bytes, sizeof(bytes));
}

static inline void cairn_put_u32(char *out, uint32_t number)
{
    cairn_put_u16(out, (uint16_t)(number & 0xffffu));
    cairn_put_u16(out + 2, (uint16_t)(number >> 16));
}

static inline void cairn_put_u64(char *out, uint64_t number)
{
    cairn_put_u32(out, (uint32_t)(number & 0xffffffffu));
    cairn_put_u32(out + 4, (uint32_t)(number >> 32));
}

static inline uint16_t cairn_get_u16(const char *in)
{
    const unsigned char *bytes = (const unsigned char *)in;
    return (uint16_t)(bytes[0] | (unsigned)bytes[1] << 8);
}

static inline uint32_t cairn_get_u32(const char *in)
{
    return cairn_get_u16(in) | (uint32_t)cairn_get_u16(in + 2) << 16;
}

static inline uint64_t cairn_get_u64(const char *in)
{
    return cairn_get_u32(in) | (uint64_t)cairn_get_u32(in + 4) << 32;
}

static inline void cairn_put_u64_be(char *out, uint64_t number)
{
    for (int i = 0; i < 8; i++) {
        out[i] = (char)(unsigned char)(number >> (56 - 8 * i));
    }
}

static inline uint64_t cairn_get_u64_be(const char *in)
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++) {
        number = number << 8 | (unsigned char)in[i];
    }
    return number;
}

#endif
