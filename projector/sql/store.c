#include "projector/sql/store.h"

#include <assert.h>
#include <stdio.h>

#include "platform/pg_text.h"
#include "projector/sql/generation.h"
#include "projector/sql/store_int.h"

/* One who builds, switches or deletes at a time, for a domain. */
#define LOCK_SQL            "SELECT pg_advisory_xact_lock(hashtextextended('cairn.' || $1, 0))"
#define STATEMENT_BYTES_MAX ((size_t)64 * 1024)

/* What a side is called in its row, and what stands between domain and view in the name of its
 * schema. */
static const struct {
    const char *name;
    const char *schema; /* NULL: the domain's own */
} sides[] = {
    [CAIRN_SIDE_LIVE] = {"live", NULL},
    [CAIRN_SIDE_NEXT] = {"next", "build"},
    [CAIRN_SIDE_OLD] = {"old", "old"},
    [CAIRN_SIDE_CHECK] = {"check", "check"},
};

struct cairn_slice cairn_sql_side_name(enum cairn_view_side side)
{
    assert((size_t)side < sizeof(sides) / sizeof(sides[0]));
    return cairn_slice_str(sides[side].name);
}

enum cairn_rc cairn_sql_schema(struct cairn_slice domain, struct cairn_slice view,
                               enum cairn_view_side side, char ret_schema[CAIRN_SQL_SCHEMA_SIZE],
                               struct cairn_err *err)
{
    assert((size_t)side < sizeof(sides) / sizeof(sides[0]));
    int size = sides[side].schema == NULL
                   ? snprintf(ret_schema, CAIRN_SQL_SCHEMA_SIZE, "%.*s", CAIRN_SLICE_ARG(domain))
                   : snprintf(ret_schema, CAIRN_SQL_SCHEMA_SIZE, "%.*s_%s_%.*s",
                              CAIRN_SLICE_ARG(domain), sides[side].schema, CAIRN_SLICE_ARG(view));
    if (size < 0 || (size_t)size >= CAIRN_SQL_SCHEMA_SIZE) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "the names of domain %.*s and view %.*s are too long together for a name "
                          "in PostgreSQL (%d bytes)",
                          CAIRN_SLICE_ARG(domain), CAIRN_SLICE_ARG(view), CAIRN_PG_NAME_BYTES_MAX);
    }
    return CAIRN_OK;
}

/* ---- statements around names of ours ---- */

/* Put names, quoted, into the holes (%s) of a statement; a single name goes into all of them. */
static enum cairn_rc fill_names(struct cairn_pg_text *text, const char *format,
                                const struct cairn_slice *names, size_t count, const char **ret_sql,
                                struct cairn_err *err)
{
    const char *hole = strstr(format, "%s");
    for (size_t i = 0; hole != NULL; i++) {
        assert(count == 1 || i < count);
        cairn_pg_text_add_slice(text, cairn_slice_of(format, (size_t)(hole - format)));
        cairn_pg_text_add_name(text, names[count == 1 ? 0 : i]);
        format = hole + 2;
        hole = strstr(format, "%s");
    }
    cairn_pg_text_add(text, format);
    enum cairn_rc rc = cairn_pg_text_end(text, ret_sql);
    return rc == CAIRN_OK ? CAIRN_OK : CAIRN_FAIL(err, rc, "a statement of the view store");
}

enum cairn_rc cairn_sql_run_named(struct cairn_pg *pg, const char *format,
                                  const struct cairn_slice *names, size_t count,
                                  struct cairn_err *err)
{
    struct cairn_pg_text text = CAIRN_PG_TEXT(STATEMENT_BYTES_MAX);
    const char *sql = NULL;
    enum cairn_rc rc = fill_names(&text, format, names, count, &sql, err);
    rc = rc == CAIRN_OK ? cairn_pg_run(pg, sql, err) : rc;
    cairn_pg_text_fini(&text);
    return rc;
}

