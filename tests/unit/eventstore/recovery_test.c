/* What the embedded log does when the disk fails and after a stop at any moment. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "eventstore/store.h"
#include "platform/fault.h"
#include "platform/mem.h"
#include "tests/support/folder.h"
#include "tests/support/killed.h"

#include "tests/support/cm.h"

#define FIRST_SEGMENT "/log/0/00000000000000000001.seg"

struct world {
    char folder[256];
    char segment[320];
    struct cairn_arena arena;
    struct cairn_uuid_source ids;
    struct cairn_store *store;
    struct cairn_log *lines; /* may be NULL */
    bool threads;            /* that flush and fill */
};

static int set_up(void **state)
{
    static struct world world;
    world = (struct world){.arena = {.max = (size_t)1 << 28}};
    test_folder_make(world.folder, sizeof(world.folder), "recovery");
    (void)snprintf(world.segment, sizeof(world.segment), "%s%s", world.folder, FIRST_SEGMENT);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    cairn_fault_disarm();
    cairn_store_close(world->store);
    cairn_arena_fini(&world->arena);
    test_folder_remove(world->folder);
    return 0;
}

static enum cairn_rc try_open(struct world *world, struct cairn_err *err)
{
    struct cairn_store_options options = {.data_folder = world->folder,
                                          .writer = true,
                                          .domain = CAIRN_SLICE_LIT("bank"),
                                          .segment_bytes = 64 * 1024,
                                          .log_lines = world->lines,
                                          .manual_flush = !world->threads};
    cairn_store_close(world->store);
    world->store = NULL;
    return cairn_store_open(&options, &world->store, err);
}

static void open_store(struct world *world)
{
    struct cairn_err err;
    assert_ok(try_open(world, &err), &err);
}

static void close_store(struct world *world)
{
    cairn_store_close(world->store);
    world->store = NULL;
}

static enum cairn_rc put_keyed(struct world *world, uint16_t count, struct cairn_slice key,
                               struct cairn_err *err)
{
    static const char data[200] = {[0] = 1, [199] = 1};
    struct cairn_event events[8];
    assert_true(count <= 8);
    memset(events, 0, sizeof(events));
    for (uint16_t i = 0; i < count; i++) {
        events[i].id = cairn_uuid_next(&world->ids, 1, cairn_random_system());
        events[i].type = CAIRN_SLICE_LIT("Deposited");
        events[i].schema_version = 1;
        events[i].data = cairn_slice_of(data, sizeof(data));
        events[i].key = key;
    }
    struct cairn_append append = {.stream = CAIRN_SLICE_LIT("account-1"),
                                  .expected = CAIRN_EXPECT_ANY,
                                  .events = events,
                                  .count = count};
    return cairn_store_append(world->store, 0, &append, 1, err);
}

static enum cairn_rc put(struct world *world, uint16_t count, struct cairn_err *err)
{
    return put_keyed(world, count, CAIRN_SLICE_NONE, err);
}

static uint64_t head(struct world *world)
{
    struct cairn_err err;
    uint64_t version = 0;
    assert_ok(cairn_store_head(world->store, CAIRN_SLICE_LIT("account-1"), &version, &err), &err);
    return version;
}

/* Events in the log; every one readable, and the stream the same. */
static uint64_t count_log(struct world *world)
{
    struct cairn_err err;
    struct cairn_log_reader *reader = NULL;
    uint64_t total = 0;
    size_t count = 1;
    assert_ok(cairn_log_reader_open(world->store, 0, 0, &reader, &err), &err);
    while (count > 0) {
        const struct cairn_event *events = NULL;
        assert_ok(cairn_log_reader_next(reader, 100, &events, &count, &err), &err);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(events[i].offset, ++total);
            assert_int_equal(events[i].version, total);
        }
    }
    cairn_log_reader_close(reader);
    assert_int_equal(head(world), total);
    return total;
}

/* Append commands of three events with one call of the disk failing; then open again. What was
 * acknowledged must be there, and what was refused must not, but for an unknown outcome. */
