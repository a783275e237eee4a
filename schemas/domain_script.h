/* Hosts of domain scripts, and looking into what a script defined. For schemas/ alone. */
#ifndef CAIRN_SCHEMAS_DOMAIN_SCRIPT_H
#define CAIRN_SCHEMAS_DOMAIN_SCRIPT_H

#include "platform/lua.h"

/* Below the hidden table `cairn`: kind.name.table, e.g. aggregates.account.decide. An empty name
 * means the kind itself, table NULL the named thing itself. */
struct cairn_script_path {
    const char *kind;
    struct cairn_slice name;
    const char *table;
};

struct cairn_slice cairn_script_prelude(void);

/* The string keys of the table at path, sorted. ENOENT, EINVAL (no table), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_script_members(struct cairn_lua *lua, const struct cairn_script_path *path,
                     struct cairn_arena *arena, struct cairn_slice **ret_names, size_t *ret_count);
bool cairn_script_is_function(struct cairn_lua *lua, const struct cairn_script_path *path,
                              struct cairn_slice member);
/* What the table at path holds under member, as a value. ENOENT, EINVAL, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_script_value(struct cairn_lua *lua,
                                                  const struct cairn_script_path *path,
                                                  const char *member, struct cairn_arena *arena,
                                                  struct cairn_value *ret_value);
/* How many upcast functions an event has: upcast.EVENT[1..n]. */
size_t cairn_script_upcasts(struct cairn_lua *lua, struct cairn_slice aggregate,
                            struct cairn_slice event);
/* upcast.EVENT[from], kept. ENOENT. */
CAIRN_MUST_CHECK enum cairn_rc cairn_script_upcast(struct cairn_lua *lua,
                                                   struct cairn_slice aggregate,
                                                   struct cairn_slice event, unsigned from,
                                                   cairn_lua_ref *ret_ref);

#endif
