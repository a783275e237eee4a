/* Our matcher of Lua's patterns against the library's own, by random patterns and subjects: both
 * run the same probe, one in the box, one in a plain state. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "platform/lua.h"
#include "tests/sim/sim_random.h"

#include "tests/support/cm.h"

enum { ROUNDS = 30000, SUBJECT_MAX = 14, TOKENS_MAX = 7, TEXT_MAX = 128 };

/* Texts cross as lists of bytes, because random ones are no UTF-8. An error is only an error: its
 * wording is ours. */
static const char probe_source[] =
    "local function show(...)\n"
    "  local out = {}\n"
    "  for i = 1, select('#', ...) do\n"
    "    local x = select(i, ...)\n"
    "    if type(x) == 'string' then\n"
    "      out[i] = '\"' .. table.concat({ x:byte(1, -1) }, '.') .. '\"'\n"
    "    else\n"
    "      out[i] = tostring(x)\n"
    "    end\n"
    "  end\n"
    "  return table.concat(out, ' ')\n"
    "end\n"
    "local function text(bytes)\n"
    "  local out = {}\n"
    "  for i = 1, #bytes do out[i] = string.char(bytes[i]) end\n"
    "  return table.concat(out)\n"
    "end\n"
    "local probes = {\n"
    "  function(s, p, n) return show(s:find(p, n)) end,\n"
    "  function(s, p, n) return show(s:match(p, n)) end,\n"
    "  function(s, p, n) return show(s:find(p, n, true)) end,\n"
    "  function(s, p, n)\n"
    "    local out = {}\n"
    "    for a, b, c in s:gmatch(p, n) do out[#out + 1] = show(a, b, c) end\n"
    "    return table.concat(out, '|')\n"
    "  end,\n"
    "  function(s, p, n, r) return show(s:gsub(p, r)) end,\n"
    "  function(s, p, n, r) return show(s:gsub(p, r, n)) end,\n"
    "  function(s, p) return show(s:gsub(p, { a = 'X', b = 1, ab = false })) end,\n"
    "  function(s, p)\n"
    "    return show(s:gsub(p, function(a, b) if a ~= 'a' then return show(a, b) end end))\n"
    "  end,\n"
    "}\n"
    "function probe(which, s, p, n, r)\n"
    "  local ok, out = pcall(probes[which], text(s), text(p), n, text(r))\n"
    "  return ok and out or 'error'\n"
    "end\n";

static const unsigned probe_count = 8;

static const char *const tokens[] = {
    "a",     "b",    "a",      "b",      "ab",     "1",    " ",    ".",    "-",     "_",   "x",
    "\xe9",  "%a",   "%d",     "%s",     "%w",     "%p",   "%u",   "%l",   "%x",    "%c",  "%g",
    "%A",    "%D",   "%S",     "%W",     "%.",     "%%",   "[ab]", "[^a]", "[a-c]", "[]]", "[^]a]",
    "[%d_]", "[a-]", "[%a-z]", "%f[%w]", "%f[^a]", "%bab", "%b()", "%1",   "%2",    "(",   ")",
    "()",    "(a)",  "(.)",    "(a*)",   "(.-)",   "^",    "$",    "[",    "]",     "%",   "\n"};
static const char *const repeats[] = {"", "", "", "", "*", "+", "-", "?"};
static const char *const replacements[] = {"",   "x",  "%0", "%1", "<%1>", "%0%0",
                                           "%2", "%%", "%",  "%a", "a%1b", "%9"};
static const char letters[] = "aaabbbc1 _.-()%[]^$\n\xe9X";

struct text {
    char bytes[TEXT_MAX];
    size_t size;
};

static void append(struct text *text, const char *piece)
{
    size_t size = strlen(piece);
    assert_true(text->size + size <= TEXT_MAX);
    memcpy(text->bytes + text->size, piece, size);
    text->size += size;
}

static struct text random_subject(struct cairn_sim_random *random)
{
    struct text text = {.size = (size_t)cairn_sim_below(random, SUBJECT_MAX + 1)};
    for (size_t i = 0; i < text.size; i++) {
        text.bytes[i] = letters[cairn_sim_below(random, sizeof(letters))]; /* its NUL too */
    }
    return text;
}

static struct text random_pattern(struct cairn_sim_random *random)
{
    struct text text = {.size = 0};
    if (cairn_sim_chance(random, 15)) {
        append(&text, "^");
    }
    for (uint64_t left = cairn_sim_below(random, TOKENS_MAX + 1); left > 0; left--) {
        append(&text, tokens[cairn_sim_below(random, sizeof(tokens) / sizeof(tokens[0]))]);
        append(&text, repeats[cairn_sim_below(random, sizeof(repeats) / sizeof(repeats[0]))]);
    }
    if (cairn_sim_chance(random, 15)) {
        append(&text, "$");
    }
    return text;
}

/* One question, and what both answer. */
struct question {
    int which;
    struct text subject;
    struct text pattern;
    struct text replacement;
    int number;
};

