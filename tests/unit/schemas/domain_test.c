#include "schemas/domain.h"

#include <stdio.h>
#include <stdlib.h>

#include "platform/fault.h"
#include "platform/file.h"
#include "platform/json.h"
#include "schemas/msgpack.h"
#include "schemas/spec.h"
#include "tests/support/folder.h"

#include "tests/support/cm.h"

/* A domain folder in a temporary place, made of files. */
struct fixture {
    char folder[64];
    struct cairn_arena arena;
};

struct file {
    const char *name;
    const char *text;
};

#define OBJECT "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}}}"

/* A small sound domain: a counter. */
static const struct file sound[] = {
    {"domain.json", "{\"name\":\"demo\",\"aggregates\":{\"counter\":{\"snapshot_every\":7}}}"},
    {"counter.lua", "local c = aggregate 'counter'\n"
                    "c.initial = {n = 0}\n"
                    "function c.decide.Add(s, cmd) return event('Added', {n = cmd.n}) end\n"
                    "function c.evolve.Added(s, d) s.n = s.n + d.n end\n"
                    "c.upcast.Added = {\n"
                    " [1] = function(d) return {n = d.count, was = 1} end,\n"
                    " [2] = function(d) d.n = d.n * 10 return d end}\n"},
    {"schemas/commands/Add.json", OBJECT},
    {"schemas/events/Added.json", OBJECT},
    {"schemas/events/Added.v1.json", "{\"type\":\"object\"}"},
    {"schemas/events/Added.v2.json", "{\"type\":\"object\"}"},
    {"views/sums.lua", "local v = view 'sums'\nv.indexes = {'n'}\nv.on_error = 'park'\n"
                       "function v.on.Added(view, e) view:put('all', {n = 1}) end\n"},
    {"views/daily.sql", "-- view: daily\n-- version: 1\n-- table:\n"
                        "CREATE TABLE daily (day date PRIMARY KEY, n bigint);\n"
                        "-- on: Added\nINSERT INTO daily VALUES (:time::date, :n);\n"},
    {"queries/top.sql", "-- query: top\n-- param: least integer\n"
                        "SELECT day FROM daily WHERE n > :least\n"},
    {"specs/counter.json",
     "{\"aggregate\":\"counter\",\"specs\":[{\"name\":\"adds\",\"given\":[{\"type\":\"Added\","
     "\"data\":{\"n\":1}}],\"when\":{\"command\":\"Add\",\"data\":{\"n\":2}},"
     "\"then\":[{\"type\":\"Added\",\"data\":{\"n\":2}}]}]}"},
};

static void write_file(const struct fixture *fixture, const char *name, const char *text)
{
    char path[CAIRN_PATH_MAX];
    struct cairn_err err;
    assert_int_equal(cairn_file_join(path, fixture->folder, name), CAIRN_OK);
    char *slash = strrchr(path, '/');
    assert_non_null(slash);
    *slash = '\0';
    assert_ok(cairn_file_make_folder(path, &err), &err);
    *slash = '/';
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void remove_file(const struct fixture *fixture, const char *name)
{
    char path[CAIRN_PATH_MAX];
    assert_int_equal(cairn_file_join(path, fixture->folder, name), CAIRN_OK);
    assert_int_equal(remove(path), 0);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->arena.max = 16u << 20;
    test_folder_make(fixture->folder, sizeof(fixture->folder), "domain");
    for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++) {
        write_file(fixture, sound[i].name, sound[i].text);
    }
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    test_folder_remove(fixture->folder);
    cairn_arena_fini(&fixture->arena);
    free(fixture);
    return 0;
}

