/* The array forms of a statement whose rows fold, with q the rows as the table would take them and
 * f one row a key:
 *
 *   INSERT INTO t (a, b) SELECT f.v0, ... FROM (SELECT q.c0 AS v0, sum(q.c1) AS v1, ... FROM
 *     (SELECT CAST((:a) AS text) AS c0, ... FROM (SELECT unnest(...) ...) AS p) AS q
 *     GROUP BY q.c0) AS f ON CONFLICT (a) DO UPDATE SET b = t.b + excluded.b
 *   UPDATE t SET b = t.b + f.v1 FROM (... the same ...) AS f WHERE t.a = f.v0
 *
 * Equal rows go as one: p.w is how many they are, and what a column adds up of each is taken so
 * often: CAST((1) AS bigint) * p.w. Where all rows are of different keys then, q takes the place of
 * f, and its values are what they are.
 *
 * A sum is taken as it is where its values have one sign: then no sum on the way is beyond the
 * last. Else all that is added, and all that is taken away, is at most a sixteenth of what the type
 * holds, and the row that is met at most fifteen sixteenths from zero: so no sum on the way is
 * beyond it, in whatever order. Elsewise num_nulls() computes the value that overflows. The row is
 * judged where it is met, by the statement that changes it: another transaction may have changed it
 * since this one looked.
 *
 * Sums of statements that change places know nothing of each other. Each takes a row whose value is
 * at most LIMIT from zero, and moves it by at most STEP either way: wherever CAIRN_SQL_COMMUTE_MAX
 * of them may have been on their way, none was beyond LIMIT + CAIRN_SQL_COMMUTE_MAX * STEP, which
 * the type holds. Elsewise a division by zero refuses the array. */
#include <assert.h>

#include "schemas/sql_shape_int.h"

static const struct cairn_sql_column *column_of(const struct cairn_sql_form *form, size_t item)
{
    const struct cairn_sql_reading *reading = form->reading;
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
static bool weighs(const struct cairn_sql_form *form, const struct cairn_sql_item *item)
{
    bool weighs = item->fold == CAIRN_SQL_FOLD_SUM;
    for (size_t i = 0; weighs && i < form->reading->statement->param_count; i++) {
        bool summed = (form->shape->summed >> i & 1) != 0;
        weighs = !(summed && cairn_sql_item_is_param(form->reading, item, i));
    }
    return weighs;
}

/* q: the values as their columns take them. */
static void put_rows(struct cairn_sql_form *form, bool numbered)
{
    const struct cairn_sql_reading *reading = form->reading;
    cairn_sql_form_str(form, "(SELECT ");
    for (size_t i = 0; i < reading->item_count; i++) {
        cairn_sql_form_str(form, i == 0 ? "CAST(" : ", CAST(");
        cairn_sql_form_str(form, reading->items[i].negated ? "-(" : "(");
        cairn_sql_form_span(form, reading->items[i].value);
        cairn_sql_form_str(form, ") AS ");
        cairn_sql_form_put(form, column_of(form, i)->type);
        cairn_sql_form_str(form, weighs(form, &reading->items[i]) ? ") * p.w" : ")");
        cairn_sql_form_number(form, " AS c", i);
    }
    if (numbered) {
        cairn_sql_form_str(form, ", p.n FROM ");
        cairn_sql_form_numbered_rows(form);
    } else {
        cairn_sql_form_str(form, " FROM ");
        cairn_sql_form_rows(form);
    }
    cairn_sql_form_str(form, ") AS q");
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
static void put_pattern(struct cairn_sql_form *form, const char *pattern, size_t item)
{
    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '#') {
            cairn_sql_form_number(form, "", item);
        } else if (*pattern == '@') {
            cairn_sql_form_name(form, column_of(form, item)->name);
        } else if (*pattern == '%') {
            cairn_sql_form_put(form, column_of(form, item)->type);
        } else {
            cairn_sql_form_put(form, cairn_slice_of(pattern, 1));
        }
    }
}

