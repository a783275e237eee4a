#include "projector/sql/generation.h"

#include <assert.h>
#include <stdio.h>

#include "platform/pg_text.h"
#include "projector/sql/hindrance.h"
#include "projector/sql/store_int.h"

#define STATEMENT_BYTES_MAX ((size_t)256 * 1024)
#define NUMBER_SIZE         24

/* ---- tables ---- */

enum cairn_rc cairn_sql_generation_tables(struct cairn_pg *pg, struct cairn_slice domain,
                                          struct cairn_slice view, enum cairn_view_side side,
                                          bool parts, struct cairn_pg_result **ret_tables,
                                          struct cairn_err *err)
{
    static const char sql[] =
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND ($2::boolean OR NOT "
        "c.relispartition) AND ($3 <> 'live' OR c.relname = ANY (SELECT unnest(relations) FROM "
        "%s._cairn_view WHERE view = $4 AND side = $3)) ORDER BY c.relname COLLATE \"C\"";
    char schema[CAIRN_SQL_SCHEMA_SIZE];
    enum cairn_rc rc = cairn_sql_schema(domain, view, side, schema, err);
    const struct cairn_slice values[] = {cairn_slice_str(schema),
                                         parts ? CAIRN_SLICE_LIT("t") : CAIRN_SLICE_LIT("f"),
                                         cairn_sql_side_name(side), view};
    return rc == CAIRN_OK ? cairn_sql_query_in(pg, domain, sql, values, 4, ret_tables, err) : rc;
}

/* A statement about all of these tables at once, so that what they have with each other is no
 * hindrance. */
static enum cairn_rc run_on_tables(struct cairn_pg *pg, const char *before,
                                   struct cairn_slice schema, const struct cairn_pg_result *tables,
                                   const char *behind, struct cairn_err *err)
{
    struct cairn_pg_text text = CAIRN_PG_TEXT(STATEMENT_BYTES_MAX);
    const char *sql = NULL;
    if (cairn_pg_result_rows(tables) == 0) {
        return CAIRN_OK;
    }
    cairn_pg_text_add(&text, before);
    for (size_t i = 0; i < cairn_pg_result_rows(tables); i++) {
        cairn_pg_text_add(&text, i == 0 ? " " : ", ");
        cairn_pg_text_add_name(&text, schema);
        cairn_pg_text_add(&text, ".");
        cairn_pg_text_add_name(&text, cairn_pg_result_value(tables, i, 0));
    }
    cairn_pg_text_add(&text, behind);
    enum cairn_rc rc = cairn_pg_text_end(&text, &sql);
    rc = rc == CAIRN_OK ? cairn_pg_run(pg, sql, err)
                        : CAIRN_FAIL(err, rc, "a statement about tables of a view");
    cairn_pg_text_fini(&text);
    return rc;
}

/* With what hangs on them: indexes, constraints, sequences of their own. */
static enum cairn_rc move_tables(struct cairn_pg *pg, const struct cairn_pg_result *tables,
                                 struct cairn_slice from, struct cairn_slice to,
                                 struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; rc == CAIRN_OK && i < cairn_pg_result_rows(tables); i++) {
        const struct cairn_slice names[] = {from, cairn_pg_result_value(tables, i, 0), to};
        rc = cairn_sql_run_named(pg, "ALTER TABLE %s.%s SET SCHEMA %s", names, 3, err);
    }
    return rc;
}

/* ---- beginning and dropping ---- */

