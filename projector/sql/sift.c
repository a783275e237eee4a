#include "projector/sql/sift.h"

#include <assert.h>

#include "projector/sql/batch.h"

/* Transactions of one call. */
#define TRIES_MAX 256

/* The next command of a read begins with this event of this chunk. */
struct cursor {
    size_t chunk;
    size_t event;
};

static void advance(struct cursor *at, const struct cairn_chunks *chunks, size_t events)
{
    at->event += events;
    assert(at->event <= chunks->items[at->chunk].count);
    if (at->event == chunks->items[at->chunk].count) {
        *at = (struct cursor){.chunk = at->chunk + 1};
    }
}

/* Some commands of a read, and those around them that are left out as parked. */
struct portion {
    struct cairn_sql_batch *batch;
    struct cursor last; /* where its last command that is not left out begins */
    size_t tag;         /* of the row or event that was refused */
};

/* Take commands, as many as may be tried together. One that cannot be taken is the last. */
static enum cairn_rc take_portion(struct cairn_sql_follower *follower,
                                  const struct cairn_chunks *chunks, struct cursor *at,
                                  struct portion *portion, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    bool between = true;
    *portion = (struct portion){.batch = follower->batch, .last = *at};
    cairn_sql_batch_begin(portion->batch, &follower->head.position);
    while (at->chunk < chunks->count) {
        const struct cairn_event *event = &chunks->items[at->chunk].events[at->event];
        bool parked = cairn_parked_has(&follower->parked, event);
        bool more = rc == CAIRN_OK && !cairn_sql_batch_is_full(portion->batch) &&
                    (parked || portion->batch->commands < follower->sift_commands);
        if (between && !more) {
            break;
        }
        portion->last = between && !parked ? *at : portion->last;
        if (rc == CAIRN_OK) {
            portion->tag = at->event;
            rc = cairn_sql_batch_take(follower, portion->batch, event, at->event, err);
        } else {
            cairn_sql_batch_pass(follower, portion->batch, event);
        }
        between = cairn_event_is_last(event);
        advance(at, chunks, 1);
    }
    return rc;
}

/* A command that is refused by itself. */
struct refusal {
    struct cairn_sql_batch *batch;    /* of it alone, and what is left out around it */
    const struct cairn_event *first;  /* of the command */
    const struct cairn_event *failed; /* among them */
    bool of_values;                   /* it is the event's fault */
    const struct cairn_err *why;
};

/* What made an event unfit for the view: the row says it, and the view is no further than before
 * the event. */
static enum cairn_rc stop(struct cairn_sql_follower *follower, const struct refusal *refusal,
                          struct cairn_err *err)
{
    follower->failed = true;
    follower->failure = *refusal->why;
    cairn_uuid_format(&refusal->failed->id, follower->failed_event);
    follower->failed_event[CAIRN_UUID_TEXT_SIZE] = '\0';
    follower->failed_partition = refusal->failed->partition;
    follower->failed_offset = refusal->failed->offset;
    const struct cairn_sql_stop told = {.error = follower->failure.text,
                                        .event = cairn_slice_str(follower->failed_event),
                                        .partition = follower->failed_partition,
                                        .offset = follower->failed_offset};
    return cairn_sql_stop_write(follower->pg, follower->domain, follower->view, follower->side,
                                &follower->head, &told, err);
}

static void tell_parked(const struct cairn_sql_follower *follower,
                        const struct cairn_sql_parking *parking)
{
    char id[CAIRN_UUID_TEXT_SIZE];
    cairn_uuid_format(&parking->failed->id, id);
    cairn_log_event(
        follower->log, CAIRN_LOG_WARN, "projector", "stream parked",
        CAIRN_F_SLICE("view", follower->view), CAIRN_F_SLICE("stream", parking->failed->stream),
        CAIRN_F_UINT("version", parking->version),
        CAIRN_F_SLICE("at_event", cairn_slice_of(id, sizeof(id))),
        CAIRN_F_UINT("partition", parking->failed->partition),
        CAIRN_F_UINT("offset", parking->failed->offset), CAIRN_F_STR("detail", parking->error));
}

