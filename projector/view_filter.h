/* A filter of a view query, made ready: its texts read once, so that rows are compared by type.
 *
 * A text has up to three readings. A row's number is compared with the text as a number, a row's
 * string with the text itself, a row's true, false or null with the same word; a pair without a
 * common reading is never equal and in no order. thread: any (read). */
#ifndef CAIRN_PROJECTOR_VIEW_FILTER_H
#define CAIRN_PROJECTOR_VIEW_FILTER_H

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
    int column;              /* index number, or CAIRN_VIEW_COLUMN_KEY */
    struct cairn_slice name; /* of the column */
    enum cairn_view_operator op;
    const struct cairn_view_reading *readings;
    size_t count;
};

/* Look filter up among the columns and read its texts, into arena. errors: EQUERY (no such column,
 * no or too many values), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_test_make(const struct cairn_view_filter *filter,
                                                    const struct cairn_view_column *columns,
                                                    size_t column_count, struct cairn_arena *arena,
                                                    struct cairn_view_test *ret_test,
                                                    struct cairn_err *err);

/* Does the value of a row's column pass? value: NULL when the row has none. */
bool cairn_view_test_value(const struct cairn_view_test *test, const struct cairn_value *value);
/* Does the row? */
bool cairn_view_test_row(const struct cairn_view_test *test, struct cairn_slice key,
                         const struct cairn_value *document);

/* The number of a column's name, CAIRN_VIEW_COLUMN_KEY for "key"; EQUERY names the columns there
 * are. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_column_find(struct cairn_slice name,
                                                      const struct cairn_view_column *columns,
                                                      size_t column_count, int *ret_column,
                                                      struct cairn_err *err);

#endif
