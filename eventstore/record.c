#include "eventstore/record.h"

#include <assert.h>

#include "eventstore/le.h"
#include "platform/hash.h"

/* Places of fields in a record's header. */
enum {
    AT_CHECKSUM = 0,
    AT_SIZE = 4,
    AT_OFFSET = 8,
    AT_VERSION = 16,
    AT_TIME = 24,
    AT_ID = 32,
    AT_INDEX = 48,
    AT_COUNT = 50,
    AT_SCHEMA = 52,
    AT_STREAM = 54,
    AT_TYPE = 55,
    AT_KEY = 56,
    AT_ZERO = 57,
    AT_CAUSATION = 58,
    AT_CORRELATION = 60,
    AT_PRINCIPAL = 62,
    AT_TRACEPARENT = 64,
    AT_ZERO_2 = 66,
    AT_DATA = 68,
    FINGERPRINT_BYTES = 16
};

/* Places of fields in a group's header. */
enum {
    AT_GROUP_CHECKSUM = 0,
    AT_GROUP_MAGIC = 8,
    AT_GROUP_SIZE = 12,
    AT_GROUP_HASH = 16,
    AT_GROUP_FIRST = 24,
    AT_GROUP_EVENTS = 32,
    AT_GROUP_APPENDS = 36,
    AT_GROUP_TIME = 40,
    AT_GROUP_LOCATOR = 48,
    AT_GROUP_SOURCE = 56
};

static const char group_magic[4] = {'C', 'G', 'R', 'P'};

static_assert(AT_DATA + 4 == CAIRN_RECORD_HEADER_BYTES, "the record header is on disk for ever");
static_assert(AT_GROUP_SOURCE + 8 == CAIRN_GROUP_HEADER_BYTES, "the group header is, too");
static_assert(CAIRN_STREAM_BYTES_MAX <= UINT8_MAX && CAIRN_TYPE_BYTES_MAX <= UINT8_MAX &&
                  CAIRN_KEY_BYTES_MAX <= UINT8_MAX && CAIRN_META_BYTES_MAX <= UINT16_MAX,
              "every length fits its field");
static_assert(sizeof(struct cairn_uuid) == 16, "an id is 16 bytes");

bool cairn_record_fits(const struct cairn_event *event)
{
    return event->stream.size > 0 && event->stream.size <= CAIRN_STREAM_BYTES_MAX &&
           event->type.size > 0 && event->type.size <= CAIRN_TYPE_BYTES_MAX &&
           event->key.size <= CAIRN_KEY_BYTES_MAX &&
           event->causation.size <= CAIRN_META_BYTES_MAX &&
           event->correlation.size <= CAIRN_META_BYTES_MAX &&
           event->principal.size <= CAIRN_META_BYTES_MAX &&
           event->traceparent.size <= CAIRN_META_BYTES_MAX &&
           event->data.size <= CAIRN_EVENT_DATA_BYTES_MAX;
}

static size_t round_up(size_t size)
{
    return (size + 7u) & ~(size_t)7u;
}

size_t cairn_record_size(const struct cairn_event *event)
{
    assert(cairn_record_fits(event));
    size_t fingerprint = event->key.size > 0 ? (size_t)FINGERPRINT_BYTES : 0;
    return round_up(CAIRN_RECORD_HEADER_BYTES + event->stream.size + event->type.size +
                    fingerprint + event->key.size + event->causation.size +
                    event->correlation.size + event->principal.size + event->traceparent.size +
                    event->data.size);
}

static char *put_slice(char *out, struct cairn_slice bytes)
{
    if (bytes.size > 0) {
        memcpy(out, bytes.data, bytes.size);
    }
    return out + bytes.size;
}

enum cairn_rc cairn_records_size(const struct cairn_event *events, size_t count, size_t *ret_size,
                                 struct cairn_err *err)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        if (!cairn_record_fits(&events[i])) {
            return CAIRN_FAIL(err, CAIRN_ETOOBIG, "an event of %.*s is larger than allowed",
                              CAIRN_SLICE_ARG(events[i].stream));
        }
        size += cairn_record_size(&events[i]);
    }
    *ret_size = size;
    return CAIRN_OK;
}

