#include "command/state_read.h"

#include <pthread.h>

#include "tests/unit/command/world.h"

#define ANY CAIRN_EXPECT_ANY

struct stage {
    struct world world;
    struct cairn_state_pool *pool;
};

/* Stream probe-a: 1, 2, 3, ... 25, so version v has the sum v(v+1)/2. */
static int open_stage(void **state)
{
    struct cairn_err err;
    struct stage *stage = calloc(1, sizeof(*stage));
    assert_non_null(stage);
    world_open(&stage->world);
    for (int i = 1; i <= 25; i++) {
        char data[32];
        (void)snprintf(data, sizeof(data), "{\"n\":%d}", i);
        struct cairn_answer answer =
            world_ask(&stage->world, (struct ask){"a", "Add", data, NULL, ANY});
        assert_int_equal(answer.rc, CAIRN_OK);
    }
    const struct cairn_state_pool_options options = {.domain = stage->world.domain,
                                                     .store = stage->world.store};
    assert_ok(cairn_state_pool_new(&options, &stage->pool, &err), &err);
    *state = stage;
    return 0;
}

static int close_stage(void **state)
{
    struct stage *stage = *state;
    cairn_state_pool_free(stage->pool);
    world_close(&stage->world);
    free(stage);
    return 0;
}

static void assert_sum(struct stage *stage, uint64_t version, uint64_t wanted_version)
{
    struct cairn_err err;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_value value;
    uint64_t got = 0;
    assert_ok(cairn_state_read(stage->pool, CAIRN_SLICE_LIT("probe-a"), version, &arena, &value,
                               &got, &err),
              &err);
    assert_int_equal(got, wanted_version);
    const struct cairn_value *sum = cairn_value_at(&value, "sum");
    assert_non_null(sum);
    assert_int_equal(sum->as.integer, wanted_version * (wanted_version + 1) / 2);
    cairn_arena_fini(&arena);
}

static void state_is_the_fold_up_to_each_version(void **state)
{
    struct stage *stage = *state;
    for (uint64_t version = 1; version <= 25; version++) {
        assert_sum(stage, version, version);
    }
    assert_sum(stage, UINT64_MAX, 25);
}

static void what_is_not_there_is_not_found(void **state)
{
    struct stage *stage = *state;
    static const struct {
        const char *stream;
        uint64_t version;
    } CASES[] = {{"probe-a", 26},          {"probe-a", 0}, {"probe-b", UINT64_MAX},
                 {"wallet-a", UINT64_MAX}, {"probe", 1},   {"", 1}};
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct cairn_err err;
        struct cairn_value value;
        uint64_t got = 77;
        assert_int_equal(cairn_state_read(stage->pool, cairn_slice_str(CASES[i].stream),
                                          CASES[i].version, &stage->world.arena, &value, &got,
                                          &err),
                         CAIRN_ENOENT);
        assert_int_equal(got, 77);
    }
}

static void *read_many(void *self)
{
    struct stage *stage = self;
    for (uint64_t i = 0; i < 100; i++) {
        assert_sum(stage, 1 + i % 25, 1 + i % 25);
    }
    return NULL;
}

static void more_readers_than_deciders_take_turns(void **state)
{
    enum { READERS = 3 * CAIRN_STATE_READERS_MAX };
    pthread_t threads[READERS];
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_many, *state), 0);
    }
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)
    const struct CMUnitTest tests[] = {
        TEST(state_is_the_fold_up_to_each_version),
        TEST(what_is_not_there_is_not_found),
        TEST(more_readers_than_deciders_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
