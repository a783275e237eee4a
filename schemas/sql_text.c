#include "schemas/sql_text.h"

#include <assert.h>
#include <stdio.h>

/* What a reader of tokens answers for a token that has begun and does not end. */
#define ENDLESS SIZE_MAX

/* ---- bytes, as PostgreSQL's lexer sorts them ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_name_byte(char c)
{
    return is_name_start(c) || is_digit(c);
}

static bool is_word_byte(char c)
{
    return is_name_byte(c) || c == '$';
}

/* The byte at index, 0 behind the end. */
static char byte_at(struct cairn_slice text, size_t index)
{
    return index < text.size ? text.data[index] : '\0';
}

static size_t pass(struct cairn_slice text, size_t at, bool (*is_part)(char))
{
    while (at < text.size && is_part(text.data[at])) {
        at++;
    }
    return at;
}

static struct cairn_slice rest_of(struct cairn_slice text, size_t at)
{
    assert(at <= text.size);
    return at == 0 ? text : cairn_slice_of(text.data + at, text.size - at);
}

static size_t count_lines(struct cairn_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        count += text.data[i] == '\n' ? 1 : 0;
    }
    return count;
}

/* ---- tokens: each reader gives the bytes of its token at the front of text; 0: it is none ---- */

static size_t pass_line_comment(struct cairn_slice text, size_t at)
{
    while (at < text.size && !is_line_end(text.data[at])) {
        at++;
    }
    return at;
}

/* From behind the opening quote to behind the closing one. */
static size_t quoted_end(struct cairn_slice text, size_t at, char quote, bool escapes)
{
    while (at < text.size) {
        bool ends = text.data[at] == quote && byte_at(text, at + 1) != quote;
        if (ends) {
            return at + 1;
        }
        bool pair = text.data[at] == quote || (escapes && text.data[at] == '\\');
        at += pair ? 2 : 1;
    }
    return ENDLESS;
}

/* A string goes on behind white space with a line end in it, by the rules of its first part: where
 * the next part begins; 0: it does not go on. */
static size_t next_part(struct cairn_slice text, size_t at)
{
    bool new_line = false;
    while (at < text.size) {
        if (is_space(text.data[at])) {
            new_line = new_line || is_line_end(text.data[at]);
            at++;
        } else if (text.data[at] == '-' && byte_at(text, at + 1) == '-') {
            at = pass_line_comment(text, at);
        } else {
            break;
        }
    }
    return new_line && byte_at(text, at) == '\'' ? at + 1 : 0;
}

/* Bytes of U& where quote follows it. */
static size_t unicode_prefix(struct cairn_slice text, char quote)
{
    char first = byte_at(text, 0);
    return (first == 'u' || first == 'U') && byte_at(text, 1) == '&' && byte_at(text, 2) == quote
               ? 2
               : 0;
}

static size_t read_string(struct cairn_slice text)
{
    size_t prefix = unicode_prefix(text, '\'');
    char first = byte_at(text, 0);
    if (prefix == 0 && first != '\0' && strchr("eEbBxXnN", first) != NULL) {
        prefix = 1;
    }
    if (byte_at(text, prefix) != '\'') {
        return 0;
    }
    bool escapes = first == 'e' || first == 'E';
    size_t end = prefix + 1;
    for (size_t part = end; part != 0;) {
        end = quoted_end(text, part, '\'', escapes);
        part = end == ENDLESS ? 0 : next_part(text, end);
    }
    return end;
}

static size_t read_quoted(struct cairn_slice text)
{
    size_t prefix = unicode_prefix(text, '"');
    return byte_at(text, prefix) == '"' ? quoted_end(text, prefix + 1, '"', false) : 0;
}

