#include "eventstore/store_owner.h"

#include <assert.h>

#include "eventstore/store_int.h"

void cairn_store_owner(struct cairn_store *store, uint16_t lane, struct cairn_owner *ret_owner)
{
    assert(lane < cairn_store_lanes(store));
    if (store->backend->ops->owner != NULL) {
        store->backend->ops->owner(store->backend, lane, ret_owner);
        return;
    }
    *ret_owner = (struct cairn_owner){
        .where = store->writer ? CAIRN_OWNER_HERE : CAIRN_OWNER_ELSEWHERE,
        .node = "local",
        .since_us = store->opened_us,
    };
}
