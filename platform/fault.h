/* Fault points: named places where a test can make the world fail once.
 *
 * Compiled to `false` in what ships (no CAIRN_FAULTS). A test arms a point with the number of calls
 * to let pass and sweeps that number upward until a run meets no fault.
 *
 *   for (int after = 0; cairn_fault_fired(CAIRN_FAULT_MEM) || after == 0; after++) {
 *       cairn_fault_arm(CAIRN_FAULT_MEM, after);
 *       ... run, then check that the world is as before or whole ...
 *   }
 *   cairn_fault_disarm();
 *
 * thread: any; arming is global to the process and meant for tests that run one thing at a time. */
#ifndef CAIRN_PLATFORM_FAULT_H
#define CAIRN_PLATFORM_FAULT_H

#include <stdbool.h>

/* name, what fails */
#define CAIRN_FAULT_TABLE(X)                                                                       \
    X(MEM, "a heap allocation")                                                                    \
    X(WRITE, "a write to the log or a file")                                                       \
    X(WRITE_SHORT, "a write stops half way, as on a full disk")                                    \
    X(SYNC, "an fdatasync")                                                                        \
    X(READ, "a read from a file")                                                                  \
    X(KV_COMMIT, "the commit of a key-value transaction")                                          \
    X(THREAD, "starting a thread")

enum cairn_fault {
#define X(name, text) CAIRN_FAULT_##name,
    CAIRN_FAULT_TABLE(X)
#undef X
        CAIRN_FAULT_COUNT
};

#ifdef CAIRN_FAULTS
/* True once when the armed call is reached. */
bool cairn_fault_hit(enum cairn_fault fault);
#else
#define cairn_fault_hit(fault) (false)
#endif

/* Let `after` (>= 0) calls pass, then fail one. */
void cairn_fault_arm(enum cairn_fault fault, int after);
/* The same, and fail all that follow until disarmed, as a disk that stays full. */
void cairn_fault_arm_persistent(enum cairn_fault fault, int after);
/* Did the armed fault fire since it was armed? */
bool cairn_fault_fired(enum cairn_fault fault);
/* Disarm every point. */
void cairn_fault_disarm(void);

#endif
