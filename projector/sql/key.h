/* The key of a SQL view: does what its file names (-- key:) tell the rows of the table apart? By it
 * rows are asked for and pages go on, so that of two rows of one key one would never be seen. */
#ifndef CAIRN_PROJECTOR_SQL_KEY_H
#define CAIRN_PROJECTOR_SQL_KEY_H

#include "platform/pg.h"
#include "schemas/sql_view.h"

/* Every column of the key is there and NOT NULL, and the primary key or a unique index, of all rows
 * and over columns alone, is over these or fewer of them; and no other column is called "key",
 * which is the name that a row's key is served under. schema: where the table is. A view may name
 * no key. errors: EUNSUPPORTED (it is not so; the text says which column or what is missing),
 * EBEHIND (there is no such table), those of platform/pg.h. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_key_check(struct cairn_pg *pg, struct cairn_slice schema,
                                                   const struct cairn_sql_view *view,
                                                   struct cairn_err *err);

#endif
