/* Logs copied and compared: what arrives, what goes on where it was, and which difference is named.
 */
#include "tools/log_copy.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>

#include "tests/support/folder.h"
#include "tools/log_compare.h"

#include "tests/support/cm.h"

enum { STREAMS = 40, ROUNDS = 8, LARGE_BYTES = 900000, COMMANDS = 200, EACH = 80 };

static_assert(COMMANDS * EACH > 3 * CAIRN_LOG_WALK_EVENTS, "several batches");

struct world {
    char folder[TEST_FOLDER_SIZE];
    struct cairn_store *from, *to;
    struct cairn_stop stop;
    struct cairn_uuid_source ids;
    struct cairn_arena arena;
};

static struct cairn_store *open_log(const struct world *world, const char *name,
                                    uint16_t partitions)
{
    char data[TEST_FOLDER_SIZE + 16];
    struct cairn_err err;
    struct cairn_store *store = NULL;
    (void)snprintf(data, sizeof(data), "%s/%s", world->folder, name);
    const struct cairn_store_options options = {.data_folder = data,
                                                .log = "files",
                                                .writer = true,
                                                .partitions = partitions,
                                                .domain = CAIRN_SLICE_LIT("bank"),
                                                .segment_bytes = 1u << 20};
    assert_ok(cairn_store_open(&options, &store, &err), &err);
    return store;
}

static int set_up(void **state)
{
    static struct world world;
    world = (struct world){.arena = {.max = (size_t)1 << 26}};
    test_folder_make(world.folder, sizeof(world.folder), "log-copy");
    cairn_stop_begin(&world.stop);
    world.from = open_log(&world, "from", 1);
    world.to = open_log(&world, "to", 3);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    cairn_store_close(world->from);
    cairn_store_close(world->to);
    cairn_arena_fini(&world->arena);
    test_folder_remove(world->folder);
    return 0;
}

/* One command of count events with so many bytes of data each. */
static void append(struct world *world, struct cairn_store *store, unsigned number, uint16_t count,
                   size_t bytes)
{
    struct cairn_err err;
    cairn_arena_reset(&world->arena);
    struct cairn_event *events = cairn_arena_zalloc(&world->arena, count, sizeof(*events));
    char *data = cairn_arena_zalloc(&world->arena, 1, bytes);
    char *stream = cairn_arena_printf(&world->arena, "account-%u", number);
    assert_true(events != NULL && data != NULL && stream != NULL);
    for (uint16_t i = 0; i < count; i++) {
        events[i].id = cairn_uuid_next(&world->ids, 1, cairn_random_system());
        events[i].type = CAIRN_SLICE_LIT("Deposited");
        events[i].time_us = 1700000000000000 + i;
        events[i].schema_version = 1;
        events[i].data = cairn_slice_of(data, bytes);
    }
    struct cairn_append one = {.stream = cairn_slice_str(stream),
                               .expected = CAIRN_EXPECT_ANY,
                               .events = events,
                               .count = count};
    uint16_t lane = cairn_store_lane_of(store, one.stream);
    assert_ok(cairn_store_append(store, lane, &one, 1, &err), &err);
    assert_int_equal(one.rc, CAIRN_OK);
}

/* Commands of one to three events, stream by stream in turn. */
static void fill(struct world *world, unsigned rounds)
{
    for (unsigned i = 0; i < rounds * STREAMS; i++) {
        append(world, world->from, i % STREAMS, (uint16_t)(1 + i % 3), 50);
    }
}

static enum cairn_rc copy(struct world *world, uint64_t *ret_written, struct cairn_err *err)
{
    const struct cairn_log_copy one = {.from = world->from, .to = world->to, .stop = &world->stop};
    return cairn_log_copy(&one, ret_written, err);
}

static uint64_t copy_ok(struct world *world)
{
    struct cairn_err err;
    uint64_t written = 0;
    assert_ok(copy(world, &written, &err), &err);
    return written;
}

static uint64_t events_of(struct cairn_store *store)
{
    struct cairn_err err;
    struct cairn_store_stats stats;
    assert_ok(cairn_store_stats(store, &stats, &err), &err);
    return stats.events;
}

static enum cairn_rc compare(struct world *world, struct cairn_store *part,
                             struct cairn_store *whole, bool all, struct cairn_err *err)
{
    const struct cairn_log_compare one = {
        .part = part, .whole = whole, .stop = &world->stop, .what = "events compared"};
    return all ? cairn_log_compare_all(&one, err) : cairn_log_compare(&one, err);
}

