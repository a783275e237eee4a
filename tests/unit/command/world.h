/* A world for tests of the command side: a temporary folder with a domain made for it, a real store
 * and a real service. */
#ifndef CAIRN_TESTS_UNIT_COMMAND_WORLD_H
#define CAIRN_TESTS_UNIT_COMMAND_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "command/fingerprint.h"
#include "command/service.h"
#include "platform/file.h"
#include "platform/json.h"
#include "tests/support/folder.h"

#include "tests/support/cm.h"

/* A domain that does everything a domain should not, each on request. */
static const char WORLD_SCRIPT[] =
    "local probe = aggregate \"probe\"\n"
    "probe.initial = { sum = 0, count = 0 }\n"
    "function probe.decide.Add(state, cmd)\n"
    "  if cmd.n == 0 then reject(\"zero\", \"nothing to add to \" .. state.sum) end\n"
    "  return event(\"Added\", { n = cmd.n })\n"
    "end\n"
    "function probe.decide.Many(state, cmd)\n"
    "  local list = {}\n"
    "  for i = 1, cmd.n do list[i] = event(\"Added\", { n = i }) end\n"
    "  return list\n"
    "end\n"
    "function probe.decide.Context(state, cmd, ctx)\n"
    "  return event(\"Noted\", { text = ctx.stream .. ' ' .. ctx.id .. ' ' .. ctx.version .. ' '\n"
    "    .. tostring(ctx.principal) .. ' ' .. ctx.request_id .. ' ' .. ctx.time .. ' ' .. "
    "state.sum })\n"
    "end\n"
    "function probe.decide.Big(state, cmd)\n"
    "  local list, text = {}, ('x'):rep(1048000)\n"
    "  for i = 1, cmd.n do list[i] = event(\"Noted\", { text = text }) end\n"
    "  return list\n"
    "end\n"
    "function probe.decide.Bigger()\n"
    "  return event(\"Noted\", { text = ('x'):rep(1048576) })\n"
    "end\n"
    "function probe.decide.Silent() end\n"
    "function probe.decide.Loop() while true do end end\n"
    "function probe.decide.Hoard()\n"
    "  local t = {}\n"
    "  for i = 1, math.maxinteger do t[i] = ('x'):rep(1000) .. i end\n"
    "end\n"
    "function probe.decide.Throw() error(\"out of order\") end\n"
    "function probe.decide.Text() return \"done\" end\n"
    "function probe.decide.Unknown() return event(\"Nope\", {}) end\n"
    "function probe.decide.Bad() return event(\"Added\", { n = \"many\" }) end\n"
    "function probe.decide.Meddle(state) state.sum = 7 end\n"
    "function probe.decide.Spoil() return event(\"Added\", { n = 1 }), event(\"Spoilt\", {}) end\n"
    "function probe.evolve.Added(state, data)\n"
    "  state.sum = state.sum + data.n\n"
    "  state.count = state.count + 1\n"
    "end\n"
    "function probe.evolve.Noted(state, data) end\n"
    "function probe.evolve.Spoilt(state, data) state.sum = state.missing.field end\n";

static const char *const WORLD_COMMANDS[] = {"Add",    "Many",  "Context", "Silent",  "Loop",
                                             "Hoard",  "Throw", "Text",    "Unknown", "Bad",
                                             "Meddle", "Spoil", "Big",     "Bigger"};

static const char WORLD_NUMBER[] = "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":"
                                   "\"integer\",\"minimum\":0}},\"additionalProperties\":false}";
static const char WORLD_ADDED[] = "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":"
                                  "\"integer\"}},\"required\":[\"n\"],"
                                  "\"additionalProperties\":false}";
static const char WORLD_TEXT[] = "{\"type\":\"object\",\"properties\":{\"text\":{\"type\":"
                                 "\"string\"}},\"additionalProperties\":false}";
static const char WORLD_EMPTY[] = "{\"type\":\"object\"}";

struct world {
    char root[64];
    char domain_folder[80];
    char data_folder[80];
    struct cairn_domain *domain;
    struct cairn_store *store;
    struct cairn_service *service;
    struct cairn_metrics *metrics;
    struct cairn_arena arena; /* of what the tests ask */
    uint16_t partitions;
    size_t cache_aggregates;
    size_t lua_memory_bytes;
    bool bank; /* the domain is examples/bank */
};

static void world_write_domain(const struct world *world)
{
    char path[160];
    test_folder_write(world->domain_folder, "domain.json",
                      "{\"name\":\"probes\",\"aggregates\":{\"probe\":{\"snapshot_every\":10}}}");
    test_folder_write(world->domain_folder, "probe.lua", WORLD_SCRIPT);
    (void)snprintf(path, sizeof(path), "%s/schemas/commands", world->domain_folder);
    for (size_t i = 0; i < sizeof(WORLD_COMMANDS) / sizeof(WORLD_COMMANDS[0]); i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "%s.json", WORLD_COMMANDS[i]);
        test_folder_write(path, name, WORLD_NUMBER);
    }
    (void)snprintf(path, sizeof(path), "%s/schemas/events", world->domain_folder);
    test_folder_write(path, "Added.json", WORLD_ADDED);
    test_folder_write(path, "Noted.json", WORLD_TEXT);
    test_folder_write(path, "Spoilt.json", WORLD_EMPTY);
}

