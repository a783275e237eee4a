#include "platform/seal.h"

#include <string.h>

#include "tests/support/cm.h"

#define ARENA_MAX ((size_t)1 << 20)

static void what_is_sealed_is_read_back(void **state)
{
    (void)state;
    char payload[CAIRN_SEAL_PAYLOAD_MAX];
    for (size_t i = 0; i < sizeof(payload); i++) {
        payload[i] = (char)(i * 37);
    }
    const size_t sizes[] = {1, 2, 3, 4, 5, 63, 64, 65, CAIRN_SEAL_PAYLOAD_MAX};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct cairn_arena arena = {.max = ARENA_MAX};
        struct cairn_slice text;
        struct cairn_slice found;
        struct cairn_slice given = cairn_slice_of(payload, sizes[i]);
        assert_int_equal(cairn_seal_write(7, given, &arena, &text), CAIRN_OK);
        assert_int_equal(cairn_seal_read(7, text, &arena, &found), CAIRN_OK);
        assert_true(cairn_slice_equal(found, given));
        cairn_arena_fini(&arena);
    }
}

static void a_text_of_something_else_is_refused(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = ARENA_MAX};
    struct cairn_slice text;
    struct cairn_slice found;
    assert_int_equal(cairn_seal_write(7, CAIRN_SLICE_LIT("place"), &arena, &text), CAIRN_OK);
    assert_int_equal(cairn_seal_read(8, text, &arena, &found), CAIRN_EMALFORMED);
    cairn_arena_fini(&arena);
}

/* Whatever is done to one character: the payload has that text and no other. */
static void no_change_of_a_character_goes_unnoticed(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = ARENA_MAX};
    struct cairn_slice text;
    struct cairn_slice found;
    char changed[64];
    assert_int_equal(cairn_seal_write(7, CAIRN_SLICE_LIT("a place"), &arena, &text), CAIRN_OK);
    assert_true(text.size <= sizeof(changed));
    for (size_t i = 0; i < text.size; i++) {
        for (int byte = 0; byte < 256; byte++) {
            memcpy(changed, text.data, text.size);
            changed[i] = (char)byte;
            if (changed[i] == text.data[i]) {
                continue;
            }
            assert_int_equal(cairn_seal_read(7, cairn_slice_of(changed, text.size), &arena, &found),
                             CAIRN_EMALFORMED);
        }
    }
    for (size_t size = 0; size < text.size; size++) {
        assert_int_equal(cairn_seal_read(7, cairn_slice_of(text.data, size), &arena, &found),
                         CAIRN_EMALFORMED);
    }
    cairn_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_is_read_back),
        cmocka_unit_test(a_text_of_something_else_is_refused),
        cmocka_unit_test(no_change_of_a_character_goes_unnoticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