static void sweep(struct world *world, enum cairn_fault fault, bool persistent)
{
    bool fired = true;
    for (int after = 0; fired; after++) {
        struct cairn_err err;
        uint64_t acknowledged = 0;
        uint64_t unknown = 0;
        assert_ok(cairn_file_remove_tree(world->folder, &err), &err);
        open_store(world);
        if (persistent) {
            cairn_fault_arm_persistent(fault, after);
        } else {
            cairn_fault_arm(fault, after);
        }
        for (int i = 0; i < 120; i++) { /* enough to go on to a second segment */
            enum cairn_rc rc = put(world, 3, &err);
            acknowledged += rc == CAIRN_OK ? 3 : 0;
            unknown += rc == CAIRN_EUNKNOWN ? 3 : 0;
            if (rc != CAIRN_OK && rc != CAIRN_EFULL) {
                assert_true(cairn_store_stopped(world->store, &err));
                assert_int_equal(put(world, 1, &err), CAIRN_ESTOPPED);
                break;
            }
        }
        fired = cairn_fault_fired(fault);
        assert_int_equal(count_log(world), acknowledged);
        close_store(world);
        cairn_fault_disarm();
        open_store(world);
        uint64_t found = count_log(world);
        assert_true(found == acknowledged || found == acknowledged + unknown);
        close_store(world);
        assert_true(after < 2000);
    }
    cairn_fault_disarm();
}

static void a_failing_write_loses_nothing_acknowledged(void **state)
{
    sweep(*state, CAIRN_FAULT_WRITE, false);
}

static void a_short_write_leaves_nothing_half_visible(void **state)
{
    sweep(*state, CAIRN_FAULT_WRITE_SHORT, false);
}

static void a_failing_sync_stops_the_store_for_good(void **state)
{
    sweep(*state, CAIRN_FAULT_SYNC, false);
}

static void a_disk_that_stays_broken_is_survived(void **state)
{
    sweep(*state, CAIRN_FAULT_WRITE, true);
}

static uint64_t file_size(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return (uint64_t)status.st_size;
}

static char *read_all(const char *path, size_t size)
{
    char *bytes = cairn_mem_alloc(size);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_non_null(bytes);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, bytes, size, 0), size);
    assert_int_equal(close(fd), 0);
    return bytes;
}

static void write_at(const char *path, const char *bytes, size_t size, size_t at)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, (off_t)at), size);
    assert_int_equal(close(fd), 0);
}

static void remove_part(struct world *world, const char *name)
{
    char path[320];
    struct cairn_err err;
    (void)snprintf(path, sizeof(path), "%s/%s", world->folder, name);
    assert_ok(cairn_file_remove_tree(path, &err), &err);
}

/* The first byte behind the last group. */
static size_t end_of_groups(const char *bytes, size_t size)
{
    while (size > 4096 && bytes[size - 1] == 0) {
        size--;
    }
    return (size + 7) & ~(size_t)7;
}

static void remove_head(struct world *world)
{
    char path[320];
    (void)snprintf(path, sizeof(path), "%s/log/head", world->folder);
    assert_int_equal(unlink(path), 0);
}

/* As a power cut leaves it: the beacon behind, the index behind, the last group in part. */
static void a_tail_torn_at_any_byte_is_cut(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    open_store(world);
    assert_ok(put(world, 2, &err), &err);
    close_store(world);
    size_t size = (size_t)file_size(world->segment);
    char *before = read_all(world->segment, size);
    size_t start = end_of_groups(before, size);
    open_store(world);
    assert_ok(put(world, 2, &err), &err);
    close_store(world);
    char *after = read_all(world->segment, size);
    size_t end = end_of_groups(after, size);
    assert_true(end > start + 500);
    for (size_t cut = start; cut <= end; cut++) {
        char zeros[4096] = {0};
        write_at(world->segment, after, end, 0);
        write_at(world->segment, zeros, end - cut, cut);
        remove_head(world);
        remove_part(world, "index");
        open_store(world);
        uint64_t found = count_log(world);
        assert_true(found == 2 || (found == 4 && cut + 8 >= end));
        if (found == 2) { /* it is cut for good, and the log goes on */
            assert_ok(put(world, 1, &err), &err);
            assert_int_equal(count_log(world), 3);
        }
        close_store(world);
        write_at(world->segment, zeros, sizeof(zeros), end);
    }
    cairn_mem_free(before);
    cairn_mem_free(after);
}

struct faults {
    unsigned count;
};

static void count_fault(void *self, const char *place, const char *text)
{
    struct faults *faults = self;
    assert_true(strstr(place, ".seg") != NULL || strstr(place, "log") != NULL);
    assert_true(strlen(text) > 0);
    faults->count++;
}

