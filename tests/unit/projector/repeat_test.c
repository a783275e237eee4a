#include "projector/repeat.h"

#include <string.h>

#include "tests/support/cm.h"

#define S INT64_C(1000000000)

static void the_same_is_said_ever_more_seldom(void **state)
{
    struct cairn_repeat repeat = {.pause_ns = 0};
    int64_t last = 0;
    int64_t pauses[10];
    size_t said = 0;
    (void)state;
    for (int64_t now = 0; said < 10; now += S) {
        if (cairn_repeat_is_due(&repeat, "no such table", now)) {
            pauses[said++] = now - last;
            last = now;
        }
    }
    assert_int_equal(pauses[0], 0);
    assert_int_equal(pauses[1], 30 * S);
    assert_int_equal(pauses[2], 60 * S);
    assert_int_equal(pauses[8], 3600 * S);
    assert_int_equal(pauses[9], 3600 * S);
}

static void another_is_said_at_once(void **state)
{
    struct cairn_repeat repeat = {.pause_ns = 0};
    (void)state;
    assert_true(cairn_repeat_is_due(&repeat, "no such table", 0));
    assert_true(cairn_repeat_is_due(&repeat, "no such column", 1));
    assert_false(cairn_repeat_is_due(&repeat, "no such column", 29 * S));
    assert_true(cairn_repeat_is_due(&repeat, "no such column", 30 * S + 1));
}

static void what_ended_is_new_when_it_comes_again(void **state)
{
    struct cairn_repeat repeat = {.pause_ns = 0};
    (void)state;
    assert_true(cairn_repeat_is_due(&repeat, "no such table", 0));
    assert_false(cairn_repeat_is_due(&repeat, "no such table", 1));
    cairn_repeat_end(&repeat);
    assert_true(cairn_repeat_is_due(&repeat, "no such table", 2));
}

static void of_a_longer_text_its_beginning_counts(void **state)
{
    struct cairn_repeat repeat = {.pause_ns = 0};
    char text[2 * CAIRN_ERR_TEXT_MAX];
    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_true(cairn_repeat_is_due(&repeat, text, 0));
    assert_false(cairn_repeat_is_due(&repeat, text, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_is_said_ever_more_seldom),
        cmocka_unit_test(another_is_said_at_once),
        cmocka_unit_test(what_ended_is_new_when_it_comes_again),
        cmocka_unit_test(of_a_longer_text_its_beginning_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
