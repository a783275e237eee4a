/* The order in which transactions side by side touch rows, and how many they must touch. Pure.
 * thread: any. */
#ifndef CAIRN_PROJECTOR_SQL_ROW_ORDER_H
#define CAIRN_PROJECTOR_SQL_ROW_ORDER_H

#include "projector/sql/plan.h"

/* Put the rows of a step into an order of their keys that is the same in every batch, so that two
 * transactions rarely wait for each other; rows of one key keep theirs. Where a key is not known
 * they all do. *ret_touched: how many rows of the table the step touches if it misses none. arena:
 * the new order. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_rows_order(const struct cairn_sql_shape *shape,
                                                    const struct cairn_sql_row *rows,
                                                    struct cairn_sql_step *step,
                                                    struct cairn_arena *arena,
                                                    uint64_t *ret_touched, struct cairn_err *err);

#endif
