/* What a projection's statement is, as far as its tokens and the table's facts tell: which row it
 * touches, and whether the rows of many events can go in one statement.
 *
 * The measure is the table: running a batch as arrays must leave what running it statement by
 * statement leaves, and must fail where that fails. (It may also fail where that does not, near a
 * type's limit: who meets an error cuts the batch and runs the statement itself.) Whatever is not
 * understood for certain is "anything". Pure; fuzzed. thread: any. */
#ifndef CAIRN_SCHEMAS_SQL_SHAPE_H
#define CAIRN_SCHEMAS_SQL_SHAPE_H

#include "schemas/sql_text.h"

#define CAIRN_SQL_KEY_COLUMNS_MAX  8
#define CAIRN_SQL_COLUMNS_MAX      128         /* of a table; one with more is not understood */
#define CAIRN_SQL_SHAPE_TOKENS_MAX 4096        /* of a statement; the same */
#define CAIRN_SQL_COMMUTE_MAX      64          /* statements that change places with each other */
#define CAIRN_SQL_ARRAYS_BYTES_MAX (1u << 20u) /* of an array form; a longer one is left out */

struct cairn_sql_column {
    struct cairn_slice name; /* as the catalogue has it, not quoted */
    /* format_type(atttypid, atttypmod); anything else ("?") for a type whose equal values may
     * differ, as under a nondeterministic collation. */
    struct cairn_slice type;
    bool not_null;
};

/* What the catalogue says of a table; projector/sql/table.h reads it. */
struct cairn_sql_table {
    struct cairn_slice name;
    const struct cairn_sql_column *columns; /* in the order of an INSERT that names none */
    size_t column_count;
    /* Of the only unique index, where it is a plain one: over columns, not partial, immediate;
     * numbers of columns. Else, or where there are several, none. */
    unsigned key[CAIRN_SQL_KEY_COLUMNS_MAX];
    size_t key_count;
    /* Touching one row reads and writes nothing else: an ordinary table without triggers, foreign
     * keys either way, rules, policies or heirs, in a schema that shadows nothing of pg_catalog. */
    bool local;
    /* A row may be refused for a value that a later event takes back: CHECK constraints, indexes
     * over expressions, indexes over columns of any length beside the key. */
    bool checked;
    /* The order of rows shows although their keys differ: defaults that count (sequences), several
     * unique indexes, exclusion constraints. */
    bool ordered;
};

enum cairn_sql_shape_kind {
    CAIRN_SQL_ANYTHING, /* may read and touch any row of any table: runs alone, in order */
    CAIRN_SQL_INSERT,   /* INSERT INTO t [(...)] VALUES (one row) [ON CONFLICT DO NOTHING] */
    CAIRN_SQL_UPSERT,   /* ... ON CONFLICT (the key) DO NOTHING | DO UPDATE SET ... [WHERE ...] */
    CAIRN_SQL_CHANGE /* UPDATE or DELETE whose expressions see one row. Its array form is a join */
};

/* How a parameter's text is compared with another's. Of equal values the texts may differ ("1" and
 * "01"), so only these types are held apart. */
enum cairn_sql_key_type { CAIRN_SQL_KEY_TEXT, CAIRN_SQL_KEY_INTEGER, CAIRN_SQL_KEY_UUID };

struct cairn_sql_key_part {
    size_t param; /* 0 is $1 */
    enum cairn_sql_key_type type;
};

enum cairn_sql_arrays {
    CAIRN_SQL_ARRAYS_NONE,
    CAIRN_SQL_ARRAYS_ANY,     /* rows in their order, whatever their keys */
    CAIRN_SQL_ARRAYS_DISTINCT /* rows of different keys, as sql_key_part tells them apart */
};

struct cairn_sql_shape {
    enum cairn_sql_shape_kind kind;
    size_t table; /* in the tables given; SIZE_MAX for anything */
    /* The table row that this touches is known from parameters alone: one for each column of the
     * table's key, in its order. Two statements on a table compare theirs. 0: any row of the
     * table. */
    struct cairn_sql_key_part key[CAIRN_SQL_KEY_COLUMNS_MAX];
    size_t key_count;
    enum cairn_sql_arrays arrays;
    /* The arrays' rows are grouped by key before they meet the table: sums, the largest, the
     * smallest, the last. */
    bool folds;
    /* Columns that are summed, as bits, where no other is written beside the key: statements on one
     * table with the same sums may change places. Their arrays refuse what is near a type's limit,
     * so that none of up to CAIRN_SQL_COMMUTE_MAX of them hides an overflow of another. 0: no. */
    uint64_t sums[CAIRN_SQL_COLUMNS_MAX / 64];
    /* Of one that folds, a fold's arrays have one more behind those of the parameters: how many
     * rows each row stands for. Rows that are equal but for the parameters `summed` and `lasting`
     * (bits) may go as one, in the place of the last: with its texts of those that last, and with
     * the sums, as long as none is of numbers of both signs or further from zero than the limit. */
    bool merges;
    uint64_t summed;
    uint64_t lasting;
    int64_t sum_limit; /* what the narrowest type of the summed parameters holds */
    /* NUL-ended, in the arena; $n is the array of the statement's own $n. NULL: there is none. */
    const char *text;
    /* Of one that folds: the same for rows of different keys, as sql_key_part tells them apart,
     * which the server need not group. NULL: there is none. */
    const char *lone;
};

/* param_types: of the statement's parameters as the server inferred them, [0] of $1, in the form of
 * format_type(oid, -1). tables: of the view; those of the arguments outlive the shape. The text is
 * in arena. errors: ENOMEM, EMALFORMED (as cairn_sql_scan_next; never for a statement of
 * cairn_sql_statements). */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_shape_read(const struct cairn_sql_statement *statement,
                                                    const struct cairn_slice *param_types,
                                                    const struct cairn_sql_table *tables,
                                                    size_t table_count, struct cairn_arena *arena,
                                                    struct cairn_sql_shape *ret_shape,
                                                    struct cairn_err *err);

#endif
