#include "schemas/event.h"

#include "tests/support/cm.h"

static void a_stream_splits_at_its_first_dash(void **state)
{
    (void)state;
    struct cairn_slice stream = CAIRN_SLICE_LIT("bank_account-a-b");
    assert_true(cairn_slice_is(cairn_stream_aggregate(stream), "bank_account"));
    assert_true(cairn_slice_is(cairn_stream_id(stream), "a-b"));
}

static void names_are_checked_byte_by_byte(void **state)
{
    (void)state;
    static const struct {
        bool (*check)(struct cairn_slice name);
        const char *name;
        bool valid;
    } cases[] = {
        {cairn_aggregate_is_valid, "account", true},
        {cairn_aggregate_is_valid, "a_1", true},
        {cairn_aggregate_is_valid, "", false},
        {cairn_aggregate_is_valid, "1a", false},
        {cairn_aggregate_is_valid, "_a", false},
        {cairn_aggregate_is_valid, "Account", false},
        {cairn_aggregate_is_valid, "a-b", false},
        {cairn_id_is_valid, "A-z0.9_~:", true},
        {cairn_id_is_valid, "", false},
        {cairn_id_is_valid, "a b", false},
        {cairn_id_is_valid, "a/b", false},
        {cairn_id_is_valid, "\xc3\xa4", false},
        {cairn_stream_is_valid, "account-42", true},
        {cairn_stream_is_valid, "account--", true},
        {cairn_stream_is_valid, "account-", false},
        {cairn_stream_is_valid, "account", false},
        {cairn_stream_is_valid, "-42", false},
        {cairn_type_is_valid, "Deposited_2", true},
        {cairn_type_is_valid, "2Deposited", false},
        {cairn_type_is_valid, "a-b", false},
        {cairn_key_is_valid, "line 17 \xc3\xa4", true},
        {cairn_key_is_valid, "", false},
        {cairn_key_is_valid, "a\tb", false},
        {cairn_key_is_valid, "\x7f", false},
        {cairn_key_is_valid, "\xff", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (cases[i].check(cairn_slice_str(cases[i].name)) != cases[i].valid) {
            fail_msg("case %zu: '%s'", i, cases[i].name);
        }
    }
}

static void names_at_their_limit_pass_and_longer_ones_do_not(void **state)
{
    (void)state;
    static const struct {
        bool (*check)(struct cairn_slice name);
        size_t max;
    } cases[] = {
        {cairn_aggregate_is_valid, CAIRN_AGGREGATE_BYTES_MAX},
        {cairn_id_is_valid, CAIRN_ID_BYTES_MAX},
        {cairn_type_is_valid, CAIRN_TYPE_BYTES_MAX},
        {cairn_key_is_valid, CAIRN_KEY_BYTES_MAX},
    };
    char name[512];
    memset(name, 'a', sizeof(name));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(cases[i].check(cairn_slice_of(name, cases[i].max)));
        assert_false(cases[i].check(cairn_slice_of(name, cases[i].max + 1)));
    }
}

static void check_text(const struct cairn_value *event, const char *name, const char *text)
{
    struct cairn_slice found = cairn_value_get_string(event, name);
    if (!cairn_slice_is(found, text)) {
        fail_msg("%s is '%.*s', not '%s'", name, CAIRN_SLICE_ARG(found), text);
    }
}

static void an_event_is_a_cloudevent(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = 1u << 16};
    struct cairn_value data = cairn_value_int(42);
    struct cairn_value value;
    struct cairn_event event = {.stream = CAIRN_SLICE_LIT("account-42"),
                                .type = CAIRN_SLICE_LIT("Deposited"),
                                .version = 8,
                                .time_us = 1700000000123456,
                                .schema_version = 2,
                                .causation = CAIRN_SLICE_LIT("request-1"),
                                .count = 1};
    assert_int_equal(cairn_event_cloudevent(&event, CAIRN_SLICE_LIT("bank"), &data,
                                            CAIRN_SLICE_LIT("0:17"), &arena, &value),
                     CAIRN_OK);
    check_text(&value, "specversion", "1.0");
    check_text(&value, "id", "00000000-0000-0000-0000-000000000000");
    check_text(&value, "type", "Deposited");
    check_text(&value, "source", "/bank/account");
    check_text(&value, "subject", "account-42");
    check_text(&value, "time", "2023-11-14T22:13:20.123456Z");
    check_text(&value, "position", "0:17");
    check_text(&value, "causationid", "request-1");
    assert_int_equal(cairn_value_at(&value, "streamversion")->as.integer, 8);
    assert_int_equal(cairn_value_at(&value, "data")->as.integer, 42);
    assert_null(cairn_value_at(&value, "principal"));
    assert_null(cairn_value_at(&value, "traceparent"));
    struct cairn_arena small = {.max = 64};
    assert_int_equal(cairn_event_cloudevent(&event, CAIRN_SLICE_LIT("bank"), &data,
                                            CAIRN_SLICE_LIT("0:17"), &small, &value),
                     CAIRN_ENOMEM);
    cairn_arena_fini(&small);
    cairn_arena_fini(&arena);
}

static void a_difference_is_told_by_its_name(void **state)
{
    (void)state;
    const struct cairn_slice text = CAIRN_SLICE_LIT("x");
    const struct {
        const char *name;
        struct cairn_event event;
    } cases[] = {
        {"id", {.id = {{1}}}},
        {"stream", {.stream = text}},
        {"version", {.version = 1}},
        {"type", {.type = text}},
        {"time", {.time_us = 1}},
        {"schema version", {.schema_version = 1}},
        {"index", {.index = 1}},
        {"count", {.count = 1}},
        {"data", {.data = text}},
        {"key", {.key = text}},
        {"fingerprint", {.fingerprint = {1}}},
        {"causation", {.causation = text}},
        {"correlation", {.correlation = text}},
        {"principal", {.principal = text}},
        {"traceparent", {.traceparent = text}},
    };
    const struct cairn_event none = {.offset = 0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(cairn_event_difference(&none, &cases[i].event), cases[i].name);
        assert_null(cairn_event_difference(&cases[i].event, &cases[i].event));
    }
    const struct cairn_event elsewhere = {.partition = 3, .offset = 7};
    assert_null(cairn_event_difference(&none, &elsewhere));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_splits_at_its_first_dash),
        cmocka_unit_test(names_are_checked_byte_by_byte),
        cmocka_unit_test(names_at_their_limit_pass_and_longer_ones_do_not),
        cmocka_unit_test(an_event_is_a_cloudevent),
        cmocka_unit_test(a_difference_is_told_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
