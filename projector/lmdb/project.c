/* cairn_view_project: a projection over given events, in memory. */
#include <assert.h>

#include "projector/lmdb/projection.h"
#include "projector/projector.h"

#define PROJECT_BYTES_MAX (256u * 1024u * 1024u)

static enum cairn_rc no_row(void *self, struct cairn_slice key, struct cairn_slice *ret_packed,
                            struct cairn_err *err)
{
    (void)self;
    (void)key;
    (void)ret_packed;
    (void)err;
    return CAIRN_ENOENT;
}

static enum cairn_rc apply_events(struct cairn_projection *projection,
                                  struct cairn_upcaster *upcaster, const struct cairn_event *events,
                                  size_t count, struct cairn_arena *arena, struct cairn_err *err)
{
    for (size_t i = 0; i < count; i++) {
        struct cairn_value data;
        struct cairn_value value;
        if (!cairn_projection_handles(projection, events[i].type)) {
            continue;
        }
        enum cairn_rc rc = cairn_upcaster_data(upcaster, &events[i], arena, &data, err);
        if (rc == CAIRN_OK &&
            cairn_projection_event(&events[i], &data, arena, &value) != CAIRN_OK) {
            rc = CAIRN_FAIL(err, CAIRN_ENOMEM, "read an event");
        }
        if (rc == CAIRN_OK) {
            rc = cairn_projection_apply(projection, events[i].type, &value, err);
        }
        if (rc != CAIRN_OK) {
            return cairn_err_wrap(err, rc, "event %zu (%.*s)", i + 1,
                                  CAIRN_SLICE_ARG(events[i].type));
        }
    }
    return CAIRN_OK;
}

static enum cairn_rc take_rows(struct cairn_writeset *set, struct cairn_arena *arena,
                               struct cairn_view_row **ret_rows, size_t *ret_count,
                               struct cairn_err *err)
{
    struct cairn_view_row *rows = cairn_arena_zalloc(arena, set->count + 1, sizeof *rows);
    size_t count = 0;
    if (rows == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "list %zu rows", set->count);
    }
    cairn_writeset_sort(set);
    for (size_t i = 0; i < set->count; i++) {
        if (set->entries[i].present) {
            rows[count++] = (struct cairn_view_row){.key = set->entries[i].key,
                                                    .document = set->entries[i].value};
        }
    }
    *ret_rows = rows;
    *ret_count = count;
    return CAIRN_OK;
}

enum cairn_rc cairn_view_project(const struct cairn_domain_view *view,
                                 const struct cairn_domain *domain,
                                 const struct cairn_event *events, size_t count,
                                 struct cairn_arena *arena, struct cairn_view_row **ret_rows,
                                 size_t *ret_count, struct cairn_err *err)
{
    assert(view != NULL && domain != NULL && arena != NULL);
    const struct cairn_lua_limits limits = {.memory_bytes = PROJECT_BYTES_MAX};
    const struct cairn_row_reader reader = {.get = no_row};
    struct cairn_projection *projection = NULL;
    struct cairn_upcaster *upcaster = NULL;
    enum cairn_rc rc = cairn_projection_new(view->name, view->script_name, view->script, &limits,
                                            &projection, err);
    if (rc == CAIRN_OK) {
        rc = cairn_upcaster_new(domain, &upcaster, err);
    }
    if (rc == CAIRN_OK) {
        cairn_projection_begin(projection, arena, &reader);
        rc = apply_events(projection, upcaster, events, count, arena, err);
    }
    if (rc == CAIRN_OK) {
        rc = take_rows(cairn_projection_writes(projection), arena, ret_rows, ret_count, err);
    }
    cairn_upcaster_free(upcaster);
    cairn_projection_free(projection);
    return rc;
}
