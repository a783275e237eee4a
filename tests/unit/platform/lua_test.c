#include "platform/lua.h"

#include <stdio.h>

#include "platform/fault.h"
#include "platform/json.h"
#include "platform/mem.h"

#include "tests/support/cm.h"

struct fixture {
    struct cairn_lua *lua;
    struct cairn_arena arena;
    struct cairn_lua_result result;
    struct cairn_err err;
};

static const struct cairn_lua_limits small = {
    .memory_bytes = 16u << 20, .call_memory_bytes = 4u << 20, .call_instructions = 1000000};

static int set_up(void **state)
{
    struct fixture *fixture = cairn_mem_zalloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->arena.max = 64u << 20;
    assert_ok(cairn_lua_new(&small, &fixture->lua, &fixture->err), &fixture->err);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    cairn_lua_free(fixture->lua);
    cairn_arena_fini(&fixture->arena);
    cairn_mem_free(fixture);
    return 0;
}

/* Run a chunk that defines global f, and call it without arguments. */
static enum cairn_rc run_f(struct fixture *fixture, const char *source)
{
    enum cairn_rc rc = cairn_lua_run(fixture->lua, "t.lua", cairn_slice_str(source), &fixture->err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    cairn_lua_ref f = 0;
    assert_int_equal(cairn_lua_find(fixture->lua, 1, (const char *[]){"f"}, &f), CAIRN_OK);
    rc = cairn_lua_call(fixture->lua, f, NULL, 0, &fixture->arena, &fixture->result, &fixture->err);
    cairn_lua_unref(fixture->lua, f);
    return rc;
}

/* The first result of `return <expression>` as JSON. */
static const char *eval(struct fixture *fixture, const char *expression)
{
    char *source = cairn_arena_printf(&fixture->arena, "function f() return %s end", expression);
    assert_ok(run_f(fixture, source), &fixture->err);
    assert_true(fixture->result.count > 0);
    struct cairn_buf out = {.max = 1u << 20};
    assert_int_equal(cairn_json_write(&fixture->result.values[0], &out), CAIRN_OK);
    char *text =
        cairn_arena_printf(&fixture->arena, "%.*s", CAIRN_SLICE_ARG(cairn_buf_slice(&out)));
    cairn_buf_fini(&out);
    return text;
}

static void values_keep_their_kind(void **state)
{
    struct fixture *fixture = *state;
    assert_string_equal(eval(fixture, "9223372036854775807"), "9223372036854775807");
    assert_string_equal(eval(fixture, "1.0"), "1.0");
    assert_string_equal(eval(fixture, "{b = 1, a = {1, 'x', true, null}}"),
                        "{\"a\":[1,\"x\",true,null],\"b\":1}");
    assert_string_equal(eval(fixture, "{}"), "{}");
    assert_string_equal(eval(fixture, "array{}"), "[]");
    assert_string_equal(eval(fixture, "nil"), "null");
}

/* Keys that begin alike, that are a beginning of others, empty, above ASCII, few and many. */
static void members_leave_in_the_order_of_their_keys(void **state)
{
    struct fixture *fixture = *state;
    assert_string_equal(
        eval(fixture, "{invoiced_by = 1, invoiced_at = 2, invoiced = 3, invoice = 4, i = 5, "
                      "[''] = 6, ['\\0'] = 7, ['\u00e9'] = 8, z = 9, invoiced_ = 10}"),
        "{\"\":6,\"\\u0000\":7,\"i\":5,\"invoice\":4,\"invoiced\":3,\"invoiced_\":10,"
        "\"invoiced_at\":2,\"invoiced_by\":1,\"z\":9,\"\xc3\xa9\":8}");
    for (int count = 1; count < 40; count++) {
        (void)eval(fixture, cairn_arena_printf(&fixture->arena,
                                               "(function() local t = {} for i = 1, %d do "
                                               "t['common' .. i * 7 %% 41] = i end return t end)()",
                                               count));
        const struct cairn_value *map = &fixture->result.values[0];
        assert_int_equal(map->count, count);
        for (uint32_t i = 1; i < map->count; i++) {
            assert_true(cairn_slice_compare(cairn_value_slice(&map->as.members[i - 1].key),
                                            cairn_value_slice(&map->as.members[i].key)) < 0);
        }
    }
}

static const struct cairn_err_case {
    const char *expression;
    const char *text;
} uncrossable[] = {
    {"{1, nil, 3, [10] = 4}", "keys are neither"},
    {"{1, a = 2}", "mixes"},
    {"{a = {b = {1, print == nil, function() end}}}", "result 1: a.b[3]: a function is no data"},
    {"0/0", "not finite"},
    {"1/0", "not finite"},
    {"'\\xff'", "not UTF-8"},
    {"{[true] = 1}", "neither"},
};

static void what_cannot_cross_is_named_with_its_path(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(uncrossable) / sizeof(uncrossable[0]); i++) {
        char source[256];
        (void)snprintf(source, sizeof(source), "function f() return %s end",
                       uncrossable[i].expression);
        assert_int_equal(run_f(fixture, source), CAIRN_EINVAL);
        if (strstr(fixture->err.text, uncrossable[i].text) == NULL) {
            fail_msg("%s: %s", uncrossable[i].expression, fixture->err.text);
        }
    }
}

