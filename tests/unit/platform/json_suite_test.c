/* The JSON door against the files of JSONTestSuite (nst): what must be refused is refused, what
 * must be accepted is accepted, and what RFC 8259 leaves open is decided here and in
 * docs/reference/json.md. */
#include <stdio.h>

#include "platform/file.h"
#include "platform/json.h"

#include "tests/support/cm.h"

#define FOLDER CAIRN_SOURCE_DIR "/../shared/data/json-parsing/test_parsing"

struct decision {
    const char *name;
    bool accepted;
};

/* Valid by the grammar, refused on purpose: a key twice has no meaning that all readers share. */
static const struct decision ON_PURPOSE[] = {{"y_object_duplicated_key.json", false},
                                             {"y_object_duplicated_key_and_value.json", false}};

static const struct decision OPEN[] = {
    {"i_number_double_huge_neg_exp.json", true}, /* rounds to 0 */
    {"i_number_huge_exp.json", false},
    {"i_number_neg_int_huge_exp.json", false},
    {"i_number_pos_double_huge_exp.json", false},
    {"i_number_real_neg_overflow.json", false},
    {"i_number_real_pos_overflow.json", false},
    {"i_number_real_underflow.json", true}, /* rounds to 0 */
    {"i_number_too_big_neg_int.json", false},
    {"i_number_too_big_pos_int.json", false},
    {"i_number_very_big_negative_int.json", false},
    {"i_object_key_lone_2nd_surrogate.json", false},
    {"i_string_1st_surrogate_but_2nd_missing.json", false},
    {"i_string_1st_valid_surrogate_2nd_invalid.json", false},
    {"i_string_UTF-16LE_with_BOM.json", false},
    {"i_string_UTF-8_invalid_sequence.json", false},
    {"i_string_UTF8_surrogate_U+D800.json", false},
    {"i_string_incomplete_surrogate_and_escape_valid.json", false},
    {"i_string_incomplete_surrogate_pair.json", false},
    {"i_string_incomplete_surrogates_escape_valid.json", false},
    {"i_string_invalid_lonely_surrogate.json", false},
    {"i_string_invalid_surrogate.json", false},
    {"i_string_invalid_utf-8.json", false},
    {"i_string_inverted_surrogates_U+1D11E.json", false},
    {"i_string_iso_latin_1.json", false},
    {"i_string_lone_second_surrogate.json", false},
    {"i_string_lone_utf8_continuation_byte.json", false},
    {"i_string_not_in_unicode_range.json", false},
    {"i_string_overlong_sequence_2_bytes.json", false},
    {"i_string_overlong_sequence_6_bytes.json", false},
    {"i_string_overlong_sequence_6_bytes_null.json", false},
    {"i_string_truncated-utf-8.json", false},
    {"i_string_utf16BE_no_BOM.json", false},
    {"i_string_utf16LE_no_BOM.json", false},
    {"i_structure_500_nested_arrays.json", false},
    {"i_structure_UTF-8_BOM_empty_object.json", false},
};

static const struct decision *find_decision(const struct decision *list, size_t count,
                                            const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].name, name) == 0) {
            return &list[i];
        }
    }
    return NULL;
}

#define FIND(list, name) find_decision(list, sizeof(list) / sizeof((list)[0]), name)

static bool expected(const char *name)
{
    if (name[0] == 'i') {
        const struct decision *open = FIND(OPEN, name);
        if (open == NULL) {
            fail_msg("%s: no decision", name);
        }
        return open->accepted;
    }
    return name[0] == 'y' && FIND(ON_PURPOSE, name) == NULL;
}

static bool accepts(const char *name)
{
    char path[CAIRN_PATH_MAX];
    struct cairn_buf text = {.max = 1u << 20};
    struct cairn_arena arena = {.max = 1u << 24};
    struct cairn_value value;
    struct cairn_err err;
    size_t offset = SIZE_MAX;
    assert_int_equal(cairn_file_join(path, FOLDER, name), CAIRN_OK);
    assert_ok(cairn_file_read(path, &text, &err), &err);
    enum cairn_rc rc = cairn_json_read(cairn_buf_slice(&text), &arena, &value, &offset, &err);
    if (rc != CAIRN_OK) {
        assert_int_equal(rc, CAIRN_EMALFORMED);
        assert_true(offset <= text.size);
    }
    cairn_arena_fini(&arena);
    cairn_buf_fini(&text);
    return rc == CAIRN_OK;
}

static void every_file_of_the_suite_meets_its_verdict(void **state)
{
    (void)state;
    if (!cairn_file_is_folder(FOLDER)) {
        print_message("SKIPPED: no JSONTestSuite at %s\n", FOLDER);
        skip();
    }
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_err err;
    const char **names = NULL;
    size_t count = 0;
    int wrong = 0;
    assert_ok(cairn_file_list(FOLDER, &arena, &names, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        bool accepted = accepts(names[i]);
        if (accepted != expected(names[i])) {
            print_error("%s: %s\n", names[i], accepted ? "accepted" : "refused");
            wrong++;
        }
    }
    cairn_arena_fini(&arena);
    print_message("%zu files, %d against their verdict\n", count, wrong);
    assert_true(count >= 318);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_file_of_the_suite_meets_its_verdict)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