/* f: one row a key. */
static void put_groups(struct cairn_sql_form *form)
{
    const struct cairn_sql_reading *reading = form->reading;
    const char *between = " GROUP BY ";
    cairn_sql_form_str(form, "(SELECT ");
    for (size_t i = 0; i < reading->item_count; i++) {
        cairn_sql_form_str(form, i == 0 ? "" : ", ");
        put_pattern(form, fold_calls[reading->items[i].fold], i);
    }
    cairn_sql_form_str(form, " FROM ");
    put_rows(form, shows_order(reading));
    for (size_t i = 0; i < reading->item_count; i++) {
        if (reading->items[i].fold == CAIRN_SQL_FOLD_KEY) {
            cairn_sql_form_str(form, between);
            cairn_sql_form_number(form, "q.c", i);
            between = ", ";
        }
    }
    cairn_sql_form_str(form, ") AS f");
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

static size_t commuting_of(const struct cairn_sql_form *form, size_t item)
{
    size_t i = 0;
    while (!cairn_slice_is(column_of(form, item)->type, commuting[i].type)) {
        i++;
        assert(i < sizeof(commuting) / sizeof(commuting[0]));
    }
    return i;
}

/* What goes to the table, and what becomes of a row that is there. A numeric without a limit holds
 * any sum. */
static const char sum_value[] =
    "CASE WHEN f.w# AND (f.a# = 0 OR f.b# = 0) THEN CAST(f.v# AS %) "
    "WHEN num_nulls(CAST(f.a# * 16 AS %), CAST(f.b# * 16 AS %)) >= 0 AND f.w# "
    "THEN CAST(f.v# AS %) END";
static const char sum_assignment[] =
    "@ = CASE WHEN num_nulls(CAST(t.@ / 15 * 16 AS %)) >= 0 THEN t.@ + excluded.@ END";

static bool has_limit(const struct cairn_sql_form *form, size_t item)
{
    return !cairn_slice_is(column_of(form, item)->type, "numeric");
}

/* A null among the rows would be refused one by one where the column takes none: it stays one. */
static void put_value(struct cairn_sql_form *form, size_t item)
{
    bool strict = column_of(form, item)->not_null;
    enum cairn_sql_fold fold = form->reading->items[item].fold;
    if (form->reading->commutes && fold == CAIRN_SQL_FOLD_SUM) {
        put_pattern(form, commuting[commuting_of(form, item)].value, item);
    } else if (fold == CAIRN_SQL_FOLD_SUM) {
        put_pattern(form, sum_value, item);
    } else if (strict && fold != CAIRN_SQL_FOLD_KEY) {
        put_pattern(form, "CASE WHEN f.w# THEN f.v# END", item);
    } else {
        put_pattern(form, "f.v#", item);
    }
}

static const char *const assignments[] = {
    [CAIRN_SQL_FOLD_LAST] = "@ = excluded.@",
    [CAIRN_SQL_FOLD_SUM] = "@ = t.@ + excluded.@",
    [CAIRN_SQL_FOLD_LARGEST] = "@ = GREATEST(t.@, excluded.@)",
    [CAIRN_SQL_FOLD_SMALLEST] = "@ = LEAST(t.@, excluded.@)",
};

/* How a row that is there takes the item. grouped: what comes may be a sum of both signs. */
static const char *assignment_of(const struct cairn_sql_form *form, size_t item, bool grouped)
{
    enum cairn_sql_fold fold = form->reading->items[item].fold;
    if (form->reading->commutes) {
        return commuting[commuting_of(form, item)].assignment;
    }
    return fold == CAIRN_SQL_FOLD_SUM && grouped && has_limit(form, item) ? sum_assignment
                                                                          : assignments[fold];
}

static void put_conflict(struct cairn_sql_form *form, bool grouped)
{
    const struct cairn_sql_reading *reading = form->reading;
    const char *between = " ON CONFLICT (";
    for (size_t i = 0; i < reading->table->key_count; i++) {
        cairn_sql_form_str(form, between);
        cairn_sql_form_name(form, reading->table->columns[reading->table->key[i]].name);
        between = ", ";
    }
    between = ") DO UPDATE SET ";
    for (size_t i = 0; i < reading->item_count; i++) {
        enum cairn_sql_fold fold = reading->items[i].fold;
        if (fold != CAIRN_SQL_FOLD_KEY && fold != CAIRN_SQL_FOLD_FIRST) {
            cairn_sql_form_str(form, between);
            put_pattern(form, assignment_of(form, i, grouped), i);
            between = ", ";
        }
    }
}

static void put_into(struct cairn_sql_form *form)
{
    const struct cairn_sql_reading *reading = form->reading;
    cairn_sql_form_str(form, "INSERT INTO ");
    cairn_sql_form_name(form, reading->table->name);
    cairn_sql_form_str(form, " AS t");
    for (size_t i = 0; i < reading->item_count; i++) {
        cairn_sql_form_str(form, i == 0 ? " (" : ", ");
        cairn_sql_form_name(form, column_of(form, i)->name);
    }
    cairn_sql_form_str(form, ") SELECT ");
}

void cairn_sql_folded_insert(struct cairn_sql_form *form)
{
    put_into(form);
    for (size_t i = 0; i < form->reading->item_count; i++) {
        cairn_sql_form_str(form, i == 0 ? "" : ", ");
        put_value(form, i);
    }
    cairn_sql_form_str(form, " FROM ");
    put_groups(form);
    put_conflict(form, true);
}

void cairn_sql_lone_insert(struct cairn_sql_form *form)
{
    const struct cairn_sql_reading *reading = form->reading;
    put_into(form);
    for (size_t i = 0; i < reading->item_count; i++) {
        bool sum = reading->items[i].fold == CAIRN_SQL_FOLD_SUM;
        const char *plain = sum ? "CAST(q.c# AS %)" : "q.c#";
        cairn_sql_form_str(form, i == 0 ? "" : ", ");
        put_pattern(form, sum && reading->commutes ? commuting[commuting_of(form, i)].lone : plain,
                    i);
    }
    cairn_sql_form_str(form, " FROM ");
    put_rows(form, false);
    put_conflict(form, false);
}

/* How an UPDATE changes a column, and which row it does that to. */
struct change {
    const char *folds[CAIRN_SQL_FOLD_SMALLEST + 1];
    const char *strict_last; /* of a column that takes no null: each of the rows would be refused */
};

/* As sum_value guards what comes in, this guards what becomes of the row. */
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
static void put_items(struct cairn_sql_form *form, const struct change *change, bool keys,
                      const char *before, const char *between)
{
    const struct cairn_sql_reading *reading = form->reading;
    for (size_t i = 0; i < reading->item_count; i++) {
        enum cairn_sql_fold fold = reading->items[i].fold;
        bool strict = fold == CAIRN_SQL_FOLD_LAST && column_of(form, i)->not_null;
        if ((fold == CAIRN_SQL_FOLD_KEY) == keys) {
            cairn_sql_form_str(form, before);
            put_pattern(form, keys ? "t.@ = " : "@ = ", i);
            put_pattern(form, strict ? change->strict_last : change->folds[fold], i);
            before = between;
        }
    }
}

void cairn_sql_folded_update(struct cairn_sql_form *form)
{
    cairn_sql_form_str(form, "UPDATE ");
    cairn_sql_form_name(form, form->reading->table->name);
    put_items(form, &grouped_change, false, " AS t SET ", ", ");
    cairn_sql_form_str(form, " FROM ");
    put_groups(form);
    put_items(form, &grouped_change, true, " WHERE ", " AND ");
}

void cairn_sql_lone_update(struct cairn_sql_form *form)
{
    cairn_sql_form_str(form, "UPDATE ");
    cairn_sql_form_name(form, form->reading->table->name);
    put_items(form, &lone_change, false, " AS t SET ", ", ");
    cairn_sql_form_str(form, " FROM ");
    put_rows(form, false);
    put_items(form, &lone_change, true, " WHERE ", " AND ");
}
