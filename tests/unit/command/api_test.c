/* The command API over real HTTP. */
#include "command/api.h"

#include "schemas/msgpack.h"
#include "tests/support/http_peer.h"
#include "tests/unit/command/world.h"

struct stage {
    struct world world;
    struct cairn_command_api *api;
    struct cairn_http *http;
    int port;
};

static int open_stage(void **state)
{
    struct cairn_err err;
    struct stage *stage = calloc(1, sizeof(*stage));
    assert_non_null(stage);
    stage->world.bank = true;
    world_open(&stage->world);
    const struct cairn_command_api_options options = {
        .service = stage->world.service, .domain = stage->world.domain, .body_max = 10000};
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

static int close_stage(void **state)
{
    struct stage *stage = *state;
    cairn_http_stop(stage->http);
    cairn_command_api_free(stage->api);
    world_close(&stage->world);
    free(stage);
    return 0;
}

/* POST body to path; headers are whole lines. */
static struct peer_answer post_bytes(struct stage *stage, const char *path, const char *headers,
                                     const char *body, size_t size)
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

static struct peer_answer post(struct stage *stage, const char *path, const char *headers,
                               const char *body)
{
    return post_bytes(stage, path, headers, body, strlen(body));
}

#define JSON   "Content-Type: application/json\r\n"
#define NDJSON "Content-Type: application/x-ndjson\r\n"

/* The body as a value; lives until the stage closes. */
static struct cairn_value body_of(struct stage *stage, const struct peer_answer *answer)
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

static void assert_text(const struct cairn_value *map, const char *key, const char *text)
{
    struct cairn_slice found = cairn_value_get_string(map, key);
    if (!cairn_slice_is(found, text)) {
        fail_msg("%s is \"%.*s\", not \"%s\"", key, CAIRN_SLICE_ARG(found), text);
    }
}

static void assert_number(const struct cairn_value *map, const char *key, int64_t number)
{
    const struct cairn_value *found = cairn_value_at(map, key);
    assert_non_null(found);
    assert_int_equal(found->type, CAIRN_INT);
    assert_int_equal(found->as.integer, number);
}

/* Post, and expect a problem. Gives the document. */
static struct cairn_value post_for_problem(struct stage *stage, const char *path,
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

static void open_account(struct stage *stage, const char *path)
{
    struct peer_answer answer = post(stage, path, JSON, "{\"owner\":\"Ada\"}");
    assert_int_equal(answer.status, 201);
    peer_answer_fini(&answer);
}

/* ---- the single form ---- */

static void new_stream_is_201_with_its_place(void **state)
{
    struct stage *stage = *state;
    struct peer_answer answer =
        post(stage, "/commands/account/42/Open", JSON, "{\"owner\":\"Ada\"}");
    assert_int_equal(answer.status, 201);
    assert_true(peer_has(&answer, "Location", "/streams/account-42"));
    assert_true(peer_has(&answer, "ETag", "\"1\""));
    assert_true(peer_has(&answer, "Cairn-Position", "0:1"));
    assert_true(peer_has(&answer, "Content-Type", "application/json"));
    assert_null(peer_field(&answer, "Idempotency-Replayed"));
    struct cairn_value body = body_of(stage, &answer);
    assert_text(&body, "stream", "account-42");
    assert_text(&body, "position", "0:1");
    assert_number(&body, "version", 1);
    const struct cairn_value *events = cairn_value_at(&body, "events");
    assert_int_equal(events->count, 1);
    assert_text(&events->as.items[0], "type", "Opened");
    assert_number(&events->as.items[0], "version", 1);
    assert_int_equal(cairn_value_get_string(&events->as.items[0], "id").size, 36);
    peer_answer_fini(&answer);
}

static void existing_stream_is_200_without_location(void **state)
{
    struct stage *stage = *state;
    open_account(stage, "/commands/account/42/Open");
    struct peer_answer answer =
        post(stage, "/commands/account/42/Deposit", JSON, "{\"amount\":500}");
    assert_int_equal(answer.status, 200);
    assert_null(peer_field(&answer, "Location"));
    assert_true(peer_has(&answer, "ETag", "\"2\""));
    peer_answer_fini(&answer);
    answer = post(stage, "/commands/account/42/Close", "", "");
    assert_int_equal(answer.status, 200);
    struct cairn_value body = body_of(stage, &answer);
    assert_number(&body, "version", 4);
    assert_int_equal(cairn_value_at(&body, "events")->count, 2);
    peer_answer_fini(&answer);
}

static void same_key_is_the_same_answer_marked(void **state)
{
    struct stage *stage = *state;
    struct peer_answer first = post(stage, "/commands/account/42/Open",
                                    JSON "Idempotency-Key: k1\r\n", "{\"owner\":\"Ada\"}");
    struct peer_answer again =
        post(stage, "/commands/account/42/Open", JSON "Idempotency-Key: k1\r\nIf-None-Match: *\r\n",
             " { \"owner\" : \"Ada\" } ");
    assert_int_equal(again.status, 201);
    assert_true(peer_has(&again, "Idempotency-Replayed", "true"));
    assert_true(peer_has(&again, "Location", "/streams/account-42"));
    assert_true(peer_has(&again, "ETag", "\"1\""));
    assert_string_equal(first.body, again.body);
    peer_answer_fini(&first);
    peer_answer_fini(&again);
    (void)post_for_problem(stage, "/commands/account/42/Open", JSON "Idempotency-Key: k1\r\n",
                           "{\"owner\":\"Bob\"}", 422, "key-reused");
}

static void msgpack_goes_in_and_out(void **state)
{
    struct stage *stage = *state;
    struct cairn_err err;
    static const char OPEN[] = "\x81\xa5owner\xa3"
                               "Ada";
    struct peer_answer answer =
        post_bytes(stage, "/commands/account/42/Open",
                   "Content-Type: application/msgpack\r\nAccept: application/msgpack\r\n", OPEN,
                   sizeof(OPEN) - 1);
    assert_int_equal(answer.status, 201);
    assert_true(peer_has(&answer, "Content-Type", "application/msgpack"));
    struct cairn_value body;
    assert_ok(cairn_msgpack_read(cairn_slice_of(answer.body, answer.body_size), CAIRN_MSGPACK_DATA,
                                 &stage->world.arena, &body, NULL, &err),
              &err);
    assert_text(&body, "stream", "account-42");
    assert_text(&body, "position", "0:1");
    assert_number(&body, "version", 1);
    peer_answer_fini(&answer);
}

static void version_conflict_tells_both_versions(void **state)
{
    struct stage *stage = *state;
    open_account(stage, "/commands/account/42/Open");
    struct cairn_value problem =
        post_for_problem(stage, "/commands/account/42/Deposit", JSON "If-Match: \"7\"\r\n",
                         "{\"amount\":1}", 412, "version-conflict");
    assert_number(&problem, "expected", 7);
    assert_number(&problem, "actual", 1);
    struct peer_answer answer =
        post(stage, "/commands/account/42/Deposit", JSON "If-Match: \"7\"\r\n", "{\"amount\":1}");
    assert_true(peer_has(&answer, "ETag", "\"1\""));
    peer_answer_fini(&answer);
    (void)post_for_problem(stage, "/commands/account/42/Open", JSON "If-None-Match: *\r\n",
                           "{\"owner\":\"x\"}", 412, "version-conflict");
    (void)post_for_problem(stage, "/commands/account/43/Deposit", JSON "If-Match: *\r\n",
                           "{\"amount\":1}", 412, "version-conflict");
    answer =
        post(stage, "/commands/account/42/Deposit", JSON "If-Match: \"1\"\r\n", "{\"amount\":1}");
    assert_int_equal(answer.status, 200);
    peer_answer_fini(&answer);
}

static void rejection_tells_code_and_detail(void **state)
{
    struct stage *stage = *state;
    open_account(stage, "/commands/account/42/Open");
    struct cairn_value problem = post_for_problem(stage, "/commands/account/42/Withdraw", JSON,
                                                  "{\"amount\":1}", 409, "rejected");
    assert_text(&problem, "code", "insufficient-funds");
    assert_text(&problem, "detail", "the balance is 0");
}

static void invalid_data_lists_every_fault(void **state)
{
    struct stage *stage = *state;
    struct cairn_value problem = post_for_problem(stage, "/commands/account/42/Deposit", JSON,
                                                  "{\"amount\":\"x\",\"more\":1}", 422, "invalid");
    const struct cairn_value *errors = cairn_value_at(&problem, "errors");
    assert_non_null(errors);
    assert_int_equal(errors->count, 2);
    bool amount = false;
    for (uint32_t i = 0; i < errors->count; i++) {
        amount = amount ||
                 cairn_slice_is(cairn_value_get_string(&errors->as.items[i], "pointer"), "/amount");
        assert_true(cairn_value_get_string(&errors->as.items[i], "keyword").size > 0);
        assert_true(cairn_value_get_string(&errors->as.items[i], "message").size > 0);
    }
    assert_true(amount);
}

static void malformed_body_tells_the_byte(void **state)
{
    struct stage *stage = *state;
    struct cairn_value problem = post_for_problem(stage, "/commands/account/42/Open", JSON,
                                                  "{\"owner\":}", 400, "malformed");
    assert_number(&problem, "offset", 9);
}

static void every_bad_request_has_its_own_problem(void **state)
{
    struct stage *stage = *state;
    static const struct {
        const char *path;
        const char *headers;
        int status;
        const char *slug;
    } CASES[] = {
        {"/commands/wallet/42/Open", JSON, 404, "unknown-aggregate"},
        {"/commands/account/42/Explode", JSON, 404, "unknown-command"},
        {"/commands/account/4%202/Open", JSON, 400, "bad-request"},
        {"/commands/account/42/Open", "Content-Type: text/plain\r\n", 415,
         "unsupported-media-type"},
        {"/commands/account/42/Open", NDJSON, 415, "unsupported-media-type"},
        {"/commands/account/42/Open", JSON "Accept: text/html\r\n", 406, "not-acceptable"},
        {"/commands/account/42/Open", JSON "If-Match: 7\r\n", 400, "bad-request"},
        {"/commands/account/42/Open", JSON "If-Match: W/\"7\"\r\n", 400, "bad-request"},
        {"/commands/account/42/Open", JSON "If-Match: \"\"\r\n", 400, "bad-request"},
        {"/commands/account/42/Open", JSON "If-Match: \"7\", \"8\"\r\n", 400, "bad-request"},
        {"/commands/account/42/Open", JSON "If-Match: \"99999999999999999999\"\r\n", 400,
         "bad-request"},
        {"/commands/account/42/Open", JSON "If-None-Match: \"7\"\r\n", 400, "bad-request"},
        {"/commands/account/42/Open", JSON "If-Match: \"1\"\r\nIf-None-Match: *\r\n", 400,
         "bad-request"},
        {"/commands/account/42/Open", JSON "Idempotency-Key: \r\n", 400, "bad-request"},
        {"/commands/account/42/Open", JSON "Idempotency-Key: a\r\nIdempotency-Key: a\r\n", 400,
         "bad-request"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        (void)post_for_problem(stage, CASES[i].path, CASES[i].headers, "{\"owner\":\"Ada\"}",
                               CASES[i].status, CASES[i].slug);
    }
    assert_int_equal(world_events(&stage->world, "account-42"), 0);
}

static void body_past_its_max_is_413(void **state)
{
    struct stage *stage = *state;
    static char body[20001];
    memset(body, ' ', sizeof(body) - 1);
    (void)post_for_problem(stage, "/commands/account/42/Open", JSON, body, 413, "too-large");
}

/* ---- the batch form ---- */

static void batch_answers_each_line_in_order(void **state)
{
    struct stage *stage = *state;
    struct peer_answer answer = post(
        stage, "/commands", NDJSON,
        "{\"aggregate\":\"account\",\"id\":\"1\",\"command\":\"Open\",\"data\":{\"owner\":\"A\"},"
        "\"key\":\"k1\",\"expected\":0}\n"
        "\r\n"
        "{\"aggregate\":\"account\",\"id\":\"1\",\"command\":\"Withdraw\",\"data\":{\"amount\":9}}"
        "\r\n"
        "{\"aggregate\":\"account\",\"id\":\"1\",\"command\":\"Open\",\"data\":{\"owner\":\"A\"},"
        "\"key\":\"k1\"}\n"
        "{\"aggregate\":\"account\",\n"
        "{\"aggregate\":\"account\",\"id\":\"1\",\"command\":\"Deposit\",\"data\":{\"amount\":"
        "\"x\"}}\n"
        "{\"aggregate\":\"account\",\"id\":\"1\",\"command\":\"Deposit\",\"sum\":1}\n"
        "{\"aggregate\":\"account\",\"id\":\"1\",\"command\":\"Deposit\",\"data\":{\"amount\":5},"
        "\"expected\":7}\n"
        "{\"aggregate\":\"account\",\"id\":\"1\",\"command\":\"Close\"}");
    assert_int_equal(answer.status, 200);
    assert_true(peer_has(&answer, "Content-Type", "application/x-ndjson"));
    static const struct {
        int status;
        const char *type; /* NULL: accepted */
        int line;         /* 0: none */
    } WANTED[] = {
        {201, NULL, 0},
        {409, "/problems/rejected", 0},
        {201, NULL, 0},
        {400, "/problems/malformed", 5},
        {422, "/problems/invalid", 6},
        {400, "/problems/bad-request", 7},
        {412, "/problems/version-conflict", 0},
        {200, NULL, 0},
    };
    struct cairn_slice rest = cairn_slice_of(answer.body, answer.body_size);
    for (size_t i = 0; i < sizeof(WANTED) / sizeof(WANTED[0]); i++) {
        struct cairn_err err;
        struct cairn_value value;
        size_t size = cairn_slice_find(rest, '\n');
        assert_true(size < rest.size);
        assert_ok(cairn_json_read(cairn_slice_of(rest.data, size), &stage->world.arena, &value,
                                  NULL, &err),
                  &err);
        rest = cairn_slice_of(rest.data + size + 1, rest.size - size - 1);
        assert_number(&value, "status", WANTED[i].status);
        if (WANTED[i].type != NULL) {
            assert_text(&value, "type", WANTED[i].type);
        } else {
            assert_text(&value, "stream", "account-1");
            assert_int_equal(cairn_value_at(&value, "replayed") != NULL, i == 2);
        }
        if (WANTED[i].line > 0) {
            assert_number(&value, "line", WANTED[i].line);
        }
    }
    assert_int_equal(rest.size, 0);
    assert_int_equal(world_events(&stage->world, "account-1"), 2);
    peer_answer_fini(&answer);
}

static void batch_array_is_answered_as_one(void **state)
{
    struct stage *stage = *state;
    struct peer_answer answer = post(
        stage, "/commands", JSON,
        "[{\"aggregate\":\"account\",\"id\":\"1\",\"command\":\"Open\",\"data\":{\"owner\":\"A\"}},"
        "7,{\"aggregate\":\"account\",\"id\":\"1\",\"command\":\"Close\"}]");
    assert_int_equal(answer.status, 200);
    struct cairn_value body = body_of(stage, &answer);
    assert_int_equal(body.type, CAIRN_ARRAY);
    assert_int_equal(body.count, 3);
    assert_number(&body.as.items[0], "status", 201);
    assert_number(&body.as.items[1], "status", 400);
    assert_number(&body.as.items[1], "index", 1);
    assert_number(&body.as.items[2], "status", 200);
    peer_answer_fini(&answer);
    answer = post(stage, "/commands", JSON, "[]");
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "[]");
    peer_answer_fini(&answer);
    (void)post_for_problem(stage, "/commands", JSON, "[{]", 400, "malformed");
    (void)post_for_problem(stage, "/commands", JSON, "{}", 400, "bad-request");
    (void)post_for_problem(stage, "/commands", "Content-Type: text/csv\r\n", "1", 415,
                           "unsupported-media-type");
}

static void batch_speaks_msgpack(void **state)
{
    struct stage *stage = *state;
    struct cairn_err err;
    struct cairn_value batch;
    struct cairn_buf packed = {.max = 10000};
    assert_ok(
        cairn_json_read(CAIRN_SLICE_LIT("[{\"aggregate\":\"account\",\"id\":\"1\",\"command\":"
                                        "\"Open\",\"data\":{\"owner\":\"A\"}},null]"),
                        &stage->world.arena, &batch, NULL, &err),
        &err);
    assert_int_equal(cairn_msgpack_write(&batch, &packed), CAIRN_OK);
    struct peer_answer answer = post_bytes(
        stage, "/commands", "Content-Type: application/msgpack\r\n", packed.data, packed.size);
    assert_int_equal(answer.status, 200);
    struct cairn_value body;
    assert_ok(cairn_msgpack_read(cairn_slice_of(answer.body, answer.body_size), CAIRN_MSGPACK_DATA,
                                 &stage->world.arena, &body, NULL, &err),
              &err);
    assert_int_equal(body.count, 2);
    assert_number(&body.as.items[0], "status", 201);
    assert_number(&body.as.items[1], "status", 400);
    cairn_buf_fini(&packed);
    peer_answer_fini(&answer);
}

/* Answers past the flush limit go out while the batch runs; the client sees one whole body. */
static void long_batch_is_streamed_whole(void **state)
{
    struct stage *stage = *state;
    enum { LINES = 30000, LINE_MAX = 96 };
    char *body = malloc((size_t)LINES * LINE_MAX);
    assert_non_null(body);
    size_t size = 0;
    for (int i = 0; i < LINES; i++) {
        size += (size_t)snprintf(body + size, LINE_MAX,
                                 "{\"aggregate\":\"account\",\"id\":\"%d\",\"command\":\"Open\","
                                 "\"data\":{\"owner\":\"A\"}}\n",
                                 i);
    }
    char head[256];
    int fd = peer_connect(stage->port);
    (void)snprintf(head, sizeof(head),
                   "POST /commands HTTP/1.1\r\nHost: x\r\n" NDJSON "Content-Length: %zu\r\n\r\n",
                   size);
    peer_say(fd, head);
    peer_send(fd, body, size);
    free(body);
    /* Count the answers without keeping 5 MB of them: "201" occurs once in each. */
    static const char MARK[] = "\"status\":201}";
    static char piece[65536];
    size_t found = 0;
    size_t at = 0;
    for (;;) {
        ssize_t got = recv(fd, piece, sizeof(piece), 0);
        assert_true(got >= 0);
        if (got == 0) {
            break;
        }
        for (ssize_t i = 0; i < got; i++) {
            /* The frames of a chunked body may stand anywhere; they hold no quote. */
            at = piece[i] == MARK[at] ? at + 1 : piece[i] == MARK[0] ? 1 : 0;
            if (at == sizeof(MARK) - 1) {
                found++;
                at = 0;
            }
        }
    }
    (void)close(fd);
    /* A mark cut in two by a frame is missed: 64 KiB frames, 6 MB. */
    assert_true(found > LINES - 100 && found <= LINES);
    struct cairn_err err;
    struct cairn_store_stats stats;
    assert_ok(cairn_store_stats(stage->world.store, &stats, &err), &err);
    assert_int_equal(stats.events, LINES);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)
    const struct CMUnitTest tests[] = {
        TEST(new_stream_is_201_with_its_place),
        TEST(existing_stream_is_200_without_location),
        TEST(same_key_is_the_same_answer_marked),
        TEST(msgpack_goes_in_and_out),
        TEST(version_conflict_tells_both_versions),
        TEST(rejection_tells_code_and_detail),
        TEST(invalid_data_lists_every_fault),
        TEST(malformed_body_tells_the_byte),
        TEST(every_bad_request_has_its_own_problem),
        TEST(body_past_its_max_is_413),
        TEST(batch_answers_each_line_in_order),
        TEST(batch_array_is_answered_as_one),
        TEST(batch_speaks_msgpack),
        TEST(long_batch_is_streamed_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
