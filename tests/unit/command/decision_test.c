#include "command/decision.h"

#include "platform/json.h"

#include "tests/support/cm.h"

static struct cairn_arena arena = {.max = 4u << 20};
static const struct cairn_domain_command COMMAND = {.name = {"Do", 2}, .aggregate = {"a", 1}};

/* Read the results, given as a JSON array, as a decision. */
static enum cairn_rc read_results(const char *json, struct cairn_decision *ret_decision,
                                  struct cairn_err *err)
{
    static struct cairn_lua_result result;
    struct cairn_value list;
    assert_ok(cairn_json_read(cairn_slice_str(json), &arena, &list, NULL, err), err);
    assert_true(list.count <= CAIRN_LUA_RESULTS_MAX);
    result = (struct cairn_lua_result){.count = list.count};
    for (uint32_t i = 0; i < list.count; i++) {
        result.values[i] = list.as.items[i];
    }
    *ret_decision = (struct cairn_decision){0};
    return cairn_decision_read(&result, &COMMAND, &arena, ret_decision, err);
}

#define EVENT "{\"type\":\"T\",\"data\":{\"n\":1}}"

static void events_come_singly_in_lists_or_not_at_all(void **state)
{
    (void)state;
    static const struct {
        const char *results;
        size_t count;
    } CASES[] = {
        {"[]", 0},
        {"[null]", 0},
        {"[{}]", 0},
        {"[[]]", 0},
        {"[" EVENT "]", 1},
        {"[" EVENT "," EVENT "]", 2},
        {"[[" EVENT "," EVENT "]]", 2},
        {"[" EVENT ",null,[" EVENT "],{}]", 2},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct cairn_decision decision;
        struct cairn_err err;
        assert_ok(read_results(CASES[i].results, &decision, &err), &err);
        assert_int_equal(decision.count, CASES[i].count);
        for (size_t k = 0; k < decision.count; k++) {
            assert_true(cairn_slice_is(decision.events[k].type, "T"));
            assert_int_equal(decision.events[k].data.type, CAIRN_MAP);
        }
    }
}

static void anything_else_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *results;
        const char *text;
    } CASES[] = {
        {"[\"done\"]", "a string that is no event"},
        {"[7]", "an integer that is no event"},
        {"[true]", "a boolean that is no event"},
        {"[{\"type\":\"T\"}]", "an object that is no event"},
        {"[{\"type\":1,\"data\":{}}]", "an object that is no event"},
        {"[{\"type\":\"T\",\"data\":[]}]", "an object that is no event"},
        {"[{\"type\":\"T\",\"data\":{},\"more\":1}]", "an object that is no event"},
        {"[[" EVENT ",[]]]", "an array that is no event"},
        {"[" EVENT ",1.5]", "a number that is no event"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct cairn_decision decision;
        struct cairn_err err;
        assert_int_equal(read_results(CASES[i].results, &decision, &err), CAIRN_ESCRIPT);
        if (strstr(err.text, CASES[i].text) == NULL) {
            fail_msg("%s: %s", CASES[i].results, err.text);
        }
    }
}

static void only_a_thrown_rejection_rejects(void **state)
{
    (void)state;
    static const struct {
        const char *thrown;
        bool rejects;
    } CASES[] = {
        {"{\"reject\":{\"code\":\"no\",\"detail\":\"why\"}}", true},
        {"{\"reject\":{\"detail\":\"why\"}}", false},
        {"{\"reject\":7}", false},
        {"{}", false},
        {"[1]", false},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        static struct cairn_lua_result result;
        struct cairn_decision decision = {0};
        struct cairn_err err;
        result = (struct cairn_lua_result){.count = 1, .thrown = true};
        assert_ok(cairn_json_read(cairn_slice_str(CASES[i].thrown), &arena, &result.values[0], NULL,
                                  &err),
                  &err);
        assert_int_equal(cairn_decision_rejects(&result, &decision), CASES[i].rejects);
        assert_int_equal(decision.rejected, CASES[i].rejects);
        result.thrown = false;
        assert_false(cairn_decision_rejects(&result, &decision));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_singly_in_lists_or_not_at_all),
        cmocka_unit_test(anything_else_is_named),
        cmocka_unit_test(only_a_thrown_rejection_rejects),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cairn_arena_fini(&arena);
    return failed;
}
