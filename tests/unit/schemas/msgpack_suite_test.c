/* Our reader and writer against kawanet's msgpack-test-suite: every listed encoding reads as the
 * value it stands for, and what we write is the shortest listed encoding of its type. */
#include <stdio.h>
#include <stdlib.h>

#include "platform/file.h"
#include "platform/json.h"
#include "schemas/msgpack.h"

#include "tests/support/cm.h"

#define SUITE CAIRN_SOURCE_DIR "/../shared/data/msgpack-test-suite/dist/msgpack-test-suite.json"

struct suite {
    struct cairn_buf text;
    struct cairn_arena arena;
    struct cairn_value groups;
};

static bool load(struct suite *suite)
{
    struct cairn_err err;
    suite->text = (struct cairn_buf){.max = 1u << 20};
    suite->arena = (struct cairn_arena){.max = 1u << 24};
    if (!cairn_file_exists(SUITE)) {
        print_message("SKIPPED: no msgpack-test-suite at %s\n", SUITE);
        return false;
    }
    assert_ok(cairn_file_read(SUITE, &suite->text, &err), &err);
    assert_ok(
        cairn_json_read(cairn_buf_slice(&suite->text), &suite->arena, &suite->groups, NULL, &err),
        &err);
    return true;
}

static void unload(struct suite *suite)
{
    cairn_arena_fini(&suite->arena);
    cairn_buf_fini(&suite->text);
}

/* "c4-01-ff" as bytes in the arena. */
static struct cairn_slice from_hex(struct cairn_arena *arena, const struct cairn_value *hex)
{
    size_t size = (hex->count + 1) / 3;
    char *bytes = cairn_arena_alloc(arena, size + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) {
        char pair[3] = {hex->as.bytes[3 * i], hex->as.bytes[3 * i + 1], '\0'};
        bytes[i] = (char)strtoul(pair, NULL, 16);
    }
    return cairn_slice_of(bytes, size);
}

static struct cairn_value bignum(const struct cairn_value *text)
{
    int64_t negative = 0;
    uint64_t positive = 0;
    if (cairn_slice_to_i64(cairn_value_slice(text), &negative) == CAIRN_OK) {
        return cairn_value_int(negative);
    }
    assert_int_equal(cairn_slice_to_u64(cairn_value_slice(text), &positive), CAIRN_OK);
    return cairn_value_uint(positive);
}

static void put_number(unsigned char *bytes, int size, uint64_t number)
{
    for (int i = size - 1; i >= 0; i--) {
        bytes[i] = (unsigned char)(number & 0xffu);
        number >>= 8;
    }
}

/* Timestamp extension (-1): 32 bits of seconds, 30 + 34 bits, or 96 bits. */
static struct cairn_value timestamp(struct cairn_arena *arena, const struct cairn_value *pair)
{
    int64_t seconds = pair->as.items[0].as.integer;
    uint64_t nanoseconds = (uint64_t)pair->as.items[1].as.integer;
    unsigned char *bytes = cairn_arena_alloc(arena, 12);
    uint32_t size = 12;
    assert_non_null(bytes);
    if (seconds >= 0 && (uint64_t)seconds < UINT64_C(1) << 34) {
        bool short_form = nanoseconds == 0 && (uint64_t)seconds <= UINT32_MAX;
        size = short_form ? 4 : 8;
        put_number(bytes, (int)size, (nanoseconds << 34) | (uint64_t)seconds);
    } else {
        put_number(bytes, 4, nanoseconds);
        put_number(bytes + 4, 8, (uint64_t)seconds);
    }
    return (struct cairn_value){
        .type = CAIRN_EXT, .ext_type = -1, .count = size, .as = {.bytes = (const char *)bytes}};
}

static struct cairn_value foreign(struct cairn_arena *arena, enum cairn_value_type type,
                                  int64_t ext_type, const struct cairn_value *hex)
{
    struct cairn_slice bytes = from_hex(arena, hex);
    return (struct cairn_value){.type = type,
                                .ext_type = (int8_t)ext_type,
                                .count = (uint32_t)bytes.size,
                                .as = {.bytes = bytes.data}};
}