enum cairn_rc cairn_sql_query_in(struct cairn_pg *pg, struct cairn_slice domain, const char *format,
                                 const struct cairn_slice *values, size_t count,
                                 struct cairn_pg_result **ret_result, struct cairn_err *err)
{
    struct cairn_pg_text text = CAIRN_PG_TEXT(STATEMENT_BYTES_MAX);
    const char *sql = NULL;
    enum cairn_rc rc = fill_names(&text, format, &domain, 1, &sql, err);
    rc = rc == CAIRN_OK ? cairn_pg_query(pg, sql, values, count, ret_result, err) : rc;
    cairn_pg_text_fini(&text);
    return rc;
}

enum cairn_rc cairn_sql_begin_alone(struct cairn_pg *pg, struct cairn_slice domain,
                                    struct cairn_err *err)
{
    enum cairn_rc rc = cairn_pg_run(pg, "BEGIN", err);
    return rc == CAIRN_OK ? cairn_pg_query(pg, LOCK_SQL, &domain, 1, NULL, err) : rc;
}

enum cairn_rc cairn_sql_end(struct cairn_pg *pg, enum cairn_rc rc, struct cairn_err *err)
{
    if (rc == CAIRN_OK) {
        return cairn_pg_run(pg, "COMMIT", err);
    }
    if (!cairn_pg_is_broken(pg)) {
        struct cairn_err ignored;
        (void)cairn_pg_run(pg, "ROLLBACK", &ignored); /* a connection that cannot is closed */
    }
    return rc;
}

/* ---- the control table ---- */

static enum cairn_rc schema_exists(struct cairn_pg *pg, struct cairn_slice schema, bool *ret_there,
                                   struct cairn_err *err)
{
    struct cairn_pg_result *result = NULL;
    enum cairn_rc rc = cairn_pg_query(pg, "SELECT 1 FROM pg_namespace WHERE nspname = $1", &schema,
                                      1, &result, err);
    if (rc == CAIRN_OK) {
        *ret_there = cairn_pg_result_rows(result) > 0;
        cairn_pg_result_free(result);
    }
    return rc;
}

#define SIDE_CHECK                                                                                 \
    "CONSTRAINT _cairn_view_side_check CHECK (side IN ('live', 'next', 'old', 'check'))"

static const char table_sql[] =
    "CREATE TABLE IF NOT EXISTS %s._cairn_view ("
    "view text NOT NULL, side text NOT NULL " SIDE_CHECK ", "
    "generation bigint NOT NULL, state text NOT NULL, version integer NOT NULL, "
    "hash text NOT NULL, definition text NOT NULL, position text NOT NULL, "
    "events bigint NOT NULL, log_events bigint NOT NULL, error text NOT NULL DEFAULT '', "
    "error_event text NOT NULL DEFAULT '', error_position text NOT NULL DEFAULT '', "
    "refused text NOT NULL DEFAULT '', relations text[] NOT NULL DEFAULT '{}', "
    "updated timestamptz NOT NULL DEFAULT now(), parks bigint NOT NULL DEFAULT 0, "
    "PRIMARY KEY (view, side))";
static const char parked_sql[] =
    "CREATE TABLE IF NOT EXISTS %s._cairn_parked ("
    "view text NOT NULL, generation bigint NOT NULL, stream text NOT NULL, "
    "version bigint NOT NULL, until_version bigint NOT NULL DEFAULT 0, event text NOT NULL, "
    "position text NOT NULL, error text NOT NULL, parked timestamptz NOT NULL DEFAULT now(), "
    "PRIMARY KEY (view, generation, stream, version))";
static const char lane_sql[] =
    "CREATE TABLE IF NOT EXISTS %s._cairn_lane ("
    "view text NOT NULL, generation bigint NOT NULL, lane integer NOT NULL, "
    "position text NOT NULL, events bigint NOT NULL DEFAULT 0, "
    "PRIMARY KEY (view, generation, lane))";

