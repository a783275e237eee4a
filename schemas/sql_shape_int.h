/* A statement while its shape is read; for schemas/sql_shape*.c alone. */
#ifndef CAIRN_SCHEMAS_SQL_SHAPE_INT_H
#define CAIRN_SCHEMAS_SQL_SHAPE_INT_H

#include "schemas/sql_shape.h"

/* Tokens [begin, end). */
struct cairn_sql_span {
    size_t begin;
    size_t end;
};

/* What becomes of a column when rows of one key are folded into one. */
enum cairn_sql_fold {
    CAIRN_SQL_FOLD_FIRST, /* not assigned on conflict: the first row's */
    CAIRN_SQL_FOLD_KEY,
    CAIRN_SQL_FOLD_LAST,
    CAIRN_SQL_FOLD_SUM,
    CAIRN_SQL_FOLD_LARGEST,
    CAIRN_SQL_FOLD_SMALLEST
};

/* A column that an INSERT gives a value. */
struct cairn_sql_item {
    size_t column; /* of the table */
    struct cairn_sql_span value;
    enum cairn_sql_fold fold; /* where the shape folds */
    bool negated;             /* the fold takes away what comes */
};

struct cairn_sql_assignment {
    size_t column;
    struct cairn_sql_span value;
};

struct cairn_sql_reading {
    const struct cairn_sql_statement *statement;
    const struct cairn_slice *param_types;
    const struct cairn_sql_table *table; /* once it is known */
    const struct cairn_sql_token *tokens;
    size_t token_count; /* without the END behind them */
    size_t at;
    const struct cairn_sql_token *row; /* the name that the table's row goes by */
    bool sees_row;                     /* expressions may name columns, plain or by row */
    bool sees_excluded;                /* by row and excluded only */
    struct cairn_sql_span into;        /* the table's name up to VALUES, SET or WHERE */
    struct cairn_sql_item items[CAIRN_SQL_COLUMNS_MAX];
    size_t item_count;
    struct cairn_sql_span conflict; /* ON CONFLICT ...; empty: none */
    size_t target[CAIRN_SQL_KEY_COLUMNS_MAX];
    size_t target_count;
    struct cairn_sql_assignment assignments[CAIRN_SQL_COLUMNS_MAX];
    size_t assignment_count;
    struct cairn_sql_span set; /* of an UPDATE: all its assignments; empty: a DELETE */
    struct cairn_sql_span where;
    bool commutes; /* of a shape that folds */
};

/* A type as far as shapes care. */
enum {
    CAIRN_SQL_TYPE_ARRAY = 1,    /* a parameter of it may go as an array's element */
    CAIRN_SQL_TYPE_CAST = 2,     /* CAST gives what assignment gives, and fails where that fails */
    CAIRN_SQL_TYPE_SUM = 4,      /* + is exact, and does not care for order */
    CAIRN_SQL_TYPE_ORDER = 8,    /* max() is GREATEST; equal values cannot be told apart */
    CAIRN_SQL_TYPE_COMMUTE = 32, /* sums of several statements may change places, guarded */
    CAIRN_SQL_TYPE_GROUP = 16 /* GROUP BY is the unique index's equality, and the same of equals */
};

enum cairn_sql_class {
    CAIRN_SQL_CLASS_TEXT = CAIRN_SQL_KEY_TEXT,
    CAIRN_SQL_CLASS_INTEGER = CAIRN_SQL_KEY_INTEGER,
    CAIRN_SQL_CLASS_UUID = CAIRN_SQL_KEY_UUID,
    CAIRN_SQL_CLASS_OTHER
};

struct cairn_sql_type_facts {
    const char *name; /* as format_type writes it */
    enum cairn_sql_class class;
    unsigned flags;
};

/* NULL: not known. */
const struct cairn_sql_type_facts *cairn_sql_type_facts(struct cairn_slice name);
/* The class of a type as a statement names it in one word ("int8"). */
enum cairn_sql_class cairn_sql_type_word(const struct cairn_sql_token *word);

