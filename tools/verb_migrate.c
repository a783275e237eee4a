/* `cairn migrate`: every event of one log into another, as it is. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platform/mem.h"
#include "tools/log_open.h"
#include "tools/progress.h"
#include "tools/verbs.h"

#define BATCH_EVENTS 4000u
#define LANE_WAIT_MS 30000
#define PAUSE_US     20000

/* Appends of one lane that wait to go together. */
struct share {
    struct cairn_append *appends;
    size_t count;
};

struct migration {
    struct cairn_domain *domain;
    struct cairn_log *log;
    struct cairn_store *from, *to;
    struct share *shares; /* a lane of `to` each */
    struct cairn_arena arena;
    struct cairn_progress progress;
    uint64_t all;     /* events of `from` */
    uint64_t read;    /* so far */
    uint64_t written; /* the others were there already */
};

static enum cairn_rc open_both(struct migration *migration, const struct cairn_config *config,
                               struct cairn_err *err)
{
    enum cairn_log_level level = CAIRN_LOG_INFO;
    enum cairn_rc rc =
        cairn_log_level_parse(cairn_slice_str(cairn_config_text(config, "log-level")), &level);
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "--log-level is none");
    }
    migration->log = cairn_log_new(STDERR_FILENO, level, cairn_clock_system());
    if (migration->log == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "out of memory");
    }
    rc = cairn_domain_load(cairn_config_operand(config, 0), &migration->domain, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_log_open from = {.config = config,
                                  .domain = migration->domain,
                                  .log = migration->log,
                                  .place = cairn_config_text(config, "from"),
                                  .flag = "--from",
                                  .kind = CAIRN_LOG_READ};
    struct cairn_log_open to = from;
    to.place = cairn_config_text(config, "to");
    to.flag = "--to";
    to.kind = CAIRN_LOG_APPEND;
    if (from.place == NULL) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "say where the events are: --from files:DIR or "
                          "--from kafka:HOST:PORT");
    }
    bool from_kafka =
        strncmp(from.place, CAIRN_LOG_KAFKA_PREFIX, strlen(CAIRN_LOG_KAFKA_PREFIX)) == 0;
    from.kind = from_kafka ? CAIRN_LOG_FOLLOW : CAIRN_LOG_READ;
    rc = cairn_log_open(&from, &migration->from, err);
    rc = rc == CAIRN_OK ? cairn_log_open(&to, &migration->to, err) : rc;
    return rc == CAIRN_OK ? cairn_store_announce(migration->to, "", err) : rc;
}

/* A lane is taken a moment after the store was announced. */
static enum cairn_rc wait_for_lanes(struct migration *migration, struct cairn_err *err)
{
    int64_t until =
        cairn_clock_monotonic_ns(cairn_clock_system()) + (int64_t)LANE_WAIT_MS * 1000000;
    for (uint16_t lane = 0; lane < cairn_store_lanes(migration->to); lane++) {
        uint64_t term = 0;
        while (cairn_store_begin(migration->to, lane, &term, err) != CAIRN_OK) {
            if (cairn_clock_monotonic_ns(cairn_clock_system()) > until) {
                return cairn_err_wrap(err, err->rc,
                                      "cannot write all of --to; end the nodes that serve it");
            }
            (void)usleep(PAUSE_US);
        }
    }
    return CAIRN_OK;
}

/* The events of one command, into the share of their lane; their versions say where they belong. */
static enum cairn_rc take_command(struct migration *migration, const struct cairn_event *events,
                                  struct cairn_err *err)
{
    struct cairn_store *to = migration->to;
    uint64_t head = 0;
    if (cairn_store_partition_of(to, events->stream) == CAIRN_PARTITION_NONE) {
        return CAIRN_FAIL(err, CAIRN_ENOAGGREGATE,
                          "--to has no place for %.*s: is its aggregate "
                          "still in the domain?",
                          CAIRN_SLICE_ARG(events->stream));
    }
    enum cairn_rc rc = cairn_store_head(to, events->stream, &head, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (events->version + events->count - 1 <= head) {
        return CAIRN_OK; /* moved by an earlier run; the comparison looks at it */
    }
    struct cairn_event *copy = cairn_arena_alloc(&migration->arena, events->count * sizeof(*copy));
    if (copy == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "out of memory");
    }
    memcpy(copy, events, events->count * sizeof(*copy));
    struct share *share = &migration->shares[cairn_store_lane_of(to, events->stream)];
    share->appends[share->count++] =
        (struct cairn_append){.stream = events->stream,
                              .expected = (int64_t)(events->version - 1),
                              .events = copy,
                              .count = events->count};
    migration->written += events->count;
    return CAIRN_OK;
}