static void a_sound_folder_becomes_a_catalogue(void **state)
{
    struct fixture *fixture = *state;
    struct cairn_domain *domain = NULL;
    struct cairn_err err;
    assert_ok(cairn_domain_load(fixture->folder, &domain, &err), &err);
    assert_true(cairn_slice_is(cairn_domain_name(domain), "demo"));
    const struct cairn_domain_aggregate *aggregate =
        cairn_domain_aggregate(domain, CAIRN_SLICE_LIT("counter"));
    assert_non_null(aggregate);
    assert_int_equal(aggregate->snapshot_every, 7);
    const struct cairn_domain_command *command =
        cairn_domain_command(domain, CAIRN_SLICE_LIT("counter"), CAIRN_SLICE_LIT("Add"));
    assert_non_null(command);
    assert_non_null(command->schema);
    assert_null(cairn_domain_command(domain, CAIRN_SLICE_LIT("counter"), CAIRN_SLICE_LIT("Sub")));
    assert_null(cairn_domain_command(domain, CAIRN_SLICE_LIT("other"), CAIRN_SLICE_LIT("Add")));
    const struct cairn_domain_event *event = cairn_domain_event(domain, CAIRN_SLICE_LIT("Added"));
    assert_non_null(event);
    assert_int_equal(event->schema_version, 3);
    assert_int_equal(cairn_domain_view_count(domain), 2);
    assert_int_equal(cairn_domain_view(domain, CAIRN_SLICE_LIT("daily"))->kind,
                     CAIRN_VIEW_POSTGRES);
    assert_int_equal(cairn_domain_view(domain, CAIRN_SLICE_LIT("sums"))->kind, CAIRN_VIEW_LMDB);
    assert_int_equal(cairn_domain_query_count(domain), 1);
    cairn_domain_free(domain);
}

/* The domain whose domain.json has these members beside its name; the caller frees it. */
static struct cairn_domain *load_with(const struct fixture *fixture, const char *members)
{
    char text[512];
    struct cairn_domain *domain = NULL;
    struct cairn_err err;
    (void)snprintf(text, sizeof(text), "{%s,\"name\":\"demo\"}", members);
    write_file(fixture, "domain.json", text);
    assert_ok(cairn_domain_load(fixture->folder, &domain, &err), &err);
    return domain;
}

static void an_aggregate_has_its_own_format_or_the_domains(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *members;
        bool json;
    } cases[] = {
        {"\"aggregates\":{\"counter\":{}}", false},
        {"\"aggregates\":{\"counter\":{\"format\":\"json\"}}", true},
        {"\"aggregates\":{\"counter\":{}},\"format\":\"json\"", true},
        {"\"format\":\"json\",\"aggregates\":{\"counter\":{\"format\":\"msgpack\"}}", false},
        {"\"format\":\"msgpack\",\"aggregates\":{\"counter\":{\"format\":\"json\"}}", true},
        {"\"format\":\"msgpack\",\"aggregates\":{\"counter\":{}}", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cairn_domain *domain = load_with(fixture, cases[i].members);
        assert_int_equal(cairn_domain_aggregate_at(domain, 0)->json, cases[i].json);
        cairn_domain_free(domain);
    }
}

static void the_format_changes_no_code_hash(void **state)
{
    struct fixture *fixture = *state;
    unsigned char seen[16];
    struct cairn_domain *domain = load_with(fixture, "\"aggregates\":{\"counter\":{}}");
    memcpy(seen, cairn_domain_aggregate_at(domain, 0)->code_hash, sizeof(seen));
    cairn_domain_free(domain);
    domain = load_with(fixture, "\"format\":\"json\",\"aggregates\":{\"counter\":{}}");
    assert_memory_equal(cairn_domain_aggregate_at(domain, 0)->code_hash, seen, sizeof(seen));
    cairn_domain_free(domain);
}

static void topics_say_partitions_and_replication_or_nothing(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *members;
        uint16_t partitions, replication;
    } cases[] = {
        {"\"aggregates\":{\"counter\":{}}", 0, 0},
        {"\"aggregates\":{\"counter\":{}},\"topics\":{}", 0, 0},
        {"\"topics\":{\"partitions\":256},\"aggregates\":{\"counter\":{}}", 256, 0},
        {"\"topics\":{\"replication\":64,\"partitions\":1},\"aggregates\":{\"counter\":{}}", 1, 64},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cairn_domain *domain = load_with(fixture, cases[i].members);
        struct cairn_domain_topics topics = cairn_domain_topics(domain);
        assert_int_equal(topics.partitions, cases[i].partitions);
        assert_int_equal(topics.replication, cases[i].replication);
        cairn_domain_free(domain);
    }
}

/* One thing broken in the sound folder, and what the fault must say. text NULL: the file is
 * removed. */
