#include "projector/sql/lane.h"

#include <assert.h>
#include <stdio.h>

#include "projector/sql/store_int.h"

#define NUMBER_SIZE     24
#define PLACE_BYTES_MAX ((size_t)256 * 1024)

static struct cairn_slice write_number(char text[NUMBER_SIZE], uint64_t number)
{
    (void)snprintf(text, NUMBER_SIZE, "%llu", (unsigned long long)number);
    return cairn_slice_str(text);
}

void cairn_sql_lane_part(const struct cairn_sql_lane *lane, const struct cairn_position *position,
                         struct cairn_position *ret_part)
{
    assert(lane->number < lane->count);
    for (unsigned i = 0; i < CAIRN_PARTITIONS_MAX; i++) {
        ret_part->offsets[i] = i % lane->count == lane->number ? position->offsets[i] : 0;
    }
}

static enum cairn_rc corrupt(struct cairn_err *err)
{
    return CAIRN_FAIL(err, CAIRN_ECORRUPT, "a row of _cairn_lane does not read");
}

/* ---- beginning ---- */

static enum cairn_rc begin_one(struct cairn_pg *pg, struct cairn_slice domain,
                               struct cairn_slice view, const struct cairn_sql_head *head,
                               const struct cairn_sql_lane *lane, struct cairn_err *err)
{
    struct cairn_arena arena = {.max = PLACE_BYTES_MAX};
    struct cairn_position part;
    char generation[NUMBER_SIZE];
    char number[NUMBER_SIZE];
    cairn_sql_lane_part(lane, &head->position, &part);
    const char *place = cairn_position_text(&part, &arena);
    enum cairn_rc rc = place != NULL ? CAIRN_OK : CAIRN_FAIL(err, CAIRN_ENOMEM, "begin a lane");
    if (rc == CAIRN_OK) {
        const struct cairn_slice values[] = {view, write_number(generation, head->generation),
                                             write_number(number, lane->number),
                                             cairn_slice_str(place)};
        rc = cairn_sql_query_in(pg, domain,
                                "INSERT INTO %s._cairn_lane (view, generation, lane, position) "
                                "VALUES ($1, $2::bigint, $3::integer, $4)",
                                values, 4, NULL, err);
    }
    cairn_arena_fini(&arena);
    return rc;
}

enum cairn_rc cairn_sql_lanes_begin(struct cairn_pg *pg, struct cairn_slice domain,
                                    struct cairn_slice view, const struct cairn_sql_head *head,
                                    unsigned count, struct cairn_err *err)
{
    assert(count > 0);
    enum cairn_rc rc = cairn_pg_run(pg, "BEGIN", err);
    for (unsigned i = 0; rc == CAIRN_OK && i < count; i++) {
        const struct cairn_sql_lane lane = {.number = i, .count = count};
        rc = begin_one(pg, domain, view, head, &lane, err);
    }
    return cairn_sql_end(pg, rc, err);
}

/* ---- reading ---- */

static enum cairn_rc take_lane(const struct cairn_pg_result *row, struct cairn_arena *arena,
                               struct cairn_sql_head *head, struct cairn_err *err)
{
    struct cairn_slice place = cairn_pg_result_value(row, 0, 0);
    if (cairn_position_parse(place, &head->position) != CAIRN_OK ||
        cairn_slice_to_u64(cairn_pg_result_value(row, 0, 1), &head->events) != CAIRN_OK) {
        return corrupt(err);
    }
    enum cairn_rc rc = cairn_arena_copy(arena, place, &head->place);
    return rc == CAIRN_OK ? CAIRN_OK : CAIRN_FAIL(err, rc, "read a lane");
}

