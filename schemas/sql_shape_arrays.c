/* The array form of a statement: the same expressions over its parameters as arrays.
 *
 *   INSERT INTO t (a, b) SELECT (:a), (:b * 2) FROM
 *     (SELECT unnest($1::text[]) AS p1, unnest($2::bigint[]) AS p2) AS p
 *
 *   UPDATE t SET b = b * 2 + :b FROM (SELECT unnest(...) ...) AS _cairn WHERE a = :a
 *   DELETE FROM t USING (SELECT unnest(...) ...) AS _cairn WHERE a = :a
 *
 * and folded, with q the rows as the table would take them and f one row a key:
 *
 *   INSERT INTO t (a, b) SELECT f.v0, ... FROM (SELECT q.c0 AS v0, sum(q.c1) AS v1, ... FROM
 *     (SELECT CAST((:a) AS text) AS c0, ... FROM (SELECT unnest(...) ...) AS p) AS q
 *     GROUP BY q.c0) AS f ON CONFLICT (a) DO UPDATE SET b = t.b + excluded.b
 *
 * Equal rows go as one: p.w is how many they are, and what a column adds up of each is taken so
 * often: CAST((1) AS bigint) * p.w. Where all rows are of different keys then, q takes the place of
 * f, and its values are what they are.
 *
 * Where the order of rows shows, they are FROM unnest($1::text[], ...) WITH ORDINALITY AS
 * p(p1, ..., n) ORDER BY p.n, which costs the server twice as much.
 *
 *   UPDATE t SET b = t.b + f.v1 FROM (... the same ...) AS f WHERE t.a = f.v0
 *
 * A sum is taken as it is where its values have one sign: then no sum on the way is beyond the
 * last. Else the row's value must have room for all that is added and for all that is taken away,
 * in whatever order; where it has none, num_nulls() computes the value that overflows.
 *
 * Sums of statements that change places know nothing of each other. Each takes a row whose value is
 * at most LIMIT from zero, and moves it by at most STEP either way: wherever CAIRN_SQL_COMMUTE_MAX
 * of them may have been on their way, none was beyond LIMIT + CAIRN_SQL_COMMUTE_MAX * STEP, which
 * the type holds. Elsewise a division by zero refuses the array. */
#include <assert.h>

#include "platform/arena.h"
#include "schemas/sql_shape_int.h"

/* Text under construction; after a failure nothing is added. */
struct text {
    const struct cairn_sql_reading *reading;
    const struct cairn_sql_shape *shape;
    const char *arrays; /* the name of the rows of parameters, and how their columns begin */
    struct cairn_buf buf;
    enum cairn_rc rc;
};

static void put(struct text *text, struct cairn_slice bytes)
{
    if (text->rc == CAIRN_OK) {
        text->rc = cairn_buf_append(&text->buf, bytes);
    }
}

static void put_str(struct text *text, const char *bytes)
{
    put(text, cairn_slice_str(bytes));
}

static void put_number(struct text *text, const char *before, size_t number)
{
    put_str(text, before);
    if (text->rc == CAIRN_OK) {
        text->rc = cairn_buf_append_u64(&text->buf, number);
    }
}

static void put_name(struct text *text, struct cairn_slice name)
{
    put_str(text, "\"");
    for (size_t i = 0; i < name.size; i++) {
        put_str(text, name.data[i] == '"' ? "\"" : "");
        put(text, cairn_slice_of(name.data + i, 1));
    }
    put_str(text, "\"");
}

static const char *begin_of(const struct cairn_sql_token *token)
{
    return token->text.data - (token->kind == CAIRN_SQL_PARAMETER ? 1 : 0);
}

static void put_param(struct text *text, size_t param)
{
    put_number(text, text->arrays, param + 1);
}

/* Tokens as they were written, with p.p1 for the first parameter. Between them is nothing, or a
 * line end: where there was a comment, two operators must not become one, and a string in two
 * parts stays one only so. */
