/* Records of every format that was ever released must read for ever, and the form of today's is
 * what consumers build upon: it is written byte by byte as it was. The file is frozen. */
#include "eventstore/hex.h"
#include "eventstore/kafka_record.h"
#include "platform/file.h"
#include "tests/support/kafka_event.h"

#include "tests/support/cm.h"

#define GOLDEN  CAIRN_SOURCE_DIR "/tests/golden/kafka-record-1/records.txt"
#define SHAPES  CAIRN_SOURCE_DIR "/tests/golden/kafka-record-json-1/record.txt"
#define BANK    CAIRN_SLICE_LIT("bank")
#define ACCOUNT CAIRN_SLICE_LIT("account")

enum { RECORDS = 3, TEXT_MAX = 1 << 16 };

static const bool is_json[RECORDS] = {false, true, false};

static struct cairn_event event_of(size_t record)
{
    return record < 2 ? test_event_full() : test_event_bare();
}

/* Of SHAPES: every kind of value that an event may hold. */
static struct cairn_event event_with(struct cairn_slice data)
{
    struct cairn_event event = test_event_full();
    event.data = data;
    return event;
}

/* A line "name: value" of rest, which is cut; false at an empty line or the end. */
static bool next_line(struct cairn_slice *rest, struct cairn_slice *ret_name,
                      struct cairn_slice *ret_value)
{
    size_t end = cairn_slice_find(*rest, '\n');
    struct cairn_slice line = cairn_slice_of(rest->data, end);
    size_t cut = end < rest->size ? end + 1 : end;
    *rest = cairn_slice_of(rest->data + cut, rest->size - cut);
    if (line.size == 0) {
        return false;
    }
    size_t colon = cairn_slice_find(line, ':');
    assert_true(colon + 2 <= line.size && line.data[colon + 1] == ' ');
    *ret_name = cairn_slice_of(line.data, colon);
    *ret_value = cairn_slice_of(line.data + colon + 2, line.size - colon - 2);
    return true;
}

static struct cairn_slice from_hex(struct cairn_slice text, struct cairn_arena *arena)
{
    unsigned char *bytes = cairn_arena_alloc(arena, text.size / 2);
    assert_non_null(bytes);
    assert_true(cairn_hex_read(text, bytes, text.size / 2));
    return cairn_slice_of((const char *)bytes, text.size / 2);
}

/* A value stands there in hexadecimal, or as it is where it is text. ret_data: what it reads as,
 * where the file says; else as it was. */
static struct cairn_kafka_record parse_record(struct cairn_slice *rest, struct cairn_arena *arena,
                                              struct cairn_slice *ret_data)
{
    struct cairn_kafka_record record = {.header_count = 0};
    struct cairn_slice name;
    struct cairn_slice value;
    while (next_line(rest, &name, &value)) {
        if (cairn_slice_is(name, "key")) {
            record.key = value;
        } else if (cairn_slice_is(name, "timestamp")) {
            assert_int_equal(cairn_slice_to_i64(value, &record.timestamp_ms), CAIRN_OK);
        } else if (cairn_slice_is(name, "value")) {
            record.value = from_hex(value, arena);
        } else if (cairn_slice_is(name, "text")) {
            record.value = value;
        } else if (cairn_slice_is(name, "msgpack")) {
            *ret_data = from_hex(value, arena);
        } else {
            assert_true(record.header_count < CAIRN_KAFKA_HEADERS_MAX);
            record.headers[record.header_count++] = (struct cairn_kafka_header){name, value};
        }
    }
    return record;
}

static void read_golden(const char *path, struct cairn_buf *text)
{
    struct cairn_err err;
    assert_ok(cairn_file_read(path, text, &err), &err);
}

static void records_of_format_1_read(void **state)
{
    (void)state;
    struct cairn_err err;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_buf text = {.max = TEXT_MAX};
    read_golden(GOLDEN, &text);
    struct cairn_slice rest = cairn_buf_slice(&text);
    for (size_t i = 0; i < RECORDS; i++) {
        struct cairn_event event;
        struct cairn_event wanted = event_of(i);
        struct cairn_kafka_record record = parse_record(&rest, &arena, &wanted.data);
        assert_ok(cairn_kafka_record_read(&record, BANK, ACCOUNT, &arena, &event, &err), &err);
        assert_same_event(&event, &wanted);
    }
    assert_int_equal(rest.size, 0);
    cairn_buf_fini(&text);
    cairn_arena_fini(&arena);
}

