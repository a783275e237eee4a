/* What an operator does with the parked streams of a SQL view: the calls of replay_store.h.
 *
 * They work beside running projectors of any process: the row of the live generation is locked from
 * the look at its checkpoint to the commit. thread: any, one call at a time for a view. */
#ifndef CAIRN_PROJECTOR_SQL_RETRY_H
#define CAIRN_PROJECTOR_SQL_RETRY_H

#include "projector/replay.h"

CAIRN_MUST_CHECK enum cairn_rc cairn_sql_parked_list(const struct cairn_projector_options *options,
                                                     struct cairn_slice view,
                                                     struct cairn_arena *arena,
                                                     struct cairn_parked **ret_parked,
                                                     size_t *ret_count, struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_parked_retry(const struct cairn_projector_options *options,
                                                      struct cairn_slice view,
                                                      struct cairn_slice stream,
                                                      uint64_t *ret_events, struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_parked_drop(const struct cairn_projector_options *options,
                                                     struct cairn_slice view,
                                                     struct cairn_slice stream,
                                                     uint64_t *ret_events, struct cairn_err *err);

#endif
