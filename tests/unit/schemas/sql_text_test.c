#include "schemas/sql_text.h"

#include <stdio.h>

#include "platform/fault.h"

#include "tests/support/cm.h"

enum { ARENA_MAX = 1 << 22, TEXT_MAX = 1024 };

static const char *const KINDS[] = {
    [CAIRN_SQL_END] = "end",   [CAIRN_SQL_WORD] = "w",      [CAIRN_SQL_QUOTED] = "q",
    [CAIRN_SQL_STRING] = "s",  [CAIRN_SQL_NUMBER] = "n",    [CAIRN_SQL_PARAMETER] = "p",
    [CAIRN_SQL_CAST] = "cast", [CAIRN_SQL_SEMICOLON] = ";", [CAIRN_SQL_MARK] = "m",
};

/* Every token as kind<text>, or "fault N: ..." */
static void show_tokens(const char *source, char text[TEXT_MAX])
{
    struct cairn_sql_scan scan = cairn_sql_scan_begin(cairn_slice_str(source));
    struct cairn_sql_token token = {.kind = CAIRN_SQL_MARK};
    struct cairn_err err;
    size_t size = 0;
    text[0] = '\0';
    while (token.kind != CAIRN_SQL_END) {
        if (cairn_sql_scan_next(&scan, &token, &err) != CAIRN_OK) {
            (void)snprintf(text + size, TEXT_MAX - size, "fault %u: %s", scan.line, err.text);
            return;
        }
        if (token.kind != CAIRN_SQL_END) {
            size += (size_t)snprintf(text + size, TEXT_MAX - size, "%s<%.*s>", KINDS[token.kind],
                                     CAIRN_SLICE_ARG(token.text));
        }
    }
}

static void tokens_are_those_of_postgres(void **state)
{
    (void)state;
    static const struct {
        const char *source;
        const char *tokens;
    } cases[] = {
        {"", ""},
        {"  -- only a comment", ""},
        {"SELECT a_1$, b", "w<SELECT>w<a_1$>m<,>w<b>"},
        {":amount::bigint", "p<amount>cast<::>w<bigint>"},
        {":address.city.x + :a.1", "p<address.city.x>m<+>p<a>n<.1>"},
        {"a:=1 b : c [1:2]", "w<a>m<:>m<=>n<1>w<b>m<:>w<c>m<[>n<1>m<:>n<2>m<]>"},
        {"'it''s :no' \"a\"\":no\"", "s<'it''s :no'>q<\"a\"\":no\">"},
        {"'a\\' :p", "s<'a\\'>p<p>"},
        {"E'a\\' :no' e'\\\\'", "s<E'a\\' :no'>s<e'\\\\'>"},
        {"E'a'\n 'b\\':no' :p", "s<E'a'\n 'b\\':no'>p<p>"},
        {"'a' -- and\n'b'", "s<'a' -- and\n'b'>"},
        {"'a' 'b'", "s<'a'>s<'b'>"},
        {"U&'\\0041' u&\"x\" x'1f' b'1' N'n' te'x'",
         "s<U&'\\0041'>q<u&\"x\">s<x'1f'>s<b'1'>s<N'n'>w<te>s<'x'>"},
        {"$$ :no '; $$ $a$ $$ $b$ $a$:p", "s<$$ :no '; $$>s<$a$ $$ $b$ $a$>p<p>"},
        {"1.5e-3 1..2 .5 1_000 0x1f 1.e+5", "n<1.5e-3>n<1>m<.>n<.2>n<.5>n<1_000>n<0x1f>n<1.e+5>"},
        {"a /* /* :no */ ; */ b", "w<a>w<b>"},
        {"a->>'x' <@ b--c\n;", "w<a>m<->m<>>m<>>s<'x'>m<<>m<@>w<b>;<;>"},
        {":\xc3\xa9 \xc3\xa9", "p<\xc3\xa9>w<\xc3\xa9>"},
        {"a -- b\rc", "w<a>w<c>"},
        {"\n'x", "fault 2: a string that begins here does not end"},
        {"E'\\'", "fault 1: a string that begins here does not end"},
        {"E'a\\", "fault 1: a string that begins here does not end"},
        {"\"x", "fault 1: a quoted name that begins here does not end"},
        {"$a$ $b$", "fault 1: a string in dollar signs that begins here does not end"},
        {"/* /* */", "fault 1: a comment that begins here does not end"},
        {"a\n= $1", "w<a>m<=>fault 2: a '$' that begins no string; parameters are written :name"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[TEXT_MAX];
        show_tokens(cases[i].source, text);
        assert_string_equal(text, cases[i].tokens);
    }
}

static void a_token_knows_its_place(void **state)
{
    (void)state;
    struct cairn_sql_scan scan = cairn_sql_scan_begin(CAIRN_SLICE_LIT("a\n /* \n */ :b 'x\ny' c"));
    static const struct {
        size_t at;
        unsigned line;
    } places[] = {{0, 1}, {11, 3}, {14, 3}, {20, 4}, {21, 4}};
    struct cairn_sql_token token;
    struct cairn_err err;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        assert_ok(cairn_sql_scan_next(&scan, &token, &err), &err);
        assert_int_equal(token.at, places[i].at);
        assert_int_equal(token.line, places[i].line);
    }
    assert_int_equal(token.kind, CAIRN_SQL_END);
    assert_ok(cairn_sql_scan_next(&scan, &token, &err), &err);
    assert_int_equal(token.kind, CAIRN_SQL_END);
}

