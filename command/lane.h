/* A lane: the queue of one lane of the log, and who drives it.
 *
 * One thread at a time drives a lane. A caller that finds it undriven drives it for its own
 * commands, so a lone request commits without a thread switch; a caller that finds it driven leaves
 * its commands in the queue and sleeps. When the driver has its own answers and others wait, the
 * writer thread takes over until the queue is empty: whoever asked may go, and the commands that
 * came meanwhile share one sync. */
#ifndef CAIRN_COMMAND_LANE_H
#define CAIRN_COMMAND_LANE_H

#include <semaphore.h>

#include "command/group.h"

/* Commands of one caller for one lane. The caller's until it is settled, and again after. */
struct cairn_job {
    const struct cairn_command *commands;
    struct cairn_answer *answers;
    const uint32_t *order; /* indexes into both; NULL: 0 .. count-1 */
    size_t count;          /* > 0 */
    struct cairn_arena *arena;

    /* The lane's. */
    size_t taken; /* into groups, so far */
    bool settled;
    bool awaited; /* its caller sleeps on `wake` */
    sem_t wake;
    struct cairn_job *next;
};

struct cairn_lane;

struct cairn_lane_options {
    const struct cairn_service_options *service;
    uint16_t lane;
    struct cairn_keys *keys; /* NULL where there is only one lane */
    const struct cairn_group_metrics *metrics;
    struct cairn_metric *replayed;
    struct cairn_metric *snapshots;
    struct cairn_metric *queued;
    bool writer; /* start the writer thread; false only where one thread does everything */
};

/* errors: ESCRIPT, ENOMEM, EIO (no thread). Caller frees. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lane_new(const struct cairn_lane_options *options,
                                              struct cairn_lane **ret_lane, struct cairn_err *err);
/* No job may be under way. Accepts NULL. */
void cairn_lane_free(struct cairn_lane *lane);

/* Carry a job out; returns when all its answers are there. thread: any. */
void cairn_lane_execute(struct cairn_lane *lane, struct cairn_job *job);

/* The same in two steps, for a caller with jobs for several lanes: begin leaves the job with the
 * lane's writer thread, end waits. Every begun job is ended. */
void cairn_lane_begin(struct cairn_lane *lane, struct cairn_job *job);
void cairn_lane_end(struct cairn_lane *lane, struct cairn_job *job);

/* The two halves of execute, for a caller that is all threads at once: leave a job in the queue
 * (false: full, and its answers say so), and drive until the queue is empty. Only on a lane without
 * a writer thread. */
CAIRN_MUST_CHECK bool cairn_lane_enqueue(struct cairn_lane *lane, struct cairn_job *job);
void cairn_lane_drain(struct cairn_lane *lane);

#endif
