/* Every event of one log into another, as it is: streams, versions, ids, times, data, keys.
 * thread: owner. */
#ifndef CAIRN_TOOLS_LOG_COPY_H
#define CAIRN_TOOLS_LOG_COPY_H

#include "tools/log_walk.h"

struct cairn_log_copy {
    struct cairn_store *from;
    struct cairn_store *to; /* this process may append to each of its lanes */
    struct cairn_stop *stop;
};

/* What is in `to` already, by stream and version, is passed over, so a copy that was cut off goes
 * on where it was. *ret_written: events; set on failure, too. errors: ENOAGGREGATE, ECONFLICT (`to`
 * holds another event at that place), ESTOPPED, those of the reader and of cairn_store_append. */
CAIRN_MUST_CHECK enum cairn_rc cairn_log_copy(const struct cairn_log_copy *copy,
                                              uint64_t *ret_written, struct cairn_err *err);

#endif
