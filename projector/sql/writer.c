#include <assert.h>
#include <stdio.h>

#include "platform/mem.h"
#include "platform/pg_text.h"
#include "projector/sql/table.h"
#include "projector/sql/writer_int.h"

#define STATEMENTS_MAX ((size_t)CAIRN_SQL_VIEW_HANDLERS_MAX * CAIRN_SQL_VIEW_STATEMENTS_MAX)
#define DEFINITION_MAX ((size_t)64 * 1024 * 1024) /* of what is learnt of all statements */
#define MOVE_BYTES_MAX ((size_t)2048)

/* ---- opening ---- */

/* The checkpoint moves only from where the batch began, and with the parked streams that it left
 * out; elsewise the division fails, and with it everything behind it in the pipeline. The row stays
 * locked up to the commit, so of two projectors the second waits here and then finds the place
 * taken. */
static const char move_sql[] =
    "._cairn_view SET position = $1, events = events + $2::bigint, "
    "state = CASE side WHEN 'live' THEN 'live' ELSE state END, "
    "error = '', error_event = '', error_position = '', updated = now() "
    "WHERE view = $3 AND side = $4 AND generation = $5::bigint AND position = $6 AND "
    "parks = $7::bigint RETURNING 1) SELECT 1 / count(*) FROM moved";
/* The same of a lane, whose number is in the place of the side. It parks nothing. */
static const char move_lane_sql[] =
    "._cairn_lane SET position = $1, events = events + $2::bigint WHERE view = $3 AND "
    "lane = $4::integer AND generation = $5::bigint AND position = $6 RETURNING 1) "
    "SELECT 1 / count(*) FROM moved";

static enum cairn_rc prepare_move(struct cairn_sql_writer *writer, struct cairn_err *err)
{
    struct cairn_pg_text text = CAIRN_PG_TEXT(MOVE_BYTES_MAX);
    const char *sql = NULL;
    cairn_pg_text_add(&text, "WITH moved AS (UPDATE ");
    cairn_pg_text_add_name(&text, writer->options.domain);
    cairn_pg_text_add(&text, writer->options.lane == NULL ? move_sql : move_lane_sql);
    enum cairn_rc rc = cairn_pg_text_end(&text, &sql);
    rc = rc == CAIRN_OK ? cairn_pg_prepare(writer->options.pg, CAIRN_SQL_MOVE, sql, NULL, 0, err)
                        : CAIRN_FAIL(err, rc, "prepare the checkpoint");
    cairn_pg_text_fini(&text);
    return rc;
}

/* What a lane has beside. Groups are sorted: so they come in the same order in each batch, and two
 * lanes rarely wait for each other. */
static enum cairn_rc prepare_lane(struct cairn_sql_writer *writer, struct cairn_err *err)
{
    if (writer->options.lane == NULL) {
        return CAIRN_OK;
    }
    writer->alone_next = CAIRN_SQL_ALONE_FIRST;
    enum cairn_rc rc = cairn_pg_run(writer->options.pg, "SET enable_hashagg = off", err);
    return rc == CAIRN_OK
               ? cairn_pg_prepare(writer->options.pg, CAIRN_SQL_BEGIN, "BEGIN", NULL, 0, err)
               : rc;
}

static enum cairn_rc prepare_lookups(struct cairn_sql_writer *writer, struct cairn_err *err)
{
    static const char sql[] = "SELECT pg_catalog.set_config('enable_hashjoin', $1, true), "
                              "pg_catalog.set_config('enable_mergejoin', $1, true), "
                              "pg_catalog.set_config('enable_seqscan', $1, true)";
    return cairn_pg_prepare(writer->options.pg, CAIRN_SQL_LOOKUPS, sql, NULL, 0, err);
}

