#include <assert.h>
#include <stdio.h>

#include "projector/lmdb/build_int.h"
#include "projector/lmdb/view_parked.h"
#include "projector/replay_store.h"

/* Memory for a stored definition. */
#define STORED_BYTES_MAX (16u * 1024u * 1024u)

enum cairn_rc cairn_build_lock(const char *data_folder, struct cairn_slice view,
                               struct cairn_file_lock *ret_lock, struct cairn_err *err)
{
    char folder[CAIRN_PATH_MAX];
    char path[CAIRN_PATH_MAX];
    char name[CAIRN_VIEW_LOCK_SIZE];
    cairn_view_lock_name(view, name);
    if (cairn_file_join(folder, data_folder, CAIRN_VIEWS_FOLDER) != CAIRN_OK ||
        cairn_file_join(path, folder, name) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "the path of the data folder is too long");
    }
    enum cairn_rc rc = cairn_file_lock_open(path, ret_lock, err);
    return rc == CAIRN_ELOCKED
               ? cairn_err_wrap(err, rc, "view %.*s is being rebuilt", CAIRN_SLICE_ARG(view))
               : rc;
}

enum cairn_rc cairn_build_drop(struct cairn_views *views, struct cairn_slice view,
                               enum cairn_view_side side, bool *ret_dropped, struct cairn_err *err)
{
    assert(side != CAIRN_SIDE_LIVE && ret_dropped != NULL);
    struct cairn_view_tables tables;
    struct cairn_view_head head;
    struct cairn_kv_txn *txn = NULL;
    cairn_kv_table_id meta = cairn_views_meta(views);
    enum cairn_rc rc = cairn_views_tables(views, view, &tables, err);
    if (rc == CAIRN_OK) {
        rc = cairn_kv_write_begin(cairn_views_kv(views), &txn, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_view_head_get(txn, meta, side, view, &head, err);
    if (rc == CAIRN_ENOENT) {
        cairn_kv_end(txn);
        *ret_dropped = false;
        return CAIRN_OK;
    }
    if (rc == CAIRN_OK) {
        rc = cairn_views_clear_slot(views, txn, view, &tables, head.slot, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_view_side_delete(txn, meta, side, view, err);
    }
    rc = cairn_views_end_write(views, txn, rc, err);
    if (rc == CAIRN_OK) {
        *ret_dropped = true;
    }
    return rc;
}

enum cairn_rc cairn_build_find(struct cairn_views *views, struct cairn_slice view,
                               struct cairn_slice hash, bool *ret_found, struct cairn_err *err)
{
    struct cairn_arena arena = {.max = STORED_BYTES_MAX};
    struct cairn_view_code code = {.version = 0};
    struct cairn_kv_txn *txn = NULL;
    enum cairn_rc rc = cairn_kv_read_begin(cairn_views_kv(views), &txn, err);
    if (rc == CAIRN_OK) {
        rc = cairn_view_code_get(txn, cairn_views_meta(views), CAIRN_SIDE_NEXT, view, &arena, &code,
                                 err);
        cairn_kv_end(txn);
    }
    if (rc == CAIRN_OK || rc == CAIRN_ENOENT) {
        *ret_found = rc == CAIRN_OK && cairn_slice_equal(code.hash, hash);
        rc = CAIRN_OK;
    }
    cairn_arena_fini(&arena);
    return rc;
}

/* ---- A build ----------------------------------------------------------------------------------
 */

static enum cairn_rc step(void *self, size_t max_events, struct cairn_drive_batch *ret_batch,
                          struct cairn_err *err)
{
    struct cairn_build *build = self;
    const struct cairn_follower *follower = build->group.followers[0];
    enum cairn_rc rc =
        cairn_view_group_step(&build->group, max_events, build->until, &ret_batch->events, err);
    ret_batch->done = follower->head.events;
    ret_batch->all = follower->head.all;
    return rc == CAIRN_OK ? cairn_follower_check(follower, err) : rc;
}

enum cairn_rc cairn_build_init(struct cairn_build *build, const struct cairn_build_options *options,
                               enum cairn_view_side side, struct cairn_err *err)
{
    assert(side != CAIRN_SIDE_LIVE && options->request->view.size > 0);
    *build = (struct cairn_build){.options = options,
                                  .views = options->group.views,
                                  .view = options->request->view,
                                  .side = side};
    enum cairn_rc rc = cairn_view_group_init(&build->group, &options->group, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    cairn_drive_init(&build->drive, step, build, cairn_rebuild_hooks_of(options->hooks),
                     build->group.clock, options->request->throttle);
    return cairn_views_tables(build->views, build->view, &build->tables, err);
}

void cairn_build_fini(struct cairn_build *build)
{
    cairn_parallel_free(build->parallel);
    cairn_view_group_fini(&build->group);
}

enum cairn_rc cairn_build_events(const struct cairn_build *build, uint64_t *ret_events,
                                 struct cairn_err *err)
{
    const struct cairn_position start = {{0}};
    struct cairn_position end;
    enum cairn_rc rc = cairn_store_end(build->group.store, &end, err);
    if (rc == CAIRN_OK) {
        *ret_events = cairn_position_lag(&start, &end);
    }
    return rc;
}

/* No more than there are partitions, and none where there would be one. */
static enum cairn_rc add_workers(struct cairn_build *build, const struct cairn_follower *follower,
                                 struct cairn_err *err)
{
    unsigned partitions = cairn_store_partitions(build->group.store);
    unsigned workers = build->options->request->workers;
    workers = workers > CAIRN_REBUILD_WORKERS_MAX ? CAIRN_REBUILD_WORKERS_MAX : workers;
    workers = workers > partitions ? partitions : workers;
    build->result.workers = workers < 2 ? 1 : workers;
    if (workers < 2) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = cairn_parallel_new(&build->options->group, build->options->limits, follower,
                                          workers, &build->parallel, err);
    build->group.parallel = build->parallel;
    return rc;
}

enum cairn_rc cairn_build_add(struct cairn_build *build, struct cairn_projection *projection,
                              const struct cairn_view_head *head, struct cairn_err *err)
{
    struct cairn_follower *follower = NULL;
    assert(build->group.count == 0);
    enum cairn_rc rc = cairn_follower_new(build->view, projection, &build->tables, build->side,
                                          head, build->options->group.metrics, &follower, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    cairn_view_group_add(&build->group, follower);
    return add_workers(build, follower, err);
}

/* ---- Following --------------------------------------------------------------------------------
 */

enum cairn_rc cairn_build_reach(struct cairn_build *build, const struct cairn_position *until,
                                struct cairn_err *err)
{
    build->until = until;
    enum cairn_rc rc = cairn_drive_run(&build->drive, err);
    build->until = NULL;
    return rc;
}

static enum cairn_rc follow(struct cairn_build *build, struct cairn_err *err)
{
    bool switched = false;
    enum cairn_rc rc = cairn_build_compare(build, err);
    while (!switched && rc == CAIRN_OK) {
        size_t events = 0;
        bool arrived = false;
        rc = cairn_drive_step(&build->drive, &events, err);
        if (rc == CAIRN_OK) {
            rc = cairn_arrival_look(&build->arrival, build->group.store, &build->group.position,
                                    &arrived, err);
        }
        if (rc == CAIRN_OK && (events == 0 || arrived)) {
            rc = cairn_build_switch(build, &switched, err);
        }
    }
    return rc;
}

/* What is to be told of the generation that is live now. */
static enum cairn_rc fill_result(struct cairn_build *build, struct cairn_err *err)
{
    struct cairn_kv_txn *txn = NULL;
    const struct cairn_view_head *head = &build->group.followers[0]->head;
    enum cairn_rc rc = cairn_kv_read_begin(cairn_views_kv(build->views), &txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (build->parallel != NULL && !cairn_parallel_has_helped(build->parallel)) {
        build->result.workers = 1;
    }
    rc = cairn_kv_count(txn, build->tables.rows[head->slot], &build->result.rows, err);
    if (rc == CAIRN_OK) {
        const struct cairn_parked_place place = {cairn_views_meta(build->views), build->view,
                                                 head->slot};
        rc = cairn_view_parked_count(txn, &place, &build->result.parked, err);
    }
    cairn_kv_end(txn);
    build->result.events = head->events;
    build->result.seconds = cairn_build_meter_seconds(&build->drive.meter);
    return rc;
}

enum cairn_rc cairn_build_follow(struct cairn_build *build, struct cairn_err *err)
{
    assert(build->group.count == 1);
    const struct cairn_follower *follower = build->group.followers[0];
    enum cairn_rc rc = follow(build, err);
    cairn_metric_set(follower->metrics.build_done, 0);
    cairn_metric_set(follower->metrics.build_all, 0);
    if (rc != CAIRN_OK) {
        return rc;
    }
    cairn_build_meter_report(&build->drive.meter, follower->head.events, follower->head.events,
                             true);
    rc = fill_result(build, err);
    return rc == CAIRN_OK ? cairn_build_sweep(build->views, build->view, err) : rc;
}

/* ---- A new generation -------------------------------------------------------------------------
 */

/* Is there a build of the definition that was interrupted? One of another is thrown away. */
static enum cairn_rc find_next(struct cairn_build *build, const struct cairn_view_code *code,
                               struct cairn_kv_txn *txn, struct cairn_view_head *head,
                               bool *ret_found, struct cairn_err *err)
{
    struct cairn_arena arena = {.max = STORED_BYTES_MAX};
    struct cairn_view_code stored;
    cairn_kv_table_id meta = cairn_views_meta(build->views);
    *ret_found = false;
    enum cairn_rc rc = cairn_view_head_get(txn, meta, CAIRN_SIDE_NEXT, build->view, head, err);
    if (rc == CAIRN_OK) {
        rc = cairn_view_code_get(txn, meta, CAIRN_SIDE_NEXT, build->view, &arena, &stored, err);
        *ret_found = rc == CAIRN_OK && cairn_slice_equal(stored.hash, code->hash);
    }
    cairn_arena_fini(&arena);
    if ((rc == CAIRN_OK || rc == CAIRN_ENOENT) && !*ret_found) {
        return cairn_view_side_delete(txn, meta, CAIRN_SIDE_NEXT, build->view, err);
    }
    return rc;
}

/* Write next/ for an empty generation in a slot that no other uses. It may hold what a switch left
 * that was killed before it could clear. */
static enum cairn_rc put_next(struct cairn_build *build, const struct cairn_view_code *code,
                              struct cairn_kv_txn *txn, struct cairn_view_head *head,
                              struct cairn_err *err)
{
    cairn_kv_table_id meta = cairn_views_meta(build->views);
    struct cairn_view_head live = {.generation = 0};
    enum cairn_rc rc = cairn_view_head_get(txn, meta, CAIRN_SIDE_LIVE, build->view, &live, err);
    if (rc != CAIRN_OK && rc != CAIRN_ENOENT) {
        return rc;
    }
    *head =
        (struct cairn_view_head){.state = CAIRN_VIEW_BUILDING, .generation = live.generation + 1};
    rc = cairn_view_slot_free(txn, meta, build->view, &head->slot, err);
    if (rc == CAIRN_OK) {
        rc =
            cairn_views_clear_slot(build->views, txn, build->view, &build->tables, head->slot, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_view_code_put(txn, meta, CAIRN_SIDE_NEXT, build->view, code, err);
    }
    return rc;
}

/* The head of what is to be built, with the length of the way before it. */
static enum cairn_rc begin_next(struct cairn_build *build, const struct cairn_view_code *code,
                                struct cairn_view_head *ret_head, struct cairn_err *err)
{
    struct cairn_view_head head = {.generation = 0};
    struct cairn_kv_txn *txn = NULL;
    uint64_t all = 0;
    bool found = false;
    enum cairn_rc rc = cairn_build_events(build, &all, err);
    if (rc == CAIRN_OK) {
        rc = cairn_kv_write_begin(cairn_views_kv(build->views), &txn, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = find_next(build, code, txn, &head, &found, err);
    if (rc == CAIRN_OK && !found) {
        rc = put_next(build, code, txn, &head, err);
    }
    head.all = all;
    if (rc == CAIRN_OK) {
        rc = cairn_view_head_put(txn, cairn_views_meta(build->views), CAIRN_SIDE_NEXT, build->view,
                                 &head, err);
    }
    rc = cairn_views_end_write(build->views, txn, rc, err);
    if (rc == CAIRN_OK) {
        build->result.resumed = head.events > 0;
        *ret_head = head;
    }
    return rc;
}

static enum cairn_rc begin(struct cairn_build *build, const struct cairn_domain_view *definition,
                           struct cairn_err *err)
{
    struct cairn_projection *projection = NULL;
    struct cairn_view_head head;
    char hash[33];
    enum cairn_rc rc =
        cairn_projection_new(definition->name, definition->script_name, definition->script,
                             build->options->limits, &projection, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_view_code code = *cairn_projection_code(projection);
    cairn_view_hash_text(definition->code_hash, hash);
    code.hash = cairn_slice_str(hash);
    rc = begin_next(build, &code, &head, err);
    if (rc != CAIRN_OK) {
        cairn_projection_free(projection);
        return rc;
    }
    return cairn_build_add(build, projection, &head, err);
}

enum cairn_rc cairn_build_run(const struct cairn_build_options *options,
                              const struct cairn_domain_view *definition,
                              struct cairn_rebuild_result *ret_result, struct cairn_err *err)
{
    assert(options != NULL && definition != NULL && ret_result != NULL);
    struct cairn_build build;
    enum cairn_rc rc = cairn_build_init(&build, options, CAIRN_SIDE_NEXT, err);
    if (rc == CAIRN_OK) {
        rc = begin(&build, definition, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_build_follow(&build, err);
    }
    if (rc == CAIRN_EINVAL) {
        bool dropped = false;
        (void)cairn_build_drop(options->group.views, definition->name, CAIRN_SIDE_NEXT, &dropped,
                               NULL);
    }
    if (rc == CAIRN_OK) {
        *ret_result = build.result;
    }
    cairn_build_fini(&build);
    return rc;
}
