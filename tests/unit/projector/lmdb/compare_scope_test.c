#include "tests/unit/projector/compared.h"

#define SUMS CAIRN_SLICE_LIT("sums")

/* Ten events of each of two streams in one partition, in turns; then a command of five. */
static void make_view(struct world *world)
{
    world_make(world);
    world_view(world, "sums", world_sums);
    world_begin(world, 1);
    for (int i = 0; i < 20; i++) {
        world_add(world, i % 2 == 0 ? "a" : "b", 1, i % 2 == 0 ? "even" : "odd", 1);
    }
    world_add(world, "c", 1, "five", 5);
    compared_project(world, "sums");
}

static void run(const struct world *world, const struct cairn_replay_scope *scope,
                struct compared *compared)
{
    const struct cairn_compare_request request = {
        .view = SUMS, .stored = true, .scope = *scope, .told_max = 100};
    compared->patience = -1;
    assert_ok(compared_run(world, &request, compared), &compared->err);
    assert_false(compared_left_something(world));
}

static void rows_of_an_earlier_position_are_held_against_those_of_now(void **state)
{
    struct world world;
    struct compared compared;
    const struct cairn_replay_scope scope = {.has_until = true, .until = {{7}}};
    (void)state;
    make_view(&world);
    run(&world, &scope, &compared);
    assert_false(compared.report.level);
    assert_int_equal(compared.report.differences, 3);
    assert_int_equal(compared.told[1].kind, CAIRN_ROW_EXTRA);
    assert_string_equal(compared.told[1].key, "five");
    assert_int_equal(compared.report.left_out, 0);
    assert_int_equal(compared.report.live.offsets[0], 25);
    assert_int_equal(compared.report.events, 7);
    assert_int_equal(compared.report.position.offsets[0], 7);
    assert_int_equal(compared.row_count, 2);
    assert_string_equal(compared.rows[0].replayed, "{\"count\":4,\"sum\":4}");
    assert_string_equal(compared.rows[1].replayed, "{\"count\":3,\"sum\":3}");
    assert_int_equal(compared.report.live_rows, 3);
    world_end(&world);
}

static void a_position_inside_a_command_is_one_like_any_other(void **state)
{
    struct world world;
    struct compared compared;
    const struct cairn_replay_scope scope = {.has_until = true, .until = {{23}}};
    (void)state;
    make_view(&world);
    run(&world, &scope, &compared);
    assert_false(compared.report.level);
    assert_int_equal(compared.report.events, 23);
    assert_string_equal(compared.rows[1].key, "five");
    assert_string_equal(compared.rows[1].replayed, "{\"count\":3,\"sum\":3}");
    world_end(&world);
}

static void the_live_position_and_one_behind_the_log_are_compared(void **state)
{
    struct world world;
    struct compared compared;
    struct cairn_replay_scope scope = {.has_until = true, .until = {{25}}};
    (void)state;
    make_view(&world);
    run(&world, &scope, &compared);
    assert_true(compared.report.level);
    assert_int_equal(compared.report.rows, 3);
    scope.until.offsets[0] = 1000;
    run(&world, &scope, &compared);
    assert_true(compared.report.level);
    assert_int_equal(compared.report.position.offsets[0], 25);
    /* The log is ahead of the view: said, and a difference. */
    world_add(&world, "a", 1, "more", 1);
    run(&world, &scope, &compared);
    assert_false(compared.report.level);
    assert_int_equal(compared.report.rows, 4);
    assert_int_equal(compared.report.differences, 1);
    world_end(&world);
}

static void of_one_stream_only_its_rows_are_differences(void **state)
{
    struct world world;
    struct compared compared;
    const struct cairn_replay_scope scope = {.stream = CAIRN_SLICE_LIT("box-b")};
    (void)state;
    make_view(&world);
    run(&world, &scope, &compared);
    assert_true(compared.report.level);
    assert_int_equal(compared.report.events, 10);
    assert_int_equal(compared.report.rows, 1);
    assert_int_equal(compared.report.differences, 0);
    assert_int_equal(compared.report.left_out, 2);
    assert_int_equal(compared.report.position.offsets[0], 25);
    world_end(&world);
}

static void what_a_part_of_the_log_gives_otherwise_is_told(void **state)
{
    struct world world;
    struct compared compared;
    const struct cairn_replay_scope scope = {.after = {{18}}};
    (void)state;
    make_view(&world);
    run(&world, &scope, &compared);
    assert_true(compared.report.level);
    assert_int_equal(compared.report.events, 7);
    assert_int_equal(compared.report.rows, 3);
    assert_int_equal(compared.report.differences, 2);
    assert_string_equal(compared.told[0].key, "even");
    assert_int_equal(compared.told[0].kind, CAIRN_ROW_DIFFERS);
    assert_string_equal(compared.told[0].live, "{\"count\":10,\"sum\":10}");
    assert_string_equal(compared.told[0].replayed, "{\"count\":1,\"sum\":1}");
    world_end(&world);
}

static void a_time_is_a_border_too(void **state)
{
    struct world world;
    struct compared compared;
    (void)state;
    world_make(&world);
    world_view(&world, "sums", world_sums);
    world_begin(&world, 2);
    world_add(&world, "a", 1, "x", 3);
    int64_t between_us = cairn_clock_now_us(cairn_clock_system()) + 1;
    while (cairn_clock_now_us(cairn_clock_system()) <= between_us) {
    }
    world_add(&world, "b", 1, "y", 4);
    compared_project(&world, "sums");
    const struct cairn_replay_scope before = {.has_until_us = true, .until_us = between_us};
    run(&world, &before, &compared);
    assert_int_equal(compared.report.events, 3);
    assert_int_equal(compared.report.rows, 1);
    assert_string_equal(compared.rows[0].key, "x");
    assert_int_equal(compared.report.differences, 0);
    const struct cairn_replay_scope after = {.has_since_us = true, .since_us = between_us};
    run(&world, &after, &compared);
    assert_int_equal(compared.report.events, 4);
    assert_string_equal(compared.rows[0].key, "y");
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_an_earlier_position_are_held_against_those_of_now),
        cmocka_unit_test(a_position_inside_a_command_is_one_like_any_other),
        cmocka_unit_test(the_live_position_and_one_behind_the_log_are_compared),
        cmocka_unit_test(of_one_stream_only_its_rows_are_differences),
        cmocka_unit_test(what_a_part_of_the_log_gives_otherwise_is_told),
        cmocka_unit_test(a_time_is_a_border_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
