/* A group on its way into the log: written as one transaction, copied into the replica; and where
 * that failed, what became of it. */
#include <assert.h>

#include "eventstore/kafka_int.h"
#include "eventstore/record.h"
#include "eventstore/store_int.h"

/* What the replica could not hold may not get into the log. */
static enum cairn_rc measure(const struct cairn_commit *commit, struct cairn_err *err)
{
    size_t size = 0;
    for (size_t a = 0; a < commit->count; a++) {
        size_t bytes = 0;
        const struct cairn_append *append = commit->appends[a];
        enum cairn_rc rc = cairn_records_size(append->events, append->count, &bytes, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        size += bytes;
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
            cairn_arena_reset(&lane->arena); /* the writer has its own copy of the record before */
            enum cairn_rc rc =
                cairn_kafka_record_write(&append->events[e], kafka->options.domain,
                                         kafka->json[commit->partitions[a] / kafka->layout.lanes],
                                         &lane->arena, &record, err);
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
        split_fill(&split, commit, cairn_kafka_lane_partition(lane, t), offsets);
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
    enum cairn_rc rc = cairn_kafka_lane_mend(lane, &why);
    if (rc == CAIRN_ENOOWNER) {
        rc = cairn_kafka_lane_read_to_end(lane, CAIRN_KAFKA_TRUTH_TIMEOUT_MS, &why);
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
    lane->mended_ms = INT64_MIN;
    return rc == CAIRN_ETOOBIG ? rc : find_truth(lane, commit, err);
}

/* Write the group, or find out what became of it. Called busy. */
static enum cairn_rc write_group(struct cairn_kafka_lane *lane, struct cairn_commit *commit,
                                 struct cairn_err *err)
{
    const int64_t *offsets = NULL;
    if (!cairn_kafka_lane_serves(lane) || lane->writer == NULL) {
        return cairn_kafka_lane_refuse(lane, err);
    }
    enum cairn_rc rc = send(lane, commit, &offsets, err);
    if (rc != CAIRN_OK) {
        return fail_group(lane, commit, rc, err);
    }
    if (replicate(lane, commit, offsets, err) != CAIRN_OK) {
        /* It is in the log, and not where this node reads: the tail brings it, once the disk has
         * room, and until then others serve. A part that came in is not applied, so the index, and
         * with it the replica, is made anew at the next start. */
        commit->stop = true;
        return cairn_err_wrap(err, CAIRN_EUNKNOWN, "the group is in the log, not in the replica");
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_kafka_lane_commit(struct cairn_backend *backend, struct cairn_commit *commit,
                                      struct cairn_err *err)
{
    struct cairn_kafka *kafka = (struct cairn_kafka *)backend;
    struct cairn_kafka_lane *lane = &kafka->lanes[commit->lane];
    commit->stop = false;
    enum cairn_rc rc = measure(commit, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    cairn_kafka_lane_acquire(lane);
    rc = write_group(lane, commit, err);
    cairn_arena_reset(&lane->arena);
    cairn_kafka_lane_release(lane);
    return rc;
}