static void a_table_within_itself_does_not_cross(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run_f(fixture, "function f() local t = {} t.t = t return t end"),
                     CAIRN_EINVAL);
    assert_non_null(strstr(fixture->err.text, "nested too deeply"));
}

/* Scripts that never end or eat memory: each is ended, and the host goes on. */
static const struct runaway {
    const char *source;
    const char *end; /* what the error says */
} runaways[] = {
    {"function f() while true do end end", "runs longer"},
    {"function f() while true do pcall(function() while true do end end) end end", "runs longer"},
    {"function f() return f() end", "runs longer"},
    {"function f() local function g() return 1 + g() end return g() end", "too much memory"},
    {"function f() local t = {} for i = 1, 1e9 do t[i] = {i} end end", "too much memory"},
    {"function f() local s = 'x' while true do s = s .. s end end", "too much memory"},
    {"function f() while true do pcall(string.rep, 'x', 1 << 40) end end", "runs longer"},
    {"function f() return ('x'):rep(1 << 30) end", "too much memory"},
    {"function f() local s = ('x'):rep(900000) while true do local t = s .. 'y' end end",
     "too much memory"},
    {"function f() while true do pcall(function() local t = {} while true do t[#t+1] = {} end end) "
     "end end",
     "too much memory"},
    {"function f() pcall(f) pcall(f) return f() end", ""},
    {"function f() local t = {} for i = 1, 50000 do t[i] = i end "
     "while true do table.insert(t, 1, 0) table.remove(t, 1) end end",
     "runs longer"},
    {"function f() return ('a'):rep(100000):find(('a*'):rep(20) .. 'b') end", "runs longer"},
    {"function f() return ('a'):rep(100000):gsub('a-a-a-a-b', '') end", "runs longer"},
    {"function f() for _ in ('a'):rep(100000):gmatch('.-.-.-b') do end end", "runs longer"},
    {"function f() while true do pcall(string.match, ('('):rep(100000), '%b()') end end",
     "runs longer"},
    {"function f() local t = {} for i = 1, 100000 do t[i] = i end "
     "while true do for k in pairs(t) do break end end end",
     "runs longer"},
};

static void a_runaway_is_ended_and_the_host_lives_on(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(runaways) / sizeof(runaways[0]); i++) {
        enum cairn_rc rc = run_f(fixture, runaways[i].source);
        if (rc != CAIRN_ESCRIPT || strstr(fixture->err.text, runaways[i].end) == NULL) {
            fail_msg("%s: %d: %s", runaways[i].source, rc, fixture->err.text);
        }
        assert_non_null(strstr(fixture->err.text, "t.lua:1"));
        assert_non_null(fixture->result.place);
        assert_string_equal(eval(fixture, "1 + 1"), "2");
    }
}

