#include "projector/lmdb/live.h"

#include <assert.h>

#include "projector/pause.h"

/* How often an idle projector looks whether to stop, and for switches made by others. */
#define IDLE_MS 50

enum cairn_rc cairn_live_init(struct cairn_live *live,
                              const struct cairn_projector_options *options,
                              struct cairn_views *views, struct cairn_err *err)
{
    const struct cairn_view_group_options group = {.views = views,
                                                   .store = options->store,
                                                   .domain = options->domain,
                                                   .clock = options->clock,
                                                   .log = options->log,
                                                   .metrics = options->metrics};
    live->options = options;
    live->views = views;
    atomic_init(&live->stopping, false);
    if (pthread_mutex_init(&live->lock, NULL) != 0) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "start the projector");
    }
    enum cairn_rc rc = cairn_view_group_init(&live->group, &group, err);
    return rc == CAIRN_OK ? cairn_view_group_init(&live->helper, &group, err) : rc;
}

void cairn_live_fini(struct cairn_live *live)
{
    for (size_t i = 0; i < live->stopped_count; i++) {
        cairn_follower_free(live->stopped[i]);
    }
    for (size_t i = 0; i < live->inbox_count; i++) {
        cairn_follower_free(live->inbox[i]);
    }
    live->stopped_count = 0;
    live->inbox_count = 0;
    cairn_view_group_fini(&live->helper);
    cairn_view_group_fini(&live->group);
    (void)pthread_mutex_destroy(&live->lock);
}

void cairn_live_hand(struct cairn_live *live, struct cairn_follower *follower)
{
    (void)pthread_mutex_lock(&live->lock);
    assert(live->inbox_count < CAIRN_GROUP_FOLLOWERS_MAX);
    live->inbox[live->inbox_count++] = follower;
    (void)pthread_mutex_unlock(&live->lock);
}

static struct cairn_follower *take_handed(struct cairn_live *live)
{
    struct cairn_follower *follower = NULL;
    (void)pthread_mutex_lock(&live->lock);
    if (live->inbox_count > 0) {
        follower = live->inbox[--live->inbox_count];
    }
    (void)pthread_mutex_unlock(&live->lock);
    return follower;
}

void cairn_live_log_stop(const struct cairn_projector_options *options,
                         const struct cairn_follower *follower)
{
    const struct cairn_follower_failure *failure = &follower->failure;
    char id[CAIRN_UUID_TEXT_SIZE];
    cairn_uuid_format(&failure->event, id);
    cairn_log_event(options->log, CAIRN_LOG_ERROR, "projector", "view stopped",
                    CAIRN_F_STR("view", follower->name),
                    CAIRN_F_SLICE("at_event", cairn_slice_of(id, sizeof id)),
                    CAIRN_F_UINT("partition", failure->partition),
                    CAIRN_F_UINT("offset", failure->offset),
                    CAIRN_F_STR("detail", failure->err.text));
}

/* One that stands aside applies nothing, so nothing else tells its gauge of parked streams. */
static void show_parked(struct cairn_live *live, const struct cairn_follower *follower)
{
    const struct cairn_parked_place place = {.meta = cairn_views_meta(live->views),
                                             .view = cairn_follower_name(follower),
                                             .slot = follower->head.slot};
    struct cairn_kv_txn *txn = NULL;
    struct cairn_err err;
    uint64_t waiting = 0;
    enum cairn_rc rc = cairn_kv_read_begin(cairn_views_kv(live->views), &txn, &err);
    if (rc == CAIRN_OK) {
        rc = cairn_view_parked_count(txn, &place, &waiting, &err);
        cairn_kv_end(txn);
    }
    if (rc == CAIRN_OK) {
        cairn_metric_set(follower->metrics.parked, (int64_t)waiting);
    } else {
        cairn_log_error(live->options->log, CAIRN_LOG_WARN, "projector", "parked streams", &err);
    }
}

static void stand_aside(struct cairn_live *live, struct cairn_follower *follower)
{
    assert(live->stopped_count < CAIRN_GROUP_FOLLOWERS_MAX);
    live->stopped[live->stopped_count++] = follower;
    if (follower->head.parks > 0) {
        show_parked(live, follower);
    }
}

/* ---- Joining ----------------------------------------------------------------------------------
 */