/* Does this token name it: plain and folded to lower case, or quoted? */
bool cairn_sql_token_names(const struct cairn_sql_token *token, struct cairn_slice name);
bool cairn_sql_token_is_mark(const struct cairn_sql_token *token, char mark);
/* The number of the table's column that a token names; SIZE_MAX: none. */
size_t cairn_sql_column_named(const struct cairn_sql_table *table,
                              const struct cairn_sql_token *token);
/* Number of the parameter that a token is. */
size_t cairn_sql_param_number(const struct cairn_sql_statement *statement,
                              const struct cairn_sql_token *token);

/* The expression at reading->at, up to a comma, a closing bracket, the word `stop` (may be NULL) or
 * the end, all of them outside of brackets. False: there is none, or it does more than compute a
 * value from parameters, literals and the columns that the reading sees. */
bool cairn_sql_expression_read(struct cairn_sql_reading *reading, const char *stop,
                               struct cairn_sql_span *ret_span);

/* May rows of one key be folded? Sets the items' folds. */
bool cairn_sql_fold_read(struct cairn_sql_reading *reading);
/* The same of an UPDATE whose condition is that the table's key equals these, and no more. Sets the
 * items: its key, and what comes to each column that it assigns. */
bool cairn_sql_fold_read_update(struct cairn_sql_reading *reading,
                                const struct cairn_sql_assignment *equals, size_t equal_count);
/* Of one that folds: are all its columns beside the key sums that may change places with others?
 * Sets their bits. */
bool cairn_sql_fold_commutes(const struct cairn_sql_reading *reading,
                             uint64_t sums[CAIRN_SQL_COLUMNS_MAX / 64]);

/* Of one that folds: may equal rows go as one? Sets merges, and which parameters tell nothing. */
void cairn_sql_fold_merge(const struct cairn_sql_reading *reading, struct cairn_sql_shape *shape);

/* Is its value that parameter, and no more? */
bool cairn_sql_item_is_param(const struct cairn_sql_reading *reading,
                             const struct cairn_sql_item *item, size_t param);

/* The text of an array form under construction; after a failure nothing is added. */
struct cairn_sql_form {
    const struct cairn_sql_reading *reading;
    const struct cairn_sql_shape *shape;
    const char *arrays; /* the name of the rows of parameters, and how their columns begin */
    struct cairn_buf buf;
    enum cairn_rc rc;
};

void cairn_sql_form_put(struct cairn_sql_form *form, struct cairn_slice bytes);
void cairn_sql_form_str(struct cairn_sql_form *form, const char *bytes);
void cairn_sql_form_number(struct cairn_sql_form *form, const char *before, size_t number);
void cairn_sql_form_name(struct cairn_sql_form *form, struct cairn_slice name); /* quoted */
/* Tokens as they were written, with p.p1 for the first parameter. */
void cairn_sql_form_span(struct cairn_sql_form *form, struct cairn_sql_span span);
/* The rows of parameters, as an item of FROM; numbered: with n, by which they can be ordered. */
void cairn_sql_form_rows(struct cairn_sql_form *form);
void cairn_sql_form_numbered_rows(struct cairn_sql_form *form);

/* Of a shape that folds: rows of one key grouped, and rows of different keys as they are. */
void cairn_sql_folded_insert(struct cairn_sql_form *form);
void cairn_sql_lone_insert(struct cairn_sql_form *form);
void cairn_sql_folded_update(struct cairn_sql_form *form);
void cairn_sql_lone_update(struct cairn_sql_form *form);

/* The texts of the array forms; text NULL: it would be too long. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_arrays_write(const struct cairn_sql_reading *reading,
                                                      struct cairn_arena *arena,
                                                      struct cairn_sql_shape *shape,
                                                      struct cairn_err *err);
/* What the arrays of an UPDATE or DELETE are called, and their columns begin with: beside them the
 * statement's own expressions stand as they were written. */
#define CAIRN_SQL_ARRAYS_NAME "_cairn"

#endif