static enum cairn_rc verify(struct world *world, struct cairn_verify_report *report)
{
    struct faults faults = {0};
    struct cairn_verify_hooks hooks = {.fault = count_fault, .self = &faults};
    struct cairn_err err;
    enum cairn_rc rc = cairn_store_verify(world->folder, &hooks, report, &err);
    assert_int_equal(faults.count, report->faults);
    return rc;
}

static void a_flipped_bit_anywhere_is_found_and_named(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_verify_report report = {0};
    open_store(world);
    for (int i = 0; i < 6; i++) {
        assert_ok(put(world, 2, &err), &err);
    }
    close_store(world);
    assert_int_equal(verify(world, &report), CAIRN_OK);
    assert_int_equal(report.events, 12);
    assert_int_equal(report.commands, 6);
    assert_int_equal(report.streams, 1);
    size_t size = (size_t)file_size(world->segment);
    char *bytes = read_all(world->segment, size);
    size_t end = end_of_groups(bytes, size);
    size_t step = 1;
    for (size_t at = 0; at < end; at += step) {
        char flipped = (char)(bytes[at] ^ (1 << (at % 8)));
        step = at < 64 || at >= 4096 ? 1 : 61; /* the header's middle is zeros */
        write_at(world->segment, &flipped, 1, at);
        report = (struct cairn_verify_report){0};
        assert_int_equal(verify(world, &report), CAIRN_ECORRUPT);
        assert_true(report.faults > 0);
        if (at % 16 == 0) {
            remove_part(world, "index"); /* so that the whole log is read */
            assert_int_equal(try_open(world, &err), CAIRN_ECORRUPT);
            assert_non_null(strstr(err.text, ".seg"));
            assert_non_null(strstr(err.text, "byte"));
            assert_null(world->store);
        }
        write_at(world->segment, &bytes[at], 1, at);
    }
    open_store(world);
    assert_int_equal(count_log(world), 12);
    cairn_mem_free(bytes);
}

static void a_missing_segment_is_found_and_named(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_verify_report report = {0};
    open_store(world);
    for (int i = 0; i < 100; i++) {
        assert_ok(put(world, 8, &err), &err);
    }
    close_store(world);
    assert_int_equal(verify(world, &report), CAIRN_OK);
    assert_true(report.segments >= 3);
    assert_int_equal(unlink(world->segment), 0);
    assert_int_equal(verify(world, &report), CAIRN_ECORRUPT);
    assert_int_equal(try_open(world, &err), CAIRN_ECORRUPT);
    assert_non_null(strstr(err.text, "segment"));
}

static void a_log_that_ends_before_what_was_acknowledged_is_refused(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    static const char zeros[8192] = {0};
    open_store(world);
    for (int i = 0; i < 4; i++) {
        assert_ok(put(world, 2, &err), &err);
    }
    close_store(world);
    write_at(world->segment, zeros, sizeof(zeros), 4096);
    assert_int_equal(try_open(world, &err), CAIRN_ECORRUPT);
    assert_non_null(strstr(err.text, "acknowledged"));
}

/* Damage the last group, whose header stays whole: the beacon says that it was acknowledged. */
static void a_published_group_whose_events_fail_is_never_cut(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    open_store(world);
    for (int i = 0; i < 3; i++) {
        assert_ok(put(world, 2, &err), &err);
    }
    close_store(world);
    size_t size = (size_t)file_size(world->segment);
    char *bytes = read_all(world->segment, size);
    size_t at = end_of_groups(bytes, size) - 300;
    char flipped = (char)(bytes[at] ^ 1);
    write_at(world->segment, &flipped, 1, at);
    assert_int_equal(try_open(world, &err), CAIRN_ECORRUPT); /* the beacon and the index know it */
    assert_non_null(strstr(err.text, "acknowledged"));
    remove_part(world, "index");
    assert_int_equal(try_open(world, &err), CAIRN_ECORRUPT); /* the beacon alone */
    assert_non_null(strstr(err.text, "acknowledged"));
    write_at(world->segment, &bytes[at], 1, at);
    open_store(world);
    close_store(world);
    write_at(world->segment, &flipped, 1, at);
    remove_head(world);
    assert_int_equal(try_open(world, &err), CAIRN_ECORRUPT); /* the index alone */
    assert_non_null(strstr(err.text, "the index has read 6"));
    remove_head(world);
    remove_part(world, "index");
    open_store(world); /* nobody knows of it: it cannot be told from a torn one */
    assert_int_equal(count_log(world), 4);
    cairn_mem_free(bytes);
}

