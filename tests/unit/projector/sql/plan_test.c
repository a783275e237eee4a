#include "projector/sql/plan.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/cm.h"

#define ARENA_MAX ((size_t)256 * 1024 * 1024)

enum { ROWS_MAX = 4096 };

/* Two tables. On the first: A and B fold, and may change places with each other; D takes arrays of
 * distinct keys; S goes by itself; W touches any row; the second has T with arrays. X is anything.
 * U has a number as its key. */
enum { A, B, D, S, W, T, X, U, SHAPE_COUNT };

static const struct cairn_sql_shape SHAPES[SHAPE_COUNT] = {
    [A] = {.kind = CAIRN_SQL_UPSERT,
           .key = {{0, CAIRN_SQL_KEY_TEXT}},
           .key_count = 1,
           .arrays = CAIRN_SQL_ARRAYS_ANY,
           .folds = true,
           .sums = {2},
           .text = "a"},
    [B] = {.kind = CAIRN_SQL_UPSERT,
           .key = {{0, CAIRN_SQL_KEY_TEXT}},
           .key_count = 1,
           .arrays = CAIRN_SQL_ARRAYS_ANY,
           .folds = true,
           .sums = {2},
           .text = "b"},
    [D] = {.kind = CAIRN_SQL_UPSERT,
           .key = {{0, CAIRN_SQL_KEY_TEXT}},
           .key_count = 1,
           .arrays = CAIRN_SQL_ARRAYS_DISTINCT,
           .text = "d"},
    [S] = {.kind = CAIRN_SQL_CHANGE, .key = {{0, CAIRN_SQL_KEY_TEXT}}, .key_count = 1},
    [W] = {.kind = CAIRN_SQL_CHANGE},
    [T] = {.kind = CAIRN_SQL_INSERT, .table = 1, .arrays = CAIRN_SQL_ARRAYS_ANY, .text = "t"},
    [X] = {.kind = CAIRN_SQL_ANYTHING, .table = SIZE_MAX},
    [U] = {.kind = CAIRN_SQL_CHANGE,
           .table = 2,
           .key = {{0, CAIRN_SQL_KEY_INTEGER}},
           .key_count = 1,
           .arrays = CAIRN_SQL_ARRAYS_DISTINCT,
           .text = "u"},
};

static const char LETTERS[] = "ABDSWTXU";

struct stage {
    struct cairn_arena arena;
    struct cairn_sql_row rows[ROWS_MAX];
    struct cairn_slice values[ROWS_MAX];
    size_t count;
    struct cairn_sql_plan plan;
};

/* "A1 B2 X D1": rows of statements with their keys. */
static void read_rows(struct stage *stage, const char *rows)
{
    stage->count = 0;
    for (const char *at = rows; *at != '\0';) {
        size_t size = strcspn(at, " ");
        const char *letter = strchr(LETTERS, *at);
        assert_non_null(letter);
        struct cairn_slice *value = &stage->values[stage->count];
        *value = size > 1 ? cairn_slice_of(at + 1, size - 1) : CAIRN_SLICE_NONE;
        stage->rows[stage->count++] =
            (struct cairn_sql_row){.statement = (uint32_t)(letter - LETTERS), .values = value};
        at += size;
        at += strspn(at, " ");
    }
}

static void make_plan(struct stage *stage)
{
    struct cairn_err err = {0};
    assert_ok(cairn_sql_plan_make(SHAPES, SHAPE_COUNT, stage->rows, stage->count, &stage->arena,
                                  &stage->plan, &err),
              &err);
}

