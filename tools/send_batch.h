/* Batches of command lines on their way from the file to a connection.
 *
 * The reader fills one batch for each connection and hands it over through a queue of one, so that
 * reading, sending and answering overlap and memory stays bounded. */
#ifndef CAIRN_TOOLS_SEND_BATCH_H
#define CAIRN_TOOLS_SEND_BATCH_H

#include <pthread.h>

#include "platform/bytes.h"

#define CAIRN_SEND_LINE_BYTES_MAX  (4u * 1024u * 1024u)
#define CAIRN_SEND_BATCH_BYTES_MAX (8u * 1024u * 1024u)
#define CAIRN_SEND_BATCH_LINES_MAX 10000

/* Lines of NDJSON. Owns its bytes. */
struct cairn_send_batch {
    struct cairn_buf text;                     /* the lines, each with its '\n' */
    uint32_t ends[CAIRN_SEND_BATCH_LINES_MAX]; /* where each line ends in text, '\n' included */
    bool keyed[CAIRN_SEND_BATCH_LINES_MAX];    /* has an Idempotency-Key: safe to send twice */
    size_t count;
};

CAIRN_MUST_CHECK struct cairn_send_batch *cairn_send_batch_new(void);
void cairn_send_batch_free(struct cairn_send_batch *batch);
void cairn_send_batch_clear(struct cairn_send_batch *batch);
/* Copy a line (without its end). ETOOBIG when the batch is full, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_send_batch_add(struct cairn_send_batch *batch,
                                                    struct cairn_slice line, bool keyed);
/* A line, without its '\n'. */
struct cairn_slice cairn_send_batch_line(const struct cairn_send_batch *batch, size_t index);

/* A queue of one batch, from the reader to one worker. thread: any. */
struct cairn_send_slot {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct cairn_send_batch *batch; /* full, not yet taken; owned */
    bool closed;                    /* no more will come */
};

void cairn_send_slot_init(struct cairn_send_slot *slot);
void cairn_send_slot_fini(struct cairn_send_slot *slot);
/* Give batch away; waits while the slot is full. false: the slot was closed, the batch is still the
 * caller's. */
bool cairn_send_slot_push(struct cairn_send_slot *slot, struct cairn_send_batch *batch);
/* The next batch, now the caller's; NULL at the end. */
struct cairn_send_batch *cairn_send_slot_pop(struct cairn_send_slot *slot);
void cairn_send_slot_close(struct cairn_send_slot *slot);

#endif
