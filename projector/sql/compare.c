#include "projector/sql/compare.h"

#include <assert.h>

#include "projector/drive.h"
#include "projector/replay_store.h"
#include "projector/sql/build.h"
#include "projector/sql/compare_parked.h"
#include "projector/sql/compare_rows.h"

#define HEAD_BYTES_MAX ((size_t)16 * 1024 * 1024)

/* A comparison under way. */
struct comparison {
    const struct cairn_projector_options *options;
    const struct cairn_domain_view *view;
    const struct cairn_compare_request *request;
    const struct cairn_compare_hooks *hooks;
    struct cairn_slice domain;
    struct cairn_pg *live;
    struct cairn_arena arena;            /* of the live head and its definition */
    struct cairn_sql_head head;          /* of the live generation, when the replay began */
    struct cairn_parked_set left_out;    /* by the live generation, when the replay ends */
    bool made;                           /* there is a scratch generation */
    struct cairn_sql_follower *follower; /* of it */
    struct cairn_drive drive;
    struct cairn_compare_report report;
};

/* ---- the live generation ---- */

static enum cairn_rc read_live(struct comparison *comparison, struct cairn_sql_head *ret_head,
                               struct cairn_err *err)
{
    enum cairn_rc rc =
        cairn_sql_head_read(comparison->live, comparison->domain, comparison->view->name,
                            CAIRN_SIDE_LIVE, &comparison->arena, ret_head, err);
    return rc == CAIRN_ENOENT
               ? CAIRN_FAIL(err, CAIRN_EBEHIND, "no projector has built the view yet")
               : rc;
}

static enum cairn_rc open_live(struct comparison *comparison, struct cairn_err *err)
{
    const struct cairn_pg_options options = {.uri = comparison->options->postgres,
                                             .application = "cairn verify"};
    enum cairn_rc rc = cairn_pg_open(&options, &comparison->live, err);
    return rc == CAIRN_OK ? read_live(comparison, &comparison->head, err) : rc;
}

/* From here on the live rows stay as they are, if they are still those that are replayed. */
static enum cairn_rc begin_snapshot(struct comparison *comparison, struct cairn_sql_head *ret_head,
                                    struct cairn_err *err)
{
    enum cairn_rc rc =
        cairn_pg_run(comparison->live, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err);
    rc = rc == CAIRN_OK ? read_live(comparison, ret_head, err) : rc;
    if (rc == CAIRN_OK && ret_head->generation != comparison->head.generation) {
        rc = CAIRN_FAIL(err, CAIRN_EBEHIND, "it was switched meanwhile: compare it again");
    }
    if (rc == CAIRN_OK && comparison->request->stored) {
        rc = cairn_sql_compare_parked_take(comparison->live, ret_head->generation,
                                           comparison->follower, &comparison->left_out, err);
    }
    return rc;
}

/* ---- the scratch generation ---- */

/* The tables and the text of the live generation's own definition. */
static enum cairn_rc define_stored(struct comparison *comparison, struct cairn_sql_made *made,
                                   struct cairn_err *err)
{
    struct cairn_sql_view *view = cairn_arena_zalloc(&comparison->arena, 1, sizeof(*view));
    if (view == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "read a definition");
    }
    enum cairn_rc rc = cairn_sql_view_read(comparison->view->name, comparison->head.definition,
                                           &comparison->arena, view, err);
    if (rc == CAIRN_OK) {
        made->definition.version = view->version;
        made->definition.hash = comparison->head.hash;
        made->definition.text = comparison->head.definition;
        made->definition.tables = view->tables;
        made->definition.table_count = view->table_count;
    }
    return rc;
}

static enum cairn_rc make_scratch(struct comparison *comparison, struct cairn_pg *pg,
                                  struct cairn_err *err)
{
    struct cairn_sql_made made;
    enum cairn_rc rc = cairn_sql_build_define(comparison->options, comparison->view, &made, err);
    if (rc == CAIRN_OK && comparison->request->stored) {
        rc = define_stored(comparison, &made, err);
    }
    rc = rc == CAIRN_OK ? cairn_sql_generation_lock(pg, comparison->domain, comparison->view->name,
                                                    CAIRN_SIDE_CHECK, err)
                        : rc;
    rc = rc == CAIRN_OK ? cairn_sql_generation_begin(pg, &made.definition, CAIRN_SIDE_CHECK, err)
                        : rc;
    comparison->made = rc == CAIRN_OK;
    return rc == CAIRN_OK && comparison->request->stored
               ? cairn_sql_compare_parked_copy(pg, comparison->domain, comparison->view->name, err)
               : rc;
}

