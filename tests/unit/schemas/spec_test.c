#include "schemas/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/file.h"
#include "tests/support/folder.h"

#include "tests/support/cm.h"

#define BANK CAIRN_SOURCE_DIR "/examples/bank"

/* The bank's own scripts and schemas in a folder where specs can be broken. */
struct fixture {
    char folder[64];
    struct cairn_domain *domain;
    struct cairn_arena arena;
    struct cairn_spec *specs;
    size_t count;
    struct cairn_slice *faults;
    size_t fault_count;
};

static void link_into(const struct fixture *fixture, const char *name)
{
    char from[CAIRN_PATH_MAX];
    char to[CAIRN_PATH_MAX];
    (void)snprintf(from, sizeof(from), BANK "/%s", name);
    (void)snprintf(to, sizeof(to), "%s/%s", fixture->folder, name);
    assert_int_equal(symlink(from, to), 0);
}

static int set_up(void **state)
{
    static const char *const parts[] = {"domain.json", "account.lua", "schemas", "views"};
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct cairn_err err;
    assert_non_null(fixture);
    fixture->arena.max = 16u << 20;
    test_folder_make(fixture->folder, sizeof(fixture->folder), "spec");
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        link_into(fixture, parts[i]);
    }
    assert_ok(cairn_domain_load(fixture->folder, &fixture->domain, &err), &err);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    cairn_domain_free(fixture->domain);
    test_folder_remove(fixture->folder);
    cairn_arena_fini(&fixture->arena);
    free(fixture);
    return 0;
}

static void load(struct fixture *fixture, const char *text)
{
    char path[CAIRN_PATH_MAX];
    struct cairn_err err;
    (void)snprintf(path, sizeof(path), "%s/specs", fixture->folder);
    assert_ok(cairn_file_make_folder(path, &err), &err);
    (void)snprintf(path, sizeof(path), "%s/specs/one.json", fixture->folder);
    assert_ok(cairn_file_replace(path, cairn_slice_str(text), &err), &err);
    assert_ok(cairn_specs_load(fixture->domain, &fixture->arena, &fixture->specs, &fixture->count,
                               &fixture->faults, &fixture->fault_count, &err),
              &err);
}

static void what_a_spec_does_not_say_is_filled_in(void **state)
{
    struct fixture *fixture = *state;
    load(fixture,
         "{\"specs\":[{\"name\":\"n\",\"given\":[{\"type\":\"Opened\",\"data\":{\"owner\":\"A\"}},"
         "{\"type\":\"Deposited\",\"data\":{\"amount\":1},\"time\":\"2026-03-01T00:00:00Z\"}],"
         "\"when\":{\"command\":\"Close\"},\"then\":[{\"type\":\"Closed\"}]}],"
         "\"aggregate\":\"account\"}");
    assert_int_equal(fixture->fault_count, 0);
    assert_int_equal(fixture->count, 1);
    const struct cairn_spec *spec = &fixture->specs[0];
    assert_true(cairn_slice_is(spec->file, "specs/one.json"));
    assert_true(cairn_slice_is(spec->id, "1"));
    assert_int_equal(spec->data.type, CAIRN_MAP);
    assert_int_equal(spec->given[0].time_us, 1767225600000000);
    assert_int_equal(spec->given[1].time_us, 1772323200000000);
    assert_int_equal(spec->time_us, 1772323201000000);
    assert_int_equal(spec->given[1].version, 2);
    assert_int_equal(spec->given[1].schema_version, 1);
    assert_int_equal(spec->outcome, CAIRN_SPEC_EVENTS);
    assert_int_equal(spec->event_count, 1);
}

static void versions_count_in_each_stream(void **state)
{
    struct fixture *fixture = *state;
    load(fixture, "{\"view\":\"balances\",\"specs\":[{\"name\":\"n\",\"given\":["
                  "{\"stream\":\"account-1\",\"type\":\"Closed\"},"
                  "{\"stream\":\"account-2\",\"type\":\"Closed\"},"
                  "{\"stream\":\"account-1\",\"type\":\"Closed\"}],"
                  "\"then\":{\"1\":{\"a\":1}}}]}");
    assert_int_equal(fixture->fault_count, 0);
    assert_int_equal(fixture->specs[0].given[1].version, 1);
    assert_int_equal(fixture->specs[0].given[2].version, 2);
    assert_int_equal(fixture->specs[0].outcome, CAIRN_SPEC_ROWS);
    assert_true(cairn_slice_is(fixture->specs[0].rows[0].key, "1"));
}

