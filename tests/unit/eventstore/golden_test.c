/* Logs of every format that was ever released must read for ever. The files are frozen. */
#include <stdio.h>
#include <stdlib.h>

#include "eventstore/store.h"
#include "tests/support/folder.h"

#include "tests/support/cm.h"

#define GOLDEN  CAIRN_SOURCE_DIR "/tests/golden/log-format-1"
#define SEGMENT "/00000000000000000001.seg"

static void copy_file(const char *from, const char *to)
{
    struct cairn_err err;
    struct cairn_buf bytes = {.max = 1u << 20};
    assert_ok(cairn_file_read(from, &bytes, &err), &err);
    assert_ok(cairn_file_replace(to, cairn_buf_slice(&bytes), &err), &err);
    cairn_buf_fini(&bytes);
}

/* The three commands that the frozen log holds. */
static void check_events(struct cairn_store *store, struct cairn_arena *arena)
{
    struct cairn_err err;
    struct cairn_event_page page;
    struct cairn_receipt receipt;
    assert_ok(cairn_store_read_stream(store, CAIRN_SLICE_LIT("account-1"), 0, 10, CAIRN_FORWARD,
                                      arena, &page, &err),
              &err);
    assert_int_equal(page.count, 3);
    assert_true(cairn_slice_is(page.events[0].type, "Opened"));
    assert_true(cairn_slice_is(page.events[2].type, "Deposited"));
    assert_int_equal(page.events[2].offset, 4);
    assert_int_equal(page.events[2].schema_version, 2);
    assert_int_equal(page.events[2].time_us, 1700000000000003);
    assert_true(cairn_slice_is(page.events[2].principal, "ann"));
    assert_true(cairn_slice_is(page.events[2].data, "\x81\xa6"
                                                    "amount\x2a"));
    assert_ok(cairn_store_receipt(store, CAIRN_SLICE_LIT("key-1"), 0, arena, &receipt, &err), &err);
    assert_true(cairn_slice_is(receipt.stream, "account-1"));
    assert_int_equal(receipt.count, 2);
    assert_int_equal(receipt.fingerprint[15], 9);
}

static void a_log_of_format_1_reads(void **state)
{
    (void)state;
    struct cairn_err err;
    char folder[TEST_FOLDER_SIZE];
    char to[256];
    struct cairn_store *store = NULL;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_verify_report report = {0};
    test_folder_make(folder, sizeof(folder), "golden");
    (void)snprintf(to, sizeof(to), "%s/log/0", folder);
    assert_ok(cairn_file_make_folder(to, &err), &err);
    (void)snprintf(to, sizeof(to), "%s/log/0%s", folder, SEGMENT);
    copy_file(GOLDEN SEGMENT, to);
    (void)snprintf(to, sizeof(to), "%s/log/log.txt", folder);
    copy_file(GOLDEN "/log.txt", to);
    assert_ok(cairn_store_verify(folder, NULL, &report, &err), &err);
    assert_int_equal(report.events, 4);
    struct cairn_store_options options = {
        .data_folder = folder, .writer = true, .manual_flush = true};
    assert_ok(cairn_store_open(&options, &store, &err), &err);
    check_events(store, &arena);
    cairn_store_close(store);
    cairn_arena_fini(&arena);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_log_of_format_1_reads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
