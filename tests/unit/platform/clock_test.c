#include "platform/clock.h"

#include <stdio.h>
#include <time.h>

#include "tests/support/cm.h"

#define US_PER_DAY INT64_C(86400000000)
/* 0000-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z. */
#define FIRST_US INT64_C(-62167219200000000)
#define LAST_US  INT64_C(253402300799999999)

static int64_t parse_ok(const char *text)
{
    int64_t time_us = INT64_MIN;
    if (cairn_clock_parse(cairn_slice_str(text), &time_us) != CAIRN_OK) {
        fail_msg("\"%s\" is a time", text);
    }
    return time_us;
}

static void formats_as_rfc_3339_with_microseconds(void **state)
{
    (void)state;
    static const struct {
        int64_t time_us;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {INT64_C(951782400000000), "2000-02-29T00:00:00.000000Z"},
        {INT64_C(1769851800123456), "2026-01-31T09:30:00.123456Z"},
        {INT64_C(4107542399999999), "2100-02-28T23:59:59.999999Z"},
        {FIRST_US, "0000-01-01T00:00:00.000000Z"},
        {LAST_US, "9999-12-31T23:59:59.999999Z"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[CAIRN_TIME_TEXT_MAX];
        assert_int_equal(cairn_clock_format(cases[i].time_us, text), 27);
        assert_string_equal(text, cases[i].text);
        assert_true(parse_ok(text) == cases[i].time_us);
    }
}

static void times_out_of_range_are_formatted_as_the_edge(void **state)
{
    (void)state;
    char text[CAIRN_TIME_TEXT_MAX];
    (void)cairn_clock_format(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999999Z");
    (void)cairn_clock_format(INT64_MIN, text);
    assert_string_equal(text, "0000-01-01T00:00:00.000000Z");
}

static void every_day_agrees_with_the_c_library_and_reads_back(void **state)
{
    (void)state;
    int64_t noon = US_PER_DAY / 2 + 7;
    for (int64_t day = FIRST_US / US_PER_DAY; day <= LAST_US / US_PER_DAY - 1; day++) {
        int64_t time_us = day * US_PER_DAY + noon;
        char text[CAIRN_TIME_TEXT_MAX];
        (void)cairn_clock_format(time_us, text);
        assert_true(parse_ok(text) == time_us);
        if (day % 11 == 0) {
            time_t seconds = (time_t)(day * 86400 + 43200);
            struct tm parts;
            assert_non_null(gmtime_r(&seconds, &parts));
            char wanted[80];
            (void)snprintf(wanted, sizeof(wanted), "%04d-%02d-%02dT12:00:00.000007Z",
                           parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
            assert_string_equal(text, wanted);
        }
    }
}

static void reads_offsets_fractions_and_either_case(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *same;
    } cases[] = {
        {"2026-01-31T09:30:00Z", "2026-01-31T09:30:00.000000Z"},
        {"2026-01-31t09:30:00z", "2026-01-31T09:30:00.000000Z"},
        {"2026-01-31 09:30:00Z", "2026-01-31T09:30:00.000000Z"},
        {"2026-01-31T10:30:00+01:00", "2026-01-31T09:30:00.000000Z"},
        {"2026-01-31T00:00:00-09:30", "2026-01-31T09:30:00.000000Z"},
        {"2026-01-31T09:30:00.5Z", "2026-01-31T09:30:00.500000Z"},
        {"2026-01-31T09:30:00.1234569Z", "2026-01-31T09:30:00.123456Z"},
        {"2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z"},
        {"2017-01-01T00:59:60+01:00", "2017-01-01T00:00:00.000000Z"},
        {"2024-02-29T00:00:00-00:00", "2024-02-29T00:00:00.000000Z"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[CAIRN_TIME_TEXT_MAX];
        (void)cairn_clock_format(parse_ok(cases[i].text), text);
        assert_string_equal(text, cases[i].same);
    }
}

static void what_is_no_time_is_refused_and_leaves_the_output_alone(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2026",
        "2026-01-31",
        "2026-01-31T09:30Z",
        "2026-01-31T09:30:00",
        "2026-1-31T09:30:00Z",
        "2026-01-31T09:30:00.Z",
        "2026-01-31T09:30:00+1:00",
        "2026-01-31T09:30:00+0100",
        "2026-01-31T09:30:00+24:00",
        "2026-01-31T09:30:00+01:60",
        "2026-01-31T24:00:00Z",
        "2026-01-31T09:60:00Z",
        "2026-01-31T09:30:61Z",
        "2026-01-31T09:30:60Z",
        "2026-00-31T09:30:00Z",
        "2026-13-01T09:30:00Z",
        "2026-01-00T09:30:00Z",
        "2026-01-32T09:30:00Z",
        "2026-02-29T09:30:00Z",
        "1900-02-29T09:30:00Z",
        "2026-04-31T09:30:00Z",
        "2026-01-31T09:30:00Z ",
        " 2026-01-31T09:30:00Z",
        "-026-01-31T09:30:00Z",
        "2026-01-31T09:30:00ZZ",
        "2026/01/31T09:30:00Z",
        "0000-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "9999-12-31T23:59:60Z",
        "2026-01-31T09:30:00,5Z",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t time_us = 42;
        if (cairn_clock_parse(cairn_slice_str(bad[i]), &time_us) != CAIRN_EINVAL) {
            fail_msg("\"%s\" is no time", bad[i]);
        }
        assert_int_equal(time_us, 42);
    }
}

static void a_nul_byte_is_no_digit_and_no_separator(void **state)
{
    (void)state;
    char text[] = "2026-01-31T09:30:00Z";
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        char kept = text[i];
        text[i] = '\0';
        int64_t time_us = 0;
        assert_int_equal(cairn_clock_parse(cairn_slice_of(text, sizeof(text) - 1), &time_us),
                         CAIRN_EINVAL);
        text[i] = kept;
    }
}

static void
the_systems_clock_is_of_this_century_and_the_monotonic_one_never_steps_back(void **state)
{
    (void)state;
    const struct cairn_clock *clock = cairn_clock_system();
    assert_true(cairn_clock_now_us(clock) > parse_ok("2024-01-01T00:00:00Z"));
    assert_true(cairn_clock_now_us(clock) < parse_ok("2124-01-01T00:00:00Z"));
    int64_t last = cairn_clock_monotonic_ns(clock);
    for (int i = 0; i < 1000; i++) {
        int64_t now = cairn_clock_monotonic_ns(clock);
        assert_true(now >= last);
        last = now;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_as_rfc_3339_with_microseconds),
        cmocka_unit_test(times_out_of_range_are_formatted_as_the_edge),
        cmocka_unit_test(every_day_agrees_with_the_c_library_and_reads_back),
        cmocka_unit_test(reads_offsets_fractions_and_either_case),
        cmocka_unit_test(what_is_no_time_is_refused_and_leaves_the_output_alone),
        cmocka_unit_test(a_nul_byte_is_no_digit_and_no_separator),
        cmocka_unit_test(
            the_systems_clock_is_of_this_century_and_the_monotonic_one_never_steps_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
