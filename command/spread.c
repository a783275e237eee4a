#include "command/spread.h"

#include <assert.h>

#include "command/answer.h"
#include "command/spread_part.h"

/* Where a command goes in a round. */
enum { PLACE_NOWHERE = -2, PLACE_HERE = -1 }; /* else the number of a part */

struct spot {
    uint16_t lane;
    int16_t place; /* of this round */
    bool tried;    /* it has an answer, if only a refusal */
    bool done;     /* its answer stands */
};

/* What a round finds out about a lane. */
struct lane {
    bool known;    /* the owner was looked up */
    bool refused;  /* nobody takes it, or somebody would not */
    bool settled;  /* one of its commands has a final answer */
    int16_t place; /* of its owner */
};

struct chunk {
    struct cairn_spread *spread;
    const struct cairn_command *commands;
    struct cairn_answer *answers;
    const struct cairn_value **foreign;
    size_t count;
    struct cairn_arena *arena;
    struct spot *spots; /* count */
    size_t left;        /* spots that are not done */
    bool marked;        /* from another node: no second hop */

    struct lane *lanes;
    struct cairn_spread_part *parts; /* CAIRN_SPREAD_OWNERS_MAX; made when first needed */
    size_t part_count;
    bool starved; /* no memory for them */
    size_t here_count;
    struct cairn_command *here_commands; /* count of each; made when first needed */
    struct cairn_answer *here_answers;
};

static void finish(struct chunk *chunk, size_t i)
{
    assert(!chunk->spots[i].done && chunk->left > 0);
    chunk->spots[i].done = true;
    chunk->left--;
}

static void fail(struct chunk *chunk, size_t i, const struct cairn_err *err)
{
    chunk->foreign[i] = NULL;
    chunk->answers[i] = (struct cairn_answer){0};
    cairn_answer_fail(&chunk->answers[i], err);
}

/* Whatever has no answer yet will have none. */
static void fail_rest(struct chunk *chunk)
{
    struct cairn_err err;
    (void)CAIRN_FAIL(&err, CAIRN_ENOMEM, "no memory to hand out %zu commands", chunk->count);
    for (size_t i = 0; i < chunk->count; i++) {
        if (chunk->spots == NULL || !chunk->spots[i].done) {
            fail(chunk, i, &err);
        }
    }
    chunk->left = 0;
}

/* ---- who goes where ---- */

/* The part of an owner; PLACE_NOWHERE when there is no room for another in this round. */
static int16_t part_of(struct chunk *chunk, const struct cairn_owner *owner)
{
    for (size_t p = 0; p < chunk->part_count; p++) {
        if (strcmp(chunk->parts[p].owner.url, owner->url) == 0) {
            return (int16_t)p;
        }
    }
    if (chunk->parts == NULL) {
        chunk->parts =
            cairn_arena_zalloc(chunk->arena, CAIRN_SPREAD_OWNERS_MAX, sizeof(*chunk->parts));
        chunk->starved = chunk->parts == NULL;
    }
    if (chunk->starved || chunk->part_count == CAIRN_SPREAD_OWNERS_MAX) {
        return PLACE_NOWHERE;
    }
    cairn_spread_part_init(&chunk->parts[chunk->part_count], chunk->spread, owner);
    return (int16_t)chunk->part_count++;
}

static const struct lane *look_up(struct chunk *chunk, uint16_t number)
{
    struct lane *lane = &chunk->lanes[number];
    if (!lane->known) {
        struct cairn_owner owner;
        cairn_forward_owner(chunk->spread->forward, number, &owner);
        lane->known = true;
        lane->place = PLACE_NOWHERE;
        if (owner.where == CAIRN_OWNER_HERE) {
            lane->place = PLACE_HERE;
        } else if (owner.where == CAIRN_OWNER_NONE || chunk->marked) {
            lane->refused = true;
        } else {
            lane->place = part_of(chunk, &owner);
        }
    }
    return lane;
}

/* Give every open command its place in this round. */
static void plan(struct chunk *chunk)
{
    memset(chunk->lanes, 0, cairn_forward_lanes(chunk->spread->forward) * sizeof(*chunk->lanes));
    chunk->part_count = 0;
    chunk->here_count = 0;
    for (size_t i = 0; i < chunk->count; i++) {
        struct spot *spot = &chunk->spots[i];
        if (spot->done) {
            continue;
        }
        spot->place = look_up(chunk, spot->lane)->place;
        if (spot->place == PLACE_HERE) {
            chunk->here_count++;
        } else if (spot->place >= 0) {
            struct cairn_err err;
            bool added = false;
            enum cairn_rc rc = cairn_spread_part_add(&chunk->parts[spot->place],
                                                     &chunk->commands[i], &added, &err);
            if (rc != CAIRN_OK) {
                cairn_forward_count(chunk->spread->forward, CAIRN_FORWARD_FAILED, 1);
                fail(chunk, i, &err);
                finish(chunk, i);
            }
            spot->place = added ? spot->place : PLACE_NOWHERE;
        }
    }
}