/* The row of a side, what its generation has parked, and its lanes. */
static enum cairn_rc delete_row(struct cairn_pg *pg, struct cairn_slice domain,
                                struct cairn_slice view, enum cairn_view_side side, bool *deleted,
                                struct cairn_err *err)
{
    static const char sql[] =
        "WITH gone AS (DELETE FROM %s._cairn_view WHERE view = $1 AND side = $2 RETURNING view, "
        "generation), unparked AS (DELETE FROM %s._cairn_parked p USING gone WHERE p.view = "
        "gone.view AND p.generation = gone.generation), lanes AS (DELETE FROM %s._cairn_lane l "
        "USING gone WHERE l.view = gone.view AND l.generation = gone.generation) "
        "SELECT 1 FROM gone";
    const struct cairn_slice values[] = {view, cairn_sql_side_name(side)};
    struct cairn_pg_result *result = NULL;
    enum cairn_rc rc = cairn_sql_query_in(pg, domain, sql, values, 2, &result, err);
    if (rc == CAIRN_OK && deleted != NULL) {
        *deleted = cairn_pg_result_rows(result) > 0;
    }
    cairn_pg_result_free(result);
    return rc;
}

/* The generation of a side with a schema of its own, and whatever else lies there. */
static enum cairn_rc drop_side(struct cairn_pg *pg, struct cairn_slice domain,
                               struct cairn_slice view, enum cairn_view_side side, bool *dropped,
                               struct cairn_err *err)
{
    char schema[CAIRN_SQL_SCHEMA_SIZE];
    assert(side != CAIRN_SIDE_LIVE);
    enum cairn_rc rc = cairn_sql_schema(domain, view, side, schema, err);
    struct cairn_slice name = cairn_slice_str(schema);
    rc = rc == CAIRN_OK ? cairn_sql_run_named(pg, "DROP SCHEMA IF EXISTS %s CASCADE", &name, 1, err)
                        : rc;
    return rc == CAIRN_OK ? delete_row(pg, domain, view, side, dropped, err) : rc;
}

/* Without CASCADE: what somebody else has put on top of live tables keeps them. */
static enum cairn_rc drop_live(struct cairn_pg *pg, struct cairn_slice domain,
                               struct cairn_slice view, struct cairn_err *err)
{
    struct cairn_pg_result *tables = NULL;
    enum cairn_rc rc =
        cairn_sql_generation_tables(pg, domain, view, CAIRN_SIDE_LIVE, true, &tables, err);
    rc = rc == CAIRN_OK ? run_on_tables(pg, "DROP TABLE", domain, tables, " RESTRICT", err) : rc;
    cairn_pg_result_free(tables);
    return rc == CAIRN_OK ? delete_row(pg, domain, view, CAIRN_SIDE_LIVE, NULL, err) : rc;
}

enum cairn_rc cairn_sql_generations_delete(struct cairn_pg *pg, struct cairn_slice domain,
                                           struct cairn_slice view, struct cairn_err *err)
{
    static const enum cairn_view_side sides[] = {CAIRN_SIDE_NEXT, CAIRN_SIDE_OLD, CAIRN_SIDE_CHECK};
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; rc == CAIRN_OK && i < sizeof(sides) / sizeof(sides[0]); i++) {
        rc = drop_side(pg, domain, view, sides[i], NULL, err);
    }
    return rc == CAIRN_OK ? drop_live(pg, domain, view, err) : rc;
}

enum cairn_rc cairn_sql_generation_drop(struct cairn_pg *pg, struct cairn_slice domain,
                                        struct cairn_slice view, enum cairn_view_side side,
                                        bool *ret_dropped, struct cairn_err *err)
{
    bool dropped = false;
    enum cairn_rc rc = cairn_sql_begin_alone(pg, domain, err);
    rc = rc == CAIRN_OK ? drop_side(pg, domain, view, side, &dropped, err) : rc;
    rc = cairn_sql_end(pg, rc, err);
    if (rc == CAIRN_OK && ret_dropped != NULL) {
        *ret_dropped = dropped;
    }
    return rc;
}

