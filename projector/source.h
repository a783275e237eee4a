/* A source: the log from a position on, all partitions, in batches that end between commands.
 *
 * Partitions take turns: a batch has a chunk of each that has something. thread: owner. */
#ifndef CAIRN_PROJECTOR_SOURCE_H
#define CAIRN_PROJECTOR_SOURCE_H

#include "eventstore/store.h"

struct cairn_source;

/* Events of one partition, in order, whole commands. */
struct cairn_chunk {
    const struct cairn_event *events; /* borrowed until the next cairn_source_next */
    size_t count;                     /* > 0 */
};

struct cairn_chunks {
    struct cairn_chunk items[CAIRN_PARTITIONS_MAX];
    size_t count;
    size_t events; /* of all chunks */
};

CAIRN_MUST_CHECK enum cairn_rc cairn_source_open(struct cairn_store *store,
                                                 const struct cairn_position *after,
                                                 struct cairn_source **ret_source,
                                                 struct cairn_err *err);
void cairn_source_close(struct cairn_source *source);
/* About max_events events that come next; none: this is the end of the log. until: not beyond this
 * position, which must lie between commands; NULL for no limit. errors: ECORRUPT, EIO, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_source_next(struct cairn_source *source, size_t max_events,
                                                 const struct cairn_position *until,
                                                 struct cairn_chunks *ret_chunks,
                                                 struct cairn_err *err);
/* Go on behind another position. */
CAIRN_MUST_CHECK enum cairn_rc cairn_source_seek(struct cairn_source *source,
                                                 const struct cairn_position *after,
                                                 struct cairn_err *err);

#endif