static enum cairn_rc open_scratch(struct comparison *comparison, struct cairn_err *err)
{
    const struct cairn_replay_scope *scope = &comparison->request->scope;
    bool all = !scope->has_until && !cairn_replay_scope_is_partial(scope);
    struct cairn_sql_follower_options options = {.uri = comparison->options->postgres,
                                                 .domain = comparison->options->domain,
                                                 .store = comparison->options->store,
                                                 .view = comparison->view->name,
                                                 .side = CAIRN_SIDE_CHECK,
                                                 .scope = all ? NULL : scope};
    struct cairn_pg *pg = NULL;
    enum cairn_rc rc = cairn_sql_follower_connect(&options, &pg, err);
    rc = rc == CAIRN_OK ? cairn_sql_store_prepare(pg, comparison->domain, err) : rc;
    rc = rc == CAIRN_OK ? make_scratch(comparison, pg, err) : rc;
    if (rc != CAIRN_OK) {
        cairn_pg_close(pg);
        return rc;
    }
    options.pg = pg;
    return cairn_sql_follower_open(&options, &comparison->follower, err);
}

/* On the connection that has the lock, or, where that is lost, on another. What cannot be dropped
 * now is dropped by the next comparison or projector. */
static void drop_scratch(struct comparison *comparison)
{
    const struct cairn_pg_options options = {.uri = comparison->options->postgres,
                                             .application = "cairn verify"};
    struct cairn_slice view = comparison->view->name;
    struct cairn_pg *own = comparison->follower == NULL ? NULL : comparison->follower->pg;
    struct cairn_pg *other = NULL;
    struct cairn_err ignored;
    bool usable = own != NULL && !cairn_pg_is_broken(own) &&
                  cairn_pg_run(own, "ROLLBACK", &ignored) == CAIRN_OK;
    enum cairn_rc rc = usable ? CAIRN_OK : cairn_pg_open(&options, &other, &ignored);
    struct cairn_pg *pg = usable ? own : other;
    if (rc == CAIRN_OK && !usable) {
        rc = cairn_sql_generation_lock(pg, comparison->domain, view, CAIRN_SIDE_CHECK, &ignored);
    }
    if (rc == CAIRN_OK) {
        (void)cairn_sql_generation_drop(pg, comparison->domain, view, CAIRN_SIDE_CHECK, NULL,
                                        &ignored);
        cairn_sql_generation_unlock(pg, comparison->domain, view, CAIRN_SIDE_CHECK);
    }
    cairn_pg_close(other);
    cairn_sql_follower_close(comparison->follower);
}

/* ---- replaying ---- */

static enum cairn_rc step(void *self, size_t max_events, struct cairn_drive_batch *ret_batch,
                          struct cairn_err *err)
{
    const struct cairn_position start = {{0}};
    const struct comparison *comparison = self;
    struct cairn_sql_follower *follower = comparison->follower;
    enum cairn_rc rc = cairn_sql_follower_step(follower, max_events, &ret_batch->events, err);
    ret_batch->done = cairn_position_lag(&start, &follower->head.position);
    ret_batch->all = cairn_position_lag(&start, &follower->until);
    return rc == CAIRN_OK && follower->failed ? cairn_sql_follower_refusal(follower, err) : rc;
}

/* Up to a position between commands, or to where the scope ends. */
static enum cairn_rc replay(struct comparison *comparison, const struct cairn_position *until,
                            struct cairn_err *err)
{
    const struct cairn_replay_scope *scope = &comparison->request->scope;
    const struct cairn_position *at = &comparison->follower->head.position;
    size_t events = 1;
    enum cairn_rc rc = CAIRN_OK;
    cairn_sql_follower_set_until(comparison->follower, until);
    while (rc == CAIRN_OK && events > 0 &&
           !(scope->has_until && cairn_position_reached(at, &scope->until))) {
        rc = cairn_drive_step(&comparison->drive, &events, err);
    }
    return rc;
}

