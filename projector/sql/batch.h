/* A batch of a follower: events, their rows, and where it leads. thread: the follower's owner. */
#ifndef CAIRN_PROJECTOR_SQL_BATCH_H
#define CAIRN_PROJECTOR_SQL_BATCH_H

#include "eventstore/position.h"
#include "eventstore/store.h"
#include "projector/sql/parcel.h"
#include "projector/sql/parked.h"

struct cairn_sql_follower;

struct cairn_sql_batch {
    struct cairn_position position; /* behind its last event */
    uint64_t events;
    size_t commands; /* begun, but for those that are left out as parked */
    uint64_t taken;  /* of the events, those that are applied */
    size_t reads;    /* of the log, that it has something of */
    struct cairn_sql_parcel parcel;
    struct cairn_slice place; /* the position's text, from when it is sent; in the parcel's arena */
};

/* Empty it, to lead on from a position. */
void cairn_sql_batch_begin(struct cairn_sql_batch *batch, const struct cairn_position *after);
/* The batch goes past the event, without its rows. */
void cairn_sql_batch_pass(const struct cairn_sql_follower *follower, struct cairn_sql_batch *batch,
                          const struct cairn_event *event);
/* The same with its rows, unless it is left out. tag: as for cairn_sql_writer_add. EINVAL: the
 * event cannot be lifted to its current version, or is too big. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_batch_take(struct cairn_sql_follower *follower,
                                                    struct cairn_sql_batch *batch,
                                                    const struct cairn_event *event, size_t tag,
                                                    struct cairn_err *err);
/* Should it end at the next border of commands? */
bool cairn_sql_batch_is_full(const struct cairn_sql_batch *batch);

/* Commit rows and checkpoint of a packed batch that begins at the follower's head, which stands
 * behind it then. ret_tag, errors: as of cairn_sql_writer_commit. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_batch_commit(struct cairn_sql_follower *follower,
                                                      struct cairn_sql_batch *batch,
                                                      size_t *ret_tag, struct cairn_err *err);
/* The two halves of it, as of cairn_sql_writer_send and cairn_sql_writer_await: the head moves with
 * the second. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_batch_send(struct cairn_sql_follower *follower,
                                                    struct cairn_sql_batch *batch,
                                                    struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_batch_await(struct cairn_sql_follower *follower,
                                                     struct cairn_sql_batch *batch, size_t *ret_tag,
                                                     struct cairn_err *err);
/* The checkpoint, without the rows, and the stream that is parked. errors: as of
 * cairn_sql_parked_add; ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_batch_park(struct cairn_sql_follower *follower,
                                                    struct cairn_sql_batch *batch,
                                                    const struct cairn_sql_parking *parking,
                                                    struct cairn_err *err);

#endif
