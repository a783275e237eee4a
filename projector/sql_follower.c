#include "projector/sql_follower.h"

#include <assert.h>

#include "platform/mem.h"

/* A batch ends at the first command behind one of these. */
#define BATCH_BYTES_SOFT ((size_t)32 * 1024 * 1024)
#define BATCH_ROWS_SOFT  (CAIRN_SQL_PLAN_ROWS_MAX / 4)
/* What a single command may need beyond it. */
#define BATCH_BYTES_MAX ((size_t)1024 * 1024 * 1024)
#define HEAD_BYTES_MAX  ((size_t)16 * 1024 * 1024)
#define LOCK_TIMEOUT_MS 10000
/* Transactions of one step among commands of which one is refused. */
#define SIFT_TRIES_MAX 256

/* ---- opening ---- */

/* The batch's arena is reset between batches, so the place is kept apart. */
static enum cairn_rc keep_place(struct cairn_sql_follower *follower, struct cairn_slice place,
                                struct cairn_err *err)
{
    char *copy = cairn_mem_strndup(place.data, place.size);
    if (copy == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "follow the log");
    }
    cairn_mem_free(follower->place_text);
    follower->place_text = copy;
    follower->head.place = cairn_slice_of(copy, place.size);
    return CAIRN_OK;
}

enum cairn_rc cairn_sql_follower_connect(const struct cairn_sql_follower_options *options,
                                         struct cairn_pg **ret_pg, struct cairn_err *err)
{
    char schema[CAIRN_SQL_SCHEMA_SIZE];
    enum cairn_rc rc = cairn_sql_schema(cairn_domain_name(options->domain), options->view,
                                        options->side, schema, err);
    const struct cairn_pg_options connection = {.uri = options->uri,
                                                .application = "cairn projector",
                                                .schema = schema,
                                                .lock_timeout_ms = LOCK_TIMEOUT_MS};
    return rc == CAIRN_OK ? cairn_pg_open(&connection, ret_pg, err) : rc;
}

static enum cairn_rc read_definition(struct cairn_sql_follower *follower,
                                     struct cairn_sql_view **ret_view, struct cairn_err *err)
{
    struct cairn_sql_view *view = cairn_arena_zalloc(&follower->arena, 1, sizeof(*view));
    if (view == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "read a definition");
    }
    enum cairn_rc rc = cairn_sql_head_read(follower->pg, follower->domain, follower->view,
                                           follower->side, &follower->arena, &follower->head, err);
    rc = rc == CAIRN_OK ? keep_place(follower, follower->head.place, err) : rc;
    rc = rc == CAIRN_OK ? cairn_sql_view_read(follower->view, follower->head.definition,
                                              &follower->arena, view, err)
                        : rc;
    if (rc == CAIRN_OK) {
        follower->parks = view->parks;
        *ret_view = view;
    }
    return rc;
}

/* Behind the head, which the set must not be behind of. What the other generation says of a stretch
 * that both know counts. */
static enum cairn_rc read_parked(struct cairn_sql_follower *follower, uint64_t other,
                                 struct cairn_err *err)
{
    enum cairn_rc rc = cairn_sql_parked_load(follower->pg, follower->domain, follower->view,
                                             follower->head.generation, &follower->parked, err);
    return rc == CAIRN_OK && other != 0
               ? cairn_sql_parked_load(follower->pg, follower->domain, follower->view, other,
                                       &follower->parked, err)
               : rc;
}

