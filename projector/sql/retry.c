#include "projector/sql/retry.h"

#include <assert.h>
#include <stdio.h>

#include "projector/sql/waiting.h"

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
    struct cairn_sql_head live;
    struct cairn_slice domain = cairn_domain_name(options->domain);
    assert(options->postgres != NULL && arena != NULL);
    enum cairn_rc rc = connect(options, &pg, err);
    rc = rc == CAIRN_OK ? cairn_sql_head_read(pg, domain, view, CAIRN_SIDE_LIVE, arena, &live, err)
                        : rc;
    rc = rc == CAIRN_ENOENT ? CAIRN_FAIL(err, rc, "it has no live generation") : rc;
    rc = rc == CAIRN_OK ? read_list(pg, domain, view, arena, ret_parked, ret_count, err) : rc;
    cairn_pg_close(pg);
    return rc;
}

/* ---- one that waits, held ---- */

/* A parked stream inside of a transaction that holds the live generation where it is. */
struct held {
    const struct cairn_projector_options *options;
    struct cairn_sql_waiting waiting;
};

/* What a query of one row finds; caller frees. ENOENT: nothing. */
static enum cairn_rc ask(struct held *held, const char *format, const struct cairn_slice *values,
                         size_t count, struct cairn_pg_result **ret_rows, struct cairn_err *err)
{
    struct cairn_pg_result *rows = NULL;
    enum cairn_rc rc = cairn_sql_query_in(held->waiting.pg, held->waiting.domain, format, values,
                                          count, &rows, err);
    if (is_unmade(rc, held->waiting.pg) || (rc == CAIRN_OK && cairn_pg_result_rows(rows) == 0)) {
        cairn_pg_result_free(rows);
        return CAIRN_FAIL(err, CAIRN_ENOENT, "of stream \"%.*s\" nothing waits",
                          CAIRN_SLICE_ARG(held->waiting.stream));
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
                           &held->waiting.view, 1, &rows, err);
    if (rc == CAIRN_OK && (cairn_slice_to_u64(cairn_pg_result_value(rows, 0, 0),
                                              &held->waiting.generation) != CAIRN_OK ||
                           cairn_position_parse(cairn_pg_result_value(rows, 0, 1),
                                                &held->waiting.position) != CAIRN_OK)) {
        rc = CAIRN_FAIL(err, CAIRN_ECORRUPT, "a row of _cairn_view does not read");
    }
    cairn_pg_result_free(rows);
    return rc;
}

