/* A simulation of who owns which lane: the real rules on a control log in memory, with fencing as a
 * counter for each lane. Everything else comes from a seed: when records reach the log, how far
 * each node has read, when a deed is carried out or fails, crashes, restarts, pauses and wakings,
 * joins and leaves, compaction.
 *
 * After the storm comes a calm in which all lanes must find owners, in shares that differ by one,
 * and then single changes of which it is known how many lanes they may move.
 *
 * Usage: sim_ownership FIRST_SEED COUNT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "eventstore/ownership_int.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_random.h"

enum {
    NODES = 6,
    LANES_TOP = 12,
    LOG_TOP = 200000,
    QUEUE_TOP = 256,
    STORM_ROUNDS = 4000,
    CALM_ROUNDS_TOP = 2000, /* until everything is settled */
    QUIET_ROUNDS = 100,     /* of them without a deed */
    BEAT_ROUNDS = 8
};

/* A record on its way to the log. */
struct sent {
    struct cairn_control_record record;
    uint64_t serial; /* of the deed that waits for it, 0: none */
};

struct deed {
    enum cairn_ownership_wish wish;
    uint64_t term;
    uint64_t serial;
    unsigned phase;
    unsigned rest; /* rounds until it goes on */
    bool acknowledged;
};

/* What a node has of a lane. */
struct hold {
    bool held, serving;
    unsigned recover; /* 0: not fenced; else the step of finding out */
    uint64_t term, epoch;
    uint64_t known; /* events of the lane that it has read or written */
};

struct node {
    struct cairn_ownership *rules; /* NULL: it does not run */
    char id[CAIRN_NODE_ID_MAX + 1];
    struct cairn_uuid run;
    bool paused, leaving;
    size_t read;
    struct sent queue[QUEUE_TOP];
    size_t queue_count;
    uint64_t beats_sent;
    unsigned beat_in;
    struct deed deeds[LANES_TOP];
    struct hold holds[LANES_TOP];
};

struct lane {
    uint64_t epoch;  /* only appends with it succeed */
    uint64_t length; /* events */
    uint64_t last_term, last_epoch;
    int last_node; /* who appended last, -1: nobody */
};

struct sim {
    struct cairn_sim_random random;
    bool storm;
    uint16_t lanes_count;
    struct lane lanes[LANES_TOP];
    struct node nodes[NODES];
    struct cairn_control_record *log;
    bool *gone; /* compacted */
    size_t count;
    uint64_t serials;
    unsigned runs;
    unsigned claims_won; /* counted by readies */
    uint64_t appends, fenced, crashes, pauses, takes, compactions;
};

static bool chance(struct sim *sim, unsigned percent)
{
    return cairn_sim_chance(&sim->random, percent);
}

static unsigned below(struct sim *sim, unsigned limit)
{
    return (unsigned)cairn_sim_below(&sim->random, limit);
}

static bool up(const struct node *node)
{
    return node->rules != NULL && !node->paused;
}

/* ---- the log ---- */

static void append_record(struct sim *sim, const struct cairn_control_record *record)
{
    CAIRN_SIM_CHECK(sim->count < LOG_TOP, "the log is full");
    sim->claims_won += record->kind == CAIRN_CONTROL_READY ? 1 : 0;
    sim->log[sim->count++] = *record;
}

/* The first record on its way arrives. */
static void arrive(struct sim *sim, struct node *node)
{
    struct sent sent = node->queue[0];
    append_record(sim, &sent.record);
    node->queue_count--;
    memmove(&node->queue[0], &node->queue[1], node->queue_count * sizeof(node->queue[0]));
    for (uint16_t i = 0; i < sim->lanes_count; i++) {
        if (sent.serial != 0 && node->deeds[i].serial == sent.serial) {
            node->deeds[i].acknowledged = true;
        }
    }
}

