/* The live side of a projector: the group that follows the log, and who joins and leaves it.
 *
 * A view that joins is brought to the group's position first; one that fails leaves and stands
 * aside, until a generation built elsewhere takes its place; one whose generation was switched is
 * opened anew. thread: owner, but for cairn_live_hand. */
#ifndef CAIRN_PROJECTOR_LMDB_LIVE_H
#define CAIRN_PROJECTOR_LMDB_LIVE_H

#include <pthread.h>
#include <stdatomic.h>

#include "projector/lmdb/reconcile.h"

/* How long a follower lets events gather before the next commit, unless somebody waits for a
 * position: a quiet log is followed at once, a busy one in batches that are worth their sync. */
#define CAIRN_LIVE_QUIET_LINGER_MS 2
#define CAIRN_LIVE_BUSY_LINGER_MS  20
/* From this many events in a batch on the log is busy, and from that many on nothing lingers. */
#define CAIRN_LIVE_BUSY_EVENTS 16u
#define CAIRN_LIVE_FULL_EVENTS 1024u

struct cairn_live {
    const struct cairn_projector_options *options;
    struct cairn_views *views;
    struct cairn_view_group group;
    struct cairn_view_group helper; /* brings one follower to the group's position */
    struct cairn_follower *stopped[CAIRN_GROUP_FOLLOWERS_MAX]; /* owned */
    size_t stopped_count;
    atomic_bool stopping;

    pthread_mutex_t lock;                                    /* guards inbox */
    struct cairn_follower *inbox[CAIRN_GROUP_FOLLOWERS_MAX]; /* owned; from the builder */
    size_t inbox_count;
};

CAIRN_MUST_CHECK enum cairn_rc cairn_live_init(struct cairn_live *live,
                                               const struct cairn_projector_options *options,
                                               struct cairn_views *views, struct cairn_err *err);
/* Frees every follower. */
void cairn_live_fini(struct cairn_live *live);

/* Bring a follower to the group's position (of an empty group: the end of the log) and take it in;
 * taken in any case but an error. errors: EIO, EFULL, ENOMEM, ECORRUPT. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_live_join(struct cairn_live *live, struct cairn_follower *follower, struct cairn_err *err);
/* Hand a follower over to the live thread, which lets it join. thread: any. */
void cairn_live_hand(struct cairn_live *live, struct cairn_follower *follower);

/* Follow until stopping is set. */
void cairn_live_run(struct cairn_live *live);

/* A follower failed: say so in the log. */
void cairn_live_log_stop(const struct cairn_projector_options *options,
                         const struct cairn_follower *follower);

#endif
