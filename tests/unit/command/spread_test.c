/* Batches between two nodes: over real HTTP, and chunk by chunk. */
#include "command/spread.h"

#include "platform/fault.h"
#include "schemas/msgpack.h"
#include "tests/support/http_trap.h"
#include "tests/unit/command/forward_stage.h"

enum { LINES_MAX = 64, BODY_MAX = 64 * 1024 };

/* A batch under construction. */
struct lines {
    char text[BODY_MAX];
    size_t size;
};

static void add_line(struct lines *lines, const char *id, const char *name, const char *rest)
{
    int size = snprintf(lines->text + lines->size, BODY_MAX - lines->size,
                        "{\"aggregate\":\"account\",\"id\":\"%s\",\"command\":\"%s\",%s}\n", id,
                        name, rest);
    assert_true(size > 0 && (size_t)size < BODY_MAX - lines->size);
    lines->size += (size_t)size;
}

/* Opens one account a lane, the n-th of each. */
static void add_opens(struct lines *lines, const struct stage *stage, unsigned n)
{
    for (int lane = 0; lane < STAGE_LANES; lane++) {
        char id[16];
        char rest[128];
        id_in_lane(stage, lane, n, id);
        (void)snprintf(rest, sizeof(rest), "\"data\":" OPEN ",\"key\":\"open-%s\",\"expected\":0",
                       id);
        add_line(lines, id, "Open", rest);
    }
}

/* Post NDJSON; the answers as values that live until the stage closes. */
static size_t post_lines(struct node *node, const char *headers, const char *text,
                         struct cairn_value answers[LINES_MAX])
{
    struct peer_answer answer = post(node, "/commands", headers, text);
    assert_int_equal(answer.status, 200);
    struct cairn_arena *arena = &node->world.arena;
    struct cairn_slice rest;
    size_t count = 0;
    assert_int_equal(cairn_arena_copy(arena, cairn_slice_of(answer.body, answer.body_size), &rest),
                     CAIRN_OK);
    while (rest.size > 0) {
        struct cairn_err err;
        size_t size = cairn_slice_find(rest, '\n');
        assert_true(size < rest.size && count < LINES_MAX);
        assert_ok(
            cairn_json_read(cairn_slice_of(rest.data, size), arena, &answers[count], NULL, &err),
            &err);
        rest = cairn_slice_of(rest.data + size + 1, rest.size - size - 1);
        count++;
    }
    peer_answer_fini(&answer);
    return count;
}

static void assert_problem(const struct cairn_value *answer, const char *slug)
{
    char type[64];
    (void)snprintf(type, sizeof(type), "/problems/%s", slug);
    assert_text(answer, "type", type);
}

static void a_batch_is_spread_and_answered_in_order(void **state)
{
    struct stage *stage = *state;
    static struct cairn_value answers[LINES_MAX];
    struct lines lines = {.size = 0};
    char id[16];
    for (unsigned n = 0; n < 8; n++) {
        add_opens(&lines, stage, n);
    }
    id_in_lane(stage, 1, 0, id);
    add_line(&lines, id, "Withdraw", "\"data\":{\"amount\":900}");
    add_line(&lines, id, "Deposit", "\"data\":{\"amount\":\"much\"}");
    add_line(&lines, id, "Deposit", "\"data\":{\"amount\":7},\"expected\":9");
    assert_int_equal(post_lines(&stage->nodes[0], NDJSON, lines.text, answers), 35);
    for (unsigned i = 0; i < 32; i++) {
        char stream[32] = "account-";
        id_in_lane(stage, (int)(i % 4), i / 4, id);
        (void)snprintf(stream, sizeof(stream), "account-%s", id);
        assert_int_equal(status_of(&answers[i]), 201);
        assert_text(&answers[i], "stream", stream);
        assert_int_equal(events_of(&stage->nodes[i % 2], id), 1);
        assert_int_equal(events_of(&stage->nodes[1 - i % 2], id), 0);
    }
    assert_problem(&answers[32], "rejected");
    assert_problem(&answers[33], "invalid");
    assert_int_equal(cairn_value_at(&answers[33], "line")->as.integer, 34);
    assert_problem(&answers[34], "version-conflict");
    /* 16 of the odd lanes, and the two of the last three that were commands at all. */
    assert_int_equal(forwarded(&stage->nodes[0], "answered"), 18);
}