/* Let the one follower in the helper go on to `until`. */
static enum cairn_rc bring(struct cairn_live *live, const struct cairn_position *until,
                           struct cairn_err *err)
{
    const struct cairn_follower *follower = live->helper.followers[0];
    size_t events = 1;
    enum cairn_rc rc = CAIRN_OK;
    while (rc == CAIRN_OK && events > 0 && !follower->failure.failed && !follower->moved &&
           !atomic_load(&live->stopping)) {
        rc = cairn_view_group_step(&live->helper, CAIRN_GROUP_LIVE_EVENTS, until, &events, err);
    }
    return rc;
}

/* Opened anew by what the store says now; *place becomes NULL when that cannot be followed. */
static enum cairn_rc reopen(struct cairn_live *live, struct cairn_follower **place,
                            struct cairn_err *err)
{
    struct cairn_follower *follower = NULL;
    enum cairn_rc rc = cairn_reconcile_reopen(live->options, live->views,
                                              cairn_follower_name(*place), &follower, err);
    if (rc == CAIRN_ENOENT || rc == CAIRN_ESCRIPT) {
        cairn_log_error(live->options->log, CAIRN_LOG_ERROR, "projector", "view lost", err);
        rc = CAIRN_OK;
    }
    if (rc == CAIRN_OK) {
        cairn_follower_free(*place);
        *place = follower;
    }
    return rc;
}

/* One round of joining. A first build, which is read from now on, goes to the end of the log, which
 * may be ahead of the group. *ret_again: the view was switched meanwhile, and *place is a new
 * follower, or NULL. On failure *place is as before. */
static enum cairn_rc join_once(struct cairn_live *live, struct cairn_follower **place,
                               bool *ret_again, struct cairn_err *err)
{
    struct cairn_follower *follower = *place;
    struct cairn_position until = live->group.position;
    enum cairn_rc rc = CAIRN_OK;
    *ret_again = false;
    if (live->group.count == 0 || follower->head.state == CAIRN_VIEW_BUILDING) {
        rc = cairn_store_end(live->options->store, &until, err);
    }
    if (rc == CAIRN_OK) {
        cairn_view_group_add(&live->helper, follower);
        rc = bring(live, &until, err);
        (void)cairn_view_group_remove(&live->helper, 0);
    }
    if (rc == CAIRN_OK && !follower->failure.failed && !follower->moved &&
        !atomic_load(&live->stopping) && follower->head.state == CAIRN_VIEW_BUILDING) {
        rc = cairn_reconcile_ready(live->views, follower, err);
    }
    if (rc == CAIRN_OK && follower->moved) {
        *ret_again = true;
        return reopen(live, place, err);
    }
    return rc;
}

enum cairn_rc cairn_live_join(struct cairn_live *live, struct cairn_follower *follower,
                              struct cairn_err *err)
{
    bool again = true;
    while (again && follower != NULL && !follower->failure.failed &&
           follower->head.state != CAIRN_VIEW_STOPPED) {
        enum cairn_rc rc = join_once(live, &follower, &again, err);
        if (rc != CAIRN_OK) {
            cairn_live_hand(live, follower);
            return rc;
        }
    }
    if (follower == NULL) {
        return CAIRN_OK;
    }
    if (follower->failure.failed) {
        cairn_live_log_stop(live->options, follower);
        stand_aside(live, follower);
    } else if (follower->head.state == CAIRN_VIEW_STOPPED || atomic_load(&live->stopping)) {
        stand_aside(live, follower);
    } else {
        cairn_view_group_add(&live->group, follower);
    }
    return CAIRN_OK;
}

/* ---- Following --------------------------------------------------------------------------------
 */

