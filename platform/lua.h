/* Lua 5.4 in a box: pure, bounded, and spoken to in values.
 *
 * A host runs scripts in a sandbox that is an allow-list (docs/reference/domain.md has it): no io,
 * os, clock, randomness, load, debug, metatables or coroutines. pairs and next go by key and
 * table.sort is stable, so the same input gives the same output on every machine. After
 * cairn_lua_seal, writing a global, or into a table that was there before, is an error, so that
 * nothing lives on between calls but what the host keeps by reference. Every call has an
 * instruction and a memory ceiling; whatever a script does, the host survives and says where it
 * happened ("account.lua:12: ...").
 *
 * Conversion: JSON null <-> the global `null`; arrays <-> sequences (an empty table is a map unless
 * it came from an array or was made by `array{}`); integers and floats keep their kind; a uint64
 * above INT64_MAX, a table with mixed or holed keys, a function, NaN or an infinity cannot cross:
 * EINVAL with the path ("data.items[3]"). Depth at most CAIRN_VALUE_DEPTH_MAX.
 *
 * thread: owner (one thread at a time; different hosts are independent). */
#ifndef CAIRN_PLATFORM_LUA_H
#define CAIRN_PLATFORM_LUA_H

#include "platform/value.h"

struct cairn_lua;

struct cairn_lua_limits {
    size_t memory_bytes;        /* ceiling of the whole host; 0: 256 MiB */
    size_t call_memory_bytes;   /* what one call may add to what was there; 0: 64 MiB */
    uint64_t call_instructions; /* VM instructions of one call, in steps of 1000, and bulk work of
                                   the libraries in units of one; 0: 10 million */
};

/* A Lua object kept alive by the host, until cairn_lua_unref. 0 is none. */
typedef int cairn_lua_ref;

CAIRN_MUST_CHECK enum cairn_rc cairn_lua_new(const struct cairn_lua_limits *limits,
                                             struct cairn_lua **ret_lua, struct cairn_err *err);
/* Accepts NULL. Frees every reference with it. */
void cairn_lua_free(struct cairn_lua *lua);

/* Compile and run a chunk (text only). name: shown in errors, e.g. "account.lua".
 * errors: ESCRIPT (syntax, runtime, ceiling; err says where), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lua_run(struct cairn_lua *lua, const char *name,
                                             struct cairn_slice source, struct cairn_err *err);
/* From now on globals are read-only, and so is every table that globals or functions hold on to: a
 * read-only front stands in its place. What remains is a plain local (a number, a string) that a
 * function assigns. Where memory is out the next call does the rest, or fails with ENOMEM. */
void cairn_lua_seal(struct cairn_lua *lua);
/* Take a global away from scripts; cairn_lua_find and cairn_lua_register still find it. Before
 * seal. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lua_hide(struct cairn_lua *lua, const char *name,
                                              struct cairn_err *err);

/* Follow keys from the globals: find(lua, &ref, 3, (const char *[]){"aggregates", "account",
 * "decide"}). ENOENT when any step is nil or not a table. The caller unrefs. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lua_find(struct cairn_lua *lua, size_t count,
                                              const char *const *keys, cairn_lua_ref *ret_ref);
/* list[index], kept; index from 1. ENOENT when it is nil or list is no table. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lua_item(struct cairn_lua *lua, cairn_lua_ref list,
                                              uint64_t index, cairn_lua_ref *ret_ref);
/* The string keys of a table, sorted bytewise, in arena. EINVAL when ref is no table. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lua_keys(struct cairn_lua *lua, cairn_lua_ref ref,
                                              struct cairn_arena *arena,
                                              struct cairn_slice **ret_keys, size_t *ret_count);
bool cairn_lua_is_function(struct cairn_lua *lua, cairn_lua_ref ref);
/* How many parameters a script's function names: a caller need not build an argument that nobody
 * takes. UINT_MAX for one with `...`. ref is a function. */
unsigned cairn_lua_params(struct cairn_lua *lua, cairn_lua_ref ref);

