/* A serving process: the parts that its roles need, put together, started and stopped in order. */
#ifndef CAIRN_TOOLS_NODE_H
#define CAIRN_TOOLS_NODE_H

#include "platform/config.h"
#include "platform/lua.h"

#define CAIRN_ROLE_COMMAND   1u
#define CAIRN_ROLE_PROJECTOR 2u
#define CAIRN_ROLE_QUERY     4u

/* Serve until SIGTERM or SIGINT, then finish what was accepted. config: of a serving verb.
 * thread: the main thread, before any other exists: signals are blocked here for all of them. */
CAIRN_MUST_CHECK enum cairn_rc cairn_node_run(const struct cairn_config *config, unsigned roles,
                                              const char *domain_folder, struct cairn_err *err);

/* The ceilings for domain code that the configuration sets. */
struct cairn_lua_limits cairn_node_lua_limits(const struct cairn_config *config);

#endif
