/* A store opened by the words of the configuration: the same for every verb. */
#ifndef CAIRN_TOOLS_LOG_OPEN_H
#define CAIRN_TOOLS_LOG_OPEN_H

#include "eventstore/store.h"
#include "platform/config.h"
#include "schemas/domain.h"

enum cairn_log_access_kind {
    CAIRN_LOG_READ,   /* reads what another process keeps in the data folder */
    CAIRN_LOG_FOLLOW, /* keeps the data folder's copy of a log that others write; on the embedded
                       * log the same as READ */
    CAIRN_LOG_HOLD,   /* as FOLLOW; the embedded log is kept from every writer meanwhile, and must
                       * be there */
    CAIRN_LOG_APPEND  /* writes the log */
};

struct cairn_log_open {
    const struct cairn_config *config;
    const struct cairn_domain *domain;
    struct cairn_log *log;
    struct cairn_metrics *metrics; /* may be NULL */
    enum cairn_log_access_kind kind;
    const char *place; /* "files", "files:DIR", "kafka:HOST:PORT,..."; NULL: --log */
    const char *flag;  /* that named the place, for errors; NULL: --log */
    const char *data;  /* the data folder, where the place names none; NULL: --data */
};

/* errors: as cairn_store_open; EINVAL: the place is none; ENOENT: there is no log. */
CAIRN_MUST_CHECK enum cairn_rc cairn_log_open(const struct cairn_log_open *open,
                                              struct cairn_store **ret_store,
                                              struct cairn_err *err);
/* Replicas of a topic: --replication, or what domain.json says; 0: neither does. */
uint16_t cairn_log_replication(const struct cairn_config *config,
                               const struct cairn_domain *domain);
/* Is the log that --log names on Kafka? */
bool cairn_log_is_kafka(const struct cairn_config *config);
/* The same of a place. */
bool cairn_log_place_is_kafka(const char *place);

#endif
