#include "projector/lmdb/compare.h"

#include <assert.h>

#include "projector/drive.h"
#include "projector/lmdb/build.h"
#include "projector/lmdb/compare_parked.h"
#include "projector/lmdb/compare_rows.h"
#include "projector/lmdb/compare_scratch.h"
#include "projector/replay_store.h"

/* Memory for the live generation's definition. */
#define STORED_BYTES_MAX (16u * 1024u * 1024u)

/* A comparison under way. */
struct comparison {
    const struct cairn_projector_options *options;
    const struct cairn_domain_view *definition;
    const struct cairn_compare_request *request;
    const struct cairn_compare_hooks *hooks;
    struct cairn_views *live;
    struct cairn_arena arena;         /* of the live generation's definition */
    struct cairn_view_code live_code; /* in arena */
    uint64_t generation;              /* that it is of */
    uint32_t parks;                   /* of it, when it was looked at */
    struct cairn_compare_scratch scratch;
    struct cairn_view_head begin;  /* of the scratch generation */
    struct cairn_view_group group; /* of one follower */
    struct cairn_drive drive;
    struct cairn_position until; /* where the replay ends, between commands */
    struct cairn_compare_report report;
};

/* ---- The scratch generation -------------------------------------------------------------------
 */

static struct cairn_parked_place live_place(const struct comparison *comparison,
                                            const struct cairn_view_snapshot *live)
{
    return (struct cairn_parked_place){.meta = cairn_views_meta(comparison->live),
                                       .view = comparison->definition->name,
                                       .slot = live->head.slot};
}

/* The scratch store knows the view as a live one at the beginning of the log. By the stored
 * definition it leaves out what the live one does. */