static void a_keyword_is_one_in_any_case_and_unquoted(void **state)
{
    (void)state;
    struct cairn_sql_token word = {.kind = CAIRN_SQL_WORD, .text = CAIRN_SLICE_LIT("InSert")};
    struct cairn_sql_token quoted = {.kind = CAIRN_SQL_QUOTED, .text = CAIRN_SLICE_LIT("insert")};
    assert_true(cairn_sql_token_is(&word, "INSERT"));
    assert_false(cairn_sql_token_is(&word, "INSERTS"));
    assert_false(cairn_sql_token_is(&quoted, "INSERT"));
}

static void comments_are_found_where_they_begin_a_line(void **state)
{
    (void)state;
    struct cairn_sql_scan scan = cairn_sql_scan_begin(
        CAIRN_SLICE_LIT("/* \n-- none */ -- behind\r\n  -- on:  A \nx '\n-- none' -- last"));
    static const struct {
        const char *text;
        unsigned line;
        bool begins;
    } found[] = {{"behind", 2, false}, {"on:  A", 3, true}};
    struct cairn_sql_comment comment;
    struct cairn_sql_token token;
    struct cairn_err err;
    bool is_there = false;
    for (size_t i = 0; i < 2; i++) {
        assert_ok(cairn_sql_scan_comment(&scan, &comment, &is_there, &err), &err);
        assert_true(is_there);
        assert_true(cairn_slice_is(comment.text, found[i].text));
        assert_int_equal(comment.line, found[i].line);
        assert_int_equal(comment.begins_line, found[i].begins);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_ok(cairn_sql_scan_comment(&scan, &comment, &is_there, &err), &err);
        assert_false(is_there);
        assert_ok(cairn_sql_scan_next(&scan, &token, &err), &err);
    }
    assert_int_equal(token.kind, CAIRN_SQL_STRING);
    assert_ok(cairn_sql_scan_comment(&scan, &comment, &is_there, &err), &err);
    assert_true(is_there && cairn_slice_is(comment.text, "last") && !comment.begins_line);
}

/* ---- statements ---- */

struct lot {
    struct cairn_arena arena;
    struct cairn_sql_statement *statements;
    size_t count;
    struct cairn_err err;
};

static enum cairn_rc split(struct lot *lot, const char *source)
{
    *lot = (struct lot){.arena = {.max = ARENA_MAX}};
    return cairn_sql_statements(cairn_slice_str(source), 10, &lot->arena, &lot->statements,
                                &lot->count, &lot->err);
}

