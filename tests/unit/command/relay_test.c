/* Single commands between two nodes, over real HTTP. */
#include "command/relay.h"

#include "schemas/msgpack.h"
#include "tests/support/http_trap.h"
#include "tests/unit/command/forward_stage.h"

static void assert_same_field(const struct peer_answer *one, const struct peer_answer *other,
                              const char *name)
{
    const char *first = peer_field(one, name);
    const char *second = peer_field(other, name);
    assert_int_equal(first != NULL, second != NULL);
    if (first != NULL) {
        assert_int_equal(strcspn(first, "\r"), strcspn(second, "\r"));
        assert_memory_equal(first, second, strcspn(first, "\r"));
    }
}

static void a_command_is_carried_out_by_the_owner(void **state)
{
    struct stage *stage = *state;
    char id[16];
    char path[128];
    id_in_lane(stage, 1, 0, id);
    (void)snprintf(path, sizeof(path), "/commands/account/%s/Open", id);
    struct peer_answer answer =
        post(&stage->nodes[0], path,
             JSON "X-Request-Id: ask-1\r\nX-Correlation-Id: order-7\r\nIdempotency-Key: k1\r\n"
                  "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
             OPEN);
    assert_int_equal(answer.status, 201);
    assert_true(peer_has(&answer, "Content-Type", "application/json"));
    assert_true(peer_has(&answer, "ETag", "\"1\""));
    assert_true(peer_has(&answer, "Cairn-Position", "1:1"));
    assert_true(peer_has(&answer, "X-Request-Id", "ask-1"));
    assert_non_null(peer_field(&answer, "Location"));
    assert_int_equal(events_of(&stage->nodes[0], id), 0);
    assert_int_equal(events_of(&stage->nodes[1], id), 1);
    /* What the event says of its origin is what the client sent. */
    struct cairn_event_page page;
    struct cairn_err err;
    char stream[32];
    (void)snprintf(stream, sizeof(stream), "account-%s", id);
    struct world *world = &stage->nodes[1].world;
    assert_ok(cairn_store_read_stream(world->store, cairn_slice_str(stream), 0, 10, CAIRN_FORWARD,
                                      &world->arena, &page, &err),
              &err);
    assert_true(cairn_slice_is(page.events[0].correlation, "order-7"));
    assert_true(cairn_slice_is(page.events[0].causation, "ask-1"));
    assert_true(cairn_slice_is(page.events[0].key, "k1"));
    assert_true(page.events[0].traceparent.size > 0);
    /* Again, of the owner itself: the same answer, field by field. */
    struct peer_answer again = post(&stage->nodes[1], path, JSON "Idempotency-Key: k1\r\n", OPEN);
    static const char *const fields[] = {"ETag", "Cairn-Position", "Location", "Content-Type"};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        assert_same_field(&answer, &again, fields[i]);
    }
    assert_string_equal(answer.body, again.body);
    assert_true(peer_has(&again, "Idempotency-Replayed", "true"));
    assert_int_equal(forwarded(&stage->nodes[0], "answered"), 1);
    assert_int_equal(forwarded(&stage->nodes[1], "answered"), 0);
    peer_answer_fini(&answer);
    peer_answer_fini(&again);
}

static void a_key_is_known_through_every_node(void **state)
{
    struct stage *stage = *state;
    char id[16];
    char path[128];
    id_in_lane(stage, 1, 0, id);
    (void)snprintf(path, sizeof(path), "/commands/account/%s/Open", id);
    command(&stage->nodes[1], id, "Open", JSON "Idempotency-Key: k\r\n", OPEN, 201);
    struct peer_answer answer = post(&stage->nodes[0], path, JSON "Idempotency-Key: k\r\n", OPEN);
    assert_int_equal(answer.status, 201);
    assert_true(peer_has(&answer, "Idempotency-Replayed", "true"));
    peer_answer_fini(&answer);
    command(&stage->nodes[0], id, "Open", JSON "Idempotency-Key: k\r\n", "{\"owner\":\"Bob\"}",
            422);
    assert_int_equal(events_of(&stage->nodes[1], id), 1);
}

