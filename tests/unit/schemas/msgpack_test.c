#include "schemas/msgpack.h"

#include <stdlib.h>
#include <time.h>

#include "platform/fault.h"
#include "platform/json.h"

#include "tests/support/cm.h"

static void what_is_no_data_is_refused_with_its_byte(void **state)
{
    (void)state;
    static const struct {
        struct cairn_slice bytes;
        size_t offset;
    } CASES[] = {{{"", 0}, 0},
                 {{"\xc1", 1}, 0},
                 {{"\xc0\xc0", 2}, 1},
                 {{"\xdd\xff\xff\xff\xff", 5}, 5},
                 {{"\xdf\xff\xff\xff\xff\xa1k", 7}, 7},
                 {{"\xa2\xc3\x28", 3}, 1},
                 {{"\x82\xa1k\x01\xa1k\x02", 7}, 5},
                 {{"\x81\x01\x02", 3}, 1},
                 {{"\x91\xc4\x01x", 4}, 1},
                 {{"\x91\xd4\x01x", 4}, 1},
                 {{"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", 9}, 0},
                 {{"\x93\x01\x02", 3}, 3}};
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct cairn_arena arena = {.max = 1u << 16};
        struct cairn_value value;
        size_t offset = SIZE_MAX;
        struct cairn_err err;
        assert_int_equal(
            cairn_msgpack_read(CASES[i].bytes, CAIRN_MSGPACK_DATA, &arena, &value, &offset, &err),
            CAIRN_EMALFORMED);
        assert_int_equal(offset, CASES[i].offset);
        cairn_arena_fini(&arena);
    }
}

/* Every level claims as many items as there are bytes left: what is built stays small. */
static void nested_claims_take_no_memory(void **state)
{
    (void)state;
    char bytes[3 * CAIRN_VALUE_DEPTH_MAX + 60000];
    struct cairn_arena arena = {.max = 1u << 24};
    struct cairn_value value;
    memset(bytes, 0, sizeof(bytes));
    for (size_t i = 0; i < CAIRN_VALUE_DEPTH_MAX; i++) {
        memcpy(bytes + 3 * i, "\xdc\xea\x60", 3);
    }
    assert_int_equal(cairn_msgpack_read(cairn_slice_of(bytes, sizeof(bytes)), CAIRN_MSGPACK_DATA,
                                        &arena, &value, NULL, NULL),
                     CAIRN_EMALFORMED);
    assert_true(arena.used <= 2 * sizeof(bytes) * sizeof(struct cairn_value));
    cairn_arena_fini(&arena);
}

static struct cairn_value random_value(struct cairn_arena *arena, int depth);

static struct cairn_value random_container(struct cairn_arena *arena, int depth)
{
    struct cairn_value_builder builder = {.arena = arena};
    bool is_map = rand() % 2 == 0;
    for (int i = rand() % 6; i > 0; i--) {
        struct cairn_value value = random_value(arena, depth - 1);
        char *key = cairn_arena_printf(arena, "\xc3\xa9%d", i);
        assert_non_null(key);
        assert_int_equal(is_map ? cairn_value_add(&builder, key, value)
                                : cairn_value_push(&builder, value),
                         CAIRN_OK);
    }
    return is_map ? cairn_value_map(&builder) : cairn_value_array(&builder);
}

static uint64_t random_bits(void)
{
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++) {
        bits = bits << 8 | ((unsigned)rand() >> 7 & 0xffu);
    }
    return bits >> (rand() % 64);
}

static struct cairn_value random_value(struct cairn_arena *arena, int depth)
{
    switch (rand() % (depth > 0 ? 8 : 6)) {
    case 0:
        return cairn_value_null();
    case 1:
        return cairn_value_bool(rand() % 2 == 0);
    case 2:
        return cairn_value_uint(random_bits());
    case 3:
        return cairn_value_int(-(int64_t)(random_bits() >> 1) - 1);
    case 4:
        return cairn_value_float((double)random_bits() / 1024.0 - 1e6);
    case 5:
        return cairn_value_string(CAIRN_SLICE_LIT("a\"\\\n\xe2\x82\xac"));
    default:
        return random_container(arena, depth);
    }
}

