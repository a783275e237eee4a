/* A failure that comes again and again is said when it is another one, and else ever more seldom:
 * after 30 s, twice as long each time, up to an hour. thread: owner. */
#ifndef CAIRN_PROJECTOR_REPEAT_H
#define CAIRN_PROJECTOR_REPEAT_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/err.h"

/* A zeroed one has said nothing yet. */
struct cairn_repeat {
    char said[CAIRN_ERR_TEXT_MAX]; /* "": nothing */
    int64_t next_ns;               /* when it is due again */
    int64_t pause_ns;
};

/* Is this text to be said now? Then it counts as said. now_ns: monotonic. */
bool cairn_repeat_is_due(struct cairn_repeat *repeat, const char *text, int64_t now_ns);
/* It went well: the same failure is a new one when it comes again. */
void cairn_repeat_end(struct cairn_repeat *repeat);

#endif
