/* Appending: what each append expects, its numbers, the commit, and the index behind it. */
#include <assert.h>

#include "eventstore/store_int.h"
#include "platform/hash.h"
#include "platform/mem.h"

void cairn_store_lane_fini(struct cairn_store_lane *lane)
{
    cairn_mem_free(lane->accepted);
    cairn_mem_free(lane->partitions);
    cairn_mem_free(lane->locators);
    cairn_mem_free(lane->entries);
    cairn_mem_free(lane->parts);
    cairn_mem_free(lane->pending);
    *lane = (struct cairn_store_lane){0};
}

/* One of the arrays of a lane. */
static bool grow(void **array, size_t count, size_t item)
{
    void *grown = cairn_mem_realloc(*array, count * item);
    if (grown != NULL) {
        *array = grown;
    }
    return grown != NULL;
}

static bool grow_all(struct cairn_store_lane *lane, size_t cap)
{
    void *accepted = lane->accepted;
    void *partitions = lane->partitions;
    void *locators = lane->locators;
    void *entries = lane->entries;
    bool ok = grow(&accepted, cap, sizeof(struct cairn_append *));
    lane->accepted = accepted;
    ok = ok && grow(&partitions, cap, sizeof(*lane->partitions));
    lane->partitions = partitions;
    ok = ok && grow(&locators, cap, sizeof(*lane->locators));
    lane->locators = locators;
    ok = ok && grow(&entries, cap, sizeof(*lane->entries));
    lane->entries = entries;
    return ok;
}

enum cairn_rc cairn_store_lane_reserve(struct cairn_store_lane *lane, size_t count, size_t parts,
                                       struct cairn_err *err)
{
    if (lane->parts == NULL) {
        lane->parts = cairn_mem_zalloc(parts, sizeof(*lane->parts));
    }
    if (lane->parts != NULL && count <= lane->cap) {
        return CAIRN_OK;
    }
    size_t cap = lane->cap == 0 ? 16 : lane->cap;
    while (cap < count) {
        cap *= 2;
    }
    bool ok = lane->parts != NULL && grow_all(lane, cap);
    struct cairn_pending *pending = ok ? cairn_mem_zalloc(2 * cap, sizeof(*pending)) : NULL;
    if (pending == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "append %zu commands", count);
    }
    cairn_mem_free(lane->pending);
    lane->pending = pending;
    lane->pending_cap = 2 * cap;
    lane->cap = cap;
    return CAIRN_OK;
}

struct cairn_pending *cairn_store_pending(struct cairn_store_lane *lane, struct cairn_slice stream)
{
    size_t mask = lane->pending_cap - 1;
    for (size_t at = cairn_hash64(stream) & mask;; at = (at + 1) & mask) {
        struct cairn_pending *pending = &lane->pending[at];
        if (pending->round != lane->round || cairn_slice_equal(pending->stream, stream)) {
            return pending;
        }
    }
}

static bool holds(int64_t expected, uint64_t version)
{
    return expected == CAIRN_EXPECT_ANY || (uint64_t)expected == version;
}

static void number(struct cairn_append *append, uint64_t version)
{
    for (uint16_t i = 0; i < append->count; i++) {
        struct cairn_event *event = &append->events[i];
        event->stream = append->stream;
        event->version = version + 1 + i;
        event->index = i;
        event->count = append->count;
    }
}

/* The place of an append's stream among those that the group has met, with its version. */
static enum cairn_rc meet(struct cairn_store *store, struct cairn_store_lane *lane,
                          const struct cairn_append *append, struct cairn_pending **ret_pending,
                          struct cairn_err *err)
{
    struct cairn_pending *pending = cairn_store_pending(lane, append->stream);
    *ret_pending = pending;
    if (pending->round == lane->round) {
        return CAIRN_OK;
    }
    uint64_t head = 0;
    uint16_t partition = cairn_store_partition_of(store, append->stream);
    if (partition == CAIRN_PARTITION_NONE) {
        return CAIRN_FAIL(err, CAIRN_ENOAGGREGATE, "the log has no place for the stream %.*s",
                          CAIRN_SLICE_ARG(append->stream));
    }
    assert(&store->lanes[partition % store->lane_count] == lane);
    enum cairn_rc rc = cairn_index_head(store->index, append->stream, &head, err);
    if (rc == CAIRN_OK) {
        *pending = (struct cairn_pending){.round = lane->round,
                                          .stream = append->stream,
                                          .version = head,
                                          .partition = partition};
    }
    return rc;
}

