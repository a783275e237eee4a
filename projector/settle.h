/* Parked streams of a replay that are tried again where it ends. thread: owner of the replay. */
#ifndef CAIRN_PROJECTOR_SETTLE_H
#define CAIRN_PROJECTOR_SETTLE_H

#include "projector/replay.h"

/* *ret_done: what waits of the stream could be applied; false before the call. errors: what ends
 * the whole, which a stream that still cannot be applied does not. */
typedef enum cairn_rc (*cairn_settle_try_fn)(void *self, const struct cairn_parked *parked,
                                             bool *ret_done, struct cairn_err *err);

/* Try them all, and those that are left again as long as that helps: one stream may wait for what
 * another one puts. rows: those that are left stand first afterwards. errors: those of try. */
CAIRN_MUST_CHECK enum cairn_rc cairn_settle_all(struct cairn_parked *rows, size_t count,
                                                cairn_settle_try_fn try_row, void *self,
                                                struct cairn_err *err);

#endif
