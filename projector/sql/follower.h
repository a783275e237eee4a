/* One generation of a SQL view on its way along the log: a connection, the statements, a source.
 *
 * thread: owner. */
#ifndef CAIRN_PROJECTOR_SQL_FOLLOWER_H
#define CAIRN_PROJECTOR_SQL_FOLLOWER_H

#include "projector/scope.h"
#include "projector/source.h"
#include "projector/sql/batch.h"
#include "schemas/domain.h"

/* A read of the log, of which what lies before an event was taken. */
struct cairn_sql_read {
    struct cairn_chunks chunks;
    size_t chunk; /* chunks.count: all was taken */
    size_t event;
};

struct cairn_sql_follower {
    struct cairn_pg *pg; /* owned */
    struct cairn_sql_writer *writer;
    struct cairn_source *source; /* NULL until the first step, and after a failure */
    struct cairn_sql_read read;  /* the last of the source, which a batch may have cut */
    struct cairn_sql_batch batches[2];
    struct cairn_sql_batch *batch; /* in hand, or in flight */
    struct cairn_sql_batch *next;  /* behind it: is filled while that one is in flight */
    bool ahead;                    /* the one in hand is packed: it was filled so */
    struct cairn_upcaster *upcaster;
    struct cairn_arena arena; /* of the definition and the head */
    struct cairn_arena event; /* the data of the event in hand */
    struct cairn_store *store;
    struct cairn_slice domain;
    struct cairn_slice view;
    enum cairn_view_side side;
    const struct cairn_replay_scope *scope; /* borrowed; NULL: everything */
    struct cairn_position until;            /* no further than this, which lies between commands */
    bool has_until;
    uint64_t taken;             /* events inside of the scope that were not left out as
                                   parked, since it was opened */
    struct cairn_sql_head head; /* as committed; its place lies in place_text */
    char *place_text;           /* owned */
    /* Among so many events from the head on is one that was refused; so many commands may be tried
     * together there. */
    uint64_t suspects;
    size_t sift_commands;

    const struct cairn_sql_lane *lane; /* borrowed; NULL: all partitions */

    bool parks;                     /* on_error: park */
    struct cairn_parked_set parked; /* as the head has it */
    struct cairn_log *log;          /* borrowed; may be NULL */

    /* Where and why a statement failed. */
    bool failed;
    struct cairn_err failure;
    char failed_event[CAIRN_UUID_TEXT_SIZE + 1];
    uint16_t failed_partition;
    uint64_t failed_offset;
};

struct cairn_sql_follower_options {
    const char *uri;
    const struct cairn_domain *domain;
    struct cairn_store *store;
    struct cairn_slice view;
    enum cairn_view_side side;
    const struct cairn_replay_scope
        *scope;            /* only these events; NULL: all; outlives the follower */
    struct cairn_pg *pg;   /* a connection of cairn_sql_follower_connect to go on with: it is taken,
                              also on failure; NULL: it makes one */
    struct cairn_log *log; /* told of each stream that is parked; may be NULL */
    const struct cairn_sql_lane *lane; /* only its partitions, from where it stands, as far as
                                          cairn_sql_follower_set_until says before the first step;
                                          of a generation that divides and does not park. NULL: all.
                                          Outlives the follower */
};

/* A connection such as the follower uses, for who has something to do on it first. Of the options
 * that are above it looks at uri, domain, view and side. errors: EINVAL (names too long), those of
 * platform/pg.h. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_follower_connect(const struct cairn_sql_follower_options *options,
                           struct cairn_pg **ret_pg, struct cairn_err *err);

/* Connect, read the generation's row and its definition, prepare. The definition is the one in the
 * row, so that an old generation goes on by what made it. errors: ENOENT (no such generation),
 * EINVAL (its statements are refused), those of platform/pg.h. Free with cairn_sql_follower_close.
 */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_follower_open(const struct cairn_sql_follower_options *options,
                        struct cairn_sql_follower **ret_follower, struct cairn_err *err);
/* Accepts NULL. */
void cairn_sql_follower_close(struct cairn_sql_follower *follower);

/* Read again where the generation stands, behind what somebody else did to its row. errors: ENOENT
 * (there is none), ENOMEM; those of platform/pg.h. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_follower_refresh(struct cairn_sql_follower *follower,
                                                          struct cairn_err *err);
/* Go no further than this position of whole commands, from now on; NULL: to the end of the log. */
void cairn_sql_follower_set_until(struct cairn_sql_follower *follower,
                                  const struct cairn_position *until);

/* One batch of about max_events. While the server works on it, the one behind it is read and packed
 * for the next step, where there is as much; nothing is in flight between steps. *ret_events: how
 * many were applied, 0 at the end of the log or where it is to go no further, or when `failed` was
 * set: then the row says so, too. errors: EFENCED (open it anew), EIO, ECORRUPT of the log; those
 * of platform/pg.h (open it anew, after a pause). */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_follower_step(struct cairn_sql_follower *follower,
                                                       size_t max_events, size_t *ret_events,
                                                       struct cairn_err *err);
/* Of one that failed: EINVAL, with the event and its place in front of why. */
enum cairn_rc cairn_sql_follower_refusal(const struct cairn_sql_follower *follower,
                                         struct cairn_err *err);
/* Put the rows of an event into a parcel, such as that of the batch in hand, for who commits it
 * without a step. EINVAL: the event cannot be lifted to its current version, or is too big. tag: as
 * for cairn_sql_writer_add. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_follower_take(struct cairn_sql_follower *follower,
                                                       struct cairn_sql_parcel *parcel,
                                                       const struct cairn_event *event, size_t tag,
                                                       struct cairn_err *err);

#endif
