/* string.find, match, gmatch and gsub over our own matcher, so that their work is counted. */
#include <assert.h>

#include <lauxlib.h>
#include <lua.h>

#include "platform/lua_int.h"
#include "platform/lua_pattern.h"

enum { PLAIN_BYTES_PER_STEP = 16 };

/* A search for one pattern in one subject. */
struct search {
    struct cairn_pattern_match match;
    bool anchored;
};

static void begin_search(lua_State *state, int subject, int pattern, bool anchors,
                         struct search *search)
{
    struct cairn_pattern_match *match = &search->match;
    match->subject.data = luaL_checklstring(state, subject, &match->subject.size);
    match->pattern.data = luaL_checklstring(state, pattern, &match->pattern.size);
    match->fault = NULL;
    match->capture_count = 0;
    search->anchored = anchors && match->pattern.size > 0 && match->pattern.data[0] == '^';
    if (search->anchored) {
        match->pattern.data++;
        match->pattern.size--;
    }
}

/* Match at offset, book the steps, and raise what is wrong. */
static bool try_at(lua_State *state, struct search *search, size_t offset, size_t *ret_end)
{
    struct cairn_lua *lua = cairn_lua_host_of(state);
    struct cairn_pattern_match *match = &search->match;
    uint64_t before = lua->work_left;
    match->steps_left = before;
    bool found = cairn_pattern_match_at(match, offset, ret_end);
    cairn_lua_charge(state, before - match->steps_left + 1); /* raises when none is left */
    if (match->fault != NULL) {
        (void)luaL_error(state, "%s", match->fault);
    }
    return found;
}

/* The first match from offset on. */
static bool search_from(lua_State *state, struct search *search, size_t offset, size_t *ret_begin,
                        size_t *ret_end)
{
    for (size_t at = offset; at <= search->match.subject.size; at++) {
        if (try_at(state, search, at, ret_end)) {
            *ret_begin = at;
            return true;
        }
        if (search->anchored) {
            break;
        }
    }
    return false;
}

/* Capture index (from 0), or the whole match where the pattern has none. */
static void push_capture(lua_State *state, const struct cairn_pattern_match *match, size_t index,
                         size_t begin, size_t end)
{
    if (index >= match->capture_count) {
        if (index != 0) {
            (void)luaL_error(state, "invalid capture index %%%d", (int)index + 1);
        }
        (void)lua_pushlstring(state, match->subject.data + begin, end - begin);
        return;
    }
    const struct cairn_pattern_capture *capture = &match->captures[index];
    if (capture->kind == CAIRN_CAPTURE_OPEN) {
        (void)luaL_error(state, "unfinished capture");
    }
    if (capture->kind == CAIRN_CAPTURE_POSITION) {
        lua_pushinteger(state, (lua_Integer)capture->begin + 1);
    } else {
        (void)lua_pushlstring(state, match->subject.data + capture->begin, capture->size);
    }
}

/* All captures; `whole` too when there is none and it is asked for. */
static int push_captures(lua_State *state, const struct cairn_pattern_match *match, bool whole,
                         size_t begin, size_t end)
{
    size_t count = match->capture_count == 0 && whole ? 1 : match->capture_count;
    luaL_checkstack(state, (int)count, "too many captures");
    for (size_t i = 0; i < count; i++) {
        push_capture(state, match, i, begin, end);
    }
    return (int)count;
}

/* The optional start argument as an offset; past the end: size + 1. */
static size_t start_offset(lua_State *state, int index, size_t size)
{
    lua_Integer start = luaL_optinteger(state, index, 1);
    if (start < 0) {
        start = (uint64_t)0 - (uint64_t)start > size ? 1 : (lua_Integer)size + start + 1;
    }
    if (start == 0) {
        start = 1;
    }
    return (uint64_t)start > size + 1 ? size + 1 : (size_t)start - 1;
}

static bool is_plain(struct cairn_slice pattern)
{
    for (size_t i = 0; i < pattern.size; i++) {
        if (pattern.data[i] != '\0' && strchr("^$*+?.([%-", pattern.data[i]) != NULL) {
            return false;
        }
    }
    return true;
}

static int find_plain(lua_State *state, const struct search *search, size_t offset)
{
    const struct cairn_pattern_match *match = &search->match;
    size_t left = match->subject.size - offset;
    cairn_lua_charge(state, left / PLAIN_BYTES_PER_STEP);
    const char *found = match->pattern.size == 0 ? match->subject.data + offset
                                                 : memmem(match->subject.data + offset, left,
                                                          match->pattern.data, match->pattern.size);
    if (found == NULL) {
        lua_pushnil(state);
        return 1;
    }
    size_t begin = (size_t)(found - match->subject.data);
    lua_pushinteger(state, (lua_Integer)begin + 1);
    lua_pushinteger(state, (lua_Integer)begin + (lua_Integer)match->pattern.size);
    return 2;
}

static int find_or_match(lua_State *state, bool find)
{
    struct search search;
    size_t begin;
    size_t end;
    begin_search(state, 1, 2, true, &search);
    size_t offset = start_offset(state, 3, search.match.subject.size);
    if (offset > search.match.subject.size) {
        lua_pushnil(state);
        return 1;
    }
    bool plain = lua_toboolean(state, 4) == 1;
    if (find && (plain || (!search.anchored && is_plain(search.match.pattern)))) {
        if (search.anchored) { /* plain: the '^' is a character like others */
            search.match.pattern.data--;
            search.match.pattern.size++;
        }
        return find_plain(state, &search, offset);
    }
    if (!search_from(state, &search, offset, &begin, &end)) {
        lua_pushnil(state);
        return 1;
    }
    if (!find) {
        return push_captures(state, &search.match, true, begin, end);
    }
    lua_pushinteger(state, (lua_Integer)begin + 1);
    lua_pushinteger(state, (lua_Integer)end);
    return 2 + push_captures(state, &search.match, false, begin, end);
}

