#include "eventstore/kafka_record.h"

#include <stdio.h>

#include "platform/fault.h"
#include "tests/support/kafka_record.h"

#include "tests/support/cm.h"

static struct cairn_kafka_header *find(struct cairn_kafka_record *record, const char *name)
{
    for (size_t i = 0; i < record->header_count; i++) {
        if (cairn_slice_is(record->headers[i].name, name)) {
            return &record->headers[i];
        }
    }
    return NULL;
}

static void drop(struct cairn_kafka_record *record, size_t at)
{
    for (size_t i = at; i + 1 < record->header_count; i++) {
        record->headers[i] = record->headers[i + 1];
    }
    record->header_count--;
}

static void every_field_survives_in_both_content_types(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = TEST_ARENA_MAX};
    struct cairn_event events[] = {test_event_full(), test_event_bare(), test_event_full()};
    events[2].time_us = -1;
    events[2].version = UINT64_MAX;
    events[2].index = CAIRN_EVENTS_PER_COMMAND_MAX - 1;
    events[2].count = CAIRN_EVENTS_PER_COMMAND_MAX;
    events[2].schema_version = UINT16_MAX;
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        for (int json = 0; json < 2; json++) {
            struct cairn_kafka_record record = test_record_of(&events[i], json != 0, &arena);
            struct cairn_event again = test_event_of(&record, &arena);
            assert_same_event(&events[i], &again);
            assert_int_equal(again.partition, 0);
            assert_true(again.offset == 0);
        }
    }
    cairn_arena_fini(&arena);
}

static void an_event_is_written_as_these_headers(void **state)
{
    (void)state;
    static const char *const wanted[][2] = {
        {"ce_specversion", "1.0"},
        {"ce_id", "018cc251-f400-7abc-8def-0123456789ab"},
        {"ce_type", "Deposited"},
        {"ce_source", "/bank/account"},
        {"ce_subject", "account-42-a"},
        {"ce_time", "2023-11-14T22:13:20.123456Z"},
        {"ce_dataschema", "/schemas/events/Deposited/2"},
        {"content-type", "application/msgpack"},
        {"ce_streamversion", "18"},
        {"ce_causationid", "request-1"},
        {"ce_correlationid", "order 7"},
        {"ce_principal", "ann@example.org"},
        {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        {"ce_commandindex", "1"},
        {"ce_commandcount", "3"},
        {"ce_commandkey", "line 17 \xc3\xa4"},
        {"ce_commandfingerprint", "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"},
    };
    struct cairn_arena arena = {.max = TEST_ARENA_MAX};
    struct cairn_event event = test_event_full();
    struct cairn_kafka_record record = test_record_of(&event, false, &arena);
    assert_true(cairn_slice_is(record.key, "42-a"));
    assert_true(cairn_slice_equal(record.value, event.data));
    assert_true(record.timestamp_ms == 1700000000123);
    assert_int_equal(record.header_count, sizeof(wanted) / sizeof(wanted[0]));
    for (size_t i = 0; i < record.header_count; i++) {
        assert_true(cairn_slice_is(record.headers[i].name, wanted[i][0]));
        assert_true(cairn_slice_is(record.headers[i].value, wanted[i][1]));
        assert_true(cairn_kafka_header_is_ours(record.headers[i].name));
    }
    assert_false(cairn_kafka_header_is_ours(CAIRN_SLICE_LIT("ce_")));
    assert_false(cairn_kafka_header_is_ours(CAIRN_SLICE_NONE));
    cairn_arena_fini(&arena);
}

static void what_is_empty_gets_no_header(void **state)
{
    (void)state;
    static const char *const absent[] = {"ce_causationid", "ce_correlationid",
                                         "ce_principal",   "traceparent",
                                         "ce_commandkey",  "ce_commandfingerprint"};
    struct cairn_arena arena = {.max = TEST_ARENA_MAX};
    struct cairn_event event = test_event_bare();
    struct cairn_kafka_record record = test_record_of(&event, true, &arena);
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        assert_null(find(&record, absent[i]));
    }
    assert_true(cairn_slice_is(find(&record, "content-type")->value, "application/json"));
    assert_true(cairn_slice_is(record.value, "{}"));
    event.time_us = -1001;
    record = test_record_of(&event, false, &arena);
    assert_true(record.timestamp_ms == 0);
    cairn_arena_fini(&arena);
}

