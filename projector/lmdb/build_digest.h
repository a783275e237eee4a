/* The rows of a generation in two numbers. */
#ifndef CAIRN_PROJECTOR_LMDB_BUILD_DIGEST_H
#define CAIRN_PROJECTOR_LMDB_BUILD_DIGEST_H

#include "platform/kv.h"
#include "projector/replay.h"

/* Count the table's rows and add up a hash of each, of its key and its packed document. The sum is
 * modulo 2^64, so the order of the rows is nothing. cost: a walk over all rows. errors: EIO,
 * ENOMEM. thread: owner of txn. */
CAIRN_MUST_CHECK enum cairn_rc cairn_build_digest(struct cairn_kv_txn *txn, cairn_kv_table_id rows,
                                                  struct cairn_view_digest *ret_digest,
                                                  struct cairn_err *err);

#endif
