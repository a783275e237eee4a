/* A query of a view under way: its snapshot, rows that are tested, and those its page takes. The
 * plan (view_list.c) leads to the rows by one of two ways: view_walk.c, view_collect.c. thread:
 * owner. */
#ifndef CAIRN_PROJECTOR_LMDB_VIEW_LISTER_H
#define CAIRN_PROJECTOR_LMDB_VIEW_LISTER_H

#include "projector/lmdb/view_span.h"
#include "projector/lmdb/views_int.h"
#include "projector/view_cursor.h"

struct cairn_lister {
    const struct cairn_view_query *query;
    struct cairn_view_snapshot snapshot;
    struct cairn_view_code code;
    struct cairn_view_test test;   /* all filters, joined */
    struct cairn_view_place after; /* key empty: from the start */
    int order;                     /* column */
    struct cairn_arena *arena;     /* the caller's: what the page keeps */
    struct cairn_arena scratch;    /* one row at a time */
    struct cairn_view_row *rows;   /* limit of them */
    struct cairn_view_place last;  /* of the newest row taken, in arena */
    size_t count;
    size_t examined;
    bool more;
    struct cairn_err *err;
};

/* Tables of the generation that is listed. */
static inline cairn_kv_table_id cairn_lister_rows(const struct cairn_lister *lister)
{
    return lister->snapshot.tables.rows[lister->snapshot.head.slot];
}
static inline cairn_kv_table_id cairn_lister_index(const struct cairn_lister *lister)
{
    return lister->snapshot.tables.index[lister->snapshot.head.slot];
}

/* ENOMEM, said of the view. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lister_no_memory(const struct cairn_lister *lister);
/* A copy in the caller's arena; data NULL: no memory. */
struct cairn_slice cairn_lister_copy(const struct cairn_lister *lister, struct cairn_slice bytes);
/* The row that an index entry names, packed. ECORRUPT: there is none, so the two were not written
 * together. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lister_row(const struct cairn_lister *lister,
                                                struct cairn_slice key,
                                                struct cairn_slice *ret_packed);
/* Does the row pass? ret_document lies in scratch until the next row. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lister_test(struct cairn_lister *lister,
                                                 struct cairn_slice key, struct cairn_slice packed,
                                                 struct cairn_value *ret_document,
                                                 bool *ret_passes);
/* Keep a row that passed, of which there are fewer than the limit, in the caller's arena. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lister_take(struct cairn_lister *lister,
                                                 struct cairn_slice key, struct cairn_slice packed);

/* Take the rows of these spans of the order's table, in the order, until the page is full. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lister_walk(struct cairn_lister *lister,
                                                 const struct cairn_view_spans *spans);
/* Look at every row in these spans of a column's table, and take the first of the order. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lister_collect(struct cairn_lister *lister, int column,
                                                    const struct cairn_view_spans *spans);

#endif
