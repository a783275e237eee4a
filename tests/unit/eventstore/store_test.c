/* The life of a store with memory, or the index's disk, failing at every point once. */
#include "eventstore/store.h"

#include <stdio.h>
#include <stdlib.h>

#include "platform/fault.h"

#include "tests/support/cm.h"

enum { COMMANDS = 12, EVENTS = 2, STREAMS = 3 };

struct world {
    char folder[64];
    struct cairn_uuid_source ids;
    struct cairn_store *store;
    bool accepted[COMMANDS];
};

static int set_up(void **state)
{
    static struct world world;
    memset(&world, 0, sizeof(world));
    (void)snprintf(world.folder, sizeof(world.folder), "/tmp/cairn-store-XXXXXX");
    assert_non_null(mkdtemp(world.folder));
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    cairn_fault_disarm();
    cairn_store_close(world->store);
    assert_ok(cairn_file_remove_tree(world->folder, &err), &err);
    return 0;
}

static enum cairn_rc open_store(struct world *world, bool writer, struct cairn_err *err)
{
    struct cairn_store_options options = {.data_folder = world->folder,
                                          .writer = writer,
                                          .partitions = writer ? 2 : 0,
                                          .manual_flush = true};
    return cairn_store_open(&options, &world->store, err);
}

static void close_store(struct world *world)
{
    cairn_store_close(world->store);
    world->store = NULL;
}

static struct cairn_slice name(char out[24], const char *what, unsigned number)
{
    int size = snprintf(out, 24, "%s-%u", what, number);
    return cairn_slice_of(out, (size_t)size);
}

/* Command i: two events of its stream, and a key. */
static enum cairn_rc append(struct world *world, unsigned i, struct cairn_err *err)
{
    char stream[24];
    char key[24];
    struct cairn_event events[EVENTS];
    memset(events, 0, sizeof(events));
    for (unsigned e = 0; e < EVENTS; e++) {
        events[e].id = cairn_uuid_next(&world->ids, 1, cairn_random_system());
        events[e].type = CAIRN_SLICE_LIT("Deposited");
        events[e].schema_version = 1;
        events[e].data = CAIRN_SLICE_LIT("some data of the event");
        events[e].key = name(key, "key", i);
    }
    struct cairn_append append = {.stream = name(stream, "account", i % STREAMS),
                                  .expected = CAIRN_EXPECT_ANY,
                                  .events = events,
                                  .count = EVENTS};
    uint16_t lane = cairn_store_lane_of(world->store, append.stream);
    return cairn_store_append(world->store, lane, &append, 1, err);
}

