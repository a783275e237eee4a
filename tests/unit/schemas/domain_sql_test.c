/* What the SQL files of a domain must agree on with the rest of its folder. */
#include <stdio.h>
#include <stdlib.h>

#include "platform/fault.h"
#include "schemas/domain.h"
#include "schemas/sql_query.h"
#include "schemas/sql_view.h"
#include "tests/support/folder.h"

#include "tests/support/cm.h"

#define VIEW(name)                                                                                 \
    "-- view: " name "\n-- version: 1\n-- table:\nCREATE TABLE " name " (n bigint PRIMARY KEY);\n"

static const char ADDED[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
    "\"n\": {\"type\": \"integer\"}, \"place\": {\"$ref\": \"#/$defs/place\"}, "
    "\"any\": true, \"open\": {\"type\": \"object\", \"properties\": {\"x\": {}}}, "
    "\"odd\": {\"additionalProperties\": false, \"patternProperties\": {\"^a\": true}}, "
    "\"tree\": {\"$ref\": \"#/$defs/tree\"}, \"far\": {\"$ref\": \"../types/far.json\"}}, "
    "\"$defs\": {\"place\": {\"additionalProperties\": false, \"properties\": {\"city\": {}}}, "
    "\"tree\": {\"additionalProperties\": false, "
    "\"properties\": {\"child\": {\"$ref\": \"#/$defs/tree\"}}}}}";

static const struct {
    const char *folder, *name, *text;
} FILES[] = {
    {"", "domain.json", "{\"name\": \"demo\", \"aggregates\": {\"counter\": {}}}"},
    {"", "counter.lua",
     "local c = aggregate 'counter'\n"
     "function c.decide.Add(s, cmd) return event('Added', {n = 1}) end\n"
     "function c.evolve.Added(s, d) end\nfunction c.evolve.Free(s, d) end\n"},
    {"/schemas/commands", "Add.json", "{\"type\": \"object\"}"},
    {"/schemas/events", "Added.json", ADDED},
    {"/schemas/events", "Free.json", "{\"type\": \"object\"}"},
    {"/schemas/types", "far.json", "{\"additionalProperties\": false}"},
    {"/views", "sums.sql", VIEW("sums") "-- on: Added\nINSERT INTO sums VALUES (:n);\n"},
    {"/queries", "top.sql", "-- query: top\n-- param: least integer\nSELECT :least\n"},
};

struct fixture {
    char root[64];
    struct cairn_arena arena;
};

static void write_file(const struct fixture *fixture, const char *folder, const char *name,
                       const char *text)
{
    char path[CAIRN_PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s%s", fixture->root, folder);
    test_folder_write(path, name, text);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->arena.max = 16u << 20;
    test_folder_make(fixture->root, sizeof(fixture->root), "domain-sql");
    for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
        write_file(fixture, FILES[i].folder, FILES[i].name, FILES[i].text);
    }
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    test_folder_remove(fixture->root);
    cairn_arena_fini(&fixture->arena);
    free(fixture);
    return 0;
}

static struct cairn_domain *load(const struct fixture *fixture)
{
    struct cairn_domain *domain = NULL;
    struct cairn_err err;
    assert_ok(cairn_domain_load(fixture->root, &domain, &err), &err);
    return domain;
}

static void the_catalogue_holds_views_and_queries_as_they_were_read(void **state)
{
    struct cairn_domain *domain = load(*state);
    const struct cairn_domain_view *view = cairn_domain_view(domain, CAIRN_SLICE_LIT("sums"));
    assert_int_equal(view->kind, CAIRN_VIEW_POSTGRES);
    assert_int_equal(view->sql->version, 1);
    const struct cairn_sql_handler *handler =
        cairn_sql_view_handler(view->sql, CAIRN_SLICE_LIT("Added"));
    assert_string_equal(handler->statements[0].text, "INSERT INTO sums VALUES ($1)");
    const struct cairn_domain_query *query = cairn_domain_query_at(domain, 0);
    assert_string_equal(query->sql->statement.text, "SELECT $1");
    cairn_domain_free(domain);
}

/* Everything wrong with the folder; "" where nothing is. */
static void lint(struct fixture *fixture, char text[2048])
{
    struct cairn_slice *faults = NULL;
    struct cairn_err err;
    size_t count = 0;
    size_t size = 0;
    assert_ok(cairn_domain_lint(fixture->root, &fixture->arena, &faults, &count, &err), &err);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size += (size_t)snprintf(text + size, 2048 - size, "%.*s\n", CAIRN_SLICE_ARG(faults[i]));
    }
}

