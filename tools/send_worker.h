/* One connection of `cairn send`: posts batches in order, counts the answers, retries what is safe
 * to retry. */
#ifndef CAIRN_TOOLS_SEND_WORKER_H
#define CAIRN_TOOLS_SEND_WORKER_H

#include "platform/clock.h"
#include "tools/send_batch.h"
#include "tools/send_tally.h"

struct cairn_send_worker {
    struct cairn_send_slot slot; /* filled by the reader */
    const char *url;             /* of the batch endpoint */
    uint64_t retry_for_ms;       /* since the last progress */
    struct cairn_tally *tally;
    const struct cairn_clock *clock;
    enum cairn_rc rc; /* OK, or why it gave up; read after the join */
    struct cairn_err err;
};

/* The thread's function; arg is the worker. Ends when the slot is closed or the worker gave up (it
 * closes the slot then). */
void *cairn_send_worker_run(void *arg);

#endif