/* Put an older copy of the log beside the newer index, with or without its beacon. */
static void restore_older(struct world *world, bool with_head, FILE *lines)
{
    struct cairn_err err;
    char head_path[320];
    (void)snprintf(head_path, sizeof(head_path), "%s/log/head", world->folder);
    assert_ok(cairn_file_remove_tree(world->folder, &err), &err);
    open_store(world);
    assert_ok(put(world, 4, &err), &err);
    close_store(world);
    size_t size = (size_t)file_size(world->segment);
    size_t head_size = (size_t)file_size(head_path);
    char *segment = read_all(world->segment, size);
    char *beacon = read_all(head_path, head_size);
    open_store(world);
    assert_ok(put_keyed(world, 3, CAIRN_SLICE_LIT("lost"), &err), &err);
    close_store(world);
    write_at(world->segment, segment, size, 0);
    assert_int_equal(truncate(world->segment, (off_t)size), 0);
    write_at(head_path, beacon, head_size, 0);
    if (!with_head) {
        remove_head(world);
    }
    cairn_mem_free(segment);
    cairn_mem_free(beacon);
    world->lines = cairn_log_new(fileno(lines), CAIRN_LOG_INFO, cairn_clock_system());
    assert_non_null(world->lines);
    open_store(world);
}

static void an_older_log_beside_a_newer_index_is_opened_with_a_warning(void **state)
{
    struct world *world = *state;
    for (int with_head = 0; with_head < 2; with_head++) {
        struct cairn_err err;
        struct cairn_receipt receipt;
        char text[4096] = {0};
        FILE *lines = tmpfile();
        assert_non_null(lines);
        restore_older(world, with_head == 1, lines);
        assert_int_equal(count_log(world), 4);
        assert_int_equal(cairn_store_receipt(world->store, CAIRN_SLICE_LIT("lost"), 0,
                                             &world->arena, &receipt, &err),
                         CAIRN_ENOENT);
        assert_ok(put_keyed(world, 1, CAIRN_SLICE_LIT("lost"), &err), &err);
        assert_int_equal(count_log(world), 5);
        rewind(lines);
        assert_true(fread(text, 1, sizeof(text) - 1, lines) > 0);
        assert_non_null(strstr(text, "\"warn\""));
        assert_non_null(strstr(text, "more than the log holds"));
        assert_non_null(strstr(text, "\"index_read\":7"));
        assert_non_null(strstr(text, with_head == 1 ? "acknowledges no more" : "missing"));
        assert_non_null(strstr(text, "index thrown away"));
        close_store(world);
        cairn_log_free(world->lines);
        world->lines = NULL;
        assert_int_equal(fclose(lines), 0);
    }
}

/* A log of two segments whose last group is torn, and no index: all that recovery does is done. */
static void make_torn(struct world *world)
{
    struct cairn_err err;
    char path[400];
    static const char torn[] = "half a group";
    assert_ok(cairn_file_remove_tree(world->folder, &err), &err);
    open_store(world);
    for (int i = 0; i < 28; i++) {
        assert_ok(put(world, 8, &err), &err);
    }
    close_store(world);
    struct cairn_arena arena = {.max = 1u << 20};
    const char **names = NULL;
    size_t count = 0;
    (void)snprintf(path, sizeof(path), "%s/log/0", world->folder);
    assert_ok(cairn_file_list(path, &arena, &names, &count, &err), &err);
    assert_true(count >= 2);
    (void)snprintf(path, sizeof(path), "%s/log/0/%s", world->folder, names[count - 1]);
    cairn_arena_fini(&arena);
    size_t size = (size_t)file_size(path);
    char *bytes = read_all(path, size);
    write_at(path, torn, sizeof(torn), end_of_groups(bytes, size));
    cairn_mem_free(bytes);
    remove_part(world, "index");
}

static void make_nothing(struct world *world)
{
    struct cairn_err err;
    assert_ok(cairn_file_remove_tree(world->folder, &err), &err);
}

