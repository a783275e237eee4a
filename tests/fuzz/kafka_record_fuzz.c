/* Whatever lies in a topic, reading it is an answer: an event or no event of ours. What reads is
 * within all limits, and writes to a record that reads the same, in both content types.
 *
 * The input: a line with the key, a line "name=value" for each header, an empty line, the value. */
#include "eventstore/kafka_record.h"

#include "tests/fuzz/fuzz.h"

#define BANK    CAIRN_SLICE_LIT("bank")
#define ACCOUNT CAIRN_SLICE_LIT("account")

enum { ARENA_MAX = 64 * 1024 * 1024 };

/* The first line of rest, which is cut behind it. */
static struct cairn_slice take_line(struct cairn_slice *rest)
{
    size_t end = cairn_slice_find(*rest, '\n');
    struct cairn_slice line = cairn_slice_of(rest->data, end);
    size_t cut = end < rest->size ? end + 1 : end;
    *rest = cairn_slice_of(rest->data + cut, rest->size - cut);
    return line;
}

static struct cairn_kafka_record take_record(struct cairn_slice input)
{
    struct cairn_kafka_record record = {.key = take_line(&input)};
    while (record.header_count < CAIRN_KAFKA_HEADERS_MAX) {
        struct cairn_slice line = take_line(&input);
        if (line.size == 0) {
            break;
        }
        size_t sign = cairn_slice_find(line, '=');
        size_t cut = sign < line.size ? sign + 1 : sign;
        record.headers[record.header_count++] = (struct cairn_kafka_header){
            cairn_slice_of(line.data, sign), cairn_slice_of(line.data + cut, line.size - cut)};
    }
    record.value = input;
    return record;
}

static void check_limits(const struct cairn_event *event)
{
    static const unsigned char zero[sizeof(event->fingerprint)];
    assert(cairn_stream_is_valid(event->stream) && cairn_type_is_valid(event->type));
    assert(event->key.size == 0 || cairn_key_is_valid(event->key));
    assert(event->key.size > 0 || memcmp(event->fingerprint, zero, sizeof(zero)) == 0);
    assert(event->index < event->count && event->index < event->version);
    assert(event->count <= CAIRN_EVENTS_PER_COMMAND_MAX && event->schema_version > 0);
    assert(event->data.size > 0 && event->data.size <= CAIRN_EVENT_DATA_BYTES_MAX);
    assert(event->causation.size <= CAIRN_META_BYTES_MAX);
    assert(event->correlation.size <= CAIRN_META_BYTES_MAX);
    assert(event->principal.size <= CAIRN_META_BYTES_MAX);
    assert(event->traceparent.size <= CAIRN_META_BYTES_MAX);
}

static void check_same(const struct cairn_event *a, const struct cairn_event *b)
{
    assert(memcmp(a->id.bytes, b->id.bytes, sizeof(a->id.bytes)) == 0);
    assert(memcmp(a->fingerprint, b->fingerprint, sizeof(a->fingerprint)) == 0);
    assert(cairn_slice_equal(a->stream, b->stream) && cairn_slice_equal(a->type, b->type));
    assert(a->version == b->version && a->time_us == b->time_us);
    assert(a->schema_version == b->schema_version);
    assert(a->index == b->index && a->count == b->count);
    assert(cairn_slice_equal(a->key, b->key));
    assert(cairn_slice_equal(a->causation, b->causation));
    assert(cairn_slice_equal(a->correlation, b->correlation));
    assert(cairn_slice_equal(a->principal, b->principal));
    assert(cairn_slice_equal(a->traceparent, b->traceparent));
}

/* Write and read again; false where data has no JSON form: msgpack whose inside is damaged. */
static bool trip(const struct cairn_event *event, bool json, struct cairn_arena *arena,
                 struct cairn_event *ret_again)
{
    struct cairn_err err;
    struct cairn_kafka_record record;
    enum cairn_rc rc = cairn_kafka_record_write(event, BANK, json, arena, &record, &err);
    assert(rc == CAIRN_OK || (json && rc == CAIRN_EINVAL));
    if (rc != CAIRN_OK) {
        return false;
    }
    rc = cairn_kafka_record_read(&record, BANK, ACCOUNT, arena, ret_again, &err);
    assert(rc == CAIRN_OK);
    check_limits(ret_again);
    check_same(event, ret_again);
    return true;
}

/* msgpack stays as it is. JSON brings it back in its shortest encoding, which then stays, too. */
static void round_trips(const struct cairn_event *event, struct cairn_arena *arena)
{
    struct cairn_event again;
    struct cairn_event once;
    bool good = trip(event, false, arena, &again);
    assert(good && cairn_slice_equal(event->data, again.data));
    if (trip(event, true, arena, &once)) {
        good = trip(&once, true, arena, &again);
        assert(good && cairn_slice_equal(once.data, again.data));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_arena arena = {.max = ARENA_MAX};
    struct cairn_err err;
    struct cairn_event event;
    struct cairn_kafka_record record = take_record(cairn_slice_of((const char *)data, size));
    enum cairn_rc rc = cairn_kafka_record_read(&record, BANK, ACCOUNT, &arena, &event, &err);
    assert(rc == CAIRN_OK || (rc == CAIRN_ECORRUPT && err.text[0] != '\0'));
    if (rc == CAIRN_OK) {
        check_limits(&event);
        round_trips(&event, &arena);
    }
    cairn_arena_fini(&arena);
    return 0;
}
