/* Followers that fill their next batch while one is in flight: whatever becomes of that one,
 * nothing is lost, doubled or applied too early. */
#include "platform/fault.h"
#include "projector/sql/follower.h"
#include "tests/integration/projector/sql_killer.h"

/* Commands of one event each. */
enum { BATCH = 64, EVENTS = 10 * BATCH };

static void begin_build(struct sql_stage *stage)
{
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_sql_head head;
    sql_stage_build(stage, "sums", &arena, &head);
    cairn_arena_fini(&arena);
}

static void begin(struct sql_stage *stage, const char *text)
{
    sql_stage_view(stage, "sums", text);
    world_begin(&stage->world, 1);
    begin_build(stage);
}

static struct cairn_sql_follower *follow(struct sql_stage *stage)
{
    struct cairn_sql_follower *follower = NULL;
    assert_ok(sql_stage_follow(stage, "sums", CAIRN_SIDE_NEXT, &follower), &stage->err);
    return follower;
}

static void add_events(struct sql_stage *stage, int count)
{
    for (int i = 0; i < count; i++) {
        world_add(&stage->world, "1", 1, "a", 1);
    }
}

/* As many events of n = 1 are in the table as the row says. */
static void holds(struct sql_stage *stage, int64_t events)
{
    assert_int_equal(
        sql_stage_number(stage, "SELECT coalesce(sum(sum), 0) FROM test_build_sums.sums"), events);
    assert_int_equal(sql_stage_number(stage, "SELECT events FROM _cairn_view"), events);
}

static size_t step(struct sql_stage *stage, struct cairn_sql_follower *follower, size_t max_events)
{
    size_t events = 0;
    assert_ok(cairn_sql_follower_step(follower, max_events, &events, &stage->err), &stage->err);
    return events;
}

/* One that has applied a batch of the log, and has the next one in hand. */
static struct cairn_sql_follower *get_ahead(struct sql_stage *stage)
{
    struct cairn_sql_follower *follower = follow(stage);
    assert_int_equal(step(stage, follower, BATCH), BATCH);
    assert_true(follower->ahead);
    assert_int_equal(follower->batch->events, BATCH);
    return follower;
}

static void what_is_filled_ahead_counts_when_it_is_committed(void **state)
{
    struct sql_stage *stage = *state;
    begin(stage, sql_stage_sums);
    add_events(stage, EVENTS);
    struct cairn_sql_follower *follower = get_ahead(stage);
    for (int64_t events = BATCH; events < EVENTS; events += BATCH) {
        holds(stage, events);
        assert_int_equal(follower->head.events, events);
        assert_int_equal(follower->taken, events);
        assert_int_equal(follower->head.position.offsets[0], events);
        assert_int_equal(step(stage, follower, BATCH), BATCH);
    }
    assert_false(follower->ahead);
    assert_int_equal(step(stage, follower, BATCH), 0);
    holds(stage, EVENTS);
    cairn_sql_follower_close(follower);
}

/* So a command's rows never wait for a batch behind them. */
static void at_the_end_of_the_log_nothing_is_filled_ahead(void **state)
{
    struct sql_stage *stage = *state;
    begin(stage, sql_stage_sums);
    add_events(stage, BATCH - 1);
    struct cairn_sql_follower *follower = follow(stage);
    assert_int_equal(step(stage, follower, BATCH), BATCH - 1);
    assert_false(follower->ahead);
    add_events(stage, BATCH);
    assert_int_equal(step(stage, follower, BATCH), BATCH);
    assert_false(follower->ahead);
    add_events(stage, 1);
    assert_int_equal(step(stage, follower, BATCH), 1);
    holds(stage, 2 * BATCH);
    cairn_sql_follower_close(follower);
}

/* The command of number `refused` is, of EVENTS. */
static void refuse_one(struct sql_stage *stage, int refused, const char *to, int64_t n)
{
    add_events(stage, refused);
    world_add(&stage->world, "1", n, to, 1);
    add_events(stage, EVENTS - refused - 1);
}

static void stops_behind(struct sql_stage *stage, int events)
{
    struct cairn_sql_follower *follower = follow(stage);
    sql_stage_catch_up(follower, BATCH);
    assert_true(follower->failed);
    assert_false(follower->ahead);
    assert_int_equal(follower->failed_offset, events + 1);
    assert_string_equal(sql_stage_value(stage, "SELECT error_event FROM _cairn_view"),
                        follower->failed_event);
    holds(stage, events);
    cairn_sql_follower_close(follower);
}

static void a_batch_that_is_refused_takes_the_next_one_with_it(void **state)
{
    struct sql_stage *stage = *state;
    begin(stage, sql_stage_sums);
    refuse_one(stage, 3 * BATCH + 7, "refused", -1);
    stops_behind(stage, 3 * BATCH + 7);
}

