#include "projector/compare.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "projector/build.h"

/* A comparison under way. */
struct comparison {
    const struct cairn_projector_options *options;
    const struct cairn_domain_view *definition;
    const struct cairn_compare_request *request;
    const struct cairn_compare_hooks *hooks;
    struct cairn_views *live;
    struct cairn_views *scratch;
    char folder[CAIRN_PATH_MAX]; /* of the scratch store; empty until it is made */
    struct cairn_view_tables scratch_tables;
    struct cairn_view_group group;
    struct cairn_build_meter meter;
    struct cairn_compare_report report;
};

static enum cairn_rc open_scratch(struct comparison *comparison, struct cairn_err *err)
{
    char name[CAIRN_VIEW_NAME_BYTES_MAX + 48];
    (void)snprintf(name, sizeof name, "compare-%.*s-%ld",
                   CAIRN_SLICE_ARG(comparison->definition->name), (long)getpid());
    if (cairn_file_join(comparison->folder, comparison->options->data_folder, name) != CAIRN_OK) {
        comparison->folder[0] = 0;
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "the path of the data folder is too long");
    }
    enum cairn_rc rc = cairn_file_make_folder(comparison->folder, err);
    if (rc == CAIRN_OK) {
        rc = cairn_views_open_writer(comparison->folder, false, &comparison->scratch, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_views_tables(comparison->scratch, comparison->definition->name,
                                &comparison->scratch_tables, err);
    }
    return rc;
}

