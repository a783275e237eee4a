/* Clients that are lent by target. */
#include <stdio.h>

#include "platform/fault.h"
#include "platform/http_client.h"
#include "tests/support/hand_clock.h"
#include "tests/support/http_stage.h"

enum { THREADS = 8, CALLS = 50, TARGET_MAX = 64 };

#define NS_PER_S INT64_C(1000000000)

static struct stage stage;
static char target_text[TARGET_MAX];
static struct cairn_slice target;

static int begin(void **state)
{
    (void)state;
    stage_begin(&stage, (struct cairn_http_options){.connections_max = 64});
    int size = snprintf(target_text, sizeof(target_text), "http://127.0.0.1:%d", stage.port);
    target = cairn_slice_of(target_text, (size_t)size);
    return 0;
}

static int end(void **state)
{
    (void)state;
    stage_end(&stage);
    return 0;
}

static struct cairn_http_pool *make_pool(const struct cairn_http_pool_options *options)
{
    struct cairn_http_pool *pool = NULL;
    struct cairn_err err;
    assert_ok(cairn_http_pool_new(options, &pool, &err), &err);
    return pool;
}

static struct cairn_http_client *acquire(struct cairn_http_pool *pool, struct cairn_slice name)
{
    struct cairn_http_client *client = NULL;
    struct cairn_err err;
    assert_ok(cairn_http_pool_acquire(pool, name, &client, &err), &err);
    return client;
}

static enum cairn_rc refusal(struct cairn_http_pool *pool, struct cairn_slice name)
{
    struct cairn_http_client *client = NULL;
    struct cairn_err err;
    enum cairn_rc rc = cairn_http_pool_acquire(pool, name, &client, &err);
    assert_null(client);
    return rc;
}

static struct cairn_slice numbered(char text[TARGET_MAX], int number)
{
    int size = snprintf(text, TARGET_MAX, "http://node-%d:8080", number);
    return cairn_slice_of(text, (size_t)size);
}

static void a_client_given_back_is_lent_again_to_its_target_only(void **state)
{
    (void)state;
    struct cairn_http_pool *pool = make_pool(&(struct cairn_http_pool_options){.idle_max = 0});
    struct cairn_http_client *first = acquire(pool, target);
    struct cairn_http_client *second = acquire(pool, target);
    assert_ptr_not_equal(first, second);
    cairn_http_pool_release(pool, first);
    cairn_http_pool_release(pool, second);
    assert_int_equal(cairn_http_pool_idle(pool, target), 2);
    struct cairn_http_client *other = acquire(pool, CAIRN_SLICE_LIT("http://127.0.0.1:1"));
    assert_ptr_not_equal(other, first);
    assert_ptr_not_equal(other, second);
    assert_ptr_equal(acquire(pool, target), second); /* the freshest first */
    assert_ptr_equal(acquire(pool, target), first);
    cairn_http_pool_release(pool, first);
    cairn_http_pool_release(pool, second);
    cairn_http_pool_release(pool, other);
    cairn_http_pool_release(pool, NULL);
    cairn_http_pool_free(pool);
    cairn_http_pool_free(NULL);
}

static void no_more_than_idle_max_are_kept(void **state)
{
    (void)state;
    struct cairn_http_pool *pool = make_pool(&(struct cairn_http_pool_options){.idle_max = 2});
    struct cairn_http_client *clients[5];
    for (size_t i = 0; i < 5; i++) {
        clients[i] = acquire(pool, target);
    }
    for (size_t i = 0; i < 5; i++) {
        cairn_http_pool_release(pool, clients[i]);
    }
    assert_int_equal(cairn_http_pool_idle(pool, target), 2);
    cairn_http_pool_free(pool);
}

