/* Sealing: what a script made while it ran becomes read-only, so that no call can leave something
 * for the next.
 *
 * Globals are refused by the globals' own front (lua_box.c). A local of the chunk that a function
 * uses is an upvalue of it, and a table there would live on just as well. So every table that can
 * be reached from globals or functions is replaced by a read-only front, wherever it is held. A
 * plain local (a number, a string) that a function assigns cannot be taken away from it. */
#include <assert.h>

#include <lauxlib.h>
#include <lua.h>

#include "platform/lua_int.h"

/* Stack indexes of the walk. */
enum {
    SEEN = 2,   /* object -> true, or the front that stands for it */
    WAITING = 3 /* list of objects whose insides are still to be walked */
};

struct walk {
    lua_Integer first; /* of WAITING */
    lua_Integer last;
};

/* Put a copy of the object on top on the list. */
static void add_waiting(lua_State *state, struct walk *walk)
{
    lua_pushvalue(state, -1);
    lua_rawseti(state, WAITING, ++walk->last);
}

/* Has the object on top been met? Remembers it. */
static bool meet(lua_State *state)
{
    lua_pushvalue(state, -1);
    bool met = lua_rawget(state, SEEN) != LUA_TNIL;
    lua_pop(state, 1);
    if (!met) {
        lua_pushvalue(state, -1);
        lua_pushboolean(state, 1);
        lua_rawset(state, SEEN);
    }
    return met;
}

/* Replace the plain table on top by its front. */
static void replace_by_front(lua_State *state, struct walk *walk)
{
    lua_pushvalue(state, -1);
    if (lua_rawget(state, SEEN) != LUA_TNIL) {
        lua_remove(state, -2);
        return;
    }
    lua_pop(state, 1);
    add_waiting(state, walk);
    lua_pushvalue(state, -1);
    cairn_lua_freeze(state);
    lua_pushvalue(state, -2);
    lua_pushvalue(state, -2);
    lua_rawset(state, SEEN);
    lua_remove(state, -2);
}

/* Whatever the walk comes across, on top: true when something else stands there now. */
static bool reach(lua_State *state, struct walk *walk)
{
    int top = lua_gettop(state);
    if (lua_isfunction(state, top)) {
        if (lua_iscfunction(state, top) == 0 && !meet(state)) {
            add_waiting(state, walk);
        }
        return false;
    }
    if (!lua_istable(state, top)) {
        return false;
    }
    if (lua_getmetatable(state, top) != 0) {
        lua_pop(state, 1);
        if (!cairn_lua_is_marked_array(state, top)) {
            if (!meet(state) && cairn_lua_push_behind(state, top)) {
                add_waiting(state, walk);
                lua_pop(state, 1);
            }
            assert(lua_gettop(state) == top);
            return false;
        }
    }
    replace_by_front(state, walk);
    assert(lua_gettop(state) == top);
    return true;
}

/* The table on top: its values. */
static void walk_table(lua_State *state, struct walk *walk)
{
    int table = lua_gettop(state);
    lua_pushnil(state);
    while (lua_next(state, table) != 0) {
        if (reach(state, walk)) {
            lua_pushvalue(state, -2);
            lua_insert(state, -2);
            lua_rawset(state, table); /* a field that is there may be set while walking */
        } else {
            lua_pop(state, 1);
        }
    }
}

/* The function on top: the locals around it that it uses. */
static void walk_function(lua_State *state, struct walk *walk)
{
    int function = lua_gettop(state);
    for (int i = 1; lua_getupvalue(state, function, i) != NULL; i++) {
        if (reach(state, walk)) {
            (void)lua_setupvalue(state, function, i);
        } else {
            lua_pop(state, 1);
        }
    }
}

static int seal_body(lua_State *state)
{
    struct walk walk = {.first = 1};
    lua_settop(state, 1);
    lua_createtable(state, 0, 64);
    lua_createtable(state, 64, 0);
    cairn_lua_push_globals(state);
    add_waiting(state, &walk);
    cairn_lua_push_hidden(state);
    add_waiting(state, &walk);
    while (walk.first <= walk.last) {
        lua_settop(state, WAITING);
        int type = lua_rawgeti(state, WAITING, walk.first);
        lua_pushboolean(state, 0);
        lua_rawseti(state, WAITING, walk.first++);
        if (type == LUA_TTABLE) {
            walk_table(state, &walk);
        } else {
            assert(type == LUA_TFUNCTION);
            walk_function(state, &walk);
        }
    }
    return 0;
}

enum cairn_rc cairn_lua_finish_seal(struct cairn_lua *lua, struct cairn_err *err)
{
    assert(lua->sealed);
    if (lua->frozen) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = cairn_lua_attempt(lua, seal_body, NULL, err);
    lua->frozen = rc == CAIRN_OK;
    return rc;
}

void cairn_lua_seal(struct cairn_lua *lua)
{
    assert(!lua->busy);
    lua->sealed = true;
    /* Where memory is out now, each call tries again before it begins. */
    (void)cairn_lua_finish_seal(lua, NULL);
}
