/* One owner's part of a chunk: a batch in msgpack on its way there and back; for spread.c alone. */
#ifndef CAIRN_COMMAND_SPREAD_PART_H
#define CAIRN_COMMAND_SPREAD_PART_H

#include <pthread.h>

#include "command/spread.h"

struct cairn_spread_part {
    struct cairn_owner owner;
    struct cairn_buf body; /* owned */
    size_t count;          /* commands in it */
    bool full;             /* what else is for this owner waits for the next round */
    const struct cairn_spread *spread;
    pthread_t thread;
    bool started;             /* the thread runs */
    struct cairn_arena arena; /* of the request; owned */
    enum cairn_rc rc;         /* of the request */
    struct cairn_err err;
    struct cairn_http_answer answer; /* in arena */
};

/* Fresh, for an owner. */
void cairn_spread_part_init(struct cairn_spread_part *part, const struct cairn_spread *spread,
                            const struct cairn_owner *owner);
/* Add a command; *ret_added is false when there is no room for it in this round. errors: ENOMEM,
 * ETOOBIG, EMALFORMED (data nested too deep to be an item of an array): the command can never go.
 */
CAIRN_MUST_CHECK enum cairn_rc cairn_spread_part_add(struct cairn_spread_part *part,
                                                     const struct cairn_command *command,
                                                     bool *ret_added, struct cairn_err *err);
/* Send it on a thread of its own, and wait for that; where no thread can be had, end sends it. */
void cairn_spread_part_begin(struct cairn_spread_part *part);
void cairn_spread_part_end(struct cairn_spread_part *part);
/* The answers, one for each command, in arena. *ret_single: all commands got this one problem.
 * errors: ENOOWNER, EBUSY, ENOMEM: nothing was sent; EUNKNOWN. */
CAIRN_MUST_CHECK enum cairn_rc cairn_spread_part_read(struct cairn_spread_part *part,
                                                      struct cairn_arena *arena,
                                                      const struct cairn_value **ret_answers,
                                                      bool *ret_single, struct cairn_err *err);
void cairn_spread_part_fini(struct cairn_spread_part *part);

#endif
