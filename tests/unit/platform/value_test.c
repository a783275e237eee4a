#include "platform/value.h"

#include <stdio.h>

#include "platform/json.h"
#include "platform/value_stack.h"

#include "tests/support/cm.h"

static struct cairn_value read_json(struct cairn_arena *arena, const char *text)
{
    struct cairn_value value;
    struct cairn_err err;
    assert_ok(cairn_json_read(cairn_slice_str(text), arena, &value, NULL, &err), &err);
    return value;
}

static void integers_have_one_form(void **state)
{
    (void)state;
    assert_int_equal(cairn_value_uint(INT64_MAX).type, CAIRN_INT);
    assert_int_equal(cairn_value_uint((uint64_t)INT64_MAX + 1).type, CAIRN_UINT);
}

static void numbers_compare_exactly_across_types(void **state)
{
    (void)state;
    const struct cairn_value ordered[] = {
        cairn_value_float(-1e300),
        cairn_value_int(INT64_MIN),
        cairn_value_int(-1),
        cairn_value_float(-0.5),
        cairn_value_int(0),
        cairn_value_float(0.5),
        cairn_value_int(9007199254740992),
        cairn_value_int(9007199254740993), /* no double has this value */
        cairn_value_float(9007199254740994.0),
        cairn_value_int(INT64_MAX),
        cairn_value_float(9223372036854775808.0),
        cairn_value_uint(UINT64_MAX),
        cairn_value_float(18446744073709551616.0),
    };
    size_t count = sizeof(ordered) / sizeof(ordered[0]);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            int order = cairn_value_compare_numbers(&ordered[i], &ordered[j]);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
}

static void equality_is_that_of_json_schema(void **state)
{
    (void)state;
    static const struct {
        const char *a;
        const char *b;
        bool equal;
    } CASES[] = {{"1", "1.0", true},
                 {"0", "-0.0", true},
                 {"{\"a\":1,\"b\":[2]}", "{\"b\":[2.0],\"a\":1}", true},
                 {"[1,2]", "[2,1]", false},
                 {"1", "true", false},
                 {"0", "false", false},
                 {"\"1\"", "1", false},
                 {"{\"a\":1}", "{\"b\":1}", false},
                 {"{}", "[]", false},
                 {"null", "0", false}};
    struct cairn_arena arena = {.max = 1u << 16};
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        unsigned char prints[2][16];
        struct cairn_value a = read_json(&arena, CASES[i].a);
        struct cairn_value b = read_json(&arena, CASES[i].b);
        cairn_value_fingerprint(&a, prints[0]);
        cairn_value_fingerprint(&b, prints[1]);
        assert_int_equal(cairn_value_equal(&a, &b), CASES[i].equal);
        assert_int_equal(memcmp(prints[0], prints[1], 16) == 0, CASES[i].equal);
    }
    cairn_arena_fini(&arena);
}

/* These bytes are in logs: a change of them is a change of the format. */
static void the_fingerprint_is_what_it_was(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = 1u << 16};
    struct cairn_value value =
        read_json(&arena, "{\"amount\":-5,\"to\":[\"a\",null,true,1.5,18446744073709551615]}");
    unsigned char print[16];
    char text[33];
    cairn_value_fingerprint(&value, print);
    for (size_t i = 0; i < sizeof(print); i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", print[i]);
    }
    assert_string_equal(text, "7fea11176b089669e8006eb1c8ab8128");
    cairn_arena_fini(&arena);
}

static void a_builder_keeps_order_and_grows(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_value_builder list = {.arena = &arena};
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(cairn_value_push(&list, cairn_value_int(i)), CAIRN_OK);
    }
    struct cairn_value_builder map = {.arena = &arena};
    assert_int_equal(cairn_value_add(&map, "list", cairn_value_array(&list)), CAIRN_OK);
    struct cairn_value value = cairn_value_map(&map);
    const struct cairn_value *found = cairn_value_at(&value, "list");
    assert_non_null(found);
    assert_int_equal(found->count, 1000);
    assert_int_equal(found->as.items[999].as.integer, 999);
    assert_null(cairn_value_at(&value, "none"));
    assert_null(cairn_value_get_string(&value, "list").data);
    cairn_arena_fini(&arena);
}

static uint32_t find_duplicate(uint32_t count, uint32_t twin_of_first)
{
    static char names[2000][8];
    static struct cairn_member members[2000];
    for (uint32_t i = 0; i < count; i++) {
        int size =
            snprintf(names[i], sizeof(names[i]), "k%u", (unsigned)(i == twin_of_first ? 0 : i));
        members[i].key = cairn_value_string(cairn_slice_of(names[i], (size_t)size));
    }
    uint32_t index = 0;
    assert_int_equal(cairn_value_find_duplicate(members, count, &index), CAIRN_OK);
    return index;
}

static void duplicates_are_found_in_small_and_large_maps(void **state)
{
    (void)state;
    assert_int_equal(find_duplicate(2, 1), 1);
    assert_int_equal(find_duplicate(20, 19), 19);
    assert_int_equal(find_duplicate(20, UINT32_MAX), 20);
    assert_int_equal(find_duplicate(2000, 1234), 1234);
    assert_int_equal(find_duplicate(2000, UINT32_MAX), 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_have_one_form),
        cmocka_unit_test(numbers_compare_exactly_across_types),
        cmocka_unit_test(equality_is_that_of_json_schema),
        cmocka_unit_test(the_fingerprint_is_what_it_was),
        cmocka_unit_test(a_builder_keeps_order_and_grows),
        cmocka_unit_test(duplicates_are_found_in_small_and_large_maps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
