#include "tests/contract/suite.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/cm.h"

struct world {
    struct fixture fixture;
    open_fn open;
    struct cairn_store *store;
};

static struct cairn_store_options options_of(const struct world *world, bool writer)
{
    return (struct cairn_store_options){
        .data_folder = world->fixture.folder, .writer = writer, .domain = CAIRN_SLICE_LIT("bank")};
}

static void reopen(struct world *world, uint16_t partitions)
{
    struct cairn_err err;
    struct cairn_store_options options = options_of(world, true);
    options.partitions = partitions;
    cairn_store_close(world->store);
    world->store = NULL;
    assert_ok(world->open(&options, &world->store, &err), &err);
}

/* cmocka hands `*state` through; before the test it is the address of the open function. */
static int set_up(void **state)
{
    static struct world world;
    world = (struct world){.open = *(open_fn *)*state};
    fixture_init(&world.fixture);
    *state = &world;
    reopen(&world, 0);
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    cairn_store_close(world->store);
    world->store = NULL;
    fixture_fini(&world->fixture);
    return 0;
}

static enum cairn_rc put(struct world *world, const char *stream, int64_t expected, uint16_t count)
{
    struct cairn_err err;
    enum cairn_rc rc =
        fixture_put(&world->fixture, world->store, stream, expected, count, NULL, &err);
    if (rc != CAIRN_OK && rc != CAIRN_ECONFLICT) {
        fail_msg("append: %s", err.text);
    }
    return rc;
}

static size_t forward(struct world *world, const char *stream, size_t limit)
{
    return fixture_count_stream(&world->fixture, world->store, stream, CAIRN_FORWARD, limit);
}

static void an_empty_log_has_no_events(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    uint64_t version = 9;
    bool more = true;
    struct cairn_position start = {{0}};
    struct cairn_event_page page;
    assert_int_equal(fixture_check_log(world->store), 0);
    assert_ok(cairn_store_head(world->store, CAIRN_SLICE_LIT("account-1"), &version, &err), &err);
    assert_int_equal(version, 0);
    assert_ok(cairn_store_read_stream(world->store, CAIRN_SLICE_LIT("account-1"), 0, 10,
                                      CAIRN_FORWARD, &world->fixture.arena, &page, &err),
              &err);
    assert_int_equal(page.count, 0);
    assert_false(page.more);
    assert_ok(cairn_store_wait(world->store, &start, 1, &more, &err), &err);
    assert_false(more);
}

static void expecting_any_appends_to_every_stream(void **state)
{
    struct world *world = *state;
    assert_int_equal(put(world, "account-1", CAIRN_EXPECT_ANY, 1), CAIRN_OK);
    assert_int_equal(put(world, "account-1", CAIRN_EXPECT_ANY, 1), CAIRN_OK);
    assert_int_equal(forward(world, "account-1", 10), 2);
}

static void expecting_none_refuses_a_stream_that_exists(void **state)
{
    struct world *world = *state;
    assert_int_equal(put(world, "account-1", CAIRN_EXPECT_NONE, 1), CAIRN_OK);
    assert_int_equal(put(world, "account-1", CAIRN_EXPECT_NONE, 1), CAIRN_ECONFLICT);
    assert_int_equal(forward(world, "account-1", 10), 1);
}

static void expecting_a_version_refuses_every_other(void **state)
{
    struct world *world = *state;
    assert_int_equal(put(world, "account-1", 1, 1), CAIRN_ECONFLICT);
    assert_int_equal(put(world, "account-1", CAIRN_EXPECT_NONE, 3), CAIRN_OK);
    assert_int_equal(put(world, "account-1", 2, 1), CAIRN_ECONFLICT);
    assert_int_equal(put(world, "account-1", 4, 1), CAIRN_ECONFLICT);
    assert_int_equal(put(world, "account-1", 3, 1), CAIRN_OK);
    assert_int_equal(forward(world, "account-1", 10), 4);
}

