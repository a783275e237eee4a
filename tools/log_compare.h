/* Two logs, event by event. thread: owner. */
#ifndef CAIRN_TOOLS_LOG_COMPARE_H
#define CAIRN_TOOLS_LOG_COMPARE_H

#include "tools/log_walk.h"

struct cairn_log_compare {
    struct cairn_store *part;  /* every command of this one ... */
    struct cairn_store *whole; /* ... is looked for in this one */
    struct cairn_stop *stop;
    const char *what; /* for the progress: "events compared" */
};

/* Is every command of part in whole, alike in all but its place in the log? Partitions of whole
 * that hold their commands in the order in which part is walked are read from end to end beside it;
 * in others each command is looked up. errors: ECONFLICT (names version and stream of the first
 * that is not), ESTOPPED, those of readers. */
CAIRN_MUST_CHECK enum cairn_rc cairn_log_compare(const struct cairn_log_compare *compare,
                                                 struct cairn_err *err);
/* The same, and whole holds nothing else. */
CAIRN_MUST_CHECK enum cairn_rc cairn_log_compare_all(const struct cairn_log_compare *compare,
                                                     struct cairn_err *err);

#endif