static enum cairn_rc insert_row(struct cairn_pg *pg, const struct cairn_sql_definition *definition,
                                enum cairn_view_side side, struct cairn_err *err)
{
    static const char sql[] =
        "INSERT INTO %s._cairn_view (view, side, generation, state, version, hash, definition, "
        "position, events, log_events) SELECT $1, $6, coalesce(max(generation), 0) + 1, "
        "'building', $2::integer, $3, $4, '0:0', 0, $5::bigint FROM %s._cairn_view WHERE view = $1";
    char version[NUMBER_SIZE];
    char all[NUMBER_SIZE];
    (void)snprintf(version, sizeof(version), "%u", (unsigned)definition->version);
    (void)snprintf(all, sizeof(all), "%llu", (unsigned long long)definition->all);
    const struct cairn_slice values[] = {definition->view,     cairn_slice_str(version),
                                         definition->hash,     definition->text,
                                         cairn_slice_str(all), cairn_sql_side_name(side)};
    return cairn_sql_query_in(pg, definition->domain, sql, values, 6, NULL, err);
}

/* An empty schema with the view's tables in it. */
static enum cairn_rc make_tables(struct cairn_pg *pg, const struct cairn_sql_definition *definition,
                                 enum cairn_view_side side, struct cairn_err *err)
{
    char schema[CAIRN_SQL_SCHEMA_SIZE];
    enum cairn_rc rc = cairn_sql_schema(definition->domain, definition->view, side, schema, err);
    struct cairn_slice name = cairn_slice_str(schema);
    rc = rc == CAIRN_OK ? cairn_sql_run_named(pg, "CREATE SCHEMA %s", &name, 1, err) : rc;
    rc = rc == CAIRN_OK
             ? cairn_sql_run_named(pg, "SET LOCAL search_path TO %s, pg_catalog", &name, 1, err)
             : rc;
    for (size_t i = 0; rc == CAIRN_OK && i < definition->table_count; i++) {
        rc = cairn_pg_run(pg, definition->tables[i], err);
    }
    return rc;
}

/* ---- there and back ---- */

/* A generation with a schema of its own takes another side, from one state to another. Its number
 * stays, or is a new one, so that nobody takes it for what it was. all: in place of the events that
 * the log held when its build began. */
struct turn {
    enum cairn_view_side from, to;
    struct cairn_slice from_state; /* empty: whatever it is */
    struct cairn_slice to_state;
    bool renumber;
    uint64_t all;
};

static enum cairn_rc turn_row(struct cairn_pg *pg, struct cairn_slice domain,
                              struct cairn_slice view, const struct turn *turn, bool *ret_turned,
                              struct cairn_err *err)
{
    static const char sql[] =
        "WITH was AS (SELECT generation, CASE WHEN $6::boolean THEN (SELECT max(generation) + 1 "
        "FROM %s._cairn_view WHERE view = $1) ELSE generation END AS number FROM %s._cairn_view "
        "WHERE view = $1 AND side = $2 AND $4 IN ('', state)), "
        "parked AS (UPDATE %s._cairn_parked p SET generation = was.number FROM was "
        "WHERE p.view = $1 AND p.generation = was.generation), "
        "lanes AS (UPDATE %s._cairn_lane l SET generation = was.number FROM was "
        "WHERE l.view = $1 AND l.generation = was.generation) "
        "UPDATE %s._cairn_view v SET side = $3, state = $5, updated = now(), error = '', "
        "error_event = '', error_position = '', refused = '', log_events = $7::bigint, "
        "generation = was.number FROM was WHERE v.view = $1 AND v.side = $2";
    char all[NUMBER_SIZE];
    (void)snprintf(all, sizeof(all), "%llu", (unsigned long long)turn->all);
    const struct cairn_slice values[] = {view,
                                         cairn_sql_side_name(turn->from),
                                         cairn_sql_side_name(turn->to),
                                         turn->from_state,
                                         turn->to_state,
                                         turn->renumber ? CAIRN_SLICE_LIT("t")
                                                        : CAIRN_SLICE_LIT("f"),
                                         cairn_slice_str(all)};
    struct cairn_pg_result *result = NULL;
    enum cairn_rc rc = cairn_sql_query_in(pg, domain, sql, values, 7, &result, err);
    if (rc == CAIRN_OK) {
        *ret_turned = cairn_pg_result_touched(result) == 1;
    }
    cairn_pg_result_free(result);
    return rc;
}

