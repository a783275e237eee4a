#include "projector/view_read.h"

#include <assert.h>

#include "projector/lmdb/view_parked.h"
#include "projector/lmdb/views_int.h"
#include "projector/sql/read.h"

static void fill_head(const struct cairn_view_head *head, struct cairn_view_status *status)
{
    status->state = head->state;
    status->generation = head->generation;
    status->position = head->position;
    if (head->state == CAIRN_VIEW_BUILDING) {
        status->rebuild_done = head->events;
        status->rebuild_all = head->all;
    }
}

static enum cairn_rc fill_code(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                               struct cairn_arena *arena, struct cairn_view_status *status,
                               struct cairn_err *err)
{
    struct cairn_view_code code;
    enum cairn_rc rc =
        cairn_view_code_get(txn, meta, CAIRN_SIDE_LIVE, status->name, arena, &code, err);
    if (rc != CAIRN_OK) {
        return rc == CAIRN_ENOENT ? CAIRN_FAIL(err, CAIRN_ECORRUPT, "the definition is missing")
                                  : rc;
    }
    struct cairn_view_column *columns =
        cairn_arena_zalloc(arena, code.column_count + 1, sizeof *columns);
    if (columns == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "read the definition");
    }
    memcpy(columns, code.columns, code.column_count * sizeof *columns);
    status->code_hash = code.hash;
    status->columns = columns;
    status->column_count = code.column_count;
    return CAIRN_OK;
}

/* How far the generation on a side is, if it is to become the live one. */
static enum cairn_rc fill_build(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                enum cairn_view_side side, struct cairn_view_status *status,
                                struct cairn_err *err)
{
    struct cairn_view_head head;
    enum cairn_rc rc = cairn_view_head_get(txn, meta, side, status->name, &head, err);
    if (rc == CAIRN_OK && (side == CAIRN_SIDE_NEXT || head.all > 0)) {
        status->rebuilding = true;
        status->rebuild_done = head.events;
        status->rebuild_all = head.all;
    }
    return rc == CAIRN_ENOENT ? CAIRN_OK : rc;
}

