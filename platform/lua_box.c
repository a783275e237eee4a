/* The box: which of Lua's functions a script may see, and what replaces the others.
 *
 * An allow-list. Nothing that tells the time, makes chance, touches the world, loads code, sees
 * addresses, gives a table hidden behaviour (no metatables, hence no finalizers), or differs
 * between machines (no libm functions beyond sqrt). */
#include <assert.h>
#include <stdio.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "platform/lua_int.h"

/* Registry key of the table of hidden globals. */
static const char hidden_mark;

/* Registry key of the table that holds the globals' values. */
static const char values_mark;

static const char *const base_names[] = {"assert",   "error", "ipairs", "select",
                                         "tonumber", "type",  NULL};
static const char *const string_names[] = {"byte",    "char", "len",   "lower", "rep",
                                           "reverse", "sub",  "upper", NULL};
static const char *const table_names[] = {"concat", "insert", "move", "pack",
                                          "remove", "unpack", NULL};
static const char *const math_names[] = {"abs",        "ceil", "floor",      "fmod", "huge", "max",
                                         "maxinteger", "min",  "mininteger", "modf", "pi",   "sqrt",
                                         "tointeger",  "type", "ult",        NULL};
static const char *const utf8_names[] = {"char", "charpattern", "codepoint", "codes",
                                         "len",  "offset",      NULL};

/* ---- functions of our own ---- */

/* A text for any value without an address in it. */
static void push_text(lua_State *state, int index)
{
    int type = lua_type(state, index);
    if (type == LUA_TLIGHTUSERDATA) {
        lua_pushliteral(state, "null");
    } else if (type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TUSERDATA) {
        lua_pushstring(state, lua_typename(state, type));
    } else {
        (void)luaL_tolstring(state, index, NULL);
    }
}

static int box_tostring(lua_State *state)
{
    luaL_checkany(state, 1);
    push_text(state, 1);
    return 1;
}

/* Upvalue: the library's format. */
static int box_format(lua_State *state)
{
    size_t size;
    const char *format = luaL_checklstring(state, 1, &size);
    for (size_t i = 0; i + 1 < size; i++) {
        if (format[i] != '%') {
            continue;
        }
        size_t at = i + 1;
        while (at < size && strchr("-+ #0123456789.", format[at]) != NULL && format[at] != '\0') {
            at++;
        }
        if (at < size && format[at] == 'p') {
            return luaL_error(state, "invalid conversion '%%p' to 'format': addresses differ");
        }
        i = at;
    }
    int count = lua_gettop(state);
    for (int i = 2; i <= count; i++) {
        if (lua_type(state, i) > LUA_TSTRING || lua_type(state, i) == LUA_TLIGHTUSERDATA) {
            push_text(state, i);
            lua_replace(state, i);
        }
    }
    lua_pushvalue(state, lua_upvalueindex(1));
    lua_insert(state, 1);
    lua_call(state, count, 1);
    return 1;
}

/* As Lua's, but what ended the call ends it here too. */
static int box_pcall(lua_State *state)
{
    luaL_checkany(state, 1);
    lua_pushboolean(state, 1);
    lua_insert(state, 1);
    int status = lua_pcall(state, lua_gettop(state) - 2, LUA_MULTRET, 0);
    if (status == LUA_OK) {
        return lua_gettop(state);
    }
    struct cairn_lua *lua = cairn_lua_host_of(state);
    if (status == LUA_ERRMEM) {
        lua->ended = CAIRN_LUA_END_MEMORY;
    }
    if (lua->ended != CAIRN_LUA_GOES_ON) {
        return lua_error(state);
    }
    lua->place[0] = '\0'; /* the failure is handled: a later one has its own place */
    lua_pushboolean(state, 0);
    lua_insert(state, -2);
    return 2;
}

static int box_array(lua_State *state)
{
    if (lua_isnoneornil(state, 1)) {
        lua_settop(state, 0);
        lua_createtable(state, 0, 0);
    }
    luaL_checktype(state, 1, LUA_TTABLE);
    lua_settop(state, 1);
    if (lua_getmetatable(state, 1) != 0) {
        lua_pop(state, 1);
        if (!cairn_lua_is_marked_array(state, 1)) {
            return luaL_error(state, "array: the table is read-only");
        }
    }
    cairn_lua_mark_array(state);
    return 1;
}

/* freeze(t), guard(t): for the host's own scripts, which hide them from others. */
static int box_freeze(lua_State *state)
{
    luaL_checktype(state, 1, LUA_TTABLE);
    lua_settop(state, 1);
    cairn_lua_freeze(state);
    return 1;
}

