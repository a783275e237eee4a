#include "command/lane.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>

#include "command/answer.h"
#include "platform/fault.h"
#include "platform/mem.h"

/* A list of jobs in the order they came. */
struct jobs {
    struct cairn_job *first;
    struct cairn_job *last;
};

struct cairn_lane {
    pthread_mutex_t lock; /* guards what follows, up to the driver's part */
    pthread_cond_t due;   /* of the writer thread */
    struct jobs inbox;
    size_t queued; /* commands in inbox and work that no group has taken */
    size_t queue_max;
    bool driven;     /* a thread drives, or the writer is about to */
    bool writer_due; /* the lane has been handed to the writer thread */
    bool stopping;

    /* The driver's. */
    struct jobs work; /* taken out of the inbox, some commands perhaps settled already */
    struct cairn_group group;
    struct cairn_metric *metric_queued;

    bool has_writer;
    pthread_t writer;
};

static void *write_for_others(void *self);

static size_t answer_index(const struct cairn_job *job, size_t i)
{
    return job->order == NULL ? i : job->order[i];
}

static void push_job(struct jobs *jobs, struct cairn_job *job)
{
    job->next = NULL;
    if (jobs->last != NULL) {
        jobs->last->next = job;
    } else {
        jobs->first = job;
    }
    jobs->last = job;
}

static struct cairn_job *pop_job(struct jobs *jobs)
{
    struct cairn_job *job = jobs->first;
    assert(job != NULL);
    jobs->first = job->next;
    if (jobs->first == NULL) {
        jobs->last = NULL;
    }
    return job;
}

/* ---- set up ---- */

static enum cairn_rc start_writer(struct cairn_lane *lane, struct cairn_err *err)
{
    int fault = cairn_fault_hit(CAIRN_FAULT_THREAD)
                    ? EAGAIN
                    : pthread_create(&lane->writer, NULL, write_for_others, lane);
    if (fault != 0) {
        return CAIRN_FAIL_OS(err, fault, "start the writer thread of lane %u",
                             (unsigned)lane->group.lane);
    }
    lane->has_writer = true;
    return CAIRN_OK;
}

enum cairn_rc cairn_lane_new(const struct cairn_lane_options *options, struct cairn_lane **ret_lane,
                             struct cairn_err *err)
{
    assert(options->service != NULL && options->metrics != NULL);
    struct cairn_lane *lane = cairn_mem_zalloc(1, sizeof(*lane));
    if (lane == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for a lane");
    }
    int fault = pthread_mutex_init(&lane->lock, NULL);
    assert(fault == 0); /* Linux never refuses a plain mutex or condition */
    fault = pthread_cond_init(&lane->due, NULL);
    assert(fault == 0);
    size_t queue_max = options->service->queue_max;
    lane->queue_max = queue_max > 0 ? queue_max : CAIRN_QUEUE_COMMANDS_DEFAULT;
    lane->metric_queued = options->queued;
    enum cairn_rc rc =
        cairn_group_init(&lane->group, options->service, options->lane, options->keys, err);
    if (rc == CAIRN_OK) {
        lane->group.metrics = *options->metrics;
        lane->group.fold.replayed = options->replayed;
        lane->group.fold.snapshots = options->snapshots;
    }
    if (rc == CAIRN_OK && options->writer) {
        rc = start_writer(lane, err);
    }
    if (rc != CAIRN_OK) {
        cairn_lane_free(lane);
        return rc;
    }
    *ret_lane = lane;
    return CAIRN_OK;
}

void cairn_lane_free(struct cairn_lane *lane)
{
    if (lane == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&lane->lock);
    lane->stopping = true;
    (void)pthread_cond_signal(&lane->due);
    (void)pthread_mutex_unlock(&lane->lock);
    if (lane->has_writer) {
        (void)pthread_join(lane->writer, NULL);
    }
    assert(lane->inbox.first == NULL && lane->work.first == NULL);
    cairn_group_fini(&lane->group);
    (void)pthread_cond_destroy(&lane->due);
    (void)pthread_mutex_destroy(&lane->lock);
    cairn_mem_free(lane);
}

/* ---- driving ---- */

/* Move what waits into the driver's list, and say how many commands the next group takes. */
static size_t take_inbox(struct cairn_lane *lane)
{
    (void)pthread_mutex_lock(&lane->lock);
    if (lane->inbox.first != NULL) {
        if (lane->work.last != NULL) {
            lane->work.last->next = lane->inbox.first;
        } else {
            lane->work.first = lane->inbox.first;
        }
        lane->work.last = lane->inbox.last;
        lane->inbox = (struct jobs){0};
    }
    size_t waiting = lane->queued;
    size_t count = waiting < CAIRN_GROUP_COMMANDS_MAX ? waiting : CAIRN_GROUP_COMMANDS_MAX;
    lane->queued -= count;
    cairn_metric_set(lane->metric_queued, (int64_t)lane->queued);
    (void)pthread_mutex_unlock(&lane->lock);
    return count;
}

/* Take `count` commands of the work off it: into the group, or, without one, to their failure.
 * Jobs that are taken whole stay at the front until wake_settled. */
static void take_commands(struct cairn_lane *lane, size_t count, const struct cairn_err *failure)
{
    struct cairn_job *job = lane->work.first;
    while (count > 0) {
        assert(job != NULL);
        for (; job->taken < job->count && count > 0; job->taken++, count--) {
            size_t i = answer_index(job, job->taken);
            if (failure == NULL) {
                cairn_group_add(&lane->group, &job->commands[i], &job->answers[i], job->arena);
            } else {
                job->answers[i] = (struct cairn_answer){0};
                cairn_answer_fail(&job->answers[i], failure);
            }
        }
        job = job->next;
    }
}

