#include "platform/seal.h"

#include <assert.h>
#include <string.h>

#include "platform/hash.h"

#define CHECK_SIZE 8
#define TEXT_MAX   ((CHECK_SIZE + CAIRN_SEAL_PAYLOAD_MAX) * 4 / 3 + 1)

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static uint64_t check_of(uint64_t of, const unsigned char *payload, size_t size)
{
    const uint64_t parts[] = {of, cairn_hash64(cairn_slice_of((const char *)payload, size))};
    return cairn_hash64(cairn_slice_of((const char *)parts, sizeof parts));
}

/* out holds (size * 4 + 2) / 3 characters. */
static size_t encode(const unsigned char *bytes, size_t size, char *out)
{
    size_t used = 0;
    unsigned bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < size; i++) {
        bits = bits << 8 | bytes[i];
        held += 8;
        while (held >= 6) {
            held -= 6;
            out[used++] = alphabet[bits >> held & 63];
        }
    }
    if (held > 0) {
        out[used++] = alphabet[bits << (6 - held) & 63];
    }
    return used;
}

/* The bytes of text, into out, which has room for as many as text has characters; false when a
 * character is foreign or bits are left over, so that one payload has one text. */
static bool decode(struct cairn_slice text, unsigned char *out, size_t *ret_size)
{
    size_t used = 0;
    unsigned bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < text.size; i++) {
        const char *at = text.data[i] == 0 ? NULL : strchr(alphabet, text.data[i]);
        if (at == NULL) {
            return false;
        }
        bits = bits << 6 | (unsigned)(at - alphabet);
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[used++] = (unsigned char)(bits >> held);
        }
    }
    *ret_size = used;
    return held < 6 && (bits & ((1u << held) - 1)) == 0;
}

enum cairn_rc cairn_seal_write(uint64_t of, struct cairn_slice payload, struct cairn_arena *arena,
                               struct cairn_slice *ret_text)
{
    size_t size = CHECK_SIZE + payload.size;
    assert(payload.size > 0 && payload.size <= CAIRN_SEAL_PAYLOAD_MAX);
    unsigned char *bytes = cairn_arena_alloc(arena, size);
    char *text = cairn_arena_alloc(arena, (size * 4 + 2) / 3);
    if (bytes == NULL || text == NULL) {
        return CAIRN_ENOMEM;
    }
    memcpy(bytes + CHECK_SIZE, payload.data, payload.size);
    uint64_t check = check_of(of, bytes + CHECK_SIZE, payload.size);
    for (unsigned i = 0; i < CHECK_SIZE; i++) {
        bytes[i] = (unsigned char)(check >> (8 * i));
    }
    *ret_text = cairn_slice_of(text, encode(bytes, size, text));
    return CAIRN_OK;
}

/* Is the check that of the bytes behind it? */
static bool check_holds(uint64_t of, const unsigned char *bytes, size_t size)
{
    uint64_t check = 0;
    for (unsigned i = 0; i < CHECK_SIZE && i < size; i++) {
        check |= (uint64_t)bytes[i] << (8 * i);
    }
    return size > CHECK_SIZE && check == check_of(of, bytes + CHECK_SIZE, size - CHECK_SIZE);
}

enum cairn_rc cairn_seal_read(uint64_t of, struct cairn_slice text, struct cairn_arena *arena,
                              struct cairn_slice *ret_payload)
{
    size_t size = 0;
    if (text.size == 0 || text.size > TEXT_MAX) {
        return CAIRN_EMALFORMED;
    }
    unsigned char *bytes = cairn_arena_alloc(arena, text.size);
    if (bytes == NULL) {
        return CAIRN_ENOMEM;
    }
    if (!decode(text, bytes, &size) || !check_holds(of, bytes, size)) {
        return CAIRN_EMALFORMED;
    }
    assert(size > CHECK_SIZE);
    *ret_payload = cairn_slice_of((const char *)bytes + CHECK_SIZE, size - CHECK_SIZE);
    return CAIRN_OK;
}
