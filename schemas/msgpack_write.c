#include <assert.h>
#include <float.h>
#include <math.h>

#include <msgpack.h>

#include "schemas/msgpack.h"

/* msgpack-c knows the shortest form of each type; the bytes go straight into the caller's buf. */

struct sink {
    struct cairn_buf *out;
    enum cairn_rc rc; /* of the first append that failed */
};

static int write_bytes(void *data, const char *bytes, size_t size)
{
    struct sink *sink = data;
    if (sink->rc == CAIRN_OK) {
        sink->rc = cairn_buf_append(sink->out, cairn_slice_of(bytes, size));
    }
    return sink->rc == CAIRN_OK ? 0 : -1;
}

static int pack(msgpack_packer *packer, const struct cairn_value *value, int depth);

/* Four bytes where they hold the same number to the bit: -0.0, infinities and NaN included. */
static int pack_float(msgpack_packer *packer, double number)
{
    bool in_range = fabs(number) <= (double)FLT_MAX || !isfinite(number);
    float narrow = in_range ? (float)number : 0.0f;
    double wide = (double)narrow;
    /* By the bits: NaN equals nothing. */
    uint64_t wide_bits = 0;
    uint64_t bits = 0;
    memcpy(&wide_bits, &wide, sizeof(wide_bits));
    memcpy(&bits, &number, sizeof(bits));
    if (wide_bits == bits) {
        return msgpack_pack_float(packer, narrow);
    }
    return msgpack_pack_double(packer, number);
}

static int pack_ext(msgpack_packer *packer, const struct cairn_value *value)
{
    if (msgpack_pack_ext(packer, value->count, value->ext_type) != 0) {
        return -1;
    }
    return msgpack_pack_ext_body(packer, value->as.bytes, value->count);
}

static int pack_array(msgpack_packer *packer, const struct cairn_value *value, int depth)
{
    int failed = msgpack_pack_array(packer, value->count);
    for (uint32_t i = 0; i < value->count && failed == 0; i++) {
        failed = pack(packer, &value->as.items[i], depth);
    }
    return failed;
}

static int pack_map(msgpack_packer *packer, const struct cairn_value *value, int depth)
{
    int failed = msgpack_pack_map(packer, value->count);
    for (uint32_t i = 0; i < value->count && failed == 0; i++) {
        failed = pack(packer, &value->as.members[i].key, depth);
        if (failed == 0) {
            failed = pack(packer, &value->as.members[i].value, depth);
        }
    }
    return failed;
}

static int pack_bool(msgpack_packer *packer, bool boolean)
{
    return boolean ? msgpack_pack_true(packer) : msgpack_pack_false(packer);
}

/* depth: containers around value. */
static int pack(msgpack_packer *packer, const struct cairn_value *value, int depth)
{
    assert(depth <= CAIRN_VALUE_DEPTH_MAX);
    switch (value->type) {
    case CAIRN_NULL:
        return msgpack_pack_nil(packer);
    case CAIRN_BOOL:
        return pack_bool(packer, value->as.boolean);
    case CAIRN_INT:
        return msgpack_pack_int64(packer, value->as.integer);
    case CAIRN_UINT:
        return msgpack_pack_uint64(packer, value->as.uint);
    case CAIRN_FLOAT:
        return pack_float(packer, value->as.number);
    case CAIRN_STRING:
    case CAIRN_DECIMAL: /* msgpack has no number for it */
        return msgpack_pack_str_with_body(packer, value->as.bytes, value->count);
    case CAIRN_BIN:
        return msgpack_pack_bin_with_body(packer, value->as.bytes, value->count);
    case CAIRN_EXT:
        return pack_ext(packer, value);
    case CAIRN_ARRAY:
        return depth == CAIRN_VALUE_DEPTH_MAX ? -1 : pack_array(packer, value, depth + 1);
    case CAIRN_MAP:
        return depth == CAIRN_VALUE_DEPTH_MAX ? -1 : pack_map(packer, value, depth + 1);
    }
    return -1;
}

enum cairn_rc cairn_msgpack_write(const struct cairn_value *value, struct cairn_buf *out)
{
    assert(value != NULL);
    size_t before = out->size;
    struct sink sink = {.out = out, .rc = CAIRN_OK};
    msgpack_packer packer;
    msgpack_packer_init(&packer, &sink, write_bytes);
    if (pack(&packer, value, 0) == 0) {
        assert(sink.rc == CAIRN_OK);
        return CAIRN_OK;
    }
    cairn_buf_truncate(out, before);
    return sink.rc != CAIRN_OK ? sink.rc : CAIRN_EINVAL;
}
