#include "schemas/sql_query.h"

#include <assert.h>

#include "platform/json.h"
#include "platform/utf8.h"
#include "schemas/format.h"
#include "schemas/sql_note.h"

#define JSON_ARENA_MAX     ((size_t)4 * 1024 * 1024)
#define EXPONENT_MAX       1000
#define NUMBER_SIZE_MAX    1000
#define TIMESTAMP_SIZE_MAX 64
#define OFFSET_MAX         "16:00" /* hours and minutes that PostgreSQL does not take any more */

/* A query's file being read. */
struct reading {
    struct cairn_sql_query query;
    struct cairn_arena *arena;
    bool has_statement;
};

/* ---- types ---- */

static bool holds_integer(struct cairn_slice text)
{
    int64_t number;
    return cairn_slice_to_i64(text, &number) == CAIRN_OK;
}

static size_t pass_digits(struct cairn_slice text, size_t at)
{
    while (at < text.size && text.data[at] >= '0' && text.data[at] <= '9') {
        at++;
    }
    return at;
}

/* -12, 1.5, 1e-9 */
static bool holds_number(struct cairn_slice text)
{
    size_t begin = text.size > 0 && text.data[0] == '-' ? 1 : 0;
    size_t at = pass_digits(text, begin);
    if (at == begin || text.size > NUMBER_SIZE_MAX) {
        return false;
    }
    if (at < text.size && text.data[at] == '.') {
        size_t point = at;
        at = pass_digits(text, at + 1);
        if (at == point + 1) {
            return false;
        }
    }
    if (at == text.size) {
        return true;
    }
    int64_t exponent;
    struct cairn_slice rest = cairn_slice_of(text.data + at + 1, text.size - at - 1);
    if (rest.size > 1 && rest.data[0] == '+' && rest.data[1] != '-') {
        rest = cairn_slice_of(rest.data + 1, rest.size - 1);
    }
    return (text.data[at] == 'e' || text.data[at] == 'E') &&
           cairn_slice_to_i64(rest, &exponent) == CAIRN_OK && exponent >= -EXPONENT_MAX &&
           exponent <= EXPONENT_MAX;
}

static bool holds_text(struct cairn_slice text)
{
    return cairn_utf8_is_valid(text) && cairn_slice_find(text, '\0') == text.size;
}

static bool holds_boolean(struct cairn_slice text)
{
    return cairn_slice_is(text, "true") || cairn_slice_is(text, "false");
}

static bool matches(const char *format, struct cairn_slice text)
{
    const struct cairn_format *found = cairn_format_find(cairn_slice_str(format));
    assert(found != NULL);
    return found->matches(text);
}

/* PostgreSQL has no year 0. */
static bool has_year(struct cairn_slice text)
{
    return !cairn_slice_starts(text, CAIRN_SLICE_LIT("0000"));
}

static bool holds_date(struct cairn_slice text)
{
    return matches("date", text) && has_year(text);
}

static bool holds_timestamp(struct cairn_slice text)
{
    if (text.size > TIMESTAMP_SIZE_MAX || !matches("date-time", text) || !has_year(text)) {
        return false;
    }
    const size_t size = sizeof("+00:00") - 1;
    struct cairn_slice offset = cairn_slice_of(text.data + text.size - size, size);
    bool zulu = text.data[text.size - 1] == 'Z' || text.data[text.size - 1] == 'z';
    return zulu || memcmp(offset.data + 1, OFFSET_MAX, size - 1) < 0;
}

static bool holds_uuid(struct cairn_slice text)
{
    return matches("uuid", text);
}

static bool holds_json(struct cairn_slice text)
{
    struct cairn_arena arena = {.max = JSON_ARENA_MAX};
    struct cairn_value value;
    bool holds = cairn_json_read(text, &arena, &value, NULL, NULL) == CAIRN_OK;
    cairn_arena_fini(&arena);
    return holds;
}

