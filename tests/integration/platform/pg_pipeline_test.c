/* Pipelines on a real PostgreSQL. */
#include <stdio.h>

#include "platform/clock.h"
#include "platform/fault.h"
#include "tests/integration/platform/pg_stage.h"

#define MANY 300000u

struct seen {
    size_t count;
    uint64_t rows;
    size_t last; /* index, SIZE_MAX: none */
};

static void see(void *self, size_t index, uint64_t rows)
{
    struct seen *seen = self;
    assert_int_equal(index, seen->count);
    seen->count++;
    seen->rows += rows;
    seen->last = index;
}

static void prepare(struct pg_stage *stage, const char *name, const char *sql, size_t count)
{
    assert_ok(cairn_pg_prepare(stage->pg, name, sql, NULL, count, &stage->err), &stage->err);
}

static void begin(struct pg_stage *stage)
{
    assert_ok(cairn_pg_pipeline_begin(stage->pg, &stage->err), &stage->err);
}

static size_t send_text(struct pg_stage *stage, const char *name, const char *text)
{
    struct cairn_slice value = cairn_slice_str(text);
    size_t index = SIZE_MAX;
    assert_ok(
        cairn_pg_pipeline_send(stage->pg, name, &value, text == NULL ? 0 : 1, &index, &stage->err),
        &stage->err);
    return index;
}

static enum cairn_rc end(struct pg_stage *stage, struct seen *seen, size_t *failed)
{
    *seen = (struct seen){.last = SIZE_MAX};
    *failed = 4711;
    return cairn_pg_pipeline_end(stage->pg, see, seen, failed, &stage->err);
}

static void make_numbers(struct pg_stage *stage)
{
    pg_stage_run(stage->pg, "CREATE TABLE numbers (n bigint PRIMARY KEY, word text)");
    prepare(stage, "put", "INSERT INTO numbers (n) VALUES ($1)", 1);
    prepare(stage, "raise", "UPDATE numbers SET n = n + 1000000 WHERE n >= $1", 1);
    prepare(stage, "begin", "BEGIN", 0);
    prepare(stage, "commit", "COMMIT", 0);
}

static void three_hundred_thousand_rows_neither_block_nor_get_lost(void **state)
{
    struct pg_stage *stage = *state;
    make_numbers(stage);
    int64_t began_ns = cairn_clock_monotonic_ns(cairn_clock_system());
    begin(stage);
    for (unsigned i = 0; i < MANY; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "%u", i);
        assert_int_equal(send_text(stage, "put", text), i);
    }
    struct seen seen;
    size_t failed = 0;
    assert_ok(end(stage, &seen, &failed), &stage->err);
    int64_t took_ms = (cairn_clock_monotonic_ns(cairn_clock_system()) - began_ns) / 1000000;
    print_message("%u rows in %lld ms\n", MANY, (long long)took_ms);
    assert_int_equal(seen.count, MANY);
    assert_int_equal(seen.rows, MANY);
    assert_string_equal(pg_stage_value(stage->pg, "SELECT count(*) FROM numbers"), "300000");
}

/* Each statement takes 8 KB and gives as much: a client that sends them all before it reads fills
 * both directions of the socket after some hundred. */
