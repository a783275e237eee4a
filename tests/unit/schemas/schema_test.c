#include "schemas/schema.h"

#include "platform/fault.h"
#include "platform/json.h"

#include "tests/support/cm.h"

#define URI "https://unit.test/schema"

struct bench {
    struct cairn_schema_registry *registry;
    const struct cairn_schema *schema;
    struct cairn_arena arena;
    struct cairn_err err;
};

static enum cairn_rc open_schema(struct bench *bench, const char *text)
{
    const struct cairn_schema_options options = {.assert_format = true};
    *bench = (struct bench){.arena = {.max = 1u << 22}};
    assert_ok(cairn_schema_registry_new(&options, &bench->registry, &bench->err), &bench->err);
    enum cairn_rc rc = cairn_schema_add(bench->registry, URI, cairn_slice_str(text), &bench->err);
    if (rc == CAIRN_OK) {
        rc = cairn_schema_compile(bench->registry, URI, &bench->schema, &bench->err);
    }
    return rc;
}

static void close_schema(struct bench *bench)
{
    cairn_schema_registry_free(bench->registry);
    cairn_arena_fini(&bench->arena);
}

/* The faults of instance, as JSON. */
static void expect_faults(struct bench *bench, const char *instance, const char *wanted)
{
    struct cairn_value value;
    struct cairn_value shown;
    struct cairn_buf text = {.max = 1u << 16};
    const struct cairn_schema_fault *faults = NULL;
    size_t count = 0;
    assert_ok(cairn_json_read(cairn_slice_str(instance), &bench->arena, &value, NULL, &bench->err),
              &bench->err);
    enum cairn_rc rc =
        cairn_schema_check(bench->schema, &value, &bench->arena, &faults, &count, &bench->err);
    assert_int_equal(rc, count == 0 ? CAIRN_OK : CAIRN_ESCHEMA);
    assert_int_equal(cairn_schema_faults_value(faults, count, &bench->arena, &shown), CAIRN_OK);
    assert_int_equal(cairn_json_write(&shown, &text), CAIRN_OK);
    assert_int_equal(cairn_buf_append_byte(&text, '\0'), CAIRN_OK);
    assert_string_equal(text.data, wanted);
    cairn_buf_fini(&text);
}

static void every_fault_is_reported_with_its_pointer(void **state)
{
    (void)state;
    struct bench bench;
    assert_ok(open_schema(&bench,
                          "{\"type\":\"object\",\"required\":[\"id\",\"lines\"],"
                          "\"additionalProperties\":false,\"properties\":{"
                          "\"id\":{\"type\":\"string\",\"minLength\":1},"
                          "\"lines\":{\"items\":{\"properties\":{\"a/b~c\":{\"minimum\":1}}}}}}"),
              &bench.err);
    expect_faults(&bench, "{\"id\":\"x\",\"lines\":[]}", "[]");
    expect_faults(
        &bench, "{\"id\":7,\"lines\":[{},{\"a/b~c\":0}],\"more\":null}",
        "[{\"pointer\":\"/id\",\"keyword\":\"type\",\"message\":\"must be of type string, is "
        "integer\"},{\"pointer\":\"/lines/1/a~1b~0c\",\"keyword\":\"minimum\",\"message\":\"must "
        "be at least 1\"},{\"pointer\":\"/more\",\"keyword\":\"additionalProperties\","
        "\"message\":\"is not a property that the schema knows\"}]");
    expect_faults(&bench, "{}",
                  "[{\"pointer\":\"\",\"keyword\":\"required\",\"message\":\"must have the "
                  "property \\\"id\\\"\"},{\"pointer\":\"\",\"keyword\":\"required\","
                  "\"message\":\"must have the property \\\"lines\\\"\"}]");
    close_schema(&bench);
}

static void faults_end_at_their_maximum(void **state)
{
    (void)state;
    struct bench bench;
    struct cairn_value value;
    const struct cairn_schema_fault *faults = NULL;
    size_t count = 0;
    char text[1024] = "[";
    for (size_t i = 1; i < 601; i += 2) {
        memcpy(text + i, "1,", 3);
    }
    memcpy(text + 601, "1]", 3);
    assert_ok(open_schema(&bench, "{\"items\":{\"type\":\"string\"}}"), &bench.err);
    assert_ok(cairn_json_read(cairn_slice_str(text), &bench.arena, &value, NULL, &bench.err),
              &bench.err);
    assert_int_equal(
        cairn_schema_check(bench.schema, &value, &bench.arena, &faults, &count, &bench.err),
        CAIRN_ESCHEMA);
    assert_int_equal(count, CAIRN_SCHEMA_FAULTS_MAX);
    close_schema(&bench);
}