static void every_node_gives_the_same_text(void **state)
{
    struct stage *stage = *state;
    static struct cairn_value answers[LINES_MAX];
    struct lines lines = {.size = 0};
    for (unsigned n = 0; n < 4; n++) {
        add_opens(&lines, stage, n);
    }
    assert_int_equal(post_lines(&stage->nodes[0], NDJSON, lines.text, answers), 16);
    struct peer_answer one = post(&stage->nodes[0], "/commands", NDJSON, lines.text);
    struct peer_answer other = post(&stage->nodes[1], "/commands", NDJSON, lines.text);
    assert_string_equal(one.body, other.body);
    assert_non_null(strstr(one.body, "\"replayed\":true"));
    peer_answer_fini(&one);
    peer_answer_fini(&other);
    for (unsigned i = 0; i < 16; i++) {
        char id[16];
        id_in_lane(stage, (int)(i % 4), i / 4, id);
        assert_int_equal(events_of(&stage->nodes[i % 2], id), 1);
    }
}

static void arrays_come_back_in_their_form(void **state)
{
    struct stage *stage = *state;
    struct node *node = &stage->nodes[0];
    char ids[2][16];
    char text[512];
    struct cairn_err err;
    id_in_lane(stage, 0, 0, ids[0]);
    id_in_lane(stage, 1, 0, ids[1]);
    (void)snprintf(
        text, sizeof(text),
        "[{\"aggregate\":\"account\",\"id\":\"%s\",\"command\":\"Open\",\"data\":" OPEN
        "},7,{\"aggregate\":\"account\",\"id\":\"%s\",\"command\":\"Open\",\"data\":" OPEN "}]",
        ids[1], ids[0]);
    struct peer_answer answer = post(node, "/commands", JSON, text);
    struct cairn_value body = body_of(node, &answer);
    assert_int_equal(body.count, 3);
    assert_int_equal(status_of(&body.as.items[0]), 201);
    assert_int_equal(cairn_value_at(&body.as.items[1], "index")->as.integer, 1);
    assert_int_equal(status_of(&body.as.items[2]), 201);
    peer_answer_fini(&answer);
    struct cairn_value batch;
    struct cairn_buf packed = {.max = 1000};
    assert_ok(cairn_json_read(cairn_slice_str(text), &node->world.arena, &batch, NULL, &err), &err);
    assert_int_equal(cairn_msgpack_write(&batch, &packed), CAIRN_OK);
    answer = post_bytes(node, "/commands", "Content-Type: application/msgpack\r\n", packed.data,
                        packed.size);
    assert_ok(cairn_msgpack_read(cairn_slice_of(answer.body, answer.body_size), CAIRN_MSGPACK_DATA,
                                 &node->world.arena, &body, NULL, &err),
              &err);
    assert_int_equal(body.count, 3);
    assert_problem(&body.as.items[0], "rejected"); /* open already */
    assert_problem(&body.as.items[2], "rejected");
    cairn_buf_fini(&packed);
    peer_answer_fini(&answer);
}

static void commands_of_a_stream_keep_their_order(void **state)
{
    struct stage *stage = *state;
    static struct cairn_value answers[LINES_MAX];
    struct lines lines = {.size = 0};
    add_opens(&lines, stage, 0);
    for (int version = 1; version <= 12; version++) {
        for (int lane = 0; lane < STAGE_LANES; lane++) {
            char id[16];
            char rest[64];
            id_in_lane(stage, lane, 0, id);
            (void)snprintf(rest, sizeof(rest), "\"data\":{\"amount\":1},\"expected\":%d", version);
            add_line(&lines, id, "Deposit", rest);
        }
    }
    size_t count = post_lines(&stage->nodes[1], NDJSON, lines.text, answers);
    assert_int_equal(count, 13 * STAGE_LANES);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(status_of(&answers[i]), i < STAGE_LANES ? 201 : 200);
        assert_int_equal(cairn_value_at(&answers[i], "version")->as.integer, i / STAGE_LANES + 1);
    }
}

