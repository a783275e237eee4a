#include "platform/value.h"

#include <assert.h>
#include <math.h>

#include "platform/hash.h"

enum { BUILDER_FIRST_CAP = 8, HASH_BYTES = 16 };

static const double two_to_63 = 9223372036854775808.0;
static const double two_to_64 = 18446744073709551616.0;

struct cairn_value cairn_value_null(void)
{
    return (struct cairn_value){.type = CAIRN_NULL};
}

struct cairn_value cairn_value_bool(bool boolean)
{
    return (struct cairn_value){.type = CAIRN_BOOL, .as = {.boolean = boolean}};
}

struct cairn_value cairn_value_int(int64_t integer)
{
    return (struct cairn_value){.type = CAIRN_INT, .as = {.integer = integer}};
}

struct cairn_value cairn_value_uint(uint64_t integer)
{
    if (integer <= INT64_MAX) {
        return cairn_value_int((int64_t)integer);
    }
    return (struct cairn_value){.type = CAIRN_UINT, .as = {.uint = integer}};
}

struct cairn_value cairn_value_float(double number)
{
    return (struct cairn_value){.type = CAIRN_FLOAT, .as = {.number = number}};
}

struct cairn_value cairn_value_string(struct cairn_slice text)
{
    assert(text.size <= UINT32_MAX);
    return (struct cairn_value){.type = CAIRN_STRING,
                                .count = (uint32_t)text.size,
                                .as = {.bytes = text.data == NULL ? "" : text.data}};
}

struct cairn_value cairn_value_decimal(struct cairn_slice spelling)
{
    assert(spelling.size > 0);
    struct cairn_value value = cairn_value_string(spelling);
    value.type = CAIRN_DECIMAL;
    return value;
}

const struct cairn_value *cairn_value_get(const struct cairn_value *map, struct cairn_slice key)
{
    if (map == NULL || map->type != CAIRN_MAP) {
        return NULL;
    }
    for (uint32_t i = 0; i < map->count; i++) {
        const struct cairn_member *member = &map->as.members[i];
        if (member->key.type == CAIRN_STRING && member->key.count == key.size &&
            memcmp(member->key.as.bytes, key.data == NULL ? "" : key.data, key.size) == 0) {
            return &member->value;
        }
    }
    return NULL;
}

const struct cairn_value *cairn_value_at(const struct cairn_value *map, const char *key)
{
    assert(key != NULL);
    return cairn_value_get(map, cairn_slice_str(key));
}

struct cairn_slice cairn_value_get_string(const struct cairn_value *map, const char *key)
{
    const struct cairn_value *value = cairn_value_at(map, key);
    if (value == NULL || value->type != CAIRN_STRING) {
        return CAIRN_SLICE_NONE;
    }
    return cairn_value_slice(value);
}

bool cairn_value_is_number(const struct cairn_value *value)
{
    return value->type == CAIRN_INT || value->type == CAIRN_UINT || value->type == CAIRN_FLOAT;
}

const char *cairn_value_type_name(const struct cairn_value *value)
{
    static const char *const type_names[] = {
        [CAIRN_NULL] = "null",     [CAIRN_BOOL] = "boolean",  [CAIRN_INT] = "integer",
        [CAIRN_UINT] = "integer",  [CAIRN_FLOAT] = "number",  [CAIRN_STRING] = "string",
        [CAIRN_ARRAY] = "array",   [CAIRN_MAP] = "object",    [CAIRN_BIN] = "binary",
        [CAIRN_EXT] = "extension", [CAIRN_DECIMAL] = "number"};
    assert((size_t)value->type < sizeof(type_names) / sizeof(type_names[0]));
    return type_names[value->type];
}

static int sign_of(bool greater, bool less)
{
    return (int)greater - (int)less;
}

/* An integer against a double, exactly: the double's whole part always fits 64 bits once the range
 * is checked, and its fraction decides a draw. */
static int compare_int_float(int64_t integer, double number)
{
    if (number >= two_to_63) {
        return -1;
    }
    if (number < -two_to_63) {
        return 1;
    }
    int64_t whole = (int64_t)number;
    if (integer != whole) {
        return sign_of(integer > whole, integer < whole);
    }
    double fraction = number - (double)whole;
    return sign_of(fraction<0, fraction> 0);
}

