/* Functions of ours that scripts call, and the frame through which they see the call. */
#include <assert.h>

#include <lauxlib.h>
#include <lua.h>

#include "platform/lua_int.h"
#include "platform/mem.h"

struct cairn_lua_frame {
    lua_State *state;
    int args;    /* at stack indexes 1..args */
    int results; /* behind them */
};

/* Upvalue: the binding. The error text lies on the Lua stack when the C frame is left. */
static int run_binding(lua_State *state)
{
    const struct cairn_lua_binding *binding = lua_touserdata(state, lua_upvalueindex(1));
    struct cairn_lua_frame frame = {.state = state, .args = lua_gettop(state)};
    struct cairn_err err;
    if (binding->fn(binding->self, &frame, &err) != CAIRN_OK) {
        return luaL_error(state, "%s", err.text);
    }
    return frame.results;
}

struct register_op {
    const char *table;
    const char *name;
    struct cairn_lua_binding *binding;
};

static int register_body(lua_State *state)
{
    const struct register_op *op = lua_touserdata(state, 1);
    if (op->table != NULL) {
        cairn_lua_push_named(state, op->table);
        if (lua_isnil(state, -1)) {
            lua_createtable(state, 0, 4);
            lua_pushvalue(state, -1);
            lua_setglobal(state, op->table);
        }
    } else {
        lua_pushglobaltable(state);
    }
    lua_pushlightuserdata(state, op->binding);
    lua_pushcclosure(state, run_binding, 1);
    lua_setfield(state, -2, op->name);
    return 0;
}

enum cairn_rc cairn_lua_register(struct cairn_lua *lua, const char *table, const char *name,
                                 cairn_lua_host_fn fn, void *self, struct cairn_err *err)
{
    assert(!lua->sealed);
    assert(fn != NULL);
    struct cairn_lua_binding *binding = cairn_mem_zalloc(1, sizeof(*binding));
    if (binding == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a host function");
    }
    *binding = (struct cairn_lua_binding){.next = lua->bindings, .fn = fn, .self = self};
    lua->bindings = binding; /* freed with the host, also when registering fails half way */
    struct register_op op = {.table = table, .name = name, .binding = binding};
    return cairn_lua_attempt(lua, register_body, &op, err);
}

size_t cairn_lua_frame_count(const struct cairn_lua_frame *frame)
{
    return (size_t)frame->args;
}

enum cairn_rc cairn_lua_frame_value(struct cairn_lua_frame *frame, size_t index,
                                    struct cairn_arena *arena, struct cairn_value *ret_value,
                                    struct cairn_err *err)
{
    if (index >= (size_t)frame->args) {
        *ret_value = cairn_value_null();
        return CAIRN_OK;
    }
    /* Reading looks behind faces in place: on a copy, so that the script's argument stays. Without
     * room for it the read must not start, because a Lua error would leave our caller's frame. */
    struct cairn_lua_crossing crossing = {.arena = arena};
    struct cairn_value value;
    if (lua_checkstack(frame->state, CAIRN_LUA_READ_SLOTS) == 0) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "the script's stack is full");
    }
    lua_pushvalue(frame->state, (int)index + 1);
    int top = lua_gettop(frame->state);
    bool crossed = cairn_lua_read_value(frame->state, top, &crossing, &value);
    lua_settop(frame->state, top - 1);
    if (!crossed) {
        return cairn_lua_crossing_fail(&crossing, "argument", err);
    }
    *ret_value = value;
    return CAIRN_OK;
}

enum cairn_rc cairn_lua_frame_text(struct cairn_lua_frame *frame, size_t index,
                                   struct cairn_slice *ret_text, struct cairn_err *err)
{
    int at = (int)index + 1;
    if (index >= (size_t)frame->args || lua_type(frame->state, at) != LUA_TSTRING) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "argument %zu must be a string", index + 1);
    }
    ret_text->data = lua_tolstring(frame->state, at, &ret_text->size);
    return CAIRN_OK;
}

struct return_op {
    const struct cairn_value *value;
    struct cairn_lua_crossing crossing;
};

static int return_body(lua_State *state)
{
    struct return_op *op = lua_touserdata(state, 1);
    return cairn_lua_push_value(state, op->value, &op->crossing) ? 1 : 0;
}

enum cairn_rc cairn_lua_frame_return(struct cairn_lua_frame *frame, const struct cairn_value *value,
                                     struct cairn_err *err)
{
    lua_State *state = frame->state;
    struct return_op op = {.value = value};
    /* Protected: a Lua error must not jump over the frames of the function that we serve. */
    if (lua_checkstack(state, 3) == 0) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "the script's stack is full");
    }
    lua_pushcfunction(state, return_body);
    lua_pushlightuserdata(state, &op);
    if (lua_pcall(state, 1, 1, 0) != LUA_OK) {
        lua_pop(state, 1);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "the script's memory is out");
    }
    if (op.crossing.why != NULL) {
        lua_pop(state, 1);
        return cairn_lua_crossing_fail(&op.crossing, "result", err);
    }
    frame->results++;
    return CAIRN_OK;
}