static enum cairn_rc find_sources(struct cairn_sql_writer *writer,
                                  struct cairn_sql_prepared *prepared, struct cairn_err *err)
{
    size_t count = prepared->statement->param_count;
    prepared->sources = cairn_arena_zalloc(&writer->arena, count + 1, sizeof(*prepared->sources));
    if (prepared->sources == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "prepare a statement");
    }
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; rc == CAIRN_OK && i < count; i++) {
        rc = cairn_sql_source_find(prepared->statement->params[i], &prepared->sources[i], err);
    }
    return rc;
}

/* The line of the view's file that the server's complaint points at. Only what it says of the text
 * as written points into it. */
static enum cairn_rc blame(const struct cairn_sql_writer *writer,
                           const struct cairn_sql_prepared *prepared, bool as_written,
                           enum cairn_rc rc, struct cairn_err *err)
{
    unsigned at = as_written ? cairn_pg_error_at(writer->options.pg) : 0;
    return cairn_err_wrap(err, rc, "line %u", cairn_sql_byte_line(prepared->statement, at));
}

/* text NULL: there is no such form. */
static enum cairn_rc prepare_form(struct cairn_pg *pg, char letter,
                                  const struct cairn_sql_prepared *prepared, const char *text,
                                  struct cairn_err *err)
{
    char name[CAIRN_SQL_PREPARED_NAME_SIZE + 1];
    (void)snprintf(name, sizeof(name), "%c%s", letter, prepared->name);
    return text == NULL ? CAIRN_OK : cairn_pg_prepare(pg, name, text, NULL, 0, err);
}

/* Learn the statement's types, its shape and, where there are some, its array forms. */
static enum cairn_rc learn_shape(struct cairn_sql_writer *writer, size_t index,
                                 const struct cairn_sql_table *tables, size_t table_count,
                                 struct cairn_err *err)
{
    struct cairn_sql_prepared *prepared = &writer->prepared[index];
    uint32_t oids[CAIRN_SQL_PARAMS_MAX];
    size_t count = prepared->statement->param_count;
    struct cairn_pg *pg = writer->options.pg;
    assert(count <= CAIRN_SQL_PARAMS_MAX);
    struct cairn_slice *types = cairn_arena_zalloc(&writer->arena, count + 1, sizeof(*types));
    if (types == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "prepare a statement");
    }
    enum cairn_rc rc = cairn_pg_describe(pg, prepared->name, oids, count, NULL, err);
    rc = rc == CAIRN_OK ? cairn_sql_types_read(pg, oids, count, &writer->arena, types, err) : rc;
    rc = rc == CAIRN_OK ? cairn_sql_shape_read(prepared->statement, types, tables, table_count,
                                               &writer->arena, &writer->shapes[index], err)
                        : rc;
    rc = rc == CAIRN_OK ? prepare_form(pg, 'a', prepared, writer->shapes[index].text, err) : rc;
    return rc == CAIRN_OK ? prepare_form(pg, 'l', prepared, writer->shapes[index].lone, err) : rc;
}

static enum cairn_rc prepare_one(struct cairn_sql_writer *writer, size_t index,
                                 const struct cairn_sql_table *tables, size_t table_count,
                                 struct cairn_err *err)
{
    struct cairn_sql_prepared *prepared = &writer->prepared[index];
    (void)snprintf(prepared->name, sizeof(prepared->name), "s%zu", index);
    enum cairn_rc rc = cairn_pg_prepare(writer->options.pg, prepared->name,
                                        prepared->statement->text, NULL, 0, err);
    if (rc != CAIRN_OK) {
        return blame(writer, prepared, true, rc, err);
    }
    rc = find_sources(writer, prepared, err);
    rc = rc == CAIRN_OK ? learn_shape(writer, index, tables, table_count, err) : rc;
    return rc == CAIRN_OK ? CAIRN_OK : blame(writer, prepared, false, rc, err);
}

