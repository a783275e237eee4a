#include "command/group.h"

#include <assert.h>

#include "command/answer.h"
#include "command/group_int.h"

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
                               const struct cairn_service_options *options, uint16_t lane,
                               struct cairn_keys *keys, struct cairn_err *err)
{
    assert(options->store != NULL && options->domain != NULL);
    size_t memory =
        options->lua.memory_bytes > 0 ? options->lua.memory_bytes : CAIRN_DECIDER_MEMORY_DEFAULT;
    size_t aggregates =
        options->cache_aggregates > 0 ? options->cache_aggregates : CAIRN_CACHE_AGGREGATES_DEFAULT;
    *group = (struct cairn_group){
        .store = options->store,
        .domain = options->domain,
        .keys = keys,
        .lane = lane,
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
    uint64_t term = 0;
    enum cairn_rc rc = cairn_store_begin(group->store, group->lane, &term, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (term != group->term) {
        cairn_cache_shed(&group->cache); /* others may have appended meanwhile */
        group->term = term;
    }
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

void cairn_slot_finish(struct cairn_group *group, struct cairn_group_slot *slot)
{
    slot->phase = CAIRN_SLOT_DONE;
    if (slot->holds_key) {
        cairn_keys_release(group->keys, slot->command->key, group->lane);
        slot->holds_key = false;
    }
}

void cairn_slot_fail(struct cairn_group *group, struct cairn_group_slot *slot,
                     const struct cairn_err *err)
{
    cairn_answer_fail(slot->answer, err);
    cairn_slot_finish(group, slot);
}

/* Fail on the stream's version: expected is the command's, actual what stands against it. */
void cairn_slot_fail_version(struct cairn_group *group, struct cairn_group_slot *slot,
                             uint64_t actual)
{
    struct cairn_err err;
    (void)CAIRN_FAIL(&err, CAIRN_ECONFLICT, "the stream is at version %llu",
                     (unsigned long long)actual);
    slot->answer->version = actual;
    cairn_slot_fail(group, slot, &err);
}

/* ---- settling ---- */

/* Walk the open commands once, and commit. True: some are open still. */
static bool settle_once(struct cairn_group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        struct cairn_group_slot *slot = &group->slots[i];
        if (slot->phase != CAIRN_SLOT_OPEN) {
            continue;
        }
        if (cairn_group_decide(group, slot) == CAIRN_STEP_COMMIT_FIRST) {
            /* From the front again: an earlier command may be open once more. */
            assert(group->append_count > 0);
            (void)cairn_group_commit(group);
            return true;
        }
    }
    return cairn_group_commit(group);
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
