#include "projector/lmdb/reconcile.h"

#include <assert.h>

/* Memory for stored definitions while they are compared. */
#define STORED_BYTES_MAX (16u * 1024u * 1024u)

/* What the store holds of a view. */
struct stored {
    bool found;
    bool refused; /* the definition was rolled back from */
    struct cairn_view_head head;
    struct cairn_view_code code; /* in arena */
    struct cairn_arena arena;
};

/* hash: of the domain's definition. */
static enum cairn_rc read_stored(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                 struct cairn_slice view, struct cairn_slice hash,
                                 struct stored *stored, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_view_head_get(txn, meta, CAIRN_SIDE_LIVE, view, &stored->head, err);
    stored->found = rc == CAIRN_OK;
    if (rc == CAIRN_OK) {
        rc = cairn_view_code_get(txn, meta, CAIRN_SIDE_LIVE, view, &stored->arena, &stored->code,
                                 err);
        rc = rc == CAIRN_ENOENT ? CAIRN_FAIL(err, CAIRN_ECORRUPT, "view %.*s has no definition",
                                             CAIRN_SLICE_ARG(view))
                                : rc;
    }
    if (rc == CAIRN_OK) {
        rc = cairn_view_refused_is(txn, meta, view, hash, &stored->refused, err);
    } else if (rc == CAIRN_ENOENT) {
        rc = CAIRN_OK;
    }
    return rc;
}

static bool same_shape(const struct cairn_view_code *a, const struct cairn_view_code *b)
{
    bool same = a->version == b->version && a->column_count == b->column_count;
    for (size_t i = 0; i < a->column_count && same; i++) {
        same = cairn_slice_equal(a->columns[i].name, b->columns[i].name);
    }
    return same;
}

/* What becomes of a view's live generation. */
enum fate {
    FATE_BEGIN,  /* from the beginning of the log, with the new definition */
    FATE_GO_ON,  /* from its checkpoint, with the same definition */
    FATE_LEAVE,  /* from its checkpoint, with the stored definition; the other is refused */
    FATE_REPLACE /* with the stored definition, while another is built: from its checkpoint, or,
                    where it has stopped, left there */
};

static enum fate decide_fate(const struct stored *stored, const struct cairn_view_code *code)
{
    if (!stored->found) {
        return FATE_BEGIN;
    }
    if (cairn_slice_equal(stored->code.hash, code->hash) && same_shape(&stored->code, code)) {
        return FATE_GO_ON;
    }
    if (stored->head.state == CAIRN_VIEW_BUILDING) {
        return FATE_BEGIN;
    }
    return stored->refused ? FATE_LEAVE : FATE_REPLACE;
}

/* All of its rows, and what is known of it. A builder of another process that is at it finds its
 * place gone. */
static enum cairn_rc clear_view(struct cairn_views *views, struct cairn_kv_txn *txn,
                                struct cairn_slice view, const struct cairn_view_tables *tables,
                                struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    for (unsigned slot = 0; slot < CAIRN_VIEW_SLOTS && rc == CAIRN_OK; slot++) {
        rc = cairn_views_clear_slot(views, txn, view, tables, slot, err);
    }
    return rc == CAIRN_OK ? cairn_view_meta_delete(txn, cairn_views_meta(views), view, err) : rc;
}

/* A view with nothing before it: its first generation, or its first build anew. Readable at once
 * where the log is empty. */
static enum cairn_rc begin_first(struct cairn_views *views, struct cairn_kv_txn *txn,
                                 struct cairn_slice view, const struct cairn_view_tables *tables,
                                 uint64_t events, struct cairn_view_head *head,
                                 struct cairn_err *err)
{
    enum cairn_rc rc = clear_view(views, txn, view, tables, err);
    *head = (struct cairn_view_head){.state = events == 0 ? CAIRN_VIEW_LIVE : CAIRN_VIEW_BUILDING,
                                     .generation = head->generation + 1,
                                     .all = events};
    return rc;
}

