/* Shares: each node that stays gets lanes / nodes, rounded down or up, with as few moves as can be.
 * Every node works this out alone from the same records, so that all name the same one. */
#include <assert.h>

#include "eventstore/ownership_int.h"

struct share {
    int node; /* index */
    const char *id;
    unsigned count; /* lanes that it holds or is named for */
    unsigned target;
};

struct shares {
    struct share list[CAIRN_NODES_MAX]; /* in the order of node ids */
    unsigned count;
    unsigned floor, ceiling;
};

static void collect(const struct cairn_ownership *ownership, struct shares *out)
{
    out->count = 0;
    for (int i = 0; i < CAIRN_NODES_MAX; i++) {
        const struct cairn_ownership_node *node = &ownership->nodes[i];
        if (!node->used || node->leaving || node->suspect || !cairn_ownership_live(ownership, i)) {
            continue;
        }
        unsigned at = out->count++;
        for (; at > 0 && strcmp(out->list[at - 1].id, node->id) > 0; at--) {
            out->list[at] = out->list[at - 1];
        }
        out->list[at] = (struct share){.node = i, .id = node->id};
    }
    if (out->count > 0) {
        out->floor = ownership->lane_count / out->count;
        out->ceiling = out->floor + (ownership->lane_count % out->count != 0 ? 1 : 0);
    }
}

static struct share *find(struct shares *shares, int node)
{
    for (unsigned i = 0; i < shares->count; i++) {
        if (shares->list[i].node == node) {
            return &shares->list[i];
        }
    }
    return NULL;
}

static struct share *find_fewest(struct shares *shares)
{
    struct share *fewest = NULL;
    for (unsigned i = 0; i < shares->count; i++) {
        if (fewest == NULL || shares->list[i].count < fewest->count) {
            fewest = &shares->list[i];
        }
    }
    return fewest;
}

/* Who has the lane, as far as shares go: a claim of this node's that is under way counts as its
 * own, so that it does not claim another lane for the same place in its share. */
static int find_bearer(const struct cairn_ownership *ownership, uint16_t lane)
{
    int holder = cairn_ownership_holder(ownership, lane);
    bool asked = ownership->deeds[lane].asked_term > ownership->lanes[lane].term;
    return holder == CAIRN_OWNERSHIP_NOBODY && asked ? ownership->self : holder;
}

/* Who had the lane and has started again is the first to claim it, else who has the fewest. */
static void name_claimants(struct cairn_ownership *ownership, struct shares *shares)
{
    for (uint16_t i = 0; i < ownership->lane_count; i++) {
        const struct cairn_ownership_lane *lane = &ownership->lanes[i];
        ownership->named[i] = CAIRN_OWNERSHIP_NOBODY;
        if (find_bearer(ownership, i) != CAIRN_OWNERSHIP_NOBODY) {
            continue;
        }
        struct share *share = lane->state == CAIRN_LANE_FREE ? NULL : find(shares, lane->author);
        if (share == NULL || share->count >= shares->ceiling) {
            share = find_fewest(shares);
        }
        if (share != NULL) {
            ownership->named[i] = share->node;
            share->count++;
        }
    }
}

/* a comes before b where places with the ceiling are given out. Who has that many already comes
 * first, so that the fewest lanes move; among them ids decide and not how many more they have,
 * which changes while they give up. Then who has the most. */
static bool precedes(const struct shares *shares, unsigned a, unsigned b)
{
    unsigned has_a = shares->list[a].count;
    unsigned has_b = shares->list[b].count;
    has_a = has_a < shares->ceiling ? has_a : shares->ceiling;
    has_b = has_b < shares->ceiling ? has_b : shares->ceiling;
    return has_a > has_b || (has_a == has_b && a < b);
}

/* lane_count % nodes of them may have the ceiling. */
static void set_targets(struct shares *shares, unsigned lane_count)
{
    unsigned large = shares->count > 0 ? lane_count % shares->count : 0;
    for (unsigned i = 0; i < shares->count; i++) {
        unsigned in_front = 0;
        for (unsigned j = 0; j < shares->count; j++) {
            in_front += precedes(shares, j, i) ? 1 : 0;
        }
        shares->list[i].target = in_front < large ? shares->ceiling : shares->floor;
    }
}

/* The highest lanes of this node that are above its target, those counted that it gives up already.
 */
static void choose_releases(struct cairn_ownership *ownership, const struct share *own)
{
    unsigned surplus = own != NULL && own->count > own->target ? own->count - own->target : 0;
    for (unsigned pass = 0; pass < 2; pass++) {
        for (uint16_t i = ownership->lane_count; i-- > 0;) {
            const struct cairn_ownership_deed *deed = &ownership->deeds[i];
            bool begun = deed->release_term != 0 && deed->release_term == ownership->lanes[i].term;
            if (surplus > 0 && begun == (pass == 0) &&
                cairn_ownership_holder(ownership, i) == ownership->self) {
                ownership->give_up[i] = true;
                surplus--;
            }
        }
    }
}

void cairn_ownership_share(struct cairn_ownership *ownership)
{
    assert(ownership->lane_count > 0 && ownership->lane_count <= CAIRN_LANES_MAX);
    struct shares shares = {.count = 0};
    collect(ownership, &shares);
    for (uint16_t i = 0; i < ownership->lane_count; i++) {
        ownership->give_up[i] = false;
        struct share *share = find(&shares, find_bearer(ownership, i));
        if (share != NULL) {
            share->count++;
        }
    }
    name_claimants(ownership, &shares);
    set_targets(&shares, ownership->lane_count);
    if (ownership->self != CAIRN_OWNERSHIP_NOBODY) {
        choose_releases(ownership, find(&shares, ownership->self));
    }
    ownership->dirty = false;
}
