/* What the routes share; for this folder. */
#ifndef CAIRN_COMMAND_API_INT_H
#define CAIRN_COMMAND_API_INT_H

#include "command/api.h"
#include "command/reply.h"

#define CAIRN_COMMAND_BODY_DEFAULT ((size_t)1 << 20)
#define CAIRN_BATCH_BODY_DEFAULT   ((size_t)32 << 20)

enum { CAIRN_COMMAND_ROUTE_COUNT = 3 };

struct cairn_command_api {
    struct cairn_service *service;
    const struct cairn_domain *domain;
    struct cairn_forward *forward;
    size_t body_max;
    size_t batch_body_max;
    struct cairn_http_route routes[CAIRN_COMMAND_ROUTE_COUNT];
};

/* Make response the problem that a report tells of. */
void cairn_command_problem(struct cairn_http_response *response,
                           const struct cairn_fault_report *report,
                           struct cairn_http_request *request);

/* POST /commands */
void cairn_batch_handle(void *self, struct cairn_http_request *request,
                        struct cairn_http_response *response);

#endif
