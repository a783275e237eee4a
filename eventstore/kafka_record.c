#include "eventstore/kafka_record.h"

#include <assert.h>

#include "eventstore/hex.h"
#include "eventstore/kafka_record_int.h"
#include "platform/json.h"
#include "schemas/msgpack.h"

enum { U64_DIGITS_MAX = 20, U16_DIGITS_MAX = 5 };

static_assert(CAIRN_KAFKA_HEADER_COUNT <= CAIRN_KAFKA_HEADERS_MAX,
              "a record has room for every header");

const struct cairn_slice cairn_kafka_header_names[CAIRN_KAFKA_HEADER_COUNT] = {
#define X(code, name) {name, sizeof(name) - 1},
    CAIRN_KAFKA_HEADER_TABLE(X)
#undef X
};

unsigned cairn_kafka_header_find(struct cairn_slice name, unsigned guess)
{
    assert(guess < CAIRN_KAFKA_HEADER_COUNT);
    for (unsigned i = 0; i < CAIRN_KAFKA_HEADER_COUNT; i++) {
        unsigned at = guess + i;
        at -= at < CAIRN_KAFKA_HEADER_COUNT ? 0 : CAIRN_KAFKA_HEADER_COUNT;
        if (cairn_slice_equal(cairn_kafka_header_names[at], name)) {
            return at;
        }
    }
    return CAIRN_KAFKA_HEADER_COUNT;
}

bool cairn_kafka_header_is_ours(struct cairn_slice name)
{
    return cairn_kafka_header_find(name, 0) < CAIRN_KAFKA_HEADER_COUNT;
}

/* Texts are written one behind the other into a single block of the arena. */
struct pen {
    char *at;
    const char *end;
};

static void put(struct pen *pen, struct cairn_slice text)
{
    assert(text.size <= (size_t)(pen->end - pen->at));
    memcpy(pen->at, text.data, text.size);
    pen->at += text.size;
}

static void put_number(struct pen *pen, uint64_t number)
{
    char digits[U64_DIGITS_MAX];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put(pen, cairn_slice_of(digits + at, sizeof(digits) - at));
}

static void add(struct cairn_kafka_record *record, enum cairn_kafka_header_code code,
                struct cairn_slice text)
{
    assert(record->header_count < CAIRN_KAFKA_HEADERS_MAX && text.size > 0);
    record->headers[record->header_count++] =
        (struct cairn_kafka_header){cairn_kafka_header_names[code], text};
}

static void add_some(struct cairn_kafka_record *record, enum cairn_kafka_header_code code,
                     struct cairn_slice text)
{
    if (text.size > 0) {
        add(record, code, text);
    }
}

/* What was written from start to the pen. */
static void add_written(struct cairn_kafka_record *record, enum cairn_kafka_header_code code,
                        const char *start, const struct pen *pen)
{
    add(record, code, cairn_slice_of(start, (size_t)(pen->at - start)));
}

static void add_number(struct cairn_kafka_record *record, enum cairn_kafka_header_code code,
                       uint64_t number, struct pen *pen)
{
    const char *start = pen->at;
    put_number(pen, number);
    add_written(record, code, start, pen);
}

/* What CloudEvents itself names. */
static void add_core(struct cairn_kafka_record *record, const struct cairn_event *event,
                     struct cairn_slice domain, bool json, struct pen *pen)
{
    const char *start = pen->at;
    add(record, CAIRN_KAFKA_HEADER_SPECVERSION, CAIRN_SLICE_LIT(CAIRN_KAFKA_SPECVERSION));
    cairn_uuid_format(&event->id, pen->at);
    pen->at += CAIRN_UUID_TEXT_SIZE;
    add_written(record, CAIRN_KAFKA_HEADER_ID, start, pen);
    add(record, CAIRN_KAFKA_HEADER_TYPE, event->type);
    start = pen->at;
    put(pen, CAIRN_SLICE_LIT("/"));
    put(pen, domain);
    put(pen, CAIRN_SLICE_LIT("/"));
    put(pen, cairn_stream_aggregate(event->stream));
    add_written(record, CAIRN_KAFKA_HEADER_SOURCE, start, pen);
    add(record, CAIRN_KAFKA_HEADER_SUBJECT, event->stream);
    start = pen->at;
    assert((size_t)(pen->end - pen->at) >= CAIRN_TIME_TEXT_MAX);
    pen->at += cairn_clock_format(event->time_us, pen->at);
    add_written(record, CAIRN_KAFKA_HEADER_TIME, start, pen);
    start = pen->at;
    put(pen, CAIRN_SLICE_LIT(CAIRN_KAFKA_SCHEMA_PATH));
    put(pen, event->type);
    put(pen, CAIRN_SLICE_LIT("/"));
    put_number(pen, event->schema_version);
    add_written(record, CAIRN_KAFKA_HEADER_DATASCHEMA, start, pen);
    add(record, CAIRN_KAFKA_HEADER_CONTENT_TYPE,
        json ? CAIRN_SLICE_LIT(CAIRN_KAFKA_TYPE_JSON) : CAIRN_SLICE_LIT(CAIRN_KAFKA_TYPE_MSGPACK));
}

