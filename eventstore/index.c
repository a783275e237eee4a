#include "eventstore/index.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "eventstore/index_int.h"
#include "platform/fault.h"
#include "platform/mem.h"

static struct cairn_generation *newest_of(const struct cairn_index *index)
{
    assert(index->generation_count > 0);
    return index->generations[index->generation_count - 1];
}

static void free_generation(struct cairn_generation *generation)
{
    if (generation != NULL) {
        cairn_tail_fini(&generation->tail);
        cairn_mem_free(generation->marks);
        cairn_mem_free(generation);
    }
}

/* Start a new generation; the one before takes no more. Called with the lock held for writing. */
enum cairn_rc cairn_index_push(struct cairn_index *index, struct cairn_err *err)
{
    assert(index->generation_count < CAIRN_INDEX_GENERATIONS_MAX);
    struct cairn_generation *generation = index->spare;
    if (generation == NULL) {
        generation = cairn_mem_zalloc(1, sizeof(*generation));
    }
    if (generation == NULL || cairn_tail_reserve(&generation->tail, index->reserved) != CAIRN_OK) {
        if (index->spare == NULL) {
            free_generation(generation);
        }
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "make room in the index");
    }
    index->spare = NULL;
    memcpy(generation->ends, index->applied, sizeof(generation->ends));
    generation->streams = index->streams;
    index->generations[index->generation_count++] = generation;
    return CAIRN_OK;
}

void cairn_index_drop_oldest(struct cairn_index *index)
{
    struct cairn_generation *oldest = index->generations[0];
    assert(index->generation_count > 0);
    index->generation_count--;
    memmove(&index->generations[0], &index->generations[1],
            index->generation_count * sizeof(struct cairn_generation *));
    if (index->spare == NULL) {
        cairn_tail_clear(&oldest->tail);
        oldest->mark_count = 0;
        index->spare = oldest;
    } else {
        free_generation(oldest);
    }
}

static void free_snapshots(struct cairn_map *map)
{
    size_t cursor = 0;
    struct cairn_slice stream;
    union cairn_map_value value;
    while (cairn_map_next(map, &cursor, &stream, &value)) {
        cairn_mem_free(value.pointer);
    }
    cairn_map_clear(map);
}

static void forget_all(struct cairn_index *index)
{
    (void)pthread_rwlock_wrlock(&index->lock);
    while (index->generation_count > 1) {
        cairn_index_drop_oldest(index);
    }
    cairn_tail_clear(&newest_of(index)->tail);
    newest_of(index)->mark_count = 0;
    memcpy(index->applied, index->checkpoint, sizeof(index->applied));
    index->streams = index->checkpoint_streams;
    newest_of(index)->streams = index->streams;
    memcpy(newest_of(index)->ends, index->applied, sizeof(index->applied));
    (void)pthread_rwlock_unlock(&index->lock);
}

enum cairn_rc cairn_index_reset(struct cairn_index *index, struct cairn_err *err)
{
    assert(index->options.writer && !index->thread_runs);
    cairn_log_event(index->options.log_lines, CAIRN_LOG_WARN, "eventstore", "index thrown away",
                    CAIRN_F_STR("folder", index->folder));
    enum cairn_rc rc = cairn_index_file_wipe(index, err);
    memset(index->checkpoint, 0, sizeof(index->checkpoint));
    index->checkpoint_streams = 0;
    forget_all(index);
    return rc;
}

/* Open LMDB; what cannot be used is thrown away, for the log has it all. */
static enum cairn_rc open_file(struct cairn_index *index, struct cairn_err *err)
{
    if (!index->options.writer) {
        return CAIRN_OK; /* the first refresh opens it: a writer may not have come so far yet */
    }
    enum cairn_rc rc = cairn_index_file_open(index, err);
    if (rc == CAIRN_OK) {
        rc = cairn_index_file_state(index, index->checkpoint, &index->checkpoint_streams, err);
        if (rc == CAIRN_OK || rc == CAIRN_ENOENT) {
            return CAIRN_OK; /* without a state it is new: the first flush writes one */
        }
    }
    if (rc != CAIRN_EEXIST && rc != CAIRN_ECORRUPT) {
        return rc;
    }
    cairn_log_event(index->options.log_lines, CAIRN_LOG_WARN, "eventstore", "index thrown away",
                    CAIRN_F_STR("folder", index->folder),
                    CAIRN_F_STR("why", rc == CAIRN_ECORRUPT
                                           ? "it is damaged"
                                           : "it belongs to another log or format"));
    return cairn_index_file_wipe(index, err);
}

