/* The command API: POST /commands/{aggregate}/{id}/{Command}, POST /commands, GET /partitions. */
#ifndef CAIRN_COMMAND_API_H
#define CAIRN_COMMAND_API_H

#include "command/forward.h"
#include "command/service.h"
#include "platform/http.h"

struct cairn_command_api;

struct cairn_command_api_options {
    struct cairn_service *service;
    const struct cairn_domain *domain;
    struct cairn_forward_options forward; /* its store: the service's */
    size_t body_max;                      /* bytes of one command; 0: 1 MiB */
    size_t batch_body_max;                /* bytes of a batch; 0: 32 MiB */
};

CAIRN_MUST_CHECK enum cairn_rc
cairn_command_api_new(const struct cairn_command_api_options *options,
                      struct cairn_command_api **ret_api, struct cairn_err *err);
void cairn_command_api_free(struct cairn_command_api *api);
/* Its routes, for cairn_http_options; they live as long as the api. */
const struct cairn_http_route *cairn_command_api_routes(struct cairn_command_api *api,
                                                        size_t *ret_count);

#endif