/* value -> Lua object, kept. EINVAL, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lua_make(struct cairn_lua *lua,
                                              const struct cairn_value *value,
                                              cairn_lua_ref *ret_ref, struct cairn_err *err);
/* Lua object -> value in arena. EINVAL (cannot cross), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lua_value(struct cairn_lua *lua, cairn_lua_ref ref,
                                               struct cairn_arena *arena,
                                               struct cairn_value *ret_value,
                                               struct cairn_err *err);
/* A deep read-only face of a table: reads, #, pairs and ipairs pass through, a write is an error.
 * It sees later changes of the table. The caller unrefs. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lua_readonly(struct cairn_lua *lua, cairn_lua_ref table,
                                                  cairn_lua_ref *ret_face, struct cairn_err *err);
void cairn_lua_unref(struct cairn_lua *lua, cairn_lua_ref ref);

enum cairn_lua_arg_kind { CAIRN_LUA_ARG_NIL, CAIRN_LUA_ARG_VALUE, CAIRN_LUA_ARG_REF };
struct cairn_lua_arg {
    enum cairn_lua_arg_kind kind;
    const struct cairn_value *value; /* of VALUE */
    cairn_lua_ref ref;               /* of REF */
};

#define CAIRN_LUA_RESULTS_MAX 64

/* What a call gave back. */
struct cairn_lua_result {
    struct cairn_value values[CAIRN_LUA_RESULTS_MAX]; /* in the arena of the call */
    size_t count;
    bool thrown; /* the script called error() with a table: it is values[0], count 1, rc ESCRIPT */
    const char *place; /* in arena, "account.lua:12", or NULL: where a failure happened */
};

/* Call a function.
 * errors: ESCRIPT (threw, ceiling, stack overflow; err->text has the place and the message), EINVAL
 * (an argument or a result cannot cross), ENOMEM (the host's own memory). After any error the host
 * is as usable as before. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lua_call(struct cairn_lua *lua, cairn_lua_ref function,
                                              const struct cairn_lua_arg *args, size_t count,
                                              struct cairn_arena *arena,
                                              struct cairn_lua_result *result,
                                              struct cairn_err *err);
/* The same, keeping the first result as a reference instead of crossing it. Nothing returned:
 * *ret_ref is 0. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lua_call_keep(struct cairn_lua *lua, cairn_lua_ref function,
                                                   const struct cairn_lua_arg *args, size_t count,
                                                   cairn_lua_ref *ret_ref, struct cairn_err *err);

/* A function of ours that scripts may call, as global `name` or as a field of a global table
 * ("view.get" style: table, name). It reads its arguments and gives results through the frame; a
 * failure becomes a Lua error with err's text. */
struct cairn_lua_frame;
typedef enum cairn_rc (*cairn_lua_host_fn)(void *self, struct cairn_lua_frame *frame,
                                           struct cairn_err *err);
/* table NULL: a plain global. Before seal. self outlives lua. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lua_register(struct cairn_lua *lua, const char *table,
                                                  const char *name, cairn_lua_host_fn fn,
                                                  void *self, struct cairn_err *err);
size_t cairn_lua_frame_count(const struct cairn_lua_frame *frame);
/* Argument index (from 0) as a value in arena, null when it was not given; EINVAL when it cannot
 * cross. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lua_frame_value(struct cairn_lua_frame *frame, size_t index,
                                                     struct cairn_arena *arena,
                                                     struct cairn_value *ret_value,
                                                     struct cairn_err *err);
/* Argument as text, borrowed for the call; numbers are not converted. EINVAL. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lua_frame_text(struct cairn_lua_frame *frame, size_t index,
                                                    struct cairn_slice *ret_text,
                                                    struct cairn_err *err);
/* Add a result. EINVAL, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_lua_frame_return(struct cairn_lua_frame *frame,
                                                      const struct cairn_value *value,
                                                      struct cairn_err *err);

/* Bytes the host's objects take now. */
size_t cairn_lua_memory(const struct cairn_lua *lua);

#endif
