#include <assert.h>
#include <inttypes.h>

#include <librdkafka/rdkafka.h>

#include "eventstore/kafka_record.h"
#include "eventstore/kafka_tail_int.h"
#include "platform/mem.h"

enum { MESSAGES_MIN = 64 };

enum cairn_rc cairn_kafka_gather_add(struct cairn_kafka_gather *gather,
                                     struct rd_kafka_message_s *message, struct cairn_err *err)
{
    assert(gather->count < CAIRN_KAFKA_TAIL_DELIVERY_MAX);
    assert(message->err == RD_KAFKA_RESP_ERR_NO_ERROR);
    if (gather->count == gather->cap) {
        size_t cap = gather->cap == 0 ? MESSAGES_MIN : gather->cap * 2;
        struct rd_kafka_message_s **grown =
            cairn_mem_realloc(gather->messages, cap * sizeof(struct rd_kafka_message_s *));
        if (grown == NULL) {
            return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for records");
        }
        gather->messages = grown;
        gather->cap = cap;
    }
    gather->messages[gather->count++] = message;
    return CAIRN_OK;
}

static void destroy_messages(struct cairn_kafka_gather *gather, size_t count)
{
    assert(count <= gather->count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_message_destroy(gather->messages[i]);
    }
    gather->count -= count;
    if (gather->count > 0) {
        memmove(gather->messages, gather->messages + count,
                gather->count * sizeof(gather->messages[0]));
    }
}

void cairn_kafka_gather_drop(struct cairn_kafka_gather *gather, uint64_t source)
{
    size_t count = 0;
    while (count < gather->count && (uint64_t)gather->messages[count]->offset < source) {
        count++;
    }
    destroy_messages(gather, count);
}

void cairn_kafka_gather_fini(struct cairn_kafka_gather *gather)
{
    destroy_messages(gather, gather->count);
    cairn_mem_free(gather->messages);
    *gather = (struct cairn_kafka_gather){0};
}

enum cairn_rc cairn_kafka_assembly_init(struct cairn_kafka_assembly *assembly,
                                        struct cairn_slice domain, struct cairn_err *err)
{
    const size_t count = CAIRN_KAFKA_TAIL_DELIVERY_MAX;
    *assembly = (struct cairn_kafka_assembly){
        .domain = domain,
        .events = cairn_mem_zalloc(count, sizeof(*assembly->events)),
        .appends = cairn_mem_zalloc(count, sizeof(*assembly->appends)),
        .arena = {.max = CAIRN_KAFKA_TAIL_ARENA_MAX},
    };
    if (assembly->events == NULL || assembly->appends == NULL) {
        cairn_kafka_assembly_fini(assembly);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory to read events");
    }
    return CAIRN_OK;
}

void cairn_kafka_assembly_fini(struct cairn_kafka_assembly *assembly)
{
    cairn_mem_free(assembly->events);
    cairn_mem_free(assembly->appends);
    cairn_arena_fini(&assembly->arena);
    *assembly = (struct cairn_kafka_assembly){0};
}

/* Others may have put in headers of their own; they are passed over where room is scarce. */
static enum cairn_rc lift_headers(const rd_kafka_headers_t *headers,
                                  struct cairn_kafka_record *ret_record, struct cairn_err *err)
{
    size_t total = rd_kafka_header_cnt(headers);
    size_t count = 0;
    for (size_t i = 0; i < total; i++) {
        const char *name = NULL;
        const void *value = NULL;
        size_t size = 0;
        rd_kafka_resp_err_t code = rd_kafka_header_get_all(headers, i, &name, &value, &size);
        assert(code == RD_KAFKA_RESP_ERR_NO_ERROR);
        (void)code;
        if (total > CAIRN_KAFKA_HEADERS_MAX && !cairn_kafka_header_is_ours(cairn_slice_str(name))) {
            continue;
        }
        if (count == CAIRN_KAFKA_HEADERS_MAX) {
            return CAIRN_FAIL(err, CAIRN_ECORRUPT, "not an event: it has %zu headers", total);
        }
        ret_record->headers[count].name = cairn_slice_str(name);
        ret_record->headers[count++].value = cairn_slice_of(value, size);
    }
    ret_record->header_count = count;
    return CAIRN_OK;
}

