#include "projector/sql_retry.h"

#include <assert.h>
#include <stdio.h>

#include "projector/sql_follower.h"

/* Events of a stream that are read, and sent, at once. */
#define PAGE_EVENTS    256
#define PAGE_BYTES_MAX ((size_t)256 * 1024 * 1024)
/* The view may be switched, or somebody wait for us as we for them, between the first look and the
 * lock. */
#define ATTEMPTS_MAX    5
#define LOCK_TIMEOUT_MS 10000
/* How long this process' copy of the log may take to get where the view is. */
#define LOG_WAIT_MS 5000
#define LOOK_MS     100
#define NUMBER_SIZE 24

/* ---- the list ---- */

/* No projector has been here: there are no tables. */
static bool is_unmade(enum cairn_rc rc, const struct cairn_pg *pg)
{
    return rc != CAIRN_OK && strcmp(cairn_pg_sqlstate(pg), "42P01") == 0;
}

static const char list_sql[] =
    "SELECT p.stream, p.version, p.until_version, p.event, p.position, p.error, "
    "(extract(epoch FROM p.parked) * 1000000)::bigint FROM %s._cairn_parked p "
    "JOIN %s._cairn_view v ON v.view = p.view AND v.generation = p.generation "
    "WHERE p.view = $1 AND v.side = 'live' ORDER BY p.stream COLLATE \"C\", p.version";

/* "P:O". */
static bool read_place(struct cairn_slice text, struct cairn_parked *parked)
{
    uint64_t partition = 0;
    size_t colon = cairn_slice_find(text, ':');
    bool reads = colon < text.size &&
                 cairn_slice_to_u64(cairn_slice_of(text.data, colon), &partition) == CAIRN_OK &&
                 partition < CAIRN_PARTITIONS_MAX &&
                 cairn_slice_to_u64(cairn_slice_of(text.data + colon + 1, text.size - colon - 1),
                                    &parked->offset) == CAIRN_OK;
    parked->partition = (uint16_t)partition;
    return reads;
}

static enum cairn_rc take_parked(const struct cairn_pg_result *rows, size_t row,
                                 struct cairn_arena *arena, struct cairn_parked *parked,
                                 struct cairn_err *err)
{
    const struct {
        size_t column;
        struct cairn_slice *into;
    } texts[] = {{0, &parked->stream}, {3, &parked->event}, {5, &parked->error}};
    uint64_t parked_us = 0;
    bool reads =
        cairn_slice_to_u64(cairn_pg_result_value(rows, row, 1), &parked->version) == CAIRN_OK &&
        cairn_slice_to_u64(cairn_pg_result_value(rows, row, 2), &parked->until_version) ==
            CAIRN_OK &&
        cairn_slice_to_u64(cairn_pg_result_value(rows, row, 6), &parked_us) == CAIRN_OK &&
        parked_us <= INT64_MAX && read_place(cairn_pg_result_value(rows, row, 4), parked);
    if (!reads) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "a row of _cairn_parked does not read");
    }
    parked->parked_us = (int64_t)parked_us;
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; rc == CAIRN_OK && i < sizeof(texts) / sizeof(texts[0]); i++) {
        rc = cairn_arena_copy(arena, cairn_pg_result_value(rows, row, texts[i].column),
                              texts[i].into);
    }
    return rc == CAIRN_OK ? CAIRN_OK : CAIRN_FAIL(err, rc, "list what is parked");
}

static enum cairn_rc read_list(struct cairn_pg *pg, struct cairn_slice domain,
                               struct cairn_slice view, struct cairn_arena *arena,
                               struct cairn_parked **ret_parked, size_t *ret_count,
                               struct cairn_err *err)
{
    struct cairn_pg_result *rows = NULL;
    struct cairn_parked *parked = NULL;
    struct cairn_err why;
    enum cairn_rc rc = cairn_sql_query_in(pg, domain, list_sql, &view, 1, &rows, &why);
    if (rc != CAIRN_OK && !is_unmade(rc, pg)) {
        *err = why;
        return rc;
    }
    size_t count = rc == CAIRN_OK ? cairn_pg_result_rows(rows) : 0;
    parked = cairn_arena_zalloc(arena, count + 1, sizeof(*parked));
    rc = parked == NULL ? CAIRN_FAIL(err, CAIRN_ENOMEM, "list what is parked") : CAIRN_OK;
    for (size_t i = 0; rc == CAIRN_OK && i < count; i++) {
        rc = take_parked(rows, i, arena, &parked[i], err);
    }
    cairn_pg_result_free(rows);
    if (rc == CAIRN_OK) {
        *ret_parked = parked;
        *ret_count = count;
    }
    return rc;
}

