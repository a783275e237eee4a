#include "projector/sql_runner.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "platform/fault.h"
#include "platform/mem.h"
#include "projector/group.h"
#include "projector/live.h"
#include "projector/pause.h"
#include "projector/sql_build.h"
#include "projector/sql_tidier.h"
#include "projector/views_int.h"

/* How often an idle thread looks whether to stop. */
#define IDLE_MS 50
/* How often an idle thread looks whether another projector has moved or switched the view. */
#define LOOK_MS 2000
/* How often what has stopped is tried again: an operator may have mended the database. */
#define RETRY_MS       30000
#define MS_NS          INT64_C(1000000)
#define HASH_TEXT_SIZE 33

/* One view's thread. */
struct line {
    struct cairn_sql_runner *runner;
    const struct cairn_domain_view *definition;
    char hash[HASH_TEXT_SIZE];
    pthread_t thread;
    bool runs;
    struct cairn_sql_follower *live; /* NULL: nothing to follow, or not open */
    struct cairn_sql_build *build;   /* NULL: nothing to build, or another builds it */
    bool open;
    bool waits;        /* another builds what this one would build */
    bool refused;      /* the definition was rolled back from; said once */
    int64_t looked_ns; /* when the rows were last read */
    int64_t denied_ns; /* when a switch last came to nothing; 0: never */
    int64_t failed_ns; /* when an event last could not be applied; 0: never */
    char failed_event[CAIRN_UUID_TEXT_SIZE + 1]; /* which, so that it is said once */
    struct cairn_follower_metrics metrics;
};

struct cairn_sql_runner {
    struct cairn_projector_options options;
    struct cairn_views *views;
    atomic_bool stopping;
    struct line *lines;
    size_t count;
    struct cairn_sql_tidier *tidier;
};

/* ---- what is to be done ---- */

static void close_followers(struct line *line)
{
    cairn_sql_follower_close(line->live);
    cairn_sql_build_close(line->build);
    line->live = NULL;
    line->build = NULL;
    line->open = false;
    line->waits = false;
}

static enum cairn_rc open_live(struct line *line, struct cairn_err *err)
{
    const struct cairn_projector_options *options = &line->runner->options;
    const struct cairn_sql_follower_options follower = {.uri = options->postgres,
                                                        .domain = options->domain,
                                                        .store = options->store,
                                                        .view = line->definition->name,
                                                        .side = CAIRN_SIDE_LIVE,
                                                        .log = options->log};
    return cairn_sql_follower_open(&follower, &line->live, err);
}

/* Begin to build, or go on; or wait for another who does. */
static enum cairn_rc open_build(struct line *line, struct cairn_err *err)
{
    enum cairn_rc rc =
        cairn_sql_build_open(&line->runner->options, line->definition, false, &line->build, err);
    line->waits = rc == CAIRN_ELOCKED;
    return line->waits ? CAIRN_OK : rc;
}

/* What the database has of the view, against its definition. */
struct found {
    bool live, next;           /* there is such a generation */
    bool live_same, next_same; /* by this definition */
    struct cairn_sql_head live_head, next_head;
};

static enum cairn_rc find_one(struct line *line, struct cairn_pg *pg, enum cairn_view_side side,
                              struct cairn_arena *arena, struct cairn_sql_head *head, bool *there,
                              bool *same, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_sql_head_read(pg, cairn_domain_name(line->runner->options.domain),
                                           line->definition->name, side, arena, head, err);
    *there = rc == CAIRN_OK;
    *same = *there && cairn_slice_is(head->hash, line->hash);
    return rc == CAIRN_ENOENT ? CAIRN_OK : rc;
}

static enum cairn_rc find(struct line *line, struct cairn_pg *pg, struct cairn_arena *arena,
                          struct found *found, struct cairn_err *err)
{
    *found = (struct found){.live = false};
    enum cairn_rc rc = find_one(line, pg, CAIRN_SIDE_LIVE, arena, &found->live_head, &found->live,
                                &found->live_same, err);
    return rc == CAIRN_OK ? find_one(line, pg, CAIRN_SIDE_NEXT, arena, &found->next_head,
                                     &found->next, &found->next_same, err)
                          : rc;
}

/* A projector that runs an older definition beside a newer one must not take the view back. */
static bool is_outdated(const struct line *line, const struct found *found)
{
    return (found->live && found->live_head.version > line->definition->sql->version) ||
           (found->next && found->next_head.version > line->definition->sql->version);
}

/* The definition was rolled back from: it is not built again by itself. */
static bool is_refused(struct line *line, const struct found *found)
{
    bool refused = found->live && cairn_slice_is(found->live_head.refused, line->hash);
    if (refused && !line->refused) {
        cairn_log_event(line->runner->options.log, CAIRN_LOG_WARN, "projector",
                        "definition was rolled back from and is not built",
                        CAIRN_F_SLICE("view", line->definition->name),
                        CAIRN_F_UINT("generation", found->live_head.generation));
    }
    line->refused = refused;
    return refused;
}