static void send(struct sim *sim, struct node *node, enum cairn_control_kind kind, uint16_t lane,
                 uint64_t term, uint64_t serial)
{
    struct cairn_control_record record = {.kind = kind,
                                          .run = node->run,
                                          .leaving = node->leaving,
                                          .lane = lane,
                                          .term = term,
                                          .time_us = (int64_t)sim->count};
    memcpy(record.node, node->id, sizeof(record.node));
    if (lane != CAIRN_LANE_NONE) {
        struct cairn_lane_owner owner;
        cairn_ownership_owner(node->rules, lane, &owner);
        record.ids = kind == CAIRN_CONTROL_READY ? (uint16_t)(1 + below(sim, 8)) : owner.ids;
    }
    CAIRN_SIM_CHECK(node->queue_count < QUEUE_TOP, "node %s sends too much", node->id);
    node->queue[node->queue_count++] = (struct sent){record, serial};
}

static bool same_key(const struct cairn_control_record *a, const struct cairn_control_record *b)
{
    return a->lane == b->lane && strcmp(a->node, b->node) == 0;
}

/* Of each key up to a random place only the last record stays. */
static void compact(struct sim *sim)
{
    if (sim->count == 0) {
        return;
    }
    size_t end = (size_t)cairn_sim_below(&sim->random, sim->count);
    size_t begin = end > 1500 ? end - 1500 : 0; /* a segment */
    sim->compactions++;
    for (size_t i = begin; i < end; i++) {
        for (size_t j = i + 1; j < end && !sim->gone[i]; j++) {
            sim->gone[i] = !sim->gone[j] && same_key(&sim->log[i], &sim->log[j]);
        }
    }
}

/* ---- lanes ---- */

/* A node that serves appends an event. Fencing lets one epoch through; the rest must follow. */
static void append(struct sim *sim, int at, uint16_t i)
{
    struct node *node = &sim->nodes[at];
    struct hold *hold = &node->holds[i];
    struct lane *lane = &sim->lanes[i];
    if (hold->epoch != lane->epoch) {
        hold->recover = 1;
        sim->fenced++;
        return;
    }
    CAIRN_SIM_CHECK(hold->known == lane->length,
                    "lane %u: %s appends behind %" PRIu64 " of %" PRIu64 " events", i, node->id,
                    hold->known, lane->length);
    bool other = lane->last_node != at || lane->last_term != hold->term;
    CAIRN_SIM_CHECK(!other || hold->epoch > lane->last_epoch,
                    "lane %u: %s appends behind %d without a take between", i, node->id,
                    lane->last_node);
    CAIRN_SIM_CHECK(hold->term >= lane->last_term,
                    "lane %u: %s appends with term %" PRIu64 " behind term %" PRIu64, i, node->id,
                    hold->term, lane->last_term);
    lane->last_node = at;
    lane->last_term = hold->term;
    lane->last_epoch = hold->epoch;
    lane->length++;
    hold->known++;
    sim->appends++;
}

static void fence(struct sim *sim, struct node *node, uint16_t i)
{
    node->holds[i].epoch = ++sim->lanes[i].epoch;
    sim->takes++;
}

static bool confirm(struct sim *sim, struct node *node, uint16_t i)
{
    struct cairn_lane_owner owner;
    for (; node->read < sim->count; node->read++) {
        if (!sim->gone[node->read]) {
            cairn_ownership_read(node->rules, &sim->log[node->read]);
        }
    }
    cairn_ownership_owner(node->rules, i, &owner);
    return owner.mine && owner.term == node->holds[i].term;
}

/* It was fenced: ask whether it still owns the lane, fence again, read to the end, ask once more.
 */
static void recover(struct sim *sim, struct node *node, uint16_t i)
{
    struct hold *hold = &node->holds[i];
    switch (hold->recover) {
    case 1:
        hold->recover = confirm(sim, node, i) ? 2 : 1;
        break;
    case 2:
        fence(sim, node, i);
        hold->recover = 3;
        break;
    case 3:
        hold->known = sim->lanes[i].length;
        hold->recover = 4;
        break;
    default:
        hold->recover = confirm(sim, node, i) ? 0 : 1;
        break;
    }
}

/* ---- deeds ---- */

