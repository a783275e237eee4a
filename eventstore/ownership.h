/* Who owns which lane: the rules, as a state machine without clock, network or thread.
 *
 * All nodes of a log read one control log and see the same records in the same order: beats and
 * leaves of nodes, and for each lane claims, readies and releases that carry a term. Of a lane's
 * records the one with the highest term counts; within a term a release beats a ready and a ready
 * beats a claim; among equals the first one. Later ones are void. So the first claim of term + 1
 * wins. The winner fences the lane's producers, reads it to the end, writes ready, and serves only
 * once it has read its own ready back with no higher term in front. The control log says who should
 * own, and fencing makes it true.
 *
 * A node is alive until LIVES of this node's own beats have come back in the control log since it
 * was last heard: a broker that stands still makes nobody look dead. A node has a new run each time
 * it starts; what an earlier run of it held is free, and it is the first to claim it. Lanes stay
 * where they are unless a node has more than its share; then the node gives up its highest ones.
 *
 * The log may be compacted: keys are such that what counts is never behind what is void. */
#ifndef CAIRN_EVENTSTORE_OWNERSHIP_H
#define CAIRN_EVENTSTORE_OWNERSHIP_H

#include "eventstore/control_record.h"

#define CAIRN_LANES_MAX       256
#define CAIRN_NODES_MAX       64 /* at one time; the dead are forgotten first */
#define CAIRN_OWNERSHIP_LIVES 4
/* Own beats that others get beside LIVES when the log stood still. */
#define CAIRN_OWNERSHIP_GRACE 20
/* Own beats until what is left of a dead node in the control log is erased. */
#define CAIRN_OWNERSHIP_BURY_BEATS 600

enum cairn_lane_state { CAIRN_LANE_FREE, CAIRN_LANE_CLAIMED, CAIRN_LANE_OWNED };

struct cairn_lane_owner {
    enum cairn_lane_state state; /* FREE also when the owner is dead */
    uint64_t term;               /* of the last claim, 0: there was none */
    uint16_t ids; /* transactional ids that may be in use: as many are to be fenced */
    bool mine;
    char node[CAIRN_NODE_ID_MAX + 1]; /* empty when FREE */
    char url[CAIRN_NODE_URL_MAX + 1]; /* empty unless OWNED */
    int64_t since_us;                 /* when it came to this state, by its writer's clock */
};

/* What this node should do next about a lane. */
enum cairn_ownership_wish {
    CAIRN_WISH_NOTHING,
    CAIRN_WISH_CLAIM,  /* write a claim with .term */
    CAIRN_WISH_TAKE,   /* the claim was won: fence, read to the end, write ready with .term */
    CAIRN_WISH_SERVE,  /* ready came back: serve */
    CAIRN_WISH_STOP,   /* it is not ours any more: stop serving, let go, write nothing */
    CAIRN_WISH_RELEASE /* above its share: finish what is under way, stop, write release */
};

struct cairn_ownership;

/* node:      the id, valid by cairn_node_id_valid. run: of this start, a UUIDv7.
 * lanes:     1..CAIRN_LANES_MAX.
 * candidate: false for a node that owns nothing (a projector) and writes nothing.
 * NULL: memory is out. thread: owner, as all that follow. */
CAIRN_MUST_CHECK struct cairn_ownership *
cairn_ownership_new(const char *node, const struct cairn_uuid *run, uint16_t lanes, bool candidate);
void cairn_ownership_free(struct cairn_ownership *ownership);
/* The next record of the control log. A record that makes no sense is passed over. */
void cairn_ownership_read(struct cairn_ownership *ownership,
                          const struct cairn_control_record *record);
/* The log stood still for this node, and others may be later to find back to it: who is alive stays
 * so for GRACE own beats more, or until it is heard. */
void cairn_ownership_forgive(struct cairn_ownership *ownership);
/* What to do about a lane now; ret_term is set unless NOTHING. Each wish is given once, then _done
 * or _failed answers it; until then there is no other for that lane. */
enum cairn_ownership_wish cairn_ownership_wish(struct cairn_ownership *ownership, uint16_t lane,
                                               uint64_t *ret_term);
/* It is carried out: the record, if there is one, is in the log. */
void cairn_ownership_done(struct cairn_ownership *ownership, uint16_t lane,
                          enum cairn_ownership_wish wish);
/* It failed (no broker, fenced), or may have: it is given again where it still holds. A RELEASE
 * that failed has stopped serving all the same. */
void cairn_ownership_failed(struct cairn_ownership *ownership, uint16_t lane,
                            enum cairn_ownership_wish wish);
/* This node will leave: it wishes to release what it has and claims nothing more. Its next beat
 * says so. */
void cairn_ownership_leave(struct cairn_ownership *ownership);
/* Nothing is held, asked for or under way: a node that leaves may go. */
bool cairn_ownership_empty(const struct cairn_ownership *ownership);
/* A younger run of this node's id was heard: this one stops serving for good. */
bool cairn_ownership_replaced(const struct cairn_ownership *ownership);
/* Beats of this run that came back. */
uint64_t cairn_ownership_beats(const struct cairn_ownership *ownership);
/* The next record to erase, of kind ERASE: what is left of a node that is long dead, each key once,
 * and only on one live node. False: there is none. */
bool cairn_ownership_bury(struct cairn_ownership *ownership,
                          struct cairn_control_record *ret_record);
void cairn_ownership_owner(const struct cairn_ownership *ownership, uint16_t lane,
                           struct cairn_lane_owner *ret_owner);
/* Live candidates, this one included if it is one. */
size_t cairn_ownership_nodes(const struct cairn_ownership *ownership);

#endif