static void add_metrics(struct cairn_index *index)
{
    struct cairn_metrics *metrics = index->options.metrics;
    if (metrics == NULL) {
        return;
    }
    index->metric_flushes = cairn_metrics_add(metrics, CAIRN_COUNTER, "cairn_index_flushes_total",
                                              NULL, "Flushes of the index.");
    index->metric_flush_seconds =
        cairn_metrics_add(metrics, CAIRN_HISTOGRAM, "cairn_index_flush_seconds", NULL,
                          "Time that a flush of the index took.");
    index->metric_tail_events =
        cairn_metrics_add(metrics, CAIRN_GAUGE, "cairn_index_tail_appends", NULL,
                          "Appends whose index entries wait in memory.");
    index->metric_snapshots_dropped =
        cairn_metrics_add(metrics, CAIRN_COUNTER, "cairn_index_snapshots_dropped_total", NULL,
                          "Snapshots dropped because too many waited to be written.");
}

enum cairn_rc cairn_index_open(const struct cairn_index_options *options,
                               struct cairn_index **ret_index, struct cairn_err *err)
{
    assert(options->partitions > 0 && options->partitions <= CAIRN_PARTITIONS_MAX);
    struct cairn_index *index = cairn_mem_zalloc(1, sizeof(*index));
    if (index == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "open the index");
    }
    index->options = *options;
    index->snapshots.max = CAIRN_INDEX_SNAPSHOTS_MAX;
    index->flushing.max = CAIRN_INDEX_SNAPSHOTS_MAX;
    (void)snprintf(index->folder, sizeof(index->folder), "%s", options->folder);
    (void)pthread_rwlock_init(&index->kv_lock, NULL);
    (void)pthread_rwlock_init(&index->lock, NULL);
    (void)pthread_mutex_init(&index->signal, NULL);
    (void)pthread_cond_init(&index->flushed, NULL);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&index->wanted, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    add_metrics(index);
    enum cairn_rc rc = cairn_index_push(index, err);
    if (rc == CAIRN_OK) {
        rc = open_file(index, err);
    }
    if (rc != CAIRN_OK) {
        cairn_index_close(index);
        return rc;
    }
    forget_all(index);
    *ret_index = index;
    return CAIRN_OK;
}

static void stop_thread(struct cairn_index *index)
{
    if (!index->thread_runs) {
        return;
    }
    (void)pthread_mutex_lock(&index->signal);
    index->stopping = true;
    (void)pthread_cond_broadcast(&index->wanted);
    (void)pthread_mutex_unlock(&index->signal);
    (void)pthread_join(index->thread, NULL);
    index->thread_runs = false;
}

void cairn_index_close(struct cairn_index *index)
{
    if (index == NULL) {
        return;
    }
    stop_thread(index);
    cairn_index_file_close(index);
    for (size_t i = 0; i < index->generation_count; i++) {
        free_generation(index->generations[i]);
    }
    free_generation(index->spare);
    free_snapshots(&index->snapshots);
    free_snapshots(&index->flushing);
    cairn_map_fini(&index->snapshots);
    cairn_map_fini(&index->flushing);
    (void)pthread_cond_destroy(&index->wanted);
    (void)pthread_cond_destroy(&index->flushed);
    (void)pthread_mutex_destroy(&index->signal);
    (void)pthread_rwlock_destroy(&index->lock);
    (void)pthread_rwlock_destroy(&index->kv_lock);
    cairn_mem_free(index);
}

struct cairn_resume cairn_index_applied(struct cairn_index *index, uint16_t partition)
{
    (void)pthread_rwlock_rdlock(&index->lock);
    struct cairn_resume applied = index->applied[partition];
    (void)pthread_rwlock_unlock(&index->lock);
    return applied;
}

