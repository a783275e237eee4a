#include "projector/sql/face.h"

#include "tests/support/cm.h"

enum { ARENA_MAX = 1 << 20 };

static struct cairn_view_column columns[] = {{{"day", 3}}, {{"Hour", 4}}, {{"cents", 5}}};

static const struct cairn_sql_face plain = {
    .columns = columns, .column_count = 3, .keys = {2}, .key_count = 1};
static const struct cairn_sql_face composite = {
    .columns = columns, .column_count = 3, .keys = {0, 1}, .key_count = 2};

static void columns_are_found_by_their_very_name(void **state)
{
    (void)state;
    assert_int_equal(cairn_sql_face_column(&plain, CAIRN_SLICE_LIT("day")), 0);
    assert_int_equal(cairn_sql_face_column(&plain, CAIRN_SLICE_LIT("Hour")), 1);
    assert_int_equal(cairn_sql_face_column(&plain, CAIRN_SLICE_LIT("hour")), SIZE_MAX);
    assert_int_equal(cairn_sql_face_column(&plain, CAIRN_SLICE_LIT("da")), SIZE_MAX);
    assert_int_equal(cairn_sql_face_column(&plain, CAIRN_SLICE_LIT("")), SIZE_MAX);
}

static void a_key_of_one_column_is_the_text_itself(void **state)
{
    struct cairn_arena arena = {.max = ARENA_MAX};
    struct cairn_slice values[CAIRN_SQL_VIEW_KEYS_MAX];
    (void)state;
    assert_int_equal(cairn_sql_face_key(&plain, CAIRN_SLICE_LIT("[\"a\""), &arena, values),
                     CAIRN_OK);
    assert_true(cairn_slice_is(values[0], "[\"a\""));
    cairn_arena_fini(&arena);
}

static void a_key_of_several_columns_is_a_list_of_texts(void **state)
{
    static const char *const wrong[] = {"",
                                        "a",
                                        "[]",
                                        "[\"a\"]",
                                        "[\"a\",\"b\",\"c\"]",
                                        "[\"a\",1]",
                                        "[1,2]",
                                        "null",
                                        "{\"a\":\"b\"}",
                                        "[\"a\",null]",
                                        "[\"a\",\"b\"] x",
                                        "[\"a\",\"b\""};
    struct cairn_arena arena = {.max = ARENA_MAX};
    struct cairn_slice values[CAIRN_SQL_VIEW_KEYS_MAX];
    (void)state;
    assert_int_equal(
        cairn_sql_face_key(&composite, CAIRN_SLICE_LIT(" [\"a\\\"\", \"\"] "), &arena, values),
        CAIRN_OK);
    assert_true(cairn_slice_is(values[0], "a\""));
    assert_int_equal(values[1].size, 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(cairn_sql_face_key(&composite, cairn_slice_str(wrong[i]), &arena, values),
                         CAIRN_ENOENT);
    }
    cairn_arena_fini(&arena);
}

static void a_document_outlives_the_answer(void **state)
{
    struct cairn_arena arena = {.max = ARENA_MAX};
    struct cairn_value document;
    struct cairn_err err;
    char json[] = "{\"day\":\"plain\",\"cents\":9007199254740993,\"Hour\":null}";
    (void)state;
    assert_ok(cairn_sql_face_document(cairn_slice_str(json), &arena, &document, &err), &err);
    memset(json, 'x', sizeof(json) - 1);
    assert_int_equal(document.count, 3);
    assert_true(cairn_slice_is(cairn_value_get_string(&document, "day"), "plain"));
    assert_int_equal(cairn_value_at(&document, "cents")->as.integer, INT64_C(9007199254740993));
    assert_int_equal(cairn_value_at(&document, "Hour")->type, CAIRN_NULL);
    assert_int_equal(cairn_sql_face_document(CAIRN_SLICE_LIT("{"), &arena, &document, &err),
                     CAIRN_ECORRUPT);
    cairn_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_found_by_their_very_name),
        cmocka_unit_test(a_key_of_one_column_is_the_text_itself),
        cmocka_unit_test(a_key_of_several_columns_is_a_list_of_texts),
        cmocka_unit_test(a_document_outlives_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
