#include "command/group.h"

#include <assert.h>

#include "command/answer.h"
#include "command/receipt.h"
#include "platform/mem.h"

/* Where a command stands. */
enum phase {
    OPEN,      /* to be decided, for the first time or again */
    PENDING,   /* its events wait for the commit */
    FOLLOWING, /* another command of the running append brought its key */
    DONE       /* answered; with `rests_on` set, only if that aggregate's appends hold */
};

struct cairn_group_slot {
    const struct cairn_command *command;
    struct cairn_answer *answer;
    struct cairn_arena *arena;
    enum phase phase;
    unsigned decisions;                /* taken so far */
    bool holds_key;                    /* in group->keys */
    const struct cairn_append *append; /* of PENDING */
    struct cairn_hot *rests_on;      /* pinned aggregate that the outcome was decided on, or NULL */
    struct cairn_group_slot *leader; /* of FOLLOWING */
};

/* How a decision went on: the slot is settled as far as it can be, or the running append must be
 * committed before it can be decided. */
enum step { STEP_NEXT, STEP_COMMIT_FIRST };

/* ---- set up ---- */

static enum cairn_rc init_domain(struct cairn_group *group,
                                 const struct cairn_service_options *options, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_decider_lua(options->domain, &options->lua, &group->decider, err);
    if (rc == CAIRN_OK) {
        rc = cairn_upcaster_new(options->domain, &group->upcaster, err);
    }
    return rc;
}

enum cairn_rc cairn_group_init(struct cairn_group *group,
                               const struct cairn_service_options *options, uint16_t partition,
                               struct cairn_keys *keys, struct cairn_err *err)
{
    assert(options->store != NULL && options->domain != NULL);
    size_t memory = options->lua.memory_bytes > 0 ? options->lua.memory_bytes
                                                  : (size_t)CAIRN_DECIDER_MEMORY_DEFAULT;
    size_t aggregates =
        options->cache_aggregates > 0 ? options->cache_aggregates : CAIRN_CACHE_AGGREGATES_DEFAULT;
    *group = (struct cairn_group){
        .store = options->store,
        .domain = options->domain,
        .keys = keys,
        .partition = partition,
        .log = options->log,
        .slot_arena = {.max = CAIRN_GROUP_ARENA_MAX},
        .first_of_key = {.max = CAIRN_GROUP_COMMANDS_MAX},
        .arena = {.max = CAIRN_GROUP_ARENA_MAX},
    };
    enum cairn_rc rc = init_domain(group, options, err);
    if (rc != CAIRN_OK) {
        cairn_group_fini(group);
        return rc;
    }
    cairn_fold_init(&group->fold, options->store, &group->decider, group->upcaster);
    cairn_proposer_init(&group->proposer, options, &group->decider);
    cairn_cache_init(&group->cache, &group->decider, aggregates,
                     memory / 100 * CAIRN_CACHE_MEMORY_PERCENT);
    return CAIRN_OK;
}

void cairn_group_fini(struct cairn_group *group)
{
    if (group->cache.decider != NULL) {
        cairn_cache_fini(&group->cache);
        cairn_proposer_fini(&group->proposer);
        cairn_fold_fini(&group->fold);
    }
    cairn_upcaster_free(group->upcaster);
    if (group->decider.free != NULL) {
        group->decider.free(group->decider.self);
    }
    cairn_map_fini(&group->first_of_key);
    cairn_arena_fini(&group->slot_arena);
    cairn_arena_fini(&group->arena);
    *group = (struct cairn_group){0};
}

enum cairn_rc cairn_group_begin(struct cairn_group *group, size_t max, struct cairn_err *err)
{
    assert(max > 0 && max <= CAIRN_GROUP_COMMANDS_MAX);
    assert(group->append_count == 0 && group->pinned_count == 0);
    group->count = 0;
    group->max = 0;
    cairn_arena_reset(&group->slot_arena);
    group->slots = cairn_arena_alloc(&group->slot_arena, max * sizeof(*group->slots));
    if (group->slots == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for a group of %zu commands", max);
    }
    group->max = max;
    return CAIRN_OK;
}