/* Seal the oldest generation, if only to have one to write; returns it, or NULL with nothing to do.
 * Takes the waiting snapshots along. */
static enum cairn_rc seal(struct cairn_index *index, struct cairn_generation **ret_oldest,
                          bool *ret_work, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    *ret_oldest = NULL;
    (void)pthread_rwlock_wrlock(&index->lock);
    if (index->generation_count == 1 && newest_of(index)->tail.row_count > 0) {
        rc = cairn_index_push(index, err);
    }
    if (rc == CAIRN_OK && index->generation_count > 1) {
        *ret_oldest = index->generations[0];
    }
    if (rc == CAIRN_OK && index->flushing.count == 0) {
        struct cairn_map taken = index->snapshots;
        index->snapshots = index->flushing;
        index->flushing = taken;
        index->snapshot_bytes = 0;
    }
    *ret_work = *ret_oldest != NULL || index->flushing.count > 0;
    (void)pthread_rwlock_unlock(&index->lock);
    return rc;
}

/* Write the oldest generation. *ret_work: there was something to write. */
static enum cairn_rc flush_one(struct cairn_index *index, bool *ret_work, struct cairn_err *err)
{
    struct cairn_generation *oldest = NULL;
    int64_t start = cairn_clock_monotonic_ns(cairn_clock_system());
    enum cairn_rc rc = seal(index, &oldest, ret_work, err);
    if (rc != CAIRN_OK || !*ret_work) {
        return rc;
    }
    /* Sealed: nobody changes it, and only this thread drops it. */
    if (oldest != NULL && index->options.before_flush != NULL) {
        rc = index->options.before_flush(index->options.before_flush_self, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_index_file_write(index, oldest, err);
    }
    if (rc != CAIRN_OK) {
        return cairn_err_wrap(err, rc, "flush the index");
    }
    (void)pthread_rwlock_wrlock(&index->lock);
    if (oldest != NULL) {
        assert(index->generations[0] == oldest);
        memcpy(index->checkpoint, oldest->ends, sizeof(index->checkpoint));
        index->checkpoint_streams = oldest->streams;
        cairn_index_drop_oldest(index);
    }
    free_snapshots(&index->flushing);
    (void)pthread_rwlock_unlock(&index->lock);
    cairn_metric_inc(index->metric_flushes, 1);
    cairn_metric_observe_ns(index->metric_flush_seconds,
                            cairn_clock_monotonic_ns(cairn_clock_system()) - start);
    return CAIRN_OK;
}

/* All that is in memory when it starts. One caller at a time writes, the others wait their turn. */
enum cairn_rc cairn_index_flush(struct cairn_index *index, struct cairn_err *err)
{
    assert(index->options.writer);
    (void)pthread_mutex_lock(&index->signal);
    while (index->flush_busy) {
        (void)pthread_cond_wait(&index->flushed, &index->signal);
    }
    index->flush_busy = true;
    index->flush_wanted = false;
    (void)pthread_mutex_unlock(&index->signal);

    struct cairn_err failure = {.rc = CAIRN_OK};
    enum cairn_rc rc = CAIRN_OK;
    bool work = true;
    /* Appends that go on meanwhile are for the next time. */
    for (unsigned i = 0; rc == CAIRN_OK && work && i < CAIRN_INDEX_GENERATIONS_MAX; i++) {
        rc = flush_one(index, &work, &failure);
    }
    (void)pthread_mutex_lock(&index->signal);
    index->flush_busy = false;
    index->flush_err = failure;
    index->flush_err.rc = rc;
    index->flush_rounds++;
    (void)pthread_cond_broadcast(&index->flushed);
    (void)pthread_mutex_unlock(&index->signal);
    if (rc != CAIRN_OK && err != NULL) {
        *err = failure;
    }
    return rc;
}

static void *run_flusher(void *self)
{
    struct cairn_index *index = self;
    (void)pthread_mutex_lock(&index->signal);
    while (!index->stopping) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += CAIRN_INDEX_FLUSH_MS / 1000;
        int timed_out = 0;
        while (!index->stopping && !index->flush_wanted && timed_out != ETIMEDOUT) {
            timed_out = pthread_cond_timedwait(&index->wanted, &index->signal, &until);
        }
        if (index->stopping) {
            break;
        }
        bool failed_before = index->flush_err.rc != CAIRN_OK;
        (void)pthread_mutex_unlock(&index->signal);
        struct cairn_err err = {.rc = CAIRN_OK};
        if (cairn_index_flush(index, &err) != CAIRN_OK && !failed_before) {
            cairn_log_error(index->options.log_lines, CAIRN_LOG_ERROR, "eventstore",
                            "the index cannot be written; trying on", &err);
        }
        (void)pthread_mutex_lock(&index->signal);
    }
    (void)pthread_mutex_unlock(&index->signal);
    return NULL;
}

