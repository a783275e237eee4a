#include "projector/lmdb/compare_parked.h"

#include <assert.h>

#include "projector/lmdb/parked_apply.h"
#include "projector/settle.h"

/* Rows that are tried, of at most CAIRN_PARKED_MAX streams. */
#define ROWS_BYTES_MAX (64u * 1024u * 1024u)

/* The scratch store has one generation of the view, in slot 0. */
static struct cairn_parked_place scratch_place(struct cairn_views *scratch, struct cairn_slice view)
{
    return (struct cairn_parked_place){.meta = cairn_views_meta(scratch), .view = view};
}

/* ---- Taking over ------------------------------------------------------------------------------
 */

struct taking {
    struct cairn_kv_txn *txn;
    struct cairn_parked_place place;
};

static enum cairn_rc take_row(void *self, const struct cairn_parked *parked, struct cairn_err *err)
{
    struct taking *taking = self;
    return cairn_view_parked_put(taking->txn, &taking->place, parked, err);
}

/* The follower reads the rows anew at its next batch. */
static enum cairn_rc count_change(struct cairn_follower *follower, struct cairn_kv_txn *txn,
                                  cairn_kv_table_id meta, struct cairn_err *err)
{
    follower->head.parks++;
    cairn_parking_fini(&follower->parking);
    return cairn_view_head_put(txn, meta, follower->side, cairn_follower_name(follower),
                               &follower->head, err);
}

enum cairn_rc cairn_compare_parked_take(struct cairn_kv_txn *live,
                                        const struct cairn_parked_place *live_place,
                                        struct cairn_views *scratch,
                                        struct cairn_follower *follower, struct cairn_err *err)
{
    struct taking taking = {.place = scratch_place(scratch, live_place->view)};
    enum cairn_rc rc = cairn_kv_write_begin(cairn_views_kv(scratch), &taking.txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_view_parked_each(live, live_place, CAIRN_SLICE_NONE, take_row, &taking, err);
    if (rc == CAIRN_OK && follower != NULL) {
        rc = count_change(follower, taking.txn, taking.place.meta, err);
    }
    return cairn_views_end_write(scratch, taking.txn, rc, err);
}

/* ---- Trying again -----------------------------------------------------------------------------
 */

/* Streams that wait in the scratch store alone. */
struct settling {
    struct cairn_view_group *group;
    struct cairn_follower *follower;
    struct cairn_parked_set live; /* what the live generation leaves out */
    struct cairn_parked_place place;
    struct cairn_arena arena;
    struct cairn_parked *rows;
    size_t count, max;
};

static enum cairn_rc find_row(void *self, const struct cairn_parked *parked, struct cairn_err *err)
{
    struct settling *settling = self;
    const struct cairn_event first = {.stream = parked->stream, .version = parked->version};
    if (parked->until_version != 0 || cairn_parked_has(&settling->live, &first)) {
        return CAIRN_OK;
    }
    if (settling->count == settling->max) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "more streams wait than may be parked");
    }
    return cairn_parked_copy(parked, &settling->arena, &settling->rows[settling->count++], err);
}

static enum cairn_rc find_rows(struct settling *settling, struct cairn_err *err)
{
    struct cairn_kv_txn *txn = NULL;
    settling->max = 2u * CAIRN_PARKED_MAX; /* those of this generation, and those taken over */
    settling->rows = cairn_arena_alloc(&settling->arena, settling->max * sizeof *settling->rows);
    if (settling->rows == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "find what waits");
    }
    enum cairn_rc rc = cairn_kv_read_begin(cairn_views_kv(settling->group->views), &txn, err);
    if (rc == CAIRN_OK) {
        rc = cairn_view_parked_each(txn, &settling->place, CAIRN_SLICE_NONE, find_row, settling,
                                    err);
        cairn_kv_end(txn);
    }
    return rc;
}

/* *ret_done: it could be applied. */
static enum cairn_rc try_row(void *self, const struct cairn_parked *parked, bool *ret_done,
                             struct cairn_err *err)
{
    const struct settling *settling = self;
    struct cairn_parked_outcome outcome;
    struct cairn_kv_txn *txn = NULL;
    enum cairn_rc rc = cairn_kv_write_begin(cairn_views_kv(settling->group->views), &txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_parked_apply(settling->group, settling->follower, txn, parked, &settling->live,
                            &outcome, err);
    *ret_done = rc == CAIRN_OK;
    if (rc == CAIRN_OK) {
        rc = cairn_view_parked_delete(txn, &settling->place, parked->stream, parked->version, err);
    }
    rc = cairn_views_end_write(settling->group->views, txn, rc, err);
    return outcome.refused ? CAIRN_OK : rc;
}

enum cairn_rc cairn_compare_parked_settle(struct cairn_kv_txn *live,
                                          const struct cairn_parked_place *live_place,
                                          struct cairn_view_group *group,
                                          struct cairn_follower *follower, struct cairn_err *err)
{
    assert(group != NULL && follower != NULL);
    struct settling settling = {.group = group,
                                .follower = follower,
                                .place = scratch_place(group->views, live_place->view),
                                .arena = {.max = ROWS_BYTES_MAX}};
    cairn_parked_init(&settling.live);
    enum cairn_rc rc = cairn_view_parked_load(live, live_place, &settling.live, err);
    if (rc == CAIRN_OK) {
        rc = find_rows(&settling, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_settle_all(settling.rows, settling.count, try_row, &settling, err);
    }
    cairn_parked_fini(&settling.live);
    cairn_arena_fini(&settling.arena);
    return rc;
}