void cairn_group_add(struct cairn_group *group, const struct cairn_command *command,
                     struct cairn_answer *answer, struct cairn_arena *arena)
{
    assert(group->count < group->max);
    assert(command->command != NULL && command->data != NULL);
    group->slots[group->count] =
        (struct cairn_group_slot){.command = command, .answer = answer, .arena = arena};
    group->count++;
}

/* ---- answers ---- */

static void finish(struct cairn_group *group, struct cairn_group_slot *slot)
{
    slot->phase = DONE;
    if (slot->holds_key) {
        cairn_keys_release(group->keys, slot->command->key, group->partition);
        slot->holds_key = false;
    }
}

static void fail(struct cairn_group *group, struct cairn_group_slot *slot,
                 const struct cairn_err *err)
{
    cairn_answer_fail(slot->answer, err);
    finish(group, slot);
}

/* Fail on the stream's version: expected is the command's, actual what stands against it. */
static void fail_version(struct cairn_group *group, struct cairn_group_slot *slot, uint64_t actual)
{
    struct cairn_err err;
    (void)CAIRN_FAIL(&err, CAIRN_ECONFLICT, "the stream is at version %llu",
                     (unsigned long long)actual);
    slot->answer->version = actual;
    fail(group, slot, &err);
}

/* ---- the running append ---- */

/* Room for one more append. The arrays live until the commit, so growing leaves the old ones
 * behind. */
static bool reserve_append(struct cairn_group *group)
{
    if (group->append_count < group->append_max) {
        return true;
    }
    size_t max = group->append_max == 0 ? 1 : group->append_max * 4;
    if (max > group->count) {
        max = group->count;
    }
    struct cairn_append *appends = cairn_arena_alloc(&group->arena, max * sizeof(*group->appends));
    struct cairn_hot **pinned = cairn_arena_alloc(&group->arena, max * sizeof(*group->pinned));
    if (appends == NULL || pinned == NULL) {
        return false;
    }
    if (group->append_count > 0) {
        memcpy(appends, group->appends, group->append_count * sizeof(*appends));
        memcpy(pinned, group->pinned, group->pinned_count * sizeof(*pinned));
    }
    /* A slot remembers its append by address. */
    for (size_t i = 0; i < group->count; i++) {
        struct cairn_group_slot *slot = &group->slots[i];
        if (slot->phase == PENDING) {
            slot->append = appends + (slot->append - group->appends);
        }
    }
    group->appends = appends;
    group->pinned = pinned;
    group->append_max = max;
    return true;
}

static void pin(struct cairn_group *group, struct cairn_hot *hot)
{
    if (!hot->pinned) {
        assert(group->pinned_count < group->append_max);
        hot->pinned = true;
        hot->refused = false;
        group->pinned[group->pinned_count] = hot;
        group->pinned_count++;
    }
}

/* Remember which command brought its key. A group of one has nobody to follow. */
static bool remember_key(struct cairn_group *group, struct cairn_group_slot *slot)
{
    if (slot->command->key.size == 0 || group->count == 1) {
        return true;
    }
    union cairn_map_value *place = cairn_map_put(&group->first_of_key, slot->command->key, NULL);
    if (place == NULL) {
        return false;
    }
    place->pointer = slot;
    return true;
}

/* ---- states ---- */

