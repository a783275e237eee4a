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
        *ret_view = view;
    }
    return rc;
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
    cairn_mem_free(follower->place_text);
    cairn_mem_free(follower);
}

/* ---- a batch ---- */

/* Events of a batch under way, and where the last of them lies. */
struct batch {
    struct cairn_position position;
    uint64_t events;
    uint64_t taken; /* of them, those inside of the scope */
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

/* What made an event unfit for the view, kept until the row says it. */
static void note_failure(struct cairn_sql_follower *follower, const struct cairn_event *event,
                         const struct cairn_err *err)
{
    follower->failed = true;
    follower->failure = *err;
    cairn_uuid_format(&event->id, follower->failed_event);
    follower->failed_event[CAIRN_UUID_TEXT_SIZE] = '\0';
    follower->failed_partition = event->partition;
    follower->failed_offset = event->offset;
}

static enum cairn_rc commit_batch(struct cairn_sql_follower *follower, const struct batch *batch,
                                  size_t *ret_tag, struct cairn_err *err)
{
    const char *place = cairn_position_text(&batch->position, &follower->batch);
    if (place == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "commit a batch");
    }
    const struct cairn_sql_step_to to = {
        .from = &follower->head,
        .place = cairn_slice_str(place),
        .events = batch->events,
        .careful = follower->careful,
    };
    enum cairn_rc rc = cairn_sql_writer_commit(follower->writer, &to, ret_tag, err);
    rc = rc == CAIRN_OK ? keep_place(follower, to.place, err) : rc;
    if (rc == CAIRN_OK) {
        follower->head.position = batch->position;
        follower->head.events += batch->events;
        follower->taken += batch->taken;
        follower->suspects -=
            follower->suspects < batch->events ? follower->suspects : batch->events;
    }
    return rc;
}

/* Put an event's rows into the batch. EINVAL: it cannot be lifted, which is the domain's fault. */
static enum cairn_rc take_event(struct cairn_sql_follower *follower,
                                const struct cairn_event *event, size_t tag, struct batch *batch,
                                struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    bool taken = follower->scope == NULL || cairn_replay_scope_takes(follower->scope, event);
    if (taken && cairn_sql_writer_handles(follower->writer, event->type)) {
        struct cairn_value data;
        cairn_arena_reset(&follower->event);
        rc = cairn_upcaster_data(follower->upcaster, event, &follower->event, &data, err);
        rc = rc == CAIRN_ESCRIPT ? cairn_err_wrap(err, CAIRN_EINVAL, "upcast") : rc;
        rc = rc == CAIRN_OK ? cairn_sql_writer_add(follower->writer, event, &data, tag, err) : rc;
        rc = rc == CAIRN_ETOOBIG ? cairn_err_wrap(err, CAIRN_EINVAL, "an event") : rc;
    }
    batch->position.offsets[event->partition] = event->offset;
    batch->events++;
    batch->taken += taken ? 1 : 0;
    return rc;
}

/* One command a transaction, so that the one which fails stands alone. Stops there. */
static enum cairn_rc apply_carefully(struct cairn_sql_follower *follower,
                                     const struct cairn_chunk *chunk, size_t *events,
                                     struct cairn_err *err)
{
    struct batch batch;
    size_t first = 0;
    begin_batch(follower, &batch);
    for (size_t e = 0; e < chunk->count; e++) {
        size_t tag = e;
        enum cairn_rc rc = take_event(follower, &chunk->events[e], e, &batch, err);
        if (rc == CAIRN_OK && !cairn_event_is_last(&chunk->events[e])) {
            continue;
        }
        rc = rc == CAIRN_OK ? commit_batch(follower, &batch, &tag, err) : rc;
        if (rc == CAIRN_EINVAL) {
            note_failure(follower, &chunk->events[tag < chunk->count ? tag : first], err);
            return CAIRN_OK;
        }
        if (rc != CAIRN_OK) {
            return rc;
        }
        *events += batch.events;
        first = e + 1;
        begin_batch(follower, &batch);
    }
    return CAIRN_OK;
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
        if (follower->suspects > 0) {
            break;
        }
    }
    return rc == CAIRN_OK && batch->events > 0 ? commit_some(follower, batch, events, err) : rc;
}

/* The row says that the view stopped; the view is no further than before the event. */
static enum cairn_rc tell_failure(struct cairn_sql_follower *follower, struct cairn_err *err)
{
    const struct cairn_sql_stop stop = {.error = follower->failure.text,
                                        .event = cairn_slice_str(follower->failed_event),
                                        .partition = follower->failed_partition,
                                        .offset = follower->failed_offset};
    return cairn_sql_stop_write(follower->pg, follower->domain, follower->view, follower->side,
                                &follower->head, &stop, err);
}

/* Again from where the last commit left it: the reads of a batch that was refused each by itself,
 * and the one that is refused command by command. */
static enum cairn_rc read_and_apply(struct cairn_sql_follower *follower, size_t max_events,
                                    size_t *events, bool *end, struct cairn_err *err)
{
    struct batch batch;
    size_t reads = 0;
    enum cairn_rc rc = apply_together(follower, max_events, &batch, &reads, events, err);
    *end = rc == CAIRN_OK && reads == 0;
    if (rc == CAIRN_EINVAL && reads > 0) {
        follower->careful = reads == 1;
        follower->suspects = reads > 1 ? batch.events : follower->suspects;
        forget_source(follower);
        return CAIRN_OK;
    }
    return rc;
}

static enum cairn_rc read_carefully(struct cairn_sql_follower *follower, size_t max_events,
                                    size_t *events, bool *end, struct cairn_err *err)
{
    struct cairn_chunks chunks;
    enum cairn_rc rc =
        cairn_source_next(follower->source, max_events, limit(follower), &chunks, err);
    *end = rc == CAIRN_OK && chunks.count == 0;
    for (size_t c = 0; rc == CAIRN_OK && !follower->failed && c < chunks.count; c++) {
        rc = apply_carefully(follower, &chunks.items[c], events, err);
    }
    follower->careful = false;
    return rc == CAIRN_OK && follower->failed ? tell_failure(follower, err) : rc;
}

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
    return follower->careful ? read_carefully(follower, max_events, events, end, err)
                             : read_and_apply(follower, max_events, events, end, err);
}

enum cairn_rc cairn_sql_follower_step(struct cairn_sql_follower *follower, size_t max_events,
                                      size_t *ret_events, struct cairn_err *err)
{
    assert(max_events > 0 && !follower->failed);
    size_t events = 0;
    bool end = false;
    enum cairn_rc rc = CAIRN_OK;
    /* A batch that is refused is read again, once, carefully. */
    while (rc == CAIRN_OK && events == 0 && !end && !follower->failed) {
        rc = read_more(follower, max_events, &events, &end, err);
    }
    if (rc != CAIRN_OK || follower->failed) {
        forget_source(follower);
    }
    *ret_events = events;
    return rc;
}
