/* A state from the log: the newest snapshot that helps, and the events behind it. */
#ifndef CAIRN_COMMAND_FOLD_H
#define CAIRN_COMMAND_FOLD_H

#include "command/decider.h"
#include "eventstore/store.h"

/* Events read at a time. */
#define CAIRN_FOLD_PAGE_MAX 512
/* Bytes that one page may take when parsed; a page is about 4 MiB of events at most. */
#define CAIRN_FOLD_ARENA_MAX ((size_t)256 << 20)
/* Bytes of a state as msgpack; a bigger one is not kept as a snapshot. */
#define CAIRN_SNAPSHOT_BYTES_MAX ((size_t)16 << 20)

/* What folding works with. All borrowed but the arena and the buffer. thread: owner. */
struct cairn_fold {
    struct cairn_store *store;
    const struct cairn_decider *decider;
    struct cairn_upcaster *upcaster;
    struct cairn_metric *replayed;  /* events read; may be NULL */
    struct cairn_metric *snapshots; /* written; may be NULL */
    struct cairn_arena arena;       /* of one page */
    struct cairn_buf packed;        /* of one snapshot */
};

struct cairn_folded {
    cairn_state state;         /* owned by the caller: close it with the decider */
    uint64_t version;          /* of the state; 0: the stream has no events */
    uint64_t snapshot_version; /* where it began; 0: from the beginning */
};

void cairn_fold_init(struct cairn_fold *fold, struct cairn_store *store,
                     const struct cairn_decider *decider, struct cairn_upcaster *upcaster);
void cairn_fold_fini(struct cairn_fold *fold);

/* The state of a stream as of version `until`, or of its newest event when it has fewer.
 * errors: ESCRIPT (evolve or an upcaster failed; err names the event), ECORRUPT, EIO, ENOMEM.
 * cost: a snapshot and the events behind it. */
CAIRN_MUST_CHECK enum cairn_rc cairn_fold_load(struct cairn_fold *fold,
                                               const struct cairn_domain_aggregate *aggregate,
                                               struct cairn_slice stream, uint64_t until,
                                               struct cairn_folded *ret_folded,
                                               struct cairn_err *err);
/* Keep a snapshot of a state that stands at `version`. Writer's store only. A failure is harmless:
 * the next load reads more. */
CAIRN_MUST_CHECK enum cairn_rc cairn_fold_snapshot(struct cairn_fold *fold,
                                                   const struct cairn_domain_aggregate *aggregate,
                                                   struct cairn_slice stream, cairn_state state,
                                                   uint64_t version, struct cairn_err *err);

#endif
