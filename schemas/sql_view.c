#include "schemas/sql_view.h"

#include <assert.h>

#include "schemas/event.h"
#include "schemas/sql_note.h"

/* Names that belong to the tables that Cairn keeps beside a view's. */
#define OWN_PREFIX CAIRN_SLICE_LIT("_cairn")

/* A view's file being read. */
struct reading {
    struct cairn_sql_view view;
    struct cairn_arena *arena;
};

/* ---- the settings ---- */

static enum cairn_rc expect_no_statement(const struct cairn_sql_note *note, struct cairn_err *err)
{
    return note->statement_count == 0
               ? CAIRN_OK
               : CAIRN_FAIL(err, CAIRN_EINVAL,
                            "line %u: a statement stands behind \"-- table:\" or \"-- on: EVENT\"",
                            note->statements[0].line);
}

static enum cairn_rc take_name(void *into, const struct cairn_sql_note *note, struct cairn_err *err)
{
    const struct reading *reading = into;
    if (!cairn_slice_equal(note->value, reading->view.name)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "line %u: view: \"%.*s\" is not the file's name, \"%.*s\"", note->line,
                          CAIRN_SLICE_ARG(note->value), CAIRN_SLICE_ARG(reading->view.name));
    }
    return expect_no_statement(note, err);
}

static enum cairn_rc take_version(void *into, const struct cairn_sql_note *note,
                                  struct cairn_err *err)
{
    struct reading *reading = into;
    uint64_t version = 0;
    if (cairn_slice_to_u64(note->value, &version) != CAIRN_OK || version < 1 ||
        version > UINT32_MAX) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "line %u: version: must be an integer from 1",
                          note->line);
    }
    reading->view.version = (uint32_t)version;
    return expect_no_statement(note, err);
}

static bool has_key(const struct cairn_sql_view *view, struct cairn_slice column)
{
    for (size_t i = 0; i < view->key_count; i++) {
        if (cairn_slice_equal(view->keys[i], column)) {
            return true;
        }
    }
    return false;
}

static enum cairn_rc take_key(void *into, const struct cairn_sql_note *note, struct cairn_err *err)
{
    struct reading *reading = into;
    struct cairn_slice rest = note->value;
    struct cairn_slice column;
    reading->view.key_line = note->line;
    while (cairn_sql_note_item(&rest, &column)) {
        if (!cairn_sql_name_is_plain(column) || has_key(&reading->view, column)) {
            return CAIRN_FAIL(err, CAIRN_EINVAL,
                              "line %u: key: \"%.*s\" is no column (lower case letters, digits and "
                              "'_'), or is there twice",
                              note->line, CAIRN_SLICE_ARG(column));
        }
        if (reading->view.key_count == CAIRN_SQL_VIEW_KEYS_MAX) {
            return CAIRN_FAIL(err, CAIRN_ETOOBIG, "line %u: key: more than %d columns", note->line,
                              CAIRN_SQL_VIEW_KEYS_MAX);
        }
        reading->view.keys[reading->view.key_count++] = column;
    }
    return expect_no_statement(note, err);
}

static enum cairn_rc take_on_error(void *into, const struct cairn_sql_note *note,
                                   struct cairn_err *err)
{
    struct reading *reading = into;
    reading->view.parks = cairn_slice_is(note->value, "park");
    if (!reading->view.parks && !cairn_slice_is(note->value, "stop")) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "line %u: on_error: must be stop or park", note->line);
    }
    return expect_no_statement(note, err);
}

/* ---- the tables ---- */

/* A name as the server keeps it: folded to lower case, or without its quotes. */
static enum cairn_rc fold_name(const struct cairn_sql_token *token, struct cairn_arena *arena,
                               struct cairn_slice *ret_name, struct cairn_err *err)
{
    char *name = cairn_arena_alloc(arena, token->text.size + 1);
    if (name == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a table's name");
    }
    bool quoted = token->kind == CAIRN_SQL_QUOTED;
    size_t size = 0;
    size_t end = token->text.size - (quoted ? 1 : 0);
    for (size_t i = quoted ? 1 : 0; i < end; i++) {
        char c = token->text.data[i];
        name[size++] = !quoted && c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        i += quoted && c == '"' ? 1 : 0;
    }
    *ret_name = cairn_slice_of(name, size);
    return CAIRN_OK;
}

