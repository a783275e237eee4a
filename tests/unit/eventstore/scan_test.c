#include "eventstore/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/fault.h"
#include "platform/hash.h"
#include "platform/mem.h"

#include "tests/support/cm.h"

enum { PARTITION = 3, SEGMENT = 7, GROUPS = 40, EVENTS_MAX = 5 };

static const uint64_t salt = 0x1234567890abcdefu;

/* A file that has groups from byte 0 on, behind them zeros, as a segment without its header. */
struct world {
    char path[64];
    struct cairn_buf file;
    uint64_t places[GROUPS];
    uint32_t counts[GROUPS];
    uint64_t end;
    struct cairn_scan scan;
};

static void add_group(struct world *world, unsigned index)
{
    uint64_t at = world->file.size;
    uint32_t count = 1 + index % EVENTS_MAX;
    char header[CAIRN_GROUP_HEADER_BYTES] = {0};
    assert_int_equal(cairn_buf_append(&world->file, cairn_slice_of(header, sizeof(header))),
                     CAIRN_OK);
    for (uint32_t i = 0; i < count; i++) {
        struct cairn_event event = {.stream = CAIRN_SLICE_LIT("account-1"),
                                    .type = CAIRN_SLICE_LIT("Deposited"),
                                    .version = index * EVENTS_MAX + i + 1,
                                    .offset = index * EVENTS_MAX + i + 1,
                                    .index = (uint16_t)i,
                                    .count = (uint16_t)count,
                                    .schema_version = 1,
                                    .data = CAIRN_SLICE_LIT("\x81\xa6"
                                                            "amount\x07")};
        assert_true(cairn_record_fits(&event));
        size_t size = cairn_record_size(&event);
        assert_int_equal(cairn_buf_reserve(&world->file, size), CAIRN_OK);
        cairn_record_write(&event, world->file.data + world->file.size, size);
        world->file.size += size;
    }
    const char *records = world->file.data + at + CAIRN_GROUP_HEADER_BYTES;
    size_t size = world->file.size - at - CAIRN_GROUP_HEADER_BYTES;
    struct cairn_group_head head = {.size = (uint32_t)size,
                                    .records_hash = cairn_hash64(cairn_slice_of(records, size)),
                                    .first_offset = index * EVENTS_MAX + 1,
                                    .events = count,
                                    .appends = 1,
                                    .time_us = 1,
                                    .locator = cairn_locator(SEGMENT, (uint32_t)at)};
    cairn_group_head_write(&head, salt, header);
    memcpy(world->file.data + at, header, sizeof(header));
    world->places[index] = at;
    world->counts[index] = count;
    world->end = world->file.size;
}

static int set_up(void **state)
{
    struct world *world = cairn_mem_zalloc(1, sizeof(*world));
    assert_non_null(world);
    world->file.max = 4u << 20;
    for (unsigned i = 0; i < GROUPS; i++) {
        add_group(world, i);
    }
    static const char zeros[4096];
    assert_int_equal(cairn_buf_append(&world->file, cairn_slice_of(zeros, sizeof(zeros))),
                     CAIRN_OK);
    (void)snprintf(world->path, sizeof(world->path), "/tmp/cairn-scan-XXXXXX");
    int fd = mkstemp(world->path);
    assert_true(fd >= 0);
    (void)close(fd);
    world->scan = (struct cairn_scan){
        .disk = cairn_disk_system(), .salt = salt, .partition = PARTITION, .fd = -1};
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    cairn_fault_disarm();
    cairn_scan_fini(&world->scan);
    (void)unlink(world->path);
    cairn_buf_fini(&world->file);
    cairn_mem_free(world);
    return 0;
}

/* The file as it is in memory now, and a scan that has read nothing of it. */
static void write_and_open(struct world *world)
{
    struct cairn_err err;
    assert_ok(cairn_file_replace(world->path, cairn_buf_slice(&world->file), &err), &err);
    assert_ok(cairn_scan_open(&world->scan, world->path, SEGMENT, &err), &err);
}

static enum cairn_scan_found look(struct world *world, uint64_t at, struct cairn_group_head *head)
{
    struct cairn_err err;
    enum cairn_scan_found found = CAIRN_SCAN_BROKEN;
    assert_ok(cairn_scan_head(&world->scan, at, &found, head, &err), &err);
    return found;
}

static void groups_follow_one_another_up_to_the_zeros(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    write_and_open(world);
    uint64_t at = 0;
    for (unsigned i = 0; i < GROUPS; i++) {
        struct cairn_group_head head;
        assert_int_equal(at, world->places[i]);
        assert_int_equal(look(world, at, &head), CAIRN_SCAN_GROUP);
        assert_int_equal(head.events, world->counts[i]);
        assert_ok(cairn_scan_group(&world->scan, at, &head, 0, true, &err), &err);
        const struct cairn_event *last = &world->scan.events[head.events - 1];
        assert_int_equal(last->offset, i * EVENTS_MAX + head.events);
        assert_int_equal(last->partition, PARTITION);
        assert_true(cairn_event_is_last(last));
        assert_int_equal(cairn_locator_segment(world->scan.locators[0]), SEGMENT);
        at += CAIRN_GROUP_HEADER_BYTES + head.size;
    }
    struct cairn_group_head none;
    assert_int_equal(look(world, at, &none), CAIRN_SCAN_EMPTY);
    assert_int_equal(look(world, world->file.size, &none), CAIRN_SCAN_EMPTY);
    assert_int_equal(look(world, at - 8, &none), CAIRN_SCAN_BROKEN);
}

