/* The ceilings of a call: memory through the allocator, work through the count hook. */
#include <assert.h>
#include <stdio.h>
#include <time.h>

#include <lauxlib.h>
#include <lua.h>

#include "platform/lua_int.h"

enum {
    HOOK_INSTRUCTIONS = 1000,
    CPU_LOOK_HOOKS = 8,   /* the CPU clock is a system call: look at it now and then */
    CPU_SECONDS_MAX = 10, /* two orders above what an honest call can take */
    REFUSALS_MAX = 4,     /* each refusal costs a full collection */
    GC_PAUSE_SMALL = 400, /* percent of what lives that a small host grows to before it collects */
    GC_PAUSE_LARGE = 200,
    GC_STEP_MUL = 400,
    GC_STEP_LOG2 = 13,
    VOLUME_PER_WORK = 64, /* bytes a call may ask for, per instruction it may run */
    OBJECT_OVERHEAD = 64  /* bytes of a string's header, generously */
};

/* From here on garbage counts more than the time that a collection takes. */
#define SMALL_BYTES_MAX           ((size_t)4 << 20)
#define MEMORY_BYTES_DEFAULT      (256u << 20)
#define CALL_MEMORY_BYTES_DEFAULT (64u << 20)
#define CALL_WORK_DEFAULT         10000000u

struct cairn_lua *cairn_lua_host_of(lua_State *state)
{
    struct cairn_lua *lua;
    memcpy(&lua, lua_getextraspace(state), sizeof(lua));
    assert(lua != NULL);
    return lua;
}

void cairn_lua_fill_limits(struct cairn_lua *lua, const struct cairn_lua_limits *limits)
{
    if (limits != NULL) {
        lua->limits = *limits;
    }
    struct cairn_lua_limits *set = &lua->limits;
    set->memory_bytes = set->memory_bytes == 0 ? MEMORY_BYTES_DEFAULT : set->memory_bytes;
    set->call_memory_bytes =
        set->call_memory_bytes == 0 ? CALL_MEMORY_BYTES_DEFAULT : set->call_memory_bytes;
    set->call_instructions =
        set->call_instructions == 0 ? CALL_WORK_DEFAULT : set->call_instructions;
    if (set->call_memory_bytes > set->memory_bytes) {
        set->call_memory_bytes = set->memory_bytes;
    }
    lua->ceiling = set->memory_bytes;
    lua->volume_max = set->call_instructions > UINT64_MAX / VOLUME_PER_WORK
                          ? UINT64_MAX / 2
                          : set->call_instructions * VOLUME_PER_WORK;
    /* A call may at least fill the memory it is granted. */
    if (lua->volume_max < set->call_memory_bytes) {
        lua->volume_max = set->call_memory_bytes;
    }
}

void cairn_lua_note_place(struct cairn_lua *lua)
{
    lua_Debug frame;
    if (lua->state == NULL || lua->place[0] != '\0') {
        return;
    }
    for (int level = 0; lua_getstack(lua->state, level, &frame) == 1; level++) {
        /* Chunks named in brackets are the host's own: an author looks for a line of theirs. */
        if (lua_getinfo(lua->state, "Sl", &frame) != 0 && frame.currentline > 0 &&
            frame.short_src[0] != '[') {
            (void)snprintf(lua->place, sizeof(lua->place), "%s:%d", frame.short_src,
                           frame.currentline);
            return;
        }
    }
}

static bool may_grow(struct cairn_lua *lua, size_t more)
{
    if (lua->ended == CAIRN_LUA_END_MEMORY || more > lua->ceiling ||
        lua->used > lua->ceiling - more || lua->volume + more > lua->volume_max) {
        if (++lua->refusals >= REFUSALS_MAX || lua->volume + more > lua->volume_max) {
            lua->ended = CAIRN_LUA_END_MEMORY;
        }
        cairn_lua_note_place(lua);
        return false;
    }
    return true;
}

