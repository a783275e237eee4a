#include "eventstore/ownership.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/cm.h"

enum { PEERS_MAX = 6, RECORDS_MAX = 20000, LANES = 8, ROUNDS_MAX = 60 };

/* A node of the test: its rules, and how far it has read. */
struct peer {
    struct cairn_ownership *rules; /* NULL: it does not run */
    char id[8];
    struct cairn_uuid run;
    size_t read;
    unsigned serving; /* lanes, a bit each */
    bool leaving;
};

struct world {
    struct peer peers[PEERS_MAX];
    struct cairn_control_record *log;
    size_t count;
    uint16_t lanes;
    unsigned moves; /* claims that were won */
    unsigned starts;
};

static void world_begin(struct world *world, uint16_t lanes)
{
    *world = (struct world){.lanes = lanes};
    world->log = calloc(RECORDS_MAX, sizeof(world->log[0]));
    assert_non_null(world->log);
}

static void stop_peer(struct world *world, unsigned i)
{
    cairn_ownership_free(world->peers[i].rules);
    world->peers[i].rules = NULL;
    world->peers[i].serving = 0;
}

static void world_end(struct world *world)
{
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        stop_peer(world, i);
    }
    free(world->log);
}

static void start_peer(struct world *world, unsigned i)
{
    struct peer *peer = &world->peers[i];
    *peer = (struct peer){.run = {{(unsigned char)++world->starts}}};
    (void)snprintf(peer->id, sizeof(peer->id), "n%u", i);
    peer->rules = cairn_ownership_new(peer->id, &peer->run, world->lanes, true);
    assert_non_null(peer->rules);
}

static void write_record(struct world *world, unsigned i, struct cairn_control_record record)
{
    const struct peer *peer = &world->peers[i];
    assert_true(world->count < RECORDS_MAX);
    record.run = peer->run;
    memcpy(record.node, peer->id, sizeof(peer->id));
    (void)snprintf(record.url, sizeof(record.url), "http://%s", peer->id);
    record.time_us = (int64_t)world->count;
    world->log[world->count++] = record;
}

static void write_of_lane(struct world *world, unsigned i, enum cairn_control_kind kind,
                          uint16_t lane, uint64_t term)
{
    write_record(world, i,
                 (struct cairn_control_record){
                     .kind = kind, .lane = lane, .term = term, .ids = (uint16_t)(i + 1)});
}

static void beat(struct world *world, unsigned i)
{
    write_record(world, i,
                 (struct cairn_control_record){.kind = CAIRN_CONTROL_BEAT,
                                               .lane = CAIRN_LANE_NONE,
                                               .leaving = world->peers[i].leaving});
}

static void read_all(struct world *world, unsigned i)
{
    struct peer *peer = &world->peers[i];
    while (peer->read < world->count) {
        cairn_ownership_read(peer->rules, &world->log[peer->read++]);
    }
}

static void everybody_reads(struct world *world)
{
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        if (world->peers[i].rules != NULL) {
            read_all(world, i);
        }
    }
}

static enum cairn_ownership_wish wish(struct world *world, unsigned i, uint16_t lane)
{
    uint64_t term = 0;
    return cairn_ownership_wish(world->peers[i].rules, lane, &term);
}

/* Carry out one wish at once. */
static void carry_out(struct world *world, unsigned i, uint16_t lane,
                      enum cairn_ownership_wish what, uint64_t term)
{
    struct peer *peer = &world->peers[i];
    unsigned bit = 1u << lane;
    if (what == CAIRN_WISH_CLAIM) {
        write_of_lane(world, i, CAIRN_CONTROL_CLAIM, lane, term);
        world->moves++;
    } else if (what == CAIRN_WISH_TAKE) {
        write_of_lane(world, i, CAIRN_CONTROL_READY, lane, term);
    } else if (what == CAIRN_WISH_SERVE) {
        peer->serving |= bit;
    } else {
        peer->serving &= ~bit;
        if (what == CAIRN_WISH_RELEASE) {
            write_of_lane(world, i, CAIRN_CONTROL_RELEASE, lane, term);
        }
    }
    cairn_ownership_done(peer->rules, lane, what);
}

/* True: it wished for something. */
static bool act(struct world *world, unsigned i)
{
    bool acted = false;
    for (uint16_t lane = 0; lane < world->lanes; lane++) {
        uint64_t term = 0;
        enum cairn_ownership_wish what = cairn_ownership_wish(world->peers[i].rules, lane, &term);
        if (what != CAIRN_WISH_NOTHING) {
            carry_out(world, i, lane, what, term);
            acted = true;
        }
    }
    return acted;
}

