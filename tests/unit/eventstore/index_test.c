#include "eventstore/index.h"

#include <stdio.h>
#include <stdlib.h>

#include "platform/fault.h"
#include "platform/file.h"
#include "platform/kv.h"
#include "tests/support/folder.h"

#include "tests/support/cm.h"

enum { STREAMS = 7, APPENDS = 200, EVENTS = 2 };

struct world {
    char root[64];
    struct cairn_index_options options;
    struct cairn_index *index;
    uint64_t offset; /* of the last event that was applied */
};

static void open_index(struct world *world)
{
    struct cairn_err err;
    assert_ok(cairn_index_open(&world->options, &world->index, &err), &err);
}

static void reopen(struct world *world)
{
    cairn_index_close(world->index);
    world->index = NULL;
    open_index(world);
}

static int set_up(void **state)
{
    static struct world world;
    memset(&world, 0, sizeof(world));
    test_folder_make(world.root, sizeof(world.root), "index");
    world.options = (struct cairn_index_options){
        .folder = world.root, .writer = true, .manual = true, .partitions = 2, .log_id = "one log"};
    open_index(&world);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    cairn_fault_disarm();
    cairn_index_close(world->index);
    test_folder_remove(world->root);
    return 0;
}

static struct cairn_slice name_of(char out[32], const char *what, unsigned number)
{
    int size = snprintf(out, 32, "%s-%u", what, number);
    return cairn_slice_of(out, (size_t)size);
}

/* Append number `i`: two events more of its stream, with a key. */
static enum cairn_rc apply(struct world *world, unsigned i, struct cairn_err *err)
{
    char stream[32];
    char key[32];
    struct cairn_index_entry entry = {.stream = name_of(stream, "account", i % STREAMS),
                                      .key = name_of(key, "key", i),
                                      .first_version = i / STREAMS * EVENTS + 1,
                                      .locator = 1000 + i,
                                      .count = EVENTS};
    enum cairn_rc rc = cairn_index_reserve(world->index, 1, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_index_group group = {.partition = 1,
                                      .entries = &entry,
                                      .count = 1,
                                      .start = {world->offset, 1000 + i},
                                      .end = {world->offset + EVENTS, 1001 + i}};
    cairn_index_apply(world->index, &group);
    world->offset += EVENTS;
    return CAIRN_OK;
}

static void apply_some(struct world *world, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        struct cairn_err err;
        assert_ok(apply(world, i, &err), &err);
    }
}

/* Does the index know the first `count` appends, and nothing more? */
static void expect(struct world *world, unsigned count)
{
    struct cairn_err err;
    char text[32];
    for (unsigned i = 0; i < count; i++) {
        uint16_t partition = 0;
        uint64_t locator = 0;
        assert_ok(cairn_index_receipt(world->index, name_of(text, "key", i), 1, &partition,
                                      &locator, &err),
                  &err);
        assert_int_equal(partition, 1);
        assert_int_equal(locator, 1000 + i);
        struct cairn_index_row row;
        size_t rows = 0;
        uint64_t version = i / STREAMS * EVENTS + EVENTS; /* its last event */
        assert_ok(cairn_index_rows(world->index, name_of(text, "account", i % STREAMS), version,
                                   CAIRN_FORWARD, &row, 1, &rows, &err),
                  &err);
        assert_int_equal(rows, 1);
        assert_int_equal(row.locator, 1000 + i);
        assert_int_equal(row.first_version, version - 1);
        assert_int_equal(row.count, EVENTS);
    }
    uint16_t partition = 0;
    uint64_t locator = 0;
    assert_int_equal(cairn_index_receipt(world->index, name_of(text, "key", count), 1, &partition,
                                         &locator, &err),
                     CAIRN_ENOENT);
    for (unsigned s = 0; s < STREAMS; s++) {
        uint64_t head = 0;
        assert_ok(cairn_index_head(world->index, name_of(text, "account", s), &head, &err), &err);
        assert_int_equal(head, (count / STREAMS + (s < count % STREAMS ? 1 : 0)) * EVENTS);
    }
    assert_int_equal(cairn_index_applied(world->index, 1).offset, (uint64_t)count * EVENTS);
    assert_int_equal(cairn_index_applied(world->index, 0).offset, 0);
    assert_int_equal(cairn_index_streams(world->index), count < STREAMS ? count : STREAMS);
}

static void what_is_applied_is_found_in_memory_and_on_disk(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    expect(world, 0);
    apply_some(world, 0, APPENDS);
    expect(world, APPENDS);
    assert_ok(cairn_index_flush(world->index, &err), &err);
    expect(world, APPENDS);
    apply_some(world, APPENDS, 2 * APPENDS); /* now half of it lies in either */
    expect(world, 2 * APPENDS);
    assert_ok(cairn_index_flush(world->index, &err), &err);
    reopen(world);
    expect(world, 2 * APPENDS);
}

static void what_was_not_flushed_is_gone_after_a_stop(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    apply_some(world, 0, APPENDS);
    assert_ok(cairn_index_flush(world->index, &err), &err);
    apply_some(world, APPENDS, APPENDS + 5);
    reopen(world);
    expect(world, APPENDS);
}

