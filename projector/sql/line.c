#include "projector/sql/line.h"

#include "platform/hash.h"
#include "projector/lmdb/group.h"
#include "projector/lmdb/live.h"
#include "projector/lmdb/views_int.h"
#include "projector/pause.h"

/* How often an idle thread looks whether to stop. */
#define IDLE_MS 50
/* How often a thread looks whether another projector has moved or switched the view, or ended to
 * build it. */
#define LOOK_MS 2000
/* How often what has stopped is tried again: an operator may have mended the database. */
#define RETRY_MS 30000
#define MS_NS    INT64_C(1000000)

/* Once for an event: what has stopped is tried again and again. */
static void note_failure(struct cairn_sql_line *line, const struct cairn_sql_follower *follower)
{
    line->failed_ns = cairn_clock_monotonic_ns(line->options->clock);
    if (strcmp(line->failed_event, follower->failed_event) == 0) {
        return;
    }
    memcpy(line->failed_event, follower->failed_event, sizeof(line->failed_event));
    cairn_log_event(line->options->log, CAIRN_LOG_ERROR, "projector",
                    follower->side == CAIRN_SIDE_LIVE ? "view stopped" : "build failed",
                    CAIRN_F_SLICE("view", line->definition->name),
                    CAIRN_F_STR("event", follower->failed_event),
                    CAIRN_F_STR("detail", follower->failure.text));
}

/* One batch of a follower. A failed one stands where it is; its row says why. */
static enum cairn_rc step(struct cairn_sql_line *line, struct cairn_sql_follower *follower,
                          size_t max_events, size_t *events, struct cairn_err *err)
{
    size_t applied = 0;
    if (follower == NULL || follower->failed) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = cairn_sql_follower_step(follower, max_events, &applied, err);
    if (follower->failed) {
        note_failure(line, follower);
    }
    if (applied > 0 && follower->side == CAIRN_SIDE_LIVE) {
        cairn_metric_inc(line->metrics.events, applied);
        cairn_views_ring(line->views);
    }
    *events += applied;
    return rc;
}

/* Does the build hold the log, and is it as far as what it is to replace? Not right after a switch
 * that came to nothing. */
static enum cairn_rc is_ready(struct cairn_sql_line *line, bool *ret_ready, struct cairn_err *err)
{
    bool arrived = false;
    int64_t now_ns = cairn_clock_monotonic_ns(line->options->clock);
    *ret_ready = false;
    if (line->denied_ns != 0 && now_ns - line->denied_ns < LOOK_MS * MS_NS) {
        return CAIRN_OK;
    }
    const struct cairn_position *at = &line->build->follower->head.position;
    enum cairn_rc rc =
        cairn_arrival_look(&line->build->arrival, line->options->store, at, &arrived, err);
    *ret_ready = rc == CAIRN_OK && arrived &&
                 (line->live == NULL || cairn_position_reached(at, &line->live->head.position));
    return rc;
}

/* Somebody's query holds the old tables, or something of theirs stands on them: the row says so,
 * the live generation goes on, and the switch is tried again. */
static enum cairn_rc postpone(struct cairn_sql_line *line, enum cairn_rc rc, struct cairn_err *err)
{
    struct cairn_sql_follower *build = line->build->follower;
    if (cairn_pg_is_broken(build->pg) || rc == CAIRN_ESTOPPED) {
        return rc;
    }
    uint64_t said = cairn_hash64(cairn_slice_str(err->text));
    if (line->denied_why != said) {
        cairn_log_error(line->options->log, CAIRN_LOG_WARN, "projector", "switch put off", err);
    }
    line->denied_why = said;
    line->denied_ns = cairn_clock_monotonic_ns(line->options->clock);
    const struct cairn_err why = *err;
    const struct cairn_sql_stop stop = {.error = why.text};
    return cairn_sql_stop_write(build->pg, build->domain, build->view, CAIRN_SIDE_NEXT,
                                &build->head, &stop, err);
}

static enum cairn_rc switch_over(struct cairn_sql_line *line, struct cairn_err *err)
{
    uint64_t generation = line->build->follower->head.generation;
    uint64_t events = line->build->follower->head.events;
    enum cairn_rc rc = cairn_sql_build_switch(line->build, err);
    if (rc == CAIRN_EBEHIND) {
        return CAIRN_OK; /* another projector feeds the live one, and is further */
    }
    if (rc != CAIRN_OK) {
        return postpone(line, rc, err);
    }
    line->denied_ns = 0;
    line->denied_why = 0;
    cairn_log_event(line->options->log, CAIRN_LOG_INFO, "projector", "view switched",
                    CAIRN_F_SLICE("view", line->definition->name),
                    CAIRN_F_UINT("generation", generation), CAIRN_F_UINT("events", events));
    cairn_sql_line_close(line); /* the live generation is followed anew, in its place */
    cairn_views_ring(line->views);
    return CAIRN_OK;
}

static void show(struct cairn_sql_line *line)
{
    struct cairn_position end;
    struct cairn_err err;
    const struct cairn_sql_head *build = line->build == NULL ? NULL : &line->build->follower->head;
    cairn_metric_set(line->metrics.build_done, build == NULL ? 0 : (int64_t)build->events);
    cairn_metric_set(line->metrics.build_all, build == NULL ? 0 : (int64_t)build->all);
    if (line->live == NULL || cairn_store_end(line->options->store, &end, &err) != CAIRN_OK) {
        return;
    }
    cairn_metric_set(line->metrics.lag,
                     (int64_t)cairn_position_lag(&line->live->head.position, &end));
    cairn_metric_set(line->metrics.stopped, line->live->failed ? 1 : 0);
    cairn_metric_set(line->metrics.parked, (int64_t)line->live->parked.waiting);
}