/* Write what the fate changes. */
static enum cairn_rc settle(struct cairn_views *views, struct cairn_kv_txn *txn,
                            const struct cairn_view_tables *tables, struct cairn_slice view,
                            enum fate fate, uint64_t events, const struct cairn_view_code *code,
                            struct cairn_view_head *head, struct cairn_err *err)
{
    cairn_kv_table_id meta = cairn_views_meta(views);
    enum cairn_rc rc = CAIRN_OK;
    if (fate == FATE_BEGIN) {
        rc = begin_first(views, txn, view, tables, events, head, err);
    } else if (head->state == CAIRN_VIEW_STOPPED && fate != FATE_REPLACE) {
        head->state = CAIRN_VIEW_LIVE; /* tried again */
    }
    if (rc == CAIRN_OK && head->state != CAIRN_VIEW_STOPPED) {
        rc = cairn_view_stop_delete(txn, meta, view, err);
    }
    if (rc == CAIRN_OK && fate == FATE_BEGIN) {
        rc = cairn_view_code_put(txn, meta, CAIRN_SIDE_LIVE, view, code, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_view_head_put(txn, meta, CAIRN_SIDE_LIVE, view, head, err);
    }
    return rc;
}

/* Read and settle in one transaction: a process that rebuilds the view may switch it at any time,
 * and what it has put must not be replaced by what was there before. */
static enum cairn_rc read_and_settle(struct cairn_views *views,
                                     const struct cairn_view_tables *tables,
                                     struct cairn_slice view, uint64_t events,
                                     const struct cairn_view_code *code, struct stored *stored,
                                     enum fate *ret_fate, struct cairn_err *err)
{
    struct cairn_kv_txn *txn = NULL;
    enum cairn_rc rc = cairn_kv_write_begin(cairn_views_kv(views), &txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = read_stored(txn, cairn_views_meta(views), view, code->hash, stored, err);
    if (rc == CAIRN_OK) {
        *ret_fate = decide_fate(stored, code);
        rc = settle(views, txn, tables, view, *ret_fate, events, code, &stored->head, err);
    }
    return cairn_views_end_write(views, txn, rc, err);
}

/* A half-built generation of a process that died: one of the domain's definition is left to who
 * builds that, another is dropped. One whose builder lives is left alone. */
static enum cairn_rc settle_half_built(const struct cairn_projector_options *options,
                                       struct cairn_views *views, struct cairn_slice view,
                                       struct cairn_slice hash, struct cairn_err *err)
{
    struct cairn_file_lock lock = {-1};
    bool found = false;
    bool dropped = false;
    enum cairn_rc rc = cairn_build_lock(options->data_folder, view, &lock, err);
    if (rc == CAIRN_ELOCKED) {
        return CAIRN_OK;
    }
    if (rc == CAIRN_OK) {
        rc = cairn_build_find(views, view, hash, &found, err);
    }
    if (rc == CAIRN_OK && !found) {
        rc = cairn_build_drop(views, view, CAIRN_SIDE_NEXT, &dropped, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_build_forget_rollback(views, view, err);
    }
    cairn_file_lock_close(&lock);
    return rc;
}

static enum cairn_rc count_events(struct cairn_store *store, uint64_t *ret_events,
                                  struct cairn_err *err)
{
    const struct cairn_position start = {{0}};
    struct cairn_position end;
    enum cairn_rc rc = cairn_store_end(store, &end, err);
    if (rc == CAIRN_OK) {
        *ret_events = cairn_position_lag(&start, &end);
    }
    return rc;
}

/* The stored script, opened; NULL when the generation cannot go on by it: it has stopped, or the
 * script no longer runs. */
static enum cairn_rc open_stored(const struct cairn_projector_options *options,
                                 struct cairn_slice view, const struct stored *stored,
                                 struct cairn_projection **ret_projection, struct cairn_err *err)
{
    *ret_projection = NULL;
    if (stored->head.state == CAIRN_VIEW_STOPPED) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = cairn_projection_new(view, stored->code.script_name, stored->code.script,
                                            &options->lua, ret_projection, err);
    if (rc == CAIRN_ESCRIPT) {
        cairn_log_error(options->log, CAIRN_LOG_WARN, "projector", "old script failed", err);
        return CAIRN_OK;
    }
    return rc;
}

/* The follower of the live generation, by the new projection or by the stored script. */
static enum cairn_rc make_follower(const struct cairn_projector_options *options,
                                   const struct cairn_view_tables *tables,
                                   const struct cairn_domain_view *definition, enum fate fate,
                                   const struct stored *stored,
                                   struct cairn_projection **take_projection,
                                   struct cairn_follower **ret_follower, struct cairn_err *err)
{
    struct cairn_projection *projection = *take_projection;
    if (fate == FATE_REPLACE || fate == FATE_LEAVE) {
        enum cairn_rc rc = open_stored(options, definition->name, stored, &projection, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    } else {
        *take_projection = NULL;
    }
    return cairn_follower_new(definition->name, projection, tables, CAIRN_SIDE_LIVE, &stored->head,
                              options->metrics, ret_follower, err);
}

/* With the new script open. */
static enum cairn_rc reconcile_one(const struct cairn_projector_options *options,
                                   struct cairn_views *views,
                                   const struct cairn_domain_view *definition,
                                   struct cairn_slice hash, struct stored *stored,
                                   struct cairn_projection **take_projection,
                                   struct cairn_reconciled *ret_reconciled, struct cairn_err *err)
{
    struct cairn_view_tables tables;
    struct cairn_follower *follower = NULL;
    struct cairn_view_code code = *cairn_projection_code(*take_projection);
    uint64_t events = 0;
    code.hash = hash;
    enum fate fate = FATE_BEGIN;
    enum cairn_rc rc = cairn_views_tables(views, definition->name, &tables, err);
    if (rc == CAIRN_OK) {
        rc = count_events(options->store, &events, err);
    }
    if (rc == CAIRN_OK) {
        rc = read_and_settle(views, &tables, definition->name, events, &code, stored, &fate, err);
    }
    if (rc == CAIRN_OK) {
        rc = make_follower(options, &tables, definition, fate, stored, take_projection, &follower,
                           err);
    }
    if (rc == CAIRN_OK) {
        *ret_reconciled = (struct cairn_reconciled){
            .definition = definition, .follower = follower, .build = fate == FATE_REPLACE};
        if (fate == FATE_LEAVE) {
            cairn_log_event(options->log, CAIRN_LOG_WARN, "projector", "view left as it is",
                            CAIRN_F_SLICE("view", definition->name),
                            CAIRN_F_STR("detail", "its definition was rolled back; cairn replay "
                                                  "builds it again"));
        }
    }
    return rc;
}

enum cairn_rc cairn_reconcile(const struct cairn_projector_options *options,
                              struct cairn_views *views, const struct cairn_domain_view *definition,
                              struct cairn_reconciled *ret_reconciled, struct cairn_err *err)
{
    assert(definition->kind == CAIRN_VIEW_LMDB && ret_reconciled != NULL);
    struct stored stored = {.arena = {.max = STORED_BYTES_MAX}};
    struct cairn_projection *projection = NULL;
    char text[33];
    enum cairn_rc rc = cairn_projection_new(definition->name, definition->script_name,
                                            definition->script, &options->lua, &projection, err);
    cairn_view_hash_text(definition->code_hash, text);
    struct cairn_slice hash = cairn_slice_str(text);
    if (rc == CAIRN_OK) {
        rc = settle_half_built(options, views, definition->name, hash, err);
    }
    if (rc == CAIRN_OK) {
        rc = reconcile_one(options, views, definition, hash, &stored, &projection, ret_reconciled,
                           err);
    }
    cairn_projection_free(projection);
    cairn_arena_fini(&stored.arena);
    return rc;
}

static enum cairn_rc delete_view(struct cairn_views *views, struct cairn_slice view,
                                 struct cairn_err *err)
{
    struct cairn_view_tables tables;
    struct cairn_kv_txn *txn = NULL;
    enum cairn_rc rc = cairn_views_tables(views, view, &tables, err);
    if (rc == CAIRN_OK) {
        rc = cairn_kv_write_begin(cairn_views_kv(views), &txn, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = clear_view(views, txn, view, &tables, err);
    if (rc != CAIRN_OK) {
        cairn_kv_end(txn);
        return rc;
    }
    return cairn_kv_commit(txn, err);
}

enum cairn_rc cairn_reconcile_gone(const struct cairn_projector_options *options,
                                   struct cairn_views *views, struct cairn_err *err)
{
    struct cairn_arena arena = {.max = STORED_BYTES_MAX};
    struct cairn_kv_txn *txn = NULL;
    struct cairn_slice *names = NULL;
    size_t count = 0;
    enum cairn_rc rc = cairn_kv_read_begin(cairn_views_kv(views), &txn, err);
    if (rc == CAIRN_OK) {
        rc = cairn_view_meta_names(txn, cairn_views_meta(views), &arena, &names, &count, err);
        cairn_kv_end(txn);
    }
    for (size_t i = 0; i < count && rc == CAIRN_OK; i++) {
        const struct cairn_domain_view *view = cairn_domain_view(options->domain, names[i]);
        if (view == NULL || view->kind != CAIRN_VIEW_LMDB) {
            cairn_log_event(options->log, CAIRN_LOG_INFO, "projector", "view deleted",
                            CAIRN_F_SLICE("view", names[i]));
            rc = delete_view(views, names[i], err);
        }
    }
    cairn_arena_fini(&arena);
    return rc;
}

enum cairn_rc cairn_reconcile_reopen(const struct cairn_projector_options *options,
                                     struct cairn_views *views, struct cairn_slice view,
                                     struct cairn_follower **ret_follower, struct cairn_err *err)
{
    struct stored stored = {.arena = {.max = STORED_BYTES_MAX}};
    struct cairn_view_tables tables;
    struct cairn_projection *projection = NULL;
    struct cairn_kv_txn *txn = NULL;
    enum cairn_rc rc = cairn_views_tables(views, view, &tables, err);
    if (rc == CAIRN_OK) {
        rc = cairn_kv_read_begin(cairn_views_kv(views), &txn, err);
    }
    if (rc == CAIRN_OK) {
        rc = read_stored(txn, cairn_views_meta(views), view, CAIRN_SLICE_NONE, &stored, err);
        cairn_kv_end(txn);
    }
    if (rc == CAIRN_OK && !stored.found) {
        rc = CAIRN_FAIL(err, CAIRN_ENOENT, "view %.*s is gone", CAIRN_SLICE_ARG(view));
    }
    if (rc == CAIRN_OK) {
        rc = cairn_projection_new(view, stored.code.script_name, stored.code.script, &options->lua,
                                  &projection, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_follower_new(view, projection, &tables, CAIRN_SIDE_LIVE, &stored.head,
                                options->metrics, ret_follower, err);
    }
    cairn_arena_fini(&stored.arena);
    return rc;
}

enum cairn_rc cairn_reconcile_ready(struct cairn_views *views, struct cairn_follower *follower,
                                    struct cairn_err *err)
{
    assert(follower->side == CAIRN_SIDE_LIVE);
    struct cairn_kv_txn *txn = NULL;
    struct cairn_view_head head;
    cairn_kv_table_id meta = cairn_views_meta(views);
    struct cairn_slice name = cairn_follower_name(follower);
    enum cairn_rc rc = cairn_kv_write_begin(cairn_views_kv(views), &txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_view_head_get(txn, meta, CAIRN_SIDE_LIVE, name, &head, err);
    if (rc == CAIRN_OK && !cairn_follower_differs(follower, &head)) {
        head.state = CAIRN_VIEW_LIVE;
        head.all = 0;
        rc = cairn_view_head_put(txn, meta, CAIRN_SIDE_LIVE, name, &head, err);
    } else if (rc == CAIRN_OK || rc == CAIRN_ENOENT) {
        cairn_kv_end(txn);
        follower->moved = true;
        return CAIRN_OK;
    }
    rc = cairn_views_end_write(views, txn, rc, err);
    if (rc == CAIRN_OK) {
        follower->head = head;
        cairn_metric_set(follower->metrics.build_done, 0);
        cairn_metric_set(follower->metrics.build_all, 0);
    }
    return rc;
}
