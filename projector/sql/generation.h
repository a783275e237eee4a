/* The generations of a SQL view: begun, switched in, taken back, dropped. Each is a row of
 * `_cairn_view` and tables in a schema (sql_store.h); docs/architecture/replay.md says what the
 * sides are for.
 *
 * Every change is one transaction on the caller's connection, which nobody else's crosses. Who
 * makes or drops a generation beside the live one holds its lock. thread: the connection's owner.
 * Failures are those of platform/pg.h. */
#ifndef CAIRN_PROJECTOR_SQL_GENERATION_H
#define CAIRN_PROJECTOR_SQL_GENERATION_H

#include "projector/sql/store.h"

/* Take the lock of who builds (CAIRN_SIDE_NEXT) or compares (CAIRN_SIDE_CHECK) the view; it lasts
 * as long as the connection. The one who feeds the generation takes it on that very connection, so
 * that the lock is not lost before the means to write. ELOCKED: another has it; the text says how
 * far that is with a build, or what keeps it from the switch. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_generation_lock(struct cairn_pg *pg, struct cairn_slice domain, struct cairn_slice view,
                          enum cairn_view_side side, struct cairn_err *err);
void cairn_sql_generation_unlock(struct cairn_pg *pg, struct cairn_slice domain,
                                 struct cairn_slice view, enum cairn_view_side side);
/* Has anybody that lock now? */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_generation_is_locked(struct cairn_pg *pg, struct cairn_slice domain,
                               struct cairn_slice view, enum cairn_view_side side, bool *ret_locked,
                               struct cairn_err *err);

/* What a new generation is made from. */
struct cairn_sql_definition {
    struct cairn_slice domain;
    struct cairn_slice view;
    uint32_t version;
    struct cairn_slice hash;   /* hex */
    struct cairn_slice text;   /* of its file */
    const char *const *tables; /* DDL, one statement each */
    size_t table_count;
    uint64_t all; /* events in the log now */
};

/* Begin an empty generation on side next or check, in the place of one that is there: a schema, the
 * tables, a row at the beginning of the log. An old generation that was on its way back goes where
 * it came from. EINVAL: a statement of the DDL is refused; the text says which and why. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_generation_begin(struct cairn_pg *pg, const struct cairn_sql_definition *definition,
                           enum cairn_view_side side, struct cairn_err *err);
/* Put the built generation in the place of the live one, which becomes the old one; what was old
 * before is dropped. Readers see the one or the other. refused: hash of a definition that is not to
 * be built by itself any more; empty: none. errors: EBEHIND (the live one is further: follow on);
 * EBUSY (readers of the live tables did not end in time); EINVAL (something of somebody else stands
 * on them, and would go on with the old rows); ESTOPPED (the build is not there any more). */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_generation_switch(struct cairn_pg *pg, struct cairn_slice domain, struct cairn_slice view,
                            uint64_t generation, struct cairn_slice refused, struct cairn_err *err);
/* Make the old generation the next one, under a new number and where it stands; one that is being
 * built is dropped. all: events in the log now. ENOENT: there is no old one. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_generation_return(struct cairn_pg *pg,
                                                           struct cairn_slice domain,
                                                           struct cairn_slice view, uint64_t all,
                                                           struct cairn_err *err);
/* Undo that: what is on its way back is kept as before, as far as it has come. Nothing happens
 * where nothing is. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_generation_keep(struct cairn_pg *pg,
                                                         struct cairn_slice domain,
                                                         struct cairn_slice view,
                                                         struct cairn_err *err);
/* Drop the generation of a side that is not the live one. ret_dropped: there was one; may be NULL.
 */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_generation_drop(struct cairn_pg *pg, struct cairn_slice domain, struct cairn_slice view,
                          enum cairn_view_side side, bool *ret_dropped, struct cairn_err *err);
/* Nothing is refused any more. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_generation_allow(struct cairn_pg *pg,
                                                          struct cairn_slice domain,
                                                          struct cairn_slice view,
                                                          struct cairn_err *err);
/* The names of a generation's tables, in order, a row each. parts: those that are partitions of
 * another, too. Caller frees. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_generation_tables(struct cairn_pg *pg, struct cairn_slice domain, struct cairn_slice view,
                            enum cairn_view_side side, bool parts,
                            struct cairn_pg_result **ret_tables, struct cairn_err *err);
/* All generations of a view that is gone, the live one last, inside of the caller's transaction. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_generations_delete(struct cairn_pg *pg,
                                                            struct cairn_slice domain,
                                                            struct cairn_slice view,
                                                            struct cairn_err *err);

#endif