static const struct broken {
    const char *name;
    const char *text;
    const char *fault;
} broken[] = {
    {"domain.json", NULL, "domain.json: "},
    {"domain.json", "{\"name\":\"demo\",\n\"aggregates\":{},}", "domain.json:2: "},
    {"domain.json", "[]", "domain.json: must be an object"},
    {"domain.json", "{\"aggregates\":{\"counter\":{}}}", "domain.json: /name: is missing"},
    {"domain.json", "{\"name\":\"De-mo\",\"aggregates\":{\"counter\":{}}}", "domain.json: /name:"},
    {"domain.json", "{\"name\":\"demo\",\"aggregates\":{\"counter\":{}},\"extra\":1}",
     "domain.json: /extra: unknown member"},
    {"domain.json", "{\"name\":\"demo\",\"aggregates\":{\"counter\":{\"snapshot_every\":0}}}",
     "/aggregates/counter/snapshot_every"},
    {"domain.json", "{\"name\":\"demo\",\"aggregates\":{\"counter\":{\"every\":1}}}",
     "domain.json: /aggregates/counter/every: unknown member"},
    {"domain.json", "{\"name\":\"demo\",\"aggregates\":{\"counter\":{},\"ghost\":{}}}",
     "ghost.lua: "},
    {"domain.json", "{\"name\":\"demo\",\"aggregates\":{\"counter\":{}},\"format\":\"xml\"}",
     "domain.json: /format: must be \"json\" or \"msgpack\""},
    {"domain.json", "{\"name\":\"demo\",\"aggregates\":{\"counter\":{}},\"format\":true}",
     "domain.json: /format: must be \"json\" or \"msgpack\""},
    {"domain.json", "{\"name\":\"demo\",\"aggregates\":{\"counter\":{\"format\":\"JSON\"}}}",
     "domain.json: /aggregates/counter/format: must be \"json\" or \"msgpack\""},
    {"domain.json", "{\"name\":\"demo\",\"aggregates\":{\"counter\":{}},\"access\":{}}",
     "domain.json: /access: unknown member"},
    {"domain.json", "{\"name\":\"demo\",\"aggregates\":{\"counter\":{}},\"topics\":3}",
     "domain.json: /topics: must be an object"},
    {"domain.json",
     "{\"name\":\"demo\",\"aggregates\":{\"counter\":{}},\"topics\":{\"retention\":1}}",
     "domain.json: /topics/retention: unknown member"},
    {"domain.json",
     "{\"name\":\"demo\",\"aggregates\":{\"counter\":{}},\"topics\":{\"partitions\":0}}",
     "domain.json: /topics/partitions: must be an integer from 1 to 256"},
    {"domain.json",
     "{\"name\":\"demo\",\"aggregates\":{\"counter\":{}},\"topics\":{\"partitions\":257}}",
     "domain.json: /topics/partitions: must be an integer from 1 to 256"},
    {"domain.json",
     "{\"name\":\"demo\",\"aggregates\":{\"counter\":{}},\"topics\":{\"partitions\":\"4\"}}",
     "domain.json: /topics/partitions: must be an integer from 1 to 256"},
    {"domain.json",
     "{\"name\":\"demo\",\"aggregates\":{\"counter\":{}},\"topics\":{\"partitions\":4.0}}",
     "domain.json: /topics/partitions: must be an integer from 1 to 256"},
    {"domain.json",
     "{\"name\":\"demo\",\"aggregates\":{\"counter\":{}},\"topics\":{\"replication\":0}}",
     "domain.json: /topics/replication: must be an integer from 1 to 64"},
    {"domain.json",
     "{\"name\":\"demo\",\"aggregates\":{\"counter\":{}},\"topics\":{\"replication\":65}}",
     "domain.json: /topics/replication: must be an integer from 1 to 64"},
    {"domain.json",
     "{\"name\":\"demo\",\"aggregates\":{\"counter\":{}},\"topics\":{\"replication\":null}}",
     "domain.json: /topics/replication: must be an integer from 1 to 64"},
    {"domain.json",
     "{\"name\":\"demo\",\"topics\":{\"partitions\":129},\"aggregates\":{\"a\":{},\"b\":{}}}",
     "domain.json: /topics/partitions: 129 in each of 2 topics are too many"},
    {"counter.lua", "local c = aggregate 'counter'\nfunction", "counter.lua:2:"},
    {"counter.lua", "error('boom')", "counter.lua:1: boom"},
    {"counter.lua", "while true do end", "counter.lua:1: runs longer"},
    {"counter.lua", "aggregate 'other'", "counter.lua: must call aggregate \"counter\""},
    {"counter.lua", "local c = aggregate 'counter' c.decide = 1",
     "counter.lua: decide.: must stay"},
    {"counter.lua", "local c = aggregate 'counter' c.decide.Add = 1",
     "counter.lua: decide.Add: must be a function"},
    {"stray.lua", "", "stray.lua: domain.json has no aggregate"},
    {"schemas/commands/Sub.json", OBJECT, "schemas/commands/Sub.json: no script decides it"},
    {"schemas/commands/Add.json", NULL, "counter.lua: decide.Add: there is no schemas/commands"},
    {"schemas/commands/Add.json", "{\n\"type\":\n}", "schemas/commands/Add.json:3: "},
    {"schemas/commands/Add.json", "{\"type\":12}", "schemas/commands/Add.json: "},
    {"schemas/commands/Add.json", "{\"$ref\":\"../types/none.json\"}",
     "schemas/commands/Add.json: "},
    {"schemas/commands/a b.json", OBJECT, "the file's name must be"},
    {"schemas/events/Added.json", NULL, "schemas/events/Added.json: missing"},
    {"schemas/events/Added.v1.json", NULL, "schemas/events/Added.v1.json: missing"},
    {"schemas/events/Added.v3.json", OBJECT,
     "schemas/events/Added.v3.json: no script has an upcast.Added[3]"},
    {"schemas/events/Added.v01.json", OBJECT, "neither TYPE.json nor TYPE.vN.json"},
    {"schemas/events/Added.v2.json", NULL, "counter.lua: upcast.Added: lifts from a version"},
    {"schemas/events/Lost.json", OBJECT, "schemas/events/Lost.json: no script has an evolve"},
    {"views/sums.lua", "view 'others'", "views/sums.lua: must call view \"sums\""},
    {"views/sums.lua", "local v = view 'sums'", "views/sums.lua: on: handles no event"},
    {"views/sums.lua", "local v = view 'sums' function v.on.Gone() end",
     "views/sums.lua: on.Gone: there is no schemas/events"},
    {"views/sums.lua", "local v = view 'sums' function v.on.Added() end v.version = 0",
     "views/sums.lua: version must be"},
    {"views/sums.lua", "local v = view 'sums' function v.on.Added() end v.indexes = {'key'}",
     "views/sums.lua: indexes:"},
    {"views/sums.lua", "local v = view 'sums' function v.on.Added() end v.indexes = {'a', 'a'}",
     "views/sums.lua: indexes:"},
    {"views/sums.lua", "local v = view 'sums' function v.on.Added() end\nv.on_error = 'skip'",
     "views/sums.lua:2: on_error must be \"stop\" or \"park\""},
    {"views/sums.lua", "local v = view 'sums' function v.on.Added() end v.on_error = false",
     "views/sums.lua:1: on_error must be"},
    {"views/sums.sql", "", "views/sums: there in Lua and in SQL"},
    {"views/Bad.lua", "", "views/Bad.lua: the file's name must be"},
    {"queries/Bad.sql", "", "queries/Bad.sql: the file's name must be"},
};

