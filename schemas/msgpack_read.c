#include <assert.h>
#include <math.h>

#include "platform/utf8.h"
#include "platform/value_stack.h"
#include "schemas/msgpack.h"

/* A header may claim four billion items in five bytes. Nothing is allocated on its word: values are
 * gathered on a stack as they are seen, and a claim larger than the bytes that are left is refused.
 */

struct frame {
    uint32_t from; /* index on the value stack of the container's first value */
    uint32_t left; /* values still to come: items, or keys and values together */
    bool is_map;
};

struct reader {
    const unsigned char *bytes; /* the whole input */
    size_t size;
    size_t at; /* next byte to look at */
    enum cairn_msgpack_door door;
    struct cairn_arena *arena;
    const char *fault; /* static */
    size_t fault_at;
    uint32_t depth; /* frames in use */
    struct frame frames[CAIRN_VALUE_DEPTH_MAX];
    struct cairn_value_stack stack;
};

/* The formats 0xc0..0xdf: the type, and how many bytes of a length or a number follow. */
struct format {
    unsigned char kind;
    unsigned char width;
};

enum kind {
    KIND_NIL,
    KIND_NEVER, /* 0xc1 is not used */
    KIND_FALSE,
    KIND_TRUE,
    KIND_BIN,
    KIND_EXT,
    KIND_FLOAT,
    KIND_UINT,
    KIND_INT,
    KIND_FIXEXT, /* width is the size */
    KIND_STR,
    KIND_ARRAY,
    KIND_MAP
};

static const struct format formats[32] = {
    {KIND_NIL, 0},    {KIND_NEVER, 0},  {KIND_FALSE, 0},  {KIND_TRUE, 0},   {KIND_BIN, 1},
    {KIND_BIN, 2},    {KIND_BIN, 4},    {KIND_EXT, 1},    {KIND_EXT, 2},    {KIND_EXT, 4},
    {KIND_FLOAT, 4},  {KIND_FLOAT, 8},  {KIND_UINT, 1},   {KIND_UINT, 2},   {KIND_UINT, 4},
    {KIND_UINT, 8},   {KIND_INT, 1},    {KIND_INT, 2},    {KIND_INT, 4},    {KIND_INT, 8},
    {KIND_FIXEXT, 1}, {KIND_FIXEXT, 2}, {KIND_FIXEXT, 4}, {KIND_FIXEXT, 8}, {KIND_FIXEXT, 16},
    {KIND_STR, 1},    {KIND_STR, 2},    {KIND_STR, 4},    {KIND_ARRAY, 2},  {KIND_ARRAY, 4},
    {KIND_MAP, 2},    {KIND_MAP, 4}};

static enum cairn_rc refuse(struct reader *reader, size_t at, const char *what)
{
    assert(at <= reader->size);
    reader->fault = what;
    reader->fault_at = at;
    return CAIRN_EMALFORMED;
}

static enum cairn_rc refuse_short(struct reader *reader)
{
    return refuse(reader, reader->size, "the input ends inside a value");
}

/* A big-endian number of `width` bytes. */
static enum cairn_rc take_number(struct reader *reader, unsigned width, uint64_t *ret_number)
{
    assert(width <= 8);
    if (width > reader->size - reader->at) {
        return refuse_short(reader);
    }
    uint64_t number = 0;
    for (unsigned i = 0; i < width; i++) {
        number = (number << 8) | reader->bytes[reader->at + i];
    }
    reader->at += width;
    *ret_number = number;
    return CAIRN_OK;
}

static enum cairn_rc take_body(struct reader *reader, enum cairn_value_type type, uint64_t size,
                               struct cairn_value *value)
{
    if (size > reader->size - reader->at) {
        return refuse_short(reader);
    }
    const char *body = (const char *)reader->bytes + reader->at;
    if (type == CAIRN_STRING && reader->door != CAIRN_MSGPACK_TRUSTED) {
        size_t valid = cairn_utf8_valid_prefix(cairn_slice_of(body, (size_t)size));
        if (valid < size) {
            return refuse(reader, reader->at + valid, "invalid UTF-8");
        }
    }
    value->type = type;
    value->count = (uint32_t)size;
    value->as.bytes = body;
    reader->at += (size_t)size;
    return CAIRN_OK;
}

static enum cairn_rc take_ext(struct reader *reader, uint64_t size, struct cairn_value *value)
{
    uint64_t type = 0;
    enum cairn_rc rc = take_number(reader, 1, &type);
    if (rc != CAIRN_OK) {
        return rc;
    }
    value->ext_type = (int8_t)(uint8_t)type;
    return take_body(reader, CAIRN_EXT, size, value);
}

