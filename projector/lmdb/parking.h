/* What a follower knows of parked streams: those that its generation's rows name, and those that
 * the batch in hand adds. Until cairn_parking_done the latter are written nowhere; a batch that
 * does not come to its end leaves the parking to be loaded again. thread: owner. */
#ifndef CAIRN_PROJECTOR_LMDB_PARKING_H
#define CAIRN_PROJECTOR_LMDB_PARKING_H

#include "platform/log.h"
#include "projector/lmdb/view_parked.h"

struct cairn_parking {
    struct cairn_parked_set set;
    bool loaded;
    struct cairn_parking_note *notes; /* of the batch, newest first; in its arena */
    size_t note_count;
};

/* Read the rows, unless they are known already. parks: of the head. errors: EIO, ECORRUPT, ENOMEM,
 * ETOOBIG. */
CAIRN_MUST_CHECK enum cairn_rc cairn_parking_load(struct cairn_parking *parking,
                                                  struct cairn_kv_txn *txn,
                                                  const struct cairn_parked_place *place,
                                                  uint32_t parks, struct cairn_err *err);
void cairn_parking_fini(struct cairn_parking *parking);
/* Park the event's stream, from its command on. cause: why. Kept in arena. errors: ENOMEM, ETOOBIG
 * (no more may be parked). */
CAIRN_MUST_CHECK enum cairn_rc cairn_parking_add(struct cairn_parking *parking,
                                                 const struct cairn_event *event,
                                                 const struct cairn_err *cause, int64_t now_us,
                                                 struct cairn_arena *arena, struct cairn_err *err);
/* Write what the batch adds. The head must count it: see note_count. */
CAIRN_MUST_CHECK enum cairn_rc cairn_parking_write(const struct cairn_parking *parking,
                                                   struct cairn_kv_txn *txn,
                                                   const struct cairn_parked_place *place,
                                                   struct cairn_err *err);
/* The batch is committed, and its arena still there: say what it parked in the log (may be NULL),
 * and forget the notes. */
void cairn_parking_done(struct cairn_parking *parking, struct cairn_slice view,
                        struct cairn_log *log);

#endif
