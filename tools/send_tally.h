/* What became of the commands that were sent: counts by kind. thread: any (locked). */
#ifndef CAIRN_TOOLS_SEND_TALLY_H
#define CAIRN_TOOLS_SEND_TALLY_H

#include <pthread.h>

#include "platform/map.h"
#include "platform/value.h"

/* Kinds told apart; more are summed up as "other". */
#define CAIRN_TALLY_KINDS_MAX 256

struct cairn_tally {
    pthread_mutex_t lock;
    struct cairn_map kinds; /* "accepted", "rejected no-price", "invalid": count */
    uint64_t answered;
    uint64_t accepted;
    uint64_t refused;
    uint64_t unanswered; /* no answer, and no safe way to ask again */
    uint64_t replayed;   /* of the accepted: known keys, answered again */
    uint64_t retried;
};

void cairn_tally_init(struct cairn_tally *tally);
void cairn_tally_fini(struct cairn_tally *tally);
/* Count one answer line of the batch form. */
void cairn_tally_answer(struct cairn_tally *tally, const struct cairn_value *answer);
void cairn_tally_unanswered(struct cairn_tally *tally, uint64_t count);
void cairn_tally_retried(struct cairn_tally *tally, uint64_t count);
uint64_t cairn_tally_answered(struct cairn_tally *tally);
/* The summary: lines for people, or one line of JSON. ETOOBIG, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_tally_print(struct cairn_tally *tally, bool json,
                                                 double seconds, struct cairn_buf *out);

#endif
