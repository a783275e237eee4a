/* Replay of views in PostgreSQL: replay_store.h over the SQL store. */
#include "projector/sql/replay.h"

#include <stdatomic.h>

#include "projector/pause.h"
#include "projector/sql/build.h"
#include "projector/sql/compare.h"
#include "projector/sql/retry.h"

/* Connections lost one after the other before a build that does not get on is given up; with the
 * pauses between them about a minute. */
#define LOSSES_MAX 16

/* What is asked for, and how far it has come. */
struct order {
    const struct cairn_projector_options *options;
    const struct cairn_domain_view *definition;
    bool back;
    struct cairn_rebuild_request request;
    const struct cairn_rebuild_hooks *hooks;
    bool begun;   /* a build was open once */
    bool resumed; /* and that was one to be gone on with */
    bool lost;    /* its connection was lost */
    bool vain;    /* an event could not be applied by several workers */
    uint64_t events;
    struct cairn_rebuild_result result;
};

static enum cairn_rc build_once(struct order *order, struct cairn_err *err)
{
    struct cairn_sql_build *build = NULL;
    enum cairn_rc rc =
        cairn_sql_build_open(order->options, order->definition, order->back, &build, err);
    /* The server may find out late that the one before is gone. */
    order->lost = order->begun && (rc == CAIRN_EBUSY || rc == CAIRN_ELOCKED);
    if (rc != CAIRN_OK) {
        return rc;
    }
    order->resumed = order->begun ? order->resumed : build->resumed;
    order->begun = true;
    if (!order->back) {
        /* Who asks for it means it, whatever was refused. */
        rc = cairn_sql_generation_allow(build->follower->pg, build->domain, order->definition->name,
                                        err);
    }
    rc = rc == CAIRN_OK
             ? cairn_sql_build_run(build, &order->request, order->hooks, &order->result, err)
             : rc;
    order->lost = rc == CAIRN_EBUSY && cairn_pg_is_broken(build->follower->pg);
    order->vain = rc == CAIRN_EINVAL && build->refused_in_lanes;
    order->events = build->follower->head.events;
    cairn_sql_build_close(build);
    return rc;
}

/* Whether an event can be applied may hang on what other partitions have brought before it: the
 * order of one worker decides. */
static enum cairn_rc build(struct order *order, struct cairn_err *err)
{
    order->vain = false;
    enum cairn_rc rc = build_once(order, err);
    if (!order->vain || cairn_rebuild_is_cancelled(order->hooks)) {
        return rc;
    }
    cairn_log_event(order->options->log, CAIRN_LOG_WARN, "projector",
                    "view is built again, by one worker",
                    CAIRN_F_SLICE("view", order->definition->name), CAIRN_F_STR("why", err->text));
    order->request.workers = 1;
    return build_once(order, err);
}

/* A build that has begun outlives lost connections, as long as it gets on between them. */
static enum cairn_rc build_and_switch(struct order *order, struct cairn_rebuild_result *ret_result,
                                      struct cairn_err *err)
{
    const struct cairn_clock *clock = cairn_clock_system();
    const atomic_bool never = false;
    int64_t begun_ns = cairn_clock_monotonic_ns(clock);
    int pause_ms = CAIRN_PAUSE_FIRST_MS;
    unsigned losses = 0;
    enum cairn_rc rc = build(order, err);
    while (rc != CAIRN_OK && order->lost && ++losses <= LOSSES_MAX &&
           !cairn_rebuild_is_cancelled(order->hooks)) {
        uint64_t events = order->events;
        cairn_pause_nap(&never, pause_ms);
        rc = build(order, err);
        bool further = order->events > events;
        losses = further ? 0 : losses;
        pause_ms = further ? CAIRN_PAUSE_FIRST_MS : cairn_pause_next(pause_ms);
    }
    if (rc == CAIRN_OK) {
        order->result.resumed = order->resumed;
        order->result.seconds = (double)(cairn_clock_monotonic_ns(clock) - begun_ns) / 1e9;
        *ret_result = order->result;
    }
    return rc;
}

static enum cairn_rc rebuild(const struct cairn_projector_options *options,
                             const struct cairn_domain_view *definition,
                             const struct cairn_rebuild_request *request,
                             const struct cairn_rebuild_hooks *hooks,
                             struct cairn_rebuild_result *ret_result, struct cairn_err *err)
{
    struct order order = {
        .options = options, .definition = definition, .request = *request, .hooks = hooks};
    return build_and_switch(&order, ret_result, err);
}

static enum cairn_rc rollback(const struct cairn_projector_options *options,
                              const struct cairn_domain_view *definition,
                              const struct cairn_rebuild_request *request,
                              const struct cairn_rebuild_hooks *hooks,
                              struct cairn_rebuild_result *ret_result, struct cairn_err *err)
{
    struct order order = {.options = options,
                          .definition = definition,
                          .back = true,
                          .request = *request,
                          .hooks = hooks};
    return build_and_switch(&order, ret_result, err);
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