static void past_lent_max_a_target_is_busy_and_others_are_not(void **state)
{
    (void)state;
    struct cairn_http_pool *pool = make_pool(&(struct cairn_http_pool_options){.lent_max = 2});
    struct cairn_http_client *first = acquire(pool, target);
    struct cairn_http_client *second = acquire(pool, target);
    assert_int_equal(refusal(pool, target), CAIRN_EBUSY);
    struct cairn_http_client *other = acquire(pool, CAIRN_SLICE_LIT("http://other"));
    cairn_http_pool_release(pool, first);
    assert_ptr_equal(acquire(pool, target), first);
    cairn_http_pool_release(pool, first);
    cairn_http_pool_release(pool, second);
    cairn_http_pool_release(pool, other);
    cairn_http_pool_free(pool);
}

static void a_target_must_have_a_name_that_fits(void **state)
{
    (void)state;
    struct cairn_http_pool *pool = make_pool(&(struct cairn_http_pool_options){.idle_max = 0});
    char name[CAIRN_HTTP_POOL_TARGET_BYTES_MAX + 1];
    memset(name, 'x', sizeof(name));
    assert_int_equal(refusal(pool, CAIRN_SLICE_NONE), CAIRN_EINVAL);
    assert_int_equal(refusal(pool, cairn_slice_of(name, sizeof(name))), CAIRN_EINVAL);
    cairn_http_pool_release(pool, acquire(pool, cairn_slice_of(name, sizeof(name) - 1)));
    cairn_http_pool_free(pool);
}

static void clients_idle_too_long_are_closed(void **state)
{
    (void)state;
    struct hand_clock hand;
    hand_clock_init(&hand);
    struct cairn_http_pool *pool =
        make_pool(&(struct cairn_http_pool_options){.clock = &hand.clock});
    struct cairn_http_client *first = acquire(pool, target);
    struct cairn_http_client *second = acquire(pool, target);
    cairn_http_pool_release(pool, first);
    hand_clock_pass(&hand, CAIRN_HTTP_CLIENT_IDLE_S_MAX * NS_PER_S);
    cairn_http_pool_release(pool, second);
    assert_int_equal(cairn_http_pool_idle(pool, target), 2); /* not longer than the limit */
    hand_clock_pass(&hand, 1);
    struct cairn_http_client *other = acquire(pool, CAIRN_SLICE_LIT("http://other"));
    cairn_http_pool_release(pool, other);
    assert_int_equal(cairn_http_pool_idle(pool, target), 1);
    assert_ptr_equal(acquire(pool, target), second);
    cairn_http_pool_release(pool, second);
    cairn_http_pool_free(pool);
}

static void the_target_unused_for_longest_makes_room(void **state)
{
    (void)state;
    struct hand_clock hand;
    hand_clock_init(&hand);
    struct cairn_http_pool *pool =
        make_pool(&(struct cairn_http_pool_options){.clock = &hand.clock});
    char text[TARGET_MAX];
    for (int i = 0; i < CAIRN_HTTP_POOL_TARGETS_MAX; i++) {
        cairn_http_pool_release(pool, acquire(pool, numbered(text, i)));
        hand_clock_pass(&hand, 1);
    }
    cairn_http_pool_release(pool, acquire(pool, numbered(text, 0)));
    hand_clock_pass(&hand, 1);
    struct cairn_http_client *newcomer = acquire(pool, CAIRN_SLICE_LIT("http://newcomer"));
    assert_int_equal(cairn_http_pool_idle(pool, numbered(text, 0)), 1);
    assert_int_equal(cairn_http_pool_idle(pool, numbered(text, 1)), 0);
    assert_int_equal(cairn_http_pool_idle(pool, numbered(text, 2)), 1);
    cairn_http_pool_release(pool, newcomer);
    cairn_http_pool_free(pool);
}

static void no_target_with_clients_out_makes_room(void **state)
{
    (void)state;
    struct cairn_http_pool *pool = make_pool(&(struct cairn_http_pool_options){.idle_max = 0});
    struct cairn_http_client *clients[CAIRN_HTTP_POOL_TARGETS_MAX];
    char text[TARGET_MAX];
    for (int i = 0; i < CAIRN_HTTP_POOL_TARGETS_MAX; i++) {
        clients[i] = acquire(pool, numbered(text, i));
    }
    assert_int_equal(refusal(pool, CAIRN_SLICE_LIT("http://newcomer")), CAIRN_EBUSY);
    for (int i = 0; i < CAIRN_HTTP_POOL_TARGETS_MAX; i++) {
        cairn_http_pool_release(pool, clients[i]);
    }
    cairn_http_pool_release(pool, acquire(pool, CAIRN_SLICE_LIT("http://newcomer")));
    cairn_http_pool_free(pool);
}