void cairn_record_write(const struct cairn_event *event, char *out, size_t size)
{
    assert(size == cairn_record_size(event) && event->version > 0 && event->offset > 0);
    assert(event->index < event->count);
    cairn_put_u32(out + AT_SIZE, (uint32_t)size);
    cairn_put_u64(out + AT_OFFSET, event->offset);
    cairn_put_u64(out + AT_VERSION, event->version);
    cairn_put_u64(out + AT_TIME, (uint64_t)event->time_us);
    memcpy(out + AT_ID, event->id.bytes, sizeof(event->id.bytes));
    cairn_put_u16(out + AT_INDEX, event->index);
    cairn_put_u16(out + AT_COUNT, event->count);
    cairn_put_u16(out + AT_SCHEMA, event->schema_version);
    out[AT_STREAM] = (char)(unsigned char)event->stream.size;
    out[AT_TYPE] = (char)(unsigned char)event->type.size;
    out[AT_KEY] = (char)(unsigned char)event->key.size;
    out[AT_ZERO] = 0;
    cairn_put_u16(out + AT_CAUSATION, (uint16_t)event->causation.size);
    cairn_put_u16(out + AT_CORRELATION, (uint16_t)event->correlation.size);
    cairn_put_u16(out + AT_PRINCIPAL, (uint16_t)event->principal.size);
    cairn_put_u16(out + AT_TRACEPARENT, (uint16_t)event->traceparent.size);
    cairn_put_u16(out + AT_ZERO_2, 0);
    cairn_put_u32(out + AT_DATA, (uint32_t)event->data.size);
    char *at = put_slice(out + CAIRN_RECORD_HEADER_BYTES, event->stream);
    at = put_slice(at, event->type);
    if (event->key.size > 0) {
        memcpy(at, event->fingerprint, FINGERPRINT_BYTES);
        at = put_slice(at + FINGERPRINT_BYTES, event->key);
    }
    at = put_slice(at, event->causation);
    at = put_slice(at, event->correlation);
    at = put_slice(at, event->principal);
    at = put_slice(at, event->traceparent);
    at = put_slice(at, event->data);
    assert(at <= out + size && out + size - at < 8);
    memset(at, 0, (size_t)(out + size - at));
    uint64_t hash = cairn_hash64(cairn_slice_of(out + AT_SIZE, size - AT_SIZE));
    cairn_put_u32(out + AT_CHECKSUM, (uint32_t)(hash & 0xffffffffu));
}

size_t cairn_record_claimed_size(const char *header)
{
    size_t size = cairn_get_u32(header + AT_SIZE);
    bool possible =
        size >= CAIRN_RECORD_HEADER_BYTES && size <= CAIRN_RECORD_BYTES_MAX && (size & 7u) == 0;
    return possible ? size : 0;
}

/* Cut the next part off what is left. Its length was checked against the record's size. */
static struct cairn_slice take(const char **at, size_t size)
{
    struct cairn_slice part = cairn_slice_of(*at, size);
    *at += size;
    return part;
}

static size_t get_u8(const char *in)
{
    return (unsigned char)*in;
}

static void read_numbers(const char *in, struct cairn_event *event)
{
    event->offset = cairn_get_u64(in + AT_OFFSET);
    event->version = cairn_get_u64(in + AT_VERSION);
    event->time_us = (int64_t)cairn_get_u64(in + AT_TIME);
    memcpy(event->id.bytes, in + AT_ID, sizeof(event->id.bytes));
    event->index = cairn_get_u16(in + AT_INDEX);
    event->count = cairn_get_u16(in + AT_COUNT);
    event->schema_version = cairn_get_u16(in + AT_SCHEMA);
    event->partition = 0;
}