/* The steps as text: "A:0,2 B*:1", with * for arrays. */
static void plan_is(const char *rows, const char *steps)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    struct cairn_buf text = {.max = 65536};
    enum cairn_rc rc = CAIRN_OK;
    assert_non_null(stage);
    stage->arena.max = ARENA_MAX;
    read_rows(stage, rows);
    make_plan(stage);
    for (size_t s = 0; s < stage->plan.step_count; s++) {
        const struct cairn_sql_step *step = &stage->plan.steps[s];
        rc = cairn_buf_printf(&text, "%s%c%s:", s == 0 ? "" : " ", LETTERS[step->statement],
                              step->arrays ? "*" : "");
        for (size_t i = 0; i < step->row_count && rc == CAIRN_OK; i++) {
            rc = cairn_buf_printf(&text, "%s%u", i == 0 ? "" : ",", step->rows[i]);
        }
        assert_int_equal(rc, CAIRN_OK);
    }
    assert_int_equal(cairn_buf_append_byte(&text, '\0'), CAIRN_OK);
    assert_string_equal(text.data, steps);
    cairn_buf_fini(&text);
    cairn_arena_fini(&stage->arena);
    free(stage);
}

static void rows_of_one_statement_share_a_step(void **state)
{
    (void)state;
    plan_is("A1 A2 A1 A3", "A*:0,1,2,3");
    plan_is("T1 T1 T1 T1 T1", "T*:0,1,2,3,4");
    plan_is("S1 S1 S2", "S:0,1,2");
}

static void few_rows_go_one_by_one(void **state)
{
    (void)state;
    plan_is("A1 A2 A1", "A:0,1,2");
}

static void statements_on_one_key_keep_their_order(void **state)
{
    (void)state;
    plan_is("A1 S1 A1", "A:0 S:1 A:2");
    plan_is("A1 B1 A1", "A:0 B:1 A:2");
}

static void statements_on_different_keys_share_waves(void **state)
{
    (void)state;
    plan_is("A1 S2 A3 S4 A5 S6 A7", "A*:0,2,4,6 S:1,3,5");
    plan_is("A1 S1 A2 S2 A3 S3 A4 S4", "A*:0,2,4,6 S:1,3,5,7");
}

static void distinct_arrays_hold_a_key_once(void **state)
{
    (void)state;
    plan_is("D1 D2 D3 D4 D1 D2 D3 D4 D1", "D*:0,1,2,3 D*:4,5,6,7 D:8");
}

static void tables_do_not_wait_for_each_other(void **state)
{
    (void)state;
    plan_is("A1 T1 S1 T2 A1 T3 S1 T4", "A:0 T*:1,3,5,7 S:2 A:4 S:6");
}

static void a_row_of_any_key_waits_for_all_of_its_table(void **state)
{
    (void)state;
    plan_is("A1 W S2 T1 W A3", "A:0 T:3 W:1 S:2 W:4 A:5");
}

static void anything_waits_for_all_and_all_for_it(void **state)
{
    (void)state;
    plan_is("A1 T1 X T2 X S2", "A:0 T:1 X:2 T:3 X:4 S:5");
    plan_is("X X A1 X", "X:0,1 A:2 X:3");
}

static void numbers_are_one_key_however_they_are_spelt(void **state)
{
    (void)state;
    plan_is("U1 U2 U3 U4 U01", "U*:0,1,2,3 U:4");
    /* A spelling that is not read may be any number; so may null. */
    plan_is("U1 U+1 U2", "U:0 U:1 U:2");
    plan_is("U1 U U2", "U:0 U:1 U:2");
}

static void sums_change_places_in_long_batches_alone(void **state)
{
    char rows[1024] = "";
    size_t used = 0;
    (void)state;
    for (size_t i = 0; i < CAIRN_SQL_PLAN_COMMUTE_MIN - 1; i++) {
        used += (size_t)snprintf(rows + used, sizeof(rows) - used, "%s ", i % 2 == 0 ? "A1" : "B1");
    }
    struct stage *stage = calloc(1, sizeof(*stage));
    assert_non_null(stage);
    stage->arena.max = ARENA_MAX;
    read_rows(stage, rows);
    make_plan(stage);
    assert_int_equal(stage->plan.step_count, CAIRN_SQL_PLAN_COMMUTE_MIN - 1);
    (void)snprintf(rows + used, sizeof(rows) - used, "A1");
    read_rows(stage, rows);
    make_plan(stage);
    assert_int_equal(stage->plan.step_count, 2);
    /* Few rows that changed places are guarded by their array form, too. */
    (void)snprintf(rows + used, sizeof(rows) - used, "S1 B1");
    read_rows(stage, rows);
    make_plan(stage);
    assert_int_equal(stage->plan.step_count, 4);
    assert_true(stage->plan.steps[3].arrays && stage->plan.steps[3].row_count == 1);
    cairn_arena_fini(&stage->arena);
    free(stage);
}