static void a_header_at_another_place_or_of_another_log_is_none(void **state)
{
    struct world *world = *state;
    struct cairn_group_head head;
    write_and_open(world);
    world->scan.salt ^= 1;
    assert_int_equal(look(world, 0, &head), CAIRN_SCAN_BROKEN);
    world->scan.salt ^= 1;
    memmove(world->file.data + world->end, world->file.data, CAIRN_GROUP_HEADER_BYTES);
    write_and_open(world);
    assert_int_equal(look(world, 0, &head), CAIRN_SCAN_GROUP);
    assert_int_equal(look(world, world->end, &head), CAIRN_SCAN_BROKEN);
}

static void a_flipped_bit_is_found_and_its_place_told(void **state)
{
    struct world *world = *state;
    uint64_t at = world->places[4];
    size_t size = (size_t)(world->places[5] - at);
    for (size_t byte = 0; byte < size; byte++) {
        struct cairn_group_head head;
        struct cairn_err err;
        world->file.data[at + byte] ^= 0x10;
        write_and_open(world);
        if (byte < CAIRN_GROUP_HEADER_BYTES) {
            assert_int_equal(look(world, at, &head), CAIRN_SCAN_BROKEN);
        } else {
            assert_int_equal(look(world, at, &head), CAIRN_SCAN_GROUP);
            assert_int_equal(cairn_scan_group(&world->scan, at, &head, 0, false, &err),
                             CAIRN_ECORRUPT);
            assert_non_null(strstr(err.text, world->path));
        }
        world->file.data[at + byte] ^= 0x10;
    }
}

static void a_file_that_ends_inside_a_group_is_corrupt(void **state)
{
    struct world *world = *state;
    struct cairn_group_head head;
    struct cairn_err err;
    uint64_t at = world->places[GROUPS - 1];
    cairn_buf_truncate(&world->file, world->end - 1);
    write_and_open(world);
    assert_int_equal(look(world, at, &head), CAIRN_SCAN_GROUP);
    assert_int_equal(cairn_scan_group(&world->scan, at, &head, 0, false, &err), CAIRN_ECORRUPT);
    assert_non_null(strstr(err.text, "ends inside"));
    cairn_buf_truncate(&world->file, at + CAIRN_GROUP_HEADER_BYTES - 1);
    write_and_open(world);
    assert_int_equal(look(world, at, &head), CAIRN_SCAN_BROKEN);
}

static void what_changed_behind_the_buffer_is_seen_once_it_is_forgotten(void **state)
{
    struct world *world = *state;
    struct cairn_group_head head;
    struct cairn_err err;
    write_and_open(world);
    assert_int_equal(look(world, 0, &head), CAIRN_SCAN_GROUP);
    assert_true(cairn_scan_has(&world->scan, 0, &head));
    FILE *file = fopen(world->path, "r+b");
    assert_non_null(file);
    assert_int_equal(fputc(0x7f, file), 0x7f);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(look(world, 0, &head), CAIRN_SCAN_GROUP);
    cairn_scan_forget(&world->scan);
    assert_int_equal(look(world, 0, &head), CAIRN_SCAN_BROKEN);
    struct cairn_slice bytes;
    assert_ok(cairn_scan_bytes(&world->scan, world->file.size - 3, 100, &bytes, &err), &err);
    assert_int_equal(bytes.size, 3);
}

/* Read the whole file behind one another, all events kept. */
static enum cairn_rc read_all(struct world *world, size_t *ret_events, struct cairn_err *err)
{
    size_t count = 0;
    uint64_t at = 0;
    for (unsigned i = 0; i < GROUPS; i++) {
        enum cairn_scan_found found = CAIRN_SCAN_BROKEN;
        struct cairn_group_head head;
        enum cairn_rc rc = cairn_scan_head(&world->scan, at, &found, &head, err);
        if (rc == CAIRN_OK) {
            assert_int_equal(found, CAIRN_SCAN_GROUP);
            rc = cairn_scan_group(&world->scan, at, &head, count, true, err);
        }
        if (rc != CAIRN_OK) {
            return rc;
        }
        count += head.events;
        at += CAIRN_GROUP_HEADER_BYTES + head.size;
    }
    *ret_events = count;
    return CAIRN_OK;
}

static void every_failure_of_memory_or_disk_is_an_error_and_heals(void **state)
{
    skip_without_faults();
    struct world *world = *state;
    const enum cairn_fault kinds[] = {CAIRN_FAULT_MEM, CAIRN_FAULT_READ};
    const enum cairn_rc codes[] = {CAIRN_ENOMEM, CAIRN_EIO};
    for (size_t kind = 0; kind < 2; kind++) {
        int failed = 0;
        for (int after = 0; after == failed; after++) {
            struct cairn_err err;
            size_t events = 0;
            cairn_scan_fini(&world->scan);
            write_and_open(world);
            cairn_fault_arm(kinds[kind], after);
            enum cairn_rc rc = read_all(world, &events, &err);
            bool fired = cairn_fault_fired(kinds[kind]);
            cairn_fault_disarm();
            assert_int_equal(rc, fired ? codes[kind] : CAIRN_OK);
            failed += fired ? 1 : 0;
            assert_ok(read_all(world, &events, &err), &err);
            assert_int_equal(events, GROUPS / EVENTS_MAX * 15);
        }
        assert_true(failed > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(groups_follow_one_another_up_to_the_zeros, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_header_at_another_place_or_of_another_log_is_none, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_flipped_bit_is_found_and_its_place_told, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_ends_inside_a_group_is_corrupt, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_changed_behind_the_buffer_is_seen_once_it_is_forgotten,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_failure_of_memory_or_disk_is_an_error_and_heals,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
