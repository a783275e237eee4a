#include "eventstore/store.h"

#include <assert.h>

#include "eventstore/replica.h"
#include "eventstore/store_int.h"
#include "platform/mem.h"

/* A process that only reads needs no Kafka: the one that writes the folder keeps a replica in it.
 */
static enum cairn_rc open_kafka(const struct cairn_store_options *options,
                                struct cairn_backend **ret_backend, struct cairn_err *err)
{
    if (!options->writer) {
        return cairn_replica_open(options, NULL, ret_backend, err);
    }
    return cairn_kafka_open(options, ret_backend, err);
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
    if (store->backend->ops->replicate != NULL) {
        store->metric_delivered =
            cairn_metrics_add(metrics, CAIRN_COUNTER, "cairn_log_delivered_events_total", NULL,
                              "Events that others wrote to the log, taken in.");
    }
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
    store->opened_us = cairn_clock_now_us(store->clock);
    store->log_lines = options->log_lines;
    store->partitions = backend->ops->partitions(backend);
    (void)pthread_mutex_init(&store->lock, NULL);
    (void)pthread_cond_init(&store->turn, NULL);
    add_metrics(store, options->metrics);
    store->lane_count = backend->ops->lanes(backend);
    store->lanes = cairn_mem_zalloc(store->lane_count, sizeof(*store->lanes));
    enum cairn_rc rc = store->lanes == NULL ? CAIRN_FAIL(err, CAIRN_ENOMEM, "open the event store")
                                            : open_index(store, options, err);
    if (rc == CAIRN_OK && store->writer) {
        rc = recover(store, err);
    }
    if (rc == CAIRN_OK && store->writer && backend->ops->start != NULL) {
        rc = backend->ops->start(backend, store, err);
    }
    if (rc != CAIRN_OK) {
        if (backend->ops->stop != NULL) {
            backend->ops->stop(backend);
        }
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
    if (store->backend != NULL && store->backend->ops->stop != NULL) {
        store->backend->ops->stop(store->backend);
    }
    if (store->index != NULL && store->writer &&
        cairn_index_flush(store->index, &err) != CAIRN_OK) {
        /* The log has it all: the next start reads it again. */
        cairn_log_error(store->log_lines, CAIRN_LOG_WARN, "eventstore", "index not flushed", &err);
    }
    cairn_index_close(store->index);
    if (store->backend != NULL) {
        store->backend->ops->close(store->backend);
    }
    for (uint16_t i = 0; store->lanes != NULL && i < store->lane_count; i++) {
        cairn_store_lane_fini(&store->lanes[i]);
    }
    cairn_mem_free(store->lanes);
    cairn_store_intakes_free(store);
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
    uint16_t partition = CAIRN_PARTITION_NONE;
    enum cairn_rc rc = store->backend->ops->find(store->backend, stream, &partition);
    assert(rc == CAIRN_OK ? partition < store->partitions : partition == CAIRN_PARTITION_NONE);
    return partition;
}

uint16_t cairn_store_lanes(const struct cairn_store *store)
{
    return store->lane_count;
}

uint16_t cairn_store_lane_of(const struct cairn_store *store, struct cairn_slice stream)
{
    return cairn_lane_of_id(cairn_stream_id(stream), store->lane_count);
}

void cairn_store_stop(struct cairn_store *store, const struct cairn_err *why)
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

enum cairn_rc cairn_store_reachable(struct cairn_store *store, struct cairn_err *err)
{
    const struct cairn_backend_ops *ops = store->backend->ops;
    return ops->reachable == NULL ? CAIRN_OK : ops->reachable(store->backend, err);
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