static void problems_come_back_as_the_owner_gave_them(void **state)
{
    struct stage *stage = *state;
    char id[16];
    char path[128];
    id_in_lane(stage, 3, 0, id);
    command(&stage->nodes[0], id, "Open", JSON, OPEN, 201);
    (void)snprintf(path, sizeof(path), "/commands/account/%s/Deposit", id);
    struct peer_answer answer =
        post(&stage->nodes[0], path, JSON "If-Match: \"9\"\r\n", "{\"amount\":5}");
    assert_int_equal(answer.status, 412);
    assert_true(peer_has(&answer, "ETag", "\"1\""));
    assert_true(peer_has(&answer, "Content-Type", "application/problem+json"));
    struct cairn_value body = body_of(&stage->nodes[0], &answer);
    assert_text(&body, "type", "/problems/version-conflict");
    assert_int_equal(cairn_value_at(&body, "expected")->as.integer, 9);
    peer_answer_fini(&answer);
    command(&stage->nodes[0], id, "Withdraw", JSON, "{\"amount\":5}", 409);
    command(&stage->nodes[0], id, "Deposit", JSON, "{\"amount\":", 400);
    command(&stage->nodes[0], id, "Deposit", JSON, "{\"amount\":\"x\"}", 422);
    command(&stage->nodes[0], id, "Deposit", "Content-Type: text/csv\r\n", "1", 415);
    command(&stage->nodes[0], id, "Open", JSON "If-None-Match: *\r\n", OPEN, 412);
    assert_int_equal(events_of(&stage->nodes[1], id), 1);
    /* What is no command anywhere is refused at once. */
    uint64_t before = forwarded(&stage->nodes[0], "answered");
    command(&stage->nodes[0], id, "Nothing", JSON, "{}", 404);
    command(&stage->nodes[0], id, "Open", JSON "Idempotency-Key: a\r\nIdempotency-Key: b\r\n", OPEN,
            400);
    assert_int_equal(forwarded(&stage->nodes[0], "answered"), before);
}

static void msgpack_goes_through(void **state)
{
    struct stage *stage = *state;
    char id[16];
    char path[128];
    struct cairn_err err;
    struct cairn_value data;
    struct cairn_buf packed = {.max = 1000};
    struct cairn_arena *arena = &stage->nodes[0].world.arena;
    id_in_lane(stage, 1, 0, id);
    (void)snprintf(path, sizeof(path), "/commands/account/%s/Open", id);
    assert_ok(cairn_json_read(CAIRN_SLICE_LIT(OPEN), arena, &data, NULL, &err), &err);
    assert_int_equal(cairn_msgpack_write(&data, &packed), CAIRN_OK);
    struct peer_answer answer = post_bytes(
        &stage->nodes[0], path,
        "Content-Type: application/msgpack\r\nAccept: text/html\r\nAccept: application/msgpack\r\n",
        packed.data, packed.size);
    assert_int_equal(answer.status, 406); /* the first Accept counts, as everywhere */
    peer_answer_fini(&answer);
    answer = post_bytes(&stage->nodes[0], path,
                        "Content-Type: application/msgpack\r\nAccept: application/msgpack\r\n",
                        packed.data, packed.size);
    assert_int_equal(answer.status, 201);
    assert_true(peer_has(&answer, "Content-Type", "application/msgpack"));
    struct cairn_value body;
    assert_ok(cairn_msgpack_read(cairn_slice_of(answer.body, answer.body_size), CAIRN_MSGPACK_DATA,
                                 arena, &body, NULL, &err),
              &err);
    assert_int_equal(cairn_value_at(&body, "version")->as.integer, 1);
    cairn_buf_fini(&packed);
    peer_answer_fini(&answer);
}