/* All beat, read and act, until for LIVES + 1 rounds nobody wishes for anything. */
static void settle(struct world *world)
{
    unsigned quiet = 0;
    unsigned rounds = 0;
    while (quiet <= CAIRN_OWNERSHIP_LIVES) {
        bool acted = false;
        assert_true(rounds++ < ROUNDS_MAX);
        for (unsigned i = 0; i < PEERS_MAX; i++) {
            if (world->peers[i].rules != NULL) {
                beat(world, i);
            }
        }
        everybody_reads(world);
        for (unsigned i = 0; i < PEERS_MAX; i++) {
            acted = (world->peers[i].rules != NULL && act(world, i)) || acted;
        }
        quiet = acted ? 0 : quiet + 1;
    }
    everybody_reads(world);
}

/* A log of so many lanes with so many nodes that have shared them out. */
static void begin_settled(struct world *world, uint16_t lanes, unsigned peers)
{
    world_begin(world, lanes);
    for (unsigned i = 0; i < peers; i++) {
        start_peer(world, i);
    }
    settle(world);
}

static unsigned count_bits(unsigned bits)
{
    return (unsigned)__builtin_popcount(bits);
}

/* Each lane is served by one node, and shares differ by one at most. */
static void assert_balanced(const struct world *world)
{
    unsigned all = 0;
    unsigned least = UINT16_MAX;
    unsigned most = 0;
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        const struct peer *peer = &world->peers[i];
        if (peer->rules == NULL || peer->leaving) {
            assert_int_equal(peer->serving, 0);
            continue;
        }
        assert_int_equal(all & peer->serving, 0);
        all |= peer->serving;
        least = count_bits(peer->serving) < least ? count_bits(peer->serving) : least;
        most = count_bits(peer->serving) > most ? count_bits(peer->serving) : most;
    }
    assert_int_equal(all, (1u << world->lanes) - 1);
    assert_true(most - least <= 1);
}

static void a_lone_node_takes_every_lane(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, LANES);
    start_peer(&world, 0);
    assert_int_equal(wish(&world, 0, 0), CAIRN_WISH_NOTHING); /* before its own beat came back */
    settle(&world);
    assert_balanced(&world);
    struct cairn_lane_owner owner;
    cairn_ownership_owner(world.peers[0].rules, 3, &owner);
    assert_int_equal(owner.state, CAIRN_LANE_OWNED);
    assert_true(owner.mine);
    assert_int_equal(owner.term, 1);
    assert_int_equal(owner.ids, 1);
    assert_string_equal(owner.node, "n0");
    assert_string_equal(owner.url, "http://n0");
    world_end(&world);
}

static void a_joining_node_gets_its_share_and_no_lane_moves_twice(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, LANES);
    static const unsigned MOVES[] = {8, 4, 2, 2};
    for (unsigned i = 0; i < 4; i++) {
        world.moves = 0;
        start_peer(&world, i);
        settle(&world);
        assert_balanced(&world);
        assert_int_equal(world.moves, MOVES[i]);
    }
    world_end(&world);
}

static void the_highest_lanes_are_given_up(void **state)
{
    (void)state;
    struct world world;
    begin_settled(&world, LANES, 1);
    start_peer(&world, 1);
    settle(&world);
    assert_int_equal(world.peers[0].serving, 0x0f);
    assert_int_equal(world.peers[1].serving, 0xf0);
    world_end(&world);
}

static void shares_of_uneven_lanes_differ_by_one(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, 7);
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        start_peer(&world, i);
        settle(&world);
        assert_balanced(&world);
    }
    world_end(&world);
}

static void more_nodes_than_lanes_leave_some_without(void **state)
{
    (void)state;
    struct world world;
    begin_settled(&world, 2, 4);
    assert_balanced(&world);
    world_end(&world);
}

static void lanes_of_a_dead_node_go_to_the_others_and_only_they_move(void **state)
{
    (void)state;
    struct world world;
    begin_settled(&world, LANES, 3);
    unsigned dead = count_bits(world.peers[1].serving);
    stop_peer(&world, 1);
    world.moves = 0;
    settle(&world);
    assert_balanced(&world);
    assert_int_equal(world.moves, dead);
    assert_int_equal(cairn_ownership_nodes(world.peers[0].rules), 2);
    world_end(&world);
}