static void finish(struct sim *sim, struct node *node, uint16_t i, bool well)
{
    struct deed *deed = &node->deeds[i];
    if (well) {
        cairn_ownership_done(node->rules, i, deed->wish);
    } else {
        cairn_ownership_failed(node->rules, i, deed->wish);
    }
    *deed = (struct deed){.rest = below(sim, sim->storm ? 10 : 2)};
}

static void send_for(struct sim *sim, struct node *node, uint16_t i, enum cairn_control_kind kind)
{
    struct deed *deed = &node->deeds[i];
    deed->serial = ++sim->serials;
    send(sim, node, kind, i, deed->term, deed->serial);
}

static void let_go(struct node *node, uint16_t i)
{
    node->holds[i] = (struct hold){.held = false};
}

/* Fence; read to the end; write ready. Each may fail, the last one also when it did not. */
static void take(struct sim *sim, struct node *node, uint16_t i)
{
    struct deed *deed = &node->deeds[i];
    struct hold *hold = &node->holds[i];
    bool fails = sim->storm && chance(sim, 4);
    if (deed->phase == 0) {
        CAIRN_SIM_CHECK(!hold->held, "lane %u: %s takes what it holds", i, node->id);
        *hold = (struct hold){.held = true, .term = deed->term};
        fence(sim, node, i);
    } else if (deed->phase == 1 && !fails) {
        hold->known = sim->lanes[i].length;
    } else if (deed->phase == 2 && !fails) {
        send_for(sim, node, i, CAIRN_CONTROL_READY);
    } else if (deed->phase > 2 && deed->acknowledged) {
        finish(sim, node, i, true);
        return;
    } else if (fails) {
        let_go(node, i);
        finish(sim, node, i, false);
        return;
    }
    deed->phase += deed->phase < 3 ? 1 : 0;
}

/* A claim or a release: the record, then its arrival, which may be missed. */
static void tell(struct sim *sim, struct node *node, uint16_t i, enum cairn_control_kind kind)
{
    struct deed *deed = &node->deeds[i];
    if (deed->phase == 0) {
        send_for(sim, node, i, kind);
        deed->phase = 1;
    } else if (deed->acknowledged) {
        finish(sim, node, i, true);
    } else if (sim->storm && chance(sim, 4)) {
        finish(sim, node, i, false);
    }
}

static void carry_out(struct sim *sim, struct node *node, uint16_t i)
{
    struct deed *deed = &node->deeds[i];
    switch (deed->wish) {
    case CAIRN_WISH_CLAIM:
        tell(sim, node, i, CAIRN_CONTROL_CLAIM);
        break;
    case CAIRN_WISH_TAKE:
        take(sim, node, i);
        break;
    case CAIRN_WISH_SERVE:
        CAIRN_SIM_CHECK(node->holds[i].held && node->holds[i].term == deed->term,
                        "lane %u: %s serves what it did not take", i, node->id);
        node->holds[i].serving = true;
        finish(sim, node, i, true);
        break;
    case CAIRN_WISH_STOP:
        let_go(node, i);
        finish(sim, node, i, true);
        break;
    case CAIRN_WISH_RELEASE:
        let_go(node, i);
        tell(sim, node, i, CAIRN_CONTROL_RELEASE);
        break;
    case CAIRN_WISH_NOTHING:
        break;
    }
}

static void pursue(struct sim *sim, struct node *node, uint16_t i)
{
    struct deed *deed = &node->deeds[i];
    if (deed->rest > 0) {
        deed->rest--;
        return;
    }
    if (deed->wish == CAIRN_WISH_NOTHING) {
        deed->wish = cairn_ownership_wish(node->rules, i, &deed->term);
        /* A node that serves and has seen a higher term stops. */
        CAIRN_SIM_CHECK(!node->holds[i].serving || deed->wish == CAIRN_WISH_STOP ||
                            node->rules->lanes[i].term == node->holds[i].term,
                        "lane %u: %s serves in an old term", i, node->id);
        deed->rest = sim->storm ? below(sim, 8) : below(sim, 2);
        return;
    }
    carry_out(sim, node, i);
    deed->rest = sim->storm ? below(sim, 8) : 0;
}

