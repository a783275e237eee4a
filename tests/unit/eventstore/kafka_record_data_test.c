/* Data of events in records: what a value may be, and that JSON keeps all of it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/clock.h"
#include "schemas/msgpack.h"
#include "tests/support/kafka_record.h"

#include "tests/support/cm.h"

static void a_value_that_is_no_map_is_refused(void **state)
{
    (void)state;
    static const struct {
        bool json;
        const char *value;
    } cases[] = {
        {false, ""},
        {false, "\x90"},
        {false, "\x2a"},
        {false, "{}"},
        {true, ""},
        {true, "[]"},
        {true, "7"},
        {true, "\x80"},
        {true, "{\"a\""},
        {true, "{} x"},
        {true, "{\"\xff\":1}"},
        {true, "{\"a\":1,\"a\":2}"},
        {true, "null"},
    };
    struct cairn_arena arena = {.max = TEST_ARENA_MAX};
    struct cairn_event event = test_event_full();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cairn_kafka_record record = test_record_of(&event, cases[i].json, &arena);
        record.value = cairn_slice_str(cases[i].value);
        assert_record_refused(&record, "the data");
        record.value = CAIRN_SLICE_NONE;
        assert_record_refused(&record, "the data");
    }
    cairn_arena_fini(&arena);
}

static void a_map_of_any_width_is_taken_as_it_is(void **state)
{
    (void)state;
    static const struct cairn_slice maps[] = {{"\x80", 1},
                                              {"\x81\xa1"
                                               "a\xc0",
                                               4},
                                              {"\xde\0\0", 3},
                                              {"\xdf\0\0\0\0", 5}};
    struct cairn_arena arena = {.max = TEST_ARENA_MAX};
    struct cairn_event event = test_event_full();
    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
        event.data = maps[i];
        struct cairn_kafka_record record = test_record_of(&event, false, &arena);
        struct cairn_event again = test_event_of(&record, &arena);
        assert_same_event(&event, &again);
    }
    cairn_arena_fini(&arena);
}

static void json_that_is_too_long_as_msgpack_is_refused(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = TEST_ARENA_MAX};
    struct cairn_event event = test_event_full();
    struct cairn_kafka_record record = test_record_of(&event, true, &arena);
    const size_t size = CAIRN_EVENT_DATA_BYTES_MAX + 16;
    char *json = cairn_arena_alloc(&arena, size);
    assert_non_null(json);
    memset(json, 'x', size);
    memcpy(json, "{\"a\":\"", 6);
    memcpy(json + size - 2, "\"}", 2);
    record.value = cairn_slice_of(json, size);
    assert_record_refused(&record, "the data is too long");
    cairn_arena_fini(&arena);
}

/* {"a": [null, null, ...]} of `size` bytes in all; size > 65540. */
static struct cairn_slice many_nulls(size_t size, struct cairn_arena *arena)
{
    struct cairn_slice data = test_data_of_text(size, '\xc0', arena);
    char *bytes = cairn_arena_alloc(arena, size);
    assert_non_null(bytes);
    memcpy(bytes, data.data, size);
    bytes[3] = '\xdd'; /* an array of as many items as the text had bytes */
    return cairn_slice_of(bytes, size);
}

static void data_of_a_million_values_needs_no_more_than_its_text(void **state)
{
    (void)state;
    struct cairn_arena events = {.max = TEST_ARENA_MAX};
    struct cairn_arena writing = {.max = TEST_ARENA_MAX};
    struct cairn_arena reading = {.max = 2 * CAIRN_EVENT_DATA_BYTES_MAX};
    struct cairn_event event = test_event_full();
    event.data = many_nulls(CAIRN_EVENT_DATA_BYTES_MAX, &events);
    struct cairn_kafka_record record = test_record_of(&event, true, &writing);
    assert_true(record.value.size > 4 * CAIRN_EVENT_DATA_BYTES_MAX);
    struct cairn_event again = test_event_of(&record, &reading);
    assert_same_event(&event, &again);
    cairn_arena_fini(&events);
    cairn_arena_fini(&writing);
    cairn_arena_fini(&reading);
}

