/* When a generation that is being built holds the log, so that it may be served. The end of a log
 * that is written to cannot be caught; so, once near, the end as it is then is the goal, and
 * reaching that is to have arrived: on a quiet log at its very end, on a busy one within a batch.
 * thread: owner. */
#ifndef CAIRN_PROJECTOR_ARRIVAL_H
#define CAIRN_PROJECTOR_ARRIVAL_H

#include "eventstore/store.h"

/* From fewer events before the end on it is near. */
#define CAIRN_ARRIVAL_NEAR_EVENTS 4096u

/* Zero at the begin of the way. */
struct cairn_arrival {
    bool near;
    struct cairn_position goal; /* when near */
};

/* Has a generation that stands there arrived? Once it has, it has for good. errors: EIO. */
CAIRN_MUST_CHECK enum cairn_rc cairn_arrival_look(struct cairn_arrival *arrival,
                                                  struct cairn_store *store,
                                                  const struct cairn_position *at,
                                                  bool *ret_arrived, struct cairn_err *err);

#endif