static void a_refused_batch_that_is_mended_goes_on(void **state)
{
    struct sql_stage *stage = *state;
    begin(stage, sql_stage_sums);
    refuse_one(stage, 3 * BATCH, "refused", -1);
    stops_behind(stage, 3 * BATCH);
    sql_stage_run(stage, "UPDATE _cairn_view SET error = '', error_event = ''");
    sql_stage_run(stage, "ALTER TABLE test_build_sums.sums DROP CONSTRAINT sums_sum_check");
    struct cairn_sql_follower *follower = follow(stage);
    sql_stage_catch_up(follower, BATCH);
    assert_false(follower->failed);
    assert_int_equal(sql_stage_number(stage, "SELECT events FROM _cairn_view"), EVENTS);
    cairn_sql_follower_close(follower);
}

static void an_event_that_cannot_be_taken_spares_the_batch_before_it(void **state)
{
    struct sql_stage *stage = *state;
    test_folder_write(stage->world.domain_folder, "schemas/events/Added.v1.json",
                      "{\"type\":\"object\"}");
    test_folder_write(stage->world.domain_folder, "box.lua",
                      "local box = aggregate 'box'\n"
                      "function box.decide.Add(state, cmd) return event('Added', cmd) end\n"
                      "function box.evolve.Added(state, data) end\n"
                      "box.upcast.Added = {\n"
                      "  [1] = function (data)\n"
                      "    if data.n == 77 then error('not this one') end\n"
                      "    return data\n"
                      "  end\n"
                      "}\n");
    begin(stage, sql_stage_sums);
    refuse_one(stage, 2 * BATCH + 3, "b", 77);
    struct cairn_sql_follower *follower = get_ahead(stage);
    assert_int_equal(step(stage, follower, BATCH), BATCH);
    assert_false(follower->ahead);
    holds(stage, 2 * BATCH);
    cairn_sql_follower_close(follower);
    stops_behind(stage, 2 * BATCH + 3);
}

static void another_follower_fences_one_that_is_ahead(void **state)
{
    struct sql_stage *stage = *state;
    size_t events = 0;
    begin(stage, sql_stage_sums);
    add_events(stage, EVENTS);
    struct cairn_sql_follower *first = get_ahead(stage);
    struct cairn_sql_follower *second = follow(stage);
    sql_stage_catch_up(second, 3 * BATCH);
    holds(stage, EVENTS);
    assert_int_equal(cairn_sql_follower_step(first, BATCH, &events, &stage->err), CAIRN_EFENCED);
    assert_int_equal(events, 0);
    assert_false(first->ahead);
    holds(stage, EVENTS);
    /* Read again from where the other one left it. */
    add_events(stage, 1);
    assert_ok(cairn_sql_follower_refresh(first, &stage->err), &stage->err);
    sql_stage_catch_up(first, BATCH);
    holds(stage, EVENTS + 1);
    cairn_sql_follower_close(first);
    cairn_sql_follower_close(second);
}

static void a_connection_lost_in_flight_leaves_nothing_of_both(void **state)
{
    struct sql_stage *stage = *state;
    struct cairn_pg *other = NULL;
    const struct cairn_pg_options options = {.uri = stage->uri};
    begin(stage, sql_stage_sums);
    sql_stage_run(stage, "INSERT INTO test_build_sums.sums VALUES ('a', 0, 0)");
    add_events(stage, EVENTS);
    struct cairn_sql_follower *follower = follow(stage);
    assert_ok(cairn_pg_open(&options, &other, &stage->err), &stage->err);
    pg_stage_run(other, "BEGIN; SELECT * FROM test_build_sums.sums FOR UPDATE");
    assert_int_equal(killer_step(stage, follower), CAIRN_EBUSY);
    pg_stage_run(other, "ROLLBACK");
    assert_false(follower->ahead);
    holds(stage, 0);
    cairn_sql_follower_close(follower);
    follower = follow(stage);
    sql_stage_catch_up(follower, BATCH);
    holds(stage, EVENTS);
    cairn_sql_follower_close(follower);
    cairn_pg_close(other);
}

static void a_limit_is_met_exactly_whatever_was_filled(void **state)
{
    struct sql_stage *stage = *state;
    uint64_t seed = sql_stage_seed();
    begin(stage, sql_stage_sums);
    add_events(stage, EVENTS);
    struct cairn_sql_follower *follower = get_ahead(stage);
    struct cairn_position until = follower->head.position;
    /* Where it stands, though more is in hand; then inside of what was, at its ends and beyond. */
    cairn_sql_follower_set_until(follower, &until);
    assert_int_equal(step(stage, follower, BATCH), 0);
    while (until.offsets[0] + 2 * BATCH < EVENTS) {
        cairn_sql_follower_set_until(follower, NULL);
        (void)step(stage, follower, BATCH);
        uint64_t more = 1 + sql_stage_random(&seed, 2 * BATCH);
        until.offsets[0] = follower->head.position.offsets[0] + more;
        until.offsets[0] = until.offsets[0] < EVENTS ? until.offsets[0] : EVENTS;
        cairn_sql_follower_set_until(follower, &until);
        sql_stage_catch_up(follower, BATCH);
        holds(stage, (int64_t)until.offsets[0]);
        assert_int_equal(follower->head.position.offsets[0], until.offsets[0]);
    }
    cairn_sql_follower_set_until(follower, NULL);
    sql_stage_catch_up(follower, BATCH);
    holds(stage, EVENTS);
    cairn_sql_follower_close(follower);
}