static void a_body_as_big_as_allowed_goes_through(void **state)
{
    struct stage *stage = *state;
    enum { BYTES = 1 << 20 };
    char id[16];
    char path[128];
    char *body = malloc(BYTES + 1);
    assert_non_null(body);
    memset(body, ' ', BYTES + 1);
    memcpy(body, OPEN, sizeof(OPEN) - 1);
    id_in_lane(stage, 1, 0, id);
    (void)snprintf(path, sizeof(path), "/commands/account/%s/Open", id);
    struct peer_answer answer = post_bytes(&stage->nodes[0], path, JSON, body, BYTES);
    assert_int_equal(answer.status, 201);
    peer_answer_fini(&answer);
    answer = post_bytes(&stage->nodes[0], path, JSON, body, BYTES + 1);
    assert_int_equal(answer.status, 413);
    peer_answer_fini(&answer);
    free(body);
}

static void assert_no_owner(const struct node *node, const char *id, const char *headers)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "/commands/account/%s/Open", id);
    struct peer_answer answer = post(node, path, headers, OPEN);
    assert_int_equal(answer.status, 503);
    assert_true(peer_has(&answer, "Retry-After", "1"));
    assert_true(peer_has(&answer, "Content-Type", "application/problem+json"));
    assert_non_null(strstr(answer.body, "/problems/no-owner"));
    peer_answer_fini(&answer);
}

static void without_an_owner_it_is_503(void **state)
{
    struct stage *stage = *state;
    char id[16];
    id_in_lane(stage, 1, 0, id);
    set_owner(stage, 1, OWNER_NOBODY);
    assert_no_owner(&stage->nodes[0], id, JSON);
    set_owner(stage, 1, OWNER_CLAIMED);
    assert_no_owner(&stage->nodes[0], id, JSON);
    assert_int_equal(forwarded(&stage->nodes[0], "no-owner"), 2);
    assert_int_equal(events_of(&stage->nodes[0], id) + events_of(&stage->nodes[1], id), 0);
}

static void an_owner_that_is_gone_is_503(void **state)
{
    struct stage *stage = *state;
    char id[16];
    id_in_lane(stage, 1, 0, id);
    node_stop(&stage->nodes[1]);
    assert_no_owner(&stage->nodes[0], id, JSON);
    set_owner(stage, 1, OWNER_STRANGER); /* its URL is empty */
    assert_no_owner(&stage->nodes[0], id, JSON);
    (void)snprintf(stage->stranger_url, sizeof(stage->stranger_url), "no url at all");
    assert_no_owner(&stage->nodes[0], id, JSON);
    assert_int_equal(forwarded(&stage->nodes[0], "no-owner"), 3);
}

static void the_next_owner_is_waited_for(void **state)
{
    struct stage *stage = *state;
    char ids[3][16];
    for (unsigned i = 0; i < 3; i++) {
        id_in_lane(stage, 1, i, ids[i]);
    }
    set_owners(stage, OWNER_NOBODY);
    turn_after(stage, 3, 1);
    command(&stage->nodes[0], ids[0], "Open", JSON, OPEN, 201);
    assert_int_equal(events_of(&stage->nodes[1], ids[0]), 1);
    set_owners(stage, OWNER_NOBODY);
    turn_after(stage, 3, 0);
    command(&stage->nodes[0], ids[1], "Open", JSON, OPEN, 201);
    assert_int_equal(events_of(&stage->nodes[0], ids[1]), 1);
    /* A dead address: nothing was sent, so the next owner may have it. */
    set_owners(stage, OWNER_STRANGER);
    (void)snprintf(stage->stranger_url, sizeof(stage->stranger_url), "http://127.0.0.1:1");
    turn_after(stage, 2, 1);
    command(&stage->nodes[0], ids[2], "Open", JSON, OPEN, 201);
    assert_int_equal(events_of(&stage->nodes[1], ids[2]), 1);
}

/* A node that is asked may not have heard yet that the lane is its own. */
static void a_refusal_of_the_owner_is_asked_again(void **state)
{
    struct stage *stage = *state;
    char id[16];
    id_in_lane(stage, 1, 0, id);
    struct trap trap = {.answer = TRAP_SAYS_NO_OWNER};
    trap_begin(&trap);
    set_owners(stage, OWNER_STRANGER);
    (void)snprintf(stage->stranger_url, sizeof(stage->stranger_url), "%s", trap.url);
    turn_after(stage, 3, 1);
    command(&stage->nodes[0], id, "Open", JSON, OPEN, 201);
    assert_true(trap_end(&trap) >= 2);
    assert_string_equal(trap.mark, "node-0");
    assert_int_equal(events_of(&stage->nodes[1], id), 1);
    assert_int_equal(forwarded(&stage->nodes[0], "answered"), 1);
    assert_int_equal(forwarded(&stage->nodes[0], "no-owner"), 0);
}

