/* A lane in this node's hands: taken, served, written, mended, given up. */
#include <assert.h>

#include "eventstore/kafka_int.h"
#include "eventstore/record.h"
#include "eventstore/store_int.h"
#include "platform/mem.h"

#define NS_PER_MS 1000000

static struct cairn_kafka *kafka_of(struct cairn_backend *backend)
{
    return (struct cairn_kafka *)backend;
}

/* ---- one thread at a time ---- */

static void acquire(struct cairn_kafka_lane *lane)
{
    (void)pthread_mutex_lock(&lane->lock);
    while (lane->busy) {
        (void)pthread_cond_wait(&lane->idle, &lane->lock);
    }
    lane->busy = true;
    (void)pthread_mutex_unlock(&lane->lock);
}

static void release(struct cairn_kafka_lane *lane)
{
    (void)pthread_mutex_lock(&lane->lock);
    assert(lane->busy);
    lane->busy = false;
    (void)pthread_cond_broadcast(&lane->idle);
    (void)pthread_mutex_unlock(&lane->lock);
}

static void set_state(struct cairn_kafka_lane *lane, bool held, bool serving)
{
    (void)pthread_mutex_lock(&lane->lock);
    lane->term += held && !lane->held ? 1 : 0;
    lane->held = held;
    lane->serving = serving;
    (void)pthread_mutex_unlock(&lane->lock);
}

static bool is_serving(struct cairn_kafka_lane *lane)
{
    (void)pthread_mutex_lock(&lane->lock);
    bool serving = lane->serving;
    (void)pthread_mutex_unlock(&lane->lock);
    return serving;
}

/* ---- the lane's partitions, topic by topic ---- */

static uint16_t partition_at(const struct cairn_kafka_lane *lane, uint16_t topic)
{
    return (uint16_t)(topic * lane->kafka->layout.lanes + lane->number);
}

/* Let the tail read the lane's partitions again. A partition that cannot be started would fall
 * behind for good and unseen, so that stops the store. */
static void follow(struct cairn_kafka_lane *lane)
{
    struct cairn_kafka *kafka = lane->kafka;
    for (uint16_t t = 0; t < kafka->layout.topic_count; t++) {
        struct cairn_err err = {.rc = CAIRN_OK};
        uint16_t partition = partition_at(lane, t);
        uint64_t source = cairn_replica_source(kafka->replica, partition);
        if (cairn_kafka_tail_start(kafka->tail, partition, source, &err) != CAIRN_OK) {
            cairn_store_stop(kafka->store, &err);
        }
    }
}

