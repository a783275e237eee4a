/* What tests of the command API say to a server, and what they make of its answers. */
#ifndef CAIRN_TESTS_UNIT_COMMAND_TALK_H
#define CAIRN_TESTS_UNIT_COMMAND_TALK_H

#include "tests/support/http_peer.h"
#include "tests/unit/command/world.h"

#define JSON   "Content-Type: application/json\r\n"
#define NDJSON "Content-Type: application/x-ndjson\r\n"

/* A server of these routes on a free port. It has room for connections that their clients have
 * closed and of which it has not heard yet. */
static inline struct cairn_http *talk_serve(const struct cairn_http_route *routes, size_t count)
{
    struct cairn_err err;
    struct cairn_http *http = NULL;
    const struct cairn_http_options options = {.listen = "127.0.0.1:0",
                                               .routes = routes,
                                               .route_count = count,
                                               .connections_max = 64,
                                               .clock = cairn_clock_system(),
                                               .random = cairn_random_system()};
    assert_ok(cairn_http_start(&options, &http, &err), &err);
    return http;
}

/* POST body to path; headers are whole lines. */
static inline struct peer_answer talk_post(int port, const char *path, const char *headers,
                                           const char *body, size_t size)
{
    char head[2048];
    int fd = peer_connect(port);
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

/* The body as a value; lives until the world closes. */
static inline struct cairn_value talk_body(struct world *world, const struct peer_answer *answer)
{
    struct cairn_err err;
    struct cairn_slice copy;
    struct cairn_value value;
    assert_int_equal(
        cairn_arena_copy(&world->arena, cairn_slice_of(answer->body, answer->body_size), &copy),
        CAIRN_OK);
    assert_ok(cairn_json_read(copy, &world->arena, &value, NULL, &err), &err);
    return value;
}

static inline void assert_text(const struct cairn_value *map, const char *key, const char *text)
{
    struct cairn_slice found = cairn_value_get_string(map, key);
    if (!cairn_slice_is(found, text)) {
        fail_msg("%s is \"%.*s\", not \"%s\"", key, CAIRN_SLICE_ARG(found), text);
    }
}

/* The whole number at key. */
static inline int64_t talk_number(const struct cairn_value *map, const char *key)
{
    const struct cairn_value *found = cairn_value_at(map, key);
    assert_non_null(found);
    assert_int_equal(found->type, CAIRN_INT);
    return found->as.integer;
}

#endif