static enum cairn_rc load_state(struct cairn_group *group, struct cairn_hot *hot,
                                struct cairn_err *err)
{
    struct cairn_folded folded = {0};
    enum cairn_rc rc =
        cairn_fold_load(&group->fold, hot->aggregate, hot->stream, UINT64_MAX, &folded, err);
    if (rc == CAIRN_ENOMEM) {
        /* The decider is full of states: without the idle ones it may do. hot is pinned here. */
        cairn_cache_shed(&group->cache);
        rc = cairn_fold_load(&group->fold, hot->aggregate, hot->stream, UINT64_MAX, &folded, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    hot->state = folded.state;
    hot->version = folded.version;
    hot->snapshot_version = folded.snapshot_version;
    return CAIRN_OK;
}

/* Keep a snapshot where enough events have come since the last. hot's state is durable. */
static void maybe_snapshot(struct cairn_group *group, struct cairn_hot *hot)
{
    if (hot->version - hot->snapshot_version < hot->aggregate->snapshot_every) {
        return;
    }
    struct cairn_err err;
    enum cairn_rc rc = cairn_fold_snapshot(&group->fold, hot->aggregate, hot->stream, hot->state,
                                           hot->version, &err);
    if (rc != CAIRN_OK) {
        cairn_log_error(group->log, CAIRN_LOG_WARN, "command", "snapshot-failed", &err);
    }
    /* Also after a failure: the next try is that many events away, not at the next command. */
    hot->snapshot_version = hot->version;
}

/* The aggregate of a stream with its state. *ret_hot is NULL when the running append has to be
 * committed first. */
static enum cairn_rc find_hot(struct cairn_group *group, struct cairn_slice stream,
                              const struct cairn_domain_aggregate *aggregate,
                              struct cairn_hot **ret_hot, struct cairn_err *err)
{
    struct cairn_hot *hot = cairn_cache_find(&group->cache, stream);
    if (hot != NULL && hot->state != 0) {
        cairn_metric_inc(group->metrics.hits, 1);
        *ret_hot = hot;
        return CAIRN_OK;
    }
    if (hot != NULL) {
        /* Its state was lost after it had appended: the log does not yet hold what to fold. */
        assert(hot->pinned);
        *ret_hot = NULL;
        return CAIRN_OK;
    }
    cairn_metric_inc(group->metrics.misses, 1);
    hot = cairn_cache_add(&group->cache, stream, aggregate);
    if (hot == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for the state of %.*s",
                          CAIRN_SLICE_ARG(stream));
    }
    hot->pinned = true; /* so that shedding leaves it */
    enum cairn_rc rc = load_state(group, hot, err);
    hot->pinned = false;
    if (rc != CAIRN_OK) {
        cairn_cache_drop(&group->cache, hot);
        return rc;
    }
    if (hot->version > 0) {
        maybe_snapshot(group, hot);
    }
    *ret_hot = hot;
    return CAIRN_OK;
}

/* A version that does not fit is told only of a state that is known to be fresh: another writer may
 * have been here. */
static enum cairn_rc refresh(struct cairn_group *group, struct cairn_hot *hot,
                             struct cairn_err *err)
{
    uint64_t head = 0;
    enum cairn_rc rc = cairn_store_head(group->store, hot->stream, &head, err);
    if (rc != CAIRN_OK || head == hot->version) {
        return rc;
    }
    cairn_cache_close_state(&group->cache, hot);
    hot->pinned = true;
    rc = load_state(group, hot, err);
    hot->pinned = false;
    return rc;
}

static bool version_fits(int64_t expected, uint64_t version)
{
    switch (expected) {
    case CAIRN_EXPECT_ANY:
        return true;
    case CAIRN_EXPECT_SOME:
        return version > 0;
    default:
        assert(expected >= 0);
        return (uint64_t)expected == version;
    }
}

/* ---- one command ---- */

/* Settle what the key alone settles. True: the slot is done or follows another. */
static bool settle_by_key(struct cairn_group *group, struct cairn_group_slot *slot)
{
    const struct cairn_command *command = slot->command;
    const union cairn_map_value *first = cairn_map_get(&group->first_of_key, command->key);
    if (first != NULL) {
        slot->leader = first->pointer;
        slot->phase = FOLLOWING;
        return true;
    }
    struct cairn_err err;
    if (group->keys != NULL && !slot->holds_key) {
        if (cairn_keys_acquire(group->keys, command->key, group->partition, &err) != CAIRN_OK) {
            fail(group, slot, &err);
            return true;
        }
        slot->holds_key = true;
    }
    struct cairn_slice stream = slot->answer->stream;
    enum cairn_rc rc = cairn_receipt_answer(group->store, command, slot->arena,
                                            &group->proposer.scratch, slot->answer, &err);
    if (rc == CAIRN_ENOENT) {
        return false;
    }
    if (rc != CAIRN_OK) {
        slot->answer->stream = stream;
        fail(group, slot, &err);
        return true;
    }
    finish(group, slot);
    return true;
}

/* hot's state is spoilt by a half-applied command. Where the running append changed it before, it
 * can only be folded again behind the commit; so it keeps its place without a state till then. */
static void fail_evolve(struct cairn_group *group, struct cairn_group_slot *slot,
                        struct cairn_hot *hot, const struct cairn_err *err)
{
    if (slot->command->key.size > 0) {
        (void)cairn_map_remove(&group->first_of_key, slot->command->key);
    }
    if (err->rc == CAIRN_ESCRIPT) {
        slot->answer->place =
            cairn_arena_printf(slot->arena, "%.*s", CAIRN_SLICE_ARG(hot->aggregate->script_name));
    }
    fail(group, slot, err);
    cairn_cache_close_state(&group->cache, hot);
    if (!hot->pinned) {
        cairn_cache_drop(&group->cache, hot);
    }
    if (err->rc == CAIRN_ENOMEM) {
        cairn_cache_shed(&group->cache);
    }
}

/* Make an accepted proposal part of the running append. hot's state has not changed yet. */
static enum step add_append(struct cairn_group *group, struct cairn_group_slot *slot,
                            struct cairn_hot *hot, const struct cairn_proposal *proposal)
{
    struct cairn_err err;
    if (proposal->bytes > CAIRN_GROUP_BYTES_MAX) {
        (void)CAIRN_FAIL(&err, CAIRN_ETOOBIG, "the command's events take more than %u bytes",
                         CAIRN_GROUP_BYTES_MAX);
        fail(group, slot, &err);
        return STEP_NEXT;
    }
    if (proposal->bytes > CAIRN_GROUP_BYTES_MAX - group->bytes) {
        return STEP_COMMIT_FIRST;
    }
    if (!reserve_append(group) || !remember_key(group, slot)) {
        (void)CAIRN_FAIL(&err, CAIRN_ENOMEM, "no memory for an append");
        fail(group, slot, &err);
        return STEP_NEXT;
    }
    uint64_t before = hot->version;
    enum cairn_rc rc = cairn_propose_apply(&group->proposer, proposal, hot, &err);
    if (rc != CAIRN_OK) {
        fail_evolve(group, slot, hot, &err);
        return STEP_NEXT;
    }
    pin(group, hot);
    struct cairn_append *append = &group->appends[group->append_count];
    *append = (struct cairn_append){
        .stream = hot->stream,
        .expected = (int64_t)before,
        .events = proposal->events,
        .count = (uint16_t)proposal->count,
    };
    group->append_count++;
    group->bytes += proposal->bytes;
    slot->append = append;
    slot->rests_on = hot;
    slot->phase = PENDING;
    return STEP_NEXT;
}

/* Propose; when the decider is full of states, without the idle ones and once more. */
static enum cairn_rc propose(struct cairn_group *group, struct cairn_group_slot *slot,
                             struct cairn_hot *hot, struct cairn_proposal *ret_proposal,
                             struct cairn_err *err)
{
    enum cairn_rc rc = cairn_propose(&group->proposer, slot->command, hot, slot->answer,
                                     slot->arena, &group->arena, ret_proposal, err);
    if (rc == CAIRN_ENOMEM) {
        bool pinned = hot->pinned;
        hot->pinned = true;
        cairn_cache_shed(&group->cache);
        hot->pinned = pinned;
        rc = cairn_propose(&group->proposer, slot->command, hot, slot->answer, slot->arena,
                           &group->arena, ret_proposal, err);
    }
    return rc;
}

/* Decide a command on hot's state, whose version fits. */
static enum step decide(struct cairn_group *group, struct cairn_group_slot *slot,
                        struct cairn_hot *hot)
{
    struct cairn_err err;
    struct cairn_proposal proposal = {0};
    struct cairn_answer *answer = slot->answer;
    enum cairn_rc rc = propose(group, slot, hot, &proposal, &err);
    if (rc != CAIRN_OK) {
        answer->version = hot->version;
        fail(group, slot, &err);
        return STEP_NEXT;
    }
    answer->rc = CAIRN_OK;
    if (proposal.count == 0) {
        finish(group, slot);
        return STEP_NEXT;
    }
    return add_append(group, slot, hot, &proposal);
}

static enum step settle_by_state(struct cairn_group *group, struct cairn_group_slot *slot)
{
    const struct cairn_command *command = slot->command;
    struct cairn_err err;
    struct cairn_hot *hot = NULL;
    const struct cairn_domain_aggregate *aggregate =
        cairn_domain_aggregate(group->domain, command->command->aggregate);
    assert(aggregate != NULL);
    enum cairn_rc rc = find_hot(group, slot->answer->stream, aggregate, &hot, &err);
    if (rc == CAIRN_OK && hot == NULL) {
        return STEP_COMMIT_FIRST;
    }
    if (rc == CAIRN_OK && !hot->pinned && !version_fits(command->expected, hot->version)) {
        rc = refresh(group, hot, &err);
        if (rc != CAIRN_OK) {
            cairn_cache_drop(&group->cache, hot);
        }
    }
    if (rc != CAIRN_OK) {
        fail(group, slot, &err);
        return STEP_NEXT;
    }
    slot->rests_on = hot->pinned ? hot : NULL;
    slot->decisions++;
    if (!version_fits(command->expected, hot->version)) {
        fail_version(group, slot, hot->version);
        return STEP_NEXT;
    }
    return decide(group, slot, hot);
}

/* The stream's name: aggregate, '-', id. */
static enum cairn_rc name_stream(struct cairn_group_slot *slot, struct cairn_err *err)
{
    struct cairn_slice aggregate = slot->command->command->aggregate;
    struct cairn_slice id = slot->command->id;
    char *name = cairn_arena_alloc(slot->arena, aggregate.size + 1 + id.size);
    if (name == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for a stream's name");
    }
    memcpy(name, aggregate.data, aggregate.size);
    name[aggregate.size] = '-';
    memcpy(name + aggregate.size + 1, id.data, id.size);
    slot->answer->stream = cairn_slice_of(name, aggregate.size + 1 + id.size);
    return CAIRN_OK;
}

static enum step settle_slot(struct cairn_group *group, struct cairn_group_slot *slot)
{
    assert(slot->phase == OPEN);
    struct cairn_err err;
    *slot->answer = (struct cairn_answer){.partition = group->partition};
    slot->rests_on = NULL;
    slot->leader = NULL;
    if (name_stream(slot, &err) != CAIRN_OK) {
        fail(group, slot, &err);
        return STEP_NEXT;
    }
    if (slot->command->key.size > 0 && settle_by_key(group, slot)) {
        return STEP_NEXT;
    }
    return settle_by_state(group, slot);
}

/* ---- the commit ---- */

/* The store's word on one append. */
static void settle_append(struct cairn_group *group, struct cairn_group_slot *slot)
{
    const struct cairn_append *append = slot->append;
    if (append->rc == CAIRN_OK) {
        assert(append->actual_version == slot->answer->version);
        slot->answer->offset = append->events[append->count - 1].offset;
        finish(group, slot);
        return;
    }
    assert(append->rc == CAIRN_ECONFLICT);
    slot->rests_on->refused = true;
    if (slot->command->expected >= 0 || slot->decisions >= CAIRN_DECISIONS_MAX) {
        fail_version(group, slot, append->actual_version);
    } else {
        slot->phase = OPEN;
    }
}

/* What was decided on a state that proved false is decided again. True: it is open again. */
static bool reopen(struct cairn_group *group, struct cairn_group_slot *slot)
{
    if (slot->phase != DONE || slot->rests_on == NULL || !slot->rests_on->refused ||
        slot->append != NULL) {
        return slot->phase == OPEN && slot->decisions > 0;
    }
    if (slot->decisions >= CAIRN_DECISIONS_MAX) {
        fail_version(group, slot, slot->rests_on->version);
        return false;
    }
    slot->phase = OPEN;
    return true;
}

/* Give a command that followed another one the same answer, or its own turn. True: it is open. */
static bool settle_follower(struct cairn_group *group, struct cairn_group_slot *slot)
{
    const struct cairn_group_slot *leader = slot->leader;
    if (leader->phase == OPEN || leader->answer->rc != CAIRN_OK) {
        slot->phase = OPEN;
        return true;
    }
    assert(leader->phase == DONE);
    struct cairn_err err;
    if (memcmp(leader->command->fingerprint, slot->command->fingerprint,
               sizeof(slot->command->fingerprint)) != 0) {
        (void)cairn_receipt_refuse(&err);
        fail(group, slot, &err);
    } else {
        /* A failed copy is an answer too: ENOMEM, and the key tells the truth later. */
        cairn_answer_copy(leader->answer, slot->arena, slot->answer);
        slot->answer->replayed = slot->answer->rc == CAIRN_OK;
        finish(group, slot);
    }
    return false;
}

/* The append as a whole failed: whoever wrote, or was decided on what was to be written, hears it.
 */
static void fail_append(struct cairn_group *group, const struct cairn_err *err)
{
    for (size_t i = 0; i < group->count; i++) {
        struct cairn_group_slot *slot = &group->slots[i];
        bool leant = slot->phase == DONE && slot->rests_on != NULL;
        if (slot->phase == PENDING || slot->phase == FOLLOWING || leant) {
            fail(group, slot, err);
        }
    }
    for (size_t i = 0; i < group->pinned_count; i++) {
        group->pinned[i]->refused = true;
    }
}

/* True: some commands have to be decided again. */
static bool settle_appends(struct cairn_group *group)
{
    bool open = false;
    for (size_t i = 0; i < group->count; i++) {
        if (group->slots[i].phase == PENDING) {
            settle_append(group, &group->slots[i]);
        }
    }
    for (size_t i = 0; i < group->count; i++) {
        open = reopen(group, &group->slots[i]) || open;
    }
    for (size_t i = 0; i < group->count; i++) {
        if (group->slots[i].phase == FOLLOWING) {
            open = settle_follower(group, &group->slots[i]) || open;
        }
    }
    return open;
}

/* Let go of the aggregates that the append changed. */
static void unpin(struct cairn_group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        group->slots[i].rests_on = NULL;
        group->slots[i].append = NULL;
    }
    for (size_t i = 0; i < group->pinned_count; i++) {
        struct cairn_hot *hot = group->pinned[i];
        hot->pinned = false;
        if (hot->refused || hot->state == 0) {
            cairn_cache_drop(&group->cache, hot);
        } else {
            maybe_snapshot(group, hot);
        }
    }
}

