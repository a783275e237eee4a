/* A group from inside: how a command stands, and what deciding and committing share. */
#ifndef CAIRN_COMMAND_GROUP_INT_H
#define CAIRN_COMMAND_GROUP_INT_H

#include "command/group.h"

/* Where a command stands. */
enum cairn_slot_phase {
    CAIRN_SLOT_OPEN,      /* to be decided, for the first time or again */
    CAIRN_SLOT_PENDING,   /* its events wait for the commit */
    CAIRN_SLOT_FOLLOWING, /* another command of the running append brought its key */
    CAIRN_SLOT_DONE       /* answered; with `rests_on` set, only if that aggregate's appends hold */
};

struct cairn_group_slot {
    const struct cairn_command *command;
    struct cairn_answer *answer;
    struct cairn_arena *arena;
    enum cairn_slot_phase phase;
    unsigned decisions;                /* taken so far */
    bool holds_key;                    /* in group->keys */
    const struct cairn_append *append; /* of PENDING */
    struct cairn_hot *rests_on;      /* pinned aggregate that the outcome was decided on, or NULL */
    struct cairn_group_slot *leader; /* of FOLLOWING */
};

/* How a decision went on: the slot is settled as far as it can be, or the running append must be
 * committed before it can be decided. */
enum cairn_slot_step { CAIRN_STEP_NEXT, CAIRN_STEP_COMMIT_FIRST };

/* ---- group.c ---- */

/* The answer is there; what the slot held is given back. */
void cairn_slot_finish(struct cairn_group *group, struct cairn_group_slot *slot);
void cairn_slot_fail(struct cairn_group *group, struct cairn_group_slot *slot,
                     const struct cairn_err *err);
/* Fail on the stream's version: actual is what stands against the command. */
void cairn_slot_fail_version(struct cairn_group *group, struct cairn_group_slot *slot,
                             uint64_t actual);

/* ---- group_state.c ---- */

/* The aggregate of a stream with its state. *ret_hot is NULL when the running append has to be
 * committed first. errors: as cairn_fold_load. */
CAIRN_MUST_CHECK enum cairn_rc cairn_group_find_hot(struct cairn_group *group,
                                                    struct cairn_slice stream,
                                                    const struct cairn_domain_aggregate *aggregate,
                                                    struct cairn_hot **ret_hot,
                                                    struct cairn_err *err);
/* Load hot's state again where the store's version is another. After a failure hot has no state. */
CAIRN_MUST_CHECK enum cairn_rc cairn_group_refresh(struct cairn_group *group, struct cairn_hot *hot,
                                                   struct cairn_err *err);
/* Keep a snapshot where enough events have come since the last. hot's state is durable. */
void cairn_group_snapshot(struct cairn_group *group, struct cairn_hot *hot);

/* ---- group_decide.c ---- */

/* Take an open command as far as it can go before the commit. */
enum cairn_slot_step cairn_group_decide(struct cairn_group *group, struct cairn_group_slot *slot);

/* ---- group_commit.c ---- */

/* Write the running append and settle what waited for it. True: some commands are open again. */
bool cairn_group_commit(struct cairn_group *group);

#endif
