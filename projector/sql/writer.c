#include "projector/sql/writer.h"

#include <assert.h>
#include <stdio.h>

#include "platform/mem.h"
#include "projector/sql/arrays.h"
#include "projector/sql/owner.h"
#include "projector/sql/row_order.h"
#include "projector/sql/table.h"
#include "projector/sql/value.h"

#define STATEMENTS_MAX ((size_t)CAIRN_SQL_VIEW_HANDLERS_MAX * CAIRN_SQL_VIEW_STATEMENTS_MAX)
#define NAME_SIZE      32
#define DEFINITION_MAX ((size_t)64 * 1024 * 1024) /* of what is learnt of all statements */
#define ROWS_MIN       256
/* The first statement of every batch. */
#define MOVE      "move"
#define MOVE_SIZE 7
/* In front of it in a lane, which commits behind a look at what the rows did. */
#define BEGIN "begin"
/* Batches of a lane that are sent alone at once behind one that had to be: the first time, and at
 * most. */
#define ALONE_FIRST 7u
#define ALONE_MAX   63u
/* An array of changes is a join. It goes row by row through the table's key, as its statement does:
 * a server that knows little of a table as it grows would read all of it each time. */
#define LOOKUPS "lookups"
/* The SQLSTATE by which it fails. */
#define DIVISION_BY_ZERO "22012"

/* One statement of a handler, prepared. */
struct prepared {
    const struct cairn_sql_statement *statement;
    struct cairn_sql_source *sources; /* of its parameters */
    /* As it is prepared; its array form has "a" in front, that for lone rows "l". */
    char name[NAME_SIZE];
};

struct cairn_sql_writer {
    struct cairn_sql_writer_options options;
    struct cairn_arena arena; /* what was learnt at open */
    struct prepared *prepared;
    struct cairn_sql_shape *shapes; /* side by side with prepared */
    size_t prepared_count;
    size_t firsts[CAIRN_SQL_VIEW_HANDLERS_MAX]; /* each handler's first statement */

    bool divides;                 /* lanes can feed the generation */
    enum cairn_sql_owner *owners; /* in a lane: of the tables of the statements */
    unsigned alone;               /* so many batches of the lane are sent alone */
    unsigned alone_next;          /* and so many behind the next that has to be */

    struct cairn_arena *batch; /* caller's */
    struct cairn_sql_row *rows;
    size_t *tags;
    size_t row_count, row_cap;
};

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
    struct cairn_buf sql = {.max = 2048};
    enum cairn_rc rc = cairn_buf_append_str(&sql, "WITH moved AS (UPDATE ");
    rc = rc == CAIRN_OK ? cairn_pg_quote_name(&sql, writer->options.domain) : rc;
    rc = rc == CAIRN_OK
             ? cairn_buf_append_str(&sql, writer->options.lane == NULL ? move_sql : move_lane_sql)
             : rc;
    rc = rc == CAIRN_OK ? cairn_buf_append(&sql, cairn_slice_of("", 1)) : rc; /* NUL-ended */
    rc = rc == CAIRN_OK
             ? cairn_pg_prepare(writer->options.pg, MOVE, cairn_buf_slice(&sql).data, NULL, 0, err)
             : CAIRN_FAIL(err, rc, "prepare the checkpoint");
    cairn_buf_fini(&sql);
    return rc;
}

/* What a lane has beside. Groups are sorted: so they come in the same order in each batch, and two
 * lanes rarely wait for each other. */
static enum cairn_rc prepare_lane(struct cairn_sql_writer *writer, struct cairn_err *err)
{
    if (writer->options.lane == NULL) {
        return CAIRN_OK;
    }
    writer->alone_next = ALONE_FIRST;
    enum cairn_rc rc = cairn_pg_run(writer->options.pg, "SET enable_hashagg = off", err);
    return rc == CAIRN_OK ? cairn_pg_prepare(writer->options.pg, BEGIN, "BEGIN", NULL, 0, err) : rc;
}

