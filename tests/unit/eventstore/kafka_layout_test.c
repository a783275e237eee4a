#include "eventstore/kafka_layout.h"

#include <stdio.h>

#include "platform/fault.h"
#include "platform/file.h"

#include "tests/support/cm.h"

#define GOLDEN CAIRN_SOURCE_DIR "/tests/golden/kafka-layout-1/log.json"
#define ID     "000102030405060708090a0b0c0d0e0f"
#define REST   "\"id\":\"" ID "\",\"domain\":\"bank\",\"partitions\":4,"
#define TEXT                                                                                       \
    "{\"format\":1," REST "\"hash\":\"murmur2\","                                                  \
    "\"aggregates\":[\"account\",\"transfer\"]}"

static struct cairn_kafka_layout bank(void)
{
    struct cairn_kafka_layout layout = {
        .domain = "bank", .lanes = 4, .topic_count = 2, .aggregates = {"account", "transfer"}};
    for (unsigned char i = 0; i < CAIRN_LOG_ID_BYTES; i++) {
        layout.log_id[i] = i;
    }
    return layout;
}

static void partitions_are_numbered_topic_by_topic(void **state)
{
    (void)state;
    struct cairn_kafka_layout layout = bank();
    assert_int_equal(cairn_kafka_layout_partitions(&layout), 8);
    for (uint16_t i = 0; i < 8; i++) {
        assert_int_equal(cairn_kafka_layout_lane(&layout, i), i % 4);
    }
    assert_int_equal(cairn_kafka_layout_topic(&layout, CAIRN_SLICE_LIT("account")), 0);
    assert_int_equal(cairn_kafka_layout_topic(&layout, CAIRN_SLICE_LIT("transfer")), 1);
    assert_int_equal(cairn_kafka_layout_topic(&layout, CAIRN_SLICE_LIT("transfers")), -1);
    assert_int_equal(cairn_kafka_layout_topic(&layout, CAIRN_SLICE_LIT("transfe")), -1);
    assert_int_equal(cairn_kafka_layout_topic(&layout, CAIRN_SLICE_NONE), -1);
    char name[CAIRN_AGGREGATE_BYTES_MAX + 1];
    memset(name, 'a', sizeof(name));
    assert_int_equal(cairn_kafka_layout_topic(&layout, cairn_slice_of(name, sizeof(name))), -1);
}

/* The lanes are those that Kafka's own default partitioner gives to the same keys, worked out from
 * its published hashes: murmur2("21") = -973932308, ("foobar") = -790332482, ("a-little-bit-long-
 * string") = -985981536, ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8") = -58897971. */
static void a_stream_lies_where_kafka_itself_would_put_its_key(void **state)
{
    (void)state;
    static const struct {
        const char *stream;
        int64_t hash;
        int topic;
    } cases[] = {
        {"account-21", -973932308, 0},
        {"transfer-foobar", -790332482, 1},
        {"account-a-little-bit-long-string", -985981536, 0},
        {"transfer-lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971, 1},
    };
    struct cairn_kafka_layout layout = bank();
    for (layout.lanes = 1; layout.lanes <= 128; layout.lanes++) {
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            uint16_t partition = UINT16_MAX;
            int64_t lane = (cases[i].hash & 0x7fffffff) % layout.lanes;
            assert_int_equal(
                cairn_kafka_layout_find(&layout, cairn_slice_str(cases[i].stream), &partition),
                CAIRN_OK);
            assert_int_equal(partition, cases[i].topic * layout.lanes + lane);
        }
    }
}

static void a_stream_without_a_topic_is_not_found(void **state)
{
    (void)state;
    struct cairn_kafka_layout layout = bank();
    uint16_t partition = 4711;
    assert_int_equal(cairn_kafka_layout_find(&layout, CAIRN_SLICE_LIT("account2-1"), &partition),
                     CAIRN_ENOAGGREGATE);
    assert_int_equal(partition, 4711);
}

