/* Values into Lua objects and back. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>

#include "platform/lua_int.h"
#include "platform/utf8.h"

/* Its address is the registry key of the metatable that marks arrays. */
static const char array_mark;

enum { SLOTS_PER_LEVEL = 6, SMALL_MEMBERS = 16, PATH_STEP_MAX = 60 };

void cairn_lua_value_open(lua_State *state)
{
    lua_createtable(state, 0, 0);
    lua_rawsetp(state, LUA_REGISTRYINDEX, &array_mark);
}

void cairn_lua_mark_array(lua_State *state)
{
    assert(lua_istable(state, -1));
    (void)lua_rawgetp(state, LUA_REGISTRYINDEX, &array_mark);
    (void)lua_setmetatable(state, -2);
}

bool cairn_lua_is_marked_array(lua_State *state, int index)
{
    if (lua_getmetatable(state, index) == 0) {
        return false;
    }
    (void)lua_rawgetp(state, LUA_REGISTRYINDEX, &array_mark);
    bool marked = lua_rawequal(state, -1, -2) == 1;
    lua_pop(state, 2);
    return marked;
}

static bool fail(struct cairn_lua_crossing *crossing, enum cairn_rc rc, const char *why)
{
    crossing->rc = rc;
    crossing->why = why;
    crossing->path[0] = '\0';
    return false;
}

/* Put a step in front of the path, as the failure travels outwards. Always false. */
static bool step_out(struct cairn_lua_crossing *crossing, const char *step, size_t size)
{
    char whole[sizeof(crossing->path)];
    bool inner = crossing->path[0] != '\0' && crossing->path[0] != '[';
    int size_cut = (int)(size > PATH_STEP_MAX ? PATH_STEP_MAX : size);
    int printed = snprintf(whole, sizeof(whole), "%.*s%s%s", size_cut, step, inner ? "." : "",
                           crossing->path);
    assert(printed >= 0); /* a path too long to print loses its inner end */
    (void)printed;
    memcpy(crossing->path, whole, sizeof(whole));
    return false;
}

static bool step_out_index(struct cairn_lua_crossing *crossing, uint32_t index)
{
    char step[16];
    int size = snprintf(step, sizeof(step), "[%u]", index);
    return step_out(crossing, step, (size_t)size);
}

enum cairn_rc cairn_lua_crossing_fail(const struct cairn_lua_crossing *crossing, const char *what,
                                      struct cairn_err *err)
{
    assert(crossing->why != NULL);
    return CAIRN_FAIL(err, crossing->rc, "%s%s%s: %s", what, crossing->path[0] == '\0' ? "" : ": ",
                      crossing->path, crossing->why);
}

/* ---- value -> Lua ---- */

static bool push(lua_State *state, const struct cairn_value *value,
                 struct cairn_lua_crossing *crossing, int depth);

static bool push_array(lua_State *state, const struct cairn_value *value,
                       struct cairn_lua_crossing *crossing, int depth)
{
    lua_createtable(state, (int)(value->count > INT32_MAX ? INT32_MAX : value->count), 0);
    cairn_lua_mark_array(state);
    for (uint32_t i = 0; i < value->count; i++) {
        if (!push(state, &value->as.items[i], crossing, depth)) {
            return step_out_index(crossing, i + 1);
        }
        lua_rawseti(state, -2, (lua_Integer)i + 1);
    }
    return true;
}

static bool push_map(lua_State *state, const struct cairn_value *value,
                     struct cairn_lua_crossing *crossing, int depth)
{
    lua_createtable(state, 0, (int)(value->count > INT32_MAX ? INT32_MAX : value->count));
    for (uint32_t i = 0; i < value->count; i++) {
        const struct cairn_member *member = &value->as.members[i];
        if (member->key.type != CAIRN_STRING) {
            return fail(crossing, CAIRN_EINVAL, "a key is no string");
        }
        cairn_lua_push_key(state, crossing->keys_table, crossing->keys,
                           cairn_value_slice(&member->key));
        if (!push(state, &member->value, crossing, depth)) {
            return step_out(crossing, member->key.as.bytes, member->key.count);
        }
        lua_rawset(state, -3);
    }
    return true;
}

