#include "tests/integration/projector/sql_stage.h"

#include <stdarg.h>

#include "schemas/sql_view.h"

const char sql_stage_sums[] =
    "-- view: sums\n"
    "-- version: 1\n"
    "-- table:\n"
    "CREATE TABLE sums (who text PRIMARY KEY, sum bigint NOT NULL CHECK (sum >= 0), "
    "count bigint NOT NULL);\n"
    "CREATE INDEX sums_by_sum ON sums (sum);\n"
    "-- on: Added\n"
    "INSERT INTO sums VALUES (:to, :n, 1) ON CONFLICT (who) DO UPDATE SET "
    "sum = sums.sum + excluded.sum, count = sums.count + 1;\n";

/* ---- the database ---- */

static void name_database(char *out, size_t size)
{
    (void)snprintf(out, size, "stage_%d", (int)getpid());
}

void sql_stage_uri_of(const char *database, char uri[SQL_STAGE_URI_MAX])
{
    const char *given = pg_stage_uri();
    const char *slash = strrchr(given, '/');
    assert_non_null(slash);
    const char *query = strchr(slash, '?');
    int size = snprintf(uri, SQL_STAGE_URI_MAX, "%.*s/%s%s", (int)(slash - given), given, database,
                        query == NULL ? "" : query);
    assert_true(size > 0 && size < SQL_STAGE_URI_MAX);
}

static void run_at_server(const char *before, const char *behind)
{
    const struct cairn_pg_options options = {.uri = pg_stage_uri()};
    struct cairn_pg *pg = NULL;
    struct cairn_err err;
    char database[32];
    char sql[128];
    name_database(database, sizeof(database));
    (void)snprintf(sql, sizeof(sql), "%s %s %s", before, database, behind);
    assert_ok(cairn_pg_open(&options, &pg, &err), &err);
    pg_stage_run(pg, sql);
    cairn_pg_close(pg);
}

int sql_stage_group_setup(void **state)
{
    (void)state;
    run_at_server("CREATE DATABASE", "");
    return 0;
}

int sql_stage_group_teardown(void **state)
{
    (void)state;
    run_at_server("DROP DATABASE", "WITH (FORCE)");
    return 0;
}

int sql_stage_setup(void **state)
{
    struct sql_stage *stage = test_calloc(1, sizeof(*stage));
    char database[32];
    name_database(database, sizeof(database));
    sql_stage_uri_of(database, stage->uri);
    const struct cairn_pg_options options = {.uri = stage->uri, .schema = "test"};
    assert_ok(cairn_pg_open(&options, &stage->pg, &stage->err), &stage->err);
    world_make(&stage->world);
    *state = stage;
    return 0;
}

int sql_stage_teardown(void **state)
{
    struct sql_stage *stage = *state;
    pg_stage_run(stage->pg, "DO $$ DECLARE s text; BEGIN FOR s IN SELECT nspname FROM pg_namespace "
                            "WHERE nspname LIKE 'test%' LOOP "
                            "EXECUTE format('DROP SCHEMA %I CASCADE', s); END LOOP; END $$");
    cairn_pg_close(stage->pg);
    world_end(&stage->world);
    test_free(stage);
    return 0;
}

/* ---- statements ---- */

