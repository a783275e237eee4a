#include "eventstore/store_owner.h"

#include <assert.h>

#include "eventstore/store_int.h"

/* Where one process writes the whole log there is nothing to tell apart. */
#define NODE_ALONE "local"

void cairn_store_owner(struct cairn_store *store, uint16_t lane, struct cairn_owner *ret_owner)
{
    assert(lane < cairn_store_lanes(store));
    if (store->backend->ops->owner != NULL) {
        store->backend->ops->owner(store->backend, lane, ret_owner);
        return;
    }
    *ret_owner = (struct cairn_owner){
        .where = store->writer ? CAIRN_OWNER_HERE : CAIRN_OWNER_ELSEWHERE,
        .node = NODE_ALONE,
        .since_us = store->opened_us,
    };
}

const char *cairn_store_node(const struct cairn_store *store)
{
    const struct cairn_backend_ops *ops = store->backend->ops;
    const char *node = ops->node == NULL ? NODE_ALONE : ops->node(store->backend);
    assert(node[0] != '\0');
    return node;
}

enum cairn_rc cairn_store_announce(struct cairn_store *store, const char *url,
                                   struct cairn_err *err)
{
    assert(url != NULL);
    const struct cairn_backend_ops *ops = store->backend->ops;
    return ops->announce == NULL ? CAIRN_OK : ops->announce(store->backend, url, err);
}

enum cairn_rc cairn_store_begin(struct cairn_store *store, uint16_t lane, uint64_t *ret_term,
                                struct cairn_err *err)
{
    assert(store->writer && lane < store->lane_count);
    if (store->backend->ops->begin != NULL) {
        return store->backend->ops->begin(store->backend, lane, ret_term, err);
    }
    *ret_term = 0;
    return CAIRN_OK;
}