static bool is_listed(const struct cairn_slice *faults, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (memmem(faults[i].data, faults[i].size, text, strlen(text)) != NULL) {
            return true;
        }
    }
    return false;
}

static void restore(const struct fixture *fixture, const char *name)
{
    for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++) {
        if (strcmp(sound[i].name, name) == 0) {
            write_file(fixture, name, sound[i].text);
            return;
        }
    }
    remove_file(fixture, name);
}

static void each_fault_is_found_and_names_its_file(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct cairn_domain *domain = NULL;
        struct cairn_slice *faults = NULL;
        size_t count = 0;
        struct cairn_err err;
        if (broken[i].text == NULL) {
            remove_file(fixture, broken[i].name);
        } else {
            write_file(fixture, broken[i].name, broken[i].text);
        }
        assert_ok(cairn_domain_lint(fixture->folder, &fixture->arena, &faults, &count, &err), &err);
        if (!is_listed(faults, count, broken[i].fault)) {
            fail_msg("%s as %s: no fault says \"%s\"; first of %zu: %.*s", broken[i].name,
                     broken[i].text == NULL ? "(removed)" : broken[i].text, broken[i].fault, count,
                     CAIRN_SLICE_ARG(count > 0 ? faults[0] : CAIRN_SLICE_NONE));
        }
        assert_int_not_equal(cairn_domain_load(fixture->folder, &domain, &err), CAIRN_OK);
        assert_null(domain);
        restore(fixture, broken[i].name);
    }
}