static void a_node_is_dead_after_lives_of_own_beats_and_not_before(void **state)
{
    (void)state;
    struct world world;
    begin_settled(&world, 2, 2);
    beat(&world, 1);
    for (unsigned i = 0; i < CAIRN_OWNERSHIP_LIVES; i++) {
        assert_int_equal(wish(&world, 0, 1), CAIRN_WISH_NOTHING);
        assert_int_equal(cairn_ownership_nodes(world.peers[0].rules), 2);
        beat(&world, 0);
        read_all(&world, 0);
    }
    assert_int_equal(cairn_ownership_nodes(world.peers[0].rules), 1);
    struct cairn_lane_owner owner;
    cairn_ownership_owner(world.peers[0].rules, 1, &owner);
    assert_int_equal(owner.state, CAIRN_LANE_FREE);
    assert_int_equal(owner.ids, 2); /* to be fenced */
    assert_int_equal(wish(&world, 0, 1), CAIRN_WISH_CLAIM);
    world_end(&world);
}

static void a_log_that_stands_still_makes_nobody_dead(void **state)
{
    (void)state;
    struct world world;
    begin_settled(&world, 2, 2);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(wish(&world, 0, 1), CAIRN_WISH_NOTHING);
    }
    assert_int_equal(cairn_ownership_nodes(world.peers[0].rules), 2);
    world_end(&world);
}

static void after_a_standstill_others_get_more_time_until_they_are_heard(void **state)
{
    (void)state;
    struct world world;
    begin_settled(&world, 2, 2);
    for (unsigned heard = 0; heard < 2; heard++) {
        cairn_ownership_forgive(world.peers[0].rules);
        unsigned lives = CAIRN_OWNERSHIP_LIVES + CAIRN_OWNERSHIP_GRACE;
        if (heard == 1) {
            lives = CAIRN_OWNERSHIP_LIVES;
            beat(&world, 1);
            read_all(&world, 0);
        }
        for (unsigned i = 0; i < lives; i++) {
            assert_int_equal(cairn_ownership_nodes(world.peers[0].rules), 2);
            beat(&world, 0);
            read_all(&world, 0);
        }
        assert_int_equal(cairn_ownership_nodes(world.peers[0].rules), 1);
        cairn_ownership_forgive(world.peers[0].rules); /* the dead stay dead */
        assert_int_equal(cairn_ownership_nodes(world.peers[0].rules), 1);
        beat(&world, 1);
        read_all(&world, 0);
    }
    world_end(&world);
}

static void of_two_claims_the_first_wins(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, 1);
    start_peer(&world, 0);
    start_peer(&world, 1);
    beat(&world, 0);
    beat(&world, 1);
    write_of_lane(&world, 1, CAIRN_CONTROL_CLAIM, 0, 1);
    write_of_lane(&world, 0, CAIRN_CONTROL_CLAIM, 0, 1);
    everybody_reads(&world);
    assert_int_equal(wish(&world, 0, 0), CAIRN_WISH_NOTHING);
    assert_int_equal(wish(&world, 1, 0), CAIRN_WISH_TAKE);
    world_end(&world);
}

static void a_ready_behind_a_higher_claim_is_void(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, 1);
    start_peer(&world, 0);
    start_peer(&world, 1);
    beat(&world, 0);
    beat(&world, 1);
    write_of_lane(&world, 0, CAIRN_CONTROL_CLAIM, 0, 1);
    everybody_reads(&world);
    assert_int_equal(wish(&world, 0, 0), CAIRN_WISH_TAKE);
    write_of_lane(&world, 1, CAIRN_CONTROL_CLAIM, 0, 2);
    write_of_lane(&world, 0, CAIRN_CONTROL_READY, 0, 1);
    cairn_ownership_done(world.peers[0].rules, 0, CAIRN_WISH_TAKE);
    everybody_reads(&world);
    assert_int_equal(wish(&world, 0, 0), CAIRN_WISH_STOP); /* what it took it lets go */
    assert_int_equal(wish(&world, 1, 0), CAIRN_WISH_TAKE);
    world_end(&world);
}

