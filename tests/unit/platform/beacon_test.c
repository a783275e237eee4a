#include "platform/beacon.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/fault.h"
#include "platform/file.h"
#include "tests/support/folder.h"

#include "tests/support/cm.h"

/* Longer than any machine takes to wake a waiter; a test that gets there has failed. */
enum { NEVER_MS = 30000 };

struct world {
    char root[CAIRN_PATH_MAX];
    char path[CAIRN_PATH_MAX];
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    test_folder_make(world->root, sizeof(world->root), "beacon");
    assert_int_equal(cairn_file_join(world->path, world->root, "beacon"), CAIRN_OK);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    cairn_fault_disarm();
    test_folder_remove(world->root);
    free(world);
    return 0;
}

static struct cairn_beacon *open_ok(const struct world *world, bool writer)
{
    struct cairn_beacon *beacon = NULL;
    struct cairn_err err;
    assert_ok(cairn_beacon_open(world->path, writer, &beacon, &err), &err);
    return beacon;
}

static void a_reader_finds_no_file_before_a_writer_made_it(void **state)
{
    struct world *world = *state;
    struct cairn_beacon *beacon = NULL;
    struct cairn_err err;
    assert_int_equal(cairn_beacon_open(world->path, false, &beacon, &err), CAIRN_ENOENT);
    assert_null(beacon);
    cairn_beacon_close(open_ok(world, true));
    beacon = open_ok(world, false);
    for (unsigned slot = 0; slot < CAIRN_BEACON_SLOTS_MAX; slot++) {
        assert_int_equal(cairn_beacon_load(beacon, slot), 0);
    }
    cairn_beacon_close(beacon);
    cairn_beacon_close(NULL);
}

static void values_survive_the_writer(void **state)
{
    struct world *world = *state;
    struct cairn_beacon *writer = open_ok(world, true);
    cairn_beacon_store(writer, 0, UINT64_MAX);
    cairn_beacon_store(writer, CAIRN_BEACON_SLOTS_MAX - 1, 42);
    cairn_beacon_ring(writer);
    uint32_t bell = cairn_beacon_bell(writer);
    cairn_beacon_close(writer);
    writer = open_ok(world, true);
    assert_true(cairn_beacon_load(writer, 0) == UINT64_MAX);
    assert_int_equal(cairn_beacon_load(writer, CAIRN_BEACON_SLOTS_MAX - 1), 42);
    assert_int_equal(cairn_beacon_bell(writer), bell);
    cairn_beacon_close(writer);
}

static void the_file_is_one_page_with_the_layout_of_the_header(void **state)
{
    struct world *world = *state;
    struct cairn_beacon *writer = open_ok(world, true);
    cairn_beacon_store(writer, 1, UINT64_C(0x0102030405060708));
    cairn_beacon_ring(writer);
    struct cairn_buf file = {.max = 8192};
    struct cairn_err err;
    assert_ok(cairn_file_read(world->path, &file, &err), &err);
    assert_int_equal(file.size, 4096);
    assert_memory_equal(file.data, "CAIRNBCN\1\0\0\0\1\0\0\0", 16);
    assert_memory_equal(file.data + 24, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
    struct stat status;
    assert_int_equal(stat(world->path, &status), 0);
    assert_true(status.st_blocks * 512 >= 4096); /* no hole: a store must not need the disk */
    cairn_buf_fini(&file);
    cairn_beacon_close(writer);
}

static void another_file_is_not_taken_for_a_beacon_and_not_touched(void **state)
{
    struct world *world = *state;
    static const char *const contents[] = {"x", "CAIRNBCN\2", "CAIRNBC!"};
    struct cairn_beacon *beacon = NULL;
    struct cairn_err err;
    for (size_t i = 0; i < 3; i++) {
        struct cairn_slice content = cairn_slice_str(contents[i]);
        assert_ok(cairn_file_replace(world->path, content, &err), &err);
        assert_int_equal(cairn_beacon_open(world->path, true, &beacon, &err), CAIRN_ECORRUPT);
        assert_int_equal(cairn_beacon_open(world->path, false, &beacon, &err), CAIRN_ECORRUPT);
        assert_null(beacon);
        struct cairn_buf after = {.max = 8192};
        assert_ok(cairn_file_read(world->path, &after, &err), &err);
        assert_true(cairn_slice_equal(cairn_buf_slice(&after), content));
        cairn_buf_fini(&after);
    }
}

static void a_blank_file_as_a_power_cut_leaves_it_is_made_anew_by_a_writer(void **state)
{
    struct world *world = *state;
    static const char zeros[4096];
    static const size_t sizes[] = {0, 7, 4096};
    struct cairn_beacon *beacon = NULL;
    struct cairn_err err;
    for (size_t i = 0; i < 3; i++) {
        assert_ok(cairn_file_replace(world->path, cairn_slice_of(zeros, sizes[i]), &err), &err);
        assert_int_equal(cairn_beacon_open(world->path, false, &beacon, &err), CAIRN_ENOENT);
        cairn_beacon_close(open_ok(world, true));
        cairn_beacon_close(open_ok(world, false));
    }
}

static void open_under_any_fault_fails_whole_and_succeeds_the_next_time(void **state)
{
    struct world *world = *state;
    static const enum cairn_fault faults[] = {CAIRN_FAULT_MEM, CAIRN_FAULT_WRITE,
                                              CAIRN_FAULT_WRITE_SHORT, CAIRN_FAULT_READ};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        bool fired = true;
        for (int after = 0; fired; after++) {
            struct cairn_beacon *beacon = NULL;
            (void)unlink(world->path);
            cairn_fault_arm(faults[i], after);
            enum cairn_rc rc = cairn_beacon_open(world->path, true, &beacon, NULL);
            fired = cairn_fault_fired(faults[i]);
            cairn_fault_disarm();
            assert_int_equal(fired, rc != CAIRN_OK);
            assert_int_equal(fired, beacon == NULL);
            cairn_beacon_close(beacon);
            cairn_beacon_close(open_ok(world, true));
        }
    }
}