static void assert_same(struct world *world)
{
    struct cairn_err err;
    assert_ok(compare(world, world->from, world->to, true, &err), &err);
    assert_ok(compare(world, world->to, world->from, true, &err), &err);
}

static void a_copy_is_the_same_in_either_order_of_reading(void **state)
{
    struct world *world = *state;
    fill(world, ROUNDS);
    assert_int_equal(copy_ok(world), events_of(world->from));
    assert_same(world);
    assert_int_equal(copy_ok(world), 0);
    assert_same(world);
}

static void a_copy_goes_on_where_the_last_one_was(void **state)
{
    struct world *world = *state;
    fill(world, 3);
    uint64_t before = copy_ok(world);
    fill(world, 4);
    assert_int_equal(copy_ok(world), events_of(world->from) - before);
    assert_same(world);
}

static void large_commands_are_cut_into_groups_that_fit(void **state)
{
    struct world *world = *state;
    for (unsigned i = 0; i < 8; i++) {
        append(world, world->from, i % 3, 8, LARGE_BYTES);
        append(world, world->from, 7, 1, 10);
    }
    assert_int_equal(copy_ok(world), 8 * 8 + 8);
    assert_same(world);
}

static void the_first_difference_is_named(void **state)
{
    struct world *world = *state;
    struct cairn_err err = {.rc = CAIRN_OK};
    append(world, world->from, 1, 2, 10);
    assert_int_equal(copy_ok(world), 2);
    append(world, world->from, 1, 2, 10);
    assert_int_equal(compare(world, world->from, world->to, false, &err), CAIRN_ECONFLICT);
    assert_string_equal(err.text, "version 3 of account-1 differs");
    append(world, world->to, 1, 2, 11);
    assert_int_equal(compare(world, world->from, world->to, false, &err), CAIRN_ECONFLICT);
    assert_string_equal(err.text, "version 3 of account-1 differs");
}

static void what_only_the_whole_holds_is_seen_where_asked(void **state)
{
    struct world *world = *state;
    struct cairn_err err = {.rc = CAIRN_OK};
    fill(world, 2);
    (void)copy_ok(world);
    append(world, world->to, STREAMS, 1, 10);
    assert_ok(compare(world, world->from, world->to, false, &err), &err);
    assert_int_equal(compare(world, world->from, world->to, true, &err), CAIRN_ECONFLICT);
    assert_non_null(strstr(err.text, "in 41 streams, not "));
    assert_int_equal(compare(world, world->to, world->from, false, &err), CAIRN_ECONFLICT);
    assert_string_equal(err.text, "version 1 of account-40 differs");
}

static void a_command_that_is_there_in_part_is_a_conflict(void **state)
{
    struct world *world = *state;
    struct cairn_err err = {.rc = CAIRN_OK};
    uint64_t written = 7;
    append(world, world->from, 1, 3, 10);
    append(world, world->to, 1, 1, 10);
    assert_int_equal(copy(world, &written, &err), CAIRN_ECONFLICT);
    assert_int_equal(written, 0);
    assert_non_null(strstr(err.text, "account-1 at version 1, not 0"));
    assert_int_equal(events_of(world->to), 1);
}

static void a_signal_ends_it_between_batches(void **state)
{
    struct world *world = *state;
    struct cairn_err err = {.rc = CAIRN_OK};
    uint64_t written = 0;
    for (unsigned i = 0; i < COMMANDS; i++) {
        append(world, world->from, i % STREAMS, EACH, 50);
    }
    assert_int_equal(raise(SIGTERM), 0);
    assert_int_equal(copy(world, &written, &err), CAIRN_ESTOPPED);
    assert_true(written > 0 && written < events_of(world->from));
    assert_int_equal(events_of(world->to), written);
    assert_int_equal(compare(world, world->to, world->from, false, &err), CAIRN_ESTOPPED);
    cairn_stop_begin(&world->stop);
    assert_int_equal(copy_ok(world), events_of(world->from) - written);
    assert_same(world);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_copy_is_the_same_in_either_order_of_reading),
        CASE(a_copy_goes_on_where_the_last_one_was),
        CASE(large_commands_are_cut_into_groups_that_fit),
        CASE(the_first_difference_is_named),
        CASE(what_only_the_whole_holds_is_seen_where_asked),
        CASE(a_command_that_is_there_in_part_is_a_conflict),
        CASE(a_signal_ends_it_between_batches),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
