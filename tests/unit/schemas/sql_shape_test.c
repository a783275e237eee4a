#include "schemas/sql_shape.h"

#include "platform/fault.h"
#include "tests/support/static_text.h"

#include "tests/support/cm.h"

#define ARENA_MAX ((size_t)16 * 1024 * 1024)

static const struct cairn_sql_column COLUMNS[] = {
    {TEXT("k"), TEXT("text"), true},
    {TEXT("n"), TEXT("bigint"), false},
    {TEXT("i"), TEXT("integer"), true},
    {TEXT("d"), TEXT("numeric(10,2)"), false},
    {TEXT("at"), TEXT("timestamp with time zone"), false},
    {TEXT("r"), TEXT("double precision"), false},
    {TEXT("short"), TEXT("character varying(3)"), false},
    {TEXT("x"), TEXT("numeric"), false},
    {TEXT("Odd \"name"), TEXT("text"), false},
};

enum { COLUMN_COUNT = sizeof(COLUMNS) / sizeof(COLUMNS[0]) };

static const struct cairn_sql_column NAMED[] = {
    {TEXT("k"), TEXT("text"), true},
    {TEXT("_cairn1"), TEXT("bigint"), false},
};

/* An ordinary table with k as its key; then what each fact changes. */
static const struct cairn_sql_table TABLES[] = {
    {.name = TEXT("t"),
     .columns = COLUMNS,
     .column_count = COLUMN_COUNT,
     .key = {0},
     .key_count = 1,
     .local = true},
    {.name = TEXT("checked"),
     .columns = COLUMNS,
     .column_count = COLUMN_COUNT,
     .key = {0},
     .key_count = 1,
     .local = true,
     .checked = true},
    {.name = TEXT("ordered"),
     .columns = COLUMNS,
     .column_count = COLUMN_COUNT,
     .key = {0},
     .key_count = 1,
     .local = true,
     .ordered = true},
    {.name = TEXT("foreign"),
     .columns = COLUMNS,
     .column_count = COLUMN_COUNT,
     .key = {0},
     .key_count = 1},
    {.name = TEXT("named"),
     .columns = NAMED,
     .column_count = 2,
     .key = {0},
     .key_count = 1,
     .local = true},
    {.name = TEXT("heap"), .columns = COLUMNS, .column_count = COLUMN_COUNT, .local = true},
    {.name = TEXT("Two"),
     .columns = COLUMNS,
     .column_count = COLUMN_COUNT,
     .key = {2, 0},
     .key_count = 2,
     .local = true},
};

/* The type of a parameter is in its name: :n..., :i..., else text. */
static struct cairn_slice type_of(struct cairn_slice name)
{
    switch (name.data[0]) {
    case 'n':
        return CAIRN_SLICE_LIT("bigint");
    case 'i':
        return CAIRN_SLICE_LIT("integer");
    case 'd':
        return CAIRN_SLICE_LIT("numeric");
    case 'a':
        return CAIRN_SLICE_LIT("timestamp with time zone");
    case 'l':
        return CAIRN_SLICE_LIT("text[]");
    default:
        return CAIRN_SLICE_LIT("text");
    }
}

static enum cairn_rc read_shape(const char *sql, struct cairn_arena *arena,
                                struct cairn_sql_shape *ret_shape, struct cairn_err *err)
{
    struct cairn_sql_statement *statements = NULL;
    struct cairn_slice types[CAIRN_SQL_PARAMS_MAX];
    size_t count = 0;
    enum cairn_rc rc =
        cairn_sql_statements(cairn_slice_str(sql), 1, arena, &statements, &count, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    assert_int_equal(count, 1);
    for (size_t i = 0; i < statements->param_count; i++) {
        types[i] = type_of(statements->params[i]);
    }
    return cairn_sql_shape_read(statements, types, TABLES, sizeof(TABLES) / sizeof(TABLES[0]),
                                arena, ret_shape, err);
}

/* "kind arrays key-columns", as "upsert fold 1"; with " sums" where statements may change places.
 */
static const char *describe(const struct cairn_sql_shape *shape, struct cairn_arena *arena)
{
    static const char *const kinds[] = {"anything", "insert", "upsert", "change"};
    static const char *const arrays[] = {"alone", "arrays", "distinct"};
    if (shape->kind == CAIRN_SQL_ANYTHING) {
        assert_int_equal(shape->table, SIZE_MAX);
        assert_null(shape->text);
        return kinds[0];
    }
    assert_true(shape->table < sizeof(TABLES) / sizeof(TABLES[0]));
    assert_true((shape->text != NULL) == (shape->arrays != CAIRN_SQL_ARRAYS_NONE));
    return cairn_arena_printf(arena, "%s %s %zu%s", kinds[shape->kind],
                              shape->folds ? "fold" : arrays[shape->arrays], shape->key_count,
                              shape->sums[0] != 0 ? " sums" : "");
}

struct claim {
    const char *sql;
    const char *shape;
};

static void check(const struct claim *claims, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct cairn_arena arena = {.max = ARENA_MAX};
        struct cairn_sql_shape shape;
        struct cairn_err err = {0};
        assert_ok(read_shape(claims[i].sql, &arena, &shape, &err), &err);
        const char *found = describe(&shape, &arena);
        if (strcmp(found, claims[i].shape) != 0) {
            fail_msg("%s\nis '%s', not '%s'", claims[i].sql, found, claims[i].shape);
        }
        cairn_arena_fini(&arena);
    }
}

