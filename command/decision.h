/* What a script's decide gave back, as a decision. */
#ifndef CAIRN_COMMAND_DECISION_H
#define CAIRN_COMMAND_DECISION_H

#include "command/decider.h"

/* Did the script throw a rejection? Then decision is one. */
bool cairn_decision_rejects(const struct cairn_lua_result *result, struct cairn_decision *decision);
/* The events in what a script returned: each result is an event, a list of events, or nothing.
 *
 * decision: its events and count are set, in arena.
 * errors:   ESCRIPT (something that is no event; more than CAIRN_EVENTS_PER_COMMAND_MAX), ENOMEM.
 */
CAIRN_MUST_CHECK enum cairn_rc cairn_decision_read(const struct cairn_lua_result *result,
                                                   const struct cairn_domain_command *command,
                                                   struct cairn_arena *arena,
                                                   struct cairn_decision *decision,
                                                   struct cairn_err *err);

#endif