#define ACCOUNT(spec) "{\"aggregate\":\"account\",\"specs\":[" spec "]}"
#define CLOSE         "\"name\":\"n\",\"when\":{\"command\":\"Close\"}"

static const struct {
    const char *text;
    const char *fault;
} broken[] = {
    {"{", "specs/one.json:1: "},
    {"[]", "specs/one.json: must name either"},
    {"{\"specs\":[]}", "specs/one.json: must name either"},
    {"{\"aggregate\":\"account\",\"view\":\"balances\",\"specs\":[]}", "must name either"},
    {"{\"aggregate\":\"other\",\"specs\":[]}", "there is no such aggregate"},
    {"{\"aggregate\":\"account\"}", "specs/one.json: /specs: is missing"},
    {"{\"aggregate\":\"account\",\"specs\":{}}", "specs/one.json: /specs: must be a list"},
    {"{\"aggregate\":\"account\",\"specs\":[],\"more\":1}", "/more: unknown member"},
    {ACCOUNT("{\"name\":\"n\",\"then\":[]}"), "/specs/0/when: is missing"},
    {ACCOUNT("{" CLOSE "}"), "/specs/0/then: is missing"},
    {ACCOUNT("{" CLOSE ",\"then\":{}}"), "/specs/0/then/rejected: is missing"},
    {ACCOUNT("{" CLOSE ",\"then\":1}"), "/specs/0/then: must be a list of events"},
    {ACCOUNT("{\"name\":\"n\",\"when\":{\"command\":\"Fly\"},\"then\":[]}"),
     "account has no command Fly"},
    {ACCOUNT("{\"name\":\"n\",\"when\":{\"command\":\"Deposit\",\"data\":{\"amount\":0}},"
             "\"then\":[]}"),
     "/specs/0/when/data/amount: "},
    {ACCOUNT("{" CLOSE ",\"then\":[{\"type\":\"Flown\"}]}"), "/then/0/type: there is no event"},
    {ACCOUNT("{" CLOSE ",\"then\":[{\"type\":\"Deposited\",\"data\":{}}]}"), "/then/0/data"},
    {ACCOUNT("{" CLOSE ",\"given\":[{\"type\":\"Closed\",\"schema_version\":2}],\"then\":[]}"),
     "schema_version: the current one is 1"},
    {ACCOUNT("{" CLOSE ",\"given\":[{\"type\":\"Closed\",\"stream\":\"account-1\"}],\"then\":[]}"),
     "a spec of an aggregate has one stream"},
    {ACCOUNT("{" CLOSE ",\"given\":[{\"type\":\"Closed\",\"time\":\"noon\"}],\"then\":[]}"),
     "time: must be an RFC 3339 time"},
    {"{\"view\":\"balances\",\"specs\":[{\"name\":\"n\",\"given\":[{\"type\":\"Closed\"}],"
     "\"then\":{}}]}",
     "given/0/stream: is missing"},
    {"{\"view\":\"balances\",\"specs\":[{" CLOSE ",\"then\":{}}]}", "a spec of a view has no"},
    {"{\"view\":\"balances\",\"specs\":[{\"name\":\"n\",\"then\":[]}]}", "key -> row"},
    {"{\"view\":\"balances\",\"specs\":[{\"name\":\"n\",\"then\":{\"1\":2}}]}",
     "then/1: a row is an object"},
};

static void a_broken_spec_is_named_and_left_out(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        load(fixture, broken[i].text);
        assert_true(fixture->fault_count > 0);
        assert_int_equal(fixture->count, 0);
        struct cairn_slice fault = fixture->faults[0];
        if (memmem(fault.data, fault.size, broken[i].fault, strlen(broken[i].fault)) == NULL) {
            fail_msg("%s: no \"%s\" in: %.*s", broken[i].text, broken[i].fault,
                     CAIRN_SLICE_ARG(fault));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(what_a_spec_does_not_say_is_filled_in),
        T(versions_count_in_each_stream),
        T(a_broken_spec_is_named_and_left_out),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
