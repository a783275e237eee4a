#include "projector/lmdb/group.h"

#include <assert.h>

#include "platform/mem.h"
#include "projector/lmdb/parallel.h"

/* A batch ends at the first command behind one of these. */
#define BATCH_BYTES_SOFT (24u * 1024u * 1024u)
#define BATCH_ROWS_SOFT  65536u
/* What a single command may need beyond it. */
#define BATCH_BYTES_MAX (1024u * 1024u * 1024u)

/* The value of one event, unpacked and lifted. */
#define EVENT_BYTES_MAX (256u * 1024u * 1024u)

/* A batch under way. */
struct batch {
    struct cairn_position position; /* behind its last event */
    size_t events;
    bool full; /* no more fits: it ends here, though more was read */
    bool met;  /* workers did: take it anew, by one */
};

enum cairn_rc cairn_view_group_init(struct cairn_view_group *group,
                                    const struct cairn_view_group_options *options,
                                    struct cairn_err *err)
{
    assert(options->views != NULL && options->store != NULL && options->domain != NULL);
    *group = (struct cairn_view_group){.views = options->views,
                                       .store = options->store,
                                       .clock = options->clock == NULL ? cairn_clock_system()
                                                                       : options->clock,
                                       .log = options->log,
                                       .arena = {.max = BATCH_BYTES_MAX},
                                       .event_arena = {.max = EVENT_BYTES_MAX}};
    if (options->metrics != NULL) {
        group->batch_seconds =
            cairn_metrics_add(options->metrics, CAIRN_HISTOGRAM, "cairn_view_batch_seconds", NULL,
                              "Time to apply a batch of events to the views and commit it.");
    }
    return cairn_upcaster_new(options->domain, &group->upcaster, err);
}

void cairn_view_group_fini(struct cairn_view_group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        cairn_follower_free(group->followers[i]);
    }
    group->count = 0;
    cairn_source_close(group->source);
    group->source = NULL;
    cairn_upcaster_free(group->upcaster);
    group->upcaster = NULL;
    cairn_arena_fini(&group->arena);
    cairn_arena_fini(&group->event_arena);
}

void cairn_view_group_add(struct cairn_view_group *group, struct cairn_follower *follower)
{
    assert(group->count < CAIRN_GROUP_FOLLOWERS_MAX);
    if (group->count == 0) {
        group->position = follower->head.position;
        cairn_source_close(group->source);
        group->source = NULL;
    }
    assert(cairn_position_reached(&follower->head.position, &group->position));
    group->followers[group->count++] = follower;
}

struct cairn_follower *cairn_view_group_remove(struct cairn_view_group *group, size_t index)
{
    assert(index < group->count);
    struct cairn_follower *follower = group->followers[index];
    group->count--;
    group->followers[index] = group->followers[group->count];
    return follower;
}

/* ---- Applying ---------------------------------------------------------------------------------
 */

/* The event's value, made at its first use. ESCRIPT: an upcaster failed. */
static enum cairn_rc event_value(struct cairn_view_group *group, const struct cairn_event *event,
                                 struct cairn_value *value, bool *made, struct cairn_err *err)
{
    if (*made) {
        return CAIRN_OK;
    }
    struct cairn_value data;
    cairn_arena_reset(&group->event_arena);
    enum cairn_rc rc = cairn_upcaster_data(group->upcaster, event, &group->event_arena, &data, err);
    if (rc == CAIRN_OK) {
        rc = cairn_projection_event(event, &data, &group->event_arena, value);
        rc = rc == CAIRN_OK ? rc : CAIRN_FAIL(err, rc, "read an event");
    }
    *made = rc == CAIRN_OK;
    return rc;
}

/* The follower's handler, where it has one for the event. */
static enum cairn_rc call_handler(struct cairn_view_group *group, struct cairn_follower *follower,
                                  const struct cairn_event *event, struct cairn_value *value,
                                  bool *made, struct cairn_err *err)
{
    if (!cairn_projection_handles(follower->projection, event->type)) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = event_value(group, event, value, made, err);
    return rc == CAIRN_OK ? cairn_projection_apply(follower->projection, event->type, value, err)
                          : rc;
}

/* One event for one follower. OK also when its projection fails: then its flag is set, or the
 * event's stream is parked. */
