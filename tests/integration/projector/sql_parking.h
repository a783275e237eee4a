/* For tests of parked streams: a view that refuses what a test says, and what it must hold. */
#ifndef CAIRN_TESTS_INTEGRATION_PROJECTOR_SQL_PARKING_H
#define CAIRN_TESTS_INTEGRATION_PROJECTOR_SQL_PARKING_H

#include "tests/integration/projector/sql_stage.h"

enum { PARKING_STREAMS = 12, PARKING_EVENTS_MAX = 400 };

/* A row for each event, and for each stream whether one came out of its turn. Refuses an n below
 * zero, by a check, and an 'x' in its text, which is no number. */
#define PARKING_JOURNAL(on_error)                                                                  \
    "-- view: journal\n"                                                                           \
    "-- version: 1\n" on_error "-- table:\n"                                                       \
    "CREATE TABLE journal (stream text, version bigint, n bigint CONSTRAINT positive CHECK (n >= " \
    "0), PRIMARY KEY (stream, version));\n"                                                        \
    "CREATE TABLE heads (stream text PRIMARY KEY, version bigint, broken boolean, sum bigint);\n"  \
    "-- on: Added\n"                                                                               \
    "INSERT INTO journal VALUES (:stream, :version, :n);\n"                                        \
    "INSERT INTO heads VALUES (:stream, :version, :version <> 1, :n) ON CONFLICT (stream) DO "     \
    "UPDATE SET broken = heads.broken OR heads.version <> excluded.version - 1, version = "        \
    "excluded.version, sum = heads.sum + excluded.sum;\n"

/* What the log has of each stream, and where it is parked. */
struct parking {
    struct sql_stage *stage;
    const char *schema; /* of the generation that is looked at */
    struct {
        int64_t n[PARKING_EVENTS_MAX]; /* by version - 1 */
        size_t count;
        size_t parked; /* version of the first event that waits; 0: none does */
    } streams[PARKING_STREAMS];
};

static inline void parking_begin(struct parking *parking, struct sql_stage *stage,
                                 const char *on_error, uint16_t partitions)
{
    char text[2048];
    *parking = (struct parking){.stage = stage, .schema = "test_build_journal"};
    (void)snprintf(text, sizeof(text), PARKING_JOURNAL("%s"), on_error);
    sql_stage_view(stage, "journal", text);
    world_begin(&stage->world, partitions);
}

static inline void parking_build(struct parking *parking)
{
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_sql_head head;
    sql_stage_build(parking->stage, "journal", &arena, &head);
    cairn_arena_fini(&arena);
}

static inline struct cairn_sql_follower *parking_follow(struct parking *parking,
                                                        enum cairn_view_side side)
{
    struct cairn_sql_follower *follower = NULL;
    assert_ok(sql_stage_follow(parking->stage, "journal", side, &follower), &parking->stage->err);
    return follower;
}

/* A command of count events, each with n. One below zero parks its stream. */
static inline void parking_add(struct parking *parking, size_t stream, int64_t n, uint16_t count)
{
    char id[16];
    (void)snprintf(id, sizeof(id), "%zu", stream);
    world_add(&parking->stage->world, id, n, "x", count);
    assert_true(parking->streams[stream].count + count <= PARKING_EVENTS_MAX);
    if (n < 0 && parking->streams[stream].parked == 0) {
        parking->streams[stream].parked = parking->streams[stream].count + 1;
    }
    for (uint16_t i = 0; i < count; i++) {
        parking->streams[stream].n[parking->streams[stream].count++] = n;
    }
}

/* Commands of one to three events in all streams; of a hundred, so many are refused. */
static inline void parking_fill(struct parking *parking, uint64_t *seed, int commands, int refused)
{
    for (int i = 0; i < commands; i++) {
        bool refuse = (int)sql_stage_random(seed, 100) < refused;
        parking_add(parking, (size_t)sql_stage_random(seed, PARKING_STREAMS), refuse ? -1 : i,
                    (uint16_t)(1 + sql_stage_random(seed, 3)));
    }
}

/* Each stream's rows are its events up to where it is parked, applied in their turn. */
static inline void parking_check(struct parking *parking)
{
    struct sql_stage *stage = parking->stage;
    for (size_t s = 0; s < PARKING_STREAMS; s++) {
        size_t held = parking->streams[s].parked > 0 ? parking->streams[s].parked - 1
                                                     : parking->streams[s].count;
        int64_t sum = 0;
        for (size_t v = 0; v < held; v++) {
            sum += parking->streams[s].n[v];
        }
        char expected[128];
        (void)snprintf(expected, sizeof(expected), "%zu %lld %zu %lld f %zu", held, (long long)sum,
                       held, (long long)sum, parking->streams[s].parked);
        assert_string_equal(
            sql_stage_value(
                stage,
                "SELECT concat_ws(' ', count(*), coalesce(sum(j.n), 0), coalesce(max(h.version), "
                "0), coalesce(max(h.sum), 0), coalesce(bool_or(h.broken), false), (SELECT "
                "coalesce(max(p.version), 0) FROM _cairn_parked p WHERE p.stream = 'box-%zu' AND "
                "p.until_version = 0 AND p.generation = (SELECT max(generation) FROM _cairn_view "
                "WHERE side IN ('live', 'next')))) FROM %s.journal j JOIN %s.heads h USING "
                "(stream) WHERE "
                "j.stream = 'box-%zu'",
                s, parking->schema, parking->schema, s),
            expected);
    }
}

/* The row stands at the log's end, and counts so many changes. */
static inline void parking_is_at_end(struct parking *parking, int64_t parks)
{
    struct cairn_arena arena = {.max = 1u << 16};
    struct cairn_position end = world_log_end(&parking->stage->world);
    char expected[512];
    (void)snprintf(expected, sizeof(expected), "%s %llu %lld ", cairn_position_text(&end, &arena),
                   (unsigned long long)parking->stage->world.appended, (long long)parks);
    assert_string_equal(
        sql_stage_value(parking->stage,
                        "SELECT concat_ws(' ', position, events, parks, error) FROM _cairn_view "
                        "WHERE side IN ('live', 'next')"),
        expected);
    cairn_arena_fini(&arena);
}

static inline size_t parking_count(const struct parking *parking)
{
    size_t parked = 0;
    for (size_t s = 0; s < PARKING_STREAMS; s++) {
        parked += parking->streams[s].parked > 0 ? 1 : 0;
    }
    return parked;
}

#endif
