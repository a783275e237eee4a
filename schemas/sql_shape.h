/* What a projection's statement is, as far as its tokens tell: can the rows of many events go in
 * one statement, and which of its parameters decide which table row it touches? Whatever is not
 * understood for certain is "anything". Pure; fuzzed. */
#ifndef CAIRN_SCHEMAS_SQL_SHAPE_H
#define CAIRN_SCHEMAS_SQL_SHAPE_H

#include "schemas/sql_text.h"

#define CAIRN_SQL_KEY_COLUMNS_MAX 8

enum cairn_sql_shape_kind {
    CAIRN_SQL_ANYTHING, /* may read and touch any row of the view's tables; runs alone, in order */
    CAIRN_SQL_INSERT, /* INSERT INTO t [(...)] VALUES (one row), no ON CONFLICT: rows never meet */
    CAIRN_SQL_UPSERT, /* ... ON CONFLICT (columns) DO NOTHING | DO UPDATE SET ... */
    CAIRN_SQL_KEYED /* UPDATE or DELETE whose WHERE is `column = expr AND ...` on key columns only:
                       runs alone, but its key is known */
};

/* The array form of an insert or upsert runs the same expressions over unnest($1::t[], ...). */
struct cairn_sql_shape {
    enum cairn_sql_shape_kind kind;
    struct cairn_slice table; /* as written, folded to lower case where it is not quoted */
    /* The conflict target or the WHERE: columns and the expression that gives each, both as
     * written. Two rows with equal values of all parameters in the key's expressions touch the same
     * table row; rows with different values may only be held apart where each expression is one
     * parameter, with or without casts (exact). */
    struct cairn_slice key_columns[CAIRN_SQL_KEY_COLUMNS_MAX];
    size_t key_count;
    uint64_t key_params; /* bit n: $n+1 is part of the key */
    bool exact;
    /* Rows of one key may be folded into one before they travel: every assignment is
     * c = t.c + excluded.c, GREATEST/LEAST(t.c, excluded.c), or c = excluded.c (the last one wins).
     */
    bool folds;
    /* The array form, NUL-ended: parameters $1..$n are arrays in the order of the statement's own;
     * with %s nowhere. NULL: there is none. param_types: what the server inferred for the statement
     * is needed to write it, so it is made by cairn_sql_shape_arrays. */
};

/* columns: of the table, in their order, for an INSERT that names none (may be NULL: then such an
 * INSERT is ANYTHING). */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_shape_read(const struct cairn_sql_statement *statement,
                                                    const struct cairn_slice *columns,
                                                    size_t column_count, struct cairn_arena *arena,
                                                    struct cairn_sql_shape *ret_shape,
                                                    struct cairn_err *err);
/* The array form of an INSERT or a folding UPSERT: `INSERT INTO t (...) SELECT e1, sum(e2)::type
 * FROM unnest($1::type[], ...) WITH ORDINALITY AS p(p1, ..., n) GROUP BY key ON CONFLICT ...`.
 * param_types: names of the parameters' types as PostgreSQL writes them, [0] of $1. ret_text in
 * arena. ENOENT (no err): this shape has none. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_shape_arrays(const struct cairn_sql_statement *statement,
                                                      const struct cairn_sql_shape *shape,
                                                      const struct cairn_slice *param_types,
                                                      struct cairn_arena *arena,
                                                      const char **ret_text, struct cairn_err *err);

#endif