static void a_serving_node_that_sees_a_higher_term_stops(void **state)
{
    (void)state;
    struct world world;
    begin_settled(&world, 1, 1);
    start_peer(&world, 1);
    beat(&world, 1);
    write_of_lane(&world, 1, CAIRN_CONTROL_CLAIM, 0, 2);
    everybody_reads(&world);
    assert_int_equal(wish(&world, 0, 0), CAIRN_WISH_STOP);
    assert_int_equal(wish(&world, 0, 0), CAIRN_WISH_NOTHING); /* given once */
    cairn_ownership_done(world.peers[0].rules, 0, CAIRN_WISH_STOP);
    assert_int_equal(wish(&world, 0, 0), CAIRN_WISH_NOTHING);
    world_end(&world);
}

static void a_restarted_node_claims_its_lanes_at_once(void **state)
{
    (void)state;
    struct world world;
    begin_settled(&world, LANES, 2);
    unsigned had = world.peers[1].serving;
    stop_peer(&world, 1);
    start_peer(&world, 1);
    beat(&world, 1);
    everybody_reads(&world);
    for (uint16_t lane = 0; lane < LANES; lane++) {
        struct cairn_lane_owner owner;
        cairn_ownership_owner(world.peers[0].rules, lane, &owner);
        bool lost = (had & (1u << lane)) != 0;
        assert_int_equal(owner.state, lost ? CAIRN_LANE_FREE : CAIRN_LANE_OWNED);
        assert_int_equal(wish(&world, 0, lane), CAIRN_WISH_NOTHING);
        assert_int_equal(wish(&world, 1, lane), lost ? CAIRN_WISH_CLAIM : CAIRN_WISH_NOTHING);
    }
    world_end(&world);
}

static void a_younger_run_of_the_same_id_replaces_the_older(void **state)
{
    (void)state;
    struct world world;
    begin_settled(&world, 1, 1);
    struct peer older = world.peers[0];
    start_peer(&world, 0);
    beat(&world, 0);
    struct peer younger = world.peers[0];
    world.peers[0] = older;
    beat(&world, 0); /* late: the younger one passes it over */
    read_all(&world, 0);
    assert_true(cairn_ownership_replaced(world.peers[0].rules));
    assert_int_equal(wish(&world, 0, 0), CAIRN_WISH_STOP);
    cairn_ownership_done(world.peers[0].rules, 0, CAIRN_WISH_STOP);
    assert_int_equal(wish(&world, 0, 0), CAIRN_WISH_NOTHING);
    stop_peer(&world, 0);
    world.peers[0] = younger;
    read_all(&world, 0);
    assert_false(cairn_ownership_replaced(world.peers[0].rules));
    assert_int_equal(wish(&world, 0, 0), CAIRN_WISH_CLAIM);
    world_end(&world);
}

static void a_leaving_node_releases_and_is_named_no_more(void **state)
{
    (void)state;
    struct world world;
    begin_settled(&world, LANES, 2);
    world.moves = 0;
    cairn_ownership_leave(world.peers[0].rules);
    world.peers[0].leaving = true;
    assert_false(cairn_ownership_empty(world.peers[0].rules));
    settle(&world);
    assert_true(cairn_ownership_empty(world.peers[0].rules));
    assert_balanced(&world);
    assert_int_equal(world.moves, LANES / 2);
    world_end(&world);
}

static void lanes_of_a_node_that_left_are_free_at_once(void **state)
{
    (void)state;
    struct world world;
    begin_settled(&world, 2, 2);
    write_record(
        &world, 1,
        (struct cairn_control_record){.kind = CAIRN_CONTROL_LEAVE, .lane = CAIRN_LANE_NONE});
    read_all(&world, 0);
    assert_int_equal(cairn_ownership_nodes(world.peers[0].rules), 1);
    assert_int_equal(wish(&world, 0, 1), CAIRN_WISH_CLAIM);
    world_end(&world);
}

static void a_failed_wish_is_given_again(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, 1);
    start_peer(&world, 0);
    struct cairn_ownership *rules = world.peers[0].rules;
    beat(&world, 0);
    read_all(&world, 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(wish(&world, 0, 0), CAIRN_WISH_CLAIM);
        assert_int_equal(wish(&world, 0, 0), CAIRN_WISH_NOTHING);
        cairn_ownership_failed(rules, 0, CAIRN_WISH_CLAIM);
    }
    write_of_lane(&world, 0, CAIRN_CONTROL_CLAIM, 0, 1);
    read_all(&world, 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(wish(&world, 0, 0), CAIRN_WISH_TAKE);
        assert_int_equal(wish(&world, 0, 0), CAIRN_WISH_NOTHING);
        cairn_ownership_failed(rules, 0, CAIRN_WISH_TAKE);
    }
    world_end(&world);
}

