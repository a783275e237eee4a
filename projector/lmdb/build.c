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

enum cairn_rc cairn_build_init(struct cairn_build *build, const struct cairn_build_options *options,
                               enum cairn_view_side side, struct cairn_err *err)
{
    const struct cairn_rebuild_hooks *hooks = options->hooks;
    assert(side != CAIRN_SIDE_LIVE && options->request->view.size > 0);
    *build = (struct cairn_build){.options = options,
                                  .views = options->group.views,
                                  .view = options->request->view,
                                  .side = side};
    enum cairn_rc rc = cairn_view_group_init(&build->group, &options->group, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    cairn_build_meter_init(&build->meter, build->group.clock,
                           hooks == NULL ? NULL : hooks->progress,
                           hooks == NULL ? NULL : hooks->self);
    cairn_pace_init(&build->pace, build->group.clock, options->request->throttle);
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

/* Why the generation does not get on: an event that its projection cannot apply, or a process that
 * took it. */
static enum cairn_rc check_follower(const struct cairn_follower *follower, struct cairn_err *err)
{
    if (follower->moved) {
        return CAIRN_FAIL(err, CAIRN_ELOCKED, "another process has taken the build");
    }
    if (follower->failure.failed) {
        char id[CAIRN_UUID_TEXT_SIZE];
        cairn_uuid_format(&follower->failure.event, id);
        *err = follower->failure.err;
        return cairn_err_wrap(err, CAIRN_EINVAL, "event %.*s at %u:%llu", (int)sizeof id, id,
                              follower->failure.partition,
                              (unsigned long long)follower->failure.offset);
    }
    return CAIRN_OK;
}

/* One batch, not beyond until (NULL: as far as the log goes). */
static enum cairn_rc step(struct cairn_build *build, const struct cairn_position *until,
                          size_t *ret_events, struct cairn_err *err)
{
    const struct cairn_rebuild_hooks *hooks = build->options->hooks;
    const struct cairn_follower *follower = build->group.followers[0];
    bool (*cancelled)(void *) = hooks == NULL ? NULL : hooks->cancelled;
    void *self = hooks == NULL ? NULL : hooks->self;
    if (cairn_rebuild_is_cancelled(hooks)) {
        return CAIRN_FAIL(err, CAIRN_ESTOPPED, "cancelled; nothing was switched");
    }
    enum cairn_rc rc = cairn_view_group_step(
        &build->group, cairn_pace_batch(&build->pace, CAIRN_GROUP_BUILD_EVENTS), until, ret_events,
        err);
    rc = rc == CAIRN_OK ? check_follower(follower, err) : rc;
    if (rc == CAIRN_OK) {
        cairn_build_meter_report(&build->meter, follower->head.events, follower->head.all, false);
        cairn_pace_wait(&build->pace, *ret_events, cancelled, self);
    }
    return rc;
}

enum cairn_rc cairn_build_reach(struct cairn_build *build, const struct cairn_position *until,
                                struct cairn_err *err)
{
    size_t events = 1;
    enum cairn_rc rc = CAIRN_OK;
    while (rc == CAIRN_OK && events > 0) {
        rc = step(build, until, &events, err);
    }
    return rc;
}

static enum cairn_rc follow(struct cairn_build *build, struct cairn_err *err)
{
    bool switched = false;
    enum cairn_rc rc = cairn_build_compare(build, err);
    while (!switched && rc == CAIRN_OK) {
        size_t events = 0;
        uint64_t lag = 0;
        rc = step(build, NULL, &events, err);
        if (rc == CAIRN_OK) {
            rc = cairn_view_group_lag(&build->group, &lag, err);
        }
        /* Near the end, though it may move on as fast as this reads: the live one moves, too. */
        if (rc == CAIRN_OK && (events == 0 || lag < CAIRN_GROUP_LIVE_EVENTS)) {
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
    rc = cairn_kv_count(txn, build->tables.rows[head->slot], &build->result.rows, err);
    if (rc == CAIRN_OK) {
        const struct cairn_parked_place place = {cairn_views_meta(build->views), build->view,
                                                 head->slot};
        rc = cairn_view_parked_count(txn, &place, &build->result.parked, err);
    }
    cairn_kv_end(txn);
    build->result.events = head->events;
    build->result.seconds = cairn_build_meter_seconds(&build->meter);
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
    cairn_build_meter_report(&build->meter, follower->head.events, follower->head.events, true);
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
