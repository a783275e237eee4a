/* Read-only faces of tables.
 *
 * A face is an empty table whose metatable answers reads from the table behind it and refuses
 * writes. The table behind is kept under a light userdata key, which no script can make. */
#include <assert.h>

#include <lauxlib.h>
#include <lua.h>

#include "platform/lua_int.h"

/* Addresses serve as keys: of the metatable in the registry, of the table behind in a face. */
static const char face_mark;
static const char behind_key;

/* Replace the face or front at index by the table behind it. */
static void look_behind(lua_State *state, int index)
{
    if (lua_getmetatable(state, index) == 0) {
        return;
    }
    (void)lua_rawgetp(state, LUA_REGISTRYINDEX, &face_mark);
    bool face = lua_rawequal(state, -1, -2) == 1;
    /* A face has the table behind it itself, a front in its own metatable. */
    int type = lua_rawgetp(state, face ? index : -2, &behind_key);
    if (type == LUA_TTABLE) {
        lua_replace(state, index);
        lua_pop(state, 2);
    } else {
        lua_pop(state, 3);
    }
}

void cairn_lua_unface(lua_State *state, int index)
{
    assert(index > 0);
    if (lua_istable(state, index)) {
        look_behind(state, index);
        assert(lua_istable(state, index));
    }
}

bool cairn_lua_push_behind(lua_State *state, int index)
{
    if (lua_getmetatable(state, index) == 0) {
        return false;
    }
    if (lua_rawgetp(state, -1, &behind_key) != LUA_TTABLE) {
        lua_pop(state, 2);
        return false;
    }
    lua_remove(state, -2);
    return true;
}

void cairn_lua_push_face(lua_State *state, int index)
{
    int table = lua_absindex(state, index);
    assert(lua_istable(state, table));
    if (cairn_lua_push_behind(state, table)) {
        /* A front is read-only as it is, and what is within it since the host was sealed. */
        lua_pop(state, 1);
        lua_pushvalue(state, table);
        return;
    }
    lua_createtable(state, 0, 1);
    lua_pushvalue(state, table);
    lua_rawsetp(state, -2, &behind_key);
    (void)lua_rawgetp(state, LUA_REGISTRYINDEX, &face_mark);
    (void)lua_setmetatable(state, -2);
}

static int face_index(lua_State *state)
{
    (void)lua_rawgetp(state, 1, &behind_key);
    lua_pushvalue(state, 2);
    if (lua_rawget(state, -2) == LUA_TTABLE) {
        cairn_lua_push_face(state, -1);
    }
    return 1;
}

static int face_len(lua_State *state)
{
    (void)lua_rawgetp(state, 1, &behind_key);
    lua_pushinteger(state, (lua_Integer)lua_rawlen(state, -1));
    return 1;
}

/* Two faces are equal when they show the same table. */
static int face_eq(lua_State *state)
{
    cairn_lua_unface(state, 1);
    cairn_lua_unface(state, 2);
    lua_pushboolean(state, lua_rawequal(state, 1, 2));
    return 1;
}

static int refuse_write(lua_State *state)
{
    const char *key = lua_type(state, 2) == LUA_TSTRING ? lua_tostring(state, 2) : "?";
    return luaL_error(state, "attempt to change '%s' of a read-only table", key);
}

static const luaL_Reg face_methods[] = {
    {"__index", face_index},
    {"__newindex", refuse_write},
    {"__len", face_len},
    {"__eq", face_eq},
    {NULL, NULL},
};

void cairn_lua_face_open(lua_State *state)
{
    lua_createtable(state, 0, 4);
    luaL_setfuncs(state, face_methods, 0);
    lua_rawsetp(state, LUA_REGISTRYINDEX, &face_mark);
}

/* Upvalue: the table behind. */
static int front_len(lua_State *state)
{
    lua_pushinteger(state, (lua_Integer)lua_rawlen(state, lua_upvalueindex(1)));
    return 1;
}

/* Replace the table on top by an empty front of it, whose writes go to `write` (upvalue: the
 * table). */
static void put_front(lua_State *state, lua_CFunction write)
{
    assert(lua_istable(state, -1));
    lua_createtable(state, 0, 0);
    lua_createtable(state, 0, 4);
    lua_pushvalue(state, -3);
    lua_setfield(state, -2, "__index");
    lua_pushvalue(state, -3);
    lua_pushcclosure(state, write, 1);
    lua_setfield(state, -2, "__newindex");
    lua_pushvalue(state, -3);
    lua_pushcclosure(state, front_len, 1);
    lua_setfield(state, -2, "__len");
    lua_pushvalue(state, -3);
    lua_rawsetp(state, -2, &behind_key);
    (void)lua_setmetatable(state, -2);
    lua_remove(state, -2);
}

void cairn_lua_freeze(lua_State *state)
{
    put_front(state, refuse_write);
}

/* Upvalue: the table behind. */
static int write_until_sealed(lua_State *state)
{
    if (cairn_lua_host_of(state)->sealed) {
        return refuse_write(state);
    }
    lua_settop(state, 3);
    lua_rawset(state, lua_upvalueindex(1));
    return 0;
}

void cairn_lua_guard(lua_State *state)
{
    put_front(state, write_until_sealed);
}
