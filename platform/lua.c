#include "platform/lua.h"

#include <assert.h>
#include <stdio.h>

#include <lauxlib.h>
#include <lua.h>

#include "platform/lua_int.h"
#include "platform/mem.h"

/* ---- protected calls ---- */

/* Message handler: the stack is still that of the failure. */
static int on_error(lua_State *state)
{
    cairn_lua_note_place(cairn_lua_host_of(state));
    return 1;
}

int cairn_lua_protect(struct cairn_lua *lua, int (*body)(lua_State *), void *op)
{
    lua_State *state = lua->state;
    int base = lua_gettop(state);
    lua_pushcfunction(state, on_error);
    lua_pushcfunction(state, body);
    lua_pushlightuserdata(state, op);
    int status = lua_pcall(state, 1, 0, base + 1);
    lua_remove(state, base + 1);
    assert(lua_gettop(state) == base + (status == LUA_OK ? 0 : 1));
    return status;
}

/* The library's buffers throw this text where the allocator refuses them. */
static bool is_memory_error(lua_State *state, int status)
{
    return status == LUA_ERRMEM || (lua_type(state, -1) == LUA_TSTRING &&
                                    strcmp(lua_tostring(state, -1), "not enough memory") == 0);
}

enum cairn_rc cairn_lua_report(struct cairn_lua *lua, int status, struct cairn_err *err)
{
    lua_State *state = lua->state;
    assert(status != LUA_OK);
    const char *at = lua->place;
    enum cairn_rc rc;
    if (is_memory_error(state, status) || lua->ended == CAIRN_LUA_END_MEMORY) {
        rc = lua->refusals == 0
                 ? CAIRN_FAIL(err, CAIRN_ENOMEM, "the script's host is out of memory")
                 : CAIRN_FAIL(err, CAIRN_ESCRIPT,
                              "%s: takes too much memory (a call may add %zu MiB, a string holds "
                              "at most %u bytes)",
                              at[0] == '\0' ? "?" : at, lua->limits.call_memory_bytes >> 20,
                              CAIRN_LUA_STRING_BYTES_MAX);
    } else if (lua_type(state, -1) == LUA_TSTRING) {
        const char *text = lua_tostring(state, -1);
        bool placed = at[0] == '\0' || strncmp(text, at, strlen(at)) == 0;
        rc = CAIRN_FAIL(err, CAIRN_ESCRIPT, "%s%s%s", placed ? "" : at, placed ? "" : ": ", text);
    } else {
        rc = CAIRN_FAIL(err, CAIRN_ESCRIPT, "%s: threw a %s", at[0] == '\0' ? "?" : at,
                        luaL_typename(state, -1));
    }
    lua_pop(state, 1);
    return rc;
}

enum cairn_rc cairn_lua_attempt(struct cairn_lua *lua, int (*body)(lua_State *), void *op,
                                struct cairn_err *err)
{
    cairn_lua_begin(lua);
    int status = cairn_lua_protect(lua, body, op);
    cairn_lua_finish(lua);
    return status == LUA_OK ? CAIRN_OK : cairn_lua_report(lua, status, err);
}

/* ---- life ---- */

static int open_body(lua_State *state)
{
    cairn_lua_value_open(state);
    cairn_lua_face_open(state);
    cairn_lua_keys_open(state);
    cairn_lua_box_open(state);
    return 0;
}

enum cairn_rc cairn_lua_new(const struct cairn_lua_limits *limits, struct cairn_lua **ret_lua,
                            struct cairn_err *err)
{
    struct cairn_lua *lua = cairn_mem_zalloc(1, sizeof(*lua));
    if (lua == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a Lua host");
    }
    cairn_lua_fill_limits(lua, limits);
    lua_State *state = lua_newstate(cairn_lua_allocate, lua);
    if (state == NULL) {
        cairn_lua_pool_fini(&lua->pool);
        cairn_mem_free(lua);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a Lua host");
    }
    memcpy(lua_getextraspace(state), &lua, sizeof(lua));
    lua->state = state;
    enum cairn_rc rc = cairn_lua_attempt(lua, open_body, lua, err);
    if (rc != CAIRN_OK) {
        cairn_lua_free(lua);
        return rc;
    }
    cairn_lua_watch(lua);
    *ret_lua = lua;
    return CAIRN_OK;
}

void cairn_lua_free(struct cairn_lua *lua)
{
    if (lua == NULL) {
        return;
    }
    assert(!lua->busy);
    lua_State *state = lua->state;
    lua->state = NULL;
    lua_close(state);
    assert(lua->used == 0);
    cairn_lua_pool_fini(&lua->pool);
    while (lua->bindings != NULL) {
        struct cairn_lua_binding *next = lua->bindings->next;
        cairn_mem_free(lua->bindings);
        lua->bindings = next;
    }
    cairn_mem_free(lua);
}

size_t cairn_lua_memory(const struct cairn_lua *lua)
{
    return lua->used;
}

void cairn_lua_unref(struct cairn_lua *lua, cairn_lua_ref ref)
{
    if (ref != 0) {
        luaL_unref(lua->state, LUA_REGISTRYINDEX, ref);
    }
}

/* ---- scripts ---- */

struct run_op {
    const char *name;
    struct cairn_slice source;
};

static int run_body(lua_State *state)
{
    const struct run_op *op = lua_touserdata(state, 1);
    char chunk[CAIRN_LUA_PLACE_MAX];
    (void)snprintf(chunk, sizeof(chunk), "=%s", op->name);
    const char *text = op->source.data == NULL ? "" : op->source.data;
    if (luaL_loadbufferx(state, text, op->source.size, chunk, "t") != LUA_OK) {
        return lua_error(state);
    }
    lua_call(state, 0, 0);
    return 0;
}

