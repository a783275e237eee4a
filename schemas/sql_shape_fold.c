/* May the rows of one key become one row before they meet the table?
 *
 * One by one, the first row of a new key is inserted and each later one updates it. Folded, one row
 * carries all of them, so for each column there must be an aggregate f for which updating with
 * f(rows) is updating with each row in turn, whether the key is there already or not:
 *
 *   the key                      GROUP BY: equal keys must not be tellable apart
 *   not assigned                 the first row's value
 *   c = excluded.c               the last row's
 *   c = t.c + excluded.c         sum, where + is exact; null as soon as one value is null
 *   c = GREATEST(t.c, excluded.c) max, which passes over nulls as GREATEST does
 *
 * An UPDATE by key folds as well where each column takes a value that comes in, or changes by it in
 * one of these ways: a row that is not there stays away from all of them.
 *
 * In place of excluded.c may stand the very expression that VALUES has for c, where it has the
 * column's type already. */
#include <assert.h>

#include "schemas/sql_shape_int.h"

enum {
    ALL = CAIRN_SQL_TYPE_ARRAY | CAIRN_SQL_TYPE_CAST | CAIRN_SQL_TYPE_SUM | CAIRN_SQL_TYPE_ORDER |
          CAIRN_SQL_TYPE_GROUP,
    CARRIED = CAIRN_SQL_TYPE_ARRAY | CAIRN_SQL_TYPE_CAST,
    GROUPED = CARRIED | CAIRN_SQL_TYPE_GROUP,
    ORDERED = GROUPED | CAIRN_SQL_TYPE_ORDER
};

/* Not here, on purpose: varchar(n), char and bit, which a cast cuts and an assignment refuses.
 * Equal numerics may differ in their scale unless the column fixes it. Sums of floats care for
 * order. */
static const struct cairn_sql_type_facts type_facts[] = {
    {"smallint", CAIRN_SQL_CLASS_INTEGER, ALL},
    {"integer", CAIRN_SQL_CLASS_INTEGER, ALL | CAIRN_SQL_TYPE_COMMUTE},
    {"bigint", CAIRN_SQL_CLASS_INTEGER, ALL | CAIRN_SQL_TYPE_COMMUTE},
    {"numeric", CAIRN_SQL_CLASS_OTHER, CARRIED | CAIRN_SQL_TYPE_SUM | CAIRN_SQL_TYPE_COMMUTE},
    {"real", CAIRN_SQL_CLASS_OTHER, CARRIED},
    {"double precision", CAIRN_SQL_CLASS_OTHER, CARRIED},
    {"text", CAIRN_SQL_CLASS_TEXT, GROUPED},
    {"character varying", CAIRN_SQL_CLASS_TEXT, GROUPED},
    {"uuid", CAIRN_SQL_CLASS_UUID, GROUPED},
    {"boolean", CAIRN_SQL_CLASS_OTHER, GROUPED},
    {"date", CAIRN_SQL_CLASS_OTHER, ORDERED},
    {"timestamp without time zone", CAIRN_SQL_CLASS_OTHER, ORDERED},
    {"timestamp with time zone", CAIRN_SQL_CLASS_OTHER, ORDERED},
    {"time without time zone", CAIRN_SQL_CLASS_OTHER, CARRIED},
    {"interval", CAIRN_SQL_CLASS_OTHER, CARRIED},
    {"json", CAIRN_SQL_CLASS_OTHER, CARRIED},
    {"jsonb", CAIRN_SQL_CLASS_OTHER, CARRIED},
    {"bytea", CAIRN_SQL_CLASS_OTHER, CARRIED},
};

/* numeric(p,s): of a column, never of a parameter. */
static const struct cairn_sql_type_facts numeric_scaled = {"numeric(p,s)", CAIRN_SQL_CLASS_OTHER,
                                                           ALL & ~(unsigned)CAIRN_SQL_TYPE_ARRAY};

static const struct {
    const char *word;
    enum cairn_sql_class class;
} type_words[] = {
    {"text", CAIRN_SQL_CLASS_TEXT},        {"varchar", CAIRN_SQL_CLASS_TEXT},
    {"smallint", CAIRN_SQL_CLASS_INTEGER}, {"integer", CAIRN_SQL_CLASS_INTEGER},
    {"int", CAIRN_SQL_CLASS_INTEGER},      {"bigint", CAIRN_SQL_CLASS_INTEGER},
    {"int2", CAIRN_SQL_CLASS_INTEGER},     {"int4", CAIRN_SQL_CLASS_INTEGER},
    {"int8", CAIRN_SQL_CLASS_INTEGER},     {"uuid", CAIRN_SQL_CLASS_UUID},
};