/* Open with one call failing, then again: the second one finds all. */
static void sweep_open(struct world *world, enum cairn_fault fault, void (*make)(struct world *),
                       uint64_t events)
{
    bool fired = true;
    for (int after = 0; fired; after++) {
        struct cairn_err err = {.rc = CAIRN_OK};
        make(world);
        cairn_fault_arm(fault, after);
        enum cairn_rc rc = try_open(world, &err);
        fired = cairn_fault_fired(fault);
        cairn_fault_disarm();
        if (rc == CAIRN_OK) {
            assert_int_equal(count_log(world), events);
        } else {
            assert_true(fired);
            assert_null(world->store);
            if (rc != CAIRN_EIO && rc != CAIRN_EFULL && rc != CAIRN_ENOMEM && rc != CAIRN_EBUSY) {
                fail_msg("%d: %s: %s", after, cairn_err_info(rc)->name, err.text);
            }
        }
        open_store(world);
        assert_int_equal(count_log(world), events);
        assert_ok(put(world, 1, &err), &err);
        assert_int_equal(count_log(world), events + 1);
        close_store(world);
        assert_true(after < 1000);
    }
}

static void a_start_that_fails_anywhere_can_be_made_again(void **state)
{
    skip_without_faults();
    static const enum cairn_fault kinds[] = {CAIRN_FAULT_MEM,         CAIRN_FAULT_READ,
                                             CAIRN_FAULT_SYNC,        CAIRN_FAULT_WRITE,
                                             CAIRN_FAULT_WRITE_SHORT, CAIRN_FAULT_KV_COMMIT};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        sweep_open(world, kinds[i], make_nothing, 0);
        sweep_open(world, kinds[i], make_torn, 224);
    }
    world->threads = true;
    sweep_open(world, CAIRN_FAULT_THREAD, make_torn, 224);
}

static void a_damaged_index_is_made_again(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    char path[320];
    open_store(world);
    for (int i = 0; i < 50; i++) {
        assert_ok(put(world, 2, &err), &err);
    }
    (void)snprintf(path, sizeof(path), "%s/index/data.mdb", world->folder);
    for (int way = 0; way < 3; way++) {
        close_store(world);
        if (way == 0) {
            assert_int_equal(truncate(path, 100), 0);
        } else if (way == 1) {
            write_at(path, "not an index at all", 19, 0);
            write_at(path, "not an index at all", 19, 16);
            write_at(path, "not an index at all", 19, 4096 + 16);
        } else {
            assert_int_equal(truncate(path, 0), 0);
        }
        open_store(world);
        assert_int_equal(count_log(world), 100);
    }
}

/* The child appends until it is killed, and writes a byte for each commit that was acknowledged. */
static void append_until_killed(void *self, int out)
{
    struct world *world = self;
    struct cairn_err err;
    if (try_open(world, &err) != CAIRN_OK) {
        _exit(1);
    }
    for (;;) {
        if (put(world, 3, &err) != CAIRN_OK || write(out, "a", 1) != 1) {
            _exit(2);
        }
    }
}

static void killing_the_writer_loses_nothing_acknowledged(void **state)
{
    struct world *world = *state;
    uint64_t total = 0;
    for (unsigned round = 0; round < 12; round++) {
        uint64_t acknowledged = 3 * killed_after(1 + 7 * round, append_until_killed, world);
        open_store(world);
        uint64_t found = count_log(world);
        assert_true(found >= total + acknowledged);
        assert_true(found <= total + acknowledged + 6);
        assert_int_equal(found % 3, 0);
        total = found;
        close_store(world);
    }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_failing_write_loses_nothing_acknowledged),
        CASE(a_short_write_leaves_nothing_half_visible),
        CASE(a_failing_sync_stops_the_store_for_good),
        CASE(a_disk_that_stays_broken_is_survived),
        CASE(a_tail_torn_at_any_byte_is_cut),
        CASE(a_flipped_bit_anywhere_is_found_and_named),
        CASE(a_missing_segment_is_found_and_named),
        CASE(a_log_that_ends_before_what_was_acknowledged_is_refused),
        CASE(a_published_group_whose_events_fail_is_never_cut),
        CASE(an_older_log_beside_a_newer_index_is_opened_with_a_warning),
        CASE(a_start_that_fails_anywhere_can_be_made_again),
        CASE(a_damaged_index_is_made_again),
        CASE(killing_the_writer_loses_nothing_acknowledged),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
