/* A replica: what it holds after any stop, what it throws away, and what it costs. */
#include "eventstore/replica.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "eventstore/store_int.h"
#include "platform/fault.h"
#include "tests/support/folder.h"
#include "tests/support/killed.h"

#include "tests/support/cm.h"

enum { EVENTS = 3, LANES = 2 };

struct world {
    char folder[TEST_FOLDER_SIZE];
    struct cairn_store_options options;
    struct cairn_slice aggregates[CAIRN_REPLICA_AGGREGATES_MAX];
    struct cairn_replica replica;
    struct cairn_backend *backend;
    struct cairn_disk disk; /* counts, and fails where told */
    unsigned syncs;
    bool sync_fails;
    struct cairn_uuid_source ids;
    uint64_t versions[8]; /* of account-<partition> */
};

static int count_sync(void *self, int fd)
{
    struct world *world = self;
    world->syncs++;
    return world->sync_fails ? 5 : cairn_disk_system()->sync_data(NULL, fd);
}

static int set_up(void **state)
{
    static struct world world;
    world = (struct world){.disk = *cairn_disk_system()};
    test_folder_make(world.folder, sizeof(world.folder), "replica");
    world.disk.sync_data = count_sync;
    world.disk.self = &world;
    world.options = (struct cairn_store_options){.data_folder = world.folder,
                                                 .log = "kafka:nowhere:1",
                                                 .writer = true,
                                                 .domain = CAIRN_SLICE_LIT("bank"),
                                                 .segment_bytes = 64 * 1024,
                                                 .disk = &world.disk,
                                                 .manual_flush = true};
    world.aggregates[0] = CAIRN_SLICE_LIT("account");
    world.aggregates[1] = CAIRN_SLICE_LIT("transfer");
    world.replica = (struct cairn_replica){.log_id = "the log of a cat",
                                           .lanes = LANES,
                                           .aggregate_count = 2,
                                           .aggregates = world.aggregates};
    *state = &world;
    return 0;
}

static void close_replica(struct world *world)
{
    if (world->backend != NULL) {
        world->backend->ops->close(world->backend);
    }
    world->backend = NULL;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    cairn_fault_disarm();
    close_replica(world);
    test_folder_remove(world->folder);
    return 0;
}

static void open_only(struct world *world)
{
    struct cairn_err err;
    close_replica(world);
    assert_ok(cairn_replica_open(&world->options, &world->replica, &world->backend, &err), &err);
}

static bool recover_known(struct world *world, uint16_t partition, struct cairn_resume known)
{
    struct cairn_err err;
    bool good = false;
    assert_ok(world->backend->ops->recover(world->backend, partition, known, &good, &err), &err);
    return good;
}

static void open_replica(struct world *world)
{
    open_only(world);
    for (uint16_t p = 0; p < world->backend->ops->partitions(world->backend); p++) {
        assert_true(recover_known(world, p, (struct cairn_resume){0, 0}));
    }
}

static uint64_t end_of(const struct world *world, uint16_t partition)
{
    return world->backend->ops->end(world->backend, partition);
}

