/* The console page as it is served. */
#include "tests/unit/query/world.h"

#include "tests/support/cm.h"

static void the_console_is_served_under_a_strict_policy(void **state)
{
    struct world *world = *state;
    struct peer_answer answer = world_get(world, "/", "");
    assert_int_equal(answer.status, 200);
    assert_true(peer_has(&answer, "Content-Type", "text/html; charset=utf-8"));
    const char *policy = peer_field(&answer, "Content-Security-Policy");
    assert_non_null(policy);
    assert_int_equal(strncmp(policy, "default-src 'none'; script-src 'nonce-", 38), 0);
    char nonce[60];
    (void)snprintf(nonce, sizeof(nonce), "<script nonce=\"%.32s\">", policy + 38);
    assert_non_null(strstr(answer.body, nonce));
    static const char *const banned[] = {"{{nonce}}",          "innerHTML",      "outerHTML",
                                         "insertAdjacentHTML", "document.write", " style=\"",
                                         "http://1",           "https://",       "eval("};
    for (size_t i = 0; i < sizeof(banned) / sizeof(banned[0]); i++) {
        assert_null(strstr(answer.body, banned[i]));
    }
    struct peer_answer again = world_get(world, "/", "");
    assert_null(strstr(again.body, nonce));
    peer_answer_fini(&answer);
    peer_answer_fini(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(the_console_is_served_under_a_strict_policy),
    };
    return cmocka_run_group_tests_name("console", tests, NULL, NULL);
}