static bool push_container(lua_State *state, const struct cairn_value *value,
                           struct cairn_lua_crossing *crossing, int depth)
{
    if (depth >= CAIRN_VALUE_DEPTH_MAX) {
        return fail(crossing, CAIRN_EINVAL, "nested too deeply");
    }
    luaL_checkstack(state, SLOTS_PER_LEVEL, "value");
    return value->type == CAIRN_ARRAY ? push_array(state, value, crossing, depth + 1)
                                      : push_map(state, value, crossing, depth + 1);
}

static bool push(lua_State *state, const struct cairn_value *value,
                 struct cairn_lua_crossing *crossing, int depth)
{
    switch (value->type) {
    case CAIRN_STRING:
        (void)lua_pushlstring(state, value->count == 0 ? "" : value->as.bytes, value->count);
        return true;
    case CAIRN_INT:
        lua_pushinteger(state, value->as.integer);
        return true;
    case CAIRN_FLOAT:
        lua_pushnumber(state, value->as.number);
        return true;
    case CAIRN_BOOL:
        lua_pushboolean(state, value->as.boolean);
        return true;
    case CAIRN_NULL:
        lua_pushlightuserdata(state, NULL);
        return true;
    case CAIRN_ARRAY:
    case CAIRN_MAP:
        return push_container(state, value, crossing, depth);
    case CAIRN_UINT:
        return fail(crossing, CAIRN_EINVAL, "an integer above 9223372036854775807");
    case CAIRN_BIN:
    case CAIRN_EXT:
        return fail(crossing, CAIRN_EINVAL, "bytes have no form in Lua");
    case CAIRN_DECIMAL:
        return fail(crossing, CAIRN_EINVAL, "a number of more digits than Lua's hold");
    }
    return fail(crossing, CAIRN_EINVAL, "of no known type");
}

bool cairn_lua_push_value(lua_State *state, const struct cairn_value *value,
                          struct cairn_lua_crossing *crossing)
{
    assert(value != NULL);
    if (value->type != CAIRN_MAP && value->type != CAIRN_ARRAY) {
        return push(state, value, crossing, 0);
    }
    struct cairn_lua *lua = cairn_lua_host_of(state);
    crossing->keys = lua->keys;
    (void)lua_rawgeti(state, LUA_REGISTRYINDEX, lua->keys_table);
    crossing->keys_table = lua_gettop(state);
    bool pushed = push(state, value, crossing, 0);
    lua_remove(state, crossing->keys_table);
    return pushed;
}

/* ---- Lua -> value ---- */

static bool read(lua_State *state, int index, struct cairn_lua_crossing *crossing, int depth,
                 struct cairn_value *ret_value);

static bool read_text(lua_State *state, int index, struct cairn_lua_crossing *crossing,
                      struct cairn_value *ret_value)
{
    struct cairn_slice text;
    text.data = lua_tolstring(state, index, &text.size);
    if (!cairn_utf8_is_valid(text)) {
        return fail(crossing, CAIRN_EINVAL, "a string is not UTF-8");
    }
    struct cairn_slice copy;
    if (cairn_arena_copy(crossing->arena, text, &copy) != CAIRN_OK) {
        return fail(crossing, CAIRN_ENOMEM, "out of memory");
    }
    *ret_value = cairn_value_string(copy);
    return true;
}

static bool read_number(lua_State *state, int index, struct cairn_lua_crossing *crossing,
                        struct cairn_value *ret_value)
{
    if (lua_isinteger(state, index)) {
        *ret_value = cairn_value_int(lua_tointeger(state, index));
        return true;
    }
    double number = lua_tonumber(state, index);
    if (!isfinite(number)) {
        return fail(crossing, CAIRN_EINVAL, "a number that is not finite");
    }
    *ret_value = cairn_value_float(number);
    return true;
}

static bool read_array(lua_State *state, int index, struct cairn_lua_crossing *crossing, int depth,
                       struct cairn_value *ret_value)
{
    uint64_t length = lua_rawlen(state, index);
    if (length > UINT32_MAX) {
        return fail(crossing, CAIRN_EINVAL, "too many items");
    }
    uint32_t count = (uint32_t)length;
    struct cairn_value *items = cairn_arena_zalloc(crossing->arena, count, sizeof(*items));
    if (items == NULL && count > 0) {
        return fail(crossing, CAIRN_ENOMEM, "out of memory");
    }
    for (uint32_t i = 0; i < count; i++) {
        (void)lua_rawgeti(state, index, (lua_Integer)i + 1);
        if (!read(state, lua_gettop(state), crossing, depth, &items[i])) {
            return step_out_index(crossing, i + 1);
        }
        lua_pop(state, 1);
    }
    *ret_value = (struct cairn_value){.type = CAIRN_ARRAY, .count = count, .as.items = items};
    return true;
}

