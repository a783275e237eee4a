#include "platform/bytes.h"

#include <stdio.h>

#include "platform/fault.h"

#include "tests/support/cm.h"

static void lines_are_taken_off_one_by_one(void **state)
{
    (void)state;
    struct cairn_slice text = CAIRN_SLICE_LIT("one\n\ntwo\r\nlast");
    assert_true(cairn_slice_is(cairn_slice_take_line(&text), "one"));
    assert_true(cairn_slice_is(cairn_slice_take_line(&text), ""));
    assert_true(cairn_slice_is(text, "two\r\nlast"));
    assert_true(cairn_slice_is(cairn_slice_take_line(&text), "two\r"));
    assert_true(cairn_slice_is(cairn_slice_take_line(&text), "last"));
    assert_int_equal(text.size, 0);
    assert_int_equal(cairn_slice_take_line(&text).size, 0);
    text = CAIRN_SLICE_LIT("ended\n");
    assert_true(cairn_slice_is(cairn_slice_take_line(&text), "ended"));
    assert_int_equal(text.size, 0);
    text = CAIRN_SLICE_NONE;
    assert_int_equal(cairn_slice_take_line(&text).size, 0);
    assert_null(text.data);
}

static void slices_compare_bytewise_the_shorter_first(void **state)
{
    (void)state;
    static const char *const sorted[] = {"", "A", "a", "a!", "aa", "b", "\xc3\xa9"};
    enum { COUNT = sizeof(sorted) / sizeof(sorted[0]) };
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < COUNT; j++) {
            struct cairn_slice a = cairn_slice_str(sorted[i]);
            struct cairn_slice b = cairn_slice_str(sorted[j]);
            int order = cairn_slice_compare(a, b);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
            assert_int_equal(cairn_slice_equal(a, b), i == j);
            assert_int_equal(cairn_slice_equal_secret(a, b), i == j);
        }
    }
    assert_true(cairn_slice_equal(CAIRN_SLICE_NONE, CAIRN_SLICE_LIT("")));
    assert_int_equal(cairn_slice_compare(CAIRN_SLICE_NONE, CAIRN_SLICE_LIT("")), 0);
}

static void no_case_means_ascii_letters_alone(void **state)
{
    (void)state;
    assert_true(
        cairn_slice_equal_nocase(CAIRN_SLICE_LIT("Content-Type"), CAIRN_SLICE_LIT("cONTENT-tYPE")));
    assert_false(cairn_slice_equal_nocase(CAIRN_SLICE_LIT("@["), CAIRN_SLICE_LIT("`{")));
    assert_false(
        cairn_slice_equal_nocase(CAIRN_SLICE_LIT("\xc3\x89"), CAIRN_SLICE_LIT("\xc3\xa9")));
    assert_false(cairn_slice_equal_nocase(CAIRN_SLICE_LIT("a"), CAIRN_SLICE_LIT("ab")));
}

static void starts_find_and_trim_take_empty_input(void **state)
{
    (void)state;
    assert_true(cairn_slice_starts(CAIRN_SLICE_NONE, CAIRN_SLICE_NONE));
    assert_true(cairn_slice_starts(CAIRN_SLICE_LIT("ab"), CAIRN_SLICE_LIT("a")));
    assert_false(cairn_slice_starts(CAIRN_SLICE_LIT("a"), CAIRN_SLICE_LIT("ab")));
    assert_int_equal(cairn_slice_find(CAIRN_SLICE_NONE, 'x'), 0);
    assert_int_equal(cairn_slice_find(CAIRN_SLICE_LIT("abcb"), 'b'), 1);
    assert_int_equal(cairn_slice_find(CAIRN_SLICE_LIT("abc"), 'x'), 3);
    assert_true(cairn_slice_is(cairn_slice_trim(CAIRN_SLICE_LIT(" \ta b\t ")), "a b"));
    assert_true(cairn_slice_is(cairn_slice_trim(CAIRN_SLICE_LIT(" \t ")), ""));
    assert_int_equal(cairn_slice_trim(CAIRN_SLICE_NONE).size, 0);
    assert_true(cairn_slice_is(cairn_slice_trim(CAIRN_SLICE_LIT("\na\n")), "\na\n"));
}

static void decimal_numbers_are_read_up_to_their_edges(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t number;
    } good[] = {{"0", 0}, {"007", 7}, {"18446744073709551615", UINT64_MAX}};
    static const char *const bad[] = {"",
                                      "-",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "0x1",
                                      "1e3",
                                      "18446744073709551616",
                                      "99999999999999999999",
                                      "000000000000000000001",
                                      "/",
                                      ":"};
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(cairn_slice_to_u64(cairn_slice_str(good[i].text), &number), CAIRN_OK);
        assert_true(number == good[i].number);
    }
    number = 42;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(cairn_slice_to_u64(cairn_slice_str(bad[i]), &number), CAIRN_EINVAL);
    }
    assert_int_equal(number, 42);
}