/* ---- a round ---- */

/* This node's commands, without those of others between them. */
static void run_some_here(struct chunk *chunk)
{
    size_t at = 0;
    for (size_t i = 0; i < chunk->count; i++) {
        if (!chunk->spots[i].done && chunk->spots[i].place == PLACE_HERE) {
            chunk->here_commands[at++] = chunk->commands[i];
        }
    }
    assert(at == chunk->here_count);
    cairn_service_execute(chunk->spread->service, chunk->here_commands, chunk->here_answers, at,
                          chunk->arena);
    at = 0;
    for (size_t i = 0; i < chunk->count; i++) {
        if (!chunk->spots[i].done && chunk->spots[i].place == PLACE_HERE) {
            chunk->answers[i] = chunk->here_answers[at++];
        }
    }
}

static void run_here(struct chunk *chunk)
{
    if (chunk->here_count == chunk->count) {
        cairn_service_execute(chunk->spread->service, chunk->commands, chunk->answers, chunk->count,
                              chunk->arena);
        return;
    }
    if (chunk->here_commands == NULL) {
        chunk->here_commands =
            cairn_arena_alloc(chunk->arena, chunk->count * sizeof(*chunk->here_commands));
        chunk->here_answers =
            cairn_arena_alloc(chunk->arena, chunk->count * sizeof(*chunk->here_answers));
    }
    if (chunk->here_commands != NULL && chunk->here_answers != NULL) {
        run_some_here(chunk);
        return;
    }
    chunk->here_commands = NULL;
    struct cairn_err err;
    (void)CAIRN_FAIL(&err, CAIRN_ENOMEM, "no memory to hand out %zu commands", chunk->here_count);
    for (size_t i = 0; i < chunk->count; i++) {
        if (!chunk->spots[i].done && chunk->spots[i].place == PLACE_HERE) {
            fail(chunk, i, &err);
        }
    }
}

/* Does what a command got in this round say that nothing was carried out for want of an owner? */
static bool is_refused(const struct chunk *chunk, size_t i)
{
    if (chunk->foreign[i] != NULL) {
        return cairn_forward_is_refusal(chunk->foreign[i]);
    }
    return chunk->answers[i].rc == CAIRN_ENOOWNER;
}

/* The index of a fault is that of the owner's batch, which the client has not seen. */
static void hide_index(struct cairn_arena *arena, const struct cairn_value **answer)
{
    if (cairn_value_at(*answer, "index") == NULL) {
        return;
    }
    struct cairn_value_builder rest = {.arena = arena};
    enum cairn_rc rc = CAIRN_OK;
    for (uint32_t i = 0; i < (*answer)->count && rc == CAIRN_OK; i++) {
        const struct cairn_member *member = &(*answer)->as.members[i];
        struct cairn_slice name = cairn_value_slice(&member->key);
        rc = cairn_slice_is(name, "index") ? CAIRN_OK
                                           : cairn_value_add_slice(&rest, name, member->value);
    }
    struct cairn_value *copy = cairn_arena_alloc(arena, sizeof(*copy));
    if (rc == CAIRN_OK && copy != NULL) {
        *copy = cairn_value_map(&rest);
        *answer = copy;
    }
}

/* Hand the answers of a part to its commands. */
static void take_part(struct chunk *chunk, size_t number)
{
    struct cairn_spread_part *part = &chunk->parts[number];
    const struct cairn_value *answers = NULL;
    bool single = false;
    struct cairn_err err;
    enum cairn_rc rc = cairn_spread_part_read(part, chunk->arena, &answers, &single, &err);
    size_t at = 0;
    for (size_t i = 0; i < chunk->count; i++) {
        if (chunk->spots[i].done || chunk->spots[i].place != (int)number) {
            continue;
        }
        if (rc != CAIRN_OK) {
            fail(chunk, i, &err);
        } else {
            chunk->foreign[i] = single ? answers : &answers[at];
            hide_index(chunk->arena, &chunk->foreign[i]);
        }
        at++;
    }
    assert(at == part->count);
    cairn_spread_part_fini(part);
}

