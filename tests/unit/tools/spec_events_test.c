#include "tools/spec_events.h"

#include <stdio.h>

#include "tests/support/cm.h"

enum { STREAMS = 3, EVENTS = 30 };

static void fill(struct cairn_event *events)
{
    static const char *const names[STREAMS] = {"account-a", "account-b", "account-c"};
    uint64_t versions[STREAMS] = {0};
    for (int i = 0; i < EVENTS; i++) {
        events[i] = (struct cairn_event){.stream = cairn_slice_str(names[i % STREAMS]),
                                         .version = ++versions[i % STREAMS],
                                         .offset = (uint64_t)i + 1};
    }
}

static void a_shuffle_keeps_each_streams_order(void **state)
{
    (void)state;
    struct cairn_event events[EVENTS];
    uint64_t seed = 42;
    bool moved = false;
    fill(events);
    assert_true(cairn_spec_events_shuffle(events, EVENTS, &seed));
    uint64_t versions[STREAMS] = {0};
    for (size_t i = 0; i < EVENTS; i++) {
        size_t stream = (size_t)(events[i].stream.data[events[i].stream.size - 1] - 'a');
        assert_int_equal(events[i].version, versions[stream] + 1);
        versions[stream] = events[i].version;
        assert_int_equal(events[i].offset, i + 1);
        moved = moved || stream != i % STREAMS;
    }
    assert_true(moved);
}

static void one_stream_has_one_order(void **state)
{
    (void)state;
    struct cairn_event events[2] = {{.stream = CAIRN_SLICE_LIT("account-a"), .version = 1},
                                    {.stream = CAIRN_SLICE_LIT("account-a"), .version = 2}};
    uint64_t seed = 42;
    assert_false(cairn_spec_events_shuffle(events, 2, &seed));
    assert_int_equal(events[0].version, 1);
}

static void packed_events_are_numbered_and_hold_their_data(void **state)
{
    (void)state;
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_err err = {.rc = CAIRN_OK};
    struct cairn_event *events = NULL;
    struct cairn_value data = {.type = CAIRN_MAP};
    struct cairn_spec_event given[2] = {{.stream = CAIRN_SLICE_LIT("account-1"),
                                         .type = CAIRN_SLICE_LIT("Opened"),
                                         .data = data,
                                         .version = 1},
                                        {.stream = CAIRN_SLICE_LIT("account-1"),
                                         .type = CAIRN_SLICE_LIT("Closed"),
                                         .data = data,
                                         .version = 2}};
    assert_ok(cairn_spec_events_pack(given, 2, &arena, &events, &err), &err);
    assert_int_equal(events[1].offset, 2);
    assert_true(cairn_event_is_last(&events[0]));
    assert_int_equal(events[0].data.size, 1);
    assert_int_equal((unsigned char)events[0].data.data[0], 0x80);
    assert_memory_not_equal(events[0].id.bytes, events[1].id.bytes, 16);
    cairn_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shuffle_keeps_each_streams_order),
        cmocka_unit_test(one_stream_has_one_order),
        cmocka_unit_test(packed_events_are_numbered_and_hold_their_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
