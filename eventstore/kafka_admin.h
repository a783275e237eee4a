/* Topics of a cluster: what they are like, and making them. For the kafka*.c of this folder alone.
 */
#ifndef CAIRN_EVENTSTORE_KAFKA_ADMIN_H
#define CAIRN_EVENTSTORE_KAFKA_ADMIN_H

#include "eventstore/kafka_client.h"
#include "eventstore/kafka_topic_rules.h"

/* Topics that one call takes. */
#define CAIRN_KAFKA_ADMIN_TOPICS_MAX (CAIRN_KAFKA_TOPICS_MAX + 1)

struct cairn_kafka_admin; /* a handle of its own */

/* Does not wait for a broker. timeout_ms: what each call may take; > 0. errors: as
 * cairn_kafka_handle_new. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_admin_new(const struct cairn_kafka_options *options,
                                                     int timeout_ms,
                                                     struct cairn_kafka_admin **ret_admin,
                                                     struct cairn_err *err);
void cairn_kafka_admin_free(struct cairn_kafka_admin *admin); /* accepts NULL */

/* Fill topics[0..count) by their names; .control stays as it is. Waits until those that exist, or
 * all of them where must_exist, have leaders. *ret_brokers: how many brokers are up. errors:
 * ETIMEDOUT (says who does not answer and why), EFORBIDDEN, EIO, ENOMEM. thread: owner. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_admin_look(struct cairn_kafka_admin *admin,
                                                      struct cairn_kafka_topic *topics,
                                                      size_t count, bool must_exist,
                                                      uint16_t *ret_brokers, struct cairn_err *err);

/* Make those of topics[0..count) that were not found; one that somebody else has just made is as
 * good. errors: EINVAL (the cluster refuses: replication, policy), EFORBIDDEN, ETIMEDOUT, ENOMEM.
 * thread: owner. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_kafka_admin_create(struct cairn_kafka_admin *admin, const struct cairn_kafka_topic *topics,
                         size_t count, uint16_t lanes, uint16_t replication, struct cairn_err *err);

#endif