static enum cairn_rc write_shares(struct migration *migration, struct cairn_err *err)
{
    for (uint16_t lane = 0; lane < cairn_store_lanes(migration->to); lane++) {
        struct share *share = &migration->shares[lane];
        if (share->count == 0) {
            continue;
        }
        enum cairn_rc rc =
            cairn_store_append(migration->to, lane, share->appends, share->count, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        for (size_t i = 0; i < share->count; i++) {
            const struct cairn_append *append = &share->appends[i];
            if (append->rc != CAIRN_OK) {
                return CAIRN_FAIL(err, CAIRN_ECONFLICT,
                                  "%.*s is at version %" PRIu64
                                  " in --to: it holds other events than --from",
                                  CAIRN_SLICE_ARG(append->stream), append->actual_version);
            }
        }
        share->count = 0;
    }
    return CAIRN_OK;
}

static enum cairn_rc move_partition(struct migration *migration, uint16_t partition,
                                    struct cairn_err *err)
{
    struct cairn_log_reader *reader = NULL;
    enum cairn_rc rc = cairn_log_reader_open(migration->from, partition, 0, &reader, err);
    while (rc == CAIRN_OK) {
        const struct cairn_event *events = NULL;
        size_t count = 0;
        rc = cairn_log_reader_next(reader, BATCH_EVENTS, &events, &count, err);
        if (rc != CAIRN_OK || count == 0) {
            break;
        }
        for (size_t i = 0; rc == CAIRN_OK && i < count; i += events[i].count) {
            rc = take_command(migration, &events[i], err);
        }
        rc = rc == CAIRN_OK ? write_shares(migration, err) : rc;
        migration->read += count;
        cairn_arena_reset(&migration->arena);
        cairn_progress_show(&migration->progress, migration->read,
                            (double)migration->read / (double)migration->all);
    }
    cairn_log_reader_close(reader);
    return rc;
}

/* ---- the comparison ---- */

static bool is_same(const struct cairn_event *a, const struct cairn_event *b)
{
    return memcmp(&a->id, &b->id, sizeof(a->id)) == 0 && a->version == b->version &&
           a->time_us == b->time_us && a->schema_version == b->schema_version &&
           a->index == b->index && a->count == b->count && cairn_slice_equal(a->type, b->type) &&
           cairn_slice_equal(a->data, b->data) && cairn_slice_equal(a->key, b->key) &&
           memcmp(a->fingerprint, b->fingerprint, sizeof(a->fingerprint)) == 0 &&
           cairn_slice_equal(a->causation, b->causation) &&
           cairn_slice_equal(a->correlation, b->correlation) &&
           cairn_slice_equal(a->principal, b->principal) &&
           cairn_slice_equal(a->traceparent, b->traceparent);
}

/* Event by event in the order of --from, each looked up in --to by stream and version. */
static enum cairn_rc compare_command(struct migration *migration, const struct cairn_event *events,
                                     struct cairn_err *err)
{
    struct cairn_event_page page = {0};
    cairn_arena_reset(&migration->arena);
    enum cairn_rc rc =
        cairn_store_read_stream(migration->to, events->stream, events->version - 1, events->count,
                                CAIRN_FORWARD, &migration->arena, &page, err);
    for (size_t i = 0; rc == CAIRN_OK && i < events->count; i++) {
        if (i >= page.count || !is_same(&events[i], &page.events[i])) {
            rc = CAIRN_FAIL(err, CAIRN_ECORRUPT, "version %" PRIu64 " of %.*s differs",
                            events[i].version, CAIRN_SLICE_ARG(events->stream));
        }
    }
    return rc;
}

static enum cairn_rc compare_partition(struct migration *migration, uint16_t partition,
                                       struct cairn_err *err)
{
    struct cairn_log_reader *reader = NULL;
    enum cairn_rc rc = cairn_log_reader_open(migration->from, partition, 0, &reader, err);
    while (rc == CAIRN_OK) {
        const struct cairn_event *events = NULL;
        size_t count = 0;
        rc = cairn_log_reader_next(reader, BATCH_EVENTS, &events, &count, err);
        if (rc != CAIRN_OK || count == 0) {
            break;
        }
        for (size_t i = 0; rc == CAIRN_OK && i < count; i += events[i].count) {
            rc = compare_command(migration, &events[i], err);
        }
        migration->read += count;
        cairn_progress_show(&migration->progress, migration->read,
                            (double)migration->read / (double)migration->all);
    }
    cairn_log_reader_close(reader);
    return rc;
}

static enum cairn_rc compare(struct migration *migration, struct cairn_err *err)
{
    struct cairn_store_stats from;
    struct cairn_store_stats to;
    enum cairn_rc rc = cairn_store_stats(migration->from, &from, err);
    rc = rc == CAIRN_OK ? cairn_store_stats(migration->to, &to, err) : rc;
    if (rc == CAIRN_OK && (from.events != to.events || from.streams != to.streams)) {
        rc = CAIRN_FAIL(err, CAIRN_ECORRUPT,
                        "--from has %" PRIu64 " events in %" PRIu64 " streams, --to %" PRIu64
                        " in %" PRIu64,
                        from.events, from.streams, to.events, to.streams);
    }
    migration->read = 0;
    for (uint16_t p = 0; rc == CAIRN_OK && p < cairn_store_partitions(migration->from); p++) {
        rc = compare_partition(migration, p, err);
    }
    return rc;
}

/* ---- the verb ---- */

static enum cairn_rc make_shares(struct migration *migration, struct cairn_err *err)
{
    uint16_t lanes = cairn_store_lanes(migration->to);
    struct cairn_store_stats stats;
    migration->shares = cairn_mem_zalloc(lanes, sizeof(*migration->shares));
    bool made = migration->shares != NULL;
    for (uint16_t lane = 0; made && lane < lanes; lane++) {
        struct share *share = &migration->shares[lane];
        share->appends = cairn_mem_alloc((BATCH_EVENTS + CAIRN_EVENTS_PER_COMMAND_MAX) *
                                         sizeof(*share->appends));
        made = share->appends != NULL;
    }
    if (!made) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "out of memory");
    }
    enum cairn_rc rc = cairn_store_stats(migration->from, &stats, err);
    if (rc == CAIRN_OK) {
        migration->all = stats.events;
    }
    return rc;
}

