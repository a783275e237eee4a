#include "projector/sql/arrays.h"

#include "tests/support/cm.h"

#define ARENA_MAX ((size_t)16 * 1024 * 1024)

enum { ROWS_MAX = 512, PARAMS = 2 };

/* $1 says which rows are equal, $2 is summed. */
static const struct cairn_sql_shape merging = {.kind = CAIRN_SQL_UPSERT,
                                               .arrays = CAIRN_SQL_ARRAYS_ANY,
                                               .folds = true,
                                               .merges = true,
                                               .summed = 2,
                                               .sum_limit = INT32_MAX,
                                               .text = "merging"};

/* The same, and $1 is its table's key. */
static const struct cairn_sql_shape keyed = {.kind = CAIRN_SQL_CHANGE,
                                             .key = {{0, CAIRN_SQL_KEY_INTEGER}},
                                             .key_count = 1,
                                             .arrays = CAIRN_SQL_ARRAYS_ANY,
                                             .folds = true,
                                             .merges = true,
                                             .summed = 2,
                                             .sum_limit = INT64_MAX,
                                             .text = "keyed",
                                             .lone = "lone"};

/* $2 is the last row's. */
static const struct cairn_sql_shape lasting = {.kind = CAIRN_SQL_CHANGE,
                                               .key = {{0, CAIRN_SQL_KEY_TEXT}},
                                               .key_count = 1,
                                               .arrays = CAIRN_SQL_ARRAYS_ANY,
                                               .folds = true,
                                               .merges = true,
                                               .lasting = 2,
                                               .sum_limit = INT64_MAX,
                                               .text = "lasting",
                                               .lone = "lone"};

static const struct cairn_sql_shape plain = {
    .kind = CAIRN_SQL_INSERT, .arrays = CAIRN_SQL_ARRAYS_ANY, .text = "plain"};

struct stage {
    struct cairn_arena arena;
    struct cairn_slice values[ROWS_MAX][PARAMS];
    struct cairn_sql_row rows[ROWS_MAX];
    uint32_t order[ROWS_MAX];
    struct cairn_sql_step step;
};

static void add_row(struct stage *stage, const char *key, const char *number)
{
    size_t at = stage->step.row_count++;
    assert_true(at < ROWS_MAX);
    stage->values[at][0] = cairn_slice_str(key);
    stage->values[at][1] = cairn_slice_str(number);
    stage->rows[at].values = stage->values[at];
    stage->order[at] = (uint32_t)at;
    stage->step.rows = stage->order;
}

static void arrays_are(const struct cairn_sql_shape *shape, const char *const rows[][PARAMS],
                       size_t row_count, bool is_lone, const char *const *texts, size_t count)
{
    struct stage stage = {.arena = {.max = ARENA_MAX}};
    struct cairn_sql_array_list arrays;
    struct cairn_err err = {0};
    for (size_t i = 0; i < row_count; i++) {
        add_row(&stage, rows[i][0], rows[i][1]);
    }
    assert_ok(
        cairn_sql_arrays_make(shape, PARAMS, stage.rows, &stage.step, &stage.arena, &arrays, &err),
        &err);
    assert_int_equal(arrays.count, count);
    assert_true(arrays.lone == is_lone);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(arrays.texts[i].data, texts[i]);
    }
    cairn_arena_fini(&stage.arena);
}

#define CHECK(shape, rows, is_lone, ...)                                                           \
    do {                                                                                           \
        static const char *const texts[] = {__VA_ARGS__};                                          \
        (void)state;                                                                               \
        arrays_are(shape, rows, sizeof(rows) / sizeof((rows)[0]), is_lone, texts,                  \
                   sizeof(texts) / sizeof(texts[0]));                                              \
    } while (0)

static void each_parameter_is_an_array(void **state)
{
    static const char *const rows[][PARAMS] = {{"a", "1"}, {"a", NULL}, {"b \"", "x"}};
    CHECK(&plain, rows, false, "{\"a\",\"a\",\"b \\\"\"}", "{\"1\",NULL,\"x\"}");
}

static void equal_rows_go_as_one(void **state)
{
    static const char *const rows[][PARAMS] = {{"a", "1"},  {"b", "-5"}, {"a", "20"}, {NULL, "7"},
                                               {"b", "-6"}, {"a", "0"},  {NULL, "8"}};
    CHECK(&merging, rows, false, "{\"b\",\"a\",NULL}", "{\"-11\",\"21\",\"15\"}",
          "{\"2\",\"3\",\"2\"}");
}

static void an_empty_text_is_no_null(void **state)
{
    static const char *const rows[][PARAMS] = {{"", "1"}, {NULL, "1"}, {"", "1"}};
    CHECK(&merging, rows, false, "{NULL,\"\"}", "{\"1\",\"2\"}", "{\"1\",\"2\"}");
}

static void numbers_of_both_signs_are_kept_apart(void **state)
{
    static const char *const rows[][PARAMS] = {{"a", "1"}, {"a", "2"}, {"a", "-1"}, {"a", "-2"}};
    CHECK(&merging, rows, false, "{\"a\",\"a\"}", "{\"3\",\"-3\"}", "{\"2\",\"2\"}");
}