enum cairn_rc cairn_sql_lane_read(struct cairn_pg *pg, struct cairn_slice domain,
                                  struct cairn_slice view, const struct cairn_sql_lane *lane,
                                  struct cairn_arena *arena, struct cairn_sql_head *head,
                                  struct cairn_err *err)
{
    static const char sql[] = "SELECT position, events FROM %s._cairn_lane WHERE view = $1 AND "
                              "generation = $2::bigint AND lane = $3::integer";
    char generation[NUMBER_SIZE];
    char number[NUMBER_SIZE];
    const struct cairn_slice values[] = {view, write_number(generation, head->generation),
                                         write_number(number, lane->number)};
    struct cairn_pg_result *result = NULL;
    enum cairn_rc rc = cairn_sql_query_in(pg, domain, sql, values, 3, &result, err);
    if (rc == CAIRN_OK) {
        rc = cairn_pg_result_rows(result) == 1
                 ? take_lane(result, arena, head, err)
                 : CAIRN_FAIL(err, CAIRN_EFENCED, "another process builds the view");
    }
    cairn_pg_result_free(result);
    return rc;
}

/* ---- merging ---- */

/* One row a lane, and the generation's beside it; all of them locked. */
static const char lanes_sql[] =
    "SELECT v.position, v.generation, l.position, l.events FROM %s._cairn_view v JOIN "
    "%s._cairn_lane l ON l.view = v.view AND l.generation = v.generation WHERE v.view = $1 AND "
    "v.side = 'next' ORDER BY l.lane FOR UPDATE";

enum { OF_NEXT, GENERATION, OF_LANE, EVENTS };

static enum cairn_rc add_up(const struct cairn_pg_result *lanes, struct cairn_position *ret_merged,
                            uint64_t *ret_events, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_position_parse(cairn_pg_result_value(lanes, 0, OF_NEXT), ret_merged);
    *ret_events = 0;
    for (size_t i = 0; rc == CAIRN_OK && i < cairn_pg_result_rows(lanes); i++) {
        struct cairn_position lane;
        uint64_t events = 0;
        rc = cairn_position_parse(cairn_pg_result_value(lanes, i, OF_LANE), &lane);
        rc = rc == CAIRN_OK ? cairn_slice_to_u64(cairn_pg_result_value(lanes, i, EVENTS), &events)
                            : rc;
        if (rc == CAIRN_OK) {
            cairn_position_merge(ret_merged, &lane);
            *ret_events += events;
        }
    }
    return rc == CAIRN_OK ? CAIRN_OK : corrupt(err);
}

static enum cairn_rc write_merged(struct cairn_pg *pg, struct cairn_slice domain,
                                  struct cairn_slice view, const struct cairn_pg_result *lanes,
                                  struct cairn_err *err)
{
    static const char sql[] =
        "WITH gone AS (DELETE FROM %s._cairn_lane WHERE view = $1 AND generation = $2::bigint) "
        "UPDATE %s._cairn_view SET position = $3, events = events + $4::bigint, updated = now(), "
        "error = '', error_event = '', error_position = '' WHERE view = $1 AND side = 'next'";
    struct cairn_arena arena = {.max = PLACE_BYTES_MAX};
    struct cairn_position merged;
    uint64_t events = 0;
    char count[NUMBER_SIZE];
    enum cairn_rc rc = add_up(lanes, &merged, &events, err);
    const char *place = rc == CAIRN_OK ? cairn_position_text(&merged, &arena) : NULL;
    if (place != NULL) {
        const struct cairn_slice values[] = {view, cairn_pg_result_value(lanes, 0, GENERATION),
                                             cairn_slice_str(place), write_number(count, events)};
        rc = cairn_sql_query_in(pg, domain, sql, values, 4, NULL, err);
    } else if (rc == CAIRN_OK) {
        rc = CAIRN_FAIL(err, CAIRN_ENOMEM, "merge lanes");
    }
    cairn_arena_fini(&arena);
    return rc;
}

enum cairn_rc cairn_sql_lanes_merge(struct cairn_pg *pg, struct cairn_slice domain,
                                    struct cairn_slice view, struct cairn_err *err)
{
    struct cairn_pg_result *lanes = NULL;
    enum cairn_rc rc = cairn_pg_run(pg, "BEGIN", err);
    rc = rc == CAIRN_OK ? cairn_sql_query_in(pg, domain, lanes_sql, &view, 1, &lanes, err) : rc;
    if (rc == CAIRN_OK && cairn_pg_result_rows(lanes) > 0) {
        rc = write_merged(pg, domain, view, lanes, err);
    }
    cairn_pg_result_free(lanes);
    return cairn_sql_end(pg, rc, err);
}
