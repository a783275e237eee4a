#include "platform/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "platform/fault.h"

#include "tests/support/cm.h"

static void faults_are_reported_with_their_byte(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t offset;
    } CASES[] = {{"", 0},
                 {"{\"a\":1,}", 7},
                 {"[1 2]", 3},
                 {"{\"a\":1,\"b\":2,\"a\":3}", 13},
                 {"{\"a\":1,\"\\u0061\":3}", 7},
                 {"[\"a\",\"\xff\"]", 6},
                 {"\"\\ud800\"", 1},
                 {"\"\\q\"", 1},
                 {"\"abc", 4},
                 {"\"a\nb\"", 2},
                 {"[18446744073709551616]", 1},
                 {"[-9223372036854775809]", 1},
                 {"[1e400]", 1},
                 {"01", 1},
                 {"1.", 2},
                 {"nul", 0},
                 {"{} {}", 3},
                 {"\xef\xbb\xbf{}", 0}};
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct cairn_arena arena = {.max = 1u << 16};
        struct cairn_value value;
        struct cairn_err err;
        size_t offset = SIZE_MAX;
        assert_int_equal(
            cairn_json_read(cairn_slice_str(CASES[i].text), &arena, &value, &offset, &err),
            CAIRN_EMALFORMED);
        if (offset != CASES[i].offset) {
            fail_msg("%s: at %zu", CASES[i].text, offset);
        }
        cairn_arena_fini(&arena);
    }
}

static void a_decimal_keeps_every_digit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum cairn_value_type type;
        const char *written;
    } CASES[] = {{"18446744073709551615", CAIRN_UINT, "18446744073709551615"},
                 {"18446744073709551616", CAIRN_DECIMAL, "18446744073709551616"},
                 {"-9223372036854775809", CAIRN_DECIMAL, "-9223372036854775809"},
                 {"100000000000000000000", CAIRN_FLOAT, "1e+20"},
                 {"123456789012345678901", CAIRN_DECIMAL, "123456789012345678901"},
                 {"9007199254740993.00", CAIRN_DECIMAL, "9007199254740993.00"},
                 {"9007199254740992.00", CAIRN_FLOAT, "9007199254740992.0"},
                 {"0.12345678901234567890", CAIRN_DECIMAL, "0.12345678901234567890"},
                 {"0.10000000000000000000", CAIRN_FLOAT, "0.1"},
                 {"0.30000000000000004", CAIRN_FLOAT, "0.30000000000000004"},
                 {"-0.00000000000000000000000", CAIRN_FLOAT, "-0.0"},
                 {"1e400", CAIRN_DECIMAL, "1e400"},
                 {"-1e-400", CAIRN_DECIMAL, "-1e-400"},
                 {"1e308", CAIRN_FLOAT, "1e+308"},
                 {"1.7976931348623157e308", CAIRN_FLOAT, "1.7976931348623157e+308"}};
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct cairn_arena arena = {.max = 1u << 16};
        struct cairn_buf out = {.max = 1u << 10};
        struct cairn_value value;
        struct cairn_err err;
        assert_ok(cairn_json_read_decimal(cairn_slice_str(CASES[i].text), &arena, &value, &err),
                  &err);
        assert_int_equal(cairn_json_write(&value, &out), CAIRN_OK);
        if (value.type != CASES[i].type ||
            !cairn_slice_is(cairn_buf_slice(&out), CASES[i].written)) {
            fail_msg("%s: type %d, %.*s", CASES[i].text, (int)value.type,
                     CAIRN_SLICE_ARG(cairn_buf_slice(&out)));
        }
        cairn_buf_fini(&out);
        cairn_arena_fini(&arena);
    }
}

static void depth_is_bounded_and_the_bound_is_exact(void **state)
{
    (void)state;
    char text[2 * (CAIRN_VALUE_DEPTH_MAX + 1)];
    for (size_t depth = CAIRN_VALUE_DEPTH_MAX; depth <= CAIRN_VALUE_DEPTH_MAX + 1; depth++) {
        struct cairn_arena arena = {.max = 1u << 16};
        struct cairn_value value;
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        enum cairn_rc rc =
            cairn_json_read(cairn_slice_of(text, 2 * depth), &arena, &value, NULL, NULL);
        assert_int_equal(rc, depth == CAIRN_VALUE_DEPTH_MAX ? CAIRN_OK : CAIRN_EMALFORMED);
        cairn_arena_fini(&arena);
    }
}

/* Read text and write it again. */
static void expect_text(const char *text, const char *wanted)
{
    struct cairn_arena arena = {.max = 1u << 16};
    struct cairn_buf out = {.max = 1u << 16};
    struct cairn_value value;
    struct cairn_err err;
    assert_ok(cairn_json_read(cairn_slice_str(text), &arena, &value, NULL, &err), &err);
    assert_int_equal(cairn_json_write(&value, &out), CAIRN_OK);
    if (!cairn_slice_is(cairn_buf_slice(&out), wanted)) {
        fail_msg("%s became %.*s", text, CAIRN_SLICE_ARG(cairn_buf_slice(&out)));
    }
    cairn_buf_fini(&out);
    cairn_arena_fini(&arena);
}