static enum cairn_rc open_all(struct cairn_sql_follower *follower,
                              const struct cairn_sql_follower_options *options,
                              struct cairn_err *err)
{
    char schema[CAIRN_SQL_SCHEMA_SIZE];
    struct cairn_sql_view *view = NULL;
    enum cairn_rc rc =
        cairn_sql_schema(follower->domain, follower->view, follower->side, schema, err);
    if (rc == CAIRN_OK && follower->pg == NULL) {
        rc = cairn_sql_follower_connect(options, &follower->pg, err);
    }
    rc = rc == CAIRN_OK ? read_definition(follower, &view, err) : rc;
    rc = rc == CAIRN_OK ? read_parked(follower, options->left_out_generation, err) : rc;
    if (rc != CAIRN_OK) {
        return rc;
    }
    const struct cairn_sql_writer_options writer = {.pg = follower->pg,
                                                    .domain = follower->domain,
                                                    .side = follower->side,
                                                    .view = view,
                                                    .schema = schema};
    rc = cairn_sql_writer_open(&writer, &follower->writer, err);
    return rc == CAIRN_OK ? cairn_upcaster_new(options->domain, &follower->upcaster, err) : rc;
}

enum cairn_rc cairn_sql_follower_open(const struct cairn_sql_follower_options *options,
                                      struct cairn_sql_follower **ret_follower,
                                      struct cairn_err *err)
{
    assert(options->uri != NULL && options->store != NULL);
    struct cairn_sql_follower *follower = cairn_mem_zalloc(1, sizeof(*follower));
    if (follower == NULL) {
        cairn_pg_close(options->pg);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "follow the log");
    }
    follower->pg = options->pg;
    follower->scope = options->scope;
    follower->store = options->store;
    follower->domain = cairn_domain_name(options->domain);
    follower->view = options->view;
    follower->side = options->side;
    follower->log = options->log;
    cairn_parked_init(&follower->parked);
    follower->arena.max = HEAD_BYTES_MAX;
    follower->batch.max = BATCH_BYTES_MAX;
    follower->event.max = BATCH_BYTES_MAX;
    enum cairn_rc rc = open_all(follower, options, err);
    if (rc != CAIRN_OK) {
        cairn_sql_follower_close(follower);
        return rc;
    }
    *ret_follower = follower;
    return CAIRN_OK;
}

void cairn_sql_follower_close(struct cairn_sql_follower *follower)
{
    if (follower == NULL) {
        return;
    }
    cairn_source_close(follower->source);
    cairn_upcaster_free(follower->upcaster);
    cairn_sql_writer_close(follower->writer);
    cairn_pg_close(follower->pg);
    cairn_arena_fini(&follower->arena);
    cairn_arena_fini(&follower->batch);
    cairn_arena_fini(&follower->event);
    cairn_parked_fini(&follower->parked);
    cairn_mem_free(follower->place_text);
    cairn_mem_free(follower);
}

/* ---- a batch ---- */

/* Events of a batch under way, and where the last of them lies. */
struct batch {
    struct cairn_position position;
    uint64_t events;
    size_t commands; /* begun, of those that are applied */
    uint64_t taken;  /* of the events, those that are applied */
};

static void forget_source(struct cairn_sql_follower *follower)
{
    cairn_source_close(follower->source);
    follower->source = NULL;
}

void cairn_sql_follower_set_until(struct cairn_sql_follower *follower,
                                  const struct cairn_position *until)
{
    follower->has_until = until != NULL;
    if (until != NULL) {
        follower->until = *until;
    }
    forget_source(follower); /* it has left out what it read beyond */
}

static const struct cairn_position *limit(const struct cairn_sql_follower *follower)
{
    return follower->has_until ? &follower->until : NULL;
}

static void begin_batch(struct cairn_sql_follower *follower, struct batch *batch)
{
    cairn_arena_reset(&follower->batch);
    cairn_sql_writer_begin(follower->writer, &follower->batch);
    *batch = (struct batch){.position = follower->head.position};
}

/* The row stands at the batch's end now. */
static enum cairn_rc move(struct cairn_sql_follower *follower, const struct batch *batch,
                          struct cairn_slice place, struct cairn_err *err)
{
    enum cairn_rc rc = keep_place(follower, place, err);
    if (rc == CAIRN_OK) {
        follower->head.position = batch->position;
        follower->head.events += batch->events;
        follower->taken += batch->taken;
        follower->suspects -=
            follower->suspects < batch->events ? follower->suspects : batch->events;
    }
    return rc;
}

