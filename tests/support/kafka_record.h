/* Records of the bank's accounts, written and read in tests. */
#ifndef CAIRN_TESTS_SUPPORT_KAFKA_RECORD_H
#define CAIRN_TESTS_SUPPORT_KAFKA_RECORD_H

#include "eventstore/kafka_record.h"
#include "tests/support/kafka_event.h"

#define BANK    CAIRN_SLICE_LIT("bank")
#define ACCOUNT CAIRN_SLICE_LIT("account")

enum { TEST_ARENA_MAX = 64 * 1024 * 1024 };

static inline struct cairn_kafka_record test_record_of(const struct cairn_event *event, bool json,
                                                       struct cairn_arena *arena)
{
    struct cairn_err err;
    struct cairn_kafka_record record;
    assert_ok(cairn_kafka_record_write(event, BANK, json, arena, &record, &err), &err);
    return record;
}

/* Reads a record that must be refused; nothing may be put out. what: stands in the error's text. */
static inline void assert_record_refused(const struct cairn_kafka_record *record, const char *what)
{
    struct cairn_err err;
    struct cairn_arena arena = {.max = TEST_ARENA_MAX};
    struct cairn_event event = {.version = 4711};
    enum cairn_rc rc = cairn_kafka_record_read(record, BANK, ACCOUNT, &arena, &event, &err);
    if (rc != CAIRN_ECORRUPT || strstr(err.text, what) == NULL) {
        fail_msg("wanted '%s': %s", what, rc == CAIRN_OK ? "it was read" : err.text);
    }
    assert_true(event.version == 4711 && event.stream.data == NULL);
    cairn_arena_fini(&arena);
}

static inline struct cairn_event test_event_of(const struct cairn_kafka_record *record,
                                               struct cairn_arena *arena)
{
    struct cairn_err err;
    struct cairn_event event;
    assert_ok(cairn_kafka_record_read(record, BANK, ACCOUNT, arena, &event, &err), &err);
    return event;
}

/* A map of one string, {"a": bytes...}, of `size` bytes in all; size > 65540. */
static inline struct cairn_slice test_data_of_text(size_t size, char byte,
                                                   struct cairn_arena *arena)
{
    char *bytes = cairn_arena_alloc(arena, size);
    assert_non_null(bytes);
    size_t left = size - 8;
    memset(bytes, byte, size);
    memcpy(bytes,
           "\x81\xa1"
           "a\xdb",
           4);
    for (int i = 0; i < 4; i++) {
        bytes[4 + i] = (char)(unsigned char)(left >> (24 - 8 * i) & 0xff);
    }
    return cairn_slice_of(bytes, size);
}

#endif