static enum cairn_rc rename_schema(struct cairn_pg *pg, struct cairn_slice domain,
                                   struct cairn_slice view, const struct turn *turn,
                                   struct cairn_err *err)
{
    char from[CAIRN_SQL_SCHEMA_SIZE];
    char to[CAIRN_SQL_SCHEMA_SIZE];
    enum cairn_rc rc = cairn_sql_schema(domain, view, turn->from, from, err);
    rc = rc == CAIRN_OK ? cairn_sql_schema(domain, view, turn->to, to, err) : rc;
    if (rc != CAIRN_OK) {
        return rc;
    }
    const struct cairn_slice names[] = {cairn_slice_str(from), cairn_slice_str(to)};
    return cairn_sql_run_named(pg, "ALTER SCHEMA %s RENAME TO %s", names, 2, err);
}

enum cairn_rc cairn_sql_generation_return(struct cairn_pg *pg, struct cairn_slice domain,
                                          struct cairn_slice view, uint64_t all,
                                          struct cairn_err *err)
{
    const struct turn turn = {.from = CAIRN_SIDE_OLD,
                              .to = CAIRN_SIDE_NEXT,
                              .from_state = CAIRN_SLICE_LIT(""),
                              .to_state = CAIRN_SLICE_LIT(CAIRN_SQL_RETURNING),
                              .renumber = true,
                              .all = all};
    bool turned = false;
    enum cairn_rc rc = cairn_sql_begin_alone(pg, domain, err);
    rc = rc == CAIRN_OK ? drop_side(pg, domain, view, CAIRN_SIDE_NEXT, NULL, err) : rc;
    rc = rc == CAIRN_OK ? turn_row(pg, domain, view, &turn, &turned, err) : rc;
    if (rc == CAIRN_OK && !turned) {
        rc = CAIRN_FAIL(err, CAIRN_ENOENT, "no generation before the live one is kept");
    }
    rc = rc == CAIRN_OK ? rename_schema(pg, domain, view, &turn, err) : rc;
    return cairn_sql_end(pg, rc, err);
}

/* Inside of a transaction. Whatever is kept by now, it is the later one. */
static enum cairn_rc keep_returning(struct cairn_pg *pg, struct cairn_slice domain,
                                    struct cairn_slice view, struct cairn_err *err)
{
    const struct turn turn = {.from = CAIRN_SIDE_NEXT,
                              .to = CAIRN_SIDE_OLD,
                              .from_state = CAIRN_SLICE_LIT(CAIRN_SQL_RETURNING),
                              .to_state = CAIRN_SLICE_LIT(CAIRN_SQL_KEPT)};
    static const char sql[] = "SELECT 1 FROM %s._cairn_view WHERE view = $1 AND side = 'old'";
    struct cairn_pg_result *result = NULL;
    bool turned = false;
    enum cairn_rc rc = cairn_sql_query_in(pg, domain, sql, &view, 1, &result, err);
    if (rc == CAIRN_OK && cairn_pg_result_rows(result) == 0) {
        rc = turn_row(pg, domain, view, &turn, &turned, err);
        rc = rc == CAIRN_OK && turned ? rename_schema(pg, domain, view, &turn, err) : rc;
    }
    cairn_pg_result_free(result);
    return rc;
}

enum cairn_rc cairn_sql_generation_keep(struct cairn_pg *pg, struct cairn_slice domain,
                                        struct cairn_slice view, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_sql_begin_alone(pg, domain, err);
    rc = rc == CAIRN_OK ? keep_returning(pg, domain, view, err) : rc;
    return cairn_sql_end(pg, rc, err);
}

enum cairn_rc cairn_sql_generation_begin(struct cairn_pg *pg,
                                         const struct cairn_sql_definition *definition,
                                         enum cairn_view_side side, struct cairn_err *err)
{
    assert(side == CAIRN_SIDE_NEXT || side == CAIRN_SIDE_CHECK);
    enum cairn_rc rc = cairn_sql_begin_alone(pg, definition->domain, err);
    if (rc == CAIRN_OK && side == CAIRN_SIDE_NEXT) {
        rc = keep_returning(pg, definition->domain, definition->view, err);
    }
    rc = rc == CAIRN_OK ? drop_side(pg, definition->domain, definition->view, side, NULL, err) : rc;
    rc = rc == CAIRN_OK ? make_tables(pg, definition, side, err) : rc;
    rc = rc == CAIRN_OK ? insert_row(pg, definition, side, err) : rc;
    return cairn_sql_end(pg, rc, err);
}

