/* Key-value store: LMDB behind types that make its traps impossible.
 *
 * A folder is opened once per process (asserted by a registry). One writer at a time over all
 * processes; readers never wait. A read is a snapshot: keep it short, never across network I/O.
 * Values and keys that a read or cursor hands out are borrowed from the map and die with the
 * transaction. Keys are 1..CAIRN_KV_KEY_MAX bytes. The map is sparse (1 TiB); a full disk is EFULL.
 * Fault point: KV_COMMIT. */
#ifndef CAIRN_PLATFORM_KV_H
#define CAIRN_PLATFORM_KV_H

#include "platform/bytes.h"

#define CAIRN_KV_KEY_MAX    511
#define CAIRN_KV_TABLES_MAX 800

struct cairn_kv;     /* an environment: one folder */
struct cairn_kv_txn; /* a read or a write */

/* A table of the environment; valid for its life. */
typedef unsigned cairn_kv_table_id;

struct cairn_kv_options {
    bool writer; /* false: this process only reads (the lock file is still written) */
    bool sync; /* true: a commit is durable when it returns. false: it survives kill -9, not a power
                  cut */
    uint64_t map_bytes;   /* 0: 1 TiB */
    unsigned readers_max; /* 0: 2048 */
};

/* Open (writers create) the folder. errors: ENOENT, EIO, ECORRUPT, EFULL, EEXIST (opened already in
 * this process). */
CAIRN_MUST_CHECK enum cairn_rc cairn_kv_open(const char *folder,
                                             const struct cairn_kv_options *options,
                                             struct cairn_kv **ret_kv, struct cairn_err *err);
/* Accepts NULL. No transaction may be open. */
void cairn_kv_close(struct cairn_kv *kv);

/* Open the named table; a writer makes it when missing, inside its own short transaction (no other
 * transaction of this thread may be open). ENOENT for a reader. thread: any (locked). */
CAIRN_MUST_CHECK enum cairn_rc cairn_kv_table(struct cairn_kv *kv, const char *name,
                                              cairn_kv_table_id *ret_table, struct cairn_err *err);

/* A snapshot to read from. Taken from a pool of renewed transactions; cheap. thread: owner of the
 * txn. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_kv_read_begin(struct cairn_kv *kv, struct cairn_kv_txn **ret_txn, struct cairn_err *err);
/* The write transaction; waits for other writers, of other processes too. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_kv_write_begin(struct cairn_kv *kv, struct cairn_kv_txn **ret_txn, struct cairn_err *err);
/* Commit a write; the txn is gone either way. EFULL, EIO. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kv_commit(struct cairn_kv_txn *txn, struct cairn_err *err);
/* End a read, or drop a write. Accepts NULL. */
void cairn_kv_end(struct cairn_kv_txn *txn);

/* ENOENT when absent (err untouched and may be NULL: absence is an answer). */
CAIRN_MUST_CHECK enum cairn_rc cairn_kv_get(struct cairn_kv_txn *txn, cairn_kv_table_id table,
                                            struct cairn_slice key, struct cairn_slice *ret_value,
                                            struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_kv_put(struct cairn_kv_txn *txn, cairn_kv_table_id table,
                                            struct cairn_slice key, struct cairn_slice value,
                                            struct cairn_err *err);
/* OK also when it was not there. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kv_delete(struct cairn_kv_txn *txn, cairn_kv_table_id table,
                                               struct cairn_slice key, struct cairn_err *err);
/* Remove all entries of a table (drop=false), or the table itself (drop=true; its id is dead after
 * commit). */
CAIRN_MUST_CHECK enum cairn_rc cairn_kv_clear(struct cairn_kv_txn *txn, cairn_kv_table_id table,
                                              bool drop, struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_kv_count(struct cairn_kv_txn *txn, cairn_kv_table_id table,
                                              uint64_t *ret_count, struct cairn_err *err);

/* A walk over a table in key order. Ends with its transaction at the latest. */
struct cairn_kv_cursor;
CAIRN_MUST_CHECK enum cairn_rc cairn_kv_cursor_open(struct cairn_kv_txn *txn,
                                                    cairn_kv_table_id table,
                                                    struct cairn_kv_cursor **ret_cursor,
                                                    struct cairn_err *err);
void cairn_kv_cursor_close(struct cairn_kv_cursor *cursor);

enum cairn_kv_step {
    CAIRN_KV_FIRST,
    CAIRN_KV_LAST,
    CAIRN_KV_NEXT,
    CAIRN_KV_PREVIOUS,
    CAIRN_KV_AT_OR_AFTER, /* the first key >= the given one */
    CAIRN_KV_BEFORE       /* the last key < the given one */
};
/* Move and read. key is used by AT_OR_AFTER and BEFORE. ENOENT at the end (err untouched). */
CAIRN_MUST_CHECK enum cairn_rc cairn_kv_seek(struct cairn_kv_cursor *cursor,
                                             enum cairn_kv_step step, struct cairn_slice key,
                                             struct cairn_slice *ret_key,
                                             struct cairn_slice *ret_value, struct cairn_err *err);

/* Make everything committed durable (for sync=false). Blocks on disk. thread: any. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kv_sync(struct cairn_kv *kv, struct cairn_err *err);
/* Free reader slots of processes that died. Returns how many. */
int cairn_kv_check_readers(struct cairn_kv *kv);
/* Bytes of the data file in use. */
uint64_t cairn_kv_used_bytes(struct cairn_kv *kv);

#endif