static bool same_types(const struct cairn_value *a, const struct cairn_value *b)
{
    bool same = a->type == b->type && a->count == b->count;
    for (uint32_t i = 0; same && a->type == CAIRN_ARRAY && i < a->count; i++) {
        same = same_types(&a->as.items[i], &b->as.items[i]);
    }
    for (uint32_t i = 0; same && a->type == CAIRN_MAP && i < a->count; i++) {
        same = same_types(&a->as.members[i].value, &b->as.members[i].value);
    }
    return same;
}

static void json_to_msgpack_to_json_is_the_same_text(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    for (int i = 0; i < 3000; i++) {
        struct cairn_arena arena = {.max = 1u << 22};
        struct cairn_buf text = {.max = 1u << 20};
        struct cairn_buf packed = {.max = 1u << 20};
        struct cairn_buf again = {.max = 1u << 20};
        struct cairn_value value = random_value(&arena, 4);
        struct cairn_value read;
        struct cairn_err err;
        assert_int_equal(cairn_json_write(&value, &text), CAIRN_OK);
        assert_ok(cairn_json_read(cairn_buf_slice(&text), &arena, &read, NULL, &err), &err);
        assert_true(same_types(&value, &read));
        assert_int_equal(cairn_msgpack_write(&read, &packed), CAIRN_OK);
        assert_ok(cairn_msgpack_read(cairn_buf_slice(&packed), CAIRN_MSGPACK_DATA, &arena, &read,
                                     NULL, &err),
                  &err);
        assert_true(same_types(&value, &read));
        assert_int_equal(cairn_json_write(&read, &again), CAIRN_OK);
        assert_true(cairn_slice_equal(cairn_buf_slice(&text), cairn_buf_slice(&again)));
        cairn_buf_fini(&again);
        cairn_buf_fini(&packed);
        cairn_buf_fini(&text);
        cairn_arena_fini(&arena);
    }
}

static void a_buffer_that_is_full_is_cut_back(void **state)
{
    (void)state;
    struct cairn_buf out = {.max = 8};
    struct cairn_value text = cairn_value_string(CAIRN_SLICE_LIT("longer than that"));
    assert_int_equal(cairn_buf_append_byte(&out, 'x'), CAIRN_OK);
    assert_int_equal(cairn_msgpack_write(&text, &out), CAIRN_ETOOBIG);
    assert_int_equal(out.size, 1);
    cairn_buf_fini(&out);
}

static void running_out_of_memory_is_an_error_wherever_it_happens(void **state)
{
    (void)state;
    char bytes[600];
    memset(bytes, 1, sizeof(bytes));
    memcpy(bytes, "\xdc\x02\x55", 3);
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_MEM) || after == 0; after++) {
        struct cairn_arena arena = {.max = 1u << 20};
        struct cairn_value value;
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = cairn_msgpack_read(cairn_slice_of(bytes, sizeof(bytes)),
                                              CAIRN_MSGPACK_DATA, &arena, &value, NULL, NULL);
        assert_int_equal(rc, cairn_fault_fired(CAIRN_FAULT_MEM) ? CAIRN_ENOMEM : CAIRN_OK);
        cairn_arena_fini(&arena);
    }
    cairn_fault_disarm();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_data_is_refused_with_its_byte),
        cmocka_unit_test(nested_claims_take_no_memory),
        cmocka_unit_test(json_to_msgpack_to_json_is_the_same_text),
        cmocka_unit_test(a_buffer_that_is_full_is_cut_back),
        cmocka_unit_test(running_out_of_memory_is_an_error_wherever_it_happens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