const struct cairn_sql_type_facts *cairn_sql_type_facts(struct cairn_slice name)
{
    for (size_t i = 0; i < sizeof(type_facts) / sizeof(type_facts[0]); i++) {
        if (cairn_slice_is(name, type_facts[i].name)) {
            return &type_facts[i];
        }
    }
    return cairn_slice_starts(name, CAIRN_SLICE_LIT("numeric(")) ? &numeric_scaled : NULL;
}

enum cairn_sql_class cairn_sql_type_word(const struct cairn_sql_token *word)
{
    for (size_t i = 0; i < sizeof(type_words) / sizeof(type_words[0]); i++) {
        if (cairn_sql_token_is(word, type_words[i].word)) {
            return type_words[i].class;
        }
    }
    return CAIRN_SQL_CLASS_OTHER;
}

static bool column_can(const struct cairn_sql_reading *reading, size_t column, unsigned flag)
{
    assert(column < reading->table->column_count);
    const struct cairn_sql_type_facts *type =
        cairn_sql_type_facts(reading->table->columns[column].type);
    return type != NULL && (type->flags & flag) != 0;
}

/* excluded.column or row.column; takes three tokens. */
static bool is_column(const struct cairn_sql_reading *reading, struct cairn_sql_span span,
                      bool excluded, size_t column)
{
    const struct cairn_sql_token *token = &reading->tokens[span.begin];
    return span.end - span.begin == 3 && cairn_sql_token_is_mark(token + 1, '.') &&
           cairn_sql_token_is(token, "excluded") == excluded &&
           cairn_sql_column_named(reading->table, token + 2) == column;
}

static bool same_tokens(const struct cairn_sql_reading *reading, struct cairn_sql_span a,
                        struct cairn_sql_span b)
{
    bool same = a.end - a.begin == b.end - b.begin;
    for (size_t i = 0; same && i < a.end - a.begin; i++) {
        const struct cairn_sql_token *left = &reading->tokens[a.begin + i];
        const struct cairn_sql_token *right = &reading->tokens[b.begin + i];
        same = left->kind == right->kind && cairn_slice_equal(left->text, right->text);
    }
    return same;
}

static bool is_digits(struct cairn_slice text)
{
    bool digits = text.size > 0;
    for (size_t i = 0; i < text.size; i++) {
        digits = digits && text.data[i] >= '0' && text.data[i] <= '9';
    }
    return digits;
}

/* Is it excluded.c, or what is it by another name? Assigning c's value to the column must change
 * nothing of it: a parameter of the column's type, or a whole number for a column of such. */
static bool is_excluded(const struct cairn_sql_reading *reading, struct cairn_sql_span span,
                        const struct cairn_sql_item *item)
{
    const struct cairn_sql_token *token = &reading->tokens[span.begin];
    struct cairn_slice type = reading->table->columns[item->column].type;
    const struct cairn_sql_type_facts *facts = cairn_sql_type_facts(type);
    if (is_column(reading, span, true, item->column)) {
        return true;
    }
    if (span.end - span.begin != 1 || !same_tokens(reading, span, item->value)) {
        return false;
    }
    if (token->kind == CAIRN_SQL_PARAMETER) {
        size_t param = cairn_sql_param_number(reading->statement, token);
        return cairn_slice_equal(reading->param_types[param], type);
    }
    return token->kind == CAIRN_SQL_NUMBER && facts != NULL &&
           facts->class == CAIRN_SQL_CLASS_INTEGER && is_digits(token->text);
}

/* Two operands in either order: the row's own value, and what comes in. */
static bool is_pair(const struct cairn_sql_reading *reading, struct cairn_sql_span span, char mark,
                    const struct cairn_sql_item *item)
{
    size_t at = span.begin;
    while (at < span.end && !cairn_sql_token_is_mark(&reading->tokens[at], mark)) {
        at++;
    }
    struct cairn_sql_span left = {span.begin, at};
    struct cairn_sql_span right = {at + 1, span.end};
    if (at == span.begin || at + 1 >= span.end) {
        return false;
    }
    return (is_column(reading, left, false, item->column) && is_excluded(reading, right, item)) ||
           (is_column(reading, right, false, item->column) && is_excluded(reading, left, item));
}

static bool is_call(const struct cairn_sql_reading *reading, struct cairn_sql_span span,
                    const char *function, const struct cairn_sql_item *item)
{
    const struct cairn_sql_token *token = &reading->tokens[span.begin];
    if (span.end - span.begin < 4 || !cairn_sql_token_is(token, function) ||
        !cairn_sql_token_is_mark(token + 1, '(') ||
        !cairn_sql_token_is_mark(&reading->tokens[span.end - 1], ')')) {
        return false;
    }
    return is_pair(reading, (struct cairn_sql_span){span.begin + 2, span.end - 1}, ',', item);
}

