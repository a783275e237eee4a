#include "platform/fault.h"

#include <assert.h>
#include <stdatomic.h>

/* countdown < 0: not armed. The only mutable globals of the tree: tests own them, release builds
 * never read them. */
static struct {
    atomic_int countdown;
    atomic_bool persistent;
    atomic_bool fired;
} faults[CAIRN_FAULT_COUNT] = {
#define X(name, text) [CAIRN_FAULT_##name] = {.countdown = -1},
    CAIRN_FAULT_TABLE(X)
#undef X
};

#ifdef CAIRN_FAULTS
bool cairn_fault_hit(enum cairn_fault fault)
{
    assert(fault < CAIRN_FAULT_COUNT);
    if (atomic_load_explicit(&faults[fault].countdown, memory_order_relaxed) < 0) {
        return false;
    }
    int left = atomic_fetch_sub(&faults[fault].countdown, 1);
    if (left > 0) {
        return false;
    }
    if (atomic_load(&faults[fault].persistent)) {
        atomic_store(&faults[fault].countdown, 0);
    } else {
        atomic_store(&faults[fault].countdown, -1);
        if (left < 0) {
            return false;
        }
    }
    atomic_store(&faults[fault].fired, true);
    return true;
}
#endif

static void arm(enum cairn_fault fault, int after, bool persistent)
{
    assert(fault < CAIRN_FAULT_COUNT);
    assert(after >= 0);
    atomic_store(&faults[fault].fired, false);
    atomic_store(&faults[fault].persistent, persistent);
    atomic_store(&faults[fault].countdown, after);
}

void cairn_fault_arm(enum cairn_fault fault, int after)
{
    arm(fault, after, false);
}

void cairn_fault_arm_persistent(enum cairn_fault fault, int after)
{
    arm(fault, after, true);
}

bool cairn_fault_fired(enum cairn_fault fault)
{
    assert(fault < CAIRN_FAULT_COUNT);
    return atomic_load(&faults[fault].fired);
}

void cairn_fault_disarm(void)
{
    for (int i = 0; i < CAIRN_FAULT_COUNT; i++) {
        atomic_store(&faults[i].countdown, -1);
        atomic_store(&faults[i].persistent, false);
        atomic_store(&faults[i].fired, false);
    }
}
