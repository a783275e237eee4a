/* The streams that generations of SQL views leave out: rows of `_cairn_parked`.
 *
 * A row comes with the checkpoint that passes its command over, in one statement, and goes with the
 * events that are tried again, in one transaction; each change adds one to the generation's
 * `parks`, with which every checkpoint is compared. docs/architecture/replay.md, "Parking". thread:
 * the connection's owner. */
#ifndef CAIRN_PROJECTOR_SQL_PARKED_H
#define CAIRN_PROJECTOR_SQL_PARKED_H

#include "projector/parked.h"
#include "projector/sql/writer.h"

/* Put what a generation has parked and given up into the set. A set that is read after the
 * generation's head may be ahead of it, never behind: the next checkpoint is refused then. errors:
 * ENOMEM, ETOOBIG; those of platform/pg.h. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_parked_load(struct cairn_pg *pg, struct cairn_slice domain,
                                                     struct cairn_slice view, uint64_t generation,
                                                     struct cairn_parked_set *set,
                                                     struct cairn_err *err);
/* Does a statement that is refused with this SQLSTATE say so because of its event's values, as
 * opposed to how the tables or statements are made, which would be the same for every event? ""
 * (refused on our side): yes. */
bool cairn_sql_parked_blames(const char *sqlstate);

/* A stream to be parked. */
struct cairn_sql_parking {
    const struct cairn_event *failed; /* the event that cannot be applied */
    uint64_t version;                 /* of the first event of its command */
    const char *error;
};
/* Note the stream and move the checkpoint past the command, in one statement. to: as for
 * cairn_sql_writer_commit. errors: EFENCED, as there; those of platform/pg.h. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_parked_add(struct cairn_pg *pg, struct cairn_slice domain, struct cairn_slice view,
                     enum cairn_view_side side, const struct cairn_sql_step_to *to,
                     const struct cairn_sql_parking *parking, struct cairn_err *err);

#endif
