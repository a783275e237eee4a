/* The single form of the command API, over real HTTP. */
#include "schemas/msgpack.h"
#include "tests/unit/command/api_stage.h"

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

static void one_process_owns_all_partitions(void **state)
{
    struct stage *stage = *state;
    struct peer_answer answer =
        peer_ask(stage->port, "GET /partitions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_int_equal(answer.status, 200);
    struct cairn_value body = body_of(stage, &answer);
    const struct cairn_value *items = cairn_value_at(&body, "items");
    assert_int_equal(items->count, 1);
    const struct cairn_value *item = &items->as.items[0];
    assert_text(item, "state", "owned");
    assert_text(item, "node", "local");
    assert_number(item, "term", 0);
    assert_true(cairn_value_at(item, "here")->as.boolean);
    /* Since the store was opened, which was a moment ago. */
    int64_t since_us = 0;
    assert_int_equal(cairn_clock_parse(cairn_value_get_string(item, "since"), &since_us), CAIRN_OK);
    int64_t age_us = cairn_clock_now_us(cairn_clock_system()) - since_us;
    assert_true(age_us >= 0 && age_us < INT64_C(600) * 1000000);
    peer_answer_fini(&answer);
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
        cmocka_unit_test_setup_teardown(one_process_owns_all_partitions, open_stage, close_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
