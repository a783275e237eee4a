/* Appenders of several partitions, readers of streams and of the log, and flushes, all at once. The
 * thread sanitizer's run of this test is what shows that they may. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "eventstore/store.h"
#include "tests/support/folder.h"

#include "tests/support/cm.h"

enum { PARTITIONS = 3, ROUNDS = 150, READERS = 2 };

struct world {
    struct cairn_store *store;
    atomic_int appending;
    atomic_int faults;
};

struct appender {
    struct world *world;
    uint16_t partition;
    char stream[32];
};

/* A name whose place is that partition. */
static void name_stream(struct cairn_store *store, uint16_t partition, char out[32])
{
    for (unsigned i = 0;; i++) {
        (void)snprintf(out, 32, "account-%u", i);
        if (cairn_store_partition_of(store, cairn_slice_str(out)) == partition) {
            return;
        }
    }
}

static void *append_all(void *self)
{
    struct appender *appender = self;
    struct cairn_uuid_source ids = {0};
    for (int i = 0; i < ROUNDS; i++) {
        struct cairn_err err;
        struct cairn_event event = {.id = cairn_uuid_next(&ids, 1, cairn_random_system()),
                                    .type = CAIRN_SLICE_LIT("Deposited"),
                                    .schema_version = 1};
        struct cairn_append append = {.stream = cairn_slice_str(appender->stream),
                                      .expected = i,
                                      .events = &event,
                                      .count = 1};
        if (cairn_store_append(appender->world->store, appender->partition, &append, 1, &err) !=
                CAIRN_OK ||
            append.rc != CAIRN_OK) {
            atomic_fetch_add(&appender->world->faults, 1);
        }
    }
    atomic_fetch_sub(&appender->world->appending, 1);
    return NULL;
}

/* What a reader sees of a stream is a prefix of it, and never shrinks. */
static void *read_all(void *self)
{
    struct world *world = self;
    uint64_t seen = 0;
    char stream[32];
    name_stream(world->store, 1, stream);
    while (atomic_load(&world->appending) > 0) {
        struct cairn_err err;
        struct cairn_arena arena = {.max = 1u << 24};
        struct cairn_event_page page = {0};
        enum cairn_rc rc = cairn_store_read_stream(world->store, cairn_slice_str(stream), 0, 1000,
                                                   CAIRN_FORWARD, &arena, &page, &err);
        bool dense = rc == CAIRN_OK && page.count >= seen;
        for (size_t i = 0; dense && i < page.count; i++) {
            dense = page.events[i].version == i + 1;
        }
        seen = page.count;
        atomic_fetch_add(&world->faults, dense ? 0 : 1);
        cairn_arena_fini(&arena);
    }
    return NULL;
}

static void *flush_all(void *self)
{
    struct world *world = self;
    while (atomic_load(&world->appending) > 0) {
        struct cairn_err err;
        atomic_fetch_add(&world->faults, cairn_store_flush(world->store, &err) == CAIRN_OK ? 0 : 1);
    }
    return NULL;
}

/* Follows one partition to the last event that will come. */
static void *follow(void *self)
{
    struct world *world = self;
    struct cairn_log_reader *reader = NULL;
    struct cairn_position seen = {{0}};
    struct cairn_err err;
    if (cairn_log_reader_open(world->store, 0, 0, &reader, &err) != CAIRN_OK) {
        atomic_fetch_add(&world->faults, 1);
        return NULL;
    }
    while (seen.offsets[0] < ROUNDS) {
        const struct cairn_event *events = NULL;
        size_t count = 0;
        bool more = false;
        enum cairn_rc rc = cairn_log_reader_next(reader, 10, &events, &count, &err);
        if (rc == CAIRN_OK && count == 0) {
            rc = cairn_store_wait(world->store, &seen, 100, &more, &err);
        }
        if (rc != CAIRN_OK || (count > 0 && events[0].offset != seen.offsets[0] + 1)) {
            atomic_fetch_add(&world->faults, 1);
            break;
        }
        seen.offsets[0] += count;
    }
    cairn_log_reader_close(reader);
    return NULL;
}

static void readers_and_writers_do_not_disturb_each_other(void **state)
{
    (void)state;
    struct cairn_err err;
    char folder[TEST_FOLDER_SIZE];
    struct world world = {.appending = PARTITIONS};
    struct appender appenders[PARTITIONS];
    pthread_t threads[PARTITIONS + READERS + 2];
    size_t count = 0;
    test_folder_make(folder, sizeof(folder), "concurrent");
    struct cairn_store_options options = {.data_folder = folder,
                                          .writer = true,
                                          .partitions = PARTITIONS,
                                          .segment_bytes = 64 * 1024,
                                          .domain = CAIRN_SLICE_LIT("bank")};
    assert_ok(cairn_store_open(&options, &world.store, &err), &err);
    for (uint16_t p = 0; p < PARTITIONS; p++) {
        appenders[p] = (struct appender){.world = &world, .partition = p};
        name_stream(world.store, p, appenders[p].stream);
        assert_int_equal(pthread_create(&threads[count++], NULL, append_all, &appenders[p]), 0);
    }
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&threads[count++], NULL, read_all, &world), 0);
    }
    assert_int_equal(pthread_create(&threads[count++], NULL, flush_all, &world), 0);
    assert_int_equal(pthread_create(&threads[count++], NULL, follow, &world), 0);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&world.faults), 0);
    for (uint16_t p = 0; p < PARTITIONS; p++) {
        uint64_t head = 0;
        assert_ok(cairn_store_head(world.store, cairn_slice_str(appenders[p].stream), &head, &err),
                  &err);
        assert_int_equal(head, ROUNDS);
    }
    cairn_store_close(world.store);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_and_writers_do_not_disturb_each_other)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
