/* Lua objects that the host keeps: finding, making, reading, facing. */
#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>

#include "platform/lua_int.h"

struct find_op {
    size_t count;
    const char *const *keys;
    cairn_lua_ref found; /* 0: not there */
};

static int find_body(lua_State *state)
{
    struct find_op *op = lua_touserdata(state, 1);
    cairn_lua_push_named(state, op->keys[0]);
    for (size_t i = 1; i < op->count; i++) {
        if (!lua_istable(state, -1)) {
            return 0;
        }
        (void)lua_getfield(state, -1, op->keys[i]);
        lua_remove(state, -2);
    }
    if (!lua_isnil(state, -1)) {
        op->found = luaL_ref(state, LUA_REGISTRYINDEX);
    }
    return 0;
}

enum cairn_rc cairn_lua_find(struct cairn_lua *lua, size_t count, const char *const *keys,
                             cairn_lua_ref *ret_ref)
{
    assert(count > 0);
    struct find_op op = {.count = count, .keys = keys};
    enum cairn_rc rc = cairn_lua_attempt(lua, find_body, &op, NULL);
    if (rc == CAIRN_OK && op.found == 0) {
        return CAIRN_ENOENT;
    }
    if (rc == CAIRN_OK) {
        *ret_ref = op.found;
    }
    return rc;
}

struct keys_op {
    cairn_lua_ref ref;
    struct cairn_arena *arena;
    struct cairn_slice *keys;
    size_t count;
    enum cairn_rc rc;
};

static int compare_slices(const void *a, const void *b)
{
    return cairn_slice_compare(*(const struct cairn_slice *)a, *(const struct cairn_slice *)b);
}

/* Counts the string keys of the table at 2, and copies them where there is room. */
static bool walk_keys(lua_State *state, struct keys_op *op)
{
    op->count = 0;
    lua_pushnil(state);
    while (lua_next(state, 2) != 0) {
        lua_pop(state, 1);
        if (lua_type(state, -1) != LUA_TSTRING) {
            continue;
        }
        struct cairn_slice key;
        key.data = lua_tolstring(state, -1, &key.size);
        if (op->keys != NULL &&
            cairn_arena_copy(op->arena, key, &op->keys[op->count]) != CAIRN_OK) {
            return false;
        }
        op->count++;
    }
    return true;
}

static int keys_body(lua_State *state)
{
    struct keys_op *op = lua_touserdata(state, 1);
    if (lua_rawgeti(state, LUA_REGISTRYINDEX, op->ref) != LUA_TTABLE) {
        op->rc = CAIRN_EINVAL;
        return 0;
    }
    cairn_lua_unface(state, 2);
    (void)walk_keys(state, op);
    op->keys = cairn_arena_zalloc(op->arena, op->count, sizeof(*op->keys));
    if ((op->keys == NULL && op->count > 0) || !walk_keys(state, op)) {
        op->rc = CAIRN_ENOMEM;
        return 0;
    }
    if (op->keys != NULL) {
        qsort(op->keys, op->count, sizeof(*op->keys), compare_slices);
    }
    return 0;
}

enum cairn_rc cairn_lua_keys(struct cairn_lua *lua, cairn_lua_ref ref, struct cairn_arena *arena,
                             struct cairn_slice **ret_keys, size_t *ret_count)
{
    assert(ref != 0);
    struct keys_op op = {.ref = ref, .arena = arena};
    enum cairn_rc rc = cairn_lua_attempt(lua, keys_body, &op, NULL);
    rc = rc == CAIRN_OK ? op.rc : rc;
    if (rc == CAIRN_OK) {
        *ret_keys = op.keys;
        *ret_count = op.count;
    }
    return rc;
}

bool cairn_lua_is_function(struct cairn_lua *lua, cairn_lua_ref ref)
{
    bool function = lua_rawgeti(lua->state, LUA_REGISTRYINDEX, ref) == LUA_TFUNCTION;
    lua_pop(lua->state, 1);
    return function;
}

unsigned cairn_lua_params(struct cairn_lua *lua, cairn_lua_ref ref)
{
    lua_Debug function;
    int type = lua_rawgeti(lua->state, LUA_REGISTRYINDEX, ref);
    assert(type == LUA_TFUNCTION);
    (void)type;
    int known = lua_getinfo(lua->state, ">u", &function);
    assert(known != 0);
    (void)known;
    return function.isvararg != 0 ? UINT_MAX : function.nparams;
}

