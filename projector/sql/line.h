/* One SQL view on its way: its live generation is followed, and what is to take its place is built
 * beside it, in turn. A thread of sql_runner.c has it. thread: owner. */
#ifndef CAIRN_PROJECTOR_SQL_LINE_H
#define CAIRN_PROJECTOR_SQL_LINE_H

#include <stdatomic.h>

#include "projector/lmdb/follower.h"
#include "projector/projector.h"
#include "projector/sql/build.h"

struct cairn_sql_line {
    const struct cairn_projector_options *options; /* borrowed; its clock is there */
    struct cairn_views *views;                     /* borrowed: whose waiters are told of commits */
    const atomic_bool *stopping;                   /* borrowed: ends naps */
    const struct cairn_domain_view *definition;    /* borrowed */
    char hash[33];                                 /* of it */
    struct cairn_follower_metrics metrics;

    bool open;                       /* what is to be done is known, as of the last look */
    struct cairn_sql_follower *live; /* NULL: nothing to follow, or not open */
    struct cairn_sql_build *build;   /* NULL: nothing to build, or not now */
    bool waits;                      /* to build: another does, or it has failed */
    int64_t build_ns;                /* when to try that again; monotonic, as all below */
    int64_t looked_ns;               /* when the rows were last read */
    int64_t denied_ns;               /* when a switch last came to nothing; 0: never */
    uint64_t denied_why;             /* hash of what was said of that, so that it is said once */
    bool waits_for_lock;             /* others have the rows or tables; said once */
    int64_t failed_ns;               /* when an event last could not be applied */
    char failed_event[CAIRN_UUID_TEXT_SIZE + 1]; /* which, so that it is said once */
    bool refused; /* the definition was rolled back from; said once */
};

/* A batch of each generation, the switch when it is due; where nothing came, wait for the log a
 * moment. After a failure it is to be closed; it opens itself again. errors: EFENCED, ESTOPPED
 * (another moved or switched it: at once), all else after a pause. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_line_turn(struct cairn_sql_line *line,
                                                   struct cairn_err *err);
/* Behind a failure, before it is closed: was it a lock that others did not give back in time, as
 * while what is parked is tried again? Says so once, until a turn succeeds. */
bool cairn_sql_line_is_crowded(struct cairn_sql_line *line, const struct cairn_err *err);
/* Leave everything where it is. */
void cairn_sql_line_close(struct cairn_sql_line *line);

/* ---- for sql_line.c ---- */

/* Find out what is to be done, and open it. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_line_open(struct cairn_sql_line *line,
                                                   struct cairn_err *err);
/* Begin to build, or go on; or wait for another who does. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_line_build(struct cairn_sql_line *line,
                                                    struct cairn_err *err);

#endif
