#include "schemas/sql_shape.h"

#include <assert.h>

#include "schemas/sql_shape_int.h"

/* ---- tokens ---- */

static enum cairn_rc read_tokens(const struct cairn_sql_statement *statement,
                                 struct cairn_arena *arena, struct cairn_sql_reading *reading,
                                 struct cairn_err *err)
{
    struct cairn_sql_scan scan = cairn_sql_scan_begin(statement->source);
    struct cairn_sql_token token = {.kind = CAIRN_SQL_MARK};
    /* A token has a byte at least, and the END needs a place. */
    size_t room = statement->source.size < CAIRN_SQL_SHAPE_TOKENS_MAX ? statement->source.size
                                                                      : CAIRN_SQL_SHAPE_TOKENS_MAX;
    struct cairn_sql_token *tokens = cairn_arena_zalloc(arena, room + 1, sizeof(*tokens));
    if (tokens == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "the tokens of a statement");
    }
    reading->tokens = tokens;
    reading->token_count = 0;
    while (reading->token_count <= room) {
        enum cairn_rc rc = cairn_sql_scan_next(&scan, &token, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        tokens[reading->token_count] = token;
        if (token.kind == CAIRN_SQL_END) {
            return CAIRN_OK;
        }
        reading->token_count++;
    }
    reading->token_count = 0; /* too many: it is not understood */
    tokens[0].kind = CAIRN_SQL_END;
    return CAIRN_OK;
}

static const struct cairn_sql_token *peek(const struct cairn_sql_reading *reading)
{
    assert(reading->at <= reading->token_count);
    return &reading->tokens[reading->at];
}

static bool take(struct cairn_sql_reading *reading, bool there)
{
    reading->at += there ? 1 : 0;
    return there;
}

static bool take_word(struct cairn_sql_reading *reading, const char *word)
{
    return take(reading, cairn_sql_token_is(peek(reading), word));
}

static bool take_mark(struct cairn_sql_reading *reading, char mark)
{
    return take(reading, cairn_sql_token_is_mark(peek(reading), mark));
}

static bool at_end(const struct cairn_sql_reading *reading)
{
    return reading->at == reading->token_count;
}

/* ---- parts of statements: false: it is not understood ---- */

static bool take_table(struct cairn_sql_reading *reading, const struct cairn_sql_table *tables,
                       size_t table_count)
{
    const struct cairn_sql_token *token = peek(reading);
    for (size_t i = 0; i < table_count && reading->table == NULL; i++) {
        if (cairn_sql_token_names(token, tables[i].name)) {
            reading->table = &tables[i];
        }
    }
    reading->row = token;
    return take(reading, reading->table != NULL) && reading->table->local &&
           reading->table->column_count <= CAIRN_SQL_COLUMNS_MAX;
}

/* [AS] alias, before the word that comes next; INSERT wants the AS. */
static bool take_alias(struct cairn_sql_reading *reading, bool needs_as, const char *next)
{
    const struct cairn_sql_token *token = peek(reading);
    bool as = take_word(reading, "as");
    if (!as && (needs_as || cairn_sql_token_is(token, next) || at_end(reading))) {
        return true;
    }
    token = peek(reading);
    reading->row = token;
    return take(reading, token->kind == CAIRN_SQL_WORD || token->kind == CAIRN_SQL_QUOTED);
}

static bool take_column(struct cairn_sql_reading *reading, size_t *ret_column)
{
    size_t column = cairn_sql_column_named(reading->table, peek(reading));
    if (column != SIZE_MAX) {
        *ret_column = column;
    }
    return take(reading, column != SIZE_MAX);
}

static bool has_item(const struct cairn_sql_reading *reading, size_t column)
{
    for (size_t i = 0; i < reading->item_count; i++) {
        if (reading->items[i].column == column) {
            return true;
        }
    }
    return false;
}