static const char missing_sql[] =
    "ALTER TABLE %s._cairn_view ADD COLUMN IF NOT EXISTS parks bigint NOT NULL DEFAULT 0, "
    "ADD COLUMN IF NOT EXISTS error_position text NOT NULL DEFAULT '', "
    "ADD COLUMN IF NOT EXISTS refused text NOT NULL DEFAULT '', "
    "DROP CONSTRAINT IF EXISTS _cairn_view_side_check, ADD " SIDE_CHECK;

/* What a control table of an earlier version lacks. It is looked for first: to alter a table is to
 * wait for all who use it, also where there is nothing to do. */
static enum cairn_rc add_missing(struct cairn_pg *pg, struct cairn_slice domain,
                                 struct cairn_err *err)
{
    struct cairn_pg_result *result = NULL;
    enum cairn_rc rc =
        cairn_pg_query(pg,
                       "SELECT 1 FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
                       "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 "
                       "AND c.relname = '_cairn_view' AND a.attname IN ('parks', 'refused')",
                       &domain, 1, &result, err);
    if (rc == CAIRN_OK && cairn_pg_result_rows(result) < 2) {
        rc = cairn_sql_run_named(pg, missing_sql, &domain, 1, err);
    }
    cairn_pg_result_free(result);
    return rc;
}

enum cairn_rc cairn_sql_store_prepare(struct cairn_pg *pg, struct cairn_slice domain,
                                      struct cairn_err *err)
{
    bool there = false;
    enum cairn_rc rc = cairn_sql_begin_alone(pg, domain, err);
    rc = rc == CAIRN_OK ? schema_exists(pg, domain, &there, err) : rc;
    if (rc == CAIRN_OK && !there) {
        rc = cairn_sql_run_named(pg, "CREATE SCHEMA %s", &domain, 1, err);
    }
    rc = rc == CAIRN_OK ? cairn_sql_run_named(pg, table_sql, &domain, 1, err) : rc;
    rc = rc == CAIRN_OK ? add_missing(pg, domain, err) : rc;
    rc = rc == CAIRN_OK ? cairn_sql_run_named(pg, parked_sql, &domain, 1, err) : rc;
    rc = rc == CAIRN_OK ? cairn_sql_run_named(pg, lane_sql, &domain, 1, err) : rc;
    rc = cairn_sql_end(pg, rc, err);
    return rc == CAIRN_OK
               ? CAIRN_OK
               : cairn_err_wrap(err, rc, "prepare the schema %.*s", CAIRN_SLICE_ARG(domain));
}

/* ---- heads ---- */

/* What lanes have applied counts before they are merged, too: it is what is told as done. */
static const char head_sql[] =
    "SELECT state, generation, events + (SELECT coalesce(sum(l.events), 0)::bigint FROM "
    "%s._cairn_lane l WHERE l.view = v.view AND l.generation = v.generation), "
    "log_events, version, parks, "
    "(SELECT count(*) FROM %s._cairn_parked p WHERE p.view = v.view AND "
    "p.generation = v.generation AND p.until_version = 0), error_position, "
    "position, hash, definition, error, error_event, refused "
    "FROM %s._cairn_view v WHERE view = $1 AND side = $2";

/* Columns of it. */
enum { HEAD_PARKS = 5, HEAD_PARKED, HEAD_ERROR_POSITION, HEAD_POSITION };

static enum cairn_view_state state_of(struct cairn_slice text)
{
    if (cairn_slice_is(text, "live")) {
        return CAIRN_VIEW_LIVE;
    }
    return cairn_slice_is(text, "stopped") ? CAIRN_VIEW_STOPPED : CAIRN_VIEW_BUILDING;
}

/* A position of a single partition, or nothing. */
static enum cairn_rc take_error_position(struct cairn_slice text, struct cairn_sql_head *head)
{
    struct cairn_position position;
    if (text.size == 0) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = cairn_position_parse(text, &position);
    for (uint16_t i = 0; rc == CAIRN_OK && i < CAIRN_PARTITIONS_MAX; i++) {
        if (position.offsets[i] > 0) {
            head->error_partition = i;
            head->error_offset = position.offsets[i];
        }
    }
    return rc;
}