static int64_t sign_extend(uint64_t number, unsigned width)
{
    unsigned unused = 64 - 8 * width;
    return (int64_t)(number << unused) >> unused;
}

static enum cairn_rc take_float(struct reader *reader, size_t header, unsigned width,
                                struct cairn_value *value)
{
    uint64_t bits = 0;
    enum cairn_rc rc = take_number(reader, width, &bits);
    if (rc != CAIRN_OK) {
        return rc;
    }
    double number = 0;
    if (width == 4) {
        uint32_t narrow_bits = (uint32_t)bits;
        float narrow = 0;
        memcpy(&narrow, &narrow_bits, sizeof(narrow));
        number = (double)narrow;
    } else {
        memcpy(&number, &bits, sizeof(number));
    }
    if (reader->door == CAIRN_MSGPACK_DATA && !isfinite(number)) {
        return refuse(reader, header, "NaN and infinities are not data");
    }
    *value = cairn_value_float(number);
    return CAIRN_OK;
}

/* A container opens: its values follow. header: offset of its first byte. */
static enum cairn_rc open_container(struct reader *reader, size_t header, bool is_map,
                                    uint64_t count)
{
    uint64_t values = is_map ? 2 * count : count;
    if (values > reader->size - reader->at) {
        return refuse_short(reader);
    }
    if (reader->depth == CAIRN_VALUE_DEPTH_MAX) {
        return refuse(reader, header, "nested too deeply");
    }
    reader->frames[reader->depth++] = (struct frame){reader->stack.count, (uint32_t)values, is_map};
    return CAIRN_OK;
}

