/* Replay of views in PostgreSQL: replay_store.h over the SQL store. */
#include "projector/replay_sql.h"

#include "projector/sql_build.h"
#include "projector/sql_compare.h"
#include "projector/sql_retry.h"

static enum cairn_rc build_and_switch(const struct cairn_projector_options *options,
                                      const struct cairn_domain_view *definition, bool back,
                                      const struct cairn_rebuild_request *request,
                                      const struct cairn_rebuild_hooks *hooks,
                                      struct cairn_rebuild_result *ret_result,
                                      struct cairn_err *err)
{
    struct cairn_sql_build *build = NULL;
    enum cairn_rc rc = cairn_sql_build_open(options, definition, back, &build, err);
    if (rc == CAIRN_OK && !back) {
        /* Who asks for it means it, whatever was refused. */
        rc = cairn_sql_generation_allow(build->follower->pg, build->domain, definition->name, err);
    }
    rc = rc == CAIRN_OK ? cairn_sql_build_run(build, request, hooks, ret_result, err) : rc;
    cairn_sql_build_close(build);
    return rc;
}

static enum cairn_rc rebuild(const struct cairn_projector_options *options,
                             const struct cairn_domain_view *definition,
                             const struct cairn_rebuild_request *request,
                             const struct cairn_rebuild_hooks *hooks,
                             struct cairn_rebuild_result *ret_result, struct cairn_err *err)
{
    return build_and_switch(options, definition, false, request, hooks, ret_result, err);
}

static enum cairn_rc rollback(const struct cairn_projector_options *options,
                              const struct cairn_domain_view *definition,
                              const struct cairn_rebuild_request *request,
                              const struct cairn_rebuild_hooks *hooks,
                              struct cairn_rebuild_result *ret_result, struct cairn_err *err)
{
    return build_and_switch(options, definition, true, request, hooks, ret_result, err);
}

static enum cairn_rc drop_both(struct cairn_pg *pg, struct cairn_slice domain,
                               struct cairn_slice view, bool *ret_dropped, struct cairn_err *err)
{
    bool next = false;
    bool old = false;
    enum cairn_rc rc = cairn_sql_store_prepare(pg, domain, err);
    rc = rc == CAIRN_OK ? cairn_sql_generation_lock(pg, domain, view, CAIRN_SIDE_NEXT, err) : rc;
    rc = rc == CAIRN_OK ? cairn_sql_generation_drop(pg, domain, view, CAIRN_SIDE_NEXT, &next, err)
                        : rc;
    rc = rc == CAIRN_OK ? cairn_sql_generation_drop(pg, domain, view, CAIRN_SIDE_OLD, &old, err)
                        : rc;
    cairn_sql_generation_unlock(pg, domain, view, CAIRN_SIDE_NEXT);
    if (rc == CAIRN_OK) {
        *ret_dropped = next || old;
    }
    return rc;
}

static enum cairn_rc drop_kept(const struct cairn_projector_options *options,
                               struct cairn_slice view, bool *ret_dropped, struct cairn_err *err)
{
    const struct cairn_pg_options connection = {.uri = options->postgres,
                                                .application = "cairn projector"};
    struct cairn_pg *pg = NULL;
    enum cairn_rc rc = cairn_pg_open(&connection, &pg, err);
    rc = rc == CAIRN_OK ? drop_both(pg, cairn_domain_name(options->domain), view, ret_dropped, err)
                        : rc;
    cairn_pg_close(pg);
    return rc;
}

const struct cairn_replay_store cairn_replay_sql = {
    .rebuild = rebuild,
    .rollback = rollback,
    .drop_kept = drop_kept,
    .compare = cairn_sql_compare,
    .parked = cairn_sql_parked_list,
    .parked_retry = cairn_sql_parked_retry,
    .parked_drop = cairn_sql_parked_drop,
};