/* Where a batch leads to. ENOMEM. */
static enum cairn_rc aim(struct cairn_sql_follower *follower, const struct batch *batch,
                         struct cairn_sql_step_to *ret_to, struct cairn_err *err)
{
    const char *place = cairn_position_text(&batch->position, &follower->batch);
    if (place == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "commit a batch");
    }
    *ret_to = (struct cairn_sql_step_to){.from = &follower->head,
                                         .place = cairn_slice_str(place),
                                         .events = batch->events,
                                         .careful = follower->suspects > 0 && batch->commands == 1};
    return CAIRN_OK;
}

static enum cairn_rc commit_batch(struct cairn_sql_follower *follower, const struct batch *batch,
                                  size_t *ret_tag, struct cairn_err *err)
{
    struct cairn_sql_step_to to;
    enum cairn_rc rc = aim(follower, batch, &to, err);
    rc = rc == CAIRN_OK ? cairn_sql_writer_commit(follower->writer, &to, ret_tag, err) : rc;
    return rc == CAIRN_OK ? move(follower, batch, to.place, err) : rc;
}

enum cairn_rc cairn_sql_follower_take(struct cairn_sql_follower *follower,
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
    rc = rc == CAIRN_OK ? cairn_sql_writer_add(follower->writer, event, &data, tag, err) : rc;
    return rc == CAIRN_ETOOBIG ? cairn_err_wrap(err, CAIRN_EINVAL, "an event") : rc;
}

static bool is_taken(const struct cairn_sql_follower *follower, const struct cairn_event *event)
{
    return (follower->scope == NULL || cairn_replay_scope_takes(follower->scope, event)) &&
           !cairn_parked_has(&follower->parked, event);
}

/* The batch goes past the event. */
static void pass_event(struct batch *batch, const struct cairn_event *event, bool taken)
{
    batch->position.offsets[event->partition] = event->offset;
    batch->events++;
    batch->commands += taken && event->index == 0 ? 1 : 0;
    batch->taken += taken ? 1 : 0;
}

/* An event is part of the batch, with its rows unless it is left out. */
static enum cairn_rc take_event(struct cairn_sql_follower *follower,
                                const struct cairn_event *event, size_t tag, struct batch *batch,
                                struct cairn_err *err)
{
    bool taken = is_taken(follower, event);
    enum cairn_rc rc = taken ? cairn_sql_follower_take(follower, event, tag, err) : CAIRN_OK;
    pass_event(batch, event, taken);
    return rc;
}

static bool is_full(const struct cairn_sql_follower *follower)
{
    return follower->batch.used > BATCH_BYTES_SOFT ||
           cairn_sql_writer_rows(follower->writer) > BATCH_ROWS_SOFT;
}

static enum cairn_rc commit_some(struct cairn_sql_follower *follower, struct batch *batch,
                                 size_t *events, struct cairn_err *err)
{
    size_t tag = 0;
    enum cairn_rc rc = commit_batch(follower, batch, &tag, err);
    if (rc == CAIRN_OK) {
        *events += batch->events;
        begin_batch(follower, batch);
    }
    return rc;
}

/* Put a read into the batch, which is committed on the way where it is full. */
static enum cairn_rc take_read(struct cairn_sql_follower *follower,
                               const struct cairn_chunks *chunks, struct batch *batch,
                               size_t *events, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    for (size_t c = 0; rc == CAIRN_OK && c < chunks->count; c++) {
        const struct cairn_chunk *chunk = &chunks->items[c];
        for (size_t e = 0; rc == CAIRN_OK && e < chunk->count; e++) {
            rc = take_event(follower, &chunk->events[e], e, batch, err);
            if (rc == CAIRN_OK && cairn_event_is_last(&chunk->events[e]) && is_full(follower)) {
                rc = commit_some(follower, batch, events, err);
            }
        }
    }
    return rc;
}

/* What the log has, about max_events, in one transaction, or in a few where it is much. A log that
 * cannot be read ends the batch, and is met again by the next one. EINVAL: something in it is
 * refused; *reads tells among how much. */
