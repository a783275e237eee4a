#include "command/cache.h"

#include <stdio.h>

#include "platform/fault.h"

#include "tests/support/cm.h"

/* A decider that only counts its states: the cache asks no more of one. */
struct counter {
    int open;
    size_t memory;
};

static void close_counted(void *self, cairn_state state)
{
    struct counter *counter = self;
    assert_true(state > 0);
    counter->open--;
}

static size_t memory_counted(void *self)
{
    return ((struct counter *)self)->memory;
}

static const struct cairn_domain_aggregate AGGREGATE = {.name = {"a", 1}, .snapshot_every = 1};

static struct counter counter;
static struct cairn_decider decider;
static struct cairn_cache cache;

static int open_cache(void **state)
{
    (void)state;
    counter = (struct counter){0};
    decider = (struct cairn_decider){
        .close_state = close_counted, .memory = memory_counted, .self = &counter};
    cairn_cache_init(&cache, &decider, 4, 1000);
    return 0;
}

static int close_cache(void **state)
{
    (void)state;
    cairn_cache_fini(&cache);
    assert_int_equal(counter.open, 0);
    return 0;
}

static struct cairn_slice name_of(int number)
{
    static char name[16];
    (void)snprintf(name, sizeof(name), "a-%d", number);
    return cairn_slice_str(name);
}

static struct cairn_hot *add(int number)
{
    struct cairn_hot *hot = cairn_cache_add(&cache, name_of(number), &AGGREGATE);
    assert_non_null(hot);
    hot->state = number + 1;
    counter.open++;
    return hot;
}

static void coldest_go_first(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        add(i);
    }
    assert_non_null(cairn_cache_find(&cache, name_of(0)));
    cairn_cache_trim(&cache);
    assert_int_equal(cache.count, 4);
    assert_int_equal(counter.open, 4);
    assert_non_null(cairn_cache_find(&cache, name_of(0)));
    assert_null(cairn_cache_find(&cache, name_of(1)));
    assert_null(cairn_cache_find(&cache, name_of(2)));
    assert_non_null(cairn_cache_find(&cache, name_of(3)));
}

static void pinned_stay(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        add(i)->pinned = i < 6;
    }
    cairn_cache_trim(&cache);
    assert_int_equal(cache.count, 6);
    cairn_cache_shed(&cache);
    assert_int_equal(cache.count, 6);
    for (int i = 0; i < 6; i++) {
        cairn_cache_find(&cache, name_of(i))->pinned = false;
    }
    cairn_cache_shed(&cache);
    assert_int_equal(cache.count, 0);
}

static void memory_past_its_max_costs_a_quarter_and_once(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        add(i);
    }
    counter.memory = 1001;
    cairn_cache_trim(&cache);
    assert_int_equal(cache.count, 2);
    counter.memory = 1000;
    cairn_cache_trim(&cache);
    assert_int_equal(cache.count, 2);
}

static void stream_without_a_state_keeps_its_place(void **state)
{
    (void)state;
    struct cairn_hot *hot = add(1);
    cairn_cache_close_state(&cache, hot);
    assert_int_equal(counter.open, 0);
    assert_ptr_equal(cairn_cache_find(&cache, name_of(1)), hot);
    cairn_cache_drop(&cache, hot);
    assert_null(cairn_cache_find(&cache, name_of(1)));
}

static void add_without_memory_changes_nothing(void **state)
{
    (void)state;
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_MEM) || after == 0; after++) {
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        struct cairn_hot *hot = cairn_cache_add(&cache, name_of(1), &AGGREGATE);
        bool fired = cairn_fault_fired(CAIRN_FAULT_MEM);
        assert_int_equal(hot == NULL, fired);
        assert_int_equal(cache.count, fired ? 0 : 1);
        assert_ptr_equal(cairn_cache_find(&cache, name_of(1)), hot);
    }
    cairn_fault_disarm();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_cache, close_cache)
    const struct CMUnitTest tests[] = {
        TEST(coldest_go_first),
        TEST(pinned_stay),
        TEST(memory_past_its_max_costs_a_quarter_and_once),
        TEST(stream_without_a_state_keeps_its_place),
        TEST(add_without_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