static enum cairn_rc prepare_lookups(struct cairn_sql_writer *writer, struct cairn_err *err)
{
    static const char sql[] = "SELECT pg_catalog.set_config('enable_hashjoin', $1, true), "
                              "pg_catalog.set_config('enable_mergejoin', $1, true), "
                              "pg_catalog.set_config('enable_seqscan', $1, true)";
    return cairn_pg_prepare(writer->options.pg, LOOKUPS, sql, NULL, 0, err);
}

static enum cairn_rc find_sources(struct cairn_sql_writer *writer, struct prepared *prepared,
                                  struct cairn_err *err)
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
static enum cairn_rc blame(const struct cairn_sql_writer *writer, const struct prepared *prepared,
                           bool as_written, enum cairn_rc rc, struct cairn_err *err)
{
    unsigned at = as_written ? cairn_pg_error_at(writer->options.pg) : 0;
    return cairn_err_wrap(err, rc, "line %u", cairn_sql_byte_line(prepared->statement, at));
}

/* text NULL: there is no such form. */
static enum cairn_rc prepare_form(struct cairn_pg *pg, char letter, const struct prepared *prepared,
                                  const char *text, struct cairn_err *err)
{
    char name[NAME_SIZE + 1];
    (void)snprintf(name, sizeof(name), "%c%s", letter, prepared->name);
    return text == NULL ? CAIRN_OK : cairn_pg_prepare(pg, name, text, NULL, 0, err);
}

/* Learn the statement's types, its shape and, where there are some, its array forms. */
static enum cairn_rc learn_shape(struct cairn_sql_writer *writer, size_t index,
                                 const struct cairn_sql_table *tables, size_t table_count,
                                 struct cairn_err *err)
{
    struct prepared *prepared = &writer->prepared[index];
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
    struct prepared *prepared = &writer->prepared[index];
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
    cairn_mem_free(writer->rows);
    cairn_mem_free(writer->tags);
    cairn_arena_fini(&writer->arena);
    cairn_mem_free(writer);
}

bool cairn_sql_writer_divides(const struct cairn_sql_writer *writer)
{
    return writer->divides;
}

/* ---- gathering rows ---- */

void cairn_sql_writer_begin(struct cairn_sql_writer *writer, struct cairn_arena *arena)
{
    writer->batch = arena;
    writer->row_count = 0;
}

size_t cairn_sql_writer_rows(const struct cairn_sql_writer *writer)
{
    return writer->row_count;
}

bool cairn_sql_writer_handles(const struct cairn_sql_writer *writer, struct cairn_slice type)
{
    return cairn_sql_view_handler(writer->options.view, type) != NULL;
}

static enum cairn_rc make_room(struct cairn_sql_writer *writer, struct cairn_err *err)
{
    if (writer->row_count < writer->row_cap) {
        return CAIRN_OK;
    }
    size_t cap = writer->row_cap == 0 ? ROWS_MIN : writer->row_cap * 2;
    if (cap > CAIRN_SQL_PLAN_ROWS_MAX) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "more than %u rows in a batch",
                          CAIRN_SQL_PLAN_ROWS_MAX);
    }
    struct cairn_sql_row *rows = cairn_mem_realloc(writer->rows, cap * sizeof(*rows));
    if (rows != NULL) {
        writer->rows = rows;
    }
    size_t *tags = rows == NULL ? NULL : cairn_mem_realloc(writer->tags, cap * sizeof(*tags));
    if (tags == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "rows of a batch");
    }
    writer->tags = tags;
    writer->row_cap = cap;
    return CAIRN_OK;
}

