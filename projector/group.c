#include "projector/group.h"

#include <assert.h>

#include "platform/mem.h"

/* A batch ends at the first command behind one of these. */
#define BATCH_BYTES_SOFT (24u * 1024u * 1024u)
#define BATCH_ROWS_SOFT  65536u
/* What a single command may need beyond it. */
#define BATCH_BYTES_MAX (1024u * 1024u * 1024u)

/* A place in the batch: of an event. */
struct batch_place {
    size_t chunk;
    size_t event;
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
                                       .arena = {.max = BATCH_BYTES_MAX}};
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

static void fail_follower(struct cairn_follower *follower, const struct cairn_event *event,
                          const struct cairn_err *err)
{
    follower->failure = (struct cairn_follower_failure){.failed = true,
                                                        .err = *err,
                                                        .event = event->id,
                                                        .partition = event->partition,
                                                        .offset = event->offset};
}

/* The event's value, made at its first use. ESCRIPT: an upcaster failed. */
static enum cairn_rc event_value(struct cairn_view_group *group, const struct cairn_event *event,
                                 struct cairn_value *value, bool *made, struct cairn_err *err)
{
    if (*made) {
        return CAIRN_OK;
    }
    struct cairn_value data;
    enum cairn_rc rc = cairn_upcaster_data(group->upcaster, event, &group->arena, &data, err);
    if (rc == CAIRN_OK) {
        rc = cairn_projection_event(event, &data, &group->arena, value);
        rc = rc == CAIRN_OK ? rc : CAIRN_FAIL(err, rc, "read an event");
    }
    *made = rc == CAIRN_OK;
    return rc;
}