enum cairn_rc cairn_index_start(struct cairn_index *index, struct cairn_err *err)
{
    if (index->options.manual || !index->options.writer) {
        return CAIRN_OK;
    }
    int os = cairn_fault_hit(CAIRN_FAULT_THREAD)
                 ? EAGAIN
                 : pthread_create(&index->thread, NULL, run_flusher, index);
    if (os != 0) {
        return CAIRN_FAIL_OS(err, os, "start the thread that flushes the index");
    }
    index->thread_runs = true;
    return CAIRN_OK;
}

/* Memory's share is full: have a generation written. */
static enum cairn_rc wait_for_room(struct cairn_index *index, struct cairn_err *err)
{
    if (!index->options.writer) {
        return CAIRN_FAIL(err, CAIRN_EBUSY,
                          "the index is too far behind the log; the writer is rebuilding it");
    }
    if (!index->thread_runs) {
        return cairn_index_flush(index, err);
    }
    (void)pthread_mutex_lock(&index->signal);
    uint64_t rounds = index->flush_rounds;
    index->flush_wanted = true;
    (void)pthread_cond_signal(&index->wanted);
    while (index->flush_rounds == rounds) {
        (void)pthread_cond_wait(&index->flushed, &index->signal);
    }
    enum cairn_rc rc = index->flush_err.rc;
    if (rc != CAIRN_OK && err != NULL) {
        *err = index->flush_err;
    }
    (void)pthread_mutex_unlock(&index->signal);
    return rc;
}

static void want_flush(struct cairn_index *index)
{
    (void)pthread_mutex_lock(&index->signal);
    index->flush_wanted = true;
    (void)pthread_cond_signal(&index->wanted);
    (void)pthread_mutex_unlock(&index->signal);
}

