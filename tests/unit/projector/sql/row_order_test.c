#include "projector/sql/row_order.h"

#include "projector/sql/owner.h"

#include "tests/support/cm.h"

enum { ROWS_MAX = 64 };

static const struct cairn_sql_shape numbered = {
    .kind = CAIRN_SQL_CHANGE, .key = {{0, CAIRN_SQL_KEY_INTEGER}}, .key_count = 1};

struct stage {
    struct cairn_arena arena;
    struct cairn_slice values[ROWS_MAX];
    struct cairn_sql_row rows[ROWS_MAX];
    uint32_t order[ROWS_MAX];
    struct cairn_sql_step step;
    uint64_t touched;
};

/* Keys, one a row, in order. */
static void put_in_order(struct stage *stage, const struct cairn_sql_shape *shape,
                         const char *const *keys, size_t count)
{
    struct cairn_err err;
    *stage = (struct stage){.arena = {.max = 1u << 20}};
    for (size_t i = 0; i < count; i++) {
        stage->values[i] = keys[i] == NULL ? CAIRN_SLICE_NONE : cairn_slice_str(keys[i]);
        stage->rows[i].values = &stage->values[i];
        stage->order[i] = (uint32_t)i;
    }
    stage->step = (struct cairn_sql_step){.rows = stage->order, .row_count = count};
    assert_ok(cairn_sql_rows_order(shape, stage->rows, &stage->step, &stage->arena, &stage->touched,
                                   &err),
              &err);
    assert_int_equal(stage->step.row_count, count);
}

static const char *key_at(const struct stage *stage, size_t place)
{
    return stage->rows[stage->step.rows[place]].values[0].data;
}

static void two_batches_have_their_keys_in_one_order(void **state)
{
    (void)state;
    static const char *const one[] = {"5", "1", "9", "3"};
    static const char *const other[] = {"3", "9", "7", "5", "1"};
    struct stage stages[2];
    put_in_order(&stages[0], &numbered, one, 4);
    put_in_order(&stages[1], &numbered, other, 5);
    assert_int_equal(stages[0].touched, 4);
    assert_int_equal(stages[1].touched, 5);
    size_t at = 0;
    for (size_t i = 0; i < 5; i++) {
        bool shared = strcmp(key_at(&stages[1], i), "7") != 0;
        assert_true(!shared || strcmp(key_at(&stages[0], at), key_at(&stages[1], i)) == 0);
        at += shared ? 1 : 0;
    }
    assert_int_equal(at, 4);
    cairn_arena_fini(&stages[0].arena);
    cairn_arena_fini(&stages[1].arena);
}

static void rows_of_one_key_keep_their_order_and_count_once(void **state)
{
    (void)state;
    static const char *const keys[] = {"2", "1", "02", "3", "2", "1"};
    struct stage stage;
    put_in_order(&stage, &numbered, keys, 6);
    assert_int_equal(stage.touched, 3);
    uint32_t last = 0;
    for (size_t i = 0; i < 6; i++) {
        if (strchr(key_at(&stage, i), '2') != NULL) {
            assert_true(stage.step.rows[i] >= last);
            last = stage.step.rows[i];
        }
    }
    assert_int_equal(last, 4);
    cairn_arena_fini(&stage.arena);
}

static void rows_of_which_a_key_is_not_known_stay_as_they_are(void **state)
{
    (void)state;
    static const char *const keys[] = {"5", "1", NULL, "1"};
    static const struct cairn_sql_shape any = {.kind = CAIRN_SQL_INSERT};
    struct stage stage;
    put_in_order(&stage, &numbered, keys, 4);
    assert_ptr_equal(stage.step.rows, stage.order);
    assert_int_equal(stage.touched, 4);
    cairn_arena_fini(&stage.arena);
    put_in_order(&stage, &any, keys, 2);
    assert_ptr_equal(stage.step.rows, stage.order);
    assert_int_equal(stage.touched, 2);
    cairn_arena_fini(&stage.arena);
}

/* ---- whose rows they are ---- */

static const struct cairn_sql_source of_stream[] = {{.origin = CAIRN_SQL_FROM_MEMBER},
                                                    {.origin = CAIRN_SQL_FROM_STREAM}};
static const struct cairn_sql_source of_id[] = {{.origin = CAIRN_SQL_FROM_AGGREGATE_ID},
                                                {.origin = CAIRN_SQL_FROM_MEMBER}};

static struct cairn_sql_shape keyed(size_t table, size_t first, size_t second,
                                    enum cairn_sql_key_type type)
{
    return (struct cairn_sql_shape){.kind = CAIRN_SQL_CHANGE,
                                    .table = table,
                                    .key = {{first, CAIRN_SQL_KEY_TEXT}, {second, type}},
                                    .key_count = 2};
}

static void a_table_is_a_streams_where_all_statements_say_so(void **state)
{
    (void)state;
    struct cairn_sql_shape shapes[] = {keyed(0, 0, 1, CAIRN_SQL_KEY_TEXT),
                                       keyed(0, 0, 1, CAIRN_SQL_KEY_TEXT),
                                       keyed(1, 0, 1, CAIRN_SQL_KEY_TEXT)};
    const struct cairn_sql_source *sources[] = {of_stream, of_stream, of_id};
    assert_int_equal(cairn_sql_owner(0, shapes, sources, 3), CAIRN_SQL_OF_STREAM);
    assert_int_equal(cairn_sql_owner(1, shapes, sources, 3), CAIRN_SQL_OF_ID);
    sources[1] = of_id;
    assert_int_equal(cairn_sql_owner(0, shapes, sources, 3), CAIRN_SQL_OF_ANYBODY);
    sources[1] = of_stream;
    shapes[1].key_count = 1; /* any row of one who shares the first part */
    assert_int_equal(cairn_sql_owner(0, shapes, sources, 3), CAIRN_SQL_OF_ANYBODY);
    shapes[1] = keyed(0, 1, 0, CAIRN_SQL_KEY_TEXT); /* in another place */
    assert_int_equal(cairn_sql_owner(0, shapes, sources, 3), CAIRN_SQL_OF_ANYBODY);
}

static void a_key_that_several_texts_spell_is_nobodys(void **state)
{
    (void)state;
    const struct cairn_sql_shape shape = keyed(0, 0, 1, CAIRN_SQL_KEY_UUID);
    const struct cairn_sql_source *sources[] = {of_stream};
    assert_int_equal(cairn_sql_owner(0, &shape, sources, 1), CAIRN_SQL_OF_ANYBODY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_batches_have_their_keys_in_one_order),
        cmocka_unit_test(rows_of_one_key_keep_their_order_and_count_once),
        cmocka_unit_test(rows_of_which_a_key_is_not_known_stay_as_they_are),
        cmocka_unit_test(a_table_is_a_streams_where_all_statements_say_so),
        cmocka_unit_test(a_key_that_several_texts_spell_is_nobodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
