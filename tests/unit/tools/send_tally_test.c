#include "tools/send_tally.h"

#include "platform/json.h"

#include "tests/support/cm.h"

static void count(struct cairn_tally *tally, const char *text)
{
    struct cairn_arena arena = {.max = 65536};
    struct cairn_err err = {.rc = CAIRN_OK};
    struct cairn_value answer;
    assert_ok(cairn_json_read(cairn_slice_str(text), &arena, &answer, NULL, &err), &err);
    cairn_tally_answer(tally, &answer);
    cairn_arena_fini(&arena);
}

static void kinds_are_told_apart_and_sorted_by_count(void **state)
{
    (void)state;
    struct cairn_tally tally;
    struct cairn_buf out = {.max = 4096};
    cairn_tally_init(&tally);
    count(&tally, "{\"status\":409,\"type\":\"/problems/rejected\",\"code\":\"no-price\"}");
    count(&tally, "{\"status\":201,\"stream\":\"a-1\"}");
    count(&tally, "{\"status\":200,\"replayed\":true}");
    count(&tally, "{\"status\":422,\"type\":\"/problems/invalid\"}");
    cairn_tally_retried(&tally, 7);
    assert_int_equal(cairn_tally_print(&tally, true, 1.5, &out), CAIRN_OK);
    assert_true(cairn_slice_is(
        cairn_buf_slice(&out),
        "{\"answered\":4,\"accepted\":2,\"refused\":2,\"replayed\":1,\"unanswered\":0,\"retried\":"
        "7,"
        "\"seconds\":1.500,\"kinds\":{\"accepted\":2,\"invalid\":1,\"rejected no-price\":1}}\n"));
    cairn_buf_truncate(&out, 0);
    assert_int_equal(cairn_tally_print(&tally, false, 1.5, &out), CAIRN_OK);
    assert_int_equal(cairn_buf_append_byte(&out, '\0'), CAIRN_OK);
    assert_non_null(strstr(out.data, "4 answered"));
    assert_non_null(strstr(out.data, "1   rejected no-price"));
    assert_null(strstr(out.data, "without an answer"));
    cairn_buf_fini(&out);
    cairn_tally_fini(&tally);
}

static void an_answer_without_a_type_is_counted_all_the_same(void **state)
{
    (void)state;
    struct cairn_tally tally;
    cairn_tally_init(&tally);
    count(&tally, "{}");
    count(&tally, "[1]");
    assert_int_equal(cairn_tally_answered(&tally), 2);
    assert_int_equal(tally.refused, 2);
    cairn_tally_fini(&tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_are_told_apart_and_sorted_by_count),
        cmocka_unit_test(an_answer_without_a_type_is_counted_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
