#include "platform/kv.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/fault.h"
#include "platform/file.h"
#include "tests/support/folder.h"

#include "tests/support/cm.h"

struct world {
    char folder[64];
    struct cairn_kv *kv;
    cairn_kv_table_id table;
};

static int set_up(void **state)
{
    static struct world world;
    struct cairn_err err;
    struct cairn_kv_options options = {.writer = true, .sync = false};
    test_folder_make(world.folder, sizeof(world.folder), "kv");
    assert_ok(cairn_kv_open(world.folder, &options, &world.kv, &err), &err);
    assert_ok(cairn_kv_table(world.kv, "things", &world.table, &err), &err);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    cairn_fault_disarm();
    cairn_kv_close(world->kv);
    test_folder_remove(world->folder);
    return 0;
}

static enum cairn_rc put(struct world *world, const char *key, const char *value,
                         struct cairn_err *err)
{
    struct cairn_kv_txn *txn = NULL;
    assert_ok(cairn_kv_write_begin(world->kv, &txn, err), err);
    assert_ok(cairn_kv_put(txn, world->table, cairn_slice_str(key), cairn_slice_str(value), err),
              err);
    return cairn_kv_commit(txn, err);
}

static bool has(struct world *world, const char *key, const char *value)
{
    struct cairn_kv_txn *txn = NULL;
    struct cairn_slice found;
    struct cairn_err err;
    assert_ok(cairn_kv_read_begin(world->kv, &txn, &err), &err);
    enum cairn_rc rc = cairn_kv_get(txn, world->table, cairn_slice_str(key), &found, NULL);
    bool same = rc == CAIRN_OK && cairn_slice_is(found, value);
    assert_true(rc == CAIRN_OK || rc == CAIRN_ENOENT);
    cairn_kv_end(txn);
    return same;
}

static void what_was_committed_is_read(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    assert_ok(put(world, "a", "1", &err), &err);
    assert_true(has(world, "a", "1"));
    assert_false(has(world, "b", "1"));
}

static void a_dropped_write_changes_nothing(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_kv_txn *txn = NULL;
    assert_ok(put(world, "a", "1", &err), &err);
    assert_ok(cairn_kv_write_begin(world->kv, &txn, &err), &err);
    assert_ok(cairn_kv_delete(txn, world->table, CAIRN_SLICE_LIT("a"), &err), &err);
    cairn_kv_end(txn);
    assert_true(has(world, "a", "1"));
}

static void a_commit_that_fails_changes_nothing(void **state)
{
    skip_without_faults();
    struct world *world = *state;
    struct cairn_err err;
    cairn_fault_arm(CAIRN_FAULT_KV_COMMIT, 0);
    assert_int_equal(put(world, "a", "1", &err), CAIRN_EIO);
    assert_false(has(world, "a", "1"));
    assert_ok(put(world, "a", "2", &err), &err);
    assert_true(has(world, "a", "2"));
}

static void a_read_is_a_snapshot(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_kv_txn *txn = NULL;
    struct cairn_slice found;
    assert_ok(put(world, "a", "1", &err), &err);
    assert_ok(cairn_kv_read_begin(world->kv, &txn, &err), &err);
    assert_ok(put(world, "a", "2", &err), &err);
    assert_ok(cairn_kv_get(txn, world->table, CAIRN_SLICE_LIT("a"), &found, &err), &err);
    assert_true(cairn_slice_is(found, "1"));
    cairn_kv_end(txn);
    assert_true(has(world, "a", "2"));
}