/* $tag$ ... $tag$ */
static size_t read_dollar(struct cairn_slice text)
{
    size_t tag = 1;
    if (byte_at(text, 0) != '$') {
        return 0;
    }
    if (is_name_start(byte_at(text, 1))) {
        tag = pass(text, 1, is_name_byte);
    }
    if (byte_at(text, tag) != '$') {
        return 0;
    }
    tag++;
    struct cairn_slice mark = cairn_slice_of(text.data, tag);
    for (size_t at = tag; text.size - at >= tag; at++) {
        if (cairn_slice_equal(cairn_slice_of(text.data + at, tag), mark)) {
            return at + tag;
        }
    }
    return ENDLESS;
}

/* Letters in it (0x1f, 1_000, or a mistake) stay part of it: what is a number is the server's to
 * say. */
static size_t read_number(struct cairn_slice text)
{
    bool point = byte_at(text, 0) == '.' && is_digit(byte_at(text, 1));
    if (!point && !is_digit(byte_at(text, 0))) {
        return 0;
    }
    size_t at = 0;
    while (at < text.size) {
        char c = text.data[at];
        char next = byte_at(text, at + 1);
        if ((c == 'e' || c == 'E') && (next == '+' || next == '-')) {
            at += 2;
        } else if (is_word_byte(c) || (c == '.' && next != '.')) {
            at++;
        } else {
            break;
        }
    }
    return at;
}

static size_t read_word(struct cairn_slice text)
{
    return is_name_start(byte_at(text, 0)) ? pass(text, 0, is_word_byte) : 0;
}

static size_t read_cast(struct cairn_slice text)
{
    return byte_at(text, 0) == ':' && byte_at(text, 1) == ':' ? 2 : 0;
}

/* :name or :a.b.c */
static size_t read_parameter(struct cairn_slice text)
{
    if (byte_at(text, 0) != ':' || !is_name_start(byte_at(text, 1))) {
        return 0;
    }
    size_t at = pass(text, 1, is_name_byte);
    while (byte_at(text, at) == '.' && is_name_start(byte_at(text, at + 1))) {
        at = pass(text, at + 1, is_name_byte);
    }
    return at;
}

static size_t read_semicolon(struct cairn_slice text)
{
    return byte_at(text, 0) == ';' ? 1 : 0;
}

static size_t read_mark(struct cairn_slice text)
{
    return byte_at(text, 0) == '$' ? 0 : 1;
}

/* In the order in which they are tried: a string's prefix is a word without its quote. */
static const struct {
    size_t (*read)(struct cairn_slice text);
    enum cairn_sql_token_kind kind;
    const char *what;
} readers[] = {
    {read_string, CAIRN_SQL_STRING, "string"},
    {read_quoted, CAIRN_SQL_QUOTED, "quoted name"},
    {read_dollar, CAIRN_SQL_STRING, "string in dollar signs"},
    {read_number, CAIRN_SQL_NUMBER, "number"},
    {read_word, CAIRN_SQL_WORD, "word"},
    {read_cast, CAIRN_SQL_CAST, "cast"},
    {read_parameter, CAIRN_SQL_PARAMETER, "parameter"},
    {read_semicolon, CAIRN_SQL_SEMICOLON, "semicolon"},
    {read_mark, CAIRN_SQL_MARK, "character"},
};

/* ---- scanning ---- */

struct cairn_sql_scan cairn_sql_scan_begin(struct cairn_slice source)
{
    return (struct cairn_sql_scan){.source = source, .at = 0, .line = 1};
}

static void move_to(struct cairn_sql_scan *scan, size_t at)
{
    assert(at >= scan->at && at <= scan->source.size);
    struct cairn_slice passed = cairn_slice_of(scan->source.data + scan->at, at - scan->at);
    scan->line += (unsigned)count_lines(passed);
    scan->at = at;
}

/* Behind the comment that begins at `at`, with those inside it; ENDLESS. */
static size_t block_end(struct cairn_slice text, size_t at)
{
    size_t depth = 0;
    do {
        char next = byte_at(text, at + 1);
        if (at >= text.size) {
            return ENDLESS;
        }
        if (text.data[at] == '/' && next == '*') {
            depth++;
            at += 2;
        } else if (text.data[at] == '*' && next == '/') {
            depth--;
            at += 2;
        } else {
            at++;
        }
    } while (depth > 0);
    return at;
}

