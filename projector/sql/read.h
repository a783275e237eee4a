/* The reading half of the SQL views: what view_read.h promises, from PostgreSQL.
 *
 * Position and rows of an answer come out of one statement, so out of one snapshot. What a view's
 * table looks like is read once for each generation. thread: any. Failures of the server: EBUSY,
 * EUNREACHABLE, ETIMEDOUT, EIO as platform/pg.h has them. */
#ifndef CAIRN_PROJECTOR_SQL_READ_H
#define CAIRN_PROJECTOR_SQL_READ_H

#include "platform/pg.h"
#include "projector/view_read.h"
#include "schemas/domain.h"

struct cairn_sql_reader;

/* pool: its connections have the domain's schema first in their search_path, read only; borrowed,
 * as domain is. ENOMEM, EINVAL (a name
 * that no schema can have). */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_reader_new(struct cairn_pg_pool *pool,
                                                    const struct cairn_domain *domain,
                                                    struct cairn_sql_reader **ret_reader,
                                                    struct cairn_err *err);
void cairn_sql_reader_free(struct cairn_sql_reader *reader); /* accepts NULL */
/* Is it a SQL view of the domain? */
bool cairn_sql_reader_has(const struct cairn_sql_reader *reader, struct cairn_slice view);
size_t cairn_sql_reader_count(const struct cairn_sql_reader *reader);
/* The state of the domain's n-th SQL view, n from 0; where the server does not answer, that is its
 * error. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_reader_state(struct cairn_sql_reader *reader, size_t n,
                                                      struct cairn_arena *arena,
                                                      struct cairn_view_status *ret_status,
                                                      struct cairn_err *err);

/* As the functions of view_read.h without "sql". */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_view_get(struct cairn_sql_reader *reader, struct cairn_slice view, struct cairn_slice key,
                   struct cairn_arena *arena, struct cairn_value *ret_row,
                   struct cairn_slice *ret_key, struct cairn_position *ret_position,
                   bool *ret_known, struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_view_list(struct cairn_sql_reader *reader,
                                                   const struct cairn_view_query *query,
                                                   struct cairn_arena *arena,
                                                   struct cairn_view_page *ret_page,
                                                   struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_view_status(struct cairn_sql_reader *reader,
                                                     struct cairn_slice view,
                                                     struct cairn_arena *arena,
                                                     struct cairn_view_status *ret_status,
                                                     struct cairn_err *err);
/* How far a view is, for a wait: *ret_building while there is no generation to read. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_view_held(struct cairn_sql_reader *reader,
                                                   struct cairn_slice view,
                                                   struct cairn_position *ret_held,
                                                   bool *ret_building, bool *ret_stopped,
                                                   struct cairn_err *err);

#endif