/* What make, value and readonly need: an object in, an object out. */
struct object_op {
    const struct cairn_value *value; /* of make */
    struct cairn_value *ret_value;   /* of value */
    cairn_lua_ref in;
    cairn_lua_ref out;
    struct cairn_lua_crossing crossing;
};

static int make_body(lua_State *state)
{
    struct object_op *op = lua_touserdata(state, 1);
    if (cairn_lua_push_value(state, op->value, &op->crossing)) {
        op->out = luaL_ref(state, LUA_REGISTRYINDEX);
    }
    return 0;
}

enum cairn_rc cairn_lua_make(struct cairn_lua *lua, const struct cairn_value *value,
                             cairn_lua_ref *ret_ref, struct cairn_err *err)
{
    struct object_op op = {.value = value};
    enum cairn_rc rc = cairn_lua_attempt(lua, make_body, &op, err);
    if (rc == CAIRN_OK && op.crossing.why != NULL) {
        rc = cairn_lua_crossing_fail(&op.crossing, "value", err);
    }
    if (rc == CAIRN_OK) {
        *ret_ref = op.out;
    }
    return rc;
}

static int value_body(lua_State *state)
{
    struct object_op *op = lua_touserdata(state, 1);
    (void)lua_rawgeti(state, LUA_REGISTRYINDEX, op->in);
    (void)cairn_lua_read_value(state, -1, &op->crossing, op->ret_value);
    return 0;
}

enum cairn_rc cairn_lua_value(struct cairn_lua *lua, cairn_lua_ref ref, struct cairn_arena *arena,
                              struct cairn_value *ret_value, struct cairn_err *err)
{
    assert(ref != 0);
    struct cairn_value value;
    struct object_op op = {.ret_value = &value, .in = ref, .crossing.arena = arena};
    enum cairn_rc rc = cairn_lua_attempt(lua, value_body, &op, err);
    if (rc == CAIRN_OK && op.crossing.why != NULL) {
        rc = cairn_lua_crossing_fail(&op.crossing, "value", err);
    }
    if (rc == CAIRN_OK) {
        *ret_value = value;
    }
    return rc;
}

static int readonly_body(lua_State *state)
{
    struct object_op *op = lua_touserdata(state, 1);
    if (lua_rawgeti(state, LUA_REGISTRYINDEX, op->in) != LUA_TTABLE) {
        return luaL_error(state, "no table to show");
    }
    cairn_lua_unface(state, 2);
    cairn_lua_push_face(state, 2);
    op->out = luaL_ref(state, LUA_REGISTRYINDEX);
    return 0;
}

enum cairn_rc cairn_lua_readonly(struct cairn_lua *lua, cairn_lua_ref table,
                                 cairn_lua_ref *ret_face, struct cairn_err *err)
{
    assert(table != 0);
    struct object_op op = {.in = table};
    enum cairn_rc rc = cairn_lua_attempt(lua, readonly_body, &op, err);
    if (rc == CAIRN_OK) {
        *ret_face = op.out;
    }
    return rc;
}

struct item_op {
    cairn_lua_ref list;
    uint64_t index;
    cairn_lua_ref found; /* 0: not there */
};

static int item_body(lua_State *state)
{
    struct item_op *op = lua_touserdata(state, 1);
    if (lua_rawgeti(state, LUA_REGISTRYINDEX, op->list) == LUA_TTABLE &&
        lua_geti(state, -1, (lua_Integer)op->index) != LUA_TNIL) {
        op->found = luaL_ref(state, LUA_REGISTRYINDEX);
    }
    return 0;
}

enum cairn_rc cairn_lua_item(struct cairn_lua *lua, cairn_lua_ref list, uint64_t index,
                             cairn_lua_ref *ret_ref)
{
    assert(list != 0);
    struct item_op op = {.list = list, .index = index};
    enum cairn_rc rc = cairn_lua_attempt(lua, item_body, &op, NULL);
    if (rc == CAIRN_OK && op.found == 0) {
        return CAIRN_ENOENT;
    }
    if (rc == CAIRN_OK) {
        *ret_ref = op.found;
    }
    return rc;
}