static int compare_members(const void *a, const void *b)
{
    const struct cairn_member *left = a;
    const struct cairn_member *right = b;
    return cairn_slice_compare(cairn_value_slice(&left->key), cairn_value_slice(&right->key));
}

/* The first eight bytes of a key, as a number that is in the order of keys where it differs. */
static uint64_t head_of(struct cairn_slice key)
{
    enum { HEAD = 8 };
    uint64_t head = 0;
    if (key.size >= HEAD) {
        for (size_t i = 0; i < HEAD; i++) {
            head = head << 8 | (unsigned char)key.data[i];
        }
        return head;
    }
    for (size_t i = 0; i < HEAD; i++) {
        head = head << 8 | (i < key.size ? (unsigned char)key.data[i] : 0);
    }
    return head;
}

/* A member with what its key begins with. */
struct headed {
    uint64_t head;
    const struct cairn_member *member;
};

static bool is_behind(const struct headed *a, const struct headed *b)
{
    return a->head > b->head || (a->head == b->head && compare_members(a->member, b->member) > 0);
}

/* Copy a few members in the order of their keys: that of a Lua table differs from run to run, a
 * value's must not. */
static void copy_sorted(const struct cairn_member *found, uint32_t count,
                        struct cairn_member *members)
{
    struct headed order[SMALL_MEMBERS] = {{0}};
    assert(count <= SMALL_MEMBERS);
    for (uint32_t i = 0; i < count; i++) {
        struct headed moving = {head_of(cairn_value_slice(&found[i].key)), &found[i]};
        uint32_t at = i;
        while (at > 0 && is_behind(&order[at - 1], &moving)) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = moving;
    }
    for (uint32_t i = 0; i < count; i++) {
        members[i] = *order[i].member;
    }
}

/* The member whose key and value are on top of the stack; pops the value. */
static bool read_member(lua_State *state, struct cairn_lua_crossing *crossing, int depth,
                        struct cairn_member *ret_member)
{
    int top = lua_gettop(state);
    if (!read_text(state, top - 1, crossing, &ret_member->key)) {
        return false;
    }
    if (!read(state, top, crossing, depth, &ret_member->value)) {
        return step_out(crossing, ret_member->key.as.bytes, ret_member->key.count);
    }
    lua_pop(state, 1);
    return true;
}

static bool read_map(lua_State *state, int index, uint32_t count,
                     struct cairn_lua_crossing *crossing, int depth, struct cairn_value *ret_value)
{
    struct cairn_member *members = cairn_arena_zalloc(crossing->arena, count, sizeof(*members));
    if (members == NULL && count > 0) {
        return fail(crossing, CAIRN_ENOMEM, "out of memory");
    }
    uint32_t at = 0;
    lua_pushnil(state);
    while (lua_next(state, index) != 0) {
        assert(at < count);
        if (!read_member(state, crossing, depth, &members[at++])) {
            return false;
        }
    }
    if (count > 0) {
        qsort(members, count, sizeof(*members), compare_members);
    }
    *ret_value = (struct cairn_value){.type = CAIRN_MAP, .count = count, .as.members = members};
    return true;
}

/* Count the keys of a table by kind. False when there is one of no use. */
static bool count_keys(lua_State *state, int index, uint64_t *ret_strings, uint64_t *ret_indexes)
{
    uint64_t length = lua_rawlen(state, index);
    *ret_strings = 0;
    *ret_indexes = 0;
    lua_pushnil(state);
    while (lua_next(state, index) != 0) {
        lua_pop(state, 1);
        if (lua_type(state, -1) == LUA_TSTRING) {
            (*ret_strings)++;
        } else if (lua_isinteger(state, -1) && lua_tointeger(state, -1) >= 1 &&
                   (uint64_t)lua_tointeger(state, -1) <= length) {
            (*ret_indexes)++;
        } else {
            lua_pop(state, 1);
            return false;
        }
    }
    return true;
}

