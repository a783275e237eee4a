#include "schemas/domain_script.h"

#include <assert.h>
#include <stdio.h>

#include "schemas/domain.h"
#include "schemas/domain_int.h"

extern const unsigned char cairn_prelude_lua[];
extern const unsigned int cairn_prelude_lua_size;

/* A name of a domain, NUL-ended. */
struct name_text {
    char text[CAIRN_TYPE_BYTES_MAX + 1];
};

static const char *name_text(struct name_text *into, struct cairn_slice name)
{
    (void)snprintf(into->text, sizeof(into->text), "%.*s", CAIRN_SLICE_ARG(name));
    return into->text;
}

struct cairn_slice cairn_script_prelude(void)
{
    return cairn_slice_of((const char *)cairn_prelude_lua, cairn_prelude_lua_size);
}

enum cairn_rc cairn_domain_host_open(const struct cairn_lua_limits *limits,
                                     struct cairn_lua **ret_lua, struct cairn_err *err)
{
    static const char *const hidden[] = {"cairn", "store", "freeze", "guard"};
    struct cairn_lua *lua = NULL;
    enum cairn_rc rc = cairn_lua_new(limits, &lua, err);
    if (rc == CAIRN_OK) {
        rc = cairn_lua_run(lua, "[prelude]", cairn_script_prelude(), err);
    }
    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]) && rc == CAIRN_OK; i++) {
        rc = cairn_lua_hide(lua, hidden[i], err);
    }
    if (rc != CAIRN_OK) {
        cairn_lua_free(lua);
        return rc;
    }
    *ret_lua = lua;
    return CAIRN_OK;
}

enum cairn_rc cairn_domain_host_new(struct cairn_slice script_name, struct cairn_slice script,
                                    const struct cairn_lua_limits *limits,
                                    struct cairn_lua **ret_lua, struct cairn_err *err)
{
    char name[CAIRN_PATH_MAX];
    struct cairn_lua *lua = NULL;
    enum cairn_rc rc = cairn_domain_host_open(limits, &lua, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    (void)snprintf(name, sizeof(name), "%.*s", CAIRN_SLICE_ARG(script_name));
    rc = cairn_lua_run(lua, name, script, err);
    if (rc != CAIRN_OK) {
        cairn_lua_free(lua);
        return rc;
    }
    cairn_lua_seal(lua);
    *ret_lua = lua;
    return CAIRN_OK;
}

/* Find path, and below it member where that is not NULL. */
static enum cairn_rc find(struct cairn_lua *lua, const struct cairn_script_path *path,
                          const char *member, cairn_lua_ref *ret_ref)
{
    struct name_text name;
    const char *keys[5] = {"cairn", path->kind};
    size_t count = 2;
    if (path->name.size > 0) {
        keys[count++] = name_text(&name, path->name);
    }
    if (path->table != NULL) {
        keys[count++] = path->table;
    }
    if (member != NULL) {
        keys[count++] = member;
    }
    return cairn_lua_find(lua, count, keys, ret_ref);
}

enum cairn_rc cairn_script_members(struct cairn_lua *lua, const struct cairn_script_path *path,
                                   struct cairn_arena *arena, struct cairn_slice **ret_names,
                                   size_t *ret_count)
{
    cairn_lua_ref table = 0;
    enum cairn_rc rc = find(lua, path, NULL, &table);
    if (rc == CAIRN_OK) {
        rc = cairn_lua_keys(lua, table, arena, ret_names, ret_count);
        cairn_lua_unref(lua, table);
    }
    return rc;
}

bool cairn_script_is_function(struct cairn_lua *lua, const struct cairn_script_path *path,
                              struct cairn_slice member)
{
    struct name_text name;
    cairn_lua_ref found = 0;
    if (member.size > CAIRN_TYPE_BYTES_MAX ||
        find(lua, path, name_text(&name, member), &found) != CAIRN_OK) {
        return false;
    }
    bool function = cairn_lua_is_function(lua, found);
    cairn_lua_unref(lua, found);
    return function;
}

enum cairn_rc cairn_script_value(struct cairn_lua *lua, const struct cairn_script_path *path,
                                 const char *member, struct cairn_arena *arena,
                                 struct cairn_value *ret_value)
{
    cairn_lua_ref found = 0;
    enum cairn_rc rc = find(lua, path, member, &found);
    if (rc == CAIRN_OK) {
        rc = cairn_lua_value(lua, found, arena, ret_value, NULL);
        cairn_lua_unref(lua, found);
    }
    return rc;
}

enum cairn_rc cairn_script_upcast(struct cairn_lua *lua, struct cairn_slice aggregate,
                                  struct cairn_slice event, unsigned from, cairn_lua_ref *ret_ref)
{
    struct name_text name;
    cairn_lua_ref list = 0;
    const struct cairn_script_path path = {"aggregates", aggregate, "upcast"};
    enum cairn_rc rc = find(lua, &path, name_text(&name, event), &list);
    if (rc == CAIRN_OK) {
        rc = cairn_lua_item(lua, list, from, ret_ref);
        cairn_lua_unref(lua, list);
    }
    return rc;
}

size_t cairn_script_upcasts(struct cairn_lua *lua, struct cairn_slice aggregate,
                            struct cairn_slice event)
{
    size_t count = 0;
    cairn_lua_ref function = 0;
    while (count < UINT16_MAX &&
           cairn_script_upcast(lua, aggregate, event, (unsigned)count + 1, &function) == CAIRN_OK) {
        bool is_function = cairn_lua_is_function(lua, function);
        cairn_lua_unref(lua, function);
        if (!is_function) {
            break;
        }
        count++;
    }
    return count;
}
