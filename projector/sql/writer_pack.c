/* The half of the writer that needs no server: events as rows, and rows as steps. */
#include <assert.h>

#include "projector/sql/row_order.h"
#include "projector/sql/writer_int.h"

/* ---- gathering ---- */

bool cairn_sql_writer_handles(const struct cairn_sql_writer *writer, struct cairn_slice type)
{
    return cairn_sql_view_handler(writer->options.view, type) != NULL;
}

static enum cairn_rc add_row(const struct cairn_sql_writer *writer, size_t index,
                             const struct cairn_event *event, const struct cairn_value *data,
                             size_t tag, struct cairn_sql_parcel *parcel, struct cairn_err *err)
{
    const struct cairn_sql_prepared *prepared = &writer->prepared[index];
    size_t count = prepared->statement->param_count;
    struct cairn_slice *values = cairn_arena_zalloc(&parcel->arena, count + 1, sizeof(*values));
    enum cairn_rc rc = values == NULL ? CAIRN_FAIL(err, CAIRN_ENOMEM, "rows of a batch") : CAIRN_OK;
    for (size_t i = 0; rc == CAIRN_OK && i < count; i++) {
        rc = cairn_sql_source_read(&prepared->sources[i], event, data, &parcel->arena, &values[i],
                                   err);
    }
    const struct cairn_sql_row row = {.statement = (uint32_t)index, .values = values};
    return rc == CAIRN_OK ? cairn_sql_parcel_put(parcel, row, tag, err) : rc;
}

enum cairn_rc cairn_sql_writer_add(const struct cairn_sql_writer *writer,
                                   const struct cairn_event *event, const struct cairn_value *data,
                                   size_t tag, struct cairn_sql_parcel *parcel,
                                   struct cairn_err *err)
{
    const struct cairn_sql_view *view = writer->options.view;
    const struct cairn_sql_handler *handler = cairn_sql_view_handler(view, event->type);
    assert(handler != NULL);
    size_t first = writer->firsts[handler - view->handlers];
    enum cairn_rc rc = CAIRN_OK;
    for (size_t s = 0; rc == CAIRN_OK && s < handler->statement_count; s++) {
        rc = add_row(writer, first + s, event, data, tag, parcel, err);
    }
    return rc;
}

/* ---- packing ---- */

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

static enum cairn_rc order_steps(const struct cairn_sql_writer *writer,
                                 struct cairn_sql_parcel *parcel, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    size_t steps = parcel->plan.step_count;
    parcel->musts = NULL;
    parcel->touches = NULL;
    if (writer->options.lane == NULL) {
        return CAIRN_OK;
    }
    parcel->musts = cairn_arena_zalloc(&parcel->arena, steps + 1, sizeof(*parcel->musts));
    parcel->touches =
        cairn_arena_zalloc(&parcel->arena, parcel->statement_max, sizeof(*parcel->touches));
    if (parcel->musts == NULL || parcel->touches == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "rows of a batch");
    }
    for (size_t s = 0; rc == CAIRN_OK && s < steps; s++) {
        struct cairn_sql_step *step = &parcel->plan.steps[s];
        rc = cairn_sql_rows_order(&writer->shapes[step->statement], parcel->rows, step,
                                  &parcel->arena, &parcel->musts[s], err);
        parcel->musts[s] = has_to_touch(writer, step->statement) ? parcel->musts[s] : 0;
    }
    return rc;
}

static enum cairn_rc plan(const struct cairn_sql_writer *writer, bool careful,
                          struct cairn_sql_parcel *parcel, struct cairn_err *err)
{
    parcel->plan = (struct cairn_sql_plan){.step_count = 0};
    if (careful) {
        return cairn_sql_plan_careful(parcel->rows, parcel->row_count, &parcel->arena,
                                      &parcel->plan, err);
    }
    return parcel->row_count == 0
               ? CAIRN_OK
               : cairn_sql_plan_make(writer->shapes, writer->prepared_count, parcel->rows,
                                     parcel->row_count, &parcel->arena, &parcel->plan, err);
}

static enum cairn_rc make_tables(struct cairn_sql_parcel *parcel, struct cairn_err *err)
{
    size_t steps = parcel->plan.step_count;
    struct cairn_arena *arena = &parcel->arena;
    /* With the settings between steps. */
    size_t count = CAIRN_SQL_AHEAD_MAX + parcel->row_count + 1 + 2 * steps;
    parcel->statement_max = count;
    parcel->arrays = cairn_arena_zalloc(arena, steps + 1, sizeof(*parcel->arrays));
    parcel->statement_tags = cairn_arena_zalloc(arena, count, sizeof(*parcel->statement_tags));
    parcel->lines = cairn_arena_zalloc(arena, count, sizeof(*parcel->lines));
    return parcel->arrays != NULL && parcel->statement_tags != NULL && parcel->lines != NULL
               ? CAIRN_OK
               : CAIRN_FAIL(err, CAIRN_ENOMEM, "rows of a batch");
}

enum cairn_rc cairn_sql_writer_pack(const struct cairn_sql_writer *writer, bool careful,
                                    struct cairn_sql_parcel *parcel, struct cairn_err *err)
{
    assert(!parcel->packed);
    enum cairn_rc rc = plan(writer, careful, parcel, err);
    rc = rc == CAIRN_OK ? make_tables(parcel, err) : rc;
    rc = rc == CAIRN_OK ? order_steps(writer, parcel, err) : rc;
    for (size_t s = 0; rc == CAIRN_OK && s < parcel->plan.step_count; s++) {
        const struct cairn_sql_step *step = &parcel->plan.steps[s];
        if (step->arrays) {
            rc = cairn_sql_arrays_make(&writer->shapes[step->statement],
                                       writer->prepared[step->statement].statement->param_count,
                                       parcel->rows, step, &parcel->arena, &parcel->arrays[s], err);
        }
    }
    parcel->packed = rc == CAIRN_OK;
    return rc;
}