static const struct {
    const char *word;
    const char *name; /* PostgreSQL's */
    bool (*holds)(struct cairn_slice text);
} type_rows[] = {
    [CAIRN_SQL_INTEGER] = {"integer", "bigint", holds_integer},
    [CAIRN_SQL_NUMBER_TYPE] = {"number", "numeric", holds_number},
    [CAIRN_SQL_TEXT] = {"text", "text", holds_text},
    [CAIRN_SQL_BOOLEAN] = {"boolean", "boolean", holds_boolean},
    [CAIRN_SQL_DATE] = {"date", "date", holds_date},
    [CAIRN_SQL_TIMESTAMP] = {"timestamp", "timestamptz", holds_timestamp},
    [CAIRN_SQL_UUID] = {"uuid", "uuid", holds_uuid},
    [CAIRN_SQL_JSON] = {"json", "jsonb", holds_json},
};

#define TYPE_COUNT (sizeof(type_rows) / sizeof(type_rows[0]))

const char *cairn_sql_type_name(enum cairn_sql_type type)
{
    assert((size_t)type < TYPE_COUNT);
    return type_rows[type].name;
}

const char *cairn_sql_type_label(enum cairn_sql_type type)
{
    assert((size_t)type < TYPE_COUNT);
    return type_rows[type].word;
}

bool cairn_sql_type_holds(enum cairn_sql_type type, struct cairn_slice text)
{
    assert((size_t)type < TYPE_COUNT);
    return type_rows[type].holds(text);
}

/* ---- the annotations ---- */

/* The statement stands behind the last annotation, whichever that is. */
static enum cairn_rc take_statement(struct reading *reading, const struct cairn_sql_note *note,
                                    struct cairn_err *err)
{
    if (note->statement_count == 0) {
        return CAIRN_OK;
    }
    const struct cairn_sql_statement *first = &note->statements[0];
    if (reading->has_statement || note->statement_count > 1) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "line %u: a query is one statement",
                          reading->has_statement ? first->line : note->statements[1].line);
    }
    if (!cairn_sql_begins(first, "SELECT") && !cairn_sql_begins(first, "WITH")) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "line %u: a query begins with SELECT or WITH",
                          first->line);
    }
    reading->query.statement = *first;
    reading->has_statement = true;
    return CAIRN_OK;
}

static enum cairn_rc take_name(void *into, const struct cairn_sql_note *note, struct cairn_err *err)
{
    struct reading *reading = into;
    if (!cairn_slice_equal(note->value, reading->query.name)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "line %u: query: \"%.*s\" is not the file's name, \"%.*s\"", note->line,
                          CAIRN_SLICE_ARG(note->value), CAIRN_SLICE_ARG(reading->query.name));
    }
    return take_statement(reading, note, err);
}

static enum cairn_rc take_summary(void *into, const struct cairn_sql_note *note,
                                  struct cairn_err *err)
{
    struct reading *reading = into;
    reading->query.summary = note->value;
    return take_statement(reading, note, err);
}

static const struct cairn_sql_param *find_param(const struct cairn_sql_query *query,
                                                struct cairn_slice name)
{
    for (size_t i = 0; i < query->param_count; i++) {
        if (cairn_slice_equal(query->params[i].name, name)) {
            return &query->params[i];
        }
    }
    return NULL;
}

/* null, a text in single quotes (two for one), or the text as it stands. */
static enum cairn_rc read_fallback(struct cairn_slice text, unsigned line,
                                   struct cairn_arena *arena, struct cairn_slice *ret_fallback,
                                   struct cairn_err *err)
{
    *ret_fallback = text;
    if (cairn_slice_is(text, "null")) {
        *ret_fallback = CAIRN_SLICE_NONE;
    }
    if (text.size == 0 || text.data[0] != '\'') {
        return CAIRN_OK;
    }
    char *copy = cairn_arena_alloc(arena, text.size);
    size_t size = 0;
    size_t at = 1;
    if (copy == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a parameter's default");
    }
    for (; at < text.size; at++) {
        bool quote = text.data[at] == '\'';
        if (quote && (at + 1 == text.size || text.data[at + 1] != '\'')) {
            break;
        }
        at += quote ? 1 : 0;
        copy[size++] = text.data[at];
    }
    if (at + 1 != text.size) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "line %u: param: the default's quotes do not match",
                          line);
    }
    *ret_fallback = cairn_slice_of(copy, size);
    return CAIRN_OK;
}