static void rows_come_in_either_direction(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_index_row rows[APPENDS];
    size_t count = 0;
    apply_some(world, 0, APPENDS / 2);
    assert_ok(cairn_index_flush(world->index, &err), &err);
    apply_some(world, APPENDS / 2, APPENDS);
    const uint64_t head = (APPENDS + STREAMS - 1) / STREAMS * EVENTS; /* of account-0 */
    struct cairn_slice stream = CAIRN_SLICE_LIT("account-0");
    assert_ok(cairn_index_rows(world->index, stream, 1, CAIRN_FORWARD, rows, APPENDS, &count, &err),
              &err);
    assert_int_equal(count, head / EVENTS);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(rows[i].first_version, i * EVENTS + 1);
    }
    assert_ok(
        cairn_index_rows(world->index, stream, head, CAIRN_BACKWARD, rows, APPENDS, &count, &err),
        &err);
    assert_int_equal(count, head / EVENTS);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(rows[i].first_version, head - 1 - i * EVENTS);
    }
    assert_ok(cairn_index_rows(world->index, CAIRN_SLICE_LIT("nobody-1"), 1, CAIRN_FORWARD, rows,
                               APPENDS, &count, &err),
              &err);
    assert_int_equal(count, 0);
}

static void an_index_of_another_log_starts_empty(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    apply_some(world, 0, APPENDS);
    assert_ok(cairn_index_flush(world->index, &err), &err);
    world->options.log_id[0] ^= 1;
    reopen(world);
    expect(world, 0);
}

static void a_reset_forgets_all_of_it(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    apply_some(world, 0, APPENDS);
    assert_ok(cairn_index_flush(world->index, &err), &err);
    apply_some(world, APPENDS, APPENDS + 3);
    assert_ok(cairn_index_reset(world->index, &err), &err);
    expect(world, 0);
    world->offset = 0;
    apply_some(world, 0, 10);
    expect(world, 10);
}

static void places_near_an_offset_are_never_behind_it(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    const unsigned many = 4 * CAIRN_INDEX_MARK_EVENTS / EVENTS;
    apply_some(world, 0, many);
    for (int flushed = 0; flushed < 2; flushed++) {
        for (uint64_t offset = 0; offset <= (uint64_t)many * EVENTS; offset += 97) {
            struct cairn_resume near = {UINT64_MAX, 0};
            assert_ok(cairn_index_near(world->index, 1, offset, &near, &err), &err);
            assert_true(near.offset <= offset);
            assert_true(offset - near.offset <= (uint64_t)CAIRN_INDEX_MARK_EVENTS + EVENTS);
            assert_true(near.locator == 0 || near.locator == 1000 + near.offset / EVENTS);
        }
        assert_ok(cairn_index_flush(world->index, &err), &err);
    }
}

static void a_snapshot_is_found_by_the_code_that_made_it(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    const unsigned char code[16] = "code";
    const unsigned char other[16] = "other code";
    struct cairn_slice stream = CAIRN_SLICE_LIT("account-1");
    struct cairn_arena arena = {.max = 1u << 20};
    assert_ok(
        cairn_index_snapshot_put(world->index, stream, code, 8, CAIRN_SLICE_LIT("eight"), &err),
        &err);
    for (int flushed = 0; flushed < 2; flushed++) {
        uint64_t version = 0;
        struct cairn_slice found = CAIRN_SLICE_NONE;
        assert_ok(
            cairn_index_snapshot_get(world->index, stream, code, &arena, &version, &found, &err),
            &err);
        assert_int_equal(version, 8);
        assert_true(cairn_slice_is(found, "eight"));
        assert_int_equal(
            cairn_index_snapshot_get(world->index, stream, other, &arena, &version, &found, &err),
            CAIRN_ENOENT);
        assert_ok(cairn_index_flush(world->index, &err), &err);
    }
    cairn_arena_fini(&arena);
}

static void a_flush_that_fails_loses_nothing(void **state)
{
    skip_without_faults();
    struct world *world = *state;
    const enum cairn_fault kinds[] = {CAIRN_FAULT_MEM, CAIRN_FAULT_KV_COMMIT};
    unsigned applied = 0;
    for (size_t kind = 0; kind < 2; kind++) {
        unsigned failed = 0;
        bool fired = true;
        for (int after = 0; fired; after++) {
            struct cairn_err err;
            apply_some(world, applied, applied + STREAMS);
            applied += STREAMS;
            cairn_fault_arm(kinds[kind], after);
            enum cairn_rc rc = cairn_index_flush(world->index, &err);
            fired = cairn_fault_fired(kinds[kind]);
            cairn_fault_disarm();
            assert_true(fired || rc == CAIRN_OK);
            failed += rc == CAIRN_OK ? 0 : 1;
            expect(world, applied);
        }
        assert_true(failed > 0);
    }
    struct cairn_err err;
    assert_ok(cairn_index_flush(world->index, &err), &err);
    reopen(world);
    expect(world, applied);
}