static void world_start(struct world *world)
{
    struct cairn_err err;
    const struct cairn_store_options store = {
        .data_folder = world->data_folder,
        .log = "files",
        .writer = true,
        .partitions = world->partitions,
        .domain = cairn_domain_name(world->domain),
        .segment_bytes = 1u << 20,
        .clock = cairn_clock_system(),
    };
    assert_ok(cairn_store_open(&store, &world->store, &err), &err);
    const struct cairn_service_options service = {
        .domain = world->domain,
        .store = world->store,
        .clock = cairn_clock_system(),
        .random = cairn_random_system(),
        .lua = {.memory_bytes = world->lua_memory_bytes,
                .call_memory_bytes = 8u << 20,
                .call_instructions = 1000000},
        .cache_aggregates = world->cache_aggregates,
        .metrics = world->metrics,
    };
    assert_ok(cairn_service_new(&service, &world->service, &err), &err);
}

static void world_stop(struct world *world)
{
    cairn_service_free(world->service);
    cairn_store_close(world->store);
    world->service = NULL;
    world->store = NULL;
}

static void world_open(struct world *world)
{
    struct cairn_err err;
    test_folder_make(world->root, sizeof(world->root), "command");
    /* A copy: the compiler cannot see that members do not overlap. */
    char from[sizeof(world->root)];
    memcpy(from, world->root, sizeof(from));
    (void)snprintf(world->domain_folder, sizeof(world->domain_folder), "%s/domain", from);
    (void)snprintf(world->data_folder, sizeof(world->data_folder), "%s/data", from);
    world->arena.max = 64u << 20;
    world->metrics = cairn_metrics_new();
    assert_non_null(world->metrics);
    if (!world->bank) {
        world_write_domain(world);
    }
    assert_ok(
        cairn_domain_load(world->bank ? CAIRN_SOURCE_DIR "/examples/bank" : world->domain_folder,
                          &world->domain, &err),
        &err);
    world_start(world);
}

static void world_close(struct world *world)
{
    world_stop(world);
    cairn_domain_free(world->domain);
    cairn_metrics_free(world->metrics);
    cairn_arena_fini(&world->arena);
    test_folder_remove(world->root);
}

static inline int open_world(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world_open(world);
    *state = world;
    return 0;
}

static inline int close_world(void **state)
{
    world_close(*state);
    free(*state);
    return 0;
}

/* What a test asks; the rest is empty. */
struct ask {
    const char *id;
    const char *command;
    const char *data; /* JSON; NULL: {} */
    const char *key;  /* NULL: none */
    int64_t expected;
};

/* A command from an ask, in arena. expected 0 of a designated initializer means "must not exist",
 * so asks name it. */
static inline void world_command(const struct world *world, const struct ask *ask,
                                 struct cairn_arena *arena, struct cairn_command *command)
{
    struct cairn_err err;
    struct cairn_value *data = cairn_arena_alloc(arena, sizeof(*data));
    assert_non_null(data);
    assert_ok(cairn_json_read(cairn_slice_str(ask->data == NULL ? "{}" : ask->data), arena, data,
                              NULL, &err),
              &err);
    struct cairn_slice aggregate = cairn_slice_str(world->bank ? "account" : "probe");
    *command = (struct cairn_command){
        .command = cairn_domain_command(world->domain, aggregate, cairn_slice_str(ask->command)),
        .id = cairn_slice_str(ask->id),
        .data = data,
        .key = cairn_slice_str(ask->key),
        .expected = ask->expected,
        .request_id = CAIRN_SLICE_LIT("request-1"),
    };
    assert_non_null(command->command);
    if (command->key.size > 0) {
        cairn_command_fingerprint(aggregate, command->id, command->command->name, data,
                                  command->fingerprint);
    }
}

/* Carry one command out. The answer lives until the world ends. */
static inline struct cairn_answer world_ask(struct world *world, struct ask ask)
{
    struct cairn_command command;
    struct cairn_answer answer;
    world_command(world, &ask, &world->arena, &command);
    cairn_service_execute(world->service, &command, &answer, 1, &world->arena);
    return answer;
}

/* The value of a counter that the world's parts keep. */
static inline uint64_t world_count(struct world *world, const char *name)
{
    return cairn_metric_value(
        cairn_metrics_add(world->metrics, CAIRN_COUNTER, name, NULL, "a counter"));
}

/* Events in a stream, read from the store; checks that versions are dense. */
static inline uint64_t world_events(struct world *world, const char *stream)
{
    struct cairn_err err;
    uint64_t version = 0;
    struct cairn_event_page page = {.more = true};
    while (page.more) {
        struct cairn_arena arena = {.max = 64u << 20};
        assert_ok(cairn_store_read_stream(world->store, cairn_slice_str(stream), version, 1000,
                                          CAIRN_FORWARD, &arena, &page, &err),
                  &err);
        for (size_t i = 0; i < page.count; i++) {
            version++;
            assert_int_equal(page.events[i].version, version);
        }
        cairn_arena_fini(&arena);
    }
    return version;
}

#endif
