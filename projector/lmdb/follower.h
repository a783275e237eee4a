/* A follower: one generation of a view, with its code, on its way along the log.
 *
 * A batch goes in three steps: begin and apply (the projection's write-set fills), seal (rows are
 * packed, index entries compared with the old rows'), write (everything into the caller's
 * transaction, with the checkpoint). Until cairn_follower_done the follower stands where it was.
 * thread: owner; it may be handed over. */
#ifndef CAIRN_PROJECTOR_LMDB_FOLLOWER_H
#define CAIRN_PROJECTOR_LMDB_FOLLOWER_H

#include <assert.h>

#include "platform/metrics.h"
#include "projector/lmdb/parking.h"
#include "projector/lmdb/projection.h"
#include "projector/lmdb/views_int.h"
#include "projector/scope.h"

/* What is counted for each view. Any may be NULL. */
struct cairn_follower_metrics {
    struct cairn_metric *lag;
    struct cairn_metric *events;
    struct cairn_metric *stopped;
    struct cairn_metric *parked;
    struct cairn_metric *build_done;
    struct cairn_metric *build_all;
};

/* Those of one view. */
void cairn_follower_metrics_add(struct cairn_metrics *metrics, struct cairn_slice view,
                                struct cairn_follower_metrics *ret_metrics);

/* Where and why a projection failed. */
struct cairn_follower_failure {
    bool failed;
    struct cairn_err err;
    struct cairn_uuid event;
    uint16_t partition;
    uint64_t offset;
};

/* One change of a table. */
struct cairn_follower_op {
    struct cairn_slice key;
    struct cairn_slice value; /* data NULL: delete */
};

struct cairn_follower {
    char name[CAIRN_VIEW_NAME_BYTES_MAX + 1];
    struct cairn_projection *projection; /* owned; NULL: it only stands for a stopped view */
    struct cairn_view_tables tables;
    enum cairn_view_side side;
    struct cairn_view_head head; /* as committed */
    struct cairn_follower_metrics metrics;
    const struct cairn_replay_scope *scope; /* which events it applies, of those that it passes;
                                               NULL: all. Borrowed */
    struct cairn_parking parking;
    bool moved; /* another generation has become the live one, or another process has tried parked
                   streams again: open the view anew */

    /* Of the batch in hand. */
    struct cairn_view_head next;
    struct cairn_follower_failure failure;
    uint64_t before_offset, before_events; /* of next, before the command in hand */
    struct cairn_kv_txn *snapshot;
    struct cairn_follower_op *row_ops; /* by key */
    size_t row_op_count;
    struct cairn_follower_op *index_ops; /* by key */
    size_t index_op_count;
};

/* A follower for a generation. projection is taken, on failure too; without one it is stopped. Free
 * with cairn_follower_free. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_follower_new(struct cairn_slice name, struct cairn_projection *projection,
                   const struct cairn_view_tables *tables, enum cairn_view_side side,
                   const struct cairn_view_head *head, struct cairn_metrics *metrics,
                   struct cairn_follower **ret_follower, struct cairn_err *err);
void cairn_follower_free(struct cairn_follower *follower);
struct cairn_slice cairn_follower_name(const struct cairn_follower *follower);

/* Begin a batch. snapshot outlives it. meta: the table of its parked streams.
 * errors: EIO, ECORRUPT, ENOMEM, ETOOBIG (of parked streams, where they must be read). */
CAIRN_MUST_CHECK enum cairn_rc
cairn_follower_begin(struct cairn_follower *follower, struct cairn_kv_txn *snapshot,
                     cairn_kv_table_id meta, struct cairn_arena *arena, struct cairn_err *err);
/* Is the event new to it? (A view that was rebuilt elsewhere may be ahead of its group.) */
static inline bool cairn_follower_wants(const struct cairn_follower *follower,
                                        const struct cairn_event *event)
{
    return event->offset > follower->head.position.offsets[event->partition];
}
/* Does it apply the event, or only pass it? */
static inline bool cairn_follower_takes(const struct cairn_follower *follower,
                                        const struct cairn_event *event)
{
    return follower->scope == NULL || cairn_replay_scope_takes(follower->scope, event);
}
/* A command begins with the event: what came before it stays, whatever becomes of it. */
static inline void cairn_follower_mark(struct cairn_follower *follower,
                                       const struct cairn_event *event)
{
    follower->before_offset = follower->next.position.offsets[event->partition];
    follower->before_events = follower->next.events;
    cairn_projection_mark(follower->projection);
}
/* The event is part of the batch: move the checkpoint. */
static inline void cairn_follower_pass(struct cairn_follower *follower,
                                       const struct cairn_event *event, bool taken)
{
    follower->next.position.offsets[event->partition] = event->offset;
    follower->next.events += taken;
}
/* The same of several in a row, all of which it takes. */
static inline void cairn_follower_pass_all(struct cairn_follower *follower,
                                           const struct cairn_event *events, size_t count)
{
    assert(follower->scope == NULL);
    follower->next.position.offsets[events[0].partition] = events[count - 1].offset;
    follower->next.events += count;
}
/* The projection cannot apply the event, why says cause: take back what was applied of its command
 * and park the event's stream; where the view does not park, or has parked too many, the follower
 * has failed and stands before the command. Kept in the batch's arena. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_follower_refuse(struct cairn_follower *follower,
                                                     const struct cairn_event *event,
                                                     const struct cairn_err *cause, int64_t now_us,
                                                     struct cairn_arena *arena,
                                                     struct cairn_err *err);
/* Turn the write-set into changes of tables, in arena. errors: ENOMEM, ETOOBIG, EIO, ECORRUPT. */
CAIRN_MUST_CHECK enum cairn_rc cairn_follower_seal(struct cairn_follower *follower,
                                                   struct cairn_arena *arena,
                                                   struct cairn_err *err);
/* Write the changes and the checkpoint; with a failure also the stop. Sets moved, and writes
 * nothing, when the follower's generation or its checkpoint is no longer what the store says. */
CAIRN_MUST_CHECK enum cairn_rc cairn_follower_write(struct cairn_follower *follower,
                                                    struct cairn_kv_txn *txn,
                                                    cairn_kv_table_id meta, struct cairn_err *err);
/* Is the generation that the store knows another than the follower's, or has somebody changed which
 * streams are parked? */
static inline bool cairn_follower_differs(const struct cairn_follower *follower,
                                          const struct cairn_view_head *stored)
{
    return stored->generation != follower->head.generation ||
           stored->parks != follower->head.parks ||
           memcmp(&stored->position, &follower->head.position, sizeof stored->position) != 0;
}
/* Why it does not get on, behind a batch: EINVAL, an event that its projection cannot apply;
 * ELOCKED, another process has taken its place. */
CAIRN_MUST_CHECK enum cairn_rc cairn_follower_check(const struct cairn_follower *follower,
                                                    struct cairn_err *err);
/* The transaction is committed, the batch's arena still there. log: may be NULL. */
void cairn_follower_done(struct cairn_follower *follower, struct cairn_log *log);

#endif
