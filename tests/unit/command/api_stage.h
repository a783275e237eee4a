/* The command API on a real server, for tests that speak HTTP to it. */
#ifndef CAIRN_TESTS_UNIT_COMMAND_API_STAGE_H
#define CAIRN_TESTS_UNIT_COMMAND_API_STAGE_H

#include "command/api.h"
#include "tests/support/http_peer.h"
#include "tests/unit/command/world.h"

struct stage {
    struct world world;
    struct cairn_command_api *api;
    struct cairn_http *http;
    int port;
};

static inline int open_stage(void **state)
{
    struct cairn_err err;
    struct stage *stage = calloc(1, sizeof(*stage));
    assert_non_null(stage);
    stage->world.bank = true;
    world_open(&stage->world);
    const struct cairn_command_api_options options = {
        .service = stage->world.service,
        .domain = stage->world.domain,
        .forward = {.store = stage->world.store, .metrics = stage->world.metrics},
        .body_max = 10000};
    assert_ok(cairn_command_api_new(&options, &stage->api, &err), &err);
    struct cairn_http_options http = {
        .listen = "127.0.0.1:0",
        .connections_max = 8,
        .clock = cairn_clock_system(),
        .random = cairn_random_system(),
    };
    http.routes = cairn_command_api_routes(stage->api, &http.route_count);
    assert_ok(cairn_http_start(&http, &stage->http, &err), &err);
    stage->port = cairn_http_port(stage->http);
    *state = stage;
    return 0;
}

static inline int close_stage(void **state)
{
    struct stage *stage = *state;
    cairn_http_stop(stage->http);
    cairn_command_api_free(stage->api);
    world_close(&stage->world);
    free(stage);
    return 0;
}

/* POST body to path; headers are whole lines. */
static inline struct peer_answer post_bytes(struct stage *stage, const char *path,
                                            const char *headers, const char *body, size_t size)
{
    char head[2048];
    int fd = peer_connect(stage->port);
    (void)snprintf(head, sizeof(head),
                   "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n"
                   "%s\r\n",
                   path, size, headers);
    peer_say(fd, head);
    peer_send(fd, body, size);
    struct peer_answer answer = peer_read(fd, false);
    (void)close(fd);
    return answer;
}

static inline struct peer_answer post(struct stage *stage, const char *path, const char *headers,
                                      const char *body)
{
    return post_bytes(stage, path, headers, body, strlen(body));
}

#define JSON   "Content-Type: application/json\r\n"
#define NDJSON "Content-Type: application/x-ndjson\r\n"

/* The body as a value; lives until the stage closes. */
static inline struct cairn_value body_of(struct stage *stage, const struct peer_answer *answer)
{
    struct cairn_err err;
    struct cairn_slice copy;
    struct cairn_value value;
    assert_int_equal(cairn_arena_copy(&stage->world.arena,
                                      cairn_slice_of(answer->body, answer->body_size), &copy),
                     CAIRN_OK);
    assert_ok(cairn_json_read(copy, &stage->world.arena, &value, NULL, &err), &err);
    return value;
}

static inline void assert_text(const struct cairn_value *map, const char *key, const char *text)
{
    struct cairn_slice found = cairn_value_get_string(map, key);
    if (!cairn_slice_is(found, text)) {
        fail_msg("%s is \"%.*s\", not \"%s\"", key, CAIRN_SLICE_ARG(found), text);
    }
}

static inline void assert_number(const struct cairn_value *map, const char *key, int64_t number)
{
    const struct cairn_value *found = cairn_value_at(map, key);
    assert_non_null(found);
    assert_int_equal(found->type, CAIRN_INT);
    assert_int_equal(found->as.integer, number);
}

/* Post, and expect a problem. Gives the document. */
static inline struct cairn_value post_for_problem(struct stage *stage, const char *path,
                                                  const char *headers, const char *body, int status,
                                                  const char *slug)
{
    char type[64];
    struct peer_answer answer = post(stage, path, headers, body);
    if (answer.status != status) {
        fail_msg("%s: %d, not %d: %s", path, answer.status, status, answer.body);
    }
    assert_true(peer_has(&answer, "Content-Type", "application/problem+json"));
    struct cairn_value problem = body_of(stage, &answer);
    (void)snprintf(type, sizeof(type), "/problems/%s", slug);
    assert_text(&problem, "type", type);
    assert_number(&problem, "status", status);
    peer_answer_fini(&answer);
    return problem;
}

static inline void open_account(struct stage *stage, const char *path)
{
    struct peer_answer answer = post(stage, path, JSON, "{\"owner\":\"Ada\"}");
    assert_int_equal(answer.status, 201);
    peer_answer_fini(&answer);
}

#endif
