/* A world for tests of the query side: a domain made in a temporary folder, a real store, a real
 * projector and a real server on a free port. */
#ifndef CAIRN_TESTS_UNIT_QUERY_WORLD_H
#define CAIRN_TESTS_UNIT_QUERY_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/file.h"
#include "platform/json.h"
#include "projector/projector.h"
#include "query/api.h"
#include "schemas/msgpack.h"
#include "tests/support/folder.h"
#include "tests/support/http_peer.h"

#define WORLD_HEARTBEAT_MS 50

static const char WORLD_SCRIPT[] =
    "local account = aggregate \"account\"\n"
    "function account.decide.Open(state, cmd) return event(\"Opened\", { owner = cmd.owner }) end\n"
    "function account.evolve.Opened(state, data) state.owner = data.owner end\n"
    "function account.evolve.Deposited(state, data) end\n"
    "function account.evolve.Bomb(state, data) end\n"
    "account.upcast.Deposited = {\n"
    "  function(data) return { cents = data.pounds * 100 } end,\n"
    "}\n";

static const char WORLD_BALANCES[] =
    "local balances = view \"balances\"\n"
    "balances.indexes = { \"owner\", \"cents\" }\n"
    "function balances.on.Opened(view, event)\n"
    "  view:put(event.aggregate_id, { owner = event.data.owner, cents = 0 })\n"
    "end\n"
    "function balances.on.Deposited(view, event)\n"
    "  local row = view:get(event.aggregate_id)\n"
    "  row.cents = row.cents + event.data.cents\n"
    "  view:put(event.aggregate_id, row)\n"
    "end\n";

static const char WORLD_FRAGILE[] =
    "local fragile = view \"fragile\"\n"
    "function fragile.on.Opened(view, event) view:put(event.aggregate_id, { open = true }) end\n"
    "function fragile.on.Bomb(view, event) error(\"it went off\") end\n";

static const char WORLD_DAILY[] = "-- view: daily\n-- version: 1\n-- table:\n"
                                  "CREATE TABLE daily (day date PRIMARY KEY);\n"
                                  "-- on: Deposited\n"
                                  "INSERT INTO daily VALUES (:time::date);\n";

static const char WORLD_OWNER[] = "{\"type\":\"object\",\"properties\":{\"owner\":{\"type\":"
                                  "\"string\"}},\"required\":[\"owner\"]}";
static const char WORLD_CENTS[] = "{\"type\":\"object\",\"properties\":{\"cents\":{\"type\":"
                                  "\"integer\"}},\"required\":[\"cents\"]}";
static const char WORLD_POUNDS[] = "{\"type\":\"object\",\"properties\":{\"pounds\":{\"type\":"
                                   "\"integer\"}},\"required\":[\"pounds\"]}";

struct world {
    char root[64];
    char domain_folder[80];
    char data_folder[80];
    struct cairn_domain *domain;
    struct cairn_store *store;
    struct cairn_projector *projector; /* NULL: none runs */
    struct cairn_query_api *api;
    struct cairn_http *http;
    struct cairn_metrics *metrics;
    struct cairn_uuid_source ids;
    int64_t time_us; /* of the next event */
    int port;
    uint16_t partitions; /* 0: 1 */
    unsigned feeds_max;  /* 0: the default */
    bool alone;          /* no projector is started */
    bool stateless;      /* no reader of states is given */
};

static inline void world_write_domain(const struct world *world)
{
    static const struct {
        const char *folder, *name, *text;
    } files[] = {
        {"", "domain.json", "{\"name\":\"ledger\",\"aggregates\":{\"account\":{}}}"},
        {"/schemas/commands", "Open.json", WORLD_OWNER},
        {"/schemas/events", "Opened.json", WORLD_OWNER},
        {"/schemas/events", "Deposited.json", WORLD_CENTS},
        {"/schemas/events", "Deposited.v1.json", WORLD_POUNDS},
        {"/schemas/events", "Bomb.json", "{\"type\":\"object\"}"},
        {"/views", "balances.lua", WORLD_BALANCES},
        {"/views", "fragile.lua", WORLD_FRAGILE},
        {"/views", "daily.sql", WORLD_DAILY},
        {"/queries", "top.sql", "-- query: top\nSELECT 1;\n"},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char folder[160];
        (void)snprintf(folder, sizeof(folder), "%s%s", world->domain_folder, files[i].folder);
        test_folder_write(folder, files[i].name, files[i].text);
    }
    test_folder_write(world->domain_folder, "account.lua", WORLD_SCRIPT);
}