#define CHECK(...)                                                                                 \
    do {                                                                                           \
        static const struct claim claims[] = {__VA_ARGS__};                                        \
        (void)state;                                                                               \
        check(claims, sizeof(claims) / sizeof(claims[0]));                                         \
    } while (0)

#define ON   " ON CONFLICT (k) DO UPDATE SET "
#define INTO "INSERT INTO t (k, n, i) VALUES (:k, :n, :i)"

static void plain_inserts_go_as_arrays(void **state)
{
    CHECK({"INSERT INTO t (k, n) VALUES (:k, :n + 1)", "insert arrays 1"},
          {"insert into T values (:k, abs(:n), 1)", "insert arrays 1"},
          {"INSERT INTO t AS a (k) VALUES (:k::text)", "insert arrays 1"},
          {"INSERT INTO heap VALUES (:k, 5)", "insert arrays 0"},
          {"INSERT INTO ordered VALUES (:k, 5)", "insert arrays 0"},
          {"INSERT INTO checked VALUES (:k, 5)", "insert arrays 1"},
          {"INSERT INTO t (\"Odd \"\"name\", \"k\") VALUES ('a;b', :k)", "insert arrays 1"},
          {"INSERT INTO \"Two\" (k, i) VALUES (:k, :i::int8)", "insert arrays 2"},
          {"INSERT INTO t (k, n) VALUES (lower(:k), :n)", "insert arrays 0"},
          {"INSERT INTO t (k, n) VALUES ('all', :n)", "insert arrays 0"});
}

static void what_has_no_parameters_or_lists_goes_alone(void **state)
{
    CHECK({"INSERT INTO t (k, n) VALUES ('all', 1)", "insert alone 0"},
          {"INSERT INTO t (k) VALUES (:list)", "insert alone 0"});
}

static void conflicts_that_do_nothing_go_as_arrays(void **state)
{
    CHECK({"INSERT INTO t (k) VALUES (:k) ON CONFLICT (k) DO NOTHING", "upsert arrays 1"},
          {"INSERT INTO t (k) VALUES (:k) ON CONFLICT DO NOTHING", "insert arrays 1"},
          {"INSERT INTO heap (k) VALUES (:k) ON CONFLICT (k) DO NOTHING", "insert arrays 0"});
}

static void sums_last_ones_and_limits_fold(void **state)
{
    CHECK({INTO ON "n = t.n + excluded.n, i = excluded.i + t.i", "upsert fold 1 sums"},
          {INTO ON "n = t.n + :n, i = t.i + :i", "upsert fold 1 sums"},
          {INTO ON "n = t.n + excluded.n", "upsert fold 1"},
          {INTO ON "n = excluded.n, i = :i", "upsert fold 1"},
          {INTO ON "n = GREATEST(t.n, excluded.n), i = least(:i, t.i)", "upsert fold 1"},
          {"INSERT INTO t AS a (k, n) VALUES (:k, 1)" ON "n = a.n + 1", "upsert fold 1 sums"},
          {"INSERT INTO t (k, at) VALUES (:k, :at)" ON "at = greatest(t.at, :at)", "upsert fold 1"},
          {"INSERT INTO t (k, d) VALUES (:k, :d)" ON "d = t.d + excluded.d", "upsert fold 1"},
          {"INSERT INTO t (k, n) VALUES (lower(:k), :n)" ON "n = t.n + excluded.n",
           "upsert fold 0 sums"},
          {"INSERT INTO \"Two\" (i, k, n) VALUES (:i, :k, :n) ON CONFLICT (k, i) DO UPDATE SET "
           "n = \"Two\".n + excluded.n",
           "upsert fold 2 sums"});
}

