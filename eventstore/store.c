#include "eventstore/store.h"

#include <assert.h>

#include "eventstore/replica.h"
#include "eventstore/store_int.h"
#include "platform/hash.h"
#include "platform/mem.h"

/* A process that only reads needs no Kafka: the one that writes the folder keeps a replica in it.
 */
static enum cairn_rc open_kafka(const struct cairn_store_options *options,
                                struct cairn_backend **ret_backend, struct cairn_err *err)
{
    if (!options->writer) {
        return cairn_replica_open(options, NULL, ret_backend, err);
    }
    return CAIRN_FAIL(err, CAIRN_EUNSUPPORTED, "a log of the kind '%s' can only be read here",
                      options->log);
}

/* Backends by name; one that ends with ':' is followed by an address. */
static const struct {
    const char *name;
    enum cairn_rc (*open)(const struct cairn_store_options *options,
                          struct cairn_backend **ret_backend, struct cairn_err *err);
} backends[] = {
    {"files", cairn_files_open},
    {"kafka:", open_kafka},
};

static bool is_named(const char *log, const char *name)
{
    size_t size = strlen(name);
    return strncmp(log, name, size) == 0 && (name[size - 1] == ':' || log[size] == '\0');
}

static enum cairn_rc open_backend(const struct cairn_store_options *options,
                                  struct cairn_backend **ret_backend, struct cairn_err *err)
{
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        if (options->log == NULL || is_named(options->log, backends[i].name)) {
            return backends[i].open(options, ret_backend, err);
        }
    }
    return CAIRN_FAIL(err, CAIRN_EUNSUPPORTED, "there is no log of the kind '%s'", options->log);
}

static enum cairn_rc sync_backend(void *self, struct cairn_err *err)
{
    struct cairn_backend *backend = self;
    return backend->ops->sync(backend, err);
}

static enum cairn_rc open_index(struct cairn_store *store,
                                const struct cairn_store_options *options, struct cairn_err *err)
{
    char folder[CAIRN_PATH_MAX];
    if (cairn_file_join(folder, options->data_folder, "index") != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "%s: the path is too long", options->data_folder);
    }
    struct cairn_index_options index = {.folder = folder,
                                        .writer = options->writer,
                                        .manual = options->manual_flush,
                                        .partitions = store->partitions,
                                        .log_lines = options->log_lines,
                                        .metrics = options->metrics};
    if (options->writer && store->backend->ops->sync != NULL) {
        index.before_flush = sync_backend;
        index.before_flush_self = store->backend;
    }
    store->backend->ops->identity(store->backend, index.log_id);
    return cairn_index_open(&index, &store->index, err);
}