/* A build that nobody will go on with: the definition has changed, or changed back. */
static enum cairn_rc drop_left_over(struct line *line, struct cairn_pg *pg,
                                    const struct found *found, struct cairn_err *err)
{
    struct cairn_slice domain = cairn_domain_name(line->runner->options.domain);
    struct cairn_slice view = line->definition->name;
    if (!found->next || found->next_same || found->next_head.returning ||
        cairn_slice_equal(found->next_head.hash, found->live_head.refused)) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = cairn_sql_generation_lock(pg, domain, view, CAIRN_SIDE_NEXT, err);
    if (rc == CAIRN_OK) {
        rc = cairn_sql_generation_drop(pg, domain, view, CAIRN_SIDE_NEXT, NULL, err);
        cairn_sql_generation_unlock(pg, domain, view, CAIRN_SIDE_NEXT);
    }
    return rc == CAIRN_ELOCKED ? CAIRN_OK : rc;
}

/* Open what is to be followed and built. */
static enum cairn_rc open_found(struct line *line, struct cairn_pg *pg, const struct found *found,
                                struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    bool outdated = is_outdated(line, found);
    if (!found->live_same && !outdated && !is_refused(line, found)) {
        rc = open_build(line, err);
    } else if (found->live_same && !outdated) {
        rc = drop_left_over(line, pg, found, err);
    }
    if (rc == CAIRN_OK && found->live) {
        rc = open_live(line, err);
    }
    line->open = rc == CAIRN_OK;
    return rc;
}

static enum cairn_rc open_line(struct line *line, struct cairn_err *err)
{
    const struct cairn_pg_options options = {.uri = line->runner->options.postgres,
                                             .application = "cairn projector"};
    struct cairn_arena arena = {.max = (size_t)4 * 1024 * 1024};
    struct cairn_pg *pg = NULL;
    struct found found;
    enum cairn_rc rc = cairn_pg_open(&options, &pg, err);
    rc = rc == CAIRN_OK
             ? cairn_sql_store_prepare(pg, cairn_domain_name(line->runner->options.domain), err)
             : rc;
    rc = rc == CAIRN_OK ? find(line, pg, &arena, &found, err) : rc;
    rc = rc == CAIRN_OK ? open_found(line, pg, &found, err) : rc;
    line->looked_ns = cairn_clock_monotonic_ns(line->runner->options.clock);
    cairn_pg_close(pg);
    cairn_arena_fini(&arena);
    return rc;
}

/* ---- following ---- */

/* Once for an event: what has stopped is tried again and again. */
static void note_failure(struct line *line, const struct cairn_sql_follower *follower)
{
    line->failed_ns = cairn_clock_monotonic_ns(line->runner->options.clock);
    if (strcmp(line->failed_event, follower->failed_event) == 0) {
        return;
    }
    memcpy(line->failed_event, follower->failed_event, sizeof(line->failed_event));
    cairn_log_event(line->runner->options.log, CAIRN_LOG_ERROR, "projector",
                    follower->side == CAIRN_SIDE_LIVE ? "view stopped" : "build failed",
                    CAIRN_F_SLICE("view", line->definition->name),
                    CAIRN_F_STR("event", follower->failed_event),
                    CAIRN_F_STR("detail", follower->failure.text));
}

/* One batch of a follower. A failed one stands where it is; its row says why. */
static enum cairn_rc step(struct line *line, struct cairn_sql_follower *follower, size_t max_events,
                          size_t *events, struct cairn_err *err)
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
        cairn_views_ring(line->runner->views);
    }
    *events += applied;
    return rc;
}

/* Is the build as far as what it is to replace, or, without that, as the log? Not right after a
 * switch that came to nothing. */
static enum cairn_rc is_ready(const struct line *line, bool *ret_ready, struct cairn_err *err)
{
    struct cairn_position end;
    enum cairn_rc rc = CAIRN_OK;
    int64_t now_ns = cairn_clock_monotonic_ns(line->runner->options.clock);
    *ret_ready = false;
    if (line->denied_ns != 0 && now_ns - line->denied_ns < LOOK_MS * MS_NS) {
        return CAIRN_OK;
    }
    if (line->live != NULL) {
        end = line->live->head.position;
    } else {
        rc = cairn_store_end(line->runner->options.store, &end, err);
    }
    if (rc == CAIRN_OK) {
        *ret_ready = cairn_position_reached(&line->build->follower->head.position, &end);
    }
    return rc;
}