static void what_a_fold_would_change_is_not_folded(void **state)
{
    CHECK(/* Rounded to the column before it is added, or after. */
          {"INSERT INTO t (k, d) VALUES (:k, :d)" ON "d = t.d + :d", "upsert alone 1"},
          {"INSERT INTO t (k, n) VALUES (:k, :n / 2.0)" ON "n = t.n + :n / 2.0", "upsert alone 1"},
          /* The first row counts e, the later ones something else. */
          {"INSERT INTO t (k, n) VALUES (:k, 1)" ON "n = t.n + 2", "upsert distinct 1"},
          {INTO ON "n = t.n - excluded.n", "upsert distinct 1"},
          {INTO ON "n = t.i + excluded.n", "upsert distinct 1"},
          {INTO ON "n = t.n + excluded.i", "upsert distinct 1"},
          {INTO ON "n = t.n + excluded.n * 2", "upsert distinct 1"},
          {INTO ON "n = t.n + excluded.n WHERE t.i < excluded.i", "upsert distinct 1"},
          {INTO ON "n = coalesce(t.n, 0) + excluded.n", "upsert distinct 1"},
          /* Equal, and yet not the same. */
          {"INSERT INTO t (k, x) VALUES (:k, :d)" ON "x = GREATEST(t.x, excluded.x)",
           "upsert distinct 1"},
          /* The order of a sum shows. */
          {"INSERT INTO t (k, r) VALUES (:k, 1)" ON "r = t.r + excluded.r", "upsert distinct 1"},
          /* A cast cuts what an assignment refuses. */
          {"INSERT INTO t (k, short) VALUES (:k, :s)" ON "short = excluded.short",
           "upsert distinct 1"},
          /* A default, not a value of the row. */
          {"INSERT INTO t (k, n) VALUES (:k, :n)" ON "i = excluded.i", "upsert distinct 1"},
          /* The key moves. */
          {INTO ON "k = excluded.k", "upsert alone 0"});
}

static void facts_of_the_table_forbid_folds(void **state)
{
#define INTO_TABLE(table)                                                                          \
    "INSERT INTO " table " (k, n) VALUES (:k, :n) ON CONFLICT (k) DO UPDATE SET n = " table        \
    ".n + excluded.n"
    CHECK({INTO_TABLE("t"), "upsert fold 1 sums"}, {INTO_TABLE("checked"), "upsert distinct 1"},
          {INTO_TABLE("ordered"), "upsert alone 0"}, {INTO_TABLE("foreign"), "anything"},
          {INTO_TABLE("heap"), "upsert alone 0"}, {INTO_TABLE("unknown"), "anything"});
#undef INTO_TABLE
}

static void changes_know_their_key(void **state)
{
    CHECK({"UPDATE t SET n = :n - n WHERE k = :k", "change distinct 1"},
          {"UPDATE t AS a SET n = a.n * 2 WHERE a.k = :k::varchar", "change distinct 1"},
          {"UPDATE t a SET n = 1 WHERE k = :k AND i = :i", "change distinct 1"},
          {"UPDATE t SET n = i WHERE k = :k", "change distinct 1"},
          {"DELETE FROM t WHERE t.k = :k", "change arrays 1"},
          {"DELETE FROM \"Two\" WHERE k = :k AND i = :i", "change arrays 2"},
          {"DELETE FROM \"Two\" WHERE k = :k", "change alone 0"});
}

static void changes_by_what_comes_in_fold(void **state)
{
    CHECK({"UPDATE t SET n = n + :n WHERE k = :k", "change fold 1"},
          {"UPDATE t SET n = n - :n, i = t.i - 1 WHERE k = :k", "change fold 1"},
          {"UPDATE t SET n = :n, at = :at, d = :d, r = 1.5, x = '7' WHERE k = :k", "change fold 1"},
          {"UPDATE t a SET n = 1 + a.n, i = :i::int + i WHERE :k = a.k", "change alone 0"},
          {"UPDATE t a SET n = 1 + a.n, i = :i + i WHERE a.k = :k", "change fold 1"},
          {"UPDATE t SET n = GREATEST(n, :n), at = least(:at, t.at) WHERE k = :k", "change fold 1"},
          {"UPDATE \"Two\" SET n = 0 WHERE k = :k AND i = :i", "change fold 2"});
}