/* (a, b, ...), or nothing: all columns. */
static bool take_columns(struct cairn_sql_reading *reading)
{
    bool more = take_mark(reading, '(');
    if (!more) {
        for (size_t i = 0; i < reading->table->column_count; i++) {
            reading->items[i].column = i;
        }
        reading->item_count = reading->table->column_count;
        return true;
    }
    while (more) {
        size_t column = 0;
        if (!take_column(reading, &column) || has_item(reading, column)) {
            return false;
        }
        reading->items[reading->item_count++].column = column;
        more = take_mark(reading, ',');
    }
    return take_mark(reading, ')');
}

/* (e, ...), of one row; of all columns the last ones may be left to their defaults. */
static bool take_values(struct cairn_sql_reading *reading, bool named)
{
    size_t count = 0;
    bool more = take_mark(reading, '(');
    while (more) {
        if (count == reading->item_count ||
            !cairn_sql_expression_read(reading, NULL, &reading->items[count].value)) {
            return false;
        }
        count++;
        more = take_mark(reading, ',');
    }
    if (!take_mark(reading, ')') || count == 0 || (named && count < reading->item_count)) {
        return false;
    }
    reading->item_count = count;
    return true;
}

/* a = e, ...; each column once. */
static bool take_assignments(struct cairn_sql_reading *reading)
{
    do {
        struct cairn_sql_assignment *set = &reading->assignments[reading->assignment_count];
        if (reading->assignment_count == reading->table->column_count ||
            !take_column(reading, &set->column) || !take_mark(reading, '=') ||
            !cairn_sql_expression_read(reading, "where", &set->value)) {
            return false;
        }
        for (size_t i = 0; i < reading->assignment_count; i++) {
            if (reading->assignments[i].column == set->column) {
                return false;
            }
        }
        reading->assignment_count++;
    } while (take_mark(reading, ','));
    return true;
}

/* SET a = e, ... of an UPDATE. */
static bool take_set(struct cairn_sql_reading *reading)
{
    if (!take_word(reading, "set")) {
        return false;
    }
    reading->set.begin = reading->at;
    bool taken = take_assignments(reading);
    reading->set.end = reading->at;
    return taken;
}

static bool take_where(struct cairn_sql_reading *reading)
{
    return take_word(reading, "where") && cairn_sql_expression_read(reading, NULL, &reading->where);
}

static bool take_target(struct cairn_sql_reading *reading)
{
    bool more = take_mark(reading, '(');
    while (more) {
        if (reading->target_count == CAIRN_SQL_KEY_COLUMNS_MAX ||
            !take_column(reading, &reading->target[reading->target_count])) {
            return false;
        }
        reading->target_count++;
        more = take_mark(reading, ',');
    }
    return reading->target_count == 0 || take_mark(reading, ')');
}

/* Is the conflict's target the table's key? */
static bool targets_key(const struct cairn_sql_reading *reading)
{
    const struct cairn_sql_table *table = reading->table;
    size_t found = 0;
    for (size_t i = 0; i < table->key_count; i++) {
        for (size_t n = 0; n < reading->target_count; n++) {
            found += reading->target[n] == table->key[i] ? 1 : 0;
        }
    }
    return table->key_count > 0 && found == table->key_count &&
           reading->target_count == table->key_count;
}

/* ---- keys ---- */

/* Is the value a parameter, under casts that leave it in its class? */
static bool is_key_part(const struct cairn_sql_reading *reading, struct cairn_sql_span value,
                        size_t column, struct cairn_sql_key_part *ret_part)
{
    const struct cairn_sql_token *token = &reading->tokens[value.begin];
    const struct cairn_sql_type_facts *held =
        cairn_sql_type_facts(reading->table->columns[column].type);
    if (token->kind != CAIRN_SQL_PARAMETER || held == NULL ||
        held->class == CAIRN_SQL_CLASS_OTHER || (value.end - value.begin) % 2 == 0) {
        return false;
    }
    size_t param = cairn_sql_param_number(reading->statement, token);
    const struct cairn_sql_type_facts *given = cairn_sql_type_facts(reading->param_types[param]);
    bool same = given != NULL && given->class == held->class;
    for (size_t i = value.begin + 1; i < value.end && same; i += 2) {
        same = reading->tokens[i].kind == CAIRN_SQL_CAST &&
               cairn_sql_type_word(&reading->tokens[i + 1]) == held->class;
    }
    if (same) {
        *ret_part = (struct cairn_sql_key_part){param, (enum cairn_sql_key_type)held->class};
    }
    return same;
}