/* xorshift */
static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static struct cairn_value any_float(uint64_t *seed)
{
    uint64_t bits;
    double number;
    do {
        bits = next_random(seed);
        memcpy(&number, &bits, sizeof(number));
    } while (!isfinite(number));
    return cairn_value_float(number);
}

/* Any text: one to four characters, of one to four bytes each. */
static struct cairn_value any_text(uint64_t *seed, struct cairn_arena *arena)
{
    static const char *const characters[] = {
        "a", "\"", "\\", "\n", "\x01", "\xc3\xa4", "\xe4\xb8\x96", "\xf0\x9f\x8c\x8d"};
    enum { MOST = 4, WIDEST = 4 };
    char *text = cairn_arena_zalloc(arena, MOST, WIDEST);
    assert_non_null(text);
    size_t size = 0;
    for (uint64_t left = 1 + next_random(seed) % MOST; left > 0; left--) {
        const char *one =
            characters[next_random(seed) % (sizeof(characters) / sizeof(*characters))];
        memcpy(text + size, one, strlen(one));
        size += strlen(one);
    }
    return cairn_value_string(cairn_slice_of(text, size));
}

static struct cairn_value any_scalar(uint64_t *seed, struct cairn_arena *arena)
{
    uint64_t width = next_random(seed) % 64;
    switch (next_random(seed) % 6) {
    case 0:
        return cairn_value_uint(next_random(seed) >> width);
    case 1:
        return cairn_value_int(-(int64_t)(next_random(seed) >> (width | 1)));
    case 2:
        return any_float(seed);
    case 3:
        return cairn_value_float((double)(int64_t)(next_random(seed) >> width));
    case 4:
        return any_text(seed, arena);
    default:
        return width < 32 ? cairn_value_null() : cairn_value_bool(width < 48);
    }
}

/* {"0": scalar or list of scalars, "1": ...}, as msgpack. */
static struct cairn_slice any_data(uint64_t *seed, struct cairn_arena *arena)
{
    struct cairn_value_builder map = {.arena = arena};
    struct cairn_buf bytes = {.max = CAIRN_EVENT_DATA_BYTES_MAX};
    struct cairn_slice data;
    for (uint64_t member = next_random(seed) % 20; member > 0; member--) {
        struct cairn_value_builder list = {.arena = arena};
        for (uint64_t items = next_random(seed) % 20; items > 0; items--) {
            assert_int_equal(cairn_value_push(&list, any_scalar(seed, arena)), CAIRN_OK);
        }
        const char *key = cairn_arena_printf(arena, "%u", (unsigned)member);
        assert_non_null(key);
        struct cairn_value value =
            next_random(seed) % 2 == 0 ? cairn_value_array(&list) : any_scalar(seed, arena);
        assert_int_equal(cairn_value_add(&map, key, value), CAIRN_OK);
    }
    struct cairn_value whole = cairn_value_map(&map);
    assert_int_equal(cairn_msgpack_write(&whole, &bytes), CAIRN_OK);
    assert_int_equal(cairn_arena_copy(arena, cairn_buf_slice(&bytes), &data), CAIRN_OK);
    cairn_buf_fini(&bytes);
    return data;
}

static void any_data_survives_json_bit_by_bit(void **state)
{
    (void)state;
    const char *given = getenv("CAIRN_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10)
                                  : (uint64_t)cairn_clock_now_us(cairn_clock_system()) | 1;
    print_message("CAIRN_SEED=%llu\n", (unsigned long long)seed);
    for (int round = 0; round < 500; round++) {
        struct cairn_arena arena = {.max = TEST_ARENA_MAX};
        struct cairn_event event = test_event_full();
        event.data = any_data(&seed, &arena);
        struct cairn_kafka_record record = test_record_of(&event, true, &arena);
        struct cairn_event again = test_event_of(&record, &arena);
        assert_same_event(&event, &again);
        cairn_arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_that_is_no_map_is_refused),
        cmocka_unit_test(a_map_of_any_width_is_taken_as_it_is),
        cmocka_unit_test(json_that_is_too_long_as_msgpack_is_refused),
        cmocka_unit_test(data_of_a_million_values_needs_no_more_than_its_text),
        cmocka_unit_test(any_data_survives_json_bit_by_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