/* An assignment's fold; FIRST: it has none. */
static enum cairn_sql_fold fold_of(const struct cairn_sql_reading *reading,
                                   struct cairn_sql_span value, const struct cairn_sql_item *item)
{
    if (is_column(reading, value, true, item->column) || same_tokens(reading, value, item->value)) {
        return CAIRN_SQL_FOLD_LAST;
    }
    if (is_pair(reading, value, '+', item)) {
        return CAIRN_SQL_FOLD_SUM;
    }
    if (is_call(reading, value, "greatest", item)) {
        return CAIRN_SQL_FOLD_LARGEST;
    }
    return is_call(reading, value, "least", item) ? CAIRN_SQL_FOLD_SMALLEST : CAIRN_SQL_FOLD_FIRST;
}

static struct cairn_sql_item *item_of(struct cairn_sql_reading *reading, size_t column)
{
    for (size_t i = 0; i < reading->item_count; i++) {
        if (reading->items[i].column == column) {
            return &reading->items[i];
        }
    }
    return NULL;
}

static bool fold_keys(struct cairn_sql_reading *reading)
{
    for (size_t i = 0; i < reading->table->key_count; i++) {
        size_t column = reading->table->key[i];
        struct cairn_sql_item *item = item_of(reading, column);
        if (item == NULL || !reading->table->columns[column].not_null ||
            !column_can(reading, column, CAIRN_SQL_TYPE_GROUP)) {
            return false;
        }
        item->fold = CAIRN_SQL_FOLD_KEY;
    }
    return reading->table->key_count > 0;
}

static bool fold_assignments(struct cairn_sql_reading *reading)
{
    for (size_t i = 0; i < reading->assignment_count; i++) {
        const struct cairn_sql_assignment *set = &reading->assignments[i];
        struct cairn_sql_item *item = item_of(reading, set->column);
        if (item == NULL || item->fold != CAIRN_SQL_FOLD_FIRST) {
            return false; /* a key, or a column that only a default fills */
        }
        item->fold = fold_of(reading, set->value, item);
        if (item->fold == CAIRN_SQL_FOLD_FIRST) {
            return false;
        }
    }
    return reading->assignment_count > 0;
}

/* Do the columns' types allow what is made of them? */
static bool columns_can(const struct cairn_sql_reading *reading)
{
    static const unsigned needs[] = {
        [CAIRN_SQL_FOLD_FIRST] = CAIRN_SQL_TYPE_CAST,
        [CAIRN_SQL_FOLD_KEY] = CAIRN_SQL_TYPE_GROUP,
        [CAIRN_SQL_FOLD_LAST] = CAIRN_SQL_TYPE_CAST,
        [CAIRN_SQL_FOLD_SUM] = CAIRN_SQL_TYPE_SUM,
        [CAIRN_SQL_FOLD_LARGEST] = CAIRN_SQL_TYPE_ORDER,
        [CAIRN_SQL_FOLD_SMALLEST] = CAIRN_SQL_TYPE_ORDER,
    };
    for (size_t i = 0; i < reading->item_count; i++) {
        const struct cairn_sql_item *item = &reading->items[i];
        if (!column_can(reading, item->column, needs[item->fold])) {
            return false;
        }
    }
    return true;
}

bool cairn_sql_fold_read(struct cairn_sql_reading *reading)
{
    const struct cairn_sql_table *table = reading->table;
    assert(table != NULL && table->local);
    if (table->checked || table->ordered || reading->where.end > reading->where.begin) {
        return false;
    }
    return fold_keys(reading) && fold_assignments(reading) && columns_can(reading);
}

/* ---- UPDATE ---- */

/* The column itself, plain or by the row's name. */
static bool is_own_column(const struct cairn_sql_reading *reading, struct cairn_sql_span span,
                          size_t column)
{
    const struct cairn_sql_token *token = &reading->tokens[span.begin];
    bool plain =
        span.end - span.begin == 1 && cairn_sql_column_named(reading->table, token) == column;
    return plain || is_column(reading, span, false, column);
}

/* A parameter, under one cast at most, which is what gives it its type; or one literal. */
static bool comes_in(const struct cairn_sql_reading *reading, struct cairn_sql_span span)
{
    const struct cairn_sql_token *token = &reading->tokens[span.begin];
    size_t count = span.end - span.begin;
    bool cast = count == 3 && token[1].kind == CAIRN_SQL_CAST && token[2].kind == CAIRN_SQL_WORD;
    return (token->kind == CAIRN_SQL_PARAMETER && (count == 1 || cast)) ||
           ((token->kind == CAIRN_SQL_NUMBER || token->kind == CAIRN_SQL_STRING) && count == 1);
}