static enum cairn_rc take_head(const struct cairn_pg_result *row, struct cairn_arena *arena,
                               struct cairn_sql_head *head, struct cairn_err *err)
{
    struct cairn_slice *const texts[] = {&head->place, &head->hash,        &head->definition,
                                         &head->error, &head->error_event, &head->refused};
    uint64_t version = 0;
    head->state = state_of(cairn_pg_result_value(row, 0, 0));
    head->returning = cairn_slice_is(cairn_pg_result_value(row, 0, 0), CAIRN_SQL_RETURNING);
    enum cairn_rc rc = cairn_slice_to_u64(cairn_pg_result_value(row, 0, 1), &head->generation);
    rc = rc == CAIRN_OK ? cairn_slice_to_u64(cairn_pg_result_value(row, 0, 2), &head->events) : rc;
    rc = rc == CAIRN_OK ? cairn_slice_to_u64(cairn_pg_result_value(row, 0, 3), &head->all) : rc;
    rc = rc == CAIRN_OK ? cairn_slice_to_u64(cairn_pg_result_value(row, 0, 4), &version) : rc;
    rc = rc == CAIRN_OK
             ? cairn_slice_to_u64(cairn_pg_result_value(row, 0, HEAD_PARKS), &head->parks)
             : rc;
    rc = rc == CAIRN_OK
             ? cairn_slice_to_u64(cairn_pg_result_value(row, 0, HEAD_PARKED), &head->parked)
             : rc;
    rc = rc == CAIRN_OK
             ? cairn_position_parse(cairn_pg_result_value(row, 0, HEAD_POSITION), &head->position)
             : rc;
    rc = rc == CAIRN_OK
             ? take_error_position(cairn_pg_result_value(row, 0, HEAD_ERROR_POSITION), head)
             : rc;
    if (rc != CAIRN_OK || version > UINT32_MAX) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "the row of _cairn_view does not read");
    }
    head->version = (uint32_t)version;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (cairn_arena_copy(arena, cairn_pg_result_value(row, 0, HEAD_POSITION + i), texts[i]) !=
            CAIRN_OK) {
            return CAIRN_FAIL(err, CAIRN_ENOMEM, "read a row of _cairn_view");
        }
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_sql_head_read(struct cairn_pg *pg, struct cairn_slice domain,
                                  struct cairn_slice view, enum cairn_view_side side,
                                  struct cairn_arena *arena, struct cairn_sql_head *ret_head,
                                  struct cairn_err *err)
{
    const struct cairn_slice values[] = {view, cairn_sql_side_name(side)};
    struct cairn_pg_result *result = NULL;
    struct cairn_sql_head head = {.state = CAIRN_VIEW_LIVE};
    struct cairn_err why;
    enum cairn_rc rc = cairn_sql_query_in(pg, domain, head_sql, values, 2, &result, &why);
    if (rc != CAIRN_OK && strcmp(cairn_pg_sqlstate(pg), "42P01") == 0) {
        return CAIRN_ENOENT; /* undefined_table: no projector has been here */
    }
    if (rc != CAIRN_OK) {
        *err = why;
        return rc;
    }
    rc = cairn_pg_result_rows(result) == 0 ? CAIRN_ENOENT : take_head(result, arena, &head, err);
    cairn_pg_result_free(result);
    if (rc == CAIRN_OK) {
        *ret_head = head;
    }
    return rc;
}

/* ---- trying ---- */