static void cursors_walk_in_key_order_both_ways(void **state)
{
    static const struct {
        enum cairn_kv_step step;
        const char *key;
        const char *found; /* NULL: the end */
    } steps[] = {
        {CAIRN_KV_FIRST, "", "b"},         {CAIRN_KV_NEXT, "", "d"},
        {CAIRN_KV_NEXT, "", "f"},          {CAIRN_KV_NEXT, "", NULL},
        {CAIRN_KV_LAST, "", "f"},          {CAIRN_KV_PREVIOUS, "", "d"},
        {CAIRN_KV_AT_OR_AFTER, "c", "d"},  {CAIRN_KV_AT_OR_AFTER, "d", "d"},
        {CAIRN_KV_AT_OR_AFTER, "g", NULL}, {CAIRN_KV_BEFORE, "d", "b"},
        {CAIRN_KV_BEFORE, "g", "f"},       {CAIRN_KV_BEFORE, "b", NULL},
    };
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_kv_txn *txn = NULL;
    struct cairn_kv_cursor *cursor = NULL;
    assert_ok(put(world, "d", "2", &err), &err);
    assert_ok(put(world, "b", "1", &err), &err);
    assert_ok(put(world, "f", "3", &err), &err);
    assert_ok(cairn_kv_read_begin(world->kv, &txn, &err), &err);
    assert_ok(cairn_kv_cursor_open(txn, world->table, &cursor, &err), &err);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct cairn_slice key;
        struct cairn_slice value;
        enum cairn_rc rc =
            cairn_kv_seek(cursor, steps[i].step, cairn_slice_str(steps[i].key), &key, &value, &err);
        assert_int_equal(rc, steps[i].found == NULL ? CAIRN_ENOENT : CAIRN_OK);
        assert_true(rc != CAIRN_OK || cairn_slice_is(key, steps[i].found));
    }
    cairn_kv_cursor_close(cursor);
    cairn_kv_end(txn);
}

static void a_second_opening_in_this_process_is_refused(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_kv *second = NULL;
    struct cairn_kv_options options = {.writer = false};
    assert_int_equal(cairn_kv_open(world->folder, &options, &second, &err), CAIRN_EEXIST);
    assert_null(second);
}

static void another_process_reads_what_is_committed(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    assert_ok(put(world, "a", "1", &err), &err);
    cairn_kv_close(world->kv); /* an environment must not cross a fork */
    world->kv = NULL;
    pid_t child = fork();
    if (child == 0) {
        struct cairn_kv_options options = {.writer = false};
        bool ok = cairn_kv_open(world->folder, &options, &world->kv, &err) == CAIRN_OK &&
                  cairn_kv_table(world->kv, "things", &world->table, &err) == CAIRN_OK &&
                  cairn_kv_table(world->kv, "none", &world->table, &err) == CAIRN_ENOENT;
        cairn_kv_close(world->kv);
        _exit(ok ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_file_cut_short_is_damage_and_no_signal(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    char path[128];
    struct cairn_kv_txn *txn = NULL;
    static const char page[3000] = {1};
    assert_ok(cairn_kv_write_begin(world->kv, &txn, &err), &err);
    for (unsigned i = 0; i < 2000; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "%u", i);
        assert_ok(cairn_kv_put(txn, world->table, cairn_slice_str(key),
                               cairn_slice_of(page, sizeof(page)), &err),
                  &err);
    }
    assert_ok(cairn_kv_commit(txn, &err), &err);
    cairn_kv_close(world->kv);
    world->kv = NULL;
    (void)snprintf(path, sizeof(path), "%s/data.mdb", world->folder);
    assert_int_equal(truncate(path, 64 * 4096), 0);
    struct cairn_kv_options options = {.writer = true};
    assert_int_equal(cairn_kv_open(world->folder, &options, &world->kv, &err), CAIRN_ECORRUPT);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(what_was_committed_is_read),
        CASE(a_dropped_write_changes_nothing),
        CASE(a_commit_that_fails_changes_nothing),
        CASE(a_read_is_a_snapshot),
        CASE(cursors_walk_in_key_order_both_ways),
        CASE(a_second_opening_in_this_process_is_refused),
        CASE(another_process_reads_what_is_committed),
        CASE(a_file_cut_short_is_damage_and_no_signal),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