static int compare_uint_float(uint64_t integer, double number)
{
    if (number >= two_to_64) {
        return -1;
    }
    if (number < 0) {
        return 1;
    }
    uint64_t whole = (uint64_t)number;
    if (integer != whole) {
        return sign_of(integer > whole, integer < whole);
    }
    return number > (double)whole ? -1 : 0;
}

static int compare_with_float(const struct cairn_value *a, double number)
{
    if (a->type == CAIRN_INT) {
        return compare_int_float(a->as.integer, number);
    }
    if (a->type == CAIRN_UINT) {
        return compare_uint_float(a->as.uint, number);
    }
    return sign_of(a->as.number > number, a->as.number < number);
}

int cairn_value_compare_numbers(const struct cairn_value *a, const struct cairn_value *b)
{
    assert(cairn_value_is_number(a));
    assert(cairn_value_is_number(b));
    if (b->type == CAIRN_FLOAT) {
        return compare_with_float(a, b->as.number);
    }
    if (a->type == CAIRN_FLOAT) {
        return -compare_with_float(b, a->as.number);
    }
    if (a->type != b->type) {
        return a->type == CAIRN_UINT ? 1 : -1;
    }
    if (a->type == CAIRN_INT) {
        return sign_of(a->as.integer > b->as.integer, a->as.integer < b->as.integer);
    }
    return sign_of(a->as.uint > b->as.uint, a->as.uint < b->as.uint);
}

static bool equal_arrays(const struct cairn_value *a, const struct cairn_value *b)
{
    for (uint32_t i = 0; i < a->count; i++) {
        if (!cairn_value_equal(&a->as.items[i], &b->as.items[i])) {
            return false;
        }
    }
    return true;
}

/* Keys are unique, so equal counts and every member of a found in b is equality. Members mostly
 * come in the same order: the same place is tried first, which keeps large maps linear. */
static bool equal_maps(const struct cairn_value *a, const struct cairn_value *b)
{
    for (uint32_t i = 0; i < a->count; i++) {
        const struct cairn_member *left = &a->as.members[i];
        const struct cairn_member *right = &b->as.members[i];
        const struct cairn_value *other = &right->value;
        if (!cairn_value_equal(&left->key, &right->key)) {
            other = cairn_value_get(b, cairn_value_slice(&left->key));
        }
        if (other == NULL || !cairn_value_equal(&left->value, other)) {
            return false;
        }
    }
    return true;
}

bool cairn_value_equal(const struct cairn_value *a, const struct cairn_value *b)
{
    if (cairn_value_is_number(a) && cairn_value_is_number(b)) {
        return cairn_value_compare_numbers(a, b) == 0;
    }
    if (a->type != b->type || a->count != b->count) {
        return false;
    }
    switch (a->type) {
    case CAIRN_BOOL:
        return a->as.boolean == b->as.boolean;
    case CAIRN_STRING:
    case CAIRN_BIN:
    case CAIRN_EXT:
    case CAIRN_DECIMAL:
        return a->ext_type == b->ext_type && memcmp(a->as.bytes, b->as.bytes, a->count) == 0;
    case CAIRN_ARRAY:
        return equal_arrays(a, b);
    case CAIRN_MAP:
        return equal_maps(a, b);
    case CAIRN_NULL:
    case CAIRN_INT:
    case CAIRN_UINT:
    case CAIRN_FLOAT:
        break;
    }
    return true;
}

/* Fingerprint: every node hashes a tag and what it holds; a map adds up the hashes of its members,
 * which is what makes it independent of their order. These tags are in the log for ever. */
enum fingerprint_tag {
    TAG_NULL = 0,
    TAG_FALSE = 1,
    TAG_TRUE = 2,
    TAG_INT = 3,
    TAG_UINT = 4,
    TAG_FLOAT = 5,
    TAG_BYTES = 6, /* then the value's own type, for string, bin and ext */
    TAG_ARRAY = 7,
    TAG_MAP = 8,
    TAG_LONG_BYTES = 9
};

static_assert(CAIRN_STRING == 5 && CAIRN_BIN == 8 && CAIRN_EXT == 9,
              "types are part of the fingerprints in the log");