static enum cairn_rc check_table_name(const struct cairn_sql_token *token,
                                      const struct cairn_sql_token *next, unsigned line,
                                      struct cairn_err *err)
{
    const char *why = NULL;
    bool named = token->kind == CAIRN_SQL_WORD ||
                 (token->kind == CAIRN_SQL_QUOTED && token->text.data[0] == '"');
    if (!named) {
        why = "a table's name is missing, or not a plain or quoted one";
    } else if (next->kind == CAIRN_SQL_MARK && cairn_slice_is(next->text, ".")) {
        why = "a table is named without a schema: each domain has one of its own";
    }
    return why == NULL ? CAIRN_OK : CAIRN_FAIL(err, CAIRN_EINVAL, "line %u: %s", line, why);
}

/* The next tokens of a statement, which was scanned before and has no fault. */
static void next_tokens(struct cairn_sql_scan *scan, struct cairn_sql_token *tokens, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum cairn_rc rc = cairn_sql_scan_next(scan, &tokens[i], NULL);
        assert(rc == CAIRN_OK);
        (void)rc;
    }
}

static enum cairn_rc add_table(struct reading *reading, const struct cairn_sql_statement *statement,
                               struct cairn_err *err)
{
    struct cairn_sql_scan scan = cairn_sql_scan_begin(statement->source);
    struct cairn_sql_token tokens[2];
    struct cairn_slice name;
    do {
        next_tokens(&scan, tokens, 1);
    } while (!cairn_sql_token_is(&tokens[0], "TABLE"));
    next_tokens(&scan, tokens, 1);
    if (cairn_sql_token_is(&tokens[0], "IF")) {
        next_tokens(&scan, tokens, 2); /* NOT EXISTS */
        next_tokens(&scan, tokens, 1);
    }
    next_tokens(&scan, &tokens[1], 1);
    unsigned line = statement->line + tokens[0].line - 1;
    enum cairn_rc rc = check_table_name(&tokens[0], &tokens[1], line, err);
    if (rc == CAIRN_OK) {
        rc = fold_name(&tokens[0], reading->arena, &name, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (name.size > CAIRN_SQL_TABLE_BYTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "line %u: a table's name has 63 bytes at most", line);
    }
    reading->view.created[reading->view.created_count++] =
        (struct cairn_sql_created){.name = name, .line = line};
    return CAIRN_OK;
}

static bool is_own(const struct cairn_sql_token *token)
{
    struct cairn_slice text = token->text;
    if (token->kind == CAIRN_SQL_QUOTED && text.data[0] == '"') {
        return cairn_slice_starts(cairn_slice_of(text.data + 1, text.size - 1), OWN_PREFIX);
    }
    text.size = text.size > OWN_PREFIX.size ? OWN_PREFIX.size : text.size;
    return token->kind == CAIRN_SQL_WORD && cairn_slice_equal_nocase(text, OWN_PREFIX);
}

/* The checkpoint lies beside the view's tables, in reach of its statements. */
static enum cairn_rc check_names(const struct cairn_sql_statement *statement, struct cairn_err *err)
{
    struct cairn_sql_scan scan = cairn_sql_scan_begin(statement->source);
    struct cairn_sql_token token;
    for (next_tokens(&scan, &token, 1); token.kind != CAIRN_SQL_END;
         next_tokens(&scan, &token, 1)) {
        if (is_own(&token)) {
            return CAIRN_FAIL(err, CAIRN_EINVAL,
                              "line %u: %.*s: names that begin with _cairn are the service's own",
                              statement->line + token.line - 1, CAIRN_SLICE_ARG(token.text));
        }
    }
    return CAIRN_OK;
}

/* A table whose rows can go while the view's place in the log stays is never whole again. */
static enum cairn_rc check_keeps_rows(const struct cairn_sql_statement *statement,
                                      struct cairn_err *err)
{
    static const char unlogged[] = "a crash of PostgreSQL empties an UNLOGGED table";
    static const char temporary[] = "a temporary table goes with its session";
    static const struct {
        const char *before;
        const char *word;
        const char *why;
    } refused[] = {
        {"CREATE", "UNLOGGED", unlogged}, {"SET", "UNLOGGED", unlogged},
        {"CREATE", "TEMP", temporary},    {"CREATE", "TEMPORARY", temporary},
        {"LOCAL", "TEMP", temporary},     {"LOCAL", "TEMPORARY", temporary},
        {"GLOBAL", "TEMP", temporary},    {"GLOBAL", "TEMPORARY", temporary},
    };
    struct cairn_sql_scan scan = cairn_sql_scan_begin(statement->source);
    struct cairn_sql_token before = {.kind = CAIRN_SQL_END};
    struct cairn_sql_token token;
    for (next_tokens(&scan, &token, 1); token.kind != CAIRN_SQL_END;
         next_tokens(&scan, &token, 1)) {
        for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
            if (cairn_sql_token_is(&before, refused[i].before) &&
                cairn_sql_token_is(&token, refused[i].word)) {
                return CAIRN_FAIL(err, CAIRN_EINVAL,
                                  "line %u: %s, and the view would go on without its rows",
                                  statement->line + token.line - 1, refused[i].why);
            }
        }
        before = token;
    }
    return CAIRN_OK;
}