/* Somebody's query holds the old tables, or something of theirs stands on them: the row says so,
 * the live generation goes on, and the switch is tried again. */
static enum cairn_rc postpone(struct line *line, enum cairn_rc rc, struct cairn_err *err)
{
    struct cairn_sql_follower *build = line->build->follower;
    if (cairn_pg_is_broken(build->pg) || rc == CAIRN_ESTOPPED) {
        return rc;
    }
    cairn_log_error(line->runner->options.log, CAIRN_LOG_WARN, "projector", "switch put off", err);
    line->denied_ns = cairn_clock_monotonic_ns(line->runner->options.clock);
    const struct cairn_err why = *err;
    const struct cairn_sql_stop stop = {.error = why.text};
    return cairn_sql_stop_write(build->pg, build->domain, build->view, CAIRN_SIDE_NEXT,
                                &build->head, &stop, err);
}

static enum cairn_rc switch_over(struct line *line, struct cairn_err *err)
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
    cairn_log_event(line->runner->options.log, CAIRN_LOG_INFO, "projector", "view switched",
                    CAIRN_F_SLICE("view", line->definition->name),
                    CAIRN_F_UINT("generation", generation), CAIRN_F_UINT("events", events));
    close_followers(line); /* the live generation is followed anew, in its place */
    cairn_views_ring(line->runner->views);
    return CAIRN_OK;
}

static void show(struct line *line)
{
    struct cairn_position end;
    struct cairn_err err;
    if (line->live == NULL ||
        cairn_store_end(line->runner->options.store, &end, &err) != CAIRN_OK) {
        return;
    }
    cairn_metric_set(line->metrics.lag,
                     (int64_t)cairn_position_lag(&line->live->head.position, &end));
    cairn_metric_set(line->metrics.stopped, line->live->failed ? 1 : 0);
    cairn_metric_set(line->metrics.parked, (int64_t)line->live->parked.waiting);
}

/* Does the row still stand where the follower left it? Another projector may have moved or switched
 * it, or an operator mended what failed, or cared for what is parked. */
static enum cairn_rc look_at_row(struct line *line, const struct cairn_sql_follower *follower,
                                 struct cairn_err *err)
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

/* Is it time to try again what has stopped? */
static bool is_retry_due(const struct line *line, int64_t now_ns)
{
    bool failed = (line->live != NULL && line->live->failed) ||
                  (line->build != NULL && line->build->follower->failed);
    return failed && now_ns - line->failed_ns >= RETRY_MS * MS_NS;
}

static enum cairn_rc look(struct line *line, struct cairn_err *err)
{
    int64_t now_ns = cairn_clock_monotonic_ns(line->runner->options.clock);
    if (now_ns - line->looked_ns < LOOK_MS * MS_NS) {
        return CAIRN_OK;
    }
    line->looked_ns = now_ns;
    if ((line->live == NULL && line->build == NULL) || is_retry_due(line, now_ns)) {
        close_followers(line); /* what is to be done may be another thing by now */
        return CAIRN_OK;
    }
    enum cairn_rc rc = look_at_row(line, line->live, err);
    if (rc == CAIRN_OK && line->build != NULL) {
        rc = look_at_row(line, line->build->follower, err);
    }
    return rc == CAIRN_OK && line->waits ? open_build(line, err) : rc;
}

/* Nothing came: see what others did to the view, then wait for the log. */
static enum cairn_rc idle(struct line *line, struct cairn_err *err)
{
    bool more = false;
    enum cairn_rc rc = look(line, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    const struct cairn_sql_follower *follower = line->live != NULL    ? line->live
                                                : line->build != NULL ? line->build->follower
                                                                      : NULL;
    if (follower == NULL || follower->failed) {
        cairn_pause_nap(&line->runner->stopping, IDLE_MS);
        return CAIRN_OK;
    }
    return cairn_store_wait(line->runner->options.store, &follower->head.position, IDLE_MS, &more,
                            err);
}

/* A batch of the build, if there is one; and the switch when it is as far. */
static enum cairn_rc go_on_building(struct line *line, size_t *events, bool *ready,
                                    struct cairn_err *err)
{
    if (line->build == NULL) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = step(line, line->build->follower, CAIRN_GROUP_BUILD_EVENTS, events, err);
    if (rc == CAIRN_OK && !line->build->follower->failed) {
        rc = is_ready(line, ready, err);
        rc = rc == CAIRN_OK && *ready ? switch_over(line, err) : rc;
        *ready = line->build == NULL; /* else it was put off */
    }
    return rc;
}

static enum cairn_rc turn(struct line *line, struct cairn_err *err)
{
    size_t events = 0;
    bool ready = false;
    enum cairn_rc rc = line->open ? CAIRN_OK : open_line(line, err);
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
        cairn_views_linger(line->runner->views, events < CAIRN_LIVE_BUSY_EVENTS
                                                    ? CAIRN_LIVE_QUIET_LINGER_MS
                                                    : CAIRN_LIVE_BUSY_LINGER_MS);
    }
    return CAIRN_OK;
}