static void a_reservation_without_memory_changes_nothing(void **state)
{
    skip_without_faults();
    struct world *world = *state;
    unsigned applied = 0;
    unsigned failed = 0;
    bool fired = true;
    for (int after = 0; fired; after++) {
        struct cairn_err err;
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = apply(world, applied, &err);
        fired = cairn_fault_fired(CAIRN_FAULT_MEM);
        cairn_fault_disarm();
        assert_int_equal(rc, fired ? CAIRN_ENOMEM : CAIRN_OK);
        failed += fired ? 1 : 0;
        applied += fired ? 0 : 1;
        expect(world, applied);
    }
    assert_true(failed > 0);
}

/* A key that was accepted in partition at that place. */
static void accept_key(struct world *world, const char *key, uint16_t partition, uint64_t offset)
{
    struct cairn_err err;
    char stream[32];
    struct cairn_index_entry entry = {
        .stream = name_of(stream, partition == 0 ? "left" : "right", (unsigned)offset),
        .key = cairn_slice_str(key),
        .first_version = 1,
        .locator = 100u * partition + offset,
        .count = 1};
    struct cairn_index_group group = {.partition = partition,
                                      .entries = &entry,
                                      .count = 1,
                                      .start = {offset - 1, offset},
                                      .end = {offset, offset + 1}};
    assert_ok(cairn_index_reserve(world->index, 1, &err), &err);
    cairn_index_apply(world->index, &group);
}

static void expect_key(struct world *world, const char *key, uint16_t preferred, uint16_t partition,
                       uint64_t locator)
{
    struct cairn_err err;
    uint16_t found = 99;
    uint64_t at = 0;
    assert_ok(cairn_index_receipt(world->index, cairn_slice_str(key), preferred, &found, &at, &err),
              &err);
    assert_int_equal(found, partition);
    assert_int_equal(at, locator);
}

static void a_key_has_a_receipt_in_each_partition(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    accept_key(world, "both", 1, 1);
    accept_key(world, "bot", 1, 2);
    for (int round = 0; round < 4; round++) {
        expect_key(world, "both", 1, 1, 101);
        expect_key(world, "both", 0, round < 2 ? 1 : 0, round < 2 ? 101 : 1);
        expect_key(world, "bot", 0, 1, 102);
        if (round == 0) {
            assert_ok(cairn_index_flush(world->index, &err), &err);
        } else if (round == 1) {
            accept_key(world, "both", 0, 1); /* the other one lies in the file by now */
        } else {
            assert_ok(cairn_index_flush(world->index, &err), &err);
            reopen(world);
        }
    }
    expect_key(world, "both", 7, 0, 1); /* neither is preferred */
    uint16_t partition = 0;
    uint64_t locator = 0;
    assert_int_equal(
        cairn_index_receipt(world->index, CAIRN_SLICE_LIT("bo"), 1, &partition, &locator, &err),
        CAIRN_ENOENT);
}

static void an_older_format_is_thrown_away(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_kv *kv = NULL;
    struct cairn_kv_txn *txn = NULL;
    cairn_kv_table_id meta = 0;
    struct cairn_slice value;
    char bytes[256];
    apply_some(world, 0, 10);
    assert_ok(cairn_index_flush(world->index, &err), &err);
    cairn_index_close(world->index);
    world->index = NULL;
    struct cairn_kv_options options = {.writer = true};
    assert_ok(cairn_kv_open(world->root, &options, &kv, &err), &err);
    assert_ok(cairn_kv_table(kv, "meta", &meta, &err), &err);
    assert_ok(cairn_kv_write_begin(kv, &txn, &err), &err);
    assert_ok(cairn_kv_get(txn, meta, CAIRN_SLICE_LIT("state"), &value, &err), &err);
    assert_true(value.size <= sizeof(bytes));
    memcpy(bytes, value.data, value.size);
    assert_int_equal(bytes[0], CAIRN_INDEX_FORMAT);
    bytes[0] = 1;
    assert_ok(
        cairn_kv_put(txn, meta, CAIRN_SLICE_LIT("state"), cairn_slice_of(bytes, value.size), &err),
        &err);
    assert_ok(cairn_kv_commit(txn, &err), &err);
    cairn_kv_close(kv);
    open_index(world);
    world->offset = 0;
    expect(world, 0);
    apply_some(world, 0, 20);
    expect(world, 20);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(what_is_applied_is_found_in_memory_and_on_disk),
        CASE(what_was_not_flushed_is_gone_after_a_stop),
        CASE(rows_come_in_either_direction),
        CASE(an_index_of_another_log_starts_empty),
        CASE(a_reset_forgets_all_of_it),
        CASE(places_near_an_offset_are_never_behind_it),
        CASE(a_snapshot_is_found_by_the_code_that_made_it),
        CASE(a_flush_that_fails_loses_nothing),
        CASE(a_reservation_without_memory_changes_nothing),
        CASE(a_key_has_a_receipt_in_each_partition),
        CASE(an_older_format_is_thrown_away),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
