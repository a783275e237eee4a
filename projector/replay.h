/* Replay: what an operator does with a view whose events are all still in the log. Build it again
 * beside the live one and switch, take the switch back, hold it against the log, see what another
 * definition would change, and care for events that it could not apply.
 *
 * The same calls for views in LMDB and in PostgreSQL. They work beside running projectors of any
 * process, which notice a switch by themselves, or without one. docs/architecture/replay.md says
 * how. thread: any, one call at a time for a view; they block until they are done. */
#ifndef CAIRN_PROJECTOR_REPLAY_H
#define CAIRN_PROJECTOR_REPLAY_H

#include "projector/projector.h"
#include "projector/scope.h"

/* ---- building and switching ---- */

#define CAIRN_REBUILD_WORKERS_MAX 16

struct cairn_rebuild_progress {
    uint64_t done, all; /* events */
    double rate;        /* events/s, of the last seconds */
    double left_s;      /* estimate; < 0: not known yet */
};
struct cairn_rebuild_hooks {
    void (*progress)(void *self, const struct cairn_rebuild_progress *progress); /* may be NULL */
    bool (*cancelled)(void *self);                                               /* may be NULL */
    void *self;
};
struct cairn_rebuild_request {
    struct cairn_slice view;
    uint64_t throttle; /* events/s at most; 0: as fast as it goes */
    unsigned workers;  /* in LMDB: partitions are applied by so many threads, where there are as
                          many; 0, 1: one. At most CAIRN_REBUILD_WORKERS_MAX */
};

/* The rows of a generation in two numbers, whatever their order. */
struct cairn_view_digest {
    uint64_t rows;
    uint64_t sum; /* of the rows' hashes; compared between generations in one store only */
};
struct cairn_rebuild_result {
    uint64_t generation; /* that is live now */
    uint64_t events;     /* that it holds */
    uint64_t rows;
    double seconds;
    bool resumed;  /* an unfinished build was gone on with */
    bool compared; /* both generations were by one definition, and were held against each other at
                      one position: */
    struct cairn_view_digest before, after; /* different: the old one was not what the log gives */
    const char *not_compared; /* why they were not, in words; NULL: they were, or there was nothing
                                 before */
    bool kept;                /* the generation before is kept for cairn_view_rollback */
    uint64_t parked;          /* streams that the new generation has parked */
    unsigned workers; /* that applied the log: 1, where the view or what was left to do has no use
                         for more */
};

/* Build the domain's definition of the view beside the live generation, and switch in one
 * transaction. A build of the same definition that was interrupted is gone on with. What was live
 * is kept, what was kept before is dropped. errors: ENOENT (no such view), ESCRIPT, EINVAL (an
 * event cannot be applied: which and why; nothing was switched and the build is dropped), ELOCKED
 * (somebody builds it), ESTOPPED (cancelled: the build is kept, to be gone on with), EIO, EFULL;
 * those of platform/pg.h. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_rebuild(const struct cairn_projector_options *options,
                                                  const struct cairn_rebuild_request *request,
                                                  const struct cairn_rebuild_hooks *hooks,
                                                  struct cairn_rebuild_result *ret_result,
                                                  struct cairn_err *err);
/* Put the kept generation back: it is brought to where the live one is by the definition that made
 * it, and switched; what was live is kept in its place, so that this can be taken back. The
 * definition that it replaces is not built again by itself, only by cairn_view_rebuild. errors:
 * ENOENT (none is kept), and as above. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_rollback(const struct cairn_projector_options *options,
                                                   const struct cairn_rebuild_request *request,
                                                   const struct cairn_rebuild_hooks *hooks,
                                                   struct cairn_rebuild_result *ret_result,
                                                   struct cairn_err *err);
/* Drop the kept generation and an unfinished build, if there are any. errors: ENOENT (no such
 * view), ELOCKED, EIO. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_drop_kept(const struct cairn_projector_options *options,
                                                    struct cairn_slice view, bool *ret_dropped,
                                                    struct cairn_err *err);

/* ---- comparing ---- */

