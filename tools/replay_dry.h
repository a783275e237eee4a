/* `cairn replay --dry-run`: what a replay would give, told and forgotten. */
#ifndef CAIRN_TOOLS_REPLAY_DRY_H
#define CAIRN_TOOLS_REPLAY_DRY_H

#include "tools/log_access.h"
#include "tools/stop.h"

/* Prints rows and differences as config says, and a summary: on standard output, or on standard
 * error where that has the rows. errors: EINVAL (a flag), those of cairn_view_compare. */
CAIRN_MUST_CHECK enum cairn_rc cairn_replay_dry_run(const struct cairn_config *config,
                                                    const struct cairn_log_access *access,
                                                    struct cairn_slice view,
                                                    struct cairn_stop *stop, struct cairn_err *err);

#endif