static void signed_numbers_are_read_up_to_their_edges(void **state)
{
    (void)state;
    int64_t number = 0;
    assert_int_equal(cairn_slice_to_i64(CAIRN_SLICE_LIT("-9223372036854775808"), &number),
                     CAIRN_OK);
    assert_true(number == INT64_MIN);
    assert_int_equal(cairn_slice_to_i64(CAIRN_SLICE_LIT("9223372036854775807"), &number), CAIRN_OK);
    assert_true(number == INT64_MAX);
    assert_int_equal(cairn_slice_to_i64(CAIRN_SLICE_LIT("-0"), &number), CAIRN_OK);
    assert_int_equal(number, 0);
    static const char *const bad[] = {"9223372036854775808", "-9223372036854775809", "-", "--1",
                                      ""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(cairn_slice_to_i64(cairn_slice_str(bad[i]), &number), CAIRN_EINVAL);
    }
    assert_int_equal(number, 0);
}

static void append_past_max_changes_nothing(void **state)
{
    (void)state;
    static const char text[200] = {0};
    for (size_t max = 1; max < 200; max += 13) {
        struct cairn_buf buf = {.max = max};
        for (size_t size = 0; size < max; size++) {
            assert_int_equal(cairn_buf_append_byte(&buf, 'x'), CAIRN_OK);
            assert_int_equal(cairn_buf_append(&buf, cairn_slice_of(text, max - size)),
                             CAIRN_ETOOBIG);
            assert_int_equal(buf.size, size + 1);
            assert_true(buf.cap <= max);
        }
        assert_int_equal(cairn_buf_append_byte(&buf, 'x'), CAIRN_ETOOBIG);
        assert_int_equal(cairn_buf_reserve(&buf, SIZE_MAX), CAIRN_ETOOBIG);
        assert_int_equal(cairn_buf_reserve(&buf, 0), CAIRN_OK);
        assert_int_equal(buf.size, max);
        cairn_buf_fini(&buf);
    }
}

static void numbers_are_appended_whole_where_they_just_fit(void **state)
{
    (void)state;
    static const int64_t numbers[] = {0, 9, -1, 10, -99, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char wanted[32];
        int size = snprintf(wanted, sizeof(wanted), "%lld", (long long)numbers[i]);
        struct cairn_buf buf = {.max = (size_t)size};
        assert_int_equal(cairn_buf_append_i64(&buf, numbers[i]), CAIRN_OK);
        assert_true(cairn_slice_is(cairn_buf_slice(&buf), wanted));
        cairn_buf_fini(&buf);
        if (size > 1) {
            buf.max = (size_t)size - 1;
            assert_int_equal(cairn_buf_append_i64(&buf, numbers[i]), CAIRN_ETOOBIG);
            assert_int_equal(buf.size, 0);
            cairn_buf_fini(&buf);
        }
    }
    struct cairn_buf buf = {.max = 20};
    assert_int_equal(cairn_buf_append_u64(&buf, UINT64_MAX), CAIRN_OK);
    assert_true(cairn_slice_is(cairn_buf_slice(&buf), "18446744073709551615"));
    cairn_buf_fini(&buf);
}

static void printf_appends_and_needs_one_byte_for_its_nul(void **state)
{
    (void)state;
    struct cairn_buf buf = {.max = 8};
    assert_int_equal(cairn_buf_append_str(&buf, "ab"), CAIRN_OK);
    assert_int_equal(cairn_buf_printf(&buf, "%d-%s", 12, "x"), CAIRN_OK);
    assert_true(cairn_slice_is(cairn_buf_slice(&buf), "ab12-x"));
    assert_int_equal(cairn_buf_printf(&buf, "%s", "yz"), CAIRN_ETOOBIG);
    assert_true(cairn_slice_is(cairn_buf_slice(&buf), "ab12-x"));
    assert_int_equal(cairn_buf_append_str(&buf, "yz"), CAIRN_OK);
    cairn_buf_truncate(&buf, 1);
    assert_true(cairn_slice_is(cairn_buf_slice(&buf), "a"));
    cairn_buf_fini(&buf);
    cairn_buf_fini(&buf);
    cairn_buf_fini(NULL);
    assert_int_equal(cairn_buf_append_str(&buf, "again"), CAIRN_OK);
    cairn_buf_fini(&buf);
}

static void an_append_without_memory_leaves_the_content(void **state)
{
    (void)state;
    bool fired = true;
    for (int after = 0; fired; after++) {
        struct cairn_buf buf = {.max = 4096};
        size_t done = 0;
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        while (done < 1000 && cairn_buf_append_byte(&buf, (char)('a' + done % 26)) == CAIRN_OK) {
            done++;
        }
        fired = cairn_fault_fired(CAIRN_FAULT_MEM);
        cairn_fault_disarm();
        assert_int_equal(fired, done < 1000);
        assert_int_equal(buf.size, done);
        for (size_t i = 0; i < done; i++) {
            assert_int_equal(buf.data[i], 'a' + i % 26);
        }
        cairn_buf_fini(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_taken_off_one_by_one),
        cmocka_unit_test(slices_compare_bytewise_the_shorter_first),
        cmocka_unit_test(no_case_means_ascii_letters_alone),
        cmocka_unit_test(starts_find_and_trim_take_empty_input),
        cmocka_unit_test(decimal_numbers_are_read_up_to_their_edges),
        cmocka_unit_test(signed_numbers_are_read_up_to_their_edges),
        cmocka_unit_test(append_past_max_changes_nothing),
        cmocka_unit_test(numbers_are_appended_whole_where_they_just_fit),
        cmocka_unit_test(printf_appends_and_needs_one_byte_for_its_nul),
        cmocka_unit_test(an_append_without_memory_leaves_the_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