enum cairn_difference {
    CAIRN_ROW_MISSING, /* the log gives a row that the view does not have */
    CAIRN_ROW_EXTRA,   /* the view has a row that the log does not give */
    CAIRN_ROW_DIFFERS,
    CAIRN_INDEX_DIFFERS /* an index entry that no row has, or the other way round */
};
struct cairn_row_difference {
    enum cairn_difference kind;
    struct cairn_slice table;    /* of a SQL view; empty in LMDB */
    struct cairn_slice key;      /* as text */
    struct cairn_slice live;     /* the row as JSON; empty where there is none */
    struct cairn_slice replayed; /* the same of the replayed one */
};
struct cairn_compare_request {
    struct cairn_slice view;
    bool stored; /* by the definition that made the live generation, parked streams left out as
                    there: any difference is a fault. Else by the domain's: what it would change */
    struct cairn_replay_scope scope; /* where it is partial, rows that only the live view has are
                                        left out; without an end it goes to that of the log, and on
                                        to where the live view is; stored: only to there */
    uint64_t throttle;               /* events/s; 0: as fast as it goes */
    uint64_t told_max;               /* differences that are told one by one; all are counted */
};
struct cairn_compare_hooks {
    void (*progress)(void *self, const struct cairn_rebuild_progress *progress);  /* may be NULL */
    bool (*cancelled)(void *self);                                                /* may be NULL */
    void (*different)(void *self, const struct cairn_row_difference *difference); /* may be NULL */
    /* Each replayed row, by table and key; NULL: nobody wants them. */
    void (*row)(void *self, struct cairn_slice table, struct cairn_slice key,
                struct cairn_slice json);
    void *self;
};
struct cairn_compare_report {
    uint64_t events; /* applied */
    uint64_t rows;   /* replayed */
    uint64_t live_rows;
    uint64_t differences;
    uint64_t left_out; /* rows that only the live view has, of a partial scope */
    uint64_t parked;   /* streams that the replay has parked */
    bool level;        /* both are at one position; false: rows differ by what came between, too */
    struct cairn_position position; /* of the replayed rows */
    struct cairn_position live;     /* of the live ones */
};

/* Replay into a scratch place, which is gone afterwards, and hold it against the live rows at the
 * same position. errors: ENOENT (no such view), EBEHIND (it has no live generation, or that was
 * switched meanwhile, or its parked streams changed), ESCRIPT, EINVAL (an event cannot be applied),
 * ELOCKED (in PostgreSQL: another compares it), ESTOPPED (cancelled), EIO, EFULL; those of
 * platform/pg.h. OK also where there are differences: they are in the report. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_compare(const struct cairn_projector_options *options,
                                                  const struct cairn_compare_request *request,
                                                  const struct cairn_compare_hooks *hooks,
                                                  struct cairn_compare_report *ret_report,
                                                  struct cairn_err *err);

/* ---- parked streams ---- */

/* A stream whose events from `version` on the live generation of a view has not applied, because
 * it could not apply one of them. Everything in the arena it was read into. */
struct cairn_parked {
    struct cairn_slice stream;
    uint64_t version;         /* the first that waits: first event of the command that failed */
    struct cairn_slice event; /* id of the event that failed */
    uint16_t partition;
    uint64_t offset;
    struct cairn_slice error;
    int64_t parked_us;      /* when, UTC */
    uint64_t until_version; /* 0: it waits; else the events up to this one were given up */
};

/* Ordered by stream. errors: ENOENT (no such view, or it has no live generation), EIO, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_parked(const struct cairn_projector_options *options,
                                                 struct cairn_slice view, struct cairn_arena *arena,
                                                 struct cairn_parked **ret_parked,
                                                 size_t *ret_count, struct cairn_err *err);
/* Apply what waits of a stream, up to where the view is, in order, in one transaction; from then on
 * the stream flows again. *ret_events: how many. errors: ENOENT (no such view, or the stream does
 * not wait), ESCRIPT, EINVAL (it failed again: it stays parked, with the new error), EIO. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_view_parked_retry(const struct cairn_projector_options *options, struct cairn_slice view,
                        struct cairn_slice stream, uint64_t *ret_events, struct cairn_err *err);
/* Give up what waits of a stream, up to where the view is; from then on it flows again. A rebuild
 * tries these events once more. *ret_events: how many. errors: ENOENT, EIO. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_parked_drop(const struct cairn_projector_options *options,
                                                      struct cairn_slice view,
                                                      struct cairn_slice stream,
                                                      uint64_t *ret_events, struct cairn_err *err);

#endif