/* The parts behind the header; *ret_end is where the padding starts. False: they do not fit. */
static bool read_parts(const char *in, size_t size, struct cairn_event *event, const char **ret_end)
{
    size_t key = get_u8(in + AT_KEY);
    const size_t sizes[] = {get_u8(in + AT_STREAM),
                            get_u8(in + AT_TYPE),
                            key > 0 ? (size_t)FINGERPRINT_BYTES : 0,
                            key,
                            cairn_get_u16(in + AT_CAUSATION),
                            cairn_get_u16(in + AT_CORRELATION),
                            cairn_get_u16(in + AT_PRINCIPAL),
                            cairn_get_u16(in + AT_TRACEPARENT),
                            cairn_get_u32(in + AT_DATA)};
    size_t total = CAIRN_RECORD_HEADER_BYTES;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        total += sizes[i];
    }
    if (round_up(total) != size) {
        return false;
    }
    const char *at = in + CAIRN_RECORD_HEADER_BYTES;
    event->stream = take(&at, sizes[0]);
    event->type = take(&at, sizes[1]);
    struct cairn_slice fingerprint = take(&at, sizes[2]);
    memset(event->fingerprint, 0, sizeof(event->fingerprint));
    if (fingerprint.size > 0) {
        memcpy(event->fingerprint, fingerprint.data, sizeof(event->fingerprint));
    }
    event->key = take(&at, sizes[3]);
    event->causation = take(&at, sizes[4]);
    event->correlation = take(&at, sizes[5]);
    event->principal = take(&at, sizes[6]);
    event->traceparent = take(&at, sizes[7]);
    event->data = take(&at, sizes[8]);
    *ret_end = at;
    return true;
}

static bool all_zero(const char *from, const char *to)
{
    for (; from < to; from++) {
        if (*from != 0) {
            return false;
        }
    }
    return true;
}

enum cairn_rc cairn_record_read(struct cairn_slice bytes, bool checked,
                                struct cairn_event *ret_event, size_t *ret_size,
                                const char **ret_why)
{
    const char *in = bytes.data;
    size_t size = bytes.size < CAIRN_RECORD_HEADER_BYTES ? 0 : cairn_record_claimed_size(in);
    if (size == 0 || size > bytes.size) {
        *ret_why = "the record's size is impossible";
        return CAIRN_ECORRUPT;
    }
    if (checked) {
        uint64_t hash = cairn_hash64(cairn_slice_of(in + AT_SIZE, size - AT_SIZE));
        if ((uint32_t)(hash & 0xffffffffu) != cairn_get_u32(in + AT_CHECKSUM)) {
            *ret_why = "the record's checksum does not match";
            return CAIRN_ECORRUPT;
        }
    }
    struct cairn_event event;
    const char *end = in;
    read_numbers(in, &event);
    if (!read_parts(in, size, &event, &end) || !cairn_record_fits(&event) ||
        !all_zero(end, in + size) || in[AT_ZERO] != 0 || cairn_get_u16(in + AT_ZERO_2) != 0) {
        *ret_why = "the record's parts do not fit its size";
        return CAIRN_ECORRUPT;
    }
    if (event.version == 0 || event.offset == 0 || event.index >= event.count ||
        event.version <= event.index) {
        *ret_why = "the record's numbers are impossible";
        return CAIRN_ECORRUPT;
    }
    *ret_event = event;
    *ret_size = size;
    return CAIRN_OK;
}

static uint64_t head_hash(const char *header, uint64_t salt)
{
    char salted[CAIRN_GROUP_HEADER_BYTES];
    cairn_put_u64(salted, salt);
    memcpy(salted + 8, header + 8, sizeof(salted) - 8);
    return cairn_hash64(cairn_slice_of(salted, sizeof(salted)));
}

void cairn_group_head_write(const struct cairn_group_head *head, uint64_t salt,
                            char out[CAIRN_GROUP_HEADER_BYTES])
{
    assert(head->events > 0 && head->appends > 0 && head->appends <= head->events);
    assert(head->first_offset > 0 && (head->size & 7u) == 0);
    memcpy(out + AT_GROUP_MAGIC, group_magic, sizeof(group_magic));
    cairn_put_u32(out + AT_GROUP_SIZE, head->size);
    cairn_put_u64(out + AT_GROUP_HASH, head->records_hash);
    cairn_put_u64(out + AT_GROUP_FIRST, head->first_offset);
    cairn_put_u32(out + AT_GROUP_EVENTS, head->events);
    cairn_put_u32(out + AT_GROUP_APPENDS, head->appends);
    cairn_put_u64(out + AT_GROUP_TIME, (uint64_t)head->time_us);
    cairn_put_u64(out + AT_GROUP_LOCATOR, head->locator);
    cairn_put_u64(out + AT_GROUP_SOURCE, head->source);
    cairn_put_u64(out + AT_GROUP_CHECKSUM, head_hash(out, salt));
}

