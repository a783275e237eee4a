#include "eventstore/control_record.h"

#include "platform/fault.h"

#include "tests/support/cm.h"

static const struct cairn_uuid RUN = {{0x01, 0x90, 0xaa, 0xbb, 0xcc, 0xdd, 0x7e, 0xff, 0x80, 1}};

static struct cairn_control_record make(enum cairn_control_kind kind, uint16_t lane)
{
    struct cairn_control_record record = {
        .kind = kind, .run = RUN, .lane = lane, .time_us = 1769851800123456};
    memcpy(record.node, "node-1.a_B", 11);
    if (kind == CAIRN_CONTROL_BEAT || kind == CAIRN_CONTROL_READY) {
        memcpy(record.url, "http://[::1]:8080/\"x\"", 22);
    }
    if (lane != CAIRN_LANE_NONE) {
        record.term = CAIRN_TERM_MAX;
        record.ids = 4;
    }
    record.leaving = kind == CAIRN_CONTROL_BEAT;
    return record;
}

static void assert_same(const struct cairn_control_record *a, const struct cairn_control_record *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_string_equal(a->node, b->node);
    assert_string_equal(a->url, b->url);
    assert_memory_equal(&a->run, &b->run, sizeof(a->run));
    assert_int_equal(a->leaving, b->leaving);
    assert_int_equal(a->lane, b->lane);
    assert_int_equal(a->term, b->term);
    assert_int_equal(a->ids, b->ids);
    assert_int_equal(a->time_us, b->time_us);
}

static void every_kind_reads_back_as_written(void **state)
{
    (void)state;
    static const uint16_t LANES[] = {CAIRN_LANE_NONE, CAIRN_LANE_NONE, 0, 7, 255};
    for (unsigned kind = CAIRN_CONTROL_BEAT; kind < CAIRN_CONTROL_ERASE; kind++) {
        struct cairn_buf key = {.max = CAIRN_CONTROL_KEY_MAX};
        struct cairn_buf value = {.max = CAIRN_CONTROL_VALUE_MAX};
        struct cairn_control_record record = make((enum cairn_control_kind)kind, LANES[kind]);
        struct cairn_control_record back;
        struct cairn_err err;
        assert_int_equal(cairn_control_write(&record, &key, &value), CAIRN_OK);
        assert_ok(cairn_control_read(cairn_buf_slice(&key), cairn_buf_slice(&value), &back, &err),
                  &err);
        assert_same(&record, &back);
        cairn_buf_fini(&key);
        cairn_buf_fini(&value);
    }
}

static void the_form_is_the_documented_one(void **state)
{
    (void)state;
    struct cairn_buf key = {.max = CAIRN_CONTROL_KEY_MAX};
    struct cairn_buf value = {.max = CAIRN_CONTROL_VALUE_MAX};
    struct cairn_control_record record = make(CAIRN_CONTROL_CLAIM, 12);
    assert_int_equal(cairn_control_write(&record, &key, &value), CAIRN_OK);
    assert_true(cairn_slice_is(cairn_buf_slice(&key), "lane/12/node-1.a_B"));
    assert_true(cairn_slice_is(
        cairn_buf_slice(&value),
        "{\"kind\":\"claim\",\"run\":\"0190aabb-ccdd-7eff-8001-000000000000\","
        "\"term\":9007199254740991,\"ids\":4,\"time\":\"2026-01-31T09:30:00.123456Z\"}"));
    cairn_buf_fini(&key);
    cairn_buf_fini(&value);
}

static void a_tombstone_reads_as_an_erase_of_its_key(void **state)
{
    (void)state;
    struct cairn_control_record record;
    struct cairn_err err;
    assert_ok(cairn_control_read(CAIRN_SLICE_LIT("lane/3/n"), CAIRN_SLICE_NONE, &record, &err),
              &err);
    assert_int_equal(record.kind, CAIRN_CONTROL_ERASE);
    assert_int_equal(record.lane, 3);
    assert_string_equal(record.node, "n");
    assert_ok(cairn_control_read(CAIRN_SLICE_LIT("node/n"), CAIRN_SLICE_NONE, &record, &err), &err);
    assert_int_equal(record.lane, CAIRN_LANE_NONE);
}

static void a_key_of_another_form_is_refused(void **state)
{
    (void)state;
    static const char *const KEYS[] = {
        "",
        "log",
        "node",
        "node/",
        "node/a/b",
        "node/a b",
        "lane/",
        "lane/1",
        "lane/1/",
        "lane//a",
        "lane/01/a",
        "lane/-1/a",
        "lane/1x/a",
        "lane/65535/a",
        "lane/99999/a",
        "lane/1/a/b",
        "Node/a",
        "lane/1/\xc3\xa4",
        "node/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };
    for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++) {
        struct cairn_control_record record;
        struct cairn_err err;
        assert_int_equal(
            cairn_control_read(cairn_slice_str(KEYS[i]), CAIRN_SLICE_NONE, &record, &err),
            CAIRN_EMALFORMED);
    }
}

#define RUN_TEXT  "\"run\":\"0190aabb-ccdd-7eff-8001-000000000000\""
#define TIME_TEXT "\"time\":\"2026-01-31T09:30:00Z\""

