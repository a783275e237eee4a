#include "projector/sql/parked.h"

#include <assert.h>
#include <stdio.h>

/* ---- what a generation leaves out ---- */

static enum cairn_rc take_range(const struct cairn_pg_result *rows, size_t row,
                                struct cairn_parked_set *set, struct cairn_err *err)
{
    uint64_t version = 0;
    uint64_t until_version = 0;
    struct cairn_slice stream = cairn_pg_result_value(rows, row, 0);
    bool reads =
        cairn_stream_is_valid(stream) &&
        cairn_slice_to_u64(cairn_pg_result_value(rows, row, 1), &version) == CAIRN_OK &&
        cairn_slice_to_u64(cairn_pg_result_value(rows, row, 2), &until_version) == CAIRN_OK &&
        version > 0 && (until_version == 0 || until_version >= version);
    return reads ? cairn_parked_put(set, stream, version, until_version, err)
                 : CAIRN_FAIL(err, CAIRN_ECORRUPT, "a row of _cairn_parked does not read");
}

enum cairn_rc cairn_sql_parked_load(struct cairn_pg *pg, struct cairn_slice domain,
                                    struct cairn_slice view, uint64_t generation,
                                    struct cairn_parked_set *set, struct cairn_err *err)
{
    char number[24];
    struct cairn_pg_result *rows = NULL;
    (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)generation);
    const struct cairn_slice values[] = {view, cairn_slice_str(number)};
    enum cairn_rc rc =
        cairn_sql_query_in(pg, domain,
                           "SELECT stream, version, until_version FROM %s._cairn_parked "
                           "WHERE view = $1 AND generation = $2::bigint",
                           values, 2, &rows, err);
    size_t count = rc == CAIRN_OK ? cairn_pg_result_rows(rows) : 0;
    for (size_t i = 0; rc == CAIRN_OK && i < count; i++) {
        rc = take_range(rows, i, set, err);
    }
    cairn_pg_result_free(rows);
    return rc == CAIRN_OK ? CAIRN_OK : cairn_err_wrap(err, rc, "read what is parked");
}

/* ---- one more ---- */

bool cairn_sql_parked_blames(const char *sqlstate)
{
    /* The beginnings of SQLSTATEs that tell of values. */
    static const char *const of_values[] = {
        "21",    /* a subquery, or the rows of an upsert, are more than one */
        "22",    /* data */
        "23",    /* constraints */
        "27",    /* what a trigger does to the row that is changed */
        "38",    /* functions in other languages */
        "39",    /* the same, what they return */
        "40002", /* deferred constraints */
        "44",    /* WITH CHECK OPTION */
        "54",    /* limits, as of an index entry */
        "P0",    /* RAISE */
    };
    assert(sqlstate != NULL);
    bool blames = sqlstate[0] == '\0';
    for (size_t i = 0; !blames && i < sizeof(of_values) / sizeof(of_values[0]); i++) {
        blames = strncmp(sqlstate, of_values[i], strlen(of_values[i])) == 0;
    }
    return blames;
}

static const char add_sql[] =
    "WITH moved AS (UPDATE %s._cairn_view SET position = $1, events = events + $2::bigint, "
    "parks = parks + 1, state = CASE side WHEN 'live' THEN 'live' ELSE state END, error = '', "
    "error_event = '', error_position = '', updated = now() WHERE view = $3 AND side = $4 AND "
    "generation = $5::bigint "
    "AND position = $6 AND parks = $7::bigint RETURNING view, generation) "
    "INSERT INTO %s._cairn_parked (view, generation, stream, version, event, position, error) "
    "SELECT view, generation, $8, $9::bigint, $10, $11, $12 FROM moved";

enum cairn_rc cairn_sql_parked_add(struct cairn_pg *pg, struct cairn_slice domain,
                                   struct cairn_slice view, enum cairn_view_side side,
                                   const struct cairn_sql_step_to *to,
                                   const struct cairn_sql_parking *parking, struct cairn_err *err)
{
    enum { NUMBER_SIZE = 24 };
    const struct cairn_event *failed = parking->failed;
    char events[NUMBER_SIZE];
    char generation[NUMBER_SIZE];
    char parks[NUMBER_SIZE];
    char version[NUMBER_SIZE];
    char at[2 * NUMBER_SIZE];
    char id[CAIRN_UUID_TEXT_SIZE];
    struct cairn_pg_result *result = NULL;
    assert(parking->version > 0 && parking->version <= failed->version && to->events > 0);
    (void)snprintf(events, sizeof(events), "%llu", (unsigned long long)to->events);
    (void)snprintf(generation, sizeof(generation), "%llu",
                   (unsigned long long)to->from->generation);
    (void)snprintf(parks, sizeof(parks), "%llu", (unsigned long long)to->from->parks);
    (void)snprintf(version, sizeof(version), "%llu", (unsigned long long)parking->version);
    (void)snprintf(at, sizeof(at), "%u:%llu", (unsigned)failed->partition,
                   (unsigned long long)failed->offset);
    cairn_uuid_format(&failed->id, id);
    const struct cairn_slice values[] = {to->place,
                                         cairn_slice_str(events),
                                         view,
                                         cairn_sql_side_name(side),
                                         cairn_slice_str(generation),
                                         to->from->place,
                                         cairn_slice_str(parks),
                                         failed->stream,
                                         cairn_slice_str(version),
                                         cairn_slice_of(id, sizeof(id)),
                                         cairn_slice_str(at),
                                         cairn_slice_str(parking->error)};
    enum cairn_rc rc = cairn_sql_query_in(pg, domain, add_sql, values,
                                          sizeof(values) / sizeof(values[0]), &result, err);
    if (rc == CAIRN_OK && cairn_pg_result_touched(result) != 1) {
        rc = CAIRN_FAIL(err, CAIRN_EFENCED, "another projector feeds view %.*s",
                        CAIRN_SLICE_ARG(view));
    }
    cairn_pg_result_free(result);
    return rc;
}