static void put_span(struct text *text, struct cairn_sql_span span)
{
    const struct cairn_sql_reading *reading = text->reading;
    assert(span.begin <= span.end && span.end <= reading->token_count);
    for (size_t i = span.begin; i < span.end; i++) {
        const struct cairn_sql_token *token = &reading->tokens[i];
        const struct cairn_sql_token *last = i > span.begin ? token - 1 : NULL;
        if (last != NULL && last->text.data + last->text.size != begin_of(token)) {
            put_str(text, "\n");
        }
        if (token->kind == CAIRN_SQL_PARAMETER) {
            put_str(text, " ");
            put_str(text, text->arrays);
            put_str(text, ".");
            put_param(text, cairn_sql_param_number(reading->statement, token));
        } else {
            put(text, token->text);
        }
    }
}

static void put_array(struct text *text, size_t param)
{
    put_number(text, "$", param + 1);
    put_str(text, "::");
    put(text, text->reading->param_types[param]);
    put_str(text, "[]");
}

static void put_numbered_rows(struct text *text)
{
    size_t count = text->reading->statement->param_count;
    put_str(text, "unnest(");
    for (size_t i = 0; i < count; i++) {
        put_str(text, i == 0 ? "" : ", ");
        put_array(text, i);
    }
    if (text->shape->folds) {
        put_number(text, ", $", count + 1);
        put_str(text, "::bigint[]");
    }
    put_str(text, ") WITH ORDINALITY AS p(");
    for (size_t i = 0; i < count; i++) {
        put_param(text, i);
        put_str(text, ", ");
    }
    put_str(text, text->shape->folds ? "w, n)" : "n)");
}

static void put_rows_of_params(struct text *text)
{
    size_t count = text->reading->statement->param_count;
    assert(count > 0);
    for (size_t i = 0; i < count; i++) {
        put_str(text, i == 0 ? "(SELECT unnest(" : ", unnest(");
        put_array(text, i);
        put_str(text, ") AS ");
        put_param(text, i);
    }
    if (text->shape->folds) {
        put_number(text, ", unnest($", count + 1);
        put_str(text, "::bigint[]) AS w");
    }
    put_str(text, ") AS ");
    put_str(text, text->arrays);
}

static void put_plain(struct text *text)
{
    const struct cairn_sql_reading *reading = text->reading;
    bool conflicts = reading->conflict.end > reading->conflict.begin;
    put_str(text, "INSERT INTO ");
    put_span(text, reading->into);
    put_str(text, " SELECT ");
    for (size_t i = 0; i < reading->item_count; i++) {
        put_str(text, i == 0 ? "" : ", ");
        put_span(text, reading->items[i].value);
    }
    put_str(text, " FROM ");
    if (conflicts || reading->table->ordered) {
        put_numbered_rows(text);
        put_str(text, " ORDER BY p.n ");
    } else {
        put_rows_of_params(text);
    }
    put_span(text, reading->conflict);
}

/* UPDATE and DELETE. */
static void put_change(struct text *text)
{
    const struct cairn_sql_reading *reading = text->reading;
    bool updates = reading->set.end > reading->set.begin;
    put_str(text, updates ? "UPDATE " : "DELETE FROM ");
    put_span(text, reading->into);
    put_str(text, updates ? " SET " : "");
    put_span(text, reading->set);
    put_str(text, updates ? " FROM " : " USING ");
    put_rows_of_params(text);
    put_str(text, " WHERE ");
    put_span(text, reading->where);
}

/* ---- folded ---- */

static const struct cairn_sql_column *column_of(const struct text *text, size_t item)
{
    const struct cairn_sql_reading *reading = text->reading;
    assert(item < reading->item_count);
    return &reading->table->columns[reading->items[item].column];
}

static bool shows_order(const struct cairn_sql_reading *reading)
{
    for (size_t i = 0; i < reading->item_count; i++) {
        if (reading->items[i].fold == CAIRN_SQL_FOLD_FIRST ||
            reading->items[i].fold == CAIRN_SQL_FOLD_LAST) {
            return true;
        }
    }
    return false;
}

