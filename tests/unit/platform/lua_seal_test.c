/* What a sealed host still lets a script change: nothing that lives on. */
#include <stdio.h>
#include <stdlib.h>

#include "platform/fault.h"
#include "platform/lua.h"

#include "tests/support/cm.h"

struct fixture {
    struct cairn_lua *lua;
    struct cairn_arena arena;
    struct cairn_lua_result result;
    struct cairn_err err;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->arena.max = 1u << 20;
    assert_ok(cairn_lua_new(NULL, &fixture->lua, &fixture->err), &fixture->err);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    cairn_lua_free(fixture->lua);
    cairn_arena_fini(&fixture->arena);
    free(fixture);
    return 0;
}

static void run_and_seal(struct fixture *fixture, const char *source)
{
    assert_ok(cairn_lua_run(fixture->lua, "t.lua", cairn_slice_str(source), &fixture->err),
              &fixture->err);
    cairn_lua_seal(fixture->lua);
}

static enum cairn_rc call(struct fixture *fixture, const char *name)
{
    cairn_lua_ref f = 0;
    if (cairn_lua_find(fixture->lua, 1, &name, &f) != CAIRN_OK) {
        return CAIRN_ENOMEM;
    }
    enum cairn_rc rc =
        cairn_lua_call(fixture->lua, f, NULL, 0, &fixture->arena, &fixture->result, &fixture->err);
    cairn_lua_unref(fixture->lua, f);
    return rc;
}

static const struct writer {
    const char *source; /* defines f, which tries to leave something behind */
    const char *key;    /* that the error names */
} writers[] = {
    {"local t = {} function f() t.n = 1 end", "'n'"},
    {"local t = { n = 0 } function f() t.n = t.n + 1 end", "'n'"},
    {"local t = { a = { b = {} } } function f() t.a.b.c = 1 end", "'c'"},
    {"local t = {} function f() table.insert(t, 1) end", "read-only"},
    {"local t = { 1, 2 } function f() table.remove(t) end", "read-only"},
    {"local t = { 2, 1 } function f() table.sort(t) end", "read-only"},
    {"local t = array{} function f() t[1] = 1 end", "read-only"},
    {"local t = {} local function g() t.n = 1 end function f() g() end", "'n'"},
    {"local t = {} local h = { g = function() t.n = 1 end } function f() h.g() end", "'n'"},
    {"t = {} function f() t.n = 1 end", "'n'"},
    {"t = { u = {} } local u = t.u function f() u.n = 1 end", "'n'"},
    {"local t = { {} } function f() for _, x in pairs(t) do x.n = 1 end end", "'n'"},
    {"local t = { {} } function f() for _, x in ipairs(t) do x.n = 1 end end", "'n'"},
    {"local t = { {} } function f() local _, x = next(t) x.n = 1 end", "'n'"},
    {"local t = {} t.t = t function f() t.t.t.n = 1 end", "'n'"},
    {"local t = {} local function make() return function() t.n = 1 end end f = make()", "'n'"},
    {"local t = guard({ u = {} }) function f() t.u.n = 1 end", "'n'"},
};

static void no_table_lives_on_that_a_call_wrote_to(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(writers) / sizeof(writers[0]); i++) {
        void *made = NULL;
        assert_int_equal(set_up(&made), 0);
        struct fixture *fixture = made;
        run_and_seal(fixture, writers[i].source);
        enum cairn_rc rc = call(fixture, "f");
        if (rc != CAIRN_ESCRIPT || strstr(fixture->err.text, "read-only") == NULL ||
            strstr(fixture->err.text, writers[i].key) == NULL) {
            fail_msg("%s: %s", writers[i].source, rc == CAIRN_OK ? "went on" : fixture->err.text);
        }
        assert_int_equal(tear_down(&made), 0);
    }
}

static void a_frozen_table_reads_as_before(void **state)
{
    struct fixture *fixture = *state;
    run_and_seal(fixture, "local t = { a = 1, list = { 3, 1, 2 }, deep = { x = { y = 'z' } } }\n"
                          "local same = t.deep\n"
                          "local none = array{}\n"
                          "function f()\n"
                          "  local keys, sum = '', 0\n"
                          "  for k in pairs(t) do keys = keys .. k .. ' ' end\n"
                          "  for _, n in ipairs(t.list) do sum = sum + n end\n"
                          "  assert(#t.list == 3 and #none == 0)\n"
                          "  assert(same == t.deep and t.deep ~= t.list)\n"
                          "  assert(table.concat(t.list, ',') == '3,1,2')\n"
                          "  assert(select('#', table.unpack(t.list)) == 3)\n"
                          "  local copy = table.move(t.list, 1, 3, 1, {})\n"
                          "  table.sort(copy)\n"
                          "  return keys, sum, t.deep.x.y, t, none, copy\n"
                          "end");
    assert_ok(call(fixture, "f"), &fixture->err);
    const struct cairn_value *values = fixture->result.values;
    assert_true(cairn_slice_is(cairn_value_slice(&values[0]), "a deep list "));
    assert_int_equal(values[1].as.integer, 6);
    assert_true(cairn_slice_is(cairn_value_slice(&values[2]), "z"));
    assert_int_equal(values[3].type, CAIRN_MAP);
    assert_int_equal(values[3].count, 3);
    assert_int_equal(values[4].type, CAIRN_ARRAY);
    assert_int_equal(values[5].as.items[0].as.integer, 1);
}