static void topics_are_named_after_domain_and_aggregate(void **state)
{
    (void)state;
    char name[CAIRN_KAFKA_TOPIC_NAME_MAX + 1];
    struct cairn_kafka_layout layout = bank();
    cairn_kafka_layout_topic_name(&layout, 0, name);
    assert_string_equal(name, "bank.account");
    cairn_kafka_layout_topic_name(&layout, 1, name);
    assert_string_equal(name, "bank.transfer");
    cairn_kafka_layout_topic_name(&layout, 2, name);
    assert_string_equal(name, "bank._cairn");
    memset(layout.domain, 'd', sizeof(layout.domain) - 1);
    memset(layout.aggregates[1], 'a', CAIRN_AGGREGATE_BYTES_MAX);
    cairn_kafka_layout_topic_name(&layout, 1, name);
    assert_int_equal(strlen(name),
                     sizeof(layout.domain) - 1 + 1 + (size_t)CAIRN_AGGREGATE_BYTES_MAX);
}

static void the_description_is_this_text_and_reads_back(void **state)
{
    (void)state;
    struct cairn_err err;
    struct cairn_kafka_layout layout = bank();
    struct cairn_kafka_layout again;
    struct cairn_buf text = {.max = 4096};
    assert_int_equal(cairn_kafka_layout_write(&layout, &text), CAIRN_OK);
    assert_true(cairn_slice_is(cairn_buf_slice(&text), TEXT));
    assert_ok(cairn_kafka_layout_read(cairn_buf_slice(&text), &again, &err), &err);
    assert_memory_equal(&again, &layout, sizeof(layout));
    cairn_buf_fini(&text);
}

static void the_largest_layout_reads_back(void **state)
{
    (void)state;
    struct cairn_err err;
    struct cairn_kafka_layout layout = bank();
    struct cairn_kafka_layout again;
    struct cairn_buf text = {.max = 16 * 1024};
    layout.topic_count = CAIRN_KAFKA_TOPICS_MAX;
    layout.lanes = CAIRN_PARTITIONS_MAX / CAIRN_KAFKA_TOPICS_MAX;
    memset(layout.domain, 'd', CAIRN_AGGREGATE_BYTES_MAX);
    for (int i = 0; i < CAIRN_KAFKA_TOPICS_MAX; i++) {
        memset(layout.aggregates[i], 'a', CAIRN_AGGREGATE_BYTES_MAX);
        layout.aggregates[i][CAIRN_AGGREGATE_BYTES_MAX - 1] = (char)('0' + i % 10);
        layout.aggregates[i][CAIRN_AGGREGATE_BYTES_MAX - 2] = (char)('0' + i / 10);
    }
    assert_int_equal(cairn_kafka_layout_write(&layout, &text), CAIRN_OK);
    assert_ok(cairn_kafka_layout_read(cairn_buf_slice(&text), &again, &err), &err);
    assert_memory_equal(&again, &layout, sizeof(layout));
    assert_int_equal(cairn_kafka_layout_partitions(&again), CAIRN_PARTITIONS_MAX);
    cairn_buf_fini(&text);
}

/* What a released program wrote reads for ever. The file is frozen. */
static void a_frozen_description_reads(void **state)
{
    (void)state;
    struct cairn_err err;
    struct cairn_kafka_layout layout;
    struct cairn_buf text = {.max = 4096};
    assert_ok(cairn_file_read(GOLDEN, &text, &err), &err);
    assert_ok(cairn_kafka_layout_read(cairn_buf_slice(&text), &layout, &err), &err);
    struct cairn_kafka_layout wanted = bank();
    assert_memory_equal(&layout, &wanted, sizeof(layout));
    cairn_buf_fini(&text);
}

