/* SQL text as anyone may write it: the tokens and what lies between them are the whole text, and a
 * statement that was found is found again, as it was, when it is read alone. */
#include "schemas/sql_text.h"

#include <assert.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

enum { ARENA_MAX = 1 << 23, INPUT_MAX = 65536 };

static unsigned line_at(struct cairn_slice source, size_t at)
{
    unsigned line = 1;
    for (size_t i = 0; i < at; i++) {
        line += source.data[i] == '\n' ? 1 : 0;
    }
    return line;
}

/* Tokens come in order, lie inside, know their line, and end. */
static void check_tokens(struct cairn_slice source)
{
    struct cairn_sql_scan scan = cairn_sql_scan_begin(source);
    struct cairn_sql_token token = {.kind = CAIRN_SQL_MARK};
    struct cairn_err err;
    while (token.kind != CAIRN_SQL_END) {
        size_t before = scan.at;
        if (cairn_sql_scan_next(&scan, &token, &err) != CAIRN_OK) {
            assert(err.rc == CAIRN_EMALFORMED && err.text[0] != '\0');
            break;
        }
        assert(token.at >= before && scan.at <= source.size);
        assert(token.kind == CAIRN_SQL_END ? scan.at == source.size : scan.at > token.at);
        assert(token.kind == CAIRN_SQL_END || token.text.size > 0);
    }
    assert(scan.line == line_at(source, scan.at));
}

static void check_statement(const struct cairn_sql_statement *statement, struct cairn_slice source)
{
    struct cairn_arena arena = {.max = ARENA_MAX};
    struct cairn_sql_statement *again = NULL;
    size_t count = 0;
    struct cairn_err err;
    assert(statement->source.data >= source.data);
    size_t at = (size_t)(statement->source.data - source.data);
    assert(at + statement->source.size <= source.size);
    assert(statement->line == line_at(source, at));
    assert(statement->param_count <= CAIRN_SQL_PARAMS_MAX);
    enum cairn_rc rc = cairn_sql_statements(statement->source, 1, &arena, &again, &count, &err);
    assert(rc == CAIRN_OK && count == 1);
    assert(cairn_slice_equal(again->source, statement->source));
    assert(strcmp(again->text, statement->text) == 0);
    assert(again->param_count == statement->param_count);
    for (size_t i = 0; i < again->param_count; i++) {
        assert(cairn_slice_equal(again->params[i], statement->params[i]));
        assert(cairn_sql_param_line(again, again->params[i]) <=
               line_at(statement->source, statement->source.size));
    }
    assert(statement->param_count > 0 || cairn_slice_is(statement->source, statement->text));
    cairn_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_arena arena = {.max = ARENA_MAX};
    struct cairn_slice source = cairn_slice_of((const char *)data, size);
    struct cairn_sql_statement *statements = NULL;
    struct cairn_err err = {0};
    size_t count = 0;
    if (size > INPUT_MAX) {
        return 0;
    }
    check_tokens(source);
    enum cairn_rc rc = cairn_sql_statements(source, 1, &arena, &statements, &count, &err);
    if (rc != CAIRN_OK) {
        assert(rc == CAIRN_EMALFORMED || rc == CAIRN_ETOOBIG);
        assert(strncmp(err.text, "line ", 5) == 0);
    }
    for (size_t i = 0; rc == CAIRN_OK && i < count && i < 256; i++) {
        check_statement(&statements[i], source);
    }
    cairn_arena_fini(&arena);
    return 0;
}