/* Is the column's sum that of equal values, and not of a parameter that was added up before? */
static bool weighs(const struct text *text, const struct cairn_sql_item *item)
{
    bool weighs = item->fold == CAIRN_SQL_FOLD_SUM;
    for (size_t i = 0; weighs && i < text->reading->statement->param_count; i++) {
        bool summed = (text->shape->summed >> i & 1) != 0;
        weighs = !(summed && cairn_sql_item_is_param(text->reading, item, i));
    }
    return weighs;
}

/* q: the values as their columns take them. */
static void put_rows(struct text *text, bool numbered)
{
    const struct cairn_sql_reading *reading = text->reading;
    put_str(text, "(SELECT ");
    for (size_t i = 0; i < reading->item_count; i++) {
        put_str(text, i == 0 ? "CAST(" : ", CAST(");
        put_str(text, reading->items[i].negated ? "-(" : "(");
        put_span(text, reading->items[i].value);
        put_str(text, ") AS ");
        put(text, column_of(text, i)->type);
        put_str(text, weighs(text, &reading->items[i]) ? ") * p.w" : ")");
        put_number(text, " AS c", i);
    }
    if (numbered) {
        put_str(text, ", p.n FROM ");
        put_numbered_rows(text);
    } else {
        put_str(text, " FROM ");
        put_rows_of_params(text);
    }
    put_str(text, ") AS q");
}

/* Both array_agg() of a group see its rows in one order, whichever that is: told to sort, they
 * would have the server sort all rows by key first. How a fold is written: # is the item's number.
 * f.v# is the value, f.w# says that no row's was null, f.a# and f.b# are the sums of what is above
 * and below zero. */
static const char *const fold_calls[] = {
    [CAIRN_SQL_FOLD_FIRST] = ("(array_agg(q.c#))[array_position(array_agg(q.n), min(q.n))] AS v#, "
                              "count(q.c#) = count(*) AS w#"),
    [CAIRN_SQL_FOLD_KEY] = "q.c# AS v#",
    [CAIRN_SQL_FOLD_LAST] = ("(array_agg(q.c#))[array_position(array_agg(q.n), max(q.n))] AS v#, "
                             "count(q.c#) = count(*) AS w#"),
    [CAIRN_SQL_FOLD_SUM] = ("sum(q.c#) AS v#, count(q.c#) = count(*) AS w#, "
                            "coalesce(sum(q.c#) FILTER (WHERE q.c# > 0), 0) AS a#, "
                            "coalesce(sum(q.c#) FILTER (WHERE q.c# < 0), 0) AS b#"),
    [CAIRN_SQL_FOLD_LARGEST] = "max(q.c#) AS v#, count(q.c#) = count(*) AS w#",
    [CAIRN_SQL_FOLD_SMALLEST] = "min(q.c#) AS v#, count(q.c#) = count(*) AS w#",
};

/* A pattern with the item's number for #, its column for @, its type for %. */
static void put_pattern(struct text *text, const char *pattern, size_t item)
{
    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '#') {
            put_number(text, "", item);
        } else if (*pattern == '@') {
            put_name(text, column_of(text, item)->name);
        } else if (*pattern == '%') {
            put(text, column_of(text, item)->type);
        } else {
            put(text, cairn_slice_of(pattern, 1));
        }
    }
}

/* f: one row a key. */
static void put_groups(struct text *text)
{
    const struct cairn_sql_reading *reading = text->reading;
    const char *between = " GROUP BY ";
    put_str(text, "(SELECT ");
    for (size_t i = 0; i < reading->item_count; i++) {
        put_str(text, i == 0 ? "" : ", ");
        put_pattern(text, fold_calls[reading->items[i].fold], i);
    }
    put_str(text, " FROM ");
    put_rows(text, shows_order(reading));
    for (size_t i = 0; i < reading->item_count; i++) {
        if (reading->items[i].fold == CAIRN_SQL_FOLD_KEY) {
            put_str(text, between);
            put_number(text, "q.c", i);
            between = ", ";
        }
    }
    put_str(text, ") AS f");
}

