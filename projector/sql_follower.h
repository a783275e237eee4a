/* One generation of a SQL view on its way along the log: a connection, the statements, a source.
 *
 * thread: owner. */
#ifndef CAIRN_PROJECTOR_SQL_FOLLOWER_H
#define CAIRN_PROJECTOR_SQL_FOLLOWER_H

#include "projector/source.h"
#include "projector/sql_writer.h"
#include "schemas/domain.h"

struct cairn_sql_follower {
    struct cairn_pg *pg; /* owned */
    struct cairn_sql_writer *writer;
    struct cairn_source *source; /* NULL until the first step, and after a failure */
    struct cairn_upcaster *upcaster;
    struct cairn_arena arena; /* of the definition and the head */
    struct cairn_arena batch; /* rows; texts of the head that follows */
    struct cairn_arena event; /* the data of the event in hand */
    struct cairn_store *store;
    struct cairn_slice domain;
    struct cairn_slice view;
    enum cairn_view_side side;
    struct cairn_sql_head head; /* as committed; its place lies in place_text */
    char *place_text;           /* owned */
    /* Among so many events from the head on is one that was refused: each read is a batch. */
    uint64_t suspects;
    bool careful; /* one command a transaction, to find the one that fails */

    /* Where and why a statement failed. */
    bool failed;
    struct cairn_err failure;
    char failed_event[CAIRN_UUID_TEXT_SIZE + 1];
};

struct cairn_sql_follower_options {
    const char *uri;
    const struct cairn_domain *domain;
    struct cairn_store *store;
    struct cairn_slice view;
    enum cairn_view_side side;
};

/* Connect, read the generation's row and its definition, prepare. The definition is the one in the
 * row, so that an old generation goes on by what made it. errors: ENOENT (no such generation),
 * EINVAL (its statements are refused), those of platform/pg.h. Free with cairn_sql_follower_close.
 */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_follower_open(const struct cairn_sql_follower_options *options,
                        struct cairn_sql_follower **ret_follower, struct cairn_err *err);
/* Accepts NULL. */
void cairn_sql_follower_close(struct cairn_sql_follower *follower);

/* One batch of about max_events. *ret_events: how many were applied, 0 at the end of the log, or
 * when `failed` was set: then the row says so, too. errors: EFENCED (open it anew), EIO, ECORRUPT
 * of the log; those of platform/pg.h (open it anew, after a pause). */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_follower_step(struct cairn_sql_follower *follower,
                                                       size_t max_events, size_t *ret_events,
                                                       struct cairn_err *err);

#endif