enum small_end { SMALL_READ, SMALL_FAILED, SMALL_TOO_MANY };

/* A table without a list part and with few members, which most are, in one walk. */
static enum small_end read_small(lua_State *state, int index, struct cairn_lua_crossing *crossing,
                                 int depth, struct cairn_value *ret_value)
{
    struct cairn_member found[SMALL_MEMBERS];
    uint32_t count = 0;
    lua_pushnil(state);
    while (lua_next(state, index) != 0) {
        if (count == SMALL_MEMBERS || lua_type(state, -2) != LUA_TSTRING) {
            lua_pop(state, 2);
            return SMALL_TOO_MANY; /* the careful way says what is wrong, if anything is */
        }
        if (!read_member(state, crossing, depth, &found[count++])) {
            return SMALL_FAILED;
        }
    }
    struct cairn_member *members = cairn_arena_alloc(crossing->arena, count * sizeof(*members));
    if (members == NULL) {
        (void)fail(crossing, CAIRN_ENOMEM, "out of memory");
        return SMALL_FAILED;
    }
    copy_sorted(found, count, members);
    *ret_value = (struct cairn_value){.type = CAIRN_MAP, .count = count, .as.members = members};
    if (count == 0 && cairn_lua_is_marked_array(state, index)) {
        *ret_value = (struct cairn_value){.type = CAIRN_ARRAY};
    }
    return SMALL_READ;
}

static bool read_large(lua_State *state, int index, struct cairn_lua_crossing *crossing, int depth,
                       struct cairn_value *ret_value)
{
    uint64_t strings;
    uint64_t indexes;
    if (!count_keys(state, index, &strings, &indexes)) {
        return fail(crossing, CAIRN_EINVAL, "a table's keys are neither strings nor 1..n");
    }
    if (strings > 0 && indexes > 0) {
        return fail(crossing, CAIRN_EINVAL, "a table mixes string keys and 1..n");
    }
    if (indexes != lua_rawlen(state, index)) {
        return fail(crossing, CAIRN_EINVAL, "a list has holes");
    }
    if (strings > UINT32_MAX) {
        return fail(crossing, CAIRN_EINVAL, "too many members");
    }
    return indexes > 0 ? read_array(state, index, crossing, depth, ret_value)
                       : read_map(state, index, (uint32_t)strings, crossing, depth, ret_value);
}

static bool read_table(lua_State *state, int index, struct cairn_lua_crossing *crossing, int depth,
                       struct cairn_value *ret_value)
{
    if (depth >= CAIRN_VALUE_DEPTH_MAX) {
        return fail(crossing, CAIRN_EINVAL, "nested too deeply, or within itself");
    }
    luaL_checkstack(state, SLOTS_PER_LEVEL, "value");
    cairn_lua_unface(state, index);
    if (lua_rawlen(state, index) == 0) {
        enum small_end end = read_small(state, index, crossing, depth + 1, ret_value);
        if (end != SMALL_TOO_MANY) {
            return end == SMALL_READ;
        }
    }
    return read_large(state, index, crossing, depth + 1, ret_value);
}

static bool read(lua_State *state, int index, struct cairn_lua_crossing *crossing, int depth,
                 struct cairn_value *ret_value)
{
    assert(index > 0);
    switch (lua_type(state, index)) {
    case LUA_TSTRING:
        return read_text(state, index, crossing, ret_value);
    case LUA_TNUMBER:
        return read_number(state, index, crossing, ret_value);
    case LUA_TBOOLEAN:
        *ret_value = cairn_value_bool(lua_toboolean(state, index) == 1);
        return true;
    case LUA_TNIL:
    case LUA_TLIGHTUSERDATA:
        *ret_value = cairn_value_null();
        return true;
    case LUA_TTABLE:
        return read_table(state, index, crossing, depth, ret_value);
    default:
        return fail(crossing, CAIRN_EINVAL, "a function is no data");
    }
}

bool cairn_lua_read_value(lua_State *state, int index, struct cairn_lua_crossing *crossing,
                          struct cairn_value *ret_value)
{
    return read(state, lua_absindex(state, index), crossing, 0, ret_value);
}
