#include "schemas/openapi.h"

#include <stdio.h>

#include "platform/json.h"
#include "schemas/html.h"

#include "tests/support/cm.h"

/* The document of an example, parsed. */
struct book {
    struct cairn_domain *domain;
    struct cairn_buf text;
    struct cairn_arena arena;
    struct cairn_value document;
};

static void book_open_of(struct book *book, const char *folder, unsigned roles)
{
    struct cairn_err err;
    *book = (struct book){.text = {.max = 1u << 24}, .arena = {.max = 1u << 26}};
    assert_ok(cairn_domain_load(folder, &book->domain, &err), &err);
    assert_ok(cairn_openapi_write(book->domain, roles, &book->text, &err), &err);
    assert_ok(
        cairn_json_read(cairn_buf_slice(&book->text), &book->arena, &book->document, NULL, &err),
        &err);
}

static void book_open(struct book *book, unsigned roles)
{
    book_open_of(book, CAIRN_SOURCE_DIR "/examples/bank", roles);
}

static void book_close(struct book *book)
{
    cairn_domain_free(book->domain);
    cairn_buf_fini(&book->text);
    cairn_arena_fini(&book->arena);
}

/* Follow member names, NULL-ended. */
static const struct cairn_value *follow(const struct cairn_value *from, const char *const *names)
{
    for (size_t i = 0; from != NULL && names[i] != NULL; i++) {
        from = cairn_value_at(from, names[i]);
    }
    return from;
}
#define FOLLOW(from, ...) follow((from), (const char *const[]){__VA_ARGS__, NULL})

static void every_command_has_a_path_with_its_schema(void **state)
{
    (void)state;
    struct book book;
    book_open(&book, CAIRN_OPENAPI_COMMAND | CAIRN_OPENAPI_QUERY);
    assert_true(cairn_slice_is(cairn_value_get_string(&book.document, "openapi"), "3.1.0"));
    size_t count = cairn_domain_command_count(book.domain);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        const struct cairn_domain_command *command = cairn_domain_command_at(book.domain, i);
        char path[300];
        char component[200];
        (void)snprintf(path, sizeof(path), "/commands/%.*s/{id}/%.*s",
                       CAIRN_SLICE_ARG(command->aggregate), CAIRN_SLICE_ARG(command->name));
        (void)snprintf(component, sizeof(component), "commands.%.*s",
                       CAIRN_SLICE_ARG(command->name));
        const struct cairn_value *schema =
            FOLLOW(&book.document, "paths", path, "post", "requestBody", "content",
                   "application/json", "schema");
        assert_non_null(schema);
        char ref[240];
        (void)snprintf(ref, sizeof(ref), "#/components/schemas/%s", component);
        assert_true(cairn_slice_is(cairn_value_get_string(schema, "$ref"), ref));
        assert_non_null(FOLLOW(&book.document, "components", "schemas", component));
    }
    book_close(&book);
}

static void a_process_lists_what_it_serves_and_no_more(void **state)
{
    (void)state;
    struct book book;
    book_open(&book, CAIRN_OPENAPI_QUERY);
    const struct cairn_value *paths = cairn_value_at(&book.document, "paths");
    assert_null(cairn_value_at(paths, "/commands"));
    assert_null(cairn_value_at(paths, "/partitions"));
    assert_null(cairn_value_at(paths, "/commands/account/{id}/Open"));
    assert_non_null(cairn_value_at(paths, "/views/{view}"));
    assert_non_null(cairn_value_at(paths, "/health/live"));
    book_close(&book);
    book_open(&book, CAIRN_OPENAPI_COMMAND);
    paths = cairn_value_at(&book.document, "paths");
    assert_non_null(cairn_value_at(paths, "/commands"));
    assert_non_null(FOLLOW(paths, "/partitions", "get", "responses"));
    assert_non_null(cairn_value_at(paths, "/commands/account/{id}/Open"));
    assert_null(cairn_value_at(paths, "/views/{view}"));
    assert_null(FOLLOW(paths, "/metrics", "get", "x-role"));
    assert_non_null(FOLLOW(paths, "/metrics", "get", "responses"));
    book_close(&book);
}