static enum cairn_rc migrate(struct migration *migration, struct cairn_err *err)
{
    enum cairn_rc rc = make_shares(migration, err);
    rc = rc == CAIRN_OK ? wait_for_lanes(migration, err) : rc;
    cairn_progress_begin(&migration->progress, cairn_clock_system(), "events", false);
    for (uint16_t p = 0; rc == CAIRN_OK && p < cairn_store_partitions(migration->from); p++) {
        rc = move_partition(migration, p, err);
    }
    if (rc == CAIRN_OK) {
        (void)printf("moved %" PRIu64 " events, %" PRIu64 " were there already\n",
                     migration->written, migration->all - migration->written);
        rc = compare(migration, err);
    }
    if (rc == CAIRN_OK) {
        (void)printf("compared %" PRIu64 " events: the same\n", migration->all);
    }
    return rc;
}

int cairn_verb_migrate(const struct cairn_config *config, struct cairn_err *err)
{
    struct migration migration = {.arena = {.max = (size_t)1 << 30}};
    enum cairn_rc rc = open_both(&migration, config, err);
    rc = rc == CAIRN_OK ? migrate(&migration, err) : rc;
    for (uint16_t lane = 0; migration.shares != NULL && lane < cairn_store_lanes(migration.to);
         lane++) {
        cairn_mem_free(migration.shares[lane].appends);
    }
    cairn_mem_free(migration.shares);
    cairn_arena_fini(&migration.arena);
    cairn_store_close(migration.to);
    cairn_store_close(migration.from);
    cairn_domain_free(migration.domain);
    cairn_log_free(migration.log);
    return rc == CAIRN_OK ? 0 : 1;
}