static void statements_split_at_semicolons_outside_of_text(void **state)
{
    (void)state;
    struct lot lot;
    assert_ok(split(&lot, ";; a ';' \"b;\" ;\n\n/* ; */ c $$;$$ -- ;\n; -- no statement"),
              &lot.err);
    assert_int_equal(lot.count, 2);
    assert_true(cairn_slice_is(lot.statements[0].source, "a ';' \"b;\""));
    assert_string_equal(lot.statements[0].text, "a ';' \"b;\"");
    assert_int_equal(lot.statements[0].line, 10);
    assert_true(cairn_slice_is(lot.statements[1].source, "c $$;$$"));
    assert_int_equal(lot.statements[1].line, 12);
    cairn_arena_fini(&lot.arena);
    assert_ok(split(&lot, " -- nothing"), &lot.err);
    assert_int_equal(lot.count, 0);
    cairn_arena_fini(&lot.arena);
}

static void each_use_of_a_parameter_has_its_number(void **state)
{
    (void)state;
    struct lot lot;
    assert_ok(split(&lot, "f(:b, :a.c::int, ':no', :b); g(:a)"), &lot.err);
    assert_int_equal(lot.count, 2);
    assert_string_equal(lot.statements[0].text, "f($1, $2::int, ':no', $3)");
    assert_int_equal(lot.statements[0].param_count, 3);
    assert_true(cairn_slice_is(lot.statements[0].params[0], "b"));
    assert_int_equal(lot.statements[0].places[0], 2);
    assert_true(cairn_slice_is(lot.statements[0].params[1], "a.c"));
    assert_true(cairn_slice_is(lot.statements[0].params[2], "b"));
    assert_string_equal(lot.statements[1].text, "g($1)");
    assert_true(cairn_slice_is(lot.statements[1].params[0], "a"));
    cairn_arena_fini(&lot.arena);
}

/* `limit:n` is LIMIT $1 to whoever wrote it, and limit$1 would be another word. */
static void a_parameter_never_melts_into_the_word_before_it(void **state)
{
    (void)state;
    struct lot lot;
    assert_ok(split(&lot, "LIMIT:n 1:n 'x':n :a:b"), &lot.err);
    assert_string_equal(lot.statements[0].text, "LIMIT $1 1 $2 'x'$3 $4 $5");
    cairn_arena_fini(&lot.arena);
}

static void a_fault_names_its_line(void **state)
{
    (void)state;
    struct lot lot;
    assert_int_equal(split(&lot, "a;\nb\n'"), CAIRN_EMALFORMED);
    assert_string_equal(lot.err.text, "line 12: a string that begins here does not end");
    assert_int_equal(lot.count, 0);
    cairn_arena_fini(&lot.arena);
    assert_int_equal(split(&lot, "a\n$2"), CAIRN_EMALFORMED);
    assert_non_null(strstr(lot.err.text, "line 11: "));
    cairn_arena_fini(&lot.arena);
}

static void a_zero_byte_is_a_fault_wherever_it_stands(void **state)
{
    (void)state;
    const struct cairn_slice sources[] = {
        CAIRN_SLICE_LIT("a \0"),
        CAIRN_SLICE_LIT("'a\0b'"),
        CAIRN_SLICE_LIT("-- a\0b\nc"),
        CAIRN_SLICE_LIT("$$\0$$"),
    };
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        struct cairn_arena arena = {.max = ARENA_MAX};
        struct cairn_sql_statement *statements = NULL;
        struct cairn_err err;
        size_t count = 7;
        assert_int_equal(cairn_sql_statements(sources[i], 1, &arena, &statements, &count, &err),
                         CAIRN_EMALFORMED);
        assert_int_equal(count, 7);
        assert_string_equal(err.text, "line 1: a zero byte");
        cairn_arena_fini(&arena);
    }
}

/* count parameters :p0, :p1 ... in lines of their own. */
static void write_params(struct cairn_buf *out, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(cairn_buf_printf(out, "%s:p%u", i == 0 ? "f(" : ",\n", i), CAIRN_OK);
    }
    assert_int_equal(cairn_buf_append(out, cairn_slice_of(")\0", 2)), CAIRN_OK);
}