/* Lua's allocator. Lua collects everything and asks once more when it is refused. */
void *cairn_lua_allocate(void *self, void *memory, size_t old_size, size_t new_size)
{
    struct cairn_lua *lua = self;
    size_t held =
        memory == NULL ? 0 : old_size; /* without a block, old_size is the object's type */
    assert(lua->used >= held);
    if (new_size == 0) {
        cairn_lua_pool_put(&lua->pool, memory, held);
        lua->used -= held;
        return NULL;
    }
    if (new_size > held) {
        bool text = memory == NULL && old_size == LUA_TSTRING;
        if (text && new_size > CAIRN_LUA_STRING_BYTES_MAX + OBJECT_OVERHEAD) {
            lua->refusals++;
            cairn_lua_note_place(lua);
            return NULL;
        }
        if (!may_grow(lua, new_size - held)) {
            return NULL;
        }
        lua->volume += new_size - held;
    }
    void *moved = cairn_lua_pool_resize(&lua->pool, memory, held, new_size);
    if (moved == NULL) {
        if (new_size > held) {
            return NULL;
        }
        moved = memory; /* Lua counts on shrinking to succeed: the longer block will do */
    }
    lua->used += new_size;
    lua->used -= held;
    return moved;
}

static int64_t thread_cpu_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) {
        return 0;
    }
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A backstop for work that no instruction counts, such as comparing long strings. */
static bool cpu_is_out(struct cairn_lua *lua)
{
    if (++lua->hooks % CPU_LOOK_HOOKS != 0) {
        return false;
    }
    int64_t now = thread_cpu_ns();
    if (lua->cpu_end_ns == 0) {
        lua->cpu_end_ns = now + (int64_t)CPU_SECONDS_MAX * 1000000000;
    }
    return now > lua->cpu_end_ns;
}

static void end_call(lua_State *state, enum cairn_lua_end why)
{
    struct cairn_lua *lua = cairn_lua_host_of(state);
    if (lua->ended == CAIRN_LUA_GOES_ON) {
        lua->ended = why;
    }
    cairn_lua_note_place(lua);
    const char *at = lua->place[0] == '\0' ? "?" : lua->place;
    if (lua->ended == CAIRN_LUA_END_WORK) {
        lua_pushfstring(state, "%s: runs longer than %I instructions", at,
                        (LUAI_UACINT)lua->limits.call_instructions);
    } else if (lua->ended == CAIRN_LUA_END_CPU) {
        lua_pushfstring(state, "%s: runs longer than %d s", at, (int)CPU_SECONDS_MAX);
    } else {
        lua_pushfstring(state, "%s: takes too much memory", at);
    }
    (void)lua_error(state);
}

void cairn_lua_charge(lua_State *state, uint64_t units)
{
    struct cairn_lua *lua = cairn_lua_host_of(state);
    if (lua->ended != CAIRN_LUA_GOES_ON || units >= lua->work_left) {
        lua->work_left = 0;
        end_call(state, CAIRN_LUA_END_WORK);
        return;
    }
    lua->work_left -= units;
}

static void on_count(lua_State *state, lua_Debug *frame)
{
    (void)frame;
    if (cpu_is_out(cairn_lua_host_of(state))) {
        end_call(state, CAIRN_LUA_END_CPU);
    }
    cairn_lua_charge(state, HOOK_INSTRUCTIONS);
}

/* Fresh ceilings for one call. */
void cairn_lua_begin(struct cairn_lua *lua)
{
    assert(!lua->busy);
    size_t room = lua->limits.memory_bytes - lua->limits.call_memory_bytes;
    lua->ceiling =
        lua->used > room ? lua->limits.memory_bytes : lua->used + lua->limits.call_memory_bytes;
    lua->volume = 0;
    lua->work_left = lua->limits.call_instructions;
    lua->cpu_end_ns = 0;
    lua->hooks = 0;
    lua->refusals = 0;
    lua->ended = CAIRN_LUA_GOES_ON;
    lua->place[0] = '\0';
    lua->busy = true;
}

void cairn_lua_finish(struct cairn_lua *lua)
{
    lua->busy = false;
    bool large = lua->used > SMALL_BYTES_MAX;
    int pause = large ? GC_PAUSE_LARGE : GC_PAUSE_SMALL;
    if (lua->gc_pause != pause) {
        lua->gc_pause = pause;
        (void)lua_gc(lua->state, LUA_GCINC, pause, GC_STEP_MUL, GC_STEP_LOG2);
    }
}

void cairn_lua_watch(struct cairn_lua *lua)
{
    lua_sethook(lua->state, on_count, LUA_MASKCOUNT, HOOK_INSTRUCTIONS);
}
