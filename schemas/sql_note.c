#include "schemas/sql_note.h"

#include <assert.h>

#include "platform/utf8.h"

#define NAME_BYTES_MAX 63 /* PostgreSQL cuts longer names */
#define RULES_MAX      16

/* An annotation as it stands in the source. */
struct found {
    struct cairn_slice name;
    struct cairn_slice value;
    size_t begin; /* bytes in the source */
    size_t end;
    unsigned line;
    bool inside; /* a statement */
};

/* One file being read. */
struct reading {
    struct cairn_slice source;
    const struct cairn_sql_note_rule *rules;
    size_t rule_count;
    struct cairn_arena *arena;
    struct found *founds; /* at most CAIRN_SQL_NOTES_MAX */
    size_t count;
    unsigned taken[RULES_MAX]; /* line of each rule's first annotation; 0: none */
};

static bool is_lower(char c)
{
    return (c >= 'a' && c <= 'z') || c == '_';
}

/* "name:" at the front of a comment, and white space or nothing behind it. */
static bool split_note(struct cairn_slice comment, struct found *found)
{
    size_t colon = cairn_slice_find(comment, ':');
    if (colon == 0 || colon == comment.size) {
        return false;
    }
    for (size_t i = 0; i < colon; i++) {
        if (!is_lower(comment.data[i])) {
            return false;
        }
    }
    struct cairn_slice rest = cairn_slice_of(comment.data + colon + 1, comment.size - colon - 1);
    found->name = cairn_slice_of(comment.data, colon);
    found->value = cairn_slice_trim(rest);
    return rest.size == 0 || found->value.data != rest.data;
}

static size_t rule_of(const struct reading *reading, struct cairn_slice name)
{
    size_t rule = 0;
    while (rule < reading->rule_count && !cairn_slice_is(name, reading->rules[rule].name)) {
        rule++;
    }
    return rule;
}

/* ---- finding ---- */

static enum cairn_rc add_found(struct reading *reading, const struct cairn_sql_comment *comment,
                               const struct cairn_sql_scan *scan, bool inside,
                               struct cairn_err *err)
{
    struct found found = {
        .begin = comment->at, .end = scan->at, .line = comment->line, .inside = inside};
    if (!comment->begins_line || !split_note(comment->text, &found)) {
        return CAIRN_OK;
    }
    if (inside && rule_of(reading, found.name) == reading->rule_count) {
        return CAIRN_OK;
    }
    if (reading->count == CAIRN_SQL_NOTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "line %u: more than %d annotations", found.line,
                          CAIRN_SQL_NOTES_MAX);
    }
    reading->founds[reading->count++] = found;
    return CAIRN_OK;
}

static enum cairn_rc find_between(struct reading *reading, struct cairn_sql_scan *scan, bool inside,
                                  struct cairn_err *err)
{
    struct cairn_sql_comment comment;
    bool is_there = true;
    enum cairn_rc rc = CAIRN_OK;
    while (rc == CAIRN_OK && is_there) {
        rc = cairn_sql_scan_comment(scan, &comment, &is_there, err);
        if (rc != CAIRN_OK) {
            return cairn_err_wrap(err, rc, "line %u", scan->line);
        }
        rc = is_there ? add_found(reading, &comment, scan, inside, err) : CAIRN_OK;
    }
    return rc;
}

static enum cairn_rc find_all(struct reading *reading, struct cairn_err *err)
{
    struct cairn_sql_scan scan = cairn_sql_scan_begin(reading->source);
    struct cairn_sql_token token = {.kind = CAIRN_SQL_SEMICOLON};
    while (token.kind != CAIRN_SQL_END) {
        enum cairn_rc rc = find_between(reading, &scan, token.kind != CAIRN_SQL_SEMICOLON, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        rc = cairn_sql_scan_next(&scan, &token, err);
        if (rc != CAIRN_OK) {
            return cairn_err_wrap(err, rc, "line %u", scan.line);
        }
        if (reading->count == 0 && token.kind != CAIRN_SQL_SEMICOLON &&
            token.kind != CAIRN_SQL_END) {
            return CAIRN_FAIL(err, CAIRN_EINVAL,
                              "line %u: a statement before the first annotation (-- name: value)",
                              token.line);
        }
    }
    return CAIRN_OK;
}

/* ---- taking ---- */

static enum cairn_rc check_found(struct reading *reading, const struct found *found, size_t rule,
                                 struct cairn_err *err)
{
    if (rule == reading->rule_count) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "line %u: no annotation is called \"%.*s\" (a remark begins with a "
                          "capital letter)",
                          found->line, CAIRN_SLICE_ARG(found->name));
    }
    if (found->inside) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "line %u: %s: stands in a statement, which ends with a semicolon",
                          found->line, reading->rules[rule].name);
    }
    if (reading->taken[rule] != 0 && !reading->rules[rule].repeats) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "line %u: %s: is there already in line %u",
                          found->line, reading->rules[rule].name, reading->taken[rule]);
    }
    return CAIRN_OK;
}

