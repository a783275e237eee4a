/* Event data as the current schema version wants it, for any number of threads.
 *
 * Most events are of the current version and are only decoded; the others borrow an upcaster (a Lua
 * host) from a pool. */
#ifndef CAIRN_QUERY_LIFT_H
#define CAIRN_QUERY_LIFT_H

#include "schemas/domain.h"

#define CAIRN_LIFT_IDLE_MAX 16 /* upcasters kept when nobody uses them */

struct cairn_lift;

CAIRN_MUST_CHECK enum cairn_rc cairn_lift_new(const struct cairn_domain *domain,
                                              struct cairn_lift **ret_lift, struct cairn_err *err);
/* No call may be under way. Accepts NULL. */
void cairn_lift_free(struct cairn_lift *lift);
/* event->data in arena, lifted. errors: ECORRUPT, ESCRIPT, ENOMEM. thread: any. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lift_data(struct cairn_lift *lift,
                                               const struct cairn_event *event,
                                               struct cairn_arena *arena,
                                               struct cairn_value *ret_data, struct cairn_err *err);
/* The whole event as a CloudEvent, data lifted, position as text. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_lift_event(struct cairn_lift *lift, const struct cairn_event *event,
                 struct cairn_slice position, struct cairn_arena *arena,
                 struct cairn_value *ret_event, struct cairn_err *err);

#endif