static void lint_collects_where_load_stops(void **state)
{
    struct fixture *fixture = *state;
    struct cairn_domain *domain = NULL;
    struct cairn_slice *faults = NULL;
    size_t count = 0;
    struct cairn_err err;
    write_file(fixture, "views/sums.lua", "syntax error");
    write_file(fixture, "schemas/commands/Sub.json", OBJECT);
    write_file(fixture, "stray.lua", "");
    assert_ok(cairn_domain_lint(fixture->folder, &fixture->arena, &faults, &count, &err), &err);
    assert_int_equal(count, 3);
    assert_int_not_equal(cairn_domain_load(fixture->folder, &domain, &err), CAIRN_OK);
    assert_non_null(strstr(err.text, "(and 2 more)"));
}

static void a_folder_that_is_not_there_is_enoent(void **state)
{
    (void)state;
    struct cairn_domain *domain = NULL;
    struct cairn_err err;
    assert_int_equal(cairn_domain_load("/nowhere/at/all", &domain, &err), CAIRN_ENOENT);
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
}

static void the_code_hash_follows_the_code_and_the_schemas(void **state)
{
    struct fixture *fixture = *state;
    unsigned char seen[3][16];
    struct cairn_err err;
    for (size_t i = 0; i < 3; i++) {
        struct cairn_domain *domain = NULL;
        if (i == 2) {
            write_file(fixture, "schemas/events/Added.v1.json", "{\"type\":\"object\" }");
        }
        assert_ok(cairn_domain_load(fixture->folder, &domain, &err), &err);
        memcpy(seen[i], cairn_domain_aggregate_at(domain, 0)->code_hash, 16);
        cairn_domain_free(domain);
    }
    assert_memory_equal(seen[0], seen[1], 16);
    assert_memory_not_equal(seen[1], seen[2], 16);
}

/* {"count": 4} as msgpack, of an event of that schema version. */
static struct cairn_event event_of(uint16_t schema_version, struct cairn_slice data)
{
    return (struct cairn_event){.stream = CAIRN_SLICE_LIT("counter-1"),
                                .type = CAIRN_SLICE_LIT("Added"),
                                .version = 1,
                                .schema_version = schema_version,
                                .data = data};
}

static void old_events_are_lifted_step_by_step(void **state)
{
    struct fixture *fixture = *state;
    struct cairn_domain *domain = NULL;
    struct cairn_upcaster *upcaster = NULL;
    struct cairn_err err;
    struct cairn_value data;
    assert_ok(cairn_domain_load(fixture->folder, &domain, &err), &err);
    assert_ok(cairn_upcaster_new(domain, &upcaster, &err), &err);
    struct cairn_event first = event_of(1, CAIRN_SLICE_LIT("\x81\xa5"
                                                           "count\x04"));
    assert_ok(cairn_upcaster_data(upcaster, &first, &fixture->arena, &data, &err), &err);
    assert_int_equal(cairn_value_at(&data, "n")->as.integer, 40);
    assert_int_equal(cairn_value_at(&data, "was")->as.integer, 1);
    struct cairn_event second = event_of(2, CAIRN_SLICE_LIT("\x81\xa1n\x04"));
    assert_ok(cairn_upcaster_data(upcaster, &second, &fixture->arena, &data, &err), &err);
    assert_int_equal(cairn_value_at(&data, "n")->as.integer, 40);
    struct cairn_event current = event_of(3, CAIRN_SLICE_LIT("\x81\xa1n\x04"));
    assert_ok(cairn_upcaster_data(upcaster, &current, &fixture->arena, &data, &err), &err);
    assert_int_equal(cairn_value_at(&data, "n")->as.integer, 4);
    struct cairn_event wrong = event_of(2, CAIRN_SLICE_LIT("\x81\xa1x\x04"));
    assert_int_equal(cairn_upcaster_data(upcaster, &wrong, &fixture->arena, &data, &err),
                     CAIRN_ESCRIPT);
    assert_non_null(strstr(err.text, "counter.lua:7"));
    struct cairn_event torn = event_of(3, CAIRN_SLICE_LIT("\x81"));
    assert_int_equal(cairn_upcaster_data(upcaster, &torn, &fixture->arena, &data, &err),
                     CAIRN_ECORRUPT);
    cairn_upcaster_free(upcaster);
    cairn_domain_free(domain);
}