static enum cairn_rc find_waiting(struct held *held, struct cairn_err *err)
{
    char generation[NUMBER_SIZE];
    struct cairn_pg_result *rows = NULL;
    (void)snprintf(generation, sizeof(generation), "%llu",
                   (unsigned long long)held->waiting.generation);
    const struct cairn_slice values[] = {held->waiting.view, cairn_slice_str(generation),
                                         held->waiting.stream};
    enum cairn_rc rc = ask(held,
                           "SELECT version FROM %s._cairn_parked WHERE view = $1 AND generation = "
                           "$2::bigint AND stream = $3 AND until_version = 0",
                           values, 3, &rows, err);
    if (rc == CAIRN_OK &&
        cairn_slice_to_u64(cairn_pg_result_value(rows, 0, 0), &held->waiting.version) != CAIRN_OK) {
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
    while (rc == CAIRN_OK && !cairn_position_reached(&end, &held->waiting.position)) {
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
    held->waiting.events = 0;
    enum cairn_rc rc = cairn_pg_run(held->waiting.pg, "BEGIN", err);
    rc = rc == CAIRN_OK ? hold_view(held, err) : rc;
    rc = rc == CAIRN_OK ? find_waiting(held, err) : rc;
    return rc == CAIRN_OK ? await_log(held, err) : rc;
}

/* ---- trying again ---- */

/* Nothing was applied; the row says why. */
static enum cairn_rc tell(struct held *held, const struct cairn_sql_again *again,
                          struct cairn_err *err)
{
    const struct cairn_slice more[] = {cairn_slice_of(again->event, sizeof(again->event)),
                                       cairn_slice_str(again->place),
                                       cairn_slice_str(again->why.text)};
    enum cairn_rc rc = cairn_sql_waiting_change(
        &held->waiting,
        "UPDATE %s._cairn_parked SET event = $5, position = $6, error = $7 " CAIRN_SQL_WAITING_ROW,
        more, sizeof(more) / sizeof(more[0]), err);
    if (rc == CAIRN_OK || rc == CAIRN_EFENCED) {
        *err = again->why;
        rc = cairn_err_wrap(err, CAIRN_EINVAL, "event %.*s", CAIRN_UUID_TEXT_SIZE, again->event);
    }
    return rc;
}

static enum cairn_rc apply(struct held *held, struct cairn_sql_follower *follower,
                           struct cairn_sql_again *again, struct cairn_err *err)
{
    enum cairn_rc rc = hold(held, err);
    if (rc == CAIRN_OK && held->waiting.generation != follower->head.generation) {
        rc = CAIRN_FAIL(err, CAIRN_EFENCED, "the view was switched");
    }
    *again = (struct cairn_sql_again){.failed = false};
    return rc == CAIRN_OK ? cairn_sql_waiting_apply(&held->waiting, follower, again, err)
                          : cairn_sql_waiting_end(&held->waiting, rc, err);
}

/* *ret_again: it came to nothing because others were at the view, and may be tried once more. */
static enum cairn_rc retry_once(struct held *held, struct cairn_sql_follower *follower,
                                bool *ret_again, struct cairn_err *err)
{
    struct cairn_sql_again again;
    held->waiting.pg = follower->pg;
    enum cairn_rc rc = apply(held, follower, &again, err);
    if (again.failed) {
        held->waiting.careful = true;
        rc = apply(held, follower, &again, err);
    }
    *ret_again =
        rc == CAIRN_EFENCED || (rc == CAIRN_EBUSY && !cairn_pg_is_broken(held->waiting.pg));
    return again.failed ? tell(held, &again, err) : rc;
}

static enum cairn_rc open_live(const struct held *held, struct cairn_sql_follower **ret_follower,
                               struct cairn_err *err)
{
    const struct cairn_sql_follower_options follower = {.uri = held->options->postgres,
                                                        .domain = held->options->domain,
                                                        .store = held->options->store,
                                                        .view = held->waiting.view,
                                                        .side = CAIRN_SIDE_LIVE};
    enum cairn_rc rc = cairn_sql_follower_open(&follower, ret_follower, err);
    return rc == CAIRN_ENOENT ? CAIRN_FAIL(err, rc, "the view has no live generation yet") : rc;
}

static struct held begin(const struct cairn_projector_options *options, struct cairn_slice view,
                         struct cairn_slice stream)
{
    assert(options->postgres != NULL && options->store != NULL);
    return (struct held){.options = options,
                         .waiting = {.store = options->store,
                                     .domain = cairn_domain_name(options->domain),
                                     .view = view,
                                     .stream = stream,
                                     .arena = {.max = CAIRN_SQL_WAITING_BYTES_MAX}}};
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
            *ret_events = held.waiting.events;
        }
        cairn_sql_follower_close(follower);
        cairn_arena_fini(&held.waiting.arena);
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
        rc = cairn_sql_waiting_next(&held->waiting, &page, err);
    }
    (void)snprintf(until, sizeof(until), "%llu", (unsigned long long)held->waiting.last_version);
    const struct cairn_slice more = cairn_slice_str(until);
    rc = rc == CAIRN_OK ? cairn_sql_waiting_change(
                              &held->waiting,
                              "WITH changed AS (UPDATE %s._cairn_parked SET until_version = "
                              "$5::bigint " CAIRN_SQL_WAITING_ROW CAIRN_SQL_WAITING_COUNTED,
                              &more, 1, err)
                        : rc;
    return cairn_sql_waiting_end(&held->waiting, rc, err);
}

enum cairn_rc cairn_sql_parked_drop(const struct cairn_projector_options *options,
                                    struct cairn_slice view, struct cairn_slice stream,
                                    uint64_t *ret_events, struct cairn_err *err)
{
    struct held held = begin(options, view, stream);
    enum cairn_rc rc = connect(options, &held.waiting.pg, err);
    rc = rc == CAIRN_OK ? give_up(&held, err) : rc;
    if (rc == CAIRN_OK) {
        *ret_events = held.waiting.events;
    }
    cairn_pg_close(held.waiting.pg);
    cairn_arena_fini(&held.waiting.arena);
    return rc;
}
