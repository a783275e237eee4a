#include "tools/options.h"

#include <stdio.h>
#include <string.h>

#include "tools/help.h"

#include "tests/support/cm.h"

static void every_row_is_whole(void **state)
{
    (void)state;
    size_t count = 0;
    const struct cairn_config_row *rows = cairn_options(&count);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        assert_true(rows[i].verbs != 0);
        assert_true(strlen(rows[i].text) > 10);
        assert_true(rows[i].text[strlen(rows[i].text) - 1] == '.');
        assert_true(rows[i].type == CAIRN_CONFIG_BOOL || rows[i].placeholder != NULL);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(rows[i].name, rows[j].name);
        }
    }
}

static void every_default_is_accepted_by_its_own_row(void **state)
{
    (void)state;
    size_t count = 0;
    const struct cairn_config_row *rows = cairn_options(&count);
    const char *const none[] = {NULL};
    for (int verb = 0; verb < CAIRN_VERB_COUNT; verb++) {
        struct cairn_err err = {.rc = CAIRN_OK};
        struct cairn_config *config = NULL;
        struct cairn_config_input input = {
            .rows = rows, .row_count = count, .verb = 1u << verb, .argv = none, .envp = none};
        assert_ok(cairn_config_new(&input, &config, &err), &err);
        cairn_config_free(config);
    }
}

static void verbs_are_found_by_name_and_tell_their_operands(void **state)
{
    (void)state;
    enum cairn_verb verb = CAIRN_VERB_version;
    assert_true(cairn_verb_find("replay", &verb));
    assert_int_equal(verb, CAIRN_VERB_replay);
    assert_int_equal(cairn_verb_operand_count(verb), 2);
    assert_false(cairn_verb_serves(verb));
    assert_true(cairn_verb_serves(CAIRN_VERB_query));
    assert_int_equal(cairn_verb_operand_count(CAIRN_VERB_config), 0);
    assert_false(cairn_verb_find("rep", &verb));
}

static void help_and_man_page_name_every_flag_of_the_verb(void **state)
{
    (void)state;
    size_t count = 0;
    const struct cairn_config_row *rows = cairn_options(&count);
    for (int verb = 0; verb < CAIRN_VERB_COUNT; verb++) {
        struct cairn_buf help = {.max = 1u << 20};
        struct cairn_buf man = {.max = 1u << 20};
        assert_int_equal(cairn_help_verb((enum cairn_verb)verb, &help), CAIRN_OK);
        assert_int_equal(cairn_help_man((enum cairn_verb)verb, &man), CAIRN_OK);
        assert_int_equal(cairn_buf_append_byte(&help, '\0'), CAIRN_OK);
        for (size_t i = 0; i < count; i++) {
            char flag[64];
            (void)snprintf(flag, sizeof(flag), "--%s", rows[i].name);
            if ((rows[i].verbs & (1u << verb)) != 0) {
                assert_non_null(strstr(help.data, flag));
            }
        }
        assert_true(cairn_slice_starts(cairn_buf_slice(&man), CAIRN_SLICE_LIT(".TH CAIRN-")));
        cairn_buf_fini(&help);
        cairn_buf_fini(&man);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_whole),
        cmocka_unit_test(every_default_is_accepted_by_its_own_row),
        cmocka_unit_test(verbs_are_found_by_name_and_tell_their_operands),
        cmocka_unit_test(help_and_man_page_name_every_flag_of_the_verb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
