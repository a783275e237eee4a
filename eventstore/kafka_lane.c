/* A lane in this node's hands: taken, served, mended, given up. */
#include <assert.h>

#include "eventstore/kafka_int.h"
#include "eventstore/store_int.h"

/* ---- one thread at a time ---- */

void cairn_kafka_lane_acquire(struct cairn_kafka_lane *lane)
{
    (void)pthread_mutex_lock(&lane->lock);
    while (lane->busy) {
        (void)pthread_cond_wait(&lane->idle, &lane->lock);
    }
    lane->busy = true;
    (void)pthread_mutex_unlock(&lane->lock);
}

void cairn_kafka_lane_release(struct cairn_kafka_lane *lane)
{
    (void)pthread_mutex_lock(&lane->lock);
    assert(lane->busy);
    lane->busy = false;
    (void)pthread_cond_broadcast(&lane->idle);
    (void)pthread_mutex_unlock(&lane->lock);
}

static void set_serving(struct cairn_kafka_lane *lane, bool serving)
{
    (void)pthread_mutex_lock(&lane->lock);
    lane->serving = serving;
    (void)pthread_mutex_unlock(&lane->lock);
}

bool cairn_kafka_lane_serves(struct cairn_kafka_lane *lane)
{
    (void)pthread_mutex_lock(&lane->lock);
    bool serving = lane->serving;
    (void)pthread_mutex_unlock(&lane->lock);
    return serving;
}

enum cairn_rc cairn_kafka_lane_refuse(const struct cairn_kafka_lane *lane, struct cairn_err *err)
{
    return CAIRN_FAIL(err, CAIRN_ENOOWNER, "this node does not own partition %u",
                      (unsigned)lane->number);
}

/* ---- the lane's partitions, topic by topic ---- */

uint16_t cairn_kafka_lane_partition(const struct cairn_kafka_lane *lane, uint16_t topic)
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
        uint16_t partition = cairn_kafka_lane_partition(lane, t);
        uint64_t source = cairn_replica_source(kafka->replica, partition);
        if (cairn_kafka_tail_start(kafka->tail, partition, source, &err) != CAIRN_OK) {
            cairn_store_stop(kafka->store, &err);
        }
    }
}

enum cairn_rc cairn_kafka_lane_read_to_end(struct cairn_kafka_lane *lane, int timeout_ms,
                                           struct cairn_err *err)
{
    struct cairn_kafka *kafka = lane->kafka;
    for (uint16_t t = 0; t < kafka->layout.topic_count; t++) {
        uint16_t partition = cairn_kafka_lane_partition(lane, t);
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

/* ---- held or not ---- */

/* The cluster takes no beats of this node, so it will take no group either. self: the lane. */
static bool is_lost(void *self)
{
    const struct cairn_kafka_lane *lane = self;
    char trouble[CAIRN_KAFKA_TROUBLE_MAX];
    return cairn_kafka_control_silence_ms(lane->kafka->control, trouble) >
           CAIRN_KAFKA_SILENCE_MS_MAX;
}

/* Fence the lane's producers and read it to its end: a new term. From then on its events come from
 * the writer, and the tail reads them no more. The lane must not be held; after a failure it is
 * not. */
static enum cairn_rc hold(struct cairn_kafka_lane *lane, unsigned fence_ids, struct cairn_err *err)
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
        .lost = is_lost,
        .self = lane,
    };
    assert(!lane->held && lane->writer == NULL);
    enum cairn_rc rc = cairn_kafka_writer_open(&options, &lane->writer, err);
    if (rc == CAIRN_OK) {
        rc = cairn_kafka_lane_read_to_end(lane, CAIRN_KAFKA_OPEN_TIMEOUT_MS, err);
    }
    if (rc != CAIRN_OK) {
        cairn_kafka_writer_close(lane->writer);
        lane->writer = NULL;
        return rc;
    }
    for (uint16_t t = 0; t < kafka->layout.topic_count; t++) {
        cairn_kafka_tail_stop(kafka->tail, cairn_kafka_lane_partition(lane, t));
    }
    lane->held = true;
    lane->term++;
    return CAIRN_OK;
}

/* The other way round. Harmless where the lane is not held. */
static void let_go(struct cairn_kafka_lane *lane)
{
    cairn_kafka_writer_close(lane->writer);
    lane->writer = NULL;
    if (lane->held) {
        lane->held = false;
        follow(lane);
    }
}

/* ---- what the control topic wishes ---- */