static enum cairn_rc connect(const struct cairn_projector_options *options,
                             struct cairn_pg **ret_pg, struct cairn_err *err)
{
    const struct cairn_pg_options pg = {.uri = options->postgres,
                                        .application = "cairn replay",
                                        .lock_timeout_ms = LOCK_TIMEOUT_MS};
    return cairn_pg_open(&pg, ret_pg, err);
}

enum cairn_rc cairn_sql_parked_list(const struct cairn_projector_options *options,
                                    struct cairn_slice view, struct cairn_arena *arena,
                                    struct cairn_parked **ret_parked, size_t *ret_count,
                                    struct cairn_err *err)
{
    struct cairn_pg *pg = NULL;
    assert(options->postgres != NULL && arena != NULL);
    enum cairn_rc rc = connect(options, &pg, err);
    rc = rc == CAIRN_OK ? read_list(pg, cairn_domain_name(options->domain), view, arena, ret_parked,
                                    ret_count, err)
                        : rc;
    cairn_pg_close(pg);
    return rc;
}

/* ---- one that waits, held ---- */

/* A parked stream inside of a transaction that holds the live generation where it is. */
struct held {
    const struct cairn_projector_options *options;
    struct cairn_pg *pg;
    struct cairn_slice domain;
    struct cairn_slice view;
    struct cairn_slice stream;
    uint64_t generation;
    uint64_t version;               /* from which on it waits */
    struct cairn_position position; /* of the generation: so far it waits */
    uint64_t events;                /* seen by the walk */
    uint64_t last_version;          /* of these */
    struct cairn_arena arena;       /* of the page in hand */
};

/* What a query of one row finds; caller frees. ENOENT: nothing. */
static enum cairn_rc ask(struct held *held, const char *format, const struct cairn_slice *values,
                         size_t count, struct cairn_pg_result **ret_rows, struct cairn_err *err)
{
    struct cairn_pg_result *rows = NULL;
    enum cairn_rc rc =
        cairn_sql_query_in(held->pg, held->domain, format, values, count, &rows, err);
    if (is_unmade(rc, held->pg) || (rc == CAIRN_OK && cairn_pg_result_rows(rows) == 0)) {
        cairn_pg_result_free(rows);
        return CAIRN_FAIL(err, CAIRN_ENOENT, "of stream \"%.*s\" nothing waits",
                          CAIRN_SLICE_ARG(held->stream));
    }
    if (rc == CAIRN_OK) {
        *ret_rows = rows;
    }
    return rc;
}

static enum cairn_rc hold_view(struct held *held, struct cairn_err *err)
{
    struct cairn_pg_result *rows = NULL;
    enum cairn_rc rc = ask(held,
                           "SELECT generation, position FROM %s._cairn_view WHERE view = $1 AND "
                           "side = 'live' FOR UPDATE",
                           &held->view, 1, &rows, err);
    if (rc == CAIRN_OK &&
        (cairn_slice_to_u64(cairn_pg_result_value(rows, 0, 0), &held->generation) != CAIRN_OK ||
         cairn_position_parse(cairn_pg_result_value(rows, 0, 1), &held->position) != CAIRN_OK)) {
        rc = CAIRN_FAIL(err, CAIRN_ECORRUPT, "a row of _cairn_view does not read");
    }
    cairn_pg_result_free(rows);
    return rc;
}