static void read_key(const struct cairn_sql_reading *reading,
                     const struct cairn_sql_assignment *equals, size_t count,
                     struct cairn_sql_shape *shape)
{
    const struct cairn_sql_table *table = reading->table;
    size_t known = 0;
    for (size_t i = 0; i < table->key_count; i++) {
        for (size_t n = 0; n < count && known == i; n++) {
            known += equals[n].column == table->key[i] &&
                             is_key_part(reading, equals[n].value, table->key[i], &shape->key[i])
                         ? 1
                         : 0;
        }
    }
    assert(known <= table->key_count);
    shape->key_count = known == table->key_count && !table->ordered ? known : 0;
}

/* ---- INSERT ---- */

static void read_insert_key(const struct cairn_sql_reading *reading, struct cairn_sql_shape *shape)
{
    struct cairn_sql_assignment equals[CAIRN_SQL_COLUMNS_MAX];
    for (size_t i = 0; i < reading->item_count; i++) {
        equals[i] = (struct cairn_sql_assignment){.column = reading->items[i].column,
                                                  .value = reading->items[i].value};
    }
    read_key(reading, equals, reading->item_count, shape);
}

/* ON CONFLICT ... to the end. */
static bool take_conflict(struct cairn_sql_reading *reading, struct cairn_sql_shape *shape)
{
    reading->conflict = (struct cairn_sql_span){reading->at, reading->token_count};
    if (!take_word(reading, "on") || !take_word(reading, "conflict") || !take_target(reading) ||
        !take_word(reading, "do")) {
        return false;
    }
    if (take_word(reading, "nothing")) {
        shape->arrays = CAIRN_SQL_ARRAYS_ANY;
        shape->kind = targets_key(reading) ? CAIRN_SQL_UPSERT : CAIRN_SQL_INSERT;
        return at_end(reading);
    }
    reading->sees_excluded = true;
    shape->kind = CAIRN_SQL_UPSERT;
    shape->arrays = CAIRN_SQL_ARRAYS_NONE;
    return take_word(reading, "update") && take_word(reading, "set") && take_assignments(reading) &&
           (at_end(reading) || take_where(reading)) && at_end(reading);
}

static bool holds_params(const struct cairn_sql_reading *reading, struct cairn_sql_span span)
{
    for (size_t i = span.begin; i < span.end; i++) {
        if (reading->tokens[i].kind == CAIRN_SQL_PARAMETER) {
            return true;
        }
    }
    return false;
}

static bool sets_key(const struct cairn_sql_reading *reading)
{
    for (size_t i = 0; i < reading->assignment_count; i++) {
        for (size_t n = 0; n < reading->table->key_count; n++) {
            if (reading->assignments[i].column == reading->table->key[n]) {
                return true;
            }
        }
    }
    return false;
}

/* DO UPDATE: whose rows may share an array? */
static void read_update_arrays(struct cairn_sql_reading *reading, struct cairn_sql_shape *shape)
{
    if (!targets_key(reading) || sets_key(reading)) {
        shape->key_count = 0;
    } else if (cairn_sql_fold_read(reading)) {
        shape->arrays = CAIRN_SQL_ARRAYS_ANY;
        shape->folds = true;
    } else if (shape->key_count > 0 && !holds_params(reading, reading->conflict)) {
        shape->arrays = CAIRN_SQL_ARRAYS_DISTINCT;
    }
}

static bool has_array_params(const struct cairn_sql_reading *reading)
{
    size_t count = reading->statement->param_count;
    for (size_t i = 0; i < count; i++) {
        const struct cairn_sql_type_facts *type = cairn_sql_type_facts(reading->param_types[i]);
        if (type == NULL || (type->flags & CAIRN_SQL_TYPE_ARRAY) == 0) {
            return false;
        }
    }
    return count > 0;
}

