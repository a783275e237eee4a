/* A parsed value: the one tree that JSON, msgpack and Lua are turned into and made from.
 *
 * Values and everything they point to live in an arena (or in the input, where a string needed no
 * unescaping) and are read-only once built. Maps keep the order of their members; a key occurs
 * once. thread: any (read). */
#ifndef CAIRN_PLATFORM_VALUE_H
#define CAIRN_PLATFORM_VALUE_H

#include "platform/arena.h"
#include "platform/bytes.h"

/* Containers inside one another; deeper input is refused at every door. */
#define CAIRN_VALUE_DEPTH_MAX 64

enum cairn_value_type {
    CAIRN_NULL,
    CAIRN_BOOL,
    CAIRN_INT,    /* int64: every integer that fits it */
    CAIRN_UINT,   /* uint64 above INT64_MAX only, so an integer has one form */
    CAIRN_FLOAT,  /* double: finite at the JSON door; -0.0 is a float */
    CAIRN_STRING, /* valid UTF-8 */
    CAIRN_ARRAY,
    CAIRN_MAP,
    CAIRN_BIN,    /* msgpack only: bytes */
    CAIRN_EXT,    /* msgpack only: bytes with a type */
    CAIRN_DECIMAL /* a JSON number as it was spelled, where none of the other three holds it
                     exactly; only from cairn_json_read_decimal, and only on its way out */
};

struct cairn_member;

struct cairn_value {
    enum cairn_value_type type;
    int8_t ext_type; /* of CAIRN_EXT */
    uint32_t count;  /* bytes of STRING, BIN, EXT, DECIMAL; items of ARRAY; members of MAP */
    union {
        bool boolean;
        int64_t integer;
        uint64_t uint;
        double number;
        const char *bytes;                  /* count bytes, not NUL-ended */
        const struct cairn_value *items;    /* count values */
        const struct cairn_member *members; /* count members */
    } as;
};

struct cairn_member {
    struct cairn_value
        key; /* CAIRN_STRING (msgpack may bring others only through the codec's own test door) */
    struct cairn_value value;
};

static inline struct cairn_slice cairn_value_slice(const struct cairn_value *value)
{
    return (struct cairn_slice){value->as.bytes, value->count};
}

struct cairn_value cairn_value_null(void);
struct cairn_value cairn_value_bool(bool boolean);
struct cairn_value cairn_value_int(int64_t integer);
/* CAIRN_INT where it fits, CAIRN_UINT above. */
struct cairn_value cairn_value_uint(uint64_t integer);
struct cairn_value cairn_value_float(double number);
/* Borrows text, which must be UTF-8 and at most UINT32_MAX bytes. */
struct cairn_value cairn_value_string(struct cairn_slice text);

/* Borrows spelling, a number by the grammar of JSON, at most UINT32_MAX bytes. */
struct cairn_value cairn_value_decimal(struct cairn_slice spelling);

/* The member of a map, NULL when absent or when map is no map. Linear: maps of data are small. */
const struct cairn_value *cairn_value_get(const struct cairn_value *map, struct cairn_slice key);
/* The same with a C string. */
const struct cairn_value *cairn_value_at(const struct cairn_value *map, const char *key);
/* The string of a member, or an empty slice with data NULL when absent or no string. */
struct cairn_slice cairn_value_get_string(const struct cairn_value *map, const char *key);

/* Equal as JSON Schema means it: numbers by mathematical value (1 and 1.0), maps without order. */
bool cairn_value_equal(const struct cairn_value *a, const struct cairn_value *b);
/* Order of two numbers of any of the three types: <0, 0, >0, exact for 64-bit integers against
 * doubles. */
int cairn_value_compare_numbers(const struct cairn_value *a, const struct cairn_value *b);
bool cairn_value_is_number(const struct cairn_value *value);
/* The name of the JSON type: "null", "boolean", "integer", "number", "string", "array", "object".
 */
const char *cairn_value_type_name(const struct cairn_value *value);

/* 128-bit fingerprint of what the value means: independent of member order, and of JSON against
 * msgpack. Stable for ever: it is stored in the log. XXH3-128 over a canonical walk. */
void cairn_value_fingerprint(const struct cairn_value *value, unsigned char ret_hash[16]);

/* Build a map or array piece by piece. Zeroed is ready. Not for input of unbounded size. */
struct cairn_value_builder {
    struct cairn_arena *arena;
    struct cairn_member *members;
    struct cairn_value *items;
    uint32_t count;
    uint32_t cap;
};
CAIRN_MUST_CHECK enum cairn_rc cairn_value_add(struct cairn_value_builder *map, const char *key,
                                               struct cairn_value value);
CAIRN_MUST_CHECK enum cairn_rc cairn_value_add_slice(struct cairn_value_builder *map,
                                                     struct cairn_slice key,
                                                     struct cairn_value value);
CAIRN_MUST_CHECK enum cairn_rc cairn_value_push(struct cairn_value_builder *array,
                                                struct cairn_value value);
struct cairn_value cairn_value_map(const struct cairn_value_builder *map);
struct cairn_value cairn_value_array(const struct cairn_value_builder *array);

#endif