enum cairn_rc cairn_sql_generation_allow(struct cairn_pg *pg, struct cairn_slice domain,
                                         struct cairn_slice view, struct cairn_err *err)
{
    return cairn_sql_query_in(pg, domain,
                              "UPDATE %s._cairn_view SET refused = '' WHERE view = $1 AND refused "
                              "<> ''",
                              &view, 1, NULL, err);
}

/* ---- the switch ---- */

/* Is the build there, and as far as the live one? The live row stays locked, so the answer holds
 * until the end of the transaction; and it is locked before the tables, as by who feeds them. */
static enum cairn_rc check_positions(struct cairn_pg *pg, struct cairn_slice domain,
                                     struct cairn_slice view, uint64_t generation,
                                     struct cairn_err *err)
{
    static const char sql[] =
        "SELECT side, generation, position FROM %s._cairn_view WHERE view = $1 AND side IN "
        "('live', 'next') ORDER BY side FOR UPDATE";
    struct cairn_pg_result *result = NULL;
    struct cairn_position live = {{0}};
    struct cairn_position next = {{0}};
    uint64_t number = 0;
    enum cairn_rc rc = cairn_sql_query_in(pg, domain, sql, &view, 1, &result, err);
    for (size_t i = 0; rc == CAIRN_OK && i < cairn_pg_result_rows(result); i++) {
        bool is_next = cairn_slice_is(cairn_pg_result_value(result, i, 0), "next");
        rc = cairn_position_parse(cairn_pg_result_value(result, i, 2), is_next ? &next : &live);
        rc = rc == CAIRN_OK && is_next
                 ? cairn_slice_to_u64(cairn_pg_result_value(result, i, 1), &number)
                 : rc;
        rc = rc == CAIRN_OK
                 ? rc
                 : CAIRN_FAIL(err, CAIRN_ECORRUPT, "the row of _cairn_view does not read");
    }
    cairn_pg_result_free(result);
    if (rc == CAIRN_OK && number != generation) {
        return CAIRN_FAIL(err, CAIRN_ESTOPPED,
                          "generation %llu of view %.*s is no longer being built",
                          (unsigned long long)generation, CAIRN_SLICE_ARG(view));
    }
    if (rc == CAIRN_OK && !cairn_position_reached(&next, &live)) {
        return CAIRN_FAIL(err, CAIRN_EBEHIND, "the live generation is further than the new one");
    }
    return rc;
}

/* Drop the live tables and undo it: what stands on them says no. They stay locked. */
static enum cairn_rc try_drop(struct cairn_pg *pg, struct cairn_slice domain,
                              const struct cairn_pg_result *tables, struct cairn_err *err)
{
    enum cairn_rc rc = run_on_tables(pg, "LOCK TABLE", domain, tables,
                                     " IN ACCESS EXCLUSIVE MODE; SAVEPOINT _cairn", err);
    rc = rc == CAIRN_OK ? run_on_tables(pg, "DROP TABLE", domain, tables,
                                        " RESTRICT; ROLLBACK TO SAVEPOINT _cairn", err)
                        : rc;
    return rc;
}

