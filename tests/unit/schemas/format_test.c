#include "schemas/format.h"

#include "tests/support/cm.h"

static const struct {
    const char *format;
    const char *text;
    bool matches;
} CASES[] = {
    {"date", "2024-02-29", true},
    {"date", "2023-02-29", false},
    {"date", "2024-2-1", false},
    {"time", "23:59:60Z", true},
    {"time", "22:59:60Z", false},
    {"time", "00:59:60+01:00", true},
    {"time", "12:00:00", false},
    {"date-time", "1963-06-19t08:30:06.283185z", true},
    {"date-time", "1963-06-19 08:30:06Z", false},
    {"duration", "P4DT12H30M5S", true},
    {"duration", "P1Y1D", false},
    {"duration", "PT", false},
    {"duration", "P2W", true},
    {"email", "a.b@example.com", true},
    {"email", "\"a b\"@[127.0.0.1]", true},
    {"email", "a..b@example.com", false},
    {"email", "@example.com", false},
    {"idn-email", "\xed\x95\x9c@example.com", true},
    {"hostname", "a-1.example", true},
    {"hostname", "-a.example", false},
    {"hostname", "a..b", false},
    {"ipv4", "127.0.0.1", true},
    {"ipv4", "127.0.0.01", false},
    {"ipv4", "127.0.1", false},
    {"ipv6", "::", true},
    {"ipv6", "1::ffff:10.0.0.1", true},
    {"ipv6", "1:2:3:4:5:6:7:8", true},
    {"ipv6", "1:2:3:4:5:6:7", false},
    {"ipv6", "1::2::3", false},
    {"ipv6", ":1", false},
    {"uri", "http://user@[::1]:80/a?b#c", true},
    {"uri", "urn:uuid:1", true},
    {"uri", "/a", false},
    {"uri", "http://a b", false},
    {"uri", "http://[::1", false},
    {"uri-reference", "/a%20b", true},
    {"uri-reference", "a%2", false},
    {"iri", "http://\xc3\xa9.example/", true},
    {"uri-template", "/a/{b,c*}{?d:3}", true},
    {"uri-template", "/a/{b", false},
    {"uuid", "2eb8aa08-aa98-11ea-b4aa-73b441d16380", true},
    {"uuid", "2eb8aa08aa98-11ea-b4aa73b441d16380----", false},
    {"json-pointer", "/a~1b/~0", true},
    {"json-pointer", "a", false},
    {"json-pointer", "/~2", false},
    {"relative-json-pointer", "0#", true},
    {"relative-json-pointer", "01/a", false},
    {"regex", "^[a-z]+$", true},
    {"regex", "(", false},
};

static void each_format_tells_its_own_from_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        const struct cairn_format *format = cairn_format_find(cairn_slice_str(CASES[i].format));
        assert_non_null(format);
        if (format->matches(cairn_slice_str(CASES[i].text)) != CASES[i].matches) {
            fail_msg("%s: %s", CASES[i].format, CASES[i].text);
        }
    }
}

static void every_format_of_the_table_refuses_nonsense_and_survives_it(void **state)
{
    (void)state;
    static const char *const NONSENSE[] = {"{", "\\", "[",  "(", ":",  "%",
                                           "@", "P",  "{}", "-", "1::"};
    size_t count = 0;
    const struct cairn_format *table = cairn_format_table(&count);
    assert_true(count >= 18);
    for (size_t i = 0; i < count; i++) {
        size_t refused = 0;
        for (size_t k = 0; k < sizeof(NONSENSE) / sizeof(NONSENSE[0]); k++) {
            refused += table[i].matches(cairn_slice_str(NONSENSE[k])) ? 0 : 1;
        }
        (void)table[i].matches(CAIRN_SLICE_LIT(""));
        assert_true(refused > 0);
    }
}

static void an_unknown_format_is_none(void **state)
{
    (void)state;
    assert_null(cairn_format_find(CAIRN_SLICE_LIT("colour")));
    assert_null(cairn_format_find(CAIRN_SLICE_LIT("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_format_tells_its_own_from_others),
        cmocka_unit_test(every_format_of_the_table_refuses_nonsense_and_survives_it),
        cmocka_unit_test(an_unknown_format_is_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