/* By type; a sum of numerics has room for whatever comes. */
static const struct {
    const char *type;
    const char *value;      /* that goes to the table */
    const char *lone;       /* the same of a row that is not grouped */
    const char *assignment; /* on conflict */
} commuting[] = {
#define VALUE(step)                                                                                \
    "CASE WHEN f.a# > " step " OR f.b# < -" step " THEN CAST(1 / (f.a# - f.a#) AS %) "             \
    "WHEN f.w# THEN CAST(f.v# AS %) END"
#define LONE(step)                                                                                 \
    "CASE WHEN q.c# NOT BETWEEN -" step " AND " step " THEN CAST(1 / (q.c# - q.c#) AS %) "         \
    "ELSE CAST(q.c# AS %) END"
#define ASSIGNMENT(limit)                                                                          \
    "@ = CASE WHEN t.@ NOT BETWEEN -" limit " AND " limit                                          \
    " THEN CAST(1 / (t.@ - t.@) AS %) ELSE t.@ + excluded.@ END"
    /* 2^24, 2^30 - 1 */
    {"integer", VALUE("16777216"), LONE("16777216"), ASSIGNMENT("1073741823")},
    /* 2^56, 2^62 - 1 */
    {"bigint", VALUE("72057594037927936"), LONE("72057594037927936"),
     ASSIGNMENT("4611686018427387903")},
    {"numeric", "CASE WHEN f.w# THEN f.v# END", "q.c#", "@ = t.@ + excluded.@"},
#undef VALUE
#undef LONE
#undef ASSIGNMENT
};
static_assert(CAIRN_SQL_COMMUTE_MAX == 64, "steps and limits are of 64 statements");

static size_t commuting_of(const struct text *text, size_t item)
{
    size_t i = 0;
    while (!cairn_slice_is(column_of(text, item)->type, commuting[i].type)) {
        i++;
        assert(i < sizeof(commuting) / sizeof(commuting[0]));
    }
    return i;
}

static void put_sum(struct text *text, size_t item)
{
    const struct cairn_sql_reading *reading = text->reading;
    const char *between = " WHERE ";
    put_pattern(text,
                "CASE WHEN f.w# AND (f.a# = 0 OR f.b# = 0) THEN CAST(f.v# AS %) "
                "WHEN coalesce((SELECT num_nulls(CAST(g.@ + f.a# AS %), CAST(g.@ + f.b# AS %)) "
                "FROM ",
                item);
    put_name(text, reading->table->name);
    put_str(text, " AS g");
    for (size_t i = 0; i < reading->item_count; i++) {
        if (reading->items[i].fold == CAIRN_SQL_FOLD_KEY) {
            put_str(text, between);
            put_pattern(text, "g.@ = f.v#", i);
            between = " AND ";
        }
    }
    put_pattern(text,
                "), num_nulls(CAST(f.a# AS %), CAST(f.b# AS %))) >= 0 AND f.w# "
                "THEN CAST(f.v# AS %) END",
                item);
}

/* A null among the rows would be refused one by one where the column takes none: it stays one. */
static void put_value(struct text *text, size_t item)
{
    bool strict = column_of(text, item)->not_null;
    enum cairn_sql_fold fold = text->reading->items[item].fold;
    if (text->reading->commutes && fold == CAIRN_SQL_FOLD_SUM) {
        put_pattern(text, commuting[commuting_of(text, item)].value, item);
    } else if (fold == CAIRN_SQL_FOLD_SUM) {
        put_sum(text, item);
    } else if (strict && fold != CAIRN_SQL_FOLD_KEY) {
        put_pattern(text, "CASE WHEN f.w# THEN f.v# END", item);
    } else {
        put_pattern(text, "f.v#", item);
    }
}

