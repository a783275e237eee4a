/* One command of a group: its key, its state, its decision. */
#include <assert.h>

#include "command/group_int.h"
#include "command/receipt.h"

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
        if (slot->phase == CAIRN_SLOT_PENDING) {
            slot->append = appends + (slot->append - group->appends);
        }
    }
    group->appends = appends;
    group->pinned = pinned;
    group->append_max = max;
    return true;
}

static void pin(struct cairn_group *group, struct cairn_hot *hot, uint64_t base_version)
{
    if (!hot->pinned) {
        assert(group->pinned_count < group->append_max);
        hot->pinned = true;
        hot->refused = false;
        hot->appends = 0;
        hot->base_version = base_version;
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
        slot->phase = CAIRN_SLOT_FOLLOWING;
        return true;
    }
    struct cairn_err err;
    if (group->keys != NULL && !slot->holds_key) {
        if (cairn_keys_acquire(group->keys, command->key, group->lane, &err) != CAIRN_OK) {
            cairn_slot_fail(group, slot, &err);
            return true;
        }
        slot->holds_key = true;
    }
    struct cairn_slice stream = slot->answer->stream;
    enum cairn_rc rc = cairn_receipt_answer(group->store, command, stream, slot->arena,
                                            &group->proposer.scratch, slot->answer, &err);
    if (rc == CAIRN_ENOENT) {
        return false;
    }
    if (rc != CAIRN_OK) {
        slot->answer->stream = stream;
        cairn_slot_fail(group, slot, &err);
        return true;
    }
    cairn_slot_finish(group, slot);
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
    cairn_slot_fail(group, slot, err);
    cairn_cache_close_state(&group->cache, hot);
    if (!hot->pinned) {
        cairn_cache_drop(&group->cache, hot);
    }
    if (err->rc == CAIRN_ENOMEM) {
        cairn_cache_shed(&group->cache);
    }
}

/* Make an accepted proposal part of the running append. hot's state has not changed yet. */
static enum cairn_slot_step add_append(struct cairn_group *group, struct cairn_group_slot *slot,
                                       struct cairn_hot *hot, const struct cairn_proposal *proposal)
{
    struct cairn_err err;
    if (proposal->bytes > (size_t)CAIRN_GROUP_BYTES_MAX) {
        (void)CAIRN_FAIL(&err, CAIRN_ETOOBIG, "the command's events take more than %u bytes",
                         CAIRN_GROUP_BYTES_MAX);
        cairn_slot_fail(group, slot, &err);
        return CAIRN_STEP_NEXT;
    }
    if (proposal->bytes > (size_t)CAIRN_GROUP_BYTES_MAX - group->bytes) {
        return CAIRN_STEP_COMMIT_FIRST;
    }
    if (!reserve_append(group) || !remember_key(group, slot)) {
        (void)CAIRN_FAIL(&err, CAIRN_ENOMEM, "no memory for an append");
        cairn_slot_fail(group, slot, &err);
        return CAIRN_STEP_NEXT;
    }
    uint64_t before = hot->version;
    enum cairn_rc rc = cairn_propose_apply(&group->proposer, proposal, hot, &err);
    if (rc != CAIRN_OK) {
        fail_evolve(group, slot, hot, &err);
        return CAIRN_STEP_NEXT;
    }
    pin(group, hot, before);
    hot->appends++;
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
    slot->phase = CAIRN_SLOT_PENDING;
    return CAIRN_STEP_NEXT;
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
static enum cairn_slot_step decide(struct cairn_group *group, struct cairn_group_slot *slot,
                                   struct cairn_hot *hot)
{
    struct cairn_err err;
    struct cairn_proposal proposal = {0};
    struct cairn_answer *answer = slot->answer;
    enum cairn_rc rc = propose(group, slot, hot, &proposal, &err);
    if (rc != CAIRN_OK) {
        answer->version = hot->version;
        cairn_slot_fail(group, slot, &err);
        return CAIRN_STEP_NEXT;
    }
    answer->rc = CAIRN_OK;
    if (proposal.count == 0) {
        cairn_slot_finish(group, slot);
        return CAIRN_STEP_NEXT;
    }
    return add_append(group, slot, hot, &proposal);
}

static enum cairn_slot_step settle_by_state(struct cairn_group *group,
                                            struct cairn_group_slot *slot)
{
    const struct cairn_command *command = slot->command;
    struct cairn_err err;
    struct cairn_hot *hot = NULL;
    const struct cairn_domain_aggregate *aggregate =
        cairn_domain_aggregate(group->domain, command->command->aggregate);
    assert(aggregate != NULL);
    enum cairn_rc rc = cairn_group_find_hot(group, slot->answer->stream, aggregate, &hot, &err);
    if (rc == CAIRN_OK && hot == NULL) {
        return CAIRN_STEP_COMMIT_FIRST;
    }
    if (rc == CAIRN_OK && !hot->pinned && !version_fits(command->expected, hot->version)) {
        rc = cairn_group_refresh(group, hot, &err);
        if (rc != CAIRN_OK) {
            cairn_cache_drop(&group->cache, hot);
        }
    }
    if (rc != CAIRN_OK) {
        cairn_slot_fail(group, slot, &err);
        return CAIRN_STEP_NEXT;
    }
    slot->rests_on = hot->pinned ? hot : NULL;
    slot->decisions++;
    if (!version_fits(command->expected, hot->version)) {
        cairn_slot_fail_version(group, slot, hot->version);
        return CAIRN_STEP_NEXT;
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

enum cairn_slot_step cairn_group_decide(struct cairn_group *group, struct cairn_group_slot *slot)
{
    assert(slot->phase == CAIRN_SLOT_OPEN);
    struct cairn_err err;
    *slot->answer = (struct cairn_answer){0};
    slot->rests_on = NULL;
    slot->leader = NULL;
    if (name_stream(slot, &err) != CAIRN_OK) {
        cairn_slot_fail(group, slot, &err);
        return CAIRN_STEP_NEXT;
    }
    slot->answer->partition = cairn_store_partition_of(group->store, slot->answer->stream);
    if (slot->command->key.size > 0 && settle_by_key(group, slot)) {
        return CAIRN_STEP_NEXT;
    }
    return settle_by_state(group, slot);
}
