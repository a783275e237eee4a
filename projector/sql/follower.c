#include "projector/sql/follower.h"

#include <assert.h>

#include "platform/mem.h"
#include "projector/sql/sift.h"

/* What a single command may need beyond a batch's soft limit. */
#define BATCH_BYTES_MAX ((size_t)1024 * 1024 * 1024)
#define HEAD_BYTES_MAX  ((size_t)16 * 1024 * 1024)
#define LOCK_TIMEOUT_MS 10000

/* ---- opening ---- */

/* Apart from the arenas, since it is replaced with each batch. */
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

/* The head, as the row has it, or the lane's. */
static enum cairn_rc read_head(struct cairn_sql_follower *follower, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_sql_head_read(follower->pg, follower->domain, follower->view,
                                           follower->side, &follower->arena, &follower->head, err);
    if (rc == CAIRN_OK && follower->lane != NULL) {
        rc = cairn_sql_lane_read(follower->pg, follower->domain, follower->view, follower->lane,
                                 &follower->arena, &follower->head, err);
    }
    return rc == CAIRN_OK ? keep_place(follower, follower->head.place, err) : rc;
}

static enum cairn_rc read_definition(struct cairn_sql_follower *follower,
                                     struct cairn_sql_view **ret_view, struct cairn_err *err)
{
    struct cairn_sql_view *view = cairn_arena_zalloc(&follower->arena, 1, sizeof(*view));
    if (view == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "read a definition");
    }
    enum cairn_rc rc = read_head(follower, err);
    rc = rc == CAIRN_OK ? cairn_sql_view_read(follower->view, follower->head.definition,
                                              &follower->arena, view, err)
                        : rc;
    if (rc == CAIRN_OK) {
        follower->parks = view->parks;
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
    /* Behind the head, which the set must not be behind of. */
    rc = rc == CAIRN_OK ? cairn_sql_parked_load(follower->pg, follower->domain, follower->view,
                                                follower->head.generation, &follower->parked, err)
                        : rc;
    if (rc != CAIRN_OK) {
        return rc;
    }
    const struct cairn_sql_writer_options writer = {.pg = follower->pg,
                                                    .domain = follower->domain,
                                                    .side = follower->side,
                                                    .view = view,
                                                    .schema = schema,
                                                    .lane = follower->lane};
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
    follower->lane = options->lane;
    cairn_parked_init(&follower->parked);
    follower->arena.max = HEAD_BYTES_MAX;
    follower->batch = &follower->batches[0];
    follower->next = &follower->batches[1];
    cairn_sql_parcel_init(&follower->batch->parcel, BATCH_BYTES_MAX);
    cairn_sql_parcel_init(&follower->next->parcel, BATCH_BYTES_MAX);
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
    cairn_sql_parcel_fini(&follower->batches[0].parcel);
    cairn_sql_parcel_fini(&follower->batches[1].parcel);
    cairn_arena_fini(&follower->event);
    cairn_parked_fini(&follower->parked);
    cairn_mem_free(follower->place_text);
    cairn_mem_free(follower);
}

/* ---- reading ---- */

static void close_source(struct cairn_sql_follower *follower)
{
    cairn_source_close(follower->source);
    follower->source = NULL;
    follower->read.chunks.count = 0;
    follower->read.chunk = 0;
}

/* What is read and not committed is read again. */
static void put_back(struct cairn_sql_follower *follower)
{
    close_source(follower);
    follower->ahead = false;
    cairn_sql_parcel_begin(&follower->next->parcel);
}

void cairn_sql_follower_set_until(struct cairn_sql_follower *follower,
                                  const struct cairn_position *until)
{
    follower->has_until = until != NULL;
    if (until != NULL) {
        follower->until = *until;
    }
    put_back(follower); /* the source has left out what it read beyond, or is beyond */
}

enum cairn_rc cairn_sql_follower_refresh(struct cairn_sql_follower *follower, struct cairn_err *err)
{
    put_back(follower);
    return read_head(follower, err);
}