static void changes_that_a_fold_would_lose_something_of_do_not(void **state)
{
    CHECK(/* Rounded each time. */
          {"UPDATE t SET d = d + :d WHERE k = :k", "change distinct 1"},
          {"UPDATE t SET n = n + 1.5 WHERE k = :k", "change distinct 1"},
          {"UPDATE t SET r = r + 1 WHERE k = :k", "change distinct 1"},
          {"UPDATE t SET n = n * 2 WHERE k = :k", "change distinct 1"},
          {"UPDATE t SET n = i + :n WHERE k = :k", "change distinct 1"},
          {"UPDATE t SET n = n - n WHERE k = :k", "change distinct 1"},
          {"UPDATE t SET n = n - :n - 1 WHERE k = :k", "change distinct 1"},
          {"UPDATE t SET n = n - -:n WHERE k = :k", "change distinct 1"},
          {"UPDATE t SET n = n + :i WHERE k = :k", "change distinct 1"},
          {"UPDATE t SET n = GREATEST(n, :n, 0) WHERE k = :k", "change distinct 1"},
          {"UPDATE t SET short = :s WHERE k = :k", "change distinct 1"},
          {"UPDATE t SET n = n + :n WHERE k = :k AND n < 10", "change distinct 1"},
          {"UPDATE checked SET n = n + :n WHERE k = :k", "change distinct 1"});
}

static void conditions_beside_the_key_narrow_a_change(void **state)
{
    CHECK({"DELETE FROM t WHERE k = :k AND n <= 0", "change arrays 1"},
          {"DELETE FROM t WHERE n <= :n AND NOT i = :i AND k = :k", "change arrays 1"},
          {"UPDATE t SET n = 0 WHERE (n = 1 OR i = :i) AND k = :k", "change distinct 1"},
          {"UPDATE t SET n = 0 WHERE k = :k AND n IS DISTINCT FROM :n", "change distinct 1"},
          {"UPDATE t SET n = 0 WHERE k = :k AND k = :k2", "change distinct 1"},
          {"UPDATE t SET n = 0 WHERE k = :k AND n = (i)", "change distinct 1"});
}

static void changes_by_lists_or_under_names_of_ours_go_alone(void **state)
{
    CHECK({"UPDATE t SET n = 0 WHERE k = :k AND k = ANY(:list)", "change alone 1"},
          {"UPDATE t AS _cairn SET n = 0 WHERE k = :k", "change alone 1"},
          {"DELETE FROM named WHERE k = :k", "change alone 1"});
}

static void changes_of_rows_by_other_means_touch_any(void **state)
{
    CHECK({"UPDATE t SET n = 0", "change alone 0"}, {"DELETE FROM t", "change alone 0"},
          {"UPDATE t SET n = 0 WHERE k = :k OR i = :i", "change alone 0"},
          {"UPDATE t SET n = 0 WHERE i = :i OR n = :n AND k = :k", "change alone 0"},
          {"UPDATE t SET n = 0 WHERE NOT k = :k", "change alone 0"},
          {"UPDATE t SET n = 0 WHERE (k = :k AND i = :i)", "change alone 0"},
          {"UPDATE t SET n = 0 WHERE k = :k || 'x'", "change alone 0"},
          {"UPDATE t SET n = 0 WHERE k = :k IS NULL AND n = :n", "change alone 0"},
          {"UPDATE t SET n = 0 WHERE i BETWEEN :i AND k = :k", "change alone 0"},
          {"UPDATE t SET n = 0 WHERE CASE WHEN n = 1 AND k = :k AND i = 1 THEN true END",
           "change alone 0"},
          {"UPDATE t SET k = :k2 WHERE k = :k", "change alone 0"},
          {"UPDATE t SET n = 0 WHERE k = :n", "change alone 0"},
          {"UPDATE ordered SET n = 0 WHERE k = :k", "change alone 0"});
}