static void hash_bits(enum fingerprint_tag tag, uint64_t bits, unsigned char ret_hash[HASH_BYTES])
{
    char bytes[9] = {(char)tag};
    for (int i = 0; i < 8; i++) {
        bytes[1 + i] = (char)(unsigned char)(bits >> (56 - 8 * i));
    }
    cairn_hash128(cairn_slice_of(bytes, sizeof(bytes)), ret_hash);
}

/* The integer that a float is, where it is one: 1.0 means 1, and -0.0 means 0. */
static struct cairn_value as_integer(const struct cairn_value *value)
{
    double number = value->as.number;
    if (number >= -two_to_63 && number < two_to_63 && (double)(int64_t)number == number) {
        return cairn_value_int((int64_t)number);
    }
    if (number >= two_to_63 && number < two_to_64) {
        return cairn_value_uint((uint64_t)number);
    }
    return *value;
}

static void hash_number(const struct cairn_value *value, unsigned char ret_hash[HASH_BYTES])
{
    struct cairn_value number = value->type == CAIRN_FLOAT ? as_integer(value) : *value;
    uint64_t bits = number.as.uint;
    static_assert(sizeof(double) == sizeof(uint64_t), "a double's bits are hashed");
    if (number.type == CAIRN_FLOAT) {
        if (isnan(number.as.number)) {
            bits = 0x7ff8000000000000u; /* one NaN for all */
        } else {
            memcpy(&bits, &number.as.number, sizeof(bits));
        }
        hash_bits(TAG_FLOAT, bits, ret_hash);
        return;
    }
    hash_bits(number.type == CAIRN_INT ? TAG_INT : TAG_UINT, bits, ret_hash);
}

/* Bytes that fit a small buffer are hashed with their tag in one go, longer ones by their own hash.
 */
static void hash_bytes(const struct cairn_value *value, unsigned char ret_hash[HASH_BYTES])
{
    enum { HEAD = 3, SHORT_MAX = 61 };
    char text[HEAD + SHORT_MAX] = {TAG_BYTES, (char)value->type, (char)value->ext_type};
    size_t size = value->count;
    if (size <= SHORT_MAX) {
        memcpy(text + HEAD, value->as.bytes, size);
    } else {
        text[0] = TAG_LONG_BYTES;
        cairn_hash128(cairn_value_slice(value), ret_hash);
        memcpy(text + HEAD, ret_hash, HASH_BYTES);
        size = HASH_BYTES;
    }
    cairn_hash128(cairn_slice_of(text, HEAD + size), ret_hash);
}

static void hash_array(const struct cairn_value *value, unsigned char ret_hash[HASH_BYTES])
{
    char pair[2 * HASH_BYTES];
    hash_bits(TAG_ARRAY, value->count, ret_hash);
    for (uint32_t i = 0; i < value->count; i++) {
        unsigned char item[HASH_BYTES];
        cairn_value_fingerprint(&value->as.items[i], item);
        memcpy(pair, ret_hash, HASH_BYTES);
        memcpy(pair + HASH_BYTES, item, HASH_BYTES);
        cairn_hash128(cairn_slice_of(pair, sizeof(pair)), ret_hash);
    }
}

static uint64_t load_big_endian(const unsigned char bytes[8])
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++) {
        number = number << 8 | bytes[i];
    }
    return number;
}

static void store_big_endian(uint64_t number, unsigned char ret_bytes[8])
{
    for (int i = 7; i >= 0; i--) {
        ret_bytes[i] = (unsigned char)(number & 0xffu);
        number >>= 8;
    }
}

/* sum += term as 128-bit big-endian numbers, the carry out dropped. */
static void add(unsigned char sum[HASH_BYTES], const unsigned char term[HASH_BYTES])
{
    uint64_t old_low = load_big_endian(sum + 8);
    uint64_t low = old_low + load_big_endian(term + 8);
    uint64_t carry = low < old_low ? 1 : 0;
    store_big_endian(load_big_endian(sum) + load_big_endian(term) + carry, sum);
    store_big_endian(low, sum + 8);
}

