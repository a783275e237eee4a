/* Each kind of fault that verification can find is planted, found and named. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "eventstore/record.h"
#include "eventstore/segment.h"
#include "eventstore/store.h"
#include "platform/hash.h"
#include "platform/mem.h"

#include "tests/support/cm.h"

enum { GROUPS = 6, EVENTS = 2 };

/* A group as it lies in the first segment. */
struct place {
    size_t at;
    struct cairn_group_head head;
};

struct world {
    char folder[64];
    char segment[160];
    char *bytes; /* of the segment, sound */
    size_t size;
    uint64_t salt;
    struct place groups[GROUPS];
    unsigned faults;
    char said[1024]; /* place and text of the first fault */
    struct cairn_verify_report report;
};

static enum cairn_rc put(struct cairn_store *store, struct cairn_uuid_source *ids,
                         struct cairn_err *err)
{
    struct cairn_event events[EVENTS];
    memset(events, 0, sizeof(events));
    for (int i = 0; i < EVENTS; i++) {
        events[i].id = cairn_uuid_next(ids, 1, cairn_random_system());
        events[i].type = CAIRN_SLICE_LIT("Deposited");
        events[i].schema_version = 1;
        events[i].data = CAIRN_SLICE_LIT("what the event says");
    }
    struct cairn_append append = {.stream = CAIRN_SLICE_LIT("account-1"),
                                  .expected = CAIRN_EXPECT_ANY,
                                  .events = events,
                                  .count = EVENTS};
    return cairn_store_append(store, 0, &append, 1, err);
}

static void find_groups(struct world *world)
{
    size_t at = CAIRN_SEGMENT_HEADER_BYTES;
    for (int i = 0; i < GROUPS; i++) {
        struct place *place = &world->groups[i];
        place->at = at;
        assert_true(cairn_group_head_read(world->bytes + at, world->salt,
                                          cairn_locator(1, (uint32_t)at), &place->head));
        at += CAIRN_GROUP_HEADER_BYTES + place->head.size;
    }
}

static int set_up(void **state)
{
    static struct world world;
    struct cairn_err err;
    struct cairn_store *store = NULL;
    struct cairn_uuid_source ids = {0};
    struct cairn_log_head head;
    struct cairn_buf bytes = {.max = 1u << 20};
    char path[128];
    memset(&world, 0, sizeof(world));
    (void)snprintf(world.folder, sizeof(world.folder), "/tmp/cairn-verify-XXXXXX");
    assert_non_null(mkdtemp(world.folder));
    struct cairn_store_options options = {.data_folder = world.folder,
                                          .writer = true,
                                          .segment_bytes = CAIRN_SEGMENT_BYTES_MIN,
                                          .manual_flush = true};
    assert_ok(cairn_store_open(&options, &store, &err), &err);
    for (int i = 0; i < GROUPS; i++) {
        assert_ok(put(store, &ids, &err), &err);
    }
    cairn_store_close(store);
    (void)snprintf(path, sizeof(path), "%s/log", world.folder);
    assert_ok(cairn_log_head_read(path, &head, &err), &err);
    world.salt = cairn_log_salt(head.id);
    (void)snprintf(world.segment, sizeof(world.segment), "%s/0/00000000000000000001.seg", path);
    assert_ok(cairn_file_read(world.segment, &bytes, &err), &err);
    world.bytes = bytes.data;
    world.size = bytes.size;
    find_groups(&world);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    cairn_mem_free(world->bytes);
    assert_ok(cairn_file_remove_tree(world->folder, &err), &err);
    return 0;
}

static void hear(void *self, const char *place, const char *text)
{
    struct world *world = self;
    if (world->faults++ == 0) {
        (void)snprintf(world->said, sizeof(world->said), "%s: %s", place, text);
    }
}

static enum cairn_rc verify(struct world *world)
{
    struct cairn_err err;
    struct cairn_verify_hooks hooks = {.fault = hear, .self = world};
    world->faults = 0;
    world->said[0] = '\0';
    world->report = (struct cairn_verify_report){0};
    enum cairn_rc rc = cairn_store_verify(world->folder, &hooks, &world->report, &err);
    assert_int_equal(world->report.faults, world->faults);
    assert_int_equal(rc, world->faults > 0 ? CAIRN_ECORRUPT : CAIRN_OK);
    return rc;
}

/* The first fault must name that byte of the segment and say that. */
static void expect_fault(struct world *world, size_t at, const char *text)
{
    char place[200];
    assert_int_equal(verify(world), CAIRN_ECORRUPT);
    (void)snprintf(place, sizeof(place), "%s: byte %zu: ", world->segment, at);
    if (strncmp(world->said, place, strlen(place)) != 0 || strstr(world->said, text) == NULL) {
        fail_msg("'%s' does not say '%s' of byte %zu", world->said, text, at);
    }
}