static const char *const assignments[] = {
    [CAIRN_SQL_FOLD_LAST] = "@ = excluded.@",
    [CAIRN_SQL_FOLD_SUM] = "@ = t.@ + excluded.@",
    [CAIRN_SQL_FOLD_LARGEST] = "@ = GREATEST(t.@, excluded.@)",
    [CAIRN_SQL_FOLD_SMALLEST] = "@ = LEAST(t.@, excluded.@)",
};

static void put_conflict(struct text *text)
{
    const struct cairn_sql_reading *reading = text->reading;
    const char *between = " ON CONFLICT (";
    for (size_t i = 0; i < reading->table->key_count; i++) {
        put_str(text, between);
        put_name(text, reading->table->columns[reading->table->key[i]].name);
        between = ", ";
    }
    between = ") DO UPDATE SET ";
    for (size_t i = 0; i < reading->item_count; i++) {
        enum cairn_sql_fold fold = reading->items[i].fold;
        if (fold != CAIRN_SQL_FOLD_KEY && fold != CAIRN_SQL_FOLD_FIRST) {
            put_str(text, between);
            put_pattern(text,
                        reading->commutes ? commuting[commuting_of(text, i)].assignment
                                          : assignments[fold],
                        i);
            between = ", ";
        }
    }
}

static void put_into(struct text *text)
{
    const struct cairn_sql_reading *reading = text->reading;
    put_str(text, "INSERT INTO ");
    put_name(text, reading->table->name);
    put_str(text, " AS t");
    for (size_t i = 0; i < reading->item_count; i++) {
        put_str(text, i == 0 ? " (" : ", ");
        put_name(text, column_of(text, i)->name);
    }
    put_str(text, ") SELECT ");
}

static void put_folded(struct text *text)
{
    put_into(text);
    for (size_t i = 0; i < text->reading->item_count; i++) {
        put_str(text, i == 0 ? "" : ", ");
        put_value(text, i);
    }
    put_str(text, " FROM ");
    put_groups(text);
    put_conflict(text);
}

static void put_lone(struct text *text)
{
    const struct cairn_sql_reading *reading = text->reading;
    put_into(text);
    for (size_t i = 0; i < reading->item_count; i++) {
        bool sum = reading->items[i].fold == CAIRN_SQL_FOLD_SUM;
        const char *plain = sum ? "CAST(q.c# AS %)" : "q.c#";
        put_str(text, i == 0 ? "" : ", ");
        put_pattern(text, sum && reading->commutes ? commuting[commuting_of(text, i)].lone : plain,
                    i);
    }
    put_str(text, " FROM ");
    put_rows(text, false);
    put_conflict(text);
}

/* How an UPDATE changes a column, and which row it does that to. */
struct change {
    const char *folds[CAIRN_SQL_FOLD_SMALLEST + 1];
    const char *strict_last; /* of a column that takes no null: each of the rows would be refused */
};

/* As put_sum() guards what comes in, this guards what becomes of the row. */
static const struct change grouped_change = {
    {[CAIRN_SQL_FOLD_KEY] = "f.v#",
     [CAIRN_SQL_FOLD_LAST] = "f.v#",
     [CAIRN_SQL_FOLD_SUM] =
         ("CASE WHEN f.w# AND (f.a# = 0 OR f.b# = 0) THEN CAST(t.@ + f.v# AS %) "
          "WHEN num_nulls(CAST(t.@ + f.a# AS %), CAST(t.@ + f.b# AS %)) >= 0 AND f.w# "
          "THEN CAST(t.@ + f.v# AS %) END"),
     [CAIRN_SQL_FOLD_LARGEST] = "GREATEST(t.@, f.v#)",
     [CAIRN_SQL_FOLD_SMALLEST] = "LEAST(t.@, f.v#)"},
    "CASE WHEN f.w# THEN f.v# END"};