/* Check what each append expects, number those that may go. */
static enum cairn_rc check(struct cairn_store *store, struct cairn_store_lane *lane,
                           struct cairn_append *appends, size_t count, size_t *ret_accepted,
                           struct cairn_err *err)
{
    size_t accepted = 0;
    lane->round++;
    for (size_t i = 0; i < count; i++) {
        struct cairn_append *append = &appends[i];
        struct cairn_pending *pending = NULL;
        assert(append->count > 0 && append->count <= CAIRN_EVENTS_PER_COMMAND_MAX);
        assert(append->expected >= CAIRN_EXPECT_ANY);
        enum cairn_rc rc = meet(store, lane, append, &pending, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        if (!holds(append->expected, pending->version)) {
            append->rc = CAIRN_ECONFLICT;
            append->actual_version = pending->version;
            continue;
        }
        number(append, pending->version);
        pending->version += append->count;
        append->rc = CAIRN_OK;
        append->actual_version = pending->version;
        lane->partitions[accepted] = pending->partition;
        lane->accepted[accepted++] = append;
    }
    *ret_accepted = accepted;
    return CAIRN_OK;
}

uint64_t cairn_store_apply(struct cairn_store *store, struct cairn_store_lane *lane,
                           const struct cairn_commit *commit, const struct cairn_commit_part *part)
{
    size_t count = 0;
    for (size_t i = 0; i < commit->count; i++) {
        const struct cairn_append *append = commit->appends[i];
        if (commit->partitions[i] == part->partition) {
            lane->entries[count] =
                (struct cairn_index_entry){.stream = append->stream,
                                           .key = append->events[0].key,
                                           .first_version = append->events[0].version,
                                           .locator = commit->locators[i],
                                           .count = append->count};
            count++;
        }
    }
    assert(count > 0 && part->end >= part->first);
    struct cairn_index_group group = {.partition = part->partition,
                                      .entries = lane->entries,
                                      .count = count,
                                      .start = {part->first - 1, part->start},
                                      .end = {part->end, part->resume}};
    cairn_index_apply(store->index, &group);
    return part->end - part->first + 1;
}

static enum cairn_rc commit(struct cairn_store *store, struct cairn_store_lane *lane, size_t count,
                            struct cairn_err *err)
{
    struct cairn_backend *backend = store->backend;
    struct cairn_err why = {.rc = CAIRN_OK};
    struct cairn_commit commit = {.lane = (uint16_t)(lane - store->lanes),
                                  .appends = lane->accepted,
                                  .partitions = lane->partitions,
                                  .count = count,
                                  .time_us = cairn_clock_now_us(store->clock),
                                  .locators = lane->locators,
                                  .parts = lane->parts};
    int64_t start_ns = cairn_clock_monotonic_ns(store->clock);
    enum cairn_rc rc = backend->ops->commit(backend, &commit, &why);
    if (rc != CAIRN_OK) {
        if (commit.stop) {
            cairn_store_stop(store, &why);
        }
        if (err != NULL) {
            *err = why;
        }
        return rc;
    }
    cairn_metric_observe_ns(store->metric_commit_seconds,
                            cairn_clock_monotonic_ns(store->clock) - start_ns);
    if (commit.applied) {
        cairn_index_release(store->index, count);
        cairn_metric_inc(store->metric_groups, 1);
        return CAIRN_OK;
    }
    assert(commit.part_count > 0 && commit.part_count <= store->partitions / store->lane_count);
    uint64_t events = 0;
    for (size_t i = 0; i < commit.part_count; i++) {
        /* The index first: who sees the log's end finds its streams there. */
        events += cairn_store_apply(store, lane, &commit, &commit.parts[i]);
        backend->ops->publish(backend, commit.parts[i].partition, commit.parts[i].end);
    }
    cairn_metric_inc(store->metric_groups, 1);
    cairn_metric_inc(store->metric_events, events);
    return CAIRN_OK;
}

enum cairn_rc cairn_store_append(struct cairn_store *store, uint16_t lane,
                                 struct cairn_append *appends, size_t count, struct cairn_err *err)
{
    assert(store->writer && lane < store->lane_count);
    assert(count > 0 && count <= CAIRN_GROUP_APPENDS_MAX);
    if (atomic_load(&store->stopped)) {
        struct cairn_err why = {.rc = CAIRN_OK};
        (void)cairn_store_stopped(store, &why);
        return CAIRN_FAIL(err, CAIRN_ESTOPPED, "the log takes no more since: %.300s", why.text);
    }
    size_t accepted = 0;
    struct cairn_store_lane *own = &store->lanes[lane];
    size_t parts = store->partitions / store->lane_count;
    enum cairn_rc rc = cairn_store_lane_reserve(own, count, parts, err);
    if (rc == CAIRN_OK) {
        rc = check(store, own, appends, count, &accepted, err);
    }
    if (rc != CAIRN_OK || accepted == 0) {
        return rc;
    }
    rc = cairn_index_reserve(store->index, accepted, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = commit(store, own, accepted, err);
    if (rc != CAIRN_OK) {
        cairn_index_release(store->index, accepted);
    }
    return rc;
}
