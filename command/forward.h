/* The way to other nodes: who owns a command's lane, and one request to that owner.
 *
 * A lane has one owner, and only it can append. A node that gets a command for another node's lane
 * sends it there, marked with the field Cairn-Forwarded. A node that gets a marked command for a
 * lane that is not its own refuses it: while nodes disagree, no command goes in circles. */
#ifndef CAIRN_COMMAND_FORWARD_H
#define CAIRN_COMMAND_FORWARD_H

#include "eventstore/store_owner.h"
#include "platform/http.h"
#include "platform/http_client.h"

#define CAIRN_OWNER_WAIT_MS_DEFAULT 1000
#define CAIRN_FORWARD_TIMEOUT_MS    15000 /* for the owner's whole answer */
#define CAIRN_FORWARD_FIELDS_MAX    16    /* of the caller and its own */
/* Memory that one request to an owner and its answer may take. */
#define CAIRN_FORWARD_ARENA_MAX ((size_t)80 << 20)

/* Where owners are looked up. thread: any. */
struct cairn_owners {
    void (*find)(void *self, uint16_t lane, struct cairn_owner *ret_owner);
    void *self;
};

struct cairn_forward_options {
    struct cairn_store *store;       /* says which lane a stream has */
    struct cairn_owners owners;      /* find NULL: the store's own */
    const char *node;                /* this node's name, for others' eyes; NULL: the store's */
    unsigned owner_wait_ms;          /* for a lane to have an owner; 0: 1000 */
    const struct cairn_clock *clock; /* NULL: the machine's */
    struct cairn_metrics *metrics;   /* may be NULL */
};

/* What became of commands that are not for this node. */
enum cairn_forward_outcome {
    CAIRN_FORWARD_ANSWERED,   /* by their owner, whatever it said */
    CAIRN_FORWARD_NO_OWNER,   /* there was none to be found in time */
    CAIRN_FORWARD_SECOND_HOP, /* another node had sent them here: refused */
    CAIRN_FORWARD_UNKNOWN,    /* sent, and no answer to go by */
    CAIRN_FORWARD_FAILED,     /* not sent: too many under way, or memory */
    CAIRN_FORWARD_OUTCOMES
};

struct cairn_forward;

/* Everything in options outlives it, node included. errors: ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_forward_new(const struct cairn_forward_options *options,
                                                 struct cairn_forward **ret_forward,
                                                 struct cairn_err *err);
/* Nothing may be under way. Accepts NULL. */
void cairn_forward_free(struct cairn_forward *forward);

/* thread: any, as all that follow. */
uint16_t cairn_forward_lanes(const struct cairn_forward *forward);
/* The lane of a stream. aggregate: of the catalogue; id: valid. */
uint16_t cairn_forward_lane(const struct cairn_forward *forward, struct cairn_slice aggregate,
                            struct cairn_slice id);
void cairn_forward_owner(const struct cairn_forward *forward, uint16_t lane,
                         struct cairn_owner *ret_owner);
const struct cairn_clock *cairn_forward_clock(const struct cairn_forward *forward);
unsigned cairn_forward_wait_ms(const struct cairn_forward *forward);
/* Did another node send this request here? */
bool cairn_forward_is_marked(const struct cairn_http_request *request);
void cairn_forward_count(struct cairn_forward *forward, enum cairn_forward_outcome outcome,
                         size_t count);
/* The outcome to count for a failure of cairn_forward_send. */
enum cairn_forward_outcome cairn_forward_outcome_of(enum cairn_rc rc);

/* One request to an owner; all borrowed for the call. */
struct cairn_forward_call {
    const struct cairn_owner *owner;          /* ELSEWHERE */
    const struct cairn_http_request *request; /* whose ids and trace go along */
    struct cairn_slice path;                  /* raw: "/commands" */
    struct cairn_http_field fields[CAIRN_FORWARD_FIELDS_MAX - 4];
    size_t field_count;
    struct cairn_slice body;
};

/* Post it, once, and wait for the answer, which is that of a node: a success as JSON or msgpack, or
 * a problem.
 *
 * arena:  takes the answer.
 * errors: ENOOWNER (the owner cannot be reached), EBUSY (too many under way), ENOMEM: nothing was
 *         sent. EUNKNOWN: it may be carried out. */
CAIRN_MUST_CHECK enum cairn_rc cairn_forward_send(struct cairn_forward *forward,
                                                  const struct cairn_forward_call *call,
                                                  struct cairn_arena *arena,
                                                  struct cairn_http_answer *ret_answer,
                                                  struct cairn_err *err);
/* Does a node's answer say that it is not the owner, or not for much longer? Then nothing was
 * carried out, and the next look-up may find another owner. */
bool cairn_forward_is_refusal(const struct cairn_value *answer);
/* A problem document as a value, which borrows from answer. errors: those of JSON. */
CAIRN_MUST_CHECK enum cairn_rc cairn_forward_problem(const struct cairn_http_answer *answer,
                                                     struct cairn_arena *arena,
                                                     struct cairn_value *ret_problem,
                                                     struct cairn_err *err);

#endif