static void a_conflict_says_the_actual_version(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    assert_int_equal(put(world, "account-1", CAIRN_EXPECT_NONE, 3), CAIRN_OK);
    struct cairn_append append = fixture_append(&world->fixture, "account-1", 7, 1, NULL);
    assert_ok(cairn_store_append(world->store, 0, &append, 1, &err), &err);
    assert_int_equal(append.rc, CAIRN_ECONFLICT);
    assert_int_equal(append.actual_version, 3);
}

static void a_conflict_inside_a_group_leaves_out_only_itself(void **state)
{
    struct world *world = *state;
    struct fixture *fixture = &world->fixture;
    struct cairn_err err;
    struct cairn_append appends[] = {
        fixture_append(fixture, "account-1", CAIRN_EXPECT_NONE, 2, NULL),
        fixture_append(fixture, "account-1", CAIRN_EXPECT_NONE, 1, NULL),
        fixture_append(fixture, "account-1", 3, 1, NULL), /* builds on the refused one */
        fixture_append(fixture, "account-2", CAIRN_EXPECT_NONE, 1, NULL),
        fixture_append(fixture, "account-1", 2, 1, NULL),
    };
    assert_ok(cairn_store_append(world->store, 0, appends, 5, &err), &err);
    assert_int_equal(appends[0].rc, CAIRN_OK);
    assert_int_equal(appends[1].rc, CAIRN_ECONFLICT);
    assert_int_equal(appends[1].actual_version, 2);
    assert_int_equal(appends[2].rc, CAIRN_ECONFLICT);
    assert_int_equal(appends[3].rc, CAIRN_OK);
    assert_int_equal(appends[4].rc, CAIRN_OK);
    assert_int_equal(appends[4].actual_version, 3);
    assert_int_equal(forward(world, "account-1", 10), 3);
    assert_int_equal(forward(world, "account-2", 10), 1);
    assert_int_equal(fixture_check_log(world->store), 4);
}

static void a_group_of_conflicts_writes_nothing(void **state)
{
    struct world *world = *state;
    struct cairn_position before;
    struct cairn_position after;
    struct cairn_err err;
    assert_ok(cairn_store_end(world->store, &before, &err), &err);
    assert_int_equal(put(world, "account-1", 5, 1), CAIRN_ECONFLICT);
    assert_ok(cairn_store_end(world->store, &after, &err), &err);
    assert_true(cairn_position_reached(&before, &after));
}

