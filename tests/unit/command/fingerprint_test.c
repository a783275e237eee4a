#include "command/fingerprint.h"

#include <stdio.h>

#include "platform/json.h"
#include "schemas/msgpack.h"

#include "tests/support/cm.h"

static struct cairn_arena arena;

static int reset(void **state)
{
    (void)state;
    arena.max = 1u << 20;
    cairn_arena_fini(&arena);
    return 0;
}

static struct cairn_value read_json(const char *text)
{
    struct cairn_err err;
    struct cairn_value value;
    assert_ok(cairn_json_read(cairn_slice_str(text), &arena, &value, NULL, &err), &err);
    return value;
}

static void print_of(const char *aggregate, const char *id, const char *command, const char *json,
                     unsigned char out[16])
{
    struct cairn_value data = read_json(json);
    cairn_command_fingerprint(cairn_slice_str(aggregate), cairn_slice_str(id),
                              cairn_slice_str(command), &data, out);
}

static void form_and_order_do_not_matter(void **state)
{
    (void)state;
    struct cairn_err err;
    unsigned char one[16];
    unsigned char two[16];
    print_of("account", "1", "Open", "{\"a\":1,\"b\":[true,null,\"x\"]}", one);
    print_of("account", "1", "Open", " { \"b\" : [true, null, \"\\u0078\"], \"a\" : 1 } ", two);
    assert_memory_equal(one, two, 16);

    struct cairn_value value = read_json("{\"b\":[true,null,\"x\"],\"a\":1}");
    struct cairn_buf packed = {.max = 1000};
    assert_int_equal(cairn_msgpack_write(&value, &packed), CAIRN_OK);
    struct cairn_value again;
    assert_ok(cairn_msgpack_read(cairn_buf_slice(&packed), CAIRN_MSGPACK_DATA, &arena, &again, NULL,
                                 &err),
              &err);
    cairn_command_fingerprint(CAIRN_SLICE_LIT("account"), CAIRN_SLICE_LIT("1"),
                              CAIRN_SLICE_LIT("Open"), &again, two);
    assert_memory_equal(one, two, 16);
    cairn_buf_fini(&packed);
}

static void every_part_matters(void **state)
{
    (void)state;
    static const char *const OTHERS[][4] = {
        {"account", "2", "Open", "{\"a\":1}"},   {"wallet", "1", "Open", "{\"a\":1}"},
        {"account", "1", "Close", "{\"a\":1}"},  {"account", "1", "Open", "{\"a\":2}"},
        {"account", "1", "Open", "{\"b\":1}"},   {"account", "1O", "pen", "{\"a\":1}"},
        {"account1", "O", "pen", "{\"a\":1}"},   {"account", "1", "Open", "{\"a\":\"1\"}"},
        {"account", "1", "Open", "{\"a\":[1]}"},
    };
    unsigned char one[16];
    unsigned char two[16];
    print_of("account", "1", "Open", "{\"a\":1}", one);
    for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++) {
        print_of(OTHERS[i][0], OTHERS[i][1], OTHERS[i][2], OTHERS[i][3], two);
        assert_memory_not_equal(one, two, 16);
    }
}

/* It lies in logs: this value must never change. */
static void stays_the_same_for_ever(void **state)
{
    (void)state;
    unsigned char one[16];
    char text[33];
    print_of("account", "42", "Deposit", "{\"amount\":500,\"note\":\"r\\u00e9sum\\u00e9\"}", one);
    for (size_t i = 0; i < 16; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", one[i]);
    }
    assert_string_equal(text, "4ad61eed499214a851c5e3f0d1b3bdb0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(form_and_order_do_not_matter, reset),
        cmocka_unit_test_setup(every_part_matters, reset),
        cmocka_unit_test_setup(stays_the_same_for_ever, reset),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cairn_arena_fini(&arena);
    return failed;
}
