/* Who owns which lane: the rules, as a state machine without clock, network or thread.
 *
 * All nodes of a log read one control log and see the same records in the same order: beats and
 * leaves of nodes, and for each lane claims, readies and releases that carry a term. The first
 * claim of term + 1 wins, later ones of that term are void. The winner fences the lane's producers,
 * reads it to the end, writes ready, and serves only once it has read its own ready back with no
 * higher term in front. So the control log says who should own, and fencing makes it true.
 *
 * A node is alive until LIVES of this node's own beats have come back in the control log since it
 * was last heard: a broker that stands still makes nobody look dead. Lanes stay where they are
 * unless a node has more than its share; then the node gives up its highest ones. */
#ifndef CAIRN_EVENTSTORE_OWNERSHIP_H
#define CAIRN_EVENTSTORE_OWNERSHIP_H

#include "platform/bytes.h"
#include "schemas/event.h"

#define CAIRN_NODES_MAX       64
#define CAIRN_NODE_ID_MAX     64  /* bytes: [A-Za-z0-9._-] */
#define CAIRN_NODE_URL_MAX    256 /* bytes */
#define CAIRN_OWNERSHIP_LIVES 4

enum cairn_control_kind {
    CAIRN_CONTROL_BEAT,   /* node, url: I am here and can own lanes */
    CAIRN_CONTROL_LEAVE,  /* node: I am gone and own nothing */
    CAIRN_CONTROL_CLAIM,  /* node, lane, term */
    CAIRN_CONTROL_READY,  /* node, url, lane, term, ids, since_us */
    CAIRN_CONTROL_RELEASE /* node, lane, term: nobody owns it now */
};

struct cairn_control_record {
    enum cairn_control_kind kind;
    char node[CAIRN_NODE_ID_MAX + 1];
    char url[CAIRN_NODE_URL_MAX + 1];
    uint16_t lane;
    uint64_t term;
    uint16_t ids; /* length of the owner's rotation */
    int64_t time_us;
};

enum cairn_lane_state { CAIRN_LANE_FREE, CAIRN_LANE_CLAIMED, CAIRN_LANE_OWNED };

struct cairn_lane_owner {
    enum cairn_lane_state state;
    uint64_t term;
    uint16_t ids; /* of the last node that was ready: as many are to be fenced */
    bool mine;
    char node[CAIRN_NODE_ID_MAX + 1]; /* empty when FREE */
    char url[CAIRN_NODE_URL_MAX + 1];
    int64_t since_us;
};

/* What this node should do next about a lane. */
enum cairn_ownership_wish {
    CAIRN_WISH_NOTHING,
    CAIRN_WISH_CLAIM,  /* write a claim with .term */
    CAIRN_WISH_TAKE,   /* the claim was won: fence, read to the end, write ready with .term */
    CAIRN_WISH_SERVE,  /* ready came back: serve */
    CAIRN_WISH_STOP,   /* somebody else has a higher term: stop serving, write nothing */
    CAIRN_WISH_RELEASE /* above its share: finish what is under way, stop, write release */
};

struct cairn_ownership;

/* candidate: false for a node that owns nothing (a projector). NULL: memory is out. */
CAIRN_MUST_CHECK struct cairn_ownership *cairn_ownership_new(const char *node, uint16_t lanes,
                                                             bool candidate);
void cairn_ownership_free(struct cairn_ownership *ownership);
/* The next record of the control log. A record that makes no sense is passed over. */
void cairn_ownership_read(struct cairn_ownership *ownership,
                          const struct cairn_control_record *record);
/* What to do about a lane now. Each wish but NOTHING is given once; .done or .failed answers it. */
enum cairn_ownership_wish cairn_ownership_wish(struct cairn_ownership *ownership, uint16_t lane,
                                               uint64_t *ret_term);
/* A wish failed (no broker, fenced): it is given again. */
void cairn_ownership_failed(struct cairn_ownership *ownership, uint16_t lane,
                            enum cairn_ownership_wish wish);
/* This node will leave: it wishes to release what it has and claims nothing more. */
void cairn_ownership_leave(struct cairn_ownership *ownership);
void cairn_ownership_owner(const struct cairn_ownership *ownership, uint16_t lane,
                           struct cairn_lane_owner *ret_owner);
/* Live nodes, this one included. */
size_t cairn_ownership_nodes(const struct cairn_ownership *ownership);

/* A record as key ("node/<id>" or "lane/<n>") and JSON value of the control topic, and back.
 * EMALFORMED. */
CAIRN_MUST_CHECK enum cairn_rc cairn_control_write(const struct cairn_control_record *record,
                                                   struct cairn_buf *out_key,
                                                   struct cairn_buf *out_value);
CAIRN_MUST_CHECK enum cairn_rc cairn_control_read(struct cairn_slice key, struct cairn_slice value,
                                                  struct cairn_control_record *ret_record,
                                                  struct cairn_err *err);

#endif
