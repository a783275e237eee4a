#include "platform/utf8.h"

#include "tests/support/cm.h"

/* Whether bytes are valid UTF-8 by decoding every sequence and looking at the scalar: slow, and
 * written another way than the code under test. Returns the valid prefix. */
static size_t slow_prefix(const unsigned char *bytes, size_t size)
{
    size_t at = 0;
    while (at < size) {
        unsigned lead = bytes[at];
        size_t length = lead < 0x80       ? 1
                        : lead >> 5 == 6  ? 2
                        : lead >> 4 == 14 ? 3
                        : lead >> 3 == 30 ? 4
                                          : 0;
        if (length == 0 || length > size - at) {
            return at;
        }
        uint32_t scalar = length == 1 ? lead : lead & (0x7fu >> length);
        for (size_t i = 1; i < length; i++) {
            if ((bytes[at + i] & 0xc0) != 0x80) {
                return at;
            }
            scalar = scalar << 6 | (bytes[at + i] & 0x3fu);
        }
        char again[4];
        if (cairn_utf8_encode(scalar, again) != length) {
            return at;
        }
        at += length;
    }
    return at;
}

static void every_scalar_survives_encoding_and_is_valid(void **state)
{
    (void)state;
    for (uint32_t scalar = 0; scalar <= 0x10ffff; scalar++) {
        char out[4];
        size_t size = cairn_utf8_encode(scalar, out);
        if (scalar >= 0xd800 && scalar <= 0xdfff) {
            assert_int_equal(size, 0);
            continue;
        }
        assert_int_equal(size, scalar < 0x80 ? 1 : scalar < 0x800 ? 2 : scalar < 0x10000 ? 3 : 4);
        assert_true(cairn_utf8_is_valid(cairn_slice_of(out, size)));
        assert_int_equal(cairn_utf8_count(cairn_slice_of(out, size)), 1);
    }
    char out[4];
    assert_int_equal(cairn_utf8_encode(0x110000, out), 0);
    assert_int_equal(cairn_utf8_encode(UINT32_MAX, out), 0);
}

static void all_sequences_of_three_bytes_agree_with_a_slow_decoder(void **state)
{
    (void)state;
    unsigned char bytes[3];
    for (unsigned all = 0; all < 1u << 24; all += 1 + (all & 1)) {
        bytes[0] = (unsigned char)(all >> 16);
        bytes[1] = (unsigned char)(all >> 8);
        bytes[2] = (unsigned char)all;
        size_t got = cairn_utf8_valid_prefix(cairn_slice_of((const char *)bytes, 3));
        if (got != slow_prefix(bytes, 3)) {
            fail_msg("%02x %02x %02x: %zu", bytes[0], bytes[1], bytes[2], got);
        }
    }
}

static void four_byte_sequences_agree_with_a_slow_decoder(void **state)
{
    (void)state;
    static const unsigned char edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90,
                                          0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    enum { EDGES = sizeof(edges) };
    for (unsigned lead = 0xe0; lead <= 0xff; lead++) {
        for (unsigned i = 0; i < EDGES * EDGES * EDGES; i++) {
            unsigned char bytes[4] = {(unsigned char)lead, edges[i % EDGES],
                                      edges[i / EDGES % EDGES], edges[i / EDGES / EDGES]};
            size_t got = cairn_utf8_valid_prefix(cairn_slice_of((const char *)bytes, 4));
            assert_int_equal(got, slow_prefix(bytes, 4));
        }
    }
}

static void a_fault_is_found_at_every_offset(void **state)
{
    (void)state;
    char text[64];
    for (size_t size = 1; size <= sizeof(text); size++) {
        for (size_t at = 0; at < size; at++) {
            memset(text, 'a', sizeof(text));
            text[at] = (char)0xff;
            assert_int_equal(cairn_utf8_valid_prefix(cairn_slice_of(text, size)), at);
        }
    }
}

static void a_cut_sequence_ends_the_prefix_before_it(void **state)
{
    (void)state;
    assert_int_equal(cairn_utf8_valid_prefix(cairn_slice_of("abc\xe2\x82", 5)), 3);
    assert_int_equal(cairn_utf8_valid_prefix(cairn_slice_of("\xf0\x9f\x98", 3)), 0);
    assert_int_equal(cairn_utf8_valid_prefix(CAIRN_SLICE_NONE), 0);
    assert_true(cairn_utf8_is_valid(CAIRN_SLICE_NONE));
}

static void code_points_are_counted_not_bytes(void **state)
{
    (void)state;
    assert_int_equal(cairn_utf8_count(CAIRN_SLICE_LIT("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")), 4);
    assert_int_equal(cairn_utf8_count(CAIRN_SLICE_NONE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_scalar_survives_encoding_and_is_valid),
        cmocka_unit_test(all_sequences_of_three_bytes_agree_with_a_slow_decoder),
        cmocka_unit_test(four_byte_sequences_agree_with_a_slow_decoder),
        cmocka_unit_test(a_fault_is_found_at_every_offset),
        cmocka_unit_test(a_cut_sequence_ends_the_prefix_before_it),
        cmocka_unit_test(code_points_are_counted_not_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
