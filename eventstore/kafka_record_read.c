#include <assert.h>

#include "eventstore/hex.h"
#include "eventstore/kafka_record.h"
#include "eventstore/kafka_record_int.h"
#include "platform/json.h"
#include "schemas/msgpack.h"

#define TREE_BYTES_MAX ((size_t)512 * 1024 * 1024)

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

static bool read_specversion(struct reading *reading, struct cairn_slice text)
{
    (void)reading;
    return cairn_slice_equal(text, CAIRN_SLICE_LIT(CAIRN_KAFKA_SPECVERSION));
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
    bool good = skip(&text, CAIRN_SLICE_LIT(CAIRN_KAFKA_SCHEMA_PATH)) &&
                skip(&text, reading->event.type) && skip(&text, CAIRN_SLICE_LIT("/")) &&
                read_number(text, 1, UINT16_MAX, &number);
    reading->event.schema_version = (uint16_t)number;
    return good;
}

static bool read_content_type(struct reading *reading, struct cairn_slice text)
{
    reading->json = cairn_slice_equal(text, CAIRN_SLICE_LIT(CAIRN_KAFKA_TYPE_JSON));
    return reading->json || cairn_slice_equal(text, CAIRN_SLICE_LIT(CAIRN_KAFKA_TYPE_MSGPACK));
}

static bool read_version(struct reading *reading, struct cairn_slice text)
{
    return read_number(text, 1, UINT64_MAX, &reading->event.version);
}

static bool read_meta(struct cairn_slice text, struct cairn_slice *ret_meta)
{
    *ret_meta = text;
    return text.size > 0 && cairn_kafka_is_meta(text);
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
           cairn_hex_read(text, reading->event.fingerprint, CAIRN_KAFKA_FINGERPRINT_BYTES);
}

/* Of each header: its reader, what its text must be (for people), and whether it must be there. */
static const struct {
    read_fn *read;
    const char *form;
    bool required;
} readers[CAIRN_KAFKA_HEADER_COUNT] = {
    [CAIRN_KAFKA_HEADER_SPECVERSION] = {read_specversion, CAIRN_KAFKA_SPECVERSION, true},
    [CAIRN_KAFKA_HEADER_ID] = {read_id, "a UUID", true},
    [CAIRN_KAFKA_HEADER_TYPE] = {read_type, "an event's type", true},
    [CAIRN_KAFKA_HEADER_SOURCE] = {read_source, "/<domain>/<aggregate> of the topic", true},
    [CAIRN_KAFKA_HEADER_SUBJECT] = {read_subject, "<aggregate>-<id>, the id being the key", true},
    [CAIRN_KAFKA_HEADER_TIME] = {read_time, "a time of RFC 3339", true},
    [CAIRN_KAFKA_HEADER_DATASCHEMA] = {read_dataschema,
                                       CAIRN_KAFKA_SCHEMA_PATH "<ce_type>/<number>", true},
    [CAIRN_KAFKA_HEADER_CONTENT_TYPE] = {read_content_type,
                                         CAIRN_KAFKA_TYPE_MSGPACK " or " CAIRN_KAFKA_TYPE_JSON,
                                         true},
    [CAIRN_KAFKA_HEADER_VERSION] = {read_version, "a number from 1", true},
    [CAIRN_KAFKA_HEADER_CAUSATION] = {read_causation, "UTF-8, 1..1024 bytes", false},
    [CAIRN_KAFKA_HEADER_CORRELATION] = {read_correlation, "UTF-8, 1..1024 bytes", false},
    [CAIRN_KAFKA_HEADER_PRINCIPAL] = {read_principal, "UTF-8, 1..1024 bytes", false},
    [CAIRN_KAFKA_HEADER_TRACEPARENT] = {read_traceparent, "UTF-8, 1..1024 bytes", false},
    [CAIRN_KAFKA_HEADER_COMMAND_INDEX] = {read_index, "a number below ce_streamversion", true},
    [CAIRN_KAFKA_HEADER_COMMAND_COUNT] = {read_count, "a number above ce_commandindex, to 1000",
                                          true},
    [CAIRN_KAFKA_HEADER_COMMAND_KEY] = {read_command_key, "an Idempotency-Key", false},
    [CAIRN_KAFKA_HEADER_FINGERPRINT] = {read_fingerprint,
                                        "32 hexadecimal digits beside a ce_commandkey", false},
};

static_assert(CAIRN_META_BYTES_MAX == 1024 && CAIRN_EVENTS_PER_COMMAND_MAX == 1000,
              "the forms above name the limits");
static_assert(CAIRN_KAFKA_HEADER_TYPE < CAIRN_KAFKA_HEADER_DATASCHEMA &&
                  CAIRN_KAFKA_HEADER_VERSION < CAIRN_KAFKA_HEADER_COMMAND_INDEX &&
                  CAIRN_KAFKA_HEADER_COMMAND_INDEX < CAIRN_KAFKA_HEADER_COMMAND_COUNT &&
                  CAIRN_KAFKA_HEADER_COMMAND_KEY < CAIRN_KAFKA_HEADER_FINGERPRINT,
              "what a reader compares with was read before");

