#include "platform/pg_text.h"

#include "platform/fault.h"
#include "platform/pg.h"

#include "tests/support/cm.h"

static const char whole[] = "SELECT \"a\"\"b\" FROM t WHERE c = $72 LIMIT 18446744073709551615";

static enum cairn_rc write_whole(struct cairn_pg_text *text, const char **ret_sql)
{
    cairn_pg_text_add(text, "SELECT ");
    cairn_pg_text_add_name(text, CAIRN_SLICE_LIT("a\"b"));
    cairn_pg_text_add(text, " FROM t WHERE c = ");
    cairn_pg_text_add_param(text, 72);
    cairn_pg_text_add(text, " LIMIT ");
    cairn_pg_text_add_number(text, UINT64_MAX);
    return cairn_pg_text_end(text, ret_sql);
}

static void words_names_and_numbers_stand_as_they_came(void **state)
{
    (void)state;
    struct cairn_pg_text text = CAIRN_PG_TEXT(1024);
    const char *sql = NULL;
    assert_int_equal(write_whole(&text, &sql), CAIRN_OK);
    assert_string_equal(sql, whole);
    assert_int_equal(text.buf.size, strlen(whole));
    cairn_pg_text_fini(&text);
    cairn_pg_text_fini(&text);
}

static void nothing_at_all_is_an_empty_text(void **state)
{
    (void)state;
    struct cairn_pg_text text = CAIRN_PG_TEXT(1);
    const char *sql = NULL;
    assert_int_equal(cairn_pg_text_end(&text, &sql), CAIRN_OK);
    assert_string_equal(sql, "");
    cairn_pg_text_fini(&text);
}

static void a_text_goes_on_behind_its_end(void **state)
{
    (void)state;
    struct cairn_pg_text text = CAIRN_PG_TEXT(64);
    const char *sql = NULL;
    cairn_pg_text_add(&text, "SELECT 1");
    assert_int_equal(cairn_pg_text_end(&text, &sql), CAIRN_OK);
    cairn_pg_text_add(&text, ", 2");
    assert_int_equal(cairn_pg_text_end(&text, &sql), CAIRN_OK);
    assert_string_equal(sql, "SELECT 1, 2");
    cairn_pg_text_fini(&text);
}

/* The NUL takes a byte, too. */
static void a_text_fits_to_the_byte_or_is_too_big(void **state)
{
    (void)state;
    for (size_t max = 1; max <= sizeof(whole); max++) {
        struct cairn_pg_text text = CAIRN_PG_TEXT(max);
        const char *sql = NULL;
        enum cairn_rc rc = write_whole(&text, &sql);
        assert_int_equal(rc, max == sizeof(whole) ? CAIRN_OK : CAIRN_ETOOBIG);
        assert_true((sql == NULL) == (rc != CAIRN_OK));
        cairn_pg_text_fini(&text);
    }
}

static void the_first_failure_stays_and_nothing_is_added_behind_it(void **state)
{
    (void)state;
    struct cairn_pg_text text = CAIRN_PG_TEXT(8);
    const char *sql = NULL;
    cairn_pg_text_add(&text, "DROP ");
    cairn_pg_text_add_name(&text, CAIRN_SLICE_NONE);
    assert_int_equal(text.rc, CAIRN_EINVAL);
    cairn_pg_text_add(&text, "much too long for it");
    cairn_pg_text_add(&text, "t");
    cairn_pg_text_add_number(&text, 1);
    cairn_pg_text_add_param(&text, 1);
    assert_true(cairn_slice_is(cairn_buf_slice(&text.buf), "DROP "));
    assert_int_equal(cairn_pg_text_end(&text, &sql), CAIRN_EINVAL);
    assert_null(sql);
    cairn_pg_text_fini(&text);
}

static void no_memory_is_told_at_the_end(void **state)
{
    (void)state;
    skip_without_faults();
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_MEM) || after == 0; after++) {
        struct cairn_pg_text text = CAIRN_PG_TEXT(1024);
        const char *sql = NULL;
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = write_whole(&text, &sql);
        assert_true(rc == CAIRN_OK ? strcmp(sql, whole) == 0 : rc == CAIRN_ENOMEM && sql == NULL);
        cairn_pg_text_fini(&text);
    }
    cairn_fault_disarm();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_names_and_numbers_stand_as_they_came),
        cmocka_unit_test(nothing_at_all_is_an_empty_text),
        cmocka_unit_test(a_text_goes_on_behind_its_end),
        cmocka_unit_test(a_text_fits_to_the_byte_or_is_too_big),
        cmocka_unit_test(the_first_failure_stays_and_nothing_is_added_behind_it),
        cmocka_unit_test(no_memory_is_told_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