static void events_come_back_as_they_were_appended(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_event_page page;
    struct cairn_append append =
        fixture_append(&world->fixture, "account-1", CAIRN_EXPECT_NONE, 2, "key-1");
    append.events[1].principal = CAIRN_SLICE_LIT("ann");
    append.events[1].correlation = CAIRN_SLICE_LIT("basket-3");
    append.events[1].traceparent =
        CAIRN_SLICE_LIT("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    append.events[1].schema_version = 3;
    append.events[1].data = CAIRN_SLICE_LIT("\x80"); /* the smallest: an empty map */
    assert_ok(cairn_store_append(world->store, 0, &append, 1, &err), &err);
    assert_ok(cairn_store_read_stream(world->store, append.stream, 0, 10, CAIRN_FORWARD,
                                      &world->fixture.arena, &page, &err),
              &err);
    assert_int_equal(page.count, 2);
    for (uint16_t i = 0; i < 2; i++) {
        const struct cairn_event *in = &append.events[i];
        const struct cairn_event *out = &page.events[i];
        assert_memory_equal(in->id.bytes, out->id.bytes, 16);
        assert_true(cairn_slice_equal(in->type, out->type));
        assert_true(cairn_slice_equal(in->data, out->data));
        assert_true(cairn_slice_equal(in->key, out->key));
        assert_true(cairn_slice_equal(in->causation, out->causation));
        assert_true(cairn_slice_equal(in->correlation, out->correlation));
        assert_true(cairn_slice_equal(in->principal, out->principal));
        assert_true(cairn_slice_equal(in->traceparent, out->traceparent));
        assert_memory_equal(in->fingerprint, out->fingerprint, 16);
        assert_int_equal(in->time_us, out->time_us);
        assert_int_equal(in->schema_version, out->schema_version);
        assert_int_equal(out->index, i);
        assert_int_equal(out->count, 2);
        assert_int_equal(out->offset, in->offset);
    }
}

static void a_stream_reads_in_pages_both_ways(void **state)
{
    struct world *world = *state;
    struct fixture *fixture = &world->fixture;
    size_t total = 0;
    for (int i = 0; i < 60; i++) {
        uint16_t count = (uint16_t)(1 + fixture_random(fixture) % 5);
        assert_int_equal(put(world, "account-1", (int64_t)total, count), CAIRN_OK);
        assert_int_equal(put(world, "account-10", CAIRN_EXPECT_ANY, 1), CAIRN_OK);
        total += count;
        if (i == 20 || i == 40) {
            struct cairn_err err;
            assert_ok(cairn_store_flush(world->store, &err), &err);
        }
    }
    for (size_t limit = 1; limit < 9; limit++) {
        assert_int_equal(forward(world, "account-1", limit), total);
        assert_int_equal(
            fixture_count_stream(fixture, world->store, "account-1", CAIRN_BACKWARD, limit), total);
    }
    assert_int_equal(forward(world, "account-10", 7), 60);
}

static void the_log_reads_from_every_position(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    for (int i = 0; i < 30; i++) {
        assert_int_equal(put(world, i % 2 == 0 ? "account-1" : "account-2", CAIRN_EXPECT_ANY, 3),
                         CAIRN_OK);
    }
    struct cairn_log_reader *reader = NULL;
    assert_ok(cairn_log_reader_open(world->store, 0, 0, &reader, &err), &err);
    for (uint64_t after = 0; after <= 90; after++) {
        const struct cairn_event *events = NULL;
        size_t count = 0;
        assert_ok(cairn_log_reader_seek(reader, after, &err), &err);
        assert_ok(cairn_log_reader_next(reader, 1, &events, &count, &err), &err);
        if (after == 90) {
            assert_int_equal(count, 0);
            break;
        }
        assert_true(count >= 1 && count <= 3);
        assert_int_equal(events[0].offset, after + 1);
        assert_true(cairn_event_is_last(&events[count - 1]));
    }
    cairn_log_reader_close(reader);
}

static void positions_are_the_order_of_commits(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    uint64_t last = 0;
    for (int i = 0; i < 20; i++) {
        char stream[32];
        (void)snprintf(stream, sizeof(stream), "account-%d", i % 7);
        struct cairn_append append =
            fixture_append(&world->fixture, stream, CAIRN_EXPECT_ANY, 2, NULL);
        assert_ok(cairn_store_append(world->store, 0, &append, 1, &err), &err);
        assert_true(append.events[0].offset > last);
        assert_true(append.events[1].offset > append.events[0].offset);
        last = append.events[1].offset;
        struct cairn_position end;
        assert_ok(cairn_store_end(world->store, &end, &err), &err);
        assert_int_equal(end.offsets[0], last);
    }
    assert_int_equal(fixture_check_log(world->store), 40);
}

struct waiter {
    struct cairn_store *store;
    bool more;
};

static void *wait_long(void *self)
{
    struct waiter *waiter = self;
    struct cairn_position start = {{0}};
    struct cairn_err err;
    if (cairn_store_wait(waiter->store, &start, 60000, &waiter->more, &err) != CAIRN_OK) {
        waiter->more = false;
    }
    return NULL;
}

static void a_wait_ends_with_the_next_append(void **state)
{
    struct world *world = *state;
    struct waiter waiter = {.store = world->store};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wait_long, &waiter), 0);
    assert_int_equal(put(world, "account-1", CAIRN_EXPECT_ANY, 1), CAIRN_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(waiter.more);
}

static void a_wake_ends_every_wait(void **state)
{
    struct world *world = *state;
    struct waiter waiter = {.store = world->store, .more = true};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wait_long, &waiter), 0);
    cairn_store_wake(world->store);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(waiter.more);
}

