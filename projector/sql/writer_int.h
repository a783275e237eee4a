/* The writer as its parts see it: what is prepared. writer.c opens, writer_pack.c gathers and
 * packs, writer_send.c sends and commits. */
#ifndef CAIRN_PROJECTOR_SQL_WRITER_INT_H
#define CAIRN_PROJECTOR_SQL_WRITER_INT_H

#include "projector/sql/owner.h"
#include "projector/sql/value.h"
#include "projector/sql/writer.h"

#define CAIRN_SQL_PREPARED_NAME_SIZE 32
/* The first statement of every batch. */
#define CAIRN_SQL_MOVE "move"
/* In front of it in a lane, which commits behind a look at what the rows did. */
#define CAIRN_SQL_BEGIN "begin"
/* Of the statements of a pipeline so many at most go ahead of the first row's. */
#define CAIRN_SQL_AHEAD_MAX 2u
/* An array of changes is a join. It goes row by row through the table's key, as its statement does:
 * a server that knows little of a table as it grows would read all of it each time. */
#define CAIRN_SQL_LOOKUPS "lookups"
/* Batches of a lane that are sent alone at once behind one that had to be: the first time, and at
 * most. */
#define CAIRN_SQL_ALONE_FIRST 7u
#define CAIRN_SQL_ALONE_MAX   63u

/* One statement of a handler, prepared. */
struct cairn_sql_prepared {
    const struct cairn_sql_statement *statement;
    struct cairn_sql_source *sources; /* of its parameters */
    /* As it is prepared; its array form has "a" in front, that for lone rows "l". */
    char name[CAIRN_SQL_PREPARED_NAME_SIZE];
};

struct cairn_sql_writer {
    struct cairn_sql_writer_options options;
    struct cairn_arena arena; /* what was learnt at open */
    struct cairn_sql_prepared *prepared;
    struct cairn_sql_shape *shapes; /* side by side with prepared */
    size_t prepared_count;
    size_t firsts[CAIRN_SQL_VIEW_HANDLERS_MAX]; /* each handler's first statement */

    bool divides;                 /* lanes can feed the generation */
    enum cairn_sql_owner *owners; /* in a lane: of the tables of the statements */
    unsigned alone;               /* so many batches of the lane are sent alone */
    unsigned alone_next;          /* and so many behind the next that has to be */
};

#endif