/* ---- nodes ---- */

static void start(struct sim *sim, int at)
{
    struct node *node = &sim->nodes[at];
    unsigned run = ++sim->runs;
    *node = (struct node){
        .run = {{(unsigned char)(run >> 16), (unsigned char)(run >> 8), (unsigned char)run}}};
    (void)snprintf(node->id, sizeof(node->id), "node-%d", at);
    node->rules = cairn_ownership_new(node->id, &node->run, sim->lanes_count, true);
    CAIRN_SIM_CHECK(node->rules != NULL, "no memory");
}

/* What was sent arrives up to some point; the process is gone. */
static void stop(struct sim *sim, int at)
{
    struct node *node = &sim->nodes[at];
    for (unsigned keep = below(sim, (unsigned)node->queue_count + 1); keep > 0; keep--) {
        arrive(sim, node);
    }
    cairn_ownership_free(node->rules);
    node->rules = NULL;
}

static void leave(struct sim *sim, int at)
{
    (void)sim;
    struct node *node = &sim->nodes[at];
    node->leaving = true;
    node->beat_in = 0;
    cairn_ownership_leave(node->rules);
}

static void beat(struct sim *sim, struct node *node)
{
    if (node->beat_in > 0) {
        node->beat_in--;
    } else if (cairn_ownership_beats(node->rules) >= node->beats_sent &&
               !cairn_ownership_replaced(node->rules)) {
        send(sim, node, CAIRN_CONTROL_BEAT, CAIRN_LANE_NONE, 0, 0);
        node->beats_sent++;
        node->beat_in = BEAT_ROUNDS;
    }
}

static void read_some(struct sim *sim, struct node *node)
{
    unsigned budget = sim->storm ? below(sim, 30) : 100;
    for (; budget > 0 && node->read < sim->count; node->read++) {
        if (!sim->gone[node->read]) {
            cairn_ownership_read(node->rules, &sim->log[node->read]);
            budget--;
        }
    }
}

/* What a node does in a round. In a storm each part may wait for another one. */
static void live(struct sim *sim, int at)
{
    struct node *node = &sim->nodes[at];
    unsigned busy = sim->storm ? 70 : 95;
    struct cairn_control_record record;
    if (chance(sim, busy)) {
        beat(sim, node);
    }
    while (node->queue_count > 0 && chance(sim, sim->storm ? 40 : 90)) {
        arrive(sim, node);
    }
    if (chance(sim, busy)) {
        read_some(sim, node);
    }
    for (uint16_t i = 0; i < sim->lanes_count; i++) {
        if (chance(sim, busy)) {
            pursue(sim, node, i);
        }
        struct hold *hold = &node->holds[i];
        if (hold->serving && hold->recover != 0) {
            recover(sim, node, i);
        } else if (hold->serving && chance(sim, 30)) {
            append(sim, at, i);
        }
    }
    if (cairn_ownership_bury(node->rules, &record)) {
        append_record(sim, &record);
    }
    if (node->leaving && node->queue_count == 0 && cairn_ownership_empty(node->rules)) {
        send(sim, node, CAIRN_CONTROL_LEAVE, CAIRN_LANE_NONE, 0, 0);
        arrive(sim, node);
        stop(sim, at);
    }
}

static void strike(struct sim *sim)
{
    int at = (int)below(sim, NODES);
    struct node *node = &sim->nodes[at];
    unsigned dice = below(sim, 100);
    if (node->rules == NULL) {
        start(sim, at);
    } else if (node->paused) {
        node->paused = false; /* a zombie wakes, and knows nothing of it */
    } else if (dice < 35) {
        node->paused = true;
        sim->pauses++;
    } else if (dice < 70) {
        stop(sim, at);
        sim->crashes++;
        if (dice < 55) {
            start(sim, at); /* at once */
        }
    } else if (dice < 80 && !node->leaving) {
        leave(sim, at);
    } else {
        compact(sim);
    }
}

