#include "projector/arrival.h"

#include <assert.h>

enum cairn_rc cairn_arrival_look(struct cairn_arrival *arrival, struct cairn_store *store,
                                 const struct cairn_position *at, bool *ret_arrived,
                                 struct cairn_err *err)
{
    assert(arrival != NULL && at != NULL && ret_arrived != NULL);
    if (!arrival->near) {
        struct cairn_position end;
        enum cairn_rc rc = cairn_store_end(store, &end, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        arrival->near = cairn_position_lag(at, &end) < CAIRN_ARRIVAL_NEAR_EVENTS;
        arrival->goal = end;
    }
    *ret_arrived = arrival->near && cairn_position_reached(at, &arrival->goal);
    return CAIRN_OK;
}
