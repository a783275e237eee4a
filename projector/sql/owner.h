/* Whose rows those of a table are, as far as its statements tell. Pure. thread: any. */
#ifndef CAIRN_PROJECTOR_SQL_OWNER_H
#define CAIRN_PROJECTOR_SQL_OWNER_H

#include "projector/sql/value.h"
#include "schemas/sql_shape.h"

enum cairn_sql_owner {
    CAIRN_SQL_OF_ANYBODY,
    CAIRN_SQL_OF_ID,    /* their key has the id of the event's aggregate in it */
    CAIRN_SQL_OF_STREAM /* their key has the event's stream in it */
};

/* shapes, sources: of all statements of the view, side by side. */
enum cairn_sql_owner cairn_sql_owner(size_t table, const struct cairn_sql_shape *shapes,
                                     const struct cairn_sql_source *const *sources, size_t count);

#endif