static void a_schema_that_makes_no_sense_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *schema;
        const char *says;
    } CASES[] = {
        {"{\"properties\":{\"a\":{\"type\":\"objekt\"}}}", "#/properties/a/type: must be"},
        {"{\"minLength\":-1}", "#/minLength: must be"},
        {"{\"required\":[1]}", "#/required: must be"},
        {"{\"$ref\":\"#/$defs/none\"}", "leads nowhere"},
        {"{\"$ref\":\"https://elsewhere.test/x\"}", "no such schema"},
        {"{\"pattern\":\"a(\"}", "#/pattern"},
        {"{\"pattern\":\"\\\\Aa\"}", "ECMA-262"},
        {"{\"items\":[true]}", "#/items: must be a schema"},
        {"{\"anyOf\":[]}", "#/anyOf: must be"},
        {"{\"multipleOf\":0}", "#/multipleOf: must be"},
        {"{\"$schema\":\"http://json-schema.org/draft-07/schema#\"}", "no such schema"},
        {"{\"$ref\":\"#\"}", "without end"},
        {"{\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},\"b\":{\"not\":{\"$ref\":\"#/$defs/a\"}}},"
         "\"items\":{\"$ref\":\"#/$defs/a\"}}",
         "without end"},
        {"[]", "must be a schema"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct bench bench;
        assert_int_equal(open_schema(&bench, CASES[i].schema), CAIRN_EINVAL);
        if (strstr(bench.err.text, CASES[i].says) == NULL) {
            fail_msg("%s: %s", CASES[i].schema, bench.err.text);
        }
        close_schema(&bench);
    }
}

static void recursion_through_the_value_is_allowed(void **state)
{
    (void)state;
    struct bench bench;
    assert_ok(open_schema(&bench, "{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}"), &bench.err);
    expect_faults(&bench, "[[[],[]]]", "[]");
    expect_faults(&bench, "[[[],[1]]]",
                  "[{\"pointer\":\"/0/1/0\",\"keyword\":\"type\",\"message\":\"must be of type "
                  "array, is integer\"}]");
    close_schema(&bench);
}

static void decimals_divide_as_they_are_written(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *unit;
        bool fits;
    } CASES[] = {
        {"0.3", "0.1", true},   {"19.99", "0.01", true}, {"19.995", "0.01", false},
        {"1e308", "0.5", true}, {"35", "1.5", false},    {"4.5", "1.5", true},
        {"-9", "3", true},      {"5", "20", false},      {"18446744073709551615", "5", true},
        {"0", "7", true},       {"100", "2.5e1", true},  {"1e-300", "1e-10", false}};
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct bench bench;
        struct cairn_value value;
        char *schema = NULL;
        struct cairn_arena arena = {.max = 1u << 12};
        schema = cairn_arena_printf(&arena, "{\"multipleOf\":%s}", CASES[i].unit);
        assert_ok(open_schema(&bench, schema), &bench.err);
        assert_ok(
            cairn_json_read(cairn_slice_str(CASES[i].value), &arena, &value, NULL, &bench.err),
            &bench.err);
        enum cairn_rc rc =
            cairn_schema_check(bench.schema, &value, &bench.arena, NULL, NULL, &bench.err);
        if ((rc == CAIRN_OK) != CASES[i].fits) {
            fail_msg("%s / %s", CASES[i].value, CASES[i].unit);
        }
        close_schema(&bench);
        cairn_arena_fini(&arena);
    }
}

static void a_runaway_pattern_is_an_internal_error(void **state)
{
    (void)state;
    struct bench bench;
    struct cairn_value value = cairn_value_string(
        CAIRN_SLICE_LIT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"));
    assert_ok(open_schema(&bench, "{\"pattern\":\"^(a|a?)+$\"}"), &bench.err);
    assert_int_equal(cairn_schema_check(bench.schema, &value, &bench.arena, NULL, NULL, &bench.err),
                     CAIRN_EINTERNAL);
    close_schema(&bench);
}

static void running_out_of_memory_is_an_error_wherever_it_happens(void **state)
{
    (void)state;
    static const char SCHEMA[] =
        "{\"$defs\":{\"a\":{\"$anchor\":\"x\",\"pattern\":\"^a\"}},\"properties\":{\"a\":{\"$ref\":"
        "\"#x\"}},\"unevaluatedProperties\":false}";
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_MEM) || after == 0; after++) {
        const struct cairn_schema_options options = {.assert_format = true};
        struct cairn_schema_registry *registry = NULL;
        const struct cairn_schema *schema = NULL;
        struct cairn_err err;
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = cairn_schema_registry_new(&options, &registry, &err);
        if (rc == CAIRN_OK) {
            rc = cairn_schema_add(registry, URI, cairn_slice_str(SCHEMA), &err);
        }
        if (rc == CAIRN_OK) {
            rc = cairn_schema_compile(registry, URI, &schema, &err);
        }
        assert_true(rc == CAIRN_OK || cairn_fault_fired(CAIRN_FAULT_MEM));
        if (rc != CAIRN_OK && rc != CAIRN_ENOMEM) {
            fail_msg("after %d: %s", after, err.text);
        }
        cairn_schema_registry_free(registry);
    }
    cairn_fault_disarm();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fault_is_reported_with_its_pointer),
        cmocka_unit_test(faults_end_at_their_maximum),
        cmocka_unit_test(a_schema_that_makes_no_sense_is_refused_with_its_place),
        cmocka_unit_test(recursion_through_the_value_is_allowed),
        cmocka_unit_test(decimals_divide_as_they_are_written),
        cmocka_unit_test(a_runaway_pattern_is_an_internal_error),
        cmocka_unit_test(running_out_of_memory_is_an_error_wherever_it_happens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
