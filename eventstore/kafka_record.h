/* An event as a Kafka record: CloudEvents 1.0, Kafka protocol binding, binary mode.
 *
 * key: the aggregate's id; value: the data (msgpack, or JSON where asked; readers go by the
 * content-type); timestamp: the event's time in ms. Headers, UTF-8 text: ce_specversion, ce_id,
 * ce_type, ce_source "/<domain>/<aggregate>", ce_subject (the stream), ce_time (RFC 3339, us),
 * ce_dataschema, content-type, ce_streamversion, ce_causationid, ce_correlationid, ce_principal,
 * traceparent; and what makes receipts and whole commands readable from the log: ce_commandindex,
 * ce_commandcount (decimal), ce_commandkey, ce_commandfingerprint (32 hex). Empty ones are left
 * out. Pure functions. */
#ifndef CAIRN_EVENTSTORE_KAFKA_RECORD_H
#define CAIRN_EVENTSTORE_KAFKA_RECORD_H

#include "platform/arena.h"
#include "schemas/event.h"

#define CAIRN_KAFKA_HEADERS_MAX 32

struct cairn_kafka_header {
    struct cairn_slice name, value;
};

struct cairn_kafka_record {
    struct cairn_slice key, value;
    int64_t timestamp_ms;
    struct cairn_kafka_header headers[CAIRN_KAFKA_HEADERS_MAX];
    size_t header_count;
};

/* Borrows from event and arena. errors: ENOMEM. cost: below 1 us in msgpack. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_record_write(const struct cairn_event *event,
                                                        struct cairn_slice domain, bool json,
                                                        struct cairn_arena *arena,
                                                        struct cairn_kafka_record *ret_record,
                                                        struct cairn_err *err);
/* Everything but partition and offset. Headers that are not ours are passed over. Borrows from
 * record and arena. errors: ECORRUPT (says which header is missing or bad: not an event of ours),
 * ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_kafka_record_read(const struct cairn_kafka_record *record, struct cairn_slice domain,
                        struct cairn_slice aggregate, struct cairn_arena *arena,
                        struct cairn_event *ret_event, struct cairn_err *err);

#endif