/* In a lane. */
static enum cairn_rc find_owners(struct cairn_sql_writer *writer, struct cairn_err *err)
{
    size_t count = writer->prepared_count;
    if (writer->options.lane == NULL) {
        return CAIRN_OK;
    }
    const struct cairn_sql_source **sources =
        cairn_arena_zalloc(&writer->arena, count + 1, sizeof(*sources));
    writer->owners = cairn_arena_zalloc(&writer->arena, count + 1, sizeof(*writer->owners));
    if (sources == NULL || writer->owners == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "prepare the statements of a view");
    }
    for (size_t i = 0; i < count; i++) {
        sources[i] = writer->prepared[i].sources;
    }
    for (size_t i = 0; i < count; i++) {
        writer->owners[i] =
            cairn_sql_owner(writer->shapes[i].table, writer->shapes, sources, count);
    }
    return CAIRN_OK;
}

/* What counts in the order of its rows would show that there were several. */
static bool can_divide(const struct cairn_sql_shape *shape, const struct cairn_sql_table *tables)
{
    bool known = shape->kind != CAIRN_SQL_CHANGE || shape->key_count > 0;
    return shape->kind != CAIRN_SQL_ANYTHING && known && !tables[shape->table].ordered;
}

static size_t count_statements(const struct cairn_sql_view *view)
{
    size_t count = 0;
    for (size_t h = 0; h < view->handler_count; h++) {
        count += view->handlers[h].statement_count;
    }
    return count;
}

static enum cairn_rc prepare_all(struct cairn_sql_writer *writer, struct cairn_err *err)
{
    const struct cairn_sql_view *view = writer->options.view;
    struct cairn_sql_table *tables = NULL;
    size_t table_count = 0;
    size_t count = count_statements(view);
    assert(count <= STATEMENTS_MAX);
    writer->prepared = cairn_arena_zalloc(&writer->arena, count + 1, sizeof(*writer->prepared));
    writer->shapes = cairn_arena_zalloc(&writer->arena, count + 1, sizeof(*writer->shapes));
    if (writer->prepared == NULL || writer->shapes == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "prepare the statements of a view");
    }
    enum cairn_rc rc =
        cairn_sql_tables_read(writer->options.pg, cairn_slice_str(writer->options.schema),
                              &writer->arena, &tables, &table_count, err);
    for (size_t h = 0; h < view->handler_count; h++) {
        const struct cairn_sql_handler *handler = &view->handlers[h];
        writer->firsts[h] = writer->prepared_count;
        for (size_t s = 0; rc == CAIRN_OK && s < handler->statement_count; s++) {
            size_t index = writer->prepared_count++;
            writer->prepared[index].statement = &handler->statements[s];
            rc = prepare_one(writer, index, tables, table_count, err);
        }
    }
    writer->divides = rc == CAIRN_OK;
    for (size_t i = 0; writer->divides && i < writer->prepared_count; i++) {
        writer->divides = can_divide(&writer->shapes[i], tables);
    }
    return rc == CAIRN_OK ? find_owners(writer, err) : rc;
}

enum cairn_rc cairn_sql_writer_open(const struct cairn_sql_writer_options *options,
                                    struct cairn_sql_writer **ret_writer, struct cairn_err *err)
{
    assert(options->pg != NULL && options->view != NULL && options->schema != NULL);
    struct cairn_sql_writer *writer = cairn_mem_zalloc(1, sizeof(*writer));
    if (writer == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "prepare the statements of a view");
    }
    writer->options = *options;
    writer->arena.max = DEFINITION_MAX;
    enum cairn_rc rc = prepare_move(writer, err);
    rc = rc == CAIRN_OK ? prepare_lookups(writer, err) : rc;
    rc = rc == CAIRN_OK ? prepare_lane(writer, err) : rc;
    rc = rc == CAIRN_OK ? prepare_all(writer, err) : rc;
    if (rc != CAIRN_OK) {
        cairn_sql_writer_close(writer);
        return rc;
    }
    *ret_writer = writer;
    return CAIRN_OK;
}

void cairn_sql_writer_close(struct cairn_sql_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    cairn_arena_fini(&writer->arena);
    cairn_mem_free(writer);
}

bool cairn_sql_writer_divides(const struct cairn_sql_writer *writer)
{
    return writer->divides;
}
