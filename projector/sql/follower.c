#include "projector/sql/follower.h"

#include <assert.h>

#include "platform/mem.h"
#include "projector/sql/batch.h"
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

/* ---- reading and applying ---- */

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

enum cairn_rc cairn_sql_follower_refresh(struct cairn_sql_follower *follower, struct cairn_err *err)
{
    forget_source(follower);
    return read_head(follower, err);
}

static const struct cairn_position *limit(const struct cairn_sql_follower *follower)
{
    return follower->has_until ? &follower->until : NULL;
}

static enum cairn_rc commit_some(struct cairn_sql_follower *follower, struct cairn_sql_batch *batch,
                                 size_t *events, struct cairn_err *err)
{
    size_t tag = 0;
    enum cairn_rc rc = cairn_sql_batch_commit(follower, batch, false, &tag, err);
    if (rc == CAIRN_OK) {
        *events += batch->events;
        cairn_sql_batch_begin(follower, batch);
    }
    return rc;
}

/* Put a read into the batch, which is committed on the way where it is full. */
static enum cairn_rc take_read(struct cairn_sql_follower *follower,
                               const struct cairn_chunks *chunks, struct cairn_sql_batch *batch,
                               size_t *events, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    for (size_t c = 0; rc == CAIRN_OK && c < chunks->count; c++) {
        const struct cairn_chunk *chunk = &chunks->items[c];
        for (size_t e = 0; rc == CAIRN_OK && e < chunk->count; e++) {
            rc = cairn_sql_batch_take(follower, batch, &chunk->events[e], e, err);
            if (rc == CAIRN_OK && cairn_event_is_last(&chunk->events[e]) &&
                cairn_sql_batch_is_full(follower)) {
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
                                    struct cairn_sql_batch *batch, size_t *reads, size_t *events,
                                    struct cairn_err *err)
{
    struct cairn_chunks chunks = {.count = 0};
    enum cairn_rc rc = CAIRN_OK;
    cairn_sql_batch_begin(follower, batch);
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
    struct cairn_sql_batch batch;
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

/* What is left of a read behind many tries is read again, so that a step ends. */
static enum cairn_rc read_and_sift(struct cairn_sql_follower *follower, size_t max_events,
                                   size_t *events, bool *end, struct cairn_err *err)
{
    struct cairn_chunks chunks;
    bool done = true;
    enum cairn_rc rc =
        cairn_source_next(follower->source, max_events, limit(follower), &chunks, err);
    *end = rc == CAIRN_OK && chunks.count == 0;
    rc = rc == CAIRN_OK ? cairn_sql_sift(follower, &chunks, events, &done, err) : rc;
    if (rc == CAIRN_OK && !done) {
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

enum cairn_rc cairn_sql_follower_refusal(const struct cairn_sql_follower *follower,
                                         struct cairn_err *err)
{
    assert(follower->failed);
    *err = follower->failure;
    return cairn_err_wrap(err, CAIRN_EINVAL, "event %s at %u:%llu", follower->failed_event,
                          (unsigned)follower->failed_partition,
                          (unsigned long long)follower->failed_offset);
}