static void a_failure_says_where(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run_f(fixture, "function f()\n local x = nil\n return x.y\nend"),
                     CAIRN_ESCRIPT);
    assert_non_null(strstr(fixture->err.text, "t.lua:3: attempt to index a nil value"));
    assert_string_equal(fixture->result.place, "t.lua:3");
    assert_int_equal(run_f(fixture, "function f("), CAIRN_ESCRIPT);
    assert_non_null(strstr(fixture->err.text, "t.lua:1:"));
}

static void a_thrown_table_is_the_result(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run_f(fixture, "function f() error({reject = {code = 'no'}}) end"),
                     CAIRN_ESCRIPT);
    assert_true(fixture->result.thrown);
    assert_int_equal(fixture->result.count, 1);
    assert_non_null(cairn_value_at(&fixture->result.values[0], "reject"));
    assert_string_equal(fixture->result.place, "t.lua:1");
}

static void pairs_walks_in_the_order_of_keys(void **state)
{
    struct fixture *fixture = *state;
    assert_ok(run_f(fixture, "function f() local t = {z = 1, a = 2, [10] = 3, [2.5] = 4, [1] = 5,"
                             "[-3] = 6, [true] = 7, [false] = 8, B = 9}\n"
                             "local out = '' for k, v in pairs(t) do out = out .. tostring(k) .. "
                             "'=' .. v .. ' ' end return out end"),
              &fixture->err);
    assert_int_equal(fixture->result.count, 1);
    assert_true(cairn_slice_is(cairn_value_slice(&fixture->result.values[0]),
                               "-3=6 1=5 2.5=4 10=3 B=9 a=2 z=1 false=8 true=7 "));
    assert_string_equal(eval(fixture, "select(2, next({b = 1, a = 2}))"), "2");
    assert_string_equal(eval(fixture, "next({})"), "null");
    assert_int_equal(run_f(fixture, "function f() for k in pairs({[{}] = 1}) do end end"),
                     CAIRN_ESCRIPT);
}

static void sort_is_stable(void **state)
{
    struct fixture *fixture = *state;
    assert_ok(run_f(fixture,
                    "function f() local t = {} for i = 1, 300 do t[i] = {k = i % 3, i = i}"
                    " end table.sort(t, function(a, b) return a.k < b.k end)\n"
                    "for i = 2, 300 do assert(t[i-1].k < t[i].k or (t[i-1].k == t[i].k and "
                    "t[i-1].i < t[i].i)) end\n"
                    "local n = {5, 3, 9, 1} table.sort(n) return table.concat(n, ',') end"),
              &fixture->err);
    assert_true(cairn_slice_is(cairn_value_slice(&fixture->result.values[0]), "1,3,5,9"));
}

static const struct cairn_err_case patterns[] = {
    {"('key = value'):match('^(%w+)%s*=%s*(%w+)$')", "\"key\""},
    {"select(2, ('key = value'):match('^(%w+)%s*=%s*(%w+)$'))", "\"value\""},
    {"('abc'):find('b', 1, true)", "2"},
    {"('a.c'):find('.', 1, true)", "2"},
    {"('abc'):find('')", "1"},
    {"('abc'):find('', 10)", "null"},
    {"('f(a(b)c)d'):match('%b()')", "\"(a(b)c)\""},
    {"('THE (quick) fox'):gsub('%f[%a]%a+', 'w')", "\"w (w) w\""},
    {"('hello world'):gsub('o', '0', 1)", "\"hell0 world\""},
    {"('abc'):gsub('%w', '%0%0')", "\"aabbcc\""},
    {"('abc'):gsub('', '-')", "\"-a-b-c-\""},
    {"('$name is $age'):gsub('%$(%w+)', {name = 'Ada', age = 36})", "\"Ada is 36\""},
    {"('x=1, y=2'):gsub('(%w+)=(%w+)', '%2=%1')", "\"1=x, 2=y\""},
    {"('\"q\" and \\'r\\''):match('([\"\\'])(.-)%1')", "\"\\\"\""},
    {"('  trim  '):match('^%s*(.-)%s*$')", "\"trim\""},
    {"('abc'):match('()b()')", "2"},
    {"('[]]'):match('[]]+')", "\"]]\""},
    {"('a-z'):match('[a%-z]+')", "\"a-z\""},
    {"('AbC'):match('%u%l%u')", "\"AbC\""},
    {"('\\xc3\\xa9'):find('%a')", "null"},
};