static bool read_insert(struct cairn_sql_reading *reading, const struct cairn_sql_table *tables,
                        size_t table_count, struct cairn_sql_shape *shape)
{
    bool into = take_word(reading, "into");
    reading->into.begin = reading->at;
    if (!into || !take_table(reading, tables, table_count) ||
        !take_alias(reading, true, "values")) {
        return false;
    }
    bool named = cairn_sql_token_is_mark(peek(reading), '(');
    if (!take_columns(reading)) {
        return false;
    }
    reading->into.end = reading->at;
    if (!take_word(reading, "values") || !take_values(reading, named)) {
        return false;
    }
    shape->kind = CAIRN_SQL_INSERT;
    shape->arrays = CAIRN_SQL_ARRAYS_ANY;
    if (!at_end(reading) && !take_conflict(reading, shape)) {
        return false;
    }
    read_insert_key(reading, shape);
    if (shape->arrays == CAIRN_SQL_ARRAYS_NONE) {
        read_update_arrays(reading, shape);
    }
    if (!has_array_params(reading)) {
        shape->arrays = CAIRN_SQL_ARRAYS_NONE;
        shape->folds = false;
    }
    return true;
}

/* ---- UPDATE and DELETE ---- */

/* [row.]column = value, whose tokens are all of span. */
static bool read_equal(const struct cairn_sql_reading *reading, struct cairn_sql_span span,
                       struct cairn_sql_assignment *ret_equal)
{
    size_t at = span.begin;
    if (span.end - at > 2 && cairn_sql_token_is_mark(&reading->tokens[at + 1], '.')) {
        at += 2; /* by the row's name: there is no other in sight */
    }
    if (span.end - at < 3 || !cairn_sql_token_is_mark(&reading->tokens[at + 1], '=')) {
        return false;
    }
    size_t column = cairn_sql_column_named(reading->table, &reading->tokens[at]);
    *ret_equal = (struct cairn_sql_assignment){.column = column, .value = {at + 2, span.end}};
    return column != SIZE_MAX;
}

/* Words beside which an AND is not what joins the conditions, or not the last thing that does. */
static bool divides(const struct cairn_sql_token *token)
{
    return cairn_sql_token_is(token, "or") || cairn_sql_token_is(token, "between") ||
           cairn_sql_token_is(token, "case");
}

/* WHERE a = e AND b = e AND ...: which columns it fixes. Whatever else there is narrows it. */
static size_t read_equals(const struct cairn_sql_reading *reading,
                          struct cairn_sql_assignment equals[CAIRN_SQL_KEY_COLUMNS_MAX],
                          bool *ret_narrows)
{
    *ret_narrows = false;
    struct cairn_sql_span part = {reading->where.begin, reading->where.begin};
    size_t count = 0;
    size_t depth = 0;
    for (; part.end <= reading->where.end; part.end++) {
        const struct cairn_sql_token *token = &reading->tokens[part.end];
        bool last = part.end == reading->where.end;
        if (!last && depth == 0 && divides(token)) {
            return 0;
        }
        if (last || (depth == 0 && cairn_sql_token_is(token, "and"))) {
            struct cairn_sql_key_part unused;
            struct cairn_sql_assignment *equal = &equals[count];
            bool fixes = count < CAIRN_SQL_KEY_COLUMNS_MAX && read_equal(reading, part, equal) &&
                         is_key_part(reading, equal->value, equal->column, &unused);
            count += fixes ? 1 : 0;
            *ret_narrows = *ret_narrows || !fixes;
            part.begin = part.end + 1;
        }
        depth += cairn_sql_token_is_mark(token, '(') || cairn_sql_token_is_mark(token, '[') ? 1 : 0;
        depth -= cairn_sql_token_is_mark(token, ')') || cairn_sql_token_is_mark(token, ']') ? 1 : 0;
    }
    return count;
}

static bool has_our_names(const struct cairn_sql_reading *reading)
{
    static const struct cairn_slice name = {CAIRN_SQL_ARRAYS_NAME,
                                            sizeof(CAIRN_SQL_ARRAYS_NAME) - 1};
    bool named = cairn_sql_token_names(reading->row, name);
    for (size_t i = 0; i < reading->table->column_count; i++) {
        named = named || cairn_slice_starts(reading->table->columns[i].name, name);
    }
    return named;
}

