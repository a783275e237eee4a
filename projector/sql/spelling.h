/* Values of keys as texts that can be compared. Pure. thread: any. */
#ifndef CAIRN_PROJECTOR_SQL_SPELLING_H
#define CAIRN_PROJECTOR_SQL_SPELLING_H

#include "schemas/sql_shape.h"

/* One spelling for each value: what the server may take for equal has equal bytes. False: this
 * spelling is not known, it may be equal to any. *number: the caller's, holds the bytes of one. */
bool cairn_sql_spell(enum cairn_sql_key_type type, struct cairn_slice text, int64_t *number,
                     struct cairn_slice *ret_bytes);

#endif
