#include "eventstore/kafka_record.h"

#include <assert.h>

#include "eventstore/hex.h"
#include "platform/json.h"
#include "platform/utf8.h"
#include "schemas/msgpack.h"

#define SPECVERSION  "1.0"
#define TYPE_MSGPACK "application/msgpack"
#define TYPE_JSON    "application/json"
#define SCHEMA_PATH  "/schemas/events/"

enum { FINGERPRINT_BYTES = 16, U64_DIGITS_MAX = 20, U16_DIGITS_MAX = 5 };

/* A record on its way to an event. */
struct reading {
    struct cairn_slice domain;
    struct cairn_slice aggregate;
    struct cairn_slice key; /* of the record */
    struct cairn_event event;
    bool json;
};

/* Takes a header's text; false when it is none that a header of this name can have. */
typedef bool read_fn(struct reading *reading, struct cairn_slice text);

static read_fn read_specversion, read_id, read_type, read_source, read_subject, read_time,
    read_dataschema, read_content_type, read_version, read_causation, read_correlation,
    read_principal, read_traceparent, read_index, read_count, read_command_key, read_fingerprint;

/* code, name, required, reader, what its text must be */
#define HEADER_TABLE(X)                                                                            \
    X(SPECVERSION, "ce_specversion", true, read_specversion, "be " SPECVERSION)                    \
    X(ID, "ce_id", true, read_id, "be a UUID")                                                     \
    X(TYPE, "ce_type", true, read_type, "be an event's type")                                      \
    X(SOURCE, "ce_source", true, read_source, "be /<domain>/<aggregate> of the topic")             \
    X(SUBJECT, "ce_subject", true, read_subject, "be <aggregate>-<id>, the id being the key")      \
    X(TIME, "ce_time", true, read_time, "be a time of RFC 3339")                                   \
    X(DATASCHEMA, "ce_dataschema", true, read_dataschema, "be " SCHEMA_PATH "<ce_type>/<number>")  \
    X(CONTENT_TYPE, "content-type", true, read_content_type, "be " TYPE_MSGPACK " or " TYPE_JSON)  \
    X(VERSION, "ce_streamversion", true, read_version, "be a number from 1")                       \
    X(CAUSATION, "ce_causationid", false, read_causation, "be UTF-8, 1..1024 bytes")               \
    X(CORRELATION, "ce_correlationid", false, read_correlation, "be UTF-8, 1..1024 bytes")         \
    X(PRINCIPAL, "ce_principal", false, read_principal, "be UTF-8, 1..1024 bytes")                 \
    X(TRACEPARENT, "traceparent", false, read_traceparent, "be UTF-8, 1..1024 bytes")              \
    X(COMMAND_INDEX, "ce_commandindex", true, read_index, "be a number below ce_streamversion")    \
    X(COMMAND_COUNT, "ce_commandcount", true, read_count,                                          \
      "be a number above ce_commandindex, to 1000")                                                \
    X(COMMAND_KEY, "ce_commandkey", false, read_command_key, "be an Idempotency-Key")              \
    X(FINGERPRINT, "ce_commandfingerprint", false, read_fingerprint,                               \
      "be 32 hexadecimal digits beside a ce_commandkey")

enum header {
#define X(code, name, required, read, form) HEADER_##code,
    HEADER_TABLE(X)
#undef X
        HEADER_COUNT
};

static const struct {
    struct cairn_slice name;
    bool required;
    read_fn *read;
    const char *form;
} headers[HEADER_COUNT] = {
#define X(code, name, required, read, form) {{name, sizeof(name) - 1}, required, read, form},
    HEADER_TABLE(X)
#undef X
};

static_assert(HEADER_COUNT <= CAIRN_KAFKA_HEADERS_MAX, "a record has room for every header");
static_assert(HEADER_TYPE < HEADER_DATASCHEMA && HEADER_VERSION < HEADER_COMMAND_INDEX &&
                  HEADER_COMMAND_INDEX < HEADER_COMMAND_COUNT &&
                  HEADER_COMMAND_KEY < HEADER_FINGERPRINT,
              "what a reader compares with was read before");
static_assert(CAIRN_META_BYTES_MAX == 1024 && CAIRN_EVENTS_PER_COMMAND_MAX == 1000,
              "the forms above name the limits");

/* The header of that name, tried from `guess` on, where it stands in what we wrote ourselves;
 * HEADER_COUNT when it is not ours. */
static unsigned find_header(struct cairn_slice name, unsigned guess)
{
    for (unsigned i = 0; i < HEADER_COUNT; i++) {
        unsigned at = guess + i < HEADER_COUNT ? guess + i : guess + i - HEADER_COUNT;
        if (cairn_slice_equal(headers[at].name, name)) {
            return at;
        }
    }
    return HEADER_COUNT;
}