static void lanes_without_an_owner_are_503_and_others_go_on(void **state)
{
    struct stage *stage = *state;
    static struct cairn_value answers[LINES_MAX];
    struct lines lines = {.size = 0};
    add_opens(&lines, stage, 0);
    set_owner(stage, 2, OWNER_NOBODY);
    node_stop(&stage->nodes[1]);
    assert_int_equal(post_lines(&stage->nodes[0], NDJSON, lines.text, answers), 4);
    assert_int_equal(status_of(&answers[0]), 201);
    for (size_t i = 1; i < 4; i++) {
        assert_int_equal(status_of(&answers[i]), 503);
        assert_problem(&answers[i], "no-owner");
    }
    assert_int_equal(forwarded(&stage->nodes[0], "no-owner"), 3);
}

static void lanes_wait_for_their_next_owner(void **state)
{
    struct stage *stage = *state;
    static struct cairn_value answers[LINES_MAX];
    struct lines lines = {.size = 0};
    struct trap trap = {.answer = TRAP_SAYS_NO_OWNER};
    trap_begin(&trap);
    (void)snprintf(stage->stranger_url, sizeof(stage->stranger_url), "%s", trap.url);
    for (unsigned n = 0; n < 3; n++) {
        add_opens(&lines, stage, n);
    }
    set_owner(stage, 1, OWNER_STRANGER);
    set_owner(stage, 2, OWNER_NOBODY);
    turn_after(stage, 8, 1);
    assert_int_equal(post_lines(&stage->nodes[0], NDJSON, lines.text, answers), 12);
    for (size_t i = 0; i < 12; i++) {
        assert_int_equal(status_of(&answers[i]), 201);
    }
    assert_true(trap_end(&trap) >= 1);
    assert_int_equal(forwarded(&stage->nodes[0], "no-owner"), 0);
    assert_int_equal(forwarded(&stage->nodes[0], "answered"), 9);
}

static void what_nobody_answered_is_unknown_and_not_sent_again(void **state)
{
    struct stage *stage = *state;
    static const struct {
        enum trap_answer answer;
        const char *slug;
    } CASES[] = {{TRAP_CLOSES, "outcome-unknown"},
                 {TRAP_SAYS_HTML, "outcome-unknown"},
                 {TRAP_SAYS_ONE_OF_MANY, "outcome-unknown"},
                 {TRAP_SAYS_OVERLOADED, "overloaded"}};
    static struct cairn_value answers[LINES_MAX];
    set_owner(stage, 1, OWNER_STRANGER);
    for (unsigned i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct lines lines = {.size = 0};
        struct trap trap = {.answer = CASES[i].answer};
        trap_begin(&trap);
        (void)snprintf(stage->stranger_url, sizeof(stage->stranger_url), "%s", trap.url);
        add_opens(&lines, stage, 2 * i);
        add_opens(&lines, stage, 2 * i + 1);
        assert_int_equal(post_lines(&stage->nodes[0], NDJSON, lines.text, answers), 8);
        for (size_t k = 0; k < 8; k++) {
            assert_int_equal(status_of(&answers[k]), k % 4 == 1 ? 503 : 201);
            if (k % 4 == 1) {
                assert_problem(&answers[k], CASES[i].slug);
            }
        }
        assert_int_equal(trap_end(&trap), 1);
    }
    assert_int_equal(forwarded(&stage->nodes[0], "outcome-unknown"), 6);
}

static void a_batch_makes_no_second_hop(void **state)
{
    struct stage *stage = *state;
    static struct cairn_value answers[LINES_MAX];
    struct lines lines = {.size = 0};
    add_opens(&lines, stage, 0);
    assert_int_equal(
        post_lines(&stage->nodes[0], NDJSON "Cairn-Forwarded: node-7\r\n", lines.text, answers), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(status_of(&answers[i]), i % 2 == 0 ? 201 : 503);
    }
    assert_problem(&answers[1], "no-owner");
    assert_int_equal(forwarded(&stage->nodes[0], "second-hop"), 2);
    assert_int_equal(forwarded(&stage->nodes[0], "answered"), 0);
}

/* ---- chunk by chunk ---- */