/* A stream holds the events of the commands that were accepted, whole and in order. */
static enum cairn_rc check_stream(struct world *world, unsigned number, struct cairn_arena *arena,
                                  struct cairn_err *err)
{
    char stream[24];
    struct cairn_event_page page = {0};
    size_t wanted = 0;
    enum cairn_rc rc = cairn_store_read_stream(world->store, name(stream, "account", number), 0,
                                               100, CAIRN_FORWARD, arena, &page, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    for (unsigned i = number; i < COMMANDS; i += STREAMS) {
        char key[24];
        for (unsigned e = 0; world->accepted[i] && e < EVENTS; e++) {
            assert_true(wanted < page.count);
            const struct cairn_event *event = &page.events[wanted++];
            assert_int_equal(event->version, wanted);
            assert_int_equal(event->index, e);
            assert_true(cairn_slice_equal(event->key, name(key, "key", i)));
        }
    }
    assert_int_equal(page.count, wanted);
    return CAIRN_OK;
}

static enum cairn_rc check_receipts(struct world *world, struct cairn_arena *arena,
                                    struct cairn_err *err)
{
    for (unsigned i = 0; i < COMMANDS; i++) {
        char key[24];
        char stream[24];
        struct cairn_receipt receipt;
        enum cairn_rc rc =
            cairn_store_receipt(world->store, name(key, "key", i), 0, arena, &receipt, err);
        if (rc != CAIRN_OK && rc != CAIRN_ENOENT) {
            return rc;
        }
        assert_int_equal(rc, world->accepted[i] ? CAIRN_OK : CAIRN_ENOENT);
        if (rc == CAIRN_OK) {
            assert_int_equal(receipt.count, EVENTS);
            assert_true(cairn_slice_equal(receipt.stream, name(stream, "account", i % STREAMS)));
        }
    }
    return CAIRN_OK;
}

static enum cairn_rc check_log(struct world *world, struct cairn_err *err)
{
    uint64_t total = 0;
    uint64_t wanted = 0;
    for (uint16_t p = 0; p < 2; p++) {
        struct cairn_log_reader *reader = NULL;
        enum cairn_rc rc = cairn_log_reader_open(world->store, p, 0, &reader, err);
        size_t count = 1;
        while (rc == CAIRN_OK && count > 0) {
            const struct cairn_event *events = NULL;
            rc = cairn_log_reader_next(reader, 3, &events, &count, err);
            total += rc == CAIRN_OK ? count : 0;
        }
        cairn_log_reader_close(reader);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    for (unsigned i = 0; i < COMMANDS; i++) {
        wanted += world->accepted[i] ? EVENTS : 0;
    }
    assert_int_equal(total, wanted);
    return CAIRN_OK;
}

/* Everything that can be asked. */
static enum cairn_rc check(struct world *world, struct cairn_err *err)
{
    struct cairn_arena arena = {.max = 1u << 24};
    struct cairn_store_stats stats;
    enum cairn_rc rc = CAIRN_OK;
    for (unsigned s = 0; rc == CAIRN_OK && s < STREAMS; s++) {
        rc = check_stream(world, s, &arena, err);
    }
    if (rc == CAIRN_OK) {
        rc = check_receipts(world, &arena, err);
    }
    if (rc == CAIRN_OK) {
        rc = check_log(world, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_store_stats(world->store, &stats, err);
    }
    cairn_arena_fini(&arena);
    return rc;
}

static enum cairn_rc use_snapshot(struct world *world, struct cairn_err *err)
{
    static const unsigned char code[16] = "code";
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_slice stream = CAIRN_SLICE_LIT("account-1");
    struct cairn_slice kept = CAIRN_SLICE_NONE;
    uint64_t version = 0;
    enum cairn_rc rc =
        cairn_store_snapshot_put(world->store, stream, code, 2, CAIRN_SLICE_LIT("state"), err);
    if (rc == CAIRN_OK) {
        rc = cairn_store_snapshot_get(world->store, stream, code, &arena, &version, &kept, err);
    }
    if (rc == CAIRN_OK) {
        assert_int_equal(version, 2);
        assert_true(cairn_slice_is(kept, "state"));
    }
    cairn_arena_fini(&arena);
    return rc == CAIRN_ENOENT ? CAIRN_OK : rc; /* losing one is harmless */
}

/* A life from open to close; goes on after a failure, as a service does. The last failure. */
static enum cairn_rc live(struct world *world, struct cairn_err *err)
{
    enum cairn_rc failed = CAIRN_OK;
    enum cairn_rc rc = open_store(world, true, err);
    if (rc != CAIRN_OK) {
        assert_null(world->store);
        return rc;
    }
    for (unsigned i = 0; i < COMMANDS; i++) {
        rc = append(world, i, err);
        world->accepted[i] = rc == CAIRN_OK;
        failed = rc == CAIRN_OK ? failed : rc;
        if (i == COMMANDS / 2) {
            rc = use_snapshot(world, err);
            failed = rc == CAIRN_OK ? failed : rc;
            rc = cairn_store_flush(world->store, err);
            failed = rc == CAIRN_OK ? failed : rc;
        }
    }
    assert_false(cairn_store_stopped(world->store, NULL));
    rc = check(world, err);
    failed = rc == CAIRN_OK ? failed : rc;
    close_store(world);
    rc = open_store(world, false, err); /* and as a process that only reads */
    if (rc == CAIRN_OK) {
        rc = check(world, err);
        close_store(world);
    }
    return rc == CAIRN_OK ? failed : rc;
}

static void sweep(struct world *world, enum cairn_fault fault, enum cairn_rc code)
{
    bool fired = true;
    int after = 0;
    for (; fired; after++) {
        struct cairn_err err = {.rc = CAIRN_OK};
        memset(world->accepted, 0, sizeof(world->accepted));
        assert_ok(cairn_file_remove_tree(world->folder, &err), &err);
        cairn_fault_arm(fault, after);
        enum cairn_rc rc = live(world, &err);
        fired = cairn_fault_fired(fault);
        cairn_fault_disarm();
        if (rc != CAIRN_OK && (rc != code || !fired)) {
            fail_msg("call %d: %s: %s", after, cairn_err_info(rc)->name, err.text);
        }
        assert_ok(open_store(world, true, &err), &err);
        assert_ok(check(world, &err), &err);
        close_store(world);
        assert_true(after < 3000);
    }
    assert_true(after > 1);
}

static void memory_that_runs_out_anywhere_loses_nothing(void **state)
{
    skip_without_faults();
    sweep(*state, CAIRN_FAULT_MEM, CAIRN_ENOMEM);
}

static void an_index_that_cannot_be_written_loses_nothing(void **state)
{
    skip_without_faults();
    sweep(*state, CAIRN_FAULT_KV_COMMIT, CAIRN_EIO);
}

static void a_read_that_fails_anywhere_is_an_error_and_no_damage(void **state)
{
    skip_without_faults();
    sweep(*state, CAIRN_FAULT_READ, CAIRN_EIO);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(memory_that_runs_out_anywhere_loses_nothing),
        CASE(an_index_that_cannot_be_written_loses_nothing),
        CASE(a_read_that_fails_anywhere_is_an_error_and_no_damage),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
