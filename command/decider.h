/* The domain's code as the command side sees it: decide and evolve behind one small interface.
 *
 * The Lua host is one implementation; a domain written in C would be another. All calls of one
 * decider come from one thread at a time. decide is pure; evolve changes the state it is given and
 * never refuses: history is already true. */
#ifndef CAIRN_COMMAND_DECIDER_H
#define CAIRN_COMMAND_DECIDER_H

#include "schemas/domain.h"

/* Bytes that all hosts of a Lua decider may take together, where the limits do not say. */
#define CAIRN_DECIDER_MEMORY_DEFAULT ((size_t)256 << 20)

/* A state as the decider keeps it; 0 is none. */
typedef int cairn_state;

/* What decide is told beside state and command. */
struct cairn_decide_context {
    int64_t time_us;
    struct cairn_slice stream;
    struct cairn_slice id;
    uint64_t version;             /* of the stream now */
    struct cairn_slice principal; /* may be empty */
    struct cairn_slice request_id;
};

/* One event that decide asks for. In the call's arena. */
struct cairn_decided {
    struct cairn_slice type;
    struct cairn_value data; /* CAIRN_MAP */
};

struct cairn_decision {
    struct cairn_decided *events; /* count may be 0: accepted, nothing to say */
    size_t count;
    bool rejected;
    struct cairn_slice code;   /* of a rejection: "account-closed" */
    struct cairn_slice detail; /* for people */
    const char *place;         /* of a failure: "account.lua:12", in arena, or NULL */
};

struct cairn_decider {
    /* A fresh state (snapshot NULL), or one from what save gave. */
    enum cairn_rc (*open_state)(void *self, struct cairn_slice aggregate,
                                const struct cairn_value *snapshot, cairn_state *ret_state,
                                struct cairn_err *err);
    /* errors: ESCRIPT (place is set), ENOMEM. A rejection is OK with rejected set. state is
     * unchanged. */
    enum cairn_rc (*decide)(void *self, const struct cairn_domain_command *command,
                            cairn_state state, const struct cairn_value *data,
                            const struct cairn_decide_context *context, struct cairn_arena *arena,
                            struct cairn_decision *ret_decision, struct cairn_err *err);
    /* Apply one event in place. After a failure the state must be closed. errors: ESCRIPT, ENOMEM.
     */
    enum cairn_rc (*evolve)(void *self, struct cairn_slice aggregate, cairn_state state,
                            struct cairn_slice type, const struct cairn_value *data,
                            const struct cairn_event *event, struct cairn_arena *arena,
                            struct cairn_err *err);
    /* The state as a value in arena, for snapshots and for GET .../state. */
    enum cairn_rc (*save)(void *self, cairn_state state, struct cairn_arena *arena,
                          struct cairn_value *ret_value, struct cairn_err *err);
    void (*close_state)(void *self, cairn_state state);
    /* Bytes all states and code take: what the cache is bounded by. */
    size_t (*memory)(void *self);
    void (*free)(void *self);
    void *self;
};

/* The Lua decider of a domain: one host for each aggregate's script. Free with
 * decider->free(decider->self). */
CAIRN_MUST_CHECK enum cairn_rc cairn_decider_lua(const struct cairn_domain *domain,
                                                 const struct cairn_lua_limits *limits,
                                                 struct cairn_decider *ret_decider,
                                                 struct cairn_err *err);

#endif
