/* The command API on a real server, for tests that speak HTTP to it. */
#ifndef CAIRN_TESTS_UNIT_COMMAND_API_STAGE_H
#define CAIRN_TESTS_UNIT_COMMAND_API_STAGE_H

#include "command/api.h"
#include "tests/unit/command/talk.h"

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
    size_t count = 0;
    const struct cairn_http_route *routes = cairn_command_api_routes(stage->api, &count);
    stage->http = talk_serve(routes, count);
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
    return talk_post(stage->port, path, headers, body, size);
}

static inline struct peer_answer post(struct stage *stage, const char *path, const char *headers,
                                      const char *body)
{
    return post_bytes(stage, path, headers, body, strlen(body));
}

/* The body as a value; lives until the stage closes. */
static inline struct cairn_value body_of(struct stage *stage, const struct peer_answer *answer)
{
    return talk_body(&stage->world, answer);
}

static inline void assert_number(const struct cairn_value *map, const char *key, int64_t number)
{
    assert_int_equal(talk_number(map, key), number);
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