static void answers_as_large_as_questions_do_not_fill_the_socket(void **state)
{
    struct pg_stage *stage = *state;
    prepare(stage, "echo", "SELECT $1::text || $1::text", 1);
    char text[8192];
    memset(text, 'e', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    begin(stage);
    for (size_t i = 0; i < 10000; i++) {
        (void)send_text(stage, "echo", text);
    }
    struct seen seen;
    size_t failed = 0;
    assert_ok(end(stage, &seen, &failed), &stage->err);
    assert_int_equal(seen.rows, 10000);
}

static void rows_touched_are_told_by_statement(void **state)
{
    struct pg_stage *stage = *state;
    make_numbers(stage);
    begin(stage);
    assert_int_equal(send_text(stage, "put", "1"), 0);
    assert_int_equal(send_text(stage, "put", "2"), 1);
    assert_int_equal(send_text(stage, "raise", "1"), 2);
    assert_int_equal(send_text(stage, "raise", "5000000"), 3);
    struct seen seen;
    size_t failed = 0;
    assert_ok(end(stage, &seen, &failed), &stage->err);
    assert_int_equal(seen.count, 4);
    assert_int_equal(seen.rows, 4);
}

static void a_pipeline_may_be_empty_and_the_next_one_starts_anew(void **state)
{
    struct pg_stage *stage = *state;
    make_numbers(stage);
    struct seen seen;
    size_t failed = 0;
    for (int i = 0; i < 3; i++) {
        begin(stage);
        assert_ok(end(stage, &seen, &failed), &stage->err);
        assert_int_equal(seen.count, 0);
        begin(stage);
        (void)send_text(stage, "put", i == 0 ? "1" : i == 1 ? "2" : "3");
        assert_ok(end(stage, &seen, &failed), &stage->err);
        assert_int_equal(seen.count, 1);
    }
    assert_string_equal(pg_stage_value(stage->pg, "SELECT count(*) FROM numbers"), "3");
}

/* The server owes nothing to who comes for the answers later. */
static void a_pipeline_commits_before_anybody_asks_for_its_end(void **state)
{
    struct pg_stage *stage = *state;
    struct cairn_pg *other = pg_stage_open(stage);
    struct seen seen;
    size_t failed = 0;
    make_numbers(stage);
    begin(stage);
    for (int i = 0; i < 100; i++) {
        char number[16];
        (void)snprintf(number, sizeof(number), "%d", i);
        (void)send_text(stage, "put", number);
    }
    cairn_pg_pipeline_sync(stage->pg);
    while (strcmp(pg_stage_value(other, "SELECT count(*) FROM numbers"), "100") != 0) {
        /* It comes; a server that waits for us ends the test by its time-out. */
    }
    assert_ok(end(stage, &seen, &failed), &stage->err);
    assert_int_equal(seen.count, 100);
    assert_int_equal(seen.rows, 100);
    cairn_pg_close(other);
}

/* `before` rows that fit, one that is there already, and `after` more. */
static void fail_in_the_middle(struct pg_stage *stage, size_t before, size_t after)
{
    pg_stage_run(stage->pg, "TRUNCATE numbers; INSERT INTO numbers VALUES (-1)");
    begin(stage);
    for (size_t i = 0; i < before + after; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "%zu", i);
        if (i == before) {
            (void)send_text(stage, "put", "-1");
        }
        (void)send_text(stage, "put", text);
    }
    struct seen seen;
    size_t failed = 0;
    assert_int_equal(end(stage, &seen, &failed), CAIRN_EINVAL);
    assert_int_equal(failed, before);
    assert_int_equal(seen.count, 0);
    assert_string_equal(cairn_pg_sqlstate(stage->pg), "23505");
    assert_non_null(strstr(stage->err.text, "numbers_pkey"));
    assert_null(strstr(stage->err.text, "(-1)")); /* of the row */
    assert_false(cairn_pg_is_broken(stage->pg));
    assert_string_equal(pg_stage_value(stage->pg, "SELECT count(*) FROM numbers"), "1");
}

static void a_failure_in_the_middle_is_named_and_leaves_nothing(void **state)
{
    struct pg_stage *stage = *state;
    make_numbers(stage);
    fail_in_the_middle(stage, 0, 1);
    fail_in_the_middle(stage, 3, 2);
    fail_in_the_middle(stage, 20000, 50000);
}

static void behind_a_begin_the_failure_is_the_callers_to_roll_back(void **state)
{
    struct pg_stage *stage = *state;
    make_numbers(stage);
    struct seen seen;
    size_t failed = 0;
    begin(stage);
    (void)send_text(stage, "begin", NULL);
    (void)send_text(stage, "put", "1");
    (void)send_text(stage, "put", "1");
    (void)send_text(stage, "commit", NULL);
    assert_int_equal(end(stage, &seen, &failed), CAIRN_EINVAL);
    assert_int_equal(failed, 2);
    assert_int_equal(cairn_pg_run(stage->pg, "SELECT 1", &stage->err), CAIRN_EINVAL);
    assert_string_equal(cairn_pg_sqlstate(stage->pg), "25P02");
    pg_stage_run(stage->pg, "ROLLBACK");
    assert_string_equal(pg_stage_value(stage->pg, "SELECT count(*) FROM numbers"), "0");

    begin(stage);
    (void)send_text(stage, "begin", NULL);
    (void)send_text(stage, "put", "1");
    (void)send_text(stage, "commit", NULL);
    assert_ok(end(stage, &seen, &failed), &stage->err);
    assert_string_equal(pg_stage_value(stage->pg, "SELECT count(*) FROM numbers"), "1");
}