static void write_segment(const struct world *world, const char *bytes, size_t size)
{
    int fd = open(world->segment, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, 0), size);
    assert_int_equal(close(fd), 0);
}

static void restore(const struct world *world)
{
    write_segment(world, world->bytes, world->size);
}

static char *copy_of(const struct world *world)
{
    char *bytes = cairn_mem_alloc(world->size);
    assert_non_null(bytes);
    memcpy(bytes, world->bytes, world->size);
    return bytes;
}

/* Change an event and make every checksum right again, as a faulty writer would. */
struct change {
    unsigned group;
    uint64_t version; /* of its first event; 0: as it is */
    bool same_id;     /* as the first event of the log */
    uint64_t shift;   /* added to all offsets of the group */
};

static void forge(const struct world *world, const struct change *change, char *bytes)
{
    struct place place = world->groups[change->group];
    struct cairn_event events[EVENTS];
    uint64_t locators[EVENTS];
    struct cairn_event first[EVENTS];
    size_t at = 0;
    const char *why = "";
    char *records = bytes + place.at + CAIRN_GROUP_HEADER_BYTES;
    const char *sound = world->bytes + place.at + CAIRN_GROUP_HEADER_BYTES;
    assert_int_equal(cairn_group_read(&place.head, sound, 0, true, events, locators, &at, &why),
                     CAIRN_OK);
    assert_int_equal(cairn_group_read(&world->groups[0].head,
                                      world->bytes + world->groups[0].at + CAIRN_GROUP_HEADER_BYTES,
                                      0, true, first, locators, &at, &why),
                     CAIRN_OK);
    events[0].id = change->same_id ? first[0].id : events[0].id;
    for (int i = 0; i < EVENTS; i++) {
        events[i].offset += change->shift;
        events[i].version =
            change->version == 0 ? events[i].version : change->version + (uint64_t)i;
        cairn_record_write(&events[i], records, cairn_record_size(&events[i]));
        records += cairn_record_size(&events[i]);
    }
    place.head.first_offset += change->shift;
    place.head.records_hash =
        cairn_hash64(cairn_slice_of(bytes + place.at + CAIRN_GROUP_HEADER_BYTES, place.head.size));
    cairn_group_head_write(&place.head, world->salt, bytes + place.at);
}

static void a_sound_log_has_no_fault(void **state)
{
    struct world *world = *state;
    assert_int_equal(verify(world), CAIRN_OK);
    assert_int_equal(world->report.events, GROUPS * EVENTS);
    assert_int_equal(world->report.commands, GROUPS);
    assert_int_equal(world->report.streams, 1);
    assert_int_equal(world->report.segments, 1);
    assert_false(world->report.torn_tail);
}

