/* The switch of a build, and what it is compared with before. */
#include <assert.h>

#include "projector/lmdb/build_digest.h"
#include "projector/lmdb/build_int.h"
#include "projector/replay_store.h"

/* Memory for stored definitions. */
#define STORED_BYTES_MAX (16u * 1024u * 1024u)

/* One side of a view, as a transaction finds it. */
struct standing {
    bool found;
    struct cairn_view_head head;
    struct cairn_view_code code;
};

static enum cairn_rc read_side(struct cairn_build *build, struct cairn_kv_txn *txn,
                               enum cairn_view_side side, struct cairn_arena *arena,
                               struct standing *ret_standing, struct cairn_err *err)
{
    cairn_kv_table_id meta = cairn_views_meta(build->views);
    enum cairn_rc rc = cairn_view_head_get(txn, meta, side, build->view, &ret_standing->head, err);
    ret_standing->found = rc == CAIRN_OK;
    if (rc != CAIRN_OK) {
        return rc == CAIRN_ENOENT ? CAIRN_OK : rc;
    }
    rc = cairn_view_code_get(txn, meta, side, build->view, arena, &ret_standing->code, err);
    return rc == CAIRN_ENOENT ? CAIRN_FAIL(err, CAIRN_ECORRUPT, "a definition of %.*s is missing",
                                           CAIRN_SLICE_ARG(build->view))
                              : rc;
}

/* ---- The switch -------------------------------------------------------------------------------
 */

/* What was live becomes the old one, instead of what was that before. A first build that had not
 * ended is not worth keeping. */
static enum cairn_rc put_old(struct cairn_build *build, struct cairn_kv_txn *txn,
                             struct standing *live, struct cairn_err *err)
{
    cairn_kv_table_id meta = cairn_views_meta(build->views);
    build->result.kept = live->found && live->head.state != CAIRN_VIEW_BUILDING;
    if (!build->result.kept) {
        return cairn_view_side_delete(txn, meta, CAIRN_SIDE_OLD, build->view, err);
    }
    live->head.all = 0;
    enum cairn_rc rc =
        cairn_view_head_put(txn, meta, CAIRN_SIDE_OLD, build->view, &live->head, err);
    return rc == CAIRN_OK
               ? cairn_view_code_put(txn, meta, CAIRN_SIDE_OLD, build->view, &live->code, err)
               : rc;
}

/* The definition that a rollback replaces is not built again by itself. */
static enum cairn_rc put_refused(struct cairn_build *build, struct cairn_kv_txn *txn,
                                 const struct standing *live, const struct standing *coming,
                                 struct cairn_err *err)
{
    bool refused = build->side == CAIRN_SIDE_OLD && live->found &&
                   !cairn_slice_equal(live->code.hash, coming->code.hash);
    return cairn_view_refused_put(txn, cairn_views_meta(build->views), build->view,
                                  refused ? live->code.hash : CAIRN_SLICE_NONE, err);
}