static void a_value_that_cannot_be_sent_takes_what_was_sent_with_it(void **state)
{
    struct pg_stage *stage = *state;
    make_numbers(stage);
    static const size_t befores[] = {0, 2, 2000};
    for (size_t round = 0; round < 2 * sizeof(befores) / sizeof(befores[0]); round++) {
        bool explicit = round % 2 == 1;
        size_t before = befores[round / 2];
        struct cairn_slice bad = CAIRN_SLICE_LIT("1\0002");
        size_t index = 17;
        begin(stage);
        if (explicit) {
            (void)send_text(stage, "begin", NULL);
        }
        for (size_t i = 0; i < before; i++) {
            char text[32];
            (void)snprintf(text, sizeof(text), "%zu", i);
            (void)send_text(stage, "put", text);
        }
        assert_int_equal(cairn_pg_pipeline_send(stage->pg, "put", &bad, 1, &index, &stage->err),
                         CAIRN_EINVAL);
        assert_int_equal(index, 17);
        (void)send_text(stage, "put", "9");
        struct seen seen;
        size_t failed = 0;
        assert_int_equal(end(stage, &seen, &failed), CAIRN_EINVAL);
        assert_int_equal(failed, before + (explicit ? 1 : 0));
        assert_int_equal(seen.count, 0);
        assert_string_equal(pg_stage_value(stage->pg, "SELECT count(*) FROM numbers"), "0");
    }
}

static void the_earlier_of_two_failures_is_the_one_that_is_told(void **state)
{
    struct pg_stage *stage = *state;
    make_numbers(stage);
    struct cairn_slice bad = CAIRN_SLICE_LIT("1\0002");
    size_t index = 0;
    begin(stage);
    (void)send_text(stage, "put", "1");
    (void)send_text(stage, "put", "one");
    assert_int_equal(cairn_pg_pipeline_send(stage->pg, "put", &bad, 1, &index, &stage->err),
                     CAIRN_EINVAL);
    struct seen seen;
    size_t failed = 0;
    assert_int_equal(end(stage, &seen, &failed), CAIRN_EINVAL);
    assert_int_equal(failed, 1);
    assert_string_equal(cairn_pg_sqlstate(stage->pg), "22P02");
}

static void a_statement_that_is_not_prepared_fails_as_one_of_the_pipeline(void **state)
{
    struct pg_stage *stage = *state;
    begin(stage);
    (void)send_text(stage, "none", "1");
    struct seen seen;
    size_t failed = 0;
    assert_int_equal(end(stage, &seen, &failed), CAIRN_EINVAL);
    assert_int_equal(failed, 0);
    assert_string_equal(cairn_pg_sqlstate(stage->pg), "26000");
}

static void a_connection_ended_in_the_middle_commits_nothing(void **state)
{
    struct pg_stage *stage = *state;
    make_numbers(stage);
    struct cairn_pg *other = pg_stage_open(stage);
    int64_t backend = pg_stage_backend(stage->pg);
    struct seen seen;
    size_t failed = 0;
    begin(stage);
    for (unsigned i = 0; i < 40000; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "%u", i);
        if (i == 20000) {
            pg_stage_terminate(other, backend);
        }
        (void)send_text(stage, "put", text);
    }
    assert_int_equal(end(stage, &seen, &failed), CAIRN_EBUSY);
    assert_int_equal(seen.count, 0);
    assert_true(cairn_pg_is_broken(stage->pg));
    assert_int_equal(cairn_pg_pipeline_begin(stage->pg, &stage->err), CAIRN_EBUSY);
    assert_string_equal(pg_stage_value(other, "SELECT count(*) FROM numbers"), "0");
    cairn_pg_close(other);
}

