#include "projector/lmdb/build_digest.h"

#include "tests/support/folder.h"

#include "tests/support/cm.h"

/* Rows of a table, as key and value one after the other, NULL-ended. */
static struct cairn_view_digest digest_of(const char *const *rows)
{
    char folder[64];
    struct cairn_kv *kv = NULL;
    struct cairn_kv_txn *txn = NULL;
    cairn_kv_table_id table = 0;
    const struct cairn_kv_options options = {.writer = true, .map_bytes = 1u << 24};
    struct cairn_view_digest digest = {.rows = 99};
    struct cairn_err err;
    test_folder_make(folder, sizeof folder, "digest");
    assert_ok(cairn_kv_open(folder, &options, &kv, &err), &err);
    assert_ok(cairn_kv_table(kv, "rows", &table, &err), &err);
    assert_ok(cairn_kv_write_begin(kv, &txn, &err), &err);
    for (size_t i = 0; rows[i] != NULL; i += 2) {
        assert_ok(
            cairn_kv_put(txn, table, cairn_slice_str(rows[i]), cairn_slice_str(rows[i + 1]), &err),
            &err);
    }
    assert_ok(cairn_build_digest(txn, table, &digest, &err), &err);
    cairn_kv_end(txn);
    cairn_kv_close(kv);
    test_folder_remove(folder);
    return digest;
}

static void no_rows_are_zero(void **state)
{
    const char *const rows[] = {NULL};
    (void)state;
    assert_int_equal(digest_of(rows).rows, 0);
    assert_int_equal(digest_of(rows).sum, 0);
}

static void equal_rows_are_equal(void **state)
{
    const char *const rows[] = {"a", "1", "b", "2", "c", "3", NULL};
    (void)state;
    assert_int_equal(digest_of(rows).rows, 3);
    assert_int_equal(digest_of(rows).sum, digest_of(rows).sum);
}

static void any_other_row_is_another_sum(void **state)
{
    const char *const rows[] = {"a", "1", "b", "2", NULL};
    const char *const others[][5] = {
        {"a", "1", "b", "3", NULL}, {"a", "1", "c", "2", NULL},  {"a", "2", "b", "1", NULL},
        {"a1", "", "b", "2", NULL}, {"a", "1", "b2", "x", NULL}, {"a", "1", NULL, NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_true(digest_of(others[i]).sum != digest_of(rows).sum);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_rows_are_zero),
        cmocka_unit_test(equal_rows_are_equal),
        cmocka_unit_test(any_other_row_is_another_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
