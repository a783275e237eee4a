/* A build from its beginning to the switch, for who waits for it. */
#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>

#include "projector/drive.h"
#include "projector/lmdb/group.h"
#include "projector/pause.h"
#include "projector/replay_store.h"
#include "projector/sql/build.h"
#include "projector/sql/digest.h"
#include "projector/sql/lanes.h"

#define HEAD_BYTES_MAX ((size_t)16 * 1024 * 1024)
/* A switch waits for readers of the live tables, each time as long as lock_timeout says. */
#define SWITCH_TRIES_MAX 6
/* About a minute, for a server that starts again. */
#define ASK_TRIES_MAX 16

struct run {
    struct cairn_sql_build *build;
    struct cairn_sql_follower *follower;
    struct cairn_drive drive;
    struct cairn_arena arena; /* of the live head */
    struct cairn_sql_head live;
    bool has_live;
    bool refused; /* an event could not be applied in a lane */
    struct cairn_rebuild_result result;
};

static bool is_cancelled(void *self)
{
    const struct run *run = self;
    return cairn_rebuild_is_cancelled(&run->drive.hooks);
}

static enum cairn_rc read_live(struct run *run, struct cairn_pg *pg, struct cairn_err *err)
{
    cairn_arena_reset(&run->arena);
    enum cairn_rc rc = cairn_sql_head_read(pg, run->build->domain, run->build->view->name,
                                           CAIRN_SIDE_LIVE, &run->arena, &run->live, err);
    run->has_live = rc == CAIRN_OK;
    return rc == CAIRN_ENOENT ? CAIRN_OK : rc;
}

/* ---- following ---- */

static enum cairn_rc step(void *self, size_t max_events, struct cairn_drive_batch *ret_batch,
                          struct cairn_err *err)
{
    const struct run *run = self;
    struct cairn_sql_follower *follower = run->follower;
    enum cairn_rc rc = cairn_sql_follower_step(follower, max_events, &ret_batch->events, err);
    ret_batch->done = follower->head.events;
    ret_batch->all = follower->head.all;
    return rc == CAIRN_OK && follower->failed ? cairn_sql_follower_refusal(follower, err) : rc;
}

/* Exactly there. */
static enum cairn_rc follow_until(struct run *run, const struct cairn_position *until,
                                  struct cairn_err *err)
{
    cairn_sql_follower_set_until(run->follower, until);
    return cairn_drive_run(&run->drive, err);
}

/* To the end of the log, which may move on as fast as this reads. */
static enum cairn_rc follow_to_end(struct run *run, struct cairn_err *err)
{
    bool arrived = false;
    enum cairn_rc rc = CAIRN_OK;
    while (rc == CAIRN_OK && !arrived) {
        size_t events = 0;
        rc = cairn_drive_step(&run->drive, &events, err);
        if (rc == CAIRN_OK) {
            rc = cairn_arrival_look(&run->build->arrival, run->build->options->store,
                                    &run->follower->head.position, &arrived, err);
        }
        arrived = arrived || events == 0;
    }
    return rc;
}

/* ---- comparing ---- */

/* Are both generations by one definition, and can the new one be brought to where the live one is?
 * Else the result says why not. */
static bool can_compare(struct run *run)
{
    bool same = run->has_live && cairn_slice_equal(run->live.hash, run->follower->head.hash);
    bool behind =
        same && cairn_position_reached(&run->live.position, &run->follower->head.position);
    run->result.not_compared = !run->has_live ? NULL
                               : !same        ? CAIRN_NOT_COMPARED_DEFINITION
                               : !behind      ? CAIRN_NOT_COMPARED_POSITION
                                              : NULL;
    return behind;
}

/* What a generation leaves out, in a word. */
static enum cairn_rc sum_parked(const struct run *run, struct cairn_pg *pg, uint64_t generation,
                                struct cairn_pg_result **ret_sum, struct cairn_err *err)
{
    char number[24];
    (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)generation);
    const struct cairn_slice values[] = {run->build->view->name, cairn_slice_str(number)};
    return cairn_sql_query_in(
        pg, run->build->domain,
        "SELECT coalesce(md5(string_agg(stream || ' ' || version || ' ' || until_version, ',' "
        "ORDER BY stream COLLATE \"C\", version)), '') FROM %s._cairn_parked WHERE view = $1 AND "
        "generation = $2::bigint",
        values, 2, ret_sum, err);
}

/* Does the new generation leave out what the live one of the snapshot does? */
static enum cairn_rc leave_out_the_same(const struct run *run, struct cairn_pg *snapshot,
                                        bool *ret_same, struct cairn_err *err)
{
    struct cairn_pg_result *before = NULL;
    struct cairn_pg_result *after = NULL;
    enum cairn_rc rc = sum_parked(run, snapshot, run->live.generation, &before, err);
    rc = rc == CAIRN_OK
             ? sum_parked(run, run->follower->pg, run->follower->head.generation, &after, err)
             : rc;
    if (rc == CAIRN_OK) {
        *ret_same = cairn_slice_equal(cairn_pg_result_value(before, 0, 0),
                                      cairn_pg_result_value(after, 0, 0));
    }
    cairn_pg_result_free(before);
    cairn_pg_result_free(after);
    return rc;
}