static enum cairn_rc apply_together(struct cairn_sql_follower *follower, size_t max_events,
                                    struct batch *batch, size_t *reads, size_t *events,
                                    struct cairn_err *err)
{
    struct cairn_chunks chunks = {.count = 0};
    enum cairn_rc rc = CAIRN_OK;
    begin_batch(follower, batch);
    for (size_t seen = 0; rc == CAIRN_OK && seen < max_events; seen += chunks.events) {
        rc = cairn_source_next(follower->source, max_events - seen, limit(follower), &chunks, err);
        if (rc != CAIRN_OK && seen > 0) {
            forget_source(follower);
            rc = CAIRN_OK;
            break;
        }
        if (rc != CAIRN_OK || chunks.count == 0) {
            break;
        }
        ++*reads;
        rc = take_read(follower, &chunks, batch, events, err);
    }
    return rc == CAIRN_OK && batch->events > 0 ? commit_some(follower, batch, events, err) : rc;
}

/* Again from where the last commit left it: the reads of a batch that was refused each by itself,
 * and the one that is refused in smaller and smaller parts. */
static enum cairn_rc read_and_apply(struct cairn_sql_follower *follower, size_t max_events,
                                    size_t *events, bool *end, struct cairn_err *err)
{
    struct batch batch;
    size_t reads = 0;
    enum cairn_rc rc = apply_together(follower, max_events, &batch, &reads, events, err);
    *end = rc == CAIRN_OK && reads == 0;
    if (rc == CAIRN_EINVAL && reads > 0) {
        assert(batch.events > 0 && batch.commands > 0);
        follower->suspects = batch.events;
        follower->sift_commands = reads > 1 ? SIZE_MAX : (batch.commands + 1) / 2;
        forget_source(follower);
        return CAIRN_OK;
    }
    return rc;
}

/* ---- a refused batch ---- */

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

/* Some commands of a read, and those around them that are left out. */
struct portion {
    struct batch batch;
    struct cursor last; /* where its last command that is applied begins */
    size_t tag;         /* of the row or event that was refused */
};

/* Take commands, as many as may be tried together. One that cannot be taken is the last. */
static enum cairn_rc take_portion(struct cairn_sql_follower *follower,
                                  const struct cairn_chunks *chunks, struct cursor *at,
                                  struct portion *portion, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    bool between = true;
    *portion = (struct portion){.last = *at};
    begin_batch(follower, &portion->batch);
    while (at->chunk < chunks->count) {
        const struct cairn_event *event = &chunks->items[at->chunk].events[at->event];
        bool taken = is_taken(follower, event);
        bool more = rc == CAIRN_OK && !is_full(follower) &&
                    (!taken || portion->batch.commands < follower->sift_commands);
        if (between && !more) {
            break;
        }
        portion->last = between && taken ? *at : portion->last;
        if (rc == CAIRN_OK) {
            portion->tag = at->event;
            rc = take_event(follower, event, at->event, &portion->batch, err);
        } else {
            pass_event(&portion->batch, event, taken);
        }
        between = cairn_event_is_last(event);
        advance(at, chunks, 1);
    }
    return rc;
}

/* A command that is refused by itself. */
struct refusal {
    const struct batch *batch;        /* of it alone, and what is left out around it */
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
    struct cairn_sql_step_to to;
    const struct cairn_event *first = refusal->first;
    const struct cairn_sql_parking parking = {
        .failed = refusal->failed, .version = first->version, .error = refusal->why->text};
    enum cairn_rc rc = aim(follower, refusal->batch, &to, err);
    rc = rc == CAIRN_OK ? cairn_sql_parked_add(follower->pg, follower->domain, follower->view,
                                               follower->side, &to, &parking, err)
                        : rc;
    rc = rc == CAIRN_OK ? move(follower, refusal->batch, to.place, err) : rc;
    rc = rc == CAIRN_OK ? cairn_parked_put(&follower->parked, first->stream, first->version, 0, err)
                        : rc;
    if (rc != CAIRN_OK) {
        return rc;
    }
    follower->head.parks++;
    tell_parked(follower, &parking);
    return CAIRN_OK;
}

