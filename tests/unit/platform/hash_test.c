#include "platform/hash.h"

#include "tests/support/cm.h"

/* The vectors are those of Kafka's own test of Utils.murmur2. */
static void murmur2_equals_kafkas_java_client(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int32_t java;
    } vectors[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        uint32_t wanted = (uint32_t)vectors[i].java & 0x7fffffffu;
        assert_int_equal(cairn_hash_murmur2(cairn_slice_str(vectors[i].key)), wanted);
    }
}

static void murmur2_of_bytes_above_127_reads_them_unsigned(void **state)
{
    (void)state;
    /* Every tail length with high bytes: sign extension would smear them over the word. */
    uint32_t one = cairn_hash_murmur2(cairn_slice_of("\xff", 1));
    uint32_t two = cairn_hash_murmur2(cairn_slice_of("\xff\xfe", 2));
    uint32_t three = cairn_hash_murmur2(cairn_slice_of("\xff\xfe\xfd", 3));
    assert_true(one <= INT32_MAX && two <= INT32_MAX && three <= INT32_MAX);
    assert_int_not_equal(one, two);
    assert_int_not_equal(two, three);
}

/* These are on disk in every checksum: they must never change. */
static void xxh3_values_are_those_of_the_published_algorithm(void **state)
{
    (void)state;
    assert_true(cairn_hash64(CAIRN_SLICE_NONE) == UINT64_C(0x2d06800538d394c2));
    unsigned char hash[16];
    cairn_hash128(CAIRN_SLICE_NONE, hash);
    static const unsigned char wanted[16] = {0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47, 0x98, 0xd8,
                                             0x60, 0x01, 0xc3, 0x24, 0x46, 0x8d, 0x49, 0x7f};
    assert_memory_equal(hash, wanted, 16);
}

static void one_flipped_bit_changes_the_checksum(void **state)
{
    (void)state;
    char text[300];
    memset(text, 'x', sizeof(text));
    uint64_t before = cairn_hash64(cairn_slice_of(text, sizeof(text)));
    for (size_t bit = 0; bit < sizeof(text) * 8; bit++) {
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << (bit % 8)));
        assert_true(cairn_hash64(cairn_slice_of(text, sizeof(text))) != before);
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << (bit % 8)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(murmur2_equals_kafkas_java_client),
        cmocka_unit_test(murmur2_of_bytes_above_127_reads_them_unsigned),
        cmocka_unit_test(xxh3_values_are_those_of_the_published_algorithm),
        cmocka_unit_test(one_flipped_bit_changes_the_checksum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