static void what_may_read_or_touch_more_is_anything(void **state)
{
    CHECK({"INSERT INTO t SELECT :k", "anything"},
          {"INSERT INTO t (k, n) VALUES (:k, (SELECT count(*) FROM t))", "anything"},
          {"INSERT INTO t (k, n) VALUES (:k, 1), ('x', 2)", "anything"},
          {"INSERT INTO t (k, n) VALUES (:k, DEFAULT)", "anything"},
          {"INSERT INTO t DEFAULT VALUES", "anything"},
          {"INSERT INTO t (k) VALUES (:k) RETURNING k", "anything"},
          {"INSERT INTO t (k, n) VALUES (:k, nextval('s'))", "anything"},
          {"INSERT INTO t (k, n) VALUES (:k, random())", "anything"},
          {"INSERT INTO t (k, n) VALUES (:k, \"mine\"(1))", "anything"},
          {"INSERT INTO t (k, n) VALUES (:k, other.abs(:n))", "anything"},
          {"INSERT INTO t (k, at) VALUES (:k, now())", "anything"},
          {"INSERT INTO t (k, at) VALUES (:k, current_timestamp)", "anything"},
          {"INSERT INTO t (k, n) VALUES (:k, :n::other)", "anything"},
          {"INSERT INTO t (k, k) VALUES (:k, :k)", "anything"},
          {"INSERT INTO t (k, nowhere) VALUES (:k, 1)", "anything"},
          {"INSERT INTO public.t (k) VALUES (:k)", "anything"},
          {"INSERT INTO t (k) OVERRIDING USER VALUE VALUES (:k)", "anything"},
          {INTO " ON CONFLICT ON CONSTRAINT t_pkey DO NOTHING", "anything"},
          {INTO " ON CONFLICT (lower(k)) DO NOTHING", "anything"},
          {INTO ON "(n, i) = (1, 2)", "anything"}, {INTO ON "n = 1, n = 2", "anything"},
          {INTO ON "n = (SELECT 1)", "anything"}, {INTO ON "n = t.n + other.n", "anything"},
          {"WITH a AS (SELECT 1) DELETE FROM t", "anything"},
          {"DELETE FROM t USING heap WHERE t.k = heap.k", "anything"},
          {"UPDATE t SET n = h.n FROM heap AS h WHERE t.k = h.k", "anything"},
          {"UPDATE t SET n = 1 WHERE EXISTS (SELECT FROM heap)", "anything"},
          {"UPDATE t SET n = n(1) WHERE k = :k", "anything"},
          {"DELETE FROM ONLY t WHERE k = :k", "anything"},
          {"DELETE FROM t WHERE CURRENT OF c", "anything"}, {"TRUNCATE t", "anything"},
          {"INSERT", "anything"}, {"UPDATE t SET", "anything"}, {"DELETE FROM", "anything"},
          {"INSERT INTO t VALUES (", "anything"}, {"INSERT INTO t (k VALUES (:k)", "anything"});
}

static void expressions_of_one_row_are_understood(void **state)
{
    CHECK(
        {"INSERT INTO t (k, n) VALUES (:k, CASE WHEN :n > 0 THEN :n ELSE -:n END)",
         "insert arrays 1"},
        {"INSERT INTO t (k, at) VALUES (:k, date_trunc('day', :at AT TIME ZONE 'UTC'))",
         "insert arrays 1"},
        {"INSERT INTO t (k, n) VALUES (:k, extract(year FROM :at::date)::int)", "insert arrays 1"},
        {"INSERT INTO t (k, n) VALUES (:k, CAST(:k2 AS numeric(10, 2)))", "insert arrays 1"},
        {"UPDATE t SET n = 1 WHERE n IS DISTINCT FROM :n", "change alone 0"},
        {"UPDATE t SET n = (:k::jsonb ->> 'a')::bigint WHERE k IN ('a', :k)", "change alone 0"});
}

static void array_text_is(const char *sql, const char *text, const char *lone)
{
    struct cairn_arena arena = {.max = ARENA_MAX};
    struct cairn_sql_shape shape;
    struct cairn_err err = {0};
    assert_ok(read_shape(sql, &arena, &shape, &err), &err);
    assert_non_null(shape.text);
    assert_string_equal(shape.text, text);
    if (lone == NULL) {
        assert_null(shape.lone);
    } else {
        assert_non_null(shape.lone);
        assert_string_equal(shape.lone, lone);
    }
    cairn_arena_fini(&arena);
}

