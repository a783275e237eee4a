/* Which events of the log a replay applies: a range by place or by time, or one stream. thread:
 * any. */
#ifndef CAIRN_PROJECTOR_SCOPE_H
#define CAIRN_PROJECTOR_SCOPE_H

#include "eventstore/position.h"

/* Zeroed: everything. */
struct cairn_replay_scope {
    struct cairn_position after; /* only events behind it */
    struct cairn_position until; /* only events up to it; begins to count with has_until */
    bool has_until;
    bool has_since_us, has_until_us;
    int64_t since_us, until_us; /* only events written from, up to then: microseconds, UTC */
    struct cairn_slice stream;  /* only its events; empty: all streams */
};

/* Is the event inside? */
bool cairn_replay_scope_takes(const struct cairn_replay_scope *scope,
                              const struct cairn_event *event);
/* Does it leave out events between the beginning of the log and its end? What such a replay gives
 * is no version of the view, which is the fold of all events up to a position. */
bool cairn_replay_scope_is_partial(const struct cairn_replay_scope *scope);
/* Of a position that a replay has passed: where its rows are, since what lies behind the scope's
 * end was passed and is not in them. */
struct cairn_position cairn_replay_scope_cut(const struct cairn_replay_scope *scope,
                                             const struct cairn_position *passed);

#endif