/* Near the live generation, which moves, without passing it. */
static enum cairn_rc approach_live(struct run *run, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    while (rc == CAIRN_OK && can_compare(run) &&
           cairn_position_lag(&run->follower->head.position, &run->live.position) >=
               CAIRN_GROUP_LIVE_EVENTS) {
        rc = follow_until(run, &run->live.position, err);
        rc = rc == CAIRN_OK ? read_live(run, run->follower->pg, err) : rc;
    }
    return rc;
}

/* Both at one position: the snapshot's. */
static enum cairn_rc compare_in(struct run *run, struct cairn_pg *snapshot, struct cairn_err *err)
{
    const struct cairn_sql_build *build = run->build;
    struct cairn_rebuild_result *result = &run->result;
    enum cairn_rc rc =
        cairn_pg_run(snapshot, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err);
    rc = rc == CAIRN_OK ? read_live(run, snapshot, err) : rc;
    if (rc != CAIRN_OK || !can_compare(run)) {
        return rc;
    }
    bool same = false;
    rc = follow_until(run, &run->live.position, err);
    rc = rc == CAIRN_OK ? leave_out_the_same(run, snapshot, &same, err) : rc;
    if (rc != CAIRN_OK || !same) {
        result->not_compared = CAIRN_NOT_COMPARED_PARKED;
        return rc;
    }
    rc = cairn_sql_digest(snapshot, build->domain, build->view->name, CAIRN_SIDE_LIVE,
                          &result->before, err);
    rc = rc == CAIRN_OK ? cairn_sql_digest(run->follower->pg, build->domain, build->view->name,
                                           CAIRN_SIDE_NEXT, &result->after, err)
                        : rc;
    result->compared = rc == CAIRN_OK;
    return rc;
}

static enum cairn_rc compare(struct run *run, struct cairn_err *err)
{
    const struct cairn_pg_options options = {.uri = run->build->options->postgres,
                                             .application = "cairn projector"};
    struct cairn_pg *snapshot = NULL;
    enum cairn_rc rc = read_live(run, run->follower->pg, err);
    rc = rc == CAIRN_OK ? approach_live(run, err) : rc;
    if (rc == CAIRN_OK && can_compare(run)) {
        rc = cairn_pg_open(&options, &snapshot, err);
        rc = rc == CAIRN_OK ? compare_in(run, snapshot, err) : rc;
    }
    cairn_pg_close(snapshot);
    cairn_sql_follower_set_until(run->follower, NULL);
    return rc;
}

/* ---- by partition ---- */

static void tell_one_worker(const struct run *run, const char *why)
{
    cairn_log_event(run->build->options->log, CAIRN_LOG_INFO, "projector",
                    "view is built by one worker", CAIRN_F_SLICE("view", run->build->view->name),
                    CAIRN_F_STR("detail", why));
}

/* How many lanes the log is shared out among. */
static unsigned count_lanes(const struct run *run, unsigned workers)
{
    unsigned partitions = cairn_store_partitions(run->build->options->store);
    const char *why = cairn_sql_lanes_hindrance(run->build);
    if (workers > 1 && why != NULL) {
        tell_one_worker(run, why);
        return 1;
    }
    workers = workers < partitions ? workers : partitions;
    workers = workers < CAIRN_REBUILD_WORKERS_MAX ? workers : CAIRN_REBUILD_WORKERS_MAX;
    return workers > 1 ? workers : 1;
}

/* By several lanes as far as the log is now, or, where both are to be compared, the live
 * generation; one follower goes on from there. */
static enum cairn_rc follow_in_lanes(struct run *run, const struct cairn_rebuild_request *request,
                                     struct cairn_err *err)
{
    struct cairn_sql_lanes_request lanes = {.workers = count_lanes(run, request->workers),
                                            .throttle = request->throttle,
                                            .meter = &run->drive.meter,
                                            .cancelled = is_cancelled,
                                            .self = run};
    run->result.workers = 1;
    if (lanes.workers == 1) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = read_live(run, run->follower->pg, err);
    if (rc == CAIRN_OK && can_compare(run)) {
        lanes.until = run->live.position;
    } else if (rc == CAIRN_OK) {
        rc = cairn_store_end(run->build->options->store, &lanes.until, err);
    }
    if (rc != CAIRN_OK || cairn_position_reached(&run->follower->head.position, &lanes.until)) {
        return rc;
    }
    run->result.workers = lanes.workers;
    return cairn_sql_lanes_run(run->build, &lanes, &run->refused, err);
}