static enum cairn_rc apply_one(struct cairn_view_group *group, struct cairn_follower *follower,
                               const struct cairn_event *event, struct cairn_value *value,
                               bool *made, struct cairn_err *err)
{
    if (follower->failure.failed || !cairn_follower_wants(follower, event)) {
        return CAIRN_OK;
    }
    if (event->index == 0) {
        cairn_follower_mark(follower, event);
    }
    bool takes = cairn_follower_takes(follower, event);
    if (takes && !cairn_parked_has(&follower->parking.set, event)) {
        enum cairn_rc rc = call_handler(group, follower, event, value, made, err);
        if (rc == CAIRN_ESCRIPT) {
            const struct cairn_err cause = *err;
            rc = cairn_follower_refuse(follower, event, &cause, cairn_clock_now_us(group->clock),
                                       &group->arena, err);
        }
        if (rc != CAIRN_OK || follower->failure.failed) {
            return rc;
        }
    }
    cairn_follower_pass(follower, event, takes);
    return CAIRN_OK;
}

static bool batch_is_big(const struct cairn_view_group *group)
{
    bool big = group->arena.used > BATCH_BYTES_SOFT;
    for (size_t i = 0; i < group->count; i++) {
        big = big ||
              cairn_projection_writes(group->followers[i]->projection)->count > BATCH_ROWS_SOFT;
    }
    return big;
}

/* Everything of one read, for all followers, until the batch is full. */
static enum cairn_rc apply_read(struct cairn_view_group *group, struct batch *batch,
                                struct cairn_err *err)
{
    for (size_t c = 0; c < group->chunks.count && !batch->full; c++) {
        const struct cairn_chunk *chunk = &group->chunks.items[c];
        for (size_t e = 0; e < chunk->count && !batch->full; e++) {
            const struct cairn_event *event = &chunk->events[e];
            struct cairn_value value;
            bool made = false;
            for (size_t i = 0; i < group->count; i++) {
                enum cairn_rc rc = apply_one(group, group->followers[i], event, &value, &made, err);
                if (rc != CAIRN_OK) {
                    return rc;
                }
            }
            batch->position.offsets[event->partition] = event->offset;
            batch->events++;
            batch->full = cairn_event_is_last(event) && batch_is_big(group);
        }
    }
    return CAIRN_OK;
}