/* The same attributes under the same names, but for the type of the data. */
static void headers_say_what_http_says(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = TEST_ARENA_MAX};
    struct cairn_event event = test_event_full();
    struct cairn_value data = cairn_value_null();
    struct cairn_value attributes;
    struct cairn_kafka_record record = test_record_of(&event, false, &arena);
    size_t compared = 0;
    assert_int_equal(
        cairn_event_cloudevent(&event, BANK, &data, CAIRN_SLICE_LIT("0:1"), &arena, &attributes),
        CAIRN_OK);
    for (size_t i = 0; i < record.header_count; i++) {
        struct cairn_slice name = record.headers[i].name;
        if (cairn_slice_starts(name, CAIRN_SLICE_LIT("ce_"))) {
            name = cairn_slice_of(name.data + 3, name.size - 3);
        }
        const struct cairn_value *other = cairn_value_get(&attributes, name);
        if (other == NULL || other->type != CAIRN_STRING) {
            continue;
        }
        assert_true(cairn_slice_equal(cairn_value_slice(other), record.headers[i].value));
        compared++;
    }
    assert_int_equal(compared, 11);
    cairn_arena_fini(&arena);
}

static void a_record_without_a_header_it_needs_is_refused(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = TEST_ARENA_MAX};
    struct cairn_event event = test_event_bare();
    struct cairn_kafka_record whole = test_record_of(&event, false, &arena);
    assert_int_equal(whole.header_count, 11);
    for (size_t i = 0; i < whole.header_count; i++) {
        struct cairn_kafka_record record = whole;
        char text[64];
        drop(&record, i);
        (void)snprintf(text, sizeof(text), "header %.*s is missing",
                       CAIRN_SLICE_ARG(whole.headers[i].name));
        assert_record_refused(&record, text);
    }
    struct cairn_kafka_record none = {.key = CAIRN_SLICE_LIT("7"), .value = event.data};
    assert_record_refused(&none, "ce_specversion is missing");
    cairn_arena_fini(&arena);
}

static void a_record_without_a_header_that_may_be_left_out_reads(void **state)
{
    (void)state;
    static const char *const names[] = {"ce_causationid", "ce_correlationid", "ce_principal",
                                        "traceparent"};
    struct cairn_arena arena = {.max = TEST_ARENA_MAX};
    struct cairn_event event = test_event_full();
    struct cairn_kafka_record record = test_record_of(&event, false, &arena);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        drop(&record, (size_t)(find(&record, names[i]) - record.headers));
    }
    event.causation = event.correlation = event.principal = event.traceparent = CAIRN_SLICE_NONE;
    struct cairn_event again = test_event_of(&record, &arena);
    assert_same_event(&event, &again);
    cairn_arena_fini(&arena);
}

static void a_header_of_ours_that_is_there_twice_is_refused(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = TEST_ARENA_MAX};
    struct cairn_event event = test_event_full();
    struct cairn_kafka_record whole = test_record_of(&event, false, &arena);
    for (size_t i = 0; i < whole.header_count; i++) {
        struct cairn_kafka_record record = whole;
        char text[64];
        record.headers[record.header_count++] = whole.headers[i];
        (void)snprintf(text, sizeof(text), "header %.*s is there twice",
                       CAIRN_SLICE_ARG(whole.headers[i].name));
        assert_record_refused(&record, text);
    }
    cairn_arena_fini(&arena);
}