static enum cairn_rc add_row(struct cairn_sql_writer *writer, size_t index,
                             const struct cairn_event *event, const struct cairn_value *data,
                             size_t tag, struct cairn_err *err)
{
    const struct prepared *prepared = &writer->prepared[index];
    size_t count = prepared->statement->param_count;
    struct cairn_slice *values = cairn_arena_zalloc(writer->batch, count + 1, sizeof(*values));
    enum cairn_rc rc =
        values == NULL ? CAIRN_FAIL(err, CAIRN_ENOMEM, "rows of a batch") : make_room(writer, err);
    for (size_t i = 0; rc == CAIRN_OK && i < count; i++) {
        rc = cairn_sql_source_read(&prepared->sources[i], event, data, writer->batch, &values[i],
                                   err);
    }
    if (rc == CAIRN_OK) {
        writer->rows[writer->row_count] =
            (struct cairn_sql_row){.statement = (uint32_t)index, .values = values};
        writer->tags[writer->row_count++] = tag;
    }
    return rc;
}

enum cairn_rc cairn_sql_writer_add(struct cairn_sql_writer *writer, const struct cairn_event *event,
                                   const struct cairn_value *data, size_t tag,
                                   struct cairn_err *err)
{
    const struct cairn_sql_view *view = writer->options.view;
    const struct cairn_sql_handler *handler = cairn_sql_view_handler(view, event->type);
    assert(handler != NULL && writer->batch != NULL);
    size_t first = writer->firsts[handler - view->handlers];
    enum cairn_rc rc = CAIRN_OK;
    for (size_t s = 0; rc == CAIRN_OK && s < handler->statement_count; s++) {
        rc = add_row(writer, first + s, event, data, tag, err);
    }
    return rc;
}

/* ---- committing ---- */

static enum cairn_rc send_move(struct cairn_sql_writer *writer, const struct cairn_sql_step_to *to,
                               struct cairn_err *err)
{
    char events[24];
    char generation[24];
    char parks[24];
    char number[24];
    size_t index = 0;
    const struct cairn_sql_lane *lane = writer->options.lane;
    (void)snprintf(number, sizeof(number), "%u", lane == NULL ? 0 : lane->number);
    (void)snprintf(events, sizeof(events), "%llu", (unsigned long long)to->events);
    (void)snprintf(generation, sizeof(generation), "%llu",
                   (unsigned long long)to->from->generation);
    (void)snprintf(parks, sizeof(parks), "%llu", (unsigned long long)to->from->parks);
    const struct cairn_slice values[MOVE_SIZE] = {
        to->place,
        cairn_slice_str(events),
        writer->options.view->name,
        lane == NULL ? cairn_sql_side_name(writer->options.side) : cairn_slice_str(number),
        cairn_slice_str(generation),
        to->from->place,
        cairn_slice_str(parks)};
    enum cairn_rc rc = cairn_pg_pipeline_send(
        writer->options.pg, MOVE, values, lane == NULL ? MOVE_SIZE : MOVE_SIZE - 1, &index, err);
    assert(rc != CAIRN_OK || index == (lane == NULL ? 0 : 1));
    return rc;
}

/* A batch ready to be sent. All of it is made before the pipeline begins: what is half sent and
 * then ended would be committed. */
struct parcel {
    struct cairn_sql_plan plan;
    struct cairn_sql_array_list *arrays; /* of each step that goes so */
    /* Of each statement in the pipeline: the tag of its row, SIZE_MAX where it has several; its
     * line in the view's file. */
    size_t *tags;
    unsigned *lines;
    size_t count;  /* room in both */
    bool looks_up; /* what goes next is planned so */
    size_t first;  /* number of the first row's statement, behind the checkpoint's */
    size_t sent;   /* the checkpoint's among them */
    /* In a lane: how many rows each step touches if it misses none, and the same of each statement
     * in the pipeline; 0: whatever it misses is nobody else's. */
    uint64_t *musts;
    uint64_t *touches;
    bool missed; /* one did not touch so many */
};

static enum cairn_rc make_arrays(const struct cairn_sql_writer *writer,
                                 const struct cairn_sql_step *step,
                                 struct cairn_sql_array_list *ret_arrays, struct cairn_err *err)
{
    return cairn_sql_arrays_make(&writer->shapes[step->statement],
                                 writer->prepared[step->statement].statement->param_count,
                                 writer->rows, step, writer->batch, ret_arrays, err);
}