static enum cairn_rc put_sides(struct cairn_build *build, struct cairn_kv_txn *txn,
                               struct standing *live, struct standing *coming,
                               struct cairn_err *err)
{
    cairn_kv_table_id meta = cairn_views_meta(build->views);
    if (live->found) {
        /* Higher than any that was ever read: whoever holds the view sees that it moved. */
        coming->head.generation = live->head.generation + 1;
    }
    coming->head.state = CAIRN_VIEW_LIVE;
    coming->head.all = 0;
    enum cairn_rc rc = cairn_view_side_delete(txn, meta, build->side, build->view, err);
    if (rc == CAIRN_OK) {
        rc = put_old(build, txn, live, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_view_head_put(txn, meta, CAIRN_SIDE_LIVE, build->view, &coming->head, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_view_code_put(txn, meta, CAIRN_SIDE_LIVE, build->view, &coming->code, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_view_stop_delete(txn, meta, build->view, err);
    }
    return rc == CAIRN_OK ? put_refused(build, txn, live, coming, err) : rc;
}

static enum cairn_rc switch_in(struct cairn_build *build, struct cairn_kv_txn *txn,
                               struct cairn_arena *arena, bool *ret_switched, struct cairn_err *err)
{
    struct standing live;
    struct standing coming;
    const struct cairn_view_head *head = &build->group.followers[0]->head;
    enum cairn_rc rc = read_side(build, txn, CAIRN_SIDE_LIVE, arena, &live, err);
    if (rc == CAIRN_OK) {
        rc = read_side(build, txn, build->side, arena, &coming, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (!coming.found || coming.head.generation != head->generation ||
        memcmp(&coming.head.position, &head->position, sizeof head->position) != 0) {
        return CAIRN_FAIL(err, CAIRN_ELOCKED, "another process has taken the build");
    }
    if (live.found && !cairn_position_reached(&head->position, &live.head.position)) {
        return CAIRN_OK;
    }
    rc = put_sides(build, txn, &live, &coming, err);
    if (rc == CAIRN_OK) {
        build->result.generation = coming.head.generation;
        *ret_switched = true;
    }
    return rc;
}

enum cairn_rc cairn_build_switch(struct cairn_build *build, bool *ret_switched,
                                 struct cairn_err *err)
{
    struct cairn_arena arena = {.max = STORED_BYTES_MAX};
    struct cairn_kv_txn *txn = NULL;
    bool switched = false;
    enum cairn_rc rc = cairn_kv_write_begin(cairn_views_kv(build->views), &txn, err);
    if (rc == CAIRN_OK) {
        rc = switch_in(build, txn, &arena, &switched, err);
        if (rc == CAIRN_OK && !switched) {
            cairn_kv_end(txn);
        } else {
            rc = cairn_views_end_write(build->views, txn, rc, err);
        }
    }
    cairn_arena_fini(&arena);
    *ret_switched = rc == CAIRN_OK && switched;
    return rc;
}

enum cairn_rc cairn_build_sweep(struct cairn_views *views, struct cairn_slice view,
                                struct cairn_err *err)
{
    struct cairn_view_tables tables;
    cairn_kv_table_id meta = cairn_views_meta(views);
    enum cairn_rc rc = cairn_views_tables(views, view, &tables, err);
    for (unsigned slot = 0; slot < CAIRN_VIEW_SLOTS && rc == CAIRN_OK; slot++) {
        struct cairn_kv_txn *txn = NULL;
        bool named = false;
        rc = cairn_kv_write_begin(cairn_views_kv(views), &txn, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        rc = cairn_view_slot_named(txn, meta, view, slot, &named, err);
        if (rc == CAIRN_OK && !named) {
            rc = cairn_views_clear_slot(views, txn, view, &tables, slot, err);
        }
        rc = cairn_views_end_write(views, txn, rc, err);
    }
    return rc;
}

/* ---- The comparison ---------------------------------------------------------------------------
 */

/* Where the live generation is, if the build's definition is that of it; else the result says why
 * not. */
static enum cairn_rc find_twin(struct cairn_build *build, bool *ret_same,
                               struct cairn_position *ret_position, struct cairn_err *err)
{
    struct cairn_arena arena = {.max = STORED_BYTES_MAX};
    struct cairn_kv_txn *txn = NULL;
    struct standing live;
    struct standing coming;
    enum cairn_rc rc = cairn_kv_read_begin(cairn_views_kv(build->views), &txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = read_side(build, txn, CAIRN_SIDE_LIVE, &arena, &live, err);
    if (rc == CAIRN_OK) {
        rc = read_side(build, txn, build->side, &arena, &coming, err);
    }
    cairn_kv_end(txn);
    if (rc == CAIRN_OK) {
        bool before = live.found && live.head.state != CAIRN_VIEW_BUILDING;
        *ret_same = before && coming.found && cairn_slice_equal(live.code.hash, coming.code.hash);
        *ret_position = live.head.position;
        build->result.not_compared = before && !*ret_same ? CAIRN_NOT_COMPARED_DEFINITION : NULL;
    }
    cairn_arena_fini(&arena);
    return rc;
}

/* One side of a comparison. */
struct summed {
    struct cairn_view_digest rows;
    struct cairn_view_digest parked; /* what it leaves out */
    struct cairn_position position;
};

static enum cairn_rc sum_in(struct cairn_build *build, struct cairn_kv_txn *txn,
                            enum cairn_view_side side, struct summed *ret_summed,
                            struct cairn_err *err)
{
    struct cairn_view_head head;
    cairn_kv_table_id meta = cairn_views_meta(build->views);
    enum cairn_rc rc = cairn_view_head_get(txn, meta, side, build->view, &head, err);
    if (rc == CAIRN_ENOENT) {
        return CAIRN_FAIL(err, CAIRN_ELOCKED, "another process has taken the build");
    }
    if (rc == CAIRN_OK) {
        rc = cairn_build_digest(txn, build->tables.rows[head.slot], &ret_summed->rows, err);
    }
    if (rc == CAIRN_OK) {
        const struct cairn_parked_place place = {meta, build->view, head.slot};
        ret_summed->position = head.position;
        rc = cairn_build_digest_parked(txn, &place, &ret_summed->parked, err);
    }
    return rc;
}

static enum cairn_rc sum_side(struct cairn_build *build, enum cairn_view_side side,
                              struct summed *ret_summed, struct cairn_err *err)
{
    struct cairn_kv_txn *txn = NULL;
    enum cairn_rc rc = cairn_kv_read_begin(cairn_views_kv(build->views), &txn, err);
    if (rc == CAIRN_OK) {
        rc = sum_in(build, txn, side, ret_summed, err);
        cairn_kv_end(txn);
    }
    return rc;
}

static void compare_sums(struct cairn_rebuild_result *result, const struct summed *live,
                         const struct summed *coming)
{
    if (memcmp(&live->position, &coming->position, sizeof live->position) != 0) {
        result->not_compared = CAIRN_NOT_COMPARED_POSITION;
    } else if (live->parked.rows != coming->parked.rows || live->parked.sum != coming->parked.sum) {
        result->not_compared = CAIRN_NOT_COMPARED_PARKED;
    } else {
        result->compared = true;
        result->before = live->rows;
        result->after = coming->rows;
    }
}

enum cairn_rc cairn_build_compare(struct cairn_build *build, struct cairn_err *err)
{
    struct summed live;
    struct summed coming;
    struct cairn_position until;
    const struct cairn_view_head *head = &build->group.followers[0]->head;
    bool same = false;
    enum cairn_rc rc = find_twin(build, &same, &until, err);
    if (rc != CAIRN_OK || !same) {
        return rc;
    }
    /* The long way first, so that the live rows are walked near the end of the log. */
    rc = cairn_build_reach(build, &until, err);
    if (rc == CAIRN_OK) {
        rc = sum_side(build, CAIRN_SIDE_LIVE, &live, err);
    }
    if (rc == CAIRN_OK && !cairn_position_reached(&live.position, &head->position)) {
        build->result.not_compared = CAIRN_NOT_COMPARED_POSITION;
        return CAIRN_OK;
    }
    if (rc == CAIRN_OK) {
        rc = cairn_build_reach(build, &live.position, err);
    }
    if (rc == CAIRN_OK) {
        rc = sum_side(build, build->side, &coming, err);
    }
    if (rc == CAIRN_OK) {
        compare_sums(&build->result, &live, &coming);
    }
    return rc;
}
