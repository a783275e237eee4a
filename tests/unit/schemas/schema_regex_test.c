#include "schemas/schema_regex.h"

#include "tests/support/cm.h"

enum verdict { REFUSED, NO_MATCH, MATCH };

static const struct {
    const char *pattern;
    const char *text;
    enum verdict verdict;
} CASES[] = {
    {"^\\p{Letter}+$", "\xcf\x80", MATCH},
    {"^\\p{Script=Greek}+$", "\xcf\x80", MATCH},
    {"^\\d$", "\xe0\xa7\xaa", NO_MATCH}, /* a digit, but not ASCII's */
    {"^\\s$", "\xc2\xa0", MATCH},
    {"^[\\s]$", "\xef\xbb\xbf", MATCH},
    {"^[\\s\\S]$", "\n", MATCH},
    {"^.$", "\xe2\x80\xa8", NO_MATCH}, /* a line separator */
    {"^.$", "\xf0\x9f\x98\x80", MATCH},
    {"^\\u{1f600}$", "\xf0\x9f\x98\x80", MATCH},
    {"^a$", "a\n", NO_MATCH},
    {"[[:alpha:]]", "a", NO_MATCH},
    {"[]", "x", NO_MATCH},
    {"^[^]$", "x", MATCH},
    {"(?<n>a)\\k<n>", "aa", MATCH},
    {"a++", "", REFUSED},
    {"a{2}+", "", REFUSED},
    {"(?i)a", "", REFUSED},
    {"(?P<n>a)", "", REFUSED},
    {"(*UTF)a", "", REFUSED},
    {"\\Aa", "", REFUSED},
    {"a\\Z", "", REFUSED},
    {"\\Q.\\E", "", REFUSED},
    {"(?<=a+)b", "", REFUSED},
    {"\\", "", REFUSED},
    {"a(", "", REFUSED},
};

static void patterns_mean_what_they_mean_in_ecma_262(void **state)
{
    (void)state;
    struct cairn_schema_matcher *matcher = NULL;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct cairn_schema_regex *regex = NULL;
        struct cairn_err err;
        enum verdict verdict = REFUSED;
        bool matches = false;
        if (cairn_schema_regex_new(cairn_slice_str(CASES[i].pattern), &regex, &err) == CAIRN_OK) {
            assert_int_equal(
                cairn_schema_regex_match(regex, cairn_slice_str(CASES[i].text), &matcher, &matches),
                CAIRN_OK);
            verdict = matches ? MATCH : NO_MATCH;
        } else {
            assert_int_equal(err.rc, CAIRN_EINVAL);
        }
        if (verdict != CASES[i].verdict) {
            fail_msg("%s on %s: %d", CASES[i].pattern, CASES[i].text, (int)verdict);
        }
        cairn_schema_regex_free(regex);
    }
    cairn_schema_matcher_free(matcher);
}

static void a_pattern_past_its_maximum_is_refused(void **state)
{
    (void)state;
    static char text[CAIRN_REGEX_PATTERN_MAX + 1];
    struct cairn_schema_regex *regex = NULL;
    memset(text, 's', sizeof(text));
    assert_int_equal(cairn_schema_regex_new(cairn_slice_of(text, sizeof(text)), &regex, NULL),
                     CAIRN_EINVAL);
    assert_int_equal(cairn_schema_regex_new(cairn_slice_of(text, sizeof(text) - 1), &regex, NULL),
                     CAIRN_OK);
    cairn_schema_regex_free(regex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(patterns_mean_what_they_mean_in_ecma_262),
                                       cmocka_unit_test(a_pattern_past_its_maximum_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
