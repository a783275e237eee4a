/* Whatever depends on an order: pairs, next, table.sort.
 *
 * Lua walks a table in an order that depends on addresses and on a hash seed taken from the clock.
 * Domain code must give the same answer on every machine, so here a walk is in the order of keys:
 * numbers ascending, then strings bytewise, then false and true. */
#include <assert.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>

#include "platform/lua_int.h"

enum key_kind { KEY_NUMBER, KEY_STRING, KEY_BOOL };

struct key {
    enum key_kind kind;
    bool is_float;
    union {
        lua_Integer integer; /* also a boolean, as 0 and 1 */
        lua_Number number;
        struct cairn_slice text; /* of a string that the table holds */
    } as;
};

/* The key at index; other kinds have no order and are an error. */
static void read_key(lua_State *state, int index, struct key *ret_key)
{
    *ret_key = (struct key){.kind = KEY_NUMBER};
    switch (lua_type(state, index)) {
    case LUA_TSTRING:
        ret_key->kind = KEY_STRING;
        ret_key->as.text.data = lua_tolstring(state, index, &ret_key->as.text.size);
        return;
    case LUA_TNUMBER:
        ret_key->is_float = lua_isinteger(state, index) == 0;
        if (ret_key->is_float) {
            ret_key->as.number = lua_tonumber(state, index);
        } else {
            ret_key->as.integer = lua_tointeger(state, index);
        }
        return;
    case LUA_TBOOLEAN:
        ret_key->kind = KEY_BOOL;
        ret_key->as.integer = lua_toboolean(state, index);
        return;
    default:
        (void)luaL_error(state, "a key of type %s has no order", luaL_typename(state, index));
    }
}

static void push_key(lua_State *state, const struct key *key)
{
    if (key->kind == KEY_STRING) {
        (void)lua_pushlstring(state, key->as.text.data, key->as.text.size);
    } else if (key->kind == KEY_BOOL) {
        lua_pushboolean(state, key->as.integer == 1);
    } else if (key->is_float) {
        lua_pushnumber(state, key->as.number);
    } else {
        lua_pushinteger(state, key->as.integer);
    }
}

static int compare_numbers(const struct key *a, const struct key *b)
{
    struct cairn_value left =
        a->is_float ? cairn_value_float(a->as.number) : cairn_value_int(a->as.integer);
    struct cairn_value right =
        b->is_float ? cairn_value_float(b->as.number) : cairn_value_int(b->as.integer);
    return cairn_value_compare_numbers(&left, &right);
}

static int compare_keys(const void *a, const void *b)
{
    const struct key *left = a;
    const struct key *right = b;
    if (left->kind != right->kind) {
        return left->kind < right->kind ? -1 : 1;
    }
    if (left->kind == KEY_STRING) {
        return cairn_slice_compare(left->as.text, right->as.text);
    }
    if (left->is_float || right->is_float) {
        return compare_numbers(left, right);
    }
    return (left->as.integer > right->as.integer) - (left->as.integer < right->as.integer);
}

/* The table of argument 1, a face looked behind. */
static void take_table(lua_State *state)
{
    luaL_checktype(state, 1, LUA_TTABLE);
    cairn_lua_unface(state, 1);
}

/* Pushes a userdata with the sorted keys of the table at 1. */
static const struct key *sorted_keys(lua_State *state, size_t *ret_count)
{
    size_t count = 0;
    lua_pushnil(state);
    while (lua_next(state, 1) != 0) {
        lua_pop(state, 1);
        count++;
    }
    cairn_lua_charge(state, 2 * count);
    struct key *keys = lua_newuserdatauv(state, (count == 0 ? 1 : count) * sizeof(*keys), 0);
    size_t at = 0;
    lua_pushnil(state);
    while (lua_next(state, 1) != 0) {
        lua_pop(state, 1);
        assert(at < count);
        read_key(state, -1, &keys[at++]);
    }
    qsort(keys, count, sizeof(*keys), compare_keys);
    *ret_count = count;
    return keys;
}

/* Upvalues: the table, its keys in order, how many have been seen. */
static int pairs_step(lua_State *state)
{
    lua_Integer at = lua_tointeger(state, lua_upvalueindex(3));
    bool face = lua_toboolean(state, lua_upvalueindex(4)) == 1;
    for (;;) {
        at++;
        lua_settop(state, 0);
        if (lua_rawgeti(state, lua_upvalueindex(2), at) == LUA_TNIL) {
            return 1;
        }
        lua_pushvalue(state, -1);
        /* A key removed during the walk is passed over. */
        if (lua_rawget(state, lua_upvalueindex(1)) != LUA_TNIL) {
            break;
        }
    }
    lua_pushinteger(state, at);
    lua_replace(state, lua_upvalueindex(3));
    if (face && lua_istable(state, -1)) {
        cairn_lua_push_face(state, -1);
    }
    lua_pushvalue(state, 1);
    lua_insert(state, -2);
    return 2;
}

