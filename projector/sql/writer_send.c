/* The sending half of the writer: a batch as steps, in one pipeline behind its checkpoint. */
#include <assert.h>
#include <stdio.h>

#include "projector/sql/writer_int.h"

#define MOVE_SIZE 7
/* The SQLSTATE by which the checkpoint's statement fails. */
#define DIVISION_BY_ZERO "22012"

/* ---- a pipeline ---- */

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
    enum cairn_rc rc =
        cairn_pg_pipeline_send(writer->options.pg, CAIRN_SQL_MOVE, values,
                               lane == NULL ? MOVE_SIZE : MOVE_SIZE - 1, &index, err);
    assert(rc != CAIRN_OK || index == (lane == NULL ? 0 : 1));
    return rc;
}

/* What the next statement, of a step, has to touch. */
static void expect(struct cairn_sql_parcel *parcel, size_t step, bool arrays)
{
    if (parcel->touches != NULL) {
        uint64_t all = parcel->musts[step];
        parcel->touches[parcel->sent] = arrays || all == 0 ? all : 1;
    }
}

/* Its place is noted first: a value that cannot be sent at all fails there, too. */
static enum cairn_rc send_one(struct cairn_sql_writer *writer, struct cairn_sql_parcel *parcel,
                              const char *name, const struct cairn_sql_prepared *prepared,
                              const struct cairn_slice *values, size_t count, size_t tag,
                              struct cairn_err *err)
{
    size_t place = parcel->sent++;
    size_t index = 0;
    assert(place >= parcel->first && place < parcel->statement_max);
    parcel->statement_tags[place] = tag;
    parcel->lines[place] = prepared->statement->line;
    enum cairn_rc rc = cairn_pg_pipeline_send(writer->options.pg, name, values, count, &index, err);
    assert(rc != CAIRN_OK || index == place);
    return rc;
}

/* Only lookups by key from here on, or any plan again. */
static enum cairn_rc send_lookups(struct cairn_sql_writer *writer, struct cairn_sql_parcel *parcel,
                                  bool looks_up, struct cairn_err *err)
{
    if (parcel->looks_up == looks_up) {
        return CAIRN_OK;
    }
    const struct cairn_slice others = looks_up ? CAIRN_SLICE_LIT("off") : CAIRN_SLICE_LIT("on");
    size_t place = parcel->sent++;
    size_t index = 0;
    assert(place < parcel->statement_max);
    parcel->statement_tags[place] = SIZE_MAX;
    parcel->looks_up = looks_up;
    return cairn_pg_pipeline_send(writer->options.pg, CAIRN_SQL_LOOKUPS, &others, 1, &index, err);
}