static const struct cairn_position *limit(const struct cairn_sql_follower *follower)
{
    return follower->has_until ? &follower->until : NULL;
}

static enum cairn_rc open_source(struct cairn_sql_follower *follower,
                                 const struct cairn_position *after, struct cairn_err *err)
{
    return follower->source != NULL
               ? CAIRN_OK
               : cairn_source_open(follower->store, after, &follower->source, err);
}

/* The next read of the log. A log that cannot be read ends the batch, and is met again by the next
 * one. */
static enum cairn_rc read_on(struct cairn_sql_follower *follower, size_t max_events,
                             const struct cairn_sql_batch *batch, bool *ret_more,
                             struct cairn_err *err)
{
    struct cairn_chunks *chunks = &follower->read.chunks;
    follower->read.chunk = 0;
    follower->read.event = 0;
    enum cairn_rc rc = open_source(follower, &batch->position, err);
    rc = rc == CAIRN_OK
             ? cairn_source_next(follower->source, max_events, limit(follower), chunks, err)
             : rc;
    *ret_more = rc == CAIRN_OK && chunks->count > 0;
    if (rc != CAIRN_OK) {
        close_source(follower);
    }
    return batch->events > 0 ? CAIRN_OK : rc;
}

/* Put what is left of the read into the batch, up to where that is full. */
static enum cairn_rc take_read(struct cairn_sql_follower *follower, struct cairn_sql_batch *batch,
                               struct cairn_err *err)
{
    struct cairn_sql_read *read = &follower->read;
    enum cairn_rc rc = CAIRN_OK;
    bool full = false;
    batch->reads++;
    while (rc == CAIRN_OK && !full && read->chunk < read->chunks.count) {
        const struct cairn_chunk *chunk = &read->chunks.items[read->chunk];
        const struct cairn_event *event = &chunk->events[read->event];
        rc = cairn_sql_batch_take(follower, batch, event, read->event, err);
        full = cairn_event_is_last(event) && cairn_sql_batch_is_full(batch);
        if (++read->event == chunk->count) {
            read->chunk++;
            read->event = 0;
        }
    }
    return rc;
}

/* Is it as large as a batch may be? Else it ends where the log does. */
static bool is_whole(const struct cairn_sql_batch *batch, size_t max_events)
{
    return batch->events >= max_events || cairn_sql_batch_is_full(batch);
}

/* A batch of about max_events, packed; of several reads where one is not as much. At the end of the
 * log it has no events. EINVAL: the last of its events is refused. */
static enum cairn_rc fill(struct cairn_sql_follower *follower, size_t max_events,
                          const struct cairn_position *after, struct cairn_sql_batch *batch,
                          struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    bool more = true;
    cairn_sql_batch_begin(batch, after);
    while (rc == CAIRN_OK && more && !is_whole(batch, max_events)) {
        if (follower->read.chunk == follower->read.chunks.count) {
            rc = read_on(follower, max_events - batch->events, batch, &more, err);
        }
        if (rc == CAIRN_OK && more) {
            rc = take_read(follower, batch, err);
        }
    }
    return rc == CAIRN_OK && batch->events > 0
               ? cairn_sql_writer_pack(follower->writer, false, &batch->parcel, err)
               : rc;
}

/* ---- applying ---- */

/* What cannot be filled is put back, and met again by the next step. */
static void fill_next(struct cairn_sql_follower *follower, size_t max_events)
{
    struct cairn_err ignored;
    struct cairn_sql_batch *next = follower->next;
    if (fill(follower, max_events, &follower->batch->position, next, &ignored) != CAIRN_OK) {
        put_back(follower);
        return;
    }
    follower->ahead = next->events > 0;
}

/* Commit the batch in hand, and have the next one in hand. A log that has much more is read on
 * meanwhile; at its end nothing comes between a commit and its answer. Lanes share the processors
 * with each other already, and may have to send a batch again. */