/* ---- the whole ---- */

static enum cairn_rc take_result(struct run *run, struct cairn_pg *pg, struct cairn_err *err)
{
    const struct cairn_sql_build *build = run->build;
    struct cairn_view_digest count = {.rows = 0};
    enum cairn_rc rc = read_live(run, pg, err);
    rc = rc == CAIRN_OK
             ? cairn_sql_count(pg, build->domain, build->view->name, CAIRN_SIDE_LIVE, &count, err)
             : rc;
    run->result.generation = run->live.generation;
    run->result.events = run->live.events;
    run->result.parked = run->live.parked;
    run->result.rows = count.rows;
    run->result.resumed = build->resumed;
    run->result.seconds = cairn_build_meter_seconds(&run->drive.meter);
    return rc;
}

/* The connection was lost around the commit of the switch: what became of it is asked on another.
 * rc: what is known so far, CAIRN_OK or a failure, which stays where nothing was switched. */
static enum cairn_rc find_out(struct run *run, enum cairn_rc rc, struct cairn_err *err)
{
    const struct cairn_pg_options options = {.uri = run->build->options->postgres,
                                             .application = "cairn projector"};
    const atomic_bool never = false;
    const struct cairn_err why = *err;
    int pause_ms = CAIRN_PAUSE_FIRST_MS;
    for (unsigned i = 0; i < ASK_TRIES_MAX && !is_cancelled(run); i++) {
        struct cairn_pg *pg = NULL;
        struct cairn_err ignored;
        enum cairn_rc asked = cairn_pg_open(&options, &pg, &ignored);
        asked = asked == CAIRN_OK ? take_result(run, pg, &ignored) : asked;
        cairn_pg_close(pg);
        if (asked == CAIRN_OK && run->live.generation >= run->follower->head.generation) {
            return CAIRN_OK;
        }
        if (asked == CAIRN_OK) {
            *err = why;
            return rc;
        }
        cairn_pause_nap(&never, pause_ms);
        pause_ms = cairn_pause_next(pause_ms);
    }
    return CAIRN_FAIL(err, CAIRN_EUNKNOWN,
                      "the connection was lost; whether the view was switched is not known");
}

static enum cairn_rc follow_and_switch(struct run *run, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_EBEHIND;
    unsigned tries = 0;
    while (rc == CAIRN_EBEHIND || (rc == CAIRN_EBUSY && !cairn_pg_is_broken(run->follower->pg) &&
                                   ++tries < SWITCH_TRIES_MAX)) {
        rc = follow_to_end(run, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        run->result.kept = run->has_live;
        rc = cairn_sql_build_switch(run->build, err);
    }
    if (rc == CAIRN_OK) {
        rc = take_result(run, run->follower->pg, err);
    }
    if (rc != CAIRN_OK && cairn_pg_is_broken(run->follower->pg)) {
        return find_out(run, rc, err);
    }
    return rc == CAIRN_EINVAL ? cairn_err_wrap(err, rc, "built and kept, but not switched") : rc;
}

/* What is left of a build that came to nothing. Its own failure is what is told. */
static void clean_up(struct run *run)
{
    const struct cairn_sql_build *build = run->build;
    struct cairn_pg *pg = run->follower->pg;
    struct cairn_err ignored;
    if (cairn_pg_is_broken(pg)) {
        return;
    }
    if (build->back) {
        (void)cairn_sql_generation_keep(pg, build->domain, build->view->name, &ignored);
    } else if (run->follower->failed || run->refused) {
        (void)cairn_sql_generation_drop(pg, build->domain, build->view->name, CAIRN_SIDE_NEXT, NULL,
                                        &ignored);
    }
}

enum cairn_rc cairn_sql_build_run(struct cairn_sql_build *build,
                                  const struct cairn_rebuild_request *request,
                                  const struct cairn_rebuild_hooks *hooks,
                                  struct cairn_rebuild_result *ret_result, struct cairn_err *err)
{
    assert(build->follower != NULL && ret_result != NULL);
    struct run run = {
        .build = build, .follower = build->follower, .arena = {.max = HEAD_BYTES_MAX}};
    cairn_drive_init(&run.drive, step, &run, cairn_rebuild_hooks_of(hooks), build->options->clock,
                     request->throttle);
    enum cairn_rc rc = follow_in_lanes(&run, request, err);
    rc = rc == CAIRN_OK ? compare(&run, err) : rc;
    rc = rc == CAIRN_OK ? follow_and_switch(&run, err) : rc;
    if (rc == CAIRN_OK) {
        cairn_build_meter_report(&run.drive.meter, run.follower->head.events,
                                 run.follower->head.events, true);
    } else {
        clean_up(&run);
    }
    if (rc == CAIRN_OK) {
        *ret_result = run.result;
    }
    build->refused_in_lanes = run.refused;
    cairn_arena_fini(&run.arena);
    return rc;
}
