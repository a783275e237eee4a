/* What a batch does to the rows of one view, before any of it is written.
 *
 * A map from key to the row as it is now in the batch: a handler's `get` sees the puts before it, a
 * row that is put a thousand times is packed and written once. Values, keys and everything else lie
 * in the arena of the batch. Rows read from the store are kept here too, so that each is looked up
 * and unpacked once. thread: owner. */
#ifndef CAIRN_PROJECTOR_LMDB_WRITESET_H
#define CAIRN_PROJECTOR_LMDB_WRITESET_H

#include "platform/value.h"

/* Rows that one batch may touch. A batch ends long before it (projector/lmdb/group.c), so only a
 * single command can reach it. */
#define CAIRN_WRITES_MAX (1u << 22)

enum cairn_write_old {
    CAIRN_OLD_UNKNOWN, /* not looked up */
    CAIRN_OLD_ABSENT,
    CAIRN_OLD_PRESENT
};

struct cairn_write {
    struct cairn_slice key;
    uint64_t hash;
    enum cairn_write_old old_state;
    struct cairn_slice old;   /* packed, as stored; borrowed from the batch's snapshot */
    bool dirty;               /* put or deleted by the batch */
    bool present;             /* there is a row now: value */
    uint32_t noted;           /* the command that its state before is noted of; 0: none */
    struct cairn_value value; /* CAIRN_MAP */
};

/* A row as it was before the command in hand changed it. */
struct cairn_write_note {
    size_t entry;
    bool dirty, present;
    struct cairn_value value;
};

struct cairn_writeset {
    struct cairn_arena *arena;   /* borrowed: of the batch */
    struct cairn_write *entries; /* in the order of their first use; heap */
    size_t count;
    size_t cap;
    uint32_t *table;                /* entry number + 1, 0 is free; heap */
    size_t table_size;              /* a power of two, at least twice count */
    uint32_t command;               /* in the batch, from 1 */
    struct cairn_write_note *notes; /* of the command in hand; heap */
    size_t note_count;
    size_t note_cap;
};

/* Forget everything; the arena holds what comes. Keeps its memory for the next batch. */
void cairn_writeset_begin(struct cairn_writeset *set, struct cairn_arena *arena);
/* The entry of key, made (OLD_UNKNOWN, clean) when there is none; valid until the next call.
 * errors: ENOMEM, ETOOBIG. */
CAIRN_MUST_CHECK enum cairn_rc cairn_writeset_entry(struct cairn_writeset *set,
                                                    struct cairn_slice key,
                                                    struct cairn_write **ret_entry);
/* The entry is about to be changed: note what it is, so that this can be undone. errors: ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_writeset_note(struct cairn_writeset *set,
                                                   struct cairn_write *entry);
/* A command begins: what came before it stays. */
static inline void cairn_writeset_mark(struct cairn_writeset *set)
{
    set->command++;
    set->note_count = 0;
}
/* Take back what was changed since the mark. */
void cairn_writeset_undo(struct cairn_writeset *set);
/* The entry of key, whose hash is that of cairn_hash64; NULL: there is none. Not of a
 * sorted set. */
const struct cairn_write *cairn_writeset_find(const struct cairn_writeset *set,
                                              struct cairn_slice key, uint64_t hash);
/* Order the entries by key. No cairn_writeset_entry may follow before the next begin. */
void cairn_writeset_sort(struct cairn_writeset *set);
/* A zeroed set is fine, too. */
void cairn_writeset_fini(struct cairn_writeset *set);

#endif