static void a_header_that_says_what_it_cannot_say_is_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"ce_specversion", "1.1"},
        {"ce_specversion", ""},
        {"ce_id", "018cc251-f400-7abc-8def-0123456789a"},
        {"ce_id", "018cc251-f400-7abc-8def-0123456789ag"},
        {"ce_type", ""},
        {"ce_type", "a-b"},
        {"ce_source", "/bank/accoun"},
        {"ce_source", "/bank/account2"},
        {"ce_source", "/bank2/account"},
        {"ce_source", "bank/account"},
        {"ce_subject", "account"},
        {"ce_subject", "account-"},
        {"ce_subject", "transfer-42-a"},
        {"ce_subject", "account-42-b"},
        {"ce_subject", "account-42-a "},
        {"ce_time", "2023-11-14"},
        {"ce_time", "2023-02-30T00:00:00Z"},
        {"ce_dataschema", "/schemas/events/Deposited"},
        {"ce_dataschema", "/schemas/events/Deposited/"},
        {"ce_dataschema", "/schemas/events/Deposited/0"},
        {"ce_dataschema", "/schemas/events/Deposited/02"},
        {"ce_dataschema", "/schemas/events/Deposited/65536"},
        {"ce_dataschema", "/schemas/events/Withdrawn/2"},
        {"content-type", "application/cloudevents+json"},
        {"content-type", ""},
        {"ce_streamversion", "0"},
        {"ce_streamversion", "018"},
        {"ce_streamversion", "-1"},
        {"ce_streamversion", "18446744073709551616"},
        {"ce_streamversion", ""},
        {"ce_causationid", ""},
        {"ce_causationid", "\xff"},
        {"ce_correlationid", "\xc3"},
        {"ce_principal", "\xed\xa0\x80"},
        {"traceparent", "\xf5\x80\x80\x80"},
        {"ce_commandindex", "x"},
        {"ce_commandindex", "18"},
        {"ce_commandcount", "1"},
        {"ce_commandcount", "0"},
        {"ce_commandcount", "1001"},
        {"ce_commandcount", "65539"},
        {"ce_commandkey", ""},
        {"ce_commandkey", "a\x01"},
        {"ce_commandkey", "\xff"},
        {"ce_commandfingerprint", "f0f1f2f3f4f5f6f7f8f9fafbfcfdfef"},
        {"ce_commandfingerprint", "F0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF"},
    };
    struct cairn_arena arena = {.max = TEST_ARENA_MAX};
    struct cairn_event event = test_event_full();
    struct cairn_kafka_record whole = test_record_of(&event, false, &arena);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cairn_kafka_record record = whole;
        char text[64];
        find(&record, cases[i][0])->value = cairn_slice_str(cases[i][1]);
        (void)snprintf(text, sizeof(text), "header %s must be", cases[i][0]);
        assert_record_refused(&record, text);
    }
    struct cairn_kafka_record null = whole;
    find(&null, "ce_principal")->value = CAIRN_SLICE_NONE;
    assert_record_refused(&null, "ce_principal must be");
    cairn_arena_fini(&arena);
}

static void key_and_fingerprint_come_together_or_not_at_all(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = TEST_ARENA_MAX};
    struct cairn_event event = test_event_full();
    struct cairn_kafka_record record = test_record_of(&event, false, &arena);
    drop(&record, (size_t)(find(&record, "ce_commandfingerprint") - record.headers));
    assert_record_refused(&record, "ce_commandfingerprint is missing beside ce_commandkey");
    record = test_record_of(&event, false, &arena);
    drop(&record, (size_t)(find(&record, "ce_commandkey") - record.headers));
    assert_record_refused(&record, "beside a ce_commandkey");
    cairn_arena_fini(&arena);
}

static void a_record_of_another_key_topic_or_domain_is_refused(void **state)
{
    (void)state;
    struct cairn_err err;
    struct cairn_arena arena = {.max = TEST_ARENA_MAX};
    struct cairn_event event = test_event_full();
    struct cairn_event none;
    struct cairn_kafka_record record = test_record_of(&event, false, &arena);
    assert_int_equal(
        cairn_kafka_record_read(&record, BANK, CAIRN_SLICE_LIT("transfer"), &arena, &none, &err),
        CAIRN_ECORRUPT);
    assert_int_equal(
        cairn_kafka_record_read(&record, CAIRN_SLICE_LIT("shop"), ACCOUNT, &arena, &none, &err),
        CAIRN_ECORRUPT);
    static const char *const keys[] = {"42", "42-b", "a", "account-42-a", ""};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        record.key = cairn_slice_str(keys[i]);
        assert_record_refused(&record, "the id being the key");
    }
    record.key = CAIRN_SLICE_NONE;
    assert_record_refused(&record, "the id being the key");
    cairn_arena_fini(&arena);
}

static void foreign_headers_and_any_order_change_nothing(void **state)
{
    (void)state;
    static const char *const foreign[][2] = {
        {"__connect.errors", "\xff\xfe"},
        {"ce_", ""},
        {"ce_idx", "2"},
        {"CE_ID", "3"},
        {"tracestate", "a=b"},
        {"tracestate", "a=b"},
        {"", "5"},
        {"ce_i", "6"},
    };
    enum { FOREIGN = sizeof(foreign) / sizeof(foreign[0]) };
    struct cairn_arena arena = {.max = TEST_ARENA_MAX};
    struct cairn_event event = test_event_full();
    struct cairn_kafka_record whole = test_record_of(&event, false, &arena);
    struct cairn_kafka_record record = whole;
    record.header_count = 0;
    for (size_t i = whole.header_count; i-- > 0;) {
        if (i < FOREIGN) {
            record.headers[record.header_count++] = (struct cairn_kafka_header){
                cairn_slice_str(foreign[i][0]), cairn_slice_str(foreign[i][1])};
        }
        record.headers[record.header_count++] = whole.headers[i];
    }
    record.headers[record.header_count++] =
        (struct cairn_kafka_header){CAIRN_SLICE_NONE, CAIRN_SLICE_NONE};
    assert_int_equal(record.header_count, whole.header_count + FOREIGN + 1);
    struct cairn_event again = test_event_of(&record, &arena);
    assert_same_event(&event, &again);
    cairn_arena_fini(&arena);
}