static int box_guard(lua_State *state)
{
    luaL_checktype(state, 1, LUA_TTABLE);
    lua_settop(state, 1);
    cairn_lua_guard(state);
    return 1;
}

static const luaL_Reg own_functions[] = {
    {"tostring", box_tostring}, {"pcall", box_pcall}, {"array", box_array},
    {"freeze", box_freeze},     {"guard", box_guard}, {NULL, NULL},
};

/* ---- bulk functions of the libraries: one call is one instruction to the hook, whatever it does
 * ---- */

enum { BYTES_PER_UNIT = 16 };

/* insert(t, at, x) and remove(t, at) shift what is behind. */
static uint64_t cost_of_shift(lua_State *state)
{
    lua_Integer size = (lua_Integer)lua_rawlen(state, 1);
    lua_Integer at = lua_tointeger(state, 2);
    bool shifts = lua_gettop(state) > 1 && lua_isinteger(state, 2) && at > 0 && at < size;
    return shifts ? (uint64_t)(size - at) : 0;
}

/* insert(t, x) appends. */
static uint64_t cost_of_insert(lua_State *state)
{
    return lua_gettop(state) == 3 ? cost_of_shift(state) : 0;
}

static uint64_t cost_of_move(lua_State *state)
{
    lua_Integer from = lua_tointeger(state, 2);
    lua_Integer to = lua_tointeger(state, 3);
    return to > from ? (uint64_t)to - (uint64_t)from : 0;
}

static uint64_t cost_of_list(lua_State *state)
{
    return lua_istable(state, 1) ? lua_rawlen(state, 1) : 0;
}

static uint64_t cost_of_text(lua_State *state)
{
    return lua_type(state, 1) == LUA_TSTRING ? lua_rawlen(state, 1) / BYTES_PER_UNIT : 0;
}

/* unpack(t, i, j), byte(s, i, j) fill the stack: Lua bounds them by its size. */
static const struct bulk {
    const char *library;
    const char *name;
    uint64_t (*cost)(lua_State *state);
} bulks[] = {
    {"table", "insert", cost_of_insert}, {"table", "remove", cost_of_shift},
    {"table", "move", cost_of_move},     {"table", "concat", cost_of_list},
    {"table", "unpack", cost_of_list},   {"string", "lower", cost_of_text},
    {"string", "upper", cost_of_text},   {"string", "reverse", cost_of_text},
    {"utf8", "len", cost_of_text},       {"utf8", "codepoint", cost_of_text},
    {"utf8", "offset", cost_of_text},
};

/* Upvalues: the library's function, its row of bulks. */
static int run_bulk(lua_State *state)
{
    const struct bulk *bulk = &bulks[lua_tointeger(state, lua_upvalueindex(2))];
    int count = lua_gettop(state);
    cairn_lua_charge(state, bulk->cost(state) + 1);
    lua_pushvalue(state, lua_upvalueindex(1));
    lua_insert(state, 1);
    lua_call(state, count, LUA_MULTRET);
    return lua_gettop(state);
}

/* Put the counting in front of the bulk functions of the library on top. */
static void count_bulks(lua_State *state, const char *library)
{
    for (size_t i = 0; i < sizeof(bulks) / sizeof(bulks[0]); i++) {
        if (strcmp(bulks[i].library, library) == 0) {
            (void)lua_getfield(state, -1, bulks[i].name);
            lua_pushinteger(state, (lua_Integer)i);
            lua_pushcclosure(state, run_bulk, 2);
            lua_setfield(state, -2, bulks[i].name);
        }
    }
}

/* ---- opening ---- */

/* Copy the named fields of the table at `from` into the one on top. */
static void copy_names(lua_State *state, int from, const char *const *names)
{
    for (size_t i = 0; names[i] != NULL; i++) {
        (void)lua_getfield(state, from, names[i]);
        assert(!lua_isnil(state, -1));
        lua_setfield(state, -2, names[i]);
    }
}

/* Open a library and leave a table with the named part of it on the stack. */
static void open_part(lua_State *state, lua_CFunction open, const char *name,
                      const char *const *names)
{
    luaL_requiref(state, name, open, 0);
    int from = lua_gettop(state);
    lua_createtable(state, 0, 16);
    copy_names(state, from, names);
    count_bulks(state, name);
    if (open == luaopen_string) {
        (void)lua_getfield(state, from, "format");
        lua_pushcclosure(state, box_format, 1);
        lua_setfield(state, -2, "format");
        cairn_lua_string_open(state);
    }
    if (open == luaopen_table) {
        cairn_lua_order_open_table(state);
    }
    lua_remove(state, from);
}

