/* The view store as the projector's own files see it: the environment and the tables of a view.
 *
 * Every view has three pairs of tables for good, `rows.<view>.0` `index.<view>.0` and the same with
 * 1 and 2, one for each generation that there may be; rows of `meta` say which is which, and a
 * switch changes these. So a table id once opened stays good in every process, and nothing is ever
 * dropped under a reader. */
#ifndef CAIRN_PROJECTOR_LMDB_VIEWS_INT_H
#define CAIRN_PROJECTOR_LMDB_VIEWS_INT_H

#include "platform/beacon.h"
#include "projector/lmdb/view_meta.h"

#define CAIRN_VIEWS_FOLDER "views"
/* Files in it: the lock of who feeds the views, and of who builds one. */
#define CAIRN_PROJECTOR_LOCK "projector.lock"
#define CAIRN_VIEW_LOCK_SIZE (CAIRN_VIEW_NAME_BYTES_MAX + 32)
void cairn_view_lock_name(struct cairn_slice view, char ret_name[CAIRN_VIEW_LOCK_SIZE]);

/* Tables of one view, by slot. */
struct cairn_view_tables {
    cairn_kv_table_id rows[CAIRN_VIEW_SLOTS];
    cairn_kv_table_id index[CAIRN_VIEW_SLOTS];
};

/* Open for writing, making what is missing. sync: commits survive a power cut. errors: EIO, EFULL,
 * ECORRUPT, EUNSUPPORTED, EEXIST (this process has it open). Close with cairn_views_close. */
CAIRN_MUST_CHECK enum cairn_rc cairn_views_open_writer(const char *folder, bool sync,
                                                       struct cairn_views **ret_views,
                                                       struct cairn_err *err);
struct cairn_kv *cairn_views_kv(struct cairn_views *views);
cairn_kv_table_id cairn_views_meta(const struct cairn_views *views);
/* The view's tables, remembered after the first time; a writer makes them. No transaction of this
 * thread may be open. ENOENT: a reader, and there is no such view. thread: any. */
CAIRN_MUST_CHECK enum cairn_rc cairn_views_tables(struct cairn_views *views,
                                                  struct cairn_slice view,
                                                  struct cairn_view_tables *ret_tables,
                                                  struct cairn_err *err);
/* Empty a slot: rows, index entries and what else lies with them. */
CAIRN_MUST_CHECK enum cairn_rc cairn_views_clear_slot(struct cairn_views *views,
                                                      struct cairn_kv_txn *txn,
                                                      struct cairn_slice view,
                                                      const struct cairn_view_tables *tables,
                                                      unsigned slot, struct cairn_err *err);
/* Who reads the view from PostgreSQL; NULL: it is in LMDB. */
struct cairn_sql_reader *cairn_views_sql(const struct cairn_views *views, struct cairn_slice view);
struct cairn_sql_reader *cairn_views_all_sql(const struct cairn_views *views); /* or NULL */
/* Is somebody at a build of the view now: beside the live generation, by the lock of who builds;
 * its first one (first), by that of the projector? */
bool cairn_views_is_built(const struct cairn_views *views, struct cairn_slice view, bool first);
/* Tell every process that something was committed. */
void cairn_views_ring(struct cairn_views *views);

/* End a write as rc says: commit it and ring, or drop it. Returns rc, or the commit's own. */
CAIRN_MUST_CHECK enum cairn_rc cairn_views_end_write(struct cairn_views *views,
                                                     struct cairn_kv_txn *txn, enum cairn_rc rc,
                                                     struct cairn_err *err);

/* Wait before the next batch, so that events gather, at most timeout_ms; not while somebody waits
 * for a position, in any process, and not after cairn_views_wake. */
void cairn_views_linger(struct cairn_views *views, int timeout_ms);

/* A stored row as a document in arena: packed is copied there first, since it dies with its
 * transaction. errors: ECORRUPT, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_document(struct cairn_slice packed,
                                                   struct cairn_arena *arena,
                                                   struct cairn_value *ret_document,
                                                   struct cairn_err *err);

/* A read of one view: a snapshot, its head and tables. */
struct cairn_view_snapshot {
    struct cairn_kv_txn *txn;
    struct cairn_view_tables tables;
    struct cairn_view_head head;
};
/* errors: ENOENT (no such view), EBEHIND (its first build has not ended), EIO, ECORRUPT. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_snapshot_begin(struct cairn_views *views,
                                                         struct cairn_slice view,
                                                         struct cairn_view_snapshot *ret_snapshot,
                                                         struct cairn_err *err);
void cairn_view_snapshot_end(struct cairn_view_snapshot *snapshot);

#endif
