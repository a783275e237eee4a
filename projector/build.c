#include "projector/build.h"

#include <assert.h>
#include <stdio.h>

/* A build under way. */
struct build {
    struct cairn_views *views;
    struct cairn_store *store;
    struct cairn_slice view;
    char hash[33];
    struct cairn_view_code code; /* points into the follower's projection, and to hash */
    struct cairn_view_tables tables;
    uint64_t live_generation; /* that it will replace; 0: none */
    struct cairn_view_group group;
    const struct cairn_rebuild_hooks *hooks;
};

enum cairn_rc cairn_build_lock(const char *data_folder, struct cairn_slice view,
                               struct cairn_file_lock *ret_lock, struct cairn_err *err)
{
    char folder[CAIRN_PATH_MAX];
    char path[CAIRN_PATH_MAX];
    char name[CAIRN_VIEW_NAME_BYTES_MAX + 32];
    (void)snprintf(name, sizeof name, "rebuild-%.*s.lock", CAIRN_SLICE_ARG(view));
    if (cairn_file_join(folder, data_folder, CAIRN_VIEWS_FOLDER) != CAIRN_OK ||
        cairn_file_join(path, folder, name) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "the path of the data folder is too long");
    }
    enum cairn_rc rc = cairn_file_lock_open(path, ret_lock, err);
    return rc == CAIRN_ELOCKED
               ? cairn_err_wrap(err, rc, "view %.*s is being rebuilt", CAIRN_SLICE_ARG(view))
               : rc;
}

static enum cairn_rc clear_slot(struct cairn_kv_txn *txn, const struct cairn_view_tables *tables,
                                unsigned slot, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_kv_clear(txn, tables->rows[slot], false, err);
    return rc == CAIRN_OK ? cairn_kv_clear(txn, tables->index[slot], false, err) : rc;
}

