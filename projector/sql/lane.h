/* A lane: some partitions of the log on their way into a generation that is being built, on a
 * connection of its own, with a checkpoint of its own: a row of `_cairn_lane`.
 *
 * What lanes have put into the tables is part of the generation only together with their rows,
 * which are merged into the generation's row before anybody else goes on with it.
 * docs/architecture/replay.md, "By partition". thread: the connection's owner. */
#ifndef CAIRN_PROJECTOR_SQL_LANE_H
#define CAIRN_PROJECTOR_SQL_LANE_H

#include "projector/lmdb/gate.h"
#include "projector/sql/store.h"

/* As its follower and writer see it. */
struct cairn_sql_lane {
    unsigned number;         /* below count */
    unsigned count;          /* it has each partition whose number leaves `number` by this */
    struct cairn_gate *gate; /* between the batches of all lanes of the generation; borrowed */
    bool has_ids; /* all streams of an id are in it, as where there is one aggregate: both logs
                     choose a stream's partition by its id */
};

/* What of a position lies in the lane's partitions; the others are at 0. */
void cairn_sql_lane_part(const struct cairn_sql_lane *lane, const struct cairn_position *position,
                         struct cairn_position *ret_part);

/* Begin count lanes of a generation, where it stands. It has none. errors: ENOMEM; those of
 * platform/pg.h. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_lanes_begin(struct cairn_pg *pg, struct cairn_slice domain,
                                                     struct cairn_slice view,
                                                     const struct cairn_sql_head *head,
                                                     unsigned count, struct cairn_err *err);
/* Where the lane stands, in place of where the generation does: head's position, place and events.
 * Texts in arena. errors: EFENCED (there is no such lane), ECORRUPT, ENOMEM; those of
 * platform/pg.h. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_lane_read(struct cairn_pg *pg, struct cairn_slice domain, struct cairn_slice view,
                    const struct cairn_sql_lane *lane, struct cairn_arena *arena,
                    struct cairn_sql_head *head, struct cairn_err *err);
/* The next generation takes what its lanes have, however many they are, and has none any more; in
 * one transaction, which waits for batches that are on their way. Without lanes nothing happens.
 * errors: ECORRUPT, ENOMEM; those of platform/pg.h. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_lanes_merge(struct cairn_pg *pg, struct cairn_slice domain,
                                                     struct cairn_slice view,
                                                     struct cairn_err *err);

#endif
