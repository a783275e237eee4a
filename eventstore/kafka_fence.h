/* Fencing: becoming the only producer of a transactional id. */
#ifndef CAIRN_EVENTSTORE_KAFKA_FENCE_H
#define CAIRN_EVENTSTORE_KAFKA_FENCE_H

#include "eventstore/kafka_client.h"

/* A producer of handle->transactional_id that may begin a transaction: whoever used the id before
 * is fenced, and what he left open is aborted, or committed where he had asked for that.
 *
 * handle:     of kind CAIRN_KAFKA_TRANSACTIONS.
 * timeout_ms: > 0.
 * errors:     ETIMEDOUT (no coordinator answers), EFORBIDDEN, EIO, ENOMEM, and those of
 *             cairn_kafka_handle_new.
 * thread:     any; blocks. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_fence(const struct cairn_kafka_options *options,
                                                 const struct cairn_kafka_handle_options *handle,
                                                 int timeout_ms, struct rd_kafka_s **ret_handle,
                                                 struct cairn_err *err);

#endif
