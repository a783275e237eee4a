#include "platform/uuid.h"

#include "tests/support/cm.h"

/* A source that counts how often it was asked and hands out one byte over and over. */
struct fixed_random {
    int calls;
    int byte;
};

static void fill_fixed(void *self, void *out, size_t size)
{
    struct fixed_random *fixed = self;
    fixed->calls++;
    memset(out, fixed->byte, size);
}

static int compare(const struct cairn_uuid *a, const struct cairn_uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

static void ids_carry_version_variant_and_milliseconds(void **state)
{
    (void)state;
    struct cairn_uuid_source source = {0};
    /* The timestamp of the example in RFC 9562, appendix A.6. */
    struct cairn_uuid uuid =
        cairn_uuid_next(&source, INT64_C(0x017F22E279B0) * 1000 + 999, cairn_random_system());
    static const unsigned char ms[6] = {0x01, 0x7f, 0x22, 0xe2, 0x79, 0xb0};
    assert_memory_equal(uuid.bytes, ms, sizeof(ms));
    assert_int_equal(uuid.bytes[6] >> 4, 7);
    assert_int_equal(uuid.bytes[8] >> 6, 2);
}

static void ids_ascend_strictly_while_the_clock_stands_jumps_and_steps_back(void **state)
{
    (void)state;
    static const int64_t steps_us[] = {0, 0, 1, 999, 1000, -5000, 0, 70000, -1000000, 3};
    struct cairn_uuid_source source = {0};
    int64_t time_us = INT64_C(1769851800123456);
    struct cairn_uuid last = cairn_uuid_next(&source, time_us, cairn_random_system());
    for (size_t i = 0; i < 200000; i++) {
        time_us += steps_us[i % (sizeof(steps_us) / sizeof(steps_us[0]))];
        struct cairn_uuid next = cairn_uuid_next(&source, time_us, cairn_random_system());
        assert_true(compare(&last, &next) < 0);
        last = next;
    }
}

static void a_full_counter_moves_on_to_the_next_millisecond(void **state)
{
    (void)state;
    struct fixed_random fixed = {.byte = 0xff};
    struct cairn_random random = {fill_fixed, &fixed};
    struct cairn_uuid_source source = {.last_ms = 1000, .counter = (UINT64_C(1) << 42) - 2};
    struct cairn_uuid first = cairn_uuid_next(&source, 1000000, &random);
    assert_int_equal(source.last_ms, 1000);
    struct cairn_uuid second = cairn_uuid_next(&source, 1000000, &random);
    assert_int_equal(source.last_ms, 1001);
    assert_true(compare(&first, &second) < 0);
}

static void randomness_is_drawn_in_pools_of_256_bytes(void **state)
{
    (void)state;
    struct fixed_random fixed = {.byte = 0x5a};
    struct cairn_random random = {fill_fixed, &fixed};
    struct cairn_uuid_source source = {0};
    for (int i = 0; i < 310; i++) {
        (void)cairn_uuid_next(&source, 1000000, &random);
    }
    /* 310 ids and one counter's start take 311 words of 32 a pool. */
    assert_int_equal(fixed.calls, 10);
}

static void two_sources_differ_in_the_same_millisecond(void **state)
{
    (void)state;
    struct cairn_uuid_source one = {0};
    struct cairn_uuid_source two = {0};
    struct cairn_uuid a = cairn_uuid_next(&one, 5000000, cairn_random_system());
    struct cairn_uuid b = cairn_uuid_next(&two, 5000000, cairn_random_system());
    assert_true(compare(&a, &b) != 0);
}

static void text_form_survives_both_ways_in_either_case(void **state)
{
    (void)state;
    const char *text = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    struct cairn_uuid uuid;
    struct cairn_uuid upper;
    assert_int_equal(cairn_uuid_parse(cairn_slice_str(text), &uuid), CAIRN_OK);
    char again[CAIRN_UUID_TEXT_SIZE];
    cairn_uuid_format(&uuid, again);
    assert_memory_equal(again, text, sizeof(again));
    assert_int_equal(
        cairn_uuid_parse(CAIRN_SLICE_LIT("017F22E2-79B0-7CC3-98C4-DC0C0C07398F"), &upper),
        CAIRN_OK);
    assert_int_equal(compare(&uuid, &upper), 0);
}

static void one_wrong_byte_anywhere_is_refused(void **state)
{
    (void)state;
    char text[] = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    static const char wrong[] = {'g', ' ', '\0', '_', '/', ':', '@', 'G', '`', (char)0xb0};
    struct cairn_uuid uuid;
    for (size_t at = 0; at < CAIRN_UUID_TEXT_SIZE; at++) {
        char kept = text[at];
        for (size_t i = 0; i < sizeof(wrong); i++) {
            text[at] = wrong[i];
            assert_int_equal(cairn_uuid_parse(cairn_slice_of(text, sizeof(text) - 1), &uuid),
                             CAIRN_EINVAL);
        }
        text[at] = kept == '-' ? '0' : '-';
        assert_int_equal(cairn_uuid_parse(cairn_slice_of(text, sizeof(text) - 1), &uuid),
                         CAIRN_EINVAL);
        text[at] = kept;
    }
    for (size_t size = 0; size < CAIRN_UUID_TEXT_SIZE; size++) {
        assert_int_equal(cairn_uuid_parse(cairn_slice_of(text, size), &uuid), CAIRN_EINVAL);
    }
    assert_int_equal(cairn_uuid_parse(cairn_slice_of(text, sizeof(text)), &uuid), CAIRN_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_carry_version_variant_and_milliseconds),
        cmocka_unit_test(ids_ascend_strictly_while_the_clock_stands_jumps_and_steps_back),
        cmocka_unit_test(a_full_counter_moves_on_to_the_next_millisecond),
        cmocka_unit_test(randomness_is_drawn_in_pools_of_256_bytes),
        cmocka_unit_test(two_sources_differ_in_the_same_millisecond),
        cmocka_unit_test(text_form_survives_both_ways_in_either_case),
        cmocka_unit_test(one_wrong_byte_anywhere_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