/* White space and comments in slashes. */
static enum cairn_rc skip_blank(struct cairn_sql_scan *scan, struct cairn_err *err)
{
    for (;;) {
        move_to(scan, pass(scan->source, scan->at, is_space));
        if (byte_at(scan->source, scan->at) != '/' || byte_at(scan->source, scan->at + 1) != '*') {
            return CAIRN_OK;
        }
        size_t end = block_end(scan->source, scan->at);
        if (end == ENDLESS) {
            return CAIRN_FAIL(err, CAIRN_EMALFORMED, "a comment that begins here does not end");
        }
        move_to(scan, end);
    }
}

static bool begins_line(struct cairn_slice source, size_t at)
{
    while (at > 0 && !is_line_end(source.data[at - 1])) {
        at--;
        if (!is_space(source.data[at])) {
            return false;
        }
    }
    return true;
}

enum cairn_rc cairn_sql_scan_comment(struct cairn_sql_scan *scan,
                                     struct cairn_sql_comment *ret_comment, bool *ret_found,
                                     struct cairn_err *err)
{
    assert(scan->at <= scan->source.size && scan->line >= 1);
    assert(ret_comment != NULL && ret_found != NULL);
    enum cairn_rc rc = skip_blank(scan, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    *ret_found =
        byte_at(scan->source, scan->at) == '-' && byte_at(scan->source, scan->at + 1) == '-';
    if (*ret_found) {
        size_t end = pass_line_comment(scan->source, scan->at);
        const char *text = scan->source.data + scan->at + 2;
        *ret_comment = (struct cairn_sql_comment){
            .text = cairn_slice_trim(cairn_slice_of(text, end - scan->at - 2)),
            .at = scan->at,
            .line = scan->line,
            .begins_line = begins_line(scan->source, scan->at),
        };
        move_to(scan, end);
    }
    return CAIRN_OK;
}

static enum cairn_rc check_token(const struct cairn_sql_token *token, struct cairn_err *err)
{
    if (memchr(token->text.data, '\0', token->text.size) != NULL) {
        return CAIRN_FAIL(err, CAIRN_EMALFORMED, "a zero byte");
    }
    if (token->kind == CAIRN_SQL_PARAMETER && token->text.size > CAIRN_SQL_NAME_BYTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_EMALFORMED, "a parameter's name is longer than %d bytes",
                          CAIRN_SQL_NAME_BYTES_MAX);
    }
    return CAIRN_OK;
}

static enum cairn_rc read_token(struct cairn_sql_scan *scan, struct cairn_sql_token *token,
                                struct cairn_err *err)
{
    struct cairn_slice rest = rest_of(scan->source, scan->at);
    size_t size = 0;
    size_t reader = 0;
    const size_t count = sizeof(readers) / sizeof(readers[0]);
    while (reader < count && (size = readers[reader].read(rest)) == 0) {
        reader++;
    }
    if (reader == count) {
        return CAIRN_FAIL(err, CAIRN_EMALFORMED,
                          "a '$' that begins no string; parameters are written :name");
    }
    if (size > rest.size) {
        return CAIRN_FAIL(err, CAIRN_EMALFORMED, "a %s that begins here does not end",
                          readers[reader].what);
    }
    size_t skip = readers[reader].kind == CAIRN_SQL_PARAMETER ? 1 : 0;
    token->kind = readers[reader].kind;
    token->text = cairn_slice_of(rest.data + skip, size - skip);
    enum cairn_rc rc = check_token(token, err);
    if (rc == CAIRN_OK) {
        move_to(scan, scan->at + size);
    }
    return rc;
}

