/* A gate for work that is done side by side, and now and then alone. thread: any. */
#ifndef CAIRN_PROJECTOR_LMDB_GATE_H
#define CAIRN_PROJECTOR_LMDB_GATE_H

#include <pthread.h>
#include <stdbool.h>

#include "platform/err.h"

struct cairn_gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned inside;  /* threads */
    unsigned waiting; /* of those that want to be alone */
    bool alone;       /* the one inside is */
};

/* ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_gate_init(struct cairn_gate *gate, struct cairn_err *err);
/* Nobody is inside or waits. */
void cairn_gate_fini(struct cairn_gate *gate);
/* Wait until there is nobody inside, or, not alone, nobody who is or waits to be alone: so who
 * waits to be alone waits for those who are inside, and for nobody who comes later. */
void cairn_gate_enter(struct cairn_gate *gate, bool alone);
void cairn_gate_leave(struct cairn_gate *gate);

#endif
