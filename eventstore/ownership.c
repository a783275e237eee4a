#include <assert.h>

#include "eventstore/ownership_int.h"
#include "platform/mem.h"

static bool same_run(const struct cairn_uuid *a, const struct cairn_uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool cairn_ownership_live(const struct cairn_ownership *ownership, int node)
{
    assert(node >= 0 && node < CAIRN_NODES_MAX);
    const struct cairn_ownership_node *that = &ownership->nodes[node];
    if (node == ownership->self) {
        return ownership->active && !ownership->replaced;
    }
    return that->used && that->here && ownership->ticks < that->heard_tick + CAIRN_OWNERSHIP_LIVES;
}

int cairn_ownership_holder(const struct cairn_ownership *ownership, uint16_t lane)
{
    assert(lane < ownership->lane_count);
    const struct cairn_ownership_lane *that = &ownership->lanes[lane];
    if (that->state == CAIRN_LANE_FREE || !cairn_ownership_live(ownership, that->author) ||
        !same_run(&that->run, &ownership->nodes[that->author].run)) {
        return CAIRN_OWNERSHIP_NOBODY;
    }
    return that->author;
}

/* ---- nodes ---- */

static bool is_author(const struct cairn_ownership *ownership, int node)
{
    for (uint16_t i = 0; i < ownership->lane_count; i++) {
        if (ownership->lanes[i].author == node) {
            return true;
        }
    }
    return false;
}

/* A place in the table: a free one, else that of the node unheard for the longest among those that
 * are not alive. While history is read nobody is known to be. */
static int find_place(const struct cairn_ownership *ownership)
{
    int oldest = CAIRN_OWNERSHIP_NOBODY;
    for (int i = 0; i < CAIRN_NODES_MAX; i++) {
        const struct cairn_ownership_node *node = &ownership->nodes[i];
        if (!node->used) {
            return i;
        }
        bool live = ownership->active && cairn_ownership_live(ownership, i);
        if (i == ownership->self || live || is_author(ownership, i)) {
            continue;
        }
        if (oldest == CAIRN_OWNERSHIP_NOBODY ||
            node->heard_order < ownership->nodes[oldest].heard_order) {
            oldest = i;
        }
    }
    return oldest;
}

static int find_node(const struct cairn_ownership *ownership, const char *id)
{
    for (int i = 0; i < CAIRN_NODES_MAX; i++) {
        if (ownership->nodes[i].used && strcmp(ownership->nodes[i].id, id) == 0) {
            return i;
        }
    }
    return CAIRN_OWNERSHIP_NOBODY;
}

/* NOBODY: the table is full of live nodes. */
static int find_or_add(struct cairn_ownership *ownership, const char *id)
{
    int found = find_node(ownership, id);
    if (found == CAIRN_OWNERSHIP_NOBODY) {
        found = find_place(ownership);
        if (found != CAIRN_OWNERSHIP_NOBODY) {
            ownership->nodes[found] = (struct cairn_ownership_node){.used = true};
            memcpy(ownership->nodes[found].id, id, strlen(id));
            ownership->dirty = true;
        }
    }
    return found;
}

static void hear(struct cairn_ownership *ownership, struct cairn_ownership_node *node)
{
    ownership->dirty = ownership->dirty || node->suspect;
    node->suspect = false;
    node->heard_tick = ownership->ticks;
    node->heard_order = ownership->orders;
}

/* ---- reading ---- */

/* Who writes no beats counts rounds: one ends when a node beats that has beaten in it. */
static void count_round(struct cairn_ownership *ownership, struct cairn_ownership_node *node)
{
    if (node->in_round) {
        for (int i = 0; i < CAIRN_NODES_MAX; i++) {
            ownership->nodes[i].in_round = false;
        }
        ownership->ticks++;
        ownership->dirty = true;
    }
    node->in_round = true;
}

/* A beat under this node's own id. Late ones of an earlier run mean nothing; a younger run means
 * that another process goes by this id, and the younger stays. */
static void read_own_beat(struct cairn_ownership *ownership,
                          const struct cairn_control_record *record)
{
    int order = memcmp(record->run.bytes, ownership->run.bytes, sizeof(ownership->run.bytes));
    if (order == 0) {
        ownership->active = true;
        ownership->ticks++;
        ownership->dirty = true;
    } else if (order > 0 && ownership->active) {
        ownership->replaced = true;
        ownership->dirty = true;
    }
}

static void read_beat(struct cairn_ownership *ownership, int at,
                      const struct cairn_control_record *record)
{
    struct cairn_ownership_node *node = &ownership->nodes[at];
    node->has_key = true;
    if (at == ownership->self) {
        read_own_beat(ownership, record);
        return;
    }
    if (ownership->self == CAIRN_OWNERSHIP_NOBODY) {
        count_round(ownership, node);
    }
    if (!cairn_ownership_live(ownership, at) || node->leaving != record->leaving ||
        !same_run(&node->run, &record->run)) {
        ownership->dirty = true;
    }
    node->here = true;
    node->leaving = record->leaving;
    node->run = record->run;
    hear(ownership, node);
}

static void read_leave(struct cairn_ownership *ownership, int at,
                       const struct cairn_control_record *record)
{
    struct cairn_ownership_node *node = &ownership->nodes[at];
    node->has_key = true;
    if (at != ownership->self && same_run(&node->run, &record->run)) {
        node->here = false;
        hear(ownership, node);
        ownership->dirty = true;
    }
}

static const enum cairn_lane_state states[] = {
    [CAIRN_CONTROL_CLAIM] = CAIRN_LANE_CLAIMED,
    [CAIRN_CONTROL_READY] = CAIRN_LANE_OWNED,
    [CAIRN_CONTROL_RELEASE] = CAIRN_LANE_FREE,
};

/* Of equal terms a release beats a ready, and that a claim. */
static bool counts(const struct cairn_ownership_lane *lane,
                   const struct cairn_control_record *record)
{
    static const int ranks[] = {
        [CAIRN_LANE_CLAIMED] = 0, [CAIRN_LANE_OWNED] = 1, [CAIRN_LANE_FREE] = 2};
    if (record->term != lane->term) {
        return record->term > lane->term;
    }
    return ranks[states[record->kind]] > ranks[lane->state];
}

static void read_lane(struct cairn_ownership *ownership, int at,
                      const struct cairn_control_record *record)
{
    struct cairn_ownership_node *node = &ownership->nodes[at];
    struct cairn_ownership_lane *lane = &ownership->lanes[record->lane];
    node->keys[record->lane / 64] |= UINT64_C(1) << (record->lane % 64);
    if (at != ownership->self && node->here && same_run(&node->run, &record->run)) {
        ownership->dirty = ownership->dirty || !cairn_ownership_live(ownership, at);
        hear(ownership, node);
    }
    if (!counts(lane, record)) {
        return;
    }
    int holder = cairn_ownership_holder(ownership, record->lane);
    if (holder != CAIRN_OWNERSHIP_NOBODY && holder != ownership->self && holder != at) {
        ownership->nodes[holder].suspect = true;
    }
    /* A claim repeats what its writer knew; a ready that it had not read yet may have said more. */
    bool more = record->kind == CAIRN_CONTROL_READY || record->ids > lane->ids;
    lane->ids = more ? record->ids : lane->ids;
    lane->state = states[record->kind];
    lane->term = record->term;
    lane->author = at;
    lane->run = record->run;
    lane->time_us = record->time_us;
    memcpy(lane->url, record->url, sizeof(lane->url));
    ownership->dirty = true;
}

static void read_erase(struct cairn_ownership *ownership, int at,
                       const struct cairn_control_record *record)
{
    struct cairn_ownership_node *node = &ownership->nodes[at];
    if (record->lane != CAIRN_LANE_NONE) {
        node->keys[record->lane / 64] &= ~(UINT64_C(1) << (record->lane % 64));
        return;
    }
    node->has_key = false;
    if (at != ownership->self && !is_author(ownership, at) &&
        !cairn_ownership_live(ownership, at)) {
        *node = (struct cairn_ownership_node){.used = false};
        ownership->dirty = true;
    }
}

static bool makes_sense(const struct cairn_ownership *ownership,
                        const struct cairn_control_record *record)
{
    size_t size = strnlen(record->node, sizeof(record->node));
    bool of_lane = record->kind >= CAIRN_CONTROL_CLAIM && record->kind <= CAIRN_CONTROL_RELEASE;
    bool lane_fits = record->lane < ownership->lane_count;
    if (!cairn_node_id_valid(cairn_slice_of(record->node, size))) {
        return false;
    }
    if (of_lane) {
        return lane_fits && record->term >= 1 && record->term <= CAIRN_TERM_MAX;
    }
    return record->lane == CAIRN_LANE_NONE || (record->kind == CAIRN_CONTROL_ERASE && lane_fits);
}

void cairn_ownership_read(struct cairn_ownership *ownership,
                          const struct cairn_control_record *record)
{
    static void (*const readers[])(struct cairn_ownership *, int,
                                   const struct cairn_control_record *) = {
        [CAIRN_CONTROL_BEAT] = read_beat,    [CAIRN_CONTROL_LEAVE] = read_leave,
        [CAIRN_CONTROL_CLAIM] = read_lane,   [CAIRN_CONTROL_READY] = read_lane,
        [CAIRN_CONTROL_RELEASE] = read_lane, [CAIRN_CONTROL_ERASE] = read_erase,
    };
    assert(ownership != NULL && record != NULL);
    assert((size_t)record->kind < sizeof(readers) / sizeof(readers[0]));
    if (!makes_sense(ownership, record)) {
        return;
    }
    ownership->orders++;
    int at = record->kind == CAIRN_CONTROL_ERASE ? find_node(ownership, record->node)
                                                 : find_or_add(ownership, record->node);
    if (at != CAIRN_OWNERSHIP_NOBODY) {
        readers[record->kind](ownership, at, record);
    }
}

void cairn_ownership_forgive(struct cairn_ownership *ownership)
{
    assert(ownership != NULL);
    for (int i = 0; i < CAIRN_NODES_MAX; i++) {
        struct cairn_ownership_node *node = &ownership->nodes[i];
        if (node->used && cairn_ownership_live(ownership, i)) {
            node->heard_tick = ownership->ticks + CAIRN_OWNERSHIP_GRACE;
        }
    }
}

/* ---- wishes ---- */

/* The lane is held by this very run. */
static bool is_mine(const struct cairn_ownership *ownership, uint16_t lane)
{
    return ownership->self != CAIRN_OWNERSHIP_NOBODY &&
           cairn_ownership_holder(ownership, lane) == ownership->self;
}

static enum cairn_ownership_wish choose_of_mine(const struct cairn_ownership *ownership,
                                                uint16_t lane)
{
    const struct cairn_ownership_deed *deed = &ownership->deeds[lane];
    uint64_t term = ownership->lanes[lane].term;
    if (deed->release_term == term) {
        return deed->released ? CAIRN_WISH_NOTHING : CAIRN_WISH_RELEASE;
    }
    if (ownership->leaving || ownership->give_up[lane]) {
        return CAIRN_WISH_RELEASE;
    }
    if (deed->taken_term != term) {
        return CAIRN_WISH_TAKE;
    }
    bool ready = ownership->lanes[lane].state == CAIRN_LANE_OWNED;
    return ready && !deed->served ? CAIRN_WISH_SERVE : CAIRN_WISH_NOTHING;
}

static enum cairn_ownership_wish choose(const struct cairn_ownership *ownership, uint16_t lane)
{
    const struct cairn_ownership_deed *deed = &ownership->deeds[lane];
    uint64_t term = ownership->lanes[lane].term;
    bool mine = is_mine(ownership, lane);
    if (deed->taken_term != 0 && (!mine || deed->taken_term != term)) {
        return CAIRN_WISH_STOP;
    }
    if (mine) {
        return choose_of_mine(ownership, lane);
    }
    bool named = ownership->active && ownership->named[lane] == ownership->self;
    if (!named || ownership->leaving || deed->asked_term > term || term == CAIRN_TERM_MAX) {
        return CAIRN_WISH_NOTHING;
    }
    return CAIRN_WISH_CLAIM;
}

enum cairn_ownership_wish cairn_ownership_wish(struct cairn_ownership *ownership, uint16_t lane,
                                               uint64_t *ret_term)
{
    assert(ownership != NULL && ret_term != NULL && lane < ownership->lane_count);
    struct cairn_ownership_deed *deed = &ownership->deeds[lane];
    if (deed->wish != CAIRN_WISH_NOTHING || ownership->self == CAIRN_OWNERSHIP_NOBODY) {
        return CAIRN_WISH_NOTHING;
    }
    if (ownership->dirty) {
        cairn_ownership_share(ownership);
    }
    enum cairn_ownership_wish wish = choose(ownership, lane);
    uint64_t term = ownership->lanes[lane].term;
    if (wish == CAIRN_WISH_NOTHING) {
        return wish;
    }
    if (wish == CAIRN_WISH_CLAIM) {
        term++;
        deed->asked_term = term;
        ownership->dirty = true;
    }
    deed->wish = wish;
    deed->wish_term = term;
    if (wish == CAIRN_WISH_RELEASE) {
        deed->released = false;
        deed->release_term = term;
        ownership->dirty = true;
    }
    *ret_term = term;
    return wish;
}

/* Nothing of the lane is prepared or served here any more. */
static void let_go(struct cairn_ownership_deed *deed)
{
    deed->taken_term = 0;
    deed->served = false;
}

void cairn_ownership_done(struct cairn_ownership *ownership, uint16_t lane,
                          enum cairn_ownership_wish wish)
{
    assert(ownership != NULL && lane < ownership->lane_count);
    struct cairn_ownership_deed *deed = &ownership->deeds[lane];
    assert(wish != CAIRN_WISH_NOTHING && deed->wish == wish);
    deed->wish = CAIRN_WISH_NOTHING;
    switch (wish) {
    case CAIRN_WISH_TAKE:
        deed->taken_term = deed->wish_term;
        break;
    case CAIRN_WISH_SERVE:
        deed->served = true;
        break;
    case CAIRN_WISH_RELEASE:
        deed->released = true;
        let_go(deed);
        break;
    case CAIRN_WISH_STOP:
        let_go(deed);
        break;
    case CAIRN_WISH_CLAIM: /* what the log says of it counts */
    case CAIRN_WISH_NOTHING:
        break;
    }
}

void cairn_ownership_failed(struct cairn_ownership *ownership, uint16_t lane,
                            enum cairn_ownership_wish wish)
{
    assert(ownership != NULL && lane < ownership->lane_count);
    struct cairn_ownership_deed *deed = &ownership->deeds[lane];
    assert(wish != CAIRN_WISH_NOTHING && deed->wish == wish);
    deed->wish = CAIRN_WISH_NOTHING;
    if (wish == CAIRN_WISH_CLAIM) {
        deed->asked_term = 0;
        ownership->dirty = true;
    } else if (wish == CAIRN_WISH_TAKE || wish == CAIRN_WISH_RELEASE) {
        let_go(deed);
    }
}

void cairn_ownership_leave(struct cairn_ownership *ownership)
{
    assert(ownership != NULL);
    ownership->leaving = true;
    if (ownership->self != CAIRN_OWNERSHIP_NOBODY) {
        ownership->nodes[ownership->self].leaving = true;
    }
    ownership->dirty = true;
}

/* ---- looking ---- */

bool cairn_ownership_empty(const struct cairn_ownership *ownership)
{
    assert(ownership != NULL);
    for (uint16_t i = 0; i < ownership->lane_count; i++) {
        const struct cairn_ownership_deed *deed = &ownership->deeds[i];
        if (deed->wish != CAIRN_WISH_NOTHING || deed->taken_term != 0 ||
            deed->asked_term > ownership->lanes[i].term || is_mine(ownership, i)) {
            return false;
        }
    }
    return true;
}

bool cairn_ownership_replaced(const struct cairn_ownership *ownership)
{
    assert(ownership != NULL);
    return ownership->replaced;
}

uint64_t cairn_ownership_beats(const struct cairn_ownership *ownership)
{
    assert(ownership != NULL && ownership->self != CAIRN_OWNERSHIP_NOBODY);
    return ownership->ticks;
}

void cairn_ownership_owner(const struct cairn_ownership *ownership, uint16_t lane,
                           struct cairn_lane_owner *ret_owner)
{
    assert(ownership != NULL && lane < ownership->lane_count && ret_owner != NULL);
    const struct cairn_ownership_lane *that = &ownership->lanes[lane];
    int holder = cairn_ownership_holder(ownership, lane);
    *ret_owner = (struct cairn_lane_owner){
        .state = CAIRN_LANE_FREE, .term = that->term, .ids = that->ids, .since_us = that->time_us};
    if (holder != CAIRN_OWNERSHIP_NOBODY) {
        ret_owner->state = that->state;
        ret_owner->mine = holder == ownership->self;
        memcpy(ret_owner->node, ownership->nodes[holder].id, sizeof(ret_owner->node));
        memcpy(ret_owner->url, that->url, sizeof(ret_owner->url));
    }
}

size_t cairn_ownership_nodes(const struct cairn_ownership *ownership)
{
    assert(ownership != NULL);
    size_t count = 0;
    for (int i = 0; i < CAIRN_NODES_MAX; i++) {
        count += ownership->nodes[i].used && cairn_ownership_live(ownership, i) ? 1 : 0;
    }
    return count;
}

/* ---- the dead ---- */

/* The one live node that buries: that with the first id. */
static bool is_digger(const struct cairn_ownership *ownership)
{
    if (ownership->self == CAIRN_OWNERSHIP_NOBODY || !ownership->active || ownership->replaced ||
        ownership->leaving) {
        return false;
    }
    for (int i = 0; i < CAIRN_NODES_MAX; i++) {
        const struct cairn_ownership_node *node = &ownership->nodes[i];
        if (node->used && !node->leaving && cairn_ownership_live(ownership, i) &&
            strcmp(node->id, ownership->nodes[ownership->self].id) < 0) {
            return false;
        }
    }
    return true;
}

/* A key of the node: a lane's first, its own last. False: none is left. */
static bool take_key(struct cairn_ownership_node *node, uint16_t *ret_lane)
{
    for (uint16_t i = 0; i < CAIRN_LANES_MAX; i++) {
        uint64_t bit = UINT64_C(1) << (i % 64);
        if ((node->keys[i / 64] & bit) != 0) {
            node->keys[i / 64] &= ~bit;
            *ret_lane = i;
            return true;
        }
    }
    bool had = node->has_key;
    node->has_key = false;
    *ret_lane = CAIRN_LANE_NONE;
    return had;
}

bool cairn_ownership_bury(struct cairn_ownership *ownership,
                          struct cairn_control_record *ret_record)
{
    assert(ownership != NULL && ret_record != NULL);
    if (!is_digger(ownership)) {
        return false;
    }
    for (int i = 0; i < CAIRN_NODES_MAX; i++) {
        struct cairn_ownership_node *node = &ownership->nodes[i];
        uint16_t lane = CAIRN_LANE_NONE;
        bool dead = node->used && i != ownership->self &&
                    ownership->ticks >= node->heard_tick + CAIRN_OWNERSHIP_BURY_BEATS;
        if (!dead || is_author(ownership, i) || !take_key(node, &lane)) {
            continue;
        }
        *ret_record = (struct cairn_control_record){.kind = CAIRN_CONTROL_ERASE, .lane = lane};
        memcpy(ret_record->node, node->id, sizeof(ret_record->node));
        return true;
    }
    return false;
}

/* ---- beginning and end ---- */

struct cairn_ownership *cairn_ownership_new(const char *node, const struct cairn_uuid *run,
                                            uint16_t lanes, bool candidate)
{
    assert(node != NULL && run != NULL && lanes > 0 && lanes <= CAIRN_LANES_MAX);
    assert(cairn_node_id_valid(cairn_slice_str(node)));
    struct cairn_ownership *ownership = cairn_mem_zalloc(1, sizeof(*ownership));
    if (ownership == NULL) {
        return NULL;
    }
    ownership->lane_count = lanes;
    ownership->run = *run;
    ownership->self = CAIRN_OWNERSHIP_NOBODY;
    ownership->dirty = true;
    for (uint16_t i = 0; i < lanes; i++) {
        ownership->lanes[i].author = CAIRN_OWNERSHIP_NOBODY;
    }
    if (candidate) {
        ownership->self = find_or_add(ownership, node);
        ownership->nodes[ownership->self].run = *run;
        ownership->nodes[ownership->self].here = true;
    }
    return ownership;
}

void cairn_ownership_free(struct cairn_ownership *ownership)
{
    cairn_mem_free(ownership);
}