enum cairn_rc cairn_sql_scratch_begin(struct cairn_pg *pg, struct cairn_slice schema,
                                      struct cairn_err *err)
{
    enum cairn_rc rc = cairn_pg_run(pg, "BEGIN", err);
    rc = rc == CAIRN_OK ? cairn_sql_run_named(pg, "CREATE SCHEMA %s", &schema, 1, err) : rc;
    rc = rc == CAIRN_OK
             ? cairn_sql_run_named(pg, "SET LOCAL search_path = %s, pg_catalog", &schema, 1, err)
             : rc;
    rc = rc == CAIRN_OK ? cairn_sql_run_named(pg, table_sql, &schema, 1, err) : rc;
    rc = rc == CAIRN_OK ? cairn_sql_run_named(pg, parked_sql, &schema, 1, err) : rc;
    rc = rc == CAIRN_OK ? cairn_sql_run_named(pg, lane_sql, &schema, 1, err) : rc;
    return rc == CAIRN_OK ? CAIRN_OK : cairn_err_wrap(err, rc, "make a scratch schema");
}

void cairn_sql_scratch_end(struct cairn_pg *pg)
{
    struct cairn_err ignored;
    if (!cairn_pg_is_broken(pg)) {
        (void)cairn_pg_run(pg, "ROLLBACK", &ignored); /* a lost connection has undone it, too */
    }
}

/* ---- stops ---- */

enum cairn_rc cairn_sql_stop_write(struct cairn_pg *pg, struct cairn_slice domain,
                                   struct cairn_slice view, enum cairn_view_side side,
                                   const struct cairn_sql_head *head,
                                   const struct cairn_sql_stop *stop, struct cairn_err *err)
{
    static const char sql[] =
        "UPDATE %s._cairn_view SET state = CASE WHEN side <> 'live' THEN state WHEN $5 = '' THEN "
        "'live' ELSE 'stopped' END, error = $5, error_event = $6, error_position = $7, "
        "updated = now() WHERE view = $1 AND side = $2 AND generation = $3::bigint AND "
        "position = $4";
    bool of_event = stop != NULL && stop->event.size > 0;
    char generation[24];
    char place[32] = "";
    (void)snprintf(generation, sizeof(generation), "%llu", (unsigned long long)head->generation);
    if (stop != NULL && stop->offset > 0) {
        (void)snprintf(place, sizeof(place), "%u:%llu", (unsigned)stop->partition,
                       (unsigned long long)stop->offset);
    }
    const struct cairn_slice values[] = {view,
                                         cairn_sql_side_name(side),
                                         cairn_slice_str(generation),
                                         head->place,
                                         cairn_slice_str(stop == NULL ? "" : stop->error),
                                         of_event ? stop->event : CAIRN_SLICE_LIT(""),
                                         cairn_slice_str(place)};
    return cairn_sql_query_in(pg, domain, sql, values, 7, NULL, err);
}

/* ---- views that are gone ---- */

static bool is_among(struct cairn_slice name, const struct cairn_slice *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (cairn_slice_equal(name, names[i])) {
            return true;
        }
    }
    return false;
}

enum cairn_rc cairn_sql_store_keep(struct cairn_pg *pg, struct cairn_slice domain,
                                   const struct cairn_slice *views, size_t count,
                                   struct cairn_err *err)
{
    struct cairn_pg_result *result = NULL;
    bool there = false;
    enum cairn_rc rc = cairn_sql_begin_alone(pg, domain, err);
    rc = rc == CAIRN_OK ? schema_exists(pg, domain, &there, err) : rc;
    if (rc != CAIRN_OK || !there) {
        return cairn_sql_end(pg, rc, err);
    }
    rc = cairn_sql_query_in(pg, domain, "SELECT DISTINCT view FROM %s._cairn_view", NULL, 0,
                            &result, err);
    for (size_t i = 0; rc == CAIRN_OK && i < cairn_pg_result_rows(result); i++) {
        struct cairn_slice view = cairn_pg_result_value(result, i, 0);
        if (!is_among(view, views, count)) {
            rc = cairn_sql_generations_delete(pg, domain, view, err);
        }
    }
    cairn_pg_result_free(result);
    return cairn_sql_end(pg, rc, err);
}