static void a_script_keeps_nothing_in_its_tables(void **state)
{
    (void)state;
    struct cairn_lua *lua = NULL;
    struct cairn_err err;
    struct cairn_lua_result result;
    struct cairn_arena arena = {.max = 1u << 20};
    assert_ok(cairn_domain_host_new(
                  CAIRN_SLICE_LIT("a.lua"),
                  CAIRN_SLICE_LIT("local a = aggregate 'a'\n"
                                  "function a.decide.One() a.seen = 1 end\n"
                                  "function a.decide.Two() a.decide.Three = 1 end\n"
                                  "function a.decide.Three() return cairn, store, freeze end\n"
                                  "function a.decide.Four() reject('no', 'because') end\n"
                                  "function a.decide.Five() reject('NO') end\n"
                                  "function a.decide.Six() event('X', 1) end\n"),
                  NULL, &lua, &err),
              &err);
    static const struct {
        const char *name;
        enum cairn_rc rc;
        const char *text;
    } cases[] = {
        {"One", CAIRN_ESCRIPT, "a.lua:2: attempt to change 'seen' of a read-only table"},
        {"Two", CAIRN_ESCRIPT, "a.lua:3: attempt to change 'Three'"},
        {"Three", CAIRN_OK, ""},
        {"Four", CAIRN_ESCRIPT, "a.lua:5"},
        {"Five", CAIRN_ESCRIPT, "a.lua:6: reject: a code is"},
        {"Six", CAIRN_ESCRIPT, "a.lua:7: event: the data of X must be a table"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *const path[] = {"cairn", "aggregates", "a", "decide", cases[i].name};
        cairn_lua_ref function = 0;
        assert_int_equal(cairn_lua_find(lua, 5, path, &function), CAIRN_OK);
        assert_int_equal(cairn_lua_call(lua, function, NULL, 0, &arena, &result, &err),
                         cases[i].rc);
        assert_true(cases[i].rc == CAIRN_OK || strstr(err.text, cases[i].text) != NULL);
        assert_true(result.thrown == (strcmp(cases[i].name, "Four") == 0));
        for (size_t k = 0; k < result.count && cases[i].rc == CAIRN_OK; k++) {
            assert_int_equal(result.values[k].type, CAIRN_NULL);
        }
        cairn_lua_unref(lua, function);
    }
    cairn_lua_free(lua);
    cairn_arena_fini(&arena);
}

static void the_examples_are_sound(void **state)
{
    struct fixture *fixture = *state;
    static const char *const folders[] = {CAIRN_SOURCE_DIR "/examples/bank",
                                          CAIRN_SOURCE_DIR "/examples/shop"};
    for (size_t i = 0; i < 2; i++) {
        struct cairn_domain *domain = NULL;
        struct cairn_spec *specs = NULL;
        struct cairn_slice *faults = NULL;
        size_t count = 0;
        size_t fault_count = 0;
        struct cairn_err err;
        assert_ok(cairn_domain_load(folders[i], &domain, &err), &err);
        assert_ok(
            cairn_specs_load(domain, &fixture->arena, &specs, &count, &faults, &fault_count, &err),
            &err);
        assert_true(count > 5);
        assert_int_equal(fault_count, 0);
        cairn_domain_free(domain);
    }
}

static void loading_survives_every_failed_allocation(void **state)
{
    struct fixture *fixture = *state;
    struct cairn_err err;
    /* A script's host makes hundreds of allocations: odd strides reach all kinds of them. */
    for (int after = 0, stride = 1; after < 100000; after += stride, stride = 1 + after / 20) {
        struct cairn_domain *domain = NULL;
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = cairn_domain_load(fixture->folder, &domain, &err);
        bool fired = cairn_fault_fired(CAIRN_FAULT_MEM);
        cairn_fault_disarm();
        assert_true(rc == CAIRN_OK || rc == CAIRN_ENOMEM);
        assert_true((rc == CAIRN_OK) == (domain != NULL));
        cairn_domain_free(domain);
        if (!fired) {
            assert_int_equal(rc, CAIRN_OK);
            return;
        }
    }
    fail_msg("loading never ended its allocations");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(a_sound_folder_becomes_a_catalogue),
        T(an_aggregate_has_its_own_format_or_the_domains),
        T(the_format_changes_no_code_hash),
        T(topics_say_partitions_and_replication_or_nothing),
        T(each_fault_is_found_and_names_its_file),
        T(lint_collects_where_load_stops),
        T(a_folder_that_is_not_there_is_enoent),
        T(the_code_hash_follows_the_code_and_the_schemas),
        T(old_events_are_lifted_step_by_step),
        T(a_script_keeps_nothing_in_its_tables),
        T(the_examples_are_sound),
        T(loading_survives_every_failed_allocation),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
