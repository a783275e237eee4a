/* GET /partitions: who owns which partition, as this node knows it. */
#ifndef CAIRN_COMMAND_PARTITIONS_H
#define CAIRN_COMMAND_PARTITIONS_H

#include "platform/http.h"

/* self: struct cairn_forward. */
void cairn_partitions_handle(void *self, struct cairn_http_request *request,
                             struct cairn_http_response *response);

#endif
