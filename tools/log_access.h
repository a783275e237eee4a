/* A domain and its log, opened for reading: what replay, verify and events work on. */
#ifndef CAIRN_TOOLS_LOG_ACCESS_H
#define CAIRN_TOOLS_LOG_ACCESS_H

#include "projector/projector.h"
#include "tools/base.h"
#include "tools/database.h"

struct cairn_log_access {
    struct cairn_base base;
    const struct cairn_domain *domain; /* the base's */
    struct cairn_store *store;
    struct cairn_database database;           /* of the verbs that know --postgres */
    struct cairn_projector_options projector; /* filled from the above */
};

/* Open what the configuration names. A log on Kafka is read from the replica in the data folder,
 * without a broker. After a failure access may be closed all the same. errors: those of
 * cairn_base_open and cairn_log_open; ENOENT says that there is no log in the data folder. */
CAIRN_MUST_CHECK enum cairn_rc cairn_log_access_open(const struct cairn_config *config,
                                                     const char *domain_folder,
                                                     struct cairn_log_access *access,
                                                     struct cairn_err *err);
void cairn_log_access_close(struct cairn_log_access *access);

#endif