static void check_receipt(struct world *world, const char *key, const char *stream,
                          uint64_t version, uint16_t count)
{
    struct cairn_err err;
    struct cairn_receipt receipt;
    assert_ok(cairn_store_receipt(world->store, cairn_slice_str(key), 0, &world->fixture.arena,
                                  &receipt, &err),
              &err);
    assert_true(cairn_slice_is(receipt.stream, stream));
    assert_int_equal(receipt.first_version, version);
    assert_int_equal(receipt.count, count);
    assert_int_equal(receipt.fingerprint[3], 7);
    assert_true(receipt.first_offset > 0);
}

static void receipts_live_as_long_as_the_log(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_receipt receipt;
    assert_int_equal(cairn_store_receipt(world->store, CAIRN_SLICE_LIT("k1"), 0,
                                         &world->fixture.arena, &receipt, &err),
                     CAIRN_ENOENT);
    assert_ok(fixture_put(&world->fixture, world->store, "account-1", 0, 2, "k1", &err), &err);
    assert_ok(fixture_put(&world->fixture, world->store, "account-1", 2, 3, "k2", &err), &err);
    for (int round = 0; round < 3; round++) {
        check_receipt(world, "k1", "account-1", 1, 2);
        check_receipt(world, "k2", "account-1", 3, 3);
        assert_int_equal(cairn_store_receipt(world->store, CAIRN_SLICE_LIT("k3"), 0,
                                             &world->fixture.arena, &receipt, &err),
                         CAIRN_ENOENT);
        if (round == 0) {
            assert_ok(cairn_store_flush(world->store, &err), &err);
        } else {
            reopen(world, 0);
        }
    }
}

static void snapshots_belong_to_the_code_that_made_them(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    const unsigned char code[16] = {1};
    const unsigned char other[16] = {2};
    struct cairn_slice stream = CAIRN_SLICE_LIT("account-1");
    for (uint64_t version = 10; version <= 30; version += 10) {
        uint64_t found = 0;
        struct cairn_slice got;
        assert_ok(cairn_store_snapshot_put(world->store, stream, code, version,
                                           CAIRN_SLICE_LIT("state"), &err),
                  &err);
        if (version == 20) {
            assert_ok(cairn_store_flush(world->store, &err), &err);
        }
        if (version == 30) {
            reopen(world, 0);
        }
        assert_ok(cairn_store_snapshot_get(world->store, stream, code, &world->fixture.arena,
                                           &found, &got, &err),
                  &err);
        assert_int_equal(found, version);
        assert_true(cairn_slice_is(got, "state"));
        assert_int_equal(cairn_store_snapshot_get(world->store, stream, other,
                                                  &world->fixture.arena, &found, &got, &err),
                         CAIRN_ENOENT);
    }
}

static void fill_streams(struct world *world, int commands)
{
    for (int i = 0; i < commands; i++) {
        char stream[32];
        char key[32];
        struct cairn_err err;
        (void)snprintf(stream, sizeof(stream), "account-%d", i % 13);
        (void)snprintf(key, sizeof(key), "key-%d", i);
        assert_ok(fixture_put(&world->fixture, world->store, stream, CAIRN_EXPECT_ANY,
                              (uint16_t)(1 + i % 4), key, &err),
                  &err);
    }
}

static size_t count_streams(struct world *world)
{
    size_t total = 0;
    for (int i = 0; i < 13; i++) {
        char stream[32];
        (void)snprintf(stream, sizeof(stream), "account-%d", i);
        total += forward(world, stream, 20);
    }
    return total;
}

static void several_partitions_keep_each_stream_in_one(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    cairn_store_close(world->store);
    world->store = NULL;
    assert_ok(cairn_file_remove_tree(world->fixture.folder, &err), &err);
    reopen(world, 5);
    assert_int_equal(cairn_store_partitions(world->store), 5);
    fill_streams(world, 200);
    struct cairn_position end;
    assert_ok(cairn_store_end(world->store, &end, &err), &err);
    int used = 0;
    for (int p = 0; p < 5; p++) {
        used += end.offsets[p] > 0 ? 1 : 0;
    }
    assert_true(used > 1);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(fixture_check_log(world->store), 500);
        assert_int_equal(count_streams(world), 500);
        reopen(world, round == 0 ? 0 : 5);
    }
}

