/* What every process answers, whatever its role: health, metrics, OpenAPI, the page that renders
 * it. */
#ifndef CAIRN_TOOLS_OPS_H
#define CAIRN_TOOLS_OPS_H

#include "eventstore/store.h"
#include "platform/http.h"
#include "schemas/domain.h"

/* Less room than this on the data folder's disk, and a command process says that it is not ready.
 */
#define CAIRN_OPS_FREE_BYTES_MIN (2u * 1024u * 1024u)

struct cairn_ops_options {
    struct cairn_metrics *metrics;
    const struct cairn_domain *domain;
    struct cairn_store *store;
    const char *data_folder;
    unsigned roles; /* CAIRN_ROLE_... */
};

struct cairn_ops {
    struct cairn_ops_options options;
    struct cairn_buf openapi; /* rendered once at start */
    struct cairn_http_route routes[8];
    size_t route_count;
};

/* Fill the routes; ops stays where it is while they serve, and so does what options point to.
 * ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_ops_init(struct cairn_ops *ops,
                                              const struct cairn_ops_options *options,
                                              struct cairn_err *err);
void cairn_ops_fini(struct cairn_ops *ops);

#endif
