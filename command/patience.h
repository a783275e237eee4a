/* How long a request waits for an owner: a budget that attempts and the pauses between them use up.
 * thread: owner. */
#ifndef CAIRN_COMMAND_PATIENCE_H
#define CAIRN_COMMAND_PATIENCE_H

#include "platform/clock.h"
#include "platform/http.h"

struct cairn_patience {
    const struct cairn_clock *clock;
    int64_t left_ns;  /* of the budget */
    int64_t pause_ns; /* the next pause; doubles */
    int64_t begin_ns; /* of the attempt under way */
};

struct cairn_patience cairn_patience_of(const struct cairn_clock *clock, unsigned budget_ms);
/* An attempt begins now. */
void cairn_patience_begin(struct cairn_patience *patience);
/* The attempt failed: take its time off, pause, and say whether there is time for another. False as
 * soon as the server stops. thread: sleeps, 50 ms at most. */
bool cairn_patience_wait(struct cairn_patience *patience, const struct cairn_http_request *request);

#endif