/* Write the running append and settle what waited for it. True: some commands are open again. */
static bool commit(struct cairn_group *group)
{
    bool open = false;
    if (group->append_count > 0) {
        struct cairn_err err;
        enum cairn_rc rc = cairn_store_append(group->store, group->partition, group->appends,
                                              group->append_count, &err);
        cairn_metric_inc(group->metrics.appends, group->append_count);
        if (rc != CAIRN_OK) {
            fail_append(group, &err);
        } else {
            open = settle_appends(group);
        }
        unpin(group);
    }
    group->append_count = 0;
    group->append_max = 0;
    group->pinned_count = 0;
    group->bytes = 0;
    cairn_map_clear(&group->first_of_key);
    cairn_arena_reset(&group->arena);
    cairn_cache_trim(&group->cache);
    return open;
}

/* Walk the open commands once, and commit. True: some are open still. */
static bool settle_once(struct cairn_group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        struct cairn_group_slot *slot = &group->slots[i];
        if (slot->phase != OPEN) {
            continue;
        }
        if (settle_slot(group, slot) == STEP_COMMIT_FIRST) {
            /* From the front again: an earlier command may be open once more. */
            assert(group->append_count > 0);
            (void)commit(group);
            return true;
        }
    }
    return commit(group);
}

void cairn_group_settle(struct cairn_group *group)
{
    assert(group->count > 0);
    /* Every walk either settles a command or decides one again, which CAIRN_DECISIONS_MAX bounds.
     */
    size_t walks_left = group->count * (CAIRN_DECISIONS_MAX + 1) + 1;
    while (settle_once(group)) {
        assert(walks_left > 0);
        walks_left--;
    }
    cairn_metric_inc(group->metrics.groups, 1);
    cairn_metric_inc(group->metrics.commands, group->count);
}
