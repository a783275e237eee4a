/* Hot aggregates: states that live in the decider, with the version they stand at.
 *
 * Bounded by count and by the decider's memory; the coldest go first. An aggregate that the running
 * group has changed is pinned until the group is settled: its state holds events that are not yet
 * in the log. thread: owner (the lane's driver). */
#ifndef CAIRN_COMMAND_CACHE_H
#define CAIRN_COMMAND_CACHE_H

#include "command/decider.h"
#include "eventstore/store.h"
#include "platform/map.h"

/* Beside the configured count there may be as many as one group can pin. */
#define CAIRN_CACHE_SLACK_MAX CAIRN_GROUP_APPENDS_MAX

struct cairn_hot {
    const struct cairn_domain_aggregate *aggregate;
    cairn_state state;         /* 0: none; only while pinned, or before it is loaded */
    uint64_t version;          /* what the state stands at, the running group included */
    uint64_t snapshot_version; /* of the newest snapshot; 0: none */
    bool pinned;               /* changed by the running group */
    uint32_t appends;          /* of the running group */
    uint64_t base_version;     /* what the first of them was decided on */
    bool refused;              /* the store refused an append of the running group */
    struct cairn_hot *newer;   /* by use */
    struct cairn_hot *older;
    struct cairn_slice stream; /* points into name */
    char name[];
};

struct cairn_cache {
    const struct cairn_decider *decider; /* borrowed; closes the states */
    struct cairn_map by_stream;
    struct cairn_hot *newest;
    struct cairn_hot *oldest;
    size_t count;
    size_t count_max;  /* aggregates, > 0 */
    size_t memory_max; /* bytes of the decider, > 0 */
};

void cairn_cache_init(struct cairn_cache *cache, const struct cairn_decider *decider,
                      size_t count_max, size_t memory_max);
void cairn_cache_fini(struct cairn_cache *cache);

/* The aggregate of a stream, now the newest; NULL when it is not hot. Valid until it is dropped. */
struct cairn_hot *cairn_cache_find(struct cairn_cache *cache, struct cairn_slice stream);
/* Add a stream that is not there, without a state. NULL: memory or room is out. */
CAIRN_MUST_CHECK struct cairn_hot *cairn_cache_add(struct cairn_cache *cache,
                                                   struct cairn_slice stream,
                                                   const struct cairn_domain_aggregate *aggregate);
/* Close the state, keep the place: the state is known to be wrong but the group still points here.
 */
void cairn_cache_close_state(struct cairn_cache *cache, struct cairn_hot *hot);
/* Close the state and forget the stream. hot is gone. */
void cairn_cache_drop(struct cairn_cache *cache, struct cairn_hot *hot);
/* Drop the coldest until the count fits, and a quarter of all when the decider's memory does not.
 * A quarter, and once: the decider collects its garbage later, so its memory does not fall at once.
 */
void cairn_cache_trim(struct cairn_cache *cache);
/* Drop every aggregate that is not pinned: when the decider is out of memory. */
void cairn_cache_shed(struct cairn_cache *cache);

#endif
