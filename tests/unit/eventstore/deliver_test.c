/* Deliveries into a replica, and appends to lanes of several partitions, which come back from their
 * log as deliveries would. */
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "eventstore/replica.h"
#include "eventstore/store_deliver.h"
#include "eventstore/store_int.h"
#include "platform/fault.h"
#include "tests/support/folder.h"
#include "tests/support/killed.h"

#include "tests/support/cm.h"

enum { LANES = 2, AGGREGATES = 2, PARTITIONS = LANES * AGGREGATES, STREAMS = 50 };

struct world {
    char folder[TEST_FOLDER_SIZE];
    struct cairn_store_options options;
    struct cairn_slice aggregates[AGGREGATES];
    struct cairn_replica replica;
    struct cairn_backend_ops ops; /* the replica's, with a commit of its own */
    bool writes;                  /* take ops */
    struct cairn_disk disk;
    off_t synced; /* size of the file that was synced last */
    bool sync_fails;
    int memory; /* calls until memory runs out in the next delivery; -1: it does not */
    struct cairn_store *store;
    struct cairn_arena arena;
};

static int sync_and_note(void *self, int fd)
{
    struct world *world = self;
    struct stat found;
    if (world->sync_fails) {
        return 5;
    }
    assert_int_equal(fstat(fd, &found), 0);
    world->synced = found.st_size;
    return cairn_disk_system()->sync_data(NULL, fd);
}

static int set_up(void **state)
{
    static struct world world;
    world = (struct world){
        .disk = *cairn_disk_system(), .memory = -1, .arena = {.max = (size_t)1 << 30}};
    test_folder_make(world.folder, sizeof(world.folder), "deliver");
    world.disk.sync_data = sync_and_note;
    world.disk.self = &world;
    world.options = (struct cairn_store_options){.data_folder = world.folder,
                                                 .log = "kafka:nowhere:1",
                                                 .writer = true,
                                                 .domain = CAIRN_SLICE_LIT("bank"),
                                                 .disk = &world.disk,
                                                 .manual_flush = true};
    world.aggregates[0] = CAIRN_SLICE_LIT("account");
    world.aggregates[1] = CAIRN_SLICE_LIT("transfer");
    world.replica = (struct cairn_replica){.log_id = "the log of a cat",
                                           .lanes = LANES,
                                           .aggregate_count = AGGREGATES,
                                           .aggregates = world.aggregates};
    *state = &world;
    return 0;
}

static void close_store(struct world *world)
{
    cairn_store_close(world->store);
    world->store = NULL;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    cairn_fault_disarm();
    close_store(world);
    cairn_arena_fini(&world->arena);
    test_folder_remove(world->folder);
    return 0;
}