static enum cairn_rc find_waiting(struct held *held, struct cairn_err *err)
{
    char generation[NUMBER_SIZE];
    struct cairn_pg_result *rows = NULL;
    (void)snprintf(generation, sizeof(generation), "%llu", (unsigned long long)held->generation);
    const struct cairn_slice values[] = {held->view, cairn_slice_str(generation), held->stream};
    enum cairn_rc rc = ask(held,
                           "SELECT version FROM %s._cairn_parked WHERE view = $1 AND generation = "
                           "$2::bigint AND stream = $3 AND until_version = 0",
                           values, 3, &rows, err);
    if (rc == CAIRN_OK &&
        cairn_slice_to_u64(cairn_pg_result_value(rows, 0, 0), &held->version) != CAIRN_OK) {
        rc = CAIRN_FAIL(err, CAIRN_ECORRUPT, "a row of _cairn_parked does not read");
    }
    cairn_pg_result_free(rows);
    return rc;
}

/* What waits up to the view's position must be in this process' copy of the log. */
static enum cairn_rc await_log(const struct held *held, struct cairn_err *err)
{
    struct cairn_position end;
    const struct cairn_clock *clock =
        held->options->clock == NULL ? cairn_clock_system() : held->options->clock;
    int64_t until_ns = cairn_clock_monotonic_ns(clock) + (int64_t)LOG_WAIT_MS * 1000000;
    bool more = false;
    enum cairn_rc rc = cairn_store_end(held->options->store, &end, err);
    while (rc == CAIRN_OK && !cairn_position_reached(&end, &held->position)) {
        if (cairn_clock_monotonic_ns(clock) > until_ns) {
            return CAIRN_FAIL(err, CAIRN_EBEHIND, "the view is further than the log here");
        }
        rc = cairn_store_wait(held->options->store, &end, LOOK_MS, &more, err);
        rc = rc == CAIRN_OK ? cairn_store_end(held->options->store, &end, err) : rc;
    }
    return rc;
}

/* Begin the transaction. ENOENT: nothing of the stream waits. */
static enum cairn_rc hold(struct held *held, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_pg_run(held->pg, "BEGIN", err);
    rc = rc == CAIRN_OK ? hold_view(held, err) : rc;
    rc = rc == CAIRN_OK ? find_waiting(held, err) : rc;
    return rc == CAIRN_OK ? await_log(held, err) : rc;
}