/* The formats with a header byte of their own and a number or a length behind it. */
static enum cairn_rc read_long(struct reader *reader, size_t header, struct cairn_value *value)
{
    struct format format = formats[reader->bytes[header] - 0xc0];
    uint64_t number = format.width;
    if (format.kind == KIND_FLOAT) {
        return take_float(reader, header, format.width, value);
    }
    if (format.kind != KIND_FIXEXT) {
        enum cairn_rc rc = take_number(reader, format.width, &number);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    switch ((enum kind)format.kind) {
    case KIND_NIL:
        *value = cairn_value_null();
        return CAIRN_OK;
    case KIND_FALSE:
    case KIND_TRUE:
        *value = cairn_value_bool(format.kind == KIND_TRUE);
        return CAIRN_OK;
    case KIND_UINT:
        *value = cairn_value_uint(number);
        return CAIRN_OK;
    case KIND_INT:
        *value = cairn_value_int(sign_extend(number, format.width));
        return CAIRN_OK;
    case KIND_STR:
        return take_body(reader, CAIRN_STRING, number, value);
    case KIND_BIN:
        return take_body(reader, CAIRN_BIN, number, value);
    case KIND_EXT:
    case KIND_FIXEXT:
        return take_ext(reader, number, value);
    case KIND_ARRAY:
    case KIND_MAP:
    case KIND_FLOAT:
    case KIND_NEVER:
        break;
    }
    return refuse(reader, header, "0xc1 is no msgpack");
}

static bool is_container(unsigned char byte, bool *ret_is_map)
{
    *ret_is_map = (byte >= 0x80 && byte <= 0x8f) || byte == 0xde || byte == 0xdf;
    return *ret_is_map || (byte >= 0x90 && byte <= 0x9f) || byte == 0xdc || byte == 0xdd;
}

static enum cairn_rc read_container(struct reader *reader, size_t header, bool is_map)
{
    uint64_t count = reader->bytes[header] & 0x0fu;
    if (reader->bytes[header] >= 0xc0) {
        enum cairn_rc rc = take_number(reader, formats[reader->bytes[header] - 0xc0].width, &count);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return open_container(reader, header, is_map, count);
}

static enum cairn_rc read_scalar(struct reader *reader, size_t header)
{
    unsigned char byte = reader->bytes[header];
    struct cairn_value *value = cairn_value_stack_push(&reader->stack);
    if (value == NULL) {
        return CAIRN_ENOMEM;
    }
    value->ext_type = 0;
    if (byte <= 0x7f || byte >= 0xe0) {
        *value = cairn_value_int((int64_t)(int8_t)byte);
        return CAIRN_OK;
    }
    if (byte <= 0xbf) {
        return take_body(reader, CAIRN_STRING, byte & 0x1fu, value);
    }
    enum cairn_rc rc = read_long(reader, header, value);
    bool is_foreign = rc == CAIRN_OK && (value->type == CAIRN_BIN || value->type == CAIRN_EXT);
    if (is_foreign && reader->door == CAIRN_MSGPACK_DATA) {
        return refuse(reader, header, "bin and ext are not data");
    }
    return rc;
}

/* Does a key come next? Then it must be a string at the doors where JSON sets the rule. */
static enum cairn_rc check_key(struct reader *reader)
{
    if (reader->depth == 0 || reader->door == CAIRN_MSGPACK_ANY) {
        return CAIRN_OK;
    }
    const struct frame *frame = &reader->frames[reader->depth - 1];
    if (!frame->is_map || frame->left % 2 != 0) {
        return CAIRN_OK;
    }
    unsigned char byte = reader->bytes[reader->at];
    bool is_string = (byte >= 0xa0 && byte <= 0xbf) || (byte >= 0xd9 && byte <= 0xdb);
    return is_string ? CAIRN_OK : refuse(reader, reader->at, "a key that is no string");
}

static enum cairn_rc check_duplicates(struct reader *reader, const struct cairn_value *map)
{
    uint32_t duplicate = map->count;
    enum cairn_rc rc = cairn_value_find_duplicate(map->as.members, map->count, &duplicate);
    if (rc == CAIRN_OK && duplicate < map->count) {
        const char *key = map->as.members[duplicate].key.as.bytes;
        return refuse(reader, (size_t)(key - (const char *)reader->bytes), "duplicate key");
    }
    return rc;
}

static enum cairn_rc close_container(struct reader *reader)
{
    struct frame frame = reader->frames[--reader->depth];
    if (!frame.is_map) {
        return cairn_value_stack_close_array(&reader->stack, frame.from, reader->arena);
    }
    enum cairn_rc rc = cairn_value_stack_close_map(&reader->stack, frame.from, reader->arena);
    if (rc == CAIRN_OK && reader->door != CAIRN_MSGPACK_TRUSTED) {
        rc = check_duplicates(reader, &reader->stack.values[frame.from]);
    }
    return rc;
}

/* One value more is whole: count it, and close what that completes. */
static enum cairn_rc count_value(struct reader *reader)
{
    enum cairn_rc rc = CAIRN_OK;
    while (rc == CAIRN_OK && reader->depth > 0 && --reader->frames[reader->depth - 1].left == 0) {
        rc = close_container(reader);
    }
    return rc;
}

static enum cairn_rc read_next(struct reader *reader)
{
    if (reader->at == reader->size) {
        return refuse_short(reader);
    }
    enum cairn_rc rc = check_key(reader);
    if (rc != CAIRN_OK) {
        return rc;
    }
    size_t header = reader->at++;
    bool is_map = false;
    if (!is_container(reader->bytes[header], &is_map)) {
        rc = read_scalar(reader, header);
        return rc == CAIRN_OK ? count_value(reader) : rc;
    }
    rc = read_container(reader, header, is_map);
    if (rc != CAIRN_OK || reader->frames[reader->depth - 1].left > 0) {
        return rc;
    }
    rc = close_container(reader);
    return rc == CAIRN_OK ? count_value(reader) : rc;
}

static enum cairn_rc read_document(struct reader *reader)
{
    enum cairn_rc rc = CAIRN_OK;
    do {
        rc = read_next(reader);
    } while (rc == CAIRN_OK && reader->depth > 0);
    if (rc == CAIRN_OK && reader->at < reader->size) {
        return refuse(reader, reader->at, "bytes behind the value");
    }
    return rc;
}

enum cairn_rc cairn_msgpack_read(struct cairn_slice bytes, enum cairn_msgpack_door door,
                                 struct cairn_arena *arena, struct cairn_value *ret_value,
                                 size_t *ret_offset, struct cairn_err *err)
{
    assert(arena != NULL);
    assert(ret_value != NULL);
    if (bytes.size >= UINT32_MAX) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "msgpack of %zu bytes", bytes.size);
    }
    struct reader reader;
    reader.bytes = (const unsigned char *)(bytes.data == NULL ? "" : bytes.data);
    reader.size = bytes.size;
    reader.at = 0;
    reader.door = door;
    reader.arena = arena;
    reader.fault = NULL;
    reader.depth = 0;
    cairn_value_stack_init(&reader.stack);
    enum cairn_rc rc = read_document(&reader);
    if (rc == CAIRN_OK) {
        assert(reader.stack.count == 1);
        *ret_value = reader.stack.values[0];
    } else if (rc == CAIRN_EMALFORMED) {
        rc = CAIRN_FAIL(err, rc, "msgpack: %s at byte %zu", reader.fault, reader.fault_at);
        if (ret_offset != NULL) {
            *ret_offset = reader.fault_at;
        }
    } else {
        rc = CAIRN_FAIL(err, rc, "no memory to read msgpack of %zu bytes", bytes.size);
    }
    cairn_value_stack_fini(&reader.stack);
    return rc;
}