static void parts_at_their_limit_pass(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = TEST_ARENA_MAX};
    struct cairn_event event = test_event_full();
    char *long_text = cairn_arena_alloc(&arena, CAIRN_META_BYTES_MAX);
    assert_non_null(long_text);
    memset(long_text, 'x', CAIRN_META_BYTES_MAX);
    event.stream = cairn_slice_of(long_text, CAIRN_STREAM_BYTES_MAX);
    long_text[CAIRN_AGGREGATE_BYTES_MAX] = '-';
    event.type = cairn_slice_of(long_text + 300, CAIRN_TYPE_BYTES_MAX);
    event.key = cairn_slice_of(long_text + 300, CAIRN_KEY_BYTES_MAX);
    event.causation = event.correlation = event.principal = event.traceparent =
        cairn_slice_of(long_text, CAIRN_META_BYTES_MAX);
    /* Control characters are the longest that JSON has. */
    event.data = test_data_of_text(CAIRN_EVENT_DATA_BYTES_MAX, '\x01', &arena);
    struct cairn_slice aggregate = cairn_slice_of(long_text, CAIRN_AGGREGATE_BYTES_MAX);
    for (int json = 0; json < 2; json++) {
        struct cairn_err err;
        struct cairn_event again;
        struct cairn_kafka_record record = test_record_of(&event, json != 0, &arena);
        assert_ok(cairn_kafka_record_read(&record, BANK, aggregate, &arena, &again, &err), &err);
        assert_same_event(&event, &again);
    }
    cairn_arena_fini(&arena);
}

static void parts_past_their_limit_are_refused_when_read(void **state)
{
    (void)state;
    static const char *const metas[] = {"ce_causationid", "ce_correlationid", "ce_principal",
                                        "traceparent"};
    struct cairn_arena arena = {.max = TEST_ARENA_MAX};
    struct cairn_event event = test_event_full();
    struct cairn_kafka_record whole = test_record_of(&event, false, &arena);
    char text[CAIRN_META_BYTES_MAX + 1];
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < sizeof(metas) / sizeof(metas[0]); i++) {
        struct cairn_kafka_record record = whole;
        find(&record, metas[i])->value = cairn_slice_of(text, sizeof(text));
        assert_record_refused(&record, metas[i]);
    }
    struct cairn_kafka_record record = whole;
    find(&record, "ce_commandkey")->value = cairn_slice_of(text, CAIRN_KEY_BYTES_MAX + 1);
    assert_record_refused(&record, "ce_commandkey");
    record = whole;
    record.value = test_data_of_text(CAIRN_EVENT_DATA_BYTES_MAX + 1, 'x', &arena);
    assert_record_refused(&record, "the data");
    record = test_record_of(&event, true, &arena);
    char *json = cairn_arena_alloc(&arena, CAIRN_KAFKA_JSON_BYTES_MAX + 1);
    assert_non_null(json);
    memset(json, ' ', CAIRN_KAFKA_JSON_BYTES_MAX + 1);
    memcpy(json, "{}", 2);
    record.value = cairn_slice_of(json, CAIRN_KAFKA_JSON_BYTES_MAX);
    assert_int_equal(test_event_of(&record, &arena).data.size, 1);
    record.value.size++;
    assert_record_refused(&record, "the data is 6291457 bytes of JSON");
    cairn_arena_fini(&arena);
}

/* Changes one part of an event to what no reader takes. */
typedef void break_fn(struct cairn_event *event);

static void break_stream(struct cairn_event *event)
{
    event->stream = CAIRN_SLICE_LIT("account-a b");
}

static void break_type(struct cairn_event *event)
{
    event->type = CAIRN_SLICE_LIT("a-b");
}

static void break_key(struct cairn_event *event)
{
    event->key = CAIRN_SLICE_LIT("\n");
}

static void break_causation(struct cairn_event *event)
{
    event->causation = CAIRN_SLICE_LIT("\xff");
}

static void break_correlation(struct cairn_event *event)
{
    event->correlation = CAIRN_SLICE_LIT("\xff");
}

static void break_principal(struct cairn_event *event)
{
    event->principal = CAIRN_SLICE_LIT("\xff");
}

static void break_traceparent(struct cairn_event *event)
{
    event->traceparent = CAIRN_SLICE_LIT("\xff");
}

static void break_count(struct cairn_event *event)
{
    event->count = CAIRN_EVENTS_PER_COMMAND_MAX + 1;
}

static void break_schema_version(struct cairn_event *event)
{
    event->schema_version = 0;
}