static void an_array_form_keeps_what_was_written(void **state)
{
    (void)state;
    array_text_is("INSERT INTO t AS a (k, n) -- why\nVALUES (:k /* because */ || 'x', -:n)\n"
                  "ON CONFLICT DO NOTHING",
                  "INSERT INTO t\nAS\na\n(k,\nn) SELECT  p.p1\n||\n'x', - p.p2 FROM "
                  "unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS p(p1, p2, n) ORDER BY p.n "
                  "ON\nCONFLICT\nDO\nNOTHING",
                  NULL);
}

static void rows_whose_order_does_not_show_are_not_numbered(void **state)
{
    (void)state;
    array_text_is(
        "INSERT INTO t (k, n) VALUES (:k, :n)",
        "INSERT INTO t\n(k,\nn) SELECT  p.p1,  p.p2 FROM (SELECT unnest($1::text[]) AS p1, "
        "unnest($2::bigint[]) AS p2) AS p",
        NULL);
    array_text_is(
        "INSERT INTO ordered (k) VALUES (:k)",
        "INSERT INTO ordered\n(k) SELECT  p.p1 FROM unnest($1::text[]) WITH ORDINALITY AS "
        "p(p1, n) ORDER BY p.n ",
        NULL);
}

static void a_change_is_joined_with_its_rows(void **state)
{
    (void)state;
    array_text_is("UPDATE t AS a SET n = n + :n, i = a.i WHERE a.k = :k AND n > 0",
                  "UPDATE t\nAS\na SET n\n=\nn\n+\n _cairn._cairn1,\ni\n=\na.i FROM (SELECT "
                  "unnest($1::bigint[]) AS _cairn1, unnest($2::text[]) AS _cairn2) AS _cairn WHERE "
                  "a.k\n=\n _cairn._cairn2\nAND\nn\n>\n0",
                  NULL);
    array_text_is("DELETE FROM t WHERE k = :k::text",
                  "DELETE FROM t USING (SELECT unnest($1::text[]) AS _cairn1) AS _cairn WHERE "
                  "k\n=\n _cairn._cairn1::text",
                  NULL);
}

static void a_fold_groups_by_the_key_as_the_column_takes_it(void **state)
{
    (void)state;
    array_text_is(
        "INSERT INTO t (k, at) VALUES (:k, :at) ON CONFLICT (k) DO UPDATE SET at = excluded.at",
        "INSERT INTO \"t\" AS t (\"k\", \"at\") SELECT f.v0, f.v1 FROM (SELECT q.c0 AS v0, "
        "(array_agg(q.c1))[array_position(array_agg(q.n), max(q.n))] AS v1, count(q.c1) = count(*) "
        "AS w1 FROM (SELECT CAST(( p.p1) AS text) AS c0, CAST(( p.p2) AS timestamp with time zone) "
        "AS c1, p.n FROM unnest($1::text[], $2::timestamp with time zone[], $3::bigint[]) WITH "
        "ORDINALITY AS p(p1, p2, w, n)) AS q GROUP BY q.c0) AS f ON CONFLICT (\"k\") DO UPDATE SET "
        "\"at\" = excluded.\"at\"",
        "INSERT INTO \"t\" AS t (\"k\", \"at\") SELECT q.c0, q.c1 FROM (SELECT CAST(( p.p1) AS "
        "text) AS c0, CAST(( p.p2) AS timestamp with time zone) AS c1 FROM (SELECT "
        "unnest($1::text[]) AS p1, unnest($2::timestamp with time zone[]) AS p2, "
        "unnest($3::bigint[]) AS w) AS p) AS q ON CONFLICT (\"k\") DO UPDATE SET \"at\" = "
        "excluded.\"at\"");
    array_text_is(
        "UPDATE t AS a SET n = 1 + a.n, i = :i WHERE a.k = :k",
        "UPDATE \"t\" AS t SET \"n\" = CASE WHEN f.w1 AND (f.a1 = 0 OR f.b1 = 0) THEN "
        "CAST(t.\"n\" + f.v1 AS bigint) WHEN num_nulls(CAST(t.\"n\" + f.a1 AS bigint), "
        "CAST(t.\"n\" + f.b1 AS bigint)) >= 0 AND f.w1 THEN CAST(t.\"n\" + f.v1 AS bigint) "
        "END, \"i\" = CASE WHEN f.w2 THEN f.v2 END FROM (SELECT q.c0 AS v0, sum(q.c1) AS "
        "v1, count(q.c1) = count(*) AS w1, coalesce(sum(q.c1) FILTER (WHERE q.c1 > 0), 0) "
        "AS a1, coalesce(sum(q.c1) FILTER (WHERE q.c1 < 0), 0) AS b1, "
        "(array_agg(q.c2))[array_position(array_agg(q.n), max(q.n))] AS v2, count(q.c2) = "
        "count(*) AS w2 FROM (SELECT CAST(( p.p2) AS text) AS c0, CAST((1) AS bigint) * p.w "
        "AS c1, CAST(( p.p1) AS integer) AS c2, p.n FROM unnest($1::integer[], $2::text[], "
        "$3::bigint[]) WITH ORDINALITY AS p(p1, p2, w, n)) AS q GROUP BY q.c0) AS f WHERE "
        "t.\"k\" = f.v0",
        "UPDATE \"t\" AS t SET \"n\" = CAST(t.\"n\" + q.c1 AS bigint), \"i\" = q.c2 FROM "
        "(SELECT CAST(( p.p2) AS text) AS c0, CAST((1) AS bigint) * p.w AS c1, CAST(( p.p1) "
        "AS integer) AS c2 FROM (SELECT unnest($1::integer[]) AS p1, unnest($2::text[]) AS "
        "p2, unnest($3::bigint[]) AS w) AS p) AS q WHERE t.\"k\" = q.c0");
}

