/* Partitions of a batch applied side by side, for a generation that is being built.
 *
 * Each worker has a Lua host, a write-set and a snapshot of its own, and always the same
 * partitions. Streams never leave their partition, so what is keyed by streams does not meet. Where
 * workers do meet, at a key that one of them wrote and another read or wrote, or where an event
 * cannot be applied, the batch is void and must be applied again by one: then the order of all its
 * events counts. So what comes out is what one worker makes. thread: owner. */
#ifndef CAIRN_PROJECTOR_LMDB_PARALLEL_H
#define CAIRN_PROJECTOR_LMDB_PARALLEL_H

#include "projector/lmdb/group.h"

struct cairn_parallel;

/* Workers for a follower, 2 to CAIRN_REBUILD_WORKERS_MAX; their threads wait until there is a
 * batch. options and limits as of the follower's group and projection. errors: ESCRIPT, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_parallel_new(const struct cairn_view_group_options *options,
                   const struct cairn_lua_limits *limits, const struct cairn_follower *follower,
                   unsigned workers, struct cairn_parallel **ret_parallel, struct cairn_err *err);
/* Ends the threads. Accepts NULL. */
void cairn_parallel_free(struct cairn_parallel *parallel);

/* Is the next batch one for the workers? Not for a while after they met, longer each time. NULL:
 * never. */
bool cairn_parallel_takes(struct cairn_parallel *parallel);

/* A batch: begin, read as often as wanted, seal, end. cairn_parallel_end follows a failure, too.
 * errors: EIO, ECORRUPT, ENOMEM, ETOOBIG. */
CAIRN_MUST_CHECK enum cairn_rc cairn_parallel_begin(struct cairn_parallel *parallel,
                                                    const struct cairn_follower *follower,
                                                    struct cairn_err *err);
/* Apply what was read. *ret_met: the batch is void. */
CAIRN_MUST_CHECK enum cairn_rc cairn_parallel_apply(struct cairn_parallel *parallel,
                                                    const struct cairn_chunks *chunks,
                                                    bool *ret_met, struct cairn_err *err);
/* Has a worker used more than so many bytes, or touched more than so many rows? */
bool cairn_parallel_is_big(const struct cairn_parallel *parallel, size_t bytes, size_t rows);
/* Turn all write-sets into the follower's changes of tables; the arrays lie in arena, the rest with
 * the workers until cairn_parallel_end. */
CAIRN_MUST_CHECK enum cairn_rc cairn_parallel_seal(struct cairn_parallel *parallel,
                                                   struct cairn_follower *follower,
                                                   struct cairn_arena *arena, bool *ret_met,
                                                   struct cairn_err *err);
void cairn_parallel_end(struct cairn_parallel *parallel);
/* Was a batch ever theirs? Not where they met in each. */
bool cairn_parallel_has_helped(const struct cairn_parallel *parallel);

#endif