static void format_sql(char sql[SQL_STAGE_TEXT_MAX], const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void format_sql(char sql[SQL_STAGE_TEXT_MAX], const char *format, va_list args)
{
    int size = vsnprintf(sql, SQL_STAGE_TEXT_MAX, format, args);
    assert_true(size > 0 && size < SQL_STAGE_TEXT_MAX);
}

const char *sql_stage_value(struct sql_stage *stage, const char *format, ...)
{
    char sql[SQL_STAGE_TEXT_MAX];
    va_list args;
    va_start(args, format);
    format_sql(sql, format, args);
    va_end(args);
    return pg_stage_value(stage->pg, sql);
}

int64_t sql_stage_number(struct sql_stage *stage, const char *format, ...)
{
    char sql[SQL_STAGE_TEXT_MAX];
    va_list args;
    va_start(args, format);
    format_sql(sql, format, args);
    va_end(args);
    return strtoll(pg_stage_value(stage->pg, sql), NULL, 10);
}

void sql_stage_run(struct sql_stage *stage, const char *format, ...)
{
    char sql[SQL_STAGE_TEXT_MAX];
    va_list args;
    va_start(args, format);
    format_sql(sql, format, args);
    va_end(args);
    pg_stage_run(stage->pg, sql);
}

void sql_stage_await(struct sql_stage *stage, const char *format, ...)
{
    const struct deadline deadline = deadline_begin();
    char sql[SQL_STAGE_TEXT_MAX];
    va_list args;
    va_start(args, format);
    format_sql(sql, format, args);
    va_end(args);
    while (strcmp(pg_stage_value(stage->pg, sql), "t") != 0) {
        if (deadline_passed(&deadline)) {
            fail_msg("never true: %s", sql);
        }
        pg_stage_run(stage->pg, "SELECT pg_sleep(0.005)"); /* between looks */
    }
}

void sql_stage_await_unlocked(struct sql_stage *stage)
{
    sql_stage_await(stage, "SELECT count(*) = 0 FROM pg_locks l JOIN pg_database d ON d.oid = "
                           "l.database WHERE l.locktype = 'advisory' AND d.datname = "
                           "current_database()");
}

/* ---- generations ---- */

void sql_stage_view(struct sql_stage *stage, const char *name, const char *text)
{
    char file[128];
    (void)snprintf(file, sizeof(file), "views/%s.sql", name);
    test_folder_write(stage->world.domain_folder, file, text);
}

void sql_stage_patch(char *text, const char *from, const char *to)
{
    char *at = strstr(text, from);
    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    for (size_t i = 0; to[i] != '\0'; i++) {
        at[i] = to[i];
    }
}

void sql_stage_build(struct sql_stage *stage, const char *view, struct cairn_arena *arena,
                     struct cairn_sql_head *ret_head)
{
    const struct cairn_domain_view *found =
        cairn_domain_view(stage->world.domain, cairn_slice_str(view));
    const char *tables[CAIRN_SQL_VIEW_STATEMENTS_MAX];
    assert_non_null(found);
    for (size_t i = 0; i < found->sql->table_count; i++) {
        tables[i] = found->sql->tables[i].text;
    }
    const struct cairn_sql_definition definition = {.domain = CAIRN_SLICE_LIT("test"),
                                                    .view = found->name,
                                                    .version = found->sql->version,
                                                    .hash = CAIRN_SLICE_LIT("0123"),
                                                    .text = found->script,
                                                    .tables = tables,
                                                    .table_count = found->sql->table_count,
                                                    .all = stage->world.appended};
    struct cairn_err err;
    assert_ok(cairn_sql_store_prepare(stage->pg, definition.domain, &err), &err);
    assert_ok(cairn_sql_generation_begin(stage->pg, &definition, CAIRN_SIDE_NEXT, &err), &err);
    assert_ok(cairn_sql_head_read(stage->pg, definition.domain, definition.view, CAIRN_SIDE_NEXT,
                                  arena, ret_head, &err),
              &err);
}

void sql_stage_make_live(struct sql_stage *stage, const char *view)
{
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_sql_head head;
    sql_stage_build(stage, view, &arena, &head);
    assert_ok(cairn_sql_generation_switch(stage->pg, CAIRN_SLICE_LIT("test"), cairn_slice_str(view),
                                          head.generation, CAIRN_SLICE_LIT(""), &stage->err),
              &stage->err);
    cairn_arena_fini(&arena);
}

enum cairn_rc sql_stage_follow(struct sql_stage *stage, const char *view, enum cairn_view_side side,
                               struct cairn_sql_follower **ret_follower)
{
    const struct cairn_sql_follower_options options = {.uri = stage->uri,
                                                       .domain = stage->world.domain,
                                                       .store = stage->world.store,
                                                       .view = cairn_slice_str(view),
                                                       .side = side};
    return cairn_sql_follower_open(&options, ret_follower, &stage->err);
}

void sql_stage_catch_up(struct cairn_sql_follower *follower, size_t max_events)
{
    struct cairn_err err;
    size_t events = 1;
    while (events > 0 && !follower->failed) {
        assert_ok(cairn_sql_follower_step(follower, max_events, &events, &err), &err);
    }
}

/* ---- chance ---- */

uint64_t sql_stage_seed(void)
{
    const char *given = getenv("CAIRN_SEED");
    uint64_t seed = given != NULL
                        ? strtoull(given, NULL, 10)
                        : (uint64_t)cairn_clock_now_us(cairn_clock_system()) % 1000000000u;
    print_message("CAIRN_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

uint64_t sql_stage_random(uint64_t *seed, uint64_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*seed >> 33u) % below;
}