static void hash_map(const struct cairn_value *value, unsigned char ret_hash[HASH_BYTES])
{
    unsigned char sum[HASH_BYTES] = {0};
    char pair[2 * HASH_BYTES];
    for (uint32_t i = 0; i < value->count; i++) {
        unsigned char hash[HASH_BYTES];
        cairn_value_fingerprint(&value->as.members[i].key, hash);
        memcpy(pair, hash, HASH_BYTES);
        cairn_value_fingerprint(&value->as.members[i].value, hash);
        memcpy(pair + HASH_BYTES, hash, HASH_BYTES);
        cairn_hash128(cairn_slice_of(pair, sizeof(pair)), hash);
        add(sum, hash);
    }
    hash_bits(TAG_MAP, value->count, ret_hash);
    memcpy(pair, ret_hash, HASH_BYTES);
    memcpy(pair + HASH_BYTES, sum, HASH_BYTES);
    cairn_hash128(cairn_slice_of(pair, sizeof(pair)), ret_hash);
}

void cairn_value_fingerprint(const struct cairn_value *value, unsigned char ret_hash[HASH_BYTES])
{
    assert(value != NULL);
    switch (value->type) {
    case CAIRN_NULL:
        hash_bits(TAG_NULL, 0, ret_hash);
        break;
    case CAIRN_BOOL:
        hash_bits(value->as.boolean ? TAG_TRUE : TAG_FALSE, 0, ret_hash);
        break;
    case CAIRN_INT:
    case CAIRN_UINT:
    case CAIRN_FLOAT:
        hash_number(value, ret_hash);
        break;
    case CAIRN_STRING:
    case CAIRN_BIN:
    case CAIRN_EXT:
    case CAIRN_DECIMAL:
        hash_bytes(value, ret_hash);
        break;
    case CAIRN_ARRAY:
        hash_array(value, ret_hash);
        break;
    case CAIRN_MAP:
        hash_map(value, ret_hash);
        break;
    }
}

/* Twice the room for elements of `size` bytes; the old ones are copied, the arena keeps the rest.
 */
static enum cairn_rc grow(struct cairn_value_builder *builder, void *old, size_t size,
                          void **ret_elements)
{
    assert(builder->arena != NULL);
    if (builder->cap > UINT32_MAX / 2) {
        return CAIRN_ENOMEM;
    }
    uint32_t cap = builder->cap == 0 ? BUILDER_FIRST_CAP : builder->cap * 2;
    void *elements = cairn_arena_alloc(builder->arena, cap * size);
    if (elements == NULL) {
        return CAIRN_ENOMEM;
    }
    if (builder->count > 0) {
        memcpy(elements, old, builder->count * size);
    }
    builder->cap = cap;
    *ret_elements = elements;
    return CAIRN_OK;
}

enum cairn_rc cairn_value_add_slice(struct cairn_value_builder *map, struct cairn_slice key,
                                    struct cairn_value value)
{
    assert(map->items == NULL);
    if (map->count == map->cap) {
        void *members = NULL;
        enum cairn_rc rc = grow(map, map->members, sizeof(*map->members), &members);
        if (rc != CAIRN_OK) {
            return rc;
        }
        map->members = members;
    }
    map->members[map->count++] = (struct cairn_member){cairn_value_string(key), value};
    return CAIRN_OK;
}

enum cairn_rc cairn_value_add(struct cairn_value_builder *map, const char *key,
                              struct cairn_value value)
{
    assert(key != NULL);
    return cairn_value_add_slice(map, cairn_slice_str(key), value);
}

enum cairn_rc cairn_value_push(struct cairn_value_builder *array, struct cairn_value value)
{
    assert(array->members == NULL);
    if (array->count == array->cap) {
        void *items = NULL;
        enum cairn_rc rc = grow(array, array->items, sizeof(*array->items), &items);
        if (rc != CAIRN_OK) {
            return rc;
        }
        array->items = items;
    }
    array->items[array->count++] = value;
    return CAIRN_OK;
}

struct cairn_value cairn_value_map(const struct cairn_value_builder *map)
{
    assert(map->items == NULL);
    return (struct cairn_value){
        .type = CAIRN_MAP, .count = map->count, .as = {.members = map->members}};
}

struct cairn_value cairn_value_array(const struct cairn_value_builder *array)
{
    assert(array->members == NULL);
    return (struct cairn_value){
        .type = CAIRN_ARRAY, .count = array->count, .as = {.items = array->items}};
}
