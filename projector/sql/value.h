/* What a statement's parameters take from an event. thread: any. */
#ifndef CAIRN_PROJECTOR_SQL_VALUE_H
#define CAIRN_PROJECTOR_SQL_VALUE_H

#include "platform/value.h"
#include "schemas/event.h"
#include "schemas/sql_view.h"

#define CAIRN_SQL_PATH_MAX 16 /* names in "address.city" */

/* A parameter, looked up once. */
struct cairn_sql_source {
    enum cairn_sql_origin origin;
    struct cairn_slice path[CAIRN_SQL_PATH_MAX]; /* borrowed from the name */
    size_t path_count;
};

/* name: ":amount" without its colon. EINVAL: it has more names than CAIRN_SQL_PATH_MAX. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_source_find(struct cairn_slice name,
                                                     struct cairn_sql_source *ret_source,
                                                     struct cairn_err *err);

/* The value as text, which lives as long as arena, whatever becomes of event and data; data NULL:
 * SQL's NULL, also for a member that is missing. Numbers as JSON writes them, lists and maps as
 * their JSON. ENOMEM, ETOOBIG. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_source_read(const struct cairn_sql_source *source, const struct cairn_event *event,
                      const struct cairn_value *data, struct cairn_arena *arena,
                      struct cairn_slice *ret_text, struct cairn_err *err);

#endif
