/* The rows of a generation in two numbers, and what it leaves out. */
#ifndef CAIRN_PROJECTOR_LMDB_BUILD_DIGEST_H
#define CAIRN_PROJECTOR_LMDB_BUILD_DIGEST_H

#include "projector/lmdb/view_parked.h"
#include "projector/replay.h"

/* Count the table's rows and add up a hash of each, of its key and its packed document. The sum is
 * modulo 2^64, so the order of the rows is nothing. cost: a walk over all rows. errors: EIO,
 * ENOMEM. thread: owner of txn. */
CAIRN_MUST_CHECK enum cairn_rc cairn_build_digest(struct cairn_kv_txn *txn, cairn_kv_table_id rows,
                                                  struct cairn_view_digest *ret_digest,
                                                  struct cairn_err *err);
/* The same of what a generation leaves out: streams, from which version and until which. Why, and
 * since when, is no part of it. errors: EIO, ECORRUPT. */
CAIRN_MUST_CHECK enum cairn_rc cairn_build_digest_parked(struct cairn_kv_txn *txn,
                                                         const struct cairn_parked_place *place,
                                                         struct cairn_view_digest *ret_digest,
                                                         struct cairn_err *err);

#endif
