/* What a group does beyond one command: keys of other lanes, states that are spoilt half way, and
 * sizes. */
#include "command/group.h"

#include "command/fold.h"
#include "command/propose.h"
#include "command/receipt.h"
#include "tests/unit/command/world.h"

#define ANY CAIRN_EXPECT_ANY

/* A group of its own on the world's store. */
static void open_group(struct world *world, struct cairn_group *group, struct cairn_keys *keys)
{
    struct cairn_err err;
    const struct cairn_service_options options = {
        .domain = world->domain,
        .store = world->store,
        .clock = cairn_clock_system(),
        .random = cairn_random_system(),
    };
    assert_ok(cairn_group_init(group, &options, 0, keys, &err), &err);
}

/* Settle the asks as one group. */
static void settle(struct world *world, struct cairn_group *group, const struct ask *asks,
                   struct cairn_answer *answers, size_t count)
{
    struct cairn_err err;
    struct cairn_command commands[8];
    assert_true(count <= 8);
    assert_ok(cairn_group_begin(group, count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        world_command(world, &asks[i], &world->arena, &commands[i]);
        cairn_group_add(group, &commands[i], &answers[i], &world->arena);
    }
    cairn_group_settle(group);
}

static void key_in_another_lane_is_busy_until_it_is_settled(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_group group;
    struct cairn_answer answer;
    const struct ask ask = {"a", "Add", "{\"n\":1}", "key", ANY};
    const struct ask zero = {"a", "Add", "{\"n\":0}", "other", ANY};
    struct cairn_keys *keys = cairn_keys_new(10);
    assert_non_null(keys);
    open_group(world, &group, keys);
    assert_ok(cairn_keys_acquire(keys, CAIRN_SLICE_LIT("key"), 1, &err), &err);
    settle(world, &group, &ask, &answer, 1);
    assert_int_equal(answer.rc, CAIRN_EBUSY);
    cairn_keys_release(keys, CAIRN_SLICE_LIT("key"), 1);
    settle(world, &group, &ask, &answer, 1);
    assert_int_equal(answer.rc, CAIRN_OK);
    settle(world, &group, &zero, &answer, 1);
    assert_int_equal(answer.rc, CAIRN_EREJECTED);
    /* Nothing is held: cairn_keys_free asserts it. */
    cairn_group_fini(&group);
    cairn_keys_free(keys);
}

static void spoilt_state_is_folded_again_behind_the_commit(void **state)
{
    struct world *world = *state;
    struct cairn_group group;
    struct cairn_answer answers[6];
    const struct ask asks[] = {
        {"a", "Add", "{\"n\":5}", "k1", ANY}, {"a", "Spoil", NULL, "k2", ANY},
        {"a", "Add", "{\"n\":0}", NULL, ANY}, {"a", "Add", "{\"n\":7}", NULL, 1},
        {"a", "Add", "{\"n\":5}", "k1", ANY}, {"a", "Add", "{\"n\":0}", NULL, ANY}};
    open_group(world, &group, NULL);
    settle(world, &group, asks, answers, 6);
    assert_int_equal(answers[0].rc, CAIRN_OK);
    assert_int_equal(answers[1].rc, CAIRN_ESCRIPT);
    assert_int_equal(answers[2].rc, CAIRN_EREJECTED);
    assert_true(cairn_slice_is(answers[2].detail, "nothing to add to 5"));
    assert_int_equal(answers[3].rc, CAIRN_OK);
    assert_int_equal(answers[3].version, 2);
    assert_int_equal(answers[4].rc, CAIRN_OK);
    assert_true(answers[4].replayed);
    assert_true(cairn_slice_is(answers[5].detail, "nothing to add to 12"));
    assert_int_equal(world_events(world, "probe-a"), 2);
    cairn_group_fini(&group);
}

static void groups_are_cut_at_their_size(void **state)
{
    struct world *world = *state;
    struct cairn_group group;
    struct cairn_answer answers[4];
    const struct ask asks[] = {{"a", "Big", "{\"n\":10}", "k1", ANY},
                               {"a", "Big", "{\"n\":10}", NULL, 10},
                               {"b", "Bigger", NULL, NULL, ANY},
                               {"b", "Big", "{\"n\":17}", NULL, ANY}};
    cairn_arena_fini(&world->arena);
    open_group(world, &group, NULL);
    settle(world, &group, asks, answers, 4);
    assert_int_equal(answers[0].rc, CAIRN_OK);
    assert_int_equal(answers[1].rc, CAIRN_OK);
    assert_int_equal(answers[1].version, 20);
    /* One event, and all of them together, past what fits. */
    assert_int_equal(answers[2].rc, CAIRN_ETOOBIG);
    assert_int_equal(answers[3].rc, CAIRN_ETOOBIG);
    assert_true((uint64_t)17 * 1048000 > CAIRN_GROUP_BYTES_MAX - 17 * CAIRN_PROPOSE_EVENT_BYTES);
    assert_int_equal(world_events(world, "probe-b"), 0);
    cairn_group_fini(&group);
}

static void receipt_of_an_unknown_key_touches_nothing(void **state)
{
    struct world *world = *state;
    struct cairn_err err = {.rc = CAIRN_EFULL};
    struct cairn_command command;
    struct cairn_arena scratch = {.max = 1u << 20};
    struct cairn_answer answer = {.version = 77};
    const struct ask ask = {"a", "Add", "{\"n\":1}", "key", ANY};
    world_command(world, &ask, &world->arena, &command);
    assert_int_equal(cairn_receipt_answer(world->store, &command, CAIRN_SLICE_LIT("probe-a"),
                                          &world->arena, &scratch, &answer, &err),
                     CAIRN_ENOENT);
    assert_int_equal(answer.version, 77);
    assert_int_equal(err.rc, CAIRN_EFULL);
    struct cairn_answer first = world_ask(world, ask);
    assert_ok(cairn_receipt_answer(world->store, &command, CAIRN_SLICE_LIT("probe-a"),
                                   &world->arena, &scratch, &answer, &err),
              &err);
    assert_int_equal(answer.version, first.version);
    assert_true(answer.created && answer.replayed);
    command.fingerprint[0] ^= 1;
    assert_int_equal(cairn_receipt_answer(world->store, &command, CAIRN_SLICE_LIT("probe-a"),
                                          &world->arena, &scratch, &answer, &err),
                     CAIRN_EKEYREUSED);
    cairn_arena_fini(&scratch);
}

/* Put a snapshot of the stream in place that says something else than the log. */
static void put_snapshot(struct world *world, const unsigned char code_hash[16], uint64_t version,
                         struct cairn_slice packed)
{
    struct cairn_err err;
    assert_ok(cairn_store_snapshot_put(world->store, CAIRN_SLICE_LIT("probe-a"), code_hash, version,
                                       packed, &err),
              &err);
}

static int64_t loaded_sum(struct world *world, struct cairn_group *group)
{
    struct cairn_err err;
    struct cairn_folded folded;
    struct cairn_value value;
    const struct cairn_domain_aggregate *aggregate =
        cairn_domain_aggregate(world->domain, CAIRN_SLICE_LIT("probe"));
    assert_ok(cairn_fold_load(&group->fold, aggregate, CAIRN_SLICE_LIT("probe-a"), UINT64_MAX,
                              &folded, &err),
              &err);
    assert_int_equal(folded.version, 3);
    assert_ok(group->decider.save(group->decider.self, folded.state, &world->arena, &value, &err),
              &err);
    group->decider.close_state(group->decider.self, folded.state);
    return cairn_value_at(&value, "sum")->as.integer;
}

static void snapshot_counts_only_where_it_can_be_trusted(void **state)
{
    struct world *world = *state;
    struct cairn_group group;
    static const struct cairn_slice FORTY = {"\x82\xa3sum\x28\xa5"
                                             "count\x02",
                                             13};
    const struct cairn_domain_aggregate *aggregate =
        cairn_domain_aggregate(world->domain, CAIRN_SLICE_LIT("probe"));
    unsigned char other_code[16];
    memcpy(other_code, aggregate->code_hash, sizeof(other_code));
    other_code[3] ^= 0x40;
    (void)world_ask(world, (struct ask){"a", "Many", "{\"n\":3}", NULL, ANY}); /* 1 + 2 + 3 */
    open_group(world, &group, NULL);
    assert_int_equal(loaded_sum(world, &group), 6);
    put_snapshot(world, other_code, 2, FORTY);
    assert_int_equal(loaded_sum(world, &group), 6); /* other code made it */
    put_snapshot(world, aggregate->code_hash, 9, FORTY);
    assert_int_equal(loaded_sum(world, &group), 6); /* it is ahead of the log */
    put_snapshot(world, aggregate->code_hash, 2, CAIRN_SLICE_LIT("\xc1"));
    assert_int_equal(loaded_sum(world, &group), 6); /* it cannot be read */
    put_snapshot(world, aggregate->code_hash, 2, FORTY);
    assert_int_equal(loaded_sum(world, &group), 43); /* 40 and the third event */
    cairn_group_fini(&group);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
    const struct CMUnitTest tests[] = {
        TEST(key_in_another_lane_is_busy_until_it_is_settled),
        TEST(spoilt_state_is_folded_again_behind_the_commit),
        TEST(groups_are_cut_at_their_size),
        TEST(receipt_of_an_unknown_key_touches_nothing),
        TEST(snapshot_counts_only_where_it_can_be_trusted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