/* Leave the stream out from this command on, and go past it. */
static enum cairn_rc park(struct cairn_sql_follower *follower, const struct refusal *refusal,
                          struct cairn_err *err)
{
    const struct cairn_sql_parking parking = {
        .failed = refusal->failed, .version = refusal->first->version, .error = refusal->why->text};
    enum cairn_rc rc = cairn_sql_batch_park(follower, refusal->batch, &parking, err);
    if (rc == CAIRN_OK) {
        tell_parked(follower, &parking);
    }
    return rc;
}

static enum cairn_rc refuse(struct cairn_sql_follower *follower, const struct refusal *refusal,
                            size_t *events, struct cairn_err *err)
{
    struct cairn_err crowd;
    struct refusal last = *refusal;
    if (!follower->parks || !refusal->of_values) {
        return stop(follower, refusal, err);
    }
    if (follower->parked.waiting >= CAIRN_PARKED_MAX ||
        follower->parked.ranges >= CAIRN_PARKED_RANGES_MAX) {
        (void)CAIRN_FAIL(&crowd, CAIRN_ETOOBIG,
                         "%zu streams are parked, %zu ends of streams given up, and one more: %s",
                         follower->parked.waiting,
                         follower->parked.ranges - follower->parked.waiting, refusal->why->text);
        last.why = &crowd;
        return stop(follower, &last, err);
    }
    enum cairn_rc rc = park(follower, refusal, err);
    *events += rc == CAIRN_OK ? refusal->batch->events : 0;
    return rc;
}

/* Some commands of a read in one transaction. If they are refused, half as many are tried next; one
 * alone is what is looked for. So what is refused costs the logarithm of what it is among, and
 * refused commands one behind the other two transactions each. */
static enum cairn_rc sift_some(struct cairn_sql_follower *follower,
                               const struct cairn_chunks *chunks, struct cursor *at, size_t *events,
                               struct cairn_err *err)
{
    const struct cursor from = *at;
    struct portion portion;
    struct cairn_err why;
    bool of_values = true;
    enum cairn_rc rc = take_portion(follower, chunks, at, &portion, &why);
    if (rc == CAIRN_OK) {
        rc = cairn_sql_writer_pack(follower->writer, portion.batch->commands == 1,
                                   &portion.batch->parcel, &why);
        rc = rc == CAIRN_OK ? cairn_sql_batch_commit(follower, portion.batch, &portion.tag, &why)
                            : rc;
        of_values = rc != CAIRN_EINVAL || cairn_sql_parked_blames(cairn_pg_sqlstate(follower->pg));
    }
    if (rc == CAIRN_OK) {
        *events += portion.batch->events;
        follower->sift_commands *= follower->sift_commands > SIZE_MAX / 2 ? 1 : 2;
        return CAIRN_OK;
    }
    if (rc != CAIRN_EINVAL) {
        *err = why;
        return rc;
    }
    assert(portion.batch->commands > 0);
    follower->sift_commands = (portion.batch->commands + 1) / 2;
    if (portion.batch->commands > 1) {
        *at = from;
        return CAIRN_OK;
    }
    const struct cairn_chunk *chunk = &chunks->items[portion.last.chunk];
    const struct refusal refusal = {
        .batch = portion.batch,
        .first = &chunk->events[portion.last.event],
        .failed = &chunk->events[portion.tag < chunk->count ? portion.tag : portion.last.event],
        .of_values = of_values,
        .why = &why};
    assert(refusal.first->index == 0);
    return refuse(follower, &refusal, events, err);
}

enum cairn_rc cairn_sql_sift(struct cairn_sql_follower *follower, const struct cairn_chunks *chunks,
                             size_t *events, bool *ret_done, struct cairn_err *err)
{
    struct cursor at = {0, 0};
    enum cairn_rc rc = CAIRN_OK;
    assert(follower->suspects > 0 && follower->sift_commands > 0);
    for (int i = 0;
         rc == CAIRN_OK && !follower->failed && at.chunk < chunks->count && i < TRIES_MAX; i++) {
        rc = sift_some(follower, chunks, &at, events, err);
    }
    *ret_done = at.chunk == chunks->count;
    return rc;
}