/* Which changes of rows by their key may share an array? Each row of a table is changed once by an
 * UPDATE ... FROM, whatever it is joined with; a row that is gone is gone, however often. */
static void read_change_arrays(struct cairn_sql_reading *reading,
                               const struct cairn_sql_assignment *equals, size_t equal_count,
                               struct cairn_sql_shape *shape)
{
    bool updates = reading->set.end > reading->set.begin;
    if (shape->key_count == 0 || has_our_names(reading) || !has_array_params(reading)) {
        return;
    }
    shape->folds = updates && equal_count == shape->key_count &&
                   cairn_sql_fold_read_update(reading, equals, equal_count);
    shape->arrays = updates && !shape->folds ? CAIRN_SQL_ARRAYS_DISTINCT : CAIRN_SQL_ARRAYS_ANY;
}

static bool read_change(struct cairn_sql_reading *reading, const struct cairn_sql_table *tables,
                        size_t table_count, struct cairn_sql_shape *shape)
{
    struct cairn_sql_assignment equals[CAIRN_SQL_KEY_COLUMNS_MAX];
    bool updates = take_word(reading, "update");
    if (!updates && (!take_word(reading, "delete") || !take_word(reading, "from"))) {
        return false;
    }
    reading->into.begin = reading->at;
    if (!take_table(reading, tables, table_count) ||
        !take_alias(reading, false, updates ? "set" : "where")) {
        return false;
    }
    reading->into.end = reading->at;
    reading->sees_row = true;
    if (updates && !take_set(reading)) {
        return false;
    }
    if ((!at_end(reading) && !take_where(reading)) || !at_end(reading)) {
        return false;
    }
    shape->kind = CAIRN_SQL_CHANGE;
    if (!sets_key(reading)) {
        bool narrows = false;
        size_t count = read_equals(reading, equals, &narrows);
        read_key(reading, equals, count, shape);
        read_change_arrays(reading, equals, narrows ? 0 : count, shape);
    }
    return true;
}

/* ---- all ---- */

static const struct cairn_sql_shape unknown_shape = {.kind = CAIRN_SQL_ANYTHING, .table = SIZE_MAX};

static struct cairn_sql_shape read_shape(struct cairn_sql_reading *reading,
                                         const struct cairn_sql_table *tables, size_t table_count)
{
    struct cairn_sql_shape shape = {.kind = CAIRN_SQL_ANYTHING};
    bool understood = take_word(reading, "insert")
                          ? read_insert(reading, tables, table_count, &shape)
                          : read_change(reading, tables, table_count, &shape);
    if (!understood) {
        return unknown_shape;
    }
    assert(shape.kind != CAIRN_SQL_ANYTHING);
    shape.table = (size_t)(reading->table - tables);
    return shape;
}

enum cairn_rc cairn_sql_shape_read(const struct cairn_sql_statement *statement,
                                   const struct cairn_slice *param_types,
                                   const struct cairn_sql_table *tables, size_t table_count,
                                   struct cairn_arena *arena, struct cairn_sql_shape *ret_shape,
                                   struct cairn_err *err)
{
    struct cairn_sql_reading reading = {.statement = statement, .param_types = param_types};
    assert(statement != NULL && arena != NULL && ret_shape != NULL);
    assert(statement->param_count == 0 || param_types != NULL);
    enum cairn_rc rc = read_tokens(statement, arena, &reading, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_sql_shape shape = read_shape(&reading, tables, table_count);
    if (shape.arrays != CAIRN_SQL_ARRAYS_NONE) {
        reading.commutes = shape.folds && shape.kind == CAIRN_SQL_UPSERT &&
                           cairn_sql_fold_commutes(&reading, shape.sums);
        if (shape.folds) {
            cairn_sql_fold_merge(&reading, &shape);
        }
        rc = cairn_sql_arrays_write(&reading, arena, &shape, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        if (shape.text == NULL) {
            shape.arrays = CAIRN_SQL_ARRAYS_NONE;
            shape.folds = false;
            shape.merges = false;
            memset(shape.sums, 0, sizeof(shape.sums));
        }
    }
    *ret_shape = shape;
    return CAIRN_OK;
}
