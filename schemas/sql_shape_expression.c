/* Expressions that compute a value from one row and nothing else. */
#include <assert.h>

#include "schemas/sql_shape_int.h"

/* Words that an expression may hold: keywords of expressions, names of types and fields, and
 * functions of pg_catalog that depend on their arguments and the session's settings alone. None of
 * them begins a subselect. */
static const char *const known_words[] = {
    "null",
    "true",
    "false",
    "and",
    "or",
    "not",
    "is",
    "isnull",
    "notnull",
    "in",
    "between",
    "like",
    "ilike",
    "similar",
    "escape",
    "case",
    "when",
    "then",
    "else",
    "end",
    "distinct",
    "from",
    "any",
    "all",
    "some",
    "array",
    "cast",
    "as",
    "at",
    "for",
    "both",
    "leading",
    "trailing",
    "unknown",
    "symmetric",
    "to",
    /* types */
    "smallint",
    "integer",
    "int",
    "bigint",
    "int2",
    "int4",
    "int8",
    "numeric",
    "decimal",
    "dec",
    "real",
    "float",
    "float4",
    "float8",
    "double",
    "precision",
    "text",
    "varchar",
    "character",
    "varying",
    "char",
    "bpchar",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "with",
    "without",
    "zone",
    "interval",
    "uuid",
    "json",
    "jsonb",
    "boolean",
    "bool",
    "bytea",
    /* fields of a time */
    "millennium",
    "century",
    "decade",
    "year",
    "isoyear",
    "quarter",
    "month",
    "week",
    "day",
    "dow",
    "isodow",
    "doy",
    "hour",
    "minute",
    "second",
    "millisecond",
    "milliseconds",
    "microseconds",
    "epoch",
    /* functions */
    "coalesce",
    "nullif",
    "greatest",
    "least",
    "abs",
    "sign",
    "round",
    "trunc",
    "floor",
    "ceil",
    "ceiling",
    "mod",
    "div",
    "power",
    "sqrt",
    "lower",
    "upper",
    "initcap",
    "length",
    "char_length",
    "octet_length",
    "left",
    "right",
    "substr",
    "substring",
    "trim",
    "btrim",
    "ltrim",
    "rtrim",
    "lpad",
    "rpad",
    "replace",
    "translate",
    "concat",
    "concat_ws",
    "split_part",
    "position",
    "strpos",
    "starts_with",
    "reverse",
    "repeat",
    "md5",
    "sha256",
    "encode",
    "decode",
    "extract",
    "date_trunc",
    "date_part",
    "make_date",
    "to_char",
    "to_date",
    "to_timestamp",
    "to_number",
    "to_json",
    "to_jsonb",
    "jsonb_typeof",
    "json_typeof",
    "jsonb_build_object",
    "jsonb_build_array",
    "json_build_object",
    "json_build_array",
    "jsonb_extract_path_text",
    "json_extract_path_text",
    "jsonb_strip_nulls",
};

static const char known_marks[] = "()[],+-*/%<>=|&#~!^@?";

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool names_plain(struct cairn_slice text, struct cairn_slice name)
{
    if (text.size != name.size) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (lower(text.data[i]) != name.data[i]) {
            return false;
        }
    }
    return true;
}

/* "a ""name""", whose quotes inside are doubled. U&"..." is not read. */
static bool names_quoted(struct cairn_slice text, struct cairn_slice name)
{
    size_t used = 0;
    if (text.size < 2 || text.data[0] != '"') {
        return false;
    }
    for (size_t i = 1; i + 1 < text.size; i++, used++) {
        if (used == name.size || text.data[i] != name.data[used]) {
            return false;
        }
        i += text.data[i] == '"' ? 1 : 0;
    }
    return used == name.size;
}

bool cairn_sql_token_names(const struct cairn_sql_token *token, struct cairn_slice name)
{
    assert(token != NULL);
    if (token->kind == CAIRN_SQL_WORD) {
        return names_plain(token->text, name);
    }
    return token->kind == CAIRN_SQL_QUOTED && names_quoted(token->text, name);
}

bool cairn_sql_token_is_mark(const struct cairn_sql_token *token, char mark)
{
    return token->kind == CAIRN_SQL_MARK && token->text.data[0] == mark;
}

size_t cairn_sql_column_named(const struct cairn_sql_table *table,
                              const struct cairn_sql_token *token)
{
    for (size_t i = 0; i < table->column_count; i++) {
        if (cairn_sql_token_names(token, table->columns[i].name)) {
            return i;
        }
    }
    return SIZE_MAX;
}

size_t cairn_sql_param_number(const struct cairn_sql_statement *statement,
                              const struct cairn_sql_token *token)
{
    assert(token->kind == CAIRN_SQL_PARAMETER);
    size_t i = 0;
    while (i < statement->param_count && statement->places[i] != token->at) {
        i++;
    }
    assert(i < statement->param_count); /* it was numbered from the same text */
    return i;
}

