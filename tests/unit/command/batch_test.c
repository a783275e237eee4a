/* The batch form of the command API, over real HTTP. */
#include "schemas/msgpack.h"
#include "tests/unit/command/api_stage.h"

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

/* The next byte of the connection; -1 at its end. */
static int next_byte(int fd)
{
    static char piece[65536];
    static ssize_t size;
    static ssize_t at;
    if (at == size) {
        size = recv(fd, piece, sizeof(piece), 0);
        assert_true(size >= 0);
        at = 0;
        if (size == 0) {
            return -1;
        }
    }
    return (unsigned char)piece[at++];
}

/* Read a chunked answer to its end and count the lines of its body that tell of a new stream. */
static size_t count_streamed(int fd)
{
    static const char MARK[] = "\"status\":201}\n";
    size_t found = 0;
    size_t at = 0;
    unsigned ends = 0; /* of the head: CR LF CR LF */
    while (ends < 4) {
        int byte = next_byte(fd);
        assert_true(byte >= 0);
        ends = byte == (ends % 2 == 0 ? '\r' : '\n') ? ends + 1 : 0;
    }
    for (;;) {
        size_t left = 0;
        int byte = next_byte(fd);
        for (; byte != '\r'; byte = next_byte(fd)) {
            assert_true(byte >= 0);
            left = left * 16 + (size_t)(byte <= '9' ? byte - '0' : byte - 'a' + 10);
        }
        assert_int_equal(next_byte(fd), '\n');
        if (left == 0) {
            return found;
        }
        for (; left > 0; left--) {
            byte = next_byte(fd);
            at = byte == MARK[at] ? at + 1 : byte == MARK[0] ? 1 : 0;
            if (at == sizeof(MARK) - 1) {
                found++;
                at = 0;
            }
        }
        assert_int_equal(next_byte(fd), '\r');
        assert_int_equal(next_byte(fd), '\n');
    }
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
    assert_int_equal(count_streamed(fd), LINES);
    (void)close(fd);
    struct cairn_err err;
    struct cairn_store_stats stats;
    assert_ok(cairn_store_stats(stage->world.store, &stats, &err), &err);
    assert_int_equal(stats.events, LINES);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)
    const struct CMUnitTest tests[] = {
        TEST(batch_answers_each_line_in_order),
        TEST(batch_array_is_answered_as_one),
        TEST(batch_speaks_msgpack),
        TEST(long_batch_is_streamed_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