static void patterns_match_as_the_manual_says(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        assert_string_equal(eval(fixture, patterns[i].expression), patterns[i].text);
    }
    assert_ok(run_f(fixture,
                    "function f() local o = '' for k, v in ('a=1,b=2'):gmatch('(%w)=(%w)') "
                    "do o = o .. k .. v end return o end"),
              &fixture->err);
    assert_true(cairn_slice_is(cairn_value_slice(&fixture->result.values[0]), "a1b2"));
}

static const char *const malformed[] = {
    "'%'", "'[a'", "'(a'", "'a)'", "'%1'", "'%b'", "'%f'", "('('):rep(40) .. 'a' .. (')'):rep(40)"};

static void a_malformed_pattern_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        char source[128];
        (void)snprintf(source, sizeof(source), "function f() return ('aaa'):match(%s) end",
                       malformed[i]);
        if (run_f(fixture, source) != CAIRN_ESCRIPT) {
            fail_msg("%s is accepted", malformed[i]);
        }
    }
}

static void nothing_outside_the_box_is_there(void **state)
{
    struct fixture *fixture = *state;
    static const char *const gone[] = {
        "io",           "os",          "debug",    "require",        "package",   "load",
        "loadstring",   "dofile",      "loadfile", "collectgarbage", "coroutine", "setmetatable",
        "getmetatable", "rawset",      "rawget",   "print",          "_G",        "xpcall",
        "math.random",  "string.dump", "math.sin", "string.pack"};
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
        char expression[64];
        (void)snprintf(expression, sizeof(expression), "%s == nil", gone[i]);
        assert_string_equal(eval(fixture, expression), "true");
    }
    assert_int_equal(run_f(fixture, "string.upper = 1 function f() end"), CAIRN_ESCRIPT);
    assert_int_equal(run_f(fixture, "function f() local s = 'x' s.y = 1 end"), CAIRN_ESCRIPT);
    assert_int_equal(run_f(fixture, "\x1bLua"), CAIRN_ESCRIPT);
}

static void no_address_is_to_be_seen(void **state)
{
    struct fixture *fixture = *state;
    assert_string_equal(eval(fixture, "tostring({})"), "\"table\"");
    assert_string_equal(eval(fixture, "tostring(null)"), "\"null\"");
    assert_string_equal(eval(fixture, "string.format('%s %s %5d', {}, string.len, 3)"),
                        "\"table function     3\"");
    assert_int_equal(run_f(fixture, "function f() return string.format('%-10p', {}) end"),
                     CAIRN_ESCRIPT);
}

static void globals_are_read_only_once_sealed(void **state)
{
    struct fixture *fixture = *state;
    assert_ok(cairn_lua_run(fixture->lua, "t.lua",
                            CAIRN_SLICE_LIT("x = 1 function f() x = 2 end function g() y = 2 end "
                                            "function h() return x end"),
                            &fixture->err),
              &fixture->err);
    cairn_lua_seal(fixture->lua);
    static const char *const writers[] = {"f", "g"};
    for (size_t i = 0; i < 2; i++) {
        cairn_lua_ref f = 0;
        assert_int_equal(cairn_lua_find(fixture->lua, 1, &writers[i], &f), CAIRN_OK);
        assert_int_equal(cairn_lua_call(fixture->lua, f, NULL, 0, &fixture->arena, &fixture->result,
                                        &fixture->err),
                         CAIRN_ESCRIPT);
        assert_non_null(strstr(fixture->err.text, "attempt to set global"));
        cairn_lua_unref(fixture->lua, f);
    }
}

