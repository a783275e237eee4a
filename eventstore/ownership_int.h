/* The insides of the ownership rules. For ownership*.c alone. */
#ifndef CAIRN_EVENTSTORE_OWNERSHIP_INT_H
#define CAIRN_EVENTSTORE_OWNERSHIP_INT_H

#include "eventstore/ownership.h"

#define CAIRN_OWNERSHIP_NOBODY (-1)

enum { CAIRN_OWNERSHIP_WORDS = CAIRN_LANES_MAX / 64 };

/* What the control log says of a node. */
struct cairn_ownership_node {
    bool used;
    bool here;    /* has beaten and has not left */
    bool leaving; /* holds what it has, takes nothing more */
    bool suspect; /* another node took it for dead: until it is heard it gets no lanes */
    bool in_round;
    bool has_key; /* node/<id> is in the log */
    char id[CAIRN_NODE_ID_MAX + 1];
    struct cairn_uuid run;
    uint64_t heard_tick;                  /* the tick of its last record, or up to GRACE later */
    uint64_t heard_order;                 /* the number of that record */
    uint64_t keys[CAIRN_OWNERSHIP_WORDS]; /* lanes under which it has a record, a bit each */
};

/* What the control log says of a lane: its record that counts. */
struct cairn_ownership_lane {
    enum cairn_lane_state state;
    uint64_t term; /* 0: it has no record */
    int author;    /* who wrote the record, index of nodes, or NOBODY */
    struct cairn_uuid run;
    uint16_t ids;
    int64_t time_us;
    char url[CAIRN_NODE_URL_MAX + 1];
};

/* What this node does about a lane. Terms: 0: none. */
struct cairn_ownership_deed {
    enum cairn_ownership_wish wish; /* given and not answered */
    uint64_t wish_term;
    uint64_t asked_term;   /* of the last claim that was wished for */
    uint64_t taken_term;   /* the term for which TAKE was done */
    uint64_t release_term; /* the term that RELEASE was wished for */
    bool served;           /* SERVE was done for taken_term */
    bool released;         /* RELEASE was done for release_term */
};

struct cairn_ownership {
    struct cairn_ownership_node nodes[CAIRN_NODES_MAX];
    struct cairn_ownership_lane lanes[CAIRN_LANES_MAX];
    struct cairn_ownership_deed deeds[CAIRN_LANES_MAX];
    uint16_t lane_count;
    int self; /* index of nodes; NOBODY: not a candidate */
    struct cairn_uuid run;
    bool active; /* the first own beat came back */
    bool leaving;
    bool replaced;
    uint64_t ticks;  /* own beats that came back; of who only watches: rounds of all beats */
    uint64_t orders; /* records read */
    /* Made of all the above by cairn_ownership_share; stale when dirty. */
    bool dirty;
    int named[CAIRN_LANES_MAX];    /* who is to claim the lane now, or NOBODY */
    bool give_up[CAIRN_LANES_MAX]; /* this node is to release it */
};

bool cairn_ownership_live(const struct cairn_ownership *ownership, int node);
/* The node that holds the lane: claimed or owned by the present run of a live node; or NOBODY. */
int cairn_ownership_holder(const struct cairn_ownership *ownership, uint16_t lane);
/* Work out named and give_up, from what was read and from claims and releases under way. */
void cairn_ownership_share(struct cairn_ownership *ownership);

#endif