/* The next events that wait, in the arena. None: that was all. */
static enum cairn_rc next_page(struct held *held, struct cairn_event_page *page,
                               struct cairn_err *err)
{
    uint64_t after = held->events == 0 ? held->version - 1 : held->last_version;
    cairn_arena_reset(&held->arena);
    enum cairn_rc rc = cairn_store_read_stream(held->options->store, held->stream, after,
                                               PAGE_EVENTS, CAIRN_FORWARD, &held->arena, page, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    while (page->count > 0 && page->events[page->count - 1].offset >
                                  held->position.offsets[page->events[page->count - 1].partition]) {
        page->count--;
    }
    if (page->count == 0) {
        return held->events > 0 ? CAIRN_OK
                                : CAIRN_FAIL(err, CAIRN_ECORRUPT,
                                             "the log does not have what waits of stream %.*s",
                                             CAIRN_SLICE_ARG(held->stream));
    }
    held->events += page->count;
    held->last_version = page->events[page->count - 1].version;
    return CAIRN_OK;
}

/* Commit, or roll back and keep the failure. */
static enum cairn_rc release(const struct held *held, enum cairn_rc rc, struct cairn_err *err)
{
    enum cairn_rc ended = cairn_sql_end(held->pg, rc, err);
    return rc == CAIRN_OK && ended == CAIRN_EBUSY && cairn_pg_is_broken(held->pg)
               ? cairn_err_wrap(err, CAIRN_EUNKNOWN, "lost at the commit, see what is parked now")
               : ended;
}

/* Change the row that is held, and count that. format: of the change, with view, generation, stream
 * and version as its first parameters. */
static enum cairn_rc change(struct held *held, const char *format, const struct cairn_slice *more,
                            size_t more_count, struct cairn_err *err)
{
    enum { OWN = 4, MORE_MAX = 3 };
    char generation[NUMBER_SIZE];
    char version[NUMBER_SIZE];
    struct cairn_pg_result *result = NULL;
    assert(more_count <= MORE_MAX);
    (void)snprintf(generation, sizeof(generation), "%llu", (unsigned long long)held->generation);
    (void)snprintf(version, sizeof(version), "%llu", (unsigned long long)held->version);
    struct cairn_slice values[OWN + MORE_MAX] = {held->view, cairn_slice_str(generation),
                                                 held->stream, cairn_slice_str(version)};
    for (size_t i = 0; i < more_count; i++) {
        values[OWN + i] = more[i];
    }
    enum cairn_rc rc =
        cairn_sql_query_in(held->pg, held->domain, format, values, OWN + more_count, &result, err);
    if (rc == CAIRN_OK && cairn_pg_result_touched(result) != 1) {
        rc = CAIRN_FAIL(err, CAIRN_EFENCED, "the view was switched");
    }
    cairn_pg_result_free(result);
    return rc;
}

#define THE_ROW                                                                                    \
    "WHERE view = $1 AND generation = $2::bigint AND stream = $3 AND version = $4::bigint AND "    \
    "until_version = 0"
#define COUNTED                                                                                    \
    " RETURNING view, generation) UPDATE %s._cairn_view v SET parks = parks + 1, updated = now() " \
    "FROM changed c WHERE v.view = c.view AND v.generation = c.generation"

/* ---- trying again ---- */

/* The event that failed again, and why. */
struct again {
    bool failed;
    char event[CAIRN_UUID_TEXT_SIZE];
    char place[2 * NUMBER_SIZE];
    struct cairn_err why;
};

static void note(struct again *again, const struct cairn_event *event, const struct cairn_err *why)
{
    again->failed = true;
    again->why = *why;
    cairn_uuid_format(&event->id, again->event);
    (void)snprintf(again->place, sizeof(again->place), "%u:%llu", (unsigned)event->partition,
                   (unsigned long long)event->offset);
}

/* The rows of a page, inside of the transaction. EINVAL: noted. */
static enum cairn_rc apply_page(struct cairn_sql_follower *follower,
                                const struct cairn_event_page *page, struct again *again,
                                struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    size_t tag = 0;
    cairn_arena_reset(&follower->batch);
    cairn_sql_writer_begin(follower->writer, &follower->batch);
    for (size_t e = 0; rc == CAIRN_OK && e < page->count; e++) {
        tag = e;
        rc = cairn_sql_follower_take(follower, &page->events[e], e, err);
    }
    rc = rc == CAIRN_OK ? cairn_sql_writer_apply(follower->writer, &tag, err) : rc;
    if (rc == CAIRN_EINVAL) {
        note(again, &page->events[tag < page->count ? tag : 0], err);
    }
    return rc;
}

static enum cairn_rc apply_all(struct held *held, struct cairn_sql_follower *follower,
                               struct again *again, struct cairn_err *err)
{
    struct cairn_event_page page;
    struct cairn_event first = {.count = 0};
    enum cairn_rc rc = next_page(held, &page, err);
    while (rc == CAIRN_OK && page.count > 0) {
        first = first.count == 0 ? page.events[0] : first;
        rc = apply_page(follower, &page, again, err);
        rc = rc == CAIRN_OK ? next_page(held, &page, err) : rc;
    }
    rc = rc == CAIRN_OK
             ? change(held, "WITH changed AS (DELETE FROM %s._cairn_parked " THE_ROW COUNTED, NULL,
                      0, err)
             : rc;
    /* Deferred constraints speak at last, and of no event in particular. */
    rc = release(held, rc, err);
    if (rc == CAIRN_EINVAL && !again->failed && first.count > 0) {
        note(again, &first, err);
    }
    return rc;
}

/* Nothing was applied; the row says why. */
static enum cairn_rc tell(struct held *held, const struct again *again, struct cairn_err *err)
{
    const struct cairn_slice more[] = {cairn_slice_of(again->event, sizeof(again->event)),
                                       cairn_slice_str(again->place),
                                       cairn_slice_str(again->why.text)};
    enum cairn_rc rc =
        change(held, "UPDATE %s._cairn_parked SET event = $5, position = $6, error = $7 " THE_ROW,
               more, sizeof(more) / sizeof(more[0]), err);
    if (rc == CAIRN_OK || rc == CAIRN_EFENCED) {
        *err = again->why;
        rc = cairn_err_wrap(err, CAIRN_EINVAL, "event %.*s", CAIRN_UUID_TEXT_SIZE, again->event);
    }
    return rc;
}

/* *ret_again: it came to nothing because others were at the view, and may be tried once more. */
static enum cairn_rc retry_once(struct held *held, struct cairn_sql_follower *follower,
                                bool *ret_again, struct cairn_err *err)
{
    struct again again = {.failed = false};
    held->pg = follower->pg;
    enum cairn_rc rc = hold(held, err);
    if (rc == CAIRN_OK && held->generation != follower->head.generation) {
        rc = CAIRN_FAIL(err, CAIRN_EFENCED, "the view was switched");
    }
    rc = rc == CAIRN_OK ? apply_all(held, follower, &again, err) : release(held, rc, err);
    *ret_again = rc == CAIRN_EFENCED || (rc == CAIRN_EBUSY && !cairn_pg_is_broken(held->pg));
    return again.failed ? tell(held, &again, err) : rc;
}

static enum cairn_rc open_live(const struct held *held, struct cairn_sql_follower **ret_follower,
                               struct cairn_err *err)
{
    const struct cairn_sql_follower_options follower = {.uri = held->options->postgres,
                                                        .domain = held->options->domain,
                                                        .store = held->options->store,
                                                        .view = held->view,
                                                        .side = CAIRN_SIDE_LIVE};
    enum cairn_rc rc = cairn_sql_follower_open(&follower, ret_follower, err);
    return rc == CAIRN_ENOENT ? CAIRN_FAIL(err, rc, "the view has no live generation yet") : rc;
}

static struct held begin(const struct cairn_projector_options *options, struct cairn_slice view,
                         struct cairn_slice stream)
{
    assert(options->postgres != NULL && options->store != NULL);
    return (struct held){.options = options,
                         .domain = cairn_domain_name(options->domain),
                         .view = view,
                         .stream = stream,
                         .arena = {.max = PAGE_BYTES_MAX}};
}

enum cairn_rc cairn_sql_parked_retry(const struct cairn_projector_options *options,
                                     struct cairn_slice view, struct cairn_slice stream,
                                     uint64_t *ret_events, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    bool again = true;
    for (int i = 0; again && i < ATTEMPTS_MAX; i++) {
        struct held held = begin(options, view, stream);
        struct cairn_sql_follower *follower = NULL;
        rc = open_live(&held, &follower, err);
        again = false;
        rc = rc == CAIRN_OK ? retry_once(&held, follower, &again, err) : rc;
        if (rc == CAIRN_OK) {
            *ret_events = held.events;
        }
        cairn_sql_follower_close(follower);
        cairn_arena_fini(&held.arena);
    }
    return rc;
}

/* ---- giving up ---- */

static enum cairn_rc give_up(struct held *held, struct cairn_err *err)
{
    struct cairn_event_page page = {.count = 1};
    char until[NUMBER_SIZE];
    enum cairn_rc rc = hold(held, err);
    while (rc == CAIRN_OK && page.count > 0) {
        rc = next_page(held, &page, err);
    }
    (void)snprintf(until, sizeof(until), "%llu", (unsigned long long)held->last_version);
    const struct cairn_slice more = cairn_slice_str(until);
    rc = rc == CAIRN_OK ? change(held,
                                 "WITH changed AS (UPDATE %s._cairn_parked SET until_version = "
                                 "$5::bigint " THE_ROW COUNTED,
                                 &more, 1, err)
                        : rc;
    return release(held, rc, err);
}

enum cairn_rc cairn_sql_parked_drop(const struct cairn_projector_options *options,
                                    struct cairn_slice view, struct cairn_slice stream,
                                    uint64_t *ret_events, struct cairn_err *err)
{
    struct held held = begin(options, view, stream);
    enum cairn_rc rc = connect(options, &held.pg, err);
    rc = rc == CAIRN_OK ? give_up(&held, err) : rc;
    if (rc == CAIRN_OK) {
        *ret_events = held.events;
    }
    cairn_pg_close(held.pg);
    cairn_arena_fini(&held.arena);
    return rc;
}