static void a_ready_of_a_take_that_failed_is_not_served(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, 1);
    start_peer(&world, 0);
    beat(&world, 0);
    write_of_lane(&world, 0, CAIRN_CONTROL_CLAIM, 0, 1);
    read_all(&world, 0);
    assert_int_equal(wish(&world, 0, 0), CAIRN_WISH_TAKE);
    write_of_lane(&world, 0, CAIRN_CONTROL_READY, 0, 1); /* written, and reported as failed */
    read_all(&world, 0);
    cairn_ownership_failed(world.peers[0].rules, 0, CAIRN_WISH_TAKE);
    assert_int_equal(wish(&world, 0, 0), CAIRN_WISH_TAKE);
    cairn_ownership_done(world.peers[0].rules, 0, CAIRN_WISH_TAKE);
    assert_int_equal(wish(&world, 0, 0), CAIRN_WISH_SERVE);
    world_end(&world);
}

static void a_release_that_failed_is_given_again_and_never_served(void **state)
{
    (void)state;
    struct world world;
    begin_settled(&world, 2, 1);
    start_peer(&world, 1);
    beat(&world, 1);
    everybody_reads(&world);
    assert_int_equal(wish(&world, 0, 1), CAIRN_WISH_RELEASE);
    cairn_ownership_failed(world.peers[0].rules, 1, CAIRN_WISH_RELEASE);
    write_record(
        &world, 1, /* the reason is gone */
        (struct cairn_control_record){.kind = CAIRN_CONTROL_LEAVE, .lane = CAIRN_LANE_NONE});
    everybody_reads(&world);
    assert_int_equal(wish(&world, 0, 1), CAIRN_WISH_RELEASE);
    cairn_ownership_done(world.peers[0].rules, 1, CAIRN_WISH_RELEASE);
    assert_int_equal(wish(&world, 0, 1), CAIRN_WISH_NOTHING);
    world_end(&world);
}

static void a_node_that_watches_sees_owners_and_wishes_nothing(void **state)
{
    (void)state;
    struct world world;
    begin_settled(&world, 2, 2);
    /* It may go by the id of a node that owns. */
    struct cairn_ownership *rules =
        cairn_ownership_new("n0", &world.peers[0].run, world.lanes, false);
    assert_non_null(rules);
    for (size_t i = 0; i < world.count; i++) {
        uint64_t term = 0;
        cairn_ownership_read(rules, &world.log[i]);
        assert_int_equal(cairn_ownership_wish(rules, 0, &term), CAIRN_WISH_NOTHING);
    }
    struct cairn_lane_owner owner;
    cairn_ownership_owner(rules, 1, &owner);
    assert_int_equal(owner.state, CAIRN_LANE_OWNED);
    assert_string_equal(owner.node, "n1");
    assert_false(owner.mine);
    assert_int_equal(cairn_ownership_nodes(rules), 2);
    size_t from = world.count;
    for (unsigned i = 0; i <= CAIRN_OWNERSHIP_LIVES; i++) {
        beat(&world, 0);
    }
    for (size_t i = from; i < world.count; i++) {
        cairn_ownership_read(rules, &world.log[i]);
    }
    assert_int_equal(cairn_ownership_nodes(rules), 1);
    cairn_ownership_owner(rules, 1, &owner);
    assert_int_equal(owner.state, CAIRN_LANE_FREE);
    cairn_ownership_free(rules);
    world_end(&world);
}

static void records_that_make_no_sense_are_passed_over(void **state)
{
    (void)state;
    struct world world;
    begin_settled(&world, 2, 1);
    write_of_lane(&world, 1, CAIRN_CONTROL_CLAIM, 2, 5); /* no such lane, no such id */
    memcpy(world.peers[1].id, "n1", 3);
    write_of_lane(&world, 1, CAIRN_CONTROL_CLAIM, 2, 5);
    write_of_lane(&world, 1, CAIRN_CONTROL_CLAIM, 1, 0);
    write_of_lane(&world, 1, CAIRN_CONTROL_CLAIM, 1, CAIRN_TERM_MAX + 1);
    write_of_lane(&world, 1, CAIRN_CONTROL_BEAT, 1, 7);
    read_all(&world, 0);
    assert_int_equal(wish(&world, 0, 0), CAIRN_WISH_NOTHING);
    assert_int_equal(wish(&world, 0, 1), CAIRN_WISH_NOTHING);
    assert_int_equal(cairn_ownership_nodes(world.peers[0].rules), 1);
    world_end(&world);
}

