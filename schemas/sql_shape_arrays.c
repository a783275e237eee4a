/* The array form of a statement: the same expressions over its parameters as arrays.
 *
 *   INSERT INTO t (a, b) SELECT (:a), (:b * 2) FROM
 *     (SELECT unnest($1::text[]) AS p1, unnest($2::bigint[]) AS p2) AS p
 *
 *   UPDATE t SET b = b * 2 + :b FROM (SELECT unnest(...) ...) AS _cairn WHERE a = :a
 *   DELETE FROM t USING (SELECT unnest(...) ...) AS _cairn WHERE a = :a
 *
 * Where the order of rows shows, they are FROM unnest($1::text[], ...) WITH ORDINALITY AS
 * p(p1, ..., n) ORDER BY p.n, which costs the server twice as much. */
#include <assert.h>

#include "platform/arena.h"
#include "schemas/sql_shape_int.h"

static void put_plain(struct cairn_sql_form *form)
{
    const struct cairn_sql_reading *reading = form->reading;
    bool conflicts = reading->conflict.end > reading->conflict.begin;
    cairn_sql_form_str(form, "INSERT INTO ");
    cairn_sql_form_span(form, reading->into);
    cairn_sql_form_str(form, " SELECT ");
    for (size_t i = 0; i < reading->item_count; i++) {
        cairn_sql_form_str(form, i == 0 ? "" : ", ");
        cairn_sql_form_span(form, reading->items[i].value);
    }
    cairn_sql_form_str(form, " FROM ");
    if (conflicts || reading->table->ordered) {
        cairn_sql_form_numbered_rows(form);
        cairn_sql_form_str(form, " ORDER BY p.n ");
    } else {
        cairn_sql_form_rows(form);
    }
    cairn_sql_form_span(form, reading->conflict);
}

/* UPDATE and DELETE. */
static void put_change(struct cairn_sql_form *form)
{
    const struct cairn_sql_reading *reading = form->reading;
    bool updates = reading->set.end > reading->set.begin;
    cairn_sql_form_str(form, updates ? "UPDATE " : "DELETE FROM ");
    cairn_sql_form_span(form, reading->into);
    cairn_sql_form_str(form, updates ? " SET " : "");
    cairn_sql_form_span(form, reading->set);
    cairn_sql_form_str(form, updates ? " FROM " : " USING ");
    cairn_sql_form_rows(form);
    cairn_sql_form_str(form, " WHERE ");
    cairn_sql_form_span(form, reading->where);
}

/* One form; *ret_text NULL: it would be too long. */
static enum cairn_rc write_form(const struct cairn_sql_reading *reading,
                                const struct cairn_sql_shape *shape,
                                void (*put_form)(struct cairn_sql_form *),
                                struct cairn_arena *arena, const char **ret_text,
                                struct cairn_err *err)
{
    bool joins = shape->kind == CAIRN_SQL_CHANGE && !shape->folds;
    struct cairn_sql_form form = {.reading = reading,
                                  .shape = shape,
                                  .arrays = joins ? CAIRN_SQL_ARRAYS_NAME : "p",
                                  .buf = {.max = CAIRN_SQL_ARRAYS_BYTES_MAX}};
    struct cairn_slice copy = CAIRN_SLICE_NONE;
    put_form(&form);
    enum cairn_rc rc = form.rc;
    if (rc == CAIRN_OK) {
        rc = cairn_arena_copy(arena, cairn_buf_slice(&form.buf), &copy);
    }
    cairn_buf_fini(&form.buf);
    if (rc != CAIRN_OK && rc != CAIRN_ETOOBIG) {
        return CAIRN_FAIL(err, rc, "the array form of a statement");
    }
    *ret_text = copy.data;
    return CAIRN_OK;
}

enum cairn_rc cairn_sql_arrays_write(const struct cairn_sql_reading *reading,
                                     struct cairn_arena *arena, struct cairn_sql_shape *shape,
                                     struct cairn_err *err)
{
    bool changes = shape->kind == CAIRN_SQL_CHANGE;
    assert(changes || reading->item_count > 0);
    if (!shape->folds) {
        return write_form(reading, shape, changes ? put_change : put_plain, arena, &shape->text,
                          err);
    }
    enum cairn_rc rc =
        write_form(reading, shape, changes ? cairn_sql_folded_update : cairn_sql_folded_insert,
                   arena, &shape->text, err);
    if (rc == CAIRN_OK && shape->text != NULL && shape->key_count > 0) {
        rc = write_form(reading, shape, changes ? cairn_sql_lone_update : cairn_sql_lone_insert,
                        arena, &shape->lone, err);
    }
    return rc;
}
