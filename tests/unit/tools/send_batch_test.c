#include "tools/send_batch.h"

#include <pthread.h>

#include "tests/support/cm.h"

static void lines_come_out_as_they_went_in(void **state)
{
    (void)state;
    struct cairn_send_batch *batch = cairn_send_batch_new();
    assert_non_null(batch);
    assert_int_equal(cairn_send_batch_add(batch, CAIRN_SLICE_LIT("{\"a\":1}"), true), CAIRN_OK);
    assert_int_equal(cairn_send_batch_add(batch, CAIRN_SLICE_NONE, false), CAIRN_OK);
    assert_int_equal(cairn_send_batch_add(batch, CAIRN_SLICE_LIT("x"), false), CAIRN_OK);
    assert_int_equal(batch->count, 3);
    assert_true(cairn_slice_is(cairn_send_batch_line(batch, 0), "{\"a\":1}"));
    assert_true(cairn_slice_is(cairn_send_batch_line(batch, 1), ""));
    assert_true(cairn_slice_is(cairn_send_batch_line(batch, 2), "x"));
    assert_true(batch->keyed[0]);
    assert_false(batch->keyed[2]);
    assert_true(cairn_slice_is(cairn_buf_slice(&batch->text), "{\"a\":1}\n\nx\n"));
    cairn_send_batch_clear(batch);
    assert_int_equal(batch->count, 0);
    cairn_send_batch_free(batch);
}

static void a_full_batch_refuses_a_line_and_keeps_the_others(void **state)
{
    (void)state;
    struct cairn_send_batch *batch = cairn_send_batch_new();
    assert_non_null(batch);
    for (int i = 0; i < CAIRN_SEND_BATCH_LINES_MAX; i++) {
        assert_int_equal(cairn_send_batch_add(batch, CAIRN_SLICE_LIT("l"), false), CAIRN_OK);
    }
    assert_int_equal(cairn_send_batch_add(batch, CAIRN_SLICE_LIT("l"), false), CAIRN_ETOOBIG);
    assert_int_equal(batch->count, CAIRN_SEND_BATCH_LINES_MAX);
    cairn_send_batch_free(batch);
}

static void *take_all(void *arg)
{
    struct cairn_send_slot *slot = arg;
    size_t lines = 0;
    struct cairn_send_batch *batch = NULL;
    while ((batch = cairn_send_slot_pop(slot)) != NULL) {
        lines += batch->count;
        cairn_send_batch_free(batch);
    }
    return (void *)lines;
}

static void what_is_pushed_before_close_is_popped(void **state)
{
    (void)state;
    struct cairn_send_slot slot;
    pthread_t thread;
    void *lines = NULL;
    cairn_send_slot_init(&slot);
    assert_int_equal(pthread_create(&thread, NULL, take_all, &slot), 0);
    for (int i = 0; i < 100; i++) {
        struct cairn_send_batch *batch = cairn_send_batch_new();
        assert_non_null(batch);
        assert_int_equal(cairn_send_batch_add(batch, CAIRN_SLICE_LIT("l"), false), CAIRN_OK);
        assert_true(cairn_send_slot_push(&slot, batch));
    }
    cairn_send_slot_close(&slot);
    assert_int_equal(pthread_join(thread, &lines), 0);
    assert_int_equal((size_t)lines, 100);
    cairn_send_slot_fini(&slot);
}

static void a_closed_slot_leaves_the_batch_with_its_owner(void **state)
{
    (void)state;
    struct cairn_send_slot slot;
    cairn_send_slot_init(&slot);
    cairn_send_slot_close(&slot);
    struct cairn_send_batch *batch = cairn_send_batch_new();
    assert_false(cairn_send_slot_push(&slot, batch));
    assert_null(cairn_send_slot_pop(&slot));
    cairn_send_batch_free(batch);
    cairn_send_slot_fini(&slot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_out_as_they_went_in),
        cmocka_unit_test(a_full_batch_refuses_a_line_and_keeps_the_others),
        cmocka_unit_test(what_is_pushed_before_close_is_popped),
        cmocka_unit_test(a_closed_slot_leaves_the_batch_with_its_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