/* Every row of a lane's batch has to lock a row of its table, or nobody would wait for it: what
 * finds no row, or one that its condition passes over, holds nothing. An upsert holds its row,
 * whatever it does to it; and what belongs to a stream is touched by one lane alone. */
static bool has_to_touch(const struct cairn_sql_writer *writer, size_t statement)
{
    const struct cairn_sql_shape *shape = &writer->shapes[statement];
    bool holds = shape->kind == CAIRN_SQL_UPSERT && shape->folds;
    enum cairn_sql_owner owner = writer->owners[statement];
    return !holds && owner != CAIRN_SQL_OF_STREAM &&
           (owner != CAIRN_SQL_OF_ID || !writer->options.lane->has_ids);
}

static enum cairn_rc order_steps(struct cairn_sql_writer *writer, struct parcel *parcel,
                                 struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    size_t steps = parcel->plan.step_count;
    if (writer->options.lane == NULL) {
        return CAIRN_OK;
    }
    parcel->musts = cairn_arena_zalloc(writer->batch, steps + 1, sizeof(*parcel->musts));
    parcel->touches = cairn_arena_zalloc(writer->batch, parcel->count, sizeof(*parcel->touches));
    if (parcel->musts == NULL || parcel->touches == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "rows of a batch");
    }
    for (size_t s = 0; rc == CAIRN_OK && s < steps; s++) {
        struct cairn_sql_step *step = &parcel->plan.steps[s];
        rc = cairn_sql_rows_order(&writer->shapes[step->statement], writer->rows, step,
                                  writer->batch, &parcel->musts[s], err);
        parcel->musts[s] = has_to_touch(writer, step->statement) ? parcel->musts[s] : 0;
    }
    return rc;
}

/* What the next statement, of a step, has to touch. */
static void expect(struct parcel *parcel, size_t step, bool arrays)
{
    if (parcel->touches != NULL) {
        uint64_t all = parcel->musts[step];
        parcel->touches[parcel->sent] = arrays || all == 0 ? all : 1;
    }
}