/* Find our headers; texts[i] is valid where bit i of *ret_seen is set. */
static enum cairn_rc collect(const struct cairn_kafka_record *record,
                             struct cairn_slice texts[CAIRN_KAFKA_HEADER_COUNT], uint32_t *ret_seen,
                             struct cairn_err *err)
{
    static_assert(CAIRN_KAFKA_HEADER_COUNT < 32, "a bit for each header");
    uint32_t seen = 0;
    unsigned guess = 0;
    for (size_t i = 0; i < record->header_count; i++) {
        unsigned at = cairn_kafka_header_find(record->headers[i].name, guess);
        if (at == CAIRN_KAFKA_HEADER_COUNT) {
            continue;
        }
        if ((seen & 1u << at) != 0) {
            return CAIRN_FAIL(err, CAIRN_ECORRUPT, "header %s is there twice",
                              cairn_kafka_header_names[at].data);
        }
        seen |= 1u << at;
        texts[at] = record->headers[i].value;
        guess = at + 1 < CAIRN_KAFKA_HEADER_COUNT ? at + 1 : 0;
    }
    *ret_seen = seen;
    return CAIRN_OK;
}

static enum cairn_rc read_headers(const struct cairn_kafka_record *record, struct reading *reading,
                                  struct cairn_err *err)
{
    struct cairn_slice texts[CAIRN_KAFKA_HEADER_COUNT];
    uint32_t seen = 0;
    enum cairn_rc rc = collect(record, texts, &seen, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    for (unsigned i = 0; i < CAIRN_KAFKA_HEADER_COUNT; i++) {
        bool is_there = (seen & 1u << i) != 0;
        if (!is_there && readers[i].required) {
            return CAIRN_FAIL(err, CAIRN_ECORRUPT, "header %s is missing",
                              cairn_kafka_header_names[i].data);
        }
        if (is_there && !readers[i].read(reading, texts[i])) {
            return CAIRN_FAIL(err, CAIRN_ECORRUPT, "header %s must be %s",
                              cairn_kafka_header_names[i].data, readers[i].form);
        }
    }
    if (reading->event.key.size > 0 && (seen & 1u << CAIRN_KAFKA_HEADER_FINGERPRINT) == 0) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "header %s is missing beside %s",
                          cairn_kafka_header_names[CAIRN_KAFKA_HEADER_FINGERPRINT].data,
                          cairn_kafka_header_names[CAIRN_KAFKA_HEADER_COMMAND_KEY].data);
    }
    return CAIRN_OK;
}

/* JSON -> msgpack, behind what data holds. The tree between them is some twenty times as large as
 * either: it does not stay in the caller's arena. */
static enum cairn_rc convert(struct cairn_slice text, struct cairn_buf *data, struct cairn_err *err)
{
    struct cairn_value value;
    struct cairn_arena tree = {.max = TREE_BYTES_MAX};
    enum cairn_rc rc = cairn_json_read(text, &tree, &value, NULL, err);
    if (rc != CAIRN_OK) {
        rc = cairn_err_wrap(err, rc == CAIRN_ENOMEM ? rc : CAIRN_ECORRUPT, "the data");
        goto done;
    }
    rc = cairn_msgpack_write(&value, data);
    assert(rc == CAIRN_OK || rc == CAIRN_ENOMEM || rc == CAIRN_ETOOBIG);
    if (rc == CAIRN_ETOOBIG) {
        rc = CAIRN_FAIL(err, CAIRN_ECORRUPT, "the data is too long");
    } else if (rc != CAIRN_OK) {
        rc = CAIRN_FAIL(err, rc, "no memory for an event's data");
    }
done:
    cairn_arena_fini(&tree);
    return rc;
}

static enum cairn_rc read_json(struct cairn_slice text, struct cairn_arena *arena,
                               struct cairn_slice *ret_data, struct cairn_err *err)
{
    struct cairn_buf data = {.max = CAIRN_EVENT_DATA_BYTES_MAX};
    if (text.size > CAIRN_KAFKA_JSON_BYTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "the data is %zu bytes of JSON, at most %u go",
                          text.size, CAIRN_KAFKA_JSON_BYTES_MAX);
    }
    enum cairn_rc rc = convert(text, &data, err);
    if (rc == CAIRN_OK && cairn_arena_copy(arena, cairn_buf_slice(&data), ret_data) != CAIRN_OK) {
        rc = CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for an event's data");
    }
    cairn_buf_fini(&data);
    return rc;
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
    if (!cairn_kafka_is_data(reading.event.data)) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "the data is no map, or too long");
    }
    *ret_event = reading.event;
    return CAIRN_OK;
}
