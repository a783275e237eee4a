/* A projection: a view's script in a Lua host of its own, applied to events.
 *
 * A handler is called with the view's handle and the event; its get, put and delete go to the
 * write-set of the batch. It is pure: rows that the batch has not touched come from a reader that
 * the caller gives, nothing else comes in. thread: owner. */
#ifndef CAIRN_PROJECTOR_LMDB_PROJECTION_H
#define CAIRN_PROJECTOR_LMDB_PROJECTION_H

#include "projector/lmdb/view_meta.h"
#include "projector/lmdb/writeset.h"
#include "schemas/domain.h"

/* A row as it is packed. */
#define CAIRN_VIEW_ROW_BYTES_MAX (1024u * 1024u)

struct cairn_projection;

/* The rows as they were before the batch. */
struct cairn_row_reader {
    /* ret_packed is valid as long as the batch. ENOENT: there is none. */
    enum cairn_rc (*get)(void *self, struct cairn_slice key, struct cairn_slice *ret_packed,
                         struct cairn_err *err);
    void *self;
};

/* Run the script and find the view in it. name and script are copied. errors: ESCRIPT (the script
 * fails, defines no view of that name, more than CAIRN_VIEW_INDEXES_MAX indexes), ENOMEM. Caller
 * frees. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_projection_new(struct cairn_slice name, struct cairn_slice script_name,
                     struct cairn_slice script, const struct cairn_lua_limits *limits,
                     struct cairn_projection **ret_projection, struct cairn_err *err);
void cairn_projection_free(struct cairn_projection *projection);

/* Its view.version and its indexes; the hash is not filled in. Lives as long as the projection. */
const struct cairn_view_code *cairn_projection_code(const struct cairn_projection *projection);
/* view.on_error: does an event that cannot be applied park its stream ("park"), or stop the view
 * ("stop", which it is when nothing is said)? */
bool cairn_projection_parks(const struct cairn_projection *projection);
bool cairn_projection_handles(const struct cairn_projection *projection, struct cairn_slice type);

/* Begin a batch. Rows and the write-set live in arena. */
void cairn_projection_begin(struct cairn_projection *projection, struct cairn_arena *arena,
                            const struct cairn_row_reader *reader);
/* Call the handler of the event's type (none: nothing happens). value: cairn_event_value.
 * errors: ESCRIPT, what the script did wrong: the command must be undone, or the batch be dropped;
 * ENOMEM, EIO, ECORRUPT: not the script's fault. */
CAIRN_MUST_CHECK enum cairn_rc cairn_projection_apply(struct cairn_projection *projection,
                                                      struct cairn_slice type,
                                                      const struct cairn_value *value,
                                                      struct cairn_err *err);
/* A command begins; and what was applied of it is taken back. */
void cairn_projection_mark(struct cairn_projection *projection);
void cairn_projection_undo(struct cairn_projection *projection);
/* What the batch wrote so far. */
struct cairn_writeset *cairn_projection_writes(struct cairn_projection *projection);

/* The event as handlers see it: id, type, stream, aggregate, aggregate_id, version, time, time_us,
 * partition, offset, principal (where there is one), data. Everything in arena, but for what event
 * and data point to. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_projection_event(const struct cairn_event *event,
                                                      const struct cairn_value *data,
                                                      struct cairn_arena *arena,
                                                      struct cairn_value *ret_value);

#endif
