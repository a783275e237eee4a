#include "projector/scope.h"

#include "tests/support/cm.h"

static struct cairn_event event_at(uint16_t partition, uint64_t offset, int64_t time_us,
                                   const char *stream)
{
    return (struct cairn_event){.partition = partition,
                                .offset = offset,
                                .time_us = time_us,
                                .stream = cairn_slice_str(stream)};
}

static void nothing_said_takes_everything(void **state)
{
    const struct cairn_replay_scope scope = {.has_until = false};
    const struct cairn_event event = event_at(3, 1, -5, "a-1");
    (void)state;
    assert_true(cairn_replay_scope_takes(&scope, &event));
    assert_false(cairn_replay_scope_is_partial(&scope));
}

static void a_range_of_places_counts_in_each_partition(void **state)
{
    struct cairn_replay_scope scope = {.has_until = true};
    (void)state;
    scope.after.offsets[0] = 10;
    scope.until.offsets[0] = 12;
    scope.until.offsets[1] = 5;
    static const struct {
        uint16_t partition;
        uint64_t offset;
        bool taken;
    } cases[] = {{0, 10, false}, {0, 11, true}, {0, 12, true}, {0, 13, false},
                 {1, 1, true},   {1, 5, true},  {1, 6, false}, {2, 1, false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct cairn_event event = event_at(cases[i].partition, cases[i].offset, 0, "a-1");
        assert_int_equal(cairn_replay_scope_takes(&scope, &event), cases[i].taken);
    }
    assert_true(cairn_replay_scope_is_partial(&scope));
    scope.after.offsets[0] = 0; /* up to a position is a version of the view */
    assert_false(cairn_replay_scope_is_partial(&scope));
}

static void times_are_inside_at_both_ends(void **state)
{
    const struct cairn_replay_scope scope = {
        .has_since_us = true, .since_us = 100, .has_until_us = true, .until_us = 200};
    (void)state;
    for (int64_t time_us = 98; time_us < 203; time_us++) {
        const struct cairn_event event = event_at(0, 1, time_us, "a-1");
        assert_int_equal(cairn_replay_scope_takes(&scope, &event),
                         time_us >= 100 && time_us <= 200);
    }
    assert_true(cairn_replay_scope_is_partial(&scope));
}

static void one_stream_is_its_whole_name(void **state)
{
    const struct cairn_replay_scope scope = {.stream = CAIRN_SLICE_LIT("a-1")};
    const struct cairn_event same = event_at(0, 1, 0, "a-1");
    const struct cairn_event longer = event_at(0, 1, 0, "a-12");
    (void)state;
    assert_true(cairn_replay_scope_takes(&scope, &same));
    assert_false(cairn_replay_scope_takes(&scope, &longer));
    assert_true(cairn_replay_scope_is_partial(&scope));
}

static void rows_are_no_further_than_the_scope(void **state)
{
    struct cairn_replay_scope scope = {.has_until = false};
    struct cairn_position passed = {{0}};
    (void)state;
    passed.offsets[0] = 10;
    passed.offsets[1] = 3;
    struct cairn_position all = cairn_replay_scope_cut(&scope, &passed);
    assert_int_equal(all.offsets[0], 10);
    scope.has_until = true;
    scope.until.offsets[0] = 7;
    scope.until.offsets[1] = 5;
    struct cairn_position cut = cairn_replay_scope_cut(&scope, &passed);
    assert_int_equal(cut.offsets[0], 7);
    assert_int_equal(cut.offsets[1], 3);
    assert_int_equal(cut.offsets[2], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_said_takes_everything),
        cmocka_unit_test(a_range_of_places_counts_in_each_partition),
        cmocka_unit_test(times_are_inside_at_both_ends),
        cmocka_unit_test(one_stream_is_its_whole_name),
        cmocka_unit_test(rows_are_no_further_than_the_scope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
