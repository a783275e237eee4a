#include "query/reply.h"

#include "query/page.h"
#include "query/wait.h"
#include "schemas/msgpack.h"

#include "tests/support/cm.h"

static void if_none_match_compares_weakly_over_a_list(void **state)
{
    (void)state;
    const struct cairn_slice etag = CAIRN_SLICE_LIT("\"abc\"");
    static const struct {
        const char *field;
        bool matches;
    } rows[] = {
        {"\"abc\"", true},
        {"W/\"abc\"", true},
        {"\"x\", \"abc\"", true},
        {"\"x\",W/\"abc\" ", true},
        {"*", true},
        {"\"ab\"", false},
        {"abc", false},
        {"", false},
        {"\"a,bc\", \"x\"", false},
        {",,\"abc\"", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(cairn_reply_matches(cairn_slice_str(rows[i].field), etag),
                         rows[i].matches);
    }
}

static void prefer_wait_is_found_bounded_and_else_ignored(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        int seconds;
    } rows[] = {
        {"wait=10", 10},   {"respond-async, wait=3", 3},
        {"WAIT = 0", 0},   {"wait=61", 60},
        {"wait=soon", -1}, {"wait", -1},
        {"", -1},          {"waiting=4", -1},
        {"wait=-1", -1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(cairn_wait_seconds(cairn_slice_str(rows[i].field)), rows[i].seconds);
    }
}

/* {"total": 5, "key": "mine"} */
static struct cairn_value make_document(struct cairn_arena *arena)
{
    struct cairn_value_builder map = {.arena = arena};
    assert_int_equal(cairn_value_add(&map, "total", cairn_value_int(5)), CAIRN_OK);
    assert_int_equal(cairn_value_add(&map, "key", cairn_value_string(CAIRN_SLICE_LIT("mine"))),
                     CAIRN_OK);
    return cairn_value_map(&map);
}

static void write_page(enum cairn_form form, struct cairn_buf *body, struct cairn_arena *arena,
                       uint32_t rows, struct cairn_slice next)
{
    struct cairn_err err;
    struct cairn_page page;
    struct cairn_value document = make_document(arena);
    assert_ok(cairn_page_begin(&page, form, body, &err), &err);
    for (uint32_t i = 0; i < rows; i++) {
        assert_ok(cairn_page_row(&page, CAIRN_SLICE_LIT("a\"b"), &document, &err), &err);
    }
    assert_ok(cairn_page_end(&page, next, &err), &err);
}

static void the_rows_key_wins_over_a_member_called_key(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = 1u << 16};
    struct cairn_buf body = {.max = 1u << 16};
    write_page(CAIRN_FORM_JSON, &body, &arena, 1, CAIRN_SLICE_LIT("n\"x"));
    assert_true(
        cairn_slice_is(cairn_buf_slice(&body),
                       "{\"items\":[{\"key\":\"a\\\"b\",\"total\":5}],\"next\":\"n\\\"x\"}"));
    cairn_buf_fini(&body);
    cairn_arena_fini(&arena);
}

static void a_page_without_rows_is_an_empty_list(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = 1u << 16};
    struct cairn_buf body = {.max = 1u << 16};
    write_page(CAIRN_FORM_JSON, &body, &arena, 0, CAIRN_SLICE_NONE);
    assert_true(cairn_slice_is(cairn_buf_slice(&body), "{\"items\":[]}"));
    cairn_buf_fini(&body);
    cairn_arena_fini(&arena);
}

/* More than 15 and more than 65535 items change the shortest head of an array; ours is fixed. */
static void a_msgpack_page_reads_back(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 1, 16, 300, 66000};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct cairn_arena arena = {.max = 64u << 20};
        struct cairn_buf body = {.max = 16u << 20};
        struct cairn_value page;
        struct cairn_err err;
        bool last = i % 2 == 0;
        write_page(CAIRN_FORM_MSGPACK, &body, &arena, counts[i],
                   last ? CAIRN_SLICE_NONE : CAIRN_SLICE_LIT("next one"));
        assert_ok(cairn_msgpack_read(cairn_buf_slice(&body), CAIRN_MSGPACK_DATA, &arena, &page,
                                     NULL, &err),
                  &err);
        const struct cairn_value *items = cairn_value_at(&page, "items");
        assert_non_null(items);
        assert_int_equal(items->count, counts[i]);
        if (counts[i] > 0) {
            const struct cairn_value *row = &items->as.items[counts[i] - 1];
            assert_int_equal(row->count, 2);
            assert_true(cairn_slice_is(cairn_value_get_string(row, "key"), "a\"b"));
            assert_int_equal(cairn_value_at(row, "total")->as.integer, 5);
        }
        assert_int_equal(cairn_value_at(&page, "next") == NULL, last);
        cairn_buf_fini(&body);
        cairn_arena_fini(&arena);
    }
}

static void a_document_of_many_members_reads_back_from_msgpack(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_buf body = {.max = 1u << 16};
    struct cairn_value_builder map = {.arena = &arena};
    struct cairn_err err;
    struct cairn_value back;
    for (int i = 0; i < 40; i++) {
        char *name = cairn_arena_printf(&arena, "m%d", i);
        assert_non_null(name);
        assert_int_equal(cairn_value_add(&map, name, cairn_value_int(i)), CAIRN_OK);
    }
    struct cairn_value document = cairn_value_map(&map);
    assert_ok(
        cairn_page_row_write(&body, CAIRN_FORM_MSGPACK, CAIRN_SLICE_LIT("k"), &document, &err),
        &err);
    assert_ok(
        cairn_msgpack_read(cairn_buf_slice(&body), CAIRN_MSGPACK_DATA, &arena, &back, NULL, &err),
        &err);
    assert_int_equal(back.count, 41);
    assert_int_equal(cairn_value_at(&back, "m39")->as.integer, 39);
    cairn_buf_fini(&body);
    cairn_arena_fini(&arena);
}

static void a_document_that_is_no_map_is_our_fault(void **state)
{
    (void)state;
    struct cairn_buf body = {.max = 100};
    struct cairn_value number = cairn_value_int(1);
    struct cairn_err err;
    assert_int_equal(
        cairn_page_row_write(&body, CAIRN_FORM_JSON, CAIRN_SLICE_LIT("k"), &number, &err),
        CAIRN_EINTERNAL);
    assert_int_equal(body.size, 0);
    cairn_buf_fini(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(if_none_match_compares_weakly_over_a_list),
        cmocka_unit_test(prefer_wait_is_found_bounded_and_else_ignored),
        cmocka_unit_test(the_rows_key_wins_over_a_member_called_key),
        cmocka_unit_test(a_page_without_rows_is_an_empty_list),
        cmocka_unit_test(a_msgpack_page_reads_back),
        cmocka_unit_test(a_document_of_many_members_reads_back_from_msgpack),
        cmocka_unit_test(a_document_that_is_no_map_is_our_fault),
    };
    return cmocka_run_group_tests_name("reply", tests, NULL, NULL);
}