static enum cairn_rc take_found(struct reading *reading, size_t index, void *into,
                                struct cairn_err *err)
{
    const struct found *found = &reading->founds[index];
    size_t rule = rule_of(reading, found->name);
    enum cairn_rc rc = check_found(reading, found, rule, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    size_t end =
        index + 1 < reading->count ? reading->founds[index + 1].begin : reading->source.size;
    struct cairn_sql_note note = {.value = found->value, .line = found->line};
    rc = cairn_sql_statements(cairn_slice_of(reading->source.data + found->end, end - found->end),
                              found->line, reading->arena, &note.statements, &note.statement_count,
                              err);
    if (rc == CAIRN_OK) {
        reading->taken[rule] = found->line;
        rc = reading->rules[rule].take(into, &note, err);
    }
    return rc;
}

static enum cairn_rc check_required(const struct reading *reading, struct cairn_err *err)
{
    for (size_t i = 0; i < reading->rule_count; i++) {
        if (reading->rules[i].required && reading->taken[i] == 0) {
            return CAIRN_FAIL(err, CAIRN_EINVAL, "line 1: there is no annotation \"-- %s:\"",
                              reading->rules[i].name);
        }
    }
    return CAIRN_OK;
}

static enum cairn_rc check_source(struct cairn_slice source, struct cairn_err *err)
{
    if (source.size > CAIRN_SQL_BYTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "line 1: the file has more than %u bytes",
                          CAIRN_SQL_BYTES_MAX);
    }
    size_t valid = cairn_utf8_valid_prefix(source);
    if (valid == source.size) {
        return CAIRN_OK;
    }
    unsigned line = 1;
    for (size_t i = 0; i < valid; i++) {
        line += source.data[i] == '\n' ? 1 : 0;
    }
    return CAIRN_FAIL(err, CAIRN_EMALFORMED, "line %u: is not UTF-8", line);
}

enum cairn_rc cairn_sql_notes_take(struct cairn_slice source,
                                   const struct cairn_sql_note_rule *rules, size_t rule_count,
                                   void *into, struct cairn_arena *arena, struct cairn_err *err)
{
    assert(rules != NULL && rule_count > 0 && rule_count <= RULES_MAX);
    assert(arena != NULL);
    struct reading reading = {
        .source = source, .rules = rules, .rule_count = rule_count, .arena = arena};
    enum cairn_rc rc = check_source(source, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    reading.founds = cairn_arena_zalloc(arena, CAIRN_SQL_NOTES_MAX, sizeof(*reading.founds));
    if (reading.founds == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "the annotations of a SQL file");
    }
    rc = find_all(&reading, err);
    for (size_t i = 0; i < reading.count && rc == CAIRN_OK; i++) {
        rc = take_found(&reading, i, into, err);
    }
    return rc == CAIRN_OK ? check_required(&reading, err) : rc;
}

/* ---- what values are made of ---- */

bool cairn_sql_note_item(struct cairn_slice *rest, struct cairn_slice *ret_item)
{
    if (rest->data == NULL) {
        return false;
    }
    size_t comma = cairn_slice_find(*rest, ',');
    *ret_item = cairn_slice_trim(cairn_slice_of(rest->data, comma));
    *rest = comma == rest->size ? CAIRN_SLICE_NONE
                                : cairn_slice_of(rest->data + comma + 1, rest->size - comma - 1);
    return true;
}

struct cairn_slice cairn_sql_note_word(struct cairn_slice *rest)
{
    struct cairn_slice text = cairn_slice_trim(*rest);
    size_t size = 0;
    while (size < text.size && text.data[size] != ' ' && text.data[size] != '\t') {
        size++;
    }
    *rest = cairn_slice_of(text.data + size, text.size - size);
    return cairn_slice_of(text.data, size);
}

bool cairn_sql_name_is_plain(struct cairn_slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        bool digit = name.data[i] >= '0' && name.data[i] <= '9';
        if (!is_lower(name.data[i]) && (!digit || i == 0)) {
            return false;
        }
    }
    return name.size > 0 && name.size <= NAME_BYTES_MAX;
}

bool cairn_sql_begins(const struct cairn_sql_statement *statement, const char *words)
{
    struct cairn_sql_scan scan = cairn_sql_scan_begin(statement->source);
    struct cairn_slice rest = cairn_slice_str(words);
    for (struct cairn_slice word = cairn_sql_note_word(&rest); word.size > 0;
         word = cairn_sql_note_word(&rest)) {
        struct cairn_sql_token token;
        if (cairn_sql_scan_next(&scan, &token, NULL) != CAIRN_OK || token.kind != CAIRN_SQL_WORD ||
            !cairn_slice_equal_nocase(token.text, word)) {
            return false;
        }
    }
    return true;
}