struct fixture {
    struct cairn_lua *box;
    cairn_lua_ref probe;
    lua_State *library;
    struct cairn_arena arena;
    struct cairn_lua_result result;
    struct cairn_err err;
};

static struct cairn_value bytes_value(struct cairn_arena *arena, const struct text *text)
{
    struct cairn_value *items = cairn_arena_zalloc(arena, text->size, sizeof(*items));
    assert_true(items != NULL || text->size == 0);
    for (size_t i = 0; i < text->size; i++) {
        items[i] = cairn_value_int((unsigned char)text->bytes[i]);
    }
    return (struct cairn_value){
        .type = CAIRN_ARRAY, .count = (uint32_t)text->size, .as.items = items};
}

static struct cairn_slice ask_box(struct fixture *fixture, const struct question *question)
{
    struct cairn_arena *arena = &fixture->arena;
    struct cairn_value values[] = {
        cairn_value_int(question->which), bytes_value(arena, &question->subject),
        bytes_value(arena, &question->pattern), cairn_value_int(question->number),
        bytes_value(arena, &question->replacement)};
    struct cairn_lua_arg args[5];
    for (size_t i = 0; i < 5; i++) {
        args[i] = (struct cairn_lua_arg){.kind = CAIRN_LUA_ARG_VALUE, .value = &values[i]};
    }
    assert_ok(cairn_lua_call(fixture->box, fixture->probe, args, 5, arena, &fixture->result,
                             &fixture->err),
              &fixture->err);
    assert_int_equal(fixture->result.count, 1);
    return cairn_value_slice(&fixture->result.values[0]);
}

static void push_bytes(lua_State *state, const struct text *text)
{
    lua_createtable(state, (int)text->size, 0);
    for (size_t i = 0; i < text->size; i++) {
        lua_pushinteger(state, (unsigned char)text->bytes[i]);
        lua_rawseti(state, -2, (lua_Integer)i + 1);
    }
}

/* Valid until the next question. */
static struct cairn_slice ask_library(lua_State *state, const struct question *question)
{
    lua_settop(state, 0);
    (void)lua_getglobal(state, "probe");
    lua_pushinteger(state, question->which);
    push_bytes(state, &question->subject);
    push_bytes(state, &question->pattern);
    lua_pushinteger(state, question->number);
    push_bytes(state, &question->replacement);
    assert_int_equal(lua_pcall(state, 5, 1, 0), LUA_OK);
    struct cairn_slice answer;
    answer.data = lua_tolstring(state, -1, &answer.size);
    assert_non_null(answer.data);
    return answer;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    const struct cairn_lua_limits limits = {.call_instructions = 1u << 30};
    fixture->arena.max = 1u << 20;
    assert_ok(cairn_lua_new(&limits, &fixture->box, &fixture->err), &fixture->err);
    assert_ok(
        cairn_lua_run(fixture->box, "probe.lua", cairn_slice_str(probe_source), &fixture->err),
        &fixture->err);
    assert_int_equal(cairn_lua_find(fixture->box, 1, (const char *[]){"probe"}, &fixture->probe),
                     CAIRN_OK);
    fixture->library = luaL_newstate();
    assert_non_null(fixture->library);
    luaL_openlibs(fixture->library);
    assert_int_equal(luaL_dostring(fixture->library, probe_source), LUA_OK);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    cairn_lua_free(fixture->box);
    lua_close(fixture->library);
    cairn_arena_fini(&fixture->arena);
    free(fixture);
    return 0;
}

static void random_patterns_match_as_the_library_does(void **state)
{
    struct fixture *fixture = *state;
    uint64_t seed = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    struct cairn_sim_random random = {seed};
    unsigned errors = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct question question = {
            .which = (int)cairn_sim_below(&random, probe_count) + 1,
            .subject = random_subject(&random),
            .pattern = random_pattern(&random),
            .number = (int)cairn_sim_below(&random, 2 * SUBJECT_MAX) - SUBJECT_MAX,
        };
        append(
            &question.replacement,
            replacements[cairn_sim_below(&random, sizeof(replacements) / sizeof(replacements[0]))]);
        cairn_arena_reset(&fixture->arena);
        struct cairn_slice ours = ask_box(fixture, &question);
        struct cairn_slice theirs = ask_library(fixture->library, &question);
        if (!cairn_slice_equal(ours, theirs)) {
            fail_msg("probe %d of '%.*s' by '%.*s', number %d, replacement '%.*s': %.*s, not %.*s",
                     question.which, (int)question.subject.size, question.subject.bytes,
                     (int)question.pattern.size, question.pattern.bytes, question.number,
                     (int)question.replacement.size, question.replacement.bytes,
                     CAIRN_SLICE_ARG(ours), CAIRN_SLICE_ARG(theirs));
        }
        errors += cairn_slice_equal(theirs, CAIRN_SLICE_LIT("error"));
    }
    /* Neither mostly malformed nor never: else the rounds would show little. */
    assert_in_range(errors, ROUNDS / 50, ROUNDS * 2 / 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_patterns_match_as_the_library_does, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