static const struct {
    const char *name;
    lua_CFunction open;
    const char *const *names;
} libraries[] = {
    {"string", luaopen_string, string_names},
    {"table", luaopen_table, table_names},
    {"math", luaopen_math, math_names},
    {"utf8", luaopen_utf8, utf8_names},
};

/* Methods of strings ("x":upper()) come from the same read-only front as the global. */
static void point_string_methods(lua_State *state)
{
    lua_pushliteral(state, "");
    if (lua_getmetatable(state, -1) != 0) {
        (void)lua_getfield(state, -3, "string");
        lua_setfield(state, -2, "__index");
        lua_pop(state, 1);
    }
    lua_pop(state, 1);
}

static int set_global(lua_State *state)
{
    if (cairn_lua_host_of(state)->sealed) {
        const char *name = lua_type(state, 2) == LUA_TSTRING ? lua_tostring(state, 2) : "?";
        return luaL_error(state, "attempt to set global '%s': globals do not live on", name);
    }
    (void)lua_rawgetp(state, LUA_REGISTRYINDEX, &values_mark);
    lua_insert(state, 2);
    lua_rawset(state, 2);
    return 0;
}

/* Put an empty table in front of the globals on top of the stack, and pop them: in an empty table
 * every write is a new one, so none passes set_global by. */
static void open_globals(lua_State *state)
{
    lua_createtable(state, 0, 0);
    lua_createtable(state, 0, 2);
    lua_pushvalue(state, -3);
    lua_setfield(state, -2, "__index");
    lua_pushcfunction(state, set_global);
    lua_setfield(state, -2, "__newindex");
    (void)lua_setmetatable(state, -2);
    lua_rawseti(state, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_rawsetp(state, LUA_REGISTRYINDEX, &values_mark);
}

void cairn_lua_box_open(lua_State *state)
{
    int base = lua_gettop(state);
    lua_createtable(state, 0, 0);
    lua_rawsetp(state, LUA_REGISTRYINDEX, &hidden_mark);
    luaL_requiref(state, "_G", luaopen_base, 0); /* fills the globals there are */
    int full = lua_gettop(state);
    lua_createtable(state, 0, 32);
    copy_names(state, full, base_names);
    luaL_setfuncs(state, own_functions, 0);
    cairn_lua_order_open_base(state);
    lua_pushlightuserdata(state, NULL);
    lua_setfield(state, -2, "null");
    for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
        open_part(state, libraries[i].open, libraries[i].name, libraries[i].names);
        cairn_lua_freeze(state);
        lua_setfield(state, -2, libraries[i].name);
    }
    point_string_methods(state);
    open_globals(state);
    /* Forget the whole libraries. */
    lua_pushnil(state);
    lua_setfield(state, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_settop(state, base);
}

/* ---- hiding ---- */

void cairn_lua_push_globals(lua_State *state)
{
    (void)lua_rawgetp(state, LUA_REGISTRYINDEX, &values_mark);
}

void cairn_lua_push_hidden(lua_State *state)
{
    (void)lua_rawgetp(state, LUA_REGISTRYINDEX, &hidden_mark);
}

void cairn_lua_push_named(lua_State *state, const char *name)
{
    (void)lua_rawgetp(state, LUA_REGISTRYINDEX, &hidden_mark);
    if (lua_getfield(state, -1, name) == LUA_TNIL) {
        lua_pop(state, 2);
        (void)lua_rawgetp(state, LUA_REGISTRYINDEX, &values_mark);
        (void)lua_getfield(state, -1, name);
    }
    lua_remove(state, -2);
}

static int hide_body(lua_State *state)
{
    const char *name = lua_touserdata(state, 1);
    (void)lua_rawgetp(state, LUA_REGISTRYINDEX, &hidden_mark);
    (void)lua_rawgetp(state, LUA_REGISTRYINDEX, &values_mark);
    (void)lua_getfield(state, -1, name);
    lua_setfield(state, -3, name);
    lua_pushnil(state);
    lua_setfield(state, -2, name);
    return 0;
}

enum cairn_rc cairn_lua_hide(struct cairn_lua *lua, const char *name, struct cairn_err *err)
{
    assert(!lua->sealed);
    char copy[64];
    (void)snprintf(copy, sizeof(copy), "%s", name);
    return cairn_lua_attempt(lua, hide_body, copy, err);
}
