/* What an operator does with the parked streams of a view in LMDB. One write transaction each, so
 * that a follower, of this or another process, sees it done or not begun; `parks` of the head tells
 * it to open the view anew. */
#ifndef CAIRN_PROJECTOR_LMDB_RETRY_H
#define CAIRN_PROJECTOR_LMDB_RETRY_H

#include "projector/replay.h"

/* As cairn_view_parked, cairn_view_parked_retry, cairn_view_parked_drop, for a view in LMDB. */
CAIRN_MUST_CHECK enum cairn_rc cairn_parked_lmdb_list(const struct cairn_projector_options *options,
                                                      struct cairn_slice view,
                                                      struct cairn_arena *arena,
                                                      struct cairn_parked **ret_parked,
                                                      size_t *ret_count, struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc
cairn_parked_lmdb_retry(const struct cairn_projector_options *options, struct cairn_slice view,
                        struct cairn_slice stream, uint64_t *ret_events, struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_parked_lmdb_drop(const struct cairn_projector_options *options,
                                                      struct cairn_slice view,
                                                      struct cairn_slice stream,
                                                      uint64_t *ret_events, struct cairn_err *err);

#endif
