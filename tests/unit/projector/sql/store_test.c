#include "projector/sql/store.h"

#include "tests/support/cm.h"

/* 30 letters. */
#define LONG "abcdefghijklmnopqrstuvwxyzabcd"

static void each_generation_has_its_schema(void **state)
{
    char schema[CAIRN_SQL_SCHEMA_SIZE];
    struct cairn_err err;
    (void)state;
    assert_ok(cairn_sql_schema(CAIRN_SLICE_LIT("shop"), CAIRN_SLICE_LIT("stock"), CAIRN_SIDE_LIVE,
                               schema, &err),
              &err);
    assert_string_equal(schema, "shop");
    assert_ok(cairn_sql_schema(CAIRN_SLICE_LIT("shop"), CAIRN_SLICE_LIT("stock"), CAIRN_SIDE_NEXT,
                               schema, &err),
              &err);
    assert_string_equal(schema, "shop_build_stock");
    assert_ok(cairn_sql_schema(CAIRN_SLICE_LIT("shop"), CAIRN_SLICE_LIT("stock"), CAIRN_SIDE_OLD,
                               schema, &err),
              &err);
    assert_string_equal(schema, "shop_old_stock");
    assert_ok(cairn_sql_schema(CAIRN_SLICE_LIT("shop"), CAIRN_SLICE_LIT("stock"), CAIRN_SIDE_CHECK,
                               schema, &err),
              &err);
    assert_string_equal(schema, "shop_check_stock");
}

static void names_that_postgres_would_cut_are_refused(void **state)
{
    char schema[CAIRN_SQL_SCHEMA_SIZE];
    struct cairn_err err;
    (void)state;
    /* 30 + 7 + 26 is 63; one more is too many. */
    assert_ok(cairn_sql_schema(CAIRN_SLICE_LIT(LONG), CAIRN_SLICE_LIT("abcdefghijklmnopqrstuvwxyz"),
                               CAIRN_SIDE_NEXT, schema, &err),
              &err);
    assert_int_equal(strlen(schema), CAIRN_PG_NAME_BYTES_MAX);
    assert_int_equal(cairn_sql_schema(CAIRN_SLICE_LIT(LONG),
                                      CAIRN_SLICE_LIT("abcdefghijklmnopqrstuvwxyz_"),
                                      CAIRN_SIDE_NEXT, schema, &err),
                     CAIRN_EINVAL);
    assert_non_null(strstr(err.text, "too long"));
    assert_ok(cairn_sql_schema(CAIRN_SLICE_LIT(LONG LONG "abc"), CAIRN_SLICE_LIT("v"),
                               CAIRN_SIDE_LIVE, schema, &err),
              &err);
    assert_int_equal(cairn_sql_schema(CAIRN_SLICE_LIT(LONG LONG "abcd"), CAIRN_SLICE_LIT("v"),
                                      CAIRN_SIDE_LIVE, schema, &err),
                     CAIRN_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_generation_has_its_schema),
        cmocka_unit_test(names_that_postgres_would_cut_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