/* Does it come in as a value of the column's type, so that nothing is lost on its way? */
static bool comes_in_as(const struct cairn_sql_reading *reading, struct cairn_sql_span span,
                        size_t column)
{
    const struct cairn_sql_token *token = &reading->tokens[span.begin];
    struct cairn_slice type = reading->table->columns[column].type;
    const struct cairn_sql_type_facts *facts = cairn_sql_type_facts(type);
    if (!comes_in(reading, span)) {
        return false;
    }
    if (token->kind == CAIRN_SQL_PARAMETER) {
        size_t param = cairn_sql_param_number(reading->statement, token);
        return cairn_slice_equal(reading->param_types[param], type);
    }
    return token->kind == CAIRN_SQL_NUMBER && facts != NULL &&
           facts->class == CAIRN_SQL_CLASS_INTEGER && is_digits(token->text);
}

/* Of two operands, one of them the column itself: the other. Only the column is taken away from. */
static bool other_of(const struct cairn_sql_reading *reading, struct cairn_sql_span span, char mark,
                     size_t column, struct cairn_sql_span *ret_other)
{
    size_t at = span.begin;
    while (at < span.end && !cairn_sql_token_is_mark(&reading->tokens[at], mark)) {
        at++;
    }
    if (at == span.begin || at + 1 >= span.end) {
        return false;
    }
    struct cairn_sql_span left = {span.begin, at};
    struct cairn_sql_span right = {at + 1, span.end};
    bool leads = is_own_column(reading, left, column);
    *ret_other = leads ? right : left;
    return (leads || (mark != '-' && is_own_column(reading, right, column))) &&
           comes_in_as(reading, *ret_other, column);
}

static bool read_change(const struct cairn_sql_reading *reading,
                        const struct cairn_sql_assignment *set, struct cairn_sql_item *item)
{
    const struct cairn_sql_token *token = &reading->tokens[set->value.begin];
    struct cairn_sql_span within = {set->value.begin + 2, set->value.end - 1};
    bool calls = set->value.end - set->value.begin > 3 && cairn_sql_token_is_mark(token + 1, '(') &&
                 cairn_sql_token_is_mark(&reading->tokens[set->value.end - 1], ')');
    item->column = set->column;
    item->fold = CAIRN_SQL_FOLD_LAST;
    item->value = set->value;
    if (comes_in(reading, set->value)) {
        return true;
    }
    if (calls && cairn_sql_token_is(token, "greatest")) {
        item->fold = CAIRN_SQL_FOLD_LARGEST;
    } else if (calls && cairn_sql_token_is(token, "least")) {
        item->fold = CAIRN_SQL_FOLD_SMALLEST;
    } else {
        item->fold = CAIRN_SQL_FOLD_SUM;
    }
    if (item->fold != CAIRN_SQL_FOLD_SUM) {
        return other_of(reading, within, ',', set->column, &item->value);
    }
    item->negated = other_of(reading, set->value, '-', set->column, &item->value);
    return item->negated || other_of(reading, set->value, '+', set->column, &item->value);
}

bool cairn_sql_fold_read_update(struct cairn_sql_reading *reading,
                                const struct cairn_sql_assignment *equals, size_t equal_count)
{
    const struct cairn_sql_table *table = reading->table;
    bool folds = !table->checked && !table->ordered && equal_count == table->key_count;
    assert(reading->item_count == 0 && reading->assignment_count > 0);
    for (size_t i = 0; i < equal_count && folds; i++) {
        reading->items[reading->item_count++] = (struct cairn_sql_item){
            .column = equals[i].column, .value = equals[i].value, .fold = CAIRN_SQL_FOLD_KEY};
    }
    for (size_t i = 0; i < reading->assignment_count && folds; i++) {
        folds =
            reading->item_count < CAIRN_SQL_COLUMNS_MAX &&
            read_change(reading, &reading->assignments[i], &reading->items[reading->item_count++]);
    }
    return folds && columns_can(reading);
}

/* ---- sums that may change places ---- */

bool cairn_sql_fold_commutes(const struct cairn_sql_reading *reading,
                             uint64_t sums[CAIRN_SQL_COLUMNS_MAX / 64])
{
    uint64_t bits[CAIRN_SQL_COLUMNS_MAX / 64] = {0};
    size_t count = 0;
    for (size_t i = 0; i < reading->item_count; i++) {
        const struct cairn_sql_item *item = &reading->items[i];
        if (item->fold == CAIRN_SQL_FOLD_KEY) {
            continue;
        }
        if (item->fold != CAIRN_SQL_FOLD_SUM ||
            !column_can(reading, item->column, CAIRN_SQL_TYPE_COMMUTE)) {
            return false;
        }
        bits[item->column / 64] |= UINT64_C(1) << (item->column % 64);
        count++;
    }
    assert(count > 0); /* what folds assigns something */
    memcpy(sums, bits, sizeof(bits));
    return true;
}
