#include "tools/replay_scope.h"

#include "tools/options.h"

#include "tests/support/cm.h"

/* What flags make of a scope. The config is the caller's, because the stream lies in it. */
static enum cairn_rc read_scope(const char *const *argv, int argc, struct cairn_config **config,
                                struct cairn_replay_scope *scope, struct cairn_err *err)
{
    const char *const none[] = {NULL};
    struct cairn_config_input input = {
        .verb = 1u << CAIRN_VERB_replay, .argc = argc, .argv = argv, .envp = none};
    input.rows = cairn_options(&input.row_count);
    assert_ok(cairn_config_new(&input, config, err), err);
    return cairn_replay_scope_read(*config, scope, err);
}

static void no_flag_is_the_whole_log(void **state)
{
    struct cairn_config *config = NULL;
    struct cairn_replay_scope scope;
    struct cairn_err err;
    (void)state;
    assert_ok(read_scope(NULL, 0, &config, &scope, &err), &err);
    assert_false(cairn_replay_scope_given(config));
    assert_false(cairn_replay_scope_is_partial(&scope));
    assert_false(scope.has_until);
    cairn_config_free(config);
}

static void positions_and_times_are_told_apart(void **state)
{
    const char *const argv[] = {"--from", "0:17,3:4", "--until=2026-01-31T09:30:00.5Z"};
    struct cairn_config *config = NULL;
    struct cairn_replay_scope scope;
    struct cairn_err err;
    (void)state;
    assert_ok(read_scope(argv, 3, &config, &scope, &err), &err);
    assert_true(cairn_replay_scope_given(config));
    assert_int_equal(scope.after.offsets[0], 17);
    assert_int_equal(scope.after.offsets[3], 4);
    assert_false(scope.has_since_us);
    assert_false(scope.has_until);
    assert_true(scope.has_until_us);
    assert_int_equal(scope.until_us, INT64_C(1769851800500000));
    cairn_config_free(config);
}

static void the_other_way_round_too(void **state)
{
    const char *const argv[] = {"--from=2026-01-31T10:30:00+01:00", "--until", "1:9", "--stream",
                                "a-1"};
    struct cairn_config *config = NULL;
    struct cairn_replay_scope scope;
    struct cairn_err err;
    (void)state;
    assert_ok(read_scope(argv, 5, &config, &scope, &err), &err);
    assert_true(scope.has_since_us);
    assert_int_equal(scope.since_us, INT64_C(1769851800000000));
    assert_true(scope.has_until);
    assert_int_equal(scope.until.offsets[1], 9);
    assert_true(cairn_slice_is(scope.stream, "a-1"));
    cairn_config_free(config);
}

static void what_is_neither_is_named_with_its_flag(void **state)
{
    static const struct {
        const char *flag;
        const char *word;
    } cases[] = {{"--from=yesterday", "--from: `yesterday`"},
                 {"--until=0:", "--until: `0:`"},
                 {"--from=2026-01-31", "--from: `2026-01-31`"},
                 {"--stream=a", "--stream: `a`"},
                 {"--stream=A-1", "--stream: `A-1`"}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cairn_config *config = NULL;
        struct cairn_replay_scope scope;
        struct cairn_err err;
        assert_int_equal(read_scope(&cases[i].flag, 1, &config, &scope, &err), CAIRN_EINVAL);
        assert_non_null(strstr(err.text, cases[i].word));
        cairn_config_free(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_flag_is_the_whole_log),
        cmocka_unit_test(positions_and_times_are_told_apart),
        cmocka_unit_test(the_other_way_round_too),
        cmocka_unit_test(what_is_neither_is_named_with_its_flag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
