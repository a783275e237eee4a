/* The log as one sequence: all partitions, merged by the events' time, a command at a time.
 *
 * Order is promised within a partition only; the merge makes history readable. Whatever is taken
 * moves the position, so the position is always what a later one can go on behind. Readers of
 * partitions are opened when there is something to read in them. thread: owner. */
#ifndef CAIRN_QUERY_HISTORY_H
#define CAIRN_QUERY_HISTORY_H

#include "eventstore/store.h"

struct cairn_history;

/* Start behind after, which may lie inside a command or beyond the end. Caller closes. */
CAIRN_MUST_CHECK enum cairn_rc cairn_history_open(struct cairn_store *store,
                                                  const struct cairn_position *after,
                                                  struct cairn_history **ret_history,
                                                  struct cairn_err *err);
void cairn_history_close(struct cairn_history *history);
/* The next event, NULL at the end of what is durable. Borrowed until the next call.
 * errors: ECORRUPT, EIO, ENOMEM; the history is then where it was. */
CAIRN_MUST_CHECK enum cairn_rc cairn_history_next(struct cairn_history *history,
                                                  const struct cairn_event **ret_event,
                                                  struct cairn_err *err);
/* The position behind the event taken last; at the end, behind everything durable. Lives as long as
 * the history. */
const struct cairn_position *cairn_history_position(const struct cairn_history *history);

#endif