/* Append one command of EVENTS events, and publish it. */
static enum cairn_rc append(struct world *world, uint16_t partition, uint64_t source,
                            struct cairn_resume *ret_end, struct cairn_err *err)
{
    static const char data[200] = {[0] = 1, [199] = 1};
    char stream[32];
    struct cairn_event events[EVENTS] = {0};
    struct cairn_append append = {.events = events, .count = EVENTS};
    struct cairn_append *appends[] = {&append};
    uint64_t locator = 0;
    struct cairn_commit_part part;
    int size = snprintf(stream, sizeof(stream), "account-%u", (unsigned)partition);
    append.stream = cairn_slice_of(stream, (size_t)size);
    for (uint16_t i = 0; i < EVENTS; i++) {
        events[i].id = cairn_uuid_next(&world->ids, 1, cairn_random_system());
        events[i].stream = append.stream;
        events[i].type = CAIRN_SLICE_LIT("Deposited");
        events[i].schema_version = 1;
        events[i].data = cairn_slice_of(data, sizeof(data));
        events[i].version = world->versions[partition] + i + 1;
        events[i].index = i;
        events[i].count = EVENTS;
    }
    struct cairn_commit commit = {.lane = partition % LANES,
                                  .appends = appends,
                                  .partitions = &partition,
                                  .count = 1,
                                  .locators = &locator,
                                  .parts = &part};
    enum cairn_rc rc = cairn_replica_append(world->backend, &commit, source, err);
    if (rc == CAIRN_OK) {
        world->versions[partition] += EVENTS;
        assert_int_equal(part.partition, partition);
        world->backend->ops->publish(world->backend, partition, part.end);
        if (ret_end != NULL) {
            *ret_end = (struct cairn_resume){part.end, part.resume};
        }
    }
    return rc;
}

static struct cairn_resume put(struct world *world, uint16_t partition, uint64_t source)
{
    struct cairn_err err;
    struct cairn_resume end = {0, 0};
    assert_ok(append(world, partition, source, &end, &err), &err);
    return end;
}

/* Every event of a partition can be read. */
static uint64_t count_events(struct world *world, uint16_t partition)
{
    struct cairn_err err;
    struct cairn_backend_reader *reader = NULL;
    struct cairn_batch batch = {.count = 1};
    uint64_t total = 0;
    const struct cairn_backend_ops *ops = world->backend->ops;
    assert_ok(
        ops->reader_open(world->backend, partition, 0, (struct cairn_resume){0, 0}, &reader, &err),
        &err);
    while (batch.count > 0) {
        assert_ok(ops->reader_next(reader, 100, &batch, &err), &err);
        for (size_t i = 0; i < batch.count; i++) {
            assert_int_equal(batch.events[i].offset, ++total);
            assert_int_equal(batch.events[i].version, total);
            assert_int_equal(batch.events[i].partition, partition);
        }
    }
    ops->reader_close(reader);
    return total;
}

static void expect(struct world *world, uint16_t partition, uint64_t end, uint64_t source)
{
    assert_int_equal(end_of(world, partition), end);
    assert_int_equal(cairn_replica_source(world->backend, partition), source);
    assert_int_equal(count_events(world, partition), end);
    world->versions[partition] = end;
}

static void path_of(const struct world *world, const char *rest, char out[128])
{
    (void)snprintf(out, 128, "%s/%s", world->folder, rest);
}

/* Change one byte of a file, or cut it there. */
static void damage(const struct world *world, const char *rest, long at, bool cut)
{
    char path[128];
    path_of(world, rest, path);
    if (cut) {
        assert_int_equal(truncate(path, at), 0);
        return;
    }
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_not_equal(fputc(byte ^ 1, file), EOF);
    assert_int_equal(fclose(file), 0);
}

#define FIRST_SEGMENT "replica/1/00000000000000000001.seg"

static void it_goes_on_where_it_stopped(void **state)
{
    struct world *world = *state;
    open_replica(world);
    for (uint64_t i = 1; i <= 400; i++) { /* several segments */
        (void)put(world, 1, 10 * i);
        (void)put(world, 2, i == 7 ? 70 : 7000 + i);
    }
    for (int round = 0; round < 3; round++) {
        open_replica(world);
        expect(world, 0, 0, 0);
        expect(world, 1, (uint64_t)(400 + round) * EVENTS, 4000 + (uint64_t)round);
        expect(world, 2, 400 * EVENTS, 7400);
        (void)put(world, 1, 4001 + (uint64_t)round);
    }
}