static bool holds_text(const struct cairn_value *list, const char *text)
{
    for (uint32_t i = 0; list != NULL && i < list->count; i++) {
        if (cairn_slice_is(cairn_value_slice(&list->as.items[i]), text)) {
            return true;
        }
    }
    return false;
}

static void views_events_and_shared_types_are_named(void **state)
{
    (void)state;
    struct book book;
    book_open(&book, CAIRN_OPENAPI_QUERY);
    assert_true(holds_text(
        FOLLOW(&book.document, "components", "parameters", "view", "schema", "enum"), "balances"));
    const struct cairn_value *schemas = FOLLOW(&book.document, "components", "schemas");
    assert_non_null(cairn_value_at(schemas, "events.Deposited"));
    const struct cairn_value *shared = cairn_value_at(schemas, "types.cents");
    assert_non_null(shared);
    assert_true(cairn_slice_is(cairn_value_get_string(shared, "$id"), "cairn:///types/cents.json"));
    book_close(&book);
}

/* Walk the whole document: every local reference must lead somewhere. */
static void check_references(const struct cairn_value *root, const struct cairn_value *value)
{
    for (uint32_t i = 0; value->type == CAIRN_ARRAY && i < value->count; i++) {
        check_references(root, &value->as.items[i]);
    }
    for (uint32_t i = 0; value->type == CAIRN_MAP && i < value->count; i++) {
        check_references(root, &value->as.members[i].value);
    }
    struct cairn_slice ref = cairn_value_get_string(value, "$ref");
    if (value->type != CAIRN_MAP || !cairn_slice_starts(ref, CAIRN_SLICE_LIT("#/components/"))) {
        return;
    }
    const struct cairn_value *at = root;
    size_t from = 2;
    while (at != NULL && from <= ref.size) {
        struct cairn_slice rest = cairn_slice_of(ref.data + from, ref.size - from);
        size_t size = cairn_slice_find(rest, '/');
        at = cairn_value_get(at, cairn_slice_of(rest.data, size));
        from += size + 1;
    }
    if (at == NULL) {
        fail_msg("%.*s leads nowhere", CAIRN_SLICE_ARG(ref));
    }
}

static const struct cairn_value *parameter(const struct cairn_value *list, const char *name)
{
    for (uint32_t i = 0; list != NULL && i < list->count; i++) {
        if (cairn_slice_is(cairn_value_get_string(&list->as.items[i], "name"), name)) {
            return &list->as.items[i];
        }
    }
    return NULL;
}

static const struct cairn_value nothing = {.type = CAIRN_NULL};

/* The value, which must be there. */
static const struct cairn_value *there(const struct cairn_value *value)
{
    assert_non_null(value);
    return value == NULL ? &nothing : value;
}

static void every_query_has_a_path_with_its_typed_parameters(void **state)
{
    (void)state;
    struct book book;
    book_open_of(&book, CAIRN_SOURCE_DIR "/examples/shop", CAIRN_OPENAPI_QUERY);
    const struct cairn_value *paths = cairn_value_at(&book.document, "paths");
    const struct cairn_value *get = FOLLOW(paths, "/queries/top_customers", "get");
    assert_non_null(get);
    assert_null(cairn_value_at(paths, "/queries/{name}"));
    assert_non_null(strstr(cairn_value_get_string(get, "summary").data, "The customers who"));
    const struct cairn_value *params = cairn_value_at(get, "parameters");
    const struct cairn_value *least = parameter(params, "least");
    assert_true(
        cairn_slice_is(cairn_value_get_string(cairn_value_at(least, "schema"), "type"), "integer"));
    assert_int_equal(there(FOLLOW(least, "schema", "default"))->as.integer, 0);
    const struct cairn_value *country = parameter(params, "country");
    assert_false(there(FOLLOW(country, "required"))->as.boolean);
    assert_null(FOLLOW(country, "schema", "default"));
    assert_int_equal(there(FOLLOW(parameter(params, "limit"), "schema", "maximum"))->as.integer,
                     100);
    check_references(&book.document, get);
    assert_true(
        holds_text(FOLLOW(&book.document, "components", "parameters", "view", "schema", "enum"),
                   "customer_totals"));
    book_close(&book);
    book_open(&book, CAIRN_OPENAPI_QUERY);
    assert_null(cairn_value_at(cairn_value_at(&book.document, "paths"), "/queries/{name}"));
    book_close(&book);
}