/* What moves with its table when a generation is switched, and nothing else. */
static enum cairn_rc check_definition(const struct cairn_sql_statement *statement,
                                      struct cairn_err *err)
{
    static const char *const known[] = {"CREATE TABLE", "CREATE INDEX", "CREATE UNIQUE INDEX",
                                        "ALTER TABLE",  "COMMENT ON",   "GRANT"};
    if (statement->param_count > 0) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "line %u: a definition has no parameters like :%.*s",
                          cairn_sql_param_line(statement, statement->params[0]),
                          CAIRN_SLICE_ARG(statement->params[0]));
    }
    enum cairn_rc rc = check_names(statement, err);
    rc = rc == CAIRN_OK ? check_keeps_rows(statement, err) : rc;
    if (rc != CAIRN_OK) {
        return rc;
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (cairn_sql_begins(statement, known[i])) {
            return CAIRN_OK;
        }
    }
    return CAIRN_FAIL(err, CAIRN_EINVAL,
                      "line %u: behind \"-- table:\" stand CREATE TABLE, CREATE INDEX, ALTER "
                      "TABLE, COMMENT ON and GRANT",
                      statement->line);
}

static enum cairn_rc check_statement_count(const struct cairn_sql_note *note, const char *what,
                                           struct cairn_err *err)
{
    if (note->statement_count == 0) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "line %u: %s: no statement follows", note->line, what);
    }
    if (note->statement_count > CAIRN_SQL_VIEW_STATEMENTS_MAX) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "line %u: %s: more than %d statements", note->line,
                          what, CAIRN_SQL_VIEW_STATEMENTS_MAX);
    }
    return CAIRN_OK;
}

static enum cairn_rc take_table(void *into, const struct cairn_sql_note *note,
                                struct cairn_err *err)
{
    struct reading *reading = into;
    if (note->value.size > 0) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "line %u: table: nothing stands behind the colon",
                          note->line);
    }
    enum cairn_rc rc = check_statement_count(note, "table", err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    reading->view.tables = note->statements;
    reading->view.table_count = note->statement_count;
    reading->view.created =
        cairn_arena_zalloc(reading->arena, note->statement_count, sizeof(*reading->view.created));
    if (reading->view.created == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "the tables of a view");
    }
    for (size_t i = 0; i < note->statement_count && rc == CAIRN_OK; i++) {
        const struct cairn_sql_statement *statement = &note->statements[i];
        rc = check_definition(statement, err);
        if (rc == CAIRN_OK && cairn_sql_begins(statement, "CREATE TABLE")) {
            rc = add_table(reading, statement, err);
        }
    }
    if (rc == CAIRN_OK && cairn_sql_view_table(&reading->view, reading->view.name) == NULL) {
        rc = CAIRN_FAIL(err, CAIRN_EINVAL, "line %u: table: one must be called as the view, %.*s",
                        note->line, CAIRN_SLICE_ARG(reading->view.name));
    }
    return rc;
}

/* ---- the handlers ---- */

static bool has_type(const struct cairn_sql_handler *handler, struct cairn_slice type)
{
    for (size_t i = 0; i < handler->type_count; i++) {
        if (cairn_slice_equal(handler->types[i], type)) {
            return true;
        }
    }
    return false;
}

static size_t count_items(struct cairn_slice list)
{
    struct cairn_slice item;
    size_t count = 0;
    while (cairn_sql_note_item(&list, &item)) {
        count++;
    }
    return count;
}

static enum cairn_rc take_types(struct reading *reading, const struct cairn_sql_note *note,
                                struct cairn_sql_handler *handler, struct cairn_err *err)
{
    struct cairn_slice rest = note->value;
    struct cairn_slice type;
    handler->types =
        cairn_arena_zalloc(reading->arena, count_items(rest), sizeof(struct cairn_slice));
    if (handler->types == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a handler of events");
    }
    while (cairn_sql_note_item(&rest, &type)) {
        if (!cairn_type_is_valid(type)) {
            return CAIRN_FAIL(err, CAIRN_EINVAL, "line %u: on: \"%.*s\" is no name of an event",
                              note->line, CAIRN_SLICE_ARG(type));
        }
        if (has_type(handler, type) || cairn_sql_view_handler(&reading->view, type) != NULL) {
            return CAIRN_FAIL(err, CAIRN_EINVAL, "line %u: on: %.*s is handled twice", note->line,
                              CAIRN_SLICE_ARG(type));
        }
        handler->types[handler->type_count++] = type;
    }
    return CAIRN_OK;
}