static void round_of_all(struct sim *sim)
{
    int first = (int)below(sim, NODES);
    for (int i = 0; i < NODES; i++) {
        int at = (first + i) % NODES;
        if (up(&sim->nodes[at])) {
            live(sim, at);
        }
    }
}

/* ---- calm ---- */

static int server_of(const struct sim *sim, uint16_t lane)
{
    int server = -1;
    for (int i = 0; i < NODES; i++) {
        if (sim->nodes[i].rules != NULL && sim->nodes[i].holds[lane].serving) {
            CAIRN_SIM_CHECK(server < 0, "lane %u: served by %d and %d", lane, server, i);
            server = i;
        }
    }
    return server;
}

static bool busy(const struct sim *sim)
{
    for (int i = 0; i < NODES; i++) {
        const struct node *node = &sim->nodes[i];
        if (node->rules == NULL) {
            continue;
        }
        if (node->leaving) {
            return true;
        }
        for (uint16_t lane = 0; lane < sim->lanes_count; lane++) {
            if (node->deeds[lane].wish != CAIRN_WISH_NOTHING || node->holds[lane].recover != 0) {
                return true;
            }
        }
    }
    return false;
}

/* Until nobody has done anything for a while. Returns the rounds it took, those not counted. */
static unsigned settle(struct sim *sim, uint64_t seed)
{
    unsigned quiet = 0;
    unsigned rounds = 0;
    for (; quiet < QUIET_ROUNDS; rounds++) {
        CAIRN_SIM_CHECK(rounds < CALM_ROUNDS_TOP, "seed %" PRIu64 ": no calm", seed);
        round_of_all(sim);
        quiet = busy(sim) ? 0 : quiet + 1;
    }
    unsigned counts[NODES] = {0};
    unsigned least = UINT16_MAX;
    unsigned most = 0;
    for (uint16_t lane = 0; lane < sim->lanes_count; lane++) {
        int server = server_of(sim, lane);
        CAIRN_SIM_CHECK(server >= 0, "lane %u: nobody serves it", lane);
        counts[server]++;
    }
    for (int i = 0; i < NODES; i++) {
        if (sim->nodes[i].rules != NULL) {
            least = counts[i] < least ? counts[i] : least;
            most = counts[i] > most ? counts[i] : most;
        }
    }
    CAIRN_SIM_CHECK(most - least <= 1, "shares from %u to %u", least, most);
    return rounds - QUIET_ROUNDS;
}

static unsigned count_nodes(const struct sim *sim)
{
    unsigned count = 0;
    for (int i = 0; i < NODES; i++) {
        count += sim->nodes[i].rules != NULL ? 1 : 0;
    }
    return count;
}

/* A node joins, leaves or dies: only the lanes move that must, and each of them once. */
static void change_one(struct sim *sim, uint64_t seed)
{
    int at = (int)below(sim, NODES);
    unsigned nodes = count_nodes(sim);
    unsigned expected = 0;
    sim->claims_won = 0;
    if (sim->nodes[at].rules == NULL) {
        expected = sim->lanes_count / (nodes + 1);
        start(sim, at);
    } else if (nodes > 1) {
        for (uint16_t lane = 0; lane < sim->lanes_count; lane++) {
            expected += server_of(sim, lane) == at ? 1 : 0;
        }
        if (chance(sim, 50)) {
            leave(sim, at);
        } else {
            stop(sim, at);
        }
    }
    (void)settle(sim, seed);
    CAIRN_SIM_CHECK(sim->claims_won == expected, "seed %" PRIu64 ": %u lanes moved, not %u", seed,
                    sim->claims_won, expected);
}

