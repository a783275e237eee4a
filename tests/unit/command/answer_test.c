#include "command/answer.h"

#include "platform/fault.h"

#include "tests/support/cm.h"

static const struct cairn_answer_event EVENTS[] = {
    {.id = {{1, 2, 3}}, .type = {"Opened", 6}, .version = 7},
    {.id = {{4, 5, 6}}, .type = {"Closed", 6}, .version = 8},
};

static const struct cairn_answer ANSWER = {
    .stream = {"account-1", 9},
    .version = 8,
    .created = true,
    .offset = 99,
    .events = EVENTS,
    .event_count = 2,
    .code = {"code", 4},
    .detail = {"detail", 6},
    .place = "account.lua:3",
};

static void copy_shares_nothing_with_the_first(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = 10000};
    struct cairn_answer copy;
    cairn_answer_copy(&ANSWER, &arena, &copy);
    assert_int_equal(copy.rc, CAIRN_OK);
    assert_int_equal(copy.version, 8);
    assert_int_equal(copy.offset, 99);
    assert_true(copy.created);
    assert_true(cairn_slice_is(copy.stream, "account-1"));
    assert_ptr_not_equal(copy.stream.data, ANSWER.stream.data);
    assert_true(cairn_slice_is(copy.code, "code"));
    assert_true(cairn_slice_is(copy.detail, "detail"));
    assert_string_equal(copy.place, "account.lua:3");
    assert_int_equal(copy.event_count, 2);
    assert_ptr_not_equal(copy.events, EVENTS);
    assert_int_equal(copy.events[1].version, 8);
    assert_memory_equal(copy.events[1].id.bytes, EVENTS[1].id.bytes, 16);
    assert_true(cairn_slice_is(copy.events[1].type, "Closed"));
    assert_ptr_not_equal(copy.events[1].type.data, EVENTS[1].type.data);
    cairn_arena_fini(&arena);
}

static void copy_without_memory_is_a_failure_that_says_so(void **state)
{
    (void)state;
    size_t failures = 0;
    for (size_t max = 1; max < 400; max++) {
        struct cairn_arena arena = {.max = max};
        struct cairn_answer copy;
        cairn_answer_copy(&ANSWER, &arena, &copy);
        assert_true(copy.rc == CAIRN_OK || copy.rc == CAIRN_ENOMEM);
        failures += copy.rc == CAIRN_ENOMEM;
        assert_int_equal(copy.event_count, copy.rc == CAIRN_OK ? 2 : 0);
        cairn_arena_fini(&arena);
    }
    assert_true(failures > 100 && failures < 399);
}

static void failure_promises_no_event(void **state)
{
    (void)state;
    struct cairn_err err;
    struct cairn_answer answer = ANSWER;
    (void)CAIRN_FAIL(&err, CAIRN_EIO, "no disk");
    cairn_answer_fail(&answer, &err);
    assert_int_equal(answer.rc, CAIRN_EIO);
    assert_string_equal(answer.err.text, "no disk");
    assert_int_equal(answer.event_count, 0);
    assert_int_equal(answer.offset, 0);
    assert_false(answer.created);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copy_shares_nothing_with_the_first),
        cmocka_unit_test(copy_without_memory_is_a_failure_that_says_so),
        cmocka_unit_test(failure_promises_no_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
