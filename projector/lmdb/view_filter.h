/* A filter of a view query, made ready: its texts read once, so that rows are compared by type.
 *
 * A text has up to three readings. A row's number is compared with the text as a number, a row's
 * string with the text itself, a row's true, false or null with the same word; a pair without a
 * common reading is never equal and in no order.
 *
 * As in SQL a test is true, false or unknown: unknown where it compares what is not there (null, or
 * no such member) with another text than "null". `neq` is the exception, it is true there, and `is`
 * always knows. A negation turns true and false around; and and or join as in SQL. A row passes
 * when the whole is true. thread: any (read). */
#ifndef CAIRN_PROJECTOR_LMDB_VIEW_FILTER_H
#define CAIRN_PROJECTOR_LMDB_VIEW_FILTER_H

#include "projector/view_read.h"

/* The column number of "key". */
#define CAIRN_VIEW_COLUMN_KEY (-1)

struct cairn_view_reading {
    struct cairn_slice text;
    struct cairn_value number; /* CAIRN_NULL when the text is no JSON number */
    struct cairn_value word;   /* true, false; CAIRN_STRING when it is neither */
    bool null;                 /* the text is "null" */
};

struct cairn_view_test {
    enum cairn_view_operator op;
    bool negated;
    int column;              /* index number, or CAIRN_VIEW_COLUMN_KEY; not of AND, OR */
    struct cairn_slice name; /* of the column */
    const struct cairn_view_reading *readings;
    size_t count;
    const struct cairn_view_test *parts; /* of AND, OR */
    size_t part_count;
};

/* Look filter and its parts up among the columns and read their texts, into arena. errors: EQUERY
 * (no such column, no or too many values), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_test_make(const struct cairn_view_filter *filter,
                                                    const struct cairn_view_column *columns,
                                                    size_t column_count, struct cairn_arena *arena,
                                                    struct cairn_view_test *ret_test,
                                                    struct cairn_err *err);

/* Does the row pass? */
bool cairn_view_test_row(const struct cairn_view_test *test, struct cairn_slice key,
                         const struct cairn_value *document);

static inline bool cairn_view_is_joint(enum cairn_view_operator op)
{
    return op == CAIRN_OP_AND || op == CAIRN_OP_OR;
}

/* The number of a column's name, CAIRN_VIEW_COLUMN_KEY for "key"; EQUERY names the columns there
 * are. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_column_find(struct cairn_slice name,
                                                      const struct cairn_view_column *columns,
                                                      size_t column_count, int *ret_column,
                                                      struct cairn_err *err);

#endif