/* One event for one follower. OK also when its projection fails: then its flag is set. */
static enum cairn_rc apply_one(struct cairn_view_group *group, struct cairn_follower *follower,
                               const struct cairn_event *event, struct cairn_value *value,
                               bool *made, struct cairn_err *err)
{
    if (follower->failure.failed || !cairn_follower_wants(follower, event)) {
        return CAIRN_OK;
    }
    if (cairn_projection_handles(follower->projection, event->type)) {
        enum cairn_rc rc = event_value(group, event, value, made, err);
        if (rc == CAIRN_OK) {
            rc = cairn_projection_apply(follower->projection, event->type, value, err);
        }
        if (rc == CAIRN_ESCRIPT) {
            fail_follower(follower, event, err);
            return CAIRN_OK;
        }
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    cairn_follower_pass(follower, event);
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

/* All events, for all followers. ret_end: where the batch ended, before its end when it grew big.
 */
static enum cairn_rc apply_all(struct cairn_view_group *group, struct batch_place *ret_end,
                               struct cairn_err *err)
{
    for (size_t c = 0; c < group->chunks.count; c++) {
        const struct cairn_chunk *chunk = &group->chunks.items[c];
        for (size_t e = 0; e < chunk->count; e++) {
            const struct cairn_event *event = &chunk->events[e];
            struct cairn_value value;
            bool made = false;
            for (size_t i = 0; i < group->count; i++) {
                enum cairn_rc rc = apply_one(group, group->followers[i], event, &value, &made, err);
                if (rc != CAIRN_OK) {
                    return rc;
                }
            }
            if (cairn_event_is_last(event) && batch_is_big(group)) {
                *ret_end = (struct batch_place){.chunk = c, .event = e + 1};
                return CAIRN_OK;
            }
        }
    }
    *ret_end = (struct batch_place){.chunk = group->chunks.count, .event = 0};
    return CAIRN_OK;
}

/* A follower has failed within a command: apply again what was before that command. */
static enum cairn_rc cut_back(struct cairn_view_group *group, struct cairn_follower *follower,
                              struct cairn_kv_txn *snapshot, struct cairn_err *err)
{
    struct cairn_follower_failure failure = follower->failure;
    follower->failure.failed = false;
    cairn_follower_begin(follower, snapshot, &group->arena);
    for (size_t c = 0; c < group->chunks.count; c++) {
        const struct cairn_chunk *chunk = &group->chunks.items[c];
        for (size_t e = 0; e < chunk->count; e++) {
            const struct cairn_event *event = &chunk->events[e];
            struct cairn_value value;
            bool made = false;
            if (event->index == 0 && event->partition == failure.partition &&
                chunk->events[e + event->count - 1].offset >= failure.offset) {
                follower->failure = failure;
                return CAIRN_OK;
            }
            enum cairn_rc rc = apply_one(group, follower, event, &value, &made, err);
            if (rc != CAIRN_OK) {
                return rc;
            }
            if (follower->failure.failed) {
                return CAIRN_FAIL(err, CAIRN_EINTERNAL,
                                  "view %s: its projection failed at another event when it was "
                                  "run again",
                                  follower->name);
            }
        }
    }
    assert(!"the event that failed is in the batch");
    return CAIRN_OK;
}

/* ---- Committing -------------------------------------------------------------------------------
 */

static enum cairn_rc seal_all(struct cairn_view_group *group, struct cairn_kv_txn *snapshot,
                              struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; i < group->count && rc == CAIRN_OK; i++) {
        struct cairn_follower *follower = group->followers[i];
        if (follower->failure.failed) {
            rc = cut_back(group, follower, snapshot, err);
        }
        if (rc == CAIRN_OK) {
            rc = cairn_follower_seal(follower, &group->arena, err);
        }
    }
    return rc;
}

static enum cairn_rc write_all(struct cairn_view_group *group, struct cairn_err *err)
{
    struct cairn_kv_txn *txn = NULL;
    enum cairn_rc rc = cairn_kv_write_begin(cairn_views_kv(group->views), &txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    for (size_t i = 0; i < group->count && rc == CAIRN_OK; i++) {
        rc = cairn_follower_write(group->followers[i], txn, cairn_views_meta(group->views), err);
    }
    if (rc != CAIRN_OK) {
        cairn_kv_end(txn);
        return rc;
    }
    rc = cairn_kv_commit(txn, err);
    if (rc == CAIRN_OK) {
        cairn_views_ring(group->views);
    }
    return rc;
}

/* The batch against one snapshot, up to the commit. */
static enum cairn_rc run_batch(struct cairn_view_group *group, struct batch_place *ret_end,
                               struct cairn_err *err)
{
    struct cairn_kv_txn *snapshot = NULL;
    enum cairn_rc rc = cairn_kv_read_begin(cairn_views_kv(group->views), &snapshot, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    for (size_t i = 0; i < group->count; i++) {
        group->followers[i]->failure.failed = false;
        cairn_follower_begin(group->followers[i], snapshot, &group->arena);
    }
    rc = apply_all(group, ret_end, err);
    if (rc == CAIRN_OK) {
        rc = seal_all(group, snapshot, err);
    }
    if (rc == CAIRN_OK) {
        rc = write_all(group, err);
    }
    cairn_kv_end(snapshot);
    return rc;
}

/* Move the group's position to where the batch ended; returns how many events that were. */
static size_t move_position(struct cairn_view_group *group, struct batch_place end)
{
    size_t events = 0;
    for (size_t c = 0; c < group->chunks.count; c++) {
        const struct cairn_chunk *chunk = &group->chunks.items[c];
        size_t count = c < end.chunk ? chunk->count : c == end.chunk ? end.event : 0;
        if (count > 0) {
            const struct cairn_event *last = &chunk->events[count - 1];
            group->position.offsets[last->partition] = last->offset;
            events += count;
        }
    }
    return events;
}

/* The source stands behind what was applied: after a failure, or when a batch was cut short. */
static void forget_source(struct cairn_view_group *group)
{
    cairn_source_close(group->source);
    group->source = NULL;
}

enum cairn_rc cairn_view_group_step(struct cairn_view_group *group, size_t max_events,
                                    const struct cairn_position *until, size_t *ret_events,
                                    struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    if (group->source == NULL) {
        rc = cairn_source_open(group->store, &group->position, &group->source, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_source_next(group->source, max_events, until, &group->chunks, err);
    }
    if (rc != CAIRN_OK || group->chunks.count == 0) {
        *ret_events = 0;
        return rc;
    }
    struct batch_place end;
    int64_t begun_ns = cairn_clock_monotonic_ns(group->clock);
    rc = run_batch(group, &end, err);
    cairn_arena_reset(&group->arena);
    if (rc != CAIRN_OK) {
        forget_source(group);
        return rc;
    }
    for (size_t i = 0; i < group->count; i++) {
        cairn_follower_done(group->followers[i]);
    }
    size_t events = move_position(group, end);
    if (events < group->chunks.events) {
        forget_source(group);
    }
    cairn_metric_observe_ns(group->batch_seconds,
                            cairn_clock_monotonic_ns(group->clock) - begun_ns);
    assert(events > 0);
    *ret_events = events;
    return CAIRN_OK;
}