static void a_sum_stays_within_its_type(void **state)
{
    static const char *const rows[][PARAMS] = {
        {"a", "2147483600"}, {"a", "47"}, {"a", "1"}, {"a", "9223372036854775807"}, {"a", "2"}};
    CHECK(&merging, rows, false, "{\"a\",\"a\",\"a\",\"a\"}",
          "{\"2147483600\",\"48\",\"9223372036854775807\",\"2\"}", "{\"1\",\"2\",\"1\",\"1\"}");
    static const char *const below[][PARAMS] = {
        {"a", "-2147483647"}, {"a", "-1"}, {"b", "-9223372036854775808"}, {"b", "-1"}};
    CHECK(&merging, below, false, "{\"a\",\"a\",\"b\",\"b\"}",
          "{\"-2147483647\",\"-1\",\"-9223372036854775808\",\"-1\"}", "{\"1\",\"1\",\"1\",\"1\"}");
}

static void what_the_server_alone_reads_travels_by_itself(void **state)
{
    static const char *const rows[][PARAMS] = {{"a", "1"}, {"a", NULL}, {"a", "+1"}, {"a", "1.5"},
                                               {"a", "x"}, {"a", " 1"}, {"a", "04"}, {"a", NULL}};
    CHECK(&merging, rows, false, "{\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\"}",
          "{NULL,\"+1\",\"1.5\",\"x\",\" 1\",\"5\",NULL}",
          "{\"1\",\"1\",\"1\",\"1\",\"1\",\"2\",\"1\"}");
}

static void rows_of_different_keys_are_lone(void **state)
{
    static const char *const rows[][PARAMS] = {{"1", "1"}, {"2", "2"}, {"1", "3"}};
    CHECK(&keyed, rows, true, "{\"2\",\"1\"}", "{\"2\",\"4\"}", "{\"1\",\"2\"}");
    static const char *const signs[][PARAMS] = {{"1", "1"}, {"2", "2"}, {"1", "-3"}};
    CHECK(&keyed, signs, false, "{\"1\",\"2\",\"1\"}", "{\"1\",\"2\",\"-3\"}",
          "{\"1\",\"1\",\"1\"}");
}

static void a_key_of_another_spelling_is_not_lone(void **state)
{
    static const char *const rows[][PARAMS] = {{"1", "1"}, {"01", "2"}};
    CHECK(&keyed, rows, false, "{\"1\",\"01\"}", "{\"1\",\"2\"}", "{\"1\",\"1\"}");
    static const char *const unread[][PARAMS] = {{"1", "1"}, {" 2", "2"}};
    CHECK(&keyed, unread, false, "{\"1\",\" 2\"}", "{\"1\",\"2\"}", "{\"1\",\"1\"}");
    static const char *const nulls[][PARAMS] = {{"1", "1"}, {NULL, "2"}};
    CHECK(&keyed, nulls, false, "{\"1\",NULL}", "{\"1\",\"2\"}", "{\"1\",\"1\"}");
}

static void of_what_lasts_the_last_one_travels(void **state)
{
    static const char *const rows[][PARAMS] = {{"a", "x"}, {"b", "y"}, {"a", "z"}};
    CHECK(&lasting, rows, true, "{\"b\",\"a\"}", "{\"y\",\"z\"}", "{\"1\",\"2\"}");
    static const char *const nulls[][PARAMS] = {{"a", NULL}, {"a", "y"}, {"a", "z"}};
    CHECK(&lasting, nulls, false, "{\"a\",\"a\"}", "{NULL,\"z\"}", "{\"1\",\"2\"}");
}

static void no_memory_is_an_error_and_no_arrays(void **state)
{
    struct stage stage = {.arena = {.max = 1}};
    (void)state;
    for (size_t i = 0; i < ROWS_MAX; i++) {
        add_row(&stage, i % 3 == 0 ? "a" : "b", "1");
    }
    for (size_t max = 1;; max += 512) {
        struct cairn_arena arena = {.max = max};
        struct cairn_sql_array_list arrays = {.count = 77};
        struct cairn_err err = {0};
        enum cairn_rc rc =
            cairn_sql_arrays_make(&merging, PARAMS, stage.rows, &stage.step, &arena, &arrays, &err);
        cairn_arena_fini(&arena);
        if (rc == CAIRN_OK) {
            break;
        }
        assert_int_equal(rc, CAIRN_ENOMEM);
        assert_int_equal(arrays.count, 77);
        assert_true(max < ARENA_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_parameter_is_an_array),
        cmocka_unit_test(equal_rows_go_as_one),
        cmocka_unit_test(an_empty_text_is_no_null),
        cmocka_unit_test(numbers_of_both_signs_are_kept_apart),
        cmocka_unit_test(a_sum_stays_within_its_type),
        cmocka_unit_test(what_the_server_alone_reads_travels_by_itself),
        cmocka_unit_test(rows_of_different_keys_are_lone),
        cmocka_unit_test(a_key_of_another_spelling_is_not_lone),
        cmocka_unit_test(of_what_lasts_the_last_one_travels),
        cmocka_unit_test(no_memory_is_an_error_and_no_arrays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