bool cairn_group_head_read(const char bytes[CAIRN_GROUP_HEADER_BYTES], uint64_t salt,
                           uint64_t locator, struct cairn_group_head *ret_head)
{
    if (memcmp(bytes + AT_GROUP_MAGIC, group_magic, sizeof(group_magic)) != 0 ||
        cairn_get_u64(bytes + AT_GROUP_LOCATOR) != locator ||
        cairn_get_u64(bytes + AT_GROUP_CHECKSUM) != head_hash(bytes, salt)) {
        return false;
    }
    struct cairn_group_head head = {
        .size = cairn_get_u32(bytes + AT_GROUP_SIZE),
        .records_hash = cairn_get_u64(bytes + AT_GROUP_HASH),
        .first_offset = cairn_get_u64(bytes + AT_GROUP_FIRST),
        .events = cairn_get_u32(bytes + AT_GROUP_EVENTS),
        .appends = cairn_get_u32(bytes + AT_GROUP_APPENDS),
        .time_us = (int64_t)cairn_get_u64(bytes + AT_GROUP_TIME),
        .locator = locator,
        .source = cairn_get_u64(bytes + AT_GROUP_SOURCE),
    };
    if (head.events == 0 || head.appends == 0 || head.appends > head.events ||
        head.first_offset == 0 || (head.size & 7u) != 0 ||
        head.size / CAIRN_RECORD_HEADER_BYTES < head.events) {
        return false;
    }
    *ret_head = head;
    return true;
}

/* Does an event continue the one before it: dense offsets, whole appends with dense versions? */
static const char *continues(const struct cairn_event *event, const struct cairn_event *before,
                             uint64_t offset)
{
    if (event->offset != offset) {
        return "the offset is not the next one";
    }
    bool inside = before != NULL && !cairn_event_is_last(before);
    if (event->index != (inside ? before->index + 1u : 0u)) {
        return "the events of a command are torn apart";
    }
    if (inside && (event->count != before->count || event->version != before->version + 1 ||
                   !cairn_slice_equal(event->stream, before->stream))) {
        return "the events of a command do not belong together";
    }
    return NULL;
}

enum cairn_rc cairn_group_read(const struct cairn_group_head *head, const char *records,
                               uint16_t partition, bool deep, struct cairn_event *events,
                               uint64_t *locators, size_t *ret_at, const char **ret_why)
{
    *ret_at = 0;
    if (cairn_hash64(cairn_slice_of(records, head->size)) != head->records_hash) {
        *ret_why = "the group's checksum does not match";
        return CAIRN_ECORRUPT;
    }
    size_t at = 0;
    uint32_t appends = 0;
    for (uint32_t i = 0; i < head->events; i++) {
        size_t size = 0;
        *ret_at = at;
        enum cairn_rc rc = cairn_record_read(cairn_slice_of(records + at, head->size - at), deep,
                                             &events[i], &size, ret_why);
        if (rc != CAIRN_OK) {
            return rc;
        }
        const char *why =
            continues(&events[i], i == 0 ? NULL : &events[i - 1], head->first_offset + i);
        if (why != NULL) {
            *ret_why = why;
            return CAIRN_ECORRUPT;
        }
        events[i].partition = partition;
        locators[i] = head->locator + CAIRN_GROUP_HEADER_BYTES + at;
        appends += events[i].index == 0 ? 1 : 0;
        at += size;
    }
    if (at != head->size || appends != head->appends ||
        !cairn_event_is_last(&events[head->events - 1])) {
        *ret_why = "the group does not hold what its header says";
        return CAIRN_ECORRUPT;
    }
    return CAIRN_OK;
}
