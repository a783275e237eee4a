/* Keys of tables, kept as Lua strings.
 *
 * Lua hashes each byte of a short string that it is given, to find the one it has. The members of
 * commands, events and rows have the same few names again and again, so the host remembers them by
 * a cheaper hash and pushes the string it kept. A table of fixed size: a name drives out the one
 * that was in its place. */
#include <assert.h>

#include <lauxlib.h>
#include <lua.h>

#include "platform/lua_int.h"

#define MULTIPLIER 0x9E3779B97F4A7C15u /* 2^64 divided by the golden ratio */

static_assert((CAIRN_LUA_KEYS & (CAIRN_LUA_KEYS - 1)) == 0, "a power of two");

void cairn_lua_keys_open(lua_State *state)
{
    struct cairn_lua *lua = cairn_lua_host_of(state);
    lua_createtable(state, CAIRN_LUA_KEYS, 0);
    for (int i = 1; i <= CAIRN_LUA_KEYS; i++) {
        lua_pushboolean(state, 0);
        lua_rawseti(state, -2, i);
    }
    lua->keys_table = luaL_ref(state, LUA_REGISTRYINDEX);
}

/* Both ends of the key and its size: names differ there. */
static size_t place_of(struct cairn_slice key)
{
    uint64_t head = 0;
    uint64_t tail = 0;
    assert(key.size > 0);
    if (key.size >= sizeof(head)) {
        memcpy(&head, key.data, sizeof(head));
        memcpy(&tail, key.data + key.size - sizeof(tail), sizeof(tail));
    } else {
        for (size_t i = 0; i < key.size; i++) {
            head = head << 8 | (unsigned char)key.data[i];
        }
    }
    uint64_t hash = (head ^ tail * MULTIPLIER ^ key.size) * MULTIPLIER;
    return (size_t)(hash >> 32) & (CAIRN_LUA_KEYS - 1);
}

void cairn_lua_push_key(lua_State *state, int table, struct cairn_lua_key *keys,
                        struct cairn_slice key)
{
    if (key.size == 0 || key.size > CAIRN_LUA_KEY_BYTES_MAX) {
        (void)lua_pushlstring(state, key.size == 0 ? "" : key.data, key.size);
        return;
    }
    size_t place = place_of(key);
    struct cairn_lua_key *kept = &keys[place];
    if (kept->size == key.size && memcmp(kept->text, key.data, key.size) == 0) {
        (void)lua_rawgeti(state, table, (lua_Integer)place + 1);
        assert(lua_type(state, -1) == LUA_TSTRING);
        return;
    }
    (void)lua_pushlstring(state, key.data, key.size); /* may raise: the place is as before then */
    lua_pushvalue(state, -1);
    lua_rawseti(state, table, (lua_Integer)place + 1);
    kept->size = (unsigned char)key.size;
    memcpy(kept->text, key.data, key.size);
}
