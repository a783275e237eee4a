/* What the server's catalogue says of a view's tables and statements, for schemas/sql_shape.h.
 * thread: owner of the connection. */
#ifndef CAIRN_PROJECTOR_SQL_TABLE_H
#define CAIRN_PROJECTOR_SQL_TABLE_H

#include "platform/pg.h"
#include "schemas/sql_shape.h"

#define CAIRN_SQL_TABLES_MAX 256 /* of one schema */

/* The tables of a schema, by name; in arena. errors: ETOOBIG (more than CAIRN_SQL_TABLES_MAX), as
 * cairn_pg_query. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_tables_read(struct cairn_pg *pg, struct cairn_slice schema,
                                                     struct cairn_arena *arena,
                                                     struct cairn_sql_table **ret_tables,
                                                     size_t *ret_count, struct cairn_err *err);
/* Names of types as cairn_sql_shape_read wants them: ret_names[count], in arena. oids: from
 * cairn_pg_describe. errors: as cairn_pg_query; EINVAL: an OID is no type. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_types_read(struct cairn_pg *pg, const uint32_t *oids,
                                                    size_t count, struct cairn_arena *arena,
                                                    struct cairn_slice *ret_names,
                                                    struct cairn_err *err);

#endif
