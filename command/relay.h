/* One command of another node's lane: the request goes to the owner whole, and its answer comes
 * back as the owner gave it. */
#ifndef CAIRN_COMMAND_RELAY_H
#define CAIRN_COMMAND_RELAY_H

#include "command/forward.h"
#include "command/patience.h"
#include "command/request.h"

struct cairn_relay {
    struct cairn_forward *forward;
    struct cairn_http_request *request;
    struct cairn_http_response *response;
    struct cairn_patience *patience;
    uint16_t lane;
    enum cairn_form out; /* of the answer */
};

/* Find the lane's owner, waiting a moment where there is none. False: it is this node, which now
 * has to carry the command out. True: response is filled, by the owner or with a 503. */
bool cairn_relay_away(const struct cairn_relay *relay);

#endif