static void another_number_of_partitions_is_refused(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_store_options options = options_of(world, true);
    cairn_store_close(world->store);
    world->store = NULL;
    options.partitions = 2;
    assert_int_equal(world->open(&options, &world->store, &err), CAIRN_EINVAL);
    options.partitions = 1;
    options.domain = CAIRN_SLICE_LIT("shop");
    assert_int_equal(world->open(&options, &world->store, &err), CAIRN_EINVAL);
    assert_null(world->store);
}

static void a_second_writer_is_refused(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_store *second = NULL;
    struct cairn_store_options options = options_of(world, true);
    pid_t child = fork();
    if (child == 0) {
        enum cairn_rc rc = world->open(&options, &second, &err);
        _exit(rc == CAIRN_ELOCKED ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(put(world, "account-1", CAIRN_EXPECT_ANY, 1), CAIRN_OK);
}

static void reopening_gives_the_same_answers(void **state)
{
    struct world *world = *state;
    fill_streams(world, 100);
    for (int i = 0; i < 3; i++) {
        reopen(world, 0);
        assert_int_equal(count_streams(world), 250);
        assert_int_equal(fixture_check_log(world->store), 250);
        check_receipt(world, "key-13", "account-0", 2, 2);
    }
    fill_streams(world, 4);
    assert_int_equal(count_streams(world), 260);
}

static void a_lost_index_gives_the_same_answers(void **state)
{
    struct world *world = *state;
    char index[CAIRN_PATH_MAX];
    struct cairn_err err;
    fill_streams(world, 100);
    assert_int_equal(cairn_file_join(index, world->fixture.folder, "index"), CAIRN_OK);
    cairn_store_close(world->store);
    world->store = NULL;
    assert_ok(cairn_file_remove_tree(index, &err), &err);
    reopen(world, 0);
    assert_int_equal(count_streams(world), 250);
    check_receipt(world, "key-13", "account-0", 2, 2);
    struct cairn_store_stats stats;
    assert_ok(cairn_store_stats(world->store, &stats, &err), &err);
    assert_int_equal(stats.events, 250);
    assert_int_equal(stats.streams, 13);
}

/* The child writes `rounds` commands and says so, one byte each, when each is committed. */
static void write_in_child(struct world *world, int ready, int go, int rounds)
{
    struct cairn_err err;
    struct cairn_store *store = NULL;
    struct cairn_store_options options = options_of(world, true);
    char byte = 0;
    if (world->open(&options, &store, &err) != CAIRN_OK || write(ready, "r", 1) != 1) {
        _exit(1);
    }
    for (int i = 0; i < rounds; i++) {
        if (read(go, &byte, 1) != 1 ||
            fixture_put(&world->fixture, store, "account-1", i, 1, NULL, &err) != CAIRN_OK ||
            write(ready, "r", 1) != 1) {
            _exit(2);
        }
        if (i % 3 == 2 && cairn_store_flush(store, &err) != CAIRN_OK) {
            _exit(3);
        }
    }
    cairn_store_close(store);
    _exit(0);
}

static void a_reading_process_sees_a_commit_at_once(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    int ready[2];
    int go[2];
    char byte;
    cairn_store_close(world->store);
    world->store = NULL;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(go), 0);
    pid_t child = fork();
    if (child == 0) {
        write_in_child(world, ready[1], go[0], 20);
    }
    /* A child that fails ends the reads below. */
    assert_int_equal(close(ready[1]), 0);
    assert_int_equal(close(go[0]), 0);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    struct cairn_store_options options = options_of(world, false);
    assert_ok(world->open(&options, &world->store, &err), &err);
    for (int i = 0; i < 20; i++) {
        struct cairn_position end;
        assert_ok(cairn_store_end(world->store, &end, &err), &err);
        assert_int_equal(write(go[1], "g", 1), 1);
        bool more = false;
        assert_ok(cairn_store_wait(world->store, &end, 60000, &more, &err), &err);
        assert_true(more);
        assert_int_equal(forward(world, "account-1", 6), (size_t)i + 1);
        assert_int_equal(read(ready[0], &byte, 1), 1);
    }
    assert_int_equal(fixture_check_log(world->store), 20);
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(close(ready[0]), 0);
    assert_int_equal(close(go[1]), 0);
}

static void a_reader_without_a_log_is_told(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_store *store = NULL;
    struct cairn_store_options options = options_of(world, false);
    char nowhere[CAIRN_PATH_MAX];
    assert_int_equal(cairn_file_join(nowhere, world->fixture.folder, "nowhere"), CAIRN_OK);
    options.data_folder = nowhere;
    assert_int_equal(world->open(&options, &store, &err), CAIRN_ENOENT);
}

static void the_largest_group_goes_in_and_a_larger_one_changes_nothing(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    size_t size = CAIRN_EVENT_DATA_BYTES_MAX;
    char *data = cairn_arena_zalloc(&world->fixture.arena, 1, size);
    assert_non_null(data);
    static const char head[] = "\x81\xa4note\xdb\x00\x0f\xff\xf5"; /* a map of one text */
    memcpy(data, head, sizeof(head) - 1);
    memset(data + sizeof(head) - 1, 'x', size - (sizeof(head) - 1));
    struct cairn_append append =
        fixture_append(&world->fixture, "account-1", CAIRN_EXPECT_NONE, 17, NULL);
    for (uint16_t i = 0; i < append.count; i++) {
        append.events[i].data = cairn_slice_of(data, size);
    }
    assert_int_equal(cairn_store_append(world->store, 0, &append, 1, &err), CAIRN_ETOOBIG);
    assert_false(cairn_store_stopped(world->store, NULL));
    assert_int_equal(fixture_check_log(world->store), 0);
    append.count = 15;
    assert_ok(cairn_store_append(world->store, 0, &append, 1, &err), &err);
    assert_int_equal(fixture_check_log(world->store), 15);
    assert_int_equal(forward(world, "account-1", 100), 15);
}

#define CASE(test) cmocka_unit_test_prestate_setup_teardown(test, set_up, tear_down, &open)

int contract_run(const char *name, open_fn open)
{
    const struct CMUnitTest tests[] = {
        CASE(an_empty_log_has_no_events),
        CASE(expecting_any_appends_to_every_stream),
        CASE(expecting_none_refuses_a_stream_that_exists),
        CASE(expecting_a_version_refuses_every_other),
        CASE(a_conflict_says_the_actual_version),
        CASE(a_conflict_inside_a_group_leaves_out_only_itself),
        CASE(a_group_of_conflicts_writes_nothing),
        CASE(events_come_back_as_they_were_appended),
        CASE(a_stream_reads_in_pages_both_ways),
        CASE(the_log_reads_from_every_position),
        CASE(positions_are_the_order_of_commits),
        CASE(a_wait_ends_with_the_next_append),
        CASE(a_wake_ends_every_wait),
        CASE(receipts_live_as_long_as_the_log),
        CASE(snapshots_belong_to_the_code_that_made_them),
        CASE(several_partitions_keep_each_stream_in_one),
        CASE(another_number_of_partitions_is_refused),
        CASE(a_second_writer_is_refused),
        CASE(reopening_gives_the_same_answers),
        CASE(a_lost_index_gives_the_same_answers),
        CASE(a_reading_process_sees_a_commit_at_once),
        CASE(a_reader_without_a_log_is_told),
        CASE(the_largest_group_goes_in_and_a_larger_one_changes_nothing),
    };
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int contract_run_records(const char *name, open_fn open)
{
    const struct CMUnitTest tests[] = {
        CASE(events_come_back_as_they_were_appended),
        CASE(the_log_reads_from_every_position),
        CASE(receipts_live_as_long_as_the_log),
        CASE(reopening_gives_the_same_answers),
        CASE(the_largest_group_goes_in_and_a_larger_one_changes_nothing),
    };
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}