static void a_damaged_segment_header_is_named(void **state)
{
    struct world *world = *state;
    char *bytes = copy_of(world);
    static const struct {
        size_t at;
        const char *text;
    } cases[] = {{0, "it does not start as a segment does"},
                 {9, "its format is not one that this program knows"},
                 {30, "the header's checksum does not match"},
                 {4090, "the header's checksum does not match"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes[cases[i].at] ^= 4;
        write_segment(world, bytes, world->size);
        expect_fault(world, 0, cases[i].text);
        assert_int_equal(world->faults, 1); /* the groups are still read */
        assert_int_equal(world->report.events, GROUPS * EVENTS);
        bytes[cases[i].at] ^= 4;
    }
    write_segment(world, bytes, 100);
    expect_fault(world, 0, "the file is shorter than its header");
    cairn_mem_free(bytes);
}

static void a_segment_of_another_log_or_place_is_named(void **state)
{
    struct world *world = *state;
    struct cairn_segment_head head;
    const char *why = "";
    char *bytes = copy_of(world);
    assert_true(cairn_segment_head_read(world->bytes, &head, &why));
    head.log_id[3] ^= 1;
    cairn_segment_head_write(&head, bytes);
    write_segment(world, bytes, world->size);
    expect_fault(world, 0, "it belongs to another log");
    head.log_id[3] ^= 1;
    head.number = 2;
    cairn_segment_head_write(&head, bytes);
    write_segment(world, bytes, world->size);
    expect_fault(world, 0, "it is another segment of this log, or one before it is missing");
    cairn_mem_free(bytes);
}

static void a_damaged_group_header_is_named_and_the_walk_goes_on(void **state)
{
    struct world *world = *state;
    char *bytes = copy_of(world);
    bytes[world->groups[2].at + 20] ^= 1;
    write_segment(world, bytes, world->size);
    expect_fault(world, world->groups[2].at, "there is no group header, and groups follow");
    assert_int_equal(world->report.events, (GROUPS - 1) * EVENTS);
    cairn_mem_free(bytes);
}

static void damaged_events_are_named(void **state)
{
    struct world *world = *state;
    char *bytes = copy_of(world);
    size_t at = world->groups[3].at + CAIRN_GROUP_HEADER_BYTES;
    bytes[at + 100] ^= 1;
    write_segment(world, bytes, world->size);
    expect_fault(world, at, "checksum");
    cairn_mem_free(bytes);
}

static void a_log_that_ends_too_early_is_named(void **state)
{
    struct world *world = *state;
    char *bytes = copy_of(world);
    size_t at = world->groups[GROUPS - 1].at;
    memset(bytes + at, 0, world->size - at);
    write_segment(world, bytes, world->size);
    assert_int_equal(verify(world), CAIRN_ECORRUPT);
    assert_int_equal(world->faults, 1);
    assert_non_null(strstr(world->said, "/log/0: the log ends at offset 10, but 12 was"));
    cairn_mem_free(bytes);
}

static void an_unfinished_group_at_the_end_is_no_fault(void **state)
{
    struct world *world = *state;
    char *bytes = copy_of(world);
    const struct place *last = &world->groups[GROUPS - 1];
    size_t end = last->at + CAIRN_GROUP_HEADER_BYTES + last->head.size;
    memcpy(bytes + end, "torn", 4);
    write_segment(world, bytes, world->size);
    assert_int_equal(verify(world), CAIRN_OK);
    assert_true(world->report.torn_tail);
    assert_int_equal(world->report.events, GROUPS * EVENTS);
    cairn_mem_free(bytes);
}

static void what_a_faulty_writer_wrote_is_named(void **state)
{
    struct world *world = *state;
    static const struct {
        struct change change;
        const char *text;
    } cases[] = {
        {{.group = 2, .version = 9}, "version 9 of account-1 follows version 4"},
        {{.group = 4, .same_id = true}, "the event's id was used before"},
        {{.group = 1, .shift = 1}, "the group's first offset is not the next one"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *bytes = copy_of(world);
        size_t at = world->groups[cases[i].change.group].at;
        forge(world, &cases[i].change, bytes);
        write_segment(world, bytes, world->size);
        expect_fault(world, cases[i].change.shift > 0 ? at : at + CAIRN_GROUP_HEADER_BYTES,
                     cases[i].text);
        cairn_mem_free(bytes);
    }
    restore(world);
    assert_int_equal(verify(world), CAIRN_OK);
}

static void a_segment_that_does_not_continue_the_one_before_is_named(void **state)
{
    struct world *world = *state;
    struct cairn_segment_head head;
    const char *why = "";
    char *bytes = copy_of(world);
    assert_true(cairn_segment_head_read(world->bytes, &head, &why));
    head.number = 2;
    head.base = 20;
    cairn_segment_head_write(&head, bytes);
    char first[sizeof(world->segment)];
    memcpy(first, world->segment, sizeof(first));
    (void)snprintf(world->segment, sizeof(world->segment), "%s/log/0/00000000000000000020.seg",
                   world->folder);
    write_segment(world, bytes, CAIRN_SEGMENT_HEADER_BYTES);
    expect_fault(world, 0, "the segment before it ends at another offset");
    cairn_mem_free(bytes);
}

static void a_damaged_beacon_is_named(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    char path[128];
    char text[4096];
    memset(text, 'x', sizeof(text));
    (void)snprintf(path, sizeof(path), "%s/log/head", world->folder);
    assert_ok(cairn_file_replace(path, cairn_slice_of(text, sizeof(text)), &err), &err);
    assert_int_equal(verify(world), CAIRN_ECORRUPT);
    assert_int_equal(world->faults, 1);
    assert_non_null(strstr(world->said, "/log/head: "));
}

static void a_folder_without_a_log_is_an_error(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_verify_report report = {.events = 7};
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/log/0", world->folder);
    assert_int_equal(cairn_store_verify(path, NULL, &report, &err), CAIRN_ENOENT);
    assert_int_equal(report.events, 7);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_sound_log_has_no_fault),
        CASE(a_damaged_segment_header_is_named),
        CASE(a_segment_of_another_log_or_place_is_named),
        CASE(a_damaged_group_header_is_named_and_the_walk_goes_on),
        CASE(damaged_events_are_named),
        CASE(a_log_that_ends_too_early_is_named),
        CASE(an_unfinished_group_at_the_end_is_no_fault),
        CASE(what_a_faulty_writer_wrote_is_named),
        CASE(a_segment_that_does_not_continue_the_one_before_is_named),
        CASE(a_damaged_beacon_is_named),
        CASE(a_folder_without_a_log_is_an_error),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