enum cairn_rc cairn_sql_scan_next(struct cairn_sql_scan *scan, struct cairn_sql_token *ret_token,
                                  struct cairn_err *err)
{
    struct cairn_sql_comment comment;
    bool found = true;
    assert(scan != NULL && ret_token != NULL);
    while (found) {
        enum cairn_rc rc = cairn_sql_scan_comment(scan, &comment, &found, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        if (found && memchr(comment.text.data, '\0', comment.text.size) != NULL) {
            return CAIRN_FAIL(err, CAIRN_EMALFORMED, "a zero byte");
        }
    }
    struct cairn_sql_token token = {.kind = CAIRN_SQL_END, .at = scan->at, .line = scan->line};
    token.text = cairn_slice_of(scan->source.data, 0);
    enum cairn_rc rc = CAIRN_OK;
    if (scan->at < scan->source.size) {
        rc = read_token(scan, &token, err);
    }
    if (rc == CAIRN_OK) {
        *ret_token = token;
    }
    return rc;
}

bool cairn_sql_token_is(const struct cairn_sql_token *token, const char *word)
{
    return token->kind == CAIRN_SQL_WORD &&
           cairn_slice_equal_nocase(token->text, cairn_slice_str(word));
}

/* ---- statements ---- */

/* The statements found so far. */
struct split {
    struct cairn_arena *arena;
    struct cairn_sql_statement *statements;
    size_t count;
    size_t room;
};

/* The parameters of one statement, in the order in which they stand. */
struct found {
    struct cairn_slice names[CAIRN_SQL_PARAMS_MAX];
    size_t places[CAIRN_SQL_PARAMS_MAX];
    size_t count;
};

/* text of statement with $n for each :name; out has room for twice the source and a NUL: what
 * replaces the two bytes of the shortest parameter has at most four. */
static enum cairn_rc number_params(const struct cairn_sql_statement *statement, char *out,
                                   struct found *found, struct cairn_err *err)
{
    struct cairn_sql_scan scan = cairn_sql_scan_begin(statement->source);
    struct cairn_sql_token token;
    size_t copied = 0;
    size_t size = 0;
    static_assert(CAIRN_SQL_PARAMS_MAX < 100, "a number of at most two digits");
    do {
        enum cairn_rc rc = cairn_sql_scan_next(&scan, &token, err);
        assert(rc == CAIRN_OK); /* it was scanned before, to find its end */
        if (rc != CAIRN_OK) {
            return rc;
        }
        memcpy(out + size, statement->source.data + copied, token.at - copied);
        size += token.at - copied;
        copied = token.at;
        if (token.kind == CAIRN_SQL_PARAMETER) {
            if (found->count == CAIRN_SQL_PARAMS_MAX) {
                return CAIRN_FAIL(err, CAIRN_ETOOBIG,
                                  "line %u: a statement with more than %d parameters",
                                  statement->line + token.line - 1, CAIRN_SQL_PARAMS_MAX);
            }
            /* a:b must not become the word a$1. */
            bool glued = size > 0 && is_word_byte(out[size - 1]);
            found->names[found->count] = token.text;
            found->places[found->count++] = token.at;
            size += (size_t)snprintf(out + size, 5, "%s$%zu", glued ? " " : "", found->count);
            copied = scan.at;
        }
    } while (token.kind != CAIRN_SQL_END);
    out[size] = '\0';
    return CAIRN_OK;
}

/* The statement's text and parameters from its source. */
static enum cairn_rc finish(struct cairn_sql_statement *statement, struct cairn_arena *arena,
                            struct cairn_err *err)
{
    struct found found = {.count = 0};
    assert(statement->source.size > 0 && statement->source.size <= CAIRN_SQL_BYTES_MAX);
    char *text = cairn_arena_alloc(arena, 2 * statement->source.size + 1);
    if (text == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a statement");
    }
    enum cairn_rc rc = number_params(statement, text, &found, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    statement->text = text;
    statement->param_count = found.count;
    statement->params = cairn_arena_zalloc(arena, found.count + 1, sizeof(found.names[0]));
    statement->places = cairn_arena_zalloc(arena, found.count + 1, sizeof(found.places[0]));
    if (statement->params == NULL || statement->places == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "the parameters of a statement");
    }
    memcpy(statement->params, found.names, found.count * sizeof(found.names[0]));
    memcpy(statement->places, found.places, found.count * sizeof(found.places[0]));
    return CAIRN_OK;
}

static enum cairn_rc add_statement(struct split *split, struct cairn_slice source, unsigned line,
                                   struct cairn_err *err)
{
    if (split->count == split->room) {
        size_t room = split->room == 0 ? 4 : split->room * 2;
        struct cairn_sql_statement *more =
            cairn_arena_zalloc(split->arena, room, sizeof(*split->statements));
        if (more == NULL) {
            return CAIRN_FAIL(err, CAIRN_ENOMEM, "a list of statements");
        }
        if (split->count > 0) {
            memcpy(more, split->statements, split->count * sizeof(*more));
        }
        split->statements = more;
        split->room = room;
    }
    struct cairn_sql_statement *statement = &split->statements[split->count];
    statement->source = source;
    statement->line = line;
    enum cairn_rc rc = finish(statement, split->arena, err);
    split->count += rc == CAIRN_OK ? 1 : 0;
    return rc;
}

static enum cairn_rc split_source(struct split *split, struct cairn_sql_scan *scan,
                                  struct cairn_err *err)
{
    struct cairn_sql_token token;
    size_t begin = 0;
    size_t end = 0; /* of the last token; begin == end: no statement is open */
    unsigned line = 0;
    do {
        enum cairn_rc rc = cairn_sql_scan_next(scan, &token, err);
        if (rc != CAIRN_OK) {
            return cairn_err_wrap(err, rc, "line %u", scan->line);
        }
        if (token.kind == CAIRN_SQL_SEMICOLON || token.kind == CAIRN_SQL_END) {
            struct cairn_slice source = cairn_slice_of(scan->source.data + begin, end - begin);
            rc = end > begin ? add_statement(split, source, line, err) : CAIRN_OK;
            begin = end;
        } else {
            begin = end > begin ? begin : token.at;
            line = begin == token.at ? token.line : line;
            end = scan->at;
        }
        if (rc != CAIRN_OK) {
            return rc;
        }
    } while (token.kind != CAIRN_SQL_END);
    return CAIRN_OK;
}

enum cairn_rc cairn_sql_statements(struct cairn_slice source, unsigned line,
                                   struct cairn_arena *arena,
                                   struct cairn_sql_statement **ret_statements, size_t *ret_count,
                                   struct cairn_err *err)
{
    assert(line >= 1 && arena != NULL);
    assert(ret_statements != NULL && ret_count != NULL);
    if (source.size > CAIRN_SQL_BYTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "line %u: more than %u bytes of SQL", line,
                          CAIRN_SQL_BYTES_MAX);
    }
    struct split split = {.arena = arena};
    struct cairn_sql_scan scan = cairn_sql_scan_begin(source);
    scan.line = line;
    enum cairn_rc rc = split_source(&split, &scan, err);
    if (rc == CAIRN_OK) {
        *ret_statements = split.statements;
        *ret_count = split.count;
    }
    return rc;
}

unsigned cairn_sql_param_line(const struct cairn_sql_statement *statement, struct cairn_slice name)
{
    struct cairn_sql_scan scan = cairn_sql_scan_begin(statement->source);
    struct cairn_sql_token token = {.kind = CAIRN_SQL_END};
    do {
        if (cairn_sql_scan_next(&scan, &token, NULL) != CAIRN_OK) {
            break;
        }
        if (token.kind == CAIRN_SQL_PARAMETER && cairn_slice_equal(token.text, name)) {
            return statement->line + token.line - 1;
        }
    } while (token.kind != CAIRN_SQL_END);
    return statement->line;
}

unsigned cairn_sql_byte_line(const struct cairn_sql_statement *statement, size_t byte)
{
    unsigned line = statement->line;
    assert(statement->text != NULL && line >= 1);
    for (size_t i = 0; i + 1 < byte && statement->text[i] != '\0'; i++) {
        line += statement->text[i] == '\n';
    }
    return line;
}
