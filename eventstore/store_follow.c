/* The index follows the log: all of it at open, its newest part in a process that only reads. */
#include <assert.h>

#include "eventstore/store_int.h"
#include "platform/mem.h"

/* Events read at once; what a batch of whole groups adds fits one reservation. */
#define FOLLOW_EVENTS_MAX 1024u

static_assert(FOLLOW_EVENTS_MAX + CAIRN_GROUP_APPENDS_MAX <= CAIRN_INDEX_RESERVE_MAX,
              "a batch fits one reservation");

struct follow {
    struct cairn_store *store;
    struct cairn_index_entry *entries; /* CAIRN_INDEX_RESERVE_MAX */
    bool progress;
    uint64_t done, all; /* events */
    int64_t started_ns, told_ns;
};

static void tell(struct follow *follow, bool last)
{
    int64_t now = cairn_clock_monotonic_ns(cairn_clock_system());
    bool due = now - follow->told_ns >= 1000000000;
    bool said_before = follow->told_ns != follow->started_ns;
    if (!follow->progress || !(due || (last && said_before))) {
        return;
    }
    double seconds = (double)(now - follow->started_ns) / 1e9;
    double rate = seconds > 0 ? (double)follow->done / seconds : 0;
    follow->told_ns = now;
    cairn_log_event(follow->store->log_lines, CAIRN_LOG_INFO, "eventstore", "index follows the log",
                    CAIRN_F_UINT("events", follow->done), CAIRN_F_UINT("of", follow->all),
                    CAIRN_F_FLOAT("events_per_second", rate));
}

static enum cairn_rc apply_batch(struct follow *follow, uint16_t partition,
                                 const struct cairn_batch *batch, struct cairn_err *err)
{
    size_t count = 0;
    const struct cairn_event *last = &batch->events[batch->count - 1];
    for (size_t i = 0; i < batch->count; i++) {
        const struct cairn_event *event = &batch->events[i];
        if (event->index == 0) {
            assert(count < CAIRN_INDEX_RESERVE_MAX);
            follow->entries[count] = (struct cairn_index_entry){.stream = event->stream,
                                                                .key = event->key,
                                                                .first_version = event->version,
                                                                .locator = batch->locators[i],
                                                                .count = event->count};
            count++;
        }
    }
    enum cairn_rc rc = cairn_index_reserve(follow->store->index, count, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_index_group group = {.partition = partition,
                                      .entries = follow->entries,
                                      .count = count,
                                      .start = {batch->events[0].offset - 1, batch->start},
                                      .end = {last->offset, batch->resume}};
    cairn_index_apply(follow->store->index, &group);
    return CAIRN_OK;
}

static enum cairn_rc follow_partition(struct follow *follow, uint16_t partition,
                                      struct cairn_err *err)
{
    struct cairn_backend *backend = follow->store->backend;
    struct cairn_resume from = cairn_index_applied(follow->store->index, partition);
    struct cairn_backend_reader *reader = NULL;
    if (backend->ops->end(backend, partition) <= from.offset) {
        return CAIRN_OK;
    }
    enum cairn_rc rc =
        backend->ops->reader_open(backend, partition, from.offset, from, &reader, err);
    while (rc == CAIRN_OK) {
        struct cairn_batch batch = {0};
        rc = backend->ops->reader_next(reader, FOLLOW_EVENTS_MAX, &batch, err);
        if (rc != CAIRN_OK || batch.count == 0) {
            break;
        }
        rc = apply_batch(follow, partition, &batch, err);
        follow->done += batch.count;
        tell(follow, false);
    }
    backend->ops->reader_close(reader);
    return rc;
}

enum cairn_rc cairn_store_follow(struct cairn_store *store, bool progress, struct cairn_err *err)
{
    struct cairn_backend *backend = store->backend;
    int64_t now = cairn_clock_monotonic_ns(cairn_clock_system());
    struct follow follow = {
        .store = store, .progress = progress, .started_ns = now, .told_ns = now};
    follow.entries = cairn_mem_alloc(CAIRN_INDEX_RESERVE_MAX * sizeof(*follow.entries));
    if (follow.entries == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "follow the log");
    }
    for (uint16_t p = 0; p < store->partitions; p++) {
        uint64_t end = backend->ops->end(backend, p);
        uint64_t applied = cairn_index_applied(store->index, p).offset;
        follow.all += end > applied ? end - applied : 0;
    }
    enum cairn_rc rc = CAIRN_OK;
    for (uint16_t p = 0; rc == CAIRN_OK && p < store->partitions; p++) {
        rc = follow_partition(&follow, p, err);
    }
    tell(&follow, true);
    cairn_mem_free(follow.entries);
    return rc;
}

static bool is_fresh(struct cairn_store *store)
{
    for (uint16_t p = 0; p < store->partitions; p++) {
        if (store->backend->ops->end(store->backend, p) >
            cairn_index_applied(store->index, p).offset) {
            return false;
        }
    }
    return true;
}

/* The one whose turn it is. An index that stays behind may be a file that the writer replaced. */
static enum cairn_rc follow_here(struct cairn_store *store, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_index_refresh(store->index, false, err);
    if (rc == CAIRN_OK) {
        rc = cairn_store_follow(store, false, err);
    }
    if (rc == CAIRN_EBUSY) {
        rc = cairn_index_refresh(store->index, true, err);
        if (rc == CAIRN_OK) {
            rc = cairn_store_follow(store, false, err);
        }
    }
    return rc;
}

bool cairn_store_replaced(const struct cairn_store *store)
{
    const struct cairn_backend_ops *ops = store->backend->ops;
    assert(ops != NULL);
    return ops->replaced != NULL && ops->replaced(store->backend);
}

enum cairn_rc cairn_store_blame(struct cairn_store *store, enum cairn_rc rc, struct cairn_err *err)
{
    struct cairn_backend *backend = store->backend;
    struct cairn_err gone = {.rc = CAIRN_OK};
    if (rc == CAIRN_OK || backend->ops->look == NULL) {
        return rc;
    }
    enum cairn_rc looked = backend->ops->look(backend, true, &gone);
    if (looked != CAIRN_OK && err != NULL) {
        *err = gone;
    }
    return looked != CAIRN_OK ? looked : rc;
}

enum cairn_rc cairn_store_catch_up(struct cairn_store *store, struct cairn_err *err)
{
    if (store->writer) {
        return CAIRN_OK;
    }
    if (store->backend->ops->look != NULL) {
        enum cairn_rc there = store->backend->ops->look(store->backend, false, err);
        if (there != CAIRN_OK) {
            return there;
        }
    }
    if (is_fresh(store)) {
        return CAIRN_OK;
    }
    (void)pthread_mutex_lock(&store->lock);
    while (store->following) {
        (void)pthread_cond_wait(&store->turn, &store->lock);
    }
    store->following = true;
    (void)pthread_mutex_unlock(&store->lock);
    enum cairn_rc rc = is_fresh(store) ? CAIRN_OK : follow_here(store, err);
    rc = cairn_store_blame(store, rc, err);
    (void)pthread_mutex_lock(&store->lock);
    store->following = false;
    (void)pthread_cond_broadcast(&store->turn);
    (void)pthread_mutex_unlock(&store->lock);
    return rc;
}
