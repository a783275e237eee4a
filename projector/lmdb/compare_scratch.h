/* The scratch place of a comparison: a view store of its own in the data folder, gone afterwards.
 * thread: owner. */
#ifndef CAIRN_PROJECTOR_LMDB_COMPARE_SCRATCH_H
#define CAIRN_PROJECTOR_LMDB_COMPARE_SCRATCH_H

#include "platform/file.h"
#include "projector/lmdb/views_int.h"

struct cairn_compare_scratch {
    char folder[CAIRN_PATH_MAX]; /* empty until it is made */
    struct cairn_file_lock lock; /* of that folder */
    struct cairn_views *views;
    struct cairn_view_tables tables;
};

/* Make it for a view, and remove what comparisons left that were killed. scratch: the lock {-1},
 * all else zero. Close it, also after a failure. errors: ETOOBIG (path), EIO, EFULL, ENOMEM,
 * ELOCKED. */
CAIRN_MUST_CHECK enum cairn_rc cairn_compare_scratch_open(struct cairn_compare_scratch *scratch,
                                                          const char *data_folder,
                                                          struct cairn_slice view,
                                                          struct cairn_err *err);
/* Removes it. One that was never opened is fine, too. */
void cairn_compare_scratch_close(struct cairn_compare_scratch *scratch);

#endif
