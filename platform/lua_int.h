/* What the files of the Lua host share. For platform/lua*.c alone. */
#ifndef CAIRN_PLATFORM_LUA_INT_H
#define CAIRN_PLATFORM_LUA_INT_H

#include "platform/lua.h"

struct lua_State;

/* A string in a host holds at most this, like the largest event that could carry it. */
#define CAIRN_LUA_STRING_BYTES_MAX (1024u * 1024u)
#define CAIRN_LUA_PLACE_MAX        160
/* Stack slots that reading a value takes, at its deepest. */
#define CAIRN_LUA_READ_SLOTS (6 * (CAIRN_VALUE_DEPTH_MAX + 2))

/* A larger block comes from the heap. */
#define CAIRN_LUA_BLOCK_MAX  512
#define CAIRN_LUA_CLASSES    32
#define CAIRN_LUA_CHUNKS_MAX 8

/* Where blocks of small objects come from. Zeroed is ready. */
struct cairn_lua_pool {
    struct cairn_lua_block *free[CAIRN_LUA_CLASSES]; /* by size */
    char *next;                                      /* the rest of the newest chunk */
    size_t left;                                     /* its bytes */
    char *chunks[CAIRN_LUA_CHUNKS_MAX];
    size_t count; /* of chunks */
};

/* As realloc, with the size that the block was asked for with. memory NULL: a new one. NULL: the
 * heap is out, memory is untouched. new_size > 0. */
void *cairn_lua_pool_resize(struct cairn_lua_pool *pool, void *memory, size_t old_size,
                            size_t new_size);
/* Give a block back. size: as it was asked for, or less. Accepts NULL with size 0. */
void cairn_lua_pool_put(struct cairn_lua_pool *pool, void *memory, size_t size);
/* Free the chunks, whatever blocks are in use. */
void cairn_lua_pool_fini(struct cairn_lua_pool *pool);

#define CAIRN_LUA_KEYS          128
#define CAIRN_LUA_KEY_BYTES_MAX 31

/* A member's name that the host keeps as a Lua string. */
struct cairn_lua_key {
    unsigned char size; /* 0: none */
    char text[CAIRN_LUA_KEY_BYTES_MAX];
};

/* Why a call was ended by the host. Once set, no pcall of the script can go on. */
enum cairn_lua_end {
    CAIRN_LUA_GOES_ON,
    CAIRN_LUA_END_WORK,
    CAIRN_LUA_END_MEMORY,
    CAIRN_LUA_END_CPU
};

/* A registered function of ours. Owned by the host's list. */
struct cairn_lua_binding {
    struct cairn_lua_binding *next;
    cairn_lua_host_fn fn;
    void *self;
};

struct cairn_lua {
    struct lua_State *state;
    struct cairn_lua_limits limits; /* with the defaults filled in */
    size_t used;                    /* bytes Lua holds */
    size_t ceiling;                 /* bytes it may hold during this call */
    uint64_t volume;                /* bytes it asked for in this call, freed ones included */
    uint64_t volume_max;            /* more than this in one call ends it */
    uint64_t work_left;             /* instructions, and their equal in bulk work */
    int64_t cpu_end_ns;             /* of the thread's CPU clock; 0: not looked at yet */
    unsigned hooks;                 /* count hooks of this call */
    int gc_pause;                   /* percent, as set in the collector; 0: Lua's own */
    unsigned refusals;              /* allocations refused in this call */
    enum cairn_lua_end ended;
    bool busy;   /* a call is under way */
    bool sealed; /* globals are read-only */
    bool frozen; /* so is every table that functions hold on to */
    struct cairn_lua_binding *bindings;
    struct cairn_lua_pool pool;
    cairn_lua_ref keys_table; /* the strings of keys, each at its place plus one */
    struct cairn_lua_key keys[CAIRN_LUA_KEYS];
    char place[CAIRN_LUA_PLACE_MAX]; /* "account.lua:12" of the last failure, or "" */
};

/* The host that a state belongs to. */
struct cairn_lua *cairn_lua_host_of(struct lua_State *state);
/* Take over limits, with defaults for what is 0. */
void cairn_lua_fill_limits(struct cairn_lua *lua, const struct cairn_lua_limits *limits);
/* Lua's allocator (lua_Alloc); self is the host. Lua collects everything and asks once more when
 * it is refused. */