static void print_hex(struct cairn_slice bytes, struct cairn_buf *out)
{
    for (size_t i = 0; i < bytes.size; i++) {
        assert_int_equal(cairn_buf_printf(out, "%02x", (unsigned)(unsigned char)bytes.data[i]),
                         CAIRN_OK);
    }
}

static void print_record(const struct cairn_kafka_record *record, struct cairn_buf *out)
{
    assert_int_equal(cairn_buf_printf(out, "key: %.*s\ntimestamp: %lld\n",
                                      CAIRN_SLICE_ARG(record->key),
                                      (long long)record->timestamp_ms),
                     CAIRN_OK);
    for (size_t i = 0; i < record->header_count; i++) {
        assert_int_equal(cairn_buf_printf(out, "%.*s: %.*s\n",
                                          CAIRN_SLICE_ARG(record->headers[i].name),
                                          CAIRN_SLICE_ARG(record->headers[i].value)),
                         CAIRN_OK);
    }
    assert_int_equal(cairn_buf_append_str(out, "value: "), CAIRN_OK);
    print_hex(record->value, out);
    assert_int_equal(cairn_buf_append_byte(out, '\n'), CAIRN_OK);
}

static void records_are_written_as_format_1(void **state)
{
    (void)state;
    struct cairn_err err;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_buf golden = {.max = TEXT_MAX};
    struct cairn_buf text = {.max = TEXT_MAX};
    read_golden(GOLDEN, &golden);
    for (size_t i = 0; i < RECORDS; i++) {
        struct cairn_event event = event_of(i);
        struct cairn_kafka_record record;
        assert_ok(cairn_kafka_record_write(&event, BANK, is_json[i], &arena, &record, &err), &err);
        assert_int_equal(cairn_buf_append_str(&text, i == 0 ? "" : "\n"), CAIRN_OK);
        print_record(&record, &text);
    }
    assert_int_equal(cairn_buf_append_byte(&text, '\0'), CAIRN_OK);
    assert_int_equal(cairn_buf_append_byte(&golden, '\0'), CAIRN_OK);
    assert_string_equal(text.data, golden.data);
    cairn_buf_fini(&text);
    cairn_buf_fini(&golden);
    cairn_arena_fini(&arena);
}

static void data_of_every_shape_is_written_and_read_as_json_without_loss(void **state)
{
    (void)state;
    struct cairn_err err;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_buf text = {.max = TEXT_MAX};
    struct cairn_event read;
    struct cairn_kafka_record written;
    struct cairn_slice data = CAIRN_SLICE_NONE;
    read_golden(SHAPES, &text);
    struct cairn_slice rest = cairn_buf_slice(&text);
    struct cairn_kafka_record record = parse_record(&rest, &arena, &data);
    struct cairn_event event = event_with(data);
    assert_int_equal(rest.size, 0);
    assert_ok(cairn_kafka_record_read(&record, BANK, ACCOUNT, &arena, &read, &err), &err);
    assert_same_event(&read, &event);
    assert_ok(cairn_kafka_record_write(&event, BANK, true, &arena, &written, &err), &err);
    assert_int_equal(written.value.size, record.value.size);
    assert_memory_equal(written.value.data, record.value.data, record.value.size);
    assert_int_equal(written.header_count, record.header_count);
    for (size_t i = 0; i < written.header_count; i++) {
        assert_true(cairn_slice_equal(written.headers[i].name, record.headers[i].name));
        assert_true(cairn_slice_equal(written.headers[i].value, record.headers[i].value));
    }
    cairn_buf_fini(&text);
    cairn_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_format_1_read),
        cmocka_unit_test(records_are_written_as_format_1),
        cmocka_unit_test(data_of_every_shape_is_written_and_read_as_json_without_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