static void an_empty_batch_has_no_steps(void **state)
{
    (void)state;
    plan_is("", "");
}

/* ---- the rule itself, on random batches ---- */

static bool same_text(struct cairn_slice a, struct cairn_slice b)
{
    return a.data != NULL && b.data != NULL && cairn_slice_equal(a, b);
}

/* May these touch one table row? Told from what the shapes above are, not as the plan tells it. */
static bool may_meet(const struct cairn_sql_row *a, const struct cairn_sql_row *b)
{
    static const int tables[SHAPE_COUNT] = {[T] = 1, [U] = 2};
    if (a->statement == X || b->statement == X) {
        return true;
    }
    if (tables[a->statement] != tables[b->statement]) {
        return false;
    }
    bool keyed = a->statement != W && b->statement != W && a->statement != T;
    return !keyed || a->values[0].data == NULL || b->values[0].data == NULL ||
           same_text(a->values[0], b->values[0]);
}

static void check_order(const struct stage *stage, const size_t *step_of, bool commutes)
{
    for (size_t a = 0; a < stage->count; a++) {
        for (size_t b = a + 1; b < stage->count; b++) {
            const struct cairn_sql_row *left = &stage->rows[a];
            const struct cairn_sql_row *right = &stage->rows[b];
            bool sums = commutes && left->statement <= B && right->statement <= B;
            if (!may_meet(left, right) || (sums && left->statement != right->statement)) {
                continue;
            }
            bool shares = step_of[a] == step_of[b] &&
                          (!stage->plan.steps[step_of[a]].arrays ||
                           SHAPES[left->statement].arrays == CAIRN_SQL_ARRAYS_ANY);
            assert_true(step_of[a] < step_of[b] || shares);
        }
    }
}

static void rows_that_may_meet_are_in_order(void **state)
{
    static const char *const keys[] = {"1", "2", "3", "4", "5", "6", "7", NULL};
    struct stage *stage = calloc(1, sizeof(*stage));
    size_t *step_of = calloc(ROWS_MAX, sizeof(*step_of));
    const char *seed = getenv("CAIRN_SEED");
    unsigned random = seed != NULL ? (unsigned)strtoul(seed, NULL, 10) : 20240229u;
    (void)state;
    assert_true(stage != NULL && step_of != NULL);
    print_message("CAIRN_SEED=%u\n", random);
    srand(random);
    stage->arena.max = ARENA_MAX;
    for (int round = 0; round < 300; round++) {
        stage->count = 1 + (size_t)rand() % 200;
        uint32_t kinds = 1 + (uint32_t)rand() % SHAPE_COUNT;
        for (size_t i = 0; i < stage->count; i++) {
            const char *key = keys[rand() % (round % 2 == 0 ? 8 : 7)];
            stage->values[i] = cairn_slice_str(key);
            stage->rows[i].statement = (uint32_t)rand() % kinds;
            stage->rows[i].values = &stage->values[i];
        }
        cairn_arena_reset(&stage->arena);
        make_plan(stage);
        size_t placed = 0;
        memset(step_of, 0xff, ROWS_MAX * sizeof(*step_of));
        for (size_t s = 0; s < stage->plan.step_count; s++) {
            const struct cairn_sql_step *step = &stage->plan.steps[s];
            for (size_t i = 0; i < step->row_count; i++, placed++) {
                assert_int_equal(step_of[step->rows[i]], SIZE_MAX);
                assert_int_equal(stage->rows[step->rows[i]].statement, step->statement);
                assert_true(i == 0 || step->rows[i] > step->rows[i - 1]);
                step_of[step->rows[i]] = s;
            }
        }
        assert_int_equal(placed, stage->count);
        check_order(stage, step_of, stage->count >= CAIRN_SQL_PLAN_COMMUTE_MIN);
    }
    cairn_arena_fini(&stage->arena);
    free(step_of);
    free(stage);
}

