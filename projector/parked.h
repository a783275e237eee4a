/* The streams that a generation of a view leaves out, in memory: asked for each event, changed
 * seldom. Which these are lies with the generation's rows. thread: owner. */
#ifndef CAIRN_PROJECTOR_PARKED_H
#define CAIRN_PROJECTOR_PARKED_H

#include "platform/map.h"
#include "schemas/event.h"

/* Streams that a view may have parked; with one more it stops: then it is not the streams. */
#define CAIRN_PARKED_MAX 10000

struct cairn_parked_set {
    struct cairn_map streams;
    size_t waiting; /* of them, those that wait */
};

void cairn_parked_init(struct cairn_parked_set *set);
void cairn_parked_fini(struct cairn_parked_set *set);
/* Leave out the stream's events from version on, up to until_version (0: without end), besides what
 * was said of it before. errors: ENOMEM; ETOOBIG (more than CAIRN_PARKED_MAX streams wait). */
CAIRN_MUST_CHECK enum cairn_rc cairn_parked_put(struct cairn_parked_set *set,
                                                struct cairn_slice stream, uint64_t version,
                                                uint64_t until_version, struct cairn_err *err);
/* Is the event one of those? Costs nothing while nothing is parked. */
bool cairn_parked_has(const struct cairn_parked_set *set, const struct cairn_event *event);

#endif