static void a_face_reads_through_and_refuses_writes(void **state)
{
    struct fixture *fixture = *state;
    assert_ok(
        cairn_lua_run(fixture->lua, "t.lua",
                      CAIRN_SLICE_LIT("t = {a = 1, list = {3, 4}, deep = {b = {c = 5}}}\n"
                                      "function read(s) local n = 0\n"
                                      "for _, v in ipairs(s.list) do n = n + v end\n"
                                      "local keys = '' for k in pairs(s) do keys = keys .. k "
                                      "end\n"
                                      "assert(s.deep == s.deep)\n"
                                      "assert(#s.list == 2 and table.concat(s.list) == '34')\n"
                                      "return n + s.deep.b.c + s.a, keys, s end\n"
                                      "function w1(s) s.a = 2 end\n"
                                      "function w2(s) s.deep.b.c = 2 end\n"
                                      "function w3(s) table.insert(s.list, 1) end\n"
                                      "function w4(s) for k, v in pairs(s.deep) do v.c = 1 end "
                                      "end\n"
                                      "function w5(s) local k, v = next(s.deep) v.c = 1 end\n"
                                      "function w6(s) table.sort(s.list) end\n"
                                      "function w7(s) array(s.list) end\n"),
                      &fixture->err),
        &fixture->err);
    cairn_lua_ref table = 0;
    cairn_lua_ref face = 0;
    cairn_lua_ref f = 0;
    assert_int_equal(cairn_lua_find(fixture->lua, 1, (const char *[]){"t"}, &table), CAIRN_OK);
    assert_ok(cairn_lua_readonly(fixture->lua, table, &face, &fixture->err), &fixture->err);
    struct cairn_lua_arg arg = {.kind = CAIRN_LUA_ARG_REF, .ref = face};
    assert_int_equal(cairn_lua_find(fixture->lua, 1, (const char *[]){"read"}, &f), CAIRN_OK);
    assert_ok(
        cairn_lua_call(fixture->lua, f, &arg, 1, &fixture->arena, &fixture->result, &fixture->err),
        &fixture->err);
    cairn_lua_unref(fixture->lua, f);
    assert_int_equal(fixture->result.values[0].as.integer, 13);
    assert_true(cairn_slice_is(cairn_value_slice(&fixture->result.values[1]), "adeeplist"));
    assert_int_equal(fixture->result.values[2].count, 3);
    static const char *const writers[] = {"w1", "w2", "w3", "w4", "w5", "w6", "w7"};
    for (size_t i = 0; i < sizeof(writers) / sizeof(writers[0]); i++) {
        assert_int_equal(cairn_lua_find(fixture->lua, 1, &writers[i], &f), CAIRN_OK);
        enum cairn_rc rc = cairn_lua_call(fixture->lua, f, &arg, 1, &fixture->arena,
                                          &fixture->result, &fixture->err);
        assert_int_equal(rc, CAIRN_ESCRIPT);
        assert_non_null(strstr(fixture->err.text, "read-only"));
        cairn_lua_unref(fixture->lua, f);
    }
    cairn_lua_unref(fixture->lua, face);
    cairn_lua_unref(fixture->lua, table);
}

struct counter {
    int calls;
    struct cairn_arena *arena;
};

/* echo(value): gives it back; a string is refused. */
static enum cairn_rc echo(void *self, struct cairn_lua_frame *frame, struct cairn_err *err)
{
    struct counter *counter = self;
    struct cairn_value value;
    struct cairn_slice text;
    counter->calls++;
    if (cairn_lua_frame_text(frame, 0, &text, NULL) == CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "no text please");
    }
    enum cairn_rc rc = cairn_lua_frame_value(frame, 0, counter->arena, &value, err);
    return rc == CAIRN_OK ? cairn_lua_frame_return(frame, &value, err) : rc;
}