/* Read and apply until the batch has its events, or the log has no more. */
static enum cairn_rc apply_reads(struct cairn_view_group *group, size_t max_events,
                                 const struct cairn_position *until, struct batch *batch,
                                 struct cairn_err *err)
{
    while (!batch->full && batch->events < max_events) {
        enum cairn_rc rc = cairn_source_next(group->source, max_events - batch->events, until,
                                             &group->chunks, err);
        if (rc != CAIRN_OK || group->chunks.count == 0) {
            return rc;
        }
        rc = apply_read(group, batch, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return CAIRN_OK;
}

/* The same by workers. Their batch goes on to the end of a read, of which there are many. */
static enum cairn_rc apply_side_by_side(struct cairn_view_group *group, size_t max_events,
                                        const struct cairn_position *until, struct batch *batch,
                                        struct cairn_err *err)
{
    enum cairn_rc rc = cairn_parallel_begin(group->parallel, group->followers[0], err);
    while (rc == CAIRN_OK && !batch->met && batch->events < max_events &&
           !cairn_parallel_is_big(group->parallel, BATCH_BYTES_SOFT, BATCH_ROWS_SOFT)) {
        rc = cairn_source_next(group->source, max_events - batch->events, until, &group->chunks,
                               err);
        if (rc != CAIRN_OK || group->chunks.count == 0) {
            return rc;
        }
        rc = cairn_parallel_apply(group->parallel, &group->chunks, &batch->met, err);
        for (size_t i = 0; i < group->chunks.count; i++) {
            const struct cairn_chunk *chunk = &group->chunks.items[i];
            cairn_follower_pass_all(group->followers[0], chunk->events, chunk->count);
        }
        batch->position = group->followers[0]->next.position;
        batch->events += group->chunks.events;
    }
    return rc;
}

/* ---- Committing -------------------------------------------------------------------------------
 */

static enum cairn_rc seal_all(struct cairn_view_group *group, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; i < group->count && rc == CAIRN_OK; i++) {
        rc = cairn_follower_seal(group->followers[i], &group->arena, err);
    }
    return rc;
}

static enum cairn_rc commit_all(struct cairn_view_group *group, struct cairn_err *err)
{
    struct cairn_kv_txn *txn = NULL;
    enum cairn_rc rc = cairn_kv_write_begin(cairn_views_kv(group->views), &txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    for (size_t i = 0; i < group->count && rc == CAIRN_OK; i++) {
        rc = cairn_follower_write(group->followers[i], txn, cairn_views_meta(group->views), err);
    }
    rc = cairn_views_end_write(group->views, txn, rc, err);
    for (size_t i = 0; i < group->count && rc == CAIRN_OK; i++) {
        cairn_follower_done(group->followers[i], group->log);
    }
    return rc;
}

/* The batch against one snapshot, up to the commit; nothing is committed where nothing was read. */
static enum cairn_rc run_batch(struct cairn_view_group *group, size_t max_events,
                               const struct cairn_position *until, struct batch *batch,
                               struct cairn_err *err)
{
    struct cairn_kv_txn *snapshot = NULL;
    enum cairn_rc rc = cairn_kv_read_begin(cairn_views_kv(group->views), &snapshot, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    bool together = cairn_parallel_takes(group->parallel);
    for (size_t i = 0; i < group->count && rc == CAIRN_OK; i++) {
        rc = cairn_follower_begin(group->followers[i], snapshot, cairn_views_meta(group->views),
                                  &group->arena, err);
    }
    if (rc == CAIRN_OK) {
        rc = together ? apply_side_by_side(group, max_events, until, batch, err)
                      : apply_reads(group, max_events, until, batch, err);
    }
    if (rc == CAIRN_OK && batch->events > 0 && !batch->met) {
        rc = together ? cairn_parallel_seal(group->parallel, group->followers[0], &group->arena,
                                            &batch->met, err)
                      : seal_all(group, err);
    }
    if (rc == CAIRN_OK && batch->events > 0 && !batch->met) {
        rc = commit_all(group, err);
    }
    if (together) {
        cairn_parallel_end(group->parallel);
    }
    cairn_kv_end(snapshot);
    cairn_arena_reset(&group->arena);
    return rc;
}

/* The source stands behind what was applied: after a failure, or when a batch was cut short. */
static void forget_source(struct cairn_view_group *group)
{
    cairn_source_close(group->source);
    group->source = NULL;
}

/* One batch, taken anew where workers met. */
static enum cairn_rc take_batch(struct cairn_view_group *group, size_t max_events,
                                const struct cairn_position *until, struct batch *batch,
                                struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    do {
        *batch = (struct batch){.position = group->position};
        if (group->source == NULL) {
            rc = cairn_source_open(group->store, &group->position, &group->source, err);
        }
        if (rc == CAIRN_OK) {
            rc = run_batch(group, max_events, until, batch, err);
        }
        if (rc != CAIRN_OK || batch->full || batch->met) {
            forget_source(group);
        }
    } while (rc == CAIRN_OK && batch->met);
    return rc;
}

enum cairn_rc cairn_view_group_step(struct cairn_view_group *group, size_t max_events,
                                    const struct cairn_position *until, size_t *ret_events,
                                    struct cairn_err *err)
{
    assert(max_events > 0 && ret_events != NULL);
    struct batch batch;
    int64_t begun_ns = cairn_clock_monotonic_ns(group->clock);
    *ret_events = 0;
    enum cairn_rc rc = take_batch(group, max_events, until, &batch, err);
    if (rc != CAIRN_OK || batch.events == 0) {
        return rc;
    }
    group->position = batch.position;
    cairn_metric_observe_ns(group->batch_seconds,
                            cairn_clock_monotonic_ns(group->clock) - begun_ns);
    *ret_events = batch.events;
    return CAIRN_OK;
}

enum cairn_rc cairn_view_group_apply(struct cairn_view_group *group,
                                     struct cairn_follower *follower,
                                     const struct cairn_event *event, struct cairn_err *err)
{
    struct cairn_value value;
    bool made = false;
    return call_handler(group, follower, event, &value, &made, err);
}

enum cairn_rc cairn_view_group_lag(const struct cairn_view_group *group, uint64_t *ret_lag,
                                   struct cairn_err *err)
{
    struct cairn_position end;
    enum cairn_rc rc = cairn_store_end(group->store, &end, err);
    if (rc == CAIRN_OK) {
        *ret_lag = cairn_position_lag(&group->position, &end);
    }
    return rc;
}
