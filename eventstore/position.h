/* A position: how far into the log, as a vector of partition offsets. Opaque to clients.
 *
 * An offset counts in its partition from 1; 0 is before the first event. As text "0:1042" or
 * "0:17,3:4": partitions ascending, those at 0 left out; the empty log is "0:0". */
#ifndef CAIRN_EVENTSTORE_POSITION_H
#define CAIRN_EVENTSTORE_POSITION_H

#include "schemas/event.h"

struct cairn_position {
    uint64_t offsets[CAIRN_PARTITIONS_MAX];
};

/* A longest text: 256 partitions of "255:18446744073709551615,". */
#define CAIRN_POSITION_TEXT_MAX (CAIRN_PARTITIONS_MAX * 25)

/* Strict: decimal, ascending partitions below CAIRN_PARTITIONS_MAX, no spaces. EINVAL. thread: any.
 */
CAIRN_MUST_CHECK enum cairn_rc cairn_position_parse(struct cairn_slice text,
                                                    struct cairn_position *ret_position);
CAIRN_MUST_CHECK enum cairn_rc cairn_position_write(const struct cairn_position *position,
                                                    struct cairn_buf *out);
/* Text in arena, NUL-ended; NULL when memory is out. */
CAIRN_MUST_CHECK char *cairn_position_text(const struct cairn_position *position,
                                           struct cairn_arena *arena);
/* Does `have` hold everything up to `want`: have >= want in every partition? */
bool cairn_position_reached(const struct cairn_position *have, const struct cairn_position *want);
/* into = the larger of both, partition by partition. */
void cairn_position_merge(struct cairn_position *into, const struct cairn_position *other);
/* Events between: sum over partitions of end - have, where end is ahead. */
uint64_t cairn_position_lag(const struct cairn_position *have, const struct cairn_position *end);

#endif
