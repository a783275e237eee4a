/* cairn_build_rollback: the kept generation goes on by the definition that made it. */
#include <assert.h>

#include "projector/lmdb/build_int.h"

/* Memory for a stored definition. */
#define STORED_BYTES_MAX (16u * 1024u * 1024u)

/* Its head, marked with the length of the way before it, and its definition, in arena. */
static enum cairn_rc begin_old(struct cairn_build *build, struct cairn_arena *arena,
                               struct cairn_view_head *ret_head, struct cairn_view_code *ret_code,
                               struct cairn_err *err)
{
    struct cairn_kv_txn *txn = NULL;
    cairn_kv_table_id meta = cairn_views_meta(build->views);
    uint64_t all = 0;
    enum cairn_rc rc = cairn_build_events(build, &all, err);
    if (rc == CAIRN_OK) {
        rc = cairn_kv_write_begin(cairn_views_kv(build->views), &txn, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_view_head_get(txn, meta, CAIRN_SIDE_OLD, build->view, ret_head, err);
    if (rc == CAIRN_OK) {
        rc = cairn_view_code_get(txn, meta, CAIRN_SIDE_OLD, build->view, arena, ret_code, err);
    }
    if (rc == CAIRN_ENOENT) {
        rc = CAIRN_FAIL(err, CAIRN_ENOENT, "no generation before the live one is kept");
    }
    if (rc == CAIRN_OK) {
        build->result.resumed = ret_head->all > 0;
        ret_head->all = all;
        rc = cairn_view_head_put(txn, meta, CAIRN_SIDE_OLD, build->view, ret_head, err);
    }
    return cairn_views_end_write(build->views, txn, rc, err);
}

static enum cairn_rc begin(struct cairn_build *build, struct cairn_err *err)
{
    struct cairn_arena arena = {.max = STORED_BYTES_MAX};
    struct cairn_view_head head;
    struct cairn_view_code code = {.version = 0};
    struct cairn_projection *projection = NULL;
    enum cairn_rc rc = begin_old(build, &arena, &head, &code, err);
    if (rc == CAIRN_OK) {
        rc = cairn_projection_new(build->view, code.script_name, code.script,
                                  build->options->limits, &projection, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_build_add(build, projection, &head, err);
    }
    cairn_arena_fini(&arena);
    return rc;
}

enum cairn_rc cairn_build_forget_rollback(struct cairn_views *views, struct cairn_slice view,
                                          struct cairn_err *err)
{
    struct cairn_kv_txn *txn = NULL;
    struct cairn_view_head head;
    cairn_kv_table_id meta = cairn_views_meta(views);
    enum cairn_rc rc = cairn_kv_write_begin(cairn_views_kv(views), &txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_view_head_get(txn, meta, CAIRN_SIDE_OLD, view, &head, err);
    if (rc == CAIRN_ENOENT || (rc == CAIRN_OK && head.all == 0)) {
        cairn_kv_end(txn);
        return CAIRN_OK;
    }
    if (rc == CAIRN_OK) {
        head.all = 0;
        rc = cairn_view_head_put(txn, meta, CAIRN_SIDE_OLD, view, &head, err);
    }
    return cairn_views_end_write(views, txn, rc, err);
}

enum cairn_rc cairn_build_rollback(const struct cairn_build_options *options,
                                   struct cairn_rebuild_result *ret_result, struct cairn_err *err)
{
    assert(options != NULL && ret_result != NULL);
    struct cairn_build build;
    enum cairn_rc rc = cairn_build_init(&build, options, CAIRN_SIDE_OLD, err);
    if (rc == CAIRN_OK) {
        rc = begin(&build, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_build_follow(&build, err);
    }
    if (rc == CAIRN_EINVAL) {
        (void)cairn_build_forget_rollback(options->group.views, build.view, NULL);
    }
    if (rc == CAIRN_OK) {
        *ret_result = build.result;
    }
    cairn_build_fini(&build);
    return rc;
}
