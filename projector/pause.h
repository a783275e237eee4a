/* Pauses of a thread that goes on trying, and must hear when it is to stop. thread: any. */
#ifndef CAIRN_PROJECTOR_PAUSE_H
#define CAIRN_PROJECTOR_PAUSE_H

#include <stdatomic.h>

/* After a failure that may pass, as a full disk: 100 ms, doubled up to 5 s. */
#define CAIRN_PAUSE_FIRST_MS 100
#define CAIRN_PAUSE_MAX_MS   5000

/* The pause behind this one. */
int cairn_pause_next(int pause_ms);
/* Sleep, but not past the begin of stopping. */
void cairn_pause_nap(const atomic_bool *stopping, int timeout_ms);

#endif
