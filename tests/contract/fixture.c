#include "tests/contract/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "platform/map.h"
#include "platform/mem.h"
#include "tests/support/folder.h"

#include "tests/support/cm.h"

void fixture_init(struct fixture *fixture)
{
    const char *seed = getenv("CAIRN_SEED");
    *fixture = (struct fixture){.arena = {.max = (size_t)1 << 30}};
    test_folder_make(fixture->folder, sizeof(fixture->folder), "store");
    fixture->random = seed != NULL ? strtoull(seed, NULL, 10)
                                   : (uint64_t)cairn_clock_now_us(cairn_clock_system()) | 1;
    print_message("CAIRN_SEED=%llu\n", (unsigned long long)fixture->random);
}

void fixture_fini(struct fixture *fixture)
{
    cairn_arena_fini(&fixture->arena);
    test_folder_remove(fixture->folder);
}

uint64_t fixture_random(struct fixture *fixture)
{
    uint64_t x = fixture->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    fixture->random = x;
    return x;
}

struct cairn_append fixture_append(struct fixture *fixture, const char *stream, int64_t expected,
                                   uint16_t count, const char *key)
{
    static const char data[] = "\x81\xa6"
                               "amount\x2a";
    struct cairn_event *events = cairn_arena_zalloc(&fixture->arena, count, sizeof(*events));
    assert_non_null(events);
    struct cairn_slice name;
    assert_int_equal(cairn_arena_copy(&fixture->arena, cairn_slice_str(stream), &name), CAIRN_OK);
    for (uint16_t i = 0; i < count; i++) {
        int64_t now = cairn_clock_now_us(cairn_clock_system());
        events[i].id = cairn_uuid_next(&fixture->ids, now, cairn_random_system());
        events[i].type = CAIRN_SLICE_LIT("Deposited");
        events[i].time_us = now;
        events[i].schema_version = 1;
        events[i].data = cairn_slice_of(data, sizeof(data) - 1);
        events[i].causation = CAIRN_SLICE_LIT("request-1");
        if (key != NULL) {
            assert_int_equal(
                cairn_arena_copy(&fixture->arena, cairn_slice_str(key), &events[i].key), CAIRN_OK);
            memset(events[i].fingerprint, 7, sizeof(events[i].fingerprint));
        }
    }
    return (struct cairn_append){
        .stream = name, .expected = expected, .events = events, .count = count};
}

enum cairn_rc fixture_put(struct fixture *fixture, struct cairn_store *store, const char *stream,
                          int64_t expected, uint16_t count, const char *key, struct cairn_err *err)
{
    struct cairn_append append = fixture_append(fixture, stream, expected, count, key);
    uint16_t lane = cairn_store_lane_of(store, append.stream);
    enum cairn_rc rc = cairn_store_append(store, lane, &append, 1, err);
    return rc == CAIRN_OK ? append.rc : rc;
}

size_t fixture_count_stream(struct fixture *fixture, struct cairn_store *store, const char *stream,
                            enum cairn_direction direction, size_t limit)
{
    struct cairn_err err;
    size_t count = 0;
    uint64_t head = 0;
    uint64_t after = 0;
    assert_ok(cairn_store_head(store, cairn_slice_str(stream), &head, &err), &err);
    for (;;) {
        struct cairn_event_page page;
        assert_ok(cairn_store_read_stream(store, cairn_slice_str(stream), after, limit, direction,
                                          &fixture->arena, &page, &err),
                  &err);
        assert_true(page.count <= limit);
        for (size_t i = 0; i < page.count; i++) {
            uint64_t wanted = direction == CAIRN_FORWARD ? count + 1 : head - count;
            assert_int_equal(page.events[i].version, wanted);
            assert_true(cairn_slice_is(page.events[i].stream, stream));
            count++;
        }
        if (!page.more) {
            break;
        }
        assert_true(page.count > 0);
        after = page.events[page.count - 1].version;
    }
    assert_int_equal(count, head);
    return count;
}

static void check_event(struct cairn_map *versions, struct cairn_map *ids,
                        const struct cairn_event *event)
{
    bool added = false;
    union cairn_map_value *id = cairn_map_put(
        ids, cairn_slice_of((const char *)event->id.bytes, sizeof(event->id.bytes)), &added);
    assert_non_null(id);
    assert_true(added);
    union cairn_map_value *version = cairn_map_put(versions, event->stream, NULL);
    assert_non_null(version);
    assert_int_equal(event->version, version->number + 1);
    version->number = event->version;
}

uint64_t fixture_check_log(struct cairn_store *store)
{
    struct cairn_err err;
    struct cairn_position end;
    uint64_t total = 0;
    struct cairn_map versions = {.max = (size_t)1 << 24};
    struct cairn_map ids = {.max = (size_t)1 << 24};
    assert_ok(cairn_store_end(store, &end, &err), &err);
    for (uint16_t p = 0; p < cairn_store_partitions(store); p++) {
        struct cairn_log_reader *reader = NULL;
        uint64_t offset = 0;
        assert_ok(cairn_log_reader_open(store, p, 0, &reader, &err), &err);
        for (;;) {
            const struct cairn_event *events = NULL;
            size_t count = 0;
            assert_ok(cairn_log_reader_next(reader, 100, &events, &count, &err), &err);
            if (count == 0) {
                break;
            }
            assert_true(cairn_event_is_last(&events[count - 1]));
            for (size_t i = 0; i < count; i++) {
                assert_int_equal(events[i].offset, offset + 1);
                assert_int_equal(events[i].partition, p);
                offset = events[i].offset;
                check_event(&versions, &ids, &events[i]);
            }
        }
        assert_true(offset >= end.offsets[p]);
        total += offset;
        cairn_log_reader_close(reader);
    }
    cairn_map_fini(&versions);
    cairn_map_fini(&ids);
    return total;
}
