/* What every verb that works on a log begins with: where it says things, and the domain. */
#ifndef CAIRN_TOOLS_BASE_H
#define CAIRN_TOOLS_BASE_H

#include "platform/config.h"
#include "platform/log.h"
#include "schemas/domain.h"

struct cairn_base {
    struct cairn_log *log; /* to standard error, from --log-level on */
    struct cairn_domain *domain;
};

/* After a failure base may be closed all the same. errors: those of cairn_domain_load; ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_base_open(const struct cairn_config *config,
                                               const char *domain_folder, struct cairn_base *base,
                                               struct cairn_err *err);
void cairn_base_close(struct cairn_base *base);

#endif