static int pairs(lua_State *state)
{
    size_t count;
    lua_settop(state, 1);
    luaL_checktype(state, 1, LUA_TTABLE);
    lua_pushvalue(state, 1);
    take_table(state);
    bool face = lua_rawequal(state, 1, 2) == 0;
    const struct key *keys = sorted_keys(state, &count);
    lua_createtable(state, (int)(count > INT32_MAX ? INT32_MAX : count), 0);
    for (size_t i = 0; i < count; i++) {
        push_key(state, &keys[i]);
        lua_rawseti(state, -2, (lua_Integer)i + 1);
    }
    lua_pushvalue(state, 1);
    lua_insert(state, -2);
    lua_pushinteger(state, 0);
    lua_pushboolean(state, face);
    lua_pushcclosure(state, pairs_step, 4);
    return 1;
}

/* next(t, key): the smallest key above key. Linear, and charged for. */
static int next(lua_State *state)
{
    struct key after;
    struct key best;
    struct key seen;
    bool found = false;
    lua_settop(state, 2);
    luaL_checktype(state, 1, LUA_TTABLE);
    lua_pushvalue(state, 1);
    take_table(state);
    bool face = lua_rawequal(state, 1, 3) == 0;
    bool first = lua_isnil(state, 2);
    if (!first) {
        read_key(state, 2, &after);
    }
    uint64_t count = 0;
    lua_pushnil(state);
    while (lua_next(state, 1) != 0) {
        lua_pop(state, 1);
        count++;
        read_key(state, -1, &seen);
        if ((first || compare_keys(&seen, &after) > 0) &&
            (!found || compare_keys(&seen, &best) < 0)) {
            best = seen;
            found = true;
        }
    }
    cairn_lua_charge(state, count);
    if (!found) {
        lua_pushnil(state);
        return 1;
    }
    push_key(state, &best);
    lua_pushvalue(state, -1);
    (void)lua_rawget(state, 1);
    if (face && lua_istable(state, -1)) {
        cairn_lua_push_face(state, -1);
        lua_remove(state, -2);
    }
    return 2;
}

/* ---- table.sort: a merge sort, stable, and without the library's pivot taken from the clock ----
 */

enum { LIST = 1, LESS = 2, FROM = 3, INTO = 4 }; /* stack indexes of sort */

/* Is item b, at `right` of FROM, less than item a at `left`? */
static bool is_less(lua_State *state, lua_Integer right, lua_Integer left)
{
    bool less;
    if (lua_isnil(state, LESS)) {
        (void)lua_rawgeti(state, FROM, right);
        (void)lua_rawgeti(state, FROM, left);
        less = lua_compare(state, -2, -1, LUA_OPLT) == 1;
        lua_pop(state, 2);
    } else {
        lua_pushvalue(state, LESS);
        (void)lua_rawgeti(state, FROM, right);
        (void)lua_rawgeti(state, FROM, left);
        lua_call(state, 2, 1);
        less = lua_toboolean(state, -1) == 1;
        lua_pop(state, 1);
    }
    return less;
}

/* Merge FROM[begin..middle) and FROM[middle..end) into INTO. */
static void merge(lua_State *state, lua_Integer begin, lua_Integer middle, lua_Integer end)
{
    lua_Integer left = begin;
    lua_Integer right = middle;
    for (lua_Integer at = begin; at < end; at++) {
        bool take_right = left >= middle || (right < end && is_less(state, right, left));
        (void)lua_rawgeti(state, FROM, take_right ? right++ : left++);
        lua_rawseti(state, INTO, at);
    }
    assert(left == middle && right == end);
}

static int sort(lua_State *state)
{
    lua_settop(state, 2);
    luaL_checktype(state, LIST, LUA_TTABLE);
    if (!lua_isnil(state, LESS)) {
        luaL_checktype(state, LESS, LUA_TFUNCTION);
    }
    lua_Integer count = luaL_len(state, LIST);
    luaL_argcheck(state, count >= 0 && count < INT32_MAX, LIST, "list too long");
    lua_createtable(state, (int)count, 0);
    lua_createtable(state, (int)count, 0);
    for (lua_Integer i = 1; i <= count; i++) {
        (void)lua_geti(state, LIST, i);
        lua_rawseti(state, FROM, i);
    }
    for (lua_Integer width = 1; width < count; width *= 2) {
        cairn_lua_charge(state, (uint64_t)count);
        for (lua_Integer begin = 1; begin <= count; begin += 2 * width) {
            lua_Integer middle = begin + width <= count ? begin + width : count + 1;
            lua_Integer end = begin + 2 * width <= count ? begin + 2 * width : count + 1;
            merge(state, begin, middle, end);
        }
        lua_rotate(state, FROM, 1); /* what was merged into is the next round's source */
    }
    for (lua_Integer i = 1; i <= count; i++) {
        (void)lua_rawgeti(state, FROM, i);
        lua_seti(state, LIST, i); /* a face refuses here */
    }
    return 0;
}

static const luaL_Reg base_functions[] = {{"pairs", pairs}, {"next", next}, {NULL, NULL}};
static const luaL_Reg table_functions[] = {{"sort", sort}, {NULL, NULL}};

void cairn_lua_order_open_base(lua_State *state)
{
    luaL_setfuncs(state, base_functions, 0);
}

void cairn_lua_order_open_table(lua_State *state)
{
    luaL_setfuncs(state, table_functions, 0);
}