/* A chunk that a test carries out itself, at node 0. */
struct chunk {
    struct node *node;
    struct cairn_forward *forward;
    struct cairn_http_request request;
    struct cairn_arena arena;
    struct cairn_command commands[LINES_MAX];
    struct cairn_answer answers[LINES_MAX];
    const struct cairn_value *foreign[LINES_MAX];
    size_t count;
};

static void chunk_begin(struct chunk *chunk, struct stage *stage)
{
    struct cairn_err err;
    memset(chunk, 0, sizeof(*chunk));
    chunk->node = &stage->nodes[0];
    chunk->arena.max = 64u << 20;
    chunk->request.request_id = CAIRN_SLICE_LIT("chunk-1");
    const struct cairn_forward_options options = {.store = chunk->node->world.store,
                                                  .owners = {find_owner, chunk->node},
                                                  .owner_wait_ms = stage->wait_ms};
    assert_ok(cairn_forward_new(&options, &chunk->forward, &err), &err);
}

static void chunk_end(struct chunk *chunk)
{
    cairn_forward_free(chunk->forward);
    cairn_arena_fini(&chunk->arena);
}

static void chunk_add(struct chunk *chunk, const struct stage *stage, int lane, unsigned n,
                      const char *data)
{
    struct world *world = &chunk->node->world;
    char *id = cairn_arena_alloc(&world->arena, 16);
    assert_non_null(id);
    id_in_lane(stage, lane, n, id);
    const struct ask ask = {
        .id = id, .command = "Open", .data = data, .expected = CAIRN_EXPECT_ANY};
    world_command(world, &ask, &world->arena, &chunk->commands[chunk->count]);
    chunk->count++;
}

static void chunk_run(struct chunk *chunk, size_t body_bytes)
{
    struct cairn_spread spread = {
        .forward = chunk->forward,
        .service = chunk->node->world.service,
        .request = &chunk->request,
        .patience = cairn_patience_of(cairn_clock_system(), cairn_forward_wait_ms(chunk->forward)),
        .body_bytes = body_bytes,
    };
    cairn_arena_reset(&chunk->arena);
    cairn_spread_execute(&spread, chunk->commands, chunk->answers, chunk->foreign, chunk->count,
                         &chunk->arena);
}

static void a_long_part_goes_in_several_requests(void **state)
{
    struct stage *stage = *state;
    static struct chunk chunk;
    static const size_t sizes[] = {1, 150, 400, 100000}; /* bytes of a request */
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        chunk_begin(&chunk, stage);
        for (unsigned n = 0; n < 40; n++) {
            chunk_add(&chunk, stage, (int)(n % 4), 10 * i + n / 4, OPEN);
        }
        chunk_run(&chunk, sizes[i]);
        for (size_t k = 0; k < 40; k++) {
            assert_int_equal(chunk.foreign[k] != NULL, k % 2 == 1);
            if (k % 2 == 1) {
                assert_int_equal(status_of(chunk.foreign[k]), 201);
            } else {
                assert_int_equal(chunk.answers[k].rc, CAIRN_OK);
            }
        }
        chunk_end(&chunk);
    }
}

static void data_too_deep_for_an_array_fails_alone(void **state)
{
    struct stage *stage = *state;
    static struct chunk chunk;
    struct cairn_value nested[CAIRN_VALUE_DEPTH_MAX - 1];
    nested[0] = (struct cairn_value){.type = CAIRN_ARRAY};
    for (size_t i = 1; i < sizeof(nested) / sizeof(nested[0]); i++) {
        nested[i] = (struct cairn_value){.type = CAIRN_ARRAY, .count = 1};
        nested[i].as.items = &nested[i - 1];
    }
    chunk_begin(&chunk, stage);
    for (unsigned n = 0; n < 3; n++) {
        chunk_add(&chunk, stage, 1, n, OPEN);
    }
    chunk.commands[0].data = &nested[CAIRN_VALUE_DEPTH_MAX - 2];
    chunk.commands[1].data = &nested[CAIRN_VALUE_DEPTH_MAX - 3]; /* fits: the owner looks at it */
    chunk_run(&chunk, 10000);
    assert_null(chunk.foreign[0]);
    assert_int_equal(chunk.answers[0].rc, CAIRN_EMALFORMED);
    assert_problem(chunk.foreign[1], "invalid");
    assert_null(cairn_value_at(chunk.foreign[1], "index")); /* the client's is another */
    assert_int_equal(status_of(chunk.foreign[2]), 201);
    chunk_end(&chunk);
}