bool cairn_kafka_header_is_ours(struct cairn_slice name)
{
    return find_header(name, 0) < HEADER_COUNT;
}

/* --- writing --- */

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

static void add(struct cairn_kafka_record *record, enum header header, struct cairn_slice text)
{
    assert(record->header_count < CAIRN_KAFKA_HEADERS_MAX && text.size > 0);
    record->headers[record->header_count++] =
        (struct cairn_kafka_header){headers[header].name, text};
}

static void add_some(struct cairn_kafka_record *record, enum header header, struct cairn_slice text)
{
    if (text.size > 0) {
        add(record, header, text);
    }
}

/* What was written from start to the pen. */
static void add_written(struct cairn_kafka_record *record, enum header header, const char *start,
                        const struct pen *pen)
{
    add(record, header, cairn_slice_of(start, (size_t)(pen->at - start)));
}

static void add_number(struct cairn_kafka_record *record, enum header header, uint64_t number,
                       struct pen *pen)
{
    const char *start = pen->at;
    put_number(pen, number);
    add_written(record, header, start, pen);
}

/* What CloudEvents itself names. */
static void add_core(struct cairn_kafka_record *record, const struct cairn_event *event,
                     struct cairn_slice domain, bool json, struct pen *pen)
{
    const char *start = pen->at;
    add(record, HEADER_SPECVERSION, CAIRN_SLICE_LIT(SPECVERSION));
    cairn_uuid_format(&event->id, pen->at);
    pen->at += CAIRN_UUID_TEXT_SIZE;
    add_written(record, HEADER_ID, start, pen);
    add(record, HEADER_TYPE, event->type);
    start = pen->at;
    put(pen, CAIRN_SLICE_LIT("/"));
    put(pen, domain);
    put(pen, CAIRN_SLICE_LIT("/"));
    put(pen, cairn_stream_aggregate(event->stream));
    add_written(record, HEADER_SOURCE, start, pen);
    add(record, HEADER_SUBJECT, event->stream);
    start = pen->at;
    assert((size_t)(pen->end - pen->at) >= CAIRN_TIME_TEXT_MAX);
    pen->at += cairn_clock_format(event->time_us, pen->at);
    add_written(record, HEADER_TIME, start, pen);
    start = pen->at;
    put(pen, CAIRN_SLICE_LIT(SCHEMA_PATH));
    put(pen, event->type);
    put(pen, CAIRN_SLICE_LIT("/"));
    put_number(pen, event->schema_version);
    add_written(record, HEADER_DATASCHEMA, start, pen);
    add(record, HEADER_CONTENT_TYPE,
        json ? CAIRN_SLICE_LIT(TYPE_JSON) : CAIRN_SLICE_LIT(TYPE_MSGPACK));
}

static void add_extensions(struct cairn_kafka_record *record, const struct cairn_event *event,
                           struct pen *pen)
{
    add_number(record, HEADER_VERSION, event->version, pen);
    add_some(record, HEADER_CAUSATION, event->causation);
    add_some(record, HEADER_CORRELATION, event->correlation);
    add_some(record, HEADER_PRINCIPAL, event->principal);
    add_some(record, HEADER_TRACEPARENT, event->traceparent);
    add_number(record, HEADER_COMMAND_INDEX, event->index, pen);
    add_number(record, HEADER_COMMAND_COUNT, event->count, pen);
    if (event->key.size > 0) {
        const char *start = pen->at;
        add(record, HEADER_COMMAND_KEY, event->key);
        assert((size_t)(pen->end - pen->at) >= 2 * FINGERPRINT_BYTES);
        cairn_hex_write(event->fingerprint, FINGERPRINT_BYTES, pen->at);
        pen->at += 2 * FINGERPRINT_BYTES;
        add_written(record, HEADER_FINGERPRINT, start, pen);
    }
}

/* Upper bound of what the pen writes. */
static size_t texts_size(const struct cairn_event *event, struct cairn_slice domain)
{
    return CAIRN_UUID_TEXT_SIZE + CAIRN_TIME_TEXT_MAX + sizeof("//") + domain.size +
           event->stream.size + sizeof(SCHEMA_PATH "/") + event->type.size + U64_DIGITS_MAX +
           3 * (size_t)U16_DIGITS_MAX + 2 * (size_t)FINGERPRINT_BYTES;
}

static bool is_map(struct cairn_slice msgpack)
{
    if (msgpack.size == 0) {
        return false;
    }
    unsigned char lead = (unsigned char)msgpack.data[0];
    return (lead & 0xf0) == 0x80 || lead == 0xde || lead == 0xdf;
}

