/* The rows of two generations of a SQL view, walked side by side. */
#ifndef CAIRN_PROJECTOR_SQL_COMPARE_ROWS_H
#define CAIRN_PROJECTOR_SQL_COMPARE_ROWS_H

#include "projector/replay.h"
#include "projector/sql/generation.h"

struct cairn_sql_compare_rows {
    struct cairn_slice domain;
    struct cairn_slice view;
    struct cairn_pg *live;     /* each inside of a transaction, which holds its cursors */
    struct cairn_pg *replayed; /* generation of side check */
    const struct cairn_compare_hooks *hooks; /* may be NULL */
    uint64_t told_max;
    bool partial; /* rows that only the live side has are left out */
};

/* Tell rows and differences, and count them in report (rows, live_rows, differences,
 * left_out). A row's key
 * is its primary key as a JSON array, or the whole row where a table has none or not the same on
 * both sides. Holds some hundred rows at a time; the server sorts. errors: ESTOPPED (cancelled);
 * those of platform/pg.h. thread: owner of both connections. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_compare_rows(const struct cairn_sql_compare_rows *rows,
                                                      struct cairn_compare_report *report,
                                                      struct cairn_err *err);

#endif
