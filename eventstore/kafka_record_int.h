/* What writing and reading Kafka records share: the names of headers and what their texts are. */
#ifndef CAIRN_EVENTSTORE_KAFKA_RECORD_INT_H
#define CAIRN_EVENTSTORE_KAFKA_RECORD_INT_H

#include "eventstore/kafka_record.h"
#include "platform/utf8.h"

#define CAIRN_KAFKA_SPECVERSION  "1.0"
#define CAIRN_KAFKA_TYPE_MSGPACK "application/msgpack"
#define CAIRN_KAFKA_TYPE_JSON    "application/json"
#define CAIRN_KAFKA_SCHEMA_PATH  "/schemas/events/"

/* code, name; in the order in which they are written */
#define CAIRN_KAFKA_HEADER_TABLE(X)                                                                \
    X(SPECVERSION, "ce_specversion")                                                               \
    X(ID, "ce_id")                                                                                 \
    X(TYPE, "ce_type")                                                                             \
    X(SOURCE, "ce_source")                                                                         \
    X(SUBJECT, "ce_subject")                                                                       \
    X(TIME, "ce_time")                                                                             \
    X(DATASCHEMA, "ce_dataschema")                                                                 \
    X(CONTENT_TYPE, "content-type")                                                                \
    X(VERSION, "ce_streamversion")                                                                 \
    X(CAUSATION, "ce_causationid")                                                                 \
    X(CORRELATION, "ce_correlationid")                                                             \
    X(PRINCIPAL, "ce_principal")                                                                   \
    X(TRACEPARENT, "traceparent")                                                                  \
    X(COMMAND_INDEX, "ce_commandindex")                                                            \
    X(COMMAND_COUNT, "ce_commandcount")                                                            \
    X(COMMAND_KEY, "ce_commandkey")                                                                \
    X(FINGERPRINT, "ce_commandfingerprint")

enum cairn_kafka_header_code {
#define X(code, name) CAIRN_KAFKA_HEADER_##code,
    CAIRN_KAFKA_HEADER_TABLE(X)
#undef X
        CAIRN_KAFKA_HEADER_COUNT
};

enum { CAIRN_KAFKA_FINGERPRINT_BYTES = 16 };

/* NUL-ended behind their size. */
extern const struct cairn_slice cairn_kafka_header_names[CAIRN_KAFKA_HEADER_COUNT];

/* The code of a header of that name, tried from `guess` on (below COUNT), where it stands in what
 * we wrote ourselves; CAIRN_KAFKA_HEADER_COUNT when it is not ours. */
unsigned cairn_kafka_header_find(struct cairn_slice name, unsigned guess);

/* Does data begin as a msgpack map does, and keep the limit? */
static inline bool cairn_kafka_is_data(struct cairn_slice data)
{
    if (data.size == 0 || data.size > CAIRN_EVENT_DATA_BYTES_MAX) {
        return false;
    }
    unsigned char lead = (unsigned char)data.data[0];
    return (lead & 0xf0) == 0x80 || lead == 0xde || lead == 0xdf;
}

/* Causation, correlation, principal, traceparent. */
static inline bool cairn_kafka_is_meta(struct cairn_slice text)
{
    return text.size <= CAIRN_META_BYTES_MAX && cairn_utf8_is_valid(text);
}

#endif
