#include "projector/lmdb/gate.h"

#include <assert.h>

enum cairn_rc cairn_gate_init(struct cairn_gate *gate, struct cairn_err *err)
{
    *gate = (struct cairn_gate){.inside = 0};
    if (pthread_mutex_init(&gate->lock, NULL) != 0) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a gate between threads");
    }
    if (pthread_cond_init(&gate->changed, NULL) != 0) {
        (void)pthread_mutex_destroy(&gate->lock);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a gate between threads");
    }
    return CAIRN_OK;
}

void cairn_gate_fini(struct cairn_gate *gate)
{
    assert(gate->inside == 0 && gate->waiting == 0);
    (void)pthread_cond_destroy(&gate->changed);
    (void)pthread_mutex_destroy(&gate->lock);
}

void cairn_gate_enter(struct cairn_gate *gate, bool alone)
{
    (void)pthread_mutex_lock(&gate->lock);
    gate->waiting += alone ? 1 : 0;
    while (gate->alone || (alone ? gate->inside : gate->waiting) > 0) {
        (void)pthread_cond_wait(&gate->changed, &gate->lock);
    }
    gate->waiting -= alone ? 1 : 0;
    gate->alone = alone;
    gate->inside++;
    assert(!alone || gate->inside == 1);
    (void)pthread_mutex_unlock(&gate->lock);
}

void cairn_gate_leave(struct cairn_gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    assert(gate->inside > 0 && (!gate->alone || gate->inside == 1));
    gate->inside--;
    gate->alone = false;
    (void)pthread_cond_broadcast(&gate->changed);
    (void)pthread_mutex_unlock(&gate->lock);
}
