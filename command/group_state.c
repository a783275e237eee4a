/* The states that a group decides on. */
#include <assert.h>

#include "command/group_int.h"

static enum cairn_rc load_state(struct cairn_group *group, struct cairn_hot *hot,
                                struct cairn_err *err)
{
    struct cairn_folded folded = {0};
    enum cairn_rc rc =
        cairn_fold_load(&group->fold, hot->aggregate, hot->stream, UINT64_MAX, &folded, err);
    if (rc == CAIRN_ENOMEM) {
        /* The decider is full of states: without the idle ones it may do. hot is pinned here. */
        cairn_cache_shed(&group->cache);
        rc = cairn_fold_load(&group->fold, hot->aggregate, hot->stream, UINT64_MAX, &folded, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    hot->state = folded.state;
    hot->version = folded.version;
    hot->snapshot_version = folded.snapshot_version;
    return CAIRN_OK;
}

/* Keep a snapshot where enough events have come since the last. hot's state is durable. */
void cairn_group_snapshot(struct cairn_group *group, struct cairn_hot *hot)
{
    if (hot->version - hot->snapshot_version < hot->aggregate->snapshot_every) {
        return;
    }
    struct cairn_err err;
    enum cairn_rc rc = cairn_fold_snapshot(&group->fold, hot->aggregate, hot->stream, hot->state,
                                           hot->version, &err);
    if (rc != CAIRN_OK) {
        cairn_log_error(group->log, CAIRN_LOG_WARN, "command", "snapshot-failed", &err);
    }
    /* Also after a failure: the next try is that many events away, not at the next command. */
    hot->snapshot_version = hot->version;
}

/* The aggregate of a stream with its state. *ret_hot is NULL when the running append has to be
 * committed first. */
enum cairn_rc cairn_group_find_hot(struct cairn_group *group, struct cairn_slice stream,
                                   const struct cairn_domain_aggregate *aggregate,
                                   struct cairn_hot **ret_hot, struct cairn_err *err)
{
    struct cairn_hot *hot = cairn_cache_find(&group->cache, stream);
    if (hot != NULL && hot->state != 0) {
        cairn_metric_inc(group->metrics.hits, 1);
        *ret_hot = hot;
        return CAIRN_OK;
    }
    if (hot != NULL) {
        /* Its state was lost after it had appended: the log does not yet hold what to fold. */
        assert(hot->pinned);
        *ret_hot = NULL;
        return CAIRN_OK;
    }
    cairn_metric_inc(group->metrics.misses, 1);
    hot = cairn_cache_add(&group->cache, stream, aggregate);
    if (hot == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for the state of %.*s",
                          CAIRN_SLICE_ARG(stream));
    }
    hot->pinned = true; /* so that shedding leaves it */
    enum cairn_rc rc = load_state(group, hot, err);
    hot->pinned = false;
    if (rc != CAIRN_OK) {
        cairn_cache_drop(&group->cache, hot);
        return rc;
    }
    if (hot->version > 0) {
        cairn_group_snapshot(group, hot);
    }
    *ret_hot = hot;
    return CAIRN_OK;
}

/* A version that does not fit is told only of a state that is known to be fresh: another writer may
 * have been here. */
enum cairn_rc cairn_group_refresh(struct cairn_group *group, struct cairn_hot *hot,
                                  struct cairn_err *err)
{
    uint64_t head = 0;
    enum cairn_rc rc = cairn_store_head(group->store, hot->stream, &head, err);
    if (rc != CAIRN_OK || head == hot->version) {
        return rc;
    }
    cairn_cache_close_state(&group->cache, hot);
    hot->pinned = true;
    rc = load_state(group, hot, err);
    hot->pinned = false;
    return rc;
}