void *cairn_lua_allocate(void *self, void *memory, size_t old_size, size_t new_size);
/* Count instructions from now on. */
void cairn_lua_watch(struct cairn_lua *lua);
/* Fresh ceilings for one call, and its end. */
void cairn_lua_begin(struct cairn_lua *lua);
void cairn_lua_finish(struct cairn_lua *lua);
/* Book bulk work that the VM does not count: one unit is about one instruction. Raises a Lua error
 * when the call's ceiling is reached. */
void cairn_lua_charge(struct lua_State *state, uint64_t units);
/* Note in host->place where the script is, when nothing is noted yet. */
void cairn_lua_note_place(struct cairn_lua *lua);

/* Run body(op) protected: a Lua error comes back as a status with the error object on the stack. */
int cairn_lua_protect(struct cairn_lua *lua, int (*body)(struct lua_State *), void *op);
/* Turn status and the object on top of the stack into err, and pop it. */
enum cairn_rc cairn_lua_report(struct cairn_lua *lua, int status, struct cairn_err *err);

/* One bounded, protected step: begin, protect, finish, report. */
enum cairn_rc cairn_lua_attempt(struct cairn_lua *lua, int (*body)(struct lua_State *), void *op,
                                struct cairn_err *err);
/* Push a hidden global, else the global of that name, else nil. */
void cairn_lua_push_named(struct lua_State *state, const char *name);
/* Push the table of globals, that of hidden ones. */
void cairn_lua_push_globals(struct lua_State *state);
void cairn_lua_push_hidden(struct lua_State *state);
/* Make read-only what the script left, when a sealed host is not so yet. ENOMEM, ESCRIPT (more
 * memory or work than a call may take). */
enum cairn_rc cairn_lua_finish_seal(struct cairn_lua *lua, struct cairn_err *err);

/* Fill the globals with the allow-list. Called in protected mode; leaves the stack as it was. */
void cairn_lua_box_open(struct lua_State *state);
/* pairs, next, sort: whatever depends on an order. Each expects the table to fill on top. */
void cairn_lua_order_open_base(struct lua_State *state);
void cairn_lua_order_open_table(struct lua_State *state);
/* find, match, gmatch, gsub with their work counted, into the table on top. */
void cairn_lua_string_open(struct lua_State *state);
/* Make the metatables of arrays and faces. */
void cairn_lua_value_open(struct lua_State *state);
void cairn_lua_face_open(struct lua_State *state);
/* Make the table of kept keys. */
void cairn_lua_keys_open(struct lua_State *state);
/* Push a member's name. keys: the host's; table: absolute index of its keys_table. May raise. */
void cairn_lua_push_key(struct lua_State *state, int table, struct cairn_lua_key *keys,
                        struct cairn_slice key);

/* Push a value. False: it cannot cross, op->path and op->why say where and why. May raise. */
struct cairn_lua_crossing {
    struct cairn_arena *arena;  /* of values made from Lua */
    struct cairn_lua_key *keys; /* while a value is pushed: the host's */
    int keys_table;             /* and the stack index of their strings */
    const char *why;            /* static text; NULL: nothing failed */
    enum cairn_rc rc;           /* EINVAL or ENOMEM when why is set */
    char path[128];             /* "data.items[3]", built from the inside out */
    char last[32];              /* room for a member of the path */
};
bool cairn_lua_push_value(struct lua_State *state, const struct cairn_value *value,
                          struct cairn_lua_crossing *crossing);
/* The Lua object at index as a value in crossing->arena. Raises nothing when
 * CAIRN_LUA_READ_SLOTS slots are free. */
bool cairn_lua_read_value(struct lua_State *state, int index, struct cairn_lua_crossing *crossing,
                          struct cairn_value *ret_value);
/* err from a crossing that failed; what names the object, e.g. "result 1". */
enum cairn_rc cairn_lua_crossing_fail(const struct cairn_lua_crossing *crossing, const char *what,
                                      struct cairn_err *err);

/* Mark the table on top as an array, so that it stays one when empty. */
void cairn_lua_mark_array(struct lua_State *state);
bool cairn_lua_is_marked_array(struct lua_State *state, int index);

/* Replace the table at index (absolute) by what it is a face of, when it is one. */
void cairn_lua_unface(struct lua_State *state, int index);
/* Push the table behind the front at index. False, and nothing pushed, when it is none. */
bool cairn_lua_push_behind(struct lua_State *state, int index);
/* Push a face of the table at index; of a front, the front. */
void cairn_lua_push_face(struct lua_State *state, int index);
/* Replace the table on top by a read-only front of it that is as fast to read, but whose inner
 * tables can be written. */
void cairn_lua_freeze(struct lua_State *state);
/* The same, writable until the host is sealed. */
void cairn_lua_guard(struct lua_State *state);

#endif
