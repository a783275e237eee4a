/* A group: followers that go along the log together, one batch and one transaction at a time.
 *
 * Each batch is read once, each event unpacked and lifted to its current version once, and rows,
 * index entries and checkpoints of all followers commit together, at the border of a command. Where
 * a projection fails, its follower undoes the command and stops before it, or parks its stream and
 * goes on; the others go on in either case. thread: owner. */
#ifndef CAIRN_PROJECTOR_LMDB_GROUP_H
#define CAIRN_PROJECTOR_LMDB_GROUP_H

#include "projector/lmdb/follower.h"
#include "projector/source.h"

#define CAIRN_GROUP_FOLLOWERS_MAX 128
/* Events of one batch: while following, and while building, where nobody waits for the first. */
#define CAIRN_GROUP_LIVE_EVENTS  4096u
#define CAIRN_GROUP_BUILD_EVENTS 32768u

struct cairn_parallel; /* projector/lmdb/parallel.h */

struct cairn_view_group {
    struct cairn_views *views;
    struct cairn_store *store;
    struct cairn_upcaster *upcaster;    /* owned */
    struct cairn_source *source;        /* owned; NULL until the first step */
    struct cairn_position position;     /* how far the source was applied */
    struct cairn_metric *batch_seconds; /* may be NULL */
    struct cairn_parallel *parallel;    /* who applies; borrowed. NULL: the owner's thread */
    const struct cairn_clock *clock;
    struct cairn_log *log;          /* of parked streams; may be NULL */
    struct cairn_arena arena;       /* of the batch: write-sets */
    struct cairn_arena event_arena; /* of the event in hand: its value */
    struct cairn_chunks chunks;
    struct cairn_follower *followers[CAIRN_GROUP_FOLLOWERS_MAX]; /* owned */
    size_t count;
};

/* What a group is made with; all borrowed, longer-lived. */
struct cairn_view_group_options {
    struct cairn_views *views;
    struct cairn_store *store;
    const struct cairn_domain *domain;
    const struct cairn_clock *clock;
    struct cairn_log *log; /* may be NULL */
    struct cairn_metrics *metrics;
};

/* An empty group at the beginning of the log. fini it, also after a failure. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_group_init(struct cairn_view_group *group,
                                                     const struct cairn_view_group_options *options,
                                                     struct cairn_err *err);
/* Frees its followers. */
void cairn_view_group_fini(struct cairn_view_group *group);

/* Put a follower in; it is taken. It must stand at the group's position or ahead of it; the first
 * one sets the position. */
void cairn_view_group_add(struct cairn_view_group *group, struct cairn_follower *follower);
/* Take a follower out: the caller owns it. */
struct cairn_follower *cairn_view_group_remove(struct cairn_view_group *group, size_t index);

/* One batch of about max_events, not beyond until (NULL: no limit). *ret_events: how many were
 * applied, 0 at the end. Afterwards followers may have failed or moved: look at their flags.
 * errors: EIO, EFULL, ENOMEM, ECORRUPT; nothing was committed, and the same step may be tried
 * again. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_group_step(struct cairn_view_group *group,
                                                     size_t max_events,
                                                     const struct cairn_position *until,
                                                     size_t *ret_events, struct cairn_err *err);
/* Call the follower's handler for an event, wherever in the log it is: its value is read and lifted
 * as in a batch. The follower's batch must be begun; its checkpoint stays. errors: as
 * cairn_projection_apply. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_group_apply(struct cairn_view_group *group,
                                                      struct cairn_follower *follower,
                                                      const struct cairn_event *event,
                                                      struct cairn_err *err);
/* Events between the group's position and the end of the log. errors: EIO. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_group_lag(const struct cairn_view_group *group,
                                                    uint64_t *ret_lag, struct cairn_err *err);

#endif
