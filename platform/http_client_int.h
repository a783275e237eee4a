/* What the parts of the client know of each other beside the public face. */
#ifndef CAIRN_PLATFORM_HTTP_CLIENT_INT_H
#define CAIRN_PLATFORM_HTTP_CLIENT_INT_H

#include "platform/http_client.h"

/* May the call go out as it is? EINVAL. */
CAIRN_MUST_CHECK enum cairn_rc cairn_http_call_check(const struct cairn_http_call *call,
                                                     struct cairn_err *err);
/* Does its method change nothing, so that it may be written twice? */
bool cairn_http_call_is_safe(const struct cairn_http_call *call);

/* A pointer that the lender keeps with a client; NULL at first. thread: the client's owner. */
void cairn_http_client_tag(struct cairn_http_client *client, void *tag);
void *cairn_http_client_tagged(const struct cairn_http_client *client);

#endif
