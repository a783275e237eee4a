#include "projector/sql/lanes.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "projector/lmdb/group.h"
#include "projector/pace.h"
#include "projector/pause.h"

/* How often progress is told and cancelling is asked for. */
#define LOOK_MS 20
/* How often it is asked whether the build's own connection, which has the lock, is there. */
#define ASK_NS INT64_C(500000000)
/* Failures of a lane one behind the other, lost connections and deadlocks, that it outlives; with
 * the pauses between them about a minute. */
#define TRIES_MAX 16

struct lanes;

/* One lane and its thread. */
struct worker {
    struct lanes *lanes;
    struct cairn_sql_lane lane;
    struct cairn_position until;
    struct cairn_sql_follower *follower; /* NULL: not open */
    struct cairn_pace pace;
    pthread_t thread;
    bool runs;
    bool refused; /* an event cannot be applied: err says which */
    enum cairn_rc rc;
    struct cairn_err err;
};

struct lanes {
    const struct cairn_sql_build *build;
    struct cairn_gate gate;
    struct worker workers[CAIRN_REBUILD_WORKERS_MAX];
    unsigned count;
    atomic_uint running; /* threads that have not come to their end */
    atomic_bool stopping;
    atomic_ullong events; /* of all lanes, committed since they began */
};

const char *cairn_sql_lanes_hindrance(const struct cairn_sql_build *build)
{
    if (build->follower->parks) {
        return "on_error: park";
    }
    return cairn_sql_writer_divides(build->follower->writer)
               ? NULL
               : "a statement may touch or read more than one row, known by its key";
}

/* ---- a lane ---- */

static bool is_stopping(void *self)
{
    struct lanes *lanes = self;
    return atomic_load(&lanes->stopping);
}

static enum cairn_rc open_lane(struct worker *worker, struct cairn_err *err)
{
    const struct cairn_sql_build *build = worker->lanes->build;
    const struct cairn_sql_follower_options options = {.uri = build->options->postgres,
                                                       .domain = build->options->domain,
                                                       .store = build->options->store,
                                                       .view = build->view->name,
                                                       .side = CAIRN_SIDE_NEXT,
                                                       .log = build->options->log,
                                                       .lane = &worker->lane};
    enum cairn_rc rc = cairn_sql_follower_open(&options, &worker->follower, err);
    if (rc == CAIRN_OK) {
        cairn_sql_follower_set_until(worker->follower, &worker->until);
    }
    return rc;
}

static enum cairn_rc step(struct worker *worker, size_t *events, struct cairn_err *err)
{
    enum cairn_rc rc = worker->follower == NULL ? open_lane(worker, err) : CAIRN_OK;
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_sql_follower *follower = worker->follower;
    uint64_t before = follower->head.events;
    size_t batch = cairn_pace_batch(&worker->pace, CAIRN_GROUP_BUILD_EVENTS);
    rc = cairn_sql_follower_step(follower, batch, events, err);
    /* Also what was committed before a failure. */
    atomic_fetch_add(&worker->lanes->events, follower->head.events - before);
    if (rc == CAIRN_OK && follower->failed) {
        worker->refused = true;
        return cairn_sql_follower_refusal(follower, err);
    }
    return rc;
}

/* What was committed when a connection is lost, the lane's row tells. */
static enum cairn_rc follow(struct worker *worker, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    size_t events = 1;
    unsigned tries = 0;
    int pause_ms = CAIRN_PAUSE_FIRST_MS;
    while (rc == CAIRN_OK && events > 0 && !is_stopping(worker->lanes)) {
        rc = step(worker, &events, err);
        if (rc == CAIRN_OK) {
            tries = 0;
            pause_ms = CAIRN_PAUSE_FIRST_MS;
            cairn_pace_wait(&worker->pace, events, is_stopping, worker->lanes);
        } else if (rc == CAIRN_EBUSY && ++tries < TRIES_MAX) {
            cairn_sql_follower_close(worker->follower);
            worker->follower = NULL;
            cairn_pause_nap(&worker->lanes->stopping, pause_ms);
            pause_ms = cairn_pause_next(pause_ms);
            events = 1;
            rc = CAIRN_OK;
        }
    }
    return rc;
}

static void *run_lane(void *self)
{
    struct worker *worker = self;
    worker->rc = follow(worker, &worker->err);
    if (worker->rc != CAIRN_OK) {
        atomic_store(&worker->lanes->stopping, true);
    }
    cairn_sql_follower_close(worker->follower);
    worker->follower = NULL;
    atomic_fetch_sub(&worker->lanes->running, 1);
    return NULL;
}

/* ---- all of them ---- */

