#include "eventstore/tail.h"

#include <stdio.h>

#include "platform/fault.h"
#include "platform/mem.h"

#include "tests/support/cm.h"

static void every_version_is_found_in_a_long_stream(void **state)
{
    (void)state;
    struct cairn_tail tail = {0};
    uint64_t version = 1;
    for (uint32_t i = 0; i < 3000; i++) {
        uint16_t count = (uint16_t)(1 + i % 3);
        assert_int_equal(cairn_tail_reserve(&tail, 2), CAIRN_OK);
        cairn_tail_add(&tail, CAIRN_SLICE_LIT("account-1"), version, count, i);
        cairn_tail_add(&tail, CAIRN_SLICE_LIT("account-2"), i + 1, 1, i);
        version += count;
    }
    const struct cairn_tail_row *newest = cairn_tail_newest(&tail, CAIRN_SLICE_LIT("account-1"));
    for (uint64_t wanted = 1; wanted < version; wanted++) {
        const struct cairn_tail_row *row = cairn_tail_find(&tail, newest, wanted);
        assert_non_null(row);
        assert_true(row->first_version <= wanted && wanted < row->first_version + row->count);
        assert_ptr_equal(cairn_tail_at_depth(&tail, newest, row->depth), row);
    }
    assert_null(cairn_tail_find(&tail, newest, 0));
    assert_null(cairn_tail_newest(&tail, CAIRN_SLICE_LIT("account-3")));
    cairn_tail_clear(&tail);
    assert_null(cairn_tail_newest(&tail, CAIRN_SLICE_LIT("account-1")));
    cairn_tail_fini(&tail);
}

static void the_first_command_keeps_its_key(void **state)
{
    (void)state;
    struct cairn_tail tail = {0};
    assert_int_equal(cairn_tail_reserve(&tail, 2), CAIRN_OK);
    cairn_tail_add_receipt(&tail, CAIRN_SLICE_LIT("key"), 1, 10);
    cairn_tail_add_receipt(&tail, CAIRN_SLICE_LIT("key"), 1, 11);
    cairn_tail_add_receipt(&tail, CAIRN_SLICE_LIT("key"), 2, 20);
    const struct cairn_tail_receipt *receipt = cairn_tail_receipt(&tail, CAIRN_SLICE_LIT("key"), 2);
    assert_non_null(receipt);
    assert_int_equal(receipt->locator, 20);
    receipt = cairn_tail_receipt(&tail, CAIRN_SLICE_LIT("key"), 7); /* the lowest partition */
    assert_non_null(receipt);
    assert_int_equal(receipt->locator, 10);
    assert_null(cairn_tail_receipt(&tail, CAIRN_SLICE_LIT("kez"), 1));
    cairn_tail_fini(&tail);
}

static void entries_come_out_sorted(void **state)
{
    (void)state;
    struct cairn_tail tail = {0};
    const void **streams = NULL;
    const void **receipts = NULL;
    for (unsigned i = 0; i < 500; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "account-%u", i * 7919u % 500u);
        assert_int_equal(cairn_tail_reserve(&tail, 1), CAIRN_OK);
        cairn_tail_add(&tail, cairn_slice_str(name), 1, 1, i);
        cairn_tail_add_receipt(&tail, cairn_slice_str(name), 0, i);
    }
    assert_int_equal(cairn_tail_sorted(&tail, &tail.streams, &streams), CAIRN_OK);
    assert_int_equal(cairn_tail_sorted(&tail, &tail.receipts, &receipts), CAIRN_OK);
    for (unsigned i = 1; i < 500; i++) {
        assert_true(cairn_slice_compare(cairn_tail_stream_name(streams[i - 1]),
                                        cairn_tail_stream_name(streams[i])) < 0);
        assert_true(cairn_slice_compare(cairn_tail_receipt_key(receipts[i - 1]),
                                        cairn_tail_receipt_key(receipts[i])) < 0);
    }
    cairn_mem_free(streams);
    cairn_mem_free(receipts);
    cairn_tail_fini(&tail);
}

static void memory_that_runs_out_changes_nothing(void **state)
{
    (void)state;
    bool fired = true;
    for (int after = 0; fired; after++) {
        struct cairn_tail tail = {0};
        assert_int_equal(cairn_tail_reserve(&tail, 1), CAIRN_OK);
        cairn_tail_add(&tail, CAIRN_SLICE_LIT("account-1"), 1, 1, 5);
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = cairn_tail_reserve(&tail, 4000);
        fired = cairn_fault_fired(CAIRN_FAULT_MEM);
        cairn_fault_disarm();
        assert_int_equal(rc, fired ? CAIRN_ENOMEM : CAIRN_OK);
        assert_int_equal(cairn_tail_newest(&tail, CAIRN_SLICE_LIT("account-1"))->locator, 5);
        cairn_tail_fini(&tail);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_version_is_found_in_a_long_stream),
        cmocka_unit_test(the_first_command_keeps_its_key),
        cmocka_unit_test(entries_come_out_sorted),
        cmocka_unit_test(memory_that_runs_out_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