static enum cairn_rc send_step(struct cairn_sql_writer *writer, struct cairn_sql_parcel *parcel,
                               size_t step, struct cairn_err *err)
{
    const struct cairn_sql_step *planned = &parcel->plan.steps[step];
    const struct cairn_sql_prepared *prepared = &writer->prepared[planned->statement];
    bool joins = planned->arrays && writer->shapes[planned->statement].kind == CAIRN_SQL_CHANGE;
    enum cairn_rc rc = send_lookups(writer, parcel, joins, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (planned->arrays) {
        char name[CAIRN_SQL_PREPARED_NAME_SIZE + 1];
        size_t tag = planned->row_count == 1 ? parcel->tags[planned->rows[0]] : SIZE_MAX;
        const struct cairn_sql_array_list *arrays = &parcel->arrays[step];
        (void)snprintf(name, sizeof(name), "%c%s", arrays->lone ? 'l' : 'a', prepared->name);
        expect(parcel, step, true);
        return send_one(writer, parcel, name, prepared, arrays->texts, arrays->count, tag, err);
    }
    for (size_t r = 0; rc == CAIRN_OK && r < planned->row_count; r++) {
        uint32_t row = planned->rows[r];
        expect(parcel, step, false);
        rc = send_one(writer, parcel, prepared->name, prepared, parcel->rows[row].values,
                      prepared->statement->param_count, parcel->tags[row], err);
    }
    return rc;
}

/* What a failed pipeline says: the checkpoint was not where the batch began, or a row is refused.
 */
static enum cairn_rc explain(struct cairn_sql_writer *writer, const struct cairn_sql_parcel *parcel,
                             size_t failed, enum cairn_rc rc, size_t *ret_tag,
                             struct cairn_err *err)
{
    *ret_tag = SIZE_MAX;
    if (failed < parcel->first &&
        strcmp(cairn_pg_sqlstate(writer->options.pg), DIVISION_BY_ZERO) == 0) {
        return CAIRN_FAIL(err, CAIRN_EFENCED, "another projector feeds view %.*s",
                          CAIRN_SLICE_ARG(writer->options.view->name));
    }
    if (rc == CAIRN_EINVAL && failed >= parcel->first && failed < parcel->statement_max) {
        *ret_tag = parcel->statement_tags[failed];
        return cairn_err_wrap(err, rc, "line %u", parcel->lines[failed]);
    }
    return rc;
}

static void note_touched(void *self, size_t index, uint64_t rows)
{
    struct cairn_sql_parcel *parcel = self;
    assert(index < parcel->statement_max);
    parcel->missed = parcel->missed || rows < parcel->touches[index];
}

/* One pipeline, up to its sync; what goes wrong in it is told by receive. to NULL: without a
 * checkpoint. */
static enum cairn_rc send(struct cairn_sql_writer *writer, const struct cairn_sql_step_to *to,
                          struct cairn_sql_parcel *parcel, struct cairn_err *err)
{
    size_t index = 0;
    bool in_lane = writer->options.lane != NULL;
    assert(parcel->packed);
    enum cairn_rc rc = cairn_pg_pipeline_begin(writer->options.pg, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    parcel->first = (size_t)in_lane + (size_t)(to != NULL);
    parcel->sent = parcel->first;
    parcel->looks_up = false;
    parcel->missed = false;
    rc = in_lane ? cairn_pg_pipeline_send(writer->options.pg, CAIRN_SQL_BEGIN, NULL, 0, &index, err)
                 : rc;
    rc = rc == CAIRN_OK && to != NULL ? send_move(writer, to, err) : rc;
    for (size_t s = 0; rc == CAIRN_OK && s < parcel->plan.step_count; s++) {
        rc = send_step(writer, parcel, s, err);
    }
    if (rc == CAIRN_OK) {
        (void)send_lookups(writer, parcel, false, err);
    }
    cairn_pg_pipeline_sync(writer->options.pg);
    return CAIRN_OK;
}

/* What could not be sent is told once more here, and what was is undone. */
static enum cairn_rc receive(struct cairn_sql_writer *writer, struct cairn_sql_parcel *parcel,
                             size_t *ret_tag, struct cairn_err *err)
{
    size_t failed = SIZE_MAX;
    enum cairn_rc rc = cairn_pg_pipeline_end(writer->options.pg,
                                             writer->options.lane != NULL ? note_touched : NULL,
                                             parcel, &failed, err);
    return rc == CAIRN_OK ? CAIRN_OK : explain(writer, parcel, failed, rc, ret_tag, err);
}

static enum cairn_rc send_and_receive(struct cairn_sql_writer *writer,
                                      const struct cairn_sql_step_to *to,
                                      struct cairn_sql_parcel *parcel, size_t *ret_tag,
                                      struct cairn_err *err)
{
    enum cairn_rc rc = send(writer, to, parcel, err);
    return rc == CAIRN_OK ? receive(writer, parcel, ret_tag, err) : rc;
}

/* ---- in a lane ---- */

/* Send the batch as a transaction and look whether it touched what it is about. Where it missed
 * something it is undone, unless it is alone. */
static enum cairn_rc try_in_lane(struct cairn_sql_writer *writer,
                                 const struct cairn_sql_step_to *to,
                                 struct cairn_sql_parcel *parcel, bool alone, size_t *ret_tag,
                                 struct cairn_err *err)
{
    struct cairn_gate *gate = writer->options.lane->gate;
    struct cairn_pg *pg = writer->options.pg;
    struct cairn_err ignored;
    cairn_gate_enter(gate, alone);
    enum cairn_rc rc = send_and_receive(writer, to, parcel, ret_tag, err);
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
                                    const struct cairn_sql_step_to *to,
                                    struct cairn_sql_parcel *parcel, size_t *ret_tag,
                                    struct cairn_err *err)
{
    bool alone = writer->alone > 0;
    writer->alone -= alone ? 1 : 0;
    enum cairn_rc rc = try_in_lane(writer, to, parcel, alone, ret_tag, err);
    if (rc == CAIRN_OK && !alone && parcel->missed) {
        writer->alone = writer->alone_next;
        writer->alone_next = writer->alone_next < CAIRN_SQL_ALONE_MAX ? 2 * writer->alone_next + 1
                                                                      : CAIRN_SQL_ALONE_MAX;
        return try_in_lane(writer, to, parcel, true, ret_tag, err);
    }
    if (rc == CAIRN_OK && !alone) {
        writer->alone_next /= 2;
    }
    return rc;
}

/* ---- the ways to the tables ---- */

enum cairn_rc cairn_sql_writer_send(struct cairn_sql_writer *writer,
                                    struct cairn_sql_parcel *parcel,
                                    const struct cairn_sql_step_to *to, struct cairn_err *err)
{
    assert(writer->options.lane == NULL && to != NULL && to->events > 0);
    return send(writer, to, parcel, err);
}

enum cairn_rc cairn_sql_writer_await(struct cairn_sql_writer *writer,
                                     struct cairn_sql_parcel *parcel, size_t *ret_tag,
                                     struct cairn_err *err)
{
    assert(writer->options.lane == NULL);
    return receive(writer, parcel, ret_tag, err);
}

enum cairn_rc cairn_sql_writer_commit(struct cairn_sql_writer *writer,
                                      struct cairn_sql_parcel *parcel,
                                      const struct cairn_sql_step_to *to, size_t *ret_tag,
                                      struct cairn_err *err)
{
    assert(to != NULL && to->events > 0);
    return writer->options.lane != NULL ? commit_in_lane(writer, to, parcel, ret_tag, err)
                                        : send_and_receive(writer, to, parcel, ret_tag, err);
}

enum cairn_rc cairn_sql_writer_apply(struct cairn_sql_writer *writer,
                                     struct cairn_sql_parcel *parcel, size_t *ret_tag,
                                     struct cairn_err *err)
{
    assert(writer->options.lane == NULL);
    return parcel->row_count == 0 ? CAIRN_OK : send_and_receive(writer, NULL, parcel, ret_tag, err);
}