/* Everything that is in the lane's partitions now is in the replica, too. */
static enum cairn_rc read_to_end(struct cairn_kafka_lane *lane, int timeout_ms,
                                 struct cairn_err *err)
{
    struct cairn_kafka *kafka = lane->kafka;
    for (uint16_t t = 0; t < kafka->layout.topic_count; t++) {
        uint16_t partition = partition_at(lane, t);
        uint64_t high = 0;
        enum cairn_rc rc = cairn_kafka_tail_high(kafka->tail, partition, timeout_ms, &high, err);
        if (rc == CAIRN_OK) {
            rc = cairn_kafka_tail_reach(kafka->tail, partition, high, timeout_ms, err);
        }
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return CAIRN_OK;
}

/* Fence the lane's producers and read it to its end; the tail reads it no more. On failure the tail
 * still does. The lane must be followed, its writer closed. */
static enum cairn_rc fence(struct cairn_kafka_lane *lane, unsigned fence_ids, struct cairn_err *err)
{
    struct cairn_kafka *kafka = lane->kafka;
    struct cairn_kafka_writer_options options = {
        .kafka = kafka->options,
        .layout = &kafka->layout,
        .lane = lane->number,
        .ids = kafka->ids,
        .fence_ids = fence_ids > kafka->ids ? fence_ids : kafka->ids,
        .open_timeout_ms = CAIRN_KAFKA_OPEN_TIMEOUT_MS,
        .commit_timeout_ms = CAIRN_KAFKA_COMMIT_TIMEOUT_MS,
    };
    assert(lane->writer == NULL);
    enum cairn_rc rc = cairn_kafka_writer_open(&options, &lane->writer, err);
    if (rc == CAIRN_OK) {
        rc = read_to_end(lane, CAIRN_KAFKA_OPEN_TIMEOUT_MS, err);
    }
    if (rc != CAIRN_OK) {
        cairn_kafka_writer_close(lane->writer);
        lane->writer = NULL;
        return rc;
    }
    for (uint16_t t = 0; t < kafka->layout.topic_count; t++) {
        cairn_kafka_tail_stop(kafka->tail, partition_at(lane, t));
    }
    return CAIRN_OK;
}

/* Out of this node's hands. Called busy. */
static void leave(struct cairn_kafka_lane *lane)
{
    bool held = lane->held;
    set_state(lane, false, false);
    cairn_kafka_writer_close(lane->writer);
    lane->writer = NULL;
    if (held) {
        follow(lane);
    }
}

/* ---- what the control topic wishes ---- */

enum cairn_rc cairn_kafka_lane_take(void *self, uint16_t number, uint16_t fence_ids,
                                    struct cairn_err *err)
{
    struct cairn_kafka *kafka = self;
    struct cairn_kafka_lane *lane = &kafka->lanes[number];
    acquire(lane);
    leave(lane); /* a take that came to nothing after it was done leaves the lane held */
    enum cairn_rc rc = fence(lane, fence_ids, err);
    if (rc == CAIRN_OK) {
        set_state(lane, true, false);
    }
    release(lane);
    return rc;
}

void cairn_kafka_lane_serve(void *self, uint16_t number)
{
    struct cairn_kafka *kafka = self;
    struct cairn_kafka_lane *lane = &kafka->lanes[number];
    acquire(lane);
    if (lane->held) {
        set_state(lane, true, true);
    }
    release(lane);
}

void cairn_kafka_lane_stop(void *self, uint16_t number)
{
    struct cairn_kafka *kafka = self;
    struct cairn_kafka_lane *lane = &kafka->lanes[number];
    (void)pthread_mutex_lock(&lane->lock);
    lane->serving = false; /* whoever comes from now on is turned away */
    (void)pthread_mutex_unlock(&lane->lock);
    acquire(lane);
    leave(lane);
    release(lane);
}

/* ---- mending ---- */

/* The writer is broken: ask who owns the lane, and if it is this node fence and read to the end
 * again, so that the replica holds whatever became of the group in doubt. Where it is not, the lane
 * is left, and ENOOWNER says so. Called busy. */
static enum cairn_rc mend(struct cairn_kafka_lane *lane, struct cairn_err *err)
{
    struct cairn_kafka *kafka = lane->kafka;
    bool mine = false;
    lane->mended_ns = cairn_clock_monotonic_ns(cairn_clock_system());
    enum cairn_rc rc = cairn_kafka_control_confirm(kafka->control, lane->number,
                                                   CAIRN_KAFKA_TRUTH_TIMEOUT_MS, &mine, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    bool serving = is_serving(lane);
    leave(lane);
    if (!mine || !serving) {
        return CAIRN_FAIL(err, CAIRN_ENOOWNER, "another node took partition %u over",
                          (unsigned)lane->number);
    }
    rc = fence(lane, kafka->ids, err);
    if (rc == CAIRN_OK) {
        /* Another node may have claimed it before the fence, and is now fenced itself: once more.
         */
        rc = cairn_kafka_control_confirm(kafka->control, lane->number, CAIRN_KAFKA_TRUTH_TIMEOUT_MS,
                                         &mine, err);
        if (rc != CAIRN_OK || !mine) {
            set_state(lane, true, false); /* so that leaving lets the tail read again */
            leave(lane);
            set_state(lane, false, rc != CAIRN_OK); /* not known: still named, tried again */
            return rc != CAIRN_OK
                       ? rc
                       : CAIRN_FAIL(err, CAIRN_ENOOWNER, "another node took partition %u over",
                                    (unsigned)lane->number);
        }
    }
    /* Still the owner by the control topic's word, even where the cluster cannot be reached. */
    if (rc == CAIRN_OK) {
        set_state(lane, true, true);
    } else {
        set_state(lane, false, true);
    }
    return rc;
}

/* Not again right after it failed: each command would wait for the cluster's timeouts. */
static enum cairn_rc mend_if_due(struct cairn_kafka_lane *lane, struct cairn_err *err)
{
    int64_t now = cairn_clock_monotonic_ns(cairn_clock_system());
    if (now - lane->mended_ns < (int64_t)CAIRN_KAFKA_MEND_PAUSE_MS * NS_PER_MS) {
        return CAIRN_FAIL(err, CAIRN_EBUSY, "partition %u: the cluster cannot be written now",
                          (unsigned)lane->number);
    }
    enum cairn_rc rc = mend(lane, err);
    if (rc != CAIRN_OK && rc != CAIRN_ENOOWNER) {
        lane->mended_ns = cairn_clock_monotonic_ns(cairn_clock_system());
        rc = cairn_err_wrap(err, CAIRN_EBUSY, "partition %u cannot be written now",
                            (unsigned)lane->number);
    }
    return rc;
}

enum cairn_rc cairn_kafka_lane_begin(struct cairn_backend *backend, uint16_t number,
                                     uint64_t *ret_term, struct cairn_err *err)
{
    struct cairn_kafka *kafka = kafka_of(backend);
    struct cairn_kafka_lane *lane = &kafka->lanes[number];
    assert(number < kafka->layout.lanes);
    acquire(lane);
    enum cairn_rc rc = CAIRN_OK;
    if (!is_serving(lane)) {
        rc = CAIRN_FAIL(err, CAIRN_ENOOWNER, "this node does not own partition %u",
                        (unsigned)number);
    } else if (lane->writer == NULL) {
        rc = mend_if_due(lane, err);
    }
    if (rc == CAIRN_OK) {
        *ret_term = lane->term;
    }
    release(lane);
    return rc;
}

/* ---- a group ---- */

/* What the replica could not hold may not get into the log. */
static enum cairn_rc measure(const struct cairn_commit *commit, struct cairn_err *err)
{
    uint64_t size = 0;
    for (size_t a = 0; a < commit->count; a++) {
        const struct cairn_append *append = commit->appends[a];
        for (uint16_t e = 0; e < append->count; e++) {
            if (!cairn_record_fits(&append->events[e])) {
                return CAIRN_FAIL(err, CAIRN_ETOOBIG, "an event of %.*s is larger than allowed",
                                  CAIRN_SLICE_ARG(append->stream));
            }
            size += cairn_record_size(&append->events[e]);
        }
    }
    return size <= CAIRN_GROUP_BYTES_MAX
               ? CAIRN_OK
               : CAIRN_FAIL(err, CAIRN_ETOOBIG, "a group of more than %u bytes",
                            CAIRN_GROUP_BYTES_MAX);
}

static enum cairn_rc send(struct cairn_kafka_lane *lane, struct cairn_commit *commit,
                          const int64_t **ret_offsets, struct cairn_err *err)
{
    struct cairn_kafka *kafka = lane->kafka;
    size_t count = 0;
    assert(lane->writer != NULL);
    for (size_t a = 0; a < commit->count; a++) {
        const struct cairn_append *append = commit->appends[a];
        for (uint16_t e = 0; e < append->count; e++) {
            struct cairn_kafka_record record;
            enum cairn_rc rc = cairn_kafka_record_write(&append->events[e], kafka->options.domain,
                                                        false, &lane->arena, &record, err);
            if (rc == CAIRN_OK) {
                rc = cairn_kafka_writer_add(lane->writer, commit->partitions[a], &record, err);
            }
            if (rc != CAIRN_OK) {
                return rc;
            }
        }
    }
    return cairn_kafka_writer_commit(lane->writer, ret_offsets, &count, err);
}

/* The part of a group that lies in one partition, on its way into the replica. */
struct split {
    struct cairn_append **appends;
    uint64_t *locators;
    uint16_t *partitions;
    size_t *origins; /* index in the whole group */
    size_t count;
    uint64_t source; /* Kafka offset behind its last record */
};

static bool split_init(struct split *split, size_t count, struct cairn_arena *arena)
{
    split->appends = cairn_arena_alloc(arena, count * sizeof(struct cairn_append *));
    split->locators = cairn_arena_alloc(arena, count * sizeof(*split->locators));
    split->partitions = cairn_arena_alloc(arena, count * sizeof(*split->partitions));
    split->origins = cairn_arena_alloc(arena, count * sizeof(*split->origins));
    return split->appends != NULL && split->locators != NULL && split->partitions != NULL &&
           split->origins != NULL;
}

/* offsets: of all records of the group, in its order. */
static void split_fill(struct split *split, const struct cairn_commit *commit, uint16_t partition,
                       const int64_t *offsets)
{
    size_t record = 0;
    split->count = 0;
    split->source = 0;
    for (size_t a = 0; a < commit->count; a++) {
        struct cairn_append *append = commit->appends[a];
        record += append->count;
        if (commit->partitions[a] == partition) {
            split->appends[split->count] = append;
            split->partitions[split->count] = partition;
            split->origins[split->count++] = a;
            assert(offsets[record - 1] >= 0);
            split->source = (uint64_t)offsets[record - 1] + 1;
        }
    }
}

/* The group is in the log; put it where it is read. */
static enum cairn_rc replicate(struct cairn_kafka_lane *lane, struct cairn_commit *commit,
                               const int64_t *offsets, struct cairn_err *err)
{
    struct split split = {.count = 0};
    if (!split_init(&split, commit->count, &lane->arena)) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for the replica's part of a group");
    }
    commit->part_count = 0;
    for (uint16_t t = 0; t < lane->kafka->layout.topic_count; t++) {
        split_fill(&split, commit, partition_at(lane, t), offsets);
        if (split.count == 0) {
            continue;
        }
        struct cairn_commit part = {.lane = commit->lane,
                                    .appends = split.appends,
                                    .partitions = split.partitions,
                                    .count = split.count,
                                    .time_us = commit->time_us,
                                    .locators = split.locators,
                                    .parts = &commit->parts[commit->part_count]};
        enum cairn_rc rc = cairn_replica_append(lane->kafka->replica, &part, split.source, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        commit->part_count++;
        for (size_t i = 0; i < split.count; i++) {
            commit->locators[split.origins[i]] = split.locators[i];
        }
    }
    return CAIRN_OK;
}

/* Is this event in the log? Its place in the stream is read, and the id compared. */
static enum cairn_rc look(struct cairn_kafka_lane *lane, struct cairn_append *append,
                          bool *ret_there, struct cairn_err *err)
{
    struct cairn_event_page page = {0};
    enum cairn_rc rc =
        cairn_store_read_stream(lane->kafka->store, append->stream, append->events[0].version - 1,
                                append->count, CAIRN_FORWARD, &lane->arena, &page, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    *ret_there = page.count == append->count;
    for (size_t i = 0; *ret_there && i < page.count; i++) {
        struct cairn_event *event = &append->events[i];
        *ret_there = memcmp(&page.events[i].id, &event->id, sizeof(event->id)) == 0;
        event->offset = page.events[i].offset;
        event->partition = page.events[i].partition;
    }
    return CAIRN_OK;
}

/* What became of the group, from the log itself: the tail has delivered it to the store, or it is
 * not there and never will be. */
static enum cairn_rc find_truth(struct cairn_kafka_lane *lane, struct cairn_commit *commit,
                                struct cairn_err *err)
{
    struct cairn_err why = {.rc = CAIRN_OK};
    enum cairn_rc rc = mend(lane, &why);
    if (rc == CAIRN_ENOOWNER) {
        rc = read_to_end(lane, CAIRN_KAFKA_TRUTH_TIMEOUT_MS, &why);
    }
    bool there = false;
    for (size_t a = 0; rc == CAIRN_OK && a < commit->count; a++) {
        rc = look(lane, commit->appends[a], &there, &why);
        if (!there) {
            break; /* one transaction: all of it or nothing */
        }
    }
    if (rc != CAIRN_OK) {
        *err = why;
        return cairn_err_wrap(err, CAIRN_EUNKNOWN, "the cluster does not say what became of it");
    }
    commit->applied = there;
    return there ? CAIRN_OK
                 : CAIRN_FAIL(err, CAIRN_EBUSY,
                              "the cluster did not take the group; nothing of it was written");
}

/* The writer is broken by whatever went wrong. */
static enum cairn_rc fail_group(struct cairn_kafka_lane *lane, struct cairn_commit *commit,
                                enum cairn_rc rc, struct cairn_err *err)
{
    cairn_log_error(lane->kafka->log_lines, CAIRN_LOG_WARN, "kafka", "group failed", err);
    cairn_kafka_writer_close(lane->writer);
    lane->writer = NULL;
    lane->mended_ns = 0;
    return rc == CAIRN_ETOOBIG ? rc : find_truth(lane, commit, err);
}

enum cairn_rc cairn_kafka_lane_commit(struct cairn_backend *backend, struct cairn_commit *commit,
                                      struct cairn_err *err)
{
    struct cairn_kafka *kafka = kafka_of(backend);
    struct cairn_kafka_lane *lane = &kafka->lanes[commit->lane];
    const int64_t *offsets = NULL;
    commit->stop = false;
    enum cairn_rc rc = measure(commit, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    acquire(lane);
    if (!is_serving(lane) || lane->writer == NULL) {
        rc = CAIRN_FAIL(err, CAIRN_ENOOWNER, "this node does not own partition %u",
                        (unsigned)commit->lane);
        release(lane);
        return rc;
    }
    rc = send(lane, commit, &offsets, err);
    if (rc != CAIRN_OK) {
        rc = fail_group(lane, commit, rc, err);
    } else if (replicate(lane, commit, offsets, err) != CAIRN_OK) {
        /* It is in the log, and not where this node reads: the tail brings it, once the disk has
         * room, and until then others serve. A part that came in is not applied, so the index, and
         * with it the replica, is made anew at the next start. */
        rc = cairn_err_wrap(err, CAIRN_EUNKNOWN, "the group is in the log, not in the replica");
        commit->stop = true;
    }
    cairn_arena_reset(&lane->arena);
    release(lane);
    return rc;
}