static void add_extensions(struct cairn_kafka_record *record, const struct cairn_event *event,
                           struct pen *pen)
{
    add_number(record, CAIRN_KAFKA_HEADER_VERSION, event->version, pen);
    add_some(record, CAIRN_KAFKA_HEADER_CAUSATION, event->causation);
    add_some(record, CAIRN_KAFKA_HEADER_CORRELATION, event->correlation);
    add_some(record, CAIRN_KAFKA_HEADER_PRINCIPAL, event->principal);
    add_some(record, CAIRN_KAFKA_HEADER_TRACEPARENT, event->traceparent);
    add_number(record, CAIRN_KAFKA_HEADER_COMMAND_INDEX, event->index, pen);
    add_number(record, CAIRN_KAFKA_HEADER_COMMAND_COUNT, event->count, pen);
    if (event->key.size > 0) {
        const char *start = pen->at;
        add(record, CAIRN_KAFKA_HEADER_COMMAND_KEY, event->key);
        assert((size_t)(pen->end - pen->at) >= 2 * CAIRN_KAFKA_FINGERPRINT_BYTES);
        cairn_hex_write(event->fingerprint, CAIRN_KAFKA_FINGERPRINT_BYTES, pen->at);
        pen->at += 2 * CAIRN_KAFKA_FINGERPRINT_BYTES;
        add_written(record, CAIRN_KAFKA_HEADER_FINGERPRINT, start, pen);
    }
}

/* Upper bound of what the pen writes. */
static size_t texts_size(const struct cairn_event *event, struct cairn_slice domain)
{
    return CAIRN_UUID_TEXT_SIZE + CAIRN_TIME_TEXT_MAX + sizeof("//") + domain.size +
           event->stream.size + sizeof(CAIRN_KAFKA_SCHEMA_PATH "/") + event->type.size +
           U64_DIGITS_MAX + 3 * (size_t)U16_DIGITS_MAX + 2 * (size_t)CAIRN_KAFKA_FINGERPRINT_BYTES;
}

/* Why a reader would refuse the event; NULL when it would not. */
static const char *find_fault(const struct cairn_event *event)
{
    if (!cairn_stream_is_valid(event->stream) || !cairn_type_is_valid(event->type)) {
        return "its stream or type is none";
    }
    if (event->key.size > 0 && !cairn_key_is_valid(event->key)) {
        return "its key is none";
    }
    if (!cairn_kafka_is_meta(event->causation) || !cairn_kafka_is_meta(event->correlation) ||
        !cairn_kafka_is_meta(event->principal) || !cairn_kafka_is_meta(event->traceparent)) {
        return "a text is no UTF-8 or too long";
    }
    if (event->count > CAIRN_EVENTS_PER_COMMAND_MAX || event->schema_version == 0) {
        return "a number is out of range";
    }
    if (!cairn_kafka_is_data(event->data)) {
        return "its data is no map or too long";
    }
    return NULL;
}

/* msgpack -> JSON, in arena. */
static enum cairn_rc write_json(struct cairn_slice data, struct cairn_arena *arena,
                                struct cairn_slice *ret_text, struct cairn_err *err)
{
    struct cairn_value value;
    struct cairn_buf text = {.max = CAIRN_KAFKA_JSON_BYTES_MAX};
    enum cairn_rc rc = cairn_msgpack_read(data, CAIRN_MSGPACK_DATA, arena, &value, NULL, err);
    if (rc != CAIRN_OK) {
        return cairn_err_wrap(err, rc == CAIRN_ENOMEM ? rc : CAIRN_EINVAL, "the event's data");
    }
    rc = cairn_json_write(&value, &text);
    /* What the door of data lets in has a JSON form, and of at most that size. */
    assert(rc == CAIRN_OK || rc == CAIRN_ENOMEM);
    if (rc == CAIRN_OK) {
        rc = cairn_arena_copy(arena, cairn_buf_slice(&text), ret_text);
    }
    cairn_buf_fini(&text);
    return rc == CAIRN_OK ? rc : CAIRN_FAIL(err, rc, "no memory for an event as JSON");
}

enum cairn_rc cairn_kafka_record_write(const struct cairn_event *event, struct cairn_slice domain,
                                       bool json, struct cairn_arena *arena,
                                       struct cairn_kafka_record *ret_record, struct cairn_err *err)
{
    assert(event->index < event->count && event->index < event->version);
    assert(domain.size > 0 && cairn_utf8_is_valid(domain));
    const char *fault = find_fault(event);
    if (fault != NULL) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "the event cannot be a record: %s", fault);
    }
    struct cairn_slice value = event->data;
    if (json) {
        enum cairn_rc rc = write_json(event->data, arena, &value, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    size_t size = texts_size(event, domain);
    char *texts = cairn_arena_alloc(arena, size);
    if (texts == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for an event's headers");
    }
    struct pen pen = {texts, texts + size};
    ret_record->key = cairn_stream_id(event->stream);
    ret_record->value = value;
    ret_record->timestamp_ms = event->time_us < 0 ? 0 : event->time_us / 1000;
    ret_record->header_count = 0;
    add_core(ret_record, event, domain, json, &pen);
    add_extensions(ret_record, event, &pen);
    assert(pen.at <= pen.end);
    return CAIRN_OK;
}