static void host_functions_take_and_give_values(void **state)
{
    struct fixture *fixture = *state;
    struct counter counter = {.arena = &fixture->arena};
    assert_ok(cairn_lua_register(fixture->lua, "host", "echo", echo, &counter, &fixture->err),
              &fixture->err);
    assert_ok(
        run_f(fixture, "local echo = host.echo function f() return echo({1, {a = null}}) end"),
        &fixture->err);
    assert_int_equal(fixture->result.values[0].count, 2);
    assert_int_equal(run_f(fixture, "function f() return host.echo('x') end"), CAIRN_ESCRIPT);
    assert_string_equal(fixture->err.text, "t.lua:1: no text please");
    assert_int_equal(counter.calls, 2);
    assert_ok(cairn_lua_hide(fixture->lua, "host", &fixture->err), &fixture->err);
    assert_string_equal(eval(fixture, "host == nil"), "true");
}

static void a_call_survives_every_failed_allocation(void **state)
{
    skip_without_faults();
    struct fixture *fixture = *state;
    struct cairn_value argument;
    struct cairn_err err;
    assert_ok(cairn_json_read(CAIRN_SLICE_LIT("{\"a\":[1,2,{\"b\":\"text\"}],\"c\":\"d\"}"),
                              &fixture->arena, &argument, NULL, &err),
              &err);
    assert_ok(cairn_lua_run(fixture->lua, "t.lua",
                            CAIRN_SLICE_LIT("function f(x) local t = {} for i = 1, 100 do t[i] = "
                                            "tostring(i) end return x, table.concat(t) end"),
                            &err),
              &err);
    cairn_lua_ref f = 0;
    assert_int_equal(cairn_lua_find(fixture->lua, 1, (const char *[]){"f"}, &f), CAIRN_OK);
    struct cairn_lua_arg arg = {.kind = CAIRN_LUA_ARG_VALUE, .value = &argument};
    int failed = 0;
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_MEM) || after == 0; after++) {
        struct cairn_arena arena = {.max = 1u << 20};
        cairn_fault_arm_persistent(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = cairn_lua_call(fixture->lua, f, &arg, 1, &arena, &fixture->result, &err);
        bool fired = cairn_fault_fired(CAIRN_FAULT_MEM);
        cairn_fault_disarm();
        assert_true(rc == CAIRN_OK || rc == CAIRN_ENOMEM);
        failed += rc == CAIRN_ENOMEM;
        cairn_arena_fini(&arena);
        if (!fired) {
            assert_int_equal(rc, CAIRN_OK);
            break;
        }
    }
    assert_true(failed > 0);
    cairn_lua_unref(fixture->lua, f);
}

static void a_host_that_gets_no_memory_is_not_made(void **state)
{
    (void)state;
    struct cairn_err err;
    bool fired = true;
    for (int after = 0; fired; after++) {
        struct cairn_lua *lua = NULL;
        cairn_fault_arm_persistent(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = cairn_lua_new(NULL, &lua, &err);
        fired = cairn_fault_fired(CAIRN_FAULT_MEM);
        cairn_fault_disarm();
        /* A block that could not be made smaller stays as it is: that is no failure. */
        assert_true(rc == CAIRN_OK || (fired && rc == CAIRN_ENOMEM));
        assert_true((rc == CAIRN_OK) == (lua != NULL));
        cairn_lua_free(lua);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(values_keep_their_kind),
        T(members_leave_in_the_order_of_their_keys),
        T(what_cannot_cross_is_named_with_its_path),
        T(a_table_within_itself_does_not_cross),
        T(a_runaway_is_ended_and_the_host_lives_on),
        T(a_failure_says_where),
        T(a_thrown_table_is_the_result),
        T(pairs_walks_in_the_order_of_keys),
        T(sort_is_stable),
        T(patterns_match_as_the_manual_says),
        T(a_malformed_pattern_is_an_error),
        T(nothing_outside_the_box_is_there),
        T(no_address_is_to_be_seen),
        T(globals_are_read_only_once_sealed),
        T(a_face_reads_through_and_refuses_writes),
        T(host_functions_take_and_give_values),
        T(a_call_survives_every_failed_allocation),
        T(a_host_that_gets_no_memory_is_not_made),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
