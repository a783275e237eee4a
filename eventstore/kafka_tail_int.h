/* What the tail holds of one partition: records on their way to a delivery. */
#ifndef CAIRN_EVENTSTORE_KAFKA_TAIL_INT_H
#define CAIRN_EVENTSTORE_KAFKA_TAIL_INT_H

#include "eventstore/kafka_tail.h"

struct rd_kafka_message_s; /* rd_kafka_message_t */

/* Events that one delivery can hold: a command begun in the round before, and a whole round. */
#define CAIRN_KAFKA_TAIL_DELIVERY_MAX (CAIRN_KAFKA_TAIL_EVENTS_MAX + CAIRN_EVENTS_PER_COMMAND_MAX)
#define CAIRN_KAFKA_TAIL_ARENA_MAX    ((size_t)64 * 1024 * 1024)

/* Records of one partition in the order of the log, from the first event of a command on. */
struct cairn_kafka_gather {
    struct rd_kafka_message_s **messages; /* owned, and each of them */
    size_t count, cap;
    size_t needed; /* before so many are there no command is whole */
};

/* Takes the message where it succeeds. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_gather_add(struct cairn_kafka_gather *gather,
                                                      struct rd_kafka_message_s *message,
                                                      struct cairn_err *err);
/* May a whole command be there? */
static inline bool cairn_kafka_gather_is_ripe(const struct cairn_kafka_gather *gather)
{
    return gather->count > 0 && gather->count >= gather->needed;
}
void cairn_kafka_gather_fini(struct cairn_kafka_gather *gather);

/* Where messages become whole commands; one serves all partitions in turn. */
struct cairn_kafka_assembly {
    struct cairn_slice domain;
    struct cairn_event *events;   /* owned; CAIRN_KAFKA_TAIL_DELIVERY_MAX */
    struct cairn_append *appends; /* owned; as many */
    struct cairn_arena arena;
};

CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_assembly_init(struct cairn_kafka_assembly *assembly,
                                                         struct cairn_slice domain,
                                                         struct cairn_err *err);
void cairn_kafka_assembly_fini(struct cairn_kafka_assembly *assembly);
/* The whole commands of what was gathered; ret_delivery borrows from both until the next call, and
 * its count may be 0. errors: ECORRUPT (a record that is no event, a command torn apart: names the
 * offset), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_kafka_assembly_put(struct cairn_kafka_assembly *assembly, uint16_t partition,
                         struct cairn_slice aggregate, struct cairn_kafka_gather *gather,
                         struct cairn_kafka_delivery *ret_delivery, struct cairn_err *err);
/* Drop the records of whole commands, which lie before Kafka offset `source`. */
void cairn_kafka_gather_drop(struct cairn_kafka_gather *gather, uint64_t source);

#endif