static void what_the_index_has_read_is_not_read_again(void **state)
{
    struct world *world = *state;
    struct cairn_resume known = {0, 0};
    open_replica(world);
    for (uint64_t i = 1; i <= 400; i++) {
        struct cairn_resume end = put(world, 1, i);
        known = i == 350 ? end : known;
    }
    struct cairn_resume last = put(world, 1, 401);
    damage(world, FIRST_SEGMENT, 5500, false); /* the second group, long before */
    open_only(world);
    assert_true(recover_known(world, 1, known));
    assert_int_equal(end_of(world, 1), 401 * EVENTS);
    assert_int_equal(cairn_replica_source(world->backend, 1), 401);
    open_only(world);
    assert_true(recover_known(world, 1, last)); /* nothing lies behind it */
    assert_int_equal(end_of(world, 1), 401 * EVENTS);
    assert_int_equal(cairn_replica_source(world->backend, 1), 401);
    open_only(world);
    /* Not a border of groups: the index is of no use, and all has to be looked at. */
    assert_false(recover_known(world, 1, (struct cairn_resume){known.offset, known.locator + 8}));
    assert_int_equal(end_of(world, 1), EVENTS); /* the damage shows */
}

static void groups_that_nothing_goes_on_from_are_cut(void **state)
{
    struct world *world = *state;
    open_replica(world);
    for (uint64_t i = 1; i <= 90; i++) {
        (void)put(world, 1, i);
    }
    for (int i = 0; i < 100; i++) { /* on into the next segment */
        (void)put(world, 1, 0);
    }
    assert_int_equal(cairn_replica_source(world->backend, 1), 90);
    open_replica(world);
    expect(world, 1, 90 * EVENTS, 90);
    (void)put(world, 1, 0);
    (void)put(world, 1, 91);
    open_replica(world);
    expect(world, 1, 92 * EVENTS, 91);
}

static void a_torn_end_is_cut(void **state)
{
    struct world *world = *state;
    struct stat found;
    char path[128];
    path_of(world, FIRST_SEGMENT, path);
    open_replica(world);
    (void)put(world, 1, 1);
    struct cairn_resume known = put(world, 1, 2);
    (void)put(world, 1, 3);
    assert_int_equal(stat(path, &found), 0);
    damage(world, FIRST_SEGMENT, (long)found.st_size - 9, true);
    open_only(world);
    assert_true(recover_known(world, 1, known));
    expect(world, 1, 2 * EVENTS, 2);
    (void)put(world, 1, 3);
    open_only(world);
    /* The index has read what is not there: it starts anew. */
    assert_false(recover_known(world, 1, (struct cairn_resume){4 * EVENTS, known.locator + 5000}));
    expect(world, 1, 3 * EVENTS, 3);
}

static void damage_cuts_off_all_segments_behind_it(void **state)
{
    struct world *world = *state;
    open_replica(world);
    for (uint64_t i = 1; i <= 400; i++) {
        (void)put(world, 1, i);
    }
    damage(world, FIRST_SEGMENT, 60000, false);
    open_replica(world);
    uint64_t end = end_of(world, 1);
    assert_in_range(end, EVENTS, 80 * EVENTS);
    expect(world, 1, end, end / EVENTS);
    for (uint64_t i = end / EVENTS + 1; i <= 400; i++) {
        (void)put(world, 1, i);
    }
    open_replica(world);
    expect(world, 1, 400 * EVENTS, 400);
}

static void what_is_of_another_log_is_thrown_away(void **state)
{
    struct world *world = *state;
    for (int kind = 0; kind < 4; kind++) {
        open_replica(world);
        (void)put(world, 1, 10);
        close_replica(world);
        switch (kind) {
        case 0:
            world->replica.log_id[3] ^= 1;
            break;
        case 1:
            world->replica.lanes++;
            break;
        case 2:
            damage(world, "replica/log.txt", 30, false);
            break;
        default:
            damage(world, "replica/head", 1, false);
            break;
        }
        open_replica(world);
        expect(world, 1, 0, 0);
    }
    (void)put(world, 1, 10);
    world->aggregates[1] = CAIRN_SLICE_LIT("ledger");
    open_replica(world);
    expect(world, 1, 0, 0);
}