static void prepare(struct lanes *lanes, const struct cairn_sql_lanes_request *request)
{
    const struct cairn_clock *clock = request->meter->clock;
    uint64_t share = request->throttle / lanes->count;
    bool has_ids = cairn_domain_aggregate_count(lanes->build->options->domain) == 1;
    for (unsigned i = 0; i < lanes->count; i++) {
        struct worker *worker = &lanes->workers[i];
        worker->lanes = lanes;
        worker->lane = (struct cairn_sql_lane){
            .number = i, .count = lanes->count, .gate = &lanes->gate, .has_ids = has_ids};
        cairn_sql_lane_part(&worker->lane, &request->until, &worker->until);
        cairn_pace_init(&worker->pace, clock, request->throttle > 0 && share == 0 ? 1 : share);
    }
}

static enum cairn_rc start(struct lanes *lanes, struct cairn_err *err)
{
    for (unsigned i = 0; i < lanes->count; i++) {
        struct worker *worker = &lanes->workers[i];
        atomic_fetch_add(&lanes->running, 1);
        worker->runs = pthread_create(&worker->thread, NULL, run_lane, worker) == 0;
        if (!worker->runs) {
            atomic_fetch_sub(&lanes->running, 1);
            return CAIRN_FAIL(err, CAIRN_ENOMEM, "start a thread");
        }
    }
    return CAIRN_OK;
}

static enum cairn_rc attend(struct lanes *lanes, const struct cairn_sql_lanes_request *request,
                            struct cairn_err *err)
{
    const struct cairn_sql_head *head = &lanes->build->follower->head;
    const struct cairn_clock *clock = request->meter->clock;
    const atomic_bool never = false;
    int64_t asked_ns = cairn_clock_monotonic_ns(clock);
    while (atomic_load(&lanes->running) > 0) {
        if (request->cancelled(request->self)) {
            return CAIRN_FAIL(err, CAIRN_ESTOPPED, "cancelled; nothing was switched");
        }
        cairn_pause_nap(&never, LOOK_MS);
        int64_t now_ns = cairn_clock_monotonic_ns(clock);
        if (now_ns - asked_ns > ASK_NS) {
            asked_ns = now_ns;
            enum cairn_rc rc = cairn_pg_run(lanes->build->follower->pg, "SELECT 1", err);
            if (rc != CAIRN_OK) {
                return rc;
            }
        }
        cairn_build_meter_report(request->meter, head->events + atomic_load(&lanes->events),
                                 head->all, false);
    }
    return CAIRN_OK;
}

/* What is told is the failure of a lane, whatever the others did then. */
static enum cairn_rc join(struct lanes *lanes, enum cairn_rc rc, bool *ret_refused,
                          struct cairn_err *err)
{
    for (unsigned i = 0; i < lanes->count; i++) {
        struct worker *worker = &lanes->workers[i];
        if (!worker->runs) {
            continue;
        }
        (void)pthread_join(worker->thread, NULL);
        *ret_refused = *ret_refused || worker->refused;
        if (worker->rc != CAIRN_OK && (rc == CAIRN_OK || worker->refused)) {
            rc = worker->rc;
            *err = worker->err;
        }
    }
    return rc;
}

static enum cairn_rc run_all(struct lanes *lanes, const struct cairn_sql_lanes_request *request,
                             bool *ret_refused, struct cairn_err *err)
{
    struct cairn_sql_follower *follower = lanes->build->follower;
    enum cairn_rc rc =
        cairn_sql_lanes_begin(follower->pg, lanes->build->domain, lanes->build->view->name,
                              &follower->head, lanes->count, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    prepare(lanes, request);
    rc = start(lanes, err);
    rc = rc == CAIRN_OK ? attend(lanes, request, err) : rc;
    atomic_store(&lanes->stopping, rc != CAIRN_OK || atomic_load(&lanes->stopping));
    return join(lanes, rc, ret_refused, err);
}

/* What the lanes have is the generation's, also where they came to no good end. */
static enum cairn_rc merge(struct cairn_sql_build *build, enum cairn_rc rc, struct cairn_err *err)
{
    struct cairn_err why;
    struct cairn_sql_follower *follower = build->follower;
    if (cairn_pg_is_broken(follower->pg)) {
        return rc;
    }
    enum cairn_rc merged =
        cairn_sql_lanes_merge(follower->pg, build->domain, build->view->name, &why);
    merged = merged == CAIRN_OK ? cairn_sql_follower_refresh(follower, &why) : merged;
    if (rc == CAIRN_OK && merged != CAIRN_OK) {
        *err = why;
        return merged;
    }
    return rc;
}

enum cairn_rc cairn_sql_lanes_run(struct cairn_sql_build *build,
                                  const struct cairn_sql_lanes_request *request, bool *ret_refused,
                                  struct cairn_err *err)
{
    struct lanes lanes = {.build = build, .count = request->workers};
    bool refused = false;
    assert(request->workers > 0 && request->workers <= CAIRN_REBUILD_WORKERS_MAX);
    assert(request->workers <= cairn_store_partitions(build->options->store));
    assert(cairn_sql_lanes_hindrance(build) == NULL);
    enum cairn_rc rc = cairn_gate_init(&lanes.gate, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = merge(build, run_all(&lanes, request, &refused, err), err);
    cairn_gate_fini(&lanes.gate);
    *ret_refused = refused;
    return rc;
}
