/* The command service: validated commands in, answers out, events durable in between.
 *
 * A command goes to the lane of its stream. A lane is one decider, one cache of hot
 * aggregates and one queue; one thread at a time drives it: the caller's own when nobody else does,
 * else whoever drives it takes the queue along, so that commands which wait share one append and
 * one sync. Order within a lane is the order of submission. */
#ifndef CAIRN_COMMAND_SERVICE_H
#define CAIRN_COMMAND_SERVICE_H

#include "command/decider.h"
#include "eventstore/store.h"

struct cairn_service;

/* Beside CAIRN_EXPECT_ANY and _NONE: the stream must exist, at whatever version. */
#define CAIRN_EXPECT_SOME (-2)

#define CAIRN_CACHE_AGGREGATES_DEFAULT 10000
#define CAIRN_QUEUE_COMMANDS_DEFAULT   10000

/* One command, borrowed until its answer. data has passed the command's schema. */
struct cairn_command {
    const struct cairn_domain_command *command; /* of the catalogue */
    struct cairn_slice id;                      /* of the aggregate; valid */
    const struct cairn_value *data;
    struct cairn_slice key;        /* Idempotency-Key, empty for none */
    unsigned char fingerprint[16]; /* of aggregate, id, command and data; used with a key */
    int64_t expected;              /* CAIRN_EXPECT_ANY, _NONE, _SOME, or a version */
    struct cairn_slice request_id;
    struct cairn_slice correlation;
    struct cairn_slice principal;
    struct cairn_slice traceparent;
};

struct cairn_answer_event {
    struct cairn_uuid id;
    struct cairn_slice type; /* in arena */
    uint64_t version;
};

/* Everything in it that points somewhere points into the arena given to execute. */
struct cairn_answer {
    enum cairn_rc rc; /* OK, EREJECTED, ECONFLICT, EKEYREUSED, ESCRIPT, EBUSY, ESTOPPED, EUNKNOWN,
                         EFULL, EIO, ENOMEM, ETOOBIG */
    struct cairn_err err; /* when rc is not OK */
    struct cairn_slice stream;
    uint64_t version;   /* after the command; with ECONFLICT the actual one */
    bool created;       /* the stream began with this command */
    bool replayed;      /* the key was known: this is the first answer again */
    uint16_t partition; /* of the stream */
    uint64_t offset; /* of the last event; 0 when there was none: then `version` and no position */
    const struct cairn_answer_event *events;
    size_t event_count;
    struct cairn_slice code; /* of a rejection */
    struct cairn_slice detail;
    const char *place; /* of ESCRIPT */
};

struct cairn_service_options {
    const struct cairn_domain *domain;
    struct cairn_store *store; /* a writer's */
    const struct cairn_clock *clock;
    const struct cairn_random *random;
    struct cairn_lua_limits lua;
    size_t cache_aggregates; /* hot states a lane; 0: 10000 */
    size_t queue_max;        /* commands waiting in a lane; 0: 10000; more are EBUSY */
    struct cairn_log *log;
    struct cairn_metrics *metrics;
};

CAIRN_MUST_CHECK enum cairn_rc cairn_service_new(const struct cairn_service_options *options,
                                                 struct cairn_service **ret_service,
                                                 struct cairn_err *err);
/* No execute may be under way. Accepts NULL. */
void cairn_service_free(struct cairn_service *service);

/* Carry out count commands, in order for each stream, and wait for all answers. One command does
 * not stop those behind it. answers[count] is filled; arena gets what they point to. thread: any;
 * blocks on disk and on others' turns. */
void cairn_service_execute(struct cairn_service *service, const struct cairn_command *commands,
                           struct cairn_answer *answers, size_t count, struct cairn_arena *arena);

#endif