/* The long part, with no snapshot open: by the stored definition to the live view's position, else
 * to the end of the log, which a live view that has stopped may be far behind of. */
static enum cairn_rc replay_long(struct comparison *comparison, struct cairn_err *err)
{
    struct cairn_position until = comparison->head.position;
    enum cairn_rc rc = CAIRN_OK;
    if (!comparison->request->stored || comparison->request->scope.has_until) {
        rc = cairn_store_end(comparison->options->store, &until, err);
    }
    return rc == CAIRN_OK ? replay(comparison, &until, err) : rc;
}

/* ---- the whole ---- */

static enum cairn_rc compare_snapshot(struct comparison *comparison,
                                      const struct cairn_sql_head *live, struct cairn_err *err)
{
    struct cairn_compare_report *report = &comparison->report;
    bool partial = cairn_replay_scope_is_partial(&comparison->request->scope);
    report->position =
        cairn_replay_scope_cut(&comparison->request->scope, &comparison->follower->head.position);
    report->events = comparison->follower->taken;
    report->parked = comparison->follower->parked.waiting;
    report->live = live->position;
    report->level = memcmp(&report->position, &report->live, sizeof(report->position)) == 0;
    const struct cairn_sql_compare_rows rows = {.domain = comparison->domain,
                                                .view = comparison->view->name,
                                                .live = comparison->live,
                                                .replayed = comparison->follower->pg,
                                                .hooks = comparison->hooks,
                                                .told_max = comparison->request->told_max,
                                                .partial = partial};
    enum cairn_rc rc = cairn_pg_run(rows.replayed, "BEGIN READ ONLY", err);
    return rc == CAIRN_OK ? cairn_sql_compare_rows(&rows, report, err) : rc;
}

static enum cairn_rc run(struct comparison *comparison, struct cairn_err *err)
{
    struct cairn_sql_head live;
    enum cairn_rc rc = open_live(comparison, err);
    rc = rc == CAIRN_OK ? open_scratch(comparison, err) : rc;
    rc = rc == CAIRN_OK ? replay_long(comparison, err) : rc;
    rc = rc == CAIRN_OK ? begin_snapshot(comparison, &live, err) : rc;
    if (rc == CAIRN_OK && !comparison->request->scope.has_until &&
        cairn_position_reached(&live.position, &comparison->follower->head.position)) {
        rc = replay(comparison, &live.position, err);
    }
    if (rc == CAIRN_OK && comparison->request->stored &&
        memcmp(&comparison->follower->head.position, &live.position, sizeof(live.position)) == 0) {
        rc = cairn_sql_compare_parked_settle(comparison->follower, &comparison->left_out, err);
    }
    rc = rc == CAIRN_OK ? compare_snapshot(comparison, &live, err) : rc;
    if (rc == CAIRN_OK) {
        cairn_build_meter_report(&comparison->drive.meter, comparison->report.events,
                                 comparison->report.events, true);
    }
    return rc;
}

enum cairn_rc cairn_sql_compare(const struct cairn_projector_options *options,
                                const struct cairn_domain_view *definition,
                                const struct cairn_compare_request *request,
                                const struct cairn_compare_hooks *hooks,
                                struct cairn_compare_report *ret_report, struct cairn_err *err)
{
    assert(definition->sql != NULL && request != NULL && ret_report != NULL);
    struct comparison comparison = {.options = options,
                                    .view = definition,
                                    .request = request,
                                    .hooks = hooks,
                                    .domain = cairn_domain_name(options->domain),
                                    .arena = {.max = HEAD_BYTES_MAX}};
    cairn_parked_init(&comparison.left_out);
    cairn_drive_init(&comparison.drive, step, &comparison, cairn_compare_hooks_of(hooks),
                     options->clock, request->throttle);
    enum cairn_rc rc = run(&comparison, err);
    cairn_pg_close(comparison.live);
    if (comparison.made) {
        drop_scratch(&comparison);
    }
    cairn_parked_fini(&comparison.left_out);
    cairn_arena_fini(&comparison.arena);
    if (rc == CAIRN_OK) {
        *ret_report = comparison.report;
    }
    return rc;
}
