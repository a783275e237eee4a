/* The commit of a group: one append, and what its outcome means for every command. */
#include <assert.h>

#include "command/answer.h"
#include "command/group_int.h"
#include "command/receipt.h"

/* The store's word on one append. */
static void settle_append(struct cairn_group *group, struct cairn_group_slot *slot)
{
    const struct cairn_append *append = slot->append;
    if (append->rc == CAIRN_OK) {
        assert(append->actual_version == slot->answer->version);
        slot->answer->offset = append->events[append->count - 1].offset;
        assert(slot->answer->partition == append->events[append->count - 1].partition);
        cairn_slot_finish(group, slot);
        return;
    }
    assert(append->rc == CAIRN_ECONFLICT);
    slot->rests_on->refused = true;
    if (slot->command->expected >= 0 || slot->decisions >= CAIRN_DECISIONS_MAX) {
        cairn_slot_fail_version(group, slot, append->actual_version);
    } else {
        slot->phase = CAIRN_SLOT_OPEN;
    }
}

/* What was decided on a state that proved false is decided again. True: it is open again. */
static bool reopen(struct cairn_group *group, struct cairn_group_slot *slot)
{
    if (slot->phase != CAIRN_SLOT_DONE || slot->rests_on == NULL || !slot->rests_on->refused ||
        slot->append != NULL) {
        return slot->phase == CAIRN_SLOT_OPEN && slot->decisions > 0;
    }
    if (slot->decisions >= CAIRN_DECISIONS_MAX) {
        cairn_slot_fail_version(group, slot, slot->rests_on->version);
        return false;
    }
    slot->phase = CAIRN_SLOT_OPEN;
    return true;
}

/* Give a command that followed another one the same answer, or its own turn. True: it is open. */
static bool settle_follower(struct cairn_group *group, struct cairn_group_slot *slot)
{
    const struct cairn_group_slot *leader = slot->leader;
    if (leader->phase == CAIRN_SLOT_OPEN || leader->answer->rc != CAIRN_OK) {
        slot->phase = CAIRN_SLOT_OPEN;
        return true;
    }
    assert(leader->phase == CAIRN_SLOT_DONE);
    struct cairn_err err;
    if (memcmp(leader->command->fingerprint, slot->command->fingerprint,
               sizeof(slot->command->fingerprint)) != 0) {
        (void)cairn_receipt_refuse(&err);
        cairn_slot_fail(group, slot, &err);
    } else {
        /* A failed copy is an answer too: ENOMEM, and the key tells the truth later. */
        cairn_answer_copy(leader->answer, slot->arena, slot->answer);
        slot->answer->replayed = slot->answer->rc == CAIRN_OK;
        cairn_slot_finish(group, slot);
    }
    return false;
}

/* The append as a whole failed: whoever wrote, or was decided on what was to be written, hears it.
 */
static void fail_append(struct cairn_group *group, const struct cairn_err *err)
{
    for (size_t i = 0; i < group->count; i++) {
        struct cairn_group_slot *slot = &group->slots[i];
        bool leant = slot->phase == CAIRN_SLOT_DONE && slot->rests_on != NULL;
        if (slot->phase == CAIRN_SLOT_PENDING || slot->phase == CAIRN_SLOT_FOLLOWING || leant) {
            cairn_slot_fail(group, slot, err);
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
        if (group->slots[i].phase == CAIRN_SLOT_PENDING) {
            settle_append(group, &group->slots[i]);
        }
    }
    for (size_t i = 0; i < group->count; i++) {
        open = reopen(group, &group->slots[i]) || open;
    }
    for (size_t i = 0; i < group->count; i++) {
        if (group->slots[i].phase == CAIRN_SLOT_FOLLOWING) {
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
            cairn_group_snapshot(group, hot);
        }
    }
}

/* A stream that somebody else wrote to has its first append refused; a second one, decided on the
 * first, may by chance demand just the version that the stranger's event has made true. So where a
 * stream has several, its version is looked at, and if it is not what the first was decided on, all
 * of them demand what cannot be. */
static enum cairn_rc doubt_states(struct cairn_group *group, struct cairn_err *err)
{
    for (size_t i = 0; i < group->pinned_count; i++) {
        struct cairn_hot *hot = group->pinned[i];
        uint64_t head = 0;
        if (hot->appends < 2) {
            continue;
        }
        enum cairn_rc rc = cairn_store_head(group->store, hot->stream, &head, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        for (size_t k = 0; head != hot->base_version && k < group->append_count; k++) {
            if (cairn_slice_equal(group->appends[k].stream, hot->stream)) {
                group->appends[k].expected = INT64_MAX;
            }
        }
    }
    return CAIRN_OK;
}

/* Write the running append and settle what waited for it. True: some commands are open again. */
bool cairn_group_commit(struct cairn_group *group)
{
    bool open = false;
    if (group->append_count > 0) {
        struct cairn_err err;
        enum cairn_rc rc = doubt_states(group, &err);
        if (rc == CAIRN_OK) {
            rc = cairn_store_append(group->store, group->lane, group->appends, group->append_count,
                                    &err);
        }
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