static enum cairn_rc take_default(struct reading *reading, struct cairn_sql_param *param,
                                  struct cairn_slice text, unsigned line, struct cairn_err *err)
{
    enum cairn_rc rc = read_fallback(text, line, reading->arena, &param->fallback, err);
    if (rc == CAIRN_OK && param->fallback.data != NULL &&
        !cairn_sql_type_holds(param->type, param->fallback)) {
        rc = CAIRN_FAIL(err, CAIRN_EINVAL, "line %u: param: the default \"%.*s\" is no %s", line,
                        CAIRN_SLICE_ARG(text), type_rows[param->type].word);
    }
    return rc;
}

/* What a parameter is called: its own, and none that every query has. */
static enum cairn_rc check_param_name(const struct reading *reading, struct cairn_slice name,
                                      unsigned line, struct cairn_err *err)
{
    const char *why = NULL;
    if (!cairn_sql_name_is_plain(name)) {
        why = "is no name (lower case letters, digits and '_')";
    } else if (cairn_slice_is(name, "limit") || cairn_slice_is(name, "cursor")) {
        why = "is a parameter of every query";
    } else if (find_param(&reading->query, name) != NULL) {
        why = "is there twice";
    }
    if (why != NULL) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "line %u: param: \"%.*s\" %s", line,
                          CAIRN_SLICE_ARG(name), why);
    }
    return reading->query.param_count < CAIRN_SQL_PARAMS_MAX
               ? CAIRN_OK
               : CAIRN_FAIL(err, CAIRN_ETOOBIG, "line %u: param: more than %d", line,
                            CAIRN_SQL_PARAMS_MAX);
}

static enum cairn_rc take_type(struct cairn_slice word, unsigned line,
                               enum cairn_sql_type *ret_type, struct cairn_err *err)
{
    size_t type = 0;
    while (type < TYPE_COUNT && !cairn_slice_is(word, type_rows[type].word)) {
        type++;
    }
    if (type == TYPE_COUNT) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "line %u: param: \"%.*s\" is no type (integer, number, text, boolean, "
                          "date, timestamp, uuid, json)",
                          line, CAIRN_SLICE_ARG(word));
    }
    *ret_type = (enum cairn_sql_type)type;
    return CAIRN_OK;
}

/* least integer = 0 */
static enum cairn_rc take_param(void *into, const struct cairn_sql_note *note,
                                struct cairn_err *err)
{
    struct reading *reading = into;
    size_t equals = cairn_slice_find(note->value, '=');
    struct cairn_slice rest = cairn_slice_of(note->value.data, equals);
    struct cairn_sql_param param = {.required = equals == note->value.size};
    param.name = cairn_sql_note_word(&rest);
    enum cairn_rc rc = check_param_name(reading, param.name, note->line, err);
    if (rc == CAIRN_OK) {
        rc = take_type(cairn_slice_trim(rest), note->line, &param.type, err);
    }
    if (rc == CAIRN_OK && !param.required) {
        struct cairn_slice text =
            cairn_slice_of(note->value.data + equals + 1, note->value.size - equals - 1);
        rc = take_default(reading, &param, cairn_slice_trim(text), note->line, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    reading->query.params[reading->query.param_count++] = param;
    return take_statement(reading, note, err);
}

static bool has_order(const struct cairn_sql_query *query, struct cairn_slice column)
{
    for (size_t i = 0; i < query->order_count; i++) {
        if (cairn_slice_equal(query->orders[i].column, column)) {
            return true;
        }
    }
    return false;
}

/* cents desc, account */
static enum cairn_rc take_order(void *into, const struct cairn_sql_note *note,
                                struct cairn_err *err)
{
    struct reading *reading = into;
    struct cairn_sql_query *query = &reading->query;
    struct cairn_slice rest = note->value;
    struct cairn_slice item;
    while (cairn_sql_note_item(&rest, &item)) {
        struct cairn_slice way = item;
        struct cairn_sql_order order = {.column = cairn_sql_note_word(&way)};
        way = cairn_slice_trim(way);
        order.descending = cairn_slice_is(way, "desc");
        if (!cairn_sql_name_is_plain(order.column) || has_order(query, order.column) ||
            !(way.size == 0 || order.descending || cairn_slice_is(way, "asc"))) {
            return CAIRN_FAIL(err, CAIRN_EINVAL,
                              "line %u: order: \"%.*s\" is no column with or without asc or desc, "
                              "or is there twice",
                              note->line, CAIRN_SLICE_ARG(item));
        }
        if (query->order_count == CAIRN_SQL_QUERY_ORDERS_MAX) {
            return CAIRN_FAIL(err, CAIRN_ETOOBIG, "line %u: order: more than %d columns",
                              note->line, CAIRN_SQL_QUERY_ORDERS_MAX);
        }
        query->orders[query->order_count++] = order;
    }
    return take_statement(reading, note, err);
}

static enum cairn_rc read_bound(const struct cairn_sql_note *note, const char *what, uint32_t max,
                                uint32_t *ret_number, struct cairn_err *err)
{
    uint64_t number = 0;
    if (cairn_slice_to_u64(note->value, &number) != CAIRN_OK || number < 1 || number > max) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "line %u: %s: must be an integer from 1 to %u",
                          note->line, what, max);
    }
    *ret_number = (uint32_t)number;
    return CAIRN_OK;
}