static enum cairn_rc refuse(struct cairn_sql_follower *follower, const struct refusal *refusal,
                            size_t *events, struct cairn_err *err)
{
    struct cairn_err crowd;
    struct refusal last = *refusal;
    if (!follower->parks || !refusal->of_values) {
        return stop(follower, refusal, err);
    }
    if (follower->parked.waiting >= CAIRN_PARKED_MAX) {
        (void)CAIRN_FAIL(&crowd, CAIRN_ETOOBIG, "%d streams are parked, and one more: %s",
                         CAIRN_PARKED_MAX, refusal->why->text);
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
        rc = commit_batch(follower, &portion.batch, &portion.tag, &why);
        of_values = rc != CAIRN_EINVAL || cairn_sql_parked_blames(cairn_pg_sqlstate(follower->pg));
    }
    if (rc == CAIRN_OK) {
        *events += portion.batch.events;
        follower->sift_commands *= follower->sift_commands > SIZE_MAX / 2 ? 1 : 2;
        return CAIRN_OK;
    }
    if (rc != CAIRN_EINVAL) {
        *err = why;
        return rc;
    }
    assert(portion.batch.commands > 0);
    follower->sift_commands = (portion.batch.commands + 1) / 2;
    if (portion.batch.commands > 1) {
        *at = from;
        return CAIRN_OK;
    }
    const struct cairn_chunk *chunk = &chunks->items[portion.last.chunk];
    const struct refusal refusal = {
        .batch = &portion.batch,
        .first = &chunk->events[portion.last.event],
        .failed = &chunk->events[portion.tag < chunk->count ? portion.tag : portion.last.event],
        .of_values = of_values,
        .why = &why};
    assert(refusal.first->index == 0);
    return refuse(follower, &refusal, events, err);
}

/* A read in which something may be refused. What is left of it after many tries is read again, so
 * that a step ends. */
static enum cairn_rc read_and_sift(struct cairn_sql_follower *follower, size_t max_events,
                                   size_t *events, bool *end, struct cairn_err *err)
{
    struct cairn_chunks chunks;
    struct cursor at = {0, 0};
    size_t tries = 0;
    enum cairn_rc rc =
        cairn_source_next(follower->source, max_events, limit(follower), &chunks, err);
    *end = rc == CAIRN_OK && chunks.count == 0;
    while (rc == CAIRN_OK && !follower->failed && at.chunk < chunks.count &&
           tries++ < SIFT_TRIES_MAX) {
        rc = sift_some(follower, &chunks, &at, events, err);
    }
    if (rc == CAIRN_OK && at.chunk < chunks.count) {
        forget_source(follower);
    }
    return rc;
}

/* ---- a step ---- */

static enum cairn_rc read_more(struct cairn_sql_follower *follower, size_t max_events,
                               size_t *events, bool *end, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    if (follower->source == NULL) {
        rc = cairn_source_open(follower->store, &follower->head.position, &follower->source, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    return follower->suspects > 0 ? read_and_sift(follower, max_events, events, end, err)
                                  : read_and_apply(follower, max_events, events, end, err);
}

enum cairn_rc cairn_sql_follower_step(struct cairn_sql_follower *follower, size_t max_events,
                                      size_t *ret_events, struct cairn_err *err)
{
    assert(max_events > 0 && !follower->failed);
    size_t events = 0;
    bool end = false;
    enum cairn_rc rc = CAIRN_OK;
    /* A batch that is refused is read again, and sifted. */
    while (rc == CAIRN_OK && events == 0 && !end && !follower->failed) {
        rc = read_more(follower, max_events, &events, &end, err);
    }
    if (rc != CAIRN_OK || follower->failed) {
        forget_source(follower);
    }
    *ret_events = events;
    return rc;
}
