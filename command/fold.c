#include "command/fold.h"

#include <assert.h>

#include "schemas/msgpack.h"

void cairn_fold_init(struct cairn_fold *fold, struct cairn_store *store,
                     const struct cairn_decider *decider, struct cairn_upcaster *upcaster)
{
    assert(store != NULL);
    assert(decider != NULL && upcaster != NULL);
    *fold = (struct cairn_fold){
        .store = store,
        .decider = decider,
        .upcaster = upcaster,
        .arena = {.max = CAIRN_FOLD_ARENA_MAX},
        .packed = {.max = CAIRN_SNAPSHOT_BYTES_MAX},
    };
}

void cairn_fold_fini(struct cairn_fold *fold)
{
    cairn_arena_fini(&fold->arena);
    cairn_buf_fini(&fold->packed);
}

/* The snapshot to begin with, in the arena: *ret_version is 0 where there is none that helps. A
 * snapshot is a cache: one that cannot be read, or that is ahead of the log (the index came from
 * elsewhere), is passed over. */
static enum cairn_rc find_snapshot(struct cairn_fold *fold,
                                   const struct cairn_domain_aggregate *aggregate,
                                   struct cairn_slice stream, uint64_t until,
                                   struct cairn_value *ret_value, uint64_t *ret_version,
                                   struct cairn_err *err)
{
    uint64_t version = 0;
    struct cairn_slice packed = CAIRN_SLICE_NONE;
    enum cairn_rc rc = cairn_store_snapshot_get(fold->store, stream, aggregate->code_hash,
                                                &fold->arena, &version, &packed, err);
    if (rc == CAIRN_ENOENT) {
        *ret_version = 0;
        return CAIRN_OK;
    }
    uint64_t head = 0;
    if (rc == CAIRN_OK) {
        rc = cairn_store_head(fold->store, stream, &head, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    bool usable = version > 0 && version <= head && version <= until;
    if (usable && cairn_msgpack_read(packed, CAIRN_MSGPACK_TRUSTED, &fold->arena, ret_value, NULL,
                                     err) != CAIRN_OK) {
        usable = false;
    }
    *ret_version = usable ? version : 0;
    return CAIRN_OK;
}

static enum cairn_rc apply_event(struct cairn_fold *fold,
                                 const struct cairn_domain_aggregate *aggregate,
                                 struct cairn_folded *folded, const struct cairn_event *event,
                                 struct cairn_err *err)
{
    assert(event->version == folded->version + 1);
    struct cairn_value data;
    enum cairn_rc rc = cairn_upcaster_data(fold->upcaster, event, &fold->arena, &data, err);
    if (rc == CAIRN_OK) {
        rc = fold->decider->evolve(fold->decider->self, aggregate->name, folded->state, event->type,
                                   &data, event, &fold->arena, err);
    }
    if (rc != CAIRN_OK) {
        return cairn_err_wrap(err, rc, "stream %.*s version %llu", CAIRN_SLICE_ARG(event->stream),
                              (unsigned long long)event->version);
    }
    folded->version = event->version;
    return CAIRN_OK;
}

static enum cairn_rc apply_events(struct cairn_fold *fold,
                                  const struct cairn_domain_aggregate *aggregate,
                                  struct cairn_slice stream, uint64_t until,
                                  struct cairn_folded *folded, struct cairn_err *err)
{
    struct cairn_event_page page = {.more = true};
    while (page.more && folded->version < until) {
        cairn_arena_reset(&fold->arena);
        uint64_t left = until - folded->version;
        size_t limit = left < CAIRN_FOLD_PAGE_MAX ? (size_t)left : CAIRN_FOLD_PAGE_MAX;
        enum cairn_rc rc = cairn_store_read_stream(fold->store, stream, folded->version, limit,
                                                   CAIRN_FORWARD, &fold->arena, &page, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        cairn_metric_inc(fold->replayed, page.count);
        for (size_t i = 0; i < page.count; i++) {
            if (page.events[i].version != folded->version + 1) {
                return CAIRN_FAIL(err, CAIRN_ECORRUPT,
                                  "stream %.*s: version %llu is followed by version %llu",
                                  CAIRN_SLICE_ARG(stream), (unsigned long long)folded->version,
                                  (unsigned long long)page.events[i].version);
            }
            rc = apply_event(fold, aggregate, folded, &page.events[i], err);
            if (rc != CAIRN_OK) {
                return rc;
            }
        }
        if (page.count == 0) {
            break;
        }
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_fold_load(struct cairn_fold *fold,
                              const struct cairn_domain_aggregate *aggregate,
                              struct cairn_slice stream, uint64_t until,
                              struct cairn_folded *ret_folded, struct cairn_err *err)
{
    assert(aggregate != NULL);
    assert(stream.size > 0);
    const struct cairn_decider *decider = fold->decider;
    struct cairn_value snapshot = cairn_value_null();
    struct cairn_folded folded = {0};
    cairn_arena_reset(&fold->arena);
    enum cairn_rc rc =
        find_snapshot(fold, aggregate, stream, until, &snapshot, &folded.snapshot_version, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    folded.version = folded.snapshot_version;
    rc = decider->open_state(decider->self, aggregate->name,
                             folded.snapshot_version > 0 ? &snapshot : NULL, &folded.state, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = apply_events(fold, aggregate, stream, until, &folded, err);
    if (rc != CAIRN_OK) {
        decider->close_state(decider->self, folded.state);
        return rc;
    }
    *ret_folded = folded;
    return CAIRN_OK;
}

enum cairn_rc cairn_fold_snapshot(struct cairn_fold *fold,
                                  const struct cairn_domain_aggregate *aggregate,
                                  struct cairn_slice stream, cairn_state state, uint64_t version,
                                  struct cairn_err *err)
{
    assert(version > 0);
    assert(state != 0);
    struct cairn_value value;
    cairn_arena_reset(&fold->arena);
    enum cairn_rc rc = fold->decider->save(fold->decider->self, state, &fold->arena, &value, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    cairn_buf_truncate(&fold->packed, 0);
    rc = cairn_msgpack_write(&value, &fold->packed);
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "stream %.*s: the state does not fit a snapshot",
                          CAIRN_SLICE_ARG(stream));
    }
    rc = cairn_store_snapshot_put(fold->store, stream, aggregate->code_hash, version,
                                  cairn_buf_slice(&fold->packed), err);
    if (rc == CAIRN_OK) {
        cairn_metric_inc(fold->snapshots, 1);
    }
    return rc;
}