static void more_nodes_than_the_table_holds_push_out_the_dead_only(void **state)
{
    (void)state;
    struct world world;
    begin_settled(&world, 2, 1);
    for (unsigned i = 0; i < 3 * CAIRN_NODES_MAX; i++) {
        (void)snprintf(world.peers[1].id, sizeof(world.peers[1].id), "x%u", i);
        beat(&world, 1);
        if (i % 8 == 0) {
            beat(&world, 0);
        }
    }
    read_all(&world, 0);
    size_t nodes = cairn_ownership_nodes(world.peers[0].rules);
    assert_true(nodes > CAIRN_OWNERSHIP_LIVES && nodes <= CAIRN_NODES_MAX);
    settle(&world);
    assert_int_equal(cairn_ownership_nodes(world.peers[0].rules), 1);
    world_end(&world);
}

static void what_is_left_of_the_long_dead_is_erased_once_by_one_node(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, LANES);
    for (unsigned i = 0; i < 3; i++) {
        start_peer(&world, i);
        settle(&world);
    }
    stop_peer(&world, 2);
    settle(&world);
    struct cairn_control_record record;
    assert_false(cairn_ownership_bury(world.peers[0].rules, &record)); /* not long enough */
    for (unsigned i = 0; i < CAIRN_OWNERSHIP_BURY_BEATS; i++) {
        beat(&world, 0);
        beat(&world, 1);
    }
    everybody_reads(&world);
    assert_false(cairn_ownership_bury(world.peers[1].rules, &record));
    unsigned lanes = 0;
    unsigned nodes = 0;
    while (cairn_ownership_bury(world.peers[0].rules, &record)) {
        assert_int_equal(record.kind, CAIRN_CONTROL_ERASE);
        assert_string_equal(record.node, "n2");
        lanes += record.lane != CAIRN_LANE_NONE ? 1 : 0;
        nodes += record.lane == CAIRN_LANE_NONE ? 1 : 0;
        world.log[world.count++] = record;
    }
    assert_int_equal(lanes, 2); /* those that it had */
    assert_int_equal(nodes, 1);
    everybody_reads(&world);
    assert_false(cairn_ownership_bury(world.peers[0].rules, &record));
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_node_takes_every_lane),
        cmocka_unit_test(a_joining_node_gets_its_share_and_no_lane_moves_twice),
        cmocka_unit_test(the_highest_lanes_are_given_up),
        cmocka_unit_test(shares_of_uneven_lanes_differ_by_one),
        cmocka_unit_test(more_nodes_than_lanes_leave_some_without),
        cmocka_unit_test(lanes_of_a_dead_node_go_to_the_others_and_only_they_move),
        cmocka_unit_test(a_node_is_dead_after_lives_of_own_beats_and_not_before),
        cmocka_unit_test(a_log_that_stands_still_makes_nobody_dead),
        cmocka_unit_test(after_a_standstill_others_get_more_time_until_they_are_heard),
        cmocka_unit_test(of_two_claims_the_first_wins),
        cmocka_unit_test(a_ready_behind_a_higher_claim_is_void),
        cmocka_unit_test(a_serving_node_that_sees_a_higher_term_stops),
        cmocka_unit_test(a_restarted_node_claims_its_lanes_at_once),
        cmocka_unit_test(a_younger_run_of_the_same_id_replaces_the_older),
        cmocka_unit_test(a_leaving_node_releases_and_is_named_no_more),
        cmocka_unit_test(lanes_of_a_node_that_left_are_free_at_once),
        cmocka_unit_test(a_failed_wish_is_given_again),
        cmocka_unit_test(a_ready_of_a_take_that_failed_is_not_served),
        cmocka_unit_test(a_release_that_failed_is_given_again_and_never_served),
        cmocka_unit_test(a_node_that_watches_sees_owners_and_wishes_nothing),
        cmocka_unit_test(records_that_make_no_sense_are_passed_over),
        cmocka_unit_test(more_nodes_than_the_table_holds_push_out_the_dead_only),
        cmocka_unit_test(what_is_left_of_the_long_dead_is_erased_once_by_one_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