static void a_refusal_that_stays_is_passed_on(void **state)
{
    struct stage *stage = *state;
    char id[16];
    id_in_lane(stage, 1, 0, id);
    stage->mirrored = true;
    assert_no_owner(&stage->nodes[0], id, JSON);
    assert_int_equal(forwarded(&stage->nodes[0], "no-owner"), 1);
    assert_true(forwarded(&stage->nodes[1], "second-hop") >= 1);
    assert_int_equal(forwarded(&stage->nodes[0], "second-hop"), 0);
}

static void there_is_no_second_hop(void **state)
{
    struct stage *stage = *state;
    char id[16];
    id_in_lane(stage, 1, 0, id);
    assert_no_owner(&stage->nodes[0], id, JSON "Cairn-Forwarded: node-7\r\n");
    assert_int_equal(forwarded(&stage->nodes[0], "second-hop"), 1);
    assert_int_equal(forwarded(&stage->nodes[1], "answered"), 0);
    assert_int_equal(events_of(&stage->nodes[1], id), 0);
    id_in_lane(stage, 0, 0, id);
    command(&stage->nodes[0], id, "Open", JSON "Cairn-Forwarded: node-7\r\n", OPEN, 201);
}

static void an_answer_that_is_none_leaves_the_outcome_open(void **state)
{
    struct stage *stage = *state;
    static const enum trap_answer answers[] = {TRAP_CLOSES, TRAP_SAYS_HTML, TRAP_SAYS_GATEWAY};
    char id[16];
    char path[128];
    id_in_lane(stage, 1, 0, id);
    (void)snprintf(path, sizeof(path), "/commands/account/%s/Open", id);
    set_owner(stage, 1, OWNER_STRANGER);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct trap trap = {.answer = answers[i]};
        trap_begin(&trap);
        (void)snprintf(stage->stranger_url, sizeof(stage->stranger_url), "%s/", trap.url);
        struct peer_answer answer = post(&stage->nodes[0], path, JSON, OPEN);
        assert_int_equal(answer.status, 503);
        assert_non_null(strstr(answer.body, "/problems/outcome-unknown"));
        peer_answer_fini(&answer);
        assert_int_equal(trap_end(&trap), 1); /* once, and never again */
    }
    assert_int_equal(forwarded(&stage->nodes[0], "outcome-unknown"), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_command_is_carried_out_by_the_owner, open_patient,
                                        close_stage),
        cmocka_unit_test_setup_teardown(a_key_is_known_through_every_node, open_patient,
                                        close_stage),
        cmocka_unit_test_setup_teardown(problems_come_back_as_the_owner_gave_them, open_patient,
                                        close_stage),
        cmocka_unit_test_setup_teardown(msgpack_goes_through, open_patient, close_stage),
        cmocka_unit_test_setup_teardown(a_body_as_big_as_allowed_goes_through, open_patient,
                                        close_stage),
        cmocka_unit_test_setup_teardown(without_an_owner_it_is_503, open_hasty, close_stage),
        cmocka_unit_test_setup_teardown(an_owner_that_is_gone_is_503, open_hasty, close_stage),
        cmocka_unit_test_setup_teardown(the_next_owner_is_waited_for, open_patient, close_stage),
        cmocka_unit_test_setup_teardown(a_refusal_of_the_owner_is_asked_again, open_patient,
                                        close_stage),
        cmocka_unit_test_setup_teardown(a_refusal_that_stays_is_passed_on, open_firm, close_stage),
        cmocka_unit_test_setup_teardown(there_is_no_second_hop, open_patient, close_stage),
        cmocka_unit_test_setup_teardown(an_answer_that_is_none_leaves_the_outcome_open,
                                        open_patient, close_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
