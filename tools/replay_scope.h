/* --from, --until and --stream as a scope. */
#ifndef CAIRN_TOOLS_REPLAY_SCOPE_H
#define CAIRN_TOOLS_REPLAY_SCOPE_H

#include "platform/config.h"
#include "projector/scope.h"

/* Was any of them given? */
bool cairn_replay_scope_given(const struct cairn_config *config);
/* The stream is borrowed from config. EINVAL: neither a position nor a time, or no stream's name.
 */
CAIRN_MUST_CHECK enum cairn_rc cairn_replay_scope_read(const struct cairn_config *config,
                                                       struct cairn_replay_scope *ret_scope,
                                                       struct cairn_err *err);

#endif