static void numbers_keep_their_type_and_value(void **state)
{
    (void)state;
    expect_text("[9223372036854775807,-9223372036854775808,18446744073709551615]",
                "[9223372036854775807,-9223372036854775808,18446744073709551615]");
    expect_text("-0", "-0.0");
    expect_text("1.0", "1.0");
    expect_text("1e2", "100.0");
    expect_text("0.1", "0.1");
    expect_text("19.99", "19.99");
    expect_text("1e300", "1e+300");
    expect_text("1e-400", "0.0");
    expect_text("5e-324", "4.94065645841247e-324");
    expect_text("0.30000000000000004", "0.30000000000000004");
    expect_text("1.7976931348623157e308", "1.7976931348623157e+308");
    expect_text("0.1000000000000000055511151231257827021181583404541015625", "0.1");
}

static void strings_are_escaped_only_where_they_must_be(void **state)
{
    (void)state;
    expect_text("\"\\u0041\\/\\ud83d\\ude00\\u0000\\u001f\\n\\\"\"",
                "\"A/\xf0\x9f\x98\x80\\u0000\\u001f\\n\\\"\"");
}

static void any_double_survives_writing(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    for (int i = 0; i < 20000; i++) {
        struct cairn_buf out = {.max = 64};
        uint64_t bits = 0;
        double number = 0;
        double again = 0;
        for (int k = 0; k < 8; k++) {
            bits = bits << 8 | ((unsigned)rand() >> 7 & 0xffu);
        }
        memcpy(&number, &bits, sizeof(number));
        if (i % 2 == 0) {
            number = (double)(int64_t)(bits % 100000000) / 100.0;
        }
        if (!isfinite(number)) {
            continue;
        }
        assert_int_equal(cairn_json_write_double(number, &out), CAIRN_OK);
        assert_int_equal(cairn_buf_append_byte(&out, '\0'), CAIRN_OK);
        again = strtod(out.data, NULL);
        assert_memory_equal(&number, &again, sizeof(number));
        assert_non_null(strpbrk(out.data, ".e"));
        cairn_buf_fini(&out);
    }
}

static void what_json_cannot_say_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    const struct cairn_value bad[] = {
        cairn_value_float((double)NAN), cairn_value_float((double)INFINITY),
        (struct cairn_value){.type = CAIRN_BIN, .count = 1, .as = {.bytes = "x"}}};
    struct cairn_buf out = {.max = 64};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct cairn_value list = {.type = CAIRN_ARRAY, .count = 1, .as = {.items = &bad[i]}};
        assert_int_equal(cairn_json_write(&list, &out), CAIRN_EINVAL);
        assert_int_equal(out.size, 0);
    }
    cairn_buf_fini(&out);
}

static void running_out_of_memory_is_an_error_wherever_it_happens(void **state)
{
    (void)state;
    char text[4096] = "[";
    for (int i = 0; i < 200; i++) {
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "{\"k\\n%d\":%d},", i, i);
    }
    (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "0]");
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_MEM) || after == 0; after++) {
        struct cairn_arena arena = {.max = 1u << 20};
        struct cairn_value value;
        struct cairn_err err;
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = cairn_json_read(cairn_slice_str(text), &arena, &value, NULL, &err);
        assert_int_equal(rc, cairn_fault_fired(CAIRN_FAULT_MEM) ? CAIRN_ENOMEM : CAIRN_OK);
        cairn_arena_fini(&arena);
    }
    cairn_fault_disarm();
}

/* A hundred thousand keys: pairwise comparison would take minutes. */
static void a_map_of_many_keys_is_not_quadratic(void **state)
{
    (void)state;
    enum { KEYS = 100000 };
    struct cairn_buf text = {.max = 1u << 24};
    struct cairn_arena arena = {.max = 1u << 26};
    struct cairn_value value;
    struct cairn_err err;
    size_t offset = 0;
    assert_int_equal(cairn_buf_append_byte(&text, '{'), CAIRN_OK);
    for (int i = 0; i < KEYS; i++) {
        assert_int_equal(cairn_buf_printf(&text, "\"key%d\":%d,", i, i), CAIRN_OK);
    }
    size_t last = text.size;
    assert_int_equal(cairn_buf_append_str(&text, "\"key777\":0}"), CAIRN_OK);
    clock_t start = clock();
    assert_int_equal(cairn_json_read(cairn_buf_slice(&text), &arena, &value, &offset, &err),
                     CAIRN_EMALFORMED);
    assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
    assert_int_equal(offset, last);
    cairn_arena_fini(&arena);
    cairn_buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_are_reported_with_their_byte),
        cmocka_unit_test(a_decimal_keeps_every_digit),
        cmocka_unit_test(depth_is_bounded_and_the_bound_is_exact),
        cmocka_unit_test(numbers_keep_their_type_and_value),
        cmocka_unit_test(strings_are_escaped_only_where_they_must_be),
        cmocka_unit_test(any_double_survives_writing),
        cmocka_unit_test(what_json_cannot_say_is_refused_and_leaves_nothing),
        cmocka_unit_test(running_out_of_memory_is_an_error_wherever_it_happens),
        cmocka_unit_test(a_map_of_many_keys_is_not_quadratic)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
