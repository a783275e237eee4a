/* A chunk of commands over this node and others: each goes to the owner of its lane.
 *
 * In a round, this node's commands are carried out here while one request to every other owner
 * carries its own, all at the same time; answers come back in the order of the commands. What was
 * refused by everybody for want of an owner goes into the next round as long as the request's
 * patience lasts. A lane goes on as a whole: once one of its commands has an answer, those refused
 * beside it are not tried again, so that commands of one stream never change places. */
#ifndef CAIRN_COMMAND_SPREAD_H
#define CAIRN_COMMAND_SPREAD_H

#include "command/forward.h"
#include "command/patience.h"
#include "command/service.h"

#define CAIRN_SPREAD_OWNERS_MAX 16                /* asked in one round; others wait for the next */
#define CAIRN_SPREAD_BODY_BYTES ((size_t)4 << 20) /* of one request to an owner */

struct cairn_spread {
    struct cairn_forward *forward;
    struct cairn_service *service;
    const struct cairn_http_request *request;
    struct cairn_patience patience; /* of the whole request, all chunks */
    size_t body_bytes;              /* of one request to an owner, about; > 0. A longer single
                                       command goes alone */
};

/* Carry count commands out, wherever, and wait for all answers.
 *
 * answers: [count], filled where foreign says NULL.
 * foreign: [count], the owner's answer as it gave it, of the batch form; or NULL.
 * arena:   gets what both point to.
 * thread:  owner; starts one more for each other owner. */
void cairn_spread_execute(struct cairn_spread *spread, const struct cairn_command *commands,
                          struct cairn_answer *answers, const struct cairn_value **foreign,
                          size_t count, struct cairn_arena *arena);

#endif
