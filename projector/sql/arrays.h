/* The rows of a step as arrays, one for each parameter of the array form. thread: any.
 *
 * Where the shape says so, rows that are equal but for what is summed or replaced travel as one. */
#ifndef CAIRN_PROJECTOR_SQL_ARRAYS_H
#define CAIRN_PROJECTOR_SQL_ARRAYS_H

#include "projector/sql/plan.h"

/* Of one array form: the parameters of its statement, and how many rows each row stands for. */
#define CAIRN_SQL_ARRAYS_MAX (CAIRN_SQL_PARAMS_MAX + 1)

struct cairn_sql_array_list {
    struct cairn_slice texts[CAIRN_SQL_ARRAYS_MAX];
    size_t count;
    bool lone; /* for shape->lone: each row has a key of its own */
};

/* param_count: of the step's statement. rows: of the batch. The texts are in arena. cost: O(rows *
 * parameters), whatever the values. errors: ETOOBIG, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_arrays_make(const struct cairn_sql_shape *shape, size_t param_count,
                      const struct cairn_sql_row *rows, const struct cairn_sql_step *step,
                      struct cairn_arena *arena, struct cairn_sql_array_list *ret_arrays,
                      struct cairn_err *err);

#endif