static bool is_known_word(const struct cairn_sql_token *token)
{
    for (size_t i = 0; i < sizeof(known_words) / sizeof(known_words[0]); i++) {
        if (cairn_sql_token_is(token, known_words[i])) {
            return true;
        }
    }
    return false;
}

static bool same_name(const struct cairn_sql_token *a, const struct cairn_sql_token *b)
{
    return a->kind == b->kind &&
           (a->kind == CAIRN_SQL_WORD ? cairn_slice_equal_nocase(a->text, b->text)
                                      : cairn_slice_equal(a->text, b->text));
}

/* row.column or excluded.column, whose three tokens begin at `at`. */
static bool is_column_of_row(const struct cairn_sql_reading *reading, size_t at, size_t end)
{
    const struct cairn_sql_token *row = &reading->tokens[at];
    if (end - at < 3 || !(reading->sees_row || reading->sees_excluded)) {
        return false;
    }
    if (!same_name(row, reading->row) &&
        !(reading->sees_excluded && cairn_sql_token_is(row, "excluded"))) {
        return false;
    }
    return cairn_sql_column_named(reading->table, row + 2) != SIZE_MAX;
}

static bool is_from_clause(const struct cairn_sql_reading *reading, struct cairn_sql_span span,
                           size_t at, size_t depth)
{
    const struct cairn_sql_token *token = &reading->tokens[at];
    return cairn_sql_token_is(token, "from") && depth == 0 &&
           !(at > span.begin && cairn_sql_token_is(token - 1, "distinct"));
}

/* How many tokens make up what a word or quoted name begins; 0: it is not harmless. FROM stands in
 * brackets, or behind DISTINCT: else it would be the clause. */
static size_t harmless_name(const struct cairn_sql_reading *reading, struct cairn_sql_span span,
                            size_t at, size_t depth)
{
    const struct cairn_sql_token *token = &reading->tokens[at];
    if (cairn_sql_token_is_mark(token + 1, '.')) {
        return is_column_of_row(reading, at, span.end) ? 3 : 0;
    }
    if (is_known_word(token)) {
        return is_from_clause(reading, span, at, depth) ? 0 : 1;
    }
    bool called = cairn_sql_token_is_mark(token + 1, '('); /* behind the last token is END */
    return reading->sees_row && !called && cairn_sql_column_named(reading->table, token) != SIZE_MAX
               ? 1
               : 0;
}

/* The same for any token. */
static size_t harmless(const struct cairn_sql_reading *reading, struct cairn_sql_span span,
                       size_t at, size_t depth)
{
    const struct cairn_sql_token *token = &reading->tokens[at];
    if (token->kind == CAIRN_SQL_WORD || token->kind == CAIRN_SQL_QUOTED) {
        return harmless_name(reading, span, at, depth);
    }
    if (token->kind == CAIRN_SQL_CAST) {
        return is_known_word(token + 1) ? 2 : 0;
    }
    if (token->kind == CAIRN_SQL_MARK) {
        return strchr(known_marks, token->text.data[0]) != NULL ? 1 : 0;
    }
    bool value = token->kind == CAIRN_SQL_PARAMETER || token->kind == CAIRN_SQL_STRING ||
                 token->kind == CAIRN_SQL_NUMBER;
    return value ? 1 : 0;
}

static bool is_pure(const struct cairn_sql_reading *reading, struct cairn_sql_span span)
{
    size_t depth = 0;
    for (size_t at = span.begin; at < span.end;) {
        size_t step = harmless(reading, span, at, depth);
        if (step == 0 || step > span.end - at) {
            return false;
        }
        depth += cairn_sql_token_is_mark(&reading->tokens[at], '(') ? 1 : 0;
        depth -= cairn_sql_token_is_mark(&reading->tokens[at], ')') ? 1 : 0;
        at += step;
    }
    return true;
}

/* Brackets of both kinds count as one: what mixes them is no SQL, and is never prepared. */
bool cairn_sql_expression_read(struct cairn_sql_reading *reading, const char *stop,
                               struct cairn_sql_span *ret_span)
{
    struct cairn_sql_span span = {.begin = reading->at, .end = reading->at};
    size_t depth = 0;
    for (; span.end < reading->token_count; span.end++) {
        const struct cairn_sql_token *token = &reading->tokens[span.end];
        bool opens = cairn_sql_token_is_mark(token, '(') || cairn_sql_token_is_mark(token, '[');
        bool closes = cairn_sql_token_is_mark(token, ')') || cairn_sql_token_is_mark(token, ']');
        bool stops = closes || cairn_sql_token_is_mark(token, ',') ||
                     (stop != NULL && cairn_sql_token_is(token, stop));
        if (depth == 0 && stops) {
            break;
        }
        depth += opens ? 1 : 0;
        depth -= closes ? 1 : 0;
    }
    if (depth != 0 || span.end == span.begin || !is_pure(reading, span)) {
        return false;
    }
    assert(span.end > reading->at);
    reading->at = span.end;
    *ret_span = span;
    return true;
}
