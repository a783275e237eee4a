#include "projector/lmdb/projection.h"

#include "tests/unit/projector/world.h"

static struct cairn_event make_event(const char *type, const char *stream, uint64_t version,
                                     struct cairn_slice data)
{
    return (struct cairn_event){.stream = cairn_slice_str(stream),
                                .type = cairn_slice_str(type),
                                .version = version,
                                .time_us = 1700000000123456,
                                .schema_version = 1,
                                .partition = 3,
                                .offset = 10 + version,
                                .count = 1,
                                .data = data,
                                .principal = CAIRN_SLICE_LIT("ann")};
}

/* {"n": 5} */
static const struct cairn_slice five = {"\x81\xA1n\x05", 4};

static enum cairn_rc project(const char *script, const struct cairn_event *events, size_t count,
                             struct cairn_arena *arena, struct cairn_view_row **ret_rows,
                             size_t *ret_count, struct cairn_err *err)
{
    struct world world;
    const struct cairn_domain_view view = {.name = CAIRN_SLICE_LIT("v"),
                                           .script_name = CAIRN_SLICE_LIT("views/v.lua"),
                                           .script = cairn_slice_str(script)};
    world_make(&world);
    world_load_domain(&world);
    enum cairn_rc rc =
        cairn_view_project(&view, world.domain, events, count, arena, ret_rows, ret_count, err);
    world_end(&world);
    return rc;
}

static void a_handler_sees_the_whole_event(void **state)
{
    static const char script[] =
        "local v = view 'v'\n"
        "function v.on.Added(view, event) view:put(event.stream, event) end\n";
    struct cairn_arena arena = {.max = 1u << 22};
    struct cairn_view_row *rows = NULL;
    struct cairn_err err;
    size_t count = 0;
    (void)state;
    const struct cairn_event event = make_event("Added", "box-a-7", 2, five);
    assert_ok(project(script, &event, 1, &arena, &rows, &count, &err), &err);
    assert_int_equal(count, 1);
    const struct cairn_value *row = &rows[0].document;
    assert_true(
        cairn_slice_is(cairn_value_get_string(row, "id"), "00000000-0000-0000-0000-000000000000"));
    assert_true(cairn_slice_is(cairn_value_get_string(row, "type"), "Added"));
    assert_true(cairn_slice_is(cairn_value_get_string(row, "stream"), "box-a-7"));
    assert_true(cairn_slice_is(cairn_value_get_string(row, "aggregate"), "box"));
    assert_true(cairn_slice_is(cairn_value_get_string(row, "aggregate_id"), "a-7"));
    assert_true(cairn_slice_is(cairn_value_get_string(row, "principal"), "ann"));
    assert_true(cairn_slice_is(cairn_value_get_string(row, "time"), "2023-11-14T22:13:20.123456Z"));
    assert_int_equal(cairn_value_at(row, "time_us")->as.integer, 1700000000123456);
    assert_int_equal(cairn_value_at(row, "version")->as.integer, 2);
    assert_int_equal(cairn_value_at(row, "partition")->as.integer, 3);
    assert_int_equal(cairn_value_at(row, "offset")->as.integer, 12);
    assert_int_equal(cairn_value_at(cairn_value_at(row, "data"), "n")->as.integer, 5);
    cairn_arena_fini(&arena);
}

static void puts_and_deletes_are_seen_by_later_gets(void **state)
{
    static const char script[] =
        "local v = view 'v'\n"
        "function v.on.Added(view, event)\n"
        "  assert(view:get('x') == nil)\n"
        "  view:put('x', { n = 1 })\n"
        "  assert(view:get('x').n == 1)\n"
        "  local row = view:get('x')\n"
        "  row.n = 2\n"
        "  assert(view:get('x').n == 1, 'a row is a copy')\n"
        "  view:put('x', row)\n"
        "  assert(view:get('x').n == 2)\n"
        "  view:delete('x')\n"
        "  assert(view:get('x') == nil)\n"
        "  view:put('b', { list = array{}, none = null, deep = { a = { 1, 2.5, 'x' } } })\n"
        "  view:put('a', view:get('b'))\n"
        "end\n";
    struct cairn_arena arena = {.max = 1u << 22};
    struct cairn_view_row *rows = NULL;
    struct cairn_err err;
    size_t count = 0;
    (void)state;
    const struct cairn_event event = make_event("Added", "box-a", 1, five);
    assert_ok(project(script, &event, 1, &arena, &rows, &count, &err), &err);
    assert_int_equal(count, 2);
    assert_true(cairn_slice_is(rows[0].key, "a"));
    assert_true(cairn_slice_is(rows[1].key, "b"));
    assert_true(cairn_value_equal(&rows[0].document, &rows[1].document));
    assert_int_equal(cairn_value_at(&rows[0].document, "list")->type, CAIRN_ARRAY);
    assert_int_equal(cairn_value_at(&rows[0].document, "none")->type, CAIRN_NULL);
    cairn_arena_fini(&arena);
}

