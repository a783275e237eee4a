/* What the pool needs of a client beside its public face. */
#ifndef CAIRN_PLATFORM_HTTP_CLIENT_INT_H
#define CAIRN_PLATFORM_HTTP_CLIENT_INT_H

#include "platform/http_client.h"

/* A pointer that the lender keeps with a client; NULL at first. thread: the client's owner. */
void cairn_http_client_tag(struct cairn_http_client *client, void *tag);
void *cairn_http_client_tagged(const struct cairn_http_client *client);

#endif
