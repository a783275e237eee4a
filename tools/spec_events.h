/* Events of a spec as the log would hold them. */
#ifndef CAIRN_TOOLS_SPEC_EVENTS_H
#define CAIRN_TOOLS_SPEC_EVENTS_H

#include "schemas/spec.h"

/* The events, data packed, offsets counted from 1. In arena. ETOOBIG, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_spec_events_pack(const struct cairn_spec_event *given,
                                                      size_t count, struct cairn_arena *arena,
                                                      struct cairn_event **ret_events,
                                                      struct cairn_err *err);
/* Another order of the same events: streams interleave otherwise, each stream keeps its own order.
 * Offsets are counted anew. Deterministic by *seed, which moves on. False: there is one stream
 * alone, so there is no other order. */
bool cairn_spec_events_shuffle(struct cairn_event *events, size_t count, uint64_t *seed);

#endif