enum cairn_rc cairn_lua_run(struct cairn_lua *lua, const char *name, struct cairn_slice source,
                            struct cairn_err *err)
{
    assert(name != NULL);
    assert(!lua->sealed);
    struct run_op op = {.name = name, .source = source};
    return cairn_lua_attempt(lua, run_body, &op, err);
}

/* ---- calls ---- */

struct call_op {
    const struct cairn_lua_arg *args;
    size_t count;
    cairn_lua_ref function;
    cairn_lua_ref kept;              /* out, when result is NULL */
    struct cairn_lua_result *result; /* out; NULL: keep the first result */
    struct cairn_lua_crossing crossing;
    char what[32]; /* of a crossing that failed: "argument 2" */
};

static bool push_arg(lua_State *state, struct call_op *op, size_t index)
{
    const struct cairn_lua_arg *arg = &op->args[index];
    if (arg->kind == CAIRN_LUA_ARG_NIL) {
        lua_pushnil(state);
        return true;
    }
    if (arg->kind == CAIRN_LUA_ARG_REF) {
        lua_rawgeti(state, LUA_REGISTRYINDEX, arg->ref);
        return true;
    }
    if (!cairn_lua_push_value(state, arg->value, &op->crossing)) {
        (void)snprintf(op->what, sizeof(op->what), "argument %zu", index + 1);
        return false;
    }
    return true;
}

static void read_results(lua_State *state, struct call_op *op)
{
    size_t count = (size_t)lua_gettop(state);
    if (count > CAIRN_LUA_RESULTS_MAX) {
        op->crossing.why = "too many results";
        op->crossing.rc = CAIRN_EINVAL;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (!cairn_lua_read_value(state, (int)i + 1, &op->crossing, &op->result->values[i])) {
            (void)snprintf(op->what, sizeof(op->what), "result %zu", i + 1);
            return;
        }
    }
    op->result->count = count;
}

static int call_body(lua_State *state)
{
    struct call_op *op = lua_touserdata(state, 1);
    lua_settop(state, 0);
    luaL_checkstack(state, (int)op->count + 3, "arguments");
    lua_rawgeti(state, LUA_REGISTRYINDEX, op->function);
    for (size_t i = 0; i < op->count; i++) {
        if (!push_arg(state, op, i)) {
            return 0;
        }
    }
    if (op->result != NULL) {
        lua_call(state, (int)op->count, LUA_MULTRET);
        read_results(state, op);
    } else {
        lua_call(state, (int)op->count, 1);
        op->kept = lua_isnil(state, -1) ? 0 : luaL_ref(state, LUA_REGISTRYINDEX);
    }
    return 0;
}

/* Arguments: op, the table that was thrown. */
static int thrown_body(lua_State *state)
{
    struct call_op *op = lua_touserdata(state, 1);
    if (cairn_lua_read_value(state, 2, &op->crossing, &op->result->values[0])) {
        op->result->count = 1;
        op->result->thrown = true;
    }
    return 0;
}

/* A table as error object crosses as a result does. One that cannot is only reported. */
static void take_thrown(struct cairn_lua *lua, struct call_op *op)
{
    lua_State *state = lua->state;
    lua_pushcfunction(state, thrown_body);
    lua_pushlightuserdata(state, op);
    lua_pushvalue(state, -3);
    if (lua_pcall(state, 2, 0, 0) != LUA_OK) {
        lua_pop(state, 1);
    }
}

static enum cairn_rc call(struct cairn_lua *lua, struct call_op *op, struct cairn_err *err)
{
    if (lua->sealed) {
        enum cairn_rc rc = cairn_lua_finish_seal(lua, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    cairn_lua_begin(lua);
    int status = cairn_lua_protect(lua, call_body, op);
    if (status == LUA_ERRRUN && op->result != NULL && lua_istable(lua->state, -1)) {
        take_thrown(lua, op);
    }
    cairn_lua_finish(lua);
    if (op->result != NULL && status != LUA_OK && lua->place[0] != '\0') {
        op->result->place = cairn_arena_printf(op->crossing.arena, "%s", lua->place);
    }
    if (status != LUA_OK) {
        return cairn_lua_report(lua, status, err);
    }
    if (op->crossing.why != NULL) {
        return cairn_lua_crossing_fail(&op->crossing, op->what, err);
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_lua_call(struct cairn_lua *lua, cairn_lua_ref function,
                             const struct cairn_lua_arg *args, size_t count,
                             struct cairn_arena *arena, struct cairn_lua_result *result,
                             struct cairn_err *err)
{
    assert(function != 0);
    assert(arena != NULL && result != NULL);
    struct call_op op = {.args = args, .count = count, .function = function, .result = result};
    op.crossing.arena = arena;
    result->count = 0;
    result->thrown = false;
    result->place = NULL;
    return call(lua, &op, err);
}

enum cairn_rc cairn_lua_call_keep(struct cairn_lua *lua, cairn_lua_ref function,
                                  const struct cairn_lua_arg *args, size_t count,
                                  cairn_lua_ref *ret_ref, struct cairn_err *err)
{
    assert(function != 0);
    assert(ret_ref != NULL);
    struct call_op op = {.args = args, .count = count, .function = function};
    enum cairn_rc rc = call(lua, &op, err);
    if (rc == CAIRN_OK) {
        *ret_ref = op.kept;
    }
    return rc;
}
