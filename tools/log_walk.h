/* A whole log from its beginning to its end, command by command, with progress on standard error.
 * thread: owner. */
#ifndef CAIRN_TOOLS_LOG_WALK_H
#define CAIRN_TOOLS_LOG_WALK_H

#include "eventstore/store.h"
#include "tools/stop.h"

/* About this many events are read at a time. */
#define CAIRN_LOG_WALK_EVENTS 4000

struct cairn_log_walk {
    struct cairn_store *store;
    struct cairn_stop *stop; /* ends it early: ESTOPPED */
    const char *what;        /* for the progress: "events moved" */
    /* events[0..events->count): the events of one command, borrowed until `batch` returns. */
    enum cairn_rc (*command)(void *self, const struct cairn_event *events, struct cairn_err *err);
    enum cairn_rc (*batch)(void *self, struct cairn_err *err); /* after some commands; or NULL */
    void *self;
};

/* Partition by partition. errors: those of the log's reader and of the two callbacks. */
CAIRN_MUST_CHECK enum cairn_rc cairn_log_walk(const struct cairn_log_walk *walk,
                                              struct cairn_err *err);

#endif
