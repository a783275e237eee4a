/* Verifying a log on Kafka: its topics, and the replica that a data folder has of them. */
#ifndef CAIRN_EVENTSTORE_KAFKA_VERIFY_H
#define CAIRN_EVENTSTORE_KAFKA_VERIFY_H

#include "eventstore/kafka_client.h"
#include "eventstore/store.h"

struct cairn_kafka_verify_options {
    struct cairn_kafka_options kafka;
    const char *data_folder; /* whose replica is compared; it may have none */
};

struct cairn_kafka_verify_report {
    uint64_t events, commands, streams; /* of the topics */
    uint64_t compared;                  /* events that topic and replica agree on */
    uint64_t faults;
    uint16_t topics, lanes;
    bool replica; /* there is one */
};

/* Read every topic from its beginning, committed events only: each record must be an event, every
 * command whole, every stream in its own partition and its versions dense; and the replica, as far
 * as it goes, must hold the same events in the same order. It changes nothing and works beside
 * running nodes. The replica's own checksums are cairn_store_verify's, and are checked here where
 * it is read.
 *
 * hooks: of fault and progress, which counts records; NULL: nobody listens. They are called on a
 *        thread of this function's, one call at a time.
 * errors: OK when there was no fault, ECORRUPT when there was, ret_report filled in both cases;
 *         ENOENT (the cluster has no log of that domain), ESTOPPED (the replica was replaced
 *         meanwhile), ETIMEDOUT, EFORBIDDEN, EINVAL (a property; the folder is another domain's),
 *         EIO, ENOMEM.
 * thread: any; blocks on network and disk. memory: 0.1 kB for each stream of a partition, 200 MB at
 *         most; a partition that may have more streams is read several times. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_verify(const struct cairn_kafka_verify_options *options,
                                                  const struct cairn_verify_hooks *hooks,
                                                  struct cairn_kafka_verify_report *ret_report,
                                                  struct cairn_err *err);

#endif
