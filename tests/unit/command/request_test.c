#include "command/request.h"

#include "command/batch_item.h"
#include "command/reply.h"
#include "platform/json.h"

#include "tests/support/cm.h"

struct stage {
    struct cairn_domain *domain;
    struct cairn_arena arena;
};

static int open_stage(void **state)
{
    static struct stage stage;
    struct cairn_err err;
    stage.arena.max = 8u << 20;
    assert_ok(cairn_domain_load(CAIRN_SOURCE_DIR "/examples/bank", &stage.domain, &err), &err);
    *state = &stage;
    return 0;
}

static int close_stage(void **state)
{
    struct stage *stage = *state;
    cairn_domain_free(stage->domain);
    cairn_arena_fini(&stage->arena);
    return 0;
}

static enum cairn_rc read_line(struct stage *stage, const char *line,
                               struct cairn_command *ret_command, struct cairn_fault_report *report)
{
    struct cairn_batch_reader reader = {.domain = stage->domain};
    return cairn_batch_read_line(&reader, cairn_slice_str(line), &stage->arena, ret_command,
                                 report);
}

static void good_line_is_a_command(void **state)
{
    struct cairn_command command;
    struct cairn_fault_report report;
    assert_ok(read_line(*state,
                        "{\"key\":\"k\",\"expected\":3,\"data\":{\"amount\":5},\"command\":"
                        "\"Deposit\",\"id\":\"42\",\"aggregate\":\"account\"}",
                        &command, &report),
              &report.err);
    assert_true(cairn_slice_is(command.command->name, "Deposit"));
    assert_true(cairn_slice_is(command.id, "42"));
    assert_true(cairn_slice_is(command.key, "k"));
    assert_int_equal(command.expected, 3);
    assert_int_equal(cairn_value_at(command.data, "amount")->as.integer, 5);
    assert_ok(read_line(*state, "{\"aggregate\":\"account\",\"id\":\"42\",\"command\":\"Close\"}",
                        &command, &report),
              &report.err);
    assert_int_equal(command.expected, CAIRN_EXPECT_ANY);
    assert_int_equal(command.data->type, CAIRN_MAP);
    assert_int_equal(command.key.size, 0);
}

static void each_bad_line_has_its_own_fault(void **state)
{
    static const struct {
        const char *line;
        enum cairn_rc rc;
        const char *text;
    } CASES[] = {
        {"", CAIRN_EMALFORMED, ""},
        {"{", CAIRN_EMALFORMED, ""},
        {"[]", CAIRN_EINVAL, "not array"},
        {"{}", CAIRN_EINVAL, "\"aggregate\" is missing"},
        {"{\"aggregate\":1}", CAIRN_EINVAL, "\"aggregate\" must be a string"},
        {"{\"aggregat\":1}", CAIRN_EINVAL, "unknown member \"aggregat\""},
        {"{\"aggregate\":\"x\",\"id\":\"1\",\"command\":\"Open\"}", CAIRN_ENOAGGREGATE, "\"x\""},
        {"{\"aggregate\":\"account\",\"id\":\"1\",\"command\":\"x\"}", CAIRN_ENOCOMMAND, "\"x\""},
        {"{\"aggregate\":\"account\",\"id\":\"/\",\"command\":\"Close\"}", CAIRN_EINVAL,
         "an id is"},
        {"{\"aggregate\":\"account\",\"id\":\"1\",\"command\":\"Close\",\"key\":\"\"}",
         CAIRN_EINVAL, "Idempotency-Key"},
        {"{\"aggregate\":\"account\",\"id\":\"1\",\"command\":\"Close\",\"expected\":-1}",
         CAIRN_EINVAL, "must be a version"},
        {"{\"aggregate\":\"account\",\"id\":\"1\",\"command\":\"Close\",\"expected\":1.0}",
         CAIRN_EINVAL, "must be a version"},
        {"{\"aggregate\":\"account\",\"id\":\"1\",\"command\":\"Open\",\"data\":[]}", CAIRN_ESCHEMA,
         "in 1 place"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct cairn_command command;
        struct cairn_fault_report report;
        enum cairn_rc rc = read_line(*state, CASES[i].line, &command, &report);
        if (rc != CASES[i].rc || report.err.rc != rc ||
            strstr(report.err.text, CASES[i].text) == NULL) {
            fail_msg("%s: %s: %s", CASES[i].line, cairn_err_info(rc)->name, report.err.text);
        }
    }
}

static void problem_is_utf8_whatever_the_detail_holds(void **state)
{
    struct stage *stage = *state;
    struct cairn_fault_report report = {.extra = cairn_value_null()};
    struct cairn_value problem;
    (void)CAIRN_FAIL(&report.err, CAIRN_ESCRIPT, "threw \xff\xc3 and \xe2\x82\xac \xe2\x82 end");
    assert_int_equal(cairn_reply_problem(&report, &stage->arena, &problem), CAIRN_OK);
    struct cairn_slice detail = cairn_value_get_string(&problem, "detail");
    if (!cairn_slice_is(detail, "threw ?? and \xe2\x82\xac ?? end")) {
        fail_msg("%.*s", CAIRN_SLICE_ARG(detail));
    }
    assert_true(
        cairn_slice_is(cairn_value_get_string(&problem, "type"), "/problems/decider-failed"));
}

static void json_and_value_say_the_same(void **state)
{
    struct stage *stage = *state;
    static const struct cairn_answer_event EVENTS[] = {
        {.id = {{1}}, .type = {"Opened", 6}, .version = 1},
        {.id = {{2}}, .type = {"Closed", 6}, .version = UINT64_MAX}};
    static const struct cairn_answer ANSWERS[] = {
        {.stream = {"a-1", 3},
         .version = 2,
         .partition = 7,
         .offset = 9,
         .events = EVENTS,
         .event_count = 2,
         .created = true,
         .replayed = true},
        {.stream = {"a-1", 3}, .version = 0},
    };
    for (size_t i = 0; i < 4; i++) {
        struct cairn_err err;
        struct cairn_value wanted;
        struct cairn_value got;
        struct cairn_buf text = {.max = 10000};
        bool batch = i % 2 == 1;
        assert_int_equal(cairn_reply_json(&ANSWERS[i / 2], batch, &text), CAIRN_OK);
        assert_int_equal(cairn_reply_value(&ANSWERS[i / 2], batch, &stage->arena, &wanted),
                         CAIRN_OK);
        assert_ok(cairn_json_read(cairn_buf_slice(&text), &stage->arena, &got, NULL, &err), &err);
        assert_true(cairn_value_equal(&wanted, &got));
        assert_int_equal(cairn_value_at(&got, "status") != NULL, batch);
        assert_int_equal(cairn_value_at(&got, "position") != NULL, i < 2);
        cairn_buf_fini(&text);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)
    const struct CMUnitTest tests[] = {
        TEST(good_line_is_a_command),
        TEST(each_bad_line_has_its_own_fault),
        TEST(problem_is_utf8_whatever_the_detail_holds),
        TEST(json_and_value_say_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