/* Mark those that the store knows otherwise: switched, or with streams tried again. */
static enum cairn_rc find_moved(struct cairn_live *live, struct cairn_follower *const *followers,
                                size_t count, struct cairn_err *err)
{
    struct cairn_kv_txn *txn = NULL;
    enum cairn_rc rc = cairn_kv_read_begin(cairn_views_kv(live->views), &txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    for (size_t i = 0; i < count && rc == CAIRN_OK; i++) {
        struct cairn_view_head head = {.generation = 0};
        rc = cairn_view_head_get(txn, cairn_views_meta(live->views), CAIRN_SIDE_LIVE,
                                 cairn_follower_name(followers[i]), &head, err);
        rc = rc == CAIRN_ENOENT ? CAIRN_OK : rc;
        followers[i]->moved = rc == CAIRN_OK && cairn_follower_differs(followers[i], &head);
    }
    cairn_kv_end(txn);
    return rc;
}

/* Those that failed stand aside; those that moved are opened anew and join again. */
static enum cairn_rc sweep(struct cairn_live *live, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = live->group.count; i > 0 && rc == CAIRN_OK; i--) {
        struct cairn_follower *follower = live->group.followers[i - 1];
        if (follower->moved) {
            (void)cairn_view_group_remove(&live->group, i - 1);
            cairn_live_hand(live, follower);
        } else if (follower->failure.failed) {
            (void)cairn_view_group_remove(&live->group, i - 1);
            cairn_live_log_stop(live->options, follower);
            stand_aside(live, follower);
        }
    }
    for (size_t i = live->stopped_count; i > 0 && rc == CAIRN_OK; i--) {
        struct cairn_follower *follower = live->stopped[i - 1];
        if (follower->moved) {
            live->stopped[i - 1] = live->stopped[--live->stopped_count];
            cairn_live_hand(live, follower);
        }
    }
    struct cairn_follower *next = rc == CAIRN_OK ? take_handed(live) : NULL;
    while (next != NULL) {
        rc = next->moved ? reopen(live, &next, err) : CAIRN_OK;
        if (rc != CAIRN_OK) {
            cairn_live_hand(live, next);
            break;
        }
        rc = next == NULL ? CAIRN_OK : cairn_live_join(live, next, err);
        next = rc == CAIRN_OK ? take_handed(live) : NULL;
    }
    return rc;
}

static enum cairn_rc show_lag(struct cairn_live *live, struct cairn_err *err)
{
    struct cairn_position end;
    enum cairn_rc rc = cairn_store_end(live->options->store, &end, err);
    for (size_t i = 0; i < live->group.count && rc == CAIRN_OK; i++) {
        cairn_metric_set(
            live->group.followers[i]->metrics.lag,
            (int64_t)cairn_position_lag(&live->group.followers[i]->head.position, &end));
    }
    for (size_t i = 0; i < live->stopped_count && rc == CAIRN_OK; i++) {
        cairn_metric_set(live->stopped[i]->metrics.lag,
                         (int64_t)cairn_position_lag(&live->stopped[i]->head.position, &end));
    }
    return rc;
}

/* Nothing came: look for switches, then wait for the log. */
static enum cairn_rc idle(struct cairn_live *live, struct cairn_err *err)
{
    bool more = false;
    enum cairn_rc rc = find_moved(live, live->group.followers, live->group.count, err);
    if (rc == CAIRN_OK) {
        rc = find_moved(live, live->stopped, live->stopped_count, err);
    }
    if (rc == CAIRN_OK) {
        rc = show_lag(live, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (live->group.count == 0) {
        cairn_pause_nap(&live->stopping, IDLE_MS);
        return CAIRN_OK;
    }
    return cairn_store_wait(live->options->store, &live->group.position, IDLE_MS, &more, err);
}

/* One turn of the loop. */
static enum cairn_rc turn(struct cairn_live *live, struct cairn_err *err)
{
    size_t events = 0;
    enum cairn_rc rc = sweep(live, err);
    if (rc == CAIRN_OK && live->group.count > 0) {
        rc = cairn_view_group_step(&live->group, CAIRN_GROUP_LIVE_EVENTS, NULL, &events, err);
    }
    if (rc == CAIRN_OK && events == 0) {
        return idle(live, err);
    }
    if (rc == CAIRN_OK) {
        rc = show_lag(live, err);
    }
    if (rc == CAIRN_OK && events < CAIRN_LIVE_FULL_EVENTS) {
        cairn_views_linger(live->views, events < CAIRN_LIVE_BUSY_EVENTS
                                            ? CAIRN_LIVE_QUIET_LINGER_MS
                                            : CAIRN_LIVE_BUSY_LINGER_MS);
    }
    return rc;
}

void cairn_live_run(struct cairn_live *live)
{
    int pause_ms = CAIRN_PAUSE_FIRST_MS;
    while (!atomic_load(&live->stopping)) {
        struct cairn_err err;
        if (turn(live, &err) == CAIRN_OK) {
            pause_ms = CAIRN_PAUSE_FIRST_MS;
            continue;
        }
        cairn_log_error(live->options->log, CAIRN_LOG_ERROR, "projector", "batch failed", &err);
        cairn_pause_nap(&live->stopping, pause_ms);
        pause_ms = cairn_pause_next(pause_ms);
    }
}