enum cairn_rc cairn_index_reserve(struct cairn_index *index, size_t count, struct cairn_err *err)
{
    assert(count <= CAIRN_INDEX_RESERVE_MAX);
    /* Each round frees a generation, unless others take it first: as many rounds as that can go
     * on. */
    for (;;) {
        bool pushed = false;
        bool full = false;
        enum cairn_rc rc = CAIRN_OK;
        (void)pthread_rwlock_wrlock(&index->lock);
        if (newest_of(index)->tail.row_count + index->reserved + count >
            CAIRN_INDEX_GENERATION_ROWS + CAIRN_GROUP_APPENDS_MAX) {
            full = index->generation_count == CAIRN_INDEX_GENERATIONS_MAX;
            if (!full) {
                rc = cairn_index_push(index, err);
                pushed = rc == CAIRN_OK;
            }
        }
        if (rc == CAIRN_OK && !full) {
            rc = cairn_tail_reserve(&newest_of(index)->tail, index->reserved + count);
            if (rc == CAIRN_OK) {
                index->reserved += count;
            } else {
                rc = CAIRN_FAIL(err, rc, "make room in the index");
            }
        }
        (void)pthread_rwlock_unlock(&index->lock);
        if (pushed && index->thread_runs) {
            want_flush(index);
        }
        if (rc != CAIRN_OK || !full) {
            return rc;
        }
        rc = wait_for_room(index, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
}

void cairn_index_release(struct cairn_index *index, size_t count)
{
    (void)pthread_rwlock_wrlock(&index->lock);
    assert(index->reserved >= count);
    index->reserved -= count;
    (void)pthread_rwlock_unlock(&index->lock);
}

/* Remember where a group starts, now and then. Losing a mark costs time only. */
static void mark(struct cairn_index *index, const struct cairn_index_group *group)
{
    struct cairn_generation *generation = newest_of(index);
    if (group->start.offset - index->marked[group->partition] < CAIRN_INDEX_MARK_EVENTS) {
        return;
    }
    if (generation->mark_count == generation->mark_cap) {
        size_t cap = generation->mark_cap == 0 ? 64 : generation->mark_cap * 2;
        struct cairn_index_mark *marks = cairn_mem_realloc(generation->marks, cap * sizeof(*marks));
        if (marks == NULL) {
            return;
        }
        generation->marks = marks;
        generation->mark_cap = cap;
    }
    generation->marks[generation->mark_count++] =
        (struct cairn_index_mark){group->start.offset, group->start.locator, group->partition};
    index->marked[group->partition] = group->start.offset;
}

void cairn_index_apply(struct cairn_index *index, const struct cairn_index_group *group)
{
    (void)pthread_rwlock_wrlock(&index->lock);
    struct cairn_generation *generation = newest_of(index);
    assert(index->reserved >= group->count);
    assert(index->applied[group->partition].offset <= group->start.offset);
    for (size_t i = 0; i < group->count; i++) {
        const struct cairn_index_entry *entry = &group->entries[i];
        cairn_tail_add(&generation->tail, entry->stream, entry->first_version, entry->count,
                       entry->locator);
        index->streams += entry->first_version == 1 ? 1 : 0;
        if (entry->key.size > 0) {
            cairn_tail_add_receipt(&generation->tail, entry->key, group->partition, entry->locator);
        }
    }
    index->reserved -= group->count;
    mark(index, group);
    index->applied[group->partition] = group->end;
    generation->ends[group->partition] = group->end;
    generation->streams = index->streams;
    uint32_t waiting = generation->tail.row_count;
    (void)pthread_rwlock_unlock(&index->lock);
    cairn_metric_set(index->metric_tail_events, (int64_t)waiting);
}

/* Does LMDB hold all that ends there? */
static bool covers(const struct cairn_index *index, const struct cairn_resume *checkpoint,
                   const struct cairn_resume *ends)
{
    for (uint16_t p = 0; p < index->options.partitions; p++) {
        if (checkpoint[p].offset < ends[p].offset) {
            return false;
        }
    }
    return true;
}

enum cairn_rc cairn_index_refresh(struct cairn_index *index, bool reopen, struct cairn_err *err)
{
    struct cairn_resume checkpoint[CAIRN_PARTITIONS_MAX];
    uint64_t streams = 0;
    memset(checkpoint, 0, sizeof(checkpoint));
    assert(!index->options.writer);
    (void)pthread_rwlock_wrlock(&index->kv_lock);
    enum cairn_rc rc = CAIRN_OK;
    if (reopen && index->kv != NULL) {
        rc = cairn_index_file_reopen(index, err);
    } else if (index->kv == NULL) {
        rc = cairn_index_file_open(index, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_index_file_state(index, checkpoint, &streams, err);
    }
    if (rc == CAIRN_EEXIST) {
        cairn_index_file_close(index); /* until its writer has thrown it away */
        rc = CAIRN_ENOENT;
    }
    (void)pthread_rwlock_unlock(&index->kv_lock);
    if (rc != CAIRN_OK) {
        return rc == CAIRN_ENOENT ? CAIRN_OK : rc;
    }
    bool ahead = false;
    (void)pthread_rwlock_wrlock(&index->lock);
    memcpy(index->checkpoint, checkpoint, sizeof(checkpoint));
    index->checkpoint_streams = streams;
    while (index->generation_count > 1 && covers(index, checkpoint, index->generations[0]->ends)) {
        cairn_index_drop_oldest(index);
    }
    for (uint16_t p = 0; p < index->options.partitions; p++) {
        ahead = ahead || checkpoint[p].offset > index->applied[p].offset;
    }
    (void)pthread_rwlock_unlock(&index->lock);
    if (ahead) {
        forget_all(index); /* the stretch between is LMDB's: a tail has no holes */
    }
    return CAIRN_OK;
}