static void it_grows_with_the_aggregates_of_the_log(void **state)
{
    struct world *world = *state;
    open_replica(world);
    (void)put(world, 3, 10);
    world->aggregates[2] = CAIRN_SLICE_LIT("ledger");
    world->replica.aggregate_count = 3;
    open_replica(world);
    assert_int_equal(world->backend->ops->partitions(world->backend), 3 * LANES);
    expect(world, 3, EVENTS, 10);
    (void)put(world, 5, 20);
    open_replica(world);
    expect(world, 5, EVENTS, 20);
}

static void the_two_kinds_of_logs_refuse_each_other(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_backend *other = NULL;
    open_replica(world);
    close_replica(world);
    assert_int_equal(cairn_files_open(&world->options, &other, &err), CAIRN_EINVAL);
    assert_non_null(strstr(err.text, "cairn migrate"));
    assert_non_null(strstr(err.text, "--log kafka:HOST:PORT"));
    assert_ok(cairn_file_remove_tree(world->folder, &err), &err);
    assert_ok(cairn_files_open(&world->options, &other, &err), &err);
    other->ops->close(other);
    other = NULL;
    assert_int_equal(cairn_replica_open(&world->options, &world->replica, &other, &err),
                     CAIRN_EINVAL);
    assert_non_null(strstr(err.text, "cairn migrate"));
    assert_null(other);
}

static void many_partitions_cost_little(void **state)
{
    struct world *world = *state;
    struct stat found;
    char path[128];
    path_of(world, "replica/17/00000000000000000001.seg", path);
    world->options.segment_bytes = 0;
    world->replica.lanes = CAIRN_PARTITIONS_MAX / 2;
    open_replica(world);
    assert_int_equal(world->backend->ops->partitions(world->backend), CAIRN_PARTITIONS_MAX);
    assert_int_not_equal(stat(path, &found), 0);
    world->versions[0] = 0;
    (void)put(world, 1, 5);
    path_of(world, FIRST_SEGMENT, path);
    assert_int_equal(stat(path, &found), 0);
    assert_in_range(found.st_size, 4096, 8192);
    assert_int_equal(world->syncs, 0);
}

static void a_failed_write_can_be_repeated(void **state)
{
    skip_without_faults();
    struct world *world = *state;
    struct cairn_err err;
    open_replica(world);
    (void)put(world, 1, 1);
    for (int kind = 0; kind < 2; kind++) {
        cairn_fault_arm(kind == 0 ? CAIRN_FAULT_WRITE : CAIRN_FAULT_WRITE_SHORT, 0);
        assert_int_not_equal(append(world, 1, 2 + (uint64_t)kind, NULL, &err), CAIRN_OK);
        cairn_fault_disarm();
        (void)put(world, 1, 2 + (uint64_t)kind);
    }
    open_replica(world);
    expect(world, 1, 3 * EVENTS, 3);
}

static void a_sync_that_failed_is_never_tried_again(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    open_replica(world);
    for (uint64_t i = 1; i <= 200; i++) {
        (void)put(world, 1, i);
    }
    assert_int_equal(world->syncs, 0);
    assert_ok(cairn_replica_sync(world->backend, &err), &err);
    assert_in_range(world->syncs, 2, 4); /* the full segments, and the last one */
    unsigned syncs = world->syncs;
    assert_ok(cairn_replica_sync(world->backend, &err), &err);
    assert_int_equal(world->syncs, syncs); /* nothing was written since */
    (void)put(world, 1, 201);
    world->sync_fails = true;
    assert_int_equal(cairn_replica_sync(world->backend, &err), CAIRN_EIO);
    world->sync_fails = false;
    assert_int_equal(cairn_replica_sync(world->backend, &err), CAIRN_EIO);
}

