/* SQL text: its tokens, and :name parameters.
 *
 * Knows PostgreSQL's lexical rules (with standard_conforming_strings, its default) and no grammar:
 * strings ('...', E'...', U&'...', $tag$...$tag$; one that goes on in the next line is one token),
 * quoted names, comments (nested), numbers, operators. `::` is a cast and no parameter; a slice of
 * an array is `a[1 : n]` with spaces, because `:n` is a parameter. Pure; fuzzed. thread: any. */
#ifndef CAIRN_SCHEMAS_SQL_TEXT_H
#define CAIRN_SCHEMAS_SQL_TEXT_H

#include "platform/arena.h"
#include "platform/bytes.h"
#include "platform/err.h"

#define CAIRN_SQL_BYTES_MAX      (256u * 1024u) /* of one file */
#define CAIRN_SQL_PARAMS_MAX     64             /* different ones in one statement */
#define CAIRN_SQL_NAME_BYTES_MAX 128            /* of a parameter: "address.city" */

enum cairn_sql_token_kind {
    CAIRN_SQL_END,
    CAIRN_SQL_WORD,   /* keyword or plain name, as written */
    CAIRN_SQL_QUOTED, /* "name", quotes included */
    CAIRN_SQL_STRING, /* any string constant, quotes included */
    CAIRN_SQL_NUMBER,
    CAIRN_SQL_PARAMETER, /* :name or :a.b; the text is without the colon */
    CAIRN_SQL_CAST,      /* :: */
    CAIRN_SQL_SEMICOLON,
    CAIRN_SQL_MARK /* one operator character or punctuation */
};

struct cairn_sql_token {
    enum cairn_sql_token_kind kind;
    struct cairn_slice text; /* borrowed from the source */
    size_t at;               /* byte in the source */
    unsigned line;           /* from 1 */
};

/* A place in a source. */
struct cairn_sql_scan {
    struct cairn_slice source;
    size_t at;
    unsigned line;
};

struct cairn_sql_scan cairn_sql_scan_begin(struct cairn_slice source);
/* The next token; white space and comments are passed over. errors: EMALFORMED (a string, name or
 * comment that does not end, a `$1` parameter, a parameter's name of more than
 * CAIRN_SQL_NAME_BYTES_MAX, a zero byte); scan->line is where it began. The text does not name the
 * line. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_scan_next(struct cairn_sql_scan *scan,
                                                   struct cairn_sql_token *ret_token,
                                                   struct cairn_err *err);
/* A comment from two dashes to the end of the line. */
struct cairn_sql_comment {
    struct cairn_slice text; /* without the dashes, trimmed; borrowed from the source */
    size_t at;               /* byte of the first dash */
    unsigned line;
    bool begins_line; /* only white space is in front of it */
};

/* The next such comment, if one comes before the next token; else *ret_found is false, the scan
 * stands at the token and ret_comment is untouched. errors: EMALFORMED, as cairn_sql_scan_next. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_scan_comment(struct cairn_sql_scan *scan,
                                                      struct cairn_sql_comment *ret_comment,
                                                      bool *ret_found, struct cairn_err *err);
/* Is it this keyword, in any case? */
bool cairn_sql_token_is(const struct cairn_sql_token *token, const char *word);

/* One statement with its parameters as $1.. */
struct cairn_sql_statement {
    struct cairn_slice source; /* as written, without the semicolon */
    unsigned line;             /* of its first token */
    const char *text;          /* NUL-ended, every :name as $n */
    /* As they stand, [0] is $1. A name that occurs twice is two parameters, because the server may
     * infer two types for it: of (:time::date, :time) one is a date and the other is not. */
    struct cairn_slice *params; /* names */
    size_t *places;             /* of their tokens in source */
    size_t param_count;
};

/* Split source at its semicolons and number the parameters of each statement. Everything in arena;
 * slices of names borrow from source. errors: EMALFORMED, with the line in the text; ETOOBIG (more
 * than CAIRN_SQL_PARAMS_MAX); ENOMEM. line: of the source's first line. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_statements(struct cairn_slice source, unsigned line,
                                                    struct cairn_arena *arena,
                                                    struct cairn_sql_statement **ret_statements,
                                                    size_t *ret_count, struct cairn_err *err);
/* The line where a statement first uses a parameter; its own first line when it never does. */
unsigned cairn_sql_param_line(const struct cairn_sql_statement *statement, struct cairn_slice name);

#endif