/* The same of a row that is not grouped: what comes is of one sign. */
static const struct change lone_change = {{[CAIRN_SQL_FOLD_KEY] = "q.c#",
                                           [CAIRN_SQL_FOLD_LAST] = "q.c#",
                                           [CAIRN_SQL_FOLD_SUM] = "CAST(t.@ + q.c# AS %)",
                                           [CAIRN_SQL_FOLD_LARGEST] = "GREATEST(t.@, q.c#)",
                                           [CAIRN_SQL_FOLD_SMALLEST] = "LEAST(t.@, q.c#)"},
                                          "q.c#"};

/* Each item that is a key, or each that is not. */
static void put_items(struct text *text, const struct change *change, bool keys, const char *before,
                      const char *between)
{
    const struct cairn_sql_reading *reading = text->reading;
    for (size_t i = 0; i < reading->item_count; i++) {
        enum cairn_sql_fold fold = reading->items[i].fold;
        bool strict = fold == CAIRN_SQL_FOLD_LAST && column_of(text, i)->not_null;
        if ((fold == CAIRN_SQL_FOLD_KEY) == keys) {
            put_str(text, before);
            put_pattern(text, keys ? "t.@ = " : "@ = ", i);
            put_pattern(text, strict ? change->strict_last : change->folds[fold], i);
            before = between;
        }
    }
}

static void put_update(struct text *text)
{
    put_str(text, "UPDATE ");
    put_name(text, text->reading->table->name);
    put_items(text, &grouped_change, false, " AS t SET ", ", ");
    put_str(text, " FROM ");
    put_groups(text);
    put_items(text, &grouped_change, true, " WHERE ", " AND ");
}

static void put_lone_update(struct text *text)
{
    put_str(text, "UPDATE ");
    put_name(text, text->reading->table->name);
    put_items(text, &lone_change, false, " AS t SET ", ", ");
    put_str(text, " FROM ");
    put_rows(text, false);
    put_items(text, &lone_change, true, " WHERE ", " AND ");
}

/* One form; *ret_text NULL: it would be too long. */
static enum cairn_rc write_form(const struct cairn_sql_reading *reading,
                                const struct cairn_sql_shape *shape,
                                void (*put_form)(struct text *), struct cairn_arena *arena,
                                const char **ret_text, struct cairn_err *err)
{
    bool joins = shape->kind == CAIRN_SQL_CHANGE && !shape->folds;
    struct text text = {.reading = reading,
                        .shape = shape,
                        .arrays = joins ? CAIRN_SQL_ARRAYS_NAME : "p",
                        .buf = {.max = CAIRN_SQL_ARRAYS_BYTES_MAX}};
    struct cairn_slice copy = CAIRN_SLICE_NONE;
    put_form(&text);
    enum cairn_rc rc = text.rc;
    if (rc == CAIRN_OK) {
        rc = cairn_arena_copy(arena, cairn_buf_slice(&text.buf), &copy);
    }
    cairn_buf_fini(&text.buf);
    if (rc != CAIRN_OK && rc != CAIRN_ETOOBIG) {
        return CAIRN_FAIL(err, rc, "the array form of a statement");
    }
    *ret_text = copy.data;
    return CAIRN_OK;
}

enum cairn_rc cairn_sql_arrays_write(const struct cairn_sql_reading *reading,
                                     struct cairn_arena *arena, struct cairn_sql_shape *shape,
                                     struct cairn_err *err)
{
    bool changes = shape->kind == CAIRN_SQL_CHANGE;
    assert(changes || reading->item_count > 0);
    if (!shape->folds) {
        return write_form(reading, shape, changes ? put_change : put_plain, arena, &shape->text,
                          err);
    }
    enum cairn_rc rc =
        write_form(reading, shape, changes ? put_update : put_folded, arena, &shape->text, err);
    if (rc == CAIRN_OK && shape->text != NULL && shape->key_count > 0) {
        rc = write_form(reading, shape, changes ? put_lone_update : put_lone, arena, &shape->lone,
                        err);
    }
    return rc;
}