static void a_writer_takes_no_commands(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_commit commit = {0};
    open_replica(world);
    assert_int_equal(world->backend->ops->commit(world->backend, &commit, &err),
                     CAIRN_EUNSUPPORTED);
    assert_false(commit.stop);
}

/* ---- other processes ---- */

static void a_reader_says_when_its_replica_is_gone(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_store *store = NULL;
    struct cairn_store_options options = world->options;
    struct cairn_position end;
    uint64_t version = 0;
    bool more = true;
    options.writer = false;
    assert_int_equal(cairn_store_open(&options, &store, &err), CAIRN_ENOENT);
    open_replica(world);
    (void)put(world, 1, 10);
    assert_ok(cairn_store_open(&options, &store, &err), &err);
    assert_ok(cairn_store_head(store, CAIRN_SLICE_LIT("account-1"), &version, &err), &err);
    assert_int_equal(version, EVENTS);
    (void)put(world, 1, 20);
    assert_ok(cairn_store_head(store, CAIRN_SLICE_LIT("account-1"), &version, &err), &err);
    assert_int_equal(version, 2 * EVENTS);
    assert_false(cairn_store_replaced(store));
    world->replica.log_id[0] ^= 1;
    open_replica(world);
    assert_true(cairn_store_replaced(store));
    world->versions[1] = 0;
    (void)put(world, 1, 10);
    assert_ok(cairn_store_end(store, &end, &err), &err);
    assert_int_equal(cairn_store_wait(store, &end, 60000, &more, &err), CAIRN_ESTOPPED);
    assert_non_null(strstr(err.text, "open that one"));
    assert_int_equal(cairn_store_head(store, CAIRN_SLICE_LIT("account-1"), &version, &err),
                     CAIRN_ESTOPPED);
    cairn_store_close(store);
    assert_ok(cairn_store_open(&options, &store, &err), &err);
    assert_false(cairn_store_replaced(store));
    assert_ok(cairn_store_head(store, CAIRN_SLICE_LIT("account-1"), &version, &err), &err);
    assert_int_equal(version, EVENTS);
    cairn_store_close(store);
}

/* The child appends until it is killed, and writes a byte for each group. */
static void append_until_killed(void *self, int out)
{
    struct world *world = self;
    struct cairn_err err;
    open_replica(world);
    uint64_t done = end_of(world, 1) / EVENTS;
    world->versions[1] = done * EVENTS;
    for (;;) {
        done++;
        if (append(world, 1, 10 * done, NULL, &err) != CAIRN_OK || write(out, "a", 1) != 1) {
            _exit(2);
        }
    }
}

static void killing_the_writer_loses_nothing(void **state)
{
    struct world *world = *state;
    uint64_t total = 0;
    for (unsigned round = 0; round < 12; round++) {
        unsigned done = killed_after(1 + 31 * round, append_until_killed, world);
        open_replica(world);
        uint64_t found = end_of(world, 1) / EVENTS;
        assert_in_range(found, total + done, total + done + 1);
        expect(world, 1, found * EVENTS, 10 * found);
        total = found;
        close_replica(world);
    }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(it_goes_on_where_it_stopped),
        CASE(what_the_index_has_read_is_not_read_again),
        CASE(groups_that_nothing_goes_on_from_are_cut),
        CASE(a_torn_end_is_cut),
        CASE(damage_cuts_off_all_segments_behind_it),
        CASE(what_is_of_another_log_is_thrown_away),
        CASE(it_grows_with_the_aggregates_of_the_log),
        CASE(the_two_kinds_of_logs_refuse_each_other),
        CASE(many_partitions_cost_little),
        CASE(a_failed_write_can_be_repeated),
        CASE(a_sync_that_failed_is_never_tried_again),
        CASE(a_writer_takes_no_commands),
        CASE(a_reader_says_when_its_replica_is_gone),
        CASE(killing_the_writer_loses_nothing),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