static int string_find(lua_State *state)
{
    return find_or_match(state, true);
}

static int string_match(lua_State *state)
{
    return find_or_match(state, false);
}

/* Upvalues: subject, pattern, offset to go on at, end of the last match (-1: none). */
static int gmatch_step(lua_State *state)
{
    struct search search;
    size_t begin = 0;
    size_t end = 0;
    lua_settop(state, 0);
    lua_pushvalue(state, lua_upvalueindex(1));
    lua_pushvalue(state, lua_upvalueindex(2));
    begin_search(state, 1, 2, false, &search);
    size_t offset = (size_t)lua_tointeger(state, lua_upvalueindex(3));
    lua_Integer last = lua_tointeger(state, lua_upvalueindex(4));
    /* An empty match right behind the last one is none. */
    while (offset <= search.match.subject.size &&
           search_from(state, &search, offset, &begin, &end)) {
        if ((lua_Integer)end != last) {
            lua_pushinteger(state, (lua_Integer)end);
            lua_copy(state, -1, lua_upvalueindex(3));
            lua_replace(state, lua_upvalueindex(4));
            return push_captures(state, &search.match, true, begin, end);
        }
        offset = begin + 1;
    }
    return 0;
}

static int string_gmatch(lua_State *state)
{
    size_t size;
    (void)luaL_checklstring(state, 1, &size);
    (void)luaL_checkstring(state, 2);
    size_t offset = start_offset(state, 3, size);
    lua_settop(state, 2);
    lua_pushinteger(state, (lua_Integer)offset);
    lua_pushinteger(state, -1);
    lua_pushcclosure(state, gmatch_step, 4);
    return 1;
}

/* ---- gsub: argument 3 is the replacement ---- */

enum { REPLACEMENT = 3 };

/* Append the replacement text, its %0..%9 and %% filled in. */
static void add_text(lua_State *state, luaL_Buffer *out, const struct cairn_pattern_match *match,
                     size_t begin, size_t end)
{
    struct cairn_slice text;
    text.data = lua_tolstring(state, REPLACEMENT, &text.size);
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '%') {
            luaL_addchar(out, text.data[i]);
            continue;
        }
        i++;
        char letter = i < text.size ? text.data[i] : '\0';
        if (letter == '%') {
            luaL_addchar(out, '%');
        } else if (letter == '0') {
            luaL_addlstring(out, match->subject.data + begin, end - begin);
        } else if (letter >= '1' && letter <= '9') {
            push_capture(state, match, (size_t)(letter - '1'), begin, end);
            (void)luaL_tolstring(state, -1, NULL);
            lua_remove(state, -2);
            luaL_addvalue(out);
        } else {
            (void)luaL_error(state, "invalid use of '%%' in replacement string");
        }
    }
}

/* Append what a match is replaced by. */
static void add_replacement(lua_State *state, luaL_Buffer *out,
                            const struct cairn_pattern_match *match, size_t begin, size_t end)
{
    int type = lua_type(state, REPLACEMENT);
    if (type == LUA_TSTRING || type == LUA_TNUMBER) {
        add_text(state, out, match, begin, end);
        return;
    }
    if (type == LUA_TFUNCTION) {
        lua_pushvalue(state, REPLACEMENT);
        lua_call(state, push_captures(state, match, true, begin, end), 1);
    } else {
        push_capture(state, match, 0, begin, end);
        (void)lua_gettable(state, REPLACEMENT);
    }
    if (lua_toboolean(state, -1) == 0) {
        lua_pop(state, 1);
        (void)lua_pushlstring(state, match->subject.data + begin, end - begin);
    } else if (lua_isstring(state, -1) == 0) {
        (void)luaL_error(state, "invalid replacement value (a %s)", luaL_typename(state, -1));
    }
    luaL_addvalue(out);
}

static int string_gsub(lua_State *state)
{
    struct search search;
    luaL_Buffer out;
    size_t end;
    int type = lua_type(state, REPLACEMENT);
    begin_search(state, 1, 2, true, &search);
    struct cairn_slice subject = search.match.subject;
    luaL_argcheck(state,
                  type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TTABLE ||
                      type == LUA_TFUNCTION,
                  REPLACEMENT, "string/function/table expected");
    lua_Integer count_max = luaL_optinteger(state, 4, (lua_Integer)subject.size + 1);
    lua_Integer count = 0;
    size_t at = 0;
    size_t last = SIZE_MAX; /* end of the last match */
    lua_settop(state, REPLACEMENT);
    luaL_buffinit(state, &out);
    while (count < count_max) {
        if (try_at(state, &search, at, &end) && end != last) {
            count++;
            add_replacement(state, &out, &search.match, at, end);
            at = end;
            last = end;
        } else if (at < subject.size) {
            luaL_addchar(&out, subject.data[at]);
            at++;
        } else {
            break;
        }
        if (search.anchored) {
            break;
        }
    }
    luaL_addlstring(&out, subject.data + at, subject.size - at);
    luaL_pushresult(&out);
    lua_pushinteger(state, count);
    return 2;
}

static const luaL_Reg functions[] = {
    {"find", string_find},
    {"match", string_match},
    {"gmatch", string_gmatch},
    {"gsub", string_gsub},
    {NULL, NULL},
};

void cairn_lua_string_open(lua_State *state)
{
    assert(lua_istable(state, -1));
    luaL_setfuncs(state, functions, 0);
}