/* A message as a record; borrows from the message. */
static enum cairn_rc lift(const rd_kafka_message_t *message, struct cairn_kafka_record *ret_record,
                          struct cairn_err *err)
{
    rd_kafka_headers_t *headers = NULL;
    rd_kafka_timestamp_type_t type;
    if (message->payload == NULL ||
        rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "not an event: it has no value or no headers");
    }
    ret_record->key = cairn_slice_of(message->key, message->key_len);
    ret_record->value = cairn_slice_of(message->payload, message->len);
    ret_record->timestamp_ms = rd_kafka_message_timestamp(message, &type);
    return lift_headers(headers, ret_record, err);
}

static enum cairn_rc read_message(struct cairn_kafka_assembly *assembly, uint16_t partition,
                                  struct cairn_slice aggregate, const rd_kafka_message_t *message,
                                  struct cairn_event *ret_event, struct cairn_err *err)
{
    struct cairn_kafka_record record; /* large: filled as far as header_count says */
    enum cairn_rc rc = lift(message, &record, err);
    if (rc == CAIRN_OK) {
        rc = cairn_kafka_record_read(&record, assembly->domain, aggregate, &assembly->arena,
                                     ret_event, err);
    }
    if (rc != CAIRN_OK) {
        return cairn_err_wrap(err, rc, "offset %" PRId64, message->offset);
    }
    ret_event->partition = partition;
    ret_event->offset = 0; /* the replica numbers events */
    return CAIRN_OK;
}

/* Does `event` go on where `before` stood in their command, or begin one? */
static bool follows(const struct cairn_event *before, const struct cairn_event *event)
{
    assert(event != NULL);
    if (before == NULL || cairn_event_is_last(before)) {
        return event->index == 0 && event->count > 0;
    }
    return event->index == before->index + 1u && event->count == before->count &&
           event->version == before->version + 1 &&
           cairn_slice_equal(event->stream, before->stream);
}

static struct cairn_append append_of(struct cairn_event *events, uint16_t count)
{
    return (struct cairn_append){.stream = events[0].stream,
                                 .expected = (int64_t)(events[0].version - 1),
                                 .events = events,
                                 .count = count,
                                 .rc = CAIRN_OK,
                                 .actual_version = events[count - 1].version};
}

enum cairn_rc cairn_kafka_assembly_put(struct cairn_kafka_assembly *assembly, uint16_t partition,
                                       struct cairn_slice aggregate,
                                       struct cairn_kafka_gather *gather,
                                       struct cairn_kafka_delivery *ret_delivery,
                                       struct cairn_err *err)
{
    struct cairn_kafka_delivery delivery = {.partition = partition, .appends = assembly->appends};
    assert(gather->count <= CAIRN_KAFKA_TAIL_DELIVERY_MAX);
    cairn_arena_reset(&assembly->arena);
    size_t first = 0; /* of the command at hand */
    for (size_t i = 0; i < gather->count; i++) {
        struct cairn_event *event = &assembly->events[i];
        const rd_kafka_message_t *message = gather->messages[i];
        enum cairn_rc rc = read_message(assembly, partition, aggregate, message, event, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        if (!follows(i > 0 ? event - 1 : NULL, event)) {
            return CAIRN_FAIL(err, CAIRN_ECORRUPT,
                              "offset %" PRId64 ": event %u of %u, version %" PRIu64
                              " of %.*s, does not go on where the record before it ends",
                              message->offset, event->index + 1u, (unsigned)event->count,
                              event->version, CAIRN_SLICE_ARG(event->stream));
        }
        if (cairn_event_is_last(event)) {
            assembly->appends[delivery.count++] = append_of(&assembly->events[first], event->count);
            delivery.source = (uint64_t)message->offset + 1;
            first = i + 1;
        }
    }
    size_t half = gather->count - first;
    gather->needed = half == 0 ? 1 : assembly->events[first].count;
    *ret_delivery = delivery;
    return CAIRN_OK;
}