static void a_careful_plan_is_the_batch_as_it_came(void **state)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    struct cairn_err err = {0};
    (void)state;
    assert_non_null(stage);
    stage->arena.max = ARENA_MAX;
    read_rows(stage, "A1 A1 T1 A1 A1 X A1 A1");
    assert_ok(cairn_sql_plan_careful(stage->rows, stage->count, &stage->arena, &stage->plan, &err),
              &err);
    assert_int_equal(stage->plan.step_count, stage->count);
    for (size_t i = 0; i < stage->count; i++) {
        const struct cairn_sql_step *step = &stage->plan.steps[i];
        assert_int_equal(step->statement, stage->rows[i].statement);
        assert_true(step->row_count == 1 && step->rows[0] == i && !step->arrays);
    }
    cairn_arena_fini(&stage->arena);
    free(stage);
}

static void too_many_rows_are_refused(void **state)
{
    struct cairn_arena arena = {.max = ARENA_MAX};
    struct cairn_sql_plan plan = {.step_count = 7};
    const struct cairn_sql_row row = {.statement = T};
    struct cairn_err err = {0};
    (void)state;
    assert_int_equal(cairn_sql_plan_make(SHAPES, SHAPE_COUNT, &row, CAIRN_SQL_PLAN_ROWS_MAX + 1,
                                         &arena, &plan, &err),
                     CAIRN_ETOOBIG);
    assert_int_equal(plan.step_count, 7);
    cairn_arena_fini(&arena);
}

static void no_memory_is_an_error_and_no_plan(void **state)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    (void)state;
    assert_non_null(stage);
    read_rows(stage, "A1 S1 A2 X T1 D1 W U7");
    for (size_t max = 1;; max += 64) {
        struct cairn_arena arena = {.max = max};
        struct cairn_sql_plan plan = {.step_count = 77};
        struct cairn_err err = {0};
        enum cairn_rc rc = cairn_sql_plan_make(SHAPES, SHAPE_COUNT, stage->rows, stage->count,
                                               &arena, &plan, &err);
        cairn_arena_fini(&arena);
        if (rc == CAIRN_OK) {
            break;
        }
        assert_int_equal(rc, CAIRN_ENOMEM);
        assert_int_equal(plan.step_count, 77);
        assert_true(max < 65536);
    }
    free(stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_one_statement_share_a_step),
        cmocka_unit_test(few_rows_go_one_by_one),
        cmocka_unit_test(statements_on_one_key_keep_their_order),
        cmocka_unit_test(statements_on_different_keys_share_waves),
        cmocka_unit_test(distinct_arrays_hold_a_key_once),
        cmocka_unit_test(tables_do_not_wait_for_each_other),
        cmocka_unit_test(a_row_of_any_key_waits_for_all_of_its_table),
        cmocka_unit_test(anything_waits_for_all_and_all_for_it),
        cmocka_unit_test(numbers_are_one_key_however_they_are_spelt),
        cmocka_unit_test(sums_change_places_in_long_batches_alone),
        cmocka_unit_test(an_empty_batch_has_no_steps),
        cmocka_unit_test(rows_that_may_meet_are_in_order),
        cmocka_unit_test(a_careful_plan_is_the_batch_as_it_came),
        cmocka_unit_test(too_many_rows_are_refused),
        cmocka_unit_test(no_memory_is_an_error_and_no_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