/* Give every job that has all its answers back to its caller. A job may be gone the moment its
 * caller wakes. */
static void wake_settled(struct cairn_lane *lane)
{
    while (lane->work.first != NULL && lane->work.first->taken == lane->work.first->count) {
        struct cairn_job *job = pop_job(&lane->work);
        job->settled = true;
        if (job->awaited) {
            int fault = sem_post(&job->wake);
            assert(fault == 0);
        }
    }
}

/* Settle one group. The lane must hold something to do. */
static void drive_group(struct cairn_lane *lane)
{
    struct cairn_err err;
    size_t count = take_inbox(lane);
    assert(count > 0);
    if (cairn_group_begin(&lane->group, count, &err) == CAIRN_OK) {
        take_commands(lane, count, NULL);
        cairn_group_settle(&lane->group);
    } else {
        take_commands(lane, count, &err);
    }
    wake_settled(lane);
}

/* Stop driving where nothing waits. True: something does, and the lane is still the caller's. */
static bool keep_driving(struct cairn_lane *lane, bool hand_over)
{
    (void)pthread_mutex_lock(&lane->lock);
    bool waiting = lane->queued > 0;
    assert(waiting || (lane->inbox.first == NULL && lane->work.first == NULL));
    if (!waiting) {
        lane->driven = false;
    } else if (hand_over) {
        lane->writer_due = true;
        (void)pthread_cond_signal(&lane->due);
    }
    (void)pthread_mutex_unlock(&lane->lock);
    return waiting;
}

static void *write_for_others(void *self)
{
    struct cairn_lane *lane = self;
    for (;;) {
        (void)pthread_mutex_lock(&lane->lock);
        while (!lane->writer_due && !lane->stopping) {
            (void)pthread_cond_wait(&lane->due, &lane->lock);
        }
        bool due = lane->writer_due;
        lane->writer_due = false;
        (void)pthread_mutex_unlock(&lane->lock);
        if (!due) {
            return NULL;
        }
        do {
            drive_group(lane);
        } while (keep_driving(lane, false));
    }
}

/* ---- callers ---- */

static void refuse_job(struct cairn_job *job)
{
    struct cairn_err err;
    (void)CAIRN_FAIL(&err, CAIRN_EBUSY, "too many commands are waiting");
    for (size_t i = 0; i < job->count; i++) {
        struct cairn_answer *answer = &job->answers[answer_index(job, i)];
        *answer = (struct cairn_answer){0};
        cairn_answer_fail(answer, &err);
    }
    job->settled = true;
}

/* Leave a job in the queue. *ret_drive: nobody drives, so the caller must. False: full. A job that
 * is longer than the queue is let in alone. sleeps: the caller will not drive in any case. */
static bool submit(struct cairn_lane *lane, struct cairn_job *job, bool sleeps, bool *ret_drive)
{
    assert(job->count > 0 && job->arena != NULL);
    bool fits = true;
    job->taken = 0;
    job->settled = false;
    (void)pthread_mutex_lock(&lane->lock);
    size_t room = lane->queue_max > lane->queued ? lane->queue_max - lane->queued : 0;
    if (job->count > room && lane->queued > 0) {
        fits = false;
    } else {
        push_job(&lane->inbox, job);
        lane->queued += job->count;
        *ret_drive = !lane->driven;
        job->awaited = sleeps || lane->driven;
        lane->driven = true;
    }
    (void)pthread_mutex_unlock(&lane->lock);
    return fits;
}

static void sleep_until_woken(struct cairn_job *job)
{
    while (sem_wait(&job->wake) != 0) {
        assert(errno == EINTR);
    }
    assert(job->settled);
}

void cairn_lane_execute(struct cairn_lane *lane, struct cairn_job *job)
{
    assert(lane->has_writer);
    bool drive = false;
    int fault = sem_init(&job->wake, 0, 0);
    assert(fault == 0);
    if (!submit(lane, job, false, &drive)) {
        refuse_job(job);
    } else if (drive) {
        while (!job->settled) {
            drive_group(lane);
        }
        (void)keep_driving(lane, true);
    } else {
        sleep_until_woken(job);
    }
    (void)sem_destroy(&job->wake);
}

void cairn_lane_begin(struct cairn_lane *lane, struct cairn_job *job)
{
    assert(lane->has_writer);
    bool drive = false;
    int fault = sem_init(&job->wake, 0, 0);
    assert(fault == 0);
    if (!submit(lane, job, true, &drive)) {
        refuse_job(job);
        job->awaited = false;
    } else if (drive) {
        (void)keep_driving(lane, true);
    }
}

void cairn_lane_end(struct cairn_lane *lane, struct cairn_job *job)
{
    assert(lane->has_writer);
    if (job->awaited) {
        sleep_until_woken(job);
    }
    (void)sem_destroy(&job->wake);
}

bool cairn_lane_enqueue(struct cairn_lane *lane, struct cairn_job *job)
{
    assert(!lane->has_writer);
    bool drive = false;
    if (!submit(lane, job, false, &drive)) {
        refuse_job(job);
        return false;
    }
    job->awaited = false;
    return true;
}

void cairn_lane_drain(struct cairn_lane *lane)
{
    assert(!lane->has_writer);
    if (!lane->driven) {
        return; /* nothing was left here */
    }
    do {
        drive_group(lane);
    } while (keep_driving(lane, false));
}