static void what_a_call_makes_it_may_write_to(void **state)
{
    struct fixture *fixture = *state;
    run_and_seal(fixture, "local base = { 1 }\n"
                          "local function add(t) t[#t + 1] = base[1] return t end\n"
                          "function f() local t = add(add({})) t.x = nil return t end");
    for (int i = 0; i < 3; i++) {
        assert_ok(call(fixture, "f"), &fixture->err);
        assert_int_equal(fixture->result.values[0].count, 2);
    }
}

static void a_frozen_table_within_a_face_can_be_read(void **state)
{
    struct fixture *fixture = *state;
    run_and_seal(fixture,
                 "local rates = { eur = { cents = 100 } }\n"
                 "function fill(s) s.rates = rates end\n"
                 "function look(s)\n"
                 "  local n = 0\n"
                 "  for k, v in pairs(s) do for kk, vv in pairs(v) do n = n + vv.cents end end\n"
                 "  return n + s.rates.eur.cents\n"
                 "end");
    cairn_lua_ref table = 0;
    cairn_lua_ref face = 0;
    cairn_lua_ref f = 0;
    struct cairn_value empty = {.type = CAIRN_MAP};
    assert_ok(cairn_lua_make(fixture->lua, &empty, &table, &fixture->err), &fixture->err);
    assert_ok(cairn_lua_readonly(fixture->lua, table, &face, &fixture->err), &fixture->err);
    struct cairn_lua_arg arg = {.kind = CAIRN_LUA_ARG_REF, .ref = table};
    assert_int_equal(cairn_lua_find(fixture->lua, 1, (const char *[]){"fill"}, &f), CAIRN_OK);
    assert_ok(
        cairn_lua_call(fixture->lua, f, &arg, 1, &fixture->arena, &fixture->result, &fixture->err),
        &fixture->err);
    arg.ref = face;
    assert_int_equal(cairn_lua_find(fixture->lua, 1, (const char *[]){"look"}, &f), CAIRN_OK);
    assert_ok(
        cairn_lua_call(fixture->lua, f, &arg, 1, &fixture->arena, &fixture->result, &fixture->err),
        &fixture->err);
    assert_int_equal(fixture->result.values[0].as.integer, 200);
}

static void a_host_without_memory_seals_later_or_refuses(void **state)
{
    skip_without_faults();
    (void)state;
    int failed = 0;
    bool fired = true;
    for (int after = 0; fired; after++) {
        void *made = NULL;
        assert_int_equal(set_up(&made), 0);
        struct fixture *fixture = made;
        assert_ok(cairn_lua_run(fixture->lua, "t.lua",
                                CAIRN_SLICE_LIT("local t = {} for i = 1, 600 do t[i] = { i } end\n"
                                                "function f() t[600].n = 1 end"),
                                &fixture->err),
                  &fixture->err);
        cairn_fault_arm_persistent(CAIRN_FAULT_MEM, after);
        cairn_lua_seal(fixture->lua);
        enum cairn_rc rc = call(fixture, "f");
        assert_true(rc == CAIRN_ESCRIPT || rc == CAIRN_ENOMEM);
        failed += rc == CAIRN_ENOMEM;
        fired = cairn_fault_fired(CAIRN_FAULT_MEM);
        cairn_fault_disarm();
        assert_int_equal(call(fixture, "f"), CAIRN_ESCRIPT);
        assert_non_null(strstr(fixture->err.text, "read-only"));
        assert_int_equal(tear_down(&made), 0);
    }
    assert_true(failed > 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_table_lives_on_that_a_call_wrote_to),
        T(a_frozen_table_reads_as_before),
        T(what_a_call_makes_it_may_write_to),
        T(a_frozen_table_within_a_face_can_be_read),
        cmocka_unit_test(a_host_without_memory_seals_later_or_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
