#include "projector/lmdb/view_key.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "projector/view_read.h"
#include "tests/support/value_order.h"

#include "tests/support/cm.h"

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static struct cairn_value random_number(uint64_t *seed)
{
    static const int64_t edges[] = {0,
                                    1,
                                    -1,
                                    INT64_MAX,
                                    INT64_MIN,
                                    (INT64_C(1) << 53),
                                    (INT64_C(1) << 53) + 1,
                                    -(INT64_C(1) << 53) - 1,
                                    (INT64_C(1) << 62) + 511};
    uint64_t random = next_random(seed);
    switch (next_random(seed) % 6) {
    case 0:
        return cairn_value_int(edges[random % (sizeof edges / sizeof edges[0])]);
    case 1:
        return cairn_value_int((int64_t)random);
    case 2:
        return cairn_value_uint(random);
    case 3:
        return cairn_value_float((double)(int64_t)random);
    case 4:
        return cairn_value_int((int64_t)(random % 100) - 50);
    default: {
        double number;
        memcpy(&number, &random, sizeof number);
        return cairn_value_float(isfinite(number) ? number : -0.0);
    }
    }
}

static struct cairn_value random_text(uint64_t *seed, char *space)
{
    static const char bytes[] = {0, 1, 'a', 'b', (char)0xC3};
    size_t size = next_random(seed) % 4 == 0 ? 100 + next_random(seed) % 12 : next_random(seed) % 5;
    bool plain = next_random(seed) % 2 == 0;
    for (size_t i = 0; i < size; i++) {
        space[i] = plain ? 'a' : bytes[next_random(seed) % sizeof bytes];
    }
    return cairn_value_string(cairn_slice_of(space, size));
}

static struct cairn_value random_value(uint64_t *seed, char *space)
{
    switch (next_random(seed) % 8) {
    case 0:
        return cairn_value_bool(next_random(seed) % 2 == 0);
    case 1:
        return cairn_value_null();
    case 2:
        return (struct cairn_value){.type = CAIRN_ARRAY};
    case 3:
    case 4:
    case 5:
        return random_number(seed);
    default:
        return random_text(seed, space);
    }
}

static int sign(int number)
{
    return (number > 0) - (number < 0);
}

static void forms_order_as_values_do(void **state)
{
    uint64_t seed = 88172645463325252u;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 400000; i++) {
        char left_space[128];
        char right_space[128];
        struct cairn_view_form left_form;
        struct cairn_view_form right_form;
        struct cairn_value left = random_value(&seed, left_space);
        struct cairn_value right = random_value(&seed, right_space);
        cairn_view_form_of(&left, &left_form);
        cairn_view_form_of(&right, &right_form);
        int wanted = value_order(&left, &right);
        int got = sign(cairn_slice_compare(cairn_view_form_slice(&left_form),
                                           cairn_view_form_slice(&right_form)));
        if (got != wanted && !(left_form.cut && right_form.cut && got == 0)) {
            fail_msg("pair %d: types %d and %d, wanted %d, got %d", i, (int)left.type,
                     (int)right.type, wanted, got);
        }
    }
}

static void equal_numbers_of_any_kind_have_one_form(void **state)
{
    const struct cairn_value same[][2] = {
        {cairn_value_int(1), cairn_value_float(1.0)},
        {cairn_value_float(0.0), cairn_value_float(-0.0)},
        {cairn_value_int(0), cairn_value_float(-0.0)},
        {cairn_value_int(INT64_MIN), cairn_value_float(-9223372036854775808.0)},
        {cairn_value_uint(UINT64_C(1) << 63), cairn_value_float(9223372036854775808.0)},
    };
    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        struct cairn_view_form left;
        struct cairn_view_form right;
        cairn_view_form_of(&same[i][0], &left);
        cairn_view_form_of(&same[i][1], &right);
        assert_int_equal(left.size, right.size);
        assert_memory_equal(left.bytes, right.bytes, left.size);
    }
}

static void an_entry_splits_into_what_made_it(void **state)
{
    uint64_t seed = 2463534242u;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 50000; i++) {
        char space[128];
        char key_space[CAIRN_VIEW_KEY_BYTES_MAX];
        struct cairn_view_form form;
        struct cairn_view_entry entry;
        struct cairn_slice got_form;
        struct cairn_slice got_key;
        struct cairn_err err;
        struct cairn_value value = random_value(&seed, space);
        size_t size = 1 + next_random(&seed) % CAIRN_VIEW_KEY_BYTES_MAX;
        for (size_t j = 0; j < size; j++) {
            key_space[j] = (char)next_random(&seed);
        }
        struct cairn_slice key = cairn_slice_of(key_space, size);
        cairn_view_form_of(&value, &form);
        cairn_view_entry_of((unsigned)i % CAIRN_VIEW_INDEXES_MAX, cairn_view_form_slice(&form), key,
                            &entry);
        assert_true(entry.size <= 511);
        assert_ok(cairn_view_entry_split(cairn_view_entry_slice(&entry), &got_form, &got_key, &err),
                  &err);
        assert_true(cairn_slice_equal(got_form, cairn_view_form_slice(&form)));
        assert_true(cairn_slice_equal(got_key, key));
    }
}

static void a_damaged_entry_is_corrupt(void **state)
{
    static const struct cairn_slice bad[] = {
        {"", 0}, {"\1", 1}, {"\1\x10", 2}, {"\1\x99k", 3}, {"\1\x30zz", 4}, {"\1\x20\1\2\3", 5},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cairn_slice form;
        struct cairn_slice key;
        struct cairn_err err;
        assert_int_equal(cairn_view_entry_split(bad[i], &form, &key, &err), CAIRN_ECORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_order_as_values_do),
        cmocka_unit_test(equal_numbers_of_any_kind_have_one_form),
        cmocka_unit_test(an_entry_splits_into_what_made_it),
        cmocka_unit_test(a_damaged_entry_is_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