static void break_data(struct cairn_event *event)
{
    event->data = CAIRN_SLICE_LIT("\x2a");
}

static void break_data_size(struct cairn_event *event)
{
    event->data.size = 0;
}

static void an_event_that_would_not_read_is_not_written(void **state)
{
    (void)state;
    static break_fn *const breaks[] = {break_stream,      break_type,        break_key,
                                       break_causation,   break_correlation, break_principal,
                                       break_traceparent, break_count,       break_schema_version,
                                       break_data,        break_data_size};
    struct cairn_err err;
    struct cairn_arena arena = {.max = TEST_ARENA_MAX};
    struct cairn_kafka_record record = {.timestamp_ms = 4711};
    for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
        struct cairn_event event = test_event_full();
        breaks[i](&event);
        for (int json = 0; json < 2; json++) {
            assert_int_equal(
                cairn_kafka_record_write(&event, BANK, json != 0, &arena, &record, &err),
                CAIRN_EINVAL);
            assert_true(record.timestamp_ms == 4711 && record.header_count == 0);
        }
    }
    struct cairn_event event = test_event_full();
    event.data = CAIRN_SLICE_LIT("\x81\xa1"
                                 "a\xc4\x01z");
    assert_int_equal(cairn_kafka_record_write(&event, BANK, true, &arena, &record, &err),
                     CAIRN_EINVAL);
    event.data.size--;
    assert_int_equal(cairn_kafka_record_write(&event, BANK, true, &arena, &record, &err),
                     CAIRN_EINVAL);
    assert_true(record.timestamp_ms == 4711 && record.header_count == 0);
    cairn_arena_fini(&arena);
}

static void without_memory_nothing_is_put_out(void **state)
{
    (void)state;
    skip_without_faults();
    struct cairn_event event = test_event_full();
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_MEM) || after == 0; after++) {
        struct cairn_err err;
        struct cairn_arena arena = {.max = TEST_ARENA_MAX};
        struct cairn_kafka_record record = {.timestamp_ms = 4711};
        struct cairn_event again = {.version = 4711};
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = cairn_kafka_record_write(&event, BANK, true, &arena, &record, &err);
        if (rc == CAIRN_OK) {
            rc = cairn_kafka_record_read(&record, BANK, ACCOUNT, &arena, &again, &err);
        } else {
            assert_true(record.timestamp_ms == 4711 && record.header_count == 0);
        }
        if (cairn_fault_fired(CAIRN_FAULT_MEM)) {
            assert_int_equal(rc, CAIRN_ENOMEM);
            assert_int_equal(err.rc, CAIRN_ENOMEM);
            assert_true(again.version == 4711);
        } else {
            assert_int_equal(rc, CAIRN_OK);
            assert_same_event(&event, &again);
            assert_true(after > 2);
        }
        cairn_arena_fini(&arena);
    }
    cairn_fault_disarm();
}

static void a_full_arena_is_out_of_memory(void **state)
{
    (void)state;
    struct cairn_err err;
    struct cairn_event event = test_event_full();
    for (int json = 0; json < 2; json++) {
        struct cairn_arena arena = {.max = 64};
        struct cairn_kafka_record record = {.timestamp_ms = 4711};
        assert_int_equal(cairn_kafka_record_write(&event, BANK, json != 0, &arena, &record, &err),
                         CAIRN_ENOMEM);
        assert_true(record.timestamp_ms == 4711 && record.header_count == 0);
        cairn_arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_survives_in_both_content_types),
        cmocka_unit_test(an_event_is_written_as_these_headers),
        cmocka_unit_test(what_is_empty_gets_no_header),
        cmocka_unit_test(headers_say_what_http_says),
        cmocka_unit_test(a_record_without_a_header_it_needs_is_refused),
        cmocka_unit_test(a_record_without_a_header_that_may_be_left_out_reads),
        cmocka_unit_test(a_header_of_ours_that_is_there_twice_is_refused),
        cmocka_unit_test(a_header_that_says_what_it_cannot_say_is_refused),
        cmocka_unit_test(key_and_fingerprint_come_together_or_not_at_all),
        cmocka_unit_test(a_record_of_another_key_topic_or_domain_is_refused),
        cmocka_unit_test(foreign_headers_and_any_order_change_nothing),
        cmocka_unit_test(parts_at_their_limit_pass),
        cmocka_unit_test(parts_past_their_limit_are_refused_when_read),
        cmocka_unit_test(an_event_that_would_not_read_is_not_written),
        cmocka_unit_test(without_memory_nothing_is_put_out),
        cmocka_unit_test(a_full_arena_is_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