static void run_round(struct chunk *chunk)
{
    plan(chunk);
    for (size_t p = 0; p < chunk->part_count; p++) {
        if (chunk->parts[p].count > 0) {
            cairn_spread_part_begin(&chunk->parts[p]);
        }
    }
    for (size_t i = 0; i < chunk->count; i++) {
        if (!chunk->spots[i].done && chunk->spots[i].place != PLACE_NOWHERE) {
            chunk->foreign[i] = NULL;
            chunk->spots[i].tried = true;
        }
    }
    if (chunk->here_count > 0) {
        run_here(chunk);
    }
    for (size_t p = 0; p < chunk->part_count; p++) {
        if (chunk->parts[p].count > 0) {
            cairn_spread_part_end(&chunk->parts[p]);
            take_part(chunk, p);
        } else {
            cairn_spread_part_fini(&chunk->parts[p]);
        }
    }
}

/* ---- what comes of it ---- */

/* The answer of a command stands. */
static void settle(struct chunk *chunk, size_t i)
{
    if (chunk->spots[i].place >= 0) {
        enum cairn_forward_outcome outcome = CAIRN_FORWARD_ANSWERED;
        if (is_refused(chunk, i)) {
            outcome = CAIRN_FORWARD_NO_OWNER;
        } else if (chunk->foreign[i] == NULL) {
            outcome = cairn_forward_outcome_of(chunk->answers[i].rc);
        }
        cairn_forward_count(chunk->spread->forward, outcome, 1);
    }
    finish(chunk, i);
}

/* Let stand what this round answered for good. True: some lanes found nobody. */
static bool settle_round(struct chunk *chunk)
{
    bool lacking = false;
    for (size_t i = 0; i < chunk->count; i++) {
        const struct spot *spot = &chunk->spots[i];
        if (!spot->done && spot->place != PLACE_NOWHERE) {
            struct lane *lane = &chunk->lanes[spot->lane];
            bool refused = is_refused(chunk, i);
            lane->refused = lane->refused || refused;
            lane->settled = lane->settled || !refused;
        }
    }
    for (size_t i = 0; i < chunk->count; i++) {
        const struct spot *spot = &chunk->spots[i];
        const struct lane *lane = &chunk->lanes[spot->lane];
        if (spot->done) {
            continue;
        }
        if (lane->settled && spot->place != PLACE_NOWHERE) {
            settle(chunk, i);
        }
        lacking = lacking || (lane->refused && !lane->settled);
    }
    return lacking;
}

/* Nobody took these lanes, and there is no time left to wait. What they were last told stands. */
static void give_up(struct chunk *chunk)
{
    struct cairn_err err;
    for (size_t i = 0; i < chunk->count; i++) {
        const struct spot *spot = &chunk->spots[i];
        const struct lane *lane = &chunk->lanes[spot->lane];
        if (spot->done || !lane->refused || lane->settled) {
            continue;
        }
        if (!spot->tried) {
            (void)CAIRN_FAIL(&err, CAIRN_ENOOWNER,
                             chunk->marked ? "partition %u is not this node's, and the command has "
                                             "come from another node already"
                                           : "partition %u has no owner now",
                             (unsigned)spot->lane);
            fail(chunk, i, &err);
        }
        cairn_forward_count(chunk->spread->forward,
                            chunk->marked ? CAIRN_FORWARD_SECOND_HOP : CAIRN_FORWARD_NO_OWNER, 1);
        finish(chunk, i);
    }
}

/* Each round settles a command, or uses up patience. */
static void run_rounds(struct chunk *chunk)
{
    struct cairn_spread *spread = chunk->spread;
    while (chunk->left > 0) {
        cairn_patience_begin(&spread->patience);
        run_round(chunk);
        if (settle_round(chunk) &&
            (chunk->marked || !cairn_patience_wait(&spread->patience, spread->request))) {
            give_up(chunk);
        }
        if (chunk->starved) {
            fail_rest(chunk);
        }
    }
}

void cairn_spread_execute(struct cairn_spread *spread, const struct cairn_command *commands,
                          struct cairn_answer *answers, const struct cairn_value **foreign,
                          size_t count, struct cairn_arena *arena)
{
    assert(spread->forward != NULL && spread->service != NULL);
    struct chunk chunk = {
        .spread = spread,
        .commands = commands,
        .answers = answers,
        .foreign = foreign,
        .count = count,
        .arena = arena,
        .spots = cairn_arena_zalloc(arena, count, sizeof(*chunk.spots)),
        .left = count,
        .marked = cairn_forward_is_marked(spread->request),
        .lanes =
            cairn_arena_zalloc(arena, cairn_forward_lanes(spread->forward), sizeof(*chunk.lanes)),
    };
    if (count == 0) {
        return;
    }
    memset(foreign, 0, count * sizeof(*foreign));
    if (chunk.spots == NULL || chunk.lanes == NULL) {
        fail_rest(&chunk);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        chunk.spots[i].lane =
            cairn_forward_lane(spread->forward, commands[i].command->aggregate, commands[i].id);
    }
    run_rounds(&chunk);
}