static void an_acquire_without_memory_leaves_the_count_right(void **state)
{
    (void)state;
    skip_without_faults();
    struct cairn_http_pool *pool = make_pool(&(struct cairn_http_pool_options){.lent_max = 1});
    int failures = 0;
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_MEM) || after == 0; after++) {
        struct cairn_http_client *client = NULL;
        struct cairn_err err;
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc =
            cairn_http_pool_acquire(pool, CAIRN_SLICE_LIT("http://one"), &client, &err);
        assert_int_equal(rc, cairn_fault_fired(CAIRN_FAULT_MEM) ? CAIRN_ENOMEM : CAIRN_OK);
        failures += rc != CAIRN_OK;
        cairn_http_pool_release(pool, client);
    }
    cairn_fault_disarm();
    assert_true(failures >= 2);
    cairn_http_pool_free(pool);
}

struct caller {
    struct cairn_http_pool *pool;
    pthread_t thread;
    unsigned number;
    unsigned wrong;
};

/* Each call must get its own answer. */
static void *call_often(void *self)
{
    struct caller *caller = self;
    struct cairn_arena arena = {.max = (size_t)1024 * 1024};
    char url[TARGET_MAX * 2];
    (void)snprintf(url, sizeof(url), "%s/body", target_text);
    for (unsigned i = 0; i < CALLS; i++) {
        char body[64];
        int size = snprintf(body, sizeof(body), "%u of %u", i, caller->number);
        struct cairn_http_call call = {.method = CAIRN_SLICE_LIT("POST"),
                                       .url = cairn_slice_str(url),
                                       .body = cairn_slice_of(body, (size_t)size)};
        struct cairn_http_client *client = NULL;
        struct cairn_http_answer answer = {.status = 0};
        struct cairn_err err;
        cairn_arena_reset(&arena);
        enum cairn_rc rc = cairn_http_pool_acquire(caller->pool, target, &client, &err);
        rc = rc == CAIRN_OK ? cairn_http_client_request(client, &call, &arena, &answer, &err) : rc;
        cairn_http_pool_release(caller->pool, client);
        caller->wrong += rc != CAIRN_OK || !cairn_slice_equal(answer.body, call.body);
    }
    cairn_arena_fini(&arena);
    return NULL;
}

static void threads_share_a_pool_and_get_their_own_answers(void **state)
{
    (void)state;
    struct cairn_http_pool *pool = make_pool(&(struct cairn_http_pool_options){.idle_max = 3});
    struct caller callers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){.pool = pool, .number = i};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call_often, &callers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(callers[i].thread, NULL), 0);
        assert_int_equal(callers[i].wrong, 0);
    }
    assert_in_range(cairn_http_pool_idle(pool, target), 1, 3);
    cairn_http_pool_free(pool);
}

int main(void)
{
    /* Without the server: its threads allocate too, and would take the fault away. */
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(an_acquire_without_memory_leaves_the_count_right),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_given_back_is_lent_again_to_its_target_only),
        cmocka_unit_test(no_more_than_idle_max_are_kept),
        cmocka_unit_test(past_lent_max_a_target_is_busy_and_others_are_not),
        cmocka_unit_test(a_target_must_have_a_name_that_fits),
        cmocka_unit_test(clients_idle_too_long_are_closed),
        cmocka_unit_test(the_target_unused_for_longest_makes_room),
        cmocka_unit_test(no_target_with_clients_out_makes_room),
        cmocka_unit_test(threads_share_a_pool_and_get_their_own_answers),
    };
    return cmocka_run_group_tests_name("http_client_pool_faults", alone, NULL, NULL) +
           cmocka_run_group_tests_name("http_client_pool", tests, begin, end);
}
