#include "projector/sql/compare_parked.h"

#include <assert.h>
#include <stdio.h>

#include "projector/settle.h"
#include "projector/sql/waiting.h"

/* Of at most CAIRN_PARKED_MAX streams that were taken over, and as many of its own. */
#define ROWS_BYTES_MAX ((size_t)64 * 1024 * 1024)

enum cairn_rc cairn_sql_compare_parked_copy(struct cairn_pg *pg, struct cairn_slice domain,
                                            struct cairn_slice view, struct cairn_err *err)
{
    static const char sql[] =
        "INSERT INTO %s._cairn_parked (view, generation, stream, version, until_version, event, "
        "position, error, parked) SELECT p.view, c.generation, p.stream, p.version, "
        "p.until_version, p.event, p.position, p.error, p.parked FROM %s._cairn_parked p JOIN "
        "%s._cairn_view l ON l.view = p.view AND l.generation = p.generation AND l.side = 'live' "
        "JOIN %s._cairn_view c ON c.view = p.view AND c.side = 'check' WHERE p.view = $1";
    return cairn_sql_query_in(pg, domain, sql, &view, 1, NULL, err);
}

/* The scratch generation is no further than the live one was when the replay began, so of what is
 * given up since then it has passed nothing over. */
enum cairn_rc cairn_sql_compare_parked_take(struct cairn_pg *live, uint64_t live_generation,
                                            struct cairn_sql_follower *follower,
                                            struct cairn_parked_set *left_out,
                                            struct cairn_err *err)
{
    enum cairn_rc rc = cairn_sql_parked_load(live, follower->domain, follower->view,
                                             live_generation, left_out, err);
    return rc == CAIRN_OK ? cairn_sql_parked_load(live, follower->domain, follower->view,
                                                  live_generation, &follower->parked, err)
                          : rc;
}

/* ---- trying again ---- */

/* Streams that wait in the scratch generation alone. */
struct settling {
    struct cairn_sql_follower *follower;
    const struct cairn_parked_set *left_out;
    struct cairn_arena arena;
    struct cairn_parked *rows;
    size_t count;
};

static enum cairn_rc take_row(struct settling *settling, const struct cairn_pg_result *rows,
                              size_t row, struct cairn_err *err)
{
    struct cairn_parked *parked = &settling->rows[settling->count];
    if (cairn_slice_to_u64(cairn_pg_result_value(rows, row, 1), &parked->version) != CAIRN_OK ||
        cairn_arena_copy(&settling->arena, cairn_pg_result_value(rows, row, 0), &parked->stream) !=
            CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "find what waits");
    }
    const struct cairn_event first = {.stream = parked->stream, .version = parked->version};
    settling->count += cairn_parked_has(settling->left_out, &first) ? 0 : 1;
    return CAIRN_OK;
}

static enum cairn_rc find_rows(struct settling *settling, struct cairn_err *err)
{
    const struct cairn_sql_follower *follower = settling->follower;
    char generation[24];
    struct cairn_pg_result *rows = NULL;
    (void)snprintf(generation, sizeof(generation), "%llu",
                   (unsigned long long)follower->head.generation);
    const struct cairn_slice values[] = {follower->view, cairn_slice_str(generation)};
    enum cairn_rc rc = cairn_sql_query_in(
        follower->pg, follower->domain,
        "SELECT stream, version FROM %s._cairn_parked WHERE view = $1 AND generation = $2::bigint "
        "AND until_version = 0 ORDER BY stream COLLATE \"C\", version",
        values, 2, &rows, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    size_t count = cairn_pg_result_rows(rows);
    settling->rows = cairn_arena_zalloc(&settling->arena, count + 1, sizeof(*settling->rows));
    rc = settling->rows == NULL ? CAIRN_FAIL(err, CAIRN_ENOMEM, "find what waits") : CAIRN_OK;
    for (size_t i = 0; rc == CAIRN_OK && i < count; i++) {
        rc = take_row(settling, rows, i, err);
    }
    cairn_pg_result_free(rows);
    return rc;
}

/* *ret_done: it could be applied. */
static enum cairn_rc apply(const struct settling *settling, const struct cairn_parked *parked,
                           bool careful, bool *ret_done, struct cairn_err *err)
{
    struct cairn_sql_follower *follower = settling->follower;
    struct cairn_sql_again again = {.failed = false};
    struct cairn_sql_waiting waiting = {.pg = follower->pg,
                                        .store = follower->store,
                                        .domain = follower->domain,
                                        .view = follower->view,
                                        .stream = parked->stream,
                                        .generation = follower->head.generation,
                                        .version = parked->version,
                                        .position = follower->head.position,
                                        .except = settling->left_out,
                                        .careful = careful,
                                        .arena = {.max = CAIRN_SQL_WAITING_BYTES_MAX}};
    enum cairn_rc rc = cairn_pg_run(follower->pg, "BEGIN", err);
    rc = rc == CAIRN_OK ? cairn_sql_waiting_apply(&waiting, follower, &again, err) : rc;
    cairn_arena_fini(&waiting.arena);
    *ret_done = rc == CAIRN_OK;
    return again.failed ? CAIRN_OK : rc;
}

/* With arrays, or, behind a failure, row by row. */
static enum cairn_rc try_row(void *self, const struct cairn_parked *parked, bool *ret_done,
                             struct cairn_err *err)
{
    enum cairn_rc rc = apply(self, parked, false, ret_done, err);
    return rc == CAIRN_OK && !*ret_done ? apply(self, parked, true, ret_done, err) : rc;
}

enum cairn_rc cairn_sql_compare_parked_settle(struct cairn_sql_follower *follower,
                                              const struct cairn_parked_set *left_out,
                                              struct cairn_err *err)
{
    struct settling settling = {
        .follower = follower, .left_out = left_out, .arena = {.max = ROWS_BYTES_MAX}};
    assert(left_out != NULL && !follower->failed);
    enum cairn_rc rc = find_rows(&settling, err);
    rc = rc == CAIRN_OK ? cairn_settle_all(settling.rows, settling.count, try_row, &settling, err)
                        : rc;
    cairn_arena_fini(&settling.arena);
    return rc;
}