static void a_statement_has_64_parameters_and_no_more(void **state)
{
    (void)state;
    struct cairn_buf source = {.max = 4096};
    struct lot lot;
    write_params(&source, CAIRN_SQL_PARAMS_MAX);
    assert_ok(split(&lot, source.data), &lot.err);
    assert_int_equal(lot.statements[0].param_count, CAIRN_SQL_PARAMS_MAX);
    assert_non_null(strstr(lot.statements[0].text, "\n$64)"));
    cairn_arena_fini(&lot.arena);
    cairn_buf_truncate(&source, 0);
    write_params(&source, CAIRN_SQL_PARAMS_MAX + 1);
    assert_int_equal(split(&lot, source.data), CAIRN_ETOOBIG);
    assert_string_equal(lot.err.text, "line 74: a statement with more than 64 parameters");
    cairn_arena_fini(&lot.arena);
    cairn_buf_fini(&source);
}

static void a_name_or_text_past_its_limit_is_refused(void **state)
{
    (void)state;
    struct cairn_buf source = {.max = CAIRN_SQL_BYTES_MAX + 16};
    struct lot lot;
    assert_int_equal(cairn_buf_append_byte(&source, ':'), CAIRN_OK);
    for (size_t i = 0; i < CAIRN_SQL_NAME_BYTES_MAX; i++) {
        assert_int_equal(cairn_buf_append_byte(&source, 'n'), CAIRN_OK);
    }
    assert_int_equal(cairn_buf_append_byte(&source, '\0'), CAIRN_OK);
    assert_ok(split(&lot, source.data), &lot.err);
    cairn_arena_fini(&lot.arena);
    source.data[source.size - 1] = 'n';
    assert_int_equal(cairn_buf_append_byte(&source, '\0'), CAIRN_OK);
    assert_int_equal(split(&lot, source.data), CAIRN_EMALFORMED);
    cairn_arena_fini(&lot.arena);
    cairn_buf_truncate(&source, 0);
    while (source.size < CAIRN_SQL_BYTES_MAX + 1) {
        assert_int_equal(cairn_buf_append_byte(&source, ' '), CAIRN_OK);
    }
    assert_int_equal(cairn_buf_append_byte(&source, '\0'), CAIRN_OK);
    assert_int_equal(split(&lot, source.data), CAIRN_ETOOBIG);
    cairn_arena_fini(&lot.arena);
    cairn_buf_fini(&source);
}

static void the_line_of_a_parameter_is_that_of_its_first_use(void **state)
{
    (void)state;
    struct lot lot;
    assert_ok(split(&lot, "\na,\n:b, ':c',\n:c, :c"), &lot.err);
    const struct cairn_sql_statement *statement = &lot.statements[0];
    assert_int_equal(cairn_sql_param_line(statement, CAIRN_SLICE_LIT("b")), 12);
    assert_int_equal(cairn_sql_param_line(statement, CAIRN_SLICE_LIT("c")), 13);
    assert_int_equal(cairn_sql_param_line(statement, CAIRN_SLICE_LIT("d")), 11);
    cairn_arena_fini(&lot.arena);
}

static void no_memory_is_an_error_and_no_crash(void **state)
{
    (void)state;
    skip_without_faults();
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_MEM) || after == 0; after++) {
        struct lot lot;
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = split(&lot, "a :b; c :d; e; f; g :h, :i");
        assert_true(rc == CAIRN_OK ? lot.count == 5 : rc == CAIRN_ENOMEM && lot.count == 0);
        cairn_arena_fini(&lot.arena);
    }
    cairn_fault_disarm();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_those_of_postgres),
        cmocka_unit_test(a_token_knows_its_place),
        cmocka_unit_test(a_keyword_is_one_in_any_case_and_unquoted),
        cmocka_unit_test(comments_are_found_where_they_begin_a_line),
        cmocka_unit_test(statements_split_at_semicolons_outside_of_text),
        cmocka_unit_test(each_use_of_a_parameter_has_its_number),
        cmocka_unit_test(a_parameter_never_melts_into_the_word_before_it),
        cmocka_unit_test(a_fault_names_its_line),
        cmocka_unit_test(a_zero_byte_is_a_fault_wherever_it_stands),
        cmocka_unit_test(a_statement_has_64_parameters_and_no_more),
        cmocka_unit_test(a_name_or_text_past_its_limit_is_refused),
        cmocka_unit_test(the_line_of_a_parameter_is_that_of_its_first_use),
        cmocka_unit_test(no_memory_is_an_error_and_no_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