static enum cairn_rc commit(struct cairn_sql_follower *follower, size_t max_events,
                            struct cairn_err *err)
{
    struct cairn_sql_batch *batch = follower->batch;
    size_t tag = 0;
    follower->ahead = false;
    if (follower->lane != NULL || !is_whole(batch, max_events)) {
        return cairn_sql_batch_commit(follower, batch, &tag, err);
    }
    enum cairn_rc rc = cairn_sql_batch_send(follower, batch, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    fill_next(follower, max_events);
    rc = cairn_sql_batch_await(follower, batch, &tag, err);
    if (rc == CAIRN_OK) {
        follower->batch = follower->next;
        follower->next = batch;
        cairn_sql_parcel_begin(&batch->parcel); /* its memory is given back */
    }
    return rc;
}

/* Again from where the last commit left it: the reads of a batch that was refused each by itself,
 * and the one that is refused in smaller and smaller parts. */
static enum cairn_rc read_and_apply(struct cairn_sql_follower *follower, size_t max_events,
                                    size_t *events, bool *end, struct cairn_err *err)
{
    struct cairn_sql_batch *batch = follower->batch;
    enum cairn_rc rc = CAIRN_OK;
    if (!follower->ahead) {
        rc = fill(follower, max_events, &follower->head.position, batch, err);
    }
    const size_t filled = batch->events;
    *end = rc == CAIRN_OK && filled == 0;
    rc = rc == CAIRN_OK && filled > 0 ? commit(follower, max_events, err) : rc;
    if (rc == CAIRN_EINVAL && filled > 0) {
        assert(batch->commands > 0);
        follower->suspects = filled;
        follower->sift_commands = batch->reads > 1 ? SIZE_MAX : (batch->commands + 1) / 2;
        put_back(follower);
        return CAIRN_OK;
    }
    *events += rc == CAIRN_OK ? filled : 0;
    return rc;
}

/* What is left of a read behind many tries is read again, so that a step ends. */
static enum cairn_rc read_and_sift(struct cairn_sql_follower *follower, size_t max_events,
                                   size_t *events, bool *end, struct cairn_err *err)
{
    struct cairn_chunks chunks = {.count = 0};
    bool done = true;
    enum cairn_rc rc = open_source(follower, &follower->head.position, err);
    rc = rc == CAIRN_OK
             ? cairn_source_next(follower->source, max_events, limit(follower), &chunks, err)
             : rc;
    *end = rc == CAIRN_OK && chunks.count == 0;
    rc = rc == CAIRN_OK ? cairn_sql_sift(follower, &chunks, events, &done, err) : rc;
    if (rc == CAIRN_OK && !done) {
        put_back(follower);
    }
    return rc;
}

/* ---- a step ---- */

enum cairn_rc cairn_sql_follower_step(struct cairn_sql_follower *follower, size_t max_events,
                                      size_t *ret_events, struct cairn_err *err)
{
    assert(max_events > 0 && !follower->failed);
    size_t events = 0;
    bool end = false;
    enum cairn_rc rc = CAIRN_OK;
    /* A batch that is refused is read again, and sifted. */
    while (rc == CAIRN_OK && events == 0 && !end && !follower->failed) {
        rc = follower->suspects > 0 ? read_and_sift(follower, max_events, &events, &end, err)
                                    : read_and_apply(follower, max_events, &events, &end, err);
    }
    if (rc != CAIRN_OK || follower->failed) {
        put_back(follower);
    }
    *ret_events = events;
    return rc;
}

enum cairn_rc cairn_sql_follower_refusal(const struct cairn_sql_follower *follower,
                                         struct cairn_err *err)
{
    assert(follower->failed);
    *err = follower->failure;
    return cairn_err_wrap(err, CAIRN_EINVAL, "event %s at %u:%llu", follower->failed_event,
                          (unsigned)follower->failed_partition,
                          (unsigned long long)follower->failed_offset);
}
