/* What waits of a parked stream of a SQL view, inside of a transaction that changes its row.
 * thread: the connection's owner. */
#ifndef CAIRN_PROJECTOR_SQL_WAITING_H
#define CAIRN_PROJECTOR_SQL_WAITING_H

#include "projector/sql/follower.h"

#define CAIRN_SQL_WAITING_BYTES_MAX ((size_t)256 * 1024 * 1024) /* of a page of events */

struct cairn_sql_waiting {
    struct cairn_pg *pg; /* borrowed; inside of the transaction */
    struct cairn_store *store;
    struct cairn_slice domain;
    struct cairn_slice view;
    struct cairn_slice stream;
    uint64_t generation;
    uint64_t version;                      /* from which on it waits */
    struct cairn_position position;        /* of the generation: so far it waits */
    const struct cairn_parked_set *except; /* not these events; NULL: all */
    bool careful;                          /* row by row, no arrays: behind a failure */
    uint64_t events;                       /* seen by the walk */
    uint64_t last_version;                 /* of these */
    struct cairn_arena arena; /* of the page in hand; max is CAIRN_SQL_WAITING_BYTES_MAX */
};

/* The next events that wait, in the arena. None: that was all. errors: ECORRUPT, EIO, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_waiting_next(struct cairn_sql_waiting *waiting,
                                                      struct cairn_event_page *page,
                                                      struct cairn_err *err);

/* Its row in _cairn_parked, which is changed by statements that begin so and end so: parameters $1
 * to $4 are the row's key. */
#define CAIRN_SQL_WAITING_ROW                                                                      \
    "WHERE view = $1 AND generation = $2::bigint AND stream = $3 AND version = $4::bigint AND "    \
    "until_version = 0"
/* Behind "WITH changed AS (...": the generation counts the change. */
#define CAIRN_SQL_WAITING_COUNTED                                                                  \
    " RETURNING view, generation) UPDATE %s._cairn_view v SET parks = parks + 1, updated = now() " \
    "FROM changed c WHERE v.view = c.view AND v.generation = c.generation"
#define CAIRN_SQL_WAITING_MORE_MAX 3
/* Run such a statement. more: its parameters from $5 on. errors: EFENCED (there is no such row);
 * those of platform/pg.h. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_waiting_change(const struct cairn_sql_waiting *waiting,
                                                        const char *format,
                                                        const struct cairn_slice *more,
                                                        size_t more_count, struct cairn_err *err);
/* Commit, or where rc is a failure roll back and keep it. EUNKNOWN: the connection was lost at the
 * commit. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_waiting_end(const struct cairn_sql_waiting *waiting,
                                                     enum cairn_rc rc, struct cairn_err *err);

/* An event that failed again, and why. */
struct cairn_sql_again {
    bool failed;
    char event[CAIRN_UUID_TEXT_SIZE];
    char place[48]; /* "0:17" */
    struct cairn_err why;
};
/* Apply what waits by the statements of its generation's follower, whose connection it is, take the
 * row away and commit. EINVAL with ret_again->failed: an event is refused again, nothing was
 * applied; where that was not careful, only doing it carefully tells. errors: of all of these. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_waiting_apply(struct cairn_sql_waiting *waiting,
                                                       struct cairn_sql_follower *follower,
                                                       struct cairn_sql_again *ret_again,
                                                       struct cairn_err *err);

#endif
