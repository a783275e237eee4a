/* A batch's rows as steps: which of them travel together, and in what order. Pure. thread: any.
 *
 * Two rows keep their order where they may touch the same table row. Each row gets a wave: that of
 * the last row it may collide with where that is of the same statement and both may share a step,
 * else the next. Statements that only sum the same columns count as one. A step is what a wave has
 * of one statement. Running the steps in order leaves what running the rows in order leaves. */
#ifndef CAIRN_PROJECTOR_SQL_PLAN_H
#define CAIRN_PROJECTOR_SQL_PLAN_H

#include "schemas/sql_shape.h"

#define CAIRN_SQL_PLAN_ROWS_MAX (1u << 18u) /* of one batch */
/* Fewer rows than this go one by one: an array form costs more than so few statements. */
#define CAIRN_SQL_PLAN_ARRAYS_MIN 4u
/* Statements change places in batches of so many rows: more than one event has, so that one event
 * alone runs as it is written. */
#define CAIRN_SQL_PLAN_COMMUTE_MIN 65u

struct cairn_sql_row {
    uint32_t statement;               /* number of its shape */
    const struct cairn_slice *values; /* one for each parameter; data NULL: SQL's NULL */
};

struct cairn_sql_step {
    uint32_t statement;
    bool arrays;          /* once, as shape->text; else each row by itself, in order */
    const uint32_t *rows; /* numbers of rows, ascending */
    size_t row_count;     /* > 0 */
};

struct cairn_sql_plan {
    struct cairn_sql_step *steps; /* in order */
    size_t step_count;
};

/* shapes: of the view's statements. ret_plan: in arena; each row is in one step. cost: O(rows +
 * shapes), whatever the keys; about 60 bytes a row. errors: ETOOBIG (rows), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_plan_make(const struct cairn_sql_shape *shapes, size_t shape_count,
                    const struct cairn_sql_row *rows, size_t row_count, struct cairn_arena *arena,
                    struct cairn_sql_plan *ret_plan, struct cairn_err *err);
/* The same rows in their own order, and none as arrays: for a batch that failed, to find which row
 * does. An array form may refuse what its statement takes, near a type's limit, so nothing is to be
 * blamed for what it says. errors: ETOOBIG, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_plan_careful(const struct cairn_sql_row *rows,
                                                      size_t row_count, struct cairn_arena *arena,
                                                      struct cairn_sql_plan *ret_plan,
                                                      struct cairn_err *err);

#endif
