/* Two events for tests of Kafka records: one with everything, one with no more than it must have.
 */
#ifndef CAIRN_TESTS_SUPPORT_KAFKA_EVENT_H
#define CAIRN_TESTS_SUPPORT_KAFKA_EVENT_H

#include "schemas/event.h"

#include "tests/support/cm.h"

static inline struct cairn_event test_event_full(void)
{
    struct cairn_event event = {
        .id = {{0x01, 0x8c, 0xc2, 0x51, 0xf4, 0x00, 0x7a, 0xbc, 0x8d, 0xef, 0x01, 0x23, 0x45, 0x67,
                0x89, 0xab}},
        .stream = CAIRN_SLICE_LIT("account-42-a"),
        .type = CAIRN_SLICE_LIT("Deposited"),
        .version = 18,
        .time_us = 1700000000123456,
        .schema_version = 2,
        .index = 1,
        .count = 3,
        .data = CAIRN_SLICE_LIT("\x82\xa6"
                                "amount\x2a\xa4"
                                "note\xa3"
                                "a\xc3\xa4"),
        .key = CAIRN_SLICE_LIT("line 17 \xc3\xa4"),
        .causation = CAIRN_SLICE_LIT("request-1"),
        .correlation = CAIRN_SLICE_LIT("order 7"),
        .principal = CAIRN_SLICE_LIT("ann@example.org"),
        .traceparent = CAIRN_SLICE_LIT("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    };
    for (unsigned char i = 0; i < sizeof(event.fingerprint); i++) {
        event.fingerprint[i] = (unsigned char)(0xf0 + i);
    }
    return event;
}

static inline struct cairn_event test_event_bare(void)
{
    return (struct cairn_event){.id = {{0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 1}},
                                .stream = CAIRN_SLICE_LIT("account-7"),
                                .type = CAIRN_SLICE_LIT("Opened"),
                                .version = 1,
                                .time_us = 0,
                                .schema_version = 1,
                                .index = 0,
                                .count = 1,
                                .data = CAIRN_SLICE_LIT("\x80")};
}

/* All that a record holds. */
static inline void assert_same_event(const struct cairn_event *a, const struct cairn_event *b)
{
    assert_memory_equal(a->id.bytes, b->id.bytes, sizeof(a->id.bytes));
    assert_true(cairn_slice_equal(a->stream, b->stream));
    assert_true(cairn_slice_equal(a->type, b->type));
    assert_true(a->version == b->version);
    assert_true(a->time_us == b->time_us);
    assert_int_equal(a->schema_version, b->schema_version);
    assert_int_equal(a->index, b->index);
    assert_int_equal(a->count, b->count);
    assert_true(cairn_slice_equal(a->data, b->data));
    assert_true(cairn_slice_equal(a->key, b->key));
    assert_memory_equal(a->fingerprint, b->fingerprint, sizeof(a->fingerprint));
    assert_true(cairn_slice_equal(a->causation, b->causation));
    assert_true(cairn_slice_equal(a->correlation, b->correlation));
    assert_true(cairn_slice_equal(a->principal, b->principal));
    assert_true(cairn_slice_equal(a->traceparent, b->traceparent));
}

#endif
