#include "projector/sql/waiting.h"

#include <assert.h>
#include <stdio.h>

/* Events of a stream that are read, and sent, at once. */
#define PAGE_EVENTS 2048
#define NUMBER_SIZE 24

/* ---- the walk ---- */

enum cairn_rc cairn_sql_waiting_next(struct cairn_sql_waiting *waiting,
                                     struct cairn_event_page *page, struct cairn_err *err)
{
    uint64_t after = waiting->events == 0 ? waiting->version - 1 : waiting->last_version;
    cairn_arena_reset(&waiting->arena);
    enum cairn_rc rc = cairn_store_read_stream(waiting->store, waiting->stream, after, PAGE_EVENTS,
                                               CAIRN_FORWARD, &waiting->arena, page, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    while (page->count > 0 &&
           page->events[page->count - 1].offset >
               waiting->position.offsets[page->events[page->count - 1].partition]) {
        page->count--;
    }
    if (page->count == 0) {
        return waiting->events > 0 ? CAIRN_OK
                                   : CAIRN_FAIL(err, CAIRN_ECORRUPT,
                                                "the log does not have what waits of stream %.*s",
                                                CAIRN_SLICE_ARG(waiting->stream));
    }
    waiting->events += page->count;
    waiting->last_version = page->events[page->count - 1].version;
    return CAIRN_OK;
}

/* ---- its row ---- */

enum cairn_rc cairn_sql_waiting_change(const struct cairn_sql_waiting *waiting, const char *format,
                                       const struct cairn_slice *more, size_t more_count,
                                       struct cairn_err *err)
{
    enum { OWN = 4, MORE_MAX = CAIRN_SQL_WAITING_MORE_MAX };
    char generation[NUMBER_SIZE];
    char version[NUMBER_SIZE];
    struct cairn_pg_result *result = NULL;
    assert(more_count <= MORE_MAX);
    (void)snprintf(generation, sizeof(generation), "%llu", (unsigned long long)waiting->generation);
    (void)snprintf(version, sizeof(version), "%llu", (unsigned long long)waiting->version);
    struct cairn_slice values[OWN + MORE_MAX] = {waiting->view, cairn_slice_str(generation),
                                                 waiting->stream, cairn_slice_str(version)};
    for (size_t i = 0; i < more_count; i++) {
        values[OWN + i] = more[i];
    }
    enum cairn_rc rc = cairn_sql_query_in(waiting->pg, waiting->domain, format, values,
                                          OWN + more_count, &result, err);
    if (rc == CAIRN_OK && cairn_pg_result_touched(result) != 1) {
        rc = CAIRN_FAIL(err, CAIRN_EFENCED, "the view was switched");
    }
    cairn_pg_result_free(result);
    return rc;
}

enum cairn_rc cairn_sql_waiting_end(const struct cairn_sql_waiting *waiting, enum cairn_rc rc,
                                    struct cairn_err *err)
{
    enum cairn_rc ended = cairn_sql_end(waiting->pg, rc, err);
    return rc == CAIRN_OK && ended == CAIRN_EBUSY && cairn_pg_is_broken(waiting->pg)
               ? cairn_err_wrap(err, CAIRN_EUNKNOWN, "lost at the commit, see what is parked now")
               : ended;
}

/* ---- trying again ---- */

static void note(struct cairn_sql_again *again, const struct cairn_event *event,
                 const struct cairn_err *why)
{
    again->failed = true;
    again->why = *why;
    cairn_uuid_format(&event->id, again->event);
    (void)snprintf(again->place, sizeof(again->place), "%u:%llu", (unsigned)event->partition,
                   (unsigned long long)event->offset);
}

static bool is_taken(const struct cairn_sql_waiting *waiting,
                     const struct cairn_sql_follower *follower, const struct cairn_event *event)
{
    return (waiting->except == NULL || !cairn_parked_has(waiting->except, event)) &&
           (follower->scope == NULL || cairn_replay_scope_takes(follower->scope, event));
}

/* The rows of a page, inside of the transaction. EINVAL: noted. */
static enum cairn_rc apply_page(const struct cairn_sql_waiting *waiting,
                                struct cairn_sql_follower *follower,
                                const struct cairn_event_page *page, struct cairn_sql_again *again,
                                struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    size_t tag = 0;
    struct cairn_sql_parcel *parcel = &follower->batch->parcel;
    cairn_sql_parcel_begin(parcel);
    for (size_t e = 0; rc == CAIRN_OK && e < page->count; e++) {
        tag = e;
        rc = is_taken(waiting, follower, &page->events[e])
                 ? cairn_sql_follower_take(follower, parcel, &page->events[e], e, err)
                 : CAIRN_OK;
    }
    rc = rc == CAIRN_OK ? cairn_sql_writer_pack(follower->writer, waiting->careful, parcel, err)
                        : rc;
    rc = rc == CAIRN_OK ? cairn_sql_writer_apply(follower->writer, parcel, &tag, err) : rc;
    if (rc == CAIRN_EINVAL) {
        note(again, &page->events[tag < page->count ? tag : 0], err);
    }
    return rc;
}

enum cairn_rc cairn_sql_waiting_apply(struct cairn_sql_waiting *waiting,
                                      struct cairn_sql_follower *follower,
                                      struct cairn_sql_again *ret_again, struct cairn_err *err)
{
    struct cairn_event_page page;
    struct cairn_event first = {.count = 0};
    enum cairn_rc rc = cairn_sql_waiting_next(waiting, &page, err);
    while (rc == CAIRN_OK && page.count > 0) {
        first = first.count == 0 ? page.events[0] : first;
        rc = apply_page(waiting, follower, &page, ret_again, err);
        rc = rc == CAIRN_OK ? cairn_sql_waiting_next(waiting, &page, err) : rc;
    }
    rc = rc == CAIRN_OK ? cairn_sql_waiting_change(
                              waiting,
                              "WITH changed AS (DELETE FROM %s._cairn_parked " CAIRN_SQL_WAITING_ROW
                                  CAIRN_SQL_WAITING_COUNTED,
                              NULL, 0, err)
                        : rc;
    /* Deferred constraints speak at last, and of no event in particular. */
    rc = cairn_sql_waiting_end(waiting, rc, err);
    if (rc == CAIRN_EINVAL && !ret_again->failed && first.count > 0) {
        note(ret_again, &first, err);
    }
    return rc;
}
