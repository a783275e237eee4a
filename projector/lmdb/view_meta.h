/* The rows of the view store's `meta` table: what is known of a view beside its rows.
 *
 * Of every view there is a live generation (head/, code/), perhaps one that is being built beside
 * it (next/, next-code/) and the one that was live before the last switch (old/, old-code/), a
 * stop/ row while a projection has failed, and refused/ after a rollback. docs/architecture/
 * projector.md draws the layouts. Every function works inside a transaction of the caller.
 * thread: owner of the transaction. */
#ifndef CAIRN_PROJECTOR_LMDB_VIEW_META_H
#define CAIRN_PROJECTOR_LMDB_VIEW_META_H

#include "platform/kv.h"
#include "projector/view_read.h"

/* Written by this program. Format 1, without old generations, is raised by the first writer. */
#define CAIRN_VIEW_FORMAT         2u
#define CAIRN_VIEW_FORMAT_OLDEST  1u
#define CAIRN_VIEW_NAME_BYTES_MAX 128
#define CAIRN_VIEW_COLUMN_MAX     128 /* bytes of an index's name */
#define CAIRN_VIEW_CODE_BYTES_MAX                                                                  \
    (2u * 1024u * 1024u) /* of a packed definition, script included                                \
                          */

/* Which of a view's generations a row speaks of. */
enum cairn_view_side {
    CAIRN_SIDE_LIVE,
    CAIRN_SIDE_NEXT, /* being built */
    CAIRN_SIDE_OLD,  /* what was live before the last switch */
    CAIRN_SIDE_CHECK /* a scratch generation of a comparison; in PostgreSQL alone */
};
/* Sides and slots that a view in LMDB has. */
#define CAIRN_VIEW_SIDES 3
#define CAIRN_VIEW_SLOTS 3

/* head/, next/ and old/: where a generation lies and how far it is. */
struct cairn_view_head {
    enum cairn_view_state state;
    unsigned slot;       /* < CAIRN_VIEW_SLOTS: which pair of tables */
    uint64_t generation; /* from 1 */
    uint64_t events;     /* applied to it since it was begun */
    uint64_t all;        /* events the log held when its build began, or its way back from old/; 0:
                            neither */
    uint32_t parks; /* changes of the set of streams that it leaves out; 0: it leaves out none */
    struct cairn_position position;
};

/* code/, next-code/ and old-code/: the definition that a generation was made by. */
struct cairn_view_code {
    struct cairn_slice hash; /* hex, 32 bytes */
    uint64_t version;        /* view.version of the script */
    struct cairn_slice script_name;
    struct cairn_slice
        script; /* kept, so that an older generation can go on while a newer builds */
    struct cairn_view_column columns[CAIRN_VIEW_INDEXES_MAX];
    size_t column_count;
};

/* stop/: why a projection stopped, and where. */
struct cairn_view_stop {
    struct cairn_slice error;
    struct cairn_slice event; /* id */
    uint16_t partition;
    uint64_t offset;
    bool of_build; /* the next generation's build failed; the live one goes on */
};

CAIRN_MUST_CHECK enum cairn_rc cairn_view_head_put(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                                   enum cairn_view_side side,
                                                   struct cairn_slice view,
                                                   const struct cairn_view_head *head,
                                                   struct cairn_err *err);
/* ENOENT (err untouched), ECORRUPT. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_head_get(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                                   enum cairn_view_side side,
                                                   struct cairn_slice view,
                                                   struct cairn_view_head *ret_head,
                                                   struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_view_code_put(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                                   enum cairn_view_side side,
                                                   struct cairn_slice view,
                                                   const struct cairn_view_code *code,
                                                   struct cairn_err *err);
/* Everything copied into arena. ENOENT (err untouched), ECORRUPT, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_view_code_get(struct cairn_kv_txn *txn, cairn_kv_table_id meta, enum cairn_view_side side,
                    struct cairn_slice view, struct cairn_arena *arena,
                    struct cairn_view_code *ret_code, struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_view_stop_put(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                                   struct cairn_slice view,
                                                   const struct cairn_view_stop *stop,
                                                   struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_view_stop_get(struct cairn_kv_txn *txn, cairn_kv_table_id meta,
                                                   struct cairn_slice view,
                                                   struct cairn_arena *arena,
                                                   struct cairn_view_stop *ret_stop,
                                                   struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_view_stop_delete(struct cairn_kv_txn *txn,
                                                      cairn_kv_table_id meta,
                                                      struct cairn_slice view,
                                                      struct cairn_err *err);
/* Forget the generation on a side, but for its rows. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_view_side_delete(struct cairn_kv_txn *txn, cairn_kv_table_id meta, enum cairn_view_side side,
                       struct cairn_slice view, struct cairn_err *err);
/* The lowest slot that no side of the view names. ECORRUPT: there is none. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_slot_free(struct cairn_kv_txn *txn,
                                                    cairn_kv_table_id meta, struct cairn_slice view,
                                                    unsigned *ret_slot, struct cairn_err *err);
/* Does a side of the view name the slot? */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_slot_named(struct cairn_kv_txn *txn,
                                                     cairn_kv_table_id meta,
                                                     struct cairn_slice view, unsigned slot,
                                                     bool *ret_named, struct cairn_err *err);
/* refused/: the hash (hex, 32 bytes) of the definition that a rollback replaced. An empty one
 * removes the row. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_view_refused_put(struct cairn_kv_txn *txn, cairn_kv_table_id meta, struct cairn_slice view,
                       struct cairn_slice hash, struct cairn_err *err);
/* Is it this one? */
CAIRN_MUST_CHECK enum cairn_rc
cairn_view_refused_is(struct cairn_kv_txn *txn, cairn_kv_table_id meta, struct cairn_slice view,
                      struct cairn_slice hash, bool *ret_refused, struct cairn_err *err);
/* Forget a view altogether, but for its rows. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_meta_delete(struct cairn_kv_txn *txn,
                                                      cairn_kv_table_id meta,
                                                      struct cairn_slice view,
                                                      struct cairn_err *err);
/* Names of all views that have a head, sorted, in arena. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_view_meta_names(struct cairn_kv_txn *txn, cairn_kv_table_id meta, struct cairn_arena *arena,
                      struct cairn_slice **ret_names, size_t *ret_count, struct cairn_err *err);
/* The store's format: written by the first writer, compared by everybody. *ret_older: it is one
 * that a writer raises with cairn_view_format_put. EUNSUPPORTED. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_format_put(struct cairn_kv_txn *txn,
                                                     cairn_kv_table_id meta, struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_view_format_check(struct cairn_kv_txn *txn,
                                                       cairn_kv_table_id meta, bool *ret_older,
                                                       struct cairn_err *err);

/* Sixteen bytes as 32 lower-case hex digits, in out, NUL-ended. */
void cairn_view_hash_text(const unsigned char hash[16], char out[33]);

#endif