static void *run(void *argument)
{
    struct line *line = argument;
    int pause_ms = CAIRN_PAUSE_FIRST_MS;
    while (!atomic_load(&line->runner->stopping)) {
        struct cairn_err err;
        enum cairn_rc rc = turn(line, &err);
        if (rc == CAIRN_OK) {
            pause_ms = CAIRN_PAUSE_FIRST_MS;
            continue;
        }
        close_followers(line);
        if (rc == CAIRN_EFENCED || rc == CAIRN_ESTOPPED) {
            continue; /* moved by another: go on from where that left it */
        }
        (void)cairn_err_wrap(&err, rc, "view %.*s", CAIRN_SLICE_ARG(line->definition->name));
        cairn_log_error(line->runner->options.log, CAIRN_LOG_ERROR, "projector", "batch failed",
                        &err);
        cairn_pause_nap(&line->runner->stopping, pause_ms);
        pause_ms = cairn_pause_next(pause_ms);
    }
    close_followers(line);
    return NULL;
}

/* ---- start and stop ---- */

static enum cairn_rc init_line(struct cairn_sql_runner *runner, struct line *line,
                               const struct cairn_domain_view *definition, struct cairn_err *err)
{
    char schema[CAIRN_SQL_SCHEMA_SIZE];
    line->runner = runner;
    line->definition = definition;
    cairn_view_hash_text(definition->code_hash, line->hash);
    if (runner->options.metrics != NULL) {
        cairn_follower_metrics_add(runner->options.metrics, definition->name, &line->metrics);
    }
    return cairn_sql_schema(cairn_domain_name(runner->options.domain), definition->name,
                            CAIRN_SIDE_NEXT, schema, err);
}

static enum cairn_rc init_lines(struct cairn_sql_runner *runner, struct cairn_err *err)
{
    const struct cairn_domain *domain = runner->options.domain;
    enum cairn_rc rc = CAIRN_OK;
    runner->lines = cairn_mem_zalloc(cairn_domain_view_count(domain) + 1, sizeof(*runner->lines));
    if (runner->lines == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "start the projector of SQL views");
    }
    for (size_t i = 0; rc == CAIRN_OK && i < cairn_domain_view_count(domain); i++) {
        const struct cairn_domain_view *definition = cairn_domain_view_at(domain, i);
        if (definition->kind == CAIRN_VIEW_POSTGRES) {
            rc = init_line(runner, &runner->lines[runner->count], definition, err);
            runner->count += rc == CAIRN_OK;
        }
    }
    return rc;
}

static enum cairn_rc start_threads(struct cairn_sql_runner *runner, struct cairn_err *err)
{
    for (size_t i = 0; i < runner->count; i++) {
        struct line *line = &runner->lines[i];
        if (cairn_fault_hit(CAIRN_FAULT_THREAD) ||
            pthread_create(&line->thread, NULL, run, line) != 0) {
            return CAIRN_FAIL(err, CAIRN_ENOMEM, "start the thread of view %.*s",
                              CAIRN_SLICE_ARG(line->definition->name));
        }
        line->runs = true;
    }
    return cairn_sql_tidier_start(&runner->options, &runner->tidier, err);
}

enum cairn_rc cairn_sql_runner_start(const struct cairn_projector_options *options,
                                     struct cairn_views *views,
                                     struct cairn_sql_runner **ret_runner, struct cairn_err *err)
{
    assert(options->postgres != NULL && views != NULL);
    struct cairn_sql_runner *runner = cairn_mem_zalloc(1, sizeof(*runner));
    if (runner == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "start the projector of SQL views");
    }
    runner->options = *options;
    runner->options.clock = options->clock == NULL ? cairn_clock_system() : options->clock;
    runner->views = views;
    enum cairn_rc rc = init_lines(runner, err);
    rc = rc == CAIRN_OK ? start_threads(runner, err) : rc;
    if (rc != CAIRN_OK) {
        cairn_sql_runner_stop(runner);
        return rc;
    }
    *ret_runner = runner;
    return CAIRN_OK;
}

void cairn_sql_runner_stop(struct cairn_sql_runner *runner)
{
    if (runner == NULL) {
        return;
    }
    atomic_store(&runner->stopping, true);
    for (size_t i = 0; i < runner->count; i++) {
        if (runner->lines[i].runs) {
            (void)pthread_join(runner->lines[i].thread, NULL);
        }
    }
    cairn_sql_tidier_stop(runner->tidier);
    cairn_mem_free(runner->lines);
    cairn_mem_free(runner);
}