/* Who reads the compacted log knows what they know who have read it all. */
static void compare_readers(struct sim *sim)
{
    static const struct cairn_uuid RUN = {{0xff}};
    struct cairn_ownership *all = cairn_ownership_new("all", &RUN, sim->lanes_count, false);
    struct cairn_ownership *left = cairn_ownership_new("left", &RUN, sim->lanes_count, false);
    CAIRN_SIM_CHECK(all != NULL && left != NULL, "no memory");
    for (size_t i = 0; i < sim->count; i++) {
        cairn_ownership_read(all, &sim->log[i]);
        if (!sim->gone[i]) {
            cairn_ownership_read(left, &sim->log[i]);
        }
    }
    for (uint16_t i = 0; i < sim->lanes_count; i++) {
        const struct cairn_ownership_lane *a = &all->lanes[i];
        const struct cairn_ownership_lane *b = &left->lanes[i];
        CAIRN_SIM_CHECK(a->term == b->term && a->state == b->state && a->ids <= b->ids &&
                            memcmp(&a->run, &b->run, sizeof(a->run)) == 0,
                        "lane %u: term %" PRIu64 " and %" PRIu64, i, a->term, b->term);
    }
    cairn_ownership_free(all);
    cairn_ownership_free(left);
}

static void run_seed(struct sim *sim, uint64_t seed)
{
    struct cairn_control_record *log = sim->log;
    bool *gone = sim->gone;
    memset(gone, 0, LOG_TOP * sizeof(*gone));
    *sim = (struct sim){.random = {seed}, .log = log, .gone = gone, .storm = true};
    sim->lanes_count = (uint16_t)(1 + below(sim, LANES_TOP));
    for (uint16_t i = 0; i < sim->lanes_count; i++) {
        sim->lanes[i].last_node = -1;
    }
    start(sim, 0);
    for (unsigned round = 0; round < STORM_ROUNDS; round++) {
        if (chance(sim, 2)) {
            strike(sim);
        }
        round_of_all(sim);
    }
    sim->storm = false;
    for (int i = 0; i < NODES; i++) {
        sim->nodes[i].paused = false;
    }
    if (count_nodes(sim) == 0) {
        start(sim, 0);
    }
    bool all_leave = true;
    for (int i = 0; i < NODES; i++) {
        all_leave = all_leave && (sim->nodes[i].rules == NULL || sim->nodes[i].leaving);
    }
    for (int i = 0; all_leave && i < NODES; i++) {
        if (sim->nodes[i].rules == NULL) {
            start(sim, i);
            break;
        }
    }
    unsigned rounds = settle(sim, seed);
    for (unsigned i = 0; i < 6; i++) {
        change_one(sim, seed);
    }
    compare_readers(sim);
    printf("seed %" PRIu64 ": %u lanes, %zu records, %" PRIu64 " appends, %" PRIu64
           " fenced, %" PRIu64 " takes, %" PRIu64 " crashes, %" PRIu64 " pauses, %" PRIu64
           " compactions, calm after %u rounds\n",
           seed, sim->lanes_count, sim->count, sim->appends, sim->fenced, sim->takes, sim->crashes,
           sim->pauses, sim->compactions, rounds);
    for (int i = 0; i < NODES; i++) {
        cairn_ownership_free(sim->nodes[i].rules);
    }
}

int main(int argc, char **argv)
{
    uint64_t first = 1;
    uint64_t count = 1;
    if (argc != 3 || cairn_slice_to_u64(cairn_slice_str(argv[1]), &first) != CAIRN_OK ||
        cairn_slice_to_u64(cairn_slice_str(argv[2]), &count) != CAIRN_OK) {
        (void)fprintf(stderr, "usage: sim_ownership FIRST_SEED COUNT\n");
        return EXIT_FAILURE;
    }
    struct sim *sim = calloc(1, sizeof(*sim));
    CAIRN_SIM_CHECK(sim != NULL, "no memory");
    sim->log = calloc(LOG_TOP, sizeof(*sim->log));
    sim->gone = calloc(LOG_TOP, sizeof(*sim->gone));
    CAIRN_SIM_CHECK(sim->log != NULL && sim->gone != NULL, "no memory");
    for (uint64_t seed = first; seed < first + count; seed++) {
        printf("seed %" PRIu64 " begins\n", seed);
        (void)fflush(stdout);
        run_seed(sim, seed);
    }
    free(sim->gone);
    free(sim->log);
    free(sim);
    return EXIT_SUCCESS;
}
