#include "projector/sql/batch.h"

#include <assert.h>

#include "platform/mem.h"
#include "projector/sql/follower.h"

/* A batch ends at the first command behind one of these. Of the bytes a follower may hold twice as
 * many. */
#define BATCH_BYTES_SOFT ((size_t)16 * 1024 * 1024)
#define BATCH_ROWS_SOFT  (CAIRN_SQL_PLAN_ROWS_MAX / 4)

void cairn_sql_batch_begin(struct cairn_sql_batch *batch, const struct cairn_position *after)
{
    cairn_sql_parcel_begin(&batch->parcel);
    batch->position = *after;
    batch->events = 0;
    batch->commands = 0;
    batch->taken = 0;
    batch->reads = 0;
}

/* ---- taking events ---- */

enum cairn_rc cairn_sql_follower_take(struct cairn_sql_follower *follower,
                                      struct cairn_sql_parcel *parcel,
                                      const struct cairn_event *event, size_t tag,
                                      struct cairn_err *err)
{
    struct cairn_value data;
    if (!cairn_sql_writer_handles(follower->writer, event->type)) {
        return CAIRN_OK;
    }
    cairn_arena_reset(&follower->event);
    enum cairn_rc rc = cairn_upcaster_data(follower->upcaster, event, &follower->event, &data, err);
    rc = rc == CAIRN_ESCRIPT ? cairn_err_wrap(err, CAIRN_EINVAL, "upcast") : rc;
    rc = rc == CAIRN_OK ? cairn_sql_writer_add(follower->writer, event, &data, tag, parcel, err)
                        : rc;
    return rc == CAIRN_ETOOBIG ? cairn_err_wrap(err, CAIRN_EINVAL, "an event") : rc;
}

/* A command is parked whole, but a scope may begin inside of one. */
void cairn_sql_batch_pass(const struct cairn_sql_follower *follower, struct cairn_sql_batch *batch,
                          const struct cairn_event *event)
{
    bool parked = cairn_parked_has(&follower->parked, event);
    batch->position.offsets[event->partition] = event->offset;
    batch->events++;
    batch->commands += !parked && event->index == 0 ? 1 : 0;
}

enum cairn_rc cairn_sql_batch_take(struct cairn_sql_follower *follower,
                                   struct cairn_sql_batch *batch, const struct cairn_event *event,
                                   size_t tag, struct cairn_err *err)
{
    bool taken = (follower->scope == NULL || cairn_replay_scope_takes(follower->scope, event)) &&
                 !cairn_parked_has(&follower->parked, event);
    enum cairn_rc rc =
        taken ? cairn_sql_follower_take(follower, &batch->parcel, event, tag, err) : CAIRN_OK;
    cairn_sql_batch_pass(follower, batch, event);
    batch->taken += taken ? 1 : 0;
    return rc;
}

bool cairn_sql_batch_is_full(const struct cairn_sql_batch *batch)
{
    return batch->parcel.arena.used > BATCH_BYTES_SOFT || batch->parcel.row_count > BATCH_ROWS_SOFT;
}

/* ---- committing ---- */

/* Where a batch leads to. ENOMEM. */
static enum cairn_rc aim(const struct cairn_sql_follower *follower, struct cairn_sql_batch *batch,
                         struct cairn_sql_step_to *ret_to, struct cairn_err *err)
{
    const char *place = cairn_position_text(&batch->position, &batch->parcel.arena);
    if (place == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "commit a batch");
    }
    batch->place = cairn_slice_str(place);
    *ret_to = (struct cairn_sql_step_to){
        .from = &follower->head, .place = batch->place, .events = batch->events};
    return CAIRN_OK;
}

/* The row stands at the batch's end now. */
static enum cairn_rc move(struct cairn_sql_follower *follower, const struct cairn_sql_batch *batch,
                          uint64_t taken, struct cairn_err *err)
{
    char *copy = cairn_mem_strndup(batch->place.data, batch->place.size);
    if (copy == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "follow the log");
    }
    assert(batch->events > 0);
    cairn_mem_free(follower->place_text);
    follower->place_text = copy;
    follower->head.place = cairn_slice_of(copy, batch->place.size);
    follower->head.position = batch->position;
    follower->head.events += batch->events;
    follower->taken += taken;
    follower->suspects -= follower->suspects < batch->events ? follower->suspects : batch->events;
    return CAIRN_OK;
}

enum cairn_rc cairn_sql_batch_commit(struct cairn_sql_follower *follower,
                                     struct cairn_sql_batch *batch, size_t *ret_tag,
                                     struct cairn_err *err)
{
    struct cairn_sql_step_to to;
    enum cairn_rc rc = aim(follower, batch, &to, err);
    rc = rc == CAIRN_OK
             ? cairn_sql_writer_commit(follower->writer, &batch->parcel, &to, ret_tag, err)
             : rc;
    return rc == CAIRN_OK ? move(follower, batch, batch->taken, err) : rc;
}

enum cairn_rc cairn_sql_batch_send(struct cairn_sql_follower *follower,
                                   struct cairn_sql_batch *batch, struct cairn_err *err)
{
    struct cairn_sql_step_to to;
    enum cairn_rc rc = aim(follower, batch, &to, err);
    return rc == CAIRN_OK ? cairn_sql_writer_send(follower->writer, &batch->parcel, &to, err) : rc;
}

enum cairn_rc cairn_sql_batch_await(struct cairn_sql_follower *follower,
                                    struct cairn_sql_batch *batch, size_t *ret_tag,
                                    struct cairn_err *err)
{
    enum cairn_rc rc = cairn_sql_writer_await(follower->writer, &batch->parcel, ret_tag, err);
    return rc == CAIRN_OK ? move(follower, batch, batch->taken, err) : rc;
}

enum cairn_rc cairn_sql_batch_park(struct cairn_sql_follower *follower,
                                   struct cairn_sql_batch *batch,
                                   const struct cairn_sql_parking *parking, struct cairn_err *err)
{
    struct cairn_sql_step_to to;
    enum cairn_rc rc = aim(follower, batch, &to, err);
    rc = rc == CAIRN_OK ? cairn_sql_parked_add(follower->pg, follower->domain, follower->view,
                                               follower->side, &to, parking, err)
                        : rc;
    rc = rc == CAIRN_OK ? move(follower, batch, 0, err) : rc;
    rc = rc == CAIRN_OK ? cairn_parked_put(&follower->parked, parking->failed->stream,
                                           parking->version, 0, err)
                        : rc;
    if (rc == CAIRN_OK) {
        follower->head.parks++;
    }
    return rc;
}