static enum cairn_rc begin_scratch(struct comparison *comparison,
                                   const struct cairn_view_snapshot *live, struct cairn_err *err)
{
    struct cairn_kv_txn *txn = NULL;
    struct cairn_view_head *head = &comparison->begin;
    *head = (struct cairn_view_head){.state = CAIRN_VIEW_LIVE, .generation = 1};
    if (comparison->request->stored) {
        const struct cairn_parked_place place = live_place(comparison, live);
        head->parks = live->head.parks;
        enum cairn_rc rc =
            cairn_compare_parked_take(live->txn, &place, comparison->scratch.views, NULL, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    enum cairn_rc rc = cairn_kv_write_begin(cairn_views_kv(comparison->scratch.views), &txn, err);
    if (rc == CAIRN_OK) {
        rc = cairn_view_head_put(txn, cairn_views_meta(comparison->scratch.views), CAIRN_SIDE_LIVE,
                                 comparison->definition->name, head, err);
        rc = cairn_views_end_write(comparison->scratch.views, txn, rc, err);
    }
    return rc;
}

/* By the live generation's definition, or by the domain's. */
static enum cairn_rc open_projection(const struct comparison *comparison,
                                     struct cairn_projection **ret_projection,
                                     struct cairn_err *err)
{
    const struct cairn_domain_view *definition = comparison->definition;
    const struct cairn_view_code *code = &comparison->live_code;
    bool stored = comparison->request->stored;
    return cairn_projection_new(
        definition->name, stored ? code->script_name : definition->script_name,
        stored ? code->script : definition->script, &comparison->options->lua, ret_projection, err);
}

static enum cairn_rc begin_follower(struct comparison *comparison, struct cairn_err *err)
{
    const struct cairn_replay_scope *scope = &comparison->request->scope;
    struct cairn_projection *projection = NULL;
    struct cairn_follower *follower = NULL;
    enum cairn_rc rc = open_projection(comparison, &projection, err);
    if (rc == CAIRN_OK) {
        rc = cairn_follower_new(comparison->definition->name, projection,
                                &comparison->scratch.tables, CAIRN_SIDE_LIVE, &comparison->begin,
                                NULL, &follower, err);
    }
    if (rc == CAIRN_OK) {
        if (scope->has_until || cairn_replay_scope_is_partial(scope)) {
            follower->scope = scope;
        }
        cairn_view_group_add(&comparison->group, follower);
    }
    return rc;
}

/* ---- Replaying --------------------------------------------------------------------------------
 */

static enum cairn_rc step(void *self, size_t max_events, struct cairn_drive_batch *ret_batch,
                          struct cairn_err *err)
{
    const struct cairn_position start = {{0}};
    struct comparison *comparison = self;
    struct cairn_view_group *group = &comparison->group;
    enum cairn_rc rc =
        cairn_view_group_step(group, max_events, &comparison->until, &ret_batch->events, err);
    ret_batch->done = cairn_position_lag(&start, &group->position);
    ret_batch->all = cairn_position_lag(&start, &comparison->until);
    return rc == CAIRN_OK ? cairn_follower_check(group->followers[0], err) : rc;
}

/* Up to a position between commands, or to where the scope ends. */
static enum cairn_rc replay(struct comparison *comparison, const struct cairn_position *until,
                            struct cairn_err *err)
{
    const struct cairn_replay_scope *scope = &comparison->request->scope;
    const struct cairn_position *at = &comparison->group.position;
    size_t events = 1;
    enum cairn_rc rc = CAIRN_OK;
    comparison->until = *until;
    while (rc == CAIRN_OK && events > 0 &&
           !(scope->has_until && cairn_position_reached(at, &scope->until))) {
        rc = cairn_drive_step(&comparison->drive, &events, err);
    }
    return rc;
}

/* Where the long part ends: by the stored definition at the live view's position, else at the end
 * of the log, which a live view that has stopped may be far behind of. */
static enum cairn_rc replay_long(struct comparison *comparison, const struct cairn_position *live,
                                 struct cairn_err *err)
{
    struct cairn_position until = *live;
    enum cairn_rc rc = CAIRN_OK;
    if (!comparison->request->stored || comparison->request->scope.has_until) {
        rc = cairn_store_end(comparison->options->store, &until, err);
    }
    return rc == CAIRN_OK ? replay(comparison, &until, err) : rc;
}

/* ---- Comparing --------------------------------------------------------------------------------
 */

static enum cairn_rc compare_snapshot(struct comparison *comparison,
                                      const struct cairn_view_snapshot *live, struct cairn_err *err)
{
    const struct cairn_follower *follower = comparison->group.followers[0];
    bool partial = cairn_replay_scope_is_partial(&comparison->request->scope);
    const struct cairn_view_code *code = cairn_projection_code(follower->projection);
    struct cairn_compare_report *report = &comparison->report;
    unsigned slot = live->head.slot;
    report->position =
        cairn_replay_scope_cut(&comparison->request->scope, &comparison->group.position);
    report->events = follower->head.events;
    report->parked = follower->parking.set.waiting;
    report->live = live->head.position;
    report->level = memcmp(&report->position, &report->live, sizeof report->position) == 0;
    struct cairn_compare_rows rows = {
        .live = {live->txn, live->tables.rows[slot], live->tables.index[slot]},
        .replayed = {NULL, comparison->scratch.tables.rows[0], comparison->scratch.tables.index[0]},
        .code = code,
        .hooks = comparison->hooks,
        .told_max = comparison->request->told_max,
        .partial = partial,
        .indexed = comparison->request->stored && report->level && !partial};
    enum cairn_rc rc =
        cairn_kv_read_begin(cairn_views_kv(comparison->scratch.views), &rows.replayed.txn, err);
    if (rc == CAIRN_OK) {
        rc = cairn_compare_rows(&rows, report, err);
        cairn_kv_end(rows.replayed.txn);
    }
    return rc;
}

/* A snapshot of the live view. It must still be of the generation that is replayed. */
static enum cairn_rc begin_snapshot(struct comparison *comparison,
                                    struct cairn_view_snapshot *ret_live, struct cairn_err *err)
{
    struct cairn_slice view = comparison->definition->name;
    enum cairn_rc rc = cairn_view_snapshot_begin(comparison->live, view, ret_live, err);
    if (rc == CAIRN_ENOENT) {
        return CAIRN_FAIL(err, CAIRN_EBEHIND, "no projector has built view %.*s yet",
                          CAIRN_SLICE_ARG(view));
    }
    if (rc == CAIRN_OK && comparison->generation != 0 &&
        comparison->generation != ret_live->head.generation) {
        cairn_view_snapshot_end(ret_live);
        return CAIRN_FAIL(err, CAIRN_EBEHIND, "view %.*s was switched meanwhile: compare it again",
                          CAIRN_SLICE_ARG(view));
    }
    return rc;
}

/* Where the live view is, by which definition, and what it leaves out. */
static enum cairn_rc look(struct comparison *comparison, struct cairn_position *ret_position,
                          struct cairn_err *err)
{
    struct cairn_view_snapshot live;
    enum cairn_rc rc = begin_snapshot(comparison, &live, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_view_code_get(live.txn, cairn_views_meta(comparison->live), CAIRN_SIDE_LIVE,
                             comparison->definition->name, &comparison->arena,
                             &comparison->live_code, err);
    rc = rc == CAIRN_ENOENT ? CAIRN_FAIL(err, CAIRN_ECORRUPT, "the view has no definition") : rc;
    if (rc == CAIRN_OK) {
        rc = begin_scratch(comparison, &live, err);
    }
    cairn_view_snapshot_end(&live);
    comparison->generation = live.head.generation;
    comparison->parks = live.head.parks;
    *ret_position = live.head.position;
    return rc;
}

/* The short rest, up to where the live view is in the snapshot, with what an operator has done
 * meanwhile to its parked streams. */
static enum cairn_rc replay_rest(struct comparison *comparison,
                                 const struct cairn_view_snapshot *live, struct cairn_err *err)
{
    const struct cairn_parked_place place = live_place(comparison, live);
    struct cairn_follower *follower = comparison->group.followers[0];
    bool stored = comparison->request->stored;
    enum cairn_rc rc = CAIRN_OK;
    if (stored && live->head.parks != comparison->parks) {
        rc = cairn_compare_parked_take(live->txn, &place, comparison->scratch.views, follower, err);
    }
    if (rc == CAIRN_OK) {
        rc = replay(comparison, &live->head.position, err);
    }
    if (rc == CAIRN_OK && stored) {
        rc = cairn_compare_parked_settle(live->txn, &place, &comparison->group, follower, err);
    }
    return rc;
}

/* The long part against no snapshot of the live view, the short rest against the one that is
 * compared: it keeps pages from being used again as long as it is open. */
static enum cairn_rc run(struct comparison *comparison, struct cairn_err *err)
{
    struct cairn_view_snapshot live;
    struct cairn_position at;
    enum cairn_rc rc = look(comparison, &at, err);
    if (rc == CAIRN_OK) {
        rc = begin_follower(comparison, err);
    }
    if (rc == CAIRN_OK) {
        rc = replay_long(comparison, &at, err);
    }
    if (rc == CAIRN_OK) {
        rc = begin_snapshot(comparison, &live, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (!comparison->request->scope.has_until &&
        cairn_position_reached(&live.head.position, &comparison->group.position)) {
        rc = replay_rest(comparison, &live, err);
    }
    if (rc == CAIRN_OK) {
        rc = compare_snapshot(comparison, &live, err);
    }
    cairn_view_snapshot_end(&live);
    if (rc == CAIRN_OK) {
        cairn_build_meter_report(&comparison->drive.meter, comparison->report.events,
                                 comparison->report.events, true);
    }
    return rc;
}

static enum cairn_rc open_live(struct comparison *comparison, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_views_open(comparison->options->data_folder, &comparison->live, err);
    return rc == CAIRN_ENOENT ? cairn_err_wrap(err, CAIRN_EBEHIND, "there is nothing to compare")
                              : rc;
}

enum cairn_rc cairn_compare_lmdb(const struct cairn_projector_options *options,
                                 const struct cairn_domain_view *definition,
                                 const struct cairn_compare_request *request,
                                 const struct cairn_compare_hooks *hooks,
                                 struct cairn_compare_report *ret_report, struct cairn_err *err)
{
    assert(definition != NULL && request != NULL && ret_report != NULL);
    struct comparison comparison = {.options = options,
                                    .definition = definition,
                                    .request = request,
                                    .hooks = hooks,
                                    .scratch = {.lock = {-1}},
                                    .arena = {.max = STORED_BYTES_MAX}};
    enum cairn_rc rc = open_live(&comparison, err);
    if (rc == CAIRN_OK) {
        rc = cairn_compare_scratch_open(&comparison.scratch, options->data_folder, definition->name,
                                        err);
    }
    if (rc == CAIRN_OK) {
        const struct cairn_view_group_options group = {.views = comparison.scratch.views,
                                                       .store = options->store,
                                                       .domain = options->domain,
                                                       .clock = options->clock};
        rc = cairn_view_group_init(&comparison.group, &group, err);
    }
    if (rc == CAIRN_OK) {
        cairn_drive_init(&comparison.drive, step, &comparison, cairn_compare_hooks_of(hooks),
                         options->clock, request->throttle);
        rc = run(&comparison, err);
    }
    cairn_view_group_fini(&comparison.group);
    cairn_compare_scratch_close(&comparison.scratch);
    cairn_views_close(comparison.live);
    cairn_arena_fini(&comparison.arena);
    if (rc == CAIRN_OK) {
        *ret_report = comparison.report;
    }
    return rc;
}