/* The scratch store knows the view as a live one at the beginning of the log. */
static enum cairn_rc begin_scratch(struct comparison *comparison,
                                   const struct cairn_view_head *head, struct cairn_err *err)
{
    struct cairn_kv_txn *txn = NULL;
    enum cairn_rc rc = cairn_kv_write_begin(cairn_views_kv(comparison->scratch), &txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_view_head_put(txn, cairn_views_meta(comparison->scratch), CAIRN_SIDE_LIVE,
                             comparison->definition->name, head, err);
    if (rc != CAIRN_OK) {
        cairn_kv_end(txn);
        return rc;
    }
    return cairn_kv_commit(txn, err);
}

static enum cairn_rc begin_follower(struct comparison *comparison, struct cairn_err *err)
{
    const struct cairn_domain_view *definition = comparison->definition;
    const struct cairn_view_head head = {.state = CAIRN_VIEW_LIVE, .generation = 1};
    struct cairn_projection *projection = NULL;
    struct cairn_follower *follower = NULL;
    enum cairn_rc rc = begin_scratch(comparison, &head, err);
    if (rc == CAIRN_OK) {
        rc = cairn_projection_new(definition->name, definition->script_name, definition->script,
                                  &comparison->options->lua, &projection, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_follower_new(definition->name, projection, &comparison->scratch_tables,
                                CAIRN_SIDE_LIVE, &head, NULL, &follower, err);
    }
    if (rc == CAIRN_OK) {
        cairn_view_group_add(&comparison->group, follower);
    }
    return rc;
}

/* Replay up to a position of the live view. */
static enum cairn_rc replay(struct comparison *comparison, const struct cairn_position *until,
                            struct cairn_err *err)
{
    const struct cairn_position start = {{0}};
    const struct cairn_follower *follower = comparison->group.followers[0];
    uint64_t all = cairn_position_lag(&start, until);
    size_t events = 1;
    while (events > 0) {
        enum cairn_rc rc = cairn_view_group_step(&comparison->group, CAIRN_GROUP_BUILD_EVENTS,
                                                 until, &events, err);
        if (rc == CAIRN_OK && follower->failure.failed) {
            *err = follower->failure.err;
            rc = cairn_err_wrap(err, CAIRN_ESCRIPT, "event at %u:%llu", follower->failure.partition,
                                (unsigned long long)follower->failure.offset);
        }
        if (rc != CAIRN_OK) {
            return rc;
        }
        cairn_build_meter_report(&comparison->meter, follower->head.events, all, false);
    }
    return CAIRN_OK;
}

static void tell(struct comparison *comparison, struct cairn_slice key, enum cairn_difference kind)
{
    comparison->report.differences++;
    if (comparison->report.differences <= comparison->request->told_max &&
        comparison->hooks != NULL && comparison->hooks->different != NULL) {
        const struct cairn_row_difference difference = {.kind = kind, .key = key};
        comparison->hooks->different(comparison->hooks->self, &difference);
    }
}

/* Two tables walked side by side. */
struct pair {
    struct cairn_kv_cursor *cursors[2]; /* live, replayed */
    struct cairn_slice keys[2];
    struct cairn_slice values[2];
    bool ended[2];
};

static enum cairn_rc step_side(struct pair *pair, int side, enum cairn_kv_step step,
                               struct cairn_err *err)
{
    enum cairn_rc rc = cairn_kv_seek(pair->cursors[side], step, CAIRN_SLICE_NONE, &pair->keys[side],
                                     &pair->values[side], err);
    pair->ended[side] = rc == CAIRN_ENOENT;
    return rc == CAIRN_ENOENT ? CAIRN_OK : rc;
}

/* What one side has and the other has not, or has otherwise. */
static enum cairn_rc compare_pair(struct comparison *comparison, struct pair *pair, bool rows,
                                  struct cairn_err *err)
{
    enum cairn_rc rc = step_side(pair, 0, CAIRN_KV_FIRST, err);
    if (rc == CAIRN_OK) {
        rc = step_side(pair, 1, CAIRN_KV_FIRST, err);
    }
    while (rc == CAIRN_OK && !(pair->ended[0] && pair->ended[1])) {
        int order = pair->ended[0]   ? 1
                    : pair->ended[1] ? -1
                                     : cairn_slice_compare(pair->keys[0], pair->keys[1]);
        if (order > 0) {
            tell(comparison, pair->keys[1], rows ? CAIRN_ROW_MISSING : CAIRN_INDEX_DIFFERS);
        } else if (order < 0) {
            tell(comparison, pair->keys[0], rows ? CAIRN_ROW_EXTRA : CAIRN_INDEX_DIFFERS);
        } else if (!cairn_slice_equal(pair->values[0], pair->values[1])) {
            tell(comparison, pair->keys[0], CAIRN_ROW_DIFFERS);
        }
        comparison->report.rows += rows && order >= 0;
        if (order <= 0) {
            rc = step_side(pair, 0, CAIRN_KV_NEXT, err);
        }
        if (order >= 0 && rc == CAIRN_OK) {
            rc = step_side(pair, 1, CAIRN_KV_NEXT, err);
        }
    }
    return rc;
}

static enum cairn_rc compare_tables(struct comparison *comparison, struct cairn_kv_txn *live,
                                    cairn_kv_table_id live_table, struct cairn_kv_txn *replayed,
                                    cairn_kv_table_id replayed_table, bool rows,
                                    struct cairn_err *err)
{
    struct pair pair = {.cursors = {NULL, NULL}};
    enum cairn_rc rc = cairn_kv_cursor_open(live, live_table, &pair.cursors[0], err);
    if (rc == CAIRN_OK) {
        rc = cairn_kv_cursor_open(replayed, replayed_table, &pair.cursors[1], err);
    }
    if (rc == CAIRN_OK) {
        rc = compare_pair(comparison, &pair, rows, err);
    }
    for (int i = 0; i < 2; i++) {
        if (pair.cursors[i] != NULL) {
            cairn_kv_cursor_close(pair.cursors[i]);
        }
    }
    return rc;
}

/* Were both made by definitions with the same indexes? Else their index tables differ rightly. */
static enum cairn_rc same_indexes(struct comparison *comparison,
                                  const struct cairn_view_snapshot *live, bool *ret_same,
                                  struct cairn_err *err)
{
    struct cairn_arena arena = {.max = 16u * 1024u * 1024u};
    struct cairn_view_code code;
    const struct cairn_view_code *fresh =
        cairn_projection_code(comparison->group.followers[0]->projection);
    enum cairn_rc rc =
        cairn_view_code_get(live->txn, cairn_views_meta(comparison->live), CAIRN_SIDE_LIVE,
                            comparison->definition->name, &arena, &code, err);
    if (rc == CAIRN_OK) {
        bool same = code.column_count == fresh->column_count;
        for (size_t i = 0; i < code.column_count && same; i++) {
            same = cairn_slice_equal(code.columns[i].name, fresh->columns[i].name);
        }
        *ret_same = same;
    } else if (rc == CAIRN_ENOENT) {
        rc = CAIRN_FAIL(err, CAIRN_ECORRUPT, "the view has no definition");
    }
    cairn_arena_fini(&arena);
    return rc;
}

static enum cairn_rc compare_snapshot(struct comparison *comparison,
                                      const struct cairn_view_snapshot *live, struct cairn_err *err)
{
    struct cairn_kv_txn *replayed = NULL;
    bool indexes = false;
    unsigned slot = live->head.slot;
    enum cairn_rc rc = replay(comparison, &live->head.position, err);
    if (rc == CAIRN_OK) {
        rc = same_indexes(comparison, live, &indexes, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_kv_read_begin(cairn_views_kv(comparison->scratch), &replayed, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = compare_tables(comparison, live->txn, live->tables.rows[slot], replayed,
                        comparison->scratch_tables.rows[0], true, err);
    if (rc == CAIRN_OK && indexes) {
        rc = compare_tables(comparison, live->txn, live->tables.index[slot], replayed,
                            comparison->scratch_tables.index[0], false, err);
    }
    cairn_kv_end(replayed);
    comparison->report.position = live->head.position;
    comparison->report.compared = true;
    comparison->report.events = comparison->group.followers[0]->head.events;
    return rc;
}

/* The long part against no snapshot of the live view, the short rest against the one that is
 * compared: it keeps pages from being used again as long as it is open. */
static enum cairn_rc run(struct comparison *comparison, struct cairn_err *err)
{
    struct cairn_view_snapshot live;
    struct cairn_slice view = comparison->definition->name;
    enum cairn_rc rc = cairn_view_snapshot_begin(comparison->live, view, &live, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    cairn_view_snapshot_end(&live);
    rc = begin_follower(comparison, err);
    if (rc == CAIRN_OK) {
        rc = replay(comparison, &live.head.position, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_view_snapshot_begin(comparison->live, view, &live, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = compare_snapshot(comparison, &live, err);
    cairn_view_snapshot_end(&live);
    if (rc == CAIRN_OK) {
        cairn_build_meter_report(&comparison->meter, comparison->report.events,
                                 comparison->report.events, true);
    }
    return rc;
}

enum cairn_rc cairn_compare_lmdb(const struct cairn_projector_options *options,
                                 const struct cairn_domain_view *definition,
                                 const struct cairn_compare_request *request,
                                 const struct cairn_compare_hooks *hooks,
                                 struct cairn_compare_report *ret_report, struct cairn_err *err)
{
    struct comparison comparison = {
        .options = options, .definition = definition, .request = request, .hooks = hooks};
    enum cairn_rc rc = cairn_views_open(options->data_folder, &comparison.live, err);
    if (rc == CAIRN_OK) {
        rc = open_scratch(&comparison, err);
    }
    if (rc == CAIRN_OK) {
        const struct cairn_view_group_options group = {.views = comparison.scratch,
                                                       .store = options->store,
                                                       .domain = options->domain,
                                                       .clock = options->clock};
        rc = cairn_view_group_init(&comparison.group, &group, err);
    }
    if (rc == CAIRN_OK) {
        cairn_build_meter_init(&comparison.meter, comparison.group.clock,
                               hooks == NULL ? NULL : hooks->progress,
                               hooks == NULL ? NULL : hooks->self);
        rc = run(&comparison, err);
    }
    cairn_view_group_fini(&comparison.group);
    cairn_views_close(comparison.scratch);
    cairn_views_close(comparison.live);
    if (comparison.folder[0] != 0) {
        (void)cairn_file_remove_tree(comparison.folder, NULL);
    }
    if (rc == CAIRN_OK) {
        *ret_report = comparison.report;
    }
    return rc;
}