/* What a test of the suite says its encodings stand for. */
static struct cairn_value meaning(struct cairn_arena *arena, const struct cairn_value *test)
{
    const struct cairn_value *said = NULL;
    if ((said = cairn_value_at(test, "bignum")) != NULL) {
        return bignum(said);
    }
    if ((said = cairn_value_at(test, "binary")) != NULL) {
        return foreign(arena, CAIRN_BIN, 0, said);
    }
    if ((said = cairn_value_at(test, "ext")) != NULL) {
        return foreign(arena, CAIRN_EXT, said->as.items[0].as.integer, &said->as.items[1]);
    }
    if ((said = cairn_value_at(test, "timestamp")) != NULL) {
        return timestamp(arena, said);
    }
    for (uint32_t i = 0; i < test->count; i++) {
        if (!cairn_slice_is(cairn_value_slice(&test->as.members[i].key), "msgpack")) {
            return test->as.members[i].value;
        }
    }
    fail_msg("a test without a value");
    return cairn_value_null();
}

static bool is_listed(struct cairn_arena *arena, const struct cairn_value *encodings,
                      struct cairn_slice bytes)
{
    for (uint32_t i = 0; i < encodings->count; i++) {
        if (cairn_slice_equal(from_hex(arena, &encodings->as.items[i]), bytes)) {
            return true;
        }
    }
    return false;
}

/* One listed encoding: reads as the meaning, and reads again from what we write of it. */
static void check_encoding(struct suite *suite, const struct cairn_value *want,
                           const struct cairn_value *encodings, uint32_t index)
{
    struct cairn_err err;
    struct cairn_value value;
    struct cairn_buf out = {.max = 1u << 20};
    struct cairn_slice bytes = from_hex(&suite->arena, &encodings->as.items[index]);
    assert_ok(cairn_msgpack_read(bytes, CAIRN_MSGPACK_ANY, &suite->arena, &value, NULL, &err),
              &err);
    if (!cairn_value_equal(want, &value)) {
        fail_msg("%.*s reads as another value",
                 CAIRN_SLICE_ARG(cairn_value_slice(&encodings->as.items[index])));
    }
    assert_int_equal(cairn_msgpack_write(&value, &out), CAIRN_OK);
    assert_true(out.size <= bytes.size);
    /* The suite leaves out the four-byte float of two numbers that one holds exactly. */
    assert_true(is_listed(&suite->arena, encodings, cairn_buf_slice(&out)) ||
                (value.type == CAIRN_FLOAT && (unsigned char)out.data[0] == 0xca));
    assert_ok(cairn_msgpack_read(cairn_buf_slice(&out), CAIRN_MSGPACK_ANY, &suite->arena, &value,
                                 NULL, &err),
              &err);
    assert_true(cairn_value_equal(want, &value));
    cairn_buf_fini(&out);
}

static void every_encoding_reads_as_its_value_and_is_written_shortest(void **state)
{
    (void)state;
    struct suite suite;
    if (!load(&suite)) {
        skip();
    }
    int count = 0;
    for (uint32_t g = 0; g < suite.groups.count; g++) {
        const struct cairn_value *group = &suite.groups.as.members[g].value;
        for (uint32_t t = 0; t < group->count; t++) {
            const struct cairn_value *test = &group->as.items[t];
            const struct cairn_value *encodings = cairn_value_at(test, "msgpack");
            struct cairn_value want = meaning(&suite.arena, test);
            for (uint32_t i = 0; i < encodings->count; i++, count++) {
                check_encoding(&suite, &want, encodings, i);
            }
        }
    }
    print_message("%d encodings\n", count);
    assert_int_equal(count, 233);
    unload(&suite);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_encoding_reads_as_its_value_and_is_written_shortest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