static void every_reference_leads_somewhere(void **state)
{
    (void)state;
    struct book book;
    book_open(&book, CAIRN_OPENAPI_COMMAND | CAIRN_OPENAPI_QUERY);
    check_references(&book.document, &book.document);
    book_close(&book);
}

static void every_problem_of_the_table_is_a_response(void **state)
{
    (void)state;
    struct book book;
    book_open(&book, CAIRN_OPENAPI_QUERY);
    const struct cairn_value *responses = FOLLOW(&book.document, "components", "responses");
    for (int rc = 1; rc < cairn_err_count(); rc++) {
        assert_non_null(cairn_value_at(responses, cairn_err_info((enum cairn_rc)rc)->slug));
    }
    book_close(&book);
}

static void fill_ones(void *self, void *out, size_t size)
{
    (void)self;
    memset(out, 0xa1, size);
}

static void a_page_carries_the_nonce_of_its_policy(void **state)
{
    (void)state;
    const struct cairn_random random = {fill_ones, NULL};
    struct cairn_buf out = {.max = 1u << 20};
    char policy[CAIRN_HTML_POLICY_MAX];
    struct cairn_err err;
    assert_ok(cairn_html_write(CAIRN_SLICE_LIT("<a {{nonce}}>{{nonce}}{{nonce"), &random, &out,
                               policy, &err),
              &err);
    assert_true(cairn_slice_is(cairn_buf_slice(&out), "<a a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1>"
                                                      "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1{{nonce"));
    assert_non_null(strstr(policy, "script-src 'nonce-a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1'"));
    assert_non_null(strstr(policy, "default-src 'none'"));
    cairn_buf_truncate(&out, 0);
    assert_ok(cairn_html_write(cairn_openapi_page(), &random, &out, policy, &err), &err);
    assert_int_equal(cairn_buf_append_byte(&out, '\0'), CAIRN_OK);
    assert_null(strstr(out.data, "{{nonce}}"));
    assert_null(strstr(out.data, "innerHTML"));
    assert_null(strstr(out.data, " style=\""));
    cairn_buf_fini(&out);
}

static void no_room_is_an_error_not_half_a_document(void **state)
{
    (void)state;
    struct cairn_domain *domain = NULL;
    struct cairn_err err;
    struct cairn_buf out = {.max = 1000};
    assert_ok(cairn_domain_load(CAIRN_SOURCE_DIR "/examples/bank", &domain, &err), &err);
    assert_int_equal(cairn_openapi_write(domain, CAIRN_OPENAPI_QUERY, &out, &err), CAIRN_ETOOBIG);
    assert_int_equal(out.size, 0);
    cairn_domain_free(domain);
    cairn_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_has_a_path_with_its_schema),
        cmocka_unit_test(a_process_lists_what_it_serves_and_no_more),
        cmocka_unit_test(views_events_and_shared_types_are_named),
        cmocka_unit_test(every_query_has_a_path_with_its_typed_parameters),
        cmocka_unit_test(every_reference_leads_somewhere),
        cmocka_unit_test(every_problem_of_the_table_is_a_response),
        cmocka_unit_test(a_page_carries_the_nonce_of_its_policy),
        cmocka_unit_test(no_room_is_an_error_not_half_a_document),
    };
    return cmocka_run_group_tests_name("openapi", tests, NULL, NULL);
}
