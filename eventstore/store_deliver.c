#include "eventstore/store_deliver.h"

#include <assert.h>

#include "eventstore/record.h"
#include "eventstore/store_int.h"
#include "platform/mem.h"

static_assert(CAIRN_DELIVERY_APPENDS_MAX <= CAIRN_INDEX_RESERVE_MAX,
              "a delivery fits one reservation");

/* ---- memory ---- */

static void free_intake(struct cairn_store_intake *intake)
{
    cairn_store_lane_fini(&intake->lane);
    cairn_mem_free(intake->heads);
    cairn_mem_free(intake->streams);
    cairn_mem_free(intake);
}

void cairn_store_intakes_free(struct cairn_store *store)
{
    while (store->intakes != NULL) {
        struct cairn_store_intake *intake = store->intakes;
        store->intakes = intake->next;
        free_intake(intake);
    }
}

static bool reserve(struct cairn_store_intake *intake, size_t count)
{
    if (count <= intake->cap) {
        return true;
    }
    struct cairn_index_head *heads =
        cairn_mem_realloc(intake->heads, count * sizeof(*intake->heads));
    intake->heads = heads != NULL ? heads : intake->heads;
    uint32_t *streams =
        heads == NULL ? NULL : cairn_mem_realloc(intake->streams, count * sizeof(*intake->streams));
    intake->streams = streams != NULL ? streams : intake->streams;
    intake->cap = streams != NULL ? count : intake->cap;
    return streams != NULL;
}

static void give_back(struct cairn_store *store, struct cairn_store_intake *intake)
{
    (void)pthread_mutex_lock(&store->lock);
    intake->next = store->intakes;
    store->intakes = intake;
    (void)pthread_mutex_unlock(&store->lock);
}

/* As many as there are threads that deliver. */
static enum cairn_rc take_intake(struct cairn_store *store, size_t count,
                                 struct cairn_store_intake **ret_intake, struct cairn_err *err)
{
    (void)pthread_mutex_lock(&store->lock);
    struct cairn_store_intake *intake = store->intakes;
    if (intake != NULL) {
        store->intakes = intake->next;
    }
    (void)pthread_mutex_unlock(&store->lock);
    if (intake == NULL) {
        intake = cairn_mem_zalloc(1, sizeof(*intake));
    }
    if (intake == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "take in %zu commands", count);
    }
    enum cairn_rc rc = cairn_store_lane_reserve(&intake->lane, count, 1, err);
    if (rc == CAIRN_OK && !reserve(intake, intake->lane.cap)) {
        rc = CAIRN_FAIL(err, CAIRN_ENOMEM, "take in %zu commands", count);
    }
    if (rc != CAIRN_OK) {
        give_back(store, intake);
        return rc;
    }
    *ret_intake = intake;
    return CAIRN_OK;
}

/* ---- checking ---- */

/* Which streams are there? Returns their number. */
static size_t collect(struct cairn_store_intake *intake, const struct cairn_delivery *delivery)
{
    struct cairn_store_lane *lane = &intake->lane;
    size_t count = 0;
    lane->round++;
    for (size_t i = 0; i < delivery->count; i++) {
        struct cairn_append *append = &delivery->appends[i];
        assert(append->count > 0 && append->stream.size > 0);
        struct cairn_pending *pending = cairn_store_pending(lane, append->stream);
        if (pending->round != lane->round) {
            *pending = (struct cairn_pending){
                .round = lane->round, .stream = append->stream, .version = count};
            intake->heads[count++] = (struct cairn_index_head){append->stream, 0};
        }
        intake->streams[i] = (uint32_t)pending->version;
        lane->accepted[i] = append;
        lane->partitions[i] = delivery->partition;
    }
    return count;
}

static enum cairn_rc refuse(const struct cairn_delivery *delivery,
                            const struct cairn_append *append, uint64_t version, uint64_t head,
                            struct cairn_err *err)
{
    return CAIRN_FAIL(err, CAIRN_ECORRUPT,
                      "version %llu of %.*s follows version %llu, in partition %u before offset "
                      "%llu of its source",
                      (unsigned long long)version, CAIRN_SLICE_ARG(append->stream),
                      (unsigned long long)head, (unsigned)delivery->partition,
                      (unsigned long long)delivery->source);
}

/* Versions without gap or repeat, and in each command all its events. */
static enum cairn_rc check(struct cairn_store_intake *intake, const struct cairn_delivery *delivery,
                           struct cairn_err *err)
{
    for (size_t i = 0; i < delivery->count; i++) {
        const struct cairn_append *append = &delivery->appends[i];
        uint64_t *head = &intake->heads[intake->streams[i]].version;
        for (uint16_t e = 0; e < append->count; e++) {
            const struct cairn_event *event = &append->events[e];
            if (event->version != *head + 1) {
                return refuse(delivery, append, event->version, *head, err);
            }
            if (event->index != e || event->count != append->count ||
                !cairn_slice_equal(event->stream, append->stream)) {
                return CAIRN_FAIL(err, CAIRN_ECORRUPT,
                                  "version %llu of %.*s is torn from its command, in partition %u "
                                  "before offset %llu of its source",
                                  (unsigned long long)event->version,
                                  CAIRN_SLICE_ARG(append->stream), (unsigned)delivery->partition,
                                  (unsigned long long)delivery->source);
            }
            *head += 1;
        }
    }
    return CAIRN_OK;
}

