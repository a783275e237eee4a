/* A client and the real server it asks, for the tests of one file; begin and end go round a group.
 */
#ifndef CAIRN_TESTS_SUPPORT_HTTP_CLIENT_STAGE_H
#define CAIRN_TESTS_SUPPORT_HTTP_CLIENT_STAGE_H

#include "tests/support/http_host.h"
#include "tests/support/http_stage.h"

enum { CLIENT_ARENA_MAX = 8 * 1024 * 1024 };

static struct stage stage;
static struct cairn_arena arena = {.max = CLIENT_ARENA_MAX};
static struct cairn_http_client *client;

static inline int begin(void **state)
{
    (void)state;
    stage_begin(&stage, (struct cairn_http_options){.connections_max = 32});
    struct cairn_err err;
    struct cairn_http_client_options options = {.response_max_bytes = STAGE_LARGE_BYTES};
    assert_ok(cairn_http_client_new(&options, &client, &err), &err);
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    cairn_http_client_free(client);
    cairn_arena_fini(&arena);
    stage_end(&stage);
    return 0;
}

/* Its answer; lives until the next call. */
static inline struct cairn_http_answer ask(const char *method, const char *path,
                                           struct cairn_slice body)
{
    char url[HOST_URL_MAX];
    struct cairn_http_call call = host_call(stage.port, method, path, url);
    call.body = body;
    struct cairn_http_answer answer = {.status = 0};
    struct cairn_err err;
    cairn_arena_reset(&arena);
    assert_ok(cairn_http_client_request(client, &call, &arena, &answer, &err), &err);
    return answer;
}

#endif