static void a_connection_ended_before_the_end_tells_the_servers_reason(void **state)
{
    struct pg_stage *stage = *state;
    make_numbers(stage);
    struct cairn_pg *other = pg_stage_open(stage);
    int64_t backend = pg_stage_backend(stage->pg);
    begin(stage);
    (void)send_text(stage, "put", "1");
    pg_stage_terminate(other, backend);
    struct seen seen;
    size_t failed = 0;
    assert_int_equal(end(stage, &seen, &failed), CAIRN_EBUSY);
    assert_int_equal(failed, SIZE_MAX);
    assert_string_equal(cairn_pg_sqlstate(stage->pg), "57P01");
    assert_true(cairn_pg_is_broken(stage->pg));
    assert_string_equal(pg_stage_value(other, "SELECT count(*) FROM numbers"), "0");
    cairn_pg_close(other);
}

static void a_count_of_zero_shows_that_another_was_first(void **state)
{
    struct pg_stage *stage = *state;
    pg_stage_run(stage->pg, "CREATE TABLE place (at text); INSERT INTO place VALUES ('0:5')");
    prepare(stage, "move", "UPDATE place SET at = '0:9' WHERE at = $1", 1);
    struct seen seen;
    size_t failed = 0;
    begin(stage);
    (void)send_text(stage, "move", "0:4");
    assert_ok(end(stage, &seen, &failed), &stage->err);
    assert_int_equal(seen.rows, 0);
}

static void memory_that_ends_in_a_pipeline_leaves_all_or_nothing(void **state)
{
    skip_without_faults();
    struct pg_stage *stage = *state;
    make_numbers(stage);
    bool done = false;
    for (int after = 0; !done; after++) {
        /* A new connection has no memory to begin with. */
        struct pg_stage fresh = {.pg = pg_stage_open(stage)};
        prepare(&fresh, "put", "INSERT INTO numbers (n) VALUES ($1)", 1);
        begin(&fresh);
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        for (unsigned i = 0; i < 1000; i++) {
            char text[32];
            size_t index = 0;
            int size = snprintf(text, sizeof(text), "%u", i);
            struct cairn_slice value = cairn_slice_of(text, (size_t)size);
            enum cairn_rc sent =
                cairn_pg_pipeline_send(fresh.pg, "put", &value, 1, &index, &fresh.err);
            assert_true(sent == CAIRN_OK || sent == CAIRN_ENOMEM);
        }
        done = !cairn_fault_fired(CAIRN_FAULT_MEM);
        cairn_fault_disarm();
        struct seen seen;
        size_t failed = 0;
        assert_int_equal(end(&fresh, &seen, &failed), done ? CAIRN_OK : CAIRN_ENOMEM);
        assert_string_equal(pg_stage_value(stage->pg, "SELECT count(*) FROM numbers"),
                            done ? "1000" : "0");
        cairn_pg_close(fresh.pg);
        assert_true(after < 100);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pg_stage_setup, pg_stage_teardown)
    const struct CMUnitTest tests[] = {
        TEST(three_hundred_thousand_rows_neither_block_nor_get_lost),
        TEST(answers_as_large_as_questions_do_not_fill_the_socket),
        TEST(rows_touched_are_told_by_statement),
        TEST(a_pipeline_may_be_empty_and_the_next_one_starts_anew),
        TEST(a_pipeline_commits_before_anybody_asks_for_its_end),
        TEST(a_failure_in_the_middle_is_named_and_leaves_nothing),
        TEST(behind_a_begin_the_failure_is_the_callers_to_roll_back),
        TEST(a_value_that_cannot_be_sent_takes_what_was_sent_with_it),
        TEST(the_earlier_of_two_failures_is_the_one_that_is_told),
        TEST(a_statement_that_is_not_prepared_fails_as_one_of_the_pipeline),
        TEST(a_connection_ended_in_the_middle_commits_nothing),
        TEST(a_connection_ended_before_the_end_tells_the_servers_reason),
        TEST(a_count_of_zero_shows_that_another_was_first),
        TEST(memory_that_ends_in_a_pipeline_leaves_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