/* The live generation becomes the old one, if there is one. */
static enum cairn_rc retire_live(struct cairn_pg *pg, struct cairn_slice domain,
                                 struct cairn_slice view, struct cairn_err *err)
{
    static const char row_sql[] =
        "UPDATE %s._cairn_view SET side = 'old', state = '" CAIRN_SQL_KEPT "', error = '', "
        "error_event = '', error_position = '', refused = '', relations = '{}', updated = now() "
        "WHERE view = $1 AND side = 'live'";
    char schema[CAIRN_SQL_SCHEMA_SIZE];
    struct cairn_pg_result *tables = NULL;
    struct cairn_pg_result *row = NULL;
    enum cairn_rc rc = cairn_sql_schema(domain, view, CAIRN_SIDE_OLD, schema, err);
    const struct cairn_slice old = cairn_slice_str(schema);
    rc = rc == CAIRN_OK
             ? cairn_sql_generation_tables(pg, domain, view, CAIRN_SIDE_LIVE, true, &tables, err)
             : rc;
    rc = rc == CAIRN_OK ? try_drop(pg, domain, tables, err) : rc;
    rc = rc == CAIRN_OK ? drop_side(pg, domain, view, CAIRN_SIDE_OLD, NULL, err) : rc;
    rc = rc == CAIRN_OK ? cairn_sql_query_in(pg, domain, row_sql, &view, 1, &row, err) : rc;
    if (rc == CAIRN_OK && cairn_pg_result_touched(row) == 1) {
        rc = cairn_sql_run_named(pg, "CREATE SCHEMA %s", &old, 1, err);
        rc = rc == CAIRN_OK ? move_tables(pg, tables, domain, old, err) : rc;
    }
    cairn_pg_result_free(row);
    cairn_pg_result_free(tables);
    return rc;
}

/* The build becomes the live generation. */
static enum cairn_rc promote(struct cairn_pg *pg, struct cairn_slice domain,
                             struct cairn_slice view, struct cairn_slice refused,
                             struct cairn_err *err)
{
    static const char row_sql[] =
        "UPDATE %s._cairn_view SET side = 'live', state = 'live', updated = now(), error = '', "
        "error_event = '', error_position = '', refused = $3, relations = ARRAY(SELECT "
        "c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE "
        "n.nspname = $2 AND c.relkind IN ('r', 'p')) WHERE view = $1 AND side = 'next'";
    char schema[CAIRN_SQL_SCHEMA_SIZE];
    struct cairn_pg_result *tables = NULL;
    enum cairn_rc rc = cairn_sql_schema(domain, view, CAIRN_SIDE_NEXT, schema, err);
    const struct cairn_slice from = cairn_slice_str(schema);
    const struct cairn_slice values[] = {view, from, refused};
    rc = rc == CAIRN_OK ? cairn_sql_query_in(pg, domain, row_sql, values, 3, NULL, err) : rc;
    rc = rc == CAIRN_OK
             ? cairn_sql_generation_tables(pg, domain, view, CAIRN_SIDE_NEXT, true, &tables, err)
             : rc;
    rc = rc == CAIRN_OK ? move_tables(pg, tables, from, domain, err) : rc;
    cairn_pg_result_free(tables);
    return rc == CAIRN_OK ? cairn_sql_run_named(pg, "DROP SCHEMA %s", &from, 1, err) : rc;
}

enum cairn_rc cairn_sql_generation_switch(struct cairn_pg *pg, struct cairn_slice domain,
                                          struct cairn_slice view, uint64_t generation,
                                          struct cairn_slice refused, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_sql_begin_alone(pg, domain, err);
    rc = rc == CAIRN_OK ? check_positions(pg, domain, view, generation, err) : rc;
    rc = rc == CAIRN_OK ? retire_live(pg, domain, view, err) : rc;
    rc = rc == CAIRN_OK ? promote(pg, domain, view, refused, err) : rc;
    char sqlstate[CAIRN_PG_SQLSTATE_BYTES + 1];
    (void)snprintf(sqlstate, sizeof(sqlstate), "%s", cairn_pg_sqlstate(pg));
    rc = cairn_sql_end(pg, rc, err);
    if (rc == CAIRN_OK) {
        return CAIRN_OK;
    }
    rc = cairn_sql_hindrance_tell(pg, domain, view, sqlstate, rc, err);
    return cairn_err_wrap(err, rc, "switch view %.*s", CAIRN_SLICE_ARG(view));
}