/* Rows of a batch come to an end before the events of a read do. */
static void a_batch_of_many_rows_ends_inside_of_a_read(void **state)
{
    enum { STATEMENTS = 40, COMMANDS = 50, COMMAND_EVENTS = 100 };
    static const char statement[] = "INSERT INTO sums VALUES (:to, :n) ON CONFLICT (who) DO UPDATE "
                                    "SET sum = sums.sum + excluded.sum;\n";
    struct sql_stage *stage = *state;
    struct cairn_buf text = {.max = 1u << 16};
    assert_int_equal(cairn_buf_append_str(&text, "-- view: sums\n-- version: 1\n-- table:\n"
                                                 "CREATE TABLE sums (who text PRIMARY KEY, sum "
                                                 "bigint NOT NULL);\n-- on: Added\n"),
                     CAIRN_OK);
    for (int i = 0; i < STATEMENTS; i++) {
        assert_int_equal(cairn_buf_append_str(&text, statement), CAIRN_OK);
    }
    assert_int_equal(cairn_buf_append_byte(&text, '\0'), CAIRN_OK);
    begin(stage, text.data);
    cairn_buf_fini(&text);
    for (int i = 0; i < COMMANDS; i++) {
        world_add(&stage->world, "1", 1, "a", COMMAND_EVENTS);
    }
    struct cairn_sql_follower *follower = follow(stage);
    size_t events = step(stage, follower, (size_t)COMMANDS * COMMAND_EVENTS);
    assert_in_range(events, COMMAND_EVENTS, (COMMANDS - 1) * COMMAND_EVENTS);
    assert_int_equal(events % COMMAND_EVENTS, 0);
    assert_true(follower->ahead);
    sql_stage_catch_up(follower, (size_t)COMMANDS * COMMAND_EVENTS);
    assert_int_equal(sql_stage_number(stage, "SELECT sum FROM test_build_sums.sums"),
                     STATEMENTS * COMMANDS * COMMAND_EVENTS);
    assert_int_equal(sql_stage_number(stage, "SELECT events FROM _cairn_view"),
                     COMMANDS * COMMAND_EVENTS);
    cairn_sql_follower_close(follower);
}

/* What was in flight is committed, whatever becomes of what is filled behind it. */
static void memory_that_ends_meanwhile_loses_and_doubles_nothing(void **state)
{
    struct sql_stage *stage = *state;
    unsigned spared = 0;
    bool fired = true;
    begin(stage, sql_stage_sums);
    add_events(stage, 2 * BATCH);
    skip_without_faults();
    for (int after = 0; fired; after++) {
        size_t events = 0;
        begin_build(stage);
        struct cairn_sql_follower *follower = follow(stage);
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = cairn_sql_follower_step(follower, BATCH, &events, &stage->err);
        fired = cairn_fault_fired(CAIRN_FAULT_MEM);
        cairn_fault_disarm();
        assert_true(rc == CAIRN_OK || (fired && rc == CAIRN_ENOMEM));
        if (rc == CAIRN_OK) {
            assert_int_equal(events, BATCH);
            spared += fired ? 1 : 0;
        } else {
            cairn_sql_follower_close(follower);
            follower = follow(stage);
        }
        sql_stage_catch_up(follower, BATCH);
        holds(stage, (int64_t)2 * BATCH);
        cairn_sql_follower_close(follower);
    }
    assert_true(spared > 0);
    print_message("%u failures spared what was in flight\n", spared);
}

#define staged(test) cmocka_unit_test_setup_teardown(test, sql_stage_setup, sql_stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        staged(what_is_filled_ahead_counts_when_it_is_committed),
        staged(at_the_end_of_the_log_nothing_is_filled_ahead),
        staged(a_batch_that_is_refused_takes_the_next_one_with_it),
        staged(a_refused_batch_that_is_mended_goes_on),
        staged(an_event_that_cannot_be_taken_spares_the_batch_before_it),
        staged(another_follower_fences_one_that_is_ahead),
        staged(a_connection_lost_in_flight_leaves_nothing_of_both),
        staged(a_limit_is_met_exactly_whatever_was_filled),
        staged(a_batch_of_many_rows_ends_inside_of_a_read),
        staged(memory_that_ends_meanwhile_loses_and_doubles_nothing),
    };
    return cmocka_run_group_tests(tests, sql_stage_group_setup, sql_stage_group_teardown);
}