/* Sum of the cents of a stream up to a version: what the command side's fold would do. */
static inline enum cairn_rc world_fold(void *self, struct cairn_slice stream, uint64_t version,
                                       struct cairn_arena *arena, struct cairn_value *ret_state,
                                       uint64_t *ret_version, struct cairn_err *err)
{
    struct world *world = self;
    struct cairn_event_page page;
    enum cairn_rc rc =
        cairn_store_read_stream(world->store, stream, 0, 1000, CAIRN_FORWARD, arena, &page, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (page.count == 0 || (version != UINT64_MAX && version > page.count)) {
        return CAIRN_FAIL(err, CAIRN_ENOENT, "the stream is at version %zu", page.count);
    }
    uint64_t upto = version == UINT64_MAX ? page.count : version;
    struct cairn_value_builder map = {.arena = arena};
    rc = cairn_value_add(&map, "events", cairn_value_uint(upto));
    *ret_state = cairn_value_map(&map);
    *ret_version = upto;
    return rc;
}

static inline void world_start_projector(struct world *world)
{
    const struct cairn_projector_options options = {
        .domain = world->domain,
        .store = world->store,
        .data_folder = world->data_folder,
        .clock = cairn_clock_system(),
    };
    struct cairn_err err;
    assert_ok(cairn_projector_start(&options, &world->projector, &err), &err);
}

static inline void world_start_server(struct world *world)
{
    struct cairn_err err;
    const struct cairn_query_api_options options = {
        .domain = world->domain,
        .store = world->store,
        .views = world->projector == NULL ? NULL : cairn_projector_views(world->projector),
        .data_folder = world->data_folder,
        .state = {.read = world->stateless ? NULL : world_fold, .self = world},
        .clock = cairn_clock_system(),
        .feeds_max = world->feeds_max,
        .heartbeat_ms = WORLD_HEARTBEAT_MS,
        .metrics = world->metrics,
    };
    assert_ok(cairn_query_api_new(&options, &world->api, &err), &err);
    struct cairn_http_options http = {
        .listen = "127.0.0.1:0",
        .connections_max = 64,
        .clock = cairn_clock_system(),
        .random = cairn_random_system(),
    };
    http.routes = cairn_query_api_routes(world->api, &http.route_count);
    assert_ok(cairn_http_start(&http, &world->http, &err), &err);
    world->port = cairn_http_port(world->http);
}

static inline void world_open(struct world *world)
{
    struct cairn_err err;
    test_folder_make(world->root, sizeof(world->root), "query");
    (void)snprintf(world->domain_folder, sizeof(world->domain_folder), "%s/domain", world->root);
    (void)snprintf(world->data_folder, sizeof(world->data_folder), "%s/data", world->root);
    world->metrics = cairn_metrics_new();
    assert_non_null(world->metrics);
    world->time_us = 1700000000000000;
    world_write_domain(world);
    assert_ok(cairn_domain_load(world->domain_folder, &world->domain, &err), &err);
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
    if (!world->alone) {
        world_start_projector(world);
    }
    world_start_server(world);
}

static inline void world_stop_server(struct world *world)
{
    if (world->http != NULL) {
        cairn_query_api_wake(world->api);
        cairn_http_stop(world->http);
        world->http = NULL;
    }
}

static inline void world_close(struct world *world)
{
    world_stop_server(world);
    cairn_query_api_free(world->api);
    cairn_projector_stop(world->projector);
    cairn_store_close(world->store);
    cairn_domain_free(world->domain);
    cairn_metrics_free(world->metrics);
    test_folder_remove(world->root);
}

/* One event to append; data is JSON. */
struct fact {
    const char *type;
    const char *data;
    uint16_t schema_version; /* 0: 1 */
};

/* Append one command's events; their offset in the partition comes back. */
static inline uint64_t world_append(struct world *world, const char *stream,
                                    const struct fact *facts, uint16_t count)
{
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_buf packed[8];
    memset(packed, 0, sizeof(packed));
    struct cairn_event events[8];
    memset(events, 0, sizeof(events));
    struct cairn_err err;
    assert_true(count <= 8);
    for (uint16_t i = 0; i < count; i++) {
        struct cairn_value data;
        packed[i].max = 1u << 16;
        assert_ok(cairn_json_read(cairn_slice_str(facts[i].data), &arena, &data, NULL, &err), &err);
        assert_int_equal(cairn_msgpack_write(&data, &packed[i]), CAIRN_OK);
        events[i].id = cairn_uuid_next(&world->ids, world->time_us, cairn_random_system());
        events[i].type = cairn_slice_str(facts[i].type);
        events[i].time_us = world->time_us;
        events[i].schema_version = facts[i].schema_version == 0 ? 1 : facts[i].schema_version;
        events[i].data = cairn_buf_slice(&packed[i]);
    }
    world->time_us += 1000;
    struct cairn_append append = {.stream = cairn_slice_str(stream),
                                  .expected = CAIRN_EXPECT_ANY,
                                  .events = events,
                                  .count = count};
    uint16_t partition = cairn_store_partition_of(world->store, append.stream);
    assert_ok(cairn_store_append(world->store, partition, &append, 1, &err), &err);
    assert_int_equal(append.rc, CAIRN_OK);
    for (uint16_t i = 0; i < count; i++) {
        cairn_buf_fini(&packed[i]);
    }
    cairn_arena_fini(&arena);
    return events[count - 1].offset;
}

static inline void world_open_account(struct world *world, const char *stream, const char *owner)
{
    char data[100];
    (void)snprintf(data, sizeof(data), "{\"owner\":\"%s\"}", owner);
    (void)world_append(world, stream, &(struct fact){"Opened", data, 1}, 1);
}

static inline void world_deposit(struct world *world, const char *stream, int cents)
{
    char data[64];
    (void)snprintf(data, sizeof(data), "{\"cents\":%d}", cents);
    (void)world_append(world, stream, &(struct fact){"Deposited", data, 2}, 1);
}

/* GET path; headers: whole lines with "\r\n", or "". */
static inline struct peer_answer world_get(struct world *world, const char *path,
                                           const char *headers)
{
    char request[8192];
    int size =
        snprintf(request, sizeof(request),
                 "GET %s HTTP/1.1\r\nHost: here\r\nConnection: close\r\n%s\r\n", path, headers);
    assert_true(size > 0 && (size_t)size < sizeof(request));
    return peer_ask(world->port, request);
}

/* The answer must have this status and hold this text in its body (NULL: any). */
static inline void world_expect(struct world *world, const char *path, const char *headers,
                                int status, const char *text)
{
    struct peer_answer answer = world_get(world, path, headers);
    if (answer.status != status || (text != NULL && strstr(answer.body, text) == NULL)) {
        fail_msg("GET %s: wanted %d %s, got: %s", path, status, text == NULL ? "" : text,
                 answer.text);
    }
    peer_answer_fini(&answer);
}

/* Until the view holds the whole log: one read with the log's end as its position. */
static inline void world_settle(struct world *world, const char *view)
{
    struct cairn_position end;
    struct cairn_arena arena = {.max = 1u << 16};
    struct cairn_err err;
    char path[100];
    char header[200];
    assert_ok(cairn_store_end(world->store, &end, &err), &err);
    (void)snprintf(path, sizeof(path), "/views/%s", view);
    (void)snprintf(header, sizeof(header), "Cairn-Position: %s\r\nPrefer: wait=50\r\n",
                   cairn_position_text(&end, &arena));
    world_expect(world, path, header, 200, NULL);
    cairn_arena_fini(&arena);
}

/* Ann 300, Bob 100, Cid 200, Dee 0. */
static inline void world_fill(struct world *world)
{
    static const struct {
        const char *stream, *owner;
        int cents;
    } rows[] = {{"account-1", "Ann", 300},
                {"account-2", "Bob", 100},
                {"account-3", "Cid", 200},
                {"account-4", "Dee, \\\"D\\\"", 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        world_open_account(world, rows[i].stream, rows[i].owner);
        if (rows[i].cents > 0) {
            world_deposit(world, rows[i].stream, rows[i].cents);
        }
    }
    world_settle(world, "balances");
}

/* A live feed as a client sees it. HTTP/1.0, so that its text comes without chunks between. */
struct listener {
    int fd;
    size_t size;
    char text[1 << 16];
};

static inline void listener_open(struct listener *listener, struct world *world, const char *path,
                                 const char *headers)
{
    char request[1024];
    (void)snprintf(request, sizeof(request),
                   "GET %s HTTP/1.0\r\nHost: here\r\nAccept: text/event-stream\r\n%s\r\n", path,
                   headers);
    listener->fd = peer_connect(world->port);
    listener->size = 0;
    listener->text[0] = '\0';
    peer_say(listener->fd, request);
}

/* Read until the text has come. */
static inline const char *listener_until(struct listener *listener, const char *text)
{
    for (;;) {
        const char *found = strstr(listener->text, text);
        if (found != NULL) {
            return found;
        }
        size_t room = sizeof(listener->text) - 1 - listener->size;
        ssize_t got = recv(listener->fd, listener->text + listener->size, room, 0);
        if (got <= 0) {
            fail_msg("waited for \"%s\", got: %s", text, listener->text);
        }
        listener->size += (size_t)got;
        listener->text[listener->size] = '\0';
    }
}

static inline void listener_close(struct listener *listener)
{
    (void)close(listener->fd);
}

/* What a test's world is like, for cmocka's setup. */
static inline int world_new(void **state, const struct world *like)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    *world = *like;
    world_open(world);
    *state = world;
    return 0;
}

static inline int world_setup(void **state)
{
    return world_new(state, &(struct world){.alone = false});
}

static inline int world_setup_alone(void **state)
{
    return world_new(state, &(struct world){.alone = true, .stateless = true});
}

static inline int world_setup_three(void **state)
{
    return world_new(state, &(struct world){.partitions = 3});
}

static inline int world_teardown(void **state)
{
    world_close(*state);
    free(*state);
    return 0;
}

#define WORLD_TEST(name)  cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
#define WORLD_ALONE(name) cmocka_unit_test_setup_teardown(name, world_setup_alone, world_teardown)
#define WORLD_THREE(name) cmocka_unit_test_setup_teardown(name, world_setup_three, world_teardown)

#endif
