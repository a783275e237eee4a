/* Patterns against a matcher that tries everything. */
#include "projector/lmdb/view_pattern.h"

#include "tests/support/cm.h"

#define LENGTH_MAX 6

static bool slow_match(const char *pattern, const char *text)
{
    if (*pattern == '*') {
        return slow_match(pattern + 1, text) || (*text != 0 && slow_match(pattern, text + 1));
    }
    return *pattern == *text && (*text == 0 || slow_match(pattern + 1, text + 1));
}

/* The number-th text over letters, shorter ones first; false behind the last of LENGTH_MAX. */
static bool make_text(size_t number, const char *letters, char text[LENGTH_MAX + 1])
{
    size_t base = strlen(letters);
    size_t size = 0;
    for (; number > 0; number = (number - 1) / base) {
        if (size == LENGTH_MAX) {
            return false;
        }
        text[size++] = letters[(number - 1) % base];
    }
    text[size] = 0;
    return true;
}

static void every_short_pattern_matches_what_a_slow_one_does(void **state)
{
    char pattern[LENGTH_MAX + 1];
    char text[LENGTH_MAX + 1];
    size_t matches = 0;
    (void)state;
    for (size_t i = 0; make_text(i, "ab*", pattern); i++) {
        for (size_t j = 0; make_text(j, "ab", text); j++) {
            bool wanted = slow_match(pattern, text);
            matches += wanted ? 1u : 0u;
            if (cairn_view_pattern_match(cairn_slice_str(pattern), cairn_slice_str(text)) !=
                wanted) {
                fail_msg("%s and %s", pattern, text);
            }
        }
    }
    assert_true(matches > 10000);
}

static void texts_that_match_begin_with_the_prefix(void **state)
{
    (void)state;
    assert_true(cairn_slice_is(cairn_view_pattern_prefix(CAIRN_SLICE_LIT("ab*c*")), "ab"));
    assert_true(cairn_slice_is(cairn_view_pattern_prefix(CAIRN_SLICE_LIT("ab")), "ab"));
    assert_true(cairn_slice_is(cairn_view_pattern_prefix(CAIRN_SLICE_LIT("*")), ""));
    assert_true(cairn_slice_is(cairn_view_pattern_prefix(CAIRN_SLICE_NONE), ""));
}

static void percent_and_underscore_are_themselves(void **state)
{
    (void)state;
    assert_true(cairn_view_pattern_match(CAIRN_SLICE_LIT("a_%*"), CAIRN_SLICE_LIT("a_%b")));
    assert_false(cairn_view_pattern_match(CAIRN_SLICE_LIT("a_%*"), CAIRN_SLICE_LIT("abcd")));
    assert_true(cairn_view_pattern_match(CAIRN_SLICE_LIT("*"), CAIRN_SLICE_LIT("a\0b")));
    assert_false(cairn_view_pattern_match(CAIRN_SLICE_LIT("A*"), CAIRN_SLICE_LIT("a")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_short_pattern_matches_what_a_slow_one_does),
        cmocka_unit_test(texts_that_match_begin_with_the_prefix),
        cmocka_unit_test(percent_and_underscore_are_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
