#include "projector/sql/parked.h"

#include "tests/support/cm.h"

static void what_tells_of_values_blames_the_event(void **state)
{
    /* SQLSTATEs as PostgreSQL gives them: a number out of range, a text that is no number, a check,
     * a key that is there, RAISE, a deferred constraint, an index entry too long; a NUL on our
     * side.
     */
    static const char *const of_values[] = {"22003", "22P02", "23514", "23505", "P0001",
                                            "40002", "54000", "21000", "44000", ""};
    (void)state;
    for (size_t i = 0; i < sizeof(of_values) / sizeof(of_values[0]); i++) {
        assert_true(cairn_sql_parked_blames(of_values[i]));
    }
}

static void what_tells_of_tables_and_statements_blames_nobody(void **state)
{
    /* A table or column that is gone, a result of another type, a view that takes no rows, a schema
     * that is gone, a statement that the session forgot, an object in the way, a lock, a disk. */
    static const char *const of_making[] = {"42P01", "42703", "42804", "0A000", "55000", "3F000",
                                            "26000", "2BP01", "40001", "40P01", "53100", "XX000"};
    (void)state;
    for (size_t i = 0; i < sizeof(of_making) / sizeof(of_making[0]); i++) {
        assert_false(cairn_sql_parked_blames(of_making[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_tells_of_values_blames_the_event),
        cmocka_unit_test(what_tells_of_tables_and_statements_blames_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
