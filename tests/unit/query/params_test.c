#include "query/params.h"

#include "schemas/event.h"

#include "tests/support/cm.h"

static struct cairn_http_param params[4];

/* A request by hand with up to four parameters, name and value in turn, NULL-ended. */
static struct cairn_http_request request_of(const char *const *parts)
{
    struct cairn_http_request request = {.params = params};
    for (; parts[2 * request.param_count] != NULL; request.param_count++) {
        params[request.param_count].name = cairn_slice_str(parts[2 * request.param_count]);
        params[request.param_count].value = cairn_slice_str(parts[2 * request.param_count + 1]);
    }
    return request;
}
#define REQUEST(...) request_of((const char *const[]){__VA_ARGS__, NULL})

static void unknown_and_repeated_parameters_are_named(void **state)
{
    (void)state;
    static const char *const names[] = {"after", "limit", NULL};
    struct cairn_err err;
    struct cairn_http_request good = REQUEST("limit", "1", "after", "2");
    assert_ok(cairn_params_check(&good, names, &err), &err);
    struct cairn_http_request unknown = REQUEST("limit", "1", "Limit", "2");
    assert_int_equal(cairn_params_check(&unknown, names, &err), CAIRN_EQUERY);
    assert_string_equal(err.text, "unknown parameter \"Limit\"; allowed: after, limit");
    struct cairn_http_request twice = REQUEST("limit", "1", "limit", "1");
    assert_int_equal(cairn_params_check(&twice, names, &err), CAIRN_EQUERY);
    assert_string_equal(err.text, "parameter \"limit\" is given twice");
}

static void numbers_have_a_range_and_a_fallback(void **state)
{
    (void)state;
    uint64_t number = 77;
    struct cairn_err err;
    static const struct {
        const char *text;
        bool good;
    } rows[] = {{"1", true}, {"1000", true}, {"0", false},  {"1001", false},
                {"", false}, {"1 ", false},  {"+1", false}, {"18446744073709551616", false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cairn_http_request request = REQUEST("limit", rows[i].text);
        number = 77;
        enum cairn_rc rc = cairn_params_number(&request, "limit", 1, 1000, 50, &number, &err);
        assert_int_equal(rc, rows[i].good ? CAIRN_OK : CAIRN_EQUERY);
        assert_int_equal(number == 77, !rows[i].good);
    }
    struct cairn_http_request without = REQUEST("other", "1");
    assert_ok(cairn_params_number(&without, "limit", 1, 1000, 50, &number, &err), &err);
    assert_int_equal(number, 50);
}

static void the_first_choice_is_the_default(void **state)
{
    (void)state;
    static const char *const choices[] = {"forward", "backward", NULL};
    size_t index = 7;
    struct cairn_err err;
    struct cairn_http_request back = REQUEST("direction", "backward");
    assert_ok(cairn_params_choice(&back, "direction", choices, &index, &err), &err);
    assert_int_equal(index, 1);
    struct cairn_http_request none = REQUEST("x", "y");
    assert_ok(cairn_params_choice(&none, "direction", choices, &index, &err), &err);
    assert_int_equal(index, 0);
    struct cairn_http_request bad = REQUEST("direction", "");
    assert_int_equal(cairn_params_choice(&bad, "direction", choices, &index, &err), CAIRN_EQUERY);
}

static void lists_of_names_are_checked_one_by_one(void **state)
{
    (void)state;
    struct cairn_params_names names;
    struct cairn_err err;
    struct cairn_http_request two = REQUEST("type", "Opened,Closed");
    assert_ok(cairn_params_names_read(&two, "type", cairn_type_is_valid, &names, &err), &err);
    assert_int_equal(names.count, 2);
    assert_true(cairn_params_names_hold(&names, CAIRN_SLICE_LIT("Closed")));
    assert_false(cairn_params_names_hold(&names, CAIRN_SLICE_LIT("Close")));
    struct cairn_http_request none = REQUEST("x", "y");
    assert_ok(cairn_params_names_read(&none, "type", cairn_type_is_valid, &names, &err), &err);
    assert_true(cairn_params_names_hold(&names, CAIRN_SLICE_LIT("Anything")));
    static const char *const bad[] = {"",   ",",   "A,",
                                      ",A", "A B", "A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A,A"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct cairn_http_request request = REQUEST("type", bad[i]);
        assert_int_equal(
            cairn_params_names_read(&request, "type", cairn_type_is_valid, &names, &err),
            CAIRN_EQUERY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_and_repeated_parameters_are_named),
        cmocka_unit_test(numbers_have_a_range_and_a_fallback),
        cmocka_unit_test(the_first_choice_is_the_default),
        cmocka_unit_test(lists_of_names_are_checked_one_by_one),
    };
    return cmocka_run_group_tests_name("params", tests, NULL, NULL);
}