/* Does the row still stand where the follower left it? Another projector may have moved or switched
 * it, or an operator mended what failed, or cared for what is parked. */
static enum cairn_rc look_at_row(struct cairn_sql_line *line,
                                 const struct cairn_sql_follower *follower, struct cairn_err *err)
{
    struct cairn_arena arena = {.max = (size_t)4 * 1024 * 1024};
    struct cairn_sql_head head = {.generation = 0};
    if (follower == NULL) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = cairn_sql_head_read(follower->pg, follower->domain, follower->view,
                                           follower->side, &arena, &head, err);
    bool same = rc == CAIRN_OK && head.generation == follower->head.generation &&
                cairn_slice_equal(head.place, follower->head.place) &&
                head.parks == follower->head.parks;
    if (rc == CAIRN_ENOENT || (rc == CAIRN_OK && !same)) {
        rc = CAIRN_FAIL(err, CAIRN_EFENCED, "view %.*s was moved",
                        CAIRN_SLICE_ARG(line->definition->name));
    }
    cairn_arena_fini(&arena);
    return rc;
}

/* See what others did to the view, and try again what is due. */
static enum cairn_rc look(struct cairn_sql_line *line, struct cairn_err *err)
{
    int64_t now_ns = cairn_clock_monotonic_ns(line->options->clock);
    if (now_ns - line->looked_ns < LOOK_MS * MS_NS) {
        return CAIRN_OK;
    }
    line->looked_ns = now_ns;
    bool due = line->waits && now_ns >= line->build_ns;
    bool nothing = line->live == NULL && line->build == NULL && (due || !line->waits);
    bool mended =
        line->live != NULL && line->live->failed && now_ns - line->failed_ns >= RETRY_MS * MS_NS;
    if (nothing || mended) {
        cairn_sql_line_close(line); /* what is to be done may be another thing by now */
        return CAIRN_OK;
    }
    enum cairn_rc rc = look_at_row(line, line->live, err);
    if (rc == CAIRN_OK && line->build != NULL) {
        rc = look_at_row(line, line->build->follower, err);
    }
    return rc == CAIRN_OK && due ? cairn_sql_line_build(line, err) : rc;
}

/* Nothing came: wait for the log. */
static enum cairn_rc idle(struct cairn_sql_line *line, struct cairn_err *err)
{
    bool more = false;
    const struct cairn_sql_follower *follower = line->live != NULL    ? line->live
                                                : line->build != NULL ? line->build->follower
                                                                      : NULL;
    if (follower == NULL || follower->failed) {
        cairn_pause_nap(line->stopping, IDLE_MS);
        return CAIRN_OK;
    }
    return cairn_store_wait(line->options->store, &follower->head.position, IDLE_MS, &more, err);
}

/* An event cannot be applied: the build stays as it is, for who takes it up, and is tried again. */
static void put_off_build(struct cairn_sql_line *line)
{
    cairn_sql_build_close(line->build);
    line->build = NULL;
    line->waits = true;
    line->build_ns = line->failed_ns + RETRY_MS * MS_NS;
}

/* A batch of the build, if there is one; and the switch when it is as far. */
static enum cairn_rc go_on_building(struct cairn_sql_line *line, size_t *events, bool *ready,
                                    struct cairn_err *err)
{
    if (line->build == NULL) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = step(line, line->build->follower, CAIRN_GROUP_BUILD_EVENTS, events, err);
    if (rc == CAIRN_OK && line->build->follower->failed) {
        put_off_build(line);
    } else if (rc == CAIRN_OK) {
        rc = is_ready(line, ready, err);
        rc = rc == CAIRN_OK && *ready ? switch_over(line, err) : rc;
        *ready = line->build == NULL; /* else it was put off */
    }
    return rc;
}

/* lock_not_available: lock_timeout passed. */
static bool waits_for_lock(const struct cairn_sql_follower *follower)
{
    return follower != NULL && strcmp(cairn_pg_sqlstate(follower->pg), "55P03") == 0;
}

bool cairn_sql_line_is_crowded(struct cairn_sql_line *line, const struct cairn_err *err)
{
    bool crowded = err->rc == CAIRN_EBUSY &&
                   (waits_for_lock(line->live) ||
                    waits_for_lock(line->build == NULL ? NULL : line->build->follower));
    if (crowded && !line->waits_for_lock) {
        cairn_log_error(line->options->log, CAIRN_LOG_INFO, "projector", "waits for a lock", err);
    }
    line->waits_for_lock = line->waits_for_lock || crowded;
    return crowded;
}

enum cairn_rc cairn_sql_line_turn(struct cairn_sql_line *line, struct cairn_err *err)
{
    size_t events = 0;
    bool ready = false;
    enum cairn_rc rc = line->open ? look(line, err) : CAIRN_OK;
    rc = rc == CAIRN_OK && !line->open ? cairn_sql_line_open(line, err) : rc;
    rc = rc == CAIRN_OK ? step(line, line->live, CAIRN_GROUP_LIVE_EVENTS, &events, err) : rc;
    rc = rc == CAIRN_OK ? go_on_building(line, &events, &ready, err) : rc;
    if (rc != CAIRN_OK) {
        return rc;
    }
    show(line);
    if (events == 0 && !ready) {
        return idle(line, err);
    }
    if (events > 0 && events < CAIRN_LIVE_FULL_EVENTS) {
        cairn_views_linger(line->views, events < CAIRN_LIVE_BUSY_EVENTS
                                            ? CAIRN_LIVE_QUIET_LINGER_MS
                                            : CAIRN_LIVE_BUSY_LINGER_MS);
    }
    return CAIRN_OK;
}
