/* --from, --until and --stream as a scope. */
#ifndef CAIRN_TOOLS_REPLAY_SCOPE_H
#define CAIRN_TOOLS_REPLAY_SCOPE_H

#include "eventstore/store.h"
#include "platform/config.h"
#include "projector/scope.h"

/* Was any of them given? */
bool cairn_replay_scope_given(const struct cairn_config *config);
/* Turn its times into places, and round its places down to whole commands, so that none is cut. A
 * time ends, or begins, each partition in front of its first event that is later, or not earlier.
 * Reads the log up to there. errors: EINVAL (a place in a partition that the log does not have),
 * ECORRUPT, EIO. */
CAIRN_MUST_CHECK enum cairn_rc cairn_replay_scope_place(struct cairn_store *store,
                                                        struct cairn_replay_scope *scope,
                                                        struct cairn_err *err);
/* The stream is borrowed from config. EINVAL: neither a position nor a time, or no stream's name.
 */
CAIRN_MUST_CHECK enum cairn_rc cairn_replay_scope_read(const struct cairn_config *config,
                                                       struct cairn_replay_scope *ret_scope,
                                                       struct cairn_err *err);

#endif
