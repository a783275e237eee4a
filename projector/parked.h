/* The streams that a generation of a view leaves out, in memory: asked for each event, changed
 * seldom. Which these are lies with the generation's rows. thread: owner. */
#ifndef CAIRN_PROJECTOR_PARKED_H
#define CAIRN_PROJECTOR_PARKED_H

#include "platform/map.h"
#include "schemas/event.h"

/* Streams that a view may have parked; with one more it stops: then it is not the streams. */
#define CAIRN_PARKED_MAX 10000
/* Ends of streams that a set may know, those that were given up included. */
#define CAIRN_PARKED_RANGES_MAX 1000000

struct cairn_parked_set {
    struct cairn_map streams; /* name -> its ranges, owned */
    size_t ranges;
    size_t waiting; /* of them, those without end: the streams that wait */
};

void cairn_parked_init(struct cairn_parked_set *set);
/* The set is empty afterwards, and may be used again. */
void cairn_parked_fini(struct cairn_parked_set *set);
/* Leave out the stream's events from version (from 1) on, up to until_version (0: without end),
 * besides what was said of it before; said of the same version again, the later word counts. On
 * failure the set is as before. errors: ENOMEM; ETOOBIG (more than CAIRN_PARKED_MAX streams wait,
 * or more than CAIRN_PARKED_RANGES_MAX ranges). */
CAIRN_MUST_CHECK enum cairn_rc cairn_parked_put(struct cairn_parked_set *set,
                                                struct cairn_slice stream, uint64_t version,
                                                uint64_t until_version, struct cairn_err *err);
/* Is the event one of those, where there are any? Ask cairn_parked_has. */
bool cairn_parked_find(const struct cairn_parked_set *set, const struct cairn_event *event);
/* Is the event one of those? One compare while nothing is parked. */
static inline bool cairn_parked_has(const struct cairn_parked_set *set,
                                    const struct cairn_event *event)
{
    return set->ranges > 0 && cairn_parked_find(set, event);
}

#endif
