/* An event: its envelope and its data, as it lies in the log and as it goes over the wire. */
#ifndef CAIRN_SCHEMAS_EVENT_H
#define CAIRN_SCHEMAS_EVENT_H

#include "platform/clock.h"
#include "platform/uuid.h"
#include "platform/value.h"

/* [a-z][a-z0-9_]*: no '-', so a stream splits at its first '-'. */
#define CAIRN_AGGREGATE_BYTES_MAX 64
#define CAIRN_ID_BYTES_MAX        128 /* [A-Za-z0-9._~:-] */
#define CAIRN_STREAM_BYTES_MAX    (CAIRN_AGGREGATE_BYTES_MAX + 1 + CAIRN_ID_BYTES_MAX)
#define CAIRN_TYPE_BYTES_MAX      128 /* [A-Za-z][A-Za-z0-9_]* */
#define CAIRN_KEY_BYTES_MAX       255 /* Idempotency-Key: printable ASCII or UTF-8 */
/* Each of causation, correlation, principal, traceparent. */
#define CAIRN_META_BYTES_MAX         1024
#define CAIRN_EVENT_DATA_BYTES_MAX   (1024u * 1024u)
#define CAIRN_EVENTS_PER_COMMAND_MAX 1000
#define CAIRN_PARTITIONS_MAX         256

/* All slices are borrowed: valid as long as whoever handed the event out says. */
struct cairn_event {
    struct cairn_uuid id;      /* version 7 */
    struct cairn_slice stream; /* "account-42" */
    struct cairn_slice type;   /* "Deposited" */
    uint64_t version;          /* in the stream, from 1 */
    int64_t time_us;           /* UTC */
    uint16_t schema_version;   /* of the data, from 1 */
    uint16_t partition;
    uint64_t offset;               /* in the partition, from 1; 0 before it is appended */
    uint16_t index;                /* among the events of its command, from 0 */
    uint16_t count;                /* events of its command, from 1 */
    struct cairn_slice data;       /* msgpack map */
    struct cairn_slice key;        /* the command's Idempotency-Key, empty when it had none */
    unsigned char fingerprint[16]; /* of the command; zero when key is empty */
    struct cairn_slice causation;  /* what caused it: the request's id */
    struct cairn_slice correlation;
    struct cairn_slice principal; /* who asked; empty: nobody said */
    struct cairn_slice traceparent;
};

/* Is the last event of its command: where a reader may stop without tearing a command apart. */
static inline bool cairn_event_is_last(const struct cairn_event *event)
{
    return event->index + 1u == event->count;
}

/* The aggregate and the id of a stream name, which must be valid. */
struct cairn_slice cairn_stream_aggregate(struct cairn_slice stream);
struct cairn_slice cairn_stream_id(struct cairn_slice stream);
/* Are these well-formed? (lengths and alphabets above) */
bool cairn_aggregate_is_valid(struct cairn_slice aggregate);
bool cairn_id_is_valid(struct cairn_slice id);
bool cairn_stream_is_valid(struct cairn_slice stream);
bool cairn_type_is_valid(struct cairn_slice type);
bool cairn_key_is_valid(struct cairn_slice key);

/* What one event has otherwise than the other ("data", "version"), a static text; NULL: they are
 * the same in all but their places in a log. */
const char *cairn_event_difference(const struct cairn_event *one, const struct cairn_event *other);

/* The event as a CloudEvents 1.0 value: specversion, id, type, source ("/<domain>/<aggregate>"),
 * subject (= stream), time, dataschema, datacontenttype, streamversion, position, causationid,
 * correlationid, principal, traceparent (absent ones left out), data. data: the event's data
 * already read (and upcast). position: text, e.g. "0:17". In arena. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_event_cloudevent(const struct cairn_event *event, struct cairn_slice domain,
                       const struct cairn_value *data, struct cairn_slice position,
                       struct cairn_arena *arena, struct cairn_value *ret_value);
#endif
