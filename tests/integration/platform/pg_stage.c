#include "tests/integration/platform/pg_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *pg_stage_uri(void)
{
    const char *uri = getenv("CAIRN_POSTGRES");
    if (uri == NULL) {
        fail_msg("CAIRN_POSTGRES names no server; run under tests/integration/with_postgres");
    }
    return uri;
}

char *pg_stage_uri_as(const char *user, const char *password)
{
    char *out = test_malloc(STAGE_TEXT_MAX);
    const char *host = strrchr(pg_stage_uri(), '@');
    assert_non_null(host);
    int size = snprintf(out, STAGE_TEXT_MAX, "postgresql://%s:%s%s", user, password, host);
    assert_true(size > 0 && size < STAGE_TEXT_MAX);
    return out;
}

struct cairn_pg_options pg_stage_options(const struct pg_stage *stage)
{
    return (struct cairn_pg_options){.uri = pg_stage_uri(), .schema = stage->schema};
}

struct cairn_pg *pg_stage_open(const struct pg_stage *stage)
{
    struct cairn_pg_options options = pg_stage_options(stage);
    struct cairn_pg *pg = NULL;
    struct cairn_err err;
    assert_ok(cairn_pg_open(&options, &pg, &err), &err);
    return pg;
}

void pg_stage_run(struct cairn_pg *pg, const char *sql)
{
    struct cairn_err err;
    assert_ok(cairn_pg_run(pg, sql, &err), &err);
}

static void run_on_schema(struct pg_stage *stage, const char *before, const char *behind)
{
    char sql[STAGE_TEXT_MAX];
    int size = snprintf(sql, sizeof(sql), "%s \"%s\" %s", before, stage->schema, behind);
    assert_true(size > 0 && (size_t)size < sizeof(sql));
    pg_stage_run(stage->pg, sql);
}

int pg_stage_setup(void **state)
{
    struct pg_stage *stage = test_calloc(1, sizeof(*stage));
    (void)snprintf(stage->schema, sizeof(stage->schema), "stage %d", (int)getpid());
    stage->pg = pg_stage_open(stage);
    run_on_schema(stage, "CREATE SCHEMA", "");
    *state = stage;
    return 0;
}

int pg_stage_teardown(void **state)
{
    struct pg_stage *stage = *state;
    cairn_pg_close(stage->pg);
    stage->pg = pg_stage_open(stage);
    run_on_schema(stage, "DROP SCHEMA", "CASCADE");
    cairn_pg_close(stage->pg);
    test_free(stage);
    return 0;
}

const char *pg_stage_value(struct cairn_pg *pg, const char *sql)
{
    static char text[STAGE_TEXT_MAX];
    struct cairn_pg_result *result = NULL;
    struct cairn_err err;
    assert_ok(cairn_pg_query(pg, sql, NULL, 0, &result, &err), &err);
    assert_int_equal(cairn_pg_result_rows(result), 1);
    assert_int_equal(cairn_pg_result_columns(result), 1);
    struct cairn_slice value = cairn_pg_result_value(result, 0, 0);
    (void)snprintf(text, sizeof(text), "%.*s", value.data == NULL ? 6 : (int)value.size,
                   value.data == NULL ? "(null)" : value.data);
    cairn_pg_result_free(result);
    return text;
}

int64_t pg_stage_backend(struct cairn_pg *pg)
{
    return strtoll(pg_stage_value(pg, "SELECT pg_backend_pid()"), NULL, 10);
}

void pg_stage_terminate(struct cairn_pg *by, int64_t backend)
{
    char sql[STAGE_TEXT_MAX];
    (void)snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%lld, 60000)",
                   (long long)backend);
    assert_string_equal(pg_stage_value(by, sql), "t");
}
