/* Rows and index entries of two generations, walked side by side. */
#ifndef CAIRN_PROJECTOR_LMDB_COMPARE_ROWS_H
#define CAIRN_PROJECTOR_LMDB_COMPARE_ROWS_H

#include "projector/lmdb/views_int.h"
#include "projector/replay.h"

/* One generation, in a snapshot of its store. */
struct cairn_compare_side {
    struct cairn_kv_txn *txn;
    cairn_kv_table_id rows;
    cairn_kv_table_id index;
};
struct cairn_compare_rows {
    struct cairn_compare_side live;
    struct cairn_compare_side replayed;
    const struct cairn_view_code *code;      /* that both were made by, for the indexes' names */
    const struct cairn_compare_hooks *hooks; /* may be NULL */
    uint64_t told_max;
    bool partial; /* rows that only the live side has are left out */
    bool indexed; /* compare index entries, too: both are by one definition and at one position */
};

/* Tell rows and differences, and count them in report (rows, live_rows, differences,
 * left_out). errors: EIO,
 * ENOMEM. thread: owner of both snapshots. */
CAIRN_MUST_CHECK enum cairn_rc cairn_compare_rows(const struct cairn_compare_rows *rows,
                                                  struct cairn_compare_report *report,
                                                  struct cairn_err *err);

#endif
