/* What is read of tables from a real catalogue. CAIRN_POSTGRES names the server. */
#include <stdlib.h>

#include "projector/sql/table.h"

#include "tests/support/cm.h"

#define ARENA_MAX ((size_t)16 * 1024 * 1024)

struct fact {
    const char *table;
    const char *ddl;
    const char *says; /* local, checked, ordered, and the columns of the key */
};

static const struct fact facts[] = {
    {"plain", "CREATE TABLE plain (a text PRIMARY KEY, b integer DEFAULT -1, c text DEFAULT 'x''')",
     "local key 0"},
    {"heap", "CREATE TABLE heap (a text); CREATE INDEX ON heap (length(a))", "local checked"},
    {"turned",
     "CREATE TABLE turned (x text, a date, b uuid, PRIMARY KEY (b, a)); "
     "ALTER TABLE turned DROP COLUMN x",
     "local key 1 0"},
    {"checks", "CREATE TABLE checks (a integer UNIQUE CHECK (a > 0))", "local checked key 0"},
    {"texts", "CREATE TABLE texts (a integer UNIQUE, b text); CREATE INDEX ON texts (b)",
     "local checked key 0"},
    {"dates", "CREATE TABLE dates (a integer UNIQUE, b date); CREATE INDEX ON dates (b)",
     "local key 0"},
    {"serials", "CREATE TABLE serials (a bigserial PRIMARY KEY)", "local ordered"},
    {"ids", "CREATE TABLE ids (a integer GENERATED ALWAYS AS IDENTITY)", "local ordered"},
    {"clock", "CREATE TABLE clock (a timestamptz DEFAULT now())", "local ordered"},
    {"two", "CREATE TABLE two (a text PRIMARY KEY, b text UNIQUE)", "local ordered"},
    {"late", "CREATE TABLE late (a text PRIMARY KEY DEFERRABLE)", "ordered"},
    {"part", "CREATE TABLE part (a text); CREATE UNIQUE INDEX ON part (a) WHERE a > 'b'",
     "local checked"},
    {"parent", "CREATE TABLE parent (a text PRIMARY KEY)", "key 0"},
    {"child", "CREATE TABLE child (a text REFERENCES parent)", ""},
    {"heir", "CREATE TABLE heir () INHERITS (ancestor)", ""},
    {"ruled", "CREATE TABLE ruled (a text); CREATE RULE r AS ON INSERT TO ruled DO INSTEAD NOTHING",
     ""},
    {"guarded", "CREATE TABLE guarded (a text); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY", ""},
    {"triggers",
     "CREATE TABLE triggers (a text); CREATE TRIGGER t BEFORE UPDATE ON triggers "
     "FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
     ""},
    {"asks",
     "CREATE FUNCTION ask(integer) RETURNS boolean LANGUAGE sql AS 'SELECT true'; "
     "CREATE TABLE asks (a integer CHECK (ask(a)))",
     "checked"},
    {"domains", "CREATE DOMAIN cents AS bigint CHECK (value > 0); CREATE TABLE domains (a cents)",
     ""},
};

enum { FACT_COUNT = sizeof(facts) / sizeof(facts[0]) };

static void run(struct cairn_pg *pg, const char *sql)
{
    struct cairn_err err = {0};
    assert_ok(cairn_pg_run(pg, sql, &err), &err);
}

static const struct cairn_sql_table *find_table(const struct cairn_sql_table *tables, size_t count,
                                                const char *name)
{
    size_t i = 0;
    while (i < count && !cairn_slice_is(tables[i].name, name)) {
        i++;
    }
    assert_true(i < count);
    return &tables[i];
}

static void check_fact(const struct cairn_sql_table *table, const struct fact *fact)
{
    struct cairn_buf says = {.max = 256};
    bool key = table->key_count > 0 && !table->ordered;
    enum cairn_rc rc = cairn_buf_printf(&says, "%s%s%s%s", table->local ? "local " : "",
                                        table->checked ? "checked " : "",
                                        table->ordered ? "ordered " : "", key ? "key " : "");
    for (size_t i = 0; i < table->key_count && key && rc == CAIRN_OK; i++) {
        rc = cairn_buf_printf(&says, "%u ", table->key[i]);
    }
    assert_int_equal(rc, CAIRN_OK);
    struct cairn_slice found = cairn_slice_trim(cairn_buf_slice(&says));
    if (!cairn_slice_is(found, fact->says)) {
        fail_msg("%s is '%.*s', not '%s'", fact->ddl, CAIRN_SLICE_ARG(found), fact->says);
    }
    cairn_buf_fini(&says);
}

static void the_catalogue_says_what_forbids_a_fold(void **state)
{
    struct cairn_pg *pg = NULL;
    struct cairn_arena arena = {.max = ARENA_MAX};
    struct cairn_sql_table *tables = NULL;
    struct cairn_err err = {0};
    const struct cairn_slice schema = CAIRN_SLICE_LIT("trial_facts");
    size_t count = 0;
    (void)state;
    struct cairn_pg_options options = {.uri = getenv("CAIRN_POSTGRES"), .schema = "trial_facts"};
    assert_ok(cairn_pg_open(&options, &pg, &err), &err);
    run(pg, "SET client_min_messages = warning; DROP SCHEMA IF EXISTS trial_facts CASCADE; "
            "CREATE SCHEMA trial_facts");
    run(pg, "CREATE TABLE ancestor (a text)");
    for (size_t i = 0; i < FACT_COUNT; i++) {
        run(pg, facts[i].ddl);
    }
    assert_ok(cairn_sql_tables_read(pg, schema, &arena, &tables, &count, &err), &err);
    assert_int_equal(count, FACT_COUNT + 1);
    for (size_t i = 0; i < FACT_COUNT; i++) {
        check_fact(find_table(tables, count, facts[i].table), &facts[i]);
    }
    run(pg, "CREATE FUNCTION lower(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'");
    assert_ok(cairn_sql_tables_read(pg, schema, &arena, &tables, &count, &err), &err);
    assert_false(find_table(tables, count, "plain")->local);
    run(pg, "DROP SCHEMA trial_facts CASCADE");
    cairn_pg_close(pg);
    cairn_arena_fini(&arena);
}

static void types_have_the_names_that_shapes_know(void **state)
{
    static const uint32_t oids[] = {25, 20, 1042, 1184, 1007};
    static const char *const expected[] = {"text", "bigint", "bpchar", "timestamp with time zone",
                                           "integer[]"};
    enum { COUNT = sizeof(oids) / sizeof(oids[0]) };
    struct cairn_slice names[COUNT];
    struct cairn_arena arena = {.max = ARENA_MAX};
    struct cairn_pg_options options = {.uri = getenv("CAIRN_POSTGRES")};
    struct cairn_pg *pg = NULL;
    struct cairn_err err = {0};
    const uint32_t none = 1;
    (void)state;
    assert_ok(cairn_pg_open(&options, &pg, &err), &err);
    assert_ok(cairn_sql_types_read(pg, oids, COUNT, &arena, names, &err), &err);
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(cairn_slice_is(names[i], expected[i]));
    }
    assert_ok(cairn_sql_types_read(pg, oids, 0, &arena, names, &err), &err);
    assert_int_equal(cairn_sql_types_read(pg, &none, 1, &arena, names, &err), CAIRN_EINVAL);
    cairn_pg_close(pg);
    cairn_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_catalogue_says_what_forbids_a_fold),
        cmocka_unit_test(types_have_the_names_that_shapes_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
