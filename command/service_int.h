/* The service from inside, for callers that drive its lanes themselves: simulations. */
#ifndef CAIRN_COMMAND_SERVICE_INT_H
#define CAIRN_COMMAND_SERVICE_INT_H

#include "command/lane.h"

/* As cairn_service_new, but without writer threads: only cairn_lane_enqueue and cairn_lane_drain
 * may be used on the lanes, by one thread, and every order of events is that thread's choice. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_service_new_unthreaded(const struct cairn_service_options *options,
                             struct cairn_service **ret_service, struct cairn_err *err);
/* lane < cairn_store_lanes of the store. */
struct cairn_lane *cairn_service_lane(struct cairn_service *service, uint16_t lane);

#endif
