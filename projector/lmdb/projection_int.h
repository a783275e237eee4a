/* A projection, as the files see it that make one up. */
#ifndef CAIRN_PROJECTOR_LMDB_PROJECTION_INT_H
#define CAIRN_PROJECTOR_LMDB_PROJECTION_INT_H

#include "platform/map.h"
#include "projector/lmdb/projection.h"

struct cairn_projection {
    struct cairn_lua *lua;
    cairn_lua_ref handle;      /* what handlers get as their first argument */
    struct cairn_map handlers; /* type -> reference of the function */
    struct cairn_arena texts;  /* name, script, columns */
    struct cairn_slice name;
    struct cairn_view_code code;
    bool parks; /* on_error: park */
    struct cairn_writeset writes;
    struct cairn_arena *arena; /* of the batch */
    struct cairn_row_reader reader;
    /* The world failed inside a host function: a script that catches the error must not hide it. */
    enum cairn_rc fault;
    struct cairn_err fault_err;
};

/* Register what handlers call on a view's handle: get, put and delete. */
CAIRN_MUST_CHECK enum cairn_rc cairn_projection_register(struct cairn_projection *projection,
                                                         struct cairn_err *err);

#endif