/* A commit as a log has it that is elsewhere: written there, then copied partition by partition. */
static enum cairn_rc commit_elsewhere(struct cairn_backend *backend, struct cairn_commit *commit,
                                      struct cairn_err *err)
{
    commit->part_count = 0;
    for (uint16_t p = commit->lane; p < PARTITIONS; p += LANES) {
        struct cairn_append *appends[64];
        uint16_t partitions[64];
        uint64_t locators[64];
        size_t places[64];
        struct cairn_commit one = {.lane = commit->lane,
                                   .appends = appends,
                                   .partitions = partitions,
                                   .locators = locators,
                                   .parts = &commit->parts[commit->part_count]};
        for (size_t i = 0; i < commit->count; i++) {
            if (commit->partitions[i] == p) {
                appends[one.count] = commit->appends[i];
                partitions[one.count] = p;
                places[one.count++] = i;
            }
        }
        if (one.count == 0) {
            continue;
        }
        enum cairn_rc rc =
            cairn_replica_append(backend, &one, cairn_replica_source(backend, p) + 2, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        for (size_t i = 0; i < one.count; i++) {
            commit->locators[places[i]] = locators[i];
        }
        commit->part_count++;
    }
    return CAIRN_OK;
}

static enum cairn_rc try_open(struct world *world, struct cairn_err *err)
{
    struct cairn_backend *backend = NULL;
    close_store(world);
    enum cairn_rc rc = cairn_replica_open(&world->options, &world->replica, &backend, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (world->writes) {
        world->ops = *backend->ops;
        world->ops.commit = commit_elsewhere;
        backend->ops = &world->ops;
    }
    return cairn_store_open_on(&world->options, backend, &world->store, err);
}

static void open_store(struct world *world)
{
    struct cairn_err err;
    assert_ok(try_open(world, &err), &err);
}

static struct cairn_slice text_of(struct cairn_arena *arena, const char *what, unsigned number)
{
    char *text = cairn_arena_printf(arena, "%s-%u", what, number);
    assert_non_null(text);
    return cairn_slice_str(text);
}

static struct cairn_append make(struct cairn_arena *arena, const char *what, unsigned number,
                                uint64_t version, uint16_t count, size_t bytes)
{
    struct cairn_event *events = cairn_arena_zalloc(arena, count, sizeof(*events));
    char *data = cairn_arena_zalloc(arena, 1, bytes);
    assert_true(events != NULL && data != NULL);
    struct cairn_append append = {.stream = text_of(arena, what, number),
                                  .expected = CAIRN_EXPECT_ANY,
                                  .events = events,
                                  .count = count};
    struct cairn_uuid_source ids = {0};
    for (uint16_t i = 0; i < count; i++) {
        events[i].id = cairn_uuid_next(&ids, 1, cairn_random_system());
        events[i].stream = append.stream;
        events[i].type = CAIRN_SLICE_LIT("Deposited");
        events[i].schema_version = 1;
        events[i].version = version + i;
        events[i].index = i;
        events[i].count = count;
        events[i].data = cairn_slice_of(data, bytes);
    }
    return append;
}

/* Deliver one command of two events. */
static enum cairn_rc deliver_one(struct world *world, uint16_t partition, unsigned number,
                                 uint64_t version, uint64_t source, struct cairn_err *err)
{
    struct cairn_append append = make(&world->arena, "account", number, version, 2, 100);
    append.events[0].key = text_of(&world->arena, "key", (unsigned)source);
    struct cairn_delivery delivery = {
        .partition = partition, .appends = &append, .count = 1, .source = source};
    return cairn_store_deliver(world->store, &delivery, err);
}

/* Number `round` of one command for each of STREAMS streams of partition, in one delivery. */
static enum cairn_rc deliver_round(struct world *world, uint16_t partition, unsigned round,
                                   struct cairn_err *err)
{
    struct cairn_arena arena = {.max = (size_t)1 << 26};
    struct cairn_append appends[STREAMS];
    for (unsigned i = 0; i < STREAMS; i++) {
        appends[i] = make(&arena, "account", partition * 1000u + i, 2ull * round + 1, 2, 200);
        appends[i].events[0].key = text_of(&arena, "key", partition * 1000000u + round * 100u + i);
        appends[i].events[1].key = appends[i].events[0].key;
    }
    struct cairn_delivery delivery = {.partition = partition,
                                      .appends = appends,
                                      .count = STREAMS,
                                      .source = 10ull * (round + 1)};
    if (world->memory >= 0) {
        cairn_fault_arm(CAIRN_FAULT_MEM, world->memory);
    }
    enum cairn_rc rc = cairn_store_deliver(world->store, &delivery, err);
    cairn_arena_fini(&arena);
    return rc;
}

static uint64_t end_of(struct world *world, uint16_t partition)
{
    struct cairn_err err;
    struct cairn_position end;
    assert_ok(cairn_store_end(world->store, &end, &err), &err);
    return end.offsets[partition];
}

static uint64_t head_of(struct world *world, const char *stream)
{
    struct cairn_err err;
    uint64_t version = 0;
    assert_ok(cairn_store_head(world->store, cairn_slice_str(stream), &version, &err), &err);
    return version;
}

/* All of the first `rounds` rounds of a partition, and nothing else. */
static void expect_rounds(struct world *world, uint16_t partition, unsigned rounds)
{
    struct cairn_err err;
    struct cairn_log_reader *reader = NULL;
    uint64_t offset = 0;
    size_t count = 1;
    assert_int_equal(end_of(world, partition), 2ull * STREAMS * rounds);
    assert_int_equal(cairn_replica_source(world->store->backend, partition), 10ull * rounds);
    assert_ok(cairn_log_reader_open(world->store, partition, 0, &reader, &err), &err);
    while (count > 0) {
        const struct cairn_event *events = NULL;
        assert_ok(cairn_log_reader_next(reader, 100, &events, &count, &err), &err);
        for (size_t i = 0; i < count; i++) {
            uint64_t at = offset++;
            assert_int_equal(events[i].offset, at + 1);
            assert_int_equal(events[i].version, at / (2 * STREAMS) * 2 + at % 2 + 1);
        }
    }
    cairn_log_reader_close(reader);
    assert_int_equal(offset, 2ull * STREAMS * rounds);
    for (unsigned i = 0; i < STREAMS; i += 7) {
        struct cairn_slice stream = text_of(&world->arena, "account", partition * 1000u + i);
        struct cairn_receipt receipt;
        assert_int_equal(head_of(world, stream.data), 2ull * rounds);
        if (rounds > 0) {
            unsigned last = partition * 1000000u + (rounds - 1) * 100u + i;
            assert_ok(cairn_store_receipt(world->store, text_of(&world->arena, "key", last),
                                          partition, &world->arena, &receipt, &err),
                      &err);
            assert_int_equal(receipt.first_version, 2ull * rounds - 1);
            assert_int_equal(receipt.partition, partition);
        }
    }
}

static void what_is_delivered_is_there_after_any_close(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    open_store(world);
    for (unsigned round = 0; round < 30; round++) {
        assert_ok(deliver_round(world, 0, round, &err), &err);
        assert_ok(deliver_round(world, 1, round, &err), &err);
        if (round == 11) {
            assert_ok(cairn_store_flush(world->store, &err), &err);
        }
        if (round % 10 == 5) {
            open_store(world);
        }
    }
    expect_rounds(world, 0, 30);
    expect_rounds(world, 1, 30);
    open_store(world);
    expect_rounds(world, 1, 30);
    assert_int_equal(end_of(world, 2), 0);
}

static void expect_stopped(struct world *world, const char *text)
{
    struct cairn_err err;
    assert_true(cairn_store_stopped(world->store, &err));
    if (strstr(err.text, text) == NULL) {
        fail_msg("'%s' does not say '%s'", err.text, text);
    }
    assert_int_equal(deliver_one(world, 1, 99, 1, 1000, &err), CAIRN_ESTOPPED);
}

static void a_key_of_two_partitions_has_two_receipts(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    open_store(world);
    assert_ok(deliver_one(world, 1, 7, 1, 33, &err), &err);
    assert_ok(deliver_one(world, 2, 8, 1, 33, &err), &err); /* the same key: it is made of 33 */
    for (int round = 0; round < 2; round++) {
        struct cairn_receipt receipt;
        for (uint16_t preferred = 0; preferred < PARTITIONS; preferred++) {
            assert_ok(cairn_store_receipt(world->store, CAIRN_SLICE_LIT("key-33"), preferred,
                                          &world->arena, &receipt, &err),
                      &err);
            assert_int_equal(receipt.partition, preferred == 2 ? 2 : 1);
            assert_true(cairn_slice_is(receipt.stream, preferred == 2 ? "account-8" : "account-7"));
        }
        open_store(world);
    }
}

static void a_gap_or_a_repeat_stops_the_store(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    for (uint64_t version = 1; version <= 5; version++) {
        open_store(world);
        if (version == 1) {
            assert_ok(deliver_one(world, 1, 7, 1, 33, &err), &err);
        }
        if (version == 3) {
            continue; /* that is the next one */
        }
        char text[128];
        assert_int_equal(deliver_one(world, 1, 7, version, 44, &err), CAIRN_ECORRUPT);
        (void)snprintf(text, sizeof(text),
                       "version %u of account-7 follows version 2, in partition 1 before offset 44",
                       (unsigned)version);
        expect_stopped(world, text);
        assert_int_equal(end_of(world, 1), 2);
    }
    open_store(world);
    assert_ok(deliver_one(world, 1, 7, 3, 44, &err), &err);
    assert_int_equal(deliver_one(world, 1, 8, 2, 55, &err), CAIRN_ECORRUPT);
    expect_stopped(world, "version 2 of account-8 follows version 0");
}

static void a_torn_command_stops_the_store(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    open_store(world);
    struct cairn_append append = make(&world->arena, "account", 1, 1, 3, 10);
    append.events[2].index = 1;
    struct cairn_delivery delivery = {.partition = 1, .appends = &append, .count = 1, .source = 9};
    assert_int_equal(cairn_store_deliver(world->store, &delivery, &err), CAIRN_ECORRUPT);
    expect_stopped(world, "version 3 of account-1 is torn from its command");
}

/* More than one group holds. */
static enum cairn_rc deliver_much(struct world *world, uint64_t source, struct cairn_err *err)
{
    enum { COUNT = 40 };
    struct cairn_arena arena = {.max = (size_t)1 << 27};
    struct cairn_append appends[COUNT];
    uint64_t head = head_of(world, "account-0");
    for (unsigned i = 0; i < COUNT; i++) {
        appends[i] = make(&arena, "account", 0, head + i + 1, 1, 1000000);
    }
    struct cairn_delivery delivery = {
        .partition = 0, .appends = appends, .count = COUNT, .source = source};
    enum cairn_rc rc = cairn_store_deliver(world->store, &delivery, err);
    cairn_arena_fini(&arena);
    return rc;
}

static void a_large_delivery_is_all_or_nothing(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    open_store(world);
    assert_ok(deliver_much(world, 100, &err), &err);
    assert_int_equal(end_of(world, 0), 40);
    bool fired = true;
    for (int after = 0; fired; after++) {
        cairn_fault_arm(CAIRN_FAULT_WRITE, after);
        enum cairn_rc rc = deliver_much(world, 200, &err);
        fired = cairn_fault_fired(CAIRN_FAULT_WRITE);
        cairn_fault_disarm();
        assert_int_equal(rc == CAIRN_OK, !fired);
        assert_int_equal(end_of(world, 0), fired ? 40 : 80);
        assert_int_equal(head_of(world, "account-0"), fired ? 40 : 80);
        open_store(world);
        assert_int_equal(end_of(world, 0), fired ? 40 : 80);
        assert_int_equal(cairn_replica_source(world->store->backend, 0), fired ? 100 : 200);
        assert_true(after < 50);
    }
}

static void memory_that_runs_out_changes_nothing(void **state)
{
    skip_without_faults();
    struct world *world = *state;
    struct cairn_err err;
    bool fired = true;
    unsigned round = 0;
    for (int after = 0; fired; after++) {
        close_store(world);
        assert_ok(cairn_file_remove_tree(world->folder, &err), &err);
        open_store(world);
        world->memory = after;
        enum cairn_rc rc = deliver_round(world, 1, 0, &err);
        world->memory = -1;
        fired = cairn_fault_fired(CAIRN_FAULT_MEM);
        cairn_fault_disarm();
        assert_true(rc == CAIRN_OK || rc == CAIRN_ENOMEM);
        assert_int_equal(end_of(world, 1), rc == CAIRN_OK ? 2 * STREAMS : 0);
        if (rc != CAIRN_OK) {
            assert_ok(deliver_round(world, 1, 0, &err), &err);
        }
        expect_rounds(world, 1, 1);
        assert_true(after < 500);
        round++;
    }
    assert_true(round > 5);
}

static void a_power_cut_leaves_what_the_index_has_read(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/replica/1/00000000000000000001.seg", world->folder);
    open_store(world);
    for (unsigned round = 0; round < 9; round++) {
        assert_ok(deliver_round(world, 1, round, &err), &err);
        if (round == 4) {
            assert_ok(cairn_store_flush(world->store, &err), &err);
        }
    }
    world->sync_fails = true; /* so the close writes no checkpoint */
    assert_int_equal(cairn_store_flush(world->store, &err), CAIRN_EIO);
    close_store(world);
    world->sync_fails = false;
    /* What was not synced is gone, and a page behind it is there by chance. */
    assert_int_equal(truncate(path, world->synced), 0);
    assert_int_equal(truncate(path, world->synced + 8192), 0);
    struct cairn_index_options index_options = {
        .writer = true, .manual = true, .partitions = PARTITIONS, .log_id = "the log of a cat"};
    char folder[128];
    (void)snprintf(folder, sizeof(folder), "%s/index", world->folder);
    index_options.folder = folder;
    struct cairn_index *index = NULL;
    assert_ok(cairn_index_open(&index_options, &index, &err), &err);
    assert_int_equal(cairn_index_applied(index, 1).offset, 5 * 2 * STREAMS);
    cairn_index_close(index);
    open_store(world);
    expect_rounds(world, 1, 5);
    for (unsigned round = 5; round < 9; round++) {
        assert_ok(deliver_round(world, 1, round, &err), &err);
    }
    expect_rounds(world, 1, 9);
}

static void an_index_without_its_replica_starts_anew(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/replica", world->folder);
    open_store(world);
    assert_ok(deliver_round(world, 1, 0, &err), &err);
    close_store(world);
    assert_ok(cairn_file_remove_tree(path, &err), &err);
    open_store(world);
    expect_rounds(world, 1, 0);
    assert_ok(deliver_round(world, 1, 0, &err), &err);
    expect_rounds(world, 1, 1);
    close_store(world);
    (void)snprintf(path, sizeof(path), "%s/index", world->folder);
    assert_ok(cairn_file_remove_tree(path, &err), &err);
    open_store(world);
    expect_rounds(world, 1, 1);
}

static void a_reading_process_sees_deliveries(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct world reader = {.options = world->options, .arena = {.max = 1 << 20}};
    reader.options.writer = false;
    open_store(world);
    assert_ok(cairn_store_open(&reader.options, &reader.store, &err), &err);
    assert_int_equal(cairn_store_partitions(reader.store), PARTITIONS);
    assert_int_equal(cairn_store_lanes(reader.store), LANES);
    for (unsigned round = 0; round < 5; round++) {
        struct cairn_event_page page;
        assert_ok(deliver_round(world, 1, round, &err), &err);
        assert_int_equal(end_of(&reader, 1), 2 * STREAMS * (round + 1));
        assert_int_equal(head_of(&reader, "account-1003"), 2 * (round + 1));
        if (round == 2) {
            assert_ok(cairn_store_flush(world->store, &err), &err);
        }
        /* The partition of the stream is what its name says, and not where this test put it. */
        const char *stream = "account-1000";
        for (unsigned i = 1; cairn_store_partition_of(world->store, cairn_slice_str(stream)) != 1;
             i++) {
            assert_true(i < STREAMS);
            stream = text_of(&reader.arena, "account", 1000 + i).data;
        }
        assert_ok(cairn_store_read_stream(reader.store, cairn_slice_str(stream), 0, 100,
                                          CAIRN_FORWARD, &reader.arena, &page, &err),
                  &err);
        assert_int_equal(page.count, 2 * (round + 1));
    }
    cairn_store_close(reader.store);
    cairn_arena_fini(&reader.arena);
}

/* ---- lanes ---- */

static void a_group_may_span_the_partitions_of_its_lane(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_append appends[32];
    unsigned used = 0;
    world->writes = true;
    open_store(world);
    for (unsigned i = 0; used < 32; i++) {
        struct cairn_append account = make(&world->arena, "account", i, 1, 2, 20);
        struct cairn_append transfer = make(&world->arena, "transfer", i, 1, 1, 20);
        assert_int_equal(cairn_store_lane_of(world->store, account.stream),
                         cairn_store_lane_of(world->store, transfer.stream));
        if (cairn_store_lane_of(world->store, account.stream) == 1) {
            assert_int_equal(cairn_store_partition_of(world->store, account.stream), 1);
            assert_int_equal(cairn_store_partition_of(world->store, transfer.stream), 3);
            appends[used++] = account;
            appends[used++] = transfer;
        }
    }
    assert_ok(cairn_store_append(world->store, 1, appends, 32, &err), &err);
    assert_int_equal(end_of(world, 1), 32);
    assert_int_equal(end_of(world, 3), 16);
    appends[0].expected = 0; /* refused: the stream is there */
    assert_ok(cairn_store_append(world->store, 1, appends, 32, &err), &err);
    assert_int_equal(appends[0].rc, CAIRN_ECONFLICT);
    assert_int_equal(appends[1].rc, CAIRN_OK);
    assert_int_equal(appends[1].events[0].partition, 3);
    assert_int_equal(appends[1].events[0].offset, 17);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(end_of(world, 1), 62);
        assert_int_equal(end_of(world, 3), 32);
        for (unsigned i = 0; i < 32; i++) {
            struct cairn_event_page page;
            uint64_t wanted = i == 0 ? 2 : i % 2 == 0 ? 4 : 2;
            assert_ok(cairn_store_read_stream(world->store, appends[i].stream, 0, 100,
                                              CAIRN_FORWARD, &world->arena, &page, &err),
                      &err);
            assert_int_equal(page.count, wanted);
            assert_int_equal(page.events[0].partition, i % 2 == 0 ? 1 : 3);
        }
        open_store(world);
    }
}

static void a_stream_without_a_place_is_refused(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_event_page page = {.count = 1};
    world->writes = true;
    open_store(world);
    struct cairn_append append = make(&world->arena, "ledger", 1, 1, 1, 20);
    assert_int_equal(cairn_store_partition_of(world->store, append.stream), CAIRN_PARTITION_NONE);
    assert_int_equal(cairn_store_append(world->store,
                                        cairn_store_lane_of(world->store, append.stream), &append,
                                        1, &err),
                     CAIRN_ENOAGGREGATE);
    assert_non_null(strstr(err.text, "ledger-1"));
    assert_false(cairn_store_stopped(world->store, NULL));
    assert_ok(cairn_store_read_stream(world->store, append.stream, 0, 10, CAIRN_FORWARD,
                                      &world->arena, &page, &err),
              &err);
    assert_int_equal(page.count, 0);
}

/* ---- threads and processes ---- */

struct deliverer {
    struct world *world;
    uint16_t partition;
    unsigned rounds;
};

static void *deliver_rounds(void *self)
{
    struct deliverer *deliverer = self;
    struct cairn_err err;
    for (unsigned round = 0; round < deliverer->rounds; round++) {
        if (deliver_round(deliverer->world, deliverer->partition, round, &err) != CAIRN_OK) {
            return deliverer;
        }
    }
    return NULL;
}

static void partitions_are_delivered_side_by_side(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct deliverer deliverers[PARTITIONS];
    pthread_t threads[PARTITIONS];
    enum { ROUNDS = 60 };
    world->options.manual_flush = false;
    world->options.segment_bytes = 128 * 1024;
    world->options.disk = NULL;
    open_store(world);
    for (uint16_t p = 0; p < PARTITIONS; p++) {
        deliverers[p] = (struct deliverer){world, p, ROUNDS};
        assert_int_equal(pthread_create(&threads[p], NULL, deliver_rounds, &deliverers[p]), 0);
    }
    struct cairn_position seen;
    bool more = true;
    memset(&seen, 0, sizeof(seen));
    while (cairn_position_lag(&(struct cairn_position){{0}}, &seen) <
           2ull * PARTITIONS * STREAMS * ROUNDS) {
        assert_ok(cairn_store_wait(world->store, &seen, 60000, &more, &err), &err);
        assert_true(more);
        assert_ok(cairn_store_flush(world->store, &err), &err);
        assert_ok(cairn_store_end(world->store, &seen, &err), &err);
    }
    for (uint16_t p = 0; p < PARTITIONS; p++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[p], &failed), 0);
        assert_null(failed);
        expect_rounds(world, p, ROUNDS);
    }
}