/* Find the end of every partition, and bring the index up to it. */
static enum cairn_rc recover(struct cairn_store *store, struct cairn_err *err)
{
    bool all_good = true;
    for (uint16_t p = 0; p < store->partitions; p++) {
        bool good = false;
        enum cairn_rc rc = store->backend->ops->recover(
            store->backend, p, cairn_index_applied(store->index, p), &good, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        all_good = all_good && good;
    }
    if (!all_good) {
        enum cairn_rc rc = cairn_index_reset(store->index, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    enum cairn_rc rc = cairn_store_follow(store, true, err);
    return rc == CAIRN_OK ? cairn_index_start(store->index, err) : rc;
}

static void add_metrics(struct cairn_store *store, struct cairn_metrics *metrics)
{
    if (metrics == NULL || !store->writer) {
        return;
    }
    store->metric_events = cairn_metrics_add(metrics, CAIRN_COUNTER, "cairn_log_events_total", NULL,
                                             "Events appended to the log.");
    store->metric_groups = cairn_metrics_add(metrics, CAIRN_COUNTER, "cairn_log_groups_total", NULL,
                                             "Groups committed, each with one sync.");
    store->metric_commit_seconds =
        cairn_metrics_add(metrics, CAIRN_HISTOGRAM, "cairn_log_commit_seconds", NULL,
                          "Time to write and sync a group.");
    store->metric_stopped =
        cairn_metrics_add(metrics, CAIRN_GAUGE, "cairn_log_stopped", NULL,
                          "1 when a write or sync has failed and the log takes no more.");
}

enum cairn_rc cairn_store_open(const struct cairn_store_options *options,
                               struct cairn_store **ret_store, struct cairn_err *err)
{
    struct cairn_backend *backend = NULL;
    assert(options->data_folder != NULL && ret_store != NULL);
    enum cairn_rc rc = open_backend(options, &backend, err);
    return rc == CAIRN_OK ? cairn_store_open_on(options, backend, ret_store, err) : rc;
}

enum cairn_rc cairn_store_open_on(const struct cairn_store_options *options,
                                  struct cairn_backend *backend, struct cairn_store **ret_store,
                                  struct cairn_err *err)
{
    struct cairn_store *store = cairn_mem_zalloc(1, sizeof(*store));
    if (store == NULL) {
        backend->ops->close(backend);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "open the event store");
    }
    store->backend = backend;
    store->writer = options->writer;
    store->clock = options->clock == NULL ? cairn_clock_system() : options->clock;
    store->log_lines = options->log_lines;
    store->partitions = backend->ops->partitions(backend);
    (void)pthread_mutex_init(&store->lock, NULL);
    (void)pthread_cond_init(&store->turn, NULL);
    add_metrics(store, options->metrics);
    store->parts = cairn_mem_zalloc(store->partitions, sizeof(*store->parts));
    enum cairn_rc rc = store->parts == NULL ? CAIRN_FAIL(err, CAIRN_ENOMEM, "open the event store")
                                            : open_index(store, options, err);
    if (rc == CAIRN_OK && store->writer) {
        rc = recover(store, err);
    }
    if (rc != CAIRN_OK) {
        cairn_index_close(store->index);
        store->index = NULL;
        cairn_store_close(store);
        return rc;
    }
    *ret_store = store;
    return CAIRN_OK;
}

void cairn_store_close(struct cairn_store *store)
{
    if (store == NULL) {
        return;
    }
    struct cairn_err err = {.rc = CAIRN_OK};
    if (store->index != NULL && store->writer &&
        cairn_index_flush(store->index, &err) != CAIRN_OK) {
        /* The log has it all: the next start reads it again. */
        cairn_log_error(store->log_lines, CAIRN_LOG_WARN, "eventstore", "index not flushed", &err);
    }
    cairn_index_close(store->index);
    if (store->backend != NULL) {
        store->backend->ops->close(store->backend);
    }
    for (uint16_t p = 0; store->parts != NULL && p < store->partitions; p++) {
        cairn_mem_free(store->parts[p].accepted);
        cairn_mem_free(store->parts[p].locators);
        cairn_mem_free(store->parts[p].entries);
        cairn_mem_free(store->parts[p].pending);
    }
    cairn_mem_free(store->parts);
    (void)pthread_cond_destroy(&store->turn);
    (void)pthread_mutex_destroy(&store->lock);
    cairn_mem_free(store);
}

uint16_t cairn_store_partitions(const struct cairn_store *store)
{
    return store->partitions;
}

uint16_t cairn_store_partition_of(const struct cairn_store *store, struct cairn_slice stream)
{
    if (store->partitions == 1) {
        return 0;
    }
    return (uint16_t)(cairn_hash_murmur2(cairn_stream_id(stream)) % store->partitions);
}

static void stop(struct cairn_store *store, const struct cairn_err *why)
{
    bool first = false;
    (void)pthread_mutex_lock(&store->lock);
    if (!atomic_load(&store->stopped)) {
        store->why = *why;
        atomic_store(&store->stopped, true);
        first = true;
    }
    (void)pthread_mutex_unlock(&store->lock);
    if (first) {
        cairn_metric_set(store->metric_stopped, 1);
        cairn_log_error(store->log_lines, CAIRN_LOG_ERROR, "eventstore",
                        "the log takes no more: restart after the cause is gone", why);
    }
}

bool cairn_store_stopped(struct cairn_store *store, struct cairn_err *ret_err)
{
    if (!atomic_load(&store->stopped)) {
        return false;
    }
    if (ret_err != NULL) {
        (void)pthread_mutex_lock(&store->lock);
        *ret_err = store->why;
        (void)pthread_mutex_unlock(&store->lock);
    }
    return true;
}

/* One of the three arrays of a part. */
static bool grow(void **array, size_t count, size_t item)
{
    void *grown = cairn_mem_realloc(*array, count * item);
    if (grown != NULL) {
        *array = grown;
    }
    return grown != NULL;
}

static enum cairn_rc make_room(struct cairn_store_part *part, size_t count, struct cairn_err *err)
{
    if (count <= part->cap) {
        return CAIRN_OK;
    }
    size_t cap = part->cap == 0 ? 16 : part->cap;
    while (cap < count) {
        cap *= 2;
    }
    void *accepted = part->accepted;
    void *locators = part->locators;
    void *entries = part->entries;
    bool ok = grow(&accepted, cap, sizeof(struct cairn_append *));
    part->accepted = accepted;
    ok = ok && grow(&locators, cap, sizeof(*part->locators));
    part->locators = locators;
    ok = ok && grow(&entries, cap, sizeof(*part->entries));
    part->entries = entries;
    struct cairn_pending *pending = ok ? cairn_mem_zalloc(2 * cap, sizeof(*pending)) : NULL;
    if (pending == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "append %zu commands", count);
    }
    cairn_mem_free(part->pending);
    part->pending = pending;
    part->pending_cap = 2 * cap;
    part->cap = cap;
    return CAIRN_OK;
}

/* The place of a stream among those that this group has met. */
static struct cairn_pending *pending_of(struct cairn_store_part *part, struct cairn_slice stream)
{
    size_t mask = part->pending_cap - 1;
    for (size_t at = cairn_hash64(stream) & mask;; at = (at + 1) & mask) {
        struct cairn_pending *pending = &part->pending[at];
        if (pending->round != part->round || cairn_slice_equal(pending->stream, stream)) {
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

/* Check what each append expects, number those that may go. */
static enum cairn_rc check(struct cairn_store *store, uint16_t partition,
                           struct cairn_append *appends, size_t count, size_t *ret_accepted,
                           struct cairn_err *err)
{
    struct cairn_store_part *part = &store->parts[partition];
    size_t accepted = 0;
    part->round++;
    for (size_t i = 0; i < count; i++) {
        struct cairn_append *append = &appends[i];
        assert(append->count > 0 && append->count <= CAIRN_EVENTS_PER_COMMAND_MAX);
        assert(append->expected >= CAIRN_EXPECT_ANY);
        assert(cairn_store_partition_of(store, append->stream) == partition);
        struct cairn_pending *pending = pending_of(part, append->stream);
        if (pending->round != part->round) {
            uint64_t head = 0;
            enum cairn_rc rc = cairn_index_head(store->index, append->stream, &head, err);
            if (rc != CAIRN_OK) {
                return rc;
            }
            *pending = (struct cairn_pending){part->round, append->stream, head};
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
        part->accepted[accepted++] = append;
    }
    *ret_accepted = accepted;
    return CAIRN_OK;
}

static enum cairn_rc commit(struct cairn_store *store, uint16_t partition, size_t count,
                            struct cairn_err *err)
{
    struct cairn_store_part *part = &store->parts[partition];
    struct cairn_backend *backend = store->backend;
    struct cairn_err why = {.rc = CAIRN_OK};
    struct cairn_commit commit = {.partition = partition,
                                  .appends = part->accepted,
                                  .count = count,
                                  .time_us = cairn_clock_now_us(store->clock),
                                  .locators = part->locators};
    int64_t start_ns = cairn_clock_monotonic_ns(store->clock);
    enum cairn_rc rc = backend->ops->commit(backend, &commit, &why);
    if (rc != CAIRN_OK) {
        if (commit.stop) {
            stop(store, &why);
        }
        if (err != NULL) {
            *err = why;
        }
        return rc;
    }
    cairn_metric_observe_ns(store->metric_commit_seconds,
                            cairn_clock_monotonic_ns(store->clock) - start_ns);
    for (size_t i = 0; i < count; i++) {
        const struct cairn_append *append = part->accepted[i];
        part->entries[i] = (struct cairn_index_entry){.stream = append->stream,
                                                      .key = append->events[0].key,
                                                      .first_version = append->events[0].version,
                                                      .locator = part->locators[i],
                                                      .count = append->count};
    }
    struct cairn_index_group group = {
        .partition = partition,
        .entries = part->entries,
        .count = count,
        .start = {part->accepted[0]->events[0].offset - 1, commit.start},
        .end = {commit.end, commit.resume}};
    /* The index first: who sees the log's end finds its streams there. */
    cairn_index_apply(store->index, &group);
    backend->ops->publish(backend, partition, commit.end);
    cairn_metric_inc(store->metric_groups, 1);
    cairn_metric_inc(store->metric_events, commit.end - group.start.offset);
    return CAIRN_OK;
}

enum cairn_rc cairn_store_append(struct cairn_store *store, uint16_t partition,
                                 struct cairn_append *appends, size_t count, struct cairn_err *err)
{
    assert(store->writer && partition < store->partitions);
    assert(count > 0 && count <= CAIRN_GROUP_APPENDS_MAX);
    if (atomic_load(&store->stopped)) {
        struct cairn_err why = {.rc = CAIRN_OK};
        (void)cairn_store_stopped(store, &why);
        return CAIRN_FAIL(err, CAIRN_ESTOPPED, "the log takes no more since: %.300s", why.text);
    }
    size_t accepted = 0;
    enum cairn_rc rc = make_room(&store->parts[partition], count, err);
    if (rc == CAIRN_OK) {
        rc = check(store, partition, appends, count, &accepted, err);
    }
    if (rc != CAIRN_OK || accepted == 0) {
        return rc;
    }
    rc = cairn_index_reserve(store->index, accepted, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = commit(store, partition, accepted, err);
    if (rc != CAIRN_OK) {
        cairn_index_release(store->index, accepted);
    }
    return rc;
}

enum cairn_rc cairn_store_end(struct cairn_store *store, struct cairn_position *ret_end,
                              struct cairn_err *err)
{
    (void)err; /* the embedded log's end is in memory; others may have to ask */
    memset(ret_end, 0, sizeof(*ret_end));
    for (uint16_t p = 0; p < store->partitions; p++) {
        ret_end->offsets[p] = store->backend->ops->end(store->backend, p);
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_store_wait(struct cairn_store *store, const struct cairn_position *seen,
                               int timeout_ms, bool *ret_more, struct cairn_err *err)
{
    assert(timeout_ms >= 0);
    return store->backend->ops->wait(store->backend, seen, timeout_ms, ret_more, err);
}

void cairn_store_wake(struct cairn_store *store)
{
    store->backend->ops->wake(store->backend);
}

enum cairn_rc cairn_store_flush(struct cairn_store *store, struct cairn_err *err)
{
    return cairn_index_flush(store->index, err);
}

enum cairn_rc cairn_store_stats(struct cairn_store *store, struct cairn_store_stats *ret_stats,
                                struct cairn_err *err)
{
    struct cairn_store_stats stats = {0};
    enum cairn_rc rc = cairn_store_catch_up(store, err);
    if (rc == CAIRN_OK) {
        rc = store->backend->ops->stats(store->backend, &stats, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    for (uint16_t p = 0; p < store->partitions; p++) {
        stats.events += store->backend->ops->end(store->backend, p);
    }
    stats.streams = cairn_index_streams(store->index);
    stats.index_bytes = cairn_index_bytes(store->index);
    *ret_stats = stats;
    return CAIRN_OK;
}