static enum cairn_rc make_parcel(struct cairn_sql_writer *writer, bool careful, size_t first,
                                 struct parcel *parcel, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    *parcel = (struct parcel){.first = first, .sent = first};
    if (careful) {
        rc = cairn_sql_plan_careful(writer->rows, writer->row_count, writer->batch, &parcel->plan,
                                    err);
    } else if (writer->row_count > 0) {
        rc = cairn_sql_plan_make(writer->shapes, writer->prepared_count, writer->rows,
                                 writer->row_count, writer->batch, &parcel->plan, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    size_t steps = parcel->plan.step_count;
    parcel->count = first + writer->row_count + 1 + 2 * steps; /* with the settings */
    parcel->arrays = cairn_arena_zalloc(writer->batch, steps + 1, sizeof(*parcel->arrays));
    parcel->tags = cairn_arena_zalloc(writer->batch, parcel->count, sizeof(*parcel->tags));
    parcel->lines = cairn_arena_zalloc(writer->batch, parcel->count, sizeof(*parcel->lines));
    if (parcel->arrays == NULL || parcel->tags == NULL || parcel->lines == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "rows of a batch");
    }
    rc = order_steps(writer, parcel, err);
    for (size_t s = 0; rc == CAIRN_OK && s < steps; s++) {
        if (parcel->plan.steps[s].arrays) {
            rc = make_arrays(writer, &parcel->plan.steps[s], &parcel->arrays[s], err);
        }
    }
    return rc;
}

/* Its place is noted first: a value that cannot be sent at all fails there, too. */
static enum cairn_rc send_one(struct cairn_sql_writer *writer, struct parcel *parcel,
                              const char *name, const struct prepared *prepared,
                              const struct cairn_slice *values, size_t count, size_t tag,
                              struct cairn_err *err)
{
    size_t place = parcel->sent++;
    size_t index = 0;
    assert(place >= parcel->first && place < parcel->count);
    parcel->tags[place] = tag;
    parcel->lines[place] = prepared->statement->line;
    enum cairn_rc rc = cairn_pg_pipeline_send(writer->options.pg, name, values, count, &index, err);
    assert(rc != CAIRN_OK || index == place);
    return rc;
}

/* Only lookups by key from here on, or any plan again. */
static enum cairn_rc send_lookups(struct cairn_sql_writer *writer, struct parcel *parcel,
                                  bool looks_up, struct cairn_err *err)
{
    if (parcel->looks_up == looks_up) {
        return CAIRN_OK;
    }
    const struct cairn_slice others = looks_up ? CAIRN_SLICE_LIT("off") : CAIRN_SLICE_LIT("on");
    size_t place = parcel->sent++;
    size_t index = 0;
    assert(place < parcel->count);
    parcel->tags[place] = SIZE_MAX;
    parcel->looks_up = looks_up;
    return cairn_pg_pipeline_send(writer->options.pg, LOOKUPS, &others, 1, &index, err);
}

static enum cairn_rc send_step(struct cairn_sql_writer *writer, struct parcel *parcel, size_t step,
                               struct cairn_err *err)
{
    const struct cairn_sql_step *planned = &parcel->plan.steps[step];
    const struct prepared *prepared = &writer->prepared[planned->statement];
    bool joins = planned->arrays && writer->shapes[planned->statement].kind == CAIRN_SQL_CHANGE;
    enum cairn_rc rc = send_lookups(writer, parcel, joins, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (planned->arrays) {
        char name[NAME_SIZE + 1];
        size_t tag = planned->row_count == 1 ? writer->tags[planned->rows[0]] : SIZE_MAX;
        const struct cairn_sql_array_list *arrays = &parcel->arrays[step];
        (void)snprintf(name, sizeof(name), "%c%s", arrays->lone ? 'l' : 'a', prepared->name);
        expect(parcel, step, true);
        return send_one(writer, parcel, name, prepared, arrays->texts, arrays->count, tag, err);
    }
    for (size_t r = 0; rc == CAIRN_OK && r < planned->row_count; r++) {
        uint32_t row = planned->rows[r];
        expect(parcel, step, false);
        rc = send_one(writer, parcel, prepared->name, prepared, writer->rows[row].values,
                      prepared->statement->param_count, writer->tags[row], err);
    }
    return rc;
}

/* What a failed pipeline says: the checkpoint was not where the batch began, or a row is refused.
 */
static enum cairn_rc explain(struct cairn_sql_writer *writer, const struct parcel *parcel,
                             size_t failed, enum cairn_rc rc, size_t *ret_tag,
                             struct cairn_err *err)
{
    *ret_tag = SIZE_MAX;
    if (failed < parcel->first &&
        strcmp(cairn_pg_sqlstate(writer->options.pg), DIVISION_BY_ZERO) == 0) {
        return CAIRN_FAIL(err, CAIRN_EFENCED, "another projector feeds view %.*s",
                          CAIRN_SLICE_ARG(writer->options.view->name));
    }
    if (rc == CAIRN_EINVAL && failed >= parcel->first && failed < parcel->count) {
        *ret_tag = parcel->tags[failed];
        return cairn_err_wrap(err, rc, "line %u", parcel->lines[failed]);
    }
    return rc;
}

static void note_touched(void *self, size_t index, uint64_t rows)
{
    struct parcel *parcel = self;
    assert(index < parcel->count);
    parcel->missed = parcel->missed || rows < parcel->touches[index];
}

/* One pipeline. to NULL: without a checkpoint. */
static enum cairn_rc send(struct cairn_sql_writer *writer, const struct cairn_sql_step_to *to,
                          struct parcel *parcel, size_t *ret_tag, struct cairn_err *err)
{
    size_t failed = SIZE_MAX;
    size_t index = 0;
    bool in_lane = writer->options.lane != NULL;
    enum cairn_rc rc = cairn_pg_pipeline_begin(writer->options.pg, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = in_lane ? cairn_pg_pipeline_send(writer->options.pg, BEGIN, NULL, 0, &index, err) : rc;
    rc = rc == CAIRN_OK && to != NULL ? send_move(writer, to, err) : rc;
    for (size_t s = 0; rc == CAIRN_OK && s < parcel->plan.step_count; s++) {
        rc = send_step(writer, parcel, s, err);
    }
    if (rc == CAIRN_OK) {
        (void)send_lookups(writer, parcel, false, err);
    }
    /* What could not be sent is told once more here, and what was is undone. */
    rc = cairn_pg_pipeline_end(writer->options.pg, in_lane ? note_touched : NULL, parcel, &failed,
                               err);
    return rc == CAIRN_OK ? CAIRN_OK : explain(writer, parcel, failed, rc, ret_tag, err);
}

/* ---- in a lane ---- */

/* Send the batch as a transaction and look whether it touched what it is about. Where it missed
 * something it is undone, unless it is alone. */
static enum cairn_rc try_in_lane(struct cairn_sql_writer *writer,
                                 const struct cairn_sql_step_to *to, struct parcel *parcel,
                                 bool alone, size_t *ret_tag, struct cairn_err *err)
{
    struct cairn_gate *gate = writer->options.lane->gate;
    struct cairn_pg *pg = writer->options.pg;
    struct cairn_err ignored;
    parcel->missed = false;
    parcel->sent = parcel->first;
    parcel->looks_up = false;
    cairn_gate_enter(gate, alone);
    enum cairn_rc rc = send(writer, to, parcel, ret_tag, err);
    if (rc == CAIRN_OK && (alone || !parcel->missed)) {
        rc = cairn_pg_run(pg, "COMMIT", err);
    } else if (!cairn_pg_is_broken(pg)) {
        (void)cairn_pg_run(pg, "ROLLBACK", &ignored); /* else the connection is closed */
    }
    cairn_gate_leave(gate);
    return rc;
}

/* Batches of lanes hold the rows that they touch up to their ends, so what they leave is what some
 * order of theirs leaves. One that misses a row holds nothing there, and is sent again while nobody
 * else is on his way; where that happens again and again, more and more are sent so at once. */
static enum cairn_rc commit_in_lane(struct cairn_sql_writer *writer,
                                    const struct cairn_sql_step_to *to, struct parcel *parcel,
                                    size_t *ret_tag, struct cairn_err *err)
{
    bool alone = writer->alone > 0;
    writer->alone -= alone ? 1 : 0;
    enum cairn_rc rc = try_in_lane(writer, to, parcel, alone, ret_tag, err);
    if (rc == CAIRN_OK && !alone && parcel->missed) {
        writer->alone = writer->alone_next;
        writer->alone_next =
            writer->alone_next < ALONE_MAX ? 2 * writer->alone_next + 1 : ALONE_MAX;
        return try_in_lane(writer, to, parcel, true, ret_tag, err);
    }
    if (rc == CAIRN_OK && !alone) {
        writer->alone_next /= 2;
    }
    return rc;
}

enum cairn_rc cairn_sql_writer_commit(struct cairn_sql_writer *writer,
                                      const struct cairn_sql_step_to *to, size_t *ret_tag,
                                      struct cairn_err *err)
{
    struct parcel parcel;
    bool in_lane = writer->options.lane != NULL;
    assert(writer->batch != NULL && to->events > 0);
    enum cairn_rc rc = make_parcel(writer, to->careful, in_lane ? 2 : 1, &parcel, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    return in_lane ? commit_in_lane(writer, to, &parcel, ret_tag, err)
                   : send(writer, to, &parcel, ret_tag, err);
}

enum cairn_rc cairn_sql_writer_apply(struct cairn_sql_writer *writer, bool careful, size_t *ret_tag,
                                     struct cairn_err *err)
{
    struct parcel parcel;
    assert(writer->batch != NULL && writer->options.lane == NULL);
    if (writer->row_count == 0) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = make_parcel(writer, careful, 0, &parcel, err);
    return rc == CAIRN_OK ? send(writer, NULL, &parcel, ret_tag, err) : rc;
}