static void a_failure_names_the_event_and_the_line(void **state)
{
    static const char script[] = "local v = view 'v'\n"
                                 "function v.on.Added(view, event)\n"
                                 "  if event.version == 2 then error('two') end\n"
                                 "end\n";
    struct cairn_arena arena = {.max = 1u << 22};
    struct cairn_view_row *rows = NULL;
    struct cairn_err err;
    size_t count = 0;
    (void)state;
    const struct cairn_event events[] = {make_event("Added", "box-a", 1, five),
                                         make_event("Other", "box-a", 2, five),
                                         make_event("Added", "box-a", 2, five)};
    assert_int_equal(project(script, events, 3, &arena, &rows, &count, &err), CAIRN_ESCRIPT);
    assert_non_null(strstr(err.text, "event 3 (Added)"));
    assert_non_null(strstr(err.text, "views/v.lua:3"));
    assert_null(rows);
    cairn_arena_fini(&arena);
}

static void a_definition_that_cannot_be_is_refused(void **state)
{
    static const struct {
        const char *script;
        const char *said;
    } cases[] = {
        {"view 'w'", "makes no view \"v\""},
        {"local v = view 'v' v.version = 0", "version must be an integer from 1"},
        {"local v = view 'v' v.version = 'x'", "version must be an integer from 1"},
        {"local v = view 'v' v.indexes = { 'key' }", "index 1 must be the name"},
        {"local v = view 'v' v.indexes = { 1 }", "index 1 must be the name"},
        {"local v = view 'v' v.indexes = { x = 'y' }", "indexes must be a list"},
        {"local v = view 'v' v.on_error = 'skip'", "on_error must be \"stop\" or \"park\""},
        {"local v = view 'v' v.on_error = 1", "on_error must be \"stop\" or \"park\""},
        {"local v = view 'v' v.on.Added = 1", "on.Added is not a function"},
        {"local v = view 'v' v.on = 5", "on must be a table"},
        {"local v = view 'v' store.put(nil, 'k', {})", "view v: "},
        {"view 'v' (", "views/v.lua:1"},
    };
    const struct cairn_lua_limits limits = {.memory_bytes = 0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cairn_projection *projection = NULL;
        struct cairn_err err = {.text = ""};
        enum cairn_rc rc =
            cairn_projection_new(CAIRN_SLICE_LIT("v"), CAIRN_SLICE_LIT("views/v.lua"),
                                 cairn_slice_str(cases[i].script), &limits, &projection, &err);
        if (rc != CAIRN_ESCRIPT || strstr(err.text, cases[i].said) == NULL) {
            fail_msg("%s: rc %d, \"%s\" does not say \"%s\"", cases[i].script, (int)rc, err.text,
                     cases[i].said);
        }
        assert_null(projection);
    }
}

static void a_definition_tells_version_indexes_and_types(void **state)
{
    static const char script[] = "local v = view 'v'\n"
                                 "v.version = 7\n"
                                 "v.indexes = { 'b', 'a' }\n"
                                 "function v.on.Added() end\n";
    const struct cairn_lua_limits limits = {.memory_bytes = 0};
    struct cairn_projection *projection = NULL;
    struct cairn_err err;
    (void)state;
    assert_ok(cairn_projection_new(CAIRN_SLICE_LIT("v"), CAIRN_SLICE_LIT("v.lua"),
                                   CAIRN_SLICE_LIT(script), &limits, &projection, &err),
              &err);
    const struct cairn_view_code *code = cairn_projection_code(projection);
    assert_int_equal(code->version, 7);
    assert_int_equal(code->column_count, 2);
    assert_true(cairn_slice_is(code->columns[0].name, "b"));
    assert_true(cairn_slice_is(code->columns[1].name, "a"));
    assert_true(cairn_projection_handles(projection, CAIRN_SLICE_LIT("Added")));
    assert_false(cairn_projection_handles(projection, CAIRN_SLICE_LIT("Other")));
    assert_false(cairn_projection_parks(projection));
    cairn_projection_free(projection);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handler_sees_the_whole_event),
        cmocka_unit_test(puts_and_deletes_are_seen_by_later_gets),
        cmocka_unit_test(a_failure_names_the_event_and_the_line),
        cmocka_unit_test(a_definition_that_cannot_be_is_refused),
        cmocka_unit_test(a_definition_tells_version_indexes_and_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