static void what_is_no_description_is_refused_and_changes_nothing(void **state)
{
    (void)state;
#define AGGREGATES "\"aggregates\":[\"account\"]"
    static const struct {
        const char *text;
        enum cairn_rc rc;
        const char *what;
    } cases[] = {
        {"", CAIRN_EMALFORMED, "the log's description: "},
        {"{", CAIRN_EMALFORMED, "the log's description: "},
        {"7", CAIRN_EMALFORMED, "format"},
        {"{}", CAIRN_EMALFORMED, "format"},
        {"{\"format\":\"1\"}", CAIRN_EMALFORMED, "format"},
        {"{\"format\":0}", CAIRN_EMALFORMED, "format"},
        {"{\"format\":2}", CAIRN_EUNSUPPORTED, "format 2"},
        {"{\"format\":1}", CAIRN_EMALFORMED, "hash"},
        {"{\"format\":1,\"hash\":3}", CAIRN_EMALFORMED, "hash"},
        {"{\"format\":1,\"hash\":\"crc32\"}", CAIRN_EUNSUPPORTED, "crc32"},
        {"{\"format\":1,\"hash\":\"murmur2\"}", CAIRN_EMALFORMED, "id"},
        {"{\"format\":1,\"hash\":\"murmur2\",\"id\":\"00\"}", CAIRN_EMALFORMED, "id"},
        {"{\"format\":1,\"hash\":\"murmur2\",\"id\":\"" ID "\"}", CAIRN_EMALFORMED, "domain"},
        {"{\"format\":1,\"hash\":\"murmur2\",\"id\":\"" ID "\",\"domain\":\"a.b\"}",
         CAIRN_EMALFORMED, "domain"},
        {"{\"format\":1,\"hash\":\"murmur2\",\"id\":\"" ID
         "\",\"domain\":\"bank\",\"partitions\":0," AGGREGATES "}",
         CAIRN_EMALFORMED, "partitions"},
        {"{\"format\":1,\"hash\":\"murmur2\",\"id\":\"" ID
         "\",\"domain\":\"bank\",\"partitions\":257," AGGREGATES "}",
         CAIRN_EMALFORMED, "partitions"},
        {"{\"format\":1,\"hash\":\"murmur2\",\"id\":\"" ID
         "\",\"domain\":\"bank\",\"partitions\":4.0," AGGREGATES "}",
         CAIRN_EMALFORMED, "partitions"},
        {"{\"format\":1,\"hash\":\"murmur2\",\"id\":\"" ID
         "\",\"domain\":\"bank\",\"partitions\":129,\"aggregates\":[\"a\",\"b\"]}",
         CAIRN_EMALFORMED, "2 aggregates of 129 partitions"},
        {"{\"format\":1,\"hash\":\"murmur2\"," REST "\"aggregates\":{}}", CAIRN_EMALFORMED,
         "1..64 aggregates"},
        {"{\"format\":1,\"hash\":\"murmur2\"," REST "\"aggregates\":[]}", CAIRN_EMALFORMED,
         "1..64 aggregates"},
        {"{\"format\":1,\"hash\":\"murmur2\"," REST "\"aggregates\":[\"a\",1]}", CAIRN_EMALFORMED,
         "aggregate 1 is"},
        {"{\"format\":1,\"hash\":\"murmur2\"," REST "\"aggregates\":[\"A\"]}", CAIRN_EMALFORMED,
         "aggregate 0 is"},
        {"{\"format\":1,\"hash\":\"murmur2\"," REST "\"aggregates\":[\"a\",\"b\",\"a\"]}",
         CAIRN_EMALFORMED, "aggregate 2 is"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cairn_err err = {.rc = CAIRN_OK};
        struct cairn_kafka_layout layout = {.lanes = 4711};
        enum cairn_rc rc = cairn_kafka_layout_read(cairn_slice_str(cases[i].text), &layout, &err);
        if (rc != cases[i].rc || err.rc != rc || strstr(err.text, cases[i].what) == NULL) {
            fail_msg("case %zu: %s: %s", i, cairn_err_info(rc)->name, err.text);
        }
        assert_int_equal(layout.lanes, 4711);
        assert_int_equal(layout.topic_count, 0);
    }
}

static void members_that_nobody_knows_are_passed_over(void **state)
{
    (void)state;
    struct cairn_err err;
    struct cairn_kafka_layout layout;
    struct cairn_slice text =
        CAIRN_SLICE_LIT(" {\"note\":{\"a\":[1]},\"format\":1," REST
                        "\"hash\":\"murmur2\",\"aggregates\":[\"account\",\"transfer\"]}\n");
    assert_ok(cairn_kafka_layout_read(text, &layout, &err), &err);
    struct cairn_kafka_layout wanted = bank();
    assert_memory_equal(&layout, &wanted, sizeof(layout));
}

static void too_many_aggregates_and_too_long_a_text_are_refused(void **state)
{
    (void)state;
    struct cairn_err err;
    struct cairn_kafka_layout layout = {.lanes = 4711};
    struct cairn_buf text = {.max = 32 * 1024};
    assert_int_equal(
        cairn_buf_append_str(&text, "{\"format\":1,\"hash\":\"murmur2\",\"id\":\"" ID
                                    "\",\"domain\":\"bank\",\"partitions\":1,\"aggregates\":["),
        CAIRN_OK);
    for (int i = 0; i <= CAIRN_KAFKA_TOPICS_MAX; i++) {
        assert_int_equal(cairn_buf_printf(&text, "%s\"a%d\"", i == 0 ? "" : ",", i), CAIRN_OK);
    }
    assert_int_equal(cairn_buf_append_str(&text, "]}"), CAIRN_OK);
    assert_int_equal(cairn_kafka_layout_read(cairn_buf_slice(&text), &layout, &err),
                     CAIRN_EMALFORMED);
    assert_non_null(strstr(err.text, "1..64 aggregates"));
    cairn_buf_truncate(&text, 0);
    assert_int_equal(cairn_buf_append_str(&text, TEXT), CAIRN_OK);
    while (text.size <= 16 * 1024) {
        assert_int_equal(cairn_buf_append_byte(&text, ' '), CAIRN_OK);
    }
    assert_int_equal(cairn_kafka_layout_read(cairn_buf_slice(&text), &layout, &err),
                     CAIRN_EMALFORMED);
    assert_non_null(strstr(err.text, "longer than"));
    assert_int_equal(layout.lanes, 4711);
    text.size--;
    assert_ok(cairn_kafka_layout_read(cairn_buf_slice(&text), &layout, &err), &err);
    cairn_buf_fini(&text);
}

static void without_memory_or_room_nothing_is_put_out(void **state)
{
    (void)state;
    skip_without_faults();
    struct cairn_kafka_layout layout = bank();
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_MEM) || after == 0; after++) {
        struct cairn_err err = {.rc = CAIRN_OK};
        struct cairn_kafka_layout again = {.lanes = 4711};
        struct cairn_buf text = {.max = 4096};
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = cairn_kafka_layout_write(&layout, &text);
        if (rc == CAIRN_OK) {
            rc = cairn_kafka_layout_read(cairn_buf_slice(&text), &again, &err);
        } else {
            assert_int_equal(text.size, 0);
        }
        assert_int_equal(rc, cairn_fault_fired(CAIRN_FAULT_MEM) ? CAIRN_ENOMEM : CAIRN_OK);
        assert_int_equal(again.lanes, rc == CAIRN_OK ? 4 : 4711);
        cairn_buf_fini(&text);
    }
    cairn_fault_disarm();
    struct cairn_buf small = {.max = 100};
    assert_int_equal(cairn_buf_append_str(&small, "before"), CAIRN_OK);
    assert_int_equal(cairn_kafka_layout_write(&layout, &small), CAIRN_ETOOBIG);
    assert_true(cairn_slice_is(cairn_buf_slice(&small), "before"));
    cairn_buf_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partitions_are_numbered_topic_by_topic),
        cmocka_unit_test(a_stream_lies_where_kafka_itself_would_put_its_key),
        cmocka_unit_test(a_stream_without_a_topic_is_not_found),
        cmocka_unit_test(topics_are_named_after_domain_and_aggregate),
        cmocka_unit_test(the_description_is_this_text_and_reads_back),
        cmocka_unit_test(the_largest_layout_reads_back),
        cmocka_unit_test(a_frozen_description_reads),
        cmocka_unit_test(what_is_no_description_is_refused_and_changes_nothing),
        cmocka_unit_test(members_that_nobody_knows_are_passed_over),
        cmocka_unit_test(too_many_aggregates_and_too_long_a_text_are_refused),
        cmocka_unit_test(without_memory_or_room_nothing_is_put_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