static bool is_meta(struct cairn_slice text)
{
    return text.size <= CAIRN_META_BYTES_MAX && cairn_utf8_is_valid(text);
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
    if (!is_meta(event->causation) || !is_meta(event->correlation) || !is_meta(event->principal) ||
        !is_meta(event->traceparent)) {
        return "a text is no UTF-8 or too long";
    }
    if (event->count > CAIRN_EVENTS_PER_COMMAND_MAX || event->schema_version == 0) {
        return "a number is out of range";
    }
    if (!is_map(event->data) || event->data.size > CAIRN_EVENT_DATA_BYTES_MAX) {
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

/* --- reading: one function a header --- */

static bool read_specversion(struct reading *reading, struct cairn_slice text)
{
    (void)reading;
    return cairn_slice_equal(text, CAIRN_SLICE_LIT(SPECVERSION));
}

static bool read_id(struct reading *reading, struct cairn_slice text)
{
    return cairn_uuid_parse(text, &reading->event.id) == CAIRN_OK;
}

static bool read_type(struct reading *reading, struct cairn_slice text)
{
    reading->event.type = text;
    return cairn_type_is_valid(text);
}

/* Cut prefix off the front of text; false when it does not stand there. */
static bool skip(struct cairn_slice *text, struct cairn_slice prefix)
{
    if (!cairn_slice_starts(*text, prefix)) {
        return false;
    }
    *text = cairn_slice_of(text->data + prefix.size, text->size - prefix.size);
    return true;
}

static bool read_source(struct reading *reading, struct cairn_slice text)
{
    return skip(&text, CAIRN_SLICE_LIT("/")) && skip(&text, reading->domain) &&
           skip(&text, CAIRN_SLICE_LIT("/")) && cairn_slice_equal(text, reading->aggregate);
}

static bool read_subject(struct reading *reading, struct cairn_slice text)
{
    reading->event.stream = text;
    return skip(&text, reading->aggregate) && skip(&text, CAIRN_SLICE_LIT("-")) &&
           cairn_id_is_valid(text) && cairn_slice_equal(text, reading->key);
}

static bool read_time(struct reading *reading, struct cairn_slice text)
{
    return cairn_clock_parse(text, &reading->event.time_us) == CAIRN_OK;
}

/* A number in low..high in its one decimal form: no zeros in front. */
static bool read_number(struct cairn_slice text, uint64_t low, uint64_t high, uint64_t *ret_number)
{
    if (text.size > 1 && text.data[0] == '0') {
        return false;
    }
    return cairn_slice_to_u64(text, ret_number) == CAIRN_OK && *ret_number >= low &&
           *ret_number <= high;
}

static bool read_dataschema(struct reading *reading, struct cairn_slice text)
{
    uint64_t number = 0;
    bool good = skip(&text, CAIRN_SLICE_LIT(SCHEMA_PATH)) && skip(&text, reading->event.type) &&
                skip(&text, CAIRN_SLICE_LIT("/")) && read_number(text, 1, UINT16_MAX, &number);
    reading->event.schema_version = (uint16_t)number;
    return good;
}

static bool read_content_type(struct reading *reading, struct cairn_slice text)
{
    reading->json = cairn_slice_equal(text, CAIRN_SLICE_LIT(TYPE_JSON));
    return reading->json || cairn_slice_equal(text, CAIRN_SLICE_LIT(TYPE_MSGPACK));
}

static bool read_version(struct reading *reading, struct cairn_slice text)
{
    return read_number(text, 1, UINT64_MAX, &reading->event.version);
}

static bool read_meta(struct cairn_slice text, struct cairn_slice *ret_meta)
{
    *ret_meta = text;
    return text.size > 0 && is_meta(text);
}

static bool read_causation(struct reading *reading, struct cairn_slice text)
{
    return read_meta(text, &reading->event.causation);
}

static bool read_correlation(struct reading *reading, struct cairn_slice text)
{
    return read_meta(text, &reading->event.correlation);
}

static bool read_principal(struct reading *reading, struct cairn_slice text)
{
    return read_meta(text, &reading->event.principal);
}

static bool read_traceparent(struct reading *reading, struct cairn_slice text)
{
    return read_meta(text, &reading->event.traceparent);
}

static bool read_index(struct reading *reading, struct cairn_slice text)
{
    uint64_t number = 0;
    bool good = read_number(text, 0, CAIRN_EVENTS_PER_COMMAND_MAX - 1, &number) &&
                number < reading->event.version;
    reading->event.index = (uint16_t)number;
    return good;
}

static bool read_count(struct reading *reading, struct cairn_slice text)
{
    uint64_t number = 0;
    bool good = read_number(text, reading->event.index + 1u, CAIRN_EVENTS_PER_COMMAND_MAX, &number);
    reading->event.count = (uint16_t)number;
    return good;
}

static bool read_command_key(struct reading *reading, struct cairn_slice text)
{
    reading->event.key = text;
    return cairn_key_is_valid(text);
}

static bool read_fingerprint(struct reading *reading, struct cairn_slice text)
{
    return reading->event.key.size > 0 &&
           cairn_hex_read(text, reading->event.fingerprint, FINGERPRINT_BYTES);
}

/* --- reading: the whole --- */

/* Find our headers; texts[i] is valid where bit i of *ret_seen is set. */
static enum cairn_rc collect(const struct cairn_kafka_record *record,
                             struct cairn_slice texts[HEADER_COUNT], uint32_t *ret_seen,
                             struct cairn_err *err)
{
    static_assert(HEADER_COUNT < 32, "a bit for each header");
    uint32_t seen = 0;
    unsigned guess = 0;
    for (size_t i = 0; i < record->header_count; i++) {
        unsigned at = find_header(record->headers[i].name, guess);
        if (at == HEADER_COUNT) {
            continue;
        }
        if ((seen & 1u << at) != 0) {
            return CAIRN_FAIL(err, CAIRN_ECORRUPT, "header %s is there twice",
                              headers[at].name.data);
        }
        seen |= 1u << at;
        texts[at] = record->headers[i].value;
        guess = at + 1 < HEADER_COUNT ? at + 1 : 0;
    }
    *ret_seen = seen;
    return CAIRN_OK;
}

static enum cairn_rc read_headers(const struct cairn_kafka_record *record, struct reading *reading,
                                  struct cairn_err *err)
{
    struct cairn_slice texts[HEADER_COUNT];
    uint32_t seen = 0;
    enum cairn_rc rc = collect(record, texts, &seen, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    for (unsigned i = 0; i < HEADER_COUNT; i++) {
        bool is_there = (seen & 1u << i) != 0;
        if (!is_there && headers[i].required) {
            return CAIRN_FAIL(err, CAIRN_ECORRUPT, "header %s is missing", headers[i].name.data);
        }
        if (is_there && !headers[i].read(reading, texts[i])) {
            return CAIRN_FAIL(err, CAIRN_ECORRUPT, "header %s must %s", headers[i].name.data,
                              headers[i].form);
        }
    }
    if (reading->event.key.size > 0 && (seen & 1u << HEADER_FINGERPRINT) == 0) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "header %s is missing beside %s",
                          headers[HEADER_FINGERPRINT].name.data,
                          headers[HEADER_COMMAND_KEY].name.data);
    }
    return CAIRN_OK;
}

/* JSON -> msgpack, in arena. */
static enum cairn_rc read_json(struct cairn_slice text, struct cairn_arena *arena,
                               struct cairn_slice *ret_data, struct cairn_err *err)
{
    struct cairn_value value;
    struct cairn_buf data = {.max = CAIRN_EVENT_DATA_BYTES_MAX};
    if (text.size > CAIRN_KAFKA_JSON_BYTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "the data is %zu bytes of JSON, at most %u go",
                          text.size, CAIRN_KAFKA_JSON_BYTES_MAX);
    }
    enum cairn_rc rc = cairn_json_read(text, arena, &value, NULL, err);
    if (rc != CAIRN_OK) {
        return cairn_err_wrap(err, rc == CAIRN_ENOMEM ? rc : CAIRN_ECORRUPT, "the data");
    }
    rc = cairn_msgpack_write(&value, &data);
    assert(rc == CAIRN_OK || rc == CAIRN_ENOMEM || rc == CAIRN_ETOOBIG);
    if (rc == CAIRN_OK) {
        rc = cairn_arena_copy(arena, cairn_buf_slice(&data), ret_data);
    }
    cairn_buf_fini(&data);
    return rc == CAIRN_OK ? rc
                          : CAIRN_FAIL(err, rc == CAIRN_ENOMEM ? rc : CAIRN_ECORRUPT,
                                       rc == CAIRN_ENOMEM ? "no memory for an event's data"
                                                          : "the data is too long");
}

enum cairn_rc cairn_kafka_record_read(const struct cairn_kafka_record *record,
                                      struct cairn_slice domain, struct cairn_slice aggregate,
                                      struct cairn_arena *arena, struct cairn_event *ret_event,
                                      struct cairn_err *err)
{
    assert(record->header_count <= CAIRN_KAFKA_HEADERS_MAX);
    assert(domain.size > 0 && cairn_aggregate_is_valid(aggregate));
    struct reading reading = {.domain = domain, .aggregate = aggregate, .key = record->key};
    enum cairn_rc rc = read_headers(record, &reading, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    reading.event.data = record->value;
    if (reading.json) {
        rc = read_json(record->value, arena, &reading.event.data, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    if (!is_map(reading.event.data) || reading.event.data.size > CAIRN_EVENT_DATA_BYTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "the data is no map, or too long");
    }
    *ret_event = reading.event;
    return CAIRN_OK;
}
