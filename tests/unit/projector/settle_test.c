#include "projector/settle.h"

#include "tests/support/cm.h"

#define STREAMS 5u

/* Streams of which each waits for the one behind it; the last waits for nothing. */
struct chain {
    bool done[STREAMS + 1];
    size_t tries;
    uint64_t stuck;  /* can never be applied; 0: none */
    size_t fails_at; /* try; 0: none */
};

static enum cairn_rc try_row(void *self, const struct cairn_parked *parked, bool *ret_done,
                             struct cairn_err *err)
{
    struct chain *chain = self;
    size_t at = parked->version - 1;
    assert_false(*ret_done || chain->done[at]);
    if (++chain->tries == chain->fails_at) {
        return CAIRN_FAIL(err, CAIRN_EIO, "the disk");
    }
    chain->done[at] = parked->version != chain->stuck && (at + 1 == STREAMS || chain->done[at + 1]);
    *ret_done = chain->done[at];
    return CAIRN_OK;
}

static enum cairn_rc settle(struct chain *chain, struct cairn_err *err)
{
    struct cairn_parked rows[STREAMS];
    for (size_t i = 0; i < STREAMS; i++) {
        rows[i] = (struct cairn_parked){.version = i + 1};
    }
    return cairn_settle_all(rows, STREAMS, try_row, chain, err);
}

static void streams_that_wait_for_each_other_all_come(void **state)
{
    struct chain chain = {.tries = 0};
    struct cairn_err err;
    (void)state;
    assert_ok(settle(&chain, &err), &err);
    assert_true(chain.done[0]);
    assert_int_equal(chain.tries, 5 + 4 + 3 + 2 + 1);
}

static void a_round_that_helps_nobody_is_the_last(void **state)
{
    struct chain chain = {.stuck = 3};
    struct cairn_err err;
    (void)state;
    assert_ok(settle(&chain, &err), &err);
    assert_true(chain.done[3] && chain.done[4]);
    assert_false(chain.done[0] || chain.done[1] || chain.done[2]);
    assert_int_equal(chain.tries, 5 + 4 + 3);
}

static void a_failure_ends_it(void **state)
{
    struct chain chain = {.fails_at = 7};
    struct cairn_err err;
    (void)state;
    assert_int_equal(settle(&chain, &err), CAIRN_EIO);
    assert_int_equal(chain.tries, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_that_wait_for_each_other_all_come),
        cmocka_unit_test(a_round_that_helps_nobody_is_the_last),
        cmocka_unit_test(a_failure_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