/* ---- writing ---- */

static size_t bytes_of(const struct cairn_append *append)
{
    size_t bytes = 0;
    /* One that does not fit is refused by the backend. */
    (void)cairn_records_size(append->events, append->count, &bytes, NULL);
    return bytes;
}

/* Appends from `from` on that fit one group: at least one. */
static size_t group_from(const struct cairn_delivery *delivery, size_t from)
{
    size_t bytes = bytes_of(&delivery->appends[from]);
    size_t count = 1;
    while (from + count < delivery->count && count < CAIRN_GROUP_APPENDS_MAX) {
        bytes += bytes_of(&delivery->appends[from + count]);
        if (bytes > CAIRN_GROUP_BYTES_MAX) {
            break;
        }
        count++;
    }
    return count;
}

/* Write all groups. Only the last one has a source: a stop in between leaves nothing. *ret_begun:
 * a group was written, whatever became of the others. */
static enum cairn_rc write_groups(struct cairn_store *store, struct cairn_store_lane *lane,
                                  const struct cairn_delivery *delivery,
                                  struct cairn_commit_part *ret_all, bool *ret_begun,
                                  struct cairn_err *err)
{
    *ret_begun = false;
    for (size_t from = 0; from < delivery->count;) {
        struct cairn_commit_part part = {0};
        struct cairn_commit commit = {.lane = delivery->partition % store->lane_count,
                                      .appends = lane->accepted + from,
                                      .partitions = lane->partitions + from,
                                      .count = group_from(delivery, from),
                                      .time_us = cairn_clock_now_us(store->clock),
                                      .locators = lane->locators + from,
                                      .parts = &part};
        bool last = from + commit.count == delivery->count;
        enum cairn_rc rc = store->backend->ops->replicate(store->backend, &commit,
                                                          last ? delivery->source : 0, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        if (from == 0) {
            *ret_all = part;
        }
        ret_all->end = part.end;
        ret_all->resume = part.resume;
        *ret_begun = true;
        from += commit.count;
    }
    return CAIRN_OK;
}

static enum cairn_rc deliver(struct cairn_store *store, struct cairn_store_intake *intake,
                             const struct cairn_delivery *delivery, bool *ret_stop,
                             struct cairn_err *err)
{
    struct cairn_store_lane *lane = &intake->lane;
    struct cairn_commit_part all = {0};
    size_t streams = collect(intake, delivery);
    enum cairn_rc rc = cairn_index_heads(store->index, intake->heads, streams, err);
    if (rc == CAIRN_OK) {
        rc = check(intake, delivery, err);
        *ret_stop = rc != CAIRN_OK;
    }
    if (rc == CAIRN_OK) {
        rc = cairn_index_reserve(store->index, delivery->count, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = write_groups(store, lane, delivery, &all, ret_stop, err);
    if (rc != CAIRN_OK) {
        cairn_index_release(store->index, delivery->count);
        return rc;
    }
    *ret_stop = false;
    struct cairn_commit whole = {.appends = lane->accepted,
                                 .partitions = lane->partitions,
                                 .count = delivery->count,
                                 .locators = lane->locators};
    uint64_t events = cairn_store_apply(store, lane, &whole, &all);
    store->backend->ops->publish(store->backend, delivery->partition, all.end);
    cairn_metric_inc(store->metric_delivered, events);
    return CAIRN_OK;
}

enum cairn_rc cairn_store_deliver(struct cairn_store *store, const struct cairn_delivery *delivery,
                                  struct cairn_err *err)
{
    assert(store->writer && store->backend->ops->replicate != NULL);
    assert(delivery->partition < store->partitions && delivery->source > 0);
    assert(delivery->count > 0 && delivery->count <= CAIRN_DELIVERY_APPENDS_MAX);
    struct cairn_err why = {.rc = CAIRN_OK};
    struct cairn_store_intake *intake = NULL;
    bool stop = false;
    if (cairn_store_stopped(store, &why)) {
        return CAIRN_FAIL(err, CAIRN_ESTOPPED, "the log takes no more since: %.300s", why.text);
    }
    enum cairn_rc rc = take_intake(store, delivery->count, &intake, &why);
    if (rc == CAIRN_OK) {
        rc = deliver(store, intake, delivery, &stop, &why);
        give_back(store, intake);
    }
    if (stop) {
        cairn_store_stop(store, &why);
    }
    if (rc != CAIRN_OK && err != NULL) {
        *err = why;
    }
    return rc;
}