static void without_a_thread_it_takes_longer_and_no_more(void **state)
{
    skip_without_faults();
    struct stage *stage = *state;
    static struct chunk chunk;
    chunk_begin(&chunk, stage);
    for (int lane = 0; lane < STAGE_LANES; lane++) {
        chunk_add(&chunk, stage, lane, 0, OPEN);
    }
    cairn_fault_arm(CAIRN_FAULT_THREAD, 0);
    chunk_run(&chunk, 10000);
    assert_true(cairn_fault_fired(CAIRN_FAULT_THREAD));
    cairn_fault_disarm();
    assert_int_equal(status_of(chunk.foreign[1]), 201);
    assert_int_equal(status_of(chunk.foreign[3]), 201);
    assert_int_equal(chunk.answers[0].rc, CAIRN_OK);
    chunk_end(&chunk);
}

/* Only threads of this node allocate here: the other owner is a trap. */
static void without_memory_every_command_still_has_an_answer(void **state)
{
    skip_without_faults();
    struct stage *stage = *state;
    static struct chunk chunk;
    struct trap trap = {.answer = TRAP_SAYS_OVERLOADED};
    unsigned n = 0;
    trap_begin(&trap);
    (void)snprintf(stage->stranger_url, sizeof(stage->stranger_url), "%s", trap.url);
    set_owner(stage, 1, OWNER_STRANGER);
    set_owner(stage, 3, OWNER_STRANGER);
    bool fired = true;
    for (int after = 0; fired; after++, n++) {
        chunk_begin(&chunk, stage);
        for (int lane = 0; lane < STAGE_LANES; lane++) {
            chunk_add(&chunk, stage, lane, n, OPEN);
        }
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        chunk_run(&chunk, 10000);
        fired = cairn_fault_fired(CAIRN_FAULT_MEM);
        cairn_fault_disarm();
        for (size_t i = 0; i < STAGE_LANES; i++) {
            char id[16];
            const struct cairn_answer *answer = &chunk.answers[i];
            id_in_lane(stage, (int)i, n, id);
            if (i % 2 == 1) {
                assert_true(chunk.foreign[i] != NULL || (fired && answer->rc != CAIRN_OK));
            } else {
                assert_null(chunk.foreign[i]);
                assert_int_equal(events_of(chunk.node, id), answer->rc == CAIRN_OK);
                assert_true(fired || answer->rc == CAIRN_OK);
            }
        }
        chunk_end(&chunk);
    }
    assert_true(trap_end(&trap) > 0);
    assert_true(n > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_batch_is_spread_and_answered_in_order, open_patient,
                                        close_stage),
        cmocka_unit_test_setup_teardown(every_node_gives_the_same_text, open_patient, close_stage),
        cmocka_unit_test_setup_teardown(arrays_come_back_in_their_form, open_patient, close_stage),
        cmocka_unit_test_setup_teardown(commands_of_a_stream_keep_their_order, open_patient,
                                        close_stage),
        cmocka_unit_test_setup_teardown(lanes_without_an_owner_are_503_and_others_go_on, open_hasty,
                                        close_stage),
        cmocka_unit_test_setup_teardown(lanes_wait_for_their_next_owner, open_patient, close_stage),
        cmocka_unit_test_setup_teardown(what_nobody_answered_is_unknown_and_not_sent_again,
                                        open_patient, close_stage),
        cmocka_unit_test_setup_teardown(a_batch_makes_no_second_hop, open_patient, close_stage),
        cmocka_unit_test_setup_teardown(a_long_part_goes_in_several_requests, open_patient,
                                        close_stage),
        cmocka_unit_test_setup_teardown(data_too_deep_for_an_array_fails_alone, open_patient,
                                        close_stage),
        cmocka_unit_test_setup_teardown(without_a_thread_it_takes_longer_and_no_more, open_patient,
                                        close_stage),
        cmocka_unit_test_setup_teardown(without_memory_every_command_still_has_an_answer,
                                        open_patient, close_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