static void a_wait_returns_at_once_when_the_bell_has_rung_since(void **state)
{
    struct world *world = *state;
    struct cairn_beacon *writer = open_ok(world, true);
    struct cairn_beacon *reader = open_ok(world, false);
    uint32_t seen = cairn_beacon_bell(reader);
    cairn_beacon_ring(writer);
    int64_t before_ns = cairn_clock_monotonic_ns(cairn_clock_system());
    cairn_beacon_wait(reader, seen, NEVER_MS);
    int64_t took_ns = cairn_clock_monotonic_ns(cairn_clock_system()) - before_ns;
    assert_true(took_ns < INT64_C(1000000) * NEVER_MS / 2);
    assert_int_equal(cairn_beacon_bell(reader), seen + 1);
    cairn_beacon_close(reader);
    cairn_beacon_close(writer);
}

static void a_wait_ends_at_its_timeout_when_nothing_rings(void **state)
{
    struct world *world = *state;
    cairn_beacon_close(open_ok(world, true));
    struct cairn_beacon *reader = open_ok(world, false);
    uint32_t seen = cairn_beacon_bell(reader);
    int64_t before_ns = cairn_clock_monotonic_ns(cairn_clock_system());
    int64_t took_ns = 0;
    while (took_ns < INT64_C(20) * 1000000) { /* a wait may return spuriously */
        cairn_beacon_wait(reader, seen, 20);
        took_ns = cairn_clock_monotonic_ns(cairn_clock_system()) - before_ns;
    }
    assert_true(took_ns < INT64_C(1000000) * NEVER_MS / 2);
    cairn_beacon_wait(reader, seen, 0);
    cairn_beacon_close(reader);
}

/* In another process: wait until slot 0 holds `wanted`. */
static void follow(const struct world *world, uint64_t wanted)
{
    struct cairn_beacon *reader = NULL;
    uint64_t last = 0;
    if (cairn_beacon_open(world->path, false, &reader, NULL) != CAIRN_OK) {
        _exit(2);
    }
    for (;;) {
        uint32_t seen = cairn_beacon_bell(reader);
        uint64_t now = cairn_beacon_load(reader, 0);
        if (now < last) {
            _exit(3);
        }
        last = now;
        if (now == wanted) {
            _exit(0);
        }
        int64_t before_ns = cairn_clock_monotonic_ns(cairn_clock_system());
        cairn_beacon_wait(reader, seen, NEVER_MS);
        if (cairn_clock_monotonic_ns(cairn_clock_system()) - before_ns >
            INT64_C(1000000) * (NEVER_MS - 1000)) {
            _exit(4); /* slept through a ring */
        }
    }
}

static void readers_in_other_processes_sleep_and_miss_no_ring(void **state)
{
    struct world *world = *state;
    enum { READERS = 3, RINGS = 20000 };
    struct cairn_beacon *writer = open_ok(world, true);
    pid_t children[READERS];
    for (int i = 0; i < READERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            follow(world, RINGS);
        }
    }
    for (uint64_t value = 1; value <= RINGS; value++) {
        cairn_beacon_store(writer, 0, value);
        cairn_beacon_ring(writer);
    }
    for (int i = 0; i < READERS; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    cairn_beacon_close(writer);
}

static void a_waiting_process_sleeps_and_burns_no_cpu(void **state)
{
    struct world *world = *state;
    struct cairn_beacon *writer = open_ok(world, true);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        follow(world, 1);
    }
    /* 200 ms of wall clock; a reader that polls would use a good part of them. */
    cairn_beacon_wait(writer, cairn_beacon_bell(writer), 200);
    cairn_beacon_store(writer, 0, 1);
    cairn_beacon_ring(writer);
    int status = 0;
    struct rusage usage;
    assert_int_equal(wait4(child, &status, 0, &usage), child);
    assert_int_equal(status, 0);
    long used_us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000L +
                   usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    assert_true(used_us < 100000);
    cairn_beacon_close(writer);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_reader_finds_no_file_before_a_writer_made_it),
        T(values_survive_the_writer),
        T(the_file_is_one_page_with_the_layout_of_the_header),
        T(another_file_is_not_taken_for_a_beacon_and_not_touched),
        T(a_blank_file_as_a_power_cut_leaves_it_is_made_anew_by_a_writer),
        T(open_under_any_fault_fails_whole_and_succeeds_the_next_time),
        T(a_wait_returns_at_once_when_the_bell_has_rung_since),
        T(a_wait_ends_at_its_timeout_when_nothing_rings),
        T(readers_in_other_processes_sleep_and_miss_no_ring),
        T(a_waiting_process_sleeps_and_burns_no_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
