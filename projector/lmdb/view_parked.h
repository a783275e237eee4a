/* The parked streams of a generation, as rows of `meta`: one for each end of a stream that the
 * generation leaves out, whether it waits or was given up. docs/architecture/projector.md draws the
 * layout. They belong to a slot, so they go where its rows go. Every function works inside a
 * transaction of the caller. thread: owner of the transaction. */
#ifndef CAIRN_PROJECTOR_LMDB_VIEW_PARKED_H
#define CAIRN_PROJECTOR_LMDB_VIEW_PARKED_H

#include "projector/lmdb/view_meta.h"
#include "projector/parked.h"
#include "projector/replay.h"

/* Which generation's. */
struct cairn_parked_place {
    cairn_kv_table_id meta;
    struct cairn_slice view;
    unsigned slot;
};

/* Write a row, or write it again. Its head must count one more in `parks` by the end of the
 * transaction, unless the row is of the same stretch as before. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_parked_put(struct cairn_kv_txn *txn,
                                                     const struct cairn_parked_place *place,
                                                     const struct cairn_parked *parked,
                                                     struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_view_parked_delete(struct cairn_kv_txn *txn,
                                                        const struct cairn_parked_place *place,
                                                        struct cairn_slice stream, uint64_t version,
                                                        struct cairn_err *err);
/* Delete all rows of the slot: its generation is gone. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_parked_clear(struct cairn_kv_txn *txn,
                                                       const struct cairn_parked_place *place,
                                                       struct cairn_err *err);

/* Called with each row of a generation; what it points to is borrowed from the transaction, and the
 * transaction must not write meanwhile. */
typedef enum cairn_rc cairn_view_parked_fn(void *self, const struct cairn_parked *parked,
                                           struct cairn_err *err);
/* All rows, or those of one stream (empty: all), a stream's in the order of their versions. errors:
 * ECORRUPT, EIO; those of fn. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_parked_each(struct cairn_kv_txn *txn,
                                                      const struct cairn_parked_place *place,
                                                      struct cairn_slice stream,
                                                      cairn_view_parked_fn *fn, void *self,
                                                      struct cairn_err *err);
/* All rows, into a set that is empty. errors: as above, ENOMEM, ETOOBIG. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_parked_load(struct cairn_kv_txn *txn,
                                                      const struct cairn_parked_place *place,
                                                      struct cairn_parked_set *set,
                                                      struct cairn_err *err);
/* How many streams wait. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_parked_count(struct cairn_kv_txn *txn,
                                                       const struct cairn_parked_place *place,
                                                       uint64_t *ret_waiting,
                                                       struct cairn_err *err);
/* The end of the stream that waits, in arena. ENOENT: it does not (err untouched). */
CAIRN_MUST_CHECK enum cairn_rc
cairn_view_parked_get(struct cairn_kv_txn *txn, const struct cairn_parked_place *place,
                      struct cairn_slice stream, struct cairn_arena *arena,
                      struct cairn_parked *ret_parked, struct cairn_err *err);
/* Everything of a row in arena. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_parked_copy(const struct cairn_parked *parked,
                                                 struct cairn_arena *arena,
                                                 struct cairn_parked *ret_copy,
                                                 struct cairn_err *err);

#endif