static void a_fault_names_its_file_and_line(void **state)
{
    static const struct {
        const char *folder, *name, *text, *fault;
    } cases[] = {
        {"/views", "sums.sql", VIEW("sums") "-- on: Added\nSELECT :n;",
         "views/sums.sql:6: behind \"-- on:\" stand INSERT, UPDATE, DELETE, MERGE and WITH\n"},
        {"/views", "sums.sql", "", "views/sums.sql:1: there is no annotation \"-- view:\"\n"},
        {"/views", "sums.sql", VIEW("sums") "-- on: Added, Gone, Lost\nDELETE FROM sums;",
         "views/sums.sql:5: on: Gone: there is no schemas/events file of that name\n"
         "views/sums.sql:5: on: Lost: there is no schemas/events file of that name\n"},
        {"/views", "sums.sql",
         VIEW(
             "sums") "-- on: Free, Added\nDELETE FROM sums WHERE n = :n AND\n a = :m\nOR a = :x.y;",
         "views/sums.sql:7: :m: the schema of Added has no such member\n"
         "views/sums.sql:8: :x.y: the schema of Added has no such member\n"},
        {"/queries", "top.sql", "-- query: top\nSELECT\n:a",
         "queries/top.sql:3: :a is not declared with \"-- param:\"\n"},
        {"/queries", "top.sql", "SELECT 1",
         "queries/top.sql:1: a statement before the first annotation (-- name: value)\n"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[2048];
        for (size_t j = 0; j < sizeof(FILES) / sizeof(FILES[0]); j++) {
            write_file(fixture, FILES[j].folder, FILES[j].name, FILES[j].text);
        }
        write_file(fixture, cases[i].folder, cases[i].name, cases[i].text);
        lint(fixture, text);
        assert_string_equal(text, cases[i].fault);
    }
}

static void a_schema_shuts_out_only_what_it_says(void **state)
{
    static const struct {
        const char *param;
        bool known;
    } cases[] = {
        {"n", true},
        {"N", false},
        {"place", true},
        {"place.city", true},
        {"place.town", false},
        {"any.x.y", true},
        {"open.x", true},
        {"open.y", true},
        {"odd.b", true},
        {"tree.child.child", true},
        {"tree.child.leaf", false},
        {"far.x", true},
        {"stream", true},
        {"time", true},
        {"principal", true},
        {"data", true},
        {"data.n", false},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char view[512];
        char text[2048];
        (void)snprintf(view, sizeof(view),
                       VIEW("sums") "-- on: Added\nINSERT INTO sums VALUES (:%s);", cases[i].param);
        write_file(fixture, "/views", "sums.sql", view);
        lint(fixture, text);
        if ((text[0] == '\0') != cases[i].known) {
            fail_msg(":%s gives \"%s\"", cases[i].param, text);
        }
    }
}

static void two_views_share_no_table(void **state)
{
    struct fixture *fixture = *state;
    char text[2048];
    write_file(fixture, "/views", "other.sql",
               VIEW("other") "CREATE TABLE \"more\" (n int);\n-- on: Free\nDELETE FROM other;");
    lint(fixture, text);
    assert_string_equal(text, "");
    write_file(fixture, "/views", "sums.sql",
               VIEW("sums") "CREATE TABLE\nMORE (n int);\n-- on: Free\nDELETE FROM sums;");
    lint(fixture, text);
    assert_string_equal(text,
                        "views/sums.sql:6: the table more is also created in views/other.sql\n");
}

static void read_hash(const struct fixture *fixture, unsigned char hash[16])
{
    struct cairn_domain *domain = load(fixture);
    memcpy(hash, cairn_domain_view(domain, CAIRN_SLICE_LIT("sums"))->code_hash, 16);
    cairn_domain_free(domain);
}

/* What another view or event says is no reason to build this one anew. */
static void a_hash_covers_the_text_and_the_schemas_of_its_events(void **state)
{
    static const struct {
        const char *folder, *name, *text;
        bool counts;
    } changes[] = {
        {"/schemas/events", "Free.json", "{\"title\": \"Free\"}", false},
        {"", "counter.lua", NULL, false},
        {"/schemas/events", "Added.json", "{\"title\": \"Added\"}", true},
        {"/views", "sums.sql",
         VIEW("sums") "-- on: Added\n-- Remark.\nINSERT INTO sums VALUES (:n);\n", true},
    };
    struct fixture *fixture = *state;
    unsigned char before[16];
    unsigned char after[16];
    read_hash(fixture, before);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        if (changes[i].text != NULL) {
            write_file(fixture, changes[i].folder, changes[i].name, changes[i].text);
        }
        read_hash(fixture, after);
        assert_int_equal(memcmp(before, after, sizeof(before)) != 0, changes[i].counts);
        memcpy(before, after, sizeof(before));
    }
}

static void no_memory_is_an_error_and_no_crash(void **state)
{
    const struct fixture *fixture = *state;
    skip_without_faults();
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_MEM) || after == 0; after++) {
        struct cairn_domain *domain = NULL;
        struct cairn_err err;
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = cairn_domain_load(fixture->root, &domain, &err);
        assert_int_equal(rc == CAIRN_OK, domain != NULL);
        cairn_domain_free(domain);
    }
    cairn_fault_disarm();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_catalogue_holds_views_and_queries_as_they_were_read,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_fault_names_its_file_and_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_schema_shuts_out_only_what_it_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_views_share_no_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_hash_covers_the_text_and_the_schemas_of_its_events,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_memory_is_an_error_and_no_crash, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