static void a_statement_of_too_many_tokens_is_anything(void **state)
{
    struct cairn_arena arena = {.max = ARENA_MAX};
    struct cairn_buf sql = {.max = 1 << 20};
    struct cairn_sql_shape shape;
    struct cairn_err err = {0};
    (void)state;
    assert_int_equal(cairn_buf_append_str(&sql, "INSERT INTO t (k) VALUES (:k"), CAIRN_OK);
    for (size_t i = 0; i < CAIRN_SQL_SHAPE_TOKENS_MAX; i++) {
        assert_int_equal(cairn_buf_append_str(&sql, "||'a'"), CAIRN_OK);
    }
    assert_int_equal(cairn_buf_append(&sql, cairn_slice_of(")", 2)), CAIRN_OK);
    assert_ok(read_shape(sql.data, &arena, &shape, &err), &err);
    assert_int_equal(shape.kind, CAIRN_SQL_ANYTHING);
    cairn_buf_fini(&sql);
    cairn_arena_fini(&arena);
}

static void no_memory_is_an_error_and_no_shape(void **state)
{
    (void)state;
    skip_without_faults();
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_MEM) || after == 0; after++) {
        struct cairn_arena arena = {.max = ARENA_MAX};
        struct cairn_sql_shape shape = {.table = 77};
        struct cairn_err err = {0};
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = read_shape(INTO ON "n = t.n + excluded.n", &arena, &shape, &err);
        assert_true(rc == CAIRN_OK || (rc == CAIRN_ENOMEM && shape.table == 77));
        assert_int_equal(rc == CAIRN_OK, !cairn_fault_fired(CAIRN_FAULT_MEM));
        cairn_arena_fini(&arena);
    }
    cairn_fault_disarm();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_inserts_go_as_arrays),
        cmocka_unit_test(what_has_no_parameters_or_lists_goes_alone),
        cmocka_unit_test(conflicts_that_do_nothing_go_as_arrays),
        cmocka_unit_test(sums_last_ones_and_limits_fold),
        cmocka_unit_test(what_a_fold_would_change_is_not_folded),
        cmocka_unit_test(facts_of_the_table_forbid_folds),
        cmocka_unit_test(changes_know_their_key),
        cmocka_unit_test(changes_by_what_comes_in_fold),
        cmocka_unit_test(changes_that_a_fold_would_lose_something_of_do_not),
        cmocka_unit_test(conditions_beside_the_key_narrow_a_change),
        cmocka_unit_test(changes_by_lists_or_under_names_of_ours_go_alone),
        cmocka_unit_test(changes_of_rows_by_other_means_touch_any),
        cmocka_unit_test(what_may_read_or_touch_more_is_anything),
        cmocka_unit_test(expressions_of_one_row_are_understood),
        cmocka_unit_test(an_array_form_keeps_what_was_written),
        cmocka_unit_test(rows_whose_order_does_not_show_are_not_numbered),
        cmocka_unit_test(a_change_is_joined_with_its_rows),
        cmocka_unit_test(a_fold_groups_by_the_key_as_the_column_takes_it),
        cmocka_unit_test(a_statement_of_too_many_tokens_is_anything),
        cmocka_unit_test(no_memory_is_an_error_and_no_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
