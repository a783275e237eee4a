/* One command against one state: what the domain's code answers, checked and packed for the log. */
#ifndef CAIRN_COMMAND_PROPOSE_H
#define CAIRN_COMMAND_PROPOSE_H

#include "command/cache.h"
#include "command/service.h"

/* Bytes that deciding one command may take. */
#define CAIRN_PROPOSE_ARENA_MAX ((size_t)128 << 20)
/* What an event takes in a group beside its texts and data, rounded up. */
#define CAIRN_PROPOSE_EVENT_BYTES 160u

/* Events that wait to be appended. */
struct cairn_proposal {
    struct cairn_event *events;          /* in the arena of the group */
    const struct cairn_decided *decided; /* the same, as values; until the next propose */
    size_t count;                        /* 0: accepted, nothing to say */
    size_t bytes;                        /* they take about that much of a group */
};

/* What proposing works with. thread: owner. */
struct cairn_proposer {
    const struct cairn_domain *domain;
    const struct cairn_decider *decider;
    const struct cairn_clock *clock;
    const struct cairn_random *random;
    struct cairn_uuid_source ids;
    struct cairn_arena scratch; /* of one command */
    struct cairn_buf packed;    /* of one event's data */
};

void cairn_proposer_init(struct cairn_proposer *proposer,
                         const struct cairn_service_options *options,
                         const struct cairn_decider *decider);
void cairn_proposer_fini(struct cairn_proposer *proposer);

/* Decide command on hot's state. Nothing changes but answer, which becomes what the client is told
 * once the events are in the log: version, events, created; or the code and detail of a rejection;
 * or the place of a failure. answer->stream is set before.
 *
 * arena:        gets what answer points to.
 * group_arena:  gets the events and their data.
 * errors:       EREJECTED, ESCRIPT (threw, nonsense, or an event that its schema refuses), ETOOBIG,
 *               ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_propose(struct cairn_proposer *proposer, const struct cairn_command *command,
              const struct cairn_hot *hot, struct cairn_answer *answer, struct cairn_arena *arena,
              struct cairn_arena *group_arena, struct cairn_proposal *ret_proposal,
              struct cairn_err *err);
/* Evolve hot's state by the proposal just made and move its version. After a failure (ESCRIPT,
 * ENOMEM) the state is spoilt and must be closed. */
CAIRN_MUST_CHECK enum cairn_rc cairn_propose_apply(struct cairn_proposer *proposer,
                                                   const struct cairn_proposal *proposal,
                                                   struct cairn_hot *hot, struct cairn_err *err);

#endif
