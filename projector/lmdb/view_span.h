/* Spans: which stretches of an ordered table can hold the rows that a filter lets through.
 *
 * A span is half-open, [low, high), in the bytes of the table's keys. A list of spans is sorted and
 * disjoint. Spans are a superset of what matches, because a long string is cut in an index key; the
 * row itself is tested afterwards. Everything lies in an arena. thread: any. */
#ifndef CAIRN_PROJECTOR_LMDB_VIEW_SPAN_H
#define CAIRN_PROJECTOR_LMDB_VIEW_SPAN_H

#include "projector/lmdb/view_filter.h"
#include "projector/lmdb/view_key.h"

struct cairn_view_span {
    struct cairn_slice low; /* never empty */
    struct cairn_slice high;
};

struct cairn_view_spans {
    struct cairn_view_span *items;
    size_t count;  /* 0: nothing can match */
    bool filtered; /* a test limits them; else they are all of the column */
    bool points;   /* a test names each value there can be: eq, in, is */
};

/* All of a column: an index (0..15) of the index table, or the whole table of rows for
 * CAIRN_VIEW_COLUMN_KEY. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_spans_all(int column, struct cairn_arena *arena,
                                                    struct cairn_view_spans *ret_spans);
/* Where rows for which a test of one column is true can be, in the order of that column; whether it
 * is negated is not looked at. test: not NEQ, AND, OR. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_spans_of_leaf(const struct cairn_view_test *test,
                                                        struct cairn_arena *arena,
                                                        struct cairn_view_spans *ret_spans);
/* Where rows that pass test can be, in the order of a column; all of it when test does not say. A
 * negated test of a column never says. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_spans_of(const struct cairn_view_test *test, int column,
                                                   struct cairn_arena *arena,
                                                   struct cairn_view_spans *ret_spans);
/* What both hold. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_spans_meet(const struct cairn_view_spans *a,
                                                     const struct cairn_view_spans *b,
                                                     struct cairn_arena *arena,
                                                     struct cairn_view_spans *ret_spans);
/* What one or more of them hold. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_spans_join(const struct cairn_view_spans *parts,
                                                     size_t count, struct cairn_arena *arena,
                                                     struct cairn_view_spans *ret_spans);
/* Cut away what a page before has shown: keys up to and with at (descending: from at on). ENOMEM.
 */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_spans_resume(struct cairn_view_spans *spans,
                                                       struct cairn_slice at, bool descending,
                                                       struct cairn_arena *arena);

#endif