static enum cairn_rc take_timeout(void *into, const struct cairn_sql_note *note,
                                  struct cairn_err *err)
{
    struct reading *reading = into;
    enum cairn_rc rc =
        read_bound(note, "timeout", CAIRN_SQL_QUERY_TIMEOUT_MAX, &reading->query.timeout_ms, err);
    return rc == CAIRN_OK ? take_statement(reading, note, err) : rc;
}

static enum cairn_rc take_limit(void *into, const struct cairn_sql_note *note,
                                struct cairn_err *err)
{
    struct reading *reading = into;
    enum cairn_rc rc =
        read_bound(note, "limit", CAIRN_SQL_QUERY_LIMIT_MAX, &reading->query.limit, err);
    return rc == CAIRN_OK ? take_statement(reading, note, err) : rc;
}

/* ---- the file ---- */

static enum cairn_rc check_params(const struct cairn_sql_query *query, struct cairn_err *err)
{
    const struct cairn_sql_statement *statement = &query->statement;
    for (size_t i = 0; i < statement->param_count; i++) {
        if (find_param(query, statement->params[i]) == NULL) {
            return CAIRN_FAIL(err, CAIRN_EINVAL,
                              "line %u: :%.*s is not declared with \"-- param:\"",
                              cairn_sql_param_line(statement, statement->params[i]),
                              CAIRN_SLICE_ARG(statement->params[i]));
        }
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_sql_query_read(struct cairn_slice name, struct cairn_slice source,
                                   struct cairn_arena *arena, struct cairn_sql_query *ret_query,
                                   struct cairn_err *err)
{
    static const struct cairn_sql_note_rule rules[] = {
        {.name = "query", .required = true, .take = take_name},
        {.name = "summary", .take = take_summary},
        {.name = "param", .repeats = true, .take = take_param},
        {.name = "order", .take = take_order},
        {.name = "timeout", .take = take_timeout},
        {.name = "limit", .take = take_limit},
    };
    assert(name.size > 0 && ret_query != NULL);
    struct reading reading = {.arena = arena,
                              .query = {.name = name,
                                        .timeout_ms = CAIRN_SQL_QUERY_TIMEOUT_DEFAULT,
                                        .limit = CAIRN_SQL_QUERY_LIMIT_DEFAULT}};
    enum cairn_rc rc =
        cairn_sql_notes_take(source, rules, sizeof(rules) / sizeof(rules[0]), &reading, arena, err);
    if (rc == CAIRN_OK && !reading.has_statement) {
        rc = CAIRN_FAIL(err, CAIRN_EINVAL, "line 1: there is no statement");
    }
    if (rc == CAIRN_OK) {
        rc = check_params(&reading.query, err);
    }
    if (rc == CAIRN_OK) {
        *ret_query = reading.query;
    }
    return rc;
}