static void a_value_of_another_form_is_refused(void **state)
{
    (void)state;
    static const char *const VALUES[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"kind\":\"vote\"," RUN_TEXT ",\"term\":1,\"ids\":1," TIME_TEXT "}",
        "{\"kind\":\"beat\"," RUN_TEXT ",\"url\":\"u\",\"leaving\":false," TIME_TEXT "}",
        "{\"kind\":\"claim\",\"term\":1,\"ids\":1," TIME_TEXT "}",
        "{\"kind\":\"claim\"," RUN_TEXT ",\"term\":1,\"ids\":1}",
        "{\"kind\":\"claim\"," RUN_TEXT ",\"term\":0,\"ids\":1," TIME_TEXT "}",
        "{\"kind\":\"claim\"," RUN_TEXT ",\"term\":9007199254740992,\"ids\":1," TIME_TEXT "}",
        "{\"kind\":\"claim\"," RUN_TEXT ",\"term\":1.0,\"ids\":1," TIME_TEXT "}",
        "{\"kind\":\"claim\"," RUN_TEXT ",\"term\":1,\"ids\":65536," TIME_TEXT "}",
        "{\"kind\":\"claim\"," RUN_TEXT ",\"term\":1,\"ids\":-1," TIME_TEXT "}",
        "{\"kind\":\"ready\"," RUN_TEXT ",\"term\":1,\"ids\":1," TIME_TEXT "}",
        "{\"kind\":\"ready\"," RUN_TEXT ",\"term\":1,\"ids\":1,\"url\":\"a\\u0000b\"," TIME_TEXT
        "}",
        "{\"kind\":\"ready\"," RUN_TEXT ",\"term\":1,\"ids\":1,\"url\":7," TIME_TEXT "}",
    };
    for (size_t i = 0; i < sizeof(VALUES) / sizeof(VALUES[0]); i++) {
        struct cairn_control_record record;
        struct cairn_err err;
        assert_int_equal(cairn_control_read(CAIRN_SLICE_LIT("lane/1/n"), cairn_slice_str(VALUES[i]),
                                            &record, &err),
                         CAIRN_EMALFORMED);
    }
}

static void members_of_later_versions_are_passed_over(void **state)
{
    (void)state;
    struct cairn_control_record record;
    struct cairn_err err;
    assert_ok(cairn_control_read(CAIRN_SLICE_LIT("node/n"),
                                 CAIRN_SLICE_LIT("{\"zone\":{\"a\":1},\"kind\":\"beat\"," RUN_TEXT
                                                 ",\"url\":\"\",\"leaving\":false," TIME_TEXT "}"),
                                 &record, &err),
              &err);
    assert_int_equal(record.kind, CAIRN_CONTROL_BEAT);
    assert_false(record.leaving);
}

static void the_longest_record_fits(void **state)
{
    (void)state;
    struct cairn_buf key = {.max = CAIRN_CONTROL_KEY_MAX};
    struct cairn_buf value = {.max = CAIRN_CONTROL_VALUE_MAX};
    struct cairn_control_record record = make(CAIRN_CONTROL_READY, 65534);
    memset(record.node, 'n', CAIRN_NODE_ID_MAX);
    memset(record.url, 1, CAIRN_NODE_URL_MAX); /* six bytes each in JSON */
    record.ids = UINT16_MAX;
    assert_int_equal(cairn_control_write(&record, &key, &value), CAIRN_OK);
    struct cairn_control_record back;
    struct cairn_err err;
    assert_ok(cairn_control_read(cairn_buf_slice(&key), cairn_buf_slice(&value), &back, &err),
              &err);
    assert_same(&record, &back);
    cairn_buf_fini(&key);
    cairn_buf_fini(&value);
}

static void without_memory_nothing_is_written_or_read(void **state)
{
    (void)state;
    skip_without_faults();
    struct cairn_control_record record = make(CAIRN_CONTROL_READY, 1);
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_MEM) || after == 0; after++) {
        struct cairn_buf key = {.max = CAIRN_CONTROL_KEY_MAX};
        struct cairn_buf value = {.max = CAIRN_CONTROL_VALUE_MAX};
        struct cairn_control_record back = {.lane = 99};
        struct cairn_err err;
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = cairn_control_write(&record, &key, &value);
        assert_true(rc == CAIRN_OK || (rc == CAIRN_ENOMEM && key.size == 0 && value.size == 0));
        if (rc == CAIRN_OK) {
            rc = cairn_control_read(cairn_buf_slice(&key), cairn_buf_slice(&value), &back, &err);
            assert_true(rc == CAIRN_OK || (rc == CAIRN_ENOMEM && back.lane == 99));
        }
        cairn_buf_fini(&key);
        cairn_buf_fini(&value);
    }
    cairn_fault_disarm();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_reads_back_as_written),
        cmocka_unit_test(the_form_is_the_documented_one),
        cmocka_unit_test(a_tombstone_reads_as_an_erase_of_its_key),
        cmocka_unit_test(a_key_of_another_form_is_refused),
        cmocka_unit_test(a_value_of_another_form_is_refused),
        cmocka_unit_test(members_of_later_versions_are_passed_over),
        cmocka_unit_test(the_longest_record_fits),
        cmocka_unit_test(without_memory_nothing_is_written_or_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
