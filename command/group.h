/* A group: commands that are settled together and share one append and one sync.
 *
 * The driver of a lane begins a group, adds commands in the order they came, settles it, and only
 * then wakes who waits: until the append has returned, nobody hears anything, because even a
 * rejection may rest on an event that is not yet durable. thread: owner (the lane's driver). */
#ifndef CAIRN_COMMAND_GROUP_H
#define CAIRN_COMMAND_GROUP_H

#include "command/fold.h"
#include "command/keys.h"
#include "command/propose.h"

#define CAIRN_GROUP_COMMANDS_MAX CAIRN_GROUP_APPENDS_MAX
/* Decisions of one command: after that many conflicts the client is told. */
#define CAIRN_DECISIONS_MAX 8
/* Bytes of the events of one append, with what lies about them. */
#define CAIRN_GROUP_ARENA_MAX (4 * (size_t)CAIRN_GROUP_BYTES_MAX)
/* The part of the decider's memory that cached states may fill, in percent. */
#define CAIRN_CACHE_MEMORY_PERCENT 75u

/* What a lane counts. Each may be NULL. */
struct cairn_group_metrics {
    struct cairn_metric *groups;
    struct cairn_metric *commands;
    struct cairn_metric *appends;
    struct cairn_metric *hits;
    struct cairn_metric *misses;
};

struct cairn_group_slot; /* a command on its way to its answer */

struct cairn_group {
    struct cairn_store *store;
    const struct cairn_domain *domain;
    struct cairn_keys *keys; /* of all lanes; NULL where there is only one */
    uint16_t lane;
    uint64_t term; /* of the lane, when the cached states were true */
    struct cairn_log *log;
    struct cairn_group_metrics metrics;

    struct cairn_decider decider;    /* owned */
    struct cairn_upcaster *upcaster; /* owned */
    struct cairn_fold fold;
    struct cairn_proposer proposer;
    struct cairn_cache cache;

    struct cairn_group_slot *slots; /* count of them are used, in slot_arena */
    size_t count;
    size_t max;
    struct cairn_arena slot_arena; /* until the next begin */

    struct cairn_append *appends; /* what the next commit writes, in arena */
    struct cairn_hot **pinned;    /* aggregates those appends changed, in arena */
    size_t append_count;
    size_t append_max;
    size_t pinned_count;
    size_t bytes;                  /* of the appends, about */
    struct cairn_map first_of_key; /* key -> slot that brought it, of the running append */
    struct cairn_arena arena;      /* until the next commit */
};

/* errors: ESCRIPT (a script of the domain does not run), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_group_init(struct cairn_group *group,
                                                const struct cairn_service_options *options,
                                                uint16_t lane, struct cairn_keys *keys,
                                                struct cairn_err *err);
/* Safe on a zeroed group, and on one whose init failed. */
void cairn_group_fini(struct cairn_group *group);

/* Begin a group of at most max commands. errors: ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_group_begin(struct cairn_group *group, size_t max,
                                                 struct cairn_err *err);
/* Add a command; all of it is borrowed until the group is settled. answer is overwritten. */
void cairn_group_add(struct cairn_group *group, const struct cairn_command *command,
                     struct cairn_answer *answer, struct cairn_arena *arena);
/* Fill every answer. Blocks on disk. */
void cairn_group_settle(struct cairn_group *group);

#endif
