#include "projector/sql/build.h"

#include <assert.h>

#include "platform/mem.h"
#include "projector/sql/lane.h"

#define HEAD_BYTES_MAX ((size_t)16 * 1024 * 1024)

/* ---- opening ---- */

enum cairn_rc cairn_sql_build_define(const struct cairn_projector_options *options,
                                     const struct cairn_domain_view *view,
                                     struct cairn_sql_made *ret_made, struct cairn_err *err)
{
    const struct cairn_position begin = {{0}};
    struct cairn_position end;
    enum cairn_rc rc = cairn_store_end(options->store, &end, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    cairn_view_hash_text(view->code_hash, ret_made->hash);
    ret_made->definition =
        (struct cairn_sql_definition){.domain = cairn_domain_name(options->domain),
                                      .view = view->name,
                                      .version = view->sql->version,
                                      .hash = cairn_slice_str(ret_made->hash),
                                      .text = view->script,
                                      .tables = view->sql->tables,
                                      .table_count = view->sql->table_count,
                                      .all = cairn_position_lag(&begin, &end)};
    return CAIRN_OK;
}

/* Make the next generation what it is to be, unless it is that already; whole, if it was killed
 * while lanes fed it. */
static enum cairn_rc begin_or_resume(struct cairn_sql_build *build, struct cairn_pg *pg,
                                     struct cairn_err *err)
{
    struct cairn_arena arena = {.max = HEAD_BYTES_MAX};
    struct cairn_sql_head next = {.returning = false};
    struct cairn_sql_made made;
    enum cairn_rc rc = cairn_sql_build_define(build->options, build->view, &made, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_sql_head_read(pg, build->domain, build->view->name, CAIRN_SIDE_NEXT, &arena, &next,
                             err);
    if (rc == CAIRN_OK || rc == CAIRN_ENOENT) {
        /* What is on its way back was not built from the beginning. */
        build->resumed = rc == CAIRN_OK && next.returning == build->back &&
                         (build->back || cairn_slice_is(next.hash, made.hash));
        rc = build->resumed ? CAIRN_OK
             : build->back  ? cairn_sql_generation_return(pg, build->domain, build->view->name,
                                                          made.definition.all, err)
                           : cairn_sql_generation_begin(pg, &made.definition, CAIRN_SIDE_NEXT, err);
    }
    rc = rc == CAIRN_OK ? cairn_sql_lanes_merge(pg, build->domain, build->view->name, err) : rc;
    cairn_arena_fini(&arena);
    return rc;
}

static enum cairn_rc open_all(struct cairn_sql_build *build, struct cairn_err *err)
{
    struct cairn_sql_follower_options follower = {.uri = build->options->postgres,
                                                  .domain = build->options->domain,
                                                  .store = build->options->store,
                                                  .view = build->view->name,
                                                  .side = CAIRN_SIDE_NEXT,
                                                  .log = build->options->log};
    struct cairn_pg *pg = NULL;
    enum cairn_rc rc = cairn_sql_follower_connect(&follower, &pg, err);
    rc = rc == CAIRN_OK ? cairn_sql_store_prepare(pg, build->domain, err) : rc;
    rc = rc == CAIRN_OK
             ? cairn_sql_generation_lock(pg, build->domain, build->view->name, CAIRN_SIDE_NEXT, err)
             : rc;
    rc = rc == CAIRN_OK ? begin_or_resume(build, pg, err) : rc;
    if (rc != CAIRN_OK) {
        cairn_pg_close(pg);
        return rc;
    }
    follower.pg = pg;
    return cairn_sql_follower_open(&follower, &build->follower, err);
}

enum cairn_rc cairn_sql_build_open(const struct cairn_projector_options *options,
                                   const struct cairn_domain_view *view, bool back,
                                   struct cairn_sql_build **ret_build, struct cairn_err *err)
{
    assert(options->postgres != NULL && view->sql != NULL);
    struct cairn_sql_build *build = cairn_mem_zalloc(1, sizeof(*build));
    if (build == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "build a view");
    }
    build->options = options;
    build->view = view;
    build->domain = cairn_domain_name(options->domain);
    build->back = back;
    enum cairn_rc rc = open_all(build, err);
    if (rc != CAIRN_OK) {
        cairn_sql_build_close(build);
        return rc;
    }
    *ret_build = build;
    return CAIRN_OK;
}

void cairn_sql_build_close(struct cairn_sql_build *build)
{
    if (build != NULL) {
        if (build->follower != NULL) {
            /* The server would notice a while after the connection's end. */
            cairn_sql_generation_unlock(build->follower->pg, build->domain, build->view->name,
                                        CAIRN_SIDE_NEXT);
        }
        cairn_sql_follower_close(build->follower);
        cairn_mem_free(build);
    }
}

/* ---- the switch ---- */

enum cairn_rc cairn_sql_build_switch(struct cairn_sql_build *build, struct cairn_err *err)
{
    struct cairn_sql_follower *follower = build->follower;
    struct cairn_arena arena = {.max = HEAD_BYTES_MAX};
    struct cairn_sql_head live = {.hash = CAIRN_SLICE_LIT("")};
    enum cairn_rc rc = CAIRN_OK;
    if (build->back) {
        rc = cairn_sql_head_read(follower->pg, build->domain, build->view->name, CAIRN_SIDE_LIVE,
                                 &arena, &live, err);
        rc = rc == CAIRN_ENOENT ? CAIRN_OK : rc;
    }
    struct cairn_slice refused =
        cairn_slice_equal(live.hash, follower->head.hash) ? CAIRN_SLICE_LIT("") : live.hash;
    rc = rc == CAIRN_OK
             ? cairn_sql_generation_switch(follower->pg, build->domain, build->view->name,
                                           follower->head.generation, refused, err)
             : rc;
    cairn_arena_fini(&arena);
    return rc;
}
