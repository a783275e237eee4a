/* Who owns what, over real HTTP. */
#include "command/partitions.h"

#include "tests/unit/command/forward_stage.h"

static struct cairn_value ask(struct node *node, int status)
{
    char request[] = "GET /partitions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    struct peer_answer answer = peer_ask(node->port, request);
    assert_int_equal(answer.status, status);
    assert_true(peer_has(&answer, "Content-Type", "application/json"));
    assert_true(peer_has(&answer, "Cache-Control", "no-store"));
    struct cairn_value body = body_of(node, &answer);
    peer_answer_fini(&answer);
    return body;
}

static void partitions_say_who_owns_what(void **state)
{
    struct stage *stage = *state;
    struct node *node = &stage->nodes[0];
    set_owner(stage, 2, OWNER_NOBODY);
    set_owner(stage, 3, OWNER_CLAIMED);
    struct cairn_value body = ask(node, 200);
    const struct cairn_value *items = cairn_value_at(&body, "items");
    assert_int_equal(items->count, STAGE_LANES);
    static const struct {
        const char *state;
        const char *node;
        bool here;
    } WANTED[STAGE_LANES] = {{"owned", "node-0", true},
                             {"owned", "node-1", false},
                             {"free", NULL, false},
                             {"claimed", "node-9", false}};
    for (uint32_t i = 0; i < STAGE_LANES; i++) {
        const struct cairn_value *item = &items->as.items[i];
        assert_int_equal(cairn_value_at(item, "partition")->as.integer, i);
        assert_text(item, "state", WANTED[i].state);
        assert_int_equal(cairn_value_at(item, "here")->as.boolean, WANTED[i].here);
        assert_int_equal(cairn_value_at(item, "term")->as.integer, 7);
        assert_int_equal(cairn_value_at(item, "node") != NULL, WANTED[i].node != NULL);
        if (WANTED[i].node != NULL) {
            assert_text(item, "node", WANTED[i].node);
        }
        assert_int_equal(cairn_value_at(item, "since") != NULL, i < 2);
        assert_int_equal(cairn_value_at(item, "url") != NULL, i < 2);
    }
    assert_text(&items->as.items[1], "url", stage->nodes[1].url);
    assert_text(&items->as.items[1], "since", "2023-11-14T22:13:20.000000Z");
}

/* No table says who owns what: the store is asked, which has no other node. */
static void a_node_alone_owns_all_under_the_stores_name(void **state)
{
    const struct stage *stage = *state;
    struct cairn_err err;
    struct cairn_forward *forward = NULL;
    struct cairn_store *store = stage->nodes[0].world.store;
    const struct cairn_forward_options options = {.store = store};
    struct cairn_arena arena = {.max = 100000};
    struct cairn_http_request request = {.arena = &arena};
    struct cairn_http_response response = {.headers = {.max = 1000}, .body = {.max = 10000}};
    struct cairn_value body;
    assert_ok(cairn_forward_new(&options, &forward, &err), &err);
    cairn_partitions_handle(forward, &request, &response);
    assert_ok(cairn_json_read(cairn_buf_slice(&response.body), &arena, &body, NULL, &err), &err);
    const struct cairn_value *items = cairn_value_at(&body, "items");
    assert_int_equal(items->count, STAGE_LANES);
    assert_string_equal(cairn_store_node(store), "local");
    for (uint32_t i = 0; i < STAGE_LANES; i++) {
        assert_text(&items->as.items[i], "state", "owned");
        assert_text(&items->as.items[i], "node", "local");
        assert_true(cairn_value_at(&items->as.items[i], "here")->as.boolean);
        assert_null(cairn_value_at(&items->as.items[i], "url"));
    }
    cairn_forward_free(forward);
    cairn_buf_fini(&response.headers);
    cairn_buf_fini(&response.body);
    cairn_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(partitions_say_who_owns_what, open_patient, close_stage),
        cmocka_unit_test_setup_teardown(a_node_alone_owns_all_under_the_stores_name, open_hasty,
                                        close_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