/* A statement that ends or begins a transaction would tear rows and checkpoint apart. */
static enum cairn_rc check_change(const struct cairn_sql_statement *statement,
                                  struct cairn_err *err)
{
    static const char *const known[] = {"INSERT", "UPDATE", "DELETE", "MERGE", "WITH"};
    enum cairn_rc rc = check_names(statement, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (cairn_sql_begins(statement, known[i])) {
            return CAIRN_OK;
        }
    }
    return CAIRN_FAIL(err, CAIRN_EINVAL,
                      "line %u: behind \"-- on:\" stand INSERT, UPDATE, DELETE, MERGE and WITH",
                      statement->line);
}

static enum cairn_rc take_on(void *into, const struct cairn_sql_note *note, struct cairn_err *err)
{
    struct reading *reading = into;
    struct cairn_sql_handler handler = {.line = note->line};
    if (reading->view.handler_count == CAIRN_SQL_VIEW_HANDLERS_MAX) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "line %u: on: more than %d handlers", note->line,
                          CAIRN_SQL_VIEW_HANDLERS_MAX);
    }
    enum cairn_rc rc = take_types(reading, note, &handler, err);
    if (rc == CAIRN_OK) {
        rc = check_statement_count(note, "on", err);
    }
    for (size_t i = 0; i < note->statement_count && rc == CAIRN_OK; i++) {
        rc = check_change(&note->statements[i], err);
    }
    if (rc == CAIRN_OK) {
        handler.statements = note->statements;
        handler.statement_count = note->statement_count;
        reading->view.handlers[reading->view.handler_count++] = handler;
    }
    return rc;
}

/* ---- the file ---- */

enum cairn_rc cairn_sql_view_read(struct cairn_slice name, struct cairn_slice source,
                                  struct cairn_arena *arena, struct cairn_sql_view *ret_view,
                                  struct cairn_err *err)
{
    static const struct cairn_sql_note_rule rules[] = {
        {.name = "view", .required = true, .take = take_name},
        {.name = "version", .required = true, .take = take_version},
        {.name = "key", .take = take_key},
        {.name = "on_error", .take = take_on_error},
        {.name = "table", .required = true, .take = take_table},
        {.name = "on", .required = true, .repeats = true, .take = take_on},
    };
    assert(name.size > 0 && ret_view != NULL);
    struct reading reading = {.view = {.name = name}, .arena = arena};
    reading.view.handlers =
        cairn_arena_zalloc(arena, CAIRN_SQL_VIEW_HANDLERS_MAX, sizeof(*reading.view.handlers));
    if (reading.view.handlers == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a view");
    }
    enum cairn_rc rc =
        cairn_sql_notes_take(source, rules, sizeof(rules) / sizeof(rules[0]), &reading, arena, err);
    if (rc == CAIRN_OK) {
        *ret_view = reading.view;
    }
    return rc;
}

const struct cairn_sql_handler *cairn_sql_view_handler(const struct cairn_sql_view *view,
                                                       struct cairn_slice type)
{
    assert(view != NULL);
    for (size_t i = 0; i < view->handler_count; i++) {
        if (has_type(&view->handlers[i], type)) {
            return &view->handlers[i];
        }
    }
    return NULL;
}

const struct cairn_sql_created *cairn_sql_view_table(const struct cairn_sql_view *view,
                                                     struct cairn_slice name)
{
    assert(view != NULL);
    for (size_t i = 0; i < view->created_count; i++) {
        if (cairn_slice_equal(view->created[i].name, name)) {
            return &view->created[i];
        }
    }
    return NULL;
}

enum cairn_sql_origin cairn_sql_origin(struct cairn_slice param)
{
    static const char *const names[] = {
        [CAIRN_SQL_FROM_STREAM] = "stream",       [CAIRN_SQL_FROM_ID] = "id",
        [CAIRN_SQL_FROM_TYPE] = "type",           [CAIRN_SQL_FROM_VERSION] = "version",
        [CAIRN_SQL_FROM_TIME] = "time",           [CAIRN_SQL_FROM_POSITION] = "position",
        [CAIRN_SQL_FROM_AGGREGATE] = "aggregate", [CAIRN_SQL_FROM_AGGREGATE_ID] = "aggregate_id",
        [CAIRN_SQL_FROM_PRINCIPAL] = "principal", [CAIRN_SQL_FROM_DATA] = "data",
    };
    for (size_t i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
        if (cairn_slice_is(param, names[i])) {
            return (enum cairn_sql_origin)i;
        }
    }
    return CAIRN_SQL_FROM_MEMBER;
}
