#include "projector/lmdb/parked_apply.h"

#include <assert.h>

/* Events of the stream that are read, applied and written at once. */
#define PAGE_EVENTS    1024u
#define PAGE_BYTES_MAX (256u * 1024u * 1024u)

/* A stream in hand. */
struct work {
    struct cairn_view_group *group;
    struct cairn_follower *follower;
    struct cairn_kv_txn *txn;
    const struct cairn_parked_set *except; /* may be NULL */
    struct cairn_parked_outcome outcome;
};

enum cairn_rc cairn_parked_check_log(struct cairn_store *store,
                                     const struct cairn_position *position, uint16_t partition,
                                     struct cairn_err *err)
{
    struct cairn_position end;
    enum cairn_rc rc = cairn_store_end(store, &end, err);
    if (rc == CAIRN_OK && end.offsets[partition] < position->offsets[partition]) {
        rc =
            CAIRN_FAIL(err, CAIRN_EBEHIND, "the log is known up to %u:%llu, the view holds %u:%llu",
                       partition, (unsigned long long)end.offsets[partition], partition,
                       (unsigned long long)position->offsets[partition]);
    }
    return rc;
}

static enum cairn_rc apply_event(struct work *work, const struct cairn_event *event,
                                 struct cairn_err *err)
{
    if (!cairn_follower_takes(work->follower, event) ||
        (work->except != NULL && cairn_parked_has(work->except, event))) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = cairn_view_group_apply(work->group, work->follower, event, err);
    work->outcome.events += rc == CAIRN_OK;
    if (rc == CAIRN_ESCRIPT) {
        work->outcome.refused = true;
        work->outcome.event = event->id;
        work->outcome.partition = event->partition;
        work->outcome.offset = event->offset;
        work->outcome.cause = *err;
        rc = cairn_err_wrap(err, CAIRN_EINVAL, "event at %u:%llu", event->partition,
                            (unsigned long long)event->offset);
    }
    return rc;
}

/* One page, applied and written, so that the next one reads what it put. */
static enum cairn_rc apply_page(struct work *work, const struct cairn_event_page *page,
                                struct cairn_err *err)
{
    struct cairn_arena *arena = &work->group->arena;
    cairn_kv_table_id meta = cairn_views_meta(work->group->views);
    enum cairn_rc rc = cairn_follower_begin(work->follower, work->txn, meta, arena, err);
    for (size_t i = 0; i < page->count && rc == CAIRN_OK &&
                       !cairn_follower_wants(work->follower, &page->events[i]);
         i++) {
        rc = apply_event(work, &page->events[i], err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_follower_seal(work->follower, arena, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_follower_write(work->follower, work->txn, meta, err);
        assert(rc != CAIRN_OK || !work->follower->moved);
    }
    cairn_arena_reset(arena);
    return rc;
}

static enum cairn_rc apply_stream(struct work *work, const struct cairn_parked *parked,
                                  struct cairn_err *err)
{
    struct cairn_arena arena = {.max = PAGE_BYTES_MAX};
    struct cairn_event_page page = {.more = true};
    uint64_t after = parked->version - 1;
    enum cairn_rc rc = CAIRN_OK;
    while (rc == CAIRN_OK && page.more) {
        cairn_arena_reset(&arena);
        rc = cairn_store_read_stream(work->group->store, parked->stream, after, PAGE_EVENTS,
                                     CAIRN_FORWARD, &arena, &page, err);
        if (rc != CAIRN_OK || page.count == 0) {
            break;
        }
        const struct cairn_event *last = &page.events[page.count - 1];
        after = last->version;
        page.more = page.more && !cairn_follower_wants(work->follower, last);
        rc = apply_page(work, &page, err);
    }
    cairn_arena_fini(&arena);
    return rc;
}

enum cairn_rc cairn_parked_apply(struct cairn_view_group *group, struct cairn_follower *follower,
                                 struct cairn_kv_txn *txn, const struct cairn_parked *parked,
                                 const struct cairn_parked_set *except,
                                 struct cairn_parked_outcome *ret_outcome, struct cairn_err *err)
{
    assert(parked->version > 0 && parked->until_version == 0 && ret_outcome != NULL);
    struct work work = {.group = group, .follower = follower, .txn = txn, .except = except};
    enum cairn_rc rc =
        cairn_parked_check_log(group->store, &follower->head.position, parked->partition, err);
    if (rc == CAIRN_OK) {
        rc = apply_stream(&work, parked, err);
    }
    *ret_outcome = work.outcome;
    return rc;
}
