/* Parked streams in a comparison: the replay leaves out what the live generation does. */
#ifndef CAIRN_PROJECTOR_COMPARE_PARKED_H
#define CAIRN_PROJECTOR_COMPARE_PARKED_H

#include "projector/view_parked.h"

/* A generation's parked streams, in a transaction. */
struct cairn_compare_parked {
    struct cairn_kv_txn *txn;
    struct cairn_parked_place place;
};

/* Write the rows of one into another, of another store. *ret_count: how many. errors: EIO, EFULL,
 * ECORRUPT. */
CAIRN_MUST_CHECK enum cairn_rc cairn_compare_parked_copy(const struct cairn_compare_parked *from,
                                                         const struct cairn_compare_parked *into,
                                                         uint32_t *ret_count,
                                                         struct cairn_err *err);
/* Do both leave out the same? errors: EIO, ECORRUPT. */
CAIRN_MUST_CHECK enum cairn_rc cairn_compare_parked_same(const struct cairn_compare_parked *a,
                                                         const struct cairn_compare_parked *b,
                                                         bool *ret_same, struct cairn_err *err);

#endif
