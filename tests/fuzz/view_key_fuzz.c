/* The forms of two values order as the values do, and an index entry splits into what made it. The
 * input is two msgpack values, one behind the other; any bytes are tried as an entry, too. */
#include "projector/lmdb/view_key.h"

#include <assert.h>

#include "schemas/msgpack.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/value_order.h"

static int sign(int number)
{
    return (number > 0) - (number < 0);
}

static void check_order(const struct cairn_value *a, const struct cairn_value *b)
{
    struct cairn_view_form forms[2];
    cairn_view_form_of(a, &forms[0]);
    cairn_view_form_of(b, &forms[1]);
    int got = sign(
        cairn_slice_compare(cairn_view_form_slice(&forms[0]), cairn_view_form_slice(&forms[1])));
    assert(got == value_order(a, b) || (got == 0 && forms[0].cut && forms[1].cut));
}

static void check_entry(struct cairn_slice entry)
{
    struct cairn_slice form;
    struct cairn_slice key;
    struct cairn_view_entry again;
    struct cairn_err err;
    if (entry.size > 0 && (unsigned char)entry.data[0] < 16 &&
        cairn_view_entry_split(entry, &form, &key, &err) == CAIRN_OK) {
        cairn_view_entry_of((unsigned char)entry.data[0], form, key, &again);
        assert(cairn_slice_equal(cairn_view_entry_slice(&again), entry));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_slice input = cairn_slice_of((const char *)data, size);
    struct cairn_arena arena = {.max = 1u << 22};
    check_entry(input);
    for (size_t cut = 1; cut < size && cut < 256; cut++) {
        struct cairn_value values[2];
        struct cairn_slice left = cairn_slice_of(input.data, cut);
        struct cairn_slice right = cairn_slice_of(input.data + cut, size - cut);
        if (cairn_msgpack_read(left, CAIRN_MSGPACK_DATA, &arena, &values[0], NULL, NULL) ==
                CAIRN_OK &&
            cairn_msgpack_read(right, CAIRN_MSGPACK_DATA, &arena, &values[1], NULL, NULL) ==
                CAIRN_OK) {
            check_order(&values[0], &values[1]);
        }
        cairn_arena_reset(&arena);
    }
    cairn_arena_fini(&arena);
    return 0;
}
