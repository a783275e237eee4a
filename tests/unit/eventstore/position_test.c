#include "eventstore/position.h"

#include "tests/support/cm.h"

static struct cairn_position parse(const char *text)
{
    struct cairn_position position;
    assert_int_equal(cairn_position_parse(cairn_slice_str(text), &position), CAIRN_OK);
    return position;
}

static void a_position_is_written_as_it_was_read(void **state)
{
    (void)state;
    static const char *const texts[] = {"0:0", "0:1", "1:7", "0:17,3:4",
                                        "0:1,255:18446744073709551615"};
    struct cairn_arena arena = {.max = 1u << 16};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct cairn_position position = parse(texts[i]);
        assert_string_equal(cairn_position_text(&position, &arena), texts[i]);
    }
    cairn_arena_fini(&arena);
}

static void what_is_no_position_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "0",
                                        "0:",
                                        ":1",
                                        "0:1,",
                                        ",0:1",
                                        "1:1,0:1",
                                        "0:1,0:2",
                                        "256:1",
                                        "0:-1",
                                        "0:1 ",
                                        " 0:1",
                                        "00:1",
                                        "0:01",
                                        "0:0,1:1",
                                        "1:0",
                                        "0:1,,1:1",
                                        "x:1",
                                        "0:18446744073709551616"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct cairn_position position = {{42}};
        assert_int_equal(cairn_position_parse(cairn_slice_str(texts[i]), &position), CAIRN_EINVAL);
        assert_int_equal(position.offsets[0], 42);
    }
}

static void a_position_is_reached_in_every_partition_or_not_at_all(void **state)
{
    (void)state;
    struct cairn_position have = parse("0:5,1:5");
    struct cairn_position less = parse("0:5,1:4");
    struct cairn_position across = parse("0:4,1:6");
    assert_true(cairn_position_reached(&have, &have));
    assert_true(cairn_position_reached(&have, &less));
    assert_false(cairn_position_reached(&less, &have));
    assert_false(cairn_position_reached(&have, &across));
    assert_int_equal(cairn_position_lag(&have, &across), 1);
    cairn_position_merge(&have, &across);
    assert_true(cairn_position_reached(&have, &across));
    assert_int_equal(have.offsets[0], 5);
}

static void a_lag_beyond_64_bits_stays_at_the_largest(void **state)
{
    (void)state;
    struct cairn_position none = {{0}};
    struct cairn_position far = parse("0:18446744073709551615,1:18446744073709551615");
    assert_true(cairn_position_lag(&none, &far) == UINT64_MAX);
    assert_int_equal(cairn_position_lag(&far, &none), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_position_is_written_as_it_was_read),
        cmocka_unit_test(what_is_no_position_is_refused_and_changes_nothing),
        cmocka_unit_test(a_position_is_reached_in_every_partition_or_not_at_all),
        cmocka_unit_test(a_lag_beyond_64_bits_stays_at_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