enum cairn_rc cairn_kafka_lane_take(void *self, uint16_t number, uint16_t fence_ids,
                                    struct cairn_err *err)
{
    struct cairn_kafka *kafka = self;
    struct cairn_kafka_lane *lane = &kafka->lanes[number];
    cairn_kafka_lane_acquire(lane);
    let_go(lane); /* a take that came to nothing after it was done leaves the lane held */
    enum cairn_rc rc = hold(lane, fence_ids, err);
    cairn_kafka_lane_release(lane);
    return rc;
}

void cairn_kafka_lane_serve(void *self, uint16_t number)
{
    struct cairn_kafka *kafka = self;
    struct cairn_kafka_lane *lane = &kafka->lanes[number];
    cairn_kafka_lane_acquire(lane);
    set_serving(lane, lane->held);
    cairn_kafka_lane_release(lane);
}

void cairn_kafka_lane_stop(void *self, uint16_t number)
{
    struct cairn_kafka *kafka = self;
    struct cairn_kafka_lane *lane = &kafka->lanes[number];
    set_serving(lane, false); /* whoever comes from now on is turned away */
    cairn_kafka_lane_acquire(lane);
    let_go(lane);
    cairn_kafka_lane_release(lane);
}

/* ---- mending ---- */

/* Does the control topic still name this node, and has nobody told it to stop? */
static enum cairn_rc confirm(struct cairn_kafka_lane *lane, bool *ret_mine, struct cairn_err *err)
{
    int timeout_ms = is_lost(lane) ? CAIRN_KAFKA_SILENT_TIMEOUT_MS : CAIRN_KAFKA_TRUTH_TIMEOUT_MS;
    enum cairn_rc rc =
        cairn_kafka_control_confirm(lane->kafka->control, lane->number, timeout_ms, ret_mine, err);
    *ret_mine = rc == CAIRN_OK && *ret_mine && cairn_kafka_lane_serves(lane);
    return rc;
}

enum cairn_rc cairn_kafka_lane_mend(struct cairn_kafka_lane *lane, struct cairn_err *err)
{
    bool mine = false;
    lane->mended_ms = cairn_kafka_now_ms();
    enum cairn_rc rc = confirm(lane, &mine, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    let_go(lane);
    if (mine) {
        rc = hold(lane, lane->kafka->ids, err);
        /* Another node may have claimed it before the fence, and would be the one fenced. */
        rc = rc == CAIRN_OK ? confirm(lane, &mine, err) : rc;
    }
    if (rc != CAIRN_OK) {
        let_go(lane); /* it is still this node's by all that is known: tried again */
        return rc;
    }
    if (!mine) {
        set_serving(lane, false);
        let_go(lane);
        return cairn_kafka_lane_refuse(lane, err);
    }
    return CAIRN_OK;
}

/* Not again right after it failed: each command would wait for the cluster's timeouts. */
static enum cairn_rc mend_if_due(struct cairn_kafka_lane *lane, struct cairn_err *err)
{
    if (cairn_kafka_now_ms() - lane->mended_ms < CAIRN_KAFKA_MEND_PAUSE_MS) {
        return CAIRN_FAIL(err, CAIRN_EBUSY, "partition %u: the cluster cannot be written now",
                          (unsigned)lane->number);
    }
    enum cairn_rc rc = cairn_kafka_lane_mend(lane, err);
    if (rc != CAIRN_OK && rc != CAIRN_ENOOWNER) {
        lane->mended_ms = cairn_kafka_now_ms();
        rc = cairn_err_wrap(err, CAIRN_EBUSY, "partition %u cannot be written now",
                            (unsigned)lane->number);
    }
    return rc;
}

enum cairn_rc cairn_kafka_lane_begin(struct cairn_backend *backend, uint16_t number,
                                     uint64_t *ret_term, struct cairn_err *err)
{
    struct cairn_kafka *kafka = (struct cairn_kafka *)backend;
    struct cairn_kafka_lane *lane = &kafka->lanes[number];
    assert(number < kafka->layout.lanes);
    cairn_kafka_lane_acquire(lane);
    enum cairn_rc rc = CAIRN_OK;
    if (!cairn_kafka_lane_serves(lane)) {
        rc = cairn_kafka_lane_refuse(lane, err);
    } else if (lane->writer == NULL) {
        rc = mend_if_due(lane, err);
    }
    if (rc == CAIRN_OK) {
        *ret_term = lane->term;
    }
    cairn_kafka_lane_release(lane);
    return rc;
}