/* What is being built beside it, and what went wrong, where there is something. */
static enum cairn_rc fill_trouble(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                  struct cairn_arena *arena, struct cairn_view_status *status,
                                  struct cairn_err *err)
{
    struct cairn_view_stop stop;
    enum cairn_rc rc = fill_build(txn, meta, CAIRN_SIDE_NEXT, status, err);
    if (rc == CAIRN_OK && !status->rebuilding) {
        rc = fill_build(txn, meta, CAIRN_SIDE_OLD, status, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_view_stop_get(txn, meta, status->name, arena, &stop, err);
    if (rc == CAIRN_OK) {
        status->error = stop.error;
        status->error_event = stop.event;
        status->error_partition = stop.partition;
        status->error_offset = stop.offset;
    }
    return rc == CAIRN_ENOENT ? CAIRN_OK : rc;
}

/* Everything of one view, from the caller's snapshot. name lies in arena. */
static enum cairn_rc fill_status(struct cairn_views *views, struct cairn_kv_txn *txn,
                                 struct cairn_slice name, const struct cairn_view_tables *tables,
                                 struct cairn_arena *arena, struct cairn_view_status *ret_status,
                                 struct cairn_err *err)
{
    struct cairn_view_head head;
    cairn_kv_table_id meta = cairn_views_meta(views);
    enum cairn_rc rc = cairn_view_head_get(txn, meta, CAIRN_SIDE_LIVE, name, &head, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    *ret_status = (struct cairn_view_status){.name = name};
    fill_head(&head, ret_status);
    rc = cairn_kv_count(txn, tables->rows[head.slot], &ret_status->rows, err);
    if (rc == CAIRN_OK) {
        rc = fill_code(txn, meta, arena, ret_status, err);
    }
    if (rc == CAIRN_OK) {
        rc = fill_trouble(txn, meta, arena, ret_status, err);
    }
    if (rc == CAIRN_OK && head.parks > 0) {
        const struct cairn_parked_place place = {.meta = meta, .view = name, .slot = head.slot};
        rc = cairn_view_parked_count(txn, &place, &ret_status->parked, err);
    }
    if (rc != CAIRN_OK) {
        return cairn_err_wrap(err, rc, "view %.*s", CAIRN_SLICE_ARG(name));
    }
    bool first = ret_status->state == CAIRN_VIEW_BUILDING;
    ret_status->rebuild_active =
        (ret_status->rebuilding || first) && cairn_views_is_built(views, name, first);
    return CAIRN_OK;
}

enum cairn_rc cairn_view_status(struct cairn_views *views, struct cairn_slice view,
                                struct cairn_arena *arena, struct cairn_view_status *ret_status,
                                struct cairn_err *err)
{
    assert(views != NULL && arena != NULL && ret_status != NULL);
    struct cairn_view_tables tables;
    struct cairn_slice name;
    struct cairn_view_status status;
    struct cairn_sql_reader *sql = cairn_views_sql(views, view);
    if (sql != NULL) {
        return cairn_sql_view_status(sql, view, arena, ret_status, err);
    }
    enum cairn_rc rc = cairn_views_tables(views, view, &tables, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (cairn_arena_copy(arena, view, &name) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "read the state of a view");
    }
    struct cairn_kv_txn *txn = NULL;
    rc = cairn_kv_read_begin(cairn_views_kv(views), &txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = fill_status(views, txn, name, &tables, arena, &status, err);
    cairn_kv_end(txn);
    if (rc == CAIRN_ENOENT) {
        return CAIRN_FAIL(err, CAIRN_ENOENT, "no such view: %.*s", CAIRN_SLICE_ARG(view));
    }
    if (rc == CAIRN_OK) {
        *ret_status = status;
    }
    return rc;
}

static enum cairn_rc read_names(struct cairn_views *views, struct cairn_arena *arena,
                                struct cairn_slice **ret_names, size_t *ret_count,
                                struct cairn_err *err)
{
    struct cairn_kv_txn *txn = NULL;
    enum cairn_rc rc = cairn_kv_read_begin(cairn_views_kv(views), &txn, err);
    if (rc == CAIRN_OK) {
        rc = cairn_view_meta_names(txn, cairn_views_meta(views), arena, ret_names, ret_count, err);
        cairn_kv_end(txn);
    }
    return rc;
}

/* Names first and their tables, which must be opened outside a transaction; then all states from
 * one snapshot. A view that went away between the two is left out. */
static enum cairn_rc list_lmdb(struct cairn_views *views, struct cairn_arena *arena, size_t room,
                               struct cairn_view_status **ret_status, size_t *ret_count,
                               struct cairn_err *err)
{
    struct cairn_slice *names = NULL;
    size_t count = 0;
    size_t found = 0;
    enum cairn_rc rc = read_names(views, arena, &names, &count, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_view_status *all = cairn_arena_zalloc(arena, count + room + 1, sizeof *all);
    struct cairn_view_tables *tables = cairn_arena_zalloc(arena, count + 1, sizeof *tables);
    if (all == NULL || tables == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "list the views");
    }
    for (size_t i = 0; i < count; i++) {
        rc = cairn_views_tables(views, names[i], &tables[i], err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    struct cairn_kv_txn *txn = NULL;
    rc = cairn_kv_read_begin(cairn_views_kv(views), &txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    for (size_t i = 0; i < count && rc == CAIRN_OK; i++) {
        rc = fill_status(views, txn, names[i], &tables[i], arena, &all[found], err);
        found += rc == CAIRN_OK;
        rc = rc == CAIRN_ENOENT ? CAIRN_OK : rc;
    }
    cairn_kv_end(txn);
    if (rc == CAIRN_OK) {
        *ret_status = all;
        *ret_count = found;
    }
    return rc;
}

enum cairn_rc cairn_views_list(struct cairn_views *views, struct cairn_arena *arena,
                               struct cairn_view_status **ret_status, size_t *ret_count,
                               struct cairn_err *err)
{
    assert(views != NULL && arena != NULL && ret_status != NULL && ret_count != NULL);
    struct cairn_sql_reader *sql = cairn_views_all_sql(views);
    size_t sql_count = sql == NULL ? 0 : cairn_sql_reader_count(sql);
    enum cairn_rc rc = list_lmdb(views, arena, sql_count, ret_status, ret_count, err);
    for (size_t i = 0; rc == CAIRN_OK && i < sql_count; i++) {
        rc = cairn_sql_reader_state(sql, i, arena, &(*ret_status)[*ret_count], err);
        *ret_count += rc == CAIRN_OK;
    }
    return rc;
}

enum cairn_rc cairn_view_get(struct cairn_views *views, struct cairn_slice view,
                             struct cairn_slice key, struct cairn_arena *arena,
                             struct cairn_value *ret_row, struct cairn_position *ret_position,
                             bool *ret_known, struct cairn_err *err)
{
    assert(views != NULL && arena != NULL && ret_row != NULL && ret_known != NULL);
    struct cairn_view_snapshot snapshot;
    struct cairn_sql_reader *sql = cairn_views_sql(views, view);
    if (sql != NULL) {
        return cairn_sql_view_get(sql, view, key, arena, ret_row, ret_position, ret_known, err);
    }
    *ret_known = false;
    enum cairn_rc rc = cairn_view_snapshot_begin(views, view, &snapshot, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    *ret_known = true;
    struct cairn_slice packed = CAIRN_SLICE_NONE;
    rc = CAIRN_ENOENT;
    if (key.size > 0 && key.size <= CAIRN_VIEW_KEY_BYTES_MAX) {
        rc =
            cairn_kv_get(snapshot.txn, snapshot.tables.rows[snapshot.head.slot], key, &packed, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_view_document(packed, arena, ret_row, err);
    } else if (rc == CAIRN_ENOENT) {
        rc = CAIRN_FAIL(err, CAIRN_ENOENT, "view %.*s has no row with that key",
                        CAIRN_SLICE_ARG(view));
    }
    cairn_view_snapshot_end(&snapshot);
    /* The position goes with a missing row too: "not there, as of then". */
    if (ret_position != NULL && (rc == CAIRN_OK || rc == CAIRN_ENOENT)) {
        *ret_position = snapshot.head.position;
    }
    return rc;
}
