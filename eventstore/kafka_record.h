/* An event as a Kafka record: CloudEvents 1.0, Kafka protocol binding, binary mode.
 *
 *   key        the aggregate's id
 *   value      the data: msgpack, or JSON where asked; readers go by the content-type
 *   timestamp  the event's time in ms, 0 before 1970; never read back, ce_time is
 *
 *   header                 text                                        left out
 *   ce_specversion         1.0
 *   ce_id                  UUID, lower case
 *   ce_type                the event's type
 *   ce_source              /<domain>/<aggregate>
 *   ce_subject             the stream
 *   ce_time                RFC 3339, UTC, microseconds
 *   ce_dataschema          /schemas/events/<type>/<schema version>
 *   content-type           application/msgpack, application/json
 *   ce_streamversion       decimal, from 1
 *   ce_causationid         UTF-8                                       when empty
 *   ce_correlationid       UTF-8                                       when empty
 *   ce_principal           UTF-8                                       when empty
 *   traceparent            UTF-8                                       when empty
 *   ce_commandindex        decimal, from 0: among its command's events
 *   ce_commandcount        decimal, 1..CAIRN_EVENTS_PER_COMMAND_MAX
 *   ce_commandkey          the Idempotency-Key                         when the command had none
 *   ce_commandfingerprint  32 hexadecimal digits                       with ce_commandkey
 *
 * The last four make receipts and whole commands readable from the log. Attributes say the same as
 * over HTTP (cairn_event_cloudevent). Headers are written in this order and read in any. Pure
 * functions; thread: any. */
#ifndef CAIRN_EVENTSTORE_KAFKA_RECORD_H
#define CAIRN_EVENTSTORE_KAFKA_RECORD_H

#include "platform/arena.h"
#include "schemas/event.h"

#define CAIRN_KAFKA_HEADERS_MAX 32
/* A byte of msgpack is at most six of JSON: "false," or a control character. */
#define CAIRN_KAFKA_JSON_BYTES_MAX (6u * CAIRN_EVENT_DATA_BYTES_MAX)

struct cairn_kafka_header {
    struct cairn_slice name, value;
};

struct cairn_kafka_record {
    struct cairn_slice key, value; /* borrowed; an absent one is empty */
    int64_t timestamp_ms;          /* UTC */
    /* Borrowed. Whoever reads a record with more leaves out what cairn_kafka_header_is_ours
     * disowns; what still does not fit is no event of ours. */
    struct cairn_kafka_header headers[CAIRN_KAFKA_HEADERS_MAX];
    size_t header_count;
};

/* Is this the name of a header in the table above? */
bool cairn_kafka_header_is_ours(struct cairn_slice name);

/* event:  complete but for partition and offset, which a record does not hold.
 * domain: its name, 1.. bytes.
 * json:   the value is JSON.
 * Borrows from event and arena. What is written always reads. errors: EINVAL (a part is past its
 * limit or no UTF-8, data that is no map or has no JSON form), ENOMEM. cost: 0.2 us in msgpack, one
 * block of arena. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_record_write(const struct cairn_event *event,
                                                        struct cairn_slice domain, bool json,
                                                        struct cairn_arena *arena,
                                                        struct cairn_kafka_record *ret_record,
                                                        struct cairn_err *err);
/* Everything but partition and offset, which are 0. Headers that are not ours are passed over. Data
 * in msgpack is taken as it is (a map; its inside is not looked at), JSON becomes msgpack in arena.
 * Borrows from record and arena. errors: ECORRUPT (says which header is missing, bad or there
 * twice: not an event of ours), ENOMEM. cost: 0.4 us in msgpack, no memory. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_kafka_record_read(const struct cairn_kafka_record *record, struct cairn_slice domain,
                        struct cairn_slice aggregate, struct cairn_arena *arena,
                        struct cairn_event *ret_event, struct cairn_err *err);

#endif