/* The child delivers until it is killed, and writes a byte for each round. */
static void deliver_until_killed(void *self, int out)
{
    struct world *world = self;
    struct cairn_err err;
    open_store(world);
    for (unsigned round = (unsigned)(end_of(world, 1) / (2 * STREAMS));; round++) {
        if (deliver_round(world, 1, round, &err) != CAIRN_OK || write(out, "a", 1) != 1) {
            _exit(2);
        }
    }
}

static void killing_the_writer_loses_no_delivery(void **state)
{
    struct world *world = *state;
    unsigned total = 0;
    world->options.manual_flush = false;
    world->options.segment_bytes = 128 * 1024;
    for (unsigned round = 0; round < 10; round++) {
        unsigned done = killed_after(1 + 9 * round, deliver_until_killed, world);
        open_store(world);
        unsigned found = (unsigned)(end_of(world, 1) / (2 * STREAMS));
        assert_in_range(found, total + done, total + done + 1);
        expect_rounds(world, 1, found);
        total = found;
        close_store(world);
    }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(what_is_delivered_is_there_after_any_close),
        CASE(a_key_of_two_partitions_has_two_receipts),
        CASE(a_gap_or_a_repeat_stops_the_store),
        CASE(a_torn_command_stops_the_store),
        CASE(a_large_delivery_is_all_or_nothing),
        CASE(memory_that_runs_out_changes_nothing),
        CASE(a_power_cut_leaves_what_the_index_has_read),
        CASE(an_index_without_its_replica_starts_anew),
        CASE(a_reading_process_sees_deliveries),
        CASE(a_group_may_span_the_partitions_of_its_lane),
        CASE(a_stream_without_a_place_is_refused),
        CASE(partitions_are_delivered_side_by_side),
        CASE(killing_the_writer_loses_no_delivery),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