enum cairn_rc cairn_build_discard(struct cairn_views *views, struct cairn_slice view,
                                  struct cairn_err *err)
{
    struct cairn_view_tables tables;
    struct cairn_view_head next;
    struct cairn_kv_txn *txn = NULL;
    cairn_kv_table_id meta = cairn_views_meta(views);
    enum cairn_rc rc = cairn_views_tables(views, view, &tables, err);
    if (rc == CAIRN_OK) {
        rc = cairn_kv_write_begin(cairn_views_kv(views), &txn, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_view_head_get(txn, meta, CAIRN_SIDE_NEXT, view, &next, err);
    if (rc == CAIRN_ENOENT) {
        cairn_kv_end(txn);
        return CAIRN_OK;
    }
    if (rc == CAIRN_OK) {
        rc = clear_slot(txn, &tables, next.slot, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_view_next_delete(txn, meta, view, err);
    }
    return cairn_views_end_write(views, txn, rc, err);
}

/* Write next/ for an empty generation in the slot that the live one does not use. */
static enum cairn_rc begin_next(struct build *build, struct cairn_kv_txn *txn, uint64_t all,
                                struct cairn_view_head *ret_head, struct cairn_err *err)
{
    cairn_kv_table_id meta = cairn_views_meta(build->views);
    struct cairn_view_head live = {.slot = 1};
    enum cairn_rc rc = cairn_view_head_get(txn, meta, CAIRN_SIDE_LIVE, build->view, &live, err);
    if (rc != CAIRN_OK && rc != CAIRN_ENOENT) {
        return rc;
    }
    build->live_generation = live.generation;
    struct cairn_view_head next = {.state = CAIRN_VIEW_BUILDING,
                                   .slot = 1 - live.slot,
                                   .generation = live.generation + 1,
                                   .all = all};
    rc = clear_slot(txn, &build->tables, next.slot, err);
    if (rc == CAIRN_OK) {
        rc = cairn_view_head_put(txn, meta, CAIRN_SIDE_NEXT, build->view, &next, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_view_code_put(txn, meta, CAIRN_SIDE_NEXT, build->view, &build->code, err);
    }
    if (rc == CAIRN_OK) {
        *ret_head = next;
    }
    return rc;
}

static enum cairn_rc begin_build(struct build *build, struct cairn_view_head *ret_head,
                                 struct cairn_err *err)
{
    const struct cairn_position start = {{0}};
    struct cairn_position end;
    struct cairn_kv_txn *txn = NULL;
    enum cairn_rc rc = cairn_store_end(build->store, &end, err);
    if (rc == CAIRN_OK) {
        rc = cairn_views_tables(build->views, build->view, &build->tables, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_kv_write_begin(cairn_views_kv(build->views), &txn, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = begin_next(build, txn, cairn_position_lag(&start, &end), ret_head, err);
    return cairn_views_end_write(build->views, txn, rc, err);
}

/* Make the new generation the live one, if it has come as far as the live one. */
static enum cairn_rc switch_in(struct build *build, struct cairn_kv_txn *txn, bool *ret_switched,
                               struct cairn_err *err)
{
    cairn_kv_table_id meta = cairn_views_meta(build->views);
    struct cairn_view_head live = {.generation = 0};
    struct cairn_view_head head = build->group.followers[0]->head;
    enum cairn_rc rc = cairn_view_head_get(txn, meta, CAIRN_SIDE_LIVE, build->view, &live, err);
    if (rc != CAIRN_OK && rc != CAIRN_ENOENT) {
        return rc;
    }
    if (live.generation != build->live_generation) {
        return CAIRN_FAIL(err, CAIRN_ELOCKED, "view %.*s: another generation was begun meanwhile",
                          CAIRN_SLICE_ARG(build->view));
    }
    if (!cairn_position_reached(&head.position, &live.position)) {
        return CAIRN_OK;
    }
    head.state = CAIRN_VIEW_LIVE;
    head.all = 0;
    rc = cairn_view_head_put(txn, meta, CAIRN_SIDE_LIVE, build->view, &head, err);
    if (rc == CAIRN_OK) {
        rc = cairn_view_code_put(txn, meta, CAIRN_SIDE_LIVE, build->view, &build->code, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_view_next_delete(txn, meta, build->view, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_view_stop_delete(txn, meta, build->view, err);
    }
    *ret_switched = rc == CAIRN_OK;
    return rc;
}

static enum cairn_rc try_switch(struct build *build, bool *ret_switched, struct cairn_err *err)
{
    struct cairn_kv_txn *txn = NULL;
    bool switched = false;
    enum cairn_rc rc = cairn_kv_write_begin(cairn_views_kv(build->views), &txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = switch_in(build, txn, &switched, err);
    rc = cairn_views_end_write(build->views, txn, rc, err);
    *ret_switched = rc == CAIRN_OK && switched;
    return rc;
}

/* Follow the log until the switch. */
static enum cairn_rc follow(struct build *build, struct cairn_build_meter *meter,
                            struct cairn_err *err)
{
    bool switched = false;
    enum cairn_rc rc = CAIRN_OK;
    const struct cairn_follower *follower = build->group.followers[0];
    while (!switched && rc == CAIRN_OK) {
        size_t events = 0;
        uint64_t lag = 0;
        if (build->hooks != NULL && build->hooks->cancelled != NULL &&
            build->hooks->cancelled(build->hooks->self)) {
            return CAIRN_FAIL(err, CAIRN_ESTOPPED, "cancelled; nothing was switched");
        }
        rc = cairn_view_group_step(&build->group, CAIRN_GROUP_BUILD_EVENTS, NULL, &events, err);
        if (rc == CAIRN_OK && follower->failure.failed) {
            char id[CAIRN_UUID_TEXT_SIZE];
            cairn_uuid_format(&follower->failure.event, id);
            *err = follower->failure.err;
            return cairn_err_wrap(err, CAIRN_ESCRIPT, "event %.*s at %u:%llu", (int)sizeof id, id,
                                  follower->failure.partition,
                                  (unsigned long long)follower->failure.offset);
        }
        if (rc == CAIRN_OK) {
            cairn_build_meter_report(meter, follower->head.events, follower->head.all, false);
        }
        if (rc == CAIRN_OK) {
            rc = cairn_view_group_lag(&build->group, &lag, err);
        }
        /* Near the end, though it may move on as fast as this reads: the live one moves, too. */
        if (rc == CAIRN_OK && (events == 0 || lag < CAIRN_GROUP_LIVE_EVENTS)) {
            rc = try_switch(build, &switched, err);
        }
    }
    return rc;
}

/* Rows of the new generation, and the old one's tables emptied. */
static enum cairn_rc end_build(struct build *build, uint64_t *ret_rows, struct cairn_err *err)
{
    struct cairn_kv_txn *txn = NULL;
    unsigned slot = build->group.followers[0]->head.slot;
    enum cairn_rc rc = cairn_kv_write_begin(cairn_views_kv(build->views), &txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_kv_count(txn, build->tables.rows[slot], ret_rows, err);
    if (rc == CAIRN_OK) {
        rc = clear_slot(txn, &build->tables, 1 - slot, err);
    }
    return cairn_views_end_write(build->views, txn, rc, err);
}

/* The follower of the new generation, into the group. */
static enum cairn_rc add_follower(struct build *build,
                                  const struct cairn_view_group_options *options,
                                  const struct cairn_lua_limits *limits,
                                  const struct cairn_domain_view *definition, struct cairn_err *err)
{
    struct cairn_projection *projection = NULL;
    struct cairn_follower *follower = NULL;
    struct cairn_view_head head;
    enum cairn_rc rc = cairn_projection_new(definition->name, definition->script_name,
                                            definition->script, limits, &projection, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    build->code = *cairn_projection_code(projection);
    cairn_view_hash_text(definition->code_hash, build->hash);
    build->code.hash = cairn_slice_str(build->hash);
    rc = begin_build(build, &head, err);
    if (rc != CAIRN_OK) {
        cairn_projection_free(projection);
        return rc;
    }
    rc = cairn_follower_new(definition->name, projection, &build->tables, CAIRN_SIDE_NEXT, &head,
                            options->metrics, &follower, err);
    if (rc == CAIRN_OK) {
        cairn_view_group_add(&build->group, follower);
    }
    return rc;
}

enum cairn_rc cairn_build_run(const struct cairn_view_group_options *options,
                              const struct cairn_lua_limits *limits,
                              const struct cairn_domain_view *definition,
                              const struct cairn_rebuild_hooks *hooks,
                              struct cairn_rebuild_result *ret_result, struct cairn_err *err)
{
    assert(options != NULL && definition != NULL && ret_result != NULL);
    struct build build = {
        .views = options->views, .store = options->store, .view = definition->name, .hooks = hooks};
    struct cairn_build_meter meter;
    uint64_t rows = 0;
    enum cairn_rc rc = cairn_view_group_init(&build.group, options, err);
    if (rc == CAIRN_OK) {
        rc = add_follower(&build, options, limits, definition, err);
    }
    if (rc == CAIRN_OK) {
        cairn_build_meter_init(&meter, build.group.clock, hooks == NULL ? NULL : hooks->progress,
                               hooks == NULL ? NULL : hooks->self);
        rc = follow(&build, &meter, err);
        struct cairn_follower *follower = build.group.followers[0];
        cairn_metric_set(follower->metrics.build_done, 0);
        cairn_metric_set(follower->metrics.build_all, 0);
        if (rc == CAIRN_OK) {
            cairn_build_meter_report(&meter, follower->head.events, follower->head.events, true);
            rc = end_build(&build, &rows, err);
        } else {
            (void)cairn_build_discard(options->views, definition->name, NULL);
        }
    }
    if (rc == CAIRN_OK) {
        *ret_result =
            (struct cairn_rebuild_result){.events = build.group.followers[0]->head.events,
                                          .rows = rows,
                                          .generation = build.group.followers[0]->head.generation,
                                          .seconds = cairn_build_meter_seconds(&meter)};
    }
    cairn_view_group_fini(&build.group);
    return rc;
}
